package ghl

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Invoices are the invoices of the location.
type Invoices struct{ api *api }

// Invoice is a bill. An order whose Source.Type is "invoice" names it by Source.ID.
type Invoice struct {
	ID         string `json:"id"`
	LocationID string `json:"locationId"`
	// Number is what people call the invoice by; HighLevel writes it as a text or a number and does not say that it is
	// unique (A37).
	Number string `json:"number"`
	Name   string `json:"name"`
	// Status is draft, sent, payment_processing, paid, void or partially_paid.
	Status string `json:"status"`
	// Test says that liveMode is false.
	Test bool `json:"test"`
	// Currency is an ISO 4217 code in any case.
	Currency string `json:"currency"`
	// Total, AmountPaid and AmountDue are in major units.
	Total      domain.Number `json:"total,omitempty"`
	AmountPaid domain.Number `json:"amountPaid,omitempty"`
	AmountDue  domain.Number `json:"amountDue,omitempty"`
	Summary    AmountSummary `json:"summary"`
	Contact    Contact       `json:"contact"`
	Items      []InvoiceItem `json:"items,omitempty"`
	CreatedAt  time.Time     `json:"createdAt"`
	UpdatedAt  time.Time     `json:"updatedAt"`
}

// InvoiceItem is a line of an invoice.
type InvoiceItem struct {
	ID        string        `json:"id"`
	ProductID string        `json:"productId,omitempty"`
	PriceID   string        `json:"priceId,omitempty"`
	Name      string        `json:"name"`
	Currency  string        `json:"currency"`
	Quantity  domain.Number `json:"quantity,omitempty"`
	// Amount is for one piece, in major units.
	Amount domain.Number `json:"amount,omitempty"`
}

// Get reads one invoice. IsNotFound tells that there is none.
func (s *Invoices) Get(ctx context.Context, id string) (Invoice, error) {
	return get(ctx, s.api, invoicesGet, "invoiceId", id, s.api.tenant(), DecodeInvoice)
}

// InvoiceFilter narrows a list of invoices. Empty fields do not filter.
type InvoiceFilter struct {
	// From and To are as in OrderFilter.
	From, To time.Time
	// Status is as in Invoice.
	Status    string
	ContactID string
	// Search is looked for in ids, names, e-mail addresses and phone numbers.
	Search string
	// PaymentMode is default, live or test.
	PaymentMode string
	// Limit is the page size, at most and by default 100.
	Limit int
}

// Page reads one page of invoices, from the place given on.
func (s *Invoices) Page(ctx context.Context, filter InvoiceFilter, at Cursor) (Page[Invoice], error) {
	query := s.api.tenant()
	setDates(query, filter.From, filter.To)
	setText(query, "status", filter.Status)
	setText(query, "contactId", filter.ContactID)
	setText(query, "search", filter.Search)
	setText(query, "paymentMode", filter.PaymentMode)
	return page(ctx, s.api, listing{op: invoicesList, query: query, limit: filter.Limit}, at, DecodeInvoice)
}

// All walks all invoices of the filter. A *RowError stands for one unreadable row and the walk goes on; any other error
// ends it.
func (s *Invoices) All(ctx context.Context, filter InvoiceFilter) iter.Seq2[Invoice, error] {
	return all(ctx, func(ctx context.Context, at Cursor) (Page[Invoice], error) { return s.Page(ctx, filter, at) })
}

// InvoiceInput is an invoice to be made. With InvoicePayment it is the only documented way to bring a payment that was
// made elsewhere into HighLevel.
type InvoiceInput struct {
	// Name is required. An id of another system in it makes the invoice findable by InvoiceFilter.Search: HighLevel has
	// no idempotency key, so search before creating.
	Name string
	// Number is made by HighLevel if empty; it does not say that it must be unique.
	Number string
	Title  string
	// Terms is HTML.
	Terms string
	// Business is who bills.
	Business InvoiceBusiness
	// Contact is who is billed. All of it is required, the phone number and the e-mail address too.
	Contact InvoiceContact
	// Items are what is billed, all in one currency: at least one.
	Items []InvoiceLine
	// Discount is taken off the whole, and may be nil. It is of the items' currency.
	Discount *domain.Money
	// IssuedOn is required; only the days of IssuedOn and DueOn are sent, as they are in their own zones.
	IssuedOn, DueOn time.Time
	// SendTo are e-mail addresses to send it to, once it is sent; Contact's if there are none.
	SendTo []string
	// Test makes an invoice that no money moves for.
	Test bool
}

// InvoiceBusiness is who bills. All of it may be empty.
type InvoiceBusiness struct {
	Name    string `json:"name,omitempty"`
	Phone   string `json:"phoneNo,omitempty"`
	Website string `json:"website,omitempty"`
}

