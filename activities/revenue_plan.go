package activities

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/internal/store"
)

// PlanRevenueInput asks which reports of revenue are to be put into Sage now.
type PlanRevenueInput struct {
	Location string    `json:"location"`
	Now      time.Time `json:"now"`
}

// RevenuePlan is what is to be done about reports of revenue.
type RevenuePlan struct {
	// Months are those whose report is missing in Sage or no longer right, as 2006-01, the oldest first.
	Months []string `json:"months,omitempty"`
	// Alerted: operators were told that a report could not be put into Sage, and not yet that it could.
	Alerted bool `json:"alerted,omitempty"`
}

// planReserve is the time that must be left for one more report to be looked at: one takes some seconds in books of a
// hundred thousand transactions.
const planReserve = 10 * time.Second

// PlanRevenue says which reports of revenue are to be put into Sage: that of the month before, once its day has come, and
// each that was made in the last six months and whose figures have changed since. It reads the store and nothing else,
// and is run as a local activity, so that a run in which there is nothing to be done costs nothing. In books so large that
// its time does not suffice for all months, it looks at as many as it can, others each time.
func (b *Books) PlanRevenue(ctx context.Context, in PlanRevenueInput) (RevenuePlan, error) {
	plan, err := b.planRevenue(ctx, in)
	return plan, asTemporal(err, attempt(ctx), 0)
}

func (b *Books) planRevenue(ctx context.Context, in PlanRevenueInput) (plan RevenuePlan, err error) {
	if b.Revenue == nil {
		return plan, nil
	}
	if plan.Alerted, err = b.alerted(ctx, in.Location, revenueCause); err != nil {
		return plan, err
	}
	settings, err := b.Revenue(ctx, in.Location)
	if err != nil || !settings.On {
		return plan, err
	}
	now := in.Now.UTC()
	last := time.Date(now.Year(), now.Month()-1, 1, 0, 0, 0, 0, time.UTC)
	kept, err := b.Store.Publications(ctx, in.Location, revenueReport, last.AddDate(0, 1-correctedMonths, 0).Format(monthLayout))
	if err != nil {
		return plan, err
	}
	month := last.Format(monthLayout)
	if now.Day() >= settings.Day && !slices.ContainsFunc(kept, func(p store.Publication) bool { return p.Month == month }) {
		kept = append(kept, store.Publication{Month: month})
	}
	kept = slices.DeleteFunc(kept, func(p store.Publication) bool {
		return p.Gone || p.Month > month // the month that runs is somebody's who asked for it, and changes all the time
	})
	rand.Shuffle(len(kept), func(i, j int) { kept[i], kept[j] = kept[j], kept[i] }) //nolint:gosec // turns, not a secret
	for i, p := range kept {
		if deadline, limited := ctx.Deadline(); limited && i > 0 && time.Until(deadline) < planReserve {
			logger(ctx).Info("the books are too large to look at all reports of revenue at once, and other runs look at the others",
				"location", in.Location, "reports", len(kept), "seen", i)
			break
		}
		report, err := revenueOf(ctx, b.Store, in.Location, p.Month)
		if err != nil {
			return plan, err
		}
		if !report.Empty() && report.Lasting() != p.Digest {
			plan.Months = append(plan.Months, p.Month)
		}
	}
	slices.Sort(plan.Months)
	return plan, nil
}

// alerted tells whether an alert lasts.
func (b *Books) alerted(ctx context.Context, location, cause string) (bool, error) {
	open, _, err := b.Store.Alerts(ctx, store.AlertFilter{Location: location, Open: true, Page: store.Page{Limit: 1000}})
	return slices.ContainsFunc(open, func(a store.Alert) bool { return a.Cause == cause }), err
}

// TellRevenueInput is what became of the reports that were to be put into Sage.
type TellRevenueInput struct {
	Location string    `json:"location"`
	Now      time.Time `json:"now"`
	// Month is the one whose report could not be put there, for Reason; both are empty if all are there.
	Month  string `json:"month,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// revenueCause is the cause of the alert that a report could not be put into Sage.
const revenueCause = "publication/revenue"

// TellRevenue tells operators that a report of revenue could not be put into Sage: once, again from time to time, and once
// when it is over. A message that does not arrive is told by the next run.
func (b *Books) TellRevenue(ctx context.Context, in TellRevenueInput) error {
	ctx, stop := alive(ctx)
	defer stop()
	return asTemporal(b.tellRevenue(ctx, in), attempt(ctx), 0)
}

func (b *Books) tellRevenue(ctx context.Context, in TellRevenueInput) error {
	var alert store.Alert
	var due bool
	var err error
	text := "nothing keeps the reports of revenue from Sage any more"
	if in.Month == "" {
		alert, due, err = b.Store.ClearAlert(ctx, in.Location, revenueCause, in.Now.UTC())
	} else {
		text = fmt.Sprintf("the revenue of %s could not be put into Sage, and is tried again by each reconciliation: %s", in.Month,
			strings.TrimRight(in.Reason, ". "))
		alert, due, err = b.Store.RaiseAlert(ctx, store.Alert{Location: in.Location, Cause: revenueCause, Text: text}, in.Now.UTC())
	}
	if err != nil || !due {
		return err
	}
	return b.news(ctx, in.Location, in.Now.UTC(), []store.Alert{alert}, []string{text}, "`starter report revenue --publish` tries it now")
}
