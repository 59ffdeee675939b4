package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	// freshFor is how long an answer is given again: probes of readiness come often, and from several sides.
	freshFor = 2 * time.Second
	// awayFor is the same for an answer that something is away, so that its return is soon noticed.
	awayFor = 250 * time.Millisecond
	// probeTime is what a dependency may take to answer before it counts as away.
	probeTime = 3 * time.Second
)

// Probe is a dependency without which no work can be accepted.
type Probe struct {
	// Name is what the answer calls it, such as "temporal".
	Name string
	// Check returns nil when the dependency answers.
	Check func(ctx context.Context) error
}

// Readiness is the document that /readyz answers with.
type Readiness struct {
	Ready bool `json:"ready"`
	// Parts holds "ready" or "away" for each dependency. Why one is away is in the log: whoever may ask this is not
	// necessarily somebody who may know addresses and accounts.
	Parts map[string]string `json:"parts,omitempty"`
	// Stopping says that the process is on its way out.
	Stopping bool `json:"stopping,omitempty"`
}

// readiness answers /readyz.
type readiness struct {
	probes []Probe
	now    func() time.Time
	log    *slog.Logger

	mu       sync.Mutex
	last     Readiness
	asked    time.Time
	stopping bool
}

func (r *readiness) withdraw() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopping = true
}

// ServeHTTP implements http.Handler.
func (r *readiness) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	answer := r.current(request.Context())
	code := http.StatusOK
	if !answer.Ready {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, answer)
}

// current asks the dependencies, all at once and at most once in a while. Those who ask in the meantime wait for that
// answer.
func (r *readiness) current(ctx context.Context) Readiness {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopping {
		return Readiness{Stopping: true}
	}
	fresh := freshFor
	if !r.last.Ready {
		fresh = awayFor
	}
	if r.now().Sub(r.asked) < fresh {
		return r.last
	}
	// The answer is for others as well, so it must not end with the request that asked for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	faults := make([]error, len(r.probes))
	var all sync.WaitGroup
	for i, probe := range r.probes {
		all.Go(func() { faults[i] = probe.Check(ctx) })
	}
	all.Wait()
	now := Readiness{Ready: true, Parts: make(map[string]string, len(r.probes))}
	for i, probe := range r.probes {
		now.Parts[probe.Name] = "ready"
		if faults[i] != nil {
			now.Ready, now.Parts[probe.Name] = false, "away"
		}
		r.tell(ctx, probe.Name, now.Parts[probe.Name], faults[i])
	}
	r.last, r.asked = now, r.now()
	return now
}

// tell logs what changed.
func (r *readiness) tell(ctx context.Context, name, state string, fault error) {
	before, asked := r.last.Parts[name]
	switch {
	case before == state:
	case fault != nil:
		r.log.WarnContext(ctx, "not ready", "part", name, "error", fault.Error())
	case asked:
		r.log.InfoContext(ctx, "ready again", "part", name)
	}
}

func writeJSON(w http.ResponseWriter, code int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// Whoever asked may be gone.
	_ = json.NewEncoder(w).Encode(document)
}
