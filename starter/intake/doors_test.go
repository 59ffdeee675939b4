package intake_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/delivery"
	"github.com/tallystick/tallystick/starter/intake"
	"github.com/tallystick/tallystick/starter/sagehook"
	"github.com/tallystick/tallystick/starter/webhook"
	"github.com/tallystick/tallystick/workflows"
)

const (
	home   = "Z4Bxl8J4SaPEPLq9IQ8g"
	secret = "a-secret-of-sixteen-letters-and-more"
	token  = "0123456789abcdef0123456789abcdef"
)

// world is what is behind a door: Temporal, the store and the connections, each of which does what do says.
type world struct {
	do func(ctx context.Context) error
}

func (w world) LookAtOrder(ctx context.Context, _, _ string, _ workflows.Hint) error {
	return w.do(ctx)
}
func (w world) LookAtInvoice(ctx context.Context, _, _ string, _ workflows.Hint) error {
	return w.do(ctx)
}
func (w world) LookAtFulfillment(ctx context.Context, _, _ string, _ workflows.Hint) error {
	return w.do(ctx)
}
func (w world) PutDeliveryNews(context.Context, store.DeliveryNews) error { return nil }
func (w world) OrdersOfTracking(context.Context, string, string) ([]string, error) {
	return []string{"o1"}, nil
}
func (w world) Order(context.Context, string, string) (store.OrderRecord, bool, error) {
	return store.OrderRecord{}, true, nil
}
func (w world) OrdersByID(_ context.Context, id string) ([]store.OrderRecord, error) {
	return []store.OrderRecord{{Location: home, OrderID: id}}, nil
}
func (w world) Fulfillment(context.Context, string, string) (store.FulfillmentRecord, bool, error) {
	return store.FulfillmentRecord{}, false, nil
}

// fields are the names of the extra fields in every tenant.
func fields(context.Context, string) (state, trackings string, err error) {
	return "Z_FulfillmentStatus", "Z_TrackingNumbers", nil
}

// door is one of the doors with a request that it takes in, and how that is made to be believed.
type door struct {
	handler interface {
		http.Handler
		Register(*http.ServeMux)
	}
	path, body string
	believe    func(r *http.Request, body string)
	// closed is the answer to a request that is not believed, before its body is read where the path says it.
	stranger string
	log      *bytes.Buffer
	registry *prometheus.Registry
}

// doors opens every door that tells of something.
func doors(t *testing.T, do func(context.Context) error, inFlight int) map[string]door {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	w := world{do}
	made := map[string]door{}
	for _, name := range []string{"ghl", "delivery", "sage"} {
		log, registry := &bytes.Buffer{}, prometheus.NewRegistry()
		logger := slog.New(slog.NewTextHandler(&locked{w: log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
		d := door{log: log, registry: registry, believe: func(*http.Request, string) {}}
		switch name {
		case "ghl":
			d.handler, err = webhook.New(webhook.Options{Door: w, Keys: webhook.Keys{public}, Locations: intake.One(home),
				InFlight: inFlight, Log: logger, Registerer: registry})
			d.path, d.body = "/webhooks/ghl/OrderCreate", `{"_id":"o1"}`
			d.believe = func(r *http.Request, body string) {
				r.Header.Set(webhook.SignatureHeader, base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte(body))))
			}
			d.stranger = d.path
		case "delivery":
			d.handler, err = delivery.New(delivery.Options{Secret: secret, Door: w, Books: w, Locations: intake.One(home),
				InFlight: inFlight, Log: logger, Registerer: registry})
			d.path, d.body = delivery.Path, `{"order":"o1","status":"delivered"}`
			d.believe = func(r *http.Request, body string) {
				r.Header.Set(delivery.SignatureHeader, delivery.Sign(secret, time.Now(), []byte(body)))
			}
			d.stranger = d.path
		case "sage":
			d.handler, err = sagehook.New(sagehook.Options{Token: token, Door: w, Books: w, Locations: intake.One(home), Fields: fields,
				InFlight: inFlight, Log: logger, Registerer: registry})
			d.path, d.body, d.stranger = sagehook.Path+token, `[{"id":7,"extId":"ghl:order:o1"}]`, sagehook.Path+token[1:]
		}
		require.NoError(t, err)
		made[name] = d
	}
	return made
}

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (d door) serve(r *http.Request) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	d.handler.Register(mux)
	recorder := httptest.NewRecorder()
	mux.ServeHTTP(recorder, r)
	return recorder
}

