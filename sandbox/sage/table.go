package sage

import (
	"slices"
	"strings"
	"time"
)

// record is one row. Deleted rows stay, as they do at the vendor's.
type record struct {
	id     int64
	values map[string]any // by the field's name in lower case
}

func (r *record) deleted() bool { d, _ := r.values["deleted"].(bool); return d }

func (r *record) text(name string) string { s, _ := r.values[strings.ToLower(name)].(string); return s }
func (r *record) int(name string) int64   { i, _ := r.values[strings.ToLower(name)].(int64); return i }
func (r *record) bool(name string) bool   { b, _ := r.values[strings.ToLower(name)].(bool); return b }

// table holds the rows of one resource with their indexes. The server's lock guards it.
type table struct {
	resource resource
	fields   []*field          // in the order they are shown in
	byName   map[string]*field // by lower case name
	rows     map[int64]*record
	ids      []int64 // ascending
	index    map[string]map[string][]int64
	next     int64
	// unfilterable are the fields that where refuses, alone or with an operator, all in lower case: see Options.
	unfilterable map[string]bool
}

func newTable(r resource, firstID int64) *table {
	t := &table{resource: r, byName: map[string]*field{}, rows: map[int64]*record{},
		index: map[string]map[string][]int64{}, next: firstID}
	for _, f := range join(audit(), r.fields) {
		t.addField(f)
	}
	return t
}

func (t *table) addField(f field) {
	key := strings.ToLower(f.name)
	f.key = key
	t.byName[key] = &f
	t.fields = append(t.fields, &f)
	slices.SortFunc(t.fields, func(a, b *field) int { return strings.Compare(a.name, b.name) })
	if f.index && key != "id" {
		t.index[key] = map[string][]int64{}
	}
}

func (t *table) removeField(name string) {
	key := strings.ToLower(name)
	delete(t.byName, key)
	t.fields = slices.DeleteFunc(t.fields, func(f *field) bool { return f.key == key })
}

func (t *table) insert(values map[string]any) *record {
	r := &record{id: t.next, values: values}
	t.next++
	values["id"] = r.id
	t.rows[r.id] = r
	t.ids = append(t.ids, r.id)
	for name, idx := range t.index {
		if v := values[name]; v != nil {
			k := indexKey(v)
			idx[k] = append(idx[k], r.id)
		}
	}
	return r
}

func (t *table) set(r *record, name string, v any) {
	if idx, ok := t.index[name]; ok {
		if old := r.values[name]; old != nil {
			k := indexKey(old)
			idx[k] = slices.DeleteFunc(idx[k], func(id int64) bool { return id == r.id })
		}
		if v != nil {
			k := indexKey(v)
			at, _ := slices.BinarySearch(idx[k], r.id)
			idx[k] = slices.Insert(idx[k], at, r.id)
		}
	}
	r.values[name] = v
}

// live finds a row that exists and is not deleted.
func (t *table) live(id int64) *record {
	if r := t.rows[id]; r != nil && !r.deleted() {
		return r
	}
	return nil
}

// lookup gives the rows whose indexed field has the value, in ascending order of id.
func (t *table) lookup(name string, v any) []int64 {
	return t.index[strings.ToLower(name)][indexKey(v)]
}

func (t *table) stamp(r *record, what string, userID int64, at time.Time) {
	r.values["date"+what] = at
	r.values["salesrepid"+what] = userID
}
