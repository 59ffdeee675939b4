package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
)

// RevenueReportInput names the month whose revenue is to be reported in Sage.
type RevenueReportInput struct {
	Location string `json:"location"`
	// Month is as 2006-01, in UTC.
	Month string `json:"month"`
}

// RevenueReport puts the report of a month's revenue into Sage because somebody asked for it. The reconciliations do so by
// themselves, in the same way.
func RevenueReport(ctx workflow.Context, in RevenueReportInput) (activities.PublishRevenueResult, error) {
	return publishRevenue(ctx, in.Location, in.Month, true)
}

func publishRevenue(ctx workflow.Context, location, month string, asked bool) (result activities.PublishRevenueResult, err error) {
	err = workflow.ExecuteActivity(publishingStep(ctx, "Put the revenue of "+month+" into Sage"), intoSage.PublishRevenue,
		activities.PublishRevenueInput{Location: location, Month: month, Now: workflow.Now(ctx), Asked: asked}).Get(ctx, &result)
	return result, err
}

// publishingStep is for a report that the next run puts into Sage if this one does not, so that nothing waits long for it.
func publishingStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              SageQueue,
		StartToCloseTimeout:    5 * time.Minute,
		ScheduleToCloseTimeout: 15 * time.Minute,
		HeartbeatTimeout:       heartbeatTimeout,
		RetryPolicy:            patiently(),
		Summary:                summary,
	})
}

// planningStep is for a look into our own store that may take a while in large books, and is no reason to wait.
func planningStep(ctx workflow.Context, summary string) workflow.Context {
	policy := patiently()
	policy.MaximumAttempts = 3
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: 30 * time.Second, RetryPolicy: policy, Summary: summary,
	})
}

// publish puts the reports of revenue into Sage that are due. Whatever becomes of it, the run has done its work: what
// fails is told of and left to the next one.
func (r *reconciliation) publish(ctx workflow.Context) {
	if err := r.tryPublish(ctx); err != nil && !temporal.IsCanceledError(err) {
		workflow.GetLogger(ctx).Warn("the reports of revenue are left to the next reconciliation", "error", err)
	}
}

func (r *reconciliation) tryPublish(ctx workflow.Context) error {
	var plan activities.RevenuePlan
	err := workflow.ExecuteLocalActivity(planningStep(ctx, "See which reports of revenue are due"), books.PlanRevenue,
		activities.PlanRevenueInput{Location: r.in.Location, Now: workflow.Now(ctx)}).Get(ctx, &plan)
	if err != nil {
		return err
	}
	told := activities.TellRevenueInput{Location: r.in.Location, Now: workflow.Now(ctx)}
	for _, month := range plan.Months {
		result, err := publishRevenue(ctx, r.in.Location, month, false)
		if _, resting := restingKind(err); resting || isKind(err, activities.ReadOnly) || temporal.IsCanceledError(err) {
			return err
		}
		if err != nil {
			_, reason, _ := describe(err)
			told.Month, told.Reason = month, reason
			break // what keeps one month from Sage is likely to keep the others
		}
		if result.Outcome == activities.Created || result.Outcome == activities.Updated {
			r.at.Published++
		}
	}
	if told.Month == "" && !plan.Alerted {
		return nil
	}
	return workflow.ExecuteActivity(choreStep(ctx, "Tell whether the reports of revenue are in Sage"), books.TellRevenue, told).Get(ctx, nil)
}
