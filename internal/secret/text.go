package secret

import "log/slog"

// Text is a token or key that prints as whether it is set, however it is printed, logged or marshalled. Reveal gives
// the text itself, to be put where it is needed and nowhere else.
type Text string

// Reveal returns the text.
func (t Text) Reveal() string { return string(t) }

// String is "set" or "not set".
func (t Text) String() string {
	if t == "" {
		return "not set"
	}
	return "set"
}

// GoString keeps %#v from showing the text.
func (t Text) GoString() string { return t.String() }

// MarshalText keeps JSON and the like from showing the text.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// LogValue keeps slog from showing the text.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }
