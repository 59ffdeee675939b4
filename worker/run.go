package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/observe"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
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
	calls, err := transport.NewMetrics(registry)
	if err != nil {
		return err
	}
	directory, err := connections.Open(cfg, connections.Watch{
		Logger: log, Metrics: calls, Tracer: tracing.Provider.Tracer(tracerName),
	})
	if err != nil {
		return err
	}
	temporal, err := dial(ctx, cfg, log, registry, tracing)
	if err != nil {
		return err
	}
	defer temporal.Close()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	return work(ctx, log, build(cfg, temporal, books, directory, giveUp))
}

func dial(
	ctx context.Context, cfg config.Config, log *slog.Logger, registry *prometheus.Registry, tracing *observe.Tracing,
) (client.Client, error) {
	metrics, err := cluster.Metrics(registry, log)
	if err != nil {
		return nil, err
	}
	o := cluster.Options{Logger: log, Metrics: metrics, Ring: cfg.Secrets.Keys.Ring}
	if tracing.Enabled {
		o.Tracer = tracing.Provider.Tracer(tracerName)
	}
	return cluster.Dial(ctx, o)
}

// build makes one worker per task queue. The vendors' queues have workers of their own, so that a slow vendor holds up
// neither the other nor the processes themselves.
func build(cfg config.Config, temporal client.Client, books *store.Store, directory *connections.Directory,
	giveUp func(error),
) []worker.Worker {
	door := workflows.Door{Temporal: temporal}.ForSweeps()
	worker.SetStickyWorkflowCacheSize(cfg.Process.WorkflowCache)
	processes := worker.New(temporal, workflows.MainQueue, options(cfg, 0, giveUp))
	workflows.Register(processes)
	processes.RegisterActivity(&activities.Ledger{
		Store: books, Look: door, Overlap: cfg.Sync.Overlap, RefundWindow: cfg.Sync.RefundWindow, From: cfg.Sync.From.Time,
		RetryParkedAfter: cfg.Sync.Interval,
	})
	fromGHL := worker.New(temporal, workflows.GHLQueue, options(cfg, cfg.Process.ConcurrentGHL, giveUp))
	fromGHL.RegisterActivity(&activities.GHL{
		Client: directory.GHL, Store: books, Look: door, OnlyTest: cfg.Orders.TestOrders == config.OnlyTestOrders,
	})
	intoSage := worker.New(temporal, workflows.SageQueue, options(cfg, cfg.Process.ConcurrentSage, giveUp))
	intoSage.RegisterActivity(&activities.Sage{Client: directory.Sage, Store: books})
	return []worker.Worker{processes, fromGHL, intoSage}
}

// options are those of a worker that runs so many steps at once and no processes, or, for 0, of the one that runs the
// processes.
func options(cfg config.Config, steps int, giveUp func(error)) worker.Options {
	return worker.Options{
		DisableWorkflowWorker:                  steps > 0,
		MaxConcurrentActivityExecutionSize:     max(steps, 20),
		MaxConcurrentWorkflowTaskExecutionSize: cfg.Process.ConcurrentWorkflows,
		MaxConcurrentActivityTaskPollers:       cfg.Process.Pollers,
		MaxConcurrentWorkflowTaskPollers:       max(cfg.Process.Pollers, 2),
		WorkerStopTimeout:                      cfg.Process.ShutdownTimeout,
		OnFatalError:                           giveUp,
	}
}

// work runs the workers until ctx ends or one of them cannot go on, then lets all finish their steps.
func work(ctx context.Context, log *slog.Logger, workers []worker.Worker) error {
	for i, w := range workers {
		if err := w.Start(); err != nil {
			stop(workers[:i])
			return fmt.Errorf("start to take work: %w", err)
		}
	}
	log.Info("worker takes work")
	<-ctx.Done()
	log.Info("worker finishes what it has begun")
	stop(workers)
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
