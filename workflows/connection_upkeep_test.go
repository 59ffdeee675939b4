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
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

// upkeep is the process of one connection with its real steps, on a real store, with a real webhook to tell people by.
// Only the schedules are a list of what was done to them; that they are kept right is shown in package schedules.
type upkeep struct {
	t        *testing.T
	store    *store.Store
	notify   *notify.Webhook
	schedule *schedule
	mu       sync.Mutex
	told     []string
	// answer is what the webhook answers.
	answer func() int
}

// schedule notes what is done to the schedules of the location.
type schedule struct {
	mu    sync.Mutex
	calls []string
	// during is called in the middle of each call, and decides what comes of it.
	during func(call string) error
	// swept says that Apply made the schedules.
	swept bool
}

func (s *schedule) call(name, note string) error {
	if note != "" {
		name += ": " + note
	}
	s.mu.Lock()
	s.calls = append(s.calls, name)
	during := s.during
	s.mu.Unlock()
	if during == nil {
		return nil
	}
	return during(name)
}

func (s *schedule) Apply(context.Context, string) (bool, error)   { return s.swept, s.call("apply", "") }
func (s *schedule) Pause(_ context.Context, _, note string) error { return s.call("pause", note) }
func (s *schedule) Resume(_ context.Context, _ string, note string) error {
	return s.call("resume", "")
}
func (s *schedule) Trigger(context.Context, string) error { return s.call("trigger", "") }
func (s *schedule) Remove(context.Context, string) error  { return s.call("remove", "") }

func newUpkeep(t *testing.T) *upkeep {
	t.Helper()
	u := &upkeep{t: t, schedule: &schedule{}, answer: func() int { return http.StatusOK }}
	var err error
	u.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "tallystick.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, u.store.Close()) })
	people := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message map[string]string
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Error(err)
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		status := u.answer()
		if status == http.StatusOK {
			u.told = append(u.told, message["text"])
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(people.Close)
	u.notify, err = notify.New(people.URL+"/services/secret", http.DefaultTransport)
	require.NoError(t, err)
	return u
}

// becomes gives the connection a state, and makes it where there is none.
func (u *upkeep) becomes(state store.ConnectionState, note string) store.Connection {
	u.t.Helper()
	c, found, err := u.store.Connection(context.WithoutCancel(u.t.Context()), location)
	require.NoError(u.t, err)
	if !found {
		c = store.Connection{Location: location, Name: "Ada's <Shop>", Access: store.ByOAuth, Sage: store.SageOfEnvironment}
	}
	c.State, c.Note = state, note
	c, err = u.store.SaveConnection(context.WithoutCancel(u.t.Context()), c)
	require.NoError(u.t, err)
	return c
}

func (u *upkeep) connection() store.Connection {
	u.t.Helper()
	c, found, err := u.store.Connection(u.t.Context(), location)
	require.NoError(u.t, err)
	require.True(u.t, found)
	return c
}

// env is one run of the process, which nothing has reached of an earlier one.
func (u *upkeep) env() *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	workflows.Register(env)
	env.RegisterActivity(&activities.Connections{Store: u.store, Schedules: u.schedule, Notify: u.notify})
	return env
}

// runs lets the process run to its end, and checks that what it leaves is settled.
func (u *upkeep) runs(env *testsuite.TestWorkflowEnvironment) workflows.ConnectionUpkeepStatus {
	u.t.Helper()
	env.ExecuteWorkflow(workflows.ConnectionUpkeep, workflows.ConnectionUpkeepInput{Location: location})
	require.True(u.t, env.IsWorkflowCompleted())
	require.NoError(u.t, env.GetWorkflowError())
	var status workflows.ConnectionUpkeepStatus
	require.NoError(u.t, env.GetWorkflowResult(&status))
	require.Empty(u.t, status.Step)
	if status.State != "" {
		c := u.connection()
		require.Equal(u.t, c.Version, c.Settled, "nothing is left to follow")
		require.Equal(u.t, c.State, status.State)
	}
	return status
}

