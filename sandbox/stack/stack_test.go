package stack

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/workflows"
)

// role makes this test binary another program: a process that can be started, or the owner of a whole stack.
const role = "TALLYSTICK_STACK_TEST_ROLE"

// patience bounds waiting for what takes a second at most.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
	case "polite":
		polite()
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("here")
		select {}
	case "owner":
		own()
	}
	code := m.Run()
	if programs.folder != "" {
		_ = os.RemoveAll(programs.folder)
	}
	os.Exit(code)
}

func polite() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	fmt.Println("here")
	<-asked
	fmt.Println("bye")
	os.Exit(0)
}

// programs are built once for all tests of the package.
var programs struct {
	once                    sync.Once
	folder, worker, starter string
	err                     error
}

func options(t *testing.T) Options {
	t.Helper()
	server := devservertest.Binary(t)
	programs.once.Do(func() {
		if programs.folder, programs.err = os.MkdirTemp("", "tallystick-stack-"); programs.err == nil {
			programs.worker, programs.starter, programs.err = Build(context.Background(), programs.folder)
		}
	})
	require.NoError(t, programs.err)
	return Options{Dir: t.TempDir(), WorkerBinary: programs.worker, StarterBinary: programs.starter,
		Temporal: Temporal{Binary: server, Headless: true}}
}

