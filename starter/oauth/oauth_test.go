package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
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
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
)

const (
	bakery, harbour = "bakeLocation00000001", "harbLocation00000002"
	guild           = "agencyCompany0000001"
	adminToken      = "an admin token of some length"
)

// front is the pages on a real server, with the real Installer, a real store and HighLevel's sandbox.
type front struct {
	t       *testing.T
	handler *Handler
	server  *httptest.Server
	ghl     *ghlbox.Server
	plan    *faults.Plan
	store   *store.Store
	config  config.Config
	log     *logged

	mu    sync.Mutex
	shift time.Duration
	// given are codes, states and tickets that went through a browser, none of which may be in the log.
	given []string
}

// logged is a log that many write to.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func open(t *testing.T, tls bool) *front {
	t.Helper()
	f := &front{t: t, plan: faults.NewPlan(1, faults.None), log: &logged{}}
	f.ghl = ghlbox.New(ghlbox.Options{Seed: 1, NoLimits: true, Faults: f.plan})
	require.NoError(t, f.ghl.Start())
	t.Cleanup(f.ghl.Close)
	f.ghl.AddSubAccount(ghlbox.SubAccount{ID: bakery, Name: "Bakery & <b>Sons</b>", CompanyID: guild})
	f.ghl.AddSubAccount(ghlbox.SubAccount{ID: harbour, Name: "Harbour", CompanyID: guild})
	var err error
	f.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "books.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.store.Close()) })
	ring, err := secret.GenerateRing()
	require.NoError(t, err)
	pass := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.handler.ServeHTTP(w, r) })
	if tls {
		f.server = httptest.NewTLSServer(pass)
	} else {
		f.server = httptest.NewServer(pass)
	}
	t.Cleanup(f.server.Close)
	f.config.Secrets.Keys.Ring, f.config.Secrets.AdminToken = ring, adminToken
	f.config.GHL.ClientID, f.config.GHL.ClientSecret = f.ghl.ClientID(), secret.Text(f.ghl.ClientSecret())
	f.config.GHL.RedirectURL = config.LinkURL(f.server.URL + CallbackPath)
	f.config.Sage.PublicKey, f.config.Sage.PrivateKey = "public", "private"
	f.mount(f.ghl.ClientID(), f.ghl.ClientSecret())
	t.Cleanup(f.nothingInTheLog)
	return f
}

// mount makes the handler for an app.
func (f *front) mount(id, key string) {
	app, err := ghl.NewOAuth(ghl.OAuthOptions{
		BaseURL: f.ghl.URL(), AuthorizeURL: f.ghl.AuthorizeURL(), ClientID: id, ClientSecret: key,
		RedirectURL: string(f.config.GHL.RedirectURL), Scopes: ghlbox.KnownScopes(),
	})
	require.NoError(f.t, err)
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.handler, err = New(Options{
		Config: f.config, OAuth: app, Log: log, Now: f.now,
		Installer: connections.NewInstaller(connections.InstallerOptions{
			Config: f.config, Store: f.store, Ring: f.config.Secrets.Keys.Ring, OAuth: app, Log: log,
		}),
	})
	require.NoError(f.t, err)
}

func (f *front) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Add(f.shift)
}

func (f *front) later(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shift += d
}

func (f *front) link() string {
	link, _, err := Link(f.config, f.now())
	require.NoError(f.t, err)
	return link
}

// nothingInTheLog looks for whatever went through a browser, and for the tokens.
func (f *front) nothingInTheLog() {
	text := f.log.String()
	for _, owner := range []string{ghlbox.OwnerOfLocation(bakery), ghlbox.OwnerOfLocation(harbour), ghlbox.OwnerOfCompany(guild)} {
		if pair, ok := f.ghl.LivePair(owner); ok {
			f.given = append(f.given, pair.Access, pair.Refresh)
		}
	}
	f.given = append(f.given, f.ghl.ClientSecret(), "Sons", "<script")
	for _, given := range f.given {
		if given != "" {
			assert.NotContains(f.t, text, given)
			assert.NotContains(f.t, text, url.QueryEscape(given))
		}
	}
}

