package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/workflows"
)

const (
	// subscribed is one of how many transactions there are subscriptions for.
	subscribed = 5
	// changedInBooks is one of how many transactions something happens to before the last run.
	changedInBooks = 100
	// untilQuiet is how many runs a past may take until all of it is in the books: payments wait for their orders.
	untilQuiet = 5
	booksPast  = 2 // years
	// lostAtMost is for how many transactions it is measured what it takes to find in Sage all that the ledger lost: that
	// looks for each record, and grows with them.
	lostAtMost = 10000
)

// booksRun is what one run of the reconciliation took, with all that it set going.
type booksRun struct {
	bill
	took, cpu time.Duration // cpu is the worker's
	peak      int64         // the most memory of the worker, in bytes; 0 where it is not known
	// events are those of all histories of the run, which continued as new so many times.
	events, continued int
	activities.ReconciliationProgress
}

// pages are the calls that read a page of a list of the books.
func (r booksRun) pages() (sum int) {
	for _, list := range []string{
		"ghl.transactions.list", "ghl.orders.list", "ghl.subscriptions.list",
		"sage.sales.list", "sage.opportunities.list", "sage.salesorders.list",
	} {
		sum += r.calls[list]
	}
	return sum
}

// writes are the calls that change something at Sage.
func (r booksRun) writes() (sum int) {
	for operation, n := range r.calls {
		_, verb, _ := strings.Cut(strings.TrimPrefix(operation, "sage."), ".")
		if strings.HasPrefix(operation, "sage.") && (verb == "create" || verb == "update" || verb == "delete") {
			sum += n
		}
	}
	return sum
}

// others are calls that neither read a page nor write.
func (r booksRun) others() int { return r.ghl() + r.sage() - r.pages() - r.writes() }

// booksFigures are those of one size.
type booksFigures struct {
	transactions, subscriptions int
	entries                     int64 // in the ledger, of both sides
	// lost finds everything in Sage and nothing in the ledger, where that is measured, quiet nothing new, and changed so many
	// changes.
	lost, quiet, changed booksRun
	changes              changes
	passed               int // renewals that fell due while the quiet run ran, each of which takes a call
	diff, revenue        command
}

// changes are what happened between two runs.
type changes struct{ refunds, renewals, cancelled int }

func (c changes) all() int { return c.refunds + c.renewals + c.cancelled }

// writes are the most that the changes make necessary: a row for each refund and renewal, and the opportunity of each
// subscription that was cancelled, or renewed such that its next renewal is another day.
func (c changes) writes() int { return c.refunds + 2*c.renewals + c.cancelled }

// broughtFigures are what it took to bring a past into Sage.
type broughtFigures struct {
	name         string
	transactions int
	booksRun     // of all runs that it took
	runs         int
}

// command is what a command of the starter took.
type command struct {
	took time.Duration
	peak int64
}

// library is the product with a past at HighLevel.
type library struct {
	stack *stack.Stack
	past  shop.PastData
	from  time.Time
	bench *benchmark
}

// books measures the reconciliation: of pasts that Sage has nothing of, and of pasts of several sizes that it has.
func (b *benchmark) books(ctx context.Context) error {
	if !b.wants(onlyBooks) {
		return nil
	}
	few := b.sizes[0]
	e := example{past: pastOf(few, time.Now().Add(-longAgo))} // of what is younger the sweep that comes with the schedules takes a look
	if err := b.bringAll(ctx, &e, few); err != nil {
		return fmt.Errorf("books of %d transactions, from nothing: %w", few, err)
	}
	if len(b.sizes) > 1 && b.sizes[1] <= lostAtMost {
		if err := b.bringRows(ctx, e, b.sizes[1]); err != nil {
			return fmt.Errorf("books of %d transactions whose orders are known: %w", b.sizes[1], err)
		}
	}
	for _, n := range b.sizes {
		b.say("f: books of %d transactions", n)
		if err := b.booksOf(ctx, e, n); err != nil {
			return fmt.Errorf("books of %d transactions: %w", n, err)
		}
	}
	return nil
}

