// Package server is the starter's front door as a process: it listens, answers liveness and readiness, carries the
// webhook door and the payload codec, and stops without losing a request.
//
// It does not decide what a webhook means (package webhook does) and never gives up while a dependency is away: then it
// is alive, not ready, and webhooks are answered so that they are delivered again. `starter serve` and the sandbox run
// it.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/starter/webhook"
)

// The limits of a connection. A webhook is small and its sender impatient; whoever is slower than this is no webhook.
const (
	headerTime = 5 * time.Second
	readTime   = 15 * time.Second
	// writeTime covers reading as well, and leaves the door its five seconds for Temporal.
	writeTime = 30 * time.Second
	idleTime  = 2 * time.Minute
	maxHeader = 16 << 10
)

// Options are what a Server is made of.
type Options struct {
	// Listen is where webhooks, health and codec are served; Metrics where the metrics are, empty for nowhere.
	Listen, Metrics string
	Webhooks        *webhook.Handler
	// Codec shows payloads to the Temporal UI under /codec/; nil serves none.
	Codec http.Handler
	// MetricsHandler answers /metrics on the Metrics address.
	MetricsHandler http.Handler
	// Probes tell whether work can be accepted.
	Probes []Probe
	// Drain is how long requests are still taken in after readiness was withdrawn, so that a load balancer notices.
	Drain time.Duration
	// Grace is how long requests in flight may take after that.
	Grace time.Duration
	Log   *slog.Logger
}

// Server listens from Open on and answers from Run on.
type Server struct {
	options  Options
	ready    *readiness
	listener net.Listener
	metrics  net.Listener
}

// Open takes the addresses, so that one that is in use is known at once.
func Open(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o, ready: &readiness{probes: o.Probes, now: time.Now, log: o.Log}}
	var err error
	if s.listener, err = listen(ctx, o.Listen, "LISTEN_ADDRESS"); err != nil {
		return nil, err
	}
	if o.Metrics == "" {
		return s, nil
	}
	if s.metrics, err = listen(ctx, o.Metrics, "METRICS_ADDRESS"); err != nil {
		return nil, errors.Join(err, s.listener.Close())
	}
	return s, nil
}

func listen(ctx context.Context, address, variable string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s, set %s to a free address: %w", address, variable, err)
	}
	return l, nil
}

// Addr is the address the front door listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// MetricsAddr is the address of the metrics, empty where there are none.
func (s *Server) MetricsAddr() string {
	if s.metrics == nil {
		return ""
	}
	return s.metrics.Addr().String()
}

// Run serves until the context ends, and then stops in order: readiness is withdrawn, requests are taken in for the time
// of a drain, the listener closes, and requests in flight are finished. The error is nil when all that went well.
func (s *Server) Run(ctx context.Context) error {
	front := s.httpServer(s.routes())
	servers := map[*http.Server]net.Listener{front: s.listener}
	var metrics *http.Server
	if s.metrics != nil {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", s.options.MetricsHandler)
		metrics = s.httpServer(mux)
		servers[metrics] = s.metrics
	}
	group, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	for server, listener := range servers {
		group.Go(func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
			}
			return nil
		})
	}
	group.Go(func() error {
		select {
		case <-ctx.Done():
		case <-failed.Done(): // one of them broke; nothing is left to wait for
		}
		return s.stop(context.WithoutCancel(ctx), front, metrics)
	})
	return group.Wait()
}

func (s *Server) stop(ctx context.Context, front, metrics *http.Server) error {
	s.ready.withdraw()
	s.options.Webhooks.Drain()
	s.options.Log.InfoContext(ctx, "stopping", "drain", s.options.Drain.String())
	drained := time.NewTimer(s.options.Drain)
	defer drained.Stop()
	<-drained.C
	ctx, cancel := context.WithTimeout(ctx, s.options.Grace)
	defer cancel()
	err := front.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("some requests were not finished within %s: %w", s.options.Grace, errors.Join(err, front.Close()))
	}
	if metrics != nil {
		err = errors.Join(err, metrics.Close())
	}
	return err
}

func (s *Server) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader,
		// The server's own complaints quote what strangers send.
		ErrorLog: slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	s.options.Webhooks.Register(mux)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	mux.Handle("GET /readyz", s.ready)
	if s.options.Codec != nil {
		mux.Handle("/codec/", http.StripPrefix("/codec", s.options.Codec))
	}
	return mux
}
