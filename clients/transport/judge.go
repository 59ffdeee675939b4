package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// wire is what the send layer brings back: the answer with its body still in a pooled buffer.
type wire struct {
	status int
	header http.Header
	body   *bytes.Buffer // nil if none was read
	// reached says that a connection to the vendor was had, so that it may have seen the request.
	reached bool
}

// judge turns what came over the wire into a result or an *Error. It is the only place that decides whether a write may
// have landed.
func (c *Client) judge(send func(context.Context, *request) (wire, error)) exchange {
	return func(ctx context.Context, r *request) (*Response, error) {
		got, err := send(ctx, r)
		defer putBuffer(got.body)
		var answer *Response
		if got.status != 0 {
			answer = &Response{Status: got.status, Header: got.header}
		}
		if got.status != 0 && (got.status < 200 || got.status > 299) {
			return answer, c.refusal(r, got) // its status counts, even if its body was cut or is too large
		}
		if err != nil {
			return answer, c.broken(ctx, r, got, err)
		}
		if err := decode(got, r.out); err != nil {
			e := c.fail(r, fault{ErrUnreadable, err})
			e.Status, e.MayHaveLanded = got.status, r.Write
			return answer, e
		}
		return answer, nil
	}
}

// broken judges a call without a complete answer, or none at all. Its status, if there is one, is a success.
func (c *Client) broken(ctx context.Context, r *request, got wire, err error) *Error {
	if AsError(err) != nil {
		return NoCredentials(c.config.Vendor, r.Operation, err)
	}
	if errors.Is(err, ErrAddress) {
		return c.fail(r, fault{ErrAddress, err})
	}
	kind := ErrNoAnswer
	for _, known := range []error{ErrCredentials, ErrInvalidCall, ErrTooLarge} {
		if errors.Is(err, known) {
			kind = nil
		}
	}
	e := c.fail(r, err)
	if kind != nil {
		if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			// A cut line and a timeout can race; what matters to the caller is that its time was over.
			err = errors.Join(ctx.Err(), plainCause(err))
		}
		e.Err = fault{kind, err}
	}
	e.Status = got.status
	e.MayHaveLanded = r.Write && got.reached
	return e
}

// landedByStatus tells whether an answer with this status leaves open that a write was carried out.
// 4xx and 429 are refusals; 408 comes from servers that had begun to read; 3xx may follow a write that was done.
func landedByStatus(status int) bool {
	return status < 400 || status >= 500 || status == http.StatusRequestTimeout
}

// refusal judges a complete answer that is no success.
func (c *Client) refusal(r *request, got wire) *Error {
	words := c.config.Classify(got.status, got.header, got.body.Bytes())
	e := c.fail(r, nil)
	e.Status = got.status
	e.Code, e.Message, e.TraceID = scrubWord(words.Code), Scrub(withoutEcho(words.Message, r)), scrubWord(words.TraceID)
	e.RetryAfter = words.RetryAfter
	if e.RetryAfter <= 0 {
		e.RetryAfter = ParseRetryAfter(got.header, time.Now())
	}
	e.MayHaveLanded = r.Write && landedByStatus(got.status)
	return e
}

// decode reads a success. Numbers in targets of type any become json.Number, never floats.
func decode(got wire, out any) error {
	if out == nil || got.status == http.StatusNoContent {
		return nil
	}
	body := got.body.Bytes()
	if raw, ok := out.(*json.RawMessage); ok {
		if len(bytes.TrimSpace(body)) > 0 && !json.Valid(body) {
			return errors.New("it is no JSON")
		}
		*raw = bytes.Clone(body)
		return nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return errors.New("it is empty")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(out); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows after the JSON")
	}
	return nil
}

// ReadWords reads the keys under which most JSON APIs put their error: code, message (a text or a list of texts),
// error, traceId, in any case, at the top or inside "error". An answer that is no JSON is taken as text, without tags.
func ReadWords(_ int, _ http.Header, body []byte) Words {
	var top map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&top); err != nil {
		return Words{Message: PlainText(body)}
	}
	words := wordsIn(top)
	if inner, ok := lookup(top, "error").(map[string]any); ok {
		deeper := wordsIn(inner)
		words.Code = firstOf(words.Code, deeper.Code)
		words.Message = firstOf(words.Message, deeper.Message)
		words.TraceID = firstOf(words.TraceID, deeper.TraceID)
	}
	return words
}

func wordsIn(object map[string]any) Words {
	return Words{
		Code:    asText(lookup(object, "code")),
		Message: firstOf(asText(lookup(object, "message")), asText(lookup(object, "error")), asText(lookup(object, "msg"))),
		TraceID: firstOf(asText(lookup(object, "traceId")), asText(lookup(object, "trace_id"))),
	}
}

func lookup(object map[string]any, key string) any {
	if v, ok := object[key]; ok {
		return v
	}
	for k, v := range object {
		if strings.EqualFold(k, key) {
			return v
		}
	}
	return nil
}

// asText reads a text, a number or a list of texts. Objects are left out: they are mostly an echo of what was sent.
func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case []any:
		var parts []string
		for _, one := range v {
			if s := asText(one); s != "" {
				parts = append(parts, s)
			}
		}
		return strings.Join(parts, "; ")
	}
	return ""
}

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// PlainText reads an error page: its text without tags, styles and scripts.
func PlainText(body []byte) string {
	if len(body) > maxScrub {
		body = body[:maxScrub]
	}
	text := markup.ReplaceAllString(string(body), " ")
	return strings.Join(strings.Fields(text), " ")
}

// ParseRetryAfter reads the Retry-After header, which is a number of seconds or an HTTP date. It is 0 if there is none,
// or none that can be read, or one in the past.
func ParseRetryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	const longest = 7 * 24 * time.Hour // more than this is an error of the sender, and would overflow further on
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		if seconds <= 0 {
			return 0
		}
		return time.Duration(min(seconds, int64(longest/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longest)
}
