package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/test/harness"
)

// glance is the time between two looks at whether something has happened.
const glance = 50 * time.Millisecond

// sell places a paid order with a line for each number of pieces, of products of that type.
func sell(t *testing.T, s *stack.Stack, location, productType string, pieces ...int64) ghl.Order {
	t.Helper()
	shop := s.GHL.In(location)
	var lines []ghl.NewLine
	for i, n := range pieces {
		product := shop.AddProduct(ghl.Product{Name: fmt.Sprint("Article ", i), Type: productType})
		lines = append(lines, ghl.NewLine{Qty: n, PriceID: s.GHL.AddPrice(ghl.Price{
			ProductID: product, Name: "each", Amount: domain.NewMoney(1995, "EUR"),
		})})
	}
	order, err := shop.PlaceOrder(ghl.NewOrder{
		ContactID: shop.AddContact(ghl.Contact{FirstName: "Ada", LastName: "Byron"}), Currency: "EUR", Lines: lines,
	})
	require.NoError(t, err)
	_, err = s.GHL.TakePayment(order.ID, ghl.NewPayment{})
	require.NoError(t, err)
	return order
}

// opened is an order of physical goods in Sage, of which nothing has been sent yet.
func opened(t *testing.T, s *stack.Stack, pieces ...int64) ghl.Order {
	t.Helper()
	order := sell(t, s, s.Location(), "PHYSICAL", pieces...)
	comes(t, s, order, domain.FulfillmentCreated)
	return order
}

func comes(t *testing.T, s *stack.Stack, order ghl.Order, state domain.FulfillmentState) {
	t.Helper()
	harness.InState(t, s, order.ID, state, patience)
}

// line is so many pieces of an order's line.
func line(order ghl.Order, at int, pieces int64) ghl.NewLine {
	return ghl.NewLine{PriceID: order.Items[at].Price.ID, Qty: pieces}
}

func parcel(number string) ghl.Tracking { return ghl.Tracking{Number: number, Carrier: "UPS"} }

// posted waits for the fulfilments of an order at HighLevel to be so many, and for Sage to name them all.
func posted(t *testing.T, s *stack.Stack, order string, n int) []ghl.Fulfillment {
	t.Helper()
	var made []ghl.Fulfillment
	require.Eventually(t, func() bool {
		made = s.GHL.Fulfillments(order)
		in := booked(s, order)
		return len(made) >= n && len(in) == 1 && !slices.ContainsFunc(made, func(f ghl.Fulfillment) bool {
			return !strings.Contains(in[0].Text("Z_FulfillmentIds"), f.ID)
		})
	}, patience, glance, "the fulfilments of order %s do not become %d", order, n)
	require.Len(t, made, n)
	return made
}

// lifecycle is the record of an order's lifecycle, once it is as wanted.
func lifecycle(t *testing.T, s *stack.Stack, order string, wanted func(store.FulfillmentRecord) bool) (row store.FulfillmentRecord) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	require.Eventually(t, func() bool {
		now, found, err := s.Store.Fulfillment(ctx, s.Location(), order)
		row = now
		return err == nil && found && wanted(row)
	}, patience, glance, "the lifecycle of order %s", order)
	return row
}

// waits waits until the lifecycle of an order is parked with a fault of that kind.
func waits(t *testing.T, s *stack.Stack, order string, kind activities.Kind) store.Parked {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var item store.Parked
	require.Eventually(t, func() bool {
		now, parked, err := s.Store.ParkedItem(ctx, s.Location(), store.Fulfillment, order)
		item = now
		return err == nil && parked && item.Kind == string(kind)
	}, patience, glance, "the lifecycle of order %s is not parked as %s", order, kind)
	return item
}

// people write into the sales order of a sale.
func people(t *testing.T, s *stack.Stack, order string, fields map[string]any) {
	t.Helper()
	in := booked(s, order)
	require.Len(t, in, 1)
	require.NoError(t, s.Sage.PeopleUpdate("salesorders", in[0].ID, fields))
}

