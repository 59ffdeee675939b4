package ghl

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/tallystick/tallystick/sandbox/counter"
	"github.com/tallystick/tallystick/sandbox/faults"
)

// DefaultLocation is the location id where Options name none.
const DefaultLocation = "Z4Bxl8J4SaPEPLq9IQ8g"

// DefaultToken is the private integration token where Options name none. It opens nothing but a sandbox.
const DefaultToken = "pit-sandbox"

// Options say how the server behaves. The zero value is one location with the published rate limit and webhooks that
// arrive once, as soon as SetWebhookURL says where.
type Options struct {
	// LocationID and Token are the location and the private integration token that may see it.
	LocationID, Token string
	// TokenScopes are the private token's scopes; nil is every scope.
	TokenScopes []string
	// EnforceScopes refuses operations whose scope a token lacks.
	EnforceScopes bool
	// App is the marketplace app that may be installed, and OAuth how its tokens live.
	App   App
	OAuth OAuthOptions
	// Seed makes ids and signing keys. The same seed and the same calls in the same order give the same ids.
	Seed int64
	// Limits of requests; the published ones where it is zero. NoLimits switches them off.
	Limits   Limits
	NoLimits bool
	// AltTypeOptional lets order calls without altType pass, as the OpenAPI file has it since 2026-05. Users reported a
	// 422 without it, so it is asked for by default.
	AltTypeOptional bool
	// LaxQuery ignores query parameters that the OpenAPI file does not name, instead of answering 422.
	LaxQuery bool
	// WrapLists answers transaction lists as {"data":{"data":[...]}}, as one integrator saw.
	WrapLists bool
	// PlainSummary leaves tax, shipping and taxSummary out of an order's detail, as the OpenAPI file has it. The
	// webhook's published samples have them.
	PlainSummary bool
	// QuotedAmounts writes amounts as texts, as the OpenAPI file's examples do.
	QuotedAmounts bool
	// UpperCurrency always writes currencies in capitals. By default about one object in four has it in small letters.
	UpperCurrency bool
	// EndInclusive makes endAt include its day. By default it ends when that day begins, the reading that loses most.
	EndInclusive bool
	// KeepPending leaves a paid order's status at pending. By default it becomes completed.
	KeepPending bool
	// RefundedStatus is the status an order gets when it is refunded in full; empty leaves it as it is. HighLevel does
	// not publish what happens.
	RefundedStatus string
	// RefundTouchesOrder renews an order's updatedAt when a payment of it is refunded.
	RefundTouchesOrder bool
	// InvoicePayments says where payments of an invoice's order are booked: false, on the order; true, on the invoice,
	// so that entityId finds them by the invoice's id only.
	InvoicePayments bool
	// ProductTypeInOrders shows a product's type in the lines of orders. HighLevel's sample doesn't.
	ProductTypeInOrders bool
	// FulfillmentWords are an order's fulfillmentStatus after part or all of it was sent: "partially_fulfilled" and
	// "fulfilled" where it is zero. HighLevel publishes none of them.
	FulfillmentWords FulfillmentWords
	// FulfillmentKeepsUpdatedAt leaves an order's updatedAt alone when a fulfillment is made.
	FulfillmentKeepsUpdatedAt bool
	// FulfillmentWebhook sends OrderStatusUpdate when a fulfillment is made. HighLevel is not known to.
	FulfillmentWebhook bool
	// RefuseOverfulfillment answers 422 to a fulfillment of more than is left of the order. By default it is made, with
	// another e-mail: the harsher reading for whoever repeats one.
	RefuseOverfulfillment bool
	// RenewalEntity says what a subscription's later charges are booked on: "" is nothing, "subscription" is HighLevel's
	// id of it, "order" is the order that it was subscribed by. HighLevel publishes nothing about it.
	RenewalEntity string
	// ChargebackStatus is the status of a transaction that was charged back: "disputed" where it is empty.
	// ChargebackRefunds makes amountRefunded the whole amount as well. HighLevel publishes neither.
	ChargebackStatus  string
	ChargebackRefunds bool
	// PausedStatus is the status of a paused subscription; see PauseSubscription for what it is by default.
	PausedStatus string
	// PayPalInStep keeps status and snapshot of PayPal's subscriptions in step, which HighLevel says it does not.
	PayPalInStep bool
	// StripePeriodInItems has the current period in the items of Stripe's snapshot, as Stripe does since 2025, instead of
	// in the subscription.
	StripePeriodInItems bool
	// ListOrder is how lists of orders, transactions and subscriptions are sorted. HighLevel publishes no order (A133).
	ListOrder ListOrder
	// AfterPage is called when a list has been read, with the operation's name and the offset, before the client has all
	// of the answer: for rows that change between two pages.
	AfterPage func(operation string, offset int)
	// Webhooks say what is sent and how it is retried.
	Webhooks WebhookOptions
	// Faults is asked what goes wrong; nil is nothing.
	Faults *faults.Plan
	// Now replaces the clock.
	Now func() time.Time
}

