package store_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// lifecycle is an order of which one parcel is on its way.
func lifecycle(orderID string) store.FulfillmentRecord {
	return store.FulfillmentRecord{
		Location: here, OrderID: orderID, SageID: 501, SourceWord: "partially_fulfilled", Partial: true,
		Lifecycle: domain.Fulfillment{
			State: domain.FulfillmentProcessing,
			Shipments: []domain.Shipment{{
				ID: "f1", State: domain.FulfillmentShipped, Items: []domain.ShippedItem{{PriceID: "p1", Name: "Mug", Quantity: 2}},
				Trackings: []domain.Tracking{{Number: "1z 999", Carrier: "UPS", URL: "https://example.com/1"}},
				CreatedAt: kept(monday), ShippedAt: kept(monday),
			}},
			Loose: []domain.Tracking{{Number: "4711"}},
		},
		Agreed: store.AgreedFulfillment{State: "processing", Trackings: "1z 999 (UPS), 4711", IDs: "f1", ShippedAt: kept(monday)},
		PaidAt: kept(monday), OpenedAt: kept(monday.Add(time.Minute)), ChangedAt: kept(monday.Add(2 * time.Minute)),
		CheckedAt: kept(monday.Add(3 * time.Minute)),
	}
}

func opened(t *testing.T, s *store.Store, rec store.FulfillmentRecord) store.FulfillmentRecord {
	t.Helper()
	did, err := s.OpenFulfillment(t.Context(), rec)
	require.NoError(t, err)
	require.True(t, did)
	rec.Version = 1
	return rec
}

func fulfillment(t *testing.T, s *store.Store, orderID string) store.FulfillmentRecord {
	t.Helper()
	rec, found, err := s.Fulfillment(t.Context(), here, orderID)
	require.NoError(t, err)
	require.True(t, found)
	return rec
}

func testFulfillment(t *testing.T, s *store.Store) {
	ctx := t.Context()
	_, found, err := s.Fulfillment(ctx, here, "o1")
	require.NoError(t, err)
	require.False(t, found)
	rec := opened(t, s, lifecycle("o1"))
	require.Equal(t, rec, fulfillment(t, s, "o1"))
	other := lifecycle("o1")
	other.SageID, other.Lifecycle.State = 9, domain.FulfillmentShipped
	did, err := s.OpenFulfillment(ctx, other)
	require.NoError(t, err)
	require.False(t, did, "there is one")
	require.Equal(t, rec, fulfillment(t, s, "o1"), "and it stays as it is")
	_, found, err = s.Fulfillment(ctx, there, "o1")
	require.NoError(t, err)
	require.False(t, found)

	bare := store.FulfillmentRecord{Location: here, OrderID: "o2", Lifecycle: domain.Fulfillment{State: domain.FulfillmentCreated}}
	require.Equal(t, opened(t, s, bare), fulfillment(t, s, "o2"), "nothing known comes back as nothing")
	for _, bad := range []store.FulfillmentRecord{
		{OrderID: "o", Lifecycle: bare.Lifecycle}, {Location: here, Lifecycle: bare.Lifecycle}, {Location: here, OrderID: "o"},
	} {
		_, err = s.OpenFulfillment(ctx, bad)
		require.ErrorContains(t, err, "empty")
		_, err = s.SaveFulfillment(ctx, bad, nil, nil)
		require.ErrorContains(t, err, "empty")
		bad.Version = 1
		_, err = s.SaveFulfillment(ctx, bad, nil, nil)
		require.ErrorContains(t, err, "empty")
	}
}

