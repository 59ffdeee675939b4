package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The few profiles of retry and time that all steps share. There is no limit on attempts and none on the whole time:
// what was accepted is carried out for as long as it takes, and only an error that cannot heal ends it.

// readingStep is for steps that only read from HighLevel.
func readingStep(ctx workflow.Context, summary string) workflow.Context {
	return onQueue(ctx, GHLQueue, time.Minute, summary)
}

// bookingStep is for steps that write to Sage. Its time covers a large order at Sage's slowest pace; the heartbeat tells a
// worker that died long before that.
func bookingStep(ctx workflow.Context, summary string) workflow.Context {
	return onQueue(ctx, SageQueue, 10*time.Minute, summary)
}

// postingStep is for steps that write to HighLevel. Its time covers the wait for a write whose outcome is unknown.
func postingStep(ctx workflow.Context, summary string) workflow.Context {
	return onQueue(ctx, GHLQueue, 5*time.Minute, summary)
}

// sweepStep is for one page of a sweep.
func sweepStep(ctx workflow.Context, summary string) workflow.Context {
	return onQueue(ctx, GHLQueue, 5*time.Minute, summary)
}

// sageSweepStep is for all that changed in Sage since the last sweep.
func sageSweepStep(ctx workflow.Context, summary string) workflow.Context {
	return onQueue(ctx, SageQueue, 10*time.Minute, summary)
}

// choreStep is for work on our own store that also hands hints to Temporal.
func choreStep(ctx workflow.Context, summary string) workflow.Context {
	return onQueue(ctx, MainQueue, time.Minute, summary)
}

// comparingStep is for a comparison of all that the store has of a location.
func comparingStep(ctx workflow.Context, summary string) workflow.Context {
	return onQueue(ctx, MainQueue, 10*time.Minute, summary)
}

// tellingStep is for a message to people. A service that is away is asked less and less often, and not for ever: the log
// has been told, and what is to be done shows in the state of the connection.
func tellingStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              MainQueue,
		StartToCloseTimeout:    30 * time.Second,
		ScheduleToCloseTimeout: 24 * time.Hour,
		HeartbeatTimeout:       heartbeatTimeout,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 15 * time.Minute,
		},
		Summary: summary,
	})
}

// teamStep is for a message to a team, and enteringStep for an entry that tells people in Sage. Neither is worth more than
// a day of attempts. An interrupted one is waited for, since the next run begins it again.
func teamStep(ctx workflow.Context, summary string) workflow.Context {
	return newsStep(ctx, MainQueue, 30*time.Second, summary)
}

func enteringStep(ctx workflow.Context, summary string) workflow.Context {
	return newsStep(ctx, SageQueue, 10*time.Minute, summary)
}

func newsStep(ctx workflow.Context, queue string, limit time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              queue,
		StartToCloseTimeout:    limit,
		ScheduleToCloseTimeout: 24 * time.Hour,
		HeartbeatTimeout:       heartbeatTimeout,
		WaitForCancellation:    true,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 15 * time.Minute,
		},
		Summary: summary,
	})
}

func onQueue(ctx workflow.Context, queue string, limit time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: limit,
		HeartbeatTimeout:    heartbeatTimeout,
		RetryPolicy:         patiently(),
		Summary:             summary,
	})
}

// heartbeatTimeout is how long a step may be silent before another worker takes it over: several of the beats that the
// steps send every five seconds.
const heartbeatTimeout = 20 * time.Second

// noteStep is for quick steps against our own store.
func noteStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: 5 * time.Second,
		RetryPolicy:         patiently(),
		Summary:             summary,
	})
}

func patiently() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{
		InitialInterval:    time.Second,
		BackoffCoefficient: 2,
		MaximumInterval:    time.Minute,
	}
}
