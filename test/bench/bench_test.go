package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"

	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
)

// TestMain lets the test binary be the ceiling's worker too, as the program is.
func TestMain(m *testing.M) {
	if inCeilingRole() {
		os.Exit(report(ceilingWorker(context.Background())))
	}
	os.Exit(m.Run())
}

// TestBenchmarkRuns keeps the benchmark from rotting. What it measures here means nothing.
func TestBenchmarkRuns(t *testing.T) {
	binary := devservertest.Binary(t)
	o, err := parse([]string{"-quick"}, os.Stderr)
	require.NoError(t, err)
	o.temporal = binary
	for _, entry := range []string{"TEMPORAL_ADDRESS", "TEMPORAL_CONFIG_FILE"} {
		t.Setenv(entry, "") // so that what the benchmark does to them is taken back
	}
	var out, progress bytes.Buffer
	require.NoError(t, bench(t.Context(), o, &out, &progress), "%s", &progress)
	t.Log(out.String())
	for _, k := range []kind{ceilingFull, knownFull, newFull, ceilingLow, knownLow, aloneLow, besideLow} {
		require.Contains(t, out.String(), string(k))
	}
	require.Regexp(t, `c, workers: 1, answers 429 per 1,000 calls\s+0\.00\s`, out.String())
	require.Regexp(t, `c, workers: 3, share of the narrower quota\s+[01]\.\d+\s`, out.String())
	require.Regexp(t, string(besideLow)+`(\s+[\d.]+){5}\s+[1-9]\d*\s+[1-9]\d*\s`, out.String(), "some of both locations")
	require.Regexp(t, `billable actions, new customer, shipping's start included\s+[1-8]\s`, out.String())
	require.Contains(t, out.String(), "shipping's start 1", "a payment is handed on")
	require.Regexp(t, `regular activities, new customer\s+[1-3]\s`, out.String())
	require.Regexp(t, `e, (calls to Sage|calls to HighLevel|billable actions) a day per order, 300 open to 100\s+0\.\d+\s`, out.String())
	require.Regexp(t, `e: a look that finds nothing new\s+2\s+1\s+3\s`, out.String(), "one read of each kind, and no write")
	require.Contains(t, out.String(), "ghl.fulfillments.create 1,", "what was sent from Sage is posted once")
	require.Regexp(t, `f: of all calls, writes\s+0\s+0\s`, out.String(), "books that agree are written to by nobody")
	require.Regexp(t, `f, pages per unchanged transaction\s+0\.\d+\s+no more than of \d+: [01]\.\d+\s`, out.String())
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-seconds", "-1"}, {"-inflight", "0"}, {"-only", "all"}, {"-transactions", "5"},
		{"-transactions", "100,250"}, {"-transactions", "few"}, {"more"}, {"-unknown"}} {
		var out bytes.Buffer
		_, err := parse(args, &out)
		require.Error(t, err, "%v", args)
		require.Contains(t, out.String(), "-rounds")
	}
}

