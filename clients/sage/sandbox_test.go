package sage_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/faults"
	tenant "github.com/tallystick/tallystick/sandbox/sage"
)

// start makes a tenant with faults on demand and a client of it.
func start(t *testing.T, options tenant.Options, change ...func(*sage.Options)) (*tenant.Server, *faults.Plan, *sage.Client) {
	t.Helper()
	plan := faults.NewPlan(1, faults.None)
	options.Faults = plan
	server := tenant.New(options)
	require.NoError(t, server.Start())
	t.Cleanup(server.Close)
	public, private := server.Keys()
	o := sage.Options{BaseURL: server.URL(), PublicKey: public, PrivateKey: private, Limiter: sage.NewLimiter(0, 0)}
	for _, f := range change {
		f(&o)
	}
	client, err := sage.New(o)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdle)
	return server, plan, client
}

// defaults are the ids that every order of the tenant needs.
func defaults(t *testing.T, c *sage.Client) (branch, rep, open, euro int64) {
	t.Helper()
	var err error
	branch, err = c.Catalog.Branch(t.Context(), "SAGE_BRANCH_ID")
	require.NoError(t, err)
	users, err := c.Catalog.Users(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, users)
	open, err = c.Catalog.OrderStatus(t.Context(), sage.Open, branch, "SAGE_ORDER_STATUS_OPEN")
	require.NoError(t, err)
	euro, err = c.Catalog.Currency(t.Context(), "EUR")
	require.NoError(t, err)
	return branch, users[0].ID, open, euro
}

func newOrder(t *testing.T, c *sage.Client, extID string) sage.OrderFields {
	t.Helper()
	branch, rep, open, euro := defaults(t, c)
	return sage.OrderFields{ExtID: &extID, Reference: new("INV-" + extID), BranchID: &branch, SalesRepID: &rep, StatusID: &open,
		CurrencyID: &euro, Total: new(domain.Number("150.10"))}
}

