package activities

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// BringSubscriptions makes one opportunity of each subscription, by external id.
func (a *Sage) BringSubscriptions(ctx context.Context, in BringBooksInput) (BringBooksResult, error) {
	ctx, stop := alive(ctx)
	defer stop()
	s := &subscriptionsRun{booksRun: booksRun{sage: a, in: in}}
	err := s.run(ctx)
	return s.result, a.fail(ctx, s.conn.settles(err))
}

// subscriptionsRun is one run of BringSubscriptions.
type subscriptionsRun struct {
	booksRun
	statuses map[domain.Stage]int64
}

// opportunitiesResource is as SAGE_DEFAULT_FIELDS calls it.
const opportunitiesResource = "opportunities"

func (s *subscriptionsRun) run(ctx context.Context) error {
	if len(s.in.IDs) == 0 {
		return nil
	}
	if err := s.prepare(ctx, true); err != nil {
		return err
	}
	if err := s.resolve(ctx); err != nil {
		return err
	}
	for ids := range slices.Chunk(s.in.IDs, broughtAtOnce) {
		keys := make([]string, len(ids))
		for i, id := range ids {
			keys[i] = domain.SubscriptionExtID(id)
		}
		claim, err := s.sage.claim(ctx, s.in.Location, keys...)
		if err != nil {
			return err
		}
		if err := claim.release(ctx, s.bring(ctx, claim, ids)); err != nil {
			return err
		}
	}
	return nil
}

// resolve learns which status of the tenant each stage is.
func (s *subscriptionsRun) resolve(ctx context.Context) error {
	chosen := s.conn.settings.Books
	s.statuses = map[domain.Stage]int64{}
	for _, one := range []struct {
		stage    domain.Stage
		outcome  sage.Outcome
		id       int64
		variable string
	}{
		{domain.StageOpen, sage.Open, chosen.OpportunityOpen, "SAGE_OPPORTUNITY_STATUS_OPEN"},
		{domain.StageWon, sage.Won, chosen.OpportunityWon, "SAGE_OPPORTUNITY_STATUS_WON"},
		{domain.StageLost, sage.Lost, chosen.OpportunityLost, "SAGE_OPPORTUNITY_STATUS_LOST"},
	} {
		id := one.id
		if id == 0 {
			var err error
			if id, err = s.conn.Catalog.OpportunityStatus(ctx, one.outcome, s.conn.tenant.branch, one.variable); err != nil {
				return err
			}
		}
		s.statuses[one.stage] = id
	}
	return nil
}

// agreement is a subscription on its way into its opportunity.
type agreement struct {
	id    string
	plan  *store.LedgerEntry
	known []store.LedgerEntry
	rows  []sage.Opportunity // deleted ones included
	// created and updated tell what was written. fault is why it goes no further, waits that its customer is missing.
	// left is what failed in a way that may pass: the next attempt goes on with it.
	created, updated, waits, left bool
	fault                         error
}

func (s *subscriptionsRun) bring(ctx context.Context, claim *held, ids []string) error {
	all, err := s.load(ctx, ids)
	if err != nil || len(all) == 0 {
		return err
	}
	seenAt, err := untilWritten(ctx, all, s.find, func(ctx context.Context, open []*agreement, round int) ([]*agreement, error) {
		return s.write(ctx, claim, open, round)
	})
	if err == nil {
		err = s.linkOrders(ctx, all)
	}
	if err != nil {
		return s.ends(err)
	}
	for _, one := range all {
		if one.left {
			continue
		}
		if err = s.finish(ctx, one, seenAt); err != nil {
			break
		}
	}
	return s.ends(errors.Join(err, s.keepBrought(ctx)))
}

func (s *subscriptionsRun) load(ctx context.Context, ids []string) ([]*agreement, error) {
	here, err := ledgerOf(ctx, s.sage.Store, s.in.Location, domain.SubscriptionEntry, domain.HighLevelSide, ids...)
	if err != nil {
		return nil, err
	}
	there, err := ledgerOf(ctx, s.sage.Store, s.in.Location, domain.SubscriptionEntry, domain.SageSide, ids...)
	var all []*agreement
	for _, id := range slices.Sorted(maps.Keys(here)) {
		if plan := &here[id][0]; !plan.Test && plan.Agreed != plan.Digest {
			all = append(all, &agreement{id: id, plan: plan, known: there[id]})
		}
	}
	return all, err
}

