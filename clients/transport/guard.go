package transport

import (
	"context"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Planned is a write that was refused because the client is read-only: what would have been sent.
type Planned struct {
	// Vendor, Operation and Method are those of the call.
	Vendor, Operation, Method string
	// Path is that of the call with its parameters filled in and escaped, without the base address.
	Path string
	// Query is that of the call.
	Query url.Values
	// ContentType and Body are what would have been sent, byte for byte; empty if the call has no body. The body holds
	// what the caller knows of people.
	ContentType string
	Body        []byte
}

// String names the call and holds nothing of what it says, so that a planned write can be logged.
func (p Planned) String() string { return p.Vendor + " " + p.Operation }

// plan tells Config.Planned of a refused write. Its only error is that the call itself is wrong.
func (c *Client) plan(ctx context.Context, r *request) error {
	if c.config.Planned == nil {
		return nil
	}
	body, kind, err := encode(r)
	if err != nil {
		return err
	}
	path := r.Path
	for _, name := range slices.Sorted(maps.Keys(r.PathParams)) {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(r.PathParams[name]))
	}
	err = c.config.Planned(ctx, Planned{
		Vendor: c.config.Vendor, Operation: r.Operation, Method: r.Method, Path: path, Query: r.Query, ContentType: kind, Body: body,
	})
	if err != nil {
		c.config.Logger.LogAttrs(ctx, slog.LevelWarn, "a refused write could not be recorded",
			slog.String("vendor", c.config.Vendor), slog.String("operation", r.Operation), slog.String("error", Scrub(err.Error())))
	}
	return nil
}

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
			if err := c.plan(ctx, r); err != nil {
				return nil, c.fail(r, err)
			}
			return nil, c.fail(r, ErrReadOnly)
		}
		return next(ctx, r)
	}
}

func checkCall(r *request) error {
	if r.Operation == "" || r.Method == "" {
		return wrongCall("it needs an operation and a method")
	}
	if r.Body != nil && r.Form != nil {
		return wrongCall("it has both a body and a form")
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
