package activities_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
)

// voyage is something that happened to an order, of which a pass is to make something.
type voyage struct {
	name      string
	options   worldOptions
	prepare   func(w *world) (order string)
	state     string
	shipments int
}

var noFields = worldOptions{sage: sagebox.Options{ExtraFields: []sagebox.ExtraField{}}}

// voyages are shipments of HighLevel's, of Sage's and of both at once, with fields and with the line, and ends.
var voyages = []voyage{
	{"shipped in HighLevel", worldOptions{}, func(w *world) string {
		order := w.paidOrder()
		w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
		return order.ID
	}, "shipped", 1},
	{"shipped in Sage", worldOptions{}, func(w *world) string {
		order := w.paidOrder()
		w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "shipped", "Z_TrackingNumbers": "1Z9"})
		return order.ID
	}, "shipped", 1},
	{"shipped in Sage without a number", worldOptions{}, func(w *world) string {
		w.following.Rules.PostWithoutTracking = true
		order := w.paidOrder()
		w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "delivered"})
		return order.ID
	}, "delivered", 1},
	{"in parts at both", worldOptions{}, func(w *world) string {
		order := w.paidOrder()
		w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1"), Items: []ghlbox.NewLine{{PriceID: order.Items[0].Price.ID, Qty: 1}}})
		w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "shipped", "Z_TrackingNumbers": "1Z9"})
		return order.ID
	}, "shipped", 2},
	{"in the line", noFields, func(w *world) string {
		order := w.paidOrder()
		comment := w.booked(order.ID).Text("internalComment")
		w.say(order.ID, map[string]any{"internalComment": strings.Replace(comment, "FulfillmentStatus=created",
			"FulfillmentStatus=shipped; TrackingNumbers=1Z9", 1)})
		return order.ID
	}, "shipped", 1},
	{"delivered, posting without numbers", worldOptions{}, func(w *world) string {
		w.following.Rules.PostWithoutTracking = true // nobody set anything in Sage, so nothing is to be posted
		order := w.paidOrder()
		w.delivered(order.ID, "", time.Now().Add(-time.Hour))
		return order.ID
	}, "delivered", 0},
}

// told is what both sides hold at the end, without ids and moments.
func (w *world) told(order string) string {
	w.t.Helper()
	o := w.booked(order)
	text := fmt.Sprintf("%s|%s|%t|%t", o.Text("Z_FulfillmentStatus"), o.Text("Z_TrackingNumbers"),
		o.Time("Z_ShippedDate").IsZero(), o.Time("Z_DeliveredDate").IsZero())
	if comment := o.Text("internalComment"); comment != "" {
		text = strings.Split(comment, "FulfillmentStatus=")[1]
		text = strings.Split(text, ";")[0]
	}
	for _, f := range w.ghl.Fulfillments(order) {
		text += fmt.Sprint("|", f.Items, f.Trackings, f.Notified)
	}
	return text
}

// arrives wants a voyage to have ended as it should, and nothing more to happen.
func (w *world) arrives(v voyage, order, told string) {
	w.t.Helper()
	require.Equal(w.t, told, w.told(order))
	made := w.ghl.Fulfillments(order)
	require.Len(w.t, made, v.shipments)
	mails := 0
	for _, f := range made {
		if f.ByAPI {
			mails++
		}
	}
	require.Equal(w.t, mails, w.ghl.CustomerMails())
	w.restsNow(order)
	w.noPostIsOpen(order)
	w.nothingMore(order)
	require.Equal(w.t, v.state, string(w.record(order).Lifecycle.State))
}

// calls are the calls of both sandboxes together.
func (w *world) calls() map[string]int {
	all := w.sage.Calls()
	for op, n := range w.ghl.Calls() {
		all[op] += n
	}
	return all
}

func straightVoyage(t *testing.T, v voyage) (run []call, told string) {
	t.Helper()
	w := shipping(t, v.options)
	order := v.prepare(w)
	w.connect()
	before := w.calls()
	w.wire.after = func(*http.Request) {
		now := w.calls()
		for op, n := range now {
			if n != before[op] {
				run = append(run, call{op, n})
			}
		}
		before = now
	}
	result, err := w.follow(order)
	require.NoError(t, err)
	require.Equal(t, v.state, string(result.State))
	w.wire.after = nil
	told = w.told(order)
	w.arrives(v, order, told)
	return run, told
}

