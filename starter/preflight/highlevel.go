package preflight

import (
	"context"
	"net/http"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
)

const highLevelPart = "highlevel"

// highLevel makes one small call of each kind that needs a scope of its own. Invoices and contacts can only be read by
// their id, so whether their scopes are granted cannot be seen without reading somebody's data.
func (s Subject) highLevel(ctx context.Context) []Finding {
	if s.GHL == nil {
		return []Finding{{Part: highLevelPart, Check: "token", Verdict: Skip, Found: "the configuration has faults"}}
	}
	_, orders := s.GHL.Orders.Page(ctx, ghl.OrderFilter{Limit: 1}, ghl.Cursor{})
	found := []Finding{scope("read orders", "payments/orders.readonly", orders)}
	if orders != nil && !ghl.IsScopeMissing(orders) {
		return append(found, Finding{Part: highLevelPart, Check: "read transactions", Verdict: Skip, Found: "orders cannot be read"})
	}
	_, transactions := s.GHL.Transactions.Page(ctx, ghl.TransactionFilter{Limit: 1}, ghl.Cursor{})
	return append(found, scope("read transactions", "payments/transactions.readonly", transactions),
		Finding{Part: highLevelPart, Check: "read contacts and invoices", Verdict: OK,
			Found: "not tried: grant contacts.readonly and invoices.readonly as well"})
}

// scope judges a call by what HighLevel's errors mean.
func scope(check, name string, err error) Finding {
	f := Finding{Part: highLevelPart, Check: check, Verdict: Fail}
	switch {
	case err == nil:
		return Finding{Part: highLevelPart, Check: check, Verdict: OK}
	case ghl.IsScopeMissing(err):
		f.Found = "the token lacks the scope " + name
		f.Mend = "grant " + name + " to the private integration, under Settings, Private Integrations"
	case ghl.IsWrongLocation(err):
		f.Found = "the token does not belong to this location"
		f.Mend = "set GHL_LOCATION_ID to the location in which the private integration was made, and grant it " + name
	case transport.IsStatus(err, http.StatusUnauthorized):
		f.Found = "HighLevel refuses the token"
		f.Mend = "set GHL_PRIVATE_TOKEN to a token that was not replaced or revoked, with the scope " + name
	default:
		f.Found = err.Error()
		f.Mend = "see whether GHL_BASE_URL is right and the network lets calls out"
	}
	return f
}
