package connections

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/store"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
)

// TestEachRenewalBringsANewPair: in one process, one renewal after the other, a pair that was stored is never taken for
// one that still has to be.
func TestEachRenewalBringsANewPair(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{TokenLife: time.Second})
	location := b.ghl.Location()
	b.install(location)
	tokens := b.process().vault.ofLocation(location)
	had := map[string]bool{}
	for range 5 {
		require.Eventually(t, func() bool {
			token, err := tokens.Token(t.Context())
			require.NoError(t, err)
			seen := had[token]
			had[token] = true
			return !seen
		}, patience, 20*time.Millisecond, "%d renewals", len(had))
	}
	// One may be under way at this moment, so the two are compared until they agree.
	require.Eventually(t, func() bool {
		row, found, err := b.books.Token(t.Context(), store.TokenOfLocation(location))
		require.NoError(t, err)
		return found && row.Generation == int64(1+b.ghl.Refreshes(ghlbox.OwnerOfLocation(location)))
	}, patience, time.Millisecond, "each generation is a pair of HighLevel's")
}
