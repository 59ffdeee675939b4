package activities_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
)

// books is a world with the reconciliation set up.
type books struct {
	*world
	// run makes one run of a step: do or persist.
	plan string
}

func newBooks(t testing.TB, o worldOptions) *books {
	t.Helper()
	w := newWorld(t, o)
	w.settings.Books = activities.BooksSettings{Probability: 5}
	product := w.ghl.AddProduct(ghlbox.Product{Name: "Coaching"})
	plan := w.ghl.AddPrice(ghlbox.Price{ProductID: product, Name: "Monthly", Amount: domain.NewMoney(4900, "EUR"), Interval: "month", IntervalCount: 1})
	return &books{w, plan}
}

// subscribed is a subscription with its first order paid.
func (b *books) subscribed() ghlbox.Subscription {
	b.t.Helper()
	sub, err := b.ghl.Subscribe(ghlbox.NewSubscription{ContactID: b.customer(), PriceID: b.plan, At: time.Now().AddDate(0, -2, -3)})
	require.NoError(b.t, err)
	return sub
}

func (b *books) renew(sub string, at time.Time) ghlbox.Transaction {
	b.t.Helper()
	t, err := b.ghl.Renew(sub, ghlbox.NewPayment{At: at})
	require.NoError(b.t, err)
	return t
}

// tally is what a run came to.
type runSum struct {
	window   activities.BooksWindow
	brought  map[domain.EntryKind]activities.BringBooksResult
	compared map[domain.EntryKind]activities.BooksComparison
}

// reconcile makes a run as the workflow does, each step seen through if need be.
func (b *books) reconcile(full bool) runSum {
	b.t.Helper()
	sum, err := b.tryReconcile(full, time.Now().AddDate(-1, 0, 0))
	require.NoError(b.t, err)
	return sum
}

func (b *books) tryReconcile(full bool, from time.Time) (runSum, error) {
	b.t.Helper()
	location, now := b.ghl.Location(), time.Now()
	sum := runSum{brought: map[domain.EntryKind]activities.BringBooksResult{}, compared: map[domain.EntryKind]activities.BooksComparison{}}
	window, err := b.ledger.OpenBooksWindow(b.t.Context(), activities.OpenBooksWindowInput{Location: location, Now: now, From: from})
	if err != nil {
		return sum, err
	}
	if window.Full = window.Full || full; window.Full {
		window.SageSince = time.Time{}
	}
	sum.window = window
	for _, read := range []func(context.Context, activities.ReadBooksInput) (activities.BooksPage, error){
		b.read.ReadTransactions, b.read.ReadOrderEntries, b.read.ReadSubscriptions,
	} {
		for at := (ghl.Cursor{}); ; {
			page, err := persist[activities.BooksPage](b.world, read, activities.ReadBooksInput{Location: location, Window: window, At: at})
			if err != nil {
				return sum, err
			}
			if at = page.Next; page.Done {
				break
			}
		}
	}
	newest, err := b.readSage(window)
	if err != nil {
		return sum, err
	}
	if err := b.bringAll(&sum); err != nil {
		return sum, err
	}
	for _, kind := range domain.EntryKinds() {
		sum.compared[kind], err = b.ledger.CompareBooks(b.t.Context(), activities.CompareBooksInput{Location: location, Kind: kind, Now: time.Now()})
		if err != nil {
			return sum, err
		}
		for _, proof := range sum.compared[kind].Proofs {
			require.True(b.t, proof.Holds(), "%+v", proof)
		}
	}
	return sum, b.ledger.CloseBooksWindow(b.t.Context(), activities.CloseBooksWindowInput{Location: location, Window: window, SageNewest: newest})
}

func (b *books) readSage(window activities.BooksWindow) (newest time.Time, err error) {
	for _, part := range activities.SageBooksParts(window.Full) {
		for at := (activities.SageBooksCursor{}); ; {
			page, err := persist[activities.SageBooksPage](b.world, b.write.ReadSageBooks,
				activities.ReadSageBooksInput{Location: b.ghl.Location(), Window: window, Part: part, At: at})
			if err != nil {
				return newest, err
			}
			if page.Newest.After(newest) {
				newest = page.Newest
			}
			if at = page.Next; page.Done {
				break
			}
		}
	}
	return newest, nil
}

