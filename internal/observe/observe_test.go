package observe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/observe"
	"github.com/tallystick/tallystick/internal/secret"
)

const (
	mail  = "jane.doe@example.com"
	token = "pit-5d1f3c0a-hunter2"
)

func TestLoggerMasks(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		log := observe.NewLogger(&out, slog.LevelDebug, asJSON)
		log = log.With("private_token", token).WithGroup("call")
		log.Info("written to "+mail,
			"Authorization", "Bearer "+token, "contactEmail", mail, "phone", "+49 30 1234567", "body", []byte(token),
			"api-key", token, "error", fmt.Errorf("send to %s: %w", mail, errors.New("Bearer "+token)),
			slog.Group("customer", "first_name", "Jane", "id", "c1"),
			"any", struct{ Mail string }{mail}, "url", "https://user:"+token+"@host/x",
			"key", secret.Text(token), "sage_token", secret.Text(token),
		)
		line := out.String()
		for _, never := range []string{mail, token, "1234567", "Jane"} {
			require.NotContains(t, line, never, line)
		}
		for _, shown := range []string{"written to " + observe.Masked, "c1", "https://user:", "send to"} {
			require.Contains(t, line, shown)
		}
		require.Contains(t, line, "set", "whether a secret is set may be known")
	}
}

// TestLoggerShowsTheRest: what an operator needs is not masked away.
func TestLoggerShowsTheRest(t *testing.T) {
	var out bytes.Buffer
	observe.NewLogger(&out, slog.LevelInfo, true).Info("order brought into Sage",
		"location", "loc1", "order", "6789", "attempt", 3, "took", time.Second, "state", "paid", "address", "127.0.0.1:8088",
		"error", errors.New("the branch is missing"), "ids", []int64{1, 2}, "done", true)
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.Equal(t, "INFO", line["level"])
	require.Equal(t, "order brought into Sage", line["msg"])
	require.Equal(t, "loc1", line["location"])
	require.Equal(t, "127.0.0.1:8088", line["address"])
	require.InDelta(t, 3, line["attempt"], 0)
	require.Equal(t, "the branch is missing", line["error"])
	require.Equal(t, true, line["done"])
}

func TestLoggerLevel(t *testing.T) {
	var out bytes.Buffer
	observe.NewLogger(&out, slog.LevelWarn, false).Info("not shown")
	require.Empty(t, out.String())
}

func TestMetricsListener(t *testing.T) {
	registry := observe.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tallystick_example", Help: "An example."}, func() float64 { return 7 }))
	handlers := map[string]http.Handler{"/codec/": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })}
	log := slog.New(slog.DiscardHandler)
	l, err := observe.Listen(t.Context(), "127.0.0.1:0", registry, handlers, log)
	require.NoError(t, err)

	body := get(t, "http://"+l.Addr()+"/metrics", http.StatusOK)
	for _, want := range []string{"tallystick_example 7", "go_goroutines", "process_start_time_seconds", "go_build_info"} {
		require.Contains(t, body, want)
	}
	get(t, "http://"+l.Addr()+"/codec/decode", http.StatusTeapot)

	_, err = observe.Listen(t.Context(), l.Addr(), observe.NewRegistry(), nil, log)
	require.ErrorContains(t, err, "METRICS_ADDRESS", "a taken address says what to set")
	require.NoError(t, l.Shutdown(t.Context()))
	_, err = http.Get("http://" + l.Addr() + "/metrics")
	require.Error(t, err)

	off, err := observe.Listen(t.Context(), "", registry, nil, log)
	require.NoError(t, err)
	require.Empty(t, off.Addr())
	require.NoError(t, off.Shutdown(t.Context()))
}

func get(t *testing.T, url string, status int) string {
	t.Helper()
	answer, err := http.Get(url)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	require.Equal(t, status, answer.StatusCode)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(body)
}

func TestTracingIsOffByDefault(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	tracing, err := observe.StartTracing(t.Context(), "test", "0", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.False(t, tracing.Enabled)
	_, span := tracing.Provider.Tracer("x").Start(t.Context(), "step")
	require.False(t, span.IsRecording())
	require.NoError(t, tracing.Shutdown(t.Context()))
}

func TestTracingDelivers(t *testing.T) {
	got := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + " " + string(body)
	}))
	t.Cleanup(collector.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_SERVICE_NAME", "")
	tracing, err := observe.StartTracing(t.Context(), "tallystick-worker", "1.2.3", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.True(t, tracing.Enabled)
	_, span := tracing.Provider.Tracer("x").Start(t.Context(), "read order from GHL")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, tracing.Shutdown(ctx))
	delivered := <-got
	require.True(t, strings.HasPrefix(delivered, "/v1/traces "))
	for _, want := range []string{"read order from GHL", "tallystick-worker", "1.2.3"} {
		require.Contains(t, delivered, want)
	}
}
