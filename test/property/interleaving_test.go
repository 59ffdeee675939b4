package property

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/workflows"
)

// defaultChecks keeps the test to some seconds where nobody asks for more.
const defaultChecks = "60"

// asked says that somebody asked for a number of checks.
var asked bool

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked {
		if err := flag.Set("rapid.checks", defaultChecks); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// inFolder checks a property with a new folder for each run.
func inFolder(t *testing.T, property func(rt *rapid.T, dir string)) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "tallystick-property-")
		require.NoError(rt, err)
		defer func() { _ = os.RemoveAll(dir) }()
		property(rt, dir)
	})
}

func TestAnyInterleavingEndsAsTheStraightRun(t *testing.T) {
	inFolder(t, func(rt *rapid.T, dir string) {
		m := newModel(rt, dir)
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"place":   m.place,
			"pay":     m.pay,
			"pending": m.pending,
			"end":     m.endPending,
			"refund":  m.refund,
			"edit":    m.edit,
			"people":  m.people,
			"forget":  m.forget,
			"pass":    m.pass,
		})
		m.drain(rt)
		m.agree(rt)
	})
}

// model is HighLevel with a shop, Sage as the system under test sees it, and what the test must know of its own doings.
type model struct {
	ghl    *ghlbox.Server
	shop   shop
	orders []string
	// writings are what people did at Sage, by order, to be done after the straight run as well.
	writings map[string][]func(*system) error
	*system
}

// system is one Sage with everything of ours that brings orders into it.
type system struct {
	ghl    *ghlbox.Server
	sage   *sagebox.Server
	faults *faults.Plan
	store  *store.Store
	path   string
	live   atomic.Pointer[process]
	deaths *deaths
	// follow says how the goods of orders are followed, not at all if it is nil; look takes the hints of the steps.
	follow activities.Fulfiller
	look   activities.Looker
	// books are the settings of the reconciliation, from is when the books begin, and refundWindow how far deep runs reach.
	books        activities.BooksSettings
	from         time.Time
	refundWindow time.Duration
}

// process is what dies: the clients with their sessions and caches, and the steps that use them.
type process struct {
	read   *activities.GHL
	write  *activities.Sage
	ledger *activities.Ledger
}

type shop struct {
	contacts []string
	prices   []string
}

func newModel(rt *rapid.T, dir string) *model {
	plan := faults.NewPlan(int64(rapid.Uint32().Draw(rt, "seed of faults")), faults.None)
	from := ghlbox.New(ghlbox.Options{NoLimits: true, Faults: plan, UpperCurrency: rapid.Bool().Draw(rt, "capitals"),
		PlainSummary: rapid.Bool().Draw(rt, "plain summaries"), KeepPending: rapid.Bool().Draw(rt, "paid orders stay pending")})
	require.NoError(rt, from.Start())
	m := &model{ghl: from, writings: map[string][]func(*system) error{}}
	m.system = newSystem(rt, from, plan, filepath.Join(dir, "run.db"))
	for i := range 2 {
		m.shop.contacts = append(m.shop.contacts, from.AddContact(ghlbox.Contact{FirstName: "Ada", LastName: fmt.Sprint("Byron ", i),
			Email: fmt.Sprintf("ada%d@example.com", i)}))
	}
	for i, minor := range []int64{999, 2000, 1} {
		product := from.AddProduct(ghlbox.Product{Name: fmt.Sprint("Ware ", i)})
		m.shop.prices = append(m.shop.prices, from.AddPrice(ghlbox.Price{ProductID: product, Name: "each", Amount: domain.NewMoney(minor, "EUR")}))
	}
	return m
}

func newSystem(rt *rapid.T, from *ghlbox.Server, plan *faults.Plan, path string) *system {
	return newSystemOn(rt, &system{ghl: from, sage: sagebox.New(sagebox.Options{Faults: plan}), faults: plan, path: path})
}

