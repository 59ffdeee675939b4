package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/starter/intake"
	"github.com/tallystick/tallystick/starter/webhook"
	"github.com/tallystick/tallystick/workflows"
)

// nowhere is a door that nothing gets through, since no request here is signed.
type nowhere struct{}

func (nowhere) LookAtOrder(context.Context, string, string, workflows.Hint) error {
	return errors.New("unexpected")
}
func (nowhere) LookAtInvoice(context.Context, string, string, workflows.Hint) error {
	return errors.New("unexpected")
}

type running struct {
	*Server
	base string
	stop context.CancelFunc
	done chan error
}

func run(t *testing.T, change func(*Options)) *running {
	t.Helper()
	door, err := webhook.New(webhook.Options{Door: nowhere{}, Locations: intake.One("here")})
	require.NoError(t, err)
	options := Options{
		Listen: "127.0.0.1:0", Webhooks: door, Grace: 5 * time.Second,
	}
	if change != nil {
		change(&options)
	}
	s, err := Open(t.Context(), options)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	r := &running{Server: s, base: "http://" + s.Addr(), stop: stop, done: make(chan error, 1)}
	go func() { r.done <- s.Run(ctx) }()
	t.Cleanup(stop)
	return r
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestRoutes(t *testing.T) {
	r := run(t, func(o *Options) {
		o.Codec = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { _, _ = io.WriteString(w, "codec "+q.URL.Path) })
	})
	code, body := get(t, r.base+"/healthz")
	assert.Equal(t, 200, code)
	assert.JSONEq(t, `{"status":"alive"}`, body)
	code, body = get(t, r.base+"/readyz")
	assert.Equal(t, 200, code)
	assert.JSONEq(t, `{"ready":true}`, body)
	_, body = get(t, r.base+"/codec/decode")
	assert.Equal(t, "codec /decode", body)
	code, _ = get(t, r.base+"/webhooks/ghl/OrderCreate")
	assert.Equal(t, 405, code)
	code, _ = get(t, r.base+"/metrics")
	assert.Equal(t, 404, code, "metrics are not for whoever reaches the front door")
}

func TestReadinessFollowsTheDependencies(t *testing.T) {
	var away atomic.Bool
	var asked atomic.Int64
	now := time.Now()
	ready := &readiness{now: func() time.Time { return now }, log: run(t, nil).options.Log, probes: []Probe{
		{"temporal", func(context.Context) error {
			asked.Add(1)
			if away.Load() {
				return errors.New("no connection to 10.1.2.3:7233")
			}
			return nil
		}},
		{"store", func(context.Context) error { return nil }},
	}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // whoever asks may be gone; the answer is right all the same
	assert.Equal(t, Readiness{Ready: true, Parts: map[string]string{"temporal": "ready", "store": "ready"}}, ready.current(ctx))
	away.Store(true)
	assert.True(t, ready.current(ctx).Ready, "still the cached answer")
	assert.EqualValues(t, 1, asked.Load())
	now = now.Add(freshFor)
	answer := ready.current(ctx)
	assert.Equal(t, Readiness{Parts: map[string]string{"temporal": "away", "store": "ready"}}, answer)
	text, err := json.Marshal(answer)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "10.1.2.3")
	away.Store(false)
	now = now.Add(freshFor)
	assert.True(t, ready.current(ctx).Ready)
	ready.withdraw()
	assert.Equal(t, Readiness{Stopping: true}, ready.current(ctx))
}

func TestNotReadyIsA503(t *testing.T) {
	r := run(t, func(o *Options) {
		o.Probes = []Probe{{"store", func(context.Context) error { return errors.New("away") }}}
	})
	code, body := get(t, r.base+"/readyz")
	assert.Equal(t, 503, code)
	assert.JSONEq(t, `{"ready":false,"parts":{"store":"away"}}`, body)
	code, _ = get(t, r.base+"/healthz")
	assert.Equal(t, 200, code, "it lives all the same")
}

func TestStoppingIsAnnouncedBeforeItHappens(t *testing.T) {
	r := run(t, func(o *Options) { o.Drain = 300 * time.Millisecond })
	code, _ := get(t, r.base+"/readyz")
	require.Equal(t, 200, code)
	r.stop()
	require.Eventually(t, func() bool {
		code, body := get(t, r.base+"/readyz")
		return code == 503 && strings.Contains(body, "stopping")
	}, 250*time.Millisecond, time.Millisecond, "not ready while it still answers")
	require.NoError(t, <-r.done)
	_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.Addr())
	assert.Error(t, err)
}

func TestAnAddressInUseIsToldAtOnce(t *testing.T) {
	r := run(t, nil)
	_, err := Open(t.Context(), Options{Listen: r.Addr()})
	assert.ErrorContains(t, err, "LISTEN_ADDRESS")
}

func TestSlowHeadersAndLargeOnesAreCutOff(t *testing.T) {
	r := run(t, nil)
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.Addr())
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	go func() {
		_, _ = io.WriteString(connection, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	}()
	status := make([]byte, 12)
	_, err = io.ReadFull(connection, status)
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 431", string(status))
}

func TestEveryAnswerIsHarmlessToBrowsers(t *testing.T) {
	r := run(t, func(o *Options) {
		o.OAuth = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Security-Policy", "its own")
			_, _ = io.WriteString(w, "page "+q.URL.Path)
		})
	})
	for path, policy := range map[string]string{
		"/healthz": "default-src 'none'; frame-ancestors 'none'", "/nowhere": "default-src 'none'; frame-ancestors 'none'",
		"/webhooks/ghl": "default-src 'none'; frame-ancestors 'none'", "/oauth/ghl/callback?code=1": "its own",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+path, nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, policy, response.Header.Get("Content-Security-Policy"), path)
		assert.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "DENY", response.Header.Get("X-Frame-Options"), path)
		assert.Equal(t, "no-referrer", response.Header.Get("Referrer-Policy"), path)
		assert.Equal(t, "no-store", response.Header.Get("Cache-Control"), path)
		if policy == "its own" {
			assert.Equal(t, "page /oauth/ghl/callback", string(body))
		}
	}
}
