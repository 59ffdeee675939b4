package shop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
)

func TestTheShopIsAFunctionOfItsSeed(t *testing.T) {
	require.Equal(t, shop.Generate(1, 50), shop.Generate(1, 50))
	require.NotEqual(t, shop.Generate(1, 50), shop.Generate(2, 50))
}

func TestEverythingHappensInTheShop(t *testing.T) {
	seen := map[string]int{}
	server := run(t, 4, 400).ghl
	for _, o := range server.Orders() {
		seen[string(o.Currency)]++
		for name, is := range map[string]bool{"discount": o.Discount.Minor > 0, "coupon": o.CouponCode != "",
			"shipping": o.Shipping.Minor > 0, "invoice": o.Source.Type == "invoice", "test mode": !o.LiveMode,
			"marked as test": o.MarkAsTest, "several lines": len(o.Items) > 1, "unpaid": len(server.Payments(o.ID)) == 0} {
			if is {
				seen[name]++
			}
		}
		for _, tax := range o.Taxes {
			seen[tax.Calculation]++
		}
		contact, _ := server.Contact(o.ContactID)
		if contact.Email == "" {
			seen["without e-mail"]++
		}
		paid := int64(0)
		for _, p := range server.Payments(o.ID) {
			seen[p.Status]++
			if p.Status == "succeeded" {
				paid += p.Amount.Minor
			}
			switch {
			case p.AmountRefunded.Minor > 0 && p.AmountRefunded == p.Amount:
				seen["full refund"]++
			case p.AmountRefunded.Minor > 0:
				seen["part refund"]++
			}
		}
		require.LessOrEqual(t, paid, o.Amount.Minor)
		require.Positive(t, o.Amount.Minor)
		if paid > 0 && paid < o.Amount.Minor {
			seen["paid in part"]++
		}
	}
	for _, name := range []string{"USD", "EUR", "JPY", "KWD", "discount", "coupon", "shipping", "invoice", "test mode",
		"marked as test", "several lines", "unpaid", "exclusive", "inclusive", "without e-mail", "succeeded", "pending",
		"failed", "full refund", "part refund", "paid in part"} {
		require.Positive(t, seen[name], name)
	}
}

func TestTheShopKeepsItsPaceAndStopsWhenTold(t *testing.T) {
	server := ghl.New(ghl.Options{})
	t.Cleanup(server.Close)
	var kinds []shop.Kind
	began := time.Now()
	s := shop.New(server, shop.Options{Seed: 1, Orders: 11, PerSecond: 100, Observe: func(a shop.Action) { kinds = append(kinds, a.Kind) }})
	require.NoError(t, s.Run(t.Context()))
	require.GreaterOrEqual(t, time.Since(began), 100*time.Millisecond)
	require.GreaterOrEqual(t, len(kinds), 11)
	ctx, cancel := context.WithCancel(t.Context())
	s = shop.New(server, shop.Options{Seed: 2, Orders: 1000, PerSecond: 1, Observe: func(shop.Action) { cancel() }})
	require.ErrorIs(t, s.Run(ctx), context.Canceled)
	require.Len(t, s.Book(), 1)
}

// office is a bookkeeper who copies HighLevel into Sage by hand, over the API and without any of the product's code.
type office struct {
	t      *testing.T
	ghl    *ghl.Server
	shop   *shop.Shop
	sage   *sage.Server
	token  string
	cached map[string]int64
}

func run(t *testing.T, seed int64, orders int) *office {
	t.Helper()
	server := ghl.New(ghl.Options{Seed: seed})
	t.Cleanup(server.Close)
	s := shop.New(server, shop.Options{Seed: seed, Orders: orders})
	require.NoError(t, s.Run(t.Context()))
	tenant := sage.New(sage.Options{})
	require.NoError(t, tenant.Start())
	t.Cleanup(tenant.Close)
	o := &office{t: t, ghl: server, shop: s, sage: tenant, cached: map[string]int64{}}
	public, secret := tenant.Keys()
	var out struct{ Token string }
	o.call("POST", "/login", map[string]any{"username": public, "password": secret}, &out)
	o.token = out.Token
	return o
}

