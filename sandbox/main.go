// Command sandbox runs the whole of Tallystick on this machine, with nothing to sign up for: a real Temporal server with
// its web UI, HighLevel and Sage as sandbox servers, the starter and the worker as they run for real, and a shop in which
// customers buy. It prints a line for each order that goes through and goes on until Ctrl-C.
//
//	go run ./sandbox                        customers buy until Ctrl-C
//	go run ./sandbox --once                 50 orders, then a summary; exit code 1 if GHL and Sage differ by a cent
//	go run ./sandbox --once --faults hell   the same while everything goes wrong
//
// Nothing leaves the loopback interface, and nothing stays behind but what Go and the Temporal server keep in the user's
// cache folder. It is for trying out and for tests, not for use: orders and customers are invented.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes, as those of the starter.
const (
	exitDone     = 0
	exitFailed   = 1
	exitWrongUse = 2
)

func main() { os.Exit(program(os.Args[1:])) }

func program(args []string) int {
	opts, err := parse(args, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil:
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		return exitWrongUse
	}
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	// A second Ctrl-C ends the program at once; the processes it has started end with it.
	context.AfterFunc(ctx, restore)
	if err := run(ctx, opts, newScreen(os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		return exitFailed
	}
	return exitDone
}
