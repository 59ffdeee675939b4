package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/devserver"
	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	"github.com/tallystick/tallystick/sandbox/faults"
	sandboxghl "github.com/tallystick/tallystick/sandbox/ghl"
	sandboxsage "github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/starter/preflight"
	"github.com/tallystick/tallystick/workflows"
)

// planted stands in every secret of these tests, and must stand in no output.
const planted = "pit-planted-0123456789"

// connected makes a connection as the front door does.
func connected(t *testing.T, db *store.Store, c store.Connection) store.Connection {
	t.Helper()
	if c.Access == "" {
		c.Access = store.ByPrivateToken
	}
	if c.State == "" {
		c.State = store.Active
	}
	c, err := db.SaveConnection(t.Context(), c)
	require.NoError(t, err)
	return c
}

func connectionOf(t *testing.T, db *store.Store, location string) store.Connection {
	t.Helper()
	c, found, err := db.Connection(t.Context(), location)
	require.NoError(t, err)
	require.True(t, found)
	return c
}

// settingsFile writes a file of settings as an operator would.
func settingsFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.env")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
	return path
}

func TestWithoutAnAppConnectSaysHowToGetOne(t *testing.T) {
	environment(t)
	code, out, errOut := starter(t, "connect")
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out)
	for _, words := range []string{"GHL_CLIENT_ID", "1. make an app", "2. ", "/oauth/ghl/callback", "3. set", "starter connect add"} {
		assert.Contains(t, errOut, words)
	}
	code, _, errOut = starter(t, "connect", "installed")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "no agency")
}

func TestConnectIsUsedRightly(t *testing.T) {
	db := openDatabase(t, environment(t))
	connected(t, db, store.Connection{Location: "shop1"})
	for line, want := range map[string]int{
		"connect bogus":                  exitWrong,
		"connect show":                   exitWrong,
		"connect show a/b":               exitWrong,
		"connect show nobody":            exitFailed,
		"connect pause nobody":           exitFailed,
		"connect remove shop1":           exitWrong,
		"connect set shop1":              exitWrong,
		"connect set shop1 --sage other": exitWrong,
		"connect set shop1 --env-file x": exitFailed,
		"connect add shop2":              exitWrong,
		"connect choose":                 exitWrong,
		"connect choose shop3":           exitFailed,
		"connect list -o yaml":           exitWrong,
		"connect list":                   exitDone,
		"keys":                           exitWrong,
		"keys retire":                    exitWrong,
		"planned --dry-run":              exitWrong,
	} {
		t.Run(line, func(t *testing.T) {
			code, _, errOut := starter(t, strings.Fields(line)...)
			assert.Equal(t, want, code, errOut)
		})
	}
	assert.Equal(t, store.Active, connectionOf(t, db, "shop1").State)
}

func TestTheOnlyConnectionNeedsNoName(t *testing.T) {
	db := openDatabase(t, environment(t))
	t.Setenv("GHL_LOCATION_ID", "")
	code, _, errOut := starter(t, "sync", "order", "o1")
	assert.Equal(t, exitWrong, code)
	assert.Contains(t, errOut, "no location is connected")

	connected(t, db, store.Connection{Location: "shop1"})
	connected(t, db, store.Connection{Location: "gone", State: store.Retired})
	id, err := only(t.Context(), db)
	require.NoError(t, err)
	assert.Equal(t, "shop1", id)

	connected(t, db, store.Connection{Location: "shop2", State: store.Paused})
	for _, line := range []string{"sync order o1", "replay --all", "match o1 --new", "sweep", "schedules list", "status o1"} {
		code, _, errOut = starter(t, strings.Fields(line)...)
		assert.Equal(t, exitWrong, code, line)
		assert.Contains(t, errOut, "shop1, shop2", line)
	}
}

