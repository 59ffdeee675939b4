package domain_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
)

const (
	created    = domain.FulfillmentCreated
	processing = domain.FulfillmentProcessing
	shipped    = domain.FulfillmentShipped
	delivered  = domain.FulfillmentDelivered
	cancelled  = domain.FulfillmentCancelled
)

func TestFulfillmentMoves(t *testing.T) {
	allowed := map[domain.FulfillmentState][]domain.FulfillmentState{
		"":         {created, processing, shipped, delivered, cancelled},
		created:    {created, processing, shipped, delivered, cancelled},
		processing: {processing, shipped, delivered, cancelled},
		shipped:    {shipped, delivered, cancelled},
		delivered:  {delivered},
		cancelled:  {cancelled},
	}
	for from, ways := range allowed {
		for _, to := range append(domain.FulfillmentStates(), "", "lost") {
			assert.Equal(t, contains(ways, to), from.CanBecome(to), "%q to %q", from, to)
		}
		assert.Equal(t, len(ways) == 1, from.Final(), "%q", from)
	}
}

func contains[T comparable](all []T, one T) bool {
	for _, each := range all {
		if each == one {
			return true
		}
	}
	return false
}

func TestParseFulfillmentState(t *testing.T) {
	for word, want := range map[string]domain.FulfillmentState{
		"created": created, " Processing\t": processing, "SHIPPED": shipped, "Deli vered": delivered,
		"cancelled": cancelled, "Canceled": cancelled, "": "", "sent": "", "shipped!": "",
	} {
		got, known := domain.ParseFulfillmentState(word)
		assert.Equal(t, want, got, "%q", word)
		assert.Equal(t, want != "", known, "%q", word)
	}
}

func TestProductKindOf(t *testing.T) {
	for word, want := range map[string]domain.ProductKind{
		"DIGITAL": domain.NotPhysical, " service ": domain.NotPhysical, "PHYSICAL": domain.Physical,
		"PHYSICAL/DIGITAL": domain.Physical, "PHYSICAL / DIGITAL": domain.Physical, "": "", "VOUCHER": "",
	} {
		assert.Equal(t, want, domain.ProductKindOf(word), "%q", word)
	}
}

// two mugs and a lamp, all to be sent.
func mugsAndLamp() []domain.Item {
	return []domain.Item{{PriceID: "mug", Name: "Mug", Quantity: 2}, {PriceID: "lamp", Name: "Lamp", Quantity: 1}}
}

func sent(priceID string, quantity int64) domain.ShippedItem {
	return domain.ShippedItem{PriceID: priceID, Quantity: quantity}
}

func hours(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }

// shipment is a fulfilment as HighLevel lists it, made so many hours after noon.
func shipment(id string, hour int, tracking string, items ...domain.ShippedItem) domain.Shipment {
	s := domain.Shipment{ID: id, Items: items, CreatedAt: hours(hour)}
	if tracking != "" {
		s.Trackings = []domain.Tracking{parcel(tracking)}
	}
	return s
}

func whole(id, tracking string) domain.Shipment {
	return shipment(id, 1, tracking, sent("mug", 2), sent("lamp", 1))
}

func mugs(id, tracking string) domain.Shipment { return shipment(id, 1, tracking, sent("mug", 2)) }

func lamp(id, tracking string) domain.Shipment { return shipment(id, 2, tracking, sent("lamp", 1)) }

// at is news of two mugs and a lamp, read so many hours after noon.
func at(hour int, shipments ...domain.Shipment) domain.FulfillmentNews {
	return domain.FulfillmentNews{Items: mugsAndLamp(), Shipments: shipments, Now: hours(hour)}
}

func wishing(n domain.FulfillmentNews, state domain.FulfillmentState, trackings string) domain.FulfillmentNews {
	n.Sage = domain.FulfillmentWish{State: state, Trackings: domain.ParseTrackings(trackings)}
	return n
}

func hearing(n domain.FulfillmentNews, ds ...domain.Delivery) domain.FulfillmentNews {
	n.Deliveries = ds
	return n
}

// more is news of an order that was added to.
func more(n domain.FulfillmentNews) domain.FulfillmentNews {
	n.Items = append(n.Items, domain.Item{PriceID: "vase", Quantity: 1})
	return n
}

