package store_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/internal/store"
)

func connection(location string) store.Connection {
	return store.Connection{
		Location: location, Name: "Studio Ü", Company: "agency", Access: store.ByOAuth, State: store.Active,
		Note: "connected", Sage: store.SageOfItsOwn, Settings: store.Sealed{KeyID: "k1", Text: "sealed settings"},
		ConnectedAt: kept(monday),
	}
}

func saved(t *testing.T, s *store.Store, c store.Connection) store.Connection {
	t.Helper()
	got, err := s.SaveConnection(t.Context(), c)
	require.NoError(t, err)
	read, found, err := s.Connection(t.Context(), c.Location)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, read, got, "what is returned is what is kept")
	return got
}

func testConnections(t *testing.T, s *store.Store) {
	ctx := t.Context()
	_, found, err := s.Connection(ctx, here)
	require.NoError(t, err)
	require.False(t, found)

	before := time.Now().Truncate(time.Microsecond)
	c := saved(t, s, connection(here))
	want := connection(here)
	want.Version, want.StateAt = 1, c.StateAt
	require.Equal(t, want, c)
	require.False(t, c.StateAt.Before(before))
	_, err = s.SaveConnection(ctx, connection(here))
	require.ErrorIs(t, err, store.ErrChanged, "a row that exists is not made again")

	c.Note, c.StateAt, c.Told, c.Settled = "renamed", monday, true, 99
	want.Note, want.Version = "renamed", 2
	require.Equal(t, want, saved(t, s, c), "state and what follows from it are the store's to keep")

	for _, version := range []int64{1, 3} {
		stale := want
		stale.Version = version
		_, err = s.SaveConnection(ctx, stale)
		require.ErrorIs(t, err, store.ErrChanged)
	}
	absent := connection(there)
	absent.Version = 1
	_, err = s.SaveConnection(ctx, absent)
	require.ErrorIs(t, err, store.ErrChanged)

	fresh := connection(there)
	fresh.ConnectedAt, fresh.Settings = time.Time{}, store.Sealed{}
	fresh = saved(t, s, fresh)
	require.False(t, fresh.ConnectedAt.Before(before), "connected now")
	require.True(t, fresh.Settings.IsZero())
}

func testConnectionRefused(t *testing.T, s *store.Store) {
	for name, change := range map[string]func(*store.Connection){
		"location":          func(c *store.Connection) { c.Location = "" },
		"state":             func(c *store.Connection) { c.State = "asleep" },
		"access":            func(c *store.Connection) { c.Access = "" },
		"sage":              func(c *store.Connection) { c.Sage = "mine" },
		"settings, no key":  func(c *store.Connection) { c.Settings.KeyID = "" },
		"settings, no text": func(c *store.Connection) { c.Settings.Text = "" },
	} {
		c := connection(here)
		change(&c)
		_, err := s.SaveConnection(t.Context(), c)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "sealed settings", name)
	}
	all, _, err := s.Connections(t.Context(), store.ConnectionFilter{})
	require.NoError(t, err)
	require.Empty(t, all)
}

func testConnectionList(t *testing.T, s *store.Store) {
	for i := range 7 {
		c := connection(fmt.Sprint(i))
		c.ConnectedAt = monday.Add(time.Duration(i/2) * time.Hour) // pairs share a time
		if i%3 == 0 {
			c.State, c.Company = store.Paused, "other"
		}
		c = saved(t, s, c)
		if i < 4 {
			require.NoError(t, s.SettleConnection(t.Context(), c.Location, c.Version))
		}
	}
	list := func(f store.ConnectionFilter) (locations []string) {
		for {
			page, next, err := s.Connections(t.Context(), f)
			require.NoError(t, err)
			for _, c := range page {
				locations = append(locations, c.Location)
			}
			if next == "" {
				return locations
			}
			f.After = next
		}
	}
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6"}, list(store.ConnectionFilter{Page: store.Page{Limit: 2}}))
	require.Equal(t, []string{"0", "3", "6"}, list(store.ConnectionFilter{State: store.Paused, Page: store.Page{Limit: 1}}))
	require.Equal(t, []string{"1", "2", "4", "5"}, list(store.ConnectionFilter{Company: "agency"}))
	require.Equal(t, []string{"4", "5", "6"}, list(store.ConnectionFilter{Unsettled: true}))
	_, _, err := s.Connections(t.Context(), store.ConnectionFilter{Page: store.Page{After: "nonsense"}})
	require.Error(t, err)
}

