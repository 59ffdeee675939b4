package connections

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/internal/testkit/postgres"
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
)

const (
	shop       = ghlbox.DefaultLocation
	shopsToken = "location/" + shop
)

// lossy has answers to refreshes lost after the token was rotated, and what else happens on the way.
func (b *bench) lossy() {
	b.faults.Chances("oauth.token",
		faults.Chance{Fault: faults.Fault{Kind: faults.CutAfter}, Probability: 0.25},
		faults.Chance{Fault: faults.Fault{Kind: faults.TruncatedJSON}, Probability: 0.10},
		faults.Chance{Fault: faults.Fault{Kind: faults.CutBefore}, Probability: 0.10},
		faults.Chance{Fault: faults.Fault{Kind: faults.Status, Status: 503}, Probability: 0.10},
		faults.Chance{Fault: faults.Fault{Kind: faults.AnswerLate, Delay: 200 * time.Millisecond}, Probability: 0.10},
	)
}

// persist calls until a call succeeds, as Temporal does. Only a fault that waits for a person ends it.
func persist(ctx context.Context, d *Directory, location string) error {
	for {
		err := read(ctx, d, location)
		if err == nil || kindOf(err) == activities.Reconnect || kindOf(err) == activities.Mapping {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no call succeeded in time: %w", err)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// outlive calls again and again, each time when the token that it called with has ended.
func outlive(ctx context.Context, d *Directory, books *store.Store, location string, expiries int) error {
	for range expiries {
		if err := persist(ctx, d, location); err != nil {
			return err
		}
		row, _, err := books.Token(ctx, store.TokenOfLocation(location))
		if err != nil {
			return err
		}
		if err := sleep(ctx, time.Until(row.Expires)); err != nil {
			return err
		}
	}
	return persist(ctx, d, location)
}

func (b *bench) requireNothingLost(owner, location string) {
	b.t.Helper()
	require.Equal(b.t, 1, b.ghl.MaxRefreshesInFlight(owner), "never two refreshes in flight")
	require.Zero(b.t, b.ghl.RefusedRefreshes(), "no refresh token was shown too late")
	require.Equal(b.t, store.Active, b.connection(location).State)
}

func TestOneRefreshHoweverManyProcessesAsk(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		b := newBench(t, url, ghlbox.OAuthOptions{TokenLife: time.Second})
		b.install(shop)
		b.lossy()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var calls errgroup.Group
		const processes, each, expiries = 3, 67, 5
		for range processes {
			d := b.process()
			for range each {
				calls.Go(func() error { return outlive(ctx, d, b.books, shop, expiries) })
			}
		}
		require.NoError(t, calls.Wait())
		require.GreaterOrEqual(t, b.ghl.Refreshes(shopsToken), expiries)
		b.requireNothingLost(shopsToken, shop)
	})
}

// A process that dies between the rotation and the storing leaves its lease behind, and a token that is spent.
func TestWhoComesAfterADeadHolderMeetsTheGrace(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		b := newBench(t, url, ghlbox.OAuthOptions{})
		b.install(shop)
		d := b.process()
		row := b.token(shopsToken)
		_, got, err := b.books.LeaseToken(t.Context(), shopsToken, "the dead", row.Generation, time.Second)
		require.NoError(t, err)
		require.True(t, got)
		old, err := d.vault.opened(row)
		require.NoError(t, err)
		b.ghl.ExpireAccess(shopsToken)
		_, err = d.oauth.Refresh(t.Context(), old.refresh, ghl.LocationUser)
		require.NoError(t, err)

		require.NoError(t, persist(t.Context(), d, shop))
		require.Equal(t, 1, b.ghl.Refreshes(shopsToken))
		require.Equal(t, 1, b.ghl.ReplayedRefreshes(shopsToken))
		b.requireNothingLost(shopsToken, shop)
	})
}

