package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tallystick/tallystick/sandbox/stack"
)

// results are what was measured.
type results struct {
	rounds  map[kind][]round
	costs   map[kind][]cost
	memory  map[part]stack.Usage
	limited []limitedRun
	beside  map[kind]round // a healthy location
	flooded int            // payments of the location beside it that came to nothing meanwhile

	shipping []shippingDay // from few open orders to many
	journeys []journey

	brought []broughtFigures
	books   []booksFigures // from few transactions to many
}

// What is aimed at, printed beside what was reached.
const (
	aimRatio     = 0.7
	aimPerSecond = 25
	aimCPU       = 60 * time.Millisecond
	aimActions   = 8
	aimSteps     = 3
	aimAck       = 20 * time.Millisecond
	aimQuota     = 0.95
	// Several workers share the quota, in whole calls.
	aimSharedQuota = 0.9
	aimRefused     = 1.0 // of a thousand calls
	// What an open order costs does not grow with their number.
	aimFlat = 1.0
)

func (r *results) print(out io.Writer, o options) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	section := func(format string, args ...any) {
		_ = w.Flush()
		fmt.Fprintf(out, "\n"+format+"\n", args...)
	}
	fmt.Fprintf(out, "\n%s; Temporal on files, one starter, and one worker but where it says otherwise; medians of %d rounds of %s\n",
		machine(), o.rounds, o.window)
	if len(r.rounds) > 0 {
		section("Throughput, %d payments in flight; CPU milliseconds per payment", o.inFlight)
		r.throughput(w, ceilingFull, knownFull, newFull)
		section("Latency from the webhook to the Sage order complete, and to the webhook's answer (ms)")
		r.latency(w)
		section("What the history of a payment holds, and that of its shipping as far as it has begun")
		r.price(w)
		section("Memory after the rounds (MB)")
		r.sizes(w)
	}
	if len(r.limited) > 0 {
		section("Under the vendors' limits, %d in flight for each worker, %s each", limitedInFlight, o.limited)
		r.underLimits(w)
	}
	if len(r.beside) > 0 {
		section("A healthy location beside another one, one payment at a time (ms)")
		r.besideTrouble(w)
	}
	if len(r.shipping) > 0 {
		r.shippingTables(w, section)
	}
	if len(r.books) > 0 {
		r.booksTables(w, section)
	}
	section("Aims")
	r.aims(w)
	return w.Flush()
}

// row writes cells; the last one must not be followed by a tab with right alignment, so an empty one is.
func row(w io.Writer, name string, cells ...any) {
	fmt.Fprintf(w, "%-48s\t", name)
	for _, cell := range cells {
		fmt.Fprintf(w, "%v\t", cell)
	}
	fmt.Fprintln(w)
}

func (r *results) throughput(w io.Writer, kinds ...kind) {
	row(w, "", "payments/s", "worker", "starter", "server", "together", "vendors+load", "other programs, cores")
	for _, k := range kinds {
		row(w, string(k), fmt.Sprintf("%.1f", r.perSecond(k)), r.cpu(k, partWorker), r.cpu(k, partStarter), r.cpu(k, partServer),
			r.cpu(k, partWorker, partStarter, partServer), r.cpu(k, partSandbox),
			fmt.Sprintf("%.1f", median(r.rounds[k], func(a round) float64 { return a.meter.othersCores() })))
	}
}

func (r *results) perSecond(k kind) float64 {
	return median(r.rounds[k], func(a round) float64 { return a.perSecond() })
}

// cpuOf is the CPU time per payment of some processes together, in the median round; 0 if it is not known.
func (r *results) cpuOf(k kind, parts ...part) time.Duration {
	return median(r.rounds[k], func(a round) time.Duration {
		var sum time.Duration
		for _, name := range parts {
			used, _ := a.meter.used(name)
			sum += used
		}
		return sum / time.Duration(max(a.count, 1))
	})
}

// everything is all that competes for the machine in a round.
var everything = []part{partWorker, partStarter, partServer, partSandbox}

