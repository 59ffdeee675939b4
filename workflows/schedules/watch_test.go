package schedules_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

// TestSurvey: the server's list says of all schedules what the watchdog must know.
func TestSurvey(t *testing.T) {
	c, ctx := server(t).ScheduleClient(), t.Context()
	k := keeper(c)
	for _, location := range []string{"shop", "refused"} {
		_, err := k.Apply(ctx, location)
		require.NoError(t, err)
	}
	require.NoError(t, k.Pause(ctx, "refused", "the connection is refused"))
	require.NoError(t, schedules.Pause(ctx, c, schedules.Of(wanted("shop"), schedules.Deep), "stocktaking"))
	want := map[string]activities.ScheduleStanding{
		workflows.PaymentSweepID("shop"): {}, workflows.FulfillmentSweepID("shop"): {},
		workflows.DeepSweepID("shop"):       {Paused: true, ByHand: true},
		workflows.PaymentSweepID("refused"): {Paused: true}, workflows.DeepSweepID("refused"): {Paused: true},
		workflows.FulfillmentSweepID("refused"): {Paused: true},
		workflows.ReconciliationID("shop"):      {}, workflows.DeepReconciliationID("shop"): {},
		workflows.ReconciliationID("refused"): {Paused: true}, workflows.DeepReconciliationID("refused"): {Paused: true},
	}
	require.Eventually(t, func() bool {
		got, err := schedules.Survey(ctx, c)
		require.NoError(t, err)
		return len(got) == len(want) && equal(got, want)
	}, 20*time.Second, 100*time.Millisecond)
}

func equal(a, b map[string]activities.ScheduleStanding) bool {
	for id, s := range a {
		if b[id] != s {
			return false
		}
	}
	return true
}

// TestTheWatchdogsScheduleIsKept: it is made, changed and deleted as the interval says, whoever does so twice.
func TestTheWatchdogsScheduleIsKept(t *testing.T) {
	c, ctx := server(t).ScheduleClient(), t.Context()
	state := func() schedules.State {
		t.Helper()
		states, err := schedules.List(ctx, c, []schedules.Item{schedules.Watchdog(time.Hour)})
		require.NoError(t, err)
		return states[0]
	}
	require.NoError(t, schedules.KeepWatchdog(ctx, c, 0))
	require.False(t, state().Exists)
	for range 2 {
		require.NoError(t, schedules.KeepWatchdog(ctx, c, time.Hour))
		require.Equal(t, "1h0m0s", state().Interval)
	}
	d, err := c.GetHandle(ctx, workflows.WatchdogID).Describe(ctx)
	require.NoError(t, err)
	action, ok := d.Schedule.Action.(*client.ScheduleWorkflowAction)
	require.True(t, ok)
	require.Equal(t, workflows.WatchdogType, action.Workflow)
	require.Equal(t, workflows.UpkeepPriority, action.Priority.PriorityKey)
	require.NoError(t, schedules.Pause(ctx, c, []schedules.Item{schedules.Watchdog(time.Hour)}, "too loud"))
	require.NoError(t, schedules.KeepWatchdog(ctx, c, 2*time.Hour))
	require.Equal(t, "2h0m0s", state().Interval)
	require.True(t, state().Paused)
	require.NoError(t, schedules.KeepWatchdog(ctx, c, 0))
	require.False(t, state().Exists)
	require.ErrorContains(t, schedules.KeepWatchdog(ctx, c, time.Millisecond), "too short")
}
