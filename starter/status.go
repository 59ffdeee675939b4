package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

func statusCommand(a *app) *cobra.Command {
	var where location
	var out format
	var most int
	c := &cobra.Command{
		Use: "status [order]", Short: "Show what is in step, what is not and why", Args: cobra.MaximumNArgs(1),
		Long: "Show how the connections stand, what is wrong at present and whether the watchdog looks, how many orders are in Sage,\n" +
			"by the state of their payment, how far the goods of open orders have come, which orders are parked and why, and how far\n" +
			"the sweeps have come; or all that is known of one order, its running process included.",
		Example: "  starter status\n  starter status 660ed43bfdf9fc05a0de7a40 -o json",
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if len(args) == 0 {
				return a.withStore(c.Context(), func(cfg config.Config, db *store.Store) error {
					s, err := summarise(c.Context(), db, where.id, most)
					if err != nil {
						return err
					}
					if s.watch, err = viewWatch(c.Context(), db, where.id, cfg.Watchdog.Interval); err != nil {
						return err
					}
					return out.print(a.out, s, s.print)
				})
			}
			if err := checkIDs(args[0]); err != nil {
				return err
			}
			return a.withDesk(c.Context(), &where, func(d *desk) error {
				s, err := d.order(c.Context(), args[0])
				if err != nil {
					return err
				}
				return out.print(a.out, s, s.print)
			})
		},
	}
	where.add(c)
	out.add(c)
	c.Flags().IntVar(&most, "parked", 20, "how many parked orders to list")
	return c
}

// summary is the answer of `starter status`.
type summary struct {
	Orders map[domain.PaymentState]int64 `json:"orders"`
	// ParkedByKind counts all, Parked lists the first.
	ParkedByKind map[string]int64 `json:"parkedByKind"`
	Parked       []parkedView     `json:"parked"`
	LastOrderAt  time.Time        `json:"lastOrderAt,omitzero"`
	// Shipping counts the orders whose shipping is followed, by its state; those that are delivered or cancelled are not.
	Shipping map[domain.FulfillmentState]int64 `json:"shipping"`
	Cursors  []cursorView                      `json:"cursors"`
	// Connections are the connected locations, all of them or the one that was asked for.
	Connections []connectionView `json:"connections"`
	watch

	items []store.Parked
}

type parkedView struct {
	Location string `json:"location"`
	Order    string `json:"order"`
	// Process is what could not be carried out: "PaymentToOrder" or "Fulfillment".
	Process    string    `json:"process"`
	Kind       string    `json:"kind"`
	Reason     string    `json:"reason"`
	Candidates []int64   `json:"candidates,omitempty"`
	Attempts   int       `json:"attempts"`
	ParkedAt   time.Time `json:"parkedAt"`
	NextTry    time.Time `json:"nextTry,omitzero"`
}

func viewParked(p store.Parked) parkedView {
	return parkedView{p.Location, p.ObjectID, p.Process, p.Kind, p.Reason, p.Candidates, p.Attempts, p.ParkedAt, p.NextTry}
}

type cursorView struct {
	Location string    `json:"location"`
	Name     string    `json:"name"`
	At       time.Time `json:"at"`
	// AgeSeconds is how long ago that was: much more than SYNC_INTERVAL means that the sweeps do not get through.
	AgeSeconds int64 `json:"ageSeconds"`
}

