package faults

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Plan decides what goes wrong. Its methods may be called from many goroutines; a nil *Plan lets everything pass.
type Plan struct {
	seed uint64

	mu       sync.Mutex
	chances  []Chance
	perOp    map[string][]Chance
	scripts  map[string]map[int]Fault // by operation, then by the count of the call
	queued   map[string][]Fault       // by operation: for the next calls
	calls    map[string]int
	injected map[string]map[Kind]int
	webhooks Deliveries

	late int           // commits still to come after their connection was cut
	idle chan struct{} // closed when late becomes 0
}

// NewPlan makes a plan in which things go wrong by chance as the level says, a pure function of the seed.
func NewPlan(seed int64, level Level) *Plan {
	return &Plan{
		seed:     uint64(seed), // any bits will do
		chances:  level.Chances(),
		perOp:    map[string][]Chance{},
		scripts:  map[string]map[int]Fault{},
		queued:   map[string][]Fault{},
		calls:    map[string]int{},
		injected: map[string]map[Kind]int{},
		webhooks: level.Deliveries(),
	}
}

// Script makes the nth call of the operation fail, the first call of the plan's life being 1. Operation names are
// compared without regard to case.
func (p *Plan) Script(op string, nth int, f Fault) {
	op = strings.ToLower(op)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.scripts[op] == nil {
		p.scripts[op] = map[int]Fault{}
	}
	p.scripts[op][nth] = f
}

// Next makes the next call of the operation fail; called several times, one call after the other.
func (p *Plan) Next(op string, f ...Fault) {
	op = strings.ToLower(op)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queued[op] = append(p.queued[op], f...)
}

// Chances replaces what may happen by chance to one operation; none at all makes it safe. The name may be that of one
// operation ("sage.login") or end in ".*" for all that begin so ("ghl.*").
func (p *Plan) Chances(op string, chances ...Chance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.perOp[strings.ToLower(op)] = chances
}

// SetLevel replaces what happens by chance, webhooks included, and leaves scripts and counts alone.
func (p *Plan) SetLevel(level Level) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chances = level.Chances()
	p.perOp = map[string][]Chance{}
	p.webhooks = level.Deliveries()
}

// Clear takes away everything that would still go wrong: chances, scripts and queued faults. Counts stay.
func (p *Plan) Clear() {
	p.SetLevel(None)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scripts = map[string]map[int]Fault{}
	p.queued = map[string][]Fault{}
}

// Injected tells how often each kind of fault was injected, by operation.
func (p *Plan) Injected() map[string]map[Kind]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]map[Kind]int, len(p.injected))
	for op, kinds := range p.injected {
		out[op] = maps.Clone(kinds)
	}
	return out
}

// Total tells how many faults were injected in all.
func (p *Plan) Total() int {
	total := 0
	for _, kinds := range p.Injected() {
		for _, n := range kinds {
			total += n
		}
	}
	return total
}

// Wait returns when every write that was to commit late has done so. Call it before comparing states.
func (p *Plan) Wait() {
	if p == nil {
		return
	}
	p.mu.Lock()
	late, idle := p.late, p.idle
	p.mu.Unlock()
	if late > 0 {
		<-idle
	}
}

func (p *Plan) beginLate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.late == 0 {
		p.idle = make(chan struct{})
	}
	p.late++
}

func (p *Plan) endLate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.late--; p.late == 0 {
		close(p.idle)
	}
}

// decide counts the call and says what goes wrong with it, if anything.
func (p *Plan) decide(op string) (Fault, bool) {
	op = strings.ToLower(op)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[op]++
	n := p.calls[op]
	rng := p.rand(op, n)
	f, found := p.scripted(op, n)
	if !found {
		f, found = draw(p.chancesOf(op), rng.Float64(), op)
	}
	if !found {
		return Fault{}, false
	}
	if f.Jitter > 0 {
		f.Delay += time.Duration(rng.Int64N(int64(f.Jitter)))
	}
	if p.injected[op] == nil {
		p.injected[op] = map[Kind]int{}
	}
	p.injected[op][f.Kind]++
	return f, true
}

func (p *Plan) scripted(op string, n int) (Fault, bool) {
	if f, ok := p.scripts[op][n]; ok {
		delete(p.scripts[op], n)
		return f, true
	}
	if q := p.queued[op]; len(q) > 0 {
		p.queued[op] = q[1:]
		return q[0], true
	}
	return Fault{}, false
}

// chancesOf finds the closest rule: the operation's own, then the longest prefix with a star, then the level's.
func (p *Plan) chancesOf(op string) []Chance {
	if len(p.perOp) == 0 {
		return p.chances
	}
	if own, ok := p.perOp[op]; ok {
		return own
	}
	for end := strings.LastIndexByte(op, '.'); end > 0; end = strings.LastIndexByte(op[:end], '.') {
		if own, ok := p.perOp[op[:end]+".*"]; ok {
			return own
		}
	}
	return p.chances
}

func draw(chances []Chance, at float64, op string) (Fault, bool) {
	for _, c := range chances {
		if at < c.Probability {
			return c.Fault, (isWrite(op) || !c.WritesOnly) && strings.HasPrefix(op, c.Prefix)
		}
		at -= c.Probability
	}
	return Fault{}, false
}

// isWrite knows a write by the last part of its operation's name.
func isWrite(op string) bool {
	switch op[strings.LastIndexByte(op, '.')+1:] {
	case "create", "update", "delete", "record", "send", "upsert", "token":
		return true
	}
	return false
}

// rand is a generator that depends on nothing but the seed, a name and a count.
func (p *Plan) rand(name string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	_ = binary.Write(h, binary.LittleEndian, int64(n))
	return rand.New(rand.NewPCG(p.seed, h.Sum64())) //nolint:gosec // a test's dice, not a secret
}
