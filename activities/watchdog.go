package activities

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/store"
)

// Watchdog is the step that looks from outside whether all processes do their work, and tells operators of what does not:
// once when it begins, again from time to time, and once when it is over. It reads the store and asks Temporal, and calls
// no vendor, so that a pass costs little however much there is to do.
//
// What it has found and told is kept in the store's alerts, so that any worker may carry out the next pass.
type Watchdog struct {
	Store *store.Store
	// Notify may be nil: the log is told in any case.
	Notify Notifier
	// Sweeps are those that every location should have.
	Sweeps []WatchedSweep
	// Schedules lists the schedules that exist, by their ids.
	Schedules func(context.Context) (map[string]ScheduleStanding, error)
	// Queues tells how the task queues stand, and false where the server does not let us ask.
	Queues func(context.Context) ([]cluster.QueueState, bool, error)
	// Quota is what HighLevel last said of the calls of a day, and false if it said nothing to this process.
	Quota func(location string) (ghl.Quota, bool)

	// Grace is how long something must be wrong before it is told, and well before that is. Remind is after how long it is
	// told again, 0 for never.
	Grace, Remind time.Duration
	// MissedSweeps is how many intervals may pass without a sweep that succeeds.
	MissedSweeps int
	// QueueAge is how long urgent work may wait, ParkedAge how long an item may be parked that goes on by itself.
	QueueAge, ParkedAge time.Duration
	// QuotaLeft is below which part of the calls of a day operators are told, in per cent.
	QuotaLeft int
}

// WatchedSweep is a sweep that every location should have.
type WatchedSweep struct {
	// Words name it to people, such as "sweep of payments".
	Words string
	// Mark is the cursor that it moves when it comes to its end, to the moment at which it began.
	Mark string
	// Every is its interval.
	Every time.Duration
	// Schedule is the id of its schedule.
	Schedule func(location string) string
	// On tells whether a location has it at all; nil is everywhere.
	On func(ctx context.Context, location string) (bool, error)
}

// ScheduleStanding is how a schedule stands.
type ScheduleStanding struct {
	Paused bool
	// ByHand: it was not we who paused it.
	ByHand bool
}

// WatchInput says when it is.
type WatchInput struct {
	Now time.Time `json:"now"`
}

// WatchReport is what a pass has come to.
type WatchReport struct {
	// Open is how much is wrong at present, whether it was told yet or not.
	Open int `json:"open"`
	// Began, Reminded and Over count what was told in this pass.
	Began    int `json:"began,omitempty"`
	Reminded int `json:"reminded,omitempty"`
	Over     int `json:"over,omitempty"`
	// Untold is why operators could not be told. The next pass tells them.
	Untold string `json:"untold,omitempty"`
}

// The cursor by which others see that the watchdog is alive. It belongs to no location, and cursors must belong to one.
const (
	WatchdogMark = "watchdog"
	Everywhere   = "all"
)

// watchdogCause begins the causes of the watchdog's alerts. Behind it comes the kind, and behind a slash, where there can
// be several of a kind, of what: watchdog-late/shipping.
const watchdogCause = "watchdog-"

// The kinds of causes, in the order in which they are told: what may be behind others comes first.
const (
	blind      = "blind"
	noWorker   = "no-worker"
	backlog    = "backlog"
	reconnect  = "reconnect"
	expired    = "token"
	unfollowed = "unfollowed"
	unplanned  = "schedule"
	late       = "late"
	fewCalls   = "quota"
	parked     = "parked"
)

var watchdogKinds = []string{blind, noWorker, backlog, reconnect, expired, unfollowed, unplanned, late, fewCalls, parked}

// Watch looks at everything once, and tells what is due to be told as one message. A message that does not arrive loses
// nothing: the next pass tells the same. A process that dies between the message and the note of it tells it again.
func (w *Watchdog) Watch(ctx context.Context, in WatchInput) (WatchReport, error) {
	ctx, stop := alive(ctx)
	defer stop()
	report, err := w.watch(ctx, in.Now.UTC())
	return report, asTemporal(err, attempt(ctx), 0)
}

func (w *Watchdog) watch(ctx context.Context, now time.Time) (WatchReport, error) {
	doing(ctx, "looking")
	r, err := w.begin(ctx, now)
	if err != nil {
		return WatchReport{}, err
	}
	if err := r.look(ctx); err != nil {
		return WatchReport{}, err
	}
	told, err := r.settle(ctx)
	if err != nil {
		return WatchReport{}, err
	}
	doing(ctx, "telling")
	report := WatchReport{Open: len(r.found)}
	if report.Untold, err = r.tell(ctx, told); err != nil {
		return report, err
	}
	if report.Untold == "" {
		report.Began, report.Reminded, report.Over = len(told.began), len(told.remain), len(told.over)
	}
	return report, w.Store.SetCursor(ctx, Everywhere, WatchdogMark, now)
}

// round is one pass.
type round struct {
	*Watchdog
	now         time.Time
	connections map[string]store.Connection
	// active are those that work, in the order of the locations.
	active []store.Connection
	marks  map[[2]string]time.Time
	// known are the watchdog's alerts of earlier passes but those that are over and told.
	known map[alertKey]store.Alert

	found []finding
	// unseen are the kinds of causes, and single causes, that could not be looked at: what is known of them stays.
	unseen      map[string]bool
	unseenCause map[alertKey]bool
}

type alertKey struct{ location, cause string }

// finding is something that is wrong at the moment of a pass.
type finding struct {
	alertKey
	// text says what is wrong and what to do. It has no ages in it, which would change with every pass, but times.
	text string
	// lasts is how long it must have lasted before it is told.
	lasts time.Duration
	// told is when somebody else told it, zero if nobody did.
	told time.Time
}

