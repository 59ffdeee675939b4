package security

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/starter/oauth"
	"github.com/tallystick/tallystick/starter/server"
	"github.com/tallystick/tallystick/starter/webhook"
	"github.com/tallystick/tallystick/test/harness"
	"github.com/tallystick/tallystick/workflows"
)

// The locations, of two agencies. Stranger is connected nowhere.
const (
	bakery, harbour, stranger = "bakeLocation00000001", "portLocation00000001", "strangeLocation00001"
	guild, fleet              = "guildCompany00000001", "fleetCompany00000001"
)

// hints is a door to Temporal that remembers for which location each hint was.
type hints struct {
	mu    sync.Mutex
	taken []string
}

func (h *hints) LookAtOrder(_ context.Context, location, order string, _ workflows.Hint) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken = append(h.taken, location+"/"+order)
	return nil
}

func (h *hints) LookAtInvoice(ctx context.Context, location, invoice string, hint workflows.Hint) error {
	return h.LookAtOrder(ctx, location, invoice, hint)
}

// all are the hints since the last time.
func (h *hints) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := h.taken
	h.taken = nil
	return taken
}

// office is a front door with all that is behind it but Temporal, and HighLevel.
type office struct {
	t         *testing.T
	ghl       *ghlbox.Server
	config    config.Config
	store     *store.Store
	directory *connections.Directory
	hints     *hints
	base      string
}

func open(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, ghl: ghlbox.New(ghlbox.Options{Seed: 3, NoLimits: true}), hints: &hints{}}
	require.NoError(t, o.ghl.Start())
	t.Cleanup(o.ghl.Close)
	for location, company := range map[string]string{bakery: guild, harbour: fleet, stranger: fleet} {
		o.ghl.AddSubAccount(ghlbox.SubAccount{ID: location, Name: "Shop", CompanyID: company})
	}
	var err error
	o.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "store.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.store.Close()) })
	listen := "127.0.0.1:" + freePort(t)
	o.base = "http://" + listen
	ring, err := secret.GenerateRing()
	require.NoError(t, err)
	o.config = config.Config{
		HTTP: config.HTTP{Public: config.BaseURL(o.base)},
		GHL: config.GHL{
			BaseURL: config.BaseURL(o.ghl.URL()), AuthorizeURL: config.LinkURL(o.ghl.AuthorizeURL()),
			ClientID: o.ghl.ClientID(), ClientSecret: secret.Text(o.ghl.ClientSecret()),
		},
		Sage: config.Sage{PublicKey: "public", PrivateKey: "private"},
	}
	o.config.Secrets.Keys.Ring = ring
	require.NoError(t, o.config.GHL.WebhookPublicKeys.Decode(o.ghl.WebhookPublicKey()))
	o.directory, err = connections.Open(connections.Options{Config: o.config, Store: o.store, Ring: ring})
	require.NoError(t, err)
	t.Cleanup(o.directory.Close)
	o.serve(listen)
	o.ghl.SetWebhookURL(o.base)
	return o
}

func (o *office) serve(listen string) {
	installer := connections.NewInstaller(connections.InstallerOptions{
		Config: o.config, Store: o.store, Ring: o.config.Secrets.Keys.Ring, OAuth: o.directory.OAuth(),
	})
	o.t.Cleanup(installer.Close)
	pages, err := oauth.New(oauth.Options{Config: o.config, OAuth: o.directory.OAuth(), Installer: installer})
	require.NoError(o.t, err)
	door, err := webhook.New(webhook.Options{
		Door: o.hints, Keys: webhook.Keys(o.config.GHL.WebhookPublicKeys), Locations: o.directory, Installs: installer,
	})
	require.NoError(o.t, err)
	s, err := server.Open(o.t.Context(), server.Options{Listen: listen, Webhooks: door, OAuth: pages, Grace: 5 * time.Second})
	require.NoError(o.t, err)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Run(ctx) }()
	o.t.Cleanup(func() { stop(); require.NoError(o.t, <-served) })
}

// visit asks for a page, or sends a form, and follows where it leads.
func (o *office) visit(browser *http.Client, address string, form url.Values) (code int, body string, at *url.URL) {
	o.t.Helper()
	method, content := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, content = http.MethodPost, strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(o.t.Context(), method, address, content)
	require.NoError(o.t, err)
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := browser.Do(request)
	require.NoError(o.t, err)
	defer func() { require.NoError(o.t, response.Body.Close()) }()
	page, err := io.ReadAll(response.Body)
	require.NoError(o.t, err)
	return response.StatusCode, string(page), response.Request.URL
}

