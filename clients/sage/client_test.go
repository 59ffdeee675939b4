package sage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
)

// wireServer is a Sage reduced to what one test needs. It checks sessions and writes down what came in.
type wireServer struct {
	*httptest.Server
	logins  atomic.Int64
	session atomic.Pointer[string] // the token that is good
	answer  http.HandlerFunc

	mu   sync.Mutex
	seen []request
}

type request struct {
	method, path string
	query        map[string][]string
	header       http.Header
	body         string
}

func newWireServer(t *testing.T, answer http.HandlerFunc) *wireServer {
	t.Helper()
	s := &wireServer{answer: answer}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *wireServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen = append(s.seen, request{r.Method, r.URL.Path, r.URL.Query(), r.Header.Clone(), string(body)})
	s.mu.Unlock()
	if r.URL.Path == "/api/v4/login" {
		token := "token-" + strconv.FormatInt(s.logins.Add(1), 10)
		s.session.Store(&token)
		fmt.Fprintf(w, `{"token":%q}`, token)
		return
	}
	if good := s.session.Load(); good == nil || r.Header.Get("X-Session-Key") != *good {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"Message":"Authorization has been denied for this request."}`)
		return
	}
	s.answer(w, r)
}

func (s *wireServer) requests(path string) []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []request
	for _, r := range s.seen {
		if strings.HasPrefix(r.path, "/api/v4"+path) {
			out = append(out, r)
		}
	}
	return out
}

func (s *wireServer) endSession() { s.session.Store(new("another")) }

// clock is moved by hand.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.nanos.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.nanos.Add(int64(d)) }

func newTestClient(t *testing.T, url string, change ...func(*Options)) *Client {
	t.Helper()
	options := Options{BaseURL: url + "/api/v4", PublicKey: "public-key", PrivateKey: "private-key", Limiter: NewLimiter(0, 0)}
	for _, f := range change {
		f(&options)
	}
	client, err := New(options)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdle)
	return client
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	_, err := New(Options{})
	require.ErrorContains(t, err, "SAGE_PRIVATE_KEY")
	_, err = New(Options{PublicKey: "a", PrivateKey: "b", BaseURL: "not an address"})
	require.Error(t, err)
	client, err := New(Options{PublicKey: "a", PrivateKey: "b"})
	require.NoError(t, err)
	require.NotNil(t, client)
}

func TestLoginAndSessionHeader(t *testing.T) {
	server := newWireServer(t, reply(200, `{"id":5,"name":"ACME"}`))
	client := newTestClient(t, server.URL)
	account, err := client.Accounts.Get(t.Context(), 5)
	require.NoError(t, err)
	assert.Equal(t, "ACME", account.Name)

	login := server.requests("/login")
	require.Len(t, login, 1)
	assert.Equal(t, http.MethodPost, login[0].method)
	assert.JSONEq(t, `{"username":"public-key","password":"private-key"}`, login[0].body)
	assert.Empty(t, login[0].header.Get("X-Session-Key"))

	get := server.requests("/accounts/5")
	require.Len(t, get, 1)
	assert.Equal(t, "token-1", get[0].header.Get("X-Session-Key"))
	assert.Empty(t, get[0].header.Get("Authorization"))
	assert.Equal(t, "1", get[0].header.Get("ExtraFieldDescription"))
}

func TestSessionIsRenewedBeforeFiftyMinutes(t *testing.T) {
	server := newWireServer(t, reply(200, `{"id":5}`))
	now := newClock()
	client := newTestClient(t, server.URL, func(o *Options) { o.Now = now.Now })
	get := func() {
		_, err := client.Accounts.Get(t.Context(), 5)
		require.NoError(t, err)
	}
	get()
	now.Advance(50*time.Minute - time.Second)
	get()
	assert.Equal(t, int64(1), server.logins.Load())
	now.Advance(time.Second)
	get()
	assert.Equal(t, int64(2), server.logins.Load())
	assert.Len(t, server.requests("/accounts/5"), 3, "no call was refused on the way")
}

func TestA401IsRepeatedOnceInANewSession(t *testing.T) {
	server := newWireServer(t, reply(200, `{"Message":"entity created","id":35}`))
	client := newTestClient(t, server.URL)
	_, err := client.Products.Create(t.Context(), ProductFields{Model: new("a")})
	require.NoError(t, err)
	server.endSession()
	id, err := client.Products.Create(t.Context(), ProductFields{Model: new("b")})
	require.NoError(t, err)
	assert.Equal(t, int64(35), id)
	assert.Equal(t, int64(2), server.logins.Load())
	posts := server.requests("/products")
	require.Len(t, posts, 3)
	assert.Equal(t, posts[1].body, posts[2].body)
}

func TestASecond401IsFinal(t *testing.T) {
	server := newWireServer(t, reply(401, `{"Message":"denied"}`))
	client := newTestClient(t, server.URL)
	_, err := client.Products.Create(t.Context(), ProductFields{Model: new("a")})
	require.ErrorIs(t, err, ErrCredentials)
	e := transport.AsError(err)
	require.NotNil(t, e)
	assert.Equal(t, 401, e.Status)
	assert.False(t, e.MayHaveLanded)
	assert.Len(t, server.requests("/products"), 2)
	assert.Equal(t, int64(2), server.logins.Load())
}

func TestFiftyConcurrent401sMakeOneLogin(t *testing.T) {
	const callers = 50
	var gate sync.WaitGroup
	server := newWireServer(t, reply(200, `{"id":5}`))
	client := newTestClient(t, server.URL)
	_, err := client.Accounts.Get(t.Context(), 5)
	require.NoError(t, err)
	for round := range 5 {
		server.endSession()
		gate.Add(1)
		results := make(chan error, callers)
		for range callers {
			go func() {
				gate.Wait()
				_, err := client.Accounts.Get(t.Context(), 5)
				results <- err
			}()
		}
		gate.Done()
		for range callers {
			require.NoError(t, <-results)
		}
		assert.Equal(t, int64(round+2), server.logins.Load())
	}
}

func TestTheFirstCallerMayGoWhileOthersWaitForItsLogin(t *testing.T) {
	release, begun := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v4/login" {
			close(begun)
			<-release
			fmt.Fprint(w, `{"token":"t"}`)
			return
		}
		fmt.Fprint(w, `{"id":5}`)
	}))
	defer server.Close()
	client := newTestClient(t, server.URL)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := client.Accounts.Get(ctx, 5); first <- err }()
	<-begun
	go func() { _, err := client.Accounts.Get(t.Context(), 5); second <- err }()
	cancel()
	require.ErrorIs(t, <-first, context.Canceled)
	close(release)
	require.NoError(t, <-second)
}

func TestRefusedKeysAreFinalAndNothingSecretIsTold(t *testing.T) {
	for _, status := range []int{400, 401} {
		var logins atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			logins.Add(1)
			body, _ := io.ReadAll(r.Body)
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]string{"message": "bad login: " + string(body)})
		}))
		var log bytes.Buffer
		client := newTestClient(t, server.URL, func(o *Options) {
			o.PrivateKey = "dGhpcy1pcy1hLXZlcnktc2VjcmV0LWtleS0wMTIzNDU2Nzg5"
			o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		_, err := client.Accounts.Get(t.Context(), 5)
		server.Close()
		require.ErrorIs(t, err, ErrCredentials)
		require.ErrorContains(t, err, "SAGE_PUBLIC_KEY")
		assert.Equal(t, "sage.login", transport.AsError(err).Operation)
		assert.Equal(t, int64(1), logins.Load())
		assert.Contains(t, log.String(), "sage.login")
		for _, told := range []string{"dGhpcy1pcy1h", "public-key"} {
			assert.NotContains(t, err.Error()+log.String(), told)
		}
	}
}

func TestALoginThatFailsInPassingIsNotFinal(t *testing.T) {
	for _, answer := range []http.HandlerFunc{reply(503, "busy"), reply(200, `{}`), reply(200, `<html>`)} {
		server := httptest.NewServer(answer)
		client := newTestClient(t, server.URL)
		_, err := client.Products.Create(t.Context(), ProductFields{Model: new("a")})
		server.Close()
		require.Error(t, err)
		require.NotErrorIs(t, err, ErrCredentials)
		assert.False(t, transport.MayHaveLanded(err), "nothing was written yet")
	}
}

// pages answers a list from pages written out by hand, and fails on one that nobody should ask for.
func pages(t *testing.T, all ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page, err := strconv.Atoi(r.URL.Query().Get("page"))
		if err != nil || page >= len(all) {
			t.Errorf("page %q was asked for", r.URL.Query().Get("page"))
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, all[page])
	}
}

// rows writes a page of records with the ids from up to, but without, to.
func rows(from, to int, deleted bool) string {
	var out []string
	for id := from; id < to; id++ {
		out = append(out, fmt.Sprintf(`{"id":%d,"deleted":%v}`, id, deleted))
	}
	return "[" + strings.Join(out, ",") + "]"
}

func TestListReadsAllPages(t *testing.T) {
	for name, c := range map[string]struct {
		pages []string
		size  int
		want  int
	}{
		"empty":                                {pages: []string{`[]`}, want: 0},
		"one short page":                       {pages: []string{rows(1, 4, false)}, want: 3},
		"a full page and an empty one":         {pages: []string{rows(1, 51, false), `[]`}, want: 50},
		"a page of deleted rows in the middle": {pages: []string{rows(1, 51, false), rows(51, 101, true), rows(101, 103, false)}, want: 102},
		"rows pushed into the next page":       {pages: []string{rows(1, 51, false), rows(41, 91, false), rows(91, 95, false)}, want: 94},
		"a size that the server caps at 100":   {pages: []string{rows(1, 101, false), rows(101, 201, false), rows(201, 203, false)}, size: 300, want: 202},
		"a size that the server takes":         {pages: []string{rows(1, 251, false), `[]`}, size: 300, want: 250},
		"a size below the default":             {pages: []string{rows(1, 11, false), rows(11, 14, false)}, size: 10, want: 13},
	} {
		server := newWireServer(t, pages(t, c.pages...))
		client := newTestClient(t, server.URL)
		got, last := 0, int64(0)
		for row, err := range client.Products.List(t.Context(), ListOptions{PageSize: c.size}) {
			require.NoError(t, err, name)
			got++
			last = max(last, row.ID)
		}
		assert.Equal(t, c.want, got, name)
		assert.Equal(t, int64(c.want), last, name)
		seen := server.requests("/products")
		require.Len(t, seen, len(c.pages), name)
		for i, r := range seen {
			assert.Equal(t, []string{strconv.Itoa(i)}, r.query["page"], name)
			assert.Equal(t, []string{"dateCreated"}, r.query["order"], name)
			assert.NotContains(t, r.query, "count", name)
			want := c.size
			if want == 0 {
				want = 50
			}
			assert.Equal(t, strconv.Itoa(want), r.header.Get("Count"), name)
		}
	}
}

func TestListStopsWhenTheCallerDoes(t *testing.T) {
	server := newWireServer(t, pages(t, rows(1, 51, false)))
	client := newTestClient(t, server.URL)
	for range client.Products.List(t.Context(), ListOptions{}) {
		break
	}
	assert.Len(t, server.requests("/products"), 1)
}

func TestAListThatMakesNoSenseIsAnErrorAndNeverEmpty(t *testing.T) {
	full := rows(1, 51, false)
	for name, answers := range map[string][]string{
		"null":                   {`null`},
		"an object":              {`{"data":[]}`},
		"nothing":                {``},
		"text":                   {`Service is starting`},
		"a cut array":            {`[{"id":1},{"i`},
		"a row without id":       {`[{"name":"a"}]`},
		"a null row":             {`[null]`},
		"a flag that is none":    {`[{"id":1,"deleted":"perhaps"}]`},
		"a wrong type":           {`[{"id":1,"model":{"a":1}}]`},
		"an amount that is none": {`[{"id":1,"price":"12,5"}]`},
		"the same page twice":    {full, full},
	} {
		server := newWireServer(t, pages(t, answers...))
		client := newTestClient(t, server.URL)
		_, err := client.Products.Find(t.Context(), Eq("deleted", false))
		require.ErrorIs(t, err, transport.ErrUnreadable, name)
		assert.False(t, transport.MayHaveLanded(err), name)
		assert.NotContains(t, err.Error(), "perhaps", name)
	}
}

func TestFindSendsTheFilterOnce(t *testing.T) {
	server := newWireServer(t, pages(t, `[{"id":9,"reference":"R"},{"id":4,"extId":"e'1","deleted":true}]`))
	client := newTestClient(t, server.URL)
	orders, err := client.Orders.FindByKeys(t.Context(), "e'1", "INV 1", "", "INV&2")
	require.NoError(t, err)
	require.Len(t, orders, 2)
	assert.Equal(t, int64(4), orders[0].ID, "in order of ids")
	assert.True(t, bool(orders[0].Deleted), "deleted ones are told")
	seen := server.requests("/salesorders")
	require.Len(t, seen, 1)
	assert.Equal(t, []string{`(extId='e''1' OR reference='INV 1' OR reference='INV&2')`}, seen[0].query["where"])
}

func TestASearchWithoutFilterIsRefused(t *testing.T) {
	server := newWireServer(t, pages(t))
	client := newTestClient(t, server.URL)
	_, err := client.Accounts.Find(t.Context(), Where{})
	require.ErrorIs(t, err, transport.ErrInvalidCall)
	_, err = client.Orders.FindByKeys(t.Context(), "", "")
	require.ErrorIs(t, err, transport.ErrInvalidCall)
	_, err = client.Accounts.FindByExtID(t.Context(), "")
	require.ErrorIs(t, err, transport.ErrInvalidCall)
	_, err = client.Accounts.Find(t.Context(), Eq("colour", "red"))
	require.ErrorIs(t, err, transport.ErrInvalidCall)
	for _, err := range client.Accounts.List(t.Context(), ListOptions{Order: "1; DROP"}) {
		require.ErrorIs(t, err, transport.ErrInvalidCall)
	}
	assert.Empty(t, server.requests("/accounts"), "nothing was sent")
}

func TestFindByExtIDComparesExactly(t *testing.T) {
	server := newWireServer(t, pages(t, `[{"id":8,"extId":"ghl:price:Ab"},{"id":3,"extId":"ghl:price:AB"},{"id":6,"extId":"ghl:price:Ab"},
		{"id":2,"extId":"ghl:price:Ab","deleted":true},{"id":1,"extId":"ghl:price:Ab "},{"id":9,"extId":null}]`))
	client := newTestClient(t, server.URL)
	match, err := client.Products.FindByExtID(t.Context(), "ghl:price:Ab")
	require.NoError(t, err)
	require.NotNil(t, match.Live)
	assert.Equal(t, int64(6), match.Live.ID)
	require.Len(t, match.Duplicates, 1)
	assert.Equal(t, int64(8), match.Duplicates[0].ID)
	assert.Equal(t, []int64{2}, match.Deleted)
}

func TestFindByExtIDsAsksForManyAtOnce(t *testing.T) {
	server := newWireServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "00000000000000000003") {
			fmt.Fprint(w, `[{"id":1,"extId":"ghl:price:00000000000000000003"}]`)
			return
		}
		fmt.Fprint(w, `[]`)
	})
	client := newTestClient(t, server.URL)
	var ids []string
	for i := range 100 {
		ids = append(ids, fmt.Sprintf("ghl:price:%020d", i))
	}
	found, err := client.Products.FindByExtIDs(t.Context(), append(ids, ids[0])...)
	require.NoError(t, err)
	assert.Len(t, found, 100)
	assert.NotNil(t, found[ids[3]].Live)
	assert.Nil(t, found[ids[4]].Live)
	seen := server.requests("/products")
	assert.LessOrEqual(t, len(seen), 4)
	_, err = client.Products.FindByExtIDs(t.Context(), ids[:30]...)
	require.NoError(t, err)
	assert.Len(t, server.requests("/products"), len(seen)+1, "thirty fit into one call")
	none, err := client.Products.FindByExtIDs(t.Context())
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestCreateTellsWhetherItMayHaveLanded(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		id     int64
		landed bool
	}{
		"Message":              {reply(200, `{"Message":"entity created","id":35}`), 35, false},
		"message and 201":      {reply(201, `{"message":"entity created","id":"35"}`), 35, false},
		"no id":                {reply(200, `{"Message":"entity created"}`), 0, true},
		"an id of zero":        {reply(200, `{"id":0}`), 0, true},
		"no JSON":              {reply(200, `ok`), 0, true},
		"an empty body":        {reply(200, ``), 0, true},
		"a list":               {reply(200, `[]`), 0, true},
		"408":                  {reply(408, `{"Message":"timeout"}`), 0, true},
		"500":                  {reply(500, `{"Message":"boom"}`), 0, true},
		"503 and code 900":     {reply(503, `{"code":900,"message":"no database"}`), 0, true},
		"400":                  {reply(400, `{"Message":"The field name is required"}`), 0, false},
		"429":                  {reply(429, ``), 0, false},
		"a line cut in answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, true},
	} {
		server := newWireServer(t, c.answer)
		client := newTestClient(t, server.URL)
		id, err := client.Accounts.Create(t.Context(), AccountFields{Name: new("a")})
		assert.Equal(t, c.id, id, name)
		if c.id == 0 {
			require.Error(t, err, name)
			require.NotNil(t, transport.AsError(err), name)
			assert.Equal(t, "sage.accounts.create", transport.AsError(err).Operation, name)
		} else {
			require.NoError(t, err, name)
		}
		assert.Equal(t, c.landed, transport.MayHaveLanded(err), name)
		assert.Len(t, server.requests("/accounts"), 1, "%s: a create is sent once", name)
	}
}

