package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// paymentsRun is one run of BringPayments.
type paymentsRun struct{ booksRun }

func (p *paymentsRun) run(ctx context.Context) error {
	if len(p.in.IDs) == 0 {
		return nil
	}
	if err := p.prepare(ctx, false); err != nil {
		return err
	}
	for ids := range slices.Chunk(p.in.IDs, broughtAtOnce) {
		keys := make([]string, len(ids))
		for i, id := range ids {
			keys[i] = domain.TransactionExtID(id)
		}
		claim, err := p.sage.claim(ctx, p.in.Location, keys...)
		if err != nil {
			return err
		}
		if err := claim.release(ctx, p.bring(ctx, claim, ids)); err != nil {
			return err
		}
	}
	return nil
}

// payment is a transaction on its way into the rows of sales.
type payment struct {
	id string
	// paid and refund are what HighLevel says; refund is nil where nothing was ever given back.
	paid, refund *store.LedgerEntry
	// steps are what the refund grew by, and when; see store.RefundStep.
	steps []store.RefundStep
	// known is what the ledger has of Sage, and rows what Sage has, deleted ones included.
	known []store.LedgerEntry
	rows  []bookedRow
	// created and updated tell what was written. fault is why it goes no further, waits that its customer is missing.
	// left is what failed in a way that may pass: the next attempt goes on with it.
	created, updated, waits, left bool
	fault                         error
}

// bookedRow is a row of sales. One from which people took our external id has it in lost.
type bookedRow struct {
	sage.Sale
	lost string
}

func (r bookedRow) extID() string {
	if r.lost != "" {
		return r.lost
	}
	return r.ExtID
}

// rowWant is a row as it should be.
type rowWant struct {
	extID string
	total domain.Money
	day   time.Time
	// anyDay leaves the day of a row that stands: HighLevel has no day of a later part of a refund.
	anyDay bool
}

// rowChange is what is to be done about a row: to make it, to write what differs, or to remove it.
type rowChange struct {
	want   rowWant
	id     int64 // 0 for a row to be made
	fields sage.SaleFields
	remove bool
}

// rounds is how often rows are read and written until they are right: once to write, once to read back, and once more if
// that showed what a late write had left.
const rounds = 3

func (p *paymentsRun) bring(ctx context.Context, claim *held, ids []string) error {
	payments, err := p.load(ctx, ids)
	if err != nil || len(payments) == 0 {
		return err
	}
	if err := p.applyRules(ctx, payments); err != nil {
		return err
	}
	seenAt, err := untilWritten(ctx, payments, p.find, func(ctx context.Context, open []*payment, round int) ([]*payment, error) {
		return p.write(ctx, claim, open, round)
	})
	if err != nil {
		return p.ends(err)
	}
	for _, one := range payments {
		if one.left {
			continue
		}
		if err = p.finish(ctx, one, seenAt); err != nil && !p.bears(ctx, err) {
			break
		}
		err = nil
	}
	return p.ends(errors.Join(err, p.keepBrought(ctx)))
}

// load reads what the ledger has of the transactions, and leaves out those of which nothing is to be brought.
func (p *paymentsRun) load(ctx context.Context, ids []string) ([]*payment, error) {
	books, location := p.sage.Store, p.in.Location
	paid, err := ledgerOf(ctx, books, location, domain.PaymentEntry, domain.HighLevelSide, ids...)
	if err != nil {
		return nil, err
	}
	refunds, err := ledgerOf(ctx, books, location, domain.RefundEntry, domain.HighLevelSide, ids...)
	if err != nil {
		return nil, err
	}
	rows, err := ledgerOf(ctx, books, location, domain.PaymentEntry, domain.SageSide, ids...)
	if err != nil {
		return nil, err
	}
	back, err := ledgerOf(ctx, books, location, domain.RefundEntry, domain.SageSide, ids...)
	if err != nil {
		return nil, err
	}
	steps, err := books.RefundSteps(ctx, location, slices.Collect(maps.Keys(refunds))...)
	if err != nil {
		return nil, err
	}
	var payments []*payment
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		if len(paid[id]) == 0 || paid[id][0].Test {
			continue
		}
		one := &payment{id: id, paid: &paid[id][0], steps: steps[id], known: slices.Concat(rows[id], back[id])}
		open := one.paid.Agreed != one.paid.Digest
		if len(refunds[id]) > 0 {
			one.refund = &refunds[id][0]
			open = open || one.refund.Agreed != one.refund.Digest
		}
		if open {
			payments = append(payments, one)
		}
	}
	return p.leaveMarked(ctx, payments)
}

