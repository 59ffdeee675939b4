package devserver

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
)

const (
	terminalInterval = time.Second
	lineInterval     = 10 * time.Second
)

// reporter tells a person or a log how a build goes. It is used by one goroutine.
type reporter struct {
	w        io.Writer
	terminal bool
	started  time.Time
	last     time.Time
	open     bool // the cursor stands behind a line that may be rewritten
}

func newReporter(w io.Writer) *reporter {
	if w == nil {
		w = io.Discard
	}
	file, isFile := w.(*os.File)
	now := time.Now()
	return &reporter{w: w, terminal: isFile && isatty.IsTerminal(file.Fd()), started: now, last: now}
}

// say writes a whole line at once.
func (r *reporter) say(format string, args ...any) {
	r.end()
	_, _ = fmt.Fprintf(r.w, binaryName+": "+format+"\n", args...)
}

// update shows the state, at most once an interval.
func (r *reporter) update(state string) {
	interval := lineInterval
	if r.terminal {
		interval = terminalInterval
	}
	now := time.Now()
	if now.Sub(r.last) < interval {
		return
	}
	r.last = now
	line := fmt.Sprintf("%s: %s, %v", binaryName, state, now.Sub(r.started).Round(time.Second))
	if !r.terminal {
		_, _ = fmt.Fprintln(r.w, line)
		return
	}
	_, _ = fmt.Fprint(r.w, "\r\033[K"+line)
	r.open = true
}

// end leaves the rewritten line standing.
func (r *reporter) end() {
	if r.open {
		_, _ = fmt.Fprintln(r.w)
		r.open = false
	}
}
