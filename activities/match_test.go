package activities_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
)

// invoiceOrder is a paid order that came from an invoice.
func (w *world) invoiceOrder(number, contact string) ghlbox.Order {
	w.t.Helper()
	like := w.shirtOrder("EUR", contact)
	order, err := w.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: contact, Currency: "EUR", InvoiceNumber: number,
		Lines: []ghlbox.NewLine{{PriceID: like.Items[0].Price.ID, Qty: 1}}})
	require.NoError(w.t, err)
	w.pay(order.ID, domain.Money{})
	return order
}

func TestAnOrderMadeByHandIsFound(t *testing.T) {
	open := func(w *world) map[string]any { // what the option asks for
		w.settings.MatchOpenWithin = 48 * time.Hour
		return map[string]any{"accountId": w.theirAccount(), "total": 20}
	}
	for name, c := range map[string]struct {
		reference string
		fields    func(w *world) map[string]any
		outcome   activities.Outcome
		kind      activities.Kind
	}{
		"by the order's id":                      {"order", nil, activities.Adopted, ""},
		"by the invoice's number, same total":    {"INV-7", func(*world) map[string]any { return map[string]any{"total": 20} }, activities.Adopted, ""},
		"by the invoice's number, same customer": {"INV-7", func(w *world) map[string]any { return map[string]any{"accountId": w.theirAccount()} }, activities.Adopted, ""},
		"the invoice's number by chance":         {"INV-7", func(*world) map[string]any { return map[string]any{"total": 21} }, activities.Created, ""},
		"the one open order":                     {"PO 9", open, activities.Adopted, ""},
		"an open order, without the option":      {"PO 9", func(w *world) map[string]any { m := open(w); w.settings.MatchOpenWithin = 0; return m }, activities.Created, ""},
		"an open order of another total":         {"PO 9", func(w *world) map[string]any { m := open(w); m["total"] = 21; return m }, activities.Created, ""},
		"an order that is won already": {"PO 9", func(w *world) map[string]any {
			m := open(w)
			m["statusId"] = w.sage.Find("salesorderStatuses", "Won")
			return m
		}, activities.Created, ""},
		"an order of another sale":                {"order", func(*world) map[string]any { return map[string]any{"extId": "ghl:order:another"} }, activities.Created, ""},
		"an order of another system":              {"order", func(*world) map[string]any { return map[string]any{"extId": "shop:1"} }, "", activities.Conflict},
		"one that may not be written":             {"order", func(*world) map[string]any { return map[string]any{"blocked": true} }, "", activities.Conflict},
		"one in another currency":                 {"order", func(w *world) map[string]any { return map[string]any{"currencyId": w.sage.Find("currencies", "USD")} }, "", activities.Conflict},
		"one without a currency takes the sale's": {"order", func(*world) map[string]any { return map[string]any{"currencyId": nil} }, activities.Adopted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			order := w.invoiceOrder("INV-7", w.customer())
			reference, fields := c.reference, map[string]any{}
			if reference == "order" {
				reference = order.ID
			}
			if c.fields != nil {
				fields = c.fields(w)
			}
			id := w.handMade(reference, fields, 0)
			result, err := w.pass(order.ID)
			require.Equal(t, c.kind, kindOf(err), err)
			if c.kind != "" {
				require.Empty(t, w.sage.OrdersByExtID(domain.OrderExtID(order.ID)))
				return
			}
			require.Equal(t, c.outcome, result.Outcome)
			require.Equal(t, c.outcome == activities.Adopted, result.SageID == id)
			got := w.booked(order.ID)
			require.Equal(t, "EUR", got.Currency)
			require.True(t, got.Won)
			w.addsUp(got)
			w.nothingMore(order.ID)
		})
	}
}

