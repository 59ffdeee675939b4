package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/tallystick/tallystick/domain"
)

// sharedSums adds up by product or by subscription. What a row of Sage's belongs to is what HighLevel's payment of the same
// id does, as Sage's rows of sales say nothing of either.
func (s *Store) sharedSums(ctx context.Context, f SumFilter) (_ []Sum, err error) {
	q := query{}
	q.shared(f)
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	sums := sharing{filter: f, sums: map[sumKey]*Sum{}}
	if err := eachShared(rows, sums.add); err != nil {
		return nil, err
	}
	return sums.sorted(), rows.Err()
}

// shared selects what is summed with all that says what it belongs to, one row for each product of its order. A payment
// provider's id should be of one subscription; where it is of several, the first counts.
//
// That first one is the minimum of an expression, not of the column: for that of the column, a database without statistics
// goes along all subscriptions in the order of ids, once for each payment.
func (q *query) shared(f SumFilter) {
	location := q.arg(f.Location)
	q.WriteString(`SELECT m.month, m.kind, m.side, m.currency, m.apart, m.minor, m.id, m.record, m.ext_id, m.step, m.upto,
			COALESCE(NULLIF(m.product_id, ''), p.product_id, ''), COALESCE(NULLIF(p.subscription_id, ''), m.subscription_id), m.name,
			COALESCE(p.minor, m.minor), COALESCE(o.total, -1), COALESCE(u.id, ''), COALESCE(u.product_id, ''), COALESCE(u.name, ''),
			op.product_id, op.name, op.minor
		FROM (`)
	q.counted(f)
	q.WriteString(`) m
		LEFT JOIN entries p ON p.location = ` + location + ` AND p.kind = 'payment' AND p.id = m.id AND p.side = 'ghl' AND p.record = ''
			AND m.kind IN ('payment', 'refund') AND m.id <> ''
		LEFT JOIN entries u ON u.location = ` + location + ` AND u.kind = 'subscription' AND u.side = 'ghl' AND u.record = ''
			AND m.kind IN ('payment', 'refund') AND u.id = (SELECT MIN(id || '') FROM entries WHERE location = ` + location + `
				AND subscription_id <> '' AND subscription_id = COALESCE(NULLIF(p.subscription_id, ''), m.subscription_id)
				AND kind = 'subscription' AND side = 'ghl')
		LEFT JOIN orders o ON o.location = ` + location + ` AND o.currency = m.currency
			AND o.order_id = CASE WHEN m.kind = 'order' THEN m.id ELSE COALESCE(NULLIF(p.order_id, ''), m.order_id) END
		LEFT JOIN order_products op ON op.location = ` + location + ` AND m.kind <> 'subscription'
			AND op.order_id = CASE WHEN m.kind = 'order' THEN m.id ELSE COALESCE(NULLIF(p.order_id, ''), m.order_id) END
		ORDER BY m.kind, m.side, m.id, m.record, m.step, op.product_id`)
}

// sharedEntry is an entry, or a step of a refund, and what it belongs to.
type sharedEntry struct {
	month             int64
	kind              domain.EntryKind
	side              domain.Side
	apart             bool
	amount            domain.Money
	id, record, extID string
	// step and upTo are of a refund at HighLevel.
	step, upTo int64
	// product is its own, and name its own, too; gateway is the payment provider's id of its subscription.
	product, name, gateway string
	// paid is the whole payment, and total the total of its order, -1 where no order is known.
	paid, total                         int64
	subscription, planProduct, planName string
	parts                               []productPart
}

// productPart is a product of an order and its weight among them.
type productPart struct {
	id, name string
	weight   int64
}

func scanShared(row scanner) (e sharedEntry, err error) {
	var product, name sql.NullString
	var weight sql.NullInt64
	err = row.Scan(&e.month, &e.kind, &e.side, &e.amount.Currency, &e.apart, &e.amount.Minor, &e.id, &e.record, &e.extID, &e.step, &e.upTo,
		&e.product, &e.gateway, &e.name, &e.paid, &e.total, &e.subscription, &e.planProduct, &e.planName, &product, &name, &weight)
	if product.Valid {
		e.parts = []productPart{{product.String, name.String, weight.Int64}}
	}
	return e, err
}

func (e sharedEntry) same(o sharedEntry) bool {
	return e.kind == o.kind && e.side == o.side && e.id == o.id && e.record == o.record && e.step == o.step
}

// eachShared calls fn for each entry with all products of its order, whose rows follow each other.
func eachShared(rows *sql.Rows, fn func(sharedEntry) error) error {
	var open *sharedEntry
	for rows.Next() {
		e, err := scanShared(rows)
		if err != nil {
			return err
		}
		if open != nil && open.same(e) {
			open.parts = append(open.parts, e.parts...)
			continue
		}
		if open != nil {
			if err := fn(*open); err != nil {
				return err
			}
		}
		open = &e
	}
	if open == nil {
		return nil
	}
	return fn(*open)
}

