package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// BooksWindow is what one run of the reconciliation covers.
type BooksWindow struct {
	// From and To bound HighLevel's transactions and orders, by when they were made. Subscriptions are always read all: no
	// filter tells which of them changed.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Began is when the books began: what is older is not brought unless it is in the books already.
	Began time.Time `json:"began"`
	// SageSince is from when on the changes at Sage are read, by Sage's own clock; zero reads everything there is. Full says
	// that it does, so that what is not found any more is looked for one by one.
	SageSince time.Time `json:"sageSince,omitzero"`
	Full      bool      `json:"full,omitempty"`
	// Opened is when the run began.
	Opened time.Time `json:"opened"`
}

// ReadBooksInput asks for one page of HighLevel's side.
type ReadBooksInput struct {
	Location string      `json:"location"`
	Window   BooksWindow `json:"window"`
	At       ghl.Cursor  `json:"at"`
	// Again has all that is read brought again although nothing of it changed, as after a change of settings.
	Again bool `json:"again,omitempty"`
	// More says that other stretches of the run's window follow. What the sides disagree on is read after the last one only:
	// an order that was handed to its own process is not read once more by each of them while that is at work.
	More bool `json:"more,omitempty"`
}

// BooksPage is what became of a page. Everything of it is in the ledger, and ToBring lists what of it is to be brought.
type BooksPage struct {
	// Rows were read, Changed of them say something else than before, Looks hints were handed out for payments whose order
	// never reached Sage, Unreadable rows could not be read and are parked with the reason.
	Rows       int        `json:"rows"`
	Changed    int        `json:"changed"`
	Looks      int        `json:"looks,omitempty"`
	Unreadable int        `json:"unreadable,omitempty"`
	Next       ghl.Cursor `json:"next"`
	Done       bool       `json:"done"`
}

// ReadTransactions reads one page of transactions into the ledger, payments and refunds.
func (g *GHL) ReadTransactions(ctx context.Context, in ReadBooksInput) (BooksPage, error) {
	ctx, stop := alive(ctx)
	defer stop()
	page, err := g.readTransactions(ctx, in)
	return page, asTemporal(err, attempt(ctx), 0)
}

// OrdersToRecheck is where ReadOrderEntries goes on by itself after the list: with orders that the list did not show, since
// they are older than the window and were paid in it, and with those on which the sides disagree. Both are read one by
// one. A run may ask for them once more after it has read Sage.
var OrdersToRecheck = ghl.Cursor{Offset: -1}

// ReadOrderEntries reads one page of orders into the ledger. Transactions are to be read before: they say what is paid.
func (g *GHL) ReadOrderEntries(ctx context.Context, in ReadBooksInput) (BooksPage, error) {
	ctx, stop := alive(ctx)
	defer stop()
	page, err := g.readOrderEntries(ctx, in)
	return page, asTemporal(err, attempt(ctx), 0)
}

// ReadSubscriptions reads one page of subscriptions into the ledger: one call, and one more for each whose row changed
// or whose next renewal has passed.
func (g *GHL) ReadSubscriptions(ctx context.Context, in ReadBooksInput) (BooksPage, error) {
	ctx, stop := alive(ctx)
	defer stop()
	page, err := g.readSubscriptions(ctx, in)
	return page, asTemporal(err, attempt(ctx), 0)
}

// ReadCustomerInput names a customer that Sage does not know yet; it comes from BringBooksResult.Unknown.
type ReadCustomerInput struct {
	Location string `json:"location"`
	// ExtID is the customer's identity, ContactID the HighLevel contact, empty where there is none.
	ExtID     string `json:"extId"`
	ContactID string `json:"contactId,omitempty"`
}

// ReadCustomer reads a contact for BringCustomer, which takes the result as it is. Of a contact that is gone there is
// nothing but its id.
func (g *GHL) ReadCustomer(ctx context.Context, in ReadCustomerInput) (BringCustomerInput, error) {
	ctx, stop := alive(ctx)
	defer stop()
	customer, err := g.readCustomer(ctx, in)
	return customer, asTemporal(err, attempt(ctx), 0)
}

