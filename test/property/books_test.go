package property

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/workflows"
)

// TestBooksComeToTheSameInAnyInterleaving has money move at HighLevel in all ways and people write in Sage, between runs
// of the reconciliation in which calls fail, answers are lost, processes die, stores are lost, and several run at once. The
// proofs hold at any time. After two quiet runs each payment has its one row, each refund its rows and each subscription
// its one opportunity, the differences are those that people planted, and a further run costs nothing.
func TestBooksComeToTheSameInAnyInterleaving(t *testing.T) {
	if !asked { // a run takes a second
		require.NoError(t, flag.Set("rapid.checks", booksChecks))
		defer func() { require.NoError(t, flag.Set("rapid.checks", defaultChecks)) }()
	}
	inFolder(t, func(rt *rapid.T, dir string) {
		m := newBookkeeping(rt, dir)
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"order":       m.order,
			"pay":         m.pay,
			"subscribe":   m.subscribe,
			"renew":       m.renew,
			"refund":      m.giveBack,
			"charge back": m.chargeBack,
			"change":      m.changeSubscription,
			"edit row":    m.editRow,
			"delete row":  m.deleteRow,
			"rename row":  m.renameRow,
			"copy row":    m.copyRow,
			"plant row":   m.plantRow,
			"opportunity": m.editOpportunity,
			"look":        m.lookAmidFaults,
			"reconcile":   m.reconcileAmidFaults,
			"interrupt":   m.interrupt,
			"at once":     m.reconcileAtOnce,
			"lose store":  m.loseStore,
			"":            m.proofs,
		})
		m.settle(rt)
		m.agree(rt)
		m.rest(rt)
	})
}

// booksChecks are the runs where nobody asks for another number; short mode does a fifth of them. The number is rapid's to
// count: a test that stops by itself after so many passes while a failure is made smaller, and is then told of as flaky.
const booksChecks = "30"

// bookkeeping is both vendors, money that moves, and what people planted.
type bookkeeping struct {
	*system
	dir      string
	stores   int
	contacts []string
	plans    []string // recurring prices
	wares    []string // prices by currency: EUR, USD
	orders   []string
	subs     []string
	// refuses says that the tenant takes no totals below 0.
	refuses bool

	mu       sync.Mutex
	hints    map[string]bool
	invoices map[string]bool
	// byPeople are the records that people made, crimes those of them that we deleted.
	byPeople map[string]bool
	crimes   []string
}

// horizon is how far back money moved at most. The books begin before, and refunds are expected for longer.
const horizon = 100 * 24 * time.Hour

func newBookkeeping(rt *rapid.T, dir string) *bookkeeping {
	plan := faults.NewPlan(int64(rapid.Uint32().Draw(rt, "seed of faults")), faults.None)
	m := &bookkeeping{dir: dir, hints: map[string]bool{}, invoices: map[string]bool{}, byPeople: map[string]bool{},
		refuses: rapid.IntRange(0, 4).Draw(rt, "no totals below 0") == 0}
	from := ghlbox.New(ghlbox.Options{NoLimits: true, Faults: plan, UpperCurrency: rapid.Bool().Draw(rt, "capitals"),
		KeepPending:   rapid.Bool().Draw(rt, "paid orders stay pending"),
		RenewalEntity: rapid.SampledFrom([]string{"", "subscription"}).Draw(rt, "renewals are booked on"), InvoicePayments: rapid.Bool().Draw(rt, "payments of invoices"),
		ChargebackRefunds: rapid.Bool().Draw(rt, "charged back is refunded"), StripePeriodInItems: rapid.Bool().Draw(rt, "periods in items")})
	require.NoError(rt, from.Start())
	for _, interval := range []string{"month", "week"} {
		product := from.AddProduct(ghlbox.Product{Name: "Club by the " + interval})
		m.plans = append(m.plans, from.AddPrice(ghlbox.Price{ProductID: product, Name: "Regular", Amount: domain.NewMoney(4900, "EUR"), Interval: interval, IntervalCount: 1}))
	}
	for _, currency := range []domain.Currency{"EUR", "USD"} {
		product := from.AddProduct(ghlbox.Product{Name: "Mug in " + string(currency)})
		m.wares = append(m.wares, from.AddPrice(ghlbox.Price{ProductID: product, Name: "each", Amount: domain.NewMoney(1999, currency)}))
	}
	into := sagebox.New(sagebox.Options{Faults: plan, OnWrite: m.wrote, RefuseNegativeTotals: m.refuses, DeleteBumps: rapid.Bool().Draw(rt, "deletions bump"),
		Unfilterable: rapid.SampledFrom([][]string{nil, {"sales.dateDeleted", "opportunities.dateDeleted"}, {"sales.extId LIKE", "opportunities.extId LIKE"}}).Draw(rt, "not to be filtered by")})
	m.system = newSystemOn(rt, &system{ghl: from, sage: into, faults: plan, path: filepath.Join(dir, "run.db"), look: m,
		refundWindow: 180 * 24 * time.Hour, from: time.Now().Add(-2 * horizon),
		books: activities.BooksSettings{Probability: 5, RenewalOrders: rapid.Bool().Draw(rt, "orders of renewals"),
			Refunds: rapid.SampledFrom([]activities.Instead{"", activities.InsteadActivity, activities.InsteadSkip}).Draw(rt, "refunds"),
			Foreign: rapid.SampledFrom([]activities.Instead{"", activities.InsteadActivity}).Draw(rt, "foreign")}})
	return m
}

