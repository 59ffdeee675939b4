package store_test

import (
	"cmp"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// randomEntries are of all kinds, sides, statuses and currencies, many of them close to where a month begins.
func randomEntries(r *rand.Rand, n int) []store.LedgerEntry {
	list := make([]store.LedgerEntry, 0, n)
	for i := range n {
		at := time.Date(2024, time.Month(1+r.IntN(26)), 1, 0, 0, 0, 0, time.UTC)
		at = at.Add(pick(r, 0, -time.Microsecond, time.Microsecond, time.Duration(r.IntN(28*24))*time.Hour))
		if r.IntN(20) == 0 {
			at = time.Time{}
		}
		e := store.LedgerEntry{Location: here, SeenAt: kept(monday), Entry: domain.Entry{
			Kind: pick(r, domain.EntryKinds()...), Side: pick(r, domain.HighLevelSide, domain.SageSide), ID: fmt.Sprintf("id%d", i/2),
			ProductID: pick(r, "", "", "p1", "p2"), SubscriptionID: pick(r, "", "s1", "s2", "s3"),
			OrderID: pick(r, "", "o1", "o2", "o3", "unknown"), Amount: domain.NewMoney(r.Int64N(2_000_000)-1000,
				pick[domain.Currency](r, "EUR", "USD", "JPY")),
			Status: pick(r, domain.OrderDue, domain.OrderNotDue, string(domain.Settled), string(domain.Pending), string(domain.Failed), domain.RefundDone),
			At:     at.In(pick(r, time.UTC, time.FixedZone("east", 14*3600), time.FixedZone("west", -11*3600))),
			Test:   r.IntN(9) == 0, Gone: r.IntN(9) == 0, Apart: r.IntN(9) == 0,
		}}
		if r.IntN(9) == 0 {
			e.Amount.Minor = 0
		}
		if e.Side == domain.SageSide {
			e.Record = fmt.Sprint(i)
		}
		list = append(list, e)
	}
	// One entry of a key only: of HighLevel's there may be two of one id.
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(e store.LedgerEntry) bool {
		key := string(e.Kind) + string(e.Side) + e.ID + "/" + e.Record
		defer func() { seen[key] = true }()
		return seen[key]
	})
}

// sumKey is what a sum is of.
func sumKey(u store.Sum) string {
	return fmt.Sprint(u.Month.Format(time.RFC3339), u.Kind, u.Side, u.Amount.Currency, u.Apart, "/", u.ProductID, "/", u.SubscriptionID)
}

// randomOrders have products with and without a price and, one of them, the same product as a subscription.
func randomOrders() []store.OrderRecord {
	line := func(product string, minor int64) store.OrderProduct {
		name := "the " + product
		if product == "" {
			name = ""
		}
		return store.OrderProduct{ProductID: product, Name: name, Amount: euro(minor)}
	}
	orders := []store.OrderRecord{record("o1"), record("o2"), record("o3")}
	orders[0].Products = []store.OrderProduct{line("", 100), line("p1", 1000), line("p3", 333)}
	orders[1].Products = []store.OrderProduct{line("free", 0), line("p4", 0)}
	orders[2].Products = []store.OrderProduct{line("p5", 1)}
	for i := range orders {
		orders[i].State, orders[i].Refunded, orders[i].Paid = domain.Paid, euro(0), orders[i].Total
	}
	return orders
}

// belonging says independently of the store what an entry belongs to.
type belonging struct {
	payments map[string]domain.Entry
	plans    map[string]domain.Entry // by the provider's id, the first by HighLevel's
	orders   map[string]store.OrderRecord
}

func belongings(all []store.LedgerEntry, orders []store.OrderRecord) belonging {
	b := belonging{map[string]domain.Entry{}, map[string]domain.Entry{}, map[string]store.OrderRecord{}}
	for _, e := range all {
		switch {
		case e.Side == domain.SageSide:
		case e.Kind == domain.PaymentEntry:
			b.payments[e.ID] = e.Entry
		case e.Kind == domain.SubscriptionEntry && e.SubscriptionID != "":
			if first, known := b.plans[e.SubscriptionID]; !known || e.ID < first.ID {
				b.plans[e.SubscriptionID] = e.Entry
			}
		}
	}
	for _, o := range orders {
		b.orders[o.OrderID] = o
	}
	return b
}

