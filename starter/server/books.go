package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallystick/tallystick/internal/store"
)

// booksTime bounds what a scrape may ask of the store.
const booksTime = 2 * time.Second

var (
	ordersMetric   = prometheus.NewDesc("tallystick_orders", "Orders in Sage by the state of their payment.", []string{"state"}, nil)
	shippingMetric = prometheus.NewDesc("tallystick_fulfillments",
		"Orders whose shipping is followed, by how far their goods have come.", []string{"state"}, nil)
	parkedMetric = prometheus.NewDesc("tallystick_parked", "Orders that cannot be carried out, by the kind of the reason.", []string{"kind"}, nil)
	latestMetric = prometheus.NewDesc("tallystick_last_order_timestamp_seconds", "When an order was last brought into Sage.", nil, nil)
	cursorMetric = prometheus.NewDesc("tallystick_cursor_timestamp_seconds",
		"How far each sweep has come. One that falls behind means that sweeps fail.", []string{"location", "cursor"}, nil)
)

// Books shows what is in step and what is not as metrics, read from the store at each scrape. Alerts are made of them:
// they do not depend on the workers, which may be what has failed.
type Books struct{ Store *store.Store }

// Describe implements prometheus.Collector.
func (b Books) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ordersMetric, shippingMetric, parkedMetric, latestMetric, cursorMetric} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (b Books) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), booksTime)
	defer cancel()
	overview, err := b.Store.Overview(ctx, "")
	if err != nil {
		out <- prometheus.NewInvalidMetric(parkedMetric, err)
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for state, n := range overview.Orders {
		gauge(ordersMetric, float64(n), string(state))
	}
	for state, n := range overview.Fulfillments {
		gauge(shippingMetric, float64(n), string(state))
	}
	for kind, n := range overview.Parked {
		gauge(parkedMetric, float64(n), kind)
	}
	if !overview.LastBroughtAt.IsZero() {
		gauge(latestMetric, float64(overview.LastBroughtAt.Unix()))
	}
	for _, c := range overview.Cursors {
		gauge(cursorMetric, float64(c.At.Unix()), c.Location, c.Name)
	}
}
