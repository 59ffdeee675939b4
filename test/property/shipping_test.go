package property

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
	shopbox "github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/workflows"
)

// TestGoodsComeToTheSameInAnyInterleaving has people on both sides and carriers do what they can with the goods of some
// orders, in any order, between passes in which calls fail and processes die. Then nobody but the sweeps tells anything.
// In the end both sides must say what people and carriers did, each shipment must be there once, and its customer must have
// been written to once; and on the way nothing may ever have gone backwards.
func TestGoodsComeToTheSameInAnyInterleaving(t *testing.T) {
	inFolder(t, func(rt *rapid.T, dir string) {
		m := newGoods(rt, dir)
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"sell":            m.sell,
			"bring":           m.bring,
			"ship here":       m.shipHere,
			"ship in sage":    m.shipInSage,
			"set back":        m.setBack,
			"deliver in sage": m.deliverInSage,
			"cancel in sage":  m.cancelInSage,
			"arrive":          m.arrive,
			"give back":       m.giveBack,
			"cancel":          m.cancel,
			"pass":            m.passAmidFaults,
			"sweep":           m.sweepAmidFaults,
		})
		m.drain(rt)
		m.agree(rt)
	})
}

// goods is both vendors with orders of which the goods go their ways, and what people and carriers did with them.
type goods struct {
	orders   []string
	prices   map[string][]ghlbox.NewLine // what was ordered, by order
	numbers  []string
	waybills shopbox.Waybills
	inSage   map[string]bool // orders of which people have entered numbers at Sage
	furthest map[string]domain.FulfillmentState
	*system

	mu    sync.Mutex
	clock time.Time
	hints map[string]bool
}

// past lies so far back that what a run does, a minute for each of its acts, does not reach into the future.
const past = 12 * time.Hour

func newGoods(rt *rapid.T, dir string) *goods {
	plan := faults.NewPlan(int64(rapid.Uint32().Draw(rt, "seed of faults")), faults.None)
	m := &goods{prices: map[string][]ghlbox.NewLine{}, inSage: map[string]bool{}, furthest: map[string]domain.FulfillmentState{},
		clock: time.Now().UTC().Add(-past), hints: map[string]bool{}}
	from := ghlbox.New(ghlbox.Options{NoLimits: true, Faults: plan, Now: m.now,
		UpperCurrency: rapid.Bool().Draw(rt, "capitals"), KeepPending: rapid.Bool().Draw(rt, "paid orders stay pending")})
	require.NoError(rt, from.Start())
	m.system = newSystemOn(rt, &system{ghl: from, faults: plan, path: filepath.Join(dir, "run.db"), look: m,
		sage: sagebox.New(sagebox.Options{Faults: plan, Now: m.now}),
		follow: func(context.Context, string) (activities.FulfillmentSettings, error) {
			return activities.FulfillmentSettings{On: true, NotifyCustomer: true, Settle: time.Millisecond, Activities: true,
				Rules:             domain.FulfillmentRules{WithoutTracking: domain.FulfillmentProcessing},
				CancelledStatuses: []string{"cancelled"}, Verify: activities.VerifyOff, Window: 90 * 24 * time.Hour}, nil
		}})
	m.sell(rt)
	return m
}

func (m *goods) close() {
	m.system.close()
	m.ghl.Close()
}

// now is the vendors' clock.
func (m *goods) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clock
}

// later lets a minute pass: Sage's dates show no less than a second.
func (m *goods) later() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock = m.clock.Add(time.Minute)
}

// LookAtOrder implements activities.Looker; orders are brought when it is drawn, and at the end.
func (m *goods) LookAtOrder(context.Context, string, string, string) error { return nil }

// LookAtInvoice implements activities.Looker.
func (m *goods) LookAtInvoice(context.Context, string, string, string) error { return nil }

// LookAtFulfillment implements activities.Looker.
func (m *goods) LookAtFulfillment(_ context.Context, _, order, event string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if event != activities.FulfillmentOpened {
		m.hints[order] = true
	}
	return nil
}

