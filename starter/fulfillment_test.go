package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	sandboxsage "github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/starter/delivery"
	"github.com/tallystick/tallystick/workflows"
)

// send has an order sent, as the worker records it.
func send(t *testing.T, db *store.Store, order string, state domain.FulfillmentState, numbers ...string) {
	t.Helper()
	now := time.Now().UTC()
	life := domain.Fulfillment{State: state}
	for _, number := range numbers {
		life.Shipments = append(life.Shipments, domain.Shipment{ID: "f-" + number, State: state, CreatedAt: now,
			Items: []domain.ShippedItem{{PriceID: "p1", Name: "Mug", Quantity: 2}}, Trackings: []domain.Tracking{{Number: number, Carrier: "UPS"}}})
	}
	if state == domain.FulfillmentCancelled {
		life.Reason = "refunded in full"
	}
	_, err := db.SaveFulfillment(t.Context(), store.FulfillmentRecord{Location: home, OrderID: order, SageID: 4711, Lifecycle: life,
		Closed: state.Final(), Partial: len(numbers) == 1, PaidAt: now, OpenedAt: now, ChangedAt: now, CheckedAt: now},
		[]domain.FulfillmentStep{{Key: "created", State: domain.FulfillmentCreated, At: now}}, nil)
	require.NoError(t, err)
}

func TestFulfillmentsAreListed(t *testing.T) {
	db := openDatabase(t, environment(t))
	send(t, db, "f1", domain.FulfillmentCreated)
	send(t, db, "f2", domain.FulfillmentProcessing, "1Z1")
	send(t, db, "f3", domain.FulfillmentDelivered, "1Z2", "1Z3")
	ids := func(args ...string) (found []string) {
		for _, v := range decode[[]fulfillmentView](t, succeed(t, append([]string{"fulfillment", "list", "-o", "json"}, args...)...)) {
			found = append(found, v.Order)
		}
		return found
	}
	assert.Equal(t, []string{"f1", "f2"}, ids())
	assert.Equal(t, []string{"f1", "f2", "f3"}, ids("--all"))
	assert.Equal(t, []string{"f3"}, ids("--state", "Delivered"))
	assert.Equal(t, []string{"f2"}, ids("--partial"))
	assert.Equal(t, []string{"f1"}, ids("--limit", "1"))
	assert.Empty(t, ids("--location", "elsewhere"))
	assert.Contains(t, succeed(t, "fulfillment", "list"), "a part was sent")
	assert.Contains(t, succeed(t, "fulfillment", "list", "--location", "elsewhere"), "none")

	s := decode[summary](t, succeed(t, "status", "-o", "json"))
	assert.Equal(t, map[domain.FulfillmentState]int64{domain.FulfillmentCreated: 1, domain.FulfillmentProcessing: 1}, s.Shipping)
	assert.Contains(t, succeed(t, "status"), "TO BE SHIPPED OR DELIVERED")
}

func TestShippingUsedWronglyIsToldBeforeAnythingIsDone(t *testing.T) {
	environment(t)
	for _, line := range []string{
		"fulfillment", "fulfillment show", "fulfillment show a b", "fulfillment show a/b", "fulfillment list --state sent", "fulfillment list -o yaml",
		"fulfillment deliver", "fulfillment deliver a/b", "fulfillment deliver a b --tracking 1Z1", "fulfillment deliver a --tracking ;",
		"fulfillment deliver a --at yesterday", "fulfillment deliver a --at 2999-01-01", "sync fulfillment", "sync fulfillment a/b",
		"schedules trigger payment", "sweep --deep --fulfillments", "hooks", "hooks list -o yaml", "hooks remove --id five",
	} {
		code, out, errOut := starter(t, strings.Fields(line)...)
		assert.Equal(t, exitWrong, code, "%s: %s", line, errOut)
		assert.Empty(t, out, line)
	}
}

// follows tells whether the process of an order's shipping runs.
func follows(t *testing.T, temporal client.Client, order string) bool {
	t.Helper()
	description, err := temporal.DescribeWorkflow(t.Context(), workflows.FulfillmentID(home, order), "")
	return err == nil && description.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
}

