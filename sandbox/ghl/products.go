package ghl

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Product is something sold. Type is PHYSICAL, DIGITAL, SERVICE or PHYSICAL/DIGITAL.
type Product struct {
	ID, LocationID, Name, Type string
	CreatedAt, UpdatedAt       time.Time
}

// AddProduct adds a product and returns its id; an empty id is made.
func (s *Server) AddProduct(p Product) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ID == "" {
		p.ID = s.newID("product")
	}
	if p.LocationID == "" {
		p.LocationID = s.opts.LocationID
	}
	if p.Type == "" {
		p.Type = "PHYSICAL"
	}
	if p.CreatedAt.IsZero() {
		p.CreatedAt = s.now()
	}
	if p.UpdatedAt.IsZero() {
		p.UpdatedAt = p.CreatedAt
	}
	s.products.put(p.ID, p.CreatedAt, &p, "location:"+p.LocationID)
	return p.ID
}

// EditProduct changes a product, its type for instance, and renews its updatedAt. It reports whether there is one.
func (s *Server) EditProduct(id string, edit func(*Product)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.products.byID[id]
	if p == nil {
		return false
	}
	edit(p)
	p.UpdatedAt = later(p.UpdatedAt, s.now())
	return true
}

func (s *Server) productRoutes() {
	const products, prices = "products.readonly", "products/prices.readonly"
	s.handle(operation{method: http.MethodGet, path: "/products/", name: "ghl.products.list", scope: products,
		may: everybody, query: []string{"locationId*", "limit", "offset", "search", "collectionIds", "collectionSlug",
			"expand", "productIds", "storeId", "includedInStore", "availableInStore", "sortOrder"}}, s.listProducts)
	s.handle(operation{method: http.MethodGet, path: "/products/{productId}", name: "ghl.products.get", scope: products,
		may: everybody, query: []string{"locationId*", "sendWishlistStatus"}}, s.getProduct)
	s.handle(operation{method: http.MethodGet, path: "/products/{productId}/price", name: "ghl.prices.list",
		scope: prices, may: everybody, query: []string{"locationId*", "limit", "offset", "ids"}}, s.listPrices)
	s.handle(operation{method: http.MethodGet, path: "/products/{productId}/price/{priceId}", name: "ghl.prices.get",
		scope: prices, may: everybody, query: []string{"locationId*"}}, s.getPrice)
}

func (s *Server) listProducts(c call) {
	in := c.r.URL.Query()
	q := query[Product]{key: "location:" + c.loc.id, limit: maxLimit}
	if in.Get("limit") != "" { // the published default is 0, which can't be meant: all that a page holds
		q.limit, _ = page(in)
	}
	_, q.offset = page(in)
	q.order = NewestFirst
	if in.Get("sortOrder") == "asc" {
		q.order = OldestFirst
	}
	q.keep = productFilter(in)
	s.mu.RLock()
	defer s.mu.RUnlock()
	found, total := s.products.page(q)
	rows := make([]any, len(found))
	for i, p := range found {
		rows[i] = p.document()
	}
	answerJSON(c.w, map[string]any{"products": rows, "total": []any{map[string]any{"total": total}}})
}

// productFilter keeps none for a collection, as the sandbox has no collections.
func productFilter(in url.Values) func(*Product) bool {
	var tests filters[Product]
	tests.add(in, "search", func(p *Product, v string) bool {
		return strings.Contains(strings.ToLower(p.Name), strings.ToLower(v))
	})
	tests.add(in, "collectionIds", func(*Product, string) bool { return false })
	tests.add(in, "collectionSlug", func(*Product, string) bool { return false })
	tests.add(in, "availableInStore", func(_ *Product, v string) bool { return v == "true" })
	if ids := in["productIds"]; len(ids) > 0 {
		tests = append(tests, func(p *Product) bool { return slices.Contains(ids, p.ID) })
	}
	if len(tests) == 0 {
		return nil
	}
	return tests.all
}

func (s *Server) getProduct(c call) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p := s.productIn(c); p != nil {
		answerJSON(c.w, p.document())
	}
}

// productIn is the product of the path, or nil after the answer that there is none.
func (s *Server) productIn(c call) *Product {
	p := s.products.byID[c.r.PathValue("productId")]
	if p == nil || p.LocationID != c.loc.id {
		answerError(c.w, http.StatusBadRequest, "Product not found", "")
		return nil
	}
	return p
}

// document is a product as answers show it.
func (p *Product) document() map[string]any {
	return map[string]any{"_id": p.ID, "locationId": p.LocationID, "name": p.Name, "productType": p.Type,
		"availableInStore": true, "isTaxesEnabled": false, "variants": []any{}, "taxes": []any{},
		"collectionIds": []any{}, "createdAt": stamp(p.CreatedAt), "updatedAt": stamp(p.UpdatedAt)}
}

// productOf is what a line sold, as far as it is known: an order that was imported names products without a type.
func (s *Server) productOf(o *Order, item Item) *Product {
	if known := s.products.byID[item.Price.ProductID]; known != nil {
		return known
	}
	return &Product{ID: item.Price.ProductID, LocationID: o.LocationID, Name: item.Name, Type: "PHYSICAL",
		CreatedAt: o.CreatedAt, UpdatedAt: o.CreatedAt}
}