func TestUpdateSendsOnlyWhatIsSet(t *testing.T) {
	server := newWireServer(t, reply(200, `{"Message":"entity updated"}`))
	client := newTestClient(t, server.URL)
	require.NoError(t, client.Orders.Update(t.Context(), 7, OrderFields{Total: new(domain.Number("10.50")), Extra: ExtraFields{"Z_A": "b"}}))
	require.NoError(t, client.Orders.Update(t.Context(), 7, OrderFields{}), "nothing to say, nothing sent")
	require.NoError(t, client.Orders.Delete(t.Context(), 7))
	seen := server.requests("/salesorders/7")
	require.Len(t, seen, 2)
	assert.Equal(t, http.MethodPut, seen[0].method)
	assert.Equal(t, `{"total":10.50,"Z_A":"b"}`, seen[0].body)
	assert.Equal(t, "application/json", seen[0].header.Get("Content-Type"))
	assert.Equal(t, http.MethodDelete, seen[1].method)
	for _, id := range []int64{0, -1} {
		require.ErrorIs(t, client.Orders.Update(t.Context(), id, OrderFields{Total: new(domain.Number("1"))}), transport.ErrInvalidCall)
		require.ErrorIs(t, client.Orders.Delete(t.Context(), id), transport.ErrInvalidCall)
		_, err := client.Orders.Get(t.Context(), id)
		require.ErrorIs(t, err, transport.ErrInvalidCall)
	}
	err := client.Orders.Update(t.Context(), 7, OrderFields{Extra: ExtraFields{"Z_A": 1.5}})
	require.ErrorIs(t, err, transport.ErrInvalidCall)
	assert.NotNil(t, transport.AsError(err))
	err = client.Orders.Update(t.Context(), 7, OrderFields{Total: new(domain.Number("12,50"))})
	require.ErrorIs(t, err, transport.ErrInvalidCall)
	require.ErrorIs(t, err, domain.ErrMoney)
	assert.Len(t, server.requests("/salesorders/7"), 2)
}

