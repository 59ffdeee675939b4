package connections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
)

// What an Installer refuses. Each error it returns says more, and what to do.
var (
	// ErrNoApp says that no app of HighLevel's marketplace is set up here.
	ErrNoApp = errors.New("no app of HighLevel's marketplace is set up: set GHL_CLIENT_ID and GHL_CLIENT_SECRET")
	// ErrCode says that HighLevel gave no grant for a code: it is spent, too old, or another app's. A code is good once, so
	// only a new one helps.
	ErrCode = errors.New("HighLevel refused the code of this installation: start again")
	// ErrCodeLost says that HighLevel's answer to a code did not arrive. The code is most likely spent, and what it was good
	// for lost with the answer: only a new one helps.
	ErrCodeLost = errors.New("HighLevel's answer to the code of this installation was lost, and a code is good once: start again")
	// ErrApp says that the code was not even looked at.
	ErrApp = errors.New("HighLevel does not know this app by its credentials: check GHL_CLIENT_ID, GHL_CLIENT_SECRET and GHL_TOKEN_URL, then start again")
	// ErrGrant says that a grant does not say what it is for.
	ErrGrant = errors.New("HighLevel's grant cannot be used")
	// ErrNoList says that an agency's grant is kept, but that its installed locations could not be listed.
	ErrNoList = errors.New("the agency is connected, but its locations cannot be listed now: use starter connect choose later")
	// ErrNotOffered says that a location is none of those for which the agency has installed the app.
	ErrNotOffered = errors.New("the agency has not installed the app for this location")
	// ErrOtherApp says that an event is about an app that is not ours. HighLevel signs the events of all apps with one key,
	// so a signature alone does not tell.
	ErrOtherApp = errors.New("the event is about another app")
	// ErrMismatch says that what a grant or an event tells of a location does not go with what is known of it.
	ErrMismatch = errors.New("the location is known as another agency's")
	// ErrUnknown says that a location never was connected.
	ErrUnknown = errors.New("this location is not connected: starter connect list shows those that are")
	// ErrNoSage says that a connection cannot work before it is decided which Sage tenant its orders go to.
	ErrNoSage = errors.New("it is not decided which Sage tenant the orders go to: give it with starter connect set")
	// ErrState says that what was asked for is impossible in the connection's state.
	ErrState = errors.New("this is not possible in the connection's state")
)

// Event is what an INSTALL or UNINSTALL event of HighLevel tells. Its signature must have been verified.
type Event struct {
	// AppID is HighLevel's id of the app: the client id up to its first dash.
	AppID string
	// Company and Location are HighLevel's ids; the event of an agency has no Location, that of a location need not have a
	// Company.
	Company, Location string
	// Name is the agency's name, empty if the event does not tell. It is not kept.
	Name string
	// At is when HighLevel made the event; zero if it does not tell.
	At time.Time
}

// Resting tells whether a location is known here but takes in no events now: it is paused, or not told to work yet. What
// happens there meanwhile is found by the sweep once it works.
func (d *Directory) Resting(ctx context.Context, location string) (bool, error) {
	c, found, err := d.read(ctx, location)
	return found && (c.State == store.Paused || c.State == store.Pending), err
}

// act is what the audit trail says of who did what.
type act struct{ actor, action string }

// errAsItIs is how an edit says that there is nothing to change.
var errAsItIs = errors.New("nothing to change")

// edits bounds how often a change is made again on what somebody else wrote in between.
const edits = 20

// change edits a connection as it is now and saves it, again for as long as somebody else was faster. The connection of a
// location without one has no Version and no State. Once it is saved, the audit trail and the connection's process learn
// of it.
func (i *Installer) change(ctx context.Context, location string, did act, edit func(*store.Connection) error) (store.Connection, error) {
	for range edits {
		c, found, err := i.Store.Connection(ctx, location)
		if err != nil {
			return c, err
		}
		if !found {
			c = store.Connection{Location: location}
		}
		before := c.State
		if err := edit(&c); errors.Is(err, errAsItIs) {
			return c, nil
		} else if err != nil {
			return c, err
		}
		saved, err := i.Store.SaveConnection(ctx, c)
		if errors.Is(err, store.ErrChanged) {
			continue
		}
		if err != nil {
			return c, err
		}
		return saved, i.follow(ctx, did, before, saved)
	}
	return store.Connection{}, fmt.Errorf("the connection of %s changes all the time: %w", location, store.ErrChanged)
}

