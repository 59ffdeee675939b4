package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/workflows"
)

// The ceiling's worker is this program once more, in a role that the environment gives it.
const (
	roleVariable   = "TALLYSTICK_BENCH_ROLE"
	scriptVariable = "TALLYSTICK_BENCH_SCRIPT"
	ceilingRole    = "ceiling"
)

// What the ceiling is called on the server.
const (
	ceilingType  = "Ceiling"
	ceilingStep  = "CeilingStep"
	ceilingLast  = "CeilingLastStep"
	ceilingWait  = "CeilingWaiting"
	queuePrefix  = "bench-"
	ceilingQueue = queuePrefix + workflows.MainQueue
)

func inCeilingRole() bool { return os.Getenv(roleVariable) == ceilingRole }

// ceilingWorker runs workflows that do nothing, until its standard input ends. Workers, pollers, metrics and encryption
// are as in the product's worker. It writes a line per workflow whose last step runs.
func ceilingWorker(ctx context.Context) error {
	cfg, err := config.Load(config.Command)
	if err != nil {
		return err
	}
	var s script
	content, err := os.ReadFile(os.Getenv(scriptVariable))
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err != nil {
		return fmt.Errorf("read the script: %w", err)
	}
	log := slog.New(slog.DiscardHandler)
	metrics, err := cluster.Metrics(prometheus.NewRegistry(), log)
	if err != nil {
		return err
	}
	c, err := cluster.Dial(ctx, cluster.Options{Ring: cfg.Secrets.Keys.Ring, Metrics: metrics, Logger: log})
	if err != nil {
		return err
	}
	defer c.Close()
	for _, w := range ceilingWorkers(c, cfg, performance{script: s, temporal: c}) {
		if err := w.Start(); err != nil {
			return fmt.Errorf("start to take work: %w", err)
		}
		defer w.Stop()
	}
	fmt.Println(ceilingRole)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// performance is a script being performed.
type performance struct {
	script
	temporal client.Client
}

func ceilingWorkers(c client.Client, cfg config.Config, s performance) []worker.Worker {
	o := worker.Options{
		MaxConcurrentActivityExecutionSize:     20,
		MaxConcurrentWorkflowTaskExecutionSize: cfg.Process.ConcurrentWorkflows,
		MaxConcurrentActivityTaskPollers:       cfg.Process.Pollers,
		MaxConcurrentWorkflowTaskPollers:       cfg.Process.Pollers,
	}
	worker.SetStickyWorkflowCacheSize(cfg.Process.WorkflowCache)
	processes := worker.New(c, ceilingQueue, o)
	processes.RegisterWorkflowWithOptions(s.workflow, workflow.RegisterOptions{Name: ceilingType})
	processes.RegisterWorkflowWithOptions(waiting, workflow.RegisterOptions{Name: ceilingWait})
	workers := []worker.Worker{processes}
	o.DisableWorkflowWorker = true
	seen := map[string]bool{}
	for _, step := range s.Steps {
		if seen[step.Queue] {
			continue
		}
		seen[step.Queue] = true
		w := worker.New(c, queuePrefix+step.Queue, o)
		w.RegisterActivityWithOptions(s.nothing, activity.RegisterOptions{Name: ceilingStep})
		w.RegisterActivityWithOptions(s.last, activity.RegisterOptions{Name: ceilingLast})
		workers = append(workers, w)
	}
	return workers
}

// workflow takes the steps of the script, with the options that the product's steps have.
func (s performance) workflow(ctx workflow.Context, _ workflows.PaymentToOrderInput) (json.RawMessage, error) {
	hints := workflow.GetSignalChannel(ctx, workflows.LookSignal)
	if err := workflow.SetQueryHandler(ctx, workflows.StatusQuery, func() (string, error) { return "", nil }); err != nil {
		return nil, err
	}
	for first := true; first || hints.Len() > 0; first = false {
		for hints.ReceiveAsync(nil) {
			continue
		}
		for i, step := range s.Steps {
			name := ceilingStep
			if i == len(s.Steps)-1 {
				name = ceilingLast
			}
			ctx := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
				TaskQueue: queuePrefix + step.Queue, StartToCloseTimeout: time.Minute, HeartbeatTimeout: 20 * time.Second,
				RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
				Summary:     step.Summary,
			})
			var result json.RawMessage
			if err := workflow.ExecuteActivity(ctx, name, i, step.Input).Get(ctx, &result); err != nil {
				return nil, err
			}
		}
	}
	return s.Result, nil
}

func (s performance) nothing(_ context.Context, i int, _ json.RawMessage) (json.RawMessage, error) {
	return s.Steps[i].Result, nil
}

// last also tells the load that its payment is through, as the write of the final status does in the product, and then
// starts the workflow that waits.
func (s performance) last(ctx context.Context, i int, in json.RawMessage) (json.RawMessage, error) {
	id := activity.GetInfo(ctx).WorkflowExecution.ID
	_, _ = fmt.Println(id)
	if s.Waits {
		_, location, object := parts(id)
		options := beginning(ceilingWait, location, object, "Shipping of HighLevel order "+object)
		options.StartDelay = s.Delay
		hint := workflows.Hint{Source: workflows.FromSweep, Event: activities.FulfillmentOpened, At: time.Now().UTC()}
		if _, err := s.temporal.SignalWithStartWorkflow(ctx, options.ID, workflows.LookSignal, hint, options, ceilingWait,
			workflows.FulfillmentInput{Location: location, OrderID: object}); err != nil {
			return nil, err
		}
	}
	return s.nothing(ctx, i, in)
}

