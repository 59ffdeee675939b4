package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/internal/testkit/postgres"
)

const (
	here  = "location-here"
	there = "location-there"
)

// monday has nanoseconds, of which the store keeps the microseconds.
var monday = time.Date(2026, 3, 2, 9, 30, 0, 123456789, time.FixedZone("somewhere", 3600))

func kept(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// TestSQLite and TestPostgres run the one suite: whatever holds on one database must hold on the other.
func TestSQLite(t *testing.T) {
	conformance(t, func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "tally stick?#%.db") })
}

func TestPostgres(t *testing.T) {
	server := postgres.Start(t)
	conformance(t, func(t *testing.T) string { return server.URL(t) })
}

func conformance(t *testing.T, address func(*testing.T) string) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *store.Store)
	}{
		{"links", testLinks},
		{"many links", testManyLinks},
		{"ledger", testLedger},
		{"ledger refuses older news", testStale},
		{"ledger refuses mixed currencies", testMixedCurrencies},
		{"ledger lists", testOrders},
		{"sightings", testSightings},
		{"order with sightings", testOrderWithSightings},
		{"parked items", testParked},
		{"parked items list", testParkedItems},
		{"decisions", testDecisions},
		{"cursors", testCursors},
		{"claims", testClaims},
		{"claims at once", testClaimRace},
		{"audit trail", testAudit},
		{"overview", testOverview},
		{"publications", testPublications},
		{"connections", testConnections},
		{"connections that make no sense", testConnectionRefused},
		{"connections list", testConnectionList},
		{"connections settle", testSettle},
		{"operator is told once", testTold},
		{"tokens", testTokens},
		{"tokens list", testTokenList},
		{"lease of a token", testLease},
		{"lapsed lease of a token", testLapsedLease},
		{"sealing keys", testSealingKeys},
		{"sealing anew", testReseal},
		{"sealing anew meets a writer", testResealMeetsWriter},
		{"sealing anew meets damage", testResealFaults},
		{"planned writes", testPlanned},
		{"parked items made due", testMakeParkedDue},
		{"lifecycles", testFulfillment},
		{"lifecycles saved", testSaveFulfillment},
		{"orders of a parcel", testOrdersOfTracking},
		{"lifecycles list", testFulfillmentList},
		{"oldest open lifecycle", testOldestOpenFulfillment},
		{"steps", testFulfillmentSteps},
		{"delivery news", testDeliveryNews},
		{"delivery news that are open", testOpenDeliveryNews},
		{"shipment under way", testShipmentPost},
		{"orders by id alone", testOrdersByID},
		{"entries", testEntries},
		{"entries that make no sense", testEntriesRefused},
		{"entries list", testEntryList},
		{"entries not agreed", testUnagreed},
		{"sides compared", testCompare},
		{"sides compared in pages", testComparePages},
		{"sums", testSums},
		{"sums too large", testSumsTooLarge},
		{"sums of subscriptions", testSubscriptionSums},
		{"recurring revenue", testRecurringRevenue},
		{"steps of refunds", testRefundSteps},
		{"refunds by month", testRefundsByMonth},
		{"products of orders", testOrderProducts},
		{"shares of products", testShares},
		{"history of subscriptions", testSubscriptionHistory},
		{"history that begins late", testLateHistory},
		{"differences", testDifferences},
		{"alerts", testAlerts},
		{"alerts list", testAlertList},
		{"progress", testProgress},
		{"parked items summed up", testParkedSums},
		{"cursors of all locations", testAllCursors},
		{"empty keys", testEmptyKeys},
		{"cancelled", testCancelled},
		{"hostile text", testHostileText},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t, address(t))) })
	}
	for _, c := range []struct {
		name string
		test func(*testing.T, string)
	}{
		{"two openers write at once", testConcurrentWriters},
		{"openers migrate at once", testConcurrentOpeners},
		{"migrations", testMigrations},
		{"upgrade of the first release", testUpgrade},
		{"upgrade from before lifecycles", testUpgradeOfConnections},
		{"upgrade from before the books", testUpgradeOfFulfillments},
		{"upgrade from before the history", testUpgradeOfBooks},
		{"refund written by many", testRefundRace},
		{"statistics", testStatistics},
		{"lifecycle changed by many", testFulfillmentRace},
		{"secrets go", testSecretsGo},
		{"connection changed by many", testConnectionRace},
		{"lease asked for by many", testLeaseOnce},
		{"token refreshed by many", testLeaseRace},
		{"keys taken into use by many", testKeyRace},
		{"sealing anew while others write", testResealRace},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, address(t)) })
	}
}

