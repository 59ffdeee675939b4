package ghl

import (
	"context"
	"fmt"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Fulfillments are the shipments of orders. HighLevel keeps no state and no date of shipping or delivery with one, and
// has no endpoint that changes or removes one.
type Fulfillments struct{ api *api }

// Fulfillment is one shipment of an order.
type Fulfillment struct {
	ID         string            `json:"id"`
	LocationID string            `json:"locationId"`
	Trackings  []Tracking        `json:"trackings,omitempty"`
	Items      []FulfillmentItem `json:"items,omitempty"`
	CreatedAt  time.Time         `json:"createdAt"`
	UpdatedAt  time.Time         `json:"updatedAt"`
}

// Tracking is what a carrier gave for a parcel.
type Tracking struct {
	Number  string `json:"number,omitempty"`
	Carrier string `json:"carrier,omitempty"`
	URL     string `json:"url,omitempty"`
}

// FulfillmentItem is what was sent of one line.
type FulfillmentItem struct {
	// PriceID names what was sold: HighLevel gives the id of the price, not that of the order's line.
	PriceID  string        `json:"priceId"`
	Name     string        `json:"name"`
	Quantity domain.Number `json:"quantity,omitempty"`
	Product  Product       `json:"product"`
	Price    Price         `json:"price"`
}

// FulfillmentInput is a shipment to be recorded.
type FulfillmentInput struct {
	Trackings []Tracking
	// Items are what was sent: at least one.
	Items []FulfilledItem
	// NotifyCustomer makes HighLevel write to the customer.
	NotifyCustomer bool
}

// FulfilledItem is a price and how many pieces of it were sent.
type FulfilledItem struct {
	PriceID  string
	Quantity int64
}

// List reads all fulfillments of an order. HighLevel does not page them.
func (s *Fulfillments) List(ctx context.Context, orderID string) ([]Fulfillment, error) {
	var answer listAnswer
	r := request{params: map[string]string{"orderId": orderID}, query: s.api.tenant()}
	if err := s.api.do(ctx, fulfillmentsList, r, &answer); err != nil {
		return nil, err
	}
	all := make([]Fulfillment, 0, len(answer.rows))
	for _, row := range answer.rows {
		one, err := DecodeFulfillment(row)
		if err != nil { // half a list would make a shipment be recorded twice
			return nil, unreadable(fulfillmentsList, err)
		}
		all = append(all, one)
	}
	return all, nil
}

// Create records a shipment. Each call makes another one, and may write to the customer again (A34): after an error with
// MayHaveLanded, List and compare trackings and items before repeating.
func (s *Fulfillments) Create(ctx context.Context, orderID string, in FulfillmentInput) (Fulfillment, error) {
	if len(in.Items) == 0 {
		return Fulfillment{}, wrong(fulfillmentsCreate, "it has no items")
	}
	type item struct {
		PriceID string `json:"priceId"`
		Qty     int64  `json:"qty"`
	}
	body := struct {
		tenantBody
		Trackings []trackingWire `json:"trackings"`
		Items     []item         `json:"items"`
		Notify    bool           `json:"notifyCustomer"`
	}{tenantBody: s.api.tenantBody(), Trackings: []trackingWire{}, Notify: in.NotifyCustomer}
	for _, t := range in.Trackings {
		body.Trackings = append(body.Trackings, trackingWire{text(t.Number), text(t.Carrier), text(t.URL)})
	}
	for _, one := range in.Items {
		if err := need(fulfillmentsCreate, "the price id of an item", one.PriceID); err != nil {
			return Fulfillment{}, err
		}
		body.Items = append(body.Items, item{one.PriceID, one.Quantity})
	}
	return call(ctx, s.api, fulfillmentsCreate, request{params: map[string]string{"orderId": orderID}, body: body}, decodeFulfilled)
}

type trackingWire struct {
	Number  text `json:"trackingNumber,omitempty"`
	Carrier text `json:"shippingCarrier,omitempty"`
	URL     text `json:"trackingUrl,omitempty"`
}

type fulfillmentWire struct {
	ID        text                        `json:"_id"`
	AltID     text                        `json:"altId"`
	Trackings list[object[trackingWire]]  `json:"trackings"`
	Items     list[object[fulfilledWire]] `json:"items"`
	CreatedAt moment                      `json:"createdAt"`
	UpdatedAt moment                      `json:"updatedAt"`
}

type fulfilledWire struct {
	ID       text                    `json:"_id"`
	Name     text                    `json:"name"`
	Quantity domain.Number           `json:"qty"`
	Product  object[lineProductWire] `json:"product"`
	Price    object[linePriceWire]   `json:"price"`
}

// decodeFulfilled reads the answer to a write, in which the fulfillment is wrapped.
func decodeFulfilled(data []byte) (Fulfillment, error) {
	var w struct {
		Data answer[Fulfillment] `json:"data"`
	}
	w.Data.decode = DecodeFulfillment
	if err := unmarshal(data, &w); err != nil {
		return Fulfillment{}, err
	}
	if w.Data.value.ID == "" {
		return Fulfillment{}, fmt.Errorf("fulfillment: %w", errNoID)
	}
	return w.Data.value, nil
}

// DecodeFulfillment reads a fulfillment from a list row.
func DecodeFulfillment(data []byte) (Fulfillment, error) {
	var w fulfillmentWire
	if err := unmarshal(data, &w); err != nil {
		return Fulfillment{}, fmt.Errorf("fulfillment: %w", err)
	}
	if w.ID == "" {
		return Fulfillment{}, fmt.Errorf("fulfillment: %w", errNoID)
	}
	f := Fulfillment{ID: string(w.ID), LocationID: string(w.AltID), CreatedAt: w.CreatedAt.Time, UpdatedAt: w.UpdatedAt.Time}
	for _, t := range w.Trackings {
		f.Trackings = append(f.Trackings, Tracking{Number: string(t.v.Number), Carrier: string(t.v.Carrier), URL: string(t.v.URL)})
	}
	for _, item := range w.Items {
		one := item.v
		f.Items = append(f.Items, FulfillmentItem{
			PriceID: string(one.ID), Name: string(one.Name), Quantity: one.Quantity,
			Product: one.Product.v.fold(), Price: one.Price.v.fold(),
		})
	}
	return f, nil
}