// connect goes the way of a person: auto is what is chosen at HighLevel, more is put onto every address on the way.
func (o *office) connect(browser *http.Client, auto, more string) (code int, page string) {
	o.t.Helper()
	link, _, err := oauth.Link(o.config, time.Now())
	require.NoError(o.t, err)
	var back *url.URL
	browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if back = r.URL; strings.HasPrefix(r.URL.String(), o.base) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	_, _, at := o.visit(browser, link+more, nil)
	o.visit(browser, at.String()+"&auto="+auto, nil)
	code, page, _ = o.visit(browser, back.String()+more, nil)
	return code, page
}

func (o *office) row(location string) store.Connection {
	o.t.Helper()
	c, _, err := o.store.Connection(o.t.Context(), location)
	require.NoError(o.t, err)
	return c
}

func (o *office) token(location string) store.Token {
	o.t.Helper()
	row, _, err := o.store.Token(o.t.Context(), store.TokenOfLocation(location))
	require.NoError(o.t, err)
	return row
}

// TestWhatIsConnectedIsWhatTheGrantNames: a person begins at a link for one location, and whatever the browser is made
// to say on the way, what is connected is what HighLevel's grant names, and what was connected before stays as it is.
func TestWhatIsConnectedIsWhatTheGrantNames(t *testing.T) {
	o := open(t)
	code, page := o.connect(harness.Browser(t, nil), bakery, "")
	require.Equal(t, http.StatusOK, code, page)
	before, pair := o.row(bakery), o.token(bakery)
	require.Equal(t, store.Active, before.State)

	const more = "&locationId=" + bakery + "&location_id=" + bakery + "&location=" + bakery + "&companyId=" + guild + "&userType=Company&selected=" + bakery
	code, page = o.connect(harness.Browser(t, nil), harbour, more)
	require.Equal(t, http.StatusOK, code, page)
	assert.Contains(t, page, harbour)
	assert.NotContains(t, page, bakery)
	assert.NotEmpty(t, o.row(harbour).State)
	assert.Equal(t, before, o.row(bakery))
	assert.Equal(t, pair, o.token(bakery), "the pair of the other location is the one it was")
	assert.NotEqual(t, pair.Pair, o.token(harbour).Pair)
}

var formField = regexp.MustCompile(`name="form" value="([^"]+)"`)

// TestAFormChoosesItsOwnAgencysLocationsOnly: a person of one agency, with a form and a cookie that are good, names the
// location of another.
func TestAFormChoosesItsOwnAgencysLocationsOnly(t *testing.T) {
	o := open(t)
	code, page := o.connect(harness.Browser(t, nil), harbour, "")
	require.Equal(t, http.StatusOK, code, page)
	before, pair := o.row(harbour), o.token(harbour)

	browser := harness.Browser(t, nil)
	code, page = o.connect(browser, "company&company="+guild, "")
	require.Equal(t, http.StatusOK, code, page)
	found := formField.FindStringSubmatch(page)
	require.Len(t, found, 2, page)
	choose := o.base + oauth.ChoosePath
	for name, change := range map[string]url.Values{
		"another agency's location":         {"location": {harbour}},
		"one of each":                       {"location": {bakery, harbour}},
		"the same, the other way":           {"location": {harbour, bakery}},
		"another agency's that is nowhere":  {"location": {stranger}},
		"the other agency named beside it":  {"location": {harbour}, "company": {fleet}, "companyId": {fleet}},
		"a path to it":                      {"location": {bakery + "/../" + harbour}},
		"an escaped path to it":             {"location": {bakery + "%2f..%2f" + harbour}},
		"an end in the middle":              {"location": {bakery + "\x00" + harbour}},
		"a line in the middle":              {"location": {bakery + "\n" + harbour}},
		"a query":                           {"location": {bakery + "&location=" + harbour}},
		"dots":                              {"location": {".."}},
		"the agency itself":                 {"location": {guild}},
		"the name of the token's place":     {"location": {"location/" + harbour}},
		"a form that is another's, besides": {"form": {"x", found[1]}, "location": {bakery}},
	} {
		if change["form"] == nil {
			change["form"] = []string{found[1]}
		}
		code, page, _ := o.visit(browser, choose+"?company="+fleet+"&location="+harbour, change)
		assert.Contains(t, []int{http.StatusBadRequest, http.StatusForbidden}, code, "%s: %s", name, page)
		assert.Equal(t, before, o.row(harbour), name)
		assert.Equal(t, pair, o.token(harbour), name)
		assert.Empty(t, o.row(stranger).State, name)
		assert.Contains(t, o.row(bakery).Note, "not chosen", "%s: none of several is connected", name)
	}
	code, page, _ = o.visit(browser, choose, url.Values{"form": {found[1]}, "location": {bakery}})
	assert.Equal(t, http.StatusOK, code, page)
	assert.NotContains(t, o.row(bakery).Note, "not chosen", "the form was good all the while")
}

