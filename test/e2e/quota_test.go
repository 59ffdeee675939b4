package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/workflows"
)

// TestASpentDayIsSleptThrough: when HighLevel has no calls left for a location until its day ends, the steps of the location
// sleep in Temporal until then. Nothing asks HighLevel meanwhile, a worker that dies does not shorten the sleep, and when
// the day is over everything goes on by itself.
func TestASpentDayIsSleptThrough(t *testing.T) {
	const rest = 45 * time.Second
	s := start(t, stack.Options{Env: map[string]string{
		"SYNC_INTERVAL": "1h", "FULFILLMENT_SYNC_INTERVAL": "1h", "RECONCILE": "false", // nothing but the orders asks HighLevel
	}})
	customer := s.GHL.AddContact(ghl.Contact{FirstName: "Ada"})
	eventuallyBooked(t, s, s.Sage, buy(t, s, customer, domain.NewMoney(4200, "USD")))
	settled(t, s)

	renewed := s.GHL.SpendDay(s.Location(), rest)
	waiting := []ghl.Order{
		buy(t, s, customer, domain.NewMoney(100, "USD")), buy(t, s, customer, domain.NewMoney(250, "USD")),
	}
	asleep := make([]time.Time, len(waiting))
	for i, order := range waiting {
		asleep[i] = wakesAt(t, s, order)
		assert.False(t, asleep[i].Before(renewed), "it would wake %s before the day is over", renewed.Sub(asleep[i]))
		assert.Less(t, asleep[i].Sub(renewed), rest, "it would sleep long after the day is over")
	}
	calls := s.GHL.CallCount("ghl.")
	assert.LessOrEqual(t, s.GHL.Throttled(), len(waiting), "the first answer tells the worker all")

	s.Workers[0].Kill()
	require.NoError(t, s.Workers[0].Restart(t.Context()))
	for i, order := range waiting {
		assert.Equal(t, asleep[i], wakesAt(t, s, order), "the sleep is Temporal's, not the worker's")
	}
	assert.Equal(t, calls, s.GHL.CallCount("ghl."), "nobody asks meanwhile")
	// What comes now meets a worker that knows nothing of the day yet.
	late := buy(t, s, customer, domain.NewMoney(999, "USD"))
	assert.False(t, wakesAt(t, s, late).Before(renewed))
	require.True(t, time.Now().Before(renewed), "this machine is too slow for the test to show anything")
	assert.LessOrEqual(t, s.GHL.CallCount("ghl."), calls+1)
	refused := s.GHL.Throttled()

	eventuallyBooked(t, s, s.Sage, append(waiting, late)...)
	assert.False(t, time.Now().Before(renewed))
	assert.Equal(t, refused, s.GHL.Throttled(), "nobody came back too early")
	settled(t, s)
}

// wakesAt waits until the process of an order sleeps between two attempts of a step, and tells when the next one begins.
func wakesAt(t *testing.T, s *stack.Stack, order ghl.Order) time.Time {
	t.Helper()
	var at time.Time
	require.Eventually(t, func() bool {
		d, err := s.Temporal.DescribeWorkflowExecution(
			context.WithoutCancel(t.Context()), workflows.PaymentToOrderID(s.Location(), order.ID), "")
		if err != nil || len(d.GetPendingActivities()) != 1 {
			return false
		}
		step := d.GetPendingActivities()[0]
		at = step.GetScheduledTime().AsTime()
		return step.GetAttempt() > 1 && step.GetLastFailure() != nil && at.After(time.Now())
	}, patience, 20*time.Millisecond, "order %s does not sleep", order.ID)
	return at
}
