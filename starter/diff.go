package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/books"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

// diffLine is a command line of `starter diff`.
type diffLine struct {
	where            location
	from, to, format string
	kinds            []string
	apart            bool
	repair, dryRun   bool
	yes              bool
	in               io.Reader
}

func diffCommand(a *app) *cobra.Command {
	var l diffLine
	c := &cobra.Command{
		Use: "diff", Short: "Show on what HighLevel and Sage disagree, prove that nothing is left out, and repair it", Args: cobra.NoArgs,
		Long: "Show each order, payment, refund and subscription on which HighLevel and Sage disagree: missing, extra, another amount,\n" +
			"currency, status or date, or a duplicate; since when, what either side says, and the cause where one is known. A proof for\n" +
			"each kind and currency follows, to the cent: HighLevel's total = Sage's total + what is kept apart by rule + the listed\n" +
			"differences. No vendor is asked: compared is what was last read of both sides.\n\n" +
			"What is younger than DIFFERENCE_AGE is in flight and is no fault. The exit code is 0 if the books agree but for that, and\n" +
			"1 if they do not or a proof does not hold.\n\n" +
			"--repair plans what can be done about it, shows the plan, and carries it out once it is agreed to: orders are looked at\n" +
			"again by their own processes, payments, refunds and subscriptions are brought again by the next reconciliation. Nothing\n" +
			"is written but by those. The rest is for a person, and the exit code is 1 as long as there is such. With -o json the plan\n" +
			"is in the document, and what is done about it goes to standard error.",
		Example: "  starter diff --from 2026-10-01 --to 2026-10-31\n  starter diff --kind payment,refund -o csv > differences.csv\n" +
			"  starter diff --repair --dry-run\n  starter diff --repair --yes",
		RunE: func(c *cobra.Command, _ []string) error {
			l.in = c.InOrStdin()
			q, err := l.query(time.Now().UTC())
			if err != nil {
				return err
			}
			return l.run(c.Context(), a, q)
		},
	}
	l.where.add(c)
	c.Flags().StringVar(&l.from, "from", "", "since this date (YYYY-MM-DD or RFC 3339) or for this long (such as 720h), by HighLevel's date of each record; all if not given")
	c.Flags().StringVar(&l.to, "to", "", "up to and with this date (YYYY-MM-DD), or before this moment (RFC 3339)")
	c.Flags().StringSliceVar(&l.kinds, "kind", nil, "only these kinds: order, payment, refund, subscription; may be repeated")
	c.Flags().BoolVar(&l.apart, "apart", false, "list what is kept apart by rule as well")
	c.Flags().BoolVar(&l.repair, "repair", false, "plan what can be done about the differences and, once agreed to, do it")
	c.Flags().BoolVar(&l.yes, "yes", false, "agree to the plan beforehand")
	dryRunFlag(c, &l.dryRun)
	reportFormatFlag(c, &l.format)
	return c
}

func reportFormatFlag(c *cobra.Command, format *string) {
	c.Flags().StringVarP(format, "output", "o", books.TableFormat, "table, json or csv")
}

func checkReportFormat(format string) error {
	if !slices.Contains([]string{books.TableFormat, books.JSONFormat, books.CSVFormat}, format) {
		return wrongUse("-o %s is none of table, json, csv", format)
	}
	return nil
}

// query is what the command line asks for, but for location and age.
func (l diffLine) query(now time.Time) (q books.Query, err error) {
	q = books.Query{Now: now, ListApart: l.apart}
	switch {
	case l.yes && !l.repair:
		return q, wrongUse("--yes goes with --repair: without it there is nothing to agree to")
	case l.yes && l.dryRun:
		return q, wrongUse("--yes and --dry-run: say which")
	case l.repair && l.format == books.CSVFormat:
		return q, wrongUse("-o csv has no place for the plan of --repair: use table or json")
	case l.repair && !l.dryRun && !l.yes && !onTerminal(l.in):
		return q, wrongUse("there is no terminal to ask on: use --repair with --yes or --dry-run")
	}
	if err := checkReportFormat(l.format); err != nil {
		return q, err
	}
	for _, name := range l.kinds {
		kind := domain.EntryKind(strings.ToLower(strings.TrimSpace(name)))
		if !slices.Contains(domain.EntryKinds(), kind) {
			return q, wrongUse("--kind %q is none of order, payment, refund, subscription", name)
		}
		q.Kinds = append(q.Kinds, kind)
	}
	q.From, q.Before, err = parsePeriod(l.from, l.to, now)
	return q, err
}

// parsePeriod reads a period of dates and moments, either of which may be empty. A last date is within the period.
func parsePeriod(from, to string, now time.Time) (begin, end time.Time, err error) {
	if from != "" {
		if begin, err = parseSince(from, now); err != nil {
			return begin, end, err
		}
	}
	if to == "" {
		return begin, end, nil
	}
	if end, err = time.Parse(time.DateOnly, to); err == nil {
		end = end.AddDate(0, 0, 1)
	} else if end, err = time.Parse(time.RFC3339, to); err != nil {
		return begin, end, wrongUse("--to %q is no date such as 2026-11-30 and no moment such as 2026-11-30T12:00:00Z", to)
	}
	if !end.After(begin) {
		return begin, end, wrongUse("--to %s is not behind --from %s", to, from)
	}
	return begin, end, nil
}

