package shop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
)

const (
	// defaultGlance is the time between two looks at what has become of the orders.
	defaultGlance = 200 * time.Millisecond
	// insistence is how often somebody in Sage enters the same thing once more if it has vanished: Sage keeps whatever
	// was written last, so an entry may be lost to a write that was on its way.
	insistence = 3
)

// DispatchOptions say how goods are sent.
type DispatchOptions struct {
	// Carrier tells of deliveries. Without one they are all entered in Sage.
	Carrier *Carrier
	// Every is the time between two looks, 0.2 s if zero.
	Every time.Duration
	// Observe is told of each act once it is done. It may be nil.
	Observe func(Act)
}

// Dispatch is those who send the goods of a shop: people in HighLevel, people in Sage, and carriers. Run it once, beside
// the shop.
type Dispatch struct {
	opts   DispatchOptions
	shop   *Shop
	ghl    *ghl.Server
	tenant *sage.Server

	over chan struct{}
	mu   sync.Mutex
	open []*journey
}

// journey is the way of one order's goods as far as it is still ahead.
type journey struct {
	orderID string
	acts    []Act
	paid    bool
	// entered counts how often the first of acts was entered in Sage.
	entered int
}

// Dispatch makes those who carry out the shop's fates.
func (s *Shop) Dispatch(tenant *sage.Server, opts DispatchOptions) *Dispatch {
	if opts.Every <= 0 {
		opts.Every = defaultGlance
	}
	d := &Dispatch{opts: opts, shop: s, ghl: s.ghl, tenant: tenant, over: make(chan struct{})}
	for _, fate := range s.data.Fates {
		if len(fate.Acts) > 0 {
			d.open = append(d.open, &journey{orderID: fate.OrderID, acts: fate.Acts})
		}
	}
	return d
}

// Run does everything that can be done whenever it can, and returns when nothing is left to do. Its error tells what
// was still waited for when ctx ended.
func (d *Dispatch) Run(ctx context.Context) error {
	tick := time.NewTicker(d.opts.Every)
	defer tick.Stop()
	for {
		left, err := d.look(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("dispatch: %w", err)
		case left == 0:
			close(d.over)
			return nil
		}
		select {
		case <-ctx.Done():
			return d.unfinished(ctx)
		case <-tick.C:
		}
	}
}

// Wait waits for a Run that goes on elsewhere to have nothing left to do.
func (d *Dispatch) Wait(ctx context.Context) error {
	select {
	case <-d.over:
		return nil
	case <-ctx.Done():
		return d.unfinished(ctx)
	}
}

// Open is how many orders are still to be sent or delivered.
func (d *Dispatch) Open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open)
}

// unfinished names some of the orders whose goods are not where they are to go.
func (d *Dispatch) unfinished(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const some = 10
	var first []string
	for _, j := range d.open[:min(some, len(d.open))] {
		if len(j.acts) > 0 {
			first = append(first, fmt.Sprintf("order %s %s after %q", j.orderID, j.acts[0].Deed, j.acts[0].After))
		}
	}
	return fmt.Errorf("dispatch: %w; %d orders are still to be sent or delivered: %s", context.Cause(ctx), len(d.open),
		strings.Join(first, "; "))
}

