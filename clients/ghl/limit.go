package ghl

import (
	"net/http"
	"strconv"
	"time"

	"github.com/tallystick/tallystick/clients/transport"
)

const (
	// HighLevel allows 100 requests in 10 seconds and 200,000 a day, per app and location (its Authorization guide).
	// Nine a second with a burst of five is at most 95 in any 10 seconds, which leaves room for requests that bunch up
	// on their way.
	pacePerSecond = 9
	paceBurst     = 5

	interval = 10 * time.Second
)

// Limiter keeps HighLevel's limits for one location: it paces requests so that the burst limit is never reached by this
// process alone, and obeys the X-RateLimit headers where others draw on the same allowance.
type Limiter struct{ *transport.Bucket }

// NewLimiter paces at 9 requests a second with a burst of 5.
func NewLimiter() Limiter { return NewLimiterAt(pacePerSecond, paceBurst) }

// NewLimiterAt paces at another rate, for an allowance that several processes share or that the vendor has raised.
func NewLimiterAt(perSecond float64, burst int) Limiter { //nolint:forbidigo // a rate, not money
	return Limiter{transport.NewBucket(transport.BucketConfig{PerSecond: perSecond, Burst: burst, Pause: interval})}
}

// Observe implements transport.Limiter. A spent interval holds all callers until it is over; a spent day makes Wait
// fail at once, with the time until the day's end, because no caller should occupy a worker for hours.
func (l Limiter) Observe(status int, h http.Header) {
	l.Bucket.Observe(status, h)
	if wait, spent := dailySpent(h, time.Now()); spent {
		l.PauseFor(wait, "the daily quota of HighLevel is spent")
		return
	}
	if left, ok := number(h, "X-RateLimit-Remaining"); ok && left <= 0 {
		l.PauseFor(intervalOf(h), "the burst limit of HighLevel is reached")
	}
}

// dailySpent tells how long until the daily quota is renewed. X-RateLimit-Daily-Reset holds milliseconds, as the
// vendor's SDK reads it "when reported"; without it the day is taken to end at midnight UTC.
func dailySpent(h http.Header, now time.Time) (time.Duration, bool) {
	left, ok := number(h, "X-RateLimit-Daily-Remaining")
	if !ok || left > 0 {
		return 0, false
	}
	const day = 24 * time.Hour
	if ms, ok := number(h, "X-RateLimit-Daily-Reset"); ok && ms > 0 && ms <= day.Milliseconds() {
		return time.Duration(ms) * time.Millisecond, true
	}
	return now.UTC().Truncate(day).Add(day).Sub(now), true
}

func intervalOf(h http.Header) time.Duration {
	const longest = int64(time.Hour / time.Millisecond)
	if ms, ok := number(h, "X-RateLimit-Interval-Milliseconds"); ok && ms > 0 && ms <= longest {
		return time.Duration(ms) * time.Millisecond
	}
	return interval
}

func number(h http.Header, name string) (int64, bool) {
	n, err := strconv.ParseInt(h.Get(name), 10, 64)
	return n, err == nil
}
