package shop

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
)

// Report says whether Sage holds exactly what HighLevel charged.
type Report struct {
	// Orders is how many orders HighLevel has, Due how many of them must be in Sage, InSage how many live sales orders of
	// ours Sage has.
	Orders, Due, InSage int
	// Shipments is how many fulfilments the orders that are due have in HighLevel, Posted how many of them an app made,
	// Delivered how many of the orders have arrived.
	Shipments, Posted, Delivered int
	// Payments are those of which Sage must have a row of sales, Subscriptions those of which it must have an opportunity; 0
	// without WithSales.
	Payments, Subscriptions int
	// Differences are in words, one for each.
	Differences []string
}

// OK tells that there is no difference.
func (r Report) OK() bool { return len(r.Differences) == 0 }

// String is the report for people.
func (r Report) String() string {
	head := fmt.Sprintf("%d orders in HighLevel, %d of them due in Sage, %d in Sage", r.Orders, r.Due, r.InSage)
	if r.OK() {
		return head + ": they agree to the cent"
	}
	return head + ", " + strconv.Itoa(len(r.Differences)) + " differences:\n  " + strings.Join(r.Differences, "\n  ")
}

// AgreeOption changes what Agree looks at.
type AgreeOption func(*comparison)

// WithPeople allows writes by other users than the API's, for runs in which people work in Sage too. Accounts, contacts
// and orders that are not ours are never looked at.
func WithPeople() AgreeOption { return func(c *comparison) { c.people = true } }

// WithPeoplesLines leaves lines alone that people added to an order, when products and sums are compared.
func WithPeoplesLines() AgreeOption { return func(c *comparison) { c.peoplesLines = true } }

// Agree compares the state of the two servers: for each order of HighLevel's with cleared money that isn't a test there
// is exactly one live sales order in Sage, with its total, currency, products, quantities and payment fields, and with
// lines that add up; for any other order there is none; no account or contact of ours is there without an order, or
// twice; no line is there without an order; and nobody but the API's user has written. An order of no value may be in
// Sage or not.
//
// The shipping of each order stands in Sage as HighLevel, refunds and the waybills say, HighLevel has exactly one
// fulfilment for each shipment, customers were written to of each that says so, and each step is one activity on the
// account. Orders without a waybill are compared with what people made in HighLevel.
func Agree(shop *ghl.Server, tenant *sage.Server, opts ...AgreeOption) Report {
	report := Report{}
	c := comparison{report: &report, shop: shop, tenant: tenant}
	for _, o := range opts {
		o(&c)
	}
	c.load()
	for _, o := range c.orders {
		if id, ours := strings.CutPrefix(o.Text("extId"), orderPrefix); ours {
			c.byExtID[id] = append(c.byExtID[id], o)
			report.InSage++
		}
	}
	for _, o := range shop.Orders() {
		report.Orders++
		c.order(o)
		c.shipping(o)
		delete(c.byExtID, o.ID)
	}
	for id := range c.byExtID {
		c.differ(id, "is in Sage, but not in HighLevel")
	}
	c.bookedSales()
	c.told()
	c.customers()
	c.lines()
	c.writers()
	slices.Sort(report.Differences)
	return report
}

const (
	ownPrefix     = "ghl:"
	orderPrefix   = "ghl:order:"
	contactPrefix = "ghl:contact:"
	pricePrefix   = "ghl:price:"
)

type comparison struct {
	report       *Report
	shop         *ghl.Server
	tenant       *sage.Server
	orders       []sage.Order
	byExtID      map[string][]sage.Order
	accounts     map[int64]sage.Record
	contacts     map[int64]sage.Record
	people       bool
	peoplesLines bool
	goods        goods
	sales        domain.Currency
}

// load reads what is looked up more than once.
func (c *comparison) load() {
	c.byExtID = map[string][]sage.Order{}
	c.orders = c.tenant.Orders()
	byID := func(rows []sage.Record) map[int64]sage.Record {
		out := make(map[int64]sage.Record, len(rows))
		for _, r := range rows {
			out[r.ID] = r
		}
		return out
	}
	c.accounts, c.contacts = byID(c.tenant.Live("accounts")), byID(c.tenant.Live("contacts"))
	c.goods.load(c.tenant)
}

func (c *comparison) differ(orderID, format string, args ...any) {
	c.report.Differences = append(c.report.Differences, "order "+orderID+": "+fmt.Sprintf(format, args...))
}

// cleared sums up what was paid and refunded by the succeeded transactions.
func cleared(o ghl.Order, payments []ghl.Transaction) (paid, refunded domain.Money) {
	paid, refunded = domain.NewMoney(0, o.Currency), domain.NewMoney(0, o.Currency)
	for _, t := range payments {
		if t.Status == "succeeded" {
			paid.Minor += t.Amount.Minor
			refunded.Minor += t.AmountRefunded.Minor
		}
	}
	return paid, refunded
}

