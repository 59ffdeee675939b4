package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

func TestInvoiceThatHasItsOrderIsDoneAtOnce(t *testing.T) {
	r := newRun(t)
	r.OnActivity("LookAtOrdersOfInvoice", mock.Anything, activities.InvoiceInput{Location: location, InvoiceID: "inv"}).
		Return([]string{order}, nil).Once()
	r.ExecuteWorkflow(workflows.InvoiceToOrder, workflows.InvoiceToOrderInput{Location: location, InvoiceID: "inv"})
	require.NoError(t, r.GetWorkflowError())
}

func TestInvoiceWaitsForItsOrderAndGivesUpToTheSweep(t *testing.T) {
	r := newRun(t)
	r.OnActivity("LookAtOrdersOfInvoice", mock.Anything, mock.Anything).Return(nil, nil).Times(5)
	began := r.Now()
	r.ExecuteWorkflow(workflows.InvoiceToOrder, workflows.InvoiceToOrderInput{Location: location, InvoiceID: "inv"})
	require.NoError(t, r.GetWorkflowError())
	require.Greater(t, r.Now().Sub(began), time.Hour)
}

func TestInvoiceHintDuringALookCausesAnother(t *testing.T) {
	r := newRun(t)
	r.OnActivity("LookAtOrdersOfInvoice", mock.Anything, mock.Anything).After(time.Minute).Return([]string{order}, nil).Twice()
	r.RegisterDelayedCallback(func() { r.SignalWorkflow(workflows.LookSignal, workflows.Hint{}) }, time.Second)
	r.ExecuteWorkflow(workflows.InvoiceToOrder, workflows.InvoiceToOrderInput{Location: location, InvoiceID: "inv"})
	require.NoError(t, r.GetWorkflowError())
}

func TestInvoiceHintCutsTheWaitShort(t *testing.T) {
	r := newRun(t)
	r.OnActivity("LookAtOrdersOfInvoice", mock.Anything, mock.Anything).Return(nil, nil).Once()
	r.OnActivity("LookAtOrdersOfInvoice", mock.Anything, mock.Anything).Return([]string{order}, nil).Once()
	r.RegisterDelayedCallback(func() { r.SignalWorkflow(workflows.LookSignal, workflows.Hint{}) }, time.Second)
	began := r.Now()
	r.ExecuteWorkflow(workflows.InvoiceToOrder, workflows.InvoiceToOrderInput{Location: location, InvoiceID: "inv"})
	require.NoError(t, r.GetWorkflowError())
	require.Less(t, r.Now().Sub(began), 5*time.Second)
}

// swept prepares a sweep of two pages of transactions and one of orders.
func swept(r run) {
	window := activities.SweepWindow{From: time.Unix(100, 0).UTC(), To: time.Unix(200, 0).UTC()}
	r.OnActivity("OpenWindow", mock.Anything, mock.Anything).Return(window, nil).Maybe()
	page := func(kind activities.SweepKind, offset int, result activities.SweepPage) {
		r.OnActivity("Sweep", mock.Anything, activities.SweepInput{
			Location: location, Kind: kind, Window: window, At: ghl.Cursor{Offset: offset},
		}).Return(result, nil).Maybe()
	}
	page(activities.SweepTransactions, 0, activities.SweepPage{Rows: 100, Looks: 3, Next: ghl.Cursor{Offset: 100}})
	page(activities.SweepTransactions, 100, activities.SweepPage{Rows: 20, Looks: 1, Done: true})
	page(activities.SweepOrders, 0, activities.SweepPage{Rows: 5, Looks: 0, Done: true})
}

func TestSweepGoesThroughEveryPageAndMovesTheCursorLast(t *testing.T) {
	r := newRun(t)
	swept(r)
	r.OnActivity("RetryParked", mock.Anything, activities.LocationInput{Location: location}).Return(2, nil).Once()
	r.OnActivity("CloseWindow", mock.Anything, mock.Anything).Return(nil).Once()
	r.ExecuteWorkflow(workflows.PaymentSweep, workflows.PaymentSweepInput{Location: location})
	require.NoError(t, r.GetWorkflowError())
	var progress workflows.SweepProgress
	require.NoError(t, r.GetWorkflowResult(&progress))
	require.Equal(t, 125, progress.Rows)
	require.Equal(t, 6, progress.Looks)
}

