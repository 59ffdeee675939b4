package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/store"
)

// raise has something be wrong since a while.
func raise(t *testing.T, db *store.Store, location, cause, text string, since time.Time) store.Alert {
	t.Helper()
	a, _, err := db.RaiseAlert(t.Context(), store.Alert{Location: location, Cause: cause, Text: text}, since)
	require.NoError(t, err)
	return a
}

func TestStatusShowsWhatIsWrong(t *testing.T) {
	db := openDatabase(t, environment(t))
	assert.Contains(t, succeed(t, "status"), "nothing that the watchdog knows of")
	hour := time.Now().Add(-time.Hour).UTC()
	told := raise(t, db, home, "watchdog-late/shipping", "No sweep of shipping has come to its end.", hour)
	require.NoError(t, db.MarkAlertTold(t.Context(), told, hour.Add(time.Minute), 0))
	raise(t, db, "shop2", "watchdog-token", "The access token ended.", hour.Add(time.Minute))
	raise(t, db, "", "watchdog-no-worker/tallystick", "No worker takes work.", hour.Add(2*time.Minute))
	raise(t, db, home, "watchdog-quota", "Few calls were left.", hour)
	_, _, err := db.ClearAlert(t.Context(), home, "watchdog-quota", time.Now())
	require.NoError(t, err)

	s := decode[summary](t, succeed(t, "status", "-o", "json"))
	require.Len(t, s.Alerts, 3, "and none that is over")
	assert.Equal(t, alertView{Location: home, Cause: "watchdog-late/shipping", Text: "No sweep of shipping has come to its end.",
		Since: hour.Truncate(time.Microsecond), ToldAt: hour.Add(time.Minute).Truncate(time.Microsecond)}, s.Alerts[0])
	assert.True(t, s.WatchedAt.IsZero())
	table := succeed(t, "status", "--location", "shop2")
	assert.Regexp(t, `all +58m\d+s ago +No worker takes work. \(not told yet\)`, table)
	assert.Contains(t, table, "The access token ended.")
	assert.NotContains(t, table, "No sweep of shipping")
	assert.Regexp(t, `1h0m\d+s ago +No sweep of shipping has come to its end.\n`, succeed(t, "status"), "this was told")

	for i := range mostAlerts {
		raise(t, db, fmt.Sprintf("late%02d", i), "watchdog-token", "The access token ended.", time.Now())
	}
	assert.Contains(t, succeed(t, "status"), "and 3 more")
	assert.Len(t, decode[summary](t, succeed(t, "status", "-o", "json")).Alerts, 23)
}

// TestStatusShowsWhetherTheWatchdogLooks: what knows of nothing may be what does not look.
func TestStatusShowsWhetherTheWatchdogLooks(t *testing.T) {
	db := openDatabase(t, environment(t))
	looks := func() string {
		t.Helper()
		for line := range strings.Lines(succeed(t, "status")) {
			if strings.HasPrefix(line, "watchdog ") {
				return line
			}
		}
		return ""
	}
	assert.Contains(t, looks(), "has not looked yet: start a worker")
	at := time.Now().Add(-14 * time.Minute).UTC().Truncate(time.Microsecond)
	require.NoError(t, db.SetCursor(t.Context(), activities.Everywhere, activities.WatchdogMark, at))
	assert.Regexp(t, ` looked 14m\d+s ago\n`, looks())
	s := decode[summary](t, succeed(t, "status", "-o", "json"))
	assert.Equal(t, at, s.WatchedAt)
	assert.Len(t, s.Cursors, 1)
	assert.Contains(t, succeed(t, "status"), "none has finished yet", "it is no sweep")
	t.Setenv("WATCHDOG_INTERVAL", "4m")
	assert.Contains(t, looks(), "start a worker if none runs")
	t.Setenv("WATCHDOG_INTERVAL", "1s")
	require.NoError(t, db.SetCursor(t.Context(), activities.Everywhere, activities.WatchdogMark, time.Now().Add(-4*time.Minute)))
	assert.Contains(t, looks(), " looked 4m", "a worker may be restarting")
	t.Setenv("WATCHDOG_INTERVAL", "0s")
	assert.Contains(t, looks(), "off: WATCHDOG_INTERVAL")
}

// TestServeShowsAlertsWithoutWorkers: the metric is there when they and Temporal are what has failed.
func TestServeShowsAlertsWithoutWorkers(t *testing.T) {
	db := openDatabase(t, environment(t))
	t.Setenv("METRICS_ADDRESS", "localhost:0") // the two addresses must differ
	raise(t, db, home, "watchdog-late/shipping", "Late.", time.Now())
	s := serve(t)
	found := regexp.MustCompile(`http://\S+/metrics`).FindString(s.out.String())
	require.NotEmpty(t, found, s.out.String())
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, found, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Contains(t, string(body), `tallystick_alerts{cause="watchdog-late",told="false"} 1`)
	s.stop()
	assert.Equal(t, exitDone, <-s.code, s.errs.String())
}
