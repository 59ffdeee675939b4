// Package books tests that the books of both sides come to agree over years of everything that happens to them: it is the
// whole system with faults and kills, and the sums that it shows are held to sums that are made here, of what happened
// alone. It is a package of its own because it takes a minute or two.
package books

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/test/harness"
	"github.com/tallystick/tallystick/workflows"
)

const (
	// seedVariable chooses another seed than the usual one, for a test that failed or for many runs.
	seedVariable = "TALLYSTICK_BOOKS_SEED"
	usualSeed    = 11
	// patience is how long each of the waits may take on a machine that has other things to do.
	patience = 6 * time.Minute
	// look is the time between two looks at what is waited for.
	look = 20 * time.Millisecond
)

func TestMain(m *testing.M) { harness.Main(m) }

// world is the system with two years behind it.
type world struct {
	*testing.T
	stack *stack.Stack
	past  shop.PastData
	truth *truth
	dice  *rand.Rand
	// done counts pages that were read at HighLevel and writes at Sage: by it processes are killed, and not by time.
	done atomic.Int64
	// acted is when people began to act: what was before is as it was first seen.
	acted time.Time
	// planted are the differences that the report must name, and no other.
	planted []difference
	// quiet ends all faults.
	quiet func()
	// taken are things that something was done to: nothing else is.
	taken map[string]bool
}

// TestTwoYearsComeToAgree gives the system a location with two years behind it, has it bring them into Sage with calls that
// fail, answers that are lost and processes that are killed, lets people on both sides do what they do meanwhile, and then
// lets it look once more in peace. Sage must hold each payment, refund, order and subscription once, and the report must
// name what only people can judge and nothing else, with sums that are right to the last minor unit.
func TestTwoYearsComeToAgree(t *testing.T) {
	w := newWorld(t)
	w.backfill()
	w.deeds()
	w.sweep(1)
	w.idle()

	w.quiet()
	w.sweep(0)
	w.idle()
	w.holdsEachOnce()
	w.reportIsRight()
	w.revenueIsRight()

	// Nothing is left to be done, so nothing is done.
	w.stack.Sage.ResetWrites()
	w.sweep(0)
	w.idle()
	require.Empty(t, w.stack.Sage.Writes())
	w.reportIsRight()
}

func newWorld(t *testing.T) *world {
	seed := int64(usualSeed)
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		seed, err = strconv.ParseInt(text, 10, 64)
		require.NoError(t, err, seedVariable)
	}
	t.Logf("%s=%d", seedVariable, seed)
	w := &world{T: t, taken: map[string]bool{}, dice: rand.New(rand.NewPCG(uint64(seed), 5))}
	size := shop.PastOptions{Seed: seed, Transactions: 700, Subscriptions: 80}
	// The last minutes are left to what happens while the test runs.
	size.To = time.Now().Add(-10 * time.Minute)
	w.past = shop.Past(size)
	w.truth = truthOf(w.past)

	plan := faults.NewPlan(seed, faults.Some)
	for _, vendor := range []string{"ghl.*", "sage.*"} {
		plan.Chances(vendor, withATime(faults.Some.Chances())...)
	}
	w.stack = harness.Start(t, stack.Options{
		GHL: ghl.Options{
			Seed: seed, NoLimits: true, Faults: plan, AfterPage: func(string, int) { w.done.Add(1) },
			Webhooks: ghl.WebhookOptions{Events: []string{}}, // nothing of it is told of
		},
		Sage: sage.Options{Faults: plan, OnWrite: func(sage.Write) { w.done.Add(1) }},
		// Only what the test asks for sweeps, and a difference counts at once.
		Env: map[string]string{
			"RECONCILE": "true", "RECONCILE_INTERVAL": "24h", "RECONCILE_DEEP_INTERVAL": "24h", "REFUND_WINDOW": "26280h",
			"DIFFERENCE_AGE": "0s", "SYNC_INTERVAL": "24h", "DEEP_SYNC_INTERVAL": "24h", "FULFILLMENT_SYNC_INTERVAL": "24h",
			"WATCHDOG_INTERVAL": "0s",
		},
	})
	w.quiet = func() { plan.Clear() }
	require.NoError(t, w.past.Seed(w.stack.GHL))
	return w
}

// withATime has every refusal for too many calls name a second to wait: one that names none holds everything for ten.
func withATime(chances []faults.Chance) []faults.Chance {
	for i := range chances {
		if f := &chances[i].Fault; f.Kind == faults.Throttle && f.RetryAfter == faults.RetryAfterNone {
			f.RetryAfter, f.Delay = faults.RetryAfterSeconds, time.Second
		}
	}
	return chances
}