func (u *upkeep) parked(kind activities.Kind, id string) {
	u.t.Helper()
	require.NoError(u.t, u.store.Park(u.t.Context(), store.Parked{
		Location: location, Process: store.PaymentToOrder, ObjectID: id, Kind: string(kind), Reason: "why",
		ParkedAt: time.Now(), NextTry: time.Now().Add(20 * time.Hour),
	}))
}

func (u *upkeep) due() []string {
	u.t.Helper()
	items, _, err := u.store.ParkedItems(u.t.Context(), store.ParkedFilter{Location: location, DueBefore: time.Now()})
	require.NoError(u.t, err)
	var ids []string
	for _, item := range items {
		ids = append(ids, item.ObjectID)
	}
	return ids
}

func TestAnActiveConnectionIsSweptAndWhatWaitedIsDue(t *testing.T) {
	u := newUpkeep(t)
	u.becomes(store.Active, "")
	for _, kind := range []activities.Kind{
		activities.Reconnect, activities.Paused, activities.Unauthorized, activities.Forbidden, activities.Mapping,
		activities.Invalid, activities.Money, activities.Conflict,
	} {
		u.parked(kind, string(kind))
	}
	status := u.runs(u.env())
	require.Equal(t, []string{"apply", "resume", "trigger"}, u.schedule.calls)
	require.EqualValues(t, 5, status.Woken)
	require.ElementsMatch(t, []string{"Reconnect", "Paused", "Unauthorized", "Forbidden", "Mapping"}, u.due(),
		"what only a person can mend waits for that person")
	require.Empty(t, u.told)
}

func TestANewConnectionIsSweptOnce(t *testing.T) {
	u := newUpkeep(t)
	u.becomes(store.Active, "")
	u.schedule.swept = true
	u.runs(u.env())
	require.Equal(t, []string{"apply", "resume"}, u.schedule.calls)
}

func TestAConnectionThatMayNotWorkRests(t *testing.T) {
	for state, words := range map[store.ConnectionState]string{
		store.Pending: "pause: the connection is not told to work yet: choose a tenant",
		store.Paused:  "pause: the connection is paused: choose a tenant",
	} {
		u := newUpkeep(t)
		u.becomes(state, "choose a tenant")
		u.parked(activities.Paused, "order-1")
		u.runs(u.env())
		require.Equal(t, []string{words}, u.schedule.calls)
		require.Empty(t, u.due())
		require.Empty(t, u.told, "who paused it knows")
	}
}

func TestARefusedConnectionRestsAndTheOperatorIsToldOnce(t *testing.T) {
	u := newUpkeep(t)
	u.becomes(store.Reconnect, "HighLevel refuses the refresh token.")
	u.runs(u.env())
	require.Equal(t, []string{"pause: the connection is refused by HighLevel: HighLevel refuses the refresh token."}, u.schedule.calls)
	require.Len(t, u.told, 1)
	for _, words := range []string{
		"Ada's &lt;Shop&gt; (location-1) must be connected again", "HighLevel refuses the refresh token. Its", "starter connect",
	} {
		require.Contains(t, u.told[0], words)
	}
	require.True(t, u.connection().Told)

	u.runs(u.env()) // as after a crash: this run knows of no other
	c := u.connection()
	c.Name = "Renamed"
	_, err := u.store.SaveConnection(t.Context(), c)
	require.NoError(t, err)
	u.runs(u.env())
	require.Len(t, u.told, 1, "the state is the same")

	u.becomes(store.Active, "")
	u.runs(u.env())
	u.becomes(store.Reconnect, "again")
	u.runs(u.env())
	require.Len(t, u.told, 2, "this is another time")
}

func TestAMessageArrivesLater(t *testing.T) {
	u := newUpkeep(t)
	u.becomes(store.Reconnect, "why")
	answers := []int{500, 429, 200}
	u.answer = func() int {
		status := answers[0]
		answers = answers[1:]
		return status
	}
	require.Empty(t, u.runs(u.env()).Untold)
	require.Len(t, u.told, 1)
	require.Empty(t, answers)
}

