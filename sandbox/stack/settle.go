package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

// calm is how long nothing may run for the stack to count as idle: the server's list of what runs lags a little behind.
const calm = time.Second

// WaitIdle waits until all that has happened at the vendors so far is dealt with: every webhook and hook is delivered or
// given up, sweeps of both kinds that began after that are through, no process of an order is doing anything, nothing is
// parked that goes on by itself, and a reconciliation that began after all that is through, if there are any. A lifecycle
// that only waits for news is not doing anything. Nothing must happen at the vendors meanwhile. Its error tells what was
// still open when ctx ended.
func (s *Stack) WaitIdle(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		s.GHL.WaitWebhooks, s.Sage.WaitHooks,
		s.WaitSweep, s.waitCalm, // first the orders: only those that are in the books have a lifecycle to sweep
		s.waitFulfillmentSweep, s.waitCalm,
		s.WaitReconciliation, s.waitCalm,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// waitCalm waits until nothing has been open for a while.
func (s *Stack) waitCalm(ctx context.Context) error {
	var since time.Time
	return s.until(ctx, "everything is done", func(ctx context.Context) error {
		if err := s.busy(ctx); err != nil {
			since = time.Time{}
			return err
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < calm {
			return errors.New("nothing is open, but only since a moment ago")
		}
		return nil
	})
}

// WaitSweep starts a payment sweep and waits until one that began after the call has gone through to its end.
func (s *Stack) WaitSweep(ctx context.Context) error {
	return s.sweep(ctx, workflows.PaymentSweepType, workflows.PaymentSweepID(s.Location()))
}

// waitFulfillmentSweep does the same for a sweep over the shipping of orders.
func (s *Stack) waitFulfillmentSweep(ctx context.Context) error {
	return s.sweep(ctx, workflows.FulfillmentSweepType, workflows.FulfillmentSweepID(s.Location()))
}

// WaitReconciliation does the same for a reconciliation of the books, where those are scheduled.
func (s *Stack) WaitReconciliation(ctx context.Context) error {
	id := workflows.ReconciliationID(s.Location())
	_, err := s.Temporal.ScheduleClient().GetHandle(ctx, id).Describe(ctx)
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return nil
	case err != nil:
		return fmt.Errorf("look at the schedule %s: %w", id, err)
	}
	return s.sweep(ctx, workflows.SubscriptionReconciliationType, id)
}

func (s *Stack) sweep(ctx context.Context, process, schedule string) error {
	began := time.Now()
	handle := s.Temporal.ScheduleClient().GetHandle(ctx, schedule)
	asked := time.Time{}
	query := fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Completed' AND %s = '%s' AND StartTime > '%s'",
		process, workflows.LocationAttribute.GetName(), s.Location(), began.UTC().Format(time.RFC3339Nano))
	return s.until(ctx, "a sweep is through", func(ctx context.Context) error {
		n, err := s.count(ctx, query)
		if err != nil || n > 0 {
			return err
		}
		// One that still runs makes the server leave this one out, so it is asked for again.
		if time.Since(asked) > calm {
			asked = time.Now()
			if err := handle.Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP}); err != nil {
				return err
			}
		}
		return errors.New("no sweep that began since has ended")
	})
}

// Running counts the processes of orders and invoices that run at this moment, as the server's list has it.
func (s *Stack) Running(ctx context.Context) (int64, error) {
	return s.count(ctx, fmt.Sprintf("WorkflowType IN ('%s', '%s') AND ExecutionStatus = 'Running' AND %s = '%s'",
		workflows.PaymentToOrderType, workflows.InvoiceToOrderType, workflows.LocationAttribute.GetName(), s.Location()))
}

// busy tells what is still open, nil if nothing is.
func (s *Stack) busy(ctx context.Context) error {
	n, err := s.Running(ctx)
	if err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("%d processes run", n)
	}
	if err := s.shipping(ctx); err != nil {
		return err
	}
	parked, _, err := s.Store.ParkedItems(ctx, store.ParkedFilter{Location: s.Location(), Page: store.Page{Limit: 1000}})
	if err != nil {
		return err
	}
	var waiting []string
	for _, item := range parked {
		if !item.NextTry.IsZero() {
			waiting = append(waiting, fmt.Sprintf("%s (%s: %s)", item.ObjectID, item.Kind, item.Reason))
		}
	}
	if len(waiting) > 0 {
		return fmt.Errorf("%d parked items go on by themselves: %s", len(waiting), strings.Join(waiting, "; "))
	}
	return nil
}