func closing(n domain.FulfillmentNews, reason string) domain.FulfillmentNews {
	n.Closing = reason
	return n
}

func arrived(tracking string, hour int) domain.Delivery {
	return domain.Delivery{Tracking: tracking, State: delivered, At: hours(hour)}
}

// TestFulfillmentRules has an example for every sentence of the rules: the news of one pass after the other, and what is
// to be true after the last.
func TestFulfillmentRules(t *testing.T) {
	type news = []domain.FulfillmentNews
	for _, row := range []struct {
		name   string
		rules  domain.FulfillmentRules
		passes news
		state  domain.FulfillmentState
		reason string
		// plan is what is to be posted: the goods as "price×quantity", and the trackings.
		plan  string
		loose string
		// steps are those of the last pass.
		steps []string
	}{
		{name: "nothing known", passes: news{at(0)}, state: created},
		{name: "no items known", passes: news{{}}, state: created},
		{name: "with tracking it is shipped", passes: news{at(1, whole("f1", "T1"))}, state: shipped, steps: []string{"shipped/f1"}},
		{name: "without it is processing", passes: news{at(1, whole("f1", ""))}, state: processing, steps: []string{"processing/f1"}},
		{
			name: "unless configured otherwise", rules: domain.FulfillmentRules{WithoutTracking: shipped},
			passes: news{at(1, whole("f1", ""))}, state: shipped, steps: []string{"shipped/f1"},
		},
		{name: "n/a is no tracking", passes: news{at(1, whole("f1", "n/a"))}, state: processing, steps: []string{"processing/f1"}},
		{name: "the tracking comes later", passes: news{at(1, whole("f1", "")), at(2, whole("f1", "T1"))}, state: shipped, steps: []string{"shipped/f1"}},
		{name: "the tracking goes again", passes: news{at(1, whole("f1", "T1")), at(2, whole("f1", ""))}, state: shipped},
		{name: "the shipment goes again", passes: news{at(1, whole("f1", "T1")), at(2)}, state: shipped},
		{name: "listed without its goods", passes: news{at(1, whole("f1", "")), at(2, shipment("f1", 1, "T1"))}, state: shipped, steps: []string{"shipped/f1"}},
		{name: "a shipment without id", passes: news{at(1, whole("", "T1"))}, state: created},

		{name: "goods remain", passes: news{at(1, mugs("f1", "T1"))}, state: processing, steps: []string{"shipped/f1"}},
		{name: "one piece remains", passes: news{at(1, shipment("f1", 1, "T1", sent("mug", 1), sent("lamp", 1)))}, state: processing, steps: []string{"shipped/f1"}},
		{name: "nothing remains", passes: news{at(1, mugs("f1", "T1")), at(2, lamp("f2", "T2"), mugs("f1", "T1"))}, state: shipped, steps: []string{"shipped/f2"}},
		{name: "the least advanced counts", passes: news{at(2, lamp("f2", ""), mugs("f1", "T1"))}, state: processing, steps: []string{"shipped/f1", "processing/f2"}},
		{name: "more sent than ordered", passes: news{at(1, shipment("f1", 1, "T1", sent("mug", 9), sent("lamp", 1)))}, state: shipped, steps: []string{"shipped/f1"}},
		{name: "more of one is nothing of the other", passes: news{at(1, shipment("f1", 1, "T1", sent("mug", 9)))}, state: processing, steps: []string{"shipped/f1"}},
		{name: "less than nothing sent", passes: news{at(1, whole("f1", "T1"), shipment("f2", 2, "T2", sent("mug", -5)))}, state: shipped, steps: []string{"shipped/f1", "shipped/f2"}},
		{name: "never lower than before", passes: news{at(1, whole("f1", "T1")), at(2, whole("f1", "T1"), lamp("f2", ""))}, state: shipped, steps: []string{"processing/f2"}},

		{name: "Sage says shipped", passes: news{wishing(at(1), shipped, "T1 (UPS)")}, state: created, plan: "mug×2 lamp×1: T1 (UPS)", loose: "T1 (UPS)"},
		{name: "Sage says delivered", passes: news{wishing(at(1), delivered, "T1")}, state: created, plan: "mug×2 lamp×1: T1", loose: "T1"},
		{name: "all that remains", passes: news{wishing(at(1, mugs("f1", "T1")), shipped, "t-1, T2")}, state: processing, plan: "lamp×1: T2", loose: "T2", steps: []string{"shipped/f1"}},
		{name: "once it is listed", passes: news{wishing(at(1), shipped, "T1"), wishing(at(2, whole("f1", "t 1")), shipped, "T1")}, state: shipped, steps: []string{"shipped/f1"}},
		{name: "delivered once it is listed", passes: news{wishing(at(1), delivered, "T1"), wishing(at(2, whole("f1", "T1")), delivered, "T1")}, state: delivered, steps: []string{"delivered"}},
		{name: "a number is only written down", passes: news{wishing(at(1), "", "T1")}, state: created, loose: "T1"},
		{name: "the state comes after the number", passes: news{wishing(at(1), processing, "T1"), wishing(at(2), shipped, "")}, state: processing, plan: "mug×2 lamp×1: T1", loose: "T1"},
		{name: "the number comes after the state", passes: news{wishing(at(1), shipped, ""), wishing(at(2), "", "T1")}, state: shipped, plan: "mug×2 lamp×1: T1", loose: "T1"},
		{name: "no tracking, nothing posted", passes: news{wishing(at(1), shipped, "n/a")}, state: shipped, steps: []string{"shipped"}},
		{
			name: "unless that is wanted", rules: domain.FulfillmentRules{PostWithoutTracking: true},
			passes: news{wishing(at(1), shipped, "")}, state: created, plan: "mug×2 lamp×1: ",
		},
		{
			name: "and people said so", rules: domain.FulfillmentRules{PostWithoutTracking: true},
			passes: news{wishing(at(1), processing, "")}, state: processing, steps: []string{"processing"},
		},
		{
			name: "without tracking, once it is listed", rules: domain.FulfillmentRules{PostWithoutTracking: true},
			passes: news{wishing(at(2, whole("f1", "")), shipped, "")}, state: shipped, steps: []string{"shipped/f1"},
		},
		{name: "nothing remains, the tracking is kept", passes: news{wishing(at(1, whole("f1", "T1")), shipped, "T1, T2")}, state: shipped, loose: "T2", steps: []string{"shipped/f1"}},
		{name: "a known tracking is no new shipment", passes: news{wishing(at(1, mugs("f1", "T1")), shipped, "T1")}, state: shipped, steps: []string{"shipped/f1"}},
		{name: "people's word about a shipment", passes: news{at(1, whole("f1", "")), wishing(at(2, whole("f1", "")), shipped, "T1")}, state: shipped, loose: "T1", steps: []string{"shipped/f1"}},
		{name: "what is loose becomes HighLevel's", passes: news{wishing(at(1), "", "T1"), at(2, whole("f1", "t1"))}, state: shipped, steps: []string{"shipped/f1"}},
		{name: "both sides at once", passes: news{wishing(at(1, whole("f1", "T1")), shipped, "t1")}, state: shipped, steps: []string{"shipped/f1"}},
		{name: "a number is corrected", passes: news{wishing(at(1), "", "T1 (UPS)"), wishing(at(2), "", "T2 (DHL)"), wishing(at(3), shipped, "T2 (DHL)")}, state: created, plan: "mug×2 lamp×1: T2 (DHL)", loose: "T2 (DHL)"},
		{name: "one of two numbers is taken out", passes: news{wishing(at(1), "", "T1, T2"), wishing(at(2), "", "T2")}, state: created, loose: "T2"},
		{name: "a carrier is corrected", passes: news{wishing(at(1), "", "T1 (UPS)"), wishing(at(2), "", "T1 (DHL)")}, state: created, loose: "T1 (DHL)"},
		{name: "an emptied field takes no number back", passes: news{wishing(at(1), "", "T1"), wishing(at(2), processing, "")}, state: processing, loose: "T1", steps: []string{"processing"}},
		{name: "HighLevel's number is not people's to correct", passes: news{at(1, whole("f1", "T1")), wishing(at(2, whole("f1", "T1")), shipped, "T2")}, state: shipped, loose: "T2"},
		{name: "set back", passes: news{at(1, whole("f1", "T1")), wishing(at(2, whole("f1", "T1")), created, "T1")}, state: shipped},
		{name: "a word nobody knows", passes: news{wishing(at(1), "lost", "T1")}, state: created, loose: "T1"},

		{name: "goods are added and nobody declared anything", passes: news{wishing(at(1, whole("f1", "T1")), shipped, "T1, T2"), more(at(2, whole("f1", "T1")))}, state: shipped, loose: "T2"},
		{
			name: "set back is not declared", rules: domain.FulfillmentRules{PostWithoutTracking: true},
			passes: news{hearing(at(1), domain.Delivery{State: shipped}), wishing(at(2), created, "")}, state: shipped,
		},
		{name: "Sage says processing", passes: news{wishing(at(1), processing, "")}, state: processing, steps: []string{"processing"}},
		{name: "delivered without a shipment", passes: news{wishing(at(1), delivered, "")}, state: delivered, steps: []string{"delivered"}},
		{name: "delivered though goods remain", passes: news{wishing(at(1, mugs("f1", "T1")), delivered, "T1")}, state: delivered, steps: []string{"delivered"}},
		{name: "cancelled in Sage", passes: news{wishing(at(1, mugs("f1", "T1")), cancelled, "T1")}, state: cancelled, reason: "cancelled in Sage", steps: []string{"shipped/f1", "cancelled"}},
		{name: "no shipment of what is cancelled", passes: news{wishing(at(1), cancelled, "T9")}, state: cancelled, reason: "cancelled in Sage", loose: "T9", steps: []string{"cancelled"}},

		{name: "one parcel arrives", passes: news{hearing(at(3, mugs("f1", "T1"), lamp("f2", "T2")), arrived("t-2", 3))}, state: shipped, steps: []string{"shipped/f1", "delivered/f2"}},
		{
			name:   "the last parcel arrives",
			passes: news{hearing(at(3, mugs("f1", "T1"), lamp("f2", "T2")), arrived("T2", 3)), hearing(at(4, mugs("f1", "T1"), lamp("f2", "T2")), arrived("T2", 3), arrived("T1", 4))},
			state:  delivered, steps: []string{"delivered"},
		},
		{name: "a parcel arrives and goods remain", passes: news{hearing(at(3, mugs("f1", "T1")), arrived("T1", 3))}, state: processing, steps: []string{"delivered/f1"}},
		{name: "one parcel for two shipments", passes: news{hearing(at(3, mugs("f1", "T1"), lamp("f2", "T1")), arrived("T1", 3))}, state: delivered, steps: []string{"delivered"}},
		{name: "one of a shipment's two parcels", passes: news{hearing(at(3, whole("f1", "T1, T2")), arrived("T1", 3))}, state: shipped, steps: []string{"shipped/f1"}},
		{name: "a shipment's two parcels", passes: news{hearing(at(3, whole("f1", "T1, T2")), arrived("T1", 3), arrived("T2", 4))}, state: delivered, steps: []string{"delivered"}},
		{name: "an address is no parcel of its own", passes: news{hearing(at(3, whole("f1", "https://example.com/1, T1")), arrived("T1", 3))}, state: delivered, steps: []string{"delivered"}},
		{name: "an unknown parcel", passes: news{hearing(at(3, whole("f1", "T1")), arrived("T7", 3))}, state: shipped, steps: []string{"shipped/f1"}},
		{name: "a parcel named by nothing", passes: news{hearing(at(3, whole("f1", "T1")), arrived("- -", 3))}, state: shipped, steps: []string{"shipped/f1"}},
		{name: "the shipment comes after its news", passes: news{hearing(at(1), arrived("T1", 3)), hearing(at(4, whole("f1", "T1")), arrived("T1", 3))}, state: delivered, steps: []string{"delivered"}},
		{name: "the order arrives", passes: news{hearing(at(3, mugs("f1", "T1"), lamp("f2", "")), arrived("", 3))}, state: delivered, steps: []string{"delivered"}},
		{name: "the order arrives, of which nothing is known", passes: news{hearing(at(3), arrived("", 3))}, state: delivered, steps: []string{"delivered"}},
		{name: "the order is on its way", passes: news{hearing(at(3), domain.Delivery{State: shipped, At: hours(2)})}, state: shipped, steps: []string{"shipped"}},
		{name: "a parcel is on its way", passes: news{hearing(at(3, whole("f1", "T1")), domain.Delivery{Tracking: "T1", State: shipped, At: hours(2)})}, state: shipped, steps: []string{"shipped/f1"}},
		{name: "news of no meaning", passes: news{hearing(at(3), domain.Delivery{State: cancelled}, domain.Delivery{State: "lost"})}, state: created},
		{name: "a loose parcel beside a shipment", passes: news{hearing(wishing(at(1, whole("f1", "T1")), shipped, "T1, T2"), arrived("T2", 3))}, state: shipped, loose: "T2", steps: []string{"shipped/f1"}},
		{name: "a loose parcel of a shipment that has none", passes: news{hearing(wishing(at(1, whole("f1", "")), processing, "T2"), arrived("T2", 3))}, state: delivered, loose: "T2", steps: []string{"delivered"}},
		{name: "a loose parcel of an order that nobody declared", passes: news{hearing(wishing(at(1), "", "T2"), arrived("T2", 3))}, state: created, loose: "T2"},
		{name: "one of two loose parcels", passes: news{hearing(wishing(at(1, whole("f1", "")), processing, "T2, T3"), arrived("T2", 3))}, state: processing, loose: "T2, T3", steps: []string{"processing/f1"}},
		{name: "a loose parcel that left", passes: news{hearing(wishing(at(1, whole("f1", "")), "", "T2"), domain.Delivery{Tracking: "T2", State: shipped})}, state: shipped, loose: "T2", steps: []string{"shipped/f1"}},
		{name: "a loose parcel of goods that remain", passes: news{hearing(wishing(at(1, mugs("f1", "")), processing, "T2"), arrived("T2", 3))}, state: processing, loose: "T2", steps: []string{"processing/f1"}},
		{name: "the shipment first, then its arrival", passes: news{hearing(wishing(at(1), shipped, "T1"), arrived("", 1))}, state: created, plan: "mug×2 lamp×1: T1", loose: "T1"},

		{name: "refunded before it was sent", passes: news{at(0), closing(at(1), "refunded in full")}, state: cancelled, reason: "refunded in full", steps: []string{"cancelled"}},
		{name: "refunded after it was sent", passes: news{at(1, whole("f1", "T1")), closing(at(2, whole("f1", "T1")), "refunded in full")}, state: cancelled, reason: "refunded in full", steps: []string{"cancelled"}},
		{name: "refunded after it arrived", passes: news{hearing(at(1, whole("f1", "T1")), arrived("", 1)), closing(at(2, whole("f1", "T1")), "refunded in full")}, state: delivered},
		{name: "refunded and arrived at once", passes: news{closing(hearing(at(1, whole("f1", "T1")), arrived("T1", 1)), "refunded in full")}, state: delivered, steps: []string{"delivered"}},
		{name: "refunded and sent at once", passes: news{closing(wishing(at(1), shipped, "T1"), "refunded in full")}, state: cancelled, reason: "refunded in full", loose: "T1", steps: []string{"cancelled"}},
		{name: "arrived after it was refunded", passes: news{closing(at(1, whole("f1", "T1")), "refunded in full"), hearing(at(2, whole("f1", "T1")), arrived("", 2))}, state: cancelled, reason: "refunded in full"},
		{name: "cancelled twice", passes: news{closing(at(1), "cancelled in HighLevel"), closing(at(2), "refunded in full")}, state: cancelled, reason: "cancelled in HighLevel"},

		{name: "a late shipped after the end", passes: news{wishing(at(1, whole("f1", "T1")), delivered, "T1"), wishing(at(2, whole("f1", "T1")), shipped, "T1, T2")}, state: delivered, loose: "T2"},
		{name: "a late shipment after the end", passes: news{hearing(at(1, mugs("f1", "T1")), arrived("", 1)), at(3, mugs("f1", "T1"), lamp("f2", "T2"))}, state: delivered},
		{name: "sent after it was cancelled", passes: news{closing(at(1), "refunded in full"), wishing(at(2), shipped, "T1")}, state: cancelled, reason: "refunded in full", loose: "T1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var f domain.Fulfillment
			var plan *domain.ShipmentPlan
			var steps []domain.FulfillmentStep
			for _, n := range row.passes {
				f, plan, steps = f.With(n, row.rules)
			}
			assert.Equal(t, row.state, f.State)
			assert.Equal(t, row.reason, f.Reason)
			assert.Equal(t, row.plan, planText(plan))
			assert.Equal(t, row.loose, domain.FormatTrackings(f.Loose))
			assert.Equal(t, row.steps, stepKeys(steps))
			assert.Equal(t, row.state == delivered || row.state == cancelled, f.Closed())
		})
	}
}

