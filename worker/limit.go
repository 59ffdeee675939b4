package main

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/workflows"
)

// limitEvery is how often it is looked whether a tenant came or went that may be called faster than the others.
const limitEvery = time.Minute

// limit keeps the steps of one location from taking all of the workers, until ctx ends.
func (c *crew) limit(ctx context.Context) {
	for set := map[string]float64(nil); ; {
		set = c.limitOnce(ctx, set)
		if !wait(ctx, limitEvery) {
			return
		}
	}
}

// limitOnce sets the limits if they are not those that were set before, and returns those that hold. A step calls its
// vendor at least once, so that no location needs more steps in a second than it may make calls; the server has one limit
// for all locations, which is that of the fastest.
func (c *crew) limitOnce(ctx context.Context, set map[string]float64) map[string]float64 {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	sage, err := c.directory.SageRate(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.log.Warn("cannot tell how fast the tenants may be called; the limits per location stay as they are", "error", err.Error())
		}
		return set
	}
	ghl := float64(c.config.GHL.RequestsPer10Seconds) / 10
	if set != nil && set[workflows.GHLQueue] == ghl && set[workflows.SageQueue] == sage {
		return set
	}
	wanted := map[string]float64{workflows.GHLQueue: ghl, workflows.SageQueue: sage}
	err = cluster.LimitQueues(ctx, c.temporal, c.namespace, wanted)
	if err == nil {
		return wanted
	}
	if ctx.Err() == nil {
		c.log.Warn("the Temporal server takes no limits per location; a busy location may hold up others", "error", err.Error())
	}
	if forGood(err) {
		return wanted // said once is enough
	}
	return set
}

// forGood tells that the server does not know such limits, or does not let this client set them.
func forGood(err error) bool {
	var unknown *serviceerror.Unimplemented
	var denied *serviceerror.PermissionDenied
	return errors.As(err, &unknown) || errors.As(err, &denied)
}
