package sage

import (
	"net/http"
	"slices"
	"strings"
)

// ExtraField is a field that the tenant added to a resource. In records it is called as in Name, which begins with Z_.
type ExtraField struct {
	// Resource is one of accounts, activities, calendar, contacts, opportunities, products, salesorders, users: not order
	// lines, not sales.
	Resource string
	// Name as it is in records, such as "Z_PaymentStatus".
	Name string
	// Type is one of datetime, text, decimal, bit, list.
	Type string
	// Required refuses the creation of a record without it.
	Required bool
	// Choices of a list, numbered from 1.
	Choices []string
}

// SubscriptionExtraFields are the extra fields on opportunities that Tallystick writes.
func SubscriptionExtraFields() []ExtraField {
	return []ExtraField{
		{Resource: "opportunities", Name: extraPrefix + "SubscriptionStatus", Type: "text"},
		{Resource: "opportunities", Name: extraPrefix + "SubscriptionInterval", Type: "text"},
	}
}

const extraPrefix = "Z_"

// extraTextLength is how long a text extra field may be.
const extraTextLength = 4000

// DefaultExtraFields are the extra fields on sales orders that Tallystick writes.
func DefaultExtraFields() []ExtraField {
	var out []ExtraField
	add := func(typ string, names ...string) {
		for _, n := range names {
			out = append(out, ExtraField{Resource: "salesorders", Name: extraPrefix + n, Type: typ})
		}
	}
	add("text", "PaymentStatus", "PaymentIds", "FulfillmentStatus", "FulfillmentIds", "TrackingNumbers", "CouponCode")
	add("decimal", "PaidAmount", "RefundedAmount")
	add("datetime", "PaidAt", "ShippedDate", "DeliveredDate")
	return out
}

// AddExtraField adds a field as an administrator would, or changes it if it is there.
func (s *Server) AddExtraField(e ExtraField) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addExtraField(e)
}

func (s *Server) addExtraField(e ExtraField) {
	definitions := s.table("extrafields/" + e.Resource)
	if definitions == nil {
		panic("sage: there are no extra fields on " + e.Resource)
	}
	for _, id := range definitions.lookup("fieldname", e.Name) {
		definitions.set(definitions.rows[id], "deleted", true)
	}
	row := definitions.insert(map[string]any{"entity": e.Resource, "fieldname": e.Name, "type": e.Type,
		"required": e.Required, "deleted": false})
	definitions.stamp(row, "created", s.Person(), s.now())
	s.setExtra(e)
}

// setExtra makes the field known to the records' table.
func (s *Server) setExtra(e ExtraField) {
	t := s.table(e.Resource)
	t.removeField(e.Name)
	f := field{name: e.Name, required: e.Required, choices: e.Choices}
	switch strings.ToLower(e.Type) {
	case "text":
		f.typ, f.max = typeText, extraTextLength
	case "decimal":
		f.typ = typeDecimal
	case "bit":
		f.typ = typeBool
	case "datetime":
		f.typ = typeDate
	default:
		f.typ = typeList
	}
	t.addField(f)
}

var extraTypes = []string{"datetime", "text", "decimal", "bit", "list", "multivalue"}

// defineExtra lets a row of /extrafields/{resource} take effect. The documents' sample of a field name has no prefix;
// the records show it with one, so the prefix is added where it lacks.
func (s *Server) defineExtra(t *table, values map[string]any) error {
	target, found := strings.CutPrefix(t.resource.name, "extrafields/")
	if !found {
		return nil
	}
	name, _ := values["fieldname"].(string)
	if !strings.HasPrefix(name, extraPrefix) {
		name = extraPrefix + name
	}
	typ, _ := values["type"].(string)
	if !slices.Contains(extraTypes, strings.ToLower(typ)) {
		return refused("type must be one of %s", strings.Join(extraTypes, ", "))
	}
	if entity, _ := values["entity"].(string); !strings.EqualFold(entity, target) {
		return refused("entity must be %s", target)
	}
	if s.table(target).byName[strings.ToLower(name)] != nil {
		return refused("The field %s exists already", name)
	}
	required, _ := values["required"].(bool)
	values["fieldname"] = name
	s.setExtra(ExtraField{Resource: target, Name: name, Type: typ, Required: required})
	return nil
}

func (s *Server) undefineExtra(t *table, row *record) {
	if target, found := strings.CutPrefix(t.resource.name, "extrafields/"); found {
		s.table(target).removeField(row.text("fieldName"))
	}
}

// schema answers /schema: for each field its type, whether it is read-only, the longest text, and the table behind a
// reference. Its "required" is about the reference's own id, not about the field.
func (s *Server) schema(w http.ResponseWriter, t *table) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	properties := make(map[string]any, len(t.fields))
	for _, f := range t.fields {
		properties[f.name] = f.describe()
	}
	answerJSON(w, map[string]any{"properties": properties, "type": "object"})
}

func (f *field) describe() map[string]any {
	nullable := func(t string) []string { return []string{t, "null"} }
	p := map[string]any{"description": "", "readOnly": f.system}
	switch f.typ {
	case typeText:
		p["type"] = nullable("string")
		if f.max > 0 {
			p["maxLength"] = f.max
		}
	case typeDate, typeDay:
		p["type"], p["format"] = nullable("string"), "date-time"
	case typeDecimal:
		p["type"] = nullable("number")
	case typeBool:
		p["type"] = nullable("boolean")
	case typeRef, typeList:
		p["type"] = nullable("object")
		p["table"] = f.table
		p["required"] = []string{"id"}
		p["properties"] = map[string]any{
			"id": map[string]any{"type": "integer"}, "value": map[string]any{"type": nullable("string")}}
	default:
		p["type"] = nullable("integer")
	}
	return p
}
