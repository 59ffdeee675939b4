package domain

import "time"

// FulfillmentRules are what an operator may choose about lifecycles.
type FulfillmentRules struct {
	// WithoutTracking is the state of a fulfilment that HighLevel lists without any tracking: processing, which is also
	// meant by the empty value, or shipped.
	WithoutTracking FulfillmentState
	// PostWithoutTracking makes a shipment that people only declare at Sage known at HighLevel, without any tracking.
	PostWithoutTracking bool
	// DeliverDigital takes what is not physical for delivered once it is paid. Without it everything is shipped.
	DeliverDigital bool
}

// FulfillmentNews is all that is known of an order's goods at one moment, read anew from both sides and from the delivery
// news that were kept.
type FulfillmentNews struct {
	// Items are the lines of the order.
	Items []Item
	// Shipments are the fulfilments as HighLevel lists them, in any order. Their states and dates other than CreatedAt
	// are not looked at.
	Shipments []Shipment
	// Paid tells that the order is paid in full.
	Paid bool
	// Closing is why the lifecycle ends, such as "refunded in full" or "cancelled in HighLevel"; empty if it does not.
	Closing string
	// Sage is what people set at Sage; zero if its fields are as we left them.
	Sage FulfillmentWish
	// Deliveries are all news about the order and its trackings, in any order; those that were looked at before too.
	Deliveries []Delivery
	Now        time.Time
}

// FulfillmentWish is what people set at Sage. Trackings are those of the field, also the ones known already.
type FulfillmentWish struct {
	State     FulfillmentState
	Trackings []Tracking
}

// Delivery is news from a carrier, a shop floor or an operator.
type Delivery struct {
	// Tracking is the parcel's number in any spelling; empty means the whole order.
	Tracking string
	// State is delivered or shipped. Any other is not listened to.
	State FulfillmentState
	// At is when it happened; zero means now.
	At time.Time
}

// ShipmentPlan is what is to be made known at HighLevel: one fulfilment with these items and trackings.
type ShipmentPlan struct {
	Items     []ShippedItem `json:"items"`
	Trackings []Tracking    `json:"trackings,omitempty"`
}

// FulfillmentStep is something that teams are told once.
type FulfillmentStep struct {
	// Key names the step within its order: "processing/<id>", "shipped/<id>" and "delivered/<id>" for one shipment by
	// HighLevel's id, the last only while others are under way; "processing" and "shipped" where people declared the
	// whole order to be so; "delivered" and "cancelled" for its end.
	Key   string           `json:"key"`
	State FulfillmentState `json:"state"`
	// ShipmentID is empty for a step of the whole order.
	ShipmentID string    `json:"shipmentId,omitempty"`
	At         time.Time `json:"at"`
}
