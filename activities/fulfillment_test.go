package activities_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
)

// shipping is a world in which lifecycles are followed.
func shipping(t testing.TB, o worldOptions) *world {
	t.Helper()
	w := newWorld(t, o)
	w.following = activities.FulfillmentSettings{
		On: true, Rules: domain.FulfillmentRules{DeliverDigital: true}, NotifyCustomer: true, Settle: 20 * time.Millisecond,
		CancelledStatuses: []string{"cancelled", "canceled"}, Verify: activities.VerifyPartial, VerifyEvery: 24 * time.Hour,
		Window: 90 * 24 * time.Hour,
	}
	return w
}

// follow is one pass over a lifecycle, as its workflow makes it. It gives up at the first fault, so that tests see it.
func (w *world) follow(order string) (activities.BringFulfillmentResult, error) {
	w.t.Helper()
	return w.followWith(order, do[activities.FulfillmentReading], do[activities.BringFulfillmentResult], do[activities.PostShipmentResult])
}

// followOn is a pass that Temporal sees through.
func (w *world) followOn(order string) (activities.BringFulfillmentResult, error) {
	w.t.Helper()
	return w.followWith(order,
		patient[activities.FulfillmentReading], patient[activities.BringFulfillmentResult], patient[activities.PostShipmentResult])
}

// patient goes on like persist, for as long as a shipment may be on its way.
func patient[T any](w *world, fn, in any) (T, error) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		out, err := persist[T](w, fn, in)
		if err == nil || faultIn(w.t, err).NonRetryable() || time.Now().After(deadline) {
			return out, err
		}
	}
}

func (w *world) followWith(order string,
	read func(*world, any, any) (activities.FulfillmentReading, error),
	bring func(*world, any, any) (activities.BringFulfillmentResult, error),
	post func(*world, any, any) (activities.PostShipmentResult, error),
) (activities.BringFulfillmentResult, error) {
	w.t.Helper()
	location := w.ghl.Location()
	for round := 0; ; round++ {
		require.Less(w.t, round, 4, "a pass comes to its end")
		reading, err := read(w, w.read.ReadFulfillment, activities.FulfillmentInput{Location: location, OrderID: order})
		if err != nil || reading.KeptOut != "" {
			return activities.BringFulfillmentResult{Outcome: reading.KeptOut}, err
		}
		result, err := bring(w, w.write.BringFulfillment,
			activities.BringFulfillmentInput{Location: location, OrderID: order, Reading: reading})
		if err != nil || result.Ship == nil {
			return result, err
		}
		if _, err := post(w, w.read.PostShipment,
			activities.PostShipmentInput{Location: location, OrderID: order, Plan: *result.Ship}); err != nil {
			return result, err
		}
	}
}

func (w *world) mustFollow(order string) activities.BringFulfillmentResult {
	w.t.Helper()
	result, err := w.follow(order)
	require.NoError(w.t, err)
	return result
}

// fulfil ships goods in HighLevel as a person does.
func (w *world) fulfil(order string, in ghlbox.NewFulfillment) ghlbox.Fulfillment {
	w.t.Helper()
	made, err := w.ghl.Fulfil(order, in)
	require.NoError(w.t, err)
	return made
}

func parcelOf(number string) []ghlbox.Tracking {
	return []ghlbox.Tracking{{Number: number, Carrier: "UPS"}}
}

// say changes fields of the Sage order as a person does.
func (w *world) say(order string, fields map[string]any) {
	w.t.Helper()
	require.NoError(w.t, w.sage.PeopleUpdate("salesorders", w.booked(order).ID, fields))
}

// shown is what the Sage order says of the shipments.
func (w *world) shown(order string) (state, trackings string) {
	w.t.Helper()
	o := w.booked(order)
	return o.Text("Z_FulfillmentStatus"), o.Text("Z_TrackingNumbers")
}

// restsNow wants a further pass to write nothing at either side.
func (w *world) restsNow(order string) {
	w.t.Helper()
	w.sage.ResetWrites()
	posts := w.ghl.CallCount("ghl.fulfillments.create")
	result, err := w.followOn(order)
	require.NoError(w.t, err)
	require.Equal(w.t, activities.Unchanged, result.Outcome)
	require.Empty(w.t, w.sage.Writes())
	require.Equal(w.t, posts, w.ghl.CallCount("ghl.fulfillments.create"))
}