// browser is a browser with a cookie jar that stops where the test wants to look.
type browser struct {
	*front
	client *http.Client
}

func (f *front) browser() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(f.t, err)
	client := f.server.Client()
	copied := *client
	copied.Jar = jar
	copied.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{front: f, client: &copied}
}

// shown is a page as a browser got it.
type shown struct {
	code int
	head http.Header
	body string
	to   *url.URL
}

func (b *browser) do(method, address string, form url.Values, change ...func(*http.Request)) shown {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(b.t.Context(), method, address, body)
	require.NoError(b.t, err)
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range change {
		c(request)
	}
	response, err := b.client.Do(request)
	require.NoError(b.t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, response.Body.Close())
	s := shown{code: response.StatusCode, head: response.Header, body: string(text)}
	if to := response.Header.Get("Location"); to != "" {
		s.to, err = url.Parse(to)
		require.NoError(b.t, err)
		b.given = append(b.given, s.to.Query().Get("code"), s.to.Query().Get("state"))
	}
	b.given = append(b.given, request.URL.Query().Get("ticket"))
	if strings.HasPrefix(address, b.server.URL) {
		b.harmless(s)
	}
	return s
}

// harmless is what holds for every answer of ours.
func (b *browser) harmless(s shown) {
	b.t.Helper()
	assert.Equal(b.t, "nosniff", s.head.Get("X-Content-Type-Options"))
	assert.Equal(b.t, "no-referrer", s.head.Get("Referrer-Policy"))
	assert.Equal(b.t, "no-store", s.head.Get("Cache-Control"))
	assert.Contains(b.t, s.head.Get("Content-Security-Policy"), "default-src 'none'")
	assert.Contains(b.t, s.head.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	assert.NotContains(b.t, s.head.Get("Content-Security-Policy"), "unsafe")
	assert.NotContains(b.t, strings.ToLower(s.body), "<script")
	assert.NotContains(b.t, s.body, " style=")
	if strings.Contains(s.head.Get("Content-Type"), "html") && s.body != "" && s.to == nil {
		style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(s.body)
		require.Len(b.t, style, 2)
		assert.Contains(b.t, s.head.Get("Content-Security-Policy"), "'sha256-"+hashOf(style[1])+"'", "the browser shows the style")
	}
}

// leave opens a link and returns HighLevel's address, to which it leads.
func (b *browser) leave(link string) string {
	b.t.Helper()
	s := b.do(http.MethodGet, link, nil)
	require.Equal(b.t, http.StatusSeeOther, s.code, s.body)
	return s.to.String()
}

// agree goes through HighLevel's page, and returns the address it sends the browser back to.
func (b *browser) agree(at, auto string) string {
	b.t.Helper()
	s := b.do(http.MethodGet, at+"&auto="+auto, nil)
	require.NotNil(b.t, s.to, "HighLevel says %d: %s", s.code, s.body)
	return s.to.String()
}

func (f *front) row(location string) store.Connection {
	f.t.Helper()
	c, _, err := f.store.Connection(f.t.Context(), location)
	require.NoError(f.t, err)
	return c
}

func (f *front) nothingConnected() {
	f.t.Helper()
	all, _, err := f.store.Connections(f.t.Context(), store.ConnectionFilter{})
	require.NoError(f.t, err)
	assert.Empty(f.t, all)
	tokens, _, err := f.store.Tokens(f.t.Context(), store.Page{})
	require.NoError(f.t, err)
	assert.Empty(f.t, tokens)
}

func TestALocationIsConnectedByClick(t *testing.T) {
	for _, tls := range []bool{false, true} {
		f := open(t, tls)
		b := f.browser()
		s := b.do(http.MethodGet, f.link(), nil)
		require.Equal(t, http.StatusSeeOther, s.code)
		require.Len(t, s.head.Values("Set-Cookie"), 1)
		cookie := s.head.Get("Set-Cookie")
		assert.Contains(t, cookie, "HttpOnly")
		assert.Contains(t, cookie, "SameSite=Lax")
		assert.Contains(t, cookie, "Path=/;")
		assert.Equal(t, tls, strings.Contains(cookie, "; Secure"))
		assert.Equal(t, tls, strings.HasPrefix(cookie, "__Host-"))
		assert.NotContains(t, cookie, s.to.Query().Get("state"), "the state is sealed")
		back := b.agree(s.to.String(), bakery)
		s = b.do(http.MethodGet, back, nil)
		require.Equal(t, http.StatusOK, s.code, s.body)
		assert.Contains(t, s.body, "<h1>Connected</h1>")
		assert.Contains(t, s.body, bakery)
		assert.Contains(t, s.head.Get("Set-Cookie"), "Max-Age=0", "the journey is over")
		assert.Equal(t, store.Active, f.row(bakery).State)

		// Again, as a reload of the page does. The browser has no cookie any more.
		s = b.do(http.MethodGet, back, nil)
		assert.Equal(t, http.StatusBadRequest, s.code)
		assert.Contains(t, f.log.String(), bakery)
	}
}

func TestWhatIsLeftToDoIsSaid(t *testing.T) {
	f := open(t, false)
	b := f.browser()
	_ = b.do(http.MethodGet, b.agree(b.leave(f.link()), bakery), nil)
	s := b.do(http.MethodGet, b.agree(b.leave(f.link()), harbour), nil)
	assert.Equal(t, http.StatusOK, s.code)
	assert.Contains(t, s.body, "starter connect set "+harbour+" --env-file FILE")
	assert.Equal(t, store.Pending, f.row(harbour).State)
}

var formField = regexp.MustCompile(`name="form" value="([^"]+)"`)

// choosing connects an agency and returns the form's token and where it is sent to.
func (b *browser) choosing() (token, to string) {
	b.t.Helper()
	at := b.leave(b.link()) + "&company=" + guild
	back := b.agree(at, "company")
	s := b.do(http.MethodGet, back, nil)
	require.Equal(b.t, http.StatusOK, s.code, s.body)
	found := formField.FindStringSubmatch(s.body)
	require.Len(b.t, found, 2, s.body)
	b.given = append(b.given, found[1])
	action := regexp.MustCompile(`action="([^"]+)"`).FindStringSubmatch(s.body)
	require.Len(b.t, action, 2)
	from, err := url.Parse(back)
	require.NoError(b.t, err)
	relative, err := url.Parse(action[1])
	require.NoError(b.t, err)
	assert.Contains(b.t, s.body, "Bakery &amp; &lt;b&gt;Sons&lt;/b&gt;", "names are text")
	assert.Contains(b.t, strings.Join(s.head.Values("Set-Cookie"), "\n"), "SameSite=Strict")
	return found[1], from.ResolveReference(relative).String()
}

func TestAnAgencyChoosesByClick(t *testing.T) {
	f := open(t, false)
	b := f.browser()
	token, to := b.choosing()
	assert.Equal(t, f.server.URL+ChoosePath, to)
	assert.Equal(t, store.Pending, f.row(bakery).State)

	s := b.do(http.MethodPost, to, url.Values{"form": {token}})
	assert.Equal(t, http.StatusBadRequest, s.code)
	assert.Contains(t, s.body, "No location is ticked")
	s = b.do(http.MethodPost, to, url.Values{"form": {token}, "location": {bakery}})
	assert.Equal(t, http.StatusOK, s.code, s.body)
	assert.Equal(t, store.Active, f.row(bakery).State)
	assert.Equal(t, store.Pending, f.row(harbour).State)
	s = b.do(http.MethodPost, to, url.Values{"form": {token}, "location": {bakery, "elsewhere00000000001"}})
	assert.Equal(t, http.StatusBadRequest, s.code)
	assert.NotContains(t, s.body, "elsewhere")
	assert.Contains(t, s.body, "not installed there")
}

func TestTheFormIsForOneBrowserAndItsAgency(t *testing.T) {
	f := open(t, false)
	b := f.browser()
	token, to := b.choosing()
	want := func(code int, who *browser, form url.Values, change ...func(*http.Request)) {
		t.Helper()
		s := who.do(http.MethodPost, to, form, change...)
		assert.Equal(t, code, s.code, s.body)
		assert.Equal(t, store.Pending, f.row(bakery).State)
	}
	want(http.StatusForbidden, f.browser(), url.Values{"form": {token}, "location": {bakery}})
	want(http.StatusForbidden, b, url.Values{"location": {bakery}})
	want(http.StatusForbidden, b, url.Values{"form": {token[:len(token)-2] + "AA"}, "location": {bakery}})
	want(http.StatusForbidden, b, url.Values{"form": {strings.Repeat("A", 100_000)}, "location": {bakery}})
	ticket, err := url.Parse(f.link())
	require.NoError(t, err)
	want(http.StatusForbidden, b, url.Values{"form": {ticket.Query().Get("ticket")}, "location": {bakery}})
	want(http.StatusForbidden, b, url.Values{"form": {token}, "location": {bakery}}, func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	})
	want(http.StatusForbidden, b, url.Values{"form": {token}, "location": {bakery}}, func(r *http.Request) {
		r.Header.Set("Origin", "https://evil.example")
	})
	want(http.StatusBadRequest, b, url.Values{"form": {token}, "location": {strings.Repeat("x", 2<<20)}})
	// What stands in the address is not the form.
	s := b.do(http.MethodPost, to+"?location="+bakery, url.Values{"form": {token}})
	assert.Equal(t, http.StatusBadRequest, s.code)
	another := b.browser()
	_, _ = another.choosing() // has a cookie of its own
	want(http.StatusForbidden, another, url.Values{"form": {token}, "location": {bakery}})
	f.later(formLife)
	want(http.StatusForbidden, b, url.Values{"form": {token}, "location": {bakery}})
	assert.Equal(t, store.Pending, f.row(bakery).State)
}

