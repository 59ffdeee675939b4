package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

// backfill is the command line of a backfill.
type backfill struct {
	where            location
	from, to         string
	afresh           bool
	detach, stop     bool
	dryRun           bool
	plainEvery, look time.Duration
}

func backfillCommand(a *app) *cobra.Command {
	b := backfill{plainEvery: 10 * time.Second, look: time.Second}
	c := &cobra.Command{
		Use: "backfill", Short: "Bring what is older than the books: orders, payments, refunds and subscriptions of a time", Args: cobra.NoArgs,
		Long: "Bring what is older than the books into Sage: the orders, payments, refunds and subscriptions of the time from --from up\n" +
			"to --to, or up to now. What is in Sage already is not brought twice. It runs on the workers with the least priority, so\n" +
			"that it holds up nothing that happens meanwhile, and this command shows how far it has come.\n\n" +
			"Ctrl-C leaves it running, and another `starter backfill` shows it again. --stop stops it; another one goes on where it\n" +
			"was, as it does after a connection that did not work. --afresh begins at the beginning instead.",
		Example: "  starter backfill --from 2024-01-01 --to 2025-12-31\n  starter backfill\n  starter backfill --stop",
		RunE: func(c *cobra.Command, _ []string) error {
			period, err := b.period(time.Now().UTC())
			if err != nil {
				return err
			}
			return a.withDesk(c.Context(), &b.where, func(d *desk) error { return b.run(c.Context(), a, d, period) })
		},
	}
	b.where.add(c)
	c.Flags().StringVar(&b.from, "from", "", "since this date (YYYY-MM-DD or RFC 3339) or for this long (such as 720h); not needed to go on with one that was stopped")
	c.Flags().StringVar(&b.to, "to", "", "up to and with this date (YYYY-MM-DD), or before this moment (RFC 3339); now if not given")
	c.Flags().BoolVar(&b.afresh, "afresh", false, "begin at the beginning, also where one of the same time was stopped")
	c.Flags().BoolVar(&b.detach, "detach", false, "do not show how far it comes")
	c.Flags().BoolVar(&b.stop, "stop", false, "stop the one that runs")
	dryRunFlag(c, &b.dryRun)
	return c
}

// period reads the flags. Its parts are zero where they were not given.
func (b backfill) period(now time.Time) (p activities.Period, err error) {
	if b.stop && (b.from != "" || b.to != "" || b.afresh) {
		return p, wrongUse("--stop stops the one that runs, whatever its time")
	}
	if b.from != "" {
		if p.From, err = parseSince(b.from, now); err != nil {
			return p, err
		}
	} else if b.to != "" || b.afresh {
		return p, wrongUse("say since when, with --from")
	}
	if b.to != "" {
		if day, err := time.Parse(time.DateOnly, b.to); err == nil {
			p.Before = day.AddDate(0, 0, 1)
		} else if p.Before, err = time.Parse(time.RFC3339, b.to); err != nil {
			return p, wrongUse("%q is no date such as 2026-11-01 and no moment such as 2026-11-01T12:00:00Z", b.to)
		}
		if p.Before.After(now) {
			p.Before = now
		}
	}
	if !p.From.IsZero() && (!p.From.Before(now) || !p.Before.IsZero() && !p.From.Before(p.Before)) {
		return p, wrongUse("there is no time between --from and --to, or it is yet to come")
	}
	return p, nil
}

func (b backfill) run(ctx context.Context, a *app, d *desk, asked activities.Period) error {
	id := workflows.BackfillID(d.location)
	running, err := runs(ctx, d.temporal, id)
	if err != nil {
		return err
	}
	kept, known, err := d.store.Progress(ctx, d.location, activities.BackfillRun)
	if err != nil {
		return err
	}
	stopped := known && kept.EndedAt.IsZero()
	switch {
	case b.stop && !running:
		_, _ = fmt.Fprintln(a.out, "no backfill runs")
		return nil
	case b.stop:
		return b.end(ctx, a, d, id)
	case running:
		return b.attach(ctx, a, d, asked, kept)
	case asked.From.IsZero() && !stopped:
		return wrongUse("no backfill runs or was stopped: say since when one should begin, with --from")
	}
	p, goesOn := chosen(asked, kept, stopped, time.Now().UTC())
	if b.afresh {
		goesOn = false
	}
	where := "from its beginning"
	if goesOn {
		where = "from where it was stopped: " + step(kept)
	}
	if b.dryRun {
		_, _ = fmt.Fprintf(a.out, "%s  would be started, %s, %s\n", id, span(p), where)
		return nil
	}
	if b.afresh {
		if err := d.store.ForgetProgress(ctx, d.location, activities.BackfillRun); err != nil {
			return err
		}
	}
	if _, err := d.door.Backfill(ctx, d.location, p); err != nil {
		return err
	}
	err = d.store.Audit(ctx, store.AuditEntry{
		At: time.Now().UTC(), Location: d.location, Actor: actor(), Action: "backfill", Object: id, Detail: span(p),
	})
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(a.out, "%s  started, %s, %s\n", id, span(p), where)
	return b.follow(ctx, a, d, id)
}