// find reads the opportunities, by external id, and those that the ledger remembers by their own.
func (s *subscriptionsRun) find(ctx context.Context, all []*agreement) error {
	doing(ctx, "looking for opportunities")
	byExtID := make(map[string]*agreement, len(all))
	for _, one := range all {
		byExtID[domain.SubscriptionExtID(one.id)], one.rows = one, nil
	}
	var rows []sage.Opportunity
	for extIDs := range slices.Chunk(slices.Sorted(maps.Keys(byExtID)), extIDsAtOnce) {
		some, err := s.conn.Opportunities.Find(ctx, sage.In("extId", extIDs...))
		if err != nil {
			return err
		}
		rows = append(rows, some...)
	}
	lost := map[int64]*agreement{}
	for _, one := range all {
		for _, e := range one.known {
			if id := recordID(e); id != 0 {
				lost[id] = one
			}
		}
	}
	for _, row := range rows {
		if one := byExtID[row.ExtID]; one != nil { // what merely looks alike to Sage is somebody else's
			one.rows = append(one.rows, row)
			delete(lost, row.ID)
			if err := s.learn(ctx, row.Audit); err != nil {
				return err
			}
		}
	}
	if len(lost) == 0 {
		return nil
	}
	rows, err := s.conn.Opportunities.Find(ctx, sage.In("id", slices.Sorted(maps.Keys(lost))...))
	for _, row := range rows {
		if one := lost[row.ID]; one != nil && !strings.HasPrefix(row.ExtID, domain.ExtIDPrefix) {
			one.rows = append(one.rows, row)
		}
	}
	return err
}

// write brings opportunities to what they should be, and results in those of which something was written.
func (s *subscriptionsRun) write(ctx context.Context, claim *held, all []*agreement, round int) ([]*agreement, error) {
	var missing []domain.Entry
	for _, one := range all {
		if one.keeper() == nil {
			missing = append(missing, one.plan.Entry)
		}
	}
	accounts, err := s.accountsOf(ctx, missing)
	if err != nil {
		return nil, err
	}
	var wrote []*agreement
	for _, one := range all {
		var done bool
		if one.keeper() == nil && accounts[one.id].ID == 0 {
			one.waits = true
			continue
		}
		if done, err = s.writeOne(ctx, claim, one, accounts[one.id].ID, round); err != nil {
			if one.left = !gaveUp(ctx, err); !one.left {
				one.fault = err
			} else if !s.bears(ctx, err) {
				return nil, err
			}
			continue
		}
		if done {
			wrote = append(wrote, one)
		}
	}
	return wrote, nil
}

// keeper is the live opportunity that stays: the one that the ledger has, else the oldest.
func (one *agreement) keeper() *sage.Opportunity {
	slices.SortFunc(one.rows, func(a, b sage.Opportunity) int { return cmp.Compare(a.ID, b.ID) })
	var kept *sage.Opportunity
	for i, row := range one.rows {
		if bool(row.Deleted) {
			continue
		}
		if slices.ContainsFunc(one.known, func(e store.LedgerEntry) bool { return recordID(e) == row.ID && !e.Gone }) {
			return &one.rows[i]
		}
		if kept == nil {
			kept = &one.rows[i]
		}
	}
	return kept
}

// writeOne makes or corrects one opportunity, and tells whether it wrote anything.
func (s *subscriptionsRun) writeOne(ctx context.Context, claim *held, one *agreement, account int64, round int) (bool, error) {
	kept := one.keeper()
	if kept == nil {
		if round == rounds-1 {
			return false, faultf(Mismatch, "the opportunity of subscription %s was made and is not to be found", one.id)
		}
		one.created = true
		if err := claim.renew(ctx); err != nil {
			return false, err
		}
		doing(ctx, "making an opportunity")
		fields, err := s.fresh(ctx, one, account)
		if err != nil {
			return false, err
		}
		id, err := s.conn.Opportunities.Create(ctx, fields)
		s.own.made[id] = err == nil
		return err == nil, err
	}
	removed, err := s.removeSurplus(ctx, claim, one, *kept)
	if err != nil {
		return removed, err
	}
	fields, differs, err := s.differences(ctx, one, *kept)
	if err != nil || !differs {
		return removed, err
	}
	if why := kept.Locked(); why != "" {
		return false, &Fault{Kind: Conflict, Candidates: []int64{kept.ID},
			Words: "the opportunity of subscription " + one.id + " is " + why + " and is left alone"}
	}
	if round == rounds-1 {
		return false, faultf(Mismatch, "the opportunity %d was read back and is not what was written", kept.ID)
	}
	if err := claim.renew(ctx); err != nil {
		return false, err
	}
	doing(ctx, "setting an opportunity right")
	one.updated = true
	return true, s.conn.Opportunities.Update(ctx, kept.ID, fields)
}