func testSaveFulfillment(t *testing.T, s *store.Store) {
	ctx := t.Context()
	rec := lifecycle("o1")
	rec.Version = 7
	_, err := s.SaveFulfillment(ctx, rec, nil, nil)
	require.ErrorIs(t, err, store.ErrChanged, "there is none of that version")
	rec.Version = 0
	first, err := s.SaveFulfillment(ctx, rec, nil, nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, first.Version)
	_, err = s.SaveFulfillment(ctx, rec, nil, nil)
	require.ErrorIs(t, err, store.ErrChanged, "somebody opened it in between")

	require.NoError(t, s.Park(ctx, store.Parked{Location: here, Process: store.Fulfillment, ObjectID: "o1", Kind: "Invalid", ParkedAt: monday}))
	require.NoError(t, s.Park(ctx, store.Parked{Location: here, Process: store.PaymentToOrder, ObjectID: "o1", Kind: "Money", ParkedAt: monday}))
	news := store.DeliveryNews{Location: here, Tracking: "4711", State: domain.FulfillmentDelivered, At: kept(monday), ReceivedAt: kept(monday), Source: "webhook"}
	require.NoError(t, s.PutDeliveryNews(ctx, news))

	done := first
	done.Lifecycle.State, done.Lifecycle.Reason = domain.FulfillmentCancelled, "refunded in full"
	done.Lifecycle.DeliveredAt, done.Closed, done.Partial, done.SageID = kept(monday), true, false, 502
	done.SourceWord, done.Agreed = "fulfilled", store.AgreedFulfillment{State: "cancelled", DeliveredAt: kept(monday)}
	done.PaidAt, done.OpenedAt, done.ChangedAt, done.CheckedAt = kept(monday.Add(1)), time.Time{}, kept(monday.Add(time.Hour)), kept(monday.Add(2*time.Hour))
	stale := done
	steps := []domain.FulfillmentStep{{Key: "cancelled", State: domain.FulfillmentCancelled, At: kept(monday)}}
	done, err = s.SaveFulfillment(ctx, done, steps, []store.DeliveryNews{news})
	require.NoError(t, err)
	require.EqualValues(t, 2, done.Version)
	require.Equal(t, done, fulfillment(t, s, "o1"))
	_, parked, err := s.ParkedItem(ctx, here, store.Fulfillment, "o1")
	require.NoError(t, err)
	require.False(t, parked)
	_, parked, err = s.ParkedItem(ctx, here, store.PaymentToOrder, "o1")
	require.NoError(t, err)
	require.True(t, parked, "another process's item stays")
	open, _, err := s.OpenDeliveryNews(ctx, here, store.Page{})
	require.NoError(t, err)
	require.Empty(t, open)

	// A save that is refused changes nothing of all that it carries.
	require.NoError(t, s.Park(ctx, store.Parked{Location: here, Process: store.Fulfillment, ObjectID: "o1", Kind: "Invalid", ParkedAt: monday}))
	whole := store.DeliveryNews{Location: here, OrderID: "o1", State: domain.FulfillmentDelivered, At: monday}
	require.NoError(t, s.PutDeliveryNews(ctx, whole))
	stale.Lifecycle.Loose = []domain.Tracking{{Number: "stale"}}
	late := []domain.FulfillmentStep{{Key: "delivered", State: domain.FulfillmentDelivered, At: kept(monday)}}
	_, err = s.SaveFulfillment(ctx, stale, late, []store.DeliveryNews{whole})
	require.ErrorIs(t, err, store.ErrChanged)
	_, err = s.SaveFulfillment(ctx, done, []domain.FulfillmentStep{{}}, []store.DeliveryNews{whole})
	require.ErrorContains(t, err, "empty", "a step nobody could find")
	require.Equal(t, done, fulfillment(t, s, "o1"))
	known, err := s.FulfillmentSteps(ctx, here, "o1")
	require.NoError(t, err)
	require.Len(t, known, 1)
	open, _, err = s.OpenDeliveryNews(ctx, here, store.Page{})
	require.NoError(t, err)
	require.Len(t, open, 1)
	orders, err := s.OrdersOfTracking(ctx, here, "STALE")
	require.NoError(t, err)
	require.Empty(t, orders)
	_, parked, err = s.ParkedItem(ctx, here, store.Fulfillment, "o1")
	require.NoError(t, err)
	require.True(t, parked)
}

func testOrdersOfTracking(t *testing.T, s *store.Store) {
	ctx := t.Context()
	orders := func(location, key string) []string {
		t.Helper()
		ids, err := s.OrdersOfTracking(ctx, location, key)
		require.NoError(t, err)
		return ids
	}
	require.Empty(t, orders(here, "1Z999"))
	second := opened(t, s, lifecycle("o2"))
	opened(t, s, lifecycle("o1"))
	require.Equal(t, []string{"o1", "o2"}, orders(here, "1Z999"), "by its key, whatever its spelling")
	require.Equal(t, []string{"o1", "o2"}, orders(here, "4711"), "loose ones too")
	require.Empty(t, orders(there, "1Z999"))

	second.Lifecycle.Loose = nil
	for i := range 450 { // several statements
		second.Lifecycle.Loose = append(second.Lifecycle.Loose, domain.Tracking{Number: fmt.Sprint("n", i)})
	}
	second, err := s.SaveFulfillment(ctx, second, nil, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"o1"}, orders(here, "4711"), "the index says what the lifecycle says")
	require.Equal(t, []string{"o2"}, orders(here, "N449"))
	second.Lifecycle.Loose = nil
	_, err = s.SaveFulfillment(ctx, second, nil, nil)
	require.NoError(t, err)
	require.Empty(t, orders(here, "N449"))
	require.Equal(t, []string{"o1", "o2"}, orders(here, "1Z999"))
}