func TestRefusedWritesAreToldAsTheyWouldBeSent(t *testing.T) {
	var planned []transport.Planned
	server := newWireServer(t, reply(200, `{"id":5}`))
	client := newTestClient(t, server.URL, func(o *Options) {
		o.ReadOnly = true
		o.Planned = func(_ context.Context, p transport.Planned) error {
			planned = append(planned, p)
			return nil
		}
	})
	require.ErrorIs(t, client.Accounts.Update(t.Context(), 5, AccountFields{Name: new("Lovelace")}), transport.ErrReadOnly)
	require.Len(t, planned, 1)
	require.Equal(t, "PUT /accounts/5", planned[0].Method+" "+planned[0].Path)
	require.JSONEq(t, `{"name":"Lovelace"}`, string(planned[0].Body))
	require.Empty(t, server.requests("/accounts/5"))
}

func TestATenantThatDoesNotAnswerIsLeftAlone(t *testing.T) {
	server := newWireServer(t, reply(503, "{}"))
	client := newTestClient(t, server.URL, func(o *Options) { o.BreakAfter, o.BreakFor, o.MaxInFlight = 2, time.Hour, 8 })
	for range 2 {
		_, err := client.Accounts.Get(t.Context(), 5)
		require.True(t, transport.IsStatus(err, 503))
	}
	_, err := client.Accounts.Get(t.Context(), 5)
	require.ErrorIs(t, err, transport.ErrLimited)
	require.Greater(t, transport.RetryAfter(err), 50*time.Minute)
}

