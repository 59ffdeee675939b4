package store_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

func euro(minor int64) domain.Money { return domain.NewMoney(minor, "EUR") }

// payment is a settled payment as HighLevel says it.
func payment(id string, at time.Time, amount domain.Money) store.LedgerEntry {
	return store.LedgerEntry{Location: here, SeenAt: kept(monday), Entry: domain.Entry{
		Kind: domain.PaymentEntry, Side: domain.HighLevelSide, ID: id, OrderID: "order-of-" + id, SubscriptionID: "sub", ContactID: "c1",
		ProductID: "p1", Amount: amount, Status: string(domain.Settled), Word: "succeeded", At: kept(at), UpdatedAt: kept(at),
	}}
}

// row is the same payment as a row of Sage's.
func row(id, record string, at time.Time, amount domain.Money) store.LedgerEntry {
	e := payment(id, at, amount)
	e.Side, e.Record, e.ExtID = domain.SageSide, record, "ghl:txn:"+id
	return e
}

// plan is a subscription as HighLevel says it.
func plan(id string, state domain.SubscriptionState, amount domain.Money, every domain.Recurrence, at, until, next time.Time) store.LedgerEntry {
	e := payment(id, at, amount)
	e.Kind, e.OrderID, e.SubscriptionID, e.Status, e.Name = domain.SubscriptionEntry, "", "", string(state), "Gold"
	e.Every, e.Until, e.Next = every, kept(until), kept(next)
	if until.IsZero() {
		e.Until = time.Time{}
	}
	if next.IsZero() {
		e.Next = time.Time{}
	}
	return e
}

// asKept is a new entry as it comes back.
func asKept(e store.LedgerEntry) store.LedgerEntry {
	e.Digest = e.Entry.Digest()
	e.FirstSeen, e.ChangedAt = e.SeenAt, e.SeenAt
	return e
}

func entries(t *testing.T, s *store.Store, f store.EntryFilter) []store.LedgerEntry {
	t.Helper()
	if f.Location == "" {
		f.Location = here
	}
	var all []store.LedgerEntry
	for {
		page, next, err := s.Entries(t.Context(), f)
		require.NoError(t, err)
		all = append(all, page...)
		if f.After = next; next == "" {
			return all
		}
	}
}

func ids(entries []store.LedgerEntry) []string {
	var list []string
	for _, e := range entries {
		list = append(list, e.ID+e.Record)
	}
	return list
}

func testEntries(t *testing.T, s *store.Store) {
	ctx := t.Context()
	full := plan("s1", domain.SubscriptionActive, euro(-1999), domain.Recurrence{Unit: domain.UnitMonth, Count: 3}, monday, monday.AddDate(1, 0, 0), monday.AddDate(0, 3, 0))
	full.Test, full.Gone, full.Edited, full.Apart = true, true, true, true
	full.Agreed, full.AgreedAt, full.Digest = "what the caller says", monday, "counts for nothing"
	bare := store.LedgerEntry{Location: here, SeenAt: kept(monday), Entry: domain.Entry{Kind: domain.OrderEntry, Side: domain.HighLevelSide, ID: "s1"}}
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{full, bare}))
	full.Agreed, full.AgreedAt = "", time.Time{}
	require.Equal(t, []store.LedgerEntry{asKept(bare), asKept(full)}, entries(t, s, store.EntryFilter{}))
	require.Empty(t, entries(t, s, store.EntryFilter{Location: there}))

	t.Run("older news change nothing", func(t *testing.T) {
		first := payment("t1", monday, euro(100))
		require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{first}))
		older := payment("t1", monday, euro(1))
		older.SeenAt = first.SeenAt.Add(-time.Second)
		require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{older}))
		require.Equal(t, []store.LedgerEntry{asKept(first)}, entries(t, s, store.EntryFilter{IDs: []string{"t1"}}))
	})
	t.Run("newer news keep what only the store knows", func(t *testing.T) {
		first := payment("t2", monday, euro(100))
		require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{first}))
		require.NoError(t, s.Agree(ctx, here, store.Agreement{Kind: domain.PaymentEntry, ID: "t2", Digest: asKept(first).Digest}))
		again := first
		again.SeenAt, again.UpdatedAt = first.SeenAt.Add(time.Hour), first.UpdatedAt.Add(time.Minute)
		require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{again}))
		got := entries(t, s, store.EntryFilter{IDs: []string{"t2"}})[0]
		require.Equal(t, []time.Time{first.SeenAt, first.SeenAt, again.SeenAt}, []time.Time{got.FirstSeen, got.ChangedAt, got.SeenAt})
		require.Equal(t, got.Digest, got.Agreed)
		require.Equal(t, again.UpdatedAt, got.UpdatedAt)
		require.WithinDuration(t, time.Now(), got.AgreedAt, time.Minute)
		changed := again
		changed.SeenAt, changed.Amount, changed.At = again.SeenAt.Add(time.Hour), euro(99), again.At.AddDate(0, 1, 0)
		require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{changed, first}), "the last of two of one key counts")
		require.Equal(t, again.SeenAt, entries(t, s, store.EntryFilter{IDs: []string{"t2"}})[0].SeenAt)
		require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{first, changed}))
		got = entries(t, s, store.EntryFilter{IDs: []string{"t2"}})[0]
		require.Equal(t, []time.Time{first.SeenAt, changed.SeenAt}, []time.Time{got.FirstSeen, got.ChangedAt})
		require.NotEqual(t, got.Digest, got.Agreed)
		sums, err := s.Sums(ctx, store.SumFilter{Location: here, From: changed.At, Before: changed.At.Add(time.Second)})
		require.NoError(t, err)
		require.Len(t, sums, 1)
		require.Equal(t, time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), sums[0].Month, "its month went with its time")
	})
	t.Run("seen now", func(t *testing.T) {
		e := payment("t3", monday, euro(1))
		e.SeenAt = time.Time{}
		require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{e}))
		require.WithinDuration(t, time.Now(), entries(t, s, store.EntryFilter{IDs: []string{"t3"}})[0].SeenAt, time.Minute)
	})
	require.NoError(t, s.PutEntries(ctx, nil))
}

