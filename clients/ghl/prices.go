package ghl

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Prices are the prices of products. Every price belongs to one product.
type Prices struct{ api *api }

// CatalogPrice is a price as the location keeps it. The stock keeping unit is not told here but in the inventory.
type CatalogPrice struct {
	ID         string `json:"id"`
	ProductID  string `json:"productId"`
	LocationID string `json:"locationId"`
	Name       string `json:"name"`
	// Type is one_time or recurring.
	Type string `json:"type"`
	// Currency is an ISO 4217 code in any case.
	Currency string `json:"currency"`
	// Amount and CompareAt are for one piece, in major units.
	Amount    domain.Number `json:"amount,omitempty"`
	CompareAt domain.Number `json:"compareAt,omitempty"`
	// Recurring is empty for a price paid once.
	Recurring        Recurring         `json:"recurring"`
	VariantOptionIDs []string          `json:"variantOptionIds,omitempty"`
	MembershipOffers []MembershipOffer `json:"membershipOffers,omitempty"`
	TrackInventory   bool              `json:"trackInventory"`
	// Available is the number of pieces, if HighLevel says.
	Available       domain.Number `json:"available,omitempty"`
	AllowOutOfStock bool          `json:"allowOutOfStock"`
	CreatedAt       time.Time     `json:"createdAt"`
	UpdatedAt       time.Time     `json:"updatedAt"`
}

// Recurring is how often a recurring price is charged.
type Recurring struct {
	// Interval is day, week, month or year; Count is the number of them between two charges.
	Interval string `json:"interval,omitempty"`
	Count    int64  `json:"count,omitempty"`
}

// MembershipOffer is a course that is sold with a price.
type MembershipOffer struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	Value string `json:"value"`
}

// PriceInput is a price as it shall be. Whether a change keeps or clears what is left out is not documented (A30): give all
// of it.
type PriceInput struct {
	// Name and Type are required; Type is as in CatalogPrice.
	Name, Type string
	// Amount is for one piece. SetupFee and CompareAt are of the same currency, or nil.
	Amount              domain.Money
	SetupFee, CompareAt *domain.Money
	// Recurring is required for a recurring price.
	Recurring   Recurring
	Description string
	// TrialDays and TotalCycles belong to a recurring price; 0 for none, and for no end.
	TrialDays, TotalCycles int64
	VariantOptionIDs       []string
	MembershipOffers       []MembershipOffer
	// SKU is the stock keeping unit.
	SKU string
	// TrackInventory makes HighLevel count pieces; Available is their number, left alone if nil.
	TrackInventory  bool
	Available       *int64
	AllowOutOfStock bool
}

// PriceFilter narrows a list of prices. Empty fields do not filter.
type PriceFilter struct {
	IDs []string
	// Limit is the page size, at most and by default 100.
	Limit int
}

// Page reads one page of a product's prices, from the place given on.
func (s *Prices) Page(ctx context.Context, productID string, filter PriceFilter, at Cursor) (Page[CatalogPrice], error) {
	query := s.api.byLocation()
	setText(query, "ids", strings.Join(filter.IDs, ","))
	params := map[string]string{"productId": productID}
	return page(ctx, s.api, listing{op: pricesList, params: params, query: query, limit: filter.Limit}, at, DecodePrice)
}

// All walks all prices of a product. A *RowError stands for one unreadable row and the walk goes on; any other error
// ends it.
func (s *Prices) All(ctx context.Context, productID string, filter PriceFilter) iter.Seq2[CatalogPrice, error] {
	return all(ctx, func(ctx context.Context, at Cursor) (Page[CatalogPrice], error) {
		return s.Page(ctx, productID, filter, at)
	})
}

// Get reads one price of a product. IsNotFound tells that there is none, or no such product.
func (s *Prices) Get(ctx context.Context, productID, priceID string) (CatalogPrice, error) {
	r := request{params: map[string]string{"productId": productID, "priceId": priceID}, query: s.api.byLocation()}
	return call(ctx, s.api, pricesGet, r, DecodePrice)
}

// Create makes a price of a product. Nothing keeps HighLevel from making it twice: list the prices first.
func (s *Prices) Create(ctx context.Context, productID string, in PriceInput) (CatalogPrice, error) {
	return s.write(ctx, pricesCreate, map[string]string{"productId": productID}, in)
}

// Update replaces a price by what is given.
func (s *Prices) Update(ctx context.Context, productID, priceID string, in PriceInput) (CatalogPrice, error) {
	return s.write(ctx, pricesUpdate, map[string]string{"productId": productID, "priceId": priceID}, in)
}

// Delete removes a price.
func (s *Prices) Delete(ctx context.Context, productID, priceID string) error {
	r := request{params: map[string]string{"productId": productID, "priceId": priceID}, query: s.api.byLocation()}
	return s.api.do(ctx, pricesDelete, r, &confirmation{})
}

