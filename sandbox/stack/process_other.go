//go:build !unix

package stack

import "os/exec"

func bind(*exec.Cmd) {}

func leash(*exec.Cmd) (release func()) { return func() {} }
