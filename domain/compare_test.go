package domain_test

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/domain"
)

var statuses = map[domain.EntryKind][]string{
	domain.OrderEntry:   {domain.OrderDue, domain.OrderNotDue},
	domain.PaymentEntry: {string(domain.Settled), string(domain.Settled), string(domain.Pending), string(domain.Failed)},
	domain.RefundEntry:  {domain.RefundDone},
	domain.SubscriptionEntry: {"trialing", "active", "past_due", "paused", "incomplete", "unpaid", "cancelled", "expired", "unknown",
		"open", "won", "lost"},
}

// drawEntry draws anything that a side may say, few values of each kind so that the sides meet often.
func drawEntry(t *rapid.T, side domain.Side, id string) domain.Entry {
	kind := rapid.SampledFrom(domain.EntryKinds()).Draw(t, "kind")
	return drawOf(t, kind, side, id)
}

func drawOf(t *rapid.T, kind domain.EntryKind, side domain.Side, id string) domain.Entry {
	minor := rapid.OneOf(rapid.SampledFrom([]int64{0, 1, -1, 100, 100, 250, math.MaxInt64, -math.MaxInt64}), rapid.Int64Range(-1e9, 1e9))
	day := func(label string) time.Time {
		return noon.AddDate(0, 0, rapid.IntRange(0, 3).Draw(t, label))
	}
	often := func(label string) bool { return rapid.IntRange(0, 5).Draw(t, label) == 0 }
	e := domain.Entry{
		Kind: kind, Side: side, ID: id, UpdatedAt: day("updated"), At: day("at"), Next: day("next"), Until: day("until"),
		Amount: domain.NewMoney(minor.Draw(t, "minor"), rapid.SampledFrom([]domain.Currency{"EUR", "EUR", "USD", "JPY"}).Draw(t, "currency")),
		Status: rapid.SampledFrom(statuses[kind]).Draw(t, "status"), Test: often("test"), Gone: often("gone"), Edited: often("edited"),
	}
	if side == domain.HighLevelSide {
		e.Apart = often("apart")
	}
	return e
}

// drawRecords draws Sage's records of one id, some of them parts of one refund or copies of each other.
func drawRecords(t *rapid.T, kind domain.EntryKind, id string) []domain.Entry {
	records := make([]domain.Entry, rapid.SampledFrom([]int{0, 1, 1, 1, 2, 3, 5}).Draw(t, "records"))
	for i := range records {
		if records[i] = drawOf(t, kind, domain.SageSide, id); i > 0 && rapid.Bool().Draw(t, "copy") {
			records[i] = records[i-1]
		}
		records[i].Record = fmt.Sprint(95 + i)
		records[i].ExtID = rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "extId")
	}
	return records
}

// ledger adds up money of any size and currency.
type ledger map[domain.Currency]*big.Int

func (l ledger) add(sign int64, m domain.Money) {
	if l[m.Currency] == nil {
		l[m.Currency] = new(big.Int)
	}
	l[m.Currency].Add(l[m.Currency], new(big.Int).Mul(big.NewInt(sign), big.NewInt(m.Minor)))
}

func TestDifferencesExplainTheBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(domain.EntryKinds()).Draw(t, "kind")
		rest := ledger{} // what HighLevel has more than Sage, what is kept apart and what is listed
		for i := range rapid.IntRange(1, 8).Draw(t, "ids") {
			id := rapid.SampledFrom([]string{"", fmt.Sprint(i)}).Draw(t, "id")
			var ghl *domain.Entry
			if id != "" && rapid.IntRange(0, 3).Draw(t, "known") > 0 {
				e := drawOf(t, kind, domain.HighLevelSide, id)
				ghl = &e
				if e.Counts() && !e.Apart {
					rest.add(1, e.Amount)
				}
			}
			records := drawRecords(t, kind, id)
			for _, e := range records {
				if e.Counts() {
					rest.add(-1, e.Amount)
				}
			}
			for _, d := range domain.Compare(kind, ghl, records) {
				for _, amount := range d.Amounts() {
					rest.add(-1, amount)
				}
			}
		}
		for currency, sum := range rest {
			require.Zero(t, sum.Sign(), "%s %s cannot be explained", sum, currency)
		}
	})
}

func TestEveryRecordIsListedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(domain.EntryKinds()).Draw(t, "kind")
		ghl := drawOf(t, kind, domain.HighLevelSide, "id")
		records := drawRecords(t, kind, "id")
		found := domain.Compare(kind, &ghl, records)
		live := len(slices.DeleteFunc(slices.Clone(records), func(e domain.Entry) bool { return !e.Counts() }))
		seen, duplicates, missing := map[string]bool{}, 0, 0
		for _, d := range found {
			require.Equal(t, kind, d.Kind)
			require.Equal(t, "id", d.ID)
			require.NotEmpty(t, d.Findings)
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(d.Findings))), len(d.Findings))
			require.False(t, d.Record != "" && seen[d.Record], "record %s is listed twice", d.Record)
			seen[d.Record] = true
			if slices.Contains(d.Findings, domain.Duplicate) {
				duplicates++
			}
			if slices.Contains(d.Findings, domain.Missing) {
				missing++
			}
		}
		inBooks := ghl.Counts() && !ghl.Apart
		if live == 0 && inBooks && !slices.ContainsFunc(records, func(e domain.Entry) bool { return !e.Gone && !e.Test }) {
			require.Equal(t, 1, missing, "it is missing once, however many records of it were deleted")
			require.Len(t, found, 1)
		}
		if live > 0 {
			require.Zero(t, missing)
		}
		if kind != domain.RefundEntry && live > 0 && inBooks {
			require.Equal(t, live-1, duplicates)
		}
	})
}

func TestTheOrderOfRecordsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(domain.EntryKinds()).Draw(t, "kind")
		ghl := drawOf(t, kind, domain.HighLevelSide, "id")
		records := drawRecords(t, kind, "id")
		before := slices.Clone(records)
		found := domain.Compare(kind, &ghl, records)
		require.Equal(t, before, records, "what is compared stays as it is")
		require.Equal(t, found, domain.Compare(kind, &ghl, rapid.Permutation(records).Draw(t, "order")))
	})
}

func TestCompareIsSymmetric(t *testing.T) {
	mirror := map[domain.Finding]domain.Finding{domain.Missing: domain.Extra, domain.Extra: domain.Missing}
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(domain.EntryKinds()).Draw(t, "kind")
		var here, there []domain.Entry
		if rapid.IntRange(0, 3).Draw(t, "here") > 0 {
			here = append(here, drawOf(t, kind, domain.SageSide, "id"))
		}
		if rapid.IntRange(0, 3).Draw(t, "there") > 0 {
			there = append(there, drawOf(t, kind, domain.SageSide, "id"))
		}
		for _, e := range slices.Concat(here, there) {
			if domain.SubscriptionState(e.Status).Stage() == "open" && domain.SubscriptionStateOf(e.Status) == "unknown" && e.Status != "unknown" {
				t.Skip("only Sage knows no more than a stage")
			}
		}
		say := func(a, b []domain.Entry, turn func(domain.Finding) domain.Finding, sign int64) (findings []domain.Finding, l ledger) {
			var ghl *domain.Entry
			if len(a) > 0 {
				ghl = &a[0]
			}
			l = ledger{}
			for _, d := range domain.Compare(kind, ghl, b) {
				for _, f := range d.Findings {
					findings = append(findings, turn(f))
				}
				for _, amount := range d.Amounts() {
					l.add(sign, amount)
				}
			}
			return findings, l
		}
		as := func(f domain.Finding) domain.Finding { return f }
		turned := func(f domain.Finding) domain.Finding {
			if m, ok := mirror[f]; ok {
				return m
			}
			return f
		}
		findings, sums := say(here, there, as, 1)
		back, negated := say(there, here, turned, -1)
		require.Equal(t, findings, back)
		for currency, sum := range sums {
			if negated[currency] == nil {
				require.Zero(t, sum.Sign())
				continue
			}
			require.Zero(t, sum.Cmp(negated[currency]))
		}
	})
}