func (b *books) bringAll(sum *runSum) error {
	for _, kind := range []domain.EntryKind{domain.SubscriptionEntry, domain.PaymentEntry, domain.RefundEntry} {
		bring := b.write.BringPayments
		if kind == domain.SubscriptionEntry {
			bring = b.write.BringSubscriptions
		}
		for after := ""; ; {
			page, err := b.ledger.ToBring(b.t.Context(), activities.ToBringInput{Location: b.ghl.Location(), Kind: kind, After: after, Limit: 100})
			if err != nil {
				return err
			}
			result, err := b.bringIDs(bring, page.IDs)
			if err != nil {
				return err
			}
			total := sum.brought[kind]
			total.Created += result.Created
			total.Updated += result.Updated
			total.Unchanged += result.Unchanged
			total.Removed += result.Removed
			total.Apart += result.Apart
			total.Parked += result.Parked
			total.Waiting += result.Waiting
			sum.brought[kind] = total
			if after = page.Next; after == "" {
				break
			}
		}
	}
	return nil
}

// bringIDs brings, and once more for those whose customer had to be brought first.
func (b *books) bringIDs(bring func(context.Context, activities.BringBooksInput) (activities.BringBooksResult, error), ids []string) (activities.BringBooksResult, error) {
	location := b.ghl.Location()
	result, err := persist[activities.BringBooksResult](b.world, bring, activities.BringBooksInput{Location: location, IDs: ids})
	if err != nil {
		return result, err
	}
	for _, who := range result.Unknown {
		customer, err := persist[activities.BringCustomerInput](b.world, b.read.ReadCustomer,
			activities.ReadCustomerInput{Location: location, ExtID: who.ExtID, ContactID: who.ContactID})
		if err != nil {
			return result, err
		}
		if _, err := persist[activities.CustomerRef](b.world, b.write.BringCustomer, customer); err != nil {
			return result, err
		}
		more, err := persist[activities.BringBooksResult](b.world, bring, activities.BringBooksInput{Location: location, IDs: who.IDs})
		if err != nil {
			return result, err
		}
		result.Created += more.Created
		result.Updated += more.Updated
		result.Unchanged += more.Unchanged
		result.Apart += more.Apart
		result.Parked += more.Parked
	}
	return result, nil
}

// rows are the live rows of sales by external id; two of one are a failure.
func (b *books) rows() map[string]sagebox.Record {
	b.t.Helper()
	rows := map[string]sagebox.Record{}
	for _, row := range b.sage.Live("sales") {
		extID := row.Text("extId")
		require.NotContains(b.t, rows, extID, "twice")
		rows[extID] = row
	}
	return rows
}

func (b *books) opportunity(sub string) sagebox.Record {
	b.t.Helper()
	var found []sagebox.Record
	for _, row := range b.sage.Live("opportunities") {
		if row.Text("extId") == "ghl:sub:"+sub {
			found = append(found, row)
		}
	}
	require.Len(b.t, found, 1)
	return found[0]
}

func differences(sum runSum) int64 {
	n := int64(0)
	for _, c := range sum.compared {
		n += c.Differences + c.InFlight
	}
	return n
}

func calls(b *books) int {
	n := 0
	for _, count := range b.sage.Calls() {
		n += count
	}
	return n
}

