package devserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

const (
	loopback       = "127.0.0.1"
	readyTimeout   = 60 * time.Second
	stopTimeout    = 15 * time.Second
	startAttempts  = 3
	probeInterval  = 25 * time.Millisecond
	keptOutput     = 8 << 10
	portTakenWords = "address already in use"
)

// cliSettings makes the Temporal CLI's server as quick and fair as ours is by default. They are passed only if
// StartOptions.Binary is not our launcher, which has them built in.
var cliSettings = map[string]string{
	"history.transferProcessorMaxPollRPS":          "300",
	"history.timerProcessorMaxPollRPS":             "300",
	"history.transferProcessorUpdateAckInterval":   `"2s"`,
	"history.visibilityProcessorUpdateAckInterval": `"2s"`,
	"matching.numTaskqueueReadPartitions":          "1",
	"matching.numTaskqueueWritePartitions":         "1",
	"matching.enableFairness":                      "true",
	"frontend.enableCancelWorkerPollsOnShutdown":   "true",
	"frontend.enableServerVersionCheck":            "false",
}

// StartOptions says what server to start.
type StartOptions struct {
	// Binary is the path that the function Binary returned.
	Binary string
	// Dir is an existing folder for the database files, which survive Kill and Restart. Empty keeps all state in
	// memory, where it ends with the process.
	Dir string
	// Port and UIPort are ports on 127.0.0.1. 0 takes a free one.
	Port, UIPort int
	// Headless leaves the web UI out.
	Headless bool
	// Namespace is created if it does not exist. Empty means "default", which always exists.
	Namespace string
	// SearchAttributes are created in the namespace if they do not exist.
	SearchAttributes map[string]enumspb.IndexedValueType
	// DynamicConfig overrides server settings: name to JSON value, strings in double quotes.
	DynamicConfig map[string]string
	// CodecEndpoint is the address of the codec server with which the web UI shows encrypted payloads.
	CodecEndpoint string
	// Retention is how long closed workflows are kept, 24 hours if 0. The Temporal CLI has no such setting.
	Retention time.Duration
	// LogFile gets what the server writes, added to what is there. Empty keeps only the end of it, for errors.
	LogFile string
	// LogLevel is debug, info, warn, error or never. Empty means warn.
	LogLevel string
}

// Server is a Temporal server that Start has started. Its methods may be called from several goroutines.
type Server struct {
	// Address is the frontend's host and port, for client.Options.HostPort. It stays the same over Restart.
	Address string
	// UIAddress is the web UI's URL, empty if there is none.
	UIAddress string

	opts         StartOptions
	port, uiPort int

	mu      sync.Mutex
	current *process
}

// process is one run of the server.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	output *lastOutput
	done   chan struct{} // closed once the process has ended and its output is complete
	err    error         // how it ended; read after done
}

// Start starts a server and returns once the namespace can be described. The server belongs to the calling process:
// our launcher also stops if that process is killed.
func Start(ctx context.Context, opts StartOptions) (*Server, error) {
	if opts.Binary == "" {
		return nil, errors.New("StartOptions.Binary is empty; call Binary for it")
	}
	if opts.Namespace == "" {
		opts.Namespace = "default"
	}
	s := &Server{opts: opts}
	for attempt := 1; ; attempt++ {
		if err := s.choosePorts(); err != nil {
			return nil, err
		}
		err := s.launch(ctx)
		if err == nil {
			return s, nil
		}
		// Between choosing a free port and listening on it somebody else may take it.
		canTryOther := (opts.Port == 0 || (opts.UIPort == 0 && !opts.Headless)) && strings.Contains(err.Error(), portTakenWords)
		if !canTryOther || attempt == startAttempts {
			return nil, err
		}
	}
}

// PID is the process id of the server, for measuring it. It changes with Restart.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.cmd.Process.Pid
}

// Done is closed when the server's process has ended, wanted or not. It is another channel after Restart.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.done
}

// Stop ends the server cleanly, which takes about a second. Stopping a stopped server does nothing.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.stop()
}

// Kill ends the server with SIGKILL, as a crash would, and returns when the process is gone.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.kill()
}

// Restart starts the server again on the same addresses and the same files. A running one is stopped first.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.Dir == "" {
		return errors.New("a server in memory has nothing to restart from; give StartOptions.Dir")
	}
	if err := s.current.stop(); err != nil {
		return err
	}
	return s.launch(ctx)
}

