package webhook

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
	"net"
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

	"github.com/tallystick/tallystick/starter/intake"
	"github.com/tallystick/tallystick/workflows"
)

// memory is a Door that remembers. Each look may be made to fail, to panic or to wait.
type memory struct {
	mu    sync.Mutex
	looks []look
	do    func(ctx context.Context) error
}

type look struct {
	Kind, Location, Object string
	Hint                   workflows.Hint
}

func (m *memory) LookAtOrder(ctx context.Context, location, order string, hint workflows.Hint) error {
	return m.take(ctx, look{"order", location, order, hint})
}

func (m *memory) LookAtInvoice(ctx context.Context, location, invoice string, hint workflows.Hint) error {
	return m.take(ctx, look{"invoice", location, invoice, hint})
}

func (m *memory) take(ctx context.Context, l look) error {
	if m.do != nil {
		if err := m.do(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looks = append(m.looks, l)
	return nil
}

func (m *memory) all() []look {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]look(nil), m.looks...)
}

const home = "Z4Bxl8J4SaPEPLq9IQ8g"

// bench is a door with a real server and a real key.
type bench struct {
	door     *memory
	handler  *Handler
	server   *httptest.Server
	private  ed25519.PrivateKey
	registry *prometheus.Registry
	log      *bytes.Buffer
}

func open(t testing.TB, change ...func(*Options)) *bench {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	b := &bench{door: &memory{}, private: private, registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	options := Options{
		Door: b.door, Keys: Keys{public}, Locations: intake.One(home), Registerer: b.registry,
		Log: slog.New(slog.NewTextHandler(&lockedWriter{w: b.log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&options)
	}
	b.handler, err = New(options)
	require.NoError(t, err)
	mux := http.NewServeMux()
	b.handler.Register(mux)
	b.server = httptest.NewServer(mux)
	t.Cleanup(b.server.Close)
	return b
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func sign(key ed25519.PrivateKey, body []byte) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(key, body))
}

// counted reads the counter of webhooks by its labels.
func (b *bench) counted(t testing.TB) map[string]float64 {
	t.Helper()
	families, err := b.registry.Gather()
	require.NoError(t, err)
	counts := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "tallystick_webhooks_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, label := range m.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			counts[strings.Join(labels, "/")] = m.GetCounter().GetValue()
		}
	}
	return counts
}

// send posts a signed body and returns the status, the document and the headers of the answer.
func (b *bench) send(t testing.TB, path, body string) (int, intake.Answer, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, b.server.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set(SignatureHeader, sign(b.private, []byte(body)))
	return do(t, request)
}

func do(t testing.TB, request *http.Request) (int, intake.Answer, http.Header) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	var a intake.Answer
	require.NoError(t, json.NewDecoder(response.Body).Decode(&a))
	assert.Equal(t, "application/json", response.Header.Get("Content-Type"))
	return response.StatusCode, a, response.Header
}

const paidOrder = `{"type":"OrderStatusUpdate","locationId":"` + home + `","_id":"660ed43bfdf9fc05a0de7a40","altId":"` + home +
	`","altType":"location","webhookId":"4f7b0fd2-7c3a-4b6e-9a57-1b1f3cbe1f00","timestamp":"2026-04-04T16:24:31.297Z",` +
	`"contactSnapshot":{"email":"secret.person@example.com"}}`

func TestAnOrderEventBecomesAHint(t *testing.T) {
	b := open(t)
	code, a, _ := b.send(t, "/webhooks/ghl/OrderStatusUpdate", paidOrder)
	assert.Equal(t, 200, code)
	assert.Equal(t, intake.Answer{Status: "accepted"}, a)
	want := look{"order", home, "660ed43bfdf9fc05a0de7a40", workflows.Hint{
		Source: workflows.FromWebhook, Event: "OrderStatusUpdate", EventID: "4f7b0fd2-7c3a-4b6e-9a57-1b1f3cbe1f00",
		At: time.Date(2026, 4, 4, 16, 24, 31, 297e6, time.UTC),
	}}
	assert.Equal(t, []look{want}, b.door.all())
	assert.NotContains(t, b.log.String(), "secret.person")
	assert.Equal(t, map[string]float64{"accepted/OrderStatusUpdate": 1}, b.counted(t))
}

