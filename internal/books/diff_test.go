package books_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"runtime"
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

// short is a row in a line.
func short(r books.Row) string {
	texts := []string{string(r.Kind), r.ID, r.Record}
	for _, f := range r.Findings {
		texts = append(texts, string(f))
	}
	for _, m := range r.Amounts() {
		texts = append(texts, m.String())
	}
	if r.InFlight {
		texts = append(texts, "young")
	}
	return strings.Join(append(texts, string(r.Cause)), "|")
}

func TestEachDifferenceIsNamedWithItsCause(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		plant(t, s)
		rows, sum := compare(t, s, query())
		var got []string
		for _, r := range rows {
			assert.Equal(t, books.DifferenceLine, r.Line)
			got = append(got, short(r))
		}
		assert.Equal(t, []string{
			"order|o2||missing|12.00 EUR|parked",
			"payment||6|extra|-0.60 EUR|edited",
			"payment|dear|2|amount|10.00 EUR|edited",
			"payment|erased|7|missing|1.50 EUR|deleted_in_sage",
			"payment|fresh||missing|0.80 EUR|young|in_flight",
			"payment|late|3|date|0.00 EUR|",
			"payment|lost||missing|4.50 EUR|",
			"payment|stuck||missing|12.00 EUR|parked",
			"payment|twice|5|duplicate|-3.00 EUR|",
			"subscription|s1|9|status|0.00 EUR|",
		}, got)
		stuck := rows[7]
		assert.Equal(t, []string{"Mapping", "o2"}, []string{stuck.ParkedFor, stuck.Parked})
		assert.Contains(t, stuck.Reason, "SAGE_ORDER_STATUS_WON")
		assert.Equal(t, int64(10*24*3600), stuck.AgeSeconds)
		assert.Equal(t, []int64{14, 10, 1, 9}, []int64{sum.Records, sum.Differences, sum.InFlight, sum.Standing()})
		assert.Equal(t, []time.Time{now.Add(-time.Minute), seen}, []time.Time{sum.ReadGHL.UTC(), sum.ReadSage.UTC()})
		later := query()
		later.Reconciled = seen.Add(time.Hour)
		_, sum = compare(t, s, later)
		assert.Equal(t, []time.Time{now.Add(-time.Minute), later.Reconciled}, []time.Time{sum.ReadGHL.UTC(), sum.ReadSage.UTC()})

		var proofs []string
		for _, p := range sum.Proofs {
			proofs = append(proofs, fmt.Sprint(p.Kind, " ", p.GHL, " = ", p.Sage, " + ", p.Apart, " + ", p.Differences, " ", p.Holds()))
		}
		assert.Equal(t, []string{
			"order 112.00 EUR = 100.00 EUR + 0.00 EUR + 12.00 EUR true",
			"payment 178.80 EUR = 153.60 EUR + 0.00 EUR + 25.20 EUR true",
			"payment 25.00 USD = 0.00 USD + 25.00 USD + 0.00 USD true",
			"refund 20.00 EUR = 20.00 EUR + 0.00 EUR + 0.00 EUR true",
			"subscription 9.00 EUR = 9.00 EUR + 0.00 EUR + 0.00 EUR true",
		}, proofs)
		assert.True(t, sum.Holds())
		assert.False(t, sum.Agree())
	})
}

func TestChosenKindsAndPeriods(t *testing.T) {
	s := onSQLite(t)
	plant(t, s)
	old := entry(domain.PaymentEntry, "old", euro(1), func(e *store.LedgerEntry) { e.At = october(3).AddDate(0, -1, 0) })
	put(t, s, old)
	q := query()
	q.Kinds = []domain.EntryKind{domain.SubscriptionEntry, domain.OrderEntry, domain.OrderEntry}
	rows, sum := compare(t, s, q)
	assert.Equal(t, []domain.EntryKind{domain.OrderEntry, domain.SubscriptionEntry}, []domain.EntryKind{rows[0].Kind, rows[1].Kind})
	assert.Equal(t, int64(3), sum.Records)
	q = query()
	q.From, q.Before = old.At.Add(-time.Hour), old.At.Add(time.Hour)
	rows, sum = compare(t, s, q)
	require.Len(t, rows, 1)
	assert.Equal(t, "old", rows[0].ID)
	assert.Len(t, sum.Proofs, 1)
	q.Location = "elsewhere"
	rows, sum = compare(t, s, q)
	assert.Empty(t, rows)
	assert.True(t, sum.Agree())
	assert.Contains(t, printed(t, s, q, books.TableFormat, nil), "nothing is known of either side")
}

