//go:build unix && !linux

package stack

import (
	"os/exec"
	"strconv"
	"syscall"
)

// bind puts the process into a group of its own, so that Ctrl-C on the terminal reaches us alone and we stop it in
// order.
func bind(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// leash kills the process when we die: a shell reads from a pipe that only we hold, and comes to its end with us. The
// process is on its own where that shell cannot be started.
func leash(cmd *exec.Cmd) (release func()) {
	guard := exec.Command("/bin/sh", "-c", `cat; kill -KILL "$0"`, strconv.Itoa(cmd.Process.Pid)) //nolint:noctx // ends with the process
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	held, err := guard.StdinPipe()
	if err != nil || guard.Start() != nil {
		return func() {}
	}
	return func() {
		_ = syscall.Kill(-guard.Process.Pid, syscall.SIGKILL)
		_ = held.Close()
		_ = guard.Wait()
	}
}
