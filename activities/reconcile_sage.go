package activities

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// SageBooks is a part of Sage's side.
type SageBooks string

// The parts, in the order in which they are read. The last one is for full readings only: it looks for what was known and
// was not listed.
const (
	SageSalesRows     SageBooks = "sales"
	SageOpportunities SageBooks = "opportunities"
	SageOrders        SageBooks = "orders"
	SageUnlisted      SageBooks = "unlisted"
)

// SageBooksCursor is a place in a part. The zero value is its beginning.
type SageBooksCursor struct {
	// List is which of the part's lists is read: by creation, by change, by deletion. Below bounds the ids, which come in
	// descending order; 0 is no bound.
	List  int   `json:"list,omitempty"`
	Below int64 `json:"below,omitempty"`
	// After is where the part of what was not listed goes on.
	After string `json:"after,omitempty"`
}

// ReadSageBooksInput asks for some pages of a part.
type ReadSageBooksInput struct {
	Location string          `json:"location"`
	Window   BooksWindow     `json:"window"`
	Part     SageBooks       `json:"part"`
	At       SageBooksCursor `json:"at"`
}

// SageBooksPage is what became of them. Everything of it is in the ledger.
type SageBooksPage struct {
	// Rows were read that are ours, Changed of them say something else than before, Looks hints were handed out for orders
	// that differ.
	Rows    int `json:"rows"`
	Changed int `json:"changed"`
	Looks   int `json:"looks,omitempty"`
	// Newest is the latest change that was seen, by Sage's own clock; zero if there was none.
	Newest time.Time       `json:"newest,omitzero"`
	Next   SageBooksCursor `json:"next"`
	Done   bool            `json:"done"`
}

// SageBooksParts are the parts that a window's run reads, in their order.
func SageBooksParts(full bool) []SageBooks {
	parts := []SageBooks{SageSalesRows, SageOpportunities, SageOrders}
	if full {
		parts = append(parts, SageUnlisted)
	}
	return parts
}

// ReadSageBooks reads what changed at Sage into the ledger: booked sales, opportunities and orders that bear external ids
// of ours, deleted ones, duplicates and what people edited included. What agrees with HighLevel no more is to be brought
// again; orders get a hint.
func (a *Sage) ReadSageBooks(ctx context.Context, in ReadSageBooksInput) (SageBooksPage, error) {
	ctx, stop := alive(ctx)
	defer stop()
	r := &sageReading{sage: a, in: in}
	err := r.run(ctx)
	return r.page, a.fail(ctx, r.conn.settles(err))
}

// renewalPrefix begins the id of an order that stands for a payment without one.
const renewalPrefix = domain.RenewalOrderPrefix

// sageReading is one run of ReadSageBooks.
type sageReading struct {
	sage *Sage
	in   ReadSageBooksInput
	conn *connection
	page SageBooksPage

	words  booksWords
	seenAt time.Time
}

const (
	// booksAtOnce is how many rows a step reads at most, and sageBooksPage how many a call brings (A74).
	booksAtOnce   = 1200
	sageBooksPage = 300
)

func (r *sageReading) run(ctx context.Context) (err error) {
	r.page.Next = r.in.At
	r.seenAt = time.Now().UTC()
	if r.conn, err = r.sage.connect(ctx, r.in.Location); err != nil {
		return err
	}
	if r.words, err = r.conn.booksWords(ctx, r.in.Part == SageOpportunities || r.in.Part == SageUnlisted); err != nil {
		return err
	}
	if r.words.own, err = r.sage.ownUser(ctx, r.in.Location); err != nil {
		return err
	}
	var entries []store.LedgerEntry
	doing(ctx, "reading what changed at Sage")
	switch r.in.Part {
	case SageSalesRows:
		entries, err = readPart(ctx, r, r.conn.Sales.Resource, domain.ExtIDPrefix, r.words.ofSale)
	case SageOpportunities:
		entries, err = readPart(ctx, r, r.conn.Opportunities.Resource, domain.SubscriptionExtIDPrefix, r.words.ofOpportunity)
	case SageOrders:
		entries, err = readPart(ctx, r, r.conn.Orders.Resource, domain.OrderExtIDPrefix, r.words.ofOrder)
	case SageUnlisted:
		entries, err = r.unlisted(ctx)
	default:
		return faultf(Invalid, "Sage's books have no part %q", r.in.Part)
	}
	if err != nil {
		return err
	}
	return r.keep(ctx, entries)
}

