package ghl_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	api "github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
)

// plan adds a product that is paid for again and again.
func (c *client) plan(name string, amount domain.Money, interval string) string {
	c.t.Helper()
	return c.server.AddPrice(ghl.Price{ProductID: c.server.AddProduct(ghl.Product{Name: name, Type: "SERVICE"}),
		Name: interval, Amount: amount, Interval: interval})
}

func (c *client) subscribe(in ghl.NewSubscription) ghl.Subscription {
	c.t.Helper()
	if in.ContactID == "" && in.OrderID == "" {
		in.ContactID = c.server.AddContact(ghl.Contact{FirstName: "Grace", Email: "grace@example.com"})
	}
	if in.PriceID == "" {
		in.PriceID = c.plan("Membership", usd(5900), "month")
	}
	sub, err := c.server.Subscribe(in)
	require.NoError(c.t, err)
	return sub
}

func TestASubscriptionIsReadAsRowAndAsDetail(t *testing.T) {
	for name, opts := range map[string]ghl.Options{"as a rule": {}, "quoted amounts": {QuotedAmounts: true}, "upper case": {UpperCurrency: true}} {
		t.Run(name, func(t *testing.T) {
			at := time.Date(2026, 1, 31, 20, 45, 0, 0, time.UTC)
			c := start(t, opts)
			sub := c.subscribe(ghl.NewSubscription{At: at, CouponCode: "TEN", Amount: usd(5310), Cycles: 12})
			page, err := c.reader().Subscriptions.Page(t.Context(), api.SubscriptionFilter{}, api.Cursor{})
			require.NoError(t, err)
			require.Len(t, page.Rows, 1)
			row := page.Rows[0]
			require.Equal(t, sub.ID, row.ID)
			require.Equal(t, "active", row.Status)
			require.True(t, row.Amount.Equal("53.1"))
			require.Equal(t, "grace@example.com", row.Contact.Email)
			require.Empty(t, row.Schedule, "only a detail has the schedule")

			got, err := c.reader().Subscriptions.Get(t.Context(), sub.ID)
			require.NoError(t, err)
			require.Equal(t, api.Schedule{ExecuteAt: "2026-01-31T20:45:00.000Z", IntervalType: "monthly", Interval: 1,
				StartDate: "2026-01-31", StartTime: "20:45:00", DayOfMonth: 31, Count: 12}, got.Schedule)
			require.Equal(t, "TEN", got.CouponCode)
			require.Equal(t, row.Source, got.Source)
			require.Equal(t, sub.GatewayID, got.GatewayID)
			_, err = c.reader().Subscriptions.Get(t.Context(), sub.GatewayID)
			require.True(t, api.IsNotFound(err), "the payment provider's id opens nothing: %v", err)

			raw := c.get("/payments/subscriptions")["data"].([]any)[0].(map[string]any)
			require.NotContains(t, raw, "canceledAt")
			require.NotContains(t, raw, "recurringProduct")
			require.NotContains(t, raw, "entityId", "it came of no order")
			snapshot := raw["subscriptionSnapshot"].(map[string]any)
			require.Equal(t, json.Number(fmt.Sprint(at.Unix())), snapshot["current_period_end"], "the first charge is open")
			detail := c.get("/payments/subscriptions/" + sub.ID)
			require.Equal(t, "Membership", detail["recurringProduct"].(map[string]any)["name"])
		})
	}
}

func TestChargesAreDueAsPaymentProvidersCount(t *testing.T) {
	at := time.Date(2024, 1, 31, 23, 30, 0, 0, time.UTC)
	for kind, want := range map[string][]string{
		"monthly": {"2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"}, "yearly": {"2024-01-31", "2025-01-31"},
		"weekly": {"2024-01-31", "2024-02-07"}, "daily": {"2024-01-31", "2024-02-01"},
	} {
		for n, day := range want {
			due := ghl.Schedule{IntervalType: kind, Interval: 1, Start: at}.Due(int64(n))
			require.Equal(t, day+"T23:30:00Z", due.Format(time.RFC3339), kind)
		}
	}
	local := ghl.Schedule{IntervalType: "monthly", Interval: 2, Start: at, Timezone: "America/New_York"}
	require.Equal(t, "2024-03-31T22:30:00Z", local.Due(1).Format(time.RFC3339), "half past six there, before and after the clocks change")
}