func testFulfillmentList(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for i, state := range []domain.FulfillmentState{
		domain.FulfillmentCreated, domain.FulfillmentProcessing, domain.FulfillmentShipped, domain.FulfillmentShipped, domain.FulfillmentDelivered,
	} {
		rec := lifecycle(fmt.Sprint("o", i))
		rec.Lifecycle.State, rec.Closed, rec.Partial = state, state.Final(), i == 1
		rec.PaidAt = kept(monday.Add(time.Duration(i/2) * time.Hour)) // pairs share a time
		rec.CheckedAt = kept(monday.Add(-time.Duration(i) * time.Hour))
		opened(t, s, rec)
	}
	foreign := lifecycle("o0")
	foreign.Location, foreign.PaidAt = there, kept(monday.Add(-time.Hour))
	opened(t, s, foreign)
	list := func(f store.FulfillmentFilter) (ids []string) {
		t.Helper()
		for {
			recs, next, err := s.Fulfillments(ctx, f)
			require.NoError(t, err)
			for _, r := range recs {
				ids = append(ids, r.OrderID)
			}
			if next == "" {
				return ids
			}
			f.After = next
		}
	}
	require.Equal(t, []string{"o0", "o1", "o2", "o3", "o4"}, list(store.FulfillmentFilter{Location: here, Page: store.Page{Limit: 2}}))
	require.Equal(t, []string{"o0", "o0", "o1", "o2", "o3"}, list(store.FulfillmentFilter{Open: true, Page: store.Page{Limit: 1}}))
	require.Equal(t, []string{"o2", "o3"}, list(store.FulfillmentFilter{State: domain.FulfillmentShipped}))
	require.Equal(t, []string{"o1"}, list(store.FulfillmentFilter{Location: here, Partial: true}))
	require.Equal(t, []string{"o1", "o4"}, list(store.FulfillmentFilter{OrderIDs: []string{"o4", "o1", "o9"}}))
	require.Equal(t, []string{"o3", "o4"}, list(store.FulfillmentFilter{Location: here, CheckedBefore: monday.Add(-2 * time.Hour)}))
	require.Equal(t, []string{"o0", "o1"}, list(store.FulfillmentFilter{Location: here, PaidBefore: monday.Add(time.Hour)}))
	_, _, err := s.Fulfillments(ctx, store.FulfillmentFilter{Page: store.Page{After: "%%%"}})
	require.Error(t, err)

	counts, err := s.CountFulfillments(ctx, here)
	require.NoError(t, err)
	want := map[domain.FulfillmentState]int64{domain.FulfillmentCreated: 1, domain.FulfillmentProcessing: 1, domain.FulfillmentShipped: 2}
	require.Equal(t, want, counts, "what is closed is not counted")
	overview, err := s.Overview(ctx, here)
	require.NoError(t, err)
	require.Equal(t, want, overview.Fulfillments)
	counts, err = s.CountFulfillments(ctx, "")
	require.NoError(t, err)
	require.EqualValues(t, 2, counts[domain.FulfillmentProcessing])
}

func testOldestOpenFulfillment(t *testing.T, s *store.Store) {
	ctx := t.Context()
	closed := lifecycle("o1")
	closed.Closed = true
	opened(t, s, closed)
	_, found, err := s.OldestOpenFulfillment(ctx, here)
	require.NoError(t, err)
	require.False(t, found)
	for i := range 3 {
		rec := lifecycle(fmt.Sprint("open", i))
		rec.PaidAt = monday.Add(time.Duration(3-i) * time.Hour)
		opened(t, s, rec)
	}
	oldest, found, err := s.OldestOpenFulfillment(ctx, here)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, kept(monday.Add(time.Hour)), oldest)
	_, found, err = s.OldestOpenFulfillment(ctx, there)
	require.NoError(t, err)
	require.False(t, found)
}