func TestOnlyWhoHasALinkIsSentToHighLevel(t *testing.T) {
	f := open(t, false)
	b := f.browser()
	good := f.link()
	ticket := func(value string) string { return f.server.URL + ConnectPath + "?ticket=" + value }
	refused := func(address string, change ...func(*http.Request)) {
		t.Helper()
		s := b.do(http.MethodGet, address, nil, change...)
		assert.GreaterOrEqual(t, s.code, 400)
		assert.Nil(t, s.to)
		assert.Empty(t, s.head.Get("Set-Cookie"))
	}
	refused(f.server.URL + ConnectPath)
	refused(ticket(""))
	refused(ticket("AAAA"))
	refused(good[:len(good)-3] + "AAA")
	refused(good + "&ticket=second")
	refused(ticket(strings.Repeat("A", 7000)))
	refused(ticket(strings.Repeat("A", 12_000)))
	refused(f.server.URL + ConnectPath + "?ticket=%zz")
	refused(f.server.URL+ConnectPath, func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") })
	refused(f.server.URL+ConnectPath, func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") })
	// Slips of other kinds are sealed with the same keys.
	for _, purpose := range []string{forState, forChoice} {
		refused(ticket(sealSlip(f.config.Secrets.Keys.Ring, purpose, slip{Until: f.now().Add(time.Hour)})))
	}
	stranger, err := secret.GenerateRing()
	require.NoError(t, err)
	refused(ticket(sealSlip(stranger, forTicket, slip{Until: f.now().Add(time.Hour)})))

	s := b.do(http.MethodGet, f.server.URL+ConnectPath, nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+adminToken) })
	assert.Equal(t, http.StatusSeeOther, s.code)
	f.later(TicketLife - time.Second)
	_ = b.leave(good)
	f.later(time.Second)
	s = b.do(http.MethodGet, good, nil)
	assert.Equal(t, http.StatusUnauthorized, s.code)
	assert.Contains(t, s.body, "has expired")
	f.config.Secrets.AdminToken = ""
	f.mount(f.ghl.ClientID(), f.ghl.ClientSecret())
	refused(f.server.URL+ConnectPath, func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") })
}

func TestMethods(t *testing.T) {
	f := open(t, false)
	b := f.browser()
	back := b.agree(b.leave(f.link()), bakery)
	for _, method := range []string{http.MethodPost, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
		for _, address := range []string{f.link(), back} {
			s := b.do(method, address, nil)
			assert.Equal(t, http.StatusMethodNotAllowed, s.code)
			assert.Equal(t, http.MethodGet, s.head.Get("Allow"))
			assert.Empty(t, s.head.Get("Set-Cookie"))
		}
	}
	link, err := url.Parse(f.link())
	require.NoError(t, err)
	s := b.do(http.MethodPost, f.server.URL+ConnectPath, link.Query())
	assert.Equal(t, http.StatusMethodNotAllowed, s.code, "a ticket in a form")
	s = b.do(http.MethodGet, f.server.URL+ChoosePath, nil)
	assert.Equal(t, http.StatusMethodNotAllowed, s.code)
	s = b.do(http.MethodGet, f.server.URL+Prefix+"else", nil)
	assert.Equal(t, http.StatusNotFound, s.code)
	f.nothingConnected()
	s = b.do(http.MethodGet, back, nil)
	assert.Equal(t, http.StatusOK, s.code, "none of that has spent the code")
}

func TestNothingOfTheRequestSaysWhereToGo(t *testing.T) {
	f := open(t, false)
	b := f.browser()
	evil := "https%3A%2F%2Fevil.example%2F"
	for _, name := range []string{"next", "redirect_uri", "redirect", "return_to", "url", "client_id", "scope", "state", "response_type"} {
		s := b.do(http.MethodGet, f.link()+"&"+name+"="+evil, nil, func(r *http.Request) {
			r.Host = "evil.example"
			r.Header.Set("X-Forwarded-Host", "evil.example")
			r.Header.Set("Forwarded", "host=evil.example")
		})
		require.Equal(t, http.StatusSeeOther, s.code)
		assert.NotContains(t, s.to.String(), "evil")
		assert.NotContains(t, s.body, "evil")
		assert.True(t, strings.HasPrefix(s.to.String(), f.ghl.AuthorizeURL()+"?"))
		assert.Equal(t, f.server.URL+CallbackPath, s.to.Query().Get("redirect_uri"))
		assert.Equal(t, []string{f.ghl.ClientID()}, s.to.Query()["client_id"])
		assert.Len(t, s.to.Query()["state"], 1)
	}
	back := b.agree(b.leave(f.link()), bakery)
	s := b.do(http.MethodGet, back+"&next="+evil+"&redirect_uri="+evil+"&locationId="+harbour+"&companyId=x", nil)
	assert.Equal(t, http.StatusOK, s.code)
	assert.Nil(t, s.to)
	assert.NotContains(t, s.body, "evil")
	assert.Equal(t, store.Active, f.row(bakery).State)
	assert.Empty(t, f.row(harbour).State, "the location is the token's, whatever the address says")
}

func TestCallbacksThatAreNotOurs(t *testing.T) {
	f := open(t, false)
	victim, attacker := f.browser(), f.browser()
	// The attacker has gone through HighLevel's page and has a victim's browser finish: it was never sent off.
	back := attacker.agree(attacker.leave(f.link()), harbour)
	s := victim.do(http.MethodGet, back, nil)
	assert.Equal(t, http.StatusBadRequest, s.code)
	assert.Contains(t, s.body, "was not sent to HighLevel from here")
	// Or while the victim is on a journey of its own.
	own := victim.leave(f.link())
	s = victim.do(http.MethodGet, back, nil)
	assert.Equal(t, http.StatusBadRequest, s.code)
	assert.Contains(t, s.body, "not the answer to the question")
	f.nothingConnected()
	// Which that does not spoil.
	s = victim.do(http.MethodGet, victim.agree(own, bakery), nil)
	assert.Equal(t, http.StatusOK, s.code)
	assert.Empty(t, f.row(harbour).State)
}

func TestStatesAndCookiesThatAreWrong(t *testing.T) {
	f := open(t, false)
	ring := f.config.Secrets.Keys.Ring
	stranger, err := secret.GenerateRing()
	require.NoError(t, err)
	in := func(d time.Duration) time.Time { return f.now().Add(d) }
	for name, c := range map[string]struct {
		cookies []string
		query   string
	}{
		"no state":                {[]string{sealSlip(ring, forState, slip{State: "s", Until: in(time.Hour)})}, "code=c"},
		"empty state, empty slip": {[]string{sealSlip(ring, forState, slip{Until: in(time.Hour)})}, "code=c&state="},
		"two states":              {[]string{sealSlip(ring, forState, slip{State: "s", Until: in(time.Hour)})}, "code=c&state=s&state=t"},
		"two codes":               {[]string{sealSlip(ring, forState, slip{State: "s", Until: in(time.Hour)})}, "code=c&code=d&state=s"},
		"another state":           {[]string{sealSlip(ring, forState, slip{State: "s", Until: in(time.Hour)})}, "code=c&state=t"},
		"expired":                 {[]string{sealSlip(ring, forState, slip{State: "s", Until: in(-time.Second)})}, "code=c&state=s"},
		"a stranger's seal":       {[]string{sealSlip(stranger, forState, slip{State: "s", Until: in(time.Hour)})}, "code=c&state=s"},
		"sealed for another use":  {[]string{sealSlip(ring, forTicket, slip{State: "s", Until: in(time.Hour)})}, "code=c&state=s"},
		"in the clear":            {[]string{"s"}, "code=c&state=s"},
		"two cookies": {[]string{sealSlip(ring, forState, slip{State: "s", Until: in(time.Hour)}),
			sealSlip(ring, forState, slip{State: "t", Until: in(time.Hour)})}, "code=c&state=s"},
		"no code":        {[]string{sealSlip(ring, forState, slip{State: "s", Until: in(time.Hour)})}, "state=s"},
		"a long cookie":  {[]string{strings.Repeat("A", 4000)}, "code=c&state=s"},
		"a long query":   {[]string{sealSlip(ring, forState, slip{State: "s", Until: in(time.Hour)})}, "state=s&code=" + strings.Repeat("c", 9000)},
		"a broken query": {[]string{sealSlip(ring, forState, slip{State: "s", Until: in(time.Hour)})}, "state=s&code=%zz"},
	} {
		t.Run(name, func(t *testing.T) {
			s := f.browser().do(http.MethodGet, f.server.URL+CallbackPath+"?"+c.query, nil, func(r *http.Request) {
				for _, cookie := range c.cookies {
					r.AddCookie(&http.Cookie{Name: stateCookie, Value: cookie})
				}
			})
			assert.Equal(t, http.StatusBadRequest, s.code)
			assert.Contains(t, s.body, "Nothing was connected")
		})
	}
	assert.Zero(t, f.ghl.CallCount("oauth.token"), "no code was sent to HighLevel")
	f.nothingConnected()
}

// TestACopiedCookieDoesNotMakeTheStateGoodTwice replays a whole request, cookie included.
func TestACopiedCookieDoesNotMakeTheStateGoodTwice(t *testing.T) {
	f := open(t, false)
	b := f.browser()
	at := b.leave(f.link())
	site, err := url.Parse(f.server.URL)
	require.NoError(t, err)
	kept := b.client.Jar.Cookies(site)
	back := b.agree(at, bakery)
	require.Equal(t, http.StatusOK, b.do(http.MethodGet, back, nil).code)
	asked := f.ghl.CallCount("oauth.token")
	s := f.browser().do(http.MethodGet, back, nil, func(r *http.Request) {
		for _, cookie := range kept {
			r.AddCookie(cookie)
		}
	})
	assert.Equal(t, http.StatusBadRequest, s.code)
	assert.Contains(t, s.body, "done already")
	assert.Equal(t, asked, f.ghl.CallCount("oauth.token"))

	// Sixteen at once: one gets through.
	at = b.leave(f.link())
	kept = b.client.Jar.Cookies(site)
	back = b.agree(at, bakery)
	var all sync.WaitGroup
	codes := make(chan int, 16)
	for range cap(codes) {
		all.Go(func() {
			request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, back, nil)
			if !assert.NoError(t, err) {
				return
			}
			for _, cookie := range kept {
				request.AddCookie(cookie)
			}
			response, err := f.server.Client().Do(request)
			if assert.NoError(t, err) {
				codes <- response.StatusCode
				_ = response.Body.Close()
			}
		})
	}
	all.Wait()
	close(codes)
	good := 0
	for code := range codes {
		if code == http.StatusOK {
			good++
		}
	}
	assert.Equal(t, 1, good)
}