// newSystemOn completes a system.
func newSystemOn(rt *rapid.T, s *system) *system {
	s.deaths = &deaths{}
	require.NoError(rt, s.sage.Start())
	var err error
	s.store, err = store.Open(context.Background(), "sqlite:"+s.path)
	require.NoError(rt, err)
	require.NoError(rt, s.restart())
	return s
}

func (s *system) close() {
	s.sage.Close()
	_ = s.store.Close()
}

func (m *model) close() {
	m.system.close()
	m.ghl.Close()
}

// restart begins a process with nothing in memory.
func (s *system) restart() error {
	line := &line{base: http.DefaultTransport, deaths: s.deaths}
	from, err := ghl.New(ghl.Options{BaseURL: s.ghl.URL(), LocationID: s.ghl.Location(), Limiter: noLimit{}, Transport: line,
		Credentials: ghl.StaticToken(s.ghl.Token()), Timeout: 5 * time.Second})
	if err != nil {
		return err
	}
	public, private := s.sage.Keys()
	into, err := sage.New(sage.Options{BaseURL: s.sage.URL(), PublicKey: public, PrivateKey: private, Limiter: noLimit{},
		Timeout: 5 * time.Second, Base: line})
	if err != nil {
		return err
	}
	settings := activities.SageSettings{SalesRepID: s.sage.APIUser(), FieldPrefix: sage.ExtraPrefix, Books: s.books}
	s.live.Store(&process{
		read: &activities.GHL{Store: s.store, Look: s.look, Fulfillment: s.follow,
			Client: func(context.Context, string) (*ghl.Client, error) { return from, nil }},
		write: &activities.Sage{Store: s.store, Look: s.look, Fulfillment: s.follow,
			Client: func(context.Context, string) (*sage.Client, activities.SageSettings, error) {
				return into, settings, nil
			}},
		ledger: &activities.Ledger{Store: s.store, Look: s.look, Fulfillment: s.follow, From: s.from, RefundWindow: s.refundWindow},
	})
	return nil
}

// noLimit holds nobody up, also not after a 429.
type noLimit struct{}

func (noLimit) Wait(context.Context) error { return nil }
func (noLimit) Observe(int, http.Header)   {}

// deaths says after which calls the process dies.
type deaths struct {
	mu    sync.Mutex
	calls int
	at    map[int]bool
}

func (d *deaths) plan(at ...int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls, d.at = 0, map[int]bool{}
	for _, n := range at {
		d.at[n] = true
	}
}

func (d *deaths) now() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	return d.at[d.calls]
}

// line is the line to the vendors. Death strikes when a call is over and nobody has looked at the answer yet.
type line struct {
	base   http.RoundTripper
	deaths *deaths
}

var errDeath = errors.New("the process dies")

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.base.RoundTrip(r)
	if ownStep(r.URL.Path) && l.deaths.now() {
		if answer != nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
		panic(errDeath)
	}
	return answer, err
}

// ownStep tells calls that a step makes itself. Sessions and value lists are fetched for all steps at once.
func ownStep(path string) bool {
	if strings.HasSuffix(path, "/schema") {
		return false
	}
	for _, name := range []string{"/payments/", "/contacts", "/accounts", "/products", "/sales", "/opportunities", "/activities"} {
		if strings.Contains(path, name) && !strings.Contains(path, "salesorderStatuses") {
			return true
		}
	}
	return false
}

func (m *model) anyOrder(rt *rapid.T) string {
	if len(m.orders) == 0 {
		rt.Skip("no order yet")
	}
	return rapid.SampledFrom(m.orders).Draw(rt, "order")
}