// TestAWebhookSpeaksForTheLocationThatItNames: the location is in the signed body, and nothing around it says another.
// Of two names none is believed; a location that is not connected is not reached by way of one that is.
func TestAWebhookSpeaksForTheLocationThatItNames(t *testing.T) {
	o := open(t)
	for _, location := range []string{bakery, harbour} {
		_, page := o.connect(harness.Browser(t, nil), location, "")
		require.Contains(t, page, location)
		o.settle(location)
	}
	const order = "660ed43bfdf9fc05a0de7a40"
	body := func(fields string) string { return `{"_id":"` + order + `",` + fields + `}` }
	for name, c := range map[string]struct {
		query, body string
		code        int
		want        []string
	}{
		"its own":              {"", body(`"locationId":"` + bakery + `"`), 200, []string{bakery + "/" + order}},
		"another in the query": {"?locationId=" + harbour + "&altId=" + harbour, body(`"locationId":"` + bakery + `"`), 200, []string{bakery + "/" + order}},
		"another in altId":     {"", body(`"locationId":"` + bakery + `","altId":"` + harbour + `"`), 400, nil},
		"another in altId, said to be a location": {"", body(`"locationId":"` + bakery + `","altId":"` + harbour + `","altType":"location"`), 400, nil},
		"none in either":         {"", body(`"status":"x"`), 400, nil},
		"a stranger":             {"", body(`"locationId":"` + stranger + `"`), 404, nil},
		"a stranger, then ours":  {"", body(`"locationId":"` + stranger + `","altId":"` + bakery + `"`), 400, nil},
		"ours, then a stranger":  {"", body(`"locationId":"` + bakery + `","locationId":"` + stranger + `"`), 400, nil},
		"in a folder":            {"", body(`"data":{"locationId":"` + bakery + `"}`), 400, nil},
		"a path":                 {"", body(`"locationId":"` + stranger + `/../` + bakery + `"`), 400, nil},
		"an end in the middle":   {"", body(`"locationId":"` + bakery + `\u0000"`), 400, nil},
		"a look-alike":           {"", body(`"locationId":"` + strings.Replace(bakery, "a", `\u0430`, 1) + `"`), 400, nil},
		"in capitals":            {"", body(`"locationId":"` + strings.ToUpper(bakery) + `"`), 404, nil},
		"an order that is a way": {"", `{"_id":"../` + harbour + `/` + order + `","locationId":"` + bakery + `"}`, 400, nil},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.base+"/webhooks/ghl/OrderCreate"+c.query, strings.NewReader(c.body))
		require.NoError(t, err)
		for header, value := range map[string]string{
			"X-Ghl-Signature": o.ghl.Sign([]byte(c.body)), "Location": harbour, "X-Location-Id": harbour, "LocationId": harbour,
			"X-Http-Method-Override": "GET", "X-Original-Url": "/webhooks/ghl/UNINSTALL", "X-Rewrite-Url": "/webhooks/ghl/UNINSTALL",
		} {
			request.Header.Set(header, value)
		}
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, c.code, response.StatusCode, name)
		assert.Equal(t, c.want, o.hints.all(), name)
	}
	// A body that was signed for one event and sent as another ends nothing.
	uninstall := []byte(`{"type":"INSTALL","appId":"` + o.ghl.AppID() + `","locationId":"` + harbour + `"}`)
	before := o.row(harbour)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.base+"/webhooks/ghl/UNINSTALL", bytes.NewReader(uninstall))
	require.NoError(t, err)
	request.Header.Set("X-Ghl-Signature", o.ghl.Sign(uninstall))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusBadRequest, response.StatusCode)
	assert.Equal(t, before, o.row(harbour))
}

