package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

// kennel is the watchdog with its real step, on a real store, with a real webhook to tell operators by. What Temporal and
// HighLevel say is as the test has it; that they are asked rightly is shown in the packages that ask.
type kennel struct {
	t     *testing.T
	store *store.Store
	dog   *activities.Watchdog
	// now is when the next pass is.
	now time.Time

	standings   map[string]activities.ScheduleStanding
	queues      []cluster.QueueState
	quota       map[string]ghl.Quota
	noSchedules error
	noQueues    error
	shipping    bool

	mu   sync.Mutex
	told []string
	// answer is what the webhook answers; an answer that is lost was told all the same.
	answer int
}

const (
	often  = 5 * time.Minute
	grace  = 5 * time.Minute
	remind = 24 * time.Hour
)

func newKennel(t *testing.T) *kennel {
	t.Helper()
	k := &kennel{
		t: t, now: time.Now(), answer: http.StatusOK, shipping: true, quota: map[string]ghl.Quota{},
		standings: map[string]activities.ScheduleStanding{},
		queues:    []cluster.QueueState{{Name: workflows.MainQueue, Workers: 2}, {Name: workflows.GHLQueue, Workers: 2}},
	}
	var err error
	k.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "tallystick.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.store.Close()) })
	people := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message map[string]string
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Error(err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.answer == http.StatusOK {
			k.told = append(k.told, message["text"])
		}
		w.WriteHeader(k.answer)
	}))
	t.Cleanup(people.Close)
	webhook, err := notify.New(people.URL+"/services/secret", http.DefaultTransport)
	require.NoError(t, err)
	k.dog = &activities.Watchdog{
		Store: k.store, Notify: webhook,
		Sweeps: []activities.WatchedSweep{
			{Words: "sweep of payments", Mark: activities.PaymentSweepMark, Every: often, Schedule: workflows.PaymentSweepID},
			{
				Words: "sweep of shipping", Mark: activities.FulfillmentSweepMark, Every: 3 * often, Schedule: workflows.FulfillmentSweepID,
				On: func(context.Context, string) (bool, error) { return k.shipping, nil },
			},
		},
		Schedules: func(context.Context) (map[string]activities.ScheduleStanding, error) {
			return k.standings, k.noSchedules
		},
		Queues: func(context.Context) ([]cluster.QueueState, bool, error) { return k.queues, true, k.noQueues },
		Quota: func(location string) (ghl.Quota, bool) {
			q, said := k.quota[location]
			return q, said
		},
		Grace: grace, Remind: remind, MissedSweeps: 3, QueueAge: 15 * time.Minute, ParkedAge: time.Hour, QuotaLeft: 10,
	}
	return k
}

// connects makes a location with all schedules, of which everything works.
func (k *kennel) connects(id, name string) {
	k.t.Helper()
	k.becomes(id, name, store.Active, "")
	k.standings[workflows.PaymentSweepID(id)] = activities.ScheduleStanding{}
	k.standings[workflows.FulfillmentSweepID(id)] = activities.ScheduleStanding{}
	k.sweeps(id)
}

// becomes gives a connection a state that all else has followed.
func (k *kennel) becomes(id, name string, state store.ConnectionState, note string) store.Connection {
	k.t.Helper()
	ctx := k.t.Context()
	c, found, err := k.store.Connection(ctx, id)
	require.NoError(k.t, err)
	if !found {
		c = store.Connection{Location: id, Name: name, Access: store.ByOAuth, Sage: store.SageOfEnvironment}
	}
	c.State, c.Note = state, note
	c, err = k.store.SaveConnection(ctx, c)
	require.NoError(k.t, err)
	require.NoError(k.t, k.store.SettleConnection(ctx, id, c.Version))
	return c
}

// sweeps has both sweeps of a location succeed now.
func (k *kennel) sweeps(id string) {
	k.t.Helper()
	for _, mark := range []string{activities.PaymentSweepMark, activities.FulfillmentSweepMark} {
		require.NoError(k.t, k.store.SetCursor(k.t.Context(), id, mark, k.now))
	}
}

