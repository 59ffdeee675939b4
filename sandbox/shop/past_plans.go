package shop

import (
	"slices"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
)

// longest is how many charges a subscription can have in the time of two years, by its interval.
var longest = map[string]int64{"week": 104, "month": 24, "year": 2}

// life is a subscription on its way through the past.
type life struct {
	sub      ghl.NewSubscription
	plan     Plan
	schedule ghl.Schedule
	// due is how many charges fell due.
	due int64
	// before is what was charged before an upgrade, which was before charge upgraded. 0 is none.
	before   domain.Money
	upgraded int64
	ending   Ending
}

// subscription is one with its first order and all its charges.
func (p *past) subscription(n int) {
	currency := p.pays()
	price := p.planFor(currency, p.lifetime())
	l := &life{plan: Plan{
		ID: p.next("subscription"), ProductID: price.ProductID, Amount: price.Amount,
		Interval: price.Interval, IntervalCount: price.IntervalCount, Status: "active", Test: p.chance(3),
	}}
	l.sub = ghl.NewSubscription{
		ID: l.plan.ID, LocationID: p.opts.Location, ContactID: p.subscriber(n), PriceID: price.ID, TestMode: l.plan.Test,
	}
	l.ending.SubscriptionID = l.plan.ID
	if p.chance(15) {
		l.sub.Provider = "paypal"
	}
	p.schedule(l, p.lifetime())
	p.becomes(l)
	p.upgrade(l, price)
	p.subscribed(l)
	p.renewals(l)
	p.end(l)
}

// subscriber is somebody who may have other subscriptions as well.
func (p *past) subscriber(n int) string {
	if n%5 == 0 {
		return p.out.History.Contacts[0].ID
	}
	return p.anybody()
}

// lifetime is how many charges a subscription is to have, so that all of them have six transactions of ten.
func (p *past) lifetime() int64 {
	mean := max(1, int64(p.opts.Transactions)*6/10/int64(p.opts.Subscriptions))
	return p.between(1, 2*mean-1)
}

// planFor is a plan of which so many charges fit into the past.
func (p *past) planFor(currency domain.Currency, charges int64) ghl.Price {
	var fits []ghl.Price
	for _, price := range p.plans[currency] {
		if charges <= longest[price.Interval] {
			fits = append(fits, price)
		}
	}
	if len(fits) == 0 {
		fits = slices.DeleteFunc(slices.Clone(p.plans[currency]), func(price ghl.Price) bool { return price.Interval != "week" })
	}
	return fits[p.dice.IntN(len(fits))]
}

// schedule lets the subscription begin such that about so many charges fell due, and at least one.
func (p *past) schedule(l *life, charges int64) {
	words := map[string]string{"week": "weekly", "month": "monthly", "year": "yearly"}
	days := map[string]int64{"week": 6, "month": 27, "year": 360}
	l.schedule = ghl.Schedule{IntervalType: words[l.plan.Interval], Interval: l.plan.IntervalCount}
	for back := charges - 1; ; back-- {
		l.schedule.Start = p.opts.To.Add(-time.Duration(p.between(60, days[l.plan.Interval]*24*3600)) * time.Second)
		l.schedule.Start = l.schedule.Due(-max(back, 0))
		if back <= 0 || !l.schedule.Start.Before(p.opts.From) {
			break
		}
	}
	if l.schedule.Start.Before(p.opts.From) { // a past that is shorter than the interval
		l.schedule.Start = p.sometime(p.opts.From, p.opts.To)
	}
	for !l.schedule.Due(l.due).After(p.opts.To) {
		l.due++
	}
	l.plan.Start, l.sub.At = l.schedule.Start, l.schedule.Start
}

