package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

// ledgerWorld is what the steps of a reconciliation work on: rows at HighLevel by time, and what was brought of them.
type ledgerWorld struct {
	t *testing.T
	// at is when each transaction was made, in order.
	at []time.Time
	// read and brought count how often each row was.
	read, brought []int
	subscriptions int
	subsRead      []int
	page          int
	// fails makes a step fail; steps counts them.
	fails func(step string) error
	steps int
	// closed are the windows that were closed.
	closed []activities.CloseBooksWindowInput
	opened []activities.OpenBooksWindowInput
	// again has Sage say that rows are to be brought again, once.
	again []int
	// unknown is a customer that Sage does not know, of the first row.
	unknown  bool
	customer error
	// waits is how often each row is asked for before its order is in the books, for ever below 0.
	waits map[int]int
}

func newLedgerWorld(t *testing.T, rows, page int, from, to time.Time) *ledgerWorld {
	w := &ledgerWorld{
		t: t, page: page, read: make([]int, rows), brought: make([]int, rows), subscriptions: 30, subsRead: make([]int, 30),
	}
	for i := range rows {
		w.at = append(w.at, from.Add(to.Sub(from)/time.Duration(rows)*time.Duration(i)))
	}
	return w
}

func (w *ledgerWorld) fail(step string) error {
	w.steps++
	if w.fails == nil {
		return nil
	}
	return w.fails(step)
}

// in lists the rows of a stretch of time.
func (w *ledgerWorld) in(window activities.BooksWindow) []int {
	var rows []int
	for i, at := range w.at {
		if !at.Before(window.From) && at.Before(window.To) {
			rows = append(rows, i)
		}
	}
	return rows
}

func (w *ledgerWorld) readTransactions(_ context.Context, in activities.ReadBooksInput) (activities.BooksPage, error) {
	if err := w.fail("ReadTransactions"); err != nil {
		return activities.BooksPage{}, err
	}
	rows := w.in(in.Window)
	end := min(in.At.Offset+w.page, len(rows))
	for _, i := range rows[in.At.Offset:end] {
		w.read[i]++
	}
	return activities.BooksPage{
		Rows: end - in.At.Offset, Next: ghl.Cursor{Offset: end}, Done: end == len(rows),
	}, nil
}

func (w *ledgerWorld) readOrders(_ context.Context, in activities.ReadBooksInput) (activities.BooksPage, error) {
	if err := w.fail("ReadOrderEntries"); err != nil {
		return activities.BooksPage{}, err
	}
	for _, i := range w.in(in.Window) {
		require.Positive(w.t, w.read[i], "the transactions of a stretch come before its orders")
	}
	return activities.BooksPage{Rows: 1, Done: true}, nil
}

func (w *ledgerWorld) readSubscriptions(_ context.Context, in activities.ReadBooksInput) (activities.BooksPage, error) {
	if err := w.fail("ReadSubscriptions"); err != nil {
		return activities.BooksPage{}, err
	}
	end := min(in.At.Offset+w.page, w.subscriptions)
	for i := in.At.Offset; i < end; i++ {
		w.subsRead[i]++
	}
	return activities.BooksPage{Rows: end - in.At.Offset, Next: ghl.Cursor{Offset: end}, Done: end == w.subscriptions}, nil
}

func (w *ledgerWorld) readSage(_ context.Context, in activities.ReadSageBooksInput) (activities.SageBooksPage, error) {
	if err := w.fail("ReadSageBooks"); err != nil {
		return activities.SageBooksPage{}, err
	}
	if in.Part != activities.SageSalesRows {
		return activities.SageBooksPage{Done: true}, nil
	}
	if in.At.List == 0 {
		for _, i := range w.again {
			w.brought[i] = 0
		}
		w.again = nil
		return activities.SageBooksPage{Rows: 2, Newest: time.Unix(500, 0).UTC(), Next: activities.SageBooksCursor{List: 1}}, nil
	}
	return activities.SageBooksPage{Rows: 1, Newest: time.Unix(400, 0).UTC(), Done: true}, nil
}

