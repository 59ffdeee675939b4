package activities

import (
	"context"
)

// BringBooksInput names what is to be brought into Sage.
type BringBooksInput struct {
	Location string `json:"location"`
	// IDs are HighLevel's: of transactions for BringPayments, of subscriptions for BringSubscriptions. Some dozens at once.
	IDs []string `json:"ids"`
}

// UnknownCustomer is a customer that Sage does not have yet, or no more, and what waits for them.
type UnknownCustomer struct {
	ExtID     string   `json:"extId"`
	ContactID string   `json:"contactId,omitempty"`
	IDs       []string `json:"ids"`
}

// BringBooksResult counts what became of them.
type BringBooksResult struct {
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	// Removed are second records of ours that a late write had left.
	Removed int `json:"removed,omitempty"`
	// Apart are kept out of the rows by rule: another currency, or refunds and rows that the settings do not want.
	Apart int `json:"apart,omitempty"`
	// Parked could not be brought; they are parked with the reason, and tried again in the next run.
	Parked int `json:"parked,omitempty"`
	// Waiting are payments of guests whose order must be brought first.
	Waiting int `json:"waiting,omitempty"`
	// Unknown are customers to be read with ReadCustomer and brought with BringCustomer, before their IDs are brought by
	// another call.
	Unknown []UnknownCustomer `json:"unknown,omitempty"`
}

// BringPayments makes Sage's booked sales say what HighLevel says of payments and their refunds, each row once, by
// external id.
func (a *Sage) BringPayments(ctx context.Context, in BringBooksInput) (BringBooksResult, error) {
	ctx, stop := alive(ctx)
	defer stop()
	p := &paymentsRun{booksRun: booksRun{sage: a, in: in}}
	err := p.run(ctx)
	return p.result, a.fail(ctx, p.conn.settles(err))
}
