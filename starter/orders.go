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

	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

func syncCommand(a *app) *cobra.Command {
	sync := group(&cobra.Command{Use: "sync", Short: "Have something read again from HighLevel and brought into Sage"})
	var where location
	var dryRun bool
	order := &cobra.Command{
		Use: "order <id>...", Short: "Have HighLevel orders read again and brought into Sage", Args: cobra.MinimumNArgs(1),
		Long: "Have HighLevel orders read again and brought into Sage, whether or not anything changed. An order that is in step\n" +
			"costs some reads and no write.",
		Example: "  starter sync order 660ed43bfdf9fc05a0de7a40",
		RunE: func(c *cobra.Command, ids []string) error {
			if err := checkIDs(ids...); err != nil {
				return err
			}
			return a.withDesk(c.Context(), &where, func(d *desk) error {
				return d.look(c.Context(), a, itemsOf(workflows.PaymentToOrderType, ids), "sync order", dryRun)
			})
		},
	}
	fulfillment := &cobra.Command{
		Use: "fulfillment <order>...", Short: "Have the shipping of orders read again on both sides and made to agree", Args: cobra.MinimumNArgs(1),
		Long: "Have the shipping of orders read again on both sides and made to agree, whether or not anything changed.\n" +
			"One that is in step costs some reads and no write.",
		Example: "  starter sync fulfillment 660ed43bfdf9fc05a0de7a40",
		RunE: func(c *cobra.Command, ids []string) error {
			if err := checkIDs(ids...); err != nil {
				return err
			}
			return a.withDesk(c.Context(), &where, func(d *desk) error {
				return d.look(c.Context(), a, itemsOf(workflows.FulfillmentType, ids), "sync fulfillment", dryRun)
			})
		},
	}
	for _, c := range []*cobra.Command{order, fulfillment} {
		where.add(c)
		dryRunFlag(c, &dryRun)
		sync.AddCommand(c)
	}
	sync.AddCommand(syncSubscriptions(a))
	return sync
}

// item is what a process is to look at again.
type item struct{ process, id string }

func itemsOf(process string, ids []string) []item {
	items := make([]item, 0, len(ids))
	for _, id := range ids {
		items = append(items, item{process, id})
	}
	return items
}

// look hands a hint for each item, and notes in the audit trail that somebody asked for it.
func (d *desk) look(ctx context.Context, a *app, items []item, why string, dryRun bool) error {
	p := a.progress("asked for", len(items))
	defer p.end()
	see := "starter status <order>"
	for _, i := range items {
		what, look := i.id, d.door.LookAtOrder
		if i.process == workflows.FulfillmentType {
			what, look, see = i.id+", its shipping", d.door.LookAtFulfillment, "starter fulfillment show <order>"
		}
		if dryRun {
			_, _ = fmt.Fprintf(a.out, "%s  would be read again\n", what)
			continue
		}
		hint := workflows.Hint{Source: workflows.FromOperator, Event: why, At: time.Now().UTC()}
		if err := look(ctx, d.location, i.id, hint); err != nil {
			return err
		}
		entry := store.AuditEntry{At: time.Now().UTC(), Location: d.location, Actor: actor(), Action: why, Object: i.id}
		if err := d.store.Audit(ctx, entry); err != nil {
			return err
		}
		p.step()
	}
	if !dryRun {
		p.end()
		_, _ = fmt.Fprintf(a.out, "%d asked for; see `%s`\n", len(items), see)
	}
	return nil
}

// replayed are the processes whose parked items can be given another go.
var replayed = []string{workflows.PaymentToOrderType, workflows.FulfillmentType, workflows.SubscriptionReconciliationType}

// parkedChoice says which parked orders a replay is about.
type parkedChoice struct {
	ids   []string
	since string
	kind  string
	all   bool
}

