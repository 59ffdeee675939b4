package domain_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/domain"
)

// currencies has one currency for each exponent that ISO 4217 knows.
var currencies = []domain.Currency{"JPY", "EUR", "KWD", "CLF"}

func TestExponentsAreThoseOfISO4217(t *testing.T) {
	byExponent := map[int]string{
		0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
		2: "EUR USD GBP CHF AUD CAD MXN BRL INR ZAR SEK PLN CZK HUF TRY AED IDR COP MGA",
		3: "BHD IQD JOD KWD LYD OMR TND",
		4: "CLF",
	}
	for exponent, codes := range byExponent {
		for _, code := range strings.Fields(codes) {
			currency, err := domain.ParseCurrency(code)
			require.NoError(t, err, code)
			assert.Equal(t, exponent, currency.Exponent(), code)
		}
	}
}

func TestParseCurrency(t *testing.T) {
	for given, want := range map[string]domain.Currency{
		"USD": "USD", "usd": "USD", " Eur ": "EUR", "jpy\n": "JPY",
		"": "", "  ": "", "US": "", "USDT": "", "ZZZ": "", "$": "", "€": "", "US\x00": "", "840": "",
	} {
		got, err := domain.ParseCurrency(given)
		assert.Equal(t, want, got, "%q", given)
		if want == "" {
			assert.ErrorIs(t, err, domain.ErrMoney, "%q", given)
		} else {
			assert.NoError(t, err, "%q", given)
		}
	}
}

func TestParseMoney(t *testing.T) {
	const refused = math.MinInt64 // no amount parses to it
	for _, row := range []struct {
		number   domain.Number
		currency domain.Currency
		minor    int64
	}{
		{"150.1", "USD", 15010},
		{"150.10", "USD", 15010},
		{"150.1000", "USD", 15010},
		{"150.101", "USD", refused},
		{"150", "USD", 15000},
		{"0.01", "USD", 1},
		{"0.001", "USD", refused},
		{"-12.34", "USD", -1234},
		{"-0", "USD", 0},
		{"-0.00", "USD", 0},
		{"", "USD", 0},
		{"+1", "USD", 100},
		{"1e3", "USD", 100000},
		{"1.5E+1", "USD", 1500},
		{"15e-1", "USD", 150},
		{"15e-3", "USD", refused},
		{"0.29999999999999998", "USD", refused},
		{"0.30000000000000004", "USD", refused},

		{"1500", "JPY", 1500},
		{"1500.00", "JPY", 1500},
		{"1500.5", "JPY", refused},
		{"1.234", "KWD", 1234},
		{"1.2345", "KWD", refused},
		{"1.2345", "CLF", 12345},
		{"1.23456", "CLF", refused},

		{"92233720368547758.07", "USD", math.MaxInt64},
		{"-92233720368547758.07", "USD", -math.MaxInt64},
		{"92233720368547758.08", "USD", refused},
		{"9223372036854775807", "JPY", math.MaxInt64},
		{"9223372036854775808", "JPY", refused},
		{"1e17", "USD", refused},
		{"1e30", "USD", refused},
		{"1e999999999999", "USD", refused},
		{"1e-999999999999", "USD", refused},

		// Beyond 19 decimal places the decimal library rounds silently: none of these is nothing or a whole number.
		{"1e-20", "USD", refused},
		{"1e-330", "USD", refused},
		{"0.00000000000000000001", "USD", refused},
		{"5.00000000000000000000000000001", "USD", refused},
		{"12345678901234567890123456789012345678901", "USD", refused},
		{domain.Number("1." + strings.Repeat("0", 500)), "USD", refused},

		{"NaN", "USD", refused},
		{"Infinity", "USD", refused},
		{"-inf", "USD", refused},
		{"0x10", "USD", refused},
		{"0b1", "USD", refused},
		{"1_000", "USD", refused},
		{"1,000.00", "USD", refused},
		{"1/2", "USD", refused},
		{"1.2.3", "USD", refused},
		{"--1", "USD", refused},
		{"1e", "USD", refused},
		{"e1", "USD", refused},
		{"-", "USD", refused},
		{".", "USD", refused},
		{"$5", "USD", refused},
		{"٣", "USD", refused},
		{" 1", "USD", refused},
	} {
		t.Run(string(row.currency)+" "+string(row.number), func(t *testing.T) {
			money, err := domain.ParseMoney(row.number, row.currency)
			if row.minor == refused {
				assert.ErrorIs(t, err, domain.ErrMoney)
				assert.Zero(t, money)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, domain.NewMoney(row.minor, row.currency), money)
		})
	}
}