// Server is HighLevel with its locations. It is an http.Handler and safe for use from many goroutines.
type Server struct {
	opts   Options
	mux    *http.ServeMux
	routes []Route

	mu        sync.RWMutex
	locations map[string]*location // by id
	companies map[string]string    // names by id
	tokens    map[string]*caller   // by private token
	oauth     oauth
	contacts  map[string]*Contact
	products  shelf[Product]
	prices    shelf[Price]
	fulfilled map[string][]*Fulfillment // by order, oldest first
	mails     int                       // to customers
	orders    shelf[Order]
	payments  shelf[Transaction]

	subscriptions shelf[Subscription]

	invoices shelf[Invoice]
	made     map[string]int // ids made so far, by kind

	counter.Requests
	quotas   quotas
	hooks    sender
	listener net.Listener
	http     *http.Server
}

// Route is a path the server knows, as the OpenAPI files spell it, and the name of its operation.
type Route struct{ Method, Path, Operation string }

// New makes a server with one empty location. It serves once a listener is there: see Start.
func New(opts Options) *Server {
	if opts.LocationID == "" {
		opts.LocationID = DefaultLocation
	}
	if opts.Token == "" {
		opts.Token = DefaultToken
	}
	if opts.Limits == (Limits{}) {
		opts.Limits = PublishedLimits()
	}
	if opts.ChargebackStatus == "" {
		opts.ChargebackStatus = "disputed"
	}
	if opts.FulfillmentWords == (FulfillmentWords{}) {
		opts.FulfillmentWords = FulfillmentWords{Partial: "partially_fulfilled", Full: "fulfilled"}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.App, opts.OAuth = opts.App.withDefaults(), opts.OAuth.withDefaults()
	s := &Server{opts: opts, mux: http.NewServeMux(), locations: map[string]*location{}, companies: map[string]string{},
		tokens: map[string]*caller{}, oauth: newOAuth(opts.App), quotas: newQuotas(),
		contacts: map[string]*Contact{}, products: newShelf(func(v *Product) time.Time { return v.UpdatedAt }), prices: newShelf(func(v *Price) time.Time { return v.UpdatedAt }),
		fulfilled: map[string][]*Fulfillment{},
		orders:    newShelf(func(v *Order) time.Time { return v.UpdatedAt }), payments: newShelf(func(v *Transaction) time.Time { return v.UpdatedAt }), subscriptions: newShelf(func(v *Subscription) time.Time { return v.UpdatedAt }), invoices: newShelf(func(v *Invoice) time.Time { return v.UpdatedAt }),
		made: map[string]int{}}
	s.AddCompany(Company{ID: DefaultCompany, Name: "Sandbox Agency"})
	s.AddSubAccount(SubAccount{ID: opts.LocationID, Name: "Sandbox Shop", Token: opts.Token, Scopes: opts.TokenScopes})
	s.hooks.start(s.opts, s.key(0))
	s.orderRoutes()
	s.fulfillmentRoutes()
	s.productRoutes()
	s.transactionRoutes()
	s.subscriptionRoutes()
	s.contactRoutes()
	s.invoiceRoutes()
	s.oauthRoutes()
	return s
}

// Start serves on a free loopback port until Close.
func (s *Server) Start() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("ghl sandbox: no loopback port to listen on: %w", err)
	}
	s.listener = listener
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.http.Serve(listener) }()
	return nil
}

// URL is the base URL for GHL_BASE_URL. Call it after Start.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Location is the id of the first location, and Token what sees it.
func (s *Server) Location() string { return s.opts.LocationID }

// Token is the private integration token of the first location.
func (s *Server) Token() string { return s.opts.Token }

// Close ends serving and gives up webhooks that are still to be sent.
func (s *Server) Close() {
	if s.http != nil {
		_ = s.http.Close()
	}
	s.hooks.stop()
	s.opts.Faults.Wait()
}

// Routes lists what the server serves.
func (s *Server) Routes() []Route { return append([]Route(nil), s.routes...) }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// now is the time to the millisecond, as HighLevel shows it.
func (s *Server) now() time.Time { return s.opts.Now().UTC().Truncate(time.Millisecond) }

// newID makes the next id of a kind: 24 hexadecimal digits.
func (s *Server) newID(kind string) string {
	s.made[kind]++
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %d", s.opts.Seed, kind, s.made[kind]))
	return hex.EncodeToString(sum[:12])
}

// newShortID makes the next id of a kind as contacts have it: 20 letters of both cases and digits.
func (s *Server) newShortID(kind string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	s.made[kind]++
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %d", s.opts.Seed, kind, s.made[kind]))
	id := make([]byte, 20)
	for i := range id {
		id[i] = alphabet[int(sum[i])%len(alphabet)]
	}
	return string(id)
}

// newUUID makes a trace or webhook id.
func (s *Server) newUUID(kind string) string {
	id := s.newID(kind) + "00000000"
	return id[:8] + "-" + id[8:12] + "-4" + id[12:15] + "-8" + id[15:18] + "-" + id[18:30]
}

// key is the nth signing key of the seed.
func (s *Server) key(n int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "%d webhook signing key %d", s.opts.Seed, n))
	return ed25519.NewKeyFromSeed(seed[:])
}

// WaitWebhooks returns when no webhook is to be sent any more, retries included, or with the context's error.
func (s *Server) WaitWebhooks(ctx context.Context) error { return s.hooks.wait(ctx) }
