package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	filterpb "go.temporal.io/api/filter/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	temporalsdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

// connect dials as the commands do.
func connect(t *testing.T) client.Client {
	t.Helper()
	cfg, err := config.Load(config.Command)
	require.NoError(t, err)
	c, err := cluster.Dial(t.Context(), cluster.Options{Ring: cfg.Secrets.Keys.Ring})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// TestCommandsOnARealServer goes through the commands as an operator would, on one Temporal server and one database.
func TestCommandsOnARealServer(t *testing.T) {
	server := devservertest.Start(t, devserver.StartOptions{Headless: true})
	db := openDatabase(t, environment(t))
	t.Setenv("TEMPORAL_ADDRESS", server.Address)
	temporal := connect(t)

	t.Run("schedules", func(t *testing.T) { schedulesAreKept(t) })
	t.Run("sync", func(t *testing.T) { syncStartsProcesses(t, temporal, db) })
	t.Run("replay", func(t *testing.T) { replayChooses(t, temporal, db) })
	t.Run("match", func(t *testing.T) { matchDecides(t, temporal, db) })
	t.Run("shipping", func(t *testing.T) { shippingIsSeenAndSaid(t, temporal, db) })
	t.Run("repair", func(t *testing.T) { repairIsCarriedOut(t, temporal, db) })
	t.Run("sweep", func(t *testing.T) { sweepRuns(t, temporal) })
	t.Run("publish", func(t *testing.T) { revenueIsPublished(t, temporal, db) })
}

func listed(t *testing.T) []schedules.State {
	t.Helper()
	return decode[[]schedules.State](t, succeed(t, "schedules", "list", "-o", "json"))
}

func schedulesAreKept(t *testing.T) {
	assert.False(t, listed(t)[0].Exists)
	code, _, errOut := starter(t, "schedules", "pause")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "starter schedules apply")
	assert.Contains(t, succeed(t, "schedules", "apply", "--dry-run"), "would be created")
	assert.False(t, listed(t)[0].Exists, "a dry run makes nothing")

	var all sync.WaitGroup
	for range 6 { // as when several starters start at once
		all.Go(func() {
			var out, errOut lockedBuffer
			assert.Equal(t, exitDone, run(t.Context(), []string{"schedules", "apply"}, &out, &errOut), errOut.String())
		})
	}
	all.Wait()
	states := listed(t)
	require.Len(t, states, 6)
	assert.Equal(t, "5m0s", states[0].Interval)
	assert.Equal(t, "24h0m0s", states[1].Interval)
	assert.Equal(t, "15m0s", states[2].Interval)
	assert.Equal(t, "1h0m0s", states[3].Interval)
	assert.Equal(t, "24h0m0s", states[4].Interval)
	assert.Equal(t, workflows.WatchdogID, states[5].ID)
	assert.Equal(t, "5m0s", states[5].Interval)
	assert.False(t, states[0].NextRun.IsZero())
	assert.Equal(t, 6, strings.Count(succeed(t, "schedules", "apply"), "unchanged"))

	succeed(t, "schedules", "pause", "--note", "audit week")
	assert.Contains(t, listed(t)[0].Note, "audit week")
	t.Setenv("SYNC_INTERVAL", "30s")
	assert.Contains(t, succeed(t, "schedules", "apply", "--dry-run"), "every 5m0s becomes every 30s")
	assert.Contains(t, succeed(t, "schedules", "apply"), "updated")
	states = listed(t)
	assert.Equal(t, "30s", states[0].Interval)
	assert.True(t, states[0].Paused, "a new interval does not resume")
	assert.Equal(t, 6, strings.Count(succeed(t, "schedules", "apply", "--force"), "updated"))
	succeed(t, "schedules", "resume")
	assert.False(t, listed(t)[0].Paused)

	succeed(t, "schedules", "remove", "--dry-run")
	assert.True(t, listed(t)[0].Exists)
	succeed(t, "schedules", "remove")
	assert.False(t, listed(t)[0].Exists)
	succeed(t, "schedules", "remove") // what is gone is gone
	succeed(t, "schedules", "apply")
	watchdogIsKept(t)
}

