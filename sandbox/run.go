package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
)

const (
	// stopTime is what all processes together may take to stop.
	stopTime = 45 * time.Second
	// chapter is how many orders an endless shop plans ahead.
	chapter = 5000
	// endlessSweep is longer than the stack's own interval, since a sweep reads all of a day's payments, which become
	// many where nobody stops buying.
	endlessSweep = 30 * time.Second
)

// errDiffer says that GHL and Sage do not agree. The differences are on the screen.
var errDiffer = errors.New("GHL and Sage do not agree")

// run does everything and returns nil if it went well, Ctrl-C included.
func run(ctx context.Context, opts options, out *screen) (err error) {
	folder, remove, err := stateFolder(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	out.say("%s", out.paint(bold, "Tallystick sandbox: GoHighLevel, Sage and everything between them on this machine; nothing leaves it."))
	out.say("starting; what is written goes to %s", folder)
	plan := faults.NewPlan(opts.seed, opts.level)
	s, err := stack.Start(ctx, stackOptions(opts, folder, plan, out))
	if err != nil {
		if ctx.Err() != nil {
			out.say("stopped before everything had started")
			return nil
		}
		return err
	}
	defer func() {
		out.say("stopping everything")
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if stopErr := s.Stop(ending); stopErr != nil {
			err = errors.Join(err, stopErr)
		} else {
			out.say("stopped")
		}
	}()
	if err := introduce(s, opts, out); err != nil {
		return err
	}
	return trade(ctx, s, plan, opts, out)
}

// stateFolder makes the folder for everything that is written, and says how it is removed.
func stateFolder(opts options) (folder string, remove func() error, err error) {
	keep := func() error { return nil }
	if opts.state != "" {
		folder, err = filepath.Abs(opts.state)
		return folder, keep, err
	}
	folder, err = os.MkdirTemp("", "tallystick-sandbox-")
	if err != nil {
		return "", nil, fmt.Errorf("make a state folder: %w; choose one with --state", err)
	}
	if opts.keep {
		return folder, keep, nil
	}
	return folder, func() error { return os.RemoveAll(folder) }, nil
}

func stackOptions(opts options, folder string, plan *faults.Plan, progress io.Writer) stack.Options {
	var env map[string]string
	if !opts.once {
		env = map[string]string{
			"SYNC_INTERVAL": endlessSweep.String(), "FULFILLMENT_SYNC_INTERVAL": endlessSweep.String(),
			"RECONCILE_INTERVAL": (2 * endlessSweep).String(),
		}
	}
	return stack.Options{
		Dir: folder, Workers: opts.workers, Port: opts.port, Progress: progress, Env: env,
		Temporal: stack.Temporal{
			Address: os.Getenv("TEMPORAL_ADDRESS"), Namespace: os.Getenv("TEMPORAL_NAMESPACE"),
			UseTemporalOnPath: opts.temporalOnPath, Port: opts.temporalPort, UIPort: opts.uiPort,
		},
		GHL:  ghl.Options{Seed: opts.seed, NoLimits: opts.noLimits, Faults: plan},
		Sage: sage.Options{RequestsPerSecond: opts.sageRate, Faults: plan, RetryAfter: faults.RetryAfterSeconds},
	}
}

// secondShop is a location that nobody has connected yet, for whoever wants to try that.
var secondShop = ghl.SubAccount{ID: "Kd83jKQ1pTn5Zr7sWv2c", Name: "Second shop", Address: "2 Sandbox Street"}

// introduce prints what runs where, and leaves a file with which the starter's commands work on it.
func introduce(s *stack.Stack, opts options, out *screen) error {
	s.GHL.AddSubAccount(secondShop)
	var env strings.Builder
	settings := s.Settings()
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&env, "export %s='%s'\n", name, strings.ReplaceAll(settings[name], "'", `'\''`))
	}
	file := filepath.Join(s.Dir, "env")
	if err := os.WriteFile(file, []byte(env.String()), 0o600); err != nil {
		return fmt.Errorf("write the environment for commands: %w", err)
	}
	rows := []string{"front door\t" + s.FrontDoor + "/readyz"}
	if s.Server == nil {
		rows = append(rows, "Temporal\t"+s.TemporalAddress+", namespace "+s.Namespace)
	} else {
		rows = append(rows, "Temporal UI\t"+s.Server.UIAddress+"\tpayloads are decrypted for display by the starter")
	}
	for _, p := range s.Processes() {
		rows = append(rows, p.Name+"\t"+p.MetricsURL+"\tlog: "+p.LogFile)
	}
	rows = append(rows,
		"GHL, Sage\t"+s.GHL.URL()+"  "+s.Sage.URL(),
		"commands\t. "+file+" && go run ./starter status",
		"one more shop\t. "+file+" && go run ./starter connect\tlets you in to a second location by click",
		"state\t"+s.Dir+"\t"+fate(opts))
	out.table(rows...)
	if opts.noLimits {
		out.say("limits: none (--no-limits)")
	} else {
		out.say("limits: GHL takes 100 requests in 10 seconds, Sage %g a second; they are what holds orders up (--no-limits lifts them)", opts.sageRate)
	}
	out.say("sweeps: every %s; they find refunds and shipments, for which GHL sends no webhook, and whatever a webhook did not tell", settings["SYNC_INTERVAL"])
	if opts.level != faults.None {
		out.say("faults: %s; calls fail, answers get lost, webhooks come late, twice or never", opts.level)
	}
	return nil
}

