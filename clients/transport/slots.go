package transport

import (
	"context"
	"sync"
	"time"
)

// SlotsConfig sets up Slots.
type SlotsConfig struct {
	// PerSecond is the rate of all processes together. No limit if zero or less.
	PerSecond float64
	// Pause and MaxWait are those of BucketConfig.
	Pause, MaxWait time.Duration
}

const (
	// slack is what slots are longer than the rate asks for, and so what a call may leave late, or the clocks of two
	// processes may be apart, without one call too many within a second.
	slackPercent = 3
	slack        = time.Second * slackPercent / 100
)

// Slots paces calls evenly by the wall clock, for vendors that count calls within a second or less: the time is cut into
// slots of equal length, slot number n belongs to the process whose rank is n modulo the number of processes, and one
// call leaves at the beginning of a slot. So processes whose clocks are in step are evenly paced together without
// talking to each other.
type Slots struct {
	pauses

	length time.Duration // 0: no limit

	mu          sync.Mutex
	rank, count int64
	last        int64 // the latest slot that was given away
}

// NewSlots makes slots that no other process shares.
func NewSlots(config SlotsConfig) *Slots {
	s := &Slots{pauses: newPauses(config.Pause, config.MaxWait), count: 1}
	if config.PerSecond > 0 {
		s.length = time.Duration((100+slackPercent)*1e7/config.PerSecond) + 1 // rounded up: many slots add up
	}
	return s
}

// Share implements Sharer.
func (s *Slots) Share(rank, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rank, s.count = int64(rank), int64(count)
}

// Wait implements Limiter.
func (s *Slots) Wait(ctx context.Context) error { return s.wait(ctx, s.take) }

func (s *Slots) take(ctx context.Context) error {
	if s.length <= 0 {
		return ctx.Err()
	}
	for {
		begins, err := s.reserve(ctx)
		if err != nil {
			return err
		}
		if err := sleep(ctx, time.Until(begins)); err != nil {
			return err // its slot stays empty
		}
		if time.Since(begins) <= slack {
			return nil
		}
	}
}

// reserve gives the caller the next slot of this process that begins in the future.
func (s *Slots) reserve(ctx context.Context) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rank < 0 || s.rank >= s.count {
		return time.Time{}, noShare()
	}
	now := time.Now()
	length := int64(s.length)
	slot := (now.UnixNano() + length - 1) / length
	// Nobody reserves further ahead than a caller may wait. If the latest slot is, the clock was put back.
	if furthest := slot + (int64(s.maxWait)/length + s.count + 1); s.last <= furthest {
		slot = max(slot, s.last+1)
	}
	slot += (s.rank - slot%s.count + s.count) % s.count
	begins := time.Unix(0, slot*length)
	if err := s.tooLong(ctx, begins.Sub(now), "too many calls are waiting"); err != nil {
		return time.Time{}, err
	}
	s.last = slot
	return begins, nil
}
