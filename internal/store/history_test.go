package store_test

import (
	"context"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// nowhere is the context of what a property test does, which has none of its own.
var nowhere = context.Background()

// refund is what HighLevel says was given back of a payment so far.
func refund(id string, at, updated, seen time.Time, amount domain.Money) store.LedgerEntry {
	e := payment(id, at, amount)
	e.Kind, e.Status, e.UpdatedAt, e.SeenAt = domain.RefundEntry, domain.RefundDone, kept(updated), kept(seen)
	return e
}

func refundSteps(t require.TestingT, s *store.Store, id string) (told []string) {
	steps, err := s.RefundSteps(nowhere, here, id, "another")
	require.NoError(t, err)
	for _, step := range steps[id] {
		require.Equal(t, id, step.ID)
		told = append(told, fmt.Sprint(step.At.Format("01-02 15h "), step.Amount, " up to ", step.UpTo))
	}
	return told
}

// testRefundSteps: what a refund grew and fell by, with the time of each.
func testRefundSteps(t *testing.T, s *store.Store) {
	ctx := t.Context()
	at := func(month, day, hour int) time.Time {
		return time.Date(2026, time.Month(month), day, hour, 0, 0, 0, time.UTC)
	}
	put := func(e store.LedgerEntry) { require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{e})) }
	first := refund("t", at(1, 5, 9), at(1, 5, 9), at(1, 5, 10), euro(500))
	put(first)
	put(first)
	again := refund("t", at(1, 5, 9), at(1, 6, 9), at(1, 6, 10), euro(500))
	put(again)
	require.Equal(t, []string{"01-05 09h 5.00 EUR up to 5.00 EUR"}, refundSteps(t, s, "t"), "seen again is no step")
	put(refund("t", at(1, 5, 9), at(2, 7, 9), at(2, 7, 10), euro(800)))
	put(refund("t", at(1, 5, 9), at(2, 1, 9), at(2, 7, 9), euro(600)))
	put(refund("t", at(1, 5, 9), time.Time{}, at(3, 1, 10), euro(700)))
	put(refund("t", at(1, 5, 9), at(2, 7, 9), at(4, 1, 10), euro(1000)))
	put(refund("t", at(1, 5, 9), at(6, 1, 9), at(5, 1, 10), euro(1001)))
	require.Equal(t, []string{
		"01-05 09h 5.00 EUR up to 5.00 EUR", "02-07 09h 3.00 EUR up to 8.00 EUR", "03-01 10h -1.00 EUR up to 7.00 EUR",
		"04-01 10h 3.00 EUR up to 10.00 EUR", "05-01 10h 0.01 EUR up to 10.01 EUR",
	}, refundSteps(t, s, "t"), "older news are no step, and a change that tells no new time has the time at which it was seen")
	put(refund("t", at(1, 9, 9), at(6, 1, 9), at(6, 2, 10), domain.NewMoney(1001, "USD")))
	put(refund("t", at(1, 9, 9), at(6, 3, 9), at(6, 3, 10), domain.NewMoney(0, "USD")))
	require.Equal(t, []string{
		"01-09 09h 5.00 EUR up to 5.00 EUR", "02-07 09h 3.00 EUR up to 8.00 EUR", "03-01 10h -1.00 EUR up to 7.00 EUR",
		"04-01 10h 3.00 EUR up to 10.00 EUR", "05-01 10h 0.01 EUR up to 10.01 EUR",
		"06-01 09h -10.01 EUR up to 0.00 EUR", "06-01 09h 10.01 USD up to 10.01 USD", "06-03 09h -10.01 USD up to 0.00 USD",
	}, refundSteps(t, s, "t"), "the day of the first was corrected")
	atSage := row("t", "1", at(1, 5, 0), euro(500))
	atSage.Kind = domain.RefundEntry
	put(atSage)
	require.Len(t, refundSteps(t, s, "t"), 8, "Sage has rows of its own")
	put(refund("none", at(1, 5, 9), at(1, 5, 9), at(1, 5, 10), euro(0)))
	require.Empty(t, refundSteps(t, s, "none"))
	require.Empty(t, refundSteps(t, s, "unknown"))
}