// choosePorts takes free ports where none are given, and holds the first until the second is known.
func (s *Server) choosePorts() error {
	s.port, s.uiPort = s.opts.Port, s.opts.UIPort
	wanted := []*int{&s.port}
	if !s.opts.Headless {
		wanted = append(wanted, &s.uiPort)
	}
	for _, port := range wanted {
		if *port != 0 {
			continue
		}
		listener, err := net.Listen("tcp", loopback+":0")
		if err != nil {
			return fmt.Errorf("find a free port for the Temporal server: %w", err)
		}
		defer func() { _ = listener.Close() }()
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	s.Address = net.JoinHostPort(loopback, strconv.Itoa(s.port))
	if !s.opts.Headless {
		s.UIAddress = "http://" + net.JoinHostPort(loopback, strconv.Itoa(s.uiPort))
	}
	return nil
}

// launch starts the process and waits until it can be used.
func (s *Server) launch(ctx context.Context) error {
	cmd := exec.Command(s.opts.Binary, s.arguments()...) //nolint:noctx // the server outlives the call that starts it
	// A group of its own: Ctrl-C on the terminal must reach the worker first, the server when its owner stops it.
	detach(cmd, nil)
	p := &process{cmd: cmd, done: make(chan struct{}), output: &lastOutput{}}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	if s.opts.LogFile != "" {
		file, err := os.OpenFile(s.opts.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("open the log file of the Temporal server: %w", err)
		}
		p.output.file = file
	}
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return fmt.Errorf("connect to the Temporal server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the Temporal server: %w", err)
	}
	go func() {
		p.err = cmd.Wait()
		p.output.close()
		close(p.done)
	}()
	s.current = p
	if err := s.awaitReady(ctx, p); err != nil {
		p.kill()
		return fmt.Errorf("the Temporal server did not become ready: %w\n%s", err, p.output.String())
	}
	return nil
}

// arguments is a command line that our launcher and the Temporal CLI both understand, and what only ours does.
func (s *Server) arguments() []string {
	o := s.opts
	level := o.LogLevel
	if level == "" {
		level = "warn"
	}
	args := []string{
		"server", "start-dev", "--ip", loopback, "--port", strconv.Itoa(s.port),
		"--namespace", o.Namespace, "--log-level", level,
	}
	if o.Headless {
		args = append(args, "--headless")
	} else {
		args = append(args, "--ui-port", strconv.Itoa(s.uiPort))
	}
	if o.CodecEndpoint != "" {
		args = append(args, "--ui-codec-endpoint", o.CodecEndpoint)
	}
	if o.Dir != "" {
		args = append(args, "--db-filename", filepath.Join(o.Dir, "temporal.db"))
	}
	for _, name := range slices.Sorted(maps.Keys(o.SearchAttributes)) {
		args = append(args, "--search-attribute", name+"="+o.SearchAttributes[name].String())
	}
	settings := map[string]string{}
	if strings.TrimSuffix(filepath.Base(o.Binary), ".exe") == binaryName {
		args = append(args, "--stop-with-parent")
		if o.Retention != 0 {
			args = append(args, "--retention", o.Retention.String())
		}
	} else {
		maps.Copy(settings, cliSettings)
	}
	maps.Copy(settings, o.DynamicConfig)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "--dynamic-config-value", name+"="+settings[name])
	}
	return args
}

// awaitReady first waits for the port and then asks through the SDK: a gRPC client that finds nobody listening would
// wait a second and more before its next try.
func (s *Server) awaitReady(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	addresses := []string{s.Address}
	if s.UIAddress != "" {
		addresses = append(addresses, strings.TrimPrefix(s.UIAddress, "http://"))
	}
	for _, address := range addresses {
		if err := p.retry(ctx, func() error {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			if err == nil {
				_ = conn.Close()
			}
			return err
		}); err != nil {
			return err
		}
	}
	temporal, err := client.NewLazyClient(client.Options{
		HostPort: s.Address, Namespace: s.opts.Namespace, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	defer temporal.Close()
	return p.retry(ctx, func() error {
		_, err := temporal.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: s.opts.Namespace})
		return err
	})
}

// retry calls try until it succeeds, the process ends or ctx does.
func (p *process) retry(ctx context.Context, try func() error) error {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("it ended: %w", p.exitError())
		case <-ctx.Done():
			return fmt.Errorf("%w; last answer: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

func (p *process) exitError() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

func (p *process) stop() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	// Our launcher takes either for the order to stop, but not both: once it stops, a signal ends it at once. The closed
	// input is for where there are no signals.
	defer func() { _ = p.stdin.Close() }()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		_ = p.stdin.Close()
	}
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		p.kill()
		return fmt.Errorf("the Temporal server did not stop within %v and was killed", stopTimeout)
	}
	if p.err != nil {
		return fmt.Errorf("the Temporal server did not stop cleanly: %w\n%s", p.err, p.output.String())
	}
	return nil
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// lastOutput passes the server's output on to the log file and keeps its end for error texts.
type lastOutput struct {
	mu   sync.Mutex
	file *os.File
	end  []byte
}

func (o *lastOutput) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end = append(o.end, text...)
	if len(o.end) > keptOutput {
		o.end = append([]byte(nil), o.end[len(o.end)-keptOutput:]...)
	}
	if o.file != nil {
		_, _ = o.file.Write(text) // a full disk must not stop the server
	}
	return len(text), nil
}

func (o *lastOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return tail(o.end, 4000)
}

func (o *lastOutput) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file != nil {
		_ = o.file.Close()
	}
}
