package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

// reporting are the steps about the books of a location that took something in February, on a real store.
func reporting(t *testing.T) (*activities.Books, *recorder) {
	t.Helper()
	b, told := newBooks(t), &recorder{}
	b.Notify = told
	b.Revenue = func(context.Context, string) (activities.RevenueSettings, error) {
		return activities.RevenueSettings{On: true, Account: 7, Day: 2}, nil
	}
	at := time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC)
	require.NoError(t, b.Store.PutEntries(t.Context(), []store.LedgerEntry{{Location: location, Entry: domain.Entry{
		Kind: domain.PaymentEntry, Side: domain.HighLevelSide, ID: "p", Amount: domain.NewMoney(100, "EUR"),
		Status: string(domain.Settled), At: at, UpdatedAt: at,
	}}}))
	return b, told
}

// reconcilesAt is a run at a time, in which reports are put into Sage by publish.
func reconcilesAt(
	t *testing.T, b *activities.Books, at time.Time,
	publish func(context.Context, activities.PublishRevenueInput) (activities.PublishRevenueResult, error),
) (p activities.ReconciliationProgress, steps []string) {
	t.Helper()
	w := newLedgerWorld(t, 3, 100, at.Add(-time.Hour), at)
	r := w.run(t, b)
	r.SetStartTime(at)
	r.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		steps = append(steps, info.ActivityType.Name)
	})
	r.OnActivity("PublishRevenue", mock.Anything, mock.Anything).Return(publish).Maybe()
	p = r.reconciles(workflows.SubscriptionReconciliationInput{Location: location})
	require.Len(t, w.closed, 1, "whatever becomes of reports, the cursors move")
	require.Equal(t, activities.StageDone, p.Stage)
	return p, steps
}

func TestAReconciliationPutsTheRevenueIntoSageOncePerRun(t *testing.T) {
	b, _ := reporting(t)
	var published []activities.PublishRevenueInput
	publish := func(_ context.Context, in activities.PublishRevenueInput) (activities.PublishRevenueResult, error) {
		published = append(published, in)
		return activities.PublishRevenueResult{Outcome: activities.Created}, nil
	}
	p, steps := reconcilesAt(t, b, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), publish)
	require.Zero(t, p.Published)
	require.Empty(t, published, "its day has not come")
	require.NotContains(t, steps, "TellRevenue")

	day := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	p, steps = reconcilesAt(t, b, day, publish)
	require.Equal(t, 1, p.Published)
	require.Len(t, published, 1)
	require.Equal(t, "2026-02", published[0].Month)
	require.False(t, published[0].Asked)
	require.True(t, published[0].Now.Equal(day) || published[0].Now.After(day))
	require.NotContains(t, steps, "TellRevenue", "there is nothing to tell")

	for name, off := range map[string]func(context.Context, string) (activities.RevenueSettings, error){
		"off": func(context.Context, string) (activities.RevenueSettings, error) {
			return activities.RevenueSettings{}, nil
		},
		"the settings cannot be read": func(context.Context, string) (activities.RevenueSettings, error) {
			return activities.RevenueSettings{}, &activities.Fault{Kind: activities.Mapping, Words: "no tenant"}
		},
	} {
		b.Revenue = off
		_, steps = reconcilesAt(t, b, day, publish)
		require.Len(t, published, 1, name)
		require.NotContains(t, steps, "TellRevenue", name)
	}
}

func TestAReportThatFailsHoldsUpNothingAndIsToldOnce(t *testing.T) {
	b, told := reporting(t)
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	var cause error
	publish := func(context.Context, activities.PublishRevenueInput) (activities.PublishRevenueResult, error) {
		return activities.PublishRevenueResult{Outcome: activities.Created}, cause
	}
	for _, kind := range []activities.Kind{activities.Reconnect, activities.Paused, activities.ReadOnly} {
		cause = fault(kind, "not now")
		reconcilesAt(t, b, at, publish)
		require.Empty(t, told.texts, "there is somebody else to tell of that")
	}
	for name, c := range map[string]error{
		"a fault of the settings": fault(activities.Mapping, "there is no account 7"),
		"one that does not pass":  temporal.NewApplicationError("Sage is down", string(activities.Unavailable)),
	} {
		cause = c
		reconcilesAt(t, b, at, publish)
		at = at.Add(time.Minute)
		reconcilesAt(t, b, at, publish)
		require.Len(t, told.texts, 1, name)
		require.Contains(t, told.texts[0], "the revenue of 2026-02 could not be put into Sage", name)
		cause = nil
		p, steps := reconcilesAt(t, b, at, publish)
		require.Equal(t, 1, p.Published, name)
		require.Contains(t, steps, "TellRevenue")
		require.Len(t, told.texts, 2, name)
		require.Contains(t, told.texts[1], "nothing keeps the reports of revenue from Sage any more")
		told.texts = nil
	}
}

func TestARevenueReportThatIsAskedFor(t *testing.T) {
	r := anyRun(t)
	r.OnActivity("PublishRevenue", mock.Anything, mock.MatchedBy(func(in activities.PublishRevenueInput) bool {
		return in.Location == location && in.Month == "2026-02" && in.Asked && !in.Now.IsZero()
	})).Return(activities.PublishRevenueResult{Outcome: activities.Created, Account: 7, Activity: 9}, nil).Once()
	r.ExecuteWorkflow(workflows.RevenueReport, workflows.RevenueReportInput{Location: location, Month: "2026-02"})
	require.NoError(t, r.GetWorkflowError())
	var result activities.PublishRevenueResult
	require.NoError(t, r.GetWorkflowResult(&result))
	require.EqualValues(t, 9, result.Activity)
	r.AssertExpectations(t)

	r = anyRun(t)
	r.OnActivity("PublishRevenue", mock.Anything, mock.Anything).Return(activities.PublishRevenueResult{}, fault(activities.Mapping, "there is no account 7"))
	r.ExecuteWorkflow(workflows.RevenueReport, workflows.RevenueReportInput{Location: location, Month: "2026-02"})
	require.ErrorContains(t, r.GetWorkflowError(), "there is no account 7")
}
