package shop

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
)

// Data is everything that will happen in a shop.
type Data struct {
	Customers []ghl.Contact
	Products  []ghl.Product
	Prices    []ghl.Price
	// Actions are what customers and the shop's people do with money, in this order.
	Actions []Action
	// Fates are what becomes of the goods, one for each order, in the order of placing.
	Fates []Fate
}

// Kind is what an action does.
type Kind string

// The kinds of action.
const (
	Place  Kind = "places an order"
	Pay    Kind = "pays"
	Try    Kind = "tries to pay"
	Begin  Kind = "begins a payment"
	Settle Kind = "completes a payment"
	Refund Kind = "is refunded"
)

// Action is one thing that happens to an order.
type Action struct {
	Kind    Kind
	OrderID string
	// Order is what is placed.
	Order ghl.NewOrder
	// PaymentID and Amount say which payment it is about, and how much of it.
	PaymentID string
	Amount    domain.Money
	// at is the position: that of the order's placing, later for what comes later.
	at int
}

// generator holds the dice and what is for sale.
type generator struct {
	seed     int64
	dice     *rand.Rand
	data     *Data
	byMoney  map[domain.Currency][]ghl.Price
	totals   map[string]domain.Money // by order
	invoices int
}

// currencies with how often they are paid in, of 100, and a range of prices in minor units.
var currencies = []struct {
	code     domain.Currency
	share    int
	from, to int64
}{{"USD", 50, 495, 24_999}, {"EUR", 25, 390, 19_900}, {"JPY", 13, 300, 30_000}, {"KWD", 12, 1_005, 90_125}}

// Generate makes everything that happens in a shop with so many orders.
func Generate(seed int64, orders int) Data {
	g := &generator{seed: seed, data: &Data{}, byMoney: map[domain.Currency][]ghl.Price{},
		totals: map[string]domain.Money{},
		dice:   rand.New(rand.NewPCG(uint64(seed), 0x7a11))} //nolint:gosec // a shop, not a secret
	g.stock()
	for i := range orders/3 + 1 {
		g.customer(i)
	}
	for i := range orders {
		g.sale(i)
	}
	slices.SortStableFunc(g.data.Actions, func(a, b Action) int { return cmp.Compare(a.at, b.at) })
	g.fates()
	return *g.data
}

// id is an object id as HighLevel has them, from seed, kind and number.
func (g *generator) id(kind string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "shop %d %s %d", g.seed, kind, n))
	return hex.EncodeToString(sum[:12])
}

// contactID is 20 letters and digits; letters of both cases, since Sage's where clause doesn't tell them apart.
func (g *generator) contactID(n int) string {
	id := []byte(g.id("contact", n)[:20])
	for i := range id {
		if i%2 == 0 && id[i] >= 'a' {
			id[i] -= 'a' - 'A'
		}
	}
	return string(id)
}

func (g *generator) chance(percent int) bool { return g.dice.IntN(100) < percent }

func (g *generator) between(from, to int64) int64 { return from + g.dice.Int64N(to-from+1) }

func (g *generator) stock() {
	names := []string{"Shirt", "Mug", "Poster", "Course \"Ledgers & Lines\"", "Café table", "Notebook", "Lamp O'Neill", "Stick"}
	types := map[string]string{"Course \"Ledgers & Lines\"": "DIGITAL", "Poster": "PHYSICAL/DIGITAL"}
	for i, name := range names {
		product := ghl.Product{ID: g.id("product", i), Name: name, Type: types[name]}
		g.data.Products = append(g.data.Products, product)
		for _, c := range currencies {
			for _, variant := range []string{"small", "large"} {
				n := len(g.data.Prices)
				price := ghl.Price{ID: g.id("price", n), ProductID: product.ID, Name: variant, SKU: "SKU-" + strconv.Itoa(n),
					Amount: domain.NewMoney(g.between(c.from, c.to), c.code)}
				g.data.Prices = append(g.data.Prices, price)
				g.byMoney[c.code] = append(g.byMoney[c.code], price)
			}
		}
	}
}

func (g *generator) customer(i int) {
	first := []string{"Ada", "Grace", "Alan", "Élodie", "Jürgen", "Zoë", "Ken", "Barbara"}
	last := []string{"Lovelace", "Hopper", "Turing", "O'Brien", "Müller", "Li", "Thompson", "Liskov"}
	c := ghl.Contact{ID: g.contactID(i), FirstName: first[g.dice.IntN(len(first))],
		LastName: last[g.dice.IntN(len(last))], Email: fmt.Sprintf("Buyer%d@Example.com", i),
		Phone: fmt.Sprintf("+1555%07d", i), City: "Ledgerham", Country: "US"}
	switch roll := g.dice.IntN(100); {
	case roll < 12:
		c.Email = ""
	case roll < 15:
		c.LastName = ""
	case roll < 17:
		c.FirstName, c.LastName, c.Email = "", "", ""
	case roll < 25:
		c.CompanyName = c.LastName + " & Co."
	}
	g.data.Customers = append(g.data.Customers, c)
}

