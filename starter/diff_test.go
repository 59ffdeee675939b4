package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/books"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

// enter puts what HighLevel says into the ledger, if there is an id, and, with a record, the same at Sage. Both were seen
// yesterday.
func enter(t *testing.T, db *store.Store, kind domain.EntryKind, id, record string, minor int64, change ...func(*domain.Entry)) store.LedgerEntry {
	t.Helper()
	yesterday := time.Now().Add(-24 * time.Hour)
	e := store.LedgerEntry{Location: home, SeenAt: yesterday, Entry: domain.Entry{
		Kind: kind, Side: domain.HighLevelSide, ID: id, Amount: domain.NewMoney(minor, "EUR"), At: time.Date(2026, 10, 3, 9, 0, 0, 0, time.UTC),
		Status: map[domain.EntryKind]string{domain.OrderEntry: domain.OrderDue, domain.PaymentEntry: "settled", domain.RefundEntry: domain.RefundDone}[kind],
	}}
	var entries []store.LedgerEntry
	if id != "" {
		entries = append(entries, e)
	}
	if record != "" {
		r := e
		r.Side, r.Record = domain.SageSide, record
		for _, c := range change {
			c(&r.Entry)
		}
		entries = append(entries, r)
	}
	require.NoError(t, db.PutEntries(t.Context(), entries))
	e.Digest = e.Entry.Digest()
	return e
}

func TestDiffTellsByItsExitCode(t *testing.T) {
	db := openDatabase(t, environment(t))
	check := func(want int, words string, args ...string) string {
		t.Helper()
		code, out, errOut := starter(t, append([]string{"diff"}, args...)...)
		assert.Equal(t, want, code, out+errOut)
		assert.Contains(t, out, words)
		return out
	}
	check(exitDone, "nothing is known of either side")
	enter(t, db, domain.PaymentEntry, "same", "1", 1000)
	check(exitDone, "the books agree\n")
	read := time.Now().UTC().Add(time.Hour).Truncate(time.Second)
	require.NoError(t, db.SetCursor(t.Context(), home, activities.ReconciliationMark, read))
	at := read.Format(time.RFC3339)
	check(exitDone, "HighLevel's last read "+at+", Sage's "+at+"\n") // though nothing that is new was found then
	enter(t, db, domain.PaymentEntry, "lost", "", 250)
	check(exitFailed, "the books differ in 1\n")
	check(exitDone, "nothing", "--from", "2026-10-04")
	check(exitDone, "nothing", "--to", "2026-10-02")
	check(exitFailed, "lost", "--from", "2026-10-03", "--to", "2026-10-03", "--kind", "Payment,refund", "--location", home)
	check(exitDone, "nothing", "--kind", "order")
	check(exitDone, "nothing", "--location", "elsewhere")
	t.Setenv("DIFFERENCE_AGE", "48h")
	check(exitDone, "but for 1 in flight")
	t.Setenv("DIFFERENCE_AGE", "")

	var document struct {
		Rows []struct {
			ID     string
			Amount domain.Money
		}
		Agree, Holds bool
	}
	require.NoError(t, json.Unmarshal([]byte(check(exitFailed, "", "-o", "json")), &document))
	require.Len(t, document.Rows, 1)
	assert.Equal(t, domain.NewMoney(250, "EUR"), document.Rows[0].Amount)
	assert.True(t, document.Holds)
	assert.False(t, document.Agree)
	rows, err := csv.NewReader(strings.NewReader(check(exitFailed, "", "-o", "csv"))).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, []string{"difference", "proof"}, []string{rows[1][0], rows[2][0]})
	assert.Equal(t, []string{"12.50", "10.00", "0.00", "2.50"}, rows[2][6:10])
}

func TestBooksUsedWronglyIsToldBeforeAnythingIsDone(t *testing.T) {
	environment(t)
	for _, line := range []string{
		"diff now", "diff -o yaml", "diff --kind invoice", "diff --from yesterday", "diff --to 24h", "diff --from 2026-10-02 --to 2026-10-01",
		"diff --yes", "diff --repair --yes --dry-run", "diff --repair", "diff --repair -o csv --yes",
		"report", "report profit", "report revenue --month october", "report revenue --month 2026-13", "report revenue --by day", "report revenue -o yaml",
	} {
		code, out, errOut := starter(t, strings.Fields(line)...)
		assert.Equal(t, exitWrong, code, "%s: %s", line, errOut)
		assert.Empty(t, out, line)
	}
}