// settle makes a connection work that waits for a Sage tenant.
func (o *office) settle(location string) {
	o.t.Helper()
	c := o.row(location)
	if c.State == store.Active {
		return
	}
	c.State, c.Sage = store.Active, store.SageOfEnvironment
	_, err := o.store.SaveConnection(o.t.Context(), c)
	require.NoError(o.t, err)
}

// TestWhatIsSealedForOneLocationDoesNotOpenForAnother: whoever can write to the database puts a location's token, or its
// settings, into another's row.
func TestWhatIsSealedForOneLocationDoesNotOpenForAnother(t *testing.T) {
	o := open(t)
	for _, location := range []string{bakery, harbour} {
		_, page := o.connect(harness.Browser(t, nil), location, "")
		require.Contains(t, page, location)
		o.settle(location)
	}
	moved := o.token(bakery)
	moved.Owner = store.TokenOfLocation(harbour)
	_, err := o.store.PutToken(t.Context(), moved)
	require.NoError(t, err)
	settings, err := connections.SealSettings(o.config.Secrets.Keys.Ring, bakery, config.Settings{
		Sage: config.Sage{PublicKey: tenantKey, PrivateKey: tenantSecret},
	})
	require.NoError(t, err)
	c := o.row(harbour)
	c.Sage, c.Settings = store.SageOfItsOwn, settings
	_, err = o.store.SaveConnection(t.Context(), c)
	require.NoError(t, err)

	other, err := connections.Open(connections.Options{Config: o.config, Store: o.store, Ring: o.config.Secrets.Keys.Ring}) // another process, which holds nothing yet
	require.NoError(t, err)
	t.Cleanup(other.Close)
	calls := o.ghl.CallCount("ghl.")
	_, _, err = other.Sage(t.Context(), harbour)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), tenantSecret)
	c = o.row(harbour)
	c.Sage, c.Settings = store.SageOfEnvironment, store.Sealed{}
	_, err = o.store.SaveConnection(t.Context(), c)
	require.NoError(t, err)
	client, err := other.GHL(t.Context(), harbour)
	require.NoError(t, err)
	_, err = client.Orders.Get(t.Context(), "660ed43bfdf9fc05a0de7a40")
	require.Error(t, err)
	assert.Equal(t, calls, o.ghl.CallCount("ghl."), "nothing left with the token of another location")
	// The location whose it is goes on.
	client, err = other.GHL(t.Context(), bakery)
	require.NoError(t, err)
	_, err = client.Orders.Page(t.Context(), ghl.OrderFilter{}, ghl.Cursor{})
	require.NoError(t, err)
}

// TestAnIDIsOneSegmentOfAPath: whatever an id is made of, the call stays in its collection and in its location.
func TestAnIDIsOneSegmentOfAPath(t *testing.T) {
	var mu sync.Mutex
	var sent []*url.URL
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, r.URL)
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(vendor.Close)
	client, err := ghl.New(ghl.Options{BaseURL: vendor.URL, LocationID: bakery, Credentials: ghl.StaticToken(privateToken)})
	require.NoError(t, err)
	ids := []string{
		"../locations/" + harbour, "x/../../contacts/y", "x%2f..%2fy", "x?altId=" + harbour, "x#y", "x&altId=" + harbour, `x\..\y`, "x;y", "x y", "x\ny",
		"x\x00y", "..", ".", "", "%2e%2e", "．．/x", "http://evil.example/", "//evil.example",
	}
	for _, id := range ids {
		_, err := client.Orders.Get(t.Context(), id)
		require.Error(t, err)
		_, err = client.Invoices.Get(t.Context(), id)
		require.Error(t, err)
		_, err = client.Transactions.Get(t.Context(), id)
		require.Error(t, err)
	}
	assert.Len(t, sent, 3*(len(ids)-3), "what is empty or dots does not leave, all else does")
	for _, at := range sent {
		path := regexp.MustCompile(`^/(payments/orders|payments/transactions|invoices)/[^/?#]+$`)
		assert.Regexp(t, path, at.EscapedPath())
		assert.Equal(t, []string{bakery}, at.Query()["altId"], at.String())
		assert.Equal(t, []string{"location"}, at.Query()["altType"], at.String())
	}
}
