package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// BringOrderInput is a sale and its customer at Sage.
type BringOrderInput struct {
	Sale     domain.Sale `json:"sale"`
	Customer CustomerRef `json:"customer"`
	// Sightings are what of the source was read for the sale; they are recorded with it, so that a sweep does not ask
	// for the same again.
	Sightings []store.Sighting `json:"sightings,omitempty"`
}

// BringOrderResult is what became of it.
type BringOrderResult struct {
	Outcome Outcome             `json:"outcome"`
	SageID  int64               `json:"sageId,omitempty"`
	State   domain.PaymentState `json:"state,omitempty"`
}

// BringOrder makes the Sage order of a sale say what the sale says: header, lines, payment facts and, last, the status,
// so that an order is not seen as paid before it is complete. What is written is read back and compared, then recorded
// in the ledger. A sale whose booking the ledger has already costs one read and no write.
func (a *Sage) BringOrder(ctx context.Context, in BringOrderInput) (BringOrderResult, error) {
	ctx, stop := alive(ctx)
	defer stop()
	b := &bringing{sage: a, in: in}
	outcome, err := b.run(ctx)
	result := BringOrderResult{Outcome: outcome, SageID: b.orderID, State: b.booking.Settlement.State}
	return result, a.fail(ctx, b.conn.settles(err))
}

// bringing is one run of BringOrder.
type bringing struct {
	sage *Sage
	in   BringOrderInput

	conn     *connection
	booking  domain.Booking
	currency int64
	// record is the ledger's entry, if known.
	record store.OrderRecord
	known  bool

	products map[string]int64
	orderID  int64
	// adopting: the order was made by people and is taken over in this run. The mark says whose the lines of an order
	// are that was ever adopted.
	adopting bool
	mark     lineMark
	lines    []store.LineRecord
	opening  opening
}

func (b *bringing) run(ctx context.Context) (Outcome, error) {
	if outcome, done, err := b.prepare(ctx); done || err != nil {
		return outcome, err
	}
	order, err := b.find(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case order == nil && !b.booking.Settlement.Cleared():
		return NotDue, b.sage.Store.RecordSightings(ctx, b.in.Sightings)
	case order == nil:
		return b.create(ctx)
	}
	b.orderID = order.ID
	if why := order.Locked(); why != "" {
		return "", b.conflict([]sage.Order{*order}, fmt.Sprintf("the Sage order %d of this sale is %s and is left alone", order.ID, why))
	}
	if b.upToDate(*order) {
		return Unchanged, b.enter(ctx)
	}
	return b.update(ctx, *order)
}

// prepare plans the booking and reads the ledger; it is done when there is newer news in the books already.
func (b *bringing) prepare(ctx context.Context) (outcome Outcome, done bool, err error) {
	sale := b.in.Sale
	if b.booking, err = domain.Book(sale); err != nil {
		return "", false, err
	}
	if b.record, b.known, err = b.sage.Store.Order(ctx, sale.Location, sale.OrderID); err != nil {
		return "", false, err
	}
	if b.known && sale.AsOf().Before(b.record.AsOf.Truncate(time.Microsecond)) {
		return Outdated, true, nil
	}
	if from, to := b.record.State, b.booking.Settlement.State; b.known && !from.CanBecome(to) {
		return "", false, faultf(Conflict, "the books have this sale as %s, and HighLevel now says %s; that move is not possible, "+
			"so look at its payments in HighLevel", from, to)
	}
	if err := b.readLife(ctx); err != nil {
		return "", false, err
	}
	if b.conn, err = b.sage.connect(ctx, sale.Location); err != nil {
		return "", false, err
	}
	b.currency, err = b.conn.tenant.currency(ctx, b.booking.Total.Currency)
	return "", false, err
}