// months are the sums of refunds by month and side.
func months(t *testing.T, s *store.Store, f store.SumFilter) (told []string) {
	t.Helper()
	f.Location, f.Kind = here, domain.RefundEntry
	sums, err := s.Sums(t.Context(), f)
	require.NoError(t, err)
	for _, u := range sums {
		told = append(told, fmt.Sprint(u.Month.Format("2006-01 "), u.Side, " ", u.Count, " ", u.Amount, u.ProductID))
	}
	return told
}

// testRefundsByMonth: both sides have each part of a refund in its own month.
func testRefundsByMonth(t *testing.T, s *store.Store) {
	january, march, april := monday.AddDate(0, -2, 0), monday, monday.AddDate(0, 1, 0)
	part := func(record string, day time.Time, upTo, minor int64) store.LedgerEntry {
		e := row("t", record, day, euro(minor))
		e.Kind, e.ExtID, e.Status = domain.RefundEntry, domain.RefundExtID("t", upTo), domain.RefundDone
		return e
	}
	test := refund("test", january, january, january, euro(999))
	test.Test = true
	require.NoError(t, s.PutEntries(t.Context(), []store.LedgerEntry{
		payment("t", january, euro(2000)), refund("t", january, january, january, euro(500)), test, part("1", january, 500, 500),
	}))
	require.NoError(t, s.PutEntries(t.Context(), []store.LedgerEntry{refund("t", january, march, march, euro(800)), part("2", march, 800, 300)}))
	require.NoError(t, s.PutEntries(t.Context(), []store.LedgerEntry{refund("t", january, april, april, euro(0))}))
	for _, f := range []store.SumFilter{{}, {ByProduct: true}} {
		product := map[bool]string{true: "p1"}[f.ByProduct]
		var want []string
		for _, line := range []string{"2026-01 ghl 1 5.00 EUR", "2026-01 sage 1 5.00 EUR", "2026-03 ghl 1 3.00 EUR", "2026-03 sage 1 3.00 EUR", "2026-04 ghl 1 -8.00 EUR"} {
			want = append(want, line+product)
		}
		require.Equal(t, want, months(t, s, f))
		f.From, f.Before = march, april
		require.Equal(t, want[2:4], months(t, s, f))
		f.Side = domain.SageSide
		require.Equal(t, want[3:4], months(t, s, f))
	}
}

// testOrderProducts: they are replaced with their order, and older news replace nothing.
func testOrderProducts(t *testing.T, s *store.Store) {
	ctx := t.Context()
	rec := record("o1")
	rec.Products = []store.OrderProduct{{ProductID: "", Name: "Gift wrap", Amount: euro(10)}, {ProductID: "p1", Name: "Mug", Amount: euro(15000)}}
	require.NoError(t, s.RecordOrder(ctx, rec))
	products := func(id string) []store.OrderProduct {
		got, err := s.OrderProducts(ctx, here, id)
		require.NoError(t, err)
		return got
	}
	require.Equal(t, rec.Products, products("o1"))
	older := rec
	older.AsOf, older.Products = rec.AsOf.Add(-time.Hour), nil
	require.ErrorIs(t, s.RecordOrder(ctx, older), store.ErrStale)
	require.Equal(t, rec.Products, products("o1"))
	newer := rec
	newer.AsOf, newer.Products = rec.AsOf.Add(time.Hour), rec.Products[1:]
	require.NoError(t, s.RecordOrder(ctx, newer))
	require.Equal(t, newer.Products, products("o1"))
	bad := newer
	bad.Products = []store.OrderProduct{{ProductID: "p1", Amount: euro(-1)}}
	require.ErrorIs(t, s.RecordOrder(ctx, bad), domain.ErrMoney)
	require.Equal(t, newer.Products, products("o1"))
	newer.Products = nil
	require.NoError(t, s.RecordOrder(ctx, newer))
	require.Empty(t, products("o1"))
	var many []store.OrderProduct
	for i := range 450 {
		many = append(many, store.OrderProduct{ProductID: fmt.Sprintf("p%04d", i), Amount: euro(int64(i))})
	}
	newer.Products = many
	require.NoError(t, s.RecordOrder(ctx, newer))
	require.Equal(t, many, products("o1"))
}