func TestARefusedRefreshWaitsForAPersonAndGoesOnAfterwards(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		b := newBench(t, url, ghlbox.OAuthOptions{})
		before := b.install(shop)
		var processes []*Directory
		for range 3 {
			d := b.process()
			require.NoError(t, read(t.Context(), d, shop))
			processes = append(processes, d)
		}
		b.ghl.RevokeRefresh(shopsToken)
		b.ghl.ExpireAccess(shopsToken)

		var calls errgroup.Group
		for n := range 60 {
			calls.Go(func() error {
				if err := read(t.Context(), processes[n%3], shop); kindOf(err) != activities.Reconnect {
					return fmt.Errorf("not the fault that waits: %w", err)
				}
				return nil
			})
		}
		require.NoError(t, calls.Wait())
		after := b.connection(shop)
		require.Equal(t, store.Reconnect, after.State)
		require.Equal(t, before.Version+1, after.Version, "the state was changed once")
		require.Contains(t, after.Note, "refresh token is invalid")
		require.Equal(t, 1, b.log.count("a location gives no access any more"))
		require.Equal(t, 1, b.ghl.MaxRefreshesInFlight(shopsToken))
		refused := b.ghl.RefusedRefreshes()
		require.Error(t, read(t.Context(), processes[0], shop))
		require.Equal(t, refused, b.ghl.RefusedRefreshes(), "nobody asks again while it waits")

		b.install(shop)
		for _, d := range processes {
			require.NoError(t, read(t.Context(), d, shop))
		}
		require.Equal(t, store.Active, b.connection(shop).State)
	})
}

// TestALocationThatIsSwitchedOffNeedsNoNewGrant: HighLevel refuses to renew the token of a suspended location with a
// 400, like that of a spent refresh token, but takes the same refresh token again afterwards.
func TestALocationThatIsSwitchedOffNeedsNoNewGrant(t *testing.T) {
	for name, install := range map[string]func(*bench){
		"by its own pair": func(b *bench) { b.install(shop) },
		"by its agency": func(b *bench) {
			pair, err := b.ghl.InstallCompany(ghlbox.DefaultCompany)
			require.NoError(t, err)
			b.keep(store.TokenOfCompany(ghlbox.DefaultCompany), pair)
			b.save(shop, store.Active, func(c *store.Connection) {
				c.Access, c.Company, c.Sage = store.ByAgency, ghlbox.DefaultCompany, store.SageOfEnvironment
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{TokenLife: time.Second})
			install(b)
			d := b.process()
			require.NoError(t, persist(t.Context(), d, shop))
			require.NoError(t, b.ghl.Suspend(shop))
			eventually(t, "the end of the access token", func() bool {
				return kindOf(read(t.Context(), d, shop)) == activities.Reconnect
			})
			c := b.connection(shop)
			require.Equal(t, store.Reconnect, c.State)
			require.Equal(t, activities.NoteAsleep, c.Note)
			err := read(t.Context(), d, shop)
			require.ErrorContains(t, err, "starter connect resume")
			require.NotContains(t, err.Error(), "must be connected again")

			require.NoError(t, b.ghl.Reactivate(shop))
			operator := NewInstaller(InstallerOptions{Config: b.config, Store: b.books, Ring: b.ring, OAuth: d.OAuth()})
			c, err = operator.Resume(t.Context(), shop, "ann", "")
			require.NoError(t, err)
			require.Equal(t, store.Active, c.State)
			require.NoError(t, persist(t.Context(), d, shop))
			require.Equal(t, store.Active, b.connection(shop).State)
		})
	}
}

func TestAGrantThatComesDuringARefusalWins(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	b.install(shop)
	d := b.process()
	c, old := b.connection(shop), b.token(shopsToken)
	b.install(shop)
	err := d.vault.ofLocation(shop).lost(t.Context(), c, token{generation: old.Generation}, errors.New("refused"))
	require.ErrorIs(t, err, errNotOurs)
	require.Equal(t, store.Active, b.connection(shop).State)

	// The grant is stored, and its connection is not saved yet when the refusal looks; then it is.
	c, old = b.connection(shop), b.token(shopsToken)
	b.save(shop, store.Active, nil)
	err = d.vault.ofLocation(shop).lost(t.Context(), c, token{generation: old.Generation}, errors.New("refused"))
	require.ErrorIs(t, err, errNotOurs)
	require.Equal(t, store.Active, b.connection(shop).State)
}

