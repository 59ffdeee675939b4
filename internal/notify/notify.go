// Package notify tells people that somebody must act, through an incoming webhook as Slack and the many services that
// are compatible with it have them: one POST of {"text": "…"}.
//
// It decides nothing: what is told, when and how often is the business of the caller, the process that keeps the
// connections. It holds no queue and tries nothing twice, and whoever calls it must be able to go on without it.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// timeout bounds one message, from the look-up of the name to the answer.
	timeout = 10 * time.Second
	// mostRead bounds what is read of an answer, whose text is of no use: only a connection whose answer was read to its
	// end is used again.
	mostRead = 4 << 10
	// longestText is well below what the services take (Slack cuts messages at 40,000 characters).
	longestText = 4000
)

// Webhook posts to one incoming webhook. Its address is a secret, and in nothing that comes out of here. The zero value
// posts nowhere: see Enabled.
type Webhook struct {
	address string
	http    *http.Client
}

// New makes the way to the webhook of an address, an absolute http or https URL. An empty address gives a Webhook that
// is not enabled. way does the round trips and decides which addresses may be dialled and how they are encrypted: the
// programs give the clients' own, transport.NewPool.
func New(address string, way http.RoundTripper) (*Webhook, error) {
	if address == "" {
		return &Webhook{}, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, errors.New("the address of the webhook is no http or https URL: copy it whole from the service that has it")
	}
	return &Webhook{address: address, http: &http.Client{
		Transport: way, Timeout: timeout,
		// A redirect would carry the message, and with it the path that is the secret, to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Enabled tells whether there is a webhook to post to.
func (w *Webhook) Enabled() bool { return w != nil && w.address != "" }

// Error is a message that did not arrive. Its text names neither the address nor the message.
type Error struct {
	// Status is the answer's, 0 if there was none.
	Status int
	// RetryAfter is how long the service asks to be left alone, 0 if it does not say.
	RetryAfter time.Duration
	// Err is the cause where there was no answer.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("the notification webhook does not answer: %v", e.Err)
	}
	return fmt.Sprintf("the notification webhook answers %d; check NOTIFY_WEBHOOK_URL", e.Status)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Refused tells that the message would be refused again: the webhook was removed, or is none.
func (e *Error) Refused() bool {
	return e.Status >= 300 && e.Status < 500 && e.Status != http.StatusRequestTimeout &&
		e.Status != http.StatusTooEarly && e.Status != http.StatusTooManyRequests
}

// Post sends one message as plain text: what Slack would read as markup is escaped. It fails with an *Error, or with the
// context's error if that ended first. It may not be called unless Enabled.
func (w *Webhook) Post(ctx context.Context, text string) error {
	body, err := json.Marshal(map[string]string{"text": plain(text)})
	if err != nil {
		return fmt.Errorf("write the message: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.address, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address of the webhook is no URL") // the cause would show it
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	answer, err := w.http.Do(request)
	if err != nil {
		return &Error{Err: withoutAddress(err)}
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.CopyN(io.Discard, answer.Body, mostRead) // its end, or none: the status has said all
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return &Error{Status: answer.StatusCode, RetryAfter: retryAfter(answer.Header)}
	}
	return nil
}

// withoutAddress takes the address off an error of net/http, which shows it in full.
func withoutAddress(err error) error {
	var shown *url.Error
	if errors.As(err, &shown) {
		if shown.Timeout() {
			return context.DeadlineExceeded
		}
		return shown.Err
	}
	return err
}

// retryAfter reads the header in its form of whole seconds, the only one that such services send.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(strings.TrimSpace(h.Get("Retry-After")))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, time.Hour)
}

// markup are the three characters that Slack's documentation on formatting says must be escaped; with them gone, a name
// that a stranger chose makes neither a link nor a mention.
var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func plain(text string) string {
	return markup.Replace(Cut(text, longestText))
}
