package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"text/tabwriter"

	"github.com/mattn/go-isatty"
)

// colour is an ANSI code of a text's look.
type colour string

const (
	plain  colour = ""
	dim    colour = "2"
	bold   colour = "1"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

// screen is where people read. Its methods may be called from several goroutines.
type screen struct {
	mu      sync.Mutex
	out     io.Writer
	colours bool
}

// newScreen writes in colour on a terminal whose user has nothing against it (no-color.org).
func newScreen(out io.Writer) *screen {
	file, isFile := out.(*os.File)
	return &screen{out: out, colours: isFile && isatty.IsTerminal(file.Fd()) && os.Getenv("NO_COLOR") == ""}
}

// paint gives a text a colour where there are colours.
func (s *screen) paint(c colour, text string) string {
	if !s.colours || c == plain {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// say writes a line.
func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

// Write implements io.Writer, for those who report progress of their own.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(text)
}

// table writes rows whose cells are parted by tabs.
func (s *screen) table(rows ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(w, "  "+row)
	}
	_ = w.Flush()
}
