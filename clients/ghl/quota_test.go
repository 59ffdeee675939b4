package ghl

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheQuotaIsWhatWasSaidLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := fast()
		_, said := limiter.Quota()
		require.False(t, said)
		for _, h := range [][]string{
			{}, {"X-RateLimit-Daily-Remaining", "5"}, {"X-RateLimit-Limit-Daily", "200000"},
			{"X-RateLimit-Limit-Daily", "0", "X-RateLimit-Daily-Remaining", "0"},
			{"X-RateLimit-Limit-Daily", "many", "X-RateLimit-Daily-Remaining", "5"},
			{"X-RateLimit-Limit-Daily", "200000", "X-RateLimit-Daily-Remaining", "-1"},
		} {
			limiter.Observe(200, header(h...))
			_, said = limiter.Quota()
			require.False(t, said, "%v says nothing", h)
		}
		limiter.Observe(200, header("X-RateLimit-Limit-Daily", "200000", "X-RateLimit-Daily-Remaining", "150"))
		first := time.Now()
		<-time.After(time.Minute) // of the bubble's clock
		limiter.Observe(429, header())
		q, said := limiter.Quota()
		require.True(t, said)
		require.Equal(t, Quota{Limit: 200000, Left: 150, At: first}, q)
		limiter.Observe(200, header("X-RateLimit-Limit-Daily", "200000", "X-RateLimit-Daily-Remaining", "149"))
		q, _ = limiter.Quota()
		require.Equal(t, Quota{Limit: 200000, Left: 149, At: first.Add(time.Minute)}, q)
	})
}
