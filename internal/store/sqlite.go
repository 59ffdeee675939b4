package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sqliteReaders bounds the reading connections of one process. Readers never wait for the writer in WAL mode.
const sqliteReaders = 4

// busyMillis is how long a connection waits for another process to finish writing. Transactions here take milliseconds,
// so only a process that hangs in the middle of one reaches it.
const busyMillis = "15000"

func openSQLite(ctx context.Context, path string, set settings) (*Store, error) {
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return nil, errors.New("the database address names no file: set DATABASE_URL to sqlite:PATH")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find the database file: %w", err)
	}
	// SQLite would make the file readable by everybody, and gives the -wal and -shm files the mode of the main file.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database file: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("open the database file: %w", err)
	}
	s := &Store{dialect: sqlite, path: path, log: set.log}
	if err := s.withSQLiteLock(ctx, func() error { return s.openPools(ctx) }); err != nil {
		return nil, fmt.Errorf("open the database file %s: %w", path, err)
	}
	return s, nil
}

// openPools opens both pools and makes their first connections, the first of which turns a new file to WAL mode. Two
// processes doing so at once would meet SQLITE_BUSY whatever the busy timeout, so it happens under the lock.
func (s *Store) openPools(ctx context.Context) error {
	write, err := sql.Open("sqlite", sqliteDSN(s.path, url.Values{"_txlock": {"immediate"}, "_journal_mode": {"WAL"}}))
	if err != nil {
		return err
	}
	write.SetMaxOpenConns(1)
	if err := write.PingContext(ctx); err != nil {
		return errors.Join(err, write.Close())
	}
	read, err := sql.Open("sqlite", sqliteDSN(s.path, url.Values{"_query_only": {"1"}}))
	if err != nil {
		return errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(sqliteReaders)
	read.SetMaxIdleConns(sqliteReaders)
	s.read, s.write = read, write
	return nil
}

// sqliteDSN names a file to the driver. synchronous is FULL: a commit survives the loss of power, which a decision taken
// by a person and a rotated refresh token must.
func sqliteDSN(path string, query url.Values) string {
	query.Set("_busy_timeout", busyMillis)
	query.Set("_synchronous", "FULL")
	query.Set("_error_rc", "1")
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") { // a Windows drive
		slashed = "/" + slashed
	}
	return (&url.URL{Scheme: "file", Path: slashed, RawQuery: query.Encode()}).String()
}

// withSQLiteLock runs fn while no other process that opens or migrates the same file does. The lock is a write
// transaction on a small database beside the file: unlike a lock file it ends with the process, however that dies, and
// unlike a transaction on the file itself it spans several transactions.
func (s *Store) withSQLiteLock(ctx context.Context, fn func() error) (err error) {
	lock, err := sql.Open("sqlite", sqliteDSN(s.path+".lock", url.Values{"_txlock": {"exclusive"}}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	tx, err := lock.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("wait for another process that opens the same file: %w", err)
	}
	defer func() { err = errors.Join(err, rollback(tx)) }()
	return fn()
}
