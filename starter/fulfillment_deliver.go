package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/delivery"
	"github.com/tallystick/tallystick/workflows"
)

// arrival is a command line of `starter fulfillment deliver`.
type arrival struct {
	tracking, at string
	dryRun       bool
}

func fulfillmentDeliver(a *app) *cobra.Command {
	var where location
	var what arrival
	c := &cobra.Command{
		Use: "deliver <order>...", Short: "Say that the goods of orders, or one shipment of an order, have arrived", Args: cobra.MinimumNArgs(1),
		Long: "Say that the goods of orders have arrived, or with --tracking one shipment of an order: for carriers that tell nobody.\n" +
			"It is kept, entered in Sage, and cannot be taken back, as no state goes backwards.",
		Example: "  starter fulfillment deliver 660ed43bfdf9fc05a0de7a40\n" +
			"  starter fulfillment deliver 660ed43bfdf9fc05a0de7a40 --tracking 1Z999AA10123456784 --at 2026-11-20",
		RunE: func(c *cobra.Command, orders []string) error {
			if err := checkIDs(orders...); err != nil {
				return err
			}
			news, err := what.news(len(orders), time.Now().UTC())
			if err != nil {
				return err
			}
			return a.withDesk(c.Context(), &where, func(d *desk) error {
				return d.deliver(c.Context(), a, orders, news, what.dryRun)
			})
		},
	}
	where.add(c)
	c.Flags().StringVar(&what.tracking, "tracking", "", "only the shipment with this tracking number")
	c.Flags().StringVar(&what.at, "at", "", "when that was, as YYYY-MM-DD or RFC 3339; now if not given")
	dryRunFlag(c, &what.dryRun)
	return c
}

// operatorSource is the source of news that a person at the command line told.
const operatorSource = "operator"

// news is what the command line tells, without location and order.
func (w arrival) news(orders int, now time.Time) (store.DeliveryNews, error) {
	news := store.DeliveryNews{State: domain.FulfillmentDelivered, At: now, ReceivedAt: now, Source: operatorSource}
	if w.tracking != "" {
		if orders > 1 {
			return news, wrongUse("--tracking goes with one order")
		}
		key, err := delivery.TrackingKey(w.tracking)
		if err != nil {
			return news, wrongUse("--tracking: %v", err)
		}
		news.Tracking = key
	}
	if w.at == "" {
		return news, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		at, err := time.Parse(layout, w.at)
		switch {
		case err != nil:
			continue
		case at.After(now):
			return news, wrongUse("--at %s lies ahead", w.at)
		}
		news.At = at.UTC()
		return news, nil
	}
	return news, wrongUse("--at %q is no date such as 2026-11-20 and no moment such as 2026-11-20T12:00:00Z", w.at)
}

// deliver looks at all orders before it says anything of one: what was said cannot be taken back.
func (d *desk) deliver(ctx context.Context, a *app, orders []string, news store.DeliveryNews, dryRun bool) error {
	for _, id := range orders {
		if err := d.mayDeliver(ctx, id, news.Tracking); err != nil {
			return err
		}
	}
	what := ""
	if news.Tracking != "" {
		what = ", shipment " + news.Tracking
	}
	for _, id := range orders {
		if !dryRun {
			if err := d.arrived(ctx, id, news); err != nil {
				return err
			}
		}
		_, _ = fmt.Fprintf(a.out, "%s%s  %s at %s\n", id, what, map[bool]string{true: "would be delivered", false: "delivered"}[dryRun],
			news.At.Format(time.RFC3339))
	}
	return nil
}

// mayDeliver refuses what nothing would come of.
func (d *desk) mayDeliver(ctx context.Context, id, tracking string) error {
	rec, found, err := d.store.Fulfillment(ctx, d.location, id)
	switch {
	case err != nil:
		return err
	case !found:
		return fmt.Errorf("order %s: %w", id, errNoFulfillment)
	case rec.Lifecycle.State == domain.FulfillmentCancelled:
		return fmt.Errorf("order %s is cancelled: %s", id, rec.Lifecycle.Reason)
	case tracking == "":
		return nil
	}
	known := rec.Lifecycle.Trackings()
	for _, t := range known {
		if t.Key() == tracking {
			return nil
		}
	}
	return fmt.Errorf("order %s has no shipment with the number %s: `starter fulfillment show %s` shows those it has", id, tracking, id)
}

// arrived keeps the news before anything else, as the door does.
func (d *desk) arrived(ctx context.Context, id string, news store.DeliveryNews) error {
	news.Location = d.location
	if news.Tracking == "" {
		news.OrderID = id
	}
	if err := d.store.PutDeliveryNews(ctx, news); err != nil {
		return err
	}
	const action = "fulfillment deliver"
	entry := store.AuditEntry{At: news.ReceivedAt, Location: d.location, Actor: actor(), Action: action, Object: id, Detail: news.Tracking}
	if err := d.store.Audit(ctx, entry); err != nil {
		return err
	}
	hint := workflows.Hint{Source: workflows.FromOperator, Event: action, At: news.ReceivedAt}
	return d.door.LookAtFulfillment(ctx, d.location, id, hint)
}
