package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
)

func migrateCommand(a *app) *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use: "migrate", Short: "Bring the database's tables up to date", Args: cobra.NoArgs,
		Long: "Bring the database's tables up to date. Worker and starter do so at their start as well; this is for those who give\n" +
			"them a database user that may not.",
		RunE: func(c *cobra.Command, _ []string) error { return a.migrate(c.Context(), dryRun) },
	}
	dryRunFlag(c, &dryRun)
	return c
}

func (a *app) migrate(ctx context.Context, dryRun bool) (err error) {
	cfg, err := config.Load(storeOnly)
	if err != nil {
		return err
	}
	path, isFile := strings.CutPrefix(string(cfg.Store.DatabaseURL), "sqlite:")
	if _, missing := os.Stat(path); dryRun && isFile && errors.Is(missing, os.ErrNotExist) {
		_, _ = fmt.Fprintf(a.out, "%s would be made with all its tables\n", path)
		return nil
	}
	db, err := store.Open(ctx, string(cfg.Store.DatabaseURL), store.WithoutMigrations(), store.WithPatience(5*time.Second))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	list, err := db.Migrations(ctx)
	if err != nil {
		return err
	}
	if !dryRun {
		if _, err := db.Migrate(ctx); err != nil {
			return err
		}
	}
	pending := 0
	for _, m := range list {
		if !m.Applied {
			pending++
			_, _ = fmt.Fprintf(a.out, "%s  %sapplied\n", m.Name, would(dryRun))
		}
	}
	if pending == 0 {
		_, _ = fmt.Fprintln(a.out, "the tables are up to date")
	}
	return nil
}

// build is the answer of `starter version`.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	// Modified says that the source differed from the revision.
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func builtFrom() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func version() string { return builtFrom().Version }

func versionCommand(a *app) *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "version", Short: "Show what this program was built from", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := out.check(); err != nil {
				return err
			}
			b := builtFrom()
			return out.print(a.out, b, func(w io.Writer) {
				row(w, "version", b.Version)
				if b.Revision != "" {
					row(w, "revision", b.Revision)
				}
				row(w, "built with", b.Go+" for "+b.Platform)
			})
		},
	}
	out.add(c)
	return c
}
