package intake

import (
	"context"
	"errors"
	"fmt"
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

// Shares keeps one location from taking every slot of a door.
type Shares struct {
	most int
	mu   sync.Mutex
	held map[string]int
}

// Take takes a slot for a location and returns how to give it back, or false when the location has its share.
func (s *Shares) Take(location string) (giveBack func(), ok bool) {
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

// Held is how many locations hold slots now.
func (s *Shares) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// LongestID is the greatest length that CheckID lets through, in bytes.
const LongestID = 100

// CheckID returns an error that says what is wrong with an id of a location, order or invoice, without showing it. It
// holds ids to what HighLevel makes them of (letters and digits, with dashes in a UUID) and a little more: they become
// part of workflow ids and of visibility queries, so neither a slash nor a quote nor a blank may be in them.
func CheckID(id string) error {
	if id == "" {
		return errors.New("missing")
	}
	if len(id) > LongestID {
		return fmt.Errorf("longer than %d characters", LongestID)
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return errors.New("holds a character that no id of HighLevel has")
		}
	}
	return nil
}
