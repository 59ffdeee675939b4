package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/observe"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/delivery"
	"github.com/tallystick/tallystick/starter/oauth"
	"github.com/tallystick/tallystick/starter/sagehook"
	"github.com/tallystick/tallystick/starter/server"
	"github.com/tallystick/tallystick/starter/webhook"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

func serveCommand(a *app) *cobra.Command {
	var drain time.Duration
	c := &cobra.Command{
		Use: "serve", Short: "Take in webhooks, let locations be connected, and keep the schedules of the sweeps", Args: cobra.NoArgs,
		Long: "Take in webhooks, let locations be connected, and keep the schedules of the sweeps, until told to stop.\n\n" +
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
	if err := errors.Join(registry.Register(server.Books{Store: db}), registry.Register(observe.Alerts{Store: db})); err != nil {
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
	directory, err := connections.Open(connections.Options{
		Config: cfg, Store: db, Ring: cfg.Secrets.Keys.Ring, Watch: connections.Watch{Logger: log},
	})
	if err != nil {
		return err
	}
	defer directory.Close()
	if err := adopt(ctx, cfg, directory, db); err != nil {
		return err
	}
	front := &frontDoor{config: cfg, log: log, temporal: temporal, target: target, store: db, directory: directory}
	return front.run(ctx, a.out, registry, drain, metrics.Addr())
}

// adopt readies the store. The environment's location is made a connection here also where only the workers have its
// token, for its webhooks must not be refused until one of them has started.
func adopt(ctx context.Context, cfg config.Config, directory *connections.Directory, db *store.Store) error {
	if err := directory.Adopt(ctx); err != nil {
		return err
	}
	home := cfg.GHL.LocationID
	if home == "" || cfg.GHL.PrivateToken != "" || cfg.GHL.OAuthEnabled() {
		return nil // there is none, it was adopted, or it only says which connection commands are about
	}
	if _, found, err := db.Connection(ctx, home); err != nil || found {
		return err
	}
	_, err := db.SaveConnection(ctx, store.Connection{
		Location: home, Access: store.ByPrivateToken, State: store.Active, Sage: store.SageOfEnvironment,
		Note: "set up by the environment, GHL_LOCATION_ID",
	})
	if errors.Is(err, store.ErrChanged) { // another process was faster
		return nil
	}
	return err
}

// atEnd runs one of the last steps of a process within the shutdown time.
func atEnd(cfg config.Config, err *error, step func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Process.ShutdownTimeout)
	defer cancel()
	*err = errors.Join(*err, step(ctx))
}

// frontDoor is the server with what it depends on.
type frontDoor struct {
	config    config.Config
	log       *slog.Logger
	temporal  client.Client
	target    cluster.Target
	store     *store.Store
	directory *connections.Directory
	// prepared says that search attributes and schedules are there. Before, no process could be started.
	prepared atomic.Bool
}

func (f *frontDoor) run(ctx context.Context, out io.Writer, registry prometheus.Registerer, drain time.Duration, metrics string) error {
	options := webhook.Options{
		Door: workflows.Door{Temporal: f.temporal}, Keys: webhook.Keys(f.config.GHL.WebhookPublicKeys),
		Locations: f.directory, Log: f.log, Registerer: registry,
	}
	pages, installer, err := f.connecting()
	if err != nil {
		return err
	}
	if installer != nil {
		options.Installs = installer
		defer installer.Close() // before the store
	}
	door, err := webhook.New(options)
	if err != nil {
		return err
	}
	doors, err := f.doors(registry)
	if err != nil {
		return err
	}
	s, err := server.Open(ctx, server.Options{
		Listen: string(f.config.HTTP.Listen), Webhooks: door, Doors: doors, OAuth: pages, Codec: f.codec(), Probes: f.probes(),
		Drain: drain, Grace: f.config.Process.ShutdownTimeout, Log: f.log,
	})
	if err != nil {
		return err
	}
	connected, err := f.directory.Locations(ctx)
	if err != nil {
		return err
	}
	f.banner(out, s.Addr(), metrics, connected)
	preparing, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.prepare(preparing)
	}()
	defer func() { stop(); <-done }() // the client is closed after this
	return s.Run(ctx)
}

// doors are those by which others than HighLevel tell of shipping, as far as they are set up.
func (f *frontDoor) doors(registry prometheus.Registerer) ([]server.Door, error) {
	var doors []server.Door
	shipping, look := f.config.Shipping, workflows.Door{Temporal: f.temporal}
	if shipping.DeliverySecret != "" {
		door, err := delivery.New(delivery.Options{
			Secret: shipping.DeliverySecret, Door: look, Books: f.store, Locations: f.directory, Log: f.log, Registerer: registry,
		})
		if err != nil {
			return nil, err
		}
		doors = append(doors, door)
	}
	if shipping.HookToken != "" {
		door, err := sagehook.New(sagehook.Options{
			Token: shipping.HookToken, Door: look, Books: f.store, Locations: f.directory, Fields: f.fulfillmentFields,
			Log: f.log, Registerer: registry,
		})
		if err != nil {
			return nil, err
		}
		doors = append(doors, door)
	}
	return doors, nil
}

