package activities

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// BringFulfillmentInput is what HighLevel says of the order of a lifecycle.
type BringFulfillmentInput struct {
	Location string             `json:"location"`
	OrderID  string             `json:"orderId"`
	Reading  FulfillmentReading `json:"reading"`
}

// BringFulfillmentResult is what became of it.
type BringFulfillmentResult struct {
	Outcome Outcome `json:"outcome"`
	// State and Reason are the lifecycle's. Closed tells that it is followed no longer: it is over, or older than what is
	// followed.
	State  domain.FulfillmentState `json:"state,omitempty"`
	Closed bool                    `json:"closed,omitempty"`
	Reason string                  `json:"reason,omitempty"`
	// Ship is a shipment that people entered in Sage and that HighLevel lacks. Nothing was written then: post it, read the
	// order again, and bring that.
	Ship *domain.ShipmentPlan `json:"ship,omitempty"`
	// Steps are the keys of the steps that were not yet told to Sage and to the team, in their order.
	Steps []string `json:"steps,omitempty"`
}

// BringFulfillment merges all that is known of an order's shipments, makes the Sage order say so, and records it: what
// HighLevel lists, what people set at Sage, the payments as the ledger has them, and the news of deliveries. It costs one
// read, and if something must be written one write and one more read.
//
// What we wrote to Sage ourselves is never taken for something that people set, not even by a step whose predecessor died
// between writing and recording: it is recognised by what it says.
func (a *Sage) BringFulfillment(ctx context.Context, in BringFulfillmentInput) (BringFulfillmentResult, error) {
	ctx, stop := alive(ctx)
	defer stop()
	f := &fulfilling{sage: a, in: in, now: time.Now().UTC()}
	outcome, err := f.run(ctx)
	result := BringFulfillmentResult{
		Outcome: outcome, State: f.row.Lifecycle.State, Reason: f.row.Lifecycle.Reason, Closed: f.row.Closed, Steps: f.untold,
	}
	if f.ship != nil {
		result.Ship = f.ship
	}
	return result, a.fail(ctx, f.conn.settles(err))
}

// fulfilling is one run of BringFulfillment.
type fulfilling struct {
	sage     *Sage
	in       BringFulfillmentInput
	now      time.Time
	settings FulfillmentSettings
	conn     *connection

	ledger store.OrderRecord
	row    store.FulfillmentRecord
	order  sage.Order
	news   []store.DeliveryNews

	next   domain.Fulfillment
	ship   *domain.ShipmentPlan
	steps  []domain.FulfillmentStep
	untold []string
}

func (f *fulfilling) run(ctx context.Context) (Outcome, error) {
	if outcome, done, err := f.read(ctx); done || err != nil {
		return outcome, err
	}
	wish, err := f.wish()
	if err != nil {
		return "", err
	}
	if err := f.merge(ctx, wish); err != nil {
		return "", err
	}
	if f.ship != nil {
		return Unchanged, nil // the fields stay as people set them until HighLevel has the shipment
	}
	wrote, err := f.write(ctx)
	if err != nil {
		return "", err
	}
	if err := f.save(ctx); err != nil {
		return "", err
	}
	if wrote {
		return Updated, nil
	}
	return Unchanged, nil
}

// read gathers what is known here and at Sage. It is done where there is nothing to be followed.
func (f *fulfilling) read(ctx context.Context) (outcome Outcome, done bool, err error) {
	in, books := f.in, f.sage.Store
	if in.Reading.KeptOut != "" {
		return in.Reading.KeptOut, true, nil
	}
	if f.settings, err = f.sage.Fulfillment.of(ctx, in.Location); err != nil || !f.settings.On {
		return NotDue, true, err
	}
	var found bool
	if f.ledger, found, err = books.Order(ctx, in.Location, in.OrderID); err != nil || !found {
		return NotDue, true, err
	}
	if f.row, found, err = books.Fulfillment(ctx, in.Location, in.OrderID); err != nil {
		return "", false, err
	}
	if !found {
		f.row = store.FulfillmentRecord{Location: in.Location, OrderID: in.OrderID, OpenedAt: f.now, PaidAt: f.ledger.BroughtAt}
		if created := in.Reading.CreatedAt; !created.IsZero() && created.Before(f.row.PaidAt) {
			f.row.PaidAt = created // the nearest that is known of an order from before its lifecycle was followed
		}
	}
	if f.conn, err = f.sage.connect(ctx, in.Location); err != nil {
		return "", false, err
	}
	found, err = f.find(ctx)
	return NotDue, !found, err
}

