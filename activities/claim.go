package activities

import (
	"context"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"
)

const (
	// claimLife is how long a claim holds if its holder dies. No single write takes as long, with its settle delay.
	claimLife = 45 * time.Second
	// claimPatience is how long a step waits for another to finish before it steps back and lets Temporal try again.
	claimPatience = 2 * time.Second
	claimPause    = 20 * time.Millisecond
)

// claim takes the exclusive right to make the records of some external identities, since Sage accepts the same extId
// twice and two orders may need the same new customer or product at once. Claims live in the store and hold among all
// workers. The same workflow may claim again what it holds, so a step that died goes on at its next attempt.
//
// The function returned gives the claims back and passes its error on. After a write of unknown outcome they are kept
// until the next attempt has looked what became of it.
func (a *Sage) claim(ctx context.Context, location string, keys ...string) (release func(error) error, err error) {
	holder := holderOf(ctx)
	keys = slices.Compact(slices.Sorted(slices.Values(keys))) // one order for all, or two could wait for each other
	giveBack := func(cause error) error {
		if cause != nil && faultOf(cause).Kind == OutcomeUnknown {
			return cause
		}
		// A step that is cancelled must still give back; a claim left behind would hold others up until it lapses.
		free, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimPatience)
		defer cancel()
		if err := a.Store.Release(free, location, holder, keys...); err != nil {
			logger(ctx).Warn("a claim was not given back and lapses by itself", "location", location, "error", err)
		}
		return cause
	}
	for deadline := time.Now().Add(claimPatience); ; {
		taken, err := a.Store.Claim(ctx, location, holder, claimLife, keys...)
		if err != nil {
			return nil, err
		}
		if taken {
			return giveBack, nil
		}
		if time.Now().After(deadline) {
			return nil, faultf(Busy, "another order is bringing the same customer or product into Sage at this moment")
		}
		doing(ctx, "waiting for a claim")
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(claimPause):
		}
	}
}

func holderOf(ctx context.Context) string {
	if !activity.IsActivity(ctx) {
		return "direct"
	}
	return activity.GetInfo(ctx).WorkflowExecution.ID
}
