// Package connections knows the connected locations: how each is reached at HighLevel, which Sage tenant its orders go
// to, how that tenant is set up, and whether work may be done for it now. Worker and starter ask it; it is the only
// place where configuration and stored credentials become clients.
//
// A connection is a row of the store. It is read on each call, so that what an operator changes acts at once, in every
// process. The environment's own location is the first connection: its token and settings stay in the environment, its
// state is in the store like that of any other. Access and refresh tokens are kept by the vault (vault.go), in which one
// process at a time renews a token, however many ask.
//
// The package starts no workflow and no schedule. Whoever changes a row raises its version, and the process of that
// connection follows it.
package connections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/trace"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
)

// Watch is how calls to vendors are seen from outside; each may be nil.
type Watch struct {
	Logger  *slog.Logger
	Metrics *transport.Metrics
	Tracer  trace.Tracer
}

// Options are what a Directory is made of.
type Options struct {
	Config config.Config
	// Store holds the connections. Without one there is the environment's location and no other, and no state.
	Store *store.Store
	// Ring opens what the store keeps sealed. It may be nil only if Store is.
	Ring  *secret.Ring
	Watch Watch
	// Regardless hands out clients of connections that may not work now as well: for a preflight, which looks and does
	// not work.
	Regardless bool
}

// Directory gives the clients of each connected location. It is safe for concurrent use.
type Directory struct {
	config     config.Config
	store      *store.Store
	ring       *secret.Ring
	watch      Watch
	regardless bool
	// oauth is nil without an app of the marketplace.
	oauth *ghl.OAuth
	vault *vault

	// Clients of one host share connections.
	toGHL, toSage http.RoundTripper

	mu      sync.Mutex
	places  map[string]*place
	tenants map[tenantID]*tenant
	// rank of count processes that share the limits.
	rank, count int
}