// watchdogIsKept: its schedule belongs to no location, and is only touched by those who name it.
func watchdogIsKept(t *testing.T) {
	t.Setenv("GHL_LOCATION_ID", "") // nobody has to say which location
	state := func() schedules.State {
		t.Helper()
		states := decode[[]schedules.State](t, succeed(t, "schedules", "list", "--location", home, "-o", "json"))
		return states[len(states)-1]
	}
	all := []string{"pause", "resume", "remove"}
	for _, verb := range all {
		assert.NotContains(t, succeed(t, "schedules", verb, "--location", home), workflows.WatchdogID)
		assert.True(t, state().Exists)
		assert.False(t, state().Paused)
	}
	succeed(t, "schedules", "pause", "watch", "--note", "too loud")
	assert.Contains(t, state().Note, "too loud")
	succeed(t, "schedules", "apply", "--location", home)
	assert.True(t, state().Paused)
	assert.Contains(t, succeed(t, "schedules", "list", "--location", home), "too loud")
	succeed(t, "schedules", "resume", "watch")
	assert.False(t, state().Paused)

	t.Setenv("WATCHDOG_INTERVAL", "0s")
	for _, verb := range []string{"pause", "resume", "trigger"} {
		code, _, errOut := starter(t, "schedules", verb, "watch")
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errOut, "WATCHDOG_INTERVAL")
	}
	assert.Contains(t, succeed(t, "schedules", "apply", "--location", home, "--dry-run"), "watchdog  off  would be removed")
	assert.True(t, state().Exists)
	assert.Contains(t, succeed(t, "schedules", "apply", "--location", home), "watchdog  off  removed")
	assert.False(t, state().Exists)
	assert.Contains(t, succeed(t, "schedules", "list", "--location", home), "off: WATCHDOG_INTERVAL")
	t.Setenv("WATCHDOG_INTERVAL", "")
	assert.Contains(t, succeed(t, "schedules", "apply", "--location", home), "watchdog  every 5m0s  created")
	succeed(t, "schedules", "remove", "watch")
	assert.False(t, state().Exists)
	code, _, errOut := starter(t, "schedules", "trigger", "watch")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "starter schedules apply")
	succeed(t, "schedules", "apply", "--location", home)
}

func running(t *testing.T, temporal client.Client, order string) bool {
	t.Helper()
	description, err := temporal.DescribeWorkflow(t.Context(), workflows.PaymentToOrderID(home, order), "")
	return err == nil && description.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
}

func syncStartsProcesses(t *testing.T, temporal client.Client, db *store.Store) {
	succeed(t, "sync", "order", "s1", "s2", "--dry-run")
	assert.False(t, running(t, temporal, "s1"))
	succeed(t, "sync", "order", "s1", "s2")
	assert.True(t, running(t, temporal, "s1"))
	assert.True(t, running(t, temporal, "s2"))
	entries, _, err := db.AuditLog(t.Context(), store.AuditFilter{Action: "sync order", Object: "s1"})
	require.NoError(t, err)
	assert.Len(t, entries, 1)

	v := decode[orderView](t, succeed(t, "status", "s1", "-o", "json"))
	require.NotNil(t, v.Process)
	assert.Equal(t, "Running", v.Process.State)
	assert.Nil(t, v.Booked)
	code, _, errOut := starter(t, "status", "never-heard-of")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "starter sync order")
}