// theirAccount is an account that people made for the one customer.
func (w *world) theirAccount() int64 {
	w.t.Helper()
	id, err := w.sage.PeopleCreate("accounts", map[string]any{"name": "Byron & Co", "email": "ADA@example.com",
		"branchId": w.sage.Find("branches", "Main branch"), "salesRepId1": w.sage.Person()})
	require.NoError(w.t, err)
	return id
}

func TestSeveralCandidatesWaitForAPerson(t *testing.T) {
	for name, decide := range map[string]func(first, second int64) int64{
		"the second": func(_, second int64) int64 { return second },
		"a new one":  func(int64, int64) int64 { return 0 },
		"one that is not": func(int64, int64) int64 {
			return 1 << 40
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			order := w.invoiceOrder("INV-7", w.customer())
			first, second := w.handMade(order.ID, nil, 1), w.handMade(order.ID, nil, 1)
			w.sage.ResetWrites()
			_, err := w.pass(order.ID)
			require.Equal(t, activities.Conflict, kindOf(err))
			var details activities.FaultDetails
			require.NoError(t, faultIn(t, err).Details(&details))
			require.Equal(t, []int64{first, second}, details.Candidates)
			for _, write := range w.sage.Writes() {
				require.NotContains(t, write.Op, "salesorder")
			}
			chosen := decide(first, second)
			require.NoError(t, w.store.Decide(t.Context(), store.Decision{
				Location: w.ghl.Location(), OrderID: order.ID, SageID: chosen, DecidedAt: time.Now(), Actor: "operator"}))
			result, err := w.pass(order.ID)
			switch chosen {
			case 1 << 40:
				require.Equal(t, activities.Conflict, kindOf(err))
				return
			case 0:
				require.Equal(t, activities.Created, result.Outcome)
				require.NotContains(t, []int64{first, second}, result.SageID)
			default:
				require.Equal(t, activities.Adopted, result.Outcome)
				require.Equal(t, chosen, result.SageID)
			}
			require.NoError(t, err)
			w.nothingMore(order.ID)
		})
	}
}

func TestAnAdoptedOrdersLinesArePeoples(t *testing.T) {
	for name, c := range map[string]struct {
		lines         int
		replace, lost bool
		words         []string
	}{
		"kept":                            {lines: 2, words: []string{"by hand 1", "by hand 2"}},
		"kept, though the ledger is lost": {lines: 2, lost: true, words: []string{"by hand 1", "by hand 2"}},
		"replaced":                        {lines: 2, replace: true, words: []string{"Shirt - Large", "Mug - Blue", "Shipping"}},
		"there were none":                 {words: []string{"Shirt - Large", "Mug - Blue", "Shipping"}},
		"there were none, ledger lost":    {lost: true, words: []string{"Shirt - Large", "Mug - Blue", "Shipping"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			w.settings.ReplaceAdoptedLines = c.replace
			order := w.madeByHand(c.lines)
			require.Equal(t, activities.Adopted, w.mustPass(order).Outcome)
			for range 2 {
				if c.lost {
					w.loseLedger()
				}
				w.nothingMore(order)
				got := w.booked(order)
				var words []string
				for _, line := range got.Lines {
					words = append(words, line.Text("description"))
				}
				require.Equal(t, c.words, words)
				require.Contains(t, got.Text("internalComment"), "call before delivery\n")
				require.NoError(t, w.ghl.Refund(w.ghl.Payments(order)[0].ID, domain.NewMoney(100, "EUR")))
				require.Equal(t, activities.Updated, w.mustPass(order).Outcome)
			}
		})
	}
}

func TestTwoSalesDoNotTakeOneOrder(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.settings.MatchOpenWithin = 48 * time.Hour
	contact := w.customer()
	hand := w.handMade("PO 9", map[string]any{"accountId": w.theirAccount(), "total": 20}, 1)
	one, two := w.invoiceOrder("", contact), w.invoiceOrder("", contact)
	require.NoError(t, w.together(one.ID, two.ID))
	first, second := w.booked(one.ID), w.booked(two.ID)
	require.NotEqual(t, first.ID, second.ID)
	require.Contains(t, []int64{first.ID, second.ID}, hand)
	w.nothingMore(one.ID)
	w.nothingMore(two.ID)
}

