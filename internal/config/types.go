package config

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/secret"
)

// The Decode methods below are envconfig's. Their errors complete the sentence "VARIABLE …" and never show the value.

// DatabaseURL is the address of the store's database.
type DatabaseURL string

// Decode implements envconfig.Decoder.
func (d *DatabaseURL) Decode(value string) error {
	scheme, rest, _ := strings.Cut(value, ":")
	switch scheme {
	case "sqlite":
		if rest == "" {
			return errors.New("names no file: write sqlite:PATH")
		}
	case "postgres", "postgresql":
		if _, err := url.Parse(value); err != nil {
			return errors.New("is no postgres:// address: percent-encode special characters in the password")
		}
	default:
		return errors.New("must begin with sqlite: or postgres://")
	}
	*d = DatabaseURL(value)
	return nil
}

// String shows the address without its password.
func (d DatabaseURL) String() string {
	if strings.HasPrefix(string(d), "sqlite:") {
		return string(d)
	}
	u, err := url.Parse(string(d))
	if err != nil {
		return "set"
	}
	u.RawQuery = "" // it may hold a password, too
	return u.Redacted()
}

// MarshalText keeps JSON and the like from showing the password.
func (d DatabaseURL) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Keys is the key ring; its Ring is nil when it is not set.
type Keys struct{ Ring *secret.Ring }