func open(t *testing.T, url string, opts ...store.Option) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func testLinks(t *testing.T, s *store.Store) {
	ctx := t.Context()
	none, err := s.Links(ctx, here, store.Contact, "ghl:contact:1")
	require.NoError(t, err)
	require.Empty(t, none)

	account := store.Link{Location: here, Kind: store.Account, ExtID: "ghl:contact:1", SageID: 11}
	contact := store.Link{Location: here, Kind: store.Contact, ExtID: "ghl:contact:1", SageID: 12}
	elsewhere := store.Link{Location: there, Kind: store.Contact, ExtID: "ghl:contact:1", SageID: 13}
	require.NoError(t, s.PutLinks(ctx, account, contact, elsewhere))
	found, err := s.Links(ctx, here, store.Contact, "ghl:contact:1", "ghl:contact:2")
	require.NoError(t, err)
	require.Equal(t, map[string]store.Link{"ghl:contact:1": contact}, found)

	moved := contact
	moved.SageID = 99
	require.NoError(t, s.PutLinks(ctx, contact, moved), "the last of two equal keys counts")
	found, err = s.Links(ctx, here, store.Contact, "ghl:contact:1")
	require.NoError(t, err)
	require.Equal(t, moved, found["ghl:contact:1"])

	require.NoError(t, s.DropLinks(ctx, here, store.Contact, "ghl:contact:1", "never there"))
	require.NoError(t, s.DropLinks(ctx, here, store.Contact))
	found, err = s.Links(ctx, here, store.Contact, "ghl:contact:1")
	require.NoError(t, err)
	require.Empty(t, found)
	found, err = s.Links(ctx, there, store.Contact, "ghl:contact:1")
	require.NoError(t, err)
	require.Equal(t, elsewhere, found["ghl:contact:1"], "another location is another world")

	require.Error(t, s.PutLinks(ctx, store.Link{Location: here, Kind: store.Product, ExtID: "x"}), "no id at Sage is no link")
}

func testManyLinks(t *testing.T, s *store.Store) {
	const n = 1234 // several statements
	links, ids := make([]store.Link, n), make([]string, n)
	for i := range links {
		ids[i] = fmt.Sprintf("ghl:price:%d", i)
		links[i] = store.Link{Location: here, Kind: store.Product, ExtID: ids[i], SageID: int64(i + 1)}
	}
	require.NoError(t, s.PutLinks(t.Context(), links...))
	found, err := s.Links(t.Context(), here, store.Product, ids...)
	require.NoError(t, err)
	require.Len(t, found, n)
	require.EqualValues(t, n, found[ids[n-1]].SageID)
	require.NoError(t, s.DropLinks(t.Context(), here, store.Product, ids...))
	found, err = s.Links(t.Context(), here, store.Product, ids...)
	require.NoError(t, err)
	require.Empty(t, found)
}

func record(orderID string) store.OrderRecord {
	return store.OrderRecord{
		Location: here, OrderID: orderID, SageID: 501, Adopted: true, AsOf: kept(monday), Digest: "d1",
		State: domain.PartiallyRefunded,
		Total: domain.NewMoney(15010, "EUR"), Paid: domain.NewMoney(15010, "EUR"), Refunded: domain.NewMoney(10, "EUR"),
		Lines:     []store.LineRecord{{Position: 0, SageID: 7}, {Position: 1, SageID: 8}},
		BroughtAt: kept(monday.Add(time.Minute)),
	}
}

