package domain_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/domain"
)

var noon = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

func usd(minor int64) domain.Money { return domain.NewMoney(minor, "USD") }

func pay(id string, clearing domain.Clearing, amount, refunded int64) domain.Payment {
	return domain.Payment{ID: id, Clearing: clearing, Amount: usd(amount), Refunded: usd(refunded), At: noon, UpdatedAt: noon}
}

func saleOf(total int64, payments ...domain.Payment) domain.Sale {
	return domain.Sale{
		Location: "loc", OrderID: "ord", Live: true, Currency: "USD", Total: usd(total), Payments: payments,
		CreatedAt: noon, UpdatedAt: noon,
	}
}

func TestSettlementStates(t *testing.T) {
	settled, pending, failed := domain.Settled, domain.Pending, domain.Failed
	for _, row := range []struct {
		name           string
		sale           domain.Sale
		state          domain.PaymentState
		paid, refunded int64
		cleared        bool
		ids            []string
	}{
		{"no payment", saleOf(100), domain.Unpaid, 0, 0, false, nil},
		{"pending", saleOf(100, pay("a", pending, 100, 0)), domain.Unpaid, 0, 0, false, nil},
		{"failed", saleOf(100, pay("a", failed, 100, 0)), domain.Unpaid, 0, 0, false, nil},
		{"a clearing nobody knows", saleOf(100, pay("a", "mystery", 100, 0)), domain.Unpaid, 0, 0, false, nil},
		{"no clearing", saleOf(100, pay("a", "", 100, 0)), domain.Unpaid, 0, 0, false, nil},
		{"paid", saleOf(100, pay("a", settled, 100, 0)), domain.Paid, 100, 0, true, []string{"a"}},
		{"paid in part", saleOf(100, pay("a", settled, 99, 0)), domain.PartiallyPaid, 99, 0, true, []string{"a"}},
		{"paid in parts", saleOf(100, pay("b", settled, 60, 0), pay("a", settled, 40, 0)), domain.Paid, 100, 0, true, []string{"a", "b"}},
		{
			"pending and failed do not count",
			saleOf(100, pay("a", failed, 100, 0), pay("b", settled, 30, 0), pay("c", pending, 70, 0)),
			domain.PartiallyPaid, 30, 0, true,
			[]string{"b"},
		},
		{"refunded in part", saleOf(100, pay("a", settled, 100, 1)), domain.PartiallyRefunded, 100, 1, true, []string{"a"}},
		{"refunded", saleOf(100, pay("a", settled, 100, 100)), domain.Refunded, 100, 100, true, []string{"a"}},
		{"a part was paid and all of it refunded", saleOf(100, pay("a", settled, 40, 40)), domain.Refunded, 40, 40, true, []string{"a"}},
		{
			"one of two refunded", saleOf(100, pay("a", settled, 40, 40), pay("b", settled, 60, 0)),
			domain.PartiallyRefunded, 100, 40, true,
			[]string{"a", "b"},
		},
		{"a refund of what never settled", saleOf(100, pay("a", failed, 100, 100)), domain.Unpaid, 0, 0, false, nil},
		{"free and completed", free("completed"), domain.Paid, 0, 0, true, nil},
		{"free and Completed", free("Completed"), domain.Paid, 0, 0, true, nil},
		{"free and pending", free("pending"), domain.Unpaid, 0, 0, false, nil},
		{"free with a failed payment", free("completed", pay("a", failed, 0, 0)), domain.Unpaid, 0, 0, false, nil},
		{"free with a settled payment of nothing", free("pending", pay("a", settled, 0, 0)), domain.Paid, 0, 0, true, []string{"a"}},
		{"a settled payment of nothing on a sale of something", saleOf(100, pay("a", settled, 0, 0)), domain.Unpaid, 0, 0, false, []string{"a"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := row.sale.Settlement()
			require.NoError(t, err)
			assert.Equal(t, row.state, got.State)
			assert.Equal(t, usd(row.paid), got.Paid)
			assert.Equal(t, usd(row.refunded), got.Refunded)
			assert.Equal(t, row.cleared, got.Cleared())
			assert.Equal(t, row.ids, got.PaymentIDs)
			assert.Equal(t, len(row.ids) > 0, !got.PaidAt.IsZero())
		})
	}
}

