package store

import (
	"context"
	"fmt"
	"time"
)

// Cursors lists how far all sweeps of all locations have come, in the order of location and name.
func (s *Store) Cursors(ctx context.Context) ([]Cursor, error) { return s.cursors(ctx, "") }

// ParkedSum counts the parked items of a location that are of one kind and wait for the same.
type ParkedSum struct {
	Location, Kind string
	// Waits: only a person can make them go on. The others go on by themselves.
	Waits bool
	Count int64
	// Oldest is when the first of them was parked.
	Oldest time.Time
}

// ParkedSums sums up the parked items of all locations, in the order of location and kind.
func (s *Store) ParkedSums(ctx context.Context) ([]ParkedSum, error) {
	rows, err := s.read.QueryContext(ctx, `
		SELECT location, kind, next_try = 0 AS waits, COUNT(*), MIN(parked_at) FROM parked
		GROUP BY location, kind, waits ORDER BY location, kind, waits`)
	if err != nil {
		return nil, fmt.Errorf("sum up the parked items: %w", err)
	}
	return collect(rows, func(row scanner) (ParkedSum, error) {
		var sum ParkedSum
		var oldest int64
		err := row.Scan(&sum.Location, &sum.Kind, &sum.Waits, &sum.Count, &oldest)
		sum.Oldest = fromMicros(oldest)
		return sum, err
	})
}