func testEntriesRefused(t *testing.T, s *store.Store) {
	good := row("t1", "7", monday, euro(1))
	for name, change := range map[string]func(*store.LedgerEntry){
		"no location":             func(e *store.LedgerEntry) { e.Location = "" },
		"no kind":                 func(e *store.LedgerEntry) { e.Kind = "" },
		"unknown side":            func(e *store.LedgerEntry) { e.Side = "accessally" },
		"no record at Sage":       func(e *store.LedgerEntry) { e.Record = "" },
		"a record at HighLevel":   func(e *store.LedgerEntry) { e.Side = domain.HighLevelSide },
		"no id at HighLevel":      func(e *store.LedgerEntry) { e.Side, e.Record, e.ID = domain.HighLevelSide, "", "" },
		"neither id nor a record": func(e *store.LedgerEntry) { e.Record, e.ID = "", "" },
	} {
		bad := good
		change(&bad)
		require.Error(t, s.PutEntries(t.Context(), []store.LedgerEntry{good, bad}), name)
	}
	require.Empty(t, entries(t, s, store.EntryFilter{}), "all or nothing")
	_, _, err := s.Entries(t.Context(), store.EntryFilter{})
	require.ErrorContains(t, err, "empty")
	_, _, err = s.Entries(t.Context(), store.EntryFilter{Location: here, Page: store.Page{After: "x"}})
	require.Error(t, err)
	require.ErrorContains(t, s.Agree(t.Context(), "", store.Agreement{}), "empty")
	require.ErrorContains(t, s.Agree(t.Context(), here, store.Agreement{Kind: domain.PaymentEntry, ID: "t"}), "empty")
}

func testEntryList(t *testing.T, s *store.Store) {
	ctx := t.Context()
	day := func(n int) time.Time { return monday.AddDate(0, 0, n) }
	all := []store.LedgerEntry{
		payment("a", day(3), euro(1)), payment("b", day(1), euro(2)), payment("c", day(2), euro(3)), payment("d", day(2), euro(4)),
		row("a", "11", day(3), euro(1)), row("a", "12", day(3), euro(1)), row("", "13", day(2), euro(9)),
	}
	all[1].SubscriptionID = "other"
	all[2].Test = true
	all[6].SeenAt = kept(monday).Add(time.Hour)
	elsewhere := payment("a", day(1), euro(5))
	elsewhere.Location = there
	require.NoError(t, s.PutEntries(ctx, append(all, elsewhere)))
	for _, limit := range []int{0, 1, 2, 3} {
		page := store.Page{Limit: limit}
		for name, c := range map[string]struct {
			filter store.EntryFilter
			want   []string
		}{
			"all":             {store.EntryFilter{}, []string{"b", "c", "d", "13", "a", "a11", "a12"}},
			"kind":            {store.EntryFilter{Kind: domain.OrderEntry}, nil},
			"side":            {store.EntryFilter{Kind: domain.PaymentEntry, Side: domain.SageSide}, []string{"13", "a11", "a12"}},
			"ids":             {store.EntryFilter{IDs: []string{"a", "b", "x"}}, []string{"b", "a", "a11", "a12"}},
			"records":         {store.EntryFilter{Records: []string{"12", "13"}}, []string{"13", "a12"}},
			"subscription":    {store.EntryFilter{SubscriptionID: "other"}, []string{"b"}},
			"period":          {store.EntryFilter{From: day(2), Before: day(3)}, []string{"c", "d", "13"}},
			"seen before":     {store.EntryFilter{Side: domain.SageSide, SeenBefore: kept(monday).Add(time.Hour)}, []string{"a11", "a12"}},
			"not agreed":      {store.EntryFilter{Unagreed: true}, []string{"b", "d", "a"}},
			"one not agreed":  {store.EntryFilter{Unagreed: true, IDs: []string{"a", "c"}}, []string{"a"}},
			"nobody can pass": {store.EntryFilter{Unagreed: true, Side: domain.SageSide}, nil},
		} {
			c.filter.Page = page
			require.Equal(t, c.want, ids(entries(t, s, c.filter)), "%s, %d at a time", name, limit)
		}
	}
}

