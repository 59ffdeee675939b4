package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// value reads a counter or gauge.
func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var read dto.Metric
	require.NoError(t, m.Write(&read))
	return read.GetCounter().GetValue() + read.GetGauge().GetValue()
}

// series counts the time series of a collector.
func series(c prometheus.Collector) int {
	all := make(chan prometheus.Metric, 100)
	c.Collect(all)
	return len(all)
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func TestReadOnlyRefusesWritesBeforeTheNetwork(t *testing.T) {
	var lines bytes.Buffer
	registry := prometheus.NewRegistry()
	metrics, err := NewMetrics(registry)
	require.NoError(t, err)
	client := serve(t, Config{ReadOnly: true, Metrics: metrics, Logger: slog.New(slog.NewJSONHandler(&lines, nil))},
		func(_ http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				t.Error("a write left")
			}
		})
	_, err = client.Do(t.Context(), put, nil)
	require.ErrorIs(t, err, ErrReadOnly)
	require.False(t, MayHaveLanded(err))
	require.Contains(t, lines.String(), `"operation":"vendor.things.put"`)
	require.Equal(t, 1.0, value(t, metrics.requests.WithLabelValues("vendor", "vendor.things.put", "refused")))
	_, err = client.Do(t.Context(), get, nil)
	require.NoError(t, err)
}

func TestWrongCallsDoNotLeave(t *testing.T) {
	client := serve(t, Config{}, func(http.ResponseWriter, *http.Request) { t.Error("a wrong call left") })
	for name, call := range map[string]Call{
		"no operation":   {Method: "GET", Path: "/a"},
		"no method":      {Operation: "o", Path: "/a"},
		"no slash":       {Operation: "o", Method: "GET", Path: "a"},
		"two slashes":    {Operation: "o", Method: "GET", Path: "//evil.example/a"},
		"another host":   {Operation: "o", Method: "GET", Path: "https://evil.example/a"},
		"query in path":  {Operation: "o", Method: "GET", Path: "/a?b=c"},
		"empty id":       {Operation: "o", Method: "GET", Path: "/a/{id}", PathParams: map[string]string{"id": ""}},
		"dots as id":     {Operation: "o", Method: "GET", Path: "/a/{id}", PathParams: map[string]string{"id": ".."}},
		"id left out":    {Operation: "o", Method: "GET", Path: "/a/{id}"},
		"body no JSON":   {Operation: "o", Method: "POST", Path: "/a", Body: func() {}},
		"surplus params": {Operation: "o", Method: "GET", Path: "/a", PathParams: map[string]string{"id": "1"}},
	} {
		_, err := client.Do(t.Context(), call, nil)
		require.ErrorIs(t, err, ErrInvalidCall, name)
	}
}

