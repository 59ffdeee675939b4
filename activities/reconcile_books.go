package activities

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// settleEntries compares what both sides say of some records in the ledger, and results in those that disagree. An order
// that agrees is done with, whoever made it so; what was agreed on and agrees no more is to be brought again. That the row
// of a payment or the opportunity of a subscription agrees does not say that what belongs to it is there as well, such as
// an order of its own: whoever made it may have died over it, or the ledger may be new. So those are brought, which finds
// them as they should be.
func settleEntries(ctx context.Context, books *store.Store, location string, kind domain.EntryKind, ids []string) ([]string, error) {
	here, err := ledgerOf(ctx, books, location, kind, domain.HighLevelSide, ids...)
	if err != nil {
		return nil, err
	}
	there, err := ledgerOf(ctx, books, location, kind, domain.SageSide, ids...)
	if err != nil {
		return nil, err
	}
	var agreed []store.Agreement
	var differ, again []string
	for _, id := range slices.Sorted(maps.Keys(here)) {
		e := here[id][0]
		switch {
		case len(store.Differences(kind, &e, there[id])) == 0:
			if kind == domain.OrderEntry && e.Agreed != e.Digest {
				agreed = append(agreed, store.Agreement{Kind: kind, ID: id, Digest: e.Digest})
			}
		default:
			differ = append(differ, id)
			if e.Agreed == e.Digest {
				again = append(again, id)
			}
		}
	}
	if err := books.Agree(ctx, location, agreed...); err != nil {
		return nil, err
	}
	_, err = books.Disagree(ctx, location, kind, again...)
	return differ, err
}

// The cursors in the store.
const (
	sageBooksCursor     = "sage-books"
	sageBooksFullCursor = "sage-books-full"
)

// fullEvery is how often a deep run reads all of Sage, in case a list of changes left something out.
const fullEvery = 7 * 24 * time.Hour

func (l *Ledger) openBooksWindow(ctx context.Context, in OpenBooksWindowInput) (BooksWindow, error) {
	window := BooksWindow{To: in.Now, Opened: in.Now}
	began, err := l.began(ctx, OpenWindowInput{Location: in.Location, Now: in.Now})
	if err != nil {
		return window, err
	}
	window.Began = began
	if err := l.sinceAtSage(ctx, in, &window); err != nil {
		return window, err
	}
	if !in.From.IsZero() { // a backfill
		window.From = in.From
		if !in.To.IsZero() && in.To.Before(in.Now) {
			window.To = in.To
		}
		if in.From.Before(began) {
			window.Began = in.From
		}
		return window, nil
	}
	last, found, err := l.Store.Cursor(ctx, in.Location, ReconciliationMark)
	if err != nil {
		return window, err
	}
	if !found {
		last = began
	}
	window.From = last.Add(-in.Overlap)
	if refunds := in.Now.Add(-l.RefundWindow); in.Deep && refunds.Before(window.From) {
		window.From = refunds
	}
	return window, nil
}

// sinceAtSage chooses from when on Sage is read: all of it at first, and now and then in deep runs.
func (l *Ledger) sinceAtSage(ctx context.Context, in OpenBooksWindowInput, window *BooksWindow) error {
	since, found, err := l.Store.Cursor(ctx, in.Location, sageBooksCursor)
	if err != nil {
		return err
	}
	full, read, err := l.Store.Cursor(ctx, in.Location, sageBooksFullCursor)
	if err != nil {
		return err
	}
	if !found || !read || (in.Deep && in.Now.Sub(full) >= fullEvery) {
		window.Full = true
		return nil
	}
	window.SageSince = since
	return nil
}

