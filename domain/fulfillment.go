package domain

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// FulfillmentState says how far the goods of an order, or one shipment of them, have come on their way to the customer.
type FulfillmentState string

// The states, as the extra field Z_FulfillmentStatus holds them. HighLevel keeps no such state: what is finer than "there
// is a fulfilment" is ours.
const (
	FulfillmentCreated    FulfillmentState = "created"
	FulfillmentProcessing FulfillmentState = "processing"
	FulfillmentShipped    FulfillmentState = "shipped"
	FulfillmentDelivered  FulfillmentState = "delivered"
	FulfillmentCancelled  FulfillmentState = "cancelled"
)

// The reasons for which With closes a lifecycle on its own account. The others come with the news.
const (
	ReasonNothingToShip   = "nothing to ship"
	ReasonCancelledInSage = "cancelled in Sage"
)

// FulfillmentStates lists all states in the order in which goods run through them, cancelled last.
func FulfillmentStates() []FulfillmentState {
	return []FulfillmentState{
		FulfillmentCreated, FulfillmentProcessing, FulfillmentShipped, FulfillmentDelivered, FulfillmentCancelled,
	}
}

// ParseFulfillmentState reads a state as people type it: case and blanks do not matter, and "canceled" is understood.
// It returns false for every other word, the empty one too.
func ParseFulfillmentState(word string) (FulfillmentState, bool) {
	word = strings.ToLower(strings.Join(strings.Fields(word), ""))
	if word == "canceled" {
		return FulfillmentCancelled, true
	}
	state := FulfillmentState(word)
	if !slices.Contains(FulfillmentStates(), state) {
		return "", false
	}
	return state, true
}

// Final tells whether nothing follows the state any more: delivered and cancelled.
func (s FulfillmentState) Final() bool { return s == FulfillmentDelivered || s == FulfillmentCancelled }

// CanBecome is the table of allowed moves: forward, also past states that nobody saw, and from every state that is not
// final to cancelled. Staying is always allowed, and so is any first state.
func (s FulfillmentState) CanBecome(next FulfillmentState) bool {
	switch {
	case !slices.Contains(FulfillmentStates(), next):
		return false
	case s == "" || s == next:
		return true
	case s.Final():
		return false
	}
	return slices.Index(FulfillmentStates(), s) < slices.Index(FulfillmentStates(), next)
}

// before tells whether goods in state s have further to go than goods in the other. It compares ways, so cancelled,
// which is the end of none, is before and after nothing.
func (s FulfillmentState) before(other FulfillmentState) bool {
	return other != FulfillmentCancelled && s != other && s.CanBecome(other)
}

// ShippedItem is so many pieces of one price. HighLevel's fulfilments name what was sent by its price, never by the line
// of the order.
type ShippedItem struct {
	PriceID  string `json:"priceId"`
	Name     string `json:"name,omitempty"`
	Quantity int64  `json:"quantity"`
}

// Shipment is one fulfilment at HighLevel, with the state that we keep for it.
type Shipment struct {
	// ID is HighLevel's id of the fulfilment.
	ID        string           `json:"id"`
	State     FulfillmentState `json:"state,omitempty"`
	Items     []ShippedItem    `json:"items,omitempty"`
	Trackings []Tracking       `json:"trackings,omitempty"`
	// CreatedAt is when it was made at HighLevel. ShippedAt and DeliveredAt are zero until the shipment is shipped and
	// delivered, and stay zero where nobody can say.
	CreatedAt   time.Time `json:"createdAt,omitzero"`
	ShippedAt   time.Time `json:"shippedAt,omitzero"`
	DeliveredAt time.Time `json:"deliveredAt,omitzero"`
}

// Fulfillment is the way of one order's goods to the customer: its lifecycle. The zero value is that of an order nothing
// is known of yet.
type Fulfillment struct {
	State FulfillmentState `json:"state,omitempty"`
	// Reason says why the lifecycle ended other than by delivery.
	Reason string `json:"reason,omitempty"`
	// Shipments are in the order in which they were made at HighLevel.
	Shipments []Shipment `json:"shipments,omitempty"`
	// Loose are trackings that people gave at Sage and that are of no shipment at HighLevel.
	Loose []Tracking `json:"loose,omitempty"`
	// ShippedAt is when the last of the goods left, DeliveredAt when the last of them arrived; zero until then.
	ShippedAt   time.Time `json:"shippedAt,omitzero"`
	DeliveredAt time.Time `json:"deliveredAt,omitzero"`
}

// Closed tells whether the lifecycle has ended: delivered or cancelled.
func (f Fulfillment) Closed() bool { return f.State.Final() }

// IDs are HighLevel's ids of the shipments, in their order.
func (f Fulfillment) IDs() []string {
	ids := make([]string, 0, len(f.Shipments))
	for _, s := range f.Shipments {
		ids = append(ids, s.ID)
	}
	return ids
}

// Trackings are all that are known, each once: those of the shipments in their order, then the loose ones.
func (f Fulfillment) Trackings() []Tracking {
	return joinTrackings(f.shippedTrackings(), f.Loose)
}

func (f Fulfillment) shippedTrackings() []Tracking {
	var all []Tracking
	for _, s := range f.Shipments {
		all = joinTrackings(all, s.Trackings)
	}
	return all
}

// Partial tells whether some of the goods were sent and others remain.
func (f Fulfillment) Partial(items []Item, rules FulfillmentRules) bool {
	return len(f.Shipments) > 0 && !f.covers(items, rules)
}

func byCreation(a, b Shipment) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}
