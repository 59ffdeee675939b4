// Package server is the starter's front door as a process: it listens, answers liveness and readiness, carries the
// doors for webhooks, the pages by which locations are connected and the payload codec, and stops without losing a request.
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

	"github.com/tallystick/tallystick/starter/oauth"
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
	// Listen is where everything is served, as host:port.
	Listen   string
	Webhooks *webhook.Handler
	// Doors are those besides Webhooks.
	Doors []Door
	// OAuth serves the pages by which locations are connected, under oauth.Prefix; nil serves none.
	OAuth http.Handler
	// Codec shows payloads to the Temporal UI under /codec/; nil serves none.
	Codec http.Handler
	// Probes tell whether work can be accepted.
	Probes []Probe
	// Drain is how long requests are still taken in after readiness was withdrawn, so that a load balancer notices.
	Drain time.Duration
	// Grace is how long requests in flight may take after that.
	Grace time.Duration
	Log   *slog.Logger
}

// Door is where others than HighLevel tell of something: package delivery and package sagehook have one each.
type Door interface {
	Register(mux *http.ServeMux)
	// Drain has each answer close its connection from now on.
	Drain()
}

// Server listens from Open on and answers from Run on.
type Server struct {
	options  Options
	ready    *readiness
	listener net.Listener
}

// Open takes the address, so that one that is in use is known at once.
func Open(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o, ready: &readiness{probes: o.Probes, now: time.Now, log: o.Log}}
	var err error
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("cannot listen on %s, set LISTEN_ADDRESS to a free address: %w", o.Listen, err)
	}
	return s, nil
}

// Addr is the address the front door listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until the context ends, and then stops in order: readiness is withdrawn, requests are taken in for the time
// of a drain, the listener closes, and requests in flight are finished. The error is nil when all that went well.
func (s *Server) Run(ctx context.Context) error {
	front := s.httpServer(s.routes())
	served := make(chan error, 1)
	go func() { served <- front.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	err := s.stop(context.WithoutCancel(ctx), front)
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

func (s *Server) doors() []Door { return append([]Door{s.options.Webhooks}, s.options.Doors...) }

func (s *Server) stop(ctx context.Context, front *http.Server) error {
	s.ready.withdraw()
	for _, door := range s.doors() {
		door.Drain()
	}
	s.options.Log.InfoContext(ctx, "stopping", "drain", s.options.Drain.String())
	drained := time.NewTimer(s.options.Drain)
	defer drained.Stop()
	<-drained.C
	ctx, cancel := context.WithTimeout(ctx, s.options.Grace)
	defer cancel()
	if err := front.Shutdown(ctx); err != nil {
		return fmt.Errorf("some requests were not finished within %s: %w", s.options.Grace, errors.Join(err, front.Close()))
	}
	return nil
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
	for _, door := range s.doors() {
		door.Register(mux)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	mux.Handle("GET /readyz", s.ready)
	if s.options.OAuth != nil {
		mux.Handle(oauth.Prefix, s.options.OAuth)
	}
	if s.options.Codec != nil {
		mux.Handle("/codec/", http.StripPrefix("/codec", s.options.Codec))
	}
	return guarded(mux)
}

// guarded gives every answer, errors and redirects included, the headers that keep a browser from making more of it than
// it is. What has pages to show sets a policy of its own.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		head.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