func (r *results) cpu(k kind, parts ...part) string {
	if spent := r.cpuOf(k, parts...); spent > 0 {
		return milliseconds(spent)
	}
	return "-"
}

func (r *results) latency(w io.Writer) {
	row(w, "", "p50", "p95", "p99", "answer p50", "p95", "p99", "payments")
	for _, k := range []kind{ceilingLow, knownLow, ceilingFull, knownFull, newFull} {
		all := r.passages(k)
		ends, acks := latencies(all, toEnd), latencies(all, toAck)
		row(w, string(k), ms(ends, .5), ms(ends, .95), ms(ends, .99), ms(acks, .5), ms(acks, .95), ms(acks, .99), len(all))
	}
}

// passages are those of all rounds.
func (r *results) passages(k kind) []passage {
	var all []passage
	for _, a := range r.rounds[k] {
		all = append(all, a.whole...)
	}
	return all
}

func (r *results) price(w io.Writer) {
	row(w, "", "events", "bytes", "billable actions", "most", "of which")
	for _, k := range []kind{ceilingLow, knownLow, knownFull, newFull} {
		costs := r.costs[k]
		row(w, string(k), median(costs, func(c cost) int64 { return c.events }), median(costs, func(c cost) int64 { return c.bytes }),
			median(costs, func(c cost) int64 { return c.actions }), mostActions(costs), byKind(costs))
	}
}

func mostActions(costs []cost) (most int64) {
	for _, c := range costs {
		most = max(most, c.actions)
	}
	return most
}

func mostSteps(costs []cost) (most int64) {
	for _, c := range costs {
		most = max(most, c.steps())
	}
	return most
}

// byKind tells what the actions of the dearest payment are.
func byKind(costs []cost) string {
	if len(costs) == 0 {
		return ""
	}
	dearest := slices.MaxFunc(costs, func(a, b cost) int { return cmp.Compare(a.actions, b.actions) })
	return inWords(dearest.byKind, 1)
}

// inWords lists counts by name, each divided among so many.
func inWords[V int | int64](counts map[string]V, among int) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[name]; n > 0 {
			words = append(words, fmt.Sprintf("%s %s", name, figure(float64(n)/float64(among))))
		}
	}
	return strings.Join(words, ", ")
}

// figure is a number with as many places as it needs, and no more than two.
func figure(n float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", n), "0"), ".")
}

func (r *results) sizes(w io.Writer) {
	row(w, "", "now", "at most")
	for _, name := range []part{partWorker, partStarter, partServer} {
		u := r.memory[name]
		row(w, string(name), u.Resident>>20, u.Peak>>20)
	}
}

func (r *results) underLimits(w io.Writer) {
	row(w, "", "payments/s", "of GHL's quota", "of Sage's quota", "calls", "answers 429", "per 1,000", "p50 ms", "p99 ms", "webhook's answer p50",
		"other programs, cores")
	for _, l := range r.limited {
		ends := latencies(l.whole, toEnd)
		share := "-"
		if l.sagePerSecond > 0 {
			share = fmt.Sprintf("%.3f", l.sageShare)
		}
		row(w, l.name, fmt.Sprintf("%.2f", l.perSecond()), fmt.Sprintf("%.3f", l.ghlShare), share, l.calls, l.refused,
			fmt.Sprintf("%.2f", perThousand(l.refused, l.calls)), ms(ends, .5), ms(ends, .99), ms(latencies(l.whole, toAck), .5),
			fmt.Sprintf("%.1f", l.meter.othersCores()))
	}
}

func (r *results) besideTrouble(w io.Writer) {
	row(w, "", "p50", "p95", "p99", "answer p50", "p95", "payments", "the other one's waiting", "ours, cores", "other programs, cores")
	for _, k := range []kind{aloneLow, besideLow} {
		l := r.beside[k]
		waiting := 0
		if k == besideLow {
			waiting = r.flooded
		}
		ends, acks := latencies(l.whole, toEnd), latencies(l.whole, toAck)
		row(w, string(k), ms(ends, .5), ms(ends, .95), ms(ends, .99), ms(acks, .5), ms(acks, .95), len(l.whole), waiting,
			fmt.Sprintf("%.1f", l.meter.busyCores()), fmt.Sprintf("%.1f", l.meter.othersCores()))
	}
}

