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

// OrderRecord is an entry of the ledger: an order of the source as it was last brought into Sage. Its three amounts are
// of one currency.
type OrderRecord struct {
	Location, OrderID string
	// SageID is the sales order at Sage.
	SageID int64
	// Adopted tells an order that people had made at Sage from one that we made.
	Adopted bool
	// AsOf is the newest updatedAt among the order and its transactions at the source when they were read.
	AsOf time.Time
	// Digest is the fingerprint of the booking that was brought into Sage: an equal one needs no write.
	Digest                string
	State                 domain.PaymentState
	Total, Paid, Refunded domain.Money
	Lines                 []LineRecord
	BroughtAt             time.Time
	// Products are what the order's lines come to by product, one of each, to share out its payments by; empty where the
	// lines are not known. RecordOrder replaces them, OrderProducts reads them, and Order and its like leave them out.
	Products []OrderProduct
}

// OrderProduct is what the lines of one product in an order come to, before discount, tax and shipping, never negative.
type OrderProduct struct {
	// ProductID is HighLevel's; empty for lines that name none. Name is the line's.
	ProductID, Name string
	Amount          domain.Money
}

// LineRecord says which line at Sage holds which line of the booking.
type LineRecord struct {
	// Position counts the booking's lines from 0.
	Position int   `json:"position"`
	SageID   int64 `json:"sageId"`
}

const orderColumns = `location, order_id, sage_id, adopted, as_of, digest, state, currency, total, paid, refunded, lines, brought_at`

// Order returns the ledger's entry of an order, and false when it was never brought into Sage.
func (s *Store) Order(ctx context.Context, location, orderID string) (OrderRecord, bool, error) {
	row := s.read.QueryRowContext(ctx, `SELECT `+orderColumns+` FROM orders WHERE location = $1 AND order_id = $2`, location, orderID)
	rec, found, err := one(row, scanOrder)
	if err != nil {
		return OrderRecord{}, false, fmt.Errorf("read the ledger: %w", err)
	}
	return rec, found, nil
}

// OrdersOfSage returns the ledger's entries that stand on one sales order at Sage: none for an order that is not ours.
// More than one means that two orders of the source met on the same record.
func (s *Store) OrdersOfSage(ctx context.Context, location string, sageID int64) ([]OrderRecord, error) {
	rows, err := s.read.QueryContext(ctx,
		`SELECT `+orderColumns+` FROM orders WHERE location = $1 AND sage_id = $2 ORDER BY order_id`, location, sageID)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return collect(rows, scanOrder)
}

// OrdersByID returns the ledger's entries of an order of the source in any location. Whoever names an order without its
// location, as a hook of Sage does, means one of them.
func (s *Store) OrdersByID(ctx context.Context, orderID string) ([]OrderRecord, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+orderColumns+` FROM orders WHERE order_id = $1 ORDER BY location`, orderID)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return collect(rows, scanOrder)
}

// RecordOrder enters into the ledger what was brought into Sage, and takes the order off the parked items of
// PaymentToOrder; what was seen of the source for it is recorded with it. It returns ErrStale, and changes nothing, when
// the ledger holds an entry with a later AsOf.
func (s *Store) RecordOrder(ctx context.Context, rec OrderRecord, seen ...Sighting) error {
	currency, err := rec.currency()
	if err != nil {
		return err
	}
	sorted, err := sortSightings(seen)
	if err != nil {
		return err
	}
	lines, err := toJSON(rec.Lines)
	if err != nil {
		return err
	}
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `
			INSERT INTO orders (`+orderColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
			ON CONFLICT (location, order_id) DO UPDATE SET
				sage_id = excluded.sage_id, adopted = excluded.adopted, as_of = excluded.as_of, digest = excluded.digest,
				state = excluded.state, currency = excluded.currency, total = excluded.total, paid = excluded.paid,
				refunded = excluded.refunded, lines = excluded.lines, brought_at = excluded.brought_at
			WHERE orders.as_of <= excluded.as_of`,
			rec.Location, rec.OrderID, rec.SageID, rec.Adopted, micros(rec.AsOf), rec.Digest, string(rec.State), string(currency),
			rec.Total.Minor, rec.Paid.Minor, rec.Refunded.Minor, lines, micros(rec.BroughtAt))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, ErrStale)
		}
		if _, err := tx.ExecContext(ctx, deleteParked, rec.Location, PaymentToOrder, rec.OrderID); err != nil {
			return err
		}
		if err := rec.putProducts(ctx, tx); err != nil {
			return err
		}
		return putSightings(ctx, tx, sorted)
	})
	if err != nil {
		return fmt.Errorf("enter order %s into the ledger: %w", rec.OrderID, err)
	}
	return nil
}

// putProducts replaces the products of the order, whose row is locked by then.
func (r OrderRecord) putProducts(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM order_products WHERE location = $1 AND order_id = $2`, r.Location, r.OrderID)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(r.Products, batch) {
		q := query{}
		q.WriteString("INSERT INTO order_products (location, order_id, product_id, name, currency, minor) VALUES ")
		for i, p := range some {
			if p.Amount.Minor < 0 {
				return fmt.Errorf("%w: a product of order %s comes to %s", domain.ErrMoney, r.OrderID, p.Amount)
			}
			if i > 0 {
				q.WriteString(", ")
			}
			q.WriteString(q.list(r.Location, r.OrderID, p.ProductID, p.Name, string(p.Amount.Currency), p.Amount.Minor))
		}
		if _, err := tx.ExecContext(ctx, q.String(), q.args...); err != nil {
			return err
		}
	}
	return nil
}