// products are those among which the entry is shared out. One that names a product is of that. A payment of a subscription
// is of the subscription's product, or of its plan where no product is known, unless it is all that its order came to: then
// the order, which may have had more on it than the subscription, says more (A155). Otherwise the order's lines decide, and
// where they are not known nobody does.
func (e sharedEntry) products() []productPart {
	switch {
	case e.product != "" || e.kind == domain.SubscriptionEntry:
		name := ""
		if e.kind == domain.SubscriptionEntry {
			name = e.name
		}
		for _, p := range e.parts {
			if p.id == e.product {
				name = p.name
			}
		}
		if e.product == e.planProduct {
			name = cmp.Or(name, e.planName)
		}
		return []productPart{{id: e.product, name: name}}
	case e.planProduct+e.planName != "" && (e.paid != e.total || !e.weighed()):
		return []productPart{{id: e.planProduct, name: e.planName}}
	case e.weighed():
		return e.parts
	}
	return []productPart{{}}
}

// weighed tells whether anything can be shared out by the order's lines: free ones have no weight.
func (e sharedEntry) weighed() bool {
	return slices.ContainsFunc(e.parts, func(p productPart) bool { return p.weight > 0 })
}

// shares are the entry's amount over its products; they add up to it. A part of a refund is what its product's share of all
// that was given back grows by, so that a payment that was given back whole leaves nothing at any product.
func (e sharedEntry) shares(of []productPart) ([]domain.Money, error) {
	if len(of) == 1 {
		return []domain.Money{e.amount}, nil
	}
	weights := make([]int64, len(of))
	for i, p := range of {
		weights[i] = p.weight
	}
	upTo := e.upTo
	if _, point, refund := domain.ParseRefundExtID(e.extID); refund && e.side == domain.SageSide {
		upTo = point
	}
	now, before := e.amount, domain.NewMoney(0, e.amount.Currency)
	if e.kind == domain.RefundEntry && upTo != 0 || e.step > 0 {
		var err error
		now.Minor = upTo
		if before, err = now.Sub(e.amount); err != nil {
			return nil, err
		}
	}
	shares, err := now.Split(weights)
	if err != nil {
		return nil, err
	}
	earlier, err := before.Split(weights)
	if err != nil {
		return nil, err
	}
	for i := range shares {
		if shares[i], err = shares[i].Sub(earlier[i]); err != nil {
			return nil, err
		}
	}
	return shares, nil
}

// sumKey is what a Sum is of.
type sumKey struct {
	month                 int64
	kind                  domain.EntryKind
	side                  domain.Side
	currency              domain.Currency
	apart                 bool
	product, subscription string
	// plan is a product's name where that is all that is known of it.
	plan string
}

// sharing adds up entries. It holds the sums, however many entries there are.
type sharing struct {
	filter SumFilter
	sums   map[sumKey]*Sum
}

func (s sharing) add(e sharedEntry) error {
	key := sumKey{month: e.month, kind: e.kind, side: e.side, currency: e.amount.Currency, apart: e.apart}
	if s.filter.BySubscription {
		key.subscription = cmp.Or(e.subscription, e.gateway)
		if e.kind == domain.SubscriptionEntry {
			key.subscription = e.id
		}
	}
	if !s.filter.ByProduct {
		return s.put(key, "", e.amount)
	}
	products := e.products()
	shares, err := e.shares(products)
	if err != nil {
		return err
	}
	none := !slices.ContainsFunc(shares, func(m domain.Money) bool { return !m.IsZero() })
	for i, p := range products {
		if shares[i].IsZero() && (!none || i > 0) {
			continue
		}
		key.product, key.plan = p.id, ""
		if p.id == "" {
			key.plan = p.name
		}
		if err := s.put(key, p.name, shares[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s sharing) put(key sumKey, name string, amount domain.Money) (err error) {
	u := s.sums[key]
	if u == nil {
		u = &Sum{
			Month: fromMonth(key.month), Kind: key.kind, Side: key.side, Apart: key.apart, ProductID: key.product,
			SubscriptionID: key.subscription, Amount: domain.NewMoney(0, key.currency),
		}
		s.sums[key] = u
	}
	u.Count++
	u.ProductName = max(u.ProductName, name) // any will do, but always the same
	u.Amount, err = u.Amount.Add(amount)
	return err
}

func (s sharing) sorted() []Sum {
	list := make([]Sum, 0, len(s.sums))
	for _, u := range s.sums {
		list = append(list, *u)
	}
	slices.SortFunc(list, func(a, b Sum) int {
		return cmp.Or(a.Month.Compare(b.Month), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Side, b.Side),
			cmp.Compare(a.Amount.Currency, b.Amount.Currency), compareBools(a.Apart, b.Apart),
			cmp.Compare(a.ProductID, b.ProductID), cmp.Compare(a.ProductName, b.ProductName), cmp.Compare(a.SubscriptionID, b.SubscriptionID))
	})
	return list
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
