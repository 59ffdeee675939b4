package shop

import (
	"cmp"
	"strings"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
)

// WithSales compares Sage's booked sales too: each payment of this currency, which is the one of the rows, has exactly one
// row, what was given back of it is taken back by rows, and there is no other row of ours; and each subscription has exactly
// one opportunity, of its amount and stage. It is for a stack whose reconciliation is on, and through.
func WithSales(currency domain.Currency) AgreeOption {
	return func(c *comparison) { c.sales = currency }
}

// salesOf are the rows that stand for one payment.
type salesOf struct {
	paid []sage.Record
	back []sage.Record
}

func (c *comparison) bookedSales() {
	if c.sales == "" {
		return
	}
	rows := map[string]*salesOf{}
	of := func(id string) *salesOf {
		if rows[id] == nil {
			rows[id] = &salesOf{}
		}
		return rows[id]
	}
	for _, row := range c.tenant.Live("sales") {
		extID := row.Text("extId")
		if id, _, refund := domain.ParseRefundExtID(extID); refund {
			of(id).back = append(of(id).back, row)
			continue
		}
		if id, ours := strings.CutPrefix(extID, domain.TransactionExtIDPrefix); ours {
			of(id).paid = append(of(id).paid, row)
		}
	}
	for _, t := range c.shop.Transactions() {
		c.paymentRows(t, of(t.ID))
		delete(rows, t.ID)
	}
	for id := range rows {
		c.say("sales: there are rows of payment %s, which HighLevel does not have", id)
	}
	c.opportunities()
}

// stages are where opportunities stand, by what HighLevel shows of their subscriptions. The others are won.
var stages = map[string]string{"trialing": "Open", "incomplete": "Open", "canceled": "Lost", "expired": "Lost"}

func (c *comparison) opportunities() {
	have := map[string][]sage.Record{}
	for _, o := range c.tenant.Live("opportunities") {
		have[o.Text("extId")] = append(have[o.Text("extId")], o)
	}
	for _, sub := range c.shop.Subscriptions() {
		in := have[domain.SubscriptionExtID(sub.ID)]
		due := sub.LiveMode && !sub.MarkAsTest
		if due {
			c.report.Subscriptions++
		}
		if !due && len(in) > 0 || due && len(in) != 1 {
			c.say("subscription %s: must have one opportunity unless it is a test, but has %d", sub.ID, len(in))
			continue
		}
		for _, o := range in {
			c.amount(sub.ID, "the opportunity's total", o.Number("total"), sub.Amount)
			if stage := cmp.Or(stages[sub.Status], "Won"); o.Int("statusId") != c.tenant.Find("opportunityStatuses", stage) {
				c.say("subscription %s is %s, but its opportunity %d is not %s", sub.ID, sub.Status, o.ID, stage)
			}
		}
	}
}

func (c *comparison) paymentRows(t ghl.Transaction, rows *salesOf) {
	order, _ := c.shop.Order(t.OrderID)
	if t.Status != "succeeded" || !t.LiveMode || t.MarkAsTest || order.MarkAsTest || t.Amount.Currency != c.sales {
		if n := len(rows.paid) + len(rows.back); n > 0 {
			c.say("payment %s must have no rows of sales, but has %d", t.ID, n)
		}
		return
	}
	c.report.Payments++
	if len(rows.paid) != 1 {
		c.say("payment %s must have one row of sales, but has %d", t.ID, len(rows.paid))
		return
	}
	c.amount(cmp.Or(t.OrderID, t.ID), "the row of payment "+t.ID, rows.paid[0].Number("total"), t.Amount)
	back := domain.NewMoney(0, c.sales)
	for _, row := range rows.back {
		part, err := domain.ParseMoney(row.Number("total"), c.sales)
		if err == nil {
			back, err = back.Add(part)
		}
		if err != nil {
			c.say("a row that takes payment %s back: %s", t.ID, err)
		}
	}
	if back.Minor != -t.AmountRefunded.Minor {
		c.say("the rows of sales take back %s of payment %s instead of %s", back, t.ID, t.AmountRefunded)
	}
}