// sageLists are the dates by which rows that changed are found: dateUpdated is null until the first change, and whether
// a deletion moves it is not documented (A110).
var sageLists = []string{"dateCreated", "dateUpdated", "dateDeleted"}

// readPart reads lists of a part until they are through or the step has read enough.
func readPart[T sage.Record, F any](
	ctx context.Context, r *sageReading, from *sage.Resource[T, F], prefix string,
	entry func(T) (sage.Audit, domain.Entry, bool),
) (entries []store.LedgerEntry, err error) {
	seen := map[string]bool{}
	for rows := 0; rows < booksAtOnce && !r.page.Done; {
		listed, n, err := readList(ctx, r, from, prefix, booksAtOnce-rows, entry)
		if err != nil {
			return nil, err
		}
		rows += n
		for _, e := range listed {
			if !seen[e.Record] { // most of what changed was made not long before
				seen[e.Record] = true
				entries = append(entries, e)
			}
		}
	}
	return entries, nil
}

// readList reads rows of one list in descending order of their ids, so that a page is found again whatever happened
// meanwhile (A141). A row that is made meanwhile has a higher id and is left to the next run, whose lists begin before
// this one. Where Sage refuses a pattern on external ids, the list is read without (A111); where it refuses to compare
// dates of deletion, there is no such list (A110).
func readList[T sage.Record, F any](
	ctx context.Context, r *sageReading, from *sage.Resource[T, F], prefix string, limit int,
	entry func(T) (sage.Audit, domain.Entry, bool),
) (entries []store.LedgerEntry, rows int, err error) {
	below := int64(0)
	for _, like := range []sage.Where{sage.Like("extId", prefix+"%"), {}} {
		refused := false
		for row, err := range from.List(ctx, sage.ListOptions{Where: r.where(like), Order: "id", PageSize: sageBooksPage}) {
			if last := like.IsZero(); refusesFilter(err) && rows == 0 && (!last || r.page.Next.List == len(sageLists)-1) {
				refused = true
				break
			}
			if err != nil {
				return nil, rows, err
			}
			audit, e, ours := entry(row)
			rows++
			below = audit.ID
			if touched := audit.TouchedAt(); touched.After(r.page.Newest) {
				r.page.Newest = touched
			}
			if ours {
				entries = append(entries, store.LedgerEntry{Location: r.in.Location, Entry: r.words.asRecord(e, audit), SeenAt: r.seenAt})
			}
			if rows == limit {
				break
			}
		}
		if !refused {
			break
		}
	}
	r.next(rows == limit, below)
	return entries, rows, nil
}

// next is where reading goes on: in the same list, in the next one, or nowhere.
func (r *sageReading) next(more bool, below int64) {
	switch {
	case more:
		r.page.Next.Below = below
	case r.in.Window.SageSince.IsZero(), r.page.Next.List >= len(sageLists)-1:
		r.page.Done = true
	default:
		r.page.Next = SageBooksCursor{List: r.page.Next.List + 1}
	}
}

func (r *sageReading) where(like sage.Where) sage.Where {
	var filters []sage.Where
	if since := r.in.Window.SageSince; !since.IsZero() {
		filters = append(filters, sage.Gt(sageLists[min(max(r.page.Next.List, 0), len(sageLists)-1)], since.Add(-sage.ChangedMargin)))
	}
	if !like.IsZero() {
		filters = append(filters, like)
	}
	if r.page.Next.Below > 0 {
		filters = append(filters, sage.Lt("id", r.page.Next.Below))
	}
	return sage.And(filters...)
}

// refusesFilter tells whether Sage may have refused a filter for what it asks.
func refusesFilter(err error) bool {
	e := transport.AsError(err)
	return e != nil && (e.Code == sage.CodeFilter || e.Status == http.StatusBadRequest && e.Code == "")
}

