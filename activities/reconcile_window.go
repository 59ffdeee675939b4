package activities

import (
	"context"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// The cursors by which the watchdog sees when a run of the reconciliation last came to its end: the moment at which it
// began.
const (
	ReconciliationMark     = "reconciliation"
	DeepReconciliationMark = "reconciliation-deep"
)

// OpenBooksWindowInput asks for the window of a run that starts now.
type OpenBooksWindowInput struct {
	Location string    `json:"location"`
	Now      time.Time `json:"now"`
	// Overlap is how far the run reaches back beyond the last one.
	Overlap time.Duration `json:"overlap"`
	// Deep reaches back over the whole time in which refunds are expected, and now and then reads all of Sage.
	Deep bool `json:"deep,omitempty"`
	// From and To are those of a backfill, which brings what is older than the books as well. To may be zero for now.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// OpenBooksWindow chooses what a run covers. It is run as a local activity.
func (l *Ledger) OpenBooksWindow(ctx context.Context, in OpenBooksWindowInput) (BooksWindow, error) {
	window, err := l.openBooksWindow(ctx, in)
	return window, asTemporal(err, attempt(ctx), 0)
}

// CloseBooksWindowInput is a window that was read and brought to its end.
type CloseBooksWindowInput struct {
	Location string      `json:"location"`
	Window   BooksWindow `json:"window"`
	Deep     bool        `json:"deep,omitempty"`
	// Backfill says that the window was a backfill's: it moves no cursor of HighLevel's.
	Backfill bool `json:"backfill,omitempty"`
	// SageNewest is the latest SageBooksPage.Newest.
	SageNewest time.Time `json:"sageNewest,omitzero"`
}

// CloseBooksWindow notes how far both sides were read. It is run as a local activity.
func (l *Ledger) CloseBooksWindow(ctx context.Context, in CloseBooksWindowInput) error {
	return asTemporal(l.closeBooksWindow(ctx, in), attempt(ctx), 0)
}

// ToBringInput asks for a page of what is in HighLevel's books and was not brought as it is.
type ToBringInput struct {
	Location string `json:"location"`
	// Kind is PaymentEntry, RefundEntry or SubscriptionEntry. The ids of the first two are for BringPayments.
	Kind  domain.EntryKind `json:"kind"`
	After string           `json:"after,omitempty"`
	Limit int              `json:"limit"`
}

// ToBringPage has the ids, and where the next page begins: empty after the last one. What is brought meanwhile moves
// nothing; what cannot be brought stays in the list for the next run, so one run goes through it once.
type ToBringPage struct {
	IDs  []string `json:"ids"`
	Next string   `json:"next,omitempty"`
}

// ToBring lists what is to be brought. It is run as a local activity.
func (l *Ledger) ToBring(ctx context.Context, in ToBringInput) (ToBringPage, error) {
	page, err := l.toBring(ctx, in)
	return page, asTemporal(err, attempt(ctx), 0)
}

// CompareBooksInput asks how the sides disagree on one kind.
type CompareBooksInput struct {
	Location string           `json:"location"`
	Kind     domain.EntryKind `json:"kind"`
	// From and Before bound the period; zero is no bound.
	From   time.Time `json:"from,omitzero"`
	Before time.Time `json:"before,omitzero"`
	Now    time.Time `json:"now"`
	// Age is how old a difference must be to count: younger ones are in flight.
	Age time.Duration `json:"age"`
}

// BooksComparison is how the sides stand.
type BooksComparison struct {
	Records int64 `json:"records"`
	// Differences are older than the age, InFlight younger. Findings counts those that are older by what is wrong.
	Differences int64                    `json:"differences"`
	InFlight    int64                    `json:"inFlight"`
	Findings    map[domain.Finding]int64 `json:"findings,omitempty"`
	// Oldest is since when the oldest difference stands.
	Oldest time.Time `json:"oldest,omitzero"`
	// Examples are the ids of some differences, HighLevel's or else Sage's.
	Examples []string       `json:"examples,omitempty"`
	Proofs   []domain.Proof `json:"proofs,omitempty"`
	// Again counts records that changed at Sage after they were agreed on, and are to be brought again.
	Again int64 `json:"again,omitempty"`
}

// CompareBooks compares both sides in the ledger alone; it calls no vendor.
func (l *Ledger) CompareBooks(ctx context.Context, in CompareBooksInput) (BooksComparison, error) {
	ctx, stop := alive(ctx)
	defer stop()
	result, err := l.compareBooks(ctx, in)
	return result, asTemporal(err, attempt(ctx), 0)
}