// TestGoodsAreFollowedOnBothSides sends goods in every way there is, all at the same time, and wants in the end that both
// sides agree, that each step was told once, and that nothing of it is taken for news by a worker that starts afresh.
func TestGoodsAreFollowedOnBothSides(t *testing.T) {
	team, plan := harness.Listen(t), faults.NewPlan(5, faults.None)
	s := start(t, stack.Options{
		GHL: ghl.Options{NoLimits: true, Faults: plan},
		Env: map[string]string{
			"FULFILLMENT_SYNC_INTERVAL": "1s", "NOTIFY_WEBHOOK_URL": team.URL, "LINK_GHL_ORDER": "https://crm.example/{location}/{order}",
			"LINK_SAGE_ORDER": "https://books.example/{sageOrder}", "LINK_WORKFLOW": "https://temporal.example/{namespace}/{workflow}",
		},
	})
	harness.Waybills(t, s)
	plan.Next("ghl.fulfillments.create", faults.Fault{Kind: faults.CutAfter}, faults.Fault{Kind: faults.CutAfter},
		faults.Fault{Kind: faults.LateCommit, Delay: 300 * time.Millisecond}, faults.Fault{Kind: faults.TruncatedJSON},
		faults.Fault{Kind: faults.CutBefore}, faults.Fault{Kind: faults.Status, Status: 502})
	t.Run("ways", func(t *testing.T) {
		for name, way := range ways {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				way(t, s)
			})
		}
	})
	if t.Failed() {
		return
	}
	settled(t, s)
	harness.Agrees(t, s)
	toldOnce(t, s, team)
	nothingIsNews(t, s)
}

