package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
)

// booked is the one Sage order of a sale.
func (w *world) booked(order string) sagebox.Order {
	w.t.Helper()
	found := w.sage.OrdersByExtID(domain.OrderExtID(order))
	require.Len(w.t, found, 1)
	return found[0]
}

// paidOrder is an order that is paid and in the books.
func (w *world) paidOrder() ghlbox.Order {
	w.t.Helper()
	order := w.shirtOrder("EUR", w.customer())
	w.pay(order.ID, domain.Money{})
	require.Equal(w.t, activities.Created, w.mustPass(order.ID).Outcome)
	return order
}

// addsUp wants the lines of an order to make its total.
func (w *world) addsUp(order sagebox.Order) {
	w.t.Helper()
	currency := domain.Currency(order.Currency)
	total, err := domain.ParseMoney(order.Number("total"), currency)
	require.NoError(w.t, err)
	sum := domain.NewMoney(0, currency)
	for _, line := range order.Lines {
		amount, err := domain.ParseMoney(line.Number("total"), currency)
		require.NoError(w.t, err)
		sum.Minor += amount.Minor
	}
	require.Equal(w.t, total, sum)
}

func TestAKnownCustomersOrderCostsFewCalls(t *testing.T) {
	w := newWorld(t, worldOptions{})
	contact := w.customer()
	first := w.shirtOrder("EUR", contact)
	w.pay(first.ID, domain.Money{})
	w.mustPass(first.ID)

	lines := []ghlbox.NewLine{{PriceID: first.Items[0].Price.ID, Qty: 1}, {PriceID: first.Items[1].Price.ID, Qty: 3}}
	second, err := w.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: contact, Currency: "EUR", Lines: lines})
	require.NoError(t, err)
	w.pay(second.ID, domain.Money{})
	w.sage.ResetCalls()
	w.ghl.ResetCalls()
	require.Equal(t, activities.Created, w.mustPass(second.ID).Outcome)
	require.LessOrEqual(t, w.ghl.CallCount("ghl."), 2, w.ghl.Calls())
	require.LessOrEqual(t, w.sage.CallCount("sage."), 5+len(lines), w.sage.Calls())

	w.sage.ResetCalls()
	w.ghl.ResetCalls()
	w.sage.ResetWrites()
	require.Equal(t, activities.Unchanged, w.mustPass(second.ID).Outcome)
	require.LessOrEqual(t, w.ghl.CallCount("ghl."), 2, w.ghl.Calls())
	require.LessOrEqual(t, w.sage.CallCount("sage."), 1, w.sage.Calls())
	require.Empty(t, w.sage.Writes())
}

func TestTotalsAgreeInEveryCurrencyAndCharge(t *testing.T) {
	tax := func(how string, minor int64, c domain.Currency) []ghlbox.Tax {
		return []ghlbox.Tax{{ID: "tax", Name: "VAT", Calculation: how, Amount: domain.NewMoney(minor, c)}}
	}
	for name, c := range map[string]struct {
		currency           domain.Currency
		discount, shipping int64
		taxes              []ghlbox.Tax
		options            ghlbox.Options
		total              string
		lines              int
	}{
		"plain":                  {currency: "EUR", total: "49.99", lines: 2},
		"no decimals":            {currency: "JPY", discount: 1, shipping: 450, total: "5448", lines: 3},
		"three decimals":         {currency: "KWD", discount: 7, total: "4.992", lines: 2},
		"quoted amounts":         {currency: "EUR", discount: 1, total: "49.98", lines: 2, options: ghlbox.Options{QuotedAmounts: true}},
		"tax on top":             {currency: "EUR", taxes: tax("exclusive", 950, "EUR"), total: "59.49", lines: 3},
		"tax in the prices":      {currency: "EUR", taxes: tax("inclusive", 798, "EUR"), total: "49.99", lines: 2},
		"everything":             {currency: "EUR", discount: 333, shipping: 499, taxes: tax("exclusive", 887, "EUR"), total: "60.52", lines: 4},
		"nothing is itemised":    {currency: "EUR", shipping: 499, taxes: tax("exclusive", 1, "EUR"), total: "54.99", lines: 3, options: ghlbox.Options{PlainSummary: true}},
		"discounted to the last": {currency: "EUR", discount: 4998, total: "0.01", lines: 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, worldOptions{ghl: c.options})
			product := w.ghl.AddProduct(ghlbox.Product{Name: "Shirt"})
			large := w.ghl.AddPrice(ghlbox.Price{ProductID: product, Name: "L", Amount: domain.NewMoney(2000, c.currency)})
			small := w.ghl.AddPrice(ghlbox.Price{ProductID: product, Name: "S ", Amount: domain.NewMoney(999, c.currency)})
			order, err := w.ghl.PlaceOrder(ghlbox.NewOrder{
				ContactID: w.customer(), Currency: c.currency, Taxes: c.taxes, CouponCode: "SPRING",
				Lines:    []ghlbox.NewLine{{PriceID: large, Qty: 2}, {PriceID: small, Qty: 1}},
				Discount: domain.NewMoney(c.discount, c.currency), Shipping: domain.NewMoney(c.shipping, c.currency),
			})
			require.NoError(t, err)
			w.pay(order.ID, domain.Money{})
			require.Equal(t, activities.Created, w.mustPass(order.ID).Outcome)
			got := w.booked(order.ID)
			require.Equal(t, string(c.currency), got.Currency)
			require.Equal(t, c.total, got.Number("total").String())
			require.Equal(t, c.total, got.Number("Z_PaidAmount").String())
			require.Equal(t, "SPRING", got.Text("Z_CouponCode"))
			require.Len(t, got.Lines, c.lines)
			require.True(t, got.Won)
			w.addsUp(got)
			require.NotEqual(t, got.Lines[0].ProductExtID, got.Lines[1].ProductExtID, "each price is a product")
		})
	}
}