func TestReadOnlyRefusesWritesButReads(t *testing.T) {
	server := newWireServer(t, reply(200, `{"id":5}`))
	client := newTestClient(t, server.URL, func(o *Options) { o.ReadOnly = true })
	_, err := client.Accounts.Get(t.Context(), 5)
	require.NoError(t, err)
	_, err = client.Accounts.Create(t.Context(), AccountFields{Name: new("a")})
	require.ErrorIs(t, err, transport.ErrReadOnly)
	require.ErrorIs(t, client.Accounts.Update(t.Context(), 5, AccountFields{Name: new("a")}), transport.ErrReadOnly)
	require.ErrorIs(t, client.Accounts.Delete(t.Context(), 5), transport.ErrReadOnly)
	_, err = client.CreateExtraField(t.Context(), ExtraOnOrders, NewExtraField{Name: "Z_A", Type: ExtraText})
	require.ErrorIs(t, err, transport.ErrReadOnly)
	assert.Len(t, server.requests("/accounts"), 1)
}

func TestErrorBodies(t *testing.T) {
	for body, want := range map[string]transport.Error{
		`{"Message":"The entity does not exist"}`:                          {Message: "The entity does not exist"},
		`{"message":"Bad Request"}`:                                        {Message: "Bad Request"},
		`{"statusCode":400,"message":"wrong field","error":"Bad Request"}`: {Message: "wrong field"},
		`{"error":"BadRequest","code":910,"message":"no such resource"}`:   {Message: "no such resource", Code: "910"},
		`{"Message":"Error 901: SQL is not generated correctly"}`:          {Message: "Error 901: SQL is not generated correctly", Code: "901"},
		`900 DB connection error`:                                          {Message: "900 DB connection error", Code: "900"},
		`<html><body><h1>Bad Request</h1></body></html>`:                   {Message: "Bad Request"},
		`{"Message":"the order 900 of room 910 is missing"}`:               {Message: "the order 900 of room 910 is missing"},
		``: {},
	} {
		server := newWireServer(t, reply(400, body))
		client := newTestClient(t, server.URL)
		_, err := client.Orders.Get(t.Context(), 5)
		e := transport.AsError(err)
		require.NotNil(t, e, body)
		assert.Equal(t, 400, e.Status, body)
		assert.Equal(t, want.Message, e.Message, body)
		assert.Equal(t, want.Code, e.Code, body)
	}
}

