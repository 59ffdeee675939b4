package activities_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
)

var (
	shippedAt = time.Date(2026, 3, 2, 14, 5, 0, 0, time.UTC)
	parcel    = domain.Tracking{Number: "1Z999", Carrier: "UPS", URL: "https://ups.example/1Z999"}
)

// team is a world with one paid order in Sage, whose goods have left, and with somebody who listens.
type team struct {
	*world
	order    string
	sageID   int64
	readers  *people
	teams    *activities.Teams
	settings activities.FulfillmentSettings
}

func newTeam(t *testing.T, o worldOptions) *team {
	t.Helper()
	w := newWorld(t, o)
	w.settings.Settle = 5 * time.Millisecond
	order := w.shirtOrder("EUR", w.customer())
	w.pay(order.ID, domain.Money{})
	result := w.mustPass(order.ID)
	tm := &team{world: w, order: order.ID, sageID: result.SageID, readers: &people{},
		settings: activities.FulfillmentSettings{On: true, Activities: true}}
	tm.teams = &activities.Teams{Store: w.store, Notify: tm.readers,
		Steps: []domain.FulfillmentState{domain.FulfillmentShipped, domain.FulfillmentDelivered, domain.FulfillmentCancelled}}
	tm.restart()
	tm.take(domain.FulfillmentStep{Key: "shipped/ful1", State: domain.FulfillmentShipped, ShipmentID: "ful1", At: shippedAt})
	w.sage.ResetWrites()
	return tm
}

// restart is another process, with nothing in memory.
func (tm *team) restart() {
	tm.connect()
	tm.write.Fulfillment = func(context.Context, string) (activities.FulfillmentSettings, error) { return tm.settings, nil }
}

// take records steps, as a pass does.
func (tm *team) take(steps ...domain.FulfillmentStep) {
	tm.t.Helper()
	row, _, err := tm.store.Fulfillment(tm.t.Context(), tm.ghl.Location(), tm.order)
	require.NoError(tm.t, err)
	row.Location, row.OrderID, row.SageID, row.Partial = tm.ghl.Location(), tm.order, tm.sageID, true
	row.Lifecycle = domain.Fulfillment{State: domain.FulfillmentProcessing, Shipments: []domain.Shipment{{
		ID: "ful1", State: domain.FulfillmentShipped, ShippedAt: shippedAt, Trackings: []domain.Tracking{parcel},
		Items: []domain.ShippedItem{{PriceID: "p1", Name: "Shirt", Quantity: 2}},
	}}}
	if last := steps[len(steps)-1]; last.State.Final() {
		row.Lifecycle.State, row.Lifecycle.Reason, row.Closed, row.Partial = last.State, "refunded in full", true, false
	}
	_, err = tm.store.SaveFulfillment(tm.t.Context(), row, steps, nil)
	require.NoError(tm.t, err)
}

func (tm *team) input(key string) activities.StepInput {
	return activities.StepInput{Location: tm.ghl.Location(), OrderID: tm.order, Key: key}
}

func (tm *team) enter(key string) error {
	tm.t.Helper()
	_, err := do[any](tm.world, tm.write.EnterStep, tm.input(key))
	return err
}

// seeThrough enters a step as Temporal would, in whatever process lives by then.
func (tm *team) seeThrough(key string) {
	tm.t.Helper()
	for range 400 {
		_, err := do[any](tm.world, tm.write.EnterStep, tm.input(key))
		if err == nil {
			return
		}
		tm.faults.Wait() // what is late has landed by the time at which Temporal tries again
	}
	tm.t.Fatalf("the step %s is never entered", key)
}

func (tm *team) tell(key string) error {
	tm.t.Helper()
	_, err := do[any](tm.world, tm.teams.TellTeam, tm.input(key))
	return err
}

func (tm *team) step(key string) store.FulfillmentStep {
	tm.t.Helper()
	steps, err := tm.store.FulfillmentSteps(tm.t.Context(), tm.ghl.Location(), tm.order)
	require.NoError(tm.t, err)
	for _, step := range steps {
		if step.Key == key {
			return step
		}
	}
	tm.t.Fatalf("there is no step %s", key)
	return store.FulfillmentStep{}
}

// count counts without showing hundreds of them when it is wrong.
func (tm *team) count(resource string) int { return len(tm.sage.Live(resource)) }

const shippedKey = "shipped/ful1"

