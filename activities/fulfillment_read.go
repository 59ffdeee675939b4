package activities

import (
	"context"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// FulfillmentReading is what HighLevel says of an order's shipments.
type FulfillmentReading struct {
	Items     []domain.Item     `json:"items,omitempty"`
	Shipments []domain.Shipment `json:"shipments,omitempty"`
	// Word is HighLevel's fulfillmentStatus, Status its word for the order.
	Word   string `json:"word,omitempty"`
	Status string `json:"status,omitempty"`
	// Closing is why HighLevel's side closes the lifecycle; empty if it does not.
	Closing string `json:"closing,omitempty"`
	// CreatedAt and UpdatedAt are the order's.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	// KeptOut is why the order goes no further: OtherMode, or NotDue where lifecycles are not followed; empty if it does.
	KeptOut Outcome `json:"keptOut,omitempty"`
}

// ReadFulfillment reads an order and its fulfilments from HighLevel: two calls, and one for each product that was not seen
// before where digital orders are delivered on payment.
func (g *GHL) ReadFulfillment(ctx context.Context, in FulfillmentInput) (FulfillmentReading, error) {
	return FulfillmentReading{}, asTemporal(faultf(Unknown, "not built yet"), attempt(ctx), 0)
}