// toBring lists the rows that were read and not brought, from a place on.
func (w *ledgerWorld) toBring(_ context.Context, in activities.ToBringInput) (activities.ToBringPage, error) {
	var page activities.ToBringPage
	if in.Kind != domain.PaymentEntry {
		return page, nil
	}
	for i := range w.at {
		id := fmt.Sprintf("t%07d", i)
		if w.read[i] == 0 || w.brought[i] > 0 || id <= in.After {
			continue
		}
		if len(page.IDs) == in.Limit {
			page.Next = page.IDs[len(page.IDs)-1]
			break
		}
		page.IDs = append(page.IDs, id)
	}
	return page, nil
}

func (w *ledgerWorld) bring(_ context.Context, in activities.BringBooksInput) (activities.BringBooksResult, error) {
	if err := w.fail("BringPayments"); err != nil {
		return activities.BringBooksResult{}, err
	}
	var result activities.BringBooksResult
	for _, id := range in.IDs {
		var i int
		_, err := fmt.Sscanf(id, "t%d", &i)
		require.NoError(w.t, err)
		if i == 0 && w.unknown {
			result.Unknown = append(result.Unknown, activities.UnknownCustomer{ExtID: "ghl:contact:c", ContactID: "c", IDs: []string{id}})
			continue
		}
		if left := w.waits[i]; left != 0 {
			w.waits[i]--
			result.Waiting++
			continue
		}
		w.brought[i]++
		result.Created++
	}
	return result, nil
}

func (w *ledgerWorld) bringCustomer(context.Context, activities.BringCustomerInput) (activities.CustomerRef, error) {
	if w.customer != nil {
		return activities.CustomerRef{}, w.customer
	}
	w.unknown = false
	return activities.CustomerRef{AccountID: 1}, nil
}

// run is a run in this world, with the steps about itself on a real store.
func (w *ledgerWorld) run(t *testing.T, b *activities.Books) run {
	r := anyRun(t)
	r.RegisterActivity(b)
	r.SetTestTimeout(time.Minute)
	every := func(name string, step any) { r.OnActivity(name, mock.Anything, mock.Anything).Return(step).Maybe() }
	every("ReadTransactions", w.readTransactions)
	every("ReadOrderEntries", w.readOrders)
	every("ReadSubscriptions", w.readSubscriptions)
	every("ReadSageBooks", w.readSage)
	every("ToBring", w.toBring)
	every("BringPayments", w.bring)
	every("BringCustomer", w.bringCustomer)
	every("ReadCustomer", func(_ context.Context, in activities.ReadCustomerInput) (activities.BringCustomerInput, error) {
		return activities.BringCustomerInput{Location: in.Location, ExtID: in.ExtID}, nil
	})
	every("OpenBooksWindow", func(_ context.Context, in activities.OpenBooksWindowInput) (activities.BooksWindow, error) {
		w.opened = append(w.opened, in)
		window := activities.BooksWindow{From: in.Now.Add(-in.Overlap), To: in.Now, Opened: in.Now}
		if !in.From.IsZero() {
			window.From, window.To, window.Began = in.From, in.To, in.From
		}
		return window, nil
	})
	every("CompareBooks", func(_ context.Context, in activities.CompareBooksInput) (activities.BooksComparison, error) {
		if err := w.fail("CompareBooks"); err != nil {
			return activities.BooksComparison{}, err
		}
		return activities.BooksComparison{Records: 1}, nil
	})
	every("CloseBooksWindow", func(_ context.Context, in activities.CloseBooksWindowInput) error {
		w.closed = append(w.closed, in)
		return nil
	})
	return r
}

func newBooks(t *testing.T) *activities.Books {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "books.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return &activities.Books{Store: db, On: true, Overlap: 2 * time.Hour, DifferenceAge: 30 * time.Minute, Remind: time.Hour}
}

func (r run) reconciles(in workflows.SubscriptionReconciliationInput) activities.ReconciliationProgress {
	r.t.Helper()
	r.ExecuteWorkflow(workflows.SubscriptionReconciliation, in)
	require.NoError(r.t, r.GetWorkflowError())
	var p activities.ReconciliationProgress
	require.NoError(r.t, r.GetWorkflowResult(&p))
	return p
}

