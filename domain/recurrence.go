package domain

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// The units of a Recurrence.
const (
	UnitDay   = "day"
	UnitWeek  = "week"
	UnitMonth = "month"
	UnitYear  = "year"
)

// Recurrence is how often something is paid. The zero value is that of what nobody knows.
type Recurrence struct {
	// Unit is UnitDay, UnitWeek, UnitMonth or UnitYear.
	Unit string `json:"unit,omitempty"`
	// Count is the number of units from one charge to the next, 1 or more.
	Count int64 `json:"count,omitempty"`
}

// maxPeriod bounds Count: a hundred years in days, beyond which no rule is meant seriously.
const maxPeriod = 36600

// RecurrenceOf reads the words that HighLevel and the payment providers have for a unit, in any case: "month" and
// "monthly" and so on. What is shorter than a day, any other word, and a count that is not positive give false.
func RecurrenceOf(unit string, count int64) (Recurrence, bool) {
	units := map[string]string{
		UnitDay: UnitDay, "daily": UnitDay, UnitWeek: UnitWeek, "weekly": UnitWeek,
		UnitMonth: UnitMonth, "monthly": UnitMonth, UnitYear: UnitYear, "yearly": UnitYear,
	}
	r := Recurrence{Unit: units[strings.ToLower(strings.TrimSpace(unit))], Count: count}
	if !r.Known() {
		return Recurrence{}, false
	}
	return r, true
}

// Known tells whether unit and count are such that something can be computed.
func (r Recurrence) Known() bool {
	switch r.Unit {
	case UnitDay, UnitWeek, UnitMonth, UnitYear:
		return r.Count > 0 && r.Count <= maxPeriod
	}
	return false
}

// String is for people: "monthly", "every 3 months"; empty where it is not known.
func (r Recurrence) String() string {
	switch {
	case !r.Known():
		return ""
	case r.Count > 1:
		return fmt.Sprintf("every %d %ss", r.Count, r.Unit)
	case r.Unit == UnitDay:
		return "daily"
	}
	return r.Unit + "ly"
}

// perYear is how many of a unit a year has, for revenue. These are the usual conventions, and they disagree a little: 52
// weeks are 364 days.
var perYear = map[string]int64{UnitDay: 365, UnitWeek: 52, UnitMonth: 12, UnitYear: 1}

// Instalment is an amount that is paid again and again.
type Instalment struct {
	Amount Money      `json:"amount"`
	Every  Recurrence `json:"every"`
}

// MonthlyRevenue is what instalments of one currency make in a month (MRR): a year has 12 months, 52 weeks and 365 days,
// and a month is a twelfth of it. The sum is exact and rounded once, half to even, so it may differ from the sum of the
// parts' own. An instalment of another currency, one whose recurrence is not known, and a sum beyond int64 are an
// ErrMoney.
func MonthlyRevenue(currency Currency, instalments ...Instalment) (Money, error) {
	sum := new(big.Rat)
	for _, i := range instalments {
		if i.Amount.Currency != currency {
			return Money{}, fmt.Errorf("%w: %s cannot be summed up in %s", ErrMoney, i.Amount, currency)
		}
		part, err := i.PerMonth()
		if err != nil {
			return Money{}, err
		}
		sum.Add(sum, part)
	}
	return RoundMinor(sum, currency)
}

// PerMonth is what the instalment makes in a month, in minor units and exactly, by the conventions of MonthlyRevenue. A
// recurrence that is not known is an ErrMoney.
func (i Instalment) PerMonth() (*big.Rat, error) {
	if !i.Every.Known() {
		return nil, fmt.Errorf("%w: %s is paid every %d of %q, which is no recurrence", ErrMoney, i.Amount, i.Every.Count,
			clip(i.Every.Unit, 12))
	}
	part := big.NewRat(perYear[i.Every.Unit], 12*i.Every.Count)
	return part.Mul(part, new(big.Rat).SetInt64(i.Amount.Minor)), nil
}

// RoundMinor makes money of an exact number of minor units, rounded half to even. What does not fit into an int64 is an
// ErrMoney.
func RoundMinor(exact *big.Rat, currency Currency) (Money, error) {
	minor, ok := halfEven(exact)
	if !ok {
		return Money{}, fmt.Errorf("%w: the revenue of a month is too large", ErrMoney)
	}
	return NewMoney(minor, currency), nil
}

// Monthly is MonthlyRevenue of one instalment.
func (r Recurrence) Monthly(amount Money) (Money, error) {
	return MonthlyRevenue(amount.Currency, Instalment{Amount: amount, Every: r})
}

// halfEven rounds to the nearest whole number, and a half to the even one.
func halfEven(r *big.Rat) (int64, bool) {
	floor, rest := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int)) // Euclid's: the rest is never negative
	switch rest.Lsh(rest, 1).Cmp(r.Denom()) {
	case 1:
		floor.Add(floor, big.NewInt(1))
	case 0:
		floor.Add(floor, big.NewInt(int64(floor.Bit(0))))
	}
	return floor.Int64(), floor.IsInt64()
}

