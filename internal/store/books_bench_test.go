package store_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/internal/testkit/postgres"
)

// BenchmarkBooks says what a history of 1,000, 10,000 and 100,000 payments costs on either database, in milliseconds: to
// enter both sides of it page by page, to enter it again unchanged, to agree on all of it, to list what is not agreed when
// everything is, to compare both sides of all of it and of one month, and to sum it up: in all, by product, and one month of
// it by product. heap-KB is the most memory that comparing held.
func BenchmarkBooks(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		benchmarkBooks(b, func(b *testing.B) string { return "sqlite:" + filepath.Join(b.TempDir(), "books.db") })
	})
	b.Run("postgres", func(b *testing.B) {
		server := postgres.Start(b)
		benchmarkBooks(b, func(b *testing.B) string { return server.URL(b) })
	})
}

func benchmarkBooks(b *testing.B, address func(*testing.B) string) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s, err := store.Open(b.Context(), address(b))
				require.NoError(b, err)
				b.StartTimer()
				history{b, s, n}.run()
				require.NoError(b, s.Close())
			}
		})
	}
}

type history struct {
	b *testing.B
	s *store.Store
	n int
}

// begin is the first moment of the history, which lasts two years.
var begin = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func (h history) run() {
	h.took("enter-ms", func() { h.enter(monday) })
	h.took("again-ms", func() { h.enter(monday.Add(time.Hour)) })
	h.took("agree-ms", h.agree)
	h.took("unagreed-ms", func() {
		left, _, err := h.s.Unagreed(h.b.Context(), here, domain.PaymentEntry, store.Page{})
		require.NoError(h.b, err)
		require.Empty(h.b, left)
	})
	h.took("compare-ms", func() { require.Equal(h.b, h.n, h.compare(store.CompareFilter{})) })
	h.took("month-ms", func() {
		some := h.compare(store.CompareFilter{From: begin.AddDate(0, 3, 0), Before: begin.AddDate(0, 4, 0)})
		require.InDelta(h.b, h.n/24, some, float64(h.n)/100)
	})
	h.took("sums-ms", func() {
		sums, err := h.s.Sums(h.b.Context(), store.SumFilter{Location: here})
		require.NoError(h.b, err)
		require.Len(h.b, sums, 24*2)
	})
	h.orders()
	for what, f := range map[string]store.SumFilter{
		"products-ms": {}, "month-products-ms": {From: begin.AddDate(0, 3, 0), Before: begin.AddDate(0, 4, 0)},
	} {
		f.Location, f.ByProduct = here, true
		h.took(what, func() {
			_, err := h.s.Sums(h.b.Context(), f)
			require.NoError(h.b, err)
		})
	}
}

// orders gives one payment of ten an order of two products.
func (h history) orders() {
	for i := 0; i < h.n; i += 10 {
		rec := record(fmt.Sprintf("order-of-%024x", uint64(i)*0x9E3779B97F4A7C15))
		rec.Products = []store.OrderProduct{{ProductID: "a", Amount: euro(1)}, {ProductID: "b", Amount: euro(2)}}
		require.NoError(h.b, h.s.RecordOrder(h.b.Context(), rec))
	}
}

// BenchmarkRecurring says what 20,000 subscriptions on both sides cost that changed three times, in milliseconds: to enter
// them, and to sum up a month of them, together and each for itself.
func BenchmarkRecurring(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		benchmarkRecurring(b, "sqlite:"+filepath.Join(b.TempDir(), "books.db"))
	})
	b.Run("postgres", func(b *testing.B) { benchmarkRecurring(b, postgres.Start(b).URL(b)) })
}

func benchmarkRecurring(b *testing.B, address string) {
	const many, changes = 20_000, 3
	s, err := store.Open(b.Context(), address)
	require.NoError(b, err)
	h := history{b, s, many}
	monthly := domain.Recurrence{Unit: domain.UnitMonth, Count: 1}
	for b.Loop() {
		h.took("enter-ms", func() {
			for change := range changes {
				for from := 0; from < many; from += 100 {
					var page []store.LedgerEntry
					for i := from; i < from+100; i++ {
						e := plan(fmt.Sprint("s", i), domain.SubscriptionActive, euro(int64(1000+change)), monthly, begin, time.Time{}, time.Time{})
						e.SeenAt = begin.AddDate(0, change, 1)
						there := e
						there.Side, there.Record = domain.SageSide, fmt.Sprint(i)
						page = append(page, e, there)
					}
					require.NoError(b, s.PutEntries(b.Context(), page))
				}
			}
		})
		for what, by := range map[string]store.SubscriptionGrouping{"month-ms": store.AllSubscriptions, "each-ms": store.BySubscription} {
			h.took(what, func() {
				sums, err := s.SubscriptionSums(b.Context(), here, begin.AddDate(0, 1, 0), by)
				require.NoError(b, err)
				made := int64(0)
				for _, u := range sums {
					made += u.Monthly.Minor
				}
				require.EqualValues(b, 2*many*1001, made)
			})
		}
	}
	require.NoError(b, s.Close())
}

func (h history) took(what string, fn func()) {
	began := time.Now()
	fn()
	h.b.ReportMetric(float64(time.Since(began).Microseconds())/1000, what)
}

func (h history) page(from int, seen time.Time) (page []store.LedgerEntry) {
	apart := begin.AddDate(2, 0, 0).Sub(begin) / time.Duration(h.n)
	for i := from; i < min(from+100, h.n); i++ {
		at := begin.Add(time.Duration(i) * apart)
		id := fmt.Sprintf("%024x", uint64(i)*0x9E3779B97F4A7C15) // ids come in no order
		here, there := payment(id, at, euro(int64(i))), row(id, fmt.Sprint(i), at, euro(int64(i)))
		here.SeenAt, there.SeenAt = seen, seen
		page = append(page, here, there)
	}
	return page
}

func (h history) enter(seen time.Time) {
	for from := 0; from < h.n; from += 100 {
		require.NoError(h.b, h.s.PutEntries(h.b.Context(), h.page(from, seen)))
	}
}

func (h history) agree() {
	for after := ""; ; {
		left, next, err := h.s.Unagreed(h.b.Context(), here, domain.PaymentEntry, store.Page{After: after})
		require.NoError(h.b, err)
		var agreed []store.Agreement
		for _, e := range left {
			agreed = append(agreed, store.Agreement{Kind: e.Kind, ID: e.ID, Digest: e.Digest})
		}
		require.NoError(h.b, h.s.Agree(h.b.Context(), here, agreed...))
		if after = next; next == "" {
			return
		}
	}
}

// compare tells how many records were compared, all of which must agree.
func (h history) compare(f store.CompareFilter) (n int) {
	f.Location, f.Kind = here, domain.PaymentEntry
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most uint64
	err := h.s.ComparePages(h.b.Context(), f, func(_ string, ghl *store.LedgerEntry, sage []store.LedgerEntry) error {
		require.Empty(h.b, store.Differences(f.Kind, ghl, sage))
		if n++; n%1000 == 0 {
			runtime.GC() // what is left is what is held
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
		return nil
	})
	require.NoError(h.b, err)
	if most > before.HeapAlloc && f.From.IsZero() {
		h.b.ReportMetric(float64(most-before.HeapAlloc)/1024, "heap-KB")
	}
	return n
}
