package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// What the books must hold, whatever the machine. The rest is printed only.
const (
	// perTen is by how much at most what belongs to a record may grow where the records are ten times as many: by
	// nothing but rounding up to pages.
	perTen = 1.1
	// aimMemory is by how much the worker's memory may grow where the records are ten times as many. It has to be printed
	// only, as a garbage collector has its moods.
	aimMemory = 1.5
	// besidesPerStep is how many calls a step may need to learn what the tenant looks like.
	besidesPerStep = 2
	// callsPerChange bounds what one change takes beside the pages: to read it, to look for its record, to write that and
	// to read it back. Some dozens share the looking, and callsForAny is what few take as well.
	callsPerChange = 5
	callsForAny    = 40
)

// claims are what the figures must not contradict.
func (r *results) claims() error {
	for _, f := range r.books {
		if n := f.lost.writes(); n > 0 {
			return fmt.Errorf("%d transactions: Sage had everything, and was written to %d times", f.transactions, n)
		}
		if err := f.isQuiet(); err != nil {
			return fmt.Errorf("%d transactions, of which nothing changed: %w", f.transactions, err)
		}
		if n := f.changed.writes(); n < f.changes.all() || n > f.changes.writes() {
			return fmt.Errorf("%d transactions: %d writes for changes that need %d to %d", f.transactions, n, f.changes.all(), f.changes.writes())
		}
		if n := f.forChanges(); n > callsForAny+callsPerChange*f.changes.all() {
			return fmt.Errorf("%d transactions: %d calls for %d changes, more than %d for each", f.transactions, n, f.changes.all(), callsPerChange)
		}
	}
	for i := 1; i < len(r.books); i++ {
		few, many := r.books[i-1], r.books[i]
		if grown := perRecord(many, booksRun.pages) / perRecord(few, booksRun.pages); grown > perTen {
			return fmt.Errorf("pages per record grow by %.2f from %d to %d transactions", grown, few.transactions, many.transactions)
		}
	}
	return nil
}

// isQuiet tells what was called beside pages although nothing had changed.
func (f booksFigures) isQuiet() error {
	q := f.quiet
	single := q.calls["ghl.transactions.get"] + q.calls["ghl.orders.get"] + q.calls["ghl.subscriptions.get"]
	steps := int(q.actions["activity"])
	switch {
	case q.writes() > 0 || q.Created+q.Updated+q.Removed > 0:
		return fmt.Errorf("sage was written to %d times", q.writes())
	case q.Parked > 0 || q.Differences > 0:
		return fmt.Errorf("%d records were parked, and the sides differ in %d", q.Parked, q.Differences)
	case single > f.passed:
		return fmt.Errorf("%d records were read one by one, and only %d renewals had fallen due", single, f.passed)
	case q.others()-single > besidesPerStep*steps:
		return fmt.Errorf("%d calls were made beside the pages in %d steps: %s", q.others()-single, steps, inWords(q.calls, 1))
	}
	return nil
}

// perRecord is a figure of the quiet run for each transaction.
func perRecord(f booksFigures, of func(booksRun) int) float64 {
	return float64(of(f.quiet)) / float64(max(f.transactions, 1))
}

// forChanges is how many calls were made for what had changed, beside those that are made anyway.
func (f booksFigures) forChanges() int {
	return f.changed.ghl() + f.changed.sage() - f.quiet.ghl() - f.quiet.sage()
}

func (f booksFigures) perChange() float64 {
	return float64(f.forChanges()) / float64(max(f.changes.all(), 1))
}

// underLimits is how long the calls take where the vendors let only so many through. A run makes one after the other.
func (r booksRun) underLimits() time.Duration {
	seconds := float64(r.ghl())*10/ghlPer10Seconds + float64(r.sage())/sagePerSecond
	return time.Duration(seconds * float64(time.Second))
}

// booksTables print what the books cost, from few records to many.
func (r *results) booksTables(w io.Writer, section func(string, ...any)) {
	section("Books: what it takes to bring two years of transactions into Sage")
	r.broughtTable(w)
	var heads []any
	for i, f := range r.books {
		heads = append(heads, fmt.Sprintf("%d", f.transactions))
		if i > 0 {
			heads = append(heads, "grows by")
		}
	}
	section("Books: transactions of two years; a fifth as many subscriptions; \"grows by\" is from one size to the next")
	row(w, "", heads...)
	r.growing(w, "f: subscriptions", whole, func(f booksFigures) float64 { return float64(f.subscriptions) })
	r.growing(w, "f: entries of the ledger", whole, func(f booksFigures) float64 { return float64(f.entries) })
	for _, part := range []struct {
		name string
		of   func(booksFigures) booksRun
	}{
		{"Sage has all, the ledger nothing", func(f booksFigures) booksRun { return f.lost }},
		{"nothing changed", func(f booksFigures) booksRun { return f.quiet }},
		{fmt.Sprintf("1 of %d changed", changedInBooks), func(f booksFigures) booksRun { return f.changed }},
	} {
		section("Books: " + part.name)
		row(w, "", heads...)
		for _, q := range booksQuantities {
			r.growing(w, "f: "+q.name, q.form, func(f booksFigures) float64 {
				if part.of(f).took == 0 {
					return math.NaN() // not measured
				}
				return q.of(part.of(f))
			})
		}
	}
	section("Books: the reports, which call no vendor")
	row(w, "", heads...)
	r.growing(w, "f: starter diff, seconds", fine, func(f booksFigures) float64 { return f.diff.took.Seconds() })
	r.growing(w, "f: starter diff, memory at most, MB", whole, func(f booksFigures) float64 { return megabytes(f.diff.peak) })
	r.growing(w, "f: starter report revenue, seconds", fine, func(f booksFigures) float64 { return f.revenue.took.Seconds() })
	r.growing(w, "f: starter report revenue, memory at most, MB", whole, func(f booksFigures) float64 { return megabytes(f.revenue.peak) })
	for _, f := range r.books {
		fmt.Fprintf(w, "  %d, nothing changed: %s; %s\n", f.transactions, inWords(f.quiet.calls, 1), inWords(f.quiet.actions, 1))
	}
}