// find reads the Sage order: the one of the ledger, or if that is gone the one that bears the order's external id. Where
// there is none, the payments' process makes the order anew and hands it on.
func (f *fulfilling) find(ctx context.Context) (bool, error) {
	doing(ctx, "reading the Sage order")
	extID := domain.OrderExtID(f.in.OrderID)
	order, found, err := f.conn.Orders.Lookup(ctx, f.ledger.SageID)
	if err != nil {
		return false, err
	}
	others := order.ExtID != extID && strings.HasPrefix(order.ExtID, domain.OrderExtIDPrefix)
	if found && !bool(order.Deleted) && !others {
		f.order = order
		return true, nil
	}
	match, err := f.conn.Orders.FindByExtID(ctx, extID)
	if err != nil {
		return false, err
	}
	if match.Live != nil {
		f.order = *match.Live
		return true, nil
	}
	return false, f.sage.Look.LookAtOrder(ctx, f.in.Location, f.in.OrderID, "gone")
}

// wish is what people set at Sage; zero where the fields say what was agreed. A word that nobody knows is left alone.
func (f *fulfilling) wish() (domain.FulfillmentWish, error) {
	t, agreed := f.conn.tenant, f.row.Agreed
	if t.says(f.order, fact{factFulfillment, agreed.State}) && t.says(f.order, fact{factTrackings, agreed.Trackings}) {
		return domain.FulfillmentWish{}, nil
	}
	typed := t.factText(f.order, factTrackings)
	wish := domain.FulfillmentWish{Trackings: domain.ParseTrackings(typed)}
	if strings.ContainsRune(typed, cutMark) { // what the field had no room for was not taken out by anybody
		wish.Trackings = append(f.row.Lifecycle.Trackings(), wish.Trackings...)
	}
	word := t.factText(f.order, factFulfillment)
	if strings.TrimSpace(word) == "" {
		return wish, nil
	}
	var known bool
	if wish.State, known = domain.ParseFulfillmentState(word); !known {
		return wish, faultf(Invalid, "the fulfilment status of the Sage order %d is none of the words %s; set it to one of them",
			f.order.ID, stateList())
	}
	return wish, nil
}

func stateList() string {
	var words []string
	for _, state := range domain.FulfillmentStates() {
		words = append(words, string(state))
	}
	return strings.Join(words, ", ")
}

// merge works out what the lifecycle becomes. First without Sage: if its fields say just that, it is our own write seen
// again, and nothing that anybody set.
func (f *fulfilling) merge(ctx context.Context, wish domain.FulfillmentWish) (err error) {
	keys := keysOf(slices.Concat(f.row.Lifecycle.Trackings(), wish.Trackings))
	for _, s := range f.in.Reading.Shipments {
		keys = append(keys, keysOf(s.Trackings)...)
	}
	slices.Sort(keys)
	if f.news, err = f.sage.Store.DeliveryNewsOf(ctx, f.in.Location, f.in.OrderID, slices.Compact(keys)...); err != nil {
		return err
	}
	news := domain.FulfillmentNews{
		Items: f.in.Reading.Items, Shipments: f.in.Reading.Shipments, Now: f.now,
		Paid:    paidInFull(f.ledger.State, f.ledger.Paid, f.ledger.Total),
		Closing: cmp.Or(closing(f.settings, f.in.Reading.Status, f.ledger.State), f.in.Reading.Closing),
	}
	for _, n := range f.news {
		news.Deliveries = append(news.Deliveries, domain.Delivery{Tracking: n.Tracking, State: n.State, At: n.At})
	}
	f.next, _, f.steps = f.row.Lifecycle.With(news, f.settings.Rules)
	t := f.conn.tenant
	echo := t.says(f.order, fact{factFulfillment, string(f.next.State)}) &&
		t.says(f.order, fact{factTrackings, domain.FormatTrackings(f.next.Trackings())})
	if echo || (wish.State == "" && len(wish.Trackings) == 0) {
		return nil
	}
	news.Sage = wish
	f.next, f.ship, f.steps = f.row.Lifecycle.With(news, f.settings.Rules)
	return nil
}

// write makes the Sage order say what the lifecycle has come to, and reads it back: Sage ignores fields it does not know
// (A55). It tells whether there was anything to write.
func (f *fulfilling) write(ctx context.Context) (bool, error) {
	fields, differs := f.changes(f.order)
	if !differs {
		return false, nil
	}
	if why := f.order.Locked(); why != "" {
		return false, &Fault{Kind: Conflict, Candidates: []int64{f.order.ID},
			Words: fmt.Sprintf("the Sage order %d of this sale is %s and is left alone", f.order.ID, why)}
	}
	doing(ctx, "writing the shipments")
	var err error
	if fields.InternalComment == nil {
		err = f.conn.Orders.Update(ctx, f.order.ID, fields)
	} else {
		err = f.writeLine(ctx)
	}
	if err != nil {
		return true, err
	}
	doing(ctx, "reading back")
	now, found, err := f.conn.Orders.Lookup(ctx, f.order.ID)
	if err != nil {
		return true, err
	}
	if err := f.sawOwnWrite(ctx, now); err != nil {
		return true, err
	}
	if fields, differs := f.changes(now); !found || differs {
		return true, faultf(Mismatch, "the Sage order %d was read back and lacks what was written (%s); check with `starter check` "+
			"whether the fields exist", f.order.ID, names(fields))
	}
	return true, nil
}

