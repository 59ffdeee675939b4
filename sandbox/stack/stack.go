package stack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/workflows"
)

// drain is short, as no load balancer stands before the front door.
const drain = 100 * time.Millisecond

// bringDown bounds what Start does to take back what it has started.
const bringDown = 30 * time.Second

// Stack is everything, running.
type Stack struct {
	// Dir is the folder that holds everything that is written.
	Dir string
	// Server is the Temporal server, nil if one was there already.
	Server *devserver.Server
	// TemporalAddress and Namespace are where the processes work.
	TemporalAddress, Namespace string
	// Temporal is a client with the processes' keys.
	Temporal client.Client
	// GHL and Sage are the vendors.
	GHL  *ghl.Server
	Sage *sage.Server
	// Starter is the process of the front door, Workers are those that do the work.
	Starter *Process
	Workers []*Process
	// FrontDoor is the starter's URL, such as http://127.0.0.1:20817.
	FrontDoor string
	// DatabaseURL is the store's, StorePath its file if it is one.
	DatabaseURL, StorePath string
	// Store is the database that worker and starter use, opened once more.
	Store *store.Store

	opts Options
	ring *secret.Ring
	port int // the front door's
	// delivery signs news of deliveries, hook is the token that Sage's hooks carry.
	delivery, hook string
}

// Start starts everything and returns once webhooks are accepted and workers take work. Whatever it has started is
// stopped again if it fails.
func Start(ctx context.Context, opts Options) (*Stack, error) {
	s := &Stack{opts: opts.withDefaults()}
	for _, step := range []func(context.Context) error{
		s.prepare, s.startVendors, s.startTemporal, s.alone, s.startProcesses, s.awaitReady, s.connect,
	} {
		if err := step(ctx); err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bringDown)
			defer cancel()
			return nil, errors.Join(err, s.Stop(ctx))
		}
	}
	s.GHL.SetWebhookURL(s.FrontDoor)
	return s, nil
}

// Stop stops everything in the order that loses nothing: webhooks, the front door, the workers, the server, the vendors.
// It stops what Start has come to, even if that is only a part, and returns all that did not go well.
func (s *Stack) Stop(ctx context.Context) error {
	var faults []error
	note := func(err error) { faults = append(faults, err) }
	if s.GHL != nil {
		s.GHL.SetWebhookURL("")
	}
	if s.Starter != nil {
		note(s.Starter.Stop(ctx))
	}
	note(s.stopWorkers(ctx))
	if s.opts.Temporal.Address != "" && s.Temporal != nil {
		note(s.leaveServer(ctx))
	}
	if s.Temporal != nil {
		s.Temporal.Close()
	}
	if s.Store != nil {
		note(s.Store.Close())
	}
	if s.Server != nil {
		note(s.Server.Stop())
	}
	if s.GHL != nil {
		s.GHL.Close()
	}
	if s.Sage != nil {
		s.Sage.Close()
	}
	return errors.Join(faults...)
}

// stopWorkers stops them at once: each may need a while for what it has begun.
func (s *Stack) stopWorkers(ctx context.Context) error {
	stopped := make(chan error, len(s.Workers))
	for _, w := range s.Workers {
		go func() { stopped <- w.Stop(ctx) }()
	}
	var faults []error
	for range s.Workers {
		faults = append(faults, <-stopped)
	}
	return errors.Join(faults...)
}

// Processes are the starter and the workers.
func (s *Stack) Processes() []*Process {
	return append([]*Process{s.Starter}, s.Workers...)
}

// Settings are the environment variables, name to value, with which the starter's commands work on this stack. They
// hold its keys.
func (s *Stack) Settings() map[string]string {
	settings := s.settings(filepath.Join(s.Dir, "temporal.toml"))
	maps.Copy(settings, s.opts.Env)
	maps.Copy(settings, s.opts.StarterEnv)
	return settings
}

// DeliverySecret signs what is sent to the front door's /webhooks/delivery.
func (s *Stack) DeliverySecret() string { return s.delivery }

// HookURL is where the front door takes the hooks of Sage. It holds their token.
func (s *Stack) HookURL() string { return s.FrontDoor + "/webhooks/sage/" + s.hook }

// Location is the id of the location that is served.
func (s *Stack) Location() string { return s.GHL.Location() }

// prepare makes the folder, the keys and the programs.
func (s *Stack) prepare(ctx context.Context) error {
	if s.opts.Dir == "" {
		return errors.New("stack: Options.Dir is empty")
	}
	var err error
	if s.Dir, err = filepath.Abs(s.opts.Dir); err != nil {
		return err
	}
	for _, folder := range []string{s.Dir, s.logs()} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("make the state folder: %w", err)
		}
	}
	if s.ring, err = keys(filepath.Join(s.Dir, "keys")); err != nil {
		return err
	}
	s.delivery, s.hook = rand.Text(), rand.Text()
	s.DatabaseURL = s.opts.DatabaseURL
	if s.DatabaseURL == "" {
		s.StorePath = filepath.Join(s.Dir, "tallystick.db")
		s.DatabaseURL = "sqlite:" + s.StorePath
	}
	if s.opts.WorkerBinary != "" && s.opts.StarterBinary != "" {
		return nil
	}
	_, _ = fmt.Fprintln(s.opts.Progress, "building worker and starter")
	worker, starter, err := Build(ctx, filepath.Join(s.Dir, "bin"), s.opts.BuildFlags...)
	if s.opts.WorkerBinary == "" {
		s.opts.WorkerBinary = worker
	}
	if s.opts.StarterBinary == "" {
		s.opts.StarterBinary = starter
	}
	return err
}

func (s *Stack) logs() string { return filepath.Join(s.Dir, "logs") }

