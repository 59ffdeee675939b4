package server

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/starter/oauth"
	"github.com/tallystick/tallystick/starter/webhook"
)

// TestALocationComesAndGoes connects a location through the front door as a person does, has HighLevel deliver webhooks
// there, its own and those of others, and takes the app off again.
func TestALocationComesAndGoes(t *testing.T) {
	const location = "bakeLocation00000001"
	highLevel := ghlbox.New(ghlbox.Options{Seed: 1, NoLimits: true})
	require.NoError(t, highLevel.Start())
	t.Cleanup(highLevel.Close)
	highLevel.AddSubAccount(ghlbox.SubAccount{ID: location, Name: "Bakery"})
	books, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "books.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, books.Close()) })
	ring, err := secret.GenerateRing()
	require.NoError(t, err)

	cfg := config.Config{GHL: config.GHL{
		BaseURL: config.BaseURL(highLevel.URL()), AuthorizeURL: config.LinkURL(highLevel.AuthorizeURL()),
		ClientID: highLevel.ClientID(), ClientSecret: secret.Text(highLevel.ClientSecret()),
	}}
	cfg.Secrets.Keys.Ring = ring
	require.NoError(t, cfg.GHL.WebhookPublicKeys.Decode(highLevel.WebhookPublicKey()))
	installer := func() *connections.Installer {
		directory, err := connections.Open(connections.Options{Config: cfg, Store: books, Ring: ring})
		require.NoError(t, err)
		t.Cleanup(directory.Close)
		made := connections.NewInstaller(connections.InstallerOptions{Config: cfg, Store: books, Ring: ring, OAuth: directory.OAuth()})
		t.Cleanup(made.Close)
		return made
	}
	// Where the front door is must be known before what is told of it can be made.
	pages := &struct{ http.Handler }{}
	cfg.HTTP.Public = "http://127.0.0.1:1"
	r := run(t, func(o *Options) {
		directory, err := connections.Open(connections.Options{Config: cfg, Store: books, Ring: ring})
		require.NoError(t, err)
		t.Cleanup(directory.Close)
		o.OAuth = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { pages.ServeHTTP(w, q) })
		o.Webhooks, err = webhook.New(webhook.Options{
			Door: nowhere{}, Keys: webhook.Keys(cfg.GHL.WebhookPublicKeys), Locations: directory, Installs: installer(),
		})
		require.NoError(t, err)
	})
	cfg.HTTP.Public = config.BaseURL(r.base)
	highLevel.SetWebhookURL(r.base)
	i := installer()
	pages.Handler, err = oauth.New(oauth.Options{Config: cfg, OAuth: i.OAuth, Installer: i})
	require.NoError(t, err)
	link, _, err := oauth.Link(cfg, time.Now())
	require.NoError(t, err)

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	consent := visit(t, browser, link)
	assert.Contains(t, consent.body, "Choose a location (sandbox)")
	landed := visit(t, browser, consent.at+"&auto="+location)
	assert.True(t, strings.HasPrefix(landed.at, r.base+oauth.CallbackPath), landed.at)
	assert.Contains(t, landed.body, location)
	state := func() store.ConnectionState {
		c, _, err := books.Connection(t.Context(), location)
		require.NoError(t, err)
		return c.State
	}
	assert.Equal(t, store.Pending, state(), "there is no Sage tenant")

	// A location that does not work yet is known all the same, another is not, and none is heard without a signature.
	for to, code := range map[string]int{location: 200, "elsewhere": 404} {
		d := highLevel.SendRaw(t.Context(), "OrderCreate", []byte(`{"_id":"660ed43bfdf9fc05a0de7a40","locationId":"`+to+`"}`))
		assert.Equal(t, code, d.Status, to)
	}
	d := highLevel.SendRaw(t.Context(), "UNINSTALL", []byte(`{"type":"UNINSTALL","appId":"another","locationId":"`+location+`"}`))
	assert.Equal(t, http.StatusForbidden, d.Status)
	assert.Equal(t, store.Pending, state())
	require.NoError(t, highLevel.Uninstall(location))
	require.Eventually(t, func() bool { return state() == store.Leaving }, 5*time.Second, 5*time.Millisecond)
}

type visited struct{ at, body string }

func visit(t *testing.T, browser *http.Client, address string) visited {
	t.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, address, nil)
	require.NoError(t, err)
	response, err := browser.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	return visited{response.Request.URL.String(), string(body)}
}
