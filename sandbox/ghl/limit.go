package ghl

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits are how many requests an app may make of a location, or of a company.
type Limits struct {
	// Burst requests in each Interval, and Daily in a day.
	Burst    int
	Interval time.Duration
	Daily    int
}

// PublishedLimits are HighLevel's: 100 requests in 10 seconds and 200,000 in a day, per app and location.
func PublishedLimits() Limits { return Limits{Burst: 100, Interval: 10 * time.Second, Daily: 200_000} }

// quota counts an app's requests of one resource in windows that begin with the first request after the last one's end.
type quota struct {
	mu         sync.Mutex
	begin, day time.Time
	used       int
	usedToday  int
	spentUntil time.Time // see SpendDay
}

// take counts a request, writes the published headers and tells whether it may go on. No Retry-After is documented.
func (q *quota) take(h http.Header, l Limits, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.begin) >= l.Interval {
		q.begin, q.used = now, 0
	}
	if today := now.UTC().Truncate(24 * time.Hour); !today.Equal(q.day) {
		q.day, q.usedToday = today, 0
	}
	left := l.Daily - q.usedToday
	if rest := q.spentUntil.Sub(now); rest > 0 {
		left = 0
		h.Set("X-RateLimit-Daily-Reset", strconv.FormatInt(rest.Milliseconds()+1, 10))
	}
	ok := q.used < l.Burst && left > 0
	if ok {
		q.used++
		q.usedToday++
		left--
	}
	h.Set("X-RateLimit-Limit-Daily", strconv.Itoa(l.Daily))
	h.Set("X-RateLimit-Daily-Remaining", strconv.Itoa(left))
	h.Set("X-RateLimit-Interval-Milliseconds", strconv.FormatInt(l.Interval.Milliseconds(), 10))
	h.Set("X-RateLimit-Max", strconv.Itoa(l.Burst))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(l.Burst-q.used))
	return ok
}

// quotas keeps a quota for each app and resource, as published. Private tokens together count as one app.
type quotas struct {
	mu *sync.Mutex
	by map[quotaKey]*quota
}

type quotaKey struct{ app, resource string }

func newQuotas() quotas { return quotas{mu: &sync.Mutex{}, by: map[quotaKey]*quota{}} }

func (q *quotas) of(app, resource string) *quota {
	q.mu.Lock()
	defer q.mu.Unlock()
	key := quotaKey{app, resource}
	if q.by[key] == nil {
		q.by[key] = &quota{}
	}
	return q.by[key]
}

// used sums up what all apps have taken of a resource today.
func (q *quotas) used(resource string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	total := 0
	for key, one := range q.by {
		if key.resource == resource {
			one.mu.Lock()
			total += one.usedToday
			one.mu.Unlock()
		}
	}
	return total
}

// SpendDay has what a location's private token may call in a day be spent, until so much later, when the day ends that
// HighLevel counts by; it returns that moment. Meanwhile answers have X-RateLimit-Daily-Reset, which the vendor's SDK reads
// "when reported"; otherwise they do not. NoLimits must be off.
func (s *Server) SpendDay(locationID string, rest time.Duration) time.Time {
	q := s.quotas.of("", locationID)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spentUntil = s.opts.Now().Add(rest)
	return q.spentUntil
}

// QuotaUsed tells how many requests the first location has taken today, by private token and by OAuth together.
func (s *Server) QuotaUsed() int { return s.quotas.used(s.opts.LocationID) }
