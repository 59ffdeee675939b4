package main

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/internal/books"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
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
	c := &cobra.Command{
		Use: "revenue", Short: "Show what both sides took in a month", Args: cobra.NoArgs,
		Long: "Show what HighLevel and Sage took in a month (UTC), side by side and each currency for itself: payments, refunds, what is\n" +
			"left of them, recurring revenue (MRR) at the end of the month, subscriptions that began and ended in it, and renewals that\n" +
			"fall into it; in all, by product and by subscription. What is kept apart by rule has lines of its own. No vendor is asked:\n" +
			"summed up is what was last read of both sides. The ledger holds the present, so the recurring revenue of an earlier month\n" +
			"is made of today's instalments. `starter diff` shows where differences come from.",
		Example: "  starter report revenue --month 2026-10\n  starter report revenue --month 2026-10 --by product,subscription -o csv > 2026-10.csv",
		RunE: func(c *cobra.Command, _ []string) error {
			q, err := revenueQuery(month, by, time.Now())
			if err != nil {
				return err
			}
			if err := checkReportFormat(format); err != nil {
				return err
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
	return c
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