// OrderProducts returns what an order's lines come to by product, in the order of their ids; none where nobody knows.
func (s *Store) OrderProducts(ctx context.Context, location, orderID string) ([]OrderProduct, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT product_id, name, currency, minor FROM order_products
		WHERE location = $1 AND order_id = $2 ORDER BY product_id`, location, orderID)
	if err != nil {
		return nil, fmt.Errorf("read the products of order %s: %w", orderID, err)
	}
	return collect(rows, func(row scanner) (p OrderProduct, err error) {
		err = row.Scan(&p.ProductID, &p.Name, &p.Amount.Currency, &p.Amount.Minor)
		return p, err
	})
}

// currency is the one currency of the record. A zero amount needs none of its own.
func (r OrderRecord) currency() (domain.Currency, error) {
	if err := named(r.Location, r.OrderID); err != nil {
		return "", fmt.Errorf("enter an order into the ledger: %w", err)
	}
	for _, m := range []domain.Money{r.Paid, r.Refunded} {
		if m.Currency != r.Total.Currency && m != (domain.Money{}) {
			return "", fmt.Errorf("%w: order %s is of %s, with a payment or refund of %s", domain.ErrMoney, r.OrderID, r.Total, m)
		}
	}
	return r.Total.Currency, nil
}

// OrderFilter chooses entries of the ledger. Empty fields choose everything.
type OrderFilter struct {
	Location string
	State    domain.PaymentState
	// BroughtFrom and BroughtBefore bound when the order was last brought into Sage.
	BroughtFrom, BroughtBefore time.Time
	Page
}

// Orders lists the ledger, last brought into Sage first, and returns the next page's token, empty after the last page.
func (s *Store) Orders(ctx context.Context, f OrderFilter) ([]OrderRecord, string, error) {
	key, err := f.key(3)
	if err != nil {
		return nil, "", err
	}
	q := query{}
	conditions := q.equal("location", f.Location, "state", string(f.State))
	if !f.BroughtFrom.IsZero() {
		conditions = append(conditions, "brought_at >= "+q.arg(micros(f.BroughtFrom)))
	}
	if !f.BroughtBefore.IsZero() {
		conditions = append(conditions, "brought_at < "+q.arg(micros(f.BroughtBefore)))
	}
	if key != nil {
		conditions = append(conditions, "(brought_at, location, order_id) < "+q.list(key...))
	}
	q.WriteString("SELECT " + orderColumns + " FROM orders")
	q.where(conditions)
	q.WriteString(" ORDER BY brought_at DESC, location DESC, order_id DESC LIMIT " + q.arg(f.limit()+1))
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list the ledger: %w", err)
	}
	return paged(rows, f.limit(), scanOrder, func(r OrderRecord) string { return pageToken(r.BroughtAt, r.Location, r.OrderID) })
}

func scanOrder(row scanner) (OrderRecord, error) {
	var (
		r                      OrderRecord
		asOf, brought          int64
		state, currency, lines string
		total, paid, refunded  int64
	)
	err := row.Scan(&r.Location, &r.OrderID, &r.SageID, &r.Adopted, &asOf, &r.Digest, &state, &currency,
		&total, &paid, &refunded, &lines, &brought)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(lines), &r.Lines); err != nil {
		return r, fmt.Errorf("the lines of order %s in the ledger: %w", r.OrderID, err)
	}
	of := domain.Currency(currency)
	r.Total, r.Paid, r.Refunded = domain.NewMoney(total, of), domain.NewMoney(paid, of), domain.NewMoney(refunded, of)
	r.State, r.AsOf, r.BroughtAt = domain.PaymentState(state), fromMicros(asOf), fromMicros(brought)
	return r, nil
}