// testShares shares a payment of 100.00 out over three products of equal price, and all that is given back of it.
func testShares(t *testing.T, s *store.Store) {
	ctx := t.Context()
	rec := record("order-of-t")
	rec.Total, rec.Paid, rec.Refunded = euro(10000), euro(10000), euro(0)
	for _, id := range []string{"a", "b", "c"} {
		rec.Products = append(rec.Products, store.OrderProduct{ProductID: id, Name: "name of " + id, Amount: euro(4000)})
	}
	require.NoError(t, s.RecordOrder(ctx, rec))
	paid := payment("t", monday, euro(10000))
	paid.ProductID, paid.SubscriptionID = "", ""
	atSage := row("t", "1", monday, euro(10000))
	atSage.ProductID, atSage.SubscriptionID, atSage.OrderID = "", "", "" // as Sage's rows of sales are
	plan := plan("s", domain.SubscriptionActive, euro(2500), domain.Recurrence{Unit: domain.UnitMonth, Count: 1}, monday, time.Time{}, time.Time{})
	plan.SubscriptionID, plan.ProductID = "gateway", "gold"
	first, renewal := payment("first", monday, euro(10000)), payment("renewal", monday, euro(2500))
	for _, e := range []*store.LedgerEntry{&first, &renewal} {
		e.ProductID, e.SubscriptionID, e.OrderID = "", "gateway", "order-of-t"
	}
	unknown := payment("u", monday, euro(7))
	unknown.ProductID, unknown.SubscriptionID = "", ""
	nameless, ofNameless := plan, payment("n", monday, euro(3))
	nameless.ID, nameless.SubscriptionID, nameless.ProductID, nameless.Name = "s2", "gateway 2", "", "Silver"
	ofNameless.SubscriptionID, ofNameless.ProductID = "gateway 2", ""
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{paid, atSage, plan, first, renewal, unknown, nameless, ofNameless}))
	told := func(f store.SumFilter) (list []string) {
		f.Location = here
		sums, err := s.Sums(ctx, f)
		require.NoError(t, err)
		for _, u := range sums {
			list = append(list, fmt.Sprint(u.Side, " ", u.ProductID, u.SubscriptionID, " (", u.ProductName, ") ", u.Count, " ", u.Amount))
		}
		return list
	}
	require.Equal(t, []string{
		"ghl  () 1 0.07 EUR", "ghl  (Silver) 1 0.03 EUR", "ghl a (name of a) 2 66.68 EUR", "ghl b (name of b) 2 66.66 EUR", "ghl c (name of c) 2 66.66 EUR", "ghl gold (Gold) 1 25.00 EUR",
		"sage a (name of a) 1 33.34 EUR", "sage b (name of b) 1 33.33 EUR", "sage c (name of c) 1 33.33 EUR",
	}, told(store.SumFilter{Kind: domain.PaymentEntry, ByProduct: true}),
		"the first payment of a subscription is all that its order came to, a renewal is not")
	require.Equal(t, []string{"ghl  () 2 100.07 EUR", "ghl s () 2 125.00 EUR", "ghl s2 () 1 0.03 EUR", "sage  () 1 100.00 EUR"},
		told(store.SumFilter{Kind: domain.PaymentEntry, BySubscription: true}), "known by HighLevel's id, not by the provider's")

	part := func(record string, upTo, minor int64) store.LedgerEntry {
		e := row("t", record, monday, euro(minor))
		e.Kind, e.ExtID, e.Status, e.ProductID, e.OrderID = domain.RefundEntry, domain.RefundExtID("t", upTo), domain.RefundDone, "", ""
		return e
	}
	back := refund("t", monday, monday, monday, euro(5000))
	back.ProductID, back.SubscriptionID = "", ""
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{back, part("2", 5000, 5000), part("3", 10000, 5000)}))
	back.Amount, back.SeenAt = euro(10000), back.SeenAt.Add(time.Hour)
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{back}))
	require.Equal(t, []string{
		"ghl a (name of a) 2 33.34 EUR", "ghl b (name of b) 2 33.33 EUR", "ghl c (name of c) 2 33.33 EUR",
		"sage a (name of a) 2 33.34 EUR", "sage b (name of b) 2 33.33 EUR", "sage c (name of c) 2 33.33 EUR",
	}, told(store.SumFilter{Kind: domain.RefundEntry, ByProduct: true}), "two halves of it are all of it, at each product")
}