func (m *bookkeeping) close() {
	m.system.close()
	m.ghl.Close()
}

func recordKey(w sagebox.Write) string { return fmt.Sprint(w.Resource, "/", w.ID) }

// wrote watches over what people made.
func (m *bookkeeping) wrote(w sagebox.Write) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case w.ByPeople && strings.HasSuffix(w.Op, ".create"):
		m.byPeople[recordKey(w)] = true
	case !w.ByPeople && strings.HasSuffix(w.Op, ".delete") && m.byPeople[recordKey(w)]:
		m.crimes = append(m.crimes, recordKey(w))
	}
}

// LookAtOrder implements activities.Looker; hints are followed when it is drawn, and at the end.
func (m *bookkeeping) LookAtOrder(_ context.Context, _, order, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hints[order] = true
	return nil
}

// LookAtInvoice implements activities.Looker.
func (m *bookkeeping) LookAtInvoice(_ context.Context, _, invoice, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.invoices[invoice] = true
	return nil
}

// LookAtFulfillment implements activities.Looker.
func (m *bookkeeping) LookAtFulfillment(context.Context, string, string, string) error { return nil }

// hinted takes the orders for which there were hints.
func (m *bookkeeping) hinted() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var orders []string
	for _, id := range m.orders {
		if o, _ := m.ghl.Order(id); m.hints[id] || m.invoices[o.Source.ID] {
			orders = append(orders, id)
		}
	}
	clear(m.hints)
	clear(m.invoices)
	return orders
}

func (m *bookkeeping) customer(rt *rapid.T) string {
	if len(m.contacts) == 0 || rapid.Bool().Draw(rt, "somebody new") {
		n := len(m.contacts)
		m.contacts = append(m.contacts, m.ghl.AddContact(ghlbox.Contact{FirstName: "Ada", LastName: fmt.Sprint("Byron ", n), Email: fmt.Sprintf("ada%d@example.com", n)}))
		return m.contacts[n]
	}
	return rapid.SampledFrom(m.contacts).Draw(rt, "contact")
}

// moment is some time ago, or now.
func moment(rt *rapid.T) time.Time {
	if rapid.Bool().Draw(rt, "now") {
		return time.Now()
	}
	ago := time.Duration(rapid.IntRange(1, 90*24*60).Draw(rt, "minutes ago"))
	return time.Now().Add(-ago * time.Minute)
}

func (m *bookkeeping) order(rt *rapid.T) {
	if len(m.orders) == 4 {
		rt.Skip("enough orders")
	}
	in := ghlbox.NewOrder{ContactID: m.customer(rt), Currency: "EUR", CreatedAt: time.Now().Add(-horizon),
		Lines: []ghlbox.NewLine{{PriceID: m.wares[0], Qty: rapid.Int64Range(1, 3).Draw(rt, "pieces")}}}
	switch rapid.IntRange(0, 9).Draw(rt, "kind of order") {
	case 0:
		in.TestMode = true
	case 1, 2:
		in.MarkAsTest = true
	case 3:
		in.Currency, in.Lines[0].PriceID = "USD", m.wares[1]
	case 4, 5:
		in.InvoiceNumber = fmt.Sprint("2026-", len(m.orders))
	}
	order, err := m.ghl.PlaceOrder(in)
	require.NoError(rt, err)
	m.orders = append(m.orders, order.ID)
}

func (m *bookkeeping) pay(rt *rapid.T) {
	if len(m.orders) == 0 {
		rt.Skip("no order yet")
	}
	id := rapid.SampledFrom(m.orders).Draw(rt, "order")
	order, _ := m.ghl.Order(id)
	left := order.Amount.Minor
	for _, p := range m.ghl.Payments(id) {
		if p.Status != "failed" {
			left -= p.Amount.Minor
		}
	}
	if left == 0 {
		rt.Skip("paid already")
	}
	in := ghlbox.NewPayment{Amount: domain.NewMoney(left, order.Currency), At: moment(rt), Status: rapid.SampledFrom([]string{"succeeded", "succeeded", "succeeded", "failed"}).Draw(rt, "outcome")}
	if rapid.IntRange(0, 3).Draw(rt, "in part") == 0 {
		in.Amount.Minor = rapid.Int64Range(1, left).Draw(rt, "amount")
	}
	_, err := m.ghl.TakePayment(id, in)
	require.NoError(rt, err)
}

