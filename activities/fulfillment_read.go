package activities

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
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
	ctx, stop := alive(ctx)
	defer stop()
	reading, err := g.readFulfillment(ctx, in)
	return reading, asTemporal(err, attempt(ctx), 0)
}

func (g *GHL) readFulfillment(ctx context.Context, in FulfillmentInput) (FulfillmentReading, error) {
	var reading FulfillmentReading
	settings, err := g.Fulfillment.of(ctx, in.Location)
	if err != nil {
		return reading, err
	}
	if !settings.On {
		reading.KeptOut = NotDue
		return reading, nil
	}
	client, onlyTest, err := g.reach(ctx, in.Location)
	if err != nil {
		return reading, err
	}
	doing(ctx, "reading the order")
	order, err := client.Orders.Get(ctx, in.OrderID)
	if err != nil {
		return reading, notFoundYet(err, "HighLevel has no order of this id")
	}
	if order.Test != onlyTest {
		reading.KeptOut = OtherMode
		return reading, nil
	}
	reading = FulfillmentReading{
		Word: order.FulfillmentStatus, Status: order.Status, Closing: closing(settings, order.Status, ""),
		CreatedAt: order.CreatedAt, UpdatedAt: order.UpdatedAt,
	}
	if reading.Items, err = goodsOf(order); err != nil {
		return reading, err
	}
	if err := g.kinds.resolve(ctx, client, in.Location, settings, reading.Items); err != nil {
		return reading, err
	}
	reading.Shipments, err = shipmentsOf(ctx, client, in.OrderID)
	return reading, err
}

// goodsOf are the lines of an order as far as shipping goes.
func goodsOf(order ghl.Order) ([]domain.Item, error) {
	var goods []domain.Item
	for _, item := range order.Items {
		if item.Price.ID == "" && item.Product.ID == "" {
			continue // a bare text names nothing that could be sent
		}
		quantity, err := pieces(item.Quantity)
		if err != nil {
			return nil, fmt.Errorf("order %s: %w", order.ID, err)
		}
		goods = append(goods, domain.Item{
			PriceID: item.Price.ID, ProductID: item.Product.ID, Quantity: quantity,
			Name: cmp.Or(item.Name, item.Product.Name, item.Price.Name), Kind: domain.ProductKindOf(item.Product.Type),
		})
	}
	return goods, nil
}

// pieces reads a quantity; one that is not given is one piece.
func pieces(quantity domain.Number) (int64, error) {
	if !quantity.IsSet() {
		return 1, nil
	}
	whole, ok := quantity.Int64()
	if !ok {
		return 0, fmt.Errorf("%w: a line of %s pieces; Sage takes whole numbers only", domain.ErrMoney, quantity)
	}
	return whole, nil
}

// shipmentsOf reads all fulfilments of an order. The list has no pages (OpenAPI).
func shipmentsOf(ctx context.Context, client *ghl.Client, order string) ([]domain.Shipment, error) {
	doing(ctx, "reading the fulfilments")
	listed, err := client.Fulfillments.List(ctx, order)
	if err != nil {
		return nil, notFoundYet(err, "HighLevel has no order of this id")
	}
	shipments := make([]domain.Shipment, 0, len(listed))
	for _, one := range listed {
		shipment, err := shipmentOf(one)
		if err != nil {
			return nil, fmt.Errorf("fulfilment %s of order %s: %w", one.ID, order, err)
		}
		shipments = append(shipments, shipment)
	}
	return shipments, nil
}

func shipmentOf(f ghl.Fulfillment) (domain.Shipment, error) {
	shipment := domain.Shipment{ID: f.ID, CreatedAt: f.CreatedAt}
	for _, item := range f.Items {
		quantity, err := pieces(item.Quantity)
		if err != nil {
			return shipment, err
		}
		// The item's id is that of the price (OpenAPI); whoever leaves it out may still give the price.
		shipment.Items = append(shipment.Items,
			domain.ShippedItem{PriceID: cmp.Or(item.PriceID, item.Price.ID), Name: item.Name, Quantity: quantity})
	}
	for _, t := range f.Trackings {
		shipment.Trackings = append(shipment.Trackings, domain.Tracking{Number: t.Number, Carrier: t.Carrier, URL: t.URL})
	}
	shipment.Trackings = domain.CleanTrackings(shipment.Trackings)
	return shipment, nil
}

const (
	// kindLife is how long a product's kind is taken to stay what it was; unknownLife how long one counts as unknown that
	// HighLevel does not tell.
	kindLife    = time.Hour
	unknownLife = 10 * time.Minute
	// mostKinds bounds what a process remembers.
	mostKinds = 50_000
)

// productKinds remembers which products have to be sent. An order's line does not say it in HighLevel's sample (A107), and
// to ask for each order would cost a call for each line; the products of a shop are few.
type productKinds struct {
	mu    sync.Mutex
	known map[productKey]productKind
}

type productKey struct{ location, id string }

type productKind struct {
	kind  domain.ProductKind
	until time.Time
}

// resolve fills in the kinds that the order does not tell, if anything depends on them. A product that is gone, or that
// the token may not see, is of unknown kind, which counts as physical.
func (k *productKinds) resolve(
	ctx context.Context, client *ghl.Client, location string, s FulfillmentSettings, items []domain.Item,
) error {
	if !s.On || !s.Rules.DeliverDigital {
		return nil
	}
	for i := range items {
		item := &items[i]
		if item.Kind != "" || item.ProductID == "" {
			continue
		}
		key := productKey{location, item.ProductID}
		kind, fresh := k.remembered(key)
		if !fresh {
			doing(ctx, "reading a product")
			product, err := client.Products.Get(ctx, item.ProductID)
			if err != nil && !unknowable(err) {
				return err
			}
			kind = domain.ProductKindOf(product.Type)
			k.remember(key, kind)
		}
		item.Kind = kind
	}
	return nil
}

func unknowable(err error) bool {
	switch faultOf(err).Kind {
	case Forbidden, NotFound, Invalid:
		return true
	}
	return false
}

func (k *productKinds) remembered(key productKey) (domain.ProductKind, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	entry, found := k.known[key]
	return entry.kind, found && time.Now().Before(entry.until)
}

func (k *productKinds) remember(key productKey, kind domain.ProductKind) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= mostKinds {
		k.known = map[productKey]productKind{}
	}
	life := kindLife
	if kind == "" {
		life = unknownLife
	}
	k.known[key] = productKind{kind, time.Now().Add(life)}
}
