package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/observe"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/server"
	"github.com/tallystick/tallystick/starter/webhook"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

func serveCommand(a *app) *cobra.Command {
	var drain time.Duration
	c := &cobra.Command{
		Use: "serve", Short: "Take in webhooks, and keep the schedules of the sweeps", Args: cobra.NoArgs,
		Long: "Take in webhooks, and keep the schedules of the sweeps, until told to stop.\n\n" +
			"Temporal may be away, at the start and later: then /readyz says so, webhooks are answered 429, after which HighLevel\n" +
			"delivers them again, and everything goes on by itself when Temporal is back.",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(config.Serve)
			if err != nil {
				return err
			}
			return a.serve(c.Context(), cfg, drain)
		},
	}
	c.Flags().DurationVar(&drain, "drain", 2*time.Second, "how long webhooks are still taken in after /readyz was withdrawn")
	return c
}

// serve builds the front door and runs it until ctx ends.
func (a *app) serve(ctx context.Context, cfg config.Config, drain time.Duration) (err error) {
	log := a.logger(cfg)
	log.InfoContext(ctx, "starter starts", "version", version(), "config", cfg)
	registry := observe.NewRegistry()
	tracing, err := observe.StartTracing(ctx, "tallystick-starter", version(), log)
	if err != nil {
		return err
	}
	defer atEnd(cfg, &err, tracing.Shutdown)
	metrics, err := observe.Listen(ctx, string(cfg.HTTP.Metrics), registry, nil, log)
	if err != nil {
		return err
	}
	defer atEnd(cfg, &err, metrics.Shutdown)
	db, err := store.Open(ctx, string(cfg.Store.DatabaseURL), store.WithLogger(log), store.WithRegisterer(registry))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := registry.Register(server.Books{Store: db}); err != nil {
		return err
	}
	handler, err := cluster.Metrics(registry, log)
	if err != nil {
		return err
	}
	options := cluster.Options{Ring: cfg.Secrets.Keys.Ring, Logger: log, Metrics: handler}
	if tracing.Enabled {
		options.Tracer = tracing.Provider.Tracer("tallystick")
	}
	target, err := options.Target()
	if err != nil {
		return err
	}
	temporal, err := cluster.Lazy(options)
	if err != nil {
		return err
	}
	defer temporal.Close()
	front := &frontDoor{config: cfg, log: log, temporal: temporal, target: target, store: db}
	return front.run(ctx, a.out, registry, drain, metrics.Addr())
}

// atEnd runs one of the last steps of a process within the shutdown time.
func atEnd(cfg config.Config, err *error, step func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Process.ShutdownTimeout)
	defer cancel()
	*err = errors.Join(*err, step(ctx))
}

// frontDoor is the server with what it depends on.
type frontDoor struct {
	config   config.Config
	log      *slog.Logger
	temporal client.Client
	target   cluster.Target
	store    *store.Store
	// prepared says that search attributes and schedules are there. Before, no process could be started.
	prepared atomic.Bool
}

func (f *frontDoor) run(ctx context.Context, out io.Writer, registry prometheus.Registerer, drain time.Duration, metrics string) error {
	door, err := webhook.New(webhook.Options{
		Door: workflows.Door{Temporal: f.temporal}, Keys: webhook.Keys(f.config.GHL.WebhookPublicKeys),
		Locations: webhook.One(f.config.GHL.LocationID), Log: f.log, Registerer: registry,
	})
	if err != nil {
		return err
	}
	s, err := server.Open(ctx, server.Options{
		Listen: string(f.config.HTTP.Listen), Webhooks: door, Codec: f.codec(), Probes: f.probes(),
		Drain: drain, Grace: f.config.Process.ShutdownTimeout, Log: f.log,
	})
	if err != nil {
		return err
	}
	f.banner(out, s.Addr(), metrics)
	preparing, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.prepare(preparing)
	}()
	defer func() { stop(); <-done }() // the client is closed after this
	return s.Run(ctx)
}

// codec shows payloads in the Temporal UI, to those who have the token, or on this machine.
func (f *frontDoor) codec() http.Handler {
	if !f.config.AdminOverHTTP() {
		return nil
	}
	return secret.Endpoint(f.config.Secrets.Keys.Ring, secret.EndpointOptions{
		Token: f.config.Secrets.AdminToken.Reveal(), Loopback: f.config.HTTP.Listen.Loopback(), Origins: f.config.HTTP.CodecOrigins,
	})
}

func (f *frontDoor) probes() []server.Probe {
	return []server.Probe{
		{Name: "temporal", Check: func(ctx context.Context) error {
			if _, err := f.temporal.CheckHealth(ctx, nil); err != nil {
				return fmt.Errorf("temporal at %s does not answer: %w", f.target.Address, err)
			}
			if !f.prepared.Load() {
				return errors.New("search attributes and schedules are not there yet")
			}
			return nil
		}},
		{Name: "store", Check: f.store.Ping},
	}
}

// The waits between attempts to prepare the server.
const (
	firstWait   = 500 * time.Millisecond
	longestWait = 5 * time.Second
	prepareTime = time.Minute
)

// prepare makes what a plain Temporal server lacks, for as long as it takes.
func (f *frontDoor) prepare(ctx context.Context) {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		changes, err := f.prepareOnce(ctx)
		if err == nil {
			f.prepared.Store(true)
			for _, change := range changes {
				f.log.InfoContext(ctx, "schedule", "id", change.ID, "every", change.Every.String(), "action", change.Action)
			}
			return
		}
		if ctx.Err() != nil {
			return
		}
		f.log.WarnContext(ctx, "Temporal is not prepared yet, trying again", "address", f.target.Address, "error", err.Error())
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (f *frontDoor) prepareOnce(ctx context.Context) ([]schedules.Change, error) {
	ctx, cancel := context.WithTimeout(ctx, prepareTime)
	defer cancel()
	if err := prepareServer(ctx, f.temporal, f.target.Namespace); err != nil {
		return nil, err
	}
	wanted := schedules.Wanted(f.config.Sync.Interval, f.config.Sync.DeepInterval, f.config.GHL.LocationID)
	return schedules.Apply(ctx, f.temporal.ScheduleClient(), wanted, schedules.ApplyOptions{})
}

// prepareServer makes the search attributes that a namespace lacks.
func prepareServer(ctx context.Context, temporal client.Client, namespace string) error {
	if err := cluster.CheckNamespace(ctx, temporal, namespace); err != nil {
		return err
	}
	return cluster.EnsureSearchAttributes(ctx, temporal, namespace, workflows.SearchAttributes())
}

// banner says where everything is.
func (f *frontDoor) banner(out io.Writer, address, metrics string) {
	if metrics != "" {
		metrics = "http://" + metrics + "/metrics"
	} else {
		metrics = "off"
	}
	payloads := "off: set ADMIN_TOKEN"
	if f.config.AdminOverHTTP() {
		payloads = "http://" + address + "/codec"
	}
	_ = (&format{name: "table"}).print(out, nil, func(w io.Writer) {
		row(w, "Tallystick starter", version())
		row(w, "webhooks", "http://"+address+"/webhooks/ghl/{Event}")
		row(w, "readiness", "http://"+address+"/readyz")
		row(w, "metrics", metrics)
		row(w, "payload codec", payloads)
		row(w, "Temporal", f.target.Address+", namespace "+f.target.Namespace)
		row(w, "database", f.config.Store.DatabaseURL)
		row(w, "location", f.config.GHL.LocationID)
		row(w, "sweeps", fmt.Sprintf("every %s, for late refunds every %s", f.config.Sync.Interval, f.config.Sync.DeepInterval))
	})
}
