// Command bench measures what a payment costs and how many go through, on this machine: the product as it runs for
// real, with starter, worker and a Temporal server as processes of their own, against the sandbox vendors, beside a
// workflow that does nothing on the same server, which is the ceiling. It prints and judges nothing: run it on a quiet
// machine, with `make bench`.
//
// It also measures how much of the vendors' published limits one worker and several workers use, and how long a location's
// payments take beside a location that is broken and flooded, what it costs to follow the shipping of open orders, and what
// it costs to keep books of two years that agree. Each of the five can be measured alone, see -only. Of the books it does
// judge something: counts of calls that contradict what is claimed of them are an error.
//
// Rounds of the ceiling and of ours take turns, and medians over the rounds are shown, since a machine is never at rest.
// It needs nothing but Go; what it writes lies in a temporary folder and goes with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tallystick/tallystick/sandbox/stack"
)

// options are the command line.
type options struct {
	only     []string // what is measured, one of the only constants each
	rounds   int
	window   time.Duration // of one round at saturation
	limited  time.Duration // of one run under the vendors' limits
	inFlight int
	buyers   int    // known customers under limits, where each one's first purchase takes its time
	flooded  int    // payments that a location in trouble gets at once
	open     []int  // orders whose shipping is followed, from few to many
	sizes    []int  // transactions of two years whose books are kept, from few to many; all are multiples of the first
	profile  string // folder for CPU profiles, empty for none
	temporal string // a server's binary, empty to build or find ours
	settings settings
}

// What may be measured alone.
const (
	onlyRounds  = "rounds"
	onlyLimits  = "limits"
	onlyTrouble = "trouble"
	// onlyShipping are orders that wait for their goods to be sent.
	onlyShipping = "shipping"
	// onlyBooks is the reconciliation.
	onlyBooks = "books"
)

func (o options) wants(name string) bool { return slices.Contains(o.only, name) }

// settings are the Temporal server's: name to JSON value.
type settings map[string]string

func (s settings) String() string { return fmt.Sprint(map[string]string(s)) }

// Set implements flag.Value.
func (s settings) Set(text string) error {
	name, value, found := strings.Cut(text, "=")
	if !found || name == "" {
		return fmt.Errorf("%q is not name=value", text)
	}
	s[name] = value
	return nil
}

func parse(args []string, errOut io.Writer) (options, error) {
	o := options{settings: settings{}}
	var seconds, limited int
	var quick bool
	var only, sizes string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errOut)
	all := strings.Join([]string{onlyRounds, onlyLimits, onlyTrouble, onlyShipping, onlyBooks}, ",")
	flags.StringVar(&only, "only", all, "what to measure")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds of the ceiling and of ours, in turn")
	flags.IntVar(&seconds, "seconds", 15, "seconds of a round at saturation, and half of one beside a location in trouble")
	flags.IntVar(&limited, "limited-seconds", 40, "seconds of a run under the vendors' limits; 0 leaves them out")
	flags.IntVar(&o.inFlight, "inflight", 32, "payments on their way at once, at saturation")
	flags.BoolVar(&quick, "quick", false, "a few seconds of everything, to see that it works; the figures mean nothing")
	flags.StringVar(&o.temporal, "temporald", "", "a Temporal server's program to use instead of building ours")
	flags.Var(o.settings, "server-setting", "a setting of the Temporal server, as name=value; may be given several times")
	flags.StringVar(&sizes, "transactions", "1000,10000,100000", "sizes of the books, from few to many, all multiples of the first")
	flags.StringVar(&o.profile, "profile", "", "folder for CPU profiles of worker and starter, taken in the first round")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.window, o.limited, o.buyers = time.Duration(seconds)*time.Second, time.Duration(limited)*time.Second, limitedInFlight
	o.flooded, o.open = floodFirst, []int{1000, 10000}
	wrong := false
	for _, text := range strings.Split(sizes, ",") {
		n, err := strconv.Atoi(text)
		o.sizes = append(o.sizes, n)
		wrong = wrong || err != nil || n < 20 || n%o.sizes[0] != 0
	}
	if quick {
		o.rounds, o.window, o.limited, o.inFlight, o.buyers = 1, time.Second, 2*time.Second, 4, 1
		o.flooded, o.open, o.sizes = 10, []int{100, 300}, []int{60, 180}
	}
	o.only = strings.Split(only, ",")
	unknown := slices.ContainsFunc(o.only, func(name string) bool { return !slices.Contains(strings.Split(all, ","), name) })
	if unknown || wrong || flags.NArg() > 0 || o.rounds < 1 || o.window <= 0 || o.limited < 0 || o.inFlight < 1 {
		flags.Usage()
		return o, fmt.Errorf("wrong use of bench: %s", strings.Join(args, " "))
	}
	return o, nil
}

func main() {
	if inCeilingRole() {
		os.Exit(report(ceilingWorker(context.Background())))
	}
	o, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = bench(ctx, o, os.Stdout, os.Stderr)
	stop()
	os.Exit(report(err))
}

func report(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// bench runs everything and prints the report to out, and to progress what is going on meanwhile.
func bench(ctx context.Context, o options, out, progress io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tallystick-bench")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
		} else { // the logs may say why
			err = fmt.Errorf("%w (logs are in %s)", err, dir)
		}
	}()
	if err := ownEnvironment(dir); err != nil {
		return err
	}
	b := &benchmark{options: o, dir: dir, progress: progress}
	defer b.stop(context.WithoutCancel(ctx), &err)
	for _, step := range []func(context.Context) error{b.build, b.startOurs, b.startCeiling, b.rounds, b.underLimits, b.besideTrouble,
		b.shipping, b.books} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return errors.Join(b.results.print(out, o), b.results.claims())
}

// ownEnvironment keeps the caller's Temporal settings away: everything here runs on a server of its own.
func ownEnvironment(dir string) error {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "TEMPORAL_") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	none := filepath.Join(dir, "temporal.toml")
	if err := os.WriteFile(none, nil, 0o600); err != nil {
		return fmt.Errorf("write an empty profile: %w", err)
	}
	return os.Setenv("TEMPORAL_CONFIG_FILE", none)
}

// benchmark is one run of the command.
type benchmark struct {
	options
	dir      string
	progress io.Writer

	worker, starter string // binaries
	profiler        *profiler
	ours            *market
	idle            *ceiling
	results         results
}

func (b *benchmark) say(format string, args ...any) {
	fmt.Fprintf(b.progress, format+"\n", args...)
}

// build makes the programs, with a profiler inside only if profiles are wanted.
func (b *benchmark) build(ctx context.Context) (err error) {
	b.say("building worker and starter")
	var flags []string
	if b.profile != "" {
		if b.profiler, err = newProfiler(ctx, b.profile, b.dir); err != nil {
			return err
		}
		flags = b.profiler.buildFlags()
	}
	b.worker, b.starter, err = stack.Build(ctx, filepath.Join(b.dir, "bin"), flags...)
	return err
}

// stop stops everything in order and adds what did not go well.
func (b *benchmark) stop(ctx context.Context, err *error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if b.idle != nil {
		b.idle.stop()
	}
	if b.ours != nil {
		if fault := b.ours.stack.Stop(ctx); *err == nil {
			*err = fault
		}
	}
}