func TestPaymentsAreFollowed(t *testing.T) {
	type want struct {
		outcome                       activities.Outcome
		state, paid, refunded, status string
	}
	var transaction ghlbox.Transaction
	pay := func(minor int64) func(*world, string) {
		return func(w *world, order string) {
			if minor == 0 {
				transaction = w.pay(order, domain.Money{})
				return
			}
			transaction = w.pay(order, domain.NewMoney(minor, "EUR"))
		}
	}
	refund := func(minor int64) func(*world, string) {
		return func(w *world, _ string) {
			require.NoError(w.t, w.ghl.Refund(transaction.ID, domain.NewMoney(minor, "EUR")))
		}
	}
	pending := func(w *world, order string) {
		var err error
		transaction, err = w.ghl.TakePayment(order, ghlbox.NewPayment{Status: "pending"})
		require.NoError(w.t, err)
	}
	becomes := func(status string) func(*world, string) {
		return func(w *world, _ string) { require.NoError(w.t, w.ghl.SettlePayment(transaction.ID, status)) }
	}
	for name, c := range map[string]struct {
		refundedStatus bool
		steps          []func(*world, string)
		want           []want
	}{
		"in parts": {false, []func(*world, string){pay(1000), pay(0)}, []want{
			{activities.Created, "partially_paid", "10", "0", "Open"}, {activities.Updated, "paid", "49.49", "0", "Won"},
		}},
		"pending, then settled": {false, []func(*world, string){pending, becomes("succeeded")}, []want{
			{outcome: activities.NotDue}, {activities.Created, "paid", "49.49", "0", "Won"},
		}},
		"pending, then failed": {false, []func(*world, string){pending, becomes("failed")}, []want{
			{outcome: activities.NotDue}, {outcome: activities.NotDue},
		}},
		"settled, then failed": {false, []func(*world, string){pay(0), becomes("failed")}, []want{
			{activities.Created, "paid", "49.49", "0", "Won"}, {activities.Updated, "unpaid", "0", "0", "Open"},
		}},
		"refunded in part and in full": {false, []func(*world, string){pay(0), refund(900), refund(4049)}, []want{
			{activities.Created, "paid", "49.49", "0", "Won"}, {activities.Updated, "partially_refunded", "49.49", "9", "Won"},
			{activities.Updated, "refunded", "49.49", "49.49", "Won"},
		}},
		"refunded, with a status for it": {true, []func(*world, string){pay(0), refund(4949)}, []want{
			{activities.Created, "paid", "49.49", "0", "Won"}, {activities.Updated, "refunded", "49.49", "49.49", "Lost"},
		}},
		"refunded before it was seen": {false, []func(*world, string){func(w *world, order string) { pay(0)(w, order); refund(4949)(w, order) }}, []want{
			{activities.Created, "refunded", "49.49", "49.49", "Won"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			if c.refundedStatus {
				w.settings.RefundedStatus = w.sage.Find("salesorderStatuses", "Lost")
			}
			order := w.shirtOrder("EUR", w.customer())
			for i, step := range c.steps {
				step(w, order.ID)
				require.Equal(t, c.want[i].outcome, w.mustPass(order.ID).Outcome, i)
				if c.want[i].state == "" {
					require.Empty(t, w.sage.Orders())
					continue
				}
				got := w.booked(order.ID)
				require.Equal(t, c.want[i], want{c.want[i].outcome, got.Text("Z_PaymentStatus"), got.Number("Z_PaidAmount").String(),
					got.Number("Z_RefundedAmount").String(), got.Status}, i)
				w.addsUp(got)
				w.nothingMore(order.ID)
			}
		})
	}
}

func TestASecondPaymentMovesItsTimeEvenByAQuarterOfAnHour(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.shirtOrder("EUR", w.customer())
	at := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	for i, amount := range []domain.Money{domain.NewMoney(1000, "EUR"), {}} {
		_, err := w.ghl.TakePayment(order.ID, ghlbox.NewPayment{Amount: amount, At: at.Add(time.Duration(i) * 15 * time.Minute)})
		require.NoError(t, err)
		w.mustPass(order.ID)
	}
	require.Equal(t, at.Add(15*time.Minute), w.booked(order.ID).Time("Z_PaidAt"))
}

func TestTestOrdersStayOut(t *testing.T) {
	for name, change := range map[string]func(*ghlbox.NewOrder){
		"test mode":      func(o *ghlbox.NewOrder) { o.TestMode = true },
		"marked as test": func(o *ghlbox.NewOrder) { o.MarkAsTest = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			like := w.shirtOrder("EUR", w.customer())
			in := ghlbox.NewOrder{ContactID: like.ContactID, Currency: "EUR", Lines: []ghlbox.NewLine{{PriceID: like.Items[0].Price.ID, Qty: 1}}}
			change(&in)
			order, err := w.ghl.PlaceOrder(in)
			require.NoError(t, err)
			w.pay(order.ID, domain.Money{})
			require.Equal(t, activities.OtherMode, w.mustPass(order.ID).Outcome)
			require.Zero(t, w.sage.CallCount("sage."))
		})
	}
}

