package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
)

const (
	// lookEvery is how often the ledger is looked at.
	lookEvery = 300 * time.Millisecond
	// lookBack lets a look see what was written during the last one.
	lookBack = 2 * time.Second
	page     = 500
)

// follower prints what becomes of each order: it is told when money moves, and looks into the ledger for what has come
// of it.
type follower struct {
	stack *stack.Stack
	out   *screen

	mu     sync.Mutex
	moved  map[string][]time.Time // when money moved, by order
	shown  map[string]string      // the digest that was shown, by order
	parked map[string]string      // the reason that was shown, by object
	goods  map[string]*way        // by order, as long as something may become of them
	// standing is how opportunities were shown, lastSale the last row of booked sales that was seen, and writes how often
	// Sage was written either.
	standing map[int64]string
	lastSale int64
	writes   int
	placed   int
	took     []time.Duration // from the money to Sage
	since    time.Time
}

func newFollower(s *stack.Stack, out *screen) *follower {
	return &follower{stack: s, out: out, moved: map[string][]time.Time{}, shown: map[string]string{},
		parked: map[string]string{}, goods: map[string]*way{}, standing: map[int64]string{}, since: time.Now()}
}

// observe is told by the shop what was done.
func (f *follower) observe(a shop.Action) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch a.Kind {
	case shop.Place:
		f.placed++
	case shop.Pay, shop.Settle, shop.Refund:
		f.moved[a.OrderID] = append(f.moved[a.OrderID], time.Now())
	case shop.Try, shop.Begin: // no money moved
	}
}

// follow looks until ctx ends.
func (f *follower) follow(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := f.look(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("look into the ledger: %w", err)
		}
	}
}

// look prints what is new in the ledger and among the parked items.
func (f *follower) look(ctx context.Context) error {
	began := time.Now()
	filter := store.OrderFilter{Location: f.stack.Location(), BroughtFrom: f.since, Page: store.Page{Limit: page}}
	var news []store.OrderRecord
	for {
		records, next, err := f.stack.Store.Orders(ctx, filter)
		if err != nil {
			return err
		}
		news = append(news, records...)
		if filter.After = next; next == "" {
			break
		}
	}
	parked, _, err := f.stack.Store.ParkedItems(ctx, store.ParkedFilter{Location: f.stack.Location(), Page: store.Page{Limit: page}})
	if err != nil {
		return err
	}
	shipping, err := f.shipping(ctx)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.Reverse(news) // they come newest first
	for _, r := range news {
		if f.shown[r.OrderID] != r.Digest {
			f.shown[r.OrderID] = r.Digest
			f.order(r)
			f.way(r.OrderID).at = began
		}
	}
	for _, r := range shipping {
		f.shipped(r)
	}
	f.booked(began)
	for _, item := range parked {
		if f.parked[item.ObjectID] != item.Reason {
			f.parked[item.ObjectID] = item.Reason
			f.out.say("%s  %s  %s", clock(item.LastTry), short(item.ObjectID), f.out.paint(yellow, "parked, "+item.Kind+": "+item.Reason))
		}
	}
	f.since = began.Add(-lookBack)
	return nil
}

// order prints a line of the ledger.
func (f *follower) order(r store.OrderRecord) {
	took, known := f.latency(r)
	duration := ""
	if known {
		f.took = append(f.took, took)
		duration = "in " + took.Round(10*time.Millisecond).String()
	}
	amount, hue := r.Total.String(), green
	switch r.State {
	case domain.PartiallyPaid:
		amount, hue = r.Paid.String()+" of "+r.Total.String(), yellow
	case domain.PartiallyRefunded, domain.Refunded:
		amount, hue = r.Refunded.String()+" of "+r.Paid.String(), dim
	case domain.Unpaid, domain.Paid:
	}
	state := fmt.Sprintf("%-18s", strings.ReplaceAll(string(r.State), "_", " "))
	f.out.say("%s  %s  %s  %26s  → Sage order %-6d %s", clock(r.BroughtAt), short(r.OrderID), f.out.paint(hue, state), amount, r.SageID,
		f.out.paint(dim, duration))
}

// latency is the time from the last movement of money that the record can know of to the record.
func (f *follower) latency(r store.OrderRecord) (time.Duration, bool) {
	moved := f.moved[r.OrderID]
	for i := len(moved) - 1; i >= 0; i-- {
		if moved[i].Before(r.BroughtAt) {
			return r.BroughtAt.Sub(moved[i]), true
		}
	}
	return 0, false
}

// quantile is the latency that so many of 100 orders did not exceed.
func (f *follower) quantile(percent int) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(f.took))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)].Round(10 * time.Millisecond)
}

// tally sums up a run that was interrupted.
func (f *follower) tally() string {
	median := f.quantile(50)
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("%d orders placed, %d brought into Sage, half of the changes within %s; %d were parked at some time",
		f.placed, len(f.shown), median, len(f.parked))
}

func clock(at time.Time) string { return at.Local().Format(time.TimeOnly) }

// short is enough of an id to tell it from others by eye.
func short(id string) string {
	const enough = 10
	if len(id) <= enough {
		return id
	}
	return id[:enough]
}