func TestATokenIsRenewedAheadWhileItIsUsed(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{TokenLife: time.Hour})
	b.install(shop)
	row := b.token(shopsToken)
	opened, err := b.process().vault.opened(row)
	require.NoError(t, err)
	opened.since, opened.expires = time.Now().Add(-time.Hour), time.Now().Add(4*time.Minute)
	due, err := sealToken(b.ring, shopsToken, opened)
	require.NoError(t, err)
	_, err = b.books.PutToken(t.Context(), due)
	require.NoError(t, err)

	// Another process is at it, and nobody waits for it.
	busy := b.token(shopsToken)
	_, got, err := b.books.LeaseToken(t.Context(), shopsToken, "another", busy.Generation, time.Hour)
	require.NoError(t, err)
	require.True(t, got)
	d := b.process()
	require.NoError(t, read(t.Context(), d, shop))
	require.NoError(t, read(t.Context(), d, shop))
	ahead := <-d.vault.ofLocation(shop).start(t.Context(), wish{ahead: true})
	require.NoError(t, ahead.Err)
	require.Equal(t, opened.access, ahead.Val)
	require.Zero(t, b.ghl.Refreshes(shopsToken))

	// A renewal that fails does not hurt either, and is not tried with every call.
	require.NoError(t, b.books.ReleaseToken(t.Context(), shopsToken, "another"))
	b.faults.Next("oauth.token", faults.Fault{Kind: faults.Throttle})
	fresh := b.process()
	require.NoError(t, read(t.Context(), fresh, shop))
	require.NoError(t, read(t.Context(), fresh, shop))
	eventually(t, "the failure is told", func() bool { return b.log.count("could not be renewed ahead") == 1 })
	require.NoError(t, read(t.Context(), fresh, shop))
	require.Equal(t, 1, b.ghl.CallCount("oauth.token"))

	next := b.process()
	require.NoError(t, read(t.Context(), next, shop))
	eventually(t, "it is renewed behind the callers' backs", func() bool {
		return read(t.Context(), next, shop) == nil && b.ghl.Refreshes(shopsToken) == 1
	})
}

func TestAStoreThatIsAwayAfterTheRotationIsWaitedFor(t *testing.T) {
	server := postgres.Start(t)
	b := newBench(t, server.URL(t), ghlbox.OAuthOptions{})
	b.install(shop)
	d := b.process()
	b.ghl.ExpireAccess(shopsToken)
	b.faults.Next("oauth.token", faults.Fault{Kind: faults.AnswerLate, Delay: 2 * time.Second})
	done := make(chan error, 1)
	go func() { done <- read(t.Context(), d, shop) }()
	eventually(t, "the token is rotated", func() bool { return b.ghl.Refreshes(shopsToken) == 1 })
	server.Stop(t, "immediate")
	k := d.vault.ofLocation(shop)
	eventually(t, "the pair is at hand and not stored", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.unsaved != nil
	})
	server.Restart(t)
	if err := <-done; err != nil { // the machine is slow: then the next call stores what the first one got
		require.Equal(t, activities.Unavailable, kindOf(err), "%v", err)
	}
	require.NoError(t, persist(t.Context(), d, shop))
	require.Equal(t, 1, b.ghl.Refreshes(shopsToken), "the pair that was got is the one that is used")
	require.Zero(t, b.ghl.ReplayedRefreshes(shopsToken))
	b.requireNothingLost(shopsToken, shop)
}

func TestAPairThatCouldNotBeStoredComesBeforeAnother(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{Grace: -1})
	b.install(shop)
	d := b.process()
	k := d.vault.ofLocation(shop)
	row := b.token(shopsToken)
	old, err := d.vault.opened(row)
	require.NoError(t, err)
	b.ghl.ExpireAccess(shopsToken)
	grant, err := d.oauth.Refresh(t.Context(), old.refresh, ghl.LocationUser)
	require.NoError(t, err)
	rescued := tokenOf(grant, time.Now())
	rescued.generation = row.Generation
	k.unsaved = &rescued

	require.NoError(t, persist(t.Context(), d, shop))
	require.Equal(t, store.Active, b.connection(shop).State, "without a grace only the kept pair could save it")
	require.Equal(t, row.Generation+1, b.token(shopsToken).Generation)
}