func TestMaybeNotFound(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&transport.Error{Operation: "sage.salesorders.get", Status: 400}, true},
		{&transport.Error{Operation: "sage.salesorders.update", Status: 404}, true},
		{&transport.Error{Operation: "sage.salesorders.delete", Status: 400}, true},
		{fmt.Errorf("wrapped: %w", &transport.Error{Operation: "sage.salesorders.get", Status: 400}), true},
		{&transport.Error{Operation: "sage.rates.list", Status: 400, Code: "910"}, true},
		{&transport.Error{Operation: "sage.salesorders.create", Status: 400}, false},
		{&transport.Error{Operation: "sage.salesorders.find", Status: 400, Code: "901"}, false},
		{&transport.Error{Operation: "sage.salesorders.get", Status: 500}, false},
		{&transport.Error{Operation: "sage.salesorders.get"}, false},
		{errors.New("other"), false},
		{nil, false},
	} {
		assert.Equal(t, c.want, MaybeNotFound(c.err), "%v", c.err)
	}
}

func TestLookupSettlesWhetherARecordExists(t *testing.T) {
	server := newWireServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("where") == "id=5" {
			fmt.Fprint(w, `[{"id":5,"deleted":true,"name":"ACME"}]`)
			return
		}
		fmt.Fprint(w, `[]`)
	})
	client := newTestClient(t, server.URL)
	account, found, err := client.Accounts.Lookup(t.Context(), 5)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, "ACME", account.Name)
	_, found, err = client.Accounts.Lookup(t.Context(), 6)
	require.NoError(t, err)
	assert.False(t, found)
}