func TestRenewalsNameTheSubscription(t *testing.T) {
	for entity, want := range map[string]string{"": "", "order": "order", "subscription": "subscription"} {
		c := start(t, ghl.Options{RenewalEntity: entity})
		reader := c.reader()
		price := c.plan("Course", usd(4900), "month")
		o := c.sale(func(in *ghl.NewOrder) {
			*in = ghl.NewOrder{ContactID: in.ContactID, Currency: "USD", Lines: []ghl.NewLine{{PriceID: price, Qty: 1}}}
		})
		first, err := c.server.TakePayment(o.ID, ghl.NewPayment{})
		require.NoError(t, err)
		sub := c.subscribe(ghl.NewSubscription{OrderID: o.ID, PriceID: price})
		require.Equal(t, o.ContactID, sub.ContactID)
		renewal, err := c.server.Renew(sub.ID, ghl.NewPayment{})
		require.NoError(t, err)
		require.NoError(t, c.server.Refund(renewal.ID, usd(100)), "there is no order to be changed")

		all, err := reader.Transactions.Page(t.Context(), api.TransactionFilter{SubscriptionID: sub.GatewayID}, api.Cursor{})
		require.NoError(t, err)
		require.Len(t, all.Rows, 2)
		require.Equal(t, []string{renewal.ID, first.ID}, []string{all.Rows[0].ID, all.Rows[1].ID})
		got, err := reader.Transactions.Get(t.Context(), renewal.ID)
		require.NoError(t, err)
		require.Equal(t, want, got.EntityType)
		require.Equal(t, sub.GatewayID, got.SubscriptionID)
		require.True(t, got.AmountRefunded.Equal("1"))
		none, err := reader.Transactions.Page(t.Context(), api.TransactionFilter{SubscriptionID: sub.ID}, api.Cursor{})
		require.NoError(t, err)
		require.Empty(t, none.Rows, "transactions name it by the payment provider's id")
		found, err := reader.Subscriptions.Page(t.Context(), api.SubscriptionFilter{EntityID: o.ID}, api.Cursor{})
		require.NoError(t, err)
		require.Len(t, found.Rows, 1)
		now, _ := c.server.Subscription(sub.ID)
		require.Equal(t, int64(2), now.Charges)
	}
}