func TestPaymentsRefundsAndSubscriptionsAreEnteredOnceAndThenCostNothing(t *testing.T) {
	b := newBooks(t, worldOptions{})
	sub := b.subscribed()
	first := b.renew(sub.ID, time.Now().AddDate(0, -2, -3))
	second := b.renew(sub.ID, time.Now().AddDate(0, -1, -3))
	order := b.shirtOrder("EUR", b.customer())
	paid := b.pay(order.ID, domain.Money{})
	b.mustPass(order.ID)
	require.NoError(t, b.ghl.Refund(paid.ID, domain.NewMoney(500, "EUR")))
	b.mustPass(order.ID)

	sum := b.reconcile(false)
	rows := b.rows()
	require.Len(t, rows, 4)
	require.True(t, rows["ghl:txn:"+first.ID].Number("total").Equal("49"))
	require.Equal(t, first.CreatedAt.UTC().Format(time.DateOnly), rows["ghl:txn:"+first.ID].Time("date").Format(time.DateOnly))
	require.Contains(t, rows, "ghl:txn:"+second.ID)
	require.True(t, rows["ghl:refund:"+paid.ID+":500"].Number("total").Equal("-5"))
	require.NotZero(t, rows["ghl:txn:"+paid.ID].Int("accountId"))
	opp := b.opportunity(sub.ID)
	require.Equal(t, "Coaching", opp.Text("reference"))
	require.Equal(t, "active", opp.Text("Z_SubscriptionStatus"))
	require.Equal(t, "monthly", opp.Text("Z_SubscriptionInterval"))
	require.True(t, opp.Time("salesForecastDate").After(time.Now().Add(-24*time.Hour)))
	require.Zero(t, differences(sum), "%+v", sum.compared)

	// What was entered is read once more, as it changed; after that nothing is left to be asked.
	require.Zero(t, differences(b.reconcile(false)))
	b.sage.ResetWrites()
	before := calls(b)
	after := b.reconcile(false)
	require.Empty(t, b.sage.Writes())
	require.Zero(t, differences(after))
	require.Empty(t, after.brought[domain.PaymentEntry].Unchanged)
	require.LessOrEqual(t, calls(b)-before, 9+1, "three lists of three parts, and the schema of opportunities")

	// A second refund adds a row and leaves the first alone.
	require.NoError(t, b.ghl.Refund(paid.ID, domain.NewMoney(300, "EUR")))
	b.mustPass(order.ID)
	sum = b.reconcile(false)
	rows = b.rows()
	require.Len(t, rows, 5)
	require.True(t, rows["ghl:refund:"+paid.ID+":500"].Number("total").Equal("-5"))
	require.True(t, rows["ghl:refund:"+paid.ID+":800"].Number("total").Equal("-3"))
	require.Zero(t, differences(sum), "%+v", sum.compared)
	b.sharedOut(order)
}

// sharedOut wants both sides to have the same of each product: what was paid of an order by its lines, what was paid of a
// subscription at its product.
func (b *books) sharedOut(order ghlbox.Order) {
	b.t.Helper()
	sums, err := b.store.Sums(b.t.Context(), store.SumFilter{Location: b.ghl.Location(), ByProduct: true, Kind: domain.PaymentEntry})
	require.NoError(b.t, err)
	bySide := map[domain.Side]map[string]int64{domain.HighLevelSide: {}, domain.SageSide: {}}
	names := map[string]string{}
	for _, u := range sums {
		bySide[u.Side][u.ProductID] += u.Amount.Minor
		names[u.ProductID] = u.ProductName
	}
	require.Equal(b.t, bySide[domain.HighLevelSide], bySide[domain.SageSide])
	require.Equal(b.t, "Coaching", names[""], "HighLevel names the plan and no product")
	require.NotZero(b.t, bySide[domain.SageSide][""])
	for _, item := range order.Items {
		require.NotZero(b.t, bySide[domain.SageSide][item.Price.ProductID])
		require.NotEmpty(b.t, names[item.Price.ProductID])
	}
	for month, sides := range b.refunds() {
		require.Equal(b.t, sides[domain.HighLevelSide], sides[domain.SageSide], "refunds of %s", month)
	}
}

// refunds are what each side has of refunds, by month.
func (b *books) refunds() map[string]map[domain.Side]int64 {
	b.t.Helper()
	sums, err := b.store.Sums(b.t.Context(), store.SumFilter{Location: b.ghl.Location(), Kind: domain.RefundEntry})
	require.NoError(b.t, err)
	months := map[string]map[domain.Side]int64{}
	for _, u := range sums {
		month := u.Month.Format("2006-01")
		if months[month] == nil {
			months[month] = map[domain.Side]int64{}
		}
		months[month][u.Side] += u.Amount.Minor
	}
	return months
}