// chosen is the period of a backfill that begins now, and whether it goes on with the one that was stopped: if that is of
// the same time as far as was said.
func chosen(asked activities.Period, kept store.Progress, stopped bool, now time.Time) (p activities.Period, goesOn bool) {
	if stopped && (asked.From.IsZero() || asked.From.Equal(kept.From)) && (asked.Before.IsZero() || asked.Before.Equal(kept.Before)) {
		return activities.Period{From: kept.From, Before: kept.Before}, true
	}
	if asked.Before.IsZero() {
		asked.Before = now.Truncate(time.Microsecond)
	}
	return asked, false
}

// attach shows the one that runs, unless another was meant.
func (b backfill) attach(ctx context.Context, a *app, d *desk, asked activities.Period, kept store.Progress) error {
	_, same := chosen(asked, kept, true, time.Now())
	is := activities.Period{From: kept.From, Before: kept.Before}
	if !same || b.afresh {
		return fmt.Errorf("a backfill %s runs already: wait for its end, or stop it with `starter backfill --stop`", span(is))
	}
	id := workflows.BackfillID(d.location)
	_, _ = fmt.Fprintf(a.out, "%s  runs, %s\n", id, span(is))
	if b.dryRun {
		return nil
	}
	return b.follow(ctx, a, d, id)
}

// end stops the one that runs and waits until it has stopped.
func (b backfill) end(ctx context.Context, a *app, d *desk, id string) error {
	if b.dryRun {
		_, _ = fmt.Fprintf(a.out, "%s  would be stopped\n", id)
		return nil
	}
	if err := d.temporal.CancelWorkflow(ctx, id, ""); err != nil && !missing(err) {
		return fmt.Errorf("stop %s: %w", id, err)
	}
	err := d.store.Audit(ctx, store.AuditEntry{
		At: time.Now().UTC(), Location: d.location, Actor: actor(), Action: "backfill stop", Object: id,
	})
	if err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	words := "stopped; `starter backfill` goes on where it was"
	if err := d.lastRun(asked, id).Get(asked, nil); err != nil && asked.Err() != nil {
		words = "is asked to stop, and will once a worker takes its work"
	}
	_, _ = fmt.Fprintf(a.out, "%s  %s\n", id, words)
	return nil
}

// runs tells whether a workflow runs.
func runs(ctx context.Context, c client.Client, id string) (bool, error) {
	description, err := c.DescribeWorkflow(ctx, id, "")
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", id, err)
	}
	return description.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}

// follow shows how far a backfill comes, until it ends or the command is interrupted, which leaves it running.
func (b backfill) follow(ctx context.Context, a *app, d *desk, id string) error {
	if b.detach {
		return nil
	}
	var done activities.ReconciliationProgress
	ended := make(chan error, 1)
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { ended <- d.lastRun(waiting, id).Get(waiting, &done) }()
	s := newShown(a, b.plainEvery)
	defer s.clear()
	tick := time.NewTicker(b.look)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			s.clear()
			var cancelled *temporal.CanceledError
			switch {
			case ctx.Err() != nil:
				return left(a.out, id)
			case errors.As(err, &cancelled):
				_, _ = fmt.Fprintf(a.out, "%s  was stopped; `starter backfill` goes on where it was\n", id)
				return errReported
			case err != nil:
				return fmt.Errorf("%s: %w; `starter backfill` goes on where it was", id, faultOf(err))
			}
			return reconciled(a.out, id, done)
		case <-tick.C:
			now, found, err := d.store.Progress(ctx, d.location, activities.BackfillRun)
			if err == nil && found {
				s.show(now, time.Now())
			}
		case <-ctx.Done():
			s.clear()
			return left(a.out, id)
		}
	}
}

