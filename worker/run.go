package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/observe"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

const tracerName = "tallystick"

// run builds everything, works until ctx ends, and finishes what it has begun.
func run(ctx context.Context, cfg config.Config) (err error) {
	log := observe.NewLogger(os.Stderr, cfg.Watching.LogLevel, cfg.Watching.LogFormat == config.JSONLog)
	log.Info("worker starts", "config", cfg)
	registry := observe.NewRegistry()
	tracing, err := observe.StartTracing(ctx, "tallystick-worker", version(), log)
	if err != nil {
		return err
	}
	defer finish(cfg, &err, tracing.Shutdown)
	metrics, err := observe.Listen(ctx, string(cfg.HTTP.Metrics), registry, nil, log)
	if err != nil {
		return err
	}
	defer finish(cfg, &err, metrics.Shutdown)
	books, err := store.Open(ctx, string(cfg.Store.DatabaseURL), store.WithLogger(log), store.WithRegisterer(registry))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, books.Close()) }()
	if err := registry.Register(observe.Alerts{Store: books}); err != nil {
		return fmt.Errorf("publish the alerts: %w", err)
	}
	calls, err := transport.NewMetrics(registry)
	if err != nil {
		return err
	}
	directory, err := connections.Open(connections.Options{
		Config: cfg, Store: books, Ring: cfg.Secrets.Keys.Ring,
		Watch: connections.Watch{Logger: log, Metrics: calls, Tracer: tracing.Provider.Tracer(tracerName)},
	})
	if err != nil {
		return err
	}
	defer directory.Close() // before the store
	if err := directory.Adopt(ctx); err != nil {
		return err
	}
	temporal, namespace, err := dial(ctx, cfg, log, registry, tracing)
	if err != nil {
		return err
	}
	defer temporal.Close()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	c := &crew{config: cfg, log: log, temporal: temporal, namespace: namespace, books: books, directory: directory}
	if err := c.build(giveUp); err != nil {
		return err
	}
	return c.work(ctx)
}

// dial connects to Temporal and tells in which namespace it works.
func dial(
	ctx context.Context, cfg config.Config, log *slog.Logger, registry *prometheus.Registry, tracing *observe.Tracing,
) (temporal client.Client, namespace string, err error) {
	metrics, err := cluster.Metrics(registry, log)
	if err != nil {
		return nil, "", err
	}
	o := cluster.Options{Identity: identity(), Logger: log, Metrics: metrics, Ring: cfg.Secrets.Keys.Ring}
	if tracing.Enabled {
		o.Tracer = tracing.Provider.Tracer(tracerName)
	}
	target, err := o.Target()
	if err != nil {
		return nil, "", err
	}
	temporal, err = cluster.Dial(ctx, o)
	return temporal, target.Namespace, err
}

// crew are the workers of this process, one per task queue, with what they work with. The vendors' queues have workers of
// their own, so that a slow vendor holds up neither the other nor the processes themselves.
type crew struct {
	config    config.Config
	log       *slog.Logger
	temporal  client.Client
	namespace string
	books     *store.Store
	directory *connections.Directory
	// several tells that more than one location is connected.
	several atomic.Bool

	processes worker.Worker
	vendors   []worker.Worker
}

func (c *crew) build(giveUp func(error)) error {
	people, err := c.people()
	if err != nil {
		return err
	}
	cfg, door := c.config, workflows.Door{Temporal: c.temporal}.ForSweeps()
	worker.SetStickyWorkflowCacheSize(cfg.Process.WorkflowCache)
	c.processes = worker.New(c.temporal, workflows.MainQueue, options(cfg, 0, giveUp))
	workflows.Register(c.processes)
	c.processes.RegisterActivity(&activities.Ledger{
		Store: c.books, Look: door, Overlap: cfg.Sync.Overlap, RefundWindow: cfg.Sync.RefundWindow, From: cfg.Sync.From.Time,
		RetryParkedAfter: cfg.Sync.Interval, Fulfillment: c.directory.Fulfillment,
	})
	every, deepEvery := cfg.Sync.Reconciliations()
	c.processes.RegisterActivity(&activities.Connections{
		Store: c.books, Notify: people.Notify, Schedules: schedules.Keeper{
			Client: c.temporal.ScheduleClient(), Every: cfg.Sync.Interval, DeepEvery: cfg.Sync.DeepInterval,
			FulfillmentEvery: cfg.Sync.Fulfillments, ReconcileEvery: every, DeepReconcileEvery: deepEvery,
		},
	})
	c.processes.RegisterActivity(&activities.Books{
		Store: c.books, Notify: people.Notify, On: cfg.Sync.Reconcile, Overlap: cfg.Sync.ReconcileOverlap,
		DifferenceAge: cfg.Books.DifferenceAge, Remind: cfg.Watchdog.Remind, Revenue: c.directory.Revenue,
	})
	c.processes.RegisterActivity(people)
	c.processes.RegisterActivity(c.watchdog(people.Notify))
	fromGHL := worker.New(c.temporal, workflows.GHLQueue, c.vendor(cfg.Process.ConcurrentGHL, giveUp))
	fromGHL.RegisterActivity(&activities.GHL{
		Client: c.directory.GHL, Store: c.books, Look: door, OnlyTest: c.directory.OnlyTest, Fulfillment: c.directory.Fulfillment,
	})
	intoSage := worker.New(c.temporal, workflows.SageQueue, c.vendor(cfg.Process.ConcurrentSage, giveUp))
	intoSage.RegisterActivity(&activities.Sage{
		Client: c.directory.Sage, Store: c.books, Look: door, Fulfillment: c.directory.Fulfillment,
		Templates: people.Templates, Links: people.Links,
	})
	c.vendors = []worker.Worker{fromGHL, intoSage}
	return nil
}

