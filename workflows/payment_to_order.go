package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
)

// The activities by name, for typed calls. The values are never used.
var (
	fromGHL  *activities.GHL
	intoSage *activities.Sage
	ledger   *activities.Ledger
	upkeep   *activities.Connections
	toTeams  *activities.Teams
)

// PaymentToOrderInput names the HighLevel order.
type PaymentToOrderInput struct {
	Location string `json:"location"`
	OrderID  string `json:"orderId"`
}

// PaymentToOrderStatus is the answer to the status query, and the result of the workflow.
type PaymentToOrderStatus struct {
	// Outcome is what the last finished pass came to; empty before the first.
	Outcome activities.Outcome `json:"outcome"`
	// Step is what is being done at this moment, in words; empty when nothing is.
	Step string `json:"step,omitempty"`
	// Passes counts finished passes of this run, Hints the hints taken in.
	Passes int `json:"passes"`
	Hints  int `json:"hints"`
	// SageID is the sales order at Sage, 0 while there is none.
	SageID int64 `json:"sageId,omitempty"`
	// Kind and Reason say why the order is parked.
	Kind   string `json:"kind,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// PaymentToOrder brings one HighLevel order into Sage, once its money has cleared, and follows it there through part
// payments and refunds.
//
// It lives while there are hints to follow and ends when none is left; a later hint starts it again under the same id.
// What cannot be carried out is parked with its reason, and the process ends as well: a hint from the operator or from
// the sweep gives it another go.
func PaymentToOrder(ctx workflow.Context, in PaymentToOrderInput) (PaymentToOrderStatus, error) {
	p := paymentToOrder{in: in, hints: workflow.GetSignalChannel(ctx, LookSignal)}
	if err := workflow.SetQueryHandler(ctx, StatusQuery, p.answer); err != nil {
		return p.status, err
	}
	for first := true; p.drain() || first; first = false {
		if err := p.pass(ctx); err != nil {
			return p.status, err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && p.hints.Len() > 0 {
			p.drain() // one more pass stands for them all, and the new run makes it
			return p.status, workflow.NewContinueAsNewError(ctx, PaymentToOrderType, in)
		}
	}
	return p.status, nil
}

// paymentToOrder is the state of one run.
type paymentToOrder struct {
	in     PaymentToOrderInput
	hints  workflow.ReceiveChannel
	status PaymentToOrderStatus
	parked bool
}

func (p *paymentToOrder) answer() (PaymentToOrderStatus, error) { return p.status, nil }

// drain takes in all hints that wait, and tells whether there was one. However many there are, one pass follows them.
func (p *paymentToOrder) drain() bool {
	found := false
	for p.hints.ReceiveAsync(nil) {
		p.status.Hints++
		found = true
	}
	return found
}

// pass reads the order and brings the books up to it, or parks it.
func (p *paymentToOrder) pass(ctx workflow.Context) error {
	outcome, err := p.follow(ctx)
	p.status.Step = ""
	if err != nil {
		return p.park(ctx, err)
	}
	p.status.Passes++
	p.status.Outcome, p.status.Kind, p.status.Reason = outcome, "", ""
	return p.unpark(ctx)
}

// follow is the business process: read the order; if money has cleared or it is in the books already, make sure of the
// customer, then of the order.
func (p *paymentToOrder) follow(ctx workflow.Context) (activities.Outcome, error) {
	reading, err := p.readOrder(ctx)
	if err != nil {
		return "", err
	}
	if reading.KeptOut != "" {
		return reading.KeptOut, nil
	}
	customer := reading.Customer
	for attempt := 0; ; attempt++ {
		if customer == nil {
			if customer, err = p.bringCustomer(ctx, reading); err != nil {
				return "", err
			}
		}
		result, err := p.bringOrder(ctx, reading, *customer)
		if isKind(err, activities.StaleCustomer) && attempt == 0 {
			customer = nil
			continue
		}
		p.status.SageID = result.SageID
		return result.Outcome, err
	}
}

func (p *paymentToOrder) readOrder(ctx workflow.Context) (activities.OrderReading, error) {
	p.status.Step = "reading the order from HighLevel"
	var reading activities.OrderReading
	err := workflow.ExecuteActivity(readingStep(ctx, "Read order from HighLevel"), fromGHL.ReadOrder,
		activities.ReadOrderInput{Location: p.in.Location, OrderID: p.in.OrderID}).Get(ctx, &reading)
	return reading, err
}

func (p *paymentToOrder) bringCustomer(
	ctx workflow.Context, reading activities.OrderReading,
) (*activities.CustomerRef, error) {
	p.status.Step = "bringing the customer into Sage"
	var customer activities.CustomerRef
	err := workflow.ExecuteActivity(bookingStep(ctx, "Bring customer into Sage"), intoSage.BringCustomer,
		activities.BringCustomerInput{
			Location: p.in.Location, ExtID: reading.Sale.CustomerExtID(), Customer: reading.Sale.Customer,
		}).Get(ctx, &customer)
	return &customer, err
}

func (p *paymentToOrder) bringOrder(
	ctx workflow.Context, reading activities.OrderReading, customer activities.CustomerRef,
) (activities.BringOrderResult, error) {
	p.status.Step = "bringing the order into Sage"
	var result activities.BringOrderResult
	err := workflow.ExecuteActivity(bookingStep(ctx, "Bring order into Sage"), intoSage.BringOrder,
		activities.BringOrderInput{Sale: reading.Sale, Customer: customer, Sightings: reading.Sightings}).Get(ctx, &result)
	return result, err
}

// park sets the order aside with its reason, for a person or a later sweep. Only a cancelled workflow goes unparked.
func (p *paymentToOrder) park(ctx workflow.Context, cause error) error {
	if ctx.Err() != nil || temporal.IsCanceledError(cause) {
		return cause
	}
	kind, reason, details := describe(cause)
	p.status.Outcome, p.status.Kind, p.status.Reason = activities.Parked, kind, reason
	p.status.Passes++
	p.parked = true
	err := workflow.ExecuteLocalActivity(noteStep(ctx, "Park the order"), ledger.Park, activities.ParkInput{
		Location: p.in.Location, Process: PaymentToOrderType, ObjectID: p.in.OrderID,
		WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID,
		Kind:       kind, Reason: reason, Candidates: details.Candidates, Heals: details.Heals,
	}).Get(ctx, nil)
	if err != nil {
		return err
	}
	return workflow.UpsertTypedSearchAttributes(ctx,
		StateAttribute.ValueSet(StateParked), ParkedAttribute.ValueSet(kind))
}

// unpark takes back the mark of an earlier pass of this run. The parked item itself goes with the recording of the
// order, or here when the pass brought nothing.
func (p *paymentToOrder) unpark(ctx workflow.Context) error {
	if p.status.Outcome.Recorded() && !p.parked {
		return nil
	}
	err := workflow.ExecuteLocalActivity(noteStep(ctx, "Take the order off the parked ones"), ledger.Unpark,
		activities.UnparkInput{Location: p.in.Location, Process: PaymentToOrderType, ObjectID: p.in.OrderID}).Get(ctx, nil)
	if err != nil || !p.parked {
		return err
	}
	p.parked = false
	return workflow.UpsertTypedSearchAttributes(ctx,
		StateAttribute.ValueSet(StateWorking), ParkedAttribute.ValueUnset())
}

// describe reads the fault that ended a step.
func describe(cause error) (kind, reason string, details activities.FaultDetails) {
	var fault *temporal.ApplicationError
	if !errors.As(cause, &fault) {
		return string(activities.Unknown), cause.Error(), details
	}
	if fault.HasDetails() {
		_ = fault.Details(&details) // details of another shape say nothing about candidates
	}
	return fault.Type(), fault.Message(), details
}

// restingKind tells whether a step ended because the connection does not work now, and for which of the reasons.
func restingKind(err error) (kind string, resting bool) {
	for _, kind := range []activities.Kind{activities.Reconnect, activities.Paused} {
		if isKind(err, kind) {
			return string(kind), true
		}
	}
	return "", false
}

func isKind(err error, kind activities.Kind) bool {
	var fault *temporal.ApplicationError
	return errors.As(err, &fault) && fault.Type() == string(kind)
}