func TestAnEditedOrderIsFollowedAndPeoplesLinesStay(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.paidOrder()
	theirs := w.handLine(w.booked(order.ID).ID, 9, "engraving")
	w.edit(order.ID, func(o *ghlbox.Order) { o.Items[0].Qty, o.Items[1].Name = 5, "Mug, chipped" }, 5*2000+999-500+450)
	require.Equal(t, activities.Updated, w.mustPass(order.ID).Outcome)
	w.edit(order.ID, func(o *ghlbox.Order) { o.Items = append(o.Items, o.Items[1]) }, 5*2000+2*999-500+450)
	w.mustPass(order.ID)
	got := w.booked(order.ID)
	require.Equal(t, "partially_paid", got.Text("Z_PaymentStatus"))
	require.Equal(t, "Open", got.Status)
	require.Len(t, got.Lines, 5)
	w.edit(order.ID, func(o *ghlbox.Order) { o.Items = o.Items[:1] }, 5*2000-500+450)
	w.mustPass(order.ID)
	got = w.booked(order.ID)
	require.Len(t, got.Lines, 3, "one item, shipping, and what people added")
	require.Equal(t, theirs, got.Lines[2].ID)
	require.Equal(t, "99.5", got.Number("total").String())
}

func TestOlderNewsNeverOverwritesNewer(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.shirtOrder("EUR", w.customer())
	w.pay(order.ID, domain.NewMoney(1000, "EUR"))
	old, err := do[activities.OrderReading](w, w.read.ReadOrder, activities.ReadOrderInput{Location: w.ghl.Location(), OrderID: order.ID})
	require.NoError(t, err)
	w.pay(order.ID, domain.Money{})
	w.mustPass(order.ID)
	before := w.sage.Snapshot()
	late := activities.BringOrderInput{Sale: old.Sale, Customer: activities.CustomerRef{AccountID: 1, ContactID: 1}, Sightings: old.Sightings}
	late.Sale.UpdatedAt = late.Sale.UpdatedAt.Add(-time.Second)
	for i := range late.Sale.Payments {
		late.Sale.Payments[i].UpdatedAt = late.Sale.UpdatedAt
	}
	result, err := do[activities.BringOrderResult](w, w.write.BringOrder, late)
	require.NoError(t, err)
	require.Equal(t, activities.Outdated, result.Outcome)
	require.Equal(t, before, w.sage.Snapshot())
}

