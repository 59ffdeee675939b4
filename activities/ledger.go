package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tallystick/tallystick/internal/store"
)

// Looker hands hints to the processes of orders, invoices and lifecycles; package workflows has the one that does.
type Looker interface {
	LookAtOrder(ctx context.Context, location, order, event string) error
	LookAtInvoice(ctx context.Context, location, invoice, event string) error
	// LookAtFulfillment hands a hint to the lifecycle of an order, and starts its process where none runs.
	LookAtFulfillment(ctx context.Context, location, order, event string) error
}

// Ledger are the steps against our own store: parked items and the cursors of the sweeps. All but RetryParked are run as
// local activities.
type Ledger struct {
	Store *store.Store
	Look  Looker
	// Overlap is how far a sweep reaches back beyond the last one; RefundWindow is how far the deep sweep does.
	Overlap, RefundWindow time.Duration
	// RetryParkedAfter is the first wait of a parked item whose cause may pass.
	RetryParkedAfter time.Duration
	// From is when the books begin; zero lets them begin with the first sweep.
	From time.Time
	// Fulfillment says how lifecycles are followed; nil follows none.
	Fulfillment Fulfiller
}

// ParkInput is an item that cannot be carried out, and why.
type ParkInput struct {
	Location   string  `json:"location"`
	Process    string  `json:"process"`
	ObjectID   string  `json:"objectId"`
	WorkflowID string  `json:"workflowId"`
	Kind       string  `json:"kind"`
	Reason     string  `json:"reason"`
	Candidates []int64 `json:"candidates,omitempty"`
	Heals      bool    `json:"heals,omitempty"`
}

// lastRetryOfParked is the longest wait of a parked item whose cause may pass.
const lastRetryOfParked = 24 * time.Hour

// Park sets an item aside with its reason. Parking what is parked already counts one more attempt.
func (l *Ledger) Park(ctx context.Context, in ParkInput) error {
	now := time.Now().UTC()
	item := store.Parked{
		Location: in.Location, Process: in.Process, ObjectID: in.ObjectID, WorkflowID: in.WorkflowID,
		Kind: in.Kind, Reason: in.Reason, Candidates: in.Candidates, LastTry: now, ParkedAt: now,
	}
	if in.Heals {
		earlier, _, err := l.Store.ParkedItem(ctx, in.Location, in.Process, in.ObjectID)
		if err != nil {
			return asTemporal(err, attempt(ctx), 0)
		}
		item.NextTry = now.Add(l.backOff(earlier.Attempts))
	}
	return asTemporal(l.Store.Park(ctx, item), attempt(ctx), 0)
}

// backOff is doubled with each attempt.
func (l *Ledger) backOff(attempts int) time.Duration {
	wait := max(l.RetryParkedAfter, time.Second)
	for ; attempts > 0 && wait < lastRetryOfParked; attempts-- {
		wait *= 2
	}
	return min(wait, lastRetryOfParked)
}

// UnparkInput names a parked item.
type UnparkInput struct {
	Location string `json:"location"`
	Process  string `json:"process"`
	ObjectID string `json:"objectId"`
}

// Unpark takes an item off the parked ones. An item that is not parked is no error.
func (l *Ledger) Unpark(ctx context.Context, in UnparkInput) error {
	return asTemporal(l.Store.Unpark(ctx, in.Location, in.Process, in.ObjectID), attempt(ctx), 0)
}

// SweepWindow is the stretch of time that a sweep covers.
type SweepWindow struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Began is when the books began: older sales are not brought unless they are in the books already.
	Began time.Time `json:"began"`
}

// OpenWindowInput asks for the window of a sweep that starts now.
type OpenWindowInput struct {
	Location string    `json:"location"`
	Deep     bool      `json:"deep,omitempty"`
	Now      time.Time `json:"now"`
}

// The cursors in the store.
const (
	sweepCursor = "payment-sweep"
	beganCursor = "books-began"
)

// The cursors by which the watchdog sees when each kind of sweep last came to its end: the moment at which that one began.
const (
	PaymentSweepMark     = sweepCursor
	DeepSweepMark        = "late-refunds"
	FulfillmentSweepMark = "shipping"
)