func (l *Ledger) closeBooksWindow(ctx context.Context, in CloseBooksWindowInput) error {
	window := in.Window
	next := in.SageNewest
	if next.After(window.Opened) {
		// What changed since the run began was seen by the lists that were read later, and not by those before: a run may
		// have been stopped for days in between. Sage's clock may run ahead, for which its readings reach back by a day.
		next = window.Opened
	}
	if next.IsZero() {
		next = window.SageSince
	}
	if next.IsZero() { // Sage holds nothing of ours yet. Its clock is unknown, and its readings reach back by a day.
		next = window.Opened
	}
	if err := l.forward(ctx, in.Location, sageBooksCursor, next); err != nil {
		return err
	}
	if window.Full {
		if err := l.forward(ctx, in.Location, sageBooksFullCursor, window.Opened); err != nil {
			return err
		}
	}
	if in.Backfill {
		return nil
	}
	if in.Deep {
		if err := l.forward(ctx, in.Location, DeepReconciliationMark, window.Opened); err != nil {
			return err
		}
	}
	return l.forward(ctx, in.Location, ReconciliationMark, window.Opened)
}

// forward moves a cursor, never back.
func (l *Ledger) forward(ctx context.Context, location, name string, at time.Time) error {
	last, found, err := l.Store.Cursor(ctx, location, name)
	if err != nil || (found && !at.After(last)) {
		return err
	}
	return l.Store.SetCursor(ctx, location, name, at)
}

func (l *Ledger) toBring(ctx context.Context, in ToBringInput) (ToBringPage, error) {
	entries, next, err := l.Store.Unagreed(ctx, in.Location, in.Kind, store.Page{Limit: in.Limit, After: in.After})
	page := ToBringPage{IDs: make([]string, len(entries)), Next: next}
	for i, e := range entries {
		page.IDs[i] = e.ID
	}
	return page, err
}

// examples is how many differences a comparison names.
const examples = 10

func (l *Ledger) compareBooks(ctx context.Context, in CompareBooksInput) (BooksComparison, error) {
	result := BooksComparison{Findings: map[domain.Finding]int64{}}
	var tally domain.Tally
	var again []string
	filter := store.CompareFilter{Location: in.Location, Kind: in.Kind, From: in.From, Before: in.Before}
	doing(ctx, "comparing the books")
	err := l.Store.ComparePages(ctx, filter, func(id string, ghl *store.LedgerEntry, sage []store.LedgerEntry) error {
		result.Records++
		found := store.Differences(in.Kind, ghl, sage)
		result.add(in, found)
		if len(found) > 0 && changedSince(ghl, sage) {
			again = append(again, id)
		}
		return addTo(&tally, in.Kind, ghl, sage, found)
	})
	if err != nil {
		return result, err
	}
	result.Proofs = tally.Proofs()
	if in.Kind == domain.OrderEntry {
		return result, nil
	}
	for ids := range slices.Chunk(again, booksPageSize) {
		n, err := l.Store.Disagree(ctx, in.Location, in.Kind, ids...)
		if err != nil {
			return result, err
		}
		result.Again += n
	}
	return result, nil
}

func (c *BooksComparison) add(in CompareBooksInput, found []domain.Difference) {
	for _, d := range found {
		if in.Now.Sub(d.Since) < in.Age {
			c.InFlight++
			continue
		}
		c.Differences++
		for _, finding := range d.Findings {
			c.Findings[finding]++
		}
		if c.Oldest.IsZero() || d.Since.Before(c.Oldest) {
			c.Oldest = d.Since
		}
		if len(c.Examples) < examples {
			c.Examples = append(c.Examples, cmp.Or(d.ID, d.Record))
		}
	}
}

// changedSince tells whether the sides were agreed on, and Sage's has changed since. What was agreed on as it is, such as
// a copy that people made, is a difference for people and not brought again and again.
func changedSince(ghl *store.LedgerEntry, sage []store.LedgerEntry) bool {
	return ghl != nil && ghl.Agreed == ghl.Digest &&
		slices.ContainsFunc(sage, func(e store.LedgerEntry) bool { return e.ChangedAt.After(ghl.AgreedAt) })
}

func addTo(tally *domain.Tally, kind domain.EntryKind, ghl *store.LedgerEntry, sage []store.LedgerEntry, found []domain.Difference) error {
	var here *domain.Entry
	if ghl != nil {
		here = &ghl.Entry
	}
	there := make([]domain.Entry, len(sage))
	for i := range sage {
		there[i] = sage[i].Entry
	}
	return tally.Add(kind, here, there, found)
}
