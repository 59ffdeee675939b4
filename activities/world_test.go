package activities_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
)

// world is both vendors as sandbox servers, a store, and the activities on them.
type world struct {
	t      testing.TB
	faults *faults.Plan
	ghl    *ghlbox.Server
	sage   *sagebox.Server
	store  *store.Store
	read   *activities.GHL
	write  *activities.Sage
	ledger *activities.Ledger
	looks  *looks
	// settings may be changed by a test before it acts.
	settings activities.SageSettings
	// following says how lifecycles are followed: not at all, unless a test says so.
	following activities.FulfillmentSettings
	wire      *wire
	// storePath is the file of the store.
	storePath string
}

// wire is the line to both vendors. A test may have something happen on it, such as the death of the process.
type wire struct {
	base  http.RoundTripper
	after func(*http.Request)
	// rewrite changes what HighLevel's lists say.
	rewrite func([]byte) []byte
}

func (l *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.base.RoundTrip(r)
	if l.after != nil {
		l.after(r)
	}
	if err != nil || l.rewrite == nil {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	body = l.rewrite(body)
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return answer, err
}

// noLimit is a rate limit that holds nobody up, also not after a 429.
type noLimit struct{}

func (noLimit) Wait(context.Context) error { return nil }
func (noLimit) Observe(int, http.Header)   {}

// looks remembers the hints that sweeps hand out.
type looks struct{ orders, invoices, fulfillments []string }

func (l *looks) LookAtOrder(_ context.Context, _, order, _ string) error {
	l.orders = append(l.orders, order)
	return nil
}

func (l *looks) LookAtInvoice(_ context.Context, _, invoice, _ string) error {
	l.invoices = append(l.invoices, invoice)
	return nil
}

// LookAtFulfillment remembers the order with the event.
func (l *looks) LookAtFulfillment(_ context.Context, _, order, event string) error {
	l.fulfillments = append(l.fulfillments, order+" "+event)
	return nil
}

type worldOptions struct {
	ghl  ghlbox.Options
	sage sagebox.Options
}

// emptyStore is a database file of a store that is new. To migrate one takes longer than most tests, and there are hundreds.
var emptyStore = sync.OnceValue(func() []byte {
	folder, err := os.MkdirTemp("", "tallystick-store-")
	if err == nil {
		defer func() { _ = os.RemoveAll(folder) }()
		err = migrateAt(filepath.Join(folder, "new.db"))
	}
	var file []byte
	if err == nil {
		file, err = os.ReadFile(filepath.Join(folder, "new.db"))
	}
	if err != nil {
		panic(err)
	}
	return file
})

// migrateAt makes a store and closes it, by which all of it is in its one file.
func migrateAt(path string) error {
	db, err := store.Open(context.Background(), "sqlite:"+path)
	if err != nil {
		return err
	}
	return db.Close()
}

func newWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	w := &world{t: t, wire: &wire{base: http.DefaultTransport.(*http.Transport).Clone()}, faults: faults.NewPlan(1, faults.None), looks: &looks{}, settings: activities.SageSettings{
		SalesRepID: 51, FieldPrefix: sage.ExtraPrefix, Settle: 50 * time.Millisecond,
	}}
	o.ghl.NoLimits, o.ghl.Faults, o.sage.Faults = true, w.faults, w.faults
	w.ghl, w.sage = ghlbox.New(o.ghl), sagebox.New(o.sage)
	require.NoError(t, w.ghl.Start())
	require.NoError(t, w.sage.Start())
	t.Cleanup(w.ghl.Close)
	t.Cleanup(w.sage.Close)
	var err error
	w.storePath = filepath.Join(t.TempDir(), "tallystick.db")
	require.NoError(t, os.WriteFile(w.storePath, emptyStore(), 0o600))
	w.store, err = store.Open(t.Context(), "sqlite:"+w.storePath)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.store.Close()) })
	w.connect()
	return w
}

