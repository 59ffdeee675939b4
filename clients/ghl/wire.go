package ghl

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
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

// moment takes the ways in which HighLevel writes a time. One that is absent or cannot be read is the zero time: a
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

// isTest reads the two marks of test data. An object that says nothing is live.
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

// errNoID: an answer without the object it should hold.
var errNoID = errors.New("the object has no id")

// listAnswer is a page: {data:[…], totalCount}, or {data:{data:[…], totalCount}} as was seen in the field.
type listAnswer struct {
	rows  []json.RawMessage
	total int64 // -1 if unknown
}

func (l *listAnswer) UnmarshalJSON(data []byte) error {
	var outer struct {
		Data       json.RawMessage `json:"data"`
		TotalCount json.RawMessage `json:"totalCount"`
	}
	if err := json.Unmarshal(data, &outer); err != nil {
		return err
	}
	rows := bytes.TrimSpace(outer.Data)
	if len(rows) > 0 && rows[0] == '{' {
		total := outer.TotalCount
		outer.Data, outer.TotalCount = nil, nil
		if err := json.Unmarshal(rows, &outer); err != nil {
			return err
		}
		if rows = bytes.TrimSpace(outer.Data); outer.TotalCount == nil {
			outer.TotalCount = total
		}
	}
	if len(rows) == 0 || rows[0] != '[' {
		return errNoArray
	}
	l.total = readTotal(outer.TotalCount)
	l.rows = nil
	return json.Unmarshal(rows, &l.rows)
}

// readTotal reads a number, a quoted number, {total:n} or [{total:n}]; HighLevel uses all four.
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
