package ghl

import (
	"bufio"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// late is how much later than its client, at most, the server learns that a line was given up.
const late = 250 * time.Millisecond

// flights are the refreshes that came in, for the question whether there ever were two at once.
type flights struct {
	mu      sync.Mutex
	byOwner map[string][]*flight
}

// flight is one refresh, from its arrival until its client knows the end: an answer, or a line that is cut.
type flight struct{ from, to time.Time }

// begin notes an arrival.
func (f *flights) begin(owner string) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	flight := &flight{from: time.Now()}
	f.byOwner[owner] = append(f.byOwner[owner], flight)
	return flight
}

// end notes that a flight is over; the first time counts. One that its client has given up was over a little earlier
// than the server could know: if the client then tried again, that was no second one at the same time.
func (f *flights) end(flight *flight, givenUp bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !flight.to.IsZero() {
		return
	}
	flight.to = time.Now()
	if givenUp {
		flight.to = flight.to.Add(-late)
		if flight.to.Before(flight.from) {
			flight.to = flight.from
		}
	}
}

// most is the largest number of an owner's flights at one time.
func (f *flights) most(owner string) int {
	type turn struct {
		at time.Time
		by int
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var turns []turn
	for _, flight := range f.byOwner[owner] {
		turns = append(turns, turn{flight.from, 1})
		if !flight.to.IsZero() {
			turns = append(turns, turn{flight.to, -1})
		}
	}
	slices.SortStableFunc(turns, func(a, b turn) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.by - b.by // whoever leaves makes room first
	})
	most, now := 0, 0
	for _, t := range turns {
		now += t.by
		most = max(most, now)
	}
	return most
}

// MaxRefreshesInFlight is the largest number of refreshes of one owner's tokens that were under way at the same time,
// refused ones and those lost by a fault included. A client that asks again after its time ran out or its line was cut
// is under way once.
func (s *Server) MaxRefreshesInFlight(owner string) int { return s.oauth.flights.most(owner) }

// answering is a ResponseWriter that tells when the answer begins or the line is taken over.
type answering struct {
	http.ResponseWriter
	begins func()
}

func (a *answering) WriteHeader(status int) {
	a.begins()
	a.ResponseWriter.WriteHeader(status)
}

func (a *answering) Write(body []byte) (int, error) {
	a.begins()
	return a.ResponseWriter.Write(body)
}

// Hijack implements http.Hijacker, which is how faults cut a line.
func (a *answering) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.begins()
	return http.NewResponseController(a.ResponseWriter).Hijack()
}
