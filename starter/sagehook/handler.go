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
	"github.com/tallystick/tallystick/domain"
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
)

// Door takes in that the fulfilment of an order should be looked at. workflows.Door is the one that hands that to Temporal.
type Door interface {
	LookAtFulfillment(ctx context.Context, location, order string, hint workflows.Hint) error
}

// Books know the orders in Sage by their HighLevel id, and what was agreed on their shipping. *store.Store does.
type Books interface {
	OrdersByID(ctx context.Context, orderID string) ([]store.OrderRecord, error)
	Fulfillment(ctx context.Context, location, orderID string) (store.FulfillmentRecord, bool, error)
}

// Options are what a Handler is made of. Token, Door, Books, Locations and Fields must be set.
type Options struct {
	Token     secret.Text
	Door      Door
	Books     Books
	Locations intake.Locations
	// Fields gives the names of the extra fields for state and tracking numbers in the tenant of a location.
	Fields func(ctx context.Context, location string) (state, trackings string, err error)
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
	records, err := ordersOf(raw)
	if err != nil {
		return intake.Refused(http.StatusBadRequest, "unreadable", err.Error())
	}
	if len(records) == 0 {
		return intake.Ignored("none of these records stands for a HighLevel order")
	}
	// A sender that hangs up may not send again, so its hints go on without it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), intake.HandOver)
	defer cancel()
	told, err := h.handOver(ctx, records)
	switch {
	case err != nil:
		return h.gate.NotNow(ctx, Event, err)
	case told == 0:
		return intake.Ignored("none of these orders is in the books of a location that works and says anything new of its shipping")
	}
	return intake.Accepted()
}

// handOver has the fulfilments of the orders looked at, in each location that has an order of that id in its books.
func (h *Handler) handOver(ctx context.Context, records map[string]sage.HookRecord) (told int, err error) {
	hint := workflows.Hint{Source: workflows.FromWebhook, Event: Event, At: time.Now().UTC()}
	for _, order := range slices.Sorted(maps.Keys(records)) {
		rows, err := h.options.Books.OrdersByID(ctx, order)
		if err != nil {
			return told, err
		}
		for _, row := range rows {
			news, err := h.isNews(ctx, row.Location, order, records[order])
			if err != nil {
				return told, err
			}
			if !news {
				continue
			}
			if err := h.options.Door.LookAtFulfillment(ctx, row.Location, order, hint); err != nil {
				return told, err
			}
			told++
		}
	}
	return told, nil
}

// isNews tells whether an order should be looked at: its location works, and the record says something else than what was
// agreed. Our own writes come back as hooks too, and most of them say just that. It is no more than a saving: a hook that is
// forged can keep nothing from the sweep, and one about an earlier state is followed by the one about the present.
func (h *Handler) isNews(ctx context.Context, location, order string, record sage.HookRecord) (bool, error) {
	works, err := h.options.Locations.Connected(ctx, location)
	if err != nil || !works {
		return false, err // what happens while it does not work is found when it does
	}
	state, trackings, err := h.options.Fields(ctx, location)
	if err != nil || !record.Extra.Has(state) {
		return err == nil, err
	}
	row, known, err := h.options.Books.Fulfillment(ctx, location, order)
	if err != nil {
		return false, err
	}
	agreed := row.Agreed
	if !known { // a new order, the lifecycle of which begins like this
		agreed.State = string(domain.FulfillmentCreated)
	}
	return record.Extra.Text(state) != agreed.State || record.Extra.Text(trackings) != agreed.Trackings, nil
}

// ordersOf are the records by the HighLevel orders for which they stand, at most mostOrders of them; of several about one
// order it is the last. A record of another entity, or one that somebody made by hand, has no external id of ours.
func ordersOf(raw []byte) (map[string]sage.HookRecord, error) {
	records, err := sage.ReadHook(raw)
	if err != nil {
		return nil, errors.New("the body is not a JSON array of records")
	}
	found := map[string]sage.HookRecord{}
	for _, record := range records {
		id, ours := strings.CutPrefix(record.ExtID, domain.OrderExtIDPrefix)
		if ours && intake.CheckID(id) == nil && len(found) < mostOrders {
			found[id] = record
		}
	}
	return found, nil
}