func left(out io.Writer, id string) error {
	_, _ = fmt.Fprintf(out, "%s  goes on on the workers: `starter backfill` shows it again, `starter backfill --stop` stops it\n", id)
	return nil
}

// shown is how the progress of a backfill is shown: in one line that is rewritten on a terminal, else as lines from time to
// time.
type shown struct {
	out      io.Writer
	terminal bool
	every    time.Duration

	// began is what was first seen of a stage, and at when that was: the pace is that since then.
	began  store.Progress
	at     time.Time
	toldAt time.Time
}

func newShown(a *app, every time.Duration) *shown {
	file, ok := a.errOut.(*os.File)
	return &shown{out: a.errOut, terminal: ok && isatty.IsTerminal(file.Fd()), every: every}
}

func (s *shown) show(now store.Progress, at time.Time) {
	// The first two stages alternate, and count on.
	if s.at.IsZero() || number(now) != number(s.began) || now.Records < s.began.Records {
		s.began, s.at, s.toldAt = now, at, time.Time{}
	}
	line := pace(s.began, now, at.Sub(s.at))
	switch {
	case s.terminal:
		_, _ = fmt.Fprint(s.out, "\r\033[K"+line)
	case at.Sub(s.toldAt) >= s.every:
		s.toldAt = at
		_, _ = fmt.Fprintln(s.out, line)
	}
}

func (s *shown) clear() {
	if s.terminal {
		_, _ = fmt.Fprint(s.out, "\r\033[K")
	}
}

// pace is a line of progress: the step, what is done of it, how fast, and how long the rest of the step takes at that pace.
func pace(began, now store.Progress, since time.Duration) string {
	line := fmt.Sprintf("%s, %d pages, %d records", step(now), now.Pages, now.Records)
	if since < time.Second {
		return line
	}
	line += fmt.Sprintf(", %.1f/s", float64(now.Records-began.Records)/since.Seconds())
	before, done := share(began), share(now)
	if done <= before || done >= 1 {
		return line
	}
	rest := time.Duration(math.Min(float64(since)*(1-done)/(done-before), float64(999*time.Hour)))
	return line + ", about " + rest.Round(roundTo(rest)).String() + " left of this step"
}

func roundTo(d time.Duration) time.Duration {
	if d > 10*time.Minute {
		return time.Minute
	}
	return time.Second
}

// steps are what a backfill does, as people read it. Its first two stages are one.
var steps = []struct {
	stages []activities.ReconciliationStage
	words  string
}{
	{[]activities.ReconciliationStage{activities.StageTransactions, activities.StageOrders}, "reading payments and orders"},
	{[]activities.ReconciliationStage{activities.StageSubscriptions}, "reading subscriptions"},
	{[]activities.ReconciliationStage{activities.StageSage}, "reading Sage"},
	{[]activities.ReconciliationStage{activities.StageBring}, "bringing into Sage"},
	{[]activities.ReconciliationStage{activities.StageCompare, activities.StageDone}, "comparing both sides"},
}

// number is which step a run is at, from 1 on, or 0 for one that only another version knows.
func number(p store.Progress) int {
	for i, s := range steps {
		for _, stage := range s.stages {
			if string(stage) == p.Stage {
				return i + 1
			}
		}
	}
	return 0
}

// step says where a run is, such as "step 1 of 5: reading payments and orders, up to 2024-03-01 (12 %)".
func step(p store.Progress) string {
	n := number(p)
	if n == 0 {
		return p.Stage
	}
	words := fmt.Sprintf("step %d of %d: %s", n, len(steps), steps[n-1].words)
	if n == 1 {
		words += ", up to " + p.At.UTC().Format(time.DateOnly)
	}
	if done := share(p); done > 0 {
		words += fmt.Sprintf(" (%d %%)", int(100*done))
	}
	return words
}

// share is how much of its step a run has done, from 0 to 1, or 0 where that cannot be known.
func share(p store.Progress) float64 {
	whole, done := float64(p.Total), float64(p.Records)
	if number(p) == 1 {
		whole, done = float64(p.Before.Sub(p.From)), float64(p.At.Sub(p.From))
	}
	if whole <= 0 {
		return 0
	}
	return min(max(done/whole, 0), 1)
}

func span(p activities.Period) string {
	return "from " + p.From.UTC().Format(time.RFC3339) + " to " + p.Before.UTC().Format(time.RFC3339)
}