func TestAReconciliationReadsBringsComparesAndThenMovesTheCursors(t *testing.T) {
	b := newBooks(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w := newLedgerWorld(t, 250, 100, now.Add(-2*time.Hour), now)
	r := w.run(t, b)
	r.SetStartTime(now)
	p := r.reconciles(workflows.SubscriptionReconciliationInput{Location: location, Deep: true})
	require.Equal(t, activities.StageDone, p.Stage)
	require.Equal(t, 250+1+30+3, p.Rows)
	require.Equal(t, 250, p.Created)
	for i := range w.at {
		require.Equal(t, 1, w.read[i])
		require.Equal(t, 1, w.brought[i])
	}
	require.Len(t, w.opened, 1)
	require.Equal(t, 2*time.Hour, w.opened[0].Overlap)
	require.True(t, w.opened[0].Deep)
	require.Len(t, w.closed, 1)
	require.True(t, w.closed[0].Deep)
	require.False(t, w.closed[0].Backfill)
	require.True(t, w.closed[0].SageNewest.Equal(time.Unix(500, 0)), "the latest of all pages")
	_, kept, err := b.Store.Progress(t.Context(), location, activities.BackfillRun)
	require.NoError(t, err)
	require.False(t, kept, "only a backfill keeps how far it came")
}

func TestWhatPeopleChangedAtSageIsBroughtByTheRunThatSawIt(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w := newLedgerWorld(t, 3, 100, now.Add(-time.Hour), now)
	w.read, w.brought, w.again = []int{1, 1, 1}, []int{1, 1, 1}, []int{1}
	r := w.run(t, newBooks(t))
	r.SetStartTime(now)
	require.Equal(t, 1, r.reconciles(workflows.SubscriptionReconciliationInput{Location: location}).Created)
}

func TestReconciliationsAreOffUnlessAskedFor(t *testing.T) {
	b := newBooks(t)
	b.On = false
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w := newLedgerWorld(t, 3, 100, now.Add(-time.Hour), now)
	p := w.run(t, b).reconciles(workflows.SubscriptionReconciliationInput{Location: location})
	require.True(t, p.Off)
	require.Zero(t, w.steps)
	r := w.run(t, b)
	r.SetStartTime(now)
	require.Equal(t, 3, r.reconciles(workflows.SubscriptionReconciliationInput{Location: location, Asked: true}).Created)
}

// TestAReconciliationOfAConnectionThatDoesNotWorkEndsQuietly, wherever it comes to that; any other fault is a failure.
// Neither moves a cursor.
func TestAReconciliationOfAConnectionThatDoesNotWorkEndsQuietly(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for kind, resting := range map[activities.Kind]bool{
		activities.Reconnect: true, activities.Paused: true, activities.Unauthorized: false, activities.Forbidden: false,
	} {
		for _, step := range []string{
			"ReadTransactions", "ReadOrderEntries", "ReadSubscriptions", "ReadSageBooks", "BringPayments", "CompareBooks",
		} {
			w := newLedgerWorld(t, 3, 100, now.Add(-time.Hour), now)
			w.fails = func(s string) error {
				if s == step {
					return fault(kind, "no")
				}
				return nil
			}
			r := w.run(t, newBooks(t))
			r.SetStartTime(now)
			if resting {
				require.Equal(t, string(kind), r.reconciles(workflows.SubscriptionReconciliationInput{Location: location}).Stopped)
			} else {
				r.ExecuteWorkflow(workflows.SubscriptionReconciliation, workflows.SubscriptionReconciliationInput{Location: location})
				require.ErrorContains(t, r.GetWorkflowError(), "no")
			}
			require.Empty(t, w.closed)
		}
	}
}

// TestPaymentsThatWaitForTheirOrdersAreBroughtByTheSameRun, a backfill waiting as long as orders come.
func TestPaymentsThatWaitForTheirOrdersAreBroughtByTheSameRun(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	period := &activities.Period{From: now.Add(-time.Hour), Before: now}
	for name, c := range map[string]struct {
		backfill *activities.Period
		waits    map[int]int
		left     int
	}{
		"one order":           {nil, map[int]int{1: 2}, 0},
		"never":               {nil, map[int]int{1: -1}, 1},
		"never, in the past":  {period, map[int]int{1: -1}, 1},
		"slowly":              {nil, map[int]int{0: 1, 1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 6: 7, 7: 8}, 3},
		"slowly, in the past": {period, map[int]int{0: 1, 1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 6: 7, 7: 8}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newLedgerWorld(t, 9, 100, now.Add(-time.Hour), now)
			w.waits = c.waits
			r := w.run(t, newBooks(t))
			r.SetStartTime(now)
			p := r.reconciles(workflows.SubscriptionReconciliationInput{Location: location, Backfill: c.backfill})
			require.Equal(t, activities.StageDone, p.Stage)
			require.Equal(t, c.left, p.Waiting)
			require.Equal(t, 9-c.left, p.Created)
			require.Less(t, r.Now().Sub(now), 30*time.Minute)
			require.Len(t, w.closed, 1)
		})
	}
}

