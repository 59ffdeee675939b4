package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/internal/store"
)

func token(location, pair string) store.Token {
	return store.Token{
		Owner: store.TokenOfLocation(location), Pair: store.Sealed{KeyID: "k1", Text: pair},
		Expires: kept(monday.Add(24 * time.Hour)), RefreshedAt: kept(monday), Scopes: "payments/orders.readonly invoices.readonly",
	}
}

func testTokens(t *testing.T, s *store.Store) {
	ctx := t.Context()
	owner := store.TokenOfLocation(here)
	_, found, err := s.Token(ctx, owner)
	require.NoError(t, err)
	require.False(t, found)

	want := token(here, "first")
	want.Generation, want.Holder, want.Until = 99, "somebody", monday // none of which a grant brings
	got, err := s.PutToken(ctx, want)
	require.NoError(t, err)
	want.Generation, want.Holder, want.Until = 1, "", time.Time{}
	require.Equal(t, want, got)
	read, found, err := s.Token(ctx, owner)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, want, read)

	_, given, err := s.LeaseToken(ctx, owner, "a", 1, time.Hour)
	require.NoError(t, err)
	require.True(t, given)
	got, err = s.PutToken(ctx, token(here, "second"))
	require.NoError(t, err)
	require.EqualValues(t, 2, got.Generation)
	require.Empty(t, got.Holder, "a new grant ends the lease")
	stale := token(here, "of the first")
	stale.Generation = 1
	_, err = s.ReplaceToken(ctx, stale, "a")
	require.ErrorIs(t, err, store.ErrChanged)
	_, given, err = s.LeaseToken(ctx, owner, "a", 2, time.Hour)
	require.NoError(t, err)
	require.True(t, given)
	_, err = s.ReplaceToken(ctx, stale, "a")
	require.ErrorIs(t, err, store.ErrChanged, "a lease of the second does not let the first's successor in")

	company := store.Token{Owner: store.TokenOfCompany(here), Pair: store.Sealed{KeyID: "k", Text: "t"}}
	company, err = s.PutToken(ctx, company)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), company.RefreshedAt, time.Minute)
	require.True(t, company.Expires.IsZero())

	for name, bad := range map[string]store.Token{
		"owner": {Pair: company.Pair}, "pair": {Owner: owner}, "key": {Owner: owner, Pair: store.Sealed{Text: "secret pair"}},
	} {
		_, err := s.PutToken(ctx, bad)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "secret pair")
		_, err = s.ReplaceToken(ctx, bad, "holder")
		require.Error(t, err, name)
	}
	_, err = s.ReplaceToken(ctx, got, "")
	require.Error(t, err, "nobody holds no lease")
	_, _, err = s.LeaseToken(ctx, owner, "", 2, time.Hour)
	require.Error(t, err)
}

func testTokenList(t *testing.T, s *store.Store) {
	var want []string
	for i := range 5 {
		got, err := s.PutToken(t.Context(), token(fmt.Sprint(i), "pair"))
		require.NoError(t, err)
		want = append(want, got.Owner)
	}
	require.NoError(t, s.DeleteToken(t.Context(), want[4]))
	var got []string
	page := store.Page{Limit: 2}
	for {
		tokens, next, err := s.Tokens(t.Context(), page)
		require.NoError(t, err)
		for _, token := range tokens {
			got = append(got, token.Owner)
		}
		if next == "" {
			break
		}
		page.After = next
	}
	require.Equal(t, want[:4], got)
}

func testLease(t *testing.T, s *store.Store) {
	ctx := t.Context()
	owner := store.TokenOfLocation(here)
	lease := func(holder string, generation int64, life time.Duration) (store.Token, bool) {
		t.Helper()
		got, given, err := s.LeaseToken(ctx, owner, holder, generation, life)
		require.NoError(t, err)
		return got, given
	}
	got, given := lease("a", 1, time.Hour)
	require.False(t, given)
	require.Zero(t, got, "there is none")
	first, err := s.PutToken(ctx, token(here, "first"))
	require.NoError(t, err)

	got, given = lease("a", 1, time.Hour)
	require.True(t, given)
	require.Equal(t, "a", got.Holder)
	require.WithinDuration(t, time.Now().Add(time.Hour), got.Until, time.Minute)
	require.Equal(t, first.Pair, got.Pair)
	refused, given := lease("b", 1, time.Hour)
	require.False(t, given)
	require.Equal(t, got, refused, "who is refused sees by whom")
	_, given = lease("a", 1, 2*time.Hour)
	require.True(t, given, "a holder may prolong")
	require.NoError(t, s.ReleaseToken(ctx, owner, "b"))
	_, given = lease("b", 1, time.Hour)
	require.False(t, given, "another's lease is not released")
	require.NoError(t, s.ReleaseToken(ctx, owner, "a"))
	for _, generation := range []int64{0, 2} {
		_, given = lease("b", generation, time.Hour)
		require.False(t, given, "only for the generation that is there")
	}

	// a holds it for a moment and dies; b takes over as soon as that has lapsed, and not before.
	const life = 150 * time.Millisecond
	held := time.Now()
	_, given = lease("a", 1, life)
	require.True(t, given)
	require.Eventually(t, func() bool { _, given := lease("b", 1, time.Hour); return given }, 10*time.Second, 5*time.Millisecond)
	require.GreaterOrEqual(t, time.Since(held), life)
	late := token(here, "of a")
	late.Generation = 1
	_, err = s.ReplaceToken(ctx, late, "a")
	require.ErrorIs(t, err, store.ErrChanged, "a lost its lease")
	_, given = lease("a", 1, time.Hour)
	require.False(t, given)

	fresh := token(here, "of b")
	fresh.Generation = 1
	got, err = s.ReplaceToken(ctx, fresh, "b")
	require.NoError(t, err)
	fresh.Generation = 2
	require.Equal(t, fresh, got, "and the lease has ended")
	_, err = s.ReplaceToken(ctx, fresh, "b")
	require.ErrorIs(t, err, store.ErrChanged, "once")
	got, given = lease("a", 1, time.Hour)
	require.False(t, given, "the pair that a read is spent")
	require.Equal(t, fresh, got)
}