// of is the subscription, and what of the entry's amount each product has.
func (b belonging) of(t *testing.T, e domain.Entry) (subscription string, shares map[string]int64) {
	product, order, gateway, paid := e.ProductID, e.OrderID, e.SubscriptionID, e.Amount.Minor
	var plan domain.Entry
	switch e.Kind {
	case domain.SubscriptionEntry:
		return e.ID, map[string]int64{product: e.Amount.Minor}
	case domain.OrderEntry:
		order, subscription = e.ID, gateway
	case domain.PaymentEntry, domain.RefundEntry:
		p := b.payments[e.ID]
		product, order, gateway = cmp.Or(product, p.ProductID), cmp.Or(p.OrderID, order), cmp.Or(p.SubscriptionID, gateway)
		if p.ID != "" {
			paid = p.Amount.Minor
		}
		plan = b.plans[gateway]
		subscription = cmp.Or(plan.ID, gateway)
	}
	o, known := b.orders[order]
	weight := int64(0)
	for _, p := range o.Products {
		weight += p.Amount.Minor
	}
	whole := known && o.Total.Currency == e.Amount.Currency && o.Total.Minor == paid
	switch {
	case product != "":
		return subscription, map[string]int64{product: e.Amount.Minor}
	case plan.ProductID != "" && (!whole || weight == 0):
		return subscription, map[string]int64{plan.ProductID: e.Amount.Minor}
	case weight == 0:
		return subscription, map[string]int64{"": e.Amount.Minor}
	}
	shares = map[string]int64{}
	sum := int64(0)
	for _, p := range o.Products {
		exact := big.NewRat(p.Amount.Minor, weight)
		exact.Mul(exact, new(big.Rat).SetInt64(e.Amount.Minor))
		shares[p.ProductID] = new(big.Int).Quo(exact.Num(), exact.Denom()).Int64()
		sum += shares[p.ProductID]
	}
	for sum != e.Amount.Minor { // the largest remainders, the first of equal ones
		best, most := "", new(big.Rat)
		for _, p := range o.Products {
			rest := big.NewRat(p.Amount.Minor, weight)
			rest.Mul(rest, new(big.Rat).SetInt64(e.Amount.Minor)).Sub(rest, new(big.Rat).SetInt64(shares[p.ProductID])).Abs(rest)
			if rest.Cmp(most) > 0 {
				best, most = p.ProductID, rest
			}
		}
		step := int64(cmp.Compare(e.Amount.Minor, sum))
		shares[best] += step
		sum += step
	}
	return subscription, shares
}

// testSums compares the database's sums with sums that are made here one by one.
func testSums(t *testing.T, s *store.Store) {
	r := rand.New(rand.NewPCG(5, 2026))
	all := randomEntries(r, 2500)
	elsewhere := payment("x", monday, euro(7))
	elsewhere.Location = there
	for i := range all { // some payments are all that their order came to
		if all[i].OrderID == "o1" && i%3 == 0 {
			all[i].Amount = record("o1").Total
		}
	}
	require.NoError(t, s.PutEntries(t.Context(), append(slices.Clone(all), elsewhere)))
	orders := randomOrders()
	for _, o := range orders {
		require.NoError(t, s.RecordOrder(t.Context(), o))
	}
	belong := belongings(all, orders)
	from, before := time.Date(2024, 5, 17, 8, 0, 0, 0, time.UTC), time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, f := range []store.SumFilter{
		{}, {ByProduct: true}, {BySubscription: true}, {ByProduct: true, BySubscription: true, From: from, Before: before},
		{From: from}, {Before: before}, {Kind: domain.RefundEntry}, {Side: domain.SageSide, Before: before},
		{Kind: domain.RefundEntry, ByProduct: true}, {Side: domain.SageSide, ByProduct: true}, {Kind: domain.PaymentEntry, BySubscription: true},
	} {
		f.Location = here
		want := map[string][2]int64{}
		for _, e := range all {
			if !e.Counts() || f.Kind != "" && e.Kind != f.Kind || f.Side != "" && e.Side != f.Side ||
				!f.From.IsZero() && e.At.Before(f.From) || !f.Before.IsZero() && !e.At.Before(f.Before) {
				continue
			}
			u := store.Sum{Kind: e.Kind, Side: e.Side, Apart: e.Apart, Amount: e.Amount}
			if at := e.At.UTC(); !e.At.IsZero() {
				u.Month = time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
			}
			subscription, shares := belong.of(t, e.Entry)
			if f.BySubscription {
				u.SubscriptionID = subscription
			}
			if !f.ByProduct {
				shares = map[string]int64{"": e.Amount.Minor}
			}
			for product, minor := range shares {
				if minor != 0 || len(shares) == 1 {
					u.ProductID = product
					so := want[sumKey(u)]
					want[sumKey(u)] = [2]int64{so[0] + 1, so[1] + minor}
				}
			}
			if e.Amount.Minor == 0 && len(shares) > 1 { // something is to count it
				u.ProductID = ""
				so := want[sumKey(u)]
				want[sumKey(u)] = [2]int64{so[0] + 1, so[1]}
			}
		}
		sums, err := s.Sums(t.Context(), f)
		require.NoError(t, err)
		got := map[string][2]int64{}
		for _, u := range sums {
			_, twice := got[sumKey(u)]
			require.False(t, twice, "one sum of each: %s", sumKey(u))
			got[sumKey(u)] = [2]int64{u.Count, u.Amount.Minor}
			if f.ByProduct && u.ProductID == "p3" {
				require.Equal(t, "the p3", u.ProductName)
			}
		}
		require.Equal(t, want, got, "%+v", f)
		require.True(t, slices.IsSortedFunc(sums, func(a, b store.Sum) int { return a.Month.Compare(b.Month) }))
	}
	_, err := s.Sums(t.Context(), store.SumFilter{})
	require.ErrorContains(t, err, "empty")
}

