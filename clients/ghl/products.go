package ghl

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Products are what the location sells. What a product costs is in its prices, of which it can have many; how many
// pieces there are, and the stock keeping unit, are in the inventory.
type Products struct{ api *api }

// CatalogProduct is a product as the location keeps it. It has no field for an id of another system.
type CatalogProduct struct {
	ID         string `json:"id"`
	LocationID string `json:"locationId"`
	Name       string `json:"name"`
	// Type is DIGITAL, PHYSICAL, SERVICE or PHYSICAL/DIGITAL.
	Type string `json:"type"`
	// Description is HTML.
	Description string `json:"description,omitempty"`
	// Image is an address.
	Image               string    `json:"image,omitempty"`
	StatementDescriptor string    `json:"statementDescriptor,omitempty"`
	AvailableInStore    bool      `json:"availableInStore"`
	Variants            []Variant `json:"variants,omitempty"`
	CollectionIDs       []string  `json:"collectionIds,omitempty"`
	TaxesEnabled        bool      `json:"taxesEnabled"`
	TaxIDs              []string  `json:"taxIds,omitempty"`
	TaxCategoryID       string    `json:"taxCategoryId,omitempty"`
	// Slug is not unique: HighLevel takes the same one twice without a word.
	Slug      string    `json:"slug,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Variant is a property in which pieces of a product differ, such as the size, with its values.
type Variant struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Options []VariantOption `json:"options"`
}

// VariantOption is one value of a Variant.
type VariantOption struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// ProductInput is a product as it shall be. Whether a change keeps or clears what is left out is not documented (A30): give
// all of it.
type ProductInput struct {
	// Name and Type are required; Type is as in CatalogProduct.
	Name, Type string
	// Description is HTML; Image is an address.
	Description, Image  string
	StatementDescriptor string
	AvailableInStore    bool
	Variants            []Variant
	CollectionIDs       []string
	TaxesEnabled        bool
	TaxIDs              []string
	TaxCategoryID       string
	// TaxInclusive says that prices include tax. It cannot be read back.
	TaxInclusive bool
	Slug         string
}

// ProductFilter narrows a list of products. Empty fields do not filter.
type ProductFilter struct {
	// Search is looked for in names.
	Search           string
	CollectionIDs    []string
	IDs              []string
	AvailableInStore *bool
	// Limit is the page size, at most and by default 100.
	Limit int
}

// Page reads one page of products, from the place given on.
func (s *Products) Page(ctx context.Context, filter ProductFilter, at Cursor) (Page[CatalogProduct], error) {
	query := s.api.byLocation()
	setText(query, "search", filter.Search)
	setText(query, "collectionIds", strings.Join(filter.CollectionIDs, ","))
	for _, id := range filter.IDs {
		query.Add("productIds", id)
	}
	setBool(query, "availableInStore", filter.AvailableInStore)
	return page(ctx, s.api, listing{op: productsList, query: query, limit: filter.Limit}, at, DecodeProduct)
}

// All walks all products of the filter. A *RowError stands for one unreadable row and the walk goes on; any other error
// ends it.
func (s *Products) All(ctx context.Context, filter ProductFilter) iter.Seq2[CatalogProduct, error] {
	return all(ctx, func(ctx context.Context, at Cursor) (Page[CatalogProduct], error) { return s.Page(ctx, filter, at) })
}

// Get reads one product. IsNotFound tells that there is none.
func (s *Products) Get(ctx context.Context, id string) (CatalogProduct, error) {
	return get(ctx, s.api, productsGet, "productId", id, s.api.byLocation(), DecodeProduct)
}

// Create makes a product. Nothing keeps HighLevel from making it twice: search for it first.
func (s *Products) Create(ctx context.Context, in ProductInput) (CatalogProduct, error) {
	return s.write(ctx, productsCreate, nil, in)
}

// Update replaces a product by what is given.
func (s *Products) Update(ctx context.Context, id string, in ProductInput) (CatalogProduct, error) {
	return s.write(ctx, productsUpdate, map[string]string{"productId": id}, in)
}

// Delete removes a product.
func (s *Products) Delete(ctx context.Context, id string) error {
	r := request{params: map[string]string{"productId": id}, query: s.api.byLocation()}
	return s.api.do(ctx, productsDelete, r, &confirmation{})
}

func (s *Products) write(ctx context.Context, op Operation, params map[string]string, in ProductInput) (CatalogProduct, error) {
	if err := need(op, "the name", in.Name, "the type", in.Type); err != nil {
		return CatalogProduct{}, err
	}
	return call(ctx, s.api, op, request{params: params, body: productBody{
		Name: in.Name, LocationID: s.api.location, ProductType: in.Type, Description: in.Description, Image: in.Image,
		StatementDescriptor: in.StatementDescriptor, AvailableInStore: in.AvailableInStore, Variants: in.Variants,
		CollectionIDs: in.CollectionIDs, TaxesEnabled: in.TaxesEnabled, Taxes: in.TaxIDs, TaxCategory: in.TaxCategoryID,
		TaxInclusive: in.TaxInclusive, Slug: in.Slug,
	}}, DecodeProduct)
}

type productBody struct {
	Name                string    `json:"name"`
	LocationID          string    `json:"locationId"`
	ProductType         string    `json:"productType"`
	Description         string    `json:"description,omitempty"`
	Image               string    `json:"image,omitempty"`
	StatementDescriptor string    `json:"statementDescriptor,omitempty"`
	AvailableInStore    bool      `json:"availableInStore"`
	Variants            []Variant `json:"variants,omitempty"`
	CollectionIDs       []string  `json:"collectionIds,omitempty"`
	TaxesEnabled        bool      `json:"isTaxesEnabled"`
	Taxes               []string  `json:"taxes,omitempty"`
	TaxCategory         string    `json:"automaticTaxCategoryId,omitempty"`
	TaxInclusive        bool      `json:"taxInclusive"`
	Slug                string    `json:"slug,omitempty"`
}

type productWire struct {
	ID                  text                      `json:"_id"`
	LocationID          text                      `json:"locationId"`
	Name                text                      `json:"name"`
	ProductType         text                      `json:"productType"`
	Description         text                      `json:"description"`
	Image               text                      `json:"image"`
	StatementDescriptor text                      `json:"statementDescriptor"`
	AvailableInStore    flag                      `json:"availableInStore"`
	Variants            list[object[variantWire]] `json:"variants"`
	CollectionIDs       list[text]                `json:"collectionIds"`
	TaxesEnabled        flag                      `json:"isTaxesEnabled"`
	Taxes               list[text]                `json:"taxes"`
	TaxCategory         text                      `json:"automaticTaxCategoryId"`
	Slug                text                      `json:"slug"`
	CreatedAt           moment                    `json:"createdAt"`
	UpdatedAt           moment                    `json:"updatedAt"`
}

type variantWire struct {
	ID      text                     `json:"id"`
	Name    text                     `json:"name"`
	Options list[object[optionWire]] `json:"options"`
}

type optionWire struct {
	ID   text `json:"id"`
	Name text `json:"name"`
}

// DecodeProduct reads a product from an answer, a list row or the body of a product webhook.
func DecodeProduct(data []byte) (CatalogProduct, error) {
	var w productWire
	if err := unmarshal(data, &w); err != nil {
		return CatalogProduct{}, fmt.Errorf("product: %w", err)
	}
	if w.ID == "" {
		return CatalogProduct{}, fmt.Errorf("product: %w", errNoID)
	}
	p := CatalogProduct{
		ID: string(w.ID), LocationID: string(w.LocationID), Name: string(w.Name), Type: string(w.ProductType),
		Description: string(w.Description), Image: string(w.Image), StatementDescriptor: string(w.StatementDescriptor),
		AvailableInStore: w.AvailableInStore.on, CollectionIDs: texts(w.CollectionIDs), TaxesEnabled: w.TaxesEnabled.on,
		TaxIDs: texts(w.Taxes), TaxCategoryID: string(w.TaxCategory), Slug: string(w.Slug),
		CreatedAt: w.CreatedAt.Time, UpdatedAt: w.UpdatedAt.Time,
	}
	for _, one := range w.Variants {
		v := Variant{ID: string(one.v.ID), Name: string(one.v.Name)}
		for _, option := range one.v.Options {
			v.Options = append(v.Options, VariantOption{ID: string(option.v.ID), Name: string(option.v.Name)})
		}
		p.Variants = append(p.Variants, v)
	}
	return p, nil
}
