package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	"github.com/tallystick/tallystick/workflows"
)

// ringOf makes rings of named keys; the same name is the same key each time.
func ringOf(t *testing.T, keys map[string]string, ids ...string) string {
	t.Helper()
	parts := make([]string, len(ids))
	for i, id := range ids {
		if keys[id] == "" {
			ring, err := secret.GenerateRing()
			require.NoError(t, err)
			_, keys[id], _ = strings.Cut(ring.Reveal(), ":")
		}
		parts[i] = id + ":" + keys[id]
	}
	return strings.Join(parts, ",")
}

// sealSome puts one value of each kind into the store, as a process with this ring does.
func sealSome(t *testing.T, db *store.Store, keys, suffix string) {
	t.Helper()
	ring, err := secret.ParseRing(keys)
	require.NoError(t, err)
	require.NoError(t, db.UseKey(t.Context(), ring.CurrentID(), ring.Check(ring.CurrentID())))
	seal := func(text, purpose string) store.Sealed {
		id, sealed := ring.SealText([]byte(text), purpose)
		return store.Sealed{KeyID: id, Text: sealed}
	}
	owner := store.TokenOfLocation("shop" + suffix)
	_, err = db.PutToken(t.Context(), store.Token{
		Owner: owner, Pair: seal(`{"access":"`+planted+`"}`, store.TokenPurpose(owner)), Expires: time.Now().Add(time.Hour),
	})
	require.NoError(t, err)
	settings, err := connections.SealSettings(ring, "shop"+suffix, config.Settings{GHL: config.GHL{PrivateToken: planted}})
	require.NoError(t, err)
	connected(t, db, store.Connection{Location: "shop" + suffix, Settings: settings})
	require.NoError(t, db.Plan(t.Context(), store.PlannedWrite{
		Location: "shop" + suffix, Vendor: "sage", Operation: "sage.orders.create", Method: "POST", Path: "/salesorders", Digest: "d" + suffix,
		Request: seal(`{"query":{"a":["b"]},"body":{"total":15010,"email":"jane.doe@example.com"}}`, store.PlannedPurpose("d"+suffix)),
	}))
}

func keysIn(t *testing.T) map[string]keyView {
	t.Helper()
	views := map[string]keyView{}
	for _, k := range decode[[]keyView](t, succeed(t, "keys", "list", "-o", "json")) {
		views[k.ID] = k
	}
	return views
}

