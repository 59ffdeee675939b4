package transport

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// record is when calls left, of all processes together.
type record struct {
	mu   sync.Mutex
	sent []time.Time
}

func (r *record) add() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, time.Now())
}

// busiest is the largest number of calls in any span that holds its beginning but not its end.
func (r *record) busiest(span time.Duration) int {
	slices.SortFunc(r.sent, time.Time.Compare)
	most, from := 0, 0
	for i, at := range r.sent {
		for at.Sub(r.sent[from]) >= span {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// between counts the calls from one time until another.
func (r *record) between(from, to time.Time) int {
	n := 0
	for _, at := range r.sent {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}

// load keeps callers of one process busy for the time given. late is by how much a call leaves later than it may.
func load(t *testing.T, all *sync.WaitGroup, limiter Limiter, r *record, callers int, length, late time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), length)
	var ours sync.WaitGroup
	for range callers {
		ours.Go(func() {
			for ctx.Err() == nil {
				err := limiter.Wait(ctx)
				var limited *LimitError
				if errors.As(err, &limited) {
					_ = sleep(ctx, limited.RetryAfter)
					continue
				}
				if err == nil {
					_ = sleep(ctx, late)
					r.add()
				}
			}
		})
	}
	all.Go(func() { ours.Wait(); cancel() })
}

func TestProcessesTogetherStayInsideABucket(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		count := rapid.IntRange(1, 6).Draw(rt, "processes")
		config := BucketConfig{
			Calls: rapid.SampledFrom([]int{1, 5, 30, 95, 200}).Draw(rt, "calls"), Per: 10 * time.Second,
			Burst: rapid.IntRange(0, 12).Draw(rt, "burst"), MaxWait: rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second, time.Hour}).Draw(rt, "wait"),
		}
		callers := rapid.IntRange(1, 30).Draw(rt, "callers") // of each process, with nothing to do but call
		starts := rapid.SliceOfN(rapid.Int64Range(0, int64(3*time.Second)), count, count).Draw(rt, "starts")
		synctest.Test(t, func(t *testing.T) {
			var r record
			var all sync.WaitGroup
			began := time.Now()
			for rank := range count {
				all.Go(func() {
					_ = sleep(t.Context(), time.Duration(starts[rank]))
					bucket := NewBucket(config)
					bucket.Share(rank, count)
					load(t, &all, bucket, &r, callers, 45*time.Second, 0)
				})
			}
			all.Wait()
			require.LessOrEqual(t, r.busiest(10*time.Second), config.Calls)
			used := r.between(began.Add(10*time.Second), began.Add(40*time.Second))
			require.GreaterOrEqual(t, used*100, 3*config.Calls*95, "%d of %d were used", used, 3*config.Calls)
		})
	})
}

func TestProcessesWithClocksInStepStayInsideSlots(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		count := rapid.IntRange(1, 6).Draw(rt, "processes")
		perSecond := rapid.SampledFrom([]int{1, 2, 3, 4, 13, 50}).Draw(rt, "per second")
		callers := rapid.IntRange(1, 10).Draw(rt, "callers")
		wait := rapid.SampledFrom([]time.Duration{2 * time.Second, 5 * time.Second, time.Hour}).Draw(rt, "wait")
		starts := rapid.SliceOfN(rapid.Int64Range(0, int64(3*time.Second)), count, count).Draw(rt, "starts")
		// Calls leave late by less than the slots are longer than they must be.
		late := rapid.SliceOfN(rapid.Int64Range(0, int64(slack)), count, count).Draw(rt, "late")
		synctest.Test(t, func(t *testing.T) {
			var r record
			var all sync.WaitGroup
			began := time.Now()
			for rank := range count {
				all.Go(func() {
					_ = sleep(t.Context(), time.Duration(starts[rank]))
					slots := NewSlots(SlotsConfig{PerSecond: float64(perSecond), MaxWait: wait})
					slots.Share(rank, count)
					load(t, &all, slots, &r, callers*perSecond, 70*time.Second, time.Duration(late[rank]))
				})
			}
			all.Wait()
			require.LessOrEqual(t, r.busiest(time.Second), perSecond)
			used := r.between(began.Add(10*time.Second), began.Add(70*time.Second))
			require.GreaterOrEqual(t, used*100, 60*perSecond*95, "%d of %d were used", used, 60*perSecond)
		})
	})
}