func TestASubscriptionsLife(t *testing.T) {
	c := start(t, ghl.Options{})
	sub := c.subscribe(ghl.NewSubscription{Trial: 7 * 24 * time.Hour})
	status := func() string {
		t.Helper()
		got, err := c.reader().Subscriptions.Get(t.Context(), sub.ID)
		require.NoError(t, err)
		return got.Status
	}
	require.Equal(t, "trialing", status())
	_, err := c.server.Renew(sub.ID, ghl.NewPayment{})
	require.NoError(t, err)
	require.Equal(t, "active", status())
	failed, err := c.server.Renew(sub.ID, ghl.NewPayment{Status: "failed"})
	require.NoError(t, err)
	require.Equal(t, "past_due", status())
	require.NoError(t, c.server.SettlePayment(failed.ID, "succeeded"), "it is tried again")
	pending, err := c.server.Renew(sub.ID, ghl.NewPayment{Status: "pending"})
	require.NoError(t, err)
	now, _ := c.server.Subscription(sub.ID)
	require.Equal(t, int64(2), now.Charges)
	require.NoError(t, c.server.SettlePayment(pending.ID, "succeeded"))
	now, _ = c.server.Subscription(sub.ID)
	require.Equal(t, int64(3), now.Charges)
	require.NoError(t, c.server.ChangeAtGateway(sub.ID, "active"))
	require.NoError(t, c.server.PauseSubscription(sub.ID))
	require.Equal(t, "active", status(), "of Stripe's, only the snapshot shows a pause")
	require.Contains(t, c.get("/payments/subscriptions/" + sub.ID)["subscriptionSnapshot"], "pause_collection")
	require.NoError(t, c.server.ResumeSubscription(sub.ID))
	require.NoError(t, c.server.ChangePlan(sub.ID, c.plan("Big membership", usd(59000), "year")))
	got, err := c.reader().Subscriptions.Get(t.Context(), sub.ID)
	require.NoError(t, err)
	require.True(t, got.Amount.Equal("590"))
	require.Equal(t, "yearly", got.Schedule.IntervalType)
	require.NoError(t, c.server.CancelSubscription(sub.ID))
	got, err = c.reader().Subscriptions.Get(t.Context(), sub.ID)
	require.NoError(t, err)
	require.Equal(t, "canceled", got.Status)
	require.False(t, got.CanceledAt.IsZero())
	require.ErrorIs(t, c.server.ChangePlan(sub.ID, "000000000000000000000000"), ghl.ErrUnknown)
	require.ErrorIs(t, c.server.CancelSubscription("000000000000000000000000"), ghl.ErrUnknown)
	require.NoError(t, c.server.SetSubscriptionStatus(sub.ID, "incomplete_expired"))
	require.Equal(t, "incomplete_expired", status())
}

// TestPayPalIsNotKeptInStep: the money tells the truth, the status does not.
func TestPayPalIsNotKeptInStep(t *testing.T) {
	for _, inStep := range []bool{false, true} {
		c := start(t, ghl.Options{PayPalInStep: inStep})
		sub := c.subscribe(ghl.NewSubscription{Provider: "paypal"})
		require.Regexp(t, `^I-[0-9A-F]{13}$`, sub.GatewayID)
		require.NoError(t, c.server.ChangeAtGateway(sub.ID, "suspended"))
		_, err := c.server.Renew(sub.ID, ghl.NewPayment{Status: "failed"})
		require.NoError(t, err)
		require.NoError(t, c.server.ChangeAtGateway(sub.ID, "canceled"))
		got, err := c.reader().Subscriptions.Get(t.Context(), sub.ID)
		require.NoError(t, err)
		snapshot := c.get("/payments/subscriptions/" + sub.ID)["subscriptionSnapshot"].(map[string]any)
		if inStep {
			require.Equal(t, []any{"canceled", "CANCELED"}, []any{got.Status, snapshot["status"]})
			continue
		}
		require.Equal(t, []any{"active", "ACTIVE"}, []any{got.Status, snapshot["status"]})
		require.Equal(t, sub.UpdatedAt, got.UpdatedAt)
		require.True(t, got.CanceledAt.IsZero())
		truth, _ := c.server.Subscription(sub.ID)
		require.Equal(t, "canceled", truth.GatewayStatus)
	}
}

func TestAChargebackChangesAnOldPayment(t *testing.T) {
	c := start(t, ghl.Options{ChargebackRefunds: true})
	o := c.sale(nil)
	paid, err := c.server.TakePayment(o.ID, ghl.NewPayment{})
	require.NoError(t, err)
	before := mustOrder(t, c, o.ID)
	require.NoError(t, c.server.Chargeback(paid.ID))
	got, err := c.reader().Transactions.Get(t.Context(), paid.ID)
	require.NoError(t, err)
	require.Equal(t, "disputed", got.Status)
	require.True(t, got.AmountRefunded.Equal("162"))
	require.True(t, got.UpdatedAt.After(paid.UpdatedAt))
	require.Equal(t, paid.CreatedAt, got.CreatedAt)
	require.Equal(t, before, mustOrder(t, c, o.ID), "nothing shows on the order")
	require.ErrorIs(t, c.server.Chargeback("000000000000000000000000"), ghl.ErrUnknown)
}

