package ghl

import (
	"net/http"
	"slices"
)

// Operation is one endpoint that the client calls, as HighLevel's OpenAPI files name it.
type Operation struct {
	// Name is what errors, metrics, traces and logs show.
	Name string
	// Method and Path are those of the OpenAPI file, parameter names included.
	Method, Path string
	// Version is the Version header that this operation needs instead of the client's, if it is not empty.
	Version string
	// Write says that it changes something.
	Write bool

	// rows is the name of the array in a list's answer, "data" if it is empty.
	rows string
}

const (
	providerRows = "providers"
	providerPath = "/payments/integrations/provider/whitelabel"
	couponPath   = "/payments/coupon"
	couponsPath  = "/payments/coupon/list"
	fulfillPath  = "/payments/orders/{orderId}/fulfillments"
	productsPath = "/products/" // the slash at its end is in the OpenAPI file
	productPath  = "/products/{productId}"
	pricesPath   = "/products/{productId}/price"
	pricePath    = "/products/{productId}/price/{priceId}"
	stockPath    = "/products/inventory"
	invoicesPath = "/invoices/" // as above
	// linksVersion is the version of which lists of coupons tell the products, prices and variants of a coupon.
	linksVersion = "v3"
)

var (
	ordersList          = Operation{Name: "ghl.orders.list", Method: http.MethodGet, Path: "/payments/orders"}
	ordersGet           = Operation{Name: "ghl.orders.get", Method: http.MethodGet, Path: "/payments/orders/{orderId}"}
	ordersRecordPayment = Operation{
		Name: "ghl.orders.record_payment", Method: http.MethodPost, Path: "/payments/orders/{orderId}/record-payment", Write: true,
	}
	fulfillmentsList   = Operation{Name: "ghl.fulfillments.list", Method: http.MethodGet, Path: fulfillPath}
	fulfillmentsCreate = Operation{Name: "ghl.fulfillments.create", Method: http.MethodPost, Path: fulfillPath, Write: true}
	transactionsList   = Operation{Name: "ghl.transactions.list", Method: http.MethodGet, Path: "/payments/transactions"}
	transactionsGet    = Operation{Name: "ghl.transactions.get", Method: http.MethodGet, Path: "/payments/transactions/{transactionId}"}
	subscriptionsList  = Operation{Name: "ghl.subscriptions.list", Method: http.MethodGet, Path: "/payments/subscriptions"}
	subscriptionsGet   = Operation{Name: "ghl.subscriptions.get", Method: http.MethodGet, Path: "/payments/subscriptions/{subscriptionId}"}
	couponsList        = Operation{Name: "ghl.coupons.list", Method: http.MethodGet, Path: couponsPath}
	couponsListLinks   = Operation{Name: "ghl.coupons.list_links", Method: http.MethodGet, Path: couponsPath, Version: linksVersion}
	couponsGet         = Operation{Name: "ghl.coupons.get", Method: http.MethodGet, Path: couponPath}
	couponsCreate      = Operation{Name: "ghl.coupons.create", Method: http.MethodPost, Path: couponPath, Write: true}
	couponsUpdate      = Operation{Name: "ghl.coupons.update", Method: http.MethodPut, Path: couponPath, Write: true}
	couponsDelete      = Operation{Name: "ghl.coupons.delete", Method: http.MethodDelete, Path: couponPath, Write: true}
	productsList       = Operation{Name: "ghl.products.list", Method: http.MethodGet, Path: productsPath, rows: "products"}
	productsGet        = Operation{Name: "ghl.products.get", Method: http.MethodGet, Path: productPath}
	productsCreate     = Operation{Name: "ghl.products.create", Method: http.MethodPost, Path: productsPath, Write: true}
	productsUpdate     = Operation{Name: "ghl.products.update", Method: http.MethodPut, Path: productPath, Write: true}
	productsDelete     = Operation{Name: "ghl.products.delete", Method: http.MethodDelete, Path: productPath, Write: true}
	pricesList         = Operation{Name: "ghl.prices.list", Method: http.MethodGet, Path: pricesPath, rows: "prices"}
	pricesGet          = Operation{Name: "ghl.prices.get", Method: http.MethodGet, Path: pricePath}
	pricesCreate       = Operation{Name: "ghl.prices.create", Method: http.MethodPost, Path: pricesPath, Write: true}
	pricesUpdate       = Operation{Name: "ghl.prices.update", Method: http.MethodPut, Path: pricePath, Write: true}
	pricesDelete       = Operation{Name: "ghl.prices.delete", Method: http.MethodDelete, Path: pricePath, Write: true}
	inventoryList      = Operation{Name: "ghl.inventory.list", Method: http.MethodGet, Path: stockPath, rows: "inventory"}
	inventoryUpdate    = Operation{Name: "ghl.inventory.update", Method: http.MethodPost, Path: stockPath, Write: true}
	contactsGet        = Operation{Name: "ghl.contacts.get", Method: http.MethodGet, Path: "/contacts/{contactId}"}
	contactsDuplicate  = Operation{Name: "ghl.contacts.find_duplicate", Method: http.MethodGet, Path: "/contacts/search/duplicate"}
	contactsUpsert     = Operation{Name: "ghl.contacts.upsert", Method: http.MethodPost, Path: "/contacts/upsert", Write: true}
	contactsAddTags    = Operation{Name: "ghl.contacts.add_tags", Method: http.MethodPost, Path: "/contacts/{contactId}/tags", Write: true}
	contactsAddNote    = Operation{Name: "ghl.contacts.add_note", Method: http.MethodPost, Path: "/contacts/{contactId}/notes", Write: true}
	invoicesList       = Operation{Name: "ghl.invoices.list", Method: http.MethodGet, Path: invoicesPath, rows: "invoices"}
	invoicesGet        = Operation{Name: "ghl.invoices.get", Method: http.MethodGet, Path: "/invoices/{invoiceId}"}
	invoicesCreate     = Operation{Name: "ghl.invoices.create", Method: http.MethodPost, Path: invoicesPath, Write: true}
	invoicesPay        = Operation{
		Name: "ghl.invoices.record_payment", Method: http.MethodPost, Path: "/invoices/{invoiceId}/record-payment", Write: true,
	}
	providersList   = Operation{Name: "ghl.providers.list", Method: http.MethodGet, Path: providerPath, rows: providerRows}
	providersCreate = Operation{Name: "ghl.providers.create", Method: http.MethodPost, Path: providerPath, Write: true}
	// The operations of OAuth change which tokens are good, but nothing of the location's: a client that is read-only
	// does not refuse them.
	oauthToken         = Operation{Name: "ghl.oauth.token", Method: http.MethodPost, Path: "/oauth/token", Write: true}
	oauthLocationToken = Operation{Name: "ghl.oauth.location_token", Method: http.MethodPost, Path: "/oauth/locationToken", Write: true}
	oauthInstalled     = Operation{Name: "ghl.oauth.installed_locations", Method: http.MethodGet, Path: "/oauth/installedLocations"}
)

var operations = []Operation{
	ordersList, ordersGet, ordersRecordPayment, fulfillmentsList, fulfillmentsCreate,
	transactionsList, transactionsGet, subscriptionsList, subscriptionsGet,
	couponsList, couponsListLinks, couponsGet, couponsCreate, couponsUpdate, couponsDelete,
	productsList, productsGet, productsCreate, productsUpdate, productsDelete,
	pricesList, pricesGet, pricesCreate, pricesUpdate, pricesDelete, inventoryList, inventoryUpdate,
	contactsGet, contactsDuplicate, contactsUpsert, contactsAddTags, contactsAddNote,
	invoicesList, invoicesGet, invoicesCreate, invoicesPay, providersList, providersCreate,
	oauthToken, oauthLocationToken, oauthInstalled,
}

// Operations lists every endpoint that Client and OAuth can call.
func Operations() []Operation { return slices.Clone(operations) }