// ways are those in which goods are sent, arrive or stay where they are.
var ways = map[string]func(*testing.T, *stack.Stack){
	"as a whole, and the carrier says it arrived": func(t *testing.T, s *stack.Stack) {
		order := opened(t, s, 2)
		sent := harness.Ship(t, s, order.ID, []ghl.Tracking{parcel("1Z 0001")})
		comes(t, s, order, domain.FulfillmentShipped)
		in := booked(s, order.ID)[0]
		assert.Equal(t, sent.ID, in.Text("Z_FulfillmentIds"))
		assert.Contains(t, in.Text("Z_TrackingNumbers"), "1Z 0001")
		assert.False(t, in.Time("Z_ShippedDate").IsZero())
		harness.Deliver(t, s, order.ID, "1z-0001")
		comes(t, s, order, domain.FulfillmentDelivered)
	},
	"in parts, and an operator says they arrived": func(t *testing.T, s *stack.Stack) {
		order := opened(t, s, 2, 1)
		harness.Ship(t, s, order.ID, []ghl.Tracking{parcel("1Z0011")}, line(order, 0, 1), line(order, 1, 1))
		comes(t, s, order, domain.FulfillmentProcessing)
		harness.Ship(t, s, order.ID, []ghl.Tracking{parcel("1Z0012")})
		comes(t, s, order, domain.FulfillmentShipped)
		for i, number := range []string{"1Z0011", "1Z0012"} {
			code, shown := run(t, s, "fulfillment", "deliver", order.ID, "--tracking", number)
			require.Zero(t, code, shown)
			harness.Waybills(t, s).Enter(shop.Act{Deed: shop.ReceiveByCall, OrderID: order.ID, Trackings: []ghl.Tracking{parcel(number)}})
			row := lifecycle(t, s, order.ID, func(row store.FulfillmentRecord) bool {
				arrived := 0
				for _, shipment := range row.Lifecycle.Shipments {
					if shipment.State == domain.FulfillmentDelivered {
						arrived++
					}
				}
				return arrived == i+1
			})
			require.Equal(t, i == 1, row.Closed, "the order is where the last of its parcels is")
		}
		comes(t, s, order, domain.FulfillmentDelivered)
	},
	"without a number, which follows in Sage": func(t *testing.T, s *stack.Stack) {
		order := opened(t, s, 1)
		harness.Ship(t, s, order.ID, nil)
		comes(t, s, order, domain.FulfillmentProcessing)
		harness.ShipInSage(t, s, order.ID, parcel("1Z0021"))
		lifecycle(t, s, order.ID, func(row store.FulfillmentRecord) bool { return row.Lifecycle.State == domain.FulfillmentShipped })
		harness.InSage(t, s, shop.Act{Deed: shop.ReceiveInSage, OrderID: order.ID})
		row := lifecycle(t, s, order.ID, func(row store.FulfillmentRecord) bool { return row.Closed })
		require.Equal(t, domain.FulfillmentDelivered, row.Lifecycle.State)
		require.Len(t, s.GHL.Fulfillments(order.ID), 1, "what HighLevel has cannot be changed, and is not made twice")
	},
	"from Sage": func(t *testing.T, s *stack.Stack) {
		order := opened(t, s, 2, 3)
		harness.Ship(t, s, order.ID, []ghl.Tracking{parcel("1Z0031")}, line(order, 1, 1))
		comes(t, s, order, domain.FulfillmentProcessing)
		harness.ShipInSage(t, s, order.ID, parcel("1Z0032"))
		made := posted(t, s, order.ID, 2)[1]
		assert.True(t, made.ByAPI && made.Notified)
		assert.Equal(t, "1Z0032", made.Trackings[0].Number)
		pieces := map[string]int64{}
		for _, item := range made.Items {
			pieces[item.PriceID] += item.Qty
		}
		assert.Equal(t, map[string]int64{order.Items[0].Price.ID: 2, order.Items[1].Price.ID: 2}, pieces, "all that was left")
		comes(t, s, order, domain.FulfillmentShipped)
	},
	"from Sage, and answers are lost": func(t *testing.T, s *stack.Stack) {
		var orders []ghl.Order
		for range 8 {
			orders = append(orders, sell(t, s, s.Location(), "PHYSICAL", 1))
		}
		for i, order := range orders {
			comes(t, s, order, domain.FulfillmentCreated)
			harness.ShipInSage(t, s, order.ID, parcel(fmt.Sprint("1Z004", i)))
		}
		for _, order := range orders {
			posted(t, s, order.ID, 1)
		}
	},
	"from both sides at once": func(t *testing.T, s *stack.Stack) {
		for i := range 3 {
			order := opened(t, s, 1, 1)
			harness.Ship(t, s, order.ID, []ghl.Tracking{parcel(fmt.Sprint("1Z0051", i))}, line(order, 0, 1))
			harness.ShipInSage(t, s, order.ID, parcel(fmt.Sprint("1Z0052", i)))
			posted(t, s, order.ID, 2)
		}
	},
	"not at all, for the money went back": func(t *testing.T, s *stack.Stack) {
		order := opened(t, s, 1)
		require.NoError(t, s.GHL.Refund(s.GHL.Payments(order.ID)[0].ID, order.Amount))
		comes(t, s, order, domain.FulfillmentCancelled)
		row := lifecycle(t, s, order.ID, func(row store.FulfillmentRecord) bool { return row.Closed })
		assert.Equal(t, "refunded in full", row.Lifecycle.Reason)
		harness.Ship(t, s, order.ID, []ghl.Tracking{parcel("1Z0061")}) // too late
		posted(t, s, order.ID, 1)
		assert.Contains(t, booked(s, order.ID)[0].Text("Z_TrackingNumbers"), "1Z0061")
		comes(t, s, order, domain.FulfillmentCancelled)
	},
	"not at all, for the order was cancelled": func(t *testing.T, s *stack.Stack) {
		order := opened(t, s, 1)
		require.NoError(t, s.GHL.Cancel(order.ID))
		comes(t, s, order, domain.FulfillmentCancelled)
		row := lifecycle(t, s, order.ID, func(row store.FulfillmentRecord) bool { return row.Closed })
		assert.Equal(t, "cancelled in HighLevel", row.Lifecycle.Reason)
	},
	"never, for there is nothing to carry": func(t *testing.T, s *stack.Stack) {
		order := sell(t, s, s.Location(), "DIGITAL", 1)
		comes(t, s, order, domain.FulfillmentDelivered)
		row := lifecycle(t, s, order.ID, func(row store.FulfillmentRecord) bool { return row.Closed })
		assert.Equal(t, "nothing to ship", row.Lifecycle.Reason)
	},
	"later than they arrived": func(t *testing.T, s *stack.Stack) {
		order := opened(t, s, 1)
		harness.Deliver(t, s, order.ID)
		comes(t, s, order, domain.FulfillmentDelivered)
		harness.InSage(t, s, shop.Act{Deed: shop.SetBack, OrderID: order.ID})
		comes(t, s, order, domain.FulfillmentDelivered)
		harness.Ship(t, s, order.ID, []ghl.Tracking{parcel("1Z0071")})
		posted(t, s, order.ID, 1)
		assert.Contains(t, booked(s, order.ID)[0].Text("Z_TrackingNumbers"), "1Z0071")
		comes(t, s, order, domain.FulfillmentDelivered)
	},
	"after a word that nobody knows": func(t *testing.T, s *stack.Stack) {
		sent, restored := opened(t, s, 1), opened(t, s, 1)
		for _, order := range []ghl.Order{sent, restored} {
			people(t, s, order.ID, map[string]any{"Z_FulfillmentStatus": "on its way"})
			item := waits(t, s, order.ID, activities.Invalid)
			require.Contains(t, item.Reason, "created, processing, shipped, delivered, cancelled", "it says what may be set")
			require.Equal(t, "on its way", booked(s, order.ID)[0].Text("Z_FulfillmentStatus"), "what people wrote is left alone")
		}
		harness.ShipInSage(t, s, sent.ID, parcel("1Z0081"))
		posted(t, s, sent.ID, 1)
		people(t, s, restored.ID, map[string]any{"Z_FulfillmentStatus": "created"})
		for _, order := range []ghl.Order{sent, restored} {
			require.Eventually(t, func() bool {
				_, parked, err := s.Store.ParkedItem(context.WithoutCancel(t.Context()), s.Location(), store.Fulfillment, order.ID)
				return err == nil && !parked
			}, patience, glance, "order %s goes on", order.ID)
		}
	},
}

