package transport

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// BucketConfig sets up a Bucket.
type BucketConfig struct {
	// Calls is the number of calls that may leave in any span of Per, wherever it begins, of all processes together
	// (see Bucket.Share). No limit if zero.
	Calls int
	// Per is the length of the span. One second if zero.
	Per time.Duration
	// Burst is the number of calls that may leave at once after a pause, as part of Calls. 1 if zero, and while the
	// allowance is shared with other processes.
	Burst int
	// Pause is how long to hold everything after a 429 that names no time. 10 seconds if zero.
	Pause time.Duration
	// MaxWait is the longest time a caller is held in place; beyond it Wait fails with a *LimitError at once, so that
	// nobody occupies a worker by waiting. 30 seconds if zero.
	MaxWait time.Duration
}

// Bucket spreads calls evenly and keeps their number in any span of time, for vendors that count calls per span. It
// needs no clock in step with that of other processes.
type Bucket struct {
	pauses

	config BucketConfig

	mu     sync.Mutex
	tokens *rate.Limiter
	// calls is this process's part of config.Calls.
	calls int
	// sent holds when each of the latest calls left, the oldest at next. The pace alone would let too many into a span
	// that begins with a burst, or with a call that was woken late.
	sent []time.Time
	next int
}

// NewBucket makes a full bucket that no other process shares.
func NewBucket(config BucketConfig) *Bucket {
	if config.Per <= 0 {
		config.Per = time.Second
	}
	b := &Bucket{pauses: newPauses(config.Pause, config.MaxWait), config: config, tokens: rate.NewLimiter(rate.Inf, 1)}
	b.sent = make([]time.Time, max(config.Calls, 0))
	b.Share(0, 1)
	return b
}

// Share implements Sharer: this process takes one in count of the calls. Where they do not go up evenly, the lowest
// ranks have one more.
func (b *Bucket) Share(rank, count int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.config.Calls <= 0 {
		return
	}
	b.calls = shareOf(b.config.Calls, rank, count)
	if b.calls == 0 {
		return
	}
	burst := 1
	if count == 1 {
		burst = min(max(b.config.Burst, 1), b.calls)
	}
	// The pace alone lets a burst more into a span; what left within the span (see leave) keeps that from happening.
	b.tokens.SetLimit(rate.Every(b.config.Per / time.Duration(b.calls)))
	b.tokens.SetBurst(burst)
}

// shareOf splits a number as evenly as whole numbers go.
func shareOf(whole, rank, count int) int {
	if rank < 0 || rank >= count {
		return 0
	}
	part := whole / count
	if rank < whole%count {
		part++
	}
	return part
}

// Wait implements Limiter.
func (b *Bucket) Wait(ctx context.Context) error { return b.wait(ctx, b.take) }

func (b *Bucket) take(ctx context.Context) error {
	if b.config.Calls <= 0 {
		return ctx.Err()
	}
	token, wait, err := b.reserve(ctx)
	if err != nil {
		return err
	}
	if err := sleep(ctx, wait); err != nil {
		token.Cancel()
		return err
	}
	for {
		wait, err := b.leave()
		if err != nil || wait <= 0 {
			return err
		}
		if err := b.tooLong(ctx, wait, "too many calls have left"); err != nil {
			return err
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// reserve takes the next token, if the wait for it is one that the caller may have. Nobody else may reserve in between:
// a token can be given back whole only by whoever took the latest.
func (b *Bucket) reserve(ctx context.Context) (*rate.Reservation, time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls == 0 {
		return nil, 0, noShare()
	}
	token := b.tokens.Reserve()
	wait := token.Delay()
	if err := b.tooLong(ctx, wait, "too many calls are waiting"); err != nil {
		token.Cancel()
		return nil, 0, err
	}
	return token, wait, nil
}

// leave notes that a call leaves now, or says how long until one may.
func (b *Bucket) leave() (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls == 0 { // the share was taken away while the caller slept
		return 0, noShare()
	}
	now := time.Now()
	// The call that left as many calls ago as are allowed in the span.
	first := b.sent[(b.next+len(b.sent)-b.calls)%len(b.sent)]
	if wait := b.config.Per - now.Sub(first); !first.IsZero() && wait > 0 {
		return wait, nil
	}
	b.sent[b.next] = now
	b.next = (b.next + 1) % len(b.sent)
	return 0, nil
}