func testLedger(t *testing.T, s *store.Store) {
	ctx := t.Context()
	_, found, err := s.Order(ctx, here, "o1")
	require.NoError(t, err)
	require.False(t, found)

	rec := record("o1")
	parked := store.Parked{Location: here, Process: store.PaymentToOrder, ObjectID: "o1", Kind: "Mapping", Reason: "r", ParkedAt: monday}
	other := parked
	other.Process = "Fulfillment"
	require.NoError(t, s.Park(ctx, parked))
	require.NoError(t, s.Park(ctx, other))
	require.NoError(t, s.RecordOrder(ctx, rec))
	got, found, err := s.Order(ctx, here, "o1")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, rec, got)
	_, found, err = s.ParkedItem(ctx, here, store.PaymentToOrder, "o1")
	require.NoError(t, err)
	require.False(t, found, "what is in the ledger is no longer parked")
	_, found, err = s.ParkedItem(ctx, here, "Fulfillment", "o1")
	require.NoError(t, err)
	require.True(t, found, "another process's item stays")

	_, found, err = s.Order(ctx, there, "o1")
	require.NoError(t, err)
	require.False(t, found)

	same, err := s.OrdersOfSage(ctx, here, 501)
	require.NoError(t, err)
	require.Equal(t, []store.OrderRecord{rec}, same)
	same, err = s.OrdersOfSage(ctx, there, 501)
	require.NoError(t, err)
	require.Empty(t, same)
}

func testStale(t *testing.T, s *store.Store) {
	ctx := t.Context()
	newer := record("o1")
	require.NoError(t, s.RecordOrder(ctx, newer))
	require.NoError(t, s.RecordOrder(ctx, newer), "the same news again is welcome")

	older := record("o1")
	older.AsOf, older.Digest = newer.AsOf.Add(-time.Microsecond), "older"
	require.NoError(t, s.Park(ctx, store.Parked{Location: here, Process: store.PaymentToOrder, ObjectID: "o1", ParkedAt: monday}))
	require.ErrorIs(t, s.RecordOrder(ctx, older), store.ErrStale)
	got, _, err := s.Order(ctx, here, "o1")
	require.NoError(t, err)
	require.Equal(t, newer, got)
	_, found, err := s.ParkedItem(ctx, here, store.PaymentToOrder, "o1")
	require.NoError(t, err)
	require.True(t, found, "a refused entry changes nothing")

	newest := record("o1")
	newest.AsOf, newest.Lines = newer.AsOf.Add(time.Microsecond), nil
	require.NoError(t, s.RecordOrder(ctx, newest))
	got, _, err = s.Order(ctx, here, "o1")
	require.NoError(t, err)
	require.Equal(t, newest, got)
}

func testMixedCurrencies(t *testing.T, s *store.Store) {
	rec := record("o1")
	rec.Paid = domain.NewMoney(1, "USD")
	require.ErrorIs(t, s.RecordOrder(t.Context(), rec), domain.ErrMoney)
	rec.Paid, rec.Refunded = domain.Money{}, domain.Money{}
	require.NoError(t, s.RecordOrder(t.Context(), rec), "nothing paid needs no currency")
	got, _, err := s.Order(t.Context(), here, "o1")
	require.NoError(t, err)
	require.Equal(t, domain.NewMoney(0, "EUR"), got.Paid)
}

func testOrders(t *testing.T, s *store.Store) {
	ctx := t.Context()
	var want []string // newest first, then by id downwards
	for i := range 7 {
		rec := record(fmt.Sprintf("o%d", i))
		rec.BroughtAt = kept(monday.Add(time.Duration(i/2) * time.Hour)) // pairs share a time
		if i == 3 {
			rec.State = domain.Paid
		}
		require.NoError(t, s.RecordOrder(ctx, rec))
		want = append([]string{rec.OrderID}, want...)
	}
	foreign := record("foreign")
	foreign.Location = there
	require.NoError(t, s.RecordOrder(ctx, foreign))

	var got []string
	f := store.OrderFilter{Location: here, Page: store.Page{Limit: 2}}
	for pages := 1; ; pages++ {
		recs, next, err := s.Orders(ctx, f)
		require.NoError(t, err)
		for _, r := range recs {
			got = append(got, r.OrderID)
		}
		if next == "" {
			require.Equal(t, 4, pages)
			break
		}
		f.After = next
	}
	require.Equal(t, want, got)

	all, _, err := s.Orders(ctx, store.OrderFilter{})
	require.NoError(t, err)
	require.Len(t, all, 8)
	paid, _, err := s.Orders(ctx, store.OrderFilter{State: domain.Paid})
	require.NoError(t, err)
	require.Len(t, paid, 1)
	between, _, err := s.Orders(ctx, store.OrderFilter{Location: here, BroughtFrom: monday.Add(time.Hour), BroughtBefore: monday.Add(2 * time.Hour)})
	require.NoError(t, err)
	require.Len(t, between, 2)
	for _, bad := range []string{"%%%", "bm90IGpzb24", "WyJ4IiwiYSIsImIiXQ", "WyIxIl0"} {
		_, _, err = s.Orders(ctx, store.OrderFilter{Page: store.Page{After: bad}})
		require.Error(t, err, bad)
	}
}

