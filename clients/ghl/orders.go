package ghl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Orders are the orders of the location. There is no endpoint that creates, changes or refunds one; all that can be
// written is a payment made by other means, and a fulfillment.
type Orders struct{ api *api }

// Order is a sale. In a list, Items, TaxSummary and Contact are missing, as HighLevel leaves them out there.
type Order struct {
	ID         string `json:"id"`
	LocationID string `json:"locationId"`
	ContactID  string `json:"contactId"`
	// Contact is the buyer as of the sale; in a list row only name and e-mail.
	Contact Contact `json:"contact"`
	// Currency is an ISO 4217 code in any case.
	Currency string `json:"currency"`
	// Amount is what was charged, in major units, tax and shipping included.
	Amount  domain.Number `json:"amount,omitempty"`
	Summary AmountSummary `json:"summary"`
	// Status is an open vocabulary; HighLevel documents pending and completed.
	Status            string `json:"status"`
	FulfillmentStatus string `json:"fulfillmentStatus"`
	// Test says that no money moved: liveMode is false, or the order is marked as a test.
	Test       bool        `json:"test"`
	Source     Source      `json:"source"`
	Items      []OrderItem `json:"items,omitempty"`
	TaxSummary []Tax       `json:"taxSummary,omitempty"`
	CouponCode string      `json:"couponCode,omitempty"`
	TraceID    string      `json:"traceId,omitempty"`
	// CreatedAt and UpdatedAt are zero if HighLevel did not give them.
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// AmountSummary splits an amount, in major units. What HighLevel did not give is not set.
type AmountSummary struct {
	Subtotal domain.Number `json:"subtotal,omitempty"`
	Discount domain.Number `json:"discount,omitempty"`
	Tax      domain.Number `json:"tax,omitempty"`
	Shipping domain.Number `json:"shipping,omitempty"`
}

// Source is where a sale came from: a funnel, a website, an invoice and so on.
type Source struct {
	Type    string `json:"type"`
	SubType string `json:"subType,omitempty"`
	// ID is the id of the funnel, the invoice and so on.
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// OrderItem is a line of an order: an object, whatever HighLevel's file says (A13).
type OrderItem struct {
	ID       string        `json:"id,omitempty"`
	Name     string        `json:"name"`
	Quantity domain.Number `json:"quantity,omitempty"`
	Product  Product       `json:"product"`
	Price    Price         `json:"price"`
}

// Product is what an order's line says about its product.
type Product struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Type is DIGITAL, PHYSICAL, SERVICE or PHYSICAL/DIGITAL, if given.
	Type string `json:"type,omitempty"`
}

// Price is what an order's line says about the price it was sold by. One product may have many.
type Price struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Type is one_time or recurring.
	Type     string `json:"type"`
	Currency string `json:"currency"`
	// Amount is for one piece, in major units.
	Amount domain.Number `json:"amount,omitempty"`
}

// Tax is one tax of an order.
type Tax struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Calculation is exclusive or inclusive.
	Calculation string `json:"calculation"`
	// Rate is in percent.
	Rate   domain.Number `json:"rate,omitempty"`
	Amount domain.Number `json:"amount,omitempty"`
}

// OrderFilter narrows a list of orders. Empty fields do not filter.
type OrderFilter struct {
	// From and To bound the time, by a date field that HighLevel does not name. The span asked for is a day wider on
	// both sides, since the zone of those dates is not documented either (A09); leave To zero for "until now".
	From, To time.Time
	Status   string
	// PaymentStatus is paid, unpaid, refunded or partially_paid. No answer tells it back.
	PaymentStatus string
	// PaymentMode is live or test.
	PaymentMode         string
	ContactID, SourceID string
	// Limit is the page size, at most and by default 100.
	Limit int
}

// Page reads one page of orders, from the place given on.
func (s *Orders) Page(ctx context.Context, filter OrderFilter, at Cursor) (Page[Order], error) {
	query := s.api.tenant()
	setDates(query, filter.From, filter.To)
	setText(query, "status", filter.Status)
	setText(query, "paymentStatus", filter.PaymentStatus)
	setText(query, "paymentMode", filter.PaymentMode)
	setText(query, "contactId", filter.ContactID)
	setText(query, "sourceId", filter.SourceID)
	return page(ctx, s.api, listing{op: ordersList, query: query, limit: filter.Limit}, at, DecodeOrder)
}

