package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/test/harness"
	"github.com/tallystick/tallystick/workflows"
)

// mostOfOne is how many histories of one process are kept.
const mostOfOne = 8

// TestRecordHistories records the histories that package workflows replays, of those processes of which there are none
// yet. Run it on the released build only, never on a change that is to be checked against them: a change that is recorded
// together with its own history always agrees.
//
//	TALLYSTICK_RECORD=v0.1.0 go test ./test/e2e -run TestRecordHistories
func TestRecordHistories(t *testing.T) {
	release := os.Getenv("TALLYSTICK_RECORD")
	folder := filepath.Join("..", "..", "workflows", "testdata", "replay")
	if release == "" { // nothing is left out: the histories that are there are replayed by package workflows
		recorded, err := filepath.Glob(filepath.Join(folder, "*.json"))
		require.NoError(t, err)
		require.NotEmpty(t, recorded)
		return
	}
	plan := faults.NewPlan(7, faults.None)
	s := start(t, stack.Options{GHL: ghl.Options{NoLimits: true, Faults: plan}, Env: map[string]string{
		"SYNC_INTERVAL": "1h", "FULFILLMENT_SYNC_INTERVAL": "3s", "RECONCILE_INTERVAL": "1h", "WATCHDOG_INTERVAL": "5s",
	}})
	reconcileBooks(t, s, plan)
	goGoods(t, s, plan)
	pauseAndResume(t, s)
	ada := s.GHL.AddContact(ghl.Contact{FirstName: "Ada", LastName: "Byron", Email: "ada@example.com"})

	buy(t, s, ada, domain.NewMoney(2000, "EUR"))
	quiet(t, s)
	later := buy(t, s, ada, domain.NewMoney(3000, "EUR"))
	quiet(t, s)
	require.NoError(t, s.GHL.Refund(s.GHL.Payments(later.ID)[0].ID, domain.NewMoney(1000, "EUR")))
	buy(t, s, ada, domain.NewMoney(2000, "CAD")) // no such currency at Sage: parked
	quiet(t, s)
	plan.Next("ghl.orders.get", faults.Fault{Kind: faults.Status, Status: 503}, faults.Fault{Kind: faults.CutBefore})
	unlucky := buy(t, s, ada, domain.NewMoney(4000, "EUR"))
	for range 5 {
		require.NoError(t, s.GHL.SendEvent("OrderStatusUpdate", unlucky.ID))
	}
	quiet(t, s)
	for _, number := range []string{"INV-2026-0001", "INV-2026-0002", "INV-2026-0003"} {
		invoice(t, s, ada, number)
		quiet(t, s)
	}
	require.NoError(t, os.MkdirAll(folder, 0o755))
	record(t, s, folder, release)
}

// goGoods lets goods go the ways that differ for the process that follows them.
func goGoods(t *testing.T, s *stack.Stack, plan *faults.Plan) {
	t.Helper()
	sent, parts, strange, returned := opened(t, s, 1), opened(t, s, 2), opened(t, s, 1), opened(t, s, 1)
	harness.Ship(t, s, sent.ID, []ghl.Tracking{parcel("1Z0001")})
	harness.Ship(t, s, parts.ID, nil, line(parts, 0, 1))
	people(t, s, strange.ID, map[string]any{"Z_FulfillmentStatus": "on its way"})
	waits(t, s, strange.ID, activities.Invalid)
	comes(t, s, sent, domain.FulfillmentShipped)
	comes(t, s, parts, domain.FulfillmentProcessing)
	plan.Next("ghl.fulfillments.create", faults.Fault{Kind: faults.CutAfter})
	harness.ShipInSage(t, s, parts.ID, parcel("1Z0002"))
	posted(t, s, parts.ID, 2)
	plan.Next("ghl.fulfillments.list", faults.Fault{Kind: faults.Status, Status: 503}, faults.Fault{Kind: faults.TruncatedJSON})
	harness.Deliver(t, s, sent.ID, "1Z0001")
	harness.Deliver(t, s, parts.ID)
	harness.InSage(t, s, shop.Act{Deed: shop.CancelInSage, OrderID: strange.ID})
	require.NoError(t, s.GHL.Refund(s.GHL.Payments(returned.ID)[0].ID, returned.Amount))
	require.NoError(t, s.WaitSweep(t.Context())) // no webhook tells of a refund
	for _, order := range []ghl.Order{sent, parts, strange, returned} {
		lifecycle(t, s, order.ID, func(row store.FulfillmentRecord) bool { return row.Closed })
		stepsTold(t, s, order.ID)
	}
}