func TestAStateExpires(t *testing.T) {
	f := open(t, false)
	b := f.browser()
	back := b.agree(b.leave(f.link()), bakery)
	f.later(stateLife)
	s := b.do(http.MethodGet, back, nil)
	assert.Equal(t, http.StatusBadRequest, s.code)
	assert.Contains(t, s.body, "took too long")
	f.nothingConnected()
	// States that could not come back any more are forgotten.
	require.Equal(t, http.StatusOK, b.do(http.MethodGet, b.agree(b.leave(f.link()), bakery), nil).code)
	f.later(stateLife)
	require.Equal(t, http.StatusOK, b.do(http.MethodGet, b.agree(b.leave(f.link()), harbour), nil).code)
	assert.Len(t, f.handler.used.until, 1)
}

func TestAUserMayDecline(t *testing.T) {
	f := open(t, false)
	b := f.browser()
	s := b.do(http.MethodGet, b.agree(b.leave(f.link()), "deny"), nil)
	assert.Equal(t, http.StatusOK, s.code)
	assert.Contains(t, s.body, "You did not agree")
	f.nothingConnected()
}

func TestAnErrorIsSaidInOurWords(t *testing.T) {
	f := open(t, false)
	b := f.browser()
	state := func() string {
		at, err := url.Parse(b.leave(f.link()))
		require.NoError(t, err)
		return at.Query().Get("state")
	}
	for _, attack := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "javascript:alert(1)", "access_denied<script>"} {
		s := b.do(http.MethodGet, f.server.URL+CallbackPath+"?"+url.Values{
			"state": {state()}, "error": {attack}, "error_description": {attack}, "code": {"c"},
		}.Encode(), nil)
		assert.Equal(t, http.StatusBadRequest, s.code)
		assert.NotContains(t, s.body, "alert")
		assert.Contains(t, s.body, "HighLevel broke off")
		assert.NotContains(t, f.log.String(), "alert")
	}
	assert.Zero(t, f.ghl.CallCount("oauth.token"), "an error is never redeemed")
}