// pass is one run of the process, and what operators read in it.
func (k *kennel) pass() (activities.WatchReport, []string) {
	k.t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartTime(k.now)
	env.SetTestTimeout(time.Minute)
	workflows.Register(env)
	env.RegisterActivity(k.dog)
	k.mu.Lock()
	k.told = nil
	k.mu.Unlock()
	env.ExecuteWorkflow(workflows.Watchdog, workflows.WatchdogInput{})
	require.True(k.t, env.IsWorkflowCompleted())
	require.NoError(k.t, env.GetWorkflowError())
	var report activities.WatchReport
	require.NoError(k.t, env.GetWorkflowResult(&report))
	at, _, err := k.store.Cursor(k.t.Context(), activities.Everywhere, activities.WatchdogMark)
	require.NoError(k.t, err)
	require.WithinDuration(k.t, k.now, at, time.Second, "others see that it is alive")
	k.mu.Lock()
	defer k.mu.Unlock()
	return report, k.told
}

// later is a pass after some time. Sweeps succeed meanwhile, unless the test has them fail.
func (k *kennel) later(d time.Duration, sweeping ...string) []string {
	k.t.Helper()
	k.now = k.now.Add(d)
	for _, id := range sweeping {
		k.sweeps(id)
	}
	_, told := k.pass()
	return told
}

func (k *kennel) park(kind activities.Kind, id string, next time.Time) {
	k.t.Helper()
	require.NoError(k.t, k.store.Park(k.t.Context(), store.Parked{
		Location: "shop", Process: store.PaymentToOrder, ObjectID: id, Kind: string(kind), Reason: "why", ParkedAt: k.now, NextTry: next,
	}))
}

