package sage

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tallystick/tallystick/clients/transport"
)

const (
	// DefaultBaseURL is the production address (developer page). A sandbox tenant has keys of its own; whether it has a
	// host of its own is not documented (A76).
	DefaultBaseURL = "https://api.forcemanager.com/api/v4"
	// DefaultRequestsPerSecond stays below the smaller of the vendor's two plans, 4 and 13 requests a second (Readme of
	// the vendor's connector).
	DefaultRequestsPerSecond = 3

	defaultTimeout    = 30 * time.Second
	defaultCatalogTTL = 10 * time.Minute
	// limitPause is how long everything is held after a 429 that names no time. The limit counts seconds; what an
	// over-limit answer looks like is not documented (A43).
	limitPause = 2 * time.Second

	vendor        = "sage"
	sessionHeader = "X-Session-Key"
)

// Options set up a Client. Only the keys are required.
type Options struct {
	// BaseURL is the address of the API with its version, DefaultBaseURL if empty.
	BaseURL string
	// PublicKey and PrivateKey are the API keys that an administrator makes in Sage, under Settings, Integrations.
	PublicKey, PrivateKey string
	// RequestsPerSecond is the steady rate, DefaultRequestsPerSecond if zero. See NewLimiter.
	RequestsPerSecond float64 //nolint:forbidigo // a rate, not money
	// Limiter replaces the client's own, to share one allowance among several clients of one tenant.
	Limiter transport.Limiter
	// Logger, Metrics and Tracer are handed to the transport; each may be nil.
	Logger  *slog.Logger
	Metrics *transport.Metrics
	Tracer  trace.Tracer
	// Timeout bounds one attempt of one call, waiting for the limiter not counted; 30 seconds if zero.
	Timeout time.Duration
	// ReadOnly refuses every create, update and delete before it is sent. Logging in is still done.
	// Planned is told of each; see transport.Config.
	ReadOnly bool
	Planned  func(context.Context, transport.Planned) error
	// MaxInFlight, BreakAfter and BreakFor keep a tenant that is slow, or does not answer, from holding up others; see
	// transport.Config. Off if zero.
	MaxInFlight, BreakAfter int
	BreakFor                time.Duration
	// CatalogTTL is how long value lists are kept, 10 minutes if zero.
	CatalogTTL time.Duration
	// Base does the actual round trips; the transport's own pool if nil.
	Base http.RoundTripper
	// Now is the clock by which sessions and the catalogue age; time.Now if nil.
	Now func() time.Time
}

// Client is one tenant of Sage Sales Management, seen through one pair of API keys. It is safe for concurrent use, and
// it should be shared: its session, its rate limit and its catalogue are per Client.
type Client struct {
	// Accounts are companies and the people who buy as such.
	Accounts *KeyedResource[Account, AccountFields]
	// Contacts are people, each of exactly one account.
	Contacts *KeyedResource[Contact, ContactFields]
	// Products are what order lines sell.
	Products *KeyedResource[Product, ProductFields]
	// Orders are sales order headers.
	Orders *Orders
	// Lines are the lines of sales orders.
	Lines *Lines
	// Activities are what was done for an account, for people to read.
	Activities *NoteResource[Activity, ActivityFields]
	// Calendar holds events and tasks of users.
	Calendar *NoteResource[CalendarEntry, CalendarFields]
	// Opportunities are sales that are expected.
	Opportunities *KeyedResource[Opportunity, OpportunityFields]
	// Sales are booked revenue, which is something else than Orders.
	Sales *KeyedResource[Sale, SaleFields]
	// Hooks are the addresses that Sage calls when records change.
	Hooks *Hooks
	// OpportunityStatuses are the stages of opportunities.
	OpportunityStatuses *ValueList[OpportunityStatus]
	// ActivityTypes are the kinds of activities and calendar entries.
	ActivityTypes *ValueList[Entry]
	// OrderStatuses, Currencies, Branches, Users and Countries are the value lists that orders refer to.
	OrderStatuses *ValueList[OrderStatus]
	Currencies    *ValueList[Currency]
	Branches      *ValueList[Branch]
	Users         *ValueList[User]
	Countries     *ValueList[Country]

	// Catalog keeps copies of those value lists and resolves names to the tenant's ids.
	Catalog *Catalog

	rest    *transport.Client
	session *session
}

// NewLimiter paces calls evenly at the given rate, without a burst. How the vendor counts its requests per second is
// not documented (A42), so no stretch of one second may see more than the limit, wherever it begins: a bucket with a
// burst of b lets b + rate calls through in some second, evenly paced calls at a rate below the limit never exceed it.
// A rate of zero or less is no limit at all. Share the limiter among all clients of one tenant in a process, and tell it
// of other processes, see transport.Slots. A caller that would wait longer than maxWait, 30 seconds if zero, is told when
// to come back instead.
func NewLimiter(requestsPerSecond float64, maxWait time.Duration) *transport.Slots { //nolint:forbidigo // a rate, not money
	return transport.NewSlots(transport.SlotsConfig{PerSecond: requestsPerSecond, Pause: limitPause, MaxWait: maxWait})
}

