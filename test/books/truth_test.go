package books

import (
	"math/big"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/shop"
)

// truth is what happened, by id, and makes sums of it with nothing but whole numbers: it shares no code with the product.
type truth struct {
	charges map[string]*shop.Charge
	plans   map[string]*shop.Plan
	totals  map[string]domain.Money
	due     map[string]bool // orders
	// before are the plans as they were when all of this was first looked at. What was before that nobody can know, so
	// earlier months are made of them.
	before []shop.Plan
	// parts are what was given back at a time.
	parts []part
	// chargeIDs and planIDs are in the order of happening, so that dice choose the same in every run.
	chargeIDs, planIDs []string
}

// part is money that was given back of a charge.
type part struct {
	charge *shop.Charge
	minor  int64
	at     time.Time
}

func truthOf(past shop.PastData) *truth {
	t := &truth{charges: map[string]*shop.Charge{}, plans: map[string]*shop.Plan{}, due: map[string]bool{}, totals: past.Totals, before: past.Plans}
	for _, c := range past.Charges {
		t.add(c)
	}
	for _, p := range past.Plans {
		t.plans[p.ID] = &p
		t.planIDs = append(t.planIDs, p.ID)
	}
	return t
}

func (t *truth) add(c shop.Charge) {
	t.charges[c.ID] = &c
	if settled(&c) && c.OrderID != "" {
		t.due[c.OrderID] = true
	}
	t.chargeIDs = append(t.chargeIDs, c.ID)
	if c.Refunded.Minor > 0 {
		t.parts = append(t.parts, part{&c, c.Refunded.Minor, c.RefundedAt})
	}
}

// refund gives more of a charge back.
func (t *truth) refund(c *shop.Charge, minor int64, at time.Time) {
	c.Refunded.Minor += minor
	t.parts = append(t.parts, part{c, minor, at})
}

// rowsCurrency is that of the sandbox tenant's branch, and so of its rows of sales.
const rowsCurrency = "EUR"

// settled tells of money that came in.
func settled(c *shop.Charge) bool { return c.Status == "succeeded" && !c.Test }

// dueOrders are the orders for which money came in, be it that it was charged back since: the sale was made.
func (t *truth) dueOrders() map[string]bool { return t.due }

// amount is a sum and how much it is of.
type amount struct{ Minor, Count int64 }

func (a amount) plus(minor int64) amount { return amount{a.Minor + minor, a.Count + 1} }

// total sums up HighLevel's side of a kind by currency.
func (t *truth) total(kind domain.EntryKind) map[domain.Currency]amount {
	sums := map[domain.Currency]amount{}
	add := func(m domain.Money) { sums[m.Currency] = sums[m.Currency].plus(m.Minor) }
	switch kind {
	case domain.OrderEntry:
		for id := range t.dueOrders() {
			add(t.totals[id])
		}
	case domain.PaymentEntry, domain.RefundEntry:
		for _, c := range t.charges {
			switch {
			case !settled(c):
			case kind == domain.PaymentEntry:
				add(c.Amount)
			case c.Refunded.Minor > 0:
				add(c.Refunded)
			}
		}
	case domain.SubscriptionEntry:
		for _, p := range t.plans {
			if !p.Test {
				add(p.Amount)
			}
		}
	}
	return sums
}

// sameMonth tells whether a moment is in the month that begins at another, in UTC.
func sameMonth(at, month time.Time) bool {
	return !at.IsZero() && at.UTC().Format("2006-01") == month.UTC().Format("2006-01")
}

// gross is what came in in a month.
func (t *truth) gross(month time.Time) map[domain.Currency]amount {
	sums := map[domain.Currency]amount{}
	for _, c := range t.charges {
		if settled(c) && sameMonth(c.At, month) {
			sums[c.Amount.Currency] = sums[c.Amount.Currency].plus(c.Amount.Minor)
		}
	}
	return sums
}

// refunded is what was given back in a month, of whatever month's payments.
func (t *truth) refunded(month time.Time) map[domain.Currency]amount {
	sums := map[domain.Currency]amount{}
	for _, p := range t.parts {
		if settled(p.charge) && sameMonth(p.at, month) {
			sums[p.charge.Amount.Currency] = sums[p.charge.Amount.Currency].plus(p.minor)
		}
	}
	return sums
}

// known are the plans of which a month is made: as they are now, or as they were when they were first seen.
func (t *truth) known(now bool) []shop.Plan {
	if !now {
		return t.before
	}
	plans := make([]shop.Plan, 0, len(t.plans))
	for _, p := range t.plans {
		plans = append(plans, *p)
	}
	return plans
}

// instalments sums up those of some plans.
func instalments(plans []shop.Plan, of func(shop.Plan) bool) map[domain.Currency]amount {
	sums := map[domain.Currency]amount{}
	for _, p := range plans {
		if !p.Test && of(p) {
			sums[p.Amount.Currency] = sums[p.Amount.Currency].plus(p.Amount.Minor)
		}
	}
	return sums
}

// earned tells of subscriptions that were charged, or were still tried to be, when a month ended.
func earned(p shop.Plan, end time.Time) bool {
	switch {
	case p.Test || p.Paused || !p.Start.Before(end):
		return false
	case p.Status == "canceled":
		return !p.Canceled.Before(end)
	}
	return p.Status == "active" || p.Status == "past_due"
}

// recurring is what plans make in a month when a month ends, with 12 months and 52 weeks to a year, rounded once to even.
func recurring(plans []shop.Plan, month time.Time) map[domain.Currency]amount {
	perYear := map[string]int64{"week": 52, "month": 12, "year": 1}
	twelfths := map[domain.Currency]*big.Rat{}
	count := map[domain.Currency]int64{}
	for _, p := range plans {
		if !earned(p, month.AddDate(0, 1, 0)) {
			continue
		}
		currency := p.Amount.Currency
		if twelfths[currency] == nil {
			twelfths[currency] = new(big.Rat)
		}
		twelfths[currency].Add(twelfths[currency], big.NewRat(p.Amount.Minor*perYear[p.Interval], p.IntervalCount))
		count[currency]++
	}
	sums := map[domain.Currency]amount{}
	for currency, sum := range twelfths {
		sums[currency] = amount{roundToEven(sum.Quo(sum, big.NewRat(12, 1))), count[currency]}
	}
	return sums
}

func roundToEven(r *big.Rat) int64 {
	down := new(big.Int).Quo(r.Num(), r.Denom()).Int64() // what is rounded here is never negative
	rest := new(big.Rat).Sub(r, big.NewRat(down, 1))
	switch rest.Cmp(big.NewRat(1, 2)) {
	case 1:
		return down + 1
	case 0:
		return down + down%2
	}
	return down
}
