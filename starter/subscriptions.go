package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

// wanted is a reconciliation as somebody asks for it.
type wanted struct{ deep, again, wait, dryRun bool }

// syncSubscriptions is the command that starts a reconciliation.
func syncSubscriptions(a *app) *cobra.Command {
	var where location
	var w wanted
	c := &cobra.Command{
		Use: "subscriptions", Short: "Make what both sides hold of payments, refunds and subscriptions agree, now", Args: cobra.NoArgs,
		Long: "Make what both sides hold of payments, refunds and subscriptions agree, now, as the schedules do: read what is new at\n" +
			"HighLevel and what changed in Sage, bring what Sage lacks, and compare both. One that runs is not disturbed; another\n" +
			"follows it. What is in step costs no write. With --deep everything within REFUND_WINDOW is read. It works also where\n" +
			"RECONCILE switches the schedules off.",
		Example: "  starter sync subscriptions --wait\n  starter sync subscriptions --deep --again",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withDesk(c.Context(), &where, func(d *desk) error { return d.syncSubscriptions(c.Context(), a, w) })
		},
	}
	where.add(c)
	c.Flags().BoolVar(&w.deep, "deep", false, "everything within REFUND_WINDOW, not only what is new")
	c.Flags().BoolVar(&w.again, "again", false, "bring all that is read once more, as after a change of settings")
	c.Flags().BoolVar(&w.wait, "wait", false, "wait until it has ended, and say what it did")
	dryRunFlag(c, &w.dryRun)
	return c
}

func (d *desk) syncSubscriptions(ctx context.Context, a *app, w wanted) error {
	if w.dryRun {
		_, _ = fmt.Fprintf(a.out, "%s  would be started now\n", d.reconciliation(w.deep).ID)
		return nil
	}
	p := a.progress("", 0)
	defer p.end()
	p.say("starting")
	run, err := d.beginReconciliation(ctx, w)
	if err != nil {
		return err
	}
	entry := store.AuditEntry{
		At: time.Now().UTC(), Location: d.location, Actor: actor(), Action: "sync subscriptions", Object: run.WorkflowID,
	}
	if err := d.store.Audit(ctx, entry); err != nil {
		return err
	}
	if !w.wait {
		p.end()
		_, _ = fmt.Fprintf(a.out, "%s  started\n", run.WorkflowID)
		return nil
	}
	p.say("reconciling, " + run.WorkflowID)
	var done activities.ReconciliationProgress
	if err := d.temporal.GetWorkflow(ctx, run.WorkflowID, run.RunID).Get(ctx, &done); err != nil {
		return fmt.Errorf("%s: %w", run.WorkflowID, faultOf(err))
	}
	p.end()
	return reconciled(a.out, run.WorkflowID, done)
}

// faultOf is what a process failed of. The layers around it name types and ids of Temporal, and the process is named by the
// command.
func faultOf(err error) error {
	var fault *temporal.ApplicationError
	if errors.As(err, &fault) {
		return errors.New(fault.Message())
	}
	return err
}

// reconciled says what a reconciliation did. One that came to no end is a fault.
func reconciled(out io.Writer, id string, p activities.ReconciliationProgress) error {
	switch {
	case p.Off:
		return fmt.Errorf("%s did nothing: RECONCILE is off", id)
	case p.Stopped != "":
		return fmt.Errorf("%s was not finished, as the connection does not work (%s): see `starter connect show`", id, p.Stopped)
	}
	_, _ = fmt.Fprintf(out, "%s  done: %d rows read, %d of them new or changed; %d records created and %d updated in Sage",
		id, p.Rows, p.Changed, p.Created, p.Updated)
	for _, more := range []struct {
		n     int64
		words string
	}{
		{int64(p.Looks), "orders looked at again"}, {int64(p.Unreadable), "rows unreadable"}, {int64(p.Parked), "records parked"},
		{int64(p.Waiting), "payments wait for their orders, and are brought by the runs after those"},
		{int64(p.Published), "reports of revenue put into Sage"},
		{p.Differences, "differences left: `starter diff` lists them"},
	} {
		if more.n > 0 {
			_, _ = fmt.Fprintf(out, "; %d %s", more.n, more.words)
		}
	}
	_, _ = fmt.Fprintln(out)
	return nil
}

// reconciliation is the schedule of a location's reconciliations of a kind.
func (d *desk) reconciliation(deep bool) schedules.Item {
	kind := schedules.Reconciliation
	if deep {
		kind = schedules.DeepReconciliation
	}
	return schedules.Of(schedules.Wanted(intervals(d.config), d.location), kind)[0]
}

// beginReconciliation starts one by its schedule, since that lets one follow another. Where there is none, or for what no
// schedule does, it is started by itself.
func (d *desk) beginReconciliation(ctx context.Context, w wanted) (schedules.Sweep, error) {
	if item := d.reconciliation(w.deep); !w.again && !item.Off() {
		run, err := schedules.Trigger(ctx, d.temporal.ScheduleClient(), item)
		if !errors.Is(err, schedules.ErrMissing) {
			return run, err
		}
	}
	run, err := d.door.Reconcile(ctx, workflows.SubscriptionReconciliationInput{Location: d.location, Deep: w.deep, Again: w.again})
	if err != nil {
		return schedules.Sweep{}, err
	}
	return schedules.Sweep{WorkflowID: run.GetID(), RunID: run.GetRunID()}, nil
}

// lastRun gives the handle of a workflow's latest run.
func (d *desk) lastRun(ctx context.Context, id string) client.WorkflowRun {
	return d.temporal.GetWorkflow(ctx, id, "")
}
