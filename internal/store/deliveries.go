package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// DeliveryNews is what a carrier, a shop floor or an operator said of an order or of a parcel. It is kept before anybody
// acts on it, since its shipment may not be known yet. It is known by location, order, tracking and state.
type DeliveryNews struct {
	Location string
	// OrderID or Tracking is empty. Tracking is the Key of a domain.Tracking.
	OrderID, Tracking string
	State             domain.FulfillmentState
	// At is when it happened, ReceivedAt when we first heard of it.
	At, ReceivedAt time.Time
	// Source says who told us, such as "webhook". It holds nothing personal.
	Source string
	// Applied tells that a lifecycle was saved with it. It is still true for an order that gets the parcel later.
	Applied bool
}

const newsColumns = `location, order_id, tracking, state, at, received_at, source, applied`

// PutDeliveryNews keeps news. The same again changes nothing but that the earliest At counts. Applied is kept here,
// whatever n holds; a zero ReceivedAt is taken to be now, a zero At to be ReceivedAt.
func (s *Store) PutDeliveryNews(ctx context.Context, n DeliveryNews) error {
	if err := n.check(); err != nil {
		return fmt.Errorf("keep delivery news: %w", err)
	}
	n.ReceivedAt = orNow(n.ReceivedAt)
	if n.At.IsZero() {
		n.At = n.ReceivedAt
	}
	_, err := s.write.ExecContext(ctx, `
		INSERT INTO delivery_news (`+newsColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (location, order_id, tracking, state) DO UPDATE SET at = excluded.at WHERE delivery_news.at > excluded.at`,
		n.Location, n.OrderID, n.Tracking, string(n.State), micros(n.At), micros(n.ReceivedAt), n.Source, false)
	if err != nil {
		return fmt.Errorf("keep delivery news: %w", err)
	}
	return nil
}

// check refuses what would be applied to nothing, or to more than was meant.
func (n DeliveryNews) check() error {
	if err := named(n.Location, string(n.State), n.OrderID+n.Tracking); err != nil {
		return err
	}
	if n.OrderID != "" && n.Tracking != "" {
		return fmt.Errorf("they are of an order and of a parcel: name one")
	}
	if key := (domain.Tracking{Number: n.Tracking}).Key(); key != n.Tracking {
		return fmt.Errorf("the tracking is not written as its key %q", key)
	}
	return nil
}

// DeliveryNewsOf returns the news of an order and of parcels, given by their Keys, in the order in which they were heard;
// those that were applied too.
func (s *Store) DeliveryNewsOf(ctx context.Context, location, orderID string, trackingKeys ...string) ([]DeliveryNews, error) {
	var all []DeliveryNews
	if orderID != "" {
		found, err := s.deliveryNews(ctx, location, "order_id", orderID)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	keys := slices.DeleteFunc(slices.Clone(trackingKeys), func(key string) bool { return key == "" })
	slices.Sort(keys)
	for some := range slices.Chunk(slices.Compact(keys), batch) {
		found, err := s.deliveryNews(ctx, location, "tracking", some...)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b DeliveryNews) int {
		return cmp.Or(a.ReceivedAt.Compare(b.ReceivedAt), compareNews(a, b))
	})
	return all, nil
}

func (s *Store) deliveryNews(ctx context.Context, location, column string, values ...string) ([]DeliveryNews, error) {
	q := query{}
	q.WriteString("SELECT " + newsColumns + " FROM delivery_news WHERE location = " + q.arg(location))
	q.WriteString(" AND " + column + " IN " + q.list(anys(values)...))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("read the delivery news: %w", err)
	}
	return collect(rows, scanNews)
}

// OpenDeliveryNews lists the news of a location that no lifecycle was saved with yet, first heard first, and returns the
// next page's token, empty after the last page.
func (s *Store) OpenDeliveryNews(ctx context.Context, location string, page Page) ([]DeliveryNews, string, error) {
	key, err := page.key(4)
	if err != nil {
		return nil, "", err
	}
	q := query{}
	conditions := []string{"location = " + q.arg(location), "NOT applied"}
	if key != nil {
		conditions = append(conditions, "(received_at, order_id, tracking, state) > "+q.list(key...))
	}
	q.WriteString("SELECT " + newsColumns + " FROM delivery_news")
	q.where(conditions)
	q.WriteString(" ORDER BY received_at, order_id, tracking, state LIMIT " + q.arg(page.limit()+1))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list the delivery news: %w", err)
	}
	return paged(rows, page.limit(), scanNews, func(n DeliveryNews) string {
		return pageToken(n.ReceivedAt, n.OrderID, n.Tracking, string(n.State))
	})
}

// ForgetDeliveryNews deletes the news of a location that were heard before a time, applied or not, and tells how many.
// The time must lie before every lifecycle that is followed, or a parcel that gets known late is never delivered.
func (s *Store) ForgetDeliveryNews(ctx context.Context, location string, before time.Time) (int64, error) {
	result, err := s.write.ExecContext(ctx,
		`DELETE FROM delivery_news WHERE location = $1 AND received_at < $2`, location, micros(before))
	if err != nil {
		return 0, fmt.Errorf("forget old delivery news: %w", err)
	}
	return result.RowsAffected()
}

func compareNews(a, b DeliveryNews) int {
	return cmp.Or(cmp.Compare(a.Location, b.Location), cmp.Compare(a.OrderID, b.OrderID),
		cmp.Compare(a.Tracking, b.Tracking), cmp.Compare(a.State, b.State))
}

// markApplied marks news in one order everywhere, or two orders that share parcels deadlock.
func markApplied(ctx context.Context, tx *sql.Tx, applied []DeliveryNews) error {
	for _, n := range slices.SortedFunc(slices.Values(applied), compareNews) {
		_, err := tx.ExecContext(ctx, `
			UPDATE delivery_news SET applied = $5 WHERE location = $1 AND order_id = $2 AND tracking = $3 AND state = $4`,
			n.Location, n.OrderID, n.Tracking, string(n.State), true)
		if err != nil {
			return fmt.Errorf("mark delivery news: %w", err)
		}
	}
	return nil
}

func scanNews(row scanner) (DeliveryNews, error) {
	var (
		n            DeliveryNews
		state        string
		at, received int64
	)
	err := row.Scan(&n.Location, &n.OrderID, &n.Tracking, &state, &at, &received, &n.Source, &n.Applied)
	n.State, n.At, n.ReceivedAt = domain.FulfillmentState(state), fromMicros(at), fromMicros(received)
	return n, err
}