func TestRevenueOf(t *testing.T) {
	march, april := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	sum := func(month time.Time, kind domain.EntryKind, count int64, amount domain.Money, apart bool) store.Sum {
		return store.Sum{Month: month, Kind: kind, Side: domain.HighLevelSide, Count: count, Amount: amount, Apart: apart}
	}
	usd := domain.NewMoney(500, "USD")
	list, err := store.RevenueOf([]store.Sum{
		sum(march, domain.OrderEntry, 9, euro(9999), false), sum(march, domain.PaymentEntry, 3, euro(3000), false),
		sum(march, domain.PaymentEntry, 1, euro(100), true), sum(march, domain.RefundEntry, 1, euro(1000), false),
		sum(march, domain.SubscriptionEntry, 4, euro(4000), false), sum(april, domain.RefundEntry, 2, usd, false),
	})
	require.NoError(t, err)
	nothing := domain.NewMoney(0, "USD")
	require.Equal(t, []store.Revenue{
		{Month: march, Side: domain.HighLevelSide, Gross: euro(3000), Refunds: euro(1000), Net: euro(2000), Payments: 3, Refunded: 1},
		{Month: march, Side: domain.HighLevelSide, Apart: true, Gross: euro(100), Refunds: euro(0), Net: euro(100), Payments: 1},
		{Month: april, Side: domain.HighLevelSide, Gross: nothing, Refunds: usd, Net: domain.NewMoney(-500, "USD"), Refunded: 2},
	}, list)
	_, err = store.RevenueOf([]store.Sum{sum(march, domain.PaymentEntry, 1, euro(1<<62), false), sum(march, domain.PaymentEntry, 1, euro(1<<62), false)})
	require.ErrorIs(t, err, domain.ErrMoney)
}