func TestActionsAreCountedAsTheyAreBilled(t *testing.T) {
	var events []*historypb.HistoryEvent
	add := func(kind enumspb.EventType) *historypb.HistoryEvent {
		e := &historypb.HistoryEvent{EventId: int64(len(events) + 1), EventType: kind}
		events = append(events, e)
		return e
	}
	local := func(task int64) {
		add(enumspb.EVENT_TYPE_MARKER_RECORDED).Attributes = &historypb.HistoryEvent_MarkerRecordedEventAttributes{
			MarkerRecordedEventAttributes: &historypb.MarkerRecordedEventAttributes{WorkflowTaskCompletedEventId: task},
		}
	}
	add(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
	add(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) // one call with the start
	add(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
	add(enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
	add(enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
	add(enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED).Attributes = &historypb.HistoryEvent_ActivityTaskStartedEventAttributes{
		ActivityTaskStartedEventAttributes: &historypb.ActivityTaskStartedEventAttributes{Attempt: 3},
	}
	local(4)
	local(4)
	local(9)
	add(enumspb.EVENT_TYPE_TIMER_STARTED)
	add(enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES)
	add(enumspb.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED)
	require.Equal(t, map[string]int64{
		"start": 1, "signal": 1, "activity": 1, "retry": 2, "local activities": 2, "timer": 1, "upsert": 1, "child": 2,
	}, actions(events))
}

func TestQuantilesAndMedians(t *testing.T) {
	var sorted []time.Duration
	require.Zero(t, quantile(sorted, .5))
	for i := range 100 {
		sorted = append(sorted, time.Duration(i+1))
	}
	require.Equal(t, time.Duration(51), quantile(sorted, .5))
	require.Equal(t, time.Duration(100), quantile(sorted, .99))
	same := func(i int) int { return i }
	require.Equal(t, 2, median([]int{3, 1, 2}, same))
	require.Zero(t, median(nil, same))
}

// TestALoadKeepsSoManyOnTheirWay measures a thing whose throughput and latency are known.
func TestALoadKeepsSoManyOnTheirWay(t *testing.T) {
	const took = 20 * time.Millisecond
	none := func() error { return nil }
	l := load{inFlight: 4, warmUp: 2 * took, window: 10 * took, began: none, ended: none, next: func() job {
		done := make(chan time.Time, 1)
		return job{id: "x", done: done, send: func(context.Context) error {
			time.AfterFunc(took, func() { done <- time.Now() })
			return nil
		}}
	}}
	m, err := l.run(t.Context())
	require.NoError(t, err)
	require.Positive(t, m.count)
	require.LessOrEqual(t, m.count, 4*12, "no more than four at once")
	for _, p := range m.whole {
		require.GreaterOrEqual(t, toEnd(p), took)
		require.LessOrEqual(t, toAck(p), toEnd(p))
	}
	l.next = func() job { return job{fault: fmt.Errorf("no order")} }
	_, err = l.run(t.Context())
	require.ErrorContains(t, err, "no order")
}

func TestADayIsItsSweepsAndItsChanges(t *testing.T) {
	bills := func(calls int, actions int64) bill {
		return bill{calls: map[string]int{"ghl.orders.list": calls, "sage.salesorders.list": 1}, actions: map[string]int64{"start": actions}}
	}
	few := shippingDay{open: 100, idle: bills(2, 8), after: bills(2, 9), there: bills(3, 5), here: bills(4, 6)}
	many := few
	many.open, many.idle = 200, bills(6, 8)
	sweeps := sweepsPerDay()
	require.Equal(t, 24*time.Hour, time.Duration(sweeps*float64(sweepEvery())))
	require.InDelta(t, 2*sweeps, few.quiet(bill.ghl), 1e-9)
	require.InDelta(t, 2*sweeps+3+4, few.busy(bill.ghl), 1e-9)
	require.InDelta(t, 9*sweeps+5+6, few.busy(bill.billed), 1e-9)
	r := results{shipping: []shippingDay{few, many}}
	require.InDelta(t, 1.5, r.growth(func(d shippingDay) float64 { return d.quiet(bill.ghl) }), 1e-9)
	require.InDelta(t, .5, r.growth(func(d shippingDay) float64 { return d.quiet(bill.sage) }), 1e-9)
	require.Equal(t, map[string]int{"ghl.orders.list": 1}, bills(3, 0).without(bills(2, 0).calls).calls)
	require.Equal(t, "a 1.5, b 2", inWords(map[string]int{"b": 4, "a": 3, "none": 0}, 2))
}

// The books' figures are worth nothing if counts that contradict the claims go through.
func TestClaimsOfTheBooks(t *testing.T) {
	sound := func(transactions, pages int) booksFigures {
		f := booksFigures{transactions: transactions, changes: changes{refunds: 2, renewals: 1, cancelled: 1}}
		f.quiet.calls = map[string]int{"ghl.transactions.list": pages, "sage.sales.list": 1, "sage.opportunities.schema": 1}
		f.quiet.actions = map[string]int64{"activity": int64(pages)}
		f.changed.calls = map[string]int{"ghl.transactions.list": pages, "sage.sales.list": 5, "sage.sales.create": 3, "sage.opportunities.update": 2}
		return f
	}
	few, many := sound(1000, 10), sound(10000, 100)
	r := results{books: []booksFigures{few, many}}
	require.NoError(t, r.claims())
	require.Equal(t, 11, few.quiet.pages())
	require.Equal(t, 1, few.quiet.others())
	require.Equal(t, 5, few.changed.writes())
	require.Equal(t, 8, few.forChanges())
	require.Equal(t, 1100*time.Millisecond+1*time.Second, sound(1, 10).quiet.underLimits().Round(100*time.Millisecond)+900*time.Millisecond)

	for _, c := range []struct {
		says  string
		spoil func(f *booksFigures)
	}{
		{"written to 1 times", func(f *booksFigures) { f.quiet.calls["sage.sales.update"] = 1 }},
		{"read one by one", func(f *booksFigures) { f.quiet.calls["ghl.subscriptions.get"] = 3; f.passed = 2 }},
		{"beside the pages", func(f *booksFigures) { f.quiet.calls["sage.users.list"] = 1000 }},
		{"the sides differ in 1", func(f *booksFigures) { f.quiet.Differences = 1 }},
		{"and was written to 1 times", func(f *booksFigures) { f.lost.calls = map[string]int{"sage.sales.create": 1} }},
		{"3 writes for changes that need 4 to 5", func(f *booksFigures) { f.changed.calls["sage.sales.create"] = 1 }},
		{"6 writes for changes that need 4 to 5", func(f *booksFigures) { f.changed.calls["sage.sales.create"] = 4 }},
		{"more than 5 for each", func(f *booksFigures) { f.changed.calls["ghl.transactions.get"] = 80 }},
		{"pages per record grow by 1.83", func(f *booksFigures) { f.quiet.calls["ghl.orders.list"] = 100 }},
	} {
		spoilt := sound(10000, 100)
		c.spoil(&spoilt)
		require.ErrorContains(t, (&results{books: []booksFigures{few, spoilt}}).claims(), c.says)
	}
}

func TestCopiesAreToldApart(t *testing.T) {
	require.Equal(t, "00a4567", other("1234567", 10))
	require.Empty(t, other("", 10))
	for extID, parts := range map[string][3]string{
		"ghl:order:abc": {"ghl:order:", "abc", ""}, "ghl:refund:abc:250": {"ghl:refund:", "abc", ":250"}, "others": {},
	} {
		kind, id, rest := splitExtID(extID)
		require.Equal(t, parts, [3]string{kind, id, rest})
	}
	e := example{past: pastOf(100, time.Now())}
	past := e.times(3)
	ids := map[string]bool{}
	for _, p := range past.History.Payments {
		require.False(t, ids[p.ID])
		ids[p.ID] = true
	}
	require.Len(t, past.History.Payments, 3*len(e.past.History.Payments))
	require.Len(t, past.History.Contacts, len(e.past.History.Contacts))
}
