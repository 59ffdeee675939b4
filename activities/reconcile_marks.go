package activities

import (
	"context"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// That somebody marked an object as a test is told by the object alone, no list of HighLevel's shows it (A145). A payment
// of an order is what its order is, and brought only once that is in the books; one without an order is read by itself
// when it is first seen to count.

// markedOrders tells which orders the ledger has as tests.
func markedOrders(ctx context.Context, books *store.Store, location string, ids []string) (map[string]bool, error) {
	marked := map[string]bool{}
	orders, err := ledgerOf(ctx, books, location, domain.OrderEntry, domain.HighLevelSide, ids...)
	for id, entries := range orders {
		marked[id] = entries[0].Test
	}
	return marked, err
}

// learnMarks reads which orders of a page's transactions are tests.
func (r *reading) learnMarks(ctx context.Context, page []ghl.Transaction) (err error) {
	if r.onlyTest {
		return nil // then tests are what counts, and no entry is marked
	}
	var orders []string
	for _, t := range page {
		if id := orderOf(t); id != "" {
			orders = append(orders, id)
		}
	}
	r.marked, err = markedOrders(ctx, r.g.Store, r.in.Location, orders)
	return err
}

// isMarked tells whether a payment that is no test by its row is one all the same. A mark that was seen once stays for
// payments without an order: their rows would not show that it was taken back.
func (r *reading) isMarked(ctx context.Context, e domain.Entry, before []store.LedgerEntry) (bool, error) {
	switch {
	case r.onlyTest:
		return false, nil
	case e.OrderID != "":
		return r.marked[e.OrderID], nil
	case len(before) > 0 && (before[0].Test || before[0].Counts()):
		return before[0].Test, nil
	case !e.Counts():
		return false, nil
	}
	doing(ctx, "reading a payment without an order")
	full, err := r.client.Transactions.Get(ctx, e.ID)
	if ghl.IsNotFound(err) {
		return false, nil // which proves nothing
	}
	return full.Test, err
}

// leaveMarked takes out the payments whose order turned out to be a test after they were read, and notes it.
func (p *paymentsRun) leaveMarked(ctx context.Context, payments []*payment) ([]*payment, error) {
	var orders []string
	for _, one := range payments {
		if one.paid.OrderID != "" {
			orders = append(orders, one.paid.OrderID)
		}
	}
	marked, err := markedOrders(ctx, p.sage.Store, p.in.Location, orders)
	if err != nil {
		return nil, err
	}
	var kept []*payment
	var changed []store.LedgerEntry
	for _, one := range payments {
		if !marked[one.paid.OrderID] {
			kept = append(kept, one)
			continue
		}
		for _, e := range []*store.LedgerEntry{one.paid, one.refund} {
			if e != nil {
				e.Test = true
				changed = append(changed, *e)
			}
		}
	}
	return kept, p.sage.Store.PutEntries(ctx, changed)
}

// ofMarkedOrder tells whether the order that a subscription was made by is a test, which no subscription shows. One that
// is in the books is none; another is read by itself.
func (r *reading) ofMarkedOrder(ctx context.Context, s ghl.Subscription) (bool, error) {
	if r.onlyTest || s.EntityType != "order" || s.EntityID == "" {
		return false, nil
	}
	if _, inBooks, err := r.g.Store.Order(ctx, r.in.Location, s.EntityID); err != nil || inBooks {
		return false, err
	}
	doing(ctx, "reading the order of a subscription")
	order, err := r.client.Orders.Get(ctx, s.EntityID)
	if ghl.IsNotFound(err) {
		return false, nil // which proves nothing
	}
	return order.Test, err
}

// unmarked tells of subscriptions that were kept out for the mark on their order, which is in the books by now.
func (r *reading) unmarked(ctx context.Context, row ghl.Subscription, known []store.LedgerEntry) (bool, error) {
	if len(known) == 0 || !known[0].Test || row.Test || known[0].OrderID == "" {
		return false, nil
	}
	_, inBooks, err := r.g.Store.Order(ctx, r.in.Location, known[0].OrderID)
	return inBooks, err
}
