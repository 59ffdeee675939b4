package devserver

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lines is a progress writer that may be read while others write.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tinyModule is a launcher that builds in a second.
func tinyModule(t *testing.T) Options {
	t.Helper()
	source := t.TempDir()
	write(t, filepath.Join(source, "go.mod"), "module tiny\n\ngo 1.26\n")
	write(t, filepath.Join(source, "main.go"), "package main\n\nfunc main() { println(\"tiny\") }\n")
	return Options{SourceDir: source, CacheDir: t.TempDir()}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

// binary calls Binary with a progress writer of its own.
func binary(ctx context.Context, t *testing.T, opts Options) (path, progress string) {
	t.Helper()
	var out lines
	opts.Progress = &out
	path, err := Binary(ctx, opts)
	require.NoError(t, err)
	return path, out.String()
}

func TestBuildsOncePerVersionOfTheSources(t *testing.T) {
	opts := tinyModule(t)
	first, progress := binary(t.Context(), t, opts)
	require.Contains(t, progress, "building the Temporal server, once")
	require.Contains(t, progress, "minutes")
	output, err := exec.CommandContext(t.Context(), first).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "tiny\n", string(output))
	require.Empty(t, leftovers(t, first))

	write(t, filepath.Join(opts.SourceDir, "main_test.go"), "package main\n")
	again, progress := binary(t.Context(), t, opts)
	require.Equal(t, first, again, "tests are no part of the binary")
	require.Empty(t, progress, "nothing was built, so nothing is said")

	write(t, filepath.Join(opts.SourceDir, "go.sum"), "\n")
	other, progress := binary(t.Context(), t, opts)
	require.NotEqual(t, first, other)
	require.Contains(t, progress, "building")
}

func TestLaunchersLongUnusedAreRemoved(t *testing.T) {
	opts := tinyModule(t)
	old, _ := binary(t.Context(), t, opts)
	before := time.Now().Add(-keepUnused - time.Hour)
	require.NoError(t, os.Chtimes(old, before, before))

	write(t, filepath.Join(opts.SourceDir, "go.sum"), "\n")
	fresh, _ := binary(t.Context(), t, opts)
	require.NoFileExists(t, old)
	require.FileExists(t, fresh)
}

func TestCompilerErrorsAreShown(t *testing.T) {
	opts := tinyModule(t)
	write(t, filepath.Join(opts.SourceDir, "main.go"), "package main\n\nfunc main() { missing() }\n")
	_, err := Binary(t.Context(), opts)
	require.ErrorContains(t, err, "undefined: missing")
	require.NotErrorIs(t, err, ErrStillBuilding)

	write(t, filepath.Join(opts.SourceDir, "main.go"), "package main\n\nimport _ \"example.invalid/absent\"\n\nfunc main() {}\n")
	_, err = Binary(t.Context(), opts)
	require.ErrorContains(t, err, "example.invalid/absent")
}

func TestTheLauncherOfThisCheckoutIsFound(t *testing.T) {
	source, err := findSource("")
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(filepath.ToSlash(source), "sandbox/temporald"), source)

	t.Chdir(t.TempDir())
	elsewhere, err := findSource("")
	require.NoError(t, err)
	require.Equal(t, source, elsewhere)
}

func TestTheTemporalCLIServesByRequest(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("PATH", folder)
	_, err := Binary(t.Context(), Options{UseTemporalOnPath: true})
	require.ErrorContains(t, err, "install it")

	cli := filepath.Join(folder, "temporal"+exeSuffix())
	require.NoError(t, os.WriteFile(cli, nil, 0o700))
	path, err := Binary(t.Context(), Options{UseTemporalOnPath: true})
	require.NoError(t, err)
	require.Equal(t, cli, path)

	s := &Server{opts: StartOptions{Binary: path, Namespace: "n", Retention: time.Hour}}
	args := strings.Join(s.arguments(), " ")
	require.Contains(t, args, "history.transferProcessorMaxPollRPS=300")
	require.NotContains(t, args, "--stop-with-parent", "the CLI would refuse it")
	require.NotContains(t, args, "--retention", "the CLI would refuse it")
}

func TestProgressComesInLinesAndNotTooOften(t *testing.T) {
	var out lines
	r := newReporter(&out)
	r.update("1 of 3")
	require.Empty(t, out.String())
	r.last = r.last.Add(-lineInterval)
	r.started = r.started.Add(-90 * time.Second)
	r.update("2 of 3")
	r.update("3 of 3")
	require.Equal(t, "temporald: 2 of 3, 1m30s\n", out.String())

	r.terminal, r.last = true, r.last.Add(-terminalInterval)
	r.update("3 of 3")
	r.say("done")
	require.Equal(t, "temporald: 2 of 3, 1m30s\n\r\033[Ktemporald: 3 of 3, 1m30s\ntemporald: done\n", out.String())
}

func leftovers(t *testing.T, path string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(filepath.Dir(path), "build-*"))
	require.NoError(t, err)
	return found
}
