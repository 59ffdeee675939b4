package live

import (
	"context"
	"fmt"
	"strings"

	"github.com/tallystick/tallystick/clients/sage"
)

func extraPlace(ctx context.Context, s *Sage) (Verdict, string) {
	schema, err := s.client.Orders.Schema(ctx)
	if err != nil {
		return blocked(err)
	}
	order, found := s.order(func(sage.Order) bool { return true })
	if len(schema.Extra()) == 0 {
		return Open, "the schema has no extra fields"
	}
	if !found {
		return s.none("anything")
	}
	for _, field := range schema.Extra() {
		if !order.Extra.Has(field.Name) {
			return Fails, "an order lacks " + field.Name + " at its top level"
		}
	}
	return Holds, fmt.Sprintf("%d extra fields at the top level of an order", len(schema.Extra()))
}

func extraSchema(ctx context.Context, s *Sage) (Verdict, string) {
	schema, err := s.client.Orders.Schema(ctx)
	if err != nil {
		return blocked(err)
	}
	defined := 0
	for definition, err := range s.client.ExtraFields(ctx, sage.ExtraOnOrders) {
		if err != nil {
			return blocked(err)
		}
		if bool(definition.Deleted) {
			continue
		}
		defined++
		if field, listed := schema.Fields[definition.Name()]; !listed || len(field.Types) == 0 {
			return Fails, "the schema does not list " + definition.Name() + " with a type"
		}
	}
	if defined == 0 {
		return Open, "the tenant has defined no extra fields on orders"
	}
	return Holds, fmt.Sprintf("%d defined fields, all in the schema", defined)
}

// lengths compares what the schemas allow with what the texts are cut to.
func lengths(ctx context.Context, s *Sage) (Verdict, string) {
	type wanted struct {
		read func(context.Context) (sage.Schema, error)
		of   string
		most map[string]int
	}
	given := 0
	var short []string
	for _, w := range []wanted{
		{s.client.Orders.Schema, "orders", map[string]int{"reference": 50}},
		{s.client.Accounts.Schema, "accounts", map[string]int{"name": 50, "email": 100, "address1": 180, "city": 200}},
		{s.client.Contacts.Schema, "contacts", map[string]int{"firstName": 50, "lastName": 50, "email": 100}},
		{s.client.Products.Schema, "products", map[string]int{"model": 50}},
		{s.client.Lines.Schema, "lines", map[string]int{"description": 2000}},
	} {
		schema, err := w.read(ctx)
		if err != nil {
			return blocked(err)
		}
		for name, most := range w.most {
			allowed := schema.Fields[name].MaxLength
			if allowed > 0 {
				given++
			}
			if allowed > 0 && allowed < most {
				short = append(short, fmt.Sprintf("%s of %s holds %d", name, w.of, allowed))
			}
		}
	}
	switch {
	case len(short) > 0:
		return Fails, strings.Join(short, ", ")
	case given == 0:
		return Open, "the schemas give no lengths"
	}
	return Holds, fmt.Sprintf("%d lengths are given, and all suffice", given)
}

func statuses(ctx context.Context, s *Sage) (Verdict, string) {
	all, err := s.client.OrderStatuses.Live(ctx)
	if err != nil {
		return blocked(err)
	}
	open, won := 0, 0
	for _, status := range all {
		switch {
		case bool(status.Won) && !bool(status.Lost):
			won++
		case !bool(status.Won) && !bool(status.Lost):
			open++
		}
	}
	if open == 0 || won == 0 {
		return Fails, fmt.Sprintf("%d statuses, of which %d are open and %d won", len(all), open, won)
	}
	return Holds, fmt.Sprintf("%d open and %d won", open, won)
}

func atMost(ctx context.Context, s *Sage) (Verdict, string) {
	order, found := s.order(func(sage.Order) bool { return true })
	if !found {
		return s.none("anything")
	}
	rows, err := s.client.Orders.Find(ctx, sage.And(sage.Ge("id", order.ID), sage.Le("id", order.ID)))
	switch {
	case err != nil:
		return refusal(err)
	case !holdsOrder(rows, order.ID):
		return Fails, "a record is not found between its id and its id"
	}
	return Holds, "a record is found between its id and its id"
}

func sageDate(_ context.Context, s *Sage) (Verdict, string) { return dateOf(s.tap) }
