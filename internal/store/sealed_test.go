package store_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
)

// rings are the ring before and after a rotation: both open what either seals.
func rings(t *testing.T) (before, after *secret.Ring) {
	t.Helper()
	key := func(id string, seed byte) string {
		return id + ":" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{seed}, secret.KeySize))
	}
	before, err := secret.ParseRing(key("old", 1) + "," + key("new", 2))
	require.NoError(t, err)
	after, err = secret.ParseRing(key("new", 2) + "," + key("old", 1))
	require.NoError(t, err)
	return before, after
}

func seal(ring *secret.Ring, purpose, text string) store.Sealed {
	id, sealed := ring.SealText([]byte(text), purpose)
	return store.Sealed{KeyID: id, Text: sealed}
}

func resealer(ring *secret.Ring) func(string, store.Sealed) (store.Sealed, error) {
	return func(purpose string, old store.Sealed) (store.Sealed, error) {
		plain, err := ring.OpenText(old.Text, purpose)
		return seal(ring, purpose, string(plain)), err
	}
}

func TestSealedIsNotShown(t *testing.T) {
	v := store.Sealed{KeyID: "k1", Text: "ciphertext"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
	for _, shown := range []string{fmt.Sprint(v), fmt.Sprintf("%+v", store.Token{Pair: v}), log.String()} {
		require.Contains(t, shown, "k1")
		require.NotContains(t, shown, "ciphertext")
	}
	require.Equal(t, "nothing sealed", store.Sealed{}.String())
}

func testSealingKeys(t *testing.T, s *store.Store) {
	ctx := t.Context()
	list := func() map[string]bool { // which seal
		t.Helper()
		keys, err := s.SealingKeys(ctx)
		require.NoError(t, err)
		seals := map[string]bool{}
		for _, k := range keys {
			require.Equal(t, "check of "+k.ID, k.Check)
			require.False(t, k.Since.IsZero())
			require.True(t, k.Until.IsZero() || !k.Until.Before(k.Since))
			seals[k.ID] = k.Until.IsZero()
		}
		return seals
	}
	use := func(id string) {
		t.Helper()
		require.NoError(t, s.UseKey(ctx, id, "check of "+id))
	}
	require.Empty(t, list())
	use("a")
	use("a")
	require.Equal(t, map[string]bool{"a": true}, list())
	use("b")
	require.Equal(t, map[string]bool{"a": false, "b": true}, list())
	require.ErrorIs(t, s.UseKey(ctx, "a", "check of another key"), store.ErrKeyDiffers)
	require.Equal(t, map[string]bool{"a": false, "b": true}, list(), "a refused key changes nothing")
	use("a")
	require.Equal(t, map[string]bool{"a": true, "b": false}, list(), "a key may take over again")
	require.Error(t, s.UseKey(ctx, "", "x"))
	require.Error(t, s.UseKey(ctx, "x", ""))

	require.ErrorIs(t, s.ForgetKey(ctx, "a"), store.ErrKeyInUse, "it seals")
	c := connection(here)
	c.Settings.KeyID = "b"
	saved(t, s, c)
	require.ErrorIs(t, s.ForgetKey(ctx, "b"), store.ErrKeyInUse, "settings need it")
	require.NoError(t, s.ForgetConnection(ctx, here))
	require.NoError(t, s.ForgetKey(ctx, "b"))
	require.NoError(t, s.ForgetKey(ctx, "b"), "again")
	require.Equal(t, map[string]bool{"a": true}, list())
	require.NoError(t, s.UseKey(ctx, "b", "another check"), "a forgotten id is free")
}

// testKeyRace: whoever comes last, one key seals at the end.
func testKeyRace(t *testing.T, address string) {
	stores := []*store.Store{open(t, address), open(t, address)}
	var group errgroup.Group
	for i := range 24 {
		group.Go(func() error { return stores[i%2].UseKey(t.Context(), fmt.Sprint(i%8), "check") })
	}
	require.NoError(t, group.Wait())
	keys, err := stores[0].SealingKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 8)
	sealing := 0
	for _, k := range keys {
		if k.Until.IsZero() {
			sealing++
		}
	}
	require.Equal(t, 1, sealing)
}

