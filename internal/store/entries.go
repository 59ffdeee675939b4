package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// LedgerEntry is what one side says of an order, payment, refund or subscription, as it was last seen. It is known by
// location, kind, side, id and, at Sage, where one id may stand on several records or on none, by record.
type LedgerEntry struct {
	Location string
	domain.Entry
	// FirstSeen is when the entry was first seen, SeenAt when it was last, and ChangedAt when what matters of it last
	// became what it is.
	FirstSeen, SeenAt, ChangedAt time.Time
	// Digest is the entry's own; Agreed the one that the other side was last made to agree with, at AgreedAt. Equal ones
	// need no call to anybody. Only Agree and Disagree write Agreed.
	Digest, Agreed string
	AgreedAt       time.Time
}

// EntryTally counts entries of a kind, the first of which was first seen at Oldest.
type EntryTally struct {
	Kind   domain.EntryKind
	Count  int64
	Oldest time.Time
}

const entryColumns = `location, kind, id, side, record, ext_id, order_id, subscription_id, contact_id, product_id, currency, minor,
	status, word, at, until_at, next_at, every, name, updated_at, test, gone, edited, apart, first_seen, seen_at, changed_at,
	digest, agreed, agreed_at`

// unagreed is written as in the condition of the index entries_unagreed, or no database would use that.
// HighLevel's entries are told by having no record: told by their side, SQLite would look all of them up by time.
const unagreed = "record = '' AND digest <> agreed AND NOT test"

// entryBatch bounds the rows of one statement. Entries have many columns, and the time that SQLite's driver takes to find
// a parameter grows with their number.
const entryBatch = 8

// putEntry keeps what only the store knows: when an entry was first seen, since when it is as it is, and what was agreed.
const putEntry = ` ON CONFLICT (location, kind, id, side, record) DO UPDATE SET
	ext_id = excluded.ext_id, order_id = excluded.order_id, subscription_id = excluded.subscription_id, contact_id = excluded.contact_id,
	product_id = excluded.product_id, currency = excluded.currency, minor = excluded.minor, status = excluded.status,
	word = excluded.word, at = excluded.at, month = excluded.month, until_at = excluded.until_at, next_at = excluded.next_at,
	every = excluded.every, name = excluded.name, updated_at = excluded.updated_at, test = excluded.test,
	gone = excluded.gone, edited = excluded.edited, apart = excluded.apart, seen_at = excluded.seen_at,
	changed_at = CASE WHEN entries.digest = excluded.digest THEN entries.changed_at ELSE excluded.changed_at END,
	digest = excluded.digest
	WHERE entries.seen_at <= excluded.seen_at`

// PutEntries keeps what was seen, all of it or nothing. What was seen earlier than what is kept changes nothing, and is no
// error. Of an entry, Digest is worked out here, FirstSeen is kept from the first time, and Agreed stays as it is, whatever
// the entries hold; a zero SeenAt is taken to be now.
//
// With them it keeps what the entries alone would forget: each step of a refund at HighLevel (RefundSteps), and what each
// subscription was before (SubscriptionSums).
//
// An entry of HighLevel's has an id and no record. An entry at Sage has a record, and an id if the record carries one of
// HighLevel's.
func (s *Store) PutEntries(ctx context.Context, entries []LedgerEntry) error {
	for _, e := range entries {
		if err := e.check(); err != nil {
			return fmt.Errorf("keep an entry of the ledger: %w", err)
		}
	}
	sorted := latest(entries, compareEntries)
	now := time.Now()
	err := s.inBatches(ctx, len(sorted), func(tx *sql.Tx, from, to int) error {
		for some := range slices.Chunk(sorted[from:to], entryBatch) {
			if err := putEntries(ctx, tx, some, now); err != nil {
				return err
			}
		}
		return putHistory(ctx, tx, sorted[from:to])
	})
	if err != nil {
		return fmt.Errorf("keep entries of the ledger: %w", err)
	}
	s.countRows(ctx, len(sorted))
	return nil
}

func putEntries(ctx context.Context, tx *sql.Tx, entries []LedgerEntry, now time.Time) error {
	q := query{}
	q.WriteString("INSERT INTO entries (" + entryColumns + ", month) VALUES ")
	for i, e := range entries {
		values, err := e.values(now)
		if err != nil {
			return err
		}
		if i > 0 {
			q.WriteString(", ")
		}
		q.WriteString(q.list(values...))
	}
	q.WriteString(putEntry)
	_, err := tx.ExecContext(ctx, q.String(), q.args...)
	return err
}