func (m *model) place(rt *rapid.T) {
	if len(m.orders) == 3 {
		rt.Skip("enough orders")
	}
	var lines []ghlbox.NewLine
	for range rapid.IntRange(1, 3).Draw(rt, "lines") {
		lines = append(lines, ghlbox.NewLine{PriceID: rapid.SampledFrom(m.shop.prices).Draw(rt, "price"), Qty: rapid.Int64Range(1, 4).Draw(rt, "pieces")})
	}
	order, err := m.ghl.PlaceOrder(ghlbox.NewOrder{
		ContactID: rapid.SampledFrom(m.shop.contacts).Draw(rt, "contact"), Currency: "EUR", Lines: lines,
		Discount: domain.NewMoney(rapid.Int64Range(0, 1).Draw(rt, "discount"), "EUR"),
		Shipping: domain.NewMoney(rapid.SampledFrom([]int64{0, 450}).Draw(rt, "shipping"), "EUR"),
	})
	require.NoError(rt, err)
	m.orders = append(m.orders, order.ID)
}

// open is what is neither paid nor about to be.
func (m *model) open(order string) int64 {
	o, _ := m.ghl.Order(order)
	left := o.Amount.Minor
	for _, p := range m.ghl.Payments(order) {
		if p.Status != "failed" {
			left -= p.Amount.Minor
		}
	}
	return left
}

func (m *model) take(rt *rapid.T, status string) {
	order := m.anyOrder(rt)
	left := m.open(order)
	if left <= 0 {
		rt.Skip("paid already")
	}
	amount := left
	if rapid.Bool().Draw(rt, "in part") {
		amount = rapid.Int64Range(1, left).Draw(rt, "amount")
	}
	_, err := m.ghl.TakePayment(order, ghlbox.NewPayment{Amount: domain.NewMoney(amount, "EUR"), Status: status})
	require.NoError(rt, err)
}

func (m *model) pay(rt *rapid.T)     { m.take(rt, "succeeded") }
func (m *model) pending(rt *rapid.T) { m.take(rt, "pending") }

func (m *model) endPending(rt *rapid.T) {
	order := m.anyOrder(rt)
	for _, p := range m.ghl.Payments(order) {
		if p.Status == "pending" {
			require.NoError(rt, m.ghl.SettlePayment(p.ID, rapid.SampledFrom([]string{"succeeded", "failed"}).Draw(rt, "end")))
			return
		}
	}
	rt.Skip("nothing pending")
}

func (m *model) refund(rt *rapid.T) {
	order := m.anyOrder(rt)
	for _, p := range m.ghl.Payments(order) {
		if left := p.Amount.Minor - p.AmountRefunded.Minor; p.Status == "succeeded" && left > 0 {
			amount := rapid.Int64Range(1, left).Draw(rt, "refund")
			require.NoError(rt, m.ghl.Refund(p.ID, domain.NewMoney(amount, "EUR")))
			return
		}
	}
	rt.Skip("nothing to refund")
}

// edit makes an order dearer or, while nothing is paid, cheaper: a total below what is paid is a person's to judge.
func (m *model) edit(rt *rapid.T) {
	order := m.anyOrder(rt)
	now, _ := m.ghl.Order(order)
	cheaper := len(now.Items) > 1 && m.open(order) == now.Amount.Minor && rapid.Bool().Draw(rt, "cheaper")
	require.NoError(rt, m.ghl.EditOrder(order, func(o *ghlbox.Order) {
		if n := len(o.Items); cheaper {
			o.Items = o.Items[:n-1]
		} else {
			o.Items = append(o.Items[:n:n], o.Items[0])
		}
		sum := int64(0)
		for _, item := range o.Items {
			sum += item.Qty * item.Price.Amount.Minor
		}
		o.Subtotal = domain.NewMoney(sum, "EUR")
		o.Amount = domain.NewMoney(sum-o.Discount.Minor+o.Shipping.Minor, "EUR")
	}))
}

