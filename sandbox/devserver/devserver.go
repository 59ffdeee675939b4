// Package devserver gives the sandbox, the benchmark and the end-to-end tests a real Temporal server on this machine:
// it builds the launcher in sandbox/temporald once, keeps it in the user's cache folder, and starts, stops, kills and
// restarts it as a process of its own.
//
// It is no part of the product: worker and starter connect to whatever server TEMPORAL_ADDRESS names. It imports
// nothing of the server, so that the root module stays light. Tests use the package devservertest, which adds what the
// testing package asks for.
package devserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// binaryName is the file name of the launcher, by which Start knows that it understands more than the Temporal CLI.
const binaryName = "temporald"

// keepUnused is how long a launcher built from other sources stays in the cache after its last use.
const keepUnused = 30 * 24 * time.Hour

// ErrStillBuilding says that the context ended before the launcher was built. What is compiled by then is kept, and
// with Options.KeepBuilding the build goes on; ask again later.
var ErrStillBuilding = errors.New("the Temporal server is still being built")

// Options says how Binary finds or builds the launcher. The zero value is right for most callers.
type Options struct {
	// UseTemporalOnPath takes the Temporal CLI found on the PATH and builds nothing.
	UseTemporalOnPath bool
	// Progress is told, in sentences, that a build takes minutes and how far it is. On a terminal a line is rewritten
	// in place, elsewhere one is added every ten seconds. Nil tells nobody. Nothing is written if nothing is built.
	Progress io.Writer
	// KeepBuilding lets the build go on in the background when the context ends. It is for test binaries, whose time
	// is limited; others leave no process behind.
	KeepBuilding bool
	// SourceDir is the folder of the launcher's module. Empty means sandbox/temporald of the checkout around the
	// working directory, or of the checkout this package was compiled in.
	SourceDir string
	// CacheDir is where launchers are kept, one folder for each version of the sources. Empty means
	// tallystick/temporald in the user's cache folder.
	CacheDir string
}

// Binary returns the path of a Temporal server that Start can run. The first call on a machine builds it, which takes
// about nine minutes of CPU time and needs the Go toolchain; later calls return at once, until the sources of the
// launcher or the version of Go change. Several processes may call it at once: one builds, the others wait and say so.
func Binary(ctx context.Context, opts Options) (string, error) {
	if opts.UseTemporalOnPath {
		path, err := exec.LookPath("temporal")
		if err != nil {
			return "", fmt.Errorf("no Temporal CLI on the PATH; install it, or let the server be built: %w", err)
		}
		return path, nil
	}
	source, err := findSource(opts.SourceDir)
	if err != nil {
		return "", err
	}
	key, err := buildKey(ctx, source)
	if err != nil {
		return "", err
	}
	cache := opts.CacheDir
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the user's cache folder: %w", err)
		}
		cache = filepath.Join(user, "tallystick", "temporald")
	}
	b := builder{
		source:   source,
		dir:      filepath.Join(cache, key),
		progress: newReporter(opts.Progress),
		keep:     opts.KeepBuilding,
	}
	if b.present() {
		return b.target(), nil
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder for the Temporal server: %w", err)
	}
	prune(cache, key)
	if err := b.ensure(ctx); err != nil {
		return "", err
	}
	return b.target(), nil
}

// findSource looks for the launcher's module upwards from the working directory, then beside this source file.
func findSource(given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	var tried []string
	if dir, err := os.Getwd(); err == nil {
		tried = append(tried, dir)
	}
	if _, file, _, ok := runtime.Caller(0); ok {
		tried = append(tried, filepath.Dir(file))
	}
	for _, start := range tried {
		for dir := start; ; dir = filepath.Dir(dir) {
			candidate := filepath.Join(dir, "sandbox", "temporald")
			if _, err := os.Stat(filepath.Join(candidate, "go.mod")); err == nil {
				return candidate, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", errors.New("the sources of the Temporal server (sandbox/temporald) were not found: " +
		"run this inside a checkout of the repository, or use the Temporal CLI on the PATH")
}

// buildKey names what the binary depends on: the launcher's sources, its pinned modules and the Go toolchain.
func buildKey(ctx context.Context, source string) (string, error) {
	hash := sha256.New()
	toolchain, err := goCommand(ctx, source, "env", "GOVERSION", "GOOS", "GOARCH", "CGO_ENABLED").Output()
	if err != nil {
		return "", fmt.Errorf("building the Temporal server needs the Go toolchain; install it from go.dev, "+
			"or use the Temporal CLI on the PATH: %w", err)
	}
	_, _ = hash.Write(toolchain)
	entries, err := os.ReadDir(source)
	if err != nil {
		return "", fmt.Errorf("read the sources of the Temporal server: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		isSource := strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
		if !isSource && name != "go.mod" && name != "go.sum" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", fmt.Errorf("read the sources of the Temporal server: %w", err)
		}
		_, _ = fmt.Fprintf(hash, "%s %d\n", name, len(content))
		_, _ = hash.Write(content)
	}
	return hex.EncodeToString(hash.Sum(nil))[:20], nil
}

// goCommand runs the go tool in the launcher's module. A workspace file of the user's would hide that module.
func goCommand(ctx context.Context, source string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOWORK=off", "PWD="+source)
	return cmd
}

// prune removes launchers that nobody has used for a month; each takes 155 MB. Failing to do so harms nobody.
func prune(cache, current string) {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := os.Stat(filepath.Join(cache, entry.Name(), binaryName+exeSuffix()))
		if err == nil && entry.Name() != current && time.Since(info.ModTime()) > keepUnused {
			_ = os.RemoveAll(filepath.Join(cache, entry.Name()))
		}
	}
}

func exeSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}
