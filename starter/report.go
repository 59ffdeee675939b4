package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/books"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

func reportCommand(a *app) *cobra.Command {
	c := group(&cobra.Command{Use: "report", Short: "Reports of the books"})
	c.AddCommand(reportRevenue(a))
	return c
}

func reportRevenue(a *app) *cobra.Command {
	var where location
	var month, format string
	var by []string
	var publish, dryRun bool
	c := &cobra.Command{
		Use: "revenue", Short: "Show what both sides took in a month", Args: cobra.NoArgs,
		Long: "Show what HighLevel and Sage took in a month (UTC), side by side and each currency for itself: payments, refunds, what is\n" +
			"left of them, recurring revenue (MRR) at the end of the month, subscriptions that began and ended in it, and renewals that\n" +
			"fall into it; in all, by product and by subscription. What is kept apart by rule has lines of its own. No vendor is asked:\n" +
			"summed up is what was last read of both sides. Subscriptions count as what they were in the month; where that was not known\n" +
			"yet, as what they were when they first were, which is said. `starter diff` shows where differences come from.\n\n" +
			"--publish puts the report of a month into Sage now, as an activity on REVENUE_REPORT_ACCOUNT, which the reconciliations\n" +
			"do by themselves where REVENUE_REPORT is set. One that is there is set right, and one that people deleted is made anew.",
		Example: "  starter report revenue --month 2026-10\n  starter report revenue --month 2026-10 --by product,subscription -o csv > 2026-10.csv\n" +
			"  starter report revenue --month 2026-10 --publish",
		RunE: func(c *cobra.Command, _ []string) error {
			q, err := revenueQuery(month, by, time.Now())
			if err != nil {
				return err
			}
			if err := checkReportFormat(format); err != nil {
				return err
			}
			if err := mayPublish(c, publish, q.Month); err != nil {
				return err
			}
			if publish {
				return a.withDesk(c.Context(), &where, func(d *desk) error {
					return d.publishRevenue(c.Context(), a, q.Month.Format("2006-01"), dryRun)
				})
			}
			return a.withStore(c.Context(), func(cfg config.Config, db *store.Store) (err error) {
				if q.Location, err = where.of(c.Context(), a, cfg); err != nil {
					return err
				}
				report, err := books.RevenueOf(c.Context(), db, q)
				if err != nil {
					return err
				}
				return report.Print(format, a.out)
			})
		},
	}
	where.add(c)
	c.Flags().StringVar(&month, "month", "", "the month, as YYYY-MM; this one if not given")
	c.Flags().StringSliceVar(&by, "by", []string{books.ProductGroup}, "beside the totals, a line for each product, subscription or both; total for none")
	reportFormatFlag(c, &format)
	c.Flags().BoolVar(&publish, "publish", false, "put the report of --month into Sage instead of showing it")
	dryRunFlag(c, &dryRun)
	return c
}

// mayPublish refuses what would leave open of which month a report is put into Sage, or what is said beside it in vain.
func mayPublish(c *cobra.Command, publish bool, month time.Time) error {
	given := c.Flags().Changed
	switch {
	case !publish && given("dry-run"):
		return wrongUse("--dry-run goes with --publish: without it nothing is done anyway")
	case !publish:
		return nil
	case !given("month"):
		return wrongUse("say of which month, with --month")
	case month.After(time.Now()):
		return wrongUse("%s is yet to come", month.Format("2006-01"))
	case given("by") || given("output"):
		return wrongUse("--publish puts the totals and the lines of products into Sage: leave --by and -o out")
	}
	return nil
}

// publishRevenue has the report of a month put into Sage, and says what became of it.
func (d *desk) publishRevenue(ctx context.Context, a *app, month string, dryRun bool) error {
	if dryRun {
		_, _ = fmt.Fprintf(a.out, "%s  would be started now\n", workflows.RevenueReportID(d.location, month))
		return nil
	}
	p := a.progress("", 0)
	defer p.end()
	run, err := d.door.PublishRevenue(ctx, d.location, month)
	if err != nil {
		return err
	}
	entry := store.AuditEntry{
		At: time.Now().UTC(), Location: d.location, Actor: actor(), Action: "publish revenue", Object: month, Detail: run.GetID(),
	}
	if err := d.store.Audit(ctx, entry); err != nil {
		return err
	}
	p.say("putting it into Sage, " + run.GetID())
	var done activities.PublishRevenueResult
	if err := run.Get(ctx, &done); err != nil {
		return fmt.Errorf("%s: %w", run.GetID(), faultOf(err))
	}
	p.end()
	_, _ = fmt.Fprintln(a.out, publishedWords(month, done))
	return nil
}

func publishedWords(month string, r activities.PublishRevenueResult) string {
	where := fmt.Sprintf("activity %d on account %d in Sage", r.Activity, r.Account)
	switch r.Outcome {
	case activities.Created:
		return "the revenue of " + month + " is now " + where
	case activities.Updated:
		return "the revenue of " + month + " was set right: " + where
	case activities.RevenueEmpty:
		return "nothing is known of either side in " + month + ", so nothing was put into Sage"
	case activities.RevenueDeleted:
		return "people have just deleted " + where + ": try again if it is wanted all the same"
	}
	return "the revenue of " + month + " is in Sage as it is: " + where
}

func revenueQuery(month string, by []string, now time.Time) (q books.RevenueQuery, err error) {
	q.Month = now.UTC()
	if month != "" {
		if q.Month, err = time.Parse("2006-01", month); err != nil {
			return q, wrongUse("--month %q is no month such as 2026-10", month)
		}
	}
	for _, group := range by {
		if !slices.Contains([]string{books.TotalGroup, books.ProductGroup, books.SubscriptionGroup}, group) {
			return q, wrongUse("--by %q is none of product, subscription, total", group)
		}
	}
	q.ByProduct, q.BySubscription = slices.Contains(by, books.ProductGroup), slices.Contains(by, books.SubscriptionGroup)
	return q, nil
}
