package transport

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	defaultBreakFor = 10 * time.Second
	// soon is when to come back if it cannot be known when a place becomes free.
	soon = time.Second
)

// bulkhead bounds how many calls are under way.
func (c *Client) bulkhead(next exchange) exchange {
	if c.config.MaxInFlight <= 0 {
		return next
	}
	places := make(chan struct{}, c.config.MaxInFlight)
	return func(ctx context.Context, r *request) (*Response, error) {
		select {
		case places <- struct{}{}:
		default:
			return nil, c.heldBack(r, &LimitError{RetryAfter: soon, Reason: "too many calls are under way"})
		}
		defer func() { <-places }()
		return next(ctx, r)
	}
}

// breaker stops asking a vendor that is not answering.
type breaker struct {
	steps  *gobreaker.TwoStepCircuitBreaker[struct{}]
	length time.Duration

	mu    sync.Mutex
	until time.Time // when the latest break ends
}

// How a call ended, as the breaker sees it. A call that ended well has no error.
var (
	errNotAnswered = errors.New("no usable answer")
	errNotAsked    = errors.New("the vendor was not asked, or its answer not waited for")
)

func newBreaker(config Config) *breaker {
	if config.BreakAfter <= 0 {
		return nil
	}
	b := &breaker{length: config.BreakFor}
	b.steps = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:    config.Vendor,
		Timeout: config.BreakFor,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return int64(counts.ConsecutiveFailures) >= int64(config.BreakAfter)
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNotAsked) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			b.changed(config.Logger, config.Vendor, to)
		},
	})
	return b
}

func (b *breaker) changed(logger *slog.Logger, vendor string, to gobreaker.State) {
	switch to {
	case gobreaker.StateOpen:
		b.mu.Lock()
		b.until = time.Now().Add(b.length)
		b.mu.Unlock()
		logger.Warn("the vendor is not answering; calls are held back", slog.String("vendor", vendor), slog.Duration("for", b.length))
	case gobreaker.StateClosed:
		logger.Info("the vendor answers again", slog.String("vendor", vendor))
	case gobreaker.StateHalfOpen: // somebody asks whether it answers
	}
}

func (b *breaker) left() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(time.Until(b.until), soon)
}

// breaks holds calls back while the vendor is not answering.
func (c *Client) breaks(next exchange) exchange {
	b := c.breaker
	if b == nil {
		return next
	}
	return func(ctx context.Context, r *request) (answer *Response, err error) {
		done, refused := b.steps.Allow()
		if refused != nil {
			return nil, c.heldBack(r, &LimitError{RetryAfter: b.left(), Reason: c.config.Vendor + " is not answering"})
		}
		outcome := errNotAsked
		defer func() { done(outcome) }() // even if a layer panics, or nobody would ever ask again
		answer, err = next(ctx, r)
		outcome = judged(ctx, answer, err)
		return answer, err
	}
}

// judged tells what a call says of the vendor. That the caller went away, or had no time left, says nothing.
func judged(ctx context.Context, answer *Response, err error) error {
	switch {
	case answer != nil && answer.Status >= 500:
		return errNotAnswered
	case errors.Is(err, ErrLimited), errors.Is(err, ErrCredentials), errors.Is(err, ErrInvalidCall):
		return errNotAsked
	case errors.Is(err, ErrNoAnswer) && ctx.Err() != nil:
		return errNotAsked
	case errors.Is(err, ErrNoAnswer):
		return errNotAnswered
	}
	return nil
}

// heldBack is the error of a call that must wait longer than it may in place.
func (c *Client) heldBack(r *request, cause error) *Error {
	c.config.Metrics.refused(c.config.Vendor, r.Operation)
	e := c.fail(r, fault{ErrLimited, cause})
	var limited *LimitError
	if errors.As(cause, &limited) {
		e.RetryAfter = limited.RetryAfter
	}
	return e
}
