package transport

import (
	"context"
	"log/slog"
	"time"
)

// log writes one line per call at debug level. It names the operation and never the address, the query, a header or a
// body, because those hold what a log must not.
func (c *Client) log(next exchange) exchange {
	return func(ctx context.Context, r *request) (*Response, error) {
		if !c.config.Logger.Enabled(ctx, slog.LevelDebug) {
			return next(ctx, r)
		}
		began := time.Now()
		answer, err := next(ctx, r)
		attrs := []slog.Attr{
			slog.String("vendor", c.config.Vendor),
			slog.String("operation", r.Operation),
			slog.Duration("duration", time.Since(began)),
		}
		if answer != nil {
			attrs = append(attrs, slog.Int("status", answer.Status))
		}
		if e := AsError(err); e != nil {
			attrs = append(attrs, slog.String("error", e.Error()))
			if e.TraceID != "" {
				attrs = append(attrs, slog.String("vendor_trace_id", e.TraceID))
			}
		}
		c.config.Logger.LogAttrs(ctx, slog.LevelDebug, "vendor call", attrs...)
		return answer, err
	}
}