// TestBodiesAsTheyCome goes through what the body may and may not leave out, on both paths.
func TestBodiesAsTheyCome(t *testing.T) {
	id := "6578278e879ad2646715ba9c"
	for name, c := range map[string]struct {
		path, body string
		code       int
		want       *look // Kind, Location and Object only
	}{
		"event from the body":           {"", `{"type":"OrderCreate","_id":"` + id + `","locationId":"` + home + `"}`, 200, &look{Kind: "order", Location: home, Object: id}},
		"only an id":                    {"/OrderCreate", `{"_id":"` + id + `"}`, 200, &look{Kind: "order", Location: home, Object: id}},
		"id for _id":                    {"/OrderCreate", `{"id":"` + id + `"}`, 200, &look{Kind: "order", Location: home, Object: id}},
		"altId for locationId":          {"/OrderCreate", `{"_id":"` + id + `","altId":"` + home + `"}`, 200, &look{Kind: "order", Location: home, Object: id}},
		"altId of a company":            {"/OrderCreate", `{"_id":"` + id + `","altId":"company","altType":"company"}`, 200, &look{Kind: "order", Location: home, Object: id}},
		"altId repeats the invoice":     {"/InvoicePaid", `{"_id":"` + id + `","altId":"` + id + `","altType":"location"}`, 200, &look{Kind: "invoice", Location: home, Object: id}},
		"the path wins over the type":   {"/InvoiceVoid", `{"_id":"` + id + `","type":"OrderCreate"}`, 200, &look{Kind: "invoice", Location: home, Object: id}},
		"fields of other types":         {"/OrderCreate", `{"_id":"` + id + `","type":7,"locationId":null,"altId":{},"webhookId":[],"timestamp":1712247871}`, 200, &look{Kind: "order", Location: home, Object: id}},
		"an event that means no money":  {"/ContactCreate", `{"locationId":"` + home + `"}`, 200, nil},
		"install, from the body":        {"", `{"type":"INSTALL","appId":"x"}`, 200, nil},
		"the type of a price":           {"", `{"type":"one_time","_id":"` + id + `"}`, 400, nil},
		"no type on the one path":       {"", `{"_id":"` + id + `"}`, 400, nil},
		"no id":                         {"/OrderCreate", `{"locationId":"` + home + `"}`, 400, nil},
		"an id that is a number":        {"/OrderCreate", `{"_id":17}`, 400, nil},
		"an id with a slash":            {"/OrderCreate", `{"_id":"a/b"}`, 400, nil},
		"an id with a quote":            {"/OrderCreate", `{"_id":"a' OR 'b"}`, 400, nil},
		"an id with a line break":       {"/OrderCreate", `{"_id":"a\nb"}`, 400, nil},
		"an id without end":             {"/OrderCreate", `{"_id":"` + strings.Repeat("a", 101) + `"}`, 400, nil},
		"a location that cannot be one": {"/OrderCreate", `{"_id":"` + id + `","locationId":"../x"}`, 400, nil},
		"two locations":                 {"/OrderCreate", `{"_id":"` + id + `","locationId":"` + home + `","altId":"elsewhere"}`, 400, nil},
		"two locations, the other way":  {"/OrderCreate", `{"_id":"` + id + `","locationId":"elsewhere","altId":"` + home + `","altType":"location"}`, 400, nil},
		"a location twice":              {"/OrderCreate", `{"_id":"` + id + `","locationId":"elsewhere","locationId":"` + home + `"}`, 400, nil},
		"a location twice, differently": {"/OrderCreate", `{"_id":"` + id + `","locationId":"` + home + `","LOCATIONID":"` + home + `"}`, 400, nil},
		"what says nothing, twice":      {"/OrderCreate", `{"_id":"` + id + `","locationId":"` + home + `","status":"x","Status":"y"}`, 200, &look{Kind: "order", Location: home, Object: id}},
		"a field twice further inside":  {"/OrderCreate", `{"_id":"` + id + `","items":[{"a":1,"a":2}]}`, 200, &look{Kind: "order", Location: home, Object: id}},
		"a location not connected":      {"/OrderCreate", `{"_id":"` + id + `","locationId":"elsewhere"}`, 404, nil},
		"no JSON":                       {"/OrderCreate", `<order/>`, 400, nil},
		"two documents":                 {"/OrderCreate", `{"_id":"` + id + `"}{}`, 400, nil},
		"null":                          {"/OrderCreate", `null`, 400, nil},
		"a list":                        {"/OrderCreate", `[]`, 400, nil},
		"nothing":                       {"/OrderCreate", ``, 400, nil},
		"an event nobody publishes":     {"/RefundCreate", `{"_id":"` + id + `"}`, 404, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			code, a, _ := b.send(t, "/webhooks/ghl"+c.path, c.body)
			assert.Equal(t, c.code, code, a)
			var want []look
			if c.want != nil {
				want = []look{*c.want}
				assert.Equal(t, "accepted", a.Status)
			} else {
				assert.NotEmpty(t, a.Reason)
			}
			got := b.door.all()
			for i := range got {
				got[i].Hint = workflows.Hint{}
			}
			assert.Equal(t, want, got)
		})
	}
}

