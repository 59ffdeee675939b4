package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/go-resty/resty/v2"
	"go.opentelemetry.io/otel/trace"
)

const (
	defaultTimeout = 30 * time.Second
	defaultMaxBody = 8 << 20
)

// Auth puts a vendor's credentials on a request. It runs last before the request leaves, only ever for the configured
// host, and once per attempt, so it may fetch or renew a token; an error of it means that nothing was sent.
type Auth func(ctx context.Context, r *http.Request) error

// Words is what a vendor says in an answer that is no success.
type Words struct {
	// Code is the vendor's own error code, if it has any.
	Code string
	// Message is the vendor's text. The chain cuts it and takes out what looks personal or secret.
	Message string
	// TraceID is the vendor's id of the request, to be quoted to its support.
	TraceID string
	// RetryAfter is how long the vendor asks to wait; it goes before the Retry-After header if it is not zero.
	RetryAfter time.Duration
}

// Config describes one vendor to a Client.
type Config struct {
	// Vendor is the short name used in errors, metrics and traces: "ghl", "sage".
	Vendor string
	// BaseURL is the absolute address that paths are appended to, without a trailing slash. Required.
	BaseURL string
	// Timeout bounds one attempt, from the connection to the last byte of the answer; waiting for the Limiter is not
	// counted. 30 seconds if zero.
	Timeout time.Duration
	// MaxBody is the largest answer in bytes that is read, after decompression. 8 MiB if zero.
	MaxBody int64
	// Limiter keeps the vendor's rate limit. None if nil.
	Limiter Limiter
	// Auth signs requests. None if nil.
	Auth Auth
	// Prepare runs before a call waits for the Limiter, for what Auth needs and may take long, such as renewing a token.
	// Only the caller's context bounds it, not Timeout. Auth finds what it puts into the context. An error of it means
	// that nothing was sent. None if nil.
	Prepare func(ctx context.Context) (context.Context, error)
	// Header is sent with every request.
	Header http.Header
	// Logger gets one line per call at debug level. Silent if nil.
	Logger *slog.Logger
	// Metrics counts calls. None if nil.
	Metrics *Metrics
	// Tracer makes one client span per call. None if nil. No trace header is sent to the vendor.
	Tracer trace.Tracer
	// ReadOnly refuses every Call marked as Write before anything is sent.
	ReadOnly bool
	// Planned is told of each write that ReadOnly refuses. Its error is logged; the call is refused anyway. None if nil.
	Planned func(ctx context.Context, write Planned) error
	// MaxInFlight is how many calls may be under way at once, those that wait for credentials or for the Limiter
	// included. Further ones fail at once with ErrLimited, so that one slow vendor does not hold every worker. No bound
	// if zero.
	MaxInFlight int
	// BreakAfter is how many calls in a row must go without a usable answer (none at all, or a 5xx) until further calls
	// fail at once with ErrLimited, for BreakFor, after which one call at a time is let through to see. Never if zero.
	BreakAfter int
	// BreakFor is 10 seconds if zero.
	BreakFor time.Duration
	// Classify reads the vendor's words from an answer that is no success. A reading of the keys that most JSON APIs
	// use if nil.
	Classify func(status int, header http.Header, body []byte) Words
	// Base does the actual round trip; NewPool() if nil. Clients of one host should share one.
	Base http.RoundTripper
}

// Call is one request to a vendor.
type Call struct {
	// Operation names the call in errors, metrics, traces and logs, such as "ghl.orders.get". It comes from a fixed set.
	Operation string
	// Method is the HTTP method.
	Method string
	// Path is appended to the base address; {name} stands for the path parameter of that name.
	Path string
	// PathParams are escaped and put into Path. None may be empty: an empty id would address the whole collection.
	PathParams map[string]string
	// Query is sent as the query string.
	Query url.Values
	// Header is sent besides, and before, Config.Header.
	Header http.Header
	// Body is sent as JSON unless it is nil.
	Body any
	// Form is sent instead of Body, as application/x-www-form-urlencoded, unless it is nil.
	Form url.Values
	// Write says that the call changes something at the vendor. Only such a call can have MayHaveLanded, and only such
	// a call is refused by a read-only client.
	Write bool
	// Anonymous leaves out Config.Prepare and Config.Auth, as a login must.
	Anonymous bool
}

