// Package e2e tests the whole system as it runs for real: a Temporal server, the starter and the worker as processes,
// and the vendors as sandbox servers that behave as the real ones do.
package e2e

import (
	"testing"
	"time"

	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/test/harness"
)

// patience is how long a handful of orders may take on a machine that has other things to do.
const patience = 2 * time.Minute

func TestMain(m *testing.M) { harness.Main(m) }

func start(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	return harness.Start(t, o)
}

func settled(t *testing.T, s *stack.Stack) {
	t.Helper()
	harness.Settled(t, s, patience)
}
