package server_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/server"
)

func TestBooksAreShownAsMetrics(t *testing.T) {
	ctx := t.Context()
	books, err := store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "books.db"))
	require.NoError(t, err)
	at := time.Unix(1_790_000_000, 0)
	amount := domain.NewMoney(100, "EUR")
	require.NoError(t, books.RecordOrder(ctx, store.OrderRecord{Location: "l", OrderID: "1", SageID: 9, AsOf: at, Digest: "d",
		State: domain.Paid, Total: amount, Paid: amount, Refunded: domain.NewMoney(0, "EUR"), BroughtAt: at}))
	for order, state := range map[string]domain.FulfillmentState{"1": domain.FulfillmentShipped, "2": domain.FulfillmentDelivered} {
		_, err = books.SaveFulfillment(ctx, store.FulfillmentRecord{Location: "l", OrderID: order, SageID: 9,
			Lifecycle: domain.Fulfillment{State: state}, Closed: state.Final(), PaidAt: at, OpenedAt: at}, nil, nil)
		require.NoError(t, err)
	}
	require.NoError(t, books.Park(ctx, store.Parked{Location: "l", Process: "p", ObjectID: "2", Kind: "Mapping", Reason: "r", ParkedAt: at}))
	require.NoError(t, books.SetCursor(ctx, "l", "payment-sweep", at))
	require.NoError(t, testutil.CollectAndCompare(server.Books{Store: books}, strings.NewReader(`
# HELP tallystick_cursor_timestamp_seconds How far each sweep has come. One that falls behind means that sweeps fail.
# TYPE tallystick_cursor_timestamp_seconds gauge
tallystick_cursor_timestamp_seconds{cursor="payment-sweep",location="l"} 1.79e+09
# HELP tallystick_fulfillments Orders whose shipping is followed, by how far their goods have come.
# TYPE tallystick_fulfillments gauge
tallystick_fulfillments{state="shipped"} 1
# HELP tallystick_last_order_timestamp_seconds When an order was last brought into Sage.
# TYPE tallystick_last_order_timestamp_seconds gauge
tallystick_last_order_timestamp_seconds 1.79e+09
# HELP tallystick_orders Orders in Sage by the state of their payment.
# TYPE tallystick_orders gauge
tallystick_orders{state="paid"} 1
# HELP tallystick_parked Orders that cannot be carried out, by the kind of the reason.
# TYPE tallystick_parked gauge
tallystick_parked{kind="Mapping"} 1
`)))
	require.NoError(t, books.Close())
	require.Error(t, testutil.CollectAndCompare(server.Books{Store: books}, strings.NewReader("")), "a store that is away is no store without orders")
}
