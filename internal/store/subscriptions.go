package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// SubscriptionTally is a number of subscriptions and the sum of their instalments.
type SubscriptionTally struct {
	Count  int64
	Amount domain.Money
}

// SubscriptionGrouping says of what subscriptions are summed up.
type SubscriptionGrouping string

// The groupings: all of a currency together, those of each product, each one for itself.
const (
	AllSubscriptions SubscriptionGrouping = "all"
	ByProduct        SubscriptionGrouping = "product"
	BySubscription   SubscriptionGrouping = "subscription"
)

// Recurring is the recurring revenue of a side and currency at the end of a month, and how it moved in it.
//
// Start + Gained + Expansion - Contraction - Lost = Monthly, to the minor unit. Start and Monthly are exact sums that were
// rounded once, half to even; the four movements, none of which is negative, are rounded so that this holds, and so may be a
// minor unit off where instalments are not paid by the month.
type Recurring struct {
	Side  domain.Side
	Apart bool
	// ProductID or SubscriptionID is what the sum is of, by the grouping; Name is its name, empty where there is none. By
	// product, subscriptions of which only the plan's name is known are grouped by that.
	ProductID, SubscriptionID string
	Name                      string
	// Monthly is what the earning subscriptions make in a month (MRR) when the month ends, Start what they made when it began.
	Monthly, Start domain.Money
	// Gained is of subscriptions that did not earn when the month began, be they new or resumed; Lost of those that do not
	// earn any more, be they ended, paused or unpaid. Expansion and Contraction are of those that earn more, and less. By
	// product, one that changed to another is an expansion there and a contraction here.
	Gained, Expansion, Contraction, Lost domain.Money
	// Earning are those in Monthly. Unknown would earn too, but nobody knows how often, so they are not in it.
	Earning, Unknown SubscriptionTally
	// New began in the month, Churned ended in it, and Renewals are those whose next renewal, as known now, is in it.
	New, Churned, Renewals SubscriptionTally
	// Assumed are subscriptions that were counted in the month as what they were when they were first known, which is later;
	// the last of them has been known since KnownSince.
	Assumed    int64
	KnownSince time.Time
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

// SubscriptionSums adds up the subscriptions of a location for the month, in UTC, that a time is in, each as it was when the
// month began and when it ended: the ledger keeps what subscriptions were (PutEntries), and an upgrade changes nothing of
// earlier months. Before it was first known, a subscription is taken to have been from its beginning what it then was. When
// one ended is believed whenever that became known, so an end that is told late is of the month in which it was.
//
// What is gone and test data is not in it, and no sum in which everything is zero. An ended subscription whose end is unknown
// earned nothing. The sums come in the order of side, currency and grouping.
func (s *Store) SubscriptionSums(ctx context.Context, location string, month time.Time, by SubscriptionGrouping) ([]Recurring, error) {
	if err := named(location); err != nil {
		return nil, fmt.Errorf("sum up the subscriptions: %w", err)
	}
	if month.IsZero() {
		return nil, errors.New("sum up the subscriptions: no month is given")
	}
	begin := fromMonth(monthOf(month))
	sums := recurringSums{by: by, begin: micros(begin), end: micros(begin.AddDate(0, 1, 0)), sums: map[recurringKey]*recurringSum{}}
	if err := s.eachSubscription(ctx, location, sums.begin, sums.end, sums.add); err != nil {
		return nil, fmt.Errorf("sum up the subscriptions: %w", err)
	}
	list, err := sums.list()
	if err != nil {
		return nil, fmt.Errorf("sum up the subscriptions: %w", err)
	}
	return list, nil
}

// standing is what a subscription was at a moment. since is from when on that is known.
type standing struct {
	since   int64
	amount  domain.Money
	every   domain.Recurrence
	status  string
	until   int64
	product string
}

func (t standing) ended() bool { return slices.Contains(endedWords(), t.status) }

// running tells of a subscription that began at a moment whether it had neither begun nor ended before another.
func (t standing) running(at, before int64) bool {
	return at < before && (t.until >= before || t.until == 0 && !t.ended())
}

// earns tells whether it earned if it was running: it is active, or will end later than that. An opportunity of which Sage
// says no more than that it is won earns.
func (t standing) earns() bool {
	return domain.SubscriptionState(t.status).Earning() || t.ended() || t.status == string(domain.StageWon)
}

// subscriptionMonth is a subscription, as it is now and as it was when a month began and when it ended.
type subscriptionMonth struct {
	side             domain.Side
	id, name         string
	apart            bool
	at, next         int64
	now, start, last standing
}

// stateAt joins the state that was valid before a moment, the first one if none was.
func stateAt(alias, moment string) string {
	const of = "location = e.location AND id = e.id AND side = e.side AND record = e.record"
	return ` JOIN subscription_states ` + alias + ` ON ` + alias + `.location = e.location AND ` + alias + `.id = e.id
		AND ` + alias + `.side = e.side AND ` + alias + `.record = e.record AND ` + alias + `.since = COALESCE(
			(SELECT MAX(since) FROM subscription_states WHERE ` + of + ` AND since < ` + moment + `),
			(SELECT MIN(since) FROM subscription_states WHERE ` + of + `))`
}

// eachSubscription reads the subscriptions of a location one after the other.
func (s *Store) eachSubscription(ctx context.Context, location string, begin, end int64, fn func(subscriptionMonth) error) (err error) {
	q := query{}
	q.WriteString("SELECT e.side, e.id, COALESCE(NULLIF(g.name, ''), e.name), e.apart, e.at, e.next_at")
	for _, alias := range []string{"e", "a", "z"} {
		since := alias + ".since"
		if alias == "e" {
			since = "e.seen_at"
		}
		q.WriteString(", " + since)
		for _, column := range []string{"currency", "minor", "every", "status", "until_at", "product_id"} {
			q.WriteString(", " + alias + "." + column)
		}
	}
	q.WriteString(" FROM entries e" + stateAt("a", q.arg(begin)) + stateAt("z", q.arg(end)))
	// People name an opportunity as they like; its plan is HighLevel's.
	q.WriteString(" LEFT JOIN entries g ON g.location = e.location AND g.kind = e.kind AND g.id = e.id AND g.side = 'ghl' AND g.record = ''")
	q.WriteString(" WHERE e.location = " + q.arg(location) + " AND e.kind = 'subscription' AND NOT e.test AND NOT e.gone")
	rows, err := s.read.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	known := map[string]domain.Recurrence{}
	for rows.Next() {
		m, err := scanSubscriptionMonth(rows, known)
		if err != nil {
			return err
		}
		if err := fn(m); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanSubscriptionMonth keeps the recurrences it has read: there are few, and reading them takes longer than all else.
func scanSubscriptionMonth(row scanner, known map[string]domain.Recurrence) (m subscriptionMonth, err error) {
	into := []any{&m.side, &m.id, &m.name, &m.apart, &m.at, &m.next}
	var every [3]string
	all := []*standing{&m.now, &m.start, &m.last}
	for i, t := range all {
		into = append(into, &t.since, &t.amount.Currency, &t.amount.Minor, &every[i], &t.status, &t.until, &t.product)
	}
	if err := row.Scan(into...); err != nil {
		return m, err
	}
	for i, t := range all {
		r, read := known[every[i]]
		if !read {
			if r, err = recurrence(every[i]); err != nil {
				return m, err
			}
			known[every[i]] = r
		}
		t.every = r
		if t.product == "" { // it is not another product for having become known
			t.product = m.now.product
		}
	}
	m.apart = m.apart && m.side == domain.HighLevelSide
	return m, nil
}

// before is what the subscription was before a moment: what it is now if it had ended by then, whenever that became known.
func (m subscriptionMonth) before(moment int64, then standing) standing {
	if m.now.ended() && m.now.until != 0 && m.now.until < moment {
		return m.now
	}
	return then
}

type recurringKey struct {
	side     domain.Side
	currency domain.Currency
	apart    bool
	group    string
	plan     string
}

// recurringSum is a Recurring on its way, with its exact sums.
type recurringSum struct {
	Recurring
	start, end, gained, expansion, contraction, lost *big.Rat
}

// recurringSums adds up subscriptions. It holds the sums, however many subscriptions there are.
type recurringSums struct {
	by         SubscriptionGrouping
	begin, end int64
	sums       map[recurringKey]*recurringSum
}

func (s *recurringSums) of(m subscriptionMonth, t standing) *recurringSum {
	key := recurringKey{side: m.side, currency: t.amount.Currency, apart: m.apart}
	switch s.by {
	case ByProduct:
		if key.group = t.product; t.product == "" {
			key.plan = m.name
		}
	case BySubscription:
		key.group = m.id
	case AllSubscriptions:
	}
	sum := s.sums[key]
	if sum == nil {
		nothing := domain.NewMoney(0, key.currency)
		none := SubscriptionTally{Amount: nothing}
		sum = &recurringSum{
			Recurring: Recurring{Side: key.side, Apart: key.apart, Start: nothing, Monthly: nothing, Earning: none, Unknown: none,
				New: none, Churned: none, Renewals: none},
			start: new(big.Rat), end: new(big.Rat), gained: new(big.Rat), expansion: new(big.Rat), contraction: new(big.Rat), lost: new(big.Rat),
		}
		switch s.by {
		case ByProduct:
			sum.ProductID = key.group
		case BySubscription:
			sum.SubscriptionID = key.group
		case AllSubscriptions:
		}
		s.sums[key] = sum
	}
	if s.by == BySubscription || s.by == ByProduct && t.product == m.now.product {
		sum.Name = max(sum.Name, m.name)
	}
	return sum
}

func (s *recurringSums) add(m subscriptionMonth) error {
	start, last := m.before(s.begin, m.start), m.before(s.end, m.last)
	ran, runs := start.running(m.at, s.begin), last.running(m.at, s.end)
	within := func(at int64) bool { return at >= s.begin && at < s.end }
	began, ended, renews := within(m.at), last.ended() && within(last.until), !m.now.ended() && within(m.next)
	if !ran && !runs && !began && !ended && !renews {
		return nil
	}
	sum := s.of(m, last)
	for _, t := range []struct {
		to  *SubscriptionTally
		has bool
	}{
		{&sum.Earning, runs && last.earns() && last.every.Known()},
		{&sum.Unknown, runs && last.earns() && !last.every.Known()},
		{&sum.New, began},
		{&sum.Churned, ended},
		{&sum.Renewals, renews},
	} {
		if t.has {
			if err := t.to.add(SubscriptionTally{Count: 1, Amount: last.amount}); err != nil {
				return err
			}
		}
	}
	switch {
	case runs && last.since >= s.end:
		sum.assume(last)
	case ran && start.since >= s.begin:
		sum.assume(start)
	}
	return s.move(m, start, last)
}

func (r *recurringSum) assume(t standing) {
	r.Assumed++
	if known := fromMicros(t.since); known.After(r.KnownSince) {
		r.KnownSince = known
	}
}

// monthly is what a subscription that began at a moment makes in a month before another, nil if it earns nothing.
func (t standing) monthly(at, before int64) (*big.Rat, error) {
	if !t.running(at, before) || !t.earns() || !t.every.Known() {
		return nil, nil
	}
	return domain.Instalment{Amount: t.amount, Every: t.every}.PerMonth()
}

// move adds what the subscription makes before and after the month, and the way from one to the other.
func (s *recurringSums) move(m subscriptionMonth, start, last standing) error {
	from, err := start.monthly(m.at, s.begin)
	if err != nil {
		return err
	}
	to, err := last.monthly(m.at, s.end)
	if err != nil || from == nil && to == nil {
		return err
	}
	moves := map[*recurringSum]*big.Rat{}
	if from != nil {
		sum := s.of(m, start)
		sum.start.Add(sum.start, from)
		moves[sum] = new(big.Rat).Neg(from)
	}
	if to != nil {
		sum := s.of(m, last)
		sum.end.Add(sum.end, to)
		if moves[sum] == nil {
			moves[sum] = new(big.Rat)
		}
		moves[sum].Add(moves[sum], to)
	}
	for sum, by := range moves {
		into := sum.contraction
		switch {
		case by.Sign() > 0 && from == nil:
			into = sum.gained
		case by.Sign() > 0:
			into = sum.expansion
		case to == nil:
			into = sum.lost
		}
		into.Add(into, by.Abs(by))
	}
	return nil
}

// list rounds the sums and puts them in order.
func (s *recurringSums) list() ([]Recurring, error) {
	list := make([]Recurring, 0, len(s.sums))
	for _, sum := range s.sums {
		if sum.empty() {
			continue
		}
		if err := sum.round(); err != nil {
			return nil, err
		}
		list = append(list, sum.Recurring)
	}
	slices.SortFunc(list, func(a, b Recurring) int {
		return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(a.Monthly.Currency, b.Monthly.Currency), compareBools(a.Apart, b.Apart),
			cmp.Compare(a.ProductID, b.ProductID), cmp.Compare(a.SubscriptionID, b.SubscriptionID), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

func (r *recurringSum) empty() bool {
	for _, exact := range []*big.Rat{r.start, r.gained, r.expansion, r.contraction, r.lost} {
		if exact.Sign() != 0 {
			return false
		}
	}
	return r.Earning.Count+r.Unknown.Count+r.New.Count+r.Churned.Count+r.Renewals.Count == 0
}

func (r *recurringSum) round() (err error) {
	currency := r.Monthly.Currency
	if r.Start, err = domain.RoundMinor(r.start, currency); err != nil {
		return err
	}
	if r.Monthly, err = domain.RoundMinor(r.end, currency); err != nil {
		return err
	}
	moves := []movement{{&r.Gained, r.gained, 1}, {&r.Expansion, r.expansion, 1}, {&r.Contraction, r.contraction, -1}, {&r.Lost, r.lost, -1}}
	way, err := r.Monthly.Sub(r.Start)
	if err != nil {
		return err
	}
	return roundMovements(moves, way)
}

// movement is a way of a sum, up or down by its sign: exact, never negative, and rounded.
type movement struct {
	rounded *domain.Money
	exact   *big.Rat
	sign    int64
}

// roundMovements rounds each to the nearest, and then corrects those that are the furthest off until they make up the whole
// way. Start and end move with the sum of the movements, so there is always one that can give way and is not negative then.
func roundMovements(moves []movement, way domain.Money) (err error) {
	left := way.Minor
	for _, m := range moves {
		if *m.rounded, err = domain.RoundMinor(m.exact, way.Currency); err != nil {
			return err
		}
		left -= m.sign * m.rounded.Minor
	}
	for left != 0 {
		step := int64(1)
		if left < 0 {
			step = -1
		}
		var best *movement
		var most *big.Rat
		for i, m := range moves {
			change := m.sign * step
			if m.exact.Sign() == 0 || m.rounded.Minor+change < 0 {
				continue
			}
			off := new(big.Rat).Sub(m.exact, new(big.Rat).SetInt64(m.rounded.Minor))
			off.Mul(off, new(big.Rat).SetInt64(change))
			if best == nil || off.Cmp(most) > 0 {
				best, most = &moves[i], off
			}
		}
		if best == nil {
			return fmt.Errorf("%w: the movements of recurring revenue do not make up %s", domain.ErrMoney, way)
		}
		best.rounded.Minor += best.sign * step
		left -= step
	}
	return nil
}

// add adds a tally of the same currency.
func (t *SubscriptionTally) add(o SubscriptionTally) (err error) {
	t.Count += o.Count
	t.Amount, err = t.Amount.Add(o.Amount)
	return err
}