// follow tells the audit trail and the connection's process of a change.
func (i *Installer) follow(ctx context.Context, did act, before store.ConnectionState, c store.Connection) error {
	detail := string(c.State)
	if before != "" && before != c.State {
		detail = string(before) + " to " + detail
	}
	if c.Note != "" {
		detail += ": " + c.Note
	}
	i.Log.InfoContext(ctx, "connection", "location", c.Location, "action", did.action, "actor", did.actor, "state", string(c.State))
	err := i.audit(ctx, did, c.Location, "connection/"+c.Location, detail)
	// A location that is only offered has nothing to follow it, and an agency may have thousands.
	if before != "" || c.State != store.Pending {
		i.look(ctx, c.Location)
	}
	return err
}

const (
	// lookTime bounds the handing over of a hint: what waits for it is in the middle of something.
	lookTime = 2 * time.Second
	// quietFor is how long no hints are given after one failed, so that a change of many locations is not held up by each.
	quietFor = 5 * time.Second
)

// look hands a hint to a connection's process. Where that fails, the workers find the change by looking for such.
func (i *Installer) look(ctx context.Context, location string) {
	if i.Look == nil || time.Now().UnixNano() < i.quiet.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if err := i.Look(ctx, location); err != nil {
		i.quiet.Store(time.Now().Add(quietFor).UnixNano())
		i.Log.WarnContext(ctx, "a change of a connection is not followed yet; workers look for such", "location", location, "error", err.Error())
	}
}

// audit writes even for a caller that has gone, for what was done is done.
func (i *Installer) audit(ctx context.Context, did act, location, object, detail string) error {
	return i.Store.Audit(context.WithoutCancel(ctx), store.AuditEntry{
		At: i.Now(), Location: location, Actor: did.actor, Action: did.action, Object: object, Detail: detail,
	})
}

// Add connects a location by the private token in its settings. One that is connected already is ErrState: use Set.
func (i *Installer) Add(ctx context.Context, location string, s config.Settings) (store.Connection, error) {
	if !idOfHighLevel.MatchString(location) {
		return store.Connection{}, errors.New("this is no location id: it stands in the address of the location's pages, behind /location/")
	}
	if s.GHL.PrivateToken == "" {
		return store.Connection{}, errors.New("the settings hold no private token: set GHL_PRIVATE_TOKEN in the file")
	}
	did := act{i.Actor, "add"}
	c, err := i.change(ctx, location, did, func(c *store.Connection) error {
		if c.Version != 0 && c.State != store.Retired && c.State != store.Pending {
			return fmt.Errorf("%w: location %s is %s; give it settings with starter connect set", ErrState, location, c.State)
		}
		sealed, err := SealSettings(i.Ring, location, s)
		if err != nil {
			return err
		}
		c.Access, c.Settings, c.ConnectedAt, c.Sage = store.ByPrivateToken, sealed, i.Now(), store.SageUndecided
		if HasSage(s) {
			c.Sage = store.SageOfItsOwn
		}
		i.start(c, true)
		return nil
	})
	if err != nil {
		return c, err
	}
	return i.settle(ctx, c, did)
}

// Set gives a connection settings of its own (nil leaves them) and says which Sage tenant its orders go to:
// store.SageOfEnvironment, store.SageOfItsOwn, or empty for its own if the settings name one, else as it was. Settings
// without a private token keep the one there is. A pending connection whose tenant is decided by this begins to work,
// and one that waits for credentials goes on if the settings bring a token.
func (i *Installer) Set(ctx context.Context, location string, s *config.Settings, sage string) (store.Connection, error) {
	if sage != "" && sage != store.SageOfEnvironment && sage != store.SageOfItsOwn {
		return store.Connection{}, fmt.Errorf("the Sage tenant is %s or %s", store.SageOfEnvironment, store.SageOfItsOwn)
	}
	return i.change(ctx, location, act{i.Actor, "set"}, func(c *store.Connection) error {
		switch {
		case c.Version == 0:
			return fmt.Errorf("%w: %s", ErrUnknown, location)
		case c.State == store.Leaving || c.State == store.Retired:
			return fmt.Errorf("%w: location %s is %s; connect it again first", ErrState, location, c.State)
		}
		now, err := i.replace(c, s)
		if err != nil {
			return err
		}
		if sage != "" {
			c.Sage = sage
		} else if s != nil && HasSage(now) {
			c.Sage = store.SageOfItsOwn
		}
		if c.Sage == store.SageOfItsOwn && !HasSage(now) {
			return fmt.Errorf("%w: location %s has no SAGE_PUBLIC_KEY and SAGE_PRIVATE_KEY of its own", ErrNoSage, location)
		}
		switch {
		case c.State == store.Pending && c.Sage != store.SageUndecided:
			c.State, c.Note = store.Active, ""
		case c.State == store.Reconnect && s != nil && s.GHL.PrivateToken != "":
			c.State, c.Note, c.Access = store.Active, "", store.ByPrivateToken
		}
		return nil
	})
}