// NextRenewal is the next charge strictly after a moment, in UTC, and false where none is to be expected or none can be
// told: the subscription has ended, rests, has not begun or is in a state nobody knows; its rule is over or unknown.
//
// What the payment provider says wins as long as it lies ahead: it charges, HighLevel only keeps a rule. A date of the
// provider's that is past comes from an object that was not kept up, as PayPal's are not (A132); then the end of a trial
// counts, and then the rule.
func NextRenewal(s SubscriptionSchedule, after time.Time) (time.Time, bool) {
	if !s.State.renews() {
		return time.Time{}, false
	}
	var next time.Time
	found := true
	switch {
	case !s.GatewayNext.IsZero() && s.GatewayNext.After(after):
		next = s.GatewayNext
	case s.State == SubscriptionTrialing && !s.TrialEnd.IsZero() && s.TrialEnd.After(after):
		next = s.TrialEnd
	default:
		next, found = s.byRule(after)
	}
	if !found || (!s.GatewayEnd.IsZero() && !next.Before(s.GatewayEnd)) {
		return time.Time{}, false
	}
	return next.UTC(), true
}

// byRule walks the charges of the rule. They are computed on a calendar without a zone and then set on the zone's clocks,
// so that a charge stays at its time of day when the clocks change.
func (s SubscriptionSchedule) byRule(after time.Time) (time.Time, bool) {
	options, ok := s.options()
	if !ok {
		return time.Time{}, false
	}
	rule, err := rrule.NewRRule(options)
	if err != nil { // a day or a month that no calendar has
		return time.Time{}, false
	}
	for walk := rule.Iterator(); ; {
		at, more := walk()
		if !more {
			return time.Time{}, false
		}
		at = time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, s.Start.Location())
		if !s.Until.IsZero() && at.After(s.Until) {
			return time.Time{}, false
		}
		if at.After(after) {
			return at, true
		}
	}
}

// options are the rule in the words of RFC 5545.
func (s SubscriptionSchedule) options() (rrule.ROption, bool) {
	frequencies := map[string]rrule.Frequency{
		UnitDay: rrule.DAILY, UnitWeek: rrule.WEEKLY, UnitMonth: rrule.MONTHLY, UnitYear: rrule.YEARLY,
	}
	o := rrule.ROption{Freq: frequencies[s.Every.Unit], Interval: int(s.Every.Count), Count: int(s.Charges)}
	// Nobody subscribed before these services began; and the walk is not to be a long one.
	if !s.Every.Known() || s.Charges < 0 || s.Charges > maxPeriod || s.Start.Year() < 1990 || s.Start.Year() > 2400 {
		return o, false
	}
	o.Dtstart = time.Date(s.Start.Year(), s.Start.Month(), s.Start.Day(),
		s.Start.Hour(), s.Start.Minute(), s.Start.Second(), 0, time.UTC)
	if s.Every.Unit == UnitYear {
		o.Bymonth = []int{int(s.Month)}
		if s.Month == 0 {
			o.Bymonth = []int{int(s.Start.Month())}
		}
	}
	switch s.Every.Unit {
	case UnitDay:
		return o, true
	case UnitWeek:
		return o, s.Weekday == "" || s.onWeekday(&o, 0)
	}
	if s.Nth != 0 {
		return o, s.Nth >= -1 && s.Nth <= 4 && s.onWeekday(&o, int(s.Nth))
	}
	return o, s.onDay(&o)
}

// onDay sets the day of the month. RFC 5545 leaves out the months that have no such day, whereas subscriptions are then
// charged on the last one: that is the last of the days from the 28th to the one wanted.
func (s SubscriptionSchedule) onDay(o *rrule.ROption) bool {
	day := int(s.Day)
	if day == 0 {
		day = s.Start.Day()
	}
	if day < -1 || day > 31 {
		return false
	}
	o.Bymonthday = []int{day}
	for shorter := 28; shorter < day; shorter++ {
		o.Bymonthday = append(o.Bymonthday, shorter)
		o.Bysetpos = []int{-1}
	}
	return true
}

func (s SubscriptionSchedule) onWeekday(o *rrule.ROption, nth int) bool {
	days := map[string]rrule.Weekday{
		"mo": rrule.MO, "tu": rrule.TU, "we": rrule.WE, "th": rrule.TH, "fr": rrule.FR, "sa": rrule.SA, "su": rrule.SU,
	}
	day, known := days[strings.ToLower(s.Weekday)]
	if nth != 0 {
		day = day.Nth(nth)
	}
	o.Byweekday = []rrule.Weekday{day}
	return known
}
