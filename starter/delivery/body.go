package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/starter/intake"
)

// body is the document of a request. All of it are texts: a number would lose the zeros that a tracking number begins with.
type body struct {
	Location string `json:"location"`
	Order    string `json:"order"`
	Tracking string `json:"tracking"`
	Status   string `json:"status"`
	At       string `json:"at"`
}

// told are the fields of the document: each stands there once, or what is meant cannot be known.
var told = map[string]bool{"location": true, "order": true, "tracking": true, "status": true, "at": true}

// News is what a request tells.
type News struct {
	// Location is empty where the only one is meant.
	Location string
	// One of Order and Tracking is set. Tracking is as domain.Tracking.Key has it.
	Order, Tracking string
	// State is shipped or delivered.
	State domain.FulfillmentState
	At    time.Time
}

// parse reads the news. Its errors say what is wrong with which field, and nothing of what it holds.
func parse(raw []byte, now time.Time) (News, error) {
	var b *body
	if err := json.Unmarshal(raw, &b); err != nil || b == nil {
		var field *json.UnmarshalTypeError
		if errors.As(err, &field) && told[field.Field] {
			return News{}, fmt.Errorf("%s: must be a text", field.Field)
		}
		return News{}, errors.New("the body is not a JSON object") // the decoder's own words may quote it
	}
	if intake.NamedTwice(raw, told) {
		return News{}, errors.New("a field stands there twice")
	}
	n := News{Location: b.Location, Order: b.Order}
	if err := intake.CheckID(b.Location); err != nil && b.Location != "" {
		return n, fmt.Errorf("location: %w", err)
	}
	switch {
	case (b.Order == "") == (b.Tracking == ""):
		return n, errors.New("the body must name either an order or a tracking number")
	case b.Order != "":
		if err := intake.CheckID(b.Order); err != nil {
			return n, fmt.Errorf("order: %w", err)
		}
	default:
		key, err := TrackingKey(b.Tracking)
		if err != nil {
			return n, fmt.Errorf("tracking: %w", err)
		}
		n.Tracking = key
	}
	state, known := domain.ParseFulfillmentState(b.Status)
	if !known || state != domain.FulfillmentDelivered && state != domain.FulfillmentShipped {
		return n, errors.New("status: must be delivered or shipped")
	}
	n.State = state
	at, err := moment(b.At, now)
	n.At = at
	return n, err
}

// moment reads a time that has come: news are of what was. As far as clocks may differ, it may lie ahead.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil || at.Year() < 2000:
		return at, errors.New("at: must be a time such as 2026-11-22T09:30:00Z")
	case at.After(now.Add(Tolerance)):
		return at, errors.New("at: lies ahead; tell it when it has come")
	}
	return at.UTC(), nil
}

// longestTracking is more than any carrier's number has, in characters.
const longestTracking = 64

// TrackingKey is a tracking number as numbers are compared, or an error that says why it can be none, without showing it.
func TrackingKey(number string) (string, error) {
	if len(number) > 2*longestTracking {
		return "", fmt.Errorf("longer than %d characters", longestTracking)
	}
	key := domain.Tracking{Number: number}.Key()
	if key == "" {
		return "", errors.New("missing")
	}
	if len(key) > longestTracking {
		return "", fmt.Errorf("longer than %d characters", longestTracking)
	}
	for i := range len(key) {
		switch c := key[i]; {
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '/', c == '#':
		default:
			return "", errors.New("holds a character that no tracking number has")
		}
	}
	return key, nil
}
