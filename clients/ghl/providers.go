package ghl

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Providers are the white-label payment providers of the location: gateways that run on Authorize.net or NMI under
// another name.
type Providers struct{ api *api }

// Provider is a white-label payment provider.
type Provider struct {
	ID         string `json:"id"`
	LocationID string `json:"locationId"`
	Title      string `json:"title"`
	// Route is the name it has in addresses.
	Route string `json:"route"`
	// Kind is authorize-net or nmi.
	Kind        string    `json:"kind"`
	Description string    `json:"description,omitempty"`
	ImageURL    string    `json:"imageUrl,omitempty"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
}

// ProviderInput is a provider to be made. All of it is required.
type ProviderInput struct {
	// UniqueName has small letters and hyphens only.
	UniqueName string
	Title      string
	// Kind is authorize-net or nmi.
	Kind        string
	Description string
	// ImageURL is an https address.
	ImageURL string
}

// ProviderFilter says how to read the list; it cannot be narrowed.
type ProviderFilter struct {
	// Limit is the page size, at most and by default 100.
	Limit int
}

// Page reads one page of providers. HighLevel's file has one object where the list should be: one is taken for a list
// of one.
func (s *Providers) Page(ctx context.Context, filter ProviderFilter, at Cursor) (Page[Provider], error) {
	return page(ctx, s.api, listing{op: providersList, query: s.api.tenant(), limit: filter.Limit}, at, DecodeProvider)
}

// All walks all providers. A *RowError stands for one unreadable row and the walk goes on; any other error ends it.
func (s *Providers) All(ctx context.Context, filter ProviderFilter) iter.Seq2[Provider, error] {
	return all(ctx, func(ctx context.Context, at Cursor) (Page[Provider], error) { return s.Page(ctx, filter, at) })
}

// Create makes a provider. HighLevel allows it to the token of a marketplace app only, not to a private integration
// token.
func (s *Providers) Create(ctx context.Context, in ProviderInput) (Provider, error) {
	err := need(providersCreate, "the unique name", in.UniqueName, "the title", in.Title, "the kind", in.Kind,
		"the description", in.Description, "the image", in.ImageURL)
	if err != nil {
		return Provider{}, err
	}
	body := struct {
		tenantBody
		UniqueName  string `json:"uniqueName"`
		Title       string `json:"title"`
		Provider    string `json:"provider"`
		Description string `json:"description"`
		ImageURL    string `json:"imageUrl"`
	}{s.api.tenantBody(), in.UniqueName, in.Title, in.Kind, in.Description, in.ImageURL}
	return call(ctx, s.api, providersCreate, request{body: body}, DecodeProvider)
}

// DecodeProvider reads a provider from an answer or a list row.
func DecodeProvider(data []byte) (Provider, error) {
	var w struct {
		ID          text   `json:"_id"`
		AltID       text   `json:"altId"`
		Title       text   `json:"title"`
		Route       text   `json:"route"`
		Provider    text   `json:"provider"`
		Description text   `json:"description"`
		ImageURL    text   `json:"imageUrl"`
		CreatedAt   moment `json:"createdAt"`
		UpdatedAt   moment `json:"updatedAt"`
	}
	if err := unmarshal(data, &w); err != nil {
		return Provider{}, fmt.Errorf("provider: %w", err)
	}
	if w.ID == "" {
		return Provider{}, fmt.Errorf("provider: %w", errNoID)
	}
	return Provider{
		ID: string(w.ID), LocationID: string(w.AltID), Title: string(w.Title), Route: string(w.Route), Kind: string(w.Provider),
		Description: string(w.Description), ImageURL: string(w.ImageURL), CreatedAt: w.CreatedAt.Time, UpdatedAt: w.UpdatedAt.Time,
	}, nil
}
