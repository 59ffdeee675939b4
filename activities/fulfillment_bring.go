package activities

import (
	"context"

	"github.com/tallystick/tallystick/domain"
)

// BringFulfillmentInput is what HighLevel says of the order of a lifecycle.
type BringFulfillmentInput struct {
	Location string             `json:"location"`
	OrderID  string             `json:"orderId"`
	Reading  FulfillmentReading `json:"reading"`
}

// BringFulfillmentResult is what became of it.
type BringFulfillmentResult struct {
	Outcome Outcome `json:"outcome"`
	// State and Reason are the lifecycle's. Closed tells that it is followed no longer: it is over, or older than what is
	// followed.
	State  domain.FulfillmentState `json:"state,omitempty"`
	Closed bool                    `json:"closed,omitempty"`
	Reason string                  `json:"reason,omitempty"`
	// Ship is a shipment that people entered in Sage and that HighLevel lacks. Nothing was written then: post it, read the
	// order again, and bring that.
	Ship *domain.ShipmentPlan `json:"ship,omitempty"`
	// Steps are the keys of the steps that were not yet told to Sage and to the team, in their order.
	Steps []string `json:"steps,omitempty"`
}

// BringFulfillment merges all that is known of an order's shipments, makes the Sage order say so, and records it.
func (a *Sage) BringFulfillment(ctx context.Context, in BringFulfillmentInput) (BringFulfillmentResult, error) {
	return BringFulfillmentResult{}, asTemporal(faultf(Unknown, "not built yet"), attempt(ctx), 0)
}