func TestAnUnknownCustomerIsBroughtFirst(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		fault          error
		parked, failed bool
	}{
		{nil, false, false}, {fault(activities.Conflict, "two of them"), true, false},
		{fault(activities.Forbidden, "no"), false, true},
	} {
		w := newLedgerWorld(t, 3, 100, now.Add(-time.Hour), now)
		w.unknown, w.customer = true, c.fault
		r := w.run(t, newBooks(t))
		r.SetStartTime(now)
		var parked []activities.ParkInput
		r.OnActivity("Park", mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.ParkInput) error {
			parked = append(parked, in)
			return nil
		}).Maybe()
		if c.failed {
			r.ExecuteWorkflow(workflows.SubscriptionReconciliation, workflows.SubscriptionReconciliationInput{Location: location})
			require.Error(t, r.GetWorkflowError())
			continue
		}
		p := r.reconciles(workflows.SubscriptionReconciliationInput{Location: location})
		if !c.parked {
			require.Equal(t, []int{1, 1, 1}, w.brought)
			require.Empty(t, parked)
			continue
		}
		require.Equal(t, []int{0, 1, 1}, w.brought, "one customer holds up no other")
		require.Equal(t, 1, p.Parked)
		require.Len(t, parked, 1)
		require.Equal(t, "t0000000", parked[0].ObjectID)
		require.Equal(t, string(activities.Conflict), parked[0].Kind)
		require.False(t, parked[0].Heals, "each run tries it again, no sweep of the payments does")
	}
}

func TestDifferencesThatStayAreToldOnceAndWhenTheyAreOver(t *testing.T) {
	b := newBooks(t)
	told := &recorder{}
	b.Notify = told
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tell := func(after time.Duration, n int64) {
		require.NoError(t, b.TellDifferences(t.Context(), activities.TellDifferencesInput{
			Location: location, Now: now.Add(after), Kinds: []activities.KindComparison{
				{Kind: domain.PaymentEntry, Comparison: activities.BooksComparison{
					Differences: n, Oldest: now, Findings: map[domain.Finding]int64{domain.Missing: n},
				}},
				{Kind: domain.OrderEntry},
			},
		}))
	}
	tell(0, 2)
	require.Len(t, told.texts, 1)
	require.Contains(t, told.texts[0], "2 of kind payment")
	require.Contains(t, told.texts[0], location)
	tell(time.Minute, 3)
	require.Len(t, told.texts, 1, "it is known")
	told.err = errors.New("away")
	tell(2*time.Hour, 3)
	require.Len(t, told.texts, 1)
	told.err = nil
	tell(2*time.Hour+time.Minute, 3)
	require.Len(t, told.texts, 2, "they last, and what did not arrive is told by the next run")
	tell(3*time.Hour, 0)
	require.Len(t, told.texts, 3)
	require.Contains(t, told.texts[2], "agree on each payment again")
	tell(4*time.Hour, 0)
	require.Len(t, told.texts, 3)
}

type recorder struct {
	texts []string
	err   error
}

func (r *recorder) Enabled() bool { return true }

func (r *recorder) Post(_ context.Context, text string) error {
	if r.err == nil {
		r.texts = append(r.texts, text)
	}
	return r.err
}