func replayCommand(a *app) *cobra.Command {
	var where location
	var which parkedChoice
	var dryRun bool
	c := &cobra.Command{
		Use: "replay", Short: "Give parked orders, and records of the books, another go", Args: cobra.NoArgs,
		Long: "Give parked orders another go, once what kept them has been mended: their entry in Sage, or their shipping. Several\n" +
			"choices narrow each other down. Orders whose cause may pass by itself are tried again without this, after ever longer\n" +
			"waits.\n\n" +
			"Payments, refunds and subscriptions that are parked are tried again by each reconciliation. If any of them is chosen, one\n" +
			"is started now.",
		Example: "  starter replay --kind Mapping\n  starter replay --since 2026-11-01 --dry-run\n  starter replay --all",
		RunE: func(c *cobra.Command, _ []string) error {
			filter, err := which.filter(time.Now())
			if err != nil {
				return err
			}
			return a.withDesk(c.Context(), &where, func(d *desk) error {
				items, err := d.parked(c.Context(), filter, which.ids)
				if err != nil {
					return err
				}
				if len(items) == 0 {
					_, _ = fmt.Fprintln(a.out, "nothing of that is parked")
					return nil
				}
				return d.replay(c.Context(), a, items, dryRun)
			})
		},
	}
	where.add(c)
	c.Flags().StringSliceVar(&which.ids, "id", nil, "HighLevel order, transaction or subscription, may be repeated")
	c.Flags().StringVar(&which.since, "since", "", "parked since this date (YYYY-MM-DD or RFC 3339) or for at most this long (such as 24h)")
	c.Flags().StringVar(&which.kind, "kind", "", "parked for this kind of reason, such as Mapping; starter status shows the kinds")
	c.Flags().BoolVar(&which.all, "all", false, "all that is parked")
	dryRunFlag(c, &dryRun)
	return c
}

func (p parkedChoice) filter(now time.Time) (store.ParkedFilter, error) {
	chosen := len(p.ids) > 0 || p.since != "" || p.kind != ""
	if p.all == chosen {
		return store.ParkedFilter{}, wrongUse("say what of the parked: --id, --since and --kind, or --all")
	}
	filter := store.ParkedFilter{Kind: p.kind}
	if p.since == "" {
		return filter, nil
	}
	var err error
	filter.Since, err = parseSince(p.since, now)
	return filter, err
}

// parseSince reads a date, a moment or a length of time before now.
func parseSince(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, wrongUse("%q is no date such as 2026-11-01, no moment such as 2026-11-01T12:00:00Z and no time such as 24h", text)
}

// replay gives orders another go by their own processes, and records of the books by one reconciliation for all of them.
func (d *desk) replay(ctx context.Context, a *app, items []item, dryRun bool) error {
	const why = "replay"
	ofBooks := func(i item) bool { return i.process == workflows.SubscriptionReconciliationType }
	if orders := slices.DeleteFunc(slices.Clone(items), ofBooks); len(orders) > 0 {
		if err := d.look(ctx, a, orders, why, dryRun); err != nil {
			return err
		}
	}
	records := slices.DeleteFunc(items, func(i item) bool { return !ofBooks(i) })
	if len(records) == 0 {
		return nil
	}
	if dryRun {
		for _, r := range records {
			_, _ = fmt.Fprintf(a.out, "%s, its record in the books  would be tried again by a reconciliation\n", r.id)
		}
		return nil
	}
	run, err := d.reconcile(ctx, d.location)
	if err != nil {
		return err
	}
	for _, r := range records {
		entry := store.AuditEntry{
			At: time.Now().UTC(), Location: d.location, Actor: actor(), Action: why, Object: r.id, Detail: run,
		}
		if err := d.store.Audit(ctx, entry); err != nil {
			return err
		}
	}
	_, _ = fmt.Fprintf(a.out, "%d records of the books will be tried again by %s, which runs now\n", len(records), run)
	return nil
}

