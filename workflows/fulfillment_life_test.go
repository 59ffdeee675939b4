package workflows_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/store"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/workflows"
)

// world is both vendors' sandboxes, a real store and the real steps between them, with a team that reads what it is told.
// Only the clock is the test environment's, and hints go to it and not through a server.
type world struct {
	ghl   *ghlbox.Server
	sage  *sagebox.Server
	store *store.Store

	read  *activities.GHL
	write *activities.Sage
	books *activities.Ledger
	team  *activities.Teams

	mu    sync.Mutex
	hints []string // those that steps handed to lifecycles, by event
	told  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{ghl: ghlbox.New(ghlbox.Options{NoLimits: true}), sage: sagebox.New(sagebox.Options{})}
	require.NoError(t, w.ghl.Start())
	t.Cleanup(w.ghl.Close)
	require.NoError(t, w.sage.Start())
	t.Cleanup(w.sage.Close)
	var err error
	w.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "tallystick.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.store.Close()) })
	team := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told++
	}))
	t.Cleanup(team.Close)
	w.equip(t, team.URL)
	return w
}

// equip makes the steps.
func (w *world) equip(t *testing.T, team string) {
	t.Helper()
	from, err := ghl.New(ghl.Options{BaseURL: w.ghl.URL(), LocationID: w.ghl.Location(), Limiter: atOnce{},
		Credentials: ghl.StaticToken(w.ghl.Token()), Timeout: 5 * time.Second})
	require.NoError(t, err)
	public, private := w.sage.Keys()
	into, err := sage.New(sage.Options{BaseURL: w.sage.URL(), PublicKey: public, PrivateKey: private, Limiter: atOnce{}, Timeout: 5 * time.Second})
	require.NoError(t, err)
	hook, err := notify.New(team, http.DefaultTransport)
	require.NoError(t, err)
	follow := func(context.Context, string) (activities.FulfillmentSettings, error) {
		return activities.FulfillmentSettings{On: true, NotifyCustomer: true, Settle: time.Millisecond, Activities: true,
			Rules:  domain.FulfillmentRules{WithoutTracking: domain.FulfillmentProcessing},
			Verify: activities.VerifyPartial, VerifyEvery: 24 * time.Hour, Window: 90 * 24 * time.Hour}, nil
	}
	settings := activities.SageSettings{SalesRepID: w.sage.APIUser(), FieldPrefix: sage.ExtraPrefix}
	w.read = &activities.GHL{Store: w.store, Look: w, Fulfillment: follow,
		Client: func(context.Context, string) (*ghl.Client, error) { return from, nil }}
	w.write = &activities.Sage{Store: w.store, Look: w, Fulfillment: follow,
		Client: func(context.Context, string) (*sage.Client, activities.SageSettings, error) {
			return into, settings, nil
		}}
	w.books = &activities.Ledger{Store: w.store, Look: w, Fulfillment: follow}
	w.team = &activities.Teams{Store: w.store, Notify: hook, Steps: domain.FulfillmentStates()}
}

// atOnce holds nobody up.
type atOnce struct{}

func (atOnce) Wait(context.Context) error { return nil }
func (atOnce) Observe(int, http.Header)   {}

func (w *world) LookAtOrder(context.Context, string, string, string) error   { return nil }
func (w *world) LookAtInvoice(context.Context, string, string, string) error { return nil }
func (w *world) LookAtFulfillment(_ context.Context, _, _, event string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hints = append(w.hints, event)
	return nil
}

func (w *world) env() *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	workflows.Register(env)
	for _, steps := range []any{w.read, w.write, w.books, w.team} {
		env.RegisterActivity(steps)
	}
	return env
}