// editedByOthers tells whether somebody else than we wrote a record last or, as long as it is not known who we are,
// somebody else than its maker (A59).
func (w booksWords) editedByOthers(a sage.Audit) bool {
	last := a.CreatedBy
	if a.UpdatedBy.IsSet() {
		last = a.UpdatedBy
	}
	if w.own != 0 {
		return last.IsSet() && last.ID != w.own
	}
	return a.CreatedBy.IsSet() && last.ID != a.CreatedBy.ID
}

// unlistedAtOnce is how many records are looked for in a call.
const unlistedAtOnce = 40

// unlisted looks for records that a full reading did not list: hidden, or no longer under an external id of ours. That a
// list did not show them proves nothing, so each is asked for by its id.
func (r *sageReading) unlisted(ctx context.Context) ([]store.LedgerEntry, error) {
	kinds := domain.EntryKinds()
	if r.in.At.List < 0 || r.in.At.List >= len(kinds) {
		r.page.Done = true
		return nil, nil
	}
	kind := kinds[r.in.At.List]
	known, next, err := r.sage.Store.Entries(ctx, store.EntryFilter{
		Location: r.in.Location, Kind: kind, Side: domain.SageSide, SeenBefore: r.in.Window.Opened,
		Page: store.Page{Limit: unlistedAtOnce, After: r.in.At.After},
	})
	if err != nil {
		return nil, err
	}
	r.page.Next.After = next
	if next == "" {
		r.page.Next = SageBooksCursor{List: r.in.At.List + 1}
		r.page.Done = r.page.Next.List == len(kinds)
	}
	known = slices.DeleteFunc(known, func(e store.LedgerEntry) bool { return e.Gone })
	found, err := r.conn.lookUp(ctx, r.words, kind, known)
	if err != nil {
		return nil, err
	}
	for i, e := range known {
		now, there := found[e.Record]
		if !there || now.ExtID != e.ExtID {
			known[i].Gone = true
		} else {
			known[i].Entry = now
		}
		known[i].SeenAt = r.seenAt
	}
	return known, nil
}

