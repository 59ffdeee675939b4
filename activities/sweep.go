package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/internal/store"
)

// SweepKind is what a page of a sweep lists.
type SweepKind string

// The kinds of pages.
const (
	SweepTransactions SweepKind = "transactions"
	SweepOrders       SweepKind = "orders"
)

// SweepInput asks for one page.
type SweepInput struct {
	Location string      `json:"location"`
	Kind     SweepKind   `json:"kind"`
	Window   SweepWindow `json:"window"`
	At       ghl.Cursor  `json:"at"`
}

// SweepPage is what became of a page.
type SweepPage struct {
	// Rows were read, Looks hints handed out, Unreadable rows could not be read and are named in the log.
	Rows       int        `json:"rows"`
	Looks      int        `json:"looks"`
	Unreadable int        `json:"unreadable,omitempty"`
	Next       ghl.Cursor `json:"next"`
	Done       bool       `json:"done"`
}

// Sweep reads one page of transactions or orders, has every order looked at of which something changed since it was
// last seen, and only then records what it saw: a step that dies in between hands the same hints out once more.
func (g *GHL) Sweep(ctx context.Context, in SweepInput) (SweepPage, error) {
	ctx, stop := alive(ctx)
	defer stop()
	page, err := g.sweep(ctx, in)
	return page, asTemporal(err, attempt(ctx), 0)
}

func (g *GHL) sweep(ctx context.Context, in SweepInput) (SweepPage, error) {
	client, onlyTest, err := g.reach(ctx, in.Location)
	if err != nil {
		return SweepPage{}, err
	}
	doing(ctx, "reading a page")
	result, rows, err := g.readPage(ctx, client, in)
	if err != nil {
		return result, err
	}
	seen := make([]store.Sighting, len(rows))
	byID := make(map[string]sweptRow, len(rows))
	for i, row := range rows {
		seen[i], byID[row.seen.ID] = row.seen, row
	}
	changed, err := g.Store.Unseen(ctx, seen)
	if err != nil {
		return result, err
	}
	for _, s := range changed {
		if byID[s.ID].test != onlyTest {
			continue
		}
		looked, err := g.look(ctx, in, byID[s.ID])
		if err != nil {
			return result, err
		}
		if looked {
			result.Looks++
		}
	}
	return result, g.Store.RecordSightings(ctx, changed)
}

// sweptRow is a transaction or an order of which a sweep decides whether to have it looked at.
type sweptRow struct {
	seen    store.Sighting
	order   string
	invoice string
	created time.Time
	test    bool
}

func (g *GHL) readPage(ctx context.Context, client *ghl.Client, in SweepInput) (SweepPage, []sweptRow, error) {
	now := time.Now().UTC()
	var rows []sweptRow
	if in.Kind == SweepOrders {
		page, err := client.Orders.Page(ctx, ghl.OrderFilter{From: in.Window.From, To: in.Window.To}, in.At)
		if err != nil {
			return SweepPage{}, nil, err
		}
		for _, o := range page.Rows {
			rows = append(rows, sweptRow{seen: orderSighting(in.Location, o, now), order: o.ID, created: o.CreatedAt, test: o.Test})
		}
		for _, bad := range page.Unreadable { // its own process reads it again, and parks it with the reason
			rows = append(rows, sweptRow{seen: unreadableSighting(in.Location, store.OrderSighting, bad, now), order: bad.ID})
		}
		return summary(ctx, in, len(page.Rows), page.Unreadable, page.Next, page.Done), named(rows), nil
	}
	page, err := client.Transactions.Page(ctx, ghl.TransactionFilter{From: in.Window.From, To: in.Window.To}, in.At)
	if err != nil {
		return SweepPage{}, nil, err
	}
	for _, t := range page.Rows {
		rows = append(rows, transactionRow(in.Location, t, now))
	}
	return summary(ctx, in, len(page.Rows), page.Unreadable, page.Next, page.Done), named(rows), nil
}

// transactionRow finds what a transaction paid. Those of subscriptions without an order are not this process's.
func transactionRow(location string, t ghl.Transaction, now time.Time) sweptRow {
	row := sweptRow{seen: transactionSighting(location, t, now), created: t.CreatedAt, test: t.Test}
	switch strings.ToLower(t.EntityType) {
	case "invoice":
		row.invoice = t.EntityID
	case "order", "":
		row.order = t.EntityID
	}
	return row
}

func named(rows []sweptRow) []sweptRow {
	kept := rows[:0]
	for _, row := range rows {
		if row.seen.ID != "" {
			kept = append(kept, row)
		}
	}
	return kept
}

func summary(ctx context.Context, in SweepInput, rows int, bad []ghl.RowError, next ghl.Cursor, done bool) SweepPage {
	for _, row := range bad {
		logger(ctx).Warn("a row of HighLevel cannot be read", "location", in.Location, "kind", string(in.Kind), "id", row.ID, "reason", row.Reason)
	}
	return SweepPage{Rows: rows + len(bad), Unreadable: len(bad), Next: next, Done: done}
}

// look hands a hint about a changed row to the process it concerns, and tells whether there was one. Sales from before
// the books began are left out unless the books have them: nobody asked for the shop's whole past.
func (g *GHL) look(ctx context.Context, in SweepInput, row sweptRow) (bool, error) {
	doing(ctx, "handing out hints")
	if row.invoice != "" {
		if !row.created.IsZero() && row.created.Before(in.Window.Began) {
			return false, nil
		}
		return true, g.Look.LookAtInvoice(ctx, in.Location, row.invoice, string(in.Kind))
	}
	if row.order == "" {
		return false, nil
	}
	if !row.created.IsZero() && row.created.Before(in.Window.Began) {
		_, inBooks, err := g.Store.Order(ctx, in.Location, row.order)
		if err != nil || !inBooks {
			return false, err
		}
	}
	return true, g.Look.LookAtOrder(ctx, in.Location, row.order, string(in.Kind))
}

func orderSighting(location string, o ghl.Order, now time.Time) store.Sighting {
	return sighting(location, store.OrderSighting, o.ID, now, o.Status, o.Amount.String(), o.Currency, stamp(o.UpdatedAt))
}

// A refund may show nowhere but in the transaction (A04).
func transactionSighting(location string, t ghl.Transaction, now time.Time) store.Sighting {
	return sighting(location, store.TransactionSighting, t.ID, now,
		t.Status, t.Amount.String(), t.AmountRefunded.String(), t.Currency, t.EntityID, stamp(t.UpdatedAt))
}

func unreadableSighting(location string, kind store.SightingKind, bad ghl.RowError, now time.Time) store.Sighting {
	return sighting(location, kind, bad.ID, now, "unreadable", bad.Reason)
}

func sighting(location string, kind store.SightingKind, id string, now time.Time, facts ...string) store.Sighting {
	sum := sha256.Sum256([]byte(strings.Join(facts, "\x00")))
	return store.Sighting{Location: location, Kind: kind, ID: id, Digest: hex.EncodeToString(sum[:12]), SeenAt: now}
}

func stamp(t time.Time) string { return fmt.Sprint(t.UnixMilli()) }
