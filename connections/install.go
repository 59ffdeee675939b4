package connections

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
)

// InstallerOptions are what an Installer is made of.
type InstallerOptions struct {
	Config config.Config
	Store  *store.Store
	Ring   *secret.Ring
	// OAuth is the client of HighLevel's token endpoints; nil where no app is set up.
	OAuth *ghl.OAuth
	// Look hands a hint to the process that makes schedules and all else follow a connection. Its failure is only logged,
	// for a watcher finds what was not followed. nil leaves it to the watcher.
	Look func(ctx context.Context, location string) error
	// Log says what was connected and what was refused; nil says nothing.
	Log *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Actor is who stands in the audit trail for what a method is not told: a person's login or the name of a process. Empty
	// is "starter".
	Actor string
}

// Installer makes, changes and ends connections: for the pages of the front door, for INSTALL and UNINSTALL events and
// for the operator's commands. It only changes the store; the process of the connection makes all else follow. Every
// change is in the audit trail, and is made again on what somebody else wrote in between. It is safe for concurrent use.
//
// A new connection works at once if it is decided which Sage tenant its orders go to: it has settings of its own, or the
// environment's tenant is used by no other connection. Otherwise it is pending, with a note that says what to do.
type Installer struct {
	InstallerOptions
	vault *vault
	// quiet is until when no hints are given, as Unix nanoseconds.
	quiet atomic.Int64
}

// NewInstaller makes an Installer. It reads and sends nothing.
func NewInstaller(o InstallerOptions) *Installer {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Actor = cmp.Or(o.Actor, "starter")
	return &Installer{InstallerOptions: o, vault: newVault(o.Store, o.Ring, o.OAuth, o.Log)}
}

// Close waits for renewals of agencies' tokens that are under way. Call it before the store is closed.
func (i *Installer) Close() { i.vault.wait() }

// Who stands in the audit trail for what came from outside.
const (
	byBrowser = "a browser with the link of starter connect"
	byWebhook = "HighLevel"
)

// Notes of pending connections. They say what to do.
const (
	noteNoSage = "which Sage tenant its orders go to is not decided: starter connect set, with --env-file or --sage environment"
	noteChoose = "installed by its agency and not chosen yet: starter connect choose"
	noteClaim  = "it is being looked whether the environment's Sage tenant is free; if this stays so, starter connect resume"
	// The front door need not have the keys of the tenant that the workers have, and then cannot give it to anyone.
	noteNoKeys = "which Sage tenant its orders go to is not decided, and the process that connected it has no SAGE_PUBLIC_KEY and " +
		"SAGE_PRIVATE_KEY to go by: starter connect set, with --env-file, or with --sage environment if the workers have them"
)

// Connected is what a code has brought.
type Connected struct {
	// Company is HighLevel's id of the agency; a location's grant may leave it out.
	Company string
	// Connections is the location that was connected. An agency's grant connects none by itself, but lets those go on that
	// waited for it: there it holds all of Installed as they are now, pending ones too.
	Connections []store.Connection
	// Installed are all locations for which an agency has installed the app, to choose from; nil for a location's grant.
	Installed []ghl.InstalledLocation
}

// Connect exchanges the code that HighLevel's page sent the user back with. The location, or the agency, is the one that
// HighLevel names with the grant: nothing that came through the browser says which. The grant is kept before anything
// else is done; doing it again with a new code mends whatever a crash left half done.
//
// The error is ErrNoApp, ErrApp, ErrCode, ErrCodeLost, ErrGrant or ErrNoList, or that of the store; with ErrNoList,
// Connected holds the agency.
func (i *Installer) Connect(ctx context.Context, code string) (Connected, error) {
	if i.OAuth == nil {
		return Connected{}, ErrNoApp
	}
	// Without a user type HighLevel gives what was installed, which only its answer tells (A99).
	grant, err := i.OAuth.Exchange(ctx, code, "")
	if err != nil {
		return Connected{}, fmt.Errorf("%w (%w)", refusal(err), err)
	}
	if grant.UserType == ghl.CompanyUser {
		return i.connectAgency(ctx, grant)
	}
	c, err := i.connectLocation(ctx, grant)
	if err != nil {
		return Connected{}, err
	}
	return Connected{Company: c.Company, Connections: []store.Connection{c}}, nil
}

