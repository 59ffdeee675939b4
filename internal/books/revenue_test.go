package books_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/books"
	"github.com/tallystick/tallystick/internal/store"
)

func revenueOf(t require.TestingT, s *store.Store, q books.RevenueQuery) books.Revenue {
	q.Month = october(20)
	if q.Location == "" {
		q.Location = here
	}
	r, err := books.RevenueOf(nowhere, s, q)
	require.NoError(t, err)
	return r
}

// told is a line in words: figures of both sides, with what they count.
func told(l books.RevenueLine) string {
	side := func(f books.Figures) string {
		people := func(u books.Subscribers) string { return fmt.Sprintf("%d of %s", u.Count, u.Amount.Decimal()) }
		return fmt.Sprintf("%s(%d)-%s(%d)=%s mrr %s from %s, new %s, churned %s, renewals %s", f.Gross.Decimal(), f.Payments,
			f.Refunds.Decimal(), f.Refunded, f.Net.Decimal(), f.Recurring.Decimal(), people(f.Earning), people(f.New), people(f.Churned),
			people(f.Renewals))
	}
	return fmt.Sprint(l.Group, " ", l.ID, " ", l.Currency, " ", l.Apart, " | ", side(l.GHL), " | ", side(l.Sage))
}

// take fills October: two products, a renewal, a refund, dollars that are kept apart, and subscriptions that began, ended
// and go on.
func take(t *testing.T, s *store.Store) {
	t.Helper()
	with := func(product, subscription string) func(*store.LedgerEntry) {
		return func(e *store.LedgerEntry) { e.ProductID, e.SubscriptionID = product, subscription }
	}
	mug := entry(domain.PaymentEntry, "t1", euro(10000), with("mug", ""))
	renewal := entry(domain.PaymentEntry, "t2", euro(900), with("gold", "s1"))
	back := entry(domain.RefundEntry, "t1", euro(2500), with("mug", ""))
	dollars := entry(domain.PaymentEntry, "t3", money(5000, "USD"), with("mug", ""), func(e *store.LedgerEntry) { e.Apart = true })
	pending := entry(domain.PaymentEntry, "t4", euro(1), func(e *store.LedgerEntry) { e.Status = string(domain.Pending) })
	before := entry(domain.PaymentEntry, "t5", euro(7), func(e *store.LedgerEntry) { e.At = october(1).AddDate(0, 0, -1) })
	plan := func(id, name string, minor int64, every domain.Recurrence, change ...func(*store.LedgerEntry)) store.LedgerEntry {
		return entry(domain.SubscriptionEntry, id, euro(minor), append([]func(*store.LedgerEntry){with("gold", ""), func(e *store.LedgerEntry) {
			e.Every, e.Name, e.At = every, name, october(3).AddDate(0, -5, 0)
		}}, change...)...)
	}
	gold := plan("s1", "Gold", 900, month, func(e *store.LedgerEntry) { e.Next = october(31) })
	yearly := plan("s2", "Gold for a year", 10000, year, func(e *store.LedgerEntry) { e.At, e.Next = october(5), october(5).AddDate(1, 0, 0) })
	over := plan("s3", "Gold", 900, month, func(e *store.LedgerEntry) {
		e.Status, e.Until = string(domain.SubscriptionCancelled), october(20)
	})
	put(t, s, mug, asRecord(mug, "1"), renewal, asRecord(renewal, "2"), back, dollars, pending, before, asRecord(before, "3"),
		gold, asRecord(gold, "4"), yearly, over, asRecord(over, "5"))
}