// people are those who are told of what becomes of orders, and the words for it.
func (c *crew) people() (*activities.Teams, error) {
	cfg := c.config.Telling
	webhook, err := notify.New(cfg.WebhookURL.Reveal(), transport.NewPool())
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_WEBHOOK_URL: %w", err)
	}
	texts, err := notify.LoadTemplates(cfg.Templates)
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_TEMPLATES: %w", err)
	}
	return &activities.Teams{
		Store: c.books, Notify: webhook, Templates: texts, Steps: cfg.Steps,
		Links: notify.Links{GHLOrder: cfg.GHLOrder, SageOrder: cfg.SageOrder, Workflow: cfg.Workflow},
	}, nil
}

// chores is how many steps the worker that runs the processes carries out at once.
const chores = 20

// options are those of a worker that runs so many steps at once and no processes, or, for 0, of the one that runs the
// processes.
func options(cfg config.Config, steps int, giveUp func(error)) worker.Options {
	return worker.Options{
		DisableWorkflowWorker:                  steps > 0,
		MaxConcurrentActivityExecutionSize:     cmp.Or(steps, chores),
		MaxConcurrentWorkflowTaskExecutionSize: cfg.Process.ConcurrentWorkflows,
		MaxConcurrentActivityTaskPollers:       cfg.Process.Pollers,
		MaxConcurrentWorkflowTaskPollers:       max(cfg.Process.Pollers, 2),
		WorkerStopTimeout:                      cfg.Process.ShutdownTimeout,
		OnFatalError:                           giveUp,
	}
}

// vendor are the options of a worker for a vendor's queue.
func (c *crew) vendor(steps int, giveUp func(error)) worker.Options {
	o := options(c.config, steps, giveUp)
	o.Interceptors = []interceptor.WorkerInterceptor{newTurns(steps, &c.several, c.lookAround)}
	return o
}

// work runs the workers until ctx ends or one of them cannot go on, then lets all finish their steps. The processes come
// first: by them the others learn of this worker, and make room for it at the vendors before it calls any.
func (c *crew) work(ctx context.Context) error {
	if err := c.processes.Start(); err != nil {
		return fmt.Errorf("start to take work: %w", err)
	}
	started := []worker.Worker{c.processes}
	defer func() { stop(started) }()

	ctx, end := context.WithCancel(ctx)
	var chores sync.WaitGroup
	defer chores.Wait()
	defer end()
	chores.Go(func() { c.limit(ctx) })
	chores.Go(func() { c.watch(ctx) })
	chores.Go(func() { c.keepWatchdog(ctx) })
	c.join(ctx)
	for _, w := range c.vendors {
		if ctx.Err() != nil {
			break
		}
		if err := w.Start(); err != nil {
			return fmt.Errorf("start to take work: %w", err)
		}
		started = append(started, w)
	}
	c.log.Info("worker takes work")
	chores.Go(func() { c.share(ctx) })
	<-ctx.Done()
	c.log.Info("worker finishes what it has begun")
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return fmt.Errorf("a worker cannot go on: %w", cause)
	}
	return nil
}

func stop(workers []worker.Worker) {
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(w.Stop)
	}
	all.Wait()
}

// finish runs one of the last steps of a process within the shutdown time.
func finish(cfg config.Config, err *error, last func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Process.ShutdownTimeout)
	defer cancel()
	*err = errors.Join(*err, last(ctx))
}