// keys reads the key ring that an earlier start has left, or makes one.
func keys(path string) (*secret.Ring, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		ring, err := secret.ParseRing(string(text))
		if err != nil {
			return nil, fmt.Errorf("read the keys in %s: %w", path, err)
		}
		return ring, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	ring, err := secret.GenerateRing()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, []byte(ring.Reveal()), 0o600); err != nil {
		return nil, fmt.Errorf("keep the keys: %w", err)
	}
	return ring, nil
}

func (s *Stack) startVendors(context.Context) error {
	if s.opts.Temporal.Address != "" && s.opts.GHL.LocationID == "" {
		// Others may use that server. A location of our own keeps their workflows and ours apart.
		s.opts.GHL.LocationID = "sandbox" + strconv.FormatInt(time.Now().UnixNano(), 36)
	}
	vendor, tenant := ghl.New(s.opts.GHL), sage.New(s.opts.Sage)
	if err := vendor.Start(); err != nil {
		return err
	}
	s.GHL = vendor
	if err := tenant.Start(); err != nil {
		return err
	}
	s.Sage = tenant
	return nil
}

// startTemporal starts the server, or takes the given one. The front door's port must be known by then, since the web UI
// asks there for what payloads say.
func (s *Stack) startTemporal(ctx context.Context) (err error) {
	t := s.opts.Temporal
	if s.port = s.opts.Port; s.port == 0 {
		if s.port, err = freePort(map[int]bool{t.Port: true, t.UIPort: true}); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", address(s.port))
	if err != nil {
		return fmt.Errorf("the port %d for the front door is taken: %w", s.port, err)
	}
	_ = listener.Close() // the starter is to have it
	s.FrontDoor = "http://" + address(s.port)
	if t.Address != "" {
		target, err := cluster.Options{Address: t.Address, Namespace: t.Namespace}.Target()
		s.TemporalAddress, s.Namespace = target.Address, target.Namespace
		return err
	}
	if t.Binary == "" {
		t.Binary, err = devserver.Binary(ctx, devserver.Options{
			UseTemporalOnPath: t.UseTemporalOnPath, Progress: s.opts.Progress, KeepBuilding: t.KeepBuilding,
		})
		if err != nil {
			return err
		}
	}
	folder := ""
	if t.OnDisk {
		folder = filepath.Join(s.Dir, "temporal")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("make a folder for the Temporal server: %w", err)
		}
	}
	s.Server, err = devserver.Start(ctx, devserver.StartOptions{
		Binary: t.Binary, Dir: folder, Port: t.Port, UIPort: t.UIPort, Headless: t.Headless, Namespace: t.Namespace,
		SearchAttributes: workflows.SearchAttributes(), DynamicConfig: t.DynamicConfig,
		CodecEndpoint: s.FrontDoor + "/codec", LogFile: filepath.Join(s.logs(), "temporal.log"),
	})
	if err != nil {
		return err
	}
	s.TemporalAddress, s.Namespace = s.Server.Address, t.Namespace
	if s.Namespace == "" {
		s.Namespace = client.DefaultNamespace
	}
	return nil
}

// startProcesses starts the starter and the workers, which wait by themselves for what they need.
func (s *Stack) startProcesses(context.Context) error {
	taken := map[int]bool{s.port: true, s.opts.Temporal.Port: true, s.opts.Temporal.UIPort: true}
	configFile := filepath.Join(s.Dir, "temporal.toml")
	if err := os.WriteFile(configFile, nil, 0o600); err != nil {
		return err
	}
	start := func(p *Process, own map[string]string) error {
		port, err := freePort(taken)
		if err != nil {
			return err
		}
		p.LogFile = filepath.Join(s.logs(), p.Name+".log")
		p.MetricsURL = "http://" + address(port) + "/metrics"
		p.env = environment(os.Environ(), s.opts.Temporal.Address != "",
			s.settings(configFile), map[string]string{"METRICS_ADDRESS": address(port)}, s.opts.Env, own)
		return p.start()
	}
	starter := &Process{Name: "starter", binary: s.opts.StarterBinary, args: []string{"serve", "--drain", drain.String()}, ready: s.starterReady}
	if err := start(starter, s.opts.StarterEnv); err != nil {
		return err
	}
	s.Starter = starter
	for i := range s.opts.Workers {
		w := &Process{Name: "worker", binary: s.opts.WorkerBinary, ready: s.workerReady}
		if i > 0 {
			w.Name += "-" + strconv.Itoa(i+1)
		}
		if err := start(w, s.opts.WorkerEnv); err != nil {
			return err
		}
		s.Workers = append(s.Workers, w)
	}
	return nil
}

// connect opens the client and the store for the caller.
func (s *Stack) connect(ctx context.Context) (err error) {
	s.Store, err = store.Open(ctx, s.DatabaseURL, store.WithoutMigrations())
	return err
}

// dial connects to Temporal with the keys of the processes. To our own server it connects without regard to the
// environment, whose profile may be that of another one.
func (s *Stack) dial(ctx context.Context) (client.Client, error) {
	quiet := slog.New(slog.DiscardHandler)
	if s.opts.Temporal.Address != "" {
		return cluster.Dial(ctx, cluster.Options{Address: s.TemporalAddress, Namespace: s.Namespace, Ring: s.ring, Logger: quiet})
	}
	c, err := client.DialContext(ctx, client.Options{
		HostPort: s.TemporalAddress, Namespace: s.Namespace, Logger: sdklog.NewStructuredLogger(quiet),
		DataConverter: secret.DataConverter(s.ring), FailureConverter: secret.FailureConverter(s.ring),
	})
	if err != nil {
		return nil, fmt.Errorf("connect to the Temporal server at %s: %w", s.TemporalAddress, err)
	}
	return c, nil
}
