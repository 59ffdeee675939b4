package cluster_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
)

// TestQueues looks at a queue that is worked on, and at one whose work waits because nobody takes it.
func TestQueues(t *testing.T) {
	bare(t)
	server := devservertest.Start(t, devserver.StartOptions{Headless: true})
	c, w := join(t, server.Address, "a") // takes workflows and activities from the shared queue
	defer w.Stop()
	ask := func(urgent int32) map[string]cluster.QueueState {
		states, told, err := cluster.Queues(t.Context(), c, client.DefaultNamespace, urgent, shared, shared, "deserted")
		require.NoError(t, err)
		require.True(t, told)
		byName := map[string]cluster.QueueState{}
		for _, s := range states {
			byName[s.Name] = s
		}
		return byName
	}
	require.Eventually(t, func() bool { return ask(5)[shared].Workers == 1 }, 30*time.Second, 100*time.Millisecond)
	require.Equal(t, cluster.QueueState{Name: "deserted"}, ask(5)["deserted"])

	// A process whose step is for the queue that nobody works on, of a priority of 4.
	own := worker.New(c, "queues-test", worker.Options{})
	own.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: "deserted", StartToCloseTimeout: time.Minute})
		return workflow.ExecuteActivity(ctx, "step").Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "steps"})
	require.NoError(t, own.Start())
	defer own.Stop()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		TaskQueue: "queues-test", Priority: temporal.Priority{PriorityKey: 4, FairnessKey: "shop"},
	}, "steps")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		state := ask(4)["deserted"]
		return state.Waiting == 1 && state.Oldest > time.Second && state.Workers == 0
	}, 30*time.Second, 100*time.Millisecond)
	require.Zero(t, ask(2)["deserted"].Waiting, "what waits is not urgent")

	helper := worker.New(c, "deserted", worker.Options{DisableWorkflowWorker: true})
	helper.RegisterActivityWithOptions(func(context.Context) error { return nil }, activity.RegisterOptions{Name: "step"})
	require.NoError(t, helper.Start())
	defer helper.Stop()
	require.NoError(t, run.Get(t.Context(), nil))
	require.Eventually(t, func() bool {
		state := ask(4)["deserted"]
		return state.Workers == 1 && state.Waiting == 0
	}, 30*time.Second, 100*time.Millisecond)
}

// TestQueuesThatMayNotBeAskedFor: a server that refuses to tell has nothing wrong with it.
func TestQueuesThatMayNotBeAskedFor(t *testing.T) {
	bare(t)
	_, told, err := cluster.Queues(t.Context(), pollers(t, nil), client.DefaultNamespace, 2, shared, shared)
	require.NoError(t, err)
	require.False(t, told)
}
