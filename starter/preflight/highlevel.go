package preflight

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/internal/store"
)

const highLevelPart = "highlevel"

// needed are the scopes without which payments do not get into Sage; the others are for what else may be done.
var needed = []string{ordersScope, transactionsScope, "contacts.readonly", "invoices.readonly"}

const (
	ordersScope       = "payments/orders.readonly"
	transactionsScope = "payments/transactions.readonly"
)

// ofAgency are the scopes that the agency's own token must have, by which those of its locations are made.
var ofAgency = []string{"oauth.readonly", "oauth.write"}

// Ids of HighLevel's form that nothing has.
const (
	noContact = "00000000000000000000"
	noInvoice = "000000000000000000000000"
)

// probes are small calls that need just one scope each. Of contacts and invoices one that does not exist is asked for:
// what is wanted is whether the question is allowed.
var probes = map[string]func(ctx context.Context, c *ghl.Client) error{
	ordersScope: func(ctx context.Context, c *ghl.Client) error {
		_, err := c.Orders.Page(ctx, ghl.OrderFilter{Limit: 1}, ghl.Cursor{})
		return err
	},
	transactionsScope: func(ctx context.Context, c *ghl.Client) error {
		_, err := c.Transactions.Page(ctx, ghl.TransactionFilter{Limit: 1}, ghl.Cursor{})
		return err
	},
	"contacts.readonly": func(ctx context.Context, c *ghl.Client) error {
		_, err := c.Contacts.Get(ctx, noContact)
		return understood(err)
	},
	"invoices.readonly": func(ctx context.Context, c *ghl.Client) error {
		_, err := c.Invoices.Get(ctx, noInvoice)
		return understood(err)
	},
	"payments/subscriptions.readonly": func(ctx context.Context, c *ghl.Client) error {
		_, err := c.Subscriptions.Page(ctx, ghl.SubscriptionFilter{Limit: 1}, ghl.Cursor{})
		return err
	},
	"payments/coupons.readonly": func(ctx context.Context, c *ghl.Client) error {
		_, err := c.Coupons.Page(ctx, ghl.CouponFilter{Limit: 1}, ghl.Cursor{})
		return err
	},
	"products.readonly": func(ctx context.Context, c *ghl.Client) error {
		_, err := c.Products.Page(ctx, ghl.ProductFilter{Limit: 1}, ghl.Cursor{})
		return err
	},
	"products/prices.readonly": func(ctx context.Context, c *ghl.Client) error {
		_, err := c.Inventory.Page(ctx, ghl.StockFilter{Limit: 1}, ghl.Cursor{})
		return err
	},
	"payments/integration.readonly": func(ctx context.Context, c *ghl.Client) error {
		_, err := c.Providers.Page(ctx, ghl.ProviderFilter{Limit: 1}, ghl.Cursor{})
		return err
	},
}

// understood takes a refusal of the id for the permission to ask.
func understood(err error) error {
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity} {
		if transport.IsStatus(err, status) {
			return nil
		}
	}
	return err
}

// highLevel looks whether the token opens the location, and which scopes it has.
func (c Connection) highLevel(ctx context.Context, now time.Time) []Finding {
	switch {
	case c.GHLFault != nil:
		return []Finding{c.finding(highLevelPart, "token", Fail, c.GHLFault.Error(), c.reconnect())}
	case c.GHL == nil:
		return []Finding{c.finding(highLevelPart, "token", Skip, "there is none to try", "")}
	case c.expired(now):
		return append([]Finding{c.finding(highLevelPart, "token", Skip, "it has ended, and a check renews none", "")}, c.scopes(ctx, nil)...)
	}
	tried := map[string]error{ordersScope: probes[ordersScope](ctx, c.GHL)}
	found := []Finding{c.read("read orders", ordersScope, tried[ordersScope])}
	if orders := tried[ordersScope]; orders != nil && !ghl.IsScopeMissing(orders) {
		return append(found, c.finding(highLevelPart, "read transactions", Skip, "orders cannot be read", ""))
	}
	tried[transactionsScope] = probes[transactionsScope](ctx, c.GHL)
	found = append(found, c.read("read transactions", transactionsScope, tried[transactionsScope]))
	return append(found, c.scopes(ctx, tried)...)
}

