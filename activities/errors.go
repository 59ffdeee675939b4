package activities

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/store"
)

// Kind is the kind of a fault. It is the type of the Temporal application error, the reason kind of a parked item, and
// a metric label.
type Kind string

// The kinds of faults.
const (
	Throttled      Kind = "Throttled"
	Unavailable    Kind = "Unavailable"
	OutcomeUnknown Kind = "OutcomeUnknown"
	Unauthorized   Kind = "Unauthorized"
	Forbidden      Kind = "Forbidden"
	NotFound       Kind = "NotFound"
	Invalid        Kind = "Invalid"
	Conflict       Kind = "Conflict"
	Mapping        Kind = "Mapping"
	Money          Kind = "Money"
	ReadOnly       Kind = "ReadOnly"
	Busy           Kind = "Busy"
	Mismatch       Kind = "Mismatch"
	StaleCustomer  Kind = "StaleCustomer"
	Reconnect      Kind = "Reconnect"
	Paused         Kind = "Paused"
	Unknown        Kind = "Unknown"
)

// Rule says what is done about a kind of fault.
type Rule struct {
	// Retry: Temporal tries again. Otherwise the item is parked.
	Retry bool
	// Attempts bounds the retries; 0 means no bound. After them the item is parked.
	Attempts int32
	// Wait is the shortest time before the next attempt where the fault itself names none; 0 leaves it to the retry
	// policy.
	Wait time.Duration
	// Heals: the cause may pass without a change of the item itself, so the sweep gives a parked item another go.
	Heals bool
	// Crowd: many items are likely to wait for the same thing, so that each waits longer every time.
	Crowd bool
	// Tell is who must act: nobody, or the operator.
	Tell Audience
}

// Audience is who is told of a fault.
type Audience string

// The audiences.
const (
	Nobody   Audience = "nobody"
	Operator Audience = "operator"
)

// Rules is the one table of what is done about each kind of fault.
var Rules = map[Kind]Rule{
	// The vendor asks for less; its own waiting time is kept.
	Throttled: {Retry: true, Wait: time.Second, Crowd: true, Tell: Nobody},
	// The vendor is down, slow or answers nonsense.
	Unavailable: {Retry: true, Tell: Nobody},
	// A write may have landed. It is looked for, after a delay, before it is written again.
	OutcomeUnknown: {Retry: true, Wait: 2 * time.Second, Tell: Nobody},
	// Credentials are refused. A vendor does so by mistake for a moment; beyond that only a person can mend it, and then
	// everything goes on.
	Unauthorized: {Retry: true, Attempts: 6, Heals: true, Tell: Operator},
	Forbidden:    {Retry: true, Attempts: 6, Heals: true, Tell: Operator},
	// A payment may be seen before its order is: some minutes' patience, then parked.
	NotFound: {Retry: true, Attempts: 8, Heals: true, Tell: Operator},
	// The vendor refuses the content.
	Invalid: {Tell: Operator},
	// Several answers are possible and a person must choose, or a record may not be edited.
	Conflict: {Tell: Operator},
	// A tenant's id or field is missing in the configuration.
	Mapping: {Heals: true, Tell: Operator},
	// An amount or currency does not fit.
	Money: {Tell: Operator},
	// READ_ONLY is set; everything goes on once it is not.
	ReadOnly: {Heals: true, Tell: Operator},
	// Another step is bringing the same customer, product, order or shipment at this moment, or changed its record.
	Busy: {Retry: true, Wait: 500 * time.Millisecond, Crowd: true, Tell: Nobody},
	// What was read back is not what was written.
	Mismatch: {Retry: true, Attempts: 5, Heals: true, Tell: Operator},
	// The customer that was remembered is gone at Sage; the workflow brings it anew.
	StaleCustomer: {Heals: true, Tell: Nobody},
	// The location must be connected anew, or an operator paused it. Its items wait at no cost; the process of the
	// connection tells the operator once, and has them carried on with when the connection is back.
	Reconnect: {Heals: true, Tell: Nobody},
	Paused:    {Heals: true, Tell: Nobody},
	// A fault nobody foresaw is tried again, and says that it is unforeseen.
	Unknown: {Retry: true, Attempts: 50, Heals: true, Tell: Operator},
}

// Fault is an error of a known kind, with what Temporal and the operator need to know about it.
type Fault struct {
	Kind Kind
	// Words say what is wrong and what to do. They hold nothing secret or personal.
	Words string
	// Wait is the vendor's own waiting time, if it named one.
	Wait time.Duration
	// Candidates are the ids of the Sage orders a person may choose from.
	Candidates []int64
	Err        error
}

// Error implements error.
func (f *Fault) Error() string {
	if f.Err != nil && f.Words != "" {
		return f.Words + ": " + f.Err.Error()
	}
	if f.Err != nil {
		return f.Err.Error()
	}
	return f.Words
}

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Err }

func faultf(kind Kind, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Words: fmt.Sprintf(format, args...)}
}

// faultOf reads any error as a fault. It is the only place where errors of the clients, the store and the domain become
// kinds.
func faultOf(err error) *Fault {
	var fault *Fault
	if errors.As(err, &fault) {
		return fault
	}
	var call *transport.Error
	var missing *sage.MappingError
	var untold *notify.Error
	switch {
	case errors.Is(err, domain.ErrMoney):
		return &Fault{Kind: Money, Err: err}
	case errors.As(err, &missing):
		return &Fault{Kind: Mapping, Err: missing}
	case errors.Is(err, transport.ErrReadOnly):
		return &Fault{Kind: ReadOnly, Words: "READ_ONLY is set, so nothing is written", Err: err}
	case errors.As(err, &call):
		return faultOfCall(call, err)
	case errors.As(err, &untold):
		return faultOfMessage(untold)
	case errors.Is(err, store.ErrChanged):
		return &Fault{Kind: Busy, Words: "another step changed the same record at this moment", Err: err}
	case outOfTime(err):
		return &Fault{Kind: Unavailable, Words: "the step ran out of time", Err: err}
	}
	return &Fault{Kind: Unknown, Words: "unforeseen fault, tried again", Err: err}
}