// InvoiceContact is who is billed.
type InvoiceContact struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Phone string `json:"phoneNo"`
	Email string `json:"email"`
}

// InvoiceLine is what is billed.
type InvoiceLine struct {
	// Name is required.
	Name        string
	Description string
	ProductID   string
	PriceID     string
	// Amount is for one piece.
	Amount   domain.Money
	Quantity int64
}

// Create makes a draft.
func (s *Invoices) Create(ctx context.Context, in InvoiceInput) (Invoice, error) {
	body, err := s.body(in)
	if err != nil {
		return Invoice{}, err
	}
	return call(ctx, s.api, invoicesCreate, request{body: body}, DecodeInvoice)
}

type invoiceBody struct {
	tenantBody
	Name     string            `json:"name"`
	Number   string            `json:"invoiceNumber,omitempty"`
	Title    string            `json:"title,omitempty"`
	Terms    string            `json:"termsNotes,omitempty"`
	Business InvoiceBusiness   `json:"businessDetails"`
	Currency domain.Currency   `json:"currency"`
	Items    []invoiceLineBody `json:"items"`
	Discount discountBody      `json:"discount"`
	Contact  InvoiceContact    `json:"contactDetails"`
	IssuedOn string            `json:"issueDate"`
	DueOn    string            `json:"dueDate,omitempty"`
	SentTo   sentToBody        `json:"sentTo"`
	LiveMode bool              `json:"liveMode"`
}

type invoiceLineBody struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	ProductID   string          `json:"productId,omitempty"`
	PriceID     string          `json:"priceId,omitempty"`
	Currency    domain.Currency `json:"currency"`
	Amount      domain.Number   `json:"amount"`
	Quantity    int64           `json:"qty"`
}

type discountBody struct {
	Type  string        `json:"type"`
	Value domain.Number `json:"value"`
}

type sentToBody struct {
	Email []string `json:"email"`
}

func (s *Invoices) body(in InvoiceInput) (invoiceBody, error) {
	issued, c := date(in.IssuedOn), in.Contact
	err := need(invoicesCreate, "the name", in.Name, "the day of issue", issued, "the contact's id", c.ID, "the contact's name", c.Name,
		"the contact's phone number", c.Phone, "the contact's e-mail address", c.Email)
	if err != nil {
		return invoiceBody{}, err
	}
	if len(in.Items) == 0 {
		return invoiceBody{}, wrong(invoicesCreate, "it has no items")
	}
	currency := in.Items[0].Amount.Currency
	body := invoiceBody{
		tenantBody: s.api.tenantBody(), Name: in.Name, Number: in.Number, Title: in.Title, Terms: in.Terms, Business: in.Business,
		Currency: currency, Discount: discountBody{Type: "fixed", Value: "0"}, Contact: c,
		IssuedOn: issued, DueOn: date(in.DueOn), SentTo: sentToBody{in.SendTo}, LiveMode: !in.Test,
	}
	if len(in.SendTo) == 0 {
		body.SentTo.Email = []string{c.Email}
	}
	for _, line := range in.Items {
		if err := need(invoicesCreate, "the name of an item", line.Name, "the currency", string(line.Amount.Currency)); err != nil {
			return invoiceBody{}, err
		}
		if line.Amount.Currency != currency {
			return invoiceBody{}, wrong(invoicesCreate, "its items are of different currencies")
		}
		body.Items = append(body.Items, invoiceLineBody{
			Name: line.Name, Description: line.Description, ProductID: line.ProductID, PriceID: line.PriceID,
			Currency: currency, Amount: line.Amount.Decimal(), Quantity: line.Quantity,
		})
	}
	if in.Discount != nil {
		if in.Discount.Currency != currency {
			return invoiceBody{}, wrong(invoicesCreate, "its discount is of another currency")
		}
		body.Discount.Value = in.Discount.Decimal()
	}
	return body, nil
}

// InvoicePayment is a payment made outside HighLevel.
type InvoicePayment struct {
	// Mode is cash, card, cheque, bank_transfer or other. Required.
	Mode string
	// Card belongs to the mode card, ChequeNumber to the mode cheque. HighLevel's file calls both required in every
	// mode; integrations leave them out (A35).
	Card         *Card
	ChequeNumber string
	Notes        string
	// Amount is what was paid, in the invoice's currency; nil for what is due. HighLevel is told the number only.
	Amount *domain.Money
	// PaidAt is when; zero for now.
	PaidAt time.Time
	// Meta is kept with the payment.
	Meta map[string]string
}

