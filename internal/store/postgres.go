package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// applicationName is how our sessions show in pg_stat_activity, unless the address sets its own.
const applicationName = "tallystick"

func openPostgres(ctx context.Context, url string, set settings) (*Store, error) {
	conf, err := pgx.ParseConfig(url)
	if err != nil { // the cause is left out: it may quote the address, password included
		return nil, errors.New("the database address cannot be read: it must look like " +
			"postgres://user:password@host:5432/database?sslmode=require, special characters percent-encoded")
	}
	if conf.RuntimeParams["application_name"] == "" {
		conf.RuntimeParams["application_name"] = applicationName
	}
	db := stdlib.OpenDB(*conf)
	db.SetMaxOpenConns(set.maxConns)
	db.SetMaxIdleConns(set.maxConns)
	// Connections are renewed now and then so that a failover or a moved address is noticed without a restart.
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour)
	s := &Store{dialect: postgres, read: db, write: db, log: set.log}
	if err := s.awaitPostgres(ctx, conf.Host, set.patience); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// awaitPostgres waits until the server answers, for it may be starting at the same time as we are.
func (s *Store) awaitPostgres(ctx context.Context, host string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const longest = 5 * time.Second
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, longest) {
		err := s.write.PingContext(ctx)
		if err == nil {
			return nil
		}
		if refused(err) {
			return fmt.Errorf("the PostgreSQL server at %s refuses: %w", host, err)
		}
		s.log.WarnContext(ctx, "waiting for the PostgreSQL server", "host", host, "error", err.Error())
		select {
		case <-ctx.Done():
			return fmt.Errorf("the PostgreSQL server at %s does not answer: %w", host, err)
		case <-time.After(wait):
		}
	}
}

// refused tells an answer that waiting does not change from a server that is away or only starting (class 57).
func refused(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && len(answer.Code) == 5 && answer.Code[:2] != "57" && answer.Code[:2] != "53"
}
