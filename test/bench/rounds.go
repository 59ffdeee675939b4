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

	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/workflows"
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

// startOurs starts the product against vendors that answer at once. Its Temporal server is the one of all measurements.
func (b *benchmark) startOurs(ctx context.Context) (err error) {
	b.say("starting a Temporal server, worker and starter")
	customers := 2 * b.inFlight
	if !b.wants(onlyRounds) {
		customers = 1
	}
	b.ours, err = openMarket(ctx, marketOptions{customers: customers, stack: stack.Options{
		Dir: filepath.Join(b.dir, "ours"), WorkerBinary: b.worker, StarterBinary: b.starter, Progress: b.progress,
		GHL:       ghl.Options{NoLimits: true},
		Temporal:  stack.Temporal{Binary: b.temporal, OnDisk: true, Headless: true, DynamicConfig: b.settings},
		WorkerEnv: b.profiler.env(partWorker), StarterEnv: b.profiler.env(partStarter),
	}})
	return err
}

// rounds lets the ceiling and ours take turns.
func (b *benchmark) rounds(ctx context.Context) error {
	if !b.wants(onlyRounds) {
		return nil
	}
	server := b.ours.stack.Server.PID()
	b.results.rounds = map[kind][]round{}
	b.results.costs = map[kind][]cost{}
	short := max(b.window/2, time.Second)
	turns := []struct {
		kind      kind
		next      func() job
		processes func(int) map[part][]int
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
			c, err := costOfPassage(ctx, b.ours.stack.Temporal, p)
			if err != nil {
				return err
			}
			b.results.costs[kind] = append(b.results.costs[kind], c)
		}
	}
	b.results.memory = map[part]stack.Usage{}
	for name, pids := range b.ours.processes(b.ours.stack.Server.PID()) {
		usage, err := stack.UsageOf(pids[0]) // one of each here
		if err != nil && !errors.Is(err, stack.ErrNotMeasured) {
			return err
		}
		b.results.memory[name] = usage
	}
	return nil
}

// atRest waits until no workflow runs but for those that only wait for news of a parcel, so that a round does not pay for
// the one before.
func atRest(ctx context.Context, temporal client.Client) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("workflows do not come to an end"))
	defer cancel()
	query := fmt.Sprintf("ExecutionStatus = 'Running' AND WorkflowType NOT IN ('%s', '%s')", workflows.FulfillmentType, ceilingWait)
	for {
		running, err := temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
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

// cores is how many the machine has.
var cores = runtime.NumCPU()
