package security

import (
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/test/harness"
)

// door is a route of the starter, and what it answers to whom. Statuses are those of a request without a token, with a
// wrong one, and with ADMIN_TOKEN.
type door struct {
	// route is as the code has it.
	route  string
	method string
	path   string
	body   string
	// kind is the body's content type.
	kind                string
	nobody, wrong, good int
	// why says what else keeps the door where a token is nothing to it, or why it is open.
	why string
}

const form = "application/x-www-form-urlencoded"

// What opens the doors for deliveries and for Sage's hooks.
const (
	deliverySecret = "planted-delivery-secret-4b1d"
	hookToken      = "plantedhooktoken0123456789abcdef"
)

// doors are all routes of the starter. A route that is not here fails TestEveryRouteIsInTheTable.
var doors = []door{
	{"GET /healthz", "GET", "/healthz", "", "", 200, 200, 200, "tells that it lives, and nothing else"},
	{"GET /readyz", "GET", "/readyz", "", "", 503, 503, 503, "tells in words of ours which part is away"},
	{"/webhooks/ghl", "POST", "/webhooks/ghl", `{"type":"OrderCreate","_id":"x"}`, "application/json", 401, 401, 401, "HighLevel's signature"},
	{"/webhooks/ghl/{event}", "POST", "/webhooks/ghl/OrderCreate", `{"_id":"x"}`, "application/json", 401, 401, 401, "HighLevel's signature"},
	{"/webhooks/ghl/{event}", "POST", "/webhooks/ghl/UNINSTALL", `{"type":"UNINSTALL"}`, "application/json", 401, 401, 401, "HighLevel's signature"},
	{"/webhooks/delivery", "POST", "/webhooks/delivery", `{"order":"x","status":"delivered"}`, "application/json", 401, 401, 401, "a signature with DELIVERY_WEBHOOK_SECRET"},
	{"/webhooks/sage/{token}", "POST", "/webhooks/sage/" + hookToken[1:], `[{"id":1,"extId":"ghl:order:x"}]`, "application/json", 401, 401, 401, "SAGE_HOOK_TOKEN in the path"},
	{"/webhooks/sage/{token}", "POST", "/webhooks/sage/" + adminToken, `[{"id":1,"extId":"ghl:order:x"}]`, "application/json", 401, 401, 401, "SAGE_HOOK_TOKEN in the path"},
	{"oauth.Prefix", "GET", "/oauth/ghl/nothing", "", "", 404, 404, 404, "its pages follow"},
	{"ConnectPath", "GET", "/oauth/ghl/connect", "", "", 401, 401, 303, ""},
	{"CallbackPath", "GET", "/oauth/ghl/callback?code=c&state=s", "", "", 400, 400, 400, "the sealed state of the browser's cookie"},
	{"ChoosePath", "POST", "/oauth/ghl/choose", "location=x", form, 403, 403, 403, "the sealed form and its cookie"},
	{"/codec/", "POST", "/codec/decode", "sealed", "application/json", 401, 401, 200, ""},
	{"/codec/", "POST", "/codec/encode", "sealed", "application/json", 401, 401, 200, ""},
	{"/codec/", "GET", "/codec/decode", "", "", 401, 401, 404, ""},
}

// inner are the routes of the other listener, METRICS_ADDRESS, which is for the inside of one's network and has no login.
var inner = []string{"GET /metrics", "pattern"}

// TestEveryRouteIsInTheTable reads the routes out of the source, so that a new one must be put into the table, and so
// says who may use it.
func TestEveryRouteIsInTheTable(t *testing.T) {
	listed := slices.Clone(inner)
	for _, d := range doors {
		listed = append(listed, d.route)
		assert.True(t, d.nobody >= 300 || d.why != "", "%s is open to everybody: say why", d.route)
	}
	slices.Sort(listed)
	found := map[string]string{}
	for _, folder := range []string{"starter", "internal", "worker", "connections"} {
		maps.Copy(found, routes(t, os.DirFS(filepath.Join("..", "..", folder))))
	}
	require.NotEmpty(t, found)
	assert.Equal(t, slices.Compact(listed), slices.Sorted(maps.Keys(found)), "%v", found)
}

// routes are the patterns that handlers are registered for, the cases of switches over a request's path, and what a
// caller adds to the inner listener; each with where it stands.
func routes(t *testing.T, repo fs.FS) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, fs.WalkDir(repo, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(repo, name)
		require.NoError(t, err)
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			for _, route := range routesOf(node) {
				found[route] = set.Position(node.Pos()).String()
			}
			return true
		})
		return nil
	}))
	return found
}

