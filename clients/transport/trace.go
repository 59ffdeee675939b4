package transport

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// trace makes one span per call, named after the operation. Waiting for the rate limit is part of it.
func (c *Client) trace(next exchange) exchange {
	if c.config.Tracer == nil {
		return next
	}
	return func(ctx context.Context, r *request) (*Response, error) {
		ctx, span := c.config.Tracer.Start(ctx, r.Operation, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(
				attribute.String("peer.service", c.config.Vendor),
				attribute.String("http.request.method", r.Method),
			))
		defer span.End()
		answer, err := next(ctx, r)
		if answer != nil {
			span.SetAttributes(attribute.Int("http.response.status_code", answer.Status))
		}
		if e := AsError(err); e != nil {
			if e.TraceID != "" {
				span.SetAttributes(attribute.String("vendor.trace_id", e.TraceID))
			}
			span.SetStatus(codes.Error, e.Error())
		}
		return answer, err
	}
}
