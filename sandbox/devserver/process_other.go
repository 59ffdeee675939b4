//go:build !unix

package devserver

import (
	"os"
	"os/exec"
)

// locksWork is false: two builds at once do the work twice, and the later one replaces the earlier one's equal result.
const locksWork = false

func tryLock(*os.File) (bool, error) { return true, nil }

func detach(*exec.Cmd, *os.File) {}

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
