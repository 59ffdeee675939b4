package books_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/books"
	"github.com/tallystick/tallystick/internal/store"
)

// TestLastingFiguresAreThoseOfTheMonth: renewals to come are fewer from day to day without any change of the month.
func TestLastingFiguresAreThoseOfTheMonth(t *testing.T) {
	line := func(change func(f *books.Figures)) books.Revenue {
		none := domain.NewMoney(0, "EUR")
		nobody := books.Subscribers{Amount: none}
		f := books.Figures{Gross: euro(100), Payments: 1, Refunds: none, Net: euro(100), Recurring: none,
			Earning: nobody, Unknown: nobody, New: nobody, Churned: nobody, Renewals: nobody}
		change(&f)
		return books.Revenue{Lines: []books.RevenueLine{{Group: books.TotalGroup, Currency: "EUR", GHL: f}}}
	}
	first := line(func(*books.Figures) {})
	require.Equal(t, first.Lasting(), line(func(f *books.Figures) { f.Renewals = books.Subscribers{Count: 2, Amount: euro(9)} }).Lasting())
	seen := map[string]bool{first.Lasting(): true, books.Revenue{}.Lasting(): true}
	require.Len(t, seen, 2)
	for i, change := range []func(*books.Figures){
		func(f *books.Figures) { f.Gross = euro(101) },
		func(f *books.Figures) { f.Payments++ },
		func(f *books.Figures) { f.Refunds, f.Refunded = euro(1), 1 },
		func(f *books.Figures) { f.Recurring, f.Earning = euro(9), books.Subscribers{Count: 1, Amount: euro(9)} },
		func(f *books.Figures) { f.Unknown = books.Subscribers{Count: 1, Amount: euro(9)} },
		func(f *books.Figures) { f.New = books.Subscribers{Count: 1, Amount: euro(9)} },
		func(f *books.Figures) { f.Churned = books.Subscribers{Count: 1, Amount: euro(9)} },
		func(f *books.Figures) { f.Movement.Start, f.Movement.Lost = euro(9), euro(9) },
		func(f *books.Figures) { f.Movement.Start, f.Movement.Contraction = euro(9), euro(9) },
	} {
		digest := line(change).Lasting()
		require.False(t, seen[digest], i)
		seen[digest] = true
	}
	other := first
	other.Lines = []books.RevenueLine{{Group: books.TotalGroup, Currency: "EUR", Sage: first.Lines[0].GHL}}
	require.NotEqual(t, first.Lasting(), other.Lasting(), "the sides are not the same")
}

func TestLastingFiguresOfALedger(t *testing.T) {
	s := onSQLite(t)
	of := func() books.Revenue { return revenueOf(t, s, books.RevenueQuery{ByProduct: true}) }
	require.True(t, of().Empty())
	take(t, s)
	first := of()
	require.False(t, first.Empty())
	require.Equal(t, first.Lasting(), of().Lasting())
	put(t, s, entry(domain.RefundEntry, "t2", euro(100), func(e *store.LedgerEntry) { e.ProductID = "gold" }))
	require.NotEqual(t, first.Lasting(), of().Lasting())
}
