package main

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	"github.com/tallystick/tallystick/workflows"
)

// TestAFastTenantIsNotHeldToTheEnvironmentsPace: the server knows one limit for the steps of every location, and a tenant
// with a better plan than the environment's is connected while the worker runs.
func TestAFastTenantIsNotHeldToTheEnvironmentsPace(t *testing.T) {
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
	server := devservertest.Start(t, devserver.StartOptions{Headless: true})
	ring, err := secret.GenerateRing()
	require.NoError(t, err)
	var cfg config.Config
	cfg.GHL.RequestsPer10Seconds, cfg.Sage.RequestsPerSecond = 95, 3
	c := &crew{config: cfg, log: slog.New(slog.DiscardHandler), namespace: "default", books: books(t, "slow")}
	c.temporal, err = cluster.Dial(t.Context(), cluster.Options{Address: server.Address, Ring: ring})
	require.NoError(t, err)
	t.Cleanup(c.temporal.Close)
	c.directory, err = connections.Open(connections.Options{Config: cfg, Store: c.books, Ring: ring})
	require.NoError(t, err)
	t.Cleanup(c.directory.Close)
	limits := func(ghl, sage float64) {
		t.Helper()
		for queue, want := range map[string]float64{workflows.GHLQueue: ghl, workflows.SageQueue: sage} {
			described, err := c.temporal.WorkflowService().DescribeTaskQueue(t.Context(), &workflowservice.DescribeTaskQueueRequest{
				Namespace: "default", TaskQueue: &taskqueuepb.TaskQueue{Name: queue},
				TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, ReportConfig: true,
			})
			require.NoError(t, err)
			require.InDelta(t, want, described.GetConfig().GetFairnessKeysRateLimitDefault().GetRateLimit().GetRequestsPerSecond(), 0.001)
		}
	}
	set := c.limitOnce(t.Context(), nil)
	limits(9.5, 3)

	settings, err := connections.SealSettings(ring, "fast", config.Settings{
		Sage: config.Sage{PublicKey: "public", PrivateKey: "private", RequestsPerSecond: 13},
	})
	require.NoError(t, err)
	fast, err := c.books.SaveConnection(t.Context(), store.Connection{
		Location: "fast", Access: store.ByOAuth, State: store.Active, Sage: store.SageOfItsOwn, Settings: settings,
	})
	require.NoError(t, err)
	set = c.limitOnce(t.Context(), set)
	limits(9.5, 13)

	fast.State = store.Retired
	_, err = c.books.SaveConnection(t.Context(), fast)
	require.NoError(t, err)
	c.limitOnce(t.Context(), set)
	limits(9.5, 3)
}