// people write on an order at Sage: a line of their own, or words into the comment.
func (m *model) people(rt *rapid.T) {
	order := m.anyOrder(rt)
	if len(m.sage.OrdersByExtID(domain.OrderExtID(order))) == 0 {
		rt.Skip("not at Sage yet")
	}
	n := len(m.writings[order])
	if n == 3 {
		rt.Skip("they have written enough")
	}
	write := func(s *system) error {
		found := s.sage.OrdersByExtID(domain.OrderExtID(order))
		id, comment := found[0].ID, found[0].Text("internalComment")
		return s.sage.PeopleUpdate("salesorders", id, map[string]any{"internalComment": fmt.Sprintf("%scall %d. ", comment, n)})
	}
	if rapid.Bool().Draw(rt, "a line") {
		write = func(s *system) error {
			product, err := s.sage.PeopleCreate("products", map[string]any{"model": fmt.Sprint("engraving ", order, n)})
			if err != nil {
				return err
			}
			_, err = s.sage.PeopleCreate("salesordersLines", map[string]any{"salesOrderId": s.sage.OrdersByExtID(domain.OrderExtID(order))[0].ID,
				"productId": product, "quantity": 1, "price": 0, "total": 0, "order": 100 + n, "description": "engraving"})
			return err
		}
	}
	require.NoError(rt, write(m.system))
	m.writings[order] = append(m.writings[order], write)
}

// forget loses the ledger, as a restore from an old backup would.
func (m *model) forget(rt *rapid.T) {
	if rapid.IntRange(0, 2).Draw(rt, "forgetful") > 0 {
		rt.Skip("the ledger holds")
	}
	m.erase(rt, "orders", "links", "sightings")
}

// erase empties tables of the store.
func (s *system) erase(rt *rapid.T, tables ...string) { require.NoError(rt, s.empty(tables...)) }

// lapse ends the claims of a process that died.
func (s *system) lapse() error { return s.empty("claims") }

func (s *system) empty(tables ...string) error {
	db, err := sql.Open("sqlite", s.path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer db.Close()
	for _, table := range tables {
		if _, err := db.ExecContext(context.Background(), "DELETE FROM "+table); err != nil {
			return err
		}
	}
	return nil
}

// pass runs the process of one order amid faults and deaths, with hints that come doubled and while it works. The hints
// that HighLevel's webhooks would have brought earlier came late, or never: a pass comes when it is drawn.
func (m *model) pass(rt *rapid.T) {
	order := m.anyOrder(rt)
	m.faults.SetLevel(rapid.SampledFrom([]faults.Level{faults.None, faults.Some, faults.Hell}).Draw(rt, "faults"))
	m.deaths.plan(rapid.SliceOfN(rapid.IntRange(1, 30), 0, 3).Draw(rt, "deaths")...)
	hints := rapid.SliceOfN(rapid.IntRange(0, 5000), 0, 3).Draw(rt, "hints after ms")
	status := m.run(rt, order, hints)
	m.deaths.plan()
	m.faults.Clear()
	m.faults.Wait()
	if status.Kind != "" && !activities.Rules[activities.Kind(status.Kind)].Heals {
		rt.Fatalf("order %s is parked for good: %s: %s", order, status.Kind, status.Reason)
	}
}

// run is one run of the workflow. It begins long after the one before, so that claims of the dead have lapsed.
func (s *system) run(rt *rapid.T, order string, hints []int) workflows.PaymentToOrderStatus {
	env := s.env(rt)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.PaymentToOrderID(s.ghl.Location(), order)})
	register(env, "ReadOrder", s, func(p *process) func(context.Context, activities.ReadOrderInput) (activities.OrderReading, error) {
		return p.read.ReadOrder
	})
	register(env, "BringCustomer", s, func(p *process) func(context.Context, activities.BringCustomerInput) (activities.CustomerRef, error) {
		return p.write.BringCustomer
	})
	register(env, "BringOrder", s, func(p *process) func(context.Context, activities.BringOrderInput) (activities.BringOrderResult, error) {
		return p.write.BringOrder
	})
	env.RegisterActivity(s.live.Load().ledger)
	hint(env, hints)
	env.ExecuteWorkflow(workflows.PaymentToOrder, workflows.PaymentToOrderInput{Location: s.ghl.Location(), OrderID: order})
	require.True(rt, env.IsWorkflowCompleted())
	require.NoError(rt, env.GetWorkflowError())
	var status workflows.PaymentToOrderStatus
	require.NoError(rt, env.GetWorkflowResult(&status))
	return status
}

