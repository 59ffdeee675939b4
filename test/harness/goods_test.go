package harness_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/test/harness"
)

// patience is how long a handful of orders may take on a machine that has other things to do.
const patience = 2 * time.Minute

func TestMain(m *testing.M) { harness.Main(m) }

// TestGoodsGoTheirWays does by hand what the helpers are for, and lets the comparison say that all of it was noticed.
func TestGoodsGoTheirWays(t *testing.T) {
	s := harness.Start(t, stack.Options{GHL: ghl.Options{NoLimits: true}})
	contact := s.GHL.AddContact(ghl.Contact{FirstName: "Ada", Email: "ada@example.com"})
	buy := func() string {
		order := harness.Buy(t, s, s.Location(), contact, domain.NewMoney(2500, "EUR"))
		harness.InState(t, s, order.ID, domain.FulfillmentCreated, patience)
		return order.ID
	}
	here, there, never := buy(), buy(), buy()
	harness.Ship(t, s, here, []ghl.Tracking{{Number: "1Z0001", Carrier: "UPS"}})
	harness.InState(t, s, here, domain.FulfillmentShipped, patience)
	harness.Deliver(t, s, here, "1z-0001")
	harness.InState(t, s, here, domain.FulfillmentDelivered, patience)

	harness.ShipInSage(t, s, there, ghl.Tracking{Number: "JD0002", Carrier: "DHL"})
	require.Eventually(t, func() bool { return len(s.GHL.Fulfillments(there)) == 1 }, patience, 20*time.Millisecond)
	harness.Settled(t, s, patience)
	harness.Agrees(t, s)
	harness.Deliver(t, s, there)
	harness.InSage(t, s, shop.Act{Deed: shop.CancelInSage, OrderID: never})
	harness.Settled(t, s, patience)
	harness.Agrees(t, s)
	harness.InState(t, s, there, domain.FulfillmentDelivered, patience)
	harness.InState(t, s, never, domain.FulfillmentCancelled, patience)
}
