package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// noMonth is the month of an entry without a time.
const noMonth = -1

// monthOf is the month of a time in UTC as the tables hold it. It is worked out here, once for both databases.
func monthOf(t time.Time) int64 {
	if t.IsZero() {
		return noMonth
	}
	t = t.UTC()
	return int64(t.Year())*12 + int64(t.Month()) - 1
}

// fromMonth is the first moment of a month, and zero for noMonth.
func fromMonth(month int64) time.Time {
	if month == noMonth {
		return time.Time{}
	}
	return time.Date(int(month/12), time.Month(month%12+1), 1, 0, 0, 0, 0, time.UTC)
}

// Sum is what entries of one kind add up to, of one month, side and currency: due orders, settled payments, refunds, or
// instalments of subscriptions.
type Sum struct {
	// Month is the first moment of the month in UTC; zero for entries without a time.
	Month time.Time
	Kind  domain.EntryKind
	Side  domain.Side
	// Apart tells of entries that have no place in Sage's rows by rule. They are summed, but never with others.
	Apart bool
	// ProductID and SubscriptionID are empty unless the filter asks for them, and where nobody knows. They are HighLevel's,
	// on both sides; a subscription that the ledger does not have is known by the payment provider's id.
	ProductID, SubscriptionID string
	// ProductName is a name of the product that orders or subscriptions have for it, empty where none has. A subscription's
	// product of which HighLevel gives no id is known by the plan's name, and has a sum of its own.
	ProductName string
	// Count counts entries, and of refunds the steps. An entry that is shared out over products counts with each.
	Count  int64
	Amount domain.Money
}

// SumFilter chooses what is summed. The location must be given; other empty fields choose everything.
type SumFilter struct {
	Location string
	Kind     domain.EntryKind
	Side     domain.Side
	// From and Before bound the entries' At.
	From, Before time.Time
	// ByProduct and BySubscription make a sum for each, of which there may be very many. Every entry is then read, a few
	// at a time; without them the database adds up by itself.
	ByProduct, BySubscription bool
}

// Sums adds up those entries of the ledger that count (domain.Entry's Counts) in minor units, exactly: a sum that does not
// fit into an int64 is an error. They come in the order of month, kind, side and currency.
//
// Refunds at HighLevel are summed step by step (RefundSteps), each in its month; From and Before bound the steps' At. Steps
// of a refund that fell back to nothing are in it, as they were of some month.
func (s *Store) Sums(ctx context.Context, f SumFilter) ([]Sum, error) {
	if err := named(f.Location); err != nil {
		return nil, fmt.Errorf("sum up the ledger: %w", err)
	}
	add := s.sums
	if f.ByProduct || f.BySubscription {
		add = s.sharedSums
	}
	sums, err := add(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("sum up the ledger: %w", err)
	}
	return sums, nil
}

func (s *Store) sums(ctx context.Context, f SumFilter) ([]Sum, error) {
	const group = "month, kind, side, currency, apart"
	q := query{}
	q.WriteString("SELECT " + group + ", COUNT(*), CAST(SUM(minor) AS BIGINT) FROM (")
	q.counted(f)
	q.WriteString(") m GROUP BY " + group + " ORDER BY " + group)
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanSum)
}

// counted selects what is summed up: entries that count but for the refunds of HighLevel, and the steps of those. step is
// the number of a step, and upto the sum that it leads to; both are 0 of entries.
func (q *query) counted(f SumFilter) {
	conditions := q.equal("location", f.Location, "kind", string(f.Kind), "side", string(f.Side))
	conditions = append(conditions, q.counting(), "NOT (kind = 'refund' AND side = 'ghl')")
	conditions = append(conditions, q.between("at", f.From, f.Before)...)
	q.WriteString("SELECT month, kind, side, currency, apart, minor, id, record, ext_id, 0 AS step, 0 AS upto, ")
	q.WriteString("product_id, order_id, subscription_id, name FROM entries")
	q.where(conditions)
	if f.Kind != "" && f.Kind != domain.RefundEntry || f.Side == domain.SageSide {
		return
	}
	conditions = append(q.equal("s.location", f.Location, "e.location", f.Location), "e.kind = 'refund'", "e.id = s.id",
		"e.side = 'ghl'", "e.record = ''", "NOT e.test", "NOT e.gone")
	conditions = append(conditions, q.between("s.at", f.From, f.Before)...)
	q.WriteString(" UNION ALL SELECT s.month, e.kind, e.side, s.currency, e.apart, s.minor, e.id, '', '', s.step, s.upto, ")
	q.WriteString("e.product_id, e.order_id, e.subscription_id, e.name FROM refund_steps s, entries e")
	q.where(conditions)
}

// counting is domain.Entry's Counts as a condition.
func (q *query) counting() string {
	each := []string{
		"kind = " + q.arg(string(domain.OrderEntry)) + " AND status = " + q.arg(domain.OrderDue),
		"kind = " + q.arg(string(domain.PaymentEntry)) + " AND status = " + q.arg(string(domain.Settled)),
		"kind = " + q.arg(string(domain.RefundEntry)) + " AND minor <> 0",
		"kind = " + q.arg(string(domain.SubscriptionEntry)),
	}
	return "NOT test AND NOT gone AND (" + strings.Join(each, " OR ") + ")"
}

func scanSum(row scanner) (Sum, error) {
	var u Sum
	var month int64
	err := row.Scan(&month, &u.Kind, &u.Side, &u.Amount.Currency, &u.Apart, &u.Count, &u.Amount.Minor)
	u.Month = fromMonth(month)
	return u, err
}

// Revenue is what a side took in one month and currency, and what of it went back.
type Revenue struct {
	Month                     time.Time
	Side                      domain.Side
	Apart                     bool
	ProductID, SubscriptionID string
	ProductName               string
	// Gross is of settled payments, Refunds what was refunded in the month, positive, of whatever month's payments; Net is
	// Gross less Refunds, and may be negative.
	Gross, Refunds, Net domain.Money
	// Payments and Refunded count what is in Gross and in Refunds.
	Payments, Refunded int64
}

// RevenueOf makes the months' revenue of sums, in their order. Sums of orders and subscriptions are not in it.
func RevenueOf(sums []Sum) ([]Revenue, error) {
	var list []Revenue
	at := map[Revenue]int{}
	for _, u := range sums {
		if u.Kind != domain.PaymentEntry && u.Kind != domain.RefundEntry {
			continue
		}
		none := domain.NewMoney(0, u.Amount.Currency)
		key := Revenue{
			Month: u.Month, Side: u.Side, Apart: u.Apart, ProductID: u.ProductID, SubscriptionID: u.SubscriptionID,
			Gross: none, Refunds: none, Net: none,
		}
		if u.ProductID == "" {
			key.ProductName = u.ProductName
		}
		i, known := at[key]
		if !known {
			i = len(list)
			at[key], list = i, append(list, key)
		}
		list[i].ProductName = max(list[i].ProductName, u.ProductName)
		if err := list[i].add(u); err != nil {
			return nil, fmt.Errorf("sum up the revenue: %w", err)
		}
	}
	return list, nil
}

func (r *Revenue) add(u Sum) (err error) {
	if u.Kind == domain.PaymentEntry {
		r.Payments += u.Count
		r.Gross, err = r.Gross.Add(u.Amount)
	} else {
		r.Refunded += u.Count
		r.Refunds, err = r.Refunds.Add(u.Amount)
	}
	if err != nil {
		return err
	}
	r.Net, err = r.Gross.Sub(r.Refunds)
	return err
}
