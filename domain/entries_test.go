package domain_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/domain"
)

// payment is one that both sides would tell in the same way.
func payment(id string, minor int64, currency domain.Currency) domain.Entry {
	return domain.Entry{
		Kind: domain.PaymentEntry, Side: domain.HighLevelSide, ID: id, OrderID: "o", ContactID: "c",
		Amount: domain.NewMoney(minor, currency), Status: string(domain.Settled), Word: "succeeded", At: noon, UpdatedAt: noon,
	}
}

func TestWhatBelongsInTheBooks(t *testing.T) {
	counts := func(change func(*domain.Entry)) bool {
		e := payment("p", 100, "EUR")
		change(&e)
		return e.Counts()
	}
	kind := func(kind domain.EntryKind, status string) func(*domain.Entry) {
		return func(e *domain.Entry) { e.Kind, e.Status = kind, status }
	}
	require.True(t, counts(func(*domain.Entry) {}))
	require.True(t, counts(func(e *domain.Entry) { e.Apart = true }), "what is kept apart has happened all the same")
	require.False(t, counts(func(e *domain.Entry) { e.Test = true }))
	require.False(t, counts(func(e *domain.Entry) { e.Gone = true }))
	require.False(t, counts(kind(domain.PaymentEntry, string(domain.Pending))))
	require.False(t, counts(kind(domain.PaymentEntry, string(domain.Failed))))
	require.True(t, counts(kind(domain.OrderEntry, domain.OrderDue)))
	require.False(t, counts(kind(domain.OrderEntry, domain.OrderNotDue)))
	require.True(t, counts(kind(domain.RefundEntry, domain.RefundDone)))
	require.False(t, counts(func(e *domain.Entry) { e.Kind, e.Amount.Minor = domain.RefundEntry, 0 }))
	require.True(t, counts(kind(domain.SubscriptionEntry, string(domain.SubscriptionCancelled))))
	require.False(t, counts(kind("wish", "granted")))
}

func TestDigestSaysWhatConcernsTheOtherSide(t *testing.T) {
	base := payment("p", 100, "EUR")
	change := func(f func(*domain.Entry)) string {
		e := base
		f(&e)
		return e.Digest()
	}
	require.Len(t, base.Digest(), 32)
	for name, same := range map[string]func(*domain.Entry){
		"who says it":    func(e *domain.Entry) { e.Side, e.Record, e.ExtID = domain.SageSide, "77", "ghl:txn:p" },
		"who wrote it":   func(e *domain.Entry) { e.Edited, e.UpdatedAt = true, noon.Add(time.Hour) },
		"another word":   func(e *domain.Entry) { e.Word = "paid" },
		"another zone":   func(e *domain.Entry) { e.At = noon.In(time.FixedZone("", 3600)) },
		"a split second": func(e *domain.Entry) { e.At = noon.Add(time.Millisecond) },
	} {
		require.Equal(t, base.Digest(), change(same), name)
	}
	seen := map[string]string{base.Digest(): "base"}
	for name, other := range map[string]func(*domain.Entry){
		"kind": func(e *domain.Entry) { e.Kind = domain.RefundEntry }, "id": func(e *domain.Entry) { e.ID = "q" },
		"order": func(e *domain.Entry) { e.OrderID = "x" }, "subscription": func(e *domain.Entry) { e.SubscriptionID = "x" },
		"contact": func(e *domain.Entry) { e.ContactID = "x" }, "product": func(e *domain.Entry) { e.ProductID = "x" },
		"amount": func(e *domain.Entry) { e.Amount.Minor++ }, "currency": func(e *domain.Entry) { e.Amount.Currency = "USD" },
		"status": func(e *domain.Entry) { e.Status = "failed" }, "paid at": func(e *domain.Entry) { e.At = noon.Add(time.Minute) },
		"until": func(e *domain.Entry) { e.Until = noon }, "next": func(e *domain.Entry) { e.Next = noon },
		"every": func(e *domain.Entry) { e.Every = monthly }, "plan": func(e *domain.Entry) { e.Name = "x" },
		"test": func(e *domain.Entry) { e.Test = true }, "gone": func(e *domain.Entry) { e.Gone = true },
		"apart": func(e *domain.Entry) { e.Apart = true }, "beyond all years": func(e *domain.Entry) { e.At = noon.AddDate(9000, 0, 0) },
	} {
		digest := change(other)
		require.Empty(t, seen[digest], name)
		seen[digest] = name
	}
	unknown := domain.Entry{Kind: domain.SubscriptionEntry, Status: string(domain.SubscriptionUnknown), Word: "frozen"}
	other := unknown
	other.Word = "thawed"
	require.NotEqual(t, unknown.Digest(), other.Digest(), "an unknown word is shown at Sage")
}

func TestDigestOutlivesStorage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEntry(t, domain.HighLevelSide, "id")
		data, err := json.Marshal(e)
		require.NoError(t, err)
		var back domain.Entry
		require.NoError(t, json.Unmarshal(data, &back))
		require.Equal(t, e.Digest(), back.Digest())
	})
}