func faultOfCall(call *transport.Error, err error) *Fault {
	fault := &Fault{Err: err, Wait: call.RetryAfter}
	switch {
	case call.Status == 429, heldBack(err):
		fault.Kind = Throttled
	case call.MayHaveLanded:
		fault.Kind = OutcomeUnknown
	case errors.Is(err, transport.ErrInvalidCall):
		fault.Kind = Invalid // nothing was sent, and the same call stays wrong
	case ghl.IsScopeMissing(err):
		fault.Kind, fault.Words = Forbidden, call.Vendor+" wants a scope that the token lacks; grant it and check with `starter check`"
	case refusedKeys(call, err):
		fault.Kind, fault.Words = Unauthorized, call.Vendor+" cannot be logged in to; check the credentials with `starter check`"
	case call.Status == 401:
		fault.Kind, fault.Words = Unauthorized, call.Vendor+" refuses the credentials; check them with `starter check`"
	case call.Status == 403:
		fault.Kind, fault.Words = Forbidden, call.Vendor+" does not allow this with the credentials given"
	case ghl.IsNotFound(err):
		fault.Kind = NotFound
	case errors.Is(err, transport.ErrUnreadable), errors.Is(err, transport.ErrTooLarge):
		// Mostly an answer that was cut. One that comes again and again is a person's to look at, so it has an end.
		fault.Kind, fault.Words = Unknown, call.Vendor+" gives an answer that cannot be read"
	case call.Status == 408 || call.Status >= 500 || call.Status < 400:
		// No status at all is a fault of the network; 2xx and 3xx get here only with an unreadable answer.
		fault.Kind = Unavailable
	default:
		fault.Kind = Invalid
	}
	return fault
}

// faultOfMessage reads why a message did not reach the operator.
func faultOfMessage(untold *notify.Error) *Fault {
	fault := &Fault{Kind: Unavailable, Wait: untold.RetryAfter, Err: untold}
	switch {
	case untold.Status == 429:
		fault.Kind = Throttled
	case untold.Refused():
		fault.Kind = Invalid
	}
	return fault
}

// heldBack tells that our own limiter stopped the call, and not the end of the step's time while it waited.
func heldBack(err error) bool { return errors.Is(err, transport.ErrLimited) && !outOfTime(err) }

func outOfTime(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// refusedKeys tells that the credentials themselves are at fault: the vendor refuses them, with whatever status, or
// there are none to send. A log-in that the network or the vendor's state kept from happening is no such thing.
func refusedKeys(call *transport.Error, err error) bool {
	if errors.Is(err, sage.ErrCredentials) {
		return true
	}
	return call.Status == 0 && errors.Is(err, transport.ErrCredentials) && !errors.Is(err, transport.ErrNoAnswer) && !outOfTime(err)
}

// asTemporal turns an error into the one Temporal acts on: retried or not, after which wait, and with the kind as type.
// The attempt counts from 1.
func asTemporal(err error, attempt int32, settle time.Duration) error {
	if err == nil {
		return nil
	}
	fault := faultOf(err)
	rule := Rules[fault.Kind]
	wait := max(rule.Wait, fault.Wait)
	if rule.Crowd {
		wait += spread(wait, attempt)
	}
	if fault.Kind == OutcomeUnknown && settle > 0 {
		wait = max(settle, fault.Wait)
	}
	options := temporal.ApplicationErrorOptions{
		NonRetryable: !rule.Retry || (rule.Attempts > 0 && attempt >= rule.Attempts),
		Details:      []any{FaultDetails{Candidates: fault.Candidates, Heals: rule.Heals}},
	}
	if !options.NonRetryable && wait > 0 {
		options.NextRetryDelay = wait
	}
	if rule.Tell == Nobody {
		options.Category = temporal.ApplicationErrorCategoryBenign
	}
	// The cause is not attached: its text is in the message already, and only once is enough in a history.
	return temporal.NewApplicationErrorWithOptions(fault.Error(), string(fault.Kind), options)
}

const (
	// longWait is a wait that many steps are likely to end together, such as that for a vendor's next day.
	longWait   = time.Minute
	mostSpread = 10 * time.Minute
	// longestBackOff is what the spread of short waits grows to.
	longestBackOff = 30 * time.Second
)

// spread is what is added to the wait of a step that is one of many, by chance, so that they do not all come back in one
// moment and send each other away again: up to a tenth of a long wait, for a quota that is renewed; and for a short one,
// twice as much with each attempt, since steps that come back at a steady pace keep worker and server busy with nothing.
func spread(wait time.Duration, attempt int32) time.Duration {
	if wait >= longWait {
		return rand.N(min(wait/10, mostSpread)) //nolint:gosec // chance, and no secret
	}
	most := wait
	for ; attempt > 1 && most < longestBackOff; attempt-- {
		most *= 2
	}
	return rand.N(min(most, longestBackOff) + 1) //nolint:gosec // as above
}

// GiveWay is the error of a step that was not begun because its location has taken its part of the worker.
func GiveWay(ctx context.Context) error {
	return asTemporal(faultf(Throttled, "the other locations are to have their turn"), attempt(ctx), 0)
}

// FaultDetails travels with the Temporal error to the workflow that parks the item.
type FaultDetails struct {
	Candidates []int64 `json:"candidates,omitempty"`
	Heals      bool    `json:"heals,omitempty"`
}
