package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// patience is how long a payment may take before the benchmark gives up: something is wrong then.
const patience = 2 * time.Minute

// job is one payment, ready to be sent.
type job struct {
	id    string // of its workflow
	life  string // of the workflow to which it hands the order on, which then waits
	send  func(context.Context) error
	done  <-chan time.Time // gets the moment at which it is in the books
	fault error            // why there is none
}

// passage is how a payment went.
type passage struct {
	id, life           string
	sent, acked, ended time.Time
}

// follow sends the payment and waits until it is in the books.
func (j job) follow(ctx context.Context) (passage, error) {
	if j.fault != nil {
		return passage{}, j.fault
	}
	p := passage{id: j.id, life: j.life, sent: time.Now()}
	if err := j.send(ctx); err != nil {
		return p, err
	}
	p.acked = time.Now()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case p.ended = <-j.done:
		return p, nil
	case <-ctx.Done():
		return p, context.Cause(ctx)
	case <-timer.C:
		return p, fmt.Errorf("%s was accepted but did not come to its end in %s", j.id, patience)
	}
}

// load is a closed loop: so many payments are on their way, and each that ends makes room for the next.
type load struct {
	inFlight int
	warmUp   time.Duration
	window   time.Duration
	next     func() job
	// began and ended are called at the ends of the window, to measure what is not the payments'.
	began, ended func() error
}

// measured are the payments of a window.
type measured struct {
	window time.Duration
	count  int       // that ended in the window
	whole  []passage // that began in it, for latencies
}

func (m measured) perSecond() float64 { return float64(m.count) / m.window.Seconds() }

// run keeps up the load for warm-up and window and then lets what is on its way come to its end.
func (l load) run(ctx context.Context) (measured, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var mu sync.Mutex
	var all []passage
	over := make(chan struct{})
	var senders sync.WaitGroup
	for range l.inFlight {
		senders.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				p, err := l.next().follow(ctx)
				if err != nil {
					stop(err)
					return
				}
				mu.Lock()
				all = append(all, p)
				mu.Unlock()
			}
		})
	}
	from, to, err := l.hold(ctx)
	close(over)
	if err != nil {
		stop(err)
	}
	senders.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return measured{}, cause
	}
	return within(all, from, to), nil
}

// hold waits for warm-up and window to pass, and tells when the window was.
func (l load) hold(ctx context.Context) (from, to time.Time, err error) {
	if err = pause(ctx, l.warmUp); err != nil {
		return from, to, err
	}
	err = l.began()
	from = time.Now()
	err = errors.Join(err, pause(ctx, l.window))
	to = time.Now()
	return from, to, errors.Join(err, l.ended())
}

func within(all []passage, from, to time.Time) measured {
	m := measured{window: to.Sub(from)}
	for _, p := range all {
		if p.ended.After(from) && !p.ended.After(to) {
			m.count++
		}
		if p.sent.After(from) && !p.sent.After(to) {
			m.whole = append(m.whole, p)
		}
	}
	return m
}

// toEnd and toAck are latencies: until the payment is in the books, and until the webhook is acknowledged.
func toEnd(p passage) time.Duration { return p.ended.Sub(p.sent) }
func toAck(p passage) time.Duration { return p.acked.Sub(p.sent) }

// latencies are sorted.
func latencies(passages []passage, of func(passage) time.Duration) []time.Duration {
	out := make([]time.Duration, len(passages))
	for i, p := range passages {
		out[i] = of(p)
	}
	slices.Sort(out)
	return out
}

// quantile is the value that the share q of sorted values does not exceed; 0 if there are none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
