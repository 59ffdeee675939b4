package ghl

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// ErrUnknown says that an object named in a call is not there.
var ErrUnknown = errors.New("ghl sandbox: there is no such object")

// NewOrder is an order to be placed. Currency, ContactID and Lines are needed.
type NewOrder struct {
	ID, LocationID, ContactID string // the first two may be empty
	Currency                  domain.Currency
	Lines                     []NewLine
	Discount                  domain.Money
	CouponCode                string
	Taxes                     []Tax
	Shipping                  domain.Money
	// TestMode makes liveMode false; MarkAsTest is the other way to be a test.
	TestMode, MarkAsTest bool
	// Source is {funnel, two_step_order_form} where it is empty.
	Source Source
	// InvoiceNumber makes the order that of an invoice: an invoice with this number is made and becomes the source.
	InvoiceNumber string
	// CreatedAt is now where it is zero.
	CreatedAt time.Time
}

// NewLine is a position: a price by its id, so many times. Name is the product's and the price's where it is empty.
type NewLine struct {
	PriceID string
	Qty     int64
	Name    string
}

// PlaceOrder places an order with status pending and sends OrderCreate, and InvoiceCreate if it has an invoice.
func (s *Server) PlaceOrder(in NewOrder) (Order, error) {
	s.mu.Lock()
	o, err := s.buildOrder(in)
	if err != nil {
		s.mu.Unlock()
		return Order{}, err
	}
	if in.InvoiceNumber != "" {
		s.attachInvoice(o, in.InvoiceNumber)
	}
	s.putOrder(o)
	placed := *o
	s.mu.Unlock()
	if in.InvoiceNumber != "" {
		s.send("InvoiceCreate", placed.Source.ID)
	}
	s.send("OrderCreate", placed.ID)
	return placed, nil
}

func (s *Server) putOrder(o *Order) {
	s.orders.put(o.ID, o.CreatedAt, o, o.keys()...)
}

// keys are what an order is looked up by.
func (o *Order) keys() []string {
	return []string{"location:" + o.LocationID, "contact:" + o.ContactID, "source:" + o.Source.ID}
}

func (s *Server) buildOrder(in NewOrder) (*Order, error) {
	o := &Order{ID: in.ID, LocationID: in.LocationID, ContactID: in.ContactID, Currency: in.Currency,
		CouponCode: in.CouponCode, Taxes: in.Taxes, Source: in.Source, Status: "pending", FulfillmentStatus: "unfulfilled",
		LiveMode: !in.TestMode, MarkAsTest: in.MarkAsTest, CreatedAt: in.CreatedAt,
		Discount: zero(in.Discount, in.Currency), Shipping: zero(in.Shipping, in.Currency)}
	if o.ID == "" {
		o.ID = s.newID("order")
	}
	if o.LocationID == "" {
		o.LocationID = s.opts.LocationID
	}
	buyer := s.contacts[o.ContactID]
	if buyer == nil || buyer.LocationID != o.LocationID || s.orders.byID[o.ID] != nil {
		return nil, fmt.Errorf("%w: contact %q of location %s, or order %s is there already", ErrUnknown, o.ContactID,
			o.LocationID, o.ID)
	}
	if o.CreatedAt.IsZero() {
		o.CreatedAt = s.now()
	}
	o.UpdatedAt = o.CreatedAt
	if o.Source.Type == "" {
		o.Source = Source{Type: "funnel", SubType: "two_step_order_form", ID: "sandboxfunnel00000001", Name: "Shop funnel"}
	}
	if o.CouponCode != "" {
		o.CouponID = s.newID("coupon")
	}
	for _, line := range in.Lines {
		price := s.prices.byID[line.PriceID]
		if price == nil {
			return nil, fmt.Errorf("%w: price %s", ErrUnknown, line.PriceID)
		}
		item := Item{Name: line.Name, Qty: line.Qty, Price: *price}
		if product := s.products.byID[price.ProductID]; item.Name == "" && product != nil {
			item.Name = product.Name + " - " + price.Name
		}
		o.Items = append(o.Items, item)
	}
	return o, o.total()
}