func TestSharesChangeWhileCallsWait(t *testing.T) {
	for name, limiters := range map[string][2]interface {
		Limiter
		Sharer
	}{
		"bucket": {NewBucket(BucketConfig{Calls: 20, Per: 10 * time.Second}), NewBucket(BucketConfig{Calls: 20, Per: 10 * time.Second})},
		"slots":  {NewSlots(SlotsConfig{PerSecond: 2}), NewSlots(SlotsConfig{PerSecond: 2})},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r record
				var all sync.WaitGroup
				began := time.Now()
				old, young := limiters[0], limiters[1]
				young.Share(-1, 1)
				load(t, &all, old, &r, 10, 90*time.Second, 0)
				load(t, &all, young, &r, 10, 90*time.Second, 0)
				require.NoError(t, sleep(t.Context(), 20*time.Second))
				old.Share(0, 2)
				require.NoError(t, sleep(t.Context(), 10*time.Second)) // as a newcomer does, until the others gave way
				young.Share(1, 2)
				require.NoError(t, sleep(t.Context(), 30*time.Second))
				old.Share(-1, 1)
				require.NoError(t, sleep(t.Context(), 10*time.Second))
				young.Share(0, 1)
				all.Wait()
				require.LessOrEqual(t, r.busiest(10*time.Second), 20)
				require.GreaterOrEqual(t, r.between(began.Add(35*time.Second), began.Add(60*time.Second)), 45, "two halves are a whole")
				require.GreaterOrEqual(t, r.between(began.Add(75*time.Second), began.Add(90*time.Second)), 25, "the young one has it all")
			})
		})
	}
}

func TestWithoutAShareCallsAreToldToComeBack(t *testing.T) {
	for name, limiter := range map[string]interface {
		Limiter
		Sharer
	}{
		"bucket": NewBucket(BucketConfig{Calls: 2}), "slots": NewSlots(SlotsConfig{PerSecond: 2}),
	} {
		for _, share := range [][2]int{{-1, 1}, {2, 2}, {0, 0}} {
			limiter.Share(share[0], share[1])
			var limited *LimitError
			require.ErrorAs(t, limiter.Wait(t.Context()), &limited, name)
			require.Equal(t, noShareFor, limited.RetryAfter)
		}
		limiter.Share(1, 2)
		require.NoError(t, limiter.Wait(t.Context()), name)
	}
	few := NewBucket(BucketConfig{Calls: 2, Per: time.Hour})
	few.Share(2, 3)
	require.ErrorIs(t, few.Wait(t.Context()), ErrLimited, "two calls are no three shares")
}

func TestNoLimitIsNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		for _, limiter := range []Limiter{NewBucket(BucketConfig{}), NewSlots(SlotsConfig{})} {
			limiter.(Sharer).Share(1, 3)
			for range 1000 {
				require.NoError(t, limiter.Wait(t.Context()))
			}
		}
		require.Zero(t, time.Since(began))
	})
}

func TestSlotsPauseAndBounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := NewSlots(SlotsConfig{PerSecond: 1, Pause: 4 * time.Second, MaxWait: 5 * time.Second})
		slots.Observe(429, nil)
		began := time.Now()
		require.NoError(t, slots.Wait(t.Context()))
		require.GreaterOrEqual(t, time.Since(began), 4*time.Second)

		slots.PauseFor(time.Minute, "the daily quota is spent")
		var limited *LimitError
		require.ErrorAs(t, slots.Wait(t.Context()), &limited)
		require.Equal(t, time.Minute, limited.RetryAfter)
		require.ErrorContains(t, limited, "daily quota")

		require.NoError(t, sleep(t.Context(), time.Minute))
		var bounced, waited int
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				err := slots.Wait(t.Context())
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, ErrLimited) {
					bounced++
				} else if err == nil {
					waited++
				}
			})
		}
		all.Wait()
		require.Equal(t, 20, bounced+waited)
		require.InDelta(t, 5, waited, 1, "only as many wait as get a turn within five seconds")
	})
}

// TestSlotsOutliveAClockThatIsPutBack gives away a slot far ahead, which is what a clock put back looks like.
func TestSlotsOutliveAClockThatIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := NewSlots(SlotsConfig{PerSecond: 2, MaxWait: 5 * time.Second})
		slots.last = time.Now().Add(time.Hour).UnixNano() / int64(slots.length)
		began := time.Now()
		require.NoError(t, slots.Wait(t.Context()))
		require.Less(t, time.Since(began), 2*time.Second)
	})
}

// TestALateCallTakesALaterTurn lets callers wake late, as a busy machine does.
func TestALateCallTakesALaterTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := NewBucket(BucketConfig{Calls: 3, Per: 10 * time.Second})
		var at []time.Time
		for i := range 7 {
			if i == 2 {
				require.NoError(t, sleep(t.Context(), 9*time.Second)) // its token was ready long ago
			}
			require.NoError(t, bucket.Wait(t.Context()))
			at = append(at, time.Now())
		}
		for i := 3; i < len(at); i++ {
			require.GreaterOrEqual(t, at[i].Sub(at[i-3]), 10*time.Second)
		}
	})
}
