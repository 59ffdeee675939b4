package sage

import (
	"fmt"
	"strings"
	"time"
)

// PastRecord is a record that the API's user made before anybody looked.
type PastRecord struct {
	// Resource is the path, such as "salesorders".
	Resource string
	// Fields are as Record has them, so that those of another tenant can be taken over. Nulls, names that nobody knows, and
	// what only the server sets are left out.
	Fields map[string]any
	At     time.Time
}

// Seed takes in records of the past, tens of thousands of them if need be, and gives their ids in the same order. They are
// in no list of writes, and send no hooks. Records are to come in the order of their times, as ids ascend with those; a
// reference must lead to one that is there. After an error, what came before the fault is there.
func (s *Server) Seed(records []PastRecord) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]int64, 0, len(records))
	for i, past := range records {
		id, err := s.takeIn(past)
		if err != nil {
			return ids, fmt.Errorf("sage sandbox: record %d of the past, of %s: %w", i, past.Resource, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (s *Server) takeIn(past PastRecord) (int64, error) {
	t := s.table(past.Resource)
	if t == nil {
		return 0, refused("there is no resource %s", past.Resource)
	}
	values := make(map[string]any, len(past.Fields))
	for name, v := range past.Fields {
		f := t.byName[strings.ToLower(name)]
		if f == nil || f.system || v == nil {
			continue
		}
		if id, ok := v.(int64); ok && f.typ == typeRef && s.table(f.table).live(id) == nil {
			return 0, refused("%s: there is no %s with id %d", f.name, f.table, id)
		}
		values[f.key] = v
	}
	if err := s.special(t, values); err != nil {
		return 0, err
	}
	for _, f := range t.fields {
		if f.required && values[f.key] == nil {
			return 0, refused("The field %s is required", f.name)
		}
	}
	values["deleted"] = false
	row := t.insert(values)
	t.stamp(row, "created", s.APIUser(), past.At.UTC().Add(s.opts.ClockOffset).Truncate(time.Millisecond))
	return row.id, nil
}
