package transport

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	defaultPause   = 10 * time.Second
	defaultMaxWait = 30 * time.Second
	// noShareFor is when to come back if this process has no share of an allowance: processes count each other anew
	// every few seconds.
	noShareFor = 5 * time.Second
)

// pauses is what all limiters have in common: when one caller is told to wait, all wait, and nobody waits for long.
type pauses struct {
	usual   time.Duration // after a 429 that names no time
	maxWait time.Duration

	mu     sync.Mutex
	until  time.Time
	reason string
}

func newPauses(usual, maxWait time.Duration) pauses {
	if usual <= 0 {
		usual = defaultPause
	}
	if maxWait <= 0 {
		maxWait = defaultMaxWait
	}
	return pauses{usual: usual, maxWait: maxWait}
}

// wait takes turns between pauses and take, the limiter's own waiting. A caller that got its turn just before a pause
// began takes another one after it, so that the end of a pause is no stampede.
func (p *pauses) wait(ctx context.Context, take func(context.Context) error) error {
	for {
		if err := p.waitPause(ctx); err != nil {
			return err
		}
		if err := take(ctx); err != nil {
			return err
		}
		if left, _ := p.left(); left <= 0 {
			return nil
		}
	}
}

func (p *pauses) waitPause(ctx context.Context) error {
	for {
		left, reason := p.left()
		if left <= 0 {
			return nil
		}
		if err := p.tooLong(ctx, left, reason); err != nil {
			return err
		}
		if err := sleep(ctx, left); err != nil {
			return err
		}
	}
}

// tooLong is the error of a wait that is longer than anybody may be held in place.
func (p *pauses) tooLong(ctx context.Context, wait time.Duration, reason string) error {
	if wait > p.maxWait {
		return &LimitError{RetryAfter: wait, Reason: reason}
	}
	if end, ok := ctx.Deadline(); ok && wait > time.Until(end) {
		return &LimitError{RetryAfter: wait, Reason: reason}
	}
	return nil
}

func (p *pauses) left() (time.Duration, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.until), p.reason
}

// PauseFor holds everything for the time given from now. A longer pause already set stays.
func (p *pauses) PauseFor(d time.Duration, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); until.After(p.until) {
		p.until, p.reason = until, reason
	}
}

// Observe implements Limiter: a 429 holds everything for as long as its Retry-After says, or for the configured pause.
// A 503 does so only if it names a time.
func (p *pauses) Observe(status int, header http.Header) {
	wait := time.Duration(0)
	switch status {
	case http.StatusTooManyRequests:
		if wait = ParseRetryAfter(header, time.Now()); wait == 0 {
			wait = p.usual
		}
	case http.StatusServiceUnavailable:
		wait = ParseRetryAfter(header, time.Now())
	}
	if wait > 0 {
		p.PauseFor(wait, "the vendor asked to wait")
	}
}

func noShare() error {
	return &LimitError{RetryAfter: noShareFor, Reason: "other processes use the whole rate limit at present"}
}

func sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
