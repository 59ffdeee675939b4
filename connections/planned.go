package connections

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/internal/store"
)

// PlannedRequest is what a write would have sent that READ_ONLY kept back. It is sealed in the store, for it is as
// personal as the order it comes from.
type PlannedRequest struct {
	Query url.Values      `json:"query,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
}

// OpenPlanned gives the request of a planned write.
func (d *Directory) OpenPlanned(p store.PlannedWrite) (PlannedRequest, error) {
	var request PlannedRequest
	plain, err := d.ring.OpenText(p.Request.Text, store.PlannedPurpose(p.Digest))
	if err != nil {
		return request, fmt.Errorf("open a planned write of location %s: %w", p.Location, err)
	}
	if err := json.Unmarshal(plain, &request); err != nil { // its words may quote the text
		return request, fmt.Errorf("a planned write of location %s cannot be read", p.Location)
	}
	return request, nil
}

// planner records what would have been sent for a location; nil where nothing is kept back, or nothing can be kept.
func (d *Directory) planner(location string) func(context.Context, transport.Planned) error {
	if !d.config.Orders.ReadOnly || d.store == nil {
		return nil
	}
	return func(ctx context.Context, p transport.Planned) error {
		plain, err := json.Marshal(PlannedRequest{Query: p.Query, Body: p.Body})
		if err != nil {
			return fmt.Errorf("write a planned write as JSON: %w", err)
		}
		sum := sha256.New()
		for _, part := range []string{p.Vendor, p.Operation, p.Method, p.Path, string(plain)} {
			fmt.Fprintf(sum, "%d:%s", len(part), part)
		}
		digest := hex.EncodeToString(sum.Sum(nil))
		return d.store.Plan(ctx, store.PlannedWrite{ //nolint:wrapcheck // it says what could not be kept
			Location: location, Vendor: p.Vendor, Operation: p.Operation, Method: p.Method, Path: p.Path, Digest: digest,
			Request: seal(d.ring, plain, store.PlannedPurpose(digest)),
		})
	}
}
