package activities

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
)

// find looks for the Sage order of the sale: one that bears our external id, one that the ledger remembers, one that a
// person decided on, or one that people made by hand and that is clearly this sale. It is nil when there is none.
func (b *bringing) find(ctx context.Context) (*sage.Order, error) {
	doing(ctx, "looking for the order")
	rows, err := b.conn.Orders.FindByKeys(ctx, b.booking.ExtID, b.in.Sale.References()...)
	if err != nil {
		return nil, err
	}
	ours, byHand := b.sort(rows)
	if len(ours) > 0 {
		return &ours[0], b.dropDuplicates(ctx, ours)
	}
	if b.known && b.record.SageID != 0 {
		if order, found, err := b.conn.Orders.Lookup(ctx, b.record.SageID); err != nil || (found && !bool(order.Deleted)) {
			return &order, err
		}
		// It was deleted. The sale is real, so the books get it again.
		logger(ctx).Warn("the Sage order of a sale was deleted; it is made anew",
			"location", b.in.Sale.Location, "order", b.in.Sale.OrderID, "sageId", b.record.SageID)
		b.forgetRecord()
	}
	return b.match(ctx, byHand)
}

// sort parts what was found into our live orders, by ascending id, and live orders of the same reference that nobody
// has claimed. A row that merely looks alike to Sage, which ignores case, is neither.
func (b *bringing) sort(rows []sage.Order) (ours, byHand []sage.Order) {
	for _, row := range rows {
		switch {
		case bool(row.Deleted):
		case row.ExtID == b.booking.ExtID:
			ours = append(ours, row)
		case strings.HasPrefix(row.ExtID, domain.OrderExtIDPrefix):
		case b.refersToSale(row):
			byHand = append(byHand, row)
		}
	}
	return ours, byHand
}

func (b *bringing) refersToSale(row sage.Order) bool {
	for _, reference := range b.in.Sale.References() {
		if strings.EqualFold(strings.TrimSpace(row.Reference), reference) {
			return true
		}
	}
	return false
}

// dropDuplicates removes what a write of unknown outcome may leave: a second order of ours. Only one that the same
// user made and that nobody put lines on is removed; another is a person's to judge.
func (b *bringing) dropDuplicates(ctx context.Context, ours []sage.Order) error {
	for _, surplus := range ours[1:] {
		lines, err := b.conn.Lines.OfOrder(ctx, surplus.ID)
		if err != nil {
			return err
		}
		for _, line := range lines {
			if !bool(line.Deleted) && line.CreatedBy.ID != ours[0].CreatedBy.ID {
				return b.conflict(ours, "several Sage orders bear the external id of this sale, and people wrote on more than one")
			}
		}
		if surplus.CreatedBy.ID != ours[0].CreatedBy.ID || surplus.Locked() != "" {
			return b.conflict(ours, "several Sage orders bear the external id of this sale, made by different users")
		}
		logger(ctx).Warn("a second Sage order of one sale is removed",
			"location", b.in.Sale.Location, "order", b.in.Sale.OrderID, "kept", ours[0].ID, "removed", surplus.ID)
		if err := b.conn.Orders.Delete(ctx, surplus.ID); err != nil {
			return err
		}
	}
	return nil
}

// match decides whether an order that people made is this sale.
func (b *bringing) match(ctx context.Context, byReference []sage.Order) (*sage.Order, error) {
	decision, decided, err := b.sage.Store.Decision(ctx, b.in.Sale.Location, b.in.Sale.OrderID)
	if err != nil {
		return nil, err
	}
	if decided {
		return b.decided(ctx, decision.SageID)
	}
	candidates := b.plausible(byReference)
	if len(candidates) == 0 && b.conn.settings.MatchOpenWithin > 0 {
		if candidates, err = b.openOrders(ctx); err != nil {
			return nil, err
		}
	}
	switch len(candidates) {
	case 0:
		return nil, nil //nolint:nilnil // no order is an ordinary answer
	case 1:
		return b.adoptable(candidates[0])
	}
	return nil, b.conflict(candidates, "several Sage orders may be this sale; choose one with `starter match`")
}

// decided takes the order that a person chose; 0 is the choice to make a new one.
func (b *bringing) decided(ctx context.Context, id int64) (*sage.Order, error) {
	if id == 0 {
		return nil, nil //nolint:nilnil // no order is an ordinary answer
	}
	order, found, err := b.conn.Orders.Lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, faultf(Conflict, "the Sage order %d that was chosen for this sale does not exist; choose again with `starter match`", id)
	}
	if strings.HasPrefix(order.ExtID, domain.OrderExtIDPrefix) && order.ExtID != b.booking.ExtID {
		return nil, faultf(Conflict, "the Sage order %d that was chosen for this sale belongs to another sale; choose again with `starter match`", id)
	}
	return b.adoptable(order)
}

// adoptable makes sure that an order can be taken over.
func (b *bringing) adoptable(order sage.Order) (*sage.Order, error) {
	if why := order.Locked(); why != "" {
		return nil, b.conflict([]sage.Order{order}, fmt.Sprintf("the Sage order %d of this sale is %s", order.ID, why))
	}
	if order.CurrencyID.IsSet() && order.CurrencyID.ID != b.currency {
		return nil, b.conflict([]sage.Order{order}, fmt.Sprintf("the Sage order %d of this sale is in another currency", order.ID))
	}
	b.adopting = true
	return &order, nil
}

// plausible leaves out orders that bear this sale's invoice number by chance: short numbers recur, so one that agrees
// in neither the total nor the customer is somebody else's. A HighLevel order id does not recur.
func (b *bringing) plausible(byReference []sage.Order) []sage.Order {
	var candidates []sage.Order
	for _, order := range byReference {
		certain := strings.EqualFold(strings.TrimSpace(order.Reference), b.in.Sale.OrderID)
		alike := order.Total.Equal(b.booking.Total.Decimal()) || order.AccountID.ID == b.in.Customer.AccountID
		if certain || alike {
			candidates = append(candidates, order)
		}
	}
	return candidates
}

// zoneMargin covers that Sage's times may not be UTC.
const zoneMargin = 24 * time.Hour

// openOrders are the open orders of the same account, currency and total that people made at about the time of the sale.
func (b *bringing) openOrders(ctx context.Context) ([]sage.Order, error) {
	since := b.in.Sale.CreatedAt.Add(-b.conn.settings.MatchOpenWithin - zoneMargin)
	doing(ctx, "looking for an order made by hand")
	rows, err := b.conn.Orders.Find(ctx, sage.And(
		sage.Eq("accountId.id", b.in.Customer.AccountID),
		sage.Eq("currencyId.id", b.currency),
		sage.Ge("dateCreated", since.UTC().Format("2006-01-02T15:04:05Z"))))
	if err != nil {
		return nil, err
	}
	var open []sage.Order
	for _, row := range rows {
		if row.Locked() == "" && row.ExtID == "" && row.StatusID.ID == b.conn.tenant.open &&
			row.AccountID.ID == b.in.Customer.AccountID && row.CurrencyID.ID == b.currency &&
			row.Total.Equal(b.booking.Total.Decimal()) {
			open = append(open, row)
		}
	}
	return open, nil
}

func (b *bringing) conflict(orders []sage.Order, words string) error {
	fault := &Fault{Kind: Conflict, Words: words}
	for _, order := range orders {
		fault.Candidates = append(fault.Candidates, order.ID)
	}
	return fault
}