func TestPeriods(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	from, before, err := parsePeriod("2026-10-01", "2026-10-31", now)
	require.NoError(t, err)
	assert.Equal(t, time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), from)
	assert.Equal(t, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), before, "the last day is within")
	from, before, err = parsePeriod("24h", "2026-11-22T09:00:00Z", now)
	require.NoError(t, err)
	assert.Equal(t, []time.Time{now.Add(-24 * time.Hour), now.Add(-time.Hour)}, []time.Time{from, before})
	q, err := revenueQuery("", nil, now)
	require.NoError(t, err)
	assert.Equal(t, now, q.Month)
}

// agreed tells whether a payment would be left alone by the next reconciliation.
func agreed(t *testing.T, db *store.Store, id string) bool {
	t.Helper()
	list, _, err := db.Unagreed(t.Context(), home, domain.PaymentEntry, store.Page{Limit: 1000})
	require.NoError(t, err)
	for _, e := range list {
		if e.ID == id {
			return false
		}
	}
	return true
}

// spoil enters a payment that Sage was made to agree with, and on which somebody changed the amount there.
func spoil(t *testing.T, db *store.Store, id, record string) {
	t.Helper()
	e := enter(t, db, domain.PaymentEntry, id, record, 500, func(e *domain.Entry) { e.Amount.Minor, e.Edited = 400, true })
	require.NoError(t, db.Agree(t.Context(), home, store.Agreement{Kind: e.Kind, ID: id, Digest: e.Digest}))
	require.True(t, agreed(t, db, id))
}

func repairs(t *testing.T, db *store.Store, object string) []store.AuditEntry {
	t.Helper()
	list, _, err := db.AuditLog(t.Context(), store.AuditFilter{Action: repairAction, Object: object})
	require.NoError(t, err)
	return list
}

// repairIsCarriedOut repairs what the processes can, and leaves the rest to people.
func repairIsCarriedOut(t *testing.T, temporal client.Client, db *store.Store) {
	enter(t, db, domain.OrderEntry, "d-order", "", 1000)
	spoil(t, db, "d-spoilt", "77")
	code, out, errOut := starter(t, "diff", "--repair", "--dry-run")
	assert.Equal(t, exitFailed, code, errOut)
	assert.Contains(t, out, "1 to look at again, 1 to write again, 0 for a person")
	assert.False(t, running(t, temporal, "d-order"), "a dry run does nothing")
	assert.True(t, agreed(t, db, "d-spoilt"))
	assert.Empty(t, repairs(t, db, "d-order"))

	out = succeed(t, "diff", "--repair", "--yes")
	assert.Contains(t, out, "1 asked for")
	reconciliation := workflows.ReconciliationID(home)
	assert.Contains(t, out, "1 will be brought by "+reconciliation)
	description, err := temporal.DescribeWorkflow(t.Context(), reconciliation, "")
	require.NoError(t, err)
	assert.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, description.Status)
	assert.True(t, running(t, temporal, "d-order"))
	assert.False(t, agreed(t, db, "d-spoilt"))
	assert.Len(t, repairs(t, db, "d-order"), 1)
	spoilt := repairs(t, db, "d-spoilt")
	require.Len(t, spoilt, 1)
	assert.Equal(t, "payment", spoilt[0].Detail)

	enter(t, db, domain.PaymentEntry, "", "78", 60)
	code, out, errOut = starter(t, "diff", "--repair", "--yes", "-o", "json")
	assert.Equal(t, exitFailed, code, "something is left for a person")
	var document struct{ Repairs []books.Step }
	require.NoError(t, json.Unmarshal([]byte(out), &document), "what is done is said elsewhere")
	assert.Contains(t, errOut, "will be brought by")
	var actions []books.Action
	for _, s := range document.Repairs {
		actions = append(actions, s.Action)
	}
	assert.ElementsMatch(t, []books.Action{books.LookAgain, books.BringAgain, books.ByPerson}, actions)
}

