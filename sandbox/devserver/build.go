package devserver

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	// buildCPUSeconds is what a build from nothing was measured to cost.
	buildCPUSeconds = 530
	pollInterval    = 200 * time.Millisecond
	logName         = "build.log"
)

// builder makes one version of the launcher in its folder of the cache.
//
// The lock only saves work: what makes concurrent builds correct is that each links into a folder of its own and the
// result is renamed into place. Compiled packages are kept by Go's build cache, so a build that was cut off goes on
// where it was.
type builder struct {
	source, dir string
	progress    *reporter
	keep        bool
}

func (b *builder) target() string { return filepath.Join(b.dir, binaryName+exeSuffix()) }

// present looks for the finished binary and notes that it is in use.
func (b *builder) present() bool {
	now := time.Now()
	return os.Chtimes(b.target(), now, now) == nil
}

// ensure returns when the binary is there, whoever built it.
func (b *builder) ensure(ctx context.Context) error {
	defer b.progress.end()
	lock, err := os.OpenFile(filepath.Join(b.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("open the build lock: %w", err)
	}
	defer func() { _ = lock.Close() }()

	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for announced := false; ; announced = true {
		free, err := tryLock(lock)
		switch {
		case err != nil:
			return fmt.Errorf("lock the build: %w", err)
		case b.present():
			return nil
		case free:
			return b.build(ctx, lock)
		case !announced:
			b.progress.say("another process is building the Temporal server; waiting for it (%s)", estimate())
		}
		b.progress.update(b.state())
		select {
		case <-ctx.Done():
			return b.unfinished(ctx)
		case <-tick.C:
		}
	}
}

// build runs the go tool and waits for it. The go tool inherits the lock, so that the lock is held for as long as the
// build lasts even if this process dies.
func (b *builder) build(ctx context.Context, lock *os.File) error {
	b.progress.say("building the Temporal server, once for this version: %s; it is kept in %s", estimate(), b.dir)
	b.sweep()
	log, err := os.Create(filepath.Join(b.dir, logName))
	if err != nil {
		return fmt.Errorf("open the build log: %w", err)
	}
	defer func() { _ = log.Close() }()
	temporary, err := os.MkdirTemp(b.dir, "build-")
	if err != nil {
		return fmt.Errorf("make a folder to build in: %w", err)
	}
	if err := b.countPackages(ctx, log); err != nil {
		return err
	}

	output := filepath.Join(temporary, binaryName+exeSuffix())
	// Without -trimpath: so the launcher shares its compiled packages with go vet, go test and linters. The context is
	// not the command's, for it is we who decide whether the build outlives it.
	cmd := goCommand(context.WithoutCancel(ctx), b.source, "build", "-v", "-buildvcs=false", "-ldflags=-s -w", "-o", output, ".")
	cmd.Stdout, cmd.Stderr = log, log
	detach(cmd, lock)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the go tool: %w", err)
	}
	if err := b.await(ctx, cmd); err != nil {
		return err
	}
	if err := os.Rename(output, b.target()); err != nil {
		return fmt.Errorf("put the Temporal server in place: %w", err)
	}
	_ = os.RemoveAll(temporary)
	b.progress.say("the Temporal server is built")
	return nil
}

// await returns when the go tool has ended, or when ctx has.
func (b *builder) await(ctx context.Context, cmd *exec.Cmd) error {
	var failure error
	done := make(chan struct{})
	go func() { failure = cmd.Wait(); close(done) }()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		b.progress.update(b.state())
		select {
		case <-done:
			if failure != nil {
				return fmt.Errorf("the Temporal server did not build: %w\n%s(all of it: %s)",
					failure, b.lastErrors(), filepath.Join(b.dir, logName))
			}
			return nil
		case <-ctx.Done():
			if !b.keep {
				killGroup(cmd)
				<-done
				b.sweep()
			}
			return b.unfinished(ctx)
		case <-tick.C:
		}
	}
}

// countPackages fetches the modules and writes the number of packages at the head of the log, where those who wait
// find it, too.
func (b *builder) countPackages(ctx context.Context, log *os.File) error {
	b.progress.update("fetching its Go modules (1.5 GB unpacked, if they are not there yet)")
	var stderr bytes.Buffer
	cmd := goCommand(ctx, b.source, "list", "-deps", ".")
	cmd.Stderr = &stderr
	list, err := cmd.Output()
	if ctx.Err() != nil {
		return b.unfinished(ctx)
	}
	if err != nil {
		return fmt.Errorf("fetch the modules of the Temporal server: %w\n%s", err, tail(stderr.Bytes(), 2000))
	}
	_, err = fmt.Fprintf(log, "# packages: %d\n", bytes.Count(list, []byte("\n")))
	return err
}

// state reads the build log. The total is an upper bound: what Go's build cache already holds is not compiled again.
func (b *builder) state() string {
	file, err := os.Open(filepath.Join(b.dir, logName))
	if err != nil {
		return "starting"
	}
	defer func() { _ = file.Close() }()
	total, done := 0, 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		if _, err := fmt.Sscanf(line, "# packages: %d", &total); err == nil {
			continue
		}
		if line != "" && !strings.ContainsAny(line, " :#") {
			done++
		}
	}
	if total == 0 {
		return "fetching its Go modules"
	}
	return fmt.Sprintf("%d of at most %d packages compiled", done, total)
}

// lastErrors is the end of the log without the names of packages that compiled.
func (b *builder) lastErrors() string {
	content, err := os.ReadFile(filepath.Join(b.dir, logName))
	if err != nil {
		return ""
	}
	var kept strings.Builder
	for line := range strings.Lines(string(content)) {
		if strings.ContainsAny(line, " :#") && !strings.HasPrefix(line, "# packages:") {
			kept.WriteString(line)
		}
	}
	return tail([]byte(kept.String()), 4000)
}

// unfinished says how far the build was when the context ended.
func (b *builder) unfinished(ctx context.Context) error {
	return fmt.Errorf("%w (%s); run this again, finished packages are kept: %w", ErrStillBuilding, b.state(), context.Cause(ctx))
}

// sweep removes what builds that were cut off have left. Only the holder of the lock may call it.
func (b *builder) sweep() {
	leftovers, err := filepath.Glob(filepath.Join(b.dir, "build-*"))
	if err != nil || !locksWork {
		return
	}
	for _, leftover := range leftovers {
		_ = os.RemoveAll(leftover)
	}
}

func estimate() string {
	least := max(1, buildCPUSeconds/60/runtime.NumCPU())
	return fmt.Sprintf("%d to %d minutes on this machine's %d cores", least, 2*least, runtime.NumCPU())
}

// tail is the last n bytes of text, from the start of a line, or all of it.
func tail(text []byte, n int) string {
	if len(text) <= n {
		return string(text)
	}
	_, rest, found := bytes.Cut(text[len(text)-n:], []byte("\n"))
	if !found {
		return ""
	}
	return "...\n" + string(rest)
}
