package ghl

import (
	"cmp"
	"hash/fnv"
	"net/url"
	"slices"
	"sort"
	"sync"
	"time"
)

// ListOrder is how a list is sorted.
type ListOrder string

// The orders of lists.
const (
	// NewestFirst and OldestFirst go by the time of creation.
	NewestFirst ListOrder = ""
	OldestFirst ListOrder = "oldest"
	// LastChangedFirst goes by updatedAt: a row that changes while somebody walks the list is missed by him if it was
	// still before him, and moves others to where he sees them twice.
	LastChangedFirst ListOrder = "changed"
	// Shuffled is no order that means anything, but the same for every page.
	Shuffled ListOrder = "shuffled"
)

// shelf keeps the objects of one kind in the order of their creation, with indexes. The server's lock guards it.
type shelf[T any] struct {
	byID    map[string]*T
	sorted  []*entry[T]            // ascending by creation
	index   map[string][]*entry[T] // by "field:value", ascending by creation
	changed func(*T) time.Time

	arranged *arranged[T]
}

type entry[T any] struct {
	created time.Time
	value   *T
	lot     uint32 // its place if lists are shuffled
}

// arranged keeps lists that are in another order than that of creation. It has a lock of its own, as readers sort.
type arranged[T any] struct {
	mu    sync.Mutex
	lists map[string][]*entry[T] // by order and index
}

func newShelf[T any](changed func(*T) time.Time) shelf[T] {
	return shelf[T]{byID: map[string]*T{}, index: map[string][]*entry[T]{}, changed: changed,
		arranged: &arranged[T]{lists: map[string][]*entry[T]{}}}
}

// put adds an object under its id and under each key that it is looked up by.
func (s *shelf[T]) put(id string, created time.Time, value *T, keys ...string) {
	e := s.entry(id, created, value)
	s.sorted = insert(s.sorted, e)
	for _, k := range keys {
		s.addKey(k, e)
	}
}

func (s *shelf[T]) entry(id string, created time.Time, value *T) *entry[T] {
	s.byID[id] = value
	lot := fnv.New32a()
	_, _ = lot.Write([]byte(id))
	return &entry[T]{created, value, lot.Sum32()}
}

// addKey makes an object to be found by one more key.
func (s *shelf[T]) addKey(key string, e *entry[T]) { s.index[key] = insert(s.index[key], e) }

// pile adds an object like put, but in any order, until settle is called.
func (s *shelf[T]) pile(id string, created time.Time, value *T, keys ...string) {
	e := s.entry(id, created, value)
	s.sorted = append(s.sorted, e)
	for _, k := range keys {
		s.index[k] = append(s.index[k], e)
	}
}

// settle sorts what was piled up.
func (s *shelf[T]) settle() {
	older := func(a, b *entry[T]) int { return a.created.Compare(b.created) }
	for _, list := range s.index {
		if !slices.IsSortedFunc(list, older) {
			slices.SortStableFunc(list, older)
		}
	}
	slices.SortStableFunc(s.sorted, older)
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

// page answers with the objects of the page and how many there are in all. Without keep it touches only the page, if the
// order is that of creation.
func (s *shelf[T]) page(q query[T]) ([]*T, int) {
	list := s.sorted
	if q.key != "" {
		list = s.index[q.key]
	}
	if q.order == LastChangedFirst || q.order == Shuffled {
		list = s.rearranged(q, list)
	} else {
		if !q.from.IsZero() {
			list = list[sort.Search(len(list), func(i int) bool { return !list[i].created.Before(q.from) }):]
		}
		if !q.to.IsZero() {
			list = list[:sort.Search(len(list), func(i int) bool { return !list[i].created.Before(q.to) })]
		}
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

// rearranged is a list, last row first, in one of the orders that have nothing to do with creation, within the span.
func (s *shelf[T]) rearranged(q query[T], list []*entry[T]) []*entry[T] {
	name := string(q.order) + " " + q.key
	by := func(a, b *entry[T]) int { return cmp.Compare(a.lot, b.lot) }
	if q.order == LastChangedFirst {
		by = func(a, b *entry[T]) int { return s.changed(a.value).Compare(s.changed(b.value)) }
	}
	s.arranged.mu.Lock()
	defer s.arranged.mu.Unlock()
	have := s.arranged.lists[name]
	if len(have) != len(list) {
		have = slices.Clone(list)
	}
	if !slices.IsSortedFunc(have, by) { // nothing tells the shelf of a change
		slices.SortStableFunc(have, by)
	}
	s.arranged.lists[name] = have
	within := make([]*entry[T], 0, len(have))
	for _, e := range have {
		if !e.created.Before(q.from) && (q.to.IsZero() || e.created.Before(q.to)) {
			within = append(within, e)
		}
	}
	return within
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