// look does what can be done now and returns how many orders are left.
func (d *Dispatch) look(ctx context.Context) (left int, err error) {
	inSage := map[string]sage.Record{}
	for _, o := range d.tenant.Live("salesorders") {
		if id, ours := strings.CutPrefix(o.Text("extId"), orderPrefix); ours {
			inSage[id] = o
		}
	}
	for _, j := range d.open {
		if j.paid = j.paid || d.paid(j.orderID); !j.paid {
			continue
		}
		if err := d.proceed(ctx, j, inSage[j.orderID]); err != nil {
			return 0, fmt.Errorf("order %s: %w", j.orderID, err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = slices.DeleteFunc(d.open, func(j *journey) bool { return len(j.acts) == 0 })
	return len(d.open), nil
}

// paid tells whether all of the order was paid; what was given back since does not matter.
func (d *Dispatch) paid(orderID string) bool {
	o, found := d.ghl.Order(orderID)
	paid, _ := cleared(o, d.ghl.Payments(orderID))
	return found && paid.Minor >= o.Amount.Minor
}

// proceed does what is next, and what needs no wait after it. The order in Sage may be the zero record.
func (d *Dispatch) proceed(ctx context.Context, j *journey, in sage.Record) error {
	for len(j.acts) > 0 && ctx.Err() == nil {
		a := j.acts[0]
		if j.entered == 0 && a.After != "" && rank(in.Text("Z_FulfillmentStatus")) < rank(a.After) {
			return nil
		}
		done, err := d.do(ctx, j, in)
		if err != nil || !done {
			return err
		}
		d.mu.Lock()
		j.acts, j.entered = j.acts[1:], 0
		d.mu.Unlock()
		if len(j.acts) > 0 && j.acts[0].After != "" {
			return nil // what Sage shows is older than what was just done
		}
	}
	return nil
}

// do carries out the next act and tells whether it is over.
func (d *Dispatch) do(ctx context.Context, j *journey, in sage.Record) (over bool, err error) {
	a := j.acts[0]
	switch a.Deed {
	case ShipHere:
		_, err := d.ghl.Fulfil(a.OrderID, ghl.NewFulfillment{Items: a.Lines, Trackings: a.Trackings, Notify: a.Notify})
		if err != nil {
			return false, err
		}
		d.done(a)
		return true, nil
	case ReceiveByCall:
		if d.opts.Carrier == nil {
			d.receiveInSage(j)
			return false, nil
		}
		told, err := d.opts.Carrier.tell(ctx, a)
		if told {
			d.done(a)
		}
		return told, err
	case ShipInSage, HandOver, ReceiveInSage, CancelInSage, SetBack:
		return d.enter(j, in)
	}
	return false, errors.New("nobody knows how to do it: " + string(a.Deed))
}

// receiveInSage has the whole order arrive in Sage instead of each of its parcels by a call.
func (d *Dispatch) receiveInSage(j *journey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := j.acts[0]
	a.Deed, a.Trackings = ReceiveInSage, nil
	rest := slices.DeleteFunc(slices.Clone(j.acts[1:]), func(next Act) bool { return next.Deed == ReceiveByCall })
	j.acts = append([]Act{a}, rest...)
}

// enter writes into Sage as a person does, and looks until that has come to something.
func (d *Dispatch) enter(j *journey, in sage.Record) (over bool, err error) {
	a := j.acts[0]
	if in.ID == 0 {
		return false, nil
	}
	if j.entered > 0 && (d.heeded(a, in) || j.entered >= insistence) {
		return true, nil
	}
	if j.entered > 0 && d.stands(a, in) {
		return false, nil
	}
	if err := Enter(d.tenant, in, a); err != nil {
		return false, err
	}
	if j.entered++; j.entered == 1 {
		d.done(a)
	}
	return false, nil
}

// done notes an act and tells whoever wants to know.
func (d *Dispatch) done(a Act) {
	d.shop.waybills.Enter(a)
	if d.opts.Observe != nil {
		d.opts.Observe(a)
	}
}

// Enter writes an act of Sage's into the order as somebody at the screen does: new numbers behind those that are there.
func Enter(tenant *sage.Server, order sage.Record, a Act) error {
	word := map[Deed]string{ShipInSage: shipped, HandOver: delivered, ReceiveInSage: delivered, CancelInSage: cancelled,
		SetBack: processing}[a.Deed]
	fields := map[string]any{"Z_FulfillmentStatus": word}
	if len(a.Trackings) > 0 {
		var numbers []string
		if text := order.Text("Z_TrackingNumbers"); text != "" {
			numbers = []string{text}
		}
		for _, t := range a.Trackings {
			numbers = append(numbers, typed(t))
		}
		fields["Z_TrackingNumbers"] = strings.Join(numbers, ", ")
	}
	return tenant.PeopleUpdate("salesorders", order.ID, fields)
}

// stands tells whether what was entered can still be seen.
func (d *Dispatch) stands(a Act, in sage.Record) bool {
	text := plain(in.Text("Z_TrackingNumbers"))
	for _, t := range a.Trackings {
		if !strings.Contains(text, plain(t.Number)) {
			return false
		}
	}
	switch a.Deed {
	case ShipInSage:
		return rank(in.Text("Z_FulfillmentStatus")) >= rank(shipped)
	case SetBack:
		return true // it is not to last
	case HandOver, ReceiveInSage:
		return in.Text("Z_FulfillmentStatus") == delivered
	case CancelInSage:
		return in.Text("Z_FulfillmentStatus") == cancelled
	case ShipHere, ReceiveByCall: // not done in Sage
	}
	return false
}

// heeded tells whether Tallystick has made something of what was entered, so that no write that was on its way can undo
// it any more.
func (d *Dispatch) heeded(a Act, in sage.Record) bool {
	if !d.stands(a, in) {
		return false
	}
	dated := func(field string) bool {
		at, exists := in.Fields[field]
		return !exists || at != nil
	}
	switch a.Deed {
	case ShipInSage:
		return dated("Z_ShippedDate")
	case HandOver, ReceiveInSage:
		return dated("Z_DeliveredDate")
	case SetBack:
		return rank(in.Text("Z_FulfillmentStatus")) > rank(processing)
	case ShipHere, ReceiveByCall, CancelInSage:
	}
	return true // a cancelled order has no further field to show it
}

// rank orders the words as goods go through them. An order that has ended has nothing more to wait for.
func rank(word string) int {
	return slices.Index([]string{created, processing, shipped, delivered, cancelled}, strings.ToLower(strings.TrimSpace(word)))
}