// booked is an entry as Sage has it once it was brought: a day at midnight, in one row.
func booked(e domain.Entry, record string) domain.Entry {
	e.Side, e.Record, e.ExtID, e.Word = domain.SageSide, record, "ext:"+e.ID, ""
	e.At = e.At.UTC().Truncate(24 * time.Hour)
	return e
}

func TestFindings(t *testing.T) {
	ghl := payment("p", 1000, "EUR")
	row := booked(ghl, "7")
	with := func(change func(*domain.Entry)) domain.Entry {
		e := row
		change(&e)
		return e
	}
	type list = []domain.Finding
	money := domain.NewMoney
	for name, c := range map[string]struct {
		ghl      func(*domain.Entry)
		sage     []domain.Entry
		findings []list
		amounts  []domain.Money
	}{
		"agreed":               {sage: []domain.Entry{row}},
		"missing":              {findings: []list{{domain.Missing}}, amounts: []domain.Money{money(1000, "EUR")}},
		"deleted":              {sage: []domain.Entry{with(func(e *domain.Entry) { e.Gone = true })}, findings: []list{{domain.Missing}}, amounts: []domain.Money{money(1000, "EUR")}},
		"pending":              {ghl: func(e *domain.Entry) { e.Status = "pending" }},
		"failed after all":     {ghl: func(e *domain.Entry) { e.Status = "failed" }, sage: []domain.Entry{row}, findings: []list{{domain.StatusDiffers}}, amounts: []domain.Money{money(-1000, "EUR")}},
		"a test in the books":  {ghl: func(e *domain.Entry) { e.Test = true }, sage: []domain.Entry{row}, findings: []list{{domain.Extra}}, amounts: []domain.Money{money(-1000, "EUR")}},
		"kept apart":           {ghl: func(e *domain.Entry) { e.Apart = true }},
		"kept apart, and not":  {ghl: func(e *domain.Entry) { e.Apart = true }, sage: []domain.Entry{row}, findings: []list{{domain.Extra}}, amounts: []domain.Money{money(-1000, "EUR")}},
		"amount":               {sage: []domain.Entry{with(func(e *domain.Entry) { e.Amount.Minor = 999 })}, findings: []list{{domain.AmountDiffers}}, amounts: []domain.Money{money(1, "EUR")}},
		"currency":             {sage: []domain.Entry{with(func(e *domain.Entry) { e.Amount.Currency = "USD" })}, findings: []list{{domain.CurrencyDiffers}}, amounts: []domain.Money{money(1000, "EUR"), money(-1000, "USD")}},
		"the next day":         {sage: []domain.Entry{with(func(e *domain.Entry) { e.At = e.At.AddDate(0, 0, 1) })}},
		"two days later":       {sage: []domain.Entry{with(func(e *domain.Entry) { e.At = e.At.AddDate(0, 0, 2) })}, findings: []list{{domain.DateDiffers}}, amounts: []domain.Money{money(0, "EUR")}},
		"amount and date":      {sage: []domain.Entry{with(func(e *domain.Entry) { e.Amount.Minor, e.At = 400, e.At.AddDate(0, -1, 0) })}, findings: []list{{domain.AmountDiffers, domain.DateDiffers}}, amounts: []domain.Money{money(600, "EUR")}},
		"duplicate":            {sage: []domain.Entry{row, with(func(e *domain.Entry) { e.Record = "6" })}, findings: []list{{domain.Duplicate}}, amounts: []domain.Money{money(-1000, "EUR")}},
		"duplicate, deleted":   {sage: []domain.Entry{row, with(func(e *domain.Entry) { e.Record, e.Gone = "6", true })}},
		"duplicate, elsewhere": {sage: []domain.Entry{with(func(e *domain.Entry) { e.Record, e.Amount.Minor = "6", 5 }), row}, findings: []list{{domain.Duplicate}}, amounts: []domain.Money{money(-5, "EUR")}},
	} {
		t.Run(name, func(t *testing.T) {
			e := ghl
			if c.ghl != nil {
				c.ghl(&e)
			}
			var findings []list
			var amounts []domain.Money
			for _, d := range domain.Compare(e.Kind, &e, c.sage) {
				findings, amounts = append(findings, d.Findings), append(amounts, d.Amounts()...)
			}
			require.Equal(t, c.findings, findings)
			require.Equal(t, c.amounts, amounts)
		})
	}
}

