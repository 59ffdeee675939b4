package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// The processes whose items are parked. They equal the names of the workflow types.
const (
	// PaymentToOrder is the one whose parked items RecordOrder removes.
	PaymentToOrder = "PaymentToOrder"
	// InvoiceToOrder is the one by which an invoice is parked whose orders could not be looked for.
	InvoiceToOrder = "InvoiceToOrder"
	// Fulfillment is the one whose parked items SaveFulfillment removes.
	Fulfillment = "Fulfillment"
	// SubscriptionReconciliation is the one of records that cannot be read into the books or brought into Sage.
	SubscriptionReconciliation = "SubscriptionReconciliation"
)

// Parked is an object that a process could not carry out: shown to people, and gone on with when they say so or when
// NextTry has come. It is known by location, process and object.
type Parked struct {
	Location, Process, ObjectID string
	// Kind is the error table's word, such as "Mapping"; Reason says in a sentence what is wrong and what to do. Neither
	// holds anything secret or personal.
	Kind, Reason string
	// Candidates are the records at Sage among which a person must choose, if that is the reason.
	Candidates []int64
	// Attempts counts how often the object was parked since it was last carried out; ParkedAt is the first time.
	Attempts          int
	ParkedAt, LastTry time.Time
	// NextTry is when it goes on by itself; zero when only a person can make it go on.
	NextTry    time.Time
	WorkflowID string
}

const (
	parkedColumns = `location, process, object_id, kind, reason, candidates, attempts, parked_at, last_try, next_try, workflow_id`
	deleteParked  = `DELETE FROM parked WHERE location = $1 AND process = $2 AND object_id = $3`
)

// Park parks an object, or says again why it is parked: then its attempts grow by one and its first ParkedAt is kept.
// Attempts is counted here, whatever p holds; a zero LastTry is taken to be ParkedAt.
func (s *Store) Park(ctx context.Context, p Parked) error {
	if err := named(p.Location, p.Process, p.ObjectID); err != nil {
		return fmt.Errorf("park an object: %w", err)
	}
	if p.LastTry.IsZero() {
		p.LastTry = p.ParkedAt
	}
	candidates, err := toJSON(p.Candidates)
	if err != nil {
		return err
	}
	_, err = s.write.ExecContext(ctx, `
		INSERT INTO parked (`+parkedColumns+`) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10)
		ON CONFLICT (location, process, object_id) DO UPDATE SET
			kind = excluded.kind, reason = excluded.reason, candidates = excluded.candidates,
			attempts = parked.attempts + 1, last_try = excluded.last_try, next_try = excluded.next_try,
			workflow_id = excluded.workflow_id`,
		p.Location, p.Process, p.ObjectID, p.Kind, p.Reason, candidates,
		micros(p.ParkedAt), micros(p.LastTry), micros(p.NextTry), p.WorkflowID)
	if err != nil {
		return fmt.Errorf("park %s of %s: %w", p.ObjectID, p.Process, err)
	}
	return nil
}

// Unpark takes objects off the parked items. One that is not parked is no error.
func (s *Store) Unpark(ctx context.Context, location, process string, objectIDs ...string) error {
	sorted := slices.Compact(slices.Sorted(slices.Values(objectIDs)))
	err := s.inBatches(ctx, len(sorted), func(tx *sql.Tx, from, to int) error {
		q := query{}
		q.WriteString("DELETE FROM parked WHERE location = " + q.arg(location) + " AND process = " + q.arg(process))
		q.WriteString(" AND object_id IN " + q.list(anys(sorted[from:to])...))
		_, err := tx.ExecContext(ctx, q.String(), q.args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("unpark %d objects of %s: %w", len(sorted), process, err)
	}
	return nil
}

// ParkedItem returns a parked object, and false when it is not parked.
func (s *Store) ParkedItem(ctx context.Context, location, process, objectID string) (Parked, bool, error) {
	row := s.read.QueryRowContext(ctx,
		`SELECT `+parkedColumns+` FROM parked WHERE location = $1 AND process = $2 AND object_id = $3`, location, process, objectID)
	p, found, err := one(row, scanParked)
	if err != nil {
		return Parked{}, false, fmt.Errorf("read the parked items: %w", err)
	}
	return p, found, nil
}

// ParkedFilter chooses parked items. Empty fields choose everything.
type ParkedFilter struct {
	Location, Process, Kind string
	// Since bounds when the object was first parked.
	Since time.Time
	// DueBefore chooses what goes on by itself and whose time has come.
	DueBefore time.Time
	Page
}

// ParkedItems lists parked items, first parked first, and returns the next page's token, empty after the last page.
func (s *Store) ParkedItems(ctx context.Context, f ParkedFilter) ([]Parked, string, error) {
	key, err := f.key(4)
	if err != nil {
		return nil, "", err
	}
	q := query{}
	conditions := q.equal("location", f.Location, "process", f.Process, "kind", f.Kind)
	if !f.Since.IsZero() {
		conditions = append(conditions, "parked_at >= "+q.arg(micros(f.Since)))
	}
	if !f.DueBefore.IsZero() {
		conditions = append(conditions, "next_try > 0", "next_try <= "+q.arg(micros(f.DueBefore)))
	}
	if key != nil {
		conditions = append(conditions, "(parked_at, location, process, object_id) > "+q.list(key...))
	}
	q.WriteString("SELECT " + parkedColumns + " FROM parked")
	q.where(conditions)
	q.WriteString(" ORDER BY parked_at, location, process, object_id LIMIT " + q.arg(f.limit()+1))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list the parked items: %w", err)
	}
	return paged(rows, f.limit(), scanParked, func(p Parked) string {
		return pageToken(p.ParkedAt, p.Location, p.Process, p.ObjectID)
	})
}

// MakeParkedDue lets the parked items of a location that are of these kinds go on now, also those that waited for a
// person, and tells how many there were. Those whose time has come already are left alone.
func (s *Store) MakeParkedDue(ctx context.Context, location string, kinds ...string) (int64, error) {
	if len(kinds) == 0 {
		return 0, nil
	}
	q := query{}
	now := q.arg(micros(time.Now()))
	q.WriteString("UPDATE parked SET next_try = " + now + " WHERE location = " + q.arg(location))
	q.WriteString(" AND (next_try = 0 OR next_try > " + now + ") AND kind IN " + q.list(anys(kinds)...))
	result, err := s.write.ExecContext(ctx, q.String(), q.args...)
	if err != nil {
		return 0, fmt.Errorf("make the parked items of %s due: %w", location, err)
	}
	return result.RowsAffected()
}

// CountParked counts the parked items of a location, or of all when it is empty, by kind.
func (s *Store) CountParked(ctx context.Context, location string) (map[string]int64, error) {
	return s.count(ctx, "parked", "kind", location)
}

func scanParked(row scanner) (Parked, error) {
	var (
		p                  Parked
		candidates         string
		parked, last, next int64
	)
	err := row.Scan(&p.Location, &p.Process, &p.ObjectID, &p.Kind, &p.Reason, &candidates, &p.Attempts, &parked, &last, &next, &p.WorkflowID)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(candidates), &p.Candidates); err != nil {
		return p, fmt.Errorf("the candidates of the parked %s: %w", p.ObjectID, err)
	}
	p.ParkedAt, p.LastTry, p.NextTry = fromMicros(parked), fromMicros(last), fromMicros(next)
	return p, nil
}