func (w *world) connect() {
	unlimited := noLimit{}
	from, err := ghl.New(ghl.Options{
		BaseURL: w.ghl.URL(), LocationID: w.ghl.Location(), Credentials: ghl.StaticToken(w.ghl.Token()), Limiter: unlimited,
		Timeout: 5 * time.Second, Transport: w.wire,
	})
	require.NoError(w.t, err)
	into, err := sage.New(sage.Options{
		BaseURL: w.sage.URL(), PublicKey: "sandbox-public", PrivateKey: "sandbox-secret", Limiter: unlimited,
		Timeout: 5 * time.Second, Base: w.wire,
	})
	require.NoError(w.t, err)
	w.read = &activities.GHL{
		Client: func(context.Context, string) (*ghl.Client, error) { return from, nil }, Store: w.store, Look: w.looks,
		Fulfillment: w.follows,
	}
	w.write = &activities.Sage{
		Client: func(context.Context, string) (*sage.Client, activities.SageSettings, error) {
			return into, w.settings, nil
		}, Store: w.store, Look: w.looks, Fulfillment: w.follows,
	}
	w.ledger = &activities.Ledger{
		Store: w.store, Look: w.looks, Overlap: time.Hour, RefundWindow: 24 * time.Hour, Fulfillment: w.follows,
	}
}

func (w *world) follows(context.Context, string) (activities.FulfillmentSettings, error) {
	return w.following, nil
}

// do runs one activity as Temporal would, and decodes its result.
func do[T any](w *world, fn, in any) (T, error) {
	w.t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.SetTestTimeout(time.Minute)
	env.RegisterActivity(fn)
	var out T
	value, err := env.ExecuteActivity(fn, in)
	if err != nil {
		return out, err
	}
	if value.HasValue() {
		require.NoError(w.t, value.Get(&out))
	}
	return out, nil
}

// persist runs one activity again and again, as Temporal would, while its fault may be retried. What it waits for
// between two attempts is what the settle delay is there for: that late writes have landed.
func persist[T any](w *world, fn, in any) (T, error) {
	w.t.Helper()
	for attempt := 0; ; attempt++ {
		out, err := do[T](w, fn, in)
		var fault *temporal.ApplicationError
		if err == nil || attempt == 40 || (errors.As(err, &fault) && fault.NonRetryable()) {
			return out, err
		}
		w.faults.Wait()
	}
}

// pass is one pass over an order, as the workflow makes it. It gives up at the first fault, so that tests see it.
func (w *world) pass(order string) (activities.BringOrderResult, error) {
	w.t.Helper()
	return w.passWith(order, do[activities.OrderReading], do[activities.CustomerRef], do[activities.BringOrderResult])
}

// carryOut is a pass that Temporal sees through.
func (w *world) carryOut(order string) (activities.BringOrderResult, error) {
	w.t.Helper()
	return w.passWith(order, persist[activities.OrderReading], persist[activities.CustomerRef], persist[activities.BringOrderResult])
}

func (w *world) passWith(order string,
	read func(*world, any, any) (activities.OrderReading, error),
	bring func(*world, any, any) (activities.CustomerRef, error),
	book func(*world, any, any) (activities.BringOrderResult, error),
) (activities.BringOrderResult, error) {
	w.t.Helper()
	// Methods are bound at each call: after a crash they are those of another process.
	reading, err := read(w, w.read.ReadOrder, activities.ReadOrderInput{Location: w.ghl.Location(), OrderID: order})
	if err != nil || reading.KeptOut != "" {
		return activities.BringOrderResult{Outcome: reading.KeptOut}, err
	}
	customer := reading.Customer
	for again := true; ; again = false {
		if customer == nil {
			made, err := bring(w, w.write.BringCustomer, activities.BringCustomerInput{
				Location: w.ghl.Location(), ExtID: reading.Sale.CustomerExtID(), Customer: reading.Sale.Customer,
			})
			if err != nil {
				return activities.BringOrderResult{}, err
			}
			customer = &made
		}
		result, err := book(w, w.write.BringOrder,
			activities.BringOrderInput{Sale: reading.Sale, Customer: *customer, Sightings: reading.Sightings})
		if again && kindOf(err) == activities.StaleCustomer {
			customer = nil
			continue
		}
		return result, err
	}
}

