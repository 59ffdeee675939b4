package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errTaken rolls a Claim back.
var errTaken = errors.New("claimed by another")

// Claim takes the exclusive right to some keys of a location for so long, all of them or none, and tells whether it was
// given. A holder may claim again what it holds, which also prolongs it; what another holder let lapse can be taken.
//
// Lapsing is judged by the clocks of the processes that claim, so they should agree to within seconds, and a claim
// should last well longer than the work it covers.
func (s *Store) Claim(ctx context.Context, location, holder string, life time.Duration, keys ...string) (bool, error) {
	if err := named(append([]string{location, holder}, keys...)...); err != nil {
		return false, fmt.Errorf("claim: %w", err)
	}
	now := time.Now()
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		for _, key := range slices.Sorted(slices.Values(keys)) { // one order everywhere, or two claims deadlock
			result, err := tx.ExecContext(ctx, `
				INSERT INTO claims (location, claim, holder, until) VALUES ($1, $2, $3, $4)
				ON CONFLICT (location, claim) DO UPDATE SET holder = excluded.holder, until = excluded.until
				WHERE claims.holder = excluded.holder OR claims.until < $5`,
				location, key, holder, micros(now.Add(life)), micros(now))
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err != nil || n == 0 {
				return cmp.Or(err, errTaken)
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, errTaken):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("claim: %w", err)
	}
	return true, nil
}

// Release gives back what the holder has claimed. Claims that lapsed, or that another holder took since, are no error.
func (s *Store) Release(ctx context.Context, location, holder string, keys ...string) error {
	sorted := slices.Sorted(slices.Values(keys))
	err := s.inBatches(ctx, len(sorted), func(tx *sql.Tx, from, to int) error {
		q := query{}
		q.WriteString("DELETE FROM claims WHERE location = " + q.arg(location) + " AND holder = " + q.arg(holder))
		q.WriteString(" AND claim IN " + q.list(anys(sorted[from:to])...))
		_, err := tx.ExecContext(ctx, q.String(), q.args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("give back a claim: %w", err)
	}
	return nil
}
