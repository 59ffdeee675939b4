package sagehook

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/intake"
	"github.com/tallystick/tallystick/workflows"
)

const token = "0123456789abcdef0123456789abcdef"

// looks is a Door that remembers.
type looks []string

func (l *looks) LookAtFulfillment(_ context.Context, location, order string, hint workflows.Hint) error {
	*l = append(*l, fmt.Sprint(location, " ", order, " ", hint.Source, " ", hint.Event))
	return nil
}

// working are the locations that are connected.
type working map[string]bool

func (w working) Connected(_ context.Context, location string) (bool, error) { return w[location], nil }
func (w working) Resting(context.Context, string) (bool, error)              { return false, nil }
func (w working) Only(context.Context) (string, bool, error)                 { return "", false, nil }

// open has the order o1 in the books of two locations that work, o2 in those of one that does not.
func open(t testing.TB) (*Handler, *looks) {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "store.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	amount, now := domain.NewMoney(100, "EUR"), time.Now()
	for i, at := range []struct{ location, order string }{{"here", "o1"}, {"there", "o1"}, {"asleep", "o2"}} {
		require.NoError(t, db.RecordOrder(t.Context(), store.OrderRecord{Location: at.location, OrderID: at.order, SageID: int64(i + 1), AsOf: now,
			Digest: "d", State: domain.Paid, Total: amount, Paid: amount, Refunded: domain.NewMoney(0, "EUR"), BroughtAt: now}))
	}
	door := new(looks)
	_, err = db.OpenFulfillment(t.Context(), store.FulfillmentRecord{Location: "here", OrderID: "o1", SageID: 1, OpenedAt: now,
		Lifecycle: domain.Fulfillment{State: domain.FulfillmentShipped}, Agreed: store.AgreedFulfillment{State: "shipped", Trackings: "1Z9"}})
	require.NoError(t, err)
	h, err := New(Options{Token: token, Door: door, Books: db, Locations: working{"here": true, "there": true},
		Fields: func(context.Context, string) (string, string, error) {
			return "Z_FulfillmentStatus", "Z_TrackingNumbers", nil
		}})
	require.NoError(t, err)
	return h, door
}

func post(t testing.TB, h *Handler, path, body string) (int, intake.Answer) {
	t.Helper()
	mux := http.NewServeMux()
	h.Register(mux)
	recorder := httptest.NewRecorder()
	mux.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	var a intake.Answer
	if recorder.Code != http.StatusNotFound { // the mux's own
		require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &a))
	}
	return recorder.Code, a
}

func TestRecordsOfOrdersBecomeHints(t *testing.T) {
	one := []string{"here o1 webhook sage", "there o1 webhook sage"}
	for name, c := range map[string]struct {
		body   string
		code   int
		status string
		looks  []string
	}{
		"as documented":                   {`[{"id":7,"extId":"ghl:order:o1","deleted":false,"statusId":{"id":1,"value":"Open"}}]`, 200, "accepted", one},
		"one without its array":           {` {"id":7,"extId":"ghl:order:o1"}`, 200, "accepted", one},
		"the same twice":                  {`[{"id":7,"extId":"ghl:order:o1"},{"id":7,"extId":"ghl:order:o1"}]`, 200, "accepted", one},
		"beside others":                   {`[{"id":7,"extId":"ghl:contact:o1"},{"id":7,"extId":null},{},{"id":7,"extId":{"a":1}},{"id":8,"extId":"ghl:order:o1"}]`, 200, "accepted", one},
		"what was agreed here, not there": {`[{"id":7,"extId":"ghl:order:o1","Z_FulfillmentStatus":"shipped","Z_TrackingNumbers":"1Z9"}]`, 200, "accepted", one[1:]},
		"another number":                  {`[{"id":7,"extId":"ghl:order:o1","Z_FulfillmentStatus":"shipped","Z_TrackingNumbers":"1Z9, 1Z8"}]`, 200, "accepted", one},
		"how a lifecycle begins":          {`[{"id":7,"extId":"ghl:order:o1","Z_FulfillmentStatus":"created","Z_TrackingNumbers":null}]`, 200, "accepted", one[:1]},
		"agreed, and then something else": {`[{"id":7,"extId":"ghl:order:o1","Z_FulfillmentStatus":"shipped","Z_TrackingNumbers":"1Z9"},{"id":7,"extId":"ghl:order:o1","Z_FulfillmentStatus":"delivered"}]`, 200, "accepted", one},
		"an order nobody knows":           {`[{"id":7,"extId":"ghl:order:o9"}]`, 200, "ignored", nil},
		"a location that rests":           {`[{"id":7,"extId":"ghl:order:o2"}]`, 200, "ignored", nil},
		"made by hand":                    {`[{"id":7,"extId":"4711"},{"id":7,"extId":""}]`, 200, "ignored", nil},
		"an id that is none":              {`[{"id":7,"extId":"ghl:order:a/b"},{"id":7,"extId":"ghl:order:"},{"id":7,"extId":"ghl:order:a' OR '1"}]`, 200, "ignored", nil},
		"no records":                      {`[]`, 200, "ignored", nil},
		"no array":                        {`"ghl:order:o1"`, 400, "refused", nil},
		"an array that does not end":      {`[{"id":7,"extId":"ghl:order:o1"}`, 400, "refused", nil},
		"something else than records":     {`[7]`, 400, "refused", nil},
		"nothing":                         {``, 400, "refused", nil},
	} {
		t.Run(name, func(t *testing.T) {
			h, door := open(t)
			code, a := post(t, h, Path+token, c.body)
			assert.Equal(t, c.code, code)
			assert.Equal(t, c.status, a.Status)
			assert.Equal(t, c.looks, []string(*door))
		})
	}
}

func TestWithoutTheTokenNothingIsHeard(t *testing.T) {
	h, door := open(t)
	for path, code := range map[string]int{
		Path + token[:31]: 401, Path + token + "0": 401, Path + strings.ToUpper(token): 401, Path + "%20" + token: 401,
		Path: 404, Path + token + "/": 404, "/webhooks/sage": 404,
	} {
		got, _ := post(t, h, path, `[{"id":7,"extId":"ghl:order:o1"}]`)
		assert.Equal(t, code, got, path)
	}
	assert.Empty(t, *door)

	closed, err := New(Options{Door: door})
	require.NoError(t, err)
	code, _ := post(t, closed, Path+"x", `[{"id":7,"extId":"ghl:order:o1"}]`)
	assert.Equal(t, 401, code, "where no token is set, none is good")
}

func TestManyAtOnceAreLeftToTheSweep(t *testing.T) {
	var body []string
	for i := range 3 * mostOrders {
		body = append(body, fmt.Sprintf(`{"id":7,"extId":"ghl:order:n%d"}`, i))
	}
	orders, err := ordersOf([]byte("[" + strings.Join(body, ",") + "]"))
	require.NoError(t, err)
	assert.Len(t, orders, mostOrders)
}

func FuzzOrders(f *testing.F) {
	f.Add([]byte(`[{"id":7,"extId":"ghl:order:o1"}]`))
	f.Add([]byte(`{"id":7,"extId":"ghl:order:\u002f"}`))
	f.Add([]byte(`[[[[{}]]]]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		orders, err := ordersOf(raw)
		if err != nil && len(orders) > 0 {
			t.Fatal("orders out of what cannot be read")
		}
		for id := range orders {
			if err := intake.CheckID(id); err != nil {
				t.Fatal(err)
			}
		}
	})
}
