package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/store"
)

func testParkedSums(t *testing.T, s *store.Store) {
	sums, err := s.ParkedSums(t.Context())
	require.NoError(t, err)
	require.Empty(t, sums)
	for i, p := range []store.Parked{
		{Location: there, Kind: "Mapping", ParkedAt: monday, NextTry: monday.Add(time.Hour)},
		{Location: here, Kind: "Money", ParkedAt: monday.Add(time.Minute)},
		{Location: here, Kind: "Money", ParkedAt: monday},
		{Location: here, Kind: "Money", ParkedAt: monday.Add(-time.Hour), NextTry: monday.Add(time.Hour)},
		{Location: here, Kind: "Invalid", ParkedAt: monday},
	} {
		p.Process, p.ObjectID = store.PaymentToOrder, fmt.Sprint("order", i)
		require.NoError(t, s.Park(t.Context(), p))
	}
	sums, err = s.ParkedSums(t.Context())
	require.NoError(t, err)
	require.Equal(t, []store.ParkedSum{
		{Location: here, Kind: "Invalid", Waits: true, Count: 1, Oldest: kept(monday)},
		{Location: here, Kind: "Money", Count: 1, Oldest: kept(monday.Add(-time.Hour))},
		{Location: here, Kind: "Money", Waits: true, Count: 2, Oldest: kept(monday)},
		{Location: there, Kind: "Mapping", Count: 1, Oldest: kept(monday)},
	}, sums)
}

func testAllCursors(t *testing.T, s *store.Store) {
	for _, c := range []store.Cursor{{there, "a", monday}, {here, "b", monday}, {here, "a", monday}} {
		require.NoError(t, s.SetCursor(t.Context(), c.Location, c.Name, c.At))
	}
	all, err := s.Cursors(t.Context())
	require.NoError(t, err)
	require.Equal(t, []store.Cursor{{here, "a", kept(monday)}, {here, "b", kept(monday)}, {there, "a", kept(monday)}}, all)
}
