package activities_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	ledgerbooks "github.com/tallystick/tallystick/internal/books"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
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

// TestACopyThatPeopleMadeIsTheirsToJudge also where nobody touched it since: no repair is promised that never comes.
func TestACopyThatPeopleMadeIsTheirsToJudge(t *testing.T) {
	b := newBooks(t, worldOptions{})
	paid := b.renew(b.subscribed().ID, time.Now().AddDate(0, 0, -9))
	b.reconcile(false)
	row := b.rows()["ghl:txn:"+paid.ID]
	copied, err := b.sage.PeopleCreate("sales", map[string]any{"accountId": row.Int("accountId"), "accountExtId": "A", "salesRepExtId": "R",
		"extId": "ghl:txn:" + paid.ID, "date": row.Time("date").Format(time.DateTime), "total": 49})
	require.NoError(t, err)
	b.reconcile(false)
	plan := ledgerbooks.NewPlan(b.store, b.ghl.Location())
	_, err = ledgerbooks.Compare(t.Context(), b.store, ledgerbooks.Query{Location: b.ghl.Location(), Now: time.Now().Add(time.Hour)}, func(r ledgerbooks.Row) error {
		require.Equal(t, strconv.FormatInt(copied, 10), r.Record)
		require.Equal(t, ledgerbooks.Edited, r.Cause)
		return plan.Add(t.Context(), r)
	})
	require.NoError(t, err)
	require.Len(t, plan.Steps, 1)
	require.Equal(t, ledgerbooks.ByPerson, plan.Steps[0].Action)
}

// TestARunThatWasStoppedForDaysSkipsNothingOfSages: its later lists are younger than its first.
func TestARunThatWasStoppedForDaysSkipsNothingOfSages(t *testing.T) {
	b := newBooks(t, worldOptions{})
	opened := time.Now().Add(-72 * time.Hour)
	window := activities.BooksWindow{From: opened, To: opened, Opened: opened, Full: true}
	require.NoError(t, b.ledger.CloseBooksWindow(t.Context(), activities.CloseBooksWindowInput{
		Location: b.ghl.Location(), Window: window, Backfill: true, SageNewest: time.Now(),
	}))
	next, err := b.ledger.OpenBooksWindow(t.Context(), activities.OpenBooksWindowInput{Location: b.ghl.Location(), Now: time.Now()})
	require.NoError(t, err)
	require.False(t, next.Full)
	require.False(t, next.SageSince.After(opened), "%s", next.SageSince)
}

// TestAPaymentThatTookDaysBelongsToTheDayItCameIn, though it was made before the books began.
func TestAPaymentThatTookDaysBelongsToTheDayItCameIn(t *testing.T) {
	b := newBooks(t, worldOptions{})
	sub := b.subscribed()
	paid, err := b.ghl.Renew(sub.ID, ghlbox.NewPayment{At: time.Now().AddDate(0, 0, -5), Status: "pending"})
	require.NoError(t, err)
	require.NoError(t, b.ghl.SettlePayment(paid.ID, "succeeded"))
	old := b.renew(sub.ID, time.Now().AddDate(0, 0, -4))
	window := activities.BooksWindow{From: time.Now().AddDate(0, 0, -10), To: time.Now(), Began: time.Now().AddDate(0, 0, -1), Opened: time.Now()}
	_, err = b.read.ReadTransactions(t.Context(), activities.ReadBooksInput{Location: b.ghl.Location(), Window: window})
	require.NoError(t, err)
	entries, _, err := b.store.Entries(t.Context(), store.EntryFilter{Location: b.ghl.Location(), IDs: []string{paid.ID, old.ID}})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, paid.ID, entries[0].ID)
}

