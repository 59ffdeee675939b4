package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/books"
	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
)

// sums are one currency's orders as one vendor has them, in minor units.
type sums struct {
	orders                int
	total, paid, refunded int64
}

// summarize prints what a run has come to.
func summarize(s *stack.Stack, f *follower, plan *faults.Plan, report shop.Report, took time.Duration, out *screen) {
	out.say("")
	out.say("%s", out.paint(bold, fmt.Sprintf("%d orders in %s", report.Orders, took.Round(time.Second))))
	from, into := charged(s.GHL), booked(s.Sage)
	rows := []string{"\torders\ttotal\tpaid\trefunded"}
	currencies := maps.Clone(into)
	maps.Copy(currencies, from)
	for _, c := range slices.Sorted(maps.Keys(currencies)) {
		rows = append(rows, row("GHL", c, from[c]), row("Sage", c, into[c]))
	}
	out.table(rows...)
	out.say("")
	sent, lost := webhooks(s.GHL)
	out.table(
		fmt.Sprintf("left out\t%d orders: tests, and those nobody has paid", report.Orders-report.Due),
		fmt.Sprintf("from money to Sage\t%s for half of the changes, %s for 95 of 100", f.quantile(50), f.quantile(95)),
		fmt.Sprintf("shipping\t%d shipments in GHL, %d of them posted for Sage, %d e-mails to customers; %d orders delivered",
			report.Shipments, report.Posted, s.GHL.CustomerMails(), report.Delivered),
		fmt.Sprintf("booked sales\t%d payments in %s, each with its rows in Sage; those in other currencies are kept apart",
			report.Payments, sage.BranchCurrency),
		fmt.Sprintf("subscriptions\t%d, each with its opportunity in Sage", report.Subscriptions),
		fmt.Sprintf("webhooks\t%d delivered, %d never sent; refunds and shipments have none: sweeps find them", sent, lost),
		fmt.Sprintf("requests\t%d to GHL (%d over its limit), %d to Sage (%d over its limit)",
			s.GHL.CallCount("ghl."), s.GHL.Throttled(), s.Sage.CallCount("sage."), s.Sage.Throttled()),
		fmt.Sprintf("faults\t%d injected", plan.Total()),
	)
	out.say("")
	if report.OK() {
		out.say("%s", out.paint(green, report.String()))
		return
	}
	out.say("%s", out.paint(red, report.String()))
}

// tellBooks prints what Tallystick's own ledger says, which is made from what both vendors answered and nothing else.
func tellBooks(sum books.Summary, differences []books.Row, out *screen) {
	if sum.Agree() {
		out.say("%s", out.paint(green, fmt.Sprintf("the ledger has seen %d records on both sides, and proves the same; `starter diff` shows it", sum.Records)))
		return
	}
	out.say("%s", out.paint(red, fmt.Sprintf("the ledger has seen %d records and has %d differences:", sum.Records, sum.Differences)))
	for _, d := range differences {
		out.say("  %s %s %s: %v %s", d.Kind, d.ID, d.Record, d.Findings, d.Amount)
	}
}

func row(vendor string, c domain.Currency, s sums) string {
	cells := []string{vendor, fmt.Sprint(s.orders)}
	for _, minor := range []int64{s.total, s.paid, s.refunded} {
		cells = append(cells, domain.NewMoney(minor, c).String())
	}
	return strings.Join(cells, "\t")
}

// charged sums up what must be in Sage.
func charged(vendor *ghl.Server) map[domain.Currency]sums {
	all := map[domain.Currency]sums{}
	for _, o := range vendor.Orders() {
		if !o.LiveMode || o.MarkAsTest {
			continue
		}
		sum := all[o.Currency]
		var paid int64
		for _, t := range vendor.Payments(o.ID) {
			if t.Status == "succeeded" {
				paid += t.Amount.Minor
				sum.refunded += t.AmountRefunded.Minor
			}
		}
		if paid == 0 {
			continue
		}
		sum.orders++
		sum.total += o.Amount.Minor
		sum.paid += paid
		all[o.Currency] = sum
	}
	return all
}

// booked sums up what is in Sage.
func booked(tenant *sage.Server) map[domain.Currency]sums {
	all := map[domain.Currency]sums{}
	for _, o := range tenant.Orders() {
		c := domain.Currency(o.Currency)
		sum := all[c]
		sum.orders++
		sum.total += minor(o, "total", c)
		sum.paid += minor(o, "Z_PaidAmount", c)
		sum.refunded += minor(o, "Z_RefundedAmount", c)
		all[c] = sum
	}
	return all
}

// minor reads an amount; one that does not fit is 0 here and a difference in the report.
func minor(o sage.Order, field string, c domain.Currency) int64 {
	amount, err := domain.ParseMoney(o.Number(field), c)
	if err != nil {
		return 0
	}
	return amount.Minor
}

// webhooks counts deliveries that were accepted, and events that were lost on purpose.
func webhooks(vendor *ghl.Server) (accepted, lost int) {
	for _, d := range vendor.Deliveries() {
		switch {
		case d.NeverSent:
			lost++
		case d.Status == 200:
			accepted++
		}
	}
	return accepted, lost
}