// becomes says how the subscription stands in the end.
func (p *past) becomes(l *life) {
	switch roll := p.dice.IntN(100); {
	case roll < 22: // cancelled before the last charges
		l.due = p.between(1, l.due)
		l.plan.Status = "canceled"
		until := earlier(l.schedule.Due(l.due), p.opts.To)
		l.plan.Canceled = p.sometime(l.schedule.Due(l.due-1), until)
	case roll < 28 && l.due > 1:
		l.plan.Status = "past_due"
	case roll < 30 && l.due > 1:
		l.plan.Status = "unpaid"
	case roll < 36: // paused before the last charges
		l.due, l.plan.Paused = p.between(1, l.due), true
		if l.sub.Provider == "paypal" {
			l.plan.Status = "suspended"
		}
	case roll < 40: // still to be charged for the first time
		l.plan.Status, l.due = "trialing", 0
		l.sub.At = p.sometime(later(p.opts.From, p.opts.To.AddDate(0, 0, -13)), p.opts.To)
		l.plan.Start, l.sub.Trial = l.sub.At, 14*24*time.Hour
	case roll < 42: // stuck, as users of other providers report
		l.plan.Status, l.due, l.sub.Provider = "incomplete", 0, "custom"
	case roll < 50 && l.due > 1 && l.sub.Provider == "": // began with a trial that is over
		l.sub.Trial = l.schedule.Start.Sub(later(p.opts.From, l.schedule.Start.AddDate(0, 0, -7)))
		l.sub.At = l.schedule.Start.Add(-l.sub.Trial)
		l.plan.Start = l.sub.At
	}
	l.sub.Status = l.plan.Status
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// upgrade makes some of them such that were cheaper before.
func (p *past) upgrade(l *life, price ghl.Price) {
	if l.due < 2 || !p.chance(15) {
		return
	}
	plans := p.plans[price.Amount.Currency]
	at := slices.IndexFunc(plans, func(other ghl.Price) bool { return other.ID == price.ID })
	cheap, dear := plans[at-at%2], plans[at-at%2+1]
	l.before, l.upgraded = cheap.Amount, p.between(1, l.due-1)
	l.sub.PriceID, l.plan.Amount = dear.ID, dear.Amount
}

// amount is what charge n is, counted from 0.
func (l *life) amount(n int64) domain.Money {
	if n < l.upgraded {
		return l.before
	}
	return l.plan.Amount
}

// subscribed adds the subscription, and the order it was subscribed by if there was one. A trial is agreed without.
func (p *past) subscribed(l *life) {
	if l.sub.Trial == 0 && l.due > 0 && p.chance(75) {
		line := l.sub.PriceID
		if l.upgraded > 0 {
			plans := p.plans[l.plan.Amount.Currency]
			at := slices.IndexFunc(plans, func(price ghl.Price) bool { return price.ID == line })
			line = plans[at-1].ID
		}
		order := ghl.NewOrder{
			ID: p.next("order"), LocationID: p.opts.Location, ContactID: l.sub.ContactID, Currency: l.plan.Amount.Currency,
			Lines: []ghl.NewLine{{PriceID: line, Qty: 1}}, TestMode: l.plan.Test, CreatedAt: l.sub.At,
		}
		p.place(order, l.amount(0))
		l.sub.OrderID, l.plan.OrderID = order.ID, order.ID
	}
	p.out.History.Subscriptions = append(p.out.History.Subscriptions, l.sub)
}

// renewals are all charges, the first one by the order included.
func (p *past) renewals(l *life) {
	for n := range l.due {
		c := Charge{SubscriptionID: l.plan.ID, Amount: l.amount(n), At: l.schedule.Due(n), Test: l.plan.Test}
		if n == 0 {
			c.OrderID = l.plan.OrderID
		}
		last := n == l.due-1
		switch {
		case last && n > 0 && (l.plan.Status == "past_due" || l.plan.Status == "unpaid"):
			c.Status = "failed"
		case n > 0 && p.chance(5): // missed, and made good
			missed := c
			missed.Status = "failed"
			p.charge(missed)
			c.At = p.sometime(c.At, earlier(c.At.AddDate(0, 0, 3), p.opts.To))
		case n > 0 && p.chance(2):
			c.Status = p.opts.ChargebackStatus
		case p.chance(4):
			c.Refunded = share(c.Amount, p.between(5, 100))
		}
		p.charge(c)
	}
}

// end notes what became of it.
func (p *past) end(l *life) {
	last := l.sub.At
	if l.due > 0 {
		last = later(last, l.schedule.Due(l.due-1))
	}
	l.ending.Charges, l.ending.Paused, l.ending.CanceledAt = l.due, l.plan.Paused, l.plan.Canceled
	l.ending.UpdatedAt = later(last, l.plan.Canceled).Add(time.Second)
	p.out.Endings = append(p.out.Endings, l.ending)
	p.out.Plans = append(p.out.Plans, l.plan)
}