func TestOneFaultAtAnyCallOfAVoyageChangesNothing(t *testing.T) {
	kinds := []faults.Fault{
		{Kind: faults.CutBefore}, {Kind: faults.CutAfter}, {Kind: faults.LateCommit, Delay: 5 * time.Millisecond},
		{Kind: faults.Status, Status: 500}, {Kind: faults.Throttle}, {Kind: faults.TruncatedJSON},
	}
	for _, v := range voyages {
		run, told := straightVoyage(t, v)
		for k, c := range run {
			for _, fault := range kinds {
				if !isWrite(c.op) && fault.Kind != faults.Status {
					continue // to a read they are all the same
				}
				t.Run(fmt.Sprintf("%s/%02d %s/%s", v.name, k, c.op, fault.Kind), func(t *testing.T) {
					t.Parallel()
					w := shipping(t, v.options)
					order := v.prepare(w)
					w.connect()
					w.faults.Script(c.op, c.nth, fault)
					_, err := w.followOn(order)
					require.NoError(t, err)
					w.faults.Wait()
					require.Equal(t, 1, w.faults.Total(), "the fault was met")
					w.arrives(v, order, told)
				})
			}
		}
	}
}

// TestDeathAtAnyCallOfAVoyageChangesNothing lets the process die after each single call, with all that it had in memory.
func TestDeathAtAnyCallOfAVoyageChangesNothing(t *testing.T) {
	for _, v := range voyages {
		run, told := straightVoyage(t, v)
		for k, c := range run {
			if strings.HasPrefix(c.op, "sage.") && inFlight(c.op) {
				continue // value lists are read for all steps at once, and hold nothing of an order
			}
			t.Run(fmt.Sprintf("%s/%02d %s", v.name, k, c.op), func(t *testing.T) {
				t.Parallel()
				w := shipping(t, v.options)
				order := v.prepare(w)
				w.connect()
				n, dead := 0, false
				w.wire.after = func(*http.Request) {
					if n++; n == k+1 && !dead {
						dead = true
						w.connect()
						panic("the process dies")
					}
				}
				_, err := w.followOn(order)
				require.NoError(t, err)
				require.True(t, dead)
				w.arrives(v, order, told)
			})
		}
	}
}

// TestDeathAtAnyStatementOfAVoyageChangesNothing lets every statement that writes into the store fail, which is all that
// is left of a process that dies right before it.
func TestDeathAtAnyStatementOfAVoyageChangesNothing(t *testing.T) {
	statements := []string{
		"INSERT ON shipment_posts", "UPDATE ON shipment_posts", "DELETE ON shipment_posts", "UPDATE ON fulfillments",
		"INSERT ON fulfillment_steps", "INSERT ON order_trackings", "UPDATE ON delivery_news", "UPDATE ON sightings",
		"INSERT ON sightings", "DELETE ON claims", "INSERT ON claims",
	}
	met := map[string]bool{}
	for _, v := range voyages {
		_, told := straightVoyage(t, v)
		for _, statement := range statements {
			t.Run(v.name+"/"+statement, func(t *testing.T) {
				w := shipping(t, v.options)
				order := v.prepare(w)
				w.connect()
				w.inStore("CREATE TRIGGER death BEFORE " + statement + " BEGIN SELECT RAISE(ABORT, 'the process dies'); END")
				_, err := w.followWith(order, again[activities.FulfillmentReading](met, statement),
					again[activities.BringFulfillmentResult](met, statement), again[activities.PostShipmentResult](met, statement))
				require.NoError(t, err)
				w.inStore("DROP TRIGGER IF EXISTS death")
				w.arrives(v, order, told)
			})
		}
	}
	for _, statement := range statements[:7] {
		require.True(t, met[statement], "%s was met by some voyage", statement)
	}
}

// again is a step of a process that dies at a statement, and of the next process.
func again[T any](met map[string]bool, statement string) func(*world, any, any) (T, error) {
	return func(w *world, fn, in any) (T, error) {
		out, err := do[T](w, fn, in)
		if err == nil {
			return out, nil
		}
		require.ErrorContains(w.t, err, "the process dies")
		met[statement] = true
		w.inStore("DROP TRIGGER death")
		return patient[T](w, fn, in)
	}
}

