package stack

import (
	"os/exec"
	"syscall"
)

// bind puts the process into a group of its own, so that Ctrl-C on the terminal reaches us alone and we stop it in
// order, and lets the kernel kill it when we die, however we do.
func bind(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func leash(*exec.Cmd) (release func()) { return func() {} }