func TestCodesThatAreNoGood(t *testing.T) {
	f := open(t, false)
	b := f.browser()
	// An answer that is lost: the code is spent.
	back := b.agree(b.leave(f.link()), bakery)
	f.plan.Next("oauth.token", faults.Fault{Kind: faults.CutAfter})
	s := b.do(http.MethodGet, back, nil)
	assert.Equal(t, http.StatusBadGateway, s.code)
	assert.Contains(t, s.body, "answer was lost")
	assert.Contains(t, s.body, "starter connect")
	f.nothingConnected()
	assert.Equal(t, 1, f.ghl.CallCount("oauth.token"), "a code is never sent twice")

	// A code made for another app.
	f.ghl.AddClient("feedfeedfeedfeedfeedfeed-other", "its secret")
	at := strings.ReplaceAll(b.leave(f.link()), url.QueryEscape(f.ghl.ClientID()), "feedfeedfeedfeedfeedfeed-other")
	s = b.do(http.MethodGet, b.agree(at, bakery), nil)
	assert.Equal(t, http.StatusBadRequest, s.code)
	assert.Contains(t, s.body, "HighLevel refused the code")
	f.nothingConnected()

	f.mount(f.ghl.ClientID(), "not the secret")
	s = b.do(http.MethodGet, b.agree(b.leave(f.link()), bakery), nil)
	assert.Equal(t, http.StatusBadGateway, s.code)
	assert.Contains(t, s.body, "GHL_CLIENT_SECRET")
	assert.NotContains(t, s.body, "not the secret")
	f.nothingConnected()

	f.mount(f.ghl.ClientID(), f.ghl.ClientSecret())
	f.plan.Next("oauth.installedLocations", faults.Fault{Kind: faults.Status, Status: 503})
	s = b.do(http.MethodGet, b.agree(b.leave(f.link())+"&company="+guild, "company"), nil)
	assert.Equal(t, http.StatusOK, s.code)
	assert.Contains(t, s.body, "starter connect installed --company "+guild)
}

