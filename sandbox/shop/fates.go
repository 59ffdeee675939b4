package shop

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/tallystick/tallystick/sandbox/ghl"
)

// Deed is what somebody does with the goods of an order.
type Deed string

// The deeds.
const (
	// ShipHere makes a fulfilment in HighLevel.
	ShipHere Deed = "is shipped in HighLevel"
	// ShipInSage sets the fulfilment field in Sage to shipped and adds tracking numbers.
	ShipInSage Deed = "is shipped in Sage"
	// HandOver sets it from created to delivered at once, with a number.
	HandOver Deed = "is sent and delivered in Sage"
	// ReceiveByCall tells of a delivery by a call to the front door, as carriers do.
	ReceiveByCall Deed = "is delivered, says the carrier"
	// ReceiveInSage sets the field in Sage to delivered.
	ReceiveInSage Deed = "is delivered, says Sage"
	// CancelInSage sets it to cancelled.
	CancelInSage Deed = "is cancelled in Sage"
	// SetBack sets it to processing although the goods are on their way, which must not last.
	SetBack Deed = "is set back in Sage"
)

// Act is one thing that is done with the goods of an order. None is done before the order is paid, and none in Sage
// before it is there.
type Act struct {
	Deed    Deed
	OrderID string
	// Lines are what is sent. In Sage nobody says what: it is all that is left.
	Lines []ghl.NewLine
	// Trackings are the numbers of what is sent or delivered. A delivery without any is that of the whole order.
	Trackings []ghl.Tracking
	// Notify has HighLevel write to the customer.
	Notify bool
	// After is the word that the fulfilment field in Sage must show before. Empty does not wait, so that several things
	// happen at once.
	After string
}

// Fate is what becomes of the goods of one order, one act after the other. Goods that nobody ever sends have none.
type Fate struct {
	OrderID string
	Acts    []Act
}

// The words of the fulfilment field in Sage.
const (
	created    = "created"
	processing = "processing"
	shipped    = "shipped"
	delivered  = "delivered"
	cancelled  = "cancelled"
)

// fortune draws the fates. It has dice of its own: what customers buy is the same with and without it.
type fortune struct {
	seed    int64
	dice    *rand.Rand
	numbers int // trackings so far
}

// fates draws what becomes of the goods of all orders.
func (g *generator) fates() {
	f := &fortune{seed: g.seed, dice: rand.New(rand.NewPCG(uint64(g.seed), 0x5417))} //nolint:gosec // a shop, not a secret
	digital := map[string]bool{}
	for _, p := range g.data.Products {
		digital[p.ID] = isDigital(p.Type)
	}
	for _, p := range g.data.Prices {
		digital[p.ID] = digital[p.ProductID]
	}
	paid, refunded := map[string]int64{}, map[string]int64{}
	for _, a := range g.data.Actions {
		switch a.Kind {
		case Pay, Settle:
			paid[a.OrderID] += a.Amount.Minor
		case Refund:
			refunded[a.OrderID] += a.Amount.Minor
		case Place, Try, Begin: // no money moves
		}
	}
	for _, a := range g.data.Actions {
		if a.Kind != Place {
			continue
		}
		fate := Fate{OrderID: a.OrderID}
		goods := goodsOf(a.Order.Lines, func(price string) bool { return digital[price] })
		switch {
		case a.Order.TestMode || a.Order.MarkAsTest || paid[a.OrderID] < g.totals[a.OrderID].Minor || len(goods) == 0:
		case refunded[a.OrderID] >= paid[a.OrderID]:
			fate.Acts = f.sentBack(goods)
		default:
			fate.Acts = f.sent(goods)
		}
		for i := range fate.Acts {
			fate.Acts[i].OrderID = a.OrderID
		}
		g.data.Fates = append(g.data.Fates, fate)
	}
}

// isDigital tells the types of products that nobody carries anywhere. HighLevel's fourth, PHYSICAL/DIGITAL, has something
// to carry.
func isDigital(productType string) bool { return productType == "DIGITAL" || productType == "SERVICE" }

// goodsOf is what there is to be carried, each price once.
func goodsOf(lines []ghl.NewLine, digital func(price string) bool) []ghl.NewLine {
	var goods []ghl.NewLine
	at := map[string]int{}
	for _, l := range lines {
		if digital(l.PriceID) {
			continue
		}
		i, known := at[l.PriceID]
		if !known {
			i, at[l.PriceID] = len(goods), len(goods)
			goods = append(goods, ghl.NewLine{PriceID: l.PriceID})
		}
		goods[i].Qty += l.Qty
	}
	return goods
}