// zero gives an amount that was left out the order's currency.
func zero(m domain.Money, c domain.Currency) domain.Money {
	if m.IsZero() {
		return domain.NewMoney(0, c)
	}
	return m
}

// total computes Subtotal, TaxTotal and Amount.
func (o *Order) total() error {
	none := domain.NewMoney(0, o.Currency)
	o.Subtotal, o.TaxTotal = none, none
	for _, item := range o.Items {
		cost, err := item.Price.Amount.Times(item.Qty)
		if err != nil {
			return err
		}
		if o.Subtotal, err = o.Subtotal.Add(cost); err != nil {
			return err
		}
	}
	amount, err := o.Subtotal.Sub(o.Discount)
	if err != nil {
		return err
	}
	for _, tax := range o.Taxes {
		if o.TaxTotal, err = o.TaxTotal.Add(tax.Amount); err != nil {
			return err
		}
		if tax.Calculation == "exclusive" {
			if amount, err = amount.Add(tax.Amount); err != nil {
				return err
			}
		}
	}
	o.Amount, err = amount.Add(o.Shipping)
	return err
}

func (s *Server) attachInvoice(o *Order, number string) {
	i := &Invoice{ID: s.newID("invoice"), LocationID: o.LocationID, ContactID: o.ContactID, OrderID: o.ID,
		Number: number, Name: "Invoice " + number, Total: o.Amount, AmountPaid: domain.NewMoney(0, o.Currency),
		Status: "sent", LiveMode: o.LiveMode, CreatedAt: o.CreatedAt, UpdatedAt: o.CreatedAt}
	o.Source = Source{Type: "invoice", ID: i.ID, Name: i.Name, Meta: map[string]any{"invoiceNumber": number}}
	s.invoices.put(i.ID, i.CreatedAt, i, "location:"+i.LocationID)
}

// NewPayment is a payment of an order. An Amount of no currency pays all that is open. An empty Status is "succeeded".
type NewPayment struct {
	ID     string
	Amount domain.Money
	Status string
	At     time.Time
}

// TakePayment books a payment, or an attempt at one. Once succeeded payments cover the order it becomes completed, and
// OrderStatusUpdate is sent; an order with an invoice sends InvoicePaid or InvoicePartiallyPaid. A part payment of
// another order sends nothing at all.
func (s *Server) TakePayment(orderID string, in NewPayment) (Transaction, error) {
	s.mu.Lock()
	o := s.orders.byID[orderID]
	if o == nil {
		s.mu.Unlock()
		return Transaction{}, fmt.Errorf("%w: order %s", ErrUnknown, orderID)
	}
	t := s.orderPayment(o, in)
	s.payments.put(t.ID, t.CreatedAt, t, t.keys()...)
	events := s.booked(o, t)
	taken := *t
	s.mu.Unlock()
	s.sendAll(events)
	return taken, nil
}

// orderPayment is a payment of an order, and the first of the subscription that came of it.
func (s *Server) orderPayment(o *Order, in NewPayment) *Transaction {
	t := &Transaction{ID: in.ID, LocationID: o.LocationID, ContactID: o.ContactID, OrderID: o.ID, EntityType: "order",
		EntityID: o.ID, Amount: in.Amount, Status: in.Status, LiveMode: o.LiveMode, MarkAsTest: o.MarkAsTest,
		Source: o.Source, CreatedAt: in.At}
	if t.Amount.Currency == "" {
		cleared, _ := s.cleared(o)
		t.Amount = domain.NewMoney(o.Amount.Minor-cleared.Minor, o.Currency)
	}
	if o.Source.Type == "invoice" {
		t.InvoiceID = o.Source.ID
		if s.opts.InvoicePayments {
			t.EntityType, t.EntityID = "invoice", t.InvoiceID
		}
	}
	if subs := s.subscriptions.index["entity:"+o.ID]; len(subs) > 0 {
		sub := subs[0].value
		t.SubscriptionID, t.Provider = sub.GatewayID, sub.Provider
		sub.charged(t.Status)
	}
	s.completePayment(t)
	return t
}