func TestARefusedTokenThatIsNewIsNotRenewedAgainAndAgain(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	b.install(shop)
	d := b.process()
	pair, err := b.ghl.Install(shop)
	require.NoError(t, err)
	require.NoError(t, d.vault.put(t.Context(), shopsToken, ghl.Grant{
		AccessToken: pair.Access, RefreshToken: pair.Refresh, Expires: time.Now().Add(365 * 24 * time.Hour),
	}))
	for range 5 {
		b.ghl.ExpireAccess(shopsToken)
		err := read(t.Context(), d, shop)
		require.Empty(t, kindOf(err))
		require.True(t, transport.IsStatus(err, http.StatusUnauthorized), "%v", err)
	}
	require.Zero(t, b.ghl.Refreshes(shopsToken), "the grant is new")
}

func TestAgencysLocationsShareItsToken(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		b := newBench(t, url, ghlbox.OAuthOptions{TokenLife: time.Second})
		b.ghl.AddSubAccount(ghlbox.SubAccount{ID: "second"})
		pair, err := b.ghl.InstallCompany(ghlbox.DefaultCompany)
		require.NoError(t, err)
		agency := store.TokenOfCompany(ghlbox.DefaultCompany)
		b.keep(agency, pair)
		for _, location := range []string{shop, "second"} {
			b.save(location, store.Active, func(c *store.Connection) { c.Access, c.Company = store.ByAgency, ghlbox.DefaultCompany })
		}
		b.lossy()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var calls errgroup.Group
		for range 3 {
			d := b.process()
			for range 5 {
				calls.Go(func() error { return outlive(ctx, d, b.books, shop, 3) })
				calls.Go(func() error { return outlive(ctx, d, b.books, "second", 3) })
			}
		}
		require.NoError(t, calls.Wait())
		b.requireNothingLost(agency, shop)
		require.GreaterOrEqual(t, b.ghl.Refreshes(agency), 1)
		require.Equal(t, store.Active, b.connection("second").State)

		b.faults.Clear()
		b.ghl.RevokeRefresh(agency)
		d := b.process()
		eventually(t, "the end of the agency's token", func() bool {
			return kindOf(read(t.Context(), d, shop)) == activities.Reconnect
		})
		require.Contains(t, b.connection(shop).Note, "agency")
	})
}

func TestATokenSealedByAnUnknownKeyIsSaidSo(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	b.install(shop)
	other, err := secret.ParseRing("other:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	require.NoError(t, err)
	d := b.process(func(o *Options) { o.Ring = other })
	err = read(t.Context(), d, shop)
	require.Equal(t, activities.Mapping, kindOf(err))
	require.ErrorContains(t, err, "SECRET_KEYS")
	require.Equal(t, store.Active, b.connection(shop).State)
}

func TestAGrantWithoutARefreshTokenIsReconnectedAtItsEnd(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	b.install(shop)
	b.keep(shopsToken, ghlbox.Pair{Access: "ended", Expires: time.Now().Add(-time.Second)})
	require.Equal(t, activities.Reconnect, kindOf(read(t.Context(), b.process(), shop)))
	require.Equal(t, store.Reconnect, b.connection(shop).State)
	require.NoError(t, b.books.DeleteToken(t.Context(), shopsToken))
	b.save(shop, store.Active, nil)
	require.Equal(t, activities.Reconnect, kindOf(read(t.Context(), b.process(), shop)), "nothing is kept at all")
}

func TestAWrongSecretOfTheAppLosesNoConnection(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{TokenLife: time.Second})
	b.install(shop)
	wrong := b.process(func(o *Options) { o.Config.GHL.ClientSecret = "mistyped" })
	eventually(t, "the token's end", func() bool { return kindOf(read(t.Context(), wrong, shop)) == activities.Unavailable })
	require.Equal(t, store.Active, b.connection(shop).State)
	require.NoError(t, persist(t.Context(), b.process(), shop))
}
