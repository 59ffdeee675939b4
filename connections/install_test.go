package connections

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
)

const (
	bakery, harbour, attic = "bakeLocation00000001", "harbLocation00000002", "atticLocation0000003"
	guild, rival           = "agencyCompany0000001", "rivalCompany00000002"
	comeBack               = "http://127.0.0.1:1/oauth/ghl/callback"
)

// site is an Installer with a real store and HighLevel's sandbox: two locations of one agency, and one of another.
type site struct {
	*Installer
	t     *testing.T
	ghl   *ghlbox.Server
	plan  *faults.Plan
	log   bytes.Buffer
	mu    sync.Mutex
	looks []string
}

func newSite(t *testing.T, change ...func(*InstallerOptions)) *site {
	t.Helper()
	s := &site{t: t, plan: faults.NewPlan(1, faults.None)}
	var err error
	s.ghl = ghlbox.New(ghlbox.Options{
		Seed: 1, NoLimits: true, Faults: s.plan, App: ghlbox.App{RedirectURLs: []string{comeBack}},
	})
	require.NoError(t, s.ghl.Start())
	t.Cleanup(s.ghl.Close)
	for location, company := range map[string]string{bakery: guild, harbour: guild, attic: rival} {
		s.ghl.AddSubAccount(ghlbox.SubAccount{ID: location, Name: "Name of " + location, CompanyID: company})
	}
	ring, err := secret.GenerateRing()
	require.NoError(t, err)
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "books.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	var cfg config.Config
	cfg.Sage.PublicKey, cfg.Sage.PrivateKey = "public", "private"
	o := InstallerOptions{
		Config: cfg, Store: db, Ring: ring, OAuth: s.oauth(s.ghl.ClientID(), s.ghl.ClientSecret()), Actor: "operator",
		Log: slog.New(slog.NewTextHandler(&s.log, nil)),
		Look: func(_ context.Context, location string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.looks = append(s.looks, location)
			return errors.New("Temporal is away, which is no reason to fail")
		},
	}
	for _, c := range change {
		c(&o)
	}
	s.Installer = NewInstaller(o)
	t.Cleanup(s.Close)
	return s
}

// withoutSage takes the environment's tenant away.
func withoutSage(o *InstallerOptions) { o.Config.Sage = config.Sage{} }

func (s *site) oauth(id, key string) *ghl.OAuth {
	o, err := ghl.NewOAuth(ghl.OAuthOptions{
		BaseURL: s.ghl.URL(), AuthorizeURL: s.ghl.AuthorizeURL(), ClientID: id, ClientSecret: key, RedirectURL: comeBack,
		Scopes: ghlbox.KnownScopes(),
	})
	require.NoError(s.t, err)
	return o
}

// code goes through HighLevel's page as a person would who installs on a location, or on an agency.
func (s *site) code(what string, more ...string) string {
	s.t.Helper()
	address := s.OAuth.AuthorizeURL("state") + "&auto=" + what
	for i := 0; i+1 < len(more); i += 2 {
		address += "&" + more[i] + "=" + more[i+1]
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, address, nil)
	require.NoError(s.t, err)
	response, err := client.Do(request)
	require.NoError(s.t, err)
	require.NoError(s.t, response.Body.Close())
	back, err := url.Parse(response.Header.Get("Location"))
	require.NoError(s.t, err)
	require.NotEmpty(s.t, back.Query().Get("code"), "status %d", response.StatusCode)
	return back.Query().Get("code")
}

func (s *site) connect(what string, more ...string) Connected {
	s.t.Helper()
	done, err := s.Connect(s.t.Context(), s.code(what, more...))
	require.NoError(s.t, err)
	return done
}

func (s *site) row(location string) store.Connection {
	s.t.Helper()
	c, _, err := s.Store.Connection(s.t.Context(), location)
	require.NoError(s.t, err)
	return c
}

// force puts a connection into a state as the rest of the system would.
func (s *site) force(location string, state store.ConnectionState, edit ...func(*store.Connection)) store.Connection {
	s.t.Helper()
	c := s.row(location)
	if c.Location = location; c.Access == "" {
		c.Access = store.ByOAuth
	}
	for _, e := range edit {
		e(&c)
	}
	c.State = state
	c, err := s.Store.SaveConnection(s.t.Context(), c)
	require.NoError(s.t, err)
	return c
}

