package activities_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/store"
)

// TestSweepsLeaveTheirMarks: each kind of sweep that came to its end says when it began, and no other does.
func TestSweepsLeaveTheirMarks(t *testing.T) {
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "tallystick.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	l := &activities.Ledger{Store: db, Fulfillment: func(context.Context, string) (activities.FulfillmentSettings, error) {
		return activities.FulfillmentSettings{On: true}, nil
	}}
	marks := func() [3]time.Time {
		var at [3]time.Time
		for i, mark := range []string{activities.PaymentSweepMark, activities.DeepSweepMark, activities.FulfillmentSweepMark} {
			at[i], _, err = db.Cursor(t.Context(), "shop", mark)
			require.NoError(t, err)
		}
		return at
	}
	var none time.Time
	first := time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
	second, third, fourth := first.Add(time.Hour), first.Add(2*time.Hour), first.Add(3*time.Hour)
	sweep := func(deep bool, at time.Time) {
		require.NoError(t, l.CloseWindow(t.Context(), activities.CloseWindowInput{
			Location: "shop", Deep: deep, Window: activities.SweepWindow{From: at.Add(-time.Hour), To: at},
		}))
	}
	sweep(false, first)
	require.Equal(t, [3]time.Time{first, none, none}, marks())
	sweep(true, second)
	require.Equal(t, [3]time.Time{second, second, none}, marks())
	sweep(false, third)
	require.Equal(t, [3]time.Time{third, second, none}, marks())
	for _, at := range []time.Time{third, fourth} { // the second finds everything tidy
		require.NoError(t, l.CloseFulfillmentWindow(t.Context(), activities.CloseFulfillmentWindowInput{
			Location: "shop", Window: activities.FulfillmentWindow{From: first, To: at},
		}))
	}
	require.Equal(t, [3]time.Time{third, second, fourth}, marks())
	require.NoError(t, l.CloseFulfillmentWindow(t.Context(), activities.CloseFulfillmentWindowInput{
		Location: "shop", Window: activities.FulfillmentWindow{Off: true, To: fourth.Add(time.Hour)},
	}))
	require.Equal(t, fourth, marks()[2])
}