func replayChooses(t *testing.T, temporal client.Client, db *store.Store) {
	assert.Contains(t, succeed(t, "replay", "--all"), "nothing")
	park(t, db, "r-old", "Mapping", time.Now().Add(-48*time.Hour))
	park(t, db, "r-new", "Mapping", time.Now())
	park(t, db, "r-money", "Money", time.Now())
	dry := succeed(t, "replay", "--kind", "Mapping", "--since", "24h", "--dry-run")
	assert.Contains(t, dry, "r-new")
	assert.NotContains(t, dry, "r-old")
	assert.NotContains(t, dry, "r-money")
	assert.False(t, running(t, temporal, "r-new"))
	succeed(t, "replay", "--kind", "Mapping", "--since", "24h")
	assert.True(t, running(t, temporal, "r-new"))
	assert.False(t, running(t, temporal, "r-old"))
	succeed(t, "replay", "--id", "r-money")
	assert.True(t, running(t, temporal, "r-money"))
	succeed(t, "replay", "--all")
	assert.True(t, running(t, temporal, "r-old"))
	booksAreReplayed(t, temporal, db)
}

// booksAreReplayed: whatever of the books is parked is tried again by one reconciliation.
func booksAreReplayed(t *testing.T, temporal client.Client, db *store.Store) {
	for _, id := range []string{"txn-1", "sub-1"} {
		require.NoError(t, db.Park(t.Context(), store.Parked{
			Location: home, Process: store.SubscriptionReconciliation, ObjectID: id, Kind: "Invalid", Reason: "no", ParkedAt: time.Now(),
		}))
	}
	dry := succeed(t, "replay", "--kind", "Invalid", "--dry-run")
	assert.Contains(t, dry, "txn-1, its record in the books  would be tried again")
	assert.Contains(t, dry, "sub-1")
	runs := func() int {
		open, err := temporal.ListOpenWorkflow(t.Context(), &workflowservice.ListOpenWorkflowExecutionsRequest{
			Namespace: client.DefaultNamespace,
			Filters: &workflowservice.ListOpenWorkflowExecutionsRequest_TypeFilter{
				TypeFilter: &filterpb.WorkflowTypeFilter{Name: workflows.SubscriptionReconciliationType},
			},
		})
		require.NoError(t, err)
		return len(open.Executions)
	}
	before := runs()
	out := succeed(t, "replay", "--kind", "Invalid")
	assert.Contains(t, out, "2 records of the books will be tried again by "+workflows.ReconciliationID(home))
	assert.NotContains(t, out, "asked for")
	assert.Eventually(t, func() bool { return runs() == before+1 }, 10*time.Second, 20*time.Millisecond, "one for both")
	for _, id := range []string{"txn-1", "sub-1"} {
		entries, _, err := db.AuditLog(t.Context(), store.AuditFilter{Action: "replay", Object: id})
		require.NoError(t, err)
		assert.Len(t, entries, 1)
	}
	both := succeed(t, "replay", "--id", "txn-1", "--id", "r-money", "--dry-run")
	assert.Contains(t, both, "r-money  would be read again")
	assert.Contains(t, both, "txn-1, its record")
	assert.NotContains(t, both, "sub-1")
}