func testFulfillmentSteps(t *testing.T, s *store.Store) {
	ctx := t.Context()
	step := func(key string, state domain.FulfillmentState, shipment string) domain.FulfillmentStep {
		return domain.FulfillmentStep{Key: key, State: state, ShipmentID: shipment, At: kept(monday)}
	}
	processing, shipped := step("processing/f1", domain.FulfillmentProcessing, "f1"), step("shipped/f1", domain.FulfillmentShipped, "f1")
	delivered := step("delivered", domain.FulfillmentDelivered, "")
	rec, err := s.SaveFulfillment(ctx, lifecycle("o1"), []domain.FulfillmentStep{processing, shipped}, nil)
	require.NoError(t, err)
	told := store.FulfillmentStep{
		Location: here, OrderID: "o1", FulfillmentStep: shipped, ActivityID: 77, TaskID: 78, Begun: kept(monday.Add(time.Hour)), Told: true, Silent: true,
		GivenUp: true,
	}
	require.NoError(t, s.MarkFulfillmentStep(ctx, told))
	again := shipped
	again.At = kept(monday.Add(time.Hour))
	_, err = s.SaveFulfillment(ctx, rec, []domain.FulfillmentStep{delivered, again}, nil)
	require.NoError(t, err)
	got, err := s.FulfillmentSteps(ctx, here, "o1")
	require.NoError(t, err)
	require.Equal(t, []store.FulfillmentStep{
		{Location: here, OrderID: "o1", FulfillmentStep: processing}, told, {Location: here, OrderID: "o1", FulfillmentStep: delivered},
	}, got, "in the order of their entering; what is known stays as it is")
	for _, of := range []store.FulfillmentStep{{Location: there, OrderID: "o1"}, {Location: here, OrderID: "o2"}} {
		none, err := s.FulfillmentSteps(ctx, of.Location, of.OrderID)
		require.NoError(t, err)
		require.Empty(t, none)
		of.FulfillmentStep = shipped
		require.ErrorIs(t, s.MarkFulfillmentStep(ctx, of), store.ErrChanged)
	}
}

func testDeliveryNews(t *testing.T, s *store.Store) {
	ctx := t.Context()
	news := func(orderID, tracking string, state domain.FulfillmentState, minute int) store.DeliveryNews {
		at := kept(monday.Add(time.Duration(minute) * time.Minute))
		return store.DeliveryNews{Location: here, OrderID: orderID, Tracking: tracking, State: state, At: at, ReceivedAt: at, Source: "webhook"}
	}
	of := func(orderID string, keys ...string) []store.DeliveryNews {
		t.Helper()
		all, err := s.DeliveryNewsOf(ctx, here, orderID, keys...)
		require.NoError(t, err)
		return all
	}
	parcel, order := news("", "4711", domain.FulfillmentDelivered, 2), news("o1", "", domain.FulfillmentDelivered, 1)
	left, elsewhere := news("", "4711", domain.FulfillmentShipped, 3), news("", "4711", domain.FulfillmentDelivered, 2)
	elsewhere.Location = there
	for _, n := range []store.DeliveryNews{parcel, order, left, elsewhere} {
		require.NoError(t, s.PutDeliveryNews(ctx, n))
	}
	require.Equal(t, []store.DeliveryNews{order}, of("o1"))
	require.Equal(t, []store.DeliveryNews{order, parcel, left}, of("o1", "4711", "none", "4711"), "as they were heard")
	require.Equal(t, []store.DeliveryNews{parcel, left}, of("", "4711", ""), "no order is not every order")
	require.Equal(t, []store.DeliveryNews{order}, of("o1", ""), "no parcel is not every parcel")

	later, earlier := parcel, parcel
	later.At, later.Source, later.Applied = kept(monday.Add(time.Hour)), "operator", true
	require.NoError(t, s.PutDeliveryNews(ctx, later))
	require.Equal(t, []store.DeliveryNews{parcel, left}, of("", "4711"), "said again")
	earlier.At, earlier.ReceivedAt = kept(monday.Add(-time.Hour)), kept(monday.Add(time.Hour))
	require.NoError(t, s.PutDeliveryNews(ctx, earlier))
	parcel.At = earlier.At
	require.Equal(t, []store.DeliveryNews{parcel, left}, of("", "4711"), "the earliest time counts")

	_, err := s.SaveFulfillment(ctx, lifecycle("o1"), nil, []store.DeliveryNews{parcel, order})
	require.NoError(t, err)
	require.NoError(t, s.PutDeliveryNews(ctx, parcel))
	parcel.Applied, order.Applied = true, true
	require.Equal(t, []store.DeliveryNews{order, parcel, left}, of("o1", "4711"), "what was applied is still news, and stays applied")

	bare := store.DeliveryNews{Location: here, OrderID: "o9", State: domain.FulfillmentDelivered}
	require.NoError(t, s.PutDeliveryNews(ctx, bare))
	got := of("o9")[0]
	require.WithinDuration(t, time.Now(), got.ReceivedAt, time.Minute)
	require.Equal(t, got.ReceivedAt, got.At)
	for name, bad := range map[string]store.DeliveryNews{
		"no location": {OrderID: "o1", State: domain.FulfillmentDelivered}, "no state": {Location: here, OrderID: "o1"},
		"neither": {Location: here, State: domain.FulfillmentDelivered}, "both": news("o1", "4711", domain.FulfillmentDelivered, 0),
		"no key": news("", "47 11", domain.FulfillmentDelivered, 0),
	} {
		require.Error(t, s.PutDeliveryNews(ctx, bad), name)
	}
}

