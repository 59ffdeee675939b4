package counter_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/sandbox/counter"
)

func TestCounts(t *testing.T) {
	var c counter.Requests
	require.Empty(t, c.Calls())
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			c.Count("ghl.orders.get")
			c.Count("ghl.orders.list")
			c.CountThrottled()
		})
	}
	all.Wait()
	require.Equal(t, map[string]int{"ghl.orders.get": 50, "ghl.orders.list": 50}, c.Calls())
	require.Equal(t, 100, c.CallCount("ghl.orders"))
	require.Equal(t, 50, c.CallCount("ghl.orders.g"))
	require.Equal(t, 50, c.Throttled())
	c.ResetCalls()
	require.Zero(t, c.CallCount(""))
	require.Zero(t, c.Throttled())
}
