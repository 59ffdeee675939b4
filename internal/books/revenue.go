package books

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// RevenueQuery says of what the revenue is reported.
type RevenueQuery struct {
	Location string
	// Month is any moment of the month in UTC.
	Month time.Time
	// ByProduct and BySubscription add a line for each product and for each subscription by which there was anything.
	ByProduct, BySubscription bool
}

// The groups of lines.
const (
	TotalGroup        = "total"
	ProductGroup      = "product"
	SubscriptionGroup = "subscription"
)

// Revenue is what both sides took in a month.
type Revenue struct {
	Location string `json:"location"`
	// Month is as 2006-01.
	Month string `json:"month"`
	// Assumed subscriptions were counted in the month as what they were when they first became known, which was later; since
	// KnownSince there are none of them. Of both sides together.
	Assumed    int64     `json:"assumed,omitempty"`
	KnownSince time.Time `json:"knownSince,omitzero"`
	// Lines are the totals of each currency, then those of products and of subscriptions, each group by id and currency. The
	// amounts of a group sum up to its totals, but for rounding in Recurring and Movement, and for what moves in Movement
	// from product to product. A payment that is shared out over products counts with each.
	Lines []RevenueLine `json:"lines"`
}

// RevenueLine is one currency's revenue, of everything or of one product or subscription. Currencies are never mixed, nor
// is what is kept apart with what is not.
type RevenueLine struct {
	Group string `json:"group"`
	// ID is HighLevel's of the product or the subscription; empty for what belongs to none, or of which nobody knows. Name is
	// that of the product on an order, or a subscription's plan, which may be all that is known of it.
	ID       string          `json:"id,omitempty"`
	Name     string          `json:"name,omitempty"`
	Currency domain.Currency `json:"currency"`
	// Apart says that Sage has no place for it by rule.
	Apart bool    `json:"apart,omitempty"`
	GHL   Figures `json:"ghl"`
	Sage  Figures `json:"sage"`
}

// Figures are one side's, all of one currency. Subscriptions count as what they were at the end of the month, as
// store.SubscriptionSums says.
type Figures struct {
	// Gross is of settled payments, Refunds what was given back in the month, positive, of whatever month's payments.
	Gross   domain.Money `json:"gross"`
	Refunds domain.Money `json:"refunds"`
	Net     domain.Money `json:"net"`
	// Payments and Refunded count what is in Gross and in Refunds.
	Payments int64 `json:"payments"`
	Refunded int64 `json:"refunded"`
	// Recurring is what the Earning subscriptions make in a month (MRR). Of those in Unknown nobody knows how often they are
	// paid, so they are not in it.
	Recurring domain.Money `json:"recurring"`
	Movement  Movement     `json:"movement"`
	Earning   Subscribers  `json:"earning"`
	Unknown   Subscribers  `json:"unknown"`
	// New began in the month, Churned ended in it, and the next renewal of Renewals is in it.
	New      Subscribers `json:"new"`
	Churned  Subscribers `json:"churned"`
	Renewals Subscribers `json:"renewals"`
}

// Movement is the way of the recurring revenue through the month: Start + Gained + Expansion - Contraction - Lost is what
// Figures has in Recurring, to the minor unit. See store.Recurring.
type Movement struct {
	Start domain.Money `json:"start"`
	// Gained is of new and resumed subscriptions, Lost of those that ended, pause or are unpaid; Expansion and Contraction
	// are of those that earn more and less than before.
	Gained      domain.Money `json:"gained"`
	Expansion   domain.Money `json:"expansion"`
	Contraction domain.Money `json:"contraction"`
	Lost        domain.Money `json:"lost"`
}

// Subscribers are subscriptions and the sum of one instalment of each.
type Subscribers struct {
	Count  int64        `json:"count"`
	Amount domain.Money `json:"amount"`
}

func noFigures(currency domain.Currency) Figures {
	none := domain.NewMoney(0, currency)
	some := Subscribers{Amount: none}
	return Figures{
		Gross: none, Refunds: none, Net: none, Recurring: none,
		Movement: Movement{Start: none, Gained: none, Expansion: none, Contraction: none, Lost: none},
		Earning:  some, Unknown: some, New: some, Churned: some, Renewals: some,
	}
}

// RevenueOf makes the report of a month.
func RevenueOf(ctx context.Context, s *store.Store, q RevenueQuery) (Revenue, error) {
	if q.Month.IsZero() {
		return Revenue{}, errors.New("report the revenue: no month is given")
	}
	year, month, _ := q.Month.UTC().Date()
	b := revenue{store: s, query: q, lines: map[revenueKey]*RevenueLine{}}
	b.begin = time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	b.end = b.begin.AddDate(0, 1, 0)
	steps := []func(context.Context) error{b.totals}
	if q.ByProduct {
		steps = append(steps, b.products)
	}
	if q.BySubscription {
		steps = append(steps, b.subscriptions)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return Revenue{}, fmt.Errorf("report the revenue: %w", err)
		}
	}
	return Revenue{
		Location: q.Location, Month: b.begin.Format("2006-01"), Assumed: b.assumed, KnownSince: b.knownSince, Lines: b.sorted(),
	}, nil
}

// revenue is a report on its way.
type revenue struct {
	store      *store.Store
	query      RevenueQuery
	begin, end time.Time
	lines      map[revenueKey]*RevenueLine
	assumed    int64
	knownSince time.Time
}