func TestDifferencesInFlightAreNoFault(t *testing.T) {
	s := onSQLite(t)
	put(t, s, entry(domain.PaymentEntry, "p", euro(100), func(e *store.LedgerEntry) { e.SeenAt = now.Add(-30*time.Minute + time.Second) }))
	_, sum := compare(t, s, query())
	assert.True(t, sum.Agree())
	assert.Contains(t, printed(t, s, query(), books.TableFormat, nil), "the books agree but for 1 in flight")
	for _, q := range []books.Query{{Location: here, Now: now.Add(time.Second), DifferenceAge: 30 * time.Minute}, {Location: here, Now: now}} {
		_, sum = compare(t, s, q)
		assert.False(t, sum.Agree(), "%s later, %s allowed", q.Now.Sub(now), q.DifferenceAge)
	}
}

func TestWhatOnlySageHasByHighLevelsWord(t *testing.T) {
	s := onSQLite(t)
	for cause, change := range map[books.Cause]func(*store.LedgerEntry){
		books.DeletedInGHL: func(e *store.LedgerEntry) { e.Gone = true },
		books.TestData:     func(e *store.LedgerEntry) { e.Test = true },
		books.KeptApart:    func(e *store.LedgerEntry) { e.Apart = true },
	} {
		e := entry(domain.PaymentEntry, string(cause), euro(100), change)
		record := entry(domain.PaymentEntry, string(cause), euro(100))
		put(t, s, e, asRecord(record, "r-"+string(cause)))
	}
	rows, sum := compare(t, s, query())
	require.Len(t, rows, 3)
	plan := books.NewPlan(s, here)
	for _, r := range rows {
		assert.Equal(t, r.ID, string(r.Cause))
		assert.Equal(t, []domain.Finding{domain.Extra}, r.Findings)
		require.NoError(t, plan.Add(t.Context(), r))
	}
	assert.Equal(t, 3, plan.Count(books.ByPerson), "nobody but a person deletes what may be a sale")
	assert.True(t, sum.Holds())
}

func TestWhatIsParkedIsForAPersonOnce(t *testing.T) {
	s := onSQLite(t)
	in := func(e *store.LedgerEntry) { e.OrderID = "o" }
	put(t, s, entry(domain.OrderEntry, "o", euro(2)), entry(domain.PaymentEntry, "p1", euro(1), in), entry(domain.PaymentEntry, "p2", euro(1), in),
		entry(domain.RefundEntry, "p1", euro(1)))
	for process, id := range map[string]string{store.PaymentToOrder: "o", "SubscriptionReconciliation": "p1"} {
		require.NoError(t, s.Park(t.Context(), store.Parked{Location: here, Process: process, ObjectID: id, Kind: "Invalid", Reason: "no.", ParkedAt: seen}))
	}
	plan := books.NewPlan(s, here)
	rows, _ := compare(t, s, query())
	for _, r := range rows {
		assert.Equal(t, books.Parked, r.Cause)
		require.NoError(t, plan.Add(t.Context(), r))
	}
	assert.Equal(t, []books.Step{
		{Action: books.ByPerson, Kind: domain.OrderEntry, ID: "o", Why: "parked for Invalid: no; then use `starter replay --id o`"},
		{Action: books.ByPerson, Kind: domain.PaymentEntry, ID: "p1", Why: "parked for Invalid: no; each reconciliation tries it again"},
		{Action: books.ByPerson, Kind: domain.RefundEntry, ID: "p1", Why: "parked for Invalid: no; each reconciliation tries it again"},
	}, plan.Steps)
}

func TestWhatIsKeptApartIsListedOnRequest(t *testing.T) {
	s := onSQLite(t)
	plant(t, s)
	q := query()
	q.ListApart, q.Kinds = true, []domain.EntryKind{domain.PaymentEntry}
	rows, sum := compare(t, s, q)
	var apart []books.Row
	for _, r := range rows {
		if r.Line == books.ApartLine {
			apart = append(apart, r)
		}
	}
	require.Len(t, apart, 1)
	assert.Equal(t, []any{"dollars", money(2500, "USD"), books.KeptApart, true}, []any{apart[0].ID, apart[0].Apart, apart[0].Cause, apart[0].Amount.IsZero()})
	assert.Equal(t, int64(len(rows)-1), sum.Differences)
	assert.Contains(t, printed(t, s, q, books.CSVFormat, nil), "apart,payment,dollars,,,USD,25.00,,25.00,,settled")
}

// lines are those of CSV, each by the names of its columns.
func lines(t require.TestingT, text string) []map[string]string {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(t, err)
	var list []map[string]string
	for _, row := range rows[1:] {
		line := map[string]string{}
		for i, name := range rows[0] {
			line[name] = row[i]
		}
		list = append(list, line)
	}
	return list
}

