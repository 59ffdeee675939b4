package workflows_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/workflows"
)

const (
	location = "location-1"
	order    = "order-1"
)

var input = workflows.PaymentToOrderInput{Location: location, OrderID: order}

// These tests take each branch of the processes on their own, with steps that answer as told. That the steps do what
// they say is shown against the sandbox servers, and the two together against a real Temporal server, elsewhere.

type run struct {
	*testsuite.TestWorkflowEnvironment
	t *testing.T
}

// newRun is a run that must take every step that it is told of.
func newRun(t *testing.T) run {
	t.Helper()
	r := anyRun(t)
	t.Cleanup(func() { r.AssertExpectations(t) })
	return r
}

func anyRun(t *testing.T) run {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	workflows.Register(env)
	env.RegisterActivity(&activities.GHL{})
	env.RegisterActivity(&activities.Sage{})
	env.RegisterActivity(&activities.Ledger{})
	env.RegisterActivity(&activities.Teams{})
	return run{env, t}
}

func (r run) reads(reading activities.OrderReading, err error) *testsuite.MockCallWrapper {
	return r.OnActivity("ReadOrder", mock.Anything, activities.ReadOrderInput{Location: location, OrderID: order}).Return(reading, err)
}

func (r run) brings(result activities.BringOrderResult, err error) *testsuite.MockCallWrapper {
	return r.OnActivity("BringOrder", mock.Anything, mock.Anything).Return(result, err)
}

func (r run) execute() workflows.PaymentToOrderStatus {
	r.t.Helper()
	r.ExecuteWorkflow(workflows.PaymentToOrder, input)
	require.True(r.t, r.IsWorkflowCompleted())
	require.NoError(r.t, r.GetWorkflowError())
	var status workflows.PaymentToOrderStatus
	require.NoError(r.t, r.GetWorkflowResult(&status))
	return status
}

func paid(known bool) activities.OrderReading {
	reading := activities.OrderReading{Sale: domain.Sale{
		Location: location, OrderID: order, Live: true, Currency: "EUR", Total: domain.NewMoney(100, "EUR"),
		Customer: domain.Customer{ContactID: "contact-1"},
	}}
	if known {
		reading.Customer = &activities.CustomerRef{AccountID: 1, ContactID: 2}
	}
	return reading
}

func fault(kind activities.Kind, words string, candidates ...int64) error {
	return temporal.NewNonRetryableApplicationError(words, string(kind), nil,
		activities.FaultDetails{Candidates: candidates, Heals: activities.Rules[kind].Heals})
}

func TestKnownCustomerTakesTwoSteps(t *testing.T) {
	r := newRun(t)
	r.reads(paid(true), nil).Once()
	r.brings(activities.BringOrderResult{Outcome: activities.Created, SageID: 7}, nil).Once()
	status := r.execute()
	require.Equal(t, activities.Created, status.Outcome)
	require.EqualValues(t, 7, status.SageID)
	require.Equal(t, 1, status.Passes)
}

func TestUnknownCustomerIsBroughtFirst(t *testing.T) {
	r := newRun(t)
	r.reads(paid(false), nil).Once()
	r.OnActivity("BringCustomer", mock.Anything, mock.MatchedBy(func(in activities.BringCustomerInput) bool {
		return in.ExtID == domain.ContactExtID("contact-1")
	})).Return(activities.CustomerRef{AccountID: 3, ContactID: 4}, nil).Once()
	r.OnActivity("BringOrder", mock.Anything, mock.MatchedBy(func(in activities.BringOrderInput) bool {
		return in.Customer.AccountID == 3 && in.Customer.ContactID == 4
	})).Return(activities.BringOrderResult{Outcome: activities.Created}, nil).Once()
	r.execute()
}