// bringAll brings a past of which Sage has nothing, orders included, and learns what came of it.
func (b *benchmark) bringAll(ctx context.Context, e *example, n int) error {
	b.say("f: books of %d transactions, brought from nothing", n)
	return b.inLibrary(ctx, fmt.Sprintf("books-new-%d", n), e.past, func(l *library) error {
		if err := l.past.Seed(l.stack.GHL); err != nil {
			return err
		}
		if err := l.bringUp(ctx, "everything, orders too"); err != nil {
			return err
		}
		return e.learn(ctx, l.stack)
	})
}

// bringRows brings a past of whose payments and subscriptions Sage has nothing.
func (b *benchmark) bringRows(ctx context.Context, e example, n int) error {
	b.say("f: books of %d transactions, brought where the orders are known", n)
	copies := n / b.sizes[0]
	return b.inLibrary(ctx, fmt.Sprintf("books-rows-%d", n), e.times(copies), func(l *library) error {
		if err := l.settle(ctx, e, copies, keptOrders); err != nil {
			return err
		}
		return l.bringUp(ctx, "payments and subscriptions")
	})
}

// bringUp runs until there is nothing left to bring.
func (l *library) bringUp(ctx context.Context, name string) error {
	sum := broughtFigures{name: name, transactions: len(l.past.Charges)}
	sum.calls, sum.actions = map[string]int{}, map[string]int64{}
	for range untilQuiet {
		one, err := l.run(ctx, sum.runs == 0)
		if err != nil {
			return err
		}
		sum.add(one)
		if sum.runs++; one.writes() == 0 && one.Looks == 0 {
			l.bench.results.brought = append(l.bench.results.brought, sum)
			return l.agrees(ctx)
		}
	}
	return fmt.Errorf("something was still to be brought after %d runs", untilQuiet)
}

func (f *broughtFigures) add(r booksRun) {
	for operation, n := range r.calls {
		f.calls[operation] += n
	}
	for cause, n := range r.actions {
		f.actions[cause] += n
	}
	f.took, f.cpu, f.peak = f.took+r.took, f.cpu+r.cpu, max(f.peak, r.peak)
	f.events, f.continued = f.events+r.events, f.continued+r.continued
	f.Created, f.Updated = f.Created+r.Created, f.Updated+r.Updated
}

// booksOf measures the runs over a past that is in Sage already.
func (b *benchmark) booksOf(ctx context.Context, e example, n int) error {
	copies := n / b.sizes[0]
	return b.inLibrary(ctx, fmt.Sprintf("books-%d", n), e.times(copies), func(l *library) error {
		began := time.Now()
		what := keptAtSage
		if n > lostAtMost {
			what = keptInLedger
		}
		if err := l.settle(ctx, e, copies, what); err != nil {
			return err
		}
		b.say("  all of it is there after %s", time.Since(began).Round(time.Millisecond))
		f := booksFigures{transactions: len(l.past.Charges), subscriptions: len(l.past.Plans)}
		err := l.measure(ctx, &f, what == keptAtSage)
		b.results.books = append(b.results.books, f)
		return err
	})
}

func (l *library) measure(ctx context.Context, f *booksFigures, lost bool) (err error) {
	first, err := l.run(ctx, true)
	if err != nil {
		return err
	}
	if lost {
		f.lost = first
	}
	for last := first; last.writes() > 0 || last.Changed > 0; { // what the first run left to the next
		if last, err = l.run(ctx, false); err != nil {
			return err
		}
	}
	began := time.Now()
	if f.quiet, err = l.run(ctx, false); err != nil {
		return err
	}
	if f.passed, err = l.renewalsDue(ctx, began, time.Now()); err != nil {
		return err
	}
	if f.changes, err = l.change(len(l.past.Charges) / changedInBooks); err != nil {
		return err
	}
	if f.changed, err = l.run(ctx, false); err != nil {
		return err
	}
	if err := l.agrees(ctx); err != nil {
		return err
	}
	if f.diff, err = l.command(ctx, "diff", "-o", "json"); err != nil {
		return err
	}
	f.revenue, err = l.command(ctx, "report", "revenue", "--month", time.Now().UTC().AddDate(0, -1, 0).Format("2006-01"), "-o", "json")
	if err != nil {
		return err
	}
	return l.count(ctx, f)
}

