package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/store"
)

func raised(t *testing.T, s *store.Store, cause string, at time.Time, due bool) store.Alert {
	t.Helper()
	a, tell, err := s.RaiseAlert(t.Context(), store.Alert{Location: here, Cause: cause, Text: "text of " + cause}, at)
	require.NoError(t, err)
	require.Equal(t, due, tell)
	return a
}

func cleared(t *testing.T, s *store.Store, cause string, at time.Time, due bool) store.Alert {
	t.Helper()
	a, tell, err := s.ClearAlert(t.Context(), here, cause, at)
	require.NoError(t, err)
	require.Equal(t, due, tell)
	return a
}

// testAlerts follows one alert from its beginning to its end, and to the next.
func testAlerts(t *testing.T, s *store.Store) {
	ctx := t.Context()
	minute := func(n int) time.Time { return kept(monday).Add(time.Duration(n) * time.Minute) }
	require.Zero(t, cleared(t, s, "quota", minute(0), false), "it never began")

	a := raised(t, s, "quota", minute(1), true)
	require.Equal(t, store.Alert{Location: here, Cause: "quota", Text: "text of quota", Since: minute(1)}, a)
	require.Equal(t, a, raised(t, s, "quota", minute(2), true), "whoever was to tell it died: it is told by the next")
	require.NoError(t, s.MarkAlertTold(ctx, a, minute(2), 10*time.Minute))
	a = raised(t, s, "quota", minute(11), false)
	require.Equal(t, minute(12), a.ReminderAt)
	a = raised(t, s, "quota", minute(12), true)
	require.Equal(t, minute(1), a.Since, "it has lasted")
	require.NoError(t, s.MarkAlertTold(ctx, a, minute(12), 0))
	raised(t, s, "quota", minute(5000), false)

	over := cleared(t, s, "quota", minute(5001), true)
	require.Equal(t, minute(5001), over.OverAt)
	require.Equal(t, over, cleared(t, s, "quota", minute(5002), true), "it ended when it ended, and nobody knows it yet")
	raised(t, s, "quota", minute(5003), false)
	over = cleared(t, s, "quota", minute(5004), true)
	require.NoError(t, s.MarkAlertTold(ctx, over, minute(5004), time.Hour))
	require.True(t, cleared(t, s, "quota", minute(5005), false).OverTold)

	again := raised(t, s, "quota", minute(5006), true)
	require.Equal(t, store.Alert{Location: here, Cause: "quota", Text: "text of quota", Since: minute(5006)}, again)
	require.NoError(t, s.MarkAlertTold(ctx, a, minute(5006), time.Hour), "late news of the one before")
	raised(t, s, "quota", minute(5007), true)
	require.NoError(t, s.MarkAlertTold(ctx, over, minute(5007), time.Hour))
	require.False(t, cleared(t, s, "quota", minute(5008), false).OverAt.IsZero(), "nobody was told of it, so its end is nobody's news")

	_, _, err := s.RaiseAlert(ctx, store.Alert{Location: here}, monday)
	require.ErrorContains(t, err, "empty")
	_, tell, err := s.RaiseAlert(ctx, store.Alert{Cause: "queue"}, monday)
	require.NoError(t, err)
	require.True(t, tell, "an alert may concern no location")
}

func testAlertList(t *testing.T, s *store.Store) {
	ctx := t.Context()
	var first []store.Alert
	for i, cause := range []string{"c", "a", "b"} {
		first = append(first, raised(t, s, cause, kept(monday).Add(time.Duration(i)*time.Minute), true))
	}
	_, _, err := s.RaiseAlert(ctx, store.Alert{Location: there, Cause: "c"}, kept(monday))
	require.NoError(t, err)
	over := cleared(t, s, "a", kept(monday).Add(time.Hour), false)

	page, next, err := s.Alerts(ctx, store.AlertFilter{Location: here, Page: store.Page{Limit: 2}})
	require.NoError(t, err)
	require.Equal(t, []store.Alert{first[0], over}, page)
	page, next, err = s.Alerts(ctx, store.AlertFilter{Location: here, Page: store.Page{Limit: 2, After: next}})
	require.NoError(t, err)
	require.Equal(t, first[2:], page)
	require.Empty(t, next)
	page, _, err = s.Alerts(ctx, store.AlertFilter{Location: here, Open: true})
	require.NoError(t, err)
	require.Equal(t, []store.Alert{first[0], first[2]}, page)
	page, _, err = s.Alerts(ctx, store.AlertFilter{})
	require.NoError(t, err)
	require.Len(t, page, 4)
	_, _, err = s.Alerts(ctx, store.AlertFilter{Page: store.Page{After: "x"}})
	require.Error(t, err)

	n, err := s.ForgetAlerts(ctx, here, over.OverAt)
	require.NoError(t, err)
	require.Zero(t, n, "it was not over before that time")
	n, err = s.ForgetAlerts(ctx, there, over.OverAt.Add(time.Hour))
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = s.ForgetAlerts(ctx, here, over.OverAt.Add(time.Hour))
	require.NoError(t, err)
	require.EqualValues(t, 1, n, "what lasts stays")
}

func testProgress(t *testing.T, s *store.Store) {
	ctx := t.Context()
	_, found, err := s.Progress(ctx, here, "backfill")
	require.NoError(t, err)
	require.False(t, found)

	p := store.Progress{
		Location: here, Run: "backfill", Stage: "transactions", Position: `{"offset":100}`, From: kept(monday).AddDate(-2, 0, 0),
		Before: kept(monday), At: kept(monday).AddDate(-1, 0, 0), Pages: 3, Records: 300, Total: 100_000, BeganAt: kept(monday),
		UpdatedAt: kept(monday).Add(time.Minute),
	}
	require.NoError(t, s.PutProgress(ctx, p))
	late := p
	late.Pages, late.Records, late.UpdatedAt = 1, 100, p.UpdatedAt.Add(-time.Second)
	require.NoError(t, s.PutProgress(ctx, late))
	got, found, err := s.Progress(ctx, here, "backfill")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, p, got, "a step that was given up does not set the run back")

	further := p
	further.Stage, further.Position, further.Pages, further.Records = "orders", "", 4, 1<<40
	further.BeganAt, further.UpdatedAt, further.EndedAt = time.Time{}, p.UpdatedAt.Add(time.Second), p.UpdatedAt.Add(time.Second)
	require.NoError(t, s.PutProgress(ctx, further))
	further.BeganAt = p.BeganAt
	got, _, err = s.Progress(ctx, here, "backfill")
	require.NoError(t, err)
	require.Equal(t, further, got)

	require.NoError(t, s.PutProgress(ctx, store.Progress{Location: there, Run: "backfill"}))
	all, err := s.AllProgress(ctx, "")
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, further, all[0])
	require.Equal(t, all[1].BeganAt, all[1].UpdatedAt)
	require.WithinDuration(t, time.Now(), all[1].BeganAt, time.Minute)
	require.NoError(t, s.ForgetProgress(ctx, there, "backfill"))
	require.NoError(t, s.ForgetProgress(ctx, there, "backfill"))
	all, err = s.AllProgress(ctx, there)
	require.NoError(t, err)
	require.Empty(t, all)

	require.ErrorContains(t, s.PutProgress(ctx, store.Progress{Location: here}), "empty")
	require.ErrorContains(t, s.PutProgress(ctx, store.Progress{Location: here, Run: "r", Records: -1}), "negative")
}
