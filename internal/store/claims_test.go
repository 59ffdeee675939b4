package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/internal/store"
)

func testClaims(t *testing.T, s *store.Store) {
	ctx := t.Context()
	claim := func(location, holder string, life time.Duration, keys ...string) bool {
		t.Helper()
		taken, err := s.Claim(ctx, location, holder, life, keys...)
		require.NoError(t, err)
		return taken
	}
	require.True(t, claim(here, "a", time.Hour, "x", "y"))
	require.True(t, claim(here, "a", time.Hour, "x"), "a holder may claim again what it holds")
	require.False(t, claim(here, "b", time.Hour, "y"))
	require.False(t, claim(here, "b", time.Hour, "w", "x"), "all or none")
	require.True(t, claim(here, "c", time.Hour, "w"), "what was refused with others was not taken")
	require.True(t, claim(there, "b", time.Hour, "x", "y"), "locations do not meet")

	require.NoError(t, s.Release(ctx, here, "b", "x"), "giving back what another holds changes nothing")
	require.False(t, claim(here, "b", time.Hour, "x"))
	require.NoError(t, s.Release(ctx, here, "a", "x", "y", "never"))
	require.True(t, claim(here, "b", -time.Hour, "x", "y"))
	require.True(t, claim(here, "d", time.Hour, "x"), "a lapsed claim can be taken")
}

// testClaimRace lets many claim one key at once: exactly one may get it.
func testClaimRace(t *testing.T, s *store.Store) {
	var winners atomic.Int32
	var group errgroup.Group
	for i := range 20 {
		group.Go(func() error {
			taken, err := s.Claim(t.Context(), here, fmt.Sprintf("holder %d", i), time.Hour, "one", "two")
			if taken {
				winners.Add(1)
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 1, winners.Load())
}
