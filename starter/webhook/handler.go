package webhook

import (
	"bytes"
	"cmp"
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

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/workflows"
)

// The limits of the door.
const (
	// MaxBody is the largest body in bytes; HighLevel's samples are below ten kilobytes.
	MaxBody = 1 << 20
	// DefaultInFlight is how many requests are taken in at once unless Options say otherwise. With MaxBody it bounds the
	// memory of the door.
	DefaultInFlight = 128
	// handOver is how long Temporal may take to accept a hint.
	handOver = 5 * time.Second
	// soon and whenBack are the Retry-After of an overload and of an outage.
	soon     = 5 * time.Second
	whenBack = 30 * time.Second
)

// Door takes in hints. workflows.Door is the one that hands them to Temporal. A call that returns without an error has
// the hint stored durably.
type Door interface {
	LookAtOrder(ctx context.Context, location, order string, hint workflows.Hint) error
	LookAtInvoice(ctx context.Context, location, invoice string, hint workflows.Hint) error
}

// Installs takes in that a location or an agency has installed the app, or has uninstalled it. connections.Installer is
// the one that does. It tells of what it refuses by connections.ErrNoApp, ErrOtherApp and ErrMismatch; after any other
// error the event is asked for again.
type Installs interface {
	Installed(ctx context.Context, e connections.Event) error
	Uninstalled(ctx context.Context, e connections.Event) error
}

// Options are what a Handler is made of. Door, Keys and Locations must be set.
type Options struct {
	Door      Door
	Keys      Keys
	Locations Locations
	// Installs is nil where no app of HighLevel's marketplace is set up: then installations are ignored.
	Installs Installs
	// InFlight bounds the requests taken in at once; more are answered 429, and so is a location that has half of them
	// already. 0 means DefaultInFlight.
	InFlight int
	// Log says what was refused and why, without anything of a body; nil says nothing.
	Log *slog.Logger
	// Registerer publishes the metrics; nil publishes none.
	Registerer prometheus.Registerer
}

// Handler answers webhooks. It is safe for concurrent use.
type Handler struct {
	door      Door
	keys      Keys
	locations Locations
	installs  Installs
	slots     chan struct{}
	shares    shares
	buffers   sync.Pool
	draining  atomic.Bool
	log       *slog.Logger
	seldom    rate.Sometimes
	metrics   *metrics
}

// New makes a Handler. The only errors are metrics that are registered already.
func New(o Options) (*Handler, error) {
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
	return &Handler{
		door: o.Door, keys: o.Keys, locations: o.Locations, installs: o.Installs,
		slots:   make(chan struct{}, o.InFlight),
		shares:  shares{most: max(1, o.InFlight/2), held: map[string]int{}},
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
		log:     o.Log,
		// Anybody can send nonsense: what is refused must not fill the disk with log lines.
		seldom:  rate.Sometimes{First: 20, Interval: time.Second},
		metrics: m,
	}, nil
}

// Register mounts the door on its two paths: /webhooks/ghl/{Event}, and /webhooks/ghl for senders that can be given one
// path only. The former is to be preferred, since invoice and price events do not say in their body what they are.
func (h *Handler) Register(mux *http.ServeMux) {
	mux.Handle("/webhooks/ghl", h)
	mux.Handle("/webhooks/ghl/{event}", h)
}

// Drain makes each answer close its connection, so that none is open and idle when the server stops: a request sent down
// such a connection at that moment would be lost, and HighLevel does not repeat it. Requests are still taken in.
func (h *Handler) Drain() { h.draining.Store(true) }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	event := r.PathValue("event")
	if h.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	a := h.guarded(w, r, &event)
	a.write(w)
	h.metrics.count(event, a, time.Since(start))
	h.tell(r.Context(), event, a)
}

