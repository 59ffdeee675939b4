package webhook

import (
	"context"
	"sync"
)

// Locations tells which HighLevel locations are connected.
type Locations interface {
	// Connected tells whether events of the location are taken in. An error means that it cannot be told now.
	Connected(ctx context.Context, location string) (bool, error)
	// Resting tells whether a location that takes in nothing is known all the same: it is paused, or not told to work yet.
	Resting(ctx context.Context, location string) (bool, error)
	// Only returns the connected location when there is exactly one.
	Only(ctx context.Context) (string, bool, error)
}

// One is a single connected location: the mode with a private integration token. An empty One connects none.
type One string

// Connected implements Locations.
func (o One) Connected(_ context.Context, location string) (bool, error) {
	return o != "" && location == string(o), nil
}

// Resting implements Locations: the one never rests.
func (One) Resting(context.Context, string) (bool, error) { return false, nil }

// Only implements Locations.
func (o One) Only(context.Context) (string, bool, error) { return string(o), o != "", nil }

// shares keeps one location from taking every slot of the door.
type shares struct {
	most int
	mu   sync.Mutex
	held map[string]int
}

// take takes a slot for a location and returns how to give it back, or false when the location has its share.
func (s *shares) take(location string) (giveBack func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[location] >= s.most {
		return nil, false
	}
	s.held[location]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.held[location]--; s.held[location] == 0 {
			delete(s.held, location) // or the map grows with every name that was ever sent
		}
	}, true
}
