package activities

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// BringBooksInput names what is to be brought into Sage.
type BringBooksInput struct {
	Location string `json:"location"`
	// IDs are HighLevel's: of transactions for BringPayments, of subscriptions for BringSubscriptions. Some dozens at once.
	IDs []string `json:"ids"`
}

// UnknownCustomer is a customer that Sage does not have yet, or no more, and what waits for them.
type UnknownCustomer struct {
	ExtID     string   `json:"extId"`
	ContactID string   `json:"contactId,omitempty"`
	IDs       []string `json:"ids"`
}

// BringBooksResult counts what became of them.
type BringBooksResult struct {
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	// Removed are second records of ours that a late write had left.
	Removed int `json:"removed,omitempty"`
	// Apart are kept out of the rows by rule: another currency, or refunds and rows that the settings do not want.
	Apart int `json:"apart,omitempty"`
	// Parked could not be brought; they are parked with the reason, and tried again in the next run.
	Parked int `json:"parked,omitempty"`
	// Waiting are payments whose order must be brought first: only its own process knows whether it belongs in the books.
	// Those of parked orders are not counted.
	Waiting int `json:"waiting,omitempty"`
	// Unknown are customers to be read with ReadCustomer and brought with BringCustomer, before their IDs are brought by
	// another call.
	Unknown []UnknownCustomer `json:"unknown,omitempty"`
}

// BringPayments makes Sage's booked sales say what HighLevel says of payments and their refunds, each row once, by
// external id.
func (a *Sage) BringPayments(ctx context.Context, in BringBooksInput) (BringBooksResult, error) {
	ctx, stop := alive(ctx)
	defer stop()
	p := &paymentsRun{booksRun{sage: a, in: in}}
	err := p.run(ctx)
	return p.result, a.fail(ctx, p.conn.settles(err))
}

// booksRun is what bringing payments and bringing subscriptions have in common.
type booksRun struct {
	sage   *Sage
	in     BringBooksInput
	conn   *connection
	words  booksWords
	own    own
	result BringBooksResult
	done   doneWith
	// failed are the faults of records that are left to the next attempt.
	failed []error
}

// prepare connects to the tenant, and reads what its opportunities look like where that matters.
func (b *booksRun) prepare(ctx context.Context, opportunities bool) (err error) {
	if b.conn, err = b.sage.connect(ctx, b.in.Location); err != nil {
		return err
	}
	if b.words, err = b.conn.booksWords(ctx, opportunities); err != nil {
		return err
	}
	b.own.made = map[int64]bool{}
	b.own.user, err = b.sage.ownUser(ctx, b.in.Location)
	b.words.own = b.own.user
	return err
}

const (
	// broughtAtOnce is how many records are brought under one claim, and looked for by their numbers in one call.
	broughtAtOnce = 40
	// extIDsAtOnce is how many external ids go into a call, those of refunds being the longest.
	extIDsAtOnce = 25
)

// gaveUp tells whether an error concerns one record, which is then parked, and the others go on. What concerns all, and
// what another attempt may mend, ends the step.
func gaveUp(ctx context.Context, err error) bool {
	fault := faultOf(err)
	switch fault.Kind {
	case ReadOnly, Reconnect, Paused, Unauthorized, Forbidden:
		return false
	}
	rule := Rules[fault.Kind]
	return !rule.Retry || (rule.Attempts > 0 && attempt(ctx) >= rule.Attempts)
}

// failuresBorne is with how many failed calls a vendor still counts as one that answers.
const failuresBorne = 10

// bears tells whether the others go on although a call for one record failed, in a way that may pass and says nothing of
// them. The step fails all the same, once they are through; its next attempt has only what is left. If it began anew at
// each fault instead, forty records would hardly ever come to their end where one call in ten fails.
func (b *booksRun) bears(ctx context.Context, err error) bool {
	switch faultOf(err).Kind {
	case Unavailable, OutcomeUnknown, Unknown:
	default:
		return false
	}
	if ctx.Err() != nil || len(b.failed) >= failuresBorne {
		return false
	}
	b.failed = append(b.failed, err)
	return true
}

