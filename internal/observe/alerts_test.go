package observe_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/observe"
	"github.com/tallystick/tallystick/internal/store"
)

func TestAlertsAreCountedByKind(t *testing.T) {
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "tallystick.db"))
	require.NoError(t, err)
	now := time.Now()
	raise := func(location, cause string) store.Alert {
		a, _, err := db.RaiseAlert(t.Context(), store.Alert{Location: location, Cause: cause, Text: "it is wrong"}, now)
		require.NoError(t, err)
		return a
	}
	require.NoError(t, testutil.CollectAndCompare(observe.Alerts{Store: db}, strings.NewReader("")))
	raise("a", "late/payments")
	raise("b", "late/refunds")
	require.NoError(t, db.MarkAlertTold(t.Context(), raise("b", "late/payments"), now, time.Hour))
	raise("", "alone")
	raise("a", "past/thing")
	_, _, err = db.ClearAlert(t.Context(), "a", "past/thing", now)
	require.NoError(t, err)
	require.NoError(t, testutil.CollectAndCompare(observe.Alerts{Store: db}, strings.NewReader(`
# HELP tallystick_alerts What is wrong at present, by the kind of the cause and whether operators were told.
# TYPE tallystick_alerts gauge
tallystick_alerts{cause="alone",told="false"} 1
tallystick_alerts{cause="late",told="false"} 2
tallystick_alerts{cause="late",told="true"} 1
`)))
	require.NoError(t, db.Close())
	require.Error(t, testutil.CollectAndCompare(observe.Alerts{Store: db}, strings.NewReader("")), "a store that is away is no quiet")
}
