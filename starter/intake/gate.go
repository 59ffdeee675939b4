package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/api/serviceerror"
	"golang.org/x/time/rate"
)

// The limits of a door.
const (
	// MaxBody is the largest body in bytes; HighLevel's samples are below ten kilobytes.
	MaxBody = 1 << 20
	// DefaultInFlight is how many requests are taken in at once unless Options say otherwise. With MaxBody it bounds the
	// memory of a door.
	DefaultInFlight = 128
	// HandOver is how long store and Temporal together may take to accept what a request tells.
	HandOver = 5 * time.Second
	// Soon and WhenBack are the Retry-After of an overload and of an outage.
	Soon     = 5 * time.Second
	WhenBack = 30 * time.Second
)

// Options are what a Gate is made of.
type Options struct {
	// Known tells the events that are counted and logged by name; all others are "unknown", so that a caller cannot make
	// labels. It must be set.
	Known func(event string) bool
	// InFlight bounds the requests taken in at once; more are answered 429, and so is a location that has half of them
	// already. 0 means DefaultInFlight.
	InFlight int
	// Log says what was refused and why, without anything of a body; nil says nothing.
	Log *slog.Logger
	// Registerer publishes the metrics, which all gates of one registry share; nil publishes none.
	Registerer prometheus.Registerer
}

// Gate lets requests into a door. It is safe for concurrent use.
type Gate struct {
	known    func(string) bool
	slots    chan struct{}
	shares   Shares
	buffers  sync.Pool
	draining atomic.Bool
	log      *slog.Logger
	seldom   rate.Sometimes
	metrics  metrics
}

// New makes a Gate. The only errors are metrics of these names that somebody else has registered.
func New(o Options) (*Gate, error) {
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	if o.InFlight <= 0 {
		o.InFlight = DefaultInFlight
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Gate{
		known:   o.Known,
		slots:   make(chan struct{}, o.InFlight),
		shares:  Shares{most: max(1, o.InFlight/2), held: map[string]int{}},
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
		log:     o.Log,
		// Anybody can send nonsense: what is refused must not fill the disk with log lines.
		seldom:  rate.Sometimes{First: 20, Interval: time.Second},
		metrics: m,
	}, nil
}

// Visit is one request at a door.
type Visit struct {
	// Event is what the request is about, for metrics and log. Take may set it, once the body has told.
	Event string
	// Admit looks at the request before a byte of the body is read and says whether to go on; nil goes on.
	Admit func() (refusal Verdict, ok bool)
	// Take is given the whole body, which is no longer its own after it has returned.
	Take func(body []byte) Verdict
}

// Shares are how much of the gate each location has.
func (g *Gate) Shares() *Shares { return &g.shares }

// Drain makes each answer close its connection, so that none is open and idle when the server stops: a request sent down
// such a connection at that moment would be lost, and HighLevel does not repeat it. Requests are still taken in.
func (g *Gate) Drain() { g.draining.Store(true) }

// Serve answers a request. Only POST is taken.
func (g *Gate) Serve(w http.ResponseWriter, r *http.Request, visit *Visit) {
	start := time.Now()
	if g.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	v := g.guarded(w, r, visit)
	v.write(w)
	event := visit.Event
	if !g.known(event) {
		event = "unknown"
	}
	g.metrics.count(event, v, time.Since(start))
	g.tell(r.Context(), event, v)
}

// tell logs answers, never more than a line per second of those that anybody could provoke.
func (g *Gate) tell(ctx context.Context, event string, v Verdict) {
	if v.code == http.StatusOK {
		g.log.DebugContext(ctx, "webhook", "event", event, "answer", v.label)
		return
	}
	g.seldom.Do(func() {
		g.log.WarnContext(ctx, "webhook not accepted", "event", event, "answer", v.label, "status", v.code, "reason", v.Reason)
	})
}

// guarded turns a panic into an answer that makes the sender send again.
func (g *Gate) guarded(w http.ResponseWriter, r *http.Request, visit *Visit) (v Verdict) {
	defer func() {
		if fault := recover(); fault != nil {
			// The value of the panic may hold a piece of the body; its type and the stack hold none.
			g.log.ErrorContext(r.Context(), "panic while a webhook was taken in; it will be delivered again",
				"type", fmt.Sprintf("%T", fault), "stack", string(debug.Stack()))
			v = Later("panic", "this cannot be taken in now", WhenBack)
		}
	}()
	if r.Method != http.MethodPost {
		return Refused(http.StatusMethodNotAllowed, "method", "webhooks are sent with POST")
	}
	if visit.Admit != nil {
		if refusal, ok := visit.Admit(); !ok {
			return refusal
		}
	}
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	default:
		return Later("overloaded", "too many webhooks at once", Soon)
	}
	g.metrics.inFlight.Inc()
	defer g.metrics.inFlight.Dec()
	buffer := g.buffers.Get().(*bytes.Buffer)
	defer g.release(buffer)
	if refusal, ok := readBody(w, r, buffer); !ok {
		return refusal
	}
	return visit.Take(buffer.Bytes())
}

// release keeps a buffer for the next request, unless a large body has blown it up.
func (g *Gate) release(buffer *bytes.Buffer) {
	if buffer.Cap() > 64<<10 {
		return
	}
	buffer.Reset()
	g.buffers.Put(buffer)
}

func readBody(w http.ResponseWriter, r *http.Request, into *bytes.Buffer) (Verdict, bool) {
	tooLarge := Refused(http.StatusRequestEntityTooLarge, "too_large", "the body is larger than 1 MiB")
	if r.ContentLength > MaxBody {
		w.Header().Set("Connection", "close") // or the server would read the rest to keep the connection
		return tooLarge, false
	}
	if _, err := io.Copy(into, http.MaxBytesReader(w, r.Body, MaxBody)); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return tooLarge, false
		}
		return Later("interrupted", "the body did not arrive whole", Soon), false
	}
	return Verdict{}, true
}

// NotNow answers what could not be stored or handed to Temporal. Even what no waiting mends, a namespace that is missing
// for instance, is answered so: somebody may mend it before the sender gives up.
func (g *Gate) NotNow(ctx context.Context, event string, err error) Verdict {
	g.seldom.Do(func() {
		g.log.ErrorContext(ctx, "a webhook could not be taken in; its sender is asked to send it again", "event", event, "error", err.Error())
	})
	var exhausted *serviceerror.ResourceExhausted
	if errors.As(err, &exhausted) {
		return Later("overloaded", "too much work at once", Soon)
	}
	return Later("unavailable", "this cannot be taken in now", WhenBack)
}

// Crowded answers a location that has its share of the gate.
func Crowded() Verdict {
	return Later("location_overloaded", "too many webhooks of this location at once", Soon)
}
