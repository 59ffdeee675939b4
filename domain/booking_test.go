package domain_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/domain"
)

func item(price string, quantity, each int64) domain.Item {
	return domain.Item{PriceID: price, ProductID: "prod-" + price, Name: "ware " + price, Quantity: quantity, Price: usd(each)}
}

func itemSale(total int64, items ...domain.Item) domain.Sale {
	sale := saleOf(total)
	sale.Items = items
	return sale
}

// given is an amount that the source wrote, as opposed to one it left out.
func given(minor int64) *domain.Money {
	m := usd(minor)
	return &m
}

// totals maps each line's product to its total.
func totals(b domain.Booking) map[string]int64 {
	got := make(map[string]int64)
	for _, line := range b.Lines {
		got[line.Product.ExtID] += line.Total.Minor
	}
	return got
}

func TestBook(t *testing.T) {
	const p1, p2 = "ghl:price:p1", "ghl:price:p2"
	const tax, shipping, other = "ghl:charge:tax", "ghl:charge:shipping", "ghl:charge:other"
	for _, row := range []struct {
		name    string
		total   int64
		charges domain.Charges
		items   []domain.Item
		want    map[string]int64
	}{
		{"items alone", 500, domain.Charges{}, []domain.Item{item("p1", 2, 100), item("p2", 1, 300)}, map[string]int64{p1: 200, p2: 300}},
		{
			"a subtotal that agrees", 500, domain.Charges{Subtotal: given(500)},
			[]domain.Item{item("p1", 2, 100), item("p2", 1, 300)},
			map[string]int64{p1: 200, p2: 300},
		},
		{
			"a discount is spread by value", 450, domain.Charges{Discount: given(50)},
			[]domain.Item{item("p1", 2, 100), item("p2", 1, 300)},
			map[string]int64{p1: 180, p2: 270},
		},
		{
			"to the last cent", 190, domain.Charges{Discount: given(10)},
			[]domain.Item{item("p1", 1, 67), item("p2", 1, 133)},
			map[string]int64{p1: 64, p2: 126},
		},
		{
			"a discount of everything", 0, domain.Charges{Discount: given(500)},
			[]domain.Item{item("p1", 2, 100), item("p2", 1, 300)},
			map[string]int64{p1: 0, p2: 0},
		},
		{
			"a discount on wares that cost nothing", 0, domain.Charges{Discount: given(0)},
			[]domain.Item{item("p1", 1, 0)},
			map[string]int64{p1: 0},
		},
		{"tax on top", 119, domain.Charges{Tax: given(19)}, []domain.Item{item("p1", 1, 100)}, map[string]int64{p1: 100, tax: 19}},
		{"tax in the prices", 119, domain.Charges{Tax: given(19)}, []domain.Item{item("p1", 1, 119)}, map[string]int64{p1: 119}},
		{"no tax", 100, domain.Charges{Tax: given(0)}, []domain.Item{item("p1", 1, 100)}, map[string]int64{p1: 100}},
		{"shipping", 105, domain.Charges{Shipping: given(5)}, []domain.Item{item("p1", 1, 100)}, map[string]int64{p1: 100, shipping: 5}},
		{
			"discount, tax on top and shipping", 114, domain.Charges{Discount: given(10), Tax: given(19), Shipping: given(5)},
			[]domain.Item{item("p1", 1, 100)},
			map[string]int64{p1: 90, tax: 19, shipping: 5},
		},
		{
			"discount, tax in the prices and shipping", 95, domain.Charges{Discount: given(10), Tax: given(15), Shipping: given(5)},
			[]domain.Item{item("p1", 1, 100)},
			map[string]int64{p1: 90, shipping: 5},
		},
		{"charges that nobody itemised", 124, domain.Charges{}, []domain.Item{item("p1", 1, 100)}, map[string]int64{p1: 100, other: 24}},
		{
			"charges not itemised beside a discount", 104, domain.Charges{Discount: given(10)},
			[]domain.Item{item("p1", 1, 100)},
			map[string]int64{p1: 90, other: 14},
		},
		{"a discount that nobody named", 75, domain.Charges{}, []domain.Item{item("p1", 1, 100)}, map[string]int64{p1: 75}},
		{
			"a discount that nobody named, with shipping", 80, domain.Charges{Shipping: given(5)},
			[]domain.Item{item("p1", 1, 100)},
			map[string]int64{p1: 75, shipping: 5},
		},
		{"no items", 100, domain.Charges{}, nil, map[string]int64{other: 100}},
		{"no items and nothing to pay", 0, domain.Charges{}, nil, map[string]int64{other: 0}},
	} {
		t.Run(row.name, func(t *testing.T) {
			sale := itemSale(row.total, row.items...)
			sale.Charges = row.charges
			booking, err := domain.Book(sale)
			require.NoError(t, err)
			assert.Equal(t, row.want, totals(booking))
			consistent(t, sale, booking)
		})
	}
}

