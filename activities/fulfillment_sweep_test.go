package activities_test

import (
	"bytes"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
)

// sweepShipments is one sweep for shipments, as its workflow makes it, and gives the hints that came of it.
func (w *world) sweepShipments(now time.Time) []string {
	w.t.Helper()
	w.looks.fulfillments = nil
	location := w.ghl.Location()
	window, err := do[activities.FulfillmentWindow](w, w.ledger.OpenFulfillmentWindow,
		activities.OpenFulfillmentWindowInput{Location: location, Now: now})
	require.NoError(w.t, err)
	in := activities.SweepFulfillmentsInput{Location: location, Window: window}
	for done := window.Off; !done; {
		page, err := do[activities.SweepPage](w, w.read.SweepFulfillments, in)
		require.NoError(w.t, err)
		done, in.At = page.Done, page.Next
	}
	var seen activities.SageSweep
	if !window.Off {
		seen, err = do[activities.SageSweep](w, w.write.SweepSageOrders, activities.SweepSageOrdersInput{Location: location, Window: window})
		require.NoError(w.t, err)
	}
	_, err = do[activities.Reminders](w, w.ledger.RemindFulfillments, activities.RemindFulfillmentsInput{Location: location, Now: now})
	require.NoError(w.t, err)
	_, err = do[any](w, w.ledger.CloseFulfillmentWindow,
		activities.CloseFulfillmentWindowInput{Location: location, Window: window, Newest: seen.Newest})
	require.NoError(w.t, err)
	return w.looks.fulfillments
}

// loseLifecycles takes away all that was written down of shipments.
func (w *world) loseLifecycles() {
	w.t.Helper()
	w.inStore("DELETE FROM fulfillments", "DELETE FROM fulfillment_steps", "DELETE FROM shipment_posts",
		"DELETE FROM order_trackings", "DELETE FROM delivery_news")
}

// inStore does something to the database that no step does.
func (w *world) inStore(statements ...string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", w.storePath+"?_pragma=busy_timeout(5000)")
	require.NoError(w.t, err)
	defer db.Close()
	for _, statement := range statements {
		_, err := db.ExecContext(w.t.Context(), statement)
		require.NoError(w.t, err, statement)
	}
}