func TestDecimal(t *testing.T) {
	for want, money := range map[string]domain.Money{
		"150.10":               {Minor: 15010, Currency: "USD"},
		"0.00":                 {Minor: 0, Currency: "USD"},
		"-0.05":                {Minor: -5, Currency: "USD"},
		"1500":                 {Minor: 1500, Currency: "JPY"},
		"1.500":                {Minor: 1500, Currency: "KWD"},
		"0.1500":               {Minor: 1500, Currency: "CLF"},
		"92233720368547758.07": {Minor: math.MaxInt64, Currency: "EUR"},
		"-9223372036854775808": {Minor: math.MinInt64, Currency: "JPY"},
	} {
		assert.Equal(t, want, string(money.Decimal()))
		assert.Equal(t, want+" "+string(money.Currency), money.String())
	}
}

func TestNumberJSON(t *testing.T) {
	for _, row := range []struct{ given, want string }{ // want is the JSON it encodes to; empty means refused
		{`12.5`, `12.5`}, {`"12.5"`, `12.5`}, {`" 12.50 "`, `12.50`}, {`"\u0031"`, `1`}, {`-3`, `-3`},
		{`1e3`, `1000`}, {`1E-2`, `0.01`}, {`"+1"`, `1`}, {`".5"`, `0.5`}, {`"5."`, `5`}, {`-0`, `0`}, {`"007"`, `7`},
		{`null`, `0`}, {`""`, `0`}, {`"   "`, `0`},
		{`true`, ``}, {`{}`, ``}, {`[1]`, ``}, {`"null"`, ``}, {`"12 EUR"`, ``}, {`"NaN"`, ``}, {`"Infinity"`, ``},
		{`"0x1F"`, ``}, {`"1_000"`, ``}, {`"1,5"`, ``}, {`1e-20`, ``}, {`1e400`, ``},
		{`0.1234567890123456789012`, ``}, {`123456789012345678901234567890123456789012345`, ``},
	} {
		t.Run(row.given, func(t *testing.T) {
			number := domain.Number("99") // decoding must replace what was there
			err := json.Unmarshal([]byte(row.given), &number)
			if row.want == "" {
				assert.ErrorIs(t, err, domain.ErrMoney)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, row.want != "0" || strings.Contains(row.given, "0"), number.IsSet())
			encoded, err := json.Marshal(number)
			require.NoError(t, err)
			assert.Equal(t, row.want, string(encoded))
		})
	}
}

func TestNumberRefusesToEncodeWhatIsNoNumber(t *testing.T) {
	for _, text := range []domain.Number{`"`, `1}`, `NaN`, `1e-20`, `true`} {
		_, err := json.Marshal(text)
		assert.ErrorIs(t, err, domain.ErrMoney, "%q", text)
	}
}

func TestNumberErrorsAreShortValidText(t *testing.T) {
	for _, text := range []string{
		"0123456789012345678901234567890123456789é" + strings.Repeat("x", 9000),
		"012345678901234567890123456789012345678é" + strings.Repeat("x", 9000), // the cut falls into the é
		"\xff\xfe", "a\nb",
	} {
		_, err := domain.ParseMoney(domain.Number(text), "EUR")
		require.ErrorIs(t, err, domain.ErrMoney)
		assert.True(t, utf8.ValidString(err.Error()), "%q", err)
		assert.Less(t, len(err.Error()), 200)
		assert.NotContains(t, err.Error(), "\n")

		quoted, jsonErr := json.Marshal(text)
		require.NoError(t, jsonErr)
		err = new(domain.Number).UnmarshalJSON(quoted)
		require.ErrorIs(t, err, domain.ErrMoney)
		assert.True(t, utf8.ValidString(err.Error()), "%q", err)
	}
}

