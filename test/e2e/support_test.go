package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/sandbox/stack"
)

var programs struct {
	sync.Mutex
	worker, starter string
}

// TestMain removes the programs that the tests have built.
func TestMain(m *testing.M) {
	code := m.Run()
	if programs.worker != "" {
		_ = os.RemoveAll(filepath.Dir(programs.worker))
	}
	os.Exit(code)
}

// binaries builds worker and starter once for all tests.
func binaries(t *testing.T) (worker, starter string) {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	if programs.worker == "" {
		folder, err := os.MkdirTemp("", "tallystick-e2e-") //nolint:usetesting // it outlives this test
		require.NoError(t, err)
		programs.worker, programs.starter, err = stack.Build(t.Context(), folder)
		require.NoError(t, err)
	}
	return programs.worker, programs.starter
}

// showLogs prints the end of each process's log.
func showLogs(t *testing.T, folder string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.log"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		t.Logf("the end of %s:\n%s", filepath.Base(file), strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
}