// settle makes up what is there already. HighLevel is last: a sweep that comes with the schedules must find nothing to do.
func (l *library) settle(ctx context.Context, e example, copies int, what kept) error {
	if err := e.settle(ctx, l.stack, copies, what); err != nil {
		return err
	}
	return l.past.Seed(l.stack.GHL)
}

// inLibrary starts the product for a past at HighLevel, which is still to be seeded, does something, and stops it.
func (b *benchmark) inLibrary(ctx context.Context, namespace string, past shop.PastData, do func(*library) error) (err error) {
	if err := newNamespace(ctx, b.ours.stack.TemporalAddress, namespace); err != nil {
		return err
	}
	l := &library{past: past, bench: b, from: time.Now().AddDate(-booksPast, 0, -2)}
	l.stack, err = stack.Start(ctx, stack.Options{
		Dir: filepath.Join(b.dir, namespace), WorkerBinary: b.worker, StarterBinary: b.starter, Progress: b.progress,
		GHL: ghl.Options{NoLimits: true}, Sage: sage.Options{},
		Temporal: stack.Temporal{Address: b.ours.stack.TemporalAddress, Namespace: namespace},
		Env: map[string]string{
			// Nothing comes between but what is measured, and deep runs reach back over the whole past.
			"RECONCILE": "false", "SYNC_INTERVAL": "24h", "FULFILLMENT_SYNC_INTERVAL": "24h", "WATCHDOG_INTERVAL": "24h", "LOG_LEVEL": "warn",
			"SYNC_FROM": l.from.UTC().Format(time.RFC3339), "REFUND_WINDOW": time.Since(l.from).Round(time.Hour).String(),
		},
		WorkerEnv: b.profiler.env(partWorker), StarterEnv: b.profiler.env(partStarter),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.stack.Stop(context.WithoutCancel(ctx))) }()
	l.stack.GHL.SetWebhookURL("")
	if err := atRest(ctx, l.stack.Temporal); err != nil {
		return err
	}
	return do(l)
}

// run reconciles everything: by a backfill, or as a deep run does.
func (l *library) run(ctx context.Context, backfill bool) (r booksRun, err error) {
	worker := l.stack.Workers[0].PID()
	forgetPeak(worker)
	before, _ := stack.UsageOf(worker)
	l.stack.GHL.ResetCalls()
	l.stack.Sage.ResetCalls()
	l.stack.Sage.ResetWrites()
	door := workflows.Door{Temporal: l.stack.Temporal}
	began := time.Now()
	var run client.WorkflowRun
	if backfill {
		run, err = door.Backfill(ctx, l.stack.Location(), activities.Period{From: l.from, Before: began.UTC()})
	} else {
		run, err = door.Reconcile(ctx, workflows.SubscriptionReconciliationInput{Location: l.stack.Location(), Deep: true})
	}
	if err != nil {
		return r, fmt.Errorf("start a reconciliation: %w", err)
	}
	first := run.GetRunID()
	if err := run.Get(ctx, &r.ReconciliationProgress); err != nil {
		return r, fmt.Errorf("reconciliation: %w", err)
	}
	if r.Stage != activities.StageDone {
		return r, fmt.Errorf("a reconciliation stopped at %s: %s", r.Stage, r.Stopped)
	}
	if err := atRest(ctx, l.stack.Temporal); err != nil { // the orders that it handed on
		return r, err
	}
	r.took = time.Since(began)
	if after, err := stack.UsageOf(worker); err == nil {
		r.cpu, r.peak = after.CPU-before.CPU, after.Peak
	}
	r.calls = l.stack.GHL.Calls()
	maps.Copy(r.calls, l.stack.Sage.Calls())
	err = r.costs(ctx, l.stack.Temporal, run.GetID(), first)
	l.bench.say("  %s: %d rows, %d changed, %d created, %d updated, %d parked, %d differences; %s", r.took.Round(time.Millisecond), r.Rows,
		r.Changed, r.Created, r.Updated, r.Parked, r.Differences, inWords(r.calls, 1))
	return r, err
}

