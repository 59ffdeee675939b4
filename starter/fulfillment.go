package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

func fulfillmentCommand(a *app) *cobra.Command {
	c := group(&cobra.Command{Use: "fulfillment", Short: "The shipping of orders, as it is followed on both sides"})
	c.AddCommand(fulfillmentList(a), fulfillmentShow(a), fulfillmentDeliver(a))
	return c
}

// fulfillmentView is the answer of `starter fulfillment show`, and without the second half a row of `starter fulfillment list`.
type fulfillmentView struct {
	Location string `json:"location"`
	Order    string `json:"order"`
	SageID   int64  `json:"sageId,omitempty"`
	domain.Fulfillment
	Closed bool `json:"closed"`
	// Partial tells that a part was sent and something is still to be sent.
	Partial bool `json:"partial"`
	// SourceWord is HighLevel's own word for the order's fulfilment, as last read.
	SourceWord string    `json:"sourceWord,omitempty"`
	PaidAt     time.Time `json:"paidAt,omitzero"`
	OpenedAt   time.Time `json:"openedAt,omitzero"`
	ChangedAt  time.Time `json:"changedAt,omitzero"`
	CheckedAt  time.Time `json:"checkedAt,omitzero"`

	// Steps are those that teams and Sage are told of, in their order.
	Steps []stepView `json:"steps,omitempty"`
	// Posting is a fulfilment that is being made in HighLevel.
	Posting *postingView `json:"posting,omitempty"`
	// News is what was told of deliveries.
	News   []newsView  `json:"news,omitempty"`
	Parked *parkedView `json:"parked,omitempty"`
	// Process is the process that follows it, if Temporal still knows one.
	Process *processView[workflows.FulfillmentStatus] `json:"process,omitempty"`
}

type stepView struct {
	Key        string                  `json:"key"`
	State      domain.FulfillmentState `json:"state"`
	Shipment   string                  `json:"shipment,omitempty"`
	At         time.Time               `json:"at,omitzero"`
	ActivityID int64                   `json:"activityId,omitempty"`
	TaskID     int64                   `json:"taskId,omitempty"`
	// Told says that the team was told.
	Told bool `json:"told"`
	// Silent says that nobody was to be told: NOTIFY_WEBHOOK_URL was not set, or NOTIFY_STEPS does not have it.
	Silent bool `json:"silent,omitempty"`
	// GivenUp says that Sage refused the entry; the worker's log has its words.
	GivenUp bool `json:"givenUp,omitempty"`
}

type postingView struct {
	Items     []domain.ShippedItem `json:"items"`
	Trackings []domain.Tracking    `json:"trackings,omitempty"`
	// AttemptedAt is zero until it was sent for the first time.
	AttemptedAt time.Time `json:"attemptedAt,omitzero"`
}

type newsView struct {
	// Tracking is empty where it is about the whole order.
	Tracking   string                  `json:"tracking,omitempty"`
	State      domain.FulfillmentState `json:"state"`
	At         time.Time               `json:"at"`
	ReceivedAt time.Time               `json:"receivedAt"`
	Source     string                  `json:"source"`
	Applied    bool                    `json:"applied"`
}

func viewFulfillment(rec store.FulfillmentRecord) fulfillmentView {
	return fulfillmentView{
		Location: rec.Location, Order: rec.OrderID, SageID: rec.SageID, Fulfillment: rec.Lifecycle, Closed: rec.Closed, Partial: rec.Partial,
		SourceWord: rec.SourceWord, PaidAt: rec.PaidAt, OpenedAt: rec.OpenedAt, ChangedAt: rec.ChangedAt, CheckedAt: rec.CheckedAt,
	}
}

// fulfillmentChoice says which fulfilments are listed.
type fulfillmentChoice struct {
	location, state string
	all, partial    bool
	limit           int
}

func (f fulfillmentChoice) filter() (store.FulfillmentFilter, error) {
	filter := store.FulfillmentFilter{Location: f.location, Open: !f.all && f.state == "", Partial: f.partial}
	if f.state == "" {
		return filter, nil
	}
	state, known := domain.ParseFulfillmentState(f.state)
	if !known {
		return filter, wrongUse("%q is none of %v", f.state, domain.FulfillmentStates())
	}
	filter.State = state
	return filter, nil
}