func TestGetRefusesAnotherRecord(t *testing.T) {
	server := newWireServer(t, reply(200, `{"id":6}`))
	client := newTestClient(t, server.URL)
	_, err := client.Accounts.Get(t.Context(), 5)
	require.ErrorIs(t, err, transport.ErrUnreadable)
}

func TestThrottlingHoldsEverything(t *testing.T) {
	for retryAfter, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second} {
		server := newWireServer(t, func(w http.ResponseWriter, _ *http.Request) {
			if retryAfter != "" {
				w.Header().Set("Retry-After", retryAfter)
			}
			w.WriteHeader(http.StatusTooManyRequests)
		})
		client := newTestClient(t, server.URL)
		_, err := client.Accounts.Get(t.Context(), 5)
		require.True(t, transport.IsStatus(err, 429))
		assert.Equal(t, want, transport.RetryAfter(err))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err = client.Accounts.Get(ctx, 5)
		cancel()
		require.ErrorIs(t, err, transport.ErrLimited, "the next call waits, and says so when it can't")
		assert.Positive(t, transport.RetryAfter(err))
		assert.Len(t, server.requests("/accounts"), 1)
	}
}

func TestTheLoginDrawsOnTheRateLimit(t *testing.T) {
	counting := &countingLimiter{}
	server := newWireServer(t, reply(200, `{"id":5}`))
	client := newTestClient(t, server.URL, func(o *Options) { o.Limiter = counting })
	_, err := client.Accounts.Get(t.Context(), 5)
	require.NoError(t, err)
	assert.Equal(t, int64(2), counting.waits.Load())
	assert.Equal(t, int64(2), counting.answers.Load())
}