func (m *bookkeeping) subscribe(rt *rapid.T) {
	if len(m.subs) == 3 {
		rt.Skip("enough subscriptions")
	}
	in := ghlbox.NewSubscription{PriceID: rapid.SampledFrom(m.plans).Draw(rt, "plan"), Provider: rapid.SampledFrom([]string{"stripe", "stripe", "paypal"}).Draw(rt, "provider"),
		At: moment(rt), TestMode: rapid.IntRange(0, 7).Draw(rt, "test") == 0, NoSchedule: rapid.IntRange(0, 5).Draw(rt, "no schedule") == 0}
	if rapid.IntRange(0, 3).Draw(rt, "trial") == 0 {
		in.Trial = 14 * 24 * time.Hour
	}
	if len(m.orders) > 0 && rapid.IntRange(0, 2).Draw(rt, "by an order") == 0 {
		in.OrderID = rapid.SampledFrom(m.orders).Draw(rt, "order")
	} else {
		in.ContactID = m.customer(rt)
	}
	sub, err := m.ghl.Subscribe(in)
	require.NoError(rt, err)
	m.subs = append(m.subs, sub.ID)
}

func (m *bookkeeping) anySub(rt *rapid.T) string {
	if len(m.subs) == 0 {
		rt.Skip("no subscription yet")
	}
	return rapid.SampledFrom(m.subs).Draw(rt, "subscription")
}

func (m *bookkeeping) renew(rt *rapid.T) {
	_, err := m.ghl.Renew(m.anySub(rt), ghlbox.NewPayment{At: moment(rt), Status: rapid.SampledFrom([]string{"succeeded", "succeeded", "succeeded", "failed"}).Draw(rt, "outcome")})
	require.NoError(rt, err)
}

// succeeded is a payment that money came in with.
func (m *bookkeeping) succeeded(rt *rapid.T) ghlbox.Transaction {
	paid := slices.DeleteFunc(m.ghl.Transactions(), func(p ghlbox.Transaction) bool { return p.Status != "succeeded" })
	if len(paid) == 0 {
		rt.Skip("nothing paid")
	}
	return rapid.SampledFrom(paid).Draw(rt, "payment")
}

func (m *bookkeeping) giveBack(rt *rapid.T) {
	p := m.succeeded(rt)
	left := p.Amount.Minor - p.AmountRefunded.Minor
	if left == 0 {
		rt.Skip("all of it went back")
	}
	amount := rapid.SampledFrom([]int64{1, min(500, left), left}).Draw(rt, "refund")
	require.NoError(rt, m.ghl.Refund(p.ID, domain.NewMoney(amount, p.Amount.Currency)))
}

func (m *bookkeeping) chargeBack(rt *rapid.T) {
	p := m.succeeded(rt)
	if p.OrderID != "" || rapid.IntRange(0, 2).Draw(rt, "disputed") > 0 {
		rt.Skip("they are content") // of an order, it concerns another process as well
	}
	require.NoError(rt, m.ghl.Chargeback(p.ID))
}

func (m *bookkeeping) changeSubscription(rt *rapid.T) {
	id := m.anySub(rt)
	switch rapid.IntRange(0, 5).Draw(rt, "change") {
	case 0:
		require.NoError(rt, m.ghl.ChangePlan(id, rapid.SampledFrom(m.plans).Draw(rt, "plan")))
	case 1:
		require.NoError(rt, m.ghl.PauseSubscription(id))
	case 2:
		require.NoError(rt, m.ghl.ResumeSubscription(id))
	case 3:
		require.NoError(rt, m.ghl.CancelSubscription(id))
	case 4:
		require.NoError(rt, m.ghl.ChangeAtGateway(id, rapid.SampledFrom([]string{"active", "past_due", "canceled", "unpaid", "suspended"}).Draw(rt, "status")))
	default:
		require.NoError(rt, m.ghl.EditSubscription(id, func(s *ghlbox.Subscription) {
			s.Amount = domain.NewMoney(rapid.Int64Range(1, 9999).Draw(rt, "amount"), rapid.SampledFrom([]domain.Currency{"EUR", "USD"}).Draw(rt, "currency"))
		}))
	}
}

// anyRow is a row of sales that is ours.
func (m *bookkeeping) anyRow(rt *rapid.T) sagebox.Record {
	rows := slices.DeleteFunc(m.sage.Live("sales"), func(r sagebox.Record) bool { return !strings.HasPrefix(r.Text("extId"), domain.ExtIDPrefix) })
	if len(rows) == 0 {
		rt.Skip("no row yet")
	}
	return rapid.SampledFrom(rows).Draw(rt, "row")
}

func (m *bookkeeping) editRow(rt *rapid.T) {
	row := m.anyRow(rt)
	change := map[string]any{"total": 7}
	if rapid.Bool().Draw(rt, "its day") {
		change = map[string]any{"date": "2026-01-05 00:00:00"}
	}
	require.NoError(rt, m.sage.PeopleUpdate("sales", row.ID, change))
}