// revenueIsPublished has a worker put reports into Sage, each in another way.
func revenueIsPublished(t *testing.T, temporal client.Client, db *store.Store) {
	w := worker.New(temporal, workflows.MainQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(func(_ workflow.Context, in workflows.RevenueReportInput) (activities.PublishRevenueResult, error) {
		result := activities.PublishRevenueResult{Account: 7, Activity: 9}
		switch in.Month {
		case "2026-10":
			result.Outcome = activities.Created
		case "2026-09":
			result.Outcome = activities.Updated
		case "2026-08":
			result.Outcome = activities.Unchanged
		case "2026-07":
			result.Outcome = activities.RevenueEmpty
		default:
			return result, temporalsdk.NewNonRetryableApplicationError("there is no account 7 in Sage", string(activities.Mapping), nil)
		}
		return result, nil
	}, workflow.RegisterOptions{Name: workflows.RevenueReportType})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	publish := func(month string, more ...string) string {
		t.Helper()
		return succeed(t, append([]string{"report", "revenue", "--publish", "--month", month}, more...)...)
	}
	assert.Contains(t, publish("2026-10", "--dry-run"), workflows.RevenueReportID(home, "2026-10")+"  would be started")
	entries, _, err := db.AuditLog(t.Context(), store.AuditFilter{Action: "publish revenue"})
	require.NoError(t, err)
	assert.Empty(t, entries)
	assert.Contains(t, publish("2026-10"), "the revenue of 2026-10 is now activity 9 on account 7 in Sage")
	assert.Contains(t, publish("2026-09"), "was set right")
	assert.Contains(t, publish("2026-08"), "is in Sage as it is")
	assert.Contains(t, publish("2026-07"), "nothing is known of either side in 2026-07")
	code, _, errOut := starter(t, "report", "revenue", "--publish", "--month", "2026-06")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, workflows.RevenueReportID(home, "2026-06")+": there is no account 7 in Sage\n")
	entries, _, err = db.AuditLog(t.Context(), store.AuditFilter{Action: "publish revenue", Object: "2026-10"})
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

func matchDecides(t *testing.T, temporal client.Client, db *store.Store) {
	refusedWith := func(words string, args ...string) {
		t.Helper()
		code, _, errOut := starter(t, append([]string{"match"}, args...)...)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errOut, words)
	}
	refusedWith("does not wait for a decision", "m1", "--sage-order", "8")
	park(t, db, "m1", "Conflict", time.Now(), 8, 9)
	record(t, db, "booked", 9, domain.Paid)
	refusedWith("not among the candidates 8 9", "m1", "--sage-order", "7")
	refusedWith("already stands for", "m1", "--sage-order", "9")
	refusedWith("in Sage already", "booked", "--new")
	succeed(t, "match", "m1", "--sage-order", "8", "--dry-run")
	_, found, err := db.Decision(t.Context(), home, "m1")
	require.NoError(t, err)
	assert.False(t, found)

	succeed(t, "match", "m1", "--sage-order", "8")
	decision, found, err := db.Decision(t.Context(), home, "m1")
	require.NoError(t, err)
	require.True(t, found)
	assert.EqualValues(t, 8, decision.SageID)
	assert.True(t, running(t, temporal, "m1"), "it is given another go")
	entries, _, err := db.AuditLog(t.Context(), store.AuditFilter{Action: "match", Object: "m1"})
	require.NoError(t, err)
	assert.NotEmpty(t, entries)
	succeed(t, "match", "m1", "--new")
	view := decode[orderView](t, succeed(t, "status", "m1", "-o", "json"))
	assert.Zero(t, view.Decision.SageID)
	assert.Contains(t, succeed(t, "status", "m1"), "a new Sage order")
}