// applyRules keeps apart what the settings want no rows of, and notes that in the ledger.
func (p *paymentsRun) applyRules(ctx context.Context, payments []*payment) error {
	s := p.conn.settings.Books
	var changed []store.LedgerEntry
	for _, one := range payments {
		apart := s.NoRows || one.paid.Amount.Currency != p.words.rows
		if one.paid.Apart != apart {
			one.paid.Apart = apart
			changed = append(changed, *one.paid) // with the moment at which it was seen, so that later news stay
		}
		if one.refund == nil {
			continue
		}
		apart = apart || s.Refunds == InsteadActivity || s.Refunds == InsteadSkip
		if one.refund.Apart != apart {
			one.refund.Apart = apart
			changed = append(changed, *one.refund)
		}
	}
	return p.sage.Store.PutEntries(ctx, changed)
}

// find reads what Sage has of the payments: by external id, parts of refunds by what those begin with, and rows that the
// ledger remembers by their own id, since people can take an external id away.
func (p *paymentsRun) find(ctx context.Context, payments []*payment) error {
	doing(ctx, "looking for rows of sales")
	byID := make(map[string]*payment, len(payments))
	asked := map[string]bool{}
	var refunded []*payment
	for _, one := range payments {
		byID[one.id], one.rows = one, nil
		asked[domain.TransactionExtID(one.id)] = true
		for _, e := range one.known {
			if e.ExtID != "" {
				asked[e.ExtID] = true
			}
		}
		if one.refund != nil {
			asked[domain.RefundExtID(one.id, one.refund.Amount.Minor)] = true
			for _, point := range stepPoints(one) {
				asked[domain.RefundExtID(one.id, point)] = true
			}
			refunded = append(refunded, one)
		}
	}
	found := map[int64]bool{}
	add := func(rows []sage.Sale) error {
		for _, row := range rows {
			_, e, ours := p.words.ofSale(row)
			one := byID[e.ID]
			if !ours || one == nil || found[row.ID] {
				continue
			}
			found[row.ID] = true
			one.rows = append(one.rows, bookedRow{Sale: row})
			if err := p.learn(ctx, row.Audit); err != nil {
				return err
			}
		}
		return nil
	}
	for extIDs := range slices.Chunk(slices.Sorted(maps.Keys(asked)), extIDsAtOnce) {
		rows, err := p.conn.Sales.Find(ctx, sage.In("extId", extIDs...))
		if err == nil {
			err = add(rows)
		}
		if err != nil {
			return err
		}
	}
	for some := range slices.Chunk(refunded, patternsAtOnce) {
		patterns := make([]sage.Where, len(some))
		for i, one := range some {
			patterns[i] = sage.Like("extId", domain.RefundExtIDPrefix+one.id+":%")
		}
		rows, err := p.conn.Sales.Find(ctx, sage.Or(patterns...))
		if err != nil && !refusesFilter(err) { // where patterns are refused, those that the ledger has must do (A111)
			return err
		}
		if err := add(rows); err != nil {
			return err
		}
	}
	return p.findRemembered(ctx, byID, found)
}

// patternsAtOnce is how many patterns go into one filter.
const patternsAtOnce = 15

// findRemembered reads the rows that the ledger has and that do not bear their external id any more.
func (p *paymentsRun) findRemembered(ctx context.Context, byID map[string]*payment, found map[int64]bool) error {
	lost := map[int64]store.LedgerEntry{}
	for _, one := range byID {
		for _, e := range one.known {
			if id := recordID(e); id != 0 && !found[id] {
				lost[id] = e
			}
		}
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(lost)), broughtAtOnce) {
		rows, err := p.conn.Sales.Find(ctx, sage.In("id", ids...))
		if err != nil {
			return err
		}
		for _, row := range rows {
			e := lost[row.ID]
			if e.Record != "" && !strings.HasPrefix(row.ExtID, domain.ExtIDPrefix) {
				one := byID[e.ID]
				one.rows = append(one.rows, bookedRow{Sale: row, lost: e.ExtID})
			}
		}
	}
	return nil
}

