package domain_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/domain"
)

var (
	anyPrice    = rapid.SampledFrom([]string{"a", "b", "c", ""})
	anyNumber   = rapid.SampledFrom([]string{"T1", "t-1", "T2", "T 3", "T4, T5", "n/a", "", "https://example.com/9"})
	anyState    = rapid.SampledFrom(append(domain.FulfillmentStates(), "", "lost"))
	anyRules    = rapid.Custom(drawRules)
	anyNews     = rapid.Custom(drawNews)
	anyItems    = rapid.SliceOfN(rapid.Custom(drawItem), 0, 4)
	anyShipment = rapid.Custom(drawShipment)
)

func drawRules(t *rapid.T) domain.FulfillmentRules {
	return domain.FulfillmentRules{
		WithoutTracking:     rapid.SampledFrom([]domain.FulfillmentState{"", processing, shipped}).Draw(t, "without tracking"),
		PostWithoutTracking: rapid.Bool().Draw(t, "post without tracking"),
		DeliverDigital:      rapid.Bool().Draw(t, "deliver digital"),
	}
}

func drawItem(t *rapid.T) domain.Item {
	kinds := []domain.ProductKind{"", domain.Physical, domain.NotPhysical}
	return domain.Item{
		PriceID: anyPrice.Draw(t, "price"), Name: "x", Quantity: rapid.Int64Range(-1, 4).Draw(t, "quantity"),
		Kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
	}
}

func drawShipment(t *rapid.T) domain.Shipment {
	s := domain.Shipment{ID: rapid.SampledFrom([]string{"", "f1", "f2", "f3", "f4"}).Draw(t, "id")}
	s.CreatedAt = hours(rapid.IntRange(0, 50).Draw(t, "made"))
	for range rapid.IntRange(0, 3).Draw(t, "goods") {
		s.Items = append(s.Items, sent(anyPrice.Draw(t, "price"), rapid.Int64Range(-1, 4).Draw(t, "quantity")))
	}
	for range rapid.IntRange(0, 2).Draw(t, "trackings") {
		s.Trackings = append(s.Trackings, parcel(anyNumber.Draw(t, "number")))
	}
	return s
}

// drawNews draws news of any kind, also such as no system could give.
func drawNews(t *rapid.T) domain.FulfillmentNews {
	n := domain.FulfillmentNews{
		Items: anyItems.Draw(t, "items"), Paid: rapid.Bool().Draw(t, "paid"), Now: hours(rapid.IntRange(0, 99).Draw(t, "now")),
		Shipments: rapid.SliceOfN(anyShipment, 0, 4).Draw(t, "shipments"),
		Closing:   rapid.SampledFrom([]string{"", "", "", "", "refunded in full"}).Draw(t, "closing"),
	}
	if rapid.Bool().Draw(t, "people were at Sage") {
		n.Sage.State = anyState.Draw(t, "wished")
		n.Sage.Trackings = domain.ParseTrackings(anyNumber.Draw(t, "typed"))
	}
	for range rapid.IntRange(0, 3).Draw(t, "deliveries") {
		n.Deliveries = append(n.Deliveries, domain.Delivery{
			Tracking: rapid.SampledFrom([]string{"T1", "t2", "T3", "T4", "-", "", ""}).Draw(t, "parcel"),
			State:    anyState.Draw(t, "said"), At: hours(rapid.IntRange(0, 99).Draw(t, "at")),
		})
	}
	return n
}

// TestNothingRunsBackwards gives any news after any other, and looks at each pass on its own.
func TestNothingRunsBackwards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f domain.Fulfillment
		rules, keys := anyRules.Draw(t, "rules"), map[string]bool{}
		for range rapid.IntRange(1, 8).Draw(t, "passes") {
			news := anyNews.Draw(t, "news")
			before, given := asJSON(t, f), asJSON(t, news)
			next, plan, steps := f.With(news, rules)
			require.Equal(t, before, asJSON(t, f), "the lifecycle is left as it was")
			require.Equal(t, given, asJSON(t, news), "and so are the news")
			noStepBack(t, f, next, news)
			if f.Closed() || next.Closed() {
				require.Nil(t, plan, "what has ended is not sent")
			}
			if f.Closed() {
				require.Empty(t, steps)
			}
			for _, s := range steps {
				require.False(t, keys[s.Key], "%s is told twice", s.Key)
				require.NotZero(t, s.At)
				keys[s.Key] = true
			}
			again, samePlan, noSteps := next.With(news, rules)
			require.Equal(t, next, again, "the same news again change nothing")
			require.Equal(t, plan, samePlan)
			require.Empty(t, noSteps)
			var kept domain.Fulfillment
			require.NoError(t, json.Unmarshal([]byte(asJSON(t, next)), &kept))
			require.Equal(t, next, kept, "what was kept is what was found")
			f = next
		}
	})
}