// env is a test environment that begins when the claims of the dead have lapsed.
func (s *system) env(rt *rapid.T) *testsuite.TestWorkflowEnvironment {
	s.erase(rt, "claims")
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	return env
}

// hint sends hints so many milliseconds after the beginning.
func hint(env *testsuite.TestWorkflowEnvironment, after []int) {
	for _, ms := range after {
		env.RegisterDelayedCallback(func() { env.SignalWorkflow(workflows.LookSignal, workflows.Hint{Source: workflows.FromWebhook}) },
			time.Duration(ms)*time.Millisecond)
	}
}

// register lets a step be run by whichever process lives at the time. A process that dies takes everything with it that
// is not in the store; an attempt is begun only when writes that were on the way have landed, which is what the settle
// delay, and the wait for a heartbeat that does not come, are for.
func register[I, O any](env *testsuite.TestWorkflowEnvironment, name string, s *system, step func(*process) func(context.Context, I) (O, error)) {
	env.RegisterActivityWithOptions(func(ctx context.Context, in I) (out O, err error) {
		s.faults.Wait()
		defer func() {
			if death := recover(); death != nil {
				// What it had claimed lapses; by the clock of the test that has been so when it is begun again.
				if err = errors.Join(s.lapse(), s.restart()); err == nil {
					err = errDeath
				}
			}
		}()
		return step(s.live.Load())(ctx, in)
	}, activity.RegisterOptions{Name: name})
}

// drain gives every order a pass in which nothing goes wrong.
func (m *model) drain(rt *rapid.T) {
	for _, order := range m.orders {
		if status := m.run(rt, order, nil); status.Kind != "" {
			rt.Fatalf("order %s is parked: %s: %s", order, status.Kind, status.Reason)
		}
	}
	m.sage.ResetWrites()
	for _, order := range m.orders {
		m.run(rt, order, nil)
	}
	require.Empty(rt, m.sage.Writes(), "a further pass finds nothing to write")
}

// agree wants the same Sage as after one pass at the end, and the books to agree with HighLevel to the cent.
func (m *model) agree(rt *rapid.T) {
	straight := newSystem(rt, m.ghl, m.faults, m.path+".straight")
	defer straight.close()
	for _, order := range m.orders {
		straight.run(rt, order, nil)
		for _, write := range m.writings[order] {
			require.NoError(rt, write(straight))
		}
	}
	for _, id := range m.orders {
		order, _ := m.ghl.Order(id)
		paid, refunded := int64(0), int64(0)
		for _, p := range m.ghl.Payments(id) {
			if p.Status == "succeeded" {
				paid, refunded = paid+p.Amount.Minor, refunded+p.AmountRefunded.Minor
			}
		}
		found := m.sage.OrdersByExtID(domain.OrderExtID(id))
		if paid == 0 {
			require.Empty(rt, found, "nothing is booked that nobody paid")
			continue
		}
		require.Len(rt, found, 1, "one order, not none and not two")
		lines := int64(0)
		for _, line := range found[0].Lines {
			lines += minor(rt, line.Number("total"))
		}
		require.Equal(rt, [4]int64{order.Amount.Minor, order.Amount.Minor, paid, refunded}, [4]int64{minor(rt, found[0].Number("total")), lines,
			minor(rt, found[0].Number("Z_PaidAmount")), minor(rt, found[0].Number("Z_RefundedAmount"))})
	}
	require.Equal(rt, straight.sage.Snapshot(), m.sage.Snapshot())
}

func minor(rt *rapid.T, n domain.Number) int64 {
	amount, err := domain.ParseMoney(n, "EUR")
	require.NoError(rt, err)
	return amount.Minor
}
