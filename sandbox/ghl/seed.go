package ghl

import (
	"fmt"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// History is what happened before anybody looked, to be seeded at once: of years and hundreds of thousands of payments.
// Everything may refer to what the server knows already, and to what comes before it here.
type History struct {
	Contacts      []Contact
	Orders        []NewOrder
	Subscriptions []NewSubscription
	Payments      []PastPayment
}

// PastPayment is a payment of an order, of a subscription (a renewal), of both, or of neither: then ContactID and an
// Amount are needed, and it is one of the invoice that InvoiceID names, or of nothing that the API knows.
type PastPayment struct {
	NewPayment
	// SubscriptionID is HighLevel's.
	OrderID, SubscriptionID string
	ContactID, InvoiceID    string
	// Refunded is what was given back, if it has a currency.
	Refunded domain.Money
	// UpdatedAt is At where it is zero.
	UpdatedAt time.Time
	Provider  string
	TestMode  bool
	Source    Source
}

// Seed takes in a history and sends nothing. Paid orders become completed, and subscriptions count their charges; their
// status stays as it was given. After an error, what came before the fault is there.
func (s *Server) Seed(h History) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	for _, c := range h.Contacts {
		s.putContact(c)
	}
	for _, in := range h.Orders {
		o, err := s.buildOrder(in)
		if err != nil {
			return err
		}
		if in.InvoiceNumber != "" {
			s.attachInvoice(o, in.InvoiceNumber)
		}
		s.orders.pile(o.ID, o.CreatedAt, o, o.keys()...)
	}
	for _, in := range h.Subscriptions {
		sub, err := s.buildSubscription(in)
		if err != nil {
			return err
		}
		s.subscriptions.pile(sub.ID, sub.CreatedAt, sub, sub.keys()...)
		s.linkFirst(sub)
	}
	for _, in := range h.Payments {
		t, err := s.pastPayment(in)
		if err != nil {
			return err
		}
		s.payments.pile(t.ID, t.CreatedAt, t, t.keys()...)
		s.seedPaid(t)
	}
	return nil
}

func (s *Server) settle() {
	s.orders.settle()
	s.subscriptions.settle()
	s.payments.settle()
}

func (s *Server) pastPayment(in PastPayment) (*Transaction, error) {
	var t *Transaction
	o, sub := s.orders.byID[in.OrderID], s.subscriptions.byID[in.SubscriptionID]
	contact := s.contacts[in.ContactID]
	switch {
	case in.OrderID != "" && o == nil || in.SubscriptionID != "" && sub == nil || s.payments.byID[in.ID] != nil,
		o == nil && sub == nil && (contact == nil || in.Amount.Currency == ""):
		return nil, fmt.Errorf("%w: order %q, subscription %q or contact %q of transaction %s, or that is there already",
			ErrUnknown, in.OrderID, in.SubscriptionID, in.ContactID, in.ID)
	case o != nil:
		t = s.orderPayment(o, in.NewPayment)
	case sub != nil:
		t = s.renewal(sub, in.NewPayment)
		sub.charged(t.Status)
	default:
		t = &Transaction{ID: in.ID, LocationID: contact.LocationID, ContactID: contact.ID, Amount: in.Amount,
			Status: in.Status, LiveMode: !in.TestMode, Source: in.Source, Provider: in.Provider, CreatedAt: in.At}
		if in.InvoiceID != "" {
			t.InvoiceID, t.EntityType, t.EntityID = in.InvoiceID, "invoice", in.InvoiceID
		}
		if t.Source.Type == "" {
			t.Source = Source{Type: "manual", SubType: "contact_view", ID: contact.ID, Name: "Manual payment"}
		}
		s.completePayment(t)
	}
	if sub != nil && t.SubscriptionID == "" { // of an order that is another's, or names none
		t.SubscriptionID, t.Provider = sub.GatewayID, sub.Provider
		sub.charged(t.Status)
	}
	if in.Provider != "" {
		t.Provider = in.Provider
	}
	if in.Refunded.Currency != "" {
		t.AmountRefunded = in.Refunded
	}
	if !in.UpdatedAt.IsZero() {
		t.UpdatedAt = in.UpdatedAt
	}
	return t, nil
}

// seedPaid draws the consequences for the order, at the time of the payment.
func (s *Server) seedPaid(t *Transaction) {
	o := s.orders.byID[t.OrderID]
	if o == nil || t.Status != "succeeded" {
		return
	}
	if t.CreatedAt.After(o.UpdatedAt) {
		o.UpdatedAt = t.CreatedAt
	}
	cleared, _ := s.cleared(o)
	if cleared.Minor >= o.Amount.Minor && !s.opts.KeepPending && o.Status == "pending" {
		o.Status = "completed"
	}
}
