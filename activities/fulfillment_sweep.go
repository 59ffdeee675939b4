package activities

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// FulfillmentWindow is what one sweep for shipments covers.
type FulfillmentWindow struct {
	// Off: lifecycles are not followed for this location, and nothing is to be swept.
	Off bool `json:"off,omitempty"`
	// From and To bound the orders of HighLevel, by when they were placed.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// SageSince is the latest change of a Sage order that was seen, by Sage's own clock.
	SageSince time.Time `json:"sageSince"`
}

// OpenFulfillmentWindowInput asks for the window of a sweep that starts now.
type OpenFulfillmentWindowInput struct {
	Location string    `json:"location"`
	Now      time.Time `json:"now"`
}

// sageCursor is how far the sweep of the Sage orders came, by Sage's own clock; tidiedCursor when what no sweep lists was
// last forgotten.
const (
	sageCursor   = "sage-orders"
	tidiedCursor = "fulfillment-tidied"
)

// OpenFulfillmentWindow chooses what a sweep covers: every order whose lifecycle is open, and every Sage order that changed
// since the last sweep. It is run as a local activity.
func (l *Ledger) OpenFulfillmentWindow(ctx context.Context, in OpenFulfillmentWindowInput) (FulfillmentWindow, error) {
	window, err := l.openFulfillmentWindow(ctx, in)
	return window, asTemporal(err, attempt(ctx), 0)
}

func (l *Ledger) openFulfillmentWindow(ctx context.Context, in OpenFulfillmentWindowInput) (FulfillmentWindow, error) {
	window := FulfillmentWindow{To: in.Now}
	settings, err := l.Fulfillment.of(ctx, in.Location)
	if err != nil || !settings.On {
		window.Off = true
		return window, err
	}
	oldest, found, err := l.Store.OldestOpenFulfillment(ctx, in.Location)
	if err != nil {
		return window, err
	}
	if !found || oldest.After(in.Now) {
		oldest = in.Now
	}
	if first := in.Now.Add(-settings.Window); oldest.Before(first) {
		oldest = first
	}
	window.From = oldest.Add(-lateAfter)
	if window.SageSince, found, err = l.Store.Cursor(ctx, in.Location, sageCursor); !found {
		window.SageSince = in.Now
	}
	return window, err
}

// SweepFulfillmentsInput asks for some pages of HighLevel's orders.
type SweepFulfillmentsInput struct {
	Location string            `json:"location"`
	Window   FulfillmentWindow `json:"window"`
	At       ghl.Cursor        `json:"at"`
}

// pagesOfStep is how many pages one step of the sweep reads. Ten thousand open orders are a hundred pages.
const pagesOfStep = 20

// SweepFulfillments reads pages of HighLevel's orders and has those lifecycles looked at whose order changed. It ends
// with the list, or after so many pages that the next step should go on from SweepPage.Next.
func (g *GHL) SweepFulfillments(ctx context.Context, in SweepFulfillmentsInput) (SweepPage, error) {
	ctx, stop := alive(ctx)
	defer stop()
	page, err := g.sweepFulfillments(ctx, in)
	return page, asTemporal(err, attempt(ctx), 0)
}

func (g *GHL) sweepFulfillments(ctx context.Context, in SweepFulfillmentsInput) (SweepPage, error) {
	sum := SweepPage{Next: in.At}
	client, onlyTest, err := g.reach(ctx, in.Location)
	if err != nil {
		return sum, err
	}
	filter := ghl.OrderFilter{From: in.Window.From, To: in.Window.To}
	for n := 0; n < pagesOfStep && !sum.Done; n++ {
		doing(ctx, fmt.Sprintf("reading orders from the %d. on", sum.Next.Offset+1))
		page, err := client.Orders.Page(ctx, filter, sum.Next)
		if err != nil {
			return sum, err
		}
		looks, err := g.lookAtChanged(ctx, in.Location, page.Rows, onlyTest)
		if err != nil {
			return sum, err
		}
		sum.Rows += len(page.Rows) + len(page.Unreadable)
		sum.Unreadable += len(page.Unreadable) // the payments' process parks them, with the reason
		sum.Looks += looks
		sum.Next, sum.Done = page.Next, page.Done
	}
	return sum, nil
}

