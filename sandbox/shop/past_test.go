package shop_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/shop"
)

var pastEnd = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

func TestPastIsItsOptionsAndNothingElse(t *testing.T) {
	o := shop.PastOptions{Seed: 7, To: pastEnd, Transactions: 400}
	assert.Equal(t, shop.Past(o), shop.Past(o))
	o.Seed++
	other := shop.Past(o)
	o.Seed--
	assert.NotEqual(t, shop.Past(o), other)
}

// What the past says of itself is what a server then shows, and it lies in the time that was asked for.
func TestPastIsWhatTheServerShows(t *testing.T) {
	for seed := range int64(20) {
		past := shop.Past(shop.PastOptions{Seed: seed, To: pastEnd, Transactions: 500, Subscriptions: 60})
		server := ghl.New(ghl.Options{})
		t.Cleanup(server.Close)
		require.NoError(t, past.Seed(server))

		transactions := server.Transactions()
		require.Len(t, transactions, len(past.Charges))
		assert.InDelta(t, 500, len(transactions), 60)
		gateways := map[string]string{"": ""}
		for _, sub := range server.Subscriptions() {
			gateways[sub.GatewayID] = sub.ID
		}
		shown := map[string]ghl.Transaction{}
		for _, tx := range transactions {
			shown[tx.ID] = tx
		}
		for _, c := range past.Charges {
			tx := shown[c.ID]
			assert.Equal(t, c.Amount, tx.Amount)
			assert.Equal(t, c.Refunded, tx.AmountRefunded)
			assert.Equal(t, c.Status, tx.Status)
			assert.Equal(t, c.Test, !tx.LiveMode || tx.MarkAsTest, c.ID)
			assert.Equal(t, c.OrderID, tx.OrderID)
			assert.Equal(t, c.SubscriptionID, gateways[tx.SubscriptionID], c.ID)
			assert.True(t, tx.CreatedAt.Equal(c.At))
			assert.False(t, c.At.Before(pastEnd.AddDate(-2, 0, 0)) || c.At.After(pastEnd), "%s", c.At)
			assert.False(t, tx.UpdatedAt.After(pastEnd), "%s", tx.UpdatedAt)
		}
		for _, o := range server.Orders() {
			assert.Equal(t, past.Totals[o.ID], o.Amount)
		}
		require.Len(t, past.Plans, 60)
		for _, plan := range past.Plans {
			sub, found := server.Subscription(plan.ID)
			require.True(t, found)
			assert.Equal(t, plan.Amount, sub.Amount)
			assert.Equal(t, plan.Status, sub.Status)
			assert.Equal(t, plan.Paused, sub.Paused)
			assert.True(t, plan.Canceled.Equal(sub.CanceledAt))
			assert.True(t, plan.Start.Equal(sub.CreatedAt))
			if plan.Status == "active" && !plan.Paused {
				assert.True(t, sub.Schedule.Due(sub.Charges).After(pastEnd.Add(12*time.Hour)), "an active one was charged up to the end: %+v", sub)
			}
		}
	}
}

// There is some of everything that books must get right.
func TestPastHasEverything(t *testing.T) {
	past := shop.Past(shop.PastOptions{Seed: 3, To: pastEnd, Transactions: 3_000, Subscriptions: 300})
	some := map[string]int{}
	for _, c := range past.Charges {
		some["a payment that "+c.Status]++
		some[string(c.Amount.Currency)]++
		switch {
		case c.OrderID != "" && c.SubscriptionID != "":
			some["a first charge by an order"]++
		case c.SubscriptionID != "":
			some["a renewal"]++
		case c.OrderID == "":
			some["a payment without an order"]++
		}
		if c.Test {
			some["a test"]++
		}
		if c.Refunded == c.Amount {
			some["a refund in full"]++
		} else if !c.Refunded.IsZero() {
			some["a refund in part"]++
		}
	}
	for _, plan := range past.Plans {
		some[plan.Status]++
		some["by "+plan.Interval]++
		if plan.Paused {
			some["a pause"]++
		}
	}
	for _, o := range past.History.Orders {
		if o.InvoiceNumber != "" {
			some["an invoice"]++
		}
		if o.MarkAsTest {
			some["an order marked as test"]++
		}
	}
	for _, what := range []string{"a payment that succeeded", "a payment that failed", "a payment that pending",
		"a payment that disputed", "EUR", "USD", "JPY", "KWD", "a first charge by an order", "a renewal",
		"a payment without an order", "a test", "a refund in full", "a refund in part", "active", "trialing", "past_due",
		"unpaid", "canceled", "incomplete", "suspended", "a pause", "by week", "by month", "by year", "an invoice",
		"an order marked as test"} {
		assert.Positive(t, some[what], "%s: %v", what, some)
	}
	assert.Greater(t, some["EUR"], len(past.Charges)/2)
}

// The bench needs pasts of this size, and memory and time that grow no faster than they.
func BenchmarkPast(b *testing.B) {
	for b.Loop() {
		past := shop.Past(shop.PastOptions{Seed: 1, To: pastEnd, Transactions: 100_000, Subscriptions: 20_000})
		server := ghl.New(ghl.Options{})
		if err := past.Seed(server); err != nil {
			b.Fatal(err)
		}
		server.Close()
		b.ReportMetric(float64(len(past.Charges)), "transactions")
	}
}
