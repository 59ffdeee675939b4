package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows/schedules"
)

// scheduler is a command line about schedules.
type scheduler struct {
	where  location
	dryRun bool
}

// with gives a command the schedule client and the schedules of some kinds: those of the location, and the watchdog's,
// which comes last and for which no location is needed.
func (s *scheduler) with(ctx context.Context, a *app, kinds []schedules.Kind, do func(client.Client, []schedules.Item) error) error {
	c, err := config.Load(config.Command)
	if err != nil {
		return err
	}
	var items []schedules.Item
	if !slices.Equal(kinds, []schedules.Kind{schedules.Watch}) {
		if s.where.id, err = s.where.of(ctx, a, c); err != nil {
			return err
		}
		items = schedules.Of(schedules.Wanted(intervals(c), s.where.id), kinds...)
	}
	if slices.Contains(kinds, schedules.Watch) {
		items = append(items, schedules.Watchdog(c.Watchdog.Interval))
	}
	return a.withTemporal(ctx, func(_ config.Config, temporal client.Client) error { return do(temporal, items) })
}

// allKinds are those of the sweeps and that of the watchdog.
func allKinds() []schedules.Kind { return append(schedules.Kinds(), schedules.Watch) }

// kindsOf are the kinds that are named on the command line, or all kinds of sweeps. The watchdog must be named: whoever
// stops what is done for one location does not mean to stop that anybody looks after all of them.
func kindsOf(args []string) ([]schedules.Kind, error) {
	if len(args) == 0 {
		return schedules.Kinds(), nil
	}
	kinds := make([]schedules.Kind, len(args))
	for i, name := range args {
		if kinds[i] = schedules.Kind(name); !slices.Contains(allKinds(), kinds[i]) {
			return nil, wrongUse("%q is none of %s", name, kindNames())
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(kinds))), nil
}

// unwatched is the watchdog's schedule where it is switched off.
func unwatched(i schedules.Item) bool { return i.Kind == schedules.Watch && i.Every == 0 }

var errWatchdogOff = errors.New("the watchdog is switched off: set WATCHDOG_INTERVAL, and restart a worker or run `starter schedules apply`")

// intervals are those of the schedules by configuration.
func intervals(c config.Config) schedules.Intervals {
	every, deep := c.Sync.Reconciliations()
	return schedules.Intervals{
		Payments: c.Sync.Interval, Deep: c.Sync.DeepInterval, Fulfillments: c.Sync.Fulfillments,
		Reconciliation: every, DeepReconciliation: deep,
	}
}

func schedulesCommand(a *app) *cobra.Command {
	c := group(&cobra.Command{Use: "schedules", Short: "The Temporal Schedules that start the sweeps"})
	c.AddCommand(schedulesApply(a), schedulesList(a), schedulesTrigger(a),
		schedulesChange(a, "pause", "Stop starting sweeps; one that runs is left to its end", "paused", schedules.Pause),
		schedulesChange(a, "resume", "Start sweeps again", "resumed", schedules.Resume),
		schedulesChange(a, "remove", "Delete the schedules; `starter serve`, or a worker for the watchdog's, makes them again at its next start", "removed",
			func(ctx context.Context, c client.ScheduleClient, items []schedules.Item, _ string) error {
				return schedules.Remove(ctx, c, items)
			}))
	return c
}