// create makes the order: header in the open status, lines, and then what makes it count.
func (b *bringing) create(ctx context.Context) (Outcome, error) {
	var err error
	if b.products, err = b.ensureProducts(ctx); err != nil {
		return "", err
	}
	b.opening.write = b.opening.followed()
	doing(ctx, "making the order")
	t, total := b.conn.tenant, b.booking.Total.Decimal()
	reference := clip(b.booking.Reference, nameLength)
	b.orderID, err = b.conn.Orders.Create(ctx, sage.OrderFields{
		ExtID: &b.booking.ExtID, Reference: &reference, AccountID: &b.in.Customer.AccountID,
		ContactID: &b.in.Customer.ContactID, BranchID: &t.branch, SalesRepID: &t.salesRep, StatusID: &t.open,
		CurrencyID: &b.currency, Total: &total, Extra: t.defaults(ordersResource),
	})
	if err != nil {
		return "", b.doubtCustomer(ctx, err)
	}
	fresh := sage.Order{Audit: sage.Audit{ID: b.orderID}, ExtID: b.booking.ExtID, Total: total,
		AccountID: sage.Ref{ID: b.in.Customer.AccountID}, ContactID: sage.Ref{ID: b.in.Customer.ContactID},
		CurrencyID: sage.Ref{ID: b.currency}, StatusID: sage.Ref{ID: t.open}}
	if b.lines, err = b.bringLines(ctx, fresh, b.linePlan(fresh).changes(nil)); err != nil {
		return "", err
	}
	if _, err := b.bringHeader(ctx, fresh); err != nil {
		return "", err
	}
	return Created, b.verifyAndEnter(ctx)
}

// update brings an order that stands already up to the booking: one that a step left unfinished, one that HighLevel has
// news of, or one that people made.
func (b *bringing) update(ctx context.Context, order sage.Order) (Outcome, error) {
	var err error
	if b.products, err = b.ensureProducts(ctx); err != nil {
		return "", err
	}
	doing(ctx, "reading the lines")
	have, err := b.conn.Lines.OfOrder(ctx, order.ID)
	if err != nil {
		return "", err
	}
	b.mark = b.whoseLines(order, have)
	if b.adopting {
		if err := b.adopt(ctx, &order); err != nil {
			return "", err
		}
	}
	b.opening.write = b.writesLife(order)
	var changes lineChanges
	if b.mark != theirLines {
		changes = b.linePlan(order).changes(have)
		if b.lines, err = b.bringLines(ctx, order, changes); err != nil {
			return "", err
		}
	}
	wrote, err := b.bringHeader(ctx, order)
	if err != nil {
		return "", err
	}
	switch {
	case b.adopting:
		return Adopted, b.verifyAndEnter(ctx)
	case wrote || !changes.none():
		return Updated, b.verifyAndEnter(ctx)
	}
	return Unchanged, b.enter(ctx)
}

// whoseLines says whose the lines of an order are: of one that is adopted people's, if it has any and the tenant does
// not want them replaced; of one that was adopted earlier as its comment says or, if people took that out, the ledger.
func (b *bringing) whoseLines(order sage.Order, have []sage.Line) lineMark {
	mark := markIn(order.InternalComment)
	switch {
	case b.adopting && slices.ContainsFunc(have, func(l sage.Line) bool { return !bool(l.Deleted) }):
		mark = theirLines
	case b.adopting:
		mark = ourLines
	case mark == "" && b.record.Adopted && len(b.record.Lines) == 0:
		mark = theirLines
	case mark == "" && b.record.Adopted:
		mark = ourLines
	}
	if mark == theirLines && b.conn.settings.ReplaceAdoptedLines {
		return ourLines
	}
	return mark
}

// linePlan is what the lines of an order should be. On one that people made, none that its maker wrote is ours.
func (b *bringing) linePlan(order sage.Order) linePlan {
	plan := linePlan{want: b.booking.Lines, products: b.products, recorded: b.record.Lines, maker: order.CreatedBy.ID}
	if b.mark != "" {
		plan.maker, plan.all = 0, b.conn.settings.ReplaceAdoptedLines
	}
	return plan
}

