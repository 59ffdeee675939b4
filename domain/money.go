package domain

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"

	gomoney "github.com/Rhymond/go-money"
	"github.com/govalues/decimal"
)

// ErrMoney is the root of every error about an amount or a currency that cannot be taken as it stands. Such a sale is
// never guessed at: it is parked for a person.
var ErrMoney = errors.New("money does not fit")

// maxNumberLength bounds the text of a number. The largest amount an int64 of minor units can hold has 19 digits; the
// rest is room for a sign, a point, an exponent and zeros.
const maxNumberLength = 40

// Currency is an ISO 4217 code in capitals, such as "EUR". The empty value means that the source named none.
type Currency string

// ParseCurrency reads an ISO 4217 code in any case, as HighLevel writes both "USD" and "usd".
// An unknown code is an ErrMoney.
func ParseCurrency(code string) (Currency, error) {
	c := Currency(strings.ToUpper(strings.TrimSpace(code)))
	if c == "" {
		return "", fmt.Errorf("%w: no currency is given", ErrMoney)
	}
	if len(c) != 3 || gomoney.GetCurrency(string(c)) == nil {
		return "", fmt.Errorf("%w: %q is no ISO 4217 currency", ErrMoney, clip(code, 12))
	}
	return c, nil
}

// Exponent is the number of decimal places of the currency's minor unit: 0 for JPY, 2 for EUR, 3 for KWD.
// It is 2 for a code that ParseCurrency would not accept.
func (c Currency) Exponent() int {
	if known := gomoney.GetCurrency(string(c)); known != nil {
		return known.Fraction
	}
	return 2
}

// Money is an exact amount: an integer count of minor units of one currency. The zero value is nothing of no currency.
type Money struct {
	Minor    int64    `json:"minor"`
	Currency Currency `json:"currency"`
}

// NewMoney makes an amount from minor units.
func NewMoney(minor int64, currency Currency) Money { return Money{Minor: minor, Currency: currency} }

// ParseMoney reads a decimal number of major units, such as "150.1", exactly. More decimal places than the currency
// has, unless they are zeros, are an ErrMoney, and so is a number beyond int64 minor units.
func ParseMoney(number Number, currency Currency) (Money, error) {
	d, err := number.decimal()
	if err != nil {
		return Money{}, err
	}
	exp := currency.Exponent()
	trimmed := d.Trim(exp)
	if trimmed.Scale() > exp {
		return Money{}, fmt.Errorf("%w: %s has more decimal places than %s allows (%d)", ErrMoney, number, currency, exp)
	}
	minor, ok := minorUnits(trimmed.Pad(exp), exp)
	if !ok {
		return Money{}, fmt.Errorf("%w: %s %s is too large", ErrMoney, number, currency)
	}
	return Money{Minor: minor, Currency: currency}, nil
}

func minorUnits(d decimal.Decimal, exp int) (int64, bool) {
	if d.Scale() != exp || d.Coef() > math.MaxInt64 {
		return 0, false
	}
	minor := int64(d.Coef()) // bounded by the line above
	if d.IsNeg() {
		minor = -minor
	}
	return minor, true
}

// Decimal is the amount in major units with exactly the currency's decimal places, such as "150.10" or "1500".
func (m Money) Decimal() Number {
	d, err := decimal.New(m.Minor, m.Currency.Exponent())
	if err != nil { // only a scale beyond 19 can cause it, which no currency has
		return Number(fmt.Sprint(m.Minor))
	}
	return Number(d.String())
}

// String is for people: "150.10 USD".
func (m Money) String() string { return m.Decimal().String() + " " + string(m.Currency) }

// IsZero tells whether the amount is nothing, of whatever currency.
func (m Money) IsZero() bool { return m.Minor == 0 }

// Add sums two amounts of one currency. Another currency or an overflow is an ErrMoney.
func (m Money) Add(o Money) (Money, error) {
	if err := m.sameCurrency(o); err != nil {
		return Money{}, err
	}
	sum := m.Minor + o.Minor
	if (sum > m.Minor) != (o.Minor > 0) && o.Minor != 0 {
		return Money{}, fmt.Errorf("%w: the sum of %s and %s is too large", ErrMoney, m, o)
	}
	return Money{Minor: sum, Currency: m.Currency}, nil
}

// Sub takes o from m. Another currency or an overflow is an ErrMoney.
func (m Money) Sub(o Money) (Money, error) {
	if o.Minor == math.MinInt64 {
		return Money{}, fmt.Errorf("%w: %s is too large", ErrMoney, o)
	}
	return m.Add(Money{Minor: -o.Minor, Currency: o.Currency})
}

