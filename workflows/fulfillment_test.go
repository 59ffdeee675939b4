package workflows_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

const month = 30 * 24 * time.Hour

var lifecycle = workflows.FulfillmentInput{Location: location, OrderID: order}

// follows lets a lifecycle run to its end.
func (r run) follows(in workflows.FulfillmentInput) workflows.FulfillmentStatus {
	r.t.Helper()
	r.ExecuteWorkflow(workflows.Fulfillment, in)
	require.True(r.t, r.IsWorkflowCompleted())
	require.NoError(r.t, r.GetWorkflowError())
	var status workflows.FulfillmentStatus
	require.NoError(r.t, r.GetWorkflowResult(&status))
	require.Empty(r.t, status.Step)
	require.Empty(r.t, status.Telling)
	return status
}

// hint gives one after a while.
func (r run) hint(after time.Duration, event string) {
	r.RegisterDelayedCallback(func() {
		r.SignalWorkflow(workflows.LookSignal, workflows.Hint{Source: workflows.FromSweep, Event: event})
	}, after)
}

func (r run) readsShipments(reading activities.FulfillmentReading, err error) *testsuite.MockCallWrapper {
	return r.OnActivity("ReadFulfillment", mock.Anything, activities.FulfillmentInput{Location: location, OrderID: order}).Return(reading, err)
}

func (r run) bringsShipments(state domain.FulfillmentState, steps ...string) *testsuite.MockCallWrapper {
	return r.OnActivity("BringFulfillment", mock.Anything, mock.Anything).Return(activities.BringFulfillmentResult{
		Outcome: activities.Updated, State: state, Closed: state.Final(), Steps: steps,
	}, nil)
}

// tells expects people to be told of the steps, each once and in their order.
func (r run) tells(steps ...string) {
	for _, way := range []string{"EnterStep", "TellTeam"} {
		for _, step := range steps {
			r.OnActivity(way, mock.Anything, activities.StepInput{Location: location, OrderID: order, Key: step}).Return(nil).Once()
		}
	}
}

func (r run) status() workflows.FulfillmentStatus {
	r.t.Helper()
	value, err := r.QueryWorkflow(workflows.StatusQuery)
	require.NoError(r.t, err)
	var status workflows.FulfillmentStatus
	require.NoError(r.t, value.Get(&status))
	return status
}

// TestALifecycleWaitsForMonthsWithoutATimer: from the opening to the door, each piece of news makes one pass.
func TestALifecycleWaitsForMonthsWithoutATimer(t *testing.T) {
	require.Equal(t, workflows.FulfillmentType, store.Fulfillment)
	r := newRun(t)
	r.SetOnTimerScheduledListener(func(string, time.Duration) { t.Error("a lifecycle that waits has a timer") })
	r.readsShipments(activities.FulfillmentReading{}, nil).Times(3)
	r.bringsShipments(domain.FulfillmentProcessing, "processing/f1").Once()
	r.bringsShipments(domain.FulfillmentShipped, "shipped/f1").Once()
	r.bringsShipments(domain.FulfillmentDelivered, "delivered").Once()
	r.tells("processing/f1", "shipped/f1", "delivered")
	began := r.Now()
	r.hint(0, activities.FulfillmentOpened)
	r.RegisterDelayedCallback(func() { require.Zero(t, r.status().Passes, "what was just opened is known") }, time.Hour)
	r.hint(month, activities.FulfillmentChanged)
	r.hint(2*month, activities.FulfillmentChanged)
	r.hint(3*month, activities.FulfillmentDelivery)
	status := r.follows(lifecycle)
	require.Equal(t, domain.FulfillmentDelivered, status.State)
	require.True(t, status.Closed)
	require.Equal(t, 3, status.Passes)
	require.Equal(t, 4, status.Hints)
	require.GreaterOrEqual(t, r.Now().Sub(began), 3*month)
}

func TestALifecycleThatIsStartedByHandLooks(t *testing.T) {
	r := newRun(t)
	r.readsShipments(activities.FulfillmentReading{}, nil).Once()
	r.bringsShipments(domain.FulfillmentDelivered).Once()
	require.Equal(t, 1, r.follows(lifecycle).Passes)
}

