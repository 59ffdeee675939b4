package activities

import (
	"context"
	"slices"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// productLength is how long a product's name may be. Sage publishes no length for it; its lists hold 50 (A65).
const productLength = 50

// ensureProducts finds or makes the Sage product of every line and gives their ids by external id.
func (b *bringing) ensureProducts(ctx context.Context) (map[string]int64, error) {
	plans := b.productPlans()
	ids := b.givenProducts()
	missing, err := b.knownProducts(ctx, plans, ids)
	if err != nil || len(missing) == 0 {
		return ids, err
	}
	claim, err := b.sage.claim(ctx, b.in.Sale.Location, missing...)
	if err != nil {
		return nil, err
	}
	return ids, claim.release(ctx, b.findOrMakeProducts(ctx, claim, plans, missing, ids))
}

func (b *bringing) productPlans() map[string]domain.ProductPlan {
	plans := make(map[string]domain.ProductPlan, len(b.booking.Lines))
	for _, line := range b.booking.Lines {
		if _, twice := plans[line.Product.ExtID]; !twice {
			plans[line.Product.ExtID] = line.Product
		}
	}
	return plans
}

// givenProducts are those the configuration names.
func (b *bringing) givenProducts() map[string]int64 {
	ids := map[string]int64{}
	if id := b.conn.settings.TaxProduct; id != 0 {
		ids[domain.ChargeExtID(domain.TaxCharge)] = id
	}
	if id := b.conn.settings.ShippingProd; id != 0 {
		ids[domain.ChargeExtID(domain.ShippingCharge)] = id
	}
	return ids
}

// knownProducts adds what the store remembers and returns what it does not, sorted.
func (b *bringing) knownProducts(ctx context.Context, plans map[string]domain.ProductPlan, ids map[string]int64) ([]string, error) {
	var ask []string
	for extID := range plans {
		if ids[extID] == 0 {
			ask = append(ask, extID)
		}
	}
	links, err := b.sage.Store.Links(ctx, b.in.Sale.Location, store.Product, ask...)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, extID := range ask {
		if link, ok := links[extID]; ok {
			ids[extID] = link.SageID
		} else {
			missing = append(missing, extID)
		}
	}
	slices.Sort(missing)
	return missing, nil
}

func (b *bringing) findOrMakeProducts(
	ctx context.Context, claim *held, plans map[string]domain.ProductPlan, missing []string, ids map[string]int64,
) error {
	doing(ctx, "finding products")
	found, err := b.conn.Products.FindByExtIDs(ctx, missing...)
	if err != nil {
		return err
	}
	for _, extID := range missing {
		match := found[extID]
		if match.Live != nil {
			ids[extID] = match.Live.ID
		} else if ids[extID], err = b.makeProduct(ctx, claim, plans[extID]); err != nil {
			return err
		}
		link := store.Link{Location: b.in.Sale.Location, Kind: store.Product, ExtID: extID, SageID: ids[extID]}
		if err := b.sage.Store.PutLinks(ctx, link); err != nil {
			return err
		}
	}
	return nil
}

func (b *bringing) makeProduct(ctx context.Context, claim *held, plan domain.ProductPlan) (int64, error) {
	if err := claim.renew(ctx); err != nil {
		return 0, err
	}
	doing(ctx, "making a product")
	price := plan.Price.Decimal()
	name := text(plan.Name, productLength)
	if name == nil {
		name = text("HighLevel "+shortIdentity(plan.ExtID), productLength)
	}
	return b.conn.Products.Create(ctx, sage.ProductFields{
		ExtID: &plan.ExtID, Model: name, Price: &price, Extra: b.conn.tenant.defaults(productsResource),
	})
}

// doubtProducts is asked when a line was refused. If the store remembers products that are gone at Sage, they are
// forgotten, and the next attempt finds or makes them anew.
func (b *bringing) doubtProducts(ctx context.Context, refusal error) error {
	if faultOf(refusal).Kind != Invalid {
		return refusal
	}
	var gone []string
	for extID, id := range b.products {
		product, found, err := b.conn.Products.Lookup(ctx, id)
		if err != nil {
			return err
		}
		if !found || bool(product.Deleted) {
			gone = append(gone, extID)
		}
	}
	if len(gone) == 0 {
		return refusal
	}
	slices.Sort(gone)
	for extID := range b.givenProducts() {
		if slices.Contains(gone, extID) {
			return &Fault{Kind: Mapping, Words: "the product that is configured for " + extID + " is gone at Sage; configure another", Err: refusal}
		}
	}
	if err := b.sage.Store.DropLinks(ctx, b.in.Sale.Location, store.Product, gone...); err != nil {
		return err
	}
	return &Fault{Kind: Mismatch, Words: "a product that was remembered is gone at Sage; it is made anew", Err: refusal}
}