func TestTheDuplicateIsTheOneThatWasMadeLater(t *testing.T) {
	ghl := payment("p", 1000, "EUR")
	ours, theirs, late := booked(ghl, "10"), booked(ghl, "9"), booked(ghl, "11")
	theirs.Edited, late.UpdatedAt = true, noon.Add(time.Hour)
	found := domain.Compare(ghl.Kind, &ghl, []domain.Entry{late, theirs, ours})
	require.Len(t, found, 2)
	require.Equal(t, "11", found[0].Record)
	require.Equal(t, late.UpdatedAt, found[0].Since)
	require.Equal(t, "9", found[1].Record)
	require.Equal(t, []domain.Finding{domain.Duplicate}, found[1].Findings)
}

func TestARefundInParts(t *testing.T) {
	ghl := payment("p", 3000, "EUR")
	ghl.Kind, ghl.Status = domain.RefundEntry, domain.RefundDone
	first, second := booked(ghl, "1"), booked(ghl, "2")
	first.Amount.Minor, first.ExtID = 1000, "ghl:refund:p:1000"
	second.Amount.Minor, second.ExtID = 2000, "ghl:refund:p:3000"
	second.UpdatedAt = noon.AddDate(0, 1, 0)
	require.Empty(t, domain.Compare(ghl.Kind, &ghl, []domain.Entry{second, first}))

	found := domain.Compare(ghl.Kind, &ghl, []domain.Entry{first})
	require.Len(t, found, 1)
	require.Equal(t, []domain.Finding{domain.AmountDiffers}, found[0].Findings)
	require.Equal(t, domain.NewMoney(2000, "EUR"), found[0].Amount)

	again := second
	again.Record = "3"
	found = domain.Compare(ghl.Kind, &ghl, []domain.Entry{first, again, second})
	require.Len(t, found, 1)
	require.Equal(t, "3", found[0].Record)
	require.Equal(t, []domain.Finding{domain.Duplicate}, found[0].Findings)
	require.Equal(t, domain.NewMoney(-2000, "EUR"), found[0].Amount)

	found = domain.Compare(ghl.Kind, nil, []domain.Entry{first, second})
	require.Len(t, found, 1, "parts of one refund that HighLevel does not know")
	require.Equal(t, []domain.Finding{domain.Extra}, found[0].Findings)
	require.Equal(t, domain.NewMoney(-3000, "EUR"), found[0].Amount)
}

func TestRecordsOfNothingHaveNothingToDoWithEachOther(t *testing.T) {
	a, b := booked(payment("", 100, "EUR"), "1"), booked(payment("", 200, "EUR"), "2")
	found := domain.Compare(a.Kind, nil, []domain.Entry{a, b})
	require.Len(t, found, 2)
	for _, d := range found {
		require.Equal(t, []domain.Finding{domain.Extra}, d.Findings)
	}
}

