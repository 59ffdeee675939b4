package main

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

func day(text string) time.Time {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return at
}

func TestThePeriodOfABackfill(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		b           backfill
		from, until time.Time
	}{
		{b: backfill{}},
		{b: backfill{from: "2024-01-01"}, from: day("2024-01-01")},
		{b: backfill{from: "2024-01-01", to: "2024-12-31"}, from: day("2024-01-01"), until: day("2025-01-01")},
		{b: backfill{from: "2024-01-01", to: "2024-12-31T10:00:00Z"}, from: day("2024-01-01"), until: day("2024-12-31").Add(10 * time.Hour)},
		{b: backfill{from: "24h", to: "2026-03-01"}, from: now.Add(-24 * time.Hour), until: now},
		{b: backfill{stop: true}},
	} {
		p, err := c.b.period(now)
		require.NoError(t, err)
		assert.True(t, p.From.Equal(c.from), "%+v", c.b)
		assert.True(t, p.Before.Equal(c.until), "%+v", c.b)
	}
	for _, b := range []backfill{
		{to: "2024-12-31"}, {afresh: true}, {from: "soon"}, {from: "2024-01-01", to: "later"}, {from: "2024-02-01", to: "2024-01-01"},
		{from: "2026-04-01"}, {stop: true, from: "2024-01-01"},
	} {
		_, err := b.period(now)
		var wrong usageError
		assert.ErrorAs(t, err, &wrong, "%+v", b)
	}
}

func TestABackfillGoesOnOnlyWithTheSameTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	kept := store.Progress{From: day("2024-01-01"), Before: day("2025-01-01")}
	for _, c := range []struct {
		asked  activities.Period
		goesOn bool
	}{
		{activities.Period{}, true}, {activities.Period{From: kept.From}, true}, {activities.Period{From: kept.From, Before: kept.Before}, true},
		{activities.Period{From: day("2024-01-02")}, false}, {activities.Period{From: kept.From, Before: day("2025-02-01")}, false},
	} {
		p, goesOn := chosen(c.asked, kept, true, now)
		assert.Equal(t, c.goesOn, goesOn, "%+v", c.asked)
		if goesOn {
			assert.Equal(t, activities.Period{From: kept.From, Before: kept.Before}, p)
		} else {
			assert.False(t, p.Before.IsZero())
		}
	}
	p, goesOn := chosen(activities.Period{From: kept.From}, kept, false, now)
	assert.False(t, goesOn, "one that is through is not gone on with")
	assert.Equal(t, now, p.Before)
}

func TestThePaceOfABackfill(t *testing.T) {
	p := store.Progress{
		Stage: "transactions", From: day("2024-01-01"), Before: day("2024-05-10"), At: day("2024-01-01"), Pages: 10, Records: 1000,
	}
	later := p
	later.Stage, later.At, later.Pages, later.Records = "orders", day("2024-02-10"), 40, 4000 // 40 of 130 days
	assert.Equal(t, "step 1 of 5: reading payments and orders, up to 2024-02-10 (30 %), 40 pages, 4000 records, 50.0/s, about 2m15s left of this step",
		pace(p, later, time.Minute))
	assert.Equal(t, "step 1 of 5: reading payments and orders, up to 2024-01-01, 10 pages, 1000 records", pace(p, p, 0))

	bring := store.Progress{Stage: "bring", Pages: 1, Records: 40, Total: 440}
	more := bring
	more.Pages, more.Records = 6, 240
	assert.Equal(t, "step 4 of 5: bringing into Sage (54 %), 6 pages, 240 records, 2.0/s, about 1m40s left of this step",
		pace(bring, more, 100*time.Second))
	assert.Equal(t, "something new, 1 pages, 40 records", pace(store.Progress{}, store.Progress{Stage: "something new", Pages: 1, Records: 40}, 0))

	out := &lockedBuffer{}
	s := shown{out: out, every: 10 * time.Second}
	at := time.Unix(1000, 0)
	for range 25 { // looks once a second, and no terminal
		s.show(p, at)
		at = at.Add(time.Second)
	}
	assert.Equal(t, 3, strings.Count(out.String(), "\n"))
	assert.NotContains(t, out.String(), "\r")
	s.show(bring, at)
	assert.Equal(t, 4, strings.Count(out.String(), "\n"), "a new step is told at once")
	s.terminal = true
	s.show(more, at)
	assert.Contains(t, out.String(), "\r\033[K")
}

