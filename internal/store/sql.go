package store

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// batch bounds the rows of one statement: with five columns it stays far below both databases' limits on parameters.
const batch = 200

// defaultLimit and maxLimit bound a page of a list.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// errNothingNamed is returned where an empty key would write a row that nobody finds again.
var errNothingNamed = errors.New("the location or the id is empty")

func named(parts ...string) error {
	for _, p := range parts {
		if p == "" {
			return errNothingNamed
		}
	}
	return nil
}

// micros is a time as it is kept. time.Time's zero would be a negative number far away, and sort before everything.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// query is a statement under construction with its arguments, numbered as both databases number them.
type query struct {
	strings.Builder
	args []any
}

// arg adds an argument and returns its placeholder.
func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// list adds arguments and returns their placeholders in parentheses.
func (q *query) list(values ...any) string {
	marks := make([]string, len(values))
	for i, v := range values {
		marks[i] = q.arg(v)
	}
	return "(" + strings.Join(marks, ", ") + ")"
}

// where adds conditions joined by AND.
func (q *query) where(conditions []string) {
	if len(conditions) > 0 {
		q.WriteString(" WHERE " + strings.Join(conditions, " AND "))
	}
}

// equal is a condition for each column whose wanted value is not empty.
func (q *query) equal(pairs ...string) []string {
	var conditions []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			conditions = append(conditions, pairs[i]+" = "+q.arg(pairs[i+1]))
		}
	}
	return conditions
}

// Page asks for a part of a list.
type Page struct {
	// Limit is the number of items wanted: 100 when 0, at most 1000.
	Limit int
	// After is what the call before returned as its next page; empty for the first.
	After string
}

func (p Page) limit() int {
	if p.Limit <= 0 {
		return defaultLimit
	}
	return min(p.Limit, maxLimit)
}

// errPage is returned for a Page.After that no list returned.
var errPage = errors.New("the page token is none of this list's: start again without one")

// key reads After into the values it was made from, the first of which is a time. It returns nil for the first page.
func (p Page) key(size int) ([]any, error) {
	if p.After == "" {
		return nil, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(p.After)
	if err != nil {
		return nil, errPage
	}
	var parts []string
	if json.Unmarshal(data, &parts) != nil || len(parts) != size {
		return nil, errPage
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return nil, errPage
	}
	values := []any{at}
	for _, part := range parts[1:] {
		values = append(values, part)
	}
	return values, nil
}

func pageToken(at time.Time, key ...string) string {
	data, err := json.Marshal(append([]string{strconv.FormatInt(micros(at), 10)}, key...))
	if err != nil { // strings always marshal
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// paged reads at most limit rows and tells whether there are more; the statement must ask for limit+1.
func paged[T any](rows *sql.Rows, limit int, scan func(scanner) (T, error), token func(T) string) ([]T, string, error) {
	items, err := collect(rows, scan)
	if err != nil || len(items) <= limit {
		return items, "", err
	}
	return items[:limit], token(items[limit-1]), nil
}

type scanner interface{ Scan(dest ...any) error }

func collect[T any](rows *sql.Rows, scan func(scanner) (T, error)) (items []T, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, rows.Err()
}

// one reads a single row, and false when there is none.
func one[T any](row *sql.Row, scan func(scanner) (T, error)) (T, bool, error) {
	item, err := scan(row)
	if errors.Is(err, sql.ErrNoRows) {
		var none T
		return none, false, nil
	}
	return item, err == nil, err
}

func toJSON(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("write a list as JSON: %w", err)
	}
	return string(data), nil
}