// Open makes a directory. It reads and sends nothing yet.
func Open(o Options) (*Directory, error) {
	if o.Store != nil && o.Ring == nil {
		return nil, errors.New("the store keeps tokens sealed, and there are no keys: set SECRET_KEYS")
	}
	if o.Watch.Logger == nil {
		o.Watch.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Directory{
		config: o.Config, store: o.Store, ring: o.Ring, watch: o.Watch, regardless: o.Regardless,
		toGHL: transport.NewPool(), toSage: transport.NewPool(),
		places: map[string]*place{}, tenants: map[tenantID]*tenant{}, count: 1,
	}
	if o.Config.GHL.OAuthEnabled() {
		var err error
		if d.oauth, err = newOAuth(o.Config, o.Watch); err != nil {
			return nil, fmt.Errorf("set up HighLevel's app: %w", err)
		}
	}
	d.vault = newVault(d.store, d.ring, d.oauth, d.watch.Logger)
	// What is wrong with the environment's own settings is told at the start, not with the first order.
	if c, ours := d.environment(); ours {
		if _, err := d.highLevel(c); err != nil {
			return nil, fmt.Errorf("set up HighLevel: %w", err)
		}
		if o.Config.Sage.PublicKey == "" {
			return d, nil
		}
		if _, _, err := d.tenantOf(c); err != nil {
			return nil, fmt.Errorf("set up Sage: %w", err)
		}
	}
	return d, nil
}

// OAuth is the client of HighLevel's token endpoints, nil where no app is set up (GHL_CLIENT_ID).
func (d *Directory) OAuth() *ghl.OAuth { return d.oauth }

// Close waits for renewals of tokens that are under way. Call it before the store is closed: a pair that HighLevel has
// given out already, but that is not stored, costs the connection.
func (d *Directory) Close() { d.vault.wait() }

// environment is the location of GHL_LOCATION_ID as a connection that the store does not have yet.
func (d *Directory) environment() (store.Connection, bool) {
	if d.config.GHL.LocationID == "" || d.config.GHL.PrivateToken == "" {
		return store.Connection{}, false
	}
	return store.Connection{
		Location: d.config.GHL.LocationID, Access: store.ByPrivateToken, State: store.Active, Sage: store.SageOfEnvironment,
		Note: "set up by the environment, GHL_LOCATION_ID",
	}, true
}

// Adopt readies the store for this process, which worker and `starter serve` do at their start: it stops a process that
// could not open what the store holds, records the key that seals from now on, and makes the environment's location a
// connection if it is none. A connection that exists stays as it is, paused or removed ones too.
func (d *Directory) Adopt(ctx context.Context) error {
	if err := d.checkKeys(ctx); err != nil {
		return err
	}
	if err := d.store.UseKey(ctx, d.ring.CurrentID(), d.ring.Check(d.ring.CurrentID())); err != nil {
		return err //nolint:wrapcheck // it names the key and says what to do
	}
	c, ours := d.environment()
	if !ours {
		return nil
	}
	if _, found, err := d.store.Connection(ctx, c.Location); err != nil || found {
		return err //nolint:wrapcheck // it says what could not be read
	}
	if _, err := d.store.SaveConnection(ctx, c); err != nil && !errors.Is(err, store.ErrChanged) {
		return err //nolint:wrapcheck // it says what could not be written; ErrChanged: another process was faster
	}
	return nil
}

// checkKeys compares the ring with what the store knows of keys.
func (d *Directory) checkKeys(ctx context.Context) error {
	known, err := d.store.SealingKeys(ctx)
	if err != nil {
		return err //nolint:wrapcheck // it says what could not be read
	}
	ids := d.ring.IDs()
	for _, key := range known {
		if slices.Contains(ids, key.ID) && d.ring.Check(key.ID) != key.Check {
			return fmt.Errorf("the key %s of SECRET_KEYS is not the one that sealed here: %w", key.ID, store.ErrKeyDiffers)
		}
	}
	sealed, err := d.store.SealedByKey(ctx)
	if err != nil {
		return err //nolint:wrapcheck // it says what could not be read
	}
	var lacking []string
	for id, n := range sealed {
		if n > 0 && !slices.Contains(ids, id) {
			lacking = append(lacking, fmt.Sprintf("%s (%d)", id, n))
		}
	}
	if len(lacking) > 0 {
		slices.Sort(lacking)
		return fmt.Errorf("the store holds values that no key of SECRET_KEYS opens; lacking with their number of values: %s: %w",
			strings.Join(lacking, ", "), secret.ErrUnknownKey)
	}
	return nil
}

// Locations are the locations that work is done for now.
func (d *Directory) Locations(ctx context.Context) ([]string, error) {
	if d.store == nil {
		c, ours := d.environment()
		if !ours {
			return nil, nil
		}
		return []string{c.Location}, nil
	}
	return d.inState(ctx, store.Active, 0)
}

// inState lists the locations of connections in a state, all of them or the first few.
func (d *Directory) inState(ctx context.Context, state store.ConnectionState, few int) ([]string, error) {
	var locations []string
	filter := store.ConnectionFilter{State: state, Page: store.Page{Limit: few}}
	for {
		found, next, err := d.store.Connections(ctx, filter)
		if err != nil {
			return nil, err //nolint:wrapcheck // it says what could not be listed
		}
		for _, c := range found {
			locations = append(locations, c.Location)
		}
		if next == "" || few > 0 {
			return locations, nil
		}
		filter.After = next
	}
}

// Connected tells whether events of a location are taken in: it works, or waits for its credentials. What happens at a
// location that is paused, or not told to work yet, is found by the sweep once it works.
func (d *Directory) Connected(ctx context.Context, location string) (bool, error) {
	c, found, err := d.read(ctx, location)
	return found && takesEvents(c.State), err
}

func takesEvents(s store.ConnectionState) bool { return s == store.Active || s == store.Reconnect }

// Only returns the location that takes in events when there is exactly one.
func (d *Directory) Only(ctx context.Context) (string, bool, error) {
	if d.store == nil {
		c, ours := d.environment()
		return c.Location, ours, nil
	}
	var all []string
	for _, state := range []store.ConnectionState{store.Active, store.Reconnect} {
		some, err := d.inState(ctx, state, 2)
		if err != nil {
			return "", false, err
		}
		all = append(all, some...)
	}
	if len(all) != 1 {
		return "", false, nil
	}
	return all[0], true, nil
}

// Fulfillment says how the shipping of a location's orders is followed, by its own settings or the environment's.
func (d *Directory) Fulfillment(ctx context.Context, location string) (activities.FulfillmentSettings, error) {
	c, err := d.usable(ctx, location)
	if err != nil {
		return activities.FulfillmentSettings{}, err
	}
	own, err := d.settingsOf(c)
	if err != nil {
		return activities.FulfillmentSettings{}, err
	}
	chosen := d.config.Shipping
	if own.Shipping != nil {
		chosen = *own.Shipping
	}
	return activities.FulfillmentSettings{
		On: chosen.On,
		Rules: domain.FulfillmentRules{
			WithoutTracking:     domain.FulfillmentState(chosen.WithoutTracking),
			PostWithoutTracking: chosen.PostWithoutTracking,
			DeliverDigital:      chosen.Digital == config.DeliverDigital,
		},
		NotifyCustomer: chosen.NotifyCustomer, Settle: chosen.Settle, CancelledStatuses: chosen.Cancelled,
		Activities: chosen.Activities, ActivityType: chosen.ActivityType, Tasks: chosen.Tasks, TaskType: chosen.TaskType,
		Verify: string(chosen.Verify), VerifyEvery: d.config.Sync.FulfillmentVerify, Window: d.config.Sync.FulfillmentWindow,
	}, nil
}

// Revenue says where the reports of a location's revenue are put in Sage, by its own settings or the environment's.
func (d *Directory) Revenue(ctx context.Context, location string) (activities.RevenueSettings, error) {
	_, settings, err := d.Sage(ctx, location)
	return settings.Books.Revenue, err
}

// OnlyTest tells whether orders of HighLevel's test mode are brought in for a location, and nothing else (TEST_ORDERS).
func (d *Directory) OnlyTest(ctx context.Context, location string) (bool, error) {
	c, err := d.usable(ctx, location)
	if err != nil {
		return false, err
	}
	orders, err := d.ordersOf(c)
	return orders.TestOrders == config.OnlyTestOrders, err
}

// read is the connection of a location as it is now. The environment's location is one before it is adopted as well.
func (d *Directory) read(ctx context.Context, location string) (store.Connection, bool, error) {
	if d.store != nil {
		c, found, err := d.store.Connection(ctx, location)
		if err != nil || found {
			return c, found, err //nolint:wrapcheck // it says what could not be read
		}
	}
	if c, ours := d.environment(); ours && c.Location == location {
		return c, true, nil
	}
	return store.Connection{}, false, nil
}

// usable is the connection of a location for which work may be done, or the fault that says why none may.
func (d *Directory) usable(ctx context.Context, location string) (store.Connection, error) {
	c, found, err := d.read(ctx, location)
	switch {
	case err != nil:
		return c, err
	case !found:
		return c, notConnected(location)
	case d.regardless && c.State != store.Retired && c.State != store.Leaving:
		return c, nil
	}
	if why := faultOfState(c); why != nil {
		return c, why
	}
	return c, nil
}

// faultOfState says why nothing may be done for a connection, or nil.
func faultOfState(c store.Connection) *activities.Fault {
	switch c.State {
	case store.Active:
		return nil
	case store.Paused:
		return fault(activities.Paused, "location %s is paused%s; `starter connect resume` lets it go on", c.Location, because(c))
	case store.Reconnect:
		return reconnect(c)
	case store.Pending:
		return fault(activities.Mapping, "location %s is connected, but not told to work yet%s; `starter connect show` says what it lacks",
			c.Location, because(c))
	default:
		return notConnected(c.Location)
	}
}

func reconnect(c store.Connection) *activities.Fault {
	if c.Note == activities.NoteAsleep {
		return fault(activities.Reconnect, "location %s: %s; its work waits", c.Location, c.Note)
	}
	return fault(activities.Reconnect, "location %s must be connected again%s; use `starter connect`, its work waits", c.Location, because(c))
}

func because(c store.Connection) string {
	if c.Note == "" {
		return ""
	}
	return " (" + c.Note + ")"
}

func notConnected(location string) *activities.Fault {
	return fault(activities.Mapping, "location %s is not connected here; `starter connect list` shows those that are", location)
}

func fault(kind activities.Kind, format string, args ...any) *activities.Fault {
	return &activities.Fault{Kind: kind, Words: fmt.Sprintf(format, args...)}
}