// removeSurplus removes what a write of unknown outcome may have left: only what we made, and nobody else touched.
func (s *subscriptionsRun) removeSurplus(
	ctx context.Context, claim *held, one *agreement, kept sage.Opportunity,
) (removed bool, err error) {
	for _, row := range one.rows {
		if row.ID == kept.ID || row.ExtID != domain.SubscriptionExtID(one.id) || row.Locked() != "" || !s.own.surplus(row.Audit) {
			continue
		}
		if err := claim.renew(ctx); err != nil {
			return removed, err
		}
		logger(ctx).Warn("a second opportunity of one subscription is removed", "location", s.in.Location, "subscription", one.id,
			"kept", kept.ID, "removed", row.ID)
		if err := s.conn.Opportunities.Delete(ctx, row.ID); err != nil {
			return removed, err
		}
		s.result.Removed++
		removed = true
	}
	return removed, nil
}

// fresh are the fields of an opportunity to be made.
func (s *subscriptionsRun) fresh(ctx context.Context, one *agreement, account int64) (sage.OpportunityFields, error) {
	reference := clip(cmp.Or(one.plan.Name, "Subscription "+one.id), nameLength)
	probability := s.conn.settings.Books.Probability
	fields, _, err := s.differences(ctx, one, sage.Opportunity{})
	fields.Reference, fields.AccountID, fields.BranchID = &reference, &account, &s.conn.tenant.branch
	fields.SalesRepID, fields.SalesProbability = &s.conn.tenant.salesRep, &probability
	extra := s.conn.tenant.defaults(opportunitiesResource)
	if extra == nil {
		extra = sage.ExtraFields{}
	}
	maps.Copy(extra, fields.Extra)
	fields.Extra = extra
	return fields, err
}

// differences are the fields of ours that are not as they should be. Name, account, owner and probability are people's to
// change, and so is the status within a stage.
func (s *subscriptionsRun) differences(
	ctx context.Context, one *agreement, row sage.Opportunity,
) (fields sage.OpportunityFields, differs bool, err error) {
	plan := one.plan.Entry
	state := domain.SubscriptionState(plan.Status)
	if extID := domain.SubscriptionExtID(one.id); row.ExtID != extID {
		fields.ExtID, differs = &extID, true
	}
	if total := plan.Amount.Decimal(); row.ID == 0 || !row.Total.Equal(total) {
		fields.Total, differs = &total, true
	}
	currency, err := s.conn.tenant.currency(ctx, plan.Amount.Currency)
	if err != nil {
		return fields, differs, err
	}
	if row.CurrencyID.ID != currency {
		fields.CurrencyID, differs = &currency, true
	}
	stage, known := s.words.stages[row.StatusID.ID]
	if !known || stage != state.Stage() {
		status := s.statuses[state.Stage()]
		fields.StatusID, differs = &status, true
	}
	for _, date := range []struct {
		want time.Time
		have sage.Time
		into **sage.Time
		owed bool // a date that HighLevel does not give is taken out
	}{
		{plan.Next, row.SalesForecastDate, &fields.SalesForecastDate, false},
		{wonAt(plan), row.WonDate, &fields.WonDate, false},
		{plan.Until, row.LostDate, &fields.LostDate, !state.Ended()},
	} {
		if apart(date.want, date.have.Time, date.owed) {
			day := sage.Time{}
			if !date.want.IsZero() {
				day = sage.At(dayOf(date.want))
			}
			*date.into, differs = &day, true
		}
	}
	if s.factDifferences(plan, row, &fields) {
		differs = true
	}
	if differs && row.ID != 0 {
		probability := s.conn.settings.Books.Probability
		if whole, ok := row.SalesProbability.Int64(); ok && row.SalesProbability.IsSet() {
			probability = whole
		}
		fields.SalesProbability = &probability // it is demanded of each write (A134)
	}
	return fields, differs, nil
}

// wonAt is when a subscription was won: it began, whatever became of it since.
func wonAt(plan domain.Entry) time.Time {
	if domain.SubscriptionState(plan.Status).Stage() == domain.StageOpen {
		return time.Time{}
	}
	return plan.At
}

// apart tells whether a date is to be written. A day more or less is Sage's zone (A60).
func apart(want, have time.Time, owed bool) bool {
	switch {
	case want.IsZero():
		return owed && !have.IsZero()
	case have.IsZero():
		return true
	}
	return dayOf(want).Sub(dayOf(have)).Abs() > 24*time.Hour
}

