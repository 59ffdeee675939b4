package activities

import (
	"context"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
)

// BooksWindow is what one run of the reconciliation covers.
type BooksWindow struct {
	// From and To bound HighLevel's transactions and orders, by when they were made. Subscriptions are always read all: no
	// filter tells which of them changed.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Began is when the books began: what is older is not brought unless it is in the books already.
	Began time.Time `json:"began"`
	// SageSince is from when on the changes at Sage are read, by Sage's own clock; zero reads everything there is. Full says
	// that it does, so that what is not found any more is looked for one by one.
	SageSince time.Time `json:"sageSince,omitzero"`
	Full      bool      `json:"full,omitempty"`
	// Opened is when the run began.
	Opened time.Time `json:"opened"`
}

// ReadBooksInput asks for one page of HighLevel's side.
type ReadBooksInput struct {
	Location string      `json:"location"`
	Window   BooksWindow `json:"window"`
	At       ghl.Cursor  `json:"at"`
	// Again has all that is read brought again although nothing of it changed, as after a change of settings.
	Again bool `json:"again,omitempty"`
}

// BooksPage is what became of a page. Everything of it is in the ledger, and ToBring lists what of it is to be brought.
type BooksPage struct {
	// Rows were read, Changed of them say something else than before, Looks hints were handed out for payments whose order
	// never reached Sage, Unreadable rows could not be read and are parked with the reason.
	Rows       int        `json:"rows"`
	Changed    int        `json:"changed"`
	Looks      int        `json:"looks,omitempty"`
	Unreadable int        `json:"unreadable,omitempty"`
	Next       ghl.Cursor `json:"next"`
	Done       bool       `json:"done"`
}

// ReadTransactions reads one page of transactions into the ledger, payments and refunds.
func (g *GHL) ReadTransactions(ctx context.Context, in ReadBooksInput) (BooksPage, error) {
	ctx, stop := alive(ctx)
	defer stop()
	page, err := g.readTransactions(ctx, in)
	return page, asTemporal(err, attempt(ctx), 0)
}

// ReadOrderEntries reads one page of orders into the ledger. Transactions are to be read before: they say what is paid.
func (g *GHL) ReadOrderEntries(ctx context.Context, in ReadBooksInput) (BooksPage, error) {
	ctx, stop := alive(ctx)
	defer stop()
	page, err := g.readOrderEntries(ctx, in)
	return page, asTemporal(err, attempt(ctx), 0)
}

// ReadSubscriptions reads one page of subscriptions into the ledger: one call, and one more for each whose row changed
// or whose next renewal has passed.
func (g *GHL) ReadSubscriptions(ctx context.Context, in ReadBooksInput) (BooksPage, error) {
	ctx, stop := alive(ctx)
	defer stop()
	page, err := g.readSubscriptions(ctx, in)
	return page, asTemporal(err, attempt(ctx), 0)
}

// ReadCustomerInput names a customer that Sage does not know yet; it comes from BringBooksResult.Unknown.
type ReadCustomerInput struct {
	Location string `json:"location"`
	// ExtID is the customer's identity, ContactID the HighLevel contact, empty where there is none.
	ExtID     string `json:"extId"`
	ContactID string `json:"contactId,omitempty"`
}

// ReadCustomer reads a contact for BringCustomer, which takes the result as it is. Of a contact that is gone there is
// nothing but its id.
func (g *GHL) ReadCustomer(ctx context.Context, in ReadCustomerInput) (BringCustomerInput, error) {
	ctx, stop := alive(ctx)
	defer stop()
	customer, err := g.readCustomer(ctx, in)
	return customer, asTemporal(err, attempt(ctx), 0)
}