// TestAKeyIsRotatedAndRetired goes the whole way of a key on a real server: while anything needs it, it may not go.
func TestAKeyIsRotatedAndRetired(t *testing.T) {
	server := devservertest.Start(t, devserver.StartOptions{Headless: true})
	db := openDatabase(t, environment(t))
	t.Setenv("TEMPORAL_ADDRESS", server.Address)
	keys := map[string]string{}
	t.Setenv("SECRET_KEYS", ringOf(t, keys, "k1"))
	sealSome(t, db, ringOf(t, keys, "k1"), "1")
	connected(t, db, store.Connection{Location: home})
	succeed(t, "schedules", "apply")
	succeed(t, "sync", "order", "old")
	staysBecause := func(words string) {
		t.Helper()
		require.Eventually(t, func() bool {
			code, _, errOut := starter(t, "keys", "retire", "k1")
			return code == exitFailed && strings.Contains(errOut, words)
		}, time.Minute, 50*time.Millisecond, words)
	}
	staysBecause("it seals")

	t.Setenv("SECRET_KEYS", ringOf(t, keys, "k2", "k1"))
	staysBecause("still seals by what the store knows")
	assert.Contains(t, succeed(t, "keys", "rotate", "--dry-run"), "3 values sealed with k1 would be sealed anew with k2")
	assert.EqualValues(t, 3, keysIn(t)["k1"].Values)
	assert.True(t, keysIn(t)["k2"].Since.IsZero(), "a dry run records nothing")

	// What has the new key already goes on meanwhile.
	sealSome(t, db, ringOf(t, keys, "k2", "k1"), "2")
	staysBecause("not everything was sealed anew")
	out := succeed(t, "keys", "rotate")
	assert.Contains(t, out, "3 values sealed anew with k2")
	assert.Contains(t, out, "6 schedules written anew")
	assert.Contains(t, out, "starter keys retire k1")
	views := keysIn(t)
	assert.Zero(t, views["k1"].Values)
	assert.EqualValues(t, 6, views["k2"].Values)
	assert.True(t, views["k2"].Seals)
	assert.False(t, views["k1"].Until.IsZero())
	assert.Contains(t, succeed(t, "connect", "show", "shop1"), "GHL_PRIVATE_TOKEN", "it opens with the new key")
	assert.Contains(t, succeed(t, "keys", "rotate"), "0 values")

	t.Setenv("SECRET_KEYS", ringOf(t, keys, "k1", "k2")) // a process that was forgotten
	succeed(t, "schedules", "apply", "--force")
	t.Setenv("SECRET_KEYS", ringOf(t, keys, "k2", "k1"))
	staysBecause("the input of the schedule payment-sweep/")
	succeed(t, "keys", "rotate")
	temporal := connect(t)
	inputsAre(t, temporal, ringOf(t, keys, "k2"))
	staysBecause("still run")
	clear := func(do func(*commonpb.WorkflowExecution) error) {
		t.Helper()
		list, err := temporal.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Namespace: "default"})
		require.NoError(t, err)
		for _, e := range list.GetExecutions() {
			if err := do(e.GetExecution()); !missing(err) {
				require.NoError(t, err)
			}
		}
	}
	succeed(t, "schedules", "pause") // or they would start sweeps anew
	succeed(t, "schedules", "pause", "watch")
	clear(func(e *commonpb.WorkflowExecution) error {
		return temporal.TerminateWorkflow(context.WithoutCancel(t.Context()), e.GetWorkflowId(), e.GetRunId(), "test")
	})
	staysBecause("the namespace's retention of")
	clear(func(e *commonpb.WorkflowExecution) error {
		_, err := temporal.WorkflowService().DeleteWorkflowExecution(t.Context(), &workflowservice.DeleteWorkflowExecutionRequest{
			Namespace: "default", WorkflowExecution: e,
		})
		return err
	})
	t.Setenv("SECRET_KEYS", ringOf(t, keys, "k1", "k2")) // it still runs, and nothing in the store tells of it
	succeed(t, "sync", "order", "stray")
	t.Setenv("SECRET_KEYS", ringOf(t, keys, "k2", "k1"))
	staysBecause("payment-to-order/" + home + "/stray began after everything was sealed anew")
	clear(func(e *commonpb.WorkflowExecution) error {
		_, err := temporal.WorkflowService().DeleteWorkflowExecution(t.Context(), &workflowservice.DeleteWorkflowExecutionRequest{
			Namespace: "default", WorkflowExecution: e,
		})
		return err
	})
	succeed(t, "sync", "order", "good")
	require.Eventually(t, func() bool {
		code, out, _ := starter(t, "keys", "retire", "k1", "--dry-run")
		return code == exitDone && strings.Contains(out, "would be forgotten")
	}, time.Minute, 50*time.Millisecond)
	assert.Contains(t, keysIn(t), "k1")
	assert.Contains(t, succeed(t, "keys", "retire", "k1"), "take it out of SECRET_KEYS")
	t.Setenv("SECRET_KEYS", ringOf(t, keys, "k2"))
	assert.NotContains(t, keysIn(t), "k1")
	assert.Contains(t, succeed(t, "connect", "show", "shop1"), "GHL_PRIVATE_TOKEN")

	code, _, errOut := starter(t, "keys", "retire", "k7")
	assert.Equal(t, exitWrong, code, errOut)
	everything := out + fmt.Sprint(views) + succeed(t, "keys", "list")
	for _, hidden := range []string{planted, keys["k1"], keys["k2"]} {
		assert.NotContains(t, everything, hidden)
	}
}