// RecordPayment marks an invoice as paid by hand and gives the invoice as it is then. HighLevel has no idempotency key:
// compare AmountDue before recording, and again after an error with MayHaveLanded.
func (s *Invoices) RecordPayment(ctx context.Context, invoiceID string, p InvoicePayment) (Invoice, error) {
	if err := need(invoicesPay, "the mode", p.Mode); err != nil {
		return Invoice{}, err
	}
	type card struct {
		Brand string `json:"brand"`
		Last4 string `json:"last4"`
	}
	body := struct {
		tenantBody
		Mode   string            `json:"mode"`
		Card   *card             `json:"card,omitempty"`
		Cheque *chequeBody       `json:"cheque,omitempty"`
		Notes  string            `json:"notes"`
		Amount domain.Number     `json:"amount,omitempty"`
		PaidAt string            `json:"fulfilledAt,omitempty"`
		Meta   map[string]string `json:"meta,omitempty"`
	}{
		tenantBody: s.api.tenantBody(), Mode: p.Mode, Cheque: cheque(p.ChequeNumber), Notes: p.Notes,
		Amount: digits(p.Amount), PaidAt: stamp(p.PaidAt), Meta: p.Meta,
	}
	if p.Card != nil {
		body.Card = &card{Brand: p.Card.Brand, Last4: p.Card.Last4}
	}
	return call(ctx, s.api, invoicesPay, request{params: map[string]string{"invoiceId": invoiceID}, body: body}, decodePaid)
}

// decodePaid reads {success, invoice}.
func decodePaid(data []byte) (Invoice, error) {
	if err := json.Unmarshal(data, &confirmation{}); err != nil {
		return Invoice{}, err
	}
	var w struct {
		Invoice json.RawMessage `json:"invoice"`
	}
	if err := unmarshal(data, &w); err != nil {
		return Invoice{}, fmt.Errorf("invoice: %w", err)
	}
	return DecodeInvoice(w.Invoice)
}

type invoiceWire struct {
	ID            text                      `json:"_id"`
	AltID         text                      `json:"altId"`
	LocationID    text                      `json:"locationId"`
	InvoiceNumber text                      `json:"invoiceNumber"`
	Name          text                      `json:"name"`
	Status        text                      `json:"status"`
	LiveMode      flag                      `json:"liveMode"`
	Currency      text                      `json:"currency"`
	Total         domain.Number             `json:"total"`
	AmountPaid    domain.Number             `json:"amountPaid"`
	AmountDue     domain.Number             `json:"amountDue"`
	TotalSummary  object[totalWire]         `json:"totalSummary"`
	Contact       object[contactWire]       `json:"contactDetails"`
	Items         []object[invoiceItemWire] `json:"invoiceItems"`
	CreatedAt     moment                    `json:"createdAt"`
	UpdatedAt     moment                    `json:"updatedAt"`
}

type totalWire struct {
	Subtotal domain.Number `json:"subTotal"`
	Discount domain.Number `json:"discount"`
	Tax      domain.Number `json:"tax"`
}

type invoiceItemWire struct {
	ID        text          `json:"_id"`
	ProductID text          `json:"productId"`
	PriceID   text          `json:"priceId"`
	Name      text          `json:"name"`
	Currency  text          `json:"currency"`
	Quantity  domain.Number `json:"qty"`
	Amount    domain.Number `json:"amount"`
}

// DecodeInvoice reads an invoice from an answer or the body of an invoice webhook.
func DecodeInvoice(data []byte) (Invoice, error) {
	var w invoiceWire
	if err := unmarshal(data, &w); err != nil {
		return Invoice{}, fmt.Errorf("invoice: %w", err)
	}
	if w.ID == "" {
		return Invoice{}, fmt.Errorf("invoice: %w", errNoID)
	}
	total := w.TotalSummary.v
	i := Invoice{
		ID: string(w.ID), LocationID: first(w.AltID, w.LocationID), Number: string(w.InvoiceNumber), Name: string(w.Name),
		Status: string(w.Status), Test: isTest(w.LiveMode, flag{}), Currency: string(w.Currency),
		Total: w.Total, AmountPaid: w.AmountPaid, AmountDue: w.AmountDue,
		Summary: AmountSummary{Subtotal: total.Subtotal, Discount: total.Discount, Tax: total.Tax},
		Contact: w.Contact.v.fold(), CreatedAt: w.CreatedAt.Time, UpdatedAt: w.UpdatedAt.Time,
	}
	for _, item := range w.Items {
		one := item.v
		i.Items = append(i.Items, InvoiceItem{
			ID: string(one.ID), ProductID: string(one.ProductID), PriceID: string(one.PriceID), Name: string(one.Name),
			Currency: string(one.Currency), Quantity: one.Quantity, Amount: one.Amount,
		})
	}
	return i, nil
}
