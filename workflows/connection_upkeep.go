package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/store"
)

// ConnectionUpkeepInput names the HighLevel location.
type ConnectionUpkeepInput struct {
	Location string `json:"location"`
}

// ConnectionUpkeepStatus is the answer to the status query, and the result of the workflow.
type ConnectionUpkeepStatus struct {
	// State and Version are those of the connection as last read; empty if there is none.
	State   store.ConnectionState `json:"state,omitempty"`
	Version int64                 `json:"version,omitempty"`
	// Step is what is being done at this moment, in words; empty when nothing is.
	Step string `json:"step,omitempty"`
	// Passes counts finished passes of this run, Hints the hints taken in, Woken the parked items that became due.
	Passes int   `json:"passes"`
	Hints  int   `json:"hints"`
	Woken  int64 `json:"woken,omitempty"`
	// Untold is why the operator could not be told; the log was.
	Untold string `json:"untold,omitempty"`
}

// ConnectionUpkeep makes everything outside of the store follow what a connection has become: its schedules run while
// it works and rest while it does not; what waited for it goes on; who must act is told, once; and a location that
// leaves loses its schedules first and then its secrets.
//
// It goes by what the connection is and not by what happened to it: it reads the connection, brings all else up to that,
// notes the version it has followed, and ends. Hints only say that there is something to read. The workers give one to
// every connection whose last version has not been followed, so that a change is followed also if whoever made it died.
func ConnectionUpkeep(ctx workflow.Context, in ConnectionUpkeepInput) (ConnectionUpkeepStatus, error) {
	u := connectionUpkeep{in: in, hints: workflow.GetSignalChannel(ctx, LookSignal)}
	if err := workflow.SetQueryHandler(ctx, StatusQuery, u.answer); err != nil {
		return u.status, err
	}
	for {
		u.drain()
		current, err := u.pass(ctx)
		if err != nil {
			return u.status, err
		}
		if current && u.hints.Len() == 0 {
			if err := u.awaitTold(ctx); err != nil {
				return u.status, err
			}
			if u.hints.Len() == 0 {
				return u.status, nil
			}
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			u.drain() // the new run begins with a pass, which stands for them all
			return u.status, workflow.NewContinueAsNewError(ctx, ConnectionUpkeepType, in)
		}
	}
}

// connectionUpkeep is the state of one run.
type connectionUpkeep struct {
	in     ConnectionUpkeepInput
	hints  workflow.ReceiveChannel
	status ConnectionUpkeepStatus
	// telling is the message that is under way, nil if there is none. Passes go on meanwhile: a service for messages that
	// is away must not keep a location from being resumed.
	telling *telling
}

type telling struct {
	version int64
	done    workflow.Future
	stop    workflow.CancelFunc
}

func (u *connectionUpkeep) answer() (ConnectionUpkeepStatus, error) { return u.status, nil }

// drain takes in all hints that wait.
func (u *connectionUpkeep) drain() {
	for u.hints.ReceiveAsync(nil) {
		u.status.Hints++
	}
}

// pass reads the connection, has all else follow it, and tells whether it is still as it was read.
func (u *connectionUpkeep) pass(ctx workflow.Context) (current bool, err error) {
	u.status.Step = "reading the connection"
	var seen activities.ConnectionView
	err = workflow.ExecuteLocalActivity(noteStep(ctx, "Read the connection"), upkeep.ReadConnection,
		activities.LocationInput{Location: u.in.Location}).Get(ctx, &seen)
	if err != nil {
		return false, err
	}
	u.status.State, u.status.Version = seen.State, seen.Version
	if seen.Exists {
		if err := u.follow(ctx, seen); err != nil {
			return false, err
		}
		err = workflow.ExecuteLocalActivity(noteStep(ctx, "Note that it has been followed"), upkeep.SettleConnection,
			u.at(seen)).Get(ctx, &current)
		if err != nil {
			return false, err
		}
	}
	u.status.Step = ""
	u.status.Passes++
	u.tell(ctx, seen)
	return current || !seen.Exists, nil
}

// follow is the business process: what each state of a connection means for everything else.
func (u *connectionUpkeep) follow(ctx workflow.Context, seen activities.ConnectionView) error {
	location := activities.LocationInput{Location: u.in.Location}
	switch seen.State {
	case store.Active:
		u.status.Step = "letting the sweeps run"
		var woken int64
		err := workflow.ExecuteActivity(choreStep(ctx, "Let the sweeps run"), upkeep.ResumeSchedules, location).Get(ctx, &woken)
		u.status.Woken += woken
		return err
	case store.Leaving:
		u.status.Step = "removing the schedules"
		err := workflow.ExecuteActivity(choreStep(ctx, "Remove the schedules"), upkeep.RemoveSchedules, location).Get(ctx, nil)
		if err != nil {
			return err
		}
		// Only now: a sweep without credentials would have the connection refused, and the operator called for nothing.
		u.status.Step = "forgetting the secrets"
		return workflow.ExecuteActivity(choreStep(ctx, "Forget tokens and settings"), upkeep.ForgetSecrets, u.at(seen)).Get(ctx, nil)
	case store.Retired: // whatever came into being again while it left
		u.status.Step = "removing the schedules"
		return workflow.ExecuteActivity(choreStep(ctx, "Remove the schedules"), upkeep.RemoveSchedules, location).Get(ctx, nil)
	default:
		u.status.Step = "pausing the sweeps"
		return workflow.ExecuteActivity(choreStep(ctx, "Pause the sweeps"), upkeep.PauseSchedules, activities.PauseSchedulesInput{
			Location: u.in.Location, State: seen.State, Note: seen.Note,
		}).Get(ctx, nil)
	}
}

func (u *connectionUpkeep) at(seen activities.ConnectionView) activities.ConnectionVersion {
	return activities.ConnectionVersion{Location: u.in.Location, Version: seen.Version}
}

// tell begins to tell the operator of a state that is somebody's business and was not told of yet. A message about an
// earlier version is given up: its step would find nothing to say.
func (u *connectionUpkeep) tell(ctx workflow.Context, seen activities.ConnectionView) {
	if u.telling != nil && u.telling.version != seen.Version {
		u.telling.stop()
		u.telling = nil
	}
	if u.telling != nil || seen.Told || (seen.State != store.Reconnect && seen.State != store.Retired) {
		return
	}
	step, stop := workflow.WithCancel(tellingStep(ctx, "Tell the operator"))
	u.telling = &telling{
		version: seen.Version, stop: stop, done: workflow.ExecuteActivity(step, upkeep.TellOperator, u.at(seen)),
	}
}

// awaitTold waits until the message has arrived or cannot, or until there is something else to do.
func (u *connectionUpkeep) awaitTold(ctx workflow.Context) error {
	if u.telling == nil {
		return nil
	}
	u.status.Step = "telling the operator"
	err := workflow.Await(ctx, func() bool { return u.telling.done.IsReady() || u.hints.Len() > 0 })
	u.status.Step = ""
	if err != nil || !u.telling.done.IsReady() {
		return err
	}
	if err := u.telling.done.Get(ctx, nil); err != nil && ctx.Err() == nil {
		_, u.status.Untold, _ = describe(err)
		workflow.GetLogger(ctx).Warn("the operator could not be told", "location", u.in.Location, "reason", u.status.Untold)
	}
	return ctx.Err()
}