func (s *site) token(owner string) (access string) {
	s.t.Helper()
	row, found, err := s.Store.Token(s.t.Context(), owner)
	require.NoError(s.t, err)
	if !found {
		return ""
	}
	opened, err := s.vault.opened(row)
	require.NoError(s.t, err)
	return opened.access
}

func (s *site) audits(location string) (list []string) {
	s.t.Helper()
	all, _, err := s.Store.AuditLog(s.t.Context(), store.AuditFilter{Location: location})
	require.NoError(s.t, err)
	for _, a := range slices.Backward(all) {
		list = append(list, a.Actor+" "+a.Action+" "+a.Detail)
	}
	return list
}

func TestALocationIsConnectedByItsCode(t *testing.T) {
	s := newSite(t)
	done := s.connect(bakery)
	require.Len(t, done.Connections, 1)
	assert.Nil(t, done.Installed)
	c := done.Connections[0]
	assert.Equal(t, c, s.row(bakery))
	assert.Equal(t, guild, c.Company)
	assert.Equal(t, store.ByOAuth, c.Access)
	assert.Equal(t, store.Active, c.State)
	assert.Equal(t, store.SageOfEnvironment, c.Sage)
	live, ok := s.ghl.LivePair(ghlbox.OwnerOfLocation(bakery))
	require.True(t, ok)
	assert.Equal(t, live.Access, s.token(store.TokenOfLocation(bakery)))
	assert.Contains(t, s.looks, bakery)
	assert.Equal(t, "a browser with the link of starter connect connect pending to active", s.audits(bakery)[1])

	// The tenant is taken now: a second location waits to be told, and the first is as it was.
	c = s.connect(harbour).Connections[0]
	assert.Equal(t, store.Pending, c.State)
	assert.Equal(t, store.SageUndecided, c.Sage)
	assert.Contains(t, c.Note, "starter connect set")
	assert.Equal(t, done.Connections[0], s.row(bakery))
	assert.NotContains(t, s.log.String(), live.Access)
}

func TestAFrontDoorWithoutSagesKeysSaysSo(t *testing.T) {
	s := newSite(t, withoutSage)
	c := s.connect(bakery).Connections[0]
	assert.Equal(t, store.Pending, c.State)
	assert.Contains(t, c.Note, "SAGE_PUBLIC_KEY", "the operator has set it, for the workers")
	c, err := s.Set(t.Context(), bakery, nil, store.SageOfEnvironment)
	require.NoError(t, err)
	assert.Equal(t, store.Active, c.State)
}

func TestWithoutATenantAConnectionIsPending(t *testing.T) {
	s := newSite(t, withoutSage)
	c := s.connect(bakery).Connections[0]
	assert.Equal(t, store.Pending, c.State)
	_, err := s.Resume(t.Context(), bakery, "", "")
	assert.ErrorIs(t, err, ErrNoSage)
	assert.Equal(t, c, s.row(bakery), "and nothing was changed")
}

func TestTheEnvironmentsOwnLocationHasItsTenant(t *testing.T) {
	s := newSite(t, func(o *InstallerOptions) { o.Config.GHL.LocationID, o.Config.GHL.PrivateToken = harbour, "pit" })
	assert.Equal(t, store.Pending, s.connect(bakery).Connections[0].State, "before it is in the store, too")
	assert.Equal(t, store.Active, s.connect(harbour).Connections[0].State)
}

func TestTwoThatClaimATenantAtOnceBothWait(t *testing.T) {
	s := newSite(t)
	s.force(harbour, store.Pending, func(c *store.Connection) { c.Sage = store.SageOfEnvironment }) // it is between its two steps
	assert.Equal(t, store.SageUndecided, s.connect(bakery).Connections[0].Sage)
	// The other one crashed there. Doing it again finds the tenant free.
	assert.Equal(t, store.Active, s.connect(harbour).Connections[0].State)

	s = newSite(t)
	codes := map[string]string{}
	for _, location := range []string{bakery, harbour, attic} {
		codes[location] = s.code(location)
	}
	var all sync.WaitGroup
	for _, location := range []string{bakery, harbour, attic} {
		all.Go(func() {
			_, err := s.Connect(t.Context(), codes[location])
			assert.NoError(t, err)
		})
	}
	all.Wait()
	users := 0
	for _, location := range []string{bakery, harbour, attic} {
		c := s.row(location)
		assert.Equal(t, c.Sage == store.SageOfEnvironment, c.State == store.Active)
		if c.State == store.Active {
			users++
		}
	}
	assert.LessOrEqual(t, users, 1)
}