// New checks the options and makes a client. It sends nothing: the first call logs in.
func New(options Options) (*Client, error) {
	if options.PublicKey == "" || options.PrivateKey == "" {
		return nil, errors.New("sage: the API keys are missing; set SAGE_PUBLIC_KEY and SAGE_PRIVATE_KEY")
	}
	options.setDefaults()
	keys := strings.NewReplacer(options.PrivateKey, "[key]", options.PublicKey, "[key]")
	rest, err := transport.New(transport.Config{
		Vendor:   vendor,
		BaseURL:  options.BaseURL,
		Timeout:  options.Timeout,
		Limiter:  options.Limiter,
		Logger:   options.Logger,
		Metrics:  options.Metrics,
		Tracer:   options.Tracer,
		ReadOnly: options.ReadOnly, Planned: options.Planned,
		MaxInFlight: options.MaxInFlight, BreakAfter: options.BreakAfter, BreakFor: options.BreakFor,
		Classify: func(status int, header http.Header, body []byte) transport.Words {
			return readWords(status, header, body, keys)
		},
		Base: options.Base,
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what is wrong with the options
	}
	c := &Client{rest: rest}
	c.session = newSession(func(ctx context.Context) (string, error) {
		return login(ctx, rest, options.PublicKey, options.PrivateKey)
	}, options.Now)
	c.makeResources()
	c.Catalog = newCatalog(c, options.CatalogTTL, options.Now, options.Logger)
	return c, nil
}

func (c *Client) makeResources() {
	c.Accounts = newKeyed[Account, AccountFields](c, "accounts", "/accounts", accountFields)
	c.Contacts = newKeyed[Contact, ContactFields](c, "contacts", "/contacts", contactFields)
	c.Products = newKeyed[Product, ProductFields](c, "products", "/products", productFields)
	c.Orders = &Orders{newKeyed[Order, OrderFields](c, "salesorders", "/salesorders", orderFields)}
	c.Lines = &Lines{newResource[Line, LineFields](c, "salesorderslines", "/salesordersLines", lineFields)}
	c.Activities = &NoteResource[Activity, ActivityFields]{
		newKeyed[Activity, ActivityFields](c, "activities", "/activities", activityFields)}
	c.Calendar = &NoteResource[CalendarEntry, CalendarFields]{
		newKeyed[CalendarEntry, CalendarFields](c, "calendar", "/calendar", calendarFields)}
	c.Opportunities = newKeyed[Opportunity, OpportunityFields](c, "opportunities", "/opportunities", opportunityFields)
	c.Sales = newKeyed[Sale, SaleFields](c, "sales", "/sales", saleFields)
	c.Hooks = &Hooks{c}
	c.OpportunityStatuses = newValueList[OpportunityStatus](c, OpportunityStatuses)
	c.ActivityTypes = newValueList[Entry](c, ActivityTypes)
	c.OrderStatuses = newValueList[OrderStatus](c, SalesOrderStatuses)
	c.Currencies = newValueList[Currency](c, Currencies)
	c.Branches = newValueList[Branch](c, Branches)
	c.Users = newValueList[User](c, Users)
	c.Countries = newValueList[Country](c, Countries)
}

func (o *Options) setDefaults() {
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	if o.RequestsPerSecond <= 0 {
		o.RequestsPerSecond = DefaultRequestsPerSecond
	}
	if o.Limiter == nil {
		o.Limiter = NewLimiter(o.RequestsPerSecond, 0)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.CatalogTTL <= 0 {
		o.CatalogTTL = defaultCatalogTTL
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// CloseIdle closes the connections that are kept open for later calls.
func (c *Client) CloseIdle() { c.rest.CloseIdle() }

// do sends a call in the current session, and once more in a new session if Sage answers 401. That is safe for writes
// as well: a 401 comes before anything is stored (A41).
func (c *Client) do(ctx context.Context, call transport.Call, out any) error {
	token, err := c.session.get(ctx, "")
	if err != nil {
		return err
	}
	err = c.send(ctx, call, token, out)
	if !transport.IsStatus(err, http.StatusUnauthorized) {
		return err
	}
	if token, err = c.session.get(ctx, token); err != nil {
		return err
	}
	err = c.send(ctx, call, token, out)
	if transport.IsStatus(err, http.StatusUnauthorized) {
		return refused(err)
	}
	return err
}

func (c *Client) send(ctx context.Context, call transport.Call, token string, out any) error {
	header := call.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set(sessionHeader, token)
	call.Header = header
	_, err := c.rest.Do(ctx, call, out)
	return err //nolint:wrapcheck // it is a *transport.Error, which callers look for
}
