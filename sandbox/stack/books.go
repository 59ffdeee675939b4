package stack

import (
	"context"
	"time"

	"github.com/tallystick/tallystick/internal/books"
)

// Books compares what the ledger has of both sides, as `starter diff` does, and lists the differences. None is too young to
// count.
func (s *Stack) Books(ctx context.Context) (books.Summary, []books.Row, error) {
	var differences []books.Row
	sum, err := books.Compare(ctx, s.Store, books.Query{Location: s.Location(), Now: time.Now().UTC()}, func(r books.Row) error {
		differences = append(differences, r)
		return nil
	})
	return sum, differences, err
}
