package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter keeps a vendor's rate limit. One Limiter is shared by everything that draws on the same allowance.
type Limiter interface {
	// Wait returns when a call may be sent. An error means that it may not; a *LimitError says when it may.
	Wait(ctx context.Context) error
	// Observe learns from an answer.
	Observe(status int, header http.Header)
}

// LimitError is how a Limiter says that waiting in place makes no sense. It is an ErrLimited.
type LimitError struct {
	// RetryAfter is how long nothing may be sent.
	RetryAfter time.Duration
	// Reason is for people: "the daily quota is spent".
	Reason string
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s, try again in %s", e.Reason, e.RetryAfter.Round(time.Second))
}

// Is makes a LimitError an ErrLimited.
func (e *LimitError) Is(target error) bool { return target == ErrLimited }

// limit waits for the vendor's allowance and lets the limiter learn from every answer.
func (c *Client) limit(next exchange) exchange {
	limiter := c.config.Limiter
	if limiter == nil {
		return next
	}
	return func(ctx context.Context, r *request) (*Response, error) {
		began := time.Now()
		err := limiter.Wait(ctx)
		if m := c.config.Metrics; m != nil {
			m.waits.WithLabelValues(c.config.Vendor).Observe(time.Since(began).Seconds())
		}
		if err != nil {
			c.config.Metrics.refused(c.config.Vendor, r.Operation)
			e := c.fail(r, fault{ErrLimited, err})
			var limited *LimitError
			if errors.As(err, &limited) {
				e.RetryAfter = limited.RetryAfter
			}
			return nil, e
		}
		answer, err := next(ctx, r)
		if answer != nil {
			limiter.Observe(answer.Status, answer.Header)
		}
		return answer, err
	}
}

// BucketConfig sets up a Bucket.
type BucketConfig struct {
	// PerSecond is the steady rate. In any span of T seconds at most Burst + T*PerSecond calls leave.
	PerSecond float64
	// Burst is the number of calls that may leave at once after a pause. 1 if zero.
	Burst int
	// Pause is how long to hold everything after a 429 that names no time. 10 seconds if zero.
	Pause time.Duration
	// MaxWait is the longest time a caller is held in place; beyond it Wait fails with a *LimitError at once, so that
	// nobody occupies a worker by waiting. 30 seconds if zero.
	MaxWait time.Duration
}

// Bucket is a token bucket with a common pause: when one caller is told to wait, all wait.
type Bucket struct {
	config BucketConfig
	tokens *rate.Limiter

	mu     sync.Mutex
	until  time.Time
	reason string
}

// NewBucket makes a full bucket.
func NewBucket(config BucketConfig) *Bucket {
	if config.Burst <= 0 {
		config.Burst = 1
	}
	if config.Pause <= 0 {
		config.Pause = 10 * time.Second
	}
	if config.MaxWait <= 0 {
		config.MaxWait = 30 * time.Second
	}
	limit := rate.Limit(config.PerSecond)
	if config.PerSecond <= 0 {
		limit = rate.Inf
	}
	return &Bucket{config: config, tokens: rate.NewLimiter(limit, config.Burst)}
}

// Wait implements Limiter. A caller that took its token just before a pause began takes another one after it, so that
// the end of a pause is no stampede.
func (b *Bucket) Wait(ctx context.Context) error {
	for {
		if err := b.waitPause(ctx); err != nil {
			return err
		}
		if err := b.take(ctx); err != nil {
			return err
		}
		if wait, _ := b.pause(); wait <= 0 {
			return nil
		}
	}
}

func (b *Bucket) take(ctx context.Context) error {
	token := b.tokens.Reserve()
	wait := token.Delay()
	if err := b.tooLong(ctx, wait, "too many calls are waiting"); err != nil {
		token.Cancel()
		return err
	}
	if err := sleep(ctx, wait); err != nil {
		token.Cancel()
		return err
	}
	return nil
}

func (b *Bucket) waitPause(ctx context.Context) error {
	for {
		wait, reason := b.pause()
		if wait <= 0 {
			return nil
		}
		if err := b.tooLong(ctx, wait, reason); err != nil {
			return err
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (b *Bucket) tooLong(ctx context.Context, wait time.Duration, reason string) error {
	if wait > b.config.MaxWait {
		return &LimitError{RetryAfter: wait, Reason: reason}
	}
	if end, ok := ctx.Deadline(); ok && wait > time.Until(end) {
		return &LimitError{RetryAfter: wait, Reason: reason}
	}
	return nil
}

func (b *Bucket) pause() (time.Duration, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Until(b.until), b.reason
}

// PauseFor holds everything for the time given from now. A longer pause already set stays.
func (b *Bucket) PauseFor(d time.Duration, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until := time.Now().Add(d); until.After(b.until) {
		b.until, b.reason = until, reason
	}
}

// Observe implements Limiter: a 429 holds everything for as long as its Retry-After says, or for the configured pause.
// A 503 does so only if it names a time.
func (b *Bucket) Observe(status int, header http.Header) {
	wait := time.Duration(0)
	switch status {
	case http.StatusTooManyRequests:
		if wait = ParseRetryAfter(header, time.Now()); wait == 0 {
			wait = b.config.Pause
		}
	case http.StatusServiceUnavailable:
		wait = ParseRetryAfter(header, time.Now())
	}
	if wait > 0 {
		b.PauseFor(wait, "the vendor asked to wait")
	}
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
