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

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/workflows"
)

// TestRecordHistories records the histories that package workflows replays. Run it on the released build only, never on
// a change that is to be checked against them: a change that is recorded together with its own history always agrees.
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
	s := start(t, stack.Options{GHL: ghl.Options{NoLimits: true, Faults: plan}, Env: map[string]string{"SYNC_INTERVAL": "1h"}})
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

// record writes every closed run of our processes, its payloads in the clear.
func record(t *testing.T, s *stack.Stack, folder, release string) {
	t.Helper()
	closed, err := s.Temporal.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("ExecutionStatus != 'Running' AND %s = '%s'", workflows.LocationAttribute.GetName(), s.Location()),
	})
	require.NoError(t, err)
	ring, err := secret.ParseRing(s.Settings()["SECRET_KEYS"])
	require.NoError(t, err)
	counts := map[string]int{}
	for i := len(closed.GetExecutions()) - 1; i >= 0; i-- {
		run := closed.GetExecutions()[i]
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
		name := run.GetType().GetName()
		counts[name]++
		file := fmt.Sprintf("%s-%s-%02d.json", release, strings.ToLower(name), counts[name])
		require.NoError(t, os.WriteFile(filepath.Join(folder, file), append(text, '\n'), 0o600))
	}
	for _, name := range []string{workflows.PaymentToOrderType, workflows.InvoiceToOrderType, workflows.PaymentSweepType} {
		require.GreaterOrEqual(t, counts[name], 3, name)
	}
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
