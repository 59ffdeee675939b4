package ghl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/transport"
)

// ring gives one token after the other.
type ring struct {
	mu      sync.Mutex
	at      int
	renewed []string
	err     error
}

func (r *ring) token() string { return fmt.Sprintf("token-%d", r.at) }

func (r *ring) Token(context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.token(), nil
}

func (r *ring) Renew(_ context.Context, refused string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.renewed = append(r.renewed, refused)
	if r.err != nil {
		return "", r.err
	}
	if refused == r.token() {
		r.at++
	}
	return r.token(), nil
}

const (
	invalid = `{"statusCode":401,"message":"Invalid JWT","error":"Unauthorized"}`
	scope   = `{"statusCode":401,"message":"The token is not authorized for this scope.","error":"Unauthorized"}`
	route   = `{"statusCode":401,"message":"This route is not yet supported by the IAM Service. Please update your IAM config.","error":"Unauthorized"}`
)

// guarded is a vendor that takes one token only; it returns what it was sent as method, token and body.
func guarded(t *testing.T, good, refusal string, credentials Credentials) (*Client, *[][3]string) {
	t.Helper()
	var mu sync.Mutex
	var seen [][3]string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		seen = append(seen, [3]string{r.Method, r.Header.Get("Authorization"), string(body)})
		mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+good {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, refusal)
			return
		}
		_, _ = io.WriteString(w, `{"_id":"1","status":true,"success":true,"note":{"id":"n"},"currency":"USD","amount":1}`)
	}))
	t.Cleanup(server.Close)
	client, err := New(Options{BaseURL: server.URL, LocationID: location, Credentials: credentials, Limiter: fast()})
	require.NoError(t, err)
	t.Cleanup(client.CloseIdle)
	return client, &seen
}

func TestARefusedTokenIsRenewedOnce(t *testing.T) {
	credentials := &ring{}
	client, seen := guarded(t, "token-1", invalid, credentials)
	_, err := client.Orders.Get(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, [][3]string{{"GET", "Bearer token-0", ""}, {"GET", "Bearer token-1", ""}}, *seen)
	require.Equal(t, []string{"token-0"}, credentials.renewed)
	_, err = client.Orders.Get(t.Context(), "1")
	require.NoError(t, err)
	require.Len(t, *seen, 3)
}

func TestAWriteIsSentOnceMoreToo(t *testing.T) {
	client, seen := guarded(t, "token-1", `{"statusCode":401,"message":"gone","error":"Unauthorized"}`, &ring{})
	_, err := client.Contacts.AddNote(t.Context(), "c1", Note{Body: "paid"})
	require.NoError(t, err)
	require.Len(t, *seen, 2)
	require.Equal(t, (*seen)[0][2], (*seen)[1][2], "the same body")
	require.Contains(t, (*seen)[1][2], "paid")
}

func TestWhatRenewingCannotHelp(t *testing.T) {
	for name, body := range map[string]string{"scope": scope, "route": route} {
		credentials := &ring{}
		client, seen := guarded(t, "never", body, credentials)
		_, err := client.Orders.Get(t.Context(), "1")
		require.True(t, transport.IsStatus(err, 401), name)
		require.Empty(t, credentials.renewed, name)
		require.Len(t, *seen, 1, name)
	}
	client, seen := guarded(t, "never", invalid, StaticToken("pit"))
	_, err := client.Orders.Get(t.Context(), "1")
	require.True(t, IsTokenInvalid(err), "the 401 itself is the news: %v", err)
	require.NotErrorIs(t, err, ErrNoRenewal)
	require.Len(t, *seen, 1)
}

func TestARenewedTokenThatIsRefusedIsNotRenewedAgain(t *testing.T) {
	credentials := &ring{}
	client, seen := guarded(t, "never", invalid, credentials)
	for range 5 {
		_, err := client.Orders.Get(t.Context(), "1")
		require.True(t, IsTokenInvalid(err))
		require.False(t, transport.MayHaveLanded(err))
	}
	require.Equal(t, []string{"token-0"}, credentials.renewed)
	require.Len(t, *seen, 6)
}