// refusal says what it means that a code brought nothing.
func refusal(err error) error {
	if ghl.Refused(err) {
		return ErrCode
	}
	if e := transport.AsError(err); e != nil && e.Status >= 400 && e.Status < 500 && e.Status != 408 && e.Status != 425 && e.Status != 429 {
		return ErrApp
	}
	return ErrCodeLost
}

var idOfHighLevel = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// connectLocation keeps a location's own grant and lets the location work.
func (i *Installer) connectLocation(ctx context.Context, g ghl.Grant) (store.Connection, error) {
	if !idOfHighLevel.MatchString(g.LocationID) {
		return store.Connection{}, fmt.Errorf("%w: it names no location", ErrGrant)
	}
	owner := store.TokenOfLocation(g.LocationID)
	if err := i.vault.put(ctx, owner, g); err != nil {
		return store.Connection{}, fmt.Errorf("keep the grant of location %s: %w", g.LocationID, err)
	}
	did := act{byBrowser, "connect"}
	c, err := i.change(ctx, g.LocationID, did, func(c *store.Connection) error {
		c.Company = cmp.Or(g.CompanyID, c.Company)
		c.Access, c.ConnectedAt = store.ByOAuth, i.Now()
		if c.State != store.Active && c.State != store.Paused {
			i.start(c, true)
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	// A connection that was leaving may have retired, and forgotten its token, between the two.
	if _, found, err := i.Store.Token(ctx, owner); err != nil {
		return c, err
	} else if !found {
		if err := i.vault.put(ctx, owner, g); err != nil {
			return c, fmt.Errorf("keep the grant of location %s: %w", g.LocationID, err)
		}
	}
	return i.settle(ctx, c, did)
}

// start lets a connection work if its Sage tenant is decided. If it is not, the connection is pending; it may claim the
// environment's tenant then, and settle decides.
func (i *Installer) start(c *store.Connection, mayClaim bool) {
	kept := c.State == store.Active || c.State == store.Paused || c.State == store.Reconnect
	switch {
	case c.Sage == store.SageOfItsOwn && !c.Settings.IsZero(), c.Sage == store.SageOfEnvironment && kept:
		c.State, c.Note = store.Active, ""
	case mayClaim && HasSage(config.Settings{Sage: i.Config.Sage}):
		c.State, c.Note, c.Sage = store.Pending, noteClaim, store.SageOfEnvironment
	case mayClaim:
		c.State, c.Note, c.Sage = store.Pending, noteNoKeys, store.SageUndecided
	default:
		c.State, c.Note, c.Sage = store.Pending, noteNoSage, store.SageUndecided
	}
}

// settle gives the environment's tenant to a connection that claims it, if no other has or claims it. Two that claim it
// at once see each other, for each claim is kept before the look: then neither gets it, and the operator decides.
func (i *Installer) settle(ctx context.Context, c store.Connection, did act) (store.Connection, error) {
	if !claims(c) {
		return c, nil
	}
	free, err := i.free(ctx, c.Location)
	if err != nil {
		return c, err
	}
	return i.change(ctx, c.Location, did, func(c *store.Connection) error {
		switch {
		case !claims(*c):
			return errAsItIs
		case free:
			c.State, c.Note = store.Active, ""
		default:
			c.Sage, c.Note = store.SageUndecided, noteNoSage
		}
		return nil
	})
}

func claims(c store.Connection) bool {
	return c.State == store.Pending && c.Sage == store.SageOfEnvironment
}

// free tells whether no other connection uses the environment's Sage tenant. The environment's own location does, also
// before the store knows it.
func (i *Installer) free(ctx context.Context, location string) (bool, error) {
	own := i.Config.GHL.LocationID
	adopted := own == "" || own == location || i.Config.GHL.PrivateToken == ""
	taken := false
	err := i.each(ctx, store.ConnectionFilter{}, func(c store.Connection) error {
		adopted = adopted || c.Location == own
		taken = taken || c.Location != location && c.Sage == store.SageOfEnvironment && c.State != store.Retired
		return nil
	})
	return adopted && !taken, err
}

// each goes through connections.
func (i *Installer) each(ctx context.Context, filter store.ConnectionFilter, do func(store.Connection) error) error {
	for {
		some, next, err := i.Store.Connections(ctx, filter)
		if err != nil {
			return err
		}
		for _, c := range some {
			if err := do(c); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		filter.After = next
	}
}

// connectAgency keeps an agency's grant and makes a pending connection of each location to choose from.
func (i *Installer) connectAgency(ctx context.Context, g ghl.Grant) (Connected, error) {
	if !idOfHighLevel.MatchString(g.CompanyID) {
		return Connected{}, fmt.Errorf("%w: it names no agency", ErrGrant)
	}
	if err := i.vault.put(ctx, store.TokenOfCompany(g.CompanyID), g); err != nil {
		return Connected{}, fmt.Errorf("keep the grant of agency %s: %w", g.CompanyID, err)
	}
	if err := i.audit(ctx, act{byBrowser, "connect"}, "", "company/"+g.CompanyID, "its grant is kept"); err != nil {
		return Connected{}, err
	}
	out := Connected{Company: g.CompanyID}
	var err error
	if out.Installed, err = i.OAuth.InstalledLocations(ctx, g.AccessToken, g.CompanyID); err != nil {
		return out, fmt.Errorf("%w (%w)", ErrNoList, err)
	}
	for _, l := range out.Installed {
		if !idOfHighLevel.MatchString(l.ID) {
			continue
		}
		c, err := i.offer(ctx, act{byBrowser, "connect"}, g.CompanyID, l)
		if err != nil {
			return out, err
		}
		out.Connections = append(out.Connections, c)
	}
	return out, nil
}

// offer makes a pending connection of a location of an agency, and lets one go on that waits for the agency's grant.
func (i *Installer) offer(ctx context.Context, did act, company string, l ghl.InstalledLocation) (store.Connection, error) {
	c, found, err := i.Store.Connection(ctx, l.ID)
	if err != nil {
		return c, err
	}
	waits := func(c store.Connection) bool {
		return c.State == store.Reconnect && c.Access == store.ByAgency && c.Company == company
	}
	if found && waits(c) {
		if err := i.Store.DeleteToken(ctx, store.TokenOfLocation(l.ID)); err != nil {
			return c, err
		}
	}
	return i.change(ctx, l.ID, did, func(c *store.Connection) error {
		renamed := c.Version != 0 && c.Company == company && l.Name != "" && c.Name != l.Name
		works := c.Company == company && c.Access == store.ByAgency && (c.State == store.Active || c.State == store.Paused)
		switch {
		case c.Version == 0:
			*c = store.Connection{
				Location: l.ID, Company: company, Access: store.ByAgency, State: store.Pending, Note: noteChoose, ConnectedAt: i.Now(),
			}
		case waits(*c):
			c.ConnectedAt = i.Now()
			i.start(c, false)
		case works: // saved in any case: a renewal with the grant before, refused at this moment, must not win
			c.ConnectedAt = i.Now()
		case !renamed:
			return errAsItIs
		}
		c.Name = cmp.Or(l.Name, c.Name)
		return nil
	})
}

// Offered lists the locations for which an agency has installed the app, as HighLevel tells now. The agency must have
// been connected.
func (i *Installer) Offered(ctx context.Context, company string) ([]ghl.InstalledLocation, error) {
	if i.OAuth == nil {
		return nil, ErrNoApp
	}
	if _, found, err := i.Store.Token(ctx, store.TokenOfCompany(company)); err != nil {
		return nil, err
	} else if !found {
		return nil, fmt.Errorf("agency %s is not connected: use starter connect: %w", company, ErrUnknown)
	}
	keeper := i.vault.ofCompany(company)
	token, err := keeper.Token(ctx)
	if err != nil {
		return nil, err
	}
	list, err := i.OAuth.InstalledLocations(ctx, token, company)
	if e := transport.AsError(err); e != nil && e.Status == 401 {
		if token, err = keeper.Renew(ctx, token); err == nil {
			list, err = i.OAuth.InstalledLocations(ctx, token, company)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list the locations of agency %s: %w", company, err)
	}
	return list, nil
}

// Choose connects locations of an agency that was connected before. A location that the agency's own list does not hold
// is ErrNotOffered, and one that works for another agency is ErrMismatch; then none is connected. A location that works
// already is left as it is. A single one may take the environment's Sage tenant as a new connection does; of several,
// none takes it, for nobody said which.
func (i *Installer) Choose(ctx context.Context, company string, locations []string) ([]store.Connection, error) {
	offered, err := i.Offered(ctx, company)
	if err != nil {
		return nil, err
	}
	names := make(map[string]string, len(offered))
	for _, l := range offered {
		names[l.ID] = l.Name
	}
	locations = slices.Compact(slices.Sorted(slices.Values(locations)))
	for _, location := range locations {
		if !idOfHighLevel.MatchString(location) { // it may be anything, and is not shown
			return nil, ErrNotOffered
		}
		if _, ok := names[location]; !ok {
			return nil, fmt.Errorf("%w: %s", ErrNotOffered, location)
		}
		if c, found, err := i.Store.Connection(ctx, location); err != nil {
			return nil, err
		} else if found && !mayTake(c, company) {
			return nil, fmt.Errorf("%w: %s", ErrMismatch, location)
		}
	}
	chosen := make([]store.Connection, 0, len(locations))
	for _, location := range locations {
		c, err := i.take(ctx, act{i.Actor, "choose"}, company, location, names[location], len(locations) == 1)
		if err != nil {
			return chosen, err
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}

// mayTake tells whether an agency's grant may become a location's access. One that works for another agency stays with
// it: what a grant opens is for its own locations.
func mayTake(c store.Connection, company string) bool {
	return c.Company == "" || c.Company == company || c.State == store.Retired || c.State == store.Reconnect
}

// take lets a location work with the token of its agency.
func (i *Installer) take(ctx context.Context, did act, company, location, name string, mayClaim bool) (store.Connection, error) {
	before, _, err := i.Store.Connection(ctx, location)
	if err != nil {
		return before, err
	}
	if before.State == store.Reconnect { // its own pair was refused
		if err := i.Store.DeleteToken(ctx, store.TokenOfLocation(location)); err != nil {
			return before, err
		}
	}
	c, err := i.change(ctx, location, did, func(c *store.Connection) error {
		switch {
		case c.State == store.Active || c.State == store.Paused:
			return errAsItIs
		case !mayTake(*c, company):
			return fmt.Errorf("%w: %s", ErrMismatch, location)
		case c.State != store.Pending || c.Access == "": // a pending one may have a pair of its own
			c.Access = store.ByAgency
		}
		c.Company, c.Name, c.ConnectedAt = company, cmp.Or(name, c.Name), i.Now()
		i.start(c, mayClaim)
		return nil
	})
	if err != nil {
		return c, err
	}
	return i.settle(ctx, c, did)
}

// Installed takes in an INSTALL event (A90). A location of an agency whose grant is kept becomes a pending connection, to be
// chosen; one that had left, or waits for credentials, goes on with its former settings if its Sage tenant is still
// decided. Everything else waits for the user to come back with a code. The error is ErrNoApp, ErrOtherApp, ErrMismatch
// or that of the store; an event from before the connection's present state is no error and changes nothing, and so is
// one without a time for a connection that has left.
func (i *Installer) Installed(ctx context.Context, e Event) error {
	if err := i.ours(e); err != nil || e.Location == "" || e.Company == "" {
		return err // an agency as such comes with its code
	}
	c, found, err := i.Store.Connection(ctx, e.Location)
	if err != nil {
		return err
	}
	if found && !mayTake(c, e.Company) {
		return ErrMismatch
	}
	if _, held, err := i.Store.Token(ctx, store.TokenOfCompany(e.Company)); err != nil || !held {
		return err
	}
	did, at := act{byWebhook, "install"}, e.At.Truncate(time.Microsecond) // as the store keeps times
	switch {
	case !found:
		_, err = i.offer(ctx, did, e.Company, ghl.InstalledLocation{ID: e.Location})
	case c.State == store.Reconnect && !e.At.Before(c.StateAt),
		(c.State == store.Retired || c.State == store.Leaving) && e.At.After(c.StateAt):
		// Only a tenant that it had before: which one a location gets that just appears is for people to say.
		_, err = i.take(ctx, did, e.Company, e.Location, c.Name, c.Sage == store.SageOfEnvironment)
	case c.Access == store.ByAgency && at.After(c.ConnectedAt):
		// The app was installed anew while all seemed well, so an UNINSTALL is still on its way: HighLevel delivers again
		// what was not taken in at once. It must find that it is from before.
		_, err = i.change(ctx, e.Location, did, func(c *store.Connection) error {
			if c.Access != store.ByAgency || c.State == store.Leaving || c.State == store.Retired || !at.After(c.ConnectedAt) {
				return errAsItIs
			}
			c.ConnectedAt = at
			return nil
		})
	}
	return err
}

// ours checks that an event is about our app.
func (i *Installer) ours(e Event) error {
	if i.OAuth == nil {
		return ErrNoApp
	}
	if e.AppID != i.OAuth.AppID() {
		return ErrOtherApp
	}
	for _, id := range []string{e.Location, e.Company} {
		if id != "" && !idOfHighLevel.MatchString(id) {
			return fmt.Errorf("%w: an id is none", ErrMismatch)
		}
	}
	return nil
}

// Uninstalled takes in an UNINSTALL event (A91): the location, or every location that is reached through the agency, leaves.
// Connections by private token are not the app's and stay. Errors are as with Installed; an event from before the
// location was last connected changes nothing, and one without a time is believed (A100).
func (i *Installer) Uninstalled(ctx context.Context, e Event) error {
	if err := i.ours(e); err != nil {
		return err
	}
	if e.Location != "" {
		return i.leave(ctx, e.Location, e)
	}
	if e.Company == "" {
		return nil
	}
	leaving, err := i.through(ctx, e.Company)
	if err != nil {
		return err
	}
	for _, location := range leaving {
		if err := i.leave(ctx, location, e); err != nil {
			return err
		}
	}
	return i.forgetAgency(ctx, e)
}

// through lists the locations that are reached through an agency.
func (i *Installer) through(ctx context.Context, company string) ([]string, error) {
	var locations []string
	err := i.each(ctx, store.ConnectionFilter{Company: company}, func(c store.Connection) error {
		if c.Access == store.ByAgency && c.State != store.Retired {
			locations = append(locations, c.Location)
		}
		return nil
	})
	return locations, err
}

// forgetAgency deletes the token of an agency. No schedule works with it, only with the tokens of its locations, which
// are deleted after their schedules.
func (i *Installer) forgetAgency(ctx context.Context, e Event) error {
	t, found, err := i.Store.Token(ctx, store.TokenOfCompany(e.Company))
	if err != nil || !found || (!e.At.IsZero() && e.At.Before(t.RefreshedAt)) {
		return err
	}
	if err := i.Store.DeleteToken(ctx, t.Owner); err != nil {
		return err
	}
	return i.audit(ctx, act{byWebhook, "uninstall"}, "", t.Owner, "its grant is deleted")
}

// leave makes a location leave, unless the event is from before it was last connected.
func (i *Installer) leave(ctx context.Context, location string, e Event) error {
	_, err := i.change(ctx, location, act{byWebhook, "uninstall"}, func(c *store.Connection) error {
		switch {
		case c.Version == 0, c.Access == store.ByPrivateToken, c.State == store.Leaving, c.State == store.Retired,
			!e.At.IsZero() && e.At.Before(c.ConnectedAt):
			return errAsItIs
		case e.Company != "" && c.Company != "" && e.Company != c.Company:
			return ErrMismatch
		}
		c.State, c.Note = store.Leaving, "the app was uninstalled in HighLevel"
		return nil
	})
	return err
}