func start(t *testing.T, opts Options) *Stack {
	t.Helper()
	s, err := Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, p := range s.Processes() {
				t.Logf("log of the %s:\n%s", p.Name, logEnd(p.LogFile))
			}
		}
	})
	return s
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// sell places an order and has it paid.
func sell(t *testing.T, s *Stack) ghl.Order {
	t.Helper()
	price := domain.NewMoney(1995, "EUR")
	contact := s.GHL.AddContact(ghl.Contact{FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.com"})
	product := s.GHL.AddProduct(ghl.Product{Name: "Mug"})
	order, err := s.GHL.PlaceOrder(ghl.NewOrder{ContactID: contact, Currency: "EUR", Lines: []ghl.NewLine{
		{PriceID: s.GHL.AddPrice(ghl.Price{ProductID: product, Name: "large", Amount: price}), Qty: 2},
	}})
	require.NoError(t, err)
	_, err = s.GHL.TakePayment(order.ID, ghl.NewPayment{})
	require.NoError(t, err)
	return order
}

func TestAPaidOrderGoesThrough(t *testing.T) {
	opts := options(t)
	opts.Workers = 2
	s := start(t, opts)
	order := sell(t, s)
	require.NoError(t, s.WaitIdle(limited(t)))
	require.Len(t, s.Sage.OrdersByExtID("ghl:order:"+order.ID), 1)
	report := shop.Agree(s.GHL, s.Sage)
	require.True(t, report.OK(), report)

	record, found, err := s.Store.Order(t.Context(), s.Location(), order.ID)
	require.NoError(t, err)
	require.True(t, found)
	require.EqualValues(t, 3990, record.Paid.Minor)
}

// TestALifecycleThatOnlyWaitsIsIdle and costs nothing: sweeps go over it and add nothing to its history, there is no timer,
// and no search attribute that says what it said before. It goes on with what happens on either side, and ends with the delivery.
func TestALifecycleThatOnlyWaitsIsIdle(t *testing.T) {
	s := start(t, options(t))
	order := sell(t, s)
	require.NoError(t, s.WaitIdle(limited(t)))
	id := workflows.FulfillmentID(s.Location(), order.ID)
	run, err := s.Temporal.DescribeWorkflow(t.Context(), id, "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, run.Status)
	state, _ := run.TypedSearchAttributes.GetKeyword(workflows.StateAttribute)
	require.Equal(t, string(domain.FulfillmentCreated), state)
	before := events(t, s, id, run.WorkflowExecution.RunID)
	require.NoError(t, s.WaitIdle(limited(t)), "two more sweeps")
	require.Equal(t, before, events(t, s, id, run.WorkflowExecution.RunID))

	_, err = s.GHL.Fulfil(order.ID, ghl.NewFulfillment{Trackings: []ghl.Tracking{{Number: "1Z999", Carrier: "UPS"}}})
	require.NoError(t, err)
	require.NoError(t, s.WaitIdle(limited(t)))
	booked := s.Sage.OrdersByExtID(domain.OrderExtID(order.ID))[0]
	require.Equal(t, "shipped", booked.Fields["Z_FulfillmentStatus"])
	require.Contains(t, booked.Fields["Z_TrackingNumbers"], "1Z999")

	require.NoError(t, s.Sage.PeopleUpdate("salesorders", booked.ID, map[string]any{"Z_FulfillmentStatus": "delivered"}))
	require.NoError(t, s.WaitIdle(limited(t)))
	run, err = s.Temporal.DescribeWorkflow(t.Context(), id, "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, run.Status)
	state, _ = run.TypedSearchAttributes.GetKeyword(workflows.StateAttribute)
	require.Equal(t, string(domain.FulfillmentDelivered), state)
	seen := events(t, s, id, run.WorkflowExecution.RunID)
	require.NotContains(t, seen, enumspb.EVENT_TYPE_TIMER_STARTED)
	written := 0
	for _, event := range seen {
		if event == enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES {
			written++
		}
	}
	require.Equal(t, 2, written, "shipped and delivered")
}

// TestALifecycleThatWasJustOpenedIsWokenByTheNextHint: no worker has seen it until then.
func TestALifecycleThatWasJustOpenedIsWokenByTheNextHint(t *testing.T) {
	s := start(t, options(t))
	door, id := workflows.Door{Temporal: s.Temporal}, workflows.FulfillmentID("elsewhere", "o1")
	ctx := limited(t)
	require.NoError(t, door.LookAtFulfillment(ctx, "elsewhere", "o1", workflows.Hint{Event: activities.FulfillmentOpened}))
	require.NoError(t, s.WaitIdle(ctx))
	require.Equal(t, []enumspb.EventType{
		enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
	}, events(t, s, id, ""))
	require.NoError(t, door.LookAtFulfillment(ctx, "elsewhere", "o1", workflows.Hint{Source: workflows.FromOperator}))
	var status workflows.FulfillmentStatus
	require.Eventually(t, func() bool {
		answer, err := s.Temporal.QueryWorkflow(ctx, id, "", workflows.StatusQuery)
		return err == nil && answer.Get(&status) == nil && status.Outcome != ""
	}, time.Minute, 50*time.Millisecond)
	require.Equal(t, activities.Parked, status.Outcome, "there is no such location")
	require.Equal(t, 2, status.Hints)
}

// events are the types of what is in the history of a run.
func events(t *testing.T, s *Stack, id, run string) []enumspb.EventType {
	t.Helper()
	var found []enumspb.EventType
	history := s.Temporal.GetWorkflowHistory(t.Context(), id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(t, err)
		found = append(found, event.GetEventType())
	}
	return found
}

func TestKilledProcessesGoOnAfterRestart(t *testing.T) {
	opts := options(t)
	opts.Temporal.OnDisk = true
	s := start(t, opts)
	before := s.Workers[0].PID()
	s.Workers[0].Kill()
	code, ended := s.Workers[0].ExitCode()
	require.True(t, ended)
	require.Equal(t, -1, code)
	sell(t, s)
	require.NoError(t, s.GHL.WaitWebhooks(limited(t)))
	s.Starter.Kill()
	s.Server.Kill()
	require.NoError(t, s.Server.Restart(limited(t)))
	require.NoError(t, s.Starter.Restart(limited(t)))
	require.NoError(t, s.Workers[0].Restart(limited(t)))
	require.NotEqual(t, before, s.Workers[0].PID())
	require.NoError(t, s.WaitIdle(limited(t)))
	report := shop.Agree(s.GHL, s.Sage)
	require.True(t, report.OK(), report)
	require.Equal(t, 1, report.InSage)
}

func TestAStateFolderCanBeUsedAgain(t *testing.T) {
	opts := options(t)
	s, err := Start(t.Context(), opts)
	require.NoError(t, err)
	ring := s.ring.Reveal()
	require.NoError(t, s.Stop(limited(t)))
	info, err := os.Stat(filepath.Join(opts.Dir, "keys"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	for _, log := range []string{"worker.log", "starter.log"} {
		text, err := os.ReadFile(filepath.Join(opts.Dir, "logs", log))
		require.NoError(t, err)
		require.NotContains(t, string(text), ring[strings.Index(ring, ":")+1:], "a key in a log")
	}
	again := start(t, opts)
	require.Equal(t, ring, again.ring.Reveal())
}

func TestAServerOfOthersIsLeftAsItWas(t *testing.T) {
	opts := options(t)
	server := devservertest.Start(t, devserver.StartOptions{Headless: true})
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
	opts.Temporal = Temporal{Address: server.Address}
	s, err := Start(t.Context(), opts)
	require.NoError(t, err)
	stopped := false
	defer func() {
		if !stopped {
			_ = s.Stop(context.Background())
		}
	}()
	require.NotEqual(t, ghl.DefaultLocation, s.Location(), "others may use that one")
	sell(t, s)
	require.NoError(t, s.WaitIdle(limited(t)))
	require.Len(t, s.Sage.Orders(), 1)

	second := opts
	second.Dir = t.TempDir()
	_, err = Start(t.Context(), second)
	require.ErrorContains(t, err, "another worker", "it would take the work of the first one")

	require.NoError(t, s.Stop(limited(t)))
	stopped = true
	c, err := client.DialContext(t.Context(), client.Options{HostPort: server.Address})
	require.NoError(t, err)
	defer c.Close()
	require.Eventually(t, func() bool { // the list lags behind
		schedules, err := c.ScheduleClient().List(t.Context(), client.ScheduleListOptions{})
		return err == nil && !schedules.HasNext()
	}, patience, 100*time.Millisecond, "a schedule stayed behind")
}

func TestAProcessThatCannotStartIsExplained(t *testing.T) {
	opts := options(t)
	opts.WorkerEnv = map[string]string{"SYNC_OVERLAP": "soon"}
	_, err := Start(t.Context(), opts)
	require.ErrorContains(t, err, "the worker ended")
	require.ErrorContains(t, err, "SYNC_OVERLAP", "the end of its log is shown")
}

// own is the program of an owner that is about to be killed.
func own() {
	s, err := Start(context.Background(), Options{
		Dir: os.Getenv("DIR"), WorkerBinary: os.Getenv("WORKER"), StarterBinary: os.Getenv("STARTER"),
		Temporal: Temporal{Binary: os.Getenv("SERVER"), Headless: true},
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.Starter.PID(), s.Workers[0].PID(), s.Server.PID())
	select {}
}