func TestARepairIsAskedFor(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES \n": true, "yes": true, "n\n": false, "\n": false, "": false, "why\n": false} {
		var out strings.Builder
		got, err := ask(strings.NewReader(answer), &out, "carry out 2 repairs?")
		require.NoError(t, err)
		assert.Equal(t, want, got, "%q", answer)
		assert.Equal(t, "carry out 2 repairs? [y/N] ", out.String())
	}
	read, write, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, errors.Join(read.Close(), write.Close())) })
	nothing, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, nothing.Close()) })
	assert.False(t, onTerminal(nothing), "a device, as services have it for their input, and nobody to ask")
	assert.False(t, onTerminal(read))
	assert.False(t, onTerminal(strings.NewReader("y")))
}

// TestARepairThatIsRefusedDoesNothing answers no, and then has a reconciliation started that fails and one that does not.
func TestARepairThatIsRefusedDoesNothing(t *testing.T) {
	db := openDatabase(t, environment(t))
	spoil(t, db, "p", "1")
	repair := func(answer string, start reconciler) (string, error) {
		t.Helper()
		var out, errs lockedBuffer
		a := &app{out: &out, errOut: &errs}
		l := diffLine{format: books.TableFormat, repair: true, in: strings.NewReader(answer)}
		sum, plan, err := l.compare(t.Context(), a, db, books.Query{Location: home, Now: time.Now()})
		require.NoError(t, err)
		err = l.carryOut(t.Context(), a, &desk{location: home, store: db, reconcile: start}, sum, plan)
		return out.String(), err
	}
	out, err := repair("no\n", nil)
	require.ErrorIs(t, err, errReported)
	assert.Contains(t, out, "nothing was done")
	assert.True(t, agreed(t, db, "p"))

	away := errors.New("away")
	_, err = repair("yes\n", func(context.Context, string) (string, error) { return "", away })
	require.ErrorIs(t, err, away)
	assert.Contains(t, err.Error(), "next reconciliation")
	assert.False(t, agreed(t, db, "p"), "it is brought all the same")
	out, err = repair("yes\n", func(_ context.Context, location string) (string, error) { return "run-of-" + location, nil })
	require.NoError(t, err)
	assert.Contains(t, out, "1 will be brought by run-of-"+home)
}

func TestReportRevenue(t *testing.T) {
	db := openDatabase(t, environment(t))
	enter(t, db, domain.PaymentEntry, "same", "1", 1000)
	enter(t, db, domain.RefundEntry, "same", "", 250)
	report := decode[books.Revenue](t, succeed(t, "report", "revenue", "--month", "2026-10", "-o", "json"))
	require.Len(t, report.Lines, 2, "a total and what belongs to no product")
	assert.Equal(t, domain.NewMoney(750, "EUR"), report.Lines[0].GHL.Net)
	assert.Equal(t, domain.NewMoney(1000, "EUR"), report.Lines[0].Sage.Net)
	assert.Contains(t, succeed(t, "report", "revenue", "--month", "2026-10"), "BY PRODUCT")
	assert.NotContains(t, succeed(t, "report", "revenue", "--month", "2026-10", "--by", "total"), "BY PRODUCT")
	rows, err := csv.NewReader(strings.NewReader(succeed(t, "report", "revenue", "--month", "2026-10", "--by", "subscription", "-o", "csv"))).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, []string{"line", "total", "subscription"}, []string{rows[0][1], rows[1][1], rows[2][1]})
	assert.Contains(t, succeed(t, "report", "revenue", "--month", "2026-09"), "nothing is known")
	for words, args := range map[string][]string{
		"with --month":        {"--publish"},
		"is yet to come":      {"--publish", "--month", "2126-10"},
		"leave --by and -o":   {"--publish", "--month", "2026-10", "-o", "json"},
		"--publish puts the":  {"--publish", "--month", "2026-10", "--by", "total"},
		"goes with --publish": {"--dry-run"},
	} {
		code, _, errOut := starter(t, append([]string{"report", "revenue"}, args...)...)
		assert.Equal(t, exitWrong, code, words)
		assert.Contains(t, errOut, words)
	}
}