// hinted takes the orders for which there were hints.
func (m *goods) hinted() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var orders []string
	for _, order := range m.orders {
		if m.hints[order] {
			orders = append(orders, order)
		}
	}
	clear(m.hints)
	return orders
}

func (m *goods) sell(rt *rapid.T) {
	if len(m.orders) == 2 {
		rt.Skip("enough orders")
	}
	m.later()
	contact := m.ghl.AddContact(ghlbox.Contact{FirstName: "Ada", LastName: "Byron", Email: fmt.Sprintf("ada%d@example.com", len(m.orders))})
	var lines []ghlbox.NewLine
	for range rapid.IntRange(1, 2).Draw(rt, "lines") {
		product := m.ghl.AddProduct(ghlbox.Product{Name: "Mug", Type: "PHYSICAL"})
		price := m.ghl.AddPrice(ghlbox.Price{ProductID: product, Name: "each", Amount: domain.NewMoney(1999, "EUR")})
		lines = append(lines, ghlbox.NewLine{PriceID: price, Qty: rapid.Int64Range(1, 2).Draw(rt, "pieces")})
	}
	order, err := m.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: contact, Currency: "EUR", Lines: lines})
	require.NoError(rt, err)
	_, err = m.ghl.TakePayment(order.ID, ghlbox.NewPayment{})
	require.NoError(rt, err)
	m.orders, m.prices[order.ID] = append(m.orders, order.ID), lines
	m.waybills.Open(order.ID)
}

func (m *goods) anyOrder(rt *rapid.T) string {
	m.later()
	return rapid.SampledFrom(m.orders).Draw(rt, "order")
}

// agreed is an order at Sage, if it says what was agreed: people look at what is there and change one thing.
func (m *goods) agreed(rt *rapid.T, order string) (sagebox.Record, store.FulfillmentRecord) {
	row, found, err := m.store.Fulfillment(context.Background(), m.ghl.Location(), order)
	require.NoError(rt, err)
	in := m.sage.OrdersByExtID(domain.OrderExtID(order))
	if !found || len(in) == 0 || in[0].Text("Z_FulfillmentStatus") != row.Agreed.State || in[0].Text("Z_TrackingNumbers") != row.Agreed.Trackings {
		rt.Skip("not there yet")
	}
	return in[0].Record, row
}

func (m *goods) number() ghlbox.Tracking {
	number := fmt.Sprintf("1Z%05d", len(m.numbers))
	m.numbers = append(m.numbers, number)
	return ghlbox.Tracking{Number: number, Carrier: "UPS"}
}

// shipHere sends something of what HighLevel has not sent yet, with a number or without.
func (m *goods) shipHere(rt *rapid.T) {
	order := m.anyOrder(rt)
	left := map[string]int64{}
	for _, l := range m.prices[order] {
		left[l.PriceID] += l.Qty
	}
	for _, f := range m.ghl.Fulfillments(order) {
		for _, item := range f.Items {
			left[item.PriceID] -= item.Qty
		}
	}
	act := shopbox.Act{Deed: shopbox.ShipHere, OrderID: order, Notify: rapid.Bool().Draw(rt, "mail")}
	whole := rapid.Bool().Draw(rt, "all of it")
	for _, l := range m.prices[order] {
		if n := left[l.PriceID]; n > 0 && (whole || len(act.Lines) == 0) {
			if !whole {
				n = 1
			}
			act.Lines = append(act.Lines, ghlbox.NewLine{PriceID: l.PriceID, Qty: n})
		}
	}
	if len(act.Lines) == 0 {
		rt.Skip("all is sent")
	}
	if rapid.IntRange(0, 3).Draw(rt, "numbered") > 0 {
		act.Trackings = []ghlbox.Tracking{m.number()}
	}
	_, err := m.ghl.Fulfil(order, ghlbox.NewFulfillment{Items: act.Lines, Trackings: act.Trackings, Notify: act.Notify})
	require.NoError(rt, err)
	m.waybills.Enter(act)
}