func TestSandboxAWholeOrder(t *testing.T) {
	server, _, c := start(t, tenant.Options{})
	ctx := t.Context()
	branch, rep, open, euro := defaults(t, c)
	_, err := c.Catalog.SalesRep(ctx, "SAGE_SALES_REP_ID")
	require.ErrorContains(t, err, "SAGE_SALES_REP_ID", "there are two users")
	won, err := c.Catalog.OrderStatus(ctx, sage.Won, branch, "SAGE_ORDER_STATUS_WON")
	require.NoError(t, err)

	account, err := c.Accounts.Create(ctx, sage.AccountFields{ExtID: new("ghl:contact:1"), Name: new("O'Brien & Söhne"), BranchID: &branch, SalesRepID: &rep})
	require.NoError(t, err)
	contact, err := c.Contacts.Create(ctx, sage.ContactFields{ExtID: new("ghl:contact:1"), AccountID: &account, FirstName: new("A"), LastName: new("B"),
		SalesRepID: &rep, Email: new("o'brien@example.com")})
	require.NoError(t, err)
	product, err := c.Products.Create(ctx, sage.ProductFields{ExtID: new("ghl:price:1"), Model: new("Course"), Price: new(domain.Number("75.05"))})
	require.NoError(t, err)
	paidAt := sage.At(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	extra := sage.ExtraFields{"Z_PaymentStatus": "paid", "Z_PaidAmount": domain.Number("150.10"), "Z_PaidAt": paidAt}
	order, err := c.Orders.Create(ctx, sage.OrderFields{ExtID: new("ghl:order:1"), Reference: new("INV-1"), AccountID: &account, ContactID: &contact,
		BranchID: &branch, SalesRepID: &rep, StatusID: &open, CurrencyID: &euro, Total: new(domain.Number("150.10")), Extra: extra})
	require.NoError(t, err)
	line, err := c.Lines.Create(ctx, sage.LineFields{OrderID: &order, ProductID: &product, Position: new(int64(1)), Quantity: new(int64(2)),
		Price: new(domain.Number("75.05")), Total: new(domain.Number("150.10"))})
	require.NoError(t, err)
	require.NoError(t, c.Orders.Update(ctx, order, sage.OrderFields{StatusID: &won}))

	found, err := c.Orders.FindByKeys(ctx, "ghl:order:1", "INV-1", "other")
	require.NoError(t, err)
	require.Len(t, found, 1)
	got := found[0]
	assert.Equal(t, won, got.StatusID.ID)
	assert.Equal(t, account, got.AccountID.ID)
	assert.True(t, got.Total.Equal("150.1"))
	for name, want := range extra {
		assert.True(t, got.Extra.Same(name, want), name)
	}
	assert.Equal(t, server.APIUser(), got.CreatedBy.ID)
	assert.Empty(t, got.Locked())

	lines, err := c.Lines.OfOrder(ctx, order)
	require.NoError(t, err)
	require.Len(t, lines, 1)
	assert.Equal(t, line, lines[0].ID)
	assert.True(t, lines[0].Price.Equal("75.05"))
	byMail, err := c.Contacts.Find(ctx, sage.And(sage.Eq("email", "o'brien@example.com"), sage.Eq("accountId.id", account)))
	require.NoError(t, err)
	require.Len(t, byMail, 1)
	read, err := c.Accounts.Get(ctx, account)
	require.NoError(t, err)
	assert.Equal(t, "O'Brien & Söhne", read.Name)
	schema, err := c.Catalog.OrderSchema(ctx)
	require.NoError(t, err)
	assert.True(t, schema.Fields["Z_PaidAmount"].Is("number"))
}

// TestSandboxOperationNames shows that what metrics are labelled with comes from a fixed set, whatever is asked.
func TestSandboxOperationNames(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := transport.NewMetrics(registry)
	require.NoError(t, err)
	_, _, c := start(t, tenant.Options{}, func(o *sage.Options) { o.Metrics = metrics })
	ctx := t.Context()
	id, err := c.Orders.Create(ctx, newOrder(t, c, "ghl:order:1"))
	require.NoError(t, err)
	_, err = c.Orders.Get(ctx, id)
	require.NoError(t, err)
	_, _, err = c.Orders.Lookup(ctx, id)
	require.NoError(t, err)
	_, err = c.Orders.FindByKeys(ctx, "ghl:order:1")
	require.NoError(t, err)
	require.NoError(t, c.Orders.Update(ctx, id, sage.OrderFields{Reference: new("b")}))
	_, err = c.Lines.OfOrder(ctx, id)
	require.NoError(t, err)
	require.NoError(t, c.Orders.Delete(ctx, id))
	_, err = c.Orders.Schema(ctx)
	require.NoError(t, err)
	for _, err := range c.ExtraFields(ctx, sage.ExtraOnOrders) {
		require.NoError(t, err)
	}

	families, err := registry.Gather()
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "operation" {
					seen[label.GetValue()] = true
				}
			}
		}
	}
	assert.Equal(t, []string{"sage.branches.list", "sage.currencies.list", "sage.extrafields.list", "sage.login",
		"sage.salesorders.create", "sage.salesorders.delete", "sage.salesorders.find", "sage.salesorders.get",
		"sage.salesorders.lookup", "sage.salesorders.schema", "sage.salesorders.update", "sage.salesorderslines.find",
		"sage.salesorderstatuses.list", "sage.users.list"}, slices.Sorted(maps.Keys(seen)))
}

func TestSandboxSessionsEndInMidRun(t *testing.T) {
	server, plan, c := start(t, tenant.Options{})
	fields := newOrder(t, c, "ghl:order:1")
	_, err := c.Orders.Create(t.Context(), fields)
	require.NoError(t, err)
	server.EndSessions()
	server.ResetCalls()
	fields.ExtID = new("ghl:order:2")
	_, err = c.Orders.Create(t.Context(), fields)
	require.NoError(t, err)
	assert.Equal(t, 1, server.CallCount("sage.login"))
	plan.Next("sage.salesorders.list", faults.Fault{Kind: faults.StaleToken})
	match, err := c.Orders.FindByExtID(t.Context(), "ghl:order:2")
	require.NoError(t, err)
	assert.NotNil(t, match.Live)
	assert.Len(t, server.Orders(), 2)
}