// testSubscriptionHistory: an upgrade, a pause and an end change the months after them and no other.
func testSubscriptionHistory(t *testing.T, s *store.Store) {
	ctx := t.Context()
	monthly := domain.Recurrence{Unit: domain.UnitMonth, Count: 1}
	at := func(month, day int) time.Time { return time.Date(2026, time.Month(month), day, 12, 0, 0, 0, time.UTC) }
	put := func(state domain.SubscriptionState, product string, minor int64, when, until time.Time) {
		e := plan("s", state, euro(minor), monthly, at(1, 10), until, time.Time{})
		e.ProductID, e.UpdatedAt, e.SeenAt = product, kept(when), kept(when.Add(time.Hour))
		require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{e}))
	}
	none := time.Time{}
	put(domain.SubscriptionTrialing, "gold", 1000, at(1, 10), none)
	put(domain.SubscriptionActive, "gold", 1000, at(2, 10), none)
	put(domain.SubscriptionActive, "gold", 1500, at(3, 10), none)
	put(domain.SubscriptionActive, "gold", 1500, at(3, 20), none)
	put(domain.SubscriptionActive, "platin", 1200, at(4, 10), none)
	put(domain.SubscriptionPaused, "platin", 1200, at(5, 10), none)
	put(domain.SubscriptionActive, "platin", 1200, at(6, 10), none)
	put(domain.SubscriptionCancelled, "platin", 1200, at(8, 5), at(7, 31)) // told late
	told := func(by store.SubscriptionGrouping) (list []string) {
		for month := 1; month <= 8; month++ {
			sums, err := s.SubscriptionSums(ctx, here, at(month, 1), by)
			require.NoError(t, err)
			for _, r := range sums {
				require.Zero(t, r.Assumed)
				list = append(list, fmt.Sprintf("%d %s: %d + %d + %d - %d - %d = %d, new %d, churned %d", month, r.ProductID, r.Start.Minor, r.Gained.Minor,
					r.Expansion.Minor, r.Contraction.Minor, r.Lost.Minor, r.Monthly.Minor, r.New.Count, r.Churned.Count))
			}
		}
		return list
	}
	require.Equal(t, []string{
		"1 : 0 + 0 + 0 - 0 - 0 = 0, new 1, churned 0",
		"2 : 0 + 1000 + 0 - 0 - 0 = 1000, new 0, churned 0",
		"3 : 1000 + 0 + 500 - 0 - 0 = 1500, new 0, churned 0",
		"4 : 1500 + 0 + 0 - 300 - 0 = 1200, new 0, churned 0",
		"5 : 1200 + 0 + 0 - 0 - 1200 = 0, new 0, churned 0",
		"6 : 0 + 1200 + 0 - 0 - 0 = 1200, new 0, churned 0",
		"7 : 1200 + 0 + 0 - 0 - 1200 = 0, new 0, churned 1",
	}, told(store.AllSubscriptions))
	require.Equal(t, []string{
		"4 gold: 1500 + 0 + 0 - 1500 - 0 = 0, new 0, churned 0",
		"4 platin: 0 + 0 + 1200 - 0 - 0 = 1200, new 0, churned 0",
	}, told(store.ByProduct)[3:5])
}

