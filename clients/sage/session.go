package sage

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tallystick/tallystick/clients/transport"
)

const (
	// sessionLife is when a session is renewed without being asked to. Public sources give a token anything from one
	// hour to a day; the shortest of them, less a margin, fits all (A40).
	sessionLife = 50 * time.Minute
	// loginTime bounds a log-in with all its waiting, as no single caller's deadline may.
	loginTime = 2 * time.Minute
	// maxFlights bounds the waiting for a token that is new to the caller.
	maxFlights = 3
)

// ErrCredentials says that Sage refuses the API keys, or refuses a session that it has just given for them. Repeating
// is of no use until somebody sets other keys.
var ErrCredentials = errors.New("sage refuses the API keys; check SAGE_PUBLIC_KEY and SAGE_PRIVATE_KEY, and that the key's user is active")

// session holds the token that all calls share. A log-in is a call against the rate limit like any other, so callers
// that need a new token at the same time get it from one log-in. An older token stays usable beside a newer one
// (A40, inferred: the vendor's own connector logs in before each call).
type session struct {
	login  func(context.Context) (string, error)
	now    func() time.Time
	flight singleflight.Group

	mu     sync.Mutex
	token  string
	issued time.Time
}

func newSession(login func(context.Context) (string, error), now func() time.Time) *session {
	return &session{login: login, now: now}
}

// get gives a token that is not stale, the one that Sage has just refused, or "". It logs in only if nobody else has
// done so in between.
func (s *session) get(ctx context.Context, stale string) (string, error) {
	for attempt := 1; ; attempt++ {
		if token := s.current(stale); token != "" {
			return token, nil
		}
		// A flight serves many callers, so it must not end with the first one's deadline.
		result := s.flight.DoChan("login", func() (any, error) { return s.renew(context.WithoutCancel(ctx), stale) })
		select {
		case <-ctx.Done():
			return "", &transport.Error{Vendor: vendor, Operation: "sage.login", Err: ctx.Err()}
		case done := <-result:
			if done.Err != nil {
				return "", done.Err
			}
			// A flight that began for another caller's stale token may bring back the one that is stale to us.
			if token, _ := done.Val.(string); token != stale || attempt == maxFlights {
				return token, nil
			}
		}
	}
}

func (s *session) current(stale string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == stale || s.now().Sub(s.issued) >= sessionLife {
		return ""
	}
	return s.token
}

func (s *session) renew(ctx context.Context, stale string) (string, error) {
	if token := s.current(stale); token != "" {
		return token, nil // somebody renewed it between our look and this flight
	}
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	began := s.now()
	token, err := s.login(ctx)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.issued = token, began
	return token, nil
}

// login exchanges the keys for a session token. The fields are called username and password (endpoint pages, vendor's
// connector), whatever some descriptions say. Neither body is ever logged.
func login(ctx context.Context, rest *transport.Client, public, private string) (string, error) {
	var answer struct {
		Token string `json:"token"`
	}
	_, err := rest.Do(ctx, transport.Call{
		Operation: "sage.login",
		Method:    http.MethodPost,
		Path:      "/login",
		Body: struct {
			Username string `json:"username"`
			Password string `json:"password"`
		}{public, private},
		Anonymous: true,
	}, &answer)
	if transport.IsStatus(err, http.StatusBadRequest, http.StatusUnauthorized) {
		return "", refused(err)
	}
	if err != nil {
		return "", err //nolint:wrapcheck // it is a *transport.Error, which callers look for
	}
	if answer.Token == "" {
		return "", &transport.Error{Vendor: vendor, Operation: "sage.login", Status: http.StatusOK,
			Err: errors.Join(transport.ErrUnreadable, errors.New("it holds no token"))}
	}
	return answer.Token, nil
}

// refused marks an answer as the end of what retrying can do. What Sage said stays in the error.
func refused(err error) error {
	e := *transport.AsError(err)
	e.Err = ErrCredentials
	return &e
}
