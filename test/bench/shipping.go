package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/workflows"
)

const (
	day = 24 * time.Hour
	// changedPerDay is one of how many open orders changes in a day, half of them on each side.
	changedPerDay = 100
	// longAgo is when the open orders were last written at Sage: earlier than a sweep reads for the doubtful zone of its dates.
	longAgo = 3 * day
	// firing is what Temporal Cloud bills for a schedule's run in addition to the start of the workflow.
	firing = 2
	// lookedAt is how many orders tell what a look that finds nothing new costs.
	lookedAt = 5
)

// bill is what something took.
type bill struct {
	// calls are those to the vendors, by operation, and actions Temporal's billable ones, by cause.
	calls   map[string]int
	actions map[string]int64
}

func (b bill) ghl() int    { return b.callsOf("ghl.") }
func (b bill) sage() int   { return b.callsOf("sage.") }
func (b bill) billed() int { return int(total(b.actions)) }

func total[V int | int64](counts map[string]V) (sum V) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

func (b bill) callsOf(vendor string) (sum int) {
	for operation, n := range b.calls {
		if len(operation) > len(vendor) && operation[:len(vendor)] == vendor {
			sum += n
		}
	}
	return sum
}

// without takes away what was called anyway.
func (b bill) without(calls map[string]int) bill {
	rest := maps.Clone(b.calls)
	for operation, n := range calls {
		if rest[operation] -= n; rest[operation] == 0 {
			delete(rest, operation)
		}
	}
	return bill{calls: rest, actions: b.actions}
}

// shippingDay is what following so many open orders takes.
type shippingDay struct {
	open int
	// idle is a sweep while nothing changes, after one on a day on which some orders did change.
	idle, after bill
	// there and here are what the changes of a day took themselves: those made at HighLevel, and those made in Sage.
	there, here bill
	// changed is how many there were of each.
	changed int
}

// sweepsPerDay is how often a day's sweep comes.
func sweepsPerDay() float64 { return float64(day) / float64(sweepEvery()) }

// sweepEvery is the interval of the product's configuration where nobody sets another.
func sweepEvery() time.Duration {
	for _, v := range config.Variables() {
		if v.Name == "FULFILLMENT_SYNC_INTERVAL" {
			if d, err := time.ParseDuration(v.Default); err == nil && d > 0 {
				return d
			}
		}
	}
	panic("the configuration has no FULFILLMENT_SYNC_INTERVAL") // the program is wrong, not its use
}

// quiet and busy are a day on which nothing changes, and one on which some orders do.
func (d shippingDay) quiet(of func(bill) int) float64 { return sweepsPerDay() * float64(of(d.idle)) }
func (d shippingDay) busy(of func(bill) int) float64 {
	return sweepsPerDay()*float64(of(d.after)) + float64(of(d.there)+of(d.here))
}

// journey is what one step on an order's way takes, measured over several orders.
type journey struct {
	name   string
	orders int
	bill
}

// depot is the product with many orders whose goods are on their way.
type depot struct {
	*market
	// back is how far Sage's clock is set back, in nanoseconds.
	back *atomic.Int64
	// The order that was paid in earnest, after which the others are made.
	example ghl.Order
	inSage  sage.Record
	booked  store.OrderRecord
	row     store.FulfillmentRecord
	// unsent are open orders of which nothing was sent, moving those that were.
	unsent, moving []string
	open           int
	serial, swept  int
}

// shipping measures what open orders cost: the sweeps of a day, for several numbers of them, and the steps of an order.
func (b *benchmark) shipping(ctx context.Context) (err error) {
	if !b.wants(onlyShipping) {
		return nil
	}
	d, err := b.openDepot(ctx)
	if d != nil {
		defer func() { err = errors.Join(err, d.stack.Stop(context.WithoutCancel(ctx))) }()
	}
	if err != nil {
		return err
	}
	for _, open := range b.open {
		b.say("e: shipping of %d open orders", open)
		one, err := d.day(ctx, open)
		if err != nil {
			return fmt.Errorf("shipping of %d open orders: %w", open, err)
		}
		b.results.shipping = append(b.results.shipping, one)
	}
	b.results.journeys, err = d.journeys(ctx, b.results.shipping[len(b.results.shipping)-1])
	return err
}

