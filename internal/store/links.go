package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// LinkKind says what kind of record at Sage a link leads to.
type LinkKind string

// The kinds of links. One external identity may stand for several records, as a HighLevel contact does for an account
// and a contact at Sage: the kind tells them apart.
const (
	Account LinkKind = "account"
	Contact LinkKind = "contact"
	Product LinkKind = "product"
)

// Link says which record at Sage stands for an external identity such as "ghl:contact:…" in a location. It is a hint
// that saves a search: a record may have been deleted or merged at Sage since.
type Link struct {
	Location string
	Kind     LinkKind
	ExtID    string
	SageID   int64
}

// Links returns the links of those of the external ids that have one, by external id.
func (s *Store) Links(ctx context.Context, location string, kind LinkKind, extIDs ...string) (map[string]Link, error) {
	found := make(map[string]Link, len(extIDs))
	for ids := range slices.Chunk(extIDs, batch) {
		q := query{}
		q.WriteString("SELECT ext_id, sage_id FROM links WHERE location = " + q.arg(location) + " AND kind = " + q.arg(string(kind)))
		q.WriteString(" AND ext_id IN " + q.list(anys(ids)...))
		rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
		if err != nil {
			return nil, fmt.Errorf("read the links: %w", err)
		}
		links, err := collect(rows, func(row scanner) (Link, error) {
			l := Link{Location: location, Kind: kind}
			return l, row.Scan(&l.ExtID, &l.SageID)
		})
		if err != nil {
			return nil, fmt.Errorf("read the links: %w", err)
		}
		for _, l := range links {
			found[l.ExtID] = l
		}
	}
	return found, nil
}

// PutLinks records links, in place of what was linked to the same external ids before.
func (s *Store) PutLinks(ctx context.Context, links ...Link) error {
	for _, l := range links {
		if err := named(l.Location, string(l.Kind), l.ExtID); err != nil || l.SageID <= 0 {
			return fmt.Errorf("record a link of %q to the Sage %s %d: %w", l.ExtID, l.Kind, l.SageID, cmp.Or(err, errNothingNamed))
		}
	}
	// Rows are written in one order everywhere: transactions that touch the same rows in different orders deadlock.
	links = latest(links, func(a, b Link) int {
		return cmp.Or(cmp.Compare(a.Location, b.Location), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ExtID, b.ExtID))
	})
	err := s.inBatches(ctx, len(links), func(tx *sql.Tx, from, to int) error {
		q := query{}
		q.WriteString("INSERT INTO links (location, kind, ext_id, sage_id) VALUES ")
		for i, l := range links[from:to] {
			if i > 0 {
				q.WriteString(", ")
			}
			q.WriteString(q.list(l.Location, string(l.Kind), l.ExtID, l.SageID))
		}
		q.WriteString(" ON CONFLICT (location, kind, ext_id) DO UPDATE SET sage_id = excluded.sage_id")
		_, err := tx.ExecContext(ctx, q.String(), q.args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("record links: %w", err)
	}
	return nil
}

// DropLinks forgets links whose record at Sage is gone. Links that are not there are no error.
func (s *Store) DropLinks(ctx context.Context, location string, kind LinkKind, extIDs ...string) error {
	ids := slices.Sorted(slices.Values(extIDs))
	err := s.inBatches(ctx, len(ids), func(tx *sql.Tx, from, to int) error {
		q := query{}
		q.WriteString("DELETE FROM links WHERE location = " + q.arg(location) + " AND kind = " + q.arg(string(kind)))
		q.WriteString(" AND ext_id IN " + q.list(anys(ids[from:to])...))
		_, err := tx.ExecContext(ctx, q.String(), q.args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget links: %w", err)
	}
	return nil
}

// inBatches runs fn over n rows, a batch at a time, in one transaction. No rows take no transaction.
func (s *Store) inBatches(ctx context.Context, n int, fn func(tx *sql.Tx, from, to int) error) error {
	if n == 0 {
		return nil
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		for from := 0; from < n; from += batch {
			if err := fn(tx, from, min(from+batch, n)); err != nil {
				return err
			}
		}
		return nil
	})
}

// latest sorts a copy of the rows and keeps the last given of those with equal keys: one statement may not write the
// same row twice.
func latest[T any](rows []T, compare func(a, b T) int) []T {
	sorted := slices.Clone(rows)
	slices.Reverse(sorted)
	slices.SortStableFunc(sorted, compare)
	return slices.CompactFunc(sorted, func(a, b T) bool { return compare(a, b) == 0 })
}

func anys[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
