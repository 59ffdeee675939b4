package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/store"
)

// Schedules keeps the schedules of a location's sweeps; package workflows/schedules has the one that does.
type Schedules interface {
	// Apply makes them what they should be, and tells whether a first sweep came of that. It neither pauses nor resumes.
	Apply(ctx context.Context, location string) (swept bool, err error)
	// Pause stops them with a note that says why. What somebody else paused keeps that person's note.
	Pause(ctx context.Context, location, note string) error
	// Resume lets those go on that Pause stopped, and none that somebody else did.
	Resume(ctx context.Context, location, note string) error
	// Trigger starts a sweep now, or after the one that runs, unless the schedule is paused.
	Trigger(ctx context.Context, location string) error
	// Remove deletes them.
	Remove(ctx context.Context, location string) error
}

// Notifier tells the operator; *notify.Webhook is one.
type Notifier interface {
	// Enabled tells whether there is anyone to tell.
	Enabled() bool
	// Post says one text. Its errors are *notify.Error.
	Post(ctx context.Context, text string) error
}

var _ Notifier = (*notify.Webhook)(nil)

// Connections are the steps that make everything outside of the store follow what a connection has become.
type Connections struct {
	Store     *store.Store
	Schedules Schedules
	// Notify may be nil: the log is told in any case.
	Notify Notifier
}

// ConnectionView is what the process of a connection knows of it: nothing secret, and no name.
type ConnectionView struct {
	// Exists is false where there never was a connection.
	Exists  bool                  `json:"exists,omitempty"`
	State   store.ConnectionState `json:"state,omitempty"`
	Note    string                `json:"note,omitempty"`
	Told    bool                  `json:"told,omitempty"`
	Version int64                 `json:"version,omitempty"`
}

// ReadConnection reads a connection as it is now. It is run as a local activity.
func (c *Connections) ReadConnection(ctx context.Context, in LocationInput) (ConnectionView, error) {
	row, found, err := c.Store.Connection(ctx, in.Location)
	if err != nil || !found {
		return ConnectionView{}, asTemporal(err, attempt(ctx), 0)
	}
	return ConnectionView{Exists: true, State: row.State, Note: row.Note, Told: row.Told, Version: row.Version}, nil
}

// PauseSchedulesInput says whose sweeps stop, and why.
type PauseSchedulesInput struct {
	Location string                `json:"location"`
	State    store.ConnectionState `json:"state"`
	Note     string                `json:"note,omitempty"`
}

// PauseSchedules stops the sweeps of a location; one that runs is left to its end, which comes with its next call.
func (c *Connections) PauseSchedules(ctx context.Context, in PauseSchedulesInput) error {
	note := "the connection is " + stateWords[in.State]
	if in.Note != "" {
		note += ": " + in.Note
	}
	return asTemporal(c.Schedules.Pause(ctx, in.Location, note), attempt(ctx), 0)
}

// stateWords complete the sentence "the connection is …".
var stateWords = map[store.ConnectionState]string{
	store.Pending:   "not told to work yet",
	store.Paused:    "paused",
	store.Reconnect: "refused by HighLevel",
}

// resumed are the kinds of parked items that a connection which works again, or has new settings, is likely to have
// mended.
var resumed = []string{string(Reconnect), string(Paused), string(Unauthorized), string(Forbidden), string(Mapping)}

// ResumeSchedules lets the sweeps of a location run: they are made if they do not exist. What was parked because the
// connection did not work is due at once, and a sweep that starts now has it carried on with and finds what happened in
// the meantime. It results in how many parked items became due.
func (c *Connections) ResumeSchedules(ctx context.Context, in LocationInput) (int64, error) {
	due, err := c.resume(ctx, in.Location)
	return due, asTemporal(err, attempt(ctx), 0)
}

func (c *Connections) resume(ctx context.Context, location string) (int64, error) {
	// Before the sweep, which takes what is due.
	due, err := c.Store.MakeParkedDue(ctx, location, resumed...)
	if err != nil {
		return 0, err
	}
	swept, err := c.Schedules.Apply(ctx, location)
	if err != nil {
		return due, err
	}
	if err := c.Schedules.Resume(ctx, location, "the connection works"); err != nil || swept {
		return due, err
	}
	return due, c.Schedules.Trigger(ctx, location)
}

// RemoveSchedules deletes the schedules of a location.
func (c *Connections) RemoveSchedules(ctx context.Context, in LocationInput) error {
	return asTemporal(c.Schedules.Remove(ctx, in.Location), attempt(ctx), 0)
}

// ConnectionVersion names a connection as it was read.
type ConnectionVersion struct {
	Location string `json:"location"`
	Version  int64  `json:"version"`
}

