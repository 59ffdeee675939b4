package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
)

// ordersPerMember is how many orders there are for each customer who pays by subscription.
const ordersPerMember = 6

func clubOptions(opts options, seed int64, orders int) shop.ClubOptions {
	return shop.ClubOptions{Seed: seed, Members: (orders + ordersPerMember - 1) / ordersPerMember, PerSecond: opts.rate / ordersPerMember}
}

// booked prints what is new among Sage's opportunities, and among the booked sales that have no order: those of orders
// are lines enough. Nothing is read while Sage was written nothing of the kind.
func (f *follower) booked(now time.Time) {
	tenant := f.stack.Sage
	writes := tenant.CallCount("sage.sales.create") + tenant.CallCount("sage.opportunities.")
	if writes == f.writes {
		return
	}
	f.writes = writes
	for _, o := range tenant.Live("opportunities") {
		id, ours := strings.CutPrefix(o.Text("extId"), domain.SubscriptionExtIDPrefix)
		state := fmt.Sprint(o.Int("statusId"), o.Number("total"))
		if !ours || f.standing[o.ID] == state {
			continue
		}
		f.standing[o.ID] = state
		sub, _ := f.stack.GHL.Subscription(id)
		amount := fmt.Sprintf("%s a %s", sub.Amount, periods[sub.Schedule.IntervalType])
		f.out.say("%s  %s  %s  %26s  → Sage opportunity %d", clock(now), short(id), f.out.paint(green, fmt.Sprintf("%-18s", sub.Status)), amount, o.ID)
	}
	sales := tenant.Live("sales")
	at, _ := slices.BinarySearchFunc(sales, f.lastSale+1, func(r sage.Record, id int64) int { return int(r.ID - id) })
	for _, row := range sales[at:] {
		f.lastSale = row.ID
		id, _, refund := domain.ParseRefundExtID(row.Text("extId"))
		word := "paid again"
		if refund {
			word = "refunded"
		} else {
			id = strings.TrimPrefix(row.Text("extId"), domain.TransactionExtIDPrefix)
		}
		amount, err := domain.ParseMoney(row.Number("total"), sage.BranchCurrency)
		if t, found := f.stack.GHL.Transaction(id); found && t.OrderID == "" && err == nil {
			f.out.say("%s  %s  %s  %26s  → Sage sale %d", clock(now), short(id), f.out.paint(green, fmt.Sprintf("%-18s", word)), amount, row.ID)
		}
	}
}

// periods are the schedules of subscriptions, as people say them.
var periods = map[string]string{"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}
