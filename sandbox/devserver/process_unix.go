//go:build unix

package devserver

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// locksWork says whether tryLock keeps others out.
const locksWork = true

// tryLock takes an advisory lock that ends with the last process that has the file open, however it ends.
func tryLock(file *os.File) (bool, error) {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// detach puts the command into a process group of its own, out of the reach of a terminal's Ctrl-C and of our death,
// and hands it the open file, if there is one.
func detach(cmd *exec.Cmd, inherited *os.File) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if inherited != nil {
		cmd.ExtraFiles = []*os.File{inherited}
	}
}

// killGroup ends a detached command with its children.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
