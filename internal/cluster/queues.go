package cluster

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// QueueState is how work on one task queue stands.
type QueueState struct {
	Name string
	// Workers is how many processes take work from the queue, by their identities.
	Workers int
	// Waiting is how much work waits that is at least as urgent as was asked for, and Oldest for how long the first of it
	// has. Both are approximate.
	Waiting int64
	Oldest  time.Duration
	// Limited tells that a limit of the queue holds work back, so that more workers would not help.
	Limited bool
}

// Queues tells how work on task queues stands: of activities alone, or of workflows as well for those whose name is in
// both. Of work only that counts whose priority key is at most urgent; a server that knows no priorities counts all of it.
//
// False means that the server does not let this client ask, or does not know the question.
func Queues(
	ctx context.Context, c client.Client, namespace string, urgent int32, both string, names ...string,
) (states []QueueState, told bool, err error) {
	known := make([]seen, len(names))
	var newest time.Time
	for i, name := range names {
		kinds := []enumspb.TaskQueueType{enumspb.TASK_QUEUE_TYPE_ACTIVITY}
		if name == both {
			kinds = append(kinds, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
		}
		state := QueueState{Name: name}
		known[i], err = pollersOf(ctx, c, name, kinds)
		for _, kind := range kinds {
			if err == nil {
				err = state.look(ctx, c, namespace, urgent, kind)
			}
		}
		if forbidden(err) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("ask how the queue %s stands: %w", name, err)
		}
		for _, kind := range known[i] {
			for _, at := range kind {
				if at.After(newest) {
					newest = at
				}
			}
		}
		states = append(states, state)
	}
	for i := range states {
		states[i].Workers = known[i].alive(newest)
	}
	return states, true, nil
}

// seen is when each identity was last heard of, by the kind of work it asked for.
type seen map[enumspb.TaskQueueType]map[string]time.Time

func pollersOf(ctx context.Context, c client.Client, queue string, kinds []enumspb.TaskQueueType) (seen, error) {
	o := client.DescribeTaskQueueEnhancedOptions{TaskQueue: queue, ReportPollers: true}
	found := seen{}
	for _, kind := range kinds {
		o.TaskQueueTypes = append(o.TaskQueueTypes, client.TaskQueueType(kind))
		found[kind] = map[string]time.Time{}
	}
	described, err := c.DescribeTaskQueueEnhanced(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, version := range described.VersionsInfo { //nolint:staticcheck // the other call sees one partition of a queue only
		for kind, info := range version.TypesInfo {
			for _, poller := range info.Pollers {
				times := found[enumspb.TaskQueueType(kind)]
				if times != nil && poller.LastAccessTime.After(times[poller.Identity]) {
					times[poller.Identity] = poller.LastAccessTime
				}
			}
		}
	}
	return found, nil
}

// alive counts those who were heard of lately, of the kind of work that the fewest ask for. Times are the server's and
// are compared with each other only: this machine's clock may be off.
func (s seen) alive(newest time.Time) int {
	fewest := -1
	for _, times := range s {
		n := 0
		for _, at := range times {
			if newest.Sub(at) <= pollerLife {
				n++
			}
		}
		if fewest < 0 || n < fewest {
			fewest = n
		}
	}
	return fewest
}

// look adds what waits of one kind of work.
func (s *QueueState) look(ctx context.Context, c client.Client, namespace string, urgent int32, kind enumspb.TaskQueueType) error {
	described, err := c.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: s.Name}, TaskQueueType: kind, ReportStats: true,
	})
	if err != nil {
		return err
	}
	add := func(stats *taskqueuepb.TaskQueueStats) {
		if stats.GetApproximateBacklogCount() > 0 {
			s.Waiting += stats.GetApproximateBacklogCount()
			s.Oldest = max(s.Oldest, stats.GetApproximateBacklogAge().AsDuration())
		}
	}
	s.Limited = s.Limited || described.GetStats().GetRateLimitingActive()
	if len(described.GetStatsByPriorityKey()) == 0 {
		add(described.GetStats())
		return nil
	}
	for key, stats := range described.GetStatsByPriorityKey() {
		if key <= urgent {
			add(stats)
		}
	}
	return nil
}