func TestTheOrderOfListsAndRowsThatChangeBetweenPages(t *testing.T) {
	walk := func(order ghl.ListOrder, after func(c *client, offset int)) (seen []string, made []string) {
		var c *client
		c = start(t, ghl.Options{ListOrder: order, NoLimits: true, AfterPage: func(operation string, offset int) {
			require.Equal(t, "ghl.transactions.list", operation)
			if after != nil {
				after(c, offset)
			}
		}})
		payments := make([]ghl.PastPayment, 300)
		contact := c.server.AddContact(ghl.Contact{})
		for i := range payments {
			payments[i] = ghl.PastPayment{ContactID: contact, NewPayment: ghl.NewPayment{ID: fmt.Sprintf("%024d", i), Amount: usd(100),
				At: time.Date(2026, 1, 1, 0, i, 0, 0, time.UTC)}}
			made = append(made, payments[i].ID)
		}
		require.NoError(t, c.server.Seed(ghl.History{Payments: payments}))
		for row, err := range c.reader().Transactions.All(t.Context(), api.TransactionFilter{}) {
			require.NoError(t, err)
			seen = append(seen, row.ID)
		}
		return seen, made
	}
	seen, made := walk(ghl.OldestFirst, nil)
	require.Equal(t, made, seen)
	slices.Reverse(made)
	seen, _ = walk(ghl.NewestFirst, nil)
	require.Equal(t, made, seen)
	seen, _ = walk(ghl.LastChangedFirst, nil)
	require.Equal(t, made, seen)
	seen, _ = walk(ghl.Shuffled, nil)
	require.NotEqual(t, made, seen)
	require.ElementsMatch(t, made, seen, "every page is of the same shuffle")

	seen, _ = walk(ghl.NewestFirst, func(c *client, _ int) {
		contact := c.server.AddContact(ghl.Contact{})
		require.NoError(t, c.server.Seed(ghl.History{Payments: []ghl.PastPayment{{ContactID: contact, NewPayment: ghl.NewPayment{Amount: usd(1)}}}}))
	})
	require.Subset(t, seen, made)
	require.Greater(t, len(seen), len(made), "rows move to the next page and are seen again")

	old := made[len(made)-1]
	seen, _ = walk(ghl.LastChangedFirst, func(c *client, _ int) {
		require.NoError(t, c.server.EditPayment(old, func(p *ghl.Transaction) { p.Status = "disputed" }))
	})
	require.NotContains(t, seen, old, "it changed while the list was read, and is where the reader was before")
}

// TestYearsAreSeeded is what benchmarks and long histories need: in seconds, and without much memory.
func TestYearsAreSeeded(t *testing.T) {
	count, subscriptions := 100_000, 20_000
	if testing.Short() {
		count, subscriptions = 10_000, 2_000
	}
	c := start(t, ghl.Options{NoLimits: true})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	require.NoError(t, c.server.Seed(years(c, count, subscriptions)))
	runtime.GC()
	runtime.ReadMemStats(&after)
	perPayment := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / int64(count)
	t.Logf("%d bytes for each of %d payments with their subscriptions", perPayment, count)
	require.Less(t, perPayment, int64(3000))

	require.Len(t, c.server.Transactions(), count)
	require.Len(t, c.server.Subscriptions(), subscriptions)
	page, err := c.reader().Transactions.Page(t.Context(), api.TransactionFilter{}, api.Cursor{Offset: count - 50})
	require.NoError(t, err)
	require.Len(t, page.Rows, 50)
	require.True(t, page.Done)
	last := page.Rows[49]
	require.True(t, last.CreatedAt.Equal(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)), "it was the last to be put in")
	one, err := c.reader().Transactions.Page(t.Context(), api.TransactionFilter{SubscriptionID: last.SubscriptionID}, api.Cursor{})
	require.NoError(t, err)
	require.Len(t, one.Rows, count/subscriptions)
}