// ForgetSecrets retires a connection that is leaving: its token, its settings and what READ_ONLY kept of its orders are
// deleted. A connection that was changed since it was read is left alone; the next reading says what to do with it.
func (c *Connections) ForgetSecrets(ctx context.Context, in ConnectionVersion) error {
	return asTemporal(c.forget(ctx, in), attempt(ctx), 0)
}

func (c *Connections) forget(ctx context.Context, in ConnectionVersion) error {
	row, found, err := c.Store.Connection(ctx, in.Location)
	if err != nil || !found || row.State != store.Leaving || row.Version != in.Version {
		return err
	}
	if _, err := c.Store.ForgetPlanned(ctx, in.Location); err != nil {
		return err
	}
	row.State = store.Retired // which deletes the secrets in the same transaction
	_, err = c.Store.SaveConnection(ctx, row)
	if errors.Is(err, store.ErrChanged) {
		return nil
	}
	return err
}

// SettleConnection records that a version of a connection has been followed, and tells whether it is still the present
// one. It is run as a local activity.
func (c *Connections) SettleConnection(ctx context.Context, in ConnectionVersion) (bool, error) {
	if err := c.Store.SettleConnection(ctx, in.Location, in.Version); err != nil {
		return false, asTemporal(err, attempt(ctx), 0)
	}
	row, found, err := c.Store.Connection(ctx, in.Location)
	return found && row.Version == in.Version, asTemporal(err, attempt(ctx), 0)
}

// TellOperator says that somebody must act, or that a location has left, through the webhook of the notifications and in
// the log. It does so once for each state: not again when it was told already, nor when the state has changed since it
// was read. A process that dies between saying it and noting that it did says it a second time.
func (c *Connections) TellOperator(ctx context.Context, in ConnectionVersion) error {
	ctx, stop := alive(ctx)
	defer stop()
	return asTemporal(c.tell(ctx, in), attempt(ctx), 0)
}

func (c *Connections) tell(ctx context.Context, in ConnectionVersion) error {
	row, found, err := c.Store.Connection(ctx, in.Location)
	if err != nil || !found || row.Told || row.Version != in.Version {
		return err
	}
	if attempt(ctx) == 1 {
		inLog(ctx, row)
	}
	if c.Notify != nil && c.Notify.Enabled() {
		if err := c.Notify.Post(ctx, messageOf(row)); err != nil {
			return err
		}
	}
	err = c.Store.MarkTold(ctx, in.Location, in.Version)
	if errors.Is(err, store.ErrChanged) {
		return nil
	}
	return err
}

// NoteAsleep is the note of a connection that is refused only because its location is switched off. Unlike any other
// refusal it costs no credentials, so that nobody has to connect again.
const NoteAsleep = "the location is not active at HighLevel (paused by its agency, or not paid for); " +
	"once it is active there again, `starter connect resume` lets it go on"

// inLog leaves out the name, which is somebody's.
func inLog(ctx context.Context, row store.Connection) {
	facts := []any{"location", row.Location, "state", string(row.State), "note", row.Note}
	if row.State == store.Retired {
		logger(ctx).Info("a location has left", facts...)
		return
	}
	if row.Note == NoteAsleep {
		logger(ctx).Warn("a location is switched off at HighLevel", facts...)
		return
	}
	logger(ctx).Warn("a location must be connected again: starter connect", facts...)
}

// messageOf is what the operator reads.
func messageOf(row store.Connection) string {
	who := "HighLevel location " + row.Location
	if row.Name != "" {
		who = fmt.Sprintf("HighLevel location %s (%s)", row.Name, row.Location)
	}
	why := sentence(row.Note)
	since := row.StateAt.UTC().Format("2006-01-02 15:04 MST")
	if row.State == store.Retired {
		return fmt.Sprintf("Tallystick: %s has left (%s).%s Its schedules, tokens and settings are deleted; its orders stay in the books.",
			who, since, why)
	}
	if row.Note == NoteAsleep {
		return fmt.Sprintf("Tallystick: %s gives no access (since %s).%s Its orders wait and nothing is lost.", who, since, why)
	}
	return fmt.Sprintf("Tallystick: %s must be connected again (since %s).%s "+
		"Its orders wait and nothing is lost. Run `starter connect`, or give it a new token with `starter connect set`.", who, since, why)
}

// sentence makes a note one: a blank, a capital letter, and a full stop.
func sentence(note string) string {
	note = strings.TrimRight(strings.TrimSpace(note), ".")
	if note == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(note)
	return " " + string(unicode.ToUpper(first)) + note[size:] + "."
}