func fulfillmentList(a *app) *cobra.Command {
	var which fulfillmentChoice
	var out format
	c := &cobra.Command{
		Use: "list", Short: "Show the orders whose shipping is followed", Args: cobra.NoArgs,
		Long: "Show the orders whose shipping is followed: those that are not delivered or cancelled yet, unless --all or --state asks\n" +
			"for others.",
		Example: "  starter fulfillment list\n  starter fulfillment list --partial\n  starter fulfillment list --state shipped -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			filter, err := which.filter()
			if err = errors.Join(out.check(), err); err != nil {
				return err
			}
			return a.withStore(c.Context(), func(_ config.Config, db *store.Store) error {
				views, err := listFulfillments(c.Context(), db, filter, which.limit)
				if err != nil {
					return err
				}
				return out.print(a.out, views, func(w io.Writer) { printFulfillments(w, views) })
			})
		},
	}
	c.Flags().StringVar(&which.location, "location", "", "HighLevel location; all if not given")
	c.Flags().StringVar(&which.state, "state", "", "only those in this state: created, processing, shipped, delivered or cancelled")
	c.Flags().BoolVar(&which.partial, "partial", false, "only those of which a part was sent")
	c.Flags().BoolVar(&which.all, "all", false, "also those that are delivered or cancelled")
	c.Flags().IntVar(&which.limit, "limit", 100, "how many at most")
	out.add(c)
	return c
}

