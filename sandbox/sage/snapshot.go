package sage

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Snapshot is the tenant's live customers, products and orders in a form that two runs can be compared by with ==, and
// that reads well where it differs: ids are replaced by extIds or names, rows are sorted, and a date only says whether
// there is one, since no two runs have the same clock.
func (s *Server) Snapshot() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := map[string][]map[string]any{}
	for _, name := range []string{"accounts", "contacts", "products", "salesorders"} {
		t := s.table(name)
		rows := []map[string]any{}
		for _, id := range t.ids {
			r := t.live(id)
			if r == nil {
				continue
			}
			row := s.normal(t, r)
			if name == "salesorders" {
				row["lines"] = s.normalLines(id)
			}
			rows = append(rows, row)
		}
		slices.SortStableFunc(rows, func(a, b map[string]any) int { return strings.Compare(line(a), line(b)) })
		all[name] = rows
	}
	out, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		panic(err)
	}
	return string(out)
}

func (s *Server) normalLines(orderID int64) []map[string]any {
	t := s.table("salesordersLines")
	lines := []map[string]any{}
	for _, l := range s.lines(orderID) {
		row := s.normal(t, t.rows[l.ID])
		delete(row, "salesorderId")
		lines = append(lines, row)
	}
	return lines
}

// normal is a row without its id and without what depends on who came first, nulls left out.
func (s *Server) normal(t *table, r *record) map[string]any {
	row := map[string]any{}
	for _, f := range t.fields {
		v := r.values[f.key]
		if v == nil || f.system {
			continue
		}
		switch x := v.(type) {
		case time.Time:
			row[f.name] = "a date"
		case domain.Number:
			row[f.name] = json.Number(x)
		case int64:
			row[f.name] = x
			if f.typ == typeRef {
				row[f.name] = s.identity(f.table, x)
			}
		default:
			row[f.name] = x
		}
	}
	return row
}

// identity is an extId, else the label.
func (s *Server) identity(tableName string, id int64) string {
	if r := s.table(tableName).rows[id]; r != nil && r.text("extId") != "" {
		return r.text("extId")
	}
	return s.labelOf(tableName, id)
}

func line(row map[string]any) string {
	text, err := json.Marshal(row)
	if err != nil {
		panic(err)
	}
	return fmt.Sprint(row["extId"], string(text))
}