func asJSON(t *rapid.T, v any) string {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

func noStepBack(t *rapid.T, f, next domain.Fulfillment, news domain.FulfillmentNews) {
	require.True(t, f.State.CanBecome(next.State), "%s became %s", f.State, next.State)
	require.Subset(t, next.IDs(), f.IDs())
	found := trackingKeys(next.Trackings())
	keep := f.Trackings()
	if len(domain.CleanTrackings(news.Sage.Trackings)) > 0 { // people may have corrected those of no shipment
		keep = domain.Fulfillment{Shipments: f.Shipments}.Trackings()
	}
	for key := range trackingKeys(keep) {
		require.Contains(t, found, key, "a tracking was lost")
	}
	for key := range trackingKeys(domain.CleanTrackings(news.Sage.Trackings)) {
		require.Contains(t, found, key, "a tracking that people gave was not taken")
	}
	for _, was := range f.Shipments {
		is := next.Shipments[slices.Index(next.IDs(), was.ID)]
		require.True(t, was.State.CanBecome(is.State), "%s: %s became %s", was.ID, was.State, is.State)
		sameOnceSet(t, was.ShippedAt, is.ShippedAt)
		sameOnceSet(t, was.DeliveredAt, is.DeliveredAt)
	}
	sameOnceSet(t, f.ShippedAt, next.ShippedAt)
	sameOnceSet(t, f.DeliveredAt, next.DeliveredAt)
	if f.Closed() {
		require.Equal(t, f.Reason, next.Reason)
	}
	require.Equal(t, next.State == delivered, !next.DeliveredAt.IsZero())
}

func sameOnceSet(t *rapid.T, was, is time.Time) {
	if !was.IsZero() {
		require.Equal(t, was, is, "a date was changed")
	}
}

// fact is one independent piece of news, which adds itself to a pass's.
type fact func(*domain.FulfillmentNews)

// TestOrderOfNewsDoesNotMatter lets the same facts become known in two different orders, a pass after each. People's word
// about the state is given until it is heard, as a field is that differs. The shipments share what was ordered among them:
// one beyond the order is no independent news, since it becomes known before or after the goods were complete.
func TestOrderOfNewsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := anyRules.Draw(t, "rules")
		rules.PostWithoutTracking = false // which shipment is posted does depend on what HighLevel knew then
		items := rapid.SliceOfN(rapid.Just(domain.Item{PriceID: "never sent", Quantity: 1}), 0, 1).Draw(t, "remaining")
		var facts []fact
		for i := range rapid.IntRange(0, 4).Draw(t, "shipments") {
			s := anyShipment.Draw(t, "shipment")
			s.ID = fmt.Sprint("f", i)
			s.Items = []domain.ShippedItem{sent(fmt.Sprint("price", i%3), 1)}
			items = append(items, domain.Item{PriceID: s.Items[0].PriceID, Quantity: 1})
			facts = append(facts, func(n *domain.FulfillmentNews) { n.Shipments = append(n.Shipments, s) })
		}
		for range rapid.IntRange(0, 4).Draw(t, "deliveries") {
			d := arrived(rapid.SampledFrom([]string{"T1", "t2", "T3", "T4", "T5", ""}).Draw(t, "parcel"), rapid.IntRange(60, 90).Draw(t, "at"))
			d.State = rapid.SampledFrom([]domain.FulfillmentState{shipped, delivered}).Draw(t, "said")
			facts = append(facts, func(n *domain.FulfillmentNews) { n.Deliveries = append(n.Deliveries, d) })
		}
		if state := anyState.Draw(t, "wished"); state != cancelled {
			facts = append(facts, func(n *domain.FulfillmentNews) { n.Sage.State = state })
		}
		first := rapid.Permutation(facts).Draw(t, "first")
		second := rapid.Permutation(facts).Draw(t, "second")
		require.Equal(t, essence(told(items, rules, first)), essence(told(items, rules, second)))
		require.Equal(t, essence(told(items, rules, first)), essence(told(items, rules, first[len(first):], facts...)), "also all at once")
	})
}

// told makes the facts known one after the other, and those that come last all at once.
func told(items []domain.Item, rules domain.FulfillmentRules, facts []fact, last ...fact) (f domain.Fulfillment) {
	news := domain.FulfillmentNews{Items: items, Paid: true}
	pass := func() {
		news.Now = hours(100)
		f, _, _ = f.With(news, rules)
	}
	for _, add := range facts {
		add(&news)
		pass()
	}
	for _, add := range last {
		add(&news)
	}
	pass()
	return f
}

