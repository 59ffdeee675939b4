package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
)

// WatchdogInput is empty: the watchdog looks at everything.
type WatchdogInput struct{}

var watchdog *activities.Watchdog

// Watchdog looks once whether everything works and tells operators of what does not. It stands outside of the processes
// that it watches and shares nothing with them but the workers; its schedule starts it anew for each look.
func Watchdog(ctx workflow.Context, _ WatchdogInput) (activities.WatchReport, error) {
	var report activities.WatchReport
	err := workflow.ExecuteActivity(watchingStep(ctx, "Look whether everything works"), watchdog.Watch,
		activities.WatchInput{Now: workflow.Now(ctx)}).Get(ctx, &report)
	return report, err
}

// watchingStep is for a look that is not worth to be tried for long: the next one makes up for it.
func watchingStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              MainQueue,
		StartToCloseTimeout:    time.Minute,
		ScheduleToCloseTimeout: 5 * time.Minute,
		HeartbeatTimeout:       heartbeatTimeout,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second,
		},
		Summary: summary,
	})
}
