package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// SubscriptionTally is a number of subscriptions and the sum of their instalments.
type SubscriptionTally struct {
	Count  int64
	Amount domain.Money
}

// SubscriptionSum is what the subscriptions of one side, product, currency, recurrence and state come to in a month. The
// amounts are instalments; RecurringOf makes recurring revenue of them.
type SubscriptionSum struct {
	Side      domain.Side
	ProductID string
	// State may also be the word of a domain.Stage, where no more is known at Sage.
	State domain.SubscriptionState
	Every domain.Recurrence
	// Apart tells of entries that are never summed with others.
	Apart bool
	// Running are those that had begun and had not ended when the month did. The ledger holds the present, so their state
	// and instalment are today's; one that has ended since is counted with the state it has come to.
	Running SubscriptionTally
	// New began in the month, Churned ended in it, and Renewals are those whose next renewal is in it.
	New, Churned, Renewals SubscriptionTally
}

// Earned tells whether the running ones of the sum earned at the end of the month: those that earn now, and those that have
// ended since. An opportunity of which Sage says no more than that it is won earns.
func (u SubscriptionSum) Earned() bool {
	return u.State.Earning() || slices.Contains(endedWords(), string(u.State)) || string(u.State) == string(domain.StageWon)
}

// endedWords are the statuses of subscriptions of which no charge will follow.
func endedWords() []string {
	words := []string{string(domain.StageLost)}
	for _, state := range domain.SubscriptionStates() {
		if state.Ended() {
			words = append(words, string(state))
		}
	}
	return words
}

// SubscriptionSums adds up the subscriptions of a location for the month, in UTC, that a time is in. What is gone and test
// data is not in it, and nothing of which all four tallies are zero. An ended subscription whose end is unknown is in none
// of them but New.
func (s *Store) SubscriptionSums(ctx context.Context, location string, month time.Time) ([]SubscriptionSum, error) {
	if err := named(location); err != nil {
		return nil, fmt.Errorf("sum up the subscriptions: %w", err)
	}
	if month.IsZero() {
		return nil, errors.New("sum up the subscriptions: no month is given")
	}
	begin := fromMonth(monthOf(month))
	q := query{}
	from, end := q.arg(micros(begin)), q.arg(micros(begin.AddDate(0, 1, 0)))
	ended := q.list(anys(endedWords())...)
	const group = "side, currency, product_id, every, status, apart"
	q.WriteString("SELECT " + group + ", " + strings.Join([]string{
		tally("at < " + end + " AND (until_at >= " + end + " OR until_at = 0 AND status NOT IN " + ended + ")"),
		tally("at >= " + from + " AND at < " + end),
		tally("until_at >= " + from + " AND until_at < " + end + " AND status IN " + ended),
		tally("next_at >= " + from + " AND next_at < " + end + " AND status NOT IN " + ended),
	}, ", "))
	q.WriteString(" FROM entries WHERE location = " + q.arg(location) + " AND kind = " + q.arg(string(domain.SubscriptionEntry)))
	q.WriteString(" AND NOT test AND NOT gone GROUP BY " + group + " ORDER BY " + group)
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("sum up the subscriptions: %w", err)
	}
	sums, err := collect(rows, scanSubscriptionSum)
	if err != nil {
		return nil, fmt.Errorf("sum up the subscriptions: %w", err)
	}
	return slices.DeleteFunc(sums, func(u SubscriptionSum) bool {
		return u.Running.Count+u.New.Count+u.Churned.Count+u.Renewals.Count == 0
	}), nil
}

// tally counts and sums up those of a group that meet a condition.
func tally(condition string) string {
	const sum = "CAST(SUM(CASE WHEN %s THEN %s ELSE 0 END) AS BIGINT)"
	return fmt.Sprintf(sum+", "+sum, condition, "1", condition, "minor")
}

func scanSubscriptionSum(row scanner) (SubscriptionSum, error) {
	var (
		u        SubscriptionSum
		currency domain.Currency
		every    string
	)
	err := row.Scan(&u.Side, &currency, &u.ProductID, &every, &u.State, &u.Apart, &u.Running.Count, &u.Running.Amount.Minor,
		&u.New.Count, &u.New.Amount.Minor, &u.Churned.Count, &u.Churned.Amount.Minor, &u.Renewals.Count, &u.Renewals.Amount.Minor)
	if err != nil {
		return u, err
	}
	for _, t := range []*SubscriptionTally{&u.Running, &u.New, &u.Churned, &u.Renewals} {
		t.Amount.Currency = currency
	}
	u.Every, err = recurrence(every)
	return u, err
}

// Recurring is the recurring revenue of a side and currency at the end of a month, and how it moved in it.
type Recurring struct {
	Side      domain.Side
	Apart     bool
	ProductID string
	// Monthly is what the earning subscriptions make in a month (MRR), rounded once.
	Monthly domain.Money
	// Earning are those in Monthly. Unknown would earn too, but nobody knows how often, so they are not in it.
	Earning, Unknown       SubscriptionTally
	New, Churned, Renewals SubscriptionTally
}

type recurringKey struct {
	side     domain.Side
	currency domain.Currency
	product  string
	apart    bool
}

// RecurringOf makes recurring revenue of sums, in their order: of all products together or, byProduct, of each.
func RecurringOf(sums []SubscriptionSum, byProduct bool) ([]Recurring, error) {
	var list []Recurring
	at := map[recurringKey]int{}
	instalments := map[recurringKey][]domain.Instalment{}
	for _, u := range sums {
		key := recurringKey{side: u.Side, currency: u.Running.Amount.Currency, apart: u.Apart}
		if byProduct {
			key.product = u.ProductID
		}
		i, known := at[key]
		if !known {
			i = len(list)
			at[key], list = i, append(list, newRecurring(key))
		}
		if err := list[i].add(u); err != nil {
			return nil, fmt.Errorf("sum up the recurring revenue: %w", err)
		}
		if u.Earned() && u.Every.Known() {
			instalments[key] = append(instalments[key], domain.Instalment{Amount: u.Running.Amount, Every: u.Every})
		}
	}
	for key, i := range at {
		var err error
		if list[i].Monthly, err = domain.MonthlyRevenue(key.currency, instalments[key]...); err != nil {
			return nil, fmt.Errorf("sum up the recurring revenue: %w", err)
		}
	}
	return list, nil
}

func newRecurring(key recurringKey) Recurring {
	none := SubscriptionTally{Amount: domain.NewMoney(0, key.currency)}
	return Recurring{
		Side: key.side, Apart: key.apart, ProductID: key.product,
		Earning: none, Unknown: none, New: none, Churned: none, Renewals: none,
	}
}

func (r *Recurring) add(u SubscriptionSum) error {
	var earning, unknown SubscriptionTally
	switch {
	case u.Earned() && u.Every.Known():
		earning = u.Running
	case u.Earned():
		unknown = u.Running
	}
	return errors.Join(r.Earning.add(earning), r.Unknown.add(unknown), r.New.add(u.New), r.Churned.add(u.Churned), r.Renewals.add(u.Renewals))
}

// add adds a tally of the same currency. An empty one is of any.
func (t *SubscriptionTally) add(o SubscriptionTally) (err error) {
	if o != (SubscriptionTally{}) {
		t.Count += o.Count
		t.Amount, err = t.Amount.Add(o.Amount)
	}
	return err
}
