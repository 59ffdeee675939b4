package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/tallystick/tallystick/sandbox/faults"
)

const (
	onceOrders = 50
	// onceRate is about twice of what Sage's larger plan lets through, so that a run shows a queue, too.
	onceRate    = 5
	endlessRate = 0.5
	// sagePlan is the larger of the two limits that Sage documents, in requests per second.
	sagePlan = 13
)

// options are what the command line says.
type options struct {
	orders   int
	rate     float64
	seed     int64
	once     bool
	level    faults.Level
	sageRate float64
	noLimits bool
	workers  int

	state   string
	keep    bool
	timeout time.Duration

	temporalOnPath bool
	port           int
	temporalPort   int
	uiPort         int
}

// endless tells that customers never stop buying.
func (o options) endless() bool { return o.orders == 0 }

func parse(args []string, out io.Writer) (options, error) {
	var o options
	var level string
	f := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	f.SetOutput(out)
	f.IntVar(&o.orders, "orders", 0, fmt.Sprintf("how many `orders` are placed; 0 never stops, and is %d with --once", onceOrders))
	f.Float64Var(&o.rate, "rate", 0, fmt.Sprintf("orders placed in a `second`; %g, or %d with --once, if not given", endlessRate, onceRate))
	f.Int64Var(&o.seed, "seed", 1, "what customers buy is a function of this `number`")
	f.BoolVar(&o.once, "once", false, "wait until all orders are through, compare GHL with Sage, and end: code 0 if they agree to the cent")
	f.StringVar(&level, "faults", string(faults.None), "how often the vendors' servers fail: none, some or hell")
	f.Float64Var(&o.sageRate, "sage-limit", sagePlan, "requests a `second` that Sage lets through: its plans have 4 or 13")
	f.BoolVar(&o.noLimits, "no-limits", false, "let both vendors take any number of requests")
	f.IntVar(&o.workers, "workers", 1, "how many worker `processes` run")
	f.StringVar(&o.state, "state", "", "`folder` for databases, logs and programs; if not given one is made and removed at the end")
	f.BoolVar(&o.keep, "keep", false, "keep the state folder at the end")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how `long` --once may take until all orders are through")
	f.BoolVar(&o.temporalOnPath, "temporal-on-path", false, "start the server of the Temporal CLI on the PATH instead of building ours")
	f.IntVar(&o.port, "port", 0, "`port` of the front door; a free one if not given")
	f.IntVar(&o.temporalPort, "temporal-port", 0, "`port` of the Temporal server; a free one if not given")
	f.IntVar(&o.uiPort, "ui-port", 0, "`port` of the Temporal web UI; a free one if not given")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is not understood; there are flags only, see --help", f.Arg(0))
	}
	var err error
	if o.level, err = faults.ParseLevel(level); err != nil {
		return o, err
	}
	if o.orders < 0 || o.rate < 0 || o.sageRate <= 0 || o.workers < 1 || o.timeout <= 0 {
		return o, errors.New("--orders and --rate cannot be negative; --sage-limit, --workers and --timeout must be positive")
	}
	o.fill()
	return o, nil
}

// fill puts in what depends on --once.
func (o *options) fill() {
	rate := endlessRate
	if o.once {
		rate = onceRate
		if o.orders == 0 {
			o.orders = onceOrders
		}
	}
	if o.rate == 0 {
		o.rate = rate
	}
	if o.noLimits {
		o.sageRate = 0
	}
}
