package ghl

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Invoice is an invoice and how much of it is paid. Its order has it as source.
type Invoice struct {
	ID, LocationID, ContactID, OrderID string
	Number, Name                       string
	Total, AmountPaid                  domain.Money
	// Status is "sent", "partially_paid" or "paid"; others exist.
	Status               string
	LiveMode             bool
	CreatedAt, UpdatedAt time.Time
}

func (s *Server) invoiceRoutes() {
	s.handle(operation{method: http.MethodGet, path: "/invoices/", name: "ghl.invoices.list",
		scope: "invoices.readonly", may: everybody, query: []string{"altId*", "altType*", "limit*", "offset*", "status", "startAt",
			"endAt", "search", "paymentMode", "contactId", "sortField", "sortOrder"}}, s.listInvoices)
	s.handle(operation{method: http.MethodGet, path: "/invoices/{invoiceId}", name: "ghl.invoices.get",
		scope: "invoices.readonly", may: everybody, query: []string{"altId*", "altType*"}}, s.getInvoice)
}

func (s *Server) listInvoices(c call) {
	in := c.r.URL.Query()
	q := query[Invoice]{key: "location:" + c.loc.id}
	q.from, q.to = s.window(in)
	q.limit, q.offset = page(in)
	s.mu.RLock()
	defer s.mu.RUnlock()
	q.keep = func(i *Invoice) bool {
		return (in.Get("status") == "" || in.Get("status") == i.Status) &&
			(in.Get("contactId") == "" || in.Get("contactId") == i.ContactID) &&
			(in.Get("search") == "" || i.ID == in.Get("search") ||
				strings.Contains(strings.ToLower(i.Name), strings.ToLower(in.Get("search"))))
	}
	found, total := s.invoices.page(q)
	rows := make([]any, len(found))
	for n, i := range found {
		rows[n] = s.invoiceDocument(i, apiNumber(i.Number))
	}
	answerJSON(c.w, map[string]any{"invoices": rows, "total": total})
}

func (s *Server) getInvoice(c call) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i := s.invoices.byID[c.r.PathValue("invoiceId")]
	if i == nil || i.LocationID != c.loc.id {
		answerError(c.w, http.StatusBadRequest, "Invoice not found", "")
		return
	}
	answerJSON(c.w, s.invoiceDocument(i, apiNumber(i.Number)))
}

// apiNumber is an invoice number as the API publishes it, a JSON number. The webhook has it as a text.
func apiNumber(number string) any {
	if _, err := strconv.ParseInt(number, 10, 64); err == nil {
		return json.Number(number)
	}
	return number
}

func (s *Server) invoiceDocument(i *Invoice, number any) map[string]any {
	due, err := i.Total.Sub(i.AmountPaid)
	if err != nil {
		panic(err)
	}
	doc := map[string]any{"_id": i.ID, "status": i.Status, "liveMode": i.LiveMode, "altId": i.LocationID,
		"altType": "location", "name": i.Name, "title": "INVOICE", "invoiceNumber": number,
		"businessDetails": map[string]any{"name": "Sandbox Shop"}, "currency": s.currency(i.Total.Currency, i.ID),
		"issueDate": i.CreatedAt.Format(time.DateOnly), "dueDate": i.CreatedAt.AddDate(0, 0, 14).Format(time.DateOnly),
		"discount": map[string]any{"type": "percentage", "value": 0}, "total": s.money(i.Total),
		"amountPaid": s.money(i.AmountPaid), "amountDue": s.money(due), "createdAt": stamp(i.CreatedAt),
		"updatedAt": stamp(i.UpdatedAt)}
	details := map[string]any{"id": i.ContactID, "customFields": []any{}}
	if contact := s.contacts[i.ContactID]; contact != nil {
		details["name"], details["email"], details["phoneNo"] = contact.fullName(), contact.Email, contact.Phone
	}
	doc["contactDetails"] = details
	items := []any{}
	if o := s.orders.byID[i.OrderID]; o != nil {
		for _, item := range o.Items {
			items = append(items, map[string]any{"taxes": []any{}, "_id": item.Price.ID, "productId": item.Price.ProductID,
				"priceId": item.Price.ID, "currency": string(o.Currency), "name": item.Name, "qty": item.Qty,
				"amount": s.money(item.Price.Amount)})
		}
		doc["totalSummary"] = map[string]any{"subTotal": s.money(o.Subtotal), "discount": s.money(o.Discount),
			"tax": s.money(o.TaxTotal)}
	}
	doc["invoiceItems"] = items
	return doc
}