// send posts a body that is believed.
func (d door) send(body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, d.path, strings.NewReader(body))
	d.believe(r, body)
	return d.serve(r)
}

func answer(t *testing.T, r *httptest.ResponseRecorder) intake.Answer {
	t.Helper()
	var a intake.Answer
	require.NoError(t, json.Unmarshal(r.Body.Bytes(), &a))
	assert.Equal(t, "application/json", r.Header().Get("Content-Type"))
	assert.Equal(t, "no-store", r.Header().Get("Cache-Control"))
	return a
}

func every(t *testing.T, do func(context.Context) error, inFlight int, test func(*testing.T, door)) {
	t.Helper()
	if do == nil {
		do = func(context.Context) error { return nil }
	}
	for name, d := range doors(t, do, inFlight) {
		t.Run(name, func(t *testing.T) { test(t, d) })
	}
}

func TestEveryDoorTakesWhatItIsFor(t *testing.T) {
	every(t, nil, 0, func(t *testing.T, d door) {
		r := d.send(d.body)
		assert.Equal(t, http.StatusOK, r.Code)
		assert.Equal(t, intake.Answer{Status: "accepted"}, answer(t, r))
	})
}

func TestEveryDoorTakesNothingButPost(t *testing.T) {
	every(t, nil, 0, func(t *testing.T, d door) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
			r := httptest.NewRequest(method, d.path, strings.NewReader(d.body))
			d.believe(r, d.body)
			got := d.serve(r)
			assert.Equal(t, http.StatusMethodNotAllowed, got.Code, method)
			assert.Equal(t, http.MethodPost, got.Header().Get("Allow"))
		}
	})
}

func TestEveryDoorIsClosedToStrangers(t *testing.T) {
	every(t, func(context.Context) error { return errors.New("a stranger got through") }, 0, func(t *testing.T, d door) {
		got := d.serve(httptest.NewRequest(http.MethodPost, d.stranger, strings.NewReader(d.body)))
		assert.Equal(t, http.StatusUnauthorized, got.Code)
		assert.Equal(t, "refused", answer(t, got).Status)
		assert.NotContains(t, d.log.String(), token[1:])
	})
}

// TestNoDoorChokes throws what is no JSON of ours at each door, signed: it is refused or passed over, and nothing of it
// is shown.
func TestNoDoorChokes(t *testing.T) {
	deep := strings.Repeat("[", 500_000)
	for name, body := range map[string]string{
		"nothing": "", "no JSON": "planted", "half": `{"a":"planted`, "null": "null", "a number": "17", "a text": `"planted"`,
		"nested without end": deep, "nested to its end": deep + strings.Repeat("]", 500_000),
		"nested objects": strings.Repeat(`{"planted":`, 70_000) + "1" + strings.Repeat("}", 70_000),
		"many fields":    "{" + strings.Repeat(`"planted":1,`, 80_000) + `"z":1}`,
		"many records":   "[" + strings.Repeat("{},", 300_000) + "{}]",
		"many names":     "[" + strings.Repeat(`{"id":7,"extId":"planted"},`, 30_000) + "{}]",
		"a long number":  "[" + strings.Repeat("9", 1_000_000) + "]",
		"no UTF-8":       "{\"order\":\"\xff\xfe\",\"_id\":\"\xff\",\"status\":\"delivered\"}",
		"null bytes":     `{"order":"a\u0000b","_id":"a\u0000b","status":"delivered"}`,
	} {
		every(t, func(context.Context) error { return errors.New("got through") }, 0, func(t *testing.T, d door) {
			got := d.send(body)
			assert.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, got.Code, name)
			assert.Contains(t, []string{"refused", "ignored"}, answer(t, got).Status, name)
			assert.NotContains(t, got.Body.String()+d.log.String(), "planted", name)
		})
	}
}