func TestNumberInt64(t *testing.T) {
	for text, want := range map[domain.Number]int64{
		"2": 2, "2.0": 2, "-2.000": -2, "2e0": 2, "1e2": 100, "": 0, "-0": 0, "9223372036854775807": math.MaxInt64,
	} {
		got, whole := text.Int64()
		assert.True(t, whole, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []domain.Number{"2.5", "1e-1", "9223372036854775808", "x", "1e30", "NaN"} {
		_, whole := text.Int64()
		assert.False(t, whole, text)
	}
}

func TestNumberEqual(t *testing.T) {
	same := [][2]domain.Number{{"10", "10.0"}, {"10", "1e1"}, {"", "0"}, {"-0", "0.00"}, {"+5", "5"}}
	different := [][2]domain.Number{{"10", "10.01"}, {"1", "-1"}, {"x", "x"}, {"NaN", "NaN"}, {"0", "1e-20"}}
	for _, pair := range same {
		assert.True(t, pair[0].Equal(pair[1]) && pair[1].Equal(pair[0]), "%q", pair)
	}
	for _, pair := range different {
		assert.False(t, pair[0].Equal(pair[1]) || pair[1].Equal(pair[0]), "%q", pair)
	}
}

// anyMinor draws amounts, those at the edges of int64 among them more often than chance would.
func anyMinor() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{
		math.MinInt64, math.MinInt64 + 1, math.MinInt64 / 2, -1, 0, 1, math.MaxInt64/2 + 1, math.MaxInt64 - 1, math.MaxInt64,
	}), rapid.Int64Range(-1000, 1000))
}

// TestArithmeticIsExactOrRefused compares with big integers: the right sum, or an error where int64 cannot hold it.
func TestArithmeticIsExactOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyMinor().Draw(t, "a"), anyMinor().Draw(t, "b")
		x, y := domain.NewMoney(a, "EUR"), domain.NewMoney(b, "EUR")
		bigA, bigB := big.NewInt(a), big.NewInt(b)

		sum, err := x.Add(y)
		exactOrRefused(t, "add", sum, err, new(big.Int).Add(bigA, bigB))
		sum, err = domain.Sum("EUR", x, y)
		exactOrRefused(t, "sum", sum, err, new(big.Int).Add(bigA, bigB))
		product, err := x.Times(b)
		exactOrRefused(t, "times", product, err, new(big.Int).Mul(bigA, bigB))
		if b == math.MinInt64 {
			_, err = x.Sub(y)
			assert.ErrorIs(t, err, domain.ErrMoney) // refused for every a: its negation is no int64
			return
		}
		difference, err := x.Sub(y)
		exactOrRefused(t, "sub", difference, err, new(big.Int).Sub(bigA, bigB))
	})
}

func exactOrRefused(t *rapid.T, what string, got domain.Money, err error, want *big.Int) {
	t.Helper()
	if !want.IsInt64() {
		if !errors.Is(err, domain.ErrMoney) {
			t.Fatalf("%s: %s does not fit an int64, yet it gave %v, %v", what, want, got, err)
		}
		return
	}
	if err != nil || got != domain.NewMoney(want.Int64(), "EUR") {
		t.Fatalf("%s: want %s, got %v, %v", what, want, got, err)
	}
}

func TestCurrenciesNeverMix(t *testing.T) {
	euro, dollar := domain.NewMoney(1, "EUR"), domain.NewMoney(1, "USD")
	_, err := euro.Add(dollar)
	require.ErrorIs(t, err, domain.ErrMoney)
	_, err = euro.Sub(dollar)
	require.ErrorIs(t, err, domain.ErrMoney)
	_, err = domain.Sum("EUR", euro, dollar)
	require.ErrorIs(t, err, domain.ErrMoney)
	_, err = domain.Sum("USD", euro)
	require.ErrorIs(t, err, domain.ErrMoney)
	_, err = euro.Add(domain.Money{})
	require.ErrorIs(t, err, domain.ErrMoney, "an amount of no currency is no euro")
	nothing, err := domain.Sum("JPY")
	require.NoError(t, err)
	assert.Equal(t, domain.NewMoney(0, "JPY"), nothing)
	assert.True(t, nothing.IsZero())
	assert.False(t, euro.IsZero())
}

func TestMoneyRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		money := domain.NewMoney(anyMinor().Draw(t, "minor"), rapid.SampledFrom(currencies).Draw(t, "currency"))
		if money.Minor == math.MinInt64 {
			t.Skip("one below what ParseMoney accepts")
		}
		parsed, err := domain.ParseMoney(money.Decimal(), money.Currency)
		require.NoError(t, err)
		require.Equal(t, money, parsed)

		encoded, err := json.Marshal(money)
		require.NoError(t, err)
		var decoded domain.Money
		require.NoError(t, json.Unmarshal(encoded, &decoded))
		require.Equal(t, money, decoded)
	})
}

// FuzzParseMoney holds every amount that parses against the fraction its text writes.
func FuzzParseMoney(f *testing.F) {
	for _, seed := range []string{
		"150.1", "-0", "1e3", "1e-20", "1e-330", "0.00000000000000000001", "92233720368547758.08", "+1", "1_000", "0x10", "0b1",
		"NaN", "Infinity", "1/2", "", ".5", "5.", "1234567890123456789e-20", "-92233720368547758.07",
	} {
		for i := range currencies {
			f.Add(seed, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, text string, which uint8) {
		currency := currencies[int(which)%len(currencies)]
		money, err := domain.ParseMoney(domain.Number(text), currency)
		if err != nil {
			if !errors.Is(err, domain.ErrMoney) || !utf8.ValidString(err.Error()) {
				t.Fatalf("a bad error: %q", err)
			}
			return
		}
		if written := fraction(t, text); written.Cmp(worth(money)) != 0 {
			t.Fatalf("%q became %s: it was rounded", text, money)
		}
		again, err := domain.ParseMoney(money.Decimal(), currency)
		if err != nil || again != money {
			t.Fatalf("%q became %s and that %v, %v", text, money, again, err)
		}
	})
}

// jsonNumber is the grammar of RFC 8259, section 6.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// FuzzNumberJSON holds every document that decodes against its own text, and what it encodes to against JSON's grammar.
func FuzzNumberJSON(f *testing.F) {
	for _, seed := range []string{
		`12.5`, `"12.5"`, `" 1 "`, `null`, `""`, `-0`, `1e3`, `1e-20`, `"+1"`, `".5"`, `"007"`, `"NaN"`, `{}`, `"\ud800"`, `"`, ``, `1e400`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var number domain.Number
		direct := number.UnmarshalJSON(data) // must not panic on what encoding/json would have refused
		if err := json.Unmarshal(data, &number); err != nil {
			return
		}
		if direct != nil {
			t.Fatalf("decoded %q, though directly it fails: %v", data, direct)
		}
		encoded, err := json.Marshal(number)
		if err != nil || !jsonNumber.Match(encoded) {
			t.Fatalf("%q encodes to %q, %v", data, encoded, err)
		}
		text := string(data)
		if json.Unmarshal(data, &text) != nil {
			text = string(data) // it was not quoted
		}
		if text = strings.TrimSpace(text); text == "" || text == "null" {
			if number.IsSet() {
				t.Fatalf("%q is set", data)
			}
			text = "0"
		}
		if fraction(t, text).Cmp(fraction(t, string(encoded))) != 0 {
			t.Fatalf("%q encodes to %q: it was rounded", data, encoded)
		}
		var again domain.Number
		if err := json.Unmarshal(encoded, &again); err != nil || !again.Equal(number) {
			t.Fatalf("%q encodes to %q, which decodes to %q, %v", data, encoded, again, err)
		}
	})
}

func fraction(t *testing.T, text string) *big.Rat {
	t.Helper()
	if text == "" {
		text = "0"
	}
	value, ok := new(big.Rat).SetString(text)
	if !ok || strings.ContainsAny(text, "_/xXpPbBoO") {
		t.Fatalf("%q was accepted, but is no decimal number", text)
	}
	return value
}

func worth(m domain.Money) *big.Rat {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(m.Currency.Exponent())), nil)
	return new(big.Rat).SetFrac(big.NewInt(m.Minor), scale)
}