func TestCSVCannotBeTakenForFormulas(t *testing.T) {
	s := onSQLite(t)
	for i, id := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "fine"} {
		e := entry(domain.PaymentEntry, id, euro(-100), func(e *store.LedgerEntry) { e.OrderID, e.ProductID, e.SubscriptionID = id, id, id })
		put(t, s, e, asRecord(entry(domain.PaymentEntry, "", euro(1)), id))
		require.NoError(t, s.Park(t.Context(), store.Parked{Location: here, Process: store.PaymentToOrder, ObjectID: id, Kind: "Invalid",
			Reason: id, ParkedAt: seen.Add(time.Duration(i))}))
	}
	text := printed(t, s, query(), books.CSVFormat, nil)
	found := 0
	for _, line := range lines(t, text) {
		for column, cell := range line {
			switch column {
			case "ghl_amount", "sage_amount", "apart_amount", "difference":
				if cell != "" {
					_, err := domain.ParseMoney(domain.Number(cell), "EUR")
					require.NoError(t, err, "%s must stay a number", column)
				}
				continue
			}
			trimmed := strings.TrimSpace(cell)
			assert.False(t, trimmed != "" && strings.ContainsRune("=+-@", rune(trimmed[0])), "%s: %q", column, cell)
			if strings.HasPrefix(cell, "'") {
				found++
			}
		}
	}
	assert.Equal(t, 5*5+5, found, "id, order, subscription, product and detail of HighLevel's, the record of Sage's")
}

func TestJSONIsOneDocument(t *testing.T) {
	s := onSQLite(t)
	q := query()
	for _, planted := range []bool{false, true} {
		if planted {
			plant(t, s)
		}
		var document struct {
			Location string
			Rows     []struct {
				Line, ID string
				Cause    books.Cause
				Findings []domain.Finding
				Amount   domain.Money
				GHL      *domain.Entry
			}
			Proofs []struct {
				domain.Proof
				Holds bool
			}
			Differences, InFlight int64
			Holds, Agree          bool
			Repairs               []books.Step
		}
		text := printed(t, s, q, books.JSONFormat, books.NewPlan(s, here))
		require.NoError(t, json.Unmarshal([]byte(text), &document), text)
		assert.Equal(t, here, document.Location)
		assert.True(t, document.Holds)
		assert.Equal(t, !planted, document.Agree)
		assert.Contains(t, text, `"repairs":[`)
		if planted {
			assert.Equal(t, []int64{10, 10, 1}, []int64{int64(len(document.Rows)), document.Differences, document.InFlight})
			assert.Equal(t, domain.EntryKind("order"), document.Proofs[0].Kind)
			assert.True(t, document.Proofs[0].Holds)
			assert.Equal(t, euro(1000), document.Rows[2].Amount)
			assert.Equal(t, euro(5000), document.Rows[2].GHL.Amount)
			assert.Len(t, document.Repairs, 9)
		}
	}
	assert.NotContains(t, printed(t, s, q, books.JSONFormat, nil), "repairs")
}

func TestTableShowsEverything(t *testing.T) {
	s := onSQLite(t)
	plant(t, s)
	text := printed(t, s, query(), books.TableFormat, books.NewPlan(s, here))
	for _, words := range []string{
		"50.00 EUR, settled, 2026-10-03", "2: 40.00 EUR, settled, 2026-10-03", "edited by a person in Sage", "10d",
		"parked with o2 for Mapping: SAGE_ORDER_STATUS_WON is not set: choose one", "7: deleted, 1.50 EUR",
		"9.00 EUR monthly, active, next 2026-10-31", "9: 9.00 EUR monthly, paused, next 2026-10-31",
		"178.80 (8)", "153.60 (6)", "25.20 (8)", "the books differ in 9, and 1 more in flight",
		"1 to look at again, 6 to write again, 2 for a person, 1 in flight left alone",
	} {
		assert.Contains(t, text, words)
	}
	assert.NotContains(t, text, "DOES NOT HOLD")
}

