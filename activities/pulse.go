package activities

import (
	"context"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
)

// pulseInterval is how often a long step tells Temporal that it is alive. A step that is over before the first beat
// costs none, and most are: each heartbeat that reaches the server is paid for.
const pulseInterval = 5 * time.Second

type pulseKey struct{}

// alive lets a step beat until stop is called, whatever it waits for: a vendor's answer, the rate limit, a claim.
func alive(ctx context.Context) (_ context.Context, stop func()) {
	if !activity.IsActivity(ctx) {
		return ctx, func() {}
	}
	step := &atomic.Pointer[string]{}
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(pulseInterval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
				if what := step.Load(); what != nil {
					activity.RecordHeartbeat(ctx, *what)
				} else {
					activity.RecordHeartbeat(ctx)
				}
			}
		}
	}()
	return context.WithValue(ctx, pulseKey{}, step), func() { close(done) }
}

// doing notes what the step is at, for the next heartbeat to show.
func doing(ctx context.Context, what string) {
	if step, ok := ctx.Value(pulseKey{}).(*atomic.Pointer[string]); ok {
		step.Store(&what)
	}
}