func TestSweepThatFailsLeavesTheCursor(t *testing.T) {
	r := newRun(t)
	r.OnActivity("OpenWindow", mock.Anything, mock.Anything).Return(activities.SweepWindow{}, nil).Once()
	r.OnActivity("Sweep", mock.Anything, mock.Anything).Return(activities.SweepPage{}, fault(activities.Unauthorized, "no")).Once()
	r.ExecuteWorkflow(workflows.PaymentSweep, workflows.PaymentSweepInput{Location: location})
	require.Error(t, r.GetWorkflowError())
}

// TestSweepOfAConnectionThatDoesNotWorkIsNoFailure: the cursor stays, so that the next sweep covers the same time.
func TestSweepOfAConnectionThatDoesNotWorkIsNoFailure(t *testing.T) {
	for _, kind := range []activities.Kind{activities.Reconnect, activities.Paused} {
		r := newRun(t)
		r.OnActivity("OpenWindow", mock.Anything, mock.Anything).Return(activities.SweepWindow{}, nil).Once()
		r.OnActivity("Sweep", mock.Anything, mock.Anything).Return(activities.SweepPage{}, fault(kind, "no")).Once()
		r.ExecuteWorkflow(workflows.PaymentSweep, workflows.PaymentSweepInput{Location: location})
		require.NoError(t, r.GetWorkflowError())
		var progress workflows.SweepProgress
		require.NoError(t, r.GetWorkflowResult(&progress))
		require.Equal(t, string(kind), progress.Stopped)
	}
}

func TestInvoiceThatCannotBeLookedForIsParked(t *testing.T) {
	require.Equal(t, workflows.InvoiceToOrderType, store.InvoiceToOrder)
	for kind, heals := range map[activities.Kind]bool{activities.Reconnect: true, activities.Unauthorized: true, activities.Invalid: false} {
		r := newRun(t)
		r.OnActivity("LookAtOrdersOfInvoice", mock.Anything, mock.Anything).Return(nil, fault(kind, "no")).Once()
		r.OnActivity("Park", mock.Anything, activities.ParkInput{
			Location: location, Process: workflows.InvoiceToOrderType, ObjectID: "inv", WorkflowID: "default-test-workflow-id",
			Kind: string(kind), Reason: "no", Heals: heals,
		}).Return(nil).Once()
		r.ExecuteWorkflow(workflows.InvoiceToOrder, workflows.InvoiceToOrderInput{Location: location, InvoiceID: "inv"})
		require.NoError(t, r.GetWorkflowError())
	}
}

func TestLongSweepGoesOnWhereItWas(t *testing.T) {
	r := newRun(t)
	r.SetContinueAsNewSuggested(true)
	swept(r)
	r.ExecuteWorkflow(workflows.PaymentSweep, workflows.PaymentSweepInput{Location: location})
	var next *workflow.ContinueAsNewError
	require.True(t, errors.As(r.GetWorkflowError(), &next))

	var in workflows.PaymentSweepInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	require.Equal(t, 100, in.Resume.At.Offset)

	resumed := newRun(t)
	swept(resumed)
	resumed.OnActivity("RetryParked", mock.Anything, mock.Anything).Return(0, nil).Once()
	resumed.OnActivity("CloseWindow", mock.Anything, mock.Anything).Return(nil).Once()
	resumed.ExecuteWorkflow(workflows.PaymentSweep, in)
	require.NoError(t, resumed.GetWorkflowError())
	var progress workflows.SweepProgress
	require.NoError(t, resumed.GetWorkflowResult(&progress))
	require.Equal(t, 125, progress.Rows)
}

// sweptShipments prepares a sweep of two bunches of pages at HighLevel, and of Sage.
func sweptShipments(r run) {
	window := activities.FulfillmentWindow{From: time.Unix(100, 0).UTC(), To: time.Unix(200, 0).UTC(), SageSince: time.Unix(150, 0).UTC()}
	r.OnActivity("OpenFulfillmentWindow", mock.Anything, mock.MatchedBy(func(in activities.OpenFulfillmentWindowInput) bool {
		return in.Location == location && in.Now.Equal(r.Now())
	})).Return(window, nil).Maybe()
	pages := func(offset int, result activities.SweepPage) {
		r.OnActivity("SweepFulfillments", mock.Anything, activities.SweepFulfillmentsInput{
			Location: location, Window: window, At: ghl.Cursor{Offset: offset},
		}).Return(result, nil).Maybe()
	}
	pages(0, activities.SweepPage{Rows: 500, Looks: 3, Next: ghl.Cursor{Offset: 500}})
	pages(500, activities.SweepPage{Rows: 20, Looks: 1, Done: true})
	r.OnActivity("SweepSageOrders", mock.Anything, activities.SweepSageOrdersInput{Location: location, Window: window}).
		Return(activities.SageSweep{Rows: 7, Looks: 2, Newest: time.Unix(190, 0).UTC()}, nil).Maybe()
	r.OnActivity("CloseFulfillmentWindow", mock.Anything, activities.CloseFulfillmentWindowInput{
		Location: location, Window: window, Newest: time.Unix(190, 0).UTC(),
	}).Return(nil).Maybe()
}