// TestABackfillGoesOnWhereItWasHoweverItIsInterrupted: it is killed, rests and continues as new at random points. In the
// end each row was read and brought, none of them again and again, and the window was closed once and last.
func TestABackfillGoesOnWhereItWasHoweverItIsInterrupted(t *testing.T) {
	for seed := range uint64(15) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			b, dice := newBooks(t), rand.New(rand.NewPCG(seed, 7))
			to := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			period := activities.Period{From: to.Add(-2 * 365 * 24 * time.Hour), Before: to}
			w := newLedgerWorld(t, 600, 10, period.From, period.Before)
			clock, in, runs := to, workflows.SubscriptionReconciliationInput{Location: location, Backfill: &period}, 0
			for {
				runs++
				require.Less(t, runs, 400, "it gets nowhere")
				clock = clock.Add(time.Minute)
				w.fails = func(string) error {
					switch dice.IntN(60) {
					case 0:
						return fault(activities.Unknown, "killed")
					case 1:
						return fault(activities.Paused, "rests")
					}
					return nil
				}
				r := w.run(t, b)
				r.SetStartTime(clock)
				r.SetContinueAsNewSuggested(dice.IntN(2) == 0)
				r.ExecuteWorkflow(workflows.SubscriptionReconciliation, in)
				clock = r.Now()
				in = workflows.SubscriptionReconciliationInput{Location: location, Backfill: &period}
				var next *workflow.ContinueAsNewError
				switch err := r.GetWorkflowError(); {
				case errors.As(err, &next):
					in = workflows.SubscriptionReconciliationInput{}
					require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
					require.NotNil(t, in.Resume)
					continue
				case err != nil:
					require.ErrorContains(t, err, "killed")
					continue
				}
				var p activities.ReconciliationProgress
				require.NoError(t, r.GetWorkflowResult(&p))
				if p.Stopped != "" {
					continue
				}
				break
			}
			require.Len(t, w.closed, 1)
			require.True(t, w.closed[0].Backfill)
			require.Len(t, w.opened, 1, "what goes on keeps its window")
			for i := range w.at {
				require.Positive(t, w.read[i])
				require.Equal(t, 1, w.brought[i])
			}
			require.LessOrEqual(t, slices.Max(w.read), 2, "at most the page at which it was killed is read again")
			kept, found, err := b.Store.Progress(t.Context(), location, activities.BackfillRun)
			require.NoError(t, err)
			require.True(t, found)
			require.False(t, kept.EndedAt.IsZero())
			require.Equal(t, string(activities.StageDone), kept.Stage)
			require.True(t, period.Same(activities.Period{From: kept.From, Before: kept.Before}))
		})
	}
}

func TestABackfillOfAnotherPeriodBeginsAtItsBeginning(t *testing.T) {
	b := newBooks(t)
	to := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	first := activities.Period{From: to.Add(-100 * 24 * time.Hour), Before: to}
	w := newLedgerWorld(t, 200, 10, first.From, first.Before)
	w.fails = func(step string) error {
		if step == "ReadSubscriptions" {
			return fault(activities.Unknown, "killed")
		}
		return nil
	}
	r := w.run(t, b)
	r.SetStartTime(to)
	r.ExecuteWorkflow(workflows.SubscriptionReconciliation, workflows.SubscriptionReconciliationInput{Location: location, Backfill: &first})
	require.ErrorContains(t, r.GetWorkflowError(), "killed")
	kept, _, err := b.Store.Progress(t.Context(), location, activities.BackfillRun)
	require.NoError(t, err)
	require.Equal(t, string(activities.StageSubscriptions), kept.Stage)
	require.True(t, kept.At.Equal(to), "all of the period was read")

	second := activities.Period{From: first.From.Add(24 * time.Hour), Before: to}
	w.fails = nil
	again := w.run(t, b)
	again.SetStartTime(to.Add(time.Minute))
	p := again.reconciles(workflows.SubscriptionReconciliationInput{Location: location, Backfill: &second})
	require.Equal(t, activities.StageDone, p.Stage)
	require.Equal(t, 1, w.read[0], "it is before the second period")
	require.Equal(t, 2, w.read[len(w.read)-1])
}