// ends is the fault with which the step ends, nil if nothing failed and no record is left. A write that may have landed
// comes first: it is to be waited for, and its claim kept.
func (b *booksRun) ends(err error) error {
	var landed, others []error
	for _, e := range append(b.failed, err) {
		switch {
		case e == nil:
		case faultOf(e).Kind == OutcomeUnknown:
			landed = append(landed, e)
		default:
			others = append(others, e)
		}
	}
	return errors.Join(append(landed, others...)...)
}

func (b *booksRun) park(ctx context.Context, id string, err error) error {
	b.result.Parked++
	return parkInBooks(ctx, b.sage.Store, b.in.Location, id, faultOf(err))
}

// doneWith are the records of a claim that were brought, on their way into the ledger: they are written there together,
// as each by itself would take three commits.
type doneWith struct {
	atSage []store.LedgerEntry
	agreed []store.Agreement
	ids    []string
}

// brought is what the ledger keeps of a record that was brought, once keepBrought is called.
func (b *booksRun) brought(id string, atSage []store.LedgerEntry, entries ...*store.LedgerEntry) {
	b.done.atSage = append(b.done.atSage, atSage...)
	for _, e := range entries {
		if e != nil {
			b.done.agreed = append(b.done.agreed, store.Agreement{Kind: e.Kind, ID: e.ID, Digest: e.Entry.Digest()})
		}
	}
	b.done.ids = append(b.done.ids, id)
}

// keepBrought writes into the ledger what was brought: what Sage has first, and that it was agreed on after that.
func (b *booksRun) keepBrought(ctx context.Context) error {
	done := b.done
	b.done = doneWith{}
	if err := b.sage.Store.PutEntries(ctx, done.atSage); err != nil {
		return err
	}
	if err := b.sage.Store.Agree(ctx, b.in.Location, done.agreed...); err != nil {
		return err
	}
	return b.sage.Store.Unpark(ctx, b.in.Location, BooksProcess, done.ids...)
}

// count adds a record by the writes it took.
func (b *booksRun) count(created, updated bool) {
	switch {
	case created:
		b.result.Created++
	case updated:
		b.result.Updated++
	default:
		b.result.Unchanged++
	}
}

// customerExtID is the identity of who paid: the contact, or the guest of an order, or nobody known.
func customerExtID(e domain.Entry) string {
	if e.ContactID != "" {
		return domain.ContactExtID(e.ContactID)
	}
	return domain.GuestExtID(cmp.Or(e.OrderID, e.ID))
}

// accountsOf finds the accounts of some entries, by the entries' ids: that of the entry's order, where people may have
// moved it, or else the customer's. What has none goes into the result, to be brought first.
func (b *booksRun) accountsOf(ctx context.Context, entries []domain.Entry) (map[string]sage.Account, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	doing(ctx, "looking for accounts")
	byOrder, booked, err := b.accountsOfOrders(ctx, entries)
	if err != nil {
		return nil, err
	}
	extIDs := make([]string, len(entries))
	for i, e := range entries {
		extIDs[i] = customerExtID(e)
	}
	links, err := b.sage.Store.Links(ctx, b.in.Location, store.Account, extIDs...)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, 0, 2*len(entries))
	for _, e := range entries {
		ids = append(ids, byOrder[e.ID], links[customerExtID(e)].SageID)
	}
	live, err := b.liveAccounts(ctx, ids)
	if err != nil {
		return nil, err
	}
	found := make(map[string]sage.Account, len(entries))
	for _, e := range entries {
		if e.Kind == domain.PaymentEntry && e.OrderID != "" && !booked[e.ID] {
			if err := b.wait(ctx, e); err != nil {
				return nil, err
			}
			continue
		}
		extID := customerExtID(e)
		account, ok := live[byOrder[e.ID]]
		if !ok {
			account, ok = live[links[extID].SageID]
		}
		if ok {
			found[e.ID] = account
			continue
		}
		if err := b.unknown(ctx, e, extID, links[extID].SageID != 0, booked[e.ID]); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// accountsOfOrders reads the accounts of the orders that the books have, and tells which entries' those are.
func (b *booksRun) accountsOfOrders(ctx context.Context, entries []domain.Entry) (map[string]int64, map[string]bool, error) {
	accounts, booked := map[string]int64{}, map[string]bool{}
	byOrder := map[int64][]string{}
	var orders []int64
	for _, e := range entries {
		if e.OrderID == "" {
			continue
		}
		rec, inBooks, err := b.sage.Store.Order(ctx, b.in.Location, e.OrderID)
		if err != nil {
			return nil, nil, err
		}
		if inBooks && rec.SageID != 0 {
			booked[e.ID] = true
			orders = append(orders, rec.SageID)
			byOrder[rec.SageID] = append(byOrder[rec.SageID], e.ID)
		}
	}
	for some := range slices.Chunk(unique(orders), broughtAtOnce) {
		rows, err := b.conn.Orders.Find(ctx, sage.In("id", some...))
		if err != nil {
			return nil, nil, err
		}
		for _, row := range rows {
			for _, id := range byOrder[row.ID] {
				if !bool(row.Deleted) {
					accounts[id] = row.AccountID.ID
				}
			}
		}
	}
	return accounts, booked, nil
}

func (b *booksRun) liveAccounts(ctx context.Context, ids []int64) (map[int64]sage.Account, error) {
	live := map[int64]sage.Account{}
	for some := range slices.Chunk(unique(ids), broughtAtOnce) {
		rows, err := b.conn.Accounts.Find(ctx, sage.In("id", some...))
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if !bool(row.Deleted) {
				live[row.ID] = row
			}
		}
	}
	return live, nil
}