// shippingIsSeenAndSaid goes through the commands about shipping.
func shippingIsSeenAndSaid(t *testing.T, temporal client.Client, db *store.Store) {
	refusedWith := func(words string, args ...string) {
		t.Helper()
		code, _, errOut := starter(t, append([]string{"fulfillment"}, args...)...)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errOut, words)
	}
	refusedWith("starter sync fulfillment", "show", "d1")
	refusedWith("not followed", "deliver", "d1")
	send(t, db, "d1", domain.FulfillmentShipped, "1Z-1", "1Z-2")
	send(t, db, "d2", domain.FulfillmentShipped, "1Z-3", "1Z-4")
	send(t, db, "d3", domain.FulfillmentCancelled)
	refusedWith("refunded in full", "deliver", "d2", "d3")
	refusedWith("fulfillment show d1", "deliver", "d1", "--tracking", "1Z3")
	news := func(order string, keys ...string) []store.DeliveryNews {
		found, err := db.DeliveryNewsOf(t.Context(), home, order, keys...)
		require.NoError(t, err)
		return found
	}
	assert.Contains(t, succeed(t, "fulfillment", "deliver", "d1", "d2", "--dry-run"), "d2  would be delivered")
	assert.Empty(t, append(news("d1"), news("d2")...), "what cannot be taken back is refused as a whole, and a dry run says nothing")
	assert.False(t, follows(t, temporal, "d1"))

	assert.Contains(t, succeed(t, "fulfillment", "deliver", "d1", "--tracking", "1z 2", "--at", "2026-11-20"), "shipment 1Z2  delivered")
	told := news("", "1Z2")
	require.Len(t, told, 1)
	assert.Equal(t, time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), told[0].At)
	assert.Equal(t, operatorSource, told[0].Source)
	assert.True(t, follows(t, temporal, "d1"))
	succeed(t, "fulfillment", "deliver", "d2")
	assert.Len(t, news("d2"), 1)
	entries, _, err := db.AuditLog(t.Context(), store.AuditFilter{Action: "fulfillment deliver", Object: "d1"})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, "1Z2", entries[0].Detail)

	v := decode[fulfillmentView](t, succeed(t, "fulfillment", "show", "d1", "-o", "json"))
	assert.Equal(t, domain.FulfillmentShipped, v.State)
	assert.Len(t, v.Shipments, 2)
	assert.Len(t, v.Steps, 1)
	require.Len(t, v.News, 1)
	assert.False(t, v.News[0].Applied)
	require.NotNil(t, v.Process)
	table := succeed(t, "fulfillment", "show", "d1")
	for _, words := range []string{"2 x Mug", "1Z-1 (UPS)", "not told yet", "1Z2 delivered at 2026-11-20", "told by operator, not followed yet"} {
		assert.Contains(t, table, words)
	}
	marked := store.FulfillmentStep{Location: home, OrderID: "d1", FulfillmentStep: domain.FulfillmentStep{Key: v.Steps[0].Key}, Told: true}
	require.NoError(t, db.MarkFulfillmentStep(t.Context(), marked))
	assert.Contains(t, succeed(t, "fulfillment", "show", "d1"), "the team was told")
	marked.Silent = true
	require.NoError(t, db.MarkFulfillmentStep(t.Context(), marked))
	assert.Contains(t, succeed(t, "fulfillment", "show", "d1"), "no team is told of it")
	assert.False(t, decode[fulfillmentView](t, succeed(t, "fulfillment", "show", "d1", "-o", "json")).Steps[0].Told)
	assert.Contains(t, succeed(t, "sync", "fulfillment", "d9", "--dry-run"), "its shipping")
	assert.False(t, follows(t, temporal, "d9"))
	assert.Contains(t, succeed(t, "sync", "fulfillment", "d9"), "starter fulfillment show")
	assert.True(t, follows(t, temporal, "d9"))
	shippingIsReplayed(t, temporal, db)
}

func shippingIsReplayed(t *testing.T, temporal client.Client, db *store.Store) {
	require.NoError(t, db.Park(t.Context(), store.Parked{Location: home, Process: workflows.FulfillmentType, ObjectID: "d8", Kind: "Invalid",
		Reason: "no such state", ParkedAt: time.Now(), WorkflowID: workflows.FulfillmentID(home, "d8")}))
	assert.Contains(t, succeed(t, "fulfillment", "show", "d8"), "no such state")
	assert.Contains(t, succeed(t, "replay", "--kind", "Invalid"), "starter fulfillment show")
	assert.True(t, follows(t, temporal, "d8"))
	assert.False(t, running(t, temporal, "d8"), "its payment is not what is parked")
}

// tenant is a Sage tenant that the environment leads to.
func tenant(t *testing.T) *sandboxsage.Server {
	t.Helper()
	books := sandboxsage.New(sandboxsage.Options{})
	require.NoError(t, books.Start())
	t.Cleanup(books.Close)
	public, private := books.Keys()
	for name, value := range map[string]string{
		"SAGE_BASE_URL": books.URL(), "SAGE_PUBLIC_KEY": public, "SAGE_PRIVATE_KEY": private, "SAGE_REQUESTS_PER_SECOND": "1000",
	} {
		t.Setenv(name, value)
	}
	return books
}

const hookToken = "0123456789abcdef0123456789abcdef"

