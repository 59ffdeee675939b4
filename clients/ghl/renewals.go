package ghl

import (
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // schedules name time zones, and the images hold nothing but the program

	"github.com/tallystick/tallystick/domain"
)

// snapshotWire is Stripe's subscription and PayPal's in one: their fields do not collide.
type snapshotWire struct {
	Status text `json:"status"`
	// Stripe's. The current period moved to the items in 2025.
	PeriodEnd         instant                `json:"current_period_end"`
	CancelAtPeriodEnd flag                   `json:"cancel_at_period_end"`
	CancelAt          instant                `json:"cancel_at"`
	CanceledAt        instant                `json:"canceled_at"`
	EndedAt           instant                `json:"ended_at"`
	TrialEnd          instant                `json:"trial_end"`
	PauseCollection   object[pauseWire]      `json:"pause_collection"`
	Items             object[stripeItems]    `json:"items"`
	Plan              object[stripeInterval] `json:"plan"`
	// PayPal's.
	ChangedAt   moment                `json:"status_update_time"`
	BillingInfo object[paypalBilling] `json:"billing_info"`
}

type pauseWire struct {
	Behavior text `json:"behavior"`
}

type stripeItems struct {
	Data list[object[stripeItem]] `json:"data"`
}

type stripeItem struct {
	PeriodEnd instant             `json:"current_period_end"`
	Price     object[stripePrice] `json:"price"`
}

type stripePrice struct {
	Recurring object[stripeInterval] `json:"recurring"`
}

type stripeInterval struct {
	Interval text  `json:"interval"`
	Count    count `json:"interval_count"`
}

type paypalBilling struct {
	NextBilling moment `json:"next_billing_time"`
}

// instant takes seconds of the epoch, as Stripe writes times, besides what moment takes.
type instant struct{ time.Time }

func (i *instant) UnmarshalJSON(data []byte) error {
	var m moment
	if err := m.UnmarshalJSON(data); err != nil {
		return err
	}
	i.Time = m.Time
	var t text
	if err := t.UnmarshalJSON(data); err != nil {
		return err
	}
	if s, err := strconv.ParseInt(string(t), 10, 64); err == nil && s > 0 && s < 1_000_000_000_000 {
		i.Time = time.Unix(s, 0).UTC()
	}
	return nil
}

func (w snapshotWire) fold() Snapshot {
	s := Snapshot{
		Status: string(w.Status), ChangedAt: w.ChangedAt.Time, Paused: w.PauseCollection.v.Behavior != "",
		PeriodEnd: w.PeriodEnd.Time, NextBilling: w.BillingInfo.v.NextBilling.Time, EndsAt: w.CancelAt.Time,
		CanceledAt: w.CanceledAt.Time, EndedAt: w.EndedAt.Time, TrialEnd: w.TrialEnd.Time,
		Interval: string(w.Plan.v.Interval), IntervalCount: int64(w.Plan.v.Count),
	}
	for _, item := range w.Items.v.Data {
		end, every := item.v.PeriodEnd.Time, item.v.Price.v.Recurring.v
		if !end.IsZero() && (s.PeriodEnd.IsZero() || end.Before(s.PeriodEnd)) {
			s.PeriodEnd = end
		}
		if s.Interval == "" {
			s.Interval, s.IntervalCount = string(every.Interval), int64(every.Count)
		}
	}
	if s.EndsAt.IsZero() && w.CancelAtPeriodEnd.on {
		s.EndsAt = s.PeriodEnd
	}
	return s
}

// State tells how the subscription stands, and the word that says so. It is HighLevel's, with two exceptions where the
// payment provider knows better: a pause at Stripe, which no status shows, and a status that the provider set after
// HighLevel last changed the subscription, as PayPal's are not kept in step (A39, A132).
func (s Subscription) State() (state domain.SubscriptionState, word string) {
	word = s.Status
	if s.Snapshot.Status != "" && s.Snapshot.ChangedAt.After(s.UpdatedAt) {
		word = s.Snapshot.Status
	}
	state = domain.SubscriptionStateOf(word)
	if s.Snapshot.Paused && (state.Earning() || state == domain.SubscriptionTrialing) {
		return domain.SubscriptionPaused, "pause_collection"
	}
	return state, word
}