// parked lists the parked orders, those whose shipping is parked, and the parked records of the books, that a filter and, if
// any are given, ids choose.
func (d *desk) parked(ctx context.Context, filter store.ParkedFilter, ids []string) ([]item, error) {
	filter.Location, filter.Limit = d.location, 1000
	var chosen []item
	for {
		items, next, err := d.store.ParkedItems(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, parked := range items {
			if slices.Contains(replayed, parked.Process) && (len(ids) == 0 || slices.Contains(ids, parked.ObjectID)) {
				chosen = append(chosen, item{parked.Process, parked.ObjectID})
			}
		}
		if next == "" {
			return chosen, nil
		}
		filter.After = next
	}
}

func matchCommand(a *app) *cobra.Command {
	var where location
	var m match
	c := &cobra.Command{
		Use: "match <order>", Short: "Decide which Sage order a HighLevel order belongs to", Args: cobra.ExactArgs(1),
		Long: "Decide which Sage order a HighLevel order belongs to, where several are possible: one that people made, or a new one.\n" +
			"The decision is kept and noted in the audit trail, and the order is given another go.",
		Example: "  starter match 660ed43bfdf9fc05a0de7a40 --sage-order 4711\n  starter match 660ed43bfdf9fc05a0de7a40 --new",
		RunE: func(c *cobra.Command, args []string) error {
			m.order = args[0]
			if err := checkIDs(m.order); err != nil {
				return err
			}
			if m.fresh == (m.sageID != 0) || m.sageID < 0 {
				return wrongUse("say either --sage-order with the id of the Sage order, or --new")
			}
			return a.withDesk(c.Context(), &where, func(d *desk) error { return d.match(c.Context(), a, m) })
		},
	}
	where.add(c)
	c.Flags().Int64Var(&m.sageID, "sage-order", 0, "id of the Sage order that this order belongs to")
	c.Flags().BoolVar(&m.fresh, "new", false, "make a new Sage order")
	c.Flags().BoolVar(&m.force, "force", false, "take a Sage order that was not among the candidates")
	dryRunFlag(c, &m.dryRun)
	return c
}

type match struct {
	order         string
	sageID        int64
	fresh         bool
	force, dryRun bool
}

func (m match) String() string {
	if m.fresh {
		return "a new Sage order"
	}
	return fmt.Sprintf("Sage order %d", m.sageID)
}

func (d *desk) match(ctx context.Context, a *app, m match) error {
	if err := d.mayMatch(ctx, m); err != nil {
		return err
	}
	if m.dryRun {
		_, _ = fmt.Fprintf(a.out, "%s would be matched with %s\n", m.order, m)
		return nil
	}
	now := time.Now().UTC()
	err := d.store.Decide(ctx, store.Decision{Location: d.location, OrderID: m.order, SageID: m.sageID, DecidedAt: now, Actor: actor()})
	if err != nil {
		return err
	}
	err = d.store.Audit(ctx, store.AuditEntry{At: now, Location: d.location, Actor: actor(), Action: "match", Object: m.order, Detail: m.String()})
	if err != nil {
		return err
	}
	return d.look(ctx, a, itemsOf(workflows.PaymentToOrderType, []string{m.order}), "match", false)
}

// mayMatch refuses what would book a sale twice or on somebody else's order.
func (d *desk) mayMatch(ctx context.Context, m match) error {
	booked, found, err := d.store.Order(ctx, d.location, m.order)
	if err != nil {
		return err
	}
	if found && booked.SageID != m.sageID {
		return fmt.Errorf("order %s is in Sage already, as %d: delete that one in Sage first if it is wrong", m.order, booked.SageID)
	}
	if m.fresh {
		return nil
	}
	others, err := d.store.OrdersOfSage(ctx, d.location, m.sageID)
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.OrderID != m.order {
			return fmt.Errorf("sage order %d already stands for the HighLevel order %s: choose another", m.sageID, other.OrderID)
		}
	}
	item, found, err := d.store.ParkedItem(ctx, d.location, workflows.PaymentToOrderType, m.order)
	if err != nil || m.force {
		return err
	}
	if !found || len(item.Candidates) == 0 {
		return fmt.Errorf("order %s does not wait for a decision: see `starter status %s`, or use --force", m.order, m.order)
	}
	if !slices.Contains(item.Candidates, m.sageID) {
		return fmt.Errorf("sage order %d is not among the candidates %s: use --force if it is right all the same",
			m.sageID, strings.Trim(fmt.Sprint(item.Candidates), "[]"))
	}
	return nil
}

// errNoOrder says that nothing is known of an order.
var errNoOrder = errors.New("nothing is known of this order: `starter sync order` has it read")

func printParked(w io.Writer, items []store.Parked) {
	if len(items) == 0 {
		return
	}
	row(w, "\nPARKED", "KIND", "SINCE", "TRIES", "NEXT TRY", "REASON")
	for _, p := range items {
		next := "when you say so"
		if !p.NextTry.IsZero() {
			next = p.NextTry.Format(time.RFC3339)
		}
		reason := p.Reason
		if len(p.Candidates) > 0 {
			reason += " (candidates: " + strings.Trim(fmt.Sprint(p.Candidates), "[]") + ")"
		}
		row(w, p.ObjectID, p.Kind, p.ParkedAt.Format(time.RFC3339), p.Attempts, next, reason)
	}
}
