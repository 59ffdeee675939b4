package store

import (
	"context"
	"fmt"
	"time"
)

// PlannedWrite is a write that a read-only run refused, with what would have been sent. It is known by its location and
// digest.
type PlannedWrite struct {
	Location string
	// Vendor, Operation, Method and Path say what would have been called, without anything personal.
	Vendor, Operation, Method, Path string
	// Digest is of the whole request: the same write again has the same.
	Digest string
	// Request is the request, sealed for PlannedPurpose(Digest).
	Request Sealed
	// Times counts how often it would have been sent, FirstAt and LastAt when.
	Times           int64
	FirstAt, LastAt time.Time
}

const plannedColumns = `location, digest, vendor, operation, method, path, sealed_key, sealed, times, first_at, last_at`

// Plan records that a write would have been sent. A write that is known already is counted, and keeps its request. Times
// and FirstAt are kept here, whatever p holds; a zero LastAt is taken to be now.
func (s *Store) Plan(ctx context.Context, p PlannedWrite) error {
	if err := named(p.Location, p.Digest); err != nil {
		return fmt.Errorf("record a planned write: %w", err)
	}
	if err := p.Request.check(); err != nil {
		return fmt.Errorf("record a planned write: %w", err)
	}
	_, err := s.write.ExecContext(ctx, `
		INSERT INTO planned (`+plannedColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $9)
		ON CONFLICT (location, digest) DO UPDATE SET times = planned.times + 1, last_at = excluded.last_at`,
		p.Location, p.Digest, p.Vendor, p.Operation, p.Method, p.Path, p.Request.KeyID, p.Request.Text, micros(orNow(p.LastAt)))
	if err != nil {
		return fmt.Errorf("record a planned write: %w", err)
	}
	return nil
}

// PlannedFilter chooses planned writes. An empty location chooses everything.
type PlannedFilter struct {
	Location string
	Page
}

// Planned lists the planned writes, first planned first, and returns the next page's token, empty after the last page.
func (s *Store) Planned(ctx context.Context, f PlannedFilter) ([]PlannedWrite, string, error) {
	key, err := f.key(3)
	if err != nil {
		return nil, "", err
	}
	q := query{}
	conditions := q.equal("location", f.Location)
	if key != nil {
		conditions = append(conditions, "(first_at, location, digest) > "+q.list(key...))
	}
	q.WriteString("SELECT " + plannedColumns + " FROM planned")
	q.where(conditions)
	q.WriteString(" ORDER BY first_at, location, digest LIMIT " + q.arg(f.limit()+1))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list the planned writes: %w", err)
	}
	return paged(rows, f.limit(), scanPlanned, func(p PlannedWrite) string { return pageToken(p.FirstAt, p.Location, p.Digest) })
}

// ForgetPlanned deletes the planned writes of a location, or all of them when it is empty, and tells how many.
func (s *Store) ForgetPlanned(ctx context.Context, location string) (int64, error) {
	q := query{}
	conditions := q.equal("location", location)
	q.WriteString("DELETE FROM planned")
	q.where(conditions)
	result, err := s.write.ExecContext(ctx, q.String(), q.args...)
	if err != nil {
		return 0, fmt.Errorf("delete the planned writes: %w", err)
	}
	return result.RowsAffected()
}

func scanPlanned(row scanner) (PlannedWrite, error) {
	var p PlannedWrite
	var first, last int64
	err := row.Scan(&p.Location, &p.Digest, &p.Vendor, &p.Operation, &p.Method, &p.Path, &p.Request.KeyID, &p.Request.Text,
		&p.Times, &first, &last)
	p.FirstAt, p.LastAt = fromMicros(first), fromMicros(last)
	return p, err
}
