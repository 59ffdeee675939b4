// Package schedules keeps the Temporal Schedules of the sweeps: five per location, one for new payments, one for late
// refunds, one for what became of shipments, and two for the reconciliation of what changed lately and of all. Temporal
// does the rest: it starts the sweeps, never two of a kind at once, and makes up for the time it was away.
//
// It is not a scheduler and holds no state: the server's schedules are the truth, and Apply may be called by any number
// of processes at any time. The starter's server calls it at its start, and its commands call the rest; the worker uses a
// Keeper, for the processes that follow what becomes of a connection.
package schedules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tallystick/tallystick/workflows"
)

const (
	// catchUp is how far back the sweeps that were missed while Temporal was away are made up for. One is enough, since
	// each begins where the last one ended.
	catchUp = 10 * time.Minute
	// mostJitter spreads the locations of a minute, so that they do not all begin in its first second.
	mostJitter = 10 * time.Second
)

// Kind is what a schedule's sweeps look for.
type Kind string

// The kinds of sweeps.
const (
	// Payments are those that no webhook told of.
	Payments Kind = "payments"
	// Deep looks for refunds of payments long past.
	Deep Kind = "deep"
	// Fulfillments looks on both sides for what became of the shipping of orders.
	Fulfillments Kind = "fulfillments"
	// Reconciliation makes what both sides hold of lately agree, DeepReconciliation all of which refunds are still expected.
	Reconciliation     Kind = "reconciliation"
	DeepReconciliation Kind = "reconciliation-deep"
	// Watch is no sweep and belongs to no location: it looks whether everything works. Kinds leaves it out; see Watchdog.
	Watch Kind = "watch"
)

// Kinds lists them in the order in which they are shown.
func Kinds() []Kind {
	return []Kind{Payments, Deep, Fulfillments, Reconciliation, DeepReconciliation}
}

// Intervals say how often each kind of sweep runs. The schedule of the fulfilments exists also where they are not
// followed, so that it need not be made or deleted as settings change: a sweep that finds them off ends at once. The two
// of the reconciliation are no setting of a location, and do not exist where their interval is 0.
type Intervals struct {
	Payments, Deep, Fulfillments       time.Duration
	Reconciliation, DeepReconciliation time.Duration
}

func (i Intervals) of(kind Kind) time.Duration {
	switch kind {
	case Deep:
		return i.Deep
	case Fulfillments:
		return i.Fulfillments
	case Reconciliation:
		return i.Reconciliation
	case DeepReconciliation:
		return i.DeepReconciliation
	default:
		return i.Payments
	}
}

// Item is one schedule.
type Item struct {
	// ID is that of the schedule, and the stem of the ids of its sweeps; such as workflows.PaymentSweepID of the location.
	ID       string        `json:"id"`
	Location string        `json:"location"`
	Kind     Kind          `json:"kind"`
	Every    time.Duration `json:"-"`
}

// Off tells that the schedule is not to exist: Apply removes it.
func (i Item) Off() bool {
	return i.Every == 0 && (i.Kind == Reconciliation || i.Kind == DeepReconciliation)
}

// Wanted lists the schedules that the locations should have, in the order of the locations and then of Kinds.
func Wanted(every Intervals, locations ...string) []Item {
	items := make([]Item, 0, len(Kinds())*len(locations))
	for _, location := range locations {
		for _, kind := range Kinds() {
			items = append(items, Item{ID: idOf(kind, location), Location: location, Kind: kind, Every: every.of(kind)})
		}
	}
	return items
}

// Of are those items that are of one of the kinds.
func Of(items []Item, kinds ...Kind) []Item {
	var found []Item
	for _, item := range items {
		if slices.Contains(kinds, item.Kind) {
			found = append(found, item)
		}
	}
	return found
}

func idOf(kind Kind, location string) string {
	switch kind {
	case Deep:
		return workflows.DeepSweepID(location)
	case Fulfillments:
		return workflows.FulfillmentSweepID(location)
	case Reconciliation:
		return workflows.ReconciliationID(location)
	case DeepReconciliation:
		return workflows.DeepReconciliationID(location)
	default:
		return workflows.PaymentSweepID(location)
	}
}

// Change is what Apply did to a schedule, or what Plan says that it would do.
type Change struct {
	Item
	// Action is "created", "updated", "unchanged" or "removed".
	Action string `json:"action"`
	// Differences say in words what was not as wanted of a schedule that is updated; none if it is only written anew.
	Differences []string `json:"differences,omitempty"`
}