func TestAHintThatIsNoneIsFollowedAsWell(t *testing.T) {
	r := newRun(t)
	r.readsShipments(activities.FulfillmentReading{}, nil).Once()
	r.bringsShipments(domain.FulfillmentDelivered).Once()
	r.hint(0, activities.FulfillmentOpened)
	r.RegisterDelayedCallback(func() { r.SignalWorkflow(workflows.LookSignal, "typed by hand") }, time.Hour)
	require.Equal(t, 2, r.follows(lifecycle).Hints)
}

func TestHintsDuringAPassOfALifecycleCauseOneMore(t *testing.T) {
	r := newRun(t)
	r.readsShipments(activities.FulfillmentReading{}, nil).After(time.Minute).Twice()
	r.bringsShipments(domain.FulfillmentDelivered).Twice()
	for i := range 10 {
		r.hint(time.Duration(i+1)*time.Second, activities.FulfillmentChanged)
	}
	status := r.follows(lifecycle)
	require.Equal(t, 2, status.Passes, "the one that closed it, and one for what came meanwhile")
	require.Equal(t, 10, status.Hints)
}

// TestWhatPeopleInSageSentIsPostedAndLookedAtAgain is the way from Sage to HighLevel.
func TestWhatPeopleInSageSentIsPostedAndLookedAtAgain(t *testing.T) {
	r := newRun(t)
	plan := domain.ShipmentPlan{
		Items:     []domain.ShippedItem{{PriceID: "p1", Quantity: 2}},
		Trackings: []domain.Tracking{{Number: "1Z999"}},
	}
	before := activities.FulfillmentReading{Word: "unfulfilled"}
	after := activities.FulfillmentReading{Word: "fulfilled", Shipments: []domain.Shipment{{ID: "f1"}}}
	r.readsShipments(before, nil).Once()
	r.OnActivity("BringFulfillment", mock.Anything, activities.BringFulfillmentInput{Location: location, OrderID: order, Reading: before}).
		Return(activities.BringFulfillmentResult{Outcome: activities.Unchanged, State: domain.FulfillmentCreated, Ship: &plan}, nil).Once()
	r.OnActivity("PostShipment", mock.Anything, activities.PostShipmentInput{Location: location, OrderID: order, Plan: plan}).
		Return(activities.PostShipmentResult{Shipment: domain.Shipment{ID: "f1"}, Posted: true}, nil).Once()
	r.readsShipments(after, nil).Once()
	r.OnActivity("BringFulfillment", mock.Anything, activities.BringFulfillmentInput{Location: location, OrderID: order, Reading: after}).
		Return(activities.BringFulfillmentResult{Outcome: activities.Updated, State: domain.FulfillmentDelivered, Closed: true}, nil).Once()
	status := r.follows(lifecycle)
	require.Equal(t, 1, status.Passes)
	require.Equal(t, 1, status.Posted)
}

// TestShipmentsWithoutEndPark: the customer gets an e-mail for each of them.
func TestShipmentsWithoutEndPark(t *testing.T) {
	r := newRun(t)
	posted := 0
	r.readsShipments(activities.FulfillmentReading{}, nil)
	r.OnActivity("BringFulfillment", mock.Anything, mock.Anything).Return(
		func(context.Context, activities.BringFulfillmentInput) (activities.BringFulfillmentResult, error) {
			if posted < 5 {
				return activities.BringFulfillmentResult{Outcome: activities.Unchanged, Ship: &domain.ShipmentPlan{}}, nil
			}
			return activities.BringFulfillmentResult{Outcome: activities.Updated, State: domain.FulfillmentDelivered, Closed: true}, nil
		})
	r.OnActivity("PostShipment", mock.Anything, mock.Anything).Return(
		func(context.Context, activities.PostShipmentInput) (activities.PostShipmentResult, error) {
			posted++
			return activities.PostShipmentResult{Posted: true}, nil
		})
	r.OnActivity("Park", mock.Anything, mock.MatchedBy(func(in activities.ParkInput) bool {
		return in.Kind == string(activities.Mismatch) && in.Heals && in.Process == workflows.FulfillmentType
	})).Return(nil).Once()
	r.hint(time.Hour, "retry")
	require.Equal(t, 5, r.follows(lifecycle).Posted)
}

