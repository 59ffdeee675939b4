package ghl

import (
	"net/http"
	"strconv"
	"time"

	"github.com/tallystick/tallystick/clients/transport"
)

const (
	// DefaultPer10Seconds leaves room for requests that bunch up on their way: HighLevel allows 100 in 10 seconds and
	// 200,000 a day, per app and location (its Authorization guide; of private tokens it says nothing, A19).
	DefaultPer10Seconds = 95

	interval = 10 * time.Second
	// burst is how many calls may bunch up: the two by which an order is read. More of them would have to be taken off
	// the steady pace, and with the last call of an interval spent everything waits for its end.
	burst = 2
)

// Limiter keeps HighLevel's limits for one location (A19, A95): it paces requests so that the burst limit is never reached, also
// by several processes together (A95, see transport.Bucket.Share), and obeys the X-RateLimit headers where others draw on
// the same allowance.
type Limiter struct {
	*transport.Bucket
	day *quota
}

// NewLimiter paces at DefaultPer10Seconds.
func NewLimiter() Limiter { return NewLimiterAt(DefaultPer10Seconds, 0) }

// NewLimiterAt lets at most per10Seconds calls leave in any ten seconds, wherever they begin, of all processes together;
// zero is no limit. A caller that would wait longer than maxWait, 30 seconds if zero, is told when to come back instead.
func NewLimiterAt(per10Seconds int, maxWait time.Duration) Limiter {
	return Limiter{day: &quota{}, Bucket: transport.NewBucket(transport.BucketConfig{
		Calls: per10Seconds, Per: interval, Burst: burst, Pause: interval, MaxWait: maxWait,
	})}
}

// Observe implements transport.Limiter. A spent interval holds all callers until it is over; a spent day makes Wait
// fail at once, with the time until the day's end, because no caller should occupy a worker for hours.
func (l Limiter) Observe(status int, h http.Header) {
	l.Bucket.Observe(status, h)
	l.day.observe(h, time.Now())
	if wait, spent := dailySpent(h, time.Now()); spent {
		l.PauseFor(wait, "the daily quota of HighLevel is spent")
		return
	}
	if left, ok := number(h, "X-RateLimit-Remaining"); ok && left <= 0 {
		l.PauseFor(intervalOf(h), "the burst limit of HighLevel is reached")
	}
}

// dailySpent tells how long until the daily quota is renewed. X-RateLimit-Daily-Reset holds milliseconds, as the
// vendor's SDK reads it "when reported"; without it the day is taken to end at midnight UTC (A20).
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