func (m *bookkeeping) deleteRow(rt *rapid.T) {
	require.NoError(rt, m.sage.PeopleDelete("sales", m.anyRow(rt).ID))
}

func (m *bookkeeping) renameRow(rt *rapid.T) {
	require.NoError(rt, m.sage.PeopleUpdate("sales", m.anyRow(rt).ID, map[string]any{"extId": "mine"}))
}

func (m *bookkeeping) copyRow(rt *rapid.T) {
	row := m.anyRow(rt)
	_, err := m.sage.PeopleCreate("sales", map[string]any{"extId": row.Text("extId"), "accountId": row.Int("accountId"), "accountExtId": row.Text("accountExtId"),
		"salesRepExtId": row.Text("salesRepExtId"), "date": row.Time("date").Format(time.DateTime), "total": row.Number("total")})
	if m.refuses && err != nil {
		rt.Skip("no totals below 0")
	}
	require.NoError(rt, err)
}

// plantRow has people sell something of their own, or under an external id of nothing.
func (m *bookkeeping) plantRow(rt *rapid.T) {
	row := m.anyRow(rt)
	n := len(m.byPeople)
	_, err := m.sage.PeopleCreate("sales", map[string]any{"extId": rapid.SampledFrom([]string{fmt.Sprint("ghl:txn:nothing", n), fmt.Sprint("own", n)}).Draw(rt, "name"),
		"accountId": row.Int("accountId"), "accountExtId": "A", "salesRepExtId": "R", "date": "2026-10-05 00:00:00", "total": 25})
	require.NoError(rt, err)
}

func (m *bookkeeping) editOpportunity(rt *rapid.T) {
	rows := slices.DeleteFunc(m.sage.Live("opportunities"), func(r sagebox.Record) bool { return !strings.HasPrefix(r.Text("extId"), domain.ExtIDPrefix) })
	if len(rows) == 0 {
		rt.Skip("no opportunity yet")
	}
	row := rapid.SampledFrom(rows).Draw(rt, "opportunity")
	var err error
	switch rapid.IntRange(0, 5).Draw(rt, "deed") {
	case 0:
		err = m.sage.PeopleUpdate("opportunities", row.ID, map[string]any{"total": 1, "salesProbability": 5})
	case 1:
		err = m.sage.PeopleUpdate("opportunities", row.ID, map[string]any{"statusId": m.sage.Find("opportunityStatuses", "Open"), "salesProbability": 5})
	case 2:
		err = m.sage.PeopleDelete("opportunities", row.ID)
	case 3:
		err = m.sage.PeopleUpdate("opportunities", row.ID, map[string]any{"extId": "", "salesProbability": 5})
	case 4:
		err = m.sage.PeopleUpdate("opportunities", row.ID, map[string]any{"salesForecastDate": "2031-01-05 00:00:00", "salesProbability": 5})
	default:
		_, err = m.sage.PeopleCreate("opportunities", map[string]any{"extId": row.Text("extId"), "reference": "a copy", "accountId": row.Int("accountId"), "branchId": row.Int("branchId"),
			"salesRepId": row.Int("salesRepId"), "statusId": row.Int("statusId"), "salesProbability": 5, "total": row.Number("total")})
	}
	require.NoError(rt, err)
}

// amidFaults lets calls fail and, if it may, processes die while something is done.
func (m *bookkeeping) amidFaults(rt *rapid.T, mortal bool, do func()) {
	m.faults.SetLevel(rapid.SampledFrom([]faults.Level{faults.None, faults.Some, faults.Hell}).Draw(rt, "faults"))
	if mortal {
		m.deaths.plan(rapid.SliceOfN(rapid.IntRange(1, 30), 0, 3).Draw(rt, "deaths")...)
	}
	do()
	m.deaths.plan()
	m.faults.Clear()
	m.faults.Wait()
}

func (m *bookkeeping) lookAmidFaults(rt *rapid.T) {
	orders := m.hinted()
	if len(orders) == 0 && len(m.orders) > 0 {
		orders = []string{rapid.SampledFrom(m.orders).Draw(rt, "order")}
	}
	if len(orders) == 0 {
		rt.Skip("nothing to look at")
	}
	m.amidFaults(rt, true, func() { m.follow(rt, orders) })
}

// follow does what hints ask for.
func (m *bookkeeping) follow(rt *rapid.T, orders []string) {
	for _, order := range orders {
		if status := m.run(rt, order, nil); status.Kind != "" && !activities.Rules[activities.Kind(status.Kind)].Heals {
			rt.Fatalf("order %s is parked for good: %s: %s", order, status.Kind, status.Reason)
		}
	}
}

// kinds of runs.
const (
	normalRun = "normal"
	deepRun   = "deep"
	backfill  = "backfill"
)

func anyRun(rt *rapid.T) string {
	return rapid.SampledFrom([]string{normalRun, deepRun, backfill}).Draw(rt, "kind of run")
}

