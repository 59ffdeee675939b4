package webhook

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Answer is the JSON document of every answer.
type Answer struct {
	// Status is "accepted", "ignored", "refused" or "later".
	Status string `json:"status"`
	// Reason says why the event was not accepted.
	Reason string `json:"reason,omitempty"`
}

// answer is an Answer with its HTTP status and its metric label.
type answer struct {
	Answer
	code  int
	label string
	// after is for 429 only.
	after time.Duration
}

var accepted = answer{Answer: Answer{Status: "accepted"}, code: http.StatusOK, label: "accepted"}

func ignored(reason string) answer {
	return answer{Answer: Answer{Status: "ignored", Reason: reason}, code: http.StatusOK, label: "ignored"}
}

func refused(code int, label, reason string) answer {
	return answer{Answer: Answer{Status: "refused", Reason: reason}, code: code, label: label}
}

// later asks for another delivery, which HighLevel makes after a 429 only (A22).
func later(label, reason string, after time.Duration) answer {
	return answer{Answer: Answer{Status: "later", Reason: reason}, code: http.StatusTooManyRequests, label: label, after: after}
}

func (a answer) write(w http.ResponseWriter) {
	head := w.Header()
	head.Set("Content-Type", "application/json")
	head.Set("Cache-Control", "no-store")
	if a.after > 0 {
		head.Set("Retry-After", strconv.Itoa(int(a.after.Seconds())))
	}
	if a.code == http.StatusMethodNotAllowed {
		head.Set("Allow", http.MethodPost)
	}
	w.WriteHeader(a.code)
	// The sender may be gone; its hint is with Temporal all the same.
	_ = json.NewEncoder(w).Encode(a.Answer)
}
