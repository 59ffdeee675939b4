package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"

	"github.com/go-resty/resty/v2"
)

// buffers holds answers while they are decoded. Larger ones are left to the garbage collector, so that one huge page
// does not stay in memory for ever.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxPooled = 1 << 20

func putBuffer(b *bytes.Buffer) {
	if b != nil && b.Cap() <= maxPooled {
		b.Reset()
		buffers.Put(b)
	}
}

type callKey struct{}

// send puts the call on the wire and reads the whole answer, so that the time and the faults of reading belong to the
// call like everything else.
func (c *Client) send(ctx context.Context, r *request) (wire, error) {
	var reached atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// From here on the vendor may see the request; a fault of dialling or of TLS comes before.
		GotConn: func(httptrace.GotConnInfo) { reached.Store(true) },
	})
	if r.Anonymous {
		ctx = context.WithValue(ctx, callKey{}, r)
	}
	rest, err := c.prepare(ctx, r)
	if err != nil {
		return wire{}, err
	}
	answer, err := rest.Execute(r.Method, r.Path)
	got := wire{reached: reached.Load()}
	if err != nil {
		return got, err
	}
	raw := answer.RawResponse
	defer func() { _ = raw.Body.Close() }() // what was read is judged, not how the line ended
	got.status, got.header = raw.StatusCode, raw.Header
	got.body, err = c.read(raw.Body)
	return got, err
}

func (c *Client) prepare(ctx context.Context, r *request) (*resty.Request, error) {
	rest := c.rest.R().SetContext(ctx)
	if len(r.PathParams) > 0 {
		rest.SetPathParams(r.PathParams)
	}
	if len(r.Query) > 0 {
		rest.SetQueryParamsFromValues(r.Query)
	}
	for name, values := range r.Header {
		rest.Header[http.CanonicalHeaderKey(name)] = values
	}
	body, kind, err := encode(r)
	if err != nil || kind == "" {
		return rest, err
	}
	rest.SetHeader("Content-Type", kind)
	// A reader of bytes, so that the length is known and the standard library can send it anew on a connection that
	// turned out dead before a byte went out.
	return rest.SetBody(bytes.NewReader(body)), nil
}

// encode gives the body of a call and its type, which is empty if the call has no body.
func encode(r *request) (body []byte, kind string, err error) {
	if r.Form != nil {
		return []byte(r.Form.Encode()), "application/x-www-form-urlencoded", nil
	}
	if r.Body == nil {
		return nil, "", nil
	}
	if body, err = json.Marshal(r.Body); err != nil {
		return nil, "", fmt.Errorf("%w: its body cannot be written as JSON", ErrInvalidCall)
	}
	return body, "application/json", nil
}

// read takes the body into a pooled buffer, up to the limit.
func (c *Client) read(body io.Reader) (*bytes.Buffer, error) {
	buffer, _ := buffers.Get().(*bytes.Buffer)
	n, err := buffer.ReadFrom(io.LimitReader(body, c.config.MaxBody+1))
	if err != nil {
		return buffer, err
	}
	if n > c.config.MaxBody {
		return buffer, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, c.config.MaxBody)
	}
	return buffer, nil
}

// authorize is the last step before the wire.
func (c *Client) authorize(_ *resty.Client, r *http.Request) error {
	ctx := r.Context()
	if r.URL.Host != c.host {
		return wrongCall("it would leave for another host")
	}
	if c.config.Auth == nil || ctx.Value(callKey{}) != nil {
		return nil
	}
	err := c.config.Auth(ctx, r)
	if err == nil || AsError(err) != nil {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault{ErrCredentials, err}
}

// prepared gets what the credentials need before the call waits for its turn.
func (c *Client) prepared(next exchange) exchange {
	if c.config.Prepare == nil {
		return next
	}
	return func(ctx context.Context, r *request) (*Response, error) {
		if r.Anonymous {
			return next(ctx, r)
		}
		ready, err := c.config.Prepare(ctx)
		if err != nil {
			c.config.Metrics.refused(c.config.Vendor, r.Operation)
			return nil, NoCredentials(c.config.Vendor, r.Operation, err)
		}
		return next(ready, r)
	}
}
