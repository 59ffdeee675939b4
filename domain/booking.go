package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Booking is what the books must hold for a sale: the plan that is carried out at Sage and compared with it afterwards.
type Booking struct {
	ExtID      string        `json:"extId"`
	Reference  string        `json:"reference"`
	Total      Money         `json:"total"`
	Lines      []BookingLine `json:"lines"`
	Settlement Settlement    `json:"settlement"`
	CouponCode string        `json:"couponCode,omitempty"`
}

// BookingLine is one line of the order in the books. The totals of all lines add up to the booking's total.
type BookingLine struct {
	Product     ProductPlan `json:"product"`
	Description string      `json:"description"`
	Quantity    int64       `json:"quantity"`
	// Price is for one piece; Total is what was charged for the line after its share of the discount.
	Price Money `json:"price"`
	Total Money `json:"total"`
}

// ProductPlan names the product that a line needs, to be found or made.
type ProductPlan struct {
	ExtID string `json:"extId"`
	Name  string `json:"name"`
	Price Money  `json:"price"`
}

// Digest is a short fingerprint of everything the booking says. Equal bookings have equal digests.
func (b Booking) Digest() string {
	data, err := json.Marshal(b)
	if err != nil { // only a PaidAt beyond the year 9999 can cause it
		data = fmt.Appendf(nil, "%+v", b)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// Book plans the booking of a sale so that its lines add up to exactly what was charged. A total that its parts do not
// explain is an ErrMoney.
func Book(s Sale) (Booking, error) {
	settlement, err := s.Settlement()
	if err != nil {
		return Booking{}, err
	}
	lines, err := s.lines()
	if err != nil {
		return Booking{}, err
	}
	booking := Booking{
		ExtID: OrderExtID(s.OrderID), Reference: s.OrderID, Total: s.Total,
		Lines: lines, Settlement: settlement, CouponCode: s.CouponCode,
	}
	if s.InvoiceNumber != "" {
		booking.Reference = s.InvoiceNumber
	}
	return booking, booking.check()
}

func (b Booking) check() error {
	sum := NewMoney(0, b.Total.Currency)
	for _, line := range b.Lines {
		var err error
		if sum, err = sum.Add(line.Total); err != nil {
			return err
		}
	}
	if sum != b.Total {
		return fmt.Errorf("%w: the lines add up to %s, the order to %s", ErrMoney, sum, b.Total)
	}
	return nil
}

// lines turns items, discount, tax and shipping into lines.
func (s Sale) lines() ([]BookingLine, error) {
	if len(s.Items) == 0 {
		return []BookingLine{charge(OtherCharge, "Sale without listed items", s.Total)}, nil
	}
	lines, gross, err := s.itemLines()
	if err != nil {
		return nil, err
	}
	parts, err := s.explain(gross)
	if err != nil {
		return nil, err
	}
	weights := make([]int64, len(lines))
	for i, line := range lines {
		weights[i] = line.Total.Minor
	}
	shares, err := parts.discount.Split(weights)
	if err != nil {
		return nil, err
	}
	for i := range lines {
		if lines[i].Total, err = lines[i].Total.Sub(shares[i]); err != nil {
			return nil, err
		}
	}
	return append(lines, parts.chargeLines()...), nil
}

func (s Sale) itemLines() ([]BookingLine, Money, error) {
	gross := NewMoney(0, s.Currency)
	lines := make([]BookingLine, 0, len(s.Items)+2)
	for _, item := range s.Items {
		if item.Quantity <= 0 || item.Price.Minor < 0 {
			return nil, gross, fmt.Errorf("%w: an item of quantity %d at %s", ErrMoney, item.Quantity, item.Price)
		}
		total, err := item.Price.Times(item.Quantity)
		if err != nil {
			return nil, gross, err
		}
		if gross, err = gross.Add(total); err != nil {
			return nil, gross, err
		}
		lines = append(lines, BookingLine{
			Product: item.product(), Description: item.Name, Quantity: item.Quantity, Price: item.Price, Total: total,
		})
	}
	return lines, gross, nil
}

func (i Item) product() ProductPlan {
	plan := ProductPlan{ExtID: ChargeExtID(OtherCharge), Name: chargeNames[OtherCharge], Price: NewMoney(0, i.Price.Currency)}
	switch {
	case i.PriceID != "":
		plan = ProductPlan{ExtID: PriceExtID(i.PriceID), Name: i.Name, Price: i.Price}
	case i.ProductID != "":
		plan = ProductPlan{ExtID: ProductExtID(i.ProductID), Name: i.Name, Price: i.Price}
	}
	return plan
}

// explanation splits a total into the parts that the lines show.
type explanation struct {
	discount, tax, shipping, other Money
}

// explain finds how the total follows from the items: with tax on top, with tax already in the prices, or, where the
// source gives neither tax nor shipping (HighLevel documents them on webhooks only), with the rest as one charge that
// is not itemised (A14, A15). What else does not add up is a person's to judge.
func (s Sale) explain(gross Money) (explanation, error) {
	zero := NewMoney(0, s.Currency)
	parts := explanation{discount: zero, tax: zero, shipping: zero, other: zero}
	if c := s.Charges.Subtotal; c != nil && *c != gross {
		return parts, fmt.Errorf("%w: the items add up to %s, the source's subtotal is %s", ErrMoney, gross, *c)
	}
	parts.discount, parts.tax, parts.shipping = or(s.Charges.Discount, zero), or(s.Charges.Tax, zero), or(s.Charges.Shipping, zero)
	if parts.discount.Minor < 0 || parts.discount.Minor > gross.Minor || parts.tax.Minor < 0 || parts.shipping.Minor < 0 {
		return parts, fmt.Errorf("%w: discount %s, tax %s and shipping %s on items of %s",
			ErrMoney, parts.discount, parts.tax, parts.shipping, gross)
	}
	net, err := Sum(s.Currency, gross, Money{-parts.discount.Minor, parts.discount.Currency}, parts.shipping)
	if err != nil {
		return parts, err
	}
	onTop, err := net.Add(parts.tax)
	if err != nil {
		return parts, err
	}
	rest := s.Total.Minor - net.Minor
	switch {
	case s.Total == onTop:
		return parts, nil
	case s.Total == net:
		parts.tax = zero
		return parts, nil
	case s.Charges.Tax == nil && s.Charges.Shipping == nil && rest > 0:
		parts.other = NewMoney(rest, s.Currency)
		return parts, nil
	case s.Charges.Discount == nil && rest < 0 && -rest <= gross.Minor && parts.tax.IsZero():
		parts.discount = NewMoney(-rest, s.Currency)
		return parts, nil
	}
	return parts, fmt.Errorf("%w: items of %s less discount %s plus tax %s and shipping %s do not make the total %s",
		ErrMoney, gross, parts.discount, parts.tax, parts.shipping, s.Total)
}

func (e explanation) chargeLines() []BookingLine {
	var lines []BookingLine
	if !e.tax.IsZero() {
		lines = append(lines, charge(TaxCharge, "Tax", e.tax))
	}
	if !e.shipping.IsZero() {
		lines = append(lines, charge(ShippingCharge, "Shipping", e.shipping))
	}
	if !e.other.IsZero() {
		lines = append(lines, charge(OtherCharge, "Taxes and charges not itemised", e.other))
	}
	return lines
}

var chargeNames = map[ChargeKind]string{
	TaxCharge: "Tax", ShippingCharge: "Shipping", OtherCharge: "Other charges",
}

func charge(kind ChargeKind, description string, amount Money) BookingLine {
	return BookingLine{
		Product:     ProductPlan{ExtID: ChargeExtID(kind), Name: chargeNames[kind], Price: NewMoney(0, amount.Currency)},
		Description: description, Quantity: 1, Price: amount, Total: amount,
	}
}

func or(given *Money, fallback Money) Money {
	if given == nil {
		return fallback
	}
	return *given
}
