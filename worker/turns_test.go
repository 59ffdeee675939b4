package main

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestALocationHasHalfOfThePlacesWhereThereAreOthers(t *testing.T) {
	var several atomic.Bool
	places := newTurns(6, &several, nil)
	for range 6 {
		require.True(t, places.take("a"), "the only one may have them all")
	}
	several.Store(true)
	require.False(t, places.take("a"))
	require.True(t, places.take("b"), "Temporal gives out no more places than there are")
	for range 3 {
		places.give("a")
	}
	require.False(t, places.take("a"))
	places.give("a")
	require.True(t, places.take("a"))
	require.False(t, places.take("a"))
	for range 3 {
		places.give("a")
	}
	places.give("b")
	require.Empty(t, places.busy)
	require.True(t, places.unseen("a"))
	require.False(t, places.unseen("a"))
}
