package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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
		kept := b.keeper(ours)
		return &kept, b.dropDuplicates(ctx, kept, ours)
	}
	if b.known && b.record.SageID != 0 {
		order, err := b.remembered(ctx)
		if err != nil || order != nil {
			return order, err
		}
	}
	return b.match(ctx, byHand)
}

// keeper is the one of our orders that stays: the one that the ledger has, else the oldest.
func (b *bringing) keeper(ours []sage.Order) sage.Order {
	for _, order := range ours {
		if b.known && order.ID == b.record.SageID {
			return order
		}
	}
	b.forgetRecord() // what it says is about another order, or there is none
	return ours[0]
}

// remembered reads the order that the ledger has and that does not bear our external id any more. It is nil, and
// forgotten, if the order was deleted or became another sale's.
func (b *bringing) remembered(ctx context.Context) (*sage.Order, error) {
	order, found, err := b.conn.Orders.Lookup(ctx, b.record.SageID)
	if err != nil {
		return nil, err
	}
	if found && !bool(order.Deleted) && !b.othersSale(order) {
		return &order, nil
	}
	// The sale is real, so the books get it again.
	logger(ctx).Warn("the Sage order of a sale was deleted or given to another sale; it is made anew",
		"location", b.in.Sale.Location, "order", b.in.Sale.OrderID, "sageId", b.record.SageID)
	b.forgetRecord()
	return nil, nil //nolint:nilnil // no order is an ordinary answer
}

// othersSale tells whether an order bears the external id of another sale.
func (b *bringing) othersSale(order sage.Order) bool {
	return order.ExtID != b.booking.ExtID && strings.HasPrefix(order.ExtID, domain.OrderExtIDPrefix)
}

// sort parts what was found into our live orders, by ascending id, and live orders of the same reference that nobody
// has claimed. A row that merely looks alike to Sage, which ignores case, is neither.
func (b *bringing) sort(rows []sage.Order) (ours, byHand []sage.Order) {
	for _, row := range rows {
		switch {
		case bool(row.Deleted):
		case row.ExtID == b.booking.ExtID:
			ours = append(ours, row)
		case b.othersSale(row):
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

// dropDuplicates removes what a write of unknown outcome may leave: a second order of ours. Only one that is plainly our
// own doing is removed, made by our user, or the one who made the order that is kept as long as ours is not known, and
// touched by nobody else; another, such as a copy that people made, is theirs to judge.
func (b *bringing) dropDuplicates(ctx context.Context, kept sage.Order, ours []sage.Order) error {
	for _, surplus := range ours {
		if surplus.ID == kept.ID {
			continue
		}
		doing(ctx, "removing a second order")
		lines, err := b.conn.Lines.OfOrder(ctx, surplus.ID)
		if err != nil {
			return err
		}
		by, err := b.sage.ownUser(ctx, b.in.Sale.Location)
		if err != nil {
			return err
		}
		by = cmp.Or(by, kept.CreatedBy.ID)
		if b.record.Adopted || markIn(kept.InternalComment) != "" || !untouched(surplus, lines, by) {
			return b.conflict(ours, "several Sage orders bear the external id of this sale, and not all of them are our doing; "+
				"delete all but one")
		}
		logger(ctx).Warn("a second Sage order of one sale is removed",
			"location", b.in.Sale.Location, "order", b.in.Sale.OrderID, "kept", kept.ID, "removed", surplus.ID)
		if err := b.conn.Orders.Delete(ctx, surplus.ID); err != nil {
			return err
		}
	}
	return nil
}

// untouched tells whether an order and its lines were made and changed by one user only (A59), and may be removed.
func untouched(order sage.Order, lines []sage.Line, by int64) bool {
	if order.Locked() != "" || markIn(order.InternalComment) != "" || !onlyBy(order.Audit, by) {
		return false
	}
	return !slices.ContainsFunc(lines, func(l sage.Line) bool { return !bool(l.Deleted) && !onlyBy(l.Audit, by) })
}

func onlyBy(a sage.Audit, user int64) bool {
	return a.CreatedBy.ID == user && (a.UpdatedBy.ID == user || !a.UpdatedBy.IsSet())
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
		if candidates[0].ExtID != "" {
			return nil, b.conflict(candidates, fmt.Sprintf("the Sage order %d may be this sale, but bears the external id of another "+
				"system; decide with `starter match`", candidates[0].ID))
		}
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
	if b.othersSale(order) {
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
// in neither the total nor the customer is somebody else's (A37). A HighLevel order id does not recur.
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

// adopt makes an order that people made ours before anything else is done to it, in one write that also says whose its
// lines are: whatever happens next finds the order by its id and does not take people's lines for ours. Several sales
// may want the same order at the same time; the first one gets it.
func (b *bringing) adopt(ctx context.Context, order *sage.Order) error {
	claim, err := b.sage.claimOrder(ctx, b.in.Sale.Location, order.ID)
	if err != nil {
		return err
	}
	return claim.release(ctx, b.writeAdoption(ctx, claim, order))
}

func (b *bringing) writeAdoption(ctx context.Context, claim *held, order *sage.Order) error {
	doing(ctx, "adopting the order")
	now, found, err := b.conn.Orders.Lookup(ctx, order.ID)
	if err != nil {
		return err
	}
	if !found || now.Locked() != "" || now.ExtID != order.ExtID {
		return faultf(Mismatch, "the Sage order %d that was to be adopted has changed meanwhile", order.ID)
	}
	if err := claim.renew(ctx); err != nil {
		return err
	}
	now.ExtID, now.InternalComment = b.booking.ExtID, withNote(now.InternalComment, []string{factLines}, []fact{{factLines, string(b.mark)}})
	*order = now
	return b.conn.Orders.Update(ctx, order.ID, sage.OrderFields{ExtID: &now.ExtID, InternalComment: &now.InternalComment})
}

// zoneMargin covers that Sage's times may not be UTC (A60).
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
