package store

import (
	"context"
	"fmt"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// comparePage is how many ids are compared from one reading. It bounds the memory, whatever the ledger's size.
const comparePage = 200

// The columns by which pages of a comparison are read.
const (
	compareIDs     = "id"
	compareRecords = "record"
)

// CompareFilter chooses what is compared. The location and the kind must be given.
type CompareFilter struct {
	Location string
	Kind     domain.EntryKind
	// From and Before bound the period. What both sides say of a record is in it, or out of it, as a whole: the At of
	// HighLevel's entry decides, and only for what HighLevel does not know, the earliest At at Sage.
	From, Before time.Time
}

// ComparePages hands what both sides say of each record to fn, in the order of ids: HighLevel's entry, nil if there is
// none, and those at Sage, in the order of records. Records at Sage that carry no id come first, one by one. What is gone
// and what is test data is handed over as well. It holds some hundreds of records at a time, and no connection while fn
// runs, so fn may call the store. An error of fn ends it, and is returned as it is.
//
// What is written meanwhile may be met as it was before or as it is after, but the two sides of one record are read
// together.
func (s *Store) ComparePages(
	ctx context.Context, f CompareFilter, fn func(id string, ghl *LedgerEntry, sage []LedgerEntry) error,
) error {
	if err := named(f.Location, string(f.Kind)); err != nil {
		return fmt.Errorf("compare the ledger's sides: %w", err)
	}
	if err := s.compareNameless(ctx, f, fn); err != nil {
		return err
	}
	for after := ""; ; {
		ids, err := s.compareKeys(ctx, f, compareIDs, after)
		if err != nil || len(ids) == 0 {
			return err
		}
		entries, err := s.entriesOf(ctx, f, compareIDs, ids)
		if err != nil {
			return err
		}
		if err := f.each(entries, fn); err != nil {
			return err
		}
		after = ids[len(ids)-1]
	}
}

// Differences is domain.Compare of what ComparePages hands over, with the Since that the ledger knows: when what the sides
// say of the record was last seen to change, so that news that were read a moment ago are young, however old they are.
func Differences(kind domain.EntryKind, ghl *LedgerEntry, sage []LedgerEntry) []domain.Difference {
	var here *domain.Entry
	if ghl != nil {
		here = &ghl.Entry
	}
	there := make([]domain.Entry, len(sage))
	for i := range sage {
		there[i] = sage[i].Entry
	}
	found := domain.Compare(kind, here, there)
	for i := range found {
		var since time.Time
		if found[i].GHL != nil && ghl != nil {
			since = ghl.ChangedAt
		}
		for _, e := range sage {
			if e.Record == found[i].Record && e.ChangedAt.After(since) {
				since = e.ChangedAt
			}
		}
		if !since.IsZero() {
			found[i].Since = since
		}
	}
	return found
}

// compareNameless hands over the records at Sage that carry no id. They have nothing to do with each other, and there may
// be as many as people have ever made.
func (s *Store) compareNameless(
	ctx context.Context, f CompareFilter, fn func(id string, ghl *LedgerEntry, sage []LedgerEntry) error,
) error {
	for after := ""; ; {
		records, err := s.compareKeys(ctx, f, compareRecords, after)
		if err != nil || len(records) == 0 {
			return err
		}
		entries, err := s.entriesOf(ctx, f, compareRecords, records)
		if err != nil {
			return err
		}
		for i := range entries {
			if err := f.each(entries[i:i+1], fn); err != nil {
				return err
			}
		}
		after = records[len(records)-1]
	}
}

// compareKeys are the next keys of which either side has an entry in the period: ids or, of entries without one, records.
func (s *Store) compareKeys(ctx context.Context, f CompareFilter, key, after string) ([]string, error) {
	q := query{}
	conditions := f.conditions(&q, key)
	conditions = append(conditions, key+" > "+q.arg(after))
	// The plus keeps both databases from looking the period up by its index, which they would have to sort for each page.
	conditions = append(conditions, q.between("+at", f.From, f.Before)...)
	q.WriteString("SELECT DISTINCT " + key + " FROM entries")
	q.where(conditions)
	q.WriteString(" ORDER BY " + key + " LIMIT " + q.arg(comparePage))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("compare the ledger's sides: %w", err)
	}
	return collect(rows, scanWord)
}

// entriesOf are the entries of some keys, which are in the database's order: those of one id together, whatever the period.
func (s *Store) entriesOf(ctx context.Context, f CompareFilter, key string, keys []string) ([]LedgerEntry, error) {
	q := query{}
	conditions := f.conditions(&q, key)
	// The bounds say nothing new, but without them PostgreSQL, until it has statistics, reads along the whole kind.
	conditions = append(conditions, key+" >= "+q.arg(keys[0]), key+" <= "+q.arg(keys[len(keys)-1]))
	conditions = append(conditions, key+" IN "+q.list(anys(keys)...))
	q.WriteString("SELECT " + entryColumns + " FROM entries")
	q.where(conditions)
	q.WriteString(" ORDER BY id, side, record")
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("compare the ledger's sides: %w", err)
	}
	return collect(rows, scanEntry)
}

func (f CompareFilter) conditions(q *query, key string) []string {
	conditions := q.equal("location", f.Location, "kind", string(f.Kind))
	if key == compareRecords {
		conditions = append(conditions, "id = ''", "side = 'sage'")
	}
	return conditions
}

// each calls fn for each run of entries of one id that is in the period.
func (f CompareFilter) each(entries []LedgerEntry, fn func(string, *LedgerEntry, []LedgerEntry) error) error {
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && entries[n].ID == entries[0].ID {
			n++
		}
		group := entries[:n]
		entries = entries[n:]
		var ghl *LedgerEntry
		sage := group
		if group[0].Side == domain.HighLevelSide { // "ghl" sorts before "sage"
			ghl, sage = &group[0], group[1:]
		}
		if f.holds(ghl, sage) {
			if err := fn(group[0].ID, ghl, sage); err != nil {
				return err
			}
		}
	}
	return nil
}

// holds tells whether a record is in the period. It compares times as they are kept, as the query does.
func (f CompareFilter) holds(ghl *LedgerEntry, sage []LedgerEntry) bool {
	var at int64
	if ghl != nil {
		at = micros(ghl.At)
	} else {
		for _, e := range sage {
			if one := micros(e.At); at == 0 || one != 0 && one < at {
				at = one
			}
		}
	}
	return (f.From.IsZero() || at >= micros(f.From)) && (f.Before.IsZero() || at < micros(f.Before))
}