// shipping tells which lifecycle is doing something, nil if all of them only wait for news.
func (s *Stack) shipping(ctx context.Context) error {
	query := fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running' AND %s = '%s'",
		workflows.FulfillmentType, workflows.LocationAttribute.GetName(), s.Location())
	looks, ctx := errgroup.WithContext(ctx)
	looks.SetLimit(looksAtOnce)
	var page []byte
	for more := true; more && ctx.Err() == nil; more = len(page) > 0 {
		answer, err := s.Temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, NextPageToken: page})
		if err != nil {
			return errors.Join(looks.Wait(), err)
		}
		page = answer.GetNextPageToken()
		for _, run := range answer.GetExecutions() {
			looks.Go(func() error { return s.waits(ctx, run.GetExecution()) })
		}
	}
	return looks.Wait()
}

// looksAtOnce is how many processes are looked at together.
const looksAtOnce = 8

// waits looks whether a run only waits for signals. One that has ended meanwhile is no complaint.
func (s *Stack) waits(ctx context.Context, run *commonpb.WorkflowExecution) error {
	now, err := s.Temporal.DescribeWorkflowExecution(ctx, run.GetWorkflowId(), run.GetRunId())
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return nil
	case err != nil:
		return fmt.Errorf("look at %s: %w", run.GetWorkflowId(), err)
	case now.GetPendingWorkflowTask() != nil:
		return fmt.Errorf("%s is at work", run.GetWorkflowId())
	case len(now.GetPendingActivities()) > 0:
		step := now.GetPendingActivities()[0]
		return fmt.Errorf("%s does %s, attempt %d: %s", run.GetWorkflowId(), step.GetActivityType().GetName(), step.GetAttempt(),
			step.GetLastFailure().GetMessage())
	}
	return nil
}

// until looks until there is nothing to complain of.
func (s *Stack) until(ctx context.Context, what string, complaint func(context.Context) error) error {
	tick := time.NewTicker(5 * glance)
	defer tick.Stop()
	for {
		err := complaint(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w; the last look said: %w", what, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

func (s *Stack) count(ctx context.Context, query string) (int64, error) {
	answer, err := s.Temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
	if err != nil {
		return 0, fmt.Errorf("count workflows: %w", err)
	}
	return answer.GetCount(), nil
}

// scheduleIDs are the ids of the schedules: those of our location, and the watchdog's, of which there is one for all. It
// is ours all the same, since no other workers serve the namespace.
func (s *Stack) scheduleIDs() []string {
	location := s.Location()
	return []string{
		workflows.PaymentSweepID(location), workflows.DeepSweepID(location), workflows.FulfillmentSweepID(location), workflows.WatchdogID,
		workflows.ReconciliationID(location), workflows.DeepReconciliationID(location),
	}
}

// leaveServer takes back from a server that is not ours what would go on there: the schedules, and processes that no
// worker will ever carry on, since the keys to their payloads end with us.
func (s *Stack) leaveServer(ctx context.Context) error {
	var faults []error
	for _, id := range s.scheduleIDs() {
		var missing *serviceerror.NotFound
		if err := s.Temporal.ScheduleClient().GetHandle(ctx, id).Delete(ctx); err != nil && !errors.As(err, &missing) {
			faults = append(faults, fmt.Errorf("delete the schedule %s: %w", id, err))
		}
	}
	open, err := s.Temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("ExecutionStatus = 'Running' AND (%s = '%s' OR WorkflowType = '%s')",
			workflows.LocationAttribute.GetName(), s.Location(), workflows.WatchdogType),
	})
	if err != nil {
		return errors.Join(append(faults, fmt.Errorf("list what still runs: %w", err))...)
	}
	for _, w := range open.GetExecutions() {
		var missing *serviceerror.NotFound
		err := s.Temporal.TerminateWorkflow(ctx, w.GetExecution().GetWorkflowId(), w.GetExecution().GetRunId(), "the sandbox ends")
		if err != nil && !errors.As(err, &missing) {
			faults = append(faults, fmt.Errorf("end what still runs: %w", err))
		}
	}
	return errors.Join(faults...)
}