func TestAMessageThatIsRefusedHoldsNothingUp(t *testing.T) {
	u := newUpkeep(t)
	u.becomes(store.Reconnect, "why")
	u.answer = func() int { return http.StatusNotFound }
	status := u.runs(u.env())
	require.Contains(t, status.Untold, "NOTIFY_WEBHOOK_URL")
	require.NotContains(t, status.Untold, "secret")
	require.False(t, u.connection().Told)
}

func TestWithoutAWebhookTheLogIsTold(t *testing.T) {
	u := newUpkeep(t)
	u.becomes(store.Reconnect, "why")
	u.notify = &notify.Webhook{}
	u.runs(u.env())
	require.True(t, u.connection().Told)
}

// TestAConnectionThatIsBackIsNotHeldUpByAMessage: nobody answers there, and the location goes on all the same.
func TestAConnectionThatIsBackIsNotHeldUpByAMessage(t *testing.T) {
	u := newUpkeep(t)
	u.becomes(store.Reconnect, "why")
	u.answer = func() int { return http.StatusServiceUnavailable }
	env := u.env()
	env.RegisterDelayedCallback(func() {
		u.becomes(store.Active, "")
		env.SignalWorkflow(workflows.LookSignal, workflows.Hint{Source: workflows.FromOperator})
	}, 5*time.Minute) // the environment of the test gives up after ten attempts
	began := env.Now()
	status := u.runs(env)
	require.Equal(t, 1, status.Hints)
	require.Equal(t, "trigger", u.schedule.calls[len(u.schedule.calls)-1])
	require.Less(t, env.Now().Sub(began), 6*time.Minute)
	require.Empty(t, u.told)
}

// TestAHintDuringAMessageDoesNotSayItTwice: workers that find a connection at the same moment all give a hint.
func TestAHintDuringAMessageDoesNotSayItTwice(t *testing.T) {
	u := newUpkeep(t)
	u.becomes(store.Reconnect, "why")
	asked := 0
	u.answer = func() int {
		if asked++; asked < 6 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	}
	env := u.env()
	for i := range 5 {
		env.RegisterDelayedCallback(func() { env.SignalWorkflow(workflows.LookSignal, workflows.Hint{}) }, time.Duration(i+1)*time.Second)
	}
	require.Equal(t, 5, u.runs(env).Hints)
	require.Len(t, u.told, 1)
	require.Equal(t, 6, asked)
}

func TestALeavingLocationLosesItsSchedulesBeforeItsSecrets(t *testing.T) {
	u := newUpkeep(t)
	c := u.becomes(store.Active, "")
	c.Settings = store.Sealed{KeyID: "k1", Text: "c2VhbGVk"}
	_, err := u.store.SaveConnection(t.Context(), c)
	require.NoError(t, err)
	_, err = u.store.PutToken(t.Context(), store.Token{
		Owner: store.TokenOfLocation(location), Pair: store.Sealed{KeyID: "k1", Text: "c2VhbGVk"}, Expires: time.Now().Add(time.Hour),
	})
	require.NoError(t, err)
	require.NoError(t, u.store.Plan(t.Context(), store.PlannedWrite{
		Location: location, Vendor: "sage", Operation: "x", Method: "POST", Path: "/x", Digest: "d",
		Request: store.Sealed{KeyID: "k1", Text: "c2VhbGVk"},
	}))
	u.becomes(store.Leaving, "uninstalled")

	failures := 3
	u.schedule.during = func(string) error {
		_, found, err := u.store.Token(context.Background(), store.TokenOfLocation(location))
		if u.connection().State == store.Leaving && (err != nil || !found) {
			return fmt.Errorf("the secrets are gone before the schedules: %w", err)
		}
		if failures--; failures >= 0 {
			return errors.New("Temporal is away")
		}
		return nil
	}
	u.runs(u.env())
	c = u.connection()
	require.Equal(t, store.Retired, c.State)
	require.Empty(t, c.Settings)
	_, found, err := u.store.Token(t.Context(), store.TokenOfLocation(location))
	require.NoError(t, err)
	require.False(t, found)
	planned, _, err := u.store.Planned(t.Context(), store.PlannedFilter{Location: location})
	require.NoError(t, err)
	require.Empty(t, planned)
	for _, call := range u.schedule.calls {
		require.Equal(t, "remove", call)
	}
	require.Len(t, u.told, 1)
	require.Contains(t, u.told[0], "has left")
	require.Contains(t, u.told[0], "Uninstalled.")

	u.runs(u.env())
	require.Len(t, u.told, 1)
}

