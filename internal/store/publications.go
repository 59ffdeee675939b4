package store

import (
	"context"
	"fmt"
	"time"
)

// Publication is a report of a month that stands, or is to stand, in Sage as an activity on an account. It is known by
// location, report and month.
type Publication struct {
	Location string
	// Report names the report, such as "revenue"; Month is as 2006-01.
	Report, Month string
	// AccountID is the Sage account on which it stands or was last attempted, ActivityID its record there; each is 0 while
	// there is none.
	AccountID, ActivityID int64
	// Edition counts how often it was made anew after people had deleted it; 0 for the first.
	Edition int64
	// Digest is that of the figures that were last written; empty while none were.
	Digest string
	// Begun is when the making of the record was last attempted; zero if it never was. One that was may be there although
	// nobody knows its id.
	Begun time.Time
	// WrittenAt is when figures were last written; zero while none were.
	WrittenAt time.Time
	// Gone tells that people deleted the record.
	Gone bool
}

const publicationColumns = `location, report, month, account_id, activity_id, edition, digest, begun, written_at, gone`

// PutPublication keeps what is known of a publication, whatever was kept of it before: who writes one holds a claim on it.
func (s *Store) PutPublication(ctx context.Context, p Publication) error {
	if err := named(p.Location, p.Report, p.Month); err != nil {
		return fmt.Errorf("keep a publication: %w", err)
	}
	_, err := s.write.ExecContext(ctx, `
		INSERT INTO publications (`+publicationColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (location, report, month) DO UPDATE SET
			account_id = excluded.account_id, activity_id = excluded.activity_id, edition = excluded.edition,
			digest = excluded.digest, begun = excluded.begun, written_at = excluded.written_at, gone = excluded.gone`,
		p.Location, p.Report, p.Month, p.AccountID, p.ActivityID, p.Edition, p.Digest, micros(p.Begun), micros(p.WrittenAt), p.Gone)
	if err != nil {
		return fmt.Errorf("keep the publication of %s for %s: %w", p.Report, p.Month, err)
	}
	return nil
}

// Publication returns what is known of a publication, and false when nothing is.
func (s *Store) Publication(ctx context.Context, location, report, month string) (Publication, bool, error) {
	row := s.read.QueryRowContext(ctx, `
		SELECT `+publicationColumns+` FROM publications WHERE location = $1 AND report = $2 AND month = $3`, location, report, month)
	p, found, err := one(row, scanPublication)
	if err != nil {
		return Publication{}, false, fmt.Errorf("read the publication of %s for %s: %w", report, month, err)
	}
	return p, found, nil
}

// Publications lists what is known of a location's report from a month on, in the order of months. There is one for each
// month at most, so they are few.
func (s *Store) Publications(ctx context.Context, location, report, from string) ([]Publication, error) {
	rows, err := s.read.QueryContext(ctx, `
		SELECT `+publicationColumns+` FROM publications WHERE location = $1 AND report = $2 AND month >= $3 ORDER BY month`,
		location, report, from)
	if err != nil {
		return nil, fmt.Errorf("list the publications of %s: %w", report, err)
	}
	return collect(rows, scanPublication)
}

func scanPublication(row scanner) (Publication, error) {
	var p Publication
	var begun, written int64
	err := row.Scan(&p.Location, &p.Report, &p.Month, &p.AccountID, &p.ActivityID, &p.Edition, &p.Digest, &begun, &written, &p.Gone)
	p.Begun, p.WrittenAt = fromMicros(begun), fromMicros(written)
	return p, err
}
