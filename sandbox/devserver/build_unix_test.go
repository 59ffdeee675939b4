//go:build unix

package devserver

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 30 * time.Second

func TestConcurrentCallsBuildOnce(t *testing.T) {
	opts := tinyModule(t)
	key, err := buildKey(t.Context(), opts.SourceDir)
	require.NoError(t, err)
	dir := filepath.Join(opts.CacheDir, key)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	require.NoError(t, err)
	free, err := tryLock(lock)
	require.NoError(t, err)
	require.True(t, free)

	// While we hold the lock all callers wait; each opens it anew, as other processes do.
	const callers = 3
	outs, errs := make([]lines, callers), make(chan error, callers)
	for i := range callers {
		own := opts
		own.Progress = &outs[i]
		go func() { _, err := Binary(t.Context(), own); errs <- err }()
	}
	for i := range callers {
		require.Eventually(t, func() bool { return strings.Contains(outs[i].String(), "another process is building") },
			patience, 10*time.Millisecond)
	}
	require.NoError(t, lock.Close())

	builds := 0
	for range callers {
		require.NoError(t, receive(t, errs))
	}
	for i := range callers {
		builds += strings.Count(outs[i].String(), "building the Temporal server, once")
	}
	require.Equal(t, 1, builds)
}

// gatedGo puts a go tool on the PATH whose build lasts until the gate is opened.
func gatedGo(t *testing.T) (pidFile string, open func()) {
	t.Helper()
	folder := t.TempDir()
	gate, pidFile := filepath.Join(folder, "gate"), filepath.Join(folder, "pid")
	script := `#!/bin/sh
case "$1" in
env) echo go1.26 ;;
list) printf 'a\nb\nc\n' ;;
build)
	echo a; echo b >&2
	echo $$ >"` + pidFile + `"
	until [ -e "` + gate + `" ]; do sleep 0.02; done
	while [ "$1" != -o ]; do shift; done
	echo built >"$2" ;;
esac
`
	require.NoError(t, os.WriteFile(filepath.Join(folder, "go"), []byte(script), 0o700))
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	return pidFile, func() { write(t, gate, "open\n") }
}

func startGated(t *testing.T, opts Options, pidFile string) (cancel func(), out *lines, result chan error, pid int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, result = &lines{}, make(chan error, 1)
	opts.Progress = out
	go func() { _, err := Binary(ctx, opts); result <- err }()
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(pidFile)
		if err != nil {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil
	}, patience, 10*time.Millisecond)
	return cancel, out, result, pid
}

func TestACancelledBuildLeavesNoProcess(t *testing.T) {
	pidFile, _ := gatedGo(t)
	opts := Options{SourceDir: tinyModule(t).SourceDir, CacheDir: t.TempDir()}
	cancel, _, result, pid := startGated(t, opts, pidFile)
	cancel()
	err := receive(t, result)
	require.ErrorIs(t, err, ErrStillBuilding)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "2 of at most 3 packages compiled")
	require.ErrorContains(t, err, "run this again")
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	found, err := filepath.Glob(filepath.Join(opts.CacheDir, "*", "build-*"))
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestABuildMayOutliveItsCaller(t *testing.T) {
	pidFile, open := gatedGo(t)
	opts := Options{SourceDir: tinyModule(t).SourceDir, CacheDir: t.TempDir(), KeepBuilding: true}
	cancel, _, result, pid := startGated(t, opts, pidFile)
	cancel()
	require.ErrorIs(t, receive(t, result), ErrStillBuilding)
	require.NoError(t, syscall.Kill(pid, 0), "it goes on")

	// The lock went over to the build, so the next caller waits for it.
	var out lines
	opts.Progress = &out
	next := make(chan error, 1)
	go func() { _, err := Binary(t.Context(), opts); next <- err }()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "another process is building") }, patience, 10*time.Millisecond)
	open()
	require.NoError(t, receive(t, next))
	require.Contains(t, out.String(), "the Temporal server is built")
}

func receive(t *testing.T, from <-chan error) error {
	t.Helper()
	select {
	case err := <-from:
		return err
	case <-time.After(patience):
		t.Fatal("no answer")
		return nil
	}
}
