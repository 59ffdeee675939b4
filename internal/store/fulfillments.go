package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// FulfillmentRecord is the lifecycle of one order's goods: the state of record, from which a pass goes on.
type FulfillmentRecord struct {
	Location, OrderID string
	// SageID is the sales order at Sage.
	SageID    int64
	Lifecycle domain.Fulfillment
	// Closed tells that the lifecycle is not followed any more: it has ended, or it has become too old.
	Closed bool
	// Partial tells that some of the goods were sent and others remain.
	Partial bool
	// SourceWord is HighLevel's fulfillmentStatus as last read.
	SourceWord string
	// Agreed is what we last wrote to Sage, or found there as it should be.
	Agreed AgreedFulfillment
	// PaidAt is when the order was paid, OpenedAt when the lifecycle was opened, ChangedAt when it last changed, and
	// CheckedAt when both sides were last read for it.
	PaidAt, OpenedAt, ChangedAt, CheckedAt time.Time
	// Version grows with each change. SaveFulfillment compares it.
	Version int64
}

// AgreedFulfillment holds Sage's fields of a lifecycle. What a later reading finds otherwise was set by people.
type AgreedFulfillment struct {
	// State, Trackings and IDs are the texts of the fields.
	State     string `json:"state,omitempty"`
	Trackings string `json:"trackings,omitempty"`
	IDs       string `json:"ids,omitempty"`

	ShippedAt   time.Time `json:"shippedAt,omitzero"`
	DeliveredAt time.Time `json:"deliveredAt,omitzero"`
}

const fulfillmentColumns = `location, order_id, sage_id, state, lifecycle, closed, partial, source_word, agreed,
	paid_at, opened_at, changed_at, checked_at, version`

// Fulfillment returns the lifecycle of an order, and false when there is none.
func (s *Store) Fulfillment(ctx context.Context, location, orderID string) (FulfillmentRecord, bool, error) {
	row := s.read.QueryRowContext(ctx,
		`SELECT `+fulfillmentColumns+` FROM fulfillments WHERE location = $1 AND order_id = $2`, location, orderID)
	rec, found, err := one(row, scanFulfillment)
	if err != nil {
		return FulfillmentRecord{}, false, fmt.Errorf("read the fulfilment of order %s: %w", orderID, err)
	}
	return rec, found, nil
}

// OpenFulfillment enters a lifecycle, and tells whether it did: one that is there already stays as it is, also a closed
// one. The version that it then has is 1, whatever rec says.
func (s *Store) OpenFulfillment(ctx context.Context, rec FulfillmentRecord) (bool, error) {
	var opened bool
	err := s.inTx(ctx, func(tx *sql.Tx) (err error) {
		if opened, err = insertFulfillment(ctx, tx, rec); err != nil || !opened {
			return err
		}
		return putTrackings(ctx, tx, rec)
	})
	if err != nil {
		return false, fmt.Errorf("open the fulfilment of order %s: %w", rec.OrderID, err)
	}
	return opened, nil
}

// SaveFulfillment keeps what a pass has come to, in one transaction: the lifecycle, the steps that teams are yet to be
// told of (those that are known already stay as they are), the delivery news that were applied, and which order its
// trackings belong to. It also takes the order off the parked items of Fulfillment.
//
// A record of version 0 is entered. Any other replaces the one of its version; it returns ErrChanged, and changes
// nothing, when that is not the stored one. The record comes back with its new version.
func (s *Store) SaveFulfillment(
	ctx context.Context, rec FulfillmentRecord, steps []domain.FulfillmentStep, applied []DeliveryNews,
) (FulfillmentRecord, error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if err := putFulfillment(ctx, tx, rec); err != nil {
			return err
		}
		if err := putTrackings(ctx, tx, rec); err != nil {
			return err
		}
		if err := addSteps(ctx, tx, rec, steps); err != nil {
			return err
		}
		if err := markApplied(ctx, tx, applied); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, deleteParked, rec.Location, Fulfillment, rec.OrderID)
		return err
	})
	if err != nil {
		return FulfillmentRecord{}, fmt.Errorf("keep the fulfilment of order %s: %w", rec.OrderID, err)
	}
	rec.Version++
	return rec, nil
}

