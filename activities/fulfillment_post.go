package activities

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
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
//
// HighLevel has no key by which it would know a repetition, takes none back, and may write to the customer about each
// (A34). So only one attempt at a time may post for an order; what is about to be posted is in the store before it is
// sent; and before anything is sent, all fulfilments are listed and compared. One that was sent without an answer is
// looked for until the settle delay is over (A108), and sent again only if it is not there then; one that HighLevel said
// it has made is never sent again, but has to be listed before the step ends. What is open from earlier goes before what
// is asked for now.
func (g *GHL) PostShipment(ctx context.Context, in PostShipmentInput) (PostShipmentResult, error) {
	ctx, stop := alive(ctx)
	defer stop()
	p := &posting{ghl: g, in: in}
	result, err := p.run(ctx)
	settle := p.settleDelay()
	if err != nil && faultOf(err).Wait > 0 {
		settle = 0 // it knows better how long
	}
	return result, asTemporal(err, attempt(ctx), settle)
}

// posting is one run of PostShipment.
type posting struct {
	ghl      *GHL
	in       PostShipmentInput
	settings FulfillmentSettings
	client   *ghl.Client
	claim    *held
	// post is what is to be posted, with what of it was begun.
	post store.ShipmentPost
	// goods and shipments are as HighLevel has them at began.
	goods     []domain.Item
	shipments []domain.Shipment
	began     time.Time
}

func (p *posting) run(ctx context.Context) (none PostShipmentResult, err error) {
	if p.settings, err = p.ghl.Fulfillment.of(ctx, p.in.Location); err != nil || !p.settings.On {
		return none, err
	}
	var onlyTest bool
	if p.client, onlyTest, err = p.ghl.reach(ctx, p.in.Location); err != nil {
		return none, err
	}
	// Held by this attempt alone: one that Temporal gave up may still be at it.
	p.claim, err = claim(ctx, p.ghl.Store, p.in.Location, holderOfAttempt(ctx), "fulfillment:"+p.in.OrderID)
	if err != nil {
		return none, err
	}
	defer p.claim.giveBack(ctx)
	test, err := p.read(ctx)
	if err != nil || test != onlyTest {
		return none, err
	}
	return p.settle(ctx)
}

// read lists what HighLevel has, and tells whether the order is one of its test mode.
func (p *posting) read(ctx context.Context) (test bool, err error) {
	doing(ctx, "looking for the shipment")
	p.began = time.Now().UTC()
	order, err := p.client.Orders.Get(ctx, p.in.OrderID)
	if err != nil {
		return false, notFoundYet(err, "HighLevel has no order of this id")
	}
	if p.goods, err = goodsOf(order); err != nil {
		return false, err
	}
	p.shipments, err = shipmentsOf(ctx, p.client, p.in.OrderID)
	return order.Test, err
}

// settle finds the shipment among those listed, waits for it, or posts it.
func (p *posting) settle(ctx context.Context) (PostShipmentResult, error) {
	var none PostShipmentResult
	open, found, err := p.ghl.Store.ShipmentPost(ctx, p.in.Location, p.in.OrderID)
	if err != nil {
		return none, err
	}
	if open.AttemptedAt.IsZero() { // nothing of it was sent, so what people want now counts
		open = store.ShipmentPost{Location: p.in.Location, OrderID: p.in.OrderID, Plan: p.in.Plan, Before: idsOf(p.shipments)}
	}
	p.post = open
	if shipment, stands := p.standing(); stands {
		return PostShipmentResult{Shipment: shipment, Posted: !open.AttemptedAt.IsZero()}, p.end(ctx)
	}
	until := open.AttemptedAt.Add(p.settleDelay())
	switch {
	case open.AttemptedAt.IsZero():
	case p.began.Before(until):
		return none, &Fault{Kind: OutcomeUnknown, Wait: until.Sub(p.began),
			Words: "a shipment was sent to HighLevel and is not listed there; it is looked for until it must have arrived"}
	case open.Made != "":
		return none, faultf(Mismatch, "HighLevel made the fulfilment %s and does not list it; look for it among those of the order",
			open.Made)
	}
	if !p.fits() {
		return none, p.end(ctx) // somebody shipped the goods; the next pass sees what is left
	}
	if !found {
		if _, err = p.ghl.Store.BeginShipmentPost(ctx, open); err != nil {
			return none, err
		}
	}
	return p.send(ctx)
}

// settleDelay is never nothing: without a delay a shipment would be sent again that is on its way.
func (p *posting) settleDelay() time.Duration {
	if p.settings.Settle <= 0 {
		return time.Minute
	}
	return p.settings.Settle
}

// standing looks for the shipment among those at HighLevel.
func (p *posting) standing() (domain.Shipment, bool) { return standing(p.post, p.shipments) }