// waiting takes in signals and does nothing about them.
func waiting(ctx workflow.Context, _ workflows.FulfillmentInput) error {
	hints := workflow.GetSignalChannel(ctx, workflows.LookSignal)
	if err := workflow.SetQueryHandler(ctx, workflows.StatusQuery, func() (string, error) { return "", nil }); err != nil {
		return err
	}
	for {
		for hints.ReceiveAsync(nil) {
			continue
		}
		if err := workflow.Await(ctx, func() bool { return hints.Len() > 0 }); err != nil {
			return err
		}
	}
}

// beginning is how the product starts a workflow: with search attributes and a summary.
func beginning(process, location, object, summary string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: process + "/" + location + "/" + object, TaskQueue: ceilingQueue,
		TypedSearchAttributes: temporal.NewSearchAttributes(workflows.LocationAttribute.ValueSet(location),
			workflows.ObjectAttribute.ValueSet(object), workflows.StateAttribute.ValueSet(workflows.StateWorking)),
		StaticSummary: summary,
	}
}

// parts are those of an id that beginning made.
func parts(id string) (process, location, object string) {
	process, rest, _ := strings.Cut(id, "/")
	location, object, _ = strings.Cut(rest, "/")
	return process, location, object
}

// ceiling is the worker that does nothing, seen from the process that measures.
type ceiling struct {
	cmd      *exec.Cmd
	stdin    io.Closer
	temporal client.Client
	location string
	waits    bool // each workflow starts one that waits
	done     arrivals
	serial   atomic.Int64
	ended    chan struct{}
}

// startCeiling learns from a payment what there is to imitate, and starts the worker that does.
func (b *benchmark) startCeiling(ctx context.Context) error {
	if !b.wants(onlyRounds) {
		return nil
	}
	ours := b.ours.stack
	keys, err := os.ReadFile(filepath.Join(ours.Dir, "keys"))
	if err != nil {
		return fmt.Errorf("read the keys: %w", err)
	}
	ring, err := secret.ParseRing(string(keys))
	if err != nil {
		return err
	}
	example, err := b.ours.known().follow(ctx)
	if err != nil {
		return fmt.Errorf("a payment to imitate: %w", err)
	}
	if err := atRest(ctx, ours.Temporal); err != nil {
		return err
	}
	s, err := scriptOf(ctx, ours.Temporal, secret.DataConverter(ring), example)
	if err != nil {
		return err
	}
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	path := filepath.Join(b.dir, "script.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	b.idle = &ceiling{temporal: ours.Temporal, location: ours.Location(), waits: s.Waits, ended: make(chan struct{})}
	b.idle.done.open()
	return b.idle.start([]string{
		roleVariable + "=" + ceilingRole, scriptVariable + "=" + path, "TEMPORAL_ADDRESS=" + ours.TemporalAddress,
		"SECRET_KEYS=" + ring.Reveal(),
	})
}

// start starts the process and returns once it takes work.
func (c *ceiling) start(env []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c.cmd = exec.Command(self) // it ends with its standard input
	c.cmd.Env, c.cmd.Stderr = append(os.Environ(), env...), os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		c.stdin, err = c.cmd.StdinPipe()
	}
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("start the ceiling's worker: %w", err)
	}
	lines := bufio.NewScanner(out)
	ready := lines.Scan() && lines.Text() == ceilingRole
	go func() {
		defer close(c.ended)
		for lines.Scan() {
			c.done.arrived(lines.Text())
		}
	}()
	if !ready {
		c.stop()
		return errors.New("the ceiling's worker did not come up; what it said is above")
	}
	return nil
}

func (c *ceiling) stop() {
	if c.cmd == nil || c.cmd.Process == nil {
		return
	}
	_ = c.stdin.Close()
	<-c.ended
	_ = c.cmd.Wait() // it has nothing to lose
}

func (c *ceiling) processes(server int) map[part][]int {
	return map[part][]int{partWorker: {c.cmd.Process.Pid}, partServer: {server}}
}

// next is a start with a signal, as the product's front door makes it, of a workflow that does nothing.
func (c *ceiling) next() job {
	object := fmt.Sprintf("%024x", c.serial.Add(1))
	options := beginning(ceilingRole, c.location, object, "HighLevel order "+object+" into the books")
	hint := workflows.Hint{
		Source: workflows.FromWebhook, Event: event, EventID: "00000000-0000-4000-8000-" + strconv.Itoa(1e11), At: time.Now().UTC(),
	}
	life := ""
	if c.waits {
		life = beginning(ceilingWait, c.location, object, "").ID
	}
	return job{id: options.ID, life: life, done: c.done.expect(options.ID), send: func(ctx context.Context) error {
		_, err := c.temporal.SignalWithStartWorkflow(ctx, options.ID, workflows.LookSignal, hint, options,
			ceilingType, workflows.PaymentToOrderInput{Location: c.location, OrderID: object})
		return err
	}}
}
