package schedules

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
)

// State is a schedule as the server has it.
type State struct {
	Item
	// Exists is false for a schedule that Apply would create; then nothing below is set.
	Exists bool `json:"exists"`
	// Interval is the server's, which Apply may have to change; in Go's notation.
	Interval string `json:"interval,omitempty"`
	Paused   bool   `json:"paused"`
	// Note is why it is paused.
	Note string `json:"note,omitempty"`
	// LastRun and NextRun are zero where there is none.
	LastRun time.Time `json:"lastRun,omitzero"`
	NextRun time.Time `json:"nextRun,omitzero"`
	// Running is the workflow id of the sweep that runs now.
	Running string `json:"running,omitempty"`
	// Skipped counts the sweeps that did not start because the one before still ran: too many mean that the interval is
	// too short.
	Skipped int `json:"skipped"`
}

// List tells how the wanted schedules stand.
func List(ctx context.Context, c client.ScheduleClient, wanted []Item) ([]State, error) {
	states := make([]State, 0, len(wanted))
	for _, item := range wanted {
		description, err := c.GetHandle(ctx, item.ID).Describe(ctx)
		if isNotFound(err) {
			states = append(states, State{Item: item})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("schedule %s: %w", item.ID, err)
		}
		states = append(states, stateOf(item, description))
	}
	return states, nil
}

func stateOf(item Item, d *client.ScheduleDescription) State {
	s := State{Item: item, Exists: true, Skipped: d.Info.NumActionsSkippedOverlap}
	if d.Schedule.Spec != nil && len(d.Schedule.Spec.Intervals) > 0 {
		s.Interval = d.Schedule.Spec.Intervals[0].Every.String()
	}
	if d.Schedule.State != nil {
		s.Paused, s.Note = d.Schedule.State.Paused, d.Schedule.State.Note
	}
	if n := len(d.Info.RecentActions); n > 0 {
		s.LastRun = d.Info.RecentActions[n-1].ActualTime.UTC()
	}
	if len(d.Info.NextActionTimes) > 0 && !s.Paused {
		s.NextRun = d.Info.NextActionTimes[0].UTC()
	}
	if len(d.Info.RunningWorkflows) > 0 {
		s.Running = d.Info.RunningWorkflows[0].WorkflowID
	}
	return s
}

// ErrMissing says that a schedule does not exist.
var ErrMissing = errors.New("there is no such schedule: make it with `starter schedules apply`")

// Pause stops the schedules from starting sweeps; one that runs is left to its end. The note says why and by whom.
func Pause(ctx context.Context, c client.ScheduleClient, items []Item, note string) error {
	return each(ctx, c, items, func(h client.ScheduleHandle) error {
		return h.Pause(ctx, client.SchedulePauseOptions{Note: note})
	})
}

// Resume lets paused schedules start sweeps again.
func Resume(ctx context.Context, c client.ScheduleClient, items []Item, note string) error {
	return each(ctx, c, items, func(h client.ScheduleHandle) error {
		return h.Unpause(ctx, client.ScheduleUnpauseOptions{Note: note})
	})
}

// Remove deletes schedules. One that is gone already is no error.
func Remove(ctx context.Context, c client.ScheduleClient, items []Item) error {
	return each(ctx, c, items, func(h client.ScheduleHandle) error {
		if err := h.Delete(ctx); err != nil && !isNotFound(err) {
			return err
		}
		return nil
	})
}

func each(ctx context.Context, c client.ScheduleClient, items []Item, do func(client.ScheduleHandle) error) error {
	for _, item := range items {
		err := do(c.GetHandle(ctx, item.ID))
		switch {
		case isNotFound(err) && item.Off():
			err = nil
		case isNotFound(err):
			err = ErrMissing
		}
		if err != nil {
			return fmt.Errorf("schedule %s: %w", item.ID, err)
		}
	}
	return nil
}

// Sweep is a sweep that Trigger started.
type Sweep struct {
	WorkflowID string `json:"workflowId"`
	RunID      string `json:"runId"`
}

// Trigger starts a sweep now, or right after the one that runs, and returns it once it has started. It works on a paused
// schedule as well.
func Trigger(ctx context.Context, c client.ScheduleClient, item Item) (Sweep, error) {
	handle := c.GetHandle(ctx, item.ID)
	before, err := handle.Describe(ctx)
	if isNotFound(err) {
		err = ErrMissing
	}
	if err != nil {
		return Sweep{}, fmt.Errorf("schedule %s: %w", item.ID, err)
	}
	err = handle.Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE})
	if err != nil {
		return Sweep{}, fmt.Errorf("schedule %s: %w", item.ID, err)
	}
	for {
		now, err := handle.Describe(ctx)
		if err != nil {
			return Sweep{}, fmt.Errorf("schedule %s: %w", item.ID, err)
		}
		if n := len(now.Info.RecentActions); now.Info.NumActions > before.Info.NumActions && n > 0 {
			if started := now.Info.RecentActions[n-1].StartWorkflowResult; started != nil {
				return Sweep{WorkflowID: started.WorkflowID, RunID: started.FirstExecutionRunID}, nil
			}
		}
		select {
		case <-ctx.Done():
			return Sweep{}, fmt.Errorf("schedule %s: the sweep has not started yet, and will after the one that runs: %w", item.ID, ctx.Err())
		case <-time.After(250 * time.Millisecond): // the server tells of a schedule's doings only when asked
		}
	}
}

// Found is what a sweep of any kind found.
type Found struct {
	// Rows counts rows read, Looks what had to be looked at again.
	Rows  int `json:"rows"`
	Looks int `json:"looks"`
	// Stopped is why it ended before its end, the kind of the fault of a connection that does not work now.
	Stopped string `json:"stopped,omitempty"`
}

// Wait waits for a sweep to end and returns what it found.
func Wait(ctx context.Context, c client.Client, s Sweep) (Found, error) {
	var found Found // the results of all kinds of sweeps have these
	if err := c.GetWorkflow(ctx, s.WorkflowID, s.RunID).Get(ctx, &found); err != nil {
		return found, fmt.Errorf("sweep %s: %w", s.WorkflowID, err)
	}
	return found, nil
}