func TestStatusShowsTheConnections(t *testing.T) {
	db := openDatabase(t, environment(t))
	connected(t, db, store.Connection{Location: "shop1", Sage: store.SageOfEnvironment})
	connected(t, db, store.Connection{Location: "shop2", State: store.Reconnect, Note: "the refresh was refused", Access: store.ByOAuth})
	s := decode[summary](t, succeed(t, "status", "-o", "json"))
	require.Len(t, s.Connections, 2)
	assert.Equal(t, store.Reconnect, s.Connections[1].State)
	table := succeed(t, "status")
	assert.Contains(t, table, "the refresh was refused")
	assert.Contains(t, table, "being carried through", "nobody has followed yet")
	assert.Len(t, decode[summary](t, succeed(t, "status", "--location", "shop2", "-o", "json")).Connections, 1)
}

// TestConnectionsAreOperated goes through the life of a connection by private token, with Temporal there.
func TestConnectionsAreOperated(t *testing.T) {
	server := devservertest.Start(t, devserver.StartOptions{Headless: true})
	db := openDatabase(t, environment(t))
	t.Setenv("TEMPORAL_ADDRESS", server.Address)
	temporal := connect(t)
	require.Equal(t, exitDone, func() int { code, _, _ := starter(t, "schedules", "apply", "--location", "shop1"); return code }(),
		"the search attributes are there")
	followed := func(location string) bool {
		_, err := temporal.DescribeWorkflow(t.Context(), workflows.ConnectionUpkeepID(location), "")
		return err == nil
	}

	file := settingsFile(t, "GHL_PRIVATE_TOKEN="+planted)
	out := succeed(t, "connect", "add", "shop1", "--env-file", file, "--dry-run")
	assert.Contains(t, out, "GHL_PRIVATE_TOKEN would be set")
	_, found, err := db.Connection(t.Context(), "shop1")
	require.NoError(t, err)
	assert.False(t, found)
	out += succeed(t, "connect", "add", "shop1", "--env-file", file)
	c := connectionOf(t, db, "shop1")
	assert.Equal(t, store.Pending, c.State, "nobody said which Sage tenant")
	assert.False(t, keysIn(t)["generated"].Since.IsZero(), "what seals is known")
	assert.Contains(t, out, "pending")
	assert.True(t, followed("shop1"))

	sage := settingsFile(t, "SAGE_PUBLIC_KEY="+planted, "SAGE_PRIVATE_KEY="+planted, "SAGE_BRANCH_ID=12")
	out += succeed(t, "connect", "set", "shop1", "--env-file", sage, "--dry-run")
	assert.Equal(t, store.Pending, connectionOf(t, db, "shop1").State)
	out += succeed(t, "connect", "set", "shop1", "--env-file", sage)
	assert.Equal(t, store.Active, connectionOf(t, db, "shop1").State)
	shown := succeed(t, "connect", "show", "shop1")
	assert.Contains(t, shown, "SAGE_BRANCH_ID")
	assert.Contains(t, shown, "its own")
	view := decode[connectionView](t, succeed(t, "connect", "show", "shop1", "-o", "json"))
	assert.Contains(t, view.Settings, settingView{"SAGE_PRIVATE_KEY", "set"})
	assert.Contains(t, view.Settings, settingView{"GHL_PRIVATE_TOKEN", "set"}, "kept, since the second file had none")

	assert.Contains(t, succeed(t, "connect", "pause", "shop1", "--dry-run"), "would be paused")
	succeed(t, "connect", "pause", "shop1", "--note", "audit week")
	c = connectionOf(t, db, "shop1")
	assert.Equal(t, store.Paused, c.State)
	assert.Contains(t, c.Note, "audit week")
	assert.Contains(t, succeed(t, "connect", "pause", "shop1"), "already")
	succeed(t, "connect", "resume", "shop1")
	assert.Equal(t, store.Active, connectionOf(t, db, "shop1").State)
	entries, _, err := db.AuditLog(t.Context(), store.AuditFilter{Location: "shop1"})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, len(entries), 4, "each change is in the audit trail")

	assert.Contains(t, succeed(t, "connect", "remove", "shop1", "--dry-run"), "would be leaving")
	succeed(t, "connect", "remove", "shop1", "--yes", "--note", "sold")
	assert.Equal(t, store.Leaving, connectionOf(t, db, "shop1").State, "until its schedules are gone")
	list := decode[[]connectionView](t, succeed(t, "connect", "list", "-o", "json"))
	require.Len(t, list, 1)
	assert.False(t, list[0].Settled)
	assert.NotContains(t, out+shown+fmt.Sprint(view, list)+succeed(t, "connect", "list"), planted)
}