// write brings rows to what they should be, and results in the payments of which something was written, to be read back.
func (p *paymentsRun) write(ctx context.Context, claim *held, payments []*payment, round int) ([]*payment, error) {
	changes := map[*payment][]rowChange{}
	var make []domain.Entry
	for _, one := range payments {
		planned, err := p.plan(one)
		if err != nil {
			one.fault = err
			continue
		}
		if len(planned) == 0 {
			continue
		}
		if round == rounds-1 {
			one.fault = faultf(Mismatch, "the rows of payment %s were read back and are not what was written", one.id)
			if !gaveUp(ctx, one.fault) {
				return nil, one.fault
			}
			continue
		}
		changes[one] = planned
		if slices.ContainsFunc(planned, func(c rowChange) bool { return c.id == 0 }) {
			make = append(make, one.paid.Entry)
		}
	}
	accounts, err := p.accountsOf(ctx, make)
	if err != nil {
		return nil, err
	}
	var wrote []*payment
	for _, one := range payments {
		if len(changes[one]) == 0 {
			continue
		}
		account := accounts[one.id]
		if account.ID == 0 && slices.ContainsFunc(changes[one], func(c rowChange) bool { return c.id == 0 }) {
			one.waits = true
			continue
		}
		if err := p.carryOut(ctx, claim, one, account, changes[one]); err != nil {
			if one.left = !gaveUp(ctx, err); !one.left {
				one.fault = err
			} else if !p.bears(ctx, err) {
				return nil, err
			}
			continue
		}
		wrote = append(wrote, one)
	}
	return wrote, nil
}

// plan compares what there is with what should be.
func (p *paymentsRun) plan(one *payment) ([]rowChange, error) {
	wants, err := p.wants(one)
	if err != nil {
		return nil, err
	}
	var changes []rowChange
	for _, want := range wants {
		var live []bookedRow
		for _, row := range one.rows {
			if row.extID() == want.extID && !bool(row.Deleted) {
				live = append(live, row)
			}
		}
		if len(live) == 0 {
			changes = append(changes, rowChange{want: want})
			continue
		}
		keep := p.keeper(one, live)
		if fields, differs := p.differences(want, keep); differs {
			changes = append(changes, rowChange{want: want, id: keep.ID, fields: fields})
		}
		for _, row := range live {
			if row.ID != keep.ID && p.own.surplus(row.Audit) {
				changes = append(changes, rowChange{want: want, id: row.ID, remove: true})
			}
		}
	}
	return changes, nil
}

// keeper is the row that stays: the one that the ledger has, else the oldest.
func (p *paymentsRun) keeper(one *payment, live []bookedRow) bookedRow {
	slices.SortFunc(live, func(a, b bookedRow) int { return int(a.ID - b.ID) })
	for _, row := range live {
		if slices.ContainsFunc(one.known, func(e store.LedgerEntry) bool { return recordID(e) == row.ID && !e.Gone }) {
			return row
		}
	}
	return live[0]
}

// differences are the fields of a row to be set right. Its account is people's to change.
func (p *paymentsRun) differences(want rowWant, row bookedRow) (fields sage.SaleFields, differs bool) {
	if row.ExtID != want.extID {
		fields.ExtID, differs = &want.extID, true
	}
	if total := want.total.Decimal(); !row.Total.Equal(total) {
		fields.Total, differs = &total, true
	}
	if between := row.Date.UTC().Truncate(24 * time.Hour).Sub(want.day).Abs(); !want.anyDay && between > 24*time.Hour {
		day := sage.At(want.day)
		fields.Date, differs = &day, true
	}
	return fields, differs
}

