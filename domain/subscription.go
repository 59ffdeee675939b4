package domain

import (
	"strings"
	"time"
)

// SubscriptionState says how a subscription stands, in our words.
type SubscriptionState string

// The states of subscriptions, as the extra field Z_SubscriptionStatus holds them.
const (
	SubscriptionTrialing   SubscriptionState = "trialing"
	SubscriptionActive     SubscriptionState = "active"
	SubscriptionPastDue    SubscriptionState = "past_due"
	SubscriptionPaused     SubscriptionState = "paused"
	SubscriptionIncomplete SubscriptionState = "incomplete"
	SubscriptionUnpaid     SubscriptionState = "unpaid"
	SubscriptionCancelled  SubscriptionState = "cancelled"
	SubscriptionExpired    SubscriptionState = "expired"
	// SubscriptionUnknown is a word that is not in the table. It is shown with that word and never guessed at.
	SubscriptionUnknown SubscriptionState = "unknown"
)

// SubscriptionStates lists all states, from the trial to the end, the unknown one last.
func SubscriptionStates() []SubscriptionState {
	return []SubscriptionState{
		SubscriptionTrialing, SubscriptionActive, SubscriptionPastDue, SubscriptionPaused, SubscriptionIncomplete,
		SubscriptionUnpaid, SubscriptionCancelled, SubscriptionExpired, SubscriptionUnknown,
	}
}

// subscriptionWords is the whole table of words: HighLevel's, which its help article 48001225940 lists, and those of
// the two payment providers whose own objects HighLevel hands out, Stripe's and PayPal's.
var subscriptionWords = map[string]SubscriptionState{
	"trialing":           SubscriptionTrialing,
	"active":             SubscriptionActive,
	"past_due":           SubscriptionPastDue,
	"paused":             SubscriptionPaused,     // Stripe's, when a trial ends without a means of payment
	"suspended":          SubscriptionPaused,     // PayPal's: no charges until somebody resumes it
	"incomplete":         SubscriptionIncomplete, // the first charge did not go through
	"approval_pending":   SubscriptionIncomplete, // PayPal's: the customer has not agreed yet
	"approved":           SubscriptionIncomplete, // PayPal's: agreed, and not begun
	"unpaid":             SubscriptionUnpaid,     // Stripe's: it has stopped trying
	"canceled":           SubscriptionCancelled,
	"cancelled":          SubscriptionCancelled, // PayPal's spelling
	"expired":            SubscriptionExpired,
	"incomplete_expired": SubscriptionExpired, // Stripe's: the first charge never went through
}

// SubscriptionStateOf reads a source's word, in any case. A word that is not in the table, the empty one too, is
// SubscriptionUnknown.
func SubscriptionStateOf(word string) SubscriptionState {
	if state, known := subscriptionWords[strings.ToLower(strings.TrimSpace(word))]; known {
		return state
	}
	return SubscriptionUnknown
}

// Ended tells whether no charge will ever follow: cancelled and expired.
func (s SubscriptionState) Ended() bool {
	return s == SubscriptionCancelled || s == SubscriptionExpired
}

// Earning tells whether the subscription counts for recurring revenue: active ones do, and past due ones, whose charge
// is still being tried. Trials, pauses, and those that have not begun or have stopped being charged do not.
func (s SubscriptionState) Earning() bool {
	return s == SubscriptionActive || s == SubscriptionPastDue
}

// renews tells whether another charge is to be expected.
func (s SubscriptionState) renews() bool { return s.Earning() || s == SubscriptionTrialing }

// Stage is where an opportunity stands in the sales pipeline.
type Stage string

// The stages. Which status of Sage each one is, is the tenant's own.
const (
	StageOpen Stage = "open"
	StageWon  Stage = "won"
	StageLost Stage = "lost"
)

// Stage places the subscription in the pipeline: what has not begun, and what nobody can tell, is open; what has begun is
// won, also while it is paused or behind with its payments; what has ended is lost.
func (s SubscriptionState) Stage() Stage {
	switch s {
	case SubscriptionActive, SubscriptionPastDue, SubscriptionPaused, SubscriptionUnpaid:
		return StageWon
	case SubscriptionCancelled, SubscriptionExpired:
		return StageLost
	}
	return StageOpen
}

// SubscriptionSchedule is when a subscription is charged, with all that puts charges off or ends them.
type SubscriptionSchedule struct {
	State SubscriptionState
	// Every is the time from one charge to the next.
	Every Recurrence
	// Start is the first charge. Its location is the zone whose clocks and calendar the rule follows; it must not be lost
	// on the way, as JSON would.
	Start time.Time
	// Day is the day of the month, by month and by year: 0 is that of Start, -1 the last one. A month that is too short is
	// charged on its last day.
	Day int64
	// Weekday is the day of the week as RFC 5545 writes it, in any case ("mo"): by week, where empty is that of Start, and
	// by month and by year together with Nth.
	Weekday string
	// Nth says which of the month's Weekdays it is, instead of Day: 1 to 4, or -1 for the last one. 0 is none.
	Nth int64
	// Month is the month by year; 0 is that of Start.
	Month time.Month
	// Until is the last moment at which a charge can fall, zero for no end; Charges the number of them, 0 for no end.
	Until   time.Time
	Charges int64
	// TrialEnd is when the trial ends, which is the first charge; zero without one.
	TrialEnd time.Time
	// GatewayNext is the next charge as the payment provider says, GatewayEnd when it will end the subscription. Zero where
	// it says nothing.
	GatewayNext, GatewayEnd time.Time
}
