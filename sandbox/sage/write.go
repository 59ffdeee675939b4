package sage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// actor is who writes, and by which way.
type actor struct {
	userID   int64
	byPeople bool // in the web application, where protected records may be edited by those allowed
}

// Write is one committed change, by whomever.
type Write struct {
	// Op is the operation, such as "sage.salesorders.update".
	Op string
	// Resource is the resource's path, such as "salesordersLines".
	Resource string
	// ID is the record's id, ExtID its extId afterwards, if it has one.
	ID    int64
	ExtID string
	// UserID is who did it; ByPeople tells that it was done in the web application.
	UserID   int64
	ByPeople bool
	// Fields are the fields that were written, by name, sorted.
	Fields []string
	At     time.Time
}

// errRefused is the reason why a write is not done, in the vendor's manner of speaking.
type errRefused struct{ message string }

func (e errRefused) Error() string { return e.message }

func refused(format string, args ...any) error { return errRefused{fmt.Sprintf(format, args...)} }

// write carries out create, update and delete requests.
func (s *Server) write(w http.ResponseWriter, r *http.Request, at route, by actor) {
	var in map[string]any
	if at.verb != "delete" {
		var err error
		if in, err = decodeObject(r.Body); err != nil {
			answerError(w, http.StatusBadRequest, "The request body is not a JSON object", 0)
			return
		}
	}
	var err error
	var message []byte
	switch at.verb {
	case "create":
		var id int64
		id, err = s.create(at.table, in, by)
		message = fmt.Appendf(nil, `{"Message":"entity created","id":%d}`, id)
	case "update":
		err = s.update(at.table, at.id, in, by)
		message = []byte(`{"Message":"entity updated"}`)
	case "delete":
		err = s.remove(at.table, at.id, by)
		message = []byte(`{"Message":"entity deleted"}`)
	}
	var no errRefused
	if errors.As(err, &no) {
		answerError(w, http.StatusBadRequest, no.message, 0)
		return
	}
	answerBytes(w, message)
}

func decodeObject(r io.Reader) (map[string]any, error) {
	decoder := json.NewDecoder(io.LimitReader(r, maxBody))
	decoder.UseNumber()
	var in map[string]any
	if err := decoder.Decode(&in); err != nil {
		return nil, err
	}
	if in == nil {
		return nil, io.ErrUnexpectedEOF
	}
	return in, nil
}

func (s *Server) create(t *table, in map[string]any, by actor) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	values, err := s.accept(t, in)
	if err != nil {
		return 0, err
	}
	for _, f := range t.fields {
		if v := values[f.key]; f.required && (v == nil || v == "") {
			return 0, refused("The field %s is required", f.name)
		}
	}
	if err := s.guardOrder(t, values["salesorderid"], by); err != nil {
		return 0, err
	}
	if err := s.defineExtra(t, values); err != nil {
		return 0, err
	}
	fields := names(t, values)
	now := s.now()
	values["deleted"] = false
	row := t.insert(values)
	t.stamp(row, "created", by.userID, now)
	s.log("create", t, row, fields, by, now)
	return row.id, nil
}

func (s *Server) update(t *table, id int64, in map[string]any, by actor) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, err := s.writable(t, id, by)
	if err != nil {
		return err
	}
	values, err := s.accept(t, in)
	if err != nil {
		return err
	}
	for key, v := range values {
		if f := t.byName[key]; f.required && (v == nil || v == "") {
			return refused("The field %s is required", f.name)
		}
	}
	if err := s.guardOrder(t, values["salesorderid"], by); err != nil {
		return err
	}
	now := s.now()
	for key, v := range values {
		t.set(row, key, v)
	}
	t.stamp(row, "updated", by.userID, now)
	s.log("update", t, row, names(t, values), by, now)
	return nil
}

func (s *Server) remove(t *table, id int64, by actor) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, err := s.writable(t, id, by)
	if err != nil {
		return err
	}
	now := s.now()
	t.set(row, "deleted", true)
	t.stamp(row, "deleted", by.userID, now)
	if s.opts.DeleteBumps {
		t.stamp(row, "updated", by.userID, now)
	}
	s.undefineExtra(t, row)
	s.log("delete", t, row, nil, by, now)
	return nil
}

// writable finds a live row that the actor may change.
func (s *Server) writable(t *table, id int64, by actor) (*record, error) {
	row := t.live(id)
	if row == nil {
		return nil, refused("The entity does not exist")
	}
	if by.byPeople {
		return row, nil
	}
	if row.bool("readOnly") || row.bool("blocked") {
		return nil, refused("The entity is read only")
	}
	return row, s.guardOrder(t, row.values["salesorderid"], by)
}

// guardOrder refuses changes of lines whose order is blocked or read-only.
func (s *Server) guardOrder(t *table, orderID any, by actor) error {
	id, ok := orderID.(int64)
	if !ok || by.byPeople || t.resource.name != "salesordersLines" {
		return nil
	}
	if order := s.table("salesorders").rows[id]; order != nil && (order.bool("blocked") || order.bool("readOnly")) {
		return refused("The sales order is read only")
	}
	return nil
}

// accept turns a client's object into stored values. Fields that nobody knows, and those only the server sets, are
// ignored without a word.
func (s *Server) accept(t *table, in map[string]any) (map[string]any, error) {
	values := make(map[string]any, len(in)+8)
	for name, raw := range in {
		f := t.byName[strings.ToLower(name)]
		if f == nil || f.system {
			continue
		}
		v, err := f.fromJSON(raw)
		if err != nil {
			return nil, refused("%s", err)
		}
		if id, ok := v.(int64); ok && f.typ == typeRef && s.table(f.table).live(id) == nil {
			return nil, refused("%s: there is no %s with id %d", f.name, f.table, id)
		}
		values[f.key] = v
	}
	return values, s.special(t, values)
}

// special is what two resources do with some of their fields.
func (s *Server) special(t *table, values map[string]any) error {
	switch t.resource.name {
	case "activities":
		if s.opts.IgnoreActivityExtID {
			delete(values, "extid")
		}
	case "sales":
		if total, ok := values["total"].(domain.Number); ok && s.opts.RefuseNegativeTotals && compareNumbers(total, "0") < 0 {
			return refused("total must not be negative")
		}
		if extID, ok := values["salesrepextid"].(string); ok {
			values["salesrepid"] = nil
			if users := s.table("users").lookup("extid", extID); len(users) > 0 {
				values["salesrepid"] = users[0]
			}
		}
	}
	return nil
}

func names(t *table, values map[string]any) []string {
	out := make([]string, 0, len(values))
	for key := range values {
		out = append(out, t.byName[key].name)
	}
	slices.Sort(out)
	return out
}

// log records a committed write, and lets it touch the order where a line was written.
func (s *Server) log(verb string, t *table, row *record, fields []string, by actor, now time.Time) {
	name, _, _ := strings.Cut(strings.ToLower(t.resource.name), "/")
	done := Write{Op: "sage." + name + "." + verb, Resource: t.resource.name, ID: row.id,
		ExtID: row.text("extId"), UserID: by.userID, ByPeople: by.byPeople, Fields: fields, At: now}
	s.writes = append(s.writes, done)
	if s.opts.OnWrite != nil {
		s.opts.OnWrite(done)
	}
	s.fire(verb, t, row)
	if id, ok := row.values["salesorderid"].(int64); ok && s.opts.LineBumpsOrder {
		orders := s.table("salesorders")
		if order := orders.rows[id]; order != nil {
			orders.stamp(order, "updated", by.userID, now)
			s.fire("update", orders, order)
		}
	}
}
