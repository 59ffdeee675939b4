package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
)

// example is a past of which all was brought in earnest. Larger ones are made up of copies of it under other ids, and so is
// what Sage has of them: to bring it all, one write at a time, would take longer than anybody waits for a benchmark.
type example struct {
	past    shop.PastData
	records map[string][]sage.Record // at Sage, by resource
	orders  []store.OrderRecord
	links   []store.Link
	entries []store.LedgerEntry
}

// apart is how long before the original each copy of a transaction or an order was made, so that no list has hundreds of
// rows of one moment. All copies of a year's example still lie within the day that the books do not tell apart.
const apart = 37 * time.Second

// other is the id of a copy: of the same length, and told apart by its beginning.
func other(id string, n int) string {
	if id == "" {
		return ""
	}
	return fmt.Sprintf("%03x", n) + id[3:]
}

// pastOf makes a past of up to now. Invoices are left out: each has a process of its own, which is not measured here.
func pastOf(transactions int, now time.Time) shop.PastData {
	past := shop.Past(shop.PastOptions{Seed: 1, Transactions: transactions, Subscriptions: transactions / subscribed, To: now})
	for i := range past.History.Orders {
		past.History.Orders[i].InvoiceNumber = ""
	}
	for i := range past.History.Payments {
		if p := &past.History.Payments[i]; p.InvoiceID != "" {
			p.InvoiceID, p.Source = "", ghl.Source{}
		}
	}
	return past
}

// times is the example so many times. Customers, products and prices are the same in all copies.
func (e example) times(n int) shop.PastData {
	all := shop.PastData{Products: e.past.Products, Prices: e.past.Prices}
	all.History.Contacts = e.past.History.Contacts
	for i := range n {
		earlier := -time.Duration(i) * apart
		for _, o := range e.past.History.Orders {
			o.ID, o.CreatedAt = other(o.ID, i), o.CreatedAt.Add(earlier)
			all.History.Orders = append(all.History.Orders, o)
		}
		for _, s := range e.past.History.Subscriptions {
			s.ID, s.OrderID = other(s.ID, i), other(s.OrderID, i)
			all.History.Subscriptions = append(all.History.Subscriptions, s)
		}
		for _, p := range e.past.History.Payments {
			p.ID, p.OrderID, p.SubscriptionID = other(p.ID, i), other(p.OrderID, i), other(p.SubscriptionID, i)
			p.At, p.UpdatedAt = p.At.Add(earlier), p.UpdatedAt.Add(earlier)
			all.History.Payments = append(all.History.Payments, p)
		}
		for _, end := range e.past.Endings {
			end.SubscriptionID = other(end.SubscriptionID, i)
			all.Endings = append(all.Endings, end)
		}
		for _, c := range e.past.Charges {
			c.ID, c.OrderID, c.SubscriptionID, c.At = other(c.ID, i), other(c.OrderID, i), other(c.SubscriptionID, i), c.At.Add(earlier)
			all.Charges = append(all.Charges, c)
		}
		for _, p := range e.past.Plans {
			p.ID, p.OrderID = other(p.ID, i), other(p.OrderID, i)
			all.Plans = append(all.Plans, p)
		}
	}
	return all
}

// What of Sage is copied. Customers come first, and are there once.
var (
	customerResources = []string{"accounts", "contacts"}
	bookedResources   = []string{"opportunities", "salesorders", "sales"}
)

