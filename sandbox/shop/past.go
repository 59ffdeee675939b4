package shop

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
)

// PastOptions say what past a shop has.
type PastOptions struct {
	// Seed makes everything. Equal options give an equal past.
	Seed int64
	// From and To bound it: two years up to now where they are zero. Nothing in it is older or newer.
	From, To time.Time
	// Transactions and Subscriptions are about how many there are: 1,000 and a tenth of the transactions where they are 0.
	// Subscriptions have six transactions of ten, as far as so many charges fit into the time.
	Transactions, Subscriptions int
	// Location is whose past it is, the server's first location where it is empty.
	Location string
	// ChargebackStatus is that of ghl.Options: what a payment that was charged back says.
	ChargebackStatus string
}

func (o PastOptions) withDefaults() PastOptions {
	if o.To.IsZero() {
		o.To = time.Now()
	}
	o.To = o.To.UTC().Truncate(time.Second)
	if o.From.IsZero() {
		o.From = o.To.AddDate(-2, 0, 0)
	}
	o.From = o.From.UTC().Truncate(time.Second)
	o.Transactions = cmp.Or(o.Transactions, 1_000)
	o.Subscriptions = cmp.Or(o.Subscriptions, o.Transactions/10)
	o.ChargebackStatus = cmp.Or(o.ChargebackStatus, "disputed")
	return o
}

// PastData is what happened in a shop before anybody kept books: one-off orders and subscriptions in four currencies,
// paid at once, in parts, late, never, in test mode; refunded in part and in full, charged back; renewed, missed,
// upgraded, paused, cancelled. EUR is the most frequent currency.
type PastData struct {
	Products []ghl.Product
	Prices   []ghl.Price
	History  ghl.History
	// Endings are what ghl.History cannot say of subscriptions.
	Endings []Ending

	// What follows is the same once more, for whoever computes by himself what the books must say.

	// Totals are what each order costs, by its id.
	Totals map[string]domain.Money
	// Charges are the payments and the attempts at them, in the order of History.Payments.
	Charges []Charge
	// Plans are the subscriptions as they stand in the end, in the order of History.Subscriptions.
	Plans []Plan
}

// Charge is one payment, or an attempt at one.
type Charge struct {
	ID string
	// OrderID is empty for renewals, invoices without an order and payments by hand. SubscriptionID is HighLevel's.
	OrderID, SubscriptionID string
	Amount, Refunded        domain.Money
	At                      time.Time
	// RefundedAt is when money was given back, zero if none was.
	RefundedAt time.Time
	// Status is HighLevel's word: "succeeded" is the only one that counts.
	Status string
	// Test says that no money moved: the payment, its order or its subscription is a test.
	Test bool
}

// Plan is a subscription as it stands in the end.
type Plan struct {
	ID, OrderID, ProductID string
	// Amount is one instalment; there are IntervalCount Intervals ("week", "month", "year") between two.
	Amount        domain.Money
	Interval      string
	IntervalCount int64
	// Status is what HighLevel shows. Paused ones of Stripe's are still "active" (A132).
	Status   string
	Paused   bool
	Start    time.Time
	Canceled time.Time
	Test     bool
}

// Ending is what became of a subscription.
type Ending struct {
	SubscriptionID string
	// Charges are the charges that fell due and were tried, however often each.
	Charges    int64
	CanceledAt time.Time
	Paused     bool
	UpdatedAt  time.Time
}

// Seed puts the past into a server: products and prices, and all that happened. It sends nothing.
func (p PastData) Seed(s *ghl.Server) error {
	for _, product := range p.Products {
		s.AddProduct(product)
	}
	for _, price := range p.Prices {
		s.AddPrice(price)
	}
	if err := s.Seed(p.History); err != nil {
		return fmt.Errorf("seed the past: %w", err)
	}
	for _, e := range p.Endings {
		if err := s.EditSubscription(e.SubscriptionID, func(sub *ghl.Subscription) {
			sub.Charges, sub.CanceledAt, sub.Paused, sub.UpdatedAt = e.Charges, e.CanceledAt, e.Paused, e.UpdatedAt
		}); err != nil {
			return fmt.Errorf("seed the past: %w", err)
		}
	}
	return nil
}