// essence is a lifecycle without the dates, which do tell when something was seen first, and the reason, which tells what
// was.
func essence(f domain.Fulfillment) []any {
	shipments := map[string]domain.FulfillmentState{}
	for _, s := range f.Shipments {
		shipments[s.ID] = s.State
	}
	var keys []string
	for _, t := range f.Trackings() {
		keys = append(keys, t.Key())
	}
	slices.Sort(keys)
	return []any{f.State, shipments, keys}
}

// TestLeastAdvanced computes in words of its own what follows from shipments alone.
func TestLeastAdvanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		news := anyNews.Draw(t, "news")
		news.Sage, news.Closing, news.Paid = domain.FulfillmentWish{}, "", false
		news.Deliveries = slices.DeleteFunc(news.Deliveries, func(d domain.Delivery) bool { return d.Tracking == "" })
		rules := anyRules.Draw(t, "rules")
		f, plan, _ := domain.Fulfillment{}.With(news, rules)
		require.Nil(t, plan, "nobody declared anything")
		rank := map[domain.FulfillmentState]int{created: 0, processing: 1, shipped: 2, delivered: 3}
		want := 3
		for _, s := range f.Shipments {
			want = min(want, rank[s.State])
		}
		missing := map[string]int64{}
		for _, item := range news.Items {
			if item.Quantity > 0 && item.PriceID != "" && (!rules.DeliverDigital || item.Kind != domain.NotPhysical) {
				missing[item.PriceID] += item.Quantity
			}
		}
		for _, s := range f.Shipments {
			for _, item := range s.Items {
				missing[item.PriceID] -= max(item.Quantity, 0)
			}
		}
		for _, quantity := range missing {
			if quantity > 0 {
				want = min(want, 1)
			}
		}
		if len(f.Shipments) == 0 {
			want = 0
		}
		require.Equal(t, want, rank[f.State])
	})
}

// office is an order at both sides, with people at each, and the row in between.
type office struct {
	*rapid.T
	rules    domain.FulfillmentRules
	items    []domain.Item
	hour     int
	listed   []domain.Shipment
	posted   []domain.ShipmentPlan
	heard    []domain.Delivery
	closing  string
	field    [2]string // Z_FulfillmentStatus and Z_TrackingNumbers
	agreed   [2]string
	row      domain.Fulfillment
	told     map[string]bool
	overSent bool
}

// TestBothSidesAtOnce lets people, carriers and passes that may die at any point act in any order.
func TestBothSidesAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := &office{T: t, rules: anyRules.Draw(t, "rules"), told: map[string]bool{}}
		for i := range rapid.IntRange(1, 3).Draw(t, "items") {
			o.items = append(o.items, domain.Item{PriceID: string(rune('a' + i%2)), Quantity: rapid.Int64Range(1, 3).Draw(t, "quantity")})
		}
		acts := []func(){o.fulfil, o.write, o.setState, o.carry, o.refund, o.pass, o.pass, o.pass, o.pass}
		for range rapid.IntRange(1, 25).Draw(t, "acts") {
			o.hour++
			rapid.SampledFrom(acts).Draw(t, "act")()
		}
		for range 3 {
			o.passOn(alive)
		}
		o.isAtRest()
	})
}

// fulfil is a person at HighLevel who sends something, seldom more than was ordered.
func (o *office) fulfil() {
	s := domain.Shipment{ID: fmt.Sprint("p", len(o.listed)), CreatedAt: hours(o.hour)}
	for _, rest := range o.rest() {
		if n := rapid.Int64Range(0, rest.Quantity).Draw(o.T, "sent"); n > 0 {
			s.Items = append(s.Items, sent(rest.PriceID, n))
		}
	}
	if rapid.IntRange(0, 9).Draw(o.T, "replacement") == 0 {
		s.Items, o.overSent = append(s.Items, sent("a", 2)), true
	}
	if number := anyNumber.Draw(o.T, "number"); number != "" {
		s.Trackings = []domain.Tracking{parcel(number)}
	}
	if len(s.Items) > 0 {
		o.listed = append(o.listed, s)
	}
}

// rest is what HighLevel's list does not cover.
func (o *office) rest() []domain.ShippedItem {
	missing := map[string]int64{}
	for _, item := range o.items {
		missing[item.PriceID] += item.Quantity
	}
	for _, s := range o.listed {
		for _, item := range s.Items {
			missing[item.PriceID] -= item.Quantity
		}
	}
	var rest []domain.ShippedItem
	for _, price := range []string{"a", "b"} {
		if missing[price] > 0 {
			rest = append(rest, sent(price, missing[price]))
		}
	}
	return rest
}

// write is a person at Sage who adds a tracking to the field, or writes another text into it.
func (o *office) write() {
	number := anyNumber.Draw(o.T, "typed")
	if rapid.Bool().Draw(o.T, "adds") {
		number = o.field[1] + "\n" + number
	}
	o.field[1] = number
}

