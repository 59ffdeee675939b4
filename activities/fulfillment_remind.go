package activities

import (
	"context"
	"time"

	"github.com/tallystick/tallystick/internal/store"
)

// RemindFulfillmentsInput asks for the lifecycles whose time has come.
type RemindFulfillmentsInput struct {
	Location string    `json:"location"`
	Now      time.Time `json:"now"`
}

// Reminders count the hints that were handed out, by cause.
type Reminders struct {
	Verify   int `json:"verify,omitempty"`
	Delivery int `json:"delivery,omitempty"`
	Expired  int `json:"expired,omitempty"`
}

// RemindFulfillments has lifecycles looked at that are to be verified, that have news of a delivery which was not taken
// in yet, or that are too old to be followed on. Those that are parked have a time of their own.
func (l *Ledger) RemindFulfillments(ctx context.Context, in RemindFulfillmentsInput) (Reminders, error) {
	ctx, stop := alive(ctx)
	defer stop()
	r := &reminding{ledger: l, in: in, reminded: map[string]bool{}}
	counts, err := r.run(ctx)
	return counts, asTemporal(err, attempt(ctx), 0)
}

// reminding is one run of RemindFulfillments.
type reminding struct {
	ledger *Ledger
	in     RemindFulfillmentsInput
	// reminded are the orders that were handed a hint in this run: one is enough.
	reminded map[string]bool
}

func (r *reminding) run(ctx context.Context) (counts Reminders, err error) {
	settings, err := r.ledger.Fulfillment.of(ctx, r.in.Location)
	if err != nil || !settings.On {
		return counts, err
	}
	open := store.FulfillmentFilter{Location: r.in.Location, Open: true}
	if counts.Delivery, err = r.deliveries(ctx); err != nil {
		return counts, err
	}
	old := open
	old.PaidBefore = r.in.Now.Add(-settings.Window)
	if counts.Expired, err = r.lifecycles(ctx, old, FulfillmentExpired); err != nil || settings.Verify == VerifyOff {
		return counts, err
	}
	unchecked := open
	unchecked.CheckedBefore, unchecked.Partial = r.in.Now.Add(-settings.VerifyEvery), settings.Verify != VerifyOpen
	counts.Verify, err = r.lifecycles(ctx, unchecked, FulfillmentVerify)
	return counts, err
}

// lifecycles reminds those of a filter, as many as one run may; the next one takes the rest.
func (r *reminding) lifecycles(ctx context.Context, filter store.FulfillmentFilter, event string) (int, error) {
	looks := 0
	for {
		rows, next, err := r.ledger.Store.Fulfillments(ctx, filter)
		if err != nil {
			return looks, err
		}
		for _, row := range rows {
			looked, err := r.remind(ctx, row.OrderID, event)
			if err != nil {
				return looks, err
			}
			if looked {
				looks++
			}
		}
		if filter.After = next; next == "" || looks >= retryBatch {
			return looks, nil
		}
	}
}

// deliveries reminds the orders of news that no lifecycle has taken in: whoever brought them died before the hint, or
// the parcel was not known yet.
func (r *reminding) deliveries(ctx context.Context) (int, error) {
	looks, page := 0, store.Page{}
	for {
		news, next, err := r.ledger.Store.OpenDeliveryNews(ctx, r.in.Location, page)
		if err != nil {
			return looks, err
		}
		for _, one := range news {
			n, err := r.delivery(ctx, one)
			if err != nil {
				return looks, err
			}
			looks += n
		}
		if page.After = next; next == "" || looks >= retryBatch {
			return looks, nil
		}
	}
}

func (r *reminding) delivery(ctx context.Context, news store.DeliveryNews) (looks int, err error) {
	orders := []string{news.OrderID}
	if news.OrderID == "" {
		if orders, err = r.ledger.Store.OrdersOfTracking(ctx, r.in.Location, news.Tracking); err != nil {
			return 0, err
		}
	}
	for _, order := range orders {
		_, inBooks, err := r.ledger.Store.Order(ctx, r.in.Location, order)
		if err != nil {
			return looks, err
		}
		if !inBooks {
			continue
		}
		looked, err := r.remind(ctx, order, FulfillmentDelivery)
		if err != nil {
			return looks, err
		}
		if looked {
			looks++
		}
	}
	return looks, nil
}

// remind hands an order a hint, unless it had one in this run or is parked: then its cause, or the wait for it to pass,
// decides when it goes on.
func (r *reminding) remind(ctx context.Context, order, event string) (bool, error) {
	if r.reminded[order] {
		return false, nil
	}
	_, parked, err := r.ledger.Store.ParkedItem(ctx, r.in.Location, store.Fulfillment, order)
	if err != nil || parked {
		return false, err
	}
	doing(ctx, "handing out hints")
	if err := r.ledger.Look.LookAtFulfillment(ctx, r.in.Location, order, event); err != nil {
		return false, err
	}
	r.reminded[order] = true
	return true, nil
}
