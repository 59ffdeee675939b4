package activities_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
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
}

// looks remembers the hints that sweeps hand out.
type looks struct{ orders, invoices []string }

func (l *looks) LookAtOrder(_ context.Context, _, order, _ string) error {
	l.orders = append(l.orders, order)
	return nil
}

func (l *looks) LookAtInvoice(_ context.Context, _, invoice, _ string) error {
	l.invoices = append(l.invoices, invoice)
	return nil
}

type worldOptions struct {
	ghl  ghlbox.Options
	sage sagebox.Options
}

func newWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	w := &world{t: t, faults: faults.NewPlan(1, faults.None), looks: &looks{}, settings: activities.SageSettings{
		SalesRepID: 51, FieldPrefix: sage.ExtraPrefix, Settle: 50 * time.Millisecond,
	}}
	o.ghl.NoLimits, o.ghl.Faults, o.sage.Faults = true, w.faults, w.faults
	w.ghl, w.sage = ghlbox.New(o.ghl), sagebox.New(o.sage)
	require.NoError(t, w.ghl.Start())
	require.NoError(t, w.sage.Start())
	t.Cleanup(w.ghl.Close)
	t.Cleanup(w.sage.Close)
	var err error
	w.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "tallystick.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.store.Close()) })
	w.connect()
	return w
}

func (w *world) connect() {
	unlimited := transport.NewBucket(transport.BucketConfig{})
	from, err := ghl.New(ghl.Options{
		BaseURL: w.ghl.URL(), LocationID: w.ghl.Location(), TokenSource: ghl.StaticToken(w.ghl.Token()), Limiter: unlimited,
		Timeout: 5 * time.Second,
	})
	require.NoError(w.t, err)
	into, err := sage.New(sage.Options{
		BaseURL: w.sage.URL(), PublicKey: "sandbox-public", PrivateKey: "sandbox-secret", Limiter: unlimited,
		Timeout: 5 * time.Second,
	})
	require.NoError(w.t, err)
	w.read = &activities.GHL{
		Client: func(string) (*ghl.Client, error) { return from, nil }, Store: w.store, Look: w.looks,
	}
	w.write = &activities.Sage{
		Client: func(string) (*sage.Client, activities.SageSettings, error) { return into, w.settings, nil }, Store: w.store,
	}
	w.ledger = &activities.Ledger{Store: w.store, Look: w.looks, Overlap: time.Hour, RefundWindow: 24 * time.Hour}
}

// do runs one activity as Temporal would, and decodes its result.
func do[T any](w *world, fn, in any) (T, error) {
	w.t.Helper()
	var suite testsuite.WorkflowTestSuite
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

// pass is one pass over an order, as the workflow makes it.
func (w *world) pass(order string) (activities.BringOrderResult, error) {
	w.t.Helper()
	reading, err := do[activities.OrderReading](w, w.read.ReadOrder,
		activities.ReadOrderInput{Location: w.ghl.Location(), OrderID: order})
	if err != nil || reading.KeptOut != "" {
		return activities.BringOrderResult{Outcome: reading.KeptOut}, err
	}
	customer := reading.Customer
	if customer == nil {
		made, err := do[activities.CustomerRef](w, w.write.BringCustomer, activities.BringCustomerInput{
			Location: w.ghl.Location(), ExtID: reading.Sale.CustomerExtID(), Customer: reading.Sale.Customer,
		})
		if err != nil {
			return activities.BringOrderResult{}, err
		}
		customer = &made
	}
	return do[activities.BringOrderResult](w, w.write.BringOrder,
		activities.BringOrderInput{Sale: reading.Sale, Customer: *customer, Sightings: reading.Sightings})
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
