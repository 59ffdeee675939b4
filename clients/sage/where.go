package sage

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
)

const (
	// maxWhereValue is the longest text a filter may hold; the schema of /sales gives extId 255 characters.
	maxWhereValue = 255
	// maxWhereEncoded bounds a filter as it stands in the URL. The API looks like it runs on IIS (inferred, A48), which
	// refuses query strings over 2,048 bytes unless told otherwise; the rest is room for page, order and lang.
	maxWhereEncoded = 1900
	// whereTimeLayout is the form that integrations use in filters.
	whereTimeLayout = "2006-01-02T15:04:05Z"
)

var fieldName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}(\.id)?$`)

// Value is what a field may be compared with. Numbers are exact; a time is written in UTC to the second.
type Value interface {
	string | int | int64 | bool | domain.Number | time.Time
}

// Where is a filter of a list: the "where" parameter, an SQL-like expression (developer page). The text reaches the
// vendor's database (error 901 is "SQL is not generated correctly"), so it can only be built from field names that the
// resource is known to have and from values that are checked and quoted here. An error in it shows when it is used.
// The zero Where selects everything.
type Where struct {
	text   string
	fields []string
	err    error
}

// Eq selects rows whose field equals the value. References are compared by id: Eq("accountId.id", 7).
func Eq[V Value](field string, value V) Where { return compare(field, "=", value) }

// Ne selects rows whose field differs from the value. In SQL, null neither equals nor differs.
func Ne[V Value](field string, value V) Where { return compare(field, "<>", value) }

// Gt selects rows whose field is greater than the value.
func Gt[V Value](field string, value V) Where { return compare(field, ">", value) }

// Ge selects rows whose field is the value or greater.
func Ge[V Value](field string, value V) Where { return compare(field, ">=", value) }

// Lt selects rows whose field is less than the value.
func Lt[V Value](field string, value V) Where { return compare(field, "<", value) }

// Le selects rows whose field is the value or less. The developer page lists = > < >= <> but not this one (inferred,
// A73).
func Le[V Value](field string, value V) Where { return compare(field, "<=", value) }

// Like selects rows whose field matches an SQL pattern, in which % stands for any text and _ for any character.
func Like(field, pattern string) Where { return compare(field, " LIKE ", pattern) }

// In selects rows whose field equals one of the values (A46). No value at all is an error: it would select everything or
// nothing, depending on who reads it.
func In[V Value](field string, values ...V) Where { return among(field, " IN ", values) }

// NotIn selects rows whose field equals none of the values.
func NotIn[V Value](field string, values ...V) Where { return among(field, " NOT IN ", values) }

// And selects what all of the filters select. Zero filters among them are left out.
func And(filters ...Where) Where { return join(" AND ", filters) }

// Or selects what any of the filters selects. A zero filter among them is an error, as it would select everything.
func Or(filters ...Where) Where {
	for _, f := range filters {
		if f.IsZero() {
			return Where{err: fmt.Errorf("%w: an empty alternative in a filter", transport.ErrInvalidCall)}
		}
	}
	return join(" OR ", filters)
}

// IsZero tells whether the filter selects everything.
func (w Where) IsZero() bool { return w.text == "" && w.err == nil }

// String is the filter as it is sent, before URL encoding. It may hold personal data such as an e-mail address.
func (w Where) String() string { return w.text }

func compare[V Value](field, operator string, value V) Where {
	literal, err := literal(value)
	return Where{text: field + operator + literal, fields: []string{field}, err: err}
}

func among[V Value](field, operator string, values []V) Where {
	if len(values) == 0 {
		return Where{err: fmt.Errorf("%w: a filter on %s lists no values", transport.ErrInvalidCall, clip(field, 70))}
	}
	literals := make([]string, len(values))
	for i, value := range values {
		var err error
		if literals[i], err = literal(value); err != nil {
			return Where{err: err}
		}
	}
	return Where{text: field + operator + "(" + strings.Join(literals, ",") + ")", fields: []string{field}}
}

func join(operator string, filters []Where) Where {
	var all Where
	var texts []string
	for _, f := range filters {
		if f.err != nil {
			return Where{err: f.err}
		}
		if f.IsZero() {
			continue
		}
		texts = append(texts, f.text)
		all.fields = append(all.fields, f.fields...)
	}
	all.text = strings.Join(texts, operator)
	if len(texts) > 1 {
		all.text = "(" + all.text + ")"
	}
	return all
}

// literal writes one value. The caller never sees a way to put text into a filter unquoted.
func literal[V Value](value V) (string, error) {
	switch v := any(value).(type) {
	case string:
		return quote(v)
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case bool:
		return strconv.FormatBool(v), nil
	case domain.Number:
		number, err := json.Marshal(v) // checks the number and writes it without an exponent
		if err != nil {
			return "", fmt.Errorf("%w: a filter on an amount: %w", transport.ErrInvalidCall, err)
		}
		return string(number), nil
	case time.Time:
		return "'" + v.UTC().Format(whereTimeLayout) + "'", nil
	}
	return "", fmt.Errorf("%w: a filter on a %T", transport.ErrInvalidCall, value)
}

// quote makes a string literal (A49), or refuses. Beside control characters it refuses what another SQL dialect or a
// conversion to a narrower character set would turn into an end of the literal: the backslash, and the characters that
// Windows code page 1252 maps to an apostrophe. None of them occurs in ids, references or e-mail addresses.
func quote(value string) (string, error) {
	if !utf8.ValidString(value) || utf8.RuneCountInString(value) > maxWhereValue {
		return "", fmt.Errorf("%w: a filter value must be valid text of at most %d characters", transport.ErrInvalidCall, maxWhereValue)
	}
	for _, r := range value {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || strings.ContainsRune("\\ʹʼˈ′＇", r) {
			return "", fmt.Errorf("%w: a filter value holds the character %U, which can't be searched for", transport.ErrInvalidCall, r)
		}
	}
	return "'" + strings.ReplaceAll(value, "'", "''") + "'", nil
}

// render checks the filter against the fields of a resource and returns its text. References must be compared by .id:
// the bare form is on the developer page, but only the form with .id is seen to work (integrations, A47).
func (w Where) render(resource string, known map[string]bool) (string, error) {
	if w.err != nil {
		return "", w.err
	}
	for _, field := range w.fields {
		name, byID := strings.CutSuffix(field, ".id")
		isRef, ok := known[name]
		switch {
		case !fieldName.MatchString(field), !ok && !extraName.MatchString(field):
			return "", fmt.Errorf("%w: %s have no field %q to filter by", transport.ErrInvalidCall, resource, clip(field, 70))
		case ok && isRef != byID:
			return "", fmt.Errorf("%w: field %q of %s is a reference if, and only if, it is compared by .id", transport.ErrInvalidCall, field, resource)
		}
	}
	if n := len(url.QueryEscape(w.text)); n > maxWhereEncoded {
		return "", fmt.Errorf("%w: the filter on %s takes %d bytes, more than the %d that pass; split it",
			transport.ErrInvalidCall, resource, n, maxWhereEncoded)
	}
	return w.text, nil
}