func TestAMoveThatCannotBeIsParked(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.paidOrder()
	record, _, err := w.store.Order(t.Context(), w.ghl.Location(), order.ID)
	require.NoError(t, err)
	record.State = domain.PartiallyRefunded
	require.NoError(t, w.store.RecordOrder(t.Context(), record))
	w.sage.ResetWrites()
	_, err = w.pass(order.ID)
	require.Equal(t, activities.Conflict, kindOf(err))
	require.ErrorContains(t, err, "partially_refunded")
	require.Empty(t, w.sage.Writes())
}

func TestWhatHasNoFieldGoesIntoTheComment(t *testing.T) {
	w := newWorld(t, worldOptions{sage: sagebox.Options{ExtraFields: []sagebox.ExtraField{
		{Resource: "salesorders", Name: "Z_PaidAmount", Type: "text"},
	}}})
	order := w.shirtOrder("EUR", w.customer())
	first := w.pay(order.ID, domain.NewMoney(1000, "EUR"))
	w.mustPass(order.ID)
	got := w.booked(order.ID)
	require.Equal(t, "10.00", got.Text("Z_PaidAmount"))
	require.Contains(t, got.Text("internalComment"), "[tallystick PaymentStatus=partially_paid; PaymentIds="+first.ID)
	require.NoError(t, w.sage.PeopleUpdate("salesorders", got.ID, map[string]any{
		"internalComment": "Ring twice.\r\n" + got.Text("internalComment") + "\r\nBeware of the dog.",
	}))
	w.nothingMore(order.ID)
	w.pay(order.ID, domain.Money{})
	require.Equal(t, activities.Updated, w.mustPass(order.ID).Outcome)
	comment := w.booked(order.ID).Text("internalComment")
	require.Contains(t, comment, "Ring twice.\r\n[tallystick PaymentStatus=paid; ")
	require.Contains(t, comment, "CouponCode=SPRING]\r\nBeware of the dog.")
}

func TestAFieldThatSageIgnoresIsNamed(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.shirtOrder("EUR", w.customer())
	w.pay(order.ID, domain.NewMoney(1000, "EUR"))
	w.mustPass(order.ID) // the client now keeps the schema
	for _, definition := range w.sage.Live("extrafields/salesorders") {
		if definition.Text("fieldName") == "Z_PaidAmount" {
			require.NoError(t, w.sage.PeopleDelete("extrafields/salesorders", definition.ID))
		}
	}
	w.pay(order.ID, domain.Money{})
	_, err := w.pass(order.ID)
	require.Equal(t, activities.Mismatch, kindOf(err))
	require.ErrorContains(t, err, "Z_PaidAmount")
}

func TestAFieldThatTheTenantDemandsIsGiven(t *testing.T) {
	demands := append(sagebox.DefaultExtraFields(),
		sagebox.ExtraField{Resource: "salesorders", Name: "Z_Channel", Type: "text", Required: true},
		sagebox.ExtraField{Resource: "accounts", Name: "Z_Sector", Type: "text", Required: true},
		sagebox.ExtraField{Resource: "contacts", Name: "Z_Role", Type: "text", Required: true},
		sagebox.ExtraField{Resource: "products", Name: "Z_Shelf", Type: "text", Required: true})
	w := newWorld(t, worldOptions{sage: sagebox.Options{ExtraFields: demands}})
	order := w.shirtOrder("EUR", w.customer())
	w.pay(order.ID, domain.Money{})
	_, err := w.pass(order.ID)
	require.Equal(t, activities.Invalid, kindOf(err))
	w.settings.Defaults = map[string]map[string]any{
		"salesorders": {"Z_Channel": "shop"}, "accounts": {"Z_Sector": "-"}, "contacts": {"Z_Role": "-"}, "products": {"Z_Shelf": "-"},
	}
	require.Equal(t, activities.Created, w.mustPass(order.ID).Outcome)
	require.Equal(t, "shop", w.booked(order.ID).Text("Z_Channel"))
	require.Len(t, w.sage.Live("accounts"), 1)
}

func TestALockedOrderIsLeftAlone(t *testing.T) {
	for _, lock := range []string{"readOnly", "blocked"} {
		t.Run(lock, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			order := w.shirtOrder("EUR", w.customer())
			w.pay(order.ID, domain.NewMoney(1000, "EUR"))
			w.mustPass(order.ID)
			require.NoError(t, w.sage.PeopleUpdate("salesorders", w.booked(order.ID).ID, map[string]any{lock: true}))
			w.pay(order.ID, domain.Money{})
			w.sage.ResetWrites()
			_, err := w.pass(order.ID)
			require.Equal(t, activities.Conflict, kindOf(err))
			require.ErrorContains(t, err, lock)
			require.Empty(t, w.sage.Writes())
		})
	}
}

