package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// shownLog is how much of the end of a log an error shows.
const shownLog = 2000

// Process is a worker or a starter as a process of its own. Its methods may be called from several goroutines.
type Process struct {
	// Name is "starter", "worker", or "worker-2" and so on.
	Name string
	// LogFile gets what the process writes, over all its runs.
	LogFile string
	// MetricsURL is where its Prometheus metrics are.
	MetricsURL string

	binary string
	args   []string
	env    []string
	ready  func(context.Context, *Process) error

	mu      sync.Mutex
	current *run
	spent   time.Duration // CPU time of the runs that have ended
}

// run is one life of a process.
type run struct {
	pid   int
	done  chan struct{}    // closed when it has ended
	state *os.ProcessState // read after done
}

// PID is the process id. It changes with Restart.
func (p *Process) PID() int { return p.life().pid }

// Done is closed when the process has ended, wanted or not. It is another channel after Restart.
func (p *Process) Done() <-chan struct{} { return p.life().done }

// ExitCode is how the process ended: what it exited with, -1 if a signal ended it. It is false while it runs.
func (p *Process) ExitCode() (int, bool) {
	r := p.life()
	select {
	case <-r.done:
		return r.state.ExitCode(), true
	default:
		return 0, false
	}
}

// Kill ends the process with SIGKILL, as a crash would, and returns when it is gone.
func (p *Process) Kill() {
	r := p.life()
	r.signal(os.Kill)
	<-r.done
}

// Stop asks the process to stop with SIGTERM and waits until it has. If ctx ends first it is killed, and that is an
// error, as is an exit code other than 0. Stopping a process that was stopped or killed does nothing.
func (p *Process) Stop(ctx context.Context) error {
	r := p.life()
	select {
	case <-r.done:
		return nil
	default:
	}
	r.signal(terminate)
	select {
	case <-r.done:
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s did not stop in time and was killed: %w; its log %s ends:\n%s",
			p.Name, context.Cause(ctx), p.LogFile, logEnd(p.LogFile))
	}
	if !r.state.Success() {
		return fmt.Errorf("%s did not stop cleanly: %s; its log %s ends:\n%s", p.Name, r.state, p.LogFile, logEnd(p.LogFile))
	}
	return nil
}

// Restart kills the process if it runs, starts it again with the same environment and ports, and returns when it can
// take work.
func (p *Process) Restart(ctx context.Context) error {
	p.Kill()
	if err := p.start(); err != nil {
		return err
	}
	return p.ready(ctx, p)
}

// Setenv gives the process an environment variable with its next Restart.
func (p *Process) Setenv(name, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.env = append(p.env, name+"="+value) // the last one counts
}

func (p *Process) life() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

// start starts a run and returns at once.
func (p *Process) start() error {
	log, err := os.OpenFile(p.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of the %s: %w", p.Name, err)
	}
	cmd := exec.Command(p.binary, p.args...) //nolint:noctx // the process outlives the call that starts it
	p.mu.Lock()
	cmd.Env = p.env
	p.mu.Unlock()
	cmd.Stdout, cmd.Stderr = log, log
	bind(cmd)
	r := &run{done: make(chan struct{})}
	begun := make(chan error, 1)
	go func() {
		// On Linux the kernel ends the process with the thread that started it, so the thread must stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer func() { _ = log.Close() }()
		err := cmd.Start()
		if err == nil {
			r.pid = cmd.Process.Pid
		}
		begun <- err
		if err != nil {
			return
		}
		release := leash(cmd)
		_ = cmd.Wait() // how it ended is in the state
		release()
		p.ended(r, cmd.ProcessState)
	}()
	if err := <-begun; err != nil {
		return fmt.Errorf("start the %s: %w", p.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = r
	return nil
}

func (p *Process) ended(r *run, state *os.ProcessState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spent += state.UserTime() + state.SystemTime()
	r.state = state
	close(r.done)
}

// signal reaches the run only while it lives: its id may belong to another process afterwards.
func (r *run) signal(s os.Signal) {
	select {
	case <-r.done:
		return
	default:
	}
	if process, err := os.FindProcess(r.pid); err == nil {
		_ = process.Signal(s)
	}
}

// Failure tells how a process ended that nobody has asked to, with the end of its log; nil while it runs.
func (p *Process) Failure() error {
	r := p.life()
	select {
	case <-r.done:
	default:
		return nil
	}
	return fmt.Errorf("the %s ended: %s; its log %s ends:\n%s", p.Name, r.state, p.LogFile, logEnd(p.LogFile))
}

// Usage is what a process has cost.
type Usage struct {
	// CPU is user and system time, of ended runs too.
	CPU time.Duration
	// Resident is the memory in use now, Peak the most it ever was in this run, both in bytes.
	Resident, Peak int64
}

// ErrNotMeasured says that this operating system shows no other process's usage to us.
var ErrNotMeasured = errors.New("the usage of processes is known on Linux only")

// Usage measures the process. A process that has ended has its CPU time only.
func (p *Process) Usage() (Usage, error) {
	p.mu.Lock()
	r, spent := p.current, p.spent
	p.mu.Unlock()
	select {
	case <-r.done:
		return Usage{CPU: spent}, nil
	default:
	}
	usage, err := UsageOf(r.pid)
	usage.CPU += spent
	return usage, err
}

func logEnd(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-shownLog):])
}

// terminate asks a process to stop.
const terminate = syscall.SIGTERM
