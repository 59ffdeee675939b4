package activities

import (
	"context"
	"time"
)

// SageBooks is a part of Sage's side.
type SageBooks string

// The parts, in the order in which they are read. The last one is for full readings only: it looks for what was known and
// was not listed.
const (
	SageSalesRows     SageBooks = "sales"
	SageOpportunities SageBooks = "opportunities"
	SageOrders        SageBooks = "orders"
	SageUnlisted      SageBooks = "unlisted"
)

// SageBooksCursor is a place in a part. The zero value is its beginning.
type SageBooksCursor struct {
	// List is which of the part's lists is read: by creation, by change, by deletion. Below bounds the ids, which come in
	// descending order; 0 is no bound.
	List  int   `json:"list,omitempty"`
	Below int64 `json:"below,omitempty"`
	// After is where the part of what was not listed goes on.
	After string `json:"after,omitempty"`
}

// ReadSageBooksInput asks for some pages of a part.
type ReadSageBooksInput struct {
	Location string          `json:"location"`
	Window   BooksWindow     `json:"window"`
	Part     SageBooks       `json:"part"`
	At       SageBooksCursor `json:"at"`
}

// SageBooksPage is what became of them. Everything of it is in the ledger.
type SageBooksPage struct {
	// Rows were read that are ours, Changed of them say something else than before, Looks hints were handed out for orders
	// that differ.
	Rows    int `json:"rows"`
	Changed int `json:"changed"`
	Looks   int `json:"looks,omitempty"`
	// Newest is the latest change that was seen, by Sage's own clock; zero if there was none.
	Newest time.Time       `json:"newest,omitzero"`
	Next   SageBooksCursor `json:"next"`
	Done   bool            `json:"done"`
}

// SageBooksParts are the parts that a window's run reads, in their order.
func SageBooksParts(full bool) []SageBooks {
	parts := []SageBooks{SageSalesRows, SageOpportunities, SageOrders}
	if full {
		parts = append(parts, SageUnlisted)
	}
	return parts
}

// ReadSageBooks reads what changed at Sage into the ledger: booked sales, opportunities and orders that bear external ids
// of ours, deleted ones, duplicates and what people edited included. What agrees with HighLevel no more is to be brought
// again; orders get a hint.
func (a *Sage) ReadSageBooks(ctx context.Context, in ReadSageBooksInput) (SageBooksPage, error) {
	ctx, stop := alive(ctx)
	defer stop()
	r := &sageReading{sage: a, in: in}
	err := r.run(ctx)
	return r.page, a.fail(ctx, r.conn.settles(err))
}