// backfill brings the two years, while the worker is killed twice and the starter once.
func (w *world) backfill() {
	began := time.Now()
	from := w.past.Products[0].CreatedAt.Add(-time.Hour).Format(time.RFC3339)
	code, output := harness.Command(w.T, w.stack, "", "backfill", "--from", from, "--detach")
	require.Zero(w, code, output)
	worker, starter := w.stack.Workers[0].Restart, w.stack.Starter.Restart
	killed := w.killDuring(func(ctx context.Context) {
		var done activities.ReconciliationProgress
		require.NoError(w, w.stack.Temporal.GetWorkflow(ctx, workflows.BackfillID(w.stack.Location()), "").Get(ctx, &done))
		require.Empty(w, done.Stopped)
		w.Logf("backfill: %d rows, %d records made", done.Rows, done.Created)
	}, w.kills(5, 60, worker), w.kills(60, 250, starter), w.kills(150, 350, worker))
	require.Equal(w, 3, killed, "a backfill that is over before anything was killed proves little")
	w.idle()
	w.Logf("the backfill took %s", time.Since(began).Round(time.Second))
}

// sweep lets the system look once over everything, while the worker is killed so many times.
func (w *world) sweep(kills int) {
	began := time.Now()
	var plan []kill
	for range kills {
		plan = append(plan, w.kills(2, 30, w.stack.Workers[0].Restart))
	}
	w.killDuring(func(context.Context) {
		code, output := harness.Command(w.T, w.stack, "", "sync", "subscriptions", "--deep", "--wait")
		require.Zero(w, code, output)
		w.Log(output)
	}, plan...)
	w.Logf("the sweep took %s", time.Since(began).Round(time.Second))
}

// kill has a process be killed and started again after so much was done.
type kill struct {
	after   int64
	restart func(context.Context) error
}

func (w *world) kills(from, to int64, restart func(context.Context) error) kill {
	return kill{from + w.dice.Int64N(to-from), restart}
}

// killDuring does something while processes are killed, one after the other, and tells how many were.
func (w *world) killDuring(do func(context.Context), kills ...kill) int {
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	over, stop := context.WithCancel(ctx)
	type outcome struct {
		killed int
		err    error
	}
	ended := make(chan outcome, 1)
	go func() {
		var out outcome
		for _, k := range kills {
			if !w.reached(over, w.done.Load()+k.after) {
				break
			}
			if out.err = k.restart(ctx); out.err != nil { // which kills first
				break
			}
			out.killed++
		}
		ended <- out
	}()
	do(ctx)
	stop()
	out := <-ended
	require.NoError(w, out.err)
	return out.killed
}

// reached waits until so much was done, and is false if it never was.
func (w *world) reached(ctx context.Context, n int64) bool {
	tick := time.NewTicker(look / 10)
	defer tick.Stop()
	for w.done.Load() < n {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// idle waits until no order is at work and nothing is parked that goes on by itself.
func (w *world) idle() {
	began := time.Now()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	// The server's list of what runs lags behind a little, so it must say so for a while.
	last := ""
	for since := time.Now(); time.Since(since) < time.Second; {
		if open := w.open(ctx); open != "" && ctx.Err() == nil {
			last, since = open, time.Now()
		}
		select {
		case <-ctx.Done():
			require.Fail(w, "not idle in time", last)
		case <-tick.C:
		}
	}
	w.Logf("idle after %s", time.Since(began).Round(time.Second))
}

// open says what is still to be done, empty for nothing. A process that only waits whether an invoice will have an order
// does nothing.
func (w *world) open(ctx context.Context) string {
	list, err := w.stack.Temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("ExecutionStatus = 'Running' AND WorkflowType IN ('%s', '%s')",
			workflows.PaymentToOrderType, workflows.InvoiceToOrderType),
	})
	if err != nil {
		return err.Error()
	}
	for _, run := range list.GetExecutions() {
		id := run.GetExecution().GetWorkflowId()
		now, err := w.stack.Temporal.DescribeWorkflowExecution(ctx, id, run.GetExecution().GetRunId())
		switch {
		case err != nil:
			return err.Error()
		case run.GetType().GetName() == workflows.PaymentToOrderType || now.GetPendingWorkflowTask() != nil:
			return id + " is at work"
		case len(now.GetPendingActivities()) > 0:
			return id + " is at work: " + now.GetPendingActivities()[0].String()
		}
	}
	parked, _, err := w.stack.Store.ParkedItems(ctx, store.ParkedFilter{Location: w.stack.Location(), Page: store.Page{Limit: 1000}})
	if err != nil {
		return err.Error()
	}
	for _, item := range parked {
		if !item.NextTry.IsZero() {
			return item.Process + " " + item.ObjectID + ": " + item.Reason
		}
	}
	return ""
}