// causes are all that the watchdog knows. Each begins, and is mended.
var causes = []struct {
	name        string
	begin, mend func(*kennel)
	// after is how long it takes until operators are told, if that is more than the grace.
	after time.Duration
	// says is in the message; todo is what operators are to do.
	says, todo, over string
	// stops: sweeps do not succeed meanwhile.
	stops bool
}{
	{
		name:  "sweeps that do not succeed",
		begin: func(*kennel) {}, mend: func(k *kennel) { k.sweeps("shop") }, stops: true, after: 3 * often,
		says: "The last sweep of payments that came to its end began at", todo: "the newest run of payment-sweep/shop",
		over: "it was late: sweep of payments",
	},
	{
		name:  "a schedule that is missing",
		begin: func(k *kennel) { delete(k.standings, workflows.FulfillmentSweepID("shop")) },
		mend:  func(k *kennel) { k.standings[workflows.FulfillmentSweepID("shop")] = activities.ScheduleStanding{} },
		says:  "The schedule fulfillment-sweep/shop is missing", todo: "`starter schedules apply --location shop`",
		over: "the schedule was paused or missing: sweep of shipping",
	},
	{
		name: "a schedule that a person paused",
		begin: func(k *kennel) {
			k.standings[workflows.PaymentSweepID("shop")] = activities.ScheduleStanding{Paused: true, ByHand: true}
		},
		mend: func(k *kennel) { k.standings[workflows.PaymentSweepID("shop")] = activities.ScheduleStanding{} },
		says: "payment-sweep/shop was paused by hand", todo: "`starter schedules resume --location shop`",
		over: "the schedule was paused or missing: sweep of payments",
	},
	{
		name: "a schedule that was not resumed",
		begin: func(k *kennel) {
			k.standings[workflows.PaymentSweepID("shop")] = activities.ScheduleStanding{Paused: true}
		},
		mend: func(k *kennel) { k.standings[workflows.PaymentSweepID("shop")] = activities.ScheduleStanding{} },
		says: "still paused although the connection works", todo: "`starter schedules resume --location shop`",
		over: "the schedule was paused or missing: sweep of payments",
	},
	{
		name:  "a queue that nobody works on",
		begin: func(k *kennel) { k.queues[1].Workers = 0 }, mend: func(k *kennel) { k.queues[1].Workers = 1 },
		says: "No worker takes work from the task queue tallystick-ghl", todo: "Start a worker",
		over: "no worker took work from the task queue tallystick-ghl",
	},
	{
		name:  "work that waits",
		begin: func(k *kennel) { k.queues[0].Waiting, k.queues[0].Oldest = 80, 16*time.Minute },
		mend:  func(k *kennel) { k.queues[0].Waiting, k.queues[0].Oldest = 80, time.Minute },
		says:  "waited in the task queue tallystick for more than 15m", todo: "Start more workers",
		over: "urgent work waited in the task queue tallystick",
	},
	{
		name: "work that a limit holds back",
		begin: func(k *kennel) {
			k.queues[1] = cluster.QueueState{Name: workflows.GHLQueue, Workers: 1, Waiting: 9, Oldest: time.Hour, Limited: true}
		},
		mend: func(k *kennel) { k.queues[1] = cluster.QueueState{Name: workflows.GHLQueue, Workers: 1} },
		says: "tallystick-ghl for more than 15m", todo: "more workers would not help",
		over: "urgent work waited in the task queue tallystick-ghl",
	},
	{
		name:  "an item that waits for a person",
		begin: func(k *kennel) { k.park(activities.Money, "o1", time.Time{}) },
		mend:  func(k *kennel) { k.unpark("o1") },
		says:  "1 item is parked as Money", todo: "`starter replay --location shop --kind Money`", over: "items were parked as Money",
	},
	{
		name: "items that do not heal by themselves",
		begin: func(k *kennel) {
			k.park(activities.Mapping, "o1", k.now.Add(often))
			k.park(activities.Mapping, "o2", k.now.Add(often))
		},
		mend: func(k *kennel) { k.unpark("o1", "o2") }, after: time.Hour + grace,
		says: "2 items are parked as Mapping", todo: "`starter status --location shop`", over: "items were parked as Mapping",
	},
	{
		name:  "a kind of another version",
		begin: func(k *kennel) { k.park("Novel", "o1", time.Time{}) }, mend: func(k *kennel) { k.unpark("o1") },
		says: "1 item is parked as Novel", todo: "`starter status --location shop`", over: "items were parked as Novel",
	},
	{
		name: "few calls of the day left",
		begin: func(k *kennel) {
			k.quota["shop"] = ghl.Quota{Limit: 200000, Left: 19999, At: k.now.Add(100 * time.Hour)}
		},
		mend: func(k *kennel) {
			k.quota["shop"] = ghl.Quota{Limit: 200000, Left: 20000, At: k.now.Add(100 * time.Hour)}
		},
		says: "Fewer than 10 % of the 200000 calls", todo: "Look what calls so much",
		over: "few calls of the day were left",
	},
	{
		name:  "a token that is not renewed",
		begin: func(k *kennel) { k.token(k.now.Add(-61 * time.Minute)) }, mend: func(k *kennel) { k.token(k.now.Add(100 * time.Hour)) },
		says: "The access token ended at", todo: "`starter connect`", over: "its access token was not renewed",
	},
	{
		name: "a change that is not followed",
		begin: func(k *kennel) {
			c, _, err := k.store.Connection(k.t.Context(), "shop")
			require.NoError(k.t, err)
			c.Note = "changed"
			_, err = k.store.SaveConnection(k.t.Context(), c)
			require.NoError(k.t, err)
		},
		mend: func(k *kennel) { k.becomes("shop", "", store.Active, "") },
		says: "A change of the connection is not followed yet", todo: "whether workers run",
		over: "a change of the connection was not followed",
	},
	{
		name:  "schedules that cannot be seen",
		begin: func(k *kennel) { k.noSchedules = errors.New("the frontend is away") }, mend: func(k *kennel) { k.noSchedules = nil },
		says: "The watchdog cannot see the schedules of the sweeps: Temporal says: the frontend is away", todo: "look at the Temporal server",
		over: "the watchdog could not see the schedules",
	},
	{
		name:  "queues that cannot be seen",
		begin: func(k *kennel) { k.noQueues = errors.New("the frontend is away") }, mend: func(k *kennel) { k.noQueues = nil },
		says: "cannot see how the task queues stand", todo: "look at the Temporal server", over: "the watchdog could not see the queues",
	},
}

func (k *kennel) unpark(ids ...string) {
	k.t.Helper()
	for _, id := range ids {
		require.NoError(k.t, k.store.Unpark(k.t.Context(), "shop", store.PaymentToOrder, id))
	}
}

func (k *kennel) token(expires time.Time) {
	k.t.Helper()
	_, err := k.store.PutToken(k.t.Context(), store.Token{
		Owner: store.TokenOfLocation("shop"), Pair: store.Sealed{KeyID: "k1", Text: "sealed"}, Expires: expires,
	})
	require.NoError(k.t, err)
}