// lookUp reads records of one kind by their ids.
func (c *connection) lookUp(
	ctx context.Context, words booksWords, kind domain.EntryKind, known []store.LedgerEntry,
) (map[string]domain.Entry, error) {
	var ids []int64
	for _, e := range known {
		if id, err := strconv.ParseInt(e.Record, 10, 64); err == nil {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	switch kind {
	case domain.OrderEntry:
		return foundBy(ctx, words, c.Orders.Resource, ids, words.ofOrder)
	case domain.SubscriptionEntry:
		return foundBy(ctx, words, c.Opportunities.Resource, ids, words.ofOpportunity)
	}
	return foundBy(ctx, words, c.Sales.Resource, ids, words.ofSale)
}

func foundBy[T sage.Record, F any](
	ctx context.Context, words booksWords, in *sage.Resource[T, F], ids []int64, entry func(T) (sage.Audit, domain.Entry, bool),
) (map[string]domain.Entry, error) {
	rows, err := in.Find(ctx, sage.In("id", ids...))
	found := make(map[string]domain.Entry, len(rows))
	for _, row := range rows {
		audit, e, ours := entry(row)
		if ours {
			e = words.asRecord(e, audit)
			found[e.Record] = e
		}
	}
	return found, err
}

func (w booksWords) asRecord(e domain.Entry, audit sage.Audit) domain.Entry {
	e.Side, e.Record, e.Gone = domain.SageSide, strconv.FormatInt(audit.ID, 10), bool(audit.Deleted)
	e.Edited, e.UpdatedAt = w.editedByOthers(audit), audit.TouchedAt()
	return e
}

// keep stores what was read, and draws the consequences of what is new of it.
func (r *sageReading) keep(ctx context.Context, entries []store.LedgerEntry) error {
	entries, err := r.ours(ctx, entries)
	if err != nil {
		return err
	}
	r.page.Rows += len(entries)
	changed, err := r.changed(ctx, entries)
	if err != nil {
		return err
	}
	if err := r.sage.Store.PutEntries(ctx, entries); err != nil {
		return err
	}
	for _, kind := range domain.EntryKinds() {
		for ids := range slices.Chunk(changed[kind], booksPageSize/2) {
			r.page.Changed += len(ids)
			differ, err := settleEntries(ctx, r.sage.Store, r.in.Location, kind, ids)
			if err != nil {
				return err
			}
			if kind == domain.OrderEntry {
				if err := r.look(ctx, differ); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// look hands a hint to the orders that differ, for their own process writes them. An order that stands for a payment is
// the reconciliation's.
func (r *sageReading) look(ctx context.Context, orders []string) error {
	for _, id := range orders {
		if transaction, renewal := strings.CutPrefix(id, renewalPrefix); renewal {
			if _, err := r.sage.Store.Disagree(ctx, r.in.Location, domain.PaymentEntry, transaction); err != nil {
				return err
			}
			continue
		}
		_, parked, err := r.sage.Store.ParkedItem(ctx, r.in.Location, store.PaymentToOrder, id)
		if err != nil {
			return err
		}
		if parked { // it is tried again by itself, or waits for a person
			continue
		}
		r.page.Looks++
		if err := r.sage.Look.LookAtOrder(ctx, r.in.Location, id, "reconciliation"); err != nil {
			return err
		}
	}
	return nil
}

// changed are the ids of the entries that say something else than the ledger has, by kind. Entries whose start Sage has no
// place for get HighLevel's, as the two cannot differ.
func (r *sageReading) changed(ctx context.Context, entries []store.LedgerEntry) (map[domain.EntryKind][]string, error) {
	byKind := map[domain.EntryKind][]int{}
	for i, e := range entries {
		byKind[e.Kind] = append(byKind[e.Kind], i)
	}
	changed := map[domain.EntryKind][]string{}
	for kind, places := range byKind {
		for some := range slices.Chunk(places, booksPageSize/2) {
			ids := make([]string, len(some))
			for n, i := range some {
				ids[n] = entries[i].ID
			}
			if kind == domain.OrderEntry {
				if err := r.dated(ctx, entries, some, ids); err != nil {
					return nil, err
				}
			}
			known, err := ledgerOf(ctx, r.sage.Store, r.in.Location, kind, domain.SageSide, ids...)
			if err != nil {
				return nil, err
			}
			for _, i := range some {
				e := entries[i]
				same := slices.ContainsFunc(known[e.ID], func(k store.LedgerEntry) bool {
					return k.Record == e.Record && k.Digest == e.Entry.Digest()
				})
				if !same && !slices.Contains(changed[kind], e.ID) {
					changed[kind] = append(changed[kind], e.ID)
				}
			}
		}
	}
	return changed, nil
}

// dated gives orders at Sage the day of HighLevel's: Sage only knows when its record was made.
func (r *sageReading) dated(ctx context.Context, entries []store.LedgerEntry, places []int, ids []string) error {
	here, err := ledgerOf(ctx, r.sage.Store, r.in.Location, domain.OrderEntry, domain.HighLevelSide, ids...)
	for _, i := range places {
		if known := here[entries[i].ID]; len(known) > 0 {
			entries[i].At = known[0].At
		}
	}
	return err
}

// ours leaves out what belongs to another location that shares the tenant. Where there are several locations, a record of
// which this one's books know nothing is nobody's until they do.
func (r *sageReading) ours(ctx context.Context, entries []store.LedgerEntry) ([]store.LedgerEntry, error) {
	all, next, err := r.sage.Store.Connections(ctx, store.ConnectionFilter{Page: store.Page{Limit: 2}})
	if err != nil || (len(all) < 2 && next == "") {
		return entries, err
	}
	known := map[domain.EntryKind]map[string]bool{}
	for _, kind := range domain.EntryKinds() {
		var ids []string
		for _, e := range entries {
			if e.Kind == kind {
				ids = append(ids, e.ID)
			}
		}
		known[kind] = map[string]bool{}
		for some := range slices.Chunk(ids, booksPageSize/2) {
			for _, side := range []domain.Side{domain.HighLevelSide, domain.SageSide} {
				found, err := ledgerOf(ctx, r.sage.Store, r.in.Location, kind, side, some...)
				if err != nil {
					return nil, err
				}
				for id := range found {
					known[kind][id] = true
				}
			}
		}
	}
	return slices.DeleteFunc(entries, func(e store.LedgerEntry) bool { return !known[e.Kind][e.ID] }), nil
}

// booksWords are what a tenant's records need to be read as entries.
type booksWords struct {
	// rows is the currency of the rows of sales.
	rows       domain.Currency
	currencies map[int64]domain.Currency
	stages     map[int64]domain.Stage
	fields     tenant // with the schema of opportunities
	// own is our user, 0 as long as it is not known.
	own int64
}

// booksWords reads them; one call where opportunities are concerned, since the tenant's fields are not remembered.
func (c *connection) booksWords(ctx context.Context, opportunities bool) (booksWords, error) {
	w := booksWords{currencies: map[int64]domain.Currency{}, stages: map[int64]domain.Stage{}, fields: c.tenant}
	currencies, err := c.Catalog.Currencies(ctx)
	if err != nil {
		return w, err
	}
	for _, one := range currencies {
		if code, err := domain.ParseCurrency(one.ISOCode); err == nil {
			w.currencies[one.ID] = code
		}
	}
	if w.rows, err = c.rowCurrency(ctx, currencies); err != nil {
		return w, err
	}
	if !opportunities {
		return w, nil
	}
	stages, err := c.Catalog.OpportunityStatuses(ctx)
	if err != nil {
		return w, err
	}
	for _, status := range stages {
		w.stages[status.ID] = stageOf(status)
	}
	for stage, id := range map[domain.Stage]int64{
		domain.StageOpen: c.settings.Books.OpportunityOpen, domain.StageWon: c.settings.Books.OpportunityWon,
		domain.StageLost: c.settings.Books.OpportunityLost,
	} {
		if id != 0 {
			w.stages[id] = stage
		}
	}
	w.fields.schema, err = c.Opportunities.Schema(ctx)
	return w, err
}

// stageOf reads a status as the published sample has it (A136).
func stageOf(s sage.OpportunityStatus) domain.Stage {
	switch {
	case !bool(s.EndStatus):
		return domain.StageOpen
	case string(s.Won) == "1", strings.EqualFold(string(s.Won), "true"):
		return domain.StageWon
	}
	return domain.StageLost
}

// rowCurrency is the one currency of the tenant's rows of sales, which name none: the one that is configured, or else the
// branch's, or else the only one that the tenant has (A142).
func (c *connection) rowCurrency(ctx context.Context, currencies []sage.Currency) (domain.Currency, error) {
	if code := c.settings.Books.Currency; code != "" {
		return domain.ParseCurrency(code)
	}
	branches, err := c.Catalog.Branches(ctx)
	if err != nil {
		return "", err
	}
	missing := &sage.MappingError{What: "currency of the rows of sales", Variable: "SALES_CURRENCY"}
	for _, b := range branches {
		if b.ID != c.tenant.branch || !b.CurrencyID.IsSet() {
			continue
		}
		if code, err := c.Catalog.CurrencyCode(ctx, b.CurrencyID.ID); err != nil || code != "" {
			return domain.Currency(code), err
		}
	}
	for _, one := range currencies {
		missing.Choices = append(missing.Choices, one.ISOCode)
	}
	switch {
	case len(currencies) == 1:
		return domain.ParseCurrency(currencies[0].ISOCode)
	case c.settings.Books.NoRows: // nothing is in it
		return "", nil
	}
	return "", missing
}

// amountIn reads an amount that people may have written. One that no money is counts as nothing, and says so.
func amountIn(number domain.Number, currency domain.Currency) (domain.Money, string) {
	amount, err := domain.ParseMoney(number, currency)
	if err != nil {
		return domain.NewMoney(0, currency), "not an amount: " + clip(number.String(), nameLength)
	}
	return amount, ""
}

// ofSale reads a row of sales: of a payment, or of a refund.
func (w booksWords) ofSale(s sage.Sale) (sage.Audit, domain.Entry, bool) {
	amount, word := amountIn(s.Total, w.rows)
	e := domain.Entry{ExtID: s.ExtID, Amount: amount, Word: word, At: s.Date.Time}
	if id, ours := strings.CutPrefix(s.ExtID, domain.TransactionExtIDPrefix); ours && id != "" {
		e.Kind, e.ID, e.Status = domain.PaymentEntry, id, string(domain.Settled)
		return s.Audit, e, true
	}
	id, _, ours := domain.ParseRefundExtID(s.ExtID)
	e.Kind, e.ID, e.Status, e.Amount.Minor = domain.RefundEntry, id, domain.RefundDone, -e.Amount.Minor
	return s.Audit, e, ours
}

// ofOrder reads an order. What the tenant has no currency for is in that of its rows.
func (w booksWords) ofOrder(o sage.Order) (sage.Audit, domain.Entry, bool) {
	id, ours := strings.CutPrefix(o.ExtID, domain.OrderExtIDPrefix)
	amount, word := amountIn(o.Total, cmp.Or(w.currencies[o.CurrencyID.ID], w.rows))
	return o.Audit, domain.Entry{
		Kind: domain.OrderEntry, ID: id, ExtID: o.ExtID, Amount: amount, Status: domain.OrderDue, Word: word, At: o.DateCreated.Time,
	}, ours && id != ""
}

// The facts of a subscription, as those of an order are kept: in extra fields of these names after the prefix, or else in
// the line of the comments.
const (
	factSubscription = "SubscriptionStatus"
	factWord         = "SubscriptionWord" // only where the state is unknown
	factInterval     = "SubscriptionInterval"
	factStarted      = "SubscriptionStarted"
	factProduct      = "SubscriptionProduct"
)

// subscriptionFacts are ours; all others in the line are left alone.
var subscriptionFacts = []string{factSubscription, factWord, factInterval, factStarted, factProduct}

// SubscriptionFacts lists the names of the extra fields of opportunities, without prefix, with the type each should have.
func SubscriptionFacts() map[string]sage.ExtraType {
	return map[string]sage.ExtraType{factSubscription: sage.ExtraText, factInterval: sage.ExtraText}
}

// fact is what an opportunity says of a fact, by the tenant's field or else by the line.
func (w booksWords) fact(o sage.Opportunity, name string) string {
	if field, ok := w.fields.field(name); ok {
		if text := o.Extra.Text(field.Name); text != "" || !field.Is("object") {
			return text
		}
	}
	return noteFact(o.Comments, name)
}

// ofOpportunity reads an opportunity that stands for a subscription. The state is the one written down, as long as the
// status of Sage is still of its stage; people who moved it on made it what its stage says.
func (w booksWords) ofOpportunity(o sage.Opportunity) (sage.Audit, domain.Entry, bool) {
	id, ours := strings.CutPrefix(o.ExtID, domain.SubscriptionExtIDPrefix)
	amount, word := amountIn(o.Total, cmp.Or(w.currencies[o.CurrencyID.ID], w.rows))
	e := domain.Entry{
		Kind: domain.SubscriptionEntry, ID: id, ExtID: o.ExtID, ProductID: w.fact(o, factProduct), Amount: amount,
		Word: cmp.Or(word, w.fact(o, factWord)), At: o.DateCreated.Time, Name: o.Reference,
		Every: recurrenceIn(w.fact(o, factInterval)),
	}
	if started, err := time.Parse(time.RFC3339, w.fact(o, factStarted)); err == nil {
		e.At = started
	}
	stage := w.stages[o.StatusID.ID]
	state := domain.SubscriptionState(w.fact(o, factSubscription))
	e.Status = string(cmp.Or(stage, domain.StageOpen))
	if slices.Contains(domain.SubscriptionStates(), state) && state.Stage() == stage {
		e.Status = string(state)
	}
	if state.Ended() {
		e.Until = o.LostDate.Time
	} else {
		e.Next = o.SalesForecastDate.Time
	}
	return o.Audit, e, ours && id != ""
}

// recurrenceIn reads what Recurrence.String wrote.
func recurrenceIn(text string) domain.Recurrence {
	count := int64(1)
	unit := text
	if _, err := fmt.Sscanf(text, "every %d %s", &count, &unit); err == nil {
		unit = strings.TrimSuffix(unit, "s")
	}
	every, _ := domain.RecurrenceOf(unit, count)
	return every
}