func testSightings(t *testing.T, s *store.Store) {
	ctx := t.Context()
	see := func(id, digest string, at time.Time) store.Sighting {
		return store.Sighting{Location: here, Kind: store.OrderSighting, ID: id, Digest: digest, SeenAt: at}
	}
	var first []store.Sighting
	for i := range 450 {
		first = append(first, see(fmt.Sprint(i), "a", monday))
	}
	unseen, err := s.Unseen(ctx, first)
	require.NoError(t, err)
	require.Equal(t, first, unseen, "all are new, in their order")
	require.NoError(t, s.RecordSightings(ctx, first))
	unseen, err = s.Unseen(ctx, first)
	require.NoError(t, err)
	require.Empty(t, unseen)

	changed := see("7", "b", monday.Add(time.Hour))
	asTransaction := first[8]
	asTransaction.Kind = store.TransactionSighting
	elsewhere := first[9]
	elsewhere.Location = there
	unseen, err = s.Unseen(ctx, []store.Sighting{first[6], changed, asTransaction, elsewhere})
	require.NoError(t, err)
	require.Equal(t, []store.Sighting{changed, asTransaction, elsewhere}, unseen)

	require.NoError(t, s.RecordSightings(ctx, []store.Sighting{changed}))
	require.NoError(t, s.RecordSightings(ctx, []store.Sighting{first[7]}), "an older sweep comes late")
	unseen, err = s.Unseen(ctx, []store.Sighting{changed})
	require.NoError(t, err)
	require.Empty(t, unseen, "and does not undo the newer one")

	n, err := s.ForgetSightings(ctx, here, store.OrderSighting, monday.Add(time.Minute))
	require.NoError(t, err)
	require.EqualValues(t, 449, n)
	unseen, err = s.Unseen(ctx, first)
	require.NoError(t, err)
	require.Len(t, unseen, 450)
	require.NoError(t, s.RecordSightings(ctx, nil))
}

func testParked(t *testing.T, s *store.Store) {
	ctx := t.Context()
	p := store.Parked{
		Location: here, Process: store.PaymentToOrder, ObjectID: "o1", Kind: "Conflict", Reason: "two orders fit",
		Candidates: []int64{4, 5}, ParkedAt: monday, NextTry: monday.Add(time.Hour), WorkflowID: "payment-to-order/x/o1", Attempts: 77,
	}
	require.NoError(t, s.Park(ctx, p))
	got, found, err := s.ParkedItem(ctx, here, store.PaymentToOrder, "o1")
	require.NoError(t, err)
	require.True(t, found)
	want := p
	want.Attempts, want.ParkedAt, want.LastTry, want.NextTry = 1, kept(monday), kept(monday), kept(p.NextTry)
	require.Equal(t, want, got)

	again := p
	again.Kind, again.Reason, again.Candidates = "Mapping", "set SAGE_BRANCH_ID", nil
	again.ParkedAt, again.LastTry, again.NextTry = monday.Add(2*time.Hour), monday.Add(2*time.Hour), time.Time{}
	require.NoError(t, s.Park(ctx, again))
	got, _, err = s.ParkedItem(ctx, here, store.PaymentToOrder, "o1")
	require.NoError(t, err)
	want = again
	want.Attempts, want.ParkedAt, want.LastTry = 2, kept(monday), kept(again.LastTry)
	require.Equal(t, want, got)

	require.NoError(t, s.Unpark(ctx, here, store.PaymentToOrder, "o1"))
	require.NoError(t, s.Unpark(ctx, here, store.PaymentToOrder, "o1"))
	_, found, err = s.ParkedItem(ctx, here, store.PaymentToOrder, "o1")
	require.NoError(t, err)
	require.False(t, found)
}