// learn reads what was brought of the example's past.
func (e *example) learn(ctx context.Context, from *stack.Stack) error {
	e.records = map[string][]sage.Record{}
	for _, resource := range slices.Concat(customerResources, bookedResources) {
		e.records[resource] = from.Sage.Live(resource)
	}
	for _, o := range e.past.History.Orders {
		rec, booked, err := from.Store.Order(ctx, from.Location(), o.ID)
		if err != nil {
			return err
		}
		if booked {
			e.orders = append(e.orders, rec)
		}
	}
	for page := (store.Page{Limit: 1000}); ; {
		some, next, err := from.Store.Entries(ctx, store.EntryFilter{Location: from.Location(), Page: page})
		if err != nil {
			return err
		}
		e.entries = append(e.entries, some...)
		if page.After = next; next == "" {
			break
		}
	}
	var extIDs []string
	for _, c := range e.past.History.Contacts {
		extIDs = append(extIDs, domain.ContactExtID(c.ID))
	}
	for _, kind := range []store.LinkKind{store.Account, store.Contact} {
		links, err := from.Store.Links(ctx, from.Location(), kind, extIDs...)
		if err != nil {
			return err
		}
		for _, extID := range extIDs {
			if l, known := links[extID]; known {
				e.links = append(e.links, l)
			}
		}
	}
	return nil
}

// kept is what is there already of so many copies of the example.
type kept int

const (
	// keptOrders: Sage has the customers and the orders, and the store knows them.
	keptOrders kept = iota
	// keptAtSage: Sage has all. It is as if the ledger were lost.
	keptAtSage
	// keptInLedger: the ledger has all, too.
	keptInLedger
)

// settle puts into Sage and into the store what so many copies of the example have there.
func (e example) settle(ctx context.Context, into *stack.Stack, n int, what kept) error {
	s := settling{example: e, into: into, ids: map[string]map[int64]int64{}}
	if err := s.customers(); err != nil {
		return err
	}
	made, err := s.books(n, what != keptOrders)
	if err != nil {
		return err
	}
	for i := range n {
		for _, o := range e.orders {
			old := o.OrderID
			o.Location, o.OrderID, o.SageID, o.Lines = into.Location(), other(old, i), made[domain.OrderExtID(other(old, i))], nil
			if err := into.Store.RecordOrder(ctx, o); err != nil {
				return err
			}
		}
		if what != keptInLedger {
			continue
		}
		if err := s.ledger(ctx, i, made); err != nil {
			return err
		}
	}
	var links []store.Link
	for _, l := range e.links {
		l.Location = into.Location()
		l.SageID = s.ids[map[store.LinkKind]string{store.Account: "accounts", store.Contact: "contacts"}[l.Kind]][l.SageID]
		links = append(links, l)
	}
	return into.Store.PutLinks(ctx, links...)
}

// ledger enters a copy of what the example's ledger has, as agreed on.
func (s *settling) ledger(ctx context.Context, n int, made map[string]int64) error {
	var entries []store.LedgerEntry
	var agreed []store.Agreement
	for _, e := range s.entries {
		e.Location, e.ID, e.OrderID, e.SubscriptionID = s.into.Location(), other(e.ID, n), other(e.OrderID, n), otherGateway(e.SubscriptionID, n)
		if e.Kind != domain.SubscriptionEntry && (e.Side == domain.HighLevelSide || e.Kind == domain.OrderEntry) {
			e.At, e.UpdatedAt = e.At.Add(-time.Duration(n)*apart), e.UpdatedAt.Add(-time.Duration(n)*apart)
		}
		if kind, id, rest := splitExtID(e.ExtID); id != "" {
			e.ExtID = kind + other(id, n) + rest
			e.Record = strconv.FormatInt(made[e.ExtID], 10)
		}
		entries = append(entries, e)
		if e.Side == domain.HighLevelSide {
			agreed = append(agreed, store.Agreement{Kind: e.Kind, ID: e.ID, Digest: e.Entry.Digest()})
		}
	}
	if err := s.into.Store.PutEntries(ctx, entries); err != nil {
		return err
	}
	return s.into.Store.Agree(ctx, s.into.Location(), agreed...)
}

// otherGateway is the payment provider's id of a copied subscription, as the sandbox makes it of HighLevel's.
func otherGateway(id string, n int) string {
	if own, ours := strings.CutPrefix(id, "sub_"); ours {
		return "sub_" + other(own, n)
	}
	if own, ours := strings.CutPrefix(id, "I-"); ours {
		return "I-" + strings.ToUpper(other(own, n))
	}
	return id
}