func testUnagreed(t *testing.T, s *store.Store) {
	ctx := t.Context()
	var all []store.LedgerEntry
	for i := range 7 {
		all = append(all, asKept(payment(fmt.Sprintf("t%d", i), monday.Add(time.Duration(i)*time.Hour), euro(int64(i)))))
	}
	order := payment("t1", monday, euro(1))
	order.Kind, order.Status = domain.OrderEntry, domain.OrderDue
	require.NoError(t, s.PutEntries(ctx, append(all, order, row("t1", "1", monday, euro(1)))))
	tallies, err := s.CountUnagreed(ctx, here)
	require.NoError(t, err)
	require.Equal(t, []store.EntryTally{
		{Kind: domain.OrderEntry, Count: 1, Oldest: kept(monday)}, {Kind: domain.PaymentEntry, Count: 7, Oldest: kept(monday)},
	}, tallies)

	var met []string
	page := store.Page{Limit: 2}
	for { // agreed on while the list is read
		some, next, err := s.Unagreed(ctx, here, domain.PaymentEntry, page)
		require.NoError(t, err)
		met = append(met, ids(some)...)
		var agreed []store.Agreement
		for _, e := range some {
			agreed = append(agreed, store.Agreement{Kind: e.Kind, ID: e.ID, Digest: e.Digest})
		}
		require.NoError(t, s.Agree(ctx, here, agreed...))
		if page.After = next; next == "" {
			break
		}
	}
	require.Equal(t, ids(all), met)
	require.Equal(t, []string{"t1"}, ids(entries(t, s, store.EntryFilter{Unagreed: true})), "the order was not agreed on, its payment was")
	require.Empty(t, entries(t, s, store.EntryFilter{Side: domain.SageSide})[0].Agreed)

	late := store.Agreement{Kind: domain.PaymentEntry, ID: "t3", Digest: "of what it was before"}
	require.NoError(t, s.Agree(ctx, here, late, store.Agreement{Kind: domain.PaymentEntry, ID: "unknown", Digest: "d"}))
	some, _, err := s.Unagreed(ctx, here, domain.PaymentEntry, store.Page{})
	require.NoError(t, err)
	require.Equal(t, []string{"t3"}, ids(some), "it has changed since it was brought")

	n, err := s.Disagree(ctx, here, domain.PaymentEntry, "t5", "t5", "unknown")
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	n, err = s.Disagree(ctx, there, domain.PaymentEntry, "t4")
	require.NoError(t, err)
	require.Zero(t, n)
	some, _, err = s.Unagreed(ctx, here, domain.PaymentEntry, store.Page{})
	require.NoError(t, err)
	require.Equal(t, []string{"t3", "t5"}, ids(some))
}

// compared is what ComparePages hands over.
func compared(t *testing.T, s *store.Store, f store.CompareFilter) (met []string) {
	t.Helper()
	f.Location, f.Kind = here, domain.PaymentEntry
	require.NoError(t, s.ComparePages(t.Context(), f, func(id string, ghl *store.LedgerEntry, sage []store.LedgerEntry) error {
		line := id + ":"
		if ghl != nil {
			require.Equal(t, id, ghl.ID)
			require.Equal(t, domain.HighLevelSide, ghl.Side)
			line += " ghl"
		}
		for _, e := range sage {
			require.Equal(t, id, e.ID)
			line += " " + e.Record
		}
		met = append(met, line)
		return nil
	}))
	return met
}

