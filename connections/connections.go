// Package connections knows which clients belong to a location: its HighLevel account, its Sage tenant and how that
// tenant is set up. Worker and starter ask it; it is the only place where configuration becomes clients.
//
// It holds no credentials of its own and sends nothing: the clients log in when they are first used. At present there
// is one location, the environment's.
package connections

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/config"
)

// callTimeout bounds one call to a vendor. A claim on a record that is being made outlasts it.
const callTimeout = 20 * time.Second

// Watch is how calls to vendors are seen from outside; each may be nil.
type Watch struct {
	Logger  *slog.Logger
	Metrics *transport.Metrics
	Tracer  trace.Tracer
}

// Directory gives the clients of each connected location.
type Directory struct {
	location string
	ghl      *ghl.Client
	sage     *sage.Client
	settings activities.SageSettings
}

// Open makes the clients of the environment's location.
func Open(cfg config.Config, watch Watch) (*Directory, error) {
	from, err := ghl.New(ghl.Options{
		BaseURL: string(cfg.GHL.BaseURL), LocationID: cfg.GHL.LocationID,
		TokenSource: ghl.StaticToken(cfg.GHL.PrivateToken.Reveal()), Limiter: ghlLimiter(cfg.GHL.RequestsPer10Seconds),
		Timeout: callTimeout, Logger: watch.Logger, Metrics: watch.Metrics, Tracer: watch.Tracer, ReadOnly: cfg.Orders.ReadOnly,
	})
	if err != nil {
		return nil, fmt.Errorf("set up HighLevel: %w", err)
	}
	into, err := sage.New(sage.Options{
		BaseURL: string(cfg.Sage.BaseURL), PublicKey: cfg.Sage.PublicKey.Reveal(), PrivateKey: cfg.Sage.PrivateKey.Reveal(),
		RequestsPerSecond: cfg.Sage.RequestsPerSecond, Timeout: callTimeout,
		Logger: watch.Logger, Metrics: watch.Metrics, Tracer: watch.Tracer, ReadOnly: cfg.Orders.ReadOnly,
	})
	if err != nil {
		return nil, fmt.Errorf("set up Sage: %w", err)
	}
	settings, err := sageSettings(cfg)
	if err != nil {
		return nil, err
	}
	return &Directory{location: cfg.GHL.LocationID, ghl: from, sage: into, settings: settings}, nil
}

// ghlBurst is how many calls may bunch up: the two by which an order is read. More of them would have to be taken off
// the steady pace, and with the last call of an interval spent everything waits for its end.
const ghlBurst = 2

// ghlLimiter paces calls so that no ten seconds, wherever they begin, see more than the configured number.
func ghlLimiter(per10Seconds int) transport.Limiter {
	return ghl.NewLimiterAt(float64(max(per10Seconds-ghlBurst, 1))/10, ghlBurst)
}

// Locations are the connected locations.
func (d *Directory) Locations() []string { return []string{d.location} }

// Connected tells whether a location is connected here.
func (d *Directory) Connected(location string) bool { return location == d.location }

// GHL is the HighLevel client of a location.
func (d *Directory) GHL(_ context.Context, location string) (*ghl.Client, error) {
	if !d.Connected(location) {
		return nil, notConnected(location)
	}
	return d.ghl, nil
}

// Sage is the client of the tenant that belongs to a location, and how it is set up.
func (d *Directory) Sage(_ context.Context, location string) (*sage.Client, activities.SageSettings, error) {
	if !d.Connected(location) {
		return nil, activities.SageSettings{}, notConnected(location)
	}
	return d.sage, d.settings, nil
}

func notConnected(location string) error {
	return &activities.Fault{Kind: activities.Mapping,
		Words: fmt.Sprintf("location %s is not connected here; GHL_LOCATION_ID says which one is", location)}
}

func sageSettings(cfg config.Config) (activities.SageSettings, error) {
	s := activities.SageSettings{
		BranchID: cfg.Sage.BranchID, SalesRepID: cfg.Sage.SalesRepID,
		OpenStatus: cfg.Sage.StatusOpen, WonStatus: cfg.Sage.StatusWon, RefundedStatus: cfg.Sage.StatusRefunded,
		TaxProduct: cfg.Sage.TaxProductID, ShippingProd: cfg.Sage.ShippingProductID,
		FieldPrefix: cfg.Sage.ExtraFieldPrefix, FieldNames: cfg.Sage.ExtraFields,
		MatchOpenWithin:     cfg.Orders.MatchOpenWithin,
		ReplaceAdoptedLines: cfg.Orders.AdoptedLines == config.ReplaceLines,
		Settle:              cfg.Sage.SettleDelay,
		Defaults:            make(map[string]map[string]any, len(cfg.Sage.DefaultFields)),
	}
	for resource, fields := range cfg.Sage.DefaultFields {
		s.Defaults[resource] = make(map[string]any, len(fields))
		for name, value := range fields {
			field, err := defaultField(value)
			if err != nil {
				return s, fmt.Errorf("SAGE_DEFAULT_FIELDS, %s of %s: %w", name, resource, err)
			}
			s.Defaults[resource][name] = field
		}
	}
	return s, nil
}

// defaultField gives a configured value the type in which the client writes it. A whole number may be the id of a list
// entry, which the client takes as such.
func defaultField(value any) (any, error) {
	switch v := value.(type) {
	case string, bool:
		return v, nil
	case json.Number:
		number := domain.Number(v)
		if id, whole := number.Int64(); whole && id <= math.MaxInt32 {
			return id, nil
		}
		return number, nil
	}
	return nil, fmt.Errorf("it must be a text, a number, true or false")
}
