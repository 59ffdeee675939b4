package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// subscriptionSighting is of a row of HighLevel's list of subscriptions. Only one that changed is read in full.
const subscriptionSighting store.SightingKind = "subscription"

func (g *GHL) readSubscriptions(ctx context.Context, in ReadBooksInput) (BooksPage, error) {
	r, client, err := g.newReading(ctx, in)
	if err != nil {
		return r.page, err
	}
	doing(ctx, "reading subscriptions")
	page, err := client.Subscriptions.Page(ctx, ghl.SubscriptionFilter{}, in.At)
	if err != nil {
		return r.page, err
	}
	r.page.Rows, r.page.Next, r.page.Done = len(page.Rows)+len(page.Unreadable), page.Next, page.Done
	ids := make([]string, len(page.Rows))
	for i, row := range page.Rows {
		ids[i] = row.ID
	}
	before, err := ledgerOf(ctx, g.Store, in.Location, domain.SubscriptionEntry, domain.HighLevelSide, ids...)
	if err != nil {
		return r.page, err
	}
	rows, changed, err := r.subscriptionsToRead(ctx, page.Rows, before)
	if err != nil {
		return r.page, err
	}
	bad := page.Unreadable
	var seen []store.Sighting
	var failed error // what was read before it is kept: the next attempt goes on behind it
	for i, row := range rows {
		doing(ctx, fmt.Sprintf("reading subscription %d of %d of the page", i+1, len(rows)))
		full, err := client.Subscriptions.Get(ctx, row.ID)
		if ghl.IsNotFound(err) {
			continue // gone since the list was made, which proves nothing; the next run asks again
		}
		if err == nil {
			err = r.subscription(ctx, fullOf(row, full), before[row.ID])
		}
		if errors.Is(err, domain.ErrMoney) {
			bad = append(bad, ghl.RowError{ID: row.ID, Reason: err.Error()})
		} else if failed = err; err != nil {
			break
		}
		if s, isNew := changed[row.ID]; isNew {
			seen = append(seen, s)
		}
	}
	if err := r.keep(ctx); err != nil {
		return r.page, err
	}
	if err := r.unreadable(ctx, domain.SubscriptionEntry, bad); err != nil {
		return r.page, err
	}
	return r.page, errors.Join(failed, g.Store.RecordSightings(ctx, seen))
}

// subscriptionsToRead are the rows of which the ledger does not know enough: new ones, those that changed, and those
// whose next renewal has passed. The sightings of those that changed, by id, are to be recorded once they were read.
func (r *reading) subscriptionsToRead(
	ctx context.Context, rows []ghl.Subscription, before map[string][]store.LedgerEntry,
) (read []ghl.Subscription, changed map[string]store.Sighting, err error) {
	var all []store.Sighting
	for _, row := range rows {
		all = append(all, renewalSighting(r.in.Location, row, r.seenAt))
	}
	unseen, err := r.g.Store.Unseen(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	changed = make(map[string]store.Sighting, len(unseen))
	for _, s := range unseen {
		changed[s.ID] = s
	}
	for _, row := range rows {
		known := before[row.ID]
		if _, ok := r.kept(row.Test); !ok || r.longOver(row, known) {
			continue
		}
		_, isNew := changed[row.ID]
		passed := len(known) > 0 && !known[0].Next.IsZero() && known[0].Next.Before(r.seenAt)
		unmarked, err := r.unmarked(ctx, row, known)
		if err != nil {
			return nil, nil, err
		}
		if !isNew && !passed && !unmarked && !r.in.Again {
			continue
		}
		read = append(read, row)
	}
	return read, changed, nil
}

// longOver tells of subscriptions that had ended before the books began. A row does not say when one ended, but it was
// not after its last change.
func (r *reading) longOver(row ghl.Subscription, known []store.LedgerEntry) bool {
	state, _ := row.State()
	return len(known) == 0 && state.Ended() && row.CreatedAt.Before(r.in.Window.Began) &&
		!row.UpdatedAt.IsZero() && row.UpdatedAt.Before(r.in.Window.Began)
}

func renewalSighting(location string, s ghl.Subscription, now time.Time) store.Sighting {
	snapshot := s.Snapshot
	return sighting(location, subscriptionSighting, s.ID, now,
		s.Status, s.Amount.String(), s.Currency, s.ContactID, s.EntityID, s.GatewayID, stamp(s.UpdatedAt), stamp(s.TrialEnd),
		fmt.Sprint(s.Test), snapshot.Status, fmt.Sprint(snapshot.Paused), stamp(snapshot.ChangedAt), stamp(snapshot.PeriodEnd),
		stamp(snapshot.NextBilling), stamp(snapshot.EndsAt), stamp(snapshot.CanceledAt), stamp(snapshot.EndedAt),
		snapshot.Interval, fmt.Sprint(snapshot.IntervalCount))
}

// fullOf adds to a single subscription what only the list shows.
func fullOf(row, full ghl.Subscription) ghl.Subscription {
	if full.TrialEnd.IsZero() {
		full.TrialEnd = row.TrialEnd
	}
	if full.EntityID == "" {
		full.EntityType, full.EntityID = row.EntityType, row.EntityID
	}
	return full
}

// subscription adds what HighLevel says of a subscription. Its next renewal is computed as of now, and computed again when
// it has passed.
func (r *reading) subscription(ctx context.Context, s ghl.Subscription, before []store.LedgerEntry) error {
	currency, err := domain.ParseCurrency(s.Currency)
	if err != nil {
		return fmt.Errorf("subscription %s: %w", s.ID, err)
	}
	amount, err := domain.ParseMoney(s.Amount, currency)
	if err != nil {
		return fmt.Errorf("the amount of subscription %s: %w", s.ID, err)
	}
	state, word := s.State()
	schedule := s.Renewals()
	test, _ := r.kept(s.Test)
	if !test {
		if test, err = r.ofMarkedOrder(ctx, s); err != nil {
			return err
		}
	}
	e := domain.Entry{
		Kind: domain.SubscriptionEntry, ID: s.ID, SubscriptionID: s.GatewayID, ContactID: s.ContactID, ProductID: s.ProductID,
		Amount: amount, Status: string(state), Word: word, At: s.CreatedAt, Until: s.EndedAt(), Every: schedule.Every,
		Name: s.PlanName, UpdatedAt: s.UpdatedAt, Test: test,
	}
	if s.EntityType == "order" {
		e.OrderID = s.EntityID
	}
	if e.ProductID == "" && e.OrderID != "" {
		products, err := r.g.Store.OrderProducts(ctx, r.in.Location, e.OrderID)
		if err != nil {
			return err
		}
		e.ProductID = productOfPlan(e.Name, products)
	}
	if next, found := domain.NextRenewal(schedule, r.seenAt); found {
		e.Next = next
	}
	r.entry(e, before)
	return nil
}
