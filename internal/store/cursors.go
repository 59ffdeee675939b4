package store

import (
	"context"
	"fmt"
	"time"
)

// Cursor says how far a sweep of a location has come.
type Cursor struct {
	Location, Name string
	At             time.Time
}

// Cursor returns how far the named sweep has come, and false when it never ran.
func (s *Store) Cursor(ctx context.Context, location, name string) (time.Time, bool, error) {
	row := s.read.QueryRowContext(ctx, `SELECT at FROM cursors WHERE location = $1 AND name = $2`, location, name)
	at, found, err := one(row, func(row scanner) (int64, error) {
		var at int64
		return at, row.Scan(&at)
	})
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read the cursor %s: %w", name, err)
	}
	return fromMicros(at), found, nil
}

// SetCursor records how far the named sweep has come. It may move backwards, so that a sweep can be run again.
func (s *Store) SetCursor(ctx context.Context, location, name string, at time.Time) error {
	if err := named(location, name); err != nil {
		return fmt.Errorf("record a cursor: %w", err)
	}
	_, err := s.write.ExecContext(ctx, `
		INSERT INTO cursors (location, name, at) VALUES ($1, $2, $3)
		ON CONFLICT (location, name) DO UPDATE SET at = excluded.at`, location, name, micros(at))
	if err != nil {
		return fmt.Errorf("record the cursor %s: %w", name, err)
	}
	return nil
}