// rowsAtHighLevel are 30 pages of transactions, of which a gate lets some through.
type rowsAtHighLevel struct {
	read [30]atomic.Int32
	gate chan struct{}
}

func (r *rowsAtHighLevel) page(ctx context.Context, in activities.ReadBooksInput) (activities.BooksPage, error) {
	select {
	case <-r.gate:
	case <-ctx.Done():
		return activities.BooksPage{}, ctx.Err()
	}
	r.read[in.At.Offset].Add(1)
	return activities.BooksPage{Rows: 100, Changed: 100, Next: ghl.Cursor{Offset: in.At.Offset + 1}, Done: in.At.Offset == len(r.read)-1}, nil
}

// reconciling are workers whose steps find those rows, and nothing else.
func reconciling(t *testing.T, temporal client.Client, db *store.Store, rows *rowsAtHighLevel) {
	t.Helper()
	add := func(w worker.Worker, name string, step any) {
		w.RegisterActivityWithOptions(step, activity.RegisterOptions{Name: name})
	}
	main := worker.New(temporal, workflows.MainQueue, worker.Options{})
	workflows.Register(main)
	main.RegisterActivity(&activities.Books{Store: db, On: true})
	add(main, "OpenBooksWindow", func(_ context.Context, in activities.OpenBooksWindowInput) (activities.BooksWindow, error) {
		if in.From.IsZero() {
			return activities.BooksWindow{From: in.Now.Add(-time.Hour), To: in.Now}, nil
		}
		return activities.BooksWindow{From: in.From, To: in.To}, nil
	})
	add(main, "ToBring", func(context.Context, activities.ToBringInput) (activities.ToBringPage, error) {
		return activities.ToBringPage{}, nil
	})
	add(main, "CompareBooks", func(_ context.Context, in activities.CompareBooksInput) (activities.BooksComparison, error) {
		if in.Kind == domain.PaymentEntry {
			return activities.BooksComparison{Differences: 2}, nil
		}
		return activities.BooksComparison{}, nil
	})
	add(main, "CloseBooksWindow", func(context.Context, activities.CloseBooksWindowInput) error { return nil })
	fromGHL := worker.New(temporal, workflows.GHLQueue, worker.Options{DisableWorkflowWorker: true})
	add(fromGHL, "ReadTransactions", rows.page)
	for _, name := range []string{"ReadOrderEntries", "ReadSubscriptions"} {
		add(fromGHL, name, func(context.Context, activities.ReadBooksInput) (activities.BooksPage, error) {
			return activities.BooksPage{Done: true}, nil
		})
	}
	intoSage := worker.New(temporal, workflows.SageQueue, worker.Options{DisableWorkflowWorker: true})
	add(intoSage, "ReadSageBooks", func(context.Context, activities.ReadSageBooksInput) (activities.SageBooksPage, error) {
		return activities.SageBooksPage{Done: true}, nil
	})
	for _, w := range []worker.Worker{main, fromGHL, intoSage} {
		require.NoError(t, w.Start())
		t.Cleanup(w.Stop)
	}
}