func (s *Prices) write(ctx context.Context, op Operation, params map[string]string, in PriceInput) (CatalogPrice, error) {
	err := need(op, "the name", in.Name, "the type", in.Type, "the currency", string(in.Amount.Currency))
	if err != nil {
		return CatalogPrice{}, err
	}
	for _, other := range []*domain.Money{in.SetupFee, in.CompareAt} {
		if other != nil && other.Currency != in.Amount.Currency {
			return CatalogPrice{}, wrong(op, "its amounts are of different currencies")
		}
	}
	body := priceBody{
		Name: in.Name, Type: in.Type, Currency: string(in.Amount.Currency), Amount: in.Amount.Decimal(),
		LocationID: s.api.location, Description: in.Description, TrialPeriod: in.TrialDays, TotalCycles: in.TotalCycles,
		SetupFee: digits(in.SetupFee), CompareAt: digits(in.CompareAt), VariantOptionIDs: in.VariantOptionIDs, SKU: in.SKU,
		TrackInventory: in.TrackInventory, Available: in.Available, AllowOutOfStock: in.AllowOutOfStock,
	}
	if in.Recurring.Interval != "" {
		body.Recurring = &recurringBody{in.Recurring.Interval, max(in.Recurring.Count, 1)}
	}
	for _, o := range in.MembershipOffers {
		body.Offers = append(body.Offers, offerBody(o))
	}
	return call(ctx, s.api, op, request{params: params, body: body}, DecodePrice)
}

type priceBody struct {
	Name             string         `json:"name"`
	Type             string         `json:"type"`
	Currency         string         `json:"currency"`
	Amount           domain.Number  `json:"amount"`
	LocationID       string         `json:"locationId"`
	Recurring        *recurringBody `json:"recurring,omitempty"`
	Description      string         `json:"description,omitempty"`
	Offers           []offerBody    `json:"membershipOffers,omitempty"`
	TrialPeriod      int64          `json:"trialPeriod,omitempty"`
	TotalCycles      int64          `json:"totalCycles,omitempty"`
	SetupFee         domain.Number  `json:"setupFee,omitempty"`
	CompareAt        domain.Number  `json:"compareAtPrice,omitempty"`
	VariantOptionIDs []string       `json:"variantOptionIds,omitempty"`
	SKU              string         `json:"sku,omitempty"`
	TrackInventory   bool           `json:"trackInventory"`
	Available        *int64         `json:"availableQuantity,omitempty"`
	AllowOutOfStock  bool           `json:"allowOutOfStockPurchases"`
}

type recurringBody struct {
	Interval string `json:"interval"`
	Count    int64  `json:"intervalCount"`
}

type offerBody struct {
	ID    string `json:"_id"`
	Label string `json:"label"`
	Value string `json:"value"`
}

type priceWire struct {
	ID               text                    `json:"_id"`
	ProductID        text                    `json:"product"`
	LocationID       text                    `json:"locationId"`
	Name             text                    `json:"name"`
	Type             text                    `json:"type"`
	PriceType        text                    `json:"priceType"`
	Currency         text                    `json:"currency"`
	Amount           domain.Number           `json:"amount"`
	CompareAt        domain.Number           `json:"compareAtPrice"`
	Recurring        object[recurringWire]   `json:"recurring"`
	VariantOptionIDs list[text]              `json:"variantOptionIds"`
	Offers           list[object[offerWire]] `json:"membershipOffers"`
	TrackInventory   flag                    `json:"trackInventory"`
	Available        domain.Number           `json:"availableQuantity"`
	AllowOutOfStock  flag                    `json:"allowOutOfStockPurchases"`
	CreatedAt        moment                  `json:"createdAt"`
	UpdatedAt        moment                  `json:"updatedAt"`
}

type recurringWire struct {
	Interval text  `json:"interval"`
	Count    count `json:"intervalCount"`
}

type offerWire struct {
	ID    text `json:"_id"`
	Label text `json:"label"`
	Value text `json:"value"`
}

// DecodePrice reads a price from an answer, a list row or the body of a price webhook. PriceCreate is the one that
// calls the type priceType.
func DecodePrice(data []byte) (CatalogPrice, error) {
	var w priceWire
	if err := unmarshal(data, &w); err != nil {
		return CatalogPrice{}, fmt.Errorf("price: %w", err)
	}
	if w.ID == "" {
		return CatalogPrice{}, fmt.Errorf("price: %w", errNoID)
	}
	p := CatalogPrice{
		ID: string(w.ID), ProductID: string(w.ProductID), LocationID: string(w.LocationID), Name: string(w.Name),
		Type: first(w.PriceType, w.Type), Currency: string(w.Currency), Amount: w.Amount, CompareAt: w.CompareAt,
		Recurring:        Recurring{Interval: string(w.Recurring.v.Interval), Count: int64(w.Recurring.v.Count)},
		VariantOptionIDs: texts(w.VariantOptionIDs), TrackInventory: w.TrackInventory.on, Available: w.Available,
		AllowOutOfStock: w.AllowOutOfStock.on, CreatedAt: w.CreatedAt.Time, UpdatedAt: w.UpdatedAt.Time,
	}
	for _, o := range w.Offers {
		p.MembershipOffers = append(p.MembershipOffers, MembershipOffer{ID: string(o.v.ID), Label: string(o.v.Label), Value: string(o.v.Value)})
	}
	return p, nil
}