// testLapsedLease: a lease that ran out while nobody took it is still good to keep the only pair that works.
func testLapsedLease(t *testing.T, s *store.Store) {
	ctx := t.Context()
	first, err := s.PutToken(ctx, token(here, "first"))
	require.NoError(t, err)
	_, given, err := s.LeaseToken(ctx, first.Owner, "slow", 1, -time.Second)
	require.NoError(t, err)
	require.True(t, given)
	next := token(here, "next")
	next.Generation = 1
	got, err := s.ReplaceToken(ctx, next, "slow")
	require.NoError(t, err)
	require.EqualValues(t, 2, got.Generation)

	// A token that was deleted and granted anew is another, also to whoever held the lease of the one before.
	_, _, err = s.LeaseToken(ctx, first.Owner, "slow", 2, time.Hour)
	require.NoError(t, err)
	require.NoError(t, s.DeleteToken(ctx, first.Owner))
	_, found, err := s.Token(ctx, first.Owner)
	require.NoError(t, err)
	require.False(t, found)
	next.Generation = 2
	_, err = s.ReplaceToken(ctx, next, "slow")
	require.ErrorIs(t, err, store.ErrChanged, "deleted")
	_, given, err = s.LeaseToken(ctx, first.Owner, "slow", 3, time.Hour)
	require.NoError(t, err)
	require.False(t, given, "what is deleted cannot be leased")
	again, err := s.PutToken(ctx, token(here, "again"))
	require.NoError(t, err)
	require.Greater(t, again.Generation, int64(2))
	_, err = s.ReplaceToken(ctx, next, "slow")
	require.ErrorIs(t, err, store.ErrChanged)
}

// testLeaseRace refreshes one token from many goroutines through two stores: never two at once, and no generation twice.
func testLeaseRace(t *testing.T, address string) {
	stores := []*store.Store{open(t, address), open(t, address)}
	first, err := stores[0].PutToken(t.Context(), token(here, "generation 1"))
	require.NoError(t, err)
	const refreshers, rounds = 16, 40
	var inFlight atomic.Int32
	var mu sync.Mutex
	refreshed := map[int64]string{}
	met := make(chan struct{})
	refused := sync.OnceFunc(func() { close(met) })
	group, ctx := errgroup.WithContext(t.Context())
	for i := range refreshers {
		s := stores[i%len(stores)]
		group.Go(func() error {
			for round := 0; ; round++ {
				old, _, err := s.Token(t.Context(), first.Owner)
				if err != nil || old.Generation > rounds {
					return err
				}
				holder := fmt.Sprintf("%d/%d", i, round)
				leased, given, err := s.LeaseToken(t.Context(), old.Owner, holder, old.Generation, time.Minute)
				if err != nil {
					return err
				}
				if !given {
					refused()
					continue
				}
				if n := inFlight.Add(1); n > 1 {
					return fmt.Errorf("%d refreshes are in flight", n)
				}
				if leased.Generation != old.Generation || leased.Pair != old.Pair {
					return errors.New("the lease is of another pair")
				}
				select { // the first one waits for somebody to come in between
				case <-met:
				case <-ctx.Done():
					return ctx.Err()
				}
				if _, _, err := s.Token(t.Context(), old.Owner); err != nil { // the refresh takes a while
					return err
				}
				leased.Pair.Text = fmt.Sprintf("generation %d", leased.Generation+1)
				inFlight.Add(-1) // the lease may be another's as soon as the call below is kept
				if _, err := s.ReplaceToken(t.Context(), leased, holder); err != nil {
					return fmt.Errorf("with the lease in hand: %w", err)
				}
				mu.Lock()
				if by := refreshed[old.Generation]; by != "" {
					err = fmt.Errorf("generation %d was refreshed by %s and %s", old.Generation, by, holder)
				}
				refreshed[old.Generation] = holder
				mu.Unlock()
				if err != nil {
					return err
				}
			}
		})
	}
	require.NoError(t, group.Wait())
	require.Len(t, refreshed, rounds)
	last, _, err := stores[1].Token(t.Context(), first.Owner)
	require.NoError(t, err)
	require.EqualValues(t, rounds+1, last.Generation)
	require.Equal(t, fmt.Sprintf("generation %d", rounds+1), last.Pair.Text)
}

// testLeaseOnce lets many ask at the same moment: one is given it.
func testLeaseOnce(t *testing.T, address string) {
	stores := []*store.Store{open(t, address), open(t, address)}
	first, err := stores[0].PutToken(t.Context(), token(here, "pair"))
	require.NoError(t, err)
	var given atomic.Int32
	var group errgroup.Group
	for i := range 40 {
		group.Go(func() error {
			_, got, err := stores[i%2].LeaseToken(t.Context(), first.Owner, fmt.Sprint(i), 1, time.Hour)
			if got {
				given.Add(1)
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 1, given.Load())
}
