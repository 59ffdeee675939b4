package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
)

// TestCopiesThatPeopleMadeStayThoughOursIsGone: that two rows have the same maker makes neither of them ours.
func TestCopiesThatPeopleMadeStayThoughOursIsGone(t *testing.T) {
	b := newBooks(t, worldOptions{})
	sub := b.subscribed()
	paid := b.renew(sub.ID, time.Now().AddDate(0, 0, -9))
	b.reconcile(false)
	row, opp := b.rows()["ghl:txn:"+paid.ID], b.opportunity(sub.ID)
	for range 2 {
		_, err := b.sage.PeopleCreate("sales", map[string]any{"accountId": row.Int("accountId"), "accountExtId": "A", "salesRepExtId": "R",
			"extId": "ghl:txn:" + paid.ID, "date": "2026-01-05 00:00:00", "total": 49})
		require.NoError(t, err)
		_, err = b.sage.PeopleCreate("opportunities", map[string]any{"extId": "ghl:sub:" + sub.ID, "reference": "a copy", "accountId": opp.Int("accountId"),
			"branchId": opp.Int("branchId"), "salesRepId": opp.Int("salesRepId"), "statusId": opp.Int("statusId"), "salesProbability": 5, "total": 49})
		require.NoError(t, err)
	}
	require.NoError(t, b.sage.PeopleDelete("sales", row.ID))
	require.NoError(t, b.sage.PeopleDelete("opportunities", opp.ID))
	for range 2 {
		sum := b.reconcile(true)
		require.Len(t, b.sage.Live("sales"), 2)
		require.Len(t, b.sage.Live("opportunities"), 2)
		require.EqualValues(t, 1, sum.compared[domain.PaymentEntry].Findings[domain.Duplicate])
		require.EqualValues(t, 1, sum.compared[domain.SubscriptionEntry].Findings[domain.Duplicate])
	}
}

// TestASubscriptionOfAMarkedOrderStaysOut until the mark is taken back and the order is in the books.
func TestASubscriptionOfAMarkedOrderStaysOut(t *testing.T) {
	b := newBooks(t, worldOptions{})
	order := b.shirtOrder("EUR", b.customer())
	require.NoError(t, b.ghl.EditOrder(order.ID, func(o *ghlbox.Order) { o.MarkAsTest = true }))
	sub, err := b.ghl.Subscribe(ghlbox.NewSubscription{OrderID: order.ID, PriceID: b.plan})
	require.NoError(t, err)
	for range 2 {
		require.Zero(t, differences(b.reconcile(false)))
		require.Empty(t, b.sage.Live("opportunities"))
		require.Empty(t, b.sage.Live("accounts"))
	}
	require.NoError(t, b.ghl.EditOrder(order.ID, func(o *ghlbox.Order) { o.MarkAsTest = false }))
	b.pay(order.ID, domain.Money{})
	b.mustPass(order.ID)
	require.Zero(t, differences(b.reconcile(false)))
	b.opportunity(sub.ID)
}

// TestTheOrderOfARenewalStandsThoughItsRefundIsRefused, and counts no more once the money was charged back.
func TestTheOrderOfARenewalStandsThoughItsRefundIsRefused(t *testing.T) {
	b := newBooks(t, worldOptions{sage: sagebox.Options{RefuseNegativeTotals: true}})
	b.settings.Books.RenewalOrders = true
	paid := b.renew(b.subscribed().ID, time.Now().AddDate(0, 0, -9))
	require.NoError(t, b.ghl.Refund(paid.ID, domain.NewMoney(500, "EUR")))
	sum := b.reconcile(false)
	require.Equal(t, 1, sum.brought[domain.PaymentEntry].Parked)
	require.Len(t, b.sage.OrdersByExtID("ghl:order:renewal:"+paid.ID), 1)
	require.Zero(t, sum.compared[domain.OrderEntry].Differences, "%+v", sum.compared)

	back := b.renew(b.ghl.Subscriptions()[0].ID, time.Now().AddDate(0, 0, -2))
	b.reconcile(false)
	require.NoError(t, b.ghl.Chargeback(back.ID))
	for range 2 {
		sum = b.reconcile(false)
		require.Equal(t, map[domain.Finding]int64{domain.StatusDiffers: 1}, sum.compared[domain.OrderEntry].Findings)
		require.Equal(t, map[domain.Finding]int64{domain.StatusDiffers: 1}, sum.compared[domain.PaymentEntry].Findings)
	}
	require.Len(t, b.sage.OrdersByExtID("ghl:order:renewal:"+back.ID), 1)
}

// TestWhatBelongsToARowIsMadeThoughTheRowAgrees, as after a process that died over it: here with a ledger that was lost.
func TestWhatBelongsToARowIsMadeThoughTheRowAgrees(t *testing.T) {
	b := newBooks(t, worldOptions{})
	b.settings.Books.RenewalOrders = true
	sub := b.subscribed()
	paid := b.renew(sub.ID, time.Now().AddDate(0, 0, -9))
	b.reconcile(false)
	lost, err := store.Open(t.Context(), "sqlite:"+t.TempDir()+"/new.db")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lost.Close()) })
	b.store = lost
	b.connect()
	require.NoError(t, b.sage.PeopleDelete("salesorders", b.sage.OrdersByExtID("ghl:order:renewal:" + paid.ID)[0].ID))
	sum := b.reconcile(false)
	orders := b.sage.OrdersByExtID("ghl:order:renewal:" + paid.ID)
	require.Len(t, orders, 1)
	require.Equal(t, b.opportunity(sub.ID).ID, orders[0].Int("opportunityId"))
	require.Zero(t, sum.compared[domain.OrderEntry].Differences)
}
