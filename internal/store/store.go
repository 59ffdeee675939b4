package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// ErrStale says that the ledger already holds newer news of the order than what was to be recorded. The caller has
// nothing to do: whoever wrote the newer news also brought it into Sage.
var ErrStale = errors.New("the ledger holds newer news of this order")

// Store is an open database. Its methods may be called from any number of goroutines.
type Store struct {
	dialect dialect
	// read and write are one pool on PostgreSQL. SQLite allows one writer at a time: there, write is a single connection
	// whose transactions take the write lock at their beginning, so that goroutines queue here, in order, and only other
	// processes are waited for by polling.
	read, write *sql.DB
	// path is the SQLite file, empty on PostgreSQL.
	path string
	log  *slog.Logger
	// uncounted are the rows of the ledger that were put since the database last counted it.
	uncounted atomic.Int64
}

type dialect string

const (
	sqlite   dialect = "sqlite"
	postgres dialect = "postgres"
)

type settings struct {
	log        *slog.Logger
	registerer prometheus.Registerer
	maxConns   int
	patience   time.Duration
	migrate    bool
}

// Option changes how Open opens.
type Option func(*settings)

// WithLogger sets where Open and Migrate say what they wait for and what they changed. The default is nowhere.
func WithLogger(log *slog.Logger) Option { return func(s *settings) { s.log = log } }

// WithRegisterer publishes the connection pool's figures as Prometheus metrics go_sql_* with the label db_name.
func WithRegisterer(r prometheus.Registerer) Option { return func(s *settings) { s.registerer = r } }

// WithMaxConns bounds the connections of this process to a PostgreSQL server. The default is 10.
func WithMaxConns(n int) Option { return func(s *settings) { s.maxConns = n } }

// WithPatience sets how long Open waits for a PostgreSQL server that cannot be reached yet. The default is one minute.
// A refusal, such as a wrong password, is never waited for.
func WithPatience(d time.Duration) Option { return func(s *settings) { s.patience = d } }

// WithoutMigrations opens the database as it is. Only the command that shows or runs migrations needs it.
func WithoutMigrations() Option { return func(s *settings) { s.migrate = false } }

// Open opens the database that url names, "sqlite:PATH" or "postgres://…", and brings its tables up to date. Any number
// of processes may do so at once. A missing SQLite file is made, readable by its owner only; its folder must exist.
func Open(ctx context.Context, url string, opts ...Option) (*Store, error) {
	set := settings{log: slog.New(slog.DiscardHandler), maxConns: 10, patience: time.Minute, migrate: true}
	for _, opt := range opts {
		opt(&set)
	}
	s, err := connect(ctx, url, set)
	if err != nil {
		return nil, err
	}
	if set.migrate {
		if _, err := s.Migrate(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if set.registerer != nil {
		if err := s.register(set.registerer); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func connect(ctx context.Context, url string, set settings) (*Store, error) {
	switch scheme, rest, _ := strings.Cut(url, ":"); scheme {
	case "sqlite":
		return openSQLite(ctx, rest, set)
	case "postgres", "postgresql":
		return openPostgres(ctx, url, set)
	default: // the address itself is not shown: it may hold a password
		return nil, errors.New("the database address is neither sqlite:PATH nor postgres://…: set DATABASE_URL to one of them")
	}
}

func (s *Store) register(r prometheus.Registerer) error {
	pools := map[string]*sql.DB{"store": s.write}
	if s.read != s.write {
		pools["store_read"] = s.read
	}
	for name, pool := range pools {
		if err := r.Register(collectors.NewDBStatsCollector(pool, name)); err != nil {
			return fmt.Errorf("register the store's metrics: %w", err)
		}
	}
	return nil
}

// Close waits for running calls and closes the database.
func (s *Store) Close() error {
	if s.read == s.write {
		return s.write.Close()
	}
	return errors.Join(s.read.Close(), s.write.Close())
}

// Ping asks the database for an answer. It is what readiness checks call.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.read.QueryRowContext(ctx, `SELECT 1`).Scan(&one); err != nil {
		return fmt.Errorf("the %s database does not answer: %w", s.dialect, err)
	}
	return nil
}

// inTx runs fn in one writing transaction, which is kept only if fn succeeds.
func (s *Store) inTx(ctx context.Context, fn func(*sql.Tx) error) (err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, rollback(tx))
		}
	}()
	if err = fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}
