package domain_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/domain"
)

func TestSplit(t *testing.T) {
	for _, row := range []struct {
		name    string
		minor   int64
		weights []int64
		want    []int64
	}{
		{"evenly", 90, []int64{1, 1, 1}, []int64{30, 30, 30}},
		{"the earlier takes the odd cent", 100, []int64{1, 1, 1}, []int64{34, 33, 33}},
		{"the larger remainder takes it", 100, []int64{1, 2}, []int64{33, 67}},
		{"two odd cents", 5, []int64{1, 1, 1}, []int64{2, 2, 1}},
		{"a debt splits like a credit", -100, []int64{1, 1, 1}, []int64{-34, -33, -33}},
		{"no weight, no share", 7, []int64{0, 3, 0, 3}, []int64{0, 4, 0, 3}},
		{"nothing to share", 0, []int64{3, 4}, []int64{0, 0}},
		{"all weights zero", 5, []int64{0, 0}, []int64{5, 0}},
		{"nobody to share with", 5, nil, []int64{}},
		{"less than one each", 1, []int64{1, 1, 2}, []int64{0, 0, 1}},
		{"largest", math.MaxInt64, []int64{math.MaxInt64 - 1, 1}, []int64{math.MaxInt64 - 1, 1}},
		{"smallest", math.MinInt64, []int64{1}, []int64{math.MinInt64}},
	} {
		t.Run(row.name, func(t *testing.T) {
			shares, err := domain.NewMoney(row.minor, "EUR").Split(row.weights)
			require.NoError(t, err)
			got := make([]int64, len(shares))
			for i, share := range shares {
				got[i] = share.Minor
				assert.Equal(t, domain.Currency("EUR"), share.Currency)
			}
			assert.Equal(t, row.want, got)
		})
	}
	for _, weights := range [][]int64{{-1}, {1, -1}, {math.MaxInt64, 1}} {
		_, err := domain.NewMoney(100, "EUR").Split(weights)
		assert.ErrorIs(t, err, domain.ErrMoney, "%v", weights)
	}
}

// TestSplitIsExactAndFair: the shares add up, each is less than one unit away from its exact proportion, and who weighs
// more never gets less.
func TestSplitIsExactAndFair(t *testing.T) {
	weight := rapid.OneOf(rapid.Int64Range(0, 5), rapid.Int64Range(0, 100_000), rapid.Int64Range(0, math.MaxInt64/16))
	rapid.Check(t, func(t *rapid.T) {
		minor := anyMinor().Draw(t, "minor")
		weights := rapid.SliceOfN(weight, 1, 16).Draw(t, "weights")
		shares, err := domain.NewMoney(minor, "EUR").Split(weights)
		require.NoError(t, err)
		require.Len(t, shares, len(weights))

		sum, total := new(big.Int), new(big.Int)
		for i := range shares {
			sum.Add(sum, big.NewInt(shares[i].Minor))
			total.Add(total, big.NewInt(weights[i]))
		}
		require.Equal(t, big.NewInt(minor).String(), sum.String(), "the shares add up")
		if total.Sign() == 0 {
			require.Equal(t, minor, shares[0].Minor)
			return
		}
		for i := range shares {
			exact := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(minor), big.NewInt(weights[i])), total)
			off := exact.Sub(exact, new(big.Rat).SetInt64(shares[i].Minor))
			require.Negative(t, off.Abs(off).Cmp(big.NewRat(1, 1)), "share %d of %v is off by %s", i, shares, off)
			for j := range shares {
				if weights[i] > weights[j] && minor > 0 {
					require.GreaterOrEqual(t, shares[i].Minor, shares[j].Minor)
				}
			}
		}
	})
}