type revenueKey struct {
	group, id string
	// name is that of a product of which no id is known.
	name     string
	currency domain.Currency
	apart    bool
}

// productKey is the key of a line. Of product and subscription one at least is empty, as one of them at most is asked for.
func productKey(group, product, subscription, name string, of domain.Currency, apart bool) revenueKey {
	key := revenueKey{group: group, id: product + subscription, currency: of, apart: apart}
	if group == ProductGroup && product == "" {
		key.name = name
	}
	return key
}

// line is the line of a key, made when it is first asked for, and the side's figures on it. At Sage, apart means nothing.
func (b *revenue) line(key revenueKey, side domain.Side) (*RevenueLine, *Figures) {
	key.apart = key.apart && side == domain.HighLevelSide
	l := b.lines[key]
	if l == nil {
		none := noFigures(key.currency)
		l = &RevenueLine{Group: key.group, ID: key.id, Name: key.name, Currency: key.currency, Apart: key.apart, GHL: none, Sage: none}
		b.lines[key] = l
	}
	if side == domain.HighLevelSide {
		return l, &l.GHL
	}
	return l, &l.Sage
}

func (b *revenue) sorted() []RevenueLine {
	lines := make([]RevenueLine, 0, len(b.lines))
	for _, l := range b.lines {
		lines = append(lines, *l)
	}
	groups := []string{TotalGroup, ProductGroup, SubscriptionGroup}
	slices.SortFunc(lines, func(a, b RevenueLine) int {
		return cmp.Or(cmp.Compare(slices.Index(groups, a.Group), slices.Index(groups, b.Group)),
			cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Currency, b.Currency), cmp.Compare(order(a.Apart), order(b.Apart)))
	})
	return lines
}

func order(apart bool) int {
	if apart {
		return 1
	}
	return 0
}

func (b *revenue) totals(ctx context.Context) error {
	if err := b.taken(ctx, TotalGroup, store.SumFilter{}); err != nil {
		return err
	}
	return b.recurring(ctx, TotalGroup, store.AllSubscriptions)
}

func (b *revenue) products(ctx context.Context) error {
	if err := b.taken(ctx, ProductGroup, store.SumFilter{ByProduct: true}); err != nil {
		return err
	}
	return b.recurring(ctx, ProductGroup, store.ByProduct)
}

// taken adds what payments and refunds came to.
func (b *revenue) taken(ctx context.Context, group string, f store.SumFilter) error {
	f.Location, f.From, f.Before = b.query.Location, b.begin, b.end
	sums, err := b.store.Sums(ctx, f)
	if err != nil {
		return err
	}
	list, err := store.RevenueOf(sums)
	if err != nil {
		return err
	}
	for _, r := range list {
		key := productKey(group, r.ProductID, r.SubscriptionID, r.ProductName, r.Gross.Currency, r.Apart)
		l, figures := b.line(key, r.Side)
		l.Name = cmp.Or(l.Name, r.ProductName) // HighLevel's, whose sums come first
		figures.Payments += r.Payments
		figures.Refunded += r.Refunded
		if err := addAll(to{&figures.Gross, r.Gross}, to{&figures.Refunds, r.Refunds}, to{&figures.Net, r.Net}); err != nil {
			return err
		}
	}
	return nil
}

// recurring adds what subscriptions come to.
func (b *revenue) recurring(ctx context.Context, group string, by store.SubscriptionGrouping) error {
	list, err := b.store.SubscriptionSums(ctx, b.query.Location, b.begin, by)
	if err != nil {
		return err
	}
	for _, r := range list {
		l, figures := b.line(productKey(group, r.ProductID, r.SubscriptionID, r.Name, r.Monthly.Currency, r.Apart), r.Side)
		l.Name = cmp.Or(l.Name, r.Name)
		if err := figures.add(r); err != nil {
			return err
		}
		if by == store.AllSubscriptions {
			b.assumed += r.Assumed
			if r.KnownSince.After(b.knownSince) {
				b.knownSince = r.KnownSince
			}
		}
	}
	return nil
}

// to is an amount that is added to another.
type to struct {
	total  *domain.Money
	amount domain.Money
}

func addAll(all ...to) error {
	for _, a := range all {
		sum, err := a.total.Add(a.amount)
		if err != nil {
			return err
		}
		*a.total = sum
	}
	return nil
}

func (f *Figures) add(r store.Recurring) error {
	for _, t := range []struct {
		to   *Subscribers
		from store.SubscriptionTally
	}{{&f.Earning, r.Earning}, {&f.Unknown, r.Unknown}, {&f.New, r.New}, {&f.Churned, r.Churned}, {&f.Renewals, r.Renewals}} {
		t.to.Count += t.from.Count
		if err := addAll(to{&t.to.Amount, t.from.Amount}); err != nil {
			return err
		}
	}
	return addAll(to{&f.Recurring, r.Monthly}, to{&f.Movement.Start, r.Start}, to{&f.Movement.Gained, r.Gained},
		to{&f.Movement.Expansion, r.Expansion}, to{&f.Movement.Contraction, r.Contraction}, to{&f.Movement.Lost, r.Lost})
}

// subscriptions adds a line for each subscription, of which there may be tens of thousands.
func (b *revenue) subscriptions(ctx context.Context) error {
	if err := b.taken(ctx, SubscriptionGroup, store.SumFilter{BySubscription: true}); err != nil {
		return err
	}
	return b.recurring(ctx, SubscriptionGroup, store.BySubscription)
}
