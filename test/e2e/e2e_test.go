// Package e2e tests the whole system as it runs for real: a Temporal server, the starter and the worker as processes,
// and the vendors as sandbox servers that behave, and misbehave, as the real ones do.
package e2e

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/sandbox/devserver/devservertest"
	"github.com/tallystick/tallystick/sandbox/shop"
	"github.com/tallystick/tallystick/sandbox/stack"
)

// start brings a stack up for one test. Its logs are shown if the test fails.
func start(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	o.Dir = t.TempDir()
	o.Temporal.Binary = devservertest.Binary(t)
	o.Temporal.Headless = true
	o.WorkerBinary, o.StarterBinary = binaries(t)
	s, err := stack.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
		if t.Failed() {
			showLogs(t, filepath.Join(s.Dir, "logs"))
		}
	})
	return s
}

// settled waits until everything is done, and says what is left if that takes too long.
func settled(t *testing.T, s *stack.Stack, patience time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, s.WaitIdle(ctx))
}

// agrees compares both vendors' books to the cent.
func agrees(t *testing.T, s *stack.Stack, options ...shop.AgreeOption) {
	t.Helper()
	report := shop.Agree(s.GHL, s.Sage, options...)
	require.True(t, report.OK(), report.String())
}