func TestHooksAreRegisteredOnceAndReplaced(t *testing.T) {
	db := openDatabase(t, environment(t))
	books := tenant(t)
	require.NoError(t, saveHome(t, db))
	code, _, errOut := starter(t, "hooks", "apply")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "SAGE_HOOK_TOKEN")
	t.Setenv("PUBLIC_URL", "https://tally.example")
	t.Setenv("SAGE_HOOK_TOKEN", hookToken)
	assert.Contains(t, succeed(t, "hooks", "list"), "none")
	assert.Contains(t, succeed(t, "hooks", "apply", "--dry-run"), "would be made")
	assert.Empty(t, books.Hooks())

	out := succeed(t, "hooks", "apply")
	assert.Equal(t, 2, strings.Count(out, "made, hook"))
	assert.Equal(t, 2, strings.Count(succeed(t, "hooks", "apply"), "unchanged"))
	require.Len(t, books.Hooks(), 2)
	assert.Equal(t, "https://tally.example/webhooks/sage/"+hookToken, books.Hooks()[0].URL)
	listed := succeed(t, "hooks", "list", "-o", "json")
	assert.NotContains(t, out+listed, hookToken, "the token is shown to nobody")
	assert.Equal(t, "here", decode[[]hookView](t, listed)[1].Ours)

	t.Setenv("SAGE_HOOK_TOKEN", strings.ToUpper(hookToken)) // a new one
	assert.Contains(t, succeed(t, "hooks", "list"), "outdated")
	assert.Contains(t, succeed(t, "hooks", "apply", "--dry-run"), "would be removed")
	assert.Len(t, books.Hooks(), 2)
	succeed(t, "hooks", "apply")
	require.Len(t, books.Hooks(), 2)
	assert.Contains(t, books.Hooks()[0].URL, strings.ToUpper(hookToken))

	t.Setenv("PUBLIC_URL", "https://moved.example")
	assert.Contains(t, succeed(t, "hooks", "remove"), "no hook posts here", "those of another installation stay")
	first := books.Hooks()[0].ID
	succeed(t, "hooks", "remove", "--id", fmt.Sprint(first))
	assert.Len(t, books.Hooks(), 1)
	code, _, errOut = starter(t, "hooks", "remove", "--id", fmt.Sprint(first))
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "starter hooks list")
	t.Setenv("PUBLIC_URL", "https://tally.example")
	succeed(t, "hooks", "remove", "--dry-run")
	assert.Len(t, books.Hooks(), 1)
	succeed(t, "hooks", "remove")
	assert.Empty(t, books.Hooks())
	entries, _, err := db.AuditLog(t.Context(), store.AuditFilter{Action: "hooks remove"})
	require.NoError(t, err)
	assert.Len(t, entries, 4)
}

// TestNewsOfShippingComesThroughTheFrontDoor has Sage post a change that a person makes, and a carrier tell of a delivery.
func TestNewsOfShippingComesThroughTheFrontDoor(t *testing.T) {
	server := devservertest.Start(t, devserver.StartOptions{Headless: true})
	db := openDatabase(t, environment(t))
	t.Setenv("TEMPORAL_ADDRESS", server.Address)
	t.Setenv("SAGE_HOOK_TOKEN", hookToken)
	t.Setenv("DELIVERY_WEBHOOK_SECRET", "a-secret-of-sixteen-letters")
	books := tenant(t)
	require.NoError(t, saveHome(t, db))
	s := serve(t)
	require.Eventually(t, func() bool { code, _ := s.get(t, "/readyz"); return code == 200 }, time.Minute, 50*time.Millisecond)
	assert.NotContains(t, s.out.String()+s.errs.String(), hookToken)
	t.Setenv("PUBLIC_URL", s.base)
	succeed(t, "hooks", "apply")
	temporal := connect(t)

	order, err := books.PeopleCreate("salesorders", map[string]any{
		"reference": "by hand", "extId": "ghl:order:n1", "branchId": books.Find("branches", "Main branch"), "salesRepId": books.Person(),
		"statusId": books.Find("salesorderStatuses", "Open"), "currencyId": books.Find("currencies", "EUR"),
	})
	require.NoError(t, err)
	record(t, db, "n1", order, domain.Paid)
	require.NoError(t, books.WaitHooks(t.Context()))
	assert.False(t, follows(t, temporal, "n1"), "a new order is no news")
	require.NoError(t, books.PeopleUpdate("salesorders", order, map[string]any{"Z_FulfillmentStatus": "shipped"}))
	require.NoError(t, books.WaitHooks(t.Context()))
	assert.True(t, follows(t, temporal, "n1"))

	record(t, db, "n2", order+1, domain.Paid)
	body := `{"order":"n2","status":"delivered"}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+delivery.Path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set(delivery.SignatureHeader, delivery.Sign("a-secret-of-sixteen-letters", time.Now(), []byte(body)))
	code, text := answer(t, request)
	assert.Equal(t, 200, code, text)
	assert.JSONEq(t, `{"status":"accepted"}`, text)
	assert.True(t, follows(t, temporal, "n2"))
}

// saveHome makes the location of the environment a connection whose orders go to the environment's tenant.
func saveHome(t *testing.T, db *store.Store) error {
	t.Helper()
	_, err := db.SaveConnection(t.Context(), store.Connection{
		Location: home, Access: store.ByPrivateToken, State: store.Active, Sage: store.SageOfEnvironment,
	})
	return err
}