// Decode implements envconfig.Decoder.
func (k *Keys) Decode(value string) error {
	ring, err := secret.ParseRing(value)
	if err != nil {
		return errors.New("is no key ring: " + strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	k.Ring = ring
	return nil
}

// String names the keys by their ids.
func (k Keys) String() string {
	if k.Ring == nil {
		return secret.Text("").String()
	}
	return k.Ring.String()
}

// Address is a host and port to listen on. The word off, and only it, makes an empty one: nothing listens.
type Address string

// Decode implements envconfig.Decoder.
func (a *Address) Decode(value string) error {
	if value == "off" {
		*a = ""
		return nil
	}
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		return errors.New("must be host:port, such as 127.0.0.1:8088")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || (n == 0 && port != "0") {
		return errors.New("has no port between 0 and 65535 after the colon")
	}
	*a = Address(value)
	return nil
}

// String shows an empty address as off.
func (a Address) String() string {
	if a == "" {
		return "off"
	}
	return string(a)
}

// Loopback tells whether only this machine reaches the address.
func (a Address) Loopback() bool {
	host, _, err := net.SplitHostPort(string(a))
	if err != nil {
		return a == ""
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// BaseURL is an http or https address without a slash at its end.
type BaseURL string

// Decode implements envconfig.Decoder.
func (b *BaseURL) Decode(value string) error {
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("must be an address that begins with https:// (or http://)")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("must hold no user, question mark or number sign")
	}
	if u.Scheme == "http" && !Address(net.JoinHostPort(u.Hostname(), "0")).Loopback() && !neighbour(u.Hostname()) {
		return errors.New("would send tokens in the clear: use https://")
	}
	*b = BaseURL(strings.TrimRight(value, "/"))
	return nil
}

// neighbourName is a name that only a network of one's own resolves, as containers have them.
var neighbourName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)

// neighbour tells whether a host is one of such a network. Addresses are not, nor are numbers, which resolvers take for
// IPv4 addresses, nor names with letters beyond ASCII, of which some are written as dots when the name is looked up.
func neighbour(host string) bool {
	_, err := strconv.ParseUint(host, 0, 64)
	return err != nil && neighbourName.MatchString(host)
}

// LinkURL is an https address that may have a query, which is kept.
type LinkURL string

// Decode implements envconfig.Decoder.
func (l *LinkURL) Decode(value string) error {
	bare, _, _ := strings.Cut(value, "?")
	var base BaseURL
	if err := base.Decode(bare); err != nil {
		return err
	}
	if u, err := url.Parse(value); err != nil || u.Fragment != "" {
		return errors.New("is no address that can be read")
	}
	*l = LinkURL(value)
	return nil
}

// WebhookURL is an address that is a secret, because whoever knows it may post there.
type WebhookURL struct{ secret.Text }

// Decode implements envconfig.Decoder.
func (w *WebhookURL) Decode(value string) error {
	var link LinkURL
	if err := link.Decode(value); err != nil {
		return err
	}
	w.Text = secret.Text(link)
	return nil
}

// Scopes are the OAuth scopes to ask for.
type Scopes []string

var scopeName = regexp.MustCompile(`^[A-Za-z0-9_./-]+$`)

// Decode implements envconfig.Decoder.
func (s *Scopes) Decode(value string) error {
	names := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	for _, name := range names {
		if !scopeName.MatchString(name) {
			return errors.New("must be names of scopes such as payments/orders.readonly")
		}
	}
	*s = names
	return nil
}

// String is the form in which the app's page shows them.
func (s Scopes) String() string { return strings.Join(s, " ") }

// PublicKeys are the keys of which any may have signed a webhook.
type PublicKeys []ed25519.PublicKey

// Decode implements envconfig.Decoder.
func (p *PublicKeys) Decode(value string) error {
	rest := []byte(strings.ReplaceAll(value, `\n`, "\n"))
	var keys PublicKeys
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return fmt.Errorf("holds a PEM block %d that is no public key", len(keys)+1)
		}
		key, ok := parsed.(ed25519.PublicKey)
		if !ok {
			return fmt.Errorf("holds a PEM block %d that is no Ed25519 key: HighLevel's older RSA key signs nothing any more", len(keys)+1)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 || len(bytes.TrimSpace(rest)) > 0 {
		return errors.New(`must be PEM only: -----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----`)
	}
	*p = keys
	return nil
}

// String counts the keys.
func (p PublicKeys) String() string {
	if len(p) == 1 {
		return "1 key"
	}
	return strconv.Itoa(len(p)) + " keys"
}

// DefaultFields are fields for new records, by resource and name. Numbers in it are json.Number.
type DefaultFields map[string]map[string]any

// Decode implements envconfig.Decoder.
func (f *DefaultFields) Decode(value string) error {
	decoder := json.NewDecoder(strings.NewReader(value))
	decoder.UseNumber()
	var fields map[string]map[string]any
	if err := decoder.Decode(&fields); err != nil || decoder.More() {
		return errors.New(`must be JSON such as {"accounts":{"Z_Region":"EU"}}`)
	}
	for resource := range fields {
		switch resource {
		case "accounts", "contacts", "products", "salesorders", "opportunities", "activities", "calendar":
		default:
			return errors.New("may hold accounts, contacts, products, salesorders, opportunities, activities and calendar only")
		}
	}
	*f = fields
	return nil
}

// AdoptedLines says what becomes of the lines of an adopted order.
type AdoptedLines string

// The ways.
const (
	KeepLines    AdoptedLines = "keep"
	ReplaceLines AdoptedLines = "replace"
)

// Decode implements envconfig.Decoder.
func (a *AdoptedLines) Decode(value string) error { return oneOf(a, value, KeepLines, ReplaceLines) }

// TestOrders says what becomes of orders of the source's test mode.
type TestOrders string

// The ways. Test data and live data never meet in one tenant: it holds the one or the other.
const (
	DropTestOrders TestOrders = "drop"
	OnlyTestOrders TestOrders = "only"
)

// Decode implements envconfig.Decoder.
func (o *TestOrders) Decode(value string) error {
	return oneOf(o, value, DropTestOrders, OnlyTestOrders)
}

// RefundRows says how refunds are entered in Sage.
type RefundRows string

// The ways.
const (
	NegativeRefunds RefundRows = "negative"
	RefundActivity  RefundRows = "activity"
	SkipRefunds     RefundRows = "skip"
)

// Decode implements envconfig.Decoder.
func (r *RefundRows) Decode(value string) error {
	return oneOf(r, value, NegativeRefunds, RefundActivity, SkipRefunds)
}

// RevenueReports says how the revenue report of a month is put into Sage.
type RevenueReports string

// The ways. There is none by which it would be a document: how Sage takes the content of one is not documented.
const (
	NoRevenueReports   RevenueReports = "off"
	RevenueActivities  RevenueReports = "activity"
	revenueAsDocuments RevenueReports = "document"
)

// Decode implements envconfig.Decoder.
func (r *RevenueReports) Decode(value string) error {
	if RevenueReports(value) == revenueAsDocuments {
		return errors.New("cannot be document, since Sage does not say how the content of one is sent: use activity")
	}
	return oneOf(r, value, NoRevenueReports, RevenueActivities)
}

// ForeignPayments says what becomes of payments in another currency than the rows of sales.
type ForeignPayments string

// The ways.
const (
	SkipForeign     ForeignPayments = "skip"
	ForeignActivity ForeignPayments = "activity"
)

// Decode implements envconfig.Decoder.
func (f *ForeignPayments) Decode(value string) error {
	return oneOf(f, value, SkipForeign, ForeignActivity)
}

// UntrackedShipment says what a fulfilment without a tracking number means.
type UntrackedShipment string

// The meanings.
const (
	UntrackedIsProcessing UntrackedShipment = "processing"
	UntrackedIsShipped    UntrackedShipment = "shipped"
)

// Decode implements envconfig.Decoder.
func (u *UntrackedShipment) Decode(value string) error {
	return oneOf(u, value, UntrackedIsProcessing, UntrackedIsShipped)
}

// DigitalOrders says what becomes of orders without a physical product.
type DigitalOrders string

// The ways.
const (
	DeliverDigital DigitalOrders = "deliver"
	ShipDigital    DigitalOrders = "ship"
)

// Decode implements envconfig.Decoder.
func (d *DigitalOrders) Decode(value string) error {
	return oneOf(d, value, DeliverDigital, ShipDigital)
}

// VerifiedShipments says of which open orders the fulfilments are listed again.
type VerifiedShipments string

// The choices.
const (
	VerifyPartial VerifiedShipments = "partial"
	VerifyOpen    VerifiedShipments = "open"
	VerifyOff     VerifiedShipments = "off"
)

// Decode implements envconfig.Decoder.
func (v *VerifiedShipments) Decode(value string) error {
	return oneOf(v, value, VerifyPartial, VerifyOpen, VerifyOff)
}

// Steps are the steps of a fulfilment that teams are told of. The word none, and only it, makes it empty.
type Steps []domain.FulfillmentState

// Decode implements envconfig.Decoder.
func (s *Steps) Decode(value string) error {
	*s = Steps{}
	if strings.EqualFold(strings.TrimSpace(value), "none") {
		return nil
	}
	for word := range strings.SplitSeq(value, ",") {
		state, known := domain.ParseFulfillmentState(word)
		if !known || state == domain.FulfillmentCreated {
			return errors.New("must be some of processing, shipped, delivered and cancelled, separated by commas, or none")
		}
		*s = append(*s, state)
	}
	return nil
}

// String is the form in which they are set.
func (s Steps) String() string {
	if len(s) == 0 {
		return "none"
	}
	words := make([]string, len(s))
	for i, state := range s {
		words[i] = string(state)
	}
	return strings.Join(words, ",")
}

// LogFormat says how log lines look.
type LogFormat string

// The formats.
const (
	TextLog LogFormat = "text"
	JSONLog LogFormat = "json"
)

// Decode implements envconfig.Decoder.
func (f *LogFormat) Decode(value string) error { return oneOf(f, value, TextLog, JSONLog) }

func oneOf[T ~string](target *T, value string, words ...T) error {
	names := make([]string, len(words))
	for i, word := range words {
		if strings.EqualFold(value, string(word)) {
			*target = word
			return nil
		}
		names[i] = string(word)
	}
	return errors.New("must be " + strings.Join(names, " or "))
}

// Moment is a point in time; the zero Moment is none.
type Moment struct{ time.Time }

// Decode implements envconfig.Decoder.
func (m *Moment) Decode(value string) error {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, value); err == nil {
			m.Time = t.UTC()
			return nil
		}
	}
	return errors.New("must be a date as YYYY-MM-DD or a time as RFC 3339")
}

// String shows no time as unset.
func (m Moment) String() string {
	if m.IsZero() {
		return "unset"
	}
	return m.Format(time.RFC3339)
}