// record is the lifecycle in the store.
func (w *world) record(order string) store.FulfillmentRecord {
	w.t.Helper()
	row, found, err := w.store.Fulfillment(w.t.Context(), w.ghl.Location(), order)
	require.NoError(w.t, err)
	require.True(w.t, found)
	return row
}

func (w *world) delivered(order, tracking string, at time.Time) {
	w.t.Helper()
	require.NoError(w.t, w.store.PutDeliveryNews(w.t.Context(), store.DeliveryNews{
		Location: w.ghl.Location(), OrderID: order, Tracking: tracking, State: domain.FulfillmentDelivered, At: at, Source: "test",
	}))
}

func TestALifecycleCostsTheBooksNothing(t *testing.T) {
	calls := map[bool]map[string]int{}
	for _, on := range []bool{false, true} {
		w := shipping(t, worldOptions{ghl: ghlbox.Options{ProductTypeInOrders: true}})
		w.following.On = on
		order := w.shirtOrder("EUR", w.customer())
		w.pay(order.ID, domain.Money{})
		w.mustPass(order.ID)
		require.Equal(t, activities.Unchanged, w.mustPass(order.ID).Outcome)
		calls[on] = w.sage.Calls()
		for op, n := range w.ghl.Calls() {
			calls[on][op] += n
		}
		if !on {
			require.Empty(t, w.looks.fulfillments)
			continue
		}
		require.Equal(t, []string{order.ID + " opened"}, w.looks.fulfillments)
		state, _ := w.shown(order.ID)
		require.Equal(t, "created", state)
		require.Equal(t, "created", w.record(order.ID).Agreed.State)
		w.restsNow(order.ID)
	}
	require.Equal(t, calls[false], calls[true])
}

func TestAKindIsAskedForOncePerProduct(t *testing.T) {
	w := shipping(t, worldOptions{})
	first := w.paidOrder()
	require.Equal(t, 2, w.ghl.CallCount("ghl.products.get"))
	second, err := w.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: first.ContactID, Currency: "EUR",
		Lines: []ghlbox.NewLine{{PriceID: first.Items[0].Price.ID, Qty: 1}}})
	require.NoError(t, err)
	w.pay(second.ID, domain.Money{})
	w.mustPass(second.ID)
	w.mustFollow(second.ID)
	require.Equal(t, 2, w.ghl.CallCount("ghl.products.get"))
}

