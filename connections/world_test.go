package connections

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/internal/testkit/postgres"
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
)

// patience is how long a fact is waited for on a busy machine before the test gives up.
const patience = 3 * time.Minute

// jwtHead begins every token that the sandbox gives out.
const jwtHead = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

// bench is both vendors as sandbox servers with a database, and what processes are made of.
type bench struct {
	t      *testing.T
	faults *faults.Plan
	ghl    *ghlbox.Server
	sage   *sagebox.Server
	config config.Config
	ring   *secret.Ring
	// url is the database's, books an open store on it.
	url   string
	books *store.Store
	log   *safeBuffer
}

func sqliteURL(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "tallystick.db") }

// onBoth runs a test on both databases.
func onBoth(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, sqliteURL(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, postgres.Start(t).URL(t)) })
}

func newBench(t *testing.T, url string, life ghlbox.OAuthOptions) *bench {
	t.Helper()
	b := &bench{t: t, url: url, faults: faults.NewPlan(1, faults.None), log: &safeBuffer{}}
	b.ghl = ghlbox.New(ghlbox.Options{NoLimits: true, Faults: b.faults, OAuth: life})
	b.sage = sagebox.New(sagebox.Options{Faults: b.faults})
	require.NoError(t, b.ghl.Start())
	require.NoError(t, b.sage.Start())
	t.Cleanup(b.ghl.Close)
	t.Cleanup(b.sage.Close)
	var err error
	b.ring, err = secret.GenerateRing()
	require.NoError(t, err)
	b.books = b.openStore()
	b.config = appConfig(b.ghl.URL())
	public, private := b.sage.Keys()
	b.config.Sage = config.Sage{
		BaseURL: config.BaseURL(b.sage.URL()), PublicKey: secret.Text(public), PrivateKey: secret.Text(private), ExtraFieldPrefix: "Z_",
	}
	b.config.Process = config.Process{ConcurrentGHL: 200, ConcurrentSage: 200}
	t.Cleanup(func() { require.NotContains(t, b.log.String(), jwtHead, "no token is in the log") })
	return b
}

// appConfig is a process of the sandbox's app without a limit of calls.
func appConfig(url string) config.Config {
	return config.Config{GHL: config.GHL{
		BaseURL: config.BaseURL(url), ClientID: ghlbox.DefaultClientID, ClientSecret: ghlbox.DefaultClientSecret,
		AuthorizeURL: config.LinkURL(url + ghlbox.ConsentPath), RedirectURL: "http://127.0.0.1:8088/oauth/ghl/callback",
	}}
}

func (b *bench) openStore() *store.Store {
	b.t.Helper()
	s, err := store.Open(b.t.Context(), b.url)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, s.Close()) })
	return s
}

// process is a directory with a store of its own, as another process has it.
func (b *bench) process(change ...func(*Options)) *Directory {
	b.t.Helper()
	o := Options{
		Config: b.config, Store: b.openStore(), Ring: b.ring,
		Watch: Watch{Logger: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))},
	}
	for _, f := range change {
		f(&o)
	}
	d, err := Open(o)
	require.NoError(b.t, err)
	b.t.Cleanup(d.Close)
	return d
}

// install has a location install the app, keeps the grant, and makes the connection work.
func (b *bench) install(location string) store.Connection {
	b.t.Helper()
	pair, err := b.ghl.Install(location)
	require.NoError(b.t, err)
	b.keep(store.TokenOfLocation(location), pair)
	return b.save(location, store.Active, func(c *store.Connection) { c.Access, c.Sage = store.ByOAuth, store.SageOfEnvironment })
}

// keep stores a grant as if it had been given a minute ago: one that is new is not renewed, whatever becomes of it.
func (b *bench) keep(owner string, pair ghlbox.Pair) {
	b.t.Helper()
	row, err := sealToken(b.ring, owner, token{
		access: pair.Access, refresh: pair.Refresh, since: time.Now().Add(-time.Minute), expires: pair.Expires,
	})
	require.NoError(b.t, err)
	_, err = b.books.PutToken(b.t.Context(), row)
	require.NoError(b.t, err)
}

// save changes the connection of a location as an operator would, or makes it.
func (b *bench) save(location string, state store.ConnectionState, change func(*store.Connection)) store.Connection {
	b.t.Helper()
	for {
		c, _, err := b.books.Connection(b.t.Context(), location)
		require.NoError(b.t, err)
		c.Location, c.State = location, state
		if change != nil {
			change(&c)
		}
		c, err = b.books.SaveConnection(b.t.Context(), c)
		if !errors.Is(err, store.ErrChanged) {
			require.NoError(b.t, err)
			return c
		}
	}
}

func (b *bench) connection(location string) store.Connection {
	b.t.Helper()
	c, found, err := b.books.Connection(b.t.Context(), location)
	require.NoError(b.t, err)
	require.True(b.t, found)
	return c
}

func (b *bench) token(owner string) store.Token {
	b.t.Helper()
	row, _, err := b.books.Token(b.t.Context(), owner)
	require.NoError(b.t, err)
	return row
}

// read is a call to HighLevel as a step makes it.
func read(ctx context.Context, d *Directory, location string) error {
	client, err := d.GHL(ctx, location)
	if err != nil {
		return err
	}
	_, err = client.Orders.Page(ctx, ghl.OrderFilter{}, ghl.Cursor{})
	return err
}

// kindOf is the kind of a fault, empty for an error that is none.
func kindOf(err error) activities.Kind {
	var f *activities.Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return ""
}

// eventually waits for a fact.
func eventually(t *testing.T, what string, fact func() bool) {
	t.Helper()
	require.Eventually(t, fact, patience, 20*time.Millisecond, what)
}

// safeBuffer is a log that many write to.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *safeBuffer) count(words string) int { return strings.Count(b.String(), words) }