// sweepRuns triggers the schedule, with a worker whose sweep finds three rows.
func sweepRuns(t *testing.T, temporal client.Client) {
	w := worker.New(temporal, workflows.MainQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(func(_ workflow.Context, in workflows.PaymentSweepInput) (workflows.SweepProgress, error) {
		if in.Location != home {
			return workflows.SweepProgress{}, errors.New("swept another location")
		}
		rows := 3
		if in.Deep {
			rows = 300
		}
		return workflows.SweepProgress{Rows: rows, Looks: 1}, nil
	}, workflow.RegisterOptions{Name: workflows.PaymentSweepType})
	w.RegisterWorkflowWithOptions(func(_ workflow.Context, in workflows.FulfillmentSweepInput) (workflows.SweepProgress, error) {
		if in.Location != home {
			return workflows.SweepProgress{}, errors.New("swept another location")
		}
		return workflows.SweepProgress{Rows: 30, Looks: 2}, nil
	}, workflow.RegisterOptions{Name: workflows.FulfillmentSweepType})
	w.RegisterWorkflowWithOptions(func(workflow.Context, workflows.WatchdogInput) (activities.WatchReport, error) {
		return activities.WatchReport{Open: 2, Untold: "the webhook answers 502"}, nil
	}, workflow.RegisterOptions{Name: workflows.WatchdogType})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	succeed(t, "sweep", "--dry-run")
	assert.Contains(t, succeed(t, "sweep", "--fulfillments", "--wait"), "30 rows read, 2 looked at")
	assert.Equal(t, 5, strings.Count(succeed(t, "schedules", "trigger", "--dry-run"), "would be started"))
	triggered := succeed(t, "schedules", "trigger", "fulfillments", "deep", "--wait")
	assert.Contains(t, triggered, "300 rows read")
	assert.Contains(t, triggered, "30 rows read")
	watched := succeed(t, "schedules", "trigger", "watch", "--wait")
	assert.Contains(t, watched, "wrong at present: 2")
	assert.Contains(t, watched, "could not be told: the webhook answers 502")
	assert.Contains(t, succeed(t, "sweep", "--wait"), "3 rows read, 1 looked at")
	assert.Contains(t, succeed(t, "sweep", "--deep", "--wait"), "300 rows read")
	assert.Contains(t, succeed(t, "sweep"), "started")
}

// served is a running `starter serve`.
type served struct {
	base string
	key  ed25519.PrivateKey
	stop context.CancelFunc
	code chan int
	out  *lockedBuffer
	errs *lockedBuffer
}

var address = regexp.MustCompile(`(http://[0-9.:]+)/webhooks/ghl`)

func serve(t *testing.T) *served {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	t.Setenv("GHL_WEBHOOK_PUBLIC_KEYS", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	ctx, stop := context.WithCancel(context.Background())
	s := &served{key: private, stop: stop, code: make(chan int, 1), out: &lockedBuffer{}, errs: &lockedBuffer{}}
	go func() { s.code <- run(ctx, []string{"serve", "--drain", "100ms"}, s.out, s.errs) }()
	t.Cleanup(stop)
	require.Eventually(t, func() bool {
		found := address.FindStringSubmatch(s.out.String())
		if found != nil {
			s.base = found[1]
		}
		return found != nil
	}, 10*time.Second, 5*time.Millisecond, "the banner tells the address: %s", s.errs)
	return s
}

func (s *served) get(t *testing.T, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+path, nil)
	require.NoError(t, err)
	return answer(t, request)
}

func answer(t *testing.T, request *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func (s *served) webhook(t *testing.T, order string) (int, string) {
	t.Helper()
	return s.event(t, "/OrderStatusUpdate", map[string]string{"_id": order, "locationId": home, "type": "OrderStatusUpdate"})
}

// event posts an event as HighLevel does.
func (s *served) event(t *testing.T, path string, document map[string]string) (int, string) {
	t.Helper()
	body, err := json.Marshal(document)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+"/webhooks/ghl"+path, strings.NewReader(string(body)))
	require.NoError(t, err)
	request.Header.Set("X-Ghl-Signature", base64.StdEncoding.EncodeToString(ed25519.Sign(s.key, body)))
	return answer(t, request)
}

// TestServeOutlivesTemporal starts the front door while Temporal is away, lets Temporal come, die and come back, and
// stops it.
func TestServeOutlivesTemporal(t *testing.T) {
	server := devservertest.Start(t, devserver.StartOptions{Headless: true, Dir: t.TempDir()})
	environment(t)
	t.Setenv("TEMPORAL_ADDRESS", server.Address)
	server.Kill()

	s := serve(t)
	code, _ := s.get(t, "/healthz")
	assert.Equal(t, 200, code)
	code, body := s.get(t, "/readyz")
	assert.Equal(t, 503, code)
	assert.Contains(t, body, `"temporal":"away"`)
	assert.Contains(t, body, `"store":"ready"`)
	code, body = s.webhook(t, "w1")
	assert.Equal(t, 429, code, body)

	isReady := func() bool { code, _ := s.get(t, "/readyz"); return code == 200 }
	require.NoError(t, server.Restart(t.Context()))
	require.Eventually(t, isReady, time.Minute, 100*time.Millisecond, "it recovers by itself")
	code, body = s.webhook(t, "w1")
	assert.Equal(t, 200, code, body)
	assert.True(t, running(t, connect(t), "w1"))
	assert.True(t, listed(t)[0].Exists, "the schedules are there")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+"/codec/decode", strings.NewReader(`{"payloads":[]}`))
	require.NoError(t, err)
	code, body = answer(t, request)
	assert.Equal(t, 200, code, body)

	server.Kill()
	code, body = s.webhook(t, "w2")
	assert.Equal(t, 429, code, body)
	require.NoError(t, server.Restart(t.Context()))
	require.Eventually(t, func() bool { code, _ := s.webhook(t, "w2"); return code == 200 }, time.Minute, 100*time.Millisecond)
	assert.True(t, running(t, connect(t), "w1"), "what was accepted is still there")

	s.stop()
	assert.Equal(t, exitDone, <-s.code, s.errs.String())
}

