package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/internal/testkit/postgres"
)

func isStale(err error) bool { return errors.Is(err, store.ErrStale) }

// crashVariable makes the test binary a process that writes to the SQLite file it names until it is killed.
const crashVariable = "TALLYSTICK_STORE_CRASH"

func TestMain(m *testing.M) {
	if url := os.Getenv(crashVariable); url != "" {
		if err := writeForever(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeForever parks and records one order after the other, and says each that the store has accepted.
func writeForever(url string) error {
	s, err := store.Open(context.Background(), url)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		id := fmt.Sprintf("o%06d", i)
		parked := store.Parked{Location: here, Process: store.PaymentToOrder, ObjectID: id, Kind: "Money", ParkedAt: monday}
		if err := s.Park(context.Background(), parked); err != nil {
			return err
		}
		if err := s.RecordOrder(context.Background(), record(id)); err != nil {
			return err
		}
		fmt.Println(id)
	}
}

// TestKilledInTheMiddleOfWrites kills a writing process several times: the file stays whole, every accepted order is
// in it, and at most the one order that was under way is still parked. This process writes to the same file all along.
func TestKilledInTheMiddleOfWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, "sqlite:"+path)
	for round := range 3 {
		meanwhile := func() { require.NoError(t, s.SetCursor(t.Context(), here, "meanwhile", monday)) }
		accepted := writeAndKill(t, "sqlite:"+path, 20+round*7, meanwhile)
		for _, id := range accepted {
			_, found, err := s.Order(t.Context(), here, id)
			require.NoError(t, err)
			require.True(t, found, "%s was accepted before the kill", id)
		}
		left, _, err := s.ParkedItems(t.Context(), store.ParkedFilter{})
		require.NoError(t, err)
		require.LessOrEqual(t, len(left), 1)
		for _, p := range left {
			_, found, err := s.Order(t.Context(), here, p.ObjectID)
			require.NoError(t, err)
			require.False(t, found, "recording and unparking are one step")
			require.NoError(t, s.Unpark(t.Context(), here, p.Process, p.ObjectID))
		}
		require.Equal(t, "ok", integrity(t, path))
	}
}

func writeAndKill(t *testing.T, url string, after int, meanwhile func()) (accepted []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashVariable+"="+url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		accepted = append(accepted, strings.TrimSpace(line))
		meanwhile()
		if len(accepted) == after {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	require.ErrorContains(t, cmd.Wait(), "killed")
	require.GreaterOrEqual(t, len(accepted), after)
	return accepted
}

func integrity(t *testing.T, path string) (verdict string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.QueryRow(`PRAGMA integrity_check`).Scan(&verdict))
	return verdict
}

func TestSQLiteFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, "sqlite:"+path)
	require.NoError(t, s.SetCursor(t.Context(), here, "c", monday))
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
}

func TestOpenRefuses(t *testing.T) {
	const secret = "hunter2"
	for name, c := range map[string]struct{ url, says string }{
		"nothing":                {"", "DATABASE_URL"},
		"another database":       {"mysql://root:" + secret + "@db/x", "sqlite:PATH"},
		"no file":                {"sqlite:", "sqlite:PATH"},
		"memory":                 {"sqlite::memory:", "sqlite:PATH"},
		"no folder":              {"sqlite:" + filepath.Join(t.TempDir(), "not", "there.db"), "no such file"},
		"unreadable address":     {"postgres://user:" + secret + "@db:port/x", "postgres://user:password@host"},
		"unreadable percent":     {"postgres://user:" + secret + "%zz@db/x", "percent-encoded"},
		"nobody listens":         {"postgres://user:" + secret + "@127.0.0.1:1/x", "does not answer"},
		"a file that is no base": {"sqlite:" + noDatabase(t), "not a database"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), c.url, store.WithPatience(10*time.Millisecond))
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), secret)
		})
	}
}

func noDatabase(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "letter.txt")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("Dear Sir or Madam, ", 100)), 0o600))
	return path
}

// TestNewerDatabase opens a database that a program of the future has migrated.
func TestNewerDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	require.NoError(t, open(t, "sqlite:"+path).Ping(t.Context()))
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = store.Open(t.Context(), "sqlite:"+path)
	require.ErrorContains(t, err, "run the newer program")
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	open(t, "sqlite:"+filepath.Join(t.TempDir(), "store.db"), store.WithRegisterer(registry))
	families, err := registry.Gather()
	require.NoError(t, err)
	require.NotEmpty(t, families)
}

// TestPostgresRefusal: a wrong database is an answer, and is not waited for.
func TestPostgresRefusal(t *testing.T) {
	server := postgres.Start(t)
	url := strings.Replace(server.URL(t), "/test1", "/absent", 1)
	_, err := store.Open(t.Context(), url, store.WithPatience(time.Hour))
	require.ErrorContains(t, err, "refuses")
}

// TestPostgresCrash: an open store goes on after its server died and came back.
func TestPostgresCrash(t *testing.T) {
	server := postgres.Start(t)
	s := open(t, server.URL(t))
	require.NoError(t, s.RecordOrder(t.Context(), record("o1")))
	server.Stop(t, "immediate")
	require.Error(t, s.Ping(t.Context()))
	server.Restart(t)
	require.NoError(t, s.Ping(t.Context()))
	_, found, err := s.Order(t.Context(), here, "o1")
	require.NoError(t, err)
	require.True(t, found)
}