func TestBookRefuses(t *testing.T) {
	wide, euro := item("p2", 1, 100), item("p2", 1, 100)
	wide.Quantity, euro.Price.Currency = math.MaxInt64, "EUR"
	euros := domain.NewMoney(5, "EUR")
	for _, row := range []struct {
		name    string
		total   int64
		charges domain.Charges
		items   []domain.Item
	}{
		{"quantity zero", 100, domain.Charges{}, []domain.Item{item("p1", 0, 100)}},
		{"a negative quantity", 100, domain.Charges{}, []domain.Item{item("p1", -1, 100)}},
		{"a negative price", 100, domain.Charges{}, []domain.Item{item("p1", 1, 200), item("p2", 1, -100)}},
		{"a subtotal that disagrees", 100, domain.Charges{Subtotal: given(99)}, []domain.Item{item("p1", 1, 100)}},
		{"a subtotal in another currency", 5, domain.Charges{Subtotal: &euros}, []domain.Item{item("p1", 1, 5)}},
		{"a negative discount", 110, domain.Charges{Discount: given(-10)}, []domain.Item{item("p1", 1, 100)}},
		{"a discount beyond the items", 0, domain.Charges{Discount: given(101)}, []domain.Item{item("p1", 1, 100)}},
		{"a negative tax", 90, domain.Charges{Tax: given(-10)}, []domain.Item{item("p1", 1, 100)}},
		{"a negative shipping", 90, domain.Charges{Shipping: given(-10)}, []domain.Item{item("p1", 1, 100)}},
		{"a discount in another currency", 95, domain.Charges{Discount: &euros}, []domain.Item{item("p1", 1, 100)}},
		{"a tax in another currency", 105, domain.Charges{Tax: &euros}, []domain.Item{item("p1", 1, 100)}},
		{"a shipping in another currency", 105, domain.Charges{Shipping: &euros}, []domain.Item{item("p1", 1, 100)}},
		{"an item in another currency", 200, domain.Charges{}, []domain.Item{item("p1", 1, 100), euro}},
		{"a rest above a given tax", 120, domain.Charges{Tax: given(19)}, []domain.Item{item("p1", 1, 100)}},
		{"a rest below a given tax", 110, domain.Charges{Tax: given(19)}, []domain.Item{item("p1", 1, 100)}},
		{"a rest below the items with a given tax", 90, domain.Charges{Tax: given(19)}, []domain.Item{item("p1", 1, 100)}},
		{"a rest above a given shipping", 106, domain.Charges{Shipping: given(5)}, []domain.Item{item("p1", 1, 100)}},
		{"a rest below a given discount", 80, domain.Charges{Discount: given(10)}, []domain.Item{item("p1", 1, 100)}},
		{"a total that not even shipping explains", 4, domain.Charges{Shipping: given(105)}, []domain.Item{item("p1", 1, 100)}},
		{"items beyond any integer", 100, domain.Charges{}, []domain.Item{item("p1", 1, 100), wide}},
		{"charges beyond any integer", 100, domain.Charges{Tax: given(math.MaxInt64)}, []domain.Item{item("p1", 1, 100)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			sale := itemSale(row.total, row.items...)
			sale.Charges = row.charges
			_, err := domain.Book(sale)
			require.ErrorIs(t, err, domain.ErrMoney)
		})
	}
}

func TestBookNamesTheOrder(t *testing.T) {
	sale := itemSale(100, item("p1", 1, 100))
	sale.CouponCode = "SPRING"
	booking, err := domain.Book(sale)
	require.NoError(t, err)
	assert.Equal(t, "ghl:order:ord", booking.ExtID)
	assert.Equal(t, "ord", booking.Reference)
	assert.Equal(t, "SPRING", booking.CouponCode)
	assert.Equal(t, usd(100), booking.Total)
	assert.Equal(t, domain.Unpaid, booking.Settlement.State)

	sale.InvoiceNumber = "INV-7"
	booking, err = domain.Book(sale)
	require.NoError(t, err)
	assert.Equal(t, "INV-7", booking.Reference, "people know an invoice by its number")
	assert.Equal(t, "ghl:order:ord", booking.ExtID)
}