func planText(plan *domain.ShipmentPlan) (text string) {
	if plan == nil {
		return ""
	}
	for i, item := range plan.Items {
		if i > 0 {
			text += " "
		}
		text += item.PriceID + "×" + string(rune('0'+item.Quantity))
	}
	return text + ": " + domain.FormatTrackings(plan.Trackings)
}

func stepKeys(steps []domain.FulfillmentStep) (keys []string) {
	for _, s := range steps {
		keys = append(keys, s.Key)
	}
	return keys
}

func digital(kinds ...domain.ProductKind) domain.FulfillmentNews {
	n := domain.FulfillmentNews{Paid: true, Now: noon}
	for i, kind := range kinds {
		n.Items = append(n.Items, domain.Item{PriceID: string(rune('a' + i)), Quantity: 1, Kind: kind})
	}
	return n
}

func TestDigitalOrders(t *testing.T) {
	deliver := domain.FulfillmentRules{DeliverDigital: true}
	f, plan, steps := domain.Fulfillment{}.With(digital(domain.NotPhysical, domain.NotPhysical), deliver)
	assert.Equal(t, domain.Fulfillment{State: delivered, Reason: "nothing to ship", DeliveredAt: noon}, f, "delivered at once")
	assert.Nil(t, plan)
	assert.Equal(t, []domain.FulfillmentStep{{Key: "delivered", State: delivered, At: noon}}, steps)

	f, _, _ = domain.Fulfillment{}.With(digital(domain.NotPhysical), domain.FulfillmentRules{})
	assert.Equal(t, created, f.State, "unless everything is to be shipped")
	unpaid := digital(domain.NotPhysical)
	unpaid.Paid = false
	f, _, _ = domain.Fulfillment{}.With(unpaid, deliver)
	assert.Equal(t, created, f.State, "not before it is paid")
	f, _, _ = domain.Fulfillment{}.With(digital(), deliver)
	assert.Equal(t, created, f.State, "nothing known is not nothing to ship")
	f, _, _ = domain.Fulfillment{}.With(digital(domain.NotPhysical, ""), deliver)
	assert.Equal(t, created, f.State, "an unknown type counts as physical")
	f, _, _ = domain.Fulfillment{}.With(closing(digital(domain.NotPhysical), "refunded in full"), deliver)
	assert.Equal(t, cancelled, f.State, "refunded before anybody saw that it was paid")
	f, _, _ = domain.Fulfillment{}.With(wishing(digital(domain.NotPhysical), delivered, ""), deliver)
	assert.Empty(t, f.Reason, "people said so before the rule did")

	mixed := wishing(digital(domain.Physical, domain.NotPhysical), shipped, "T1")
	_, plan, _ = domain.Fulfillment{}.With(mixed, deliver)
	assert.Equal(t, "a×1: T1", planText(plan), "only what is physical is sent")
	mixed.Shipments = []domain.Shipment{shipment("f1", 0, "T1", sent("a", 1))}
	f, plan, _ = domain.Fulfillment{}.With(mixed, deliver)
	assert.Equal(t, shipped, f.State)
	assert.Nil(t, plan)
	assert.False(t, f.Partial(mixed.Items, deliver))
	assert.True(t, f.Partial(mixed.Items, domain.FulfillmentRules{}))
}