func (c *comparison) order(o ghl.Order) {
	payments := c.shop.Payments(o.ID)
	paid, refunded := cleared(o, payments)
	have := c.byExtID[o.ID]
	if o.Amount.IsZero() && len(have) <= 1 {
		return // nothing was to be paid, so whether money has cleared is a matter of words
	}
	if !o.LiveMode || o.MarkAsTest || paid.IsZero() {
		if len(have) > 0 {
			c.differ(o.ID, "must not be in Sage, since it is a test or unpaid, but is, %d times", len(have))
		}
		return
	}
	c.report.Due++
	if len(have) != 1 {
		c.differ(o.ID, "must be in Sage exactly once, but is %d times", len(have))
		return
	}
	in := have[0]
	c.amount(o.ID, "total", in.Number("total"), o.Amount)
	if in.Currency != string(o.Currency) {
		c.differ(o.ID, "the currency in Sage is %q instead of %s", in.Currency, o.Currency)
	}
	c.items(o, in)
	status := paymentStatus(o, paid, refunded)
	if won := status == "paid"; (won || status == "partially_paid") && in.Won != won {
		c.differ(o.ID, "is %s, but its status in Sage is %q", status, in.Status)
	}
	c.payment(o, in, payments, status, paid, refunded)
	c.buyer(o, in)
}

// paymentStatus is the word that the extra field must hold.
func paymentStatus(o ghl.Order, paid, refunded domain.Money) string {
	switch {
	case refunded.Minor > 0 && refunded.Minor >= paid.Minor:
		return "refunded"
	case refunded.Minor > 0:
		return "partially_refunded"
	case paid.Minor < o.Amount.Minor:
		return "partially_paid"
	}
	return "paid"
}

// payment compares the extra fields, as far as the tenant has them.
func (c *comparison) payment(o ghl.Order, in sage.Order, payments []ghl.Transaction, status string, paid, refunded domain.Money) {
	has := func(name string) bool { _, there := in.Fields[name]; return there }
	if has("Z_PaymentStatus") && in.Text("Z_PaymentStatus") != status {
		c.differ(o.ID, "Z_PaymentStatus is %q instead of %s", in.Text("Z_PaymentStatus"), status)
	}
	if has("Z_PaidAmount") {
		c.amount(o.ID, "Z_PaidAmount", in.Number("Z_PaidAmount"), paid)
	}
	if has("Z_RefundedAmount") {
		c.amount(o.ID, "Z_RefundedAmount", in.Number("Z_RefundedAmount"), refunded)
	}
	if has("Z_CouponCode") && in.Text("Z_CouponCode") != o.CouponCode {
		c.differ(o.ID, "Z_CouponCode is %q instead of %q", in.Text("Z_CouponCode"), o.CouponCode)
	}
	if has("Z_PaidAt") && in.Time("Z_PaidAt").IsZero() {
		c.differ(o.ID, "Z_PaidAt is empty")
	}
	for _, t := range payments {
		if named := strings.Contains(in.Text("Z_PaymentIds"), t.ID); has("Z_PaymentIds") && named != (t.Status == "succeeded") {
			c.differ(o.ID, "Z_PaymentIds names payment %s: %t, although it is %s", t.ID, named, t.Status)
		}
	}
}

// amount compares exactly: 10, 10.0 and 10.00 are the same, 10.001 is not.
func (c *comparison) amount(orderID, what string, have domain.Number, want domain.Money) {
	if !have.IsSet() || !have.Equal(want.Decimal()) {
		c.differ(orderID, "%s in Sage is %q instead of %s", what, string(have), want)
	}
}

// items compares lines: they add up to the total, each position is there once, and each price was sold as often as
// ordered, be it on one line or several.
func (c *comparison) items(o ghl.Order, in sage.Order) {
	sum := domain.NewMoney(0, o.Currency)
	want, positions := map[string]int64{}, map[int64]int{}
	for _, item := range o.Items {
		want[pricePrefix+item.Price.ID] += item.Qty
	}
	for _, l := range in.Lines {
		if c.peoplesLines && l.Int("salesRepIdCreated") != c.tenant.APIUser() {
			continue
		}
		total, err := domain.ParseMoney(l.Number("total"), o.Currency)
		if err == nil {
			sum, err = sum.Add(total)
		}
		if err != nil {
			c.differ(o.ID, "line %d: %s", l.ID, err)
		}
		if strings.HasPrefix(l.ProductExtID, pricePrefix) {
			want[l.ProductExtID] -= l.Int("quantity")
		}
		if positions[l.Int("order")]++; positions[l.Int("order")] > 1 {
			c.differ(o.ID, "two lines are at position %d", l.Int("order"))
		}
	}
	if sum != o.Amount {
		c.differ(o.ID, "the lines in Sage add up to %s instead of %s", sum, o.Amount)
	}
	for product, missing := range want {
		if missing != 0 {
			c.differ(o.ID, "of %s there are %d pieces too few in Sage's lines", product, missing)
		}
	}
}

// buyer checks that account and contact are there, alive, and belong together.
func (c *comparison) buyer(o ghl.Order, in sage.Order) {
	if _, live := c.accounts[in.Int("accountId")]; !live {
		c.differ(o.ID, "has no live account in Sage")
	}
	id := in.Int("contactId")
	contact, live := c.contacts[id]
	switch {
	case id != 0 && !live:
		c.differ(o.ID, "its contact %d in Sage is not live", id)
	case live && contact.Int("accountId") != in.Int("accountId"):
		c.differ(o.ID, "its contact in Sage belongs to another account")
	}
}
