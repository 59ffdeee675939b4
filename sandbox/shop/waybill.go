package shop

import (
	"slices"
	"sync"

	"github.com/tallystick/tallystick/sandbox/ghl"
)

// Waybill is what people and carriers did with the goods of one order. What Tallystick made of it is not on it.
type Waybill struct {
	OrderID string
	// Here are the shipments that people made in HighLevel.
	Here []Parcel
	// InSage are the numbers that people set in Sage, one entry for each time they did. All that no shipment of Here has
	// goes with the first.
	InSage [][]ghl.Tracking
	// Received tells that the whole order was delivered, Arrived the numbers that were.
	Received bool
	Arrived  []string
	// Cancelled tells that somebody in Sage cancelled the order.
	Cancelled bool
}

// Parcel is a shipment with what is in it.
type Parcel struct {
	Lines     []ghl.NewLine
	Trackings []ghl.Tracking
	// Notify tells that the customer is to be written to.
	Notify bool
}

// has tells whether it goes under that number.
func (p Parcel) has(number string) bool {
	return slices.ContainsFunc(p.Trackings, func(t ghl.Tracking) bool { return plain(t.Number) == plain(number) })
}

// all tells whether each of its numbers is among these, and that it has any.
func (p Parcel) all(numbers []string) bool {
	missing := func(t ghl.Tracking) bool {
		return !slices.ContainsFunc(numbers, func(number string) bool { return plain(number) == plain(t.Number) })
	}
	return len(p.Trackings) > 0 && !slices.ContainsFunc(p.Trackings, missing)
}

// Waybills are those of many orders. The zero value is empty and ready; its methods may be called from many goroutines.
type Waybills struct {
	mu   sync.Mutex
	byID map[string]Waybill
}

// Open makes sure that an order has a waybill: one without entries says that nobody did anything.
func (w *Waybills) Open(orderIDs ...string) {
	for _, id := range orderIDs {
		w.change(id, func(*Waybill) {})
	}
}

// Enter notes what was done.
func (w *Waybills) Enter(a Act) {
	w.change(a.OrderID, func(b *Waybill) {
		switch a.Deed {
		case ShipHere:
			b.Here = append(b.Here, Parcel{Lines: a.Lines, Trackings: a.Trackings, Notify: a.Notify})
		case ShipInSage:
			b.InSage = append(b.InSage, a.Trackings)
		case HandOver:
			b.InSage, b.Received = append(b.InSage, a.Trackings), true
		case ReceiveByCall, ReceiveInSage:
			for _, t := range a.Trackings {
				b.Arrived = append(b.Arrived, t.Number)
			}
			b.Received = b.Received || len(a.Trackings) == 0
		case CancelInSage:
			b.Cancelled = true
		case SetBack: // is to leave no trace
		}
	})
}

// Of is the waybill of an order, and false if there is none.
func (w *Waybills) Of(orderID string) (Waybill, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, found := w.byID[orderID]
	b.Here, b.InSage, b.Arrived = slices.Clone(b.Here), slices.Clone(b.InSage), slices.Clone(b.Arrived)
	return b, found
}

func (w *Waybills) change(orderID string, do func(*Waybill)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byID == nil {
		w.byID = map[string]Waybill{}
	}
	b := w.byID[orderID]
	b.OrderID = orderID
	do(&b)
	w.byID[orderID] = b
}
