package activities_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
)

// sweep goes through both lists of a window as the workflow does, and gives the orders that were asked to be looked at.
func (w *world) sweep(deep bool, now time.Time) []string {
	w.t.Helper()
	w.looks.orders, w.looks.invoices = nil, nil
	window, err := do[activities.SweepWindow](w, w.ledger.OpenWindow, activities.OpenWindowInput{Location: w.ghl.Location(), Deep: deep, Now: now})
	require.NoError(w.t, err)
	for _, kind := range []activities.SweepKind{activities.SweepTransactions, activities.SweepOrders} {
		in := activities.SweepInput{Location: w.ghl.Location(), Kind: kind, Window: window}
		for done := false; !done; {
			page, err := do[activities.SweepPage](w, w.read.Sweep, in)
			require.NoError(w.t, err)
			done, in.At = page.Done, page.Next
		}
	}
	_, err = do[any](w, w.ledger.CloseWindow, activities.CloseWindowInput{Location: w.ghl.Location(), Deep: deep, Window: window})
	require.NoError(w.t, err)
	return w.looks.orders
}

func TestASweepAsksOnlyForWhatChanged(t *testing.T) {
	w := newWorld(t, worldOptions{})
	now := time.Now().UTC()
	order := w.shirtOrder("EUR", w.customer())
	require.Contains(t, w.sweep(false, now), order.ID)
	require.Empty(t, w.sweep(false, now))
	paid := w.pay(order.ID, domain.NewMoney(1000, "EUR"))
	require.Contains(t, w.sweep(false, now), order.ID)
	w.pay(order.ID, domain.Money{})
	w.mustPass(order.ID)
	require.Empty(t, w.sweep(false, now), "a pass has seen it")
	require.NoError(t, w.ghl.Refund(paid.ID, domain.NewMoney(1, "EUR")))
	require.Equal(t, []string{order.ID}, w.sweep(false, now))
}

// deaf fails to hand out hints.
type deaf struct{ looks }

func (*deaf) LookAtOrder(context.Context, string, string, string) error {
	return errors.New("no Temporal")
}

func TestWhatWasNotHandedOutIsNotSeen(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.shirtOrder("EUR", w.customer())
	now := time.Now().UTC()
	window := activities.SweepWindow{From: now.Add(-time.Hour), To: now, Began: now.Add(-time.Hour)}
	in := activities.SweepInput{Location: w.ghl.Location(), Kind: activities.SweepOrders, Window: window}
	w.read.Look = &deaf{}
	_, err := do[activities.SweepPage](w, w.read.Sweep, in)
	require.Error(t, err)
	w.read.Look = w.looks
	page, err := do[activities.SweepPage](w, w.read.Sweep, in)
	require.NoError(t, err)
	require.Equal(t, []string{order.ID}, w.looks.orders)
	require.Equal(t, 1, page.Looks)
}

func TestWindowsLeaveNoGap(t *testing.T) {
	w := newWorld(t, worldOptions{})
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	open := func(deep bool, now time.Time) activities.SweepWindow {
		window, err := do[activities.SweepWindow](w, w.ledger.OpenWindow, activities.OpenWindowInput{Location: "loc", Deep: deep, Now: now})
		require.NoError(t, err)
		return window
	}
	end := func(deep bool, window activities.SweepWindow) {
		_, err := do[any](w, w.ledger.CloseWindow, activities.CloseWindowInput{Location: "loc", Deep: deep, Window: window})
		require.NoError(t, err)
	}
	first := open(false, start)
	require.Equal(t, activities.SweepWindow{From: start.Add(-2 * time.Hour), To: start, Began: start.Add(-time.Hour)}, first)
	again := open(false, start.Add(time.Hour))
	require.Equal(t, first.From, again.From, "a sweep that did not finish moves nothing")
	require.Equal(t, first.Began, again.Began)
	end(false, again)
	require.Equal(t, again.To.Add(-time.Hour), open(false, start.Add(5*time.Hour)).From)
	end(false, first)
	require.Equal(t, again.To.Add(-time.Hour), open(false, start.Add(5*time.Hour)).From, "the cursor never moves back")
	require.Equal(t, start.Add(6*time.Hour-24*time.Hour), open(true, start.Add(6*time.Hour)).From)
	require.Equal(t, again.To.Add(-time.Hour), open(true, start.Add(100*time.Hour)).From, "nor does a deep sweep after a long rest leave a gap")
	w.ledger.From = start.AddDate(-1, 0, 0)
	require.Equal(t, w.ledger.From, open(false, start).Began)
}