// All walks all orders of the filter. The order in which HighLevel lists them is not documented (A10). A *RowError stands
// for one unreadable row and the walk goes on; any other error ends it.
func (s *Orders) All(ctx context.Context, filter OrderFilter) iter.Seq2[Order, error] {
	return all(ctx, func(ctx context.Context, at Cursor) (Page[Order], error) { return s.Page(ctx, filter, at) })
}

// Get reads one order with its items. IsNotFound tells that there is none.
func (s *Orders) Get(ctx context.Context, id string) (Order, error) {
	return get(ctx, s.api, ordersGet, "orderId", id, s.api.tenant(), DecodeOrder)
}

// OrderPayment is a payment made outside HighLevel, for an order that HighLevel has.
type OrderPayment struct {
	// Mode is cash, card, cheque, bank_transfer or other. Required.
	Mode string
	// Card belongs to the mode card, ChequeNumber to the mode cheque. Both may be left out.
	Card         *Card
	ChequeNumber string
	Notes        string
	// Amount is what was paid, in the order's currency; nil for the whole order. HighLevel is told the number only.
	Amount *domain.Money
	// Partial says that more is to come.
	Partial bool
	// Meta is kept with the payment.
	Meta map[string]string
}

// Card tells a card by its kind and last digits.
type Card struct {
	// Brand is visa, mastercard or other.
	Brand string
	// Last4 are the last four digits.
	Last4 string
}

// RecordPayment marks an order as paid by hand. HighLevel has no idempotency key and its answer names no transaction:
// after an error with MayHaveLanded, and to learn the transaction's id, read the transactions of the order (EntityID).
// It was reported to fail for orders that exist (A36).
func (s *Orders) RecordPayment(ctx context.Context, orderID string, p OrderPayment) error {
	if err := need(ordersRecordPayment, "the mode", p.Mode); err != nil {
		return err
	}
	type card struct {
		Type  string `json:"type"`
		Last4 string `json:"last4"`
	}
	body := struct {
		tenantBody
		Mode    string            `json:"mode"`
		Card    *card             `json:"card,omitempty"`
		Cheque  *chequeBody       `json:"cheque,omitempty"`
		Notes   string            `json:"notes,omitempty"`
		Amount  domain.Number     `json:"amount,omitempty"`
		Meta    map[string]string `json:"meta,omitempty"`
		Partial bool              `json:"isPartialPayment"`
	}{
		tenantBody: s.api.tenantBody(), Mode: p.Mode, Cheque: cheque(p.ChequeNumber), Notes: p.Notes,
		Amount: digits(p.Amount), Meta: p.Meta, Partial: p.Partial,
	}
	if p.Card != nil {
		body.Card = &card{Type: p.Card.Brand, Last4: p.Card.Last4}
	}
	return s.api.do(ctx, ordersRecordPayment, request{params: map[string]string{"orderId": orderID}, body: body}, &confirmation{})
}

type chequeBody struct {
	Number string `json:"number"`
}

func cheque(number string) *chequeBody {
	if number == "" {
		return nil
	}
	return &chequeBody{number}
}

type orderWire struct {
	ID                text                  `json:"_id"`
	AltID             text                  `json:"altId"`
	LocationID        text                  `json:"locationId"`
	ContactID         text                  `json:"contactId"`
	ContactName       text                  `json:"contactName"`
	ContactEmail      text                  `json:"contactEmail"`
	ContactSnapshot   object[contactWire]   `json:"contactSnapshot"`
	Currency          text                  `json:"currency"`
	Amount            domain.Number         `json:"amount"`
	Subtotal          domain.Number         `json:"subtotal"`
	Discount          domain.Number         `json:"discount"`
	AmountSummary     object[AmountSummary] `json:"amountSummary"`
	Status            text                  `json:"status"`
	FulfillmentStatus text                  `json:"fulfillmentStatus"`
	LiveMode          flag                  `json:"liveMode"`
	MarkAsTest        flag                  `json:"markAsTest"`
	Source            object[source]        `json:"source"`
	SourceType        text                  `json:"sourceType"`
	SourceSubType     text                  `json:"sourceSubType"`
	SourceID          text                  `json:"sourceId"`
	SourceName        text                  `json:"sourceName"`
	Items             []itemWire            `json:"items"`
	TaxSummary        []object[taxWire]     `json:"taxSummary"`
	CouponCode        text                  `json:"couponCode"`
	Coupon            object[couponCode]    `json:"coupon"`
	TraceID           text                  `json:"traceId"`
	CreatedAt         moment                `json:"createdAt"`
	UpdatedAt         moment                `json:"updatedAt"`
}

