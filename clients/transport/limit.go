package transport

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Limiter keeps a vendor's rate limit. One Limiter is shared by everything that draws on the same allowance.
type Limiter interface {
	// Wait returns when a call may be sent. An error means that it may not; a *LimitError says when it may.
	Wait(ctx context.Context) error
	// Observe learns from an answer.
	Observe(status int, header http.Header)
}

// Sharer is a Limiter that gives way to other processes which draw on the same allowance. The processes must agree on
// who has which rank; nothing else passes between them.
type Sharer interface {
	// Share says that count processes draw on the allowance and that this one has the given rank, 0 to count-1. A rank
	// outside of that means that this process has no share at present: its calls fail with a *LimitError.
	Share(rank, count int)
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
			return nil, c.heldBack(r, err)
		}
		answer, err := next(ctx, r)
		if answer != nil {
			limiter.Observe(answer.Status, answer.Header)
		}
		return answer, err
	}
}