func TestWithoutTemporalTheChangeStands(t *testing.T) {
	db := openDatabase(t, environment(t))
	connected(t, db, store.Connection{Location: "shop1", Sage: store.SageOfEnvironment})
	code, out, errOut := starter(t, "connect", "pause", "shop1")
	assert.Equal(t, exitDone, code, errOut)
	assert.Contains(t, out, "paused")
	assert.Contains(t, errOut, "as soon as a worker reaches it")
	assert.Equal(t, store.Paused, connectionOf(t, db, "shop1").State)
}

// shopWithApp is a sandbox of both vendors and the environment of an app that may be installed.
func shopWithApp(t *testing.T, options sandboxghl.Options) *sandboxghl.Server {
	t.Helper()
	source := sandboxghl.New(options)
	require.NoError(t, source.Start())
	t.Cleanup(source.Close)
	books := sandboxsage.New(sandboxsage.Options{})
	require.NoError(t, books.Start())
	t.Cleanup(books.Close)
	public, private := books.Keys()
	address := freeAddress(t)
	for name, value := range map[string]string{
		"GHL_LOCATION_ID": "", "GHL_BASE_URL": source.URL(), "GHL_CLIENT_ID": source.ClientID(), "GHL_CLIENT_SECRET": source.ClientSecret(),
		"LISTEN_ADDRESS": address, "PUBLIC_URL": "http://" + address,
		"SAGE_BASE_URL": books.URL(), "SAGE_PUBLIC_KEY": public, "SAGE_PRIVATE_KEY": private, "SAGE_REQUESTS_PER_SECOND": "1000",
	} {
		t.Setenv(name, value)
	}
	return source
}

func freeAddress(t *testing.T) string {
	t.Helper()
	socket, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, socket.Close()) }()
	return socket.Addr().String()
}

// click opens the link of `starter connect` as a browser would.
func click(t *testing.T) (int, string) {
	t.Helper()
	link := decode[linkView](t, succeed(t, "connect", "-o", "json"))
	assert.WithinDuration(t, time.Now().Add(15*time.Minute), link.Expires, time.Minute)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link.URL, nil)
	require.NoError(t, err)
	response, err := (&http.Client{Jar: jar}).Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(page)
}

// TestClickToConnect goes from the link to a connection that works, while Temporal is away.
func TestClickToConnect(t *testing.T) {
	database := environment(t)
	source := shopWithApp(t, sandboxghl.Options{EnforceScopes: true})
	t.Setenv("GHL_AUTHORIZE_URL", source.AuthorizeURL()+"?auto="+home)
	s := serve(t)
	db := openDatabase(t, database)
	code, page := click(t)
	require.Equal(t, 200, code, page)
	c := connectionOf(t, db, home)
	assert.Equal(t, store.Active, c.State, "the environment's tenant is nobody else's")
	assert.Equal(t, store.ByOAuth, c.Access)

	list := decode[[]connectionView](t, succeed(t, "connect", "list", "-o", "json"))
	require.Len(t, list, 1)
	assert.True(t, list[0].TokenExpires.After(time.Now()))
	assert.NotEmpty(t, list[0].Scopes)
	verdicts, out := checked(t)
	assert.Equal(t, preflight.OK, verdicts[home+"/highlevel/read orders"].Verdict, out)
	assert.Equal(t, preflight.OK, verdicts[home+"/highlevel/scope payments/orders.readonly"].Verdict)
	assert.Equal(t, preflight.OK, verdicts[home+"/sage/log in"].Verdict)
	assert.Equal(t, preflight.OK, verdicts["/webhooks/unsigned events"].Verdict, "by PUBLIC_URL")
	assert.Equal(t, preflight.OK, verdicts["/clock/highlevel"].Verdict)

	owner := store.TokenOfLocation(home)
	row, _, err := db.Token(t.Context(), owner)
	require.NoError(t, err)
	row.Expires = time.Now().Add(-time.Minute)
	_, err = db.PutToken(t.Context(), row)
	require.NoError(t, err)
	verdicts, ended := checked(t)
	assert.Equal(t, preflight.Warn, verdicts[home+"/connection/token"].Verdict, "it says that the token has ended")
	assert.Equal(t, preflight.Skip, verdicts[home+"/highlevel/token"].Verdict)
	assert.Zero(t, source.Refreshes(owner), "a look uses up no refresh token")
	pair, found := source.LivePair(owner)
	require.True(t, found)
	everything := page + out + ended + succeed(t, "connect", "list") + succeed(t, "connect", "show", home) + s.errs.String()
	for _, hidden := range []string{pair.Access, pair.Refresh, source.ClientSecret()} {
		require.NotEmpty(t, hidden)
		assert.NotContains(t, everything, hidden)
	}

	// HighLevel tells that the app was uninstalled, at the one address that has no event in its path.
	uninstall := map[string]string{"type": "UNINSTALL", "appId": "other", "locationId": home, "timestamp": time.Now().UTC().Format(time.RFC3339Nano)}
	_, body := s.event(t, "", uninstall)
	assert.Equal(t, store.Active, connectionOf(t, db, home).State, "another app's: %s", body)
	uninstall["appId"] = source.AppID()
	code, body = s.event(t, "", uninstall)
	assert.Equal(t, 200, code, body)
	assert.Equal(t, store.Leaving, connectionOf(t, db, home).State)
	s.stop()
	assert.Equal(t, exitDone, <-s.code, s.errs.String())
}