func testOpenDeliveryNews(t *testing.T, s *store.Store) {
	ctx := t.Context()
	var all []store.DeliveryNews
	for i := range 7 {
		n := store.DeliveryNews{
			Location: here, Tracking: fmt.Sprint("N", i), State: domain.FulfillmentDelivered, Source: "webhook",
			At: kept(monday), ReceivedAt: kept(monday.Add(time.Duration(i/2) * time.Hour)), // pairs share a time
		}
		require.NoError(t, s.PutDeliveryNews(ctx, n))
		all = append(all, n)
	}
	_, err := s.SaveFulfillment(ctx, lifecycle("o1"), nil, all[3:4])
	require.NoError(t, err)
	list := func() (ids []string) {
		t.Helper()
		page := store.Page{Limit: 2}
		for {
			news, next, err := s.OpenDeliveryNews(ctx, here, page)
			require.NoError(t, err)
			for _, n := range news {
				ids = append(ids, n.Tracking)
			}
			if next == "" {
				return ids
			}
			page.After = next
		}
	}
	require.Equal(t, []string{"N0", "N1", "N2", "N4", "N5", "N6"}, list())
	_, _, err = s.OpenDeliveryNews(ctx, here, store.Page{After: "%%%"})
	require.Error(t, err)
	n, err := s.ForgetDeliveryNews(ctx, there, monday.Add(24*time.Hour))
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = s.ForgetDeliveryNews(ctx, here, monday.Add(2*time.Hour))
	require.NoError(t, err)
	require.EqualValues(t, 4, n, "applied or not")
	require.Equal(t, []string{"N4", "N5", "N6"}, list())
}

func testShipmentPost(t *testing.T, s *store.Store) {
	ctx := t.Context()
	post := store.ShipmentPost{
		Location: here, OrderID: "o1", Before: []string{"f1"},
		Plan: domain.ShipmentPlan{
			Items: []domain.ShippedItem{{PriceID: "p1", Name: "Mug", Quantity: 2}}, Trackings: []domain.Tracking{{Number: "4711", Carrier: "DHL"}},
		},
	}
	current := func() (store.ShipmentPost, bool) {
		t.Helper()
		p, found, err := s.ShipmentPost(ctx, here, "o1")
		require.NoError(t, err)
		return p, found
	}
	_, found := current()
	require.False(t, found)
	require.ErrorIs(t, s.MarkShipmentPost(ctx, post), store.ErrChanged, "none is open")
	begun, err := s.BeginShipmentPost(ctx, post)
	require.NoError(t, err)
	require.Equal(t, post, begun)
	other := post
	other.Plan.Items, other.Before = []domain.ShippedItem{{PriceID: "p2", Quantity: 1}}, nil
	begun, err = s.BeginShipmentPost(ctx, other)
	require.NoError(t, err)
	require.Equal(t, post, begun, "the open one comes first")

	post.AttemptedAt, post.Before, post.Made = kept(monday), []string{"f1", "f2"}, "f3"
	require.NoError(t, s.MarkShipmentPost(ctx, post))
	got, found := current()
	require.True(t, found)
	require.Equal(t, post, got)
	require.NoError(t, s.EndShipmentPost(ctx, there, "o1"))
	_, found = current()
	require.True(t, found)
	require.NoError(t, s.EndShipmentPost(ctx, here, "o1"))
	require.NoError(t, s.EndShipmentPost(ctx, here, "o1"))
	_, found = current()
	require.False(t, found)
	begun, err = s.BeginShipmentPost(ctx, other)
	require.NoError(t, err)
	require.Equal(t, other, begun)
	_, err = s.BeginShipmentPost(ctx, store.ShipmentPost{Location: here})
	require.ErrorContains(t, err, "empty")
	require.ErrorContains(t, s.MarkShipmentPost(ctx, store.ShipmentPost{OrderID: "o1"}), "empty")
}

