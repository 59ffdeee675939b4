package store

import (
	"context"
	"fmt"
	"time"
)

// Decision is a person's answer to several candidates at Sage for one order. It is kept for good; a later one replaces
// it.
type Decision struct {
	Location, OrderID string
	// SageID is the sales order to adopt; 0 means that a new one is to be made.
	SageID    int64
	DecidedAt time.Time
	// Actor says who decided, by a login or a role, never by a personal datum of a customer.
	Actor string
}

// Decide records a decision. One taken earlier than the recorded one changes nothing.
func (s *Store) Decide(ctx context.Context, d Decision) error {
	if err := named(d.Location, d.OrderID); err != nil {
		return fmt.Errorf("record a decision: %w", err)
	}
	if d.SageID < 0 {
		return fmt.Errorf("record the decision on order %s: %d is no id of a Sage order", d.OrderID, d.SageID)
	}
	_, err := s.write.ExecContext(ctx, `
		INSERT INTO decisions (location, order_id, sage_id, decided_at, actor) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (location, order_id) DO UPDATE SET
			sage_id = excluded.sage_id, decided_at = excluded.decided_at, actor = excluded.actor
		WHERE decisions.decided_at <= excluded.decided_at`,
		d.Location, d.OrderID, d.SageID, micros(d.DecidedAt), d.Actor)
	if err != nil {
		return fmt.Errorf("record the decision on order %s: %w", d.OrderID, err)
	}
	return nil
}

// Decision returns the decision on an order, and false when nobody took one.
func (s *Store) Decision(ctx context.Context, location, orderID string) (Decision, bool, error) {
	row := s.read.QueryRowContext(ctx,
		`SELECT sage_id, decided_at, actor FROM decisions WHERE location = $1 AND order_id = $2`, location, orderID)
	d, found, err := one(row, func(row scanner) (Decision, error) {
		d := Decision{Location: location, OrderID: orderID}
		var decided int64
		err := row.Scan(&d.SageID, &decided, &d.Actor)
		d.DecidedAt = fromMicros(decided)
		return d, err
	})
	if err != nil {
		return Decision{}, false, fmt.Errorf("read the decisions: %w", err)
	}
	return d, found, nil
}