func TestBookNamesTheProducts(t *testing.T) {
	price := item("p1", 1, 10)
	product := domain.Item{ProductID: "d2", Name: "no price of record", Quantity: 1, Price: usd(20)}
	adHoc := domain.Item{Name: "typed in by hand", Quantity: 3, Price: usd(30)}
	booking, err := domain.Book(itemSale(120, price, product, adHoc))
	require.NoError(t, err)
	assert.Equal(t, []domain.ProductPlan{
		{ExtID: "ghl:price:p1", Name: "ware p1", Price: usd(10)},
		{ExtID: "ghl:product:d2", Name: "no price of record", Price: usd(20)},
		{ExtID: "ghl:charge:other", Name: "Other charges", Price: usd(0)},
	}, []domain.ProductPlan{booking.Lines[0].Product, booking.Lines[1].Product, booking.Lines[2].Product})
	assert.Equal(t, "typed in by hand", booking.Lines[2].Description, "the line keeps the name that its product has not")
	assert.Equal(t, usd(30), booking.Lines[2].Price)
	assert.Equal(t, int64(3), booking.Lines[2].Quantity)
}

// consistent is what must hold for the booking of any sale.
func consistent(t require.TestingT, sale domain.Sale, booking domain.Booking) {
	sum := domain.NewMoney(0, sale.Currency)
	for _, line := range booking.Lines {
		require.GreaterOrEqual(t, line.Total.Minor, int64(0), "%+v", line)
		require.GreaterOrEqual(t, line.Quantity, int64(1))
		require.NotEmpty(t, line.Product.ExtID)
		full, err := line.Price.Times(line.Quantity)
		require.NoError(t, err)
		require.LessOrEqual(t, line.Total.Minor, full.Minor, "a discount never adds")
		sum, err = sum.Add(line.Total)
		require.NoError(t, err)
	}
	require.Equal(t, sale.Total, sum)
	require.Equal(t, sale.Total, booking.Total)
	require.GreaterOrEqual(t, len(booking.Lines), max(1, len(sale.Items)))
}

// anySale draws a sale whose parts make its total, in each of the ways in which sources explain one.
func anySale(t *rapid.T) domain.Sale {
	currency := rapid.SampledFrom(currencies).Draw(t, "currency")
	money := func(minor int64) domain.Money { return domain.NewMoney(minor, currency) }
	amount := func(label string) int64 { return rapid.Int64Range(0, 100_000).Draw(t, label) }
	sale := domain.Sale{Location: "loc", OrderID: "ord", Currency: currency, CreatedAt: noon, UpdatedAt: noon}
	var gross int64
	for i := range rapid.IntRange(1, 6).Draw(t, "items") {
		quantity := rapid.Int64Range(1, 12).Draw(t, "quantity")
		each := amount("price")
		sale.Items = append(sale.Items, domain.Item{PriceID: fmt.Sprint("p", i%4), Name: "x", Quantity: quantity, Price: money(each)})
		gross += quantity * each
	}
	discount := rapid.Int64Range(0, gross).Draw(t, "discount")
	tax, shipping := amount("tax"), amount("shipping")
	set := func(at **domain.Money, minor int64) { m := money(minor); *at = &m }
	switch rapid.SampledFrom([]string{"on top", "included", "not itemised", "implied discount"}).Draw(t, "how") {
	case "on top":
		set(&sale.Charges.Discount, discount)
		set(&sale.Charges.Tax, tax)
		set(&sale.Charges.Shipping, shipping)
		sale.Total = money(gross - discount + tax + shipping)
	case "included":
		set(&sale.Charges.Subtotal, gross)
		set(&sale.Charges.Discount, discount)
		set(&sale.Charges.Tax, tax)
		set(&sale.Charges.Shipping, shipping)
		sale.Total = money(gross - discount + shipping)
	case "not itemised":
		set(&sale.Charges.Discount, discount)
		sale.Total = money(gross - discount + tax)
	case "implied discount":
		set(&sale.Charges.Shipping, shipping)
		sale.Total = money(gross - discount + shipping)
	}
	if paid := rapid.Int64Range(0, sale.Total.Minor).Draw(t, "paid"); paid > 0 {
		sale.Payments = []domain.Payment{{
			ID: "a", Clearing: domain.Settled, Amount: money(paid), Refunded: money(rapid.Int64Range(0, paid).Draw(t, "refunded")), At: noon,
		}}
	}
	return sale
}

func TestLinesOfAnySaleAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sale := anySale(t)
		before, err := json.Marshal(sale)
		require.NoError(t, err)
		booking, err := domain.Book(sale)
		require.NoError(t, err)
		consistent(t, sale, booking)

		again, err := domain.Book(sale)
		require.NoError(t, err)
		require.Equal(t, booking.Digest(), again.Digest(), "the plan of one sale is one plan")
		after, err := json.Marshal(sale)
		require.NoError(t, err)
		require.Equal(t, string(before), string(after), "the sale is left as it was")

		data, err := json.Marshal(booking)
		require.NoError(t, err)
		var carried domain.Booking
		require.NoError(t, json.Unmarshal(data, &carried))
		require.Equal(t, booking.Digest(), carried.Digest(), "a booking that went through a payload is the same booking")
	})
}

// TestNoSaleIsBookedWrong draws parts and a total that know nothing of each other: most are refused, and what is booked
// adds up.
func TestNoSaleIsBookedWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Int64Range(-2, 12)
		maybe := rapid.Custom(func(t *rapid.T) *domain.Money {
			if rapid.Bool().Draw(t, "given") {
				return given(small.Draw(t, "amount"))
			}
			return nil
		})
		sale := saleOf(small.Draw(t, "total"))
		sale.Charges = domain.Charges{
			Subtotal: maybe.Draw(t, "subtotal"), Discount: maybe.Draw(t, "discount"),
			Tax: maybe.Draw(t, "tax"), Shipping: maybe.Draw(t, "shipping"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			sale.Items = append(sale.Items, item("p", small.Draw(t, "quantity"), small.Draw(t, "price")))
		}
		booking, err := domain.Book(sale)
		if err != nil {
			require.ErrorIs(t, err, domain.ErrMoney)
			return
		}
		consistent(t, sale, booking)
	})
}

func TestDigestIsOfOneInstantWhateverItsZone(t *testing.T) {
	sale := saleOf(100, pay("a", domain.Settled, 100, 0))
	first, err := domain.Book(sale)
	require.NoError(t, err)
	sale.Payments[0].At = noon.In(time.FixedZone("CET", 3600))
	second, err := domain.Book(sale)
	require.NoError(t, err)
	assert.Equal(t, first.Digest(), second.Digest())
	assert.Regexp(t, `^[0-9a-f]{32}$`, first.Digest())
}

func TestDigestOfATimeThatJSONCannotWrite(t *testing.T) {
	far := domain.Booking{ExtID: "a", Settlement: domain.Settlement{PaidAt: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}}
	farther := far
	farther.ExtID = "b"
	assert.NotEqual(t, far.Digest(), farther.Digest())
	assert.Len(t, far.Digest(), 32)
}

// TestDigestFeelsEveryField changes one field after the other, found by reflection, so that a new field cannot be
// forgotten: a change that the digest misses would never be brought to Sage.
func TestDigestFeelsEveryField(t *testing.T) {
	sample := func() domain.Booking {
		sale := itemSale(100, item("p1", 1, 100))
		sale.Payments = []domain.Payment{pay("a", domain.Settled, 100, 0)}
		sale.CouponCode = "SPRING"
		booking, err := domain.Book(sale)
		require.NoError(t, err)
		return booking
	}
	original := sample().Digest()
	changed := 0
	for i := 0; ; i++ {
		booking := sample()
		left := i
		name := changeLeaf(reflect.ValueOf(&booking).Elem(), "Booking", &left)
		if name == "" {
			break
		}
		changed++
		assert.NotEqual(t, original, booking.Digest(), "%s was changed and the digest does not know", name)
	}
	assert.Equal(t, 22, changed, "the fields of a booking with one line and one payment; a new field belongs in this count")

	booking := sample()
	booking.Lines = append(booking.Lines, booking.Lines[0])
	assert.NotEqual(t, original, booking.Digest())
	booking.Lines = nil
	assert.NotEqual(t, original, booking.Digest())
}

// changeLeaf changes the field number *left, counted depth first, and answers with its name; "" when there is none.
func changeLeaf(v reflect.Value, name string, left *int) string {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		return changeIf(left, name, func() { v.Set(reflect.ValueOf(noon.Add(time.Nanosecond))) })
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if found := changeLeaf(v.Field(i), name+"."+v.Type().Field(i).Name, left); found != "" {
				return found
			}
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			if found := changeLeaf(v.Index(i), fmt.Sprintf("%s[%d]", name, i), left); found != "" {
				return found
			}
		}
	case v.Kind() == reflect.String:
		return changeIf(left, name, func() { v.SetString(v.String() + "!") })
	case v.Kind() == reflect.Int64:
		return changeIf(left, name, func() { v.SetInt(v.Int() + 1) })
	default:
		panic("no rule for " + name + " of kind " + v.Kind().String())
	}
	return ""
}

func changeIf(left *int, name string, change func()) string {
	if *left--; *left >= 0 {
		return ""
	}
	change()
	return name
}
