package webhook

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve runs a real server that can be shut down, and counts the requests that reach it.
func (b *bench) serve(t *testing.T) (server *http.Server, address string, begun *atomic.Int64) {
	t.Helper()
	mux := http.NewServeMux()
	b.handler.Register(mux)
	begun = new(atomic.Int64)
	server = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun.Add(1)
		mux.ServeHTTP(w, r)
	})}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		assert.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	return server, listener.Addr().String(), begun
}

// TestShutdownUnderLoadLosesNothing stops a server under load: each 200 stands for a hint in the door and each hint for
// a 200, and each request that reached the server got its answer. (A connection that the kernel completes while the
// listener closes never reaches the server; what it was about is found by the sweep.)
func TestShutdownUnderLoadLosesNothing(t *testing.T) {
	b := open(t)
	server, address, begun := b.serve(t)
	var accepted, answered atomic.Int64
	busy, stopped := make(chan struct{}), make(chan struct{})
	var senders sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	for sender := range 8 {
		senders.Go(func() {
			for n := 0; ; n++ {
				code, err := b.post(transport, address, fmt.Sprintf("s%d-n%d", sender, n))
				if err != nil {
					return
				}
				answered.Add(1)
				if code == http.StatusOK {
					accepted.Add(1)
				}
				select {
				case busy <- struct{}{}:
				case <-stopped:
				}
			}
		})
	}
	for range 200 {
		<-busy
	}
	b.handler.Drain()
	for range 50 {
		<-busy
	}
	close(stopped)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, server.Shutdown(ctx))
	senders.Wait()
	assert.Equal(t, begun.Load(), answered.Load())
	assert.EqualValues(t, accepted.Load(), len(b.door.all()))
	assert.GreaterOrEqual(t, accepted.Load(), int64(250))
}

// TestShutdownWaitsForWhatIsInFlight stops a server while Temporal is taking its time over several webhooks.
func TestShutdownWaitsForWhatIsInFlight(t *testing.T) {
	b := open(t)
	inside, goOn := make(chan struct{}), make(chan struct{})
	b.door.do = func(context.Context) error {
		inside <- struct{}{}
		<-goOn
		return nil
	}
	server, address, _ := b.serve(t)
	transport := &http.Transport{}
	var senders sync.WaitGroup
	for n := range 5 {
		senders.Go(func() {
			code, err := b.post(transport, address, fmt.Sprintf("n%d", n))
			if assert.NoError(t, err) {
				assert.Equal(t, http.StatusOK, code)
			}
		})
		<-inside
	}
	b.handler.Drain()
	down := make(chan error, 1)
	go func() { down <- server.Shutdown(context.WithoutCancel(t.Context())) }()
	require.Eventually(t, func() bool { // the listener is closed
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = connection.Close()
		}
		return err != nil
	}, 5*time.Second, time.Millisecond)
	require.Empty(t, down, "the server waits")
	close(goOn)
	senders.Wait()
	require.NoError(t, <-down)
	assert.Len(t, b.door.all(), 5)
}

// post sends one order event that is not repeated by the client: a request with a body that cannot be rewound.
func (b *bench) post(transport http.RoundTripper, address, order string) (int, error) {
	body := `{"_id":"` + order + `","locationId":"` + home + `"}`
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
		"http://"+address+"/webhooks/ghl/OrderCreate", struct{ *strings.Reader }{strings.NewReader(body)})
	if err != nil {
		return 0, err
	}
	request.ContentLength = int64(len(body))
	request.Header.Set(SignatureHeader, sign(b.private, []byte(body)))
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func BenchmarkHandler(b *testing.B) {
	bench := open(b, func(o *Options) { o.Log = nil })
	mux := http.NewServeMux()
	bench.handler.Register(mux)
	// About the size of HighLevel's own sample of an order.
	body := strings.TrimSuffix(paidOrder, "}") + `,"items":"` + strings.Repeat("x", 5000) + `"}`
	signature := sign(bench.private, []byte(body))
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "/webhooks/ghl/OrderCreate", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		request.Header.Set(SignatureHeader, signature)
		w := &discard{head: http.Header{}}
		mux.ServeHTTP(w, request)
		if w.code != http.StatusOK {
			b.Fatal(w.code)
		}
	}
}

type discard struct {
	head http.Header
	code int
}

func (d *discard) Header() http.Header         { return d.head }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(code int)        { d.code = code }
