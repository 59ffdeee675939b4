package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/observe"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/workflows"
)

// dialTime is how long a command waits for Temporal.
const dialTime = 10 * time.Second

// desk is what a command that acts has at hand.
type desk struct {
	config    config.Config
	location  string
	store     *store.Store
	temporal  client.Client
	door      workflows.Door
	reconcile reconciler
}

// withTemporal runs a command that needs Temporal.
func (a *app) withTemporal(ctx context.Context, do func(config.Config, client.Client) error) error {
	c, err := config.Load(config.Command)
	if err != nil {
		return err
	}
	temporal, err := a.dial(ctx, c)
	if err != nil {
		return err
	}
	defer temporal.Close()
	return do(c, temporal)
}

func (a *app) dial(ctx context.Context, c config.Config) (client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	return cluster.Dial(ctx, a.clusterOptions(c))
}

// clusterOptions are those of a command.
func (a *app) clusterOptions(c config.Config) cluster.Options {
	return cluster.Options{Ring: c.Secrets.Keys.Ring, Logger: a.quiet(c)}
}

// quiet is the log of a command, which says nothing but what is wrong.
func (a *app) quiet(c config.Config) *slog.Logger {
	return observe.NewLogger(a.errOut, max(c.Watching.LogLevel, slog.LevelWarn), c.Watching.LogFormat == config.JSONLog)
}

// withDesk runs a command that needs Temporal and the database, for one location.
func (a *app) withDesk(ctx context.Context, where *location, do func(*desk) error) error {
	c, err := config.Load(config.Command)
	if err != nil {
		return err
	}
	d := &desk{config: c}
	if d.location, err = where.of(ctx, a, c); err != nil {
		return err // before Temporal is waited for
	}
	return a.withTemporal(ctx, func(_ config.Config, temporal client.Client) (err error) {
		d.temporal, d.door = temporal, workflows.Door{Temporal: temporal}
		d.reconcile = d.startReconciliation
		if d.store, err = a.openStore(ctx, c); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.store.Close()) }()
		return do(d)
	})
}
