package ghl

import (
	"net/http"
	"sync/atomic"
	"time"
)

// Quota is what HighLevel last said of the calls that a location may make in a day: its headers X-RateLimit-Limit-Daily
// and X-RateLimit-Daily-Remaining count those of all processes together.
type Quota struct {
	// Limit is how many there are in a day, Left how many of them are left.
	Limit, Left int64
	// At is when it was said.
	At time.Time
}

// quota keeps the last word on the calls of a day.
type quota struct{ last atomic.Pointer[Quota] }

func (q *quota) observe(h http.Header, now time.Time) {
	limit, known := number(h, "X-RateLimit-Limit-Daily")
	left, counted := number(h, "X-RateLimit-Daily-Remaining")
	if known && counted && limit > 0 && left >= 0 {
		q.last.Store(&Quota{Limit: limit, Left: left, At: now})
	}
}

// Quota is what HighLevel last said to this process of the day's calls, and false if it has said nothing yet.
func (l Limiter) Quota() (Quota, bool) {
	if last := l.day.last.Load(); last != nil {
		return *last, true
	}
	return Quota{}, false
}