// lookAtChanged hands a hint to the lifecycles of those orders of a page that changed since they were last seen, and only
// then records what it saw.
func (g *GHL) lookAtChanged(ctx context.Context, location string, orders []ghl.Order, onlyTest bool) (int, error) {
	now := time.Now().UTC()
	byID := make(map[string]ghl.Order, len(orders))
	var seen []store.Sighting
	for _, o := range orders {
		if o.ID != "" && o.Test == onlyTest {
			byID[o.ID] = o
			seen = append(seen, fulfillmentSighting(location, o.ID, o.Status, o.FulfillmentStatus, o.UpdatedAt, now))
		}
	}
	changed, err := g.Store.Unseen(ctx, seen)
	if err != nil {
		return 0, err
	}
	rows, err := lifecyclesOf(ctx, g.Store, location, changed)
	if err != nil {
		return 0, err
	}
	looks := 0
	for _, s := range changed {
		row, known := rows[s.ID]
		// Of a lifecycle that is over only what was sent late matters, of which the word may stay what it was.
		word := wordOf(byID[s.ID].FulfillmentStatus)
		if known && row.Closed && word == unfulfilled && wordOf(row.SourceWord) == word {
			continue
		}
		if !known { // from before lifecycles were followed, or not in the books
			_, inBooks, err := g.Store.Order(ctx, location, s.ID)
			if err != nil {
				return looks, err
			}
			if !inBooks || word == unfulfilled {
				continue
			}
		}
		doing(ctx, "handing out hints")
		if err := g.Look.LookAtFulfillment(ctx, location, s.ID, FulfillmentChanged); err != nil {
			return looks, err
		}
		looks++
	}
	return looks, g.Store.RecordSightings(ctx, changed)
}

// lifecyclesOf reads the lifecycles of orders that were seen, by the order's id.
func lifecyclesOf(
	ctx context.Context, books *store.Store, location string, seen []store.Sighting,
) (map[string]store.FulfillmentRecord, error) {
	rows := make(map[string]store.FulfillmentRecord, len(seen))
	filter := store.FulfillmentFilter{Location: location}
	for _, s := range seen {
		filter.OrderIDs = append(filter.OrderIDs, s.ID)
	}
	if filter.Limit = len(seen); len(seen) == 0 {
		return rows, nil
	}
	found, _, err := books.Fulfillments(ctx, filter)
	for _, row := range found {
		rows[row.OrderID] = row
	}
	return rows, err
}

// SweepSageOrdersInput asks for the Sage orders that changed.
type SweepSageOrdersInput struct {
	Location string            `json:"location"`
	Window   FulfillmentWindow `json:"window"`
}

// SageSweep is what became of it.
type SageSweep struct {
	// Rows were read, Looks hints handed out.
	Rows  int `json:"rows"`
	Looks int `json:"looks"`
	// Newest is the latest change that was seen, by Sage's own clock; zero if there was none.
	Newest time.Time `json:"newest,omitzero"`
}

// SweepSageOrders reads the Sage orders of ours that changed and has those lifecycles looked at whose fields say something
// else than what was agreed.
func (a *Sage) SweepSageOrders(ctx context.Context, in SweepSageOrdersInput) (SageSweep, error) {
	ctx, stop := alive(ctx)
	defer stop()
	s := &sageSweep{sage: a, in: in}
	err := s.run(ctx)
	return s.result, a.fail(ctx, s.conn.settles(err))
}

// sageSweep is one run of SweepSageOrders.
type sageSweep struct {
	sage   *Sage
	in     SweepSageOrdersInput
	conn   *connection
	orders []sage.Order
	result SageSweep
}

// ordersAtOnce is how many changed orders are looked up in the store together.
const ordersAtOnce = 200

func (s *sageSweep) run(ctx context.Context) (err error) {
	if s.conn, err = s.sage.connect(ctx, s.in.Location); err != nil {
		return err
	}
	doing(ctx, "reading the orders that changed")
	options := sage.ChangedOptions{ExtIDPrefix: domain.OrderExtIDPrefix}
	for order, err := range s.conn.Orders.Changed(ctx, s.in.Window.SageSince, options) {
		if err != nil {
			return err
		}
		s.result.Rows++
		if touched := order.TouchedAt(); touched.After(s.result.Newest) {
			s.result.Newest = touched
		}
		if !bool(order.Deleted) { // one that people deleted is made anew when there is news of its sale
			s.orders = append(s.orders, order)
		}
		if len(s.orders) == ordersAtOnce {
			if err := s.look(ctx); err != nil {
				return err
			}
		}
	}
	return s.look(ctx)
}

