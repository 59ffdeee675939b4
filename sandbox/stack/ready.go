package stack

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tallystick/tallystick/workflows"
)

const (
	// readyTime is what a process may take until it can do its work.
	readyTime = 60 * time.Second
	// glance is the time between two looks at something that is waited for, probeTime what a look may take.
	glance    = 50 * time.Millisecond
	probeTime = 5 * time.Second
)

// longPoll is longer than a worker ever waits before it asks for work once more.
const longPoll = 70 * time.Second

// alone connects to the server and makes sure that no other workers serve the same queues: they would take our work and
// could not read it. The server still lists workers that ended a while ago.
func (s *Stack) alone(ctx context.Context) (err error) {
	if s.Temporal, err = s.dial(ctx); err != nil || s.Server != nil {
		return err
	}
	pollers, err := s.pollers(ctx, workflows.MainQueue, queues[workflows.MainQueue])
	if err != nil {
		return err
	}
	for _, p := range pollers {
		if time.Since(p.GetLastAccessTime().AsTime()) < longPoll {
			return fmt.Errorf("another worker (%s) serves the namespace %s at %s, or did so a minute ago: "+
				"choose another namespace with TEMPORAL_NAMESPACE, or unset TEMPORAL_ADDRESS", p.GetIdentity(), s.Namespace, s.TemporalAddress)
		}
	}
	return nil
}

func (s *Stack) pollers(ctx context.Context, queue string, kind enumspb.TaskQueueType) ([]*taskqueuepb.PollerInfo, error) {
	answer, err := s.Temporal.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: s.Namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue}, TaskQueueType: kind,
	})
	if err != nil {
		return nil, fmt.Errorf("ask who serves the queue %s: %w", queue, err)
	}
	return answer.GetPollers(), nil
}

// awaitReady waits for all processes, which start side by side.
func (s *Stack) awaitReady(ctx context.Context) error {
	for _, p := range s.Processes() {
		if err := p.ready(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// starterReady waits until the front door says that it can accept webhooks.
func (s *Stack) starterReady(ctx context.Context, p *Process) error {
	return p.await(ctx, "be ready to accept webhooks", func(ctx context.Context) (bool, error) {
		return answers(ctx, s.FrontDoor+"/readyz")
	})
}

// queues are those that a worker serves, with one kind of task on each that it must ask for.
var queues = map[string]enumspb.TaskQueueType{
	workflows.MainQueue: enumspb.TASK_QUEUE_TYPE_WORKFLOW,
	workflows.GHLQueue:  enumspb.TASK_QUEUE_TYPE_ACTIVITY,
	workflows.SageQueue: enumspb.TASK_QUEUE_TYPE_ACTIVITY,
}

// workerReady waits until the process has asked the server for work on every queue. Temporal's library names the process
// by its id.
func (s *Stack) workerReady(ctx context.Context, p *Process) error {
	if err := p.await(ctx, "serve its metrics", func(ctx context.Context) (bool, error) {
		return answers(ctx, p.MetricsURL)
	}); err != nil {
		return err
	}
	identity := strconv.Itoa(p.PID()) + "@"
	for queue, kind := range queues {
		if err := p.await(ctx, "take work from the queue "+queue, func(ctx context.Context) (bool, error) {
			pollers, err := s.pollers(ctx, queue, kind)
			if err != nil {
				return false, err
			}
			for _, poller := range pollers {
				if strings.HasPrefix(poller.GetIdentity(), identity) {
					return true, nil
				}
			}
			return false, nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// await looks until the fact is there, and gives up when the process ends or its time is over.
func (p *Process) await(ctx context.Context, what string, look func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	r := p.life()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		there, err := probe(ctx, look)
		if there {
			return nil
		}
		select {
		case <-r.done:
			return p.Failure()
		case <-ctx.Done():
			return fmt.Errorf("the %s did not %s: %w (last answer: %w); its log %s ends:\n%s",
				p.Name, what, context.Cause(ctx), err, p.LogFile, logEnd(p.LogFile))
		case <-tick.C:
		}
	}
}

func probe(ctx context.Context, look func(context.Context) (bool, error)) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	return look(ctx)
}

// answers tells whether a GET is answered with 200.
func answers(ctx context.Context, url string) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return true, nil
}
