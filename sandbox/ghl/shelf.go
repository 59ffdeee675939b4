package ghl

import (
	"net/url"
	"slices"
	"sort"
	"time"
)

// shelf keeps the objects of one kind in the order of their creation, with indexes. The server's lock guards it.
type shelf[T any] struct {
	byID   map[string]*T
	sorted []*entry[T]            // ascending by creation
	index  map[string][]*entry[T] // by "field:value", ascending by creation
}

type entry[T any] struct {
	created time.Time
	value   *T
}

func newShelf[T any]() shelf[T] {
	return shelf[T]{byID: map[string]*T{}, index: map[string][]*entry[T]{}}
}

// put adds an object under its id and under each key that it is looked up by.
func (s *shelf[T]) put(id string, created time.Time, value *T, keys ...string) {
	s.byID[id] = value
	e := &entry[T]{created, value}
	s.sorted = insert(s.sorted, e)
	for _, k := range keys {
		s.index[k] = insert(s.index[k], e)
	}
}

// insert keeps the order; nearly always the new one is the last.
func insert[T any](list []*entry[T], e *entry[T]) []*entry[T] {
	at := len(list)
	for at > 0 && list[at-1].created.After(e.created) {
		at--
	}
	return slices.Insert(list, at, e)
}

// query is a question for a page of objects.
type query[T any] struct {
	key           string // of an index; empty is all
	from, to      time.Time
	keep          func(*T) bool // nil keeps all
	limit, offset int
	order         ListOrder
}

// ListOrder is how a list is sorted.
type ListOrder string

// The orders of lists.
const (
	NewestFirst ListOrder = ""
	OldestFirst ListOrder = "oldest"
)

// page answers with the objects of the page and how many there are in all. Without keep it touches only the page.
func (s *shelf[T]) page(q query[T]) ([]*T, int) {
	list := s.sorted
	if q.key != "" {
		list = s.index[q.key]
	}
	if !q.from.IsZero() {
		list = list[sort.Search(len(list), func(i int) bool { return !list[i].created.Before(q.from) }):]
	}
	if !q.to.IsZero() {
		list = list[:sort.Search(len(list), func(i int) bool { return !list[i].created.Before(q.to) })]
	}
	at := func(i int) *T { return list[len(list)-1-i].value }
	if q.order == OldestFirst {
		at = func(i int) *T { return list[i].value }
	}
	var out []*T
	if q.keep == nil {
		for i := q.offset; i < len(list) && len(out) < q.limit; i++ {
			out = append(out, at(i))
		}
		return out, len(list)
	}
	total := 0
	for i := range list {
		if !q.keep(at(i)) {
			continue
		}
		if total >= q.offset && len(out) < q.limit {
			out = append(out, at(i))
		}
		total++
	}
	return out, total
}

// filters are what a list's parameters ask of each row.
type filters[T any] []func(*T) bool

// add makes a filter of a parameter that is given.
func (f *filters[T]) add(in url.Values, name string, match func(row *T, value string) bool) {
	if value := in.Get(name); value != "" {
		*f = append(*f, func(row *T) bool { return match(row, value) })
	}
}

// all tells whether a row passes every filter.
func (f filters[T]) all(row *T) bool {
	for _, passes := range f {
		if !passes(row) {
			return false
		}
	}
	return true
}