// reconcileBooks lets payments and subscriptions into the books in the ways that differ for the process that does so.
func reconcileBooks(t *testing.T, s *stack.Stack, plan *faults.Plan) {
	t.Helper()
	again := func() { require.NoError(t, s.WaitReconciliation(t.Context())) }
	again() // of nothing
	require.NoError(t, shop.NewClub(s.GHL, shop.ClubOptions{Seed: 7, Members: 45}).Run(t.Context()))
	plan.Next("ghl.transactions.list", faults.Fault{Kind: faults.Status, Status: 503})
	plan.Next("sage.sales.create", faults.Fault{Kind: faults.CutAfter}, faults.Fault{Kind: faults.CutBefore})
	again() // customers who are new to Sage
	rows, deals := s.Sage.Live("sales"), s.Sage.Live("opportunities")
	require.NoError(t, s.Sage.PeopleUpdate("sales", rows[0].ID, map[string]any{"total": 1}))
	require.NoError(t, s.Sage.PeopleDelete("sales", rows[1].ID))
	require.NoError(t, s.Sage.PeopleUpdate("opportunities", deals[0].ID, map[string]any{"total": 1}))
	again()
	waiting := s.GHL.AddContact(ghl.Contact{FirstName: "Wim"})
	buy(t, s, waiting, domain.NewMoney(700, "EUR"))
	again() // a payment whose order may be on its way
	for _, command := range [][]string{
		{"sync", "subscriptions", "--deep", "--wait"}, {"sync", "subscriptions", "--again", "--wait"},
		{"backfill", "--from", time.Now().AddDate(-1, 0, 0).Format(time.DateOnly)},
	} {
		code, shown := run(t, s, command...)
		require.Zero(t, code, shown)
	}
}

// pauseAndResume lets a connection change.
func pauseAndResume(t *testing.T, s *stack.Stack) {
	t.Helper()
	comesTo(t, s, s.Location(), store.Active)
	for _, step := range []struct {
		command string
		to      store.ConnectionState
	}{{"pause", store.Paused}, {"resume", store.Active}, {"pause", store.Paused}, {"resume", store.Active}} {
		code, shown := run(t, s, "connect", step.command, s.Location())
		require.Zero(t, code, shown)
		comesTo(t, s, s.Location(), step.to)
	}
}

// quiet waits until nothing runs, parked or not, and a sweep has gone over it.
func quiet(t *testing.T, s *stack.Stack) {
	t.Helper()
	require.NoError(t, s.GHL.WaitWebhooks(t.Context()))
	require.NoError(t, s.WaitSweep(t.Context()))
	require.Eventually(t, func() bool {
		n, err := s.Running(t.Context())
		return err == nil && n == 0
	}, patience, time.Second)
}

// invoice places and pays an order that came from an invoice, whose webhooks name the invoice only.
func invoice(t *testing.T, s *stack.Stack, contact, number string) {
	t.Helper()
	product := s.GHL.AddProduct(ghl.Product{Name: "Advice"})
	price := s.GHL.AddPrice(ghl.Price{ProductID: product, Name: "Hour", Amount: domain.NewMoney(9000, "EUR")})
	order, err := s.GHL.PlaceOrder(ghl.NewOrder{
		ContactID: contact, Currency: "EUR", Lines: []ghl.NewLine{{PriceID: price, Qty: 2}}, InvoiceNumber: number,
	})
	require.NoError(t, err)
	_, err = s.GHL.TakePayment(order.ID, ghl.NewPayment{Amount: domain.NewMoney(9000, "EUR")})
	require.NoError(t, err)
	_, err = s.GHL.TakePayment(order.ID, ghl.NewPayment{})
	require.NoError(t, err)
}

// record writes closed runs of our processes, their payloads in the clear.
func record(t *testing.T, s *stack.Stack, folder, release string) {
	t.Helper()
	closed, err := s.Temporal.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("ExecutionStatus != 'Running' AND (%s = '%s' OR WorkflowType = '%s')",
			workflows.LocationAttribute.GetName(), s.Location(), workflows.WatchdogType),
	})
	require.NoError(t, err)
	ring, err := secret.ParseRing(s.Settings()["SECRET_KEYS"])
	require.NoError(t, err)
	counts, earlier := map[string]int{}, map[string]bool{}
	for _, name := range recordable {
		files, err := filepath.Glob(filepath.Join(folder, "*-"+strings.ToLower(name)+"-*.json"))
		require.NoError(t, err)
		earlier[name] = len(files) > 0
	}
	for i := len(closed.GetExecutions()) - 1; i >= 0; i-- {
		run := closed.GetExecutions()[i]
		name := run.GetType().GetName()
		if counts[name]++; earlier[name] || counts[name] > mostOfOne {
			continue
		}
		history := &historypb.History{}
		events := s.Temporal.GetWorkflowHistory(t.Context(), run.GetExecution().GetWorkflowId(), run.GetExecution().GetRunId(),
			false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			require.NoError(t, err)
			history.Events = append(history.Events, event)
		}
		inTheClear(t, history, ring)
		text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(history)
		require.NoError(t, err)
		file := fmt.Sprintf("%s-%s-%02d.json", release, strings.ToLower(name), counts[name])
		require.NoError(t, os.WriteFile(filepath.Join(folder, file), append(text, '\n'), 0o600))
	}
	for _, name := range recordable {
		require.GreaterOrEqual(t, counts[name], 3, name)
	}
}

// recordable are the processes that TestRecordHistories lets run.
var recordable = []string{
	workflows.PaymentToOrderType, workflows.InvoiceToOrderType, workflows.PaymentSweepType, workflows.ConnectionUpkeepType,
	workflows.FulfillmentType, workflows.FulfillmentSweepType, workflows.SubscriptionReconciliationType, workflows.WatchdogType,
}

func inTheClear(t *testing.T, history *historypb.History, ring *secret.Ring) {
	t.Helper()
	codec := secret.NewCodec(ring)
	require.NoError(t, proxy.VisitPayloads(t.Context(), history, proxy.VisitPayloadsOptions{
		SkipSearchAttributes: true,
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
			return codec.Decode(payloads)
		},
	}))
}