// sentBack is what becomes of goods whose price is given back: they stay, or come back. None is delivered, since which
// of delivery and refund was first decides how the order ends.
func (f *fortune) sentBack(goods []ghl.NewLine) []Act {
	if f.dice.IntN(100) < 60 {
		return nil
	}
	return []Act{f.here(goods, "", f.tracking())}
}

// sent is what becomes of goods that customers keep.
func (f *fortune) sent(goods []ghl.NewLine) []Act {
	one, two := f.tracking(), f.tracking()
	first, rest := split(goods)
	roll := f.dice.IntN(100)
	if len(rest) == 0 && roll >= 30 && roll < 60 {
		roll -= 30 // a single piece cannot be split
	}
	switch {
	case roll < 20:
		return []Act{f.here(goods, "", one), receive(shipped, one)}
	case roll < 26: // the carrier is faster than everybody else
		return []Act{f.here(goods, "", one), receive("", one)}
	case roll < 30: // handed over at the counter, and somebody enters the number later
		return []Act{receive(created), f.here(goods, delivered, one)}
	case roll < 42: // in two parts
		return []Act{f.here(first, "", one), f.here(rest, processing, two), receive(shipped, one), receive("", two)}
	case roll < 49: // a part from each side
		return []Act{f.here(first, "", one), inSage(ShipInSage, processing, two), receive(shipped)}
	case roll < 54: // a part from each side at once
		return []Act{f.here(first, "", one), inSage(ShipInSage, "", two), receive(shipped)}
	case roll < 60: // a part, and no more
		return []Act{f.here(first, "", one)}
	case roll < 63: // packed in HighLevel, sent off in Sage
		return []Act{f.here(goods, ""), inSage(ShipInSage, processing, one), receive(shipped, one)}
	case roll < 67:
		return []Act{f.here(goods, ""), inSage(ShipInSage, processing, one), inSage(ReceiveInSage, shipped)}
	case roll < 76:
		return []Act{inSage(ShipInSage, created, one), inSage(ReceiveInSage, shipped)}
	case roll < 80: // in two parcels, which arrive one by one
		return []Act{inSage(ShipInSage, "", one, two), receive(shipped, one), receive("", two)}
	case roll < 84:
		return []Act{inSage(HandOver, created, one)}
	case roll < 88:
		return []Act{f.here(goods, "", one), inSage(SetBack, shipped), receive(shipped)}
	case roll < 92:
		return []Act{inSage(CancelInSage, created)}
	}
	return nil // not sent yet
}

// split makes two parcels of one, or gives all of it to the first if it is a single piece.
func split(goods []ghl.NewLine) (first, rest []ghl.NewLine) {
	head := goods[0]
	switch {
	case len(goods) > 1:
		return goods[:1:1], goods[1:]
	case head.Qty > 1:
		return []ghl.NewLine{{PriceID: head.PriceID, Qty: 1}}, []ghl.NewLine{{PriceID: head.PriceID, Qty: head.Qty - 1}}
	}
	return goods, nil
}

func (f *fortune) here(goods []ghl.NewLine, after string, trackings ...ghl.Tracking) Act {
	return Act{Deed: ShipHere, Lines: goods, Trackings: trackings, Notify: f.dice.IntN(100) < 70, After: after}
}

func inSage(deed Deed, after string, trackings ...ghl.Tracking) Act {
	return Act{Deed: deed, Trackings: trackings, After: after}
}

func receive(after string, trackings ...ghl.Tracking) Act {
	return Act{Deed: ReceiveByCall, Trackings: trackings, After: after}
}

// tracking is a number that no other parcel of the shop has.
func (f *fortune) tracking() ghl.Tracking {
	f.numbers++
	digits := fmt.Sprintf("%04d%06d", f.seed%10_000, f.numbers)
	switch f.dice.IntN(4) {
	case 0:
		return ghl.Tracking{Number: "1Z" + digits, Carrier: "UPS", URL: "https://ups.example/track?number=1Z" + digits}
	case 1:
		return ghl.Tracking{Number: "JD" + digits, Carrier: "DHL", URL: "https://dhl.example/" + digits}
	case 2:
		return ghl.Tracking{Number: digits + "7", Carrier: "FedEx"}
	}
	return ghl.Tracking{Number: "SP" + digits + "CH"}
}

// typed is how somebody writes a number down by hand.
func typed(t ghl.Tracking) string {
	if t.Carrier == "" {
		return t.Number
	}
	return t.Number + " (" + t.Carrier + ")"
}

// plain is a number as it can be compared, whoever wrote it down.
func plain(number string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(number))
}
