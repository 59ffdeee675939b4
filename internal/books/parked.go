package books

import (
	"context"
	"unique"

	"github.com/tallystick/tallystick/internal/store"
)

// parkedItem is why something is parked. What thousands are parked for is mostly the same, and held once.
type parkedItem struct{ process, kind, reason unique.Handle[string] }

// readParked reads what is parked in a location, by the object's id. HighLevel's ids are one of a kind, whatever they are
// of. What only the shipping of an order is parked for keeps no money out of the books.
func readParked(ctx context.Context, s *store.Store, location string) (map[string]parkedItem, error) {
	parked := map[string]parkedItem{}
	filter := store.ParkedFilter{Location: location, Page: store.Page{Limit: 1000}}
	for {
		items, next, err := s.ParkedItems(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, p := range items {
			if p.Process != store.Fulfillment {
				parked[p.ObjectID] = parkedItem{unique.Make(p.Process), unique.Make(p.Kind), unique.Make(p.Reason)}
			}
		}
		if filter.After = next; next == "" {
			return parked, nil
		}
	}
}