func TestAnOrderGivenToAnotherSaleIsNotTakenBack(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.paidOrder()
	given := w.booked(order.ID).ID
	require.NoError(t, w.sage.PeopleUpdate("salesorders", given, map[string]any{"extId": "ghl:order:another"}))
	require.Equal(t, activities.Created, w.mustPass(order.ID).Outcome)
	require.NotEqual(t, given, w.booked(order.ID).ID)
	require.Len(t, w.sage.OrdersByExtID("ghl:order:another"), 1)
}

// together carries out passes over several orders at once, each under its own workflow id as claims know them.
func (w *world) together(orders ...string) error {
	var all errgroup.Group
	for _, order := range orders {
		all.Go(func() error {
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
			env := suite.NewTestWorkflowEnvironment()
			env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "payment-to-order/" + order})
			env.SetTestTimeout(time.Minute)
			env.RegisterActivity(w.read)
			env.RegisterActivity(w.write)
			env.ExecuteWorkflow(func(ctx workflow.Context) error {
				ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
				var reading activities.OrderReading
				if err := workflow.ExecuteActivity(ctx, w.read.ReadOrder, activities.ReadOrderInput{
					Location: w.ghl.Location(), OrderID: order}).Get(ctx, &reading); err != nil {
					return err
				}
				var customer activities.CustomerRef
				if err := workflow.ExecuteActivity(ctx, w.write.BringCustomer, activities.BringCustomerInput{Location: w.ghl.Location(),
					ExtID: reading.Sale.CustomerExtID(), Customer: reading.Sale.Customer}).Get(ctx, &customer); err != nil {
					return err
				}
				return workflow.ExecuteActivity(ctx, w.write.BringOrder, activities.BringOrderInput{Sale: reading.Sale,
					Customer: customer}).Get(ctx, nil)
			})
			return env.GetWorkflowError()
		})
	}
	return all.Wait()
}

func TestManyOrdersOfOneNewCustomerMakeOneOfEach(t *testing.T) {
	w := newWorld(t, worldOptions{})
	contact := w.customer()
	first := w.shirtOrder("EUR", contact)
	w.pay(first.ID, domain.Money{})
	orders := []string{first.ID}
	for range 5 {
		order, err := w.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: contact, Currency: "EUR", Lines: []ghlbox.NewLine{
			{PriceID: first.Items[0].Price.ID, Qty: 1}, {PriceID: first.Items[1].Price.ID, Qty: 1}}})
		require.NoError(t, err)
		w.pay(order.ID, domain.Money{})
		orders = append(orders, order.ID)
	}
	require.NoError(t, w.together(orders...))
	require.Len(t, w.sage.Live("accounts"), 1)
	require.Len(t, w.sage.Live("contacts"), 1)
	require.Len(t, w.sage.Live("products"), 3)
	require.Len(t, w.sage.Orders(), 6)
}

func TestAClaimThatItsHolderNeverGivesBackLapses(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.shirtOrder("EUR", w.customer())
	w.pay(order.ID, domain.Money{})
	key := domain.ContactExtID(order.ContactID)
	claim := func(life time.Duration) {
		taken, err := w.store.Claim(context.Background(), w.ghl.Location(), "a process that died", life, key)
		require.NoError(t, err)
		require.True(t, taken)
	}
	claim(time.Hour)
	_, err := w.pass(order.ID)
	require.Equal(t, activities.Busy, kindOf(err))
	require.Empty(t, w.sage.Live("accounts"))
	require.NoError(t, w.store.Release(t.Context(), w.ghl.Location(), "a process that died", key))
	claim(-time.Second)
	require.Equal(t, activities.Created, w.mustPass(order.ID).Outcome)
}