func TestSalesFromBeforeTheBooksStayOutUnlessTheyAreIn(t *testing.T) {
	w := newWorld(t, worldOptions{})
	now := time.Now().UTC()
	w.ledger.RefundWindow = 100 * 24 * time.Hour
	like := w.shirtOrder("EUR", w.customer())
	old := func() (string, ghlbox.Transaction) {
		order, err := w.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: like.ContactID, Currency: "EUR", CreatedAt: now.AddDate(0, 0, -30),
			Lines: []ghlbox.NewLine{{PriceID: like.Items[0].Price.ID, Qty: 1}}})
		require.NoError(t, err)
		paid, err := w.ghl.TakePayment(order.ID, ghlbox.NewPayment{At: now.AddDate(0, 0, -30)})
		require.NoError(t, err)
		return order.ID, paid
	}
	out, _ := old()
	in, paid := old()
	w.mustPass(in)
	require.NotContains(t, w.sweep(true, now), out)
	require.NoError(t, w.ghl.Refund(paid.ID, domain.NewMoney(500, "EUR")))
	require.NotContains(t, w.sweep(false, now), in, "it is too old for the sweep of the last hours")
	require.Contains(t, w.sweep(true, now), in)
}

func TestPaymentsOfInvoicesAskForTheInvoice(t *testing.T) {
	w := newWorld(t, worldOptions{ghl: ghlbox.Options{InvoicePayments: true}})
	order := w.invoiceOrder("INV-7", w.customer())
	w.sweep(false, time.Now().UTC())
	require.Equal(t, []string{order.Source.ID}, w.looks.invoices)
	w.looks.orders = nil
	ids, err := do[[]string](w, w.read.LookAtOrdersOfInvoice, activities.InvoiceInput{Location: w.ghl.Location(), InvoiceID: order.Source.ID})
	require.NoError(t, err)
	require.Equal(t, []string{order.ID}, ids)
	require.Equal(t, ids, w.looks.orders)
	require.Equal(t, activities.Created, w.mustPass(order.ID).Outcome)
	require.Equal(t, "INV-7", w.booked(order.ID).Text("reference"))
}

func TestAnUnreadableRowIsLookedAtAndHidesNoOther(t *testing.T) {
	w := newWorld(t, worldOptions{})
	good := w.shirtOrder("EUR", w.customer())
	now := time.Now().UTC().Format(time.RFC3339)
	bad, err := w.ghl.ImportOrder([]byte(`{"_id":"bad1","altId":"` + w.ghl.Location() + `","altType":"location","currency":"EUR",
		"amount":1,"liveMode":true,"status":"completed","createdAt":"` + now + `","updatedAt":"` + now + `"}`))
	require.NoError(t, err)
	w.breakRow(bad.ID)
	at := time.Now().UTC()
	page, err := do[activities.SweepPage](w, w.read.Sweep, activities.SweepInput{Location: w.ghl.Location(), Kind: activities.SweepOrders,
		Window: activities.SweepWindow{From: at.Add(-time.Hour), To: at, Began: at.Add(-time.Hour)}})
	require.NoError(t, err)
	require.Equal(t, [3]int{2, 2, 1}, [3]int{page.Rows, page.Looks, page.Unreadable})
	require.ElementsMatch(t, []string{good.ID, bad.ID}, w.looks.orders)
	w.sweep(false, time.Now().UTC())
	require.Empty(t, w.sweep(false, time.Now().UTC()))
}

func TestParkedOrdersAreTriedAgainWhenTheirTimeHasCome(t *testing.T) {
	w := newWorld(t, worldOptions{})
	park := func(process, id string, next time.Time) {
		require.NoError(t, w.store.Park(t.Context(), store.Parked{Location: w.ghl.Location(), Process: process, ObjectID: id,
			Kind: "Mapping", Reason: "words", ParkedAt: time.Now(), NextTry: next}))
	}
	park(store.PaymentToOrder, "due", time.Now().Add(-time.Second))
	park(store.PaymentToOrder, "later", time.Now().Add(time.Hour))
	park(store.PaymentToOrder, "never", time.Time{})
	park(store.Fulfillment, "sent", time.Now().Add(-time.Second))
	park("LaterVersion", "another process's", time.Now().Add(-time.Second))
	n, err := do[int](w, w.ledger.RetryParked, activities.LocationInput{Location: w.ghl.Location()})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, []string{"due"}, w.looks.orders)
	require.Equal(t, []string{"sent parked"}, w.looks.fulfillments)
}
