package delivery

import (
	"context"
	"encoding/json"
	"errors"
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

const (
	key  = "a-secret-of-sixteen-letters-and-more"
	home = "Z4Bxl8J4SaPEPLq9IQ8g"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// temporal is a Door that remembers, or is away.
type temporal struct {
	looks []string
	fault error
}

func (d *temporal) LookAtFulfillment(_ context.Context, location, order string, hint workflows.Hint) error {
	if d.fault != nil {
		return d.fault
	}
	d.looks = append(d.looks, fmt.Sprint(location, " ", order, " ", hint.Source, " ", hint.Event))
	return nil
}

// places are the locations: those that work, and those that rest.
type places map[string]bool

func (p places) Connected(_ context.Context, location string) (bool, error) { return p[location], nil }
func (p places) Resting(_ context.Context, location string) (bool, error) {
	works, known := p[location]
	return known && !works, nil
}
func (p places) Only(context.Context) (string, bool, error) {
	var working []string
	for location, works := range p {
		if works {
			working = append(working, location)
		}
	}
	return strings.Join(working, " "), len(working) == 1, nil
}

// bench is a door with a real store, in which o1 is on its way under 1Z999, and o2 together with o3 under BOX1.
type bench struct {
	handler *Handler
	store   *store.Store
	door    *temporal
}

func open(t testing.TB, locations intake.Locations) *bench {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "store.db"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	amount := domain.NewMoney(100, "EUR")
	for i, order := range []string{"o1", "o2", "o3"} {
		require.NoError(t, db.RecordOrder(t.Context(), store.OrderRecord{Location: home, OrderID: order, SageID: int64(i + 1), AsOf: noon,
			Digest: "d", State: domain.Paid, Total: amount, Paid: amount, Refunded: domain.NewMoney(0, "EUR"), BroughtAt: noon}))
		number := "BOX1"
		if order == "o1" {
			number = "1Z999"
		}
		_, err = db.SaveFulfillment(t.Context(), store.FulfillmentRecord{Location: home, OrderID: order, SageID: int64(i + 1),
			PaidAt: noon, OpenedAt: noon, ChangedAt: noon, Lifecycle: domain.Fulfillment{State: domain.FulfillmentShipped,
				Shipments: []domain.Shipment{{ID: "f-" + order, State: domain.FulfillmentShipped, Trackings: []domain.Tracking{{Number: number}}}}},
		}, nil, nil)
		require.NoError(t, err)
	}
	b := &bench{store: db, door: &temporal{}}
	b.handler, err = New(Options{Secret: key, Door: b.door, Books: db, Locations: locations, Now: func() time.Time { return noon }})
	require.NoError(t, err)
	return b
}

// post sends a body with a header, and with a good one if that is empty.
func (b *bench) post(t testing.TB, body string, header ...string) (int, intake.Answer) {
	t.Helper()
	mux := http.NewServeMux()
	b.handler.Register(mux)
	r := httptest.NewRequest(http.MethodPost, Path, strings.NewReader(body))
	if len(header) == 0 {
		header = []string{Sign(key, noon, []byte(body))}
	}
	for _, value := range header {
		r.Header.Add(SignatureHeader, value)
	}
	recorder := httptest.NewRecorder()
	mux.ServeHTTP(recorder, r)
	var a intake.Answer
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &a))
	return recorder.Code, a
}

func (b *bench) open(t testing.TB, location string) []store.DeliveryNews {
	t.Helper()
	news, _, err := b.store.OpenDeliveryNews(t.Context(), location, store.Page{})
	require.NoError(t, err)
	return news
}

