package activities

import (
	"context"
	"maps"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
)

// The resources that a tenant may demand extra fields on.
const (
	accountsResource = "accounts"
	contactsResource = "contacts"
	productsResource = "products"
	ordersResource   = "salesorders"
)

// tenant is what a Sage tenant calls things: its ids of branch, user and statuses, and the extra fields it has.
type tenant struct {
	branch, salesRep int64
	open, won        int64
	refunded         int64
	schema           sage.Schema
	settings         SageSettings
	catalog          *sage.Catalog
}

// resolve learns what the settings leave open from the tenant's value lists, which the client keeps for a while.
func resolve(ctx context.Context, client *sage.Client, s SageSettings) (tenant, error) {
	catalog := client.Catalog
	t := tenant{
		branch: s.BranchID, salesRep: s.SalesRepID, open: s.OpenStatus, won: s.WonStatus, refunded: s.RefundedStatus,
		settings: s, catalog: catalog,
	}
	var err error
	if t.branch == 0 {
		if t.branch, err = catalog.Branch(ctx, "SAGE_BRANCH_ID"); err != nil {
			return t, err
		}
	}
	if t.salesRep == 0 {
		if t.salesRep, err = catalog.SalesRep(ctx, "SAGE_SALES_REP_ID"); err != nil {
			return t, err
		}
	}
	if t.open == 0 {
		if t.open, err = catalog.OrderStatus(ctx, sage.Open, t.branch, "SAGE_ORDER_STATUS_OPEN"); err != nil {
			return t, err
		}
	}
	if t.won == 0 {
		if t.won, err = catalog.OrderStatus(ctx, sage.Won, t.branch, "SAGE_ORDER_STATUS_WON"); err != nil {
			return t, err
		}
	}
	t.schema, err = catalog.OrderSchema(ctx)
	return t, err
}

func (t tenant) currency(ctx context.Context, currency domain.Currency) (int64, error) {
	return t.catalog.Currency(ctx, string(currency))
}

// defaults are the extra fields that the tenant demands on new records of a resource.
func (t tenant) defaults(resource string) sage.ExtraFields {
	return maps.Clone(sage.ExtraFields(t.settings.Defaults[resource]))
}

// field gives the tenant's extra field for a fact, and whether the schema lists one (A63).
func (t tenant) field(fact string) (sage.Field, bool) {
	field, ok := t.schema.Fields[t.settings.fieldName(fact)]
	return field, ok
}

func (s SageSettings) fieldName(fact string) string {
	if name := s.FieldNames[fact]; name != "" {
		return name
	}
	return s.FieldPrefix + fact
}

// FulfillmentFields are the names of the extra fields in which people say how far the goods of an order are, and by which
// numbers they are known.
func (s SageSettings) FulfillmentFields() (state, trackings string) {
	return s.fieldName(factFulfillment), s.fieldName(factTrackings)
}

// statusFor is the status that an order gets by its payments, 0 to leave it as it is. An order whose money went back
// keeps the status that the money gave it, unless the tenant has one for refunds.
func (t tenant) statusFor(state domain.PaymentState, paid, total domain.Money) int64 {
	switch {
	case state == domain.Refunded && t.refunded != 0:
		return t.refunded
	case state != domain.Unpaid && paid.Minor >= total.Minor:
		return t.won
	default:
		return t.open
	}
}
