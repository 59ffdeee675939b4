package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migration is one versioned change of the tables.
type Migration struct {
	Version int64
	Name    string
	Applied bool
}

// Migrate applies the migrations that the database lacks, each in a transaction of its own, and returns them. Processes
// that do so at once wait for each other. A database that a newer program has migrated is refused.
func (s *Store) Migrate(ctx context.Context) ([]Migration, error) {
	var done []Migration
	filled := false
	err := s.withGoose(ctx, func(p *goose.Provider) error {
		current, known, err := p.GetVersions(ctx)
		if err != nil {
			return err
		}
		if current > known {
			return fmt.Errorf("its tables are of version %d and this program knows %d: run the newer program", current, known)
		}
		filled = current > 0
		results, err := p.Up(ctx)
		for _, r := range results {
			done = append(done, Migration{Version: r.Source.Version, Name: r.Source.Path, Applied: true})
			s.log.InfoContext(ctx, "migrated the database", "version", r.Source.Version, "took", r.Duration.String())
		}
		return err
	})
	if err != nil {
		return done, fmt.Errorf("migrate the %s database: %w", s.dialect, err)
	}
	if filled && len(done) > 0 { // a migration may have filled tables of which the database takes each for an empty one
		s.countLedger(ctx)
	}
	return done, nil
}

// Migrations lists every migration this program knows, oldest first, and whether the database has it.
func (s *Store) Migrations(ctx context.Context) ([]Migration, error) {
	var list []Migration
	err := s.withGoose(ctx, func(p *goose.Provider) error {
		states, err := p.Status(ctx)
		for _, st := range states {
			list = append(list, Migration{Version: st.Source.Version, Name: st.Source.Path, Applied: st.State == goose.StateApplied})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the migrations of the %s database: %w", s.dialect, err)
	}
	return list, nil
}

func (s *Store) withGoose(ctx context.Context, fn func(*goose.Provider) error) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	dialect, options := goose.DialectSQLite3, []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if s.dialect == postgres {
		// Tried every second for five minutes; the lock ends with its session.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
		if err != nil {
			return err
		}
		dialect, options = goose.DialectPostgres, append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, s.write, files, options...)
	if err != nil {
		return err
	}
	// The provider is not closed: that would close the database, which is ours.
	if s.dialect == sqlite {
		return s.withSQLiteLock(ctx, func() error { return fn(provider) })
	}
	return fn(provider)
}