// sell brings a paid order of four pieces into the books, which opens its lifecycle.
func (w *world) sell(t *testing.T) ghlbox.Order {
	t.Helper()
	product := w.ghl.AddProduct(ghlbox.Product{Name: "Mug"})
	placed, err := w.ghl.PlaceOrder(ghlbox.NewOrder{
		ContactID: w.ghl.AddContact(ghlbox.Contact{FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.com"}),
		Currency:  "EUR", Lines: []ghlbox.NewLine{
			{PriceID: w.ghl.AddPrice(ghlbox.Price{ProductID: product, Name: "large", Amount: domain.NewMoney(1995, "EUR")}), Qty: 4},
		},
	})
	require.NoError(t, err)
	_, err = w.ghl.TakePayment(placed.ID, ghlbox.NewPayment{})
	require.NoError(t, err)
	env := w.env()
	w.hints = nil
	env.ExecuteWorkflow(workflows.PaymentToOrder, workflows.PaymentToOrderInput{Location: w.ghl.Location(), OrderID: placed.ID})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []string{activities.FulfillmentOpened}, w.hints, "the lifecycle is handed over, as it is")
	return placed
}

func (w *world) booked(t require.TestingT, order string) sagebox.Order {
	found := w.sage.OrdersByExtID(domain.OrderExtID(order))
	require.Len(t, found, 1)
	return found[0]
}

// TestAnOrderOnItsWayForMonths: people on both sides send goods in parts, set fields back, and say that they arrived, with
// hints in any order and often for nothing. In the end both sides say the same, there is one shipment at HighLevel for each
// that was made, the customer was written to once for the one from Sage, and people know of each step once.
func TestAnOrderOnItsWayForMonths(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(draw *rapid.T) {
		order := w.sell(t)
		mails, told, entered := w.ghl.CustomerMails(), w.told, len(w.sage.Live("activities"))
		env := w.env()
		hint := func(event string) {
			env.SignalWorkflow(workflows.LookSignal, workflows.Hint{Source: workflows.FromSweep, Event: event})
		}
		env.RegisterDelayedCallback(func() { hint(activities.FulfillmentOpened) }, 0)
		acts := []func(){
			func() {
				_, err := w.ghl.Fulfil(order.ID, ghlbox.NewFulfillment{Items: []ghlbox.NewLine{{PriceID: order.Items[0].Price.ID, Qty: 1}}})
				require.NoError(draw, err)
			},
			func() {
				require.NoError(draw, w.sage.PeopleUpdate("salesorders", w.booked(draw, order.ID).ID, map[string]any{
					"Z_FulfillmentStatus": "Shipped", "Z_TrackingNumbers": "1Z 999 (UPS)"}))
			},
			func() {
				require.NoError(draw, w.sage.PeopleUpdate("salesorders", w.booked(draw, order.ID).ID, map[string]any{
					"Z_FulfillmentStatus": "created"}))
			},
			func() {
				require.NoError(draw, w.store.PutDeliveryNews(context.Background(), store.DeliveryNews{
					Location: w.ghl.Location(), OrderID: order.ID, State: domain.FulfillmentDelivered, At: time.Now(), Source: "test"}))
			},
		}
		for i, act := range acts {
			env.RegisterDelayedCallback(func() { act(); hint(activities.FulfillmentChanged) },
				time.Duration(i+1)*month+time.Duration(rapid.IntRange(0, 20*24*60).Draw(draw, "later"))*time.Minute)
		}
		for range rapid.IntRange(0, 6).Draw(draw, "vain hints") {
			env.RegisterDelayedCallback(func() { hint(activities.FulfillmentVerify) },
				time.Duration(rapid.IntRange(0, int(4*month/time.Minute)).Draw(draw, "vain"))*time.Minute)
		}
		env.ExecuteWorkflow(workflows.Fulfillment, workflows.FulfillmentInput{Location: w.ghl.Location(), OrderID: order.ID})
		require.True(draw, env.IsWorkflowCompleted())
		require.NoError(draw, env.GetWorkflowError())
		var status workflows.FulfillmentStatus
		require.NoError(draw, env.GetWorkflowResult(&status))
		require.Equal(draw, domain.FulfillmentDelivered, status.State, status.Reason)
		require.Equal(draw, 1, status.Posted)
		require.Empty(draw, status.Untold)

		booked := w.booked(draw, order.ID)
		require.Equal(draw, "delivered", booked.Fields["Z_FulfillmentStatus"])
		require.Contains(draw, booked.Fields["Z_TrackingNumbers"], "999")
		shipments := w.ghl.Fulfillments(order.ID)
		require.Len(draw, shipments, 2)
		require.EqualValues(draw, 3, shipments[1].Items[0].Qty, "what the first one left")
		require.Equal(draw, mails+1, w.ghl.CustomerMails())
		record, found, err := w.store.Fulfillment(context.Background(), w.ghl.Location(), order.ID)
		require.NoError(draw, err)
		require.True(draw, found && record.Closed)
		steps, err := w.store.FulfillmentSteps(context.Background(), w.ghl.Location(), order.ID)
		require.NoError(draw, err)
		require.NotEmpty(draw, steps)
		require.Equal(draw, told+len(steps), w.told)
		require.Equal(draw, entered+len(steps), len(w.sage.Live("activities")))
	})
}
