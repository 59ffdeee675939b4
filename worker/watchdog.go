package main

import (
	"context"
	"time"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

// watchdog is the step that looks whether everything works.
func (c *crew) watchdog(notify activities.Notifier) *activities.Watchdog {
	cfg := c.config.Watchdog
	return &activities.Watchdog{
		Store: c.books, Notify: notify, Sweeps: c.watchedSweeps(), Quota: c.directory.Quota,
		Schedules: func(ctx context.Context) (map[string]activities.ScheduleStanding, error) {
			return schedules.Survey(ctx, c.temporal.ScheduleClient())
		},
		Queues: func(ctx context.Context) ([]cluster.QueueState, bool, error) {
			return cluster.Queues(ctx, c.temporal, c.namespace, workflows.WebhookPriority, workflows.MainQueue,
				workflows.MainQueue, workflows.GHLQueue, workflows.SageQueue)
		},
		Grace: cfg.Grace, Remind: cfg.Remind, MissedSweeps: cfg.MissedSweeps,
		QueueAge: cfg.QueueAge, ParkedAge: cfg.ParkedAge, QuotaLeft: cfg.QuotaLeft,
	}
}

// watchedSweeps are those that every location should have.
func (c *crew) watchedSweeps() []activities.WatchedSweep {
	sync := c.config.Sync
	sweeps := []activities.WatchedSweep{
		{Words: "sweep of payments", Mark: activities.PaymentSweepMark, Every: sync.Interval, Schedule: workflows.PaymentSweepID},
		{Words: "deep sweep for refunds", Mark: activities.DeepSweepMark, Every: sync.DeepInterval, Schedule: workflows.DeepSweepID},
		{
			Words: "sweep of shipping", Mark: activities.FulfillmentSweepMark, Every: sync.Fulfillments, Schedule: workflows.FulfillmentSweepID,
			On: func(ctx context.Context, location string) (bool, error) {
				settings, err := c.directory.Fulfillment(ctx, location)
				return settings.On, err
			},
		},
	}
	every, deepEvery := sync.Reconciliations()
	if every == 0 {
		return sweeps
	}
	return append(sweeps,
		activities.WatchedSweep{
			Words: "reconciliation", Mark: activities.ReconciliationMark, Every: every, Schedule: workflows.ReconciliationID,
		},
		activities.WatchedSweep{
			Words: "deep reconciliation", Mark: activities.DeepReconciliationMark, Every: deepEvery, Schedule: workflows.DeepReconciliationID,
		})
}

// keepEvery is how often it is tried to make the watchdog's schedule what it should be.
const keepEvery = 10 * time.Second

// keepWatchdog makes the watchdog's schedule what it should be, once. The workers do so and not the starter, since it is
// they who watch.
func (c *crew) keepWatchdog(ctx context.Context) {
	for {
		asked, cancel := context.WithTimeout(ctx, time.Minute)
		err := schedules.KeepWatchdog(asked, c.temporal.ScheduleClient(), c.config.Watchdog.Interval)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		c.log.Warn("the watchdog's schedule cannot be made, trying again", "error", err.Error())
		if !wait(ctx, keepEvery) {
			return
		}
	}
}
