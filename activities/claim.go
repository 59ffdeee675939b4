package activities

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tallystick/tallystick/internal/store"
)

const (
	// claimLife is how long a claim holds if its holder dies. It is renewed before each write, which waits at most half
	// of this for the rate limit and the other half for its answer.
	claimLife = time.Minute
	// claimPatience is how long a step waits for another to finish before it steps back and lets Temporal try again.
	claimPatience = 2 * time.Second
	claimPause    = 20 * time.Millisecond
)

// held is an exclusive right to some identities.
type held struct {
	store            *store.Store
	location, holder string
	keys             []string
}

// claim takes the exclusive right to make the records of some external identities, since Sage accepts the same extId
// twice and two orders may need the same new customer or product at once. Claims live in the store and hold among all
// workers. The same step of the same workflow may claim again what it holds, so one that died goes on at its next attempt.
func (a *Sage) claim(ctx context.Context, location string, keys ...string) (*held, error) {
	return claim(ctx, a.Store, location, holderOf(ctx), keys...)
}

// claimOrder takes the exclusive right to rewrite the line in the comment of a Sage order: it is read, changed and written
// as one, and there are two who do.
func (a *Sage) claimOrder(ctx context.Context, location string, sageID int64) (*held, error) {
	return a.claim(ctx, location, fmt.Sprintf("salesorder:%d", sageID))
}

func claim(ctx context.Context, books *store.Store, location, holder string, keys ...string) (*held, error) {
	h := &held{store: books, location: location, holder: holder}
	h.keys = slices.Compact(slices.Sorted(slices.Values(keys))) // one order for all, or two could wait for each other
	for deadline := time.Now().Add(claimPatience); ; {
		err := h.renew(ctx)
		if err == nil || faultOf(err).Kind != Busy || time.Now().After(deadline) {
			return h, err
		}
		doing(ctx, "waiting for a claim")
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(claimPause):
		}
	}
}

// renew makes the claims last on, right before a write. A claim that lapsed and went to another is a Busy fault: then
// nothing may be written, since the other may be writing the same.
func (h *held) renew(ctx context.Context) error {
	taken, err := h.store.Claim(ctx, h.location, h.holder, claimLife, h.keys...)
	if err == nil && !taken {
		return faultf(Busy, "another step is bringing the same customer, product, order or shipment at this moment")
	}
	return err
}

// release gives the claims back and passes the error on with which the work under them ended. After a write of unknown
// outcome they are kept until the next attempt has looked what became of it.
func (h *held) release(ctx context.Context, cause error) error {
	if cause != nil && faultOf(cause).Kind == OutcomeUnknown {
		return cause
	}
	h.giveBack(ctx)
	return cause
}

func (h *held) giveBack(ctx context.Context) {
	// A step that is cancelled must still give back; a claim left behind would hold others up until it lapses.
	free, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimPatience)
	defer cancel()
	if err := h.store.Release(free, h.location, h.holder, h.keys...); err != nil {
		logger(ctx).Warn("a claim was not given back and lapses by itself", "location", h.location, "error", err)
	}
}

// holderOf is a step of a workflow, whatever its attempt.
func holderOf(ctx context.Context) string {
	if !activity.IsActivity(ctx) {
		return "direct"
	}
	info := activity.GetInfo(ctx)
	return info.WorkflowExecution.ID + " " + info.ActivityType.Name
}

// holderOfAttempt is one attempt of a step. An attempt that Temporal has given up may still be at work; nothing that it
// holds is the next one's.
func holderOfAttempt(ctx context.Context) string {
	if !activity.IsActivity(ctx) {
		return "direct " + rand.Text() // each call is an attempt of its own
	}
	info := activity.GetInfo(ctx)
	return fmt.Sprintf("%s %s %s %d", info.WorkflowExecution.ID, info.WorkflowExecution.RunID, info.ActivityID, info.Attempt)
}