func (r *results) broughtTable(w io.Writer) {
	row(w, "", "transactions", "runs", "seconds", "HighLevel", "Sage", "writes", "writes per second", "worker's CPU ms per write",
		"memory, MB", "minutes under limits")
	for _, b := range r.brought {
		writes := max(b.writes(), 1)
		row(w, "f: "+b.name, b.transactions, b.runs, fmt.Sprintf(fine, b.took.Seconds()), b.ghl(), b.sage(), b.writes(),
			fmt.Sprintf(fine, float64(writes)/b.took.Seconds()), milliseconds(b.cpu/time.Duration(writes)), fmt.Sprintf(whole, megabytes(b.peak)),
			fmt.Sprintf(fine, b.underLimits().Minutes()))
	}
}

// Forms of figures.
const (
	whole = "%.0f"
	fine  = "%.1f"
	exact = "%.4f"
)

func megabytes(bytes int64) float64 { return math.Ceil(float64(bytes) / (1 << 20)) }

// booksQuantities are what is told of a run.
var booksQuantities = []struct {
	name, form string
	of         func(booksRun) float64
}{
	{"seconds", fine, func(r booksRun) float64 { return r.took.Seconds() }},
	{"the worker's CPU seconds", fine, func(r booksRun) float64 { return r.cpu.Seconds() }},
	{"the worker's memory at most, MB", whole, func(r booksRun) float64 { return megabytes(r.peak) }},
	{"rows read", whole, func(r booksRun) float64 { return float64(r.Rows) }},
	{"calls to HighLevel", whole, func(r booksRun) float64 { return float64(r.ghl()) }},
	{"calls to Sage", whole, func(r booksRun) float64 { return float64(r.sage()) }},
	{"of all calls, pages", whole, func(r booksRun) float64 { return float64(r.pages()) }},
	{"of all calls, writes", whole, func(r booksRun) float64 { return float64(r.writes()) }},
	{"of all calls, others", whole, func(r booksRun) float64 { return float64(r.others()) }},
	{"billable actions", whole, func(r booksRun) float64 { return float64(r.billed()) }},
	{"events in histories", whole, func(r booksRun) float64 { return float64(r.events) }},
	{"continued as new", whole, func(r booksRun) float64 { return float64(r.continued) }},
	{"minutes under the vendors' limits", fine, func(r booksRun) float64 { return r.underLimits().Minutes() }},
}

// growing prints a figure of all sizes, and by how much it grows from one to the next.
func (r *results) growing(w io.Writer, name, form string, of func(booksFigures) float64) {
	var cells []any
	for i, f := range r.books {
		cell := "-"
		if now := of(f); !math.IsNaN(now) {
			cell = fmt.Sprintf(form, now)
		}
		if cells = append(cells, cell); i == 0 {
			continue
		}
		if before := of(r.books[i-1]); before > 0 && cell != "-" {
			cells = append(cells, fmt.Sprintf("%.2f", of(f)/before))
		} else {
			cells = append(cells, "-")
		}
	}
	row(w, name, cells...)
}

func (r *results) aimsOfBooks(w io.Writer) {
	few, many := r.books[0], r.books[len(r.books)-1]
	besides := func(f booksFigures) float64 {
		return float64(f.quiet.others()+f.quiet.writes()) / float64(f.transactions+f.subscriptions)
	}
	row(w, fmt.Sprintf("f, calls per unchanged record besides pages, %d", many.transactions), fmt.Sprintf(exact, besides(many)), "towards 0")
	row(w, fmt.Sprintf("f, the same, %d", few.transactions), fmt.Sprintf(exact, besides(few)), "")
	row(w, "f, pages per unchanged transaction", fmt.Sprintf(exact, perRecord(many, booksRun.pages)),
		fmt.Sprintf("no more than of %d: %.4f", few.transactions, perRecord(few, booksRun.pages)))
	row(w, "f, calls per change besides those made anyway", fmt.Sprintf("%.2f", many.perChange()), fmt.Sprintf("at most %d", callsPerChange))
	worst := slices.MaxFunc(r.memoryGrowth(), func(a, b float64) int {
		if a < b {
			return -1
		}
		return 1
	})
	row(w, "f, the worker's memory, from one size to the next", fmt.Sprintf("%.2f", worst), fmt.Sprintf("at most %.1f", aimMemory))
}

// memoryGrowth is by how much the worker's memory grows from one size to the next, in each of the runs.
func (r *results) memoryGrowth() []float64 {
	grown := []float64{1}
	for i := 1; i < len(r.books); i++ {
		for _, of := range []func(booksFigures) booksRun{
			func(f booksFigures) booksRun { return f.lost }, func(f booksFigures) booksRun { return f.quiet },
			func(f booksFigures) booksRun { return f.changed },
		} {
			if before := of(r.books[i-1]).peak; before > 0 {
				grown = append(grown, float64(of(r.books[i]).peak)/float64(before))
			}
		}
	}
	return grown
}
