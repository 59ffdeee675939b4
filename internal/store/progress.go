package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Progress says how far a long run of a location has come, such as the bringing of years of transactions. It is shown to
// people, and it is from where a run that was stopped goes on. It is known by location and run.
type Progress struct {
	Location string
	// Run names the run, such as "backfill"; the same name goes on where the one before was stopped.
	Run string
	// Stage is what the run does now, in a word of its process.
	Stage string
	// Position is where the stage goes on, in the words of its process; the store does not read it.
	Position string
	// From and Before bound the period that the run is about. At is up to where in it the stage has come.
	From, Before, At time.Time
	// Pages and Records count what was read so far. Total is how many records there will be, as far as the source tells
	// before it is read; 0 when it does not.
	Pages, Records, Total int64
	// BeganAt is when the run first began, and EndedAt when it was through; zero while there is work left.
	BeganAt, UpdatedAt, EndedAt time.Time
}

const progressColumns = `location, run, stage, position, from_at, before_at, at, pages, records, total, began_at, updated_at, ended_at`

// PutProgress keeps how far a run has come. What is older than what is kept, by UpdatedAt, is not written, and no error: a
// step that was given up and ran on all the same must not set the run back. BeganAt is kept from the first time; a zero
// UpdatedAt is taken to be now, and a zero BeganAt to be UpdatedAt.
func (s *Store) PutProgress(ctx context.Context, p Progress) error {
	if err := named(p.Location, p.Run); err != nil {
		return fmt.Errorf("keep the progress of a run: %w", err)
	}
	if p.Pages < 0 || p.Records < 0 || p.Total < 0 {
		return errors.New("keep the progress of a run: pages, records and total cannot be negative")
	}
	p.UpdatedAt = orNow(p.UpdatedAt)
	if p.BeganAt.IsZero() {
		p.BeganAt = p.UpdatedAt
	}
	_, err := s.write.ExecContext(ctx, `
		INSERT INTO progress (`+progressColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (location, run) DO UPDATE SET
			stage = excluded.stage, position = excluded.position, from_at = excluded.from_at, before_at = excluded.before_at,
			at = excluded.at, pages = excluded.pages, records = excluded.records, total = excluded.total,
			updated_at = excluded.updated_at, ended_at = excluded.ended_at
		WHERE progress.updated_at <= excluded.updated_at`,
		p.Location, p.Run, p.Stage, p.Position, micros(p.From), micros(p.Before), micros(p.At), p.Pages, p.Records, p.Total,
		micros(p.BeganAt), micros(p.UpdatedAt), micros(p.EndedAt))
	if err != nil {
		return fmt.Errorf("keep the progress of %s: %w", p.Run, err)
	}
	if !p.EndedAt.IsZero() {
		s.countLedger(ctx)
	}
	return nil
}

// Progress returns how far a run has come, and false when it never began or was forgotten.
func (s *Store) Progress(ctx context.Context, location, run string) (Progress, bool, error) {
	row := s.read.QueryRowContext(ctx, `SELECT `+progressColumns+` FROM progress WHERE location = $1 AND run = $2`, location, run)
	p, found, err := one(row, scanProgress)
	if err != nil {
		return Progress{}, false, fmt.Errorf("read the progress of %s: %w", run, err)
	}
	return p, found, nil
}

// AllProgress lists the runs of a location, or of all when it is empty, in the order of location and name.
func (s *Store) AllProgress(ctx context.Context, location string) ([]Progress, error) {
	q := query{}
	conditions := q.equal("location", location)
	q.WriteString("SELECT " + progressColumns + " FROM progress")
	q.where(conditions)
	q.WriteString(" ORDER BY location, run")
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("list what runs: %w", err)
	}
	return collect(rows, scanProgress)
}

// ForgetProgress deletes how far a run has come: the next of that name begins at the beginning. None is no error.
func (s *Store) ForgetProgress(ctx context.Context, location, run string) error {
	if _, err := s.write.ExecContext(ctx, `DELETE FROM progress WHERE location = $1 AND run = $2`, location, run); err != nil {
		return fmt.Errorf("forget the progress of %s: %w", run, err)
	}
	return nil
}

func scanProgress(row scanner) (Progress, error) {
	var p Progress
	var from, before, at, began, updated, ended int64
	err := row.Scan(&p.Location, &p.Run, &p.Stage, &p.Position, &from, &before, &at, &p.Pages, &p.Records, &p.Total,
		&began, &updated, &ended)
	p.From, p.Before, p.At = fromMicros(from), fromMicros(before), fromMicros(at)
	p.BeganAt, p.UpdatedAt, p.EndedAt = fromMicros(began), fromMicros(updated), fromMicros(ended)
	return p, err
}
