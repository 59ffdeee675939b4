package ghl

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Transaction is one payment, or an attempt at one.
type Transaction struct {
	ID, LocationID, ContactID string
	// OrderID is the order that is paid, InvoiceID its invoice, if it has one.
	OrderID, InvoiceID string
	// EntityType and EntityID are what the payment is booked on: "order" or "invoice"; a renewal as Options say.
	EntityType, EntityID string
	// SubscriptionID is the payment provider's id of a subscription, not HighLevel's.
	SubscriptionID string
	// Provider is "stripe" and so on.
	Provider string
	Amount   domain.Money
	// AmountRefunded grows with each refund. There is no other trace of one.
	AmountRefunded domain.Money
	// Status is "succeeded", "pending" or "failed"; after a chargeback as Options.ChargebackStatus says.
	Status               string
	LiveMode, MarkAsTest bool
	Source               Source
	ChargeID             string
	CreatedAt, UpdatedAt time.Time
	// FulfilledAt is when the charge succeeded.
	FulfilledAt time.Time
}

func (s *Server) transactionRoutes() {
	s.handle(operation{method: http.MethodGet, path: "/payments/transactions", name: "ghl.transactions.list",
		scope: "payments/transactions.readonly", query: []string{"locationId", "altId*", "altType*",
			"paymentMode", "startAt", "endAt", "entitySourceType", "entitySourceSubType", "search", "subscriptionId",
			"entityId", "contactId", "limit", "offset"}}, s.listTransactions)
	s.handle(operation{method: http.MethodGet, path: "/payments/transactions/{transactionId}", name: "ghl.transactions.get",
		scope: "payments/transactions.readonly", query: []string{"locationId", "altId*", "altType*"}}, s.getTransaction)
}

func (s *Server) listTransactions(c call) {
	in := c.r.URL.Query()
	var found []*Transaction
	total := 0
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !in.Has("contactId") || in.Get("contactId") != "" {
		q := query[Transaction]{key: "location:" + c.loc.id}
		q.from, q.to = s.window(in)
		q.limit, q.offset = page(in)
		if id := in.Get("contactId"); id != "" {
			q.key = "contact:" + id
		}
		if id := in.Get("entityId"); id != "" {
			q.key = "entity:" + id
		}
		if id := in.Get("subscriptionId"); id != "" && q.key == "location:"+c.loc.id {
			q.key = "subscription:" + id
		}
		q.keep, q.order = transactionFilter(in, c.loc), s.opts.ListOrder
		found, total = s.payments.page(q)
	}
	rows := make([]any, len(found))
	for i, t := range found {
		rows[i] = s.transactionRow(t)
	}
	body := map[string]any{"data": rows, "totalCount": total}
	if s.opts.WrapLists {
		body = map[string]any{"data": body}
	}
	answerJSON(c.w, body)
}

func transactionFilter(in url.Values, loc *location) func(*Transaction) bool {
	var tests filters[Transaction]
	tests.add(in, "paymentMode", func(t *Transaction, v string) bool { return t.LiveMode == (v == "live") })
	tests.add(in, "entitySourceType", func(t *Transaction, v string) bool { return t.Source.Type == v })
	tests.add(in, "entitySourceSubType", func(t *Transaction, v string) bool { return t.Source.SubType == v })
	tests.add(in, "subscriptionId", func(t *Transaction, v string) bool { return t.SubscriptionID == v })
	tests.add(in, "search", func(t *Transaction, v string) bool {
		return strings.Contains(strings.ToLower(t.Source.Name), strings.ToLower(v)) || t.ID == v
	})
	tests.add(in, "contactId", func(t *Transaction, v string) bool { return t.ContactID == v })
	if len(tests) == 0 && in.Get("entityId") == "" {
		return nil
	}
	tests = append(tests, func(t *Transaction) bool { return t.LocationID == loc.id })
	return tests.all
}

// transactionRow is a transaction as lists show it.
func (s *Server) transactionRow(t *Transaction) map[string]any {
	row := s.transactionCore(t)
	row["entitySourceType"], row["entitySourceSubType"] = t.Source.Type, t.Source.SubType
	row["entitySourceName"], row["entitySourceId"] = t.Source.Name, t.Source.ID
	if t.Source.Meta != nil {
		row["entitySourceMeta"] = t.Source.Meta
	}
	row["paymentProviderType"] = t.Provider
	row["paymentProviderConnectedAccount"] = "acct_sandbox"
	if t.Provider == "stripe" {
		row["paymentMethod"] = map[string]any{"card": map[string]any{"brand": "visa", "last4": "4242"}}
	}
	if !t.FulfilledAt.IsZero() {
		row["fulfilledAt"] = stamp(t.FulfilledAt)
	}
	if contact := s.contacts[t.ContactID]; contact != nil {
		row["contactName"], row["contactEmail"] = contact.fullName(), contact.Email
	}
	return row
}

// transactionCore is what rows and details have in common.
func (s *Server) transactionCore(t *Transaction) map[string]any {
	doc := map[string]any{"_id": t.ID, "altId": t.LocationID, "altType": "location", "contactId": t.ContactID,
		"currency": s.currency(t.Amount.Currency, t.ID), "amount": s.money(t.Amount), "status": t.Status,
		"liveMode": t.LiveMode, "chargeId": t.ChargeID, "amountRefunded": s.money(t.AmountRefunded),
		"createdAt": stamp(t.CreatedAt), "updatedAt": stamp(t.UpdatedAt)}
	if t.EntityID != "" {
		doc["entityType"], doc["entityId"] = t.EntityType, t.EntityID
	}
	if t.SubscriptionID != "" {
		doc["subscriptionId"] = t.SubscriptionID
	}
	return doc
}

func (s *Server) getTransaction(c call) {
	s.mu.Lock() // for the trace id
	defer s.mu.Unlock()
	t := s.payments.byID[c.r.PathValue("transactionId")]
	if t == nil || t.LocationID != c.loc.id {
		answerError(c.w, http.StatusBadRequest, "Transaction not found", "")
		return
	}
	doc := s.transactionCore(t)
	doc["entitySource"] = t.Source
	doc["paymentProvider"] = map[string]any{"type": t.Provider, "connectedAccount": map[string]any{"accountId": "acct_sandbox"}}
	doc["markAsTest"], doc["isParent"], doc["qboSynced"] = t.MarkAsTest, false, false
	doc["traceId"] = s.newUUID("trace")
	if t.InvoiceID != "" {
		doc["invoiceId"] = t.InvoiceID
	}
	if contact := s.contacts[t.ContactID]; contact != nil {
		doc["contactSnapshot"] = contact.document()
	}
	answerJSON(c.w, doc)
}