func TestFailingCredentials(t *testing.T) {
	var fail error
	client := serve(t, Config{Auth: func(context.Context, *http.Request) error { return fail }},
		func(http.ResponseWriter, *http.Request) { t.Error("a call left without credentials") })
	fail = errors.New("vault is sealed, token=abc123secret")
	_, err := client.Do(t.Context(), put, nil)
	require.ErrorIs(t, err, ErrCredentials)
	require.False(t, MayHaveLanded(err))
	require.NotContains(t, err.Error(), "abc123secret")

	fail = &Error{Vendor: "vendor", Operation: "vendor.login", Status: 503, RetryAfter: time.Minute, MayHaveLanded: true}
	_, err = client.Do(t.Context(), put, nil)
	require.ErrorIs(t, err, ErrCredentials)
	require.True(t, IsStatus(err, 503), "the login's own answer is what counts")
	require.Equal(t, time.Minute, RetryAfter(err))
	require.False(t, MayHaveLanded(err))

	fail = context.Canceled
	_, err = client.Do(t.Context(), put, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestLogTellsTheOperationAndNothingPersonal(t *testing.T) {
	var lines bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	client := serve(t, Config{Logger: logger, Auth: func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer pit-secret-value")
		return nil
	}}, answerWith(422, `{"message":"phone 0044 20 7946 0958 of jane.doe@example.com is wrong","traceId":"t-1"}`))
	call := put
	call.Query = map[string][]string{"where": {"name=Jane"}}
	call.Body = map[string]string{"email": "jane.doe@example.com"}
	_, err := client.Do(t.Context(), call, nil)
	require.Error(t, err)
	for _, must := range []string{`"operation":"vendor.things.put"`, `"status":422`, `"duration":`, `"vendor_trace_id":"t-1"`} {
		require.Contains(t, lines.String(), must)
	}
	for _, never := range []string{"Jane", "jane", "example.com", "7946", "secret", "/things", "where"} {
		require.NotContains(t, lines.String(), never)
		require.NotContains(t, err.Error(), never)
	}
}

func TestLogIsSilentAboveDebug(t *testing.T) {
	var lines bytes.Buffer
	client := serve(t, Config{Logger: slog.New(slog.NewTextHandler(&lines, nil))}, answerWith(200, `{}`))
	_, err := client.Do(t.Context(), get, nil)
	require.NoError(t, err)
	require.Empty(t, lines.String())
}

func TestMetricsByOperationAndClass(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := NewMetrics(registry)
	require.NoError(t, err)
	again, err := NewMetrics(registry)
	require.NoError(t, err)
	require.Same(t, metrics.requests, again.requests, "several clients share the series")

	for status, class := range map[int]string{200: "2xx", 302: "3xx", 404: "4xx", 429: "429", 500: "5xx"} {
		client := serve(t, Config{Metrics: metrics, Limiter: NewBucket(BucketConfig{})}, answerWith(status, `{}`))
		_, _ = client.Do(t.Context(), get, nil)
		require.Equal(t, 1.0, value(t, metrics.requests.WithLabelValues("vendor", get.Operation, class)))
	}
	var out struct{ A int }
	_, err = serve(t, Config{Metrics: metrics}, answerWith(200, `{"a":"x"}`)).Do(t.Context(), get, &out)
	require.Error(t, err)
	require.Equal(t, 1.0, value(t, metrics.requests.WithLabelValues("vendor", get.Operation, "unreadable")))
	require.Equal(t, 0.0, value(t, metrics.inFlight.WithLabelValues("vendor")))
	require.Equal(t, 1, series(metrics.waits), "waits are labelled by vendor alone")

	require.NoError(t, prometheus.NewRegistry().Register(metrics.duration))
	foreign := prometheus.NewRegistry()
	foreign.MustRegister(prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tallystick_vendor_requests_total", Help: "Calls to a vendor by operation and outcome.",
	}, []string{"vendor", "operation", "class"}))
	_, err = NewMetrics(foreign)
	require.Error(t, err)
}

