package ghl

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Transactions are the payments of the location. Refunds are no transactions of their own: they show as AmountRefunded.
type Transactions struct{ api *api }

// Transaction is a payment, tried or done.
type Transaction struct {
	ID         string `json:"id"`
	LocationID string `json:"locationId"`
	ContactID  string `json:"contactId"`
	// MergedFromContactID is the contact the payment was made by before two contacts were merged.
	MergedFromContactID string `json:"mergedFromContactId,omitempty"`
	// Contact is the payer as of the payment; in a list row only name and e-mail.
	Contact Contact `json:"contact"`
	// Currency is an ISO 4217 code in any case.
	Currency string `json:"currency"`
	// Amount and AmountRefunded are in major units.
	Amount         domain.Number `json:"amount,omitempty"`
	AmountRefunded domain.Number `json:"amountRefunded,omitempty"`
	// Status is an open vocabulary; HighLevel documents succeeded.
	Status string `json:"status"`
	// Test says that no money moved: liveMode is false, or the payment is marked as a test.
	Test bool `json:"test"`
	// EntityType and EntityID name what was paid: "order" or an invoice, and its id.
	EntityType string `json:"entityType"`
	EntityID   string `json:"entityId"`
	Source     Source `json:"source"`
	// SubscriptionID, ChargeID and ReceiptID are the payment provider's.
	SubscriptionID string `json:"subscriptionId,omitempty"`
	ChargeID       string `json:"chargeId,omitempty"`
	ReceiptID      string `json:"receiptId,omitempty"`
	InvoiceID      string `json:"invoiceId,omitempty"`
	// Provider is the payment provider's kind: stripe, paypal and so on.
	Provider string `json:"provider,omitempty"`
	// Parent says that the payment is split into others, if HighLevel says so.
	Parent  bool   `json:"parent,omitempty"`
	TraceID string `json:"traceId,omitempty"`
	// FulfilledAt is when it was charged; only list rows have it.
	FulfilledAt time.Time `json:"fulfilledAt"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
}

// TransactionFilter narrows a list of transactions. Empty fields do not filter. There is no filter by status.
type TransactionFilter struct {
	// From and To are as in OrderFilter.
	From, To time.Time
	// EntityID is the id of an order or an invoice.
	EntityID string
	// SubscriptionID is the payment provider's id.
	SubscriptionID string
	ContactID      string
	// SourceType and SourceSubType are those of Source.
	SourceType, SourceSubType string
	// PaymentMode is live or test.
	PaymentMode string
	// Limit is the page size, at most and by default 100.
	Limit int
}

// Page reads one page of transactions, from the place given on.
func (s *Transactions) Page(ctx context.Context, filter TransactionFilter, at Cursor) (Page[Transaction], error) {
	query := s.api.tenant()
	setDates(query, filter.From, filter.To)
	setText(query, "entityId", filter.EntityID)
	setText(query, "subscriptionId", filter.SubscriptionID)
	setText(query, "contactId", filter.ContactID)
	setText(query, "entitySourceType", filter.SourceType)
	setText(query, "entitySourceSubType", filter.SourceSubType)
	setText(query, "paymentMode", filter.PaymentMode)
	return page(ctx, s.api, listing{op: transactionsList, query: query, limit: filter.Limit}, at, DecodeTransaction)
}

// All walks all transactions of the filter. The order in which HighLevel lists them is not documented (A10). A *RowError
// stands for one unreadable row and the walk goes on; any other error ends it.
func (s *Transactions) All(ctx context.Context, filter TransactionFilter) iter.Seq2[Transaction, error] {
	return all(ctx, func(ctx context.Context, at Cursor) (Page[Transaction], error) { return s.Page(ctx, filter, at) })
}

// Get reads one transaction. IsNotFound tells that there is none.
func (s *Transactions) Get(ctx context.Context, id string) (Transaction, error) {
	return get(ctx, s.api, transactionsGet, "transactionId", id, s.api.tenant(), DecodeTransaction)
}

type transactionWire struct {
	ID                  text                 `json:"_id"`
	AltID               text                 `json:"altId"`
	LocationID          text                 `json:"locationId"`
	ContactID           text                 `json:"contactId"`
	MergedFromContactID text                 `json:"mergedFromContactId"`
	ContactName         text                 `json:"contactName"`
	ContactEmail        text                 `json:"contactEmail"`
	ContactSnapshot     object[contactWire]  `json:"contactSnapshot"`
	Currency            text                 `json:"currency"`
	Amount              domain.Number        `json:"amount"`
	AmountRefunded      domain.Number        `json:"amountRefunded"`
	Status              text                 `json:"status"`
	LiveMode            flag                 `json:"liveMode"`
	MarkAsTest          flag                 `json:"markAsTest"`
	EntityType          text                 `json:"entityType"`
	EntityID            text                 `json:"entityId"`
	EntitySource        object[source]       `json:"entitySource"`
	EntitySourceType    text                 `json:"entitySourceType"`
	EntitySourceSubType text                 `json:"entitySourceSubType"`
	EntitySourceID      text                 `json:"entitySourceId"`
	EntitySourceName    text                 `json:"entitySourceName"`
	SubscriptionID      text                 `json:"subscriptionId"`
	ChargeID            text                 `json:"chargeId"`
	ReceiptID           text                 `json:"receiptId"`
	InvoiceID           text                 `json:"invoiceId"`
	ProviderType        text                 `json:"paymentProviderType"`
	Provider            object[providerWire] `json:"paymentProvider"`
	IsParent            flag                 `json:"isParent"`
	TraceID             text                 `json:"traceId"`
	FulfilledAt         moment               `json:"fulfilledAt"`
	CreatedAt           moment               `json:"createdAt"`
	UpdatedAt           moment               `json:"updatedAt"`
}

type providerWire struct {
	Type text `json:"type"`
}

// DecodeTransaction reads a transaction from an answer or a list row.
func DecodeTransaction(data []byte) (Transaction, error) {
	var w transactionWire
	if err := unmarshal(data, &w); err != nil {
		return Transaction{}, fmt.Errorf("transaction: %w", err)
	}
	if w.ID == "" {
		return Transaction{}, fmt.Errorf("transaction: %w", errNoID)
	}
	return w.fold(), nil
}

// fold brings list row and single object into one shape.
func (w *transactionWire) fold() Transaction {
	nested := w.EntitySource.v
	t := Transaction{
		ID: string(w.ID), LocationID: first(w.AltID, w.LocationID), ContactID: string(w.ContactID),
		MergedFromContactID: string(w.MergedFromContactID), Contact: w.ContactSnapshot.v.fold(),
		Currency: string(w.Currency), Amount: w.Amount, AmountRefunded: w.AmountRefunded,
		Status: string(w.Status), Test: isTest(w.LiveMode, w.MarkAsTest),
		EntityType: string(w.EntityType), EntityID: string(w.EntityID),
		Source: Source{
			Type: first(nested.Type, w.EntitySourceType), SubType: first(nested.SubType, w.EntitySourceSubType),
			ID: first(nested.ID, w.EntitySourceID), Name: first(nested.Name, w.EntitySourceName),
		},
		SubscriptionID: string(w.SubscriptionID), ChargeID: string(w.ChargeID), ReceiptID: string(w.ReceiptID),
		InvoiceID: string(w.InvoiceID), Provider: first(w.ProviderType, w.Provider.v.Type), Parent: w.IsParent.on,
		TraceID: string(w.TraceID), FulfilledAt: w.FulfilledAt.Time, CreatedAt: w.CreatedAt.Time, UpdatedAt: w.UpdatedAt.Time,
	}
	t.Contact.addFlat(&t.ContactID, w.ContactName, w.ContactEmail)
	return t
}
