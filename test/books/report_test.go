package books

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/test/harness"
)

func recordName(id int64) string { return strconv.FormatInt(id, 10) }

// plantedRecords are the records of a kind that people must judge.
func (w *world) plantedRecords(kinds ...domain.EntryKind) map[string]bool {
	records := map[string]bool{}
	for _, d := range w.planted {
		for _, kind := range kinds {
			if d.Kind == kind {
				records[d.Record] = true
			}
		}
	}
	return records
}

// holdsEachOnce looks at Sage's own tables, without the product and its ledger.
func (w *world) holdsEachOnce() {
	w.holdsRows()
	due := w.truth.dueOrders()
	orders := map[string]int{}
	for _, o := range w.stack.Sage.Orders() {
		id := strings.TrimPrefix(o.Text("extId"), domain.OrderExtIDPrefix)
		orders[id]++
		assert.Equal(w, w.truth.totals[id], w.money(o.Number("total"), o.Currency), "order %s", id)
	}
	for id := range due {
		assert.Equal(w, 1, orders[id], "orders at Sage of %s", id)
	}
	assert.Len(w, orders, len(due))
	w.holdsOpportunities()
}

// holdsRows: a row for each payment in the tenant's currency, on its day, and rows that take back what was refunded.
func (w *world) holdsRows() {
	planted := w.plantedRecords(domain.PaymentEntry, domain.RefundEntry)
	paid, back := map[string]int{}, map[string]int64{}
	for _, row := range w.stack.Sage.Live("sales") {
		if planted[recordName(row.ID)] {
			continue
		}
		extID, total := row.Text("extId"), w.money(row.Number("total"), rowsCurrency)
		if id, _, refund := domain.ParseRefundExtID(extID); refund {
			assert.Negative(w, total.Minor, extID)
			back[id] -= total.Minor
			continue
		}
		id := strings.TrimPrefix(extID, domain.TransactionExtIDPrefix)
		paid[id]++
		c := w.truth.charges[id]
		if assert.NotNil(w, c, extID) {
			assert.Equal(w, c.Amount, total, extID)
			assert.Equal(w, c.At.UTC().Format(time.DateOnly), row.Time("date").Format(time.DateOnly), extID)
		}
	}
	for id, c := range w.truth.charges {
		want, refunded := 0, int64(0)
		if settled(c) && c.Amount.Currency == rowsCurrency {
			want, refunded = 1, c.Refunded.Minor
		}
		assert.Equal(w, want, paid[id], "rows of payment %s: %+v", id, c)
		assert.Equal(w, refunded, back[id], "taken back of payment %s: %+v", id, c)
	}
}

func (w *world) holdsOpportunities() {
	stages := map[int64]string{}
	for _, stage := range w.stack.Sage.Live("opportunityStatuses") {
		stages[stage.ID] = stage.Text("descriptionEN")
	}
	states := map[string]string{"canceled": "Lost", "trialing": "Open", "incomplete": "Open"}
	planted, found := w.plantedRecords(domain.SubscriptionEntry), map[string]sage.Record{}
	for _, o := range w.stack.Sage.Live("opportunities") {
		if planted[recordName(o.ID)] {
			continue
		}
		id := strings.TrimPrefix(o.Text("extId"), domain.SubscriptionExtIDPrefix)
		assert.NotContains(w, found, id, "a second opportunity")
		found[id] = o
	}
	live := 0
	for id, p := range w.truth.plans {
		if p.Test {
			continue
		}
		live++
		o, there := found[id]
		if !assert.True(w, there, "an opportunity of %+v", p) {
			continue
		}
		stage := states[p.Status]
		if stage == "" {
			stage = "Won"
		}
		assert.Equal(w, p.Amount, w.money(o.Number("total"), w.currency(o)), id)
		assert.Equal(w, stage, stages[o.Int("statusId")], "%+v", p)
	}
	assert.Len(w, found, live)
}

func (w *world) currency(o sage.Record) string {
	for _, c := range w.stack.Sage.Live("currencies") {
		if c.ID == o.Int("currencyId") {
			return c.Text("isoCode")
		}
	}
	return ""
}