// aims sets what was reached beside what is aimed at.
func (r *results) aims(w io.Writer) {
	row(w, "", "reached", "aim")
	if len(r.rounds) > 0 {
		r.aimsOfRounds(w)
	}
	r.aimsOfLimits(w, 1, aimQuota)
	r.aimsOfLimits(w, severalWorkers, aimSharedQuota)
	if len(r.shipping) > 0 {
		r.aimsOfShipping(w)
	}
	if len(r.books) > 0 {
		r.aimsOfBooks(w)
	}
}

func (r *results) aimsOfRounds(w io.Writer) {
	row(w, "b to a, payments/s, median of the rounds' ratios", fmt.Sprintf("%.2f", r.ratio()), fmt.Sprintf("at least %.2f", aimRatio))
	if a, b := r.cpuOf(ceilingFull, everything...), r.cpuOf(knownFull, everything...); b > 0 {
		row(w, "a to b, CPU per payment, vendors and load too", fmt.Sprintf("%.2f", float64(a)/float64(b)), "the ratio but for the neighbours")
	}
	row(w, "b, payments/s", fmt.Sprintf("%.1f", r.perSecond(knownFull)), fmt.Sprintf("at least %d on 2 cores; here are %d", aimPerSecond, cores))
	row(w, "b, CPU ms per payment, server included", r.cpu(knownFull, partWorker, partStarter, partServer), "at most "+milliseconds(aimCPU))
	row(w, "b, answer to a webhook, p50 ms, one at a time", ms(latencies(r.passages(knownLow), toAck), .5), "below "+milliseconds(aimAck))
	row(w, "b, answer to a webhook, p50 ms, at saturation", ms(latencies(r.passages(knownFull), toAck), .5), "below "+milliseconds(aimAck))
	row(w, "billable actions, new customer, shipping's start included", mostActions(r.costs[newFull]), fmt.Sprintf("at most %d", aimActions))
	row(w, "regular activities, new customer", mostSteps(r.costs[newFull]), fmt.Sprintf("at most %d", aimSteps))
}

// aimsOfLimits takes the runs of so many workers together: the least share of any, and the refused calls of all.
func (r *results) aimsOfLimits(w io.Writer, workers int, quota float64) {
	runs := slices.DeleteFunc(slices.Clone(r.limited), func(l limitedRun) bool { return l.workers != workers })
	if len(runs) == 0 {
		return
	}
	least, refused, calls := runs[0].narrower(), 0, 0
	for _, l := range runs {
		least = min(least, l.narrower())
		refused += l.refused
		calls += l.calls
	}
	name := fmt.Sprintf("c, workers: %d, ", workers)
	row(w, name+"share of the narrower quota", fmt.Sprintf("%.3f", least), fmt.Sprintf("at least %.2f", quota))
	row(w, name+"answers 429 per 1,000 calls", fmt.Sprintf("%.2f", perThousand(refused, calls)), fmt.Sprintf("at most %.0f", aimRefused))
}

// ratio compares each round of ours with the round of the ceiling just before it, when the machine was much the same.
func (r *results) ratio() float64 {
	pairs := make([]int, min(len(r.rounds[ceilingFull]), len(r.rounds[knownFull])))
	for i := range pairs {
		pairs[i] = i
	}
	return median(pairs, func(i int) float64 {
		if below := r.rounds[ceilingFull][i].perSecond(); below > 0 {
			return r.rounds[knownFull][i].perSecond() / below
		}
		return 0
	})
}

// median is the middle value over rounds, of an even number the higher one of the two; the zero value of none.
func median[T any, V cmp.Ordered](all []T, of func(T) V) V {
	values := make([]V, len(all))
	for i, a := range all {
		values[i] = of(a)
	}
	slices.Sort(values)
	if len(values) == 0 {
		var none V
		return none
	}
	return values[len(values)/2]
}

func ms(sorted []time.Duration, q float64) string { return milliseconds(quantile(sorted, q)) }

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond))
}
