package domain

import (
	"strconv"
	"strings"
)

// The external identities: the value of extId at Sage for each thing that came from HighLevel. They are the only bridge
// between the systems that survives the loss of everything else, so each is made here and nowhere else.

// OrderExtID identifies a sales order.
func OrderExtID(orderID string) string { return OrderExtIDPrefix + orderID }

// OrderExtIDPrefix begins the extId of every sales order that is ours.
const OrderExtIDPrefix = "ghl:order:"

// RenewalOrderPrefix begins the id of an order that stands for a payment without one at HighLevel, such as that of a
// renewal; behind it comes the payment's.
const RenewalOrderPrefix = "renewal:"

// ContactExtID identifies the account and the contact of a HighLevel contact.
func ContactExtID(contactID string) string { return "ghl:contact:" + contactID }

// GuestExtID identifies the account and the contact of a sale that names no contact: one per order.
func GuestExtID(orderID string) string { return "ghl:guest:" + orderID }

// PriceExtID identifies the product that stands for one price of a HighLevel product.
func PriceExtID(priceID string) string { return "ghl:price:" + priceID }

// ProductExtID identifies the product that stands for a HighLevel product sold without a price of record.
func ProductExtID(productID string) string { return "ghl:product:" + productID }

// ChargeKind names a product that stands for a charge that is no ware.
type ChargeKind string

// The charges.
const (
	TaxCharge      ChargeKind = "tax"
	ShippingCharge ChargeKind = "shipping"
	OtherCharge    ChargeKind = "other"
)

// ChargeExtID identifies the product that stands for a charge.
func ChargeExtID(kind ChargeKind) string { return "ghl:charge:" + string(kind) }

// ExtIDPrefix begins every external id of ours.
const ExtIDPrefix = "ghl:"

// What begins the external ids of the records that the reconciliation makes.
const (
	TransactionExtIDPrefix  = "ghl:txn:"
	RefundExtIDPrefix       = "ghl:refund:"
	SubscriptionExtIDPrefix = "ghl:sub:"
)

// TransactionExtID identifies the row of a payment among the booked sales.
func TransactionExtID(transactionID string) string { return TransactionExtIDPrefix + transactionID }

// SubscriptionExtID identifies the opportunity of a subscription.
func SubscriptionExtID(subscriptionID string) string { return SubscriptionExtIDPrefix + subscriptionID }

// RefundExtID identifies a row of what was given back of a payment: that since the row before. soFar is the sum that was
// given back until then, in minor units.
func RefundExtID(transactionID string, soFar int64) string {
	return RefundExtIDPrefix + transactionID + ":" + strconv.FormatInt(soFar, 10)
}

// ParseRefundExtID is the reverse of RefundExtID, and tells whether the external id is one of a refund.
func ParseRefundExtID(extID string) (transactionID string, soFar int64, ok bool) {
	rest, ours := strings.CutPrefix(extID, RefundExtIDPrefix)
	at := strings.LastIndexByte(rest, ':')
	if !ours || at < 1 {
		return "", 0, false
	}
	soFar, err := strconv.ParseInt(rest[at+1:], 10, 64)
	return rest[:at], soFar, err == nil
}
