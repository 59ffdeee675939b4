package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
)

// Verdict is what a probe found out.
type Verdict string

// The verdicts.
const (
	Holds Verdict = "holds"
	Fails Verdict = "does not hold"
	// Open: this account has nothing to tell it by, or does not let us look.
	Open Verdict = "cannot be told here"
)

// Finding is the answer of one probe.
type Finding struct {
	// ID is the assumption's, such as A12.
	ID      string
	Verdict Verdict
	// Why says by what it was told. It is fit to be shown.
	Why string
}

// probe finds out about one assumption.
type probe[A any] struct {
	id  string
	ask func(ctx context.Context, account A) (Verdict, string)
}

func askAll[A any](ctx context.Context, account A, probes []probe[A]) []Finding {
	findings := make([]Finding, 0, len(probes))
	for _, p := range probes {
		verdict, why := p.ask(ctx, account)
		findings = append(findings, Finding{p.id, verdict, why})
	}
	return findings
}

// IDs are the assumptions that have a probe, in order.
func IDs() []string {
	var ids []string
	for _, p := range highLevelProbes {
		ids = append(ids, p.id)
	}
	for _, p := range sageProbes {
		ids = append(ids, p.id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// blocked is the verdict where a call failed that had to succeed for anything to be told. Errors of the clients are
// scrubbed of what is personal or secret.
func blocked(err error) (Verdict, string) {
	if ghl.IsScopeMissing(err) {
		return Open, "the token lacks the scope"
	}
	return Open, err.Error()
}

// refusal is the verdict where the vendor's refusal of a call is what was looked for. Anything else that keeps a call
// from succeeding tells nothing.
func refusal(err error) (Verdict, string) {
	switch statusOf(err) {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestURITooLong, http.StatusUnprocessableEntity:
		if !errors.Is(err, sage.ErrCredentials) {
			return Fails, err.Error()
		}
	}
	return blocked(err)
}

// statusOf is the status of a call that failed, 0 if no answer came.
func statusOf(err error) int {
	if e := transport.AsError(err); e != nil {
		return e.Status
	}
	return 0
}

// tap sits between a client and the network: it keeps the last answer as it came, and may change a request on its way.
type tap struct {
	next http.RoundTripper
	edit func(*http.Request)

	mu     sync.Mutex
	status int
	header http.Header
	body   []byte
	logins int
}

func newTap(edit func(*http.Request)) *tap {
	pool := http.DefaultTransport.(*http.Transport).Clone()
	pool.Proxy = nil
	return &tap{next: pool, edit: edit}
}

// RoundTrip implements http.RoundTripper.
func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	login := strings.HasSuffix(r.URL.Path, "/login")
	if t.edit != nil {
		r = r.Clone(r.Context())
		t.edit(r)
	}
	answer, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	_ = answer.Body.Close()
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	t.mu.Lock()
	defer t.mu.Unlock()
	if login {
		t.logins++
		return answer, nil
	}
	t.status, t.header, t.body = answer.StatusCode, answer.Header.Clone(), body
	return answer, nil
}

// last is the last answer that was no log-in.
func (t *tap) last() (status int, header http.Header, body []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status, t.header, t.body
}

func (t *tap) loggedIn() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.logins
}

// field is a part of the last answer, nil if there is none of that name.
func (t *tap) field(name string) json.RawMessage {
	_, _, body := t.last()
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return nil
	}
	return bytes.TrimSpace(object[name])
}

// shape is the first byte of a JSON value, which tells its kind; 0 for none.
func shape(value json.RawMessage) byte {
	if len(value) == 0 {
		return 0
	}
	return value[0]
}

var plainWord = regexp.MustCompile(`^[a-zA-Z][a-zA-Z_ -]{0,29}$`)

// words lists words of status in order. What does not look like one is not shown.
func words(all map[string]int) string {
	var shown []string
	for word := range all {
		if !plainWord.MatchString(word) {
			word = "(no plain word)"
		}
		shown = append(shown, word)
	}
	slices.Sort(shown)
	return strings.Join(slices.Compact(shown), ", ")
}
