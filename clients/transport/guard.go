package transport

import (
	"context"
	"log/slog"
	"strings"
)

// guard refuses a call that must not leave: a write of a read-only client, and a path that would address something
// else than was meant.
func (c *Client) guard(next exchange) exchange {
	return func(ctx context.Context, r *request) (*Response, error) {
		if err := checkCall(r); err != nil {
			return nil, c.fail(r, err)
		}
		if r.Write && c.config.ReadOnly {
			c.config.Logger.LogAttrs(ctx, slog.LevelInfo, "write refused: read-only",
				slog.String("vendor", c.config.Vendor), slog.String("operation", r.Operation))
			c.config.Metrics.refused(c.config.Vendor, r.Operation)
			return nil, c.fail(r, ErrReadOnly)
		}
		return next(ctx, r)
	}
}

func checkCall(r *request) error {
	if r.Operation == "" || r.Method == "" {
		return wrongCall("it needs an operation and a method")
	}
	if !strings.HasPrefix(r.Path, "/") || strings.HasPrefix(r.Path, "//") || strings.ContainsAny(r.Path, "?#") {
		return wrongCall("the path must begin with one slash and hold no query")
	}
	for name, value := range r.PathParams {
		// Dots survive escaping, and a server that cleans paths would climb out of the collection.
		if value == "" || value == "." || value == ".." {
			return wrongCall("path parameter %s is empty or dots", name)
		}
	}
	if strings.Count(r.Path, "{") != len(r.PathParams) {
		return wrongCall("the path parameters given are not those of the path")
	}
	return nil
}
