package preflight

import (
	"context"
	"crypto/ed25519"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	sandboxghl "github.com/tallystick/tallystick/sandbox/ghl"
	sandboxsage "github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/starter/intake"
	"github.com/tallystick/tallystick/starter/webhook"
	"github.com/tallystick/tallystick/workflows"
)

// subject is a whole and healthy world: both vendors as sandbox servers, a migrated database and a front door.
func subject(t *testing.T, hl sandboxghl.Options, sg sandboxsage.Options) (Subject, *sandboxsage.Server) {
	t.Helper()
	source := sandboxghl.New(hl)
	require.NoError(t, source.Start())
	t.Cleanup(source.Close)
	books := sandboxsage.New(sg)
	require.NoError(t, books.Start())
	t.Cleanup(books.Close)
	ring, err := secret.GenerateRing()
	require.NoError(t, err)
	var s Subject
	s.Database = OpenDatabase(t.Context(), migrated(t))
	t.Cleanup(func() { assert.NoError(t, s.Database.Close()) })
	s.Config.Secrets.Keys.Ring = ring
	s.Config.GHL.BaseURL, s.Config.Sage.BaseURL = config.BaseURL(source.URL()), config.BaseURL(books.URL())
	s.Config.GHL.WebhookPublicKeys = publishedKeys()
	s.Config.Telling.WebhookURL.Text = "https://hooks.example/never"
	s.Config.HTTP.Public = config.BaseURL(frontDoor(t))
	s.Temporal = func(context.Context) []Finding { return []Finding{{Part: "temporal", Check: "namespace", Verdict: OK}} }
	s.Connections = []Connection{{
		Connection: store.Connection{
			Location: source.Location(), Access: store.ByPrivateToken, State: store.Active, Sage: store.SageOfEnvironment,
		},
		OfEnvironment: true, GHL: highLevelClient(t, source.URL(), source.Location(), source.Token()), Sage: sageClient(t, books),
		Settings: config.Sage{ExtraFieldPrefix: "Z_", SalesRepID: books.APIUser()},
		Shipping: config.Shipping{On: true, Activities: true},
	}}
	return s, books
}

