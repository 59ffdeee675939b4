//go:build unix

package stack

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNothingOutlivesAKilledOwner(t *testing.T) {
	opts := options(t)
	self, err := os.Executable()
	require.NoError(t, err)
	owner := exec.CommandContext(t.Context(), self)
	owner.Env = append(os.Environ(), role+"=owner", "DIR="+opts.Dir, "WORKER="+opts.WorkerBinary, "STARTER="+opts.StarterBinary,
		"SERVER="+opts.Temporal.Binary)
	said, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	line, err := bufio.NewReader(said).ReadString('\n')
	require.NoError(t, err)
	var pids [3]int
	_, err = fmt.Sscan(line, &pids[0], &pids[1], &pids[2])
	require.NoError(t, err, line)
	for _, pid := range pids {
		require.NoError(t, syscall.Kill(pid, 0), "they run")
	}
	require.NoError(t, owner.Process.Kill())
	require.Error(t, owner.Wait())
	for _, pid := range pids {
		require.Eventually(t, func() bool { return gone(pid) }, patience, 20*time.Millisecond, "process %d still runs", pid)
	}
}

// gone tells whether a process has ended. One that nobody has waited for yet has, too: where the tests run as the first
// process's only company, nobody ever does.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}
