package faults

import (
	"fmt"
	"net/http"
	"time"
)

// Kind says what goes wrong with a call.
type Kind string

// The kinds of fault. "Done" means that the handler ran and its writes are committed.
const (
	// Latency is done and answered, but only after Delay, before the work starts.
	Latency Kind = "latency"
	// Status is not done: the call is refused with Status and Body.
	Status Kind = "status"
	// Throttle is not done: 429, with a Retry-After as RetryAfter says.
	Throttle Kind = "throttle"
	// StaleToken is not done: the caller's session is forgotten and the call refused with 401.
	StaleToken Kind = "stale_token"
	// CutBefore is not done: the connection is reset without an answer.
	CutBefore Kind = "cut_before"
	// CutAfter is done, then the connection is reset without an answer.
	CutAfter Kind = "cut_after"
	// LateCommit resets the connection at once and does the work after Delay: a write that lands while its sender
	// already looks whether it did.
	LateCommit Kind = "late_commit"
	// AnswerLate is done at once and answered after Delay, perhaps after the client has given up.
	AnswerLate Kind = "answer_late"
	// HTMLPage is not done: a gateway's error page of text/html comes back, with Status.
	HTMLPage Kind = "html_page"
	// TruncatedJSON is done, but the body of the answer stops half way through a document that says 200.
	TruncatedJSON Kind = "truncated_json"
)

// RetryAfter says how a Throttle names its wait.
type RetryAfter string

// The ways to name a wait.
const (
	// RetryAfterNone leaves the header away.
	RetryAfterNone RetryAfter = ""
	// RetryAfterSeconds writes Delay in whole seconds, at least one.
	RetryAfterSeconds RetryAfter = "seconds"
	// RetryAfterDate writes the time after Delay as an HTTP date, which is whole seconds too.
	RetryAfterDate RetryAfter = "date"
)

// Fault is one thing that goes wrong. Fields that its Kind does not name are ignored.
type Fault struct {
	Kind Kind
	// Delay is the wait of Latency, LateCommit and AnswerLate, and what a Throttle tells the client to wait.
	Delay time.Duration
	// Jitter is added to the wait, a share of it that depends on seed, operation and count.
	Jitter time.Duration
	// Status is the status code of Status and HTMLPage; 503 and 502 where it is zero.
	Status int
	// Body is the body of a Status fault; empty leaves it to the server, in the vendor's shape.
	Body string
	// RetryAfter says how a Throttle names its wait.
	RetryAfter RetryAfter
}

// Refuse writes a refusal in the vendor's shape. It gets faults of the kinds Status (with an empty Body), Throttle and
// StaleToken; Retry-After is already set. For StaleToken it must also end the caller's session, so that the token stays
// stale until the next login.
type Refuse func(w http.ResponseWriter, r *http.Request, f Fault)

// Level names how bad it gets by chance.
type Level string

// The levels.
const (
	// None: nothing goes wrong unless scripted.
	None Level = "none"
	// Some: about one call in twenty suffers something.
	Some Level = "some"
	// Hell: about one call in six suffers something, and webhooks come late, several times, or never.
	Hell Level = "hell"
)

// ParseLevel reads a level's name, as a command's flag has it.
func ParseLevel(name string) (Level, error) {
	switch l := Level(name); l {
	case None, Some, Hell:
		return l, nil
	}
	return "", fmt.Errorf("there is no level of faults called %q: choose none, some or hell", name)
}

// Chance is a fault and how probable it is for one call, between 0 and 1.
type Chance struct {
	Fault       Fault
	Probability float64
	// WritesOnly keeps the fault away from reads, where it would be no different from another.
	WritesOnly bool
	// Prefix keeps the fault to operations that begin so; empty is all.
	Prefix string
}

// Chances are the faults of a level, in the order in which they share out the probability.
func (l Level) Chances() []Chance {
	switch l {
	case Some:
		return scaled(0.3)
	case Hell:
		return scaled(1)
	default:
		return nil
	}
}

func scaled(by float64) []Chance {
	all := []Chance{
		{Fault: Fault{Kind: Latency, Delay: 2 * time.Millisecond, Jitter: 30 * time.Millisecond}, Probability: 0.050},
		{Fault: Fault{Kind: Status, Status: 503}, Probability: 0.020},
		{Fault: Fault{Kind: Status, Status: 500}, Probability: 0.010},
		{Fault: Fault{Kind: Status, Status: 408}, Probability: 0.005},
		{Fault: Fault{Kind: Throttle}, Probability: 0.005},
		{Fault: Fault{Kind: Throttle, RetryAfter: RetryAfterSeconds, Delay: time.Second}, Probability: 0.004},
		{Fault: Fault{Kind: Throttle, RetryAfter: RetryAfterDate, Delay: time.Second}, Probability: 0.002},
		// HighLevel's private tokens don't go stale, sessions do.
		{Fault: Fault{Kind: StaleToken}, Probability: 0.004, Prefix: "sage."},
		{Fault: Fault{Kind: CutBefore}, Probability: 0.020},
		{Fault: Fault{Kind: CutAfter}, Probability: 0.020},
		{Fault: Fault{Kind: HTMLPage, Status: 502}, Probability: 0.006},
		{Fault: Fault{Kind: TruncatedJSON}, Probability: 0.005},
		{Fault: Fault{Kind: AnswerLate, Delay: 50 * time.Millisecond, Jitter: 150 * time.Millisecond}, Probability: 0.008},
		{Fault: Fault{Kind: LateCommit, Delay: 50 * time.Millisecond, Jitter: 100 * time.Millisecond},
			Probability: 0.010, WritesOnly: true},
	}
	for i := range all {
		all[i].Probability *= by
	}
	return all
}
