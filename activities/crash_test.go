package activities_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
)

// scenario is a sale to be brought into Sage, and how far it is brought before anything goes wrong.
type scenario struct {
	name    string
	prepare func(w *world) (order string)
}

// scenarios are a first sale to a new customer, news of a sale that is in the books, and a sale that people entered
// before us, with lines of theirs and without.
var scenarios = []scenario{
	{"new", func(w *world) string {
		order := w.shirtOrder("EUR", w.customer())
		w.pay(order.ID, domain.Money{})
		return order.ID
	}},
	{"edited and refunded", func(w *world) string {
		order := w.shirtOrder("EUR", w.customer())
		paid := w.pay(order.ID, domain.NewMoney(1000, "EUR"))
		w.mustPass(order.ID)
		w.edit(order.ID, func(o *ghlbox.Order) { o.Items = o.Items[:1] }, 4000-500+450)
		require.NoError(w.t, w.ghl.Refund(paid.ID, domain.NewMoney(300, "EUR")))
		return order.ID
	}},
	{"made by hand, with lines", func(w *world) string { return w.madeByHand(2) }},
	{"made by hand, without lines", func(w *world) string { return w.madeByHand(0) }},
}

// edit changes an order at HighLevel to another total.
func (w *world) edit(order string, change func(*ghlbox.Order), total int64) {
	w.t.Helper()
	require.NoError(w.t, w.ghl.EditOrder(order, func(o *ghlbox.Order) {
		change(o)
		sum := int64(0)
		for _, item := range o.Items {
			sum += item.Qty * item.Price.Amount.Minor
		}
		o.Subtotal, o.Amount = domain.NewMoney(sum, o.Currency), domain.NewMoney(total, o.Currency)
	}))
}

// madeByHand is a paid order that people have entered at Sage under its id, with some lines of theirs.
func (w *world) madeByHand(lines int) string {
	w.t.Helper()
	order := w.shirtOrder("EUR", w.customer())
	w.pay(order.ID, domain.Money{})
	w.handMade(order.ID, map[string]any{}, lines)
	return order.ID
}

// handMade is an order that people entered at Sage.
func (w *world) handMade(reference string, fields map[string]any, lines int) int64 {
	w.t.Helper()
	all := map[string]any{
		"reference": reference, "branchId": w.sage.Find("branches", "Main branch"), "salesRepId": w.sage.Person(),
		"statusId": w.sage.Find("salesorderStatuses", "Open"), "currencyId": w.sage.Find("currencies", "EUR"),
		"internalComment": "call before delivery",
	}
	for name, value := range fields {
		all[name] = value
	}
	id, err := w.sage.PeopleCreate("salesorders", all)
	require.NoError(w.t, err)
	for i := range lines {
		w.handLine(id, i+1, fmt.Sprintf("by hand %d", i+1))
	}
	return id
}

// handLine is a line that people put on an order.
func (w *world) handLine(order int64, position int, words string) int64 {
	w.t.Helper()
	product, err := w.sage.PeopleCreate("products", map[string]any{"model": words})
	require.NoError(w.t, err)
	id, err := w.sage.PeopleCreate("salesordersLines", map[string]any{
		"salesOrderId": order, "productId": product, "quantity": 1, "price": 1, "description": words, "order": position,
	})
	require.NoError(w.t, err)
	return id
}

// traffic is the straight run of a scenario: what Sage holds after it, and the calls it took, each with how often its
// operation had been called before in the life of the world.
type traffic struct {
	snapshot string
	calls    []call
}

type call struct {
	op  string
	nth int
}

func straightRun(t *testing.T, s scenario) traffic {
	t.Helper()
	w := newWorld(t, worldOptions{})
	order := s.prepare(w)
	w.connect()
	var run traffic
	before := w.sage.Calls()
	w.wire.after = func(*http.Request) {
		now := w.sage.Calls()
		for op, n := range now {
			if n != before[op] {
				run.calls = append(run.calls, call{op, n})
			}
		}
		before = now
	}
	_, err := w.pass(order)
	require.NoError(t, err)
	require.Greater(t, len(run.calls), 8)
	run.snapshot = w.sage.Snapshot()
	return run
}

