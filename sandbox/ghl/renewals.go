package ghl

import (
	"fmt"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// NewSubscription is a subscription to be made. A ContactID or an OrderID is needed, and a recurring PriceID.
type NewSubscription struct {
	ID, GatewayID, LocationID, ContactID string
	// OrderID is the order that it was subscribed by. It gives contact, location, source and mode, and its payments
	// become the subscription's first.
	OrderID string
	// PriceID is a recurring price, which gives plan, interval and amount.
	PriceID string
	// Amount is what is charged instead of the price's amount, after a coupon for instance, if it has a currency.
	Amount domain.Money
	// Provider is "stripe" where it is empty.
	Provider string
	// Status is "active" where it is empty, or "trialing" with a Trial.
	Status     string
	CouponCode string
	// Cycles is the number of charges, 0 for no end.
	Cycles int64
	// Trial puts off the first charge.
	Trial time.Duration
	// Timezone is that of the schedule; NoSchedule leaves the schedule out of what HighLevel shows.
	Timezone   string
	NoSchedule bool
	TestMode   bool
	Source     Source
	// At is when it was made, now where it is zero.
	At time.Time
}

// intervals are HighLevel's two vocabularies: of a price and of a schedule.
var intervals = map[string]string{"day": "daily", "week": "weekly", "month": "monthly", "year": "yearly"}

// Subscribe makes a subscription. It charges nothing: see Renew, and TakePayment for the charge by an order. There are
// no webhooks about subscriptions.
func (s *Server) Subscribe(in NewSubscription) (Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.buildSubscription(in)
	if err != nil {
		return Subscription{}, err
	}
	s.subscriptions.put(sub.ID, sub.CreatedAt, sub, sub.keys()...)
	s.linkFirst(sub)
	return *sub, nil
}

func (sub *Subscription) keys() []string {
	keys := []string{"location:" + sub.LocationID, "contact:" + sub.ContactID, "gateway:" + sub.GatewayID}
	if sub.OrderID != "" {
		keys = append(keys, "entity:"+sub.OrderID)
	}
	return keys
}

// linkFirst names the subscription in payments of its order that were taken before.
func (s *Server) linkFirst(sub *Subscription) {
	if sub.OrderID == "" {
		return
	}
	for _, e := range s.payments.index["paid:"+sub.OrderID] {
		if e.value.SubscriptionID != "" {
			continue
		}
		e.value.SubscriptionID, e.value.Provider = sub.GatewayID, sub.Provider
		s.payments.addKey("subscription:"+sub.GatewayID, e)
		sub.charged(e.value.Status)
	}
}

func (s *Server) buildSubscription(in NewSubscription) (*Subscription, error) {
	sub := &Subscription{ID: in.ID, GatewayID: in.GatewayID, LocationID: in.LocationID, ContactID: in.ContactID,
		OrderID: in.OrderID, PriceID: in.PriceID, Amount: in.Amount, Provider: in.Provider, Status: in.Status,
		CouponCode: in.CouponCode, LiveMode: !in.TestMode, Source: in.Source, NoSchedule: in.NoSchedule,
		CreatedAt: in.At}
	if o := s.orders.byID[in.OrderID]; o != nil {
		sub.LocationID, sub.ContactID, sub.LiveMode, sub.MarkAsTest = o.LocationID, o.ContactID, o.LiveMode, o.MarkAsTest
		sub.Source = o.Source
	} else if in.OrderID != "" {
		return nil, fmt.Errorf("%w: order %s", ErrUnknown, in.OrderID)
	}
	price := s.prices.byID[in.PriceID]
	if price == nil || price.Interval == "" || s.contacts[sub.ContactID] == nil || s.subscriptions.byID[in.ID] != nil {
		return nil, fmt.Errorf("%w: recurring price %q or contact %q, or subscription %s is there already", ErrUnknown,
			in.PriceID, sub.ContactID, in.ID)
	}
	s.completeSubscription(sub)
	sub.priced(s, price, in.Amount.Currency == "")
	sub.Schedule = Schedule{IntervalType: intervals[price.Interval], Interval: price.IntervalCount,
		Start: sub.CreatedAt.Add(in.Trial), Timezone: in.Timezone, Count: in.Cycles}
	if in.Trial > 0 {
		sub.TrialEnd = sub.CreatedAt.Add(in.Trial)
	}
	if sub.Status == "" && in.Trial > 0 {
		sub.Status = "trialing"
	} else if sub.Status == "" {
		sub.Status = "active"
	}
	sub.GatewayStatus = sub.Status
	return sub, nil
}

// completeSubscription fills in what was left out.
func (s *Server) completeSubscription(sub *Subscription) {
	if sub.ID == "" {
		sub.ID = s.newID("subscription")
	}
	if sub.LocationID == "" {
		sub.LocationID = s.contacts[sub.ContactID].LocationID
	}
	if sub.Provider == "" {
		sub.Provider = "stripe"
	}
	if sub.GatewayID == "" && sub.Provider == "paypal" {
		sub.GatewayID = "I-" + strings.ToUpper(sub.ID[:13])
	} else if sub.GatewayID == "" {
		sub.GatewayID = "sub_" + sub.ID
	}
	if sub.Source.Type == "" {
		sub.Source = Source{Type: "payment_link", ID: "sandboxlink000000001", Name: "Payment link"}
	}
	if sub.CouponCode != "" {
		sub.CouponID = s.newID("coupon")
	}
	if sub.CreatedAt.IsZero() {
		sub.CreatedAt = s.now()
	}
	sub.UpdatedAt = sub.CreatedAt
}

// priced takes plan and, if asked to, amount from a price.
func (sub *Subscription) priced(s *Server, price *Price, amount bool) {
	sub.PriceID, sub.Plan = price.ID, price.Name
	if product := s.products.byID[price.ProductID]; product != nil {
		sub.Plan = product.Name
	}
	if amount {
		sub.Amount = price.Amount
	}
}

// inStep tells whether HighLevel learns of what happens at the payment provider. Its help pages say that it does not
// for PayPal; users report subscriptions of other providers stuck at "incomplete".
func (s *Server) inStep(sub *Subscription) bool {
	return sub.Provider == "stripe" || sub.Provider == "paypal" && s.opts.PayPalInStep
}

// charged counts a charge.
func (sub *Subscription) charged(status string) {
	if status != "pending" {
		sub.Charges++
	}
}

// Renew charges a subscription: a transaction with its subscriptionId and, unless Options say otherwise, without an
// entity (A130). A failed one makes it past due, a good one active, as far as HighLevel learns of it.
func (s *Server) Renew(subscriptionID string, in NewPayment) (Transaction, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subscriptions.byID[subscriptionID]
	if sub == nil {
		return Transaction{}, fmt.Errorf("%w: subscription %s", ErrUnknown, subscriptionID)
	}
	t := s.renewal(sub, in)
	s.payments.put(t.ID, t.CreatedAt, t, t.keys()...)
	sub.charged(t.Status)
	switch {
	case sub.GatewayStatus == "canceled": // the last charge may come late
	case t.Status == "failed":
		sub.GatewayStatus = "past_due"
	case t.Status == "succeeded":
		sub.GatewayStatus = "active"
	}
	if s.inStep(sub) {
		sub.Status, sub.UpdatedAt = sub.GatewayStatus, later(sub.UpdatedAt, t.CreatedAt)
	}
	return *t, nil
}

// renewal is a charge of a subscription, booked on what Options say.
func (s *Server) renewal(sub *Subscription, in NewPayment) *Transaction {
	t := &Transaction{ID: in.ID, LocationID: sub.LocationID, ContactID: sub.ContactID, Amount: in.Amount,
		Status: in.Status, LiveMode: sub.LiveMode, MarkAsTest: sub.MarkAsTest, Source: sub.Source,
		SubscriptionID: sub.GatewayID, Provider: sub.Provider, CreatedAt: in.At}
	switch {
	case s.opts.RenewalEntity == "subscription":
		t.EntityType, t.EntityID = "subscription", sub.ID
	case s.opts.RenewalEntity == "order" && sub.OrderID != "":
		t.EntityType, t.EntityID = "order", sub.OrderID
	}
	if t.Amount.Currency == "" {
		t.Amount = sub.Amount
	}
	s.completePayment(t)
	return t
}

// ChangeAtGateway is a change at the payment provider: the customer cancels or pauses there, a card expires. The status
// is one of the provider's: "active", "past_due", "canceled", "unpaid", for PayPal "suspended" and so on. HighLevel
// shows it if it learns of it.
func (s *Server) ChangeAtGateway(subscriptionID, status string) error {
	return s.changeSubscription(subscriptionID, func(sub *Subscription) (bool, error) {
		sub.GatewayStatus = status
		if !s.inStep(sub) {
			return false, nil
		}
		if sub.Status = status; status == "canceled" {
			sub.CanceledAt = s.now()
		}
		return true, nil
	})
}

// SetSubscriptionStatus changes what HighLevel shows, and what the provider has.
func (s *Server) SetSubscriptionStatus(subscriptionID, status string) error {
	return s.EditSubscription(subscriptionID, func(sub *Subscription) { sub.Status, sub.GatewayStatus = status, status })
}

// CancelSubscription ends a subscription as a person does it in HighLevel.
func (s *Server) CancelSubscription(subscriptionID string) error {
	return s.EditSubscription(subscriptionID, func(sub *Subscription) {
		sub.Status, sub.GatewayStatus = "canceled", "canceled"
		sub.CanceledAt, sub.CanceledBy = s.now(), installer
	})
}

// PauseSubscription stops the charges. Of Stripe's the status stays, and the snapshot has pause_collection; PayPal's
// become "suspended" (A132). Options.PausedStatus is another word for both.
func (s *Server) PauseSubscription(subscriptionID string) error {
	return s.EditSubscription(subscriptionID, func(sub *Subscription) {
		sub.Paused = true
		if sub.Provider == "paypal" {
			sub.Status, sub.GatewayStatus = "suspended", "suspended"
		}
		if s.opts.PausedStatus != "" {
			sub.Status = s.opts.PausedStatus
		}
	})
}

// ResumeSubscription ends a pause.
func (s *Server) ResumeSubscription(subscriptionID string) error {
	return s.EditSubscription(subscriptionID, func(sub *Subscription) {
		sub.Paused, sub.Status, sub.GatewayStatus = false, "active", "active"
	})
}

// ChangePlan is an upgrade or a downgrade: the subscription keeps its ids and costs another recurring price from now on.
// Another interval begins a new schedule now; Renew charges its first period.
func (s *Server) ChangePlan(subscriptionID, priceID string) error {
	return s.changeSubscription(subscriptionID, func(sub *Subscription) (bool, error) {
		price := s.prices.byID[priceID]
		if price == nil || price.Interval == "" {
			return false, fmt.Errorf("%w: recurring price %s", ErrUnknown, priceID)
		}
		sub.priced(s, price, true)
		if kind := intervals[price.Interval]; kind != sub.Schedule.IntervalType || price.IntervalCount != sub.Schedule.Interval {
			sub.Schedule.IntervalType, sub.Schedule.Interval = kind, price.IntervalCount
			sub.Schedule.Start, sub.Charges = s.now(), 0
		}
		return true, nil
	})
}

// EditSubscription changes a subscription and renews its updatedAt, unless the edit sets it.
func (s *Server) EditSubscription(subscriptionID string, edit func(*Subscription)) error {
	return s.changeSubscription(subscriptionID, func(sub *Subscription) (bool, error) {
		edit(sub)
		return true, nil
	})
}

// changeSubscription renews updatedAt if the change shows, and did not set it.
func (s *Server) changeSubscription(id string, change func(*Subscription) (shows bool, err error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subscriptions.byID[id]
	if sub == nil {
		return fmt.Errorf("%w: subscription %s", ErrUnknown, id)
	}
	before := sub.UpdatedAt
	shows, err := change(sub)
	if shows && sub.UpdatedAt.Equal(before) {
		sub.UpdatedAt = later(before, s.now())
	}
	return err
}

// Subscriptions gives all subscriptions of all locations, oldest first.
func (s *Server) Subscriptions() []Subscription {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Subscription, len(s.subscriptions.sorted))
	for i, e := range s.subscriptions.sorted {
		out[i] = *e.value
	}
	return out
}

// Subscription gives a subscription, and false if there is none.
func (s *Server) Subscription(id string) (Subscription, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if sub := s.subscriptions.byID[id]; sub != nil {
		return *sub, true
	}
	return Subscription{}, false
}