// tell logs answers, never more than a line per second of those that anybody could provoke.
func (h *Handler) tell(ctx context.Context, event string, a answer) {
	if _, known := published[event]; !known {
		event = "unknown"
	}
	if a.code == http.StatusOK {
		h.log.DebugContext(ctx, "webhook", "event", event, "answer", a.label)
		return
	}
	h.seldom.Do(func() {
		h.log.WarnContext(ctx, "webhook not accepted", "event", event, "answer", a.label, "status", a.code, "reason", a.Reason)
	})
}

// guarded turns a panic into an answer that makes HighLevel deliver again.
func (h *Handler) guarded(w http.ResponseWriter, r *http.Request, event *string) (a answer) {
	defer func() {
		if fault := recover(); fault != nil {
			// The value of the panic may hold a piece of the body; its type and the stack hold none.
			h.log.ErrorContext(r.Context(), "panic while a webhook was taken in; it will be delivered again",
				"type", fmt.Sprintf("%T", fault), "stack", string(debug.Stack()))
			a = later("panic", "this cannot be taken in now", whenBack)
		}
	}()
	if r.Method != http.MethodPost {
		return refused(http.StatusMethodNotAllowed, "method", "webhooks are sent with POST")
	}
	if _, known := published[*event]; *event != "" && !known {
		return refused(http.StatusNotFound, "unknown_event", "HighLevel publishes no event of this name")
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return later("overloaded", "too many webhooks at once", soon)
	}
	h.metrics.inFlight.Inc()
	defer h.metrics.inFlight.Dec()
	return h.takeIn(w, r, event)
}

// takeIn reads, checks and hands over one event.
func (h *Handler) takeIn(w http.ResponseWriter, r *http.Request, event *string) answer {
	buffer := h.buffers.Get().(*bytes.Buffer)
	defer h.release(buffer)
	if a, ok := readBody(w, r, buffer); !ok {
		return a
	}
	if err := h.keys.Verify(r.Header, buffer.Bytes()); err != nil {
		return refused(http.StatusUnauthorized, "unauthorized", err.Error())
	}
	b, err := parseBody(buffer.Bytes())
	if err != nil {
		return refused(http.StatusBadRequest, "unreadable", err.Error())
	}
	if *event == "" {
		*event = string(b.Type)
	}
	switch published[*event] {
	case installEvent, uninstallEvent:
		return h.install(r.Context(), *event, b)
	case unknownEvent:
		return refused(http.StatusBadRequest, "unknown_event",
			"the body does not say which event this is: give HighLevel one URL per event, /webhooks/ghl/{Event}")
	case ignoredEvent:
		return ignored("this event cannot mean a payment")
	}
	return h.handOver(r.Context(), *event, b)
}

// release keeps a buffer for the next request, unless a large body has blown it up.
func (h *Handler) release(buffer *bytes.Buffer) {
	if buffer.Cap() > 64<<10 {
		return
	}
	buffer.Reset()
	h.buffers.Put(buffer)
}

func readBody(w http.ResponseWriter, r *http.Request, into *bytes.Buffer) (answer, bool) {
	tooLarge := refused(http.StatusRequestEntityTooLarge, "too_large", "the body is larger than 1 MiB")
	if r.ContentLength > MaxBody {
		w.Header().Set("Connection", "close") // or the server would read the rest to keep the connection
		return tooLarge, false
	}
	if _, err := io.Copy(into, http.MaxBytesReader(w, r.Body, MaxBody)); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return tooLarge, false
		}
		return later("interrupted", "the body did not arrive whole", soon), false
	}
	return answer{}, true
}

