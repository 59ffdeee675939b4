package ghl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"time"

	"github.com/tallystick/tallystick/clients/transport"
)

// maxLimit is the page size asked for. HighLevel documents no largest size; 100 is known to work
// (A10).
const maxLimit = 100

// ErrPagesRepeat says that the vendor gave the same page again instead of the next one.
var ErrPagesRepeat = errors.New("the list repeats a page instead of going on")

// Cursor is a place in a list. The zero Cursor is its beginning. It can be kept as JSON to go on later.
type Cursor struct {
	Offset int `json:"offset"`
	// Seen is the id of the first row of the page before, by which a list that does not move is noticed.
	Seen string `json:"seen,omitempty"`
}

// Page is one page of a list.
type Page[T any] struct {
	Rows []T `json:"rows"`
	// Unreadable are rows that could not be decoded, such as an amount that is no number. The others are good: one bad
	// row must not hide a page of payments.
	Unreadable []RowError `json:"unreadable,omitempty"`
	// Next is where the next page begins, unless Done.
	Next Cursor `json:"next"`
	Done bool   `json:"done"`
}

// RowError is a row that could not be decoded.
type RowError struct {
	// ID is the row's id, empty if even that could not be read.
	ID string `json:"id"`
	// Reason is fit to be shown.
	Reason string `json:"reason"`
}

// Error implements error.
func (e *RowError) Error() string {
	return fmt.Sprintf("row %q of the list is unreadable: %s", e.ID, e.Reason)
}

// listing is a list to be read.
type listing struct {
	op     Operation
	params map[string]string
	query  url.Values
	// limit is the page size, maxLimit if it is zero or more than that.
	limit int
}

// page reads one page.
func page[T any](ctx context.Context, a *api, list listing, at Cursor, decode func([]byte) (T, error)) (Page[T], error) {
	op, limit := list.op, list.limit
	if limit <= 0 || limit > maxLimit {
		limit = maxLimit
	}
	list.query.Set("limit", strconv.Itoa(limit))
	list.query.Set("offset", strconv.Itoa(at.Offset))
	answer := listAnswer{key: op.rows}
	if err := a.do(ctx, op, request{params: list.params, query: list.query}, &answer); err != nil {
		return Page[T]{}, err
	}
	result := Page[T]{Rows: make([]T, 0, len(answer.rows))}
	for _, raw := range answer.rows {
		row, err := decode(raw)
		if err != nil {
			result.Unreadable = append(result.Unreadable, RowError{ID: idOf(raw), Reason: transport.Scrub(err.Error())})
			continue
		}
		result.Rows = append(result.Rows, row)
	}
	if n := len(answer.rows); n > 0 {
		result.Next = Cursor{Offset: at.Offset + n, Seen: idOf(answer.rows[0])}
		if at.Seen != "" && at.Seen == result.Next.Seen {
			return Page[T]{}, &transport.Error{Vendor: vendor, Operation: op.Name, Err: ErrPagesRepeat}
		}
	}
	result.Done = isLast(len(answer.rows), limit, result.Next.Offset, answer.total)
	return result, nil
}

// isLast decides whether a page of n rows that ends before next is the last one. A full page never is, whatever the
// total says, as totals were seen to count the page only; a short one is, unless the total promises more, as the vendor
// may give fewer rows than asked for (A10). An empty page always is, so that a total too high ends too.
func isLast(n, limit, next int, total int64) bool {
	return n == 0 || (n < limit && total <= int64(next))
}

func idOf(raw []byte) string {
	var row struct {
		ID text `json:"_id"`
	}
	_ = json.Unmarshal(raw, &row) // a row whose id cannot be read has none
	return string(row.ID)
}

// all walks a list page by page. A *RowError is yielded for an unreadable row and the walk goes on; any other error
// ends it.
func all[T any](ctx context.Context, read func(context.Context, Cursor) (Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for at := (Cursor{}); ; {
			p, err := read(ctx, at)
			if err != nil {
				yield(none, err)
				return
			}
			for _, row := range p.Rows {
				if !yield(row, nil) {
					return
				}
			}
			for i := range p.Unreadable {
				if !yield(none, &p.Unreadable[i]) {
					return
				}
			}
			if p.Done {
				return
			}
			at = p.Next
		}
	}
}

// setDates widens the span by a day on both sides: HighLevel's startAt and endAt are dates, and neither their time zone
// nor whether the end is included is documented (A09).
func setDates(query url.Values, from, to time.Time) {
	if !from.IsZero() {
		query.Set("startAt", from.UTC().AddDate(0, 0, -1).Format(time.DateOnly))
	}
	if !to.IsZero() {
		query.Set("endAt", to.UTC().AddDate(0, 0, 1).Format(time.DateOnly))
	}
}

// setText leaves out what is empty: the vendor answers an empty contactId with an empty list.
func setText(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

// answer decodes a single object.
type answer[T any] struct {
	value  T
	decode func([]byte) (T, error)
}

func (a *answer[T]) UnmarshalJSON(data []byte) (err error) {
	a.value, err = a.decode(data)
	return err
}

func get[T any](ctx context.Context, a *api, op Operation, param, id string, query url.Values, decode func([]byte) (T, error)) (T, error) {
	return call(ctx, a, op, request{params: map[string]string{param: id}, query: query}, decode)
}

// call sends a request whose answer is one object.
func call[T any](ctx context.Context, a *api, op Operation, r request, decode func([]byte) (T, error)) (T, error) {
	got := answer[T]{decode: decode}
	err := a.do(ctx, op, r, &got)
	return got.value, err
}

// setBool sends a filter that is either way, unless it is nil.
func setBool(query url.Values, name string, value *bool) {
	if value != nil {
		query.Set(name, strconv.FormatBool(*value))
	}
}
