//go:build connect_pending

package connections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
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
}

// NewInstaller makes an Installer. It reads and sends nothing.
func NewInstaller(o InstallerOptions) *Installer

// Connected is what a code has brought.
type Connected struct {
	// Company is HighLevel's id of the agency; a location's grant may leave it out.
	Company string
	// Connections is the location that was connected. An agency's grant connects none by itself: there it holds those that
	// waited for new credentials and go on with these.
	Connections []store.Connection
	// Installed are all locations for which an agency has installed the app, to choose from; nil for a location's grant.
	Installed []ghl.InstalledLocation
}

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

// Connect exchanges the code that HighLevel's page sent the user back with. The location, or the agency, is the one that
// HighLevel names with the grant: nothing that came through the browser says which. The grant is kept before anything
// else is done; doing it again with a new code mends whatever a crash left half done.
//
// The error is ErrNoApp, ErrCode, ErrCodeLost or ErrNoList, or that of the store; with ErrNoList, Connected holds the
// agency.
func (i *Installer) Connect(ctx context.Context, code string) (Connected, error)

// Offered lists the locations for which an agency has installed the app, as HighLevel tells now. The agency must have
// been connected (else ErrUnknown).
func (i *Installer) Offered(ctx context.Context, company string) ([]ghl.InstalledLocation, error)

// Choose connects locations of an agency that was connected before. A location that the agency's own list does not hold
// is ErrNotOffered, and then none is connected. A location that works already is left as it is. A single one may take the
// environment's Sage tenant as a new connection does; of several, none takes it, for nobody said which.
func (i *Installer) Choose(ctx context.Context, company string, locations []string) ([]store.Connection, error)

// Installed takes in an INSTALL event. A location of an agency whose grant is kept becomes a pending connection, to be
// chosen; one that had left, or waits for credentials, goes on with its former settings if its Sage tenant is still
// decided. Everything else waits for the user to come back with a code. The error is ErrOtherApp, ErrMismatch or that
// of the store; an event from before the connection's present state is no error and changes nothing.
func (i *Installer) Installed(ctx context.Context, e Event) error

// Uninstalled takes in an UNINSTALL event: the location, or every location that is reached through the agency, leaves.
// Connections by private token are not the app's and stay. Errors are as with Installed; an event from before the
// location was last connected changes nothing.
func (i *Installer) Uninstalled(ctx context.Context, e Event) error

// Add connects a location by the private token in its settings. One that is connected already is ErrState: use Set.
func (i *Installer) Add(ctx context.Context, location string, s config.Settings) (store.Connection, error)

// Set gives a connection settings of its own (nil leaves them) and says which Sage tenant its orders go to:
// store.SageOfEnvironment, store.SageOfItsOwn, or empty for its own if the settings name one, else as it was. Settings
// without a private token keep the one there is. A pending connection whose tenant is decided by this begins to work,
// and one that waits for credentials goes on if the settings bring a token.
func (i *Installer) Set(ctx context.Context, location string, s *config.Settings, sage string) (store.Connection, error)

// Pause stops a connection's work until Resume. Its orders wait.
func (i *Installer) Pause(ctx context.Context, location, actor, note string) (store.Connection, error)

// Resume lets a connection go on that is paused, that waits for credentials and may have got them, or that is pending
// though its Sage tenant is decided.
func (i *Installer) Resume(ctx context.Context, location, actor, note string) (store.Connection, error)

// Remove ends a connection: its schedules are removed, then its tokens and settings. Its orders stay in the books.
func (i *Installer) Remove(ctx context.Context, location, actor, note string) (store.Connection, error)