func TestShipmentsOfHighLevelShowInSage(t *testing.T) {
	shirts := func(o ghlbox.Order, n int64) []ghlbox.NewLine {
		return []ghlbox.NewLine{{PriceID: o.Items[0].Price.ID, Qty: n}}
	}
	for name, c := range map[string]struct {
		rules domain.FulfillmentRules
		ship  func(w *world, o ghlbox.Order)
		state string
		steps int
	}{
		"with a tracking": {ship: func(w *world, o ghlbox.Order) {
			w.fulfil(o.ID, ghlbox.NewFulfillment{Trackings: parcelOf("1Z 999")})
		}, state: "shipped", steps: 1},
		"without one": {ship: func(w *world, o ghlbox.Order) { w.fulfil(o.ID, ghlbox.NewFulfillment{}) }, state: "processing", steps: 1},
		"without one, which counts as shipped": {rules: domain.FulfillmentRules{WithoutTracking: domain.FulfillmentShipped},
			ship: func(w *world, o ghlbox.Order) { w.fulfil(o.ID, ghlbox.NewFulfillment{}) }, state: "shipped", steps: 1},
		"in part": {ship: func(w *world, o ghlbox.Order) {
			w.fulfil(o.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1"), Items: shirts(o, 1)})
		}, state: "processing", steps: 1},
		"in two parts": {ship: func(w *world, o ghlbox.Order) {
			w.fulfil(o.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1"), Items: shirts(o, 1)})
			w.mustFollow(o.ID)
			w.fulfil(o.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A2")})
		}, state: "shipped", steps: 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := shipping(t, worldOptions{})
			w.following.Rules = c.rules
			order := w.paidOrder()
			c.ship(w, order)
			result := w.mustFollow(order.ID)
			require.Equal(t, activities.Updated, result.Outcome)
			require.Equal(t, c.state, string(result.State))
			require.Len(t, result.Steps, c.steps, "also those of an earlier pass, until they are told")
			o := w.booked(order.ID)
			require.Equal(t, c.state, o.Text("Z_FulfillmentStatus"))
			for _, f := range w.ghl.Fulfillments(order.ID) {
				require.Contains(t, o.Text("Z_FulfillmentIds"), f.ID)
				for _, tracking := range f.Trackings {
					keys := domain.ParseTrackings(o.Text("Z_TrackingNumbers"))
					require.Contains(t, keysIn(keys), domain.Tracking{Number: tracking.Number}.Key())
				}
			}
			require.Equal(t, c.state == "shipped", !o.Time("Z_ShippedDate").IsZero())
			require.Equal(t, name == "in part", w.record(order.ID).Partial)
			w.restsNow(order.ID)
			w.nothingMore(order.ID)
		})
	}
}

func keysIn(trackings []domain.Tracking) []string {
	var keys []string
	for _, t := range trackings {
		keys = append(keys, t.Key())
	}
	return keys
}

func TestPeopleShipInSage(t *testing.T) {
	for name, c := range map[string]struct {
		rules     domain.FulfillmentRules
		before    func(w *world, o ghlbox.Order)
		fields    map[string]any
		state     string
		shipments int
		qty       int64 // pieces in the last shipment
	}{
		"all of it":                    {fields: map[string]any{"Z_FulfillmentStatus": "Shipped", "Z_TrackingNumbers": "1Z9 (UPS)"}, state: "shipped", shipments: 1, qty: 3},
		"two parcels":                  {fields: map[string]any{"Z_FulfillmentStatus": "shipped", "Z_TrackingNumbers": "1Z9, 1Z8"}, state: "shipped", shipments: 1, qty: 3},
		"delivered at once":            {fields: map[string]any{"Z_FulfillmentStatus": "delivered", "Z_TrackingNumbers": "1Z9"}, state: "delivered", shipments: 1, qty: 3},
		"without a number":             {fields: map[string]any{"Z_FulfillmentStatus": "shipped"}, state: "shipped"},
		"without a number, configured": {rules: domain.FulfillmentRules{PostWithoutTracking: true}, fields: map[string]any{"Z_FulfillmentStatus": "shipped"}, state: "shipped", shipments: 1, qty: 3},
		"a number and no state":        {fields: map[string]any{"Z_TrackingNumbers": "1Z9"}, state: "created"},
		"what is left": {before: func(w *world, o ghlbox.Order) {
			w.fulfil(o.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1"), Items: []ghlbox.NewLine{{PriceID: o.Items[0].Price.ID, Qty: 2}}})
			w.mustFollow(o.ID)
		}, fields: map[string]any{"Z_FulfillmentStatus": "shipped", "Z_TrackingNumbers": "A1, 1Z9"}, state: "shipped", shipments: 2, qty: 1},
		"what is shipped already": {before: func(w *world, o ghlbox.Order) {
			w.fulfil(o.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
			w.mustFollow(o.ID)
		}, fields: map[string]any{"Z_TrackingNumbers": "A1, 1Z9"}, state: "shipped", shipments: 1, qty: 3},
		"both at once": {before: func(w *world, o ghlbox.Order) { w.fulfil(o.ID, ghlbox.NewFulfillment{Trackings: parcelOf("1z9")}) },
			fields: map[string]any{"Z_FulfillmentStatus": "shipped", "Z_TrackingNumbers": "1Z9"}, state: "shipped", shipments: 1, qty: 3},
		"cancelled": {fields: map[string]any{"Z_FulfillmentStatus": "canceled"}, state: "cancelled"},
		"backwards": {before: func(w *world, o ghlbox.Order) {
			w.fulfil(o.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
			w.mustFollow(o.ID)
		}, fields: map[string]any{"Z_FulfillmentStatus": "created"}, state: "shipped", shipments: 1, qty: 3},
		"emptied": {before: func(w *world, o ghlbox.Order) {
			w.fulfil(o.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
			w.mustFollow(o.ID)
		}, fields: map[string]any{"Z_FulfillmentStatus": "", "Z_TrackingNumbers": "", "Z_FulfillmentIds": ""}, state: "shipped", shipments: 1, qty: 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := shipping(t, worldOptions{})
			w.following.Rules = c.rules
			order := w.paidOrder()
			if c.before != nil {
				c.before(w, order)
			}
			mails := w.ghl.CustomerMails()
			w.say(order.ID, c.fields)
			result := w.mustFollow(order.ID)
			require.Equal(t, c.state, string(result.State))
			state, trackings := w.shown(order.ID)
			require.Equal(t, c.state, state)
			made := w.ghl.Fulfillments(order.ID)
			require.Len(t, made, c.shipments)
			posted := 0
			for i, f := range made {
				if f.ByAPI {
					posted++
				}
				if i == len(made)-1 {
					sum := int64(0)
					for _, item := range f.Items {
						sum += item.Qty
					}
					require.Equal(t, c.qty, sum)
				}
			}
			require.Equal(t, mails+posted, w.ghl.CustomerMails())
			if given, said := c.fields["Z_TrackingNumbers"].(string); said {
				for _, one := range domain.ParseTrackings(given) {
					require.Contains(t, keysIn(domain.ParseTrackings(trackings)), one.Key(), "what people gave is kept")
				}
			}
			w.restsNow(order.ID)
			w.restsNow(order.ID)
			w.nothingMore(order.ID)
		})
	}
}

func TestPeopleCorrectANumberBeforeItIsSent(t *testing.T) {
	w := shipping(t, worldOptions{})
	order := w.paidOrder()
	w.say(order.ID, map[string]any{"Z_TrackingNumbers": "1Z8 (UPS)"})
	w.mustFollow(order.ID)
	w.say(order.ID, map[string]any{"Z_TrackingNumbers": "1Z9 (DHL)"})
	w.mustFollow(order.ID)
	_, trackings := w.shown(order.ID)
	require.Equal(t, "1Z9 (DHL)", trackings)
	w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "shipped"})
	w.mustFollow(order.ID)
	sent := w.ghl.AllFulfillments()
	require.Len(t, sent, 1)
	require.Equal(t, []ghlbox.Tracking{{Number: "1Z9", Carrier: "DHL"}}, sent[0].Trackings, "the customer reads no number that was mistyped")
	w.say(order.ID, map[string]any{"Z_TrackingNumbers": "1Z7"})
	w.mustFollow(order.ID)
	_, trackings = w.shown(order.ID)
	require.Equal(t, "1Z9 (DHL), 1Z7", trackings, "what the customer was told stays")
	w.restsNow(order.ID)
}

func TestWhatAFieldHasNoRoomForIsNotTakenOut(t *testing.T) {
	w := shipping(t, worldOptions{})
	w.wire.rewrite = func(body []byte) []byte { // of the schema: what an order says of it is a text
		const field = `"Z_TrackingNumbers":{"description":"","maxLength":`
		return bytes.ReplaceAll(body, []byte(field+"4000"), []byte(field+"250"))
	}
	order := w.paidOrder()
	var numbers []string
	for i := range 60 {
		numbers = append(numbers, fmt.Sprintf("PARCEL-%04d", i))
		if i%5 == 0 { // as many as the field takes at a time
			_, trackings := w.shown(order.ID)
			w.say(order.ID, map[string]any{"Z_TrackingNumbers": trackings + "\n" + strings.Join(numbers[max(0, i-4):], ",")})
			w.mustFollow(order.ID)
		}
	}
	_, trackings := w.shown(order.ID)
	require.True(t, strings.HasPrefix(trackings, "…"))
	require.True(t, strings.HasSuffix(trackings, "PARCEL-0055"), "the newest stand at the end")
	require.Len(t, w.record(order.ID).Lifecycle.Loose, 56)
	w.restsNow(order.ID)
}

func TestAWordThatNobodyKnowsIsLeftAlone(t *testing.T) {
	w := shipping(t, worldOptions{})
	order := w.paidOrder()
	w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "on the way"})
	w.sage.ResetWrites()
	_, err := w.follow(order.ID)
	require.Equal(t, activities.Invalid, kindOf(err))
	require.True(t, faultIn(t, err).NonRetryable())
	require.ErrorContains(t, err, "created, processing, shipped, delivered, cancelled")
	require.NotContains(t, err.Error(), "on the way")
	require.Empty(t, w.sage.Writes())
	w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "processing"})
	require.Equal(t, domain.FulfillmentProcessing, w.mustFollow(order.ID).State)
}