func TestGoodsAreCountedByPrice(t *testing.T) {
	lines := at(1)
	lines.Items = []domain.Item{
		{PriceID: "mug", Name: "Mug, red", Quantity: 2}, {PriceID: "lamp", Name: "Lamp", Quantity: 1},
		{PriceID: "mug", Name: "Mug, blue", Quantity: 3}, {PriceID: "gift", Quantity: 0}, {Name: "Wrapping", Quantity: 1},
	}
	_, plan, _ := domain.Fulfillment{}.With(wishing(lines, shipped, "T1"), domain.FulfillmentRules{})
	require.NotNil(t, plan)
	assert.Equal(t, []domain.ShippedItem{{PriceID: "mug", Name: "Mug, red", Quantity: 5}, {PriceID: "lamp", Name: "Lamp", Quantity: 1}}, plan.Items,
		"lines of one price add up, and what has no price cannot be posted")

	lines.Shipments = []domain.Shipment{shipment("f1", 1, "T1", sent("mug", 2)), shipment("f2", 1, "T2", sent("mug", 2), sent("lamp", 1))}
	f, plan, _ := domain.Fulfillment{}.With(wishing(lines, shipped, "T3"), domain.FulfillmentRules{})
	assert.Equal(t, "mug×1: T3", planText(plan))
	assert.True(t, f.Partial(lines.Items, domain.FulfillmentRules{}))
	lines.Shipments = append(lines.Shipments, shipment("f3", 2, "T3", sent("mug", 1)))
	f, _, _ = domain.Fulfillment{}.With(lines, domain.FulfillmentRules{})
	assert.Equal(t, shipped, f.State, "what has no price went with the others")

	lines.Items = []domain.Item{{PriceID: "mug", Quantity: math.MaxInt64}, {PriceID: "mug", Quantity: math.MaxInt64}}
	f, _, _ = domain.Fulfillment{}.With(lines, domain.FulfillmentRules{})
	assert.Equal(t, processing, f.State, "and no sum runs over")
	lines.Items = []domain.Item{{PriceID: "mug", Quantity: 1}}
	lines.Shipments = []domain.Shipment{shipment("f1", 1, "T1", sent("mug", math.MaxInt64), sent("mug", math.MaxInt64))}
	f, _, _ = domain.Fulfillment{}.With(lines, domain.FulfillmentRules{})
	assert.Equal(t, shipped, f.State, "nor under")
}