func TestRevenueStandsSideBySide(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		take(t, s)
		r := revenueOf(t, s, books.RevenueQuery{ByProduct: true, BySubscription: true})
		assert.Equal(t, "2026-10", r.Month)
		var lines []string
		for _, l := range r.Lines {
			lines = append(lines, told(l))
		}
		nothing := "0.00(0)-0.00(0)=0.00 mrr 0.00 from 0 of 0.00, new 0 of 0.00, churned 0 of 0.00, renewals 0 of 0.00"
		dollars := "50.00(1)-0.00(0)=50.00 mrr 0.00 from 0 of 0.00, new 0 of 0.00, churned 0 of 0.00, renewals 0 of 0.00"
		assert.Equal(t, []string{
			"total  EUR false | 109.00(2)-25.00(1)=84.00 mrr 17.33 from 2 of 109.00, new 1 of 100.00, churned 1 of 9.00, renewals 1 of 9.00" +
				" | 109.00(2)-0.00(0)=109.00 mrr 9.00 from 1 of 9.00, new 0 of 0.00, churned 1 of 9.00, renewals 1 of 9.00",
			"total  USD true | " + dollars + " | " + nothing,
			"product gold EUR false | 9.00(1)-0.00(0)=9.00 mrr 17.33 from 2 of 109.00, new 1 of 100.00, churned 1 of 9.00, renewals 1 of 9.00" +
				" | 9.00(1)-0.00(0)=9.00 mrr 9.00 from 1 of 9.00, new 0 of 0.00, churned 1 of 9.00, renewals 1 of 9.00",
			"product mug EUR false | 100.00(1)-25.00(1)=75.00 mrr 0.00 from 0 of 0.00, new 0 of 0.00, churned 0 of 0.00, renewals 0 of 0.00" +
				" | 100.00(1)-0.00(0)=100.00 mrr 0.00 from 0 of 0.00, new 0 of 0.00, churned 0 of 0.00, renewals 0 of 0.00",
			"product mug USD true | " + dollars + " | " + nothing,
			"subscription  EUR false | 100.00(1)-25.00(1)=75.00 mrr 0.00 from 0 of 0.00, new 0 of 0.00, churned 0 of 0.00, renewals 0 of 0.00" +
				" | 100.00(1)-0.00(0)=100.00 mrr 0.00 from 0 of 0.00, new 0 of 0.00, churned 0 of 0.00, renewals 0 of 0.00",
			"subscription  USD true | " + dollars + " | " + nothing,
			"subscription s1 EUR false | 9.00(1)-0.00(0)=9.00 mrr 9.00 from 1 of 9.00, new 0 of 0.00, churned 0 of 0.00, renewals 1 of 9.00" +
				" | 9.00(1)-0.00(0)=9.00 mrr 9.00 from 1 of 9.00, new 0 of 0.00, churned 0 of 0.00, renewals 1 of 9.00",
			"subscription s2 EUR false | 0.00(0)-0.00(0)=0.00 mrr 8.33 from 1 of 100.00, new 1 of 100.00, churned 0 of 0.00, renewals 0 of 0.00 | " + nothing,
			"subscription s3 EUR false | 0.00(0)-0.00(0)=0.00 mrr 0.00 from 0 of 0.00, new 0 of 0.00, churned 1 of 9.00, renewals 0 of 0.00" +
				" | 0.00(0)-0.00(0)=0.00 mrr 0.00 from 0 of 0.00, new 0 of 0.00, churned 1 of 9.00, renewals 0 of 0.00",
		}, lines)
		assert.Equal(t, "Gold for a year", r.Lines[8].Name)
		assert.Len(t, revenueOf(t, s, books.RevenueQuery{}).Lines, 2)
		_, err := books.RevenueOf(t.Context(), s, books.RevenueQuery{Location: here})
		require.Error(t, err)
	})
}