// reconciliation is a run that is to be carried out.
func (m *bookkeeping) reconciliation(rt *rapid.T, kind string) (*testsuite.TestWorkflowEnvironment, workflows.SubscriptionReconciliationInput) {
	env, s, location := m.env(rt), m.system, m.ghl.Location()
	m.steps(env)
	env.RegisterActivity(s.live.Load().ledger)
	env.RegisterActivity(&activities.Books{Store: s.store, On: true, Overlap: 2 * time.Hour})
	in := workflows.SubscriptionReconciliationInput{Location: location}
	id := workflows.ReconciliationID(location)
	switch kind {
	case deepRun:
		id, in.Deep = workflows.DeepReconciliationID(location), true
	case backfill:
		id, in.Backfill = workflows.BackfillID(location), &activities.Period{From: time.Now().Add(-horizon), Before: time.Now()}
	}
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id})
	return env, in
}

func (m *bookkeeping) steps(env *testsuite.TestWorkflowEnvironment) {
	s := m.system
	type books = func(context.Context, activities.ReadBooksInput) (activities.BooksPage, error)
	type bring = func(context.Context, activities.BringBooksInput) (activities.BringBooksResult, error)
	register(env, "ReadTransactions", s, func(p *process) books { return p.read.ReadTransactions })
	register(env, "ReadOrderEntries", s, func(p *process) books { return p.read.ReadOrderEntries })
	register(env, "ReadSubscriptions", s, func(p *process) books { return p.read.ReadSubscriptions })
	register(env, "ReadCustomer", s, func(p *process) func(context.Context, activities.ReadCustomerInput) (activities.BringCustomerInput, error) {
		return p.read.ReadCustomer
	})
	register(env, "ReadSageBooks", s, func(p *process) func(context.Context, activities.ReadSageBooksInput) (activities.SageBooksPage, error) {
		return p.write.ReadSageBooks
	})
	register(env, "BringPayments", s, func(p *process) bring { return p.write.BringPayments })
	register(env, "BringSubscriptions", s, func(p *process) bring { return p.write.BringSubscriptions })
	register(env, "BringCustomer", s, func(p *process) func(context.Context, activities.BringCustomerInput) (activities.CustomerRef, error) {
		return p.write.BringCustomer
	})
}

func (m *bookkeeping) reconcile(rt *rapid.T, kind string) activities.ReconciliationProgress {
	env, in := m.reconciliation(rt, kind)
	env.ExecuteWorkflow(workflows.SubscriptionReconciliation, in)
	require.True(rt, env.IsWorkflowCompleted())
	require.NoError(rt, env.GetWorkflowError())
	var done activities.ReconciliationProgress
	require.NoError(rt, env.GetWorkflowResult(&done))
	require.Equal(rt, activities.StageDone, done.Stage)
	return done
}

func (m *bookkeeping) reconcileAmidFaults(rt *rapid.T) {
	m.amidFaults(rt, true, func() { m.reconcile(rt, anyRun(rt)) })
	m.nothingInferred(rt)
}

// interrupt ends a run before one of its steps.
func (m *bookkeeping) interrupt(rt *rapid.T) {
	env, in := m.reconciliation(rt, anyRun(rt))
	left := rapid.IntRange(1, 12).Draw(rt, "steps")
	env.SetOnActivityStartedListener(func(*activity.Info, context.Context, converter.EncodedValues) {
		if left--; left == 0 {
			env.CancelWorkflow()
		}
	})
	env.ExecuteWorkflow(workflows.SubscriptionReconciliation, in)
	require.True(rt, env.IsWorkflowCompleted())
	if err := env.GetWorkflowError(); err != nil {
		require.True(rt, temporal.IsCanceledError(err), "%v", err)
	}
	m.nothingInferred(rt)
}

// reconcileAtOnce has several runs at the same time.
func (m *bookkeeping) reconcileAtOnce(rt *rapid.T) {
	m.amidFaults(rt, false, func() {
		kinds := []string{normalRun, deepRun, backfill}[:rapid.IntRange(2, 3).Draw(rt, "runs")]
		failed := make([]error, len(kinds))
		var all sync.WaitGroup
		for i, kind := range kinds {
			env, in := m.reconciliation(rt, kind)
			all.Go(func() {
				env.ExecuteWorkflow(workflows.SubscriptionReconciliation, in)
				failed[i] = env.GetWorkflowError()
			})
		}
		all.Wait()
		for i, err := range failed {
			require.NoError(rt, err, kinds[i])
		}
	})
	m.nothingInferred(rt)
}

// loseStore goes on with an empty store, as after a disaster.
func (m *bookkeeping) loseStore(rt *rapid.T) {
	if rapid.IntRange(0, 2).Draw(rt, "luck") > 0 {
		rt.Skip("the store holds")
	}
	require.NoError(rt, m.store.Close())
	m.stores++
	m.path = filepath.Join(m.dir, fmt.Sprintf("run%d.db", m.stores))
	var err error
	m.store, err = store.Open(context.Background(), "sqlite:"+m.path)
	require.NoError(rt, err)
	require.NoError(rt, m.restart())
}

