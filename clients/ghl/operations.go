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
	// Write says that it changes something.
	Write bool
}

var (
	ordersList       = Operation{Name: "ghl.orders.list", Method: http.MethodGet, Path: "/payments/orders"}
	ordersGet        = Operation{Name: "ghl.orders.get", Method: http.MethodGet, Path: "/payments/orders/{orderId}"}
	transactionsList = Operation{Name: "ghl.transactions.list", Method: http.MethodGet, Path: "/payments/transactions"}
	transactionsGet  = Operation{Name: "ghl.transactions.get", Method: http.MethodGet, Path: "/payments/transactions/{transactionId}"}
	contactsGet      = Operation{Name: "ghl.contacts.get", Method: http.MethodGet, Path: "/contacts/{contactId}"}
	invoicesGet      = Operation{Name: "ghl.invoices.get", Method: http.MethodGet, Path: "/invoices/{invoiceId}"}
)

var operations = []Operation{ordersList, ordersGet, transactionsList, transactionsGet, contactsGet, invoicesGet}

// Operations lists every endpoint the client can call.
func Operations() []Operation { return slices.Clone(operations) }
