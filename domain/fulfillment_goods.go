package domain

import "strings"

// ProductKind says whether something has to be sent.
type ProductKind string

// The kinds. The empty one is unknown, and counts as physical: a parcel too many is asked for sooner than one too few.
const (
	Physical    ProductKind = "physical"
	NotPhysical ProductKind = "digital"
)

// ProductKindOf reads the productType of a HighLevel product: DIGITAL and SERVICE are sent to nobody, PHYSICAL and
// PHYSICAL/DIGITAL are. Any other word is unknown.
func ProductKindOf(ghlType string) ProductKind {
	switch strings.ToUpper(strings.TrimSpace(ghlType)) {
	case "DIGITAL", "SERVICE":
		return NotPhysical
	case "PHYSICAL", "PHYSICAL/DIGITAL":
		return Physical
	}
	return ""
}

func (f Fulfillment) covers(items []Item, rules FulfillmentRules) bool { return false }
