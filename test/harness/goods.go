package harness

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
)

// noticed bounds how long the front door may be away for a delivery to be told.
const noticed = time.Minute

var waybills sync.Map // of *shop.Waybills, by *stack.Stack

// Waybills are what Ship, ShipInSage and Deliver did on a stack. What a test does with an order's goods by other means,
// the starter's commands among them, is to be entered by it, or Agrees takes it for a mistake.
func Waybills(t *testing.T, s *stack.Stack) *shop.Waybills {
	t.Helper()
	w, known := waybills.LoadOrStore(s, &shop.Waybills{})
	if !known {
		t.Cleanup(func() { waybills.Delete(s) })
	}
	return w.(*shop.Waybills)
}

// Ship makes a shipment in HighLevel as people do there, of all that is left where no lines are given, and has the
// customer written to.
func Ship(t *testing.T, s *stack.Stack, orderID string, trackings []ghl.Tracking, lines ...ghl.NewLine) ghl.Fulfillment {
	t.Helper()
	made, err := s.GHL.Fulfil(orderID, ghl.NewFulfillment{Trackings: trackings, Items: lines, Notify: true})
	require.NoError(t, err)
	act := shop.Act{Deed: shop.ShipHere, OrderID: orderID, Trackings: trackings, Notify: true}
	for _, item := range made.Items {
		act.Lines = append(act.Lines, ghl.NewLine{PriceID: item.PriceID, Qty: item.Qty})
	}
	Waybills(t, s).Enter(act)
	return made
}

// ShipInSage sets an order to shipped in Sage and adds tracking numbers, as people do there. The order must be there.
func ShipInSage(t *testing.T, s *stack.Stack, orderID string, trackings ...ghl.Tracking) {
	t.Helper()
	InSage(t, s, shop.Act{Deed: shop.ShipInSage, OrderID: orderID, Trackings: trackings})
}

// InSage does in Sage with an order what people can do there: shop.ShipInSage, HandOver, ReceiveInSage, CancelInSage and
// SetBack.
func InSage(t *testing.T, s *stack.Stack, act shop.Act) {
	t.Helper()
	found := s.Sage.OrdersByExtID(domain.OrderExtID(act.OrderID))
	require.Len(t, found, 1, "the order must be in Sage before anything is done with it there")
	require.NoError(t, shop.Enter(s.Sage, found[0].Record, act))
	Waybills(t, s).Enter(act)
}

// Deliver tells the front door by a signed call that a whole order was delivered, or the parcels with these numbers, and
// tells it again for as long as it is away.
func Deliver(t *testing.T, s *stack.Stack, orderID string, numbers ...string) {
	t.Helper()
	calls := []shop.Delivery{{Order: orderID}}
	act := shop.Act{Deed: shop.ReceiveByCall, OrderID: orderID}
	if len(numbers) > 0 {
		calls = nil
	}
	for _, number := range numbers {
		calls = append(calls, shop.Delivery{Tracking: number})
		act.Trackings = append(act.Trackings, ghl.Tracking{Number: number})
	}
	carrier := Carrier(s)
	for _, call := range calls {
		call.Status, call.At = "delivered", time.Now()
		var status int
		require.Eventually(t, func() bool {
			var err error
			status, err = carrier.Tell(t.Context(), call)
			return err == nil && status < http.StatusInternalServerError && status != http.StatusTooManyRequests
		}, noticed, stepBetween)
		require.Equal(t, http.StatusOK, status)
	}
	Waybills(t, s).Enter(act)
}

// stepBetween is the time between two looks.
const stepBetween = 20 * time.Millisecond

// Carrier tells the stack's front door of deliveries, with the secret that it was given.
func Carrier(s *stack.Stack) shop.Carrier {
	return shop.Carrier{FrontDoor: s.FrontDoor, Secret: s.Settings()["DELIVERY_WEBHOOK_SECRET"], Location: s.Location()}
}

// InState waits until Sage shows an order in a state of shipping.
func InState(t *testing.T, s *stack.Stack, orderID string, state domain.FulfillmentState, patience time.Duration) {
	t.Helper()
	require.Eventually(t, func() bool {
		found := s.Sage.OrdersByExtID(domain.OrderExtID(orderID))
		return len(found) == 1 && found[0].Text("Z_FulfillmentStatus") == string(state)
	}, patience, stepBetween, "order %s does not become %s", orderID, state)
}