// checked runs the preflight, and gives its findings by location, part and check.
func checked(t *testing.T, args ...string) (map[string]preflight.Finding, string) {
	t.Helper()
	_, out, _ := starter(t, append([]string{"check", "-o", "json"}, args...)...)
	found := map[string]preflight.Finding{}
	for _, f := range decode[preflight.Report](t, out).Findings {
		found[f.Location+"/"+f.Part+"/"+f.Check] = f
	}
	return found, out
}

func TestAnAgencyChooses(t *testing.T) {
	database := environment(t)
	source := shopWithApp(t, sandboxghl.Options{})
	source.AddSubAccount(sandboxghl.SubAccount{ID: "secondShop", Name: "Second Shop"})
	t.Setenv("GHL_AUTHORIZE_URL", source.AuthorizeURL()+"?auto=company&locations="+home+"&locations=secondShop")
	s := serve(t)
	db := openDatabase(t, database)
	code, page := click(t)
	require.Equal(t, 200, code, page)

	installed := decode[[]installedView](t, succeed(t, "connect", "installed", "-o", "json"))
	require.Len(t, installed, 2)
	assert.Contains(t, succeed(t, "connect", "installed"), "Second Shop")
	assert.Contains(t, succeed(t, "connect", "choose", "secondShop", "--dry-run"), "would be connected")
	succeed(t, "connect", "choose", "secondShop")
	c := connectionOf(t, db, "secondShop")
	assert.Equal(t, store.ByAgency, c.Access)
	assert.Equal(t, store.Active, c.State)
	code, _, errOut := starter(t, "connect", "choose", "elsewhere")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "elsewhere")
	verdicts, _ := checked(t, "--location", "secondShop")
	assert.Equal(t, preflight.Warn, verdicts["secondShop/connection/token"].Verdict, "none was needed yet")
	assert.Equal(t, preflight.Skip, verdicts["secondShop/highlevel/token"].Verdict)

	agency := sandboxghl.DefaultCompany
	code, _, errOut = starter(t, "connect", "remove-agency", agency)
	assert.Equal(t, exitWrong, code, errOut)
	assert.Contains(t, succeed(t, "connect", "remove-agency", agency, "--dry-run"), "secondShop  is active, would be leaving")
	assert.Equal(t, store.Active, connectionOf(t, db, "secondShop").State)
	succeed(t, "connect", "remove-agency", agency, "--yes")
	assert.Equal(t, store.Leaving, connectionOf(t, db, "secondShop").State)
	_, held, err := db.Token(t.Context(), store.TokenOfCompany(agency))
	require.NoError(t, err)
	assert.False(t, held)
	s.stop()
	assert.Equal(t, exitDone, <-s.code, s.errs.String())
}