type couponCode struct {
	Code text `json:"code"`
}

type taxWire struct {
	ID          text          `json:"_id"`
	Name        text          `json:"name"`
	Calculation text          `json:"calculation"`
	Rate        domain.Number `json:"rate"`
	Amount      domain.Number `json:"amount"`
}

// itemWire is an object; the OpenAPI file says it is a string, so one is taken as the line's name.
type itemWire struct{ OrderItem }

func (i *itemWire) UnmarshalJSON(data []byte) error {
	if data[0] != '{' {
		var name text
		err := name.UnmarshalJSON(data)
		i.OrderItem = OrderItem{Name: string(name)}
		return err
	}
	var w struct {
		ID       text                    `json:"_id"`
		Name     text                    `json:"name"`
		Quantity domain.Number           `json:"qty"`
		Product  object[lineProductWire] `json:"product"`
		Price    object[linePriceWire]   `json:"price"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	i.OrderItem = OrderItem{
		ID: string(w.ID), Name: string(w.Name), Quantity: w.Quantity, Product: w.Product.v.fold(), Price: w.Price.v.fold(),
	}
	return nil
}

// lineProductWire and linePriceWire are what lines of orders and of fulfillments hold.
type lineProductWire struct {
	ID   text `json:"_id"`
	Name text `json:"name"`
	Type text `json:"productType"`
}

func (w lineProductWire) fold() Product {
	return Product{ID: string(w.ID), Name: string(w.Name), Type: string(w.Type)}
}

type linePriceWire struct {
	ID       text          `json:"_id"`
	Name     text          `json:"name"`
	Type     text          `json:"type"`
	Currency text          `json:"currency"`
	Amount   domain.Number `json:"amount"`
}

func (w linePriceWire) fold() Price {
	return Price{ID: string(w.ID), Name: string(w.Name), Type: string(w.Type), Currency: string(w.Currency), Amount: w.Amount}
}

// DecodeOrder reads an order from an answer, a list row or the body of an order webhook.
func DecodeOrder(data []byte) (Order, error) {
	var w orderWire
	if err := unmarshal(data, &w); err != nil {
		return Order{}, fmt.Errorf("order: %w", err)
	}
	if w.ID == "" {
		return Order{}, fmt.Errorf("order: %w", errNoID)
	}
	return w.fold(), nil
}

// fold brings list row and single object into one shape.
func (w *orderWire) fold() Order {
	nested := w.Source.v
	o := Order{
		ID: string(w.ID), LocationID: first(w.AltID, w.LocationID), ContactID: string(w.ContactID),
		Contact:  w.ContactSnapshot.v.fold(),
		Currency: string(w.Currency), Amount: w.Amount, Summary: w.AmountSummary.v,
		Status: string(w.Status), FulfillmentStatus: string(w.FulfillmentStatus), Test: isTest(w.LiveMode, w.MarkAsTest),
		Source: Source{
			Type: first(nested.Type, w.SourceType), SubType: first(nested.SubType, w.SourceSubType),
			ID: first(nested.ID, w.SourceID), Name: first(nested.Name, w.SourceName),
		},
		CouponCode: first(w.CouponCode, w.Coupon.v.Code), TraceID: string(w.TraceID),
		CreatedAt: w.CreatedAt.Time, UpdatedAt: w.UpdatedAt.Time,
	}
	o.Contact.addFlat(&o.ContactID, w.ContactName, w.ContactEmail)
	if !o.Summary.Subtotal.IsSet() {
		o.Summary.Subtotal = w.Subtotal
	}
	if !o.Summary.Discount.IsSet() {
		o.Summary.Discount = w.Discount
	}
	for _, item := range w.Items {
		o.Items = append(o.Items, item.OrderItem)
	}
	for _, tax := range w.TaxSummary {
		t := tax.v
		o.TaxSummary = append(o.TaxSummary, Tax{
			ID: string(t.ID), Name: string(t.Name), Calculation: string(t.Calculation), Rate: t.Rate, Amount: t.Amount,
		})
	}
	return o
}

// unmarshal refuses what is no object: null would decode into an empty one.
func unmarshal(data []byte, into any) error {
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '{' {
		return errNoID
	}
	return json.Unmarshal(data, into)
}