// inputsAre opens the inputs of the schedules with a ring that has the new key only.
func inputsAre(t *testing.T, temporal client.Client, keys string) {
	t.Helper()
	ring, err := secret.ParseRing(keys)
	require.NoError(t, err)
	for _, id := range []string{workflows.PaymentSweepID(home), workflows.DeepSweepID(home), workflows.WatchdogID} {
		d, err := temporal.ScheduleClient().GetHandle(t.Context(), id).Describe(t.Context())
		require.NoError(t, err)
		for _, arg := range d.Schedule.Action.(*client.ScheduleWorkflowAction).Args {
			opened, err := secret.NewCodec(ring).Decode([]*commonpb.Payload{arg.(*commonpb.Payload)})
			require.NoError(t, err)
			if id != workflows.WatchdogID { // which looks after all locations
				assert.Contains(t, string(opened[0].GetData()), home)
			}
		}
	}
}

func TestARotationRefusesWhatItCannotOpen(t *testing.T) {
	db := openDatabase(t, environment(t))
	keys := map[string]string{}
	sealSome(t, db, ringOf(t, keys, "k1"), "1")
	t.Setenv("SECRET_KEYS", ringOf(t, keys, "k2"))
	for _, line := range []string{"keys rotate", "keys rotate --dry-run"} {
		code, _, errOut := starter(t, strings.Fields(line)...)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errOut, "k1 (3 values)")
	}
	assert.True(t, keysIn(t)["k2"].Since.IsZero())
	table := succeed(t, "keys", "list")
	assert.Contains(t, table, "first, seals")
	assert.Contains(t, table, "no ")

	t.Setenv("SECRET_KEYS", ringOf(t, map[string]string{}, "k1"))
	assert.True(t, keysIn(t)["k1"].Differs)
	code, _, errOut := starter(t, "keys", "rotate")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "new id")
}

// TestARotationWithoutTemporal seals the store anew, says what is left, and does not count as done.
func TestARotationWithoutTemporal(t *testing.T) {
	db := openDatabase(t, environment(t))
	keys := map[string]string{}
	sealSome(t, db, ringOf(t, keys, "k1"), "1")
	t.Setenv("SECRET_KEYS", ringOf(t, keys, "k2", "k1"))
	code, out, errOut := starter(t, "keys", "rotate")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "3 values sealed anew")
	assert.Contains(t, errOut, "run this again")
	code, _, errOut = starter(t, "keys", "retire", "k1")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "not everything was sealed anew")
}

func TestPlannedWritesAreShown(t *testing.T) {
	db := openDatabase(t, environment(t))
	keys := map[string]string{}
	t.Setenv("SECRET_KEYS", ringOf(t, keys, "k1"))
	assert.Contains(t, succeed(t, "planned"), "none")
	sealSome(t, db, ringOf(t, keys, "k1"), "1")
	sealSome(t, db, ringOf(t, keys, "k1"), "2")
	table := succeed(t, "planned") + succeed(t, "planned", "-o", "json")
	assert.Contains(t, table, "sage.orders.create")
	assert.Contains(t, table, "POST /salesorders")
	assert.NotContains(t, table, "jane.doe", "what is personal is shown on demand only")
	full := decode[[]plannedView](t, succeed(t, "planned", "--full", "-o", "json"))
	require.Len(t, full, 2)
	assert.Contains(t, string(full[0].Body), "jane.doe@example.com")
	assert.Equal(t, "b", full[0].Query.Get("a"))
	assert.Contains(t, succeed(t, "planned", "--full", "--location", "shop1"), `"total":15010`)

	assert.Contains(t, succeed(t, "planned", "--clear", "--dry-run"), "2 planned writes would be forgotten")
	assert.Contains(t, succeed(t, "planned", "--clear", "--location", "shop1"), "1 planned writes forgotten")
	assert.Len(t, decode[[]plannedView](t, succeed(t, "planned", "-o", "json")), 1)
	entries, _, err := db.AuditLog(t.Context(), store.AuditFilter{Action: "planned clear"})
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}