func cause(kind string, of ...string) string {
	return watchdogCause + strings.Join(append([]string{kind}, of...), "/")
}

// kindOfCause is the kind of one of the watchdog's causes, and of what it is.
func kindOfCause(cause string) (kind, of string) {
	kind, of, _ = strings.Cut(strings.TrimPrefix(cause, watchdogCause), "/")
	return kind, of
}

func (w *Watchdog) begin(ctx context.Context, now time.Time) (*round, error) {
	r := &round{
		Watchdog: w, now: now, connections: map[string]store.Connection{}, marks: map[[2]string]time.Time{},
		known: map[alertKey]store.Alert{}, unseen: map[string]bool{}, unseenCause: map[alertKey]bool{},
	}
	err := eachPage(func(p store.Page) (string, error) {
		rows, next, err := w.Store.Connections(ctx, store.ConnectionFilter{Page: p})
		for _, c := range rows {
			r.connections[c.Location] = c
			if c.State == store.Active {
				r.active = append(r.active, c)
			}
		}
		return next, err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(r.active, func(a, b store.Connection) int { return cmp.Compare(a.Location, b.Location) })
	cursors, err := w.Store.Cursors(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range cursors {
		r.marks[[2]string{c.Location, c.Name}] = c.At
	}
	return r, eachPage(func(p store.Page) (string, error) {
		rows, next, err := w.Store.Alerts(ctx, store.AlertFilter{Page: p})
		for _, a := range rows {
			if strings.HasPrefix(a.Cause, watchdogCause) && !a.OverTold {
				r.known[alertKey{a.Location, a.Cause}] = a
			}
		}
		return next, err
	})
}

// pageSize is how many rows are read at once: as many as the store gives.
const pageSize = 1000

func eachPage(read func(store.Page) (next string, err error)) error {
	for p := (store.Page{Limit: pageSize}); ; {
		next, err := read(p)
		if err != nil || next == "" {
			return err
		}
		p.After = next
	}
}

// news are the alerts that are to be told.
type news struct{ began, remain, over []store.Alert }

func (n news) all() []store.Alert { return slices.Concat(n.began, n.remain, n.over) }

// settle brings the alerts up to what was found, and returns those that are to be told now. What stands as it did costs
// no write.
func (r *round) settle(ctx context.Context) (told news, err error) {
	gone := map[alertKey]store.Alert{}
	for key, a := range r.known {
		gone[key] = a
	}
	for _, f := range r.found {
		delete(gone, f.alertKey)
		if r.stands(f) {
			continue
		}
		a, due, err := r.Store.RaiseAlert(ctx, store.Alert{Location: f.location, Cause: f.cause, Text: f.text}, r.now)
		switch {
		case err != nil:
			return told, err
		case a.ToldAt.IsZero() && !f.told.IsZero():
			if err := r.Store.MarkAlertTold(ctx, a, f.told, r.Remind); err != nil {
				return told, err
			}
		case due && !a.ToldAt.IsZero():
			told.remain = append(told.remain, a)
		case due && r.lasted(a.Since, f.lasts):
			told.began = append(told.began, a)
		}
	}
	for key, a := range gone {
		if err := r.clear(ctx, key, a, &told); err != nil {
			return told, err
		}
	}
	for _, part := range [][]store.Alert{told.began, told.remain, told.over} {
		slices.SortFunc(part, compareAlerts)
	}
	return told, nil
}

// stands tells that an alert is kept as it is, and that nothing is to be told of it now.
func (r *round) stands(f finding) bool {
	a, known := r.known[f.alertKey]
	if !known || !a.OverAt.IsZero() || a.Text != f.text {
		return false
	}
	if a.ToldAt.IsZero() {
		return f.told.IsZero() && !r.lasted(a.Since, f.lasts)
	}
	return a.ReminderAt.IsZero() || a.ReminderAt.After(r.now)
}

// unpunctual is how much earlier than its interval after the last one a look may come: its schedule spreads the starts.
const unpunctual = 15 * time.Second

// lasted tells that something has been so for a time. What lacks no more than a look comes early counts, since it would
// have to wait for a whole interval more where the interval is as long as the time.
func (r *round) lasted(since time.Time, d time.Duration) bool {
	return r.now.Sub(since) >= d-min(d/10, unpunctual)
}

// clear ends an alert whose cause was not found. That is told only after it has been well for a while, since what comes
// and goes would be told each time; and not at all where the location was stopped meanwhile, which is no cure.
func (r *round) clear(ctx context.Context, key alertKey, a store.Alert, told *news) (err error) {
	kind, _ := kindOfCause(key.cause)
	if r.unseen[kind] || r.unseenCause[key] {
		return nil
	}
	if a.OverAt.IsZero() {
		if a, _, err = r.Store.ClearAlert(ctx, key.location, key.cause, r.now); err != nil {
			return err
		}
	}
	switch {
	case a.OverAt.IsZero() || a.OverTold:
		return nil
	case r.rests(key.location):
		return r.Store.MarkAlertTold(ctx, a, r.now, 0)
	case r.lasted(a.OverAt, r.Grace):
		told.over = append(told.over, a)
	}
	return nil
}

// rests tells that a location is connected and does not work at present.
func (r *round) rests(location string) bool {
	c, known := r.connections[location]
	return known && c.State != store.Active
}

func compareAlerts(a, b store.Alert) int {
	order := func(a store.Alert) int {
		kind, _ := kindOfCause(a.Cause)
		return slices.Index(watchdogKinds, kind)
	}
	return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Location, b.Location))
}