func migrated(t *testing.T) config.DatabaseURL {
	t.Helper()
	path := "sqlite:" + filepath.Join(t.TempDir(), "tallystick.db")
	db, err := store.Open(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	return config.DatabaseURL(path)
}

func highLevelClient(t *testing.T, url, location, token string) *ghl.Client {
	t.Helper()
	c, err := ghl.New(ghl.Options{BaseURL: url, LocationID: location, Credentials: ghl.StaticToken(token)})
	require.NoError(t, err)
	return c
}

func sageClient(t *testing.T, books *sandboxsage.Server) *sage.Client {
	t.Helper()
	public, private := books.Keys()
	c, err := sage.New(sage.Options{BaseURL: books.URL(), PublicKey: public, PrivateKey: private, RequestsPerSecond: 10_000})
	require.NoError(t, err)
	return c
}

// frontDoor is the webhook door with the healthz of the server around it.
func frontDoor(t *testing.T) string {
	t.Helper()
	door, err := webhook.New(webhook.Options{Door: workflows.Door{}, Keys: webhook.Keys(publishedKeys()), Locations: intake.One("l")})
	require.NoError(t, err)
	mux := http.NewServeMux()
	door.Register(mux)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"alive"}`) })
	return listen(t, mux)
}

func listen(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// plain is a tenant in which nothing has to be chosen.
func plain() sandboxsage.Options {
	return sandboxsage.Options{
		Branches: []string{"Main"},
		Statuses: []sandboxsage.Status{{Name: "Quote"}, {Name: "Won", Won: true}, {Name: "Lost", Lost: true}},
	}
}

func (r Report) find(check string) Finding {
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	return Finding{}
}

func run(t *testing.T, s Subject) Report {
	t.Helper()
	var told []Finding
	report := s.Run(t.Context(), func(f Finding) { told = append(told, f) })
	assert.Equal(t, report.Findings, told)
	for _, f := range report.Findings {
		assert.NotEmpty(t, f.Part)
		assert.NotEmpty(t, f.Check)
		if f.Verdict == Fail {
			assert.NotEmpty(t, f.Mend, "%s: a failure says what to do", f.Check)
		}
	}
	return report
}

func TestAHealthyWorldPasses(t *testing.T) {
	s, books := subject(t, sandboxghl.Options{}, plain())
	report := run(t, s)
	assert.True(t, report.OK, "%+v", report.Findings)
	for _, f := range report.Findings {
		assert.Contains(t, []Verdict{OK, Skip}, f.Verdict, "%+v", f)
		assert.Equal(t, f.Verdict == Skip, strings.HasPrefix(f.Check, "scope ") && strings.HasPrefix(f.Found, "cannot be t"), "%+v", f)
	}
	assert.Contains(t, report.find("SAGE_BRANCH_ID").Found, "Main")
	assert.Contains(t, report.find("currencies").Found, "USD")
	assert.Empty(t, books.Writes(), "a check writes nothing")
}

func TestWhatMustBeChosenIsNamed(t *testing.T) {
	s, _ := subject(t, sandboxghl.Options{}, sandboxsage.Options{
		Branches: []string{"North", "South"},
		Statuses: []sandboxsage.Status{{Name: "Quote"}, {Name: "Order"}, {Name: "Won", Won: true}},
	})
	s.Connections[0].Settings.SalesRepID = 0
	report := run(t, s)
	assert.False(t, report.OK)
	assert.Equal(t, []Choice{{7, "Petra Person"}, {51, "Tallystick API"}}, report.find("SAGE_SALES_REP_ID").Choices)
	open := report.find("SAGE_ORDER_STATUS_OPEN")
	assert.Equal(t, Fail, open.Verdict)
	require.Len(t, open.Choices, 2)
	assert.Equal(t, "Quote", open.Choices[0].Name)
	assert.Equal(t, OK, report.find("SAGE_ORDER_STATUS_WON").Verdict)

	s.Connections[0].Settings.StatusOpen = open.Choices[1].ID
	report = run(t, s)
	assert.Contains(t, report.find("SAGE_ORDER_STATUS_OPEN").Found, "Order, as set")
	s.Connections[0].Settings.StatusOpen, s.Connections[0].Settings.StatusWon = 9999, open.Choices[0].ID
	report = run(t, s)
	assert.Equal(t, Fail, report.find("SAGE_ORDER_STATUS_OPEN").Verdict)
	assert.Equal(t, Warn, report.find("SAGE_ORDER_STATUS_WON").Verdict, "a paid order would not count as won")
}

func TestExtraFieldsAreMadeOnRequestOnly(t *testing.T) {
	tenant := plain()
	tenant.ExtraFields = []sandboxsage.ExtraField{{Resource: "salesorders", Name: "Z_PaymentStatus", Type: "text"}}
	s, books := subject(t, sandboxghl.Options{}, tenant)
	report := run(t, s)
	assert.Equal(t, Warn, report.find("extra fields").Verdict)
	assert.Contains(t, report.find("extra fields").Found, "Z_CouponCode, Z_DeliveredDate, Z_FulfillmentIds, Z_FulfillmentStatus, Z_PaidAmount")
	assert.Contains(t, report.find("extra fields").Found, "nobody can say in Sage")
	s.CreateFields, s.DryRun = true, true
	report = run(t, s)
	assert.Equal(t, Warn, report.find("Z_PaidAmount").Verdict)
	assert.Empty(t, books.Writes())
	s.DryRun = false
	report = run(t, s)
	assert.Equal(t, OK, report.find("Z_PaidAmount").Verdict, "%+v", report.find("Z_PaidAmount"))
	assert.Len(t, books.Writes(), 10)

	s.Connections[0].Sage = sageClient(t, books) // a client keeps what it read of the tenant
	s.CreateFields = false
	assert.Equal(t, OK, run(t, s).find("extra fields").Verdict, "they are there now")
}

func TestAFieldOfTheWrongTypeIsNoticed(t *testing.T) {
	tenant := plain()
	tenant.ExtraFields = []sandboxsage.ExtraField{{Resource: "salesorders", Name: "Z_PaidAmount", Type: "text"}}
	s, _ := subject(t, sandboxghl.Options{}, tenant)
	report := run(t, s)
	assert.Equal(t, Fail, report.find("Z_PaidAmount").Verdict)
}

func TestWhatHighLevelRefusesIsExplained(t *testing.T) {
	s, _ := subject(t, sandboxghl.Options{}, plain())
	for name, c := range map[string]struct{ token, location, words, mend string }{
		"token":    {"wrong", sandboxghl.DefaultLocation, "refuses the token", "GHL_PRIVATE_TOKEN"},
		"location": {sandboxghl.DefaultToken, "elsewhere", "does not belong", "GHL_LOCATION_ID"},
	} {
		t.Run(name, func(t *testing.T) {
			source := sandboxghl.New(sandboxghl.Options{})
			require.NoError(t, source.Start())
			t.Cleanup(source.Close)
			s.Connections[0].GHL = highLevelClient(t, source.URL(), c.location, c.token)
			report := run(t, s)
			assert.False(t, report.OK)
			assert.Contains(t, report.find("read orders").Found, c.words)
			assert.Contains(t, report.find("read orders").Mend, c.mend)
			assert.Contains(t, report.find("read orders").Mend, "payments/orders.readonly")
		})
	}
}

func TestWhatSageRefusesIsExplained(t *testing.T) {
	s, books := subject(t, sandboxghl.Options{}, plain())
	var err error
	s.Connections[0].Sage, err = sage.New(sage.Options{BaseURL: books.URL(), PublicKey: "a", PrivateKey: "b", RequestsPerSecond: 10_000})
	require.NoError(t, err)
	report := run(t, s)
	assert.Equal(t, Fail, report.find("log in").Verdict)
	assert.Contains(t, report.find("log in").Mend, "SAGE_PUBLIC_KEY")
	assert.Empty(t, report.find("SAGE_BRANCH_ID").Check, "one cause is told once")
}

func TestWithFaultsInTheConfigurationTheRestIsSkipped(t *testing.T) {
	s := Subject{Faults: config.Faults{{Variable: "SAGE_BRANCH_ID", Problem: "must be a whole number"}, {Variable: "ADMIN_TOKEN", Problem: "is too short"}}}
	report := s.Run(t.Context(), func(Finding) {})
	assert.False(t, report.OK)
	assert.Equal(t, Fail, report.find("SAGE_BRANCH_ID").Verdict)
	assert.Equal(t, Fail, report.find("ADMIN_TOKEN").Verdict)
	assert.Equal(t, Skip, report.find("token").Verdict)
	assert.Equal(t, Skip, report.find("log in").Verdict)
}

func TestADatabaseIsNeitherMadeNorChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.db")
	d := OpenDatabase(t.Context(), config.DatabaseURL("sqlite:"+path))
	require.Len(t, d.Findings, 1)
	assert.Equal(t, Warn, d.Findings[0].Verdict)
	assert.Nil(t, d.Store)
	assert.NoFileExists(t, path)

	db, err := store.Open(t.Context(), "sqlite:"+path, store.WithoutMigrations())
	require.NoError(t, err)
	require.NoError(t, db.Close())
	d = OpenDatabase(t.Context(), config.DatabaseURL("sqlite:"+path))
	require.Len(t, d.Findings, 2)
	assert.Equal(t, Warn, d.Findings[1].Verdict, "migrations are missing")
	assert.Contains(t, d.Findings[1].Mend, "starter migrate")
	assert.Nil(t, d.Store, "nothing can be read from it yet")
	require.NoError(t, d.Close())
}

func TestTheRingIsComparedWithWhatIsSealed(t *testing.T) {
	s, _ := subject(t, sandboxghl.Options{}, plain())
	s.Connections[0].Sage = nil // its tenant is looked at elsewhere
	ring, db := s.Config.Secrets.Keys.Ring, s.Database.Store
	id := ring.CurrentID()
	require.NoError(t, db.UseKey(t.Context(), id, ring.Check(id)))
	key, text := ring.SealText([]byte("{}"), store.TokenPurpose("location/x"))
	_, err := db.PutToken(t.Context(), store.Token{Owner: "location/x", Pair: store.Sealed{KeyID: key, Text: text}, Expires: time.Now()})
	require.NoError(t, err)
	assert.Equal(t, OK, run(t, s).find("what is sealed").Verdict)

	other := strings.TrimPrefix(newRing(t).Reveal(), "generated:")
	s.Config.Secrets.Keys.Ring, err = secret.ParseRing("k2:" + other + "," + ring.Reveal())
	require.NoError(t, err)
	assert.Equal(t, Warn, run(t, s).find("what is sealed").Verdict, "to be rotated")
	assert.Contains(t, run(t, s).find("what is sealed").Mend, "keys rotate")

	s.Config.Secrets.Keys.Ring, err = secret.ParseRing("k2:" + other)
	require.NoError(t, err)
	report := run(t, s)
	assert.False(t, report.OK)
	assert.Equal(t, Fail, report.find("key "+id).Verdict)
	assert.Contains(t, report.find("key "+id).Found, "1 tokens")

	s.Config.Secrets.Keys.Ring, err = secret.ParseRing(id + ":" + other)
	require.NoError(t, err)
	assert.Contains(t, run(t, s).find("key "+id).Found, "another key under this id")
}

func newRing(t *testing.T) *secret.Ring {
	t.Helper()
	ring, err := secret.GenerateRing()
	require.NoError(t, err)
	return ring
}

func TestEveryScopeIsNamedWithWhatItIsFor(t *testing.T) {
	s, _ := subject(t, sandboxghl.Options{EnforceScopes: true, TokenScopes: []string{ordersScope, transactionsScope, "contacts.readonly"}}, plain())
	report := run(t, s)
	assert.False(t, report.OK)
	for _, scope := range ghl.Scopes() {
		f := report.find("scope " + scope.Name)
		assert.Contains(t, f.Found, scope.For)
		assert.Equal(t, s.Connections[0].Location, f.Location)
	}
	assert.Equal(t, OK, report.find("scope "+ordersScope).Verdict)
	assert.Equal(t, OK, report.find("scope contacts.readonly").Verdict, "asked for somebody who does not exist")
	assert.Equal(t, Fail, report.find("scope invoices.readonly").Verdict)
	assert.Contains(t, report.find("scope invoices.readonly").Mend, "Private Integrations")
	assert.Equal(t, Skip, report.find("scope contacts.write").Verdict, "trying would write")

	s.Connections[0].Access = store.ByOAuth
	s.Connections[0].Granted = Granted(ordersScope + " invoices.readonly products.write")
	s.Connections[0].Expires = time.Now().Add(time.Hour)
	report = run(t, s)
	assert.Equal(t, OK, report.find("scope invoices.readonly").Verdict, "the grant says so")
	assert.Equal(t, OK, report.find("scope products.write").Verdict)
	assert.Equal(t, Fail, report.find("scope contacts.readonly").Verdict)
	assert.Equal(t, Warn, report.find("scope contacts.write").Verdict)
	assert.Contains(t, report.find("scope contacts.write").Mend, "starter connect")
	assert.Equal(t, Skip, report.find("scope oauth.write").Verdict, "a location has no use for it")

	s.Connections[0].Asked = []string{ordersScope, "invoices.readonly", "products.readonly"}
	report = run(t, s)
	assert.Equal(t, Skip, report.find("scope contacts.write").Verdict, "nobody asked for it")
	assert.Equal(t, Fail, report.find("scope contacts.readonly").Verdict, "asked for or not")
	assert.Equal(t, Warn, report.find("scope products.readonly").Verdict)

	s.Connections[0].Access, s.Connections[0].GrantedToAgency = store.ByAgency, Granted("oauth.readonly")
	report = run(t, s)
	assert.Equal(t, OK, report.find("scope oauth.readonly").Verdict)
	assert.Equal(t, Fail, report.find("scope oauth.write").Verdict, "no token of a location without")
}

func TestATokenThatHasEndedIsNotTried(t *testing.T) {
	s, _ := subject(t, sandboxghl.Options{}, plain())
	c := &s.Connections[0]
	c.Access, c.Granted, c.Expires = store.ByOAuth, ghl.DefaultScopes(), time.Now().Add(-time.Minute)
	report := run(t, s)
	assert.True(t, report.OK, "the worker renews it")
	assert.Empty(t, report.find("read orders").Check)
	assert.Equal(t, OK, report.find("scope "+ordersScope).Verdict)
	for _, f := range report.Findings {
		if f.Check == "token" && f.Part == connectionPart {
			assert.Equal(t, Warn, f.Verdict)
			assert.Contains(t, f.Found, "ended at")
		}
	}
}

func TestEachStateOfAConnection(t *testing.T) {
	s, _ := subject(t, sandboxghl.Options{}, plain())
	s.Connections[0].Sage = nil // its tenant is looked at elsewhere
	for state, want := range map[store.ConnectionState]Verdict{
		store.Active: OK, store.Pending: Warn, store.Paused: Warn, store.Reconnect: Fail, store.Leaving: Skip, store.Retired: Skip,
	} {
		s.Connections[0].State, s.Connections[0].Note = state, "because of a test"
		report := run(t, s)
		assert.Equal(t, want, report.find("state").Verdict, state)
		assert.Contains(t, report.find("state").Found, "because of a test")
		gone := state == store.Leaving || state == store.Retired
		assert.Equal(t, gone, report.find("read orders").Check == "", "%s: what is gone is not looked at", state)
	}
	s.Connections[0].State, s.Connections[0].Note = store.Reconnect, activities.NoteAsleep
	assert.Contains(t, run(t, s).find("state").Mend, "starter connect resume", "its credentials are good")
	s.Connections = nil
	assert.Contains(t, run(t, s).find("connections").Mend, "starter connect")
}

func TestATenantIsLookedAtOnce(t *testing.T) {
	s, _ := subject(t, sandboxghl.Options{}, plain())
	second := s.Connections[0]
	second.Location = "second"
	s.Connections[0].Tenant, second.Tenant = "one", "one"
	third := second
	third.Location, third.Sage, third.Connection.Sage = "third", nil, store.SageUndecided
	s.Connections = append(s.Connections, second, third)
	logins := map[string]string{}
	for _, f := range run(t, s).Findings {
		if f.Check == "log in" {
			logins[f.Location] = f.Found
		}
	}
	assert.Empty(t, logins[s.Connections[0].Location])
	assert.Contains(t, logins["second"], s.Connections[0].Location)
	assert.Contains(t, logins["third"], "no tenant")
}

func TestTheFrontDoorIsAskedByItsPublicAddress(t *testing.T) {
	answer := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	alive := func(events http.HandlerFunc) string {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /healthz", answer(200, `{"status":"alive"}`))
		mux.HandleFunc("POST /webhooks/ghl/OrderCreate", events)
		return listen(t, mux)
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, c := range map[string]struct {
		public, check string
		want          Verdict
		words         string
	}{
		"ours":            {frontDoor(t), "unsigned events", OK, "refused"},
		"not started":     {closed.URL, "reachable", Warn, "nobody answers"},
		"proxy only":      {listen(t, answer(502, "Bad Gateway")), "reachable", Warn, "nobody answers"},
		"somebody else":   {listen(t, answer(200, "<html>")), "reachable", Fail, "somebody else"},
		"sent elsewhere":  {listen(t, http.RedirectHandler("https://elsewhere.example/", http.StatusFound)), "reachable", Fail, "with 302"},
		"takes anything":  {alive(answer(200, `{"status":"accepted"}`)), "unsigned events", Fail, "what is not signed"},
		"asks for logins": {alive(answer(401, "Unauthorized")), "unsigned events", Fail, "not by the front door"},
		"not forwarded":   {alive(answer(404, "")), "unsigned events", Fail, "404"},
		"unset":           {"", "reachable", Skip, "PUBLIC_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			var s Subject
			s.Config.HTTP.Public = config.BaseURL(c.public)
			found := s.webhooks(t.Context())
			last := found[len(found)-1]
			assert.Equal(t, c.check, last.Check)
			assert.Equal(t, c.want, last.Verdict, last.Found)
			assert.Contains(t, last.Found, c.words)
			assert.Equal(t, c.want == OK || c.want == Skip, last.Mend == "")
		})
	}
	var s Subject
	s.Config.GHL.ClientID = "app-1"
	assert.Equal(t, Warn, s.webhooks(t.Context())[0].Verdict, "an app without a door")
}

func TestClocksAreCompared(t *testing.T) {
	for name, c := range map[string]struct {
		date  string
		want  Verdict
		words string
	}{
		"together": {time.Now().UTC().Format(http.TimeFormat), OK, "agree"},
		"ahead":    {time.Now().Add(-2 * time.Minute).UTC().Format(http.TimeFormat), Warn, "ahead"},
		"behind":   {time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat), Warn, "behind"},
		"far off":  {time.Now().Add(-10 * time.Minute).UTC().Format(http.TimeFormat), Fail, "ahead"},
		"undated":  {"yesterday", Skip, "no date"},
	} {
		t.Run(name, func(t *testing.T) {
			var s Subject
			s.Config.GHL.BaseURL = config.BaseURL(listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Empty(t, r.Header.Get("Authorization"))
				w.Header().Set("Date", c.date)
				w.WriteHeader(http.StatusUnauthorized)
			})))
			found := s.clocks(t.Context())
			require.Len(t, found, 1)
			assert.Equal(t, c.want, found[0].Verdict, found[0].Found)
			assert.Contains(t, found[0].Found, c.words)
		})
	}
}

func TestWhatIsUnusualIsSaid(t *testing.T) {
	s, _ := subject(t, sandboxghl.Options{}, plain())
	s.Config.GHL.WebhookPublicKeys = config.PublicKeys{make(ed25519.PublicKey, ed25519.PublicKeySize)}
	s.Config.Telling.WebhookURL.Text = ""
	s.Config.Orders.ReadOnly = true
	report := run(t, s)
	assert.True(t, report.OK)
	assert.Equal(t, Warn, report.find("webhook signatures").Verdict)
	assert.Equal(t, Warn, report.find("NOTIFY_WEBHOOK_URL").Verdict)
	assert.Contains(t, report.find("READ_ONLY").Mend, "starter planned")
}

func TestAddressesInsideACloudAreNotAsked(t *testing.T) {
	for _, base := range []string{"http://169.254.169.254", "http://[fd00:ec2::254]", "http://0.0.0.0:1"} {
		_, _, err := ask(t.Context(), http.MethodGet, base+"/healthz", "")
		require.ErrorIs(t, err, transport.ErrAddress)
		f := clock(t.Context(), "vendor", base)
		assert.Equal(t, Skip, f.Verdict)
		assert.Contains(t, f.Found, "not allowed")
	}
}
