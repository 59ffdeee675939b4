package books_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/books"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/internal/testkit/postgres"
)

// nowhere is the context of what a property test does, which has none of its own.
var nowhere = context.Background()

const here = "location-here"

var (
	// now is when the reports of the tests are made; seen is long before, so that nothing is in flight.
	now   = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	seen  = now.AddDate(0, 0, -10)
	month = domain.Recurrence{Unit: domain.UnitMonth, Count: 1}
	year  = domain.Recurrence{Unit: domain.UnitYear, Count: 1}
)

func october(day int) time.Time { return time.Date(2026, 10, day, 9, 30, 0, 0, time.UTC) }

func money(minor int64, currency domain.Currency) domain.Money {
	return domain.NewMoney(minor, currency)
}

func euro(minor int64) domain.Money { return money(minor, "EUR") }

func open(t *testing.T, address string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func onSQLite(t *testing.T) *store.Store {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "books.db"))
}

// onBoth runs a test on either database.
func onBoth(t *testing.T, test func(*testing.T, *store.Store)) {
	t.Run("sqlite", func(t *testing.T) { test(t, onSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, open(t, postgres.Start(t).URL(t))) })
}

// entry is what HighLevel says; at Sage the same as a record.
func entry(kind domain.EntryKind, id string, amount domain.Money, change ...func(*store.LedgerEntry)) store.LedgerEntry {
	status := map[domain.EntryKind]string{
		domain.OrderEntry: domain.OrderDue, domain.PaymentEntry: string(domain.Settled),
		domain.RefundEntry: domain.RefundDone, domain.SubscriptionEntry: string(domain.SubscriptionActive),
	}[kind]
	e := store.LedgerEntry{Location: here, SeenAt: seen, Entry: domain.Entry{
		Kind: kind, Side: domain.HighLevelSide, ID: id, Amount: amount, Status: status, At: october(3), UpdatedAt: october(3),
	}}
	for _, c := range change {
		c(&e)
	}
	return e
}

// asRecord puts an entry to Sage's side.
func asRecord(e store.LedgerEntry, record string, change ...func(*store.LedgerEntry)) store.LedgerEntry {
	e.Side, e.Record, e.ExtID, e.Apart = domain.SageSide, record, "ghl:txn:"+e.ID, false
	for _, c := range change {
		c(&e)
	}
	return e
}

func put(t *testing.T, s *store.Store, entries ...store.LedgerEntry) {
	t.Helper()
	require.NoError(t, s.PutEntries(t.Context(), entries))
}

func query() books.Query {
	return books.Query{Location: here, Now: now, DifferenceAge: 30 * time.Minute}
}

func compare(t *testing.T, s *store.Store, q books.Query) ([]books.Row, books.Summary) {
	t.Helper()
	var rows []books.Row
	sum, err := books.Compare(t.Context(), s, q, func(r books.Row) error {
		rows = append(rows, r)
		return nil
	})
	require.NoError(t, err)
	return rows, sum
}

// printed is the comparison in a format.
func printed(t *testing.T, s *store.Store, q books.Query, format string, plan *books.Plan) string {
	t.Helper()
	var out strings.Builder
	printer, err := books.NewPrinter(format, &out, q)
	require.NoError(t, err)
	sum, err := books.Compare(t.Context(), s, q, func(r books.Row) error {
		if plan != nil {
			require.NoError(t, plan.Add(t.Context(), r))
		}
		return printer.Row(r)
	})
	require.NoError(t, err)
	require.NoError(t, printer.End(sum, plan))
	return out.String()
}

// plant fills a ledger in which each cause and each finding is met once: what is named "good" agrees.
func plant(t *testing.T, s *store.Store) {
	t.Helper()
	of := func(order string) func(*store.LedgerEntry) {
		return func(e *store.LedgerEntry) { e.OrderID = order }
	}
	pay := func(id string, minor int64, change ...func(*store.LedgerEntry)) store.LedgerEntry {
		return entry(domain.PaymentEntry, id, euro(minor), change...)
	}
	young := func(e *store.LedgerEntry) { e.SeenAt = now.Add(-time.Minute) }
	edited := func(e *store.LedgerEntry) { e.Edited = true }
	good, dear, late, twice := pay("good", 10000), pay("dear", 5000), pay("late", 700), pay("twice", 300)
	dollars := entry(domain.PaymentEntry, "dollars", money(2500, "USD"), func(e *store.LedgerEntry) { e.Apart = true })
	sub := entry(domain.SubscriptionEntry, "s1", euro(900), func(e *store.LedgerEntry) { e.Every, e.Next, e.Name = month, october(31), "Gold" })
	order, unbooked := entry(domain.OrderEntry, "o1", euro(10000)), entry(domain.OrderEntry, "o2", euro(1200))
	put(t, s,
		good, asRecord(good, "1"), order, asRecord(order, "11"), unbooked,
		pay("stuck", 1200, of("o2")), pay("lost", 450, of("o3")), pay("fresh", 80, young),
		dear, asRecord(dear, "2", edited, func(e *store.LedgerEntry) { e.Amount = euro(4000) }),
		late, asRecord(late, "3", func(e *store.LedgerEntry) { e.At = october(9) }),
		twice, asRecord(twice, "4"), asRecord(twice, "5", func(e *store.LedgerEntry) { e.UpdatedAt = october(4) }),
		asRecord(pay("", 60), "6", func(e *store.LedgerEntry) { e.ExtID, e.Edited = "=cmd|' /C calc'!A0", true }),
		pay("erased", 150), asRecord(pay("erased", 150), "7", func(e *store.LedgerEntry) { e.Gone = true }),
		dollars,
		entry(domain.RefundEntry, "good", euro(2000)), asRecord(entry(domain.RefundEntry, "good", euro(2000)), "8"),
		sub, asRecord(sub, "9", func(e *store.LedgerEntry) { e.Status = string(domain.SubscriptionPaused) }),
	)
	require.NoError(t, s.Park(t.Context(), store.Parked{Location: here, Process: store.PaymentToOrder, ObjectID: "o2", Kind: "Mapping",
		Reason: "SAGE_ORDER_STATUS_WON is not set:\tchoose one", ParkedAt: seen}))
	require.NoError(t, s.Park(t.Context(), store.Parked{Location: here, Process: store.Fulfillment, ObjectID: "o3", Kind: "Invalid",
		Reason: "of no matter here", ParkedAt: seen}))
}
