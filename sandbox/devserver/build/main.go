// Command build makes the Temporal server of the sandbox, if it is not there yet, and prints its path. Continuous
// integration runs it before the tests, so that their time limits do not have to hold the minutes of a first build.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/tallystick/tallystick/sandbox/devserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	path, err := devserver.Binary(ctx, devserver.Options{Progress: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	fmt.Println(path)
}