// TestPartsOfARefundAreOfTheirMonths: parts that were seen before any of them was brought become a row each, of the day on
// which each was given back.
func TestPartsOfARefundAreOfTheirMonths(t *testing.T) {
	b := newBooks(t, worldOptions{})
	paid := b.renew(b.subscribed().ID, time.Now().AddDate(0, -4, 0))
	b.reconcile(false)
	entries, _, err := b.store.Entries(t.Context(), store.EntryFilter{Location: b.ghl.Location(), Kind: domain.PaymentEntry, Side: domain.HighLevelSide, IDs: []string{paid.ID}})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	first := time.Now().AddDate(0, -3, 0)
	for i, upTo := range []int64{500, 800, 1000} {
		seen := first.AddDate(0, i, 0)
		e := store.LedgerEntry{Location: b.ghl.Location(), Entry: entries[0].Entry, SeenAt: seen}
		e.Kind, e.Status, e.At, e.UpdatedAt, e.Amount.Minor = domain.RefundEntry, domain.RefundDone, first, seen.Add(-time.Minute), upTo
		require.NoError(t, b.store.PutEntries(t.Context(), []store.LedgerEntry{e}))
	}
	_, err = b.bringIDs(b.write.BringPayments, []string{paid.ID})
	require.NoError(t, err)
	rows := b.rows()
	for i, want := range []struct{ extID, total string }{{":500", "-5"}, {":800", "-3"}, {":1000", "-2"}} {
		row, there := rows["ghl:refund:"+paid.ID+want.extID]
		require.True(t, there, want.extID)
		require.True(t, row.Number("total").Equal(domain.Number(want.total)))
		day := first.AddDate(0, i, 0)
		if i > 0 {
			day = day.Add(-time.Minute)
		}
		require.Equal(t, day.UTC().Format(time.DateOnly), row.Time("date").Format(time.DateOnly))
	}
	months := b.refunds()
	require.GreaterOrEqual(t, len(months), 2)
	for month, sides := range months {
		require.Equal(t, sides[domain.HighLevelSide], sides[domain.SageSide], "refunds of %s", month)
	}
}

func TestWhatPeopleDoToRowsIsSetRightOrReported(t *testing.T) {
	b := newBooks(t, worldOptions{})
	sub := b.subscribed()
	kept := b.renew(sub.ID, time.Now().AddDate(0, -2, 0))
	edited := b.renew(sub.ID, time.Now().AddDate(0, -1, 0))
	deleted := b.renew(sub.ID, time.Now().AddDate(0, 0, -9))
	renamed := b.renew(sub.ID, time.Now().AddDate(0, 0, -5))
	b.reconcile(false)
	rows := b.rows()
	id := func(t ghlbox.Transaction) int64 { return rows["ghl:txn:"+t.ID].ID }
	require.NoError(t, b.sage.PeopleUpdate("sales", id(edited), map[string]any{"total": 10}))
	require.NoError(t, b.sage.PeopleDelete("sales", id(deleted)))
	require.NoError(t, b.sage.PeopleUpdate("sales", id(renamed), map[string]any{"extId": "mine"}))
	_, err := b.sage.PeopleCreate("sales", map[string]any{"accountId": rows["ghl:txn:"+kept.ID].Int("accountId"), "accountExtId": "A", "salesRepExtId": "R",
		"extId": "ghl:txn:" + kept.ID, "date": "2026-01-05 00:00:00", "total": 49})
	require.NoError(t, err)
	require.NoError(t, b.sage.PeopleUpdate("opportunities", b.opportunity(sub.ID).ID, map[string]any{"total": 1, "reference": "Ada's plan"}))

	// Only a full reading finds that an external id was taken away.
	sum := b.reconcile(true)
	require.Equal(t, map[domain.Finding]int64{domain.Duplicate: 1}, sum.compared[domain.PaymentEntry].Findings)
	require.Equal(t, []string{kept.ID}, sum.compared[domain.PaymentEntry].Examples)
	var live int
	for _, row := range b.sage.Live("sales") {
		require.True(t, strings.HasPrefix(row.Text("extId"), "ghl:txn:"))
		require.True(t, row.Number("total").Equal("49"))
		live++
	}
	require.Equal(t, 5, live, "four payments, and the copy that people made")
	opp := b.opportunity(sub.ID)
	require.True(t, opp.Number("total").Equal("49"))
	require.Equal(t, "Ada's plan", opp.Text("reference"), "a name is people's")
	require.Zero(t, sum.compared[domain.SubscriptionEntry].Differences)

	b.sage.ResetWrites()
	sum = b.reconcile(true)
	require.Empty(t, b.sage.Writes(), "people's copy is reported, not fought over")
	require.EqualValues(t, 1, sum.compared[domain.PaymentEntry].Differences)
}