func TestRevenueIsPrinted(t *testing.T) {
	s := onSQLite(t)
	text := func(r books.Revenue, format string) string {
		var out strings.Builder
		require.NoError(t, r.Print(format, &out))
		return out.String()
	}
	assert.Contains(t, text(revenueOf(t, s, books.RevenueQuery{}), books.TableFormat), "nothing is known")
	take(t, s)
	r := revenueOf(t, s, books.RevenueQuery{ByProduct: true, BySubscription: true})
	table := strings.Join(strings.Fields(text(r, books.TableFormat)), " ")
	for _, words := range []string{
		"EUR HIGHLEVEL SAGE DIFFERENCE gross 109.00 (2) 109.00 (2) 0.00 refunds 25.00 (1) 0.00 (0) 25.00 net 84.00 109.00 -25.00",
		"recurring (MRR) 17.33 (2) 9.00 (1) 8.33 when the month began 18.00 18.00 0.00 + gained 8.33 0.00 8.33 - lost 9.00 9.00 0.00 new",
		"the history of some subscriptions (4, of both sides) begins later than this month did, the last one's on 2026-10-03;", "USD, kept apart", "gross 50.00 (1) - -",
		"mug USD, kept apart 50.00 / - 0.00 / -", "s1, Gold EUR 9.00 / 9.00 0.00 / 0.00 9.00 / 9.00 9.00 / 9.00 0 / 0 0 / 0 1 / 1",
	} {
		assert.Contains(t, table, words)
	}
	assert.NotContains(t, table, "interval unknown")
	var again books.Revenue
	require.NoError(t, json.Unmarshal([]byte(text(r, books.JSONFormat)), &again))
	assert.Equal(t, r, again)
	list := lines(t, text(r, books.CSVFormat))
	require.Len(t, list, len(r.Lines))
	assert.Equal(t, []string{"2026-10", "total", "EUR", "", "109.00", "2", "84.00", "109.00", "17.33", "2", "1"}, []string{
		list[0]["month"], list[0]["line"], list[0]["currency"], list[0]["kept_apart"], list[0]["ghl_gross"], list[0]["ghl_gross_count"],
		list[0]["ghl_net"], list[0]["sage_net"], list[0]["ghl_mrr"], list[0]["ghl_mrr_count"], list[0]["sage_renewals_count"]})
	assert.Equal(t, "yes", list[1]["kept_apart"])
	require.Error(t, r.Print("xml", &strings.Builder{}))
	r.Lines[0].ID, r.Lines[0].Name = "=1", "@home"
	list = lines(t, text(r, books.CSVFormat))
	assert.Equal(t, []string{"'=1", "'@home"}, []string{list[0]["id"], list[0]["name"]})
}

// TestGroupsSumUpToTheTotals holds the lines of products and subscriptions, which are computed in other ways than the
// totals, to those.
func TestGroupsSumUpToTheTotals(t *testing.T) {
	s := onSQLite(t)
	ledgers := 0
	rapid.Check(t, func(r *rapid.T) {
		ledgers++
		location := fmt.Sprint("ledger-", ledgers)
		entries := drawn(r, location)
		for i := range entries {
			e := &entries[i]
			e.ProductID = rapid.SampledFrom([]string{"", "mug", "gold"}).Draw(r, "product")
			if e.Kind != domain.SubscriptionEntry {
				e.SubscriptionID = rapid.SampledFrom([]string{"", "id1", "id2"}).Draw(r, "subscription")
				continue
			}
			moment := func(label string) time.Time {
				return rapid.SampledFrom([]time.Time{{}, october(1).AddDate(0, 0, -1), october(2), october(31).AddDate(0, 0, 1)}).Draw(r, label)
			}
			e.At, e.Until, e.Next = moment("at"), moment("until"), moment("next")
			e.Every = rapid.SampledFrom([]domain.Recurrence{{}, month, year}).Draw(r, "every")
		}
		require.NoError(r, s.PutEntries(nowhere, entries))
		sums := map[string]map[string]int64{}
		report := revenueOf(r, s, books.RevenueQuery{Location: location, ByProduct: true, BySubscription: true})
		for _, l := range report.Lines {
			for side, f := range map[string]books.Figures{"ghl": l.GHL, "sage": l.Sage} {
				key := fmt.Sprint(l.Currency, l.Apart, side)
				if sums[l.Group+key] == nil {
					sums[l.Group+key] = map[string]int64{}
				}
				for name, n := range map[string]int64{
					"gross": f.Gross.Minor, "refunds": f.Refunds.Minor, "net": f.Net.Minor, "payments": f.Payments, "refunded": f.Refunded,
					"earning": f.Earning.Count, "instalments": f.Earning.Amount.Minor, "unknown": f.Unknown.Amount.Minor, "new": f.New.Amount.Minor,
					"began": f.New.Count, "churned": f.Churned.Amount.Minor, "ended": f.Churned.Count, "renewals": f.Renewals.Amount.Minor,
				} {
					sums[l.Group+key][name] += n
				}
				require.Equal(r, f.Gross.Minor-f.Refunds.Minor, f.Net.Minor)
			}
		}
		for key, total := range sums {
			rest, isTotal := strings.CutPrefix(key, books.TotalGroup)
			if !isTotal {
				continue
			}
			require.Equal(r, total, sums[books.ProductGroup+rest], rest)
			require.Equal(r, total, sums[books.SubscriptionGroup+rest], rest)
		}
		require.Zero(r, len(sums)%3, "no group has a line of what the totals have none")
	})
}
