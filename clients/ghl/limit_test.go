package ghl

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/transport"
)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestThePaceStaysUnderTheBurstLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := NewLimiter()
		var sent []time.Time
		for range 400 {
			require.NoError(t, limiter.Wait(t.Context()))
			sent = append(sent, time.Now())
		}
		for i := range sent {
			if i >= 100 {
				require.GreaterOrEqual(t, sent[i].Sub(sent[i-100]), 10*time.Second, "101 requests within 10 seconds")
			}
		}
		require.Less(t, sent[399].Sub(sent[0]), 45*time.Second, "the allowance is used")
	})
}

func TestHeadersHoldTheCallers(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		header http.Header
		wait   time.Duration
	}{
		"nothing said":     {200, header(), 0},
		"some left":        {200, header("X-RateLimit-Remaining", "3", "X-RateLimit-Daily-Remaining", "5"), 0},
		"none left":        {200, header("X-RateLimit-Remaining", "0", "X-RateLimit-Interval-Milliseconds", "4000"), 4 * time.Second},
		"no interval":      {200, header("X-RateLimit-Remaining", "0"), 10 * time.Second},
		"silly interval":   {200, header("X-RateLimit-Remaining", "0", "X-RateLimit-Interval-Milliseconds", "99999999999"), 10 * time.Second},
		"unreadable":       {200, header("X-RateLimit-Remaining", "none"), 0},
		"429 bare":         {429, header(), 10 * time.Second},
		"429 seconds":      {429, header("Retry-After", "2"), 2 * time.Second},
		"429 and interval": {429, header("Retry-After", "2", "X-RateLimit-Remaining", "0", "X-RateLimit-Interval-Milliseconds", "5000"), 5 * time.Second},
		"day nearly over":  {200, header("X-RateLimit-Daily-Remaining", "0", "X-RateLimit-Daily-Reset", "7000"), 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limiter := fast()
				limiter.Observe(c.status, c.header)
				began := time.Now()
				require.NoError(t, limiter.Wait(t.Context()))
				require.Equal(t, c.wait, time.Since(began))
			})
		})
	}
}

func TestASpentDayIsToldNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble's clock begins at midnight UTC
		limiter := fast()
		limiter.Observe(200, header("X-RateLimit-Daily-Remaining", "0", "X-RateLimit-Remaining", "0"))
		var limited *transport.LimitError
		require.ErrorAs(t, limiter.Wait(t.Context()), &limited)
		require.Equal(t, 24*time.Hour, limited.RetryAfter)
		require.ErrorContains(t, limited, "daily quota")
	})
}

func TestRetryAfterOfA429(t *testing.T) {
	for name, c := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"bare":     {header(), 10 * time.Second},
		"interval": {header("X-RateLimit-Interval-Milliseconds", "3000"), 3 * time.Second},
		"seconds":  {header("Retry-After", "8", "X-RateLimit-Interval-Milliseconds", "3000"), 8 * time.Second},
		"day":      {header("X-RateLimit-Daily-Remaining", "0", "X-RateLimit-Daily-Reset", "3600000"), time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range c.header {
					w.Header()[k] = v
				}
				w.WriteHeader(http.StatusTooManyRequests)
			})
			_, err := client.Orders.Get(t.Context(), "1")
			require.True(t, transport.IsStatus(err, 429))
			require.Equal(t, c.want, transport.RetryAfter(err))
		})
	}
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Daily-Remaining", "0")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, err := client.Orders.Get(t.Context(), "1")
	wait := transport.RetryAfter(err)
	require.True(t, wait > 0 && wait <= 24*time.Hour)
	require.WithinDuration(t, time.Now().Add(wait), time.Now().Add(wait).Truncate(24*time.Hour), 24*time.Hour)
	_, err = client.Orders.Get(t.Context(), "1")
	require.ErrorIs(t, err, transport.ErrLimited, "the second call does not even leave")
}

// TestProcessesTogetherStayUnderTheLimit has workers come and work at full load, each with its share.
func TestProcessesTogetherStayUnderTheLimit(t *testing.T) {
	for _, count := range []int{1, 2, 3, 5} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var sent []time.Time
			var all sync.WaitGroup
			for rank := range count {
				limiter := NewLimiterAt(DefaultPer10Seconds, time.Hour)
				limiter.Share(rank, count)
				for range 8 {
					all.Go(func() {
						for range 400 / (8 * count) {
							if err := limiter.Wait(t.Context()); err != nil {
								t.Error(err)
							}
							mu.Lock()
							sent = append(sent, time.Now())
							mu.Unlock()
						}
					})
				}
			}
			all.Wait()
			for i := DefaultPer10Seconds; i < len(sent); i++ {
				require.GreaterOrEqual(t, sent[i].Sub(sent[i-DefaultPer10Seconds]), 10*time.Second, "%d processes", count)
			}
			require.Less(t, sent[len(sent)-1].Sub(sent[0]), 43*time.Second, "the allowance is used by %d processes", count)
		})
	}
}

func TestACallerThatWouldWaitLongIsToldToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := NewLimiterAt(1, 5*time.Second)
		require.NoError(t, limiter.Wait(t.Context()))
		var limited *transport.LimitError
		require.ErrorAs(t, limiter.Wait(t.Context()), &limited)
		require.Equal(t, 10*time.Second, limited.RetryAfter)
	})
}