func (m *goods) enter(rt *rapid.T, in sagebox.Record, act shopbox.Act) {
	require.NoError(rt, shopbox.Enter(m.sage, in, act))
	m.waybills.Enter(act)
}

// shipInSage enters a number or two, once for an order.
func (m *goods) shipInSage(rt *rapid.T) {
	order := m.anyOrder(rt)
	in, row := m.agreed(rt, order)
	if m.inSage[order] || row.Closed {
		rt.Skip("sent already")
	}
	m.inSage[order] = true
	act := shopbox.Act{Deed: shopbox.ShipInSage, OrderID: order, Trackings: []ghlbox.Tracking{m.number()}}
	if rapid.Bool().Draw(rt, "two parcels") {
		act.Trackings = append(act.Trackings, m.number())
	}
	m.enter(rt, in, act)
}

// setBack sets what is on its way, or there, back to being prepared.
func (m *goods) setBack(rt *rapid.T) {
	order := m.anyOrder(rt)
	in, row := m.agreed(rt, order)
	if !slices.Contains([]domain.FulfillmentState{domain.FulfillmentShipped, domain.FulfillmentDelivered}, row.Lifecycle.State) {
		rt.Skip("nothing to set back")
	}
	m.enter(rt, in, shopbox.Act{Deed: shopbox.SetBack, OrderID: order})
}

func (m *goods) deliverInSage(rt *rapid.T) {
	order := m.anyOrder(rt)
	in, row := m.agreed(rt, order)
	if row.Lifecycle.State != domain.FulfillmentShipped {
		rt.Skip("not on its way")
	}
	m.enter(rt, in, shopbox.Act{Deed: shopbox.ReceiveInSage, OrderID: order})
}

func (m *goods) cancelInSage(rt *rapid.T) {
	order := m.anyOrder(rt)
	in, row := m.agreed(rt, order)
	if row.Lifecycle.State != domain.FulfillmentCreated || rapid.IntRange(0, 2).Draw(rt, "in a mood") > 0 {
		rt.Skip("they send it")
	}
	m.enter(rt, in, shopbox.Act{Deed: shopbox.CancelInSage, OrderID: order})
}

// arrive is news of a parcel, perhaps of one that nobody has heard of yet, or of a whole order.
func (m *goods) arrive(rt *rapid.T) {
	order := m.anyOrder(rt)
	w, _ := m.waybills.Of(order)
	news := store.DeliveryNews{Location: m.ghl.Location(), State: domain.FulfillmentDelivered, At: time.Now(), Source: "test"}
	act := shopbox.Act{Deed: shopbox.ReceiveByCall, OrderID: order}
	var parcels []ghlbox.Tracking
	for _, p := range w.Here {
		parcels = append(parcels, p.Trackings...)
	}
	for _, trackings := range w.InSage {
		parcels = append(parcels, trackings...)
	}
	if len(parcels) == 0 || rapid.IntRange(0, 4).Draw(rt, "all of it") == 0 {
		news.OrderID = order
	} else {
		act.Trackings = []ghlbox.Tracking{rapid.SampledFrom(parcels).Draw(rt, "parcel")}
		news.Tracking = domain.Tracking{Number: act.Trackings[0].Number}.Key()
	}
	require.NoError(rt, m.store.PutDeliveryNews(context.Background(), news))
	m.waybills.Enter(act)
}

// inBooks is an order in Sage. What ended before it came there never had any goods to follow.
func (m *goods) inBooks(rt *rapid.T) string {
	order := m.anyOrder(rt)
	if _, found, err := m.store.Order(context.Background(), m.ghl.Location(), order); err != nil || !found {
		rt.Skip("not there yet")
	}
	return order
}