func (r run) sweepsShipments(in workflows.FulfillmentSweepInput) workflows.FulfillmentSweepProgress {
	r.t.Helper()
	r.ExecuteWorkflow(workflows.FulfillmentSweep, in)
	require.NoError(r.t, r.GetWorkflowError())
	var progress workflows.FulfillmentSweepProgress
	require.NoError(r.t, r.GetWorkflowResult(&progress))
	return progress
}

func TestASweepOfShipmentsLooksAtBothSidesAndThenAtTheClock(t *testing.T) {
	r := newRun(t)
	sweptShipments(r)
	r.OnActivity("RemindFulfillments", mock.Anything, mock.Anything).
		Return(activities.Reminders{Verify: 1, Delivery: 1, Expired: 1}, nil).Once()
	progress := r.sweepsShipments(workflows.FulfillmentSweepInput{Location: location})
	require.Equal(t, 527, progress.Rows)
	require.Equal(t, 9, progress.Looks)
	r.AssertCalled(t, "CloseFulfillmentWindow", mock.Anything, mock.Anything)
}

func TestWhereShipmentsAreNotFollowedNothingIsSwept(t *testing.T) {
	r := newRun(t)
	r.OnActivity("OpenFulfillmentWindow", mock.Anything, mock.Anything).Return(activities.FulfillmentWindow{Off: true}, nil).Once()
	require.Zero(t, r.sweepsShipments(workflows.FulfillmentSweepInput{Location: location}).Rows)
}

// TestASweepOfShipmentsThatFailsLeavesTheCursor, whichever side fails; it is no failure where the connection does not work.
func TestASweepOfShipmentsThatFailsLeavesTheCursor(t *testing.T) {
	for kind, resting := range map[activities.Kind]bool{
		activities.Reconnect: true, activities.Paused: true, activities.Unauthorized: false, activities.Forbidden: false,
	} {
		for _, step := range []string{"SweepFulfillments", "SweepSageOrders"} {
			r := newRun(t)
			r.OnActivity("OpenFulfillmentWindow", mock.Anything, mock.Anything).Return(activities.FulfillmentWindow{}, nil).Once()
			if step == "SweepFulfillments" {
				r.OnActivity(step, mock.Anything, mock.Anything).Return(activities.SweepPage{}, fault(kind, "no")).Once()
			} else {
				r.OnActivity("SweepFulfillments", mock.Anything, mock.Anything).Return(activities.SweepPage{Done: true}, nil).Once()
				r.OnActivity(step, mock.Anything, mock.Anything).Return(activities.SageSweep{}, fault(kind, "no")).Once()
			}
			r.ExecuteWorkflow(workflows.FulfillmentSweep, workflows.FulfillmentSweepInput{Location: location})
			if !resting {
				require.ErrorContains(t, r.GetWorkflowError(), "no")
				continue
			}
			require.NoError(t, r.GetWorkflowError())
			var progress workflows.FulfillmentSweepProgress
			require.NoError(t, r.GetWorkflowResult(&progress))
			require.Equal(t, string(kind), progress.Stopped)
		}
	}
}

func TestALongSweepOfShipmentsGoesOnWhereItWas(t *testing.T) {
	r := newRun(t)
	r.SetContinueAsNewSuggested(true)
	sweptShipments(r)
	r.ExecuteWorkflow(workflows.FulfillmentSweep, workflows.FulfillmentSweepInput{Location: location})
	var next *workflow.ContinueAsNewError
	require.True(t, errors.As(r.GetWorkflowError(), &next))
	var in workflows.FulfillmentSweepInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	require.Equal(t, 500, in.Resume.At.Offset)

	resumed := newRun(t)
	sweptShipments(resumed)
	resumed.OnActivity("RemindFulfillments", mock.Anything, mock.Anything).Return(activities.Reminders{}, nil).Once()
	require.Equal(t, 527, resumed.sweepsShipments(in).Rows)
}
