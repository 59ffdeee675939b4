package sage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/tallystick/tallystick/clients/transport"
)

const (
	actionGet    = "get"
	actionList   = "list"
	actionFind   = "find"
	actionLookup = "lookup"
	actionCreate = "create"
	actionUpdate = "update"
	actionDelete = "delete"
	actionSchema = "schema"
	// actionChanged keeps the regular reading of changes apart from single searches.
	actionChanged = "changed"
)

// pageSize is the documented default. It is asked for all the same, in the header "Count" (vendor's connector, endpoint
// pages). Other pages call the header X-FM-Entity-Count; with the default it does not matter who is right (A51).
const pageSize = 50

// maxPages ends a list that has no end.
const maxPages = 20_000

// Resource reads and writes the records of one kind. T is a record as read, F are the fields as written, of which only
// those that are set are sent. Its errors are, or wrap, a *transport.Error.
type Resource[T Record, F any] struct {
	client *Client
	name   string // as in operation names
	path   string
	known  map[string]bool // the fields that a filter may name, true for references
}

func newResource[T Record, F any](c *Client, name, path string, known map[string]bool) *Resource[T, F] {
	return &Resource[T, F]{client: c, name: name, path: path, known: known}
}

func (r *Resource[T, F]) operation(action string) string { return vendor + "." + r.name + "." + action }

// Get reads one record, deleted or not. A missing one is a 400: see MaybeNotFound.
func (r *Resource[T, F]) Get(ctx context.Context, id int64) (T, error) {
	var record T
	var raw json.RawMessage
	operation := r.operation(actionGet)
	params, err := byID(operation, id)
	if err != nil {
		return record, err
	}
	call := transport.Call{Operation: operation, Method: http.MethodGet, Path: r.path + "/{id}", PathParams: params,
		Header: readHeader()}
	if err := r.client.do(ctx, call, &raw); err != nil {
		return record, err
	}
	if err := json.Unmarshal(raw, &record); err != nil {
		return record, unreadable(operation, false, err)
	}
	if record.audit().ID != id {
		return record, unreadable(operation, false, fmt.Errorf("%w: another record than asked for", errWire))
	}
	return record, nil
}

// Lookup asks whether a record exists by a filter on its id, and so settles what MaybeNotFound leaves open. The record
// may be a deleted one.
func (r *Resource[T, F]) Lookup(ctx context.Context, id int64) (record T, found bool, err error) {
	rows, err := r.find(ctx, actionLookup, Eq("id", id))
	for _, row := range rows {
		if row.audit().ID == id {
			return row, true, nil
		}
	}
	return record, false, err
}

// ListOptions say what a list holds.
type ListOptions struct {
	// Where selects rows; the zero value selects all, deleted ones included.
	Where Where
	// Order is the field to sort by, always descending (endpoint pages, A52); "dateCreated" if empty. A fixed order keeps
	// pages apart: rows that come up meanwhile push others into the next page, where they are recognised, and none is
	// left out.
	Order string
	// PageSize is the number of rows a call brings, 50 if zero. The largest that Sage allows is not documented;
	// integrations use 300 (A74).
	PageSize int
}

// List reads all rows that match, page by page while the caller goes on. Deleted rows are among them. A row that comes
// again because others were added meanwhile is handed out once. After an error the list ends.
func (r *Resource[T, F]) List(ctx context.Context, options ListOptions) iter.Seq2[T, error] {
	if options.Order == "" {
		options.Order = "dateCreated"
	}
	return list[T](ctx, r.client, listing{operation: r.operation(actionList), path: r.path, known: r.known, options: options})
}

// Find reads all rows that match, deleted ones included, in ascending order of their ids.
func (r *Resource[T, F]) Find(ctx context.Context, where Where) ([]T, error) {
	return r.find(ctx, actionFind, where)
}

func (r *Resource[T, F]) find(ctx context.Context, action string, where Where) ([]T, error) {
	operation := r.operation(action)
	if where.IsZero() {
		return nil, wrongCall(operation, "a search needs a filter; to read everything use List")
	}
	return collect(list[T](ctx, r.client, listing{operation: operation, path: r.path, known: r.known,
		options: ListOptions{Where: where, Order: "dateCreated"}}))
}

// Create makes a record and returns its id. Sage echoes nothing else, so what it computed must be read. The call is
// never repeated: if the error's MayHaveLanded is set, look for the record before creating it again.
func (r *Resource[T, F]) Create(ctx context.Context, fields F) (int64, error) {
	operation := r.operation(actionCreate)
	body, err := json.Marshal(fields)
	if err != nil {
		return 0, invalid(operation, err)
	}
	return r.client.create(ctx, transport.Call{Operation: operation, Method: http.MethodPost, Path: r.path,
		Body: json.RawMessage(body), Write: true})
}

func (c *Client) create(ctx context.Context, call transport.Call) (int64, error) {
	var raw json.RawMessage
	if err := c.do(ctx, call, &raw); err != nil {
		return 0, err
	}
	var answer message
	if err := json.Unmarshal(raw, &answer); err != nil {
		return 0, unreadable(call.Operation, true, err)
	}
	id, ok := answer.ID.Int64()
	if !ok || id <= 0 {
		return 0, unreadable(call.Operation, true, fmt.Errorf("%w: a create without the new id", errWire))
	}
	return id, nil
}