func schedulesApply(a *app) *cobra.Command {
	var s scheduler
	var force bool
	c := &cobra.Command{
		Use: "apply", Short: "Make the schedules, and the search attributes, what they should be", Args: cobra.NoArgs,
		Long: "Make the schedules what SYNC_INTERVAL, DEEP_SYNC_INTERVAL, FULFILLMENT_SYNC_INTERVAL, RECONCILE_INTERVAL,\n" +
			"RECONCILE_DEEP_INTERVAL and WATCHDOG_INTERVAL say, remove those that RECONCILE or WATCHDOG_INTERVAL switches off, and\n" +
			"make the search attributes that the namespace lacks.\n" +
			"`starter serve` does the same at its start, and the workers do for the watchdog. Whether a schedule is paused stays as\n" +
			"it is.",
		RunE: func(c *cobra.Command, _ []string) error {
			return s.with(c.Context(), a, allKinds(), func(temporal client.Client, items []schedules.Item) error {
				wanted := slices.DeleteFunc(slices.Clone(items), unwatched)
				apply := schedules.Plan
				if !s.dryRun {
					apply = schedules.Apply
					target, err := a.clusterOptions(config.Config{}).Target()
					if err != nil {
						return err
					}
					if err := prepareServer(c.Context(), temporal, target.Namespace); err != nil {
						return err
					}
				}
				changes, err := apply(c.Context(), temporal.ScheduleClient(), wanted, schedules.ApplyOptions{Force: force})
				for _, change := range changes {
					every := "every " + change.Every.String()
					if change.Off() {
						every = "off"
					}
					_, _ = fmt.Fprintf(a.out, "%s  %s  %s%s\n", change.ID, every, would(s.dryRun), change.Action)
					for _, difference := range change.Differences {
						_, _ = fmt.Fprintf(a.out, "  %s\n", difference)
					}
				}
				if err != nil {
					return err
				}
				return s.removeUnwanted(c.Context(), a, temporal.ScheduleClient(), items[len(wanted):])
			})
		},
	}
	s.where.add(c)
	c.Flags().BoolVar(&force, "force", false, "write schedules that are right once more, to seal their input with the current key")
	dryRunFlag(c, &s.dryRun)
	return c
}

// removeUnwanted deletes those schedules that exist although they are switched off.
func (s *scheduler) removeUnwanted(ctx context.Context, a *app, c client.ScheduleClient, unwanted []schedules.Item) error {
	states, err := schedules.List(ctx, c, unwanted)
	if err != nil {
		return err
	}
	for _, state := range states {
		if !state.Exists {
			continue
		}
		if !s.dryRun {
			if err := schedules.Remove(ctx, c, []schedules.Item{state.Item}); err != nil {
				return err
			}
		}
		_, _ = fmt.Fprintf(a.out, "%s  off  %sremoved\n", state.ID, would(s.dryRun))
	}
	return nil
}

// kindNames are the kinds of schedules as a person types them.
func kindNames() string {
	var names []string
	for _, kind := range allKinds() {
		names = append(names, string(kind))
	}
	return strings.Join(names, ", ")
}