func TestDeliveriesComeFromAnywhere(t *testing.T) {
	at := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	t.Run("of the order", func(t *testing.T) {
		w := shipping(t, worldOptions{})
		order := w.paidOrder()
		w.delivered(order.ID, "", at)
		result := w.mustFollow(order.ID)
		require.Equal(t, domain.FulfillmentDelivered, result.State)
		require.True(t, result.Closed)
		require.Equal(t, []string{"delivered"}, result.Steps)
		require.Equal(t, at, w.booked(order.ID).Time("Z_DeliveredDate"))
		open, _, err := w.store.OpenDeliveryNews(t.Context(), w.ghl.Location(), store.Page{})
		require.NoError(t, err)
		require.Empty(t, open)
		w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf("LATE1")})
		require.Equal(t, domain.FulfillmentDelivered, w.mustFollow(order.ID).State)
		state, trackings := w.shown(order.ID)
		require.Equal(t, "delivered", state)
		require.Contains(t, trackings, "LATE1")
		w.restsNow(order.ID)
	})
	t.Run("of parcels, before they are known", func(t *testing.T) {
		w := shipping(t, worldOptions{})
		order := w.paidOrder()
		w.delivered("", "A1", at)
		require.Equal(t, domain.FulfillmentCreated, w.mustFollow(order.ID).State)
		shirt := []ghlbox.NewLine{{PriceID: order.Items[0].Price.ID, Qty: 2}}
		w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf("a-1"), Items: shirt})
		require.Equal(t, domain.FulfillmentProcessing, w.mustFollow(order.ID).State)
		w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A2")})
		require.Equal(t, domain.FulfillmentShipped, w.mustFollow(order.ID).State)
		w.delivered("", "A2", at)
		require.Equal(t, domain.FulfillmentDelivered, w.mustFollow(order.ID).State)
	})
}

