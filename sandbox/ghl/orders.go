package ghl

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Order is an order of a location. Amounts are all of its currency.
type Order struct {
	ID, LocationID, ContactID string
	Currency                  domain.Currency
	Items                     []Item
	// Subtotal is the sum of the items; Amount is what is to be paid: Subtotal less Discount, with exclusive taxes and
	// Shipping. TaxTotal is the sum of all taxes, inclusive ones too, which are part of the prices already.
	Subtotal, Discount, TaxTotal, Shipping, Amount domain.Money
	Taxes                                          []Tax
	CouponCode, CouponID                           string
	Source                                         Source
	// Status is "pending" or "completed"; others exist, unpublished. FulfillmentStatus is "unfulfilled", the one published
	// word, until something is sent: then as Options.FulfillmentWords say.
	Status, FulfillmentStatus string
	// LiveMode is false for payments in test mode, MarkAsTest true for orders that somebody marked so.
	LiveMode, MarkAsTest bool
	CreatedAt, UpdatedAt time.Time

	raw map[string]json.RawMessage // what ImportOrder was given
}

// Item is a position of an order: a price of a product, some times.
type Item struct {
	Name  string
	Qty   int64
	Price Price
}

// Tax is one tax of an order. Calculation is "exclusive", which adds to the amount, or "inclusive", which doesn't.
type Tax struct {
	ID, Name, Calculation string
	Rate                  domain.Number
	Amount                domain.Money
}

// Source is where an order comes from, such as {funnel, two_step_order_form} or {invoice}.
type Source struct {
	Type    string         `json:"type"`
	SubType string         `json:"subType,omitempty"`
	ID      string         `json:"id"`
	Name    string         `json:"name,omitempty"`
	Meta    map[string]any `json:"meta,omitempty"`
}

func (s *Server) orderRoutes() {
	altType := "altType*"
	if s.opts.AltTypeOptional {
		altType = "altType"
	}
	s.handle(operation{method: http.MethodGet, path: "/payments/orders", name: "ghl.orders.list",
		scope: "payments/orders.readonly", query: []string{"locationId", "altId*", altType, "status", "paymentStatus",
			"paymentMode", "startAt", "endAt", "search", "contactId", "funnelProductIds", "sourceId", "limit", "offset"}}, s.listOrders)
	s.handle(operation{method: http.MethodGet, path: "/payments/orders/{orderId}", name: "ghl.orders.get",
		scope: "payments/orders.readonly", query: []string{"locationId", "altId*", altType}}, s.getOrder)
}

