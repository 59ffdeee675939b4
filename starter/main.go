// Command starter is how work and people come to Tallystick: `starter serve` is the door for webhooks, the other
// commands show how things stand and let an operator act. It carries nothing out itself: that is the worker's business.
//
// Commands exit with 0 when done, 1 when something failed, and 2 when they were used wrongly. What they find goes to
// standard output; progress, logs and errors go to standard error.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

//go:generate go run . commands-page ../docs/commands.md

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
