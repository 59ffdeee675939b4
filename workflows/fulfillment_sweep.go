package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
)

// FulfillmentSweepInput says what is swept.
type FulfillmentSweepInput struct {
	Location string `json:"location"`
	// Resume is where a sweep that continued as new goes on; nil at the start.
	Resume *FulfillmentSweepProgress `json:"resume,omitempty"`
}

// FulfillmentSweepProgress is how far a sweep has come.
type FulfillmentSweepProgress struct {
	Window activities.FulfillmentWindow `json:"window"`
	// At is the place in HighLevel's list of orders, Listed tells that its end was reached.
	At     ghl.Cursor `json:"at"`
	Listed bool       `json:"listed,omitempty"`
	// Rows counts rows read, Looks the hints handed to lifecycles.
	Rows  int `json:"rows"`
	Looks int `json:"looks"`
	// Stopped is why a sweep ended before its end: the kind of the fault of a connection that does not work now. The next
	// sweep after it works again covers the same time.
	Stopped string `json:"stopped,omitempty"`
}

// FulfillmentSweep finds what nobody told of about the shipping of a location's orders, for all of them together: it reads
// the list of orders at HighLevel and the orders at Sage that changed, and has those lifecycles looked at that look
// different from what was last seen or agreed. Then it reminds of those whose time has come: to be verified, because a
// delivery was reported, or because they are followed no longer. The cursor moves only after all of that, and not at all
// when the connection turns out not to work: that is no failure of the sweep.
func FulfillmentSweep(ctx workflow.Context, in FulfillmentSweepInput) (FulfillmentSweepProgress, error) {
	s := fulfillmentSweep{location: in.Location}
	if in.Resume != nil {
		s.progress = *in.Resume
	} else if err := s.open(ctx); err != nil || s.progress.Window.Off {
		return s.progress, err
	}
	for !s.progress.Listed {
		if err := s.list(ctx); err != nil {
			return s.stopped(err)
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			in.Resume = &s.progress
			return s.progress, workflow.NewContinueAsNewError(ctx, FulfillmentSweepType, in)
		}
	}
	if err := s.sweepSage(ctx); err != nil {
		return s.stopped(err)
	}
	if err := s.remind(ctx); err != nil {
		return s.progress, err
	}
	return s.progress, s.close(ctx)
}

// fulfillmentSweep is the state of one run.
type fulfillmentSweep struct {
	location string
	progress FulfillmentSweepProgress
	// newest is the latest change at Sage that this sweep has seen, by Sage's own clock: the next one reads on from there.
	newest time.Time
}

// stopped ends a sweep in which a step failed.
func (s *fulfillmentSweep) stopped(cause error) (FulfillmentSweepProgress, error) {
	if kind, resting := restingKind(cause); resting {
		s.progress.Stopped = kind
		return s.progress, nil
	}
	return s.progress, cause
}

func (s *fulfillmentSweep) open(ctx workflow.Context) error {
	return workflow.ExecuteLocalActivity(noteStep(ctx, "Choose the window"), ledger.OpenFulfillmentWindow,
		activities.OpenFulfillmentWindowInput{Location: s.location, Now: workflow.Now(ctx)}).Get(ctx, &s.progress.Window)
}

// list goes through some pages of HighLevel's orders.
func (s *fulfillmentSweep) list(ctx workflow.Context) error {
	var page activities.SweepPage
	err := workflow.ExecuteActivity(sweepStep(ctx, "Sweep orders at HighLevel for shipments"), fromGHL.SweepFulfillments,
		activities.SweepFulfillmentsInput{Location: s.location, Window: s.progress.Window, At: s.progress.At}).Get(ctx, &page)
	if err != nil {
		return err
	}
	s.progress.Rows += page.Rows
	s.progress.Looks += page.Looks
	s.progress.At, s.progress.Listed = page.Next, page.Done
	return nil
}

// sweepSage looks for what people in Sage have entered.
func (s *fulfillmentSweep) sweepSage(ctx workflow.Context) error {
	var sweep activities.SageSweep
	err := workflow.ExecuteActivity(sageSweepStep(ctx, "Sweep orders that changed in Sage"), intoSage.SweepSageOrders,
		activities.SweepSageOrdersInput{Location: s.location, Window: s.progress.Window}).Get(ctx, &sweep)
	if err != nil {
		return err
	}
	s.progress.Rows += sweep.Rows
	s.progress.Looks += sweep.Looks
	s.newest = sweep.Newest
	return nil
}

// remind has those lifecycles looked at whose time has come.
func (s *fulfillmentSweep) remind(ctx workflow.Context) error {
	var reminders activities.Reminders
	err := workflow.ExecuteActivity(choreStep(ctx, "Remind of shipments whose time has come"), ledger.RemindFulfillments,
		activities.RemindFulfillmentsInput{Location: s.location, Now: workflow.Now(ctx)}).Get(ctx, &reminders)
	if err != nil {
		return err
	}
	s.progress.Looks += reminders.Verify + reminders.Delivery + reminders.Expired
	return nil
}

func (s *fulfillmentSweep) close(ctx workflow.Context) error {
	return workflow.ExecuteLocalActivity(noteStep(ctx, "Move the cursor"), ledger.CloseFulfillmentWindow,
		activities.CloseFulfillmentWindowInput{Location: s.location, Window: s.progress.Window, Newest: s.newest}).Get(ctx, nil)
}