func (m *goods) giveBack(rt *rapid.T) {
	order := m.inBooks(rt)
	p := m.ghl.Payments(order)[0]
	left := p.Amount.Minor - p.AmountRefunded.Minor
	if left == 0 || rapid.IntRange(0, 1).Draw(rt, "in a mood") == 0 {
		rt.Skip("nothing goes back")
	}
	amount := rapid.SampledFrom([]int64{1, left}).Draw(rt, "refund")
	require.NoError(rt, m.ghl.Refund(p.ID, domain.NewMoney(amount, "EUR")))
}

func (m *goods) cancel(rt *rapid.T) {
	order := m.inBooks(rt)
	if rapid.IntRange(0, 3).Draw(rt, "in a mood") > 0 {
		rt.Skip("it stands")
	}
	require.NoError(rt, m.ghl.Cancel(order))
}

// amidFaults lets calls fail and processes die while something is done.
func (m *goods) amidFaults(rt *rapid.T, do func()) {
	m.faults.SetLevel(rapid.SampledFrom([]faults.Level{faults.None, faults.Some, faults.Hell}).Draw(rt, "faults"))
	m.deaths.plan(rapid.SliceOfN(rapid.IntRange(1, 20), 0, 3).Draw(rt, "deaths")...)
	do()
	m.deaths.plan()
	m.faults.Clear()
	m.faults.Wait()
}

// bring is what the payments' process does with an order, which opens the lifecycle of its goods.
func (m *goods) bring(rt *rapid.T) {
	order := m.anyOrder(rt)
	m.amidFaults(rt, func() { m.run(rt, order, nil) })
}

func (m *goods) passAmidFaults(rt *rapid.T) {
	order := m.anyOrder(rt)
	hints := rapid.SliceOfN(rapid.IntRange(0, 5000), 0, 3).Draw(rt, "hints after ms")
	m.amidFaults(rt, func() { m.pass(rt, order, hints) })
}

// sweepAmidFaults is a sweep of which the hints are followed at once, or never because they were drawn so.
func (m *goods) sweepAmidFaults(rt *rapid.T) {
	m.later()
	m.amidFaults(rt, func() {
		m.sweep(rt)
		for _, order := range m.hinted() {
			m.pass(rt, order, nil)
		}
	})
}

// shippingEnv has the steps of a lifecycle and of its sweep.
func (m *goods) shippingEnv(rt *rapid.T) *testsuite.TestWorkflowEnvironment {
	env, s := m.env(rt), m.system
	register(env, "ReadFulfillment", s, func(p *process) func(context.Context, activities.FulfillmentInput) (activities.FulfillmentReading, error) {
		return p.read.ReadFulfillment
	})
	register(env, "BringFulfillment", s, func(p *process) func(context.Context, activities.BringFulfillmentInput) (activities.BringFulfillmentResult, error) {
		return p.write.BringFulfillment
	})
	register(env, "PostShipment", s, func(p *process) func(context.Context, activities.PostShipmentInput) (activities.PostShipmentResult, error) {
		return p.read.PostShipment
	})
	register(env, "EnterStep", s, func(p *process) func(context.Context, activities.StepInput) (any, error) {
		return func(ctx context.Context, in activities.StepInput) (any, error) {
			return nil, p.write.EnterStep(ctx, in)
		}
	})
	register(env, "SweepFulfillments", s, func(p *process) func(context.Context, activities.SweepFulfillmentsInput) (activities.SweepPage, error) {
		return p.read.SweepFulfillments
	})
	register(env, "SweepSageOrders", s, func(p *process) func(context.Context, activities.SweepSageOrdersInput) (activities.SageSweep, error) {
		return p.write.SweepSageOrders
	})
	env.RegisterActivity(s.live.Load().ledger)
	env.RegisterActivity(&activities.Teams{Store: s.store})
	return env
}

// patience is how long after its beginning a run is ended that still waits for news.
const patience = 7 * 24 * time.Hour