// TestACommandThatIsInterruptedLosesNoToken interrupts a command while it has an agency's token renewed: HighLevel has
// spent the old pair already, and the answer with the new one comes later.
func TestACommandThatIsInterruptedLosesNoToken(t *testing.T) {
	database := environment(t)
	plan := faults.NewPlan(1, faults.None)
	source := shopWithApp(t, sandboxghl.Options{Faults: plan})
	t.Setenv("GHL_AUTHORIZE_URL", source.AuthorizeURL()+"?auto=company")
	s := serve(t)
	db := openDatabase(t, database)
	code, page := click(t)
	require.Equal(t, 200, code, page)
	s.stop()
	require.Equal(t, exitDone, <-s.code, s.errs.String())
	owner := store.TokenOfCompany(sandboxghl.DefaultCompany)
	row, found, err := db.Token(t.Context(), owner)
	require.NoError(t, err)
	require.True(t, found)
	row.Expires = time.Now().Add(-time.Minute)
	row, err = db.PutToken(t.Context(), row)
	require.NoError(t, err)

	plan.Next("oauth.token", faults.Fault{Kind: faults.AnswerLate, Delay: 2 * time.Second})
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan int)
	var out, errs lockedBuffer
	go func() { ended <- run(ctx, []string{"connect", "installed"}, &out, &errs) }()
	require.Eventually(t, func() bool { return source.Refreshes(owner) == 1 }, time.Minute, time.Millisecond)
	interrupt()
	require.Equal(t, exitFailed, <-ended)
	kept, _, err := db.Token(t.Context(), owner)
	require.NoError(t, err)
	assert.Equal(t, row.Generation+1, kept.Generation, "the new pair is stored: %s", errs.String())
}

func TestCheckLooksAtEachConnection(t *testing.T) {
	db := openDatabase(t, environment(t))
	t.Setenv("GHL_LOCATION_ID", "")
	t.Setenv("GHL_CLIENT_ID", "app-1")
	t.Setenv("GHL_CLIENT_SECRET", planted)
	source := sandboxghl.New(sandboxghl.Options{})
	require.NoError(t, source.Start())
	t.Cleanup(source.Close)
	t.Setenv("GHL_BASE_URL", source.URL())
	succeed(t, "connect", "add", home, "--env-file", settingsFile(t, "GHL_PRIVATE_TOKEN="+source.Token()))
	connected(t, db, store.Connection{Location: "broken", Access: store.ByOAuth, State: store.Reconnect, Note: "HighLevel refuses the refresh"})
	connected(t, db, store.Connection{Location: "gone", State: store.Retired})
	found, out := checked(t)
	assert.Equal(t, preflight.OK, found[home+"/highlevel/read orders"].Verdict)
	assert.Equal(t, preflight.Warn, found[home+"/connection/state"].Verdict, "pending")
	assert.Equal(t, preflight.Fail, found["broken/connection/state"].Verdict)
	assert.Contains(t, found["broken/connection/state"].Mend, "starter connect")
	assert.NotContains(t, out, `"gone"`)
	assert.NotContains(t, out, planted)
	one, _ := checked(t, "--location", home)
	assert.Empty(t, one["broken/connection/state"].Check)
	code, _, errOut := starter(t, "check", "--location", "never")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "starter connect list")
	_, table, _ := starter(t, "check")
	assert.Contains(t, table, "connection broken", "the table says which")

	// What cannot be opened is a finding, not the end.
	other, err := secret.GenerateRing()
	require.NoError(t, err)
	t.Setenv("SECRET_KEYS", strings.Replace(other.Reveal(), "generated:", "k9:", 1))
	found, _ = checked(t)
	assert.Equal(t, preflight.Fail, found["/keys/key generated"].Verdict)
	assert.Equal(t, preflight.Fail, found[home+"/highlevel/token"].Verdict)
	var raw map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &raw))
	assert.ElementsMatch(t, []string{"ok", "findings"}, sortedKeys(raw), "programs read this")
}