// TestOneFaultAtAnyCallChangesNothing breaks each single call of a pass in each way, lets Temporal retry, and wants the
// very Sage of the straight run.
func TestOneFaultAtAnyCallChangesNothing(t *testing.T) {
	kinds := []faults.Fault{
		{Kind: faults.CutBefore}, {Kind: faults.CutAfter}, {Kind: faults.LateCommit, Delay: 5 * time.Millisecond},
		{Kind: faults.Status, Status: 500}, {Kind: faults.Throttle}, {Kind: faults.StaleToken}, {Kind: faults.TruncatedJSON},
		{Kind: faults.HTMLPage, Status: 502},
	}
	for _, s := range scenarios {
		run := straightRun(t, s)
		for k, c := range run.calls {
			for _, fault := range kinds {
				if !isWrite(c.op) && (fault.Kind == faults.LateCommit || (s.name != "new" && fault.Kind != faults.Status)) {
					continue // to a read they are all the same
				}
				t.Run(fmt.Sprintf("%s/%02d %s/%s", s.name, k, c.op, fault.Kind), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, worldOptions{})
					order := s.prepare(w)
					w.connect()
					w.faults.Script(c.op, c.nth, fault)
					_, err := w.carryOut(order)
					require.NoError(t, err)
					w.faults.Wait()
					require.Equal(t, 1, w.faults.Total(), "the fault was met")
					require.Equal(t, run.snapshot, w.sage.Snapshot())
					w.nothingMore(order)
				})
			}
		}
	}
}

// nothingMore wants a further pass to write nothing.
func (w *world) nothingMore(order string) {
	w.t.Helper()
	w.sage.ResetWrites()
	result, err := w.carryOut(order)
	require.NoError(w.t, err)
	require.Equal(w.t, activities.Unchanged, result.Outcome)
	require.Empty(w.t, w.sage.Writes())
}

func isWrite(op string) bool {
	return strings.HasSuffix(op, ".create") || strings.HasSuffix(op, ".update") || strings.HasSuffix(op, ".delete")
}

// TestDeathAtAnyCallChangesNothing lets the process die after each single call of a pass, with all that it had in
// memory, and in half of the cases the ledger too is gone when another process goes on.
func TestDeathAtAnyCallChangesNothing(t *testing.T) {
	for _, s := range scenarios {
		run := straightRun(t, s)
		for k, c := range run.calls {
			for _, when := range []string{"ledger kept", "ledger lost"} {
				t.Run(fmt.Sprintf("%s/%02d %s/%s", s.name, k, c.op, when), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, worldOptions{})
					order := s.prepare(w)
					w.connect()
					n, dead := 0, false
					die := func(r *http.Request) {
						if !strings.HasPrefix(r.URL.String(), w.sage.URL()) {
							return
						}
						if n++; n != k+1 || dead {
							return
						}
						dead = true
						w.connect() // the next process begins with nothing in memory
						if strings.HasSuffix(when, "lost") {
							w.loseLedger()
						}
						panic("the process dies")
					}
					if inFlight(c.op) {
						t.Skip("value lists are read for all steps at once, outside any of them, and hold nothing of an order")
					}
					w.wire.after = die
					_, err := w.carryOut(order)
					require.NoError(t, err)
					require.True(t, dead)
					require.Equal(t, run.snapshot, w.sage.Snapshot())
					w.nothingMore(order)
				})
			}
		}
	}
}

// inFlight tells the calls that the client makes for all its users at once.
func inFlight(op string) bool {
	for _, name := range []string{"accounts", "contacts", "products", "salesorders", "salesorderslines"} {
		if strings.HasPrefix(op, "sage."+name+".") {
			return strings.HasSuffix(op, ".schema")
		}
	}
	return true
}

// loseLedger takes away all that we wrote down, as if the disk were restored from before.
func (w *world) loseLedger() {
	w.t.Helper()
	db, err := sql.Open("sqlite", w.storePath+"?_pragma=busy_timeout(5000)")
	require.NoError(w.t, err)
	defer db.Close()
	for _, table := range []string{"orders", "links", "sightings", "claims"} {
		_, err := db.ExecContext(w.t.Context(), "DELETE FROM "+table)
		require.NoError(w.t, err)
	}
}
