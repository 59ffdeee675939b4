package activities_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
)

const (
	createShipment = "ghl.fulfillments.create"
	listShipments  = "ghl.fulfillments.list"
)

func planOf(order ghlbox.Order, numbers ...string) domain.ShipmentPlan {
	var plan domain.ShipmentPlan
	for _, item := range order.Items {
		plan.Items = append(plan.Items, domain.ShippedItem{PriceID: item.Price.ID, Quantity: item.Qty})
	}
	for _, number := range numbers {
		plan.Trackings = append(plan.Trackings, domain.Tracking{Number: number})
	}
	return plan
}

func (w *world) posts(order ghlbox.Order, plan domain.ShipmentPlan) activities.PostShipmentInput {
	return activities.PostShipmentInput{Location: w.ghl.Location(), OrderID: order.ID, Plan: plan}
}

// noPostIsOpen wants nothing to be left of what was begun.
func (w *world) noPostIsOpen(order string) {
	w.t.Helper()
	_, open, err := w.store.ShipmentPost(w.t.Context(), w.ghl.Location(), order)
	require.NoError(w.t, err)
	require.False(w.t, open)
}

// TestAThousandLostAnswersMakeAThousandShipments cuts the line after every single POST, before it, or so that it lands
// only later, and lets the steps be tried again as Temporal would.
func TestAThousandLostAnswersMakeAThousandShipments(t *testing.T) {
	runs := 1000
	if testing.Short() { // the race detector makes each twenty times slower, and the others find no other races
		runs = 100
	}
	w := shipping(t, worldOptions{})
	for n := range 3 * runs {
		fault := faults.Fault{Kind: faults.CutAfter}
		switch n % 10 {
		case 3:
			fault = faults.Fault{Kind: faults.CutBefore}
		case 6:
			fault = faults.Fault{Kind: faults.LateCommit, Delay: 5 * time.Millisecond}
		}
		w.faults.Script(createShipment, n+1, fault)
	}
	w.following.Settle = 200 * time.Millisecond
	like := w.shirtOrder("EUR", w.customer())
	orders := make([]ghlbox.Order, runs)
	for i := range orders {
		var err error
		orders[i], err = w.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: like.ContactID, Currency: "EUR",
			Lines: []ghlbox.NewLine{{PriceID: like.Items[0].Price.ID, Qty: 1}}})
		require.NoError(t, err)
	}
	var crew errgroup.Group
	crew.SetLimit(24)
	for i, order := range orders {
		crew.Go(func() error {
			in := w.posts(order, planOf(order, fmt.Sprintf("TRACK%d", i)))
			if i%2 == 1 {
				in.Plan.Trackings = nil // known by what is in it only
			}
			return w.untilPosted(in)
		})
	}
	require.NoError(t, crew.Wait())
	w.faults.Wait()
	require.GreaterOrEqual(t, w.faults.Total(), runs, "no POST was answered")
	for _, order := range orders {
		require.Len(t, w.ghl.Fulfillments(order.ID), 1)
	}
	require.Len(t, w.ghl.AllFulfillments(), runs)
	require.Equal(t, runs, w.ghl.CustomerMails())
}

