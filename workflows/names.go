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

	FulfillmentType      = "Fulfillment"
	FulfillmentSweepType = "FulfillmentSweep"

	ConnectionUpkeepType = "ConnectionUpkeep"

	SubscriptionReconciliationType = "SubscriptionReconciliation"

	RevenueReportType = "RevenueReport"

	WatchdogType = "Watchdog"
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
	// StatusQuery answers with the status of the process, such as a PaymentToOrderStatus.
	StatusQuery = "status"
)

// Search attributes. The state is written at the start and again only when somebody would filter by it.
var (
	LocationAttribute = temporal.NewSearchAttributeKeyKeyword("TallystickLocation")
	ObjectAttribute   = temporal.NewSearchAttributeKeyKeyword("TallystickObject")
	StateAttribute    = temporal.NewSearchAttributeKeyKeyword("TallystickState")
	ParkedAttribute   = temporal.NewSearchAttributeKeyKeyword("TallystickParked")
)

// The values of StateAttribute. A lifecycle shows its domain.FulfillmentState instead, once it is known.
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

// How soon something is done, from 1 to 5, when there is more to do than can be done. Steps inherit it from their process.
const (
	// UpkeepPriority is that of the process of a connection, on which all else of the location depends.
	UpkeepPriority = 1
	// WebhookPriority is for what has just happened.
	WebhookPriority = 2
	// OperatorPriority is for what an operator asks for, which may be very much at once.
	OperatorPriority = 3
	// SweepPriority is for what no webhook told of, DeepSweepPriority for what is looked for once a day.
	SweepPriority     = 4
	DeepSweepPriority = 5
)

// longestKey is the most that Temporal takes as a fairness key, in bytes.
const longestKey = 64

// Priority is that of work for a location. The locations take turns with work that is equally urgent, so that the many
// orders of one do not hold up the few of another; and the limits that workers set on a vendor's queue hold for each of
// them.
func Priority(location string, urgency int) temporal.Priority {
	return temporal.Priority{PriorityKey: urgency, FairnessKey: location[:min(len(location), longestKey)]}
}

// urgencyOf says how urgent it is to follow a hint.
func urgencyOf(source string) int {
	switch source {
	case FromOperator:
		return OperatorPriority
	case FromSweep:
		return SweepPriority
	default:
		return WebhookPriority
	}
}

// The prefixes of workflow ids. An id is made from the identity of the business object, so that there is one writer per
// object, however many events speak of it.
const (
	paymentToOrderPrefix = "payment-to-order"
	invoiceToOrderPrefix = "invoice-to-order"
	paymentSweepPrefix   = "payment-sweep"
	deepSweepPrefix      = "payment-sweep-deep"
	connectionPrefix     = "connection"

	fulfillmentPrefix      = "fulfillment"
	fulfillmentSweepPrefix = "fulfillment-sweep"

	reconciliationPrefix     = "subscription-reconciliation"
	deepReconciliationPrefix = "subscription-reconciliation-deep"
	backfillPrefix           = "subscription-reconciliation-backfill"

	revenueReportPrefix = "revenue-report"
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

// FulfillmentID is the workflow id of the process that follows the shipping of one HighLevel order.
func FulfillmentID(location, order string) string { return id(fulfillmentPrefix, location, order) }

// FulfillmentSweepID is the id of the schedule, and the stem of the workflow ids, of the sweep over a location's shipping.
func FulfillmentSweepID(location string) string { return id(fulfillmentSweepPrefix, location) }

// ReconciliationID is the id of the schedule, and the stem of the workflow ids, of a location's reconciliation. A run that
// no schedule started has it as its workflow id.
func ReconciliationID(location string) string { return id(reconciliationPrefix, location) }

// DeepReconciliationID is the same for the reconciliation of all of which refunds are still expected.
func DeepReconciliationID(location string) string { return id(deepReconciliationPrefix, location) }

// BackfillID is the workflow id of a location's backfill.
func BackfillID(location string) string { return id(backfillPrefix, location) }

// RevenueReportID is the workflow id of what somebody asked for: a location's report of a month, as 2006-01, in Sage.
func RevenueReportID(location, month string) string { return id(revenueReportPrefix, location, month) }

// ConnectionUpkeepID is the workflow id of the process for the connection of a location.
func ConnectionUpkeepID(location string) string { return id(connectionPrefix, location) }

// WatchdogID is the id of the watchdog's schedule, and the stem of its workflow ids. It belongs to no location.
const WatchdogID = "watchdog"

func id(parts ...string) string { return strings.Join(parts, "/") }