// TestASubscriptionThatIsNotFoundOnceIsReadByTheNextRun.
func TestASubscriptionThatIsNotFoundOnceIsReadByTheNextRun(t *testing.T) {
	b := newBooks(t, worldOptions{})
	sub := b.subscribed()
	b.faults.Next("ghl.subscriptions.get", faults.Fault{Kind: faults.Status, Status: 400, Body: `{"statusCode":400,"message":"Subscription not found"}`})
	b.reconcile(false)
	require.Empty(t, b.sage.Live("opportunities"))
	b.reconcile(false)
	b.opportunity(sub.ID)
}

// TestCopiesOfAnOrderStayThoughOursIsGone: two orders of one maker are no more ours than two rows are.
func TestCopiesOfAnOrderStayThoughOursIsGone(t *testing.T) {
	b := newBooks(t, worldOptions{})
	b.renew(b.subscribed().ID, time.Now().AddDate(0, 0, -9))
	b.reconcile(false)
	order := b.shirtOrder("EUR", b.customer())
	b.pay(order.ID, domain.Money{})
	b.mustPass(order.ID)
	ours := b.sage.OrdersByExtID("ghl:order:" + order.ID)[0]
	for range 2 {
		_, err := b.sage.PeopleCreate("salesorders", map[string]any{"extId": "ghl:order:" + order.ID, "reference": ours.Text("reference"), "branchId": ours.Int("branchId"),
			"salesRepId": ours.Int("salesRepId"), "statusId": ours.Int("statusId"), "accountId": ours.Int("accountId")})
		require.NoError(t, err)
	}
	require.NoError(t, b.sage.PeopleDelete("salesorders", ours.ID))
	require.NoError(t, b.ghl.EditOrder(order.ID, func(o *ghlbox.Order) { o.Status = "completed" }))
	_, err := b.pass(order.ID)
	require.Len(t, b.sage.OrdersByExtID("ghl:order:"+order.ID), 2)
	require.Equal(t, activities.Conflict, kindOf(err))
}

// TestAPageOfManyReadsComesToItsEnd although each read may fail: what was read before one that failed is not read again.
func TestAPageOfManyReadsComesToItsEnd(t *testing.T) {
	b := newBooks(t, worldOptions{})
	const members = 60
	for range members {
		sub := b.subscribed()
		b.renew(sub.ID, time.Now().AddDate(0, -1, 0))
		order := b.shirtOrder("USD", sub.ContactID)
		b.pay(order.ID, domain.Money{}) // in nobody's books, so that each is read by itself
	}
	reads := []string{"ghl.subscriptions.get", "ghl.transactions.get", "ghl.orders.get"}
	for _, op := range reads {
		b.faults.Chances(op, faults.Chance{Fault: faults.Fault{Kind: faults.Status, Status: 503}, Probability: 0.2})
	}
	b.reconcile(false)
	for _, op := range reads {
		require.GreaterOrEqual(t, b.ghl.CallCount(op), members, op)
		require.Less(t, b.ghl.CallCount(op), 2*members, op)
	}
}

// TestRecordsThatFailLeaveTheOthersAlone: of forty payments of whose writes three in ten fail, each attempt brings what can
// be brought, and the next has only what is left.
func TestRecordsThatFailLeaveTheOthersAlone(t *testing.T) {
	b := newBooks(t, worldOptions{})
	sub := b.subscribed()
	const payments = 40
	for i := range payments {
		b.renew(sub.ID, time.Now().AddDate(0, 0, -i-1))
	}
	b.faults.Chances("sage.sales.create",
		faults.Chance{Fault: faults.Fault{Kind: faults.Status, Status: 503}, Probability: 0.2},
		faults.Chance{Fault: faults.Fault{Kind: faults.CutAfter}, Probability: 0.1})
	require.Zero(t, differences(b.reconcile(false)))
	require.Len(t, b.rows(), payments)
	looks := b.sage.CallCount("sage.sales.") - b.sage.CallCount("sage.sales.create")
	require.Less(t, looks, 15, "an attempt looks for what is left, and reads it back: a few calls")
}
