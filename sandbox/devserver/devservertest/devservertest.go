// Package devservertest gives tests a real Temporal server. Only _test.go files and packages of test support import it.
//
// The first test on a machine pays for the build of the server: about nine minutes of CPU time, four to five minutes on
// two idle cores, which the ten minutes that `go test` grants each package hold. All test binaries share one build; if
// the time runs out all the same, the test fails with how far the build is, and the build goes on in the background for
// the next run. `go run ./sandbox/devserver/build` does the build alone.
package devservertest

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tallystick/tallystick/sandbox/devserver"
)

// reserve is what remains of a test's time when it stops waiting for the build, so that it can say why it fails
// instead of being ended with a stack dump.
const reserve = 15 * time.Second

var built struct {
	sync.Mutex
	path string
}

// Binary returns the path of the server's launcher and builds it if need be. It skips the test under -short.
func Binary(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short was given, and this test needs a real Temporal server, whose first build takes minutes")
	}
	built.Lock()
	defer built.Unlock()
	if built.path != "" {
		return built.path
	}
	ctx := t.Context()
	if limited, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := limited.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
			defer cancel()
		}
	}
	progress, closeProgress := announcer()
	defer closeProgress()
	path, err := devserver.Binary(ctx, devserver.Options{Progress: progress, KeepBuilding: true})
	if err != nil {
		t.Fatal(err)
	}
	built.path = path
	return path
}

// announcer writes to the terminal past `go test`, which holds a package's output back until its tests have ended: who
// waits for minutes should see why. Without a terminal it writes to standard error.
func announcer() (io.Writer, func()) {
	terminal, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return os.Stderr, func() {}
	}
	return terminal, func() { _ = terminal.Close() }
}

// Start starts a server that is stopped when the test ends, and whose log is shown if it fails. opts.Binary is filled
// in, opts.LogFile too if it is empty.
func Start(t testing.TB, opts devserver.StartOptions) *devserver.Server {
	t.Helper()
	opts.Binary = Binary(t)
	if opts.LogFile == "" {
		opts.LogFile = filepath.Join(t.TempDir(), "temporald.log")
	}
	server, err := devserver.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		if log, err := os.ReadFile(opts.LogFile); t.Failed() && err == nil && len(log) > 0 {
			t.Logf("log of the Temporal server:\n%s", log[max(0, len(log)-16<<10):])
		}
	})
	return server
}