func testSettle(t *testing.T, s *store.Store) {
	settled := func(version int64) int64 {
		require.NoError(t, s.SettleConnection(t.Context(), here, version))
		c, _, err := s.Connection(t.Context(), here)
		require.NoError(t, err)
		return c.Settled
	}
	require.Zero(t, settled(1), "no connection, no error")
	c := saved(t, s, connection(here))
	c = saved(t, s, c)
	require.EqualValues(t, 1, settled(1))
	require.EqualValues(t, 1, settled(3), "a version that is not reached yet cannot have been followed")
	require.EqualValues(t, 2, settled(2))
	require.EqualValues(t, 2, settled(1), "never back")
	require.EqualValues(t, 2, c.Version, "settling is no change")
	require.EqualValues(t, 2, saved(t, s, c).Settled, "and saving does not settle")
}

func testTold(t *testing.T, s *store.Store) {
	ctx := t.Context()
	require.ErrorIs(t, s.MarkTold(ctx, here, 1), store.ErrChanged)
	c := saved(t, s, connection(here))
	require.ErrorIs(t, s.MarkTold(ctx, here, c.Version+1), store.ErrChanged)
	seen := c.Version
	c.Note = "another note"
	c = saved(t, s, c)
	require.NoError(t, s.MarkTold(ctx, here, seen), "the state is the one that was told of, whatever else changed")
	require.NoError(t, s.MarkTold(ctx, here, seen), "telling again is no error")
	c = saved(t, s, c)
	require.True(t, c.Told)
	require.EqualValues(t, 3, c.Version)

	since := c.StateAt
	c.State = store.Reconnect
	c = saved(t, s, c)
	require.False(t, c.Told, "another state is to be told of")
	require.True(t, c.StateAt.After(since))
	require.ErrorIs(t, s.MarkTold(ctx, here, c.Version-1), store.ErrChanged)
	c, _, err := s.Connection(ctx, here)
	require.NoError(t, err)
	require.False(t, c.Told)
	require.NoError(t, s.MarkTold(ctx, here, c.Version))
}

// testSecretsGo looks at the rows themselves: what is forgotten or retired keeps no sealed value.
func testSecretsGo(t *testing.T, address string) {
	s, ctx := open(t, address), t.Context()
	const planted = "PlantedSealedText"
	sealed := store.Sealed{KeyID: "planted-key", Text: planted}
	for _, location := range []string{"forgotten", "retired", "kept"} {
		c := connection(location)
		c.Settings = sealed
		saved(t, s, c)
		for _, owner := range []string{store.TokenOfLocation(location), store.TokenOfCompany(location)} {
			_, err := s.PutToken(ctx, store.Token{Owner: owner, Pair: sealed, Scopes: "planted.scope"})
			require.NoError(t, err)
		}
	}
	stale, _, err := s.Connection(ctx, "forgotten")
	require.NoError(t, err)
	require.NoError(t, s.SettleConnection(ctx, "forgotten", stale.Version))
	require.NoError(t, s.ForgetConnection(ctx, "forgotten"))
	_, err = s.SaveConnection(ctx, stale)
	require.ErrorIs(t, err, store.ErrChanged, "whoever read the settings cannot write them back")
	after, _, err := s.Connection(ctx, "forgotten")
	require.NoError(t, err)
	require.Equal(t, store.Active, after.State)
	require.Equal(t, after.Version, after.Settled, "there is nothing to follow")
	require.NoError(t, s.ForgetConnection(ctx, "forgotten"))
	again, _, err := s.Connection(ctx, "forgotten")
	require.NoError(t, err)
	require.Equal(t, after, again, "what is forgotten cannot be forgotten more")
	require.NoError(t, s.ForgetConnection(ctx, "never there"))

	retired, _, err := s.Connection(ctx, "retired")
	require.NoError(t, err)
	retired.State = store.Retired
	saved(t, s, retired) // with its settings still in hand

	for _, location := range []string{"forgotten", "retired"} {
		require.NoError(t, s.DeleteToken(ctx, store.TokenOfCompany(location)))
		require.NoError(t, s.DeleteToken(ctx, store.TokenOfCompany(location)), "deleting again is no error")
		for _, row := range []string{
			rowText(t, address, "connections", "location", location),
			rowText(t, address, "tokens", "owner", store.TokenOfLocation(location)),
			rowText(t, address, "tokens", "owner", store.TokenOfCompany(location)),
		} {
			require.Contains(t, row, location)
			require.NotContains(t, row, "lanted", row)
		}
	}
	require.Contains(t, rowText(t, address, "connections", "location", "kept"), planted)
	require.Contains(t, rowText(t, address, "tokens", "owner", store.TokenOfLocation("kept")), planted)
	counts, err := s.SealedByKey(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"planted-key": 3}, counts)
}

