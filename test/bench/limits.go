package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/stack"
)

// limits are those of one run.
type limits struct {
	name, namespace string
	workers         int // processes, which share the limits by themselves
	sagePerSecond   float64
}

// The vendors' published limits, and what the clients are told. The little that is left is for calls that bunch up on
// their way: whoever sees the last call of an interval spent waits for a whole one. At Sage the client itself leaves it.
const (
	ghlPer10Seconds  = 100
	ghlPaceOfClient  = "98"
	sagePerSecond    = 13
	sagePaceOfClient = "13"
	// limitedInFlight payments are on their way for each worker.
	limitedInFlight = 8
	severalWorkers  = 3
	longestWarmUp   = 10 * time.Second
)

// limitedRun is what came of a run under limits.
type limitedRun struct {
	limits
	round
	ghlShare, sageShare float64
	calls, refused      int // of both vendors, and answered 429
}

// narrower is the share of the quota that holds the run back.
func (l limitedRun) narrower() float64 { return max(l.ghlShare, l.sageShare) }

// perThousand is how many of a thousand calls are answered 429.
func perThousand(refused, calls int) float64 { return 1000 * float64(refused) / float64(max(calls, 1)) }

// underLimits runs the product in steady state against vendors that have their published limits.
func (b *benchmark) underLimits(ctx context.Context) error {
	if b.limited == 0 || !b.wants(onlyLimits) {
		return nil
	}
	for _, l := range []limits{
		{name: "c: GHL 100 in 10 s, Sage 13 a second", namespace: "both-limits", workers: 1, sagePerSecond: sagePerSecond},
		{name: "c: GHL 100 in 10 s, Sage without limit", namespace: "ghl-limit", workers: 1},
		{name: "c: the same as the first, three workers", namespace: "both-limits-3", workers: severalWorkers, sagePerSecond: sagePerSecond},
		{name: "c: the same as the second, three workers", namespace: "ghl-limit-3", workers: severalWorkers},
	} {
		b.say("%s, for %s", l.name, b.limited)
		run, err := b.underLimit(ctx, l)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		b.results.limited = append(b.results.limited, run)
	}
	return nil
}

func (b *benchmark) underLimit(ctx context.Context, l limits) (run limitedRun, err error) {
	run.limits = l
	if err := newNamespace(ctx, b.ours.stack.TemporalAddress, l.namespace); err != nil {
		return run, err
	}
	env := map[string]string{"GHL_REQUESTS_PER_10_SECONDS": ghlPaceOfClient}
	if l.sagePerSecond > 0 {
		env["SAGE_REQUESTS_PER_SECOND"] = sagePaceOfClient
	}
	m, err := openMarket(ctx, marketOptions{customers: b.buyers, stack: stack.Options{
		Dir: filepath.Join(b.dir, l.namespace), WorkerBinary: b.worker, StarterBinary: b.starter, Progress: b.progress,
		Workers: l.workers, GHL: ghl.Options{Limits: ghl.PublishedLimits()}, Sage: sage.Options{RequestsPerSecond: l.sagePerSecond},
		Temporal: stack.Temporal{Address: b.ours.stack.TemporalAddress, Namespace: l.namespace}, Env: env,
	}})
	if m != nil {
		defer func() { err = errors.Join(err, m.stack.Stop(context.WithoutCancel(ctx))) }()
	}
	if err != nil {
		return run, err
	}
	if err := b.strain(ctx, m, &run); err != nil {
		return run, err
	}
	if err := atRest(ctx, m.stack.Temporal); err != nil {
		return run, err
	}
	return run, m.agrees()
}

// strain keeps the market at its limits and counts the calls.
func (b *benchmark) strain(ctx context.Context, m *market, run *limitedRun) (err error) {
	run.meter = newMeter(m.processes(b.ours.stack.Server.PID()))
	var ghlCalls, sageCalls int
	load := load{inFlight: limitedInFlight * run.workers, warmUp: min(b.limited/4, longestWarmUp), window: b.limited, next: m.known,
		began: func() error {
			m.stack.GHL.ResetCalls()
			m.stack.Sage.ResetCalls()
			return run.meter.begin()
		},
		ended: func() error {
			ghlCalls, sageCalls = m.stack.GHL.CallCount("ghl."), m.stack.Sage.CallCount("sage.")
			run.refused = m.stack.GHL.Throttled() + m.stack.Sage.Throttled()
			return run.meter.finish()
		},
	}
	if run.measured, err = load.run(ctx); err != nil {
		return err
	}
	run.calls = ghlCalls + sageCalls
	run.ghlShare = float64(ghlCalls) / (run.window.Seconds() * ghlPer10Seconds / 10)
	if run.sagePerSecond > 0 {
		run.sageShare = float64(sageCalls) / (run.window.Seconds() * run.sagePerSecond)
	}
	return nil
}

// newNamespace makes a namespace, so that workers of another configuration do not take each other's work.
func newNamespace(ctx context.Context, address, name string) error {
	c, err := client.NewNamespaceClient(client.Options{HostPort: address})
	if err != nil {
		return fmt.Errorf("connect to the Temporal server: %w", err)
	}
	defer c.Close()
	err = c.Register(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if err != nil {
		return fmt.Errorf("make the namespace %s: %w", name, err)
	}
	return nil
}