// settling copies the example's records into a tenant.
type settling struct {
	example
	into *stack.Stack
	ids  map[string]map[int64]int64 // the new ids of what is there once, by resource and old id
}

// references are the fields that lead to customers.
var references = map[string]string{"accountId": "accounts", "accountId1": "accounts", "contactId": "contacts"}

// of is a record with its references led to the new customers, and without the one to an opportunity.
func (s *settling) of(resource string, r sage.Record, at time.Time) sage.PastRecord {
	fields := make(map[string]any, len(r.Fields))
	for name, v := range r.Fields {
		if to, leads := references[name]; leads && v != nil {
			v = s.ids[to][v.(int64)]
		}
		if name != "opportunityId" {
			fields[name] = v
		}
	}
	return sage.PastRecord{Resource: resource, Fields: fields, At: at}
}

func (s *settling) customers() error {
	for _, resource := range customerResources {
		s.ids[resource] = map[int64]int64{}
		for _, r := range s.records[resource] {
			ids, err := s.into.Sage.Seed([]sage.PastRecord{s.of(resource, r, s.past.History.Contacts[0].DateAdded)})
			if err != nil {
				return err
			}
			s.ids[resource][r.ID] = ids[0]
		}
	}
	return nil
}

// copied is a copy of a record, with the external id of the opportunity that it belongs to.
type copied struct {
	sage.PastRecord
	opportunity string
}

// books copies what is in the books, in the order in which a running system would have made it, and gives ids by external
// id.
func (s *settling) books(n int, booked bool) (map[string]int64, error) {
	records, err := s.copies(n, booked)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(records, func(a, b copied) int { return a.At.Compare(b.At) })
	made := make(map[string]int64, len(records))
	for _, r := range records {
		if id := made[r.opportunity]; id != 0 {
			r.Fields["opportunityId"] = id
		}
		ids, err := s.into.Sage.Seed([]sage.PastRecord{r.PastRecord})
		if err != nil {
			return made, err
		}
		made[r.Fields["extId"].(string)] = ids[0]
	}
	return made, nil
}

func (s *settling) copies(n int, booked bool) ([]copied, error) {
	happened := s.moments()
	opportunities := map[int64]string{}
	for _, r := range s.records["opportunities"] {
		opportunities[r.ID] = r.Text("extId")
	}
	var records []copied
	for _, resource := range bookedResources {
		if !booked && resource != "salesorders" {
			continue
		}
		for _, r := range s.records[resource] {
			kind, id, rest := splitExtID(r.Text("extId"))
			if id == "" {
				return nil, fmt.Errorf("the record %d of %s has the external id %q, which is none of ours", r.ID, resource, r.Text("extId"))
			}
			of, subscription, _ := splitExtID(opportunities[r.Int("opportunityId")])
			for i := range n {
				one := copied{PastRecord: s.of(resource, r, happened[id].Add(-time.Duration(i)*apart)), opportunity: of + other(subscription, i)}
				one.Fields["extId"] = kind + other(id, i) + rest
				records = append(records, one)
			}
		}
	}
	return records, nil
}

// moments are when the objects of the past last changed, by their ids.
func (s *settling) moments() map[string]time.Time {
	at := map[string]time.Time{}
	for _, o := range s.past.History.Orders {
		at[o.ID] = o.CreatedAt
	}
	for _, p := range s.past.History.Payments {
		at[p.ID] = p.UpdatedAt
	}
	for _, p := range s.past.Plans {
		at[p.ID] = p.Start
	}
	return at
}

// splitExtID takes an external id of the books apart: what is before HighLevel's id, the id, and what is behind it.
func splitExtID(extID string) (kind, id, rest string) {
	for _, kind := range []string{
		domain.OrderExtIDPrefix, domain.TransactionExtIDPrefix, domain.RefundExtIDPrefix, domain.SubscriptionExtIDPrefix,
	} {
		if tail, ours := strings.CutPrefix(extID, kind); ours {
			end := strings.IndexByte(tail+":", ':')
			return kind, tail[:end], tail[end:]
		}
	}
	return "", "", ""
}
