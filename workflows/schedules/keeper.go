package schedules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/activities"
)

// Keeper keeps the schedules of locations for the processes of their connections. Unlike the operator's commands it
// respects what people did: a schedule that somebody paused stays paused, and keeps that person's note.
type Keeper struct {
	Client client.ScheduleClient
	// Every, DeepEvery and FulfillmentEvery are the intervals of the schedules of a location. ReconcileEvery and
	// DeepReconcileEvery are 0 where there is no reconciliation.
	Every, DeepEvery, FulfillmentEvery time.Duration
	ReconcileEvery, DeepReconcileEvery time.Duration
}

var _ activities.Schedules = Keeper{}

// mark begins the notes of the schedules that a Keeper paused, and so tells them from those that people did.
const mark = "Tallystick: "

// byHand tells by the note of a paused schedule that it was not a Keeper who paused it.
func byHand(note string) bool { return !strings.HasPrefix(note, mark) }

func (k Keeper) wanted(location string) []Item {
	return Wanted(Intervals{
		Payments: k.Every, Deep: k.DeepEvery, Fulfillments: k.FulfillmentEvery,
		Reconciliation: k.ReconcileEvery, DeepReconciliation: k.DeepReconcileEvery,
	}, location)
}

// Apply makes the schedules of a location what they should be, and tells whether a first sweep of its payments came of
// that: a new location is swept at once.
func (k Keeper) Apply(ctx context.Context, location string) (swept bool, err error) {
	changes, err := Apply(ctx, k.Client, k.wanted(location), ApplyOptions{})
	for _, change := range changes {
		swept = swept || change.Action == Created && change.Kind == Payments
	}
	return swept, err
}

// Pause stops the schedules of a location, for the reason in the note. A missing one needs no stopping.
func (k Keeper) Pause(ctx context.Context, location, note string) error {
	note = mark + note
	return k.each(ctx, location, func(h client.ScheduleHandle, s State) error {
		if s.Paused && (s.Note == note || byHand(s.Note)) {
			return nil
		}
		return h.Pause(ctx, client.SchedulePauseOptions{Note: note})
	})
}

// Resume lets the schedules of a location go on that Pause stopped.
func (k Keeper) Resume(ctx context.Context, location, note string) error {
	return k.each(ctx, location, func(h client.ScheduleHandle, s State) error {
		if !s.Paused || byHand(s.Note) {
			return nil
		}
		return h.Unpause(ctx, client.ScheduleUnpauseOptions{Note: mark + note})
	})
}

// Trigger starts the sweeps of a location now that look for what is new, or right after those that run. It does not wait
// for them, and what has its schedule paused or missing is not swept.
func (k Keeper) Trigger(ctx context.Context, location string) error {
	return k.each(ctx, location, func(h client.ScheduleHandle, s State) error {
		if s.Kind == Deep || s.Kind == DeepReconciliation || s.Paused {
			return nil
		}
		return h.Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE})
	})
}

// Remove deletes the schedules of a location. Those that are gone already are no error.
func (k Keeper) Remove(ctx context.Context, location string) error {
	return Remove(ctx, k.Client, k.wanted(location))
}

// each does something to those schedules of a location that exist, by what they are now. All are tried, whatever happens
// to the first: a location of which one schedule cannot be paused must not have both go on.
func (k Keeper) each(ctx context.Context, location string, do func(client.ScheduleHandle, State) error) error {
	var faults []error
	for _, item := range k.wanted(location) {
		handle := k.Client.GetHandle(ctx, item.ID)
		description, err := handle.Describe(ctx)
		if err == nil {
			err = do(handle, stateOf(item, description))
		}
		if err != nil && !isNotFound(err) {
			faults = append(faults, fmt.Errorf("schedule %s: %w", item.ID, err))
		}
	}
	return errors.Join(faults...)
}
