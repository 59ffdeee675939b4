package connections

import (
	"context"
	"time"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
)

const (
	// callTimeout bounds one call to a vendor. A claim on a record that is being made outlasts it.
	callTimeout = 20 * time.Second
	// maxWait is how long a call waits for its turn in place. Beyond it the step goes back to Temporal, so that the calls
	// of a flooded location do not occupy the worker.
	maxWait = 5 * time.Second
	// breakAfter calls in a row without an answer that can be used, nothing is sent for breakFor.
	breakAfter = 5
	breakFor   = 10 * time.Second
)

// place is what is kept of a location between two calls.
type place struct {
	// limiter outlives the clients: settings that change do not renew the allowance.
	limiter ghl.Limiter
	// opened are the settings that opened from sealed, the text of which changes with each sealing.
	sealed string
	opened config.Settings

	client *ghl.Client
	parts  ghlParts
}

// ghlParts are what a client of a location is made of: others make another client.
type ghlParts struct {
	access         store.Access
	company, token string
	maxInFlight    int
}

// tenantID tells Sage tenants apart, as far as can be known here: the user of a key belongs to one tenant.
type tenantID struct{ baseURL, publicKey string }

// tenant is a Sage tenant. All connections to it share its limit and, with the same keys, its client with the session.
type tenant struct {
	// rates are those that the connections ask for, by location; the slowest holds for all.
	rates   map[string]float64
	rate    float64
	limiter transport.Limiter
	clients map[sageParts]*sage.Client
}

// sageParts are what a client of a tenant is made of.
type sageParts struct {
	privateKey string
	// location is empty but in READ_ONLY mode, where each location has a client of its own to tell whose write it was.
	location    string
	maxInFlight int
}

// GHL is the HighLevel client of a location. Its errors are a *activities.Fault where no work may be done for it now.
func (d *Directory) GHL(ctx context.Context, location string) (*ghl.Client, error) {
	c, err := d.usable(ctx, location)
	if err != nil {
		d.forget(c, location)
		return nil, err
	}
	return d.highLevel(c)
}

// Sage is the client of the tenant that belongs to a location, and how that tenant is set up. Its errors are a
// *activities.Fault where no work may be done for the location now.
func (d *Directory) Sage(ctx context.Context, location string) (*sage.Client, activities.SageSettings, error) {
	c, err := d.usable(ctx, location)
	if err != nil {
		d.forget(c, location)
		return nil, activities.SageSettings{}, err
	}
	return d.tenantOf(c)
}

// Share says that count processes draw on the limits of all locations and tenants, and that this one has the given rank
// among them, from 0. It holds for clients that are made later, too.
func (d *Directory) Share(rank, count int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rank, d.count = rank, count
	for _, p := range d.places {
		d.share(p.limiter)
	}
	for _, t := range d.tenants {
		d.share(t.limiter)
	}
}

// SageRate is how many calls a second may go to the tenant of the connection that may make the most. Settings that cannot
// be opened count for nothing: no call is made with them.
func (d *Directory) SageRate(ctx context.Context) (float64, error) {
	most := d.config.Sage.RequestsPerSecond
	if d.store == nil {
		return most, nil
	}
	filter := store.ConnectionFilter{State: store.Active}
	for {
		found, next, err := d.store.Connections(ctx, filter)
		if err != nil {
			return 0, err //nolint:wrapcheck // it says what could not be listed
		}
		for _, c := range found {
			if c.Sage != store.SageOfItsOwn {
				continue
			}
			if own, err := OpenSettings(d.ring, c.Location, c.Settings); err == nil {
				most = max(most, own.Sage.RequestsPerSecond)
			}
		}
		if next == "" {
			return most, nil
		}
		filter.After = next
	}
}

func (d *Directory) share(limiter transport.Limiter) {
	if sharer, ok := limiter.(transport.Sharer); ok {
		sharer.Share(d.rank, d.count)
	}
}

// forget drops what is kept of a location that left.
func (d *Directory) forget(c store.Connection, location string) {
	if c.State != "" && c.State != store.Retired && c.State != store.Leaving {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.places, location)
	for _, t := range d.tenants {
		delete(t.rates, location)
	}
}

// place is what is kept of a location. The caller holds the lock.
func (d *Directory) place(location string) *place {
	p := d.places[location]
	if p == nil {
		p = &place{limiter: ghl.NewLimiterAt(d.config.GHL.RequestsPer10Seconds, maxWait)}
		d.share(p.limiter)
		d.places[location] = p
	}
	return p
}