// TestDeathWhileALifecycleIsOpened lets the process die at each call and statement of a new order's pass.
func TestDeathWhileALifecycleIsOpened(t *testing.T) {
	for _, options := range []worldOptions{{}, noFields} {
		straight := shipping(t, options)
		placed := straight.shirtOrder("EUR", straight.customer())
		straight.pay(placed.ID, domain.Money{})
		var run []string
		before := straight.calls()
		straight.wire.after = func(*http.Request) {
			now := straight.calls()
			for op, n := range now {
				if n != before[op] {
					run = append(run, op)
				}
			}
			before = now
		}
		straight.mustPass(placed.ID)
		for k, op := range run {
			if strings.HasPrefix(op, "sage.") && inFlight(op) {
				continue
			}
			t.Run(fmt.Sprintf("%d fields/%02d %s", len(options.sage.ExtraFields), k, op), func(t *testing.T) {
				t.Parallel()
				w := shipping(t, options)
				order := w.shirtOrder("EUR", w.customer())
				w.pay(order.ID, domain.Money{})
				at, dead := 0, false
				w.wire.after = func(*http.Request) {
					if at++; at == k+1 && !dead {
						dead = true
						w.connect()
						panic("the process dies")
					}
				}
				_, err := w.carryOut(order.ID)
				require.NoError(t, err)
				require.True(t, dead)
				require.NotEmpty(t, w.looks.fulfillments)
				result, err := w.followOn(order.ID)
				require.NoError(t, err)
				require.Equal(t, domain.FulfillmentCreated, result.State)
				w.restsNow(order.ID)
				w.nothingMore(order.ID)
			})
		}
		for _, statement := range []string{"INSERT ON fulfillments", "INSERT ON orders"} {
			t.Run(statement, func(t *testing.T) {
				w := shipping(t, options)
				order := w.shirtOrder("EUR", w.customer())
				w.pay(order.ID, domain.Money{})
				w.inStore("CREATE TRIGGER death BEFORE " + statement + " BEGIN SELECT RAISE(ABORT, 'the process dies'); END")
				_, err := w.pass(order.ID)
				require.ErrorContains(t, err, "the process dies")
				w.inStore("DROP TRIGGER death")
				w.looks.fulfillments = nil // as if the process had died before the first hint
				_, err = w.carryOut(order.ID)
				require.NoError(t, err)
				require.NotEmpty(t, w.looks.fulfillments)
				_, err = w.followOn(order.ID)
				require.NoError(t, err)
				w.restsNow(order.ID)
			})
		}
	}
}

// TestBothWritersAtOnceLoseNothing lets payments and shipments be brought into the same Sage order at the same time.
func TestBothWritersAtOnceLoseNothing(t *testing.T) {
	for name, options := range map[string]worldOptions{"fields": {}, "line": noFields} {
		t.Run(name, func(t *testing.T) {
			w := shipping(t, options)
			order := w.shirtOrder("EUR", w.customer())
			w.pay(order.ID, domain.NewMoney(1000, "EUR"))
			w.mustPass(order.ID)
			for round := range 12 {
				w.pay(order.ID, domain.NewMoney(100, "EUR"))
				if round < 2 {
					w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf(fmt.Sprintf("A%d", round)),
						Items: []ghlbox.NewLine{{PriceID: order.Items[0].Price.ID, Qty: 1}}})
				} else {
					w.delivered("", fmt.Sprintf("A%d", round-2), time.Now())
				}
				var both sync.WaitGroup
				both.Go(func() {
					_, err := w.carryOut(order.ID)
					require.NoError(t, err)
				})
				both.Go(func() {
					_, err := w.followOn(order.ID)
					require.NoError(t, err)
				})
				both.Wait()
				w.restsNow(order.ID)
				w.nothingMore(order.ID)
			}
			o := w.booked(order.ID)
			said := o.Text("internalComment") + "PaidAmount=" + o.Number("Z_PaidAmount").String() + o.Text("Z_TrackingNumbers")
			require.Contains(t, said, "PaidAmount=22")
			require.Contains(t, said, "A1")
		})
	}
}

