package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// SightingKind says what a sweep saw.
type SightingKind string

// The kinds of sightings.
const (
	OrderSighting       SightingKind = "order"
	TransactionSighting SightingKind = "transaction"
	// FulfillmentSighting is of an order as the fulfilment sweep looks at it.
	FulfillmentSighting SightingKind = "fulfillment"
	// SageOrderSighting is of a sales order at Sage.
	SageOrderSighting SightingKind = "sage-order"
)

// Sighting is what a sweep saw of an object at either side, reduced to a digest of what matters, so that the next sweep
// signals only what has changed.
type Sighting struct {
	Location string
	Kind     SightingKind
	ID       string
	Digest   string
	SeenAt   time.Time
}

type sightingKey struct {
	location string
	kind     SightingKind
	id       string
}

func (g Sighting) key() sightingKey { return sightingKey{g.Location, g.Kind, g.ID} }

// Unseen returns those of the sightings that are new or whose digest differs from the recorded one, in their order.
// Record them only after they have been acted upon.
func (s *Store) Unseen(ctx context.Context, seen []Sighting) ([]Sighting, error) {
	type group struct {
		location string
		kind     SightingKind
	}
	ids := map[group][]string{}
	for _, g := range seen {
		of := group{g.Location, g.Kind}
		ids[of] = append(ids[of], g.ID)
	}
	known := make(map[sightingKey]string, len(seen))
	for of, all := range ids {
		for chunk := range slices.Chunk(all, batch) {
			if err := s.digests(ctx, of.location, of.kind, chunk, known); err != nil {
				return nil, fmt.Errorf("read what was seen last: %w", err)
			}
		}
	}
	var unseen []Sighting
	for _, g := range seen {
		if digest, found := known[g.key()]; !found || digest != g.Digest {
			unseen = append(unseen, g)
		}
	}
	return unseen, nil
}

func (s *Store) digests(ctx context.Context, location string, kind SightingKind, ids []string, into map[sightingKey]string) error {
	q := query{}
	q.WriteString("SELECT id, digest FROM sightings WHERE location = " + q.arg(location) + " AND kind = " + q.arg(string(kind)))
	q.WriteString(" AND id IN " + q.list(anys(ids)...))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return err
	}
	_, err = collect(rows, func(row scanner) (struct{}, error) {
		var id, digest string
		err := row.Scan(&id, &digest)
		into[sightingKey{location, kind, id}] = digest
		return struct{}{}, err
	})
	return err
}

// RecordSightings records what was seen. An older sighting never replaces a newer one.
func (s *Store) RecordSightings(ctx context.Context, seen []Sighting) error {
	sorted, err := sortSightings(seen)
	if err != nil || len(sorted) == 0 {
		return err
	}
	return s.inTx(ctx, func(tx *sql.Tx) error { return putSightings(ctx, tx, sorted) })
}

// sortSightings refuses those that nobody would find again, and brings the others into the order in which all write.
func sortSightings(seen []Sighting) ([]Sighting, error) {
	for _, g := range seen {
		if err := named(g.Location, string(g.Kind), g.ID); err != nil {
			return nil, fmt.Errorf("record a sighting: %w", err)
		}
	}
	return latest(seen, func(a, b Sighting) int {
		return cmp.Or(cmp.Compare(a.Location, b.Location), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	}), nil
}

func putSightings(ctx context.Context, tx *sql.Tx, sorted []Sighting) error {
	for some := range slices.Chunk(sorted, batch) {
		q := query{}
		q.WriteString("INSERT INTO sightings (location, kind, id, digest, seen_at) VALUES ")
		for i, g := range some {
			if i > 0 {
				q.WriteString(", ")
			}
			q.WriteString(q.list(g.Location, string(g.Kind), g.ID, g.Digest, micros(g.SeenAt)))
		}
		q.WriteString(` ON CONFLICT (location, kind, id) DO UPDATE SET digest = excluded.digest, seen_at = excluded.seen_at
			WHERE sightings.seen_at <= excluded.seen_at`)
		if _, err := tx.ExecContext(ctx, q.String(), q.args...); err != nil {
			return fmt.Errorf("record sightings: %w", err)
		}
	}
	return nil
}

// ForgetSightings removes what was recorded before a time, and returns how many there were. Objects that a sweep still
// finds afterwards count as new, so the time must lie before every sweep's window.
func (s *Store) ForgetSightings(ctx context.Context, location string, kind SightingKind, before time.Time) (int64, error) {
	result, err := s.write.ExecContext(ctx,
		`DELETE FROM sightings WHERE location = $1 AND kind = $2 AND seen_at < $3`, location, string(kind), micros(before))
	if err != nil {
		return 0, fmt.Errorf("forget old sightings: %w", err)
	}
	return result.RowsAffected()
}