func TestEveryDoorBoundsWhatItReads(t *testing.T) {
	every(t, nil, 0, func(t *testing.T, d door) {
		announced := httptest.NewRequest(http.MethodPost, d.path, nil)
		announced.ContentLength = intake.MaxBody + 1
		announced.Body = io.NopCloser(reader(func([]byte) (int, error) {
			t.Error("a body that is announced as too large is not read at all")
			return 0, io.EOF
		}))
		assert.Equal(t, http.StatusRequestEntityTooLarge, d.serve(announced).Code)

		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const rounds = 10
		for range rounds {
			read := 0
			endless := reader(func(p []byte) (int, error) { read += len(p); return len(p), nil })
			got := d.serve(httptest.NewRequest(http.MethodPost, d.path, io.NopCloser(endless)))
			assert.Equal(t, http.StatusRequestEntityTooLarge, got.Code)
			assert.LessOrEqual(t, read, intake.MaxBody+4096)
		}
		runtime.ReadMemStats(&after)
		assert.Less(t, (after.TotalAlloc-before.TotalAlloc)/rounds, uint64(12*intake.MaxBody))

		broken := httptest.NewRequest(http.MethodPost, d.path, io.NopCloser(io.MultiReader(strings.NewReader(d.body[:3]),
			reader(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }))))
		assert.Equal(t, http.StatusTooManyRequests, d.serve(broken).Code, "what breaks off is asked for again")
	})
}

type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

func TestEveryDoorAsksAgainForWhatPasses(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(context.Context) error
		after string
	}{
		"Temporal is away":  {func(context.Context) error { return serviceerror.NewUnavailable("secret.person@example.com") }, "30"},
		"Temporal is busy":  {func(context.Context) error { return &serviceerror.ResourceExhausted{} }, "5"},
		"it takes too long": {func(context.Context) error { return context.DeadlineExceeded }, "30"},
	} {
		every(t, c.do, 0, func(t *testing.T, d door) {
			got := d.send(d.body)
			assert.Equal(t, http.StatusTooManyRequests, got.Code, name)
			assert.Equal(t, c.after, got.Header().Get("Retry-After"), name)
			assert.Equal(t, "later", answer(t, got).Status)
			assert.NotContains(t, got.Body.String(), "secret.person")
		})
	}
}

func TestEveryDoorIsBounded(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	for name, d := range doors(t, func(context.Context) error { inside <- struct{}{}; <-goOn; return nil }, 1) {
		var first sync.WaitGroup
		first.Go(func() { assert.Equal(t, http.StatusOK, d.send(d.body).Code, name) })
		<-inside
		got := d.send(d.body)
		assert.Equal(t, http.StatusTooManyRequests, got.Code, name)
		assert.Equal(t, "5", got.Header().Get("Retry-After"), name)
		goOn <- struct{}{}
		first.Wait()
	}
}

// TestDoorsCountInTheSameMetrics: one registry, three doors, and no label that a caller has made.
func TestDoorsCountInTheSameMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	w := world{func(context.Context) error { return nil }}
	hooks, err := sagehook.New(sagehook.Options{Token: token, Door: w, Books: w, Locations: intake.One(home), Fields: fields, Registerer: registry})
	require.NoError(t, err)
	deliveries, err := delivery.New(delivery.Options{Secret: secret, Door: w, Books: w, Locations: intake.One(home), Registerer: registry})
	require.NoError(t, err)
	ghl, err := webhook.New(webhook.Options{Door: w, Locations: intake.One(home), Registerer: registry})
	require.NoError(t, err)
	door{handler: hooks, path: sagehook.Path + token, believe: func(*http.Request, string) {}}.send(`[{"id":7,"extId":"ghl:order:o1"}]`)
	door{handler: deliveries, path: delivery.Path, believe: func(*http.Request, string) {}}.send(`{"event":"Evil"}`)
	door{handler: ghl, path: "/webhooks/ghl/Evil", believe: func(*http.Request, string) {}}.send(`{}`)
	families, err := registry.Gather()
	require.NoError(t, err)
	counted := map[string]float64{}
	for _, family := range families {
		if family.GetName() == "tallystick_webhooks_total" {
			for _, m := range family.GetMetric() {
				counted[m.GetLabel()[1].GetValue()+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	assert.Equal(t, map[string]float64{"sage accepted": 1, "delivery unauthorized": 1, "unknown unknown_event": 1}, counted)
	_, err = webhook.New(webhook.Options{Registerer: otherMetrics(t)})
	assert.Error(t, err, "metrics of the same name that are something else")
}

func otherMetrics(t *testing.T) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(prometheus.NewGauge(prometheus.GaugeOpts{Name: "tallystick_webhooks_total", Help: "something else"})))
	return registry
}

func TestAPanicIsAnsweredAndTellsNothing(t *testing.T) {
	for name, d := range doors(t, func(context.Context) error { panic("secret.person@example.com") }, 0) {
		got := d.send(d.body)
		assert.Equal(t, http.StatusTooManyRequests, got.Code, name)
		assert.NotContains(t, d.log.String(), "secret.person")
	}
}