func TestSandboxAStormOf401sMakesOneLogin(t *testing.T) {
	server, _, c := start(t, tenant.Options{})
	id, err := c.Products.Create(t.Context(), sage.ProductFields{Model: new("a")})
	require.NoError(t, err)
	server.EndSessions()
	server.ResetCalls()
	const callers = 50
	results := make(chan error, callers)
	var gate sync.WaitGroup
	gate.Add(1)
	for range callers {
		go func() {
			gate.Wait()
			_, err := c.Products.Get(t.Context(), id)
			results <- err
		}()
	}
	gate.Done()
	for range callers {
		require.NoError(t, <-results)
	}
	assert.Equal(t, 1, server.CallCount("sage.login"))
}

func TestSandboxPagesOfDeletedRows(t *testing.T) {
	_, _, c := start(t, tenant.Options{})
	ctx := t.Context()
	var ids []int64
	for i := range 120 {
		id, err := c.Products.Create(ctx, sage.ProductFields{Model: new(fmt.Sprintf("Product %d", i))})
		require.NoError(t, err)
		ids = append(ids, id)
	}
	for _, id := range ids[10:110] {
		require.NoError(t, c.Products.Delete(ctx, id))
	}
	live, deleted := 0, 0
	for product, err := range c.Products.List(ctx, sage.ListOptions{}) {
		require.NoError(t, err)
		if product.Deleted {
			deleted++
		} else {
			live++
		}
	}
	assert.Equal(t, 20, live)
	assert.Equal(t, 100, deleted)
	rows, err := c.Products.Find(ctx, sage.Eq("deleted", false))
	require.NoError(t, err)
	assert.Len(t, rows, 20)
}

func TestSandboxAnUnknownOutcomeIsLookedUp(t *testing.T) {
	for kind, stored := range map[faults.Kind]bool{
		faults.CutAfter: true, faults.TruncatedJSON: true, faults.CutBefore: false, faults.HTMLPage: false, faults.Status: false,
	} {
		server, plan, c := start(t, tenant.Options{})
		fields := newOrder(t, c, "ghl:order:1")
		plan.Next("sage.salesorders.create", faults.Fault{Kind: kind})
		_, err := c.Orders.Create(t.Context(), fields)
		require.Error(t, err, kind)
		assert.True(t, transport.MayHaveLanded(err), "%s: %v", kind, err)
		assert.Equal(t, 1, server.CallCount("sage.salesorders.create"), "%s: sent once", kind)
		match, err := c.Orders.FindByExtID(t.Context(), "ghl:order:1")
		require.NoError(t, err, kind)
		assert.Equal(t, stored, match.Live != nil, kind)
	}
}

func TestSandboxAnAnswerThatComesTooLate(t *testing.T) {
	_, plan, c := start(t, tenant.Options{}, func(o *sage.Options) { o.Timeout = 100 * time.Millisecond })
	fields := newOrder(t, c, "ghl:order:1")
	plan.Next("sage.salesorders.create", faults.Fault{Kind: faults.AnswerLate, Delay: time.Minute})
	_, err := c.Orders.Create(t.Context(), fields)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.True(t, transport.MayHaveLanded(err))
	match, err := c.Orders.FindByExtID(t.Context(), "ghl:order:1")
	require.NoError(t, err)
	assert.NotNil(t, match.Live)
}