func (e LedgerEntry) check() error {
	if err := named(e.Location, e.ID+e.Record); err != nil {
		return err
	}
	switch {
	case !slices.Contains(domain.EntryKinds(), e.Kind):
		return fmt.Errorf("there is no kind %q", e.Kind)
	case e.Side != domain.HighLevelSide && e.Side != domain.SageSide:
		return fmt.Errorf("there is no side %q", e.Side)
	case e.Side == domain.HighLevelSide && e.ID == "":
		return errNothingNamed
	case e.Side == domain.HighLevelSide && e.Record != "":
		return errors.New("an entry of HighLevel's has a record of Sage")
	case e.Side == domain.SageSide && e.Record == "":
		return errors.New("an entry at Sage has no record")
	}
	return nil
}

// compareEntries is the order in which all write, and it is the table's key.
func compareEntries(a, b LedgerEntry) int {
	return cmp.Or(cmp.Compare(a.Location, b.Location), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID),
		cmp.Compare(a.Side, b.Side), cmp.Compare(a.Record, b.Record))
}

// values are a new row's, in the order of entryColumns, and its month.
func (e LedgerEntry) values(now time.Time) ([]any, error) {
	every, err := recurrenceText(e.Every)
	if err != nil {
		return nil, err
	}
	seen := e.SeenAt
	if seen.IsZero() {
		seen = now
	}
	first := e.FirstSeen
	if first.IsZero() {
		first = seen
	}
	return []any{
		e.Location, string(e.Kind), e.ID, string(e.Side), e.Record, e.ExtID, e.OrderID, e.SubscriptionID, e.ContactID, e.ProductID,
		string(e.Amount.Currency), e.Amount.Minor, e.Status, e.Word, micros(e.At), micros(e.Until), micros(e.Next), every, e.Name,
		micros(e.UpdatedAt), e.Test, e.Gone, e.Edited, e.Apart, micros(first), micros(seen), micros(seen), e.Entry.Digest(), "", 0,
		monthOf(e.At),
	}, nil
}

// Agreement says that Sage was made to agree with an entry of HighLevel's as it was when its digest was this.
type Agreement struct {
	Kind       domain.EntryKind
	ID, Digest string
}

// Agree records what was brought into Sage. The digest is the one of what was brought: if the entry has changed since, it
// is still to be brought. An entry that is not there is no error.
func (s *Store) Agree(ctx context.Context, location string, agreed ...Agreement) error {
	if err := named(location); err != nil {
		return fmt.Errorf("agree on entries: %w", err)
	}
	sorted := latest(agreed, func(a, b Agreement) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) })
	now := micros(time.Now())
	err := s.inBatches(ctx, len(sorted), func(tx *sql.Tx, from, to int) error {
		for _, a := range sorted[from:to] {
			if err := named(string(a.Kind), a.ID, a.Digest); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `UPDATE entries SET agreed = $4, agreed_at = $5
				WHERE location = $1 AND kind = $2 AND id = $3 AND side = 'ghl' AND record = ''`,
				location, string(a.Kind), a.ID, a.Digest, now)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("agree on entries: %w", err)
	}
	return nil
}

// Disagree makes entries of HighLevel's to be brought again although nothing of them has changed: Sage's side was found
// not to say what was agreed. It tells how many there were.
func (s *Store) Disagree(ctx context.Context, location string, kind domain.EntryKind, ids ...string) (n int64, err error) {
	sorted := slices.Compact(slices.Sorted(slices.Values(ids)))
	err = s.inBatches(ctx, len(sorted), func(tx *sql.Tx, from, to int) error {
		q := query{}
		q.WriteString("UPDATE entries SET agreed = '' WHERE location = " + q.arg(location) + " AND kind = " + q.arg(string(kind)))
		q.WriteString(" AND side = 'ghl' AND id IN " + q.list(anys(sorted[from:to])...))
		result, err := tx.ExecContext(ctx, q.String(), q.args...)
		if err != nil {
			return err
		}
		some, err := result.RowsAffected()
		n += some
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("bring entries again: %w", err)
	}
	return n, nil
}

// EntryFilter chooses entries. Empty fields choose everything, but the location must be given.
type EntryFilter struct {
	Location string
	Kind     domain.EntryKind
	Side     domain.Side
	// IDs and Records choose by HighLevel's ids and by Sage's records; some hundreds at once.
	IDs, Records []string
	// SubscriptionID chooses what belongs to a subscription.
	SubscriptionID string
	// From and Before bound the entries' At. SeenBefore chooses what was last seen before a time: after a sweep that read
	// everything there is, what is not there any more.
	From, Before, SeenBefore time.Time
	// Unagreed chooses HighLevel's entries that were not brought as they are. Test data never is, and is left out.
	Unagreed bool
	Page
}

// Entries lists entries, those with the earliest At first, and returns the next page's token, empty after the last page.
func (s *Store) Entries(ctx context.Context, f EntryFilter) ([]LedgerEntry, string, error) {
	if err := named(f.Location); err != nil {
		return nil, "", fmt.Errorf("list the entries of the ledger: %w", err)
	}
	key, err := f.key(5)
	if err != nil {
		return nil, "", err
	}
	q := query{}
	conditions := f.conditions(&q)
	if key != nil {
		// The first of the two is implied by the second, but only it can be looked up in an index.
		conditions = append(conditions, "at >= "+q.arg(key[0]), "(at, kind, side, id, record) > "+q.list(key...))
	}
	q.WriteString("SELECT " + entryColumns + " FROM entries")
	q.where(conditions)
	q.WriteString(" ORDER BY at, kind, side, id, record LIMIT " + q.arg(f.limit()+1))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list the entries of the ledger: %w", err)
	}
	return paged(rows, f.limit(), scanEntry, func(e LedgerEntry) string {
		return pageToken(e.At, string(e.Kind), string(e.Side), e.ID, e.Record)
	})
}