func TestOrderThatIsKeptOutGoesNoFurther(t *testing.T) {
	for _, why := range []activities.Outcome{activities.NotDue, activities.OtherMode} {
		t.Run(string(why), func(t *testing.T) {
			r := newRun(t)
			r.reads(activities.OrderReading{KeptOut: why}, nil).Once()
			r.OnActivity("Unpark", mock.Anything, mock.Anything).Return(nil).Once()
			require.Equal(t, why, r.execute().Outcome)
		})
	}
}

func TestHintsDuringAPassCauseOneMorePass(t *testing.T) {
	r := newRun(t)
	r.reads(paid(true), nil).After(time.Minute).Twice()
	r.brings(activities.BringOrderResult{Outcome: activities.Updated}, nil).Twice()
	for i := range 10 {
		r.RegisterDelayedCallback(func() {
			r.SignalWorkflow(workflows.LookSignal, workflows.Hint{Source: workflows.FromWebhook})
		}, time.Duration(i+1)*time.Second)
	}
	status := r.execute()
	require.Equal(t, 2, status.Passes)
	require.Equal(t, 10, status.Hints)
}

func TestHintsBeforeTheStartAreOnePass(t *testing.T) {
	r := newRun(t)
	r.reads(paid(true), nil).Once()
	r.brings(activities.BringOrderResult{Outcome: activities.Created}, nil).Once()
	r.RegisterDelayedCallback(func() {
		for range 3 {
			r.SignalWorkflow(workflows.LookSignal, workflows.Hint{})
		}
	}, 0)
	status := r.execute()
	require.Equal(t, 1, status.Passes)
	require.Equal(t, 3, status.Hints)
}

func TestEachFaultThatCannotHealParksWithItsReason(t *testing.T) {
	for kind, rule := range activities.Rules {
		if kind == activities.StaleCustomer {
			continue
		}
		t.Run(string(kind), func(t *testing.T) {
			r := newRun(t)
			r.reads(paid(true), nil).Once()
			r.brings(activities.BringOrderResult{}, fault(kind, "words", 11, 12)).Once()
			r.OnActivity("Park", mock.Anything, activities.ParkInput{
				Location: location, Process: workflows.PaymentToOrderType, ObjectID: order, WorkflowID: "default-test-workflow-id",
				Kind: string(kind), Reason: "words", Candidates: []int64{11, 12}, Heals: rule.Heals,
			}).Return(nil).Once()
			r.OnUpsertTypedSearchAttributes(temporal.NewSearchAttributes(
				workflows.StateAttribute.ValueSet(workflows.StateParked),
				workflows.ParkedAttribute.ValueSet(string(kind)))).Return(nil).Once()
			status := r.execute()
			require.Equal(t, activities.Parked, status.Outcome)
			require.Equal(t, string(kind), status.Kind)
			require.Equal(t, "words", status.Reason)
		})
	}
}

func TestHintAfterParkingGivesAnotherGo(t *testing.T) {
	r := newRun(t)
	r.reads(paid(true), nil).Twice()
	r.brings(activities.BringOrderResult{}, fault(activities.Mapping, "no currency")).Once()
	r.OnActivity("Park", mock.Anything, mock.Anything).After(time.Minute).Return(nil).Once()
	r.brings(activities.BringOrderResult{Outcome: activities.Created, SageID: 9}, nil).Once()
	r.OnActivity("Unpark", mock.Anything, mock.Anything).Return(nil).Once()
	r.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Twice()
	r.RegisterDelayedCallback(func() { r.SignalWorkflow(workflows.LookSignal, workflows.Hint{}) }, time.Second)
	status := r.execute()
	require.Equal(t, activities.Created, status.Outcome)
	require.Empty(t, status.Kind)
	require.Equal(t, 2, status.Passes)
}

