package sage

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/clients/transport"
)

// Schema says what fields the records of a resource have on this tenant.
type Schema struct {
	// Fields by their name as read.
	Fields map[string]Field
}

// Field is one field of a Schema.
type Field struct {
	Name string
	// Types are the JSON types it may have, such as "string" and "null"; references are an "object".
	Types []string
	// Format is "date-time" for dates.
	Format string
	// MaxLength is the largest number of characters of a text, 0 if the schema does not say.
	MaxLength int
	// ReadOnly fields are set by Sage.
	ReadOnly bool
	// Table names the resource that a reference points to, "" for what is no reference.
	Table string
}

// Is tells whether the field may have a JSON type.
func (f Field) Is(jsonType string) bool { return slices.Contains(f.Types, jsonType) }

// Extra are the tenant's own fields by name.
func (s Schema) Extra() []Field {
	var extra []Field
	for name, field := range s.Fields {
		if strings.HasPrefix(name, ExtraPrefix) {
			extra = append(extra, field)
		}
	}
	slices.SortFunc(extra, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return extra
}

// UnmarshalJSON reads the JSON-schema-like form of the endpoint pages. What it calls required is said of the parts of a
// reference, not of fields, and is not read.
func (s *Schema) UnmarshalJSON(data []byte) error {
	var wire struct {
		Properties map[string]struct {
			Type      json.RawMessage `json:"type"`
			Format    string          `json:"format"`
			MaxLength int             `json:"maxLength"`
			ReadOnly  Bool            `json:"readOnly"`
			Table     string          `json:"table"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err //nolint:wrapcheck // the caller names the resource
	}
	if len(wire.Properties) == 0 {
		return fmt.Errorf("%w: a schema without fields", errWire)
	}
	s.Fields = make(map[string]Field, len(wire.Properties))
	for name, p := range wire.Properties {
		field := Field{Name: name, Format: p.Format, MaxLength: p.MaxLength, ReadOnly: bool(p.ReadOnly), Table: p.Table}
		if json.Unmarshal(p.Type, &field.Types) != nil {
			field.Types = []string{scalarText(p.Type)}
		}
		s.Fields[name] = field
	}
	return nil
}

// ExtraResource is a resource that tenants can add fields to. Order lines and /sales are not among them.
type ExtraResource string

// The resources with extra fields (endpoint pages).
const (
	ExtraOnAccounts      ExtraResource = "accounts"
	ExtraOnActivities    ExtraResource = "activities"
	ExtraOnCalendar      ExtraResource = "calendar"
	ExtraOnContacts      ExtraResource = "contacts"
	ExtraOnOpportunities ExtraResource = "opportunities"
	ExtraOnProducts      ExtraResource = "products"
	ExtraOnRates         ExtraResource = "rates"
	ExtraOnOrders        ExtraResource = "salesorders"
	ExtraOnUsers         ExtraResource = "users"
)

// ExtraType is the data type of an extra field.
type ExtraType string

// The data types (endpoint pages, which call the field that holds them an integer but list these words).
const (
	ExtraText       ExtraType = "text"
	ExtraDecimal    ExtraType = "decimal"
	ExtraDateTime   ExtraType = "datetime"
	ExtraBit        ExtraType = "bit"
	ExtraList       ExtraType = "list"
	ExtraMultivalue ExtraType = "multivalue"
)

// ExtraDefinition is an extra field as the tenant has defined it.
type ExtraDefinition struct {
	Audit
	Labels
	Entity    string    `json:"entity"`
	FieldName string    `json:"fieldName"`
	Type      looseText `json:"type"`
}

// Name is the field's name in records, with its prefix.
func (d ExtraDefinition) Name() string {
	return ExtraPrefix + strings.TrimPrefix(d.FieldName, ExtraPrefix)
}

// looseText is text that may come as a number or as a reference, of which the label counts.
type looseText string

// UnmarshalJSON reads any scalar, null and {"id", "value"}.
func (t *looseText) UnmarshalJSON(data []byte) error {
	*t = looseText(scalarText(data))
	var ref Ref
	if *t == "" && !isNull(data) && json.Unmarshal(data, &ref) == nil {
		*t = looseText(ref.Label)
	}
	return nil
}

// ExtraFields reads the definitions of a resource's extra fields, deleted ones included.
func (c *Client) ExtraFields(ctx context.Context, on ExtraResource) iter.Seq2[ExtraDefinition, error] {
	return list[ExtraDefinition](ctx, c, listing{operation: "sage.extrafields.list", path: "/extrafields/{resource}",
		pathParams: map[string]string{"resource": string(on)}, options: ListOptions{PageSize: valuePageSize}})
}

// NewExtraField is an extra field to be made.
type NewExtraField struct {
	// Name is the field's name in records, such as "Z_PaidAmount".
	Name string
	Type ExtraType
	// Label is what people see.
	Label string
}

// CreateExtraField adds a field to a resource (A64) and returns the id of its definition. The name is sent without its
// prefix, which Sage puts before it (help centre; the endpoint pages show "EmployeesNumber"). Only a set-up command that
// somebody has asked for should call it.
func (c *Client) CreateExtraField(ctx context.Context, on ExtraResource, field NewExtraField) (int64, error) {
	const operation = "sage.extrafields.create"
	if !extraName.MatchString(field.Name) {
		return 0, wrongCall(operation, "the name %q must be Z_ followed by letters, digits and underscores", clip(field.Name, 70))
	}
	return c.create(ctx, transport.Call{
		Operation:  operation,
		Method:     http.MethodPost,
		Path:       "/extrafields/{resource}",
		PathParams: map[string]string{"resource": string(on)},
		Body: struct {
			Entity        string    `json:"entity"`
			FieldName     string    `json:"fieldName"`
			Type          ExtraType `json:"type"`
			Description   string    `json:"description,omitempty"`
			DescriptionEN string    `json:"descriptionEN,omitempty"`
		}{string(on), strings.TrimPrefix(field.Name, ExtraPrefix), field.Type, field.Label, field.Label},
		Write: true,
	})
}
