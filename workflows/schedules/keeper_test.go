package schedules_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

// server is a real Temporal server as a client of ours sees it.
func server(t *testing.T) client.Client {
	t.Helper()
	for _, name := range []string{"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "TEMPORAL_PROFILE", "TEMPORAL_TLS"} {
		t.Setenv(name, "")
		require.NoError(t, os.Unsetenv(name))
	}
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
	s := devservertest.Start(t, devserver.StartOptions{Headless: true, SearchAttributes: workflows.SearchAttributes()})
	ring, err := secret.GenerateRing()
	require.NoError(t, err)
	c, err := cluster.Dial(t.Context(), cluster.Options{Address: s.Address, Ring: ring})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func intervals() schedules.Intervals {
	return schedules.Intervals{
		Payments: time.Hour, Deep: 24 * time.Hour, Fulfillments: 2 * time.Hour, Reconciliation: time.Hour, DeepReconciliation: 24 * time.Hour,
	}
}

func keeper(c client.ScheduleClient) schedules.Keeper {
	i := intervals()
	return schedules.Keeper{
		Client: c, Every: i.Payments, DeepEvery: i.Deep, FulfillmentEvery: i.Fulfillments,
		ReconcileEvery: i.Reconciliation, DeepReconcileEvery: i.DeepReconciliation,
	}
}

// wanted are the schedules that the tests' keeper keeps.
func wanted(location string) []schedules.Item {
	return schedules.Wanted(intervals(), location)
}

// states are the schedules of a location, in the order of their kinds.
func states(t *testing.T, c client.ScheduleClient, location string) [5]schedules.State {
	t.Helper()
	listed, err := schedules.List(t.Context(), c, wanted(location))
	require.NoError(t, err)
	require.Len(t, listed, 5)
	for i, kind := range schedules.Kinds() {
		require.Equal(t, kind, listed[i].Kind)
	}
	return [5]schedules.State(listed)
}

// sweeps counts the sweeps that a schedule has started, and waits until there are so many. No worker carries them out.
func sweeps(t *testing.T, c client.ScheduleClient, id string, want int) {
	t.Helper()
	require.Eventually(t, func() bool {
		d, err := c.GetHandle(context.WithoutCancel(t.Context()), id).Describe(t.Context())
		return err == nil && d.Info.NumActions == want
	}, 20*time.Second, 50*time.Millisecond)
}

func TestKeeper(t *testing.T) {
	temporal := server(t)
	c, ctx := temporal.ScheduleClient(), t.Context()
	k := keeper(c)

	t.Run("nothing is there to be kept", func(t *testing.T) {
		require.NoError(t, k.Pause(ctx, "none", "why"))
		require.NoError(t, k.Resume(ctx, "none", "why"))
		require.NoError(t, k.Trigger(ctx, "none"))
		require.NoError(t, k.Remove(ctx, "none"))
		require.False(t, states(t, c, "none")[0].Exists)
	})
	t.Run("a new location is swept at once, and only once", func(t *testing.T) {
		swept, err := k.Apply(ctx, "new")
		require.NoError(t, err)
		require.True(t, swept)
		swept, err = k.Apply(ctx, "new")
		require.NoError(t, err)
		require.False(t, swept, "and a schedule that is right, its priority too, is left alone")
		sweeps(t, c, workflows.PaymentSweepID("new"), 1)
		sweeps(t, c, workflows.FulfillmentSweepID("new"), 0)
		d, err := c.GetHandle(ctx, workflows.PaymentSweepID("new")).Describe(ctx)
		require.NoError(t, err)
		action, ok := d.Schedule.Action.(*client.ScheduleWorkflowAction)
		require.True(t, ok)
		require.Equal(t, workflows.Priority("new", workflows.SweepPriority), action.Priority)
	})
	t.Run("what we paused goes on, with a sweep", func(t *testing.T) {
		_, err := k.Apply(ctx, "ours")
		require.NoError(t, err)
		require.NoError(t, k.Pause(ctx, "ours", "the connection is refused"))
		for _, s := range states(t, c, "ours") {
			require.True(t, s.Paused)
			require.Contains(t, s.Note, "the connection is refused")
		}
		require.NoError(t, k.Pause(ctx, "ours", "the connection is paused"), "for another reason")
		require.Contains(t, states(t, c, "ours")[0].Note, "the connection is paused")
		require.NoError(t, k.Trigger(ctx, "ours"))
		require.NoError(t, k.Resume(ctx, "ours", "the connection works"))
		for _, s := range states(t, c, "ours") {
			require.False(t, s.Paused)
		}
		require.NoError(t, temporal.TerminateWorkflow(ctx, states(t, c, "ours")[0].Running, "", "the test has no worker"))
		require.NoError(t, k.Trigger(ctx, "ours"))
		sweeps(t, c, workflows.PaymentSweepID("ours"), 2) // the first one, and not the one that was asked for while it was paused
		sweeps(t, c, workflows.FulfillmentSweepID("ours"), 1)
		sweeps(t, c, workflows.DeepSweepID("ours"), 0)
		sweeps(t, c, workflows.ReconciliationID("ours"), 1)
		sweeps(t, c, workflows.DeepReconciliationID("ours"), 0)
	})
	t.Run("what a person paused stays paused", func(t *testing.T) {
		_, err := k.Apply(ctx, "theirs")
		require.NoError(t, err)
		quick := schedules.Of(wanted("theirs"), schedules.Payments)
		require.NoError(t, schedules.Pause(ctx, c, quick, "stocktaking"))
		require.NoError(t, k.Pause(ctx, "theirs", "the connection is refused"))
		now := states(t, c, "theirs")
		require.Equal(t, "stocktaking", now[0].Note)
		require.Contains(t, now[1].Note, "the connection is refused")
		require.NoError(t, k.Resume(ctx, "theirs", "the connection works"))
		now = states(t, c, "theirs")
		require.True(t, now[0].Paused)
		require.False(t, now[1].Paused)
		require.False(t, now[2].Paused)
		_, err = k.Apply(ctx, "theirs")
		require.NoError(t, err)
		require.True(t, states(t, c, "theirs")[0].Paused)
	})
	t.Run("a location that leaves", func(t *testing.T) {
		_, err := k.Apply(ctx, "leaver")
		require.NoError(t, err)
		_, err = k.Apply(ctx, "other")
		require.NoError(t, err)
		require.NoError(t, k.Remove(ctx, "leaver"))
		require.NoError(t, k.Remove(ctx, "leaver"))
		require.False(t, states(t, c, "leaver")[0].Exists)
		require.True(t, states(t, c, "other")[0].Exists)
	})
}

// TestPlanSaysWhatApplyDoes: the plan changes nothing, and Apply then does what it says.
func TestPlanSaysWhatApplyDoes(t *testing.T) {
	c, ctx := server(t).ScheduleClient(), t.Context()
	once := wanted("shop")
	agree := func(items []schedules.Item, o schedules.ApplyOptions) []schedules.Change {
		t.Helper()
		before, err := schedules.List(ctx, c, once)
		require.NoError(t, err)
		planned, err := schedules.Plan(ctx, c, items, o)
		require.NoError(t, err)
		after, err := schedules.List(ctx, c, once)
		require.NoError(t, err)
		for i := range before {
			require.Equal(t, before[i].Exists, after[i].Exists, "a plan makes and removes nothing")
			require.Equal(t, before[i].Interval, after[i].Interval, "a plan changes nothing")
		}
		done, err := schedules.Apply(ctx, c, items, o)
		require.NoError(t, err)
		require.Equal(t, planned, done)
		return done
	}
	for _, change := range agree(once, schedules.ApplyOptions{}) {
		require.Equal(t, schedules.Created, change.Action)
	}
	every := intervals()
	every.Fulfillments = 3 * time.Hour
	slower := schedules.Wanted(every, "shop")
	changes := agree(slower, schedules.ApplyOptions{})
	require.Equal(t, schedules.Unchanged, changes[0].Action)
	require.Equal(t, schedules.Updated, changes[2].Action)
	require.Equal(t, []string{"every 2h0m0s becomes every 3h0m0s"}, changes[2].Differences)
	for _, change := range agree(slower, schedules.ApplyOptions{Force: true}) {
		require.Equal(t, schedules.Updated, change.Action)
		require.Empty(t, change.Differences, "it is only written anew")
	}
	every.Reconciliation, every.DeepReconciliation = 0, 0
	off := schedules.Wanted(every, "shop")
	changes = agree(off, schedules.ApplyOptions{Force: true})
	require.Equal(t, schedules.Updated, changes[0].Action)
	require.Equal(t, schedules.Removed, changes[3].Action)
	require.Equal(t, schedules.Removed, changes[4].Action)
	require.Equal(t, schedules.Unchanged, agree(off, schedules.ApplyOptions{})[3].Action, "what is gone stays gone")
	require.NoError(t, schedules.Pause(ctx, c, off, "audit"), "and need not be paused")
	require.ErrorIs(t, schedules.Pause(ctx, c, slower, "audit"), schedules.ErrMissing)
	_, err := schedules.Plan(ctx, c, schedules.Wanted(schedules.Intervals{Payments: time.Hour}, "shop"), schedules.ApplyOptions{})
	require.ErrorContains(t, err, "too short")
}