// run compares and, where it is asked for, repairs. Only the repair needs Temporal.
func (l diffLine) run(ctx context.Context, a *app, q books.Query) error {
	if l.repair && !l.dryRun {
		return a.withDesk(ctx, &l.where, func(d *desk) error {
			q.Location, q.DifferenceAge = d.location, d.config.Books.DifferenceAge
			sum, plan, err := l.compare(ctx, a, d.store, q)
			if err != nil {
				return err
			}
			return l.carryOut(ctx, a, d, sum, plan)
		})
	}
	return a.withStore(ctx, func(c config.Config, db *store.Store) (err error) {
		if q.Location, err = l.where.of(ctx, a, c); err != nil {
			return err
		}
		q.DifferenceAge = c.Books.DifferenceAge
		sum, _, err := l.compare(ctx, a, db, q)
		if err == nil && !sum.Agree() {
			err = errReported
		}
		return err
	})
}

// compare prints the comparison, with the plan of its repair if that is asked for.
func (l diffLine) compare(ctx context.Context, a *app, db *store.Store, q books.Query) (books.Summary, *books.Plan, error) {
	printer, err := books.NewPrinter(l.format, a.out, q)
	if err != nil {
		return books.Summary{}, nil, err
	}
	var plan *books.Plan
	if l.repair {
		plan = books.NewPlan(db, q.Location)
	}
	if q.Reconciled, _, err = db.Cursor(ctx, q.Location, activities.ReconciliationMark); err != nil {
		return books.Summary{}, nil, err
	}
	sum, err := books.Compare(ctx, db, q, func(r books.Row) error {
		if plan != nil {
			if err := plan.Add(ctx, r); err != nil {
				return err
			}
		}
		return printer.Row(r)
	})
	if err != nil {
		return sum, plan, err
	}
	return sum, plan, printer.End(sum, plan)
}

// reconciler starts the reconciliation of a location now, and returns its workflow id.
type reconciler func(ctx context.Context, location string) (workflow string, err error)

// startReconciliation is the reconciler of a desk. One that runs is taken for the one that was asked for: what it does not
// come to any more, the next one brings.
func (d *desk) startReconciliation(ctx context.Context, location string) (string, error) {
	run, err := d.door.Reconcile(ctx, workflows.SubscriptionReconciliationInput{Location: location})
	if err != nil {
		return "", err
	}
	return run.GetID(), nil
}

// repairAction is what the audit trail calls a repair.
const repairAction = "diff repair"

// carryOut asks, and does what is planned. Whatever is written to a vendor is written by the processes.
func (l diffLine) carryOut(ctx context.Context, a *app, d *desk, sum books.Summary, plan *books.Plan) error {
	told := *a
	if l.format == books.JSONFormat {
		told.out = a.errOut // the document is complete
	}
	left := func() error {
		if plan.Count(books.ByPerson) > 0 || !sum.Holds() {
			return errReported
		}
		return nil
	}
	todo := plan.Count(books.LookAgain) + plan.Count(books.BringAgain)
	if todo == 0 {
		return left()
	}
	if !l.yes {
		agreed, err := ask(l.in, a.errOut, fmt.Sprintf("carry out %d repairs?", todo))
		if err != nil {
			return err
		}
		if !agreed {
			_, _ = fmt.Fprintln(told.out, "nothing was done")
			return errReported
		}
	}
	if orders := plan.IDs(books.LookAgain, domain.OrderEntry); len(orders) > 0 {
		if err := d.look(ctx, &told, itemsOf(workflows.PaymentToOrderType, orders), repairAction, false); err != nil {
			return err
		}
	}
	if err := d.bringAgain(ctx, &told, plan); err != nil {
		return err
	}
	return left()
}

// bringAgain has what is planned be brought by a reconciliation, and starts it.
func (d *desk) bringAgain(ctx context.Context, a *app, plan *books.Plan) error {
	var marked int64
	for _, kind := range domain.EntryKinds() {
		ids := plan.IDs(books.BringAgain, kind)
		n, err := d.store.Disagree(ctx, d.location, kind, ids...)
		if err != nil {
			return err
		}
		marked += n
		for _, id := range ids {
			entry := store.AuditEntry{At: time.Now().UTC(), Location: d.location, Actor: actor(), Action: repairAction, Object: id, Detail: string(kind)}
			if err := d.store.Audit(ctx, entry); err != nil {
				return err
			}
		}
	}
	if marked == 0 {
		return nil
	}
	workflow, err := d.reconcile(ctx, d.location)
	if err != nil {
		return fmt.Errorf("%d will be brought by the next reconciliation, as none could be started now: %w", marked, err)
	}
	_, _ = fmt.Fprintf(a.out, "%d will be brought by %s, which runs now\n", marked, workflow)
	return nil
}

// onTerminal tells whether somebody can be asked.
func onTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// ask asks a question that is answered with yes, or else with no.
func ask(in io.Reader, out io.Writer, question string) (bool, error) {
	_, _ = fmt.Fprintf(out, "%s [y/N] ", question)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}