func (s *Server) listOrders(c call) {
	in := c.r.URL.Query()
	if in.Has("contactId") && in.Get("contactId") == "" {
		answerJSON(c.w, map[string]any{"data": []any{}, "totalCount": 0})
		return
	}
	q := query[Order]{key: "location:" + c.loc.id, order: s.opts.ListOrder}
	q.from, q.to = s.window(in)
	q.limit, q.offset = page(in)
	if id := in.Get("contactId"); id != "" {
		q.key = "contact:" + id
	}
	if id := in.Get("sourceId"); id != "" {
		q.key = "source:" + id
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	q.keep = s.orderFilter(in, c.loc)
	found, total := s.orders.page(q)
	rows := make([]any, len(found))
	for i, o := range found {
		rows[i] = s.orderRow(o)
	}
	answerJSON(c.w, map[string]any{"data": rows, "totalCount": total})
}

// orderFilter is what the index can't answer; nil where it answers all.
func (s *Server) orderFilter(in url.Values, loc *location) func(*Order) bool {
	var tests filters[Order]
	tests.add(in, "status", func(o *Order, v string) bool { return o.Status == v })
	tests.add(in, "paymentStatus", func(o *Order, v string) bool { return s.paymentStatus(o) == v })
	tests.add(in, "paymentMode", func(o *Order, v string) bool { return o.LiveMode == (v == "live") })
	tests.add(in, "search", func(o *Order, v string) bool {
		return strings.Contains(strings.ToLower(o.Source.Name), strings.ToLower(v)) || o.ID == v
	})
	tests.add(in, "contactId", func(o *Order, v string) bool { return o.ContactID == v })
	tests.add(in, "sourceId", func(o *Order, v string) bool { return o.Source.ID == v })
	tests.add(in, "funnelProductIds", func(o *Order, v string) bool {
		for _, item := range o.Items {
			if strings.Contains(v, item.Price.ProductID) {
				return true
			}
		}
		return false
	})
	if len(tests) == 0 {
		return nil
	}
	tests = append(tests, func(o *Order) bool { return o.LocationID == loc.id })
	return tests.all
}

// orderRow is an order as lists show it: without items, its source flattened, and without its transactions' ids.
func (s *Server) orderRow(o *Order) map[string]any {
	row := map[string]any{"_id": o.ID, "altId": o.LocationID, "altType": "location", "contactId": o.ContactID,
		"currency": s.currency(o.Currency, o.ID), "amount": s.money(o.Amount), "subtotal": s.money(o.Subtotal),
		"discount": s.money(o.Discount), "status": o.Status, "liveMode": o.LiveMode, "totalProducts": len(o.Items),
		"sourceType": o.Source.Type, "sourceSubType": o.Source.SubType, "sourceName": o.Source.Name,
		"sourceId": o.Source.ID, "fulfillmentStatus": o.FulfillmentStatus,
		"onetimeProducts": len(o.Items), "recurringProducts": 0,
		"createdAt": stamp(o.CreatedAt), "updatedAt": stamp(o.UpdatedAt)}
	if o.Source.Meta != nil {
		row["sourceMeta"] = o.Source.Meta
	}
	if o.CouponCode != "" {
		row["couponCode"] = o.CouponCode
	}
	if contact := s.contacts[o.ContactID]; contact != nil {
		row["contactName"], row["contactEmail"] = contact.fullName(), contact.Email
	}
	return row
}

func (s *Server) getOrder(c call) {
	s.mu.Lock() // for the trace id
	defer s.mu.Unlock()
	o := s.orders.byID[c.r.PathValue("orderId")]
	if o == nil || o.LocationID != c.loc.id {
		answerError(c.w, http.StatusBadRequest, "Order not found", "")
		return
	}
	doc := s.orderDocument(o)
	if s.opts.PlainSummary {
		doc["amountSummary"] = map[string]any{"subtotal": s.money(o.Subtotal), "discount": s.money(o.Discount)}
		delete(doc, "taxSummary")
	}
	doc["markAsTest"] = o.MarkAsTest
	doc["automaticTaxesCalculated"] = false
	doc["traceId"] = s.newUUID("trace")
	answerJSON(c.w, doc)
}

// orderDocument is an order with everything, as a detail and as a webhook show it.
func (s *Server) orderDocument(o *Order) map[string]any {
	doc := map[string]any{}
	if o.raw != nil {
		for k, v := range o.raw {
			doc[k] = v
		}
		doc["liveMode"], doc["status"], doc["updatedAt"] = o.LiveMode, o.Status, stamp(o.UpdatedAt)
		doc["fulfillmentStatus"] = o.FulfillmentStatus
		return doc
	}
	taxes := make([]any, len(o.Taxes))
	for i, t := range o.Taxes {
		taxes[i] = map[string]any{"_id": t.ID, "name": t.Name, "calculation": t.Calculation, "rate": t.Rate,
			"amount": s.money(t.Amount)}
	}
	items := make([]any, len(o.Items))
	for i, item := range o.Items {
		items[i] = s.itemDocument(o, item)
	}
	doc = map[string]any{"_id": o.ID, "altId": o.LocationID, "altType": "location", "contactId": o.ContactID,
		"currency": s.currency(o.Currency, o.ID), "amount": s.money(o.Amount), "status": o.Status,
		"liveMode": o.LiveMode, "fulfillmentStatus": o.FulfillmentStatus, "source": o.Source, "items": items,
		"taxSummary": taxes, "amountSummary": map[string]any{"subtotal": s.money(o.Subtotal),
			"discount": s.money(o.Discount), "tax": s.money(o.TaxTotal), "shipping": s.money(o.Shipping)},
		"createdAt": stamp(o.CreatedAt), "updatedAt": stamp(o.UpdatedAt)}
	if o.CouponCode != "" {
		doc["coupon"] = map[string]any{"_id": o.CouponID, "code": o.CouponCode}
	}
	if contact := s.contacts[o.ContactID]; contact != nil {
		doc["contactSnapshot"] = contact.document()
	}
	return doc
}

func (s *Server) itemDocument(o *Order, item Item) map[string]any {
	p := item.Price
	product := map[string]any{"_id": p.ProductID, "name": item.Name, "availableInStore": true, "taxes": []any{},
		"variants": []any{}}
	if known := s.products.byID[p.ProductID]; known != nil {
		product["name"] = known.Name
		if s.opts.ProductTypeInOrders {
			product["productType"] = known.Type
		}
	}
	return map[string]any{"name": item.Name, "qty": item.Qty, "product": product, "price": map[string]any{
		"_id": p.ID, "name": p.Name, "type": p.kind(), "currency": s.currency(o.Currency, o.ID),
		"amount": s.money(p.Amount), "variantOptionIds": []string{}}}
}