func testParkedItems(t *testing.T, s *store.Store) {
	ctx := t.Context()
	kinds := []string{"Mapping", "Money", "Mapping", "Invalid", "Mapping"}
	for i, kind := range kinds {
		p := store.Parked{
			Location: here, Process: store.PaymentToOrder, ObjectID: fmt.Sprint(i), Kind: kind,
			ParkedAt: monday.Add(time.Duration(i) * time.Minute),
		}
		if i%2 == 0 {
			p.NextTry = monday.Add(time.Duration(i) * time.Hour)
		}
		require.NoError(t, s.Park(ctx, p))
	}
	require.NoError(t, s.Park(ctx, store.Parked{Location: there, Process: "Fulfillment", ObjectID: "f", Kind: "Money", ParkedAt: monday}))
	list := func(f store.ParkedFilter) (ids []string) {
		for {
			items, next, err := s.ParkedItems(ctx, f)
			require.NoError(t, err)
			for _, p := range items {
				ids = append(ids, p.ObjectID)
			}
			if next == "" {
				return ids
			}
			f.After = next
		}
	}
	require.Equal(t, []string{"0", "1", "2", "3", "4"}, list(store.ParkedFilter{Location: here, Page: store.Page{Limit: 2}}))
	require.Equal(t, []string{"f"}, list(store.ParkedFilter{Process: "Fulfillment"}))
	require.Equal(t, []string{"0", "2", "4"}, list(store.ParkedFilter{Kind: "Mapping"}))
	require.Equal(t, []string{"3", "4"}, list(store.ParkedFilter{Since: monday.Add(3 * time.Minute)}))
	require.Equal(t, []string{"0", "2"}, list(store.ParkedFilter{DueBefore: monday.Add(2 * time.Hour)}),
		"what only a person can move on is never due")
	counts, err := s.CountParked(ctx, "")
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"Mapping": 3, "Money": 2, "Invalid": 1}, counts)
	counts, err = s.CountParked(ctx, there)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"Money": 1}, counts)
}

func testDecisions(t *testing.T, s *store.Store) {
	ctx := t.Context()
	_, found, err := s.Decision(ctx, here, "o1")
	require.NoError(t, err)
	require.False(t, found)
	adopt := store.Decision{Location: here, OrderID: "o1", SageID: 42, DecidedAt: kept(monday), Actor: "support"}
	require.NoError(t, s.Decide(ctx, adopt))
	makeNew := store.Decision{Location: here, OrderID: "o1", DecidedAt: kept(monday.Add(time.Hour)), Actor: "owner"}
	require.NoError(t, s.Decide(ctx, makeNew))
	require.NoError(t, s.Decide(ctx, adopt), "an earlier decision that comes late")
	got, found, err := s.Decision(ctx, here, "o1")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, makeNew, got)
	require.Error(t, s.Decide(ctx, store.Decision{Location: here, OrderID: "o1", SageID: -1}))
}

func testCursors(t *testing.T, s *store.Store) {
	ctx := t.Context()
	_, found, err := s.Cursor(ctx, here, "transactions")
	require.NoError(t, err)
	require.False(t, found)
	for _, at := range []time.Time{monday, monday.Add(-time.Hour), {}} {
		require.NoError(t, s.SetCursor(ctx, here, "transactions", at))
		got, found, err := s.Cursor(ctx, here, "transactions")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, kept(at), got)
	}
	_, found, err = s.Cursor(ctx, there, "transactions")
	require.NoError(t, err)
	require.False(t, found)
}