// TestALocationThatComesBackWhileItLeavesKeepsItsSecrets: it was installed anew between the two steps.
func TestALocationThatComesBackWhileItLeavesKeepsItsSecrets(t *testing.T) {
	u := newUpkeep(t)
	u.becomes(store.Leaving, "")
	u.schedule.during = func(call string) error {
		if call == "remove" {
			u.becomes(store.Active, "")
			_, err := u.store.PutToken(context.Background(), store.Token{
				Owner: store.TokenOfLocation(location), Pair: store.Sealed{KeyID: "k1", Text: "c2VhbGVk"}, Expires: time.Now().Add(time.Hour),
			})
			return err
		}
		return nil
	}
	require.Equal(t, store.Active, u.runs(u.env()).State)
	require.Equal(t, []string{"remove", "apply", "resume", "trigger"}, u.schedule.calls)
	_, found, err := u.store.Token(t.Context(), store.TokenOfLocation(location))
	require.NoError(t, err)
	require.True(t, found)
}

// TestTwoChangesAtOnce: the second comes in the middle of following the first, with a hint, without one, and with many.
func TestTwoChangesAtOnce(t *testing.T) {
	for hints := range 4 {
		u := newUpkeep(t)
		u.becomes(store.Paused, "by hand")
		env := u.env()
		u.schedule.during = func(call string) error {
			if call == "pause: the connection is paused: by hand" {
				u.becomes(store.Active, "")
				for range hints {
					env.SignalWorkflow(workflows.LookSignal, workflows.Hint{})
				}
			}
			return nil
		}
		status := u.runs(env)
		require.Equal(t, store.Active, status.State)
		require.Equal(t, hints, status.Hints)
		require.Equal(t, 2, status.Passes, "hints are merged")
		require.Equal(t, []string{"pause: the connection is paused: by hand", "apply", "resume", "trigger"}, u.schedule.calls)
	}
}

func TestALongRunHandsOverWithoutLosingAHint(t *testing.T) {
	u := newUpkeep(t)
	u.becomes(store.Paused, "")
	env := u.env()
	env.SetContinueAsNewSuggested(true)
	u.schedule.during = func(string) error {
		env.SignalWorkflow(workflows.LookSignal, workflows.Hint{})
		return nil
	}
	env.ExecuteWorkflow(workflows.ConnectionUpkeep, workflows.ConnectionUpkeepInput{Location: location})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	u.schedule.during = nil
	require.Equal(t, 1, u.runs(u.env()).Passes, "the new run begins with a pass")
}

func TestALocationThatWasNeverConnected(t *testing.T) {
	u := newUpkeep(t)
	status := u.runs(u.env())
	require.Equal(t, workflows.ConnectionUpkeepStatus{Passes: 1}, status)
	require.Empty(t, u.schedule.calls)
	require.Empty(t, u.told)
}

func TestTheStateOfAConnectionCanBeAsked(t *testing.T) {
	u := newUpkeep(t)
	u.becomes(store.Reconnect, "why")
	u.answer = func() int { return http.StatusServiceUnavailable }
	env := u.env()
	env.RegisterDelayedCallback(func() {
		value, err := env.QueryWorkflow(workflows.StatusQuery)
		if err != nil {
			t.Error(err)
			return
		}
		var status workflows.ConnectionUpkeepStatus
		if err := value.Get(&status); err != nil || status.State != store.Reconnect || status.Step != "telling the operator" {
			t.Errorf("%+v: %v", status, err)
		}
		env.CancelWorkflow()
	}, 5*time.Minute)
	env.ExecuteWorkflow(workflows.ConnectionUpkeep, workflows.ConnectionUpkeepInput{Location: location})
	require.Error(t, env.GetWorkflowError())
}