func TestASecondRowOfOursIsRemoved(t *testing.T) {
	b := newBooks(t, worldOptions{})
	sub := b.subscribed()
	paid := b.renew(sub.ID, time.Now().AddDate(0, 0, -9))
	b.reconcile(false)
	row := b.rows()["ghl:txn:"+paid.ID]
	client, _, err := b.write.Client(t.Context(), "")
	require.NoError(t, err)
	account, extID, other, day, total := row.Int("accountId"), "ghl:txn:"+paid.ID, "x", sage.At(row.Time("date")), domain.Number("49")
	_, err = client.Sales.Create(t.Context(), sage.SaleFields{ExtID: &extID, AccountID: &account, AccountExtID: &other, SalesRepExtID: &other, Date: &day, Total: &total})
	require.NoError(t, err)
	sum := b.reconcile(false)
	require.Equal(t, row.ID, b.rows()[extID].ID)
	require.Equal(t, 1, sum.brought[domain.PaymentEntry].Removed)
	require.Zero(t, differences(b.reconcile(false)))
}

func TestMoneyThatDoesNotFitIsKeptApart(t *testing.T) {
	for _, instead := range []activities.Instead{activities.InsteadSkip, activities.InsteadActivity} {
		t.Run(string(instead), func(t *testing.T) {
			b := newBooks(t, worldOptions{sage: sagebox.Options{RefuseNegativeTotals: true}})
			b.settings.Books.Refunds, b.settings.Books.Foreign = instead, instead
			euro, dollar := b.shirtOrder("EUR", b.customer()), b.shirtOrder("USD", b.customer())
			paid := b.pay(euro.ID, domain.Money{})
			b.pay(dollar.ID, domain.Money{})
			require.NoError(t, b.ghl.Refund(paid.ID, domain.NewMoney(500, "EUR")))
			b.mustPass(euro.ID)
			b.mustPass(dollar.ID)
			for range 2 {
				require.Zero(t, differences(b.reconcile(true)))
				require.Len(t, b.rows(), 1)
				want := 0
				if instead == activities.InsteadActivity {
					want = 2
				}
				require.Len(t, b.sage.Live("activities"), want)
			}
			var apart int64
			for _, proof := range b.reconcile(false).compared[domain.PaymentEntry].Proofs {
				apart += proof.ApartCount
			}
			require.EqualValues(t, 1, apart)
		})
	}
}

func TestARefusedRefundIsParkedAndGoesOnWhenItMay(t *testing.T) {
	b := newBooks(t, worldOptions{sage: sagebox.Options{RefuseNegativeTotals: true}})
	sub := b.subscribed()
	paid := b.renew(sub.ID, time.Now().AddDate(0, 0, -9))
	require.NoError(t, b.ghl.Refund(paid.ID, domain.NewMoney(500, "EUR")))
	sum := b.reconcile(false)
	require.Len(t, b.rows(), 1)
	require.EqualValues(t, 1, sum.compared[domain.RefundEntry].Findings[domain.Missing])
	parked, found, err := b.store.ParkedItem(t.Context(), b.ghl.Location(), activities.BooksProcess, paid.ID)
	require.NoError(t, err)
	require.True(t, found)
	require.Contains(t, parked.Reason, "SALES_REFUNDS")
	b.settings.Books.Refunds = activities.InsteadSkip
	require.Zero(t, differences(b.reconcile(false)))
	_, found, err = b.store.ParkedItem(t.Context(), b.ghl.Location(), activities.BooksProcess, paid.ID)
	require.NoError(t, err)
	require.False(t, found)
}

