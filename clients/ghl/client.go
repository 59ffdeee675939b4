package ghl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tallystick/tallystick/clients/transport"
)

const (
	// DefaultBaseURL is the one host of every module of the API (all servers entries of the published OpenAPI files).
	DefaultBaseURL = "https://services.leadconnectorhq.com"
	// DefaultVersion is the value of the Version header that the published v2 files allow; the header is required.
	DefaultVersion = "2021-07-28"

	vendor = "ghl"
)

// Options sets up a Client.
type Options struct {
	// BaseURL is DefaultBaseURL if empty.
	BaseURL string
	// LocationID is the location (sub-account) whose objects are read and written. Required.
	LocationID string
	// Credentials gives the bearer token: StaticToken for a private integration token, or whatever keeps and renews the
	// tokens of OAuth. Required. A call that is refused for its token is sent once more with a renewed one: a 401 comes
	// before anything is stored (A94).
	Credentials Credentials
	// Version is DefaultVersion if empty.
	Version string
	// Limiter keeps the rate limit; all clients of one location and token must share one. NewLimiter() if nil.
	Limiter transport.Limiter
	// Timeout bounds one attempt; 30 seconds if zero.
	Timeout time.Duration
	// Logger, Metrics and Tracer may be nil.
	Logger  *slog.Logger
	Metrics *transport.Metrics
	Tracer  trace.Tracer
	// ReadOnly refuses every write before it is sent; Planned is told of each. See transport.Config.
	ReadOnly bool
	Planned  func(context.Context, transport.Planned) error
	// MaxInFlight, BreakAfter and BreakFor keep a location that is slow, or does not answer, from holding up others; see
	// transport.Config. Off if zero.
	MaxInFlight, BreakAfter int
	BreakFor                time.Duration
	// Transport does the round trips; a pool of connections if nil.
	Transport http.RoundTripper
}

// Client reads and writes one location. It is safe for concurrent use.
type Client struct {
	Orders        *Orders
	Fulfillments  *Fulfillments
	Transactions  *Transactions
	Subscriptions *Subscriptions
	Coupons       *Coupons
	Products      *Products
	Prices        *Prices
	Inventory     *Inventory
	Contacts      *Contacts
	Invoices      *Invoices
	Providers     *Providers

	api *api
}

// New checks the options and makes a client. It sends nothing.
func New(o Options) (*Client, error) {
	if o.LocationID == "" {
		return nil, errors.New("ghl: a location id is needed, set GHL_LOCATION_ID")
	}
	if o.Credentials == nil {
		return nil, errors.New("ghl: credentials are needed, set GHL_PRIVATE_TOKEN or connect the location")
	}
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	if o.Version == "" {
		o.Version = DefaultVersion
	}
	if o.Limiter == nil {
		o.Limiter = NewLimiter()
	}
	chain, err := transport.New(transport.Config{
		Vendor: vendor, BaseURL: strings.TrimRight(o.BaseURL, "/"), Timeout: o.Timeout, Limiter: o.Limiter,
		Prepare: prepare(o.Credentials), Auth: sign,
		Header: http.Header{"Version": {o.Version}},
		Logger: o.Logger, Metrics: o.Metrics, Tracer: o.Tracer, ReadOnly: o.ReadOnly, Planned: o.Planned,
		MaxInFlight: o.MaxInFlight, BreakAfter: o.BreakAfter, BreakFor: o.BreakFor,
		Classify: classify, Base: o.Transport,
	})
	if err != nil {
		return nil, err
	}
	a := &api{chain: chain, location: o.LocationID, credentials: o.Credentials}
	return &Client{
		Orders: &Orders{a}, Fulfillments: &Fulfillments{a}, Transactions: &Transactions{a},
		Subscriptions: &Subscriptions{a}, Coupons: &Coupons{a}, Products: &Products{a}, Prices: &Prices{a},
		Inventory: &Inventory{a}, Contacts: &Contacts{a}, Invoices: &Invoices{a}, Providers: &Providers{a}, api: a,
	}, nil
}

// LocationID is the location the client works on.
func (c *Client) LocationID() string { return c.api.location }

// CloseIdle closes connections kept open for later calls.
func (c *Client) CloseIdle() { c.api.chain.CloseIdle() }

// api is what the resources share.
type api struct {
	chain       *transport.Client
	location    string
	credentials Credentials
	useless     useless
}

// request is what one call adds to its operation.
type request struct {
	params map[string]string
	query  url.Values
	// body is sent as JSON unless it is nil.
	body any
}

// do is the only way to the vendor, so that no request is outside Operations.
func (a *api) do(ctx context.Context, op Operation, r request, out any) error {
	call := transport.Call{
		Operation: op.Name, Method: op.Method, Path: op.Path, Write: op.Write,
		PathParams: r.params, Query: r.query, Body: r.body,
	}
	if op.Version != "" {
		call.Header = http.Header{"Version": {op.Version}}
	}
	return a.send(ctx, call, out)
}

// need refuses a call before it is sent if one of the texts that it cannot do without is empty. They come in pairs of
// name and value; the value is not told, as it may be personal.
func need(op Operation, pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			return wrong(op, pairs[i]+" is empty")
		}
	}
	return nil
}

// unreadable is the error of an answer that was success and is not what was expected.
func unreadable(op Operation, err error) error {
	return &transport.Error{
		Vendor: vendor, Operation: op.Name, Status: http.StatusOK, Err: fmt.Errorf("%w: %s", transport.ErrUnreadable, transport.Scrub(err.Error())),
	}
}

// wrong is the error of a call that was not sent because it cannot be right.
func wrong(op Operation, why string) error {
	return &transport.Error{Vendor: vendor, Operation: op.Name, Err: fmt.Errorf("%w: %s", transport.ErrInvalidCall, why)}
}

// tenant names the location as the payments and invoices modules want it. The published files no longer list altType
// for orders, but the live API was seen to answer "altType should not be empty" (A12), so both are always sent.
func (a *api) tenant() url.Values {
	return url.Values{"altId": {a.location}, "altType": {"location"}}
}

// byLocation names the location as the products and contacts modules want it.
func (a *api) byLocation() url.Values { return url.Values{"locationId": {a.location}} }

// tenantBody names the location in the body of a write.
type tenantBody struct {
	AltID   string `json:"altId"`
	AltType string `json:"altType"`
}

func (a *api) tenantBody() tenantBody { return tenantBody{AltID: a.location, AltType: "location"} }