// fulfillmentFields are the names of the extra fields for shipping in the tenant of a location.
func (f *frontDoor) fulfillmentFields(ctx context.Context, location string) (state, trackings string, err error) {
	_, settings, err := f.directory.Sage(ctx, location)
	if err != nil {
		return "", "", err
	}
	state, trackings = settings.FulfillmentFields()
	return state, trackings, nil
}

// connecting are the pages by which locations are connected, and what acts on them and on installations that HighLevel
// tells of. Both are nil where no app of HighLevel's marketplace is set up.
func (f *frontDoor) connecting() (http.Handler, *connections.Installer, error) {
	if !f.config.GHL.OAuthEnabled() {
		return nil, nil, nil
	}
	installer := connections.NewInstaller(connections.InstallerOptions{
		Config: f.config, Store: f.store, Ring: f.config.Secrets.Keys.Ring, OAuth: f.directory.OAuth(), Look: f.look, Log: f.log,
	})
	pages, err := oauth.New(oauth.Options{Config: f.config, OAuth: f.directory.OAuth(), Installer: installer, Log: f.log})
	return pages, installer, err
}

// look has the process of a connection follow it.
func (f *frontDoor) look(ctx context.Context, location string) error {
	hint := workflows.Hint{Source: workflows.FromOperator, Event: "connect", At: time.Now().UTC()}
	return workflows.Door{Temporal: f.temporal}.LookAtConnection(ctx, location, hint)
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
	// Those that work now; one that is connected later gets its schedules from the process of its connection.
	locations, err := f.directory.Locations(ctx)
	if err != nil {
		return nil, err
	}
	wanted := schedules.Wanted(intervals(f.config), locations...)
	changes, err := schedules.Apply(ctx, f.temporal.ScheduleClient(), wanted, schedules.ApplyOptions{})
	if err != nil {
		return changes, err
	}
	return changes, f.lookAgain(ctx, locations)
}

// lookAgain has the processes of those connections follow them once more that stopped working while schedules were made:
// one that has left may have lost its schedules before they were made anew, and would be swept for ever.
func (f *frontDoor) lookAgain(ctx context.Context, worked []string) error {
	working, err := f.directory.Locations(ctx)
	if err != nil {
		return err
	}
	for _, location := range worked {
		if slices.Contains(working, location) {
			continue
		}
		if err := f.look(ctx, location); err != nil {
			return err
		}
	}
	return nil
}

// prepareServer makes the search attributes that a namespace lacks.
func prepareServer(ctx context.Context, temporal client.Client, namespace string) error {
	if err := cluster.CheckNamespace(ctx, temporal, namespace); err != nil {
		return err
	}
	return cluster.EnsureSearchAttributes(ctx, temporal, namespace, workflows.SearchAttributes())
}

// given chooses what to say of something that may be set up or not.
func given(set bool, where, otherwise string) string {
	if set {
		return where
	}
	return otherwise
}

// banner says where everything is.
func (f *frontDoor) banner(out io.Writer, address, metrics string, connected []string) {
	if metrics != "" {
		metrics = "http://" + metrics + "/metrics"
	} else {
		metrics = "off"
	}
	payloads := "off: set ADMIN_TOKEN"
	if f.config.AdminOverHTTP() {
		payloads = "http://" + address + "/codec"
	}
	connect := "off: set GHL_CLIENT_ID, or use `starter connect add`"
	if f.config.GHL.OAuthEnabled() {
		connect = "`starter connect` prints a link to " + strings.TrimSuffix(f.config.OAuthRedirect(), oauth.CallbackPath) + oauth.ConnectPath
	}
	locations := fmt.Sprintf("%d: `starter connect list`", len(connected))
	if len(connected) == 1 {
		locations = connected[0]
	}
	_ = (&format{name: "table"}).print(out, nil, func(w io.Writer) {
		row(w, "Tallystick starter", version())
		row(w, "webhooks", "http://"+address+"/webhooks/ghl/{Event}")
		row(w, "deliveries", given(f.config.Shipping.DeliverySecret != "", "http://"+address+delivery.Path, "off: set DELIVERY_WEBHOOK_SECRET"))
		// The token is not shown: what a process prints is kept by more than one.
		row(w, "Sage hooks", given(f.config.Shipping.HookToken != "", "http://"+address+sagehook.Path+"…", "off: set SAGE_HOOK_TOKEN"))
		row(w, "connecting", connect)
		row(w, "readiness", "http://"+address+"/readyz")
		row(w, "metrics", metrics)
		row(w, "payload codec", payloads)
		row(w, "Temporal", f.target.Address+", namespace "+f.target.Namespace)
		row(w, "database", f.config.Store.DatabaseURL)
		row(w, "connected locations", locations)
		row(w, "sweeps", fmt.Sprintf("every %s, for late refunds every %s, for shipments every %s",
			f.config.Sync.Interval, f.config.Sync.DeepInterval, f.config.Sync.Fulfillments))
	})
}