// Update changes the fields that are set and leaves all others alone (PUT is partial: developer page, endpoint pages; A54).
// Nothing is sent if none is set. There is no version to compare with, so read just before and write only fields that
// are ours; a record that is Locked must not be written. Repeating the same update is harmless.
func (r *Resource[T, F]) Update(ctx context.Context, id int64, fields F) error {
	operation := r.operation(actionUpdate)
	params, err := byID(operation, id)
	if err != nil {
		return err
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return invalid(operation, err)
	}
	if string(body) == "{}" {
		return nil
	}
	return r.client.do(ctx, transport.Call{Operation: operation, Method: http.MethodPut, Path: r.path + "/{id}",
		PathParams: params, Body: json.RawMessage(body), Write: true}, nil)
}

// Delete marks a record as deleted. It stays readable, and the vendor calls it irreversible (endpoint pages).
func (r *Resource[T, F]) Delete(ctx context.Context, id int64) error {
	operation := r.operation(actionDelete)
	params, err := byID(operation, id)
	if err != nil {
		return err
	}
	return r.client.do(ctx, transport.Call{Operation: operation, Method: http.MethodDelete, Path: r.path + "/{id}",
		PathParams: params, Write: true}, nil)
}

// Schema reads what fields the tenant's records of this kind have, extra fields included.
func (r *Resource[T, F]) Schema(ctx context.Context) (Schema, error) {
	var schema Schema
	var raw json.RawMessage
	operation := r.operation(actionSchema)
	if err := r.client.do(ctx, transport.Call{Operation: operation, Method: http.MethodGet, Path: r.path + "/schema"}, &raw); err != nil {
		return schema, err
	}
	if err := json.Unmarshal(raw, &schema); err != nil {
		return schema, unreadable(operation, false, err)
	}
	return schema, nil
}

func byID(operation string, id int64) (map[string]string, error) {
	if id <= 0 {
		return nil, wrongCall(operation, "it needs the id of a record")
	}
	return map[string]string{"id": strconv.FormatInt(id, 10)}, nil
}

// readHeader asks for extra fields with the labels of their choices, not their ids alone (endpoint pages).
func readHeader() http.Header {
	header := http.Header{}
	header.Set("ExtraFieldDescription", "1")
	return header
}

// listing is one list to be read.
type listing struct {
	operation  string
	path       string
	pathParams map[string]string
	known      map[string]bool
	options    ListOptions
}

func (l listing) query(page int) (url.Values, error) {
	query := url.Values{"page": {strconv.Itoa(page)}}
	where, err := l.options.Where.render(l.path[1:], l.known)
	if err != nil {
		return nil, invalid(l.operation, err)
	}
	if where != "" {
		query.Set("where", where)
	}
	if order := l.options.Order; order != "" {
		if _, ok := l.known[order]; !ok {
			return nil, wrongCall(l.operation, "there is no field %q to sort by", clip(order, 70))
		}
		query.Set("order", order)
	}
	return query, nil
}

// list is the one loop over pages. Whether a page is the last is decided on the page as it came, before anything is
// sorted out: a page full of deleted or known rows is not an empty one.
func list[T Record](ctx context.Context, c *Client, l listing) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		seen := map[int64]bool{}
		for page := range maxPages {
			rows, err := fetch[T](ctx, c, l, page)
			fresh := 0
			for _, row := range rows {
				if id := row.audit().ID; !seen[id] {
					seen[id] = true
					fresh++
					if !yield(row, nil) {
						return
					}
				}
			}
			if err == nil && fresh == 0 && len(rows) > 0 {
				err = unreadable(l.operation, false, fmt.Errorf("%w: a page that repeats the pages before it", errWire))
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			if l.isLast(len(rows)) {
				return
			}
		}
	}
}

// isLast decides by the number of raw rows. Fewer than the default page size end any list. A page between the default
// and the size asked for does not: Sage may cap sizes, and nobody says where.
func (l listing) isLast(rows int) bool { return rows < min(l.pageSize(), pageSize) }

func (l listing) pageSize() int {
	if l.options.PageSize > 0 {
		return l.options.PageSize
	}
	return pageSize
}

// fetch reads one page. An answer that is no array is an error, never an empty list.
func fetch[T Record](ctx context.Context, c *Client, l listing, page int) ([]T, error) {
	query, err := l.query(page)
	if err != nil {
		return nil, err
	}
	call := transport.Call{Operation: l.operation, Method: http.MethodGet, Path: l.path, PathParams: l.pathParams, Query: query,
		Header: readHeader()}
	call.Header.Set("Count", strconv.Itoa(l.pageSize()))
	var raw json.RawMessage
	if err := c.do(ctx, call, &raw); err != nil {
		return nil, err
	}
	if body := bytes.TrimSpace(raw); len(body) == 0 || body[0] != '[' {
		return nil, unreadable(l.operation, false, fmt.Errorf("%w: a list that is no array", errWire))
	}
	var rows []T
	if err := json.Unmarshal(raw, &rows); err != nil {
		return nil, unreadable(l.operation, false, err)
	}
	for _, row := range rows {
		if row.audit().ID <= 0 {
			return nil, unreadable(l.operation, false, fmt.Errorf("%w: a row without an id", errWire))
		}
	}
	return rows, nil
}

func collect[T Record](rows iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	slices.SortFunc(all, func(a, b T) int { return cmp.Compare(a.audit().ID, b.audit().ID) })
	return all, nil
}

// auditFields are what every resource can be filtered by; the value tells whether it is a reference.
var auditFields = map[string]bool{
	"id": false, "dateCreated": false, "dateUpdated": false, "dateDeleted": false, "deleted": false,
}

// filterFields makes the table of field names that filters on a resource may use.
func filterFields(plain, refs []string) map[string]bool {
	known := make(map[string]bool, len(auditFields)+len(plain)+len(refs))
	for name := range auditFields {
		known[name] = false
	}
	for _, name := range plain {
		known[name] = false
	}
	for _, name := range refs {
		known[name] = true
	}
	return known
}