// TestAHundredThousandRowsKeepAFlatHistory: the run continues as new whenever the server would suggest it, and what it
// carries along stays as small as it was.
func TestAHundredThousandRowsKeepAFlatHistory(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a hundred thousand rows")
	}
	b := newBooks(t)
	to := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	period := activities.Period{From: to.Add(-2 * 365 * 24 * time.Hour), Before: to}
	const rows, page, suggested = 100_000, 100, 4096
	w := &countingWorld{rows: rows, page: page}
	in := workflows.SubscriptionReconciliationInput{Location: location, Backfill: &period}
	clock, runs, longest, biggest := to, 0, 0, 0
	for {
		runs++
		r := w.run(t, b, suggested)
		r.SetStartTime(clock)
		r.ExecuteWorkflow(workflows.SubscriptionReconciliation, in)
		clock, longest = r.Now(), max(longest, w.events)
		var next *workflow.ContinueAsNewError
		if !errors.As(r.GetWorkflowError(), &next) {
			require.NoError(t, r.GetWorkflowError())
			break
		}
		biggest = max(biggest, len(next.Input.GetPayloads()[0].GetData()))
		in = workflows.SubscriptionReconciliationInput{}
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	}
	t.Logf("%d runs, at most %d events each, %d bytes carried along", runs, longest, biggest)
	require.Equal(t, rows, w.read)
	require.Equal(t, rows, w.brought)
	require.Greater(t, runs, 2)
	require.Less(t, longest, suggested+100)
	require.Less(t, biggest, 4096)
}

// countingWorld has so many rows, and counts the events that the steps of a run leave in its history: three of an activity
// and three of the task that follows, one of a local activity.
type countingWorld struct {
	rows, page    int
	read, brought int
	events        int
}

func (w *countingWorld) run(t *testing.T, b *activities.Books, suggested int) run {
	r := anyRun(t)
	w.events = 3
	r.RegisterActivity(b)
	r.SetTestTimeout(2 * time.Minute)
	step := func(events int) {
		w.events += events
		r.SetContinueAsNewSuggested(w.events >= suggested)
	}
	every := func(name string, do any) { r.OnActivity(name, mock.Anything, mock.Anything).Return(do).Maybe() }
	every("OpenBooksWindow", func(_ context.Context, in activities.OpenBooksWindowInput) (activities.BooksWindow, error) {
		return activities.BooksWindow{From: in.From, To: in.To}, nil
	})
	every("ReadTransactions", func(_ context.Context, in activities.ReadBooksInput) (activities.BooksPage, error) {
		step(7) // and the note of it
		n := w.rows/stretchesOfTwoYears + 1
		end := min(in.At.Offset+w.page, n, in.At.Offset+w.rows-w.read)
		w.read += end - in.At.Offset
		return activities.BooksPage{Rows: end - in.At.Offset, Next: ghl.Cursor{Offset: end}, Done: end == n || w.read == w.rows}, nil
	})
	for _, name := range []string{"ReadOrderEntries", "ReadSubscriptions"} {
		every(name, func(context.Context, activities.ReadBooksInput) (activities.BooksPage, error) {
			step(7)
			return activities.BooksPage{Done: true}, nil
		})
	}
	every("ReadSageBooks", func(context.Context, activities.ReadSageBooksInput) (activities.SageBooksPage, error) {
		step(7)
		return activities.SageBooksPage{Done: true}, nil
	})
	every("ToBring", func(_ context.Context, in activities.ToBringInput) (activities.ToBringPage, error) {
		step(2)
		var page activities.ToBringPage
		if in.Kind != domain.PaymentEntry {
			return page, nil
		}
		for n := range min(in.Limit, w.rows-w.brought) {
			page.IDs = append(page.IDs, fmt.Sprint(w.brought+n))
		}
		if w.brought+len(page.IDs) < w.rows {
			page.Next = "more"
		}
		return page, nil
	})
	every("BringPayments", func(_ context.Context, in activities.BringBooksInput) (activities.BringBooksResult, error) {
		step(6)
		w.brought += len(in.IDs)
		return activities.BringBooksResult{Created: len(in.IDs)}, nil
	})
	every("CompareBooks", func(context.Context, activities.CompareBooksInput) (activities.BooksComparison, error) {
		step(6)
		return activities.BooksComparison{}, nil
	})
	every("CloseBooksWindow", func(context.Context, activities.CloseBooksWindowInput) error { return nil })
	return r
}

// stretchesOfTwoYears is in how many a backfill of two years is divided.
const stretchesOfTwoYears = 24