func TestAStepIsEnteredAsAnActivityThatPeopleUnderstand(t *testing.T) {
	tm := newTeam(t, worldOptions{})
	tm.write.Links.SageOrder = "https://sage.example/orders/{sageOrder}"
	require.NoError(t, tm.sage.PeopleUpdate("salesorders", tm.sageID, map[string]any{"salesRepId": tm.sage.Person()}))
	require.NoError(t, tm.enter(shippedKey))

	all := tm.sage.Live("activities")
	require.Len(t, all, 1)
	order := tm.booked(tm.order)
	require.Equal(t, order.Int("accountId"), all[0].Int("accountId"))
	require.Equal(t, order.Int("contactId"), all[0].Int("contactId"))
	require.Equal(t, tm.sage.Person(), all[0].Int("salesRepId"), "it is the order's owner")
	require.Equal(t, tm.sage.Find("activityTypes", "Standard"), all[0].Int("typeId"))
	require.True(t, shippedAt.Equal(all[0].Time("date")), "when it happened")
	lines := strings.Split(all[0].Text("comment"), "\n")
	require.Equal(t, []string{
		"Part of order " + tm.order + " has been shipped",
		"What: 2 × Shirt",
		"Carrier and tracking: UPS 1Z999 (https://ups.example/1Z999)",
		"Since: 2 March 2026, 14:05 UTC",
		"Order in HighLevel: " + tm.order,
		fmt.Sprintf("Order in Sage: https://sage.example/orders/%d", tm.sageID),
	}, lines[:6])
	require.Equal(t, "[tallystick step=shipped/ful1; order="+tm.order+"]", lines[len(lines)-1])
	require.Zero(t, tm.count("calendar"), "tasks are an option")
	require.Equal(t, all[0].ID, tm.step(shippedKey).ActivityID)
	require.False(t, tm.step(shippedKey).GivenUp)

	before := tm.sage.CallCount("sage.")
	require.NoError(t, tm.enter(shippedKey))
	require.Equal(t, before, tm.sage.CallCount("sage."), "what is entered costs nothing")
}

func TestATaskForTheOwnerOfTheOrder(t *testing.T) {
	tm := newTeam(t, worldOptions{sage: sagebox.Options{ActivityTypes: []string{"Visit", "Shipping", "To do"}}})
	tm.settings.Tasks = true
	tm.settings.ActivityType, tm.settings.TaskType = tm.sage.Find("activityTypes", "Shipping"), tm.sage.Find("activityTypes", "To do")
	require.NoError(t, tm.enter(shippedKey))
	tasks := tm.sage.Live("calendar")
	require.Len(t, tasks, 1)
	task, order := tasks[0], tm.booked(tm.order)
	require.Equal(t, "Part of order "+tm.order+" has been shipped", task.Text("subject"))
	require.True(t, strings.HasPrefix(task.Text("comment"), "What: 2 × Shirt\n"))
	require.Equal(t, order.Int("accountId"), task.Int("accountId"))
	require.Equal(t, order.Int("salesRepId"), task.Int("salesRepId"))
	require.Equal(t, order.Int("branchId"), task.Int("branchId"))
	require.Equal(t, tm.settings.TaskType, task.Int("typeId"))
	for _, on := range []string{"task", "allDay", "sendNotification"} {
		require.True(t, task.Bool(on), on)
	}
	require.Equal(t, tm.settings.ActivityType, tm.sage.Live("activities")[0].Int("typeId"))
	require.Equal(t, task.ID, tm.step(shippedKey).TaskID)

	tm.settings.Activities, tm.settings.TaskType = false, 0
	tm.take(domain.FulfillmentStep{Key: "delivered", State: domain.FulfillmentDelivered, At: shippedAt})
	require.NoError(t, tm.enter("delivered"))
	require.Equal(t, tm.settings.ActivityType, tm.sage.Live("calendar")[1].Int("typeId"), "the type of activities, if none is set")
	require.Equal(t, 1, tm.count("activities"))
}