// toldOnce wants one message and one activity for each step that was taken, with links to all that a team may want to see.
func toldOnce(t *testing.T, s *stack.Stack, team *harness.Operators) {
	t.Helper()
	entered := map[int64]bool{}
	for _, order := range s.GHL.Orders() {
		steps := stepsTold(t, s, order.ID)
		messages := team.Told(order.ID, "Workflow:")
		require.Len(t, messages, len(steps), "order %s: %v", order.ID, messages)
		id := booked(s, order.ID)[0].ID
		for _, text := range messages {
			require.Contains(t, text, "https://crm.example/"+s.Location()+"/"+order.ID)
			require.Contains(t, text, fmt.Sprint("https://books.example/", id))
			require.Contains(t, text, "https://temporal.example/default/fulfillment")
		}
		for _, step := range steps {
			require.False(t, entered[step.ActivityID] || step.GivenUp, "order %s: %s", order.ID, step.Key)
			entered[step.ActivityID] = true
		}
	}
	activities := s.Sage.Live("activities")
	require.Len(t, activities, len(entered))
	for _, activity := range activities {
		require.True(t, entered[activity.ID])
	}
}

// stepsTold are the steps of an order, once all of them are told.
func stepsTold(t *testing.T, s *stack.Stack, order string) (steps []store.FulfillmentStep) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	require.Eventually(t, func() bool {
		var err error
		steps, err = s.Store.FulfillmentSteps(ctx, s.Location(), order)
		return err == nil && !slices.ContainsFunc(steps, func(step store.FulfillmentStep) bool { return !step.Told || step.ActivityID == 0 })
	}, patience, glance, "the steps of order %s are not all told", order)
	return steps
}

