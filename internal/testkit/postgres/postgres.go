// Package postgres starts throw-away PostgreSQL servers for tests, from the programs installed on the machine. It is
// not a client and knows no schema. Only _test.go files and the test folder import it.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/tallystick/tallystick/internal/testkit"
)

// BinVariable names the environment variable that says in which folder initdb and pg_ctl are.
const BinVariable = "TALLYSTICK_POSTGRES_BIN"

const advice = "PostgreSQL's server programs are missing; install them (Debian: apt-get install postgresql; " +
	"macOS: brew install postgresql) or set " + BinVariable + " to the folder of initdb and pg_ctl"

// Server is a running PostgreSQL server of its own, reached through a Unix socket only. It ends with its test.
type Server struct {
	bin, dir string
	owner    *syscall.Credential
	made     atomic.Int64
}

// Start starts a server that ends with the test. The test is skipped, or fails under REQUIRE_ALL=1, when PostgreSQL is
// not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	bin, found := programs()
	if !found {
		testkit.Missing(t, advice)
	}
	// A socket's path may have 107 bytes only, which t.TempDir exceeds for long test names.
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the PostgreSQL server's files: %v", err)
		}
	})
	s := &Server{bin: bin, dir: dir}
	if err := s.disown(); err != nil {
		testkit.Missing(t, "PostgreSQL does not run as root, and "+err.Error())
	}
	s.run(t, "initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	s.start(t)
	t.Cleanup(func() { s.Stop(t, "immediate") })
	return s
}

// URL makes an empty database on the server and returns its address.
func (s *Server) URL(t testing.TB) string {
	t.Helper()
	name := "test" + strconv.FormatInt(s.made.Add(1), 10)
	s.run(t, "createdb", "-h", s.dir, "-U", "postgres", name)
	query := url.Values{"host": {s.dir}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + name, RawQuery: query.Encode()}).String()
}

// Stop stops the server if it runs: "fast" ends its sessions, "immediate" is a crash that it recovers from.
func (s *Server) Stop(t testing.TB, mode string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(s.data(), "postmaster.pid")); errors.Is(err, os.ErrNotExist) {
		return
	}
	s.run(t, "pg_ctl", "-D", s.data(), "-m", mode, "-w", "stop")
}

// Restart starts a stopped server again.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.start(t)
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	options := fmt.Sprintf("-k %s -c listen_addresses='' -c fsync=off -c max_connections=50", s.dir)
	s.run(t, "pg_ctl", "-D", s.data(), "-l", filepath.Join(s.dir, "log"), "-o", options, "-w", "start")
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) run(t testing.TB, program string, args ...string) {
	t.Helper()
	// The server is stopped after the test's own context has ended.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	// Output goes to a file, not to a pipe: the server that pg_ctl leaves behind would hold a pipe open for ever.
	out, err := os.CreateTemp(s.dir, program)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	err = errors.Join(cmd.Run(), out.Close())
	if err == nil {
		return
	}
	said, _ := os.ReadFile(out.Name())
	logged, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	t.Fatalf("%s: %v\n%s\n%s", program, err, bytes.TrimSpace(said), bytes.TrimSpace(logged))
}

// disown gives the folder to the user postgres where the test runs as root, as which the server refuses to start.
func (s *Server) disown() error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("there is no user postgres: %w", err)
	}
	uid, errU := strconv.ParseUint(owner.Uid, 10, 32)
	gid, errG := strconv.ParseUint(owner.Gid, 10, 32)
	if err := errors.Join(errU, errG); err != nil {
		return err
	}
	s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, int(uid), int(gid))
}

// programs finds the folder that holds initdb, pg_ctl and createdb.
func programs() (string, bool) {
	if dir := os.Getenv(BinVariable); dir != "" {
		return dir, complete(dir)
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil && complete(filepath.Dir(real)) {
			return filepath.Dir(real), true
		}
	}
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // Debian keeps them off the PATH
	sort.Slice(dirs, func(i, j int) bool { return version(dirs[i]) > version(dirs[j]) })
	for _, dir := range dirs {
		if complete(dir) {
			return dir, true
		}
	}
	return "", false
}

func version(dir string) int {
	n, _ := strconv.Atoi(strings.Split(filepath.Base(filepath.Dir(dir)), ".")[0])
	return n
}

func complete(dir string) bool {
	for _, program := range []string{"initdb", "pg_ctl", "createdb"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return false
		}
	}
	return true
}