// bringHeader writes what of the header differs, and tells whether that was anything.
func (b *bringing) bringHeader(ctx context.Context, order sage.Order) (bool, error) {
	fields, differs := b.headerChanges(order)
	if !differs {
		return false, nil
	}
	doing(ctx, "writing the order")
	if fields.InternalComment == nil {
		return true, b.conn.Orders.Update(ctx, order.ID, fields)
	}
	claim, err := b.sage.claimOrder(ctx, b.in.Sale.Location, order.ID)
	if err != nil {
		return true, err
	}
	return true, claim.release(ctx, b.rewriteHeader(ctx, claim, order.ID))
}

// rewriteHeader writes the header of an order in whose comment the line changes, from the comment as it is under the
// claim: the lifecycle's facts may have been written into it since.
func (b *bringing) rewriteHeader(ctx context.Context, claim *held, id int64) error {
	now, found, err := b.conn.Orders.Lookup(ctx, id)
	if err != nil {
		return err
	}
	if !found || now.Locked() != "" {
		return faultf(Mismatch, "the Sage order %d was deleted or locked while it was written", id)
	}
	fields, _ := b.headerChanges(now)
	if err := claim.renew(ctx); err != nil {
		return err
	}
	return b.conn.Orders.Update(ctx, id, fields)
}

// headerChanges are the fields we own that differ. The reference, the account and the contact of an order that stands
// are people's to change; the status is written only when the payments call for another, since it is their pipeline.
func (b *bringing) headerChanges(order sage.Order) (sage.OrderFields, bool) {
	var fields sage.OrderFields
	differs := false
	if order.ExtID != b.booking.ExtID {
		fields.ExtID, differs = &b.booking.ExtID, true
	}
	if total := b.booking.Total.Decimal(); !order.Total.Equal(total) {
		fields.Total, differs = &total, true
	}
	if order.CurrencyID.ID != b.currency {
		fields.CurrencyID, differs = &b.currency, true
	}
	if status := b.nextStatus(order); status != 0 && order.StatusID.ID != status {
		fields.StatusID, differs = &status, true
	}
	owned, facts := b.facts()
	extra, comment := b.conn.tenant.factWrites(order, owned, facts)
	if len(extra) > 0 {
		fields.Extra, differs = extra, true
	}
	if comment != nil {
		fields.InternalComment, differs = comment, true
	}
	return fields, differs
}

// nextStatus is the status that the order should get now, 0 to leave it. Where the ledger was lost the order itself says
// what it was last brought to; facts and status are written at once.
func (b *bringing) nextStatus(order sage.Order) int64 {
	t, s := b.conn.tenant, b.booking.Settlement
	status := t.statusFor(s.State, s.Paid, b.booking.Total)
	if b.known {
		if t.statusFor(b.record.State, b.record.Paid, b.record.Total) == status {
			return 0
		}
		return status
	}
	before := t.statusBefore(order, b.booking.Total.Currency)
	switch {
	case b.adopting, !order.StatusID.IsSet():
		return status
	case before == status, before == 0 && order.StatusID.ID != t.open:
		return 0
	}
	return status
}

// upToDate tells whether the ledger has this booking and the header still says so.
func (b *bringing) upToDate(order sage.Order) bool {
	if !b.known || b.adopting || b.record.SageID != order.ID || b.record.Digest != b.booking.Digest() {
		return false
	}
	b.lines, b.mark = b.record.Lines, markIn(order.InternalComment)
	_, differs := b.headerChanges(order)
	return !differs
}