// past makes a PastData.
type past struct {
	generator
	opts  PastOptions
	out   PastData
	plans map[domain.Currency][]ghl.Price // recurring prices: every second one is dearer than the one before it
	made  map[string]int                  // ids by kind
}

// Past makes the past of a shop, in time and memory that grow with the numbers asked for.
func Past(o PastOptions) PastData {
	o = o.withDefaults()
	p := &past{opts: o, plans: map[domain.Currency][]ghl.Price{}, made: map[string]int{}}
	p.generator = generator{
		seed: o.Seed ^ 0x9a57, data: &Data{}, byMoney: map[domain.Currency][]ghl.Price{},
		dice: rand.New(rand.NewPCG(uint64(o.Seed), 0x9a57)), //nolint:gosec // a shop, not a secret
	}
	p.out.Totals = make(map[string]domain.Money, o.Transactions/2)
	p.shelves()
	for i := range max(o.Transactions, o.Subscriptions)/4 + 2 {
		p.customer(pastCustomers + i)
	}
	p.out.History.Contacts = p.data.Customers
	for i := range p.out.History.Contacts {
		p.out.History.Contacts[i].LocationID, p.out.History.Contacts[i].DateAdded = o.Location, o.From
	}
	for i := range o.Subscriptions {
		p.subscription(i)
	}
	for p.made["payment"] < o.Transactions {
		p.oneOff()
	}
	return p.out
}

// pastCustomers is where the numbers of customers begin, so that they have other addresses than those of Generate.
const pastCustomers = 500_000

// shelves are the goods of Generate, and what is subscribed to.
func (p *past) shelves() {
	p.stock()
	p.out.Products, p.out.Prices = p.data.Products, p.data.Prices
	for n, plan := range []struct{ name, interval string }{{"Club", "month"}, {"Gazette", "week"}, {"Almanac", "year"}} {
		product := ghl.Product{ID: p.id("plan", n), Name: plan.name, Type: "SERVICE"}
		p.out.Products = append(p.out.Products, product)
		for _, c := range currencies {
			cheap := p.between(c.from, c.to)
			for i, amount := range []int64{cheap, cheap + cheap/2 + 1} {
				price := ghl.Price{
					ID: p.id("plan price", len(p.out.Prices)), ProductID: product.ID, Name: []string{"basic", "plus"}[i],
					Amount: domain.NewMoney(amount, c.code), Interval: plan.interval, IntervalCount: 1, CreatedAt: p.opts.From,
				}
				p.out.Prices = append(p.out.Prices, price)
				p.plans[c.code] = append(p.plans[c.code], price)
			}
		}
	}
	for i := range p.out.Products {
		p.out.Products[i].LocationID, p.out.Products[i].CreatedAt = p.opts.Location, p.opts.From
	}
	for i := range p.out.Prices {
		p.out.Prices[i].CreatedAt = p.opts.From
	}
}

// next is a new id of a kind.
func (p *past) next(kind string) string {
	p.made[kind]++
	return p.id("past "+kind, p.made[kind])
}

// sometime is a moment from one time up to another.
func (p *past) sometime(from, to time.Time) time.Time {
	return from.Add(time.Duration(p.dice.Int64N(int64(max(to.Sub(from), time.Second))))).Truncate(time.Second)
}

func (p *past) anybody() string {
	return p.out.History.Contacts[p.dice.IntN(len(p.out.History.Contacts))].ID
}

// pays says which currency something is paid in. Most is in EUR, so that there is something in the books of a branch.
func (p *past) pays() domain.Currency {
	switch roll := p.dice.IntN(100); {
	case roll < 65:
		return "EUR"
	case roll < 85:
		return "USD"
	case roll < 93:
		return "JPY"
	}
	return "KWD"
}

// share is so many hundredths of an amount, at least one minor unit.
func share(m domain.Money, percent int64) domain.Money {
	return domain.NewMoney(max(1, m.Minor*percent/100), m.Currency)
}