// untilPosted tries a step again until it comes through, after the wait that its error names.
func (w *world) untilPosted(in activities.PostShipmentInput) error {
	for deadline := time.Now().Add(time.Minute); ; {
		result, err := w.read.PostShipment(w.t.Context(), in)
		if err == nil && !result.Posted {
			return fmt.Errorf("order %s: the shipment is taken for somebody else's", in.OrderID)
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
		if kind := kindOf(err); kind != activities.OutcomeUnknown {
			return fmt.Errorf("%s: %w", kind, err)
		}
		select {
		case <-w.t.Context().Done():
			return w.t.Context().Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestALostAnswerIsLookedForAndNotRepeated(t *testing.T) {
	w := shipping(t, worldOptions{})
	w.following.Settle = time.Hour
	order := w.paidOrder()
	w.faults.Next(createShipment, faults.Fault{Kind: faults.CutBefore})
	in := w.posts(order, planOf(order, "1Z9"))
	_, err := do[activities.PostShipmentResult](w, w.read.PostShipment, in)
	require.Equal(t, activities.OutcomeUnknown, kindOf(err))
	for range 3 {
		_, err = do[activities.PostShipmentResult](w, w.read.PostShipment, in)
		require.Equal(t, activities.OutcomeUnknown, kindOf(err))
		require.Greater(t, faultIn(t, err).NextRetryDelay(), 59*time.Minute)
	}
	require.Equal(t, 1, w.ghl.CallCount(createShipment))
	w.following.Settle = time.Nanosecond
	result, err := do[activities.PostShipmentResult](w, w.read.PostShipment, in)
	require.NoError(t, err)
	require.True(t, result.Posted)
	require.Equal(t, 2, w.ghl.CallCount(createShipment))
	require.Len(t, w.ghl.AllFulfillments(), 1)
	w.noPostIsOpen(order.ID)
}

func TestNothingIsPostedThatStandsOrDoesNotRemain(t *testing.T) {
	part := func(o ghlbox.Order) []ghlbox.NewLine { return []ghlbox.NewLine{{PriceID: o.Items[0].Price.ID, Qty: 1}} }
	for name, c := range map[string]struct {
		before  ghlbox.NewFulfillment
		items   func(ghlbox.Order) []ghlbox.NewLine
		numbers []string
		found   bool
	}{
		"the same parcel, entered by a person":  {before: ghlbox.NewFulfillment{Trackings: parcelOf("1z-9")}, numbers: []string{"1Z9"}, found: true},
		"one of two parcels":                    {before: ghlbox.NewFulfillment{Trackings: parcelOf("B1")}, items: part, numbers: []string{"A1", "B1"}, found: true},
		"other parcels with all the goods":      {before: ghlbox.NewFulfillment{Trackings: parcelOf("X1")}, numbers: []string{"1Z9"}},
		"other parcels with some of the goods":  {before: ghlbox.NewFulfillment{Trackings: parcelOf("X1")}, items: part, numbers: []string{"1Z9"}},
		"the same goods before, without number": {before: ghlbox.NewFulfillment{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := shipping(t, worldOptions{})
			order := w.shirtOrder("EUR", w.customer())
			if c.items != nil {
				c.before.Items = c.items(order)
			}
			stands := w.fulfil(order.ID, c.before)
			result, err := do[activities.PostShipmentResult](w, w.read.PostShipment, w.posts(order, planOf(order, c.numbers...)))
			require.NoError(t, err)
			require.False(t, result.Posted)
			require.Equal(t, c.found, result.Shipment.ID == stands.ID)
			require.Zero(t, w.ghl.CallCount(createShipment))
			w.noPostIsOpen(order.ID)
		})
	}
}

// unlisted keeps HighLevel's lists of fulfilments empty.
func unlisted(body []byte) []byte {
	if bytes.HasPrefix(body, []byte(`{"data":[`)) && bytes.HasSuffix(bytes.TrimSpace(body), []byte(`"status":true}`)) {
		return []byte(`{"status":true,"data":[]}`)
	}
	return body
}

// TestAListThatIsLateMakesNoSecondShipment answers the POST at once and lists what it made later, or never.
func TestAListThatIsLateMakesNoSecondShipment(t *testing.T) {
	w := shipping(t, worldOptions{})
	w.following.Settle = 50 * time.Millisecond
	order := w.paidOrder()
	w.wire.rewrite = unlisted
	w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "shipped", "Z_TrackingNumbers": "1Z9"})
	_, err := w.follow(order.ID)
	require.Equal(t, activities.OutcomeUnknown, kindOf(err), "it waits until it is listed")
	require.Eventually(t, func() bool {
		_, err := w.follow(order.ID)
		return kindOf(err) == activities.Mismatch
	}, 10*time.Second, 10*time.Millisecond, "what HighLevel said it made is not sent again, whatever its list says")
	require.Equal(t, 1, w.ghl.CallCount(createShipment))
	w.wire.rewrite = nil
	require.Equal(t, domain.FulfillmentShipped, w.mustFollow(order.ID).State)
	require.Equal(t, 1, w.ghl.CustomerMails())
	w.noPostIsOpen(order.ID)
	w.restsNow(order.ID)
}

func TestWhatWasSentBeforeGoesFirst(t *testing.T) {
	w := shipping(t, worldOptions{})
	order := w.paidOrder()
	w.faults.Next(createShipment, faults.Fault{Kind: faults.CutAfter})
	_, err := do[activities.PostShipmentResult](w, w.read.PostShipment, w.posts(order, planOf(order, "OLD1")))
	require.Equal(t, activities.OutcomeUnknown, kindOf(err))
	result, err := patient[activities.PostShipmentResult](w, w.read.PostShipment, w.posts(order, planOf(order, "NEW1")))
	require.NoError(t, err)
	require.Equal(t, "OLD1", result.Shipment.Trackings[0].Number)
	result, err = do[activities.PostShipmentResult](w, w.read.PostShipment, w.posts(order, planOf(order, "NEW1")))
	require.NoError(t, err)
	require.Empty(t, result.Shipment.ID, "nothing is left to be sent")
	require.Equal(t, 1, w.ghl.CustomerMails())
}

func TestARefusedShipmentLeavesNothingBegun(t *testing.T) {
	for fault, kind := range map[faults.Fault]activities.Kind{
		{Kind: faults.Status, Status: 422}:                            activities.Invalid,
		{Kind: faults.Throttle, RetryAfter: faults.RetryAfterSeconds}: activities.Throttled,
	} {
		t.Run(string(kind), func(t *testing.T) {
			w := shipping(t, worldOptions{})
			order := w.paidOrder()
			w.faults.Next(createShipment, fault)
			in := w.posts(order, planOf(order, "1Z9"))
			_, err := do[activities.PostShipmentResult](w, w.read.PostShipment, in)
			require.Equal(t, kind, kindOf(err))
			w.noPostIsOpen(order.ID)
			_, err = do[activities.PostShipmentResult](w, w.read.PostShipment, in)
			require.NoError(t, err)
			require.Len(t, w.ghl.AllFulfillments(), 1)
		})
	}
}

func TestAnAttemptThatTemporalGaveUpIsKeptApart(t *testing.T) {
	w := shipping(t, worldOptions{})
	order := w.paidOrder()
	key := "fulfillment:" + order.ID
	taken, err := w.store.Claim(t.Context(), w.ghl.Location(), "an earlier attempt", time.Hour, key)
	require.NoError(t, err)
	require.True(t, taken)
	in := w.posts(order, planOf(order, "1Z9"))
	_, err = do[activities.PostShipmentResult](w, w.read.PostShipment, in)
	require.Equal(t, activities.Busy, kindOf(err))
	require.Zero(t, w.ghl.CallCount(listShipments), "what the other is about to send cannot be listed")
	require.NoError(t, w.store.Release(t.Context(), w.ghl.Location(), "an earlier attempt", key))
	_, err = do[activities.PostShipmentResult](w, w.read.PostShipment, in)
	require.NoError(t, err)
	taken, err = w.store.Claim(t.Context(), w.ghl.Location(), "another", time.Hour, key)
	require.NoError(t, err)
	require.True(t, taken, "the claim was given back")
}

func TestManyAttemptsAtOnceMakeOneShipment(t *testing.T) {
	w := shipping(t, worldOptions{})
	order := w.paidOrder()
	in := w.posts(order, planOf(order, "1Z9"))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { _, _ = w.read.PostShipment(t.Context(), in) })
	}
	all.Wait()
	require.Len(t, w.ghl.AllFulfillments(), 1)
	require.Equal(t, 1, w.ghl.CustomerMails())
}

func TestTheCustomerIsWrittenToByConfigurationOnly(t *testing.T) {
	w := shipping(t, worldOptions{})
	w.following.NotifyCustomer = false
	order := w.paidOrder()
	_, err := do[activities.PostShipmentResult](w, w.read.PostShipment, w.posts(order, planOf(order, "1Z9")))
	require.NoError(t, err)
	require.Len(t, w.ghl.AllFulfillments(), 1)
	require.Zero(t, w.ghl.CustomerMails())
}

func TestAnEndedLifecycleDropsWhatWasNeverPosted(t *testing.T) {
	w := shipping(t, worldOptions{})
	order := w.paidOrder()
	_, err := w.store.BeginShipmentPost(t.Context(), store.ShipmentPost{
		Location: w.ghl.Location(), OrderID: order.ID, Plan: planOf(order, "1Z9")})
	require.NoError(t, err)
	require.NoError(t, w.ghl.Cancel(order.ID))
	require.Equal(t, domain.FulfillmentCancelled, w.mustFollow(order.ID).State)
	w.noPostIsOpen(order.ID)
	require.Empty(t, w.ghl.AllFulfillments())
}