func TestCodesThatBringNothing(t *testing.T) {
	s := newSite(t)
	spent := s.code(bakery)
	_, err := s.Connect(t.Context(), spent)
	require.NoError(t, err)
	before := s.row(bakery)
	_, err = s.Connect(t.Context(), spent)
	assert.ErrorIs(t, err, ErrCode)
	assert.NotContains(t, err.Error(), spent)
	_, err = s.Connect(t.Context(), "made up")
	assert.ErrorIs(t, err, ErrCode)
	assert.Equal(t, before, s.row(bakery))

	code := s.code(harbour)
	s.plan.Next("oauth.token", faults.Fault{Kind: faults.CutAfter})
	_, err = s.Connect(t.Context(), code)
	require.ErrorIs(t, err, ErrCodeLost)
	assert.NotContains(t, err.Error(), code)
	assert.Empty(t, s.row(harbour).State, "nothing is known of it")
	assert.Equal(t, store.Pending, s.connect(harbour).Connections[0].State, "a new code mends it")

	foreign := s.code(attic)
	s.ghl.AddClient("feedfeedfeedfeedfeedfeed-other", "its secret")
	s.OAuth = s.oauth("feedfeedfeedfeedfeedfeed-other", "its secret")
	_, err = s.Connect(t.Context(), foreign)
	assert.ErrorIs(t, err, ErrCode, "the code of another app")
	s.OAuth = s.oauth(s.ghl.ClientID(), "wrong secret")
	_, err = s.Connect(t.Context(), s.code(attic))
	assert.ErrorIs(t, err, ErrApp)
	s.OAuth = nil
	_, err = s.Connect(t.Context(), "code")
	assert.ErrorIs(t, err, ErrNoApp)
	_, err = s.Offered(t.Context(), guild)
	assert.ErrorIs(t, err, ErrNoApp)
	assert.Empty(t, s.row(attic).State)
}

func TestConnectingAgain(t *testing.T) {
	for state, want := range map[store.ConnectionState]store.ConnectionState{
		store.Active: store.Active, store.Reconnect: store.Active, store.Paused: store.Paused, store.Pending: store.Active,
		store.Leaving: store.Active, store.Retired: store.Active,
	} {
		t.Run(string(state), func(t *testing.T) {
			s := newSite(t)
			s.connect(bakery)
			before := s.force(bakery, state)
			after := s.connect(bakery).Connections[0]
			assert.Equal(t, want, after.State)
			assert.Equal(t, store.SageOfEnvironment, after.Sage)
			assert.False(t, after.ConnectedAt.Before(before.ConnectedAt))
			live, _ := s.ghl.LivePair(ghlbox.OwnerOfLocation(bakery))
			assert.Equal(t, live.Access, s.token(store.TokenOfLocation(bakery)))
		})
	}
	t.Run("retired, and the tenant is another's now", func(t *testing.T) {
		s := newSite(t)
		s.connect(bakery)
		s.force(bakery, store.Retired)
		require.Equal(t, store.Active, s.connect(harbour).Connections[0].State)
		assert.Equal(t, store.Pending, s.connect(bakery).Connections[0].State)
	})
	t.Run("retired with its own tenant, whose keys are deleted", func(t *testing.T) {
		s := newSite(t, withoutSage)
		s.connect(bakery)
		own := ownSettings("")
		_, err := s.Set(t.Context(), bakery, &own, "")
		require.NoError(t, err)
		s.force(bakery, store.Reconnect)
		require.Equal(t, store.Active, s.connect(bakery).Connections[0].State, "with its former settings")
		s.force(bakery, store.Retired)
		assert.Equal(t, store.Pending, s.connect(bakery).Connections[0].State)
	})
}