func TestPeoplesEditsOfOurOrder(t *testing.T) {
	for name, c := range map[string]struct {
		edit    func(w *world, id int64)
		outcome activities.Outcome
		check   func(t *testing.T, w *world, before, after sagebox.Order)
	}{
		"deleted: made anew": {func(w *world, id int64) { require.NoError(w.t, w.sage.PeopleDelete("salesorders", id)) }, activities.Created,
			func(t *testing.T, _ *world, before, after sagebox.Order) { require.NotEqual(t, before.ID, after.ID) }},
		"external id taken away: found through the ledger": {func(w *world, id int64) {
			require.NoError(w.t, w.sage.PeopleUpdate("salesorders", id, map[string]any{"extId": ""}))
		}, activities.Updated, func(t *testing.T, _ *world, before, after sagebox.Order) { require.Equal(t, before.ID, after.ID) }},
		"total changed: ours again": {func(w *world, id int64) {
			require.NoError(w.t, w.sage.PeopleUpdate("salesorders", id, map[string]any{"total": 1}))
		}, activities.Updated, func(t *testing.T, _ *world, before, after sagebox.Order) {
			require.Equal(t, before.Number("total"), after.Number("total"))
		}},
		"status, reference and account changed: theirs": {func(w *world, id int64) {
			account, err := w.sage.PeopleCreate("accounts", map[string]any{"name": "Parent", "branchId": w.sage.Find("branches", "Main branch"), "salesRepId1": 7})
			require.NoError(w.t, err)
			require.NoError(w.t, w.sage.PeopleUpdate("salesorders", id, map[string]any{
				"statusId": w.sage.Find("salesorderStatuses", "Lost"), "reference": "PO 7", "accountId": account,
			}))
		}, activities.Unchanged, func(t *testing.T, _ *world, _, after sagebox.Order) {
			require.Equal(t, "Lost", after.Status)
			require.Equal(t, "PO 7", after.Text("reference"))
		}},
		"copied with its external id: theirs to judge": {func(w *world, id int64) {
			o := w.booked(w.ghl.Orders()[0].ID)
			w.handMade("copy", map[string]any{"extId": o.Text("extId")}, 1)
		}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			order := w.paidOrder()
			before := w.booked(order.ID)
			c.edit(w, before.ID)
			w.sage.ResetWrites()
			result, err := w.pass(order.ID)
			if c.check == nil {
				require.Equal(t, activities.Conflict, kindOf(err))
				require.Empty(t, w.sage.Writes())
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.outcome, result.Outcome)
			c.check(t, w, before, w.booked(order.ID))
		})
	}
}

func TestPeoplesStatusSurvivesNewsThatCallsForNoOther(t *testing.T) {
	w := newWorld(t, worldOptions{sage: sagebox.Options{Statuses: append(sagebox.DefaultStatuses(), sagebox.Status{Name: "Delivered", Won: true})}})
	w.settings.WonStatus = w.sage.Find("salesorderStatuses", "Won")
	order := w.shirtOrder("EUR", w.customer())
	paid := w.pay(order.ID, domain.Money{})
	w.mustPass(order.ID)
	require.NoError(t, w.sage.PeopleUpdate("salesorders", w.booked(order.ID).ID, map[string]any{"statusId": w.sage.Find("salesorderStatuses", "Delivered")}))
	require.NoError(t, w.ghl.Refund(paid.ID, domain.NewMoney(100, "EUR")))
	require.Equal(t, activities.Updated, w.mustPass(order.ID).Outcome)
	require.Equal(t, "Delivered", w.booked(order.ID).Status)
	w.loseLedger()
	w.mustPass(order.ID)
	require.Equal(t, "Delivered", w.booked(order.ID).Status, "nor does a lost ledger bring ours back")
}

