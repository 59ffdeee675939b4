// Package harness brings the whole system up for a test: a Temporal server, the starter and the worker as processes, and
// the vendors as sandbox servers. Only tests import it.
package harness

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
)

// patienceToStop is how long a stack may take to stop.
const patienceToStop = time.Minute

// Start brings a stack up for one test and takes it down with it. Its logs are shown if the test fails.
func Start(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	o.Dir = t.TempDir()
	o.Temporal.Binary = devservertest.Binary(t)
	o.Temporal.Headless = true
	o.WorkerBinary, o.StarterBinary = Programs(t)
	s, err := stack.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patienceToStop)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			showLogs(t, filepath.Join(s.Dir, "logs"))
		}
	})
	return s
}

// Settled waits until everything is done, and says what is left if that takes too long.
func Settled(t *testing.T, s *stack.Stack, patience time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, s.WaitIdle(ctx))
}

// Agrees compares both vendors' books to the cent, and the shipping of orders with what Ship, ShipInSage and Deliver did;
// then what the ledger says of both. It is called after Settled.
func Agrees(t *testing.T, s *stack.Stack, options ...shop.AgreeOption) {
	t.Helper()
	own := []shop.AgreeOption{shop.WithWaybills(Waybills(t, s)), shop.WithSales(sage.BranchCurrency)}
	report := shop.Agree(s.GHL, s.Sage, append(own, options...)...)
	require.True(t, report.OK(), report.String())
	LedgerAgrees(t, s)
}

// LedgerAgrees demands that the ledger has no difference between the sides, and can prove it.
func LedgerAgrees(t *testing.T, s *stack.Stack) {
	t.Helper()
	sum, differences, err := s.Books(t.Context())
	require.NoError(t, err)
	require.True(t, sum.Agree(), "%+v", differences)
	require.NotZero(t, sum.Records)
}

var programs struct {
	sync.Mutex
	folder, worker, starter string
}

// Programs builds worker and starter once for all tests of a package.
func Programs(t *testing.T) (worker, starter string) {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	if programs.folder == "" {
		folder, err := os.MkdirTemp("", "tallystick-test-") //nolint:usetesting // it outlives this test
		require.NoError(t, err)
		programs.folder = folder
	}
	if programs.worker == "" {
		var err error
		programs.worker, programs.starter, err = stack.Build(t.Context(), programs.folder)
		require.NoError(t, err)
	}
	return programs.worker, programs.starter
}

// Main runs a package's tests and removes the programs they have built.
func Main(m *testing.M) {
	code := m.Run()
	if programs.folder != "" {
		_ = os.RemoveAll(programs.folder)
	}
	os.Exit(code)
}

// lastLines is how much of each log a failed test shows.
const lastLines = 40

func showLogs(t *testing.T, folder string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.log"))
	if err != nil {
		t.Error(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		t.Logf("the end of %s:\n%s", filepath.Base(file), strings.Join(lines[max(0, len(lines)-lastLines):], "\n"))
	}
}
