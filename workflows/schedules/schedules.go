// Package schedules keeps the Temporal Schedules of the payment sweeps: two per location, one for what is new and one
// for late refunds. Temporal does the rest: it starts the sweeps, never two of a kind at once, and makes up for the time
// it was away.
//
// It is not a scheduler and holds no state: the server's schedules are the truth, and Apply may be called by any number
// of processes at any time. The starter's server calls it at its start, and its commands call the rest; the worker uses a
// Keeper, for the processes that follow what becomes of a connection.
package schedules

import (
	"context"
	"errors"
	"fmt"
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

// Item is one schedule.
type Item struct {
	// ID is workflows.PaymentSweepID or workflows.DeepSweepID of the location.
	ID       string        `json:"id"`
	Location string        `json:"location"`
	Deep     bool          `json:"deep"`
	Every    time.Duration `json:"-"`
}

// Wanted lists the schedules that the locations should have.
func Wanted(every, deepEvery time.Duration, locations ...string) []Item {
	items := make([]Item, 0, 2*len(locations))
	for _, location := range locations {
		items = append(items,
			Item{ID: workflows.PaymentSweepID(location), Location: location, Every: every},
			Item{ID: workflows.DeepSweepID(location), Location: location, Deep: true, Every: deepEvery})
	}
	return items
}

// Change is what Apply did, or would do, to a schedule: "created", "updated" or "unchanged".
type Change struct {
	Item
	Action string `json:"action"`
}

// The actions of a Change.
const (
	Created   = "created"
	Updated   = "updated"
	Unchanged = "unchanged"
)

// ApplyOptions change how Apply applies.
type ApplyOptions struct {
	// DryRun only tells what would be done.
	DryRun bool
	// Force writes schedules that are as wanted once more. A schedule holds the input of its sweep as it was encrypted;
	// after a change of keys this encrypts it with the current one.
	Force bool
}

// Apply makes the schedules what they should be. It neither pauses nor resumes, and it leaves schedules of other
// locations alone.
func Apply(ctx context.Context, c client.ScheduleClient, wanted []Item, o ApplyOptions) ([]Change, error) {
	changes := make([]Change, 0, len(wanted))
	for _, item := range wanted {
		if item.Every < time.Second {
			return changes, fmt.Errorf("schedule %s: an interval of %s is too short: Temporal's smallest is a second", item.ID, item.Every)
		}
		action, err := applyPatiently(ctx, c, item, o)
		if err != nil {
			return changes, fmt.Errorf("schedule %s: %w", item.ID, err)
		}
		changes = append(changes, Change{Item: item, Action: action})
	}
	return changes, nil
}

// attempts is how often a schedule is applied before a server that does not answer in time is reported.
const attempts = 4

// applyPatiently applies again when the server took longer than a call may: it answers for a schedule that another
// process is just making only once that one is made, which a busy server may need many seconds for.
func applyPatiently(ctx context.Context, c client.ScheduleClient, item Item, o ApplyOptions) (string, error) {
	for attempt := 1; ; attempt++ {
		action, err := apply(ctx, c, item, o)
		if err == nil || attempt == attempts || ctx.Err() != nil || !tooSlow(err) {
			return action, err
		}
	}
}

func tooSlow(err error) bool {
	var late *serviceerror.DeadlineExceeded
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late)
}

func apply(ctx context.Context, c client.ScheduleClient, item Item, o ApplyOptions) (string, error) {
	handle := c.GetHandle(ctx, item.ID)
	description, err := handle.Describe(ctx)
	if isNotFound(err) {
		if o.DryRun {
			return Created, nil
		}
		_, err = c.Create(ctx, item.options())
		if err == nil {
			return Created, nil
		}
		if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
			return "", err
		}
		// Another process was first. What it made may be by another configuration.
		description, err = handle.Describe(ctx)
	}
	if err != nil {
		return "", err
	}
	if !o.Force && item.matches(description.Schedule) {
		return Unchanged, nil
	}
	if o.DryRun {
		return Updated, nil
	}
	return Updated, handle.Update(ctx, client.ScheduleUpdateOptions{
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
		// A new location is swept at once, for all that was sold before it was connected.
		TriggerImmediately: !i.Deep,
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
	return &client.ScheduleWorkflowAction{
		ID: i.ID, Workflow: workflows.PaymentSweepType, TaskQueue: workflows.MainQueue,
		Args:                  []any{workflows.PaymentSweepInput{Location: i.Location, Deep: i.Deep}},
		TypedSearchAttributes: i.attributes(),
		StaticSummary:         i.summary(),
		Priority:              i.priority(),
	}
}

// summary is what the Temporal UI shows. As the input of a schedule can only be read encrypted, the summary is also how
// an input of another shape is noticed: whoever changes PaymentSweepInput changes these words.
func (i Item) summary() string {
	if i.Deep {
		return "Sweep payments for late refunds"
	}
	return "Sweep payments that no webhook told of"
}

func (i Item) priority() temporal.Priority {
	if i.Deep {
		return workflows.Priority(i.Location, workflows.DeepSweepPriority)
	}
	return workflows.Priority(i.Location, workflows.SweepPriority)
}

func (i Item) attributes() temporal.SearchAttributes {
	return temporal.NewSearchAttributes(workflows.LocationAttribute.ValueSet(i.Location))
}

// matches tells whether a schedule is as wanted.
func (i Item) matches(s client.Schedule) bool {
	action, ok := s.Action.(*client.ScheduleWorkflowAction)
	if !ok || s.Spec == nil || s.Policy == nil || len(s.Spec.Intervals) != 1 {
		return false
	}
	workflow, isName := action.Workflow.(string)
	spec, policy := i.spec(), i.policy()
	return isName && workflow == workflows.PaymentSweepType && action.ID == i.ID && action.TaskQueue == workflows.MainQueue &&
		action.StaticSummary == i.summary() && action.Priority == i.priority() && s.Spec.Intervals[0] == spec.Intervals[0] && s.Spec.Jitter == spec.Jitter &&
		s.Policy.Overlap == policy.Overlap && s.Policy.CatchupWindow == policy.CatchupWindow
}