// testSubscriptionSums looks at one month with a subscription of every sort that may touch it.
func testSubscriptionSums(t *testing.T, s *store.Store) {
	ctx := t.Context()
	monthly, yearly, unknown := domain.Recurrence{Unit: domain.UnitMonth, Count: 1}, domain.Recurrence{Unit: domain.UnitYear, Count: 1}, domain.Recurrence{}
	march := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	april, none := march.AddDate(0, 1, 0), time.Time{}
	const active, cancelled = domain.SubscriptionActive, domain.SubscriptionCancelled
	test := plan("test", active, euro(1), monthly, march, none, april)
	test.Test = true
	won := plan("atSage", domain.SubscriptionState(domain.StageWon), euro(1200), yearly, march, none, none)
	won.Side, won.Record = domain.SageSide, "1"
	lost := plan("atSageToo", domain.SubscriptionState(domain.StageLost), euro(1200), yearly, march.AddDate(0, -1, 0), march, none)
	lost.Side, lost.Record = domain.SageSide, "2"
	second := plan("second", active, euro(2), yearly, march.Add(-time.Microsecond), none, april.Add(-time.Microsecond))
	second.ProductID = "p2"
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{
		plan("old", active, euro(1000), monthly, march.AddDate(-1, 0, 0), none, march.AddDate(0, 0, 14)),
		plan("new", active, euro(1001), monthly, march, none, april),
		plan("late", active, euro(7777), monthly, april, none, april.AddDate(0, 1, 0)),
		plan("year", active, euro(10), yearly, march.AddDate(-1, 0, 0), none, april.AddDate(0, 6, 0)),
		plan("churned", cancelled, euro(300), monthly, march.AddDate(-1, 0, 0), march, none),
		plan("churns in April", cancelled, euro(400), monthly, march.AddDate(-1, 0, 0), april, none),
		plan("gone long ago", cancelled, euro(5000), monthly, march.AddDate(-2, 0, 0), march.Add(-time.Microsecond), none),
		plan("nobody knows when", cancelled, euro(6000), monthly, march.AddDate(-2, 0, 0), none, none),
		plan("trial", domain.SubscriptionTrialing, euro(50), monthly, march, none, april.Add(-time.Microsecond)),
		plan("no rule", active, euro(60), unknown, march.AddDate(-1, 0, 0), none, none),
		second, test, won, lost,
	}))
	count := func(n, minor int64) store.SubscriptionTally {
		return store.SubscriptionTally{Count: n, Amount: euro(minor)}
	}
	day := time.Date(2026, 3, 31, 20, 0, 0, 0, time.FixedZone("west", -4*3600)).Add(-time.Nanosecond)
	sums, err := s.SubscriptionSums(ctx, here, day, store.AllSubscriptions)
	require.NoError(t, err)
	zero := count(0, 0)
	for i := range sums { // when each was first known is another test's
		sums[i].Assumed, sums[i].KnownSince = 0, time.Time{}
	}
	require.Equal(t, []store.Recurring{
		{
			Side: domain.HighLevelSide, Monthly: euro(2402), Start: euro(1701), Gained: euro(1001), Expansion: euro(0), Contraction: euro(0), Lost: euro(300),
			Earning: count(5, 2413), Unknown: count(1, 60), New: count(2, 1051), Churned: count(1, 300), Renewals: count(3, 1052),
		},
		{
			Side: domain.SageSide, Monthly: euro(100), Start: euro(100), Gained: euro(100), Expansion: euro(0), Contraction: euro(0), Lost: euro(100),
			Earning: count(1, 1200), Unknown: zero, New: count(1, 1200), Churned: count(1, 1200), Renewals: zero,
		},
	}, sums, "2001 and 400 a month and 12 a year make exactly 2402")
	each, err := s.SubscriptionSums(ctx, here, day, store.ByProduct)
	require.NoError(t, err)
	var monthlies []int64
	for _, r := range each {
		require.Equal(t, "Gold", r.Name)
		monthlies = append(monthlies, r.Monthly.Minor)
	}
	require.Equal(t, []int64{2402, 0, 100}, monthlies, "10 and 2 a year are 0.83 and 0.17 a month: parts are rounded for themselves")
	each, err = s.SubscriptionSums(ctx, here, day, store.BySubscription)
	require.NoError(t, err)
	var named []string
	for _, r := range each {
		named = append(named, r.SubscriptionID)
	}
	require.Equal(t, []string{"churned", "churns in April", "new", "no rule", "old", "second", "trial", "year", "atSage", "atSageToo"}, named,
		"those of which there is nothing in the month have no line")

	_, err = s.SubscriptionSums(ctx, here, time.Time{}, store.AllSubscriptions)
	require.ErrorContains(t, err, "no month")
	_, err = s.SubscriptionSums(ctx, "", march, store.AllSubscriptions)
	require.ErrorContains(t, err, "empty")
	sums, err = s.SubscriptionSums(ctx, there, march, store.AllSubscriptions)
	require.NoError(t, err)
	require.Empty(t, sums)
}

