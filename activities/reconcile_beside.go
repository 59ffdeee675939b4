package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// beside enters what a payment has beside its rows: activities where the settings want those instead of rows, and an order
// of its own.
func (p *paymentsRun) beside(ctx context.Context, one *payment) error {
	notes := p.notes(one)
	alone := one.paid.OrderID == "" && one.paid.Name != invoicePayment
	if alone && !one.paid.Counts() {
		return p.standDown(ctx, one)
	}
	order := alone && p.conn.settings.Books.RenewalOrders && one.paid.Counts()
	if len(notes) == 0 && !order {
		return nil
	}
	accounts, err := p.accountsOf(ctx, []domain.Entry{one.paid.Entry})
	if err != nil {
		return err
	}
	account, known := accounts[one.id]
	if !known {
		one.waits = true
		return nil
	}
	for _, n := range notes {
		if err := p.enterNote(ctx, one, account.ID, n); err != nil {
			return err
		}
	}
	if order {
		return p.orderOfItsOwn(ctx, one)
	}
	return nil
}

// moneyNote is an activity that tells of money which has no row.
type moneyNote struct {
	extID, text string
	at          time.Time
}

func (p *paymentsRun) notes(one *payment) []moneyNote {
	s := p.conn.settings.Books
	foreign := one.paid.Amount.Currency != p.words.rows
	var notes []moneyNote
	if foreign && s.Foreign == InsteadActivity && !s.NoRows && one.paid.Counts() {
		notes = append(notes, moneyNote{domain.TransactionExtID(one.id), "Payment of " + one.paid.Amount.String(), one.paid.At})
	}
	if one.refund == nil || s.NoRows || !one.refund.Counts() || !one.paid.Counts() {
		return notes
	}
	if instead := s.Refunds; foreign && s.Foreign == InsteadActivity || !foreign && instead == InsteadActivity {
		at := one.refund.At
		if !one.refund.UpdatedAt.IsZero() {
			at = one.refund.UpdatedAt
		}
		text := fmt.Sprintf("Refund: %s given back so far of a payment of %s", one.refund.Amount, one.paid.Amount)
		notes = append(notes, moneyNote{domain.RefundExtID(one.id, one.refund.Amount.Minor), text, at})
	}
	return notes
}

// enterNote makes an activity once: it is looked for by its mark before it is made. None is older than the payment.
func (p *paymentsRun) enterNote(ctx context.Context, one *payment, account int64, n moneyNote) error {
	mark := fmt.Sprintf("[tallystick sale=%s]", noteUnsafe.Replace(n.extID))
	doing(ctx, "looking for an activity")
	have, err := p.conn.Activities.FindMarked(ctx, account, mark, one.paid.At)
	if err != nil || len(have) > 0 {
		return err
	}
	shipping, err := p.sage.Fulfillment.of(ctx, p.in.Location)
	if err != nil {
		return err
	}
	kind := shipping.ActivityType
	if kind == 0 {
		if kind, err = p.conn.Catalog.ActivityType(ctx, "SAGE_ACTIVITY_TYPE_ID"); err != nil {
			return err
		}
	}
	doing(ctx, "making an activity")
	at, comment := sage.At(n.at), n.text+"\n"+mark
	_, err = p.conn.Activities.Create(ctx, sage.ActivityFields{
		AccountID: &account, TypeID: &kind, SalesRepID: &p.conn.tenant.salesRep, Date: &at, Comment: &comment,
		Extra: p.conn.tenant.defaults(activitiesResource),
	})
	if err == nil {
		one.created = true
	}
	return err
}

// orderOfItsOwn gives a payment without an order at HighLevel one at Sage, in the way of all orders: of one line, paid by
// this payment. It is not shipped, and belongs to the opportunity of its subscription.
func (p *paymentsRun) orderOfItsOwn(ctx context.Context, one *payment) error {
	customer, err := knownCustomer(ctx, p.sage.Store, p.in.Location, customerExtID(one.paid.Entry))
	if err != nil {
		return err
	}
	if customer == nil {
		one.waits = true
		return p.unknown(ctx, one.paid.Entry, customerExtID(one.paid.Entry), false, true)
	}
	plan, opportunity, err := p.planOf(ctx, one.paid.SubscriptionID)
	if err != nil {
		return err
	}
	unshipped := *p.sage
	unshipped.Fulfillment = nil
	b := &bringing{sage: &unshipped, in: BringOrderInput{Sale: p.saleOf(one, plan), Customer: *customer}}
	outcome, err := b.run(ctx)
	if err != nil || !outcome.Recorded() {
		return err
	}
	one.created = one.created || outcome == Created
	order, found, err := p.conn.Orders.Lookup(ctx, b.orderID)
	if err != nil || !found {
		return err
	}
	if opportunity != 0 && !order.OpportunityID.IsSet() && order.Locked() == "" {
		if err := p.conn.Orders.Update(ctx, order.ID, sage.OrderFields{OpportunityID: &opportunity}); err != nil {
			return err
		}
	}
	return p.enterOrder(ctx, one, order)
}

