package e2e

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/testkit/postgres"
	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/test/harness"
)

// TestTwoWorkersShareOnePostgres is the way to run on several machines: two workers take the orders of the same new
// customers and products between them, and send the goods of them, and nothing is made twice.
func TestTwoWorkersShareOnePostgres(t *testing.T) {
	plan := faults.NewPlan(3, faults.Some)
	s := start(t, stack.Options{
		Workers: 2, DatabaseURL: postgres.Start(t).URL(t),
		GHL: ghl.Options{Seed: 3, NoLimits: true, Faults: plan}, Sage: sage.Options{Faults: plan},
	})
	customers := shop.New(s.GHL, shop.Options{Seed: 3, Orders: 60})
	carrier := harness.Carrier(s)
	goods := customers.Dispatch(s.Sage, shop.DispatchOptions{Carrier: &carrier})
	ctx, giveUp := context.WithTimeout(t.Context(), patience)
	defer giveUp()
	sent := make(chan error, 1)
	go func() { sent <- goods.Run(ctx) }()
	require.NoError(t, customers.Run(t.Context()))
	require.NoError(t, shop.NewClub(s.GHL, shop.ClubOptions{Seed: 3, Members: 12}).Run(t.Context()))
	require.NoError(t, <-sent)
	settled(t, s)
	report := customers.Agree(s.Sage, shop.WithSales(sage.BranchCurrency))
	require.True(t, report.OK(), report.String())
	harness.LedgerAgrees(t, s)
	require.Equal(t, customers.Due(), report.Due)
	require.Positive(t, report.Posted)
}