func listFulfillments(ctx context.Context, db *store.Store, filter store.FulfillmentFilter, most int) ([]fulfillmentView, error) {
	views := []fulfillmentView{}
	for {
		filter.Limit = min(most-len(views), 1000)
		if filter.Limit <= 0 {
			return views, nil
		}
		list, next, err := db.Fulfillments(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, rec := range list {
			views = append(views, viewFulfillment(rec))
		}
		if next == "" {
			return views, nil
		}
		filter.After = next
	}
}

func printFulfillments(w io.Writer, views []fulfillmentView) {
	row(w, "ORDER", "LOCATION", "SAGE", "STATE", "SHIPMENTS", "PAID", "CHANGED")
	for _, v := range views {
		state := string(v.State)
		if v.Partial {
			state += ", a part was sent"
		}
		row(w, v.Order, v.Location, v.SageID, state, len(v.Shipments), ago(v.PaidAt), ago(v.ChangedAt))
	}
	if len(views) == 0 {
		row(w, "none")
	}
}

func fulfillmentShow(a *app) *cobra.Command {
	var where location
	var out format
	c := &cobra.Command{
		Use: "show <order>", Short: "Show how far an order's goods have come, and what is still to be done", Args: cobra.ExactArgs(1),
		Long: "Show how far an order's goods have come: its shipments with their tracking numbers, the steps that were told of, what\n" +
			"was heard of deliveries, and what is still to be done.",
		Example: "  starter fulfillment show 660ed43bfdf9fc05a0de7a40",
		RunE: func(c *cobra.Command, args []string) error {
			if err := errors.Join(out.check(), checkIDs(args...)); err != nil {
				return err
			}
			return a.withDesk(c.Context(), &where, func(d *desk) error {
				v, err := d.fulfillment(c.Context(), args[0])
				if err != nil {
					return err
				}
				return out.print(a.out, v, v.print)
			})
		},
	}
	where.add(c)
	out.add(c)
	return c
}

// errNoFulfillment says that the shipping of an order is not followed.
var errNoFulfillment = errors.New("the shipping of this order is not followed: `starter status <order>` says whether it is in the books, " +
	"and `starter sync fulfillment <order>` begins to follow it")

func (d *desk) fulfillment(ctx context.Context, id string) (fulfillmentView, error) {
	rec, found, err := d.store.Fulfillment(ctx, d.location, id)
	if err != nil {
		return fulfillmentView{}, err
	}
	v := viewFulfillment(rec)
	v.Location, v.Order = d.location, id
	item, isParked, err := d.store.ParkedItem(ctx, d.location, workflows.FulfillmentType, id)
	if err != nil {
		return v, err
	}
	if isParked {
		view := viewParked(item)
		v.Parked = &view
	}
	if !found && !isParked {
		return v, errNoFulfillment
	}
	if err := d.besides(ctx, &v); err != nil {
		return v, err
	}
	v.Process, err = process[workflows.FulfillmentStatus](ctx, d, workflows.FulfillmentID(d.location, id))
	return v, err
}

// besides reads what is kept about a lifecycle outside of it.
func (d *desk) besides(ctx context.Context, v *fulfillmentView) error {
	steps, err := d.store.FulfillmentSteps(ctx, d.location, v.Order)
	if err != nil {
		return err
	}
	for _, s := range steps {
		v.Steps = append(v.Steps, stepView{
			Key: s.Key, State: s.State, Shipment: s.ShipmentID, At: s.At, ActivityID: s.ActivityID, TaskID: s.TaskID,
			Told: s.Told && !s.Silent, Silent: s.Silent, GivenUp: s.GivenUp,
		})
	}
	post, found, err := d.store.ShipmentPost(ctx, d.location, v.Order)
	if err != nil {
		return err
	}
	if found {
		v.Posting = &postingView{post.Plan.Items, post.Plan.Trackings, post.AttemptedAt}
	}
	var keys []string
	for _, tracking := range v.Trackings() {
		keys = append(keys, tracking.Key())
	}
	news, err := d.store.DeliveryNewsOf(ctx, d.location, v.Order, keys...)
	for _, n := range news {
		v.News = append(v.News, newsView{n.Tracking, n.State, n.At, n.ReceivedAt, n.Source, n.Applied})
	}
	return err
}

func (v fulfillmentView) print(w io.Writer) {
	row(w, "order", v.Order)
	row(w, "in Sage", v.SageID)
	state := string(v.State)
	if v.Reason != "" {
		state += ": " + v.Reason
	}
	if v.Partial {
		state += ", a part was sent"
	}
	row(w, "state", state)
	row(w, "paid, changed, looked at", fmt.Sprintf("%s, %s, %s", ago(v.PaidAt), ago(v.ChangedAt), ago(v.CheckedAt)))
	for _, s := range v.Shipments {
		row(w, "shipment "+s.ID, fmt.Sprintf("%s, %s", s.State, pieces(s.Items)))
		if len(s.Trackings) > 0 {
			row(w, "", domain.FormatTrackings(s.Trackings))
		}
	}
	if len(v.Loose) > 0 {
		row(w, "told in Sage only", domain.FormatTrackings(v.Loose))
	}
	for _, s := range v.Steps {
		row(w, "step "+s.Key, fmt.Sprintf("%s, %s", moment(s.At), s.words()))
	}
	for _, n := range v.News {
		row(w, "news", n.words())
	}
	v.printOpen(w)
}

// printOpen prints what is still to be done.
func (v fulfillmentView) printOpen(w io.Writer) {
	if p := v.Posting; p != nil {
		words := "not sent yet"
		if !p.AttemptedAt.IsZero() {
			words = "sent " + ago(p.AttemptedAt) + ", being looked for"
		}
		row(w, "being made in HighLevel", fmt.Sprintf("%s: %s, %s", pieces(p.Items), domain.FormatTrackings(p.Trackings), words))
	}
	if p := v.Parked; p != nil {
		row(w, "parked", fmt.Sprintf("%s, %d times since %s", p.Kind, p.Attempts, p.ParkedAt.Format(time.RFC3339)))
		row(w, "because", p.Reason)
	}
	if p := v.Process; p != nil {
		row(w, "process", p.State+", begun "+ago(p.StartedAt))
		if p.Status != nil && p.Status.Step != "" {
			row(w, "doing now", p.Status.Step)
		}
		if p.Status != nil && p.Status.Untold != "" {
			row(w, "not told", p.Status.Untold)
		}
	}
}

func pieces(items []domain.ShippedItem) string {
	var parts []string
	for _, item := range items {
		name := item.Name
		if name == "" {
			name = item.PriceID
		}
		parts = append(parts, fmt.Sprintf("%d x %s", item.Quantity, name))
	}
	return strings.Join(parts, ", ")
}

func (s stepView) words() string {
	var parts []string
	switch {
	case s.Told:
		parts = append(parts, "the team was told")
	case s.Silent:
		parts = append(parts, "no team is told of it")
	}
	if s.ActivityID != 0 {
		parts = append(parts, fmt.Sprintf("activity %d", s.ActivityID))
	}
	if s.TaskID != 0 {
		parts = append(parts, fmt.Sprintf("task %d", s.TaskID))
	}
	if s.GivenUp {
		parts = append(parts, "Sage refused the entry")
	}
	if len(parts) == 0 {
		return "not told yet"
	}
	return strings.Join(parts, ", ")
}

func (n newsView) words() string {
	what := "the whole order"
	if n.Tracking != "" {
		what = n.Tracking
	}
	words := fmt.Sprintf("%s %s at %s, told by %s", what, n.State, n.At.Format(time.RFC3339), n.Source)
	if !n.Applied {
		words += ", not followed yet"
	}
	return words
}