// several is every location there is.
type several struct{ fault error }

func (s several) Connected(context.Context, string) (bool, error) { return true, s.fault }
func (s several) Resting(context.Context, string) (bool, error)   { return false, s.fault }
func (s several) Only(context.Context) (string, bool, error)      { return "", false, s.fault }

func TestALocationIsNeverGuessed(t *testing.T) {
	b := open(t, func(o *Options) { o.Locations = several{} })
	code, _, _ := b.send(t, "/webhooks/ghl/InvoicePaid", `{"_id":"i1"}`)
	assert.Equal(t, 400, code)
	code, _, _ = b.send(t, "/webhooks/ghl/InvoicePaid", `{"_id":"i1","altId":"l1"}`)
	assert.Equal(t, 200, code)

	b = open(t, func(o *Options) { o.Locations = several{errors.New("the store is away")} })
	code, _, head := b.send(t, "/webhooks/ghl/InvoicePaid", `{"_id":"i1","altId":"l1"}`)
	assert.Equal(t, 429, code)
	assert.Equal(t, "30", head.Get("Retry-After"))
}

func TestOtherMethodsAreRefused(t *testing.T) {
	b := open(t)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		request, err := http.NewRequestWithContext(context.Background(), method, b.server.URL+"/webhooks/ghl/OrderCreate", nil)
		require.NoError(t, err)
		code, _, head := do(t, request)
		assert.Equal(t, 405, code)
		assert.Equal(t, "POST", head.Get("Allow"))
	}
}

func TestWhatCannotBeAcceptedNowIsAskedForAgain(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(context.Context) error
		after string
	}{
		"away":      {func(context.Context) error { return serviceerror.NewUnavailable("no connection") }, "30"},
		"exhausted": {func(context.Context) error { return &serviceerror.ResourceExhausted{Message: "rps"} }, "5"},
		"too slow":  {func(context.Context) error { return context.DeadlineExceeded }, "30"},
		"refused":   {func(context.Context) error { return serviceerror.NewNamespaceNotFound("default") }, "30"},
		"panic":     {func(context.Context) error { panic("secret.person@example.com") }, "30"},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			b.door.do = c.do
			code, a, head := b.send(t, "/webhooks/ghl/OrderStatusUpdate", paidOrder)
			assert.Equal(t, 429, code)
			assert.Equal(t, "later", a.Status)
			assert.Equal(t, c.after, head.Get("Retry-After"))
			assert.Empty(t, b.door.all())
			assert.NotContains(t, b.log.String(), "secret.person")
		})
	}
}

func TestAHintHasADeadlineAndOutlivesItsSender(t *testing.T) {
	inside, handed := make(chan struct{}), make(chan error, 1)
	b := open(t)
	b.door.do = func(ctx context.Context) error {
		deadline, ok := ctx.Deadline()
		if !ok || time.Until(deadline) > intake.HandOver {
			return errors.New("no deadline")
		}
		close(inside)
		// The sender has left when the server notices; only then may the hand-over go on.
		request := ctx.Value(requestKey{}).(context.Context)
		<-request.Done()
		handed <- ctx.Err()
		return nil
	}
	mux := http.NewServeMux()
	b.handler.Register(mux)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, r.Context())))
	}))
	defer server.Close()
	ctx, leave := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/webhooks/ghl/OrderCreate", strings.NewReader(paidOrder))
	require.NoError(t, err)
	request.Header.Set(SignatureHeader, sign(b.private, []byte(paidOrder)))
	go func() { <-inside; leave() }()
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		_ = response.Body.Close()
	}
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, <-handed)
}