// TestAParkedLifecycleWaitsOn for each kind of fault that cannot heal by waiting, and goes on with any hint.
func TestAParkedLifecycleWaitsOn(t *testing.T) {
	for kind, rule := range activities.Rules {
		t.Run(string(kind), func(t *testing.T) {
			r := newRun(t)
			r.readsShipments(activities.FulfillmentReading{}, nil).Twice()
			r.OnActivity("BringFulfillment", mock.Anything, mock.Anything).
				Return(activities.BringFulfillmentResult{}, fault(kind, "words", 11)).Once()
			r.OnActivity("Park", mock.Anything, activities.ParkInput{
				Location: location, Process: workflows.FulfillmentType, ObjectID: order, WorkflowID: "default-test-workflow-id",
				Kind: string(kind), Reason: "words", Candidates: []int64{11}, Heals: rule.Heals,
			}).Return(nil).Once()
			r.OnUpsertTypedSearchAttributes(temporal.NewSearchAttributes(
				workflows.StateAttribute.ValueSet(workflows.StateParked),
				workflows.ParkedAttribute.ValueSet(string(kind)))).Return(nil).Once()
			r.RegisterDelayedCallback(func() {
				status := r.status()
				require.Equal(t, activities.Parked, status.Outcome)
				require.Equal(t, string(kind), status.Kind)
				require.Equal(t, "words", status.Reason)
			}, time.Hour)
			r.hint(month, "retry")
			r.bringsShipments(domain.FulfillmentDelivered).Once()
			r.OnUpsertTypedSearchAttributes(temporal.NewSearchAttributes(
				workflows.StateAttribute.ValueSet(string(domain.FulfillmentDelivered)),
				workflows.ParkedAttribute.ValueUnset())).Return(nil).Once()
			status := r.follows(lifecycle)
			require.Empty(t, status.Kind)
			require.Equal(t, 2, status.Passes)
		})
	}
}

// TestTheStateIsShownOnlyWhenItChanges, since every time it is written costs something.
func TestTheStateIsShownOnlyWhenItChanges(t *testing.T) {
	r := newRun(t)
	require.NoError(t, r.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(
		workflows.StateAttribute.ValueSet(string(domain.FulfillmentCreated)))))
	r.readsShipments(activities.FulfillmentReading{}, nil)
	r.bringsShipments(domain.FulfillmentCreated).Twice()
	r.bringsShipments(domain.FulfillmentShipped).Twice()
	r.bringsShipments(domain.FulfillmentDelivered).Once()
	for _, state := range []domain.FulfillmentState{domain.FulfillmentShipped, domain.FulfillmentDelivered} {
		r.OnUpsertTypedSearchAttributes(temporal.NewSearchAttributes(workflows.StateAttribute.ValueSet(string(state)))).Return(nil).Once()
	}
	for i := range 4 {
		r.hint(time.Duration(i+1)*time.Hour, activities.FulfillmentVerify)
	}
	require.Equal(t, 5, r.follows(lifecycle).Passes)
}

func TestWhatHasNoLifecycleEndsAtOnce(t *testing.T) {
	for _, why := range []activities.Outcome{activities.NotDue, activities.OtherMode} {
		for _, from := range []string{"HighLevel", "the books"} {
			t.Run(string(why)+" by "+from, func(t *testing.T) {
				r := newRun(t)
				reading := activities.FulfillmentReading{}
				if from == "HighLevel" {
					reading.KeptOut = why
				} else {
					r.OnActivity("BringFulfillment", mock.Anything, mock.Anything).
						Return(activities.BringFulfillmentResult{Outcome: why}, nil).Once()
				}
				r.readsShipments(reading, nil).Once()
				r.OnActivity("Unpark", mock.Anything, activities.UnparkInput{
					Location: location, Process: workflows.FulfillmentType, ObjectID: order,
				}).Return(nil).Once()
				require.Equal(t, why, r.follows(lifecycle).Outcome)
			})
		}
	}
}

