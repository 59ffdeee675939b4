package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/observe"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/intake"
)

// app is what the commands share.
type app struct {
	out, errOut io.Writer
	// began is set once a command line was understood.
	began bool
}

// storeOnly is the role of commands that need the database and nothing else.
const storeOnly config.Role = "store"

// logger writes to standard error, so that output can be piped.
func (a *app) logger(c config.Config) *slog.Logger {
	return observe.NewLogger(a.errOut, c.Watching.LogLevel, c.Watching.LogFormat == config.JSONLog)
}

// openStore opens the database of the configuration, with patience for one that is just starting.
func (a *app) openStore(ctx context.Context, c config.Config) (*store.Store, error) {
	db, err := store.Open(ctx, string(c.Store.DatabaseURL), store.WithPatience(5*time.Second))
	if err != nil {
		return nil, fmt.Errorf("%w (DATABASE_URL is %s)", err, c.Store.DatabaseURL)
	}
	return db, nil
}

// withStore runs a command that needs the database and nothing else.
func (a *app) withStore(ctx context.Context, do func(config.Config, *store.Store) error) (err error) {
	c, err := config.Load(storeOnly)
	if err != nil {
		return err
	}
	db, err := a.openStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(c, db)
}

// withBooks runs a command that needs the database and the keys of what is sealed in it.
func (a *app) withBooks(ctx context.Context, do func(config.Config, *store.Store) error) (err error) {
	c, err := config.Load(config.Command)
	if err != nil {
		return err
	}
	db, err := a.openStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(c, db)
}

// location is the flag by which a command is told the HighLevel location it is about.
type location struct{ id string }

func (l *location) add(c *cobra.Command) {
	c.Flags().StringVar(&l.id, "location", "", "HighLevel location; if not given GHL_LOCATION_ID, or the only one that is connected")
}

// of finds the location: the flag's, else the environment's, else the only connection's.
func (l *location) of(ctx context.Context, a *app, c config.Config) (string, error) {
	if id := cmp.Or(l.id, c.GHL.LocationID); id != "" {
		return id, checkIDs(id)
	}
	db, err := a.openStore(ctx, c)
	if err != nil {
		return "", err
	}
	id, err := only(ctx, db)
	return id, errors.Join(err, db.Close())
}

// only is the location of the only connection that is not gone.
func only(ctx context.Context, db *store.Store) (string, error) {
	list, err := listConnections(ctx, db, store.ConnectionFilter{})
	if err != nil {
		return "", err
	}
	var here []string
	for _, c := range list {
		if present(c) {
			here = append(here, c.Location)
		}
	}
	switch {
	case len(here) == 1:
		return here[0], nil
	case len(here) == 0:
		return "", wrongUse("no location is connected: use `starter connect`, or give --location")
	}
	return "", wrongUse("which location? give --location with one of %s", strings.Join(here, ", "))
}

// present tells that a connection is neither gone nor going.
func present(c store.Connection) bool { return c.State != store.Retired && c.State != store.Leaving }

// listConnections reads all pages.
func listConnections(ctx context.Context, db *store.Store, f store.ConnectionFilter) ([]store.Connection, error) {
	var all []store.Connection
	for {
		list, next, err := db.Connections(ctx, f)
		if err != nil {
			return nil, err
		}
		if all = append(all, list...); next == "" {
			return all, nil
		}
		f.After = next
	}
}

// checkIDs refuses what would make a workflow id that nobody finds again.
func checkIDs(ids ...string) error {
	for _, id := range ids {
		if err := intake.CheckID(id); err != nil {
			return wrongUse("%q is no id of HighLevel: %v", id, err)
		}
	}
	return nil
}

// format is the flag -o of reading commands.
type format struct{ name string }

func (f *format) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.name, "output", "o", "table", "table or json")
}

func (f *format) json() bool { return f.name == "json" }

func (f *format) check() error {
	if f.name != "table" && f.name != "json" {
		return wrongUse("-o %s is none of table, json", f.name)
	}
	return nil
}

// print writes a document as JSON, or as the table that rows fill in.
func (f *format) print(out io.Writer, document any, rows func(w io.Writer)) error {
	if f.json() {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(document)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	rows(table)
	return table.Flush()
}

// row writes one line of a table.
func row(w io.Writer, cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			_, _ = fmt.Fprint(w, "\t")
		}
		_, _ = fmt.Fprint(w, cell)
	}
	_, _ = fmt.Fprintln(w)
}

func dryRunFlag(c *cobra.Command, dryRun *bool) {
	c.Flags().BoolVar(dryRun, "dry-run", false, "only say what would be done")
}

// actor names who acts, for the audit trail.
func actor() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "operator"
}

// progress rewrites a line on a terminal, and writes nothing elsewhere.
type progress struct {
	w     io.Writer
	what  string
	total int
	done  int
}

func (a *app) progress(what string, total int) *progress {
	p := &progress{what: what, total: total}
	if file, ok := a.errOut.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.w = file
		}
	}
	return p
}

func (p *progress) step() {
	p.done++
	p.say(fmt.Sprintf("%s %d of %d", p.what, p.done, p.total))
}

func (p *progress) say(words string) {
	if p.w != nil {
		_, _ = fmt.Fprintf(p.w, "\r\033[K%s", words)
	}
}

func (p *progress) end() {
	if p.w != nil {
		_, _ = fmt.Fprint(p.w, "\r\033[K")
	}
}

// ago says how long ago a moment was, in words short enough for a table.
func ago(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return time.Since(at).Round(time.Second).String() + " ago"
}
