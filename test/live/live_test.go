//go:build live

package live

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheRealAccounts asks whichever accounts have keys in the environment. An assumption that does not hold fails.
func TestTheRealAccounts(t *testing.T) {
	t.Run("HighLevel", func(t *testing.T) {
		keys := HighLevelKeys{BaseURL: os.Getenv("GHL_BASE_URL"), LocationID: os.Getenv("GHL_LOCATION_ID"), Token: os.Getenv("GHL_PRIVATE_TOKEN")}
		if keys.LocationID == "" || keys.Token == "" {
			t.Skip("no location is asked: set GHL_LOCATION_ID and GHL_PRIVATE_TOKEN")
		}
		findings, err := AskHighLevel(t.Context(), keys)
		require.NoError(t, err)
		report(t, findings)
	})
	t.Run("Sage", func(t *testing.T) {
		keys := SageKeys{BaseURL: os.Getenv("SAGE_BASE_URL"), PublicKey: os.Getenv("SAGE_PUBLIC_KEY"), PrivateKey: os.Getenv("SAGE_PRIVATE_KEY")}
		if keys.PublicKey == "" || keys.PrivateKey == "" {
			t.Skip("no tenant is asked: set SAGE_PUBLIC_KEY and SAGE_PRIVATE_KEY")
		}
		findings, err := AskSage(t.Context(), keys)
		require.NoError(t, err)
		report(t, findings)
	})
}

func report(t *testing.T, findings []Finding) {
	for _, f := range findings {
		if f.Verdict == Fails {
			t.Errorf("%s does not hold: %s. Write it down in docs/assumptions.md", f.ID, f.Why)
			continue
		}
		t.Logf("%s %s: %s", f.ID, f.Verdict, f.Why)
	}
}
