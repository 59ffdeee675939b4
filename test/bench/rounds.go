package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/stack"
)

// round is one measurement.
type round struct {
	measured
	meter *meter
}

// kind is what is measured over and over.
type kind string

const (
	ceilingFull kind = "a: ceiling, steps that do nothing"
	knownFull   kind = "b: known customer, known products"
	newFull     kind = "b: new customer, known products"
	ceilingLow  kind = "a: ceiling, one at a time"
	knownLow    kind = "b: known customer, one at a time"
)

// sampled is how many histories are looked at for a kind's cost.
const sampled = 20

// startOurs starts the product against vendors that answer at once.
func (b *benchmark) startOurs(ctx context.Context) (err error) {
	b.say("starting a Temporal server, worker and starter")
	b.ours, err = openMarket(ctx, marketOptions{customers: 2 * b.inFlight, stack: stack.Options{
		Dir: filepath.Join(b.dir, "ours"), WorkerBinary: b.worker, StarterBinary: b.starter, Progress: b.progress,
		GHL:       ghl.Options{NoLimits: true},
		Temporal:  stack.Temporal{Binary: b.temporal, OnDisk: true, Headless: true, DynamicConfig: b.settings},
		WorkerEnv: b.profiler.env(partWorker), StarterEnv: b.profiler.env(partStarter),
	}})
	return err
}

// rounds lets the ceiling and ours take turns.
func (b *benchmark) rounds(ctx context.Context) error {
	server := b.ours.stack.Server.PID()
	b.results.rounds = map[kind][]round{}
	b.results.costs = map[kind][]cost{}
	short := max(b.window/2, time.Second)
	turns := []struct {
		kind      kind
		next      func() job
		processes func(int) map[part]int
		inFlight  int
		window    time.Duration
	}{
		{ceilingFull, b.idle.next, b.idle.processes, b.inFlight, b.window},
		{knownFull, b.ours.known, b.ours.processes, b.inFlight, b.window},
		{newFull, b.ours.newcomer, b.ours.processes, b.inFlight, b.window},
		{ceilingLow, b.idle.next, b.idle.processes, 1, short},
		{knownLow, b.ours.known, b.ours.processes, 1, short},
	}
	for i := range b.options.rounds {
		for _, t := range turns {
			b.say("round %d of %d, %s", i+1, b.options.rounds, t.kind)
			r := round{meter: newMeter(t.processes(server))}
			l := load{inFlight: t.inFlight, warmUp: b.warmUp(), window: t.window, next: t.next, began: r.meter.begin, ended: r.meter.finish}
			if i == 0 && t.kind == knownFull {
				b.profiled(ctx, &l)
			}
			var err error
			if r.measured, err = l.run(ctx); err != nil {
				return fmt.Errorf("%s: %w", t.kind, err)
			}
			if err := atRest(ctx, b.ours.stack.Temporal); err != nil {
				return err
			}
			b.results.rounds[t.kind] = append(b.results.rounds[t.kind], r)
		}
	}
	return errors.Join(b.weigh(ctx), b.ours.agrees())
}

func (b *benchmark) warmUp() time.Duration { return min(b.window/4, 3*time.Second) }

// profiled takes profiles over the load's window.
func (b *benchmark) profiled(ctx context.Context, l *load) {
	began, ended := l.began, l.ended
	taken := make(chan error, 1)
	l.began = func() error {
		go func() { taken <- b.profiler.take(ctx, l.window) }()
		return began()
	}
	l.ended = func() error { return errors.Join(ended(), <-taken) }
}

// weigh reads the cost of payments from their histories, and the memory that the processes have come to.
func (b *benchmark) weigh(ctx context.Context) error {
	for kind, rounds := range b.results.rounds {
		for _, p := range rounds[len(rounds)-1].whole {
			if len(b.results.costs[kind]) == sampled {
				break
			}
			c, err := costOf(ctx, b.ours.stack.Temporal, p.id)
			if err != nil {
				return err
			}
			b.results.costs[kind] = append(b.results.costs[kind], c)
		}
	}
	b.results.memory = map[part]stack.Usage{}
	for name, pid := range b.ours.processes(b.ours.stack.Server.PID()) {
		usage, err := stack.UsageOf(pid)
		if err != nil && !errors.Is(err, stack.ErrNotMeasured) {
			return err
		}
		b.results.memory[name] = usage
	}
	return nil
}

// atRest waits until no workflow runs, so that a round does not pay for the one before.
func atRest(ctx context.Context, temporal client.Client) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("workflows do not come to an end"))
	defer cancel()
	for {
		running, err := temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: "ExecutionStatus = 'Running'"})
		if err != nil {
			return fmt.Errorf("count what runs: %w", err)
		}
		if running.GetCount() == 0 {
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// limits are those of one run.
type limits struct {
	name, namespace string
	sagePerSecond   float64
	env             map[string]string
}

// The vendors' published limits, and what the clients are told. The little that is left is for calls that bunch up on
// their way: whoever sees the last call of an interval spent waits for a whole one.
const (
	ghlPer10Seconds  = 100
	ghlPaceOfClient  = "98"
	sagePerSecond    = 13
	sagePaceOfClient = "12.6"
	limitedInFlight  = 8
)

// limitedRun is what came of a run under limits.
type limitedRun struct {
	limits
	round
	ghlShare, sageShare float64
	refused             int // answers 429
}

// underLimits runs the product in steady state against vendors that have their published limits.
func (b *benchmark) underLimits(ctx context.Context) error {
	if b.limited == 0 {
		return nil
	}
	for _, l := range []limits{
		{name: "c: GHL 100 in 10 s, Sage 13 a second", namespace: "both-limits", sagePerSecond: sagePerSecond,
			env: map[string]string{"SAGE_REQUESTS_PER_SECOND": sagePaceOfClient}},
		{name: "c: GHL 100 in 10 s, Sage without limit", namespace: "ghl-limit"},
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
	for name, value := range l.env {
		env[name] = value
	}
	m, err := openMarket(ctx, marketOptions{customers: b.buyers, stack: stack.Options{
		Dir: filepath.Join(b.dir, l.namespace), WorkerBinary: b.worker, StarterBinary: b.starter, Progress: b.progress,
		GHL: ghl.Options{Limits: ghl.PublishedLimits()}, Sage: sage.Options{RequestsPerSecond: l.sagePerSecond},
		Temporal: stack.Temporal{Address: b.ours.stack.TemporalAddress, Namespace: l.namespace}, Env: env,
	}})
	if m != nil {
		defer func() { err = errors.Join(err, m.stack.Stop(context.WithoutCancel(ctx))) }()
	}
	if err != nil {
		return run, err
	}
	run.meter = newMeter(m.processes(b.ours.stack.Server.PID()))
	var ghlCalls, sageCalls int
	load := load{inFlight: limitedInFlight, warmUp: b.limited / 4, window: b.limited, next: m.known,
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
		return run, err
	}
	run.ghlShare = float64(ghlCalls) / (run.window.Seconds() * ghlPer10Seconds / 10)
	if l.sagePerSecond > 0 {
		run.sageShare = float64(sageCalls) / (run.window.Seconds() * l.sagePerSecond)
	}
	if err := atRest(ctx, m.stack.Temporal); err != nil {
		return run, err
	}
	return run, m.agrees()
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

// cores is how many the machine has.
var cores = runtime.NumCPU()