// years makes renewals of two years, the youngest first.
func years(c *client, count, subscriptions int) ghl.History {
	h := ghl.History{Payments: make([]ghl.PastPayment, count), Subscriptions: make([]ghl.NewSubscription, subscriptions),
		Contacts: make([]ghl.Contact, subscriptions)}
	price := c.plan("Membership", usd(1900), "month")
	begin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range subscriptions {
		h.Contacts[i] = ghl.Contact{ID: fmt.Sprintf("contact%013d", i), FirstName: "Ada"}
		h.Subscriptions[i] = ghl.NewSubscription{ID: fmt.Sprintf("%024x", i), ContactID: h.Contacts[i].ID, PriceID: price, At: begin}
	}
	for i := range count {
		h.Payments[count-1-i] = ghl.PastPayment{SubscriptionID: h.Subscriptions[i%subscriptions].ID,
			NewPayment: ghl.NewPayment{At: begin.Add(time.Duration(i) * 10 * time.Minute)}}
	}
	return h
}

func TestAHistoryHasOrdersAndRefersToWhatIsThere(t *testing.T) {
	c := start(t, ghl.Options{})
	openDoor(t, c)
	at := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	price := c.server.AddPrice(ghl.Price{Name: "Mug", Amount: usd(1200)})
	require.NoError(t, c.server.Seed(ghl.History{
		Contacts: []ghl.Contact{{ID: "contact1", Email: "ada@example.com"}},
		Orders: []ghl.NewOrder{{ID: "o2", ContactID: "contact1", Currency: "USD", Lines: []ghl.NewLine{{PriceID: price, Qty: 1}}, CreatedAt: at.AddDate(0, 1, 0)},
			{ID: "o1", ContactID: "contact1", Currency: "USD", Lines: []ghl.NewLine{{PriceID: price, Qty: 2}}, CreatedAt: at}},
		Payments: []ghl.PastPayment{
			{OrderID: "o1", NewPayment: ghl.NewPayment{ID: "t1", At: at.Add(time.Hour)}, Refunded: usd(500), UpdatedAt: at.AddDate(1, 0, 0)},
			{OrderID: "o2", NewPayment: ghl.NewPayment{ID: "t2", At: at.AddDate(0, 1, 0), Amount: usd(200)}},
			{ContactID: "contact1", InvoiceID: "i1", NewPayment: ghl.NewPayment{ID: "t3", Amount: usd(700), At: at}},
		},
	}))
	require.Equal(t, []string{"o1", "o2"}, []string{c.server.Orders()[0].ID, c.server.Orders()[1].ID})
	require.Equal(t, "completed", mustOrder(t, c, "o1").Status)
	require.Equal(t, "pending", mustOrder(t, c, "o2").Status)
	got, err := c.reader().Transactions.Get(t.Context(), "t1")
	require.NoError(t, err)
	require.True(t, got.AmountRefunded.Equal("5"))
	require.Equal(t, at.AddDate(1, 0, 0), got.UpdatedAt)
	got, err = c.reader().Transactions.Get(t.Context(), "t3")
	require.NoError(t, err)
	require.Equal(t, []string{"invoice", "i1", "i1"}, []string{got.EntityType, got.EntityID, got.InvoiceID})
	require.ErrorIs(t, c.server.Seed(ghl.History{Payments: []ghl.PastPayment{{OrderID: "o9"}}}), ghl.ErrUnknown)
	require.ErrorIs(t, c.server.Seed(ghl.History{Subscriptions: []ghl.NewSubscription{{ContactID: "contact1", PriceID: price}}}), ghl.ErrUnknown, "that price is paid once")
	waitWebhooks(t, c)
	require.Empty(t, c.server.Deliveries())
}