func summarise(ctx context.Context, db *store.Store, location string, most int) (summary, error) {
	overview, err := db.Overview(ctx, location)
	if err != nil {
		return summary{}, err
	}
	s := summary{Orders: overview.Orders, Shipping: overview.Fulfillments, ParkedByKind: overview.Parked, LastOrderAt: overview.LastBroughtAt, Parked: []parkedView{}, Cursors: []cursorView{}, Connections: []connectionView{}}
	for _, cursor := range overview.Cursors {
		s.Cursors = append(s.Cursors, cursorView{cursor.Location, cursor.Name, cursor.At, int64(time.Since(cursor.At).Seconds())})
	}
	connected, err := viewConnections(ctx, db)
	if err != nil {
		return s, err
	}
	for _, c := range connected {
		if location == "" || location == c.Location {
			s.Connections = append(s.Connections, c)
		}
	}
	if most <= 0 {
		return s, nil
	}
	s.items, _, err = db.ParkedItems(ctx, store.ParkedFilter{Location: location, Page: store.Page{Limit: most}})
	for _, item := range s.items {
		s.Parked = append(s.Parked, viewParked(item))
	}
	return s, err
}

func (s summary) print(w io.Writer) {
	printConnections(w, s.Connections)
	s.watch.print(w)
	row(w, "\nORDERS IN SAGE", "COUNT")
	for _, state := range sortedKeys(s.Orders) {
		row(w, state, s.Orders[state])
	}
	if len(s.Orders) == 0 {
		row(w, "none yet")
	}
	row(w, "last brought", ago(s.LastOrderAt))
	if len(s.Shipping) > 0 {
		row(w, "\nTO BE SHIPPED OR DELIVERED", "COUNT")
		for _, state := range sortedKeys(s.Shipping) {
			row(w, state, s.Shipping[state])
		}
	}
	if len(s.ParkedByKind) > 0 {
		row(w, "\nPARKED FOR", "COUNT")
		for _, kind := range sortedKeys(s.ParkedByKind) {
			row(w, kind, s.ParkedByKind[kind])
		}
	}
	printParked(w, s.items)
	row(w, "\nCURSOR", "LOCATION", "STANDS AT")
	cursors := slices.DeleteFunc(slices.Clone(s.Cursors), func(c cursorView) bool {
		return c.Name == activities.WatchdogMark // it is shown above
	})
	for _, c := range cursors {
		row(w, c.Name, c.Location, fmt.Sprintf("%s, %s", c.At.Format(time.RFC3339), ago(c.At)))
	}
	if len(cursors) == 0 {
		row(w, "none has finished yet")
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// orderView is the answer of `starter status <order>`.
type orderView struct {
	Location string        `json:"location"`
	Order    string        `json:"order"`
	Booked   *bookedView   `json:"booked,omitempty"`
	Parked   *parkedView   `json:"parked,omitempty"`
	Decision *decisionView `json:"decision,omitempty"`
	// Shipping is how far its goods have come; nil where that is not followed.
	Shipping *fulfillmentView `json:"shipping,omitempty"`
	// Process is the process of the order, if Temporal still knows one.
	Process *processView[workflows.PaymentToOrderStatus] `json:"process,omitempty"`
}

type bookedView struct {
	SageID    int64               `json:"sageId"`
	Adopted   bool                `json:"adopted"`
	State     domain.PaymentState `json:"state"`
	Total     string              `json:"total"`
	Paid      string              `json:"paid"`
	Refunded  string              `json:"refunded"`
	Lines     int                 `json:"lines"`
	AsOf      time.Time           `json:"asOf"`
	BroughtAt time.Time           `json:"broughtAt"`
}

type decisionView struct {
	// SageID is 0 for "a new one".
	SageID int64     `json:"sageId"`
	Actor  string    `json:"actor"`
	At     time.Time `json:"at"`
}

// processView is a process with its own answer to the query for its status.
type processView[S any] struct {
	WorkflowID string    `json:"workflowId"`
	State      string    `json:"state"`
	StartedAt  time.Time `json:"startedAt"`
	// Status is the process's own answer; nil when no worker could give it in time.
	Status *S `json:"status,omitempty"`
}

// missing tells that Temporal knows no such process or schedule.
func missing(err error) bool {
	var notFound *serviceerror.NotFound
	return errors.As(err, &notFound)
}

func (d *desk) order(ctx context.Context, id string) (orderView, error) {
	v := orderView{Location: d.location, Order: id}
	booked, found, err := d.store.Order(ctx, d.location, id)
	if err != nil {
		return v, err
	}
	if found {
		v.Booked = &bookedView{booked.SageID, booked.Adopted, booked.State, booked.Total.String(), booked.Paid.String(),
			booked.Refunded.String(), len(booked.Lines), booked.AsOf, booked.BroughtAt}
	}
	item, found, err := d.store.ParkedItem(ctx, d.location, workflows.PaymentToOrderType, id)
	if err != nil {
		return v, err
	}
	if found {
		view := viewParked(item)
		v.Parked = &view
	}
	decision, found, err := d.store.Decision(ctx, d.location, id)
	if err != nil {
		return v, err
	}
	if found {
		v.Decision = &decisionView{decision.SageID, decision.Actor, decision.DecidedAt}
	}
	shipping, found, err := d.store.Fulfillment(ctx, d.location, id)
	if err != nil {
		return v, err
	}
	if found {
		view := viewFulfillment(shipping)
		v.Shipping = &view
	}
	if v.Process, err = process[workflows.PaymentToOrderStatus](ctx, d, workflows.PaymentToOrderID(d.location, id)); err != nil {
		return v, err
	}
	if v.Booked == nil && v.Parked == nil && v.Process == nil {
		return v, errNoOrder
	}
	return v, nil
}

// queryTime is how long a worker may take to answer for its process.
const queryTime = 5 * time.Second

// process asks Temporal, and the process itself while it runs.
func process[S any](ctx context.Context, d *desk, id string) (*processView[S], error) {
	description, err := d.temporal.DescribeWorkflow(ctx, id, "")
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask Temporal for the process: %w", err)
	}
	v := &processView[S]{WorkflowID: id, State: description.Status.String(), StartedAt: description.WorkflowStartTime.UTC()}
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	answer, err := d.temporal.QueryWorkflow(ctx, id, "", workflows.StatusQuery)
	if err != nil {
		return v, nil // without a worker a process cannot answer; the rest is worth showing all the same
	}
	var status S
	if err := answer.Get(&status); err != nil {
		return nil, fmt.Errorf("read the status of the process: %w", err)
	}
	v.Status = &status
	return v, nil
}

func (v orderView) print(w io.Writer) {
	row(w, "order", v.Order)
	if b := v.Booked; b != nil {
		row(w, "in Sage", fmt.Sprintf("%d, %s", b.SageID, b.State))
		row(w, "total, paid, refunded", fmt.Sprintf("%s, %s, %s", b.Total, b.Paid, b.Refunded))
		row(w, "brought", ago(b.BroughtAt)+", news of "+b.AsOf.Format(time.RFC3339))
		if b.Adopted {
			row(w, "made by", "people, taken over")
		}
	} else {
		row(w, "in Sage", "no")
	}
	if s := v.Shipping; s != nil {
		row(w, "shipping", fmt.Sprintf("%s, %d shipments: `starter fulfillment show %s`", s.State, len(s.Shipments), v.Order))
	}
	if p := v.Parked; p != nil {
		row(w, "parked", fmt.Sprintf("%s, %d times since %s", p.Kind, p.Attempts, p.ParkedAt.Format(time.RFC3339)))
		row(w, "because", p.Reason)
		for _, candidate := range p.Candidates {
			row(w, "candidate", fmt.Sprintf("`starter match %s --sage-order %d`", v.Order, candidate))
		}
	}
	if d := v.Decision; d != nil {
		row(w, "decided", fmt.Sprintf("%s, by %s, %s", match{sageID: d.SageID, fresh: d.SageID == 0}, d.Actor, ago(d.At)))
	}
	if p := v.Process; p != nil {
		row(w, "process", p.State+", begun "+ago(p.StartedAt))
		if p.Status != nil {
			row(w, "last outcome", p.Status.Outcome)
			if p.Status.Step != "" {
				row(w, "doing now", p.Status.Step)
			}
		}
	}
}
