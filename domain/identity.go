package domain

// The external identities: the value of extId at Sage for each thing that came from HighLevel. They are the only bridge
// between the systems that survives the loss of everything else, so each is made here and nowhere else.

// OrderExtID identifies a sales order.
func OrderExtID(orderID string) string { return OrderExtIDPrefix + orderID }

// OrderExtIDPrefix begins the extId of every sales order that is ours.
const OrderExtIDPrefix = "ghl:order:"

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