func TestRefundsAndCancellationsCloseALifecycle(t *testing.T) {
	for name, c := range map[string]struct {
		close  func(w *world, order string)
		reason string
	}{
		"refunded": {func(w *world, order string) {
			for _, paid := range w.ghl.Transactions() {
				if paid.EntityID == order {
					require.NoError(w.t, w.ghl.Refund(paid.ID, paid.Amount))
				}
			}
		}, "refunded in full"},
		"cancelled": {func(w *world, order string) { require.NoError(w.t, w.ghl.Cancel(order)) }, "cancelled in HighLevel"},
	} {
		t.Run(name, func(t *testing.T) {
			w := shipping(t, worldOptions{})
			open, gone := w.paidOrder(), w.paidOrder()
			w.delivered(gone.ID, "", time.Now())
			w.mustFollow(gone.ID)
			w.looks.fulfillments = nil
			for _, order := range []string{open.ID, gone.ID} {
				c.close(w, order)
				w.mustPass(order)
			}
			require.Equal(t, []string{open.ID + " changed"}, w.looks.fulfillments)
			result := w.mustFollow(open.ID)
			require.Equal(t, domain.FulfillmentCancelled, result.State)
			require.Equal(t, c.reason, result.Reason)
			require.True(t, result.Closed)
			require.Equal(t, domain.FulfillmentDelivered, w.mustFollow(gone.ID).State)
			w.say(open.ID, map[string]any{"Z_FulfillmentStatus": "shipped", "Z_TrackingNumbers": "1Z9"})
			w.mustFollow(open.ID)
			state, trackings := w.shown(open.ID)
			require.Equal(t, "cancelled", state)
			require.Contains(t, trackings, "1Z9")
			require.Empty(t, w.ghl.AllFulfillments())
			w.restsNow(open.ID)
		})
	}
}