// look hands a hint to the lifecycles of the orders gathered whose fields were changed by people, and then records what
// it saw. What we wrote ourselves is what was agreed. When an order was changed is part of what was seen: somebody may set
// once more what a pass has just set right.
func (s *sageSweep) look(ctx context.Context) error {
	now, books, location := time.Now().UTC(), s.sage.Store, s.in.Location
	byID := make(map[string]sage.Order, len(s.orders))
	var seen []store.Sighting
	t := s.conn.tenant
	for _, order := range s.orders {
		id := strings.TrimPrefix(order.ExtID, domain.OrderExtIDPrefix)
		byID[id] = order
		seen = append(seen, sageSighting(t, location, id, order, now))
	}
	s.orders = s.orders[:0]
	changed, err := books.Unseen(ctx, seen)
	if err != nil {
		return err
	}
	rows, err := lifecyclesOf(ctx, books, location, changed)
	if err != nil {
		return err
	}
	for _, one := range changed {
		ours, err := s.concerns(ctx, one.ID, rows, byID[one.ID])
		if err != nil {
			return err
		}
		if !ours {
			continue
		}
		if err := s.sage.Look.LookAtFulfillment(ctx, location, one.ID, FulfillmentChanged); err != nil {
			return err
		}
		s.result.Looks++
	}
	return books.RecordSightings(ctx, changed)
}

// sageSighting is a Sage order as the sweep looks at it.
func sageSighting(t tenant, location, id string, order sage.Order, now time.Time) store.Sighting {
	return sighting(location, store.SageOrderSighting, id, now,
		t.factText(order, factFulfillment), t.factText(order, factTrackings), stamp(order.TouchedAt()))
}

// concerns tells whether an order is this location's and says something that was not agreed, or is parked: what people set
// back to what was agreed is what its lifecycle may wait for. Several locations may share a tenant.
func (s *sageSweep) concerns(
	ctx context.Context, id string, rows map[string]store.FulfillmentRecord, order sage.Order,
) (bool, error) {
	_, parked, err := s.sage.Store.ParkedItem(ctx, s.in.Location, store.Fulfillment, id)
	if err != nil || parked {
		return parked, err
	}
	t := s.conn.tenant
	if row, known := rows[id]; known {
		return !t.says(order, fact{factFulfillment, row.Agreed.State}) ||
			!t.says(order, fact{factTrackings, row.Agreed.Trackings}), nil
	}
	if t.factText(order, factFulfillment) == "" && t.factText(order, factTrackings) == "" {
		return false, nil
	}
	_, inBooks, err := s.sage.Store.Order(ctx, s.in.Location, id)
	return inBooks, err
}

// CloseFulfillmentWindowInput is a window that was swept to its end.
type CloseFulfillmentWindowInput struct {
	Location string            `json:"location"`
	Window   FulfillmentWindow `json:"window"`
	// Newest is that of the SageSweep.
	Newest time.Time `json:"newest,omitzero"`
}

// CloseFulfillmentWindow notes how far the sweep of Sage came and, once a day, forgets what no later sweep lists. It is run
// as a local activity.
func (l *Ledger) CloseFulfillmentWindow(ctx context.Context, in CloseFulfillmentWindowInput) error {
	return asTemporal(l.closeFulfillmentWindow(ctx, in), attempt(ctx), 0)
}

func (l *Ledger) closeFulfillmentWindow(ctx context.Context, in CloseFulfillmentWindowInput) error {
	if in.Window.Off {
		return nil
	}
	last, found, err := l.Store.Cursor(ctx, in.Location, sageCursor)
	if err != nil {
		return err
	}
	next := in.Newest
	switch {
	case next.IsZero():
		next = in.Window.SageSince // where nothing changed yet, the next sweep begins where this one did
	case next.After(in.Window.To):
		next = in.Window.To // a clock at Sage that once ran ahead must not hide what changes until that day has come
	}
	if !found || next.After(last) {
		if err := l.Store.SetCursor(ctx, in.Location, sageCursor, next); err != nil {
			return err
		}
	}
	if err := l.Store.SetCursor(ctx, in.Location, FulfillmentSweepMark, in.Window.To); err != nil {
		return err
	}
	tidied, found, err := l.Store.Cursor(ctx, in.Location, tidiedCursor)
	if err != nil || (found && in.Window.To.Sub(tidied) < 24*time.Hour) {
		return err
	}
	return l.tidy(ctx, in)
}

// tidy forgets sightings that no sweep compares any more, and news of parcels that never became known.
func (l *Ledger) tidy(ctx context.Context, in CloseFulfillmentWindowInput) error {
	settings, err := l.Fulfillment.of(ctx, in.Location)
	if err != nil {
		return err
	}
	for _, kind := range []store.SightingKind{store.FulfillmentSighting, store.SageOrderSighting} {
		if _, err := l.Store.ForgetSightings(ctx, in.Location, kind, in.Window.From.Add(-forgetMargin)); err != nil {
			return err
		}
	}
	if _, err := l.Store.ForgetDeliveryNews(ctx, in.Location, in.Window.To.Add(-settings.Window-forgetMargin)); err != nil {
		return err
	}
	return l.Store.SetCursor(ctx, in.Location, tidiedCursor, in.Window.To)
}
