package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/store"
)

func testPublications(t *testing.T, s *store.Store) {
	ctx := t.Context()
	_, found, err := s.Publication(ctx, here, "revenue", "2026-03")
	require.NoError(t, err)
	require.False(t, found)
	first := store.Publication{
		Location: here, Report: "revenue", Month: "2026-03", AccountID: 7, ActivityID: 1 << 40, Edition: 2, Digest: "d",
		Begun: monday, WrittenAt: monday.Add(1), Gone: true,
	}
	first.Begun, first.WrittenAt = kept(first.Begun), kept(first.WrittenAt)
	later := store.Publication{Location: here, Report: "revenue", Month: "2026-11"}
	for _, p := range []store.Publication{
		later, first, {Location: here, Report: "revenue", Month: "2025-12"}, {Location: there, Report: "revenue", Month: "2026-04"},
		{Location: here, Report: "other", Month: "2026-04"},
	} {
		require.NoError(t, s.PutPublication(ctx, p))
	}
	got, found, err := s.Publication(ctx, here, "revenue", "2026-03")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, first, got)
	list, err := s.Publications(ctx, here, "revenue", "2026-03")
	require.NoError(t, err)
	require.Equal(t, []store.Publication{first, later}, list)

	first.Gone, first.Edition, first.Digest = false, 3, ""
	require.NoError(t, s.PutPublication(ctx, first))
	got, _, err = s.Publication(ctx, here, "revenue", "2026-03")
	require.NoError(t, err)
	require.Equal(t, first, got)
	require.Error(t, s.PutPublication(ctx, store.Publication{Location: here, Report: "revenue"}))
}
