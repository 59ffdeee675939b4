package transport

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the Prometheus series of all vendors. Their only labels are the vendor, the operation and the class of
// the outcome: 2xx, 3xx, 4xx, 429, 5xx, unreadable, fault (no answer) or refused (never sent).
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	waits    *prometheus.HistogramVec
}

// NewMetrics registers the series. Calling it again with the same registry gives the same series.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tallystick_vendor_requests_total",
			Help: "Calls to a vendor by operation and outcome.",
		}, []string{"vendor", "operation", "class"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tallystick_vendor_request_duration_seconds",
			Help:    "Time from sending a call to the last byte of its answer, without waiting for the rate limit.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"vendor", "operation"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tallystick_vendor_requests_in_flight",
			Help: "Calls to a vendor that are under way.",
		}, []string{"vendor"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tallystick_vendor_rate_limit_wait_seconds",
			Help:    "Time a call was held back to stay inside the vendor's rate limit.",
			Buckets: []float64{.001, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"vendor"}),
	}
	return m, errors.Join(
		register(registry, &m.requests), register(registry, &m.duration),
		register(registry, &m.inFlight), register(registry, &m.waits))
}

// register takes over what is registered already, as several clients share one registry.
func register[C prometheus.Collector](registry prometheus.Registerer, collector *C) error {
	err := registry.Register(*collector)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		existing, ok := already.ExistingCollector.(C)
		if !ok {
			return fmt.Errorf("transport: a metric of that name but another kind is registered: %w", err)
		}
		*collector = existing
		return nil
	}
	return err
}

// measure counts and times what reaches the vendor.
func (c *Client) measure(next exchange) exchange {
	m, vendor := c.config.Metrics, c.config.Vendor
	if m == nil {
		return next
	}
	inFlight := m.inFlight.WithLabelValues(vendor)
	return func(ctx context.Context, r *request) (*Response, error) {
		inFlight.Inc()
		began := time.Now()
		answer, err := next(ctx, r)
		inFlight.Dec()
		m.duration.WithLabelValues(vendor, r.Operation).Observe(time.Since(began).Seconds())
		m.requests.WithLabelValues(vendor, r.Operation, class(answer, err)).Inc()
		return answer, err
	}
}

func class(answer *Response, err error) string {
	switch {
	case errors.Is(err, ErrInvalidCall), errors.Is(err, ErrCredentials):
		return "refused"
	case answer == nil || errors.Is(err, ErrNoAnswer):
		return "fault"
	case errors.Is(err, ErrUnreadable), errors.Is(err, ErrTooLarge):
		return "unreadable"
	case answer.Status == 429:
		return "429"
	default:
		return strconv.Itoa(answer.Status/100) + "xx"
	}
}

// refused counts a call that never left. It may be called without Metrics.
func (m *Metrics) refused(vendor, operation string) {
	if m != nil {
		m.requests.WithLabelValues(vendor, operation, "refused").Inc()
	}
}