func TestAProofThatDoesNotHoldIsSaid(t *testing.T) {
	bad := domain.Proof{Kind: domain.PaymentEntry, Currency: "EUR", GHL: euro(100), Sage: euro(40), Apart: euro(0), Differences: euro(50)}
	sum := books.Summary{Records: 1, Proofs: []domain.Proof{bad}}
	require.False(t, sum.Agree(), "although no difference is listed")
	for format, words := range map[string]string{
		books.TableFormat: "DOES NOT HOLD, by 10 of the smallest unit", books.JSONFormat: `"holds":false,"agree":false`,
		books.CSVFormat: "proof,payment,,,,EUR,1.00,0.40,0.00,0.50,,,,,,,,,,,,\"DOES NOT HOLD, by 10",
	} {
		var out strings.Builder
		printer, err := books.NewPrinter(format, &out, query())
		require.NoError(t, err)
		require.NoError(t, printer.End(sum, nil))
		assert.Contains(t, out.String(), words)
	}
	_, err := books.NewPrinter("xml", nil, query())
	require.Error(t, err)
}

func TestTotalsBeyondAllNumbersAreAnError(t *testing.T) {
	s := onSQLite(t)
	put(t, s, entry(domain.PaymentEntry, "a", euro(math.MaxInt64)), entry(domain.PaymentEntry, "b", euro(1)))
	_, err := books.Compare(t.Context(), s, query(), func(books.Row) error { return nil })
	require.ErrorIs(t, err, domain.ErrMoney)
	enough := errors.New("enough")
	_, err = books.Compare(t.Context(), s, query(), func(books.Row) error { return enough })
	require.ErrorIs(t, err, enough)
}

// drawn is any ledger: few ids of each kind, so that the sides meet often.
func drawn(t *rapid.T, location string) (entries []store.LedgerEntry) {
	statuses := map[domain.EntryKind][]string{
		domain.OrderEntry: {domain.OrderDue, domain.OrderNotDue}, domain.PaymentEntry: {"settled", "settled", "pending", "failed"},
		domain.RefundEntry: {domain.RefundDone}, domain.SubscriptionEntry: {"active", "paused", "cancelled", "unknown", "won"},
	}
	often := func(label string) bool { return rapid.IntRange(0, 5).Draw(t, label) == 0 }
	one := func(kind domain.EntryKind, side domain.Side, id, record string) {
		e := entry(kind, id, domain.NewMoney(rapid.Int64Range(-1e6, 1e6).Draw(t, "minor"),
			rapid.SampledFrom([]domain.Currency{"EUR", "USD", "JPY", "KWD"}).Draw(t, "currency")))
		e.Location, e.Side, e.Record, e.Status = location, side, record, rapid.SampledFrom(statuses[kind]).Draw(t, "status")
		e.At = october(rapid.IntRange(1, 28).Draw(t, "day"))
		e.Test, e.Gone, e.Edited = often("test"), often("gone"), often("edited")
		e.Apart = side == domain.HighLevelSide && often("apart")
		e.ExtID = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "extId")
		entries = append(entries, e)
	}
	for i := range rapid.IntRange(1, 12).Draw(t, "records") {
		kind := rapid.SampledFrom(domain.EntryKinds()).Draw(t, "kind")
		id := rapid.SampledFrom([]string{"", fmt.Sprint("id", i)}).Draw(t, "id")
		if id != "" && rapid.Bool().Draw(t, "known") {
			one(kind, domain.HighLevelSide, id, "")
		}
		for n := range rapid.IntRange(0, 3).Draw(t, "rows") {
			one(kind, domain.SageSide, id, fmt.Sprint(i, "-", n))
		}
	}
	return entries
}

// totals adds up amounts by line, kind and currency, without the code that is tested.
type totals map[string]*big.Int

func (l totals) add(key string, minor int64) {
	if l[key] == nil {
		l[key] = new(big.Int)
	}
	l[key].Add(l[key], big.NewInt(minor))
}