func (w *world) money(n domain.Number, currency string) domain.Money {
	m, err := domain.ParseMoney(n, domain.Currency(currency))
	require.NoError(w, err)
	return m
}

// report is what `starter diff -o json` says.
type report struct {
	Rows []struct {
		domain.Difference
		InFlight bool
		Cause    string
		Reason   string
	}
	Proofs []struct {
		domain.Proof
		Holds bool
	}
	Holds bool
}

// reportIsRight: it names what was planted, and its totals are those of what happened.
func (w *world) reportIsRight() {
	code, output := harness.Command(w.T, w.stack, "", "diff", "-o", "json")
	require.Equal(w, 1, code, "there is something to judge: %s", output)
	var r report
	require.NoError(w, json.Unmarshal([]byte(output), &r), output)
	var named []difference
	for _, row := range r.Rows {
		d := difference{Kind: row.Kind, ID: row.ID, Record: row.Record}
		if assert.Len(w, row.Findings, 1, "%+v", row) {
			d.Finding = row.Findings[0]
		}
		if row.Sage != nil {
			d.Sage = row.Sage.Amount
		}
		assert.False(w, row.InFlight)
		named = append(named, d)
	}
	require.Equal(w, sorted(w.planted), sorted(named), "what the report names: %s", output)
	require.True(w, r.Holds)
	w.proofsAreRight(r)
}

func (w *world) proofsAreRight(r report) {
	proofs := map[domain.EntryKind]map[domain.Currency]domain.Proof{}
	for _, p := range r.Proofs {
		require.True(w, p.Holds)
		if proofs[p.Kind] == nil {
			proofs[p.Kind] = map[domain.Currency]domain.Proof{}
		}
		proofs[p.Kind][p.Currency] = p.Proof
	}
	for _, kind := range domain.EntryKinds() {
		totals := w.truth.total(kind)
		require.Len(w, proofs[kind], len(totals), "%s", kind)
		for currency, total := range totals {
			p := proofs[kind][currency]
			assert.Equal(w, total, amount{p.GHL.Minor, p.GHLCount}, "HighLevel's %s in %s", kind, currency)
			rows := kind == domain.PaymentEntry || kind == domain.RefundEntry
			if rows && currency != rowsCurrency {
				assert.Equal(w, total, amount{p.Apart.Minor, p.ApartCount}, "kept apart of %s in %s", kind, currency)
				assert.Zero(w, p.SageCount)
				continue
			}
			there := total
			for _, d := range w.planted {
				if d.Kind == kind && d.Sage.Currency == currency {
					there = there.plus(d.Sage.Minor)
				}
			}
			if kind == domain.RefundEntry { // each part has a row
				there.Count = int64(len(w.sales(domain.RefundExtIDPrefix, time.Time{})))
			}
			assert.Zero(w, p.ApartCount)
			assert.Equal(w, there, amount{p.Sage.Minor, p.SageCount}, "Sage's %s in %s", kind, currency)
			assert.Equal(w, total.Minor-there.Minor, p.Differences.Minor, "the differences of %s in %s", kind, currency)
		}
	}
}

// tally is a number of subscriptions and what one instalment of each comes to.
type tally struct {
	Count  int64
	Amount domain.Money
}

func (t tally) amount() amount { return amount{t.Amount.Minor, t.Count} }

type figures struct {
	Gross, Refunds, Net, Recurring domain.Money
	Payments, Refunded             int64
	Movement                       struct{ Start, Gained, Expansion, Contraction, Lost domain.Money }
	Earning, New, Churned          tally
}

type line struct {
	Group     string
	Currency  domain.Currency
	Apart     bool
	GHL, Sage figures
}

// revenueOf is what `starter report revenue -o json` says of a month.
func (w *world) revenueOf(month time.Time) []line {
	code, output := harness.Command(w.T, w.stack, "", "report", "revenue", "--month", month.Format("2006-01"), "-o", "json")
	require.Zero(w, code, output)
	var r struct{ Lines []line }
	require.NoError(w, json.Unmarshal([]byte(output), &r), output)
	return r.Lines
}