func testCompare(t *testing.T, s *store.Store) {
	ctx := t.Context()
	require.Empty(t, compared(t, s, store.CompareFilter{}))
	day := func(n int) time.Time { return monday.AddDate(0, 0, n) }
	gone := row("b", "21", day(1), euro(1))
	gone.Gone = true
	order := payment("a", day(1), euro(1))
	order.Kind = domain.OrderEntry
	elsewhere := payment("z", day(1), euro(1))
	elsewhere.Location = there
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{
		payment("a", day(1), euro(1)), gone, row("b", "22", day(4), euro(1)), payment("c", day(2), euro(1)), row("c", "31", day(9), euro(1)),
		row("c", "32", day(3), euro(1)), row("", "42", day(2), euro(1)), row("", "41", day(7), euro(1)), order, elsewhere,
	}))
	require.Equal(t, []string{": 41", ": 42", "a: ghl", "b: 21 22", "c: ghl 31 32"}, compared(t, s, store.CompareFilter{}))
	require.Equal(t, []string{": 42", "c: ghl 31 32"}, compared(t, s, store.CompareFilter{From: day(2), Before: day(3)}))
	require.Equal(t, []string{": 41", ": 42", "c: ghl 31 32"}, compared(t, s, store.CompareFilter{From: day(2)}),
		"b began on day 1, whatever its second record says, and the rows of c are with c")
	require.Equal(t, []string{"a: ghl", "b: 21 22"}, compared(t, s, store.CompareFilter{Before: day(2)}))
	require.Empty(t, compared(t, s, store.CompareFilter{From: day(8)}), "c has a row then, and is not of then")

	stop := errors.New("enough")
	calls := 0
	err := s.ComparePages(ctx, store.CompareFilter{Location: here, Kind: domain.PaymentEntry}, func(string, *store.LedgerEntry, []store.LedgerEntry) error {
		calls++
		return stop
	})
	require.Equal(t, stop, err)
	require.Equal(t, 1, calls)
	err = s.ComparePages(ctx, store.CompareFilter{Location: here}, func(string, *store.LedgerEntry, []store.LedgerEntry) error { return nil })
	require.ErrorContains(t, err, "empty")
}

// testComparePages compares more than a page of either sort of record, and lets the reader write what it reads.
func testComparePages(t *testing.T, s *store.Store) {
	const many = 1203
	var all []store.LedgerEntry
	var want []string
	for i := range many {
		id := fmt.Sprintf("t%05d", i)
		all = append(all, payment(id, monday, euro(1)), row(id, "r"+id, monday, euro(1)), row("", id, monday, euro(1)))
		want = append(want, id)
	}
	require.NoError(t, s.PutEntries(t.Context(), all))
	var nameless, both []string
	filter := store.CompareFilter{Location: here, Kind: domain.PaymentEntry, From: monday.AddDate(0, 0, -1)}
	err := s.ComparePages(t.Context(), filter, func(id string, ghl *store.LedgerEntry, sage []store.LedgerEntry) error {
		if id == "" {
			nameless = append(nameless, sage[0].Record)
			return nil
		}
		require.Len(t, sage, 1)
		both = append(both, id)
		return s.Agree(t.Context(), here, store.Agreement{Kind: ghl.Kind, ID: id, Digest: ghl.Digest})
	})
	require.NoError(t, err)
	require.Equal(t, want, nameless)
	require.Equal(t, want, both)
	require.Empty(t, entries(t, s, store.EntryFilter{Unagreed: true}))
}

func testSumsTooLarge(t *testing.T, s *store.Store) {
	ctx := t.Context()
	huge := []store.LedgerEntry{payment("a", monday, euro(math.MaxInt64)), payment("b", monday, euro(math.MinInt64+1))}
	require.NoError(t, s.PutEntries(ctx, huge))
	sums, err := s.Sums(ctx, store.SumFilter{Location: here})
	require.NoError(t, err)
	require.Equal(t, euro(0), sums[0].Amount)
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{payment("c", monday, euro(1<<53+1))}))
	sums, err = s.Sums(ctx, store.SumFilter{Location: here})
	require.NoError(t, err)
	require.Equal(t, euro(1<<53+1), sums[0].Amount, "a float would have lost the last unit")
	require.NoError(t, s.PutEntries(ctx, []store.LedgerEntry{payment("b", monday, euro(1))}))
	_, err = s.Sums(ctx, store.SumFilter{Location: here})
	require.Error(t, err, "a sum that does not fit is no sum")
}