// Response is what is left of an answer once its body is decoded.
type Response struct {
	Status int
	Header http.Header
}

// Client sends calls to one vendor. It is safe for concurrent use.
type Client struct {
	config  Config
	host    string
	rest    *resty.Client
	breaker *breaker
	run     exchange
}

// New checks the configuration and builds the chain.
func New(config Config) (*Client, error) {
	base, err := url.Parse(config.BaseURL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, errors.New("transport: the base address must be an absolute http or https address")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("transport: the base address must not hold credentials, a query or a fragment")
	}
	if config.Vendor == "" {
		return nil, errors.New("transport: the vendor has no name")
	}
	config.setDefaults()
	c := &Client{config: config, host: base.Host}
	c.rest = c.newResty(base)
	c.breaker = newBreaker(config)
	c.run = c.chain()
	return c, nil
}

func (config *Config) setDefaults() {
	if config.Timeout <= 0 {
		config.Timeout = defaultTimeout
	}
	if config.BreakFor <= 0 {
		config.BreakFor = defaultBreakFor
	}
	if config.MaxBody <= 0 {
		config.MaxBody = defaultMaxBody
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Classify == nil {
		config.Classify = ReadWords
	}
	if config.Base == nil {
		config.Base = NewPool()
	}
}

// Do sends the call once and decodes a 2xx answer into out, which may be nil if the body does not matter, or a
// *json.RawMessage to get it as it came. Every error is, or wraps, an *Error. The Response is nil unless the vendor
// answered; it comes beside the error when the vendor answered with one.
func (c *Client) Do(ctx context.Context, call Call, out any) (*Response, error) {
	return c.run(ctx, &request{Call: call, out: out})
}

// request is a call on its way through the chain.
type request struct {
	Call
	out any
}

// exchange is a layer with all layers below it.
type exchange func(ctx context.Context, r *request) (*Response, error)

// chain is the written order of the layers, outermost first.
//
//	guard    refuses what must not be sent
//	trace    one span per call, waiting included
//	bulkhead bounds how many calls are under way
//	break    holds calls back while the vendor is not answering
//	prepare  gets what the credentials need
//	limit    waits for the vendor's allowance and learns from its answers
//	measure  counts and times what the vendor is asked
//	log      one debug line
//	timeout  bounds one attempt
//	judge    turns answers and faults into a result or an *Error
//	send     credentials, the wire, the size limit
func (c *Client) chain() exchange {
	run := c.judge(c.send)
	run = c.timeout(run)
	run = c.log(run)
	run = c.measure(run)
	run = c.limit(run)
	run = c.prepared(run)
	run = c.breaks(run)
	run = c.bulkhead(run)
	run = c.trace(run)
	return c.guard(run)
}

func (c *Client) newResty(base *url.URL) *resty.Client {
	httpClient := &http.Client{
		Transport: c.config.Base,
		// A redirect is reported, never followed: it would repeat a write, or carry credentials to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	rest := resty.NewWithClient(httpClient).
		SetBaseURL(base.String()).
		SetRetryCount(0).
		SetDisableWarn(true).
		SetLogger(silent{}). // resty's own log would print addresses with their query
		SetDoNotParseResponse(true)
	rest.Header = c.config.Header.Clone()
	if rest.Header == nil {
		rest.Header = http.Header{}
	}
	if rest.Header.Get("User-Agent") == "" {
		rest.Header.Set("User-Agent", "tallystick")
	}
	if rest.Header.Get("Accept") == "" {
		rest.Header.Set("Accept", "application/json")
	}
	return rest.SetPreRequestHook(c.authorize)
}

// CloseIdle closes the connections that are kept open for later calls.
func (c *Client) CloseIdle() { c.rest.GetClient().CloseIdleConnections() }

// timeout bounds one attempt.
func (c *Client) timeout(next exchange) exchange {
	return func(ctx context.Context, r *request) (*Response, error) {
		ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
		defer cancel()
		return next(ctx, r)
	}
}

type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}

func (c *Client) fail(r *request, err error) *Error {
	return &Error{Vendor: c.config.Vendor, Operation: r.Operation, Err: err}
}

func wrongCall(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalidCall}, args...)...)
}