// read judges a call by what HighLevel's errors mean.
func (c Connection) read(check, scope string, err error) Finding {
	switch {
	case err == nil:
		return c.finding(highLevelPart, check, OK, "", "")
	case ghl.IsScopeMissing(err):
		return c.finding(highLevelPart, check, Fail, "the token lacks the scope "+scope, c.grant(scope))
	case ghl.IsWrongLocation(err):
		return c.finding(highLevelPart, check, Fail, "the token does not belong to this location",
			c.place("set GHL_LOCATION_ID to the location in which the private integration was made, and grant it "+scope))
	case transport.IsStatus(err, http.StatusUnauthorized):
		return c.finding(highLevelPart, check, Fail, "HighLevel refuses the token",
			c.place("set GHL_PRIVATE_TOKEN to a token that was not replaced or revoked, with the scope "+scope))
	}
	return c.finding(highLevelPart, check, Fail, err.Error(), "see whether GHL_BASE_URL is right and the network lets calls out")
}

// grant says where a scope is granted.
func (c Connection) grant(scope string) string {
	if c.Access == store.ByPrivateToken {
		return "grant " + scope + " to the private integration, under Settings, Private Integrations"
	}
	return "tick " + scope + " in the app, name it in GHL_SCOPES if that is set or the scope is an optional one, and connect again by the link of `starter connect`"
}

// place is the advice for the environment's token, or where another is kept.
func (c Connection) place(environment string) string {
	if c.OfEnvironment {
		return environment
	}
	return c.reconnect()
}

// scopes tells of each scope what it is for and whether the token has it: by what HighLevel said of a stored token, and
// for a private one by trying what can be tried without changing anything. tried holds what was tried before; nil keeps
// from trying.
func (c Connection) scopes(ctx context.Context, tried map[string]error) []Finding {
	var found []Finding
	told := c.Access != store.ByPrivateToken && len(c.Granted) > 0
	for _, scope := range ghl.Scopes() {
		check := "scope " + scope.Name
		switch {
		case told && c.granted(scope.Name):
			found = append(found, c.finding(highLevelPart, check, OK, "granted: "+scope.For, ""))
		case told && c.unwanted(scope):
			found = append(found, c.finding(highLevelPart, check, Skip, "not asked for: "+scope.For, ""))
		case told:
			found = append(found, c.lacks(scope))
		case tried == nil || probes[scope.Name] == nil:
			// Trying would mean to change something. What needs it says so when it is refused.
			found = append(found, c.finding(highLevelPart, check, Skip, "cannot be tried: "+scope.For, ""))
		default:
			found = append(found, c.probe(ctx, scope, tried))
		}
	}
	return found
}

// unwanted tells a scope that nobody asked for: GHL_SCOPES leaves it out, or nothing that runs by itself needs it.
func (c Connection) unwanted(scope ghl.Scope) bool {
	switch {
	case slices.Contains(needed, scope.Name), c.Access == store.ByAgency && slices.Contains(ofAgency, scope.Name):
		return false
	case len(c.Asked) > 0:
		return !slices.Contains(c.Asked, scope.Name)
	}
	return scope.Optional
}

func (c Connection) probe(ctx context.Context, scope ghl.Scope, tried map[string]error) Finding {
	err, known := tried[scope.Name]
	if !known {
		err = probes[scope.Name](ctx, c.GHL)
	}
	switch {
	case err == nil:
		return c.finding(highLevelPart, "scope "+scope.Name, OK, "granted: "+scope.For, "")
	case ghl.IsScopeMissing(err):
		return c.lacks(scope)
	}
	f := c.finding(highLevelPart, "scope "+scope.Name, Skip, "cannot be told: "+scope.For+" ("+err.Error()+")", "")
	if slices.Contains(needed, scope.Name) {
		f.Verdict, f.Mend = Warn, "run `starter check` again later"
	}
	return f
}

func (c Connection) lacks(scope ghl.Scope) Finding {
	f := c.finding(highLevelPart, "scope "+scope.Name, Warn, "missing: "+scope.For, c.grant(scope.Name))
	if slices.Contains(needed, scope.Name) || slices.Contains(ofAgency, scope.Name) {
		f.Verdict = Fail
	}
	return f
}

// Granted reads the scopes of a stored token, which HighLevel separates by spaces.
func Granted(scopes string) []string { return strings.Fields(scopes) }