func TestABrowserThatLeavesDoesNotCostTheCode(t *testing.T) {
	f := open(t, false)
	b := f.browser()
	back := b.agree(b.leave(f.link()), bakery)
	ctx, leave := context.WithCancel(t.Context())
	slow := f.handler.installer
	f.handler.installer = leaving{slow, leave}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, back, nil)
	require.NoError(t, err)
	response, err := b.client.Do(request)
	if err == nil {
		_ = response.Body.Close()
	}
	require.Error(t, err)
	require.Eventually(t, func() bool { return f.row(bakery).State == store.Active }, 5*time.Second, 5*time.Millisecond)
}

// leaving has the browser leave while the code is redeemed.
type leaving struct {
	Installer
	leave func()
}

func (l leaving) Connect(ctx context.Context, code string) (connections.Connected, error) {
	l.leave()
	if err := ctx.Err(); err != nil {
		return connections.Connected{}, err
	}
	return l.Installer.Connect(ctx, code)
}

func TestLink(t *testing.T) {
	var cfg config.Config
	_, _, err := Link(cfg, time.Now())
	require.ErrorIs(t, err, connections.ErrNoApp)
	cfg.GHL.ClientID = "app-key"
	_, _, err = Link(cfg, time.Now())
	require.ErrorContains(t, err, "SECRET_KEYS")
	cfg.Secrets.Keys.Ring, err = secret.GenerateRing()
	require.NoError(t, err)
	_, _, err = Link(cfg, time.Now())
	require.ErrorContains(t, err, "PUBLIC_URL")
	cfg.HTTP.Public = "https://tally.example.com/in"
	now := time.Now()
	link, expires, err := Link(cfg, now)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(link, "https://tally.example.com/in"+ConnectPath+"?ticket="))
	assert.Equal(t, now.Add(TicketLife), expires)
	cfg.GHL.RedirectURL = "https://other.example.com" + config.LinkURL(CallbackPath)
	link, _, err = Link(cfg, now)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(link, "https://other.example.com/oauth"), "the cookie must come back with the browser")
	_, err = New(Options{Config: cfg})
	assert.ErrorIs(t, err, connections.ErrNoApp)
}

func FuzzSlip(f *testing.F) {
	ring, err := secret.GenerateRing()
	require.NoError(f, err)
	good := sealSlip(ring, forState, slip{State: "s", Until: time.Now().Add(time.Hour)})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := openSlip(ring, forState, text, time.Now())
		if err == nil && text != good {
			t.Fatal("opened what was never sealed")
		}
		if err != nil && s != (slip{}) {
			t.Fatal("showed what does not count")
		}
		if _, err := json.Marshal(fmt.Sprint(err)); err != nil {
			t.Fatal(err)
		}
	})
}
