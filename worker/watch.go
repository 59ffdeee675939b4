package main

import (
	"context"
	"time"

	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

const (
	// watchEvery is how often connections are looked for whose last change has not been followed.
	watchEvery = 5 * time.Second
	// longestSilence bounds the time between two hints about one change. They become rarer, since a run takes in only so
	// many, and one that cannot go on is not helped by more.
	longestSilence = 5 * time.Minute
)

// watch gives a hint to the process of every connection that was changed, whoever changed it and whatever became of
// them. All workers do. It also keeps in mind whether there is more than one.
func (c *crew) watch(ctx context.Context) {
	w := watcher{said: map[string]hint{}, unsettled: c.unsettled, look: workflows.Door{Temporal: c.temporal}.LookAtConnection}
	for {
		if err := w.round(ctx, time.Now()); err != nil && ctx.Err() == nil {
			c.log.Warn("a change of a connection is not followed yet, trying again", "error", err.Error())
		}
		c.lookAround(ctx)
		if !wait(ctx, watchEvery) {
			return
		}
	}
}

// lookAround sees whether more than one location is connected. If that cannot be told, what was seen last holds.
func (c *crew) lookAround(ctx context.Context) {
	working, _, err := c.books.Connections(ctx, store.ConnectionFilter{State: store.Active, Page: store.Page{Limit: 2}})
	if err == nil {
		c.several.Store(len(working) > 1)
	}
}

// unsettled lists the connections that were changed. One page is enough: those on it are no longer on the next.
func (c *crew) unsettled(ctx context.Context) ([]store.Connection, error) {
	found, _, err := c.books.Connections(ctx, store.ConnectionFilter{Unsettled: true})
	return found, err
}

// watcher remembers which changes it gave a hint about.
type watcher struct {
	said      map[string]hint
	unsettled func(context.Context) ([]store.Connection, error)
	look      func(ctx context.Context, location string, hint workflows.Hint) error
}

type hint struct {
	version int64
	next    time.Time
	wait    time.Duration
}

// round gives the hints that are due, to all that it can, and returns the last fault.
func (w *watcher) round(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	changed, err := w.unsettled(ctx)
	if err != nil {
		return err
	}
	said := make(map[string]hint, len(changed)) // what is settled is forgotten
	var fault error
	for _, connection := range changed {
		last, known := w.said[connection.Location]
		switch {
		case known && last.version == connection.Version && now.Before(last.next):
			said[connection.Location] = last
			continue
		case !known || last.version != connection.Version:
			last = hint{version: connection.Version, wait: watchEvery}
		default:
			last.wait = min(2*last.wait, longestSilence)
		}
		last.next = now.Add(last.wait)
		said[connection.Location] = last
		if err := w.look(ctx, connection.Location, workflows.Hint{Source: workflows.FromUpkeep, At: now.UTC()}); err != nil {
			fault = err
		}
	}
	w.said = said
	return fault
}
