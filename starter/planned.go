package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
)

func plannedCommand(a *app) *cobra.Command {
	var p planned
	var out format
	c := &cobra.Command{
		Use: "planned", Short: "Show the writes that READ_ONLY kept back", Args: cobra.NoArgs,
		Long: "Show the writes that READ_ONLY kept back: what would have been called, how often, and when first and last. Their\n" +
			"content is as personal as the orders it comes from, so it is sealed in the store and only shown with --full.",
		Example: "  starter planned\n  starter planned --full -o json\n  starter planned --clear",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if p.dryRun && !p.clear {
				return wrongUse("--dry-run goes with --clear: showing changes nothing")
			}
			return a.withBooks(c.Context(), func(cfg config.Config, db *store.Store) error {
				if p.clear {
					return p.forget(c.Context(), a, db)
				}
				return p.show(c.Context(), a, cfg, db, out)
			})
		},
	}
	c.Flags().StringVar(&p.location, "location", "", "HighLevel location; all if not given")
	c.Flags().BoolVar(&p.full, "full", false, "show what would have been sent, personal data included")
	c.Flags().BoolVar(&p.clear, "clear", false, "forget them")
	out.add(c)
	dryRunFlag(c, &p.dryRun)
	return c
}

type planned struct {
	location            string
	full, clear, dryRun bool
}

// plannedView is a row of `starter planned`.
type plannedView struct {
	Location  string    `json:"location"`
	Vendor    string    `json:"vendor"`
	Operation string    `json:"operation"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Times     int64     `json:"times"`
	FirstAt   time.Time `json:"firstAt"`
	LastAt    time.Time `json:"lastAt"`
	// Query and Body are what would have been sent, with --full only.
	Query url.Values      `json:"query,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
}

func (p planned) show(ctx context.Context, a *app, cfg config.Config, db *store.Store, out format) error {
	directory, err := connections.Open(connections.Options{Config: cfg, Store: db, Ring: cfg.Secrets.Keys.Ring})
	if err != nil {
		return err
	}
	defer directory.Close()
	views := []plannedView{}
	err = p.each(ctx, db, func(w store.PlannedWrite) error {
		v := plannedView{
			Location: w.Location, Vendor: w.Vendor, Operation: w.Operation, Method: w.Method, Path: w.Path,
			Times: w.Times, FirstAt: w.FirstAt, LastAt: w.LastAt,
		}
		if p.full {
			request, err := directory.OpenPlanned(w)
			if err != nil {
				return err
			}
			v.Query, v.Body = request.Query, request.Body
		}
		views = append(views, v)
		return nil
	})
	if err != nil {
		return err
	}
	return out.print(a.out, views, func(w io.Writer) { printPlanned(w, views) })
}

func (p planned) each(ctx context.Context, db *store.Store, do func(store.PlannedWrite) error) error {
	filter := store.PlannedFilter{Location: p.location}
	for {
		list, next, err := db.Planned(ctx, filter)
		if err != nil {
			return err
		}
		for _, w := range list {
			if err := do(w); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		filter.After = next
	}
}

func printPlanned(w io.Writer, views []plannedView) {
	row(w, "LOCATION", "OPERATION", "CALL", "TIMES", "FIRST", "LAST")
	for _, v := range views {
		row(w, v.Location, v.Operation, v.Method+" "+v.Path, v.Times, moment(v.FirstAt), moment(v.LastAt))
		if len(v.Query) > 0 {
			row(w, "", "", "?"+v.Query.Encode())
		}
		if len(v.Body) > 0 {
			row(w, "", "", string(v.Body))
		}
	}
	if len(views) == 0 {
		row(w, "none")
	}
}

func (p planned) forget(ctx context.Context, a *app, db *store.Store) error {
	if p.dryRun {
		var n int
		if err := p.each(ctx, db, func(store.PlannedWrite) error { n++; return nil }); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(a.out, "%d planned writes would be forgotten\n", n)
		return nil
	}
	n, err := db.ForgetPlanned(ctx, p.location)
	if err != nil {
		return err
	}
	entry := store.AuditEntry{At: time.Now().UTC(), Location: p.location, Actor: actor(), Action: "planned clear", Detail: fmt.Sprint(n)}
	if err := db.Audit(ctx, entry); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(a.out, "%d planned writes forgotten\n", n)
	return nil
}
