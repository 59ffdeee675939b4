package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
)

const shared = "peers-test"

// join starts a worker of its own client and identity, as another process would.
func join(t *testing.T, address, identity string) (client.Client, worker.Worker) {
	t.Helper()
	c, err := cluster.Dial(t.Context(), cluster.Options{Address: address, Identity: identity, Ring: ring(t)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	w := worker.New(c, shared, worker.Options{})
	w.RegisterWorkflowWithOptions(func(workflow.Context) error { return nil }, workflow.RegisterOptions{Name: "none"})
	w.RegisterActivityWithOptions(func(context.Context) error { return nil }, activity.RegisterOptions{Name: "none"})
	require.NoError(t, w.Start())
	return c, w
}

// place asks until there are so many, and returns the rank.
func place(t *testing.T, c client.Client, self string, count int) int {
	t.Helper()
	var rank int
	require.Eventually(t, func() bool {
		r, n, err := cluster.Peers(t.Context(), c, shared, self, nil)
		rank = r
		return err == nil && n == count
	}, 30*time.Second, 100*time.Millisecond)
	return rank
}

func TestPeersCountThemselves(t *testing.T) {
	bare(t)
	server := devservertest.Start(t, devserver.StartOptions{Headless: true, DynamicConfig: map[string]string{
		"frontend.enableCancelWorkerPollsOnShutdown": "true",
	}})
	b, bWorker := join(t, server.Address, "b")
	require.Equal(t, 0, place(t, b, "b", 1), "alone")
	rank, count, err := cluster.Peers(t.Context(), b, shared, "a", nil)
	require.NoError(t, err)
	require.Equal(t, []int{0, 2}, []int{rank, count}, "a newcomer counts itself before it is heard of")

	a, aWorker := join(t, server.Address, "a")
	c, cWorker := join(t, server.Address, "c")
	defer cWorker.Stop()
	require.Equal(t, 0, place(t, a, "a", 3))
	require.Equal(t, 1, place(t, b, "b", 3))
	require.Equal(t, 2, place(t, c, "c", 3))

	// One that ends orderly gives its place up at once: nobody waits for what a crashed one would have cost.
	aWorker.Stop()
	require.Equal(t, 0, place(t, b, "b", 2))
	require.Equal(t, 1, place(t, c, "c", 2))
	bWorker.Stop()
	require.Equal(t, 0, place(t, c, "c", 1))
}

func TestPeersForgetTheDead(t *testing.T) {
	bare(t)
	_, _, err := cluster.Peers(t.Context(), pollers(t, nil), shared, "b", nil)
	require.ErrorContains(t, err, shared)

	// The machine's clock is years ahead of the server's, and nobody is forgotten for it.
	then := time.Now().AddDate(-3, 0, 0)
	c := pollers(t, map[string]time.Time{"a": then.Add(-91 * time.Second), "b": then, "c": then.Add(-89 * time.Second)})
	rank, count, err := cluster.Peers(t.Context(), c, shared, "b", nil)
	require.NoError(t, err)
	require.Equal(t, []int{0, 2}, []int{rank, count})

	rank, count, err = cluster.Peers(t.Context(), c, shared, "d", func(who string) bool { return who != "b" })
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, []int{rank, count}, "whoever knows of an end is believed, but never of one's own")
}

// TestLimitQueues: a location of many steps leaves another one its share, and no location goes faster than it may.
func TestLimitQueues(t *testing.T) {
	bare(t)
	server := devservertest.Start(t, devserver.StartOptions{Headless: true})
	c, err := cluster.Dial(t.Context(), cluster.Options{Address: server.Address, Ring: ring(t)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, cluster.LimitQueues(t.Context(), c, client.DefaultNamespace, map[string]float64{"limited": 5, "limited-too": 2.5}))
	for queue, want := range map[string]float32{"limited": 5, "limited-too": 2.5} {
		described, err := c.WorkflowService().DescribeTaskQueue(t.Context(), &workflowservice.DescribeTaskQueueRequest{
			Namespace: client.DefaultNamespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue},
			TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, ReportConfig: true,
		})
		require.NoError(t, err)
		got := described.GetConfig().GetFairnessKeysRateLimitDefault().GetRateLimit().GetRequestsPerSecond()
		require.InDelta(t, want, got, 0.001)
	}

	const each = 15
	var mu sync.Mutex
	began := map[string][]time.Time{}
	w := worker.New(c, "limited", worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute, DisableEagerExecution: true})
		return workflow.ExecuteActivity(ctx, "step").Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "steps"})
	w.RegisterActivityWithOptions(func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		key := activity.GetInfo(ctx).Priority.FairnessKey // inherited: the workflow does not name it
		began[key] = append(began[key], time.Now())
		return nil
	}, activity.RegisterOptions{Name: "step"})
	require.NoError(t, w.Start())
	defer w.Stop()
	var runs []client.WorkflowRun
	for i := range 2 * each {
		run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
			TaskQueue: "limited", Priority: temporal.Priority{PriorityKey: 2, FairnessKey: fmt.Sprint("loc", i%2)},
		}, "steps")
		require.NoError(t, err)
		runs = append(runs, run)
	}
	for _, run := range runs {
		require.NoError(t, run.Get(t.Context(), nil))
	}
	require.Len(t, began, 2)
	for key, times := range began {
		require.Len(t, times, each)
		// 15 steps at 5 a second, of which a second's worth may come at once: never in less than about two seconds.
		require.Greater(t, times[each-1].Sub(times[0]), 1200*time.Millisecond, key)
	}
}

func TestLimitQueuesOnAServerThatHasNone(t *testing.T) {
	bare(t)
	address := fake(t, systemInfo)
	c, err := cluster.Dial(t.Context(), cluster.Options{Address: address, Ring: ring(t)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	err = cluster.LimitQueues(t.Context(), c, "books", map[string]float64{"one": 1, "two": 2})
	require.ErrorContains(t, err, "limit the queue one")
	require.ErrorContains(t, err, "limit the queue two")
}

// pollers is a client of a server that tells of these, or refuses to tell where there are none.
func pollers(t *testing.T, lastSeen map[string]time.Time) client.Client {
	t.Helper()
	address := fake(t, func(method string) (proto.Message, error) {
		if method != "DescribeTaskQueue" {
			return systemInfo(method)
		}
		if lastSeen == nil {
			return nil, status.Error(codes.PermissionDenied, "not here")
		}
		kind := &taskqueuepb.TaskQueueTypeInfo{}
		for identity, at := range lastSeen {
			kind.Pollers = append(kind.Pollers, &taskqueuepb.PollerInfo{Identity: identity, LastAccessTime: timestamppb.New(at)})
		}
		//nolint:staticcheck // what Peers asks for
		return &workflowservice.DescribeTaskQueueResponse{VersionsInfo: map[string]*taskqueuepb.TaskQueueVersionInfo{
			"": {TypesInfo: map[int32]*taskqueuepb.TaskQueueTypeInfo{int32(enumspb.TASK_QUEUE_TYPE_WORKFLOW): kind}},
		}}, nil
	})
	c, err := cluster.Dial(t.Context(), cluster.Options{Address: address, Ring: ring(t)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}