func (f EntryFilter) conditions(q *query) []string {
	conditions := q.equal("location", f.Location, "kind", string(f.Kind), "side", string(f.Side))
	if len(f.IDs) > 0 {
		conditions = append(conditions, "id IN "+q.list(anys(f.IDs)...))
	}
	if len(f.Records) > 0 {
		conditions = append(conditions, "record <> ''", "record IN "+q.list(anys(f.Records)...))
	}
	if f.SubscriptionID != "" {
		conditions = append(conditions, "subscription_id <> ''", "subscription_id = "+q.arg(f.SubscriptionID))
	}
	conditions = append(conditions, q.between("at", f.From, f.Before)...)
	if !f.SeenBefore.IsZero() {
		conditions = append(conditions, "seen_at < "+q.arg(micros(f.SeenBefore)))
	}
	if f.Unagreed {
		conditions = append(conditions, unagreed)
	}
	return conditions
}

// between is a condition for each bound that is given.
func (q *query) between(column string, from, before time.Time) []string {
	var conditions []string
	if !from.IsZero() {
		conditions = append(conditions, column+" >= "+q.arg(micros(from)))
	}
	if !before.IsZero() {
		conditions = append(conditions, column+" < "+q.arg(micros(before)))
	}
	return conditions
}

// Unagreed lists HighLevel's entries of a kind that were not brought as they are, earliest first, and returns the next
// page's token. Those that are agreed on while the list is read are skipped, and none is missed for it.
func (s *Store) Unagreed(ctx context.Context, location string, kind domain.EntryKind, page Page) ([]LedgerEntry, string, error) {
	return s.Entries(ctx, EntryFilter{Location: location, Kind: kind, Unagreed: true, Page: page})
}

// CountUnagreed counts HighLevel's entries that were not brought as they are, by kind.
func (s *Store) CountUnagreed(ctx context.Context, location string) ([]EntryTally, error) {
	rows, err := s.read.QueryContext(ctx,
		`SELECT kind, COUNT(*), MIN(first_seen) FROM entries WHERE location = $1 AND `+unagreed+` GROUP BY kind ORDER BY kind`, location)
	if err != nil {
		return nil, fmt.Errorf("count what is to be brought: %w", err)
	}
	return collect(rows, func(row scanner) (EntryTally, error) {
		var c EntryTally
		var oldest int64
		err := row.Scan(&c.Kind, &c.Count, &oldest)
		c.Oldest = fromMicros(oldest)
		return c, err
	})
}

func scanEntry(row scanner) (LedgerEntry, error) {
	var (
		e                                                   LedgerEntry
		every                                               string
		at, until, next, updated, first, seen, changed, agr int64
	)
	err := row.Scan(&e.Location, &e.Kind, &e.ID, &e.Side, &e.Record, &e.ExtID, &e.OrderID, &e.SubscriptionID, &e.ContactID, &e.ProductID,
		&e.Amount.Currency, &e.Amount.Minor, &e.Status, &e.Word, &at, &until, &next, &every, &e.Name, &updated, &e.Test, &e.Gone,
		&e.Edited, &e.Apart, &first, &seen, &changed, &e.Digest, &e.Agreed, &agr)
	if err != nil {
		return e, err
	}
	if e.Every, err = recurrence(every); err != nil {
		return e, err
	}
	e.At, e.Until, e.Next, e.UpdatedAt = fromMicros(at), fromMicros(until), fromMicros(next), fromMicros(updated)
	e.FirstSeen, e.SeenAt, e.ChangedAt, e.AgreedAt = fromMicros(first), fromMicros(seen), fromMicros(changed), fromMicros(agr)
	return e, nil
}

// recurrenceText is a recurrence as the table holds it, empty for none. Equal ones have equal texts.
func recurrenceText(r domain.Recurrence) (string, error) {
	if r == (domain.Recurrence{}) {
		return "", nil
	}
	return toJSON(r)
}

func recurrence(text string) (r domain.Recurrence, err error) {
	if text == "" {
		return r, nil
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, fmt.Errorf("a recurrence in the ledger: %w", err)
	}
	return r, nil
}