// standing looks for what a post is about among the shipments at HighLevel. A parcel is known by its number, whoever
// entered it; one without a number only by what is in it, and then it must not have stood there before.
func standing(post store.ShipmentPost, shipments []domain.Shipment) (domain.Shipment, bool) {
	numbers := keysOf(post.Plan.Trackings)
	for _, s := range shipments {
		made := post.Made != "" && s.ID == post.Made
		if !made && len(numbers) > 0 && !overlap(numbers, keysOf(s.Trackings)) {
			continue
		}
		if !made && len(numbers) == 0 &&
			(slices.Contains(post.Before, s.ID) || !maps.Equal(count(s.Items), count(post.Plan.Items))) {
			continue
		}
		return s, true
	}
	return domain.Shipment{}, false
}

// fits tells whether so much is still to be sent: HighLevel takes more than was ordered (A101).
func (p *posting) fits() bool {
	left := map[string]int64{}
	for _, item := range p.goods {
		left[item.PriceID] += item.Quantity
	}
	for _, s := range p.shipments {
		for price, n := range count(s.Items) {
			left[price] -= n
		}
	}
	for price, n := range count(p.post.Plan.Items) {
		if n < 1 || left[price] < n {
			return false
		}
	}
	return len(p.post.Plan.Items) > 0
}

// postTime bounds the sending, so that its end is known before the claim lapses and another may send.
const postTime = claimLife / 2

// send posts the shipment. That it is being sent is in the store first.
func (p *posting) send(ctx context.Context) (PostShipmentResult, error) {
	var none PostShipmentResult
	if err := p.claim.renew(ctx); err != nil {
		return none, err
	}
	in := ghl.FulfillmentInput{NotifyCustomer: p.settings.NotifyCustomer}
	for _, item := range p.post.Plan.Items {
		in.Items = append(in.Items, ghl.FulfilledItem{PriceID: item.PriceID, Quantity: item.Quantity})
	}
	for _, t := range p.post.Plan.Trackings {
		in.Trackings = append(in.Trackings, ghl.Tracking{Number: t.Number, Carrier: t.Carrier, URL: t.URL})
	}
	p.post.AttemptedAt = time.Now().UTC()
	if err := p.ghl.Store.MarkShipmentPost(ctx, p.post); err != nil {
		return none, err
	}
	doing(ctx, "posting the shipment")
	sending, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	made, err := p.client.Fulfillments.Create(sending, p.in.OrderID, in)
	if err != nil {
		return none, p.unsent(ctx, err)
	}
	p.post.AttemptedAt, p.post.Made = time.Now().UTC(), made.ID
	if err := p.ghl.Store.MarkShipmentPost(ctx, p.post); err != nil {
		return none, err
	}
	return p.confirm(ctx)
}

// soonListed is after how long a shipment is looked for first that was made and is not listed yet.
const soonListed = 2 * time.Second

// confirm sees that the shipment is listed. The next pass goes by the list: were it late, the same goods would be planned,
// sent and told to the customer once more.
func (p *posting) confirm(ctx context.Context) (none PostShipmentResult, err error) {
	if p.shipments, err = shipmentsOf(ctx, p.client, p.in.OrderID); err != nil {
		return none, err
	}
	if shipment, listed := p.standing(); listed {
		return PostShipmentResult{Shipment: shipment, Posted: true}, p.end(ctx)
	}
	return none, &Fault{Kind: OutcomeUnknown, Wait: min(soonListed, p.settleDelay()),
		Words: "HighLevel made the shipment and does not list it yet"}
}

// unsent is what is left of a posting that failed: nothing if it surely did not land, for then the next pass plans anew.
// Otherwise it was sent until this moment, and is looked for from now on.
func (p *posting) unsent(ctx context.Context, cause error) error {
	if call := transport.AsError(cause); call != nil && !call.MayHaveLanded {
		return errors.Join(cause, p.end(context.WithoutCancel(ctx)))
	}
	p.post.AttemptedAt = time.Now().UTC()
	return errors.Join(cause, p.ghl.Store.MarkShipmentPost(context.WithoutCancel(ctx), p.post))
}

func (p *posting) end(ctx context.Context) error {
	return p.ghl.Store.EndShipmentPost(ctx, p.in.Location, p.in.OrderID)
}

func idsOf(shipments []domain.Shipment) []string {
	var ids []string
	for _, s := range shipments {
		ids = append(ids, s.ID)
	}
	return ids
}

func keysOf(trackings []domain.Tracking) []string {
	var keys []string
	for _, t := range trackings {
		if key := t.Key(); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(key string) bool { return slices.Contains(b, key) })
}

// count is how many pieces of each price there are; one price may come in several items.
func count(items []domain.ShippedItem) map[string]int64 {
	pieces := make(map[string]int64, len(items))
	for _, item := range items {
		pieces[item.PriceID] += item.Quantity
	}
	return pieces
}
