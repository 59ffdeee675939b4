package books

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
)

// difference is a line that the report must have.
type difference struct {
	Kind       domain.EntryKind
	ID, Record string
	Finding    domain.Finding
	// Sage is what the record at Sage says too much.
	Sage domain.Money
}

// deeds are what people do on both sides, and what happens to customers and their banks, after the two years.
func (w *world) deeds() {
	w.acted = time.Now()
	w.atHighLevel()
	w.atSage()
}

func (w *world) atHighLevel() {
	for range 5 {
		w.renew("succeeded")
	}
	w.renew("failed")
	for range 4 {
		w.refund(w.charge("a renewal to be refunded", func(c *shop.Charge) bool { return c.OrderID == "" && c.Refunded.IsZero() }))
		w.refund(w.charge("a payment of an order to be refunded", func(c *shop.Charge) bool { return c.OrderID != "" && c.Refunded.IsZero() }))
	}
	for range 3 {
		w.refund(w.charge("a refund that grows", func(c *shop.Charge) bool {
			return c.Refunded.Minor > 0 && c.Refunded.Minor+2 < c.Amount.Minor
		}))
	}
	for range 3 {
		p := w.plan("to be cancelled", active)
		require.NoError(w, w.stack.GHL.CancelSubscription(p.ID))
		p.Status, p.Canceled = "canceled", time.Now()
	}
	for range 3 {
		w.upgrade()
	}
	w.chargebacks()
}

func active(p *shop.Plan) bool { return p.Status == "active" && !p.Paused }

// charge chooses money in the currency of the rows to which nothing was done yet.
func (w *world) charge(what string, fits func(*shop.Charge) bool) *shop.Charge {
	var all []*shop.Charge
	for _, id := range w.truth.chargeIDs {
		if c := w.truth.charges[id]; settled(c) && c.Amount.Currency == rowsCurrency && c.Amount.Minor > 100 && !w.taken[id] && fits(c) {
			all = append(all, c)
		}
	}
	require.NotEmpty(w, all, "the past has nothing left for %s", what)
	c := all[w.dice.IntN(len(all))]
	w.taken[c.ID] = true
	return c
}

// plan chooses a subscription to which nothing was done yet.
func (w *world) plan(what string, fits func(*shop.Plan) bool) *shop.Plan {
	var all []*shop.Plan
	for _, id := range w.truth.planIDs {
		if p := w.truth.plans[id]; !p.Test && !w.taken[id] && fits(p) {
			all = append(all, p)
		}
	}
	require.NotEmpty(w, all, "the past has no subscription left %s", what)
	p := all[w.dice.IntN(len(all))]
	w.taken[p.ID] = true
	return p
}

func (w *world) renew(status string) {
	p := w.plan("to be renewed", func(p *shop.Plan) bool {
		sub, _ := w.stack.GHL.Subscription(p.ID)
		return active(p) && sub.Provider == "stripe"
	})
	t, err := w.stack.GHL.Renew(p.ID, ghl.NewPayment{Status: status})
	require.NoError(w, err)
	if status == "failed" {
		p.Status = "past_due"
	}
	w.truth.add(shop.Charge{
		ID: t.ID, SubscriptionID: p.ID, Amount: t.Amount, Refunded: domain.NewMoney(0, t.Amount.Currency), At: t.CreatedAt, Status: status,
	})
	w.taken[t.ID] = true
}

func (w *world) refund(c *shop.Charge) {
	more := domain.NewMoney(1+w.dice.Int64N(c.Amount.Minor-c.Refunded.Minor), c.Amount.Currency)
	require.NoError(w, w.stack.GHL.Refund(c.ID, more))
	w.truth.refund(c, more.Minor, time.Now())
}

func (w *world) upgrade() {
	p := w.plan("to be upgraded", active)
	to := slices.IndexFunc(w.past.Prices, func(price ghl.Price) bool {
		return price.ProductID == p.ProductID && price.Amount.Currency == p.Amount.Currency && price.Amount != p.Amount
	})
	require.NoError(w, w.stack.GHL.ChangePlan(p.ID, w.past.Prices[to].ID))
	p.Amount = w.past.Prices[to].Amount
}