func TestDigitalOrdersAreDeliveredOnPayment(t *testing.T) {
	digital := func(w *world, lines ...string) ghlbox.Order {
		var in []ghlbox.NewLine
		for _, kind := range lines {
			product := w.ghl.AddProduct(ghlbox.Product{Name: kind, Type: kind})
			in = append(in, ghlbox.NewLine{Qty: 1,
				PriceID: w.ghl.AddPrice(ghlbox.Price{ProductID: product, Name: kind, Amount: domain.NewMoney(1000, "EUR")})})
		}
		order, err := w.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: w.customer(), Currency: "EUR", Lines: in})
		require.NoError(w.t, err)
		return order
	}
	t.Run("at once", func(t *testing.T) {
		w := shipping(t, worldOptions{})
		order := digital(w, "DIGITAL", "SERVICE")
		w.pay(order.ID, domain.Money{})
		w.mustPass(order.ID)
		state, _ := w.shown(order.ID)
		require.Equal(t, "delivered", state)
		require.Empty(t, w.looks.fulfillments, "there is nothing to follow")
		require.True(t, w.record(order.ID).Closed)
		w.restsNow(order.ID)
	})
	t.Run("when all of it is paid", func(t *testing.T) {
		w := shipping(t, worldOptions{})
		order := digital(w, "DIGITAL", "DIGITAL")
		w.pay(order.ID, domain.NewMoney(1000, "EUR"))
		w.mustPass(order.ID)
		state, _ := w.shown(order.ID)
		require.Equal(t, "created", state)
		w.pay(order.ID, domain.Money{})
		w.mustPass(order.ID)
		require.Equal(t, []string{order.ID + " opened", order.ID + " changed"}, w.looks.fulfillments)
		require.Equal(t, "nothing to ship", w.mustFollow(order.ID).Reason)
		state, _ = w.shown(order.ID)
		require.Equal(t, "delivered", state)
	})
	for name, c := range map[string]struct{ line, state string }{
		"whatever stands beside them as a bare text": {`{"name":"Gift wrap","qty":1,"price":{"amount":0}}`, "delivered"},
		"not beside goods without a price":           {`{"name":"Poster","qty":1,"price":{"_id":"p9"},"product":{"_id":"q9","productType":"PHYSICAL"}}`, "created"},
	} {
		t.Run(name, func(t *testing.T) {
			w := shipping(t, worldOptions{})
			w.wire.rewrite = func(body []byte) []byte {
				return bytes.ReplaceAll(body, []byte(`"items":[{`), []byte(`"items":[`+c.line+`,{`))
			}
			order := digital(w, "DIGITAL")
			w.pay(order.ID, domain.Money{})
			w.mustPass(order.ID)
			state, _ := w.shown(order.ID)
			require.Equal(t, c.state, state)
			w.restsNow(order.ID)
		})
	}
	t.Run("not what is mixed, of which the physical part is shipped", func(t *testing.T) {
		w := shipping(t, worldOptions{})
		order := digital(w, "DIGITAL", "PHYSICAL", "PHYSICAL/DIGITAL")
		w.pay(order.ID, domain.Money{})
		w.mustPass(order.ID)
		w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "shipped", "Z_TrackingNumbers": "1Z9"})
		require.Equal(t, domain.FulfillmentShipped, w.mustFollow(order.ID).State)
		require.Len(t, w.ghl.Fulfillments(order.ID), 1)
		require.Len(t, w.ghl.Fulfillments(order.ID)[0].Items, 2)
		w.restsNow(order.ID)
	})
	t.Run("not where they are to be shipped", func(t *testing.T) {
		w := shipping(t, worldOptions{})
		w.following.Rules.DeliverDigital = false
		order := digital(w, "DIGITAL")
		w.pay(order.ID, domain.Money{})
		w.mustPass(order.ID)
		state, _ := w.shown(order.ID)
		require.Equal(t, "created", state)
		require.Zero(t, w.ghl.CallCount("ghl.products."))
	})
	t.Run("not where the token may not see products", func(t *testing.T) {
		w := shipping(t, worldOptions{ghl: ghlbox.Options{EnforceScopes: true, TokenScopes: []string{
			"payments/orders.readonly", "payments/transactions.readonly", "contacts.readonly"}}})
		order := digital(w, "DIGITAL")
		w.pay(order.ID, domain.Money{})
		w.mustPass(order.ID)
		state, _ := w.shown(order.ID)
		require.Equal(t, "created", state)
	})
}