// Times multiplies by a whole quantity. An overflow is an ErrMoney.
func (m Money) Times(quantity int64) (Money, error) {
	if quantity != 0 && m.Minor != 0 {
		product := m.Minor * quantity
		if product/quantity != m.Minor || (m.Minor == math.MinInt64 && quantity == -1) {
			return Money{}, fmt.Errorf("%w: %d times %s is too large", ErrMoney, quantity, m)
		}
		return Money{Minor: product, Currency: m.Currency}, nil
	}
	return Money{Currency: m.Currency}, nil
}

func (m Money) sameCurrency(o Money) error {
	if m.Currency != o.Currency {
		return fmt.Errorf("%w: %s and %s are different currencies", ErrMoney, m, o)
	}
	return nil
}

// Sum adds amounts that must all be of the given currency.
func Sum(currency Currency, amounts ...Money) (Money, error) {
	total := Money{Currency: currency}
	for _, a := range amounts {
		var err error
		if total, err = total.Add(a); err != nil {
			return Money{}, err
		}
	}
	return total, nil
}

// Split shares an amount in proportion to weights, to the last minor unit: the shares sum up to the amount. Left-over
// units go to the largest remainders, the earlier first. Weights must not be negative; if all are zero the first share
// takes everything.
func (m Money) Split(weights []int64) ([]Money, error) {
	shares := make([]Money, len(weights))
	var total int64
	for _, w := range weights {
		if w < 0 || total > math.MaxInt64-w {
			return nil, fmt.Errorf("%w: %s cannot be shared by negative or huge weights", ErrMoney, m)
		}
		total += w
	}
	for i := range shares {
		shares[i].Currency = m.Currency
	}
	if len(shares) == 0 || total == 0 {
		if len(shares) > 0 {
			shares[0] = m
		}
		return shares, nil
	}
	spread(m.Minor, weights, total, shares)
	return shares, nil
}

// Number is a decimal number as its source wrote it, never passed through a float. It decodes from a JSON number, from
// a quoted JSON number (HighLevel writes both) and from null, which leaves it empty, and encodes as a JSON number.
type Number string

// String is the number as its source wrote it, or "0" when the source gave none.
func (n Number) String() string {
	if n == "" {
		return "0"
	}
	return string(n)
}

// IsSet tells a number, zero included, from an absent one.
func (n Number) IsSet() bool { return n != "" }

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(data []byte) error {
	text := strings.TrimSpace(string(data))
	if text == "null" {
		*n = ""
		return nil
	}
	if strings.HasPrefix(text, `"`) {
		var quoted string
		if err := json.Unmarshal(data, &quoted); err != nil {
			return fmt.Errorf("%w: %q is no number", ErrMoney, clip(text, maxNumberLength))
		}
		text = strings.TrimSpace(quoted)
		if text == "" {
			*n = ""
			return nil
		}
	}
	parsed := Number(text)
	if _, err := parsed.decimal(); err != nil {
		return err
	}
	*n = parsed
	return nil
}

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	d, err := n.decimal()
	if err != nil {
		return nil, err
	}
	return []byte(d.String()), nil
}

// Int64 is the number as a whole number, and false when it is none: 2 and 2.0 are whole, 2.5 is not.
func (n Number) Int64() (int64, bool) {
	d, err := n.decimal()
	if err != nil {
		return 0, false
	}
	return minorUnits(d.Trim(0), 0)
}

// Equal compares by value: 10, 10.0 and 10.00 are equal, and an absent number equals zero.
func (n Number) Equal(o Number) bool {
	a, errA := n.decimal()
	b, errB := o.decimal()
	return errA == nil && errB == nil && a.Equal(b)
}

func (n Number) decimal() (decimal.Decimal, error) {
	text := n.String()
	if len(text) > maxNumberLength {
		return decimal.Decimal{}, fmt.Errorf("%w: %q is too long a number", ErrMoney, clip(text, maxNumberLength))
	}
	d, err := decimal.Parse(text)
	if err != nil {
		return decimal.Decimal{}, fmt.Errorf("%w: %q is no number", ErrMoney, text)
	}
	if !holds(d, text) {
		return decimal.Decimal{}, fmt.Errorf("%w: %q has more digits than can be kept", ErrMoney, text)
	}
	return d, nil
}

// holds tells whether d is the number in text to the last digit: beyond 19 digits, or 19 decimal places, the decimal
// library rounds without a word, and 1e-20 would become nothing. The text has passed that library's parser, which
// bounds the exponent and so the size of the fractions made here.
func holds(d decimal.Decimal, text string) bool {
	written, ok := new(big.Rat).SetString(text)
	if !ok {
		return false
	}
	kept, ok := new(big.Rat).SetString(d.String())
	return ok && written.Cmp(kept) == 0
}

// clip shortens a foreign text for an error. It may cut a rune in two, so print it with %q: an error whose text is no
// UTF-8 cannot be carried by protobuf, and Temporal would lose it.
func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}