func TestACancelledLifecycleIsNotParked(t *testing.T) {
	for name, when := range map[string]time.Duration{"during a pass": time.Minute, "while it waits": 3 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t)
			r.readsShipments(activities.FulfillmentReading{}, nil).After(time.Hour).Maybe()
			r.bringsShipments(domain.FulfillmentShipped).Maybe()
			r.RegisterDelayedCallback(r.CancelWorkflow, when)
			r.ExecuteWorkflow(workflows.Fulfillment, lifecycle)
			require.True(t, temporal.IsCanceledError(r.GetWorkflowError()))
		})
	}
}

// TestABrokenNotifierHoldsUpNothing: neither passes nor entries in Sage. The lifecycle ends once a day's patience is over.
func TestABrokenNotifierHoldsUpNothing(t *testing.T) {
	r := newRun(t)
	r.readsShipments(activities.FulfillmentReading{}, nil).Twice()
	r.bringsShipments(domain.FulfillmentShipped, "shipped/f1").Once()
	r.bringsShipments(domain.FulfillmentDelivered, "shipped/f1", "delivered").Once()
	var entered []string
	r.OnActivity("EnterStep", mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.StepInput) error {
		entered = append(entered, in.Key)
		return nil
	}).Twice()
	began := r.Now()
	r.OnActivity("TellTeam", mock.Anything, mock.Anything).
		Return(temporal.NewApplicationError("the service for messages is away", string(activities.Unavailable)))
	r.hint(time.Minute, activities.FulfillmentDelivery)
	r.RegisterDelayedCallback(func() {
		status := r.status()
		require.True(t, status.Closed)
		require.Equal(t, "telling people", status.Step)
		require.Equal(t, []string{"shipped/f1", "delivered"}, status.Telling.Tell)
		require.Equal(t, []string{"shipped/f1", "delivered"}, entered)
	}, 2*time.Minute)
	status := r.follows(lifecycle)
	require.NotEmpty(t, status.Untold)
	require.Equal(t, []string{"shipped/f1", "delivered"}, entered, "once, though both passes named one of them")
	require.Less(t, r.Now().Sub(began), 49*time.Hour)
}

// TestAHintWhilePeopleAreToldIsFollowed: the end of a lifecycle is no time at which something may be lost.
func TestAHintWhilePeopleAreToldIsFollowed(t *testing.T) {
	r := newRun(t)
	r.readsShipments(activities.FulfillmentReading{}, nil).Twice()
	r.bringsShipments(domain.FulfillmentDelivered, "delivered").Twice()
	r.OnActivity("EnterStep", mock.Anything, mock.Anything).After(time.Hour).Return(nil).Once()
	r.OnActivity("TellTeam", mock.Anything, mock.Anything).Return(nil).Once()
	r.hint(time.Minute, activities.FulfillmentChanged)
	require.Equal(t, 2, r.follows(lifecycle).Passes)
}

// TestALongLifecycleContinuesAsNewWithAllThatIsLeft: the hint that no pass followed yet and the steps that nobody was told
// of; and the next run does just that.
func TestALongLifecycleContinuesAsNewWithAllThatIsLeft(t *testing.T) {
	r := newRun(t)
	r.SetContinueAsNewSuggested(true)
	r.readsShipments(activities.FulfillmentReading{}, nil).Once()
	r.bringsShipments(domain.FulfillmentShipped, "processing/f1", "shipped/f1").After(time.Minute).Once()
	r.OnActivity("EnterStep", mock.Anything, mock.Anything).After(time.Hour).Return(nil).Maybe()
	r.hint(time.Second, activities.FulfillmentChanged)
	r.ExecuteWorkflow(workflows.Fulfillment, lifecycle)
	var next *workflow.ContinueAsNewError
	require.True(t, errors.As(r.GetWorkflowError(), &next), r.GetWorkflowError())
	require.Equal(t, workflows.FulfillmentType, next.WorkflowType.Name)
	var in workflows.FulfillmentInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	require.Equal(t, location, in.Location)
	require.True(t, in.Resume.Look)
	require.Equal(t, []string{"processing/f1", "shipped/f1"}, append(in.Resume.Telling.Tell, in.Resume.Telling.Enter...))

	resumed := newRun(t)
	resumed.readsShipments(activities.FulfillmentReading{}, nil).Once()
	resumed.bringsShipments(domain.FulfillmentDelivered, "processing/f1", "shipped/f1", "delivered").Once()
	resumed.tells("processing/f1", "shipped/f1", "delivered")
	require.Equal(t, 1, resumed.follows(in).Passes)
}

