package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/internal/store"
)

// watch is what the watchdog knows, as a part of `starter status`.
type watch struct {
	// Alerts are all that is wrong at present, told to operators or not, what began first first.
	Alerts []alertView `json:"alerts"`
	// WatchedAt is when the watchdog last looked.
	WatchedAt time.Time `json:"watchedAt,omitzero"`

	every time.Duration
}

type alertView struct {
	// Location is empty for what concerns all.
	Location string    `json:"location,omitempty"`
	Cause    string    `json:"cause"`
	Text     string    `json:"text"`
	Since    time.Time `json:"since"`
	ToldAt   time.Time `json:"toldAt,omitzero"`
}

const (
	// mostAlerts is how many a table shows.
	mostAlerts = 20
	// missedLooks is after how many intervals without a look people are told that nobody looks. One look may fail, and the
	// next one be left out because it is still being tried.
	missedLooks = 3
	// shortestSilence keeps a short interval from crying wolf while a worker is restarted.
	shortestSilence = 5 * time.Minute
)

// viewWatch reads what is wrong at a location, at all of them if it is empty, and with the cluster, which concerns
// everybody; and when the watchdog last looked, which it should every so often.
func viewWatch(ctx context.Context, db *store.Store, location string, every time.Duration) (watch, error) {
	v := watch{Alerts: []alertView{}, every: every}
	for f := (store.AlertFilter{Open: true, Page: store.Page{Limit: 1000}}); ; {
		alerts, next, err := db.Alerts(ctx, f)
		if err != nil {
			return v, err
		}
		for _, a := range alerts {
			if location == "" || a.Location == "" || a.Location == location {
				v.Alerts = append(v.Alerts, alertView{a.Location, a.Cause, a.Text, a.Since, a.ToldAt})
			}
		}
		if f.After = next; next == "" {
			break
		}
	}
	var err error
	v.WatchedAt, _, err = db.Cursor(ctx, activities.Everywhere, activities.WatchdogMark)
	return v, err
}

func (v watch) print(w io.Writer) {
	if len(v.Alerts) == 0 {
		row(w, "\nWRONG AT PRESENT", "nothing that the watchdog knows of")
	} else {
		row(w, "\nWRONG AT PRESENT", "SINCE", "WHAT")
	}
	for i, a := range v.Alerts {
		if i == mostAlerts {
			row(w, fmt.Sprintf("and %d more", len(v.Alerts)-i), "", "`starter status -o json` lists all")
			break
		}
		where, text := a.Location, a.Text
		if where == "" {
			where = "all"
		}
		if a.ToldAt.IsZero() {
			text += " (not told yet)"
		}
		row(w, where, ago(a.Since), text)
	}
	row(w, "watchdog", v.looks(time.Now()))
}

// looks says whether the watchdog looks.
func (v watch) looks(now time.Time) string {
	switch {
	case v.every == 0:
		return "off: WATCHDOG_INTERVAL"
	case v.WatchedAt.IsZero():
		return "has not looked yet: start a worker"
	case now.Sub(v.WatchedAt) > max(missedLooks*v.every, shortestSilence):
		return "last looked " + ago(v.WatchedAt) + ": start a worker if none runs, and see `starter schedules list`"
	default:
		return "looked " + ago(v.WatchedAt)
	}
}

// looked says what a look has come to.
func looked(r activities.WatchReport) string {
	words := "nothing is wrong"
	if r.Open > 0 {
		words = fmt.Sprintf("wrong at present: %d, see `starter status`", r.Open)
	}
	if r.Untold != "" {
		words += "; operators could not be told: " + r.Untold
	}
	return words
}
