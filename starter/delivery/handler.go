package delivery

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/intake"
	"github.com/tallystick/tallystick/workflows"
)

// Path is where the door is.
const Path = "/webhooks/delivery"

// Event is the name by which the door's requests are counted, and the hints that come of them known.
const Event = "delivery"

// Door takes in that the fulfilment of an order should be looked at. workflows.Door is the one that hands that to Temporal.
type Door interface {
	LookAtFulfillment(ctx context.Context, location, order string, hint workflows.Hint) error
}

// Books keep what was told, and know which orders it is about. *store.Store does.
type Books interface {
	PutDeliveryNews(ctx context.Context, news store.DeliveryNews) error
	OrdersOfTracking(ctx context.Context, location, trackingKey string) ([]string, error)
	Order(ctx context.Context, location, orderID string) (store.OrderRecord, bool, error)
}

// Options are what a Handler is made of. Secret, Door, Books and Locations must be set.
type Options struct {
	Secret    secret.Text
	Door      Door
	Books     Books
	Locations intake.Locations
	// InFlight, Log and Registerer are as those of intake.Options.
	InFlight   int
	Log        *slog.Logger
	Registerer prometheus.Registerer
	// Now is the clock by which signatures are judged; nil is time.Now.
	Now func() time.Time
}

// Handler answers requests. It is safe for concurrent use.
type Handler struct {
	gate    *intake.Gate
	options Options
}

// New makes a Handler. The only errors are metrics of its names that somebody else has registered.
func New(o Options) (*Handler, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	gate, err := intake.New(intake.Options{
		Known: func(event string) bool { return event == Event }, InFlight: o.InFlight, Log: o.Log, Registerer: o.Registerer,
	})
	return &Handler{gate: gate, options: o}, err
}

// Register mounts the door.
func (h *Handler) Register(mux *http.ServeMux) { mux.Handle("/webhooks/delivery", h) }

// Drain makes each answer close its connection, see intake.Gate.
func (h *Handler) Drain() { h.gate.Drain() }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.gate.Serve(w, r, &intake.Visit{Event: Event, Take: func(raw []byte) intake.Verdict { return h.takeIn(r, raw) }})
}

func (h *Handler) takeIn(r *http.Request, raw []byte) intake.Verdict {
	now := h.options.Now().UTC()
	if err := Verify(h.options.Secret.Reveal(), r.Header, raw, now); err != nil {
		return intake.Refused(http.StatusUnauthorized, "unauthorized", err.Error())
	}
	news, err := parse(raw, now)
	if err != nil {
		return intake.Refused(http.StatusBadRequest, "unreadable", err.Error())
	}
	// Only now: whoever cannot sign cannot use up the share of a location.
	giveBack, ok := h.gate.Shares().Take(news.Location)
	if !ok {
		return intake.Crowded()
	}
	defer giveBack()
	// A sender that hangs up may not send again, so its news goes on without it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), intake.HandOver)
	defer cancel()
	resting, refusal, ok := h.locate(ctx, &news)
	if !ok {
		return refusal
	}
	return h.keep(ctx, news, now, resting)
}

// locate finds the connected location that the news is of, and refuses what belongs to none.
func (h *Handler) locate(ctx context.Context, news *News) (resting bool, refusal intake.Verdict, ok bool) {
	if news.Location == "" {
		only, one, err := h.options.Locations.Only(ctx)
		switch {
		case err != nil:
			return false, h.gate.NotNow(ctx, Event, err), false
		case !one:
			return false, intake.Refused(http.StatusBadRequest, "unreadable",
				"location: must be named, as it is not exactly one that is connected"), false
		}
		news.Location = only
		return false, intake.Verdict{}, true
	}
	known, err := h.options.Locations.Connected(ctx, news.Location)
	if err == nil && !known {
		resting, err = h.options.Locations.Resting(ctx, news.Location)
	}
	switch {
	case err != nil:
		return false, h.gate.NotNow(ctx, Event, err), false
	case !known && !resting:
		return false, intake.Refused(http.StatusNotFound, "unknown_location", "this location is not connected here"), false
	}
	return resting, intake.Verdict{}, true
}

// keep stores the news before anything else: nobody tells it twice, and the sweep finds what was not followed.
func (h *Handler) keep(ctx context.Context, news News, now time.Time, resting bool) intake.Verdict {
	row := store.DeliveryNews{
		Location: news.Location, OrderID: news.Order, Tracking: news.Tracking, State: news.State, At: news.At, ReceivedAt: now, Source: Event,
	}
	if err := h.options.Books.PutDeliveryNews(ctx, row); err != nil {
		return h.gate.NotNow(ctx, Event, err)
	}
	if resting {
		return intake.Kept("kept until its location works again")
	}
	orders, err := Orders(ctx, h.options.Books, news)
	switch {
	case err != nil:
		return h.gate.NotNow(ctx, Event, err)
	case len(orders) == 0 && news.Order != "":
		return intake.Kept("kept until this order is in the books")
	case len(orders) == 0:
		return intake.Kept("kept until its shipment is known")
	}
	for _, order := range orders {
		hint := workflows.Hint{Source: workflows.FromWebhook, Event: Event, At: news.At}
		if err := h.options.Door.LookAtFulfillment(ctx, news.Location, order, hint); err != nil {
			return h.gate.NotNow(ctx, Event, err)
		}
	}
	return intake.Accepted()
}

// Orders are the orders in the books that news is about: the one it names, or all whose goods travel under its number.
func Orders(ctx context.Context, books Books, news News) ([]string, error) {
	if news.Tracking != "" {
		orders, err := books.OrdersOfTracking(ctx, news.Location, news.Tracking)
		return slices.Compact(slices.SortedFunc(slices.Values(orders), cmp.Compare)), err
	}
	_, found, err := books.Order(ctx, news.Location, news.Order)
	if err != nil || !found {
		return nil, err
	}
	return []string{news.Order}, nil
}
