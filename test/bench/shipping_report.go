package main

import (
	"fmt"
	"io"
)

// quantity is what of a bill is counted.
type quantity struct {
	name string
	of   func(bill) int
}

// quantities are those of the report.
var quantities = []quantity{{"calls to HighLevel", bill.ghl}, {"calls to Sage", bill.sage}, {"billable actions", bill.billed}}

// shippingTables print what open orders take, the numbers of them side by side, and what an order's way takes.
func (r *results) shippingTables(w io.Writer, section func(string, ...any)) {
	section("Shipping: a sweep every %s, a day's take, for each 1,000 open orders and for each order", sweepEvery())
	var heads []any
	for _, d := range r.shipping {
		heads = append(heads, fmt.Sprintf("%d open, per 1,000", d.open), "per order")
	}
	row(w, "", append(heads, "per order, last to first")...)
	for _, q := range quantities {
		r.perOrder(w, "e: nothing changes, "+q.name, func(d shippingDay) float64 { return d.quiet(q.of) })
	}
	for _, q := range quantities {
		r.perOrder(w, fmt.Sprintf("e: 1 of %d changes, %s", changedPerDay, q.name), func(d shippingDay) float64 { return d.busy(q.of) })
	}
	var sweeps []journey
	for _, d := range r.shipping {
		sweeps = append(sweeps, journey{fmt.Sprintf("%d open orders", d.open), 1, d.idle})
	}
	section("What one sweep takes while nothing changes")
	bills(w, sweeps)
	section("What the shipping of one order takes, beside the sweep that finds it")
	bills(w, r.journeys)
}

// bills print what things took, for each order, and below what that was.
func bills(w io.Writer, all []journey) {
	row(w, "", "HighLevel", "Sage", "billable actions")
	for _, j := range all {
		each := func(n int) string { return figure(float64(n) / float64(j.orders)) }
		row(w, "e: "+j.name, each(j.ghl()), each(j.sage()), each(j.billed()))
	}
	for _, j := range all {
		fmt.Fprintf(w, "  %s: %s; %s\n", j.name, inWords(j.calls, j.orders), inWords(j.actions, j.orders))
	}
}

// perOrder prints a day's figure, shared among the orders.
func (r *results) perOrder(w io.Writer, name string, of func(shippingDay) float64) {
	var cells []any
	for _, d := range r.shipping {
		each := of(d) / float64(d.open)
		cells = append(cells, fmt.Sprintf("%.0f", 1000*each), fmt.Sprintf("%.3f", each))
	}
	row(w, name, append(cells, fmt.Sprintf("%.2f", r.growth(of)))...)
}

// growth is the figure of an order among many to that of one among few.
func (r *results) growth(of func(shippingDay) float64) float64 {
	few, many := r.shipping[0], r.shipping[len(r.shipping)-1]
	if of(few) == 0 {
		return 0
	}
	return of(many) / float64(many.open) / (of(few) / float64(few.open))
}

func (r *results) aimsOfShipping(w io.Writer) {
	few, many := r.shipping[0].open, r.shipping[len(r.shipping)-1].open
	for _, q := range quantities {
		name := fmt.Sprintf("e, %s a day per order, %d open to %d", q.name, many, few)
		worst := max(r.growth(func(d shippingDay) float64 { return d.quiet(q.of) }), r.growth(func(d shippingDay) float64 { return d.busy(q.of) }))
		row(w, name, fmt.Sprintf("%.2f", worst), fmt.Sprintf("at most %.2f", aimFlat))
	}
}