func fate(opts options) string {
	if opts.state == "" && !opts.keep {
		return "removed at the end; --keep keeps it"
	}
	return "kept"
}

// trade lets customers buy, shows what becomes of it, and ends with Ctrl-C, with --once when all is through, or when a
// process dies.
func trade(ctx context.Context, s *stack.Stack, plan *faults.Plan, opts options, out *screen) error {
	f := newFollower(s, out)
	began := time.Now()
	var sold *shop.Shop
	var sent *shop.Dispatch
	var unfinished error
	ended := errors.New("all is through")
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return watch(running, s) })
	group.Go(func() error { return f.follow(running) })
	group.Go(func() (err error) {
		send := func(d *shop.Dispatch) { group.Go(func() error { return d.Run(running) }) }
		if sold, sent, err = sell(running, f, send, opts, out); err != nil || !opts.once {
			return err
		}
		unfinished = settle(running, s, sent, plan, opts, out)
		return ended
	})
	err := group.Wait()
	if looked := f.look(context.WithoutCancel(ctx)); looked != nil && errors.Is(err, ended) {
		return looked
	}
	switch {
	case ctx.Err() != nil:
		out.say("\n%s", f.tally())
		if opts.once {
			return errors.New("interrupted before GHL and Sage could be compared")
		}
		return nil
	case !errors.Is(err, ended):
		return err
	}
	report := sold.Agree(s.Sage, shop.WithSales(sage.BranchCurrency))
	sum, differences, err := s.Books(context.WithoutCancel(ctx))
	if err != nil {
		return errors.Join(err, unfinished)
	}
	summarize(s, f, plan, report, time.Since(began), out)
	tellBooks(sum, differences, out)
	if !report.OK() || !sum.Agree() {
		return errors.Join(errDiffer, unfinished)
	}
	return unfinished
}

// settle waits until all that was bought is sent, and dealt with.
func settle(ctx context.Context, s *stack.Stack, sent *shop.Dispatch, plan *faults.Plan, opts options, out *screen) error {
	ctx, cancel := context.WithTimeout(ctx, opts.timeout)
	defer cancel()
	out.say("all orders are placed; waiting until everything is sent, delivered and through")
	err := sent.Wait(ctx)
	if err == nil {
		err = s.WaitIdle(ctx)
	}
	plan.Wait()
	return err
}

// sell opens the shop, has its goods sent, and returns the last one when all orders are placed.
func sell(ctx context.Context, f *follower, send func(*shop.Dispatch), opts options, out *screen) (*shop.Shop, *shop.Dispatch, error) {
	out.say("customers buy: %s, %g orders a second, seed %d", amountOf(opts), opts.rate, opts.seed)
	out.say("")
	for seed := opts.seed; ; seed++ {
		orders := opts.orders
		if opts.endless() {
			orders = chapter
		}
		open := shop.New(f.stack.GHL, shop.Options{Seed: seed, Orders: orders, PerSecond: opts.rate, Observe: f.observe})
		goods := open.Dispatch(f.stack.Sage, shop.DispatchOptions{Carrier: carrier(f.stack), Observe: f.dispatched})
		send(goods)
		club := shop.NewClub(f.stack.GHL, clubOptions(opts, seed, orders))
		selling, all := errgroup.WithContext(ctx)
		selling.Go(func() error { return open.Run(all) })
		selling.Go(func() error { return club.Run(all) })
		if err := selling.Wait(); err != nil {
			return nil, nil, err
		}
		if opts.endless() {
			continue
		}
		if !opts.once {
			out.say("all %d orders are placed; Ctrl-C ends the sandbox", orders)
		}
		return open, goods, nil
	}
}

// carrier tells the front door of deliveries.
func carrier(s *stack.Stack) *shop.Carrier {
	return &shop.Carrier{FrontDoor: s.FrontDoor, Secret: s.Settings()["DELIVERY_WEBHOOK_SECRET"], Location: s.Location()}
}

func amountOf(opts options) string {
	if opts.endless() {
		return "without end"
	}
	return fmt.Sprintf("%d orders", opts.orders)
}

// watch returns when a process ends that nobody has asked to.
func watch(ctx context.Context, s *stack.Stack) error {
	failed := make(chan error, len(s.Processes())+1)
	for _, p := range s.Processes() {
		done := p.Done()
		go func() {
			select {
			case <-done:
				failed <- p.Failure()
			case <-ctx.Done():
			}
		}()
	}
	if s.Server != nil {
		done := s.Server.Done()
		go func() {
			select {
			case <-done:
				failed <- errors.New("the Temporal server ended by itself; see logs/temporal.log in the state folder (--keep keeps it)")
			case <-ctx.Done():
			}
		}()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
