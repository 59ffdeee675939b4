package domain

import (
	"math/big"
	"sort"
)

// spread is the arithmetic of Money.Split. Products of two int64 overflow, hence the big integers.
func spread(minor int64, weights []int64, total int64, shares []Money) {
	sign := int64(1)
	amount := big.NewInt(minor)
	if minor < 0 {
		sign = -1
		amount.Neg(amount)
	}
	type rest struct {
		index     int
		remainder *big.Int
	}
	rests := make([]rest, len(weights))
	left := new(big.Int).Set(amount)
	for i, w := range weights {
		quotient, remainder := new(big.Int).QuoRem(
			new(big.Int).Mul(amount, big.NewInt(w)), big.NewInt(total), new(big.Int))
		shares[i].Minor = sign * quotient.Int64()
		left.Sub(left, quotient)
		rests[i] = rest{i, remainder}
	}
	sort.SliceStable(rests, func(a, b int) bool { return rests[a].remainder.Cmp(rests[b].remainder) > 0 })
	for i := int64(0); i < left.Int64(); i++ { // always fewer than there are weights
		shares[rests[i].index].Minor += sign
	}
}