// TestThePrintedCSVSumsUpToTheProof reads back what a spreadsheet would: HighLevel's total and Sage's are those of what was
// put in, and the listed differences sum up to what lies between them.
func TestThePrintedCSVSumsUpToTheProof(t *testing.T) {
	s := onSQLite(t)
	ledgers := 0
	rapid.Check(t, func(r *rapid.T) {
		ledgers++
		location := fmt.Sprint("ledger-", ledgers)
		want := map[string]totals{"ghl_amount": {}, "sage_amount": {}, "apart_amount": {}}
		entries := drawn(r, location)
		for _, e := range entries {
			if !e.Counts() {
				continue
			}
			key := fmt.Sprint(e.Kind, " ", e.Amount.Currency)
			if e.Side == domain.SageSide {
				want["sage_amount"].add(key, e.Amount.Minor)
				continue
			}
			want["ghl_amount"].add(key, e.Amount.Minor)
			if e.Apart {
				want["apart_amount"].add(key, e.Amount.Minor)
			}
		}
		require.NoError(r, s.PutEntries(t.Context(), entries))
		q := query()
		q.Location, q.ListApart = location, true
		differences, apart := totals{}, totals{}
		for _, line := range lines(r, printed(t, s, q, books.CSVFormat, nil)) {
			key := line["kind"] + " " + line["currency"]
			minor := func(column string) int64 {
				m, err := domain.ParseMoney(domain.Number(line[column]), domain.Currency(line["currency"]))
				require.NoError(r, err)
				return m.Minor
			}
			switch line["line"] {
			case books.DifferenceLine:
				differences.add(key, minor("difference"))
			case books.ApartLine:
				apart.add(key, minor("apart_amount"))
			default:
				require.Equal(r, books.ProofLine, line["line"])
				require.Equal(r, "holds", line["detail"])
				for column, sums := range want {
					sums.add(key, 0)
					require.Equal(r, sums[key].Int64(), minor(column), "%s %s", column, key)
				}
				differences.add(key, 0)
				apart.add(key, 0)
				require.Equal(r, differences[key].Int64(), minor("difference"), key)
				require.Equal(r, apart[key].Int64(), minor("apart_amount"), key)
				require.Equal(r, minor("ghl_amount"), minor("sage_amount")+minor("apart_amount")+minor("difference"), key)
				for _, sums := range want {
					delete(sums, key)
				}
			}
		}
		for column, sums := range want {
			require.Empty(r, sums, "%s without a proof", column)
		}
	})
}

// TestMemoryIsFlat compares ledgers of which all is missing: what is held does not grow with them.
func TestMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("enters thousands of records; run without -short")
	}
	s := onSQLite(t)
	held := func(location string, n int) uint64 {
		for from := 0; from < n; from += 1000 {
			var page []store.LedgerEntry
			for i := from; i < from+1000; i++ {
				e := entry(domain.PaymentEntry, fmt.Sprintf("%024x", uint64(i)*0x9E3779B97F4A7C15), euro(int64(i)))
				e.Location = location
				page = append(page, e)
			}
			put(t, s, page...)
		}
		q := query()
		q.Location = location
		printer, err := books.NewPrinter(books.TableFormat, discard{}, q)
		require.NoError(t, err)
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var most uint64
		rows := 0
		sum, err := books.Compare(t.Context(), s, q, func(r books.Row) error {
			if rows++; rows%(n/10) == 0 {
				runtime.GC() // what is left is what is held
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
			}
			return printer.Row(r)
		})
		require.NoError(t, err)
		require.NoError(t, printer.End(sum, nil))
		require.Equal(t, int64(n), sum.Differences)
		return most
	}
	few := held("few", 1000)
	many := held("many", 10_000)
	assert.Less(t, many, few+2<<20, "ten times the records held %d bytes instead of %d", many, few)
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// TestAnOrderThatStandsForAPaymentIsMendedByIt: no process has an order of its id.
func TestAnOrderThatStandsForAPaymentIsMendedByIt(t *testing.T) {
	s := onSQLite(t)
	over := func(e *store.LedgerEntry) { e.Status = domain.OrderNotDue }
	for _, e := range []store.LedgerEntry{
		entry(domain.OrderEntry, domain.RenewalOrderPrefix+"edited", euro(100)), entry(domain.OrderEntry, domain.RenewalOrderPrefix+"back", euro(100), over),
		entry(domain.OrderEntry, domain.RenewalOrderPrefix+"stuck", euro(100), over),
	} {
		put(t, s, e, asRecord(e, "r-"+e.ID, func(e *store.LedgerEntry) { e.Amount, e.Status = euro(90), domain.OrderDue }))
	}
	require.NoError(t, s.Park(t.Context(), store.Parked{Location: here, Process: store.SubscriptionReconciliation, ObjectID: "stuck", Kind: "Conflict", Reason: "no.", ParkedAt: seen}))
	plan := books.NewPlan(s, here)
	rows, _ := compare(t, s, query())
	for _, r := range rows {
		require.NoError(t, plan.Add(t.Context(), r))
	}
	assert.ElementsMatch(t, []books.Step{
		{Action: books.BringAgain, Kind: domain.PaymentEntry, ID: "edited", Why: "amount"},
		{Action: books.ByPerson, Kind: domain.OrderEntry, ID: domain.RenewalOrderPrefix + "back", Record: "r-" + domain.RenewalOrderPrefix + "back",
			Why: "it stands for a payment that HighLevel counts no more: delete the order in Sage if the money is gone"},
		{Action: books.ByPerson, Kind: domain.PaymentEntry, ID: "stuck", Why: "parked for Conflict: no; each reconciliation tries it again"},
	}, plan.Steps)
}
