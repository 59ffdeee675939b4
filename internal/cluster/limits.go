package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// LimitQueues lets the server hand out no more than so many activities a second of any one fairness key, for each of the
// queues named. It holds for all workers together and until it is set again, and it needs no restart of any of them.
//
// It spreads work fairly and is no vendor's limit: a fresh queue lets an extra second's worth through. A server that
// does not know such limits, or does not allow them to be set, works without them; then the error says so and nothing
// else is lost.
func LimitQueues(ctx context.Context, c client.Client, namespace string, perKey map[string]float64) error {
	var faults []error
	for _, queue := range slices.Sorted(maps.Keys(perKey)) {
		_, err := c.WorkflowService().UpdateTaskQueueConfig(ctx, &workflowservice.UpdateTaskQueueConfigRequest{
			Namespace: namespace, TaskQueue: queue, TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY,
			UpdateFairnessKeyRateLimitDefault: &workflowservice.UpdateTaskQueueConfigRequest_RateLimitUpdate{
				RateLimit: &taskqueuepb.RateLimit{RequestsPerSecond: float32(perKey[queue])},
				Reason:    "no location takes all of the workers",
			},
		})
		if err != nil {
			faults = append(faults, fmt.Errorf("limit the queue %s: %w", queue, err))
		}
	}
	return errors.Join(faults...)
}

// pollerLife is how long after its last sign of life a poller is still counted. A poll waits for up to a minute, so that
// an idle worker is heard of that seldom.
const pollerLife = 90 * time.Second

// Peers tells this process's place among those that take work from a queue: all of them that look at the same moment get
// the same count, and each a rank of its own, from 0. A process is known by its client's identity. One that the server
// has not heard of yet counts itself all the same.
//
// A process that died is counted for another minute and a half: until then there are thought to be more than there are.
// So is one that stopped orderly, unless the server's frontend.enableCancelWorkerPollsOnShutdown is on. Whoever knows
// better says so by gone, which may be nil.
func Peers(ctx context.Context, c client.Client, queue, self string, gone func(identity string) bool) (rank, count int, err error) {
	described, err := c.DescribeTaskQueueEnhanced(ctx, client.DescribeTaskQueueEnhancedOptions{
		TaskQueue: queue, ReportPollers: true,
		TaskQueueTypes: []client.TaskQueueType{client.TaskQueueTypeWorkflow, client.TaskQueueTypeActivity},
	})
	if err != nil {
		return 0, 1, fmt.Errorf("ask who works on the queue %s: %w", queue, err)
	}
	seen := map[string]time.Time{}
	var newest time.Time
	for _, version := range described.VersionsInfo { //nolint:staticcheck // the other call sees one partition of a queue only
		for _, kind := range version.TypesInfo {
			for _, poller := range kind.Pollers {
				if poller.LastAccessTime.After(seen[poller.Identity]) {
					seen[poller.Identity] = poller.LastAccessTime
				}
				if poller.LastAccessTime.After(newest) {
					newest = poller.LastAccessTime
				}
			}
		}
	}
	// Times are the server's and are compared with each other only: this machine's clock may be off.
	maps.DeleteFunc(seen, func(who string, at time.Time) bool {
		return newest.Sub(at) > pollerLife || (gone != nil && gone(who))
	})
	seen[self] = newest
	all := slices.Sorted(maps.Keys(seen))
	return slices.Index(all, self), len(all), nil
}
