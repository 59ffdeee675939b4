// Package hell tests the whole system while everything fails that can. It is a package of its own because it takes
// minutes.
package hell

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/test/harness"
)

const (
	hellOrders = 1000
	// hellSent of them have their goods sent, delivered and cancelled by both sides: a third of the time.
	hellSent = 400
	// hellMembers pay by subscription, each a few times.
	hellMembers = 60
	hellSeed    = 2026
	// hellPace is how many orders a second are placed: enough to keep two cores busy for a while without piling up.
	hellPace = 8
	// patience is how long what is left over may take once the last customer has bought.
	patience = 8 * time.Minute
	// betweenKills is how long processes live.
	betweenKills = 7 * time.Second
)

func TestMain(m *testing.M) { harness.Main(m) }

// TestHell lets a thousand orders go through while everything fails that can: each call to a vendor with some
// likelihood, webhooks that come up to three times, late, in any order or never, and worker, starter and Temporal
// server killed in mid-run, again and again. Meanwhile people on both sides and carriers send and deliver the goods. In the
// end Sage must hold exactly what HighLevel charged, and both sides must say where the goods are: HighLevel with one
// fulfilment for each parcel that somebody sent, and one e-mail to the customer for each that was to be told of.
func TestHell(t *testing.T) {
	plan := faults.NewPlan(hellSeed, faults.Hell)
	for _, vendor := range []string{"ghl.*", "sage.*"} {
		plan.Chances(vendor, mostlyWithATime(faults.Hell.Chances())...)
	}
	s := harness.Start(t, stack.Options{
		Temporal: stack.Temporal{OnDisk: true},
		GHL:      ghl.Options{Seed: hellSeed, NoLimits: true, Faults: plan},
		Sage:     sage.Options{Faults: plan},
	})
	began := time.Now()
	customers := shop.New(s.GHL, shop.Options{Seed: hellSeed, Orders: hellOrders, Sent: hellSent, PerSecond: hellPace})
	carrier := harness.Carrier(s)
	goods := customers.Dispatch(s.Sage, shop.DispatchOptions{Carrier: &carrier})
	killed, sent := make(chan error, 1), make(chan error, 1)
	ctx, stopKilling := context.WithCancel(t.Context())
	go func() { killed <- killAgainAndAgain(ctx, s) }()
	dispatching, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	go func() { sent <- goods.Run(dispatching) }()
	joined := make(chan error, 1)
	go func() {
		joined <- shop.NewClub(s.GHL, shop.ClubOptions{Seed: hellSeed, Members: hellMembers, PerSecond: 1}).Run(t.Context())
	}()
	require.NoError(t, customers.Run(t.Context()))
	require.NoError(t, <-joined)
	stopKilling()
	require.NoError(t, <-killed)
	bought := time.Since(began)
	defer time.AfterFunc(patience, giveUp).Stop()
	require.NoError(t, <-sent)
	dispatched := time.Since(began)

	harness.Settled(t, s, patience)
	report := customers.Agree(s.Sage, shop.WithSales(sage.BranchCurrency))
	require.True(t, report.OK(), report.String())
	harness.LedgerAgrees(t, s)
	require.Equal(t, customers.Due(), report.Due)
	require.Positive(t, report.Posted, "some were posted for people in Sage")

	running, err := s.Running(t.Context())
	require.NoError(t, err)
	require.Zero(t, running)
	parked, _, err := s.Store.ParkedItems(t.Context(), store.ParkedFilter{Location: s.Location()})
	require.NoError(t, err)
	for _, item := range parked {
		require.NotEmpty(t, item.Reason, item.ObjectID)
	}
	t.Logf("%d orders, %d of them sent, in %s (bought after %s, sent after %s); %s", hellOrders, hellSent, time.Since(began).Round(time.Second),
		bought.Round(time.Second), dispatched.Round(time.Second), report)
}

// mostlyWithATime has nine in ten refusals for too many calls name a second to wait. One that names none holds everything
// for ten: if all did, a run would be little else than such waits.
func mostlyWithATime(chances []faults.Chance) []faults.Chance {
	var out []faults.Chance
	for _, c := range chances {
		if c.Fault.Kind != faults.Throttle || c.Fault.RetryAfter != faults.RetryAfterNone {
			out = append(out, c)
			continue
		}
		named, unnamed := c, c
		named.Fault.RetryAfter, named.Fault.Delay, named.Probability = faults.RetryAfterSeconds, time.Second, c.Probability*0.9
		unnamed.Probability = c.Probability * 0.1
		out = append(out, named, unnamed)
	}
	return out
}

// killAgainAndAgain kills each process in turn, as a power cut would, and starts it again.
func killAgainAndAgain(ctx context.Context, s *stack.Stack) error {
	victims := []func() error{
		func() error { s.Workers[0].Kill(); return s.Workers[0].Restart(context.WithoutCancel(ctx)) },
		func() error { s.Starter.Kill(); return s.Starter.Restart(context.WithoutCancel(ctx)) },
		func() error { s.Server.Kill(); return s.Server.Restart(context.WithoutCancel(ctx)) },
	}
	for next := 0; ; next++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(betweenKills):
		}
		if err := victims[next%len(victims)](); err != nil {
			return err
		}
	}
}
