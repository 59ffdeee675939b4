package ghl

// Scope is one permission that a token can have.
type Scope struct {
	// Name is HighLevel's, For what Tallystick needs it for.
	Name, For string
	// Optional scopes are not asked for by default: nothing that runs by itself needs them.
	Optional bool
}

// Scopes are the permissions that the published files give for each of Operations. An app must have a scope selected on
// its Auth page before it can ask for it, and a name that HighLevel does not know keeps people from installing (issue 311
// of its repository), so which ones to ask for can be set. Which of them bring which webhooks is not documented; the one to
// read the object is taken for it (A97).
func Scopes() []Scope {
	return []Scope{
		{Name: "payments/orders.readonly", For: "reading orders and their fulfillments, and being told of new ones"},
		{Name: "payments/orders.write", For: "creating fulfillments"},
		{Name: "payments/orders.collectPayment", For: "recording payments on orders"},
		{Name: "payments/transactions.readonly", For: "reading payments and refunds"},
		{Name: "payments/subscriptions.readonly", For: "reading subscriptions"},
		{Name: "payments/coupons.readonly", For: "reading coupons"},
		{Name: "payments/coupons.write", For: "creating, changing and deleting coupons"},
		{Name: "products.readonly", For: "reading products"},
		{Name: "products.write", For: "creating and changing products"},
		{Name: "products/prices.readonly", For: "reading prices, SKUs and stock"},
		{Name: "products/prices.write", For: "changing prices and stock"},
		{Name: "contacts.readonly", For: "reading who bought"},
		{Name: "contacts.write", For: "writing contacts, tags and notes"},
		{Name: "invoices.readonly", For: "reading invoices"},
		{Name: "invoices.write", For: "creating invoices for payments made elsewhere"},
		{Name: "oauth.readonly", For: "listing the locations of an agency that installs the app", Optional: true},
		{Name: "oauth.write", For: "getting tokens for the locations of an agency that installs the app", Optional: true},
		{Name: "payments/integration.readonly", For: "listing white-label payment providers", Optional: true},
		{Name: "payments/integration.write", For: "adding a white-label payment provider", Optional: true},
	}
}

// DefaultScopes are the names of the Scopes that are not optional.
func DefaultScopes() []string {
	var names []string
	for _, scope := range Scopes() {
		if !scope.Optional {
			names = append(names, scope.Name)
		}
	}
	return names
}