func routesOf(node ast.Node) (found []string) {
	switch n := node.(type) {
	case *ast.CallExpr:
		called, ok := n.Fun.(*ast.SelectorExpr)
		switch {
		case !ok:
		case (called.Sel.Name == "Handle" || called.Sel.Name == "HandleFunc") && len(n.Args) == 2:
			found = append(found, textOf(n.Args[0]))
		case types.ExprString(called) == "observe.Listen" && types.ExprString(n.Args[3]) != "nil":
			found = append(found, textOf(n.Args[3]))
		}
	case *ast.SwitchStmt:
		if n.Tag == nil || !strings.HasSuffix(types.ExprString(n.Tag), ".URL.Path") {
			return nil
		}
		for _, clause := range n.Body.List {
			for _, path := range clause.(*ast.CaseClause).List {
				found = append(found, textOf(path))
			}
		}
	}
	return found
}

// textOf is an expression as the source has it, or the text that it is.
func textOf(e ast.Expr) string {
	written := types.ExprString(e)
	if text, err := strconv.Unquote(written); err == nil {
		return text
	}
	return written
}

func TestRoutesAreFoundHoweverTheyAreMade(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a.go"), []byte(`package a
func f() {
	mux.Handle("/one", h)
	http.HandleFunc(two, h)
	observe.Listen(ctx, address, registry, map[string]http.Handler{"/three": h}, log)
	observe.Listen(ctx, address, registry, nil, log)
	switch r.URL.Path { case "/four", Five: }
	switch other { case "/none": }
}`), 0o600))
	assert.Equal(t, []string{"/four", "/one", "Five", "map[string]http.Handler{…}", "two"},
		slices.Sorted(maps.Keys(routes(t, os.DirFS(folder)))))
}

// front is a starter as a process of its own. Temporal is away, which is nothing to a door.
type front struct {
	port string
	ring *secret.Ring
	// database is where the store is, and asked counts what HighLevel was asked.
	database string
	asked    *atomic.Int64
}

func (f *front) url(path string) string { return "http://127.0.0.1:" + f.port + path }

// serve starts a starter that listens on a host.
func serve(t *testing.T, host string, env ...string) *front {
	t.Helper()
	if testing.Short() {
		t.Skip("-short was given, and this test builds the programs")
	}
	_, program := harness.Programs(t)
	ring, err := secret.GenerateRing()
	require.NoError(t, err)
	f := &front{port: freePort(t), ring: ring, database: "sqlite:" + filepath.Join(t.TempDir(), "store.db"), asked: &atomic.Int64{}}
	vendor := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { f.asked.Add(1) }))
	t.Cleanup(vendor.Close)
	cmd := exec.Command(program, "serve", "--drain", "1ms")
	cmd.Env = append([]string{
		"HOME=" + t.TempDir(), "LISTEN_ADDRESS=" + net.JoinHostPort(host, f.port), "METRICS_ADDRESS=off", "DATABASE_URL=" + f.database,
		"SECRET_KEYS=" + ring.Reveal(), "PUBLIC_URL=" + f.url(""), "GHL_BASE_URL=" + vendor.URL, "TEMPORAL_ADDRESS=127.0.0.1:1",
		"GHL_CLIENT_ID=65a1b2c3d4e5f6a7b8c9d0e1-abcd1234", "GHL_CLIENT_SECRET=" + clientSecret, "SHUTDOWN_TIMEOUT=5s",
		"DELIVERY_WEBHOOK_SECRET=" + deliverySecret, "SAGE_HOOK_TOKEN=" + hookToken,
	}, env...)
	printed := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = printed, printed
	t.Cleanup(func() { // after it has ended
		var m marks
		m.plant(t, "what opens a door", deliverySecret, hookToken)
		assert.Empty(t, m.search([]byte(printed.String())), "what a starter prints is kept by more than one")
	})
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		assert.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		assert.NoError(t, cmd.Wait(), printed)
	})
	require.Eventually(t, func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/healthz"), nil)
		if err != nil {
			return false
		}
		response, err := http.DefaultClient.Do(request)
		return err == nil && response.Body.Close() == nil
	}, 30*time.Second, glance)
	return f
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return port
}

// payload is what is sealed of a process, and what it says.
func (f *front) payload(t *testing.T) (sealed string) {
	t.Helper()
	payloads, err := secret.DataConverter(f.ring).ToPayloads("Plantedsurname")
	require.NoError(t, err)
	text, err := json.Marshal(payloads)
	require.NoError(t, err)
	return string(text)
}

// ask sends the door's request and returns its status. A refusal shows nothing of a payload, and no page says anything
// of the installation.
func (f *front) ask(t *testing.T, d door, change func(*http.Request)) int {
	t.Helper()
	body := d.body
	if body == "sealed" {
		body = f.payload(t)
	}
	request, err := http.NewRequestWithContext(t.Context(), d.method, f.url(d.path), strings.NewReader(body))
	require.NoError(t, err)
	if d.kind != "" {
		request.Header.Set("Content-Type", d.kind)
	}
	if change != nil {
		change(request)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	var m marks
	m.plant(t, "a payload", `"Plantedsurname"`)
	m.plant(t, "the installation", clientSecret, adminToken, deliverySecret, hookToken[1:], f.ring.Reveal(), filepath.Dir(f.database), "127.0.0.1:1\"")
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(d.path, "/codec/decode") {
		assert.Empty(t, m.search(answer), "%s %s", d.method, d.path)
	}
	if response.StatusCode == http.StatusOK && d.path == "/codec/decode" {
		assert.Equal(t, []string{"a payload"}, m.search(answer))
	}
	return response.StatusCode
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// nothingHappened: whatever was asked, nothing was stored and HighLevel was not asked.
func (f *front) nothingHappened(t *testing.T) {
	t.Helper()
	db, err := store.Open(context.WithoutCancel(t.Context()), f.database, store.WithoutMigrations())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	kept, _, err := db.Connections(t.Context(), store.ConnectionFilter{})
	require.NoError(t, err)
	assert.Empty(t, kept)
	news, _, err := db.OpenDeliveryNews(t.Context(), "", store.Page{})
	require.NoError(t, err)
	assert.Empty(t, news)
	assert.Zero(t, f.asked.Load(), "nothing went to HighLevel")
}

// TestDoorsAreClosedWithoutTheToken goes through all routes of a starter that listens beyond its machine. That the test
// comes from the same machine is the point: it must not help.
func TestDoorsAreClosedWithoutTheToken(t *testing.T) {
	f := serve(t, "0.0.0.0", "ADMIN_TOKEN="+adminToken)
	for _, d := range doors {
		assert.Equal(t, d.nobody, f.ask(t, d, nil), "%s %s without a token", d.method, d.path)
		for name, change := range map[string]func(*http.Request){
			"a wrong token": bearer(adminToken + "x"), "half of it": bearer(adminToken[:len(adminToken)-1]), "an empty token": bearer(""),
			"another scheme":        func(r *http.Request) { r.SetBasicAuth("admin", adminToken) },
			"it as a cookie":        func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "Authorization", Value: adminToken}) },
			"it in another header":  func(r *http.Request) { r.Header.Set("X-Admin-Token", adminToken) },
			"it in the address":     func(r *http.Request) { add(r, "token", adminToken) },
			"a wrong one before it": func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer x", "Bearer " + adminToken} },
			"said to be of here": func(r *http.Request) {
				r.Header.Set("X-Forwarded-For", "127.0.0.1")
				r.Host = "localhost"
			},
		} {
			assert.Equal(t, d.wrong, f.ask(t, d, change), "%s %s with %s", d.method, d.path, name)
		}
		assert.Equal(t, d.good, f.ask(t, d, bearer(adminToken)), "%s %s with the token", d.method, d.path)
	}
	f.nothingHappened(t)
}

func add(r *http.Request, name, value string) {
	query := r.URL.Query()
	query.Set(name, value)
	r.URL.RawQuery = query.Encode()
}

// TestWithoutATokenNothingIsServedBeyondTheMachine: where none is set, none is good.
func TestWithoutATokenNothingIsServedBeyondTheMachine(t *testing.T) {
	f := serve(t, "0.0.0.0")
	for _, d := range doors {
		nobody, wrong := d.nobody, d.wrong
		if d.route == "/codec/" {
			nobody, wrong = http.StatusNotFound, http.StatusNotFound
		}
		assert.Equal(t, nobody, f.ask(t, d, nil), "%s %s", d.method, d.path)
		for _, token := range []string{"", "x", adminToken, "not set", "set"} {
			assert.Equal(t, wrong, f.ask(t, d, bearer(token)), "%s %s", d.method, d.path)
		}
	}
	f.nothingHappened(t)
}

// TestDoorsThatAreNotSetUpAreNotThere: without their secrets nobody is told that they could be.
func TestDoorsThatAreNotSetUpAreNotThere(t *testing.T) {
	f := serve(t, "0.0.0.0", "DELIVERY_WEBHOOK_SECRET=", "SAGE_HOOK_TOKEN=")
	for _, d := range doors {
		if d.route != "/webhooks/delivery" && d.route != "/webhooks/sage/{token}" {
			continue
		}
		assert.Equal(t, http.StatusNotFound, f.ask(t, d, nil), d.path)
		d.path = "/webhooks/sage/"
		assert.Equal(t, http.StatusNotFound, f.ask(t, d, nil), d.path)
	}
	f.nothingHappened(t)
}

// TestBehindAProxyOnThisMachineTheMachineIsNotTrusted: what comes through loopback and shows a sign of a proxy, or of a
// name that only a trick of DNS leads here, is anybody's. From the machine itself payloads are read without a token, and
// nothing is connected without one.
func TestBehindAProxyOnThisMachineTheMachineIsNotTrusted(t *testing.T) {
	f := serve(t, "127.0.0.1")
	decode := doors[slices.IndexFunc(doors, func(d door) bool { return d.path == "/codec/decode" })]
	connect := doors[slices.IndexFunc(doors, func(d door) bool { return d.route == "ConnectPath" })]
	assert.Equal(t, http.StatusOK, f.ask(t, decode, nil))
	assert.Equal(t, http.StatusUnauthorized, f.ask(t, connect, nil))
	for name, value := range map[string]string{
		"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=127.0.0.1", "X-Forwarded-Host": "localhost", "X-Real-Ip": "::1", "Via": "1.1 proxy",
		"Host": "tally.example", "Origin": "https://evil.example", "Authorization": "Bearer x",
	} {
		for _, d := range []door{decode, connect} {
			code := f.ask(t, d, func(r *http.Request) {
				if r.Header.Set(name, value); name == "Host" {
					r.Host = value
				}
			})
			assert.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, code, "%s with %s", d.path, name)
		}
	}
	f.nothingHappened(t)
}

// TestNoOtherWritingOfAPathLeadsIn: a path with dots, slashes and escapes is a closed door, or leads to the one that is
// meant, on the same host.
func TestNoOtherWritingOfAPathLeadsIn(t *testing.T) {
	f := serve(t, "0.0.0.0", "ADMIN_TOKEN="+adminToken)
	for _, path := range []string{
		"/webhooks/ghl/../../codec/decode", "/webhooks/ghl/%2e%2e/%2e%2e/codec/decode", "/codec/../codec/decode", "//codec/decode",
		"/codec//decode", "/codec%2fdecode", "/codec/%64ecode", "/CODEC/decode", "/healthz/../codec/decode", "/codec/decode/",
		"/oauth/ghl/../ghl/connect", "//oauth/ghl/connect", "/oauth/ghl/%63onnect", "/oauth%2fghl%2fconnect", "/oauth/ghl/connect/",
		"//evil.example/oauth/ghl/connect", "//evil.example/%2e%2e", "/\\evil.example/codec/decode", "/webhooks/ghl/OrderCreate/../UNINSTALL",
		"/webhooks/ghl/OrderCreate%2f..%2fUNINSTALL", "/webhooks/sage/../../codec/decode", "/webhooks/sage/" + hookToken + "/../../delivery",
		"/webhooks/sage/" + hookToken + "%2f", "/webhooks/sage/%2e%2e/delivery", "/webhooks//sage/" + hookToken, "/webhooks/delivery/", "/metrics", "/debug/pprof/", "/.env", "/codec/decode;x=/healthz",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, "TRACE"} {
			request, err := http.NewRequestWithContext(t.Context(), method, f.url("/"), strings.NewReader(f.payload(t)))
			require.NoError(t, err)
			request.URL.Opaque = "//127.0.0.1:" + f.port + path
			response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			assert.GreaterOrEqual(t, response.StatusCode, 300, "%s %s", method, path)
			if to := response.Header.Get("Location"); to != "" {
				at, err := url.Parse(to)
				require.NoError(t, err)
				assert.Empty(t, at.Host, "%s leads to %s", path, to)
				assert.False(t, strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`), "%s leads to %s", path, to)
			}
		}
	}
	f.nothingHappened(t)
}