func TestWhatWasRememberedAndIsGoneIsMadeAnew(t *testing.T) {
	for _, gone := range []string{"accounts", "contacts", "products"} {
		t.Run(gone, func(t *testing.T) {
			w := newWorld(t, worldOptions{})
			first := w.paidOrder()
			for _, row := range w.sage.Live(gone) {
				require.NoError(t, w.sage.PeopleDelete(gone, row.ID))
			}
			if gone == "accounts" { // as the web application does with a company's people
				for _, row := range w.sage.Live("contacts") {
					require.NoError(t, w.sage.PeopleDelete("contacts", row.ID))
				}
			}
			order, err := w.ghl.PlaceOrder(ghlbox.NewOrder{ContactID: first.ContactID, Currency: "EUR",
				Lines: []ghlbox.NewLine{{PriceID: first.Items[0].Price.ID, Qty: 1}}})
			require.NoError(t, err)
			w.pay(order.ID, domain.Money{})
			result, err := w.carryOut(order.ID)
			require.NoError(t, err)
			require.NotZero(t, result.SageID)
			require.Len(t, w.sage.Live("accounts"), 1)
			require.Len(t, w.sage.Live("contacts"), 1)
			require.Equal(t, "ada@example.com", w.sage.Live("contacts")[0].Text("email"), "the buyer's data was not lost")
			w.addsUp(w.booked(order.ID))
			w.nothingMore(order.ID)
		})
	}
}

func TestAnEditOntoAProductThatIsGone(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.paidOrder()
	for _, row := range w.sage.Live("products") {
		require.NoError(t, w.sage.PeopleDelete("products", row.ID))
	}
	w.edit(order.ID, func(o *ghlbox.Order) { o.Items[0], o.Items[1] = o.Items[1], o.Items[0] }, 4949)
	_, err := w.carryOut(order.ID)
	require.NoError(t, err)
	w.addsUp(w.booked(order.ID))
}

func TestAConfiguredProductThatIsGoneIsSaid(t *testing.T) {
	w := newWorld(t, worldOptions{})
	id, err := w.sage.PeopleCreate("products", map[string]any{"model": "Freight"})
	require.NoError(t, err)
	require.NoError(t, w.sage.PeopleDelete("products", id))
	w.settings.ShippingProd = id
	order := w.shirtOrder("EUR", w.customer())
	w.pay(order.ID, domain.Money{})
	_, err = w.carryOut(order.ID)
	require.Equal(t, activities.Mapping, kindOf(err))
	require.ErrorContains(t, err, "shipping")
}

func TestAMissingMappingNamesItsChoices(t *testing.T) {
	for name, c := range map[string]struct {
		options  sagebox.Options
		currency domain.Currency
		salesRep int64
		words    []string
	}{
		"currency":  {sagebox.Options{}, "SEK", 51, []string{"SEK", "EUR", "USD"}},
		"branch":    {sagebox.Options{Branches: []string{"North", "South"}}, "EUR", 51, nil},
		"status":    {sagebox.Options{Statuses: append(sagebox.DefaultStatuses(), sagebox.Status{Name: "Delivered", Won: true})}, "EUR", 51, []string{"SAGE_ORDER_STATUS_WON", "Delivered"}},
		"sales rep": {sagebox.Options{}, "EUR", 0, []string{"SAGE_SALES_REP_ID", "51"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, worldOptions{sage: c.options})
			w.settings.SalesRepID = c.salesRep
			order := w.shirtOrder(c.currency, w.customer())
			w.pay(order.ID, domain.Money{})
			_, err := w.pass(order.ID)
			if c.words == nil {
				require.NoError(t, err, "the default branch is a choice")
				return
			}
			require.Equal(t, activities.Mapping, kindOf(err))
			for _, word := range c.words {
				require.ErrorContains(t, err, word)
			}
			require.Empty(t, w.sage.Orders())
		})
	}
}

func TestALostLedgerCostsReadsAndNothingElse(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.paidOrder()
	theirs := w.handLine(w.booked(order.ID).ID, 9, "engraving")
	before := w.sage.Snapshot()
	w.loseLedger()
	w.nothingMore(order.ID)
	require.Equal(t, before, w.sage.Snapshot())
	record, known, err := w.store.Order(t.Context(), w.ghl.Location(), order.ID)
	require.NoError(t, err)
	require.True(t, known)
	require.Len(t, record.Lines, 3)
	require.NotContains(t, record.Lines, store.LineRecord{Position: 8, SageID: theirs})
}

func TestASecondOrderOfOneSaleIsRemoved(t *testing.T) {
	w := newWorld(t, worldOptions{})
	order := w.paidOrder()
	kept := w.booked(order.ID)
	w.twin(kept)
	require.Len(t, w.sage.OrdersByExtID(kept.Text("extId")), 2)
	w.mustPass(order.ID)
	require.Equal(t, kept.ID, w.booked(order.ID).ID)
	require.Len(t, w.sage.DeletedOrders(), 1)
}