func TestWithoutFieldsTheLineSaysAllOfIt(t *testing.T) {
	w := shipping(t, worldOptions{sage: sagebox.Options{ExtraFields: []sagebox.ExtraField{}}})
	order := w.shirtOrder("EUR", w.customer())
	w.pay(order.ID, domain.NewMoney(1000, "EUR"))
	w.mustPass(order.ID)
	comment := func() string { return w.booked(order.ID).Text("internalComment") }
	w.say(order.ID, map[string]any{"internalComment": strings.Replace(comment(), "]", "; Later=of another version]", 1)})
	require.Contains(t, comment(), "PaymentStatus=partially_paid")
	require.Contains(t, comment(), "FulfillmentStatus=created")
	w.restsNow(order.ID)
	w.nothingMore(order.ID)
	w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
	w.mustFollow(order.ID)
	require.Contains(t, comment(), "PaymentStatus=partially_paid")
	require.Contains(t, comment(), "FulfillmentStatus=shipped")
	w.pay(order.ID, domain.Money{})
	w.mustPass(order.ID)
	require.Contains(t, comment(), "PaymentStatus=paid;")
	require.Contains(t, comment(), "FulfillmentStatus=shipped;")
	require.Contains(t, comment(), "TrackingNumbers=A1 (UPS)")
	w.say(order.ID, map[string]any{"internalComment": "Ring twice.\r\n" + strings.Replace(comment(), "FulfillmentStatus=shipped", "FulfillmentStatus=Delivered", 1) + "\r\nDog!"})
	require.Equal(t, domain.FulfillmentDelivered, w.mustFollow(order.ID).State)
	require.Contains(t, comment(), "Ring twice.\r\n[tallystick PaymentStatus=paid; ")
	require.Contains(t, comment(), "; Later=of another version]\r\nDog!")
	w.restsNow(order.ID)
	w.nothingMore(order.ID)
}

func TestAListIsReadAndNotWritten(t *testing.T) {
	fields := append(sagebox.DefaultExtraFields(), sagebox.ExtraField{Resource: "salesorders", Name: "Z_FulfillmentStatus", Type: "list",
		Choices: []string{"Created", "Shipped", "Delivered"}})
	w := shipping(t, worldOptions{sage: sagebox.Options{ExtraFields: fields}})
	order := w.paidOrder()
	require.Contains(t, w.booked(order.ID).Text("internalComment"), "[tallystick FulfillmentStatus=created]")
	w.say(order.ID, map[string]any{"Z_FulfillmentStatus": 2, "Z_TrackingNumbers": "1Z9"})
	require.Equal(t, domain.FulfillmentShipped, w.mustFollow(order.ID).State)
	require.Len(t, w.ghl.AllFulfillments(), 1)
	require.Contains(t, w.booked(order.ID).Text("internalComment"), "[tallystick FulfillmentStatus=shipped]")
	w.restsNow(order.ID)
}

func TestOrdersThatPeopleMadeKeepWhatTheySaid(t *testing.T) {
	w := shipping(t, worldOptions{})
	order := w.shirtOrder("EUR", w.customer())
	w.pay(order.ID, domain.Money{})
	w.handMade(order.ID, map[string]any{"Z_FulfillmentStatus": "shipped", "Z_TrackingNumbers": "1Z9"}, 1)
	require.Equal(t, activities.Adopted, w.mustPass(order.ID).Outcome)
	require.Equal(t, []string{order.ID + " changed"}, w.looks.fulfillments)
	require.Equal(t, domain.FulfillmentShipped, w.mustFollow(order.ID).State)
	require.Len(t, w.ghl.AllFulfillments(), 1)
	require.Contains(t, w.booked(order.ID).Text("internalComment"), "Lines=theirs")
	w.restsNow(order.ID)
	w.nothingMore(order.ID)
}

func TestASaleThatWasSentBeforeItWasSeenIsLookedAt(t *testing.T) {
	w := shipping(t, worldOptions{})
	order := w.shirtOrder("EUR", w.customer())
	w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
	w.pay(order.ID, domain.Money{})
	w.mustPass(order.ID)
	require.Equal(t, []string{order.ID + " changed"}, w.looks.fulfillments)
	require.Equal(t, domain.FulfillmentShipped, w.mustFollow(order.ID).State)
	w.looks.fulfillments = nil
	w.nothingMore(order.ID)
	require.Empty(t, w.looks.fulfillments)
}