// testConnectionRace lets many change one connection through two stores: no change is lost.
func testConnectionRace(t *testing.T, address string) {
	stores := []*store.Store{open(t, address), open(t, address)}
	const writers, rounds = 12, 10
	var made, refused atomic.Int32
	var group errgroup.Group
	for w := range writers {
		s := stores[w%len(stores)]
		group.Go(func() error {
			fresh := connection(here)
			fresh.Note = ""
			switch _, err := s.SaveConnection(t.Context(), fresh); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, store.ErrChanged):
				return err
			}
			for done := 0; done < rounds; {
				c, _, err := s.Connection(t.Context(), here)
				if err != nil {
					return err
				}
				c.Note += "x"
				switch _, err := s.SaveConnection(t.Context(), c); {
				case err == nil:
					done++
				case errors.Is(err, store.ErrChanged):
					refused.Add(1)
				default:
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 1, made.Load(), "one made the row")
	c, _, err := stores[0].Connection(t.Context(), here)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("x", writers*rounds), c.Note, "no change was lost")
	require.EqualValues(t, 1+writers*rounds, c.Version)
	require.Positive(t, refused.Load(), "the writers met")
}

// testUpgrade opens a database that the first release made.
func testUpgrade(t *testing.T, address string) {
	ctx := t.Context()
	old := open(t, address, store.WithoutMigrations())
	migrateTo(t, address, 1)
	recordedBefore(t, address, record("o1"))
	require.NoError(t, old.Decide(ctx, store.Decision{Location: here, OrderID: "o1", SageID: 7, DecidedAt: kept(monday), Actor: "support"}))
	_, _, err := old.Connection(ctx, here)
	require.Error(t, err, "it knows no connections")

	s := open(t, address)
	check := func() {
		t.Helper()
		got, found, err := s.Order(ctx, here, "o1")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, record("o1"), got)
		_, found, err = s.Decision(ctx, here, "o1")
		require.NoError(t, err)
		require.True(t, found)
	}
	check()
	saved(t, s, connection(here))
	_, err = s.PutToken(ctx, token(here, "pair"))
	require.NoError(t, err)

	migrateTo(t, address, 1) // and back
	_, _, err = s.Connection(ctx, here)
	require.Error(t, err)
	check()
	done, err := s.Migrate(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, done)
	_, found, err := s.Connection(ctx, here)
	require.NoError(t, err)
	require.False(t, found)
}

// migrateTo brings a database to a version, up or down.
func migrateTo(t *testing.T, address string, version int64) {
	t.Helper()
	dialect := goose.DialectSQLite3
	if strings.HasPrefix(address, "postgres") {
		dialect = goose.DialectPostgres
	}
	p, err := goose.NewProvider(dialect, raw(t, address), os.DirFS("migrations"), goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	current, _, err := p.GetVersions(t.Context())
	require.NoError(t, err)
	if current > version {
		_, err = p.DownTo(t.Context(), version)
	} else {
		_, err = p.UpTo(t.Context(), version)
	}
	require.NoError(t, err)
}

// recordedBefore is an order that a program recorded which knew no products of orders.
func recordedBefore(t *testing.T, address string, rec store.OrderRecord) {
	t.Helper()
	lines, err := json.Marshal(rec.Lines)
	require.NoError(t, err)
	_, err = raw(t, address).Exec(`INSERT INTO orders (location, order_id, sage_id, adopted, as_of, digest, state, currency, total, paid,
		refunded, lines, brought_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		rec.Location, rec.OrderID, rec.SageID, rec.Adopted, rec.AsOf.UnixMicro(), rec.Digest, string(rec.State), string(rec.Total.Currency),
		rec.Total.Minor, rec.Paid.Minor, rec.Refunded.Minor, string(lines), rec.BroughtAt.UnixMicro())
	require.NoError(t, err)
}

// raw opens the database behind the store's back.
func raw(t *testing.T, address string) *sql.DB {
	t.Helper()
	driver, name := "pgx", address
	if path, found := strings.CutPrefix(address, "sqlite:"); found {
		driver, name = "sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "_busy_timeout=15000"}).String()
	}
	db, err := sql.Open(driver, name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// rowText is every column of a row.
func rowText(t *testing.T, address, table, column, key string) string {
	t.Helper()
	rows, err := raw(t, address).Query("SELECT * FROM "+table+" WHERE "+column+" = $1", key)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	require.True(t, rows.Next(), "the row of %s is still there", key)
	columns, err := rows.Columns()
	require.NoError(t, err)
	values := make([]any, len(columns))
	for i := range values {
		values[i] = new(any)
	}
	require.NoError(t, rows.Scan(values...))
	var text strings.Builder
	for i, v := range values {
		fmt.Fprintf(&text, "%s=%v ", columns[i], *(v.(*any)))
	}
	require.False(t, rows.Next())
	require.NoError(t, rows.Err())
	return text.String()
}