// nothingIsNews starts the worker afresh, without what its sweeps remember, and wants that neither side is written to.
func nothingIsNews(t *testing.T, s *stack.Stack) {
	t.Helper()
	db, err := sql.Open("sqlite", s.StorePath+"?_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	defer db.Close()
	s.Workers[0].Kill()
	_, err = db.ExecContext(t.Context(), "DELETE FROM sightings")
	require.NoError(t, err)
	fulfilments, mails := len(s.GHL.AllFulfillments()), s.GHL.CustomerMails()
	s.Sage.ResetWrites()
	require.NoError(t, s.Workers[0].Restart(t.Context()))
	settled(t, s)
	require.Empty(t, s.Sage.Writes(), "what we wrote ourselves is no news")
	require.Len(t, s.GHL.AllFulfillments(), fulfilments)
	require.Equal(t, mails, s.GHL.CustomerMails())
	harness.Agrees(t, s)
}

// TestNothingWaitsForASweepOrForPeople: where webhooks and hooks come, no sweep is needed. What happened on both sides
// while the worker was dead is done when it is back. And none of it waits for a team that cannot be told, which is told of
// each step once when it can.
func TestNothingWaitsForASweepOrForPeople(t *testing.T) {
	team := newDeafTeam(t)
	s := start(t, stack.Options{
		GHL: ghl.Options{NoLimits: true, FulfillmentWebhook: true},
		Env: map[string]string{"FULFILLMENT_SYNC_INTERVAL": "1h", "SYNC_INTERVAL": "1h", "NOTIFY_WEBHOOK_URL": team.URL},
	})
	code, shown := run(t, s, "hooks", "apply")
	require.Zero(t, code, shown)
	here, there, both, twice := opened(t, s, 1), opened(t, s, 1), opened(t, s, 1, 1), opened(t, s, 2)
	harness.Ship(t, s, here.ID, []ghl.Tracking{parcel("1Z0001")})
	harness.ShipInSage(t, s, there.ID, parcel("1Z0002"))
	comes(t, s, here, domain.FulfillmentShipped)
	posted(t, s, there.ID, 1)
	harness.Deliver(t, s, here.ID, "1Z0001")
	harness.InSage(t, s, shop.Act{Deed: shop.ReceiveInSage, OrderID: there.ID})
	for _, order := range []ghl.Order{here, there} {
		row := lifecycle(t, s, order.ID, func(row store.FulfillmentRecord) bool { return row.Closed })
		require.Equal(t, domain.FulfillmentDelivered, row.Lifecycle.State)
	}
	s.Workers[0].Kill()
	harness.Ship(t, s, both.ID, []ghl.Tracking{parcel("1Z0011")}, line(both, 0, 1))
	harness.ShipInSage(t, s, both.ID, parcel("1Z0012"))
	harness.Ship(t, s, twice.ID, []ghl.Tracking{parcel("1Z0021")})
	harness.ShipInSage(t, s, twice.ID, parcel("1Z0021")) // the same parcel, entered on both sides
	require.NoError(t, s.Workers[0].Restart(t.Context()))
	posted(t, s, both.ID, 2)
	posted(t, s, twice.ID, 1)
	comes(t, s, both, domain.FulfillmentShipped)
	comes(t, s, twice, domain.FulfillmentShipped)

	require.Empty(t, team.Told("Workflow:"))
	require.Positive(t, team.deaf.Swap(0), "they were tried to be told")
	for _, order := range []ghl.Order{here, there, both, twice} {
		steps := stepsTold(t, s, order.ID)
		require.NotEmpty(t, steps)
		require.Len(t, team.Told(order.ID), len(steps))
	}
	settled(t, s)
	harness.Agrees(t, s)
}

// deafTeam refuses to be told of anything until it is deaf no longer.
type deafTeam struct {
	*harness.Operators
	URL string
	// deaf counts what was refused, from 1; none is refused once it is 0.
	deaf atomic.Int64
}

func newDeafTeam(t *testing.T) *deafTeam {
	t.Helper()
	team := &deafTeam{Operators: harness.Listen(t)}
	team.deaf.Store(1)
	to, err := url.Parse(team.Operators.URL)
	require.NoError(t, err)
	through := httputil.NewSingleHostReverseProxy(to)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for n := team.deaf.Load(); n > 0; n = team.deaf.Load() {
			if team.deaf.CompareAndSwap(n, n+1) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	team.URL = front.URL
	return team
}

// TestTwoLocationsShipFromOneTenant: two locations book into the same Sage. What people enter there is posted in the
// location whose order it is, and nowhere else.
func TestTwoLocationsShipFromOneTenant(t *testing.T) {
	const second = "Second00Location0Id0"
	s := start(t, stack.Options{
		GHL: ghl.Options{NoLimits: true}, Env: map[string]string{"FULFILLMENT_SYNC_INTERVAL": "1s", "SYNC_INTERVAL": "1s"},
	})
	s.GHL.AddLocation(second, "pit-second")
	public, private := s.Sage.Keys()
	code, output := runWith(t, s, strings.Join([]string{
		"GHL_PRIVATE_TOKEN=pit-second", "SAGE_BASE_URL=" + s.Sage.URL(), "SAGE_PUBLIC_KEY=" + public, "SAGE_PRIVATE_KEY=" + private,
		fmt.Sprint("SAGE_SALES_REP_ID=", s.Sage.APIUser()), "SAGE_REQUESTS_PER_SECOND=100", "SAGE_SETTLE_DELAY=500ms", "GHL_SETTLE_DELAY=1s",
	}, "\n"), "connect", "add", second, "--env-file", "-")
	require.Zero(t, code, output)
	comesTo(t, s, second, store.Active)
	for i, location := range []string{s.Location(), second} {
		here, there := sell(t, s, location, "PHYSICAL", 1), sell(t, s, location, "PHYSICAL", 2)
		for _, order := range []ghl.Order{here, there} {
			comes(t, s, order, domain.FulfillmentCreated)
		}
		harness.Ship(t, s, here.ID, []ghl.Tracking{parcel(fmt.Sprint("1Z000", i))})
		harness.ShipInSage(t, s, there.ID, parcel(fmt.Sprint("1Z001", i)))
		comes(t, s, here, domain.FulfillmentShipped)
		made := posted(t, s, there.ID, 1)[0]
		require.Equal(t, location, made.LocationID)
		require.EqualValues(t, 2, made.Items[0].Qty)
		for _, other := range []string{s.Location(), second} {
			_, found, err := s.Store.Fulfillment(t.Context(), other, there.ID)
			require.NoError(t, err)
			require.Equal(t, other == location, found, "the lifecycle is in the location of the order only")
		}
	}
	require.Len(t, s.GHL.AllFulfillments(), 4)
}

// TestShippingIsTakenUpAndHeldBackBySetting: orders that came into the books before anybody followed their goods are taken
// up when something becomes of them. Under READ_ONLY nothing is written to either side, and everything goes on after it.
func TestShippingIsTakenUpAndHeldBackBySetting(t *testing.T) {
	s := start(t, stack.Options{
		GHL: ghl.Options{NoLimits: true},
		Env: map[string]string{"FULFILLMENTS": "false", "FULFILLMENT_SYNC_INTERVAL": "1s", "SYNC_INTERVAL": "1s"},
	})
	restart := func(name, value string) {
		for _, p := range s.Processes() {
			p.Setenv(name, value)
			require.NoError(t, p.Restart(t.Context()))
		}
	}
	early, late, received, idle := sell(t, s, s.Location(), "PHYSICAL", 1), sell(t, s, s.Location(), "PHYSICAL", 1),
		sell(t, s, s.Location(), "PHYSICAL", 1), sell(t, s, s.Location(), "PHYSICAL", 1)
	eventuallyBooked(t, s, s.Sage, early, late, received, idle)
	harness.Ship(t, s, early.ID, []ghl.Tracking{parcel("1Z0001")})
	require.NoError(t, s.WaitSweep(t.Context()))
	for _, order := range []ghl.Order{early, late, received} {
		require.Empty(t, booked(s, order.ID)[0].Text("Z_FulfillmentStatus"))
		_, found, err := s.Store.Fulfillment(t.Context(), s.Location(), order.ID)
		require.NoError(t, err)
		require.False(t, found)
	}

	restart("FULFILLMENTS", "true")
	comes(t, s, early, domain.FulfillmentShipped)
	harness.ShipInSage(t, s, late.ID, parcel("1Z0002"))
	posted(t, s, late.ID, 1)
	harness.Deliver(t, s, received.ID)
	comes(t, s, received, domain.FulfillmentDelivered)
	settled(t, s)
	require.Empty(t, booked(s, idle.ID)[0].Text("Z_FulfillmentStatus"), "nothing became of it")

	here, there := opened(t, s, 1), opened(t, s, 1)
	restart("READ_ONLY", "true")
	mails := s.GHL.CustomerMails()
	harness.Ship(t, s, here.ID, []ghl.Tracking{parcel("1Z0011")})
	harness.ShipInSage(t, s, there.ID, parcel("1Z0012"))
	waits(t, s, here.ID, activities.ReadOnly)
	waits(t, s, there.ID, activities.ReadOnly)
	require.Equal(t, "created", booked(s, here.ID)[0].Text("Z_FulfillmentStatus"))
	require.Empty(t, s.GHL.Fulfillments(there.ID))
	require.Equal(t, mails+1, s.GHL.CustomerMails(), "that of the person in HighLevel")
	code, shown := run(t, s, "planned")
	require.Zero(t, code, shown)
	require.Contains(t, shown, "/payments/orders/"+there.ID+"/fulfillments")

	restart("READ_ONLY", "false")
	code, shown = run(t, s, "replay", "--kind", string(activities.ReadOnly))
	require.Zero(t, code, shown)
	comes(t, s, here, domain.FulfillmentShipped)
	posted(t, s, there.ID, 1)
}