// The actions of a Change.
const (
	Created   = "created"
	Updated   = "updated"
	Unchanged = "unchanged"
	// Removed is one that is not to exist and did. One that did not is Unchanged.
	Removed = "removed"
)

// ApplyOptions change how Apply applies.
type ApplyOptions struct {
	// Force writes schedules that are as wanted once more. A schedule holds the input of its sweep as it was encrypted;
	// after a change of keys this encrypts it with the current one.
	Force bool
}

// Plan tells what Apply would do with the same arguments, and does nothing.
func Plan(ctx context.Context, c client.ScheduleClient, wanted []Item, o ApplyOptions) ([]Change, error) {
	return forEach(wanted, func(item Item) (Change, error) {
		change, _, err := plan(ctx, c, item, o)
		return change, err
	})
}

// Apply makes the schedules what they should be. It neither pauses nor resumes, and it leaves schedules of other
// locations alone.
func Apply(ctx context.Context, c client.ScheduleClient, wanted []Item, o ApplyOptions) ([]Change, error) {
	return forEach(wanted, func(item Item) (Change, error) { return applyPatiently(ctx, c, item, o) })
}

// forEach ends at the first fault, with what came before it.
func forEach(wanted []Item, do func(Item) (Change, error)) ([]Change, error) {
	changes := make([]Change, 0, len(wanted))
	for _, item := range wanted {
		if item.Every < time.Second && !item.Off() {
			return changes, fmt.Errorf("schedule %s: an interval of %s is too short: Temporal's smallest is a second", item.ID, item.Every)
		}
		change, err := do(item)
		if err != nil {
			return changes, fmt.Errorf("schedule %s: %w", item.ID, err)
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// attempts is how often a schedule is applied before a server that does not answer in time is reported.
const attempts = 4

// applyPatiently applies again when the server took longer than a call may: it answers for a schedule that another
// process is just making only once that one is made, which a busy server may need many seconds for.
func applyPatiently(ctx context.Context, c client.ScheduleClient, item Item, o ApplyOptions) (Change, error) {
	for attempt := 1; ; attempt++ {
		change, err := apply(ctx, c, item, o)
		if err == nil || attempt == attempts || ctx.Err() != nil || !tooSlow(err) {
			return change, err
		}
	}
}

func tooSlow(err error) bool {
	var late *serviceerror.DeadlineExceeded
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late)
}

// plan compares a schedule with what it should be.
func plan(ctx context.Context, c client.ScheduleClient, item Item, o ApplyOptions) (Change, client.ScheduleHandle, error) {
	change := Change{Item: item}
	handle := c.GetHandle(ctx, item.ID)
	description, err := handle.Describe(ctx)
	switch {
	case isNotFound(err):
		change.Action = Created
		if item.Off() {
			change.Action = Unchanged
		}
		return change, handle, nil
	case err != nil:
		return change, handle, err
	case item.Off():
		change.Action = Removed
		return change, handle, nil
	}
	change.Differences = item.differences(description.Schedule)
	change.Action = Unchanged
	if o.Force || len(change.Differences) > 0 {
		change.Action = Updated
	}
	return change, handle, nil
}

func apply(ctx context.Context, c client.ScheduleClient, item Item, o ApplyOptions) (Change, error) {
	change, handle, err := plan(ctx, c, item, o)
	if err == nil && change.Action == Created {
		_, err = c.Create(ctx, item.options())
		if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
			return change, err
		}
		// Another process was first. What it made may be by another configuration.
		change, handle, err = plan(ctx, c, item, o)
	}
	if err == nil && change.Action == Removed {
		if err = handle.Delete(ctx); isNotFound(err) {
			err = nil // another process was first
		}
	}
	if err != nil || change.Action != Updated {
		return change, err
	}
	return change, handle.Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			s := in.Description.Schedule // whether it is paused stays as it is
			s.Spec, s.Action, s.Policy = item.spec(), item.action(), item.policy()
			attributes := item.attributes()
			return &client.ScheduleUpdate{Schedule: &s, TypedSearchAttributes: &attributes}, nil
		},
	})
}

func isNotFound(err error) bool {
	var notFound *serviceerror.NotFound
	return errors.As(err, &notFound)
}