func TestARunThatResumesWithNothingLeftWaits(t *testing.T) {
	r := newRun(t)
	r.readsShipments(activities.FulfillmentReading{}, nil).Once()
	r.bringsShipments(domain.FulfillmentDelivered).Once()
	r.RegisterDelayedCallback(func() { require.Zero(t, r.status().Passes) }, time.Hour)
	r.hint(month, activities.FulfillmentChanged)
	in := lifecycle
	in.Resume = &workflows.FulfillmentLeft{}
	require.Equal(t, 1, r.follows(in).Passes)
}

func TestTheStatusTellsWhatIsBeingDone(t *testing.T) {
	r := newRun(t)
	r.readsShipments(activities.FulfillmentReading{}, nil).After(time.Minute).Once()
	r.bringsShipments(domain.FulfillmentDelivered, "delivered").After(time.Minute).Once()
	r.OnActivity("EnterStep", mock.Anything, mock.Anything).After(time.Minute).Return(nil).Once()
	r.OnActivity("TellTeam", mock.Anything, mock.Anything).After(time.Minute).Return(nil).Once()
	r.RegisterDelayedCallback(func() { require.Contains(t, r.status().Step, "HighLevel") }, 30*time.Second)
	r.RegisterDelayedCallback(func() { require.Contains(t, r.status().Step, "Sage") }, 90*time.Second)
	r.RegisterDelayedCallback(func() { require.Equal(t, []string{"delivered"}, r.status().Telling.Enter) }, 150*time.Second)
	r.RegisterDelayedCallback(func() { require.Equal(t, []string{"delivered"}, r.status().Telling.Tell) }, 210*time.Second)
	r.follows(lifecycle)
}

// parcel is where the goods of an order really are, and what of that the steps have written down.
type parcel struct {
	mu            sync.Mutex
	at, written   int
	faults        []bool // of the readings to come
	entered, told []domain.FulfillmentState
}

var journey = []domain.FulfillmentState{
	domain.FulfillmentCreated, domain.FulfillmentProcessing, domain.FulfillmentShipped, domain.FulfillmentDelivered,
}

// bring writes down where the goods are, and names the steps that people have not been told of.
func (p *parcel) bring(context.Context, activities.BringFulfillmentInput) (activities.BringFulfillmentResult, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written = max(p.written, p.at)
	result := activities.BringFulfillmentResult{Outcome: activities.Updated, State: journey[p.written]}
	result.Closed = result.State.Final()
	for _, state := range journey[1 : p.written+1] {
		if !slices.Contains(p.told, state) {
			result.Steps = append(result.Steps, string(state))
		}
	}
	return result, nil
}

func (p *parcel) read(context.Context, activities.FulfillmentInput) (activities.FulfillmentReading, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.faults) > 0 {
		faulty := p.faults[0]
		p.faults = p.faults[1:]
		if faulty {
			return activities.FulfillmentReading{}, fault(activities.Invalid, "words")
		}
	}
	return activities.FulfillmentReading{}, nil
}

// happen lets an event happen. After the last one the goods are there, and nothing fails any more.
func (p *parcel) happen(e event, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.moves {
		p.at = min(p.at+1, len(journey)-1)
	}
	if last {
		p.at, p.faults = len(journey)-1, nil
	}
}

// notes is a step that tells people, and does so once.
func (p *parcel) notes(said *[]domain.FulfillmentState) func(context.Context, activities.StepInput) error {
	return func(_ context.Context, in activities.StepInput) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !slices.Contains(*said, domain.FulfillmentState(in.Key)) {
			*said = append(*said, domain.FulfillmentState(in.Key))
		}
		return nil
	}
}