type countingLimiter struct{ waits, answers atomic.Int64 }

func (l *countingLimiter) Wait(context.Context) error { l.waits.Add(1); return nil }
func (l *countingLimiter) Observe(int, http.Header)   { l.answers.Add(1) }

func TestValueListsAndExtraFields(t *testing.T) {
	server := newWireServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			fmt.Fprint(w, `{"message":"entity created","id":12}`)
		case strings.HasSuffix(r.URL.Path, "/extrafields/salesorders"):
			fmt.Fprint(w, `[{"id":1,"entity":"salesorders","fieldName":"Z_A","type":"text"},{"id":2,"fieldName":"B","type":{"id":3,"value":"decimal"},"branches":null}]`)
		default:
			fmt.Fprint(w, `[{"id":2,"deleted":true,"descriptionEN":"gone"},{"id":1,"deleted":false,"descriptionEN":" ","descriptionES":"Normal","branchVisibility":[{"id":4,"value":"Main"}]}]`)
		}
	})
	client := newTestClient(t, server.URL)
	live, err := client.Values(OrderTypes).Live(t.Context())
	require.NoError(t, err)
	require.Len(t, live, 1)
	assert.Equal(t, "Normal", live[0].Label())
	_, err = client.Values("procedure/zapier_schema").Live(t.Context())
	require.ErrorIs(t, err, transport.ErrInvalidCall)

	var names []string
	for field, err := range client.ExtraFields(t.Context(), ExtraOnOrders) {
		require.NoError(t, err)
		names = append(names, field.Name()+" "+string(field.Type))
	}
	assert.Equal(t, []string{"Z_A text", "Z_B decimal"}, names)

	id, err := client.CreateExtraField(t.Context(), ExtraOnOrders, NewExtraField{Name: "Z_PaidAmount", Type: ExtraDecimal, Label: "Paid"})
	require.NoError(t, err)
	assert.Equal(t, int64(12), id)
	posts := server.requests("/extrafields/salesorders")
	assert.JSONEq(t, `{"entity":"salesorders","fieldName":"PaidAmount","type":"decimal","description":"Paid","descriptionEN":"Paid"}`, posts[len(posts)-1].body)
	_, err = client.CreateExtraField(t.Context(), ExtraOnOrders, NewExtraField{Name: "PaidAmount", Type: ExtraDecimal})
	require.ErrorIs(t, err, transport.ErrInvalidCall)
}