// unique sorts ids, without 0 and without repetitions.
func unique(ids []int64) []int64 {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	return slices.DeleteFunc(ids, func(id int64) bool { return id == 0 })
}

// wait counts what waits for its order. One that is parked does not come soon.
func (b *booksRun) wait(ctx context.Context, e domain.Entry) error {
	_, parked, err := b.sage.Store.ParkedItem(ctx, b.in.Location, store.PaymentToOrder, e.OrderID)
	if err == nil && !parked {
		b.result.Waiting++
	}
	return err
}

// unknown notes that an entry's customer is not at Sage, or not any more. A guest is known from the order alone, so what a
// guest paid waits for it.
func (b *booksRun) unknown(ctx context.Context, e domain.Entry, extID string, stale, booked bool) error {
	if stale {
		for _, kind := range []store.LinkKind{store.Account, store.Contact} {
			if err := b.sage.Store.DropLinks(ctx, b.in.Location, kind, extID); err != nil {
				return err
			}
		}
	}
	if e.ContactID == "" && e.OrderID != "" && !booked {
		return b.wait(ctx, e)
	}
	at := slices.IndexFunc(b.result.Unknown, func(u UnknownCustomer) bool { return u.ExtID == extID })
	if at < 0 {
		at = len(b.result.Unknown)
		b.result.Unknown = append(b.result.Unknown, UnknownCustomer{ExtID: extID, ContactID: e.ContactID})
	}
	b.result.Unknown[at].IDs = append(b.result.Unknown[at].IDs, e.ID)
	return nil
}

// untilWritten looks for records and writes what differs, round by round, until nothing is open: what was written is read
// back by the next round. It tells when the last look began, as of which the records are what they were seen to be.
func untilWritten[T any](
	ctx context.Context, open []T, find func(context.Context, []T) error,
	write func(ctx context.Context, open []T, round int) ([]T, error),
) (seenAt time.Time, err error) {
	seenAt = time.Now().UTC()
	for round := 0; len(open) > 0; round++ {
		seenAt = time.Now().UTC()
		if err := find(ctx, open); err != nil {
			return seenAt, err
		}
		if open, err = write(ctx, open, round); err != nil {
			return seenAt, err
		}
	}
	return seenAt, nil
}

// salesRepExtID names the owner of new rows: by the external id, or else by the number (A143).
func (b *booksRun) salesRepExtID(ctx context.Context) (string, error) {
	if named := b.conn.settings.Books.SalesRepExtID; named != "" {
		return named, nil
	}
	users, err := b.conn.Catalog.Users(ctx)
	for _, user := range users {
		if user.ID == b.conn.tenant.salesRep && user.ExtID != "" {
			return user.ExtID, nil
		}
	}
	return strconv.FormatInt(b.conn.tenant.salesRep, 10), err
}
