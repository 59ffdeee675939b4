package ghl

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// text takes a string, a number or a bool. HighLevel types some texts as objects, and numbers of invoices as either;
// what is neither, an object say, is left out.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	*t = ""
	switch data[0] {
	case '"':
		return json.Unmarshal(data, (*string)(t))
	case '{', '[', 'n':
		return nil
	}
	*t = text(data)
	return nil
}

// flag takes a bool, a quoted bool or 0 and 1, and remembers whether it was there at all.
type flag struct{ set, on bool }

func (f *flag) UnmarshalJSON(data []byte) error {
	var t text
	if err := t.UnmarshalJSON(data); err != nil {
		return err
	}
	on, err := strconv.ParseBool(strings.TrimSpace(string(t)))
	*f = flag{set: err == nil, on: on}
	return nil
}

// moment takes the ways in which HighLevel writes a time (A18). One that is absent or cannot be read is the zero time: a
// strange date must not keep a payment from the books.
type moment struct{ time.Time }

var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05", time.DateOnly}

func (m *moment) UnmarshalJSON(data []byte) error {
	var t text
	if err := t.UnmarshalJSON(data); err != nil {
		return err
	}
	m.Time = time.Time{}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, string(t)); err == nil {
			m.Time = at.UTC()
			return nil
		}
	}
	// Milliseconds of the epoch, between the years 2001 and 2286: anything else is no time.
	if ms, err := strconv.ParseInt(string(t), 10, 64); err == nil && ms >= 1e12 && ms < 1e13 {
		m.Time = time.UnixMilli(ms).UTC()
	}
	return nil
}

// object takes an object and leaves out everything else: the published examples give some objects as texts.
type object[T any] struct{ v T }

func (o *object[T]) UnmarshalJSON(data []byte) error {
	if data[0] != '{' {
		return nil
	}
	return json.Unmarshal(data, &o.v)
}

// first is the first text that is not empty.
func first(texts ...text) string {
	for _, t := range texts {
		if t != "" {
			return string(t)
		}
	}
	return ""
}

// isTest reads the two marks of test data. An object that says nothing is live (A16).
func isTest(liveMode, markAsTest flag) bool { return (liveMode.set && !liveMode.on) || markAsTest.on }

// source is where an order or a transaction came from.
type source struct {
	Type    text `json:"type"`
	SubType text `json:"subType"`
	ID      text `json:"id"`
	Name    text `json:"name"`
}

// errNoArray: to take such an answer for an empty list would make a sweep believe that nothing was sold.
var errNoArray = errors.New("the list has no array of rows")

// errNotConfirmed: HighLevel answers some writes with success or status alone.
var errNotConfirmed = errors.New("the answer does not say that it was done")

// confirmation is {success:true} or {status:true}. Anything else leaves open what happened, so the call fails as one
// that may have landed.
type confirmation struct{}

func (*confirmation) UnmarshalJSON(data []byte) error {
	var w struct {
		Success flag `json:"success"`
		Status  flag `json:"status"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if !w.Success.on && !w.Status.on {
		return errNotConfirmed
	}
	return nil
}

// count takes a whole number in the ways in which text does; what is none counts as 0.
type count int64

func (c *count) UnmarshalJSON(data []byte) error {
	var t text
	if err := t.UnmarshalJSON(data); err != nil {
		return err
	}
	n, _ := domain.Number(t).Int64() // not whole, or no number at all, is 0
	*c = count(n)
	return nil
}

// list takes an array and leaves out everything else.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(data []byte) error {
	*l = nil
	if data[0] != '[' {
		return nil
	}
	return json.Unmarshal(data, (*[]T)(l))
}

// texts are the texts of a list, without the empty ones.
func texts(l list[text]) []string {
	var all []string
	for _, t := range l {
		if t != "" {
			all = append(all, string(t))
		}
	}
	return all
}

// stamp writes a time as HighLevel's examples do: in UTC, with milliseconds. The zero time is left out.
func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// date writes the day of a time, as it is in the time's own zone. The zero time is left out.
func date(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.DateOnly)
}

// digits is an amount in major units, or nothing.
func digits(m *domain.Money) domain.Number {
	if m == nil {
		return ""
	}
	return m.Decimal()
}

// errNoID: an answer without the object it should hold.
var errNoID = errors.New("the object has no id")

// listAnswer is a page: {data:[…], totalCount}, or {data:{data:[…], totalCount}} as was seen in the field (A11). Other modules
// name the rows after what they are, and the total "total".
type listAnswer struct {
	// key is the name of the array, "data" if it is empty.
	key   string
	rows  []json.RawMessage
	total int64 // -1 if unknown
}

func (l *listAnswer) UnmarshalJSON(data []byte) error {
	key := l.key
	if key == "" {
		key = "data"
	}
	var outer map[string]json.RawMessage
	if err := json.Unmarshal(data, &outer); err != nil {
		return err
	}
	rows, total := bytes.TrimSpace(outer[key]), totalOf(outer)
	if len(rows) > 0 && rows[0] == '{' {
		var inner map[string]json.RawMessage
		if err := json.Unmarshal(rows, &inner); err != nil {
			return err
		}
		// White-label providers are typed as one object where a list is meant; an object with an id is a row (A38).
		if _, row := inner["_id"]; row && key == providerRows {
			l.rows, l.total = []json.RawMessage{rows}, -1
			return nil
		}
		rows = bytes.TrimSpace(inner[key])
		if nearer := totalOf(inner); nearer != nil {
			total = nearer
		}
	}
	if len(rows) == 0 || rows[0] != '[' {
		return errNoArray
	}
	l.total = readTotal(total)
	l.rows = nil
	return json.Unmarshal(rows, &l.rows)
}

func totalOf(list map[string]json.RawMessage) json.RawMessage {
	if total := list["totalCount"]; total != nil {
		return total
	}
	return list["total"]
}

// readTotal reads a number, a quoted number, {total:n} or [{total:n}]; HighLevel uses all four (A31).
func readTotal(data json.RawMessage) int64 {
	var t text
	var inner struct {
		Total text `json:"total"`
	}
	var list []struct {
		Total text `json:"total"`
	}
	switch {
	case len(data) == 0:
	case data[0] == '{' && json.Unmarshal(data, &inner) == nil:
		t = inner.Total
	case data[0] == '[' && json.Unmarshal(data, &list) == nil && len(list) == 1:
		t = list[0].Total
	default:
		_ = json.Unmarshal(data, &t) // a total that cannot be read is an unknown one
	}
	n, err := strconv.ParseInt(string(t), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