// event is something that happens to the goods, or somebody who only thinks so.
type event struct {
	at            time.Duration
	moves, hinted bool
}

func someEvents(draw *rapid.T) []event {
	minutes := rapid.SliceOfN(rapid.IntRange(0, int(6*month/time.Minute)), 3, 14).Draw(draw, "minutes")
	slices.Sort(minutes)
	events := make([]event, 0, len(minutes)+1)
	for i, minute := range minutes {
		events = append(events, event{
			at: time.Duration(minute)*time.Minute + time.Duration(i), moves: rapid.Bool().Draw(draw, "moves"),
			hinted: i == 0 || rapid.Bool().Draw(draw, "hinted"),
		})
	}
	return append(events, event{at: 7 * month, hinted: true}) // a sweep finds what nobody told of
}

// TestHintsInAnyOrderOverMonths: whatever happens when, hinted at or not, with faults that park, with runs that end, are
// started again or continue as new: the lifecycle ends where the goods are, people are told of each step once and in its
// order, and there is no pass that no hint asked for.
func TestHintsInAnyOrderOverMonths(t *testing.T) {
	rapid.Check(t, func(draw *rapid.T) {
		p, events := &parcel{faults: rapid.SliceOfN(rapid.Bool(), 0, 6).Draw(draw, "faults")}, someEvents(draw)
		reading := time.Duration(rapid.IntRange(0, 600).Draw(draw, "reading")) * time.Second
		telling := time.Duration(rapid.IntRange(0, 3600).Draw(draw, "telling")) * time.Second
		next, passes, hints := 0, 0, 0
		in, clock := lifecycle, time.Duration(0)
		for runs := 0; next < len(events) || in.Resume != nil; runs++ {
			require.Less(draw, runs, 100)
			r := anyRun(t)
			r.OnActivity("ReadFulfillment", mock.Anything, mock.Anything).After(reading).Return(p.read)
			r.OnActivity("BringFulfillment", mock.Anything, mock.Anything).Return(p.bring)
			r.OnActivity("Park", mock.Anything, mock.Anything).Return(nil)
			r.OnActivity("EnterStep", mock.Anything, mock.Anything).After(telling).Return(p.notes(&p.entered))
			r.OnActivity("TellTeam", mock.Anything, mock.Anything).After(telling).Return(p.notes(&p.told))
			if runs == 0 {
				r.hint(0, activities.FulfillmentOpened)
			}
			for i := next; i < len(events); i++ {
				r.RegisterDelayedCallback(func() {
					next = i + 1
					p.happen(events[i], next == len(events))
					if events[i].hinted {
						hints++
						r.SignalWorkflow(workflows.LookSignal, workflows.Hint{Event: activities.FulfillmentChanged})
					}
				}, max(0, events[i].at-clock))
			}
			r.RegisterDelayedCallback(func() { r.SetContinueAsNewSuggested(true) },
				time.Duration(rapid.IntRange(1, int(9*month/time.Minute)).Draw(draw, "long"))*time.Minute)
			began := r.Now()
			r.ExecuteWorkflow(workflows.Fulfillment, in)
			require.True(draw, r.IsWorkflowCompleted(), "it waits for what will never come")
			passes += r.status().Passes
			clock += r.Now().Sub(began)
			var again *workflow.ContinueAsNewError
			if errors.As(r.GetWorkflowError(), &again) {
				in = workflows.FulfillmentInput{}
				require.NoError(draw, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
				continue
			}
			require.NoError(draw, r.GetWorkflowError())
			in = lifecycle
			// It ended before all has happened. The next hint starts it again.
			for ; next < len(events) && !events[next].hinted; next++ {
				p.happen(events[next], false)
			}
			if next < len(events) {
				clock = events[next].at
			}
		}
		require.Equal(draw, len(journey)-1, p.written)
		require.Equal(draw, journey[1:], p.entered)
		require.Equal(draw, journey[1:], p.told)
		require.LessOrEqual(draw, passes, hints)
	})
}
