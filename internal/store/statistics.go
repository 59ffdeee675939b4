package store

import "context"

// countEvery is after how many rows of the ledger its statistics are renewed. Renewing them takes well under a second.
const countEvery = 20_000

// countRows renews the statistics of the ledger now and then. A server does that by itself some minutes after many rows
// came, which is too late for a first backfill: until then PostgreSQL takes each table for an empty one.
func (s *Store) countRows(ctx context.Context, n int) {
	if s.uncounted.Add(int64(n)) >= countEvery {
		s.countLedger(ctx)
	}
}

// countLedger has the database count what the ledger holds, by which it plans how to look things up. That is a matter of
// speed only, so a failure is logged and is nobody's error.
func (s *Store) countLedger(ctx context.Context) {
	s.uncounted.Store(0)
	// The mask has SQLite look at all tables, not only at those that this connection has read from.
	statement := `PRAGMA optimize = 0x10002`
	if s.dialect == postgres {
		statement = `ANALYZE entries, refund_steps, subscription_states, orders, order_products`
	}
	if _, err := s.write.ExecContext(ctx, statement); err != nil {
		s.log.WarnContext(ctx, "the database's statistics of the ledger were not renewed; reports may be slow", "error", err.Error())
	}
}