func TestSandboxDuplicatesAndDeletedOnes(t *testing.T) {
	_, _, c := start(t, tenant.Options{})
	ctx := t.Context()
	var ids []int64
	for range 4 {
		id, err := c.Orders.Create(ctx, newOrder(t, c, "ghl:order:1"))
		require.NoError(t, err, "sage accepts an external id twice")
		ids = append(ids, id)
	}
	require.NoError(t, c.Orders.Delete(ctx, ids[0]))
	_, err := c.Orders.Create(ctx, newOrder(t, c, "GHL:ORDER:1"))
	require.NoError(t, err)
	match, err := c.Orders.FindByExtID(ctx, "ghl:order:1")
	require.NoError(t, err)
	require.NotNil(t, match.Live)
	assert.Equal(t, ids[1], match.Live.ID)
	require.Len(t, match.Duplicates, 2)
	assert.Equal(t, ids[2], match.Duplicates[0].ID)
	assert.Equal(t, ids[3], match.Duplicates[1].ID)
	assert.Equal(t, ids[:1], match.Deleted)
}

func TestSandboxRefusals(t *testing.T) {
	server, plan, c := start(t, tenant.Options{})
	ctx := t.Context()
	_, err := c.Orders.Get(ctx, 999_999)
	assert.True(t, sage.MaybeNotFound(err), "%v", err)
	_, found, err := c.Orders.Lookup(ctx, 999_999)
	require.NoError(t, err)
	assert.False(t, found)
	assert.True(t, sage.MaybeNotFound(c.Orders.Update(ctx, 999_999, sage.OrderFields{Reference: new("a")})))

	_, err = c.Products.Create(ctx, sage.ProductFields{ExtID: new("ghl:price:1")})
	require.True(t, transport.IsStatus(err, 400), "%v", err)
	assert.False(t, transport.MayHaveLanded(err))
	assert.False(t, sage.MaybeNotFound(err))

	id, err := c.Orders.Create(ctx, newOrder(t, c, "ghl:order:1"))
	require.NoError(t, err)
	require.NoError(t, server.PeopleUpdate("salesorders", id, map[string]any{"blocked": true}))
	order, err := c.Orders.Get(ctx, id)
	require.NoError(t, err)
	assert.Equal(t, "blocked", order.Locked())

	plan.Next("sage.salesorders.get", faults.Fault{Kind: faults.Throttle, RetryAfter: faults.RetryAfterSeconds, Delay: 40 * time.Second})
	_, err = c.Orders.Get(ctx, id)
	require.True(t, transport.IsStatus(err, 429))
	assert.Equal(t, 40*time.Second, transport.RetryAfter(err))
	_, err = c.Orders.Get(ctx, id)
	require.ErrorIs(t, err, transport.ErrLimited, "so long a wait is handed back to the caller")
}

func TestSandboxTheLimitIsNeverOverrun(t *testing.T) {
	server, _, c := start(t, tenant.Options{RequestsPerSecond: 40}, func(o *sage.Options) { o.Limiter = sage.NewLimiter(39, 0) })
	results := make(chan error, 60)
	for range 60 {
		go func() {
			_, err := c.Products.Find(t.Context(), sage.Eq("extId", "ghl:price:1"))
			results <- err
		}()
	}
	for range 60 {
		require.NoError(t, <-results)
	}
	assert.Zero(t, server.Throttled())
}

func TestSandboxExtraFieldsAreMadeOnRequest(t *testing.T) {
	_, _, c := start(t, tenant.Options{ExtraFields: []tenant.ExtraField{}})
	ctx := t.Context()
	schema, err := c.Catalog.OrderSchema(ctx)
	require.NoError(t, err)
	assert.Empty(t, schema.Extra())
	_, err = c.CreateExtraField(ctx, sage.ExtraOnOrders, sage.NewExtraField{Name: "Z_PaidAmount", Type: sage.ExtraDecimal, Label: "Paid"})
	require.NoError(t, err)
	c.Catalog.Forget()
	schema, err = c.Catalog.OrderSchema(ctx)
	require.NoError(t, err)
	require.Len(t, schema.Extra(), 1)
	assert.Equal(t, "Z_PaidAmount", schema.Extra()[0].Name)
	var names []string
	for field, err := range c.ExtraFields(ctx, sage.ExtraOnOrders) {
		require.NoError(t, err)
		names = append(names, field.Name())
	}
	assert.Equal(t, []string{"Z_PaidAmount"}, names)
}