func testAudit(t *testing.T, s *store.Store) {
	ctx := t.Context()
	var want []store.AuditEntry
	for i := range 5 {
		e := store.AuditEntry{
			At: kept(monday.Add(time.Duration(i/2) * time.Minute)), Location: here, Actor: "support",
			Action: "match", Object: fmt.Sprintf("o%d", i), Detail: "chose 42",
		}
		require.NoError(t, s.Audit(ctx, e))
		want = append(want, e)
	}
	slices.Reverse(want)
	var got []store.AuditEntry
	f := store.AuditFilter{Location: here, Page: store.Page{Limit: 2}}
	for {
		entries, next, err := s.AuditLog(ctx, f)
		require.NoError(t, err)
		got = append(got, entries...)
		if next == "" {
			break
		}
		f.After = next
	}
	require.Equal(t, want, got)
	some, _, err := s.AuditLog(ctx, store.AuditFilter{Actor: "support", Action: "match", Object: "o3", From: monday, Before: monday.Add(time.Hour)})
	require.NoError(t, err)
	require.Equal(t, want[1:2], some)
	none, _, err := s.AuditLog(ctx, store.AuditFilter{Location: there})
	require.NoError(t, err)
	require.Empty(t, none)
}

func testOverview(t *testing.T, s *store.Store) {
	ctx := t.Context()
	empty, err := s.Overview(ctx, "")
	require.NoError(t, err)
	require.Equal(t, store.Overview{
		Orders: map[domain.PaymentState]int64{}, Fulfillments: map[domain.FulfillmentState]int64{}, Parked: map[string]int64{},
	}, empty)
	for i, state := range []domain.PaymentState{domain.Paid, domain.Paid, domain.Refunded} {
		rec := record(fmt.Sprint(i))
		rec.State, rec.BroughtAt = state, kept(monday.Add(time.Duration(i)*time.Hour))
		require.NoError(t, s.RecordOrder(ctx, rec))
	}
	require.NoError(t, s.Park(ctx, store.Parked{Location: here, Process: "P", ObjectID: "o", Kind: "Money", ParkedAt: monday}))
	require.NoError(t, s.SetCursor(ctx, there, "b", monday))
	require.NoError(t, s.SetCursor(ctx, here, "b", monday))
	require.NoError(t, s.SetCursor(ctx, here, "a", monday))
	got, err := s.Overview(ctx, here)
	require.NoError(t, err)
	require.Equal(t, store.Overview{
		Orders:        map[domain.PaymentState]int64{domain.Paid: 2, domain.Refunded: 1},
		Fulfillments:  map[domain.FulfillmentState]int64{},
		Parked:        map[string]int64{"Money": 1},
		LastBroughtAt: kept(monday.Add(2 * time.Hour)),
		Cursors:       []store.Cursor{{Location: here, Name: "a", At: kept(monday)}, {Location: here, Name: "b", At: kept(monday)}},
	}, got)
	all, err := s.Overview(ctx, "")
	require.NoError(t, err)
	require.Len(t, all.Cursors, 3)
}

func testEmptyKeys(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for name, err := range map[string]error{
		"link":     s.PutLinks(ctx, store.Link{Kind: store.Account, ExtID: "x", SageID: 1}),
		"order":    s.RecordOrder(ctx, store.OrderRecord{Location: here}),
		"sighting": s.RecordSightings(ctx, []store.Sighting{{Location: here, Kind: store.OrderSighting}}),
		"parked":   s.Park(ctx, store.Parked{Location: here, Process: "P"}),
		"decision": s.Decide(ctx, store.Decision{OrderID: "o"}),
		"cursor":   s.SetCursor(ctx, "", "c", monday),
	} {
		require.ErrorContains(t, err, "empty", name)
	}
}

func testCancelled(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.RecordOrder(ctx, record("o1")), context.Canceled)
	require.ErrorIs(t, s.Ping(ctx), context.Canceled)
	_, _, err := s.Order(ctx, here, "o1")
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, s.Ping(t.Context()), "and the store goes on")
	require.NoError(t, s.RecordOrder(t.Context(), record("o1")))
}

