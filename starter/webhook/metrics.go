package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count by event and answer. The event is a published name or "unknown", so that a caller cannot make labels.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tallystick_webhooks_total", Help: "Webhooks by HighLevel event and answer.",
		}, []string{"event", "answer"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tallystick_webhook_seconds", Help: "Time from the head of a webhook to its answer, by answer.",
			Buckets: []float64{.001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"answer"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tallystick_webhooks_in_flight", Help: "Webhooks being taken in at this moment.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.inFlight} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) count(event string, a answer, took time.Duration) {
	if _, known := published[event]; !known {
		event = "unknown"
	}
	m.requests.WithLabelValues(event, a.label).Inc()
	m.seconds.WithLabelValues(a.label).Observe(took.Seconds())
}
