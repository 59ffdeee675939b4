package domain

import (
	"math"
	"slices"
	"strings"
)

// ProductKind says whether something has to be sent.
type ProductKind string

// The kinds. The empty one is unknown, and counts as physical: asking for a parcel too many is mended more easily than
// forgetting one.
const (
	Physical    ProductKind = "physical"
	NotPhysical ProductKind = "digital"
)

// ProductKindOf reads the productType of a HighLevel product: DIGITAL and SERVICE are sent to nobody, PHYSICAL and
// PHYSICAL/DIGITAL are. Any other word is unknown.
func ProductKindOf(ghlType string) ProductKind {
	switch strings.ToUpper(strings.Join(strings.Fields(ghlType), "")) {
	case "DIGITAL", "SERVICE":
		return NotPhysical
	case "PHYSICAL", "PHYSICAL/DIGITAL":
		return Physical
	}
	return ""
}

// sent tells whether the item is to go to the customer by carrier.
func (i Item) sent(rules FulfillmentRules) bool {
	return i.Quantity > 0 && (i.Kind != NotPhysical || !rules.DeliverDigital)
}

// nothingToShip tells an order that has items, none of which has to be sent.
func nothingToShip(items []Item, rules FulfillmentRules) bool {
	sent := func(i Item) bool { return i.sent(rules) }
	return rules.DeliverDigital && len(items) > 0 && !slices.ContainsFunc(items, sent)
}

// goods are the pieces to be sent, added up by price in the order of the lines. Those of no price come under the empty
// id.
func goods(items []Item, rules FulfillmentRules) []ShippedItem {
	var all []ShippedItem
	for _, item := range items {
		if !item.sent(rules) {
			continue
		}
		i := slices.IndexFunc(all, func(g ShippedItem) bool { return g.PriceID == item.PriceID })
		if i < 0 {
			all = append(all, ShippedItem{PriceID: item.PriceID, Name: item.Name, Quantity: item.Quantity})
			continue
		}
		all[i].Quantity += min(item.Quantity, math.MaxInt64-all[i].Quantity)
	}
	return all
}

// remaining are the goods that no shipment covers and that HighLevel can be told of: it knows goods by their price only.
// A shipment of more than was ordered covers what was ordered, and nothing else.
func (f Fulfillment) remaining(items []Item, rules FulfillmentRules) []ShippedItem {
	var rest []ShippedItem
	for _, g := range goods(items, rules) {
		for _, s := range f.Shipments {
			for _, sent := range s.Items {
				if sent.PriceID == g.PriceID && sent.Quantity > 0 {
					g.Quantity = max(g.Quantity-sent.Quantity, 0)
				}
			}
		}
		if g.PriceID != "" && g.Quantity > 0 {
			rest = append(rest, g)
		}
	}
	return rest
}

// covers tells whether the shipments, of which there must be one, hold all goods. Goods without a price cannot be found in
// any, and are taken to have gone with the others.
func (f Fulfillment) covers(items []Item, rules FulfillmentRules) bool {
	return len(f.remaining(items, rules)) == 0
}
