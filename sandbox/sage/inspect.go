package sage

import (
	"slices"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Record is a row as it is, for tests to look at.
type Record struct {
	ID      int64
	Deleted bool
	// Fields are by name as the API shows them: nil, string, bool, int64 (references as ids), domain.Number, time.Time.
	Fields map[string]any
}

// Text is a text field, or "" if it is null.
func (r Record) Text(name string) string { s, _ := r.Fields[name].(string); return s }

// Int is an integer or the id of a reference, or 0 if it is null.
func (r Record) Int(name string) int64 { i, _ := r.Fields[name].(int64); return i }

// Number is a decimal field, unset if it is null.
func (r Record) Number(name string) domain.Number { n, _ := r.Fields[name].(domain.Number); return n }

// Bool is a yes or no field, false if it is null.
func (r Record) Bool(name string) bool { b, _ := r.Fields[name].(bool); return b }

// Time is a date field, the zero time if it is null.
func (r Record) Time(name string) time.Time { t, _ := r.Fields[name].(time.Time); return t }

// Order is a sales order with its live lines, by position.
type Order struct {
	Record
	// Currency is the ISO code behind currencyId, Status the English name behind statusId.
	Currency, Status string
	// Won tells whether the status counts as won.
	Won   bool
	Lines []Line
}

// Line is a line of a sales order with its product's extId.
type Line struct {
	Record
	ProductExtID string
}

// Live gives the live records of a resource, ascending by id.
func (s *Server) Live(resourceName string) []Record { return s.records(resourceName, false) }

// Deleted gives the deleted records of a resource, ascending by id.
func (s *Server) Deleted(resourceName string) []Record { return s.records(resourceName, true) }

func (s *Server) records(resourceName string, deleted bool) []Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.table(resourceName)
	var out []Record
	for _, id := range t.ids {
		if r := t.rows[id]; r.deleted() == deleted {
			out = append(out, t.export(r))
		}
	}
	return out
}

func (t *table) export(r *record) Record {
	fields := make(map[string]any, len(t.fields))
	for _, f := range t.fields {
		fields[f.name] = r.values[f.key]
	}
	return Record{ID: r.id, Deleted: r.deleted(), Fields: fields}
}

// Orders gives the live sales orders with their live lines, ascending by id.
func (s *Server) Orders() []Order { return s.orders(func(r *record) bool { return !r.deleted() }) }

// DeletedOrders gives the deleted sales orders with those of their lines that are live.
func (s *Server) DeletedOrders() []Order { return s.orders((*record).deleted) }

// OrdersByExtID gives the live sales orders with that extId: one, unless something went wrong.
func (s *Server) OrdersByExtID(extID string) []Order {
	return s.orders(func(r *record) bool { return !r.deleted() && r.text("extId") == extID })
}

func (s *Server) orders(wanted func(*record) bool) []Order {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, statuses := s.table("salesorders"), s.table("salesorderStatuses")
	var out []Order
	for _, id := range t.ids {
		r := t.rows[id]
		if !wanted(r) {
			continue
		}
		o := Order{Record: t.export(r), Currency: s.labelOf("currencies", r.int("currencyId"))}
		if status := statuses.rows[r.int("statusId")]; status != nil {
			o.Status, o.Won = status.text("descriptionEN"), status.bool("won")
		}
		o.Lines = s.lines(id)
		out = append(out, o)
	}
	return out
}

func (s *Server) lines(orderID int64) []Line {
	t, products := s.table("salesordersLines"), s.table("products")
	var out []Line
	for _, id := range t.lookup("salesorderId", orderID) {
		if r := t.live(id); r != nil {
			line := Line{Record: t.export(r)}
			if p := products.rows[r.int("productId")]; p != nil {
				line.ProductExtID = p.text("extId")
			}
			out = append(out, line)
		}
	}
	slices.SortStableFunc(out, func(a, b Line) int { return compare(a.Fields["order"], b.Fields["order"]) })
	return out
}

// Find gives the id of a value list's row by its name: a status by descriptionEN, a currency by isoCode, a branch by
// name. It is 0 if there is none.
func (s *Server) Find(resourceName, label string) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.table(resourceName)
	for _, id := range t.ids {
		if !t.rows[id].deleted() && s.labelOf(resourceName, id) == label {
			return id
		}
	}
	return 0
}

// Writes gives every committed write since the start or the last ResetWrites, in order.
func (s *Server) Writes() []Write {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.writes)
}

// ResetWrites forgets the writes so far, not what they wrote.
func (s *Server) ResetWrites() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = nil
}
