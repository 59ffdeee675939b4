package sage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
)

// ExtraPrefix begins the name of every field that a tenant has added. Such fields sit at the top level of a record,
// among the vendor's own (integrations; the vendor's connector flattens them into the body before it sends them; A62).
const ExtraPrefix = "Z_"

var extraName = regexp.MustCompile(`^Z_[A-Za-z0-9_]{1,60}$`)

// Extra holds the extra fields of a record as they were read, by their full name such as "Z_PaymentStatus".
// Values come as scalars, list fields as {"id", "value"}, multi-value fields as arrays of those, or null.
type Extra map[string]json.RawMessage

// Has tells whether the record has the field at all, empty or not. A field that the tenant lacks is absent.
func (e Extra) Has(name string) bool { _, ok := e[name]; return ok }

// Text is the value as text: a scalar as it stands, the label of a list entry, the labels of a multi-value field joined
// by ", ". It is "" for null and for a field that isn't there.
func (e Extra) Text(name string) string {
	raw := e[name]
	if isNull(raw) {
		return ""
	}
	if raw[0] != '{' && raw[0] != '[' {
		return scalarText(raw)
	}
	var labels []string
	for _, ref := range e.Refs(name) {
		labels = append(labels, ref.Label)
	}
	return strings.Join(labels, ", ")
}

// Number is the value as an exact number, not set for null, for an absent field and for a value that is no number.
func (e Extra) Number(name string) domain.Number {
	var n domain.Number
	if json.Unmarshal(orNull(e[name]), &n) != nil {
		return ""
	}
	return n
}

// Time is the value as a moment, zero for null, for an absent field and for a value that is none.
func (e Extra) Time(name string) Time {
	var t Time
	if json.Unmarshal(orNull(e[name]), &t) != nil {
		return Time{}
	}
	return t
}

// Refs are the entries of a list or multi-value field, none for any other field.
func (e Extra) Refs(name string) []Ref {
	raw := bytes.TrimSpace(e[name])
	if len(raw) == 0 {
		return nil
	}
	var refs []Ref
	if raw[0] == '[' && json.Unmarshal(raw, &refs) == nil {
		return refs
	}
	var one Ref
	if raw[0] == '{' && json.Unmarshal(raw, &one) == nil {
		return []Ref{one}
	}
	return nil
}

// Same tells whether writing want would change nothing. It compares as the API stores: numbers by value, dates by the
// second, list fields by id or by label, text exactly. An empty value equals null and an absent field.
func (e Extra) Same(name string, want any) bool {
	switch w := want.(type) {
	case nil:
		return e.Text(name) == ""
	case string:
		return e.Text(name) == w
	case domain.Number:
		return e.Number(name).IsSet() == w.IsSet() && e.Number(name).Equal(w)
	case bool:
		var b Bool
		return json.Unmarshal(orNull(e[name]), &b) == nil && bool(b) == w
	case Time:
		return e.Time(name).Truncate(time.Second).Equal(w.Truncate(time.Second))
	case int64:
		if refs := e.Refs(name); len(refs) > 0 {
			return len(refs) == 1 && refs[0].ID == w
		}
		n, ok := e.Number(name).Int64()
		return ok && n == w
	}
	return false
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}

// ExtraFields are extra fields to be written, by their full name. They are merged flat into the body. A value is a
// string, a domain.Number, a bool, an int64 (also the id of a list entry), a []int64 (ids of a multi-value field), a
// Time, or nil for null. Whether null clears a field is written down nowhere; integrations clear text with "" and
// numbers with 0. Floats are refused: amounts are domain.Numbers.
type ExtraFields map[string]any

func (f ExtraFields) validate() error {
	for name, value := range f {
		if !extraName.MatchString(name) {
			return fmt.Errorf("%w: extra field %q; the name must be Z_ followed by letters, digits and underscores",
				transport.ErrInvalidCall, clip(name, 70))
		}
		switch v := value.(type) {
		case nil, string, bool, int64, []int64, Time:
		case domain.Number:
			if !v.IsSet() { // it would be written as 0, which is a statement
				return fmt.Errorf("%w: extra field %s holds a number that is not set; use nil", transport.ErrInvalidCall, name)
			}
		default:
			return fmt.Errorf("%w: extra field %s holds a %T; use a string, number, bool, id or time of this package",
				transport.ErrInvalidCall, name, value)
		}
	}
	return nil
}

// flatten writes base, a struct with its unset fields omitted, and the extra fields as one JSON object.
func flatten(base any, extra ExtraFields) ([]byte, error) {
	if err := extra.validate(); err != nil {
		return nil, err
	}
	body, err := json.Marshal(base)
	if err != nil {
		return nil, fmt.Errorf("encode fields: %w", err)
	}
	if len(extra) == 0 {
		return body, nil
	}
	tail, err := json.Marshal(map[string]any(extra))
	if err != nil {
		return nil, fmt.Errorf("encode extra fields: %w", err)
	}
	if string(body) == "{}" {
		return tail, nil
	}
	return append(append(body[:len(body)-1], ','), tail[1:]...), nil
}

// unflatten decodes an object into base and gathers its extra fields.
func unflatten(data []byte, base any) (Extra, error) {
	if err := json.Unmarshal(data, base); err != nil {
		return nil, err //nolint:wrapcheck // the caller names the record
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err //nolint:wrapcheck // the caller names the record
	}
	var extra Extra
	for name, value := range all {
		if strings.HasPrefix(name, ExtraPrefix) {
			if extra == nil {
				extra = Extra{}
			}
			extra[name] = value
		}
	}
	return extra, nil
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