func TestTheSweepFindsShipmentsOfBothSides(t *testing.T) {
	w := shipping(t, worldOptions{})
	ghl, sage, still, unpaid := w.paidOrder(), w.paidOrder(), w.paidOrder(), w.shirtOrder("EUR", w.customer())
	now := time.Now().UTC()
	require.Empty(t, w.sweepShipments(now), "what was just brought asks for nothing")
	require.Empty(t, w.sweepShipments(now))
	w.fulfil(ghl.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
	w.fulfil(unpaid.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A2")})
	w.say(sage.ID, map[string]any{"Z_FulfillmentStatus": "shipped", "Z_TrackingNumbers": "B1"})
	w.say(still.ID, map[string]any{"comment": "hello"})
	require.Equal(t, []string{ghl.ID + " changed", sage.ID + " changed"}, w.sweepShipments(now))
	for _, order := range []string{ghl.ID, sage.ID} {
		w.mustFollow(order)
	}
	require.Empty(t, w.sweepShipments(now), "what a pass has written is not news")
	require.Empty(t, w.sweepShipments(now.Add(time.Hour)))
	w.say(sage.ID, map[string]any{"Z_FulfillmentStatus": "delivered"})
	require.Equal(t, []string{sage.ID + " changed"}, w.sweepShipments(now))
	w.mustFollow(sage.ID)
	require.Empty(t, w.sweepShipments(now))
	require.NoError(t, w.sage.PeopleDelete("salesorders", w.booked(still.ID).ID))
	require.Empty(t, w.sweepShipments(now), "what people deleted stays deleted until there is news of its sale")
}

func TestTheSweepFindsWhatIsLateOrFromBefore(t *testing.T) {
	w := shipping(t, worldOptions{})
	w.following.On = false
	before := w.paidOrder()
	require.Empty(t, w.sweepShipments(time.Now()))
	require.Zero(t, w.ghl.CallCount("ghl.orders.list"), "nothing is swept where nobody follows")
	w.following.On = true
	require.Empty(t, w.sweepShipments(time.Now()))
	w.fulfil(before.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
	require.Equal(t, []string{before.ID + " changed"}, w.sweepShipments(time.Now()))
	require.Equal(t, domain.FulfillmentShipped, w.mustFollow(before.ID).State)

	closed := w.paidOrder()
	w.delivered(closed.ID, "", time.Now())
	require.Equal(t, []string{closed.ID + " delivery"}, w.sweepShipments(time.Now()))
	w.mustFollow(closed.ID)
	require.Empty(t, w.sweepShipments(time.Now()))
	for _, number := range []string{"LATE1", "LATE2"} { // HighLevel's word stays the same with the second one
		w.fulfil(closed.ID, ghlbox.NewFulfillment{Trackings: parcelOf(number), Items: []ghlbox.NewLine{{PriceID: closed.Items[0].Price.ID, Qty: 1}}})
		require.Equal(t, []string{closed.ID + " changed"}, w.sweepShipments(time.Now()))
		w.mustFollow(closed.ID)
		require.Empty(t, w.sweepShipments(time.Now()))
	}
}

func TestEachLocationSweepsItsOwn(t *testing.T) {
	w := shipping(t, worldOptions{})
	mine := w.paidOrder()
	theirs := w.handMade("other shop", map[string]any{"extId": domain.OrderExtID("of-another-location"),
		"Z_FulfillmentStatus": "shipped", "Z_TrackingNumbers": "1Z9"}, 1)
	require.Empty(t, w.sweepShipments(time.Now()))
	w.say(mine.ID, map[string]any{"Z_FulfillmentStatus": "processing"})
	require.NoError(t, w.sage.PeopleUpdate("salesorders", theirs, map[string]any{"Z_FulfillmentStatus": "delivered"}))
	require.Equal(t, []string{mine.ID + " changed"}, w.sweepShipments(time.Now()))
	require.Empty(t, w.sweepShipments(time.Now()))
}

func TestTheSweepSeesWhatIsSetTwiceAndWhatIsSetRight(t *testing.T) {
	clock := time.Now().UTC()
	w := shipping(t, worldOptions{sage: sagebox.Options{Now: func() time.Time { return clock }}})
	order := w.paidOrder()
	w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
	w.mustFollow(order.ID)
	for range 2 { // with no sweep between the pass and the second time
		clock = clock.Add(time.Minute)
		w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "processing"})
		require.Equal(t, []string{order.ID + " changed"}, w.sweepShipments(time.Now()))
		w.mustFollow(order.ID)
	}
	clock = clock.Add(time.Minute)
	w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "on its way"})
	require.Equal(t, []string{order.ID + " changed"}, w.sweepShipments(time.Now()))
	require.NoError(t, w.store.Park(t.Context(), store.Parked{Location: w.ghl.Location(), Process: store.Fulfillment,
		ObjectID: order.ID, Kind: "Invalid", Reason: "words", ParkedAt: time.Now()}))
	require.Empty(t, w.sweepShipments(time.Now()), "it waits for people")
	clock = clock.Add(time.Minute)
	w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "shipped"}) // as it was agreed
	require.Equal(t, []string{order.ID + " changed"}, w.sweepShipments(time.Now()), "nothing else would take it off the parked ones")
}

// TestWhatSageDoesNotKeepIsNotWrittenWithEachSweep has a Sage that changes a text as it is stored, so that what is read back
// is never what was written.
func TestWhatSageDoesNotKeepIsNotWrittenWithEachSweep(t *testing.T) {
	w := shipping(t, worldOptions{})
	order := w.paidOrder()
	w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
	w.wire.rewrite = func(body []byte) []byte { return bytes.ReplaceAll(body, []byte("A1 (UPS)"), []byte("a1 ups")) }
	_, err := w.follow(order.ID)
	require.Equal(t, activities.Mismatch, kindOf(err))
	require.NoError(t, w.store.Park(t.Context(), store.Parked{Location: w.ghl.Location(), Process: store.Fulfillment,
		ObjectID: order.ID, Kind: string(activities.Mismatch), Reason: "words", ParkedAt: time.Now()}))
	w.sweepShipments(time.Now()) // has seen the order as HighLevel lists it
	_, err = w.follow(order.ID)
	require.Equal(t, activities.Mismatch, kindOf(err))
	require.Empty(t, w.sweepShipments(time.Now()), "its own time brings it back")
}

func TestAClockAtSageThatRanAheadHidesNothing(t *testing.T) {
	clock := time.Now().UTC()
	w := shipping(t, worldOptions{sage: sagebox.Options{Now: func() time.Time { return clock }}})
	order := w.paidOrder()
	clock = clock.AddDate(1, 0, 0)
	w.say(order.ID, map[string]any{"comment": "late"})
	w.sweepShipments(time.Now())
	clock = time.Now().UTC()
	w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "shipped"})
	require.Equal(t, []string{order.ID + " changed"}, w.sweepShipments(time.Now()))
}

func TestLifecyclesEndWithTheirWindow(t *testing.T) {
	w := shipping(t, worldOptions{})
	order, parked := w.paidOrder(), w.paidOrder()
	later := time.Now().Add(w.following.Window + time.Minute)
	require.NoError(t, w.store.Park(t.Context(), store.Parked{Location: w.ghl.Location(), Process: store.Fulfillment,
		ObjectID: parked.ID, Kind: "Conflict", Reason: "words", ParkedAt: time.Now()}))
	require.Equal(t, []string{order.ID + " expired"}, w.sweepShipments(later))
	w.following.Window = time.Nanosecond // for the pass, which goes by the clock
	result := w.mustFollow(order.ID)
	require.True(t, result.Closed)
	require.Equal(t, domain.FulfillmentCreated, result.State)
	require.Empty(t, w.sweepShipments(later))
	w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
	require.Equal(t, domain.FulfillmentShipped, w.mustFollow(order.ID).State, "a hint is still followed")
	require.True(t, w.record(order.ID).Closed)
}

func TestDeliveriesThatNobodyTookInAreRemindedOf(t *testing.T) {
	w := shipping(t, worldOptions{})
	order := w.paidOrder()
	w.delivered("", "A1", time.Now())
	w.delivered("unknown", "", time.Now())
	require.Empty(t, w.sweepShipments(time.Now()), "a parcel of no order, and an order that the books do not have")
	w.say(order.ID, map[string]any{"Z_TrackingNumbers": "A1"})
	require.Equal(t, []string{order.ID + " changed"}, w.sweepShipments(time.Now()))
	w.mustFollow(order.ID)
	open, _, err := w.store.OpenDeliveryNews(t.Context(), w.ghl.Location(), store.Page{})
	require.NoError(t, err)
	require.Len(t, open, 1)
	w.sweepShipments(time.Now().Add(200 * 24 * time.Hour))
	open, _, err = w.store.OpenDeliveryNews(t.Context(), w.ghl.Location(), store.Page{})
	require.NoError(t, err)
	require.Empty(t, open, "news of what never became known are forgotten")
}

func TestHundredsOfOrdersAreSweptInFewSteps(t *testing.T) {
	w := shipping(t, worldOptions{})
	like := w.shirtOrder("EUR", w.customer())
	for range 450 {
		_, err := w.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: like.ContactID, Currency: "EUR",
			Lines: []ghlbox.NewLine{{PriceID: like.Items[0].Price.ID, Qty: 1}}})
		require.NoError(t, err)
	}
	now := time.Now().UTC()
	page, err := do[activities.SweepPage](w, w.read.SweepFulfillments, activities.SweepFulfillmentsInput{
		Location: w.ghl.Location(), Window: activities.FulfillmentWindow{From: now.Add(-time.Hour), To: now}})
	require.NoError(t, err)
	require.True(t, page.Done)
	require.Equal(t, 451, page.Rows)
	require.LessOrEqual(t, w.ghl.CallCount("ghl.orders.list"), 6)
}
