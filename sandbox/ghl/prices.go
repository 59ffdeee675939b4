package ghl

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Price is one of a product's prices. HighLevel keeps the SKU here, not on the product, and shows it in the inventory
// only.
type Price struct {
	ID, ProductID, Name, SKU string
	Amount                   domain.Money
	// Interval and IntervalCount make the price recurring: day, week, month or year, and how many of them.
	Interval             string
	IntervalCount        int64
	CreatedAt, UpdatedAt time.Time
}

// AddPrice adds a price and returns its id; an empty id is made.
func (s *Server) AddPrice(p Price) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ID == "" {
		p.ID = s.newID("price")
	}
	if p.Interval != "" && p.IntervalCount == 0 {
		p.IntervalCount = 1
	}
	if p.CreatedAt.IsZero() {
		p.CreatedAt = s.now()
	}
	if p.UpdatedAt.IsZero() {
		p.UpdatedAt = p.CreatedAt
	}
	s.prices.put(p.ID, p.CreatedAt, &p, "product:"+p.ProductID)
	return p.ID
}

func (s *Server) listPrices(c call) {
	in := c.r.URL.Query()
	s.mu.RLock()
	defer s.mu.RUnlock()
	product := s.productIn(c)
	if product == nil {
		return
	}
	q := query[Price]{key: "product:" + product.ID, limit: maxLimit, order: NewestFirst}
	if in.Get("limit") != "" {
		q.limit, _ = page(in)
	}
	_, q.offset = page(in)
	if ids := in.Get("ids"); ids != "" {
		wanted := strings.Split(ids, ",")
		q.keep = func(p *Price) bool { return slices.Contains(wanted, p.ID) }
	}
	found, total := s.prices.page(q)
	rows := make([]any, len(found))
	for i, p := range found {
		rows[i] = s.priceDocument(p, product.LocationID)
	}
	answerJSON(c.w, map[string]any{"prices": rows, "total": total})
}

func (s *Server) getPrice(c call) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	product := s.productIn(c)
	if product == nil {
		return
	}
	p := s.prices.byID[c.r.PathValue("priceId")]
	if p == nil || p.ProductID != product.ID {
		answerError(c.w, http.StatusBadRequest, "Price not found", "")
		return
	}
	answerJSON(c.w, s.priceDocument(p, product.LocationID))
}

// priceDocument is a price as answers show it: without the SKU.
func (s *Server) priceDocument(p *Price, locationID string) map[string]any {
	doc := map[string]any{"_id": p.ID, "locationId": locationID, "product": p.ProductID, "name": p.Name,
		"type": p.kind(), "currency": s.currency(p.Amount.Currency, p.ID), "amount": s.money(p.Amount),
		"variantOptionIds": []any{}, "membershipOffers": []any{}, "trackInventory": nil, "availableQuantity": 0,
		"allowOutOfStockPurchases": true, "createdAt": stamp(p.CreatedAt), "updatedAt": stamp(p.UpdatedAt)}
	if p.Interval != "" {
		doc["recurring"] = map[string]any{"interval": p.Interval, "intervalCount": p.IntervalCount}
	}
	return doc
}

func (p *Price) kind() string {
	if p.Interval != "" {
		return "recurring"
	}
	return "one_time"
}