// EndedAt is when the subscription ended or was cancelled, as HighLevel or else the payment provider says; zero while it
// goes on, and where nobody says.
func (s Subscription) EndedAt() time.Time {
	if state, _ := s.State(); !state.Ended() {
		return time.Time{}
	}
	for _, at := range []time.Time{s.CanceledAt, s.Snapshot.EndedAt, s.Snapshot.CanceledAt} {
		if !at.IsZero() {
			return at
		}
	}
	if s.Snapshot.ChangedAt.After(s.UpdatedAt) {
		return s.Snapshot.ChangedAt
	}
	return time.Time{}
}

// Renewals is all that is known of when the subscription is charged, for domain.NextRenewal. A list row has no schedule:
// of one, only what the payment provider says is known. DaysBefore is not looked at.
func (s Subscription) Renewals() domain.SubscriptionSchedule {
	r := domain.SubscriptionSchedule{
		Start: s.Schedule.start(), Until: s.Schedule.until(), Charges: s.Schedule.Count, Day: s.Schedule.DayOfMonth,
		Weekday: s.Schedule.DayOfWeek, Month: months[strings.ToLower(s.Schedule.MonthOfYear)], TrialEnd: s.TrialEnd,
		GatewayNext: s.Snapshot.NextBilling, GatewayEnd: s.Snapshot.EndsAt,
	}
	r.State, _ = s.State()
	var known bool
	if r.Every, known = every(s.Schedule.IntervalType, s.Schedule.Interval); !known {
		r.Every, _ = every(s.Snapshot.Interval, s.Snapshot.IntervalCount)
	}
	if s.Schedule.DayOfMonth == 0 { // the two are two ways to name a day
		r.Nth = s.Schedule.NumOfWeek
	}
	if strings.EqualFold(s.Schedule.EndType, "never") {
		r.Charges = 0
	}
	if r.GatewayNext.IsZero() {
		r.GatewayNext = s.Snapshot.PeriodEnd
	}
	return r
}

// every takes an interval that is not given for 1, as RFC 5545 has it.
func every(unit string, interval int64) (domain.Recurrence, bool) {
	if interval == 0 {
		interval = 1
	}
	return domain.RecurrenceOf(unit, interval)
}

var months = map[string]time.Month{
	"jan": time.January, "feb": time.February, "mar": time.March, "apr": time.April, "may": time.May, "jun": time.June,
	"jul": time.July, "aug": time.August, "sep": time.September, "oct": time.October, "nov": time.November, "dec": time.December,
}

// start is the first charge, and zero where none can be read. Only where there is no date, the moment in ExecuteAt is
// taken, of which HighLevel documents no form (A39).
func (s Schedule) start() time.Time {
	if at := s.at(s.StartDate, s.StartTime, "00:00:00"); !at.IsZero() {
		return at
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, s.ExecuteAt); err == nil {
			return at.In(s.zone())
		}
	}
	return time.Time{}
}

// until is the last moment of the end, zero for no end.
func (s Schedule) until() time.Time {
	if strings.EqualFold(s.EndType, "never") {
		return time.Time{}
	}
	return s.at(s.EndDate, s.EndTime, "23:59:59")
}

// at reads a date, and a time of day or, where there is none that can be read, the one given.
func (s Schedule) at(date, clock, otherwise string) time.Time {
	if len(date) > len(time.DateOnly) { // a moment where a date was meant
		date = date[:len(time.DateOnly)]
	}
	for _, c := range []string{clock, clock + ":00", otherwise} {
		if at, err := time.ParseInLocation(time.DateTime, date+" "+c, s.zone()); err == nil {
			return at
		}
	}
	return time.Time{}
}

func (s Schedule) zone() *time.Location {
	if s.Timezone == "Local" { // Go's name for wherever this program runs
		return time.UTC
	}
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return time.UTC
	}
	return zone
}