// revenueIsRight compares some months: this one, that before it, and others of the two years.
func (w *world) revenueIsRight() {
	year, month, _ := time.Now().UTC().Date()
	now := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	for _, back := range []int{0, 1, 2 + w.dice.IntN(10), 12 + w.dice.IntN(11), 23, 24} {
		w.monthIsRight(now.AddDate(0, -back, 0))
	}
}

func (w *world) monthIsRight(month time.Time) {
	name, lines := month.Format("2006-01"), w.revenueOf(month)
	sum := func(of func(figures) amount) map[domain.Currency]amount {
		sums := map[domain.Currency]amount{}
		for _, l := range lines {
			if a := of(l.GHL); l.Group == "total" && a != (amount{}) {
				sums[l.Currency] = amount{sums[l.Currency].Minor + a.Minor, sums[l.Currency].Count + a.Count}
			}
		}
		return sums
	}
	assert.Equal(w, w.truth.gross(month), sum(func(f figures) amount { return amount{f.Gross.Minor, f.Payments} }), "gross of %s", name)
	assert.Equal(w, w.truth.refunded(month), sum(func(f figures) amount { return amount{f.Refunds.Minor, f.Refunded} }), "refunds of %s", name)
	plans := w.truth.known(w.acted.Before(month.AddDate(0, 1, 0)))
	began := func(p shop.Plan) bool { return sameMonth(p.Start, month) }
	ended := func(p shop.Plan) bool { return sameMonth(p.Canceled, month) }
	assert.Equal(w, instalments(plans, began), sum(func(f figures) amount { return f.New.amount() }), "what began in %s", name)
	assert.Equal(w, instalments(plans, ended), sum(func(f figures) amount { return f.Churned.amount() }), "what ended in %s", name)
	assert.Equal(w, recurring(plans, month), sum(func(f figures) amount { return amount{f.Recurring.Minor, f.Earning.Count} }),
		"recurring revenue of %s", name)
	w.linesAddUp(name, lines)
	for _, l := range lines {
		if l.Group == "total" && l.Currency == rowsCurrency && !l.Apart {
			paid, back := w.rows(domain.TransactionExtIDPrefix, month), w.rows(domain.RefundExtIDPrefix, month)
			assert.Equal(w, paid, amount{l.Sage.Gross.Minor, l.Sage.Payments}, "Sage's gross of %s", name)
			assert.Equal(w, amount{-back.Minor, back.Count}, amount{l.Sage.Refunds.Minor, l.Sage.Refunded}, "Sage's refunds of %s", name)
		}
	}
}

// linesAddUp: each line within itself, and those of products up to the totals.
func (w *world) linesAddUp(month string, lines []line) {
	type key struct {
		currency domain.Currency
		apart    bool
	}
	totals, products := map[key][4]int64{}, map[key][4]int64{}
	for _, l := range lines {
		to := totals
		if l.Group != "total" {
			to = products
		}
		at := key{l.Currency, l.Apart}
		sums := to[at]
		for i, f := range []figures{l.GHL, l.Sage} {
			assert.Equal(w, f.Net.Minor, f.Gross.Minor-f.Refunds.Minor, "%s: %+v", month, l)
			m := f.Movement
			assert.Equal(w, f.Recurring.Minor, m.Start.Minor+m.Gained.Minor+m.Expansion.Minor-m.Contraction.Minor-m.Lost.Minor, "%s: %+v", month, l)
			sums[2*i] += f.Gross.Minor
			sums[2*i+1] += f.Refunds.Minor
		}
		to[at] = sums
	}
	assert.Equal(w, totals, products, "products of %s", month)
}

// sales are the live rows of sales whose external id begins so, of a month or, if that is zero, of all.
func (w *world) sales(prefix string, month time.Time) []sage.Record {
	return slices.DeleteFunc(w.stack.Sage.Live("sales"), func(row sage.Record) bool {
		return !strings.HasPrefix(row.Text("extId"), prefix) || !month.IsZero() && !sameMonth(row.Time("date"), month)
	})
}

// rows sums up what Sage's own table has in a month, the planted ones included.
func (w *world) rows(prefix string, month time.Time) amount {
	var sum amount
	for _, row := range w.sales(prefix, month) {
		sum = sum.plus(w.money(row.Number("total"), rowsCurrency).Minor)
	}
	return sum
}
