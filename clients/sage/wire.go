package sage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// errWire is the root of every complaint about a value that has none of the shapes Sage is known to send.
var errWire = errors.New("sage sent a value in an unknown shape")

// timeLayout is how dates are written: the samples of the endpoint pages for activities and sales send it so (A61).
const timeLayout = "2006-01-02 15:04:05"

// readLayouts are the forms dates are read in. RFC 3339 with 0 to 3 fraction digits is what the samples show; the others
// are what the API itself accepts, and cost nothing to understand.
var readLayouts = []string{time.RFC3339Nano, timeLayout, "2006-01-02T15:04:05.999999999", "2006-01-02"}

// Ref is a reference to another record or to an entry of a value list. It is written as a bare integer and read as
// {"id", "value"}, by users as {"id", "description"}, by some lists as a bare integer, or as null (endpoint pages,
// vendor's connector, integrations). The zero Ref refers to nothing.
type Ref struct {
	// ID is the integer id of the record referred to, 0 for none.
	ID int64
	// Label is the words the API showed for it, in the language of the tenant. For display only: it may be a person's
	// name, so it does not belong in logs.
	Label string
}

// IsSet tells whether the reference points at something.
func (r Ref) IsSet() bool { return r.ID != 0 }

// UnmarshalJSON reads every form a reference is known to come in.
func (r *Ref) UnmarshalJSON(data []byte) error {
	*r = Ref{}
	data = bytes.TrimSpace(data)
	if len(data) == 0 || data[0] != '{' {
		id, err := wholeNumber(data)
		r.ID = id
		return err
	}
	var object struct {
		ID          json.RawMessage `json:"id"`
		Value       json.RawMessage `json:"value"`
		Description json.RawMessage `json:"description"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return fmt.Errorf("%w: a reference: %w", errWire, err)
	}
	id, err := wholeNumber(object.ID)
	if err != nil {
		return err
	}
	r.ID, r.Label = id, scalarText(object.Value)
	if r.Label == "" {
		r.Label = scalarText(object.Description)
	}
	return nil
}

// MarshalJSON writes the bare integer that the API takes, or null for no reference.
func (r Ref) MarshalJSON() ([]byte, error) {
	if r.ID == 0 {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, r.ID, 10), nil
}

// wholeNumber reads an integer, a quoted integer, null or nothing; the last two, and an empty string, are 0.
func wholeNumber(data []byte) (int64, error) {
	if isNull(data) {
		return 0, nil
	}
	var n domain.Number
	if err := json.Unmarshal(data, &n); err != nil {
		return 0, fmt.Errorf("%w: an id that is no number", errWire)
	}
	id, ok := n.Int64()
	if !ok {
		return 0, fmt.Errorf("%w: an id that is no whole number", errWire)
	}
	return id, nil
}

// scalarText is the text of a JSON string, or of a number or boolean as it stands; null, objects and arrays have none.
func scalarText(data []byte) string {
	if isNull(data) || data[0] == '{' || data[0] == '[' {
		return ""
	}
	var s string
	if json.Unmarshal(data, &s) == nil {
		return s
	}
	return string(data)
}

func isNull(data []byte) bool {
	return len(bytes.TrimSpace(data)) == 0 || string(bytes.TrimSpace(data)) == "null"
}

// Bool is a boolean that Sage writes as true or false on most resources and as 0 or 1 on /sales (endpoint pages).
// Null is false.
type Bool bool

// UnmarshalJSON reads true, false, 0, 1, their quoted forms and null. Anything else is an error, not false: a row whose
// deleted flag can't be read must not pass for a live one.
func (b *Bool) UnmarshalJSON(data []byte) error {
	switch text := strings.ToLower(strings.Trim(string(bytes.TrimSpace(data)), `"`)); text {
	case "true", "1":
		*b = true
	case "false", "0", "null", "":
		*b = false
	default:
		return fmt.Errorf("%w: a flag that is neither true nor false", errWire)
	}
	return nil
}

// Time is a moment as Sage states it. It is read with 0 to 3 fraction digits and written as "2006-01-02 15:04:05" in
// UTC. Null and the empty string are the zero Time.
//
// Sage ends its dates in "Z", yet a user sample of the endpoint pages shows one and the same event an hour apart in two
// fields of one record in December. So the zone is doubtful (A60): leave a margin of two hours or more in every comparison
// with another clock.
type Time struct{ time.Time }

// At makes a Time for writing. Fractions of a second are dropped, as the written form has none.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Second)} }

// UnmarshalJSON reads the known forms.
func (t *Time) UnmarshalJSON(data []byte) error {
	*t = Time{}
	if isNull(data) {
		return nil
	}
	text := scalarText(data)
	if text == "" && string(bytes.TrimSpace(data)) == `""` {
		return nil
	}
	for _, layout := range readLayouts {
		if parsed, err := time.Parse(layout, text); err == nil {
			t.Time = parsed
			return nil
		}
	}
	return fmt.Errorf("%w: a date that is none", errWire)
}

// MarshalJSON writes the form the API takes, or null for the zero Time.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(t.UTC().Format(timeLayout))
}

// Audit is what every record carries about itself.
type Audit struct {
	// ID is the record's own id.
	ID int64 `json:"id"`
	// DateCreated is when the record came to be, by Sage's clock.
	DateCreated Time `json:"dateCreated"`
	// DateUpdated is zero until the first update (endpoint pages).
	DateUpdated Time `json:"dateUpdated"`
	// DateDeleted is zero while the record lives.
	DateDeleted Time `json:"dateDeleted"`
	// Deleted marks a record that was deleted. It stays readable and is found by every list and filter.
	Deleted Bool `json:"deleted"`
	// CreatedBy, UpdatedBy and DeletedBy are users. Writes with an API key bear the user that the key belongs to
	// (A59, inferred from the samples of the endpoint pages).
	CreatedBy Ref `json:"salesRepIdCreated"`
	UpdatedBy Ref `json:"salesRepIdUpdated"`
	DeletedBy Ref `json:"salesRepIdDeleted"`
}

func (a Audit) audit() Audit { return a }

// TouchedAt is the newest of the record's dates, by Sage's clock: when it was last created, changed or deleted.
func (a Audit) TouchedAt() time.Time {
	newest := a.DateCreated.Time
	for _, date := range []Time{a.DateUpdated, a.DateDeleted} {
		if date.After(newest) {
			newest = date.Time
		}
	}
	return newest
}

// Record is a row of any resource.
type Record interface{ audit() Audit }

// message is the answer to a write. The endpoint pages spell Message, the vendor's connector message;
// encoding/json takes either.
type message struct {
	Message string        `json:"Message"`
	ID      domain.Number `json:"id"`
}