// settingsOf are the settings that a connection has of its own, zero if none.
func (d *Directory) settingsOf(c store.Connection) (config.Settings, error) {
	if c.Settings.IsZero() {
		return config.Settings{}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.place(c.Location)
	if p.sealed == c.Settings.Text {
		return p.opened, nil
	}
	opened, err := OpenSettings(d.ring, c.Location, c.Settings)
	if err != nil { // a person must mend it, and then everything goes on
		return opened, &activities.Fault{Kind: activities.Mapping, Err: err}
	}
	p.sealed, p.opened = c.Settings.Text, opened
	return opened, nil
}

// ordersOf says how the orders of a connection are treated: as its own settings say, if it has any.
func (d *Directory) ordersOf(c store.Connection) (config.Orders, error) {
	own, err := d.settingsOf(c)
	if err != nil || c.Settings.IsZero() {
		return d.config.Orders, err
	}
	return own.Orders, nil
}

func (d *Directory) highLevel(c store.Connection) (*ghl.Client, error) {
	own, err := d.settingsOf(c)
	if err != nil {
		return nil, err
	}
	parts := ghlParts{access: c.Access, company: c.Company}
	if c.Access == store.ByPrivateToken {
		if parts.token = d.privateToken(c, own); parts.token == "" {
			return nil, fault(activities.Mapping,
				"location %s has no private integration token; set GHL_PRIVATE_TOKEN with `starter connect set`", c.Location)
		}
	} else if d.oauth == nil {
		return nil, fault(activities.Mapping,
			"location %s was connected by an app of HighLevel's marketplace; set GHL_CLIENT_ID and GHL_CLIENT_SECRET", c.Location)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.place(c.Location)
	parts.maxInFlight = bulkhead(len(d.places), d.config.Process.ConcurrentGHL)
	if p.client != nil && p.parts == parts {
		return p.client, nil
	}
	client, err := ghl.New(ghl.Options{
		BaseURL: string(d.config.GHL.BaseURL), LocationID: c.Location, Credentials: d.credentials(c, parts.token),
		Limiter: p.limiter, Timeout: callTimeout, MaxInFlight: parts.maxInFlight, BreakAfter: breakAfter, BreakFor: breakFor,
		Logger: d.watch.Logger, Metrics: d.watch.Metrics, Tracer: d.watch.Tracer,
		ReadOnly: d.config.Orders.ReadOnly, Planned: d.planner(c.Location), Transport: d.toGHL,
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what is wrong with the options
	}
	p.client, p.parts = client, parts
	return client, nil
}

// privateToken is the connection's own token, or the environment's for the environment's location.
func (d *Directory) privateToken(c store.Connection, own config.Settings) string {
	if token := own.GHL.PrivateToken.Reveal(); token != "" {
		return token
	}
	if c.Location == d.config.GHL.LocationID {
		return d.config.GHL.PrivateToken.Reveal()
	}
	return ""
}

func (d *Directory) credentials(c store.Connection, private string) ghl.Credentials {
	if c.Access == store.ByPrivateToken {
		return ghl.StaticToken(private)
	}
	return d.vault.ofLocation(c.Location)
}

// tenantOf is the client of a connection's tenant.
func (d *Directory) tenantOf(c store.Connection) (*sage.Client, activities.SageSettings, error) {
	var none activities.SageSettings
	orders, err := d.ordersOf(c)
	if err != nil {
		return nil, none, err
	}
	own, err := d.settingsOf(c)
	if err != nil {
		return nil, none, err
	}
	chosen := own.Sage
	switch c.Sage {
	case store.SageOfEnvironment:
		chosen = d.config.Sage
	case store.SageUndecided:
		return nil, none, fault(activities.Mapping,
			"location %s has no Sage tenant yet; name one with `starter connect set`, by --env-file or by --sage environment", c.Location)
	}
	if chosen.PublicKey == "" || chosen.PrivateKey == "" {
		return nil, none, fault(activities.Mapping,
			"location %s has no keys of its Sage tenant; set SAGE_PUBLIC_KEY and SAGE_PRIVATE_KEY (Sage: %s)", c.Location, c.Sage)
	}
	settings, err := sageSettings(chosen, orders)
	if err != nil {
		return nil, none, err
	}
	books := d.config.Books
	if own.Books != nil {
		books = *own.Books
	}
	settings.Books = booksSettings(books)
	if own.Books == nil && c.Sage != store.SageOfEnvironment {
		settings.Books.Revenue = activities.RevenueSettings{} // the environment's account is one of another tenant
	}
	client, err := d.sageClient(c.Location, chosen)
	return client, settings, err
}

func (d *Directory) sageClient(location string, chosen config.Sage) (*sage.Client, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tenant(location, chosen)
	parts := sageParts{
		privateKey: chosen.PrivateKey.Reveal(), maxInFlight: bulkhead(len(d.tenants), d.config.Process.ConcurrentSage),
	}
	if d.config.Orders.ReadOnly {
		parts.location = location
	}
	if client := t.clients[parts]; client != nil {
		return client, nil
	}
	client, err := sage.New(sage.Options{
		BaseURL: string(chosen.BaseURL), PublicKey: chosen.PublicKey.Reveal(), PrivateKey: parts.privateKey,
		Limiter: t.limiter, Timeout: callTimeout, MaxInFlight: parts.maxInFlight, BreakAfter: breakAfter, BreakFor: breakFor,
		Logger: d.watch.Logger, Metrics: d.watch.Metrics, Tracer: d.watch.Tracer,
		ReadOnly: d.config.Orders.ReadOnly, Planned: d.planner(location), Base: d.toSage,
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what is wrong with the options
	}
	t.clients[parts] = client
	return client, nil
}

// tenant is the tenant of a connection, with the limit that the connection asks for or a lower one of another. The
// caller holds the lock.
func (d *Directory) tenant(location string, chosen config.Sage) *tenant {
	id := tenantID{string(chosen.BaseURL), chosen.PublicKey.Reveal()}
	t := d.tenants[id]
	if t == nil {
		t = &tenant{rates: map[string]float64{}}
		d.tenants[id] = t
	}
	t.rates[location] = chosen.RequestsPerSecond
	slowest := chosen.RequestsPerSecond
	for _, rate := range t.rates {
		slowest = min(slowest, rate)
	}
	if t.limiter == nil || t.rate != slowest {
		t.rate, t.limiter = slowest, sage.NewLimiter(slowest, maxWait)
		t.clients = map[sageParts]*sage.Client{}
		d.share(t.limiter)
	}
	return t
}

// bulkhead is how many calls of one location or tenant may be under way at once: half of what the process takes on, so
// that one that hangs leaves room for the others. The only one has all.
func bulkhead(known, concurrent int) int {
	if known < 2 {
		return 0
	}
	return max(concurrent/2, 1)
}