// TestARetirementInBetweenDoesNotCostTheGrant retires the connection after the grant was kept and before the row is.
func TestARetirementInBetweenDoesNotCostTheGrant(t *testing.T) {
	var s *site
	var once sync.Once
	armed := false
	s = newSite(t, func(o *InstallerOptions) {
		o.Now = func() time.Time {
			if armed {
				once.Do(func() { s.force(bakery, store.Retired) })
			}
			return time.Now()
		}
	})
	s.connect(bakery)
	s.force(bakery, store.Leaving)
	code := s.code(bakery)
	armed = true
	done, err := s.Connect(t.Context(), code)
	require.NoError(t, err)
	assert.Equal(t, store.Active, done.Connections[0].State)
	assert.NotEmpty(t, s.token(store.TokenOfLocation(bakery)))
}

func TestAnAgencyChoosesItsLocations(t *testing.T) {
	s := newSite(t)
	done := s.connect("company", "company", guild)
	assert.Equal(t, guild, done.Company)
	require.Len(t, done.Installed, 2)
	for _, location := range []string{bakery, harbour} {
		c := s.row(location)
		assert.Equal(t, store.Pending, c.State)
		assert.Equal(t, store.ByAgency, c.Access)
		assert.Equal(t, "Name of "+location, c.Name)
		assert.Contains(t, c.Note, "starter connect choose")
	}
	assert.Empty(t, s.looks, "nothing has to follow what is only offered")

	before := s.row(bakery)
	_, err := s.Choose(t.Context(), guild, []string{bakery, attic})
	require.ErrorIs(t, err, ErrNotOffered)
	_, err = s.Choose(t.Context(), guild, []string{bakery, "../" + harbour})
	require.ErrorIs(t, err, ErrNotOffered)
	assert.NotContains(t, err.Error(), "..")
	_, err = s.Choose(t.Context(), rival, []string{attic})
	require.ErrorIs(t, err, ErrUnknown)
	assert.Equal(t, before, s.row(bakery), "all or none")
	assert.Empty(t, s.row(attic).State)

	chosen, err := s.Choose(t.Context(), guild, []string{bakery, bakery})
	require.NoError(t, err)
	require.Len(t, chosen, 1)
	assert.Equal(t, store.Active, chosen[0].State)
	assert.Equal(t, store.Pending, s.row(harbour).State)
	// The token of the agency opens it.
	access, err := s.vault.ofLocation(bakery).Token(t.Context())
	require.NoError(t, err)
	live, _ := s.ghl.LivePair(ghlbox.OwnerOfLocation(bakery))
	assert.Equal(t, live.Access, access)
	again, err := s.Choose(t.Context(), guild, []string{bakery})
	require.NoError(t, err)
	assert.Equal(t, chosen, again, "what works is left as it is")
}

func TestOfSeveralNoneTakesTheEnvironmentsTenant(t *testing.T) {
	s := newSite(t)
	s.connect("company", "company", guild)
	chosen, err := s.Choose(t.Context(), guild, []string{bakery, harbour})
	require.NoError(t, err)
	for _, c := range chosen {
		assert.Equal(t, store.Pending, c.State)
		assert.Equal(t, store.SageUndecided, c.Sage)
	}
}

func TestTheGrantOfOneAgencyTakesNothingFromAnother(t *testing.T) {
	s := newSite(t)
	s.connect("company", "company", guild)
	s.force(bakery, store.Active, func(c *store.Connection) { c.Company = rival })
	_, err := s.Choose(t.Context(), guild, []string{bakery})
	assert.ErrorIs(t, err, ErrMismatch)
	// Nor does the grant of a location touch another's row or token.
	before, token := s.row(bakery), s.token(store.TokenOfLocation(bakery))
	s.connect(harbour)
	assert.Equal(t, before, s.row(bakery))
	assert.Equal(t, token, s.token(store.TokenOfLocation(bakery)))
}

func TestAnAgencyThatConnectsAgainRevivesItsLocations(t *testing.T) {
	s := newSite(t)
	s.connect("company", "company", guild)
	_, err := s.Choose(t.Context(), guild, []string{bakery})
	require.NoError(t, err)
	before := s.force(bakery, store.Reconnect)
	s.force(harbour, store.Retired)
	done := s.connect("company", "company", guild)
	assert.Equal(t, store.Active, s.row(bakery).State)
	assert.True(t, s.row(bakery).ConnectedAt.After(before.ConnectedAt))
	before = s.row(bakery)
	s.connect("company", "company", guild)
	assert.Greater(t, s.row(bakery).Version, before.Version, "what read it before cannot report it as lost")
	assert.Equal(t, store.Retired, s.row(harbour).State, "what was removed is not offered again by itself")
	assert.Len(t, done.Connections, 2)
}

