package ghl

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Inventory is the stock of the location, by price. It is the only place where HighLevel tells a stock keeping unit.
type Inventory struct{ api *api }

// Stock is how many pieces there are of what one price sells.
type Stock struct {
	PriceID   string `json:"priceId"`
	ProductID string `json:"productId"`
	// Name is the price's, ProductName the product's.
	Name        string `json:"name"`
	ProductName string `json:"productName,omitempty"`
	// SKU is the stock keeping unit.
	SKU string `json:"sku,omitempty"`
	// Available is the number of pieces, if HighLevel says.
	Available       domain.Number `json:"available,omitempty"`
	AllowOutOfStock bool          `json:"allowOutOfStock"`
	UpdatedAt       time.Time     `json:"updatedAt"`
}

// StockFilter narrows the inventory. Empty fields do not filter.
type StockFilter struct {
	// Search is looked for in names of products.
	Search string
	// Limit is the page size, at most and by default 100.
	Limit int
}

// StockChange sets the stock of one price. What is nil stays as it is.
type StockChange struct {
	PriceID         string
	Available       *int64
	AllowOutOfStock *bool
}

// Page reads one page of the inventory, from the place given on.
func (s *Inventory) Page(ctx context.Context, filter StockFilter, at Cursor) (Page[Stock], error) {
	query := s.api.tenant()
	setText(query, "search", filter.Search)
	return page(ctx, s.api, listing{op: inventoryList, query: query, limit: filter.Limit}, at, DecodeStock)
}

// All walks the inventory. A *RowError stands for one unreadable row and the walk goes on; any other error ends it.
func (s *Inventory) All(ctx context.Context, filter StockFilter) iter.Seq2[Stock, error] {
	return all(ctx, func(ctx context.Context, at Cursor) (Page[Stock], error) { return s.Page(ctx, filter, at) })
}

// Update sets stocks. It states numbers, not differences, so it can be repeated; but a sale in between is overwritten.
func (s *Inventory) Update(ctx context.Context, changes []StockChange) error {
	if len(changes) == 0 {
		return wrong(inventoryUpdate, "it has no changes")
	}
	type item struct {
		PriceID         string `json:"priceId"`
		Available       *int64 `json:"availableQuantity,omitempty"`
		AllowOutOfStock *bool  `json:"allowOutOfStockPurchases,omitempty"`
	}
	body := struct {
		tenantBody
		Items []item `json:"items"`
	}{tenantBody: s.api.tenantBody()}
	for _, c := range changes {
		if err := need(inventoryUpdate, "the price id of a change", c.PriceID); err != nil {
			return err
		}
		body.Items = append(body.Items, item(c))
	}
	return s.api.do(ctx, inventoryUpdate, request{body: body}, &confirmation{})
}

// DecodeStock reads a row of the inventory.
func DecodeStock(data []byte) (Stock, error) {
	var w struct {
		ID              text          `json:"_id"`
		ProductID       text          `json:"product"`
		Name            text          `json:"name"`
		ProductName     text          `json:"productName"`
		SKU             text          `json:"sku"`
		Available       domain.Number `json:"availableQuantity"`
		AllowOutOfStock flag          `json:"allowOutOfStockPurchases"`
		UpdatedAt       moment        `json:"updatedAt"`
	}
	if err := unmarshal(data, &w); err != nil {
		return Stock{}, fmt.Errorf("stock: %w", err)
	}
	if w.ID == "" {
		return Stock{}, fmt.Errorf("stock: %w", errNoID)
	}
	return Stock{
		PriceID: string(w.ID), ProductID: string(w.ProductID), Name: string(w.Name), ProductName: string(w.ProductName),
		SKU: string(w.SKU), Available: w.Available, AllowOutOfStock: w.AllowOutOfStock.on, UpdatedAt: w.UpdatedAt.Time,
	}, nil
}
