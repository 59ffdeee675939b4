package activities

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/store"
)

const (
	// tokenGrace is how long an access token may be over in a location that works. It is renewed with the next call after
	// its end, and there is one with every sweep.
	tokenGrace = time.Hour
	// quotaFresh is how long what HighLevel says of the calls of a day is taken for present. Only the processes that call
	// it hear of it, and the one that looks may not have called for long.
	quotaFresh = 15 * time.Minute
	// tellingTime is how long the process of a connection tries to tell that it must be connected again.
	tellingTime = 25 * time.Hour
	mostReason  = 200
)

// look looks at everything. Its error is one of the store, without which nothing can be said; what Temporal does not
// tell is a finding of its own.
func (r *round) look(ctx context.Context) error {
	r.lookAtQueues(ctx)
	standings, listed := r.lookAtSchedules(ctx)
	if listed {
		for _, c := range r.active {
			r.lookAtSweeps(ctx, c, standings)
		}
	}
	for _, c := range r.connections {
		r.lookAtConnection(c)
	}
	for _, c := range r.active {
		r.lookAtQuota(c)
	}
	if err := r.lookAtTokens(ctx, standings); err != nil {
		return err
	}
	return r.lookAtParked(ctx)
}

func (r *round) find(location, cause, format string, args ...any) {
	r.found = append(r.found, finding{
		alertKey: alertKey{location, cause}, text: fmt.Sprintf(format, args...), lasts: r.Grace,
	})
}

// isBlind notes that something cannot be looked at, and leaves what is known of those kinds as it is.
func (r *round) isBlind(of, what string, err error, kinds ...string) {
	for _, kind := range kinds {
		r.unseen[kind] = true
	}
	if err != nil {
		r.find("", cause(blind, of), "The watchdog cannot see %s: Temporal says: %s. What is wrong there is not told meanwhile; "+
			"look at the Temporal server and at the log of the workers.", what, notify.Cut(err.Error(), mostReason))
	}
}

func (r *round) lookAtQueues(ctx context.Context) {
	states, told, err := r.Queues(ctx)
	if err != nil || !told {
		r.isBlind("queues", "how the task queues stand", err, noWorker, backlog)
		return
	}
	for _, q := range states {
		switch {
		case q.Workers == 0:
			r.find("", cause(noWorker, q.Name), "No worker takes work from the task queue %s, so that its steps wait. "+
				"Nothing is lost. Start a worker; the log of one that runs says why it has left the queue.", q.Name)
		case q.Waiting > 0 && q.Oldest > r.QueueAge:
			todo := "Start more workers, or look in the Temporal UI which steps take so long."
			if q.Limited {
				todo = "A limit of the queue holds it back, so that more workers would not help: it passes with the rush."
			}
			r.find("", cause(backlog, q.Name), "Urgent work has waited in the task queue %s for more than %s. %s",
				q.Name, plainly(r.QueueAge), todo)
		}
	}
}

func (r *round) lookAtSchedules(ctx context.Context) (map[string]ScheduleStanding, bool) {
	standings, err := r.Schedules(ctx)
	if err != nil {
		r.isBlind("schedules", "the schedules of the sweeps", err, unplanned, late)
		return nil, false
	}
	return standings, true
}

// lookAtSweeps looks whether each sweep of a location has a schedule that runs, and succeeds by it.
func (r *round) lookAtSweeps(ctx context.Context, c store.Connection, standings map[string]ScheduleStanding) {
	for _, sweep := range r.Sweeps {
		isLate := alertKey{c.Location, cause(late, sweep.Mark)}
		if sweep.On != nil {
			on, err := sweep.On(ctx, c.Location)
			if err != nil { // settings that cannot be opened show as parked items
				r.unseenCause[isLate] = true
				continue
			}
			if !on {
				continue
			}
		}
		id := sweep.Schedule(c.Location)
		standing, exists := standings[id]
		switch {
		case exists && !standing.Paused:
			r.lookAtSweep(c, sweep)
		case c.Settled < c.Version: // its process is about to put the schedules right
			r.unseenCause[isLate] = true
		default:
			r.unseenCause[isLate] = true // it comes of this
			r.lookAtSchedule(c, sweep, id, standing, exists)
		}
	}
}

func (r *round) lookAtSchedule(c store.Connection, sweep WatchedSweep, id string, standing ScheduleStanding, exists bool) {
	of := cause(unplanned, sweep.Mark)
	switch {
	case !exists:
		r.find(c.Location, of, "The schedule %s is missing, so that no %s begins. `starter schedules apply --location %s` makes it.",
			id, sweep.Words, c.Location)
	case standing.ByHand:
		r.find(c.Location, of, "The schedule %s was paused by hand, so that no %s begins. "+
			"`starter schedules resume --location %s` lets it go on; it finds what happened meanwhile.", id, sweep.Words, c.Location)
	default:
		r.find(c.Location, of, "The schedule %s is still paused although the connection works. "+
			"`starter schedules resume --location %s` lets it go on; it finds what happened meanwhile.", id, c.Location)
	}
}