func TestMetricsCountAFaultAndARefusal(t *testing.T) {
	metrics, err := NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	client := serve(t, Config{Metrics: metrics}, func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	_, _ = client.Do(t.Context(), get, nil)
	require.Equal(t, 1.0, value(t, metrics.requests.WithLabelValues("vendor", get.Operation, "fault")))

	client = serve(t, Config{Metrics: metrics, Limiter: refuser{}}, answerWith(200, "{}"))
	_, err = client.Do(t.Context(), get, nil)
	require.ErrorIs(t, err, ErrLimited)
	require.Equal(t, time.Hour, RetryAfter(err))
	require.Equal(t, 1.0, value(t, metrics.requests.WithLabelValues("vendor", get.Operation, "refused")))
}

type refuser struct{}

func (refuser) Wait(context.Context) error {
	return &LimitError{RetryAfter: time.Hour, Reason: "the daily quota is spent"}
}
func (refuser) Observe(int, http.Header) {}

func TestTraceHasOneSpanNamedAfterTheOperation(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	var headers http.Header
	client := serve(t, Config{Tracer: provider.Tracer("test")}, func(w http.ResponseWriter, r *http.Request) {
		headers = r.Header
		w.WriteHeader(404)
		_, _ = io.WriteString(w, `{"message":"no jane@example.com","traceId":"t-9"}`)
	})
	call := get
	call.Path, call.PathParams = "/things/{id}", map[string]string{"id": "secretid"}
	_, err := client.Do(t.Context(), call, nil)
	require.Error(t, err)
	ended := spans.Ended()
	require.Len(t, ended, 1)
	require.Equal(t, get.Operation, ended[0].Name())
	text := ended[0].Status().Description
	for _, a := range ended[0].Attributes() {
		text += " " + string(a.Key) + "=" + a.Value.String()
	}
	require.Contains(t, text, "http.response.status_code=404")
	require.Contains(t, text, "vendor.trace_id=t-9")
	require.NotContains(t, text, "secretid")
	require.NotContains(t, text, "jane")
	require.Empty(t, headers.Get("Traceparent"), "our trace ids are no business of the vendor")
}

func TestScrub(t *testing.T) {
	for in, want := range map[string]string{
		"Order not found":                                           "Order not found",
		"altId should not be empty":                                 "altId should not be empty",
		"contact jane.doe+x@mail.example.co.uk exists":              "contact [e-mail] exists",
		"email=jane%40example.com":                                  "email=[e-mail]",
		`<jane@example.com>`:                                        "<[e-mail]>",
		"call +44 20 7946 0958 now":                                 "call [number] now",
		"call (020) 7946-0958":                                      "call [number]",
		"card 4111111111111111 declined":                            "card [number] declined",
		"order 6542980118f3a1b2c3d4e5f6 is gone":                    "order 6542980118f3a1b2c3d4e5f6 is gone",
		"since 2026-11-21 on":                                       "since 2026-11-21 on",
		"12 of 100 rows, 1234.50 EUR":                               "12 of 100 rows, 1234.50 EUR",
		"Authorization: Bearer abcdefghijk":                         "Authorization: [secret] [secret]",
		"got bearer abcdefghijk":                                    "got bearer [secret]",
		`{"access_token":"abc"}`:                                    `{"access_token":"[secret]"}`,
		"client_secret=s3cr3t&x=1":                                  "client_secret=[secret]&x=1",
		"bad eyJhbGciOiJIUzI1.eyJzdWIi.c2ln":                        "bad [secret]",
		"key pit-05cc1a2b-1111-2222-3333-444455556666":              "key [secret]",
		"trace 05cc1a2b-aaaa-bbbb-cccc-dddddddddddd":                "trace 05cc1a2b-aaaa-bbbb-cccc-dddddddddddd",
		"a\x00b\u202ec\r\n\td\xff":                                  "a b c d",
		strings.Repeat("é", 400):                                    strings.Repeat("é", 300) + "…",
		strings.Repeat("word ", 819) + "x" + "jane.doe@example.com": strings.TrimSpace(strings.Repeat("word ", 60))[:299] + " …",
		strings.Repeat("verylongwordwithoutdigits", 4):              strings.Repeat("verylongwordwithoutdigits", 4),
		"": "",
	} {
		assert.Equal(t, want, Scrub(in), "%.60q", in)
	}
}

func FuzzScrub(f *testing.F) {
	for _, seed := range []string{"a@b.c", "+44 20 7946 0958", "Bearer x", "\x00", "a\u202eb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Scrub("before jane.doe@example.com " + s)
		if strings.Contains(got, "jane.doe@example.com") {
			t.Errorf("an e-mail address came through: %q", got)
		}
		if strings.ContainsAny(got, "\x00\r\n\u202e") || len([]rune(got)) > maxWords+1 {
			t.Errorf("control characters or too much text: %q", got)
		}
	})
}
