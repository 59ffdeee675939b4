package sage_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/sandbox/faults"
	tenant "github.com/tallystick/tallystick/sandbox/sage"
)

// listener takes in what hooks send.
func listener(t *testing.T) (address string, bodies func() [][]byte) {
	t.Helper()
	var mu sync.Mutex
	var all [][]byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, body)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() [][]byte {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

func TestSandboxHooksAreRegisteredAndTellOfOrders(t *testing.T) {
	server, _, c := start(t, tenant.Options{})
	ctx := t.Context()
	address, bodies := listener(t)
	insert, err := c.Hooks.Create(ctx, sage.NewHook{Name: "Tallystick", Entity: sage.HookOrder, Action: sage.HookInsert, URL: address + "/webhooks/sage/token"})
	require.NoError(t, err)
	assert.NotEmpty(t, insert.SecretKey)
	update, err := c.Hooks.Create(ctx, sage.NewHook{Name: "Tallystick", Entity: sage.HookOrder, Action: sage.HookUpdate, URL: address})
	require.NoError(t, err)
	live, err := c.Hooks.Live(ctx)
	require.NoError(t, err)
	assert.Equal(t, []sage.Hook{insert, update}, live)
	assert.True(t, live[1].Is("salesOrder", sage.HookUpdate))
	assert.False(t, live[1].Is(sage.HookOrder, sage.HookInsert))

	order, err := c.Orders.Create(ctx, newOrder(t, c, "ghl:order:1"))
	require.NoError(t, err)
	require.NoError(t, server.PeopleUpdate("salesorders", order, map[string]any{"Z_FulfillmentStatus": "shipped"}))
	require.NoError(t, server.WaitHooks(ctx))
	require.Len(t, bodies(), 2)
	for _, body := range bodies() {
		records, err := sage.ReadHook(body)
		require.NoError(t, err)
		require.Len(t, records, 1)
		assert.Equal(t, order, records[0].ID)
		assert.Equal(t, "ghl:order:1", records[0].ExtID)
		assert.Contains(t, []string{"", "shipped"}, records[0].Extra.Text("Z_FulfillmentStatus"))
	}

	require.NoError(t, c.Hooks.Delete(ctx, update.ID))
	assert.True(t, sage.MaybeNotFound(c.Hooks.Delete(ctx, update.ID)))
	live, err = c.Hooks.Live(ctx)
	require.NoError(t, err)
	assert.Equal(t, []sage.Hook{insert}, live)
	require.NoError(t, server.PeopleUpdate("salesorders", order, map[string]any{"Z_FulfillmentStatus": "delivered"}))
	require.NoError(t, server.WaitHooks(ctx))
	assert.Len(t, bodies(), 2, "a hook that is gone tells nothing")
}

func TestSandboxHookOfUnknownOutcomeIsLookedUp(t *testing.T) {
	server, plan, c := start(t, tenant.Options{})
	hook := sage.NewHook{Name: "Tallystick", Entity: sage.HookOrder, Action: sage.HookUpdate, URL: "https://shop.example/webhooks/sage/a-token-of-ours"}
	for _, kind := range []faults.Kind{faults.CutAfter, faults.TruncatedJSON} {
		plan.Next("sage.hooks.create", faults.Fault{Kind: kind})
		_, err := c.Hooks.Create(t.Context(), hook)
		require.True(t, transport.MayHaveLanded(err), "%v", err)
		assert.NotContains(t, err.Error(), "a-token-of-ours")
	}
	live, err := c.Hooks.Live(t.Context())
	require.NoError(t, err)
	assert.Len(t, live, 2, "sage refuses no second one")
	assert.Len(t, server.Hooks(), 2)
	for _, wrong := range []sage.NewHook{{}, {Name: "a", Entity: sage.HookOrder, Action: sage.HookUpdate, URL: "shop.example"},
		{Name: "a", Entity: sage.HookOrder, URL: hook.URL}} {
		_, err := c.Hooks.Create(t.Context(), wrong)
		require.ErrorIs(t, err, transport.ErrInvalidCall)
	}
	assert.Len(t, server.Hooks(), 2)
}

func TestSandboxHooksAreLeftAloneInReadOnlyMode(t *testing.T) {
	server, _, c := start(t, tenant.Options{}, func(o *sage.Options) { o.ReadOnly = true })
	_, err := c.Hooks.Create(t.Context(), sage.NewHook{Name: "a", Entity: sage.HookOrder, Action: sage.HookUpdate, URL: "https://shop.example"})
	require.ErrorIs(t, err, transport.ErrReadOnly)
	require.ErrorIs(t, c.Hooks.Delete(t.Context(), 1), transport.ErrReadOnly)
	live, err := c.Hooks.Live(t.Context())
	require.NoError(t, err)
	assert.Empty(t, live)
	assert.Empty(t, server.Writes())
}

func TestReadHookKeepsWhatNamesARecord(t *testing.T) {
	for body, want := range map[string][]sage.HookRecord{
		`[]`: {},
		"[{\"id\":5,\"extId\":\"ghl:order:1\"}]\n":                              {{ID: 5, ExtID: "ghl:order:1"}},
		`{"id":"5","extId":null}`:                                               {{ID: 5}},
		`[{"id":5},{"extId":"a"},{"id":"none"}]`:                                {{ID: 5}},
		`[{"ID":6,"extId":7,"total":1e400,"dateCreated":"never","comment":[]}]`: {{ID: 6, ExtID: "7"}},
		`[{"id":5,"extId":{"id":1,"value":"a"}}]`:                               {{ID: 5}},
		`[{"id":5,"Z_A":"x","comment":"y"}]`:                                    {{ID: 5, Extra: sage.Extra{"Z_A": json.RawMessage(`"x"`)}}},
	} {
		records, err := sage.ReadHook([]byte(body))
		require.NoError(t, err, body)
		assert.Equal(t, want, records, body)
	}
	for _, body := range []string{"", "null x", `"secret"`, "[1]", `[["secret"]]`, `[{"id":5`, "5"} {
		_, err := sage.ReadHook([]byte(body))
		require.Error(t, err, body)
		assert.NotContains(t, err.Error(), "secret")
	}
}