func TestAnAgencysListMayFail(t *testing.T) {
	s := newSite(t)
	code := s.code("company", "company", guild)
	s.plan.Next("oauth.installedLocations", faults.Fault{Kind: faults.Status, Status: 500})
	done, err := s.Connect(t.Context(), code)
	require.ErrorIs(t, err, ErrNoList)
	assert.Equal(t, guild, done.Company)
	list, err := s.Offered(t.Context(), guild)
	require.NoError(t, err)
	assert.Len(t, list, 2)

	// Hours later its access token is refused, and renewed.
	row, _, err := s.Store.Token(t.Context(), store.TokenOfCompany(guild))
	require.NoError(t, err)
	row.RefreshedAt = row.RefreshedAt.Add(-time.Hour)
	_, err = s.Store.PutToken(t.Context(), row)
	require.NoError(t, err)
	s.ghl.ExpireAccess(ghlbox.OwnerOfCompany(guild))
	list, err = s.Offered(t.Context(), guild)
	require.NoError(t, err)
	assert.Len(t, list, 2)
	assert.Equal(t, 1, s.ghl.Refreshes(ghlbox.OwnerOfCompany(guild)))
}

func (s *site) event(location, company string) Event {
	return Event{AppID: s.ghl.AppID(), Location: location, Company: company, At: time.Now()}
}

func TestUninstalled(t *testing.T) {
	s := newSite(t)
	s.connect(bakery)
	e := s.event(bakery, "")
	e.AppID = "another"
	require.ErrorIs(t, s.Uninstalled(t.Context(), e), ErrOtherApp)
	e = s.event(bakery, "")
	e.At = s.row(bakery).ConnectedAt.Add(-time.Second)
	require.NoError(t, s.Uninstalled(t.Context(), e))
	assert.Equal(t, store.Active, s.row(bakery).State, "a replay from before it was connected")
	require.ErrorIs(t, s.Uninstalled(t.Context(), s.event(bakery, rival)), ErrMismatch)
	require.NoError(t, s.Uninstalled(t.Context(), s.event(attic, "")), "never connected")
	require.NoError(t, s.Uninstalled(t.Context(), s.event(bakery, "")))
	c := s.row(bakery)
	assert.Equal(t, store.Leaving, c.State)
	assert.NotEmpty(t, s.token(store.TokenOfLocation(bakery)), "secrets go after the schedules")
	require.NoError(t, s.Uninstalled(t.Context(), s.event(bakery, "")))
	assert.Equal(t, c, s.row(bakery), "once is enough")
	assert.Equal(t, "HighLevel uninstall active to leaving: the app was uninstalled in HighLevel", s.audits(bakery)[2])

	_, err := s.Add(t.Context(), harbour, ownSettings("pit-secret"))
	require.NoError(t, err)
	require.NoError(t, s.Uninstalled(t.Context(), s.event(harbour, "")))
	assert.Equal(t, store.Active, s.row(harbour).State, "a private token is not the app's")
	s.OAuth = nil
	assert.ErrorIs(t, s.Uninstalled(t.Context(), e), ErrNoApp)
	assert.ErrorIs(t, s.Installed(t.Context(), e), ErrNoApp)
}

func TestAnAgencyUninstalls(t *testing.T) {
	s := newSite(t)
	s.connect("company", "company", guild)
	_, err := s.Choose(t.Context(), guild, []string{bakery})
	require.NoError(t, err)
	old := s.event("", guild)
	old.At = old.At.Add(-time.Hour)
	require.NoError(t, s.Uninstalled(t.Context(), old))
	assert.Equal(t, store.Active, s.row(bakery).State)
	assert.NotEmpty(t, s.token(store.TokenOfCompany(guild)))
	s.looks = nil
	s.quiet.Store(0)
	require.NoError(t, s.Uninstalled(t.Context(), s.event("", guild)))
	assert.Len(t, s.looks, 1, "while Temporal is away it is not asked for each location")
	assert.Equal(t, store.Leaving, s.row(bakery).State)
	assert.Equal(t, store.Leaving, s.row(harbour).State)
	assert.Empty(t, s.token(store.TokenOfCompany(guild)))
}