// TestEachCauseIsToldWhenItBeginsAgainAndWhenItIsOver: and at no other time, though there is a pass each minute.
func TestEachCauseIsToldWhenItBeginsAgainAndWhenItIsOver(t *testing.T) {
	for _, c := range causes {
		t.Run(c.name, func(t *testing.T) {
			k := newKennel(t)
			k.connects("shop", "Ada's <Shop>")
			sweeping := []string{"shop"}
			require.Empty(t, k.later(time.Minute, sweeping...), "everything works")
			c.begin(k)
			if c.stops {
				sweeping = nil
				k.shipping = false // so that it is one cause
			}
			after := max(c.after, grace)
			began := k.now
			var told []string
			for len(told) == 0 && k.now.Sub(began) < after+time.Hour {
				told = k.later(time.Minute, sweeping...)
			}
			require.Len(t, told, 1)
			require.InDelta(t, after, k.now.Sub(began), float64(2*time.Minute), "it is told after %s", k.now.Sub(began))
			require.Contains(t, told[0], c.says)
			require.Contains(t, told[0], c.todo)
			require.NotContains(t, told[0], "wrong or have changed", "it is one thing")
			if k.open()[0].Location != "" {
				require.Contains(t, told[0], "Ada's &lt;Shop&gt; (shop)")
			}
			first := k.now
			for k.now.Sub(first) < remind-time.Hour {
				require.Empty(t, k.later(20*time.Minute, sweeping...), "it is told once")
			}
			told = k.later(time.Hour, sweeping...)
			require.Len(t, told, 1, "and again after a day")
			require.Contains(t, told[0], "Tallystick: still: ")
			require.Contains(t, told[0], c.says)
			require.Empty(t, k.later(time.Minute, sweeping...))

			c.mend(k)
			sweeping = []string{"shop"}
			mended := k.now
			for told = nil; len(told) == 0 && k.now.Sub(mended) < time.Hour; {
				told = k.later(time.Minute, sweeping...)
			}
			require.Len(t, told, 1)
			require.Contains(t, told[0], "Tallystick: over: ")
			require.Contains(t, told[0], c.over)
			require.Empty(t, k.open())
			require.Empty(t, k.later(remind, sweeping...))
		})
	}
}

// open are the alerts that are not over.
func (k *kennel) open() []store.Alert {
	k.t.Helper()
	alerts, _, err := k.store.Alerts(k.t.Context(), store.AlertFilter{Open: true})
	require.NoError(k.t, err)
	return alerts
}

func TestWhatPassesWithinTheGraceIsNotTold(t *testing.T) {
	k := newKennel(t)
	k.connects("shop", "")
	for range 5 {
		k.queues[0].Workers = 0
		require.Empty(t, k.later(time.Minute, "shop"))
		require.Empty(t, k.later(grace-time.Minute, "shop"))
		k.queues[0].Workers = 1
		require.Empty(t, k.later(time.Minute, "shop"))
	}
}

// TestWhatComesAndGoesIsToldOnce: it is over only when it has been well for as long as it had to be wrong.
func TestWhatComesAndGoesIsToldOnce(t *testing.T) {
	k := newKennel(t)
	k.connects("shop", "")
	k.queues[0].Workers = 0
	require.Empty(t, k.later(0, "shop"))
	require.Len(t, k.later(grace, "shop"), 1)
	for range 10 {
		k.queues[0].Workers = 1
		require.Empty(t, k.later(time.Minute, "shop"))
		k.queues[0].Workers = 0
		require.Empty(t, k.later(time.Minute, "shop"))
	}
	k.queues[0].Workers = 1
	require.Empty(t, k.later(time.Minute, "shop"))
	require.Len(t, k.later(grace, "shop"), 1)
}

// TestABrokenWebhookLosesNothing: it is told what began, what lasted and what is over once it is there again.
func TestABrokenWebhookLosesNothing(t *testing.T) {
	k := newKennel(t)
	k.connects("shop", "")
	k.answer = http.StatusBadGateway
	k.queues[1].Workers = 0
	require.Empty(t, k.later(0, "shop"))
	k.now = k.now.Add(grace)
	report, _ := k.pass()
	require.Contains(t, report.Untold, "502")
	require.Equal(t, activities.WatchReport{Open: 1, Untold: report.Untold}, report)
	k.answer = http.StatusOK
	require.Len(t, k.later(time.Minute, "shop"), 1)
	require.Empty(t, k.later(time.Minute, "shop"))

	k.answer, k.queues[1].Workers = http.StatusForbidden, 1
	require.Empty(t, k.later(time.Minute, "shop"))
	require.Empty(t, k.later(grace, "shop"))
	k.answer = http.StatusOK
	told := k.later(time.Minute, "shop")
	require.Len(t, told, 1)
	require.Contains(t, told[0], "over")
	require.Empty(t, k.later(time.Minute, "shop"))
}

