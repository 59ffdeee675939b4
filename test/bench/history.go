package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
)

// cost is what a workflow's history shows of its price.
type cost struct {
	events, bytes, actions int64
	// byKind are the actions by what causes them.
	byKind map[string]int64
}

// steps are the regular activities of a payment.
func (c cost) steps() int64 { return c.byKind["activity"] }

// costOf reads a workflow's history as far as it has come.
func costOf(ctx context.Context, temporal client.Client, id string) (cost, error) {
	described, err := temporal.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return cost{}, fmt.Errorf("describe %s: %w", id, err)
	}
	events, err := historyOf(ctx, temporal, id)
	if err != nil {
		return cost{}, err
	}
	c := cost{
		events: described.GetWorkflowExecutionInfo().GetHistoryLength(),
		bytes:  described.GetWorkflowExecutionInfo().GetHistorySizeBytes(), byKind: actions(events),
	}
	for _, n := range c.byKind {
		c.actions += n
	}
	return c, nil
}

// costOfPassage is the cost of a payment, and of the workflow that it starts to follow the goods, as far as that has come.
func costOfPassage(ctx context.Context, temporal client.Client, p passage) (cost, error) {
	sum, err := costOf(ctx, temporal, p.id)
	if err != nil || p.life == "" {
		return sum, err
	}
	life, err := costOf(ctx, temporal, p.life)
	if err != nil {
		return sum, fmt.Errorf("the payment was not handed on: %w", err)
	}
	sum.events, sum.bytes, sum.actions = sum.events+life.events, sum.bytes+life.bytes, sum.actions+life.actions
	for kind, n := range life.byKind {
		sum.byKind["shipping's "+kind] += n
	}
	return sum, nil
}

// historyOf is that of a workflow's last run.
func historyOf(ctx context.Context, temporal client.Client, id string) ([]*historypb.HistoryEvent, error) {
	return historyOfRun(ctx, temporal, id, "")
}

func historyOfRun(ctx context.Context, temporal client.Client, id, run string) ([]*historypb.HistoryEvent, error) {
	var events []*historypb.HistoryEvent
	pages := temporal.GetWorkflowHistory(ctx, id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for pages.HasNext() {
		e, err := pages.Next()
		if err != nil {
			return nil, fmt.Errorf("read the history of %s: %w", id, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// actions counts what Temporal Cloud bills as an Action, by its documentation: a start with the signal that caused it is
// one, all local activities of a workflow task are one, and each retry of an activity is one more. Heartbeats are not in
// the history; ours come after five seconds only.
func actions(events []*historypb.HistoryEvent) map[string]int64 {
	n := map[string]int64{}
	tasksWithLocal := map[int64]bool{}
	for _, e := range events {
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
			n["start"]++
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
			if e.GetEventId() > 2 { // the second event is the signal that came with the start
				n["signal"]++
			}
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			n["activity"]++
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED:
			n["retry"] += int64(e.GetActivityTaskStartedEventAttributes().GetAttempt() - 1)
		case enumspb.EVENT_TYPE_MARKER_RECORDED:
			tasksWithLocal[e.GetMarkerRecordedEventAttributes().GetWorkflowTaskCompletedEventId()] = true
		case enumspb.EVENT_TYPE_TIMER_STARTED:
			n["timer"]++
		case enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
			n["upsert"]++
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
			n["continue-as-new"]++
		case enumspb.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
			n["child"] += 2
		case enumspb.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
			n["signal sent"]++
		}
	}
	n["local activities"] = int64(len(tasksWithLocal))
	return n
}

// script is what a workflow of ours had done, for the ceiling to do likewise: as many steps, on as many queues, with
// payloads of the same size, and a workflow started that waits.
type script struct {
	Steps  []step          `json:"steps"`
	Result json.RawMessage `json:"result"`
	// Waits says that the last step started a workflow that waits for signals.
	Waits bool `json:"waits"`
	// Delay is how long the server was asked to keep that workflow before its first task.
	Delay time.Duration `json:"delay"`
}

type step struct {
	Queue   string          `json:"queue"`
	Summary string          `json:"summary"`
	Input   json.RawMessage `json:"input"`
	Result  json.RawMessage `json:"result"`
}

// scriptOf reads the steps of a payment from its workflow's history, which is closed.
func scriptOf(ctx context.Context, temporal client.Client, payloads converter.DataConverter, p passage) (script, error) {
	id := p.id
	events, err := historyOf(ctx, temporal, id)
	if err != nil {
		return script{}, err
	}
	var s script
	if s.Waits, s.Delay, err = handedOn(ctx, temporal, p.life); err != nil {
		return s, err
	}
	byEvent := map[int64]int{}
	for _, e := range events {
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			scheduled := e.GetActivityTaskScheduledEventAttributes()
			one := step{Queue: scheduled.GetTaskQueue().GetName()}
			err = payloads.FromPayloads(scheduled.GetInput(), &one.Input)
			if summary := e.GetUserMetadata().GetSummary(); err == nil && summary != nil {
				err = payloads.FromPayload(summary, &one.Summary)
			}
			byEvent[e.GetEventId()] = len(s.Steps)
			s.Steps = append(s.Steps, one)
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
			completed := e.GetActivityTaskCompletedEventAttributes()
			err = payloads.FromPayloads(completed.GetResult(), &s.Steps[byEvent[completed.GetScheduledEventId()]].Result)
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
			err = payloads.FromPayloads(e.GetWorkflowExecutionCompletedEventAttributes().GetResult(), &s.Result)
		}
		if err != nil {
			return s, fmt.Errorf("read event %d of %s: %w", e.GetEventId(), id, err)
		}
	}
	if len(s.Steps) == 0 || len(s.Result) == 0 {
		return s, fmt.Errorf("the workflow %s took no steps or did not end well", id)
	}
	return s, nil
}

// handedOn tells whether a workflow exists, and with what delay it was started.
func handedOn(ctx context.Context, temporal client.Client, id string) (bool, time.Duration, error) {
	events, err := historyOf(ctx, temporal, id)
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) || (err == nil && len(events) == 0) {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	return true, events[0].GetWorkflowExecutionStartedEventAttributes().GetFirstWorkflowTaskBackoff().AsDuration(), nil
}