// pass is one run of the process that follows the goods of an order, with a look at the beginning and one for each hint.
func (m *goods) pass(rt *rapid.T, order string, hints []int) {
	env := m.shippingEnv(rt)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.FulfillmentID(m.ghl.Location(), order)})
	hint(env, hints)
	env.RegisterDelayedCallback(env.CancelWorkflow, patience)
	env.ExecuteWorkflow(workflows.Fulfillment, workflows.FulfillmentInput{Location: m.ghl.Location(), OrderID: order})
	require.True(rt, env.IsWorkflowCompleted())
	if err := env.GetWorkflowError(); err != nil {
		require.True(rt, temporal.IsCanceledError(err), "%v", err)
	}
	item, parked, err := m.store.ParkedItem(context.Background(), m.ghl.Location(), store.Fulfillment, order)
	require.NoError(rt, err)
	if parked && !activities.Rules[activities.Kind(item.Kind)].Heals {
		rt.Fatalf("the shipping of order %s is parked for good: %s: %s", order, item.Kind, item.Reason)
	}
	m.onwards(rt, order)
}

// onwards wants that goods never go back.
func (m *goods) onwards(rt *rapid.T, order string) {
	row, found, err := m.store.Fulfillment(context.Background(), m.ghl.Location(), order)
	require.NoError(rt, err)
	if !found {
		return
	}
	before, now := m.furthest[order], row.Lifecycle.State
	if before != "" && now != before && !before.CanBecome(now) {
		rt.Fatalf("order %s went from %s to %s", order, before, now)
	}
	m.furthest[order] = now
}

// sweep is one sweep over the shipping of all orders.
func (m *goods) sweep(rt *rapid.T) {
	env := m.shippingEnv(rt)
	env.ExecuteWorkflow(workflows.FulfillmentSweep, workflows.FulfillmentSweepInput{Location: m.ghl.Location()})
	require.True(rt, env.IsWorkflowCompleted())
	require.NoError(rt, env.GetWorkflowError())
}

// mostSweeps are more than the goods of two orders can need.
const mostSweeps = 10

// drain lets sweeps find all that is left, without faults, until there is nothing more.
func (m *goods) drain(rt *rapid.T) {
	m.later()
	for _, order := range m.orders {
		if status := m.run(rt, order, nil); status.Kind != "" {
			rt.Fatalf("order %s is parked: %s: %s", order, status.Kind, status.Reason)
		}
	}
	for n := 0; ; n++ {
		require.Less(rt, n, mostSweeps, "each sweep finds something new")
		m.later()
		m.sweep(rt)
		orders := m.hinted()
		parked, _, err := m.store.ParkedItems(context.Background(), store.ParkedFilter{Location: m.ghl.Location()})
		require.NoError(rt, err)
		for _, item := range parked { // the payments' sweep carries on with these
			orders = append(orders, item.ObjectID)
		}
		if len(orders) == 0 {
			break
		}
		for _, order := range orders {
			m.pass(rt, order, nil)
		}
	}
	m.sage.ResetWrites()
	fulfilments := len(m.ghl.AllFulfillments())
	for _, order := range m.orders {
		m.pass(rt, order, nil)
	}
	require.Empty(rt, m.sage.Writes(), "a further pass finds nothing to write")
	require.Len(rt, m.ghl.AllFulfillments(), fulfilments, "and nothing to post")
}

// agree compares both sides with what people and carriers did.
func (m *goods) agree(rt *rapid.T) {
	posted := map[string]bool{}
	for _, f := range m.ghl.AllFulfillments() {
		if !f.ByAPI {
			continue
		}
		for _, tracking := range f.Trackings {
			require.False(rt, posted[tracking.Number], "the parcel %s was posted twice", tracking.Number)
			posted[tracking.Number] = true
		}
	}
	report := shopbox.Agree(m.ghl, m.sage, shopbox.WithWaybills(&m.waybills))
	if !report.OK() {
		rt.Fatal(report.String())
	}
}