func TestNewsIsKeptAndFollowed(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		looks  []string
		reason string
		kept   store.DeliveryNews
	}{
		"an order": {`{"order":"o1","status":"delivered"}`, []string{home + " o1 webhook delivery"}, "",
			store.DeliveryNews{OrderID: "o1", State: domain.FulfillmentDelivered, At: noon}},
		"a parcel": {`{"tracking":" 1z-999 ","status":"Delivered","at":"2026-11-21T10:00:00+01:00","location":"` + home + `"}`,
			[]string{home + " o1 webhook delivery"}, "",
			store.DeliveryNews{Tracking: "1Z999", State: domain.FulfillmentDelivered, At: noon.Add(-27 * time.Hour)}},
		"a parcel of two orders": {`{"tracking":"BOX 1","status":"delivered"}`, []string{home + " o2 webhook delivery", home + " o3 webhook delivery"}, "",
			store.DeliveryNews{Tracking: "BOX1", State: domain.FulfillmentDelivered, At: noon}},
		"on its way, with more than is asked": {`{"order":"o1","status":"shipped","carrier":"DHL","order_number":7}`, []string{home + " o1 webhook delivery"}, "",
			store.DeliveryNews{OrderID: "o1", State: domain.FulfillmentShipped, At: noon}},
		"a parcel nobody knows yet": {`{"tracking":"NEW1","status":"delivered"}`, nil, "kept until its shipment is known",
			store.DeliveryNews{Tracking: "NEW1", State: domain.FulfillmentDelivered, At: noon}},
		"an order nobody knows yet": {`{"order":"o9","status":"delivered"}`, nil, "kept until this order is in the books",
			store.DeliveryNews{OrderID: "o9", State: domain.FulfillmentDelivered, At: noon}},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, intake.One(home))
			for range 2 { // the second time changes nothing
				b.door.looks = nil
				code, a := b.post(t, c.body)
				assert.Equal(t, http.StatusOK, code)
				want := intake.Answer{Status: "accepted"}
				if c.reason != "" {
					want = intake.Answer{Status: "kept", Reason: c.reason}
				}
				assert.Equal(t, want, a)
				assert.Equal(t, c.looks, b.door.looks)
			}
			c.kept.Location, c.kept.ReceivedAt, c.kept.Source = home, noon, Event
			assert.Equal(t, []store.DeliveryNews{c.kept}, b.open(t, home))
		})
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	b := open(t, intake.One(home))
	for body, reason := range map[string]string{
		`{"status":"delivered"}`:                                               "order",
		`{"order":"o1","tracking":"1Z999","status":"delivered"}`:               "either",
		`{"order":"o1"}`:                                                       "status",
		`{"order":"o1","status":"created"}`:                                    "status",
		`{"order":"o1","status":"cancelled"}`:                                  "status",
		`{"order":"o1","status":"exception"}`:                                  "status",
		`{"order":17,"status":"delivered"}`:                                    "order: must be a text",
		`{"tracking":123456,"status":"delivered"}`:                             "tracking: must be a text",
		`{"order":"a/b","status":"delivered"}`:                                 "order: ",
		`{"order":"` + strings.Repeat("a", 101) + `","status":"delivered"}`:    "order: ",
		`{"tracking":"- -","status":"delivered"}`:                              "tracking: missing",
		`{"tracking":"1Z;DROP","status":"delivered"}`:                          "tracking: holds",
		`{"tracking":"` + strings.Repeat("1", 65) + `","status":"delivered"}`:  "tracking: longer",
		`{"tracking":"` + strings.Repeat(" ", 300) + `","status":"delivered"}`: "tracking: longer",
		`{"order":"o1","status":"delivered","at":"yesterday"}`:                 "at: must",
		`{"order":"o1","status":"delivered","at":"0001-01-01T00:00:00Z"}`:      "at: must",
		`{"order":"o1","status":"delivered","at":"2026-11-22T12:06:00Z"}`:      "at: lies ahead",
		`{"order":"o1","ORDER":"o2","status":"delivered"}`:                     "twice",
		`{"order":"o1","status":"delivered","location":"a b"}`:                 "location: ",
		`[{"order":"o1","status":"delivered"}]`:                                "JSON object",
		`null`:                                                                 "JSON object",
	} {
		code, a := b.post(t, body)
		assert.Equal(t, http.StatusBadRequest, code, body)
		assert.Contains(t, a.Reason, reason, body)
	}
	assert.Empty(t, b.open(t, home))
	assert.Empty(t, b.door.looks)
}

