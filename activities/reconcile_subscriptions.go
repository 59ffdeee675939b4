package activities

import "context"

// BringSubscriptions makes one opportunity of each subscription, by external id.
func (a *Sage) BringSubscriptions(ctx context.Context, in BringBooksInput) (BringBooksResult, error) {
	ctx, stop := alive(ctx)
	defer stop()
	s := &subscriptionsRun{booksRun: booksRun{sage: a, in: in}}
	err := s.run(ctx)
	return s.result, a.fail(ctx, s.conn.settles(err))
}
