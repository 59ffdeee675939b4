package intake

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Answer is the JSON document of every answer.
type Answer struct {
	// Status is "accepted", "kept", "ignored", "refused" or "later".
	Status string `json:"status"`
	// Reason says why it is not "accepted".
	Reason string `json:"reason,omitempty"`
}

// Verdict is an Answer with its HTTP status and its metric label.
type Verdict struct {
	Answer
	code  int
	label string
	// after is for 429 only.
	after time.Duration
}

// Accepted says that what was told is being followed.
func Accepted() Verdict {
	return Verdict{Answer: Answer{Status: "accepted"}, code: http.StatusOK, label: "accepted"}
}

// Kept says that what was told is stored, and followed once it can be.
func Kept(reason string) Verdict {
	return Verdict{Answer: Answer{Status: "kept", Reason: reason}, code: http.StatusOK, label: "kept"}
}

// Ignored says that nothing needs to be done, and that sending it was no mistake.
func Ignored(reason string) Verdict {
	return Verdict{Answer: Answer{Status: "ignored", Reason: reason}, code: http.StatusOK, label: "ignored"}
}

// Refused says that it is not taken in, now or later. The label is for the metrics.
func Refused(code int, label, reason string) Verdict {
	return Verdict{Answer: Answer{Status: "refused", Reason: reason}, code: code, label: label}
}

// Later asks for the same once more. It is always 429, after which HighLevel sends again, and after no other (A22).
func Later(label, reason string, after time.Duration) Verdict {
	return Verdict{Answer: Answer{Status: "later", Reason: reason}, code: http.StatusTooManyRequests, label: label, after: after}
}

func (v Verdict) write(w http.ResponseWriter) {
	head := w.Header()
	head.Set("Content-Type", "application/json")
	head.Set("Cache-Control", "no-store")
	if v.after > 0 {
		head.Set("Retry-After", strconv.Itoa(int(v.after.Seconds())))
	}
	if v.code == http.StatusMethodNotAllowed {
		head.Set("Allow", http.MethodPost)
	}
	w.WriteHeader(v.code)
	// The sender may be gone; what it told is kept all the same.
	_ = json.NewEncoder(w).Encode(v.Answer)
}
