package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/shop"
)

const (
	// watchFor is how long nothing may become of an order's goods until they are not looked at any more.
	watchFor = 10 * time.Minute
	// chunk is how many orders are asked for at once.
	chunk = 300
)

// way is what is known of an order's goods.
type way struct {
	at              time.Time // when something last became of them
	sent, delivered shop.Deed // the last of each
	shown           string    // what the last line was about
	state           domain.FulfillmentState
}

// way gives the entry of an order. The lock is held.
func (f *follower) way(orderID string) *way {
	if f.goods[orderID] == nil {
		f.goods[orderID] = &way{}
	}
	return f.goods[orderID]
}

// dispatched is told what was done with goods.
func (f *follower) dispatched(a shop.Act) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.way(a.OrderID)
	w.at = time.Now()
	switch a.Deed {
	case shop.ShipHere, shop.ShipInSage:
		w.sent = a.Deed
	case shop.HandOver:
		w.sent, w.delivered = a.Deed, a.Deed
	case shop.ReceiveByCall, shop.ReceiveInSage, shop.CancelInSage:
		w.delivered = a.Deed
	case shop.SetBack: // nothing is to come of it
	}
}

// shipping reads the lifecycles of all orders of which something may have become.
func (f *follower) shipping(ctx context.Context) (found []store.FulfillmentRecord, err error) {
	f.mu.Lock()
	maps.DeleteFunc(f.goods, func(_ string, w *way) bool { return time.Since(w.at) > watchFor })
	watched := slices.Sorted(maps.Keys(f.goods))
	f.mu.Unlock()
	for ids := range slices.Chunk(watched, chunk) {
		records, _, err := f.stack.Store.Fulfillments(ctx, store.FulfillmentFilter{
			Location: f.stack.Location(), OrderIDs: ids, Page: store.Page{Limit: chunk},
		})
		if err != nil {
			return nil, err
		}
		found = append(found, records...)
	}
	slices.SortStableFunc(found, func(a, b store.FulfillmentRecord) int { return a.ChangedAt.Compare(b.ChangedAt) })
	return found, nil
}

// shipped prints a line if more has become of an order's goods than was shown. The lock is held.
func (f *follower) shipped(r store.FulfillmentRecord) {
	now, w := r.Lifecycle, f.way(r.OrderID)
	news := fmt.Sprint(now.State, len(now.Shipments), len(now.Trackings()))
	if w.shown == news || now.State == domain.FulfillmentCreated {
		return
	}
	late := w.state == now.State && r.Closed
	w.shown, w.state, w.at = news, now.State, time.Now()
	from, hue := passage(w.sent), plain
	switch now.State {
	case domain.FulfillmentDelivered:
		from, hue = passage(w.delivered), green
	case domain.FulfillmentCancelled:
		from, hue = passage(w.delivered), dim
	case domain.FulfillmentProcessing:
		hue = yellow
	case domain.FulfillmentShipped, domain.FulfillmentCreated:
	}
	switch {
	case late: // the number came after the goods
		from = passage(w.sent)
	case now.Reason != "":
		from = now.Reason
	}
	f.out.say("%s  %s  %s  %26s  %s", clock(r.ChangedAt), short(r.OrderID), f.out.paint(hue, fmt.Sprintf("%-18s", now.State)),
		parcels(r), from)
}

// passage says which side told the other.
func passage(d shop.Deed) string {
	switch d {
	case shop.ShipHere:
		return "GHL → Sage"
	case shop.ShipInSage, shop.HandOver:
		return "Sage → GHL"
	case shop.ReceiveByCall:
		return "carrier → Sage"
	case shop.ReceiveInSage, shop.CancelInSage:
		return "somebody in Sage"
	case shop.SetBack: // tells nobody anything
	}
	return ""
}

// parcels names what was sent, as short as it can be.
func parcels(r store.FulfillmentRecord) string {
	shipments, trackings := r.Lifecycle.Shipments, r.Lifecycle.Trackings()
	switch {
	case r.Partial:
		return fmt.Sprintf("shipment %d, more to come", len(shipments))
	case len(shipments) > 1:
		return fmt.Sprintf("%d shipments", len(shipments))
	case len(trackings) > 1:
		return fmt.Sprintf("%d parcels", len(trackings))
	case len(trackings) == 1:
		return strings.TrimSpace(trackings[0].Carrier + " " + trackings[0].Number)
	}
	return ""
}
