package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

// What Temporal keeps that a key has sealed. Nothing of it can be sealed anew but the inputs of schedules.

// inSchedules looks at the inputs of the schedules as they are sealed.
func (r rotation) inSchedules(ctx context.Context, temporal client.Client, id string) error {
	locations, err := r.scheduled(ctx)
	if err != nil {
		return err
	}
	items := append(schedules.Wanted(intervals(r.config), locations...), schedules.Watchdog(r.config.Watchdog.Interval))
	for _, item := range items {
		d, err := temporal.ScheduleClient().GetHandle(ctx, item.ID).Describe(ctx)
		if missing(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at the schedule %s: %w", item.ID, err)
		}
		action, ok := d.Schedule.Action.(*client.ScheduleWorkflowAction)
		if !ok {
			continue
		}
		for _, arg := range action.Args {
			if payload, ok := arg.(*commonpb.Payload); ok && secret.PayloadKey(payload) == id {
				return fmt.Errorf("the input of the schedule %s is sealed with it; run `starter keys rotate`", item.ID)
			}
		}
	}
	return nil
}

// ourProcesses asks for the processes that began before or after a moment.
func ourProcesses(order string, moment time.Time) string {
	queues := strings.Join([]string{workflows.MainQueue, workflows.GHLQueue, workflows.SageQueue}, "', '")
	return fmt.Sprintf("TaskQueue IN ('%s') AND StartTime %s '%s'", queues, order, moment.UTC().Format(time.RFC3339Nano))
}

// inProcesses looks for processes that began before a moment: those that run, and those that have ended and are kept.
func (r rotation) inProcesses(ctx context.Context, temporal client.Client, until time.Time) error {
	target, err := r.clusterOptions(r.config).Target()
	if err != nil {
		return err
	}
	began := ourProcesses("<=", until)
	running, err := temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: target.Namespace, Query: began + " AND ExecutionStatus = 'Running'",
	})
	if err != nil {
		return fmt.Errorf("count the processes that run: %w", err)
	}
	if n := running.GetCount(); n > 0 {
		return fmt.Errorf("%d processes that began before %s still run; wait until they have ended", n, moment(until.UTC()))
	}
	// The server lists what was closed last first.
	closed, err := temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: target.Namespace, Query: began + " AND ExecutionStatus != 'Running'", PageSize: 100,
	})
	if err != nil {
		return fmt.Errorf("list the processes that have ended: %w", err)
	}
	if len(closed.GetExecutions()) == 0 {
		return nil
	}
	var last time.Time
	for _, e := range closed.GetExecutions() {
		if at := e.GetCloseTime().AsTime(); at.After(last) {
			last = at
		}
	}
	namespace, err := temporal.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: target.Namespace})
	if err != nil {
		return fmt.Errorf("look at the namespace %s: %w", target.Namespace, err)
	}
	retention := namespace.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
	return fmt.Errorf("processes that began before %s are kept by Temporal until %s, when the namespace's retention of %s has passed",
		moment(until.UTC()), moment(last.Add(retention).UTC()), retention)
}

// mostLooked bounds how many of the latest processes are looked at, which takes some milliseconds each.
const mostLooked = 500

// inLaterProcesses looks into the latest of the processes that began after everything had been sealed anew. Nothing in
// them should need the key, unless a program with an older SECRET_KEYS still runs, of which nothing else tells.
func (r rotation) inLaterProcesses(ctx context.Context, temporal client.Client, id string, after time.Time) error {
	list, err := temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: ourProcesses(">", after), PageSize: mostLooked,
	})
	if err != nil {
		return fmt.Errorf("list the latest processes: %w", err)
	}
	p := r.progress("looked into the latest processes", len(list.GetExecutions()))
	defer p.end()
	for _, e := range list.GetExecutions() {
		p.step()
		found, err := sealedIn(ctx, temporal, e.GetExecution(), id)
		if missing(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look into the process %s: %w", e.GetExecution().GetWorkflowId(), err)
		}
		if found {
			return fmt.Errorf("the process %s began after everything was sealed anew, and holds what is sealed with it: some program has, or "+
				"had, an older SECRET_KEYS; restart all with the present one, and wait until Temporal no longer keeps this process",
				e.GetExecution().GetWorkflowId())
		}
	}
	return nil
}

// errFound ends a visit.
var errFound = errors.New("found")

// sealedIn tells whether anything in the history of a process is sealed with a key.
func sealedIn(ctx context.Context, temporal client.Client, e *commonpb.WorkflowExecution, id string) (bool, error) {
	events := temporal.GetWorkflowHistory(ctx, e.GetWorkflowId(), e.GetRunId(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return false, err
		}
		err = proxy.VisitPayloads(ctx, event, proxy.VisitPayloadsOptions{
			SkipSearchAttributes: true,
			Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
				for _, payload := range payloads {
					if secret.PayloadKey(payload) == id {
						return nil, errFound
					}
				}
				return payloads, nil
			},
		})
		if errors.Is(err, errFound) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}
