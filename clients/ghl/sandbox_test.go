package ghl_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/faults"
	vendor "github.com/tallystick/tallystick/sandbox/ghl"
)

func start(t *testing.T, options vendor.Options, change ...func(*ghl.Options)) (*vendor.Server, *faults.Plan, *ghl.Client) {
	t.Helper()
	plan := faults.NewPlan(1, faults.None)
	options.Faults = plan
	server := vendor.New(options)
	require.NoError(t, server.Start())
	t.Cleanup(server.Close)
	o := ghl.Options{
		BaseURL: server.URL(), LocationID: server.Location(), Credentials: ghl.StaticToken(server.Token()), Limiter: ghl.NewLimiterAt(0, 0),
	}
	for _, f := range change {
		f(&o)
	}
	client, err := ghl.New(o)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdle)
	return server, plan, client
}

// sale places an order of two pieces and pays it.
func sale(t *testing.T, server *vendor.Server, order vendor.NewOrder) (orderID, transactionID string) {
	t.Helper()
	product := server.AddProduct(vendor.Product{Name: "Tee", Type: "PHYSICAL"})
	price := server.AddPrice(vendor.Price{ProductID: product, Name: "XL", Amount: domain.NewMoney(1705, "EUR")})
	order.ContactID = server.AddContact(vendor.Contact{FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.com"})
	order.Currency = "EUR"
	order.Lines = []vendor.NewLine{{PriceID: price, Qty: 2}}
	placed, err := server.PlaceOrder(order)
	require.NoError(t, err)
	paid, err := server.TakePayment(placed.ID, vendor.NewPayment{})
	require.NoError(t, err)
	return placed.ID, paid.ID
}

func TestASaleIsReadAsItHappened(t *testing.T) {
	for name, options := range map[string]vendor.Options{
		"as a rule": {}, "wrapped lists": {WrapLists: true}, "quoted amounts": {QuotedAmounts: true}, "plain summary": {PlainSummary: true},
	} {
		t.Run(name, func(t *testing.T) {
			server, _, client := start(t, options)
			orderID, transactionID := sale(t, server, vendor.NewOrder{InvoiceNumber: "INV-7"})
			require.NoError(t, server.Refund(transactionID, domain.NewMoney(1000, "EUR")))

			order, err := client.Orders.Get(t.Context(), orderID)
			require.NoError(t, err)
			require.True(t, order.Amount.Equal("34.10"))
			require.Equal(t, "completed", order.Status)
			require.Equal(t, "ada@example.com", order.Contact.Email)
			require.Len(t, order.Items, 1)
			require.True(t, order.Items[0].Quantity.Equal("2"))
			require.True(t, order.Items[0].Price.Amount.Equal("17.05"))
			require.Equal(t, "invoice", order.Source.Type)

			invoice, err := client.Invoices.Get(t.Context(), order.Source.ID)
			require.NoError(t, err)
			require.Equal(t, "INV-7", invoice.Number)

			contact, err := client.Contacts.Get(t.Context(), order.ContactID)
			require.NoError(t, err)
			require.Equal(t, "Ada Lovelace", contact.Name)

			page, err := client.Transactions.Page(t.Context(), ghl.TransactionFilter{EntityID: orderID}, ghl.Cursor{})
			require.NoError(t, err)
			require.True(t, page.Done)
			require.Len(t, page.Rows, 1)
			require.Equal(t, transactionID, page.Rows[0].ID)
			require.True(t, page.Rows[0].AmountRefunded.Equal("10"))

			transaction, err := client.Transactions.Get(t.Context(), transactionID)
			require.NoError(t, err)
			require.Equal(t, page.Rows[0].Source, transaction.Source, "list row and detail have one shape")
			require.True(t, page.Rows[0].Amount.Equal(transaction.Amount))

			rows := 0
			for row, err := range client.Orders.All(t.Context(), ghl.OrderFilter{From: time.Now(), To: time.Now()}) {
				require.NoError(t, err)
				require.Equal(t, order.Source, row.Source)
				require.Equal(t, order.Contact.Email, row.Contact.Email)
				rows++
			}
			require.Equal(t, 1, rows)
		})
	}
}

func TestAllPagesOfManyTransactions(t *testing.T) {
	server, _, client := start(t, vendor.Options{NoLimits: true})
	want := map[string]bool{}
	for range 230 {
		_, id := sale(t, server, vendor.NewOrder{})
		want[id] = true
	}
	for row, err := range client.Transactions.All(t.Context(), ghl.TransactionFilter{PaymentMode: "live"}) {
		require.NoError(t, err)
		require.True(t, want[row.ID], "no row twice, none invented")
		delete(want, row.ID)
	}
	require.Empty(t, want)
}

func TestWhatIsMissingOrForbiddenIsTold(t *testing.T) {
	_, _, client := start(t, vendor.Options{})
	_, err := client.Orders.Get(t.Context(), "000000000000000000000000")
	require.True(t, ghl.IsNotFound(err), "%v", err)
	_, err = client.Transactions.Get(t.Context(), "000000000000000000000000")
	require.True(t, ghl.IsNotFound(err), "%v", err)
	_, err = client.Invoices.Get(t.Context(), "000000000000000000000000")
	require.True(t, ghl.IsNotFound(err), "%v", err)
	_, err = client.Contacts.Get(t.Context(), "00000000000000000000")
	require.True(t, ghl.IsNotFound(err), "%v", err)

	_, _, stranger := start(t, vendor.Options{}, func(o *ghl.Options) { o.Credentials = ghl.StaticToken("pit-wrong") })
	_, err = stranger.Orders.Get(t.Context(), "1")
	require.True(t, ghl.IsTokenInvalid(err), "%v", err)
	_, _, elsewhere := start(t, vendor.Options{}, func(o *ghl.Options) { o.LocationID = "another" })
	_, err = elsewhere.Orders.Get(t.Context(), "1")
	require.True(t, ghl.IsWrongLocation(err), "%v", err)
}

func TestFaultsOfTheLineAreErrors(t *testing.T) {
	server, plan, client := start(t, vendor.Options{}, func(o *ghl.Options) {
		o.Timeout = 5 * time.Second
		o.Limiter = nothing{ghl.NewLimiterAt(0, 0)}
	})
	orderID, _ := sale(t, server, vendor.NewOrder{})
	for _, c := range []struct {
		fault faults.Fault
		check func(error) bool
	}{
		{faults.Fault{Kind: faults.CutBefore}, is(transport.ErrNoAnswer)},
		{faults.Fault{Kind: faults.CutAfter}, is(transport.ErrNoAnswer)},
		{faults.Fault{Kind: faults.TruncatedJSON}, func(err error) bool { return is(transport.ErrUnreadable)(err) || is(transport.ErrNoAnswer)(err) }},
		{faults.Fault{Kind: faults.HTMLPage}, func(err error) bool { return transport.IsStatus(err, 502) && !ghl.IsNotFound(err) }},
		{faults.Fault{Kind: faults.HTMLPage, Status: 404}, func(err error) bool { return transport.IsStatus(err, 404) && !ghl.IsNotFound(err) }},
		{faults.Fault{Kind: faults.Status, Status: 500}, func(err error) bool { return transport.IsStatus(err, 500) }},
		{faults.Fault{Kind: faults.Throttle, RetryAfter: faults.RetryAfterSeconds, Delay: 3 * time.Second},
			func(err error) bool { return transport.RetryAfter(err) == 3*time.Second }},
		{faults.Fault{Kind: faults.Throttle}, func(err error) bool { return transport.RetryAfter(err) == 10*time.Second }},
	} {
		// A reused connection that is cut is dialled again by the standard library, for a read; a fresh one is not.
		client.CloseIdle()
		plan.Next("ghl.orders.get", c.fault, c.fault)
		_, err := client.Orders.Get(t.Context(), orderID)
		require.Error(t, err, "%+v", c.fault)
		require.True(t, c.check(err), "%+v: %v", c.fault, err)
		require.False(t, transport.MayHaveLanded(err))
		plan.Clear()
	}
	_, err := client.Orders.Get(t.Context(), orderID)
	require.NoError(t, err)
}

// nothing is a limiter that obeys no answer, so that one test can go through several throttles.
type nothing struct{ transport.Limiter }

// Observe implements transport.Limiter.
func (nothing) Observe(int, http.Header) {}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func TestTheHeadersKeepAnImpatientClientInsideTheLimit(t *testing.T) {
	server, _, client := start(t, vendor.Options{Limits: vendor.Limits{Burst: 10, Interval: 200 * time.Millisecond, Daily: 45}})
	for range 45 {
		_, err := client.Orders.Page(t.Context(), ghl.OrderFilter{}, ghl.Cursor{})
		require.NoError(t, err)
	}
	require.Zero(t, server.Throttled())

	_, err := client.Orders.Page(t.Context(), ghl.OrderFilter{}, ghl.Cursor{})
	require.ErrorIs(t, err, transport.ErrLimited, "the day's quota is spent")
	require.Positive(t, transport.RetryAfter(err))
	require.Equal(t, 45, server.CallCount("ghl."), "the last call did not leave")
}