func TestGoodsWithoutPrices(t *testing.T) {
	handmade := at(1)
	handmade.Items = []domain.Item{{Name: "Made to measure", Quantity: 1}}
	f, plan, steps := domain.Fulfillment{}.With(wishing(handmade, shipped, "T1"), domain.FulfillmentRules{})
	assert.Nil(t, plan, "HighLevel cannot be told")
	assert.Equal(t, shipped, f.State, "people's word counts")
	assert.Equal(t, []string{"shipped"}, stepKeys(steps))
	assert.False(t, f.Partial(handmade.Items, domain.FulfillmentRules{}))
	f, _, steps = f.With(hearing(handmade, arrived("T1", 5)), domain.FulfillmentRules{})
	assert.Equal(t, delivered, f.State, "and its parcel is the order")
	assert.Equal(t, hours(5), f.DeliveredAt)
	assert.Equal(t, []string{"delivered"}, stepKeys(steps))

	handmade.Shipments = []domain.Shipment{shipment("f1", 1, "T1")}
	f, _, _ = domain.Fulfillment{}.With(handmade, domain.FulfillmentRules{})
	assert.Equal(t, shipped, f.State, "any shipment holds it")
}

func TestFulfillmentDates(t *testing.T) {
	rules := domain.FulfillmentRules{}
	f, _, _ := domain.Fulfillment{}.With(at(9, mugs("f1", "T1")), rules)
	assert.Equal(t, hours(1), f.Shipments[0].ShippedAt, "when HighLevel was told")
	assert.Zero(t, f.ShippedAt, "goods remain")
	f, _, _ = f.With(at(10, mugs("f1", "T1"), lamp("f2", "")), rules)
	f, _, steps := f.With(at(11, mugs("f1", "T1"), lamp("f2", "T2")), rules)
	assert.Equal(t, hours(11), f.Shipments[1].ShippedAt, "when the tracking was seen")
	assert.Equal(t, hours(11), f.ShippedAt, "when the last goods left")
	assert.Equal(t, []domain.FulfillmentStep{{Key: "shipped/f2", State: shipped, ShipmentID: "f2", At: hours(11)}}, steps)
	both := at(12, mugs("f1", "T1"), lamp("f2", "T2"))
	f, _, _ = f.With(hearing(both, arrived("T2", 20), arrived("T2", 18), arrived("T2", 19), arrived("T1", 15)), rules)
	assert.Equal(t, hours(18), f.DeliveredAt, "when the last of them arrived, as first heard")
	assert.Equal(t, hours(15), f.Shipments[0].DeliveredAt)
	assert.Equal(t, hours(11), f.ShippedAt)

	f, _, _ = domain.Fulfillment{}.With(hearing(at(12), domain.Delivery{State: shipped, At: hours(3)}), rules)
	assert.Equal(t, hours(3), f.ShippedAt)
	f, _, _ = domain.Fulfillment{}.With(hearing(at(12, mugs("f1", "T1")), domain.Delivery{State: shipped, At: hours(3)}), rules)
	assert.Equal(t, hours(3), f.ShippedAt, "the rest left when people said so")
	f, _, _ = domain.Fulfillment{}.With(wishing(at(12, whole("f1", "T1")), shipped, "T1"), rules)
	assert.Equal(t, hours(1), f.ShippedAt, "the shipment knows better than its echo")
	f, _, _ = domain.Fulfillment{}.With(hearing(at(12, whole("f1", "T1")), arrived("T1", 5)), rules)
	assert.Equal(t, hours(1), f.ShippedAt, "also when it was first seen after it arrived")
	f, _, _ = domain.Fulfillment{}.With(wishing(at(12), delivered, ""), rules)
	assert.Equal(t, hours(12), f.DeliveredAt)
	assert.Zero(t, f.ShippedAt, "no date is invented")
	f, _, _ = domain.Fulfillment{}.With(hearing(at(12), domain.Delivery{State: delivered}), rules)
	assert.Equal(t, hours(12), f.DeliveredAt, "heard now")
	elsewhere := whole("f1", "T1")
	elsewhere.CreatedAt = hours(1).In(time.FixedZone("", 3600))
	f, _, _ = domain.Fulfillment{}.With(at(12, elsewhere), rules)
	assert.Equal(t, hours(1), f.ShippedAt, "in UTC")
}

