package ghl

import (
	"context"
	"fmt"
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
	// unique.
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
