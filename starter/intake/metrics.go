package intake

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count by event and answer. All gates of a registry count in the same ones.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (m metrics, err error) {
	m.requests, err = register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tallystick_webhooks_total", Help: "Webhooks by event and answer: HighLevel's events by name, delivery and sage.",
	}, []string{"event", "answer"}))
	if err != nil {
		return m, err
	}
	m.seconds, err = register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "tallystick_webhook_seconds", Help: "Time from the head of a webhook to its answer, by answer.",
		Buckets: []float64{.001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"answer"}))
	if err != nil {
		return m, err
	}
	m.inFlight, err = register(r, prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tallystick_webhooks_in_flight", Help: "Webhooks being taken in at this moment.",
	}))
	return m, err
}

// register publishes a collector, or finds the one that another gate has published.
func register[C prometheus.Collector](r prometheus.Registerer, c C) (C, error) {
	if r == nil {
		return c, nil
	}
	err := r.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		if same, ok := there.ExistingCollector.(C); ok {
			return same, nil
		}
	}
	return c, err
}

func (m metrics) count(event string, v Verdict, took time.Duration) {
	m.requests.WithLabelValues(event, v.label).Inc()
	m.seconds.WithLabelValues(v.label).Observe(took.Seconds())
}
