package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry makes a registry that already shows the Go runtime, the process and the build.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	return registry
}

// MetricsHandler serves a registry as Prometheus reads it. A metric that fails is left out and counted, instead of
// hiding all others.
func MetricsHandler(registry *prometheus.Registry) http.Handler {
	return promhttp.InstrumentMetricHandler(registry, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true,
	}))
}

// Listener is the inner door of a process: metrics, and what else only its own machine or network may ask for. A nil
// Listener is one that is off.
type Listener struct {
	server *http.Server
	addr   net.Addr
	done   chan error
}

// Listen serves the registry at /metrics, and handlers by their pattern, on address (host:port; port 0 takes a free
// one). An empty address means off and gives nil. It returns once requests are accepted.
func Listen(ctx context.Context, address string, registry *prometheus.Registry, handlers map[string]http.Handler, log *slog.Logger) (*Listener, error) {
	if address == "" {
		return nil, nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", MetricsHandler(registry))
	for pattern, handler := range handlers {
		mux.Handle(pattern, handler)
	}
	var config net.ListenConfig
	socket, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w; set METRICS_ADDRESS to a free address or to off", err)
	}
	l := &Listener{
		server: &http.Server{
			Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		},
		addr: socket.Addr(), done: make(chan error, 1),
	}
	go func() { l.done <- l.server.Serve(socket) }()
	return l, nil
}

// Addr is the host and port that is listened on, empty when the listener is off.
func (l *Listener) Addr() string {
	if l == nil {
		return ""
	}
	return l.addr.String()
}

// Shutdown stops listening and waits for requests under way, at most until ctx ends.
func (l *Listener) Shutdown(ctx context.Context) error {
	if l == nil {
		return nil
	}
	err := l.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, l.server.Close())
	}
	if served := <-l.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