// standDown notes of a payment that counts no more, such as one that was charged back, that nor does the order that stands
// for it at Sage. That is for people to see to.
func (p *paymentsRun) standDown(ctx context.Context, one *payment) error {
	id := renewalPrefix + one.id
	there, err := ledgerOf(ctx, p.sage.Store, p.in.Location, domain.OrderEntry, domain.SageSide, id)
	if err != nil || !slices.ContainsFunc(there[id], func(e store.LedgerEntry) bool { return !e.Gone }) {
		return err
	}
	here := p.orderEntry(one)
	here.Status = domain.OrderNotDue
	if err := p.sage.Store.PutEntries(ctx, []store.LedgerEntry{{Location: p.in.Location, Entry: here}}); err != nil {
		return err
	}
	_, err = settleEntries(ctx, p.sage.Store, p.in.Location, domain.OrderEntry, []string{id})
	return err
}

// orderEntry is what HighLevel would say of an order that stands for a payment.
func (p *paymentsRun) orderEntry(one *payment) domain.Entry {
	e := one.paid.Entry
	e.Kind, e.ID, e.Status, e.Apart, e.Name = domain.OrderEntry, renewalPrefix+one.id, domain.OrderDue, false, ""
	return e
}

// planOf finds the subscription of a payment, and its opportunity: 0 while there is none.
func (p *paymentsRun) planOf(ctx context.Context, subscription string) (plan domain.Entry, opportunity int64, err error) {
	if subscription == "" {
		return plan, 0, nil
	}
	filter := store.EntryFilter{
		Location: p.in.Location, Kind: domain.SubscriptionEntry, Side: domain.HighLevelSide, SubscriptionID: subscription,
	}
	plans, _, err := p.sage.Store.Entries(ctx, filter)
	if err != nil || len(plans) == 0 {
		return plan, 0, err
	}
	plan = plans[0].Entry
	found, err := ledgerOf(ctx, p.sage.Store, p.in.Location, domain.SubscriptionEntry, domain.SageSide, plan.ID)
	for _, e := range found[plan.ID] {
		if !e.Gone {
			return plan, recordID(e), err
		}
	}
	return plan, 0, err
}

func (p *paymentsRun) saleOf(one *payment, plan domain.Entry) domain.Sale {
	paid := domain.Payment{
		ID: one.id, Amount: one.paid.Amount, Refunded: domain.NewMoney(0, one.paid.Amount.Currency), At: one.paid.At,
		UpdatedAt: one.paid.UpdatedAt, Clearing: domain.Settled,
	}
	if one.refund != nil {
		paid.Refunded = one.refund.Amount
	}
	return domain.Sale{
		Location: p.in.Location, OrderID: renewalPrefix + one.id, Live: true, Currency: one.paid.Amount.Currency, Total: one.paid.Amount,
		Items: []domain.Item{{
			ProductID: plan.ProductID, Name: cmp.Or(plan.Name, "Payment without an order"), Quantity: 1, Price: one.paid.Amount,
		}},
		Customer: domain.Customer{ContactID: one.paid.ContactID}, Payments: []domain.Payment{paid},
		CreatedAt: one.paid.At, UpdatedAt: one.paid.UpdatedAt,
	}
}

// enterOrder enters the order on both sides of the ledger: HighLevel has none, and the payment stands for it.
func (p *paymentsRun) enterOrder(ctx context.Context, one *payment, order sage.Order) error {
	here := p.orderEntry(one)
	audit, there, ours := p.words.ofOrder(order)
	there.At = here.At
	entries := []store.LedgerEntry{{Location: p.in.Location, Entry: here}}
	if ours {
		entries = append(entries, store.LedgerEntry{Location: p.in.Location, Entry: p.words.asRecord(there, audit)})
	}
	if err := p.sage.Store.PutEntries(ctx, entries); err != nil {
		return err
	}
	_, err := settleEntries(ctx, p.sage.Store, p.in.Location, domain.OrderEntry, []string{here.ID})
	return err
}