// testLateHistory: what was before the first state is taken to have been that state, and said to be.
func testLateHistory(t *testing.T, s *store.Store) {
	ctx := t.Context()
	e := plan("s", domain.SubscriptionActive, euro(900), domain.Recurrence{Unit: domain.UnitMonth, Count: 1}, monday.AddDate(-1, 0, 0), time.Time{}, time.Time{})
	e.UpdatedAt = kept(monday.Add(time.Hour)) // a clock ahead of ours tells nothing
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{e}))
	of := func(month time.Time) store.Recurring {
		sums, err := s.SubscriptionSums(ctx, here, month, store.AllSubscriptions)
		require.NoError(t, err)
		require.Len(t, sums, 1)
		return sums[0]
	}
	for _, c := range []struct {
		month   time.Time
		assumed int64
	}{{monday.AddDate(0, -3, 0), 1}, {monday, 1}, {monday.AddDate(0, 1, 0), 0}} {
		r := of(c.month)
		require.Equal(t, euro(900), r.Monthly)
		require.Equal(t, c.assumed, r.Assumed)
		require.Equal(t, c.assumed > 0, r.KnownSince.Equal(e.SeenAt))
	}
	later := e
	later.Amount, later.UpdatedAt, later.SeenAt = euro(1000), kept(monday), kept(monday.Add(-time.Second)) // older than what is kept
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{later}))
	require.Equal(t, euro(900), of(monday.AddDate(0, 1, 0)).Monthly)
	later.SeenAt = e.SeenAt // at the same moment, and yet another state
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{later}))
	require.Equal(t, euro(1000), of(monday.AddDate(0, 1, 0)).Monthly)
	require.Equal(t, euro(900), of(monday.AddDate(0, -1, 0)).Monthly)
	later.Gone, later.SeenAt = true, e.SeenAt.Add(time.Hour)
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{later}))
	sums, err := s.SubscriptionSums(ctx, here, monday, store.AllSubscriptions)
	require.NoError(t, err)
	require.Empty(t, sums)
}

// testUpgradeOfBooks opens a database of which nobody kept a history.
func testUpgradeOfBooks(t *testing.T, address string) {
	ctx := t.Context()
	s := open(t, address)
	back := refund("t", monday, monday.AddDate(0, 1, 0), monday.AddDate(0, 1, 0), euro(500))
	sub := plan("s", domain.SubscriptionActive, euro(900), domain.Recurrence{Unit: domain.UnitMonth, Count: 1}, monday, time.Time{}, time.Time{})
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{back, sub}))
	migrateTo(t, address, 4)
	require.Error(t, s.PutEntries(ctx, []store.LedgerEntry{back}))
	_, err := s.Migrate(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{monday.UTC().Format("01-02 15h ") + "5.00 EUR up to 5.00 EUR"}, refundSteps(t, s, "t"))
	sums, err := s.SubscriptionSums(ctx, here, monday, store.AllSubscriptions)
	require.NoError(t, err)
	require.Len(t, sums, 1)
	require.Equal(t, euro(900), sums[0].Monthly)
}

