package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// RefundStep is a part of a refund at HighLevel, which itself tells only how much of a payment was given back so far. The
// steps of a payment add up to that.
type RefundStep struct {
	// ID is that of the transaction.
	ID string
	// At is when the part was given back: of the first step the entry's At, of a later one when HighLevel last changed the
	// transaction or, where that lies not after the step before, when the change was seen.
	At time.Time
	// Amount is what was given back since the step before. It is negative where the sum fell: a refund that failed, a
	// chargeback that was won.
	Amount domain.Money
	// UpTo is what was given back in all, from this step on.
	UpTo domain.Money
}

// RefundSteps returns the steps of the refunds of some transactions, by transaction and in their order.
func (s *Store) RefundSteps(ctx context.Context, location string, ids ...string) (map[string][]RefundStep, error) {
	steps := make(map[string][]RefundStep, len(ids))
	for some := range slices.Chunk(ids, batch) {
		q := query{}
		q.WriteString("SELECT id, at, currency, minor, upto FROM refund_steps WHERE location = " + q.arg(location))
		q.WriteString(" AND id IN " + q.list(anys(some)...) + " ORDER BY id, step")
		rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
		if err != nil {
			return nil, fmt.Errorf("read the steps of refunds: %w", err)
		}
		list, err := collect(rows, scanRefundStep)
		if err != nil {
			return nil, fmt.Errorf("read the steps of refunds: %w", err)
		}
		for _, step := range list {
			steps[step.ID] = append(steps[step.ID], step)
		}
	}
	return steps, nil
}

func scanRefundStep(row scanner) (RefundStep, error) {
	var step RefundStep
	var at int64
	err := row.Scan(&step.ID, &at, &step.Amount.Currency, &step.Amount.Minor, &step.UpTo.Minor)
	step.At, step.UpTo.Currency = fromMicros(at), step.Amount.Currency
	return step, err
}

// putHistory notes what changed with entries that were just written, so that the rows are locked and the last step or state
// of each is the last. It compares what is kept with what was noted, not with what was given: entries that were older than
// what is kept have changed nothing.
func putHistory(ctx context.Context, tx *sql.Tx, entries []LedgerEntry) error {
	type group struct {
		location string
		kind     domain.EntryKind
	}
	ids := map[group][]string{}
	var groups []group // in the order in which all write
	for _, e := range entries {
		if e.Kind != domain.SubscriptionEntry && (e.Kind != domain.RefundEntry || e.Side != domain.HighLevelSide) {
			continue
		}
		of := group{e.Location, e.Kind}
		if ids[of] == nil {
			groups = append(groups, of)
		}
		ids[of] = append(ids[of], e.ID)
	}
	for _, of := range groups {
		put := putStates
		if of.kind == domain.RefundEntry {
			put = putRefundSteps
		}
		if err := put(ctx, tx, of.location, slices.Compact(ids[of])); err != nil {
			return err
		}
	}
	return nil
}

// refundNews are refunds whose sum is not the one that the last step came to, or whose first step has another time than the
// entry.
const refundNews = `SELECT e.id, e.at, e.updated_at, e.seen_at, e.currency, e.minor,
		COALESCE(l.step, 0), COALESCE(l.at, 0), COALESCE(l.currency, ''), COALESCE(l.upto, 0)
	FROM entries e LEFT JOIN refund_steps l ON l.location = e.location AND l.id = e.id
		AND l.step = (SELECT MAX(step) FROM refund_steps WHERE location = e.location AND id = e.id)
	LEFT JOIN refund_steps f ON f.location = e.location AND f.id = e.id AND f.step = 1
	WHERE e.kind = 'refund' AND e.side = 'ghl' AND e.record = ''
		AND (e.minor <> COALESCE(l.upto, 0) OR e.minor <> 0 AND e.currency <> l.currency OR e.at <> f.at)`

// refundChange is a refund as it is, and the last step of it: its number, 0 for none, and where and when it came to.
type refundChange struct {
	id                string
	at, updated, seen int64
	now               domain.Money
	step, last        int64
	before            domain.Money
}