// TestALineThatIsCutMakesNoSecondEntry breaks each write in each way, many times over.
func TestALineThatIsCutMakesNoSecondEntry(t *testing.T) {
	for _, c := range []struct {
		fault faults.Fault
		times int
	}{
		{faults.Fault{Kind: faults.CutAfter}, 100}, {faults.Fault{Kind: faults.TruncatedJSON}, 20},
		{faults.Fault{Kind: faults.LateCommit, Delay: 2 * time.Millisecond}, 40}, {faults.Fault{Kind: faults.CutBefore}, 20},
		{faults.Fault{Kind: faults.Status, Status: 500}, 20}, {faults.Fault{Kind: faults.Throttle}, 20},
		{faults.Fault{Kind: faults.StaleToken}, 20},
	} {
		t.Run(string(c.fault.Kind), func(t *testing.T) {
			tm := newTeam(t, worldOptions{})
			tm.settings.Tasks = true
			for n := range c.times {
				key := fmt.Sprintf("shipped/ful%d", n+2)
				tm.take(domain.FulfillmentStep{Key: key, State: domain.FulfillmentShipped, At: shippedAt})
				tm.faults.Next("sage.activities.create", c.fault)
				tm.faults.Next("sage.calendar.create", c.fault)
				tm.seeThrough(key)
				step := tm.step(key)
				require.NotZero(t, step.ActivityID)
				require.NotZero(t, step.TaskID)
				require.False(t, step.GivenUp)
			}
			tm.faults.Wait()
			require.Equal(t, 2*c.times, tm.faults.Total(), "each fault was met")
			require.Equal(t, c.times, tm.count("activities"))
			require.Equal(t, c.times, tm.count("calendar"))
			marks := map[string]bool{}
			for _, a := range tm.sage.Live("activities") {
				marks[a.Text("comment")[strings.LastIndex(a.Text("comment"), "["):]] = true
			}
			require.Len(t, marks, c.times)
		})
	}
}

// TestDeathAtAnyCallOfAnEntryMakesNoSecond lets the process die after each call in turn, and another go on.
func TestDeathAtAnyCallOfAnEntryMakesNoSecond(t *testing.T) {
	for k := range 20 {
		tm := newTeam(t, worldOptions{})
		tm.settings.Tasks = true
		// What is read for all steps at once is read before, outside of any step.
		tm.take(domain.FulfillmentStep{Key: "shipped/ful0", State: domain.FulfillmentShipped, At: shippedAt})
		require.NoError(t, tm.enter("shipped/ful0"))
		n, dead := 0, false
		tm.wire.after = func(r *http.Request) {
			if n++; n == k+1 && !dead {
				dead = true
				panic("the process dies")
			}
		}
		tm.seeThrough(shippedKey)
		require.Equal(t, 2, tm.count("activities"))
		require.Equal(t, 2, tm.count("calendar"))
		if !dead {
			require.GreaterOrEqual(t, k, 3, "an order, an activity and a task")
			return
		}
	}
	t.Fatal("an entry takes more calls than it should")
}

func TestAnEntryThatPeopleDeletedMeanwhileIsNotMadeAnew(t *testing.T) {
	tm := newTeam(t, worldOptions{})
	tm.faults.Next("sage.activities.create", faults.Fault{Kind: faults.CutAfter})
	require.Equal(t, activities.OutcomeUnknown, kindOf(tm.enter(shippedKey)))
	require.NoError(t, tm.sage.PeopleDelete("activities", tm.sage.Live("activities")[0].ID))
	tm.seeThrough(shippedKey)
	require.Zero(t, tm.count("activities"))
	require.NotZero(t, tm.step(shippedKey).ActivityID)
}

// A write that got no answer is given its time before it is made once more.
func TestAnEntryThatIsNotFoundAtOnceIsWaitedFor(t *testing.T) {
	tm := newTeam(t, worldOptions{})
	tm.world.settings.Settle = time.Hour
	tm.faults.Next("sage.activities.create", faults.Fault{Kind: faults.CutBefore})
	err := tm.enter(shippedKey)
	require.Equal(t, activities.OutcomeUnknown, kindOf(err))
	require.Equal(t, time.Hour, faultIn(t, err).NextRetryDelay())
	require.Equal(t, activities.OutcomeUnknown, kindOf(tm.enter(shippedKey)))
	require.Zero(t, tm.count("activities"))
	tm.world.settings.Settle = 0
	require.NoError(t, tm.enter(shippedKey))
	require.Equal(t, 1, tm.count("activities"))
}

