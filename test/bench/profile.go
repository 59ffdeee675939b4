package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// profilerSource is compiled into worker and starter when profiles are wanted, and only then: the product has no such
// door.
const profilerSource = `package main

import (
	"net/http"
	_ "net/http/pprof"
	"os"
)

func init() {
	if at := os.Getenv("` + profilerVariable + `"); at != "" {
		go func() { _ = http.ListenAndServe(at, nil) }()
	}
}
`

const profilerVariable = "TALLYSTICK_BENCH_PPROF"

// profiler takes CPU profiles of the programs it was built into.
type profiler struct {
	folder, overlay string
	at              map[part]string // addresses
}

// newProfiler prepares the build: the source is laid over the programs' folders without being written there.
func newProfiler(ctx context.Context, folder, dir string) (*profiler, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	source := filepath.Join(dir, "profiler.go")
	if err := os.WriteFile(source, []byte(profilerSource), 0o600); err != nil {
		return nil, err
	}
	replace := map[string]string{}
	p := &profiler{folder: folder, overlay: filepath.Join(dir, "overlay.json"), at: map[part]string{}}
	for _, name := range []part{partWorker, partStarter} {
		replace[filepath.Join(strings.TrimSpace(string(root)), string(name), "bench_profiler.go")] = source
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		p.at[name] = listener.Addr().String()
		if err := listener.Close(); err != nil {
			return nil, err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	return p, errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(p.overlay, overlay, 0o600))
}

func (p *profiler) buildFlags() []string { return []string{"-overlay", p.overlay} }

// env tells a program where its profiler listens; nothing without a profiler.
func (p *profiler) env(name part) map[string]string {
	if p == nil {
		return nil
	}
	return map[string]string{profilerVariable: p.at[name]}
}

// take profiles all programs for a while and returns when the files are written. Without a profiler it does nothing.
func (p *profiler) take(ctx context.Context, d time.Duration) error {
	if p == nil {
		return nil
	}
	faults := make(chan error, len(p.at))
	for name, at := range p.at {
		go func() { faults <- p.fetch(ctx, at, filepath.Join(p.folder, string(name)+".pprof"), d) }()
	}
	var all error
	for range p.at {
		all = errors.Join(all, <-faults)
	}
	return all
}

func (p *profiler) fetch(ctx context.Context, at, file string, d time.Duration) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", at, max(1, int(d.Seconds())))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("take a profile: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	profile, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("take a profile: %s: %w", response.Status, errors.Join(err, errors.New(string(profile))))
	}
	return os.WriteFile(file, profile, 0o600)
}