func (o *office) setState() { o.field[0] = string(anyState.Draw(o.T, "set")) }

func (o *office) carry() {
	o.heard = append(o.heard, domain.Delivery{
		Tracking: rapid.SampledFrom([]string{"T1", "T2", "t3", "T4", "T5", ""}).Draw(o.T, "parcel"),
		State:    rapid.SampledFrom([]domain.FulfillmentState{shipped, delivered}).Draw(o.T, "said"), At: hours(o.hour),
	})
}

func (o *office) refund() {
	if rapid.IntRange(0, 3).Draw(o.T, "really") == 0 {
		o.closing = "refunded in full"
	}
}

// The points at which a pass may die.
const (
	beforeAll = iota
	afterPost
	beforeRecord
	alive
)

func (o *office) pass() { o.passOn(rapid.IntRange(beforeAll, alive).Draw(o.T, "dies")) }

// passOn is what the activities do: read both sides, merge, post what is planned, write Sage, keep the row.
func (o *office) passOn(dies int) {
	news := o.read()
	next, plan, steps := o.row.With(news, o.rules)
	if dies == beforeAll {
		return
	}
	if plan != nil {
		o.post(*plan)
		news = o.read()
		if next, plan, steps = o.row.With(news, o.rules); plan != nil {
			require.Fail(o.T, "the shipment is listed and planned again")
		}
	}
	if dies == afterPost {
		return
	}
	o.field = [2]string{string(next.State), domain.FormatTrackings(next.Trackings())}
	if dies == beforeRecord {
		return
	}
	noStepBack(o.T, o.row, next, news)
	for _, s := range steps {
		require.False(o.T, o.told[s.Key], "%s is told twice", s.Key)
		o.told[s.Key] = true
	}
	o.row, o.agreed = next, o.field
}

func (o *office) read() domain.FulfillmentNews {
	n := domain.FulfillmentNews{
		Items: o.items, Shipments: rapid.Permutation(o.listed).Draw(o.T, "listed"), Paid: true, Closing: o.closing,
		Deliveries: rapid.Permutation(o.heard).Draw(o.T, "heard"), Now: hours(o.hour),
	}
	if o.field != o.agreed {
		n.Sage.State, _ = domain.ParseFulfillmentState(o.field[0])
		n.Sage.Trackings = domain.ParseTrackings(o.field[1])
	}
	return n
}

// post makes a shipment known at HighLevel, whose customer gets a mail for it.
func (o *office) post(plan domain.ShipmentPlan) {
	require.NotEmpty(o.T, plan.Items)
	require.Equal(o.T, keyed(o.rest()), keyed(plan.Items), "all that remains, and no piece more")
	for _, t := range plan.Trackings {
		for _, s := range o.listed {
			require.NotContains(o.T, trackingKeys(domain.CleanTrackings(s.Trackings)), t.Key(), "this parcel is known there")
		}
	}
	if len(plan.Trackings) == 0 {
		require.True(o.T, o.rules.PostWithoutTracking)
	}
	o.posted = append(o.posted, plan)
	o.listed = append(o.listed, domain.Shipment{
		ID: fmt.Sprint("w", len(o.listed)), Items: plan.Items, Trackings: plan.Trackings, CreatedAt: hours(o.hour),
	})
}

func keyed(items []domain.ShippedItem) map[string]int64 {
	quantities := map[string]int64{}
	for _, item := range items {
		quantities[item.PriceID] += item.Quantity
	}
	return quantities
}

// isAtRest: both sides agree, a further pass finds nothing to do, and nothing was posted beyond the order.
func (o *office) isAtRest() {
	require.LessOrEqual(o.T, len(o.posted), 1, "all that remains is posted at once, so once")
	field, posted := o.field, len(o.posted)
	require.Equal(o.T, string(o.row.State), field[0])
	require.Equal(o.T, trackingKeys(o.row.Trackings()), trackingKeys(domain.ParseTrackings(field[1])))
	for _, s := range o.listed {
		require.Contains(o.T, o.row.IDs(), s.ID, "every shipment is known")
	}
	next, plan, steps := o.row.With(o.read(), o.rules)
	require.Equal(o.T, o.row, next)
	require.Nil(o.T, plan)
	require.Empty(o.T, steps)
	o.passOn(alive)
	require.Equal(o.T, field, o.field, "what we wrote is not sent back")
	require.Len(o.T, o.posted, posted)
	if !o.overSent {
		total := map[string]int64{}
		for _, s := range o.listed {
			for price, n := range keyed(s.Items) {
				total[price] += n
			}
		}
		for price, n := range total {
			ordered := int64(0)
			for _, item := range o.items {
				if item.PriceID == price {
					ordered += item.Quantity
				}
			}
			require.LessOrEqual(o.T, n, ordered, "never more sent than ordered")
		}
	}
}