func TestSeveralCausesAreOneMessage(t *testing.T) {
	k := newKennel(t)
	for i := range 6 {
		k.connects(fmt.Sprint("shop", i), fmt.Sprint("Name ", i))
	}
	k.connects("shop", "Ada")
	k.queues[0].Workers = 0
	k.park(activities.Conflict, "o1", time.Time{})
	for i := range 6 {
		delete(k.standings, workflows.PaymentSweepID(fmt.Sprint("shop", i)))
	}
	require.Empty(t, k.later(0))
	told := k.later(grace)
	require.Len(t, told, 1)
	require.Contains(t, told[0], "Tallystick: 8 things are wrong")
	require.Contains(t, told[0], "\nNew:\n• No worker takes work from the task queue tallystick,", "what may be behind others is first")
	require.Contains(t, told[0], "\n• 6 locations, among them Name 0 (shop0) and Name 1 (shop1). Of the first: The schedule payment-sweep/shop0 is missing")
	require.NotContains(t, told[0], "payment-sweep/shop1", "which is not said six times")
	require.Contains(t, told[0], "\n• HighLevel location Ada (shop): 1 item is parked as Conflict")
	k.queues[0].Workers = 1
	k.unpark("o1")
	for i := range 6 {
		k.standings[workflows.PaymentSweepID(fmt.Sprint("shop", i))] = activities.ScheduleStanding{}
	}
	all := []string{"shop", "shop0", "shop1", "shop2", "shop3", "shop4", "shop5"}
	require.Empty(t, k.later(time.Minute, all...))
	told = k.later(grace, all...)
	require.Len(t, told, 1)
	require.Contains(t, told[0], "\nOver:\n• no worker took work")
	require.Contains(t, told[0], "6 locations, among them Name 0 (shop0) and Name 1 (shop1): the schedule was paused")
}

// TestAMessageIsNeverTooLong: a webhook would cut it, and services refuse what is longer.
func TestAMessageIsNeverTooLong(t *testing.T) {
	k := newKennel(t)
	k.connects("shop", "")
	for i := range 60 {
		k.park(activities.Kind(fmt.Sprintf("Kind%02d", i)), fmt.Sprint("o", i), time.Time{})
	}
	require.Empty(t, k.later(0, "shop"))
	told := k.later(grace, "shop")
	require.Len(t, told, 1)
	require.LessOrEqual(t, len([]rune(told[0])), 3700)
	require.Regexp(t, "… and [0-9]+ more: `starter status` lists all that is wrong.$", told[0])
	require.Empty(t, k.later(time.Minute, "shop"), "those were told too")
}

// TestAReconnectIsNotToldTwice: the process of the connection tells when it begins.
func TestAReconnectIsNotToldTwice(t *testing.T) {
	k := newKennel(t)
	k.connects("shop", "Ada")
	c := k.becomes("shop", "", store.Reconnect, "HighLevel takes the refresh token no more")
	require.Empty(t, k.later(time.Hour), "its process is about to tell")
	require.Empty(t, k.open())
	require.NoError(t, k.store.MarkTold(t.Context(), "shop", c.Version))
	require.Empty(t, k.later(time.Hour))
	told := k.later(22*time.Hour + time.Minute)
	require.Len(t, told, 1, "but it is reminded of")
	require.Contains(t, told[0], "still: HighLevel location Ada (shop): It gives no access since")
	require.Contains(t, told[0], "HighLevel takes the refresh token no more. Its orders wait")
	require.Contains(t, told[0], "`starter connect`")
	k.becomes("shop", "", store.Active, "")
	require.Empty(t, k.later(time.Minute, "shop"))
	told = k.later(grace, "shop")
	require.Len(t, told, 1)
	require.Contains(t, told[0], "over: HighLevel location Ada (shop): it gave no access")
}

// TestAReconnectThatCouldNotBeToldIs: its process gives up after a day.
func TestAReconnectThatCouldNotBeToldIs(t *testing.T) {
	k := newKennel(t)
	k.connects("shop", "Ada")
	k.becomes("shop", "", store.Reconnect, activities.NoteAsleep)
	require.Empty(t, k.later(24*time.Hour))
	require.Empty(t, k.later(time.Hour+time.Minute))
	told := k.later(grace)
	require.Len(t, told, 1)
	require.Contains(t, told[0], "once it is active there again")
	require.NotContains(t, told[0], "starter connect set", "it costs no credentials")
}