func TestSubscriptionsAreComparedAsFarAsSageTells(t *testing.T) {
	ghl := domain.Entry{
		Kind: domain.SubscriptionEntry, Side: domain.HighLevelSide, ID: "s", Amount: domain.NewMoney(900, "EUR"), Status: "past_due",
		At: noon, Next: noon.AddDate(0, 1, 0), Every: monthly,
	}
	findings := func(change func(ghl, sage *domain.Entry)) string {
		h, s := ghl, ghl
		s.Side, s.Record, s.At = domain.SageSide, "1", time.Time{}
		change(&h, &s)
		var all []string
		for _, d := range domain.Compare(h.Kind, &h, []domain.Entry{s}) {
			for _, f := range d.Findings {
				all = append(all, string(f))
			}
		}
		return strings.Join(all, " ")
	}
	require.Empty(t, findings(func(_, _ *domain.Entry) {}))
	require.Empty(t, findings(func(_, s *domain.Entry) { s.Status = "won" }), "a tenant without our extra fields")
	require.Equal(t, "status", findings(func(_, s *domain.Entry) { s.Status = "lost" }))
	require.Equal(t, "status", findings(func(_, s *domain.Entry) { s.Status = "active" }))
	require.Equal(t, "date", findings(func(_, s *domain.Entry) { s.Next = s.Next.AddDate(0, 1, 0) }))
	require.Equal(t, "date", findings(func(_, s *domain.Entry) { s.Next = time.Time{} }))
	require.Empty(t, findings(func(h, _ *domain.Entry) { h.Next = time.Time{} }), "nobody knows when it renews")
	require.Empty(t, findings(func(h, s *domain.Entry) { h.Status, s.Status, s.Next = "cancelled", "lost", noon }))
	require.Equal(t, "date", findings(func(h, s *domain.Entry) {
		h.Status, s.Status, h.Until, s.Until = "cancelled", "cancelled", noon, noon.AddDate(0, 0, 9)
	}))
	require.Equal(t, "amount", findings(func(h, _ *domain.Entry) { h.Amount.Minor = 1900 }), "an upgrade")
}

func TestTheProofDoubtsBothSides(t *testing.T) {
	var tally domain.Tally
	ghl, apart := payment("p", 1000, "EUR"), payment("q", 500, "USD")
	apart.Apart = true
	row := booked(ghl, "1")
	row.Amount.Minor = 900
	found := domain.Compare(ghl.Kind, &ghl, []domain.Entry{row})
	require.NoError(t, tally.Add(ghl.Kind, &ghl, []domain.Entry{row}, found))
	require.NoError(t, tally.Add(apart.Kind, &apart, nil, domain.Compare(apart.Kind, &apart, nil)))
	zero := domain.NewMoney(0, "USD")
	require.Equal(t, []domain.Proof{
		{Kind: domain.PaymentEntry, Currency: "EUR", GHL: ghl.Amount, Sage: row.Amount, Apart: domain.NewMoney(0, "EUR"),
			Differences: domain.NewMoney(100, "EUR"), GHLCount: 1, SageCount: 1, DifferenceCount: 1},
		{Kind: domain.PaymentEntry, Currency: "USD", GHL: apart.Amount, Sage: zero, Apart: apart.Amount, Differences: zero, GHLCount: 1, ApartCount: 1},
	}, tally.Proofs())
	for _, p := range tally.Proofs() {
		require.True(t, p.Holds())
	}
	require.NoError(t, tally.Add(ghl.Kind, &ghl, nil, nil), "a difference is kept from the report")
	require.False(t, tally.Proofs()[0].Holds())

	huge := payment("r", math.MaxInt64, "EUR")
	require.ErrorIs(t, tally.Add(huge.Kind, &huge, nil, nil), domain.ErrMoney)
	require.False(t, domain.Proof{Currency: "EUR"}.Holds(), "sums of no currency prove nothing")
}

func TestEveryTallyOfEverythingComparedHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tally domain.Tally
		for i := range rapid.IntRange(1, 6).Draw(t, "ids") {
			id := fmt.Sprint(i)
			ghl := drawEntry(t, domain.HighLevelSide, id)
			records := drawRecords(t, ghl.Kind, id)
			ghl.Amount.Minor %= 1e12
			for j := range records {
				records[j].Amount.Minor %= 1e12
			}
			require.NoError(t, tally.Add(ghl.Kind, &ghl, records, domain.Compare(ghl.Kind, &ghl, records)))
		}
		for _, p := range tally.Proofs() {
			require.True(t, p.Holds(), "%+v", p)
		}
	})
}