func testReseal(t *testing.T, s *store.Store) {
	ctx := t.Context()
	before, after := rings(t)
	const n = 450 // several batches
	for i := range n {
		tok := token(fmt.Sprintf("%03d", i), "")
		tok.Pair = seal(before, store.TokenPurpose(tok.Owner), tok.Owner)
		_, err := s.PutToken(ctx, tok)
		require.NoError(t, err)
	}
	c := connection(here)
	c.Settings = seal(before, store.SettingsPurpose(here), "settings")
	c = saved(t, s, c)
	require.NoError(t, s.SettleConnection(ctx, here, c.Version))
	bare := connection(there)
	bare.Settings = store.Sealed{}
	bare = saved(t, s, bare)
	for _, location := range []string{here, there} { // one digest in two locations
		require.NoError(t, s.Plan(ctx, store.PlannedWrite{Location: location, Digest: "d", Request: seal(before, store.PlannedPurpose("d"), "request")}))
	}
	require.NoError(t, s.Plan(ctx, store.PlannedWrite{Location: here, Digest: "fresh", Request: seal(after, store.PlannedPurpose("fresh"), "request")}))
	leased, given, err := s.LeaseToken(ctx, store.TokenOfLocation("007"), "a", 1, time.Hour)
	require.NoError(t, err)
	require.True(t, given)

	counts, err := s.SealedByKey(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"old": n + 3, "new": 1}, counts)
	done, err := s.Reseal(ctx, "new", resealer(after))
	require.NoError(t, err)
	require.Equal(t, n+3, done)
	counts, err = s.SealedByKey(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"new": n + 4}, counts)
	done, err = s.Reseal(ctx, "new", resealer(after))
	require.NoError(t, err)
	require.Zero(t, done, "nothing is left to do")

	alone, err := after.Without("old")
	require.NoError(t, err)
	page := store.Page{Limit: 1000}
	tokens, _, err := s.Tokens(ctx, page)
	require.NoError(t, err)
	require.Len(t, tokens, n)
	for _, tok := range tokens {
		plain, err := alone.OpenText(tok.Pair.Text, store.TokenPurpose(tok.Owner))
		require.NoError(t, err)
		require.Equal(t, tok.Owner, string(plain))
		require.EqualValues(t, 1, tok.Generation, "the pair is the same pair")
	}
	writes, _, err := s.Planned(ctx, store.PlannedFilter{})
	require.NoError(t, err)
	for _, w := range writes {
		_, err := alone.OpenText(w.Request.Text, store.PlannedPurpose(w.Digest))
		require.NoError(t, err)
	}
	_, err = s.ReplaceToken(ctx, leased, "a")
	require.NoError(t, err, "a refresh that was under way goes on")

	_, err = s.SaveConnection(ctx, c)
	require.ErrorIs(t, err, store.ErrChanged, "the old sealing cannot be written back")
	require.NoError(t, s.MarkTold(ctx, here, c.Version), "the state is still the one that was told of")
	c, _, err = s.Connection(ctx, here)
	require.NoError(t, err)
	require.Equal(t, c.Version, c.Settled, "there is nothing to follow")
	untouched, _, err := s.Connection(ctx, there)
	require.NoError(t, err)
	require.Equal(t, bare, untouched)
}

// testResealMeetsWriter changes each value between its reading and its replacement: the newer one stays, and is sealed
// anew in its turn.
func testResealMeetsWriter(t *testing.T, s *store.Store) {
	ctx := t.Context()
	before, after := rings(t)
	tok := token(here, "")
	tok.Pair = seal(before, store.TokenPurpose(tok.Owner), "read")
	_, err := s.PutToken(ctx, tok)
	require.NoError(t, err)
	c := connection(here)
	c.Settings = seal(before, store.SettingsPurpose(here), "read")
	saved(t, s, c)

	met := map[string]bool{}
	done, err := s.Reseal(ctx, "new", func(purpose string, old store.Sealed) (store.Sealed, error) {
		if !met[purpose] {
			met[purpose] = true
			if purpose == store.TokenPurpose(tok.Owner) {
				tok.Pair = seal(before, purpose, "newer")
				_, err := s.PutToken(ctx, tok)
				require.NoError(t, err)
			} else {
				c, _, err := s.Connection(ctx, here)
				require.NoError(t, err)
				c.Settings = seal(before, purpose, "newer")
				saved(t, s, c)
			}
		}
		return resealer(after)(purpose, old)
	})
	require.NoError(t, err)
	require.Equal(t, 2, done)
	require.Len(t, met, 2)
	got, _, err := s.Token(ctx, tok.Owner)
	require.NoError(t, err)
	c, _, err = s.Connection(ctx, here)
	require.NoError(t, err)
	for purpose, value := range map[string]store.Sealed{store.TokenPurpose(tok.Owner): got.Pair, store.SettingsPurpose(here): c.Settings} {
		require.Equal(t, "new", value.KeyID)
		plain, err := after.OpenText(value.Text, purpose)
		require.NoError(t, err)
		require.Equal(t, "newer", string(plain))
	}
}

