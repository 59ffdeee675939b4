package workflows

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
)

// Hint says why an object should be looked at again. It never carries the object: the process reads that itself, so
// hints that are doubled, late or out of order change nothing but the delay.
type Hint struct {
	// Source is "webhook", "sweep", "operator" or "upkeep".
	Source string `json:"source"`
	// Event is the source's word for what happened, such as "OrderStatusUpdate".
	Event string `json:"event,omitempty"`
	// EventID is the source's own id of the event, for tracing it.
	EventID string    `json:"eventId,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

// The sources of hints.
const (
	FromWebhook  = "webhook"
	FromSweep    = "sweep"
	FromOperator = "operator"
	// FromUpkeep is a worker that found a connection whose last change has not been followed.
	FromUpkeep = "upkeep"
)

// Door is where work enters: it hands a hint to the one process of the object it is about, starting that process where
// none runs. When a call returns without an error, Temporal has the hint durably.
type Door struct {
	Temporal client.Client
}

// LookAtOrder asks the process of an order to read it again.
func (d Door) LookAtOrder(ctx context.Context, location, order string, hint Hint) error {
	options := client.StartWorkflowOptions{
		ID:                    PaymentToOrderID(location, order),
		TaskQueue:             MainQueue,
		TypedSearchAttributes: startAttributes(location, order, StateWorking),
		StaticSummary:         "HighLevel order " + order + " into the books",
		Priority:              Priority(location, urgency(ctx, hint)),
	}
	_, err := d.Temporal.SignalWithStartWorkflow(ctx, options.ID, LookSignal, hint, options,
		PaymentToOrderType, PaymentToOrderInput{Location: location, OrderID: order})
	if err != nil {
		return fmt.Errorf("hand order %s to Temporal: %w", order, err)
	}
	return nil
}

// LookAtInvoice asks for the orders that came from an invoice to be found and read again.
func (d Door) LookAtInvoice(ctx context.Context, location, invoice string, hint Hint) error {
	options := client.StartWorkflowOptions{
		ID:                    InvoiceToOrderID(location, invoice),
		TaskQueue:             MainQueue,
		TypedSearchAttributes: startAttributes(location, invoice, StateWorking),
		StaticSummary:         "Orders of HighLevel invoice " + invoice,
		Priority:              Priority(location, urgency(ctx, hint)),
	}
	_, err := d.Temporal.SignalWithStartWorkflow(ctx, options.ID, LookSignal, hint, options,
		InvoiceToOrderType, InvoiceToOrderInput{Location: location, InvoiceID: invoice})
	if err != nil {
		return fmt.Errorf("hand invoice %s to Temporal: %w", invoice, err)
	}
	return nil
}

// untilNews is how long a lifecycle that was just opened waits for its first hint without being handed to a worker, which
// would only find that there is nothing to do: a third of what a payment costs. The next hint through a Door ends the delay;
// a bare signal, as the Temporal UI sends, waits for that. Until then the status query has no answer, and the state is in the
// search attribute.
const untilNews = 90 * 24 * time.Hour

// LookAtFulfillment asks the process that follows the goods of an order to look at both sides again.
func (d Door) LookAtFulfillment(ctx context.Context, location, order string, hint Hint) error {
	state := StateWorking
	if hint.Event == activities.FulfillmentOpened {
		state = string(domain.FulfillmentCreated) // known without a pass
	}
	options := client.StartWorkflowOptions{
		ID:                    FulfillmentID(location, order),
		TaskQueue:             MainQueue,
		TypedSearchAttributes: startAttributes(location, order, state),
		StaticSummary:         "Shipping of HighLevel order " + order,
		Priority:              Priority(location, urgency(ctx, hint)),
	}
	if hint.Event == activities.FulfillmentOpened {
		options.StartDelay = untilNews
	}
	_, err := d.Temporal.SignalWithStartWorkflow(ctx, options.ID, LookSignal, hint, options,
		FulfillmentType, FulfillmentInput{Location: location, OrderID: order})
	if err != nil {
		return fmt.Errorf("hand the shipping of order %s to Temporal: %w", order, err)
	}
	return nil
}

// LookAtConnection asks the process of a connection to follow what has become of it.
func (d Door) LookAtConnection(ctx context.Context, location string, hint Hint) error {
	options := client.StartWorkflowOptions{
		ID:                    ConnectionUpkeepID(location),
		TaskQueue:             MainQueue,
		TypedSearchAttributes: startAttributes(location, location, StateWorking),
		StaticSummary:         "Connection of HighLevel location " + location,
		Priority:              Priority(location, UpkeepPriority),
	}
	_, err := d.Temporal.SignalWithStartWorkflow(ctx, options.ID, LookSignal, hint, options,
		ConnectionUpkeepType, ConnectionUpkeepInput{Location: location})
	if err != nil {
		return fmt.Errorf("hand the connection of location %s to Temporal: %w", location, err)
	}
	return nil
}

// Reconcile starts a reconciliation of a location that no schedule starts, or returns the one that runs, whatever that one
// was asked for.
func (d Door) Reconcile(ctx context.Context, in SubscriptionReconciliationInput) (client.WorkflowRun, error) {
	in.Asked, in.Backfill, in.Resume = true, nil, nil
	id, summary, urgency := ReconciliationID(in.Location), "Both sides' books of HighLevel location "+in.Location, SweepPriority
	if in.Deep {
		id, urgency = DeepReconciliationID(in.Location), DeepSweepPriority
	}
	return d.reconcile(ctx, id, summary, urgency, in)
}

// Backfill starts to bring what is older than the books, or returns the backfill that runs, whatever its period. It has the
// least priority, and so has all that it hands on: years of orders hold up nothing that happens meanwhile.
func (d Door) Backfill(ctx context.Context, location string, period activities.Period) (client.WorkflowRun, error) {
	return d.reconcile(ctx, BackfillID(location), "Backfill of HighLevel location "+location, DeepSweepPriority,
		SubscriptionReconciliationInput{Location: location, Asked: true, Backfill: &period})
}

func (d Door) reconcile(
	ctx context.Context, id, summary string, urgency int, in SubscriptionReconciliationInput,
) (client.WorkflowRun, error) {
	run, err := d.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       id,
		TaskQueue:                MainQueue,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		TypedSearchAttributes:    temporal.NewSearchAttributes(LocationAttribute.ValueSet(in.Location)),
		StaticSummary:            summary,
		Priority:                 Priority(in.Location, urgency),
	}, SubscriptionReconciliationType, in)
	if err != nil {
		return nil, fmt.Errorf("hand %s to Temporal: %w", id, err)
	}
	return run, nil
}

// PublishRevenue starts to put the report of a month's revenue, as 2006-01, into Sage, or returns the run that does so.
func (d Door) PublishRevenue(ctx context.Context, location, month string) (client.WorkflowRun, error) {
	id := RevenueReportID(location, month)
	run, err := d.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       id,
		TaskQueue:                MainQueue,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		TypedSearchAttributes:    temporal.NewSearchAttributes(LocationAttribute.ValueSet(location)),
		StaticSummary:            "Revenue of " + month + " of HighLevel location " + location + " into Sage",
		Priority:                 Priority(location, OperatorPriority),
	}, RevenueReportType, RevenueReportInput{Location: location, Month: month})
	if err != nil {
		return nil, fmt.Errorf("hand %s to Temporal: %w", id, err)
	}
	return run, nil
}

// urgency is how urgent it is to follow a hint. One that a step hands on is as urgent as the step: the orders that are
// looked for because of a webhook do not wait for those of a sweep.
func urgency(ctx context.Context, hint Hint) int {
	if activity.IsActivity(ctx) {
		if inherited := activity.GetInfo(ctx).Priority.PriorityKey; inherited > 0 {
			return inherited
		}
	}
	return urgencyOf(hint.Source)
}

func startAttributes(location, object, state string) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(
		LocationAttribute.ValueSet(location), ObjectAttribute.ValueSet(object), StateAttribute.ValueSet(state))
}

// ForSweeps is the door as the sweeps use it, which know an object and why it should be looked at.
func (d Door) ForSweeps() activities.Looker { return sweepDoor{d} }

type sweepDoor struct{ door Door }

func (s sweepDoor) LookAtOrder(ctx context.Context, location, order, event string) error {
	return s.door.LookAtOrder(ctx, location, order, Hint{Source: FromSweep, Event: event, At: time.Now().UTC()})
}

func (s sweepDoor) LookAtInvoice(ctx context.Context, location, invoice, event string) error {
	return s.door.LookAtInvoice(ctx, location, invoice, Hint{Source: FromSweep, Event: event, At: time.Now().UTC()})
}

func (s sweepDoor) LookAtFulfillment(ctx context.Context, location, order, event string) error {
	return s.door.LookAtFulfillment(ctx, location, order, Hint{Source: FromSweep, Event: event, At: time.Now().UTC()})
}