// lookAtSweep looks when a sweep last succeeded. A location that was connected or resumed since then begins anew. What is
// late for the last of the missed intervals is a finding, so that the sweep by which everything catches up after all
// workers were away has an interval's time to come.
func (r *round) lookAtSweep(c store.Connection, sweep WatchedSweep) {
	last, ever := r.marks[[2]string{c.Location, sweep.Mark}]
	since := last
	if c.StateAt.After(since) {
		since = c.StateAt
	}
	if r.now.Sub(since) <= time.Duration(r.MissedSweeps-1)*sweep.Every {
		return
	}
	what := "The last " + sweep.Words + " that came to its end began at " + moment(last)
	if !ever {
		what = "No " + sweep.Words + " has come to its end since the location was connected at " + moment(c.StateAt)
	}
	r.find(c.Location, cause(late, sweep.Mark), "%s; one is due every %s. Look at the newest run of %s in the Temporal UI: "+
		"the step that fails or is tried again says why. `starter check` tells whether the credentials are good. "+
		"A first sweep over a long past may take this long.", what, plainly(sweep.Every), sweep.Schedule(c.Location))
	r.found[len(r.found)-1].lasts = max(r.Grace, sweep.Every)
}

// lookAtConnection looks whether a connection works, and whether all else has followed it.
func (r *round) lookAtConnection(c store.Connection) {
	if c.Settled < c.Version {
		r.find(c.Location, cause(unfollowed), "A change of the connection is not followed yet: its schedules may not be what its state, %s, "+
			"asks for. Look at the run of its ConnectionUpkeep in the Temporal UI, and whether workers run.", c.State)
	}
	if c.State != store.Reconnect {
		return
	}
	// The process of the connection tells when it begins; here is only told that it lasts, and that it is over.
	if !c.Told && r.now.Sub(c.StateAt) < tellingTime {
		r.unseenCause[alertKey{c.Location, cause(reconnect)}] = true
		return
	}
	todo := "Run `starter connect`, or give it a new token with `starter connect set`."
	if c.Note == NoteAsleep {
		todo = ""
	}
	r.find(c.Location, cause(reconnect), "%s", strings.TrimSpace(fmt.Sprintf(
		"It gives no access since %s.%s Its orders wait and nothing is lost. %s", moment(c.StateAt), sentence(c.Note), todo)))
	if c.Told {
		r.found[len(r.found)-1].told = c.StateAt
	}
}

func (r *round) lookAtQuota(c store.Connection) {
	key := alertKey{c.Location, cause(fewCalls)}
	q, said := r.Quota(c.Location)
	if !said || r.now.Sub(q.At) > quotaFresh {
		// Another process may know better. After a day the quota is another.
		r.unseenCause[key] = r.now.Sub(r.known[key].Since) < 24*time.Hour
		return
	}
	if q.Left*100 < q.Limit*int64(r.QuotaLeft) {
		r.find(c.Location, key.cause, "Fewer than %d %% of the %d calls that HighLevel allows in a day are left. When none is left, "+
			"everything of this location waits until HighLevel renews them, and nothing is lost. Look what calls so much: a backfill, "+
			"a short SYNC_INTERVAL, or another program with the same app.", r.QuotaLeft, q.Limit)
	}
}

// lookAtTokens looks for access tokens that should have been renewed.
func (r *round) lookAtTokens(ctx context.Context, standings map[string]ScheduleStanding) error {
	owners := map[string]store.Connection{}
	for _, c := range r.active {
		// Where nothing calls, nothing is renewed.
		if c.Access != store.ByPrivateToken && len(r.Sweeps) > 0 && !standings[r.Sweeps[0].Schedule(c.Location)].Paused {
			owners[store.TokenOfLocation(c.Location)] = c
		}
	}
	if len(owners) == 0 {
		return nil
	}
	return eachPage(func(p store.Page) (string, error) {
		tokens, next, err := r.Store.Tokens(ctx, p)
		for _, t := range tokens {
			c, ours := owners[t.Owner]
			if !ours || t.Expires.IsZero() || r.now.Sub(t.Expires) <= tokenGrace {
				continue
			}
			r.find(c.Location, cause(expired), "The access token ended at %s and was not renewed. Look in the log of the workers for what "+
				"HighLevel or the store says about it. If it stays like that, connect the location again with `starter connect`.", moment(t.Expires))
		}
		return next, err
	})
}

// lookAtParked looks for items that a person must do something about.
func (r *round) lookAtParked(ctx context.Context) error {
	sums, err := r.Store.ParkedSums(ctx)
	if err != nil {
		return err
	}
	type sum struct {
		count  int64
		oldest time.Time
		due    bool
	}
	all := map[[2]string]*sum{}
	for _, s := range sums {
		rule, known := Rules[Kind(s.Kind)]
		if r.rests(s.Location) || known && rule.Tell != Operator {
			continue
		}
		key := [2]string{s.Location, s.Kind}
		if all[key] == nil {
			all[key] = &sum{oldest: s.Oldest}
		}
		of := all[key]
		of.count += s.Count
		if s.Oldest.Before(of.oldest) {
			of.oldest = s.Oldest
		}
		of.due = of.due || s.Waits || r.now.Sub(s.Oldest) >= r.ParkedAge
	}
	for key, s := range all {
		if !s.due {
			continue
		}
		items := fmt.Sprintf("%d items are", s.count)
		if s.count == 1 {
			items = "1 item is"
		}
		r.find(key[0], cause(parked, key[1]), "%s parked as %s, the first since %s. `starter status --location %s` says why and what to do; "+
			"`starter replay --location %s --kind %s` has them tried again.", items, key[1], moment(s.oldest), key[0], key[0], key[1])
	}
	return nil
}

// moment is a time as people read it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// plainly is a duration without the zeros at its end: 15m instead of 15m0s.
func plainly(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