func free(status string, payments ...domain.Payment) domain.Sale {
	sale := saleOf(0, payments...)
	sale.Status = status
	return sale
}

func TestSettlementRefusesMoneyThatDoesNotFit(t *testing.T) {
	settled := domain.Settled
	euro := pay("a", settled, 100, 0)
	euro.Amount.Currency, euro.Refunded.Currency = "EUR", "EUR"
	mixed := pay("a", settled, 100, 1)
	mixed.Refunded.Currency = "EUR"
	noCurrency := saleOf(100)
	noCurrency.Currency, noCurrency.Total.Currency = "", ""
	otherTotal := saleOf(100, pay("a", settled, 100, 0))
	otherTotal.Total.Currency = "EUR"
	for name, sale := range map[string]domain.Sale{
		"overpaid by a cent":             saleOf(100, pay("a", settled, 101, 0)),
		"overpaid by two":                saleOf(100, pay("a", settled, 60, 0), pay("b", settled, 41, 0)),
		"overpaid though refunded":       saleOf(100, pay("a", settled, 100, 100), pay("b", settled, 100, 0)),
		"paid on a free order":           free("completed", pay("a", settled, 1, 0)),
		"a hundredfold, settled":         saleOf(1999, pay("a", settled, 199900, 0)),
		"a hundredfold, pending":         saleOf(1999, pay("a", domain.Pending, 199900, 0)),
		"more refunded than paid":        saleOf(100, pay("a", settled, 50, 51)),
		"a negative payment":             saleOf(100, pay("a", settled, -1, 0)),
		"a negative refund":              saleOf(100, pay("a", settled, 50, -1)),
		"a negative total":               saleOf(-1),
		"a payment in another currency":  saleOf(100, euro),
		"a refund in another currency":   saleOf(100, mixed),
		"a total in another currency":    otherTotal,
		"no currency":                    noCurrency,
		"payments beyond any integer":    saleOf(100, pay("a", settled, 1<<62, 0), pay("b", settled, 1<<62, 0)),
		"a hundredfold beside a payment": saleOf(1999, pay("a", settled, 1999, 0), pay("b", settled, 199900, 0)),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := sale.Settlement()
			require.ErrorIs(t, err, domain.ErrMoney)
			assert.Zero(t, got)
			_, err = domain.Book(sale)
			require.ErrorIs(t, err, domain.ErrMoney)
		})
	}
}

func TestHundredfoldIsNamed(t *testing.T) {
	err := saleOf(1999, pay("a", domain.Settled, 199900, 0)).Validate()
	require.ErrorIs(t, err, domain.ErrMoney)
	assert.Contains(t, err.Error(), "hundred times")
	require.NoError(t, saleOf(1<<62, pay("a", domain.Settled, 1<<62, 0)).Validate(), "a total whose hundredfold overflows")
}

func TestPaymentListedTwiceCountsOnce(t *testing.T) {
	older, newer := pay("a", domain.Settled, 50, 0), pay("a", domain.Settled, 50, 50)
	newer.UpdatedAt = noon.Add(time.Hour)
	for _, order := range [][]domain.Payment{{older, newer}, {newer, older}, {older, older, newer, older}} {
		got, err := saleOf(100, order...).Settlement()
		require.NoError(t, err)
		assert.Equal(t, domain.Refunded, got.State, "the newest version says what was refunded")
		assert.Equal(t, usd(50), got.Paid)
		assert.Equal(t, []string{"a"}, got.PaymentIDs)
	}
	bounced := pay("a", domain.Failed, 50, 0)
	bounced.UpdatedAt = noon.Add(time.Hour)
	got, err := saleOf(100, bounced, older).Settlement()
	require.NoError(t, err)
	assert.Equal(t, domain.Unpaid, got.State, "it settled first and failed after all")

	got, err = saleOf(100, pay("", domain.Settled, 50, 0), pay("", domain.Settled, 50, 0)).Settlement()
	require.NoError(t, err)
	assert.Equal(t, usd(100), got.Paid, "payments without an id are never taken for one another")
}

