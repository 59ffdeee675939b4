package activities

import (
	"context"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// FulfillmentSettings say how the lifecycles of a location's orders are followed.
type FulfillmentSettings struct {
	// On is false where nobody wants them followed: then no order gets a lifecycle, and those that have one rest.
	On    bool
	Rules domain.FulfillmentRules
	// NotifyCustomer lets HighLevel write to the customer about a shipment that is posted for people in Sage.
	NotifyCustomer bool
	// Settle is how long a shipment whose posting had an unknown outcome is looked for before it is posted again.
	Settle time.Duration
	// CancelledStatuses are the words of HighLevel's order status that mean that nothing will be shipped any more.
	CancelledStatuses []string
	// Activities and Tasks say whether Sage gets an activity, and a calendar task, for each step of a lifecycle; the types
	// are those of the tenant's value lists, 0 for the only one there is.
	Activities, Tasks      bool
	ActivityType, TaskType int64
	// Verify is which open lifecycles are read anew every VerifyEvery even if no list says that anything changed:
	// VerifyPartial, VerifyOpen or VerifyOff.
	Verify      string
	VerifyEvery time.Duration
	// Window is how long after its payment a lifecycle is followed.
	Window time.Duration
}

// What of the open lifecycles is verified.
const (
	// VerifyPartial verifies orders of which goods remain after a shipment, since HighLevel's word for the order may stay
	// the same when the next one goes out.
	VerifyPartial = "partial"
	VerifyOpen    = "open"
	VerifyOff     = "off"
)

// Fulfiller gives a location's settings; nil where fulfilments are off everywhere.
type Fulfiller func(ctx context.Context, location string) (FulfillmentSettings, error)

// of gives the settings of a location, off if nobody gives any.
func (f Fulfiller) of(ctx context.Context, location string) (FulfillmentSettings, error) {
	if f == nil {
		return FulfillmentSettings{}, nil
	}
	return f(ctx, location)
}

// FulfillmentInput names the order of a lifecycle.
type FulfillmentInput struct {
	Location string `json:"location"`
	OrderID  string `json:"orderId"`
}

// The events with which the process of a lifecycle is asked to look at an order.
const (
	// FulfillmentOpened says that the lifecycle was just opened and written to Sage: no pass is needed.
	FulfillmentOpened = "opened"
	// FulfillmentChanged says that something may have changed.
	FulfillmentChanged = "changed"
	// FulfillmentDelivery says that there is news of a delivery.
	FulfillmentDelivery = "delivery"
	// FulfillmentVerify asks for a look although no list says that anything changed.
	FulfillmentVerify = "verify"
	// FulfillmentExpired says that the lifecycle is followed no longer; the pass that comes of it closes it.
	FulfillmentExpired = "expired"
)
