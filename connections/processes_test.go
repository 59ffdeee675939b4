package connections

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
)

// What a process of the test is told by its environment.
const (
	processStore    = "TALLYSTICK_TEST_STORE"
	processVendor   = "TALLYSTICK_TEST_VENDOR"
	processKeys     = "TALLYSTICK_TEST_KEYS"
	processCallers  = "TALLYSTICK_TEST_CALLERS"
	processExpiries = "TALLYSTICK_TEST_EXPIRIES"
)

// TestProcess is no test: the tests of several processes start it in processes of their own.
func TestProcess(t *testing.T) {
	url := os.Getenv(processStore)
	if url == "" {
		return
	}
	ring, err := secret.ParseRing(os.Getenv(processKeys))
	require.NoError(t, err)
	books, err := store.Open(t.Context(), url)
	require.NoError(t, err)
	d, err := Open(Options{Config: appConfig(os.Getenv(processVendor)), Store: books, Ring: ring, Watch: Watch{
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}})
	require.NoError(t, err)
	callers, err := strconv.Atoi(os.Getenv(processCallers))
	require.NoError(t, err)
	expiries, err := strconv.Atoi(os.Getenv(processExpiries))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var calls errgroup.Group
	for range callers {
		calls.Go(func() error { return outlive(ctx, d, books, shop, expiries) })
	}
	require.NoError(t, calls.Wait())
	d.Close()
	require.NoError(t, books.Close())
}

// worker is a process of the test.
type worker struct {
	cmd  *exec.Cmd
	said bytes.Buffer
}

func (b *bench) startProcess(callers, expiries int) *worker {
	b.t.Helper()
	w := &worker{cmd: exec.CommandContext(b.t.Context(), os.Args[0], "-test.run=^TestProcess$")}
	w.cmd.Env = append(os.Environ(), processStore+"="+b.url, processVendor+"="+b.ghl.URL(), processKeys+"="+b.ring.Reveal(),
		processCallers+"="+strconv.Itoa(callers), processExpiries+"="+strconv.Itoa(expiries))
	w.cmd.Stdout, w.cmd.Stderr = &w.said, &w.said
	require.NoError(b.t, w.cmd.Start())
	return w
}

// killHolder has the answer to the next refresh delayed until the process that waits for it is dead, and tells which.
func (b *bench) killHolder(workers []*worker) int {
	b.t.Helper()
	before := b.faults.Injected()["oauth.token"][faults.AnswerLate]
	b.faults.Next("oauth.token", faults.Fault{Kind: faults.AnswerLate, Delay: time.Minute})
	killed := -1
	eventually(b.t, "a process that waits for an answer", func() bool {
		var pid int
		row := b.token(shopsToken)
		if _, err := fmt.Sscanf(row.Holder, "process %d ", &pid); err != nil ||
			b.faults.Injected()["oauth.token"][faults.AnswerLate] == before {
			return false
		}
		for n, w := range workers {
			if w.cmd.Process.Pid == pid {
				killed = n
			}
		}
		return killed >= 0
	})
	require.NoError(b.t, workers[killed].cmd.Process.Kill())
	require.Error(b.t, workers[killed].cmd.Wait(), "it was killed")
	return killed
}

func TestProcessesThatAreKilledWithASpentTokenLoseNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		b := newBench(t, url, ghlbox.OAuthOptions{TokenLife: time.Second})
		b.install(shop)
		b.faults.Chances("oauth.token", faults.Chance{Fault: faults.Fault{Kind: faults.CutAfter}, Probability: 0.25})
		const processes, callers, expiries = 3, 67, 6
		var workers, all []*worker
		for range processes {
			workers = append(workers, b.startProcess(callers, expiries))
		}
		all = append(all, workers...)
		for range 2 {
			dead := b.killHolder(workers)
			workers[dead] = b.startProcess(callers, expiries) // as whatever keeps workers running does
			all = append(all, workers[dead])
		}
		for _, w := range workers {
			require.NoError(t, w.cmd.Wait(), "%s", tail(w.said.String()))
		}
		for _, w := range all {
			require.NotContains(t, w.said.String(), jwtHead, "no token is in a log")
		}
		require.GreaterOrEqual(t, b.ghl.Refreshes(shopsToken), expiries)
		require.GreaterOrEqual(t, b.ghl.ReplayedRefreshes(shopsToken), 2, "the grace saved what the dead had in hand")
		b.requireNothingLost(shopsToken, shop)
	})
}

func tail(text string) string { return text[max(0, len(text)-4000):] }