func testHostileText(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for _, id := range []string{`'; DROP TABLE orders; --`, `"`, "ü€😀", "$1", "%_", `\`, "a/b", "  "} {
		rec := record(id)
		require.NoError(t, s.RecordOrder(ctx, rec))
		got, found, err := s.Order(ctx, here, id)
		require.NoError(t, err)
		require.True(t, found, id)
		require.Equal(t, rec, got)
	}
}

// testConcurrentWriters lets two stores on one database write the same and different rows from many goroutines.
func testConcurrentWriters(t *testing.T, url string) {
	stores := []*store.Store{open(t, url), open(t, url)}
	const writers, rounds = 8, 25
	g, ctx := errgroup.WithContext(t.Context())
	for w := range writers {
		s := stores[w%len(stores)]
		g.Go(func() error {
			for r := range rounds {
				rec := record(fmt.Sprintf("o%d", r)) // every writer brings every order
				rec.AsOf = rec.AsOf.Add(time.Duration(w) * time.Second)
				rec.SageID = int64(w + 1)
				if err := s.RecordOrder(ctx, rec); err != nil && !isStale(err) {
					return err
				}
				if err := s.Park(ctx, store.Parked{Location: here, Process: "P", ObjectID: "shared", Kind: "Money", ParkedAt: monday}); err != nil {
					return err
				}
				links := []store.Link{
					{Location: here, Kind: store.Product, ExtID: fmt.Sprint(r % 5), SageID: 1},
					{Location: here, Kind: store.Product, ExtID: fmt.Sprint((r + w) % 5), SageID: 2},
				}
				if err := s.PutLinks(ctx, links...); err != nil {
					return err
				}
				if _, _, err := s.Orders(ctx, store.OrderFilter{Location: here}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	for r := range rounds {
		rec, found, err := stores[0].Order(t.Context(), here, fmt.Sprintf("o%d", r))
		require.NoError(t, err)
		require.True(t, found)
		require.EqualValues(t, writers, rec.SageID, "the newest news won, whoever came last")
	}
	p, _, err := stores[1].ParkedItem(t.Context(), here, "P", "shared")
	require.NoError(t, err)
	require.Equal(t, writers*rounds, p.Attempts, "no attempt was lost")
}

func testConcurrentOpeners(t *testing.T, url string) {
	const openers = 4
	stores := make([]*store.Store, openers)
	g, ctx := errgroup.WithContext(t.Context())
	for i := range stores {
		g.Go(func() (err error) {
			stores[i], err = store.Open(ctx, url)
			return err
		})
	}
	require.NoError(t, g.Wait())
	for _, s := range stores {
		require.NoError(t, s.SetCursor(t.Context(), here, "c", monday))
		require.NoError(t, s.Close())
	}
}

func testMigrations(t *testing.T, url string) {
	s := open(t, url, store.WithoutMigrations())
	list, err := s.Migrations(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, list)
	for _, m := range list {
		require.False(t, m.Applied)
	}
	done, err := s.Migrate(t.Context())
	require.NoError(t, err)
	require.Len(t, done, len(list))
	done, err = s.Migrate(t.Context())
	require.NoError(t, err)
	require.Empty(t, done)
	list, err = s.Migrations(t.Context())
	require.NoError(t, err)
	for _, m := range list {
		require.True(t, m.Applied)
	}
}

// testOrderWithSightings records both or neither.
func testOrderWithSightings(t *testing.T, s *store.Store) {
	ctx := t.Context()
	seen := []store.Sighting{
		{Location: here, Kind: store.OrderSighting, ID: "o1", Digest: "a", SeenAt: monday},
		{Location: here, Kind: store.TransactionSighting, ID: "t1", Digest: "b", SeenAt: monday},
	}
	newer := record("o1")
	require.NoError(t, s.RecordOrder(ctx, newer, seen...))
	unseen, err := s.Unseen(ctx, seen)
	require.NoError(t, err)
	require.Empty(t, unseen)

	older := newer
	older.AsOf = newer.AsOf.Add(-time.Hour)
	later := store.Sighting{Location: here, Kind: store.TransactionSighting, ID: "t2", Digest: "c", SeenAt: monday}
	require.ErrorIs(t, s.RecordOrder(ctx, older, later), store.ErrStale)
	unseen, err = s.Unseen(ctx, []store.Sighting{later})
	require.NoError(t, err)
	require.Len(t, unseen, 1, "what was refused is not seen either")
	require.Error(t, s.RecordOrder(ctx, newer, store.Sighting{Location: here, Kind: store.OrderSighting}))
}