// BooksProcess is the name under which what cannot be read or brought is parked.
const BooksProcess = store.SubscriptionReconciliation

// paidSighting is of an order or invoice of which a payment was seen that settled: whether it is in the books. It says
// of an order of HighLevel's list, which tells nothing of payments, that it is due.
const paidSighting store.SightingKind = "paid"

// The digests of paidSighting.
const (
	paidUnbooked = "paid"
	paidBooked   = "booked"
)

// booksPageSize is enough for all entries of a page of HighLevel's.
const booksPageSize = 1000

// ledgerOf reads HighLevel's or Sage's entries of one kind, by HighLevel's id. At Sage there may be several of one id.
func ledgerOf(
	ctx context.Context, books *store.Store, location string, kind domain.EntryKind, side domain.Side, ids ...string,
) (map[string][]store.LedgerEntry, error) {
	found := make(map[string][]store.LedgerEntry, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	filter := store.EntryFilter{Location: location, Kind: kind, Side: side, IDs: ids, Page: store.Page{Limit: booksPageSize}}
	for {
		entries, next, err := books.Entries(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			found[e.ID] = append(found[e.ID], e)
		}
		if next == "" {
			return found, nil
		}
		filter.After = next
	}
}

// reading is one page of HighLevel's side on its way into the ledger.
type reading struct {
	g        *GHL
	client   *ghl.Client
	in       ReadBooksInput
	onlyTest bool
	// marked are the orders of the page's payments that are tests.
	marked map[string]bool
	// seenAt is before the page was asked for: what is read later counts more. With mark it is noted of unchanged entries
	// too, so that one run does not read them twice.
	seenAt time.Time
	mark   bool
	page   BooksPage
	// put are the entries that are new or changed, again what is to be brought although it is not, by kind.
	put   []store.LedgerEntry
	again map[domain.EntryKind][]string
}

// kept tells whether rows of this mode belong in the ledger, and how they are marked: test data is shown apart, unless
// it is what this location brings; then nothing else is.
func (r *reading) kept(test bool) (mark, ok bool) {
	if r.onlyTest {
		return false, test
	}
	return test, true
}

// entry adds what HighLevel says to what is to be stored, if that is anything new.
func (r *reading) entry(e domain.Entry, before []store.LedgerEntry) {
	e.Side = domain.HighLevelSide
	changed := true
	if len(before) > 0 {
		was := before[0]
		e.Apart = was.Apart // which the settings of Sage decide when it is brought
		changed = was.Digest != e.Digest()
		if !changed && was.UpdatedAt.Equal(e.UpdatedAt.Truncate(time.Microsecond)) && !r.in.Again && !r.mark {
			return
		}
	}
	if changed {
		r.page.Changed++
	} else if r.in.Again {
		r.again[e.Kind] = append(r.again[e.Kind], e.ID)
	}
	r.put = append(r.put, store.LedgerEntry{Location: r.in.Location, Entry: e, SeenAt: r.seenAt})
}

// keep stores the page.
func (r *reading) keep(ctx context.Context) error {
	if err := r.g.Store.PutEntries(ctx, r.put); err != nil {
		return err
	}
	for kind, ids := range r.again {
		if _, err := r.g.Store.Disagree(ctx, r.in.Location, kind, ids...); err != nil {
			return err
		}
	}
	return nil
}

// paidAt is when money came in: a bank may take days from when a payment was made.
func paidAt(t ghl.Transaction) time.Time {
	if t.FulfilledAt.IsZero() {
		return t.CreatedAt
	}
	return t.FulfilledAt
}

// early tells whether a row is from before the books began and nothing of it is in them.
func (r *reading) early(ctx context.Context, at time.Time, order string, before []store.LedgerEntry) (bool, error) {
	if len(before) > 0 || at.IsZero() || !at.Before(r.in.Window.Began) {
		return false, nil
	}
	if order == "" {
		return true, nil
	}
	_, inBooks, err := r.g.Store.Order(ctx, r.in.Location, order)
	return !inBooks, err
}

// unreadable parks rows of a page that cannot be read, so that somebody sees them.
func (r *reading) unreadable(ctx context.Context, kind domain.EntryKind, rows []ghl.RowError) error {
	for _, row := range rows {
		r.page.Unreadable++
		logger(ctx).Warn("a row of HighLevel cannot be read", "location", r.in.Location, "kind", string(kind), "id", row.ID, "reason", row.Reason)
		if row.ID == "" {
			continue
		}
		fault := faultf(Money, "the %s cannot be read: %s", kind, row.Reason)
		if err := parkInBooks(ctx, r.g.Store, r.in.Location, row.ID, fault); err != nil {
			return err
		}
	}
	return nil
}

// parkInBooks sets aside what the reconciliation cannot read or bring. It is tried again by each run.
func parkInBooks(ctx context.Context, books *store.Store, location, id string, fault *Fault) error {
	now := time.Now().UTC()
	item := store.Parked{
		Location: location, Process: BooksProcess, ObjectID: id, Kind: string(fault.Kind), Reason: fault.Error(),
		Candidates: fault.Candidates, ParkedAt: now, LastTry: now,
	}
	if activity.IsActivity(ctx) {
		item.WorkflowID = activity.GetInfo(ctx).WorkflowExecution.ID
	}
	return books.Park(ctx, item)
}

func (g *GHL) newReading(ctx context.Context, in ReadBooksInput) (*reading, *ghl.Client, error) {
	client, onlyTest, err := g.reach(ctx, in.Location)
	return &reading{
		g: g, client: client, in: in, onlyTest: onlyTest, seenAt: time.Now().UTC(), again: map[domain.EntryKind][]string{},
	}, client, err
}

func (g *GHL) readTransactions(ctx context.Context, in ReadBooksInput) (BooksPage, error) {
	r, client, err := g.newReading(ctx, in)
	if err != nil {
		return r.page, err
	}
	doing(ctx, "reading transactions")
	page, err := client.Transactions.Page(ctx, ghl.TransactionFilter{From: in.Window.From, To: in.Window.To}, in.At)
	if err != nil {
		return r.page, err
	}
	r.page.Rows, r.page.Next, r.page.Done = len(page.Rows)+len(page.Unreadable), page.Next, page.Done
	ids := make([]string, len(page.Rows))
	for i, t := range page.Rows {
		ids[i] = t.ID
	}
	paid, err := ledgerOf(ctx, g.Store, in.Location, domain.PaymentEntry, domain.HighLevelSide, ids...)
	if err != nil {
		return r.page, err
	}
	refunded, err := ledgerOf(ctx, g.Store, in.Location, domain.RefundEntry, domain.HighLevelSide, ids...)
	if err != nil {
		return r.page, err
	}
	if err := r.learnMarks(ctx, page.Rows); err != nil {
		return r.page, err
	}
	bad := page.Unreadable
	var settled []ghl.Transaction
	var failed error // what was read before it is kept, or a page of many reads would never come to its end where some fail
	for _, t := range page.Rows {
		counts, err := r.transaction(ctx, t, paid[t.ID], refunded[t.ID])
		if errors.Is(err, domain.ErrMoney) {
			bad = append(bad, ghl.RowError{ID: t.ID, Reason: err.Error()})
			continue
		}
		if failed = err; err != nil {
			break
		}
		if counts {
			settled = append(settled, t)
		}
	}
	if err := r.keep(ctx); err != nil {
		return r.page, err
	}
	if err := r.unreadable(ctx, domain.PaymentEntry, bad); err != nil {
		return r.page, err
	}
	return r.page, errors.Join(failed, r.lookForOrders(ctx, settled))
}

// invoicePayment is the Name of a payment that was booked on an invoice, which has an order under another id.
const invoicePayment = "invoice"

// orderOf is the order that a transaction is booked on, empty where it is booked on something else or nothing.
func orderOf(t ghl.Transaction) string {
	if t.EntityType == "" || strings.EqualFold(t.EntityType, "order") {
		return t.EntityID
	}
	return ""
}

// transaction adds what a transaction says of payment and refund, and tells whether it is money that was paid.
func (r *reading) transaction(ctx context.Context, t ghl.Transaction, paid, refunded []store.LedgerEntry) (bool, error) {
	test, ok := r.kept(t.Test)
	if !ok {
		return false, nil
	}
	payment, err := paymentOf(t)
	if err != nil {
		return false, err
	}
	e := domain.Entry{
		Kind: domain.PaymentEntry, ID: t.ID, SubscriptionID: t.SubscriptionID, ContactID: t.ContactID, Amount: payment.Amount,
		Status: string(payment.Clearing), Word: t.Status, At: payment.At, UpdatedAt: t.UpdatedAt, OrderID: orderOf(t),
	}
	if strings.EqualFold(t.EntityType, "invoice") {
		e.Name = invoicePayment
	}
	if early, err := r.early(ctx, e.At, e.OrderID, paid); early || err != nil {
		return false, err
	}
	if _, known := clearings[strings.ToLower(strings.TrimSpace(t.Status))]; !known && payment.Refunded.Minor > 0 {
		e.Status = string(domain.Settled) // what went back had come in, whatever the word for its state is (A131, A144)
	}
	if e.Test = test; !test {
		if e.Test, err = r.isMarked(ctx, e, paid); err != nil {
			return false, err
		}
	}
	r.entry(e, paid)
	if payment.Refunded.Minor > 0 || len(refunded) > 0 {
		r.entry(refundOf(e, payment.Refunded, r.seenAt, refunded), refunded)
	}
	return e.Counts(), nil
}

// refundOf is what a transaction says of its refunds. HighLevel has no date of a refund, and the transaction's last change
// comes nearest when it is first seen; from then on it stays (A140).
func refundOf(payment domain.Entry, amount domain.Money, seenAt time.Time, before []store.LedgerEntry) domain.Entry {
	e := payment
	e.Kind, e.Amount, e.Status, e.Word = domain.RefundEntry, amount, domain.RefundDone, payment.Word
	e.At = payment.UpdatedAt
	if e.At.IsZero() || e.At.Before(payment.At) {
		e.At = seenAt
	}
	if len(before) > 0 && !before[0].At.IsZero() {
		e.At = before[0].At
	}
	return e
}

// lookForOrders notes what is paid, and hands a hint for each paid order or invoice that never reached Sage. One that is
// parked is left to its own process.
func (r *reading) lookForOrders(ctx context.Context, settled []ghl.Transaction) error {
	var booked []store.Sighting
	byID := map[string]ghl.Transaction{}
	for _, t := range settled {
		kind := strings.ToLower(t.EntityType)
		if _, twice := byID[t.EntityID]; twice || t.EntityID == "" || kind != "" && kind != "order" && kind != "invoice" {
			continue
		}
		byID[t.EntityID] = t
		booked = append(booked, store.Sighting{
			Location: r.in.Location, Kind: paidSighting, ID: t.EntityID, Digest: paidBooked, SeenAt: r.seenAt,
		})
	}
	open, err := r.g.Store.Unseen(ctx, booked)
	if err != nil {
		return err
	}
	for i, s := range open {
		if byID[s.ID].Test != r.onlyTest {
			continue
		}
		inBooks, err := r.lookForOrder(ctx, byID[s.ID])
		if err != nil {
			return err
		}
		if !inBooks {
			open[i].Digest = paidUnbooked
		}
	}
	return r.g.Store.RecordSightings(ctx, open)
}

func (r *reading) lookForOrder(ctx context.Context, t ghl.Transaction) (inBooks bool, err error) {
	location, look, process := r.in.Location, r.g.Look.LookAtOrder, store.PaymentToOrder
	if strings.EqualFold(t.EntityType, "invoice") {
		// Which orders an invoice has is asked once, when its payment is first seen.
		look, process, inBooks = r.invoiceLook(t), store.InvoiceToOrder, true
	} else if _, inBooks, err = r.g.Store.Order(ctx, location, t.EntityID); err != nil || inBooks {
		return inBooks, err
	}
	if at := paidAt(t); !at.IsZero() && at.Before(r.in.Window.Began) {
		return inBooks, nil
	}
	_, parked, err := r.g.Store.ParkedItem(ctx, location, process, t.EntityID)
	if err != nil || parked {
		return inBooks, err
	}
	doing(ctx, "handing out hints")
	r.page.Looks++
	return inBooks, look(ctx, location, t.EntityID, "reconciliation")
}

// invoiceLag is how long after its payment the order of an invoice may still be on its way.
const invoiceLag = 24 * time.Hour

// invoiceLook is how the orders of a paid invoice are looked for: by a process that waits for them, or at once where they
// are there by now if there are any. A backfill would start thousands of the former.
func (r *reading) invoiceLook(t ghl.Transaction) func(ctx context.Context, location, invoice, event string) error {
	if at := paidAt(t); at.IsZero() || r.seenAt.Sub(at) < invoiceLag {
		return r.g.Look.LookAtInvoice
	}
	return func(ctx context.Context, location, invoice, _ string) error {
		_, err := r.g.lookAtOrdersOfInvoice(ctx, InvoiceInput{Location: location, InvoiceID: invoice})
		return err
	}
}

func (g *GHL) readOrderEntries(ctx context.Context, in ReadBooksInput) (BooksPage, error) {
	r, client, err := g.newReading(ctx, in)
	if err != nil {
		return r.page, err
	}
	if in.At.Offset < 0 {
		return r.page, r.recheckOrders(ctx, client)
	}
	doing(ctx, "reading orders")
	page, err := client.Orders.Page(ctx, ghl.OrderFilter{From: in.Window.From, To: in.Window.To}, in.At)
	if err != nil {
		return r.page, err
	}
	r.page.Rows, r.page.Next = len(page.Rows)+len(page.Unreadable), page.Next
	if page.Done {
		r.page.Next = OrdersToRecheck
	}
	ids := make([]string, len(page.Rows))
	for i, o := range page.Rows {
		ids[i] = o.ID
	}
	before, err := ledgerOf(ctx, g.Store, in.Location, domain.OrderEntry, domain.HighLevelSide, ids...)
	if err != nil {
		return r.page, err
	}
	paid, err := r.paidOf(ctx, page.Rows)
	if err != nil {
		return r.page, err
	}
	for _, o := range page.Rows {
		err := r.listed(ctx, o, paid[o.ID], before[o.ID])
		switch {
		case errors.Is(err, domain.ErrMoney): // its own process parks it, with the reason
			r.page.Unreadable++
		case err != nil:
			return r.page, err
		}
	}
	r.page.Unreadable += len(page.Unreadable)
	return r.page, r.keepOrders(ctx)
}

// listed adds what the list says of an order. It does not show marks, so one that was seen stays until the order changes:
// then it may have been taken back, and the process of the order looks.
func (r *reading) listed(ctx context.Context, o ghl.Order, paid bool, before []store.LedgerEntry) error {
	if len(before) > 0 && before[0].Test && !o.Test {
		if o.Test = before[0].UpdatedAt.Equal(o.UpdatedAt.Truncate(time.Microsecond)); !o.Test {
			r.page.Looks++
			if err := r.g.Look.LookAtOrder(ctx, r.in.Location, o.ID, "reconciliation"); err != nil {
				return err
			}
		}
	}
	return r.order(ctx, o, paid, before)
}

func (r *reading) keepOrders(ctx context.Context) error {
	if err := r.keep(ctx); err != nil {
		return err
	}
	changed := make([]string, len(r.put))
	for i, e := range r.put {
		changed[i] = e.ID
	}
	_, err := settleEntries(ctx, r.g.Store, r.in.Location, domain.OrderEntry, changed)
	return err
}

const (
	// ordersToRecheck is how many entries of the ledger a step looks at, each of which may take a call.
	ordersToRecheck = 200
	// recheckUnagreed begins the place of the second stage, in a cursor that is otherwise HighLevel's.
	recheckUnagreed = "unagreed "
)

// recheckOrders reads orders one by one, and sets where the next step goes on.
func (r *reading) recheckOrders(ctx context.Context, client *ghl.Client) error {
	token, second := strings.CutPrefix(r.in.At.Seen, recheckUnagreed)
	stage := r.paidOnly
	if second {
		stage = r.unagreedOrders
	}
	ids, next, err := stage(ctx, store.Page{Limit: ordersToRecheck, After: token})
	if err != nil {
		return err
	}
	if ids, err = r.unread(ctx, ids); err != nil {
		return err
	}
	switch {
	case second && next == "":
		r.page.Done = true
	case second:
		r.page.Next = ghl.Cursor{Offset: -1, Seen: recheckUnagreed + next}
	case next == "" && r.in.More:
		r.page.Done = true
	case next == "":
		r.page.Next = ghl.Cursor{Offset: -1, Seen: recheckUnagreed}
	default:
		r.page.Next = ghl.Cursor{Offset: -1, Seen: next}
	}
	r.mark = true
	before, err := ledgerOf(ctx, r.g.Store, r.in.Location, domain.OrderEntry, domain.HighLevelSide, ids...)
	if err != nil {
		return err
	}
	for i, id := range ids {
		doing(ctx, "reading orders one by one")
		order, err := client.Orders.Get(ctx, id)
		if ghl.IsNotFound(err) {
			continue // which proves nothing
		}
		if err == nil {
			r.page.Rows++
			err = r.order(ctx, order, !second, before[id])
		}
		switch {
		case errors.Is(err, domain.ErrMoney): // its own process parks it, with the reason
			r.page.Unreadable++
		case err != nil:
			return errors.Join(err, r.keepOrders(ctx), r.g.Store.RecordSightings(ctx, r.readings(ids[:i])))
		}
	}
	return r.keepOrders(ctx)
}

// orderReadSighting is of an order that was read by itself: in which run, so that a step that failed half way goes on
// behind it.
const orderReadSighting store.SightingKind = "order-read"

func (r *reading) readings(ids []string) []store.Sighting {
	run := stamp(r.in.Window.Opened)
	seen := make([]store.Sighting, len(ids))
	for i, id := range ids {
		seen[i] = store.Sighting{Location: r.in.Location, Kind: orderReadSighting, ID: id, Digest: run, SeenAt: r.seenAt}
	}
	return seen
}

// unread leaves out what an earlier attempt of this run has read.
func (r *reading) unread(ctx context.Context, ids []string) ([]string, error) {
	unseen, err := r.g.Store.Unseen(ctx, r.readings(ids))
	left := make([]string, len(unseen))
	for i, s := range unseen {
		left[i] = s.ID
	}
	return left, err
}

// paidOnly are orders of which the ledger has a payment of the window, and nothing else.
func (r *reading) paidOnly(ctx context.Context, page store.Page) ([]string, string, error) {
	payments, next, err := r.g.Store.Entries(ctx, store.EntryFilter{
		Location: r.in.Location, Kind: domain.PaymentEntry, Side: domain.HighLevelSide,
		From: r.in.Window.From.Add(-zoneMargin), Before: r.in.Window.To.Add(zoneMargin), Page: page,
	})
	if err != nil {
		return nil, "", err
	}
	var ids []string
	for _, e := range payments {
		if e.OrderID != "" && e.Counts() {
			ids = append(ids, e.OrderID)
		}
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	known, err := ledgerOf(ctx, r.g.Store, r.in.Location, domain.OrderEntry, domain.HighLevelSide, ids...)
	return slices.DeleteFunc(ids, func(id string) bool { return len(known[id]) > 0 }), next, err
}

// unagreedOrders are orders on which the sides disagree and that were not read in this run, and those that were read and
// are paid and in nobody's books. Those that stand for payments are not HighLevel's.
func (r *reading) unagreedOrders(ctx context.Context, page store.Page) ([]string, string, error) {
	orders, next, err := r.g.Store.Unagreed(ctx, r.in.Location, domain.OrderEntry, page)
	if err != nil {
		return nil, "", err
	}
	var ids []string
	for _, e := range orders {
		if strings.HasPrefix(e.ID, renewalPrefix) {
			continue
		}
		read := !e.SeenAt.Before(r.in.Window.Opened)
		if read && e.Counts() {
			// Why a paid order is not in the books may be a mark that the list does not show.
			if _, read, err = r.g.Store.Order(ctx, r.in.Location, e.ID); err != nil {
				return nil, "", err
			}
		}
		if !read {
			ids = append(ids, e.ID)
		}
	}
	return ids, next, nil
}

// paidOf tells for which orders money was seen, booked on them or on their invoice (A07).
func (r *reading) paidOf(ctx context.Context, orders []ghl.Order) (map[string]bool, error) {
	paid := map[string]bool{}
	for _, digest := range []string{paidBooked, paidUnbooked} {
		var ask []store.Sighting
		for _, o := range orders {
			for _, id := range []string{o.ID, o.Source.ID} {
				if id != "" {
					ask = append(ask, store.Sighting{Location: r.in.Location, Kind: paidSighting, ID: id, Digest: digest})
				}
			}
		}
		unseen, err := r.g.Store.Unseen(ctx, ask)
		if err != nil {
			return nil, err
		}
		open := map[string]bool{}
		for _, s := range unseen {
			open[s.ID] = true
		}
		for _, o := range orders {
			if !open[o.ID] || (o.Source.ID != "" && strings.EqualFold(o.Source.Type, "invoice") && !open[o.Source.ID]) {
				paid[o.ID] = true
			}
		}
	}
	return paid, nil
}

// order adds what a row says of an order. It is due once money was seen for it, when the books have it, and when there is
// nothing to pay (A05); of the status nothing else is concluded.
func (r *reading) order(ctx context.Context, o ghl.Order, paid bool, before []store.LedgerEntry) error {
	test, ok := r.kept(o.Test)
	if !ok {
		return nil
	}
	if !paid { // what was paid since the books began belongs in them, however old it is
		if early, err := r.early(ctx, o.CreatedAt, o.ID, before); early || err != nil {
			return err
		}
	}
	currency, err := domain.ParseCurrency(o.Currency)
	if err != nil {
		return fmt.Errorf("order %s: %w", o.ID, err)
	}
	e := domain.Entry{
		Kind: domain.OrderEntry, ID: o.ID, ContactID: o.ContactID, Status: domain.OrderNotDue, Word: o.Status, At: o.CreatedAt,
		UpdatedAt: o.UpdatedAt, Test: test,
	}
	if e.Amount, err = domain.ParseMoney(o.Amount, currency); err != nil {
		return fmt.Errorf("the amount of order %s: %w", o.ID, err)
	}
	due := paid || o.Amount.IsSet() && e.Amount.IsZero() && strings.EqualFold(o.Status, "completed")
	if !due && len(before) > 0 {
		due = before[0].Status == domain.OrderDue
	}
	if !due {
		if _, due, err = r.g.Store.Order(ctx, r.in.Location, o.ID); err != nil {
			return err
		}
	}
	if due {
		e.Status = domain.OrderDue
	}
	r.entry(e, before)
	return nil
}

func (g *GHL) readCustomer(ctx context.Context, in ReadCustomerInput) (BringCustomerInput, error) {
	customer := BringCustomerInput{Location: in.Location, ExtID: in.ExtID, Customer: domain.Customer{ContactID: in.ContactID}}
	if in.ContactID == "" {
		return customer, nil
	}
	client, err := g.Client(ctx, in.Location)
	if err != nil {
		return customer, err
	}
	doing(ctx, "reading the contact")
	contact, err := client.Contacts.Get(ctx, in.ContactID)
	if ghl.IsNotFound(err) {
		return customer, nil // merged or deleted: the id must do
	}
	if err == nil {
		customer.Customer = customerOf(in.ContactID, contact)
	}
	return customer, err
}