// testRecurringRevenue compares recurring revenue with fractions that are added up here, subscription by subscription.
func testRecurringRevenue(t *testing.T, s *store.Store) {
	r := rand.New(rand.NewPCG(7, 2026))
	end := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	year := map[string]int64{domain.UnitDay: 365, domain.UnitWeek: 52, domain.UnitMonth: 12, domain.UnitYear: 1}
	want := map[domain.Currency]*big.Rat{}
	var all []store.LedgerEntry
	for i := range 1000 {
		every := domain.Recurrence{Unit: pick(r, domain.UnitDay, domain.UnitWeek, domain.UnitMonth, domain.UnitYear), Count: 1 + r.Int64N(12)}
		amount := domain.NewMoney(1+r.Int64N(100_000), pick[domain.Currency](r, "EUR", "USD"))
		e := plan(fmt.Sprint("s", i), pick(r, domain.SubscriptionStates()...), amount, every, end.AddDate(0, 0, -r.IntN(700)), time.Time{}, time.Time{})
		e.ProductID = pick(r, "a", "b", "c")
		all = append(all, e)
		if e.Status == string(domain.SubscriptionActive) || e.Status == string(domain.SubscriptionPastDue) {
			if want[amount.Currency] == nil {
				want[amount.Currency] = new(big.Rat)
			}
			if e.At.Before(end) {
				want[amount.Currency].Add(want[amount.Currency], big.NewRat(amount.Minor*year[every.Unit], 12*every.Count))
			}
		}
	}
	require.NoError(t, s.PutEntries(t.Context(), all))
	list, err := s.SubscriptionSums(t.Context(), here, end.AddDate(0, 0, -1), store.AllSubscriptions)
	require.NoError(t, err)
	require.Len(t, list, 2)
	for _, got := range list {
		off := new(big.Rat).Sub(want[got.Monthly.Currency], new(big.Rat).SetInt64(got.Monthly.Minor))
		require.LessOrEqual(t, off.Abs(off).Cmp(big.NewRat(1, 2)), 0, "%s is rounded once", got.Monthly)
	}
}

// testDifferences finds the same differences through the ledger as the rules find without one, and knows since when.
func testDifferences(t *testing.T, s *store.Store) {
	ctx := t.Context()
	agreed, missing, young := payment("a", monday, euro(1)), payment("b", monday, euro(2)), payment("c", monday, euro(3))
	extra := row("", "99", monday, euro(4))
	wrong := row("c", "3", monday, euro(30))
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{agreed, row("a", "1", monday, euro(1)), missing, young, wrong, extra}))
	wrong.Amount, wrong.SeenAt = euro(31), wrong.SeenAt.Add(time.Hour)
	missing.SeenAt = missing.SeenAt.Add(2 * time.Hour)
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{wrong, missing}))
	var found []domain.Difference
	var proof domain.Tally
	err := s.ComparePages(ctx, store.CompareFilter{Location: here, Kind: domain.PaymentEntry}, func(_ string, ghl *store.LedgerEntry, sage []store.LedgerEntry) error {
		differences := store.Differences(domain.PaymentEntry, ghl, sage)
		found = append(found, differences...)
		var here *domain.Entry
		var there []domain.Entry
		if ghl != nil {
			here = &ghl.Entry
		}
		for _, e := range sage {
			there = append(there, e.Entry)
		}
		return proof.Add(domain.PaymentEntry, here, there, differences)
	})
	require.NoError(t, err)
	slices.SortFunc(found, func(a, b domain.Difference) int { return cmp.Compare(a.ID, b.ID) })
	require.Len(t, found, 3)
	require.Equal(t, []domain.Finding{domain.Extra}, found[0].Findings)
	require.Equal(t, []domain.Finding{domain.Missing}, found[1].Findings)
	require.Equal(t, []domain.Finding{domain.AmountDiffers}, found[2].Findings)
	require.Equal(t, []time.Time{kept(monday), kept(monday), kept(monday).Add(time.Hour)},
		[]time.Time{found[0].Since, found[1].Since, found[2].Since}, "what was only seen again is as old as it was")
	require.Len(t, proof.Proofs(), 1)
	require.True(t, proof.Proofs()[0].Holds())
}

// testUpgradeOfFulfillments opens a database from before the books.
func testUpgradeOfFulfillments(t *testing.T, address string) {
	ctx := t.Context()
	old := open(t, address, store.WithoutMigrations())
	migrateTo(t, address, 3)
	opened(t, old, lifecycle("o1"))
	require.Error(t, old.PutEntries(ctx, []store.LedgerEntry{payment("t", monday, euro(1))}), "it knows no books")
	s := open(t, address)
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{payment("t", monday, euro(1))}))
	fulfillment(t, s, "o1")
	migrateTo(t, address, 3)
	fulfillment(t, s, "o1")
	_, err := s.Migrate(ctx)
	require.NoError(t, err)
	require.Empty(t, entries(t, s, store.EntryFilter{}))
}