// testRefundRace: many write what they saw of one refund; each sum that was kept is a step, and the steps lead to the last.
func testRefundRace(t *testing.T, address string) {
	stores := []*store.Store{open(t, address), open(t, address)}
	var group errgroup.Group
	for w := range 8 {
		group.Go(func() error {
			for i := range 10 {
				seen := monday.Add(time.Duration(i*8+w) * time.Minute)
				if err := stores[w%2].PutEntries(t.Context(), []store.LedgerEntry{refund("t", monday, seen, seen, euro(int64(1+i*8+w)))}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	steps, err := stores[0].RefundSteps(t.Context(), here, "t")
	require.NoError(t, err)
	sum := int64(0)
	for _, step := range steps["t"] {
		sum += step.Amount.Minor
		require.Equal(t, sum, step.UpTo.Minor)
		require.Positive(t, step.Amount.Minor)
	}
	require.EqualValues(t, 80, sum)
}

// testStatistics: when a long run has ended, the database has counted what it brought, and so it has after a migration.
func testStatistics(t *testing.T, address string) {
	s := open(t, address)
	var all []store.LedgerEntry
	for i := range 500 {
		all = append(all, payment(fmt.Sprint("t", i), monday, euro(1)))
	}
	require.NoError(t, s.PutEntries(t.Context(), all))
	run := store.Progress{Location: here, Run: "backfill", UpdatedAt: monday}
	require.NoError(t, s.PutProgress(t.Context(), run))
	run.EndedAt = monday
	require.NoError(t, s.PutProgress(t.Context(), run))
	statement := `SELECT COUNT(*) FROM sqlite_stat1 WHERE tbl = 'entries'`
	if strings.HasPrefix(address, "postgres") {
		statement = `SELECT CAST(reltuples AS BIGINT) / 500 FROM pg_class WHERE relname = 'entries' AND relkind = 'r'`
	}
	counted := func() (n int64) {
		require.NoError(t, raw(t, address).QueryRow(statement).Scan(&n))
		return n
	}
	require.Positive(t, counted())

	migrateTo(t, address, 6)
	forget := `DELETE FROM sqlite_stat1`
	if strings.HasPrefix(address, "postgres") {
		forget = `UPDATE pg_class SET reltuples = -1 WHERE relname = 'entries' AND relkind = 'r'`
	}
	_, err := raw(t, address).Exec(forget)
	require.NoError(t, err)
	require.LessOrEqual(t, counted(), int64(0))
	open(t, address)
	require.Positive(t, counted(), "an older database is counted once it is migrated")
}

// TestSumsNeedNoStatistics: until the first statistics, as early in a backfill, sums by product take about as long as with
// them, not a time that grows with payments times subscriptions.
func TestSumsNeedNoStatistics(t *testing.T) {
	s := onSQLite(t)
	var all []store.LedgerEntry
	for i := range 1500 {
		paid, plan := payment(fmt.Sprint("t", i), monday, euro(1)), payment(fmt.Sprint("s", i), monday, euro(1))
		paid.ProductID, paid.SubscriptionID = "", fmt.Sprint("gateway", i)
		plan.Kind, plan.SubscriptionID = domain.SubscriptionEntry, paid.SubscriptionID
		all = append(all, paid, plan)
	}
	require.NoError(t, s.PutEntries(t.Context(), all))
	fastest := func() time.Duration {
		best := time.Hour
		for range 3 {
			began := time.Now()
			sums, err := s.Sums(t.Context(), store.SumFilter{Location: here, Kind: domain.PaymentEntry, ByProduct: true})
			best = min(best, time.Since(began))
			require.NoError(t, err)
			require.Len(t, sums, 1)
			require.EqualValues(t, len(all)/2, sums[0].Count)
		}
		return best
	}
	without := fastest()
	require.NoError(t, s.PutProgress(t.Context(), store.Progress{Location: here, Run: "backfill", UpdatedAt: monday, EndedAt: monday}))
	require.Less(t, without, 8*fastest())
}

func onSQLite(t *testing.T) *store.Store {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "books.db"))
}

// TestStepsAddUp: whatever a refund grows and falls by, its steps make up what was given back so far, and what they are
// shared out over products by makes up the same.
func TestStepsAddUp(t *testing.T) {
	s := onSQLite(t)
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		id := fmt.Sprint("t", n)
		rec := record("order-of-" + id)
		weights := rapid.SliceOfN(rapid.Int64Range(0, 1e6), 0, 5).Draw(r, "weights")
		total := int64(0)
		for i, w := range weights {
			rec.Products = append(rec.Products, store.OrderProduct{ProductID: fmt.Sprint(id, "-", i), Amount: euro(w)})
			total += w
		}
		require.NoError(r, s.RecordOrder(nowhere, rec))
		paid := rapid.Int64Range(0, 1e7).Draw(r, "paid")
		pay := payment(id, monday, euro(paid))
		pay.ProductID, pay.SubscriptionID = "", ""
		require.NoError(r, s.PutEntries(nowhere, []store.LedgerEntry{pay}))
		back := rapid.SliceOfN(rapid.Int64Range(0, paid), 0, 6).Draw(r, "refunds")
		back = append(back, paid)
		for i, upTo := range back {
			seen := monday.AddDate(0, i, 0)
			e := refund(id, monday, seen, seen, euro(upTo))
			e.ProductID, e.SubscriptionID = "", ""
			require.NoError(r, s.PutEntries(nowhere, []store.LedgerEntry{e}))
		}
		steps, err := s.RefundSteps(nowhere, here, id)
		require.NoError(r, err)
		sum := int64(0)
		for _, step := range steps[id] {
			sum += step.Amount.Minor
			require.Equal(r, sum, step.UpTo.Minor)
		}
		require.Equal(r, paid, sum)
		if total == 0 {
			return
		}
		byKind := map[domain.EntryKind]map[string]int64{domain.PaymentEntry: {}, domain.RefundEntry: {}}
		for kind, products := range byKind {
			sums, err := s.Sums(nowhere, store.SumFilter{Location: here, Kind: kind, ByProduct: true})
			require.NoError(r, err)
			for _, u := range sums {
				if slices.ContainsFunc(rec.Products, func(p store.OrderProduct) bool { return p.ProductID == u.ProductID }) {
					products[u.ProductID] += u.Amount.Minor
				}
			}
		}
		all := int64(0)
		for i, w := range weights {
			got := byKind[domain.PaymentEntry][fmt.Sprint(id, "-", i)]
			all += got
			exact := new(big.Rat).Mul(big.NewRat(w, total), new(big.Rat).SetInt64(paid))
			exact.Sub(exact, new(big.Rat).SetInt64(got))
			require.Negative(r, exact.Abs(exact).Cmp(big.NewRat(1, 1)), "%d of %d is less than a unit off", got, paid)
			require.Equal(r, got, byKind[domain.RefundEntry][fmt.Sprint(id, "-", i)], "given back whole")
		}
		require.Equal(r, paid, all)
	})
}

// change is what a subscription was from a moment on.
type change struct {
	since time.Time
	entry store.LedgerEntry
}

// madeBy is the recurring revenue of subscriptions before a moment, from what is known of each, in fractions.
func madeBy(histories [][]change, moment time.Time, product string) *big.Rat {
	year := map[string]int64{domain.UnitDay: 365, domain.UnitWeek: 52, domain.UnitMonth: 12, domain.UnitYear: 1}
	sum := new(big.Rat)
	for _, history := range histories {
		then := history[0].entry
		for _, c := range history {
			if c.since.Before(moment) {
				then = c.entry
			}
		}
		last := history[len(history)-1].entry
		if !last.Until.IsZero() && last.Until.Before(moment) {
			then = last
		}
		begun := then.At.Before(moment)
		ended := !then.Until.IsZero() && then.Until.Before(moment)
		earns := then.Status != string(domain.SubscriptionPaused)
		if begun && !ended && earns && (product == "" || product == then.ProductID) {
			sum.Add(sum, big.NewRat(then.Amount.Minor*year[then.Every.Unit], 12*then.Every.Count))
		}
	}
	return sum
}

// TestRecurringRevenueAddsUp: start and end of any month are those that any history makes them, the end of a month is the
// start of the next, and the movements lead from one to the other, to the minor unit.
func TestRecurringRevenueAddsUp(t *testing.T) {
	s := onSQLite(t)
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		location := fmt.Sprint("location-", n)
		first := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
		var histories [][]change
		for i := range rapid.IntRange(1, 6).Draw(r, "subscriptions") {
			histories = append(histories, drawnHistory(r, location, fmt.Sprint("s", i), first))
		}
		for _, history := range histories {
			for _, c := range history {
				require.NoError(r, s.PutEntries(nowhere, []store.LedgerEntry{c.entry}))
			}
		}
		before := map[string]domain.Money{}
		for month := range 8 {
			begin := first.AddDate(0, month, 0)
			ends := map[string]domain.Money{}
			for _, by := range []store.SubscriptionGrouping{store.AllSubscriptions, store.ByProduct, store.BySubscription} {
				sums, err := s.SubscriptionSums(nowhere, location, begin, by)
				require.NoError(r, err)
				for _, u := range sums {
					key := string(by) + u.ProductID + u.SubscriptionID
					for _, moved := range []domain.Money{u.Gained, u.Expansion, u.Contraction, u.Lost} {
						require.GreaterOrEqual(r, moved.Minor, int64(0))
					}
					require.Equal(r, u.Monthly.Minor, u.Start.Minor+u.Gained.Minor+u.Expansion.Minor-u.Contraction.Minor-u.Lost.Minor)
					if last, known := before[key]; known || month > 0 {
						require.Equal(r, last.Minor, u.Start.Minor, "%s in month %d", key, month)
					}
					ends[key] = u.Monthly
					if by == store.BySubscription {
						continue
					}
					for moment, got := range map[time.Time]domain.Money{begin: u.Start, begin.AddDate(0, 1, 0): u.Monthly} {
						off := madeBy(histories, moment, u.ProductID)
						off.Sub(off, new(big.Rat).SetInt64(got.Minor))
						require.LessOrEqual(r, off.Abs(off).Cmp(big.NewRat(1, 2)), 0, "%s of %s on %s", got, key, moment)
					}
				}
			}
			for key, last := range before {
				_, there := ends[key]
				require.True(r, there || last.IsZero(), "%s earned when month %d began", key, month)
			}
			before = ends
		}
	})
}

