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

// states are the two schedules of a location, the quick one first.
func states(t *testing.T, c client.ScheduleClient, k schedules.Keeper, location string) [2]schedules.State {
	t.Helper()
	listed, err := schedules.List(t.Context(), c, schedules.Wanted(k.Every, k.DeepEvery, location))
	require.NoError(t, err)
	require.Len(t, listed, 2)
	return [2]schedules.State(listed)
}

// sweeps counts the sweeps that were started, and waits until there are so many. No worker carries them out.
func sweeps(t *testing.T, c client.ScheduleClient, location string, want int) {
	t.Helper()
	require.Eventually(t, func() bool {
		d, err := c.GetHandle(context.WithoutCancel(t.Context()), workflows.PaymentSweepID(location)).Describe(t.Context())
		return err == nil && d.Info.NumActions == want
	}, 20*time.Second, 50*time.Millisecond)
}

func TestKeeper(t *testing.T) {
	temporal := server(t)
	c, ctx := temporal.ScheduleClient(), t.Context()
	k := schedules.Keeper{Client: c, Every: time.Hour, DeepEvery: 24 * time.Hour}

	t.Run("nothing is there to be kept", func(t *testing.T) {
		require.NoError(t, k.Pause(ctx, "none", "why"))
		require.NoError(t, k.Resume(ctx, "none", "why"))
		require.NoError(t, k.Trigger(ctx, "none"))
		require.NoError(t, k.Remove(ctx, "none"))
		require.False(t, states(t, c, k, "none")[0].Exists)
	})
	t.Run("a new location is swept at once, and only once", func(t *testing.T) {
		swept, err := k.Apply(ctx, "new")
		require.NoError(t, err)
		require.True(t, swept)
		swept, err = k.Apply(ctx, "new")
		require.NoError(t, err)
		require.False(t, swept, "and a schedule that is right, its priority too, is left alone")
		sweeps(t, c, "new", 1)
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
		for _, s := range states(t, c, k, "ours") {
			require.True(t, s.Paused)
			require.Contains(t, s.Note, "the connection is refused")
		}
		require.NoError(t, k.Pause(ctx, "ours", "the connection is paused"), "for another reason")
		require.Contains(t, states(t, c, k, "ours")[0].Note, "the connection is paused")
		require.NoError(t, k.Trigger(ctx, "ours"))
		require.NoError(t, k.Resume(ctx, "ours", "the connection works"))
		for _, s := range states(t, c, k, "ours") {
			require.False(t, s.Paused)
		}
		require.NoError(t, temporal.TerminateWorkflow(ctx, states(t, c, k, "ours")[0].Running, "", "the test has no worker"))
		require.NoError(t, k.Trigger(ctx, "ours"))
		sweeps(t, c, "ours", 2) // the first one, and not the one that was asked for while it was paused
	})
	t.Run("what a person paused stays paused", func(t *testing.T) {
		_, err := k.Apply(ctx, "theirs")
		require.NoError(t, err)
		quick := schedules.Wanted(k.Every, k.DeepEvery, "theirs")[:1]
		require.NoError(t, schedules.Pause(ctx, c, quick, "stocktaking"))
		require.NoError(t, k.Pause(ctx, "theirs", "the connection is refused"))
		now := states(t, c, k, "theirs")
		require.Equal(t, "stocktaking", now[0].Note)
		require.Contains(t, now[1].Note, "the connection is refused")
		require.NoError(t, k.Resume(ctx, "theirs", "the connection works"))
		now = states(t, c, k, "theirs")
		require.True(t, now[0].Paused)
		require.False(t, now[1].Paused)
		_, err = k.Apply(ctx, "theirs")
		require.NoError(t, err)
		require.True(t, states(t, c, k, "theirs")[0].Paused)
	})
	t.Run("a location that leaves", func(t *testing.T) {
		_, err := k.Apply(ctx, "leaver")
		require.NoError(t, err)
		_, err = k.Apply(ctx, "other")
		require.NoError(t, err)
		require.NoError(t, k.Remove(ctx, "leaver"))
		require.NoError(t, k.Remove(ctx, "leaver"))
		require.False(t, states(t, c, k, "leaver")[0].Exists)
		require.True(t, states(t, c, k, "other")[0].Exists)
	})
}