func TestShipmentsAreInTheOrderOfTheirMaking(t *testing.T) {
	first, second, third := shipment("f9", 1, "T3"), shipment("f2", 2, "T2"), shipment("f3", 2, "T1")
	for _, list := range [][]domain.Shipment{{first, second, third}, {third, second, first}, {second, first, third, first}} {
		f, _, _ := domain.Fulfillment{}.With(wishing(at(3, list...), "", "T0, t2"), domain.FulfillmentRules{})
		assert.Equal(t, []string{"f9", "f2", "f3"}, f.IDs())
		assert.Equal(t, "T3, T2, T1, T0", domain.FormatTrackings(f.Trackings()))
	}
}

func TestReplacementAfterTheEnd(t *testing.T) {
	rules := domain.FulfillmentRules{}
	f, _, _ := domain.Fulfillment{}.With(hearing(at(2, whole("f1", "T1")), arrived("", 5)), rules)
	late := at(9, whole("f1", "T1"), shipment("f2", 4, "T2", sent("mug", 1)), shipment("f3", 8, "T3", sent("mug", 1)))
	f, plan, steps := f.With(late, rules)
	assert.Nil(t, plan)
	assert.Empty(t, steps)
	assert.Equal(t, []string{"f1", "f2", "f3"}, f.IDs())
	assert.Equal(t, delivered, f.Shipments[1].State, "it was made before all was delivered, and listed late")
	assert.Equal(t, shipped, f.Shipments[2].State, "a parcel sent afterwards is on its way")
	assert.Equal(t, delivered, f.State)
	assert.Equal(t, hours(5), f.DeliveredAt)
	f, _, steps = f.With(hearing(late, arrived("T3", 11)), rules)
	assert.Equal(t, delivered, f.Shipments[2].State)
	assert.Equal(t, hours(5), f.DeliveredAt)
	assert.Empty(t, steps)
}
