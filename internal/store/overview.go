package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Overview is what a person asks first: how much is in step, what is not, and when something last moved.
type Overview struct {
	Orders map[domain.PaymentState]int64
	// Fulfillments are the lifecycles that are followed; closed ones are not counted.
	Fulfillments map[domain.FulfillmentState]int64
	Parked       map[string]int64
	// LastBroughtAt is when an order was last brought into Sage; zero when none ever was.
	LastBroughtAt time.Time
	// Cursors are in the order of location and name.
	Cursors []Cursor
}

// Overview sums up a location, or all of them when location is empty. Its parts are read one after the other, so they
// may differ by what happened in between.
func (s *Store) Overview(ctx context.Context, location string) (Overview, error) {
	o := Overview{Orders: map[domain.PaymentState]int64{}}
	states, err := s.count(ctx, "orders", "state", location)
	if err != nil {
		return o, err
	}
	for state, n := range states {
		o.Orders[domain.PaymentState(state)] = n
	}
	if o.Fulfillments, err = s.CountFulfillments(ctx, location); err != nil {
		return o, err
	}
	if o.Parked, err = s.CountParked(ctx, location); err != nil {
		return o, err
	}
	if o.LastBroughtAt, err = s.lastBroughtAt(ctx, location); err != nil {
		return o, err
	}
	o.Cursors, err = s.cursors(ctx, location)
	return o, err
}

// count counts the rows of a table by a column. Both names are ours, never a caller's.
func (s *Store) count(ctx context.Context, table, column, location string) (map[string]int64, error) {
	q := query{}
	conditions := q.equal("location", location)
	q.WriteString("SELECT " + column + ", COUNT(*) FROM " + table)
	q.where(conditions)
	q.WriteString(" GROUP BY " + column)
	counts, err := s.counts(ctx, q.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("count the %s: %w", table, err)
	}
	return counts, nil
}

// counts reads pairs of a word and a number.
func (s *Store) counts(ctx context.Context, statement string, args ...any) (map[string]int64, error) {
	rows, err := s.read.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	_, err = collect(rows, func(row scanner) (struct{}, error) {
		var word string
		var n int64
		err := row.Scan(&word, &n)
		counts[word] = n
		return struct{}{}, err
	})
	return counts, err
}

func (s *Store) lastBroughtAt(ctx context.Context, location string) (time.Time, error) {
	q := query{}
	conditions := q.equal("location", location)
	q.WriteString("SELECT MAX(brought_at) FROM orders")
	q.where(conditions)
	var newest sql.NullInt64
	if err := s.read.QueryRowContext(ctx, q.String(), q.args...).Scan(&newest); err != nil {
		return time.Time{}, fmt.Errorf("read the ledger: %w", err)
	}
	return fromMicros(newest.Int64), nil
}

func (s *Store) cursors(ctx context.Context, location string) ([]Cursor, error) {
	q := query{}
	conditions := q.equal("location", location)
	q.WriteString("SELECT location, name, at FROM cursors")
	q.where(conditions)
	q.WriteString(" ORDER BY location, name")
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("read the cursors: %w", err)
	}
	return collect(rows, func(row scanner) (Cursor, error) {
		var c Cursor
		var at int64
		err := row.Scan(&c.Location, &c.Name, &at)
		c.At = fromMicros(at)
		return c, err
	})
}
