package main

import (
	"bufio"
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/sandbox/stack"
)

// part is a line of work whose CPU time is counted apart.
type part string

const (
	partWorker  part = "worker"
	partStarter part = "starter"
	partServer  part = "server"
	// partSandbox is this process: the vendors and the load, which are no part of the product.
	partSandbox part = "sandbox"
	// partOthers is everything else on the machine.
	partOthers part = "others"
)

// meter measures what processes use between two moments.
type meter struct {
	processes  map[part][]int // process ids
	start, end map[part]time.Duration
	began      time.Time
	took       time.Duration
}

func newMeter(processes map[part][]int) *meter {
	processes[partSandbox] = []int{os.Getpid()}
	return &meter{processes: processes}
}

func (m *meter) begin() (err error) {
	m.began = time.Now()
	m.start, err = m.read()
	return err
}

func (m *meter) finish() (err error) {
	m.took = time.Since(m.began)
	m.end, err = m.read()
	return err
}

// read takes the CPU time of each process so far, and of the machine but for them.
func (m *meter) read() (map[part]time.Duration, error) {
	spent := map[part]time.Duration{}
	var ours time.Duration
	for name, pids := range m.processes {
		for _, pid := range pids {
			usage, err := stack.UsageOf(pid)
			if errors.Is(err, stack.ErrNotMeasured) {
				continue // the report leaves the column empty
			}
			if err != nil {
				return nil, err
			}
			spent[name] += usage.CPU
			ours += usage.CPU
		}
	}
	if busy, known := machineBusy(); known {
		spent[partOthers] = busy - ours
	}
	return spent, nil
}

// used is the CPU time between begin and finish, and false if it is not known.
func (m *meter) used(name part) (time.Duration, bool) {
	end, known := m.end[name]
	return end - m.start[name], known
}

// busyCores is how many cores worker, starter and server kept busy.
func (m *meter) busyCores() float64 {
	var sum time.Duration
	for _, name := range []part{partWorker, partStarter, partServer} {
		used, _ := m.used(name)
		sum += used
	}
	return sum.Seconds() / m.took.Seconds()
}

// othersCores is how many cores other programs kept busy.
func (m *meter) othersCores() float64 {
	used, _ := m.used(partOthers)
	return used.Seconds() / m.took.Seconds()
}

// machineBusy is the CPU time that the whole machine has spent so far, known on Linux only.
func machineBusy() (time.Duration, bool) {
	file, err := os.Open("/proc/stat")
	if err != nil {
		return 0, false
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	if !lines.Scan() {
		return 0, false
	}
	// The first line is "cpu", then user, nice, system, idle, iowait, irq, softirq, steal in hundredths of a second.
	fields := strings.Fields(lines.Text())
	if len(fields) < 8 {
		return 0, false
	}
	var ticks int64
	for i, field := range fields[1:8] {
		const idle, waiting = 3, 4
		if n, err := strconv.ParseInt(field, 10, 64); err == nil && i != idle && i != waiting {
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, true
}

// forgetPeak makes the most memory that a process of ours ever had what it has now, where the system can do that: on Linux.
// Elsewhere, and where it must not, the peak is that of the process's life.
func forgetPeak(pid int) {
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/clear_refs", []byte("5"), 0)
}

// machine says what this ran on.
func machine() string {
	model := runtime.GOARCH
	if content, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(content)) {
			if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return strconv.Itoa(runtime.NumCPU()) + " cores (" + model + "), " + runtime.GOOS + ", " + runtime.Version()
}
