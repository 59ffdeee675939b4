package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
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