func testResealFaults(t *testing.T, s *store.Store) {
	ctx := t.Context()
	before, after := rings(t)
	for i := range 30 {
		tok := token(fmt.Sprintf("%02d", i), "")
		tok.Pair = seal(before, store.TokenPurpose(tok.Owner), "pair")
		if i%2 == 0 {
			tok.Pair.Text = fmt.Sprintf("damaged %d", i)
		}
		_, err := s.PutToken(ctx, tok)
		require.NoError(t, err)
	}
	done, err := s.Reseal(ctx, "new", resealer(after))
	require.ErrorIs(t, err, secret.ErrOpen)
	require.ErrorContains(t, err, "token/location/00")
	require.ErrorContains(t, err, "and 5 more")
	require.NotContains(t, err.Error(), "damaged 0")
	require.Equal(t, 15, done, "the rest went on")
	counts, err := s.SealedByKey(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"old": 15, "new": 15}, counts)

	_, err = s.Reseal(ctx, "new", func(_ string, old store.Sealed) (store.Sealed, error) { return old, nil })
	require.Error(t, err, "a caller that seals with the old key would never end")
	_, err = s.Reseal(ctx, "", resealer(after))
	require.Error(t, err)
}

// testResealRace rotates while tokens are refreshed and settings are changed through another store, half of it still
// with the old key. Nothing that was accepted is lost, and a second run leaves nothing behind.
func testResealRace(t *testing.T, address string) {
	ctx := t.Context()
	stores := []*store.Store{open(t, address), open(t, address)}
	before, after := rings(t)
	const owners, writers, rounds = 20, 4, 15
	var mu sync.Mutex
	last := map[string]string{} // the last value accepted, by purpose
	location := func(i int) string { return fmt.Sprintf("location %02d", i) }
	for i := range owners {
		tok := token(location(i), "")
		tok.Pair = seal(before, store.TokenPurpose(tok.Owner), "0")
		_, err := stores[0].PutToken(ctx, tok)
		require.NoError(t, err)
		c := connection(location(i))
		c.Settings = seal(before, store.SettingsPurpose(c.Location), "0")
		saved(t, stores[0], c)
		last[store.TokenPurpose(tok.Owner)], last[store.SettingsPurpose(c.Location)] = "0", "0"
	}
	var group errgroup.Group
	for w := range writers { // each has owners of its own, so that the last value is known
		s, ring := stores[w%2], []*secret.Ring{before, after}[w/2%2]
		group.Go(func() error {
			for round := range rounds {
				for i := w; i < owners; i += writers {
					value := fmt.Sprint(round + 1)
					if err := refreshOnce(t, s, ring, location(i), value); err != nil {
						return err
					}
					if err := changeSettings(t, s, ring, location(i), value); err != nil {
						return err
					}
					mu.Lock()
					last[store.TokenPurpose(store.TokenOfLocation(location(i)))] = value
					last[store.SettingsPurpose(location(i))] = value
					mu.Unlock()
				}
			}
			return nil
		})
	}
	for i := range 2 { // two operators at once
		group.Go(func() error {
			_, err := stores[i].Reseal(ctx, "new", resealer(after))
			return err
		})
	}
	require.NoError(t, group.Wait())
	_, err := stores[0].Reseal(ctx, "new", resealer(after))
	require.NoError(t, err)
	counts, err := stores[1].SealedByKey(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"new": 2 * owners}, counts)
	for i := range owners {
		tok, _, err := stores[0].Token(ctx, store.TokenOfLocation(location(i)))
		require.NoError(t, err)
		require.EqualValues(t, rounds+1, tok.Generation)
		c, _, err := stores[0].Connection(ctx, location(i))
		require.NoError(t, err)
		for purpose, value := range map[string]store.Sealed{store.TokenPurpose(tok.Owner): tok.Pair, store.SettingsPurpose(c.Location): c.Settings} {
			plain, err := after.OpenText(value.Text, purpose)
			require.NoError(t, err)
			require.Equal(t, last[purpose], string(plain), purpose)
		}
	}
}