// sawOwnWrite records the order as it was read back. The sweep goes by when an order was changed, and would take a write
// that Sage did not keep as it was for somebody's, have it written once more, and so on with each sweep.
func (f *fulfilling) sawOwnWrite(ctx context.Context, order sage.Order) error {
	return f.sage.Store.RecordSightings(ctx, []store.Sighting{
		sageSighting(f.conn.tenant, f.in.Location, f.in.OrderID, order, time.Now().UTC())})
}

// writeLine writes where the line in the comment changes, which has another writer: from the comment as it is now.
func (f *fulfilling) writeLine(ctx context.Context) error {
	claim, err := f.sage.claimOrder(ctx, f.in.Location, f.order.ID)
	if err != nil {
		return err
	}
	return claim.release(ctx, f.rewriteLine(ctx, claim))
}

func (f *fulfilling) rewriteLine(ctx context.Context, claim *held) error {
	now, found, err := f.conn.Orders.Lookup(ctx, f.order.ID)
	if err != nil {
		return err
	}
	t := f.conn.tenant
	for _, name := range []string{factFulfillment, factTrackings} {
		if !found || t.factText(now, name) != t.factText(f.order, name) {
			return faultf(Busy, "somebody changed the Sage order %d while it was read", f.order.ID)
		}
	}
	fields, _ := f.changes(now)
	if err := claim.renew(ctx); err != nil {
		return err
	}
	return f.conn.Orders.Update(ctx, now.ID, fields)
}

// changes are the fields of an order that differ from what the lifecycle has come to.
func (f *fulfilling) changes(order sage.Order) (sage.OrderFields, bool) {
	extra, comment := f.conn.tenant.factWrites(order, fulfillmentFacts, factsOfFulfillment(f.next))
	return sage.OrderFields{Extra: extra, InternalComment: comment}, len(extra) > 0 || comment != nil
}

// save records what the lifecycle has come to and what was agreed with Sage.
func (f *fulfilling) save(ctx context.Context) (err error) {
	in, before := f.in, f.row
	if !reflect.DeepEqual(before.Lifecycle, f.next) {
		f.row.ChangedAt = f.now
	}
	f.row.SageID, f.row.Lifecycle, f.row.Agreed, f.row.SourceWord = f.order.ID, f.next, agreedOf(f.next), in.Reading.Word
	f.row.Closed = f.next.Closed() || f.now.Sub(f.row.PaidAt) >= f.settings.Window
	f.row.Partial = !f.row.Closed && (f.next.Partial(in.Reading.Items, f.settings.Rules) || paidLate(f.row.PaidAt, in.Reading.CreatedAt))
	f.row.CheckedAt = f.now
	books := f.sage.Store
	if f.row, err = books.SaveFulfillment(ctx, f.row, f.steps, f.applied()); err != nil {
		return err
	}
	if err := f.endPost(ctx); err != nil {
		return err
	}
	// After the lifecycle has it: a sweep that is asked for too much does no harm, one that is asked for too little does.
	err = books.RecordSightings(ctx, []store.Sighting{
		fulfillmentSighting(in.Location, in.OrderID, in.Reading.Status, in.Reading.Word, in.Reading.UpdatedAt, f.now)})
	if err != nil {
		return err
	}
	return f.remind(ctx)
}

// endPost takes back what was to be posted and is not wanted any more: the lifecycle has ended, it was never sent, or it is
// listed by now. What may still be on its way is kept until it is.
func (f *fulfilling) endPost(ctx context.Context) error {
	books, in := f.sage.Store, f.in
	post, open, err := books.ShipmentPost(ctx, in.Location, in.OrderID)
	if err != nil || !open {
		return err
	}
	_, stands := standing(post, in.Reading.Shipments)
	if f.next.Closed() || post.AttemptedAt.IsZero() || stands {
		return books.EndShipmentPost(ctx, in.Location, in.OrderID)
	}
	return nil
}

// applied are the news that this lifecycle has taken in.
func (f *fulfilling) applied() []store.DeliveryNews {
	return slices.DeleteFunc(slices.Clone(f.news), func(n store.DeliveryNews) bool { return n.Applied })
}

// remind names the steps that nobody was told of yet, those of an earlier attempt too.
func (f *fulfilling) remind(ctx context.Context) error {
	steps, err := f.sage.Store.FulfillmentSteps(ctx, f.in.Location, f.in.OrderID)
	if err != nil {
		return err
	}
	for _, step := range steps {
		unentered := f.settings.Activities && step.ActivityID == 0 && !step.GivenUp
		if !step.Told || (unentered && !step.Begun.IsZero()) {
			f.untold = append(f.untold, step.Key)
		}
	}
	return nil
}
