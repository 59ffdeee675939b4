package stack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// module is the path in go.mod by which this checkout is known.
const module = "module github.com/tallystick/tallystick"

// Build makes the programs worker and starter of this checkout in a folder and returns their paths. Flags are added to
// go build. Go's build cache holds everything but the linking, so it takes seconds after the first time.
func Build(ctx context.Context, folder string, flags ...string) (worker, starter string, err error) {
	root, err := findModule()
	if err != nil {
		return "", "", err
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", "", fmt.Errorf("make a folder for the programs: %w", err)
	}
	args := append([]string{"build", "-o", folder + string(filepath.Separator)}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./worker", "./starter")...)
	cmd.Dir = root
	output, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", "", fmt.Errorf("building worker and starter needs the Go toolchain; install it from go.dev: %w", err)
	case ctx.Err() != nil:
		return "", "", fmt.Errorf("build worker and starter: %w", context.Cause(ctx))
	case err != nil:
		return "", "", fmt.Errorf("worker and starter do not build: %w\n%s", err, output[max(0, len(output)-4*shownLog):])
	}
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	return filepath.Join(folder, "worker"+suffix), filepath.Join(folder, "starter"+suffix), nil
}

// findModule looks for this checkout upwards from the working directory, then beside this source file.
func findModule() (string, error) {
	var starts []string
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if _, file, _, ok := runtime.Caller(0); ok {
		starts = append(starts, filepath.Dir(file))
	}
	for _, start := range starts {
		for dir := start; ; dir = filepath.Dir(dir) {
			if isModule(filepath.Join(dir, "go.mod")) {
				return dir, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", errors.New("the sources of worker and starter were not found: run this inside a checkout of the repository")
}

func isModule(path string) bool {
	content, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		if strings.TrimSpace(lines.Text()) == module {
			return true
		}
	}
	return false
}
