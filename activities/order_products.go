package activities

import (
	"cmp"
	"slices"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// productsOf are what the lines of a sale come to by product, before discount, tax and shipping, by which the ledger shares
// its payments out. They are nil where the lines are not known, or not all of them: HighLevel gives some without a price.
func productsOf(sale domain.Sale) []store.OrderProduct {
	priced := 0
	byID := map[string]store.OrderProduct{}
	for _, item := range sale.Items {
		if item.ProductID != "" || item.PriceID != "" {
			priced++
		}
		total, err := item.Price.Times(item.Quantity)
		if err != nil || total.Minor < 0 || item.Price.Currency != sale.Currency {
			return nil
		}
		p, known := byID[item.ProductID]
		if !known {
			p = store.OrderProduct{ProductID: item.ProductID, Amount: domain.NewMoney(0, sale.Currency)}
		}
		if p.Amount, err = p.Amount.Add(total); err != nil {
			return nil
		}
		if item.ProductID != "" { // else it is a name of one line of several, perhaps
			p.Name = cmp.Or(p.Name, clip(item.Name, nameLength))
		}
		byID[item.ProductID] = p
	}
	if priced < len(sale.Goods) {
		return nil
	}
	products := make([]store.OrderProduct, 0, len(byID))
	for _, p := range byID {
		products = append(products, p)
	}
	slices.SortFunc(products, func(a, b store.OrderProduct) int { return cmp.Compare(a.ProductID, b.ProductID) })
	return products
}

// productOfPlan is the product of a subscription among those of its order: the one that is named as the plan is, or else
// the only one. HighLevel's published example of a subscription names a plan and no product (A156).
func productOfPlan(plan string, products []store.OrderProduct) string {
	for _, p := range products {
		if p.Name == plan && plan != "" {
			return p.ProductID
		}
	}
	if len(products) == 1 {
		return products[0].ProductID
	}
	return ""
}