func putFulfillment(ctx context.Context, tx *sql.Tx, rec FulfillmentRecord) error {
	if rec.Version == 0 {
		if opened, err := insertFulfillment(ctx, tx, rec); err != nil || !opened {
			return cmp.Or(err, ErrChanged)
		}
		return nil
	}
	lifecycle, agreed, err := rec.texts()
	if err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, `
		UPDATE fulfillments SET sage_id = $3, state = $4, lifecycle = $5, closed = $6, partial = $7, source_word = $8,
			agreed = $9, paid_at = $10, opened_at = $11, changed_at = $12, checked_at = $13, version = version + 1
		WHERE location = $1 AND order_id = $2 AND version = $14`,
		rec.Location, rec.OrderID, rec.SageID, string(rec.Lifecycle.State), lifecycle, rec.Closed, rec.Partial, rec.SourceWord,
		agreed, micros(rec.PaidAt), micros(rec.OpenedAt), micros(rec.ChangedAt), micros(rec.CheckedAt), rec.Version)
	if err != nil {
		return err
	}
	return unchanged(result)
}

func insertFulfillment(ctx context.Context, tx *sql.Tx, rec FulfillmentRecord) (bool, error) {
	lifecycle, agreed, err := rec.texts()
	if err != nil {
		return false, err
	}
	result, err := tx.ExecContext(ctx, `
		INSERT INTO fulfillments (`+fulfillmentColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1)
		ON CONFLICT (location, order_id) DO NOTHING`,
		rec.Location, rec.OrderID, rec.SageID, string(rec.Lifecycle.State), lifecycle, rec.Closed, rec.Partial, rec.SourceWord,
		agreed, micros(rec.PaidAt), micros(rec.OpenedAt), micros(rec.ChangedAt), micros(rec.CheckedAt))
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// texts are the two columns that hold JSON.
func (r FulfillmentRecord) texts() (lifecycle, agreed string, err error) {
	if err = named(r.Location, r.OrderID, string(r.Lifecycle.State)); err != nil {
		return "", "", err
	}
	if lifecycle, err = toJSON(r.Lifecycle); err != nil {
		return "", "", err
	}
	agreed, err = toJSON(r.Agreed)
	return lifecycle, agreed, err
}

// putTrackings makes the index of parcels say of this order what its lifecycle says.
func putTrackings(ctx context.Context, tx *sql.Tx, rec FulfillmentRecord) error {
	rows, err := tx.QueryContext(ctx,
		`SELECT tracking FROM order_trackings WHERE location = $1 AND order_id = $2`, rec.Location, rec.OrderID)
	if err != nil {
		return err
	}
	known, err := collect(rows, scanWord)
	if err != nil {
		return err
	}
	var wanted []string
	for _, t := range rec.Lifecycle.Trackings() {
		wanted = append(wanted, t.Key())
	}
	if err := addTrackings(ctx, tx, rec, without(wanted, known)); err != nil {
		return err
	}
	return dropTrackings(ctx, tx, rec, without(known, wanted))
}

func without(words, others []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains(others, w) })
}

func addTrackings(ctx context.Context, tx *sql.Tx, rec FulfillmentRecord, keys []string) error {
	for some := range slices.Chunk(keys, batch) {
		q := query{}
		q.WriteString("INSERT INTO order_trackings (location, tracking, order_id) VALUES ")
		for i, key := range some {
			if i > 0 {
				q.WriteString(", ")
			}
			q.WriteString(q.list(rec.Location, key, rec.OrderID))
		}
		q.WriteString(" ON CONFLICT (location, tracking, order_id) DO NOTHING")
		if _, err := tx.ExecContext(ctx, q.String(), q.args...); err != nil {
			return err
		}
	}
	return nil
}

func dropTrackings(ctx context.Context, tx *sql.Tx, rec FulfillmentRecord, keys []string) error {
	for some := range slices.Chunk(keys, batch) {
		q := query{}
		q.WriteString("DELETE FROM order_trackings WHERE location = " + q.arg(rec.Location) + " AND order_id = " + q.arg(rec.OrderID))
		q.WriteString(" AND tracking IN " + q.list(anys(some)...))
		if _, err := tx.ExecContext(ctx, q.String(), q.args...); err != nil {
			return err
		}
	}
	return nil
}

// OrdersOfTracking returns the orders, by their id, to which a parcel belongs: usually one. The tracking is given by its
// Key.
func (s *Store) OrdersOfTracking(ctx context.Context, location, trackingKey string) ([]string, error) {
	rows, err := s.read.QueryContext(ctx,
		`SELECT order_id FROM order_trackings WHERE location = $1 AND tracking = $2 ORDER BY order_id`, location, trackingKey)
	if err != nil {
		return nil, fmt.Errorf("look for a parcel's orders: %w", err)
	}
	return collect(rows, scanWord)
}

func scanWord(row scanner) (word string, err error) {
	err = row.Scan(&word)
	return word, err
}

// FulfillmentFilter chooses lifecycles. Empty fields choose everything.
type FulfillmentFilter struct {
	Location string
	State    domain.FulfillmentState
	OrderIDs []string
	// Open chooses what is followed, Partial what is sent in part.
	Open, Partial bool
	// CheckedBefore and PaidBefore bound when both sides were last read and when the order was paid.
	CheckedBefore, PaidBefore time.Time
	Page
}

// Fulfillments lists lifecycles, first paid first, and returns the next page's token, empty after the last page.
func (s *Store) Fulfillments(ctx context.Context, f FulfillmentFilter) ([]FulfillmentRecord, string, error) {
	key, err := f.key(3)
	if err != nil {
		return nil, "", err
	}
	q := query{}
	conditions := q.equal("location", f.Location, "state", string(f.State))
	if len(f.OrderIDs) > 0 {
		conditions = append(conditions, "order_id IN "+q.list(anys(f.OrderIDs)...))
	}
	if f.Open {
		conditions = append(conditions, "NOT closed")
	}
	if f.Partial {
		conditions = append(conditions, "partial")
	}
	if !f.CheckedBefore.IsZero() {
		conditions = append(conditions, "checked_at < "+q.arg(micros(f.CheckedBefore)))
	}
	if !f.PaidBefore.IsZero() {
		conditions = append(conditions, "paid_at < "+q.arg(micros(f.PaidBefore)))
	}
	if key != nil {
		conditions = append(conditions, "(paid_at, location, order_id) > "+q.list(key...))
	}
	q.WriteString("SELECT " + fulfillmentColumns + " FROM fulfillments")
	q.where(conditions)
	q.WriteString(" ORDER BY paid_at, location, order_id LIMIT " + q.arg(f.limit()+1))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list the fulfilments: %w", err)
	}
	return paged(rows, f.limit(), scanFulfillment, func(r FulfillmentRecord) string {
		return pageToken(r.PaidAt, r.Location, r.OrderID)
	})
}

// CountFulfillments counts the lifecycles of a location that are followed, or of all when it is empty, by state.
func (s *Store) CountFulfillments(ctx context.Context, location string) (map[domain.FulfillmentState]int64, error) {
	q := query{}
	conditions := append(q.equal("location", location), "NOT closed")
	q.WriteString("SELECT state, COUNT(*) FROM fulfillments")
	q.where(conditions)
	q.WriteString(" GROUP BY state")
	words, err := s.counts(ctx, q.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("count the fulfilments: %w", err)
	}
	counts := make(map[domain.FulfillmentState]int64, len(words))
	for word, n := range words {
		counts[domain.FulfillmentState(word)] = n
	}
	return counts, nil
}

// OldestOpenFulfillment is when the oldest order whose lifecycle is followed was paid, and false when none is followed.
func (s *Store) OldestOpenFulfillment(ctx context.Context, location string) (time.Time, bool, error) {
	var oldest sql.NullInt64
	row := s.read.QueryRowContext(ctx, `SELECT MIN(paid_at) FROM fulfillments WHERE location = $1 AND NOT closed`, location)
	if err := row.Scan(&oldest); err != nil {
		return time.Time{}, false, fmt.Errorf("look for the oldest open fulfilment: %w", err)
	}
	return fromMicros(oldest.Int64), oldest.Valid, nil
}

func scanFulfillment(row scanner) (FulfillmentRecord, error) {
	var (
		r                              FulfillmentRecord
		state, lifecycle, agreed       string
		paid, opened, changed, checked int64
	)
	err := row.Scan(&r.Location, &r.OrderID, &r.SageID, &state, &lifecycle, &r.Closed, &r.Partial, &r.SourceWord, &agreed,
		&paid, &opened, &changed, &checked, &r.Version)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(lifecycle), &r.Lifecycle); err != nil {
		return r, fmt.Errorf("the lifecycle of order %s: %w", r.OrderID, err)
	}
	if err := json.Unmarshal([]byte(agreed), &r.Agreed); err != nil {
		return r, fmt.Errorf("what Sage holds of the lifecycle of order %s: %w", r.OrderID, err)
	}
	r.PaidAt, r.OpenedAt, r.ChangedAt, r.CheckedAt = fromMicros(paid), fromMicros(opened), fromMicros(changed), fromMicros(checked)
	return r, nil
}
