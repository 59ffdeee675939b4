package webhook

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/starter/intake"
	"github.com/tallystick/tallystick/workflows"
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
	Locations intake.Locations
	// Installs is nil where no app of HighLevel's marketplace is set up: then installations are ignored.
	Installs Installs
	// InFlight bounds the requests taken in at once; more are answered 429, and so is a location that has half of them
	// already. 0 means intake.DefaultInFlight.
	InFlight int
	// Log says what was refused and why, without anything of a body; nil says nothing.
	Log *slog.Logger
	// Registerer publishes the metrics; nil publishes none.
	Registerer prometheus.Registerer
}

// Handler answers webhooks. It is safe for concurrent use.
type Handler struct {
	gate      *intake.Gate
	door      Door
	keys      Keys
	locations intake.Locations
	installs  Installs
}

// New makes a Handler. The only errors are metrics of its names that somebody else has registered.
func New(o Options) (*Handler, error) {
	gate, err := intake.New(intake.Options{
		Known:    func(event string) bool { _, known := published[event]; return known },
		InFlight: o.InFlight, Log: o.Log, Registerer: o.Registerer,
	})
	if err != nil {
		return nil, err
	}
	return &Handler{gate: gate, door: o.Door, keys: o.Keys, locations: o.Locations, installs: o.Installs}, nil
}

// Register mounts the door on its two paths: /webhooks/ghl/{Event}, and /webhooks/ghl for senders that can be given one
// path only. The former is to be preferred, since invoice and price events do not say in their body what they are.
func (h *Handler) Register(mux *http.ServeMux) {
	mux.Handle("/webhooks/ghl", h)
	mux.Handle("/webhooks/ghl/{event}", h)
}

// Drain makes each intake.Verdict close its connection, see intake.Gate.
func (h *Handler) Drain() { h.gate.Drain() }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	visit := &intake.Visit{Event: r.PathValue("event")}
	visit.Admit = func() (intake.Verdict, bool) {
		_, known := published[visit.Event]
		return intake.Refused(http.StatusNotFound, "unknown_event", "HighLevel publishes no event of this name"), known || visit.Event == ""
	}
	visit.Take = func(body []byte) intake.Verdict { return h.takeIn(r, body, &visit.Event) }
	h.gate.Serve(w, r, visit)
}

// takeIn checks and hands over one event.
func (h *Handler) takeIn(r *http.Request, raw []byte, event *string) intake.Verdict {
	if err := h.keys.Verify(r.Header, raw); err != nil {
		return intake.Refused(http.StatusUnauthorized, "unauthorized", err.Error())
	}
	b, err := parseBody(raw)
	if err != nil {
		return intake.Refused(http.StatusBadRequest, "unreadable", err.Error())
	}
	if *event == "" {
		*event = string(b.Type)
	}
	switch published[*event] {
	case installEvent, uninstallEvent:
		return h.install(r.Context(), *event, b)
	case unknownEvent:
		return intake.Refused(http.StatusBadRequest, "unknown_event",
			"the body does not say which event this is: give HighLevel one URL per event, /webhooks/ghl/{Event}")
	case ignoredEvent:
		return intake.Ignored("this event cannot mean a payment")
	}
	return h.handOver(r.Context(), *event, b)
}

// handOver gives the hint to Temporal. Only an event of a connected location gets that far.
func (h *Handler) handOver(ctx context.Context, event string, b body) intake.Verdict {
	object, err := b.object()
	if err != nil {
		return intake.Refused(http.StatusBadRequest, "unreadable", err.Error())
	}
	location, err := b.location(object)
	if err != nil {
		return intake.Refused(http.StatusBadRequest, "unreadable", err.Error())
	}
	// Only now: whoever cannot sign cannot use up the share of a location.
	giveBack, ok := h.gate.Shares().Take(location)
	if !ok {
		return intake.Crowded()
	}
	defer giveBack()
	// A sender that hangs up will not send again, so its hint goes on without it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), intake.HandOver)
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
		return h.gate.NotNow(ctx, event, err)
	}
	return intake.Accepted()
}

// locate finds the connected location an event belongs to, and refuses what belongs to none. named is the one that the
// body names, if it does.
func (h *Handler) locate(ctx context.Context, named string) (location string, refusal intake.Verdict, ok bool) {
	var known, resting bool
	var err error
	if named == "" {
		if location, known, err = h.locations.Only(ctx); err == nil && !known {
			return "", intake.Refused(http.StatusBadRequest, "unreadable",
				"the body names no location, and it is not exactly one that is connected"), false
		}
	} else if known, err = h.locations.Connected(ctx, named); err == nil && !known {
		resting, err = h.locations.Resting(ctx, named)
	}
	switch {
	case err != nil:
		return "", intake.Later("unavailable", "which locations are connected cannot be told now", intake.WhenBack), false
	case resting:
		return "", intake.Ignored("this location does not work now: what happens is found when it does"), false
	case !known:
		return "", intake.Refused(http.StatusNotFound, "unknown_location", "this location is not connected here"), false
	case named != "":
		location = named
	}
	return location, intake.Verdict{}, true
}

// install takes in that the app was installed or uninstalled.
func (h *Handler) install(ctx context.Context, event string, b body) intake.Verdict {
	if h.installs == nil {
		return intake.Ignored("no app is set up here")
	}
	// Where path and body say the opposite of each other, one of them is not HighLevel's.
	if said, is := appEvents[string(b.Type)]; is && said != appEvents[event] {
		return intake.Refused(http.StatusBadRequest, "unreadable", "the body is of another event than the path")
	}
	e, err := b.installation()
	if err != nil {
		return intake.Refused(http.StatusBadRequest, "unreadable", err.Error())
	}
	giveBack, ok := h.gate.Shares().Take(cmp.Or(e.Location, e.Company))
	if !ok {
		return intake.Crowded()
	}
	defer giveBack()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), intake.HandOver)
	defer cancel()
	take := h.installs.Installed
	if appEvents[event] == uninstallEvent {
		take = h.installs.Uninstalled
	}
	switch err := take(ctx, e); {
	case err == nil:
		return intake.Accepted()
	case errors.Is(err, connections.ErrNoApp):
		return intake.Ignored("no app is set up here")
	case errors.Is(err, connections.ErrOtherApp):
		return intake.Refused(http.StatusForbidden, "other_app", "this event is about another app")
	case errors.Is(err, connections.ErrMismatch):
		return intake.Refused(http.StatusForbidden, "mismatch", "the location is known as another company's")
	default:
		return h.gate.NotNow(ctx, event, err)
	}
}