// TestReadOnlyPlansAndWritesNothing keeps shipments back as everything else.
func TestReadOnlyPlansAndWritesNothing(t *testing.T) {
	w := shipping(t, worldOptions{})
	inHighLevel, inSage := w.paidOrder(), w.paidOrder()
	w.fulfil(inHighLevel.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
	w.say(inSage.ID, map[string]any{"Z_FulfillmentStatus": "shipped", "Z_TrackingNumbers": "1Z9"})
	var mu sync.Mutex
	var planned []string
	keep := func(_ context.Context, p transport.Planned) error {
		mu.Lock()
		defer mu.Unlock()
		planned = append(planned, p.Operation)
		return nil
	}
	from, err := ghl.New(ghl.Options{BaseURL: w.ghl.URL(), LocationID: w.ghl.Location(), Credentials: ghl.StaticToken(w.ghl.Token()),
		Limiter: noLimit{}, ReadOnly: true, Planned: keep})
	require.NoError(t, err)
	into, err := sage.New(sage.Options{BaseURL: w.sage.URL(), PublicKey: "sandbox-public", PrivateKey: "sandbox-secret", Limiter: noLimit{},
		ReadOnly: true, Planned: keep})
	require.NoError(t, err)
	w.read.Client = func(context.Context, string) (*ghl.Client, error) { return from, nil }
	w.write.Client = func(context.Context, string) (*sage.Client, activities.SageSettings, error) {
		return into, w.settings, nil
	}
	w.sage.ResetWrites()
	for _, order := range []string{inHighLevel.ID, inSage.ID} {
		_, err := w.follow(order)
		require.Equal(t, activities.ReadOnly, kindOf(err))
	}
	require.Equal(t, []string{"sage.salesorders.update", createShipment}, planned)
	require.Empty(t, w.sage.Writes())
	require.Len(t, w.ghl.AllFulfillments(), 1)
	w.noPostIsOpen(inSage.ID)
	w.connect()
	for _, order := range []string{inHighLevel.ID, inSage.ID} {
		require.Equal(t, domain.FulfillmentShipped, w.mustFollow(order).State)
	}
	require.Len(t, w.ghl.AllFulfillments(), 2)
}

// TestWhateverBothSidesDoInAnyOrder lets people and carriers act by chance, with passes now and then and with calls that
// fail, and wants both sides to agree in the end and no goods to be sent twice.
func TestWhateverBothSidesDoInAnyOrder(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			chance := rand.New(rand.NewPCG(seed, 7))
			w := shipping(t, worldOptions{})
			w.following.Rules.PostWithoutTracking = chance.IntN(2) == 0
			order := w.paidOrder()
			highest := domain.FulfillmentCreated
			for step := range 12 {
				switch chance.IntN(7) {
				case 0, 1:
					_, _ = w.ghl.Fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf(fmt.Sprintf("A%d", step)),
						Items: []ghlbox.NewLine{{PriceID: order.Items[chance.IntN(2)].Price.ID, Qty: 1}}}) // may be sent already
				case 2:
					states := []string{"created", "processing", "shipped", "delivered", ""}
					w.say(order.ID, map[string]any{"Z_FulfillmentStatus": states[chance.IntN(len(states))]})
				case 3:
					_, now := w.shown(order.ID)
					w.say(order.ID, map[string]any{"Z_TrackingNumbers": strings.TrimPrefix(now+fmt.Sprintf(", S%d", step), ", ")})
				case 4:
					w.delivered("", fmt.Sprintf("A%d", chance.IntN(12)), time.Now())
				case 5:
					w.faults.Next(createShipment, faults.Fault{Kind: faults.CutAfter})
				case 6:
					w.faults.Next("sage.salesorders.update", faults.Fault{Kind: faults.CutAfter})
				}
				if chance.IntN(2) == 0 {
					result, err := w.followOn(order.ID)
					require.NoError(t, err)
					require.True(t, highest.CanBecome(result.State), "%s after %s", result.State, highest)
					highest = result.State
				}
			}
			_, err := w.followOn(order.ID)
			require.NoError(t, err)
			w.faults.Clear()
			w.restsNow(order.ID)
			state, trackings := w.shown(order.ID)
			require.Equal(t, string(w.record(order.ID).Lifecycle.State), state)
			sent, known := map[string]int64{}, keysIn(domain.ParseTrackings(trackings))
			for _, f := range w.ghl.Fulfillments(order.ID) {
				for _, item := range f.Items {
					sent[item.PriceID] += item.Qty
				}
				for _, tracking := range f.Trackings {
					require.Contains(t, known, tracking.Number)
				}
			}
			for _, item := range order.Items {
				require.LessOrEqual(t, sent[item.Price.ID], item.Qty)
			}
			_, open, err := w.store.ShipmentPost(t.Context(), w.ghl.Location(), order.ID)
			require.NoError(t, err)
			require.False(t, open)
			require.Empty(t, w.sweepShipments(time.Now()), "what is settled asks for nothing")
		})
	}
}