// factDifferences adds the facts that the opportunity does not show as they are.
func (s *subscriptionsRun) factDifferences(plan domain.Entry, row sage.Opportunity, fields *sage.OpportunityFields) bool {
	word := ""
	if plan.Status == string(domain.SubscriptionUnknown) {
		word = cmp.Or(plan.Word, "(none)")
	}
	extra := sage.ExtraFields{}
	var rest []fact
	for _, f := range []fact{
		{factSubscription, plan.Status}, {factWord, clip(word, nameLength)}, {factInterval, plan.Every.String()},
		{factStarted, plan.At},
		// The list names no product. Where nothing tells it any more, such as after the store was lost, what was written stays.
		{factProduct, cmp.Or(plan.ProductID, s.words.fact(row, factProduct))},
	} {
		field, ok := s.words.fields.fieldOf(f.name)
		if !ok {
			rest = append(rest, f)
			continue
		}
		if value := fieldValue(field, f.value); !sameExtra(row.Extra, field.Name, value) {
			extra[field.Name] = value
		}
	}
	differs := len(extra) > 0
	if differs {
		fields.Extra = extra
	}
	if comments := withNote(row.Comments, subscriptionFacts, rest); comments != row.Comments {
		fields.Comments, differs = &comments, true
	}
	return differs
}

// finish records what became of a subscription.
func (s *subscriptionsRun) finish(ctx context.Context, one *agreement, seenAt time.Time) error {
	var entries []store.LedgerEntry
	seen := map[int64]bool{}
	for _, row := range one.rows {
		if audit, e, ours := s.words.ofOpportunity(row); ours {
			seen[row.ID] = true
			entries = append(entries, store.LedgerEntry{Location: s.in.Location, Entry: s.words.asRecord(e, audit), SeenAt: seenAt})
		}
	}
	for _, e := range one.known {
		if !seen[recordID(e)] && !e.Gone {
			e.Gone, e.SeenAt = true, seenAt
			entries = append(entries, e)
		}
	}
	switch {
	case one.fault != nil:
		if err := s.sage.Store.PutEntries(ctx, entries); err != nil {
			return err
		}
		return s.park(ctx, one.id, one.fault)
	case one.waits:
		return s.sage.Store.PutEntries(ctx, entries)
	}
	s.count(one.created, one.updated)
	s.brought(one.id, entries, one.plan)
	return nil
}

// linkOrders names the opportunities in the orders of their subscriptions. An order that belongs to another opportunity is
// left there. The orders of all are looked for together.
func (s *subscriptionsRun) linkOrders(ctx context.Context, all []*agreement) error {
	owners := map[int64]*agreement{}
	for _, one := range all {
		if one.keeper() == nil || one.fault != nil || one.waits || one.left {
			continue
		}
		orders, err := s.ordersOf(ctx, one)
		if err != nil {
			return err
		}
		for _, id := range orders {
			if owners[id] == nil {
				owners[id] = one
			}
		}
	}
	for some := range slices.Chunk(unique(slices.Collect(maps.Keys(owners))), broughtAtOnce) {
		doing(ctx, "linking orders")
		rows, err := s.conn.Orders.Find(ctx, sage.In("id", some...))
		if err != nil && !gaveUp(ctx, err) {
			return err
		}
		if err != nil {
			for _, id := range some {
				owners[id].fault = err
			}
		}
		for _, row := range rows {
			one := owners[row.ID]
			if one == nil || one.fault != nil || row.OpportunityID.IsSet() || row.Locked() != "" {
				continue
			}
			if err := s.linkOrder(ctx, one, row); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *subscriptionsRun) linkOrder(ctx context.Context, one *agreement, row sage.Order) error {
	opportunity := one.keeper().ID
	if err := s.conn.Orders.Update(ctx, row.ID, sage.OrderFields{OpportunityID: &opportunity}); err != nil {
		if !gaveUp(ctx, err) {
			return err
		}
		one.fault = err
	}
	return nil
}

// ordersOf are the orders of a subscription at Sage: the one it was subscribed by, and those that stand for its payments.
func (s *subscriptionsRun) ordersOf(ctx context.Context, one *agreement) ([]int64, error) {
	names := []string{one.plan.OrderID}
	if s.conn.settings.Books.RenewalOrders && one.plan.SubscriptionID != "" {
		payments, _, err := s.sage.Store.Entries(ctx, store.EntryFilter{
			Location: s.in.Location, Kind: domain.PaymentEntry, Side: domain.HighLevelSide, SubscriptionID: one.plan.SubscriptionID,
			Page: store.Page{Limit: booksPageSize},
		})
		if err != nil {
			return nil, err
		}
		for _, e := range payments {
			names = append(names, cmp.Or(e.OrderID, renewalPrefix+e.ID))
		}
	}
	var orders []int64
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if name == "" {
			continue
		}
		rec, inBooks, err := s.sage.Store.Order(ctx, s.in.Location, name)
		if err != nil {
			return nil, err
		}
		if inBooks {
			orders = append(orders, rec.SageID)
		}
	}
	return orders, nil
}
