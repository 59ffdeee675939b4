package sage_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/sage"
)

// receiver takes in hooks and answers them with the statuses given, then with 200.
type receiver struct {
	*httptest.Server

	mu       sync.Mutex
	statuses []int
	bodies   []string
	header   http.Header
}

func receive(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{statuses: statuses}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bodies, r.header = append(r.bodies, req.Method+" "+req.URL.Path+" "+string(body)), req.Header
		if len(r.statuses) > 0 {
			w.WriteHeader(r.statuses[0])
			r.statuses = r.statuses[1:]
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.bodies...)
}

func (c *client) hook(entity, action, url string) map[string]any {
	c.t.Helper()
	status, body := c.do("POST", "/hooks", map[string]any{"name": "Tallystick", "entity": entity, "action": action, "url": url})
	require.Equal(c.t, 200, status, body)
	var out map[string]any
	require.NoError(c.t, json.Unmarshal([]byte(body), &out))
	return out
}

func TestHooksHaveTheirOwnShape(t *testing.T) {
	c := start(t, sage.Options{})
	made := c.hook("salesOrder", "Update", "https://shop.example/hook")
	for name, want := range map[string]any{"id": 1.0, "entity": "salesorder", "action": "update", "version": 4.0, "deleted": false,
		"name": "Tallystick", "url": "https://shop.example/hook", "user_created": 51.0, "date_updated": nil} {
		require.Contains(t, made, name)
		require.Equal(t, want, made[name], name)
	}
	require.Regexp(t, `^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$`, made["secret_key"])
	second := c.hook("salesorder", "update", "https://shop.example/hook")
	require.NotEqual(t, made["secret_key"], second["secret_key"], "one like it is not refused")
	require.Equal(t, made, c.get("/hooks/1"))

	status, body := c.do("DELETE", "/hooks/1", nil)
	require.Equal(t, 200, status)
	require.JSONEq(t, `{"Message":"entity deleted"}`, body)
	require.Equal(t, true, c.get("/hooks/1")["deleted"])
	_, body = c.do("GET", "/hooks?Count=1&page=1", nil)
	var rows []map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &rows))
	require.Len(t, rows, 1)
	require.InDelta(t, 2, rows[0]["id"], 0)
	for _, wrong := range [][3]string{{"DELETE", "/hooks/1"}, {"GET", "/hooks/9"}, {"POST", "/hooks", `{"name":"a","entity":"product","action":"update","url":"u"}`},
		{"POST", "/hooks", `{"name":"a","entity":"account","action":"patch","url":"u"}`}, {"POST", "/hooks", `{"entity":"account","action":"insert","url":"u"}`}} {
		var in any
		if wrong[2] != "" {
			in = wrong[2]
		}
		status, _ := c.do(wrong[0], wrong[1], in)
		require.Equal(t, 400, status, wrong)
	}
	status, _ = c.do("PUT", "/hooks/2", `{"url":"u"}`)
	require.Equal(t, 405, status)
	require.Len(t, c.server.Hooks(), 1)
}

func TestHooksSendTheRecordOfEveryonesWrites(t *testing.T) {
	c := start(t, sage.Options{Hooks: sage.HookOptions{SecretHeader: "X-Secret"}, LineBumpsOrder: true})
	in := receive(t)
	for _, action := range []string{"insert", "update", "delete"} {
		c.hook("salesorder", action, in.URL+"/"+action)
	}
	id := c.order(map[string]any{"extId": "ghl:order:1"})
	c.account(nil) // no hook is about accounts
	require.NoError(t, c.server.WaitHooks(t.Context()))
	require.Len(t, in.got(), 1)
	require.Equal(t, c.server.Hooks()[0].SecretKey, in.header.Get("X-Secret"))
	require.Equal(t, "application/json", in.header.Get("Content-Type"))
	_, shown := c.do("GET", "/salesorders?where=deleted=false", nil, "ExtraFieldDescription", "1")
	require.Equal(t, "POST /insert "+shown, in.got()[0], "the array that a list shows")

	require.NoError(t, c.server.PeopleUpdate("salesorders", id, map[string]any{"comment": "by hand"}))
	require.NoError(t, c.server.PeopleDelete("salesorders", id))
	require.NoError(t, c.server.WaitHooks(t.Context()))
	require.Len(t, in.got(), 3)
	sent := c.server.HookDeliveries()
	require.Len(t, sent, 3)
	for _, d := range sent {
		require.Equal(t, 200, d.Status, d.Err)
		require.Equal(t, id, d.ID)
		var rows []map[string]any
		require.NoError(t, json.Unmarshal([]byte(d.Body), &rows))
		require.Len(t, rows, 1)
		require.Equal(t, d.Action == "delete", rows[0]["deleted"])
		require.Equal(t, d.Action == "insert", rows[0]["comment"] == nil, "each shows the record as of its write")
	}
}

func TestHooksAreSentOnceUnlessOptionsOrPlanSayOtherwise(t *testing.T) {
	for name, want := range map[string]struct {
		options  sage.HookOptions
		plan     faults.Deliveries
		attempts int
	}{
		"once":     {attempts: 1},
		"retried":  {options: sage.HookOptions{Retries: 5, RetryInterval: time.Millisecond}, attempts: 3},
		"given up": {options: sage.HookOptions{Retries: 1, RetryInterval: time.Millisecond}, attempts: 2},
		"doubled":  {plan: faults.Deliveries{Twice: 1, MaxDelay: time.Millisecond}, attempts: 2},
		"lost":     {plan: faults.Deliveries{Lost: 1}, attempts: 0},
	} {
		t.Run(name, func(t *testing.T) {
			plan := faults.NewPlan(1, faults.None)
			plan.SetDeliveries(want.plan)
			c := start(t, sage.Options{Hooks: want.options, Faults: plan})
			in := receive(t, 500, 503)
			c.hook("account", "insert", in.URL)
			c.account(nil)
			require.NoError(t, c.server.WaitHooks(t.Context()))
			require.Len(t, in.got(), want.attempts)
			sent := c.server.HookDeliveries()
			require.Len(t, sent, max(want.attempts, 1))
			require.Equal(t, want.attempts == 0, sent[0].NeverSent)
		})
	}
}

func TestAHookThatNobodyTakesInHoldsNothingUp(t *testing.T) {
	c := start(t, sage.Options{})
	c.hook("account", "insert", "http://127.0.0.1:1/gone")
	c.hook("account", "insert", "no address")
	c.account(nil)
	require.NoError(t, c.server.WaitHooks(t.Context()))
	for _, d := range c.server.HookDeliveries() {
		require.Zero(t, d.Status)
		require.NotEmpty(t, d.Err)
	}
	require.Len(t, c.server.HookDeliveries(), 2)
}