func (o *office) call(method, path string, in map[string]any, out any) {
	o.t.Helper()
	raw, err := json.Marshal(in)
	require.NoError(o.t, err)
	req, err := http.NewRequestWithContext(o.t.Context(), method, o.sage.URL()+path, strings.NewReader(string(raw)))
	require.NoError(o.t, err)
	req.Header.Set("X-Session-Key", o.token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(o.t, err)
	defer resp.Body.Close()
	require.Equal(o.t, 200, resp.StatusCode)
	require.NoError(o.t, json.NewDecoder(resp.Body).Decode(out))
}

func (o *office) create(path string, in map[string]any) int64 {
	o.t.Helper()
	var out struct{ ID int64 }
	o.call("POST", path, in, &out)
	return out.ID
}

// once makes a record unless it was made before.
func (o *office) once(path, extID string, in map[string]any) int64 {
	if o.cached[path+extID] == 0 {
		in["extId"] = extID
		o.cached[path+extID] = o.create(path, in)
	}
	return o.cached[path+extID]
}

func (o *office) bookAll() {
	for _, order := range o.ghl.Orders() {
		paid, refunded, ids := int64(0), int64(0), []string{}
		for _, p := range o.ghl.Payments(order.ID) {
			if p.Status == "succeeded" {
				paid += p.Amount.Minor
				refunded += p.AmountRefunded.Minor
				ids = append(ids, p.ID)
			}
		}
		if paid > 0 && order.LiveMode && !order.MarkAsTest {
			o.book(order, paid, refunded, ids)
		}
	}
}

func (o *office) book(order ghl.Order, paid, refunded int64, ids []string) {
	amount := func(minor int64) domain.Number { return domain.NewMoney(minor, order.Currency).Decimal() }
	status, name := "paid", "Won"
	switch {
	case refunded == paid:
		status = "refunded"
	case refunded > 0:
		status = "partially_refunded"
	case paid < order.Amount.Minor:
		status, name = "partially_paid", "Open"
	}
	branch := o.sage.Find("branches", "Main branch")
	account := o.once("/accounts", "ghl:contact:"+order.ContactID, map[string]any{"name": "A", "branchId": branch, "salesRepId1": 51})
	id := o.create("/salesorders", map[string]any{"extId": "ghl:order:" + order.ID, "reference": order.ID, "branchId": branch,
		"salesRepId": 51, "statusId": o.sage.Find("salesorderStatuses", name), "accountId": account,
		"currencyId": o.sage.Find("currencies", string(order.Currency)), "total": amount(order.Amount.Minor),
		"Z_PaymentStatus": status, "Z_PaidAmount": amount(paid), "Z_RefundedAmount": amount(refunded),
		"Z_PaymentIds": strings.Join(ids, ","), "Z_PaidAt": "2026-11-22 10:00:00", "Z_CouponCode": order.CouponCode})
	switch digital := o.digital(order); {
	case refunded == paid:
		o.ships(id, "cancelled")
	case digital && paid >= order.Amount.Minor:
		o.ships(id, "delivered")
		o.enter(account, order.ID+" delivered")
	default:
		o.ships(id, "created")
	}
	left := order.Amount.Minor
	for i, item := range order.Items {
		total := min(left, item.Qty*item.Price.Amount.Minor)
		if i == len(order.Items)-1 {
			total = left
		}
		left -= total
		product := o.once("/products", "ghl:price:"+item.Price.ID, map[string]any{"model": item.Name})
		o.create("/salesordersLines", map[string]any{"salesOrderId": id, "productId": product, "quantity": item.Qty,
			"price": item.Price.Amount.Decimal(), "total": amount(total), "order": i + 1})
	}
}

func TestAnHonestBookAgrees(t *testing.T) {
	o := run(t, 3, 120)
	before := o.shop.Agree(o.sage)
	require.False(t, before.OK())
	require.Len(t, before.Differences, before.Due)
	require.Equal(t, o.shop.Due(), before.Due)
	o.bookAll()
	report := o.shop.Agree(o.sage)
	require.True(t, report.OK(), report.String())
	require.Equal(t, 120, report.Orders)
	require.Equal(t, report.Due, report.InSage)
	require.Contains(t, report.String(), "to the cent")
}

func TestEachDifferenceIsFound(t *testing.T) {
	o := run(t, 3, 40)
	o.bookAll()
	require.True(t, o.shop.Agree(o.sage).OK())
	pick := func(want func(sage.Order) bool) sage.Order {
		t.Helper()
		for _, order := range o.sage.Orders() {
			if want(order) {
				return order
			}
		}
		t.Fatal("the shop has no such order")
		return sage.Order{}
	}
	paid := pick(func(in sage.Order) bool { return in.Text("Z_PaymentStatus") == "paid" })
	path := fmt.Sprintf("/salesorders/%d", paid.ID)
	line := paid.Lines[0]
	var none struct{}
	back := func(field string) map[string]any { return map[string]any{field: paid.Fields[field]} }
	for name, c := range map[string]struct{ do, undo func() }{
		"add up": {func() {
			o.call("PUT", fmt.Sprintf("/salesordersLines/%d", line.ID), map[string]any{"total": json.Number("0.01")}, &none)
		}, func() {
			o.call("PUT", fmt.Sprintf("/salesordersLines/%d", line.ID), map[string]any{"total": line.Fields["total"]}, &none)
		}},
		"total in Sage": {func() { o.call("PUT", path, map[string]any{"total": json.Number("1.23")}, &none) },
			func() { o.call("PUT", path, back("total"), &none) }},
		"Z_PaidAmount": {func() { o.call("PUT", path, map[string]any{"Z_PaidAmount": 0}, &none) },
			func() { o.call("PUT", path, back("Z_PaidAmount"), &none) }},
		"Z_PaymentStatus": {func() { o.call("PUT", path, map[string]any{"Z_PaymentStatus": "unpaid"}, &none) },
			func() { o.call("PUT", path, back("Z_PaymentStatus"), &none) }},
		"names payment": {func() { o.call("PUT", path, map[string]any{"Z_PaymentIds": ""}, &none) },
			func() { o.call("PUT", path, back("Z_PaymentIds"), &none) }},
		"its status in Sage": {func() {
			o.call("PUT", path, map[string]any{"statusId": o.sage.Find("salesorderStatuses", "Open")}, &none)
		},
			func() { o.call("PUT", path, back("statusId"), &none) }},
		"the currency": {func() { o.call("PUT", path, map[string]any{"currencyId": o.sage.Find("currencies", "CHF")}, &none) },
			func() { o.call("PUT", path, back("currencyId"), &none) }},
		"pieces too few": {func() {
			o.call("PUT", fmt.Sprintf("/salesordersLines/%d", line.ID), map[string]any{"quantity": 77}, &none)
		}, func() {
			o.call("PUT", fmt.Sprintf("/salesordersLines/%d", line.ID), map[string]any{"quantity": line.Fields["quantity"]}, &none)
		}},
		"belongs to no order": {func() {
			o.once("/accounts", "ghl:contact:nobody", map[string]any{"name": "N", "branchId": o.sage.Find("branches", "Main branch"), "salesRepId1": 51})
		}, func() {
			o.call("DELETE", fmt.Sprintf("/accounts/%d", o.cached["/accountsghl:contact:nobody"]), nil, &none)
		}},
		"not in HighLevel": {func() { o.call("PUT", path, map[string]any{"extId": "ghl:order:strange"}, &none) },
			func() { o.call("PUT", path, back("extId"), &none) }},
	} {
		t.Run(name, func(t *testing.T) {
			c.do()
			report := o.shop.Agree(o.sage)
			require.Contains(t, strings.Join(report.Differences, "\n"), name)
			c.undo()
			report = o.shop.Agree(o.sage)
			require.True(t, report.OK(), report.String())
		})
	}
}

func TestDoublesUnpaidAndStrangersAreFound(t *testing.T) {
	o := run(t, 3, 40)
	o.bookAll()
	first := o.sage.Orders()[0]
	original, _ := o.ghl.Order(strings.TrimPrefix(first.Text("extId"), "ghl:order:"))
	o.book(original, original.Amount.Minor, 0, nil)
	require.Contains(t, o.shop.Agree(o.sage).String(), "exactly once, but is 2 times")

	for _, order := range o.ghl.Orders() {
		if !order.LiveMode {
			o.book(order, order.Amount.Minor, 0, nil)
			require.Contains(t, o.shop.Agree(o.sage).String(), order.ID+": must not be in Sage")
			break
		}
	}
	require.NoError(t, o.sage.PeopleUpdate("salesorders", first.ID, map[string]any{"comment": "call them"}))
	require.Contains(t, o.shop.Agree(o.sage).String(), "user 7 did sage.salesorders.update")
	require.NotContains(t, o.shop.Agree(o.sage, shop.WithPeople()).String(), "user 7")

	for _, p := range o.ghl.Payments(original.ID) {
		if p.Status == "succeeded" && p.AmountRefunded.IsZero() {
			require.NoError(t, o.ghl.Refund(p.ID, domain.NewMoney(1, p.Amount.Currency)))
			require.Contains(t, o.shop.Agree(o.sage).String(), "the shop charged", "the shop knows of no such refund")
			break
		}
	}
}
