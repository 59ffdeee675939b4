package domain

import (
	"fmt"
	"slices"
	"time"
)

// Clearing says how far a single payment has come.
type Clearing string

// The clearings. An unknown word of the source counts as pending: money is never assumed.
const (
	Pending Clearing = "pending"
	Settled Clearing = "settled"
	Failed  Clearing = "failed"
)

// Payment is one transaction for an order. Refunds do not come as payments of their own: they add up in Refunded
// (A03).
type Payment struct {
	ID        string    `json:"id"`
	Clearing  Clearing  `json:"clearing"`
	Amount    Money     `json:"amount"`
	Refunded  Money     `json:"refunded"`
	At        time.Time `json:"at"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// PaymentState says how much of a sale is paid.
type PaymentState string

// The payment states, as the extra field Z_PaymentStatus holds them.
const (
	Unpaid            PaymentState = "unpaid"
	PartiallyPaid     PaymentState = "partially_paid"
	Paid              PaymentState = "paid"
	PartiallyRefunded PaymentState = "partially_refunded"
	Refunded          PaymentState = "refunded"
)

// moves is the table of allowed moves between payment states. Money given back does not come back by itself: a refund
// can only be followed by further refunds or by a new payment. A settled payment may fail after all (a bank debit that
// is returned), so what is paid may become unpaid.
var moves = map[PaymentState][]PaymentState{
	Unpaid:            {PartiallyPaid, Paid, PartiallyRefunded, Refunded},
	PartiallyPaid:     {Unpaid, Paid, PartiallyRefunded, Refunded},
	Paid:              {Unpaid, PartiallyPaid, PartiallyRefunded, Refunded},
	PartiallyRefunded: {Refunded},
	Refunded:          {PartiallyRefunded},
}

// CanBecome tells whether a sale may move from one payment state to another. Staying is always allowed, and so is any
// first state.
func (s PaymentState) CanBecome(next PaymentState) bool {
	if s == "" || s == next {
		return true
	}
	for _, allowed := range moves[s] {
		if allowed == next {
			return true
		}
	}
	return false
}

// Settlement is what the payments of a sale amount to.
type Settlement struct {
	State    PaymentState `json:"state"`
	Paid     Money        `json:"paid"`
	Refunded Money        `json:"refunded"`
	// PaidAt is when the newest settled payment was taken; zero when none was.
	PaidAt time.Time `json:"paidAt,omitzero"`
	// PaymentIDs are the settled payments, in the order of their ids.
	PaymentIDs []string `json:"paymentIds,omitempty"`
}

// Cleared tells whether any money has arrived, be it refunded since, or none was due.
func (s Settlement) Cleared() bool { return s.State != Unpaid }

// Settlement sums up the payments. More paid than the order's total is an ErrMoney: either a payment belongs elsewhere
// or the order changed, and a person must say which.
func (s Sale) Settlement() (Settlement, error) {
	if err := s.Validate(); err != nil {
		return Settlement{}, err
	}
	sum := Settlement{Paid: NewMoney(0, s.Currency), Refunded: NewMoney(0, s.Currency)}
	for _, p := range s.settled() {
		var err error
		if sum.Paid, err = sum.Paid.Add(p.Amount); err != nil {
			return Settlement{}, err
		}
		if sum.Refunded, err = sum.Refunded.Add(p.Refunded); err != nil {
			return Settlement{}, err
		}
		if p.At.After(sum.PaidAt) {
			sum.PaidAt = p.At.UTC() // one spelling of one instant, or equal bookings would differ in their digests
		}
		sum.PaymentIDs = append(sum.PaymentIDs, p.ID)
	}
	slices.Sort(sum.PaymentIDs)
	if sum.Paid.Minor > s.Total.Minor {
		return Settlement{}, fmt.Errorf("%w: %s is paid on an order of %s", ErrMoney, sum.Paid, s.Total)
	}
	sum.State = s.paymentState(sum)
	return sum, nil
}

// settled are the payments that count. A payment that is listed twice counts once, as its newest version says: lists
// are read in pages, and a payment that arrives in between moves another one onto the next page.
func (s Sale) settled() []Payment {
	newest := make(map[string]int, len(s.Payments))
	versions := make([]Payment, 0, len(s.Payments))
	for _, p := range s.Payments {
		at, listed := newest[p.ID]
		switch {
		case p.ID == "" || !listed:
			newest[p.ID] = len(versions)
			versions = append(versions, p)
		case !p.UpdatedAt.Before(versions[at].UpdatedAt):
			versions[at] = p
		}
	}
	return slices.DeleteFunc(versions, func(p Payment) bool { return p.Clearing != Settled })
}

func (s Sale) paymentState(sum Settlement) PaymentState {
	switch {
	case sum.Refunded.Minor > 0 && sum.Refunded == sum.Paid:
		return Refunded
	case sum.Refunded.Minor > 0:
		return PartiallyRefunded
	case s.Free(), s.Total.IsZero() && len(sum.PaymentIDs) > 0: // a settled payment of nothing settles an order of nothing
		return Paid
	case sum.Paid.Minor == 0:
		return Unpaid
	case sum.Paid.Minor < s.Total.Minor:
		return PartiallyPaid
	default:
		return Paid
	}
}