// wants are the rows that a payment should have.
func (p *paymentsRun) wants(one *payment) ([]rowWant, error) {
	var wants []rowWant
	booked := slices.ContainsFunc(one.rows, func(r bookedRow) bool {
		return r.extID() == domain.TransactionExtID(one.id) && !bool(r.Deleted)
	})
	switch {
	case one.paid.Counts() && !one.paid.Apart:
		wants = append(wants, rowWant{extID: domain.TransactionExtID(one.id), total: one.paid.Amount, day: dayOf(one.paid.At)})
	case !one.paid.Counts() && booked:
		return nil, faultf(Conflict, "the books have payment %s, and HighLevel now calls it %q; look at it there, and remove its row "+
			"of sales in Sage if the money is gone", one.id, clip(one.paid.Word, nameLength))
	}
	if one.refund == nil || one.refund.Apart || !one.paid.Counts() || !one.refund.Counts() && !hasRefundRow(one) {
		return wants, nil
	}
	points, err := refundPoints(one)
	if err != nil {
		return nil, err
	}
	before := int64(0)
	for i, point := range points {
		day := one.refund.At
		if i > 0 {
			day = dayOfPart(one, point)
		}
		wants = append(wants, rowWant{extID: domain.RefundExtID(one.id, point), day: dayOf(day), anyDay: i > 0,
			total: domain.NewMoney(before-point, one.refund.Amount.Currency)})
		before = point
	}
	return wants, nil
}

// dayOfPart is when a later part was given back: the time of the ledger's step, so that both sides have it in one month, or
// where the ledger has none, when HighLevel last changed the transaction.
func dayOfPart(one *payment, upTo int64) time.Time {
	for _, step := range slices.Backward(one.steps) {
		if step.UpTo.Minor == upTo {
			return step.At
		}
	}
	if !one.refund.UpdatedAt.IsZero() {
		return one.refund.UpdatedAt
	}
	return one.refund.At
}

// stepPoints are the sums up to which the refund was seen to grow, up to what it is now; none where it ever fell, for what
// was then given back of which part nobody can tell.
func stepPoints(one *payment) []int64 {
	var points []int64
	for _, step := range one.steps {
		if step.Amount.Minor < 0 || step.Amount.Currency != one.refund.Amount.Currency {
			return nil
		}
		if step.UpTo.Minor <= one.refund.Amount.Minor {
			points = append(points, step.UpTo.Minor)
		}
	}
	return points
}

func hasRefundRow(one *payment) bool {
	return slices.ContainsFunc(one.rows, func(r bookedRow) bool {
		_, _, refund := domain.ParseRefundExtID(r.extID())
		return refund && !bool(r.Deleted)
	})
}

// refundPoints are the sums up to which rows of the refund exist, or existed, those that HighLevel was seen to say, and the
// one that it says now, in ascending order. Each row takes back what lies between two of them.
func refundPoints(one *payment) ([]int64, error) {
	points := map[int64]bool{}
	if one.refund.Amount.Minor > 0 {
		points[one.refund.Amount.Minor] = true
	}
	for _, point := range stepPoints(one) {
		points[point] = true
	}
	for _, row := range one.rows {
		_, point, refund := domain.ParseRefundExtID(row.extID())
		switch {
		case !refund:
		case point <= one.refund.Amount.Minor:
			points[point] = true
		case !bool(row.Deleted):
			return nil, faultf(Conflict, "the books have a refund of %s for payment %s, and HighLevel now says %s; look at it there, and "+
				"remove the rows of sales in Sage that take back too much",
				domain.NewMoney(point, one.refund.Amount.Currency), one.id, one.refund.Amount)
		}
	}
	return slices.Sorted(maps.Keys(points)), nil
}

// dayOf is the day of the books, in UTC; Sage's dates of sales are days without a zone (A139).
func dayOf(at time.Time) time.Time { return at.UTC().Truncate(24 * time.Hour) }

// carryOut writes the rows of one payment.
func (p *paymentsRun) carryOut(ctx context.Context, claim *held, one *payment, account sage.Account, changes []rowChange) error {
	for _, c := range changes {
		if err := claim.renew(ctx); err != nil {
			return err
		}
		switch {
		case c.remove:
			doing(ctx, "removing a second row of sales")
			logger(ctx).Warn("a second row of sales of one payment is removed", "location", p.in.Location, "extId", c.want.extID, "removed", c.id)
			if err := p.conn.Sales.Delete(ctx, c.id); err != nil {
				return err
			}
			p.result.Removed++
		case c.id != 0:
			doing(ctx, "setting a row of sales right")
			if err := p.conn.Sales.Update(ctx, c.id, c.fields); err != nil {
				return err
			}
			one.updated = true
		default:
			if err := p.make(ctx, one, account, c.want); err != nil {
				return err
			}
			one.created = true
		}
	}
	return nil
}

