package main

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

// TestTheWatchdogWatches: started by its own schedule on a real server, it sees what is there and what is not.
func TestTheWatchdogWatches(t *testing.T) {
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
	server := devservertest.Start(t, devserver.StartOptions{Headless: true, SearchAttributes: workflows.SearchAttributes()})
	log := &lines{}
	c := member(t, server.Address, identity(), log)
	c.config.Watchdog = config.Watchdog{Interval: time.Second, MissedSweeps: 3, QueueAge: time.Minute, QuotaLeft: 10}
	c.config.Sync = config.Sync{Interval: time.Hour, DeepInterval: time.Hour, Fulfillments: time.Hour}
	connection, err := c.books.SaveConnection(t.Context(), store.Connection{Location: "shop", Access: store.ByOAuth, State: store.Active})
	require.NoError(t, err)
	require.NoError(t, c.books.SettleConnection(t.Context(), "shop", connection.Version))
	c.processes.RegisterActivity(c.watchdog(nil))
	begin(t, c)
	c.keepWatchdog(t.Context())
	wrong := func(want ...string) {
		t.Helper()
		var causes []string
		require.Eventually(t, func() bool {
			alerts, _, err := c.books.Alerts(t.Context(), store.AlertFilter{Open: true})
			require.NoError(t, err)
			causes = nil
			for _, a := range alerts {
				causes = append(causes, a.Cause)
			}
			slices.Sort(causes)
			return slices.Equal(want, causes)
		}, 30*time.Second, 100*time.Millisecond, "%v", &causes)
	}
	deserted := []string{"watchdog-no-worker/tallystick-ghl", "watchdog-no-worker/tallystick-sage"}
	wrong(append(slices.Clone(deserted), "watchdog-schedule/late-refunds", "watchdog-schedule/payment-sweep")...) // no fulfilments here

	keeper := schedules.Keeper{
		Client: c.temporal.ScheduleClient(), Every: time.Hour, DeepEvery: time.Hour, FulfillmentEvery: time.Hour,
	}
	_, err = keeper.Apply(t.Context(), "shop")
	require.NoError(t, err)
	wrong(deserted...)
	for _, queue := range []string{workflows.GHLQueue, workflows.SageQueue} {
		w := worker.New(c.temporal, queue, worker.Options{DisableWorkflowWorker: true})
		w.RegisterActivity(&activities.Ledger{})
		require.NoError(t, w.Start())
		t.Cleanup(w.Stop)
	}
	wrong()

	c.config.Watchdog.Interval = 0
	c.keepWatchdog(t.Context())
	_, err = c.temporal.ScheduleClient().GetHandle(t.Context(), workflows.WatchdogID).Describe(t.Context())
	require.Error(t, err, "an interval of 0 switches it off")
	var report activities.WatchReport
	run, err := c.temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: workflows.WatchdogID, TaskQueue: workflows.MainQueue},
		workflows.WatchdogType, workflows.WatchdogInput{})
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), &report))
	require.Equal(t, activities.WatchReport{}, report)
}