func schedulesTrigger(a *app) *cobra.Command {
	var s scheduler
	var wait bool
	c := &cobra.Command{
		Use: "trigger [kind]...", Short: "Start sweeps now, as their schedules would",
		Long: "Start sweeps now, as their schedules would: those of the kinds that are given (" + kindNames() + "),\n" +
			"or all sweeps of the location. One that runs is not disturbed; another follows it. A schedule that is paused stays so, and\n" +
			"sweeps this once. With watch the watchdog looks now, at all locations.",
		Example: "  starter schedules trigger fulfillments --wait\n  starter schedules trigger watch --wait",
		RunE: func(c *cobra.Command, args []string) error {
			kinds, err := kindsOf(args)
			if err != nil {
				return err
			}
			return s.with(c.Context(), a, kinds, func(temporal client.Client, items []schedules.Item) error {
				if slices.ContainsFunc(items, unwatched) {
					return errWatchdogOff
				}
				for _, item := range items {
					if item.Off() {
						_, _ = fmt.Fprintf(a.out, "%s  off by RECONCILE: `starter sync subscriptions` starts one all the same\n", item.ID)
						continue
					}
					if s.dryRun {
						_, _ = fmt.Fprintf(a.out, "%s  would be started now\n", item.ID)
						continue
					}
					if err := a.sweep(c.Context(), temporal, item, wait); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	s.where.add(c)
	c.Flags().BoolVar(&wait, "wait", false, "wait until each has ended, and say what it found")
	dryRunFlag(c, &s.dryRun)
	return c
}

func would(dryRun bool) string {
	if dryRun {
		return "would be "
	}
	return ""
}

func schedulesList(a *app) *cobra.Command {
	var s scheduler
	var out format
	c := &cobra.Command{
		Use: "list", Short: "Show the schedules, when they ran and when they run next", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			return s.with(c.Context(), a, allKinds(), func(temporal client.Client, wanted []schedules.Item) error {
				states, err := schedules.List(c.Context(), temporal.ScheduleClient(), wanted)
				if err != nil {
					return err
				}
				return out.print(a.out, states, func(w io.Writer) { printSchedules(w, states) })
			})
		},
	}
	s.where.add(c)
	out.add(c)
	return c
}

func printSchedules(w io.Writer, states []schedules.State) {
	row(w, "SCHEDULE", "EVERY", "STATE", "LAST RUN", "NEXT RUN", "SKIPPED")
	for _, s := range states {
		switch {
		case !s.Exists && unwatched(s.Item):
			row(w, s.ID, "", "off: WATCHDOG_INTERVAL")
		case s.Off() && !s.Exists:
			row(w, s.ID, "", "off by RECONCILE")
		case !s.Exists:
			row(w, s.ID, s.Every, "missing: `starter schedules apply`")
		case s.Running != "":
			row(w, s.ID, s.Interval, doingOf(s.Kind)+" now", ago(s.LastRun), moment(s.NextRun), s.Skipped)
		case s.Paused:
			row(w, s.ID, s.Interval, "paused: "+s.Note, ago(s.LastRun), "", s.Skipped)
		default:
			row(w, s.ID, s.Interval, "waiting", ago(s.LastRun), moment(s.NextRun), s.Skipped)
		}
	}
}

// doingOf is what the runs of a schedule do.
func doingOf(kind schedules.Kind) string {
	if kind == schedules.Watch {
		return "looking"
	}
	return "sweeping"
}

func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.RFC3339)
}

type scheduleChange func(ctx context.Context, c client.ScheduleClient, items []schedules.Item, note string) error

func schedulesChange(a *app, verb, short, done string, change scheduleChange) *cobra.Command {
	var s scheduler
	var note string
	c := &cobra.Command{
		Use: verb + " [kind]...", Short: short,
		Long: short + ".\n\nIt is done to the kinds that are given (" + kindNames() + "), or to all sweeps of the\n" +
			"location. The watchdog, watch, looks after all locations and is left alone unless it is named.",
		Example: "  starter schedules " + verb + "\n  starter schedules " + verb + " watch",
		RunE: func(c *cobra.Command, args []string) error {
			kinds, err := kindsOf(args)
			if err != nil {
				return err
			}
			return s.with(c.Context(), a, kinds, func(temporal client.Client, items []schedules.Item) error {
				if verb != "remove" && slices.ContainsFunc(items, unwatched) {
					return errWatchdogOff
				}
				if !s.dryRun {
					if err := change(c.Context(), temporal.ScheduleClient(), items, actor()+": "+note); err != nil {
						return err
					}
				}
				for _, item := range items {
					if item.Off() {
						continue
					}
					_, _ = fmt.Fprintf(a.out, "%s  %s%s\n", item.ID, would(s.dryRun), done)
				}
				return nil
			})
		},
	}
	s.where.add(c)
	if verb != "remove" {
		c.Flags().StringVar(&note, "note", "by `starter schedules "+verb+"`", "why, to be shown in the Temporal UI")
	}
	dryRunFlag(c, &s.dryRun)
	return c
}

func sweepCommand(a *app) *cobra.Command {
	var s scheduler
	var deep, shipping, wait, afresh bool
	c := &cobra.Command{
		Use: "sweep", Short: "Look now for payments that no webhook told of", Args: cobra.NoArgs,
		Long: "Look now for payments that no webhook told of, with --deep for refunds of payments as old as REFUND_WINDOW, or with\n" +
			"--fulfillments for what became of shipments on both sides. With --afresh everything is looked at again as if it had\n" +
			"never been seen, as is needed after Temporal's own database was lost.",
		Example: "  starter sweep --wait\n  starter sweep --deep\n  starter sweep --fulfillments --wait\n  starter sweep --deep --afresh",
		RunE: func(c *cobra.Command, _ []string) error {
			kind := schedules.Payments
			switch {
			case deep && shipping:
				return wrongUse("--deep and --fulfillments are two sweeps: say which")
			case deep:
				kind = schedules.Deep
			case shipping:
				kind = schedules.Fulfillments
			}
			return s.with(c.Context(), a, []schedules.Kind{kind}, func(temporal client.Client, items []schedules.Item) error {
				item := items[0]
				if s.dryRun {
					_, _ = fmt.Fprintf(a.out, "%s  would be started now\n", item.ID)
					return nil
				}
				if afresh {
					if err := a.forget(c.Context(), s.where, kind); err != nil {
						return err
					}
				}
				return a.sweep(c.Context(), temporal, item, wait)
			})
		},
	}
	s.where.add(c)
	c.Flags().BoolVar(&deep, "deep", false, "look for refunds of older payments")
	c.Flags().BoolVar(&shipping, "fulfillments", false, "look for what became of shipments")
	c.Flags().BoolVar(&wait, "wait", false, "wait until the sweep has ended, and say what it found")
	c.Flags().BoolVar(&afresh, "afresh", false, "forget what earlier sweeps saw")
	dryRunFlag(c, &s.dryRun)
	return c
}

// forget makes the next sweep take everything for new.
func (a *app) forget(ctx context.Context, where location, kind schedules.Kind) error {
	what, sightings := "orders and transactions", []store.SightingKind{store.OrderSighting, store.TransactionSighting}
	if kind == schedules.Fulfillments {
		what, sightings = "orders of both sides", []store.SightingKind{store.FulfillmentSighting, store.SageOrderSighting}
	}
	return a.withStore(ctx, func(_ config.Config, db *store.Store) error {
		id := where.id // found by scheduler.with
		var forgotten int64
		for _, sighting := range sightings {
			n, err := db.ForgetSightings(ctx, id, sighting, time.Now())
			if err != nil {
				return err
			}
			forgotten += n
		}
		_, _ = fmt.Fprintf(a.out, "forgot %d %s seen before\n", forgotten, what)
		return db.Audit(ctx, store.AuditEntry{At: time.Now().UTC(), Location: id, Actor: actor(), Action: "sweep afresh", Object: id})
	})
}

func (a *app) sweep(ctx context.Context, temporal client.Client, item schedules.Item, wait bool) error {
	p := a.progress("", 0)
	defer p.end()
	p.say("starting")
	sweep, err := schedules.Trigger(ctx, temporal.ScheduleClient(), item)
	if err != nil {
		return err
	}
	if !wait {
		p.end()
		_, _ = fmt.Fprintf(a.out, "%s  started\n", sweep.WorkflowID)
		return nil
	}
	p.say(doingOf(item.Kind) + ", " + sweep.WorkflowID)
	if item.Kind == schedules.Watch {
		var report activities.WatchReport
		if err := temporal.GetWorkflow(ctx, sweep.WorkflowID, sweep.RunID).Get(ctx, &report); err != nil {
			return fmt.Errorf("look of the watchdog %s: %w", sweep.WorkflowID, err)
		}
		p.end()
		_, _ = fmt.Fprintf(a.out, "%s  done: %s\n", sweep.WorkflowID, looked(report))
		return nil
	}
	found, err := schedules.Wait(ctx, temporal, sweep)
	if err != nil {
		return err
	}
	p.end()
	_, _ = fmt.Fprintf(a.out, "%s  done: %d rows read, %d looked at again\n", sweep.WorkflowID, found.Rows, found.Looks)
	return nil
}