func TestSignatures(t *testing.T) {
	body := `{"order":"o1","status":"delivered"}`
	good := Sign(key, noon, []byte(body))
	at, v1, _ := strings.Cut(good, ",")
	other := Sign("another-secret-of-many-letters", noon, []byte(body))[len(at)+1:]
	for name, c := range map[string]struct {
		header []string
		code   int
	}{
		"good":                     {[]string{good}, 200},
		"with blanks":              {[]string{" " + at + " , " + v1 + " "}, 200},
		"the other way round":      {[]string{v1 + "," + at}, 200},
		"two, the second is good":  {[]string{at + "," + other + "," + v1}, 200},
		"with another scheme":      {[]string{good + ",v2=whatever"}, 200},
		"five minutes late":        {[]string{Sign(key, noon.Add(-Tolerance), []byte(body))}, 200},
		"later than that":          {[]string{Sign(key, noon.Add(-Tolerance-time.Second), []byte(body))}, 401},
		"too early":                {[]string{Sign(key, noon.Add(Tolerance+time.Second), []byte(body))}, 401},
		"of no time that there is": {[]string{Sign(key, time.Unix(999_999_999_999, 0), []byte(body))}, 401},
		"another secret":           {[]string{at + "," + other}, 401},
		"of another body":          {[]string{Sign(key, noon, []byte(body+" "))}, 401},
		"another time":             {[]string{"t=" + fmt.Sprint(noon.Unix()+1) + "," + v1}, 401},
		"two headers":              {[]string{good, good}, 401},
		"two times":                {[]string{at + "," + good}, 401},
		"no time":                  {[]string{v1}, 401},
		"only a time":              {[]string{at}, 401},
		"a negative time":          {[]string{"t=-5," + v1}, 401},
		"a time without end":       {[]string{"t=" + strings.Repeat("1", 500) + "," + v1}, 401},
		"empty":                    {[]string{""}, 401},
		"half of it":               {[]string{at + "," + v1[:35]}, 401},
		"no hex":                   {[]string{at + ",v1=" + strings.Repeat("z", 64)}, 401},
		"upper case":               {[]string{at + ",v1=" + strings.ToUpper(v1[3:])}, 200},
		"more than are looked at":  {[]string{at + strings.Repeat(","+other, mostSignatures) + "," + v1}, 401},
		"the body's hash, unkeyed": {[]string{at + ",v1=" + strings.Repeat("0", 64)}, 401},
	} {
		b := open(t, intake.One(home))
		code, a := b.post(t, body, c.header...)
		assert.Equal(t, c.code, code, name)
		assert.Equal(t, c.code == 200, len(b.open(t, home)) == 1, name)
		if strings.Contains(name, "late") && code == 401 || name == "too early" {
			assert.Contains(t, a.Reason, "clock", name)
		}
	}
	require.ErrorIs(t, Verify("", http.Header{SignatureHeader: {Sign("", noon, nil)}}, nil, noon), ErrSignature, "without a secret nothing is good")
}

func TestWhoseLocationItIs(t *testing.T) {
	two := places{home: true, "second": true, "asleep": false}
	b := open(t, two)
	code, a := b.post(t, `{"order":"o1","status":"delivered"}`)
	assert.Equal(t, http.StatusBadRequest, code)
	assert.Contains(t, a.Reason, "location")
	code, _ = b.post(t, `{"order":"o1","status":"delivered","location":"stranger"}`)
	assert.Equal(t, http.StatusNotFound, code)
	assert.Empty(t, b.open(t, ""))

	code, a = b.post(t, `{"order":"o1","status":"delivered","location":"second"}`)
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, "kept", a.Status, "o1 is another location's")
	code, a = b.post(t, `{"order":"o1","status":"delivered","location":"asleep"}`)
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, intake.Answer{Status: "kept", Reason: "kept until its location works again"}, a)
	assert.Len(t, b.open(t, "asleep"), 1)
	assert.Empty(t, b.door.looks)
}

// TestAnOutageLosesNothing: while Temporal is away the news is stored and asked for again; while the store is, asked for.
func TestAnOutageLosesNothing(t *testing.T) {
	b := open(t, intake.One(home))
	b.door.fault = errors.New("nobody answers")
	code, _ := b.post(t, `{"order":"o1","status":"delivered"}`)
	assert.Equal(t, http.StatusTooManyRequests, code)
	assert.Len(t, b.open(t, home), 1, "the sweep finds it, should the sender give up")
	require.NoError(t, b.store.Close())
	b.door.fault = nil
	code, _ = b.post(t, `{"order":"o2","status":"delivered"}`)
	assert.Equal(t, http.StatusTooManyRequests, code)
	assert.Empty(t, b.door.looks, "what is not kept is not followed")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"order":"o1","status":"delivered","at":"2026-11-21T10:00:00+01:00"}`))
	f.Add([]byte(`{"tracking":"1Z-999","status":"shipped","location":"l"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, err := parse(raw, noon)
		if err != nil {
			return
		}
		if (n.Order == "") == (n.Tracking == "") || n.At.After(noon.Add(Tolerance)) || n.At.Year() < 1999 {
			t.Fatalf("let %+v through", n)
		}
		for _, id := range []string{n.Order, n.Location} {
			if id != "" && intake.CheckID(id) != nil {
				t.Fatalf("let the id %q through", id)
			}
		}
		if (domain.Tracking{Number: n.Tracking}).Key() != n.Tracking {
			t.Fatalf("%q is no key", n.Tracking)
		}
	})
}

func FuzzSignature(f *testing.F) {
	f.Add(Sign(key, noon, nil))
	f.Add("t=1,v1=,v1")
	f.Fuzz(func(t *testing.T, header string) {
		err := Verify(key, http.Header{SignatureHeader: {header}}, []byte("body"), noon)
		if err == nil && !strings.Contains(strings.ToLower(header), Sign(key, noon, []byte("body"))[13:]) {
			t.Fatal("a signature was guessed")
		}
	})
}