// openDepot starts the product and has one order paid.
func (b *benchmark) openDepot(ctx context.Context) (*depot, error) {
	const namespace = "shipping"
	if err := newNamespace(ctx, b.ours.stack.TemporalAddress, namespace); err != nil {
		return nil, err
	}
	d := &depot{back: &atomic.Int64{}, open: 1}
	var err error
	d.market, err = openMarket(ctx, marketOptions{customers: 1, stack: stack.Options{
		Dir: filepath.Join(b.dir, namespace), WorkerBinary: b.worker, StarterBinary: b.starter, Progress: b.progress,
		GHL:      ghl.Options{NoLimits: true},
		Sage:     sage.Options{Now: func() time.Time { return time.Now().Add(-time.Duration(d.back.Load())) }},
		Temporal: stack.Temporal{Address: b.ours.stack.TemporalAddress, Namespace: namespace},
	}})
	if d.market == nil {
		return nil, err
	}
	if err != nil {
		return d, err
	}
	return d, errors.Join(atRest(ctx, d.stack.Temporal), d.learn(ctx))
}

// learn reads what was made of the order that was paid.
func (d *depot) learn(ctx context.Context) error {
	orders := d.location.Orders()
	if len(orders) != 1 {
		return fmt.Errorf("%d orders were paid to begin with, instead of one", len(orders))
	}
	d.example = orders[0]
	rows := d.stack.Sage.OrdersByExtID(domain.OrderExtID(d.example.ID))
	var booked, opened bool
	var err error
	if d.booked, booked, err = d.stack.Store.Order(ctx, d.location.ID(), d.example.ID); err != nil {
		return err
	}
	if d.row, opened, err = d.stack.Store.Fulfillment(ctx, d.location.ID(), d.example.ID); err != nil {
		return err
	}
	if len(rows) != 1 || !booked || !opened {
		return errors.New("the first order is not in the books, or its shipping is not followed")
	}
	d.inSage = rows[0].Record
	return nil
}

// day makes up the open orders to a number, and measures sweeps before, while and after some of them change.
func (d *depot) day(ctx context.Context, open int) (shippingDay, error) {
	result := shippingDay{open: open, changed: max(1, open/changedPerDay/2)}
	if err := d.fillUp(ctx, open-d.open); err != nil {
		return result, err
	}
	var err error
	if result.idle, err = d.sweep(ctx, 0); err != nil {
		return result, err
	}
	if result.there, err = d.send(ctx, result.changed, d.sendFromHighLevel); err != nil {
		return result, fmt.Errorf("sent from HighLevel: %w", err)
	}
	if result.here, err = d.send(ctx, result.changed, d.sendFromSage); err != nil {
		return result, fmt.Errorf("sent from Sage: %w", err)
	}
	if result.after, err = d.sweep(ctx, 0); err != nil {
		return result, err
	}
	result.there, result.here = result.there.without(result.idle.calls), result.here.without(result.after.calls)
	return result, nil
}

// send has so many orders sent that were not.
func (d *depot) send(ctx context.Context, n int, how func(string) error) (bill, error) {
	orders, err := d.take(ctx, n)
	if err != nil {
		return bill{}, err
	}
	d.moving = append(d.moving, orders...)
	return d.change(ctx, orders, domain.FulfillmentShipped, how)
}

// journeys are the steps of one order, from the figures of a day and a few steps more.
func (d *depot) journeys(ctx context.Context, last shippingDay) ([]journey, error) {
	idle, err := d.sweep(ctx, 0)
	if err != nil {
		return nil, err
	}
	arrived, err := d.change(ctx, d.moving, domain.FulfillmentDelivered, d.arrive)
	if err != nil {
		return nil, fmt.Errorf("delivered: %w", err)
	}
	n := len(d.moving)
	still, err := d.take(ctx, lookedAt)
	if err != nil {
		return nil, err
	}
	looked, err := d.look(ctx, still)
	if err != nil {
		return nil, fmt.Errorf("looked at: %w", err)
	}
	return []journey{
		{"sent from HighLevel, tracking in Sage", last.changed, last.there},
		{"sent from Sage, fulfilment at HighLevel", last.changed, last.here},
		{"delivered, set in Sage", n, arrived.without(idle.calls)},
		{"a look that finds nothing new", lookedAt, looked},
	}, nil
}