// nothingInferred wants what the ledger takes for gone to be gone.
func (m *bookkeeping) nothingInferred(rt *rapid.T) {
	live := map[string]sagebox.Record{}
	for _, row := range slices.Concat(m.sage.Live("sales"), m.sage.Live("opportunities")) {
		live[fmt.Sprint(row.ID)] = row
	}
	entries, _, err := m.store.Entries(context.Background(), store.EntryFilter{Location: m.ghl.Location(), Side: domain.SageSide, Page: store.Page{Limit: 1000}})
	require.NoError(rt, err)
	for _, e := range entries {
		row, there := live[e.Record]
		if there && e.Gone && e.Kind != domain.OrderEntry && row.Text("extId") == e.ExtID && !row.Time("dateUpdated").After(e.SeenAt) {
			rt.Fatalf("%s is taken for gone, and is there", e.ExtID)
		}
	}
}

// compared are the differences by kind, and the proofs, which must hold at any time.
func (m *bookkeeping) compared(rt *rapid.T) (map[domain.EntryKind][]domain.Difference, []domain.Proof) {
	found := map[domain.EntryKind][]domain.Difference{}
	var tally domain.Tally
	for _, kind := range domain.EntryKinds() {
		err := m.store.ComparePages(context.Background(), store.CompareFilter{Location: m.ghl.Location(), Kind: kind}, func(_ string, here *store.LedgerEntry, there []store.LedgerEntry) error {
			differ := store.Differences(kind, here, there)
			found[kind] = append(found[kind], differ...)
			var ghl *domain.Entry
			if here != nil {
				ghl = &here.Entry
			}
			var sage []domain.Entry
			for _, e := range there {
				sage = append(sage, e.Entry)
			}
			return tally.Add(kind, ghl, sage, differ)
		})
		require.NoError(rt, err)
	}
	proofs := tally.Proofs()
	for _, p := range proofs {
		require.True(rt, p.Holds(), "%+v", p)
	}
	return found, proofs
}

func (m *bookkeeping) proofs(rt *rapid.T) { m.compared(rt) }

// settle is two quiet deep runs with a full reading of Sage, and what they ask other processes for.
func (m *bookkeeping) settle(rt *rapid.T) {
	for range 2 {
		m.readAllOfSage(rt)
		m.reconcile(rt, deepRun)
		m.follow(rt, m.hinted())
	}
	m.reconcile(rt, normalRun)
}

// readAllOfSage has the next run read everything, as one in a week does.
func (m *bookkeeping) readAllOfSage(rt *rapid.T) {
	db, err := sql.Open("sqlite", m.path+"?_pragma=busy_timeout(5000)")
	require.NoError(rt, err)
	defer db.Close()
	_, err = db.ExecContext(context.Background(), "DELETE FROM cursors WHERE name = 'sage-books-full'")
	require.NoError(rt, err)
}

// test tells whether no money moved with a payment.
func (m *bookkeeping) test(p ghlbox.Transaction) bool {
	o, _ := m.ghl.Order(p.OrderID)
	return !p.LiveMode || p.MarkAsTest || o.MarkAsTest
}

func settled(p ghlbox.Transaction) bool {
	return p.Status == "succeeded" || p.Status == "disputed" && p.AmountRefunded.Minor > 0
}

// agree compares Sage and the report with what happened.
func (m *bookkeeping) agree(rt *rapid.T) {
	require.Empty(rt, m.crimes, "what people made is theirs")
	rows := map[string][]sagebox.Record{}
	refundRows := map[string]map[string][]sagebox.Record{} // by payment, then by external id
	for _, row := range m.sage.Live("sales") {
		extID := row.Text("extId")
		rows[extID] = append(rows[extID], row)
		if id, _, refund := domain.ParseRefundExtID(extID); refund {
			if refundRows[id] == nil {
				refundRows[id] = map[string][]sagebox.Record{}
			}
			refundRows[id][extID] = append(refundRows[id][extID], row)
		}
	}
	want := map[domain.EntryKind]map[domain.Finding]int{}
	for _, kind := range domain.EntryKinds() {
		want[kind] = map[domain.Finding]int{}
	}
	paid, back := int64(0), int64(0)
	for _, p := range m.ghl.Transactions() {
		have := rows[domain.TransactionExtID(p.ID)]
		delete(rows, domain.TransactionExtID(p.ID))
		counts := settled(p) && !m.test(p)
		if !counts || p.Amount.Currency != "EUR" {
			require.Empty(rt, refundRows[p.ID])
			if p.Status == "disputed" && len(have) > 0 { // it was there, and is for people now
				want[domain.PaymentEntry][domain.StatusDiffers]++
				want[domain.PaymentEntry][domain.Duplicate] += len(have) - 1
				continue
			}
			require.Empty(rt, have, "%+v", p)
			continue
		}
		paid += p.Amount.Minor
		back += p.AmountRefunded.Minor
		require.NotEmpty(rt, have, "%+v", p)
		want[domain.PaymentEntry][domain.Duplicate] += len(have) - 1
		m.rightRow(rt, p, have)
		m.rightRefund(rt, p, refundRows[p.ID], want[domain.RefundEntry])
	}
	for extID, have := range rows {
		if strings.HasPrefix(extID, domain.TransactionExtIDPrefix) {
			require.Contains(rt, extID, "nothing")
			want[domain.PaymentEntry][domain.Extra]++
			want[domain.PaymentEntry][domain.Duplicate] += len(have) - 1
		}
	}
	m.rightOpportunities(rt, want[domain.SubscriptionEntry])
	m.rightOrders(rt, want[domain.OrderEntry])
	m.rightAccounts(rt)
	m.rightReport(rt, want, paid, back)
}