// handOver gives the hint to Temporal. Only an event of a connected location gets that far.
func (h *Handler) handOver(ctx context.Context, event string, b body) answer {
	object, err := b.object()
	if err != nil {
		return refused(http.StatusBadRequest, "unreadable", err.Error())
	}
	location, err := b.location(object)
	if err != nil {
		return refused(http.StatusBadRequest, "unreadable", err.Error())
	}
	// Only now: whoever cannot sign cannot use up the share of a location.
	giveBack, ok := h.shares.take(location)
	if !ok {
		return later("location_overloaded", "too many webhooks of this location at once", soon)
	}
	defer giveBack()
	// A sender that hangs up will not send again, so its hint goes on without it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOver)
	defer cancel()
	location, refusal, ok := h.locate(ctx, location)
	if !ok {
		return refusal
	}
	hint := workflows.Hint{Source: workflows.FromWebhook, Event: event, EventID: b.eventID(), At: b.at()}
	look := h.door.LookAtOrder
	if published[event] == invoiceEvent {
		look = h.door.LookAtInvoice
	}
	if err := look(ctx, location, object, hint); err != nil {
		return h.notNow(ctx, event, err)
	}
	return accepted
}

// notNow answers a hint that could not be handed over. Even what no waiting mends, a namespace that is missing for
// instance, is answered so: somebody may mend it within the hour in which HighLevel delivers again.
func (h *Handler) notNow(ctx context.Context, event string, err error) answer {
	h.seldom.Do(func() {
		h.log.ErrorContext(ctx, "Temporal did not accept a webhook; HighLevel will deliver it again", "event", event, "error", err.Error())
	})
	var exhausted *serviceerror.ResourceExhausted
	if errors.As(err, &exhausted) {
		return later("overloaded", "too much work at once", soon)
	}
	return later("unavailable", "this cannot be taken in now", whenBack)
}

// locate finds the connected location an event belongs to, and refuses what belongs to none. named is the one that the
// body names, if it does.
func (h *Handler) locate(ctx context.Context, named string) (location string, refusal answer, ok bool) {
	var known, resting bool
	var err error
	if named == "" {
		if location, known, err = h.locations.Only(ctx); err == nil && !known {
			return "", refused(http.StatusBadRequest, "unreadable",
				"the body names no location, and it is not exactly one that is connected"), false
		}
	} else if known, err = h.locations.Connected(ctx, named); err == nil && !known {
		resting, err = h.locations.Resting(ctx, named)
	}
	switch {
	case err != nil:
		return "", later("unavailable", "which locations are connected cannot be told now", whenBack), false
	case resting:
		return "", ignored("this location does not work now: what happens is found when it does"), false
	case !known:
		return "", refused(http.StatusNotFound, "unknown_location", "this location is not connected here"), false
	case named != "":
		location = named
	}
	return location, answer{}, true
}

// install takes in that the app was installed or uninstalled.
func (h *Handler) install(ctx context.Context, event string, b body) answer {
	if h.installs == nil {
		return ignored("no app is set up here")
	}
	// Where path and body say the opposite of each other, one of them is not HighLevel's.
	if said, is := appEvents[string(b.Type)]; is && said != appEvents[event] {
		return refused(http.StatusBadRequest, "unreadable", "the body is of another event than the path")
	}
	e, err := b.installation()
	if err != nil {
		return refused(http.StatusBadRequest, "unreadable", err.Error())
	}
	giveBack, ok := h.shares.take(cmp.Or(e.Location, e.Company))
	if !ok {
		return later("location_overloaded", "too many webhooks of this location at once", soon)
	}
	defer giveBack()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOver)
	defer cancel()
	take := h.installs.Installed
	if appEvents[event] == uninstallEvent {
		take = h.installs.Uninstalled
	}
	switch err := take(ctx, e); {
	case err == nil:
		return accepted
	case errors.Is(err, connections.ErrNoApp):
		return ignored("no app is set up here")
	case errors.Is(err, connections.ErrOtherApp):
		return refused(http.StatusForbidden, "other_app", "this event is about another app")
	case errors.Is(err, connections.ErrMismatch):
		return refused(http.StatusForbidden, "mismatch", "the location is known as another company's")
	default:
		h.seldom.Do(func() {
			h.log.ErrorContext(ctx, "an installation could not be taken in; HighLevel will deliver it again", "event", event, "error", err.Error())
		})
		return later("unavailable", "this cannot be taken in now", whenBack)
	}
}
