package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Side is one of the two systems whose words are compared.
type Side string

// The sides.
const (
	HighLevelSide Side = "ghl"
	SageSide      Side = "sage"
)

// EntryKind says what an entry is about.
type EntryKind string

// The kinds of entries.
const (
	OrderEntry        EntryKind = "order"
	PaymentEntry      EntryKind = "payment"
	RefundEntry       EntryKind = "refund"
	SubscriptionEntry EntryKind = "subscription"
)

// EntryKinds lists all kinds, in the order in which reports show them.
func EntryKinds() []EntryKind {
	return []EntryKind{OrderEntry, PaymentEntry, RefundEntry, SubscriptionEntry}
}

// The statuses of orders and refunds. Those of payments are the Clearings, those of subscriptions the SubscriptionStates;
// a subscription at Sage may also have the word of a Stage, where no more is known.
const (
	// OrderDue is an order that the books must hold, OrderNotDue one that they need not, or no longer.
	OrderDue    = "due"
	OrderNotDue = "not_due"
	// RefundDone is money that was given back.
	RefundDone = "refunded"
)

// Entry is what one side says of one order, payment, refund or subscription.
type Entry struct {
	Kind EntryKind `json:"kind"`
	Side Side      `json:"side"`
	// ID is HighLevel's id, on both sides: of the order, of the transaction (payments and refunds), of the subscription.
	ID string `json:"id"`
	// Record is Sage's id of the record; empty at HighLevel. No two entries of one kind and ID have the same.
	Record string `json:"record,omitempty"`
	// ExtID is what Sage's record is known by; empty at HighLevel. A refund given in parts is several rows, each with an
	// extId of its own, and only rows that share one are duplicates.
	ExtID          string `json:"extId,omitempty"`
	OrderID        string `json:"orderId,omitempty"`
	SubscriptionID string `json:"subscriptionId,omitempty"`
	ContactID      string `json:"contactId,omitempty"`
	ProductID      string `json:"productId,omitempty"`
	// Amount is an order's total, a payment, or one instalment of a subscription. Of a refund it is positive: at HighLevel
	// all that was given back so far, at Sage what this row takes back.
	Amount Money `json:"amount"`
	// Status is in our words: see OrderDue, Clearing, RefundDone and SubscriptionState. Word is the source's own.
	Status string `json:"status"`
	Word   string `json:"word,omitempty"`
	// At is when it was paid, first seen refunded, ordered or subscribed. At Sage it is a day at midnight (A139).
	At time.Time `json:"at,omitzero"`
	// Until is when a subscription was cancelled or ended, Next its next renewal; zero if there is none.
	Until time.Time `json:"until,omitzero"`
	Next  time.Time `json:"next,omitzero"`
	// Every is how often a subscription is charged, Name its plan.
	Every Recurrence `json:"every,omitzero"`
	Name  string     `json:"name,omitempty"`
	// UpdatedAt is when the source last changed it.
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	// Test says that no money moves.
	Test bool `json:"test,omitempty"`
	// Gone says that it is deleted at the source.
	Gone bool `json:"gone,omitempty"`
	// Edited says, of a record at Sage, that somebody else than our user wrote it last.
	Edited bool `json:"edited,omitempty"`
	// Apart says, at HighLevel, that the entry has no record at Sage by rule, as its currency is not that of the tenant's
	// rows of sales, which have none of their own. It is never summed with the others. At Sage it means nothing.
	Apart bool `json:"apart,omitempty"`
}

// Counts tells whether the entry belongs in the books: an order that is due, a payment that is settled, a refund and a
// subscription always, but never a test nor what is deleted at the source. Whoever sums entries sums those that count.
func (e Entry) Counts() bool {
	if e.Test || e.Gone {
		return false
	}
	switch e.Kind {
	case OrderEntry:
		return e.Status == OrderDue
	case PaymentEntry:
		return e.Status == string(Settled)
	case RefundEntry:
		return e.Amount.Minor != 0
	case SubscriptionEntry:
		return true
	}
	return false
}

// value is what the entry adds to the total of its side: its amount if it counts.
func (e Entry) value() Money {
	if e.Counts() {
		return e.Amount
	}
	return NewMoney(0, e.Amount.Currency)
}

// Digest is a short fingerprint of what the entry says as far as it concerns the other side. What only says who wrote it
// where and when is left out: Side, Record, ExtID, UpdatedAt and Edited, and the source's word unless it is an unknown
// state of a subscription, which is shown as it is. So an entry that was read again and says the same has the same digest.
func (e Entry) Digest() string {
	e.Side, e.Record, e.ExtID, e.Edited = "", "", "", false
	e.UpdatedAt = time.Time{}
	if e.Kind != SubscriptionEntry || e.Status != string(SubscriptionUnknown) {
		e.Word = ""
	}
	// One instant has many spellings, and not all of them survive a database.
	e.At, e.Until, e.Next = instant(e.At), instant(e.Until), instant(e.Next)
	data, err := json.Marshal(e)
	if err != nil { // only a time beyond the year 9999 can cause it
		data = fmt.Appendf(nil, "%+v", e)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// instant is a time in UTC, to the second; both databases and Sage keep at least that.
func instant(at time.Time) time.Time {
	if at.IsZero() {
		return time.Time{}
	}
	return at.UTC().Truncate(time.Second)
}