// rightRow wants one of a payment's rows to say what the payment is; others are copies that people made.
func (m *bookkeeping) rightRow(rt *rapid.T, p ghlbox.Transaction, have []sagebox.Record) {
	right := 0
	for _, row := range have {
		m.mu.Lock()
		copied := m.byPeople[fmt.Sprint("sales/", row.ID)]
		m.mu.Unlock()
		at := p.FulfilledAt
		days := math.Abs(row.Time("date").Sub(at.UTC().Truncate(24*time.Hour)).Hours()) / 24
		if minor(rt, row.Number("total")) == p.Amount.Minor && days <= 1 {
			right++
			continue
		}
		require.True(rt, copied, "row %d of payment %+v: %v on %s", row.ID, p, row.Number("total"), row.Time("date"))
	}
	require.Positive(rt, right, "%+v", p)
	for _, row := range have {
		var account sagebox.Record
		for _, a := range m.sage.Live("accounts") {
			if a.ID == row.Int("accountId") {
				account = a
			}
		}
		require.Equal(rt, domain.ContactExtID(p.ContactID), account.Text("extId"))
	}
}

func (m *bookkeeping) rightRefund(rt *rapid.T, p ghlbox.Transaction, have map[string][]sagebox.Record, want map[domain.Finding]int) {
	if p.AmountRefunded.Minor == 0 || m.books.Refunds != "" {
		require.Empty(rt, have)
		return
	}
	if m.refuses {
		require.Empty(rt, have)
		want[domain.Missing]++
		return
	}
	sum := int64(0)
	for extID, rows := range have {
		_, point, _ := domain.ParseRefundExtID(extID)
		require.LessOrEqual(rt, point, p.AmountRefunded.Minor)
		want[domain.Duplicate] += len(rows) - 1
		sum += minor(rt, rows[0].Number("total"))
	}
	require.Equal(rt, -p.AmountRefunded.Minor, sum, "the rows of the refund of %+v: %+v", p, have)
}

func (m *bookkeeping) rightOpportunities(rt *rapid.T, want map[domain.Finding]int) {
	have := map[string][]sagebox.Record{}
	for _, row := range m.sage.Live("opportunities") {
		have[row.Text("extId")] = append(have[row.Text("extId")], row)
	}
	for _, sub := range m.ghl.Subscriptions() {
		rows := have[domain.SubscriptionExtID(sub.ID)]
		if !sub.LiveMode || sub.MarkAsTest {
			require.Empty(rt, rows, "%+v", sub)
			continue
		}
		require.NotEmpty(rt, rows, "%+v", sub)
		want[domain.Duplicate] += len(rows) - 1
		require.True(rt, slices.ContainsFunc(rows, func(r sagebox.Record) bool { return m.rightOpportunity(rt, sub, r) }), "%+v\n%+v", sub, rows)
	}
}

// rightOpportunity tells whether an opportunity says what its subscription is.
func (m *bookkeeping) rightOpportunity(rt *rapid.T, sub ghlbox.Subscription, row sagebox.Record) bool {
	state := domain.SubscriptionStateOf(sub.Status)
	if sub.Paused && sub.Provider == "stripe" && (state.Earning() || state == domain.SubscriptionTrialing) {
		state = domain.SubscriptionPaused
	}
	stage := map[domain.Stage]string{domain.StageOpen: "Open", domain.StageWon: "Won", domain.StageLost: "Lost"}[state.Stage()]
	amount, err := domain.ParseMoney(row.Number("total"), sub.Amount.Currency)
	require.NoError(rt, err)
	right := amount == sub.Amount && row.Text("Z_SubscriptionStatus") == string(state) && row.Int("statusId") == m.sage.Find("opportunityStatuses", stage) &&
		row.Int("currencyId") == m.sage.Find("currencies", string(sub.Amount.Currency))
	trial := sub.TrialEnd.After(time.Now()) && !sub.TrialEnd.Equal(sub.Schedule.Start) // another plan amid a trial, of which nobody says what it does
	if !right || !state.Earning() && state != domain.SubscriptionTrialing || sub.NoSchedule || trial {
		return right
	}
	next := sub.Schedule.Due(0)
	for n := int64(0); next.Before(time.Now()) || sub.Provider == "stripe" && n < sub.Charges; {
		n++
		next = sub.Schedule.Due(n)
	}
	return math.Abs(row.Time("salesForecastDate").Sub(next.Truncate(24*time.Hour)).Hours()) <= 24
}