type requestKey struct{}

func TestNoMoreThanTheSlotsAtOnce(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	b := open(t, func(o *Options) { o.InFlight, o.Locations = 2, several{} })
	b.door.do = func(context.Context) error {
		inside <- struct{}{}
		<-goOn
		return nil
	}
	var answers sync.WaitGroup
	for _, order := range []string{paidOrder, strings.ReplaceAll(paidOrder, home, "another")} {
		answers.Go(func() {
			code, _, _ := b.send(t, "/webhooks/ghl/OrderCreate", order)
			assert.Equal(t, 200, code)
		})
		<-inside
	}
	code, a, head := b.send(t, "/webhooks/ghl/OrderCreate", paidOrder)
	assert.Equal(t, 429, code)
	assert.Equal(t, "later", a.Status)
	assert.Equal(t, "5", head.Get("Retry-After"))
	close(goOn)
	answers.Wait()
	go func() { <-inside }()
	code, _, _ = b.send(t, "/webhooks/ghl/OrderCreate", paidOrder)
	assert.Equal(t, 200, code, "the slots are free again")
}

func TestALargeBodyWithoutLengthIsRefused(t *testing.T) {
	b := open(t)
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.server.Listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	go func() {
		chunk := "10000\r\n" + strings.Repeat("x", 0x10000) + "\r\n"
		message := "POST /webhooks/ghl/OrderCreate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat(chunk, 32)
		_, _ = io.WriteString(connection, message+"0\r\n\r\n") // the server hangs up before the end
	}()
	head := make([]byte, 12)
	_, err = io.ReadFull(connection, head)
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 413", string(head))

	request := httptest.NewRequest(http.MethodPost, "/webhooks/ghl/OrderCreate", nil)
	request.ContentLength = intake.MaxBody + 1
	request.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
		t.Error("a body that is announced as too large is not read at all")
		return 0, io.EOF
	}))
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, request)
	assert.Equal(t, 413, recorder.Code)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestMemoryIsBoundedHoweverLargeTheBody(t *testing.T) {
	b := open(t)
	var read int
	endless := readerFunc(func(p []byte) (int, error) { read += len(p); return len(p), nil })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 20
	for range rounds {
		read = 0
		request := httptest.NewRequest(http.MethodPost, "/webhooks/ghl/OrderCreate", io.NopCloser(endless))
		recorder := httptest.NewRecorder()
		b.handler.ServeHTTP(recorder, request)
		require.Equal(t, 413, recorder.Code)
		require.LessOrEqual(t, read, intake.MaxBody+4096)
	}
	runtime.ReadMemStats(&after)
	// A buffer that doubles up to the limit costs four times the limit in all, twice that under the race detector, and
	// is garbage at once.
	assert.Less(t, (after.TotalAlloc-before.TotalAlloc)/rounds, uint64(12*intake.MaxBody))
}

func TestABodyThatBreaksOffIsAskedForAgain(t *testing.T) {
	b := open(t)
	request := httptest.NewRequest(http.MethodPost, "/webhooks/ghl/OrderCreate", io.NopCloser(io.MultiReader(
		strings.NewReader(paidOrder[:40]), readerFunc(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }))))
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, request)
	assert.Equal(t, 429, recorder.Code)
}

func TestMetricsHaveNoLabelsOfTheCallersMaking(t *testing.T) {
	b := open(t)
	for _, path := range []string{"/Evil1", "/Evil2", ""} {
		_, _, _ = b.send(t, "/webhooks/ghl"+path, `{"type":"Evil3"}`)
	}
	assert.Equal(t, map[string]float64{"unknown_event/unknown": 3}, b.counted(t))
	assert.NotContains(t, b.log.String(), "Evil")
}

func TestALogOfRefusalsStaysSmall(t *testing.T) {
	b := open(t)
	for range 500 {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodPost, "/webhooks/ghl", strings.NewReader(`{}`))
		b.handler.ServeHTTP(recorder, request)
		require.Equal(t, 401, recorder.Code)
	}
	assert.Less(t, strings.Count(b.log.String(), "\n"), 60)
}