// TestWhatRestsIsLeftAlone: a location that was stopped is not late, and what was wrong with it was not mended by that.
func TestWhatRestsIsLeftAlone(t *testing.T) {
	k := newKennel(t)
	k.connects("shop", "")
	k.park(activities.Money, "o1", time.Time{})
	require.Empty(t, k.later(0, "shop"))
	require.Len(t, k.later(grace, "shop"), 1)
	k.becomes("shop", "", store.Paused, "")
	for id := range k.standings {
		k.standings[id] = activities.ScheduleStanding{Paused: true}
	}
	require.Empty(t, k.later(48*time.Hour))
	require.Empty(t, k.later(grace))
	require.Empty(t, k.open())
	k.now = time.Now() // the store goes by this clock
	k.becomes("shop", "", store.Active, "")
	for id := range k.standings {
		k.standings[id] = activities.ScheduleStanding{}
	}
	require.Empty(t, k.later(0))
	require.Len(t, k.later(grace), 1, "it is still there")
	_, told := k.pass()
	require.Empty(t, told)
}

// TestWhatCannotBeSeenStaysAsItIs: it is neither over nor told anew.
func TestWhatCannotBeSeenStaysAsItIs(t *testing.T) {
	k := newKennel(t)
	k.connects("shop", "")
	delete(k.standings, workflows.FulfillmentSweepID("shop"))
	k.quota["shop"] = ghl.Quota{Limit: 100, Left: 1, At: k.now}
	require.Empty(t, k.later(0, "shop"))
	require.Len(t, k.later(grace, "shop"), 1)
	require.Len(t, k.open(), 2)
	k.noSchedules = errors.New("away")
	for range 3 {
		require.Empty(t, k.later(time.Minute, "shop"))
	}
	k.noSchedules = nil
	require.Empty(t, k.later(20*time.Minute, "shop"), "nobody has called HighLevel since, or not from here")
	require.Len(t, k.open(), 2)
	require.Len(t, k.later(24*time.Hour, "shop"), 1)
	require.Len(t, k.open(), 1, "but after a day its calls are renewed")
}

// TestALookThatComesEarlyCounts: where the looks are as far apart as the grace is long, the second one tells.
func TestALookThatComesEarlyCounts(t *testing.T) {
	k := newKennel(t)
	k.connects("shop", "")
	k.queues[0].Workers = 0
	require.Empty(t, k.later(0, "shop"))
	require.Empty(t, k.later(grace-30*time.Second, "shop"))
	require.Len(t, k.later(20*time.Second, "shop"), 1)
	k.queues[0].Workers = 1
	require.Empty(t, k.later(time.Minute, "shop"))
	require.Len(t, k.later(grace-10*time.Second, "shop"), 1)
}

// TestAfterAllWorkersWereAway: sweeps that have just begun to catch up are not told of.
func TestAfterAllWorkersWereAway(t *testing.T) {
	k := newKennel(t)
	k.connects("shop", "")
	require.Empty(t, k.later(10*time.Hour), "nothing has swept for ten hours")
	require.Len(t, k.open(), 2)
	require.Empty(t, k.later(4*time.Minute))
	require.Empty(t, k.later(0, "shop"), "and now it has")
	require.Empty(t, k.open())
}

// TestWithoutAWebhookTheLogIsToldOfAlerts: and nobody is told later of what was then.
func TestWithoutAWebhookTheLogIsToldOfAlerts(t *testing.T) {
	k := newKennel(t)
	k.connects("shop", "")
	k.dog.Notify = nil
	k.queues[0].Workers = 0
	require.Empty(t, k.later(0, "shop"))
	k.now = k.now.Add(grace)
	report, _ := k.pass()
	require.Equal(t, activities.WatchReport{Open: 1, Began: 1}, report)
	require.False(t, k.open()[0].ToldAt.IsZero())
}

// TestAStoreThatIsAwayEndsThePass: nothing could be said. The run fails, which the Temporal UI shows.
func TestAStoreThatIsAwayEndsThePass(t *testing.T) {
	k := newKennel(t)
	away, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "away.db"))
	require.NoError(t, err)
	require.NoError(t, away.Close())
	k.dog.Store = away
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	workflows.Register(env)
	env.RegisterActivity(k.dog)
	began := env.Now()
	env.ExecuteWorkflow(workflows.Watchdog, workflows.WatchdogInput{})
	require.Error(t, env.GetWorkflowError())
	require.Less(t, env.Now().Sub(began), 10*time.Minute, "the next look makes up for it")
}
