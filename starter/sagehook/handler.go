package sagehook

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/intake"
	"github.com/tallystick/tallystick/workflows"
)

// Path is where the door is, up to the token.
const Path = "/webhooks/sage/"

// Event is the name by which the door's requests are counted, and the hints that come of them known.
const Event = "sage"

const (
	// mostOrders is how many orders of one request are followed; somebody who changes more at once waits for the sweep.
	mostOrders = 100
	// orderPrefix begins the external id of a sales order of ours.
	orderPrefix = "ghl:order:"
)

// Door takes in that the fulfilment of an order should be looked at. workflows.Door is the one that hands that to Temporal.
type Door interface {
	LookAtFulfillment(ctx context.Context, location, order string, hint workflows.Hint) error
}

// Books know the orders in Sage by their HighLevel id. *store.Store does.
type Books interface {
	OrdersByID(ctx context.Context, orderID string) ([]store.OrderRecord, error)
}

// Options are what a Handler is made of. Token, Door, Books and Locations must be set.
type Options struct {
	Token     secret.Text
	Door      Door
	Books     Books
	Locations intake.Locations
	// InFlight, Log and Registerer are as those of intake.Options.
	InFlight   int
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Handler answers hooks. It is safe for concurrent use.
type Handler struct {
	gate    *intake.Gate
	options Options
}

// New makes a Handler. The only errors are metrics of its names that somebody else has registered.
func New(o Options) (*Handler, error) {
	gate, err := intake.New(intake.Options{
		Known: func(event string) bool { return event == Event }, InFlight: o.InFlight, Log: o.Log, Registerer: o.Registerer,
	})
	return &Handler{gate: gate, options: o}, err
}

// Register mounts the door.
func (h *Handler) Register(mux *http.ServeMux) { mux.Handle("/webhooks/sage/{token}", h) }

// Drain makes each answer close its connection, see intake.Gate.
func (h *Handler) Drain() { h.gate.Drain() }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.gate.Serve(w, r, &intake.Visit{
		Event: Event,
		Admit: func() (intake.Verdict, bool) {
			refusal := intake.Refused(http.StatusUnauthorized, "unauthorized", "this is not the address that hooks are sent to")
			return refusal, secret.SameToken(r.PathValue("token"), h.options.Token.Reveal())
		},
		Take: func(raw []byte) intake.Verdict { return h.takeIn(r.Context(), raw) },
	})
}

func (h *Handler) takeIn(ctx context.Context, raw []byte) intake.Verdict {
	orders, err := ordersOf(raw)
	if err != nil {
		return intake.Refused(http.StatusBadRequest, "unreadable", err.Error())
	}
	if len(orders) == 0 {
		return intake.Ignored("none of these records stands for a HighLevel order")
	}
	// A sender that hangs up may not send again, so its hints go on without it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), intake.HandOver)
	defer cancel()
	told, err := h.handOver(ctx, orders)
	switch {
	case err != nil:
		return h.gate.NotNow(ctx, Event, err)
	case told == 0:
		return intake.Ignored("none of these orders is in the books of a location that works")
	}
	return intake.Accepted()
}

// handOver has the fulfilments of the orders looked at, in each location that has an order of that id in its books.
func (h *Handler) handOver(ctx context.Context, orders []string) (told int, err error) {
	hint := workflows.Hint{Source: workflows.FromWebhook, Event: Event, At: time.Now().UTC()}
	for _, order := range orders {
		rows, err := h.options.Books.OrdersByID(ctx, order)
		if err != nil {
			return told, err
		}
		for _, row := range rows {
			works, err := h.options.Locations.Connected(ctx, row.Location)
			if err != nil {
				return told, err
			}
			if !works {
				continue // what happens meanwhile is found when it does
			}
			if err := h.options.Door.LookAtFulfillment(ctx, row.Location, row.OrderID, hint); err != nil {
				return told, err
			}
			told++
		}
	}
	return told, nil
}

// ordersOf are the HighLevel orders for which the records stand, each once and at most mostOrders of them. A record of
// another entity, or one that somebody made by hand, has no external id of ours.
func ordersOf(raw []byte) ([]string, error) {
	records, err := sage.ReadHook(raw)
	if err != nil {
		return nil, errors.New("the body is not a JSON array of records")
	}
	found := map[string]bool{}
	for _, record := range records {
		id, ours := strings.CutPrefix(record.ExtID, orderPrefix)
		if ours && intake.CheckID(id) == nil && len(found) < mostOrders {
			found[id] = true
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}