// TestAUselessTokenIsTriedToBeRenewedLater: HighLevel refused a token that it had just given out, for whatever reason, and
// the token goes on being refused. Without another renewal everything would stand still for the day that it lasts.
func TestAUselessTokenIsTriedToBeRenewedLater(t *testing.T) {
	credentials := &ring{}
	client, _ := guarded(t, "token-2", invalid, credentials)
	_, err := client.Orders.Get(t.Context(), "1")
	require.True(t, IsTokenInvalid(err))
	_, err = client.Orders.Get(t.Context(), "1")
	require.True(t, IsTokenInvalid(err), "not with every call")
	require.Equal(t, []string{"token-0"}, credentials.renewed)

	client.api.useless.until = time.Now() // half a minute has passed
	_, err = client.Orders.Get(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, []string{"token-0", "token-1"}, credentials.renewed)
}

// reconnect stands for the typed faults of whoever keeps the tokens.
type reconnect struct{ location string }

func (reconnect) Error() string { return "only a person can mend it; token=abcdef" }

func TestAFailedRenewalIsTheError(t *testing.T) {
	credentials := &ring{err: fmt.Errorf("vault: %w", reconnect{"loc"})}
	client, seen := guarded(t, "never", invalid, credentials)
	_, err := client.Contacts.AddNote(t.Context(), "c1", Note{Body: "paid"})
	var found reconnect
	require.ErrorAs(t, err, &found)
	require.Equal(t, "loc", found.location)
	require.ErrorIs(t, err, transport.ErrCredentials)
	require.False(t, transport.MayHaveLanded(err))
	require.NotContains(t, err.Error(), "abcdef")
	require.Equal(t, "ghl.contacts.add_note", transport.AsError(err).Operation)
	require.Len(t, *seen, 1)

	credentials.err = &transport.Error{Vendor: vendor, Operation: "ghl.oauth.token", Status: 503, MayHaveLanded: true}
	_, err = client.Orders.Get(t.Context(), "1")
	require.True(t, transport.IsStatus(err, 503), "the renewal's own answer is what counts")
	require.False(t, transport.MayHaveLanded(err))
	credentials.err = &transport.Error{Vendor: vendor, Operation: "ghl.oauth.token", Status: 401}
	_, err = client.Orders.Get(t.Context(), "1")
	require.ErrorIs(t, err, transport.ErrCredentials)
	credentials.err = context.Canceled
	_, err = client.Orders.Get(t.Context(), "1")
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, transport.ErrCredentials)
}

func TestManyCallsWithOneRefusedToken(t *testing.T) {
	credentials := &ring{}
	client, _ := guarded(t, "token-1", invalid, credentials)
	errs := make(chan error, 50)
	for range 50 {
		go func() {
			_, err := client.Orders.Get(t.Context(), "1")
			errs <- err
		}()
	}
	for range 50 {
		require.NoError(t, <-errs)
	}
	require.Equal(t, 1, credentials.at)
}

func TestAReadOnlyClientNeedsNoTokenToRefuse(t *testing.T) {
	var planned []transport.Planned
	client, err := New(Options{LocationID: location, Credentials: failing{}, ReadOnly: true, Limiter: fast(),
		Planned: func(_ context.Context, p transport.Planned) error {
			planned = append(planned, p)
			return errors.New("full")
		}})
	require.NoError(t, err)
	_, err = client.Contacts.AddNote(t.Context(), "c/1", Note{Body: "paid"})
	require.ErrorIs(t, err, transport.ErrReadOnly)
	require.Len(t, planned, 1)
	require.Equal(t, "/contacts/c%2F1/notes", planned[0].Path)
	require.JSONEq(t, `{"body":"paid"}`, string(planned[0].Body))
}

func TestAStaticTokenIsNotPrinted(t *testing.T) {
	o := Options{Credentials: StaticToken(token)}
	for _, verb := range verbs {
		require.NotContains(t, fmt.Sprintf(verb, o.Credentials), token)
		require.NotContains(t, fmt.Sprintf(verb, o), token)
	}
}

var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"}
