package stack

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// actor is this test binary as a process of another role.
func actor(t *testing.T, as string) *Process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &Process{Name: as, LogFile: filepath.Join(t.TempDir(), "log"), binary: self, env: append(os.Environ(), role+"="+as)}
	runs := 0
	p.ready = func(ctx context.Context, p *Process) error {
		runs++
		return p.await(ctx, "say that it is here", func(context.Context) (bool, error) {
			return strings.Count(logEnd(p.LogFile), "here\n") == runs, nil
		})
	}
	require.NoError(t, p.start())
	t.Cleanup(p.Kill)
	require.NoError(t, p.ready(t.Context(), p))
	return p
}

func TestAPoliteProcessIsStopped(t *testing.T) {
	p := actor(t, "polite")
	_, ended := p.ExitCode()
	require.False(t, ended)
	require.NoError(t, p.Stop(limited(t)))
	code, ended := p.ExitCode()
	require.True(t, ended)
	require.Zero(t, code)
	require.Equal(t, "here\nbye\n", logEnd(p.LogFile))
	require.NoError(t, p.Stop(limited(t)), "it is stopped already")
}

func TestAStubbornProcessIsKilledInTheEnd(t *testing.T) {
	p := actor(t, "stubborn")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, p.Stop(ctx), "was killed")
	select {
	case <-p.Done():
	default:
		t.Fatal("it still runs")
	}
}

func TestAProcessIsRestartedAndMeasuredOverItsRuns(t *testing.T) {
	p := actor(t, "polite")
	first := p.PID()
	require.NoError(t, p.Restart(limited(t)))
	require.NotEqual(t, first, p.PID())
	usage, err := p.Usage()
	if runtime.GOOS != "linux" {
		require.ErrorIs(t, err, ErrNotMeasured)
		return
	}
	require.NoError(t, err)
	require.Positive(t, usage.CPU, "starting a Go program is not free")
	require.Greater(t, usage.Resident, int64(1<<20))
	require.GreaterOrEqual(t, usage.Peak, usage.Resident)
	p.Kill()
	after, err := p.Usage()
	require.NoError(t, err)
	require.GreaterOrEqual(t, after.CPU, usage.CPU-20*time.Millisecond, "the kernel counts in ticks")
}

func TestTheCallersEnvironmentIsNotPassedOn(t *testing.T) {
	base := []string{"PATH=/bin", "SAGE_PUBLIC_KEY=real", "TEMPORAL_API_KEY=real", "ODD==x"}
	require.Equal(t, []string{"ODD==x", "PATH=/bin", "SYNC_INTERVAL=2s"},
		environment(base, false, map[string]string{"SYNC_INTERVAL": "1s"}, nil, map[string]string{"SYNC_INTERVAL": "2s"}))
	require.Equal(t, []string{"ODD==x", "PATH=/bin", "TEMPORAL_API_KEY=real"}, environment(base, true))
}

func TestProgramsThatDoNotBuildAreExplained(t *testing.T) {
	_, _, err := Build(t.Context(), t.TempDir(), "-nonsense")
	require.ErrorContains(t, err, "do not build")
	require.ErrorContains(t, err, "-nonsense", "what the go tool said")

	t.Setenv("PATH", t.TempDir())
	_, _, err = Build(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "go.dev")
}

func TestATakenPortIsNamed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	port := listener.Addr().(*net.TCPAddr).Port
	_, err = Start(t.Context(), Options{Dir: t.TempDir(), WorkerBinary: "x", StarterBinary: "x", Port: port})
	require.ErrorContains(t, err, "the port "+strconv.Itoa(port)+" for the front door is taken")
}

func TestPortsAreNotGivenTwice(t *testing.T) {
	taken := map[int]bool{}
	for i := range 50 {
		port, err := freePort(taken)
		require.NoError(t, err)
		require.NotZero(t, port)
		require.Len(t, taken, i+1)
	}
}