func TestInstalled(t *testing.T) {
	s := newSite(t)
	require.NoError(t, s.Installed(t.Context(), s.event(bakery, guild)))
	assert.Empty(t, s.row(bakery).State, "without a grant there is nothing to connect with")
	s.connect("company", "company", guild, "locations", bakery)
	require.NoError(t, s.Installed(t.Context(), s.event(harbour, guild)))
	assert.Equal(t, store.Pending, s.row(harbour).State, "to be chosen")
	e := s.event(attic, guild)
	e.AppID = "another"
	require.ErrorIs(t, s.Installed(t.Context(), e), ErrOtherApp)
	assert.Empty(t, s.row(attic).State)

	_, err := s.Choose(t.Context(), guild, []string{bakery})
	require.NoError(t, err)
	require.ErrorIs(t, s.Installed(t.Context(), s.event(bakery, rival)), ErrMismatch)
	s.force(bakery, store.Reconnect)
	require.NoError(t, s.Installed(t.Context(), s.event(bakery, guild)))
	assert.Equal(t, store.Active, s.row(bakery).State)

	gone := s.force(bakery, store.Retired)
	for _, at := range []time.Time{{}, gone.StateAt.Add(-time.Second)} {
		e := s.event(bakery, guild)
		e.At = at
		require.NoError(t, s.Installed(t.Context(), e))
		assert.Equal(t, store.Retired, s.row(bakery).State, "no replay brings back what was removed")
	}
	require.NoError(t, s.Installed(t.Context(), s.event(bakery, guild)))
	assert.Equal(t, store.Active, s.row(bakery).State, "its tenant is still decided")
	s.force(harbour, store.Retired)
	require.NoError(t, s.Installed(t.Context(), s.event(harbour, guild)))
	assert.Equal(t, store.Pending, s.row(harbour).State, "it never had one")
	require.NoError(t, s.Installed(t.Context(), s.event("", guild)))
	assert.ErrorIs(t, s.Installed(t.Context(), s.event("a/b", guild)), ErrMismatch)
}

// TestAnUninstallThatComesAfterTheNextInstallChangesNothing: HighLevel delivers an event again that was not taken in at
// once, and meanwhile others come.
func TestAnUninstallThatComesAfterTheNextInstallChangesNothing(t *testing.T) {
	s := newSite(t)
	s.connect("company", "company", guild)
	_, err := s.Choose(t.Context(), guild, []string{bakery})
	require.NoError(t, err)
	uninstall, install := s.event(bakery, guild), s.event(bakery, guild)
	uninstall.At, install.At = uninstall.At.Add(time.Second), install.At.Add(2*time.Second)
	require.NoError(t, s.Installed(t.Context(), install))
	version := s.row(bakery).Version
	require.NoError(t, s.Installed(t.Context(), install))
	assert.Equal(t, version, s.row(bakery).Version, "once is enough")
	require.NoError(t, s.Uninstalled(t.Context(), uninstall))
	assert.Equal(t, store.Active, s.row(bakery).State)

	uninstall.At = install.At.Add(time.Second)
	require.NoError(t, s.Uninstalled(t.Context(), uninstall))
	assert.Equal(t, store.Leaving, s.row(bakery).State)
}

// TestChangesAtOnceAreAllMade lets many change one connection: each change is made on what the others wrote.
func TestChangesAtOnceAreAllMade(t *testing.T) {
	s := newSite(t)
	s.connect(bakery)
	before := s.row(bakery)
	var all sync.WaitGroup
	const people = 4
	for n := range people {
		all.Go(func() {
			_, err := s.change(t.Context(), bakery, act{"person", "edit"}, func(c *store.Connection) error {
				c.Name += fmt.Sprint(n)
				return nil
			})
			assert.NoError(t, err)
		})
	}
	all.Wait()
	after := s.row(bakery)
	assert.Len(t, after.Name, len(before.Name)+people)
	assert.Equal(t, before.Version+people, after.Version)
}