// verifyAndEnter reads back what was written and compares, for Sage ignores fields it does not know (A55), checks no
// totals and takes one external id twice. Lines are read as well: the order's date does not tell of them (A71).
func (b *bringing) verifyAndEnter(ctx context.Context) error {
	doing(ctx, "reading back")
	match, err := b.conn.Orders.FindByExtID(ctx, b.booking.ExtID)
	if err != nil {
		return err
	}
	order, err := b.settle(ctx, match)
	if err != nil {
		return err
	}
	if fields, differs := b.headerChanges(order); differs {
		return faultf(Mismatch, "the Sage order %d was read back and lacks what was written (%s); check with `starter check` "+
			"whether the fields exist", b.orderID, names(fields))
	}
	if b.mark != theirLines {
		have, err := b.conn.Lines.OfOrder(ctx, b.orderID)
		if err != nil {
			return err
		}
		plan := b.linePlan(order)
		if plan.recorded = b.lines; !plan.changes(have).none() {
			return faultf(Mismatch, "the lines of the Sage order %d were read back and are not what was written", b.orderID)
		}
	}
	return b.enter(ctx)
}

// settle finds the order among those that bear its external id, and removes others that a late write of ours made.
func (b *bringing) settle(ctx context.Context, match sage.Match[sage.Order]) (sage.Order, error) {
	if match.Live == nil {
		return sage.Order{}, faultf(Mismatch, "the Sage order %d was read back and does not bear its external id", b.orderID)
	}
	ours := append([]sage.Order{*match.Live}, match.Duplicates...)
	for _, order := range ours {
		if order.ID == b.orderID {
			return order, b.dropDuplicates(ctx, order, ours)
		}
	}
	return sage.Order{}, faultf(Mismatch, "the Sage order %d was read back, and another bears its external id", b.orderID)
}

// names lists the fields of a write, without their values.
func names(f sage.OrderFields) string {
	var list []string
	for name, set := range map[string]bool{
		"extId": f.ExtID != nil, "total": f.Total != nil, "currencyId": f.CurrencyID != nil,
		"statusId": f.StatusID != nil, "internalComment": f.InternalComment != nil,
	} {
		if set {
			list = append(list, name)
		}
	}
	for name := range f.Extra {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// enter records the booking in the ledger, and what was seen of the source, and hands the order on to its lifecycle.
func (b *bringing) enter(ctx context.Context) error {
	if err := b.openLife(ctx); err != nil {
		return err
	}
	sale, s := b.in.Sale, b.booking.Settlement
	err := b.sage.Store.RecordOrder(ctx, store.OrderRecord{
		Location: sale.Location, OrderID: sale.OrderID, SageID: b.orderID, Adopted: b.mark != "" || b.record.Adopted,
		AsOf: sale.AsOf(), Digest: b.booking.Digest(), State: s.State,
		Total: b.booking.Total, Paid: s.Paid, Refunded: s.Refunded, Lines: b.lines, BroughtAt: time.Now().UTC(),
		Products: productsOf(sale),
	}, b.in.Sightings...)
	if err != nil && !errors.Is(err, store.ErrStale) { // else newer news is in the books already
		return err
	}
	return b.handOn(ctx)
}

func (b *bringing) forgetRecord() {
	b.record, b.known = store.OrderRecord{}, false
}

// doubtCustomer is asked when a header was refused. If the account or the contact that was remembered is gone at Sage,
// it is forgotten, and the workflow brings the customer anew.
func (b *bringing) doubtCustomer(ctx context.Context, refusal error) error {
	if faultOf(refusal).Kind != Invalid {
		return refusal
	}
	account, found, err := b.conn.Accounts.Lookup(ctx, b.in.Customer.AccountID)
	if err != nil {
		return err
	}
	contact, foundContact, err := b.conn.Contacts.Lookup(ctx, b.in.Customer.ContactID)
	if err != nil {
		return err
	}
	if found && !bool(account.Deleted) && foundContact && !bool(contact.Deleted) {
		return refusal
	}
	extID := b.in.Sale.CustomerExtID()
	for _, kind := range []store.LinkKind{store.Account, store.Contact} {
		if err := b.sage.Store.DropLinks(ctx, b.in.Sale.Location, kind, extID); err != nil {
			return err
		}
	}
	return &Fault{Kind: StaleCustomer, Words: "the customer that was remembered is gone at Sage", Err: refusal}
}