// completePayment fills in what was left out.
func (s *Server) completePayment(t *Transaction) {
	if t.ID == "" {
		t.ID = s.newID("transaction")
	}
	if t.Status == "" {
		t.Status = "succeeded"
	}
	if t.Provider == "" {
		t.Provider = "stripe"
	}
	if t.CreatedAt.IsZero() {
		t.CreatedAt = s.now()
	}
	t.UpdatedAt, t.ChargeID = later(t.UpdatedAt, t.CreatedAt), "ch_"+t.ID
	if t.AmountRefunded.Currency == "" {
		t.AmountRefunded = domain.NewMoney(0, t.Amount.Currency)
	}
	if t.Status == "succeeded" {
		t.FulfilledAt = t.CreatedAt
	}
}

// keys are what a payment is looked up by.
func (t *Transaction) keys() []string {
	keys := []string{"location:" + t.LocationID, "contact:" + t.ContactID}
	if t.EntityID != "" {
		keys = append(keys, "entity:"+t.EntityID)
	}
	if t.OrderID != "" {
		keys = append(keys, "paid:"+t.OrderID)
	}
	if t.InvoiceID != "" && t.EntityID != t.InvoiceID {
		keys = append(keys, "entity:"+t.InvoiceID)
	}
	if t.SubscriptionID != "" {
		keys = append(keys, "subscription:"+t.SubscriptionID)
	}
	return keys
}

// SettlePayment ends a pending payment as "succeeded" or "failed".
func (s *Server) SettlePayment(transactionID, status string) error {
	s.mu.Lock()
	t := s.payments.byID[transactionID]
	if t == nil {
		s.mu.Unlock()
		return fmt.Errorf("%w: transaction %s", ErrUnknown, transactionID)
	}
	if subs := s.subscriptions.index["gateway:"+t.SubscriptionID]; len(subs) > 0 && t.Status == "pending" {
		subs[0].value.charged(status)
	}
	t.Status, t.UpdatedAt = status, later(t.UpdatedAt, s.now())
	events := s.booked(s.orders.byID[t.OrderID], t)
	s.mu.Unlock()
	s.sendAll(events)
	return nil
}

// booked draws the consequences of a payment for order and invoice, and says what is to be sent.
func (s *Server) booked(o *Order, t *Transaction) []event {
	if t.Status != "succeeded" {
		return nil
	}
	t.FulfilledAt = t.UpdatedAt
	if o == nil { // a renewal, or a payment without an order
		return nil
	}
	o.UpdatedAt = later(o.UpdatedAt, s.now())
	cleared, _ := s.cleared(o)
	full := cleared.Minor >= o.Amount.Minor
	var events []event
	if full && !s.opts.KeepPending && o.Status == "pending" {
		o.Status = "completed"
		events = append(events, event{"OrderStatusUpdate", o.ID})
	}
	if i := s.invoices.byID[t.InvoiceID]; i != nil {
		i.AmountPaid, i.UpdatedAt, i.Status = cleared, o.UpdatedAt, "partially_paid"
		name := "InvoicePartiallyPaid"
		if full {
			i.Status, name = "paid", "InvoicePaid"
		}
		events = append(events, event{name, i.ID})
	}
	return events
}

// Refund gives money back: amountRefunded of the transaction grows. Nothing is sent unless Options give a status to an
// order that is refunded in full.
func (s *Server) Refund(transactionID string, amount domain.Money) error {
	s.mu.Lock()
	t := s.payments.byID[transactionID]
	if t == nil || t.Status != "succeeded" {
		s.mu.Unlock()
		return fmt.Errorf("%w: succeeded transaction %s", ErrUnknown, transactionID)
	}
	sum, err := t.AmountRefunded.Add(amount)
	if err != nil || sum.Minor > t.Amount.Minor {
		s.mu.Unlock()
		return fmt.Errorf("ghl sandbox: a refund of %s is more than is left of %s", amount, t.Amount)
	}
	t.AmountRefunded, t.UpdatedAt = sum, later(t.UpdatedAt, s.now())
	o := s.orders.byID[t.OrderID]
	if o == nil {
		s.mu.Unlock()
		return nil
	}
	if s.opts.RefundTouchesOrder {
		o.UpdatedAt = later(o.UpdatedAt, s.now())
	}
	cleared, refunded := s.cleared(o)
	change := s.opts.RefundedStatus != "" && refunded.Minor >= cleared.Minor
	s.mu.Unlock()
	if change {
		return s.SetOrderStatus(o.ID, s.opts.RefundedStatus)
	}
	return nil
}