// fillUp makes orders that are in the books and not sent, long ago, and without any of the work that it takes in earnest:
// as copies of the one that was paid. A sweep that finds them not in the books yet notes them and leaves them.
func (d *depot) fillUp(ctx context.Context, n int) error {
	var past ghl.History
	var made []string
	for range n {
		d.serial++
		id := fmt.Sprintf("%024x", d.serial)
		made = append(made, id)
		at := time.Now().Add(-longAgo)
		order := ghl.NewOrder{ID: id, LocationID: d.location.ID(), ContactID: d.example.ContactID, Currency: d.example.Currency, CreatedAt: at}
		for _, item := range d.example.Items {
			order.Lines = append(order.Lines, ghl.NewLine{PriceID: item.Price.ID, Qty: item.Qty})
		}
		past.Orders = append(past.Orders, order)
		past.Payments = append(past.Payments, ghl.PastPayment{OrderID: id, NewPayment: ghl.NewPayment{At: at}})
	}
	if err := d.stack.GHL.Seed(past); err != nil {
		return err
	}
	if _, err := d.sweep(ctx, 0); err != nil {
		return err
	}
	for _, id := range made {
		if err := d.book(ctx, id); err != nil {
			return fmt.Errorf("make an open order: %w", err)
		}
	}
	d.unsent, d.open = append(d.unsent, made...), d.open+n
	return nil
}

// book copies into Sage and into the store what was made of the example.
func (d *depot) book(ctx context.Context, id string) error {
	fields := map[string]any{"extId": domain.OrderExtID(id)}
	for _, name := range []string{"reference", "accountId", "contactId", "branchId", "salesRepId", "statusId", "currencyId", "total",
		"Z_PaymentStatus", "Z_PaidAmount", "Z_FulfillmentStatus"} {
		if value := d.inSage.Fields[name]; value != nil {
			fields[name] = value
		}
	}
	d.back.Store(int64(longAgo))
	sageID, err := d.stack.Sage.PeopleCreate("salesorders", fields)
	d.back.Store(0)
	if err != nil {
		return err
	}
	booked, row := d.booked, d.row
	booked.OrderID, booked.SageID, booked.Lines = id, sageID, nil
	row.OrderID, row.SageID = id, sageID
	if err := d.stack.Store.RecordOrder(ctx, booked); err != nil {
		return err
	}
	opened, err := d.stack.Store.OpenFulfillment(ctx, row)
	if err == nil && !opened {
		err = fmt.Errorf("order %s is followed already", id)
	}
	return err
}

// take picks open orders of which nothing was sent, and has their processes wait for news, as those of all have since
// their payment. That is not counted here.
func (d *depot) take(ctx context.Context, n int) ([]string, error) {
	taken := d.unsent[:n]
	d.unsent = d.unsent[n:]
	return taken, d.hint(ctx, taken, activities.FulfillmentOpened)
}

func (d *depot) hint(ctx context.Context, orders []string, event string) error {
	door := workflows.Door{Temporal: d.stack.Temporal}
	for _, id := range orders {
		hint := workflows.Hint{Source: workflows.FromSweep, Event: event, At: time.Now().UTC()}
		if err := door.LookAtFulfillment(ctx, d.location.ID(), id, hint); err != nil {
			return err
		}
	}
	return nil
}

// sweep runs a sweep as its schedule does, which must hand out so many hints.
func (d *depot) sweep(ctx context.Context, hints int) (bill, error) {
	d.resetCalls()
	d.swept++
	options := client.StartWorkflowOptions{
		ID: fmt.Sprintf("%s/bench-%d", workflows.FulfillmentSweepID(d.location.ID()), d.swept), TaskQueue: workflows.MainQueue,
	}
	run, err := d.stack.Temporal.ExecuteWorkflow(ctx, options, workflows.FulfillmentSweepType,
		workflows.FulfillmentSweepInput{Location: d.location.ID()})
	if err != nil {
		return bill{}, fmt.Errorf("start a sweep: %w", err)
	}
	var progress workflows.FulfillmentSweepProgress
	if err := run.Get(ctx, &progress); err != nil {
		return bill{}, fmt.Errorf("sweep: %w", err)
	}
	if progress.Looks != hints || progress.Rows < d.open {
		return bill{}, fmt.Errorf("a sweep read %d rows for %d open orders and handed out %d hints instead of %d",
			progress.Rows, d.open, progress.Looks, hints)
	}
	c, err := costOf(ctx, d.stack.Temporal, options.ID)
	if err != nil {
		return bill{}, err
	}
	c.byKind["schedule"] = firing
	return bill{calls: d.calls(), actions: c.byKind}, nil
}

func (d *depot) resetCalls() {
	d.stack.GHL.ResetCalls()
	d.stack.Sage.ResetCalls()
}