// chargebacks are of payments that are in the books: their rows are for a person to judge. Of one of them a person did.
func (w *world) chargebacks() {
	entered := w.entered()
	ofOrder := w.charge("a payment of an order to be charged back", func(c *shop.Charge) bool {
		return c.OrderID != "" && c.Refunded.IsZero() && entered[domain.TransactionExtID(c.ID)]
	})
	judged := w.renewal("to be charged back and judged")
	for _, c := range []*shop.Charge{w.renewal("to be charged back"), ofOrder, judged} {
		row := w.row(domain.TransactionExtID(c.ID))
		require.NoError(w, w.stack.GHL.Chargeback(c.ID))
		c.Status = "disputed"
		if c == judged {
			require.NoError(w, w.stack.Sage.PeopleDelete("sales", row.ID))
			continue
		}
		w.plant(domain.PaymentEntry, c.ID, row.ID, domain.StatusDiffers, c.Amount)
	}
}

// renewal chooses one that was never refunded and has a row at Sage.
func (w *world) renewal(what string) *shop.Charge {
	entered := w.entered()
	return w.charge("a renewal "+what, func(c *shop.Charge) bool {
		return c.OrderID == "" && c.Refunded.IsZero() && entered[domain.TransactionExtID(c.ID)]
	})
}

// entered are the external ids of the rows of sales that Sage has now.
func (w *world) entered() map[string]bool {
	extIDs := map[string]bool{}
	for _, row := range w.stack.Sage.Live("sales") {
		extIDs[row.Text("extId")] = true
	}
	return extIDs
}

// plant notes what the report must name.
func (w *world) plant(kind domain.EntryKind, id string, record int64, finding domain.Finding, sage domain.Money) {
	w.planted = append(w.planted, difference{kind, id, recordName(record), finding, sage})
}

// unknown is an id that HighLevel has nothing of.
const unknown = "ffffffffffffffffffffffff"

// atSage is what people do there by hand: what is for us to set right, and what is not.
func (w *world) atSage() {
	people := w.stack.Sage
	for range 3 {
		row := w.row(domain.TransactionExtID(w.renewal("of which people change the amount").ID))
		require.NoError(w, people.PeopleUpdate("sales", row.ID, map[string]any{"total": json.Number("0.07")}))
	}
	for range 2 {
		row := w.row(domain.TransactionExtID(w.renewal("of which people change the date").ID))
		other := row.Time("date").AddDate(0, 0, -40).Format("2006-01-02 15:04:05")
		require.NoError(w, people.PeopleUpdate("sales", row.ID, map[string]any{"date": other}))
	}
	for range 2 {
		row := w.row(domain.TransactionExtID(w.renewal("of which people delete the row").ID))
		require.NoError(w, people.PeopleDelete("sales", row.ID))
	}
	entered := w.entered()
	refunded := func(c *shop.Charge) bool { return entered[domain.RefundExtID(c.ID, c.Refunded.Minor)] }
	edited, deleted := w.charge("a refund that people edit", refunded), w.charge("a refund that people delete", refunded)
	require.NoError(w, people.PeopleUpdate("sales", w.row(domain.RefundExtID(edited.ID, edited.Refunded.Minor)).ID, map[string]any{"total": json.Number("-0.01")}))
	require.NoError(w, people.PeopleDelete("sales", w.row(domain.RefundExtID(deleted.ID, deleted.Refunded.Minor)).ID))

	order := w.only("salesorders", domain.OrderExtID(w.charge("an order that people edit", func(c *shop.Charge) bool {
		return c.OrderID != "" && c.Refunded.IsZero()
	}).OrderID))
	require.NoError(w, people.PeopleUpdate("salesorders", order.ID, map[string]any{"total": json.Number("3.21")}))
	gone := w.only("salesorders", domain.OrderExtID(w.charge("an order that people delete", func(c *shop.Charge) bool {
		return c.OrderID != "" && c.Refunded.IsZero()
	}).OrderID))
	require.NoError(w, people.PeopleDelete("salesorders", gone.ID))

	opportunity := w.opportunity(w.plan("to be edited in Sage", active).ID)
	require.NoError(w, people.PeopleUpdate("opportunities", opportunity.ID, map[string]any{
		"total": json.Number("1.23"), "statusId": people.Find("opportunityStatuses", "Lost"), "salesForecastDate": "2020-01-01 00:00:00",
	}))
	require.NoError(w, people.PeopleDelete("opportunities", w.opportunity(w.plan("to be deleted in Sage", active).ID).ID))

	w.copies()
	w.strays()
}

