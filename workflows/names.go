package workflows

import (
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
)

// Workflow types, as the Temporal UI lists them.
const (
	PaymentToOrderType = "PaymentToOrder"
	InvoiceToOrderType = "InvoiceToOrder"
	PaymentSweepType   = "PaymentSweep"
)

// Task queues: one per vendor, so that a slow vendor never starves another and its rate is set in one place.
const (
	MainQueue = "tallystick"
	GHLQueue  = "tallystick-ghl"
	SageQueue = "tallystick-sage"
)

// Signals and queries.
const (
	// LookSignal says that an object may have changed and should be read again. Its payload is a Hint.
	LookSignal = "look"
	// StatusQuery answers with a PaymentToOrderStatus.
	StatusQuery = "status"
)

// Search attributes. The state is written at the start and again only when somebody would filter by it.
var (
	LocationAttribute = temporal.NewSearchAttributeKeyKeyword("TallystickLocation")
	ObjectAttribute   = temporal.NewSearchAttributeKeyKeyword("TallystickObject")
	StateAttribute    = temporal.NewSearchAttributeKeyKeyword("TallystickState")
	ParkedAttribute   = temporal.NewSearchAttributeKeyKeyword("TallystickParked")
)

// The values of StateAttribute.
const (
	StateWorking = "working"
	StateParked  = "parked"
)

// SearchAttributes lists every search attribute with its type, for those who create them on a server.
func SearchAttributes() map[string]enumspb.IndexedValueType {
	return map[string]enumspb.IndexedValueType{
		LocationAttribute.GetName(): LocationAttribute.GetValueType(),
		ObjectAttribute.GetName():   ObjectAttribute.GetValueType(),
		StateAttribute.GetName():    StateAttribute.GetValueType(),
		ParkedAttribute.GetName():   ParkedAttribute.GetValueType(),
	}
}

// The prefixes of workflow ids. An id is made from the identity of the business object, so that there is one writer per
// object, however many events speak of it.
const (
	paymentToOrderPrefix = "payment-to-order"
	invoiceToOrderPrefix = "invoice-to-order"
	paymentSweepPrefix   = "payment-sweep"
	deepSweepPrefix      = "payment-sweep-deep"
)

// PaymentToOrderID is the workflow id of the process for one HighLevel order.
func PaymentToOrderID(location, order string) string {
	return id(paymentToOrderPrefix, location, order)
}

// InvoiceToOrderID is the workflow id of the search for the orders of one HighLevel invoice.
func InvoiceToOrderID(location, invoice string) string {
	return id(invoiceToOrderPrefix, location, invoice)
}

// PaymentSweepID is the id of the schedule, and the stem of the workflow ids, of a location's payment sweep.
func PaymentSweepID(location string) string { return id(paymentSweepPrefix, location) }

// DeepSweepID is the same for the sweep that looks for late refunds.
func DeepSweepID(location string) string { return id(deepSweepPrefix, location) }

func id(parts ...string) string { return strings.Join(parts, "/") }
