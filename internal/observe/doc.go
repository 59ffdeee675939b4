// Package observe makes what a process shows of itself: a logger that lets nothing secret or personal through, a
// registry of Prometheus metrics with the listener that serves it, and a tracer provider.
//
// It sets nothing global but OpenTelemetry's error handler, which has no other place. The mains of worker, starter and
// sandbox call it once each and pass on what they get.
package observe