// oneOff is an order of goods with its payments, or a payment without an order.
func (p *past) oneOff() {
	at := p.sometime(p.opts.From, p.opts.To)
	if p.chance(6) {
		p.withoutOrder(at)
		return
	}
	currency := p.pays()
	order := ghl.NewOrder{ID: p.next("order"), LocationID: p.opts.Location, Currency: currency, ContactID: p.anybody(), CreatedAt: at}
	subtotal := domain.NewMoney(0, currency)
	for range 1 + p.dice.IntN(3) {
		price := p.byMoney[currency][p.dice.IntN(len(p.byMoney[currency]))]
		qty := p.between(1, 3)
		order.Lines = append(order.Lines, ghl.NewLine{PriceID: price.ID, Qty: qty})
		subtotal.Minor += qty * price.Amount.Minor
	}
	total := p.charges(&order, subtotal)
	if p.chance(12) {
		p.invoices++
		order.InvoiceNumber = fmt.Sprint(500_000 + p.invoices)
	}
	switch roll := p.dice.IntN(100); {
	case roll < 3:
		order.TestMode = true
	case roll < 5:
		order.MarkAsTest = true
	}
	p.place(order, total)
	p.paid(order, total)
}

func (p *past) place(order ghl.NewOrder, total domain.Money) {
	p.out.History.Orders = append(p.out.History.Orders, order)
	p.out.Totals[order.ID] = total
}

// paid is how an order was paid, if it was.
func (p *past) paid(order ghl.NewOrder, total domain.Money) {
	c := Charge{OrderID: order.ID, Amount: total, At: order.CreatedAt, Test: order.TestMode || order.MarkAsTest}
	after := func(c Charge) Charge { // some days after the order
		c.At = p.sometime(c.At, earlier(c.At.AddDate(0, 0, 20), p.opts.To))
		return c
	}
	switch roll := p.dice.IntN(100); {
	case roll < 62:
		p.charge(c)
	case roll < 68: // in two parts, or one of them
		first, second := c, after(c)
		first.Amount = share(total, p.between(20, 80))
		p.charge(first)
		if second.Amount.Minor = total.Minor - first.Amount.Minor; second.Amount.Minor > 0 && p.chance(60) {
			p.charge(second)
		}
	case roll < 75: // given back in part, or all of it
		c.Refunded = share(total, p.between(1, 99))
		p.charge(c)
	case roll < 82:
		c.Refunded = total
		p.charge(c)
	case roll < 88: // at the second try
		failed := c
		failed.Status = "failed"
		p.charge(failed)
		p.charge(after(c))
	case roll < 91:
		c.Status = "pending"
		p.charge(c)
	case roll < 94:
		c.Status = "failed"
		p.charge(c)
	case roll < 97:
		c.Status = p.opts.ChargebackStatus
		p.charge(c)
	default: // nobody ever paid
	}
}

// withoutOrder is a payment of an invoice that has no order, or one that was noted by hand.
func (p *past) withoutOrder(at time.Time) {
	currency := p.pays()
	c := Charge{At: at, Amount: domain.NewMoney(p.between(500, 90_000), currency)}
	if p.chance(15) {
		c.Refunded = share(c.Amount, p.between(10, 100))
	}
	n := p.charge(c)
	n.ContactID = p.anybody()
	if p.chance(60) {
		n.InvoiceID = p.next("invoice")
		n.Source = ghl.Source{Type: "invoice", ID: n.InvoiceID, Name: "Invoice"}
	}
}

// charge books a payment in both spellings. What it gives holds until the next one.
func (p *past) charge(c Charge) *ghl.PastPayment {
	c.ID = p.next("payment")
	c.Status = cmp.Or(c.Status, "succeeded")
	if c.Refunded.Currency == "" {
		c.Refunded = domain.NewMoney(0, c.Amount.Currency)
	}
	payment := ghl.PastPayment{
		NewPayment: ghl.NewPayment{ID: c.ID, Amount: c.Amount, Status: c.Status, At: c.At},
		OrderID:    c.OrderID, SubscriptionID: c.SubscriptionID, Refunded: c.Refunded, UpdatedAt: c.At,
	}
	if !c.Refunded.IsZero() || c.Status == p.opts.ChargebackStatus {
		payment.UpdatedAt = p.sometime(c.At, p.opts.To)
	}
	if !c.Refunded.IsZero() {
		c.RefundedAt = payment.UpdatedAt
	}
	p.out.Charges = append(p.out.Charges, c)
	p.out.History.Payments = append(p.out.History.Payments, payment)
	return &p.out.History.Payments[len(p.out.History.Payments)-1]
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
