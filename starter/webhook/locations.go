package webhook

import "context"

// Locations tells which HighLevel locations are connected.
type Locations interface {
	// Connected tells whether events of the location are taken in. An error means that it cannot be told now.
	Connected(ctx context.Context, location string) (bool, error)
	// Only returns the connected location when there is exactly one.
	Only(ctx context.Context) (string, bool, error)
}

// One is a single connected location: the mode with a private integration token. An empty One connects none.
type One string

// Connected implements Locations.
func (o One) Connected(_ context.Context, location string) (bool, error) {
	return o != "" && location == string(o), nil
}

// Only implements Locations.
func (o One) Only(context.Context) (string, bool, error) { return string(o), o != "", nil }
