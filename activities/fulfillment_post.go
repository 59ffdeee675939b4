package activities

import (
	"context"

	"github.com/tallystick/tallystick/domain"
)

// PostShipmentInput is a shipment that people entered in Sage, to be posted at HighLevel.
type PostShipmentInput struct {
	Location string              `json:"location"`
	OrderID  string              `json:"orderId"`
	Plan     domain.ShipmentPlan `json:"plan"`
}

// PostShipmentResult is what became of it.
type PostShipmentResult struct {
	// Shipment is the one at HighLevel, zero if there is none because the goods were shipped otherwise meanwhile.
	Shipment domain.Shipment `json:"shipment"`
	// Posted tells that this step, or an earlier attempt of it, made the shipment.
	Posted bool `json:"posted,omitempty"`
}

// PostShipment makes a fulfilment at HighLevel, exactly once. Read the order again afterwards, whatever it results in.
func (g *GHL) PostShipment(ctx context.Context, in PostShipmentInput) (PostShipmentResult, error) {
	return PostShipmentResult{}, asTemporal(faultf(Unknown, "not built yet"), attempt(ctx), 0)
}