// kindOf is the kind of the fault with which a step ended.
func kindOf(err error) activities.Kind {
	var fault *temporal.ApplicationError
	if errors.As(err, &fault) {
		return activities.Kind(fault.Type())
	}
	return ""
}

func (w *world) mustPass(order string) activities.BringOrderResult {
	w.t.Helper()
	result, err := w.pass(order)
	require.NoError(w.t, err)
	return result
}

// shirtOrder is an order of two shirts at 20.00 and a mug at 9.99 with a discount, tax and shipping.
func (w *world) shirtOrder(currency domain.Currency, contact string) ghlbox.Order {
	w.t.Helper()
	shirt := w.ghl.AddProduct(ghlbox.Product{Name: "Shirt"})
	large := w.ghl.AddPrice(ghlbox.Price{ProductID: shirt, Name: "Large", Amount: domain.NewMoney(2000, currency)})
	mug := w.ghl.AddProduct(ghlbox.Product{Name: "Mug"})
	blue := w.ghl.AddPrice(ghlbox.Price{ProductID: mug, Name: "Blue", Amount: domain.NewMoney(999, currency)})
	order, err := w.ghl.PlaceOrder(ghlbox.NewOrder{
		ContactID: contact, Currency: currency, Lines: []ghlbox.NewLine{{PriceID: large, Qty: 2}, {PriceID: blue, Qty: 1}},
		Discount: domain.NewMoney(500, currency), CouponCode: "SPRING", Shipping: domain.NewMoney(450, currency),
	})
	require.NoError(w.t, err)
	return order
}

func (w *world) customer() string {
	return w.ghl.AddContact(ghlbox.Contact{FirstName: "Ada", LastName: "Byron", Email: "ada@example.com", Country: "GB"})
}

func (w *world) pay(order string, amount domain.Money) ghlbox.Transaction {
	w.t.Helper()
	t, err := w.ghl.TakePayment(order, ghlbox.NewPayment{Amount: amount})
	require.NoError(w.t, err)
	return t
}

// twin is what a create leaves that landed long after it was given up: a second order of the same identity, by us.
func (w *world) twin(of sagebox.Order) {
	w.t.Helper()
	client, _, err := w.write.Client(w.t.Context(), "")
	require.NoError(w.t, err)
	ext, reference := of.Text("extId"), of.Text("reference")
	branch, rep, status := of.Int("branchId"), of.Int("salesRepId"), w.sage.Find("salesorderStatuses", "Open")
	_, err = client.Orders.Create(w.t.Context(), sage.OrderFields{
		ExtID: &ext, Reference: &reference, BranchID: &branch, SalesRepID: &rep, StatusID: &status,
	})
	require.NoError(w.t, err)
}

// faultIn is the fault with which a step ended.
func faultIn(t testing.TB, err error) *temporal.ApplicationError {
	t.Helper()
	var fault *temporal.ApplicationError
	require.ErrorAs(t, err, &fault)
	return fault
}

// breakRow lets HighLevel list an order with an amount that is none.
func (w *world) breakRow(order string) {
	amount := regexp.MustCompile(`"amount":[^,}]*`)
	w.wire.rewrite = func(body []byte) []byte {
		at := bytes.Index(body, []byte(`"`+order+`"`))
		if at < 0 {
			return body
		}
		start := bytes.LastIndexByte(body[:at], '{')
		row := amount.FindIndex(body[start:])
		return slices.Concat(body[:start+row[0]], []byte(`"amount":"much"`), body[start+row[1]:])
	}
}
