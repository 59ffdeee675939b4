package sage

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/govalues/decimal"

	"github.com/tallystick/tallystick/domain"
)

// A stored value is one of: nil, string, int64 (integers, references and choices), domain.Number, bool, time.Time.

// writtenDates are the forms in which dates are accepted: the documents' samples use a blank, public code a T and Z.
var writtenDates = []string{"2006-01-02 15:04:05", time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02"}

// shownDay is how the sample of a calendar entry shows a date, "15/07/07" in one of July 2015; whether that is the year
// first is inferred from it (A114).
const shownDay = "06/01/02"

// hourForm is how the sample shows the hours of a calendar entry.
var hourForm = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)

// fromJSON turns what a client wrote into a stored value, or says why it can't be.
func (f *field) fromJSON(v any) (any, error) {
	if v == nil {
		return nil, nil //nolint:nilnil // null is a value here
	}
	switch f.typ {
	case typeText:
		return f.textFromJSON(v)
	case typeInteger, typeQuantity, typeRef, typeList:
		return f.integerFromJSON(v)
	case typeDecimal:
		n, ok := v.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%s must be a number", f.name)
		}
		return canonical(n.String())
	case typeBool:
		switch b := v.(type) {
		case bool:
			return b, nil
		case json.Number:
			return b.String() == "1", nil
		}
		return nil, fmt.Errorf("%s must be true or false", f.name)
	default:
		return f.dateFromJSON(v)
	}
}

func (f *field) dateFromJSON(v any) (any, error) {
	s, _ := v.(string)
	layouts := writtenDates
	if f.typ == typeDay {
		layouts = f.layouts
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, s)
		switch {
		case err != nil:
			continue
		case f.typ == typeDay:
			return t.UTC().Truncate(24 * time.Hour), nil
		}
		return t.UTC(), nil
	}
	return nil, fmt.Errorf("%s must be a date", f.name)
}

func (f *field) textFromJSON(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("%s must be a text", f.name)
	}
	if (f.name == "startHour" || f.name == "endHour") && !hourForm.MatchString(s) {
		return nil, fmt.Errorf("%s must be an hour", f.name)
	}
	if f.max > 0 && utf8.RuneCountInString(s) > f.max {
		return nil, fmt.Errorf("%s is longer than %d characters", f.name, f.max)
	}
	return s, nil
}

func (f *field) integerFromJSON(v any) (any, error) {
	n, ok := v.(json.Number)
	if !ok {
		return nil, fmt.Errorf("%s must be an integer", f.name)
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || (f.typ == typeQuantity && (i > math.MaxInt32 || i < math.MinInt32)) {
		return nil, fmt.Errorf("%s must be a 32-bit integer", f.name)
	}
	if i == 0 && (f.typ == typeRef || f.typ == typeList) {
		return nil, nil //nolint:nilnil // 0 is how public code clears a reference
	}
	if f.typ == typeList && (i < 1 || i > int64(len(f.choices))) {
		return nil, fmt.Errorf("%s has no choice %d", f.name, i)
	}
	return i, nil
}

// canonical drops zeros at the end, as a database does that stores numbers and not texts: 150.10 is read as 150.1.
func canonical(s string) (domain.Number, error) {
	d, err := decimal.Parse(s)
	if err != nil {
		return "", fmt.Errorf("%q is no number the database could hold", s)
	}
	return domain.Number(d.Trim(0).String()), nil
}

// showDate writes a date as the API does: none to three digits of a second, and a Z that says nothing.
func showDate(t time.Time) string { return t.Format("2006-01-02T15:04:05.999") + "Z" }

// appendValue writes a stored value in the shape of a read.
func (s *Server) appendValue(buf []byte, f *field, v any, idsOnly bool) []byte {
	switch x := v.(type) {
	case nil:
		if f.name == "deleted" {
			return append(buf, "false"...)
		}
		return append(buf, "null"...)
	case string:
		return appendString(buf, x)
	case bool:
		return strconv.AppendBool(buf, x)
	case domain.Number:
		return append(buf, x...)
	case time.Time:
		if f.typ == typeDay {
			return appendString(buf, x.Format(shownDay))
		}
		return appendString(buf, showDate(x))
	case int64:
		var label string
		switch {
		case f.typ == typeRef:
			label = s.labelOf(f.table, x)
		case f.typ == typeList && !idsOnly:
			label = f.choices[x-1]
		default:
			return strconv.AppendInt(buf, x, 10)
		}
		buf = append(buf, `{"id":`...)
		buf = strconv.AppendInt(buf, x, 10)
		buf = append(buf, `,"`...)
		buf = append(buf, s.labelKey(f)...)
		buf = append(buf, `":`...)
		return append(appendString(buf, label), '}')
	default:
		panic(fmt.Sprintf("sage: %s holds a %T", f.name, v))
	}
}

// labelKey is "description" where a reference points to a user, as in the vendor's user samples, else "value".
func (s *Server) labelKey(f *field) string {
	if f.table == "users" {
		return "description"
	}
	return "value"
}

func appendString(buf []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // strings always marshal
		panic(err)
	}
	return append(buf, quoted...)
}

// indexKey is the form in which an index knows a value. The database compares texts without regard to case.
func indexKey(v any) string {
	switch x := v.(type) {
	case string:
		return strings.ToLower(x)
	case int64:
		return strconv.FormatInt(x, 10)
	default:
		return fmt.Sprint(x)
	}
}
