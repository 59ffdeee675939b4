package activities

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// opening is what bringing an order does about the lifecycle of its goods: a new order gets one, which is written with
// its first facts, and one that its payments end or move is handed on to its own process. Everything else is that
// process's.
type opening struct {
	settings FulfillmentSettings
	// row is the lifecycle in the store, if known. life is what it is by the sale alone.
	row   store.FulfillmentRecord
	known bool
	life  domain.Fulfillment
	// paidAt is from when the lifecycle is followed.
	paidAt time.Time
	// write: the order is new, and its lifecycle is written along with everything else.
	write bool
	// handed: this run opened the lifecycle, and handed it on if there is anything to follow.
	handed bool
}

// readLife reads what is known of the order's lifecycle: one statement, and no call.
func (b *bringing) readLife(ctx context.Context) (err error) {
	sale, o := b.in.Sale, &b.opening
	if o.settings, err = b.sage.Fulfillment.of(ctx, sale.Location); err != nil || !o.settings.On {
		return err
	}
	if o.row, o.known, err = b.sage.Store.Fulfillment(ctx, sale.Location, sale.OrderID); err != nil {
		return err
	}
	if o.paidAt = b.booking.Settlement.PaidAt; o.paidAt.IsZero() {
		o.paidAt = sale.CreatedAt
	}
	o.life = b.lifeFrom(o.row.Lifecycle)
	return nil
}

// lifeFrom is what a lifecycle becomes by what the sale says.
func (b *bringing) lifeFrom(before domain.Fulfillment) domain.Fulfillment {
	s := b.booking.Settlement
	next, _, _ := before.With(domain.FulfillmentNews{
		Items: b.in.Sale.Goods, Shipments: before.Shipments, Paid: paidInFull(s.State, s.Paid, b.booking.Total),
		Closing: closing(b.opening.settings, b.in.Sale.Status, s.State), Now: time.Now().UTC(),
	}, b.opening.settings.Rules)
	return next
}

// followed tells whether the order has, or is to get, a lifecycle. Sales from long ago get none: nobody would tell us of
// their parcels any more.
func (o opening) followed() bool {
	if !o.settings.On {
		return false
	}
	return o.known || time.Since(o.paidAt) < o.settings.Window
}

// writesLife decides whether the lifecycle is written with an order that stands: only where we made it and died before
// the ledger had it. On one that people made, the fields are theirs until both sides were compared.
func (b *bringing) writesLife(order sage.Order) bool {
	return b.opening.followed() && !b.known && !b.opening.known && b.mark == "" &&
		b.conn.tenant.factText(order, factFulfillment) == ""
}

// openLife opens the lifecycle of an order that has none, before the ledger has the order: whoever dies in between does
// it again.
func (b *bringing) openLife(ctx context.Context) error {
	sale, o := b.in.Sale, &b.opening
	if o.known || !o.followed() {
		return nil
	}
	now := time.Now().UTC()
	rec := store.FulfillmentRecord{
		Location: sale.Location, OrderID: sale.OrderID, SageID: b.orderID, Lifecycle: o.life, Closed: o.life.Closed(),
		PaidAt: o.paidAt, OpenedAt: now, ChangedAt: now, CheckedAt: now,
	}
	if o.write {
		rec.Agreed = agreedOf(o.life)
	}
	unsent := wordOf(sale.FulfillmentWord) == unfulfilled
	if unsent {
		rec.SourceWord = sale.FulfillmentWord
	}
	rec.Partial = paidLate(o.paidAt, sale.CreatedAt) && !rec.Closed
	opened, err := b.sage.Store.OpenFulfillment(ctx, rec)
	if err != nil || !opened || !unsent || !o.write {
		return err
	}
	// What the next sweep would see is what was just written. It has to ask for nothing.
	b.in.Sightings = append(slices.Clone(b.in.Sightings),
		fulfillmentSighting(sale.Location, sale.OrderID, sale.Status, sale.FulfillmentWord, sale.UpdatedAt, now))
	o.handed = true
	if rec.Closed {
		return nil
	}
	return b.sage.Look.LookAtFulfillment(ctx, sale.Location, sale.OrderID, FulfillmentOpened)
}

// handOn has the lifecycle looked at where the sale moves it. This is after the ledger has the order, in which the
// lifecycle's process reads it; whoever dies before gets here again, since it is judged by what stands in the store.
func (b *bringing) handOn(ctx context.Context) error {
	sale, o := b.in.Sale, b.opening
	if o.handed || !o.followed() || (o.known && o.row.Closed) {
		return nil
	}
	if b.known && o.known && o.row.SageID == b.orderID && o.row.Lifecycle.State == o.life.State &&
		wordOf(o.row.SourceWord) == wordOf(sale.FulfillmentWord) {
		return nil
	}
	return b.sage.Look.LookAtFulfillment(ctx, sale.Location, sale.OrderID, FulfillmentChanged)
}

// facts are those that this run writes, and the names that it may replace.
func (b *bringing) facts() (owned []string, facts []fact) {
	facts = append(factsOf(b.booking), fact{factLines, string(b.mark)})
	if !b.opening.write {
		return paymentFacts, facts
	}
	return noteOrder, append(facts, factsOfFulfillment(b.opening.life)...)
}

// paidInFull tells whether all of the money came, whatever of it went back since.
func paidInFull(state domain.PaymentState, paid, total domain.Money) bool {
	return state != domain.Unpaid && paid.Minor >= total.Minor
}

// The reasons for which a lifecycle ends on the side of the sale.
const (
	closedByRefund = "refunded in full"
	closedBySource = "cancelled in HighLevel"
)

// closing is why a sale ends the lifecycle of its goods; empty if it does not.
func closing(s FulfillmentSettings, status string, state domain.PaymentState) string {
	if state == domain.Refunded {
		return closedByRefund
	}
	if slices.ContainsFunc(s.CancelledStatuses, func(word string) bool {
		return strings.EqualFold(strings.TrimSpace(word), strings.TrimSpace(status))
	}) {
		return closedBySource // HighLevel publishes no word for it (A104)
	}
	return ""
}

// unfulfilled is HighLevel's one published word for an order of which nothing was sent. The others are only compared with
// each other (A105).
const unfulfilled = "unfulfilled"

func wordOf(fulfillmentStatus string) string {
	word := strings.ToLower(strings.TrimSpace(fulfillmentStatus))
	if word == "" {
		return unfulfilled
	}
	return word
}

// lateAfter is how long after an order was placed it is usually paid. HighLevel's list goes by when orders were placed
// (A09), what is followed by when they were paid: the sweep reaches back that much further, and an order that was paid
// later still is verified by itself.
const lateAfter = 7 * 24 * time.Hour

func paidLate(paidAt, createdAt time.Time) bool {
	return !createdAt.IsZero() && paidAt.Sub(createdAt) > lateAfter
}

func agreedOf(f domain.Fulfillment) store.AgreedFulfillment {
	return store.AgreedFulfillment{
		State: string(f.State), Trackings: domain.FormatTrackings(f.Trackings()), IDs: strings.Join(f.IDs(), ", "),
		ShippedAt: f.ShippedAt, DeliveredAt: f.DeliveredAt,
	}
}

// fulfillmentSighting is an order as the sweep for shipments sees it. A second parcel may leave the word as it was, so
// the moment of the last change counts as well (A106).
func fulfillmentSighting(location, order, status, word string, updated, now time.Time) store.Sighting {
	return sighting(location, store.FulfillmentSighting, order, now, status, wordOf(word), stamp(updated))
}
