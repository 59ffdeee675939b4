package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// FulfillmentStep is a step of a lifecycle with how far teams were told of it. It is known by location, order and key.
type FulfillmentStep struct {
	Location, OrderID string
	domain.FulfillmentStep
	// ActivityID and TaskID are the records at Sage that tell of the step; 0 when there is none.
	ActivityID, TaskID int64
	// Begun is when an entry at Sage was first attempted; zero when none was. One that was may be there although nobody
	// knows its id.
	Begun time.Time
	// Told tells that the team was told, or that there was nobody to tell: then Silent is true as well. GivenUp tells that
	// Sage refused the entry and that it is not tried again.
	Told, Silent, GivenUp bool
}

const stepColumns = `location, order_id, step, state, shipment_id, at, activity_id, task_id, begun, told, given_up, silent`

// FulfillmentSteps returns the steps of an order's lifecycle in the order in which they were taken.
func (s *Store) FulfillmentSteps(ctx context.Context, location, orderID string) ([]FulfillmentStep, error) {
	rows, err := s.read.QueryContext(ctx,
		`SELECT `+stepColumns+` FROM fulfillment_steps WHERE location = $1 AND order_id = $2 ORDER BY position, step`, location, orderID)
	if err != nil {
		return nil, fmt.Errorf("read the steps of order %s: %w", orderID, err)
	}
	return collect(rows, scanStep)
}

// MarkFulfillmentStep keeps how far teams were told of a step: ActivityID, TaskID, Begun, Told, Silent and GivenUp. It returns
// ErrChanged when there is no such step.
func (s *Store) MarkFulfillmentStep(ctx context.Context, step FulfillmentStep) error {
	result, err := s.write.ExecContext(ctx, `
		UPDATE fulfillment_steps SET activity_id = $4, task_id = $5, begun = $6, told = $7, given_up = $8, silent = $9
		WHERE location = $1 AND order_id = $2 AND step = $3`,
		step.Location, step.OrderID, step.Key, step.ActivityID, step.TaskID, micros(step.Begun), step.Told, step.GivenUp,
		step.Silent)
	if err == nil {
		err = unchanged(result)
	}
	if err != nil {
		return fmt.Errorf("mark the step %s of order %s: %w", step.Key, step.OrderID, err)
	}
	return nil
}

// addSteps enters those steps that are new. The lifecycle's row is locked by then, so positions are counted by one writer
// at a time.
func addSteps(ctx context.Context, tx *sql.Tx, rec FulfillmentRecord, steps []domain.FulfillmentStep) error {
	for _, step := range steps {
		if err := named(step.Key); err != nil {
			return fmt.Errorf("enter a step: %w", err)
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO fulfillment_steps (`+stepColumns+`, position) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, $7, $7, $7,
				(SELECT COUNT(*) FROM fulfillment_steps WHERE location = $1 AND order_id = $2))
			ON CONFLICT (location, order_id, step) DO NOTHING`,
			rec.Location, rec.OrderID, step.Key, string(step.State), step.ShipmentID, micros(step.At), false)
		if err != nil {
			return fmt.Errorf("enter the step %s: %w", step.Key, err)
		}
	}
	return nil
}

func scanStep(row scanner) (FulfillmentStep, error) {
	var (
		step      FulfillmentStep
		state     string
		at, begun int64
	)
	err := row.Scan(&step.Location, &step.OrderID, &step.Key, &state, &step.ShipmentID, &at, &step.ActivityID, &step.TaskID,
		&begun, &step.Told, &step.GivenUp, &step.Silent)
	step.State, step.At, step.Begun = domain.FulfillmentState(state), fromMicros(at), fromMicros(begun)
	return step, err
}