// Chargeback is a customer's bank that takes a payment back, perhaps long after it: the transaction's status changes to
// what Options.ChargebackStatus says (A131), and nothing is sent.
func (s *Server) Chargeback(transactionID string) error {
	return s.EditPayment(transactionID, func(t *Transaction) {
		t.Status = s.opts.ChargebackStatus
		if s.opts.ChargebackRefunds {
			t.AmountRefunded = t.Amount
		}
	})
}

// EditPayment changes a transaction, as late news from a payment provider does, and renews its updatedAt, unless the
// edit sets it. It sends nothing and leaves the order alone.
func (s *Server) EditPayment(transactionID string, edit func(*Transaction)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.payments.byID[transactionID]
	if t == nil {
		return fmt.Errorf("%w: transaction %s", ErrUnknown, transactionID)
	}
	before := t.UpdatedAt
	edit(t)
	if t.UpdatedAt.Equal(before) {
		t.UpdatedAt = later(before, s.now())
	}
	return nil
}

// SetOrderStatus changes an order's status and sends OrderStatusUpdate.
func (s *Server) SetOrderStatus(orderID, status string) error {
	if err := s.EditOrder(orderID, func(o *Order) { o.Status = status }); err != nil {
		return err
	}
	s.send("OrderStatusUpdate", orderID)
	return nil
}

// EditOrder changes an order and renews its updatedAt, unless the edit sets it. It sends nothing.
func (s *Server) EditOrder(orderID string, edit func(*Order)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orders.byID[orderID]
	if o == nil {
		return fmt.Errorf("%w: order %s", ErrUnknown, orderID)
	}
	before := o.UpdatedAt
	edit(o)
	if o.UpdatedAt.Equal(before) {
		o.UpdatedAt = later(before, s.now())
	}
	return nil
}

// cleared sums up an order's succeeded payments and what was refunded of them.
func (s *Server) cleared(o *Order) (paid, refunded domain.Money) {
	paid, refunded = domain.NewMoney(0, o.Currency), domain.NewMoney(0, o.Currency)
	for _, e := range s.payments.index["paid:"+o.ID] {
		if e.value.Status == "succeeded" {
			paid.Minor += e.value.Amount.Minor
			refunded.Minor += e.value.AmountRefunded.Minor
		}
	}
	return paid, refunded
}

// paymentStatus is what the paymentStatus filter knows an order by. No field shows it.
func (s *Server) paymentStatus(o *Order) string {
	paid, refunded := s.cleared(o)
	switch {
	case paid.IsZero():
		return "unpaid"
	case refunded.Minor >= paid.Minor:
		return "refunded"
	case paid.Minor < o.Amount.Minor:
		return "partially_paid"
	}
	return "paid"
}

// ImportOrder takes in an order as a document in the shape of the published webhook samples, with its contact. Its
// location must be known: see Options.LocationID and AddLocation. It sends nothing.
func (s *Server) ImportOrder(document []byte) (Order, error) {
	raw := map[string]json.RawMessage{}
	if err := json.Unmarshal(document, &raw); err != nil {
		return Order{}, fmt.Errorf("ghl sandbox: the order is no JSON object: %w", err)
	}
	o, contact, err := readOrder(document)
	if err != nil {
		return Order{}, err
	}
	for _, envelope := range []string{"type", "locationId", "timestamp", "webhookId"} {
		delete(raw, envelope)
	}
	o.raw = raw
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locations[o.LocationID] == nil {
		return Order{}, fmt.Errorf("%w: location %s", ErrUnknown, o.LocationID)
	}
	if contact.ID != "" {
		contact.LocationID, contact.DateAdded = o.LocationID, o.CreatedAt
		s.contacts[contact.ID] = &contact
	}
	s.putOrder(o)
	return *o, nil
}
