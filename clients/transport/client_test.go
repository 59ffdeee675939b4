package transport

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serve starts a vendor that answers every request with the handler, and a client of it.
func serve(t *testing.T, config Config, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	config.BaseURL = server.URL + "/api/v4"
	if config.Vendor == "" {
		config.Vendor = "vendor"
	}
	client, err := New(config)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdle)
	return client
}

func answerWith(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

var (
	get = Call{Operation: "vendor.things.get", Method: http.MethodGet, Path: "/things"}
	put = Call{Operation: "vendor.things.put", Method: http.MethodPut, Path: "/things", Body: map[string]int{"a": 1}, Write: true}
)

func TestDoSendsTheCallAsDescribed(t *testing.T) {
	var seen *http.Request
	var body []byte
	client := serve(t, Config{
		Header: http.Header{"Version": {"2021-07-28"}},
		Auth: func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer x")
			return nil
		},
	}, func(w http.ResponseWriter, r *http.Request) {
		seen = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("X-Thing", "1")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id": 12345678901234567890, "price": 1.10}`)
	})
	var out map[string]any
	answer, err := client.Do(t.Context(), Call{
		Operation: "vendor.things.create", Method: http.MethodPost, Path: "/things/{id}/parts", PathParams: map[string]string{"id": "a/b c"},
		Query: url.Values{"where": {"x=1&y"}}, Header: http.Header{"x-extra": {"e"}}, Body: map[string]string{"n": "é<"}, Write: true,
	}, &out)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, answer.Status)
	require.Equal(t, "1", answer.Header.Get("X-Thing"))
	require.Equal(t, "/api/v4/things/a%2Fb%20c/parts", seen.URL.EscapedPath())
	require.Equal(t, "x=1&y", seen.URL.Query().Get("where"))
	require.Equal(t, "2021-07-28", seen.Header.Get("Version"))
	require.Equal(t, "e", seen.Header.Get("X-Extra"))
	require.Equal(t, "Bearer x", seen.Header.Get("Authorization"))
	require.Equal(t, "application/json", seen.Header.Get("Content-Type"))
	require.Equal(t, "application/json", seen.Header.Get("Accept"))
	require.EqualValues(t, len(body), seen.ContentLength, "the length of the body is known")
	require.JSONEq(t, `{"n":"é<"}`, string(body))
	require.Equal(t, json.Number("12345678901234567890"), out["id"], "numbers are not passed through floats")
	require.Equal(t, json.Number("1.10"), out["price"])
}

func TestAnonymousCallsCarryNoCredentials(t *testing.T) {
	client := serve(t, Config{Auth: func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer x")
		return nil
	}}, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a login must not carry a session")
		}
	})
	_, err := client.Do(t.Context(), Call{Operation: "vendor.login", Method: http.MethodPost, Path: "/login", Anonymous: true}, nil)
	require.NoError(t, err)
}

func TestNewRefusesABadBaseAddress(t *testing.T) {
	for _, base := range []string{"", "localhost:80", "ftp://x", "/api", "https://user:pw@x", "https://x?a=b", "https://x#y"} {
		_, err := New(Config{Vendor: "v", BaseURL: base})
		require.Error(t, err, base)
	}
	_, err := New(Config{BaseURL: "https://x"})
	require.Error(t, err, "a vendor needs a name")
}

func TestTimeoutBoundsOneAttempt(t *testing.T) {
	release := make(chan struct{})
	client := serve(t, Config{Timeout: 20 * time.Millisecond}, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	_, err := client.Do(t.Context(), put, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, ErrNoAnswer)
	require.True(t, MayHaveLanded(err), "the vendor had the request")
}

func TestRedirectsAreReportedNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer other.Close()
	client := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	for _, call := range []Call{get, put} {
		_, err := client.Do(t.Context(), call, nil)
		require.True(t, IsStatus(err, http.StatusTemporaryRedirect))
		require.Equal(t, call.Write, MayHaveLanded(err))
	}
}

func TestConnectionsAreReused(t *testing.T) {
	peers := map[string]bool{}
	client := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		peers[r.RemoteAddr] = true
		_, _ = io.WriteString(w, `{}`)
	})
	for range 5 {
		_, err := client.Do(t.Context(), get, nil)
		require.NoError(t, err)
	}
	require.Len(t, peers, 1)
}