func (d *depot) calls() map[string]int {
	all := d.stack.GHL.Calls()
	maps.Copy(all, d.stack.Sage.Calls())
	return all
}

// change has something happen to each of some orders, a sweep find it, and both sides agree on it. The bill has the calls
// of the sweep, and the actions of the orders only.
func (d *depot) change(ctx context.Context, orders []string, state domain.FulfillmentState, how func(string) error) (bill, error) {
	return d.watched(ctx, orders, state, func() error {
		for _, id := range orders {
			if err := how(id); err != nil {
				return err
			}
		}
		_, err := d.sweep(ctx, len(orders))
		return err
	})
}

// look has orders looked at of which there is nothing new.
func (d *depot) look(ctx context.Context, orders []string) (bill, error) {
	return d.watched(ctx, orders, domain.FulfillmentCreated, func() error {
		d.resetCalls()
		return d.hint(ctx, orders, activities.FulfillmentVerify)
	})
}

// watched does something, waits until the orders are in a state and nothing is left to be done for them, and gives the
// calls and what the processes of these orders did.
func (d *depot) watched(ctx context.Context, orders []string, state domain.FulfillmentState, do func() error) (bill, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("orders do not become %s", state))
	defer cancel()
	began := time.Now()
	before, err := d.done(ctx, orders)
	if err == nil {
		err = do()
	}
	if err != nil {
		return bill{}, err
	}
	for _, id := range orders {
		for settled := false; !settled; {
			if settled, err = d.settled(ctx, id, state, began); err == nil && !settled {
				err = pause(ctx, 50*time.Millisecond)
			}
			if err != nil {
				return bill{}, fmt.Errorf("order %s: %w", id, err)
			}
		}
	}
	calls := d.calls()
	actions, err := d.done(ctx, orders)
	for kind, n := range before {
		if actions[kind] -= n; actions[kind] == 0 {
			delete(actions, kind)
		}
	}
	return bill{calls: calls, actions: actions}, err
}

// settled tells whether an order was looked at since a moment, is in a state, and nothing is left to be done for it.
func (d *depot) settled(ctx context.Context, id string, state domain.FulfillmentState, since time.Time) (bool, error) {
	row, _, err := d.stack.Store.Fulfillment(ctx, d.location.ID(), id)
	if err != nil || row.Lifecycle.State != state || row.CheckedAt.Before(since) {
		return false, err
	}
	steps, err := d.stack.Store.FulfillmentSteps(ctx, d.location.ID(), id)
	if err != nil || slices.ContainsFunc(steps, func(s store.FulfillmentStep) bool { return !s.Told }) {
		return false, err
	}
	run, err := d.stack.Temporal.DescribeWorkflowExecution(ctx, workflows.FulfillmentID(d.location.ID(), id), "")
	if err != nil {
		return false, err
	}
	return run.GetPendingWorkflowTask() == nil && len(run.GetPendingActivities()) == 0, nil
}

// done sums up the actions of the processes that follow some orders.
func (d *depot) done(ctx context.Context, orders []string) (map[string]int64, error) {
	sum := map[string]int64{}
	for _, id := range orders {
		c, err := costOf(ctx, d.stack.Temporal, workflows.FulfillmentID(d.location.ID(), id))
		if err != nil {
			return nil, err
		}
		for kind, n := range c.byKind {
			sum[kind] += n
		}
	}
	return sum, nil
}

func (d *depot) sendFromHighLevel(id string) error {
	_, err := d.stack.GHL.Fulfil(id, ghl.NewFulfillment{Trackings: []ghl.Tracking{{Number: "HERE" + id, Carrier: "UPS"}}})
	return err
}

func (d *depot) sendFromSage(id string) error {
	return d.enter(id, map[string]any{"Z_FulfillmentStatus": string(domain.FulfillmentShipped), "Z_TrackingNumbers": "THERE" + id})
}

func (d *depot) arrive(id string) error {
	return d.enter(id, map[string]any{"Z_FulfillmentStatus": string(domain.FulfillmentDelivered)})
}

// enter is somebody at Sage's screen.
func (d *depot) enter(id string, fields map[string]any) error {
	for _, order := range d.stack.Sage.OrdersByExtID(domain.OrderExtID(id)) {
		if err := d.stack.Sage.PeopleUpdate("salesorders", order.ID, fields); err != nil {
			return err
		}
	}
	return nil
}