func (i Item) options() client.ScheduleOptions {
	return client.ScheduleOptions{
		ID: i.ID, Spec: *i.spec(), Action: i.action(), Overlap: i.policy().Overlap, CatchupWindow: catchUp,
		TypedSearchAttributes: i.attributes(),
		// A new location is swept at once, for all that was sold before it was connected. It has no refunds and no
		// shipments yet that could be known of, and nothing in Sage that could disagree.
		TriggerImmediately: i.Kind == Payments,
	}
}

func (i Item) spec() *client.ScheduleSpec {
	return &client.ScheduleSpec{
		Intervals: []client.ScheduleIntervalSpec{{Every: i.Every}},
		Jitter:    min(i.Every/10, mostJitter).Truncate(time.Millisecond),
	}
}

func (i Item) policy() *client.SchedulePolicies {
	return &client.SchedulePolicies{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchUp}
}

func (i Item) action() *client.ScheduleWorkflowAction {
	process, input := i.process()
	return &client.ScheduleWorkflowAction{
		ID: i.ID, Workflow: process, TaskQueue: workflows.MainQueue, Args: []any{input},
		TypedSearchAttributes: i.attributes(),
		StaticSummary:         i.summary(),
		Priority:              i.priority(),
	}
}

// process is the workflow that sweeps, with its input.
func (i Item) process() (name string, input any) {
	switch i.Kind {
	case Fulfillments:
		return workflows.FulfillmentSweepType, workflows.FulfillmentSweepInput{Location: i.Location}
	case Reconciliation, DeepReconciliation:
		return workflows.SubscriptionReconciliationType, workflows.SubscriptionReconciliationInput{
			Location: i.Location, Deep: i.Kind == DeepReconciliation,
		}
	case Watch:
		return workflows.WatchdogType, workflows.WatchdogInput{}
	}
	return workflows.PaymentSweepType, workflows.PaymentSweepInput{Location: i.Location, Deep: i.Kind == Deep}
}

// summary is what the Temporal UI shows. As the input of a schedule can only be read encrypted, the summary is also how
// an input of another shape is noticed: whoever changes the input of a sweep changes these words.
func (i Item) summary() string {
	switch i.Kind {
	case Deep:
		return "Sweep payments for late refunds"
	case Fulfillments:
		return "Sweep the shipping of orders on both sides"
	case Reconciliation:
		return "Make what both sides hold of lately agree"
	case DeepReconciliation:
		return "Make what both sides hold agree"
	case Watch:
		return "Look whether everything works"
	default:
		return "Sweep payments that no webhook told of"
	}
}

func (i Item) priority() temporal.Priority {
	switch i.Kind {
	case Deep, DeepReconciliation:
		return workflows.Priority(i.Location, workflows.DeepSweepPriority)
	case Watch: // it has to come through when there is more to do than can be done
		return workflows.Priority(workflows.WatchdogID, workflows.UpkeepPriority)
	}
	return workflows.Priority(i.Location, workflows.SweepPriority)
}

func (i Item) attributes() temporal.SearchAttributes {
	if i.Location == "" {
		return temporal.NewSearchAttributes()
	}
	return temporal.NewSearchAttributes(workflows.LocationAttribute.ValueSet(i.Location))
}

// differences tells in words what of a schedule is not as wanted.
func (i Item) differences(s client.Schedule) []string {
	spec, policy := i.spec(), i.policy()
	var found []string
	switch {
	case s.Spec == nil || len(s.Spec.Intervals) != 1:
		found = append(found, fmt.Sprintf("it has no interval or several: becomes every %s", i.Every))
	case s.Spec.Intervals[0].Every != i.Every:
		found = append(found, fmt.Sprintf("every %s becomes every %s", s.Spec.Intervals[0].Every, i.Every))
	case s.Spec.Intervals[0] != spec.Intervals[0] || s.Spec.Jitter != spec.Jitter:
		found = append(found, "when within the interval it runs")
	}
	if s.Policy == nil || s.Policy.Overlap != policy.Overlap || s.Policy.CatchupWindow != policy.CatchupWindow {
		found = append(found, "what is done about sweeps that were missed or still run")
	}
	if !i.starts(s.Action) {
		found = append(found, "the sweep that it starts")
	}
	return found
}

// starts tells whether an action is that of the schedule.
func (i Item) starts(action client.ScheduleAction) bool {
	is, ok := action.(*client.ScheduleWorkflowAction)
	if !ok {
		return false
	}
	process, isName := is.Workflow.(string)
	wanted, _ := i.process()
	return isName && process == wanted && is.ID == i.ID && is.TaskQueue == workflows.MainQueue &&
		is.StaticSummary == i.summary() && is.Priority == i.priority()
}