// sale makes an order and what becomes of it.
func (g *generator) sale(i int) {
	currency := g.currency()
	order := ghl.NewOrder{ID: g.id("order", i), Currency: currency,
		ContactID: g.data.Customers[g.dice.IntN(len(g.data.Customers))].ID}
	subtotal := domain.NewMoney(0, currency)
	for range 1 + g.dice.IntN(4) {
		price := g.byMoney[currency][g.dice.IntN(len(g.byMoney[currency]))]
		qty := g.between(1, 4)
		order.Lines = append(order.Lines, ghl.NewLine{PriceID: price.ID, Qty: qty})
		subtotal.Minor += qty * price.Amount.Minor
	}
	total := g.charges(&order, subtotal)
	g.totals[order.ID] = total
	if g.chance(15) {
		g.invoices++
		order.InvoiceNumber = strconv.Itoa(1000 + g.invoices)
	}
	at := i * 10
	g.act(at, Action{Kind: Place, OrderID: order.ID})
	g.fate(i, at, &order, total)
	// What becomes of it may have made it a test.
	for n := range g.data.Actions {
		if a := &g.data.Actions[n]; a.Kind == Place && a.OrderID == order.ID {
			a.Order = order
		}
	}
}

func (g *generator) currency() domain.Currency {
	roll := g.dice.IntN(100)
	for _, c := range currencies {
		if roll -= c.share; roll < 0 {
			return c.code
		}
	}
	return currencies[0].code
}

// charges adds discount, coupon, tax and shipping, and gives the total. Whole numbers only, halves rounded up.
func (g *generator) charges(order *ghl.NewOrder, subtotal domain.Money) domain.Money {
	money := func(minor int64) domain.Money { return domain.NewMoney(minor, order.Currency) }
	net := subtotal.Minor
	switch roll := g.dice.IntN(100); {
	case roll < 15: // a percentage, by coupon
		order.Discount, order.CouponCode = money((net*15+50)/100), "FIFTEEN"
	case roll < 22: // a fixed amount, by coupon
		order.Discount, order.CouponCode = money(min(net/2, g.between(1, 777))), "LUCKY"
	case roll < 27: // given by hand
		order.Discount = money(net / 3)
	}
	net -= order.Discount.Minor
	total := net
	switch roll := g.dice.IntN(100); {
	case roll < 25:
		tax := money((net*19 + 50) / 100)
		order.Taxes = []ghl.Tax{{ID: "63770f5cecf298787c752075", Name: "19%", Calculation: "exclusive", Rate: "19", Amount: tax}}
		total += tax.Minor
	case roll < 40:
		tax := money((net*7 + 53) / 107)
		order.Taxes = []ghl.Tax{{ID: "63770f5cecf298787c752076", Name: "7%", Calculation: "inclusive", Rate: "7", Amount: tax}}
	}
	if g.chance(30) {
		order.Shipping = money(g.between(100, 1_999))
		total += order.Shipping.Minor
	}
	return money(total)
}

// fate is what becomes of an order.
func (g *generator) fate(i, at int, order *ghl.NewOrder, total domain.Money) {
	first, second := g.id("payment", 2*i), g.id("payment", 2*i+1)
	part := domain.NewMoney(max(1, total.Minor*g.between(20, 80)/100), total.Currency)
	rest := domain.NewMoney(total.Minor-part.Minor, total.Currency)
	soon, late := at+int(g.between(1, 15)), at+int(g.between(20, 120))
	pay := func(at int, id string, amount domain.Money) {
		g.act(at, Action{Kind: Pay, OrderID: order.ID, PaymentID: id, Amount: amount})
	}
	refund := func(at int, id string, amount domain.Money) {
		g.act(at, Action{Kind: Refund, OrderID: order.ID, PaymentID: id, Amount: amount})
	}
	switch roll := g.dice.IntN(100); {
	case roll < 56:
		pay(soon, first, total)
	case roll < 66: // in two parts
		pay(soon, first, part)
		pay(late, second, rest)
	case roll < 71: // in part, and no more
		pay(soon, first, part)
	case roll < 77:
		pay(soon, first, total)
		refund(late, first, total)
	case roll < 83:
		pay(soon, first, total)
		refund(late, first, part)
		if rest.Minor > 1 && g.chance(50) {
			refund(late+30, first, domain.NewMoney(rest.Minor/2, rest.Currency))
		}
	case roll < 88:
		g.act(soon, Action{Kind: Try, OrderID: order.ID, PaymentID: first, Amount: total})
		pay(late, second, total)
	case roll < 91: // a bank debit
		g.act(soon, Action{Kind: Begin, OrderID: order.ID, PaymentID: first, Amount: total})
		g.act(late, Action{Kind: Settle, OrderID: order.ID, PaymentID: first, Amount: total})
	case roll < 93:
		g.act(soon, Action{Kind: Begin, OrderID: order.ID, PaymentID: first, Amount: total})
	case roll < 95: // never pays
	default:
		order.TestMode = g.chance(50)
		order.MarkAsTest = !order.TestMode
		pay(soon, first, total)
	}
}

func (g *generator) act(at int, a Action) {
	a.at = at
	g.data.Actions = append(g.data.Actions, a)
}
