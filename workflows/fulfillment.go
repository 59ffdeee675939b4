package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
)

// FulfillmentInput names the HighLevel order.
type FulfillmentInput struct {
	Location string `json:"location"`
	OrderID  string `json:"orderId"`
	// Resume is what a run that continued as new has left to do; nil at the start.
	Resume *FulfillmentLeft `json:"resume,omitempty"`
}

// FulfillmentLeft is what a run leaves to the next.
type FulfillmentLeft struct {
	// Look tells that hints were taken in which no pass has followed yet.
	Look bool `json:"look,omitempty"`
	// Over tells that there is nothing to follow any more, and only people are yet to be told.
	Over bool `json:"over,omitempty"`
	// Telling are the steps of the lifecycle that people are yet to be told of.
	Telling Announcements `json:"telling,omitzero"`
}

// FulfillmentStatus is the answer to the status query, and the result of the workflow.
type FulfillmentStatus struct {
	// Outcome is what the last finished pass came to; empty before the first.
	Outcome activities.Outcome `json:"outcome,omitempty"`
	// State is how far the goods were then, Closed whether they are followed no longer; both unset before the first pass.
	State  domain.FulfillmentState `json:"state,omitempty"`
	Closed bool                    `json:"closed,omitempty"`
	// Step is what is being done at this moment, in words; empty while it waits for news.
	Step string `json:"step,omitempty"`
	// Passes counts finished passes of this run, Hints the hints taken in.
	Passes int `json:"passes"`
	Hints  int `json:"hints"`
	// Posted counts the shipments that this run had posted at HighLevel.
	Posted int `json:"posted,omitempty"`
	// Kind says why the order is parked. Reason says so too, or why the lifecycle was closed.
	Kind   string `json:"kind,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Telling are the steps that people are yet to be told of, Untold why the last one of which they could not be told.
	Telling Announcements `json:"telling,omitzero"`
	Untold  string        `json:"untold,omitempty"`
}

// Fulfillment follows the goods of one order from the payment to the customer's door, and keeps both sides agreed on
// where they are.
//
// It waits for hints that something may have changed, whoever saw it, and then reads everything anew: what the workflow
// knows is never more than what it shows. While nothing changes it has no timer and costs nothing. It ends when the
// lifecycle is closed and people know; a later hint starts it again under the same id. What cannot be carried out is
// parked with its reason, and the process waits on: any hint gives it another go.
func Fulfillment(ctx workflow.Context, in FulfillmentInput) (FulfillmentStatus, error) {
	f := fulfillment{in: in, hints: workflow.GetSignalChannel(ctx, LookSignal)}
	f.people = startAnnouncer(ctx, in)
	if err := workflow.SetQueryHandler(ctx, StatusQuery, f.answer); err != nil {
		return f.status, err
	}
	for look := f.begin(); ; look = f.drain() {
		if look {
			if err := f.pass(ctx); err != nil {
				return f.status, err
			}
		}
		// Nothing yields between this look and the end of the run, so no hint can be lost: the server refuses the end of a
		// run that has not seen its last signal.
		if f.done() && f.hints.Len() == 0 {
			return f.result(), nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return f.status, f.continueAsNew(ctx)
		}
		if err := workflow.Await(ctx, func() bool { return f.hints.Len() > 0 || f.done() }); err != nil {
			return f.status, err
		}
	}
}

// fulfillment is the state of one run.
type fulfillment struct {
	in     FulfillmentInput
	hints  workflow.ReceiveChannel
	people *announcer
	status FulfillmentStatus
	// over is set by a pass after which there is nothing to follow.
	over bool
}

func (f *fulfillment) answer() (FulfillmentStatus, error) { return f.result(), nil }

// result is the status as it is now.
func (f *fulfillment) result() FulfillmentStatus {
	status := f.status
	status.Telling, status.Untold = f.people.left(), f.people.untold
	if status.Step == "" && f.over && !f.people.idle() {
		status.Step = "telling people"
	}
	return status
}

// done tells whether the run may end.
func (f *fulfillment) done() bool { return f.over && f.people.idle() }

// begin takes in the hints with which the run was started, and tells whether it begins with a pass. So does a run that
// somebody started without any hint.
func (f *fulfillment) begin() bool {
	look := f.drain()
	if f.in.Resume != nil {
		f.over = f.in.Resume.Over
		return look || f.in.Resume.Look
	}
	return look || f.status.Hints == 0
}

// drain takes in all hints that wait, and tells whether they ask for a pass: however many there are, one pass follows
// them. A lifecycle that was just opened needs none.
func (f *fulfillment) drain() (look bool) {
	for waiting := f.hints.Len(); waiting > 0; waiting = f.hints.Len() {
		var hint Hint
		readable := f.hints.ReceiveAsync(&hint)
		taken := waiting - f.hints.Len() // more than one if it passed over what is no hint, sent by a person's hand
		look = look || !readable || taken > 1 || hint.Event != activities.FulfillmentOpened
		f.status.Hints += taken
	}
	return look
}

// continueAsNew goes on in a new run, which knows what this one has not done yet.
func (f *fulfillment) continueAsNew(ctx workflow.Context) error {
	telling, err := f.people.interrupt(ctx)
	if err != nil {
		return err
	}
	next := f.in
	next.Resume = &FulfillmentLeft{Telling: telling, Over: f.over, Look: f.drain()}
	return workflow.NewContinueAsNewError(ctx, FulfillmentType, next)
}

// pass reads how far the goods are and brings both sides up to it, or parks the order.
func (f *fulfillment) pass(ctx workflow.Context) error {
	err := f.follow(ctx)
	f.status.Step = ""
	if err != nil {
		return f.park(ctx, err)
	}
	f.status.Passes++
	f.status.Kind = ""
	return f.unpark(ctx)
}

// mostRounds bounds the shipments of one pass. People enter one at a time; more would mean that what is posted is not
// found again.
const mostRounds = 5

// follow is the business process: read the shipments from HighLevel and bring Sage up to them; and if people in Sage sent
// something that HighLevel knows nothing of, post that there and look again.
func (f *fulfillment) follow(ctx workflow.Context) error {
	for range mostRounds {
		reading, err := f.read(ctx)
		if err != nil {
			return err
		}
		if reading.KeptOut != "" {
			f.status.Outcome, f.status.Reason, f.over = reading.KeptOut, "", true
			return nil
		}
		result, err := f.bring(ctx, reading)
		if err != nil {
			return err
		}
		f.people.steps(result.Steps)
		if result.Ship == nil {
			f.status.Outcome, f.status.State, f.status.Reason = result.Outcome, result.State, result.Reason
			f.status.Closed = result.Closed
			f.over = result.Closed || !followed(result.Outcome)
			return nil
		}
		if err := f.post(ctx, *result.Ship); err != nil {
			return err
		}
	}
	return temporal.NewNonRetryableApplicationError(
		"one shipment after the other is posted at HighLevel and the order in Sage still asks for more: compare the fulfilments of the order",
		string(activities.Mismatch), nil, activities.FaultDetails{Heals: activities.Rules[activities.Mismatch].Heals})
}

// followed tells whether there is a lifecycle to follow.
func followed(outcome activities.Outcome) bool {
	return outcome != activities.NotDue && outcome != activities.OtherMode
}

func (f *fulfillment) read(ctx workflow.Context) (activities.FulfillmentReading, error) {
	f.status.Step = "reading the shipments from HighLevel"
	var reading activities.FulfillmentReading
	err := workflow.ExecuteActivity(readingStep(ctx, "Read shipments from HighLevel"), fromGHL.ReadFulfillment,
		activities.FulfillmentInput{Location: f.in.Location, OrderID: f.in.OrderID}).Get(ctx, &reading)
	return reading, err
}

func (f *fulfillment) bring(
	ctx workflow.Context, reading activities.FulfillmentReading,
) (activities.BringFulfillmentResult, error) {
	f.status.Step = "bringing the shipments into Sage"
	var result activities.BringFulfillmentResult
	err := workflow.ExecuteActivity(bookingStep(ctx, "Bring shipments into Sage"), intoSage.BringFulfillment,
		activities.BringFulfillmentInput{Location: f.in.Location, OrderID: f.in.OrderID, Reading: reading}).Get(ctx, &result)
	return result, err
}

func (f *fulfillment) post(ctx workflow.Context, plan domain.ShipmentPlan) error {
	f.status.Step = "posting a shipment at HighLevel"
	var result activities.PostShipmentResult
	err := workflow.ExecuteActivity(postingStep(ctx, "Post shipment at HighLevel"), fromGHL.PostShipment,
		activities.PostShipmentInput{Location: f.in.Location, OrderID: f.in.OrderID, Plan: plan}).Get(ctx, &result)
	if result.Posted {
		f.status.Posted++
	}
	return err
}

// park sets the order aside with its reason, for a person or a later sweep. Only a cancelled workflow goes unparked.
func (f *fulfillment) park(ctx workflow.Context, cause error) error {
	if ctx.Err() != nil || temporal.IsCanceledError(cause) {
		return cause
	}
	kind, reason, details := describe(cause)
	f.status.Outcome, f.status.Kind, f.status.Reason = activities.Parked, kind, reason
	f.status.Passes++
	f.over = false
	err := workflow.ExecuteLocalActivity(noteStep(ctx, "Park the order"), ledger.Park, activities.ParkInput{
		Location: f.in.Location, Process: FulfillmentType, ObjectID: f.in.OrderID,
		WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID,
		Kind:       kind, Reason: reason, Candidates: details.Candidates, Heals: details.Heals,
	}).Get(ctx, nil)
	if err != nil {
		return err
	}
	return show(ctx, StateParked, kind)
}

// unpark shows how far the goods are. The parked item of an earlier pass goes with the recording of the lifecycle, or
// here where nothing was recorded.
func (f *fulfillment) unpark(ctx workflow.Context) error {
	if !f.status.Outcome.Recorded() {
		err := workflow.ExecuteLocalActivity(noteStep(ctx, "Take the order off the parked ones"), ledger.Unpark,
			activities.UnparkInput{Location: f.in.Location, Process: FulfillmentType, ObjectID: f.in.OrderID}).Get(ctx, nil)
		if err != nil {
			return err
		}
	}
	return show(ctx, string(f.status.State), "")
}

// show brings the search attributes of the run up to the state, and to the kind of the fault that parked it, empty for
// none. What they say already is not written again, since each write is an event and is billed as one.
func show(ctx workflow.Context, state, parked string) error {
	shown := workflow.GetTypedSearchAttributes(ctx)
	shownState, _ := shown.GetKeyword(StateAttribute)
	shownParked, isParked := shown.GetKeyword(ParkedAttribute)
	if state == "" && isParked {
		state = StateWorking
	}
	var changes []temporal.SearchAttributeUpdate
	if state != "" && state != shownState {
		changes = append(changes, StateAttribute.ValueSet(state))
	}
	switch {
	case parked == "" && isParked:
		changes = append(changes, ParkedAttribute.ValueUnset())
	case parked != shownParked:
		changes = append(changes, ParkedAttribute.ValueSet(parked))
	}
	if len(changes) == 0 {
		return nil
	}
	return workflow.UpsertTypedSearchAttributes(ctx, changes...)
}