func TestOldSalesGetNoLifecycle(t *testing.T) {
	w := shipping(t, worldOptions{})
	w.following.Window = 24 * time.Hour
	like := w.shirtOrder("EUR", w.customer())
	at := time.Now().AddDate(0, 0, -3)
	order, err := w.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: like.ContactID, Currency: "EUR", CreatedAt: at,
		Lines: []ghlbox.NewLine{{PriceID: like.Items[0].Price.ID, Qty: 1}}})
	require.NoError(t, err)
	_, err = w.ghl.TakePayment(order.ID, ghlbox.NewPayment{At: at})
	require.NoError(t, err)
	w.mustPass(order.ID)
	state, _ := w.shown(order.ID)
	require.Empty(t, state)
	require.Empty(t, w.looks.fulfillments)
}

func TestAnOrderThatIsGoneIsMadeAnewWithItsLifecycle(t *testing.T) {
	w := shipping(t, worldOptions{})
	order := w.paidOrder()
	w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
	w.mustFollow(order.ID)
	require.NoError(t, w.sage.PeopleDelete("salesorders", w.booked(order.ID).ID))
	w.looks.orders, w.looks.fulfillments = nil, nil
	require.Equal(t, activities.NotDue, w.mustFollow(order.ID).Outcome)
	require.Equal(t, []string{order.ID}, w.looks.orders, "its payments' process makes it anew")
	require.Equal(t, activities.Created, w.mustPass(order.ID).Outcome)
	state, trackings := w.shown(order.ID)
	require.Equal(t, "shipped", state)
	require.Contains(t, trackings, "A1")
	require.Equal(t, []string{order.ID + " changed"}, w.looks.fulfillments)
	w.restsNow(order.ID)
	require.Equal(t, w.booked(order.ID).ID, w.record(order.ID).SageID)
}

func TestALockedOrderIsLeftAloneByShipments(t *testing.T) {
	for _, lock := range []string{"readOnly", "blocked"} {
		t.Run(lock, func(t *testing.T) {
			w := shipping(t, worldOptions{})
			order := w.paidOrder()
			w.say(order.ID, map[string]any{lock: true})
			w.restsNow(order.ID)
			w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf("A1")})
			_, err := w.follow(order.ID)
			require.Equal(t, activities.Conflict, kindOf(err))
			require.Empty(t, w.sage.Writes())
			w.say(order.ID, map[string]any{lock: false})
			require.Equal(t, domain.FulfillmentShipped, w.mustFollow(order.ID).State)
		})
	}
}

func TestALostStoreCostsNoShipment(t *testing.T) {
	w := shipping(t, worldOptions{})
	order := w.paidOrder()
	w.say(order.ID, map[string]any{"Z_FulfillmentStatus": "delivered", "Z_TrackingNumbers": "1Z9"})
	w.mustFollow(order.ID)
	before := w.sage.Snapshot()
	w.loseLedger()
	w.loseLifecycles()
	w.nothingMore(order.ID)
	require.Equal(t, domain.FulfillmentDelivered, w.mustFollow(order.ID).State)
	require.Len(t, w.ghl.AllFulfillments(), 1)
	require.Equal(t, before, w.sage.Snapshot())
}

func TestPartsAreVerifiedSinceTheWordStays(t *testing.T) {
	w := shipping(t, worldOptions{ghl: ghlbox.Options{FulfillmentKeepsUpdatedAt: true}})
	order := w.paidOrder()
	for _, number := range []string{"A1", "A2"} {
		w.fulfil(order.ID, ghlbox.NewFulfillment{Trackings: parcelOf(number), Items: []ghlbox.NewLine{{PriceID: order.Items[0].Price.ID, Qty: 1}}})
		if number == "A1" {
			w.mustFollow(order.ID)
		}
	}
	require.Empty(t, w.sweepShipments(time.Now()), "no list tells of the second parcel")
	require.Equal(t, []string{order.ID + " verify"}, w.sweepShipments(time.Now().Add(25*time.Hour)))
	w.mustFollow(order.ID)
	_, trackings := w.shown(order.ID)
	require.Contains(t, trackings, "A2")
}