func refreshOnce(t *testing.T, s *store.Store, ring *secret.Ring, location, value string) error {
	old, _, err := s.Token(t.Context(), store.TokenOfLocation(location))
	if err != nil {
		return err
	}
	tok, given, err := s.LeaseToken(t.Context(), old.Owner, location+value, old.Generation, time.Minute)
	if err != nil || !given {
		return errors.Join(err, fmt.Errorf("the lease of %s was given: %t", location, given))
	}
	tok.Pair = seal(ring, store.TokenPurpose(tok.Owner), value)
	_, err = s.ReplaceToken(t.Context(), tok, location+value)
	return err
}

func changeSettings(t *testing.T, s *store.Store, ring *secret.Ring, location, value string) error {
	for {
		c, _, err := s.Connection(t.Context(), location)
		if err != nil {
			return err
		}
		c.Settings = seal(ring, store.SettingsPurpose(location), value)
		if _, err = s.SaveConnection(t.Context(), c); !errors.Is(err, store.ErrChanged) {
			return err
		}
	}
}

func testPlanned(t *testing.T, s *store.Store) {
	ctx := t.Context()
	plan := store.PlannedWrite{
		Location: here, Vendor: "sage", Operation: "order.create", Method: "POST", Path: "/api/v1/order", Digest: "d1",
		Request: store.Sealed{KeyID: "k1", Text: "first"}, Times: 77, FirstAt: monday.Add(-time.Hour), LastAt: monday,
	}
	require.NoError(t, s.Plan(ctx, plan))
	again := plan
	again.Request.Text, again.LastAt = "sealed again", monday.Add(time.Hour)
	require.NoError(t, s.Plan(ctx, again))
	want := plan
	want.Times, want.FirstAt, want.LastAt = 2, kept(monday), kept(monday.Add(time.Hour))
	got, next, err := s.Planned(ctx, store.PlannedFilter{Location: here})
	require.NoError(t, err)
	require.Empty(t, next)
	require.Equal(t, []store.PlannedWrite{want}, got)

	for i := range 4 {
		other := plan
		other.Digest, other.LastAt = fmt.Sprintf("e%d", i), monday.Add(time.Duration(i/2)*time.Minute)
		other.Location = []string{here, there}[i%2]
		require.NoError(t, s.Plan(ctx, other))
	}
	var digests []string
	f := store.PlannedFilter{Page: store.Page{Limit: 2}}
	for {
		page, next, err := s.Planned(ctx, f)
		require.NoError(t, err)
		for _, p := range page {
			digests = append(digests, p.Digest)
		}
		if next == "" {
			break
		}
		f.After = next
	}
	require.Equal(t, []string{"d1", "e0", "e1", "e2", "e3"}, digests)

	n, err := s.ForgetPlanned(ctx, here)
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
	n, err = s.ForgetPlanned(ctx, "")
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	require.Error(t, s.Plan(ctx, store.PlannedWrite{Location: here, Request: plan.Request}))
	require.Error(t, s.Plan(ctx, store.PlannedWrite{Location: here, Digest: "d", Request: store.Sealed{Text: "x"}}))
}

func testMakeParkedDue(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for _, p := range []store.Parked{
		{Location: here, ObjectID: "waits for a person", Kind: "Reconnect"},
		{Location: here, ObjectID: "waits for tomorrow", Kind: "Paused", NextTry: time.Now().Add(24 * time.Hour)},
		{Location: here, ObjectID: "due already", Kind: "Paused", NextTry: monday},
		{Location: here, ObjectID: "another kind", Kind: "Mapping"},
		{Location: there, ObjectID: "elsewhere", Kind: "Reconnect"},
	} {
		p.Process, p.ParkedAt = "P", monday
		require.NoError(t, s.Park(ctx, p))
	}
	n, err := s.MakeParkedDue(ctx, here)
	require.NoError(t, err)
	require.Zero(t, n, "no kinds, nothing")
	for _, want := range []int64{2, 0} {
		n, err = s.MakeParkedDue(ctx, here, "Reconnect", "Paused")
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	due, _, err := s.ParkedItems(ctx, store.ParkedFilter{DueBefore: time.Now()})
	require.NoError(t, err)
	var ids []string
	for _, p := range due {
		ids = append(ids, p.ObjectID)
		require.Equal(t, 1, p.Attempts)
	}
	require.ElementsMatch(t, []string{"waits for a person", "waits for tomorrow", "due already"}, ids)
	old, _, err := s.ParkedItem(ctx, here, "P", "due already")
	require.NoError(t, err)
	require.Equal(t, kept(monday), old.NextTry)
}