// copies are second records of what is in the books already.
func (w *world) copies() {
	for _, other := range []int64{0, 250} { // one that says the same, and one of another amount
		c := w.renewal("that people copy")
		row, total := w.row(domain.TransactionExtID(c.ID)), domain.NewMoney(c.Amount.Minor+other, c.Amount.Currency)
		w.plant(domain.PaymentEntry, c.ID, w.copyRow(row, row.Text("extId"), total), domain.Duplicate, total)
	}
	p := w.plan("to be copied in Sage", func(p *shop.Plan) bool { return p.Status == "canceled" })
	from := w.opportunity(p.ID)
	w.plant(domain.SubscriptionEntry, p.ID, w.copyOpportunity(from, from.Text("extId")), domain.Duplicate, p.Amount)
}

// strays are records of what HighLevel never had.
func (w *world) strays() {
	some := w.row(domain.TransactionExtID(w.renewal("that is a model for strays").ID))
	total := domain.NewMoney(1234, rowsCurrency)
	w.plant(domain.PaymentEntry, unknown, w.copyRow(some, domain.TransactionExtID(unknown), total), domain.Extra, total)
	c := w.renewal("of which people enter a refund")
	back := w.copyRow(some, domain.RefundExtID(c.ID, 50), domain.NewMoney(-50, rowsCurrency))
	w.plant(domain.RefundEntry, c.ID, back, domain.Extra, domain.NewMoney(50, rowsCurrency))
	p := w.plan("that is a model for strays", func(p *shop.Plan) bool { return p.Status == "canceled" })
	w.plant(domain.SubscriptionEntry, unknown, w.copyOpportunity(w.opportunity(p.ID), domain.SubscriptionExtID(unknown)), domain.Extra, p.Amount)
}

func (w *world) copyRow(row sage.Record, extID string, total domain.Money) int64 {
	id, err := w.stack.Sage.PeopleCreate("sales", map[string]any{
		"extId": extID, "accountId": row.Int("accountId"), "accountExtId": row.Text("accountExtId"), "salesRepExtId": "petra",
		"date": row.Time("date").Format("2006-01-02 15:04:05"), "total": json.Number(total.Decimal()),
	})
	require.NoError(w, err)
	return id
}

func (w *world) copyOpportunity(from sage.Record, extID string) int64 {
	fields := map[string]any{"extId": extID}
	for name, value := range from.Fields {
		if value == nil || strings.HasPrefix(name, "date") || strings.HasPrefix(name, "salesRepId") || slices.Contains([]string{"id", "deleted", "extId"}, name) {
			continue
		}
		switch v := value.(type) {
		case time.Time:
			fields[name] = v.Format("2006-01-02 15:04:05")
		case domain.Number:
			fields[name] = json.Number(v)
		default:
			fields[name] = v
		}
	}
	fields["salesRepId"] = w.stack.Sage.Person()
	id, err := w.stack.Sage.PeopleCreate("opportunities", fields)
	require.NoError(w, err)
	return id
}

// row is the one live row of sales of an external id.
func (w *world) row(extID string) sage.Record { return w.only("sales", extID) }

func (w *world) opportunity(id string) sage.Record {
	return w.only("opportunities", domain.SubscriptionExtID(id))
}

func (w *world) only(resource, extID string) sage.Record {
	found := slices.DeleteFunc(w.stack.Sage.Live(resource), func(r sage.Record) bool { return r.Text("extId") != extID })
	require.Len(w, found, 1, "%s of %s", resource, extID)
	return found[0]
}

// sorted is the order in which differences are compared with each other.
func sorted(list []difference) []difference {
	slices.SortFunc(list, func(a, b difference) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Record, b.Record))
	})
	return list
}