func TestWhatSageRefusesIsGivenUp(t *testing.T) {
	demands := append(sagebox.DefaultExtraFields(),
		sagebox.ExtraField{Resource: "activities", Name: "Z_Region", Type: "text", Required: true})
	for name, c := range map[string]struct {
		options sagebox.Options
		act     func(tm *team)
		entries int // that are made all the same
	}{
		"a field is demanded": {options: sagebox.Options{ExtraFields: demands}, entries: 1},
		"no type is chosen":   {options: sagebox.Options{ActivityTypes: []string{"Visit", "Call"}}},
		"the order is deleted": {act: func(tm *team) {
			require.NoError(tm.t, tm.sage.PeopleDelete("salesorders", tm.sageID))
		}},
		"the order is gone": {act: func(tm *team) { tm.sageID = 987654; tm.take(domain.FulfillmentStep{Key: "x", State: "shipped"}) }},
		"the order has no account": {act: func(tm *team) {
			require.NoError(tm.t, tm.sage.PeopleUpdate("salesorders", tm.sageID, map[string]any{"accountId": 0}))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tm := newTeam(t, worldOptions{sage: c.options})
			tm.settings.Tasks = true
			if c.act != nil {
				c.act(tm)
			}
			require.NoError(t, tm.enter(shippedKey), "nothing waits for it")
			require.True(t, tm.step(shippedKey).GivenUp)
			require.Zero(t, tm.count("activities"))
			require.Equal(t, c.entries, tm.count("calendar"), "one entry does not stand in for the other")
			before := tm.sage.CallCount("sage.")
			require.NoError(t, tm.enter(shippedKey))
			require.Equal(t, before, tm.sage.CallCount("sage."), "it is not tried again")
		})
	}
}

func TestADemandedFieldIsGivenByItsDefault(t *testing.T) {
	demands := append(sagebox.DefaultExtraFields(),
		sagebox.ExtraField{Resource: "activities", Name: "Z_Region", Type: "text", Required: true},
		sagebox.ExtraField{Resource: "calendar", Name: "Z_Kind", Type: "text", Required: true})
	tm := newTeam(t, worldOptions{sage: sagebox.Options{ExtraFields: demands}})
	tm.settings.Tasks = true
	tm.world.settings.Defaults = map[string]map[string]any{"activities": {"Z_Region": "EU"}, "calendar": {"Z_Kind": "parcel"}}
	require.NoError(t, tm.enter(shippedKey))
	require.Equal(t, "EU", tm.sage.Live("activities")[0].Text("Z_Region"))
	require.Equal(t, "parcel", tm.sage.Live("calendar")[0].Text("Z_Kind"))
	require.False(t, tm.step(shippedKey).GivenUp)
}

// What passes is waited for, and so is what a location waits for as a whole.
func TestWhatPassesIsNotGivenUp(t *testing.T) {
	tm := newTeam(t, worldOptions{})
	tm.world.settings.Settle = 0
	for _, fault := range []faults.Fault{{Kind: faults.Status, Status: 503}, {Kind: faults.Throttle}, {Kind: faults.Status, Status: 403}} {
		tm.faults.Next("sage.activities.create", fault)
		require.Error(t, tm.enter(shippedKey))
		require.False(t, tm.step(shippedKey).GivenUp)
	}
	client := tm.write.Client
	for _, kind := range []activities.Kind{activities.Reconnect, activities.Paused, activities.ReadOnly} {
		tm.write.Fulfillment = func(context.Context, string) (activities.FulfillmentSettings, error) {
			return activities.FulfillmentSettings{}, &activities.Fault{Kind: kind, Words: "wait"}
		}
		err := tm.enter(shippedKey)
		require.Equal(t, kind, kindOf(err))
		require.True(t, faultIn(t, err).NonRetryable(), "it waits without costing anything")
		require.False(t, tm.step(shippedKey).GivenUp)
	}
	tm.restart()
	tm.write.Client = client
	require.NoError(t, tm.enter(shippedKey))
	require.Equal(t, 1, tm.count("activities"))
}

func TestNothingIsEnteredThatNobodyWants(t *testing.T) {
	tm := newTeam(t, worldOptions{})
	before := tm.sage.CallCount("sage.")
	require.NoError(t, tm.enter("shipped/never"), "a step that was not taken")
	tm.settings.On = false
	require.NoError(t, tm.enter(shippedKey))
	require.False(t, tm.step(shippedKey).GivenUp, "switched off, it rests")
	tm.write.Fulfillment = nil
	require.NoError(t, tm.enter(shippedKey))
	tm.restart()
	tm.settings = activities.FulfillmentSettings{On: true}
	require.NoError(t, tm.enter(shippedKey))
	require.True(t, tm.step(shippedKey).GivenUp, "activities that are switched on later do not begin with this one")
	require.Equal(t, before, tm.sage.CallCount("sage."))
	require.Empty(t, tm.sage.Writes())

	silent, err := notify.ParseTemplates("own.tmpl", `{{define "activity"}}{{if ne .State "processing"}}x{{end}}{{end}}`)
	require.NoError(t, err)
	tm.settings.Activities, tm.write.Templates = true, silent
	tm.take(domain.FulfillmentStep{Key: "processing/ful1", State: domain.FulfillmentProcessing, ShipmentID: "ful1", At: shippedAt})
	require.NoError(t, tm.enter("processing/ful1"))
	require.Zero(t, tm.count("activities"), "an empty text says nothing")
}