// TestABackfillIsLeftAttachedToStoppedAndGoneOnWith goes through it as an operator would, on a real server.
func TestABackfillIsLeftAttachedToStoppedAndGoneOnWith(t *testing.T) {
	server := devservertest.Start(t, devserver.StartOptions{Headless: true, SearchAttributes: workflows.SearchAttributes()})
	db := openDatabase(t, environment(t))
	t.Setenv("TEMPORAL_ADDRESS", server.Address)
	temporal := connect(t)
	rows := &rowsAtHighLevel{gate: make(chan struct{})}
	reconciling(t, temporal, db, rows)
	id := workflows.BackfillID(home)

	code, _, errOut := starter(t, "backfill")
	assert.Equal(t, exitWrong, code)
	assert.Contains(t, errOut, "--from")
	period := []string{"backfill", "--from", "2024-02-01", "--to", "2024-02-07"}
	assert.Contains(t, succeed(t, append(period, "--dry-run")...), "would be started, from 2024-02-01T00:00:00Z to 2024-02-08T00:00:00Z, from its beginning")
	running, err := runs(t.Context(), temporal, id)
	require.NoError(t, err)
	assert.False(t, running)

	// It is shown, and then left.
	ctx, interrupt := context.WithCancel(t.Context())
	var out, progress lockedBuffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, period, &out, &progress) }()
	for range 5 {
		rows.gate <- struct{}{}
	}
	require.Eventually(t, func() bool { return strings.Contains(progress.String(), "reading payments") }, 20*time.Second, 50*time.Millisecond)
	interrupt()
	assert.Equal(t, exitDone, <-ended)
	assert.Contains(t, out.String(), "goes on on the workers")
	rows.gate <- struct{}{} // it does

	code, _, errOut = starter(t, "backfill", "--from", "2023-01-01")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "runs already")
	assert.Contains(t, succeed(t, "backfill", "--dry-run"), "runs, from 2024-02-01")
	require.Eventually(t, func() bool {
		kept, _, err := db.Progress(t.Context(), home, activities.BackfillRun)
		return err == nil && kept.Pages == 6
	}, 20*time.Second, 50*time.Millisecond)

	assert.Contains(t, succeed(t, "backfill", "--stop"), "stopped; `starter backfill` goes on")
	description, err := temporal.DescribeWorkflow(t.Context(), id, "")
	require.NoError(t, err)
	assert.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED, description.Status)
	assert.Contains(t, succeed(t, "backfill", "--stop"), "no backfill runs")
	kept, _, err := db.Progress(t.Context(), home, activities.BackfillRun)
	require.NoError(t, err)
	assert.True(t, kept.EndedAt.IsZero())

	close(rows.gate)
	through := succeed(t, "backfill")
	assert.Contains(t, through, "from where it was stopped: step 1 of 5")
	assert.Contains(t, through, "done: 3000 rows read")
	assert.Contains(t, through, "2 differences left")
	for i := range rows.read {
		once := int32(1)
		if i == 6 {
			once = 2 // it was being read when the backfill was stopped
		}
		assert.LessOrEqual(t, rows.read[i].Load(), once, "page %d", i)
		assert.Positive(t, rows.read[i].Load(), "page %d", i)
	}
	code, _, _ = starter(t, "backfill")
	assert.Equal(t, exitWrong, code, "it is through")
	entries, _, err := db.AuditLog(t.Context(), store.AuditFilter{Action: "backfill stop"})
	require.NoError(t, err)
	assert.Len(t, entries, 1)

	subscriptionsAreSynced(t, temporal)
}

// subscriptionsAreSynced starts reconciliations by the schedules, and where there are none.
func subscriptionsAreSynced(t *testing.T, temporal client.Client) {
	assert.Contains(t, succeed(t, "sync", "subscriptions", "--dry-run"), workflows.ReconciliationID(home)+"  would be started")
	alone := succeed(t, "sync", "subscriptions", "--wait")
	assert.Contains(t, alone, workflows.ReconciliationID(home)+"  done: 3000 rows read", "no schedule is there yet")
	succeed(t, "schedules", "apply")
	assert.Contains(t, succeed(t, "sync", "subscriptions", "--deep", "--wait"), workflows.DeepReconciliationID(home)+"-2", "by its schedule")
	assert.Contains(t, succeed(t, "schedules", "trigger", "reconciliation", "--wait"), "3000 rows read")

	t.Setenv("RECONCILE", "false")
	assert.Equal(t, 2, strings.Count(succeed(t, "schedules", "apply", "--dry-run"), "off  would be removed"))
	assert.Equal(t, 2, strings.Count(succeed(t, "schedules", "apply"), "off  removed"))
	assert.Equal(t, 2, strings.Count(succeed(t, "schedules", "list"), "off by RECONCILE"))
	assert.Equal(t, 2, strings.Count(succeed(t, "schedules", "trigger", "reconciliation", "reconciliation-deep"), "off by RECONCILE"))
	states, err := schedules.List(t.Context(), temporal.ScheduleClient(), listedItems(t))
	require.NoError(t, err)
	assert.False(t, states[3].Exists)
	assert.True(t, states[0].Exists)
	assert.Contains(t, succeed(t, "sync", "subscriptions", "--wait"), "done: 3000 rows read", "it was asked for")
}

func listedItems(t *testing.T) []schedules.Item {
	t.Helper()
	var items []schedules.Item
	for _, s := range listed(t) {
		items = append(items, s.Item)
	}
	return items
}