// costs reads the histories of a run and of those that it continued as.
func (r *booksRun) costs(ctx context.Context, temporal client.Client, id, run string) error {
	r.actions = map[string]int64{}
	for run != "" {
		events, err := historyOfRun(ctx, temporal, id, run)
		if err != nil {
			return err
		}
		for kind, n := range actions(events) {
			r.actions[kind] += n
		}
		r.events += len(events)
		run = ""
		if last := events[len(events)-1]; last.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW {
			run = last.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
			r.continued++
		}
	}
	return nil
}

// agrees demands that no record differs: figures of wrong books would be worth nothing.
func (l *library) agrees(ctx context.Context) error {
	sum, rows, err := l.stack.Books(ctx)
	if err != nil {
		return err
	}
	for _, p := range sum.Proofs {
		if !p.Holds() {
			return fmt.Errorf("the proof of %s in %s does not hold", p.Kind, p.Currency)
		}
	}
	if len(rows) > 0 {
		return fmt.Errorf("both sides differ in %d records, such as %+v", len(rows), rows[0])
	}
	return nil
}

// renewalsDue counts the subscriptions whose next renewal fell into a time by what the ledger now says, or had said before.
func (l *library) renewalsDue(ctx context.Context, from, to time.Time) (n int, err error) {
	for _, sub := range l.stack.GHL.Subscriptions() {
		for _, charge := range []int64{sub.Charges - 1, sub.Charges, sub.Charges + 1} {
			if due := sub.Schedule.Due(charge); !due.Before(from.Add(-time.Minute)) && due.Before(to) {
				n++
				break
			}
		}
	}
	return n, ctx.Err()
}

// change lets so many things happen: a third of them refunds of payments of any age, a third renewals, and the rest
// cancellations. All of them are of what Sage has rows for.
func (l *library) change(n int) (done changes, err error) {
	marked := map[string]bool{}
	for _, o := range l.past.History.Orders {
		marked[o.ID] = o.TestMode || o.MarkAsTest
	}
	for _, c := range l.past.Charges {
		if done.refunds >= n/3 {
			break
		}
		if c.Status != "succeeded" || c.Test || marked[c.OrderID] || !c.Refunded.IsZero() || c.Amount.Currency != "EUR" || c.Amount.Minor < 2 {
			continue
		}
		if err := l.stack.GHL.Refund(c.ID, domain.NewMoney(c.Amount.Minor/2, "EUR")); err != nil {
			return done, err
		}
		done.refunds++
	}
	for i, p := range l.past.Plans {
		provider := l.past.History.Subscriptions[i].Provider
		if p.Status != "active" || p.Paused || p.Test || marked[p.OrderID] || p.Amount.Currency != "EUR" || provider == "paypal" {
			continue
		}
		switch {
		case done.renewals < n/3:
			_, err = l.stack.GHL.Renew(p.ID, ghl.NewPayment{})
			done.renewals++
		case done.all() < n:
			err = l.stack.GHL.CancelSubscription(p.ID)
			done.cancelled++
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// command runs a command of the starter that must end well, and measures it.
func (l *library) command(ctx context.Context, args ...string) (c command, err error) {
	run := exec.CommandContext(ctx, l.bench.starter, args...)
	run.Env = os.Environ()
	settings := l.stack.Settings()
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		run.Env = append(run.Env, name+"="+settings[name])
	}
	said := &strings.Builder{}
	run.Stdout, run.Stderr = io.Discard, said
	began := time.Now()
	if err := run.Start(); err != nil {
		return c, err
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case err := <-ended:
			tick.Stop()
			if c.took = time.Since(began); err != nil {
				return c, fmt.Errorf("starter %s: %w: %s", strings.Join(args, " "), err, said)
			}
			return c, nil
		case <-tick.C:
			if u, err := stack.UsageOf(run.Process.Pid); err == nil {
				c.peak = max(c.peak, u.Peak)
			}
		}
	}
}

// count counts the ledger's entries.
func (l *library) count(ctx context.Context, f *booksFigures) error {
	for _, kind := range domain.EntryKinds() {
		filter := store.CompareFilter{Location: l.stack.Location(), Kind: kind}
		err := l.stack.Store.ComparePages(ctx, filter, func(_ string, here *store.LedgerEntry, there []store.LedgerEntry) error {
			if f.entries += int64(len(there)); here != nil {
				f.entries++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
