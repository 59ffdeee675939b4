package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// AuditEntry says who did what to which object: every act of a person, and every act of ours that a person may ask
// about. It holds nothing secret or personal.
type AuditEntry struct {
	At       time.Time
	Location string
	// Actor is a person's login or role, or the process that acted.
	Actor string
	// Action is a short verb phrase, such as "match"; Object is what it was done to; Detail the rest, in words.
	Action, Object, Detail string
}

// Audit adds an entry to the audit trail. Entries are never changed.
func (s *Store) Audit(ctx context.Context, e AuditEntry) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("name an audit entry: %w", err)
	}
	_, err = s.write.ExecContext(ctx,
		`INSERT INTO audit (id, at, location, actor, action, object, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		id.String(), micros(e.At), e.Location, e.Actor, e.Action, e.Object, e.Detail)
	if err != nil {
		return fmt.Errorf("add to the audit trail: %w", err)
	}
	return nil
}

// AuditFilter chooses entries of the audit trail. Empty fields choose everything.
type AuditFilter struct {
	Location, Actor, Action, Object string
	// From and Before bound when it was done.
	From, Before time.Time
	Page
}

// AuditLog lists the audit trail, newest first, and returns the next page's token, empty after the last page.
func (s *Store) AuditLog(ctx context.Context, f AuditFilter) ([]AuditEntry, string, error) {
	key, err := f.key(2)
	if err != nil {
		return nil, "", err
	}
	q := query{}
	conditions := q.equal("location", f.Location, "actor", f.Actor, "action", f.Action, "object", f.Object)
	if !f.From.IsZero() {
		conditions = append(conditions, "at >= "+q.arg(micros(f.From)))
	}
	if !f.Before.IsZero() {
		conditions = append(conditions, "at < "+q.arg(micros(f.Before)))
	}
	if key != nil {
		conditions = append(conditions, "(at, id) < "+q.list(key...))
	}
	q.WriteString("SELECT id, at, location, actor, action, object, detail FROM audit")
	q.where(conditions)
	q.WriteString(" ORDER BY at DESC, id DESC LIMIT " + q.arg(f.limit()+1))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, "", fmt.Errorf("read the audit trail: %w", err)
	}
	found, next, err := paged(rows, f.limit(), scanAudit, func(a auditRow) string { return pageToken(a.At, a.id) })
	entries := make([]AuditEntry, len(found))
	for i, row := range found {
		entries[i] = row.AuditEntry
	}
	return entries, next, err
}

type auditRow struct {
	AuditEntry
	id string
}

func scanAudit(row scanner) (auditRow, error) {
	var a auditRow
	var at int64
	err := row.Scan(&a.id, &at, &a.Location, &a.Actor, &a.Action, &a.Object, &a.Detail)
	a.At = fromMicros(at)
	return a, err
}
