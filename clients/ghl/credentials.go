package ghl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tallystick/tallystick/clients/transport"
)

// ErrNoRenewal says that a token cannot be renewed by a program: somebody must replace it.
var ErrNoRenewal = errors.New("the token cannot be renewed")

// Credentials give the bearer token of a location. They are used by many calls at once.
type Credentials interface {
	// Token gives the token to send. It is asked for each call.
	Token(ctx context.Context) (string, error)
	// Renew gives another token than the one that HighLevel has just refused. Whoever asks with a token that has been
	// replaced in between gets the present one. ErrNoRenewal says that there is no other.
	Renew(ctx context.Context, refused string) (string, error)
}

type staticToken struct{ token string }

// StaticToken is a private integration token, which does not expire but is replaced by hand.
func StaticToken(private string) Credentials { return &staticToken{strings.TrimSpace(private)} }

func (s *staticToken) Token(context.Context) (string, error) { return s.token, nil }

func (s *staticToken) Renew(context.Context, string) (string, error) { return "", ErrNoRenewal }

// Format keeps the token out of whatever options are printed into.
func (s *staticToken) Format(to fmt.State, _ rune) {
	_, _ = io.WriteString(to, "a private integration token")
}

type bearerKey struct{}

// bearer is the token of one call, from when it is known until the answer is judged.
type bearer struct{ token string }

// prepare gets the token, which may take a renewal, before the call waits for its turn.
func prepare(credentials Credentials) func(context.Context) (context.Context, error) {
	return func(ctx context.Context) (context.Context, error) {
		b, ok := ctx.Value(bearerKey{}).(*bearer)
		if !ok || b.token != "" {
			return ctx, nil // it was renewed a moment ago
		}
		var err error
		if b.token, err = credentials.Token(ctx); err != nil {
			return ctx, err
		}
		if b.token == "" {
			return ctx, errors.New("the access token is empty")
		}
		return ctx, nil
	}
}

func sign(ctx context.Context, r *http.Request) error {
	b, ok := ctx.Value(bearerKey{}).(*bearer)
	if !ok || b.token == "" {
		return errors.New("the call has no access token")
	}
	r.Header.Set("Authorization", "Bearer "+b.token)
	return nil
}

// send sends a call, and once more with a renewed token if HighLevel refuses the token. That is safe for writes as well:
// a 401 comes before anything is stored (A94).
func (a *api) send(ctx context.Context, call transport.Call, out any) error {
	used := &bearer{}
	_, err := a.chain.Do(context.WithValue(ctx, bearerKey{}, used), call, out)
	if !renewable(err) || a.useless.is(used.token) {
		return err
	}
	renewed, cause := a.credentials.Renew(ctx, used.token)
	if errors.Is(cause, ErrNoRenewal) {
		return err
	}
	if cause != nil {
		return transport.NoCredentials(vendor, call.Operation, cause)
	}
	_, err = a.chain.Do(context.WithValue(ctx, bearerKey{}, &bearer{renewed}), call, out)
	if renewable(err) {
		a.useless.set(renewed)
	}
	return err
}

// renewable tells a 401 that another token may help against. One for a missing scope needs a person, and one for a
// route needs the vendor.
func renewable(err error) bool {
	e := transport.AsError(err)
	return e != nil && e.Status == http.StatusUnauthorized && e.Vendor == vendor && !errors.Is(err, transport.ErrCredentials) &&
		!noScope.MatchString(e.Message) && !noRoute.MatchString(e.Message)
}

// uselessFor is how long a token that was refused although it was fresh is taken for useless. It lasts a day, in which
// HighLevel may well refuse it for another reason that a renewal does help against.
const uselessFor = 30 * time.Second

// useless remembers the token that was refused although it was fresh, so that a 401 with another reason than its words
// say does not renew the token with every call.
type useless struct {
	mu    sync.Mutex
	token string
	until time.Time
}

func (u *useless) is(token string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return token != "" && u.token == token && time.Now().Before(u.until)
}

func (u *useless) set(token string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.token, u.until = token, time.Now().Add(uselessFor)
}