func TestATeamIsToldOnceOfEachStepItAskedFor(t *testing.T) {
	tm := newTeam(t, worldOptions{})
	require.NoError(t, tm.tell("shipped/never"))
	require.NoError(t, tm.tell(shippedKey))
	require.NoError(t, tm.tell(shippedKey))
	require.Len(t, tm.readers.texts, 1)
	require.Contains(t, tm.readers.texts[0], "Part of order "+tm.order+" has been shipped\nWhat: 2 × Shirt\n")
	require.True(t, tm.step(shippedKey).Told)
	require.False(t, tm.step(shippedKey).Silent)

	tm.take(domain.FulfillmentStep{Key: "processing/ful2", State: domain.FulfillmentProcessing, At: shippedAt},
		domain.FulfillmentStep{Key: "cancelled", State: domain.FulfillmentCancelled, At: shippedAt})
	require.NoError(t, tm.tell("processing/ful2"))
	require.Len(t, tm.readers.texts, 1, "nobody asked for that one")
	require.True(t, tm.step("processing/ful2").Told, "and nobody is told of it when somebody does")
	require.True(t, tm.step("processing/ful2").Silent)
	require.NoError(t, tm.tell("cancelled"))
	require.Contains(t, tm.readers.texts[1], "Order "+tm.order+" will not be shipped any further: refunded in full\n")
	for _, text := range tm.readers.texts {
		for _, personal := range []string{"Ada", "Byron", "example.com"} {
			require.NotContains(t, text, personal)
		}
	}

	tm.take(domain.FulfillmentStep{Key: "shipped/ful3", State: domain.FulfillmentShipped, At: shippedAt})
	tm.teams.Notify = nil
	require.NoError(t, tm.tell("shipped/ful3"))
	require.True(t, tm.step("shipped/ful3").Told)
	require.True(t, tm.step("shipped/ful3").Silent)
}

func TestAMessageThatDoesNotArriveIsTriedAgainOrLeft(t *testing.T) {
	tm := newTeam(t, worldOptions{})
	for status, want := range map[int]activities.Kind{503: activities.Unavailable, 429: activities.Throttled, 404: activities.Invalid} {
		tm.readers.before = func() error { return &notify.Error{Status: status} }
		err := tm.tell(shippedKey)
		require.Equal(t, want, kindOf(err))
		require.Equal(t, status == 404, faultIn(t, err).NonRetryable())
		require.False(t, tm.step(shippedKey).Told)
	}
	// An entry at Sage is made while the message is on its way: neither takes the other's mark away.
	tm.readers.before = func() error { return tm.enter(shippedKey) }
	require.NoError(t, tm.tell(shippedKey))
	step := tm.step(shippedKey)
	require.True(t, step.Told)
	require.NotZero(t, step.ActivityID)
	tm.restart()
	require.NoError(t, tm.enter(shippedKey))
	require.Equal(t, 1, tm.count("activities"))
}

// A text that fails on this order only is replaced, and the log has nothing of it.
func TestATextThatFailsHoldsNothingUp(t *testing.T) {
	tm := newTeam(t, worldOptions{})
	broken, err := notify.ParseTemplates("own.tmpl",
		`{{define "message"}}{{if eq .Shipment "ful1"}}{{index .Items 7}}{{end}}{{end}}{{define "activity"}}{{if eq .Shipment "ful1"}}{{index .Items 7}}{{end}}{{end}}`)
	require.NoError(t, err)
	tm.teams.Templates, tm.write.Templates = broken, broken
	require.NoError(t, tm.tell(shippedKey))
	require.Contains(t, tm.readers.texts[0], "has been shipped")
	require.NoError(t, tm.enter(shippedKey))
	require.Contains(t, tm.sage.Live("activities")[0].Text("comment"), "has been shipped")
}