// rightOrders wants each payment without an order to have one of its own, if that is wanted.
func (m *bookkeeping) rightOrders(rt *rapid.T, want map[domain.Finding]int) {
	for _, p := range m.ghl.Transactions() {
		have := m.sage.OrdersByExtID(domain.OrderExtID("renewal:" + p.ID))
		renewal := p.OrderID == "" && settled(p) && !m.test(p)
		switch {
		case renewal && m.books.RenewalOrders:
			require.Len(rt, have, 1)
			total, err := domain.ParseMoney(have[0].Number("total"), p.Amount.Currency)
			require.NoError(rt, err)
			require.Equal(rt, p.Amount, total)
		case p.Status == "disputed": // what was there is for people now
			want[domain.StatusDiffers] += len(have)
		default:
			require.Empty(rt, have)
		}
	}
	for _, id := range m.orders {
		paid := slices.ContainsFunc(m.ghl.Payments(id), func(p ghlbox.Transaction) bool { return settled(p) && !m.test(p) })
		require.Equal(rt, paid, len(m.sage.OrdersByExtID(domain.OrderExtID(id))) == 1, id)
	}
}

// rightAccounts wants nobody at Sage who never paid nor subscribed to anything.
func (m *bookkeeping) rightAccounts(rt *rapid.T) {
	known := map[string]bool{}
	for _, p := range m.ghl.Transactions() {
		if p.Status != "failed" && !m.test(p) {
			known[domain.ContactExtID(p.ContactID)] = true
		}
	}
	for _, s := range m.ghl.Subscriptions() {
		if s.LiveMode && !s.MarkAsTest {
			known[domain.ContactExtID(s.ContactID)] = true
		}
	}
	for _, resource := range []string{"accounts", "contacts"} {
		seen := map[string]bool{}
		for _, row := range m.sage.Live(resource) {
			require.True(rt, known[row.Text("extId")], "%s %s", resource, row.Text("extId"))
			require.False(rt, seen[row.Text("extId")], "twice")
			seen[row.Text("extId")] = true
		}
	}
}

// rightReport wants the differences to be those that people planted, and the totals to be those of both sides.
func (m *bookkeeping) rightReport(rt *rapid.T, want map[domain.EntryKind]map[domain.Finding]int, paid, back int64) {
	found, proofs := m.compared(rt)
	got := map[domain.EntryKind]map[domain.Finding]int{}
	for _, kind := range domain.EntryKinds() {
		got[kind] = map[domain.Finding]int{}
		for finding, n := range want[kind] {
			if n == 0 {
				delete(want[kind], finding)
			}
		}
		for _, d := range found[kind] {
			for _, finding := range d.Findings {
				got[kind][finding]++
			}
		}
	}
	require.Equal(rt, want, got, "%+v", found)
	sales := int64(0)
	for _, row := range m.sage.Live("sales") {
		if strings.HasPrefix(row.Text("extId"), domain.TransactionExtIDPrefix) {
			sales += minor(rt, row.Number("total"))
		}
	}
	for _, p := range proofs {
		switch {
		case p.Currency != "EUR":
		case p.Kind == domain.PaymentEntry:
			require.Equal(rt, [2]int64{paid, sales}, [2]int64{p.GHL.Minor, p.Sage.Minor}, "payments")
		case p.Kind == domain.RefundEntry:
			require.Equal(rt, back, p.GHL.Minor, "refunds")
		}
	}
}

// rest wants further runs to find nothing to write, nor to ask for what did not change.
func (m *bookkeeping) rest(rt *rapid.T) {
	found, _ := m.compared(rt)
	open := 0
	for _, differ := range found {
		open += len(differ)
	}
	for _, kind := range []string{normalRun, deepRun} {
		m.sage.ResetWrites()
		m.ghl.ResetCalls()
		m.sage.ResetCalls()
		m.reconcile(rt, kind)
		require.Empty(rt, m.sage.Writes(), "a further run finds nothing to write")
		// Three lists of HighLevel's, the third of which is read three times over; three of three parts of Sage, with what one
		// step needs to know of the tenant. What people are to see to is looked at again.
		calls := sum(m.ghl.Calls()) + sum(m.sage.Calls())
		require.LessOrEqual(rt, calls, quietCalls+perDifference*open, "%v %v", m.ghl.Calls(), m.sage.Calls())
	}
}

const (
	quietCalls    = 30
	perDifference = 8
)

func sum(calls map[string]int) (n int) {
	for _, c := range calls {
		n += c
	}
	return n
}