func TestPaidAtIsTheNewestSettledPayment(t *testing.T) {
	early, late, failed := pay("a", domain.Settled, 10, 0), pay("b", domain.Settled, 10, 0), pay("c", domain.Failed, 10, 0)
	late.At = noon.Add(time.Hour).In(time.FixedZone("", 2*3600))
	failed.At = noon.Add(2 * time.Hour)
	got, err := saleOf(100, late, early, failed).Settlement()
	require.NoError(t, err)
	assert.Equal(t, noon.Add(time.Hour), got.PaidAt, "in UTC")
}

func TestSettlementDoesNotDependOnTheOrderOfPayments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payments := anyPayments(t)
		want, wantErr := saleOf(1000, payments...).Settlement()
		before := slices.Clone(payments)
		shuffled := rapid.Permutation(payments).Draw(t, "shuffled")
		got, err := saleOf(1000, shuffled...).Settlement()
		require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
		require.Equal(t, want, got)
		require.Equal(t, before, payments, "the sale is left as it was")
		if err == nil {
			stateMatchesSums(t, got)
		}
	})
}

func anyPayments(t *rapid.T) []domain.Payment {
	clearings := []domain.Clearing{domain.Settled, domain.Settled, domain.Pending, domain.Failed}
	payments := make([]domain.Payment, rapid.IntRange(0, 5).Draw(t, "payments"))
	for i := range payments {
		amount := rapid.Int64Range(0, 400).Draw(t, "amount")
		refunded := rapid.SampledFrom([]int64{0, 0, amount / 2, amount}).Draw(t, "refunded")
		payments[i] = pay(fmt.Sprint("p", i), rapid.SampledFrom(clearings).Draw(t, "clearing"), amount, refunded)
		payments[i].At = noon.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "hour")) * time.Hour)
	}
	return payments
}

// stateMatchesSums says in words of its own what each state means on a sale of 1000.
func stateMatchesSums(t *rapid.T, s domain.Settlement) {
	paid, refunded := s.Paid.Minor, s.Refunded.Minor
	meanings := map[domain.PaymentState]bool{
		domain.Unpaid:            paid == 0,
		domain.PartiallyPaid:     0 < paid && paid < 1000 && refunded == 0,
		domain.Paid:              paid == 1000 && refunded == 0,
		domain.PartiallyRefunded: 0 < refunded && refunded < paid,
		domain.Refunded:          0 < paid && refunded == paid,
	}
	require.True(t, meanings[s.State], "%+v", s)
	for state, holds := range meanings {
		require.Equal(t, state == s.State, holds, "%s on %+v", state, s)
	}
}

// TestMoves names every pair of states, so that a new state cannot come in without its moves being decided.
func TestMoves(t *testing.T) {
	states := []domain.PaymentState{domain.Unpaid, domain.PartiallyPaid, domain.Paid, domain.PartiallyRefunded, domain.Refunded}
	table := map[domain.PaymentState]string{ // from → may it become the state of that column
		//                        unpaid part paid prtref refunded
		domain.Unpaid:            "yes    yes  yes  yes    yes",
		domain.PartiallyPaid:     "yes    yes  yes  yes    yes",
		domain.Paid:              "yes    yes  yes  yes    yes",
		domain.PartiallyRefunded: "no     no   no   yes    yes",
		domain.Refunded:          "no     no   no   yes    yes",
	}
	require.Len(t, table, len(states))
	for from, row := range table {
		var verdicts [5]string
		n, err := fmt.Sscan(row, &verdicts[0], &verdicts[1], &verdicts[2], &verdicts[3], &verdicts[4])
		require.NoError(t, err)
		require.Equal(t, len(states), n)
		for i, to := range states {
			assert.Equal(t, verdicts[i] == "yes", from.CanBecome(to), "%s → %s", from, to)
		}
	}
	for _, state := range states {
		assert.True(t, domain.PaymentState("").CanBecome(state), "any state may be the first")
		assert.False(t, state.CanBecome(""))
		assert.False(t, state.CanBecome("settled"), "no state of the table")
		assert.False(t, domain.PaymentState("settled").CanBecome(state))
	}
}