func TestStaleCustomerIsBroughtAnewOnce(t *testing.T) {
	r := newRun(t)
	r.reads(paid(true), nil).Once()
	r.brings(activities.BringOrderResult{}, fault(activities.StaleCustomer, "gone")).Once()
	r.OnActivity("BringCustomer", mock.Anything, mock.Anything).Return(activities.CustomerRef{AccountID: 5, ContactID: 6}, nil).Once()
	r.OnActivity("BringOrder", mock.Anything, mock.MatchedBy(func(in activities.BringOrderInput) bool {
		return in.Customer.AccountID == 5
	})).Return(activities.BringOrderResult{Outcome: activities.Created}, nil).Once()
	require.Equal(t, activities.Created, r.execute().Outcome)
}

func TestCustomerThatGoesStaleAgainParks(t *testing.T) {
	r := newRun(t)
	r.reads(paid(true), nil).Once()
	r.brings(activities.BringOrderResult{}, fault(activities.StaleCustomer, "gone")).Twice()
	r.OnActivity("BringCustomer", mock.Anything, mock.Anything).Return(activities.CustomerRef{AccountID: 5, ContactID: 6}, nil).Once()
	r.OnActivity("Park", mock.Anything, mock.Anything).Return(nil).Once()
	r.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Once()
	require.Equal(t, activities.Parked, r.execute().Outcome)
}

func TestPassingFaultIsRetried(t *testing.T) {
	r := newRun(t)
	const attempts = 10 // the test environment gives up after ten, a server never does
	began, calls := r.Now(), 0
	r.OnActivity("ReadOrder", mock.Anything, mock.Anything).Return(
		func(context.Context, activities.ReadOrderInput) (activities.OrderReading, error) {
			if calls++; calls < attempts {
				return activities.OrderReading{}, temporal.NewApplicationError("down", string(activities.Unavailable))
			}
			return paid(true), nil
		})
	r.brings(activities.BringOrderResult{Outcome: activities.Created}, nil).Once()
	require.Equal(t, activities.Created, r.execute().Outcome)
	require.Greater(t, r.Now().Sub(began), 4*time.Minute, "each wait is twice the one before, up to a minute")
}

func TestCancelledOrderIsNotParked(t *testing.T) {
	r := newRun(t)
	r.reads(paid(true), nil).After(time.Hour)
	r.RegisterDelayedCallback(r.CancelWorkflow, time.Minute)
	r.ExecuteWorkflow(workflows.PaymentToOrder, input)
	require.True(t, temporal.IsCanceledError(r.GetWorkflowError()))
}

func TestLongLifeContinuesAsNewWithoutLosingHints(t *testing.T) {
	r := newRun(t)
	r.SetContinueAsNewSuggested(true)
	r.reads(paid(true), nil).After(time.Minute).Once()
	r.brings(activities.BringOrderResult{Outcome: activities.Updated}, nil).Once()
	r.RegisterDelayedCallback(func() { r.SignalWorkflow(workflows.LookSignal, workflows.Hint{}) }, time.Second)
	r.ExecuteWorkflow(workflows.PaymentToOrder, input)
	var next *workflow.ContinueAsNewError
	require.True(t, errors.As(r.GetWorkflowError(), &next), "the hint is the next run's first pass")
	require.Equal(t, workflows.PaymentToOrderType, next.WorkflowType.Name)
}

func TestStatusTellsWhatIsBeingDone(t *testing.T) {
	r := newRun(t)
	r.reads(paid(true), nil).After(time.Minute).Once()
	r.brings(activities.BringOrderResult{Outcome: activities.Created, SageID: 3}, nil).After(time.Minute).Once()
	ask := func() workflows.PaymentToOrderStatus {
		value, err := r.QueryWorkflow(workflows.StatusQuery)
		require.NoError(t, err)
		var status workflows.PaymentToOrderStatus
		require.NoError(t, value.Get(&status))
		return status
	}
	r.RegisterDelayedCallback(func() { require.Contains(t, ask().Step, "HighLevel") }, 30*time.Second)
	r.RegisterDelayedCallback(func() { require.Contains(t, ask().Step, "Sage") }, 90*time.Second)
	r.execute()
	require.Empty(t, ask().Step)
	require.EqualValues(t, 3, ask().SageID)
}