func TestSubscriptionsFollowTheirStates(t *testing.T) {
	b := newBooks(t, worldOptions{})
	sub := b.subscribed()
	b.reconcile(false)
	for _, c := range []struct{ word, state, stage string }{
		{"past_due", "past_due", "won"}, {"trialing", "trialing", "open"}, {"in_dispute", "unknown", "open"}, {"active", "active", "won"},
	} {
		require.NoError(t, b.ghl.SetSubscriptionStatus(sub.ID, c.word))
		require.Zero(t, differences(b.reconcile(false)), c.word)
		opp := b.opportunity(sub.ID)
		require.Equal(t, c.state, opp.Text("Z_SubscriptionStatus"))
		require.Equal(t, c.state == "unknown", strings.Contains(opp.Text("comments"), "SubscriptionWord=in_dispute"))
	}
	require.NoError(t, b.ghl.CancelSubscription(sub.ID))
	require.Zero(t, differences(b.reconcile(false)))
	require.False(t, b.opportunity(sub.ID).Time("lostDate").IsZero())
	require.NoError(t, b.ghl.EditSubscription(sub.ID, func(s *ghlbox.Subscription) {
		s.Status, s.GatewayStatus, s.CanceledAt = "active", "active", time.Time{}
	}))
	require.Zero(t, differences(b.reconcile(false)))
	require.True(t, b.opportunity(sub.ID).Time("lostDate").IsZero())
	require.NoError(t, b.sage.PeopleUpdate("opportunities", b.opportunity(sub.ID).ID, map[string]any{"readOnly": true, "total": 7}))
	sum := b.reconcile(false)
	require.EqualValues(t, 1, sum.compared[domain.SubscriptionEntry].Findings[domain.AmountDiffers])
	require.Equal(t, 1, sum.brought[domain.SubscriptionEntry].Parked)
}

func TestRenewalsGetOrdersOfTheirOwn(t *testing.T) {
	b := newBooks(t, worldOptions{})
	b.settings.Books.RenewalOrders = true
	sub := b.subscribed()
	paid := b.renew(sub.ID, time.Now().AddDate(0, 0, -9))
	for range 2 {
		sum := b.reconcile(true)
		orders := b.sage.OrdersByExtID("ghl:order:renewal:" + paid.ID)
		require.Len(t, orders, 1)
		require.True(t, orders[0].Number("total").Equal("49"))
		require.True(t, orders[0].Won)
		require.Equal(t, b.opportunity(sub.ID).ID, orders[0].Int("opportunityId"))
		require.Zero(t, differences(sum), "%+v", sum.compared)
	}
}

func TestAPaymentWhoseOrderNeverReachedSageIsLookedAt(t *testing.T) {
	b := newBooks(t, worldOptions{})
	order := b.shirtOrder("EUR", b.customer())
	b.pay(order.ID, domain.Money{})
	sum := b.reconcile(false)
	require.Equal(t, []string{order.ID}, b.looks.orders)
	require.EqualValues(t, 1, sum.compared[domain.OrderEntry].Findings[domain.Missing])
	b.mustPass(order.ID)
	require.Zero(t, differences(b.reconcile(false)))
	require.Len(t, b.looks.orders, 1)
	require.NoError(t, b.sage.PeopleUpdate("salesorders", b.sage.OrdersByExtID("ghl:order:" + order.ID)[0].ID, map[string]any{"total": 3}))
	sum = b.reconcile(false)
	require.Len(t, b.looks.orders, 2)
	require.EqualValues(t, 1, sum.compared[domain.OrderEntry].Findings[domain.AmountDiffers])
}