// OpenWindow chooses what a sweep covers: everything since the last one that finished, with an overlap, and, deep, also
// the whole window in which refunds are expected. The first sweep of all notes when the books began.
func (l *Ledger) OpenWindow(ctx context.Context, in OpenWindowInput) (SweepWindow, error) {
	window, err := l.openWindow(ctx, in)
	return window, asTemporal(err, attempt(ctx), 0)
}

func (l *Ledger) openWindow(ctx context.Context, in OpenWindowInput) (SweepWindow, error) {
	window := SweepWindow{To: in.Now}
	began, err := l.began(ctx, in)
	if err != nil {
		return window, err
	}
	window.Began = began
	last, found, err := l.Store.Cursor(ctx, in.Location, sweepCursor)
	if !found {
		last = began
	}
	window.From = last.Add(-l.Overlap)
	if refunds := in.Now.Add(-l.RefundWindow); in.Deep && refunds.Before(window.From) {
		window.From = refunds
	}
	return window, err
}

// began is when the books of a location began: the configured moment, or a while before the first sweep.
func (l *Ledger) began(ctx context.Context, in OpenWindowInput) (time.Time, error) {
	if !l.From.IsZero() {
		return l.From, nil
	}
	began, found, err := l.Store.Cursor(ctx, in.Location, beganCursor)
	if err != nil || found {
		return began, err
	}
	began = in.Now.Add(-l.Overlap)
	return began, l.Store.SetCursor(ctx, in.Location, beganCursor, began)
}

// CloseWindowInput is a window that was swept to its end.
type CloseWindowInput struct {
	Location string      `json:"location"`
	Deep     bool        `json:"deep,omitempty"`
	Window   SweepWindow `json:"window"`
}

// CloseWindow moves the cursor to the end of a window. It never moves back. After a deep sweep, what was seen before its
// window is forgotten: no sweep lists it any more.
func (l *Ledger) CloseWindow(ctx context.Context, in CloseWindowInput) error {
	return asTemporal(l.closeWindow(ctx, in), attempt(ctx), 0)
}

func (l *Ledger) closeWindow(ctx context.Context, in CloseWindowInput) error {
	last, found, err := l.Store.Cursor(ctx, in.Location, sweepCursor)
	if err != nil {
		return err
	}
	if !found || in.Window.To.After(last) {
		if err := l.Store.SetCursor(ctx, in.Location, sweepCursor, in.Window.To); err != nil {
			return err
		}
	}
	if !in.Deep {
		return nil
	}
	if err := l.Store.SetCursor(ctx, in.Location, DeepSweepMark, in.Window.To); err != nil {
		return err
	}
	for _, kind := range []store.SightingKind{store.OrderSighting, store.TransactionSighting} {
		if _, err := l.Store.ForgetSightings(ctx, in.Location, kind, in.Window.From.Add(-forgetMargin)); err != nil {
			return err
		}
	}
	return nil
}

// forgetMargin covers that sweeps ask for a day more than their window on both sides.
const forgetMargin = 7 * 24 * time.Hour

// LocationInput names a location.
type LocationInput struct {
	Location string `json:"location"`
}

// retryBatch bounds one round of RetryParked; the next sweep takes the rest.
const retryBatch = 500

// RetryParked has every parked order, invoice and lifecycle looked at again whose cause may have passed and whose wait is
// over. It results in how many there were.
func (l *Ledger) RetryParked(ctx context.Context, in LocationInput) (int, error) {
	ctx, stop := alive(ctx)
	defer stop()
	due, _, err := l.Store.ParkedItems(ctx, store.ParkedFilter{
		Location: in.Location, DueBefore: time.Now(), Page: store.Page{Limit: retryBatch},
	})
	if err != nil {
		return 0, asTemporal(err, attempt(ctx), 0)
	}
	looked := 0
	for _, item := range due {
		look := l.Look.LookAtOrder
		switch item.Process {
		case store.PaymentToOrder:
		case store.InvoiceToOrder:
			look = l.Look.LookAtInvoice
		case store.Fulfillment:
			look = l.Look.LookAtFulfillment
		default:
			continue // another version's, which knows what to do with it
		}
		if err := look(ctx, item.Location, item.ObjectID, "parked"); err != nil {
			return looked, asTemporal(err, attempt(ctx), 0)
		}
		looked++
	}
	return looked, nil
}

func attempt(ctx context.Context) int32 {
	if !activity.IsActivity(ctx) {
		return 1
	}
	return activity.GetInfo(ctx).Attempt
}
