package transport

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNoWindowHoldsMoreThanBurstPlusRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := NewBucket(BucketConfig{Calls: 95, Per: 10 * time.Second, Burst: 5, MaxWait: time.Hour})
		var mu sync.Mutex
		var sent []time.Time
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				for range 25 {
					if err := bucket.Wait(t.Context()); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					sent = append(sent, time.Now())
					mu.Unlock()
				}
			})
		}
		all.Wait()
		require.Len(t, sent, 500)
		busiest := 0
		for i, first := range sent {
			n := 0
			for _, at := range sent[i:] {
				if at.Sub(first) < 10*time.Second {
					n++
				}
			}
			busiest = max(busiest, n)
		}
		require.LessOrEqual(t, busiest, 95)
		require.GreaterOrEqual(t, busiest, 90, "the allowance is used")
		require.Less(t, sent[len(sent)-1].Sub(sent[0]), 56*time.Second, "nothing is lost between callers")
	})
}

func TestA429HoldsEveryCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := NewBucket(BucketConfig{Calls: 19, Burst: 10})
		began := time.Now()
		bucket.Observe(http.StatusTooManyRequests, http.Header{"Retry-After": {"7"}})
		bucket.Observe(http.StatusTooManyRequests, http.Header{"Retry-After": {"2"}}) // shorter news does not cut a longer pause
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if err := bucket.Wait(t.Context()); err != nil || time.Since(began) < 7*time.Second {
					t.Errorf("left after %s with %v", time.Since(began), err)
				}
			})
		}
		all.Wait()
	})
}

func TestAPauseThatBeginsWhileWaitingIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := NewBucket(BucketConfig{Calls: 1})
		require.NoError(t, bucket.Wait(t.Context()))
		began := time.Now()
		done := make(chan error)
		go func() { done <- bucket.Wait(t.Context()) }()
		synctest.Wait()
		bucket.PauseFor(5*time.Second, "told so")
		require.NoError(t, <-done)
		require.GreaterOrEqual(t, time.Since(began), 5*time.Second)
	})
}

func TestDefaultPauseAnd503(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := NewBucket(BucketConfig{Pause: 4 * time.Second})
		bucket.Observe(http.StatusServiceUnavailable, nil)
		bucket.Observe(http.StatusOK, http.Header{"Retry-After": {"9"}})
		began := time.Now()
		require.NoError(t, bucket.Wait(t.Context()))
		require.Zero(t, time.Since(began), "only a 503 that names a time holds")
		bucket.Observe(http.StatusServiceUnavailable, http.Header{"Retry-After": {"3"}})
		require.NoError(t, bucket.Wait(t.Context()))
		require.Equal(t, 3*time.Second, time.Since(began))
		bucket.Observe(http.StatusTooManyRequests, nil)
		require.NoError(t, bucket.Wait(t.Context()))
		require.Equal(t, 7*time.Second, time.Since(began))
	})
}

func TestNobodyWaitsLongerThanItHelps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := NewBucket(BucketConfig{MaxWait: 30 * time.Second})
		bucket.PauseFor(time.Hour, "the daily quota is spent")
		began := time.Now()
		var limited *LimitError
		require.ErrorAs(t, bucket.Wait(t.Context()), &limited)
		require.Equal(t, time.Hour, limited.RetryAfter)
		require.ErrorIs(t, limited, ErrLimited)
		require.Zero(t, time.Since(began))

		bucket = NewBucket(BucketConfig{})
		bucket.PauseFor(20*time.Second, "told so")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.ErrorAs(t, bucket.Wait(ctx), &limited, "its time is over before the pause")
		require.Zero(t, time.Since(began))

		slow := NewBucket(BucketConfig{Calls: 1, Per: 100 * time.Second})
		require.NoError(t, slow.Wait(t.Context()))
		require.ErrorAs(t, slow.Wait(t.Context()), &limited, "the queue itself is too long")
		require.Equal(t, 100*time.Second, limited.RetryAfter.Round(time.Second))
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := NewBucket(BucketConfig{Calls: 1, Per: 10 * time.Second})
		require.NoError(t, bucket.Wait(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- bucket.Wait(ctx) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)

		bucket.PauseFor(5*time.Second, "told so")
		ctx, cancel = context.WithCancel(t.Context())
		go func() { done <- bucket.Wait(ctx) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

func TestTheLimiterSeesEveryAnswer(t *testing.T) {
	bucket := NewBucket(BucketConfig{MaxWait: time.Second})
	client := serve(t, Config{Limiter: bucket}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, err := client.Do(t.Context(), get, nil)
	require.True(t, IsStatus(err, 429))
	require.Equal(t, time.Minute, RetryAfter(err))
	_, err = client.Do(t.Context(), get, nil)
	require.ErrorIs(t, err, ErrLimited)
	require.Greater(t, RetryAfter(err), 50*time.Second)
	require.False(t, MayHaveLanded(err))
}
