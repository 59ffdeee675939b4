package main

import (
	"context"
	"sync"
	"sync/atomic"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"github.com/tallystick/tallystick/activities"
)

// turns keeps the steps of one location from taking all places of a worker: where several are connected, each has half of
// them at most. Temporal hands out steps to the locations in turn, but those of a vendor that does not answer keep their
// places, and in the end would have them all. A step too many goes back to Temporal and comes again after a while.
type turns struct {
	interceptor.WorkerInterceptorBase
	places int
	// several tells that more than one location is connected, and meet is called with one that was not seen before.
	several *atomic.Bool
	meet    func(context.Context)

	mu   sync.Mutex
	busy map[string]int
	seen map[string]bool
}

func newTurns(places int, several *atomic.Bool, meet func(context.Context)) *turns {
	return &turns{places: places, several: several, meet: meet, busy: map[string]int{}, seen: map[string]bool{}}
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (t *turns) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &turn{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, turns: t}
}

type turn struct {
	interceptor.ActivityInboundInterceptorBase
	turns *turns
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor. A step's location is its fairness key.
func (t *turn) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	location := activity.GetInfo(ctx).Priority.FairnessKey
	if t.turns.unseen(location) {
		t.turns.meet(ctx)
	}
	if !t.turns.take(location) {
		return nil, activities.GiveWay(ctx)
	}
	defer t.turns.give(location)
	return t.Next.ExecuteActivity(ctx, in)
}

func (t *turns) unseen(location string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.seen[location]
	t.seen[location] = true
	return !seen
}

func (t *turns) take(location string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.several.Load() && t.busy[location] >= max(t.places/2, 1) {
		return false
	}
	t.busy[location]++
	return true
}

func (t *turns) give(location string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy[location]--; t.busy[location] <= 0 {
		delete(t.busy, location)
	}
}