func putRefundSteps(ctx context.Context, tx *sql.Tx, location string, ids []string) error {
	q := query{}
	q.WriteString(refundNews + " AND e.location = " + q.arg(location) + " AND e.id IN " + q.list(anys(ids)...) + " ORDER BY e.id")
	rows, err := tx.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return err
	}
	changes, err := collect(rows, func(row scanner) (c refundChange, err error) {
		err = row.Scan(&c.id, &c.at, &c.updated, &c.seen, &c.now.Currency, &c.now.Minor,
			&c.step, &c.last, &c.before.Currency, &c.before.Minor)
		return c, err
	})
	if err != nil {
		return err
	}
	for _, c := range changes {
		if err := c.put(ctx, tx, location); err != nil {
			return err
		}
	}
	return nil
}

// put adds a step. A refund that is suddenly of another currency takes back all of the one before.
func (c refundChange) put(ctx context.Context, tx *sql.Tx, location string) error {
	if c.step > 0 { // the entry's time is the first step's, also where it was corrected
		_, err := tx.ExecContext(ctx, `UPDATE refund_steps SET at = $3, month = $4 WHERE location = $1 AND id = $2 AND step = 1`,
			location, c.id, c.at, monthOf(fromMicros(c.at)))
		if err != nil {
			return err
		}
	}
	if c.step > 0 && c.before.Currency != c.now.Currency {
		nothing := domain.NewMoney(0, c.before.Currency)
		if err := c.add(ctx, tx, location, nothing); err != nil {
			return err
		}
		c.before = domain.NewMoney(0, c.now.Currency)
	}
	return c.add(ctx, tx, location, c.now)
}

// add adds a step up to a sum, if that is another than before.
func (c *refundChange) add(ctx context.Context, tx *sql.Tx, location string, upTo domain.Money) error {
	if upTo.Minor == c.before.Minor {
		return nil
	}
	since, err := upTo.Sub(domain.NewMoney(c.before.Minor, upTo.Currency))
	if err != nil {
		return err
	}
	at := c.at
	if c.step > 0 {
		if at = c.updated; at <= c.last || at > c.seen {
			at = c.seen
		}
	}
	c.step++
	_, err = tx.ExecContext(ctx, `INSERT INTO refund_steps (location, id, step, at, month, currency, minor, upto)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		location, c.id, c.step, at, monthOf(fromMicros(at)), string(upTo.Currency), since.Minor, upTo.Minor)
	return err
}

// stateNews are subscriptions that are not what their last state says, or that have none. A state holds since HighLevel or
// Sage changed the record or, where that tells nothing new, since it was seen; never since a time that is yet to come, and
// never since before the state that it follows.
const stateNews = `SELECT e.location, e.id, e.side, e.record,
		CASE WHEN e.updated_at > COALESCE(l.since, 0) AND e.updated_at <= e.seen_at THEN e.updated_at
			WHEN e.seen_at > COALESCE(l.since, 0) THEN e.seen_at ELSE COALESCE(l.since, 0) + 1 END,
		e.currency, e.minor, e.status, e.every, e.until_at, e.product_id
	FROM entries e LEFT JOIN subscription_states l
		ON l.location = e.location AND l.id = e.id AND l.side = e.side AND l.record = e.record
		AND l.since = (SELECT MAX(since) FROM subscription_states WHERE location = e.location AND id = e.id AND side = e.side AND record = e.record)
	WHERE e.kind = 'subscription' AND (l.since IS NULL OR l.currency <> e.currency OR l.minor <> e.minor OR l.status <> e.status
		OR l.every <> e.every OR l.until_at <> e.until_at OR l.product_id <> e.product_id)`

func putStates(ctx context.Context, tx *sql.Tx, location string, ids []string) error {
	q := query{}
	q.WriteString("INSERT INTO subscription_states (location, id, side, record, since, currency, minor, status, every, until_at, product_id) ")
	q.WriteString(stateNews + " AND e.location = " + q.arg(location) + " AND e.id IN " + q.list(anys(ids)...))
	_, err := tx.ExecContext(ctx, q.String(), q.args...)
	return err
}