func TestAnOldOrderThatIsPaidNowIsInTheBooks(t *testing.T) {
	b := newBooks(t, worldOptions{})
	old, err := b.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: b.customer(), Currency: "EUR", CreatedAt: time.Now().AddDate(-2, 0, 0),
		Lines: []ghlbox.NewLine{{PriceID: b.plan, Qty: 1}}})
	require.NoError(t, err)
	b.pay(old.ID, domain.Money{})
	b.mustPass(old.ID)
	require.Zero(t, differences(b.reconcile(false)))

	require.NoError(t, b.ghl.EditOrder(old.ID, func(o *ghlbox.Order) { o.Status = "refunded" }))
	require.NoError(t, b.sage.PeopleUpdate("salesorders", b.sage.OrdersByExtID("ghl:order:" + old.ID)[0].ID, map[string]any{"total": 3}))
	require.EqualValues(t, 1, differences(b.reconcile(false)))
	require.Contains(t, b.looks.orders, old.ID)
}

func TestTestModeStaysOutOfTheRows(t *testing.T) {
	b := newBooks(t, worldOptions{})
	order := b.shirtOrder("EUR", b.customer())
	require.NoError(t, b.ghl.EditOrder(order.ID, func(o *ghlbox.Order) { o.LiveMode = false }))
	b.pay(order.ID, domain.Money{})
	require.Zero(t, differences(b.reconcile(false)))
	require.Empty(t, b.rows())
	require.Empty(t, b.looks.orders)
}

func TestOrdersOfOldInvoicesAreFoundWithoutAProcessThatWaits(t *testing.T) {
	b := newBooks(t, worldOptions{ghl: ghlbox.Options{InvoicePayments: true}})
	invoice := func(number string, at time.Time) ghlbox.Order {
		order, err := b.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: b.customer(), Currency: "EUR", InvoiceNumber: number, CreatedAt: at,
			Lines: []ghlbox.NewLine{{PriceID: b.plan, Qty: 1}}})
		require.NoError(t, err)
		_, err = b.ghl.TakePayment(order.ID, ghlbox.NewPayment{At: at})
		require.NoError(t, err)
		return order
	}
	old, fresh := invoice("INV-1", time.Now().AddDate(0, -1, 0)), invoice("INV-2", time.Now().Add(-time.Minute))
	b.reconcile(false)
	require.Equal(t, []string{old.ID}, b.looks.orders)
	require.Equal(t, []string{fresh.Source.ID}, b.looks.invoices)
	b.reconcile(false)
	require.Len(t, b.looks.orders, 1, "asked once")
}

func TestMarksThatNoListShowsKeepMoneyOut(t *testing.T) {
	b := newBooks(t, worldOptions{})
	order := b.shirtOrder("EUR", b.customer())
	require.NoError(t, b.ghl.EditOrder(order.ID, func(o *ghlbox.Order) { o.MarkAsTest = true }))
	b.pay(order.ID, domain.Money{})
	known := b.shirtOrder("EUR", order.ContactID)
	b.pay(known.ID, domain.Money{})
	b.mustPass(known.ID)
	sub, err := b.ghl.Subscribe(ghlbox.NewSubscription{ContactID: b.customer(), PriceID: b.plan, At: time.Now().AddDate(0, -2, -3)})
	require.NoError(t, err)
	require.NoError(t, b.ghl.EditSubscription(sub.ID, func(s *ghlbox.Subscription) { s.MarkAsTest = true }))
	renewal := b.renew(sub.ID, time.Now().AddDate(0, -1, -3))
	require.True(t, renewal.MarkAsTest)
	accounts := len(b.sage.Live("accounts"))

	require.Zero(t, differences(b.reconcile(false)))
	require.Len(t, b.rows(), 1)
	require.Len(t, b.sage.Live("accounts"), accounts)
	require.Equal(t, []string{order.ID}, b.looks.orders)
	for range 2 {
		before := calls(b)
		require.Zero(t, differences(b.reconcile(false)))
		require.Less(t, calls(b)-before, 20)
	}
	require.Len(t, b.rows(), 1)
	require.Len(t, b.looks.orders, 1, "a test is not looked at again")

	require.NoError(t, b.ghl.EditOrder(order.ID, func(o *ghlbox.Order) { o.MarkAsTest = false }))
	b.reconcile(false)
	require.Len(t, b.looks.orders, 2)
	b.mustPass(order.ID)
	require.Zero(t, differences(b.reconcile(false)))
	require.Len(t, b.rows(), 2)
}

