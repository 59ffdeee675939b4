package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/workflows"
)

// A vendor's limit holds for all workers together. Each counts how many there are and takes its part.
const (
	// shareEvery is how often they are counted.
	shareEvery = 5 * time.Second
	// settleRounds is for how long a worker that finds others calls no vendor: they count only every shareEvery, and until
	// then take its part as well.
	settleRounds = 2
	// askTime bounds one question to the server.
	askTime = 10 * time.Second
	// hearEvery is how often a worker that begins asks whether the server has heard of it.
	hearEvery = 50 * time.Millisecond
)

// identity is how this process is known to the others and in the Temporal UI.
func identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown" // two such machines would be counted as one
	}
	return fmt.Sprintf("%d@%s", os.Getpid(), host)
}

// gone tells of a process of this machine that it has ended: the one that this worker was started instead of, most
// likely, which the server takes for alive for another minute and a half.
func gone(who string) bool {
	number, host, ok := strings.Cut(who, "@")
	pid, err := strconv.Atoi(number)
	if !ok || err != nil || pid <= 0 || !strings.HasSuffix(identity(), "@"+host) {
		return false
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return true
	}
	return errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// join takes this worker's part of the vendors' limits, and waits until the others have left it. Of workers that begin in
// the same moment all but one see another one, since each counts only after it can be seen itself.
func (c *crew) join(ctx context.Context) {
	if err := c.heard(ctx); err != nil && ctx.Err() == nil {
		c.log.Debug("the server does not tell of this worker; it counts the others all the same", "error", err.Error())
	}
	count, err := c.count(ctx, 0)
	if err != nil {
		c.log.Warn("cannot tell how many workers there are: taking the vendors' limits for this one alone", "error", err.Error())
	}
	if count < 2 {
		return
	}
	c.log.Info("worker waits until the others have made room at the vendors", "workers", count)
	for range settleRounds {
		if !wait(ctx, shareEvery) {
			return
		}
		count = c.recount(ctx, count)
	}
}

// heard waits until the server tells others of this worker.
func (c *crew) heard(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, errors.New("not heard of in time"))
	defer cancel()
	for {
		known := false
		_, _, err := cluster.Peers(ctx, c.temporal, workflows.MainQueue, identity(), func(who string) bool {
			known = known || who == identity()
			return false
		})
		switch {
		case err != nil && ctx.Err() != nil: // the call says in many ways that it was cut off
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case err != nil || known:
			return err
		}
		if !wait(ctx, hearEvery) {
			return context.Cause(ctx)
		}
	}
}

// share keeps this worker's part right until ctx ends.
func (c *crew) share(ctx context.Context) {
	for count := 0; wait(ctx, shareEvery); {
		count = c.recount(ctx, count)
	}
}

// recount counts again; when that fails, what was counted last holds.
func (c *crew) recount(ctx context.Context, last int) int {
	count, err := c.count(ctx, last)
	if err != nil {
		if ctx.Err() == nil {
			c.log.Debug("cannot tell how many workers there are; the last count holds", "error", err.Error())
		}
		return last
	}
	return count
}

func (c *crew) count(ctx context.Context, last int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	rank, count, err := cluster.Peers(ctx, c.temporal, workflows.MainQueue, identity(), gone)
	if err != nil {
		return 0, err
	}
	c.directory.Share(rank, count)
	if last > 0 && count != last {
		c.log.Info("the vendors' limits are shared anew", "workers", count)
	}
	return count, nil
}

// wait tells whether the time is over, and not the work.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
