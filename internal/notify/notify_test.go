package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// path is the part of an address by which whoever knows it may post.
const path = "/services/T0SECRET/B0SECRET/x0secret"

func webhook(t *testing.T, handler http.HandlerFunc) (*Webhook, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	w, err := New(server.URL+path, http.DefaultTransport)
	require.NoError(t, err)
	return w, server
}

// fails posts, and expects an error that gives nothing away.
func fails(ctx context.Context, t *testing.T, w *Webhook) *Error {
	t.Helper()
	err := w.Post(ctx, "the message")
	var failed *Error
	require.ErrorAs(t, err, &failed)
	for _, secret := range []string{"SECRET", "secret", "the message"} {
		require.NotContains(t, err.Error(), secret)
		require.NotContains(t, fmt.Sprint(errors.Unwrap(err)), secret)
	}
	return failed
}

func TestPostSaysItOnceAsPlainText(t *testing.T) {
	var got []string
	w, _ := webhook(t, func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != path {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
			t.Errorf("content type %q", kind)
		}
		var message map[string]string
		if err := json.Unmarshal(body, &message); err != nil {
			t.Error(err)
		}
		got = append(got, message["text"])
	})
	require.True(t, w.Enabled())
	require.NoError(t, w.Post(t.Context(), "Bob & Co <https://evil.example|click> <!channel>"))
	require.Equal(t, []string{"Bob &amp; Co &lt;https://evil.example|click&gt; &lt;!channel&gt;"}, got)
	require.NoError(t, w.Post(t.Context(), strings.Repeat("ä", longestText+100)))
	require.Len(t, []rune(got[1]), longestText)
}

func TestNoWebhookAndNoURL(t *testing.T) {
	w, err := New("", http.DefaultTransport)
	require.NoError(t, err)
	require.False(t, w.Enabled())
	require.False(t, (*Webhook)(nil).Enabled())
	for _, address := range []string{"hooks.example/secret", "ftp://hooks.example/secret", "https:///secret", "://secret\x7f"} {
		_, err := New(address, http.DefaultTransport)
		require.ErrorContains(t, err, "URL")
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 307, 308} {
		w, _ := webhook(t, func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, other.URL+path, status) })
		failed := fails(t.Context(), t, w)
		require.Equal(t, status, failed.Status)
		require.True(t, failed.Refused())
	}
	require.Zero(t, elsewhere.Load())
}

func TestWhichAnswersAreFinal(t *testing.T) {
	for status, refused := range map[int]bool{400: true, 403: true, 404: true, 410: true, 408: false, 425: false, 429: false, 500: false, 503: false} {
		w, _ := webhook(t, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", "7")
			rw.WriteHeader(status)
			_, _ = rw.Write([]byte("no_service: " + path))
		})
		failed := fails(t.Context(), t, w)
		require.Equal(t, status, failed.Status)
		require.Equal(t, refused, failed.Refused(), status)
		require.Equal(t, 7*time.Second, failed.RetryAfter)
	}
	require.Zero(t, retryAfter(http.Header{"Retry-After": {"Wed, 21 Oct 2015 07:28:00 GMT"}}))
	require.Equal(t, time.Hour, retryAfter(http.Header{"Retry-After": {"999999"}}))
}

func TestAnAnswerThatNeverComesIsGivenUp(t *testing.T) {
	w, _ := webhook(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has given up
		<-r.Context().Done()
	})
	w.http.Timeout = 50 * time.Millisecond
	failed := fails(t.Context(), t, w)
	require.ErrorIs(t, failed, context.DeadlineExceeded)
	require.False(t, failed.Refused())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, fails(ctx, t, w), context.Canceled)
	require.LessOrEqual(t, timeout, 15*time.Second, "what calls this waits for it")
}

func TestNobodyListens(t *testing.T) {
	w, server := webhook(t, func(http.ResponseWriter, *http.Request) {})
	server.Close()
	require.Zero(t, fails(t.Context(), t, w).Status)
}

func TestAnUnknownCertificateIsRefused(t *testing.T) {
	var reached atomic.Bool
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	t.Cleanup(server.Close)
	w, err := New(server.URL+path, http.DefaultTransport)
	require.NoError(t, err)
	require.ErrorContains(t, fails(t.Context(), t, w), "certificate")
	require.False(t, reached.Load())
}