func TestALedgerThatWasLostIsFilledWithoutAWrite(t *testing.T) {
	b := newBooks(t, worldOptions{})
	sub := b.subscribed()
	paid := b.renew(sub.ID, time.Now().AddDate(0, 0, -9))
	require.NoError(t, b.ghl.Refund(paid.ID, domain.NewMoney(500, "EUR")))
	b.reconcile(false)
	require.NoError(t, b.ghl.Refund(paid.ID, domain.NewMoney(700, "EUR")))
	b.reconcile(false)
	lost, err := store.Open(t.Context(), "sqlite:"+t.TempDir()+"/new.db")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lost.Close()) })
	b.store = lost
	b.connect()
	b.sage.ResetWrites()
	require.Zero(t, differences(b.reconcile(false)))
	require.Empty(t, b.sage.Writes())
	require.Len(t, b.rows(), 3)
}

func TestAThousandLostAnswersMakeNoSecondRow(t *testing.T) {
	b := newBooks(t, worldOptions{})
	var transactions []string
	for i := range 12 {
		sub, err := b.ghl.Subscribe(ghlbox.NewSubscription{PriceID: b.plan, At: time.Now().AddDate(0, -4, 0),
			ContactID: b.ghl.AddContact(ghlbox.Contact{FirstName: "C", LastName: fmt.Sprint(i), Email: fmt.Sprintf("c%d@example.com", i)})})
		require.NoError(t, err)
		for m := range 4 {
			paid := b.renew(sub.ID, time.Now().AddDate(0, m-4, 0))
			transactions = append(transactions, paid.ID)
			if m == 2 {
				require.NoError(t, b.ghl.Refund(paid.ID, domain.NewMoney(900, "EUR")))
			}
		}
	}
	kinds := []faults.Fault{{Kind: faults.CutBefore}, {Kind: faults.CutAfter}, {Kind: faults.LateCommit, Delay: 5 * time.Millisecond},
		{Kind: faults.Status, Status: 500}, {Kind: faults.Throttle}}
	chance := rand.New(rand.NewPCG(7, 7))
	for range 150 {
		op := []string{"sage.sales.create", "sage.opportunities.create", "sage.sales.find", "sage.opportunities.find", "sage.accounts.create"}[chance.IntN(5)]
		b.faults.Script(op, 1+chance.IntN(60), kinds[chance.IntN(len(kinds))])
	}
	_, err := b.tryReconcile(false, time.Now().AddDate(-1, 0, 0))
	require.NoError(t, err)
	b.faults.Wait()
	require.Greater(t, b.faults.Total(), 20)
	b.faults.Clear()
	b.reconcile(false)
	sum := b.reconcile(false)
	require.Zero(t, differences(sum), "%+v", sum.compared)
	rows := b.rows()
	require.Len(t, rows, len(transactions)+12)
	require.Len(t, b.sage.Live("opportunities"), 12)
}

var recordCall = regexp.MustCompile(`/(sales|opportunities|accounts|contacts)(/[0-9]+)?$`)

// TestDeathAtAnyCallMakesNoSecondRow lets the process die after each single call of a first run, and another go on.
func TestDeathAtAnyCallMakesNoSecondRow(t *testing.T) {
	for n := 1; ; n++ {
		b := newBooks(t, worldOptions{})
		sub := b.subscribed()
		paid := b.renew(sub.ID, time.Now().AddDate(0, 0, -9))
		require.NoError(t, b.ghl.Refund(paid.ID, domain.NewMoney(900, "EUR")))
		count, died := 0, false
		b.wire.after = func(r *http.Request) {
			// Value lists and schemas are read for all steps at once, outside any of them.
			if !recordCall.MatchString(r.URL.Path) {
				return
			}
			if count++; count == n {
				died = true
				b.connect() // the next process begins with nothing in memory
				panic("the process dies")
			}
		}
		_, err := b.tryReconcile(false, time.Now().AddDate(-1, 0, 0))
		require.NoError(t, err)
		b.reconcile(false)
		require.Zero(t, differences(b.reconcile(false)), "call %d", n)
		require.Len(t, b.rows(), 2)
		b.opportunity(sub.ID)
		if !died {
			return
		}
	}
}