// replace puts settings in the place of those that a connection has, nil leaves them, and returns those it has then.
func (i *Installer) replace(c *store.Connection, s *config.Settings) (config.Settings, error) {
	before, err := OpenSettings(i.Ring, c.Location, c.Settings)
	if err != nil || s == nil {
		return before, err
	}
	now := *s
	if now.GHL.PrivateToken == "" {
		now.GHL.PrivateToken = before.GHL.PrivateToken
	}
	c.Settings, err = SealSettings(i.Ring, c.Location, now)
	return now, err
}

// Pause stops a connection's work until Resume. Its orders wait.
func (i *Installer) Pause(ctx context.Context, location, actor, note string) (store.Connection, error) {
	return i.change(ctx, location, act{cmp.Or(actor, i.Actor), "pause"}, func(c *store.Connection) error {
		switch {
		case c.Version == 0:
			return fmt.Errorf("%w: %s", ErrUnknown, location)
		case c.State == store.Paused && (note == "" || note == c.Note):
			return errAsItIs
		case c.State != store.Active && c.State != store.Reconnect && c.State != store.Paused:
			return fmt.Errorf("%w: location %s is %s and does not work", ErrState, location, c.State)
		}
		c.State, c.Note = store.Paused, note
		return nil
	})
}

// Resume lets a connection go on that is paused, that waits for credentials and may have got them, or that is pending
// though its Sage tenant can be decided. The environment's location comes back in this way even after it was removed.
func (i *Installer) Resume(ctx context.Context, location, actor, note string) (store.Connection, error) {
	did := act{cmp.Or(actor, i.Actor), "resume"}
	c, err := i.change(ctx, location, did, func(c *store.Connection) error {
		switch c.State {
		case "":
			return fmt.Errorf("%w: %s", ErrUnknown, location)
		case store.Active:
			return errAsItIs
		case store.Leaving:
			return fmt.Errorf("%w: location %s is leaving; wait until it is retired", ErrState, location)
		case store.Retired:
			own := c.Access == store.ByPrivateToken && location == i.Config.GHL.LocationID && i.Config.GHL.PrivateToken != ""
			if !own {
				return fmt.Errorf("%w: location %s is retired and its secrets are deleted; connect it again", ErrState, location)
			}
		}
		if i.start(c, true); c.State == store.Pending && !claims(*c) {
			return fmt.Errorf("%w: %s", ErrNoSage, location)
		}
		if c.State == store.Active {
			c.Note = note
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	if c, err = i.settle(ctx, c, did); err == nil && c.State == store.Pending {
		err = fmt.Errorf("%w: %s", ErrNoSage, location)
	}
	return c, err
}

// Remove ends a connection: its schedules are removed, then its tokens and settings. Its orders stay in the books.
func (i *Installer) Remove(ctx context.Context, location, actor, note string) (store.Connection, error) {
	return i.change(ctx, location, act{cmp.Or(actor, i.Actor), "remove"}, func(c *store.Connection) error {
		switch c.State {
		case "":
			return fmt.Errorf("%w: %s", ErrUnknown, location)
		case store.Leaving, store.Retired:
			return errAsItIs
		}
		c.State, c.Note = store.Leaving, cmp.Or(note, "removed by the operator")
		return nil
	})
}

// RemoveAgency ends every connection that is reached through an agency, as Remove does, and then deletes the agency's
// grant. It returns the connections. Locations that have a grant or a token of their own stay. An agency of which nothing
// is kept is ErrUnknown.
func (i *Installer) RemoveAgency(ctx context.Context, company, actor, note string) ([]store.Connection, error) {
	owner := store.TokenOfCompany(company)
	_, held, err := i.Store.Token(ctx, owner)
	if err != nil {
		return nil, err
	}
	locations, err := i.through(ctx, company)
	if err != nil {
		return nil, err
	}
	if !held && len(locations) == 0 {
		return nil, fmt.Errorf("agency %s: %w", company, ErrUnknown)
	}
	removed := make([]store.Connection, 0, len(locations))
	for _, location := range locations {
		c, err := i.Remove(ctx, location, actor, cmp.Or(note, "its agency was removed by the operator"))
		if err != nil {
			return removed, err
		}
		removed = append(removed, c)
	}
	if err := i.Store.DeleteToken(ctx, owner); err != nil {
		return removed, err
	}
	return removed, i.audit(ctx, act{cmp.Or(actor, i.Actor), "remove"}, "", owner, "its grant is deleted")
}