func testOrdersByID(t *testing.T, s *store.Store) {
	ctx := t.Context()
	first, second := record("o1"), record("o1")
	second.Location = there
	require.NoError(t, s.RecordOrder(ctx, second))
	require.NoError(t, s.RecordOrder(ctx, first))
	require.NoError(t, s.RecordOrder(ctx, record("o2")))
	got, err := s.OrdersByID(ctx, "o1")
	require.NoError(t, err)
	require.Equal(t, []store.OrderRecord{first, second}, got)
	got, err = s.OrdersByID(ctx, "o3")
	require.NoError(t, err)
	require.Empty(t, got)
}

// testFulfillmentRace lets two stores on one database open and advance the same lifecycles from many goroutines, with
// delivery news that several of them apply.
func testFulfillmentRace(t *testing.T, url string) {
	stores := []*store.Store{open(t, url), open(t, url)}
	const writers, rounds, orders = 6, 15, 3
	news := make([]store.DeliveryNews, 4)
	for i := range news {
		news[i] = store.DeliveryNews{Location: here, Tracking: fmt.Sprint("N", i), State: domain.FulfillmentDelivered}
		require.NoError(t, stores[0].PutDeliveryNews(t.Context(), news[i]))
	}
	var refused, openers atomic.Int64
	g, ctx := errgroup.WithContext(t.Context())
	for w := range writers {
		s := stores[w%len(stores)]
		advance := func(orderID string, round int) error {
			for {
				rec, found, err := s.Fulfillment(ctx, here, orderID)
				if err != nil {
					return err
				}
				if !found {
					rec = lifecycle(orderID)
				}
				rec.SageID++
				steps := []domain.FulfillmentStep{
					{Key: fmt.Sprintf("shipped/%d-%d", w, round), State: domain.FulfillmentShipped, At: monday},
					{Key: fmt.Sprint("shared", round), State: domain.FulfillmentShipped, At: monday},
				}
				applied := append([]store.DeliveryNews{}, news[w%len(news):]...)
				applied = append(applied, news[:w%len(news)]...) // each in another order
				if _, err = s.SaveFulfillment(ctx, rec, steps, applied); !errors.Is(err, store.ErrChanged) {
					return err
				}
				refused.Add(1)
			}
		}
		g.Go(func() error {
			for r := range rounds {
				did, err := s.OpenFulfillment(ctx, lifecycle(fmt.Sprint("opened", r)))
				if err != nil {
					return err
				}
				if did {
					openers.Add(1)
				}
				if err := advance(fmt.Sprint("o", r%orders), r); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	require.EqualValues(t, rounds, openers.Load(), "each was opened by one")
	for i := range orders {
		rec := fulfillment(t, stores[0], fmt.Sprint("o", i))
		require.EqualValues(t, writers*rounds/orders, rec.Version, "no save was lost")
		require.EqualValues(t, 501+rec.Version, rec.SageID)
		steps, err := stores[1].FulfillmentSteps(t.Context(), here, fmt.Sprint("o", i))
		require.NoError(t, err)
		require.Len(t, steps, (writers+1)*rounds/orders, "each step once")
	}
	left, _, err := stores[0].OpenDeliveryNews(t.Context(), here, store.Page{})
	require.NoError(t, err)
	require.Empty(t, left)
	require.Positive(t, refused.Load(), "the writers met")
}

// testUpgradeOfConnections opens a database from before there were lifecycles, and brings it back.
func testUpgradeOfConnections(t *testing.T, address string) {
	ctx := t.Context()
	old := open(t, address, store.WithoutMigrations())
	migrateTo(t, address, 2)
	recordedBefore(t, address, record("o1"))
	_, _, err := old.Fulfillment(ctx, here, "o1")
	require.Error(t, err, "it knows no lifecycles")
	s := open(t, address)
	opened(t, s, lifecycle("o1"))
	found, err := s.OrdersByID(ctx, "o1")
	require.NoError(t, err)
	require.Equal(t, []store.OrderRecord{record("o1")}, found)
	migrateTo(t, address, 2)
	got, _, err := s.Order(ctx, here, "o1")
	require.NoError(t, err)
	require.Equal(t, record("o1"), got)
	_, err = s.Migrate(ctx)
	require.NoError(t, err)
	_, known, err := s.Fulfillment(ctx, here, "o1")
	require.NoError(t, err)
	require.False(t, known)
}
