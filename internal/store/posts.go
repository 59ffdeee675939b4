package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// ShipmentPost is a shipment that is being made known at HighLevel, which can neither change nor remove one, and writes to
// the customer for each. It is kept until the shipment is seen there; an order has at most one.
type ShipmentPost struct {
	Location, OrderID string
	Plan              domain.ShipmentPlan
	// Before are the ids of the fulfilments that stood at HighLevel before: none of them is this one.
	Before []string
	// AttemptedAt is when it was last sent; zero when it never was.
	AttemptedAt time.Time
	// Made is HighLevel's id of the fulfilment, once it has answered that it made one; empty until then.
	Made string
}

// plannedPost is the document of the column plan.
type plannedPost struct {
	domain.ShipmentPlan
	Made string `json:"made,omitempty"`
}

const postColumns = `location, order_id, plan, known, attempted_at`

// ShipmentPost returns the open post of an order, and false when there is none.
func (s *Store) ShipmentPost(ctx context.Context, location, orderID string) (ShipmentPost, bool, error) {
	row := s.read.QueryRowContext(ctx,
		`SELECT `+postColumns+` FROM shipment_posts WHERE location = $1 AND order_id = $2`, location, orderID)
	p, found, err := one(row, scanPost)
	if err != nil {
		return ShipmentPost{}, false, fmt.Errorf("read the open shipment of order %s: %w", orderID, err)
	}
	return p, found, nil
}

// BeginShipmentPost opens a post, and returns the one that is open afterwards: if there was one already, that one, and p
// is not kept.
func (s *Store) BeginShipmentPost(ctx context.Context, p ShipmentPost) (ShipmentPost, error) {
	plan, known, err := p.texts()
	if err != nil {
		return ShipmentPost{}, fmt.Errorf("open a shipment: %w", err)
	}
	// The update changes nothing: without one, a row that is there already is not returned.
	row := s.write.QueryRowContext(ctx, `
		INSERT INTO shipment_posts (`+postColumns+`) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (location, order_id) DO UPDATE SET plan = shipment_posts.plan
		RETURNING `+postColumns, p.Location, p.OrderID, plan, known, micros(p.AttemptedAt))
	open, err := scanPost(row)
	if err != nil {
		return ShipmentPost{}, fmt.Errorf("open a shipment of order %s: %w", p.OrderID, err)
	}
	return open, nil
}

// MarkShipmentPost replaces the open post of an order by p. It is called before each time that one is sent, so that a
// process that dies afterwards is known to have sent it. It returns ErrChanged when none is open.
func (s *Store) MarkShipmentPost(ctx context.Context, p ShipmentPost) error {
	plan, known, err := p.texts()
	if err != nil {
		return fmt.Errorf("mark the open shipment: %w", err)
	}
	result, err := s.write.ExecContext(ctx, `
		UPDATE shipment_posts SET plan = $3, known = $4, attempted_at = $5 WHERE location = $1 AND order_id = $2`,
		p.Location, p.OrderID, plan, known, micros(p.AttemptedAt))
	if err == nil {
		err = unchanged(result)
	}
	if err != nil {
		return fmt.Errorf("mark the open shipment of order %s: %w", p.OrderID, err)
	}
	return nil
}

// EndShipmentPost closes the post of an order: it stands at HighLevel, or is not wanted any more. None is no error.
func (s *Store) EndShipmentPost(ctx context.Context, location, orderID string) error {
	_, err := s.write.ExecContext(ctx, `DELETE FROM shipment_posts WHERE location = $1 AND order_id = $2`, location, orderID)
	if err != nil {
		return fmt.Errorf("close the shipment of order %s: %w", orderID, err)
	}
	return nil
}

// texts are the two columns that hold JSON.
func (p ShipmentPost) texts() (plan, known string, err error) {
	if err = named(p.Location, p.OrderID); err != nil {
		return "", "", err
	}
	if plan, err = toJSON(plannedPost{p.Plan, p.Made}); err != nil {
		return "", "", err
	}
	known, err = toJSON(p.Before)
	return plan, known, err
}

func scanPost(row scanner) (ShipmentPost, error) {
	var (
		p           ShipmentPost
		plan, known string
		attempted   int64
	)
	if err := row.Scan(&p.Location, &p.OrderID, &plan, &known, &attempted); err != nil {
		return p, err
	}
	var planned plannedPost
	if err := json.Unmarshal([]byte(plan), &planned); err != nil {
		return p, fmt.Errorf("the shipment of order %s: %w", p.OrderID, err)
	}
	p.Plan, p.Made = planned.ShipmentPlan, planned.Made
	if err := json.Unmarshal([]byte(known), &p.Before); err != nil {
		return p, fmt.Errorf("the fulfilments before the shipment of order %s: %w", p.OrderID, err)
	}
	p.AttemptedAt = fromMicros(attempted)
	return p, nil
}
