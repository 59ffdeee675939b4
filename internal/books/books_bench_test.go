package books_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/books"
	"github.com/tallystick/tallystick/internal/store"
)

// BenchmarkCompare says what a report costs of 1,000, 10,000 and 100,000 payments of which Sage has none, so that each is a
// row: the time, and what was allocated in all.
func BenchmarkCompare(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "books.db"))
			require.NoError(b, err)
			for from := 0; from < n; from += 1000 {
				var page []store.LedgerEntry
				for i := from; i < from+1000; i++ {
					page = append(page, entry(domain.PaymentEntry, fmt.Sprintf("%024x", uint64(i)*0x9E3779B97F4A7C15), euro(int64(i))))
				}
				require.NoError(b, s.PutEntries(b.Context(), page))
			}
			b.ReportAllocs()
			for b.Loop() {
				printer, err := books.NewPrinter(books.CSVFormat, discard{}, query())
				require.NoError(b, err)
				sum, err := books.Compare(b.Context(), s, query(), printer.Row)
				require.NoError(b, err)
				require.NoError(b, printer.End(sum, nil))
				require.Equal(b, int64(n), sum.Differences)
			}
			require.NoError(b, s.Close())
		})
	}
}