// TestServeKeepsTheSchedulesOfEachConnection: the front door makes those of every connection that works, however it came.
func TestServeKeepsTheSchedulesOfEachConnection(t *testing.T) {
	server := devservertest.Start(t, devserver.StartOptions{Headless: true})
	db := openDatabase(t, environment(t))
	t.Setenv("TEMPORAL_ADDRESS", server.Address)
	connected(t, db, store.Connection{Location: "shop1"})
	connected(t, db, store.Connection{Location: "shop2", State: store.Paused})
	s := serve(t)
	assert.Contains(t, s.out.String(), "2: `starter connect list`", "the environment's and shop1")
	require.Eventually(t, func() bool { code, _ := s.get(t, "/readyz"); return code == 200 }, time.Minute, 50*time.Millisecond)
	for location, want := range map[string]bool{home: true, "shop1": true, "shop2": false} {
		states := decode[[]schedules.State](t, succeed(t, "schedules", "list", "--location", location, "-o", "json"))
		assert.Equal(t, want, states[0].Exists && states[1].Exists && states[2].Exists, location)
	}
	c := connectionOf(t, db, home)
	assert.Equal(t, store.Active, c.State, "adopted, though the token is the worker's")
	code, _ := s.get(t, "/oauth/ghl/connect")
	assert.Equal(t, 404, code, "there is no app to connect with")
	s.stop()
	assert.Equal(t, exitDone, <-s.code, s.errs.String())
}

// TestWhoLeavesWhileSchedulesAreMadeIsFollowedAgain: the process of its connection had removed them, and ended.
func TestWhoLeavesWhileSchedulesAreMadeIsFollowedAgain(t *testing.T) {
	server := devservertest.Start(t, devserver.StartOptions{Headless: true})
	db := openDatabase(t, environment(t))
	t.Setenv("TEMPORAL_ADDRESS", server.Address)
	succeed(t, "schedules", "apply") // and the search attributes
	connected(t, db, store.Connection{Location: "stays"})
	connected(t, db, store.Connection{Location: "left", State: store.Retired})
	cfg, err := config.Load(config.Command)
	require.NoError(t, err)
	directory, err := connections.Open(connections.Options{Config: cfg, Store: db, Ring: cfg.Secrets.Keys.Ring})
	require.NoError(t, err)
	t.Cleanup(directory.Close)
	f := &frontDoor{config: cfg, temporal: connect(t), store: db, directory: directory}
	require.NoError(t, f.lookAgain(t.Context(), []string{"stays", "left"}))
	_, err = f.temporal.DescribeWorkflowExecution(t.Context(), workflows.ConnectionUpkeepID("left"), "")
	require.NoError(t, err)
	_, err = f.temporal.DescribeWorkflowExecution(t.Context(), workflows.ConnectionUpkeepID("stays"), "")
	assert.True(t, missing(err), "it works, and nothing is to be followed")
}

func TestServeRefusesARingThatDoesNotOpenTheStore(t *testing.T) {
	db := openDatabase(t, environment(t))
	keys := map[string]string{}
	sealSome(t, db, ringOf(t, keys, "k1"), "1")
	t.Setenv("SECRET_KEYS", ringOf(t, keys, "k2"))
	code, _, errOut := starter(t, "serve")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "k1 (3)")
}