// drawnHistory is a subscription that is changed now and then, and may end, which may be told late.
func drawnHistory(r *rapid.T, location, id string, first time.Time) (history []change) {
	moment := func(label string) time.Time {
		month, day := rapid.IntRange(0, 5).Draw(r, label), rapid.SampledFrom([]int{1, 2, 15, 28}).Draw(r, label+" day")
		return first.AddDate(0, month, day-1)
	}
	at := moment("at")
	when := at
	for i := range rapid.IntRange(1, 5).Draw(r, "changes") {
		every, _ := domain.RecurrenceOf(rapid.SampledFrom([]string{"day", "week", "month", "month", "year"}).Draw(r, "unit"), rapid.Int64Range(1, 3).Draw(r, "every"))
		e := plan(id, domain.SubscriptionActive, euro(rapid.Int64Range(0, 5000).Draw(r, "minor")), every, at, time.Time{}, time.Time{})
		e.Location, e.ProductID = location, rapid.SampledFrom([]string{"gold", "platin"}).Draw(r, "product")
		if rapid.IntRange(0, 4).Draw(r, "pauses") == 0 {
			e.Status = string(domain.SubscriptionPaused)
		}
		if i > 0 {
			when = when.AddDate(0, 0, rapid.IntRange(1, 60).Draw(r, "after"))
		}
		e.UpdatedAt, e.SeenAt = when, when.Add(time.Minute)
		history = append(history, change{when, e})
	}
	if rapid.Bool().Draw(r, "ends") {
		e := history[len(history)-1].entry
		e.Status = string(domain.SubscriptionCancelled)
		e.Until = moment("until")
		when = when.AddDate(0, 0, 1)
		if e.Until.After(when) {
			when = e.Until
		}
		e.UpdatedAt, e.SeenAt = when, when.Add(time.Minute)
		history = append(history, change{when, e})
	}
	return history
}
