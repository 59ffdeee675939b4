package books

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Empty tells whether nothing at all is known of the month: it was not read yet, or there is nothing.
func (r Revenue) Empty() bool { return len(r.Lines) == 0 }

// Lasting is a digest of the figures that belong to the month for good: payments, refunds, the recurring revenue and its way
// through the month, and subscriptions that began or ended in it, on both sides. It changes when one of them is corrected, such as by a refund
// that was seen late. Upcoming renewals are not in it: they are as known now, and fewer from day to day without any change of
// the month.
func (r Revenue) Lasting() string {
	sum := sha256.New()
	for _, l := range r.Lines {
		for side, f := range []Figures{l.GHL, l.Sage} {
			moved := []int64{f.Movement.Start.Minor, f.Movement.Gained.Minor, f.Movement.Expansion.Minor, f.Movement.Contraction.Minor, f.Movement.Lost.Minor}
			still := !slices.ContainsFunc(moved, func(minor int64) bool { return minor != 0 })
			if still && f.Payments+f.Refunded+f.Earning.Count+f.Unknown.Count+f.New.Count+f.Churned.Count == 0 {
				continue // such a line is of renewals alone
			}
			_, _ = fmt.Fprintf(sum, "%q %q %q %t %d %d/%d %d/%d %d/%d %d/%d %d/%d %d/%d %d\n", l.Group, l.ID, l.Currency, l.Apart, side,
				f.Gross.Minor, f.Payments, f.Refunds.Minor, f.Refunded, f.Recurring.Minor, f.Earning.Count,
				f.Unknown.Amount.Minor, f.Unknown.Count, f.New.Amount.Minor, f.New.Count, f.Churned.Amount.Minor, f.Churned.Count, moved)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}