func (p *paymentsRun) make(ctx context.Context, one *payment, account sage.Account, want rowWant) error {
	rep, err := p.salesRepExtID(ctx)
	if err != nil {
		return err
	}
	doing(ctx, "making a row of sales")
	accountExtID, day, total := account.ExtID, sage.At(want.day), want.total.Decimal()
	if accountExtID == "" {
		accountExtID = customerExtID(one.paid.Entry)
	}
	id, err := p.conn.Sales.Create(ctx, sage.SaleFields{
		ExtID: &want.extID, AccountID: &account.ID, AccountExtID: &accountExtID, SalesRepExtID: &rep, Date: &day, Total: &total,
	})
	p.own.made[id] = err == nil
	if want.total.Minor < 0 && err != nil && faultOf(err).Kind == Invalid {
		return &Fault{Kind: Invalid, Err: err, Words: "Sage does not take a row of sales below 0; set SALES_REFUNDS to activity or " +
			"skip if the tenant never does"}
	}
	return err
}

// finish records what became of a payment.
func (p *paymentsRun) finish(ctx context.Context, one *payment, seenAt time.Time) error {
	if !one.waits { // also where a row is refused, such as that of a refund: what is beside it has no part in that
		if err := p.beside(ctx, one); err != nil {
			if !gaveUp(ctx, err) {
				return err
			}
			if one.fault == nil {
				one.fault = err
			}
		}
	}
	atSage := p.atSage(one, seenAt)
	switch {
	case one.fault != nil:
		if err := p.sage.Store.PutEntries(ctx, atSage); err != nil {
			return err
		}
		return p.park(ctx, one.id, one.fault)
	case one.waits:
		return p.sage.Store.PutEntries(ctx, atSage)
	}
	if one.paid.Apart || one.refund != nil && one.refund.Apart {
		p.result.Apart++
	}
	p.count(one.created, one.updated)
	if err := p.datedBySage(ctx, one); err != nil {
		return err
	}
	p.brought(one.id, atSage, one.paid, one.refund)
	return nil
}

// atSage is what Sage was seen to have; what the ledger has and Sage showed no more is gone.
func (p *paymentsRun) atSage(one *payment, seenAt time.Time) []store.LedgerEntry {
	var entries []store.LedgerEntry
	seen := map[int64]bool{}
	for _, row := range one.rows {
		if _, e, ours := p.words.ofSale(row.Sale); ours {
			seen[row.ID] = true
			entries = append(entries, store.LedgerEntry{Location: p.in.Location, Entry: p.words.asRecord(e, row.Audit), SeenAt: seenAt})
		}
	}
	for _, e := range one.known {
		if !seen[recordID(e)] && !e.Gone {
			e.Gone, e.SeenAt = true, seenAt
			entries = append(entries, e)
		}
	}
	return entries
}

// datedBySage takes the day of a refund over from its first row, where the ledger was lost: the row was made when the
// refund was first seen.
func (p *paymentsRun) datedBySage(ctx context.Context, one *payment) error {
	if one.refund == nil || !one.refund.AgreedAt.IsZero() || one.created {
		return nil
	}
	var first *sage.Sale
	least := int64(0)
	for _, row := range one.rows {
		_, point, refund := domain.ParseRefundExtID(row.ExtID)
		if refund && !bool(row.Deleted) && (first == nil || point < least) {
			first, least = &row.Sale, point
		}
	}
	if first == nil || first.Date.IsZero() || dayOf(first.Date.Time).Equal(dayOf(one.refund.At)) {
		return nil
	}
	one.refund.At = first.Date.Time
	return p.sage.Store.PutEntries(ctx, []store.LedgerEntry{*one.refund})
}

// recordID is the id of an entry's record, 0 for none.
func recordID(e store.LedgerEntry) int64 {
	var id int64
	if _, err := fmt.Sscan(e.Record, &id); err != nil {
		return 0
	}
	return id
}
