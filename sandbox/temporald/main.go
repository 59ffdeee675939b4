// Command temporald is a real Temporal server with its web UI in one process and on SQLite: what the sandbox and the
// end-to-end tests run on. It starts in half a second, keeps its state in memory or in a file that survives kill -9,
// and calls nobody outside the machine.
//
// It is not for production: one process, no authentication, loopback only. Use the compose file, a Temporal cluster or
// Temporal Cloud there.
//
// Its command line is that of `temporal server start-dev`, as testsuite.StartDevServer of the Go SDK calls it, so it
// can stand in for the Temporal CLI, whose newest releases can't be built as a Go dependency. Package
// sandbox/devserver builds and starts it. It lives in a Go module of its own, so that the 460 modules below the server
// stay out of Tallystick's own module graph.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
)

// spareGarbage lets the heap grow to three times what is live before it is collected: under load the collector takes a
// twelfth of the server's time at Go's own setting. GOGC overrides it.
const spareGarbage = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(spareGarbage)
	}
	if err := newCommand().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "temporald:", err)
		os.Exit(1)
	}
}
