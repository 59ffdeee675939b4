package observe

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallystick/tallystick/internal/store"
)

// scrapeTime bounds what a scrape may ask of the store.
const scrapeTime = 2 * time.Second

var alertsMetric = prometheus.NewDesc("tallystick_alerts",
	"What is wrong at present, by the kind of the cause and whether operators were told.", []string{"cause", "told"}, nil)

// Alerts shows the open alerts as a metric, read from the store at each scrape: all processes show the same, whichever of
// them looked last. The kind of a cause is what stands before its first slash, so that no id becomes a label.
type Alerts struct{ Store *store.Store }

// Describe implements prometheus.Collector.
func (a Alerts) Describe(out chan<- *prometheus.Desc) { out <- alertsMetric }

// Collect implements prometheus.Collector.
func (a Alerts) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	counts := map[[2]string]int{}
	for f := (store.AlertFilter{Open: true, Page: store.Page{Limit: 1000}}); ; {
		alerts, next, err := a.Store.Alerts(ctx, f)
		if err != nil {
			out <- prometheus.NewInvalidMetric(alertsMetric, err)
			return
		}
		for _, alert := range alerts {
			kind, _, _ := strings.Cut(alert.Cause, "/")
			counts[[2]string{kind, strconv.FormatBool(!alert.ToldAt.IsZero())}]++
		}
		if next == "" {
			break
		}
		f.After = next
	}
	for labels, n := range counts {
		out <- prometheus.MustNewConstMetric(alertsMetric, prometheus.GaugeValue, float64(n), labels[:]...)
	}
}
