package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/preflight"
	"github.com/tallystick/tallystick/starter/sagehook"
)

func hooksCommand(a *app) *cobra.Command {
	c := group(&cobra.Command{Use: "hooks", Short: "The hooks by which Sage tells at once of changed sales orders"})
	c.AddCommand(hooksList(a), hooksApply(a), hooksRemove(a))
	return c
}

// hooks are those of a connection's Sage tenant.
type hooks struct {
	app      *app
	location string
	tenant   *sage.Client
	store    *store.Store
	// address is where Sage is to post, with the token; empty where PUBLIC_URL or SAGE_HOOK_TOKEN is not set.
	address string
	dryRun  bool
}

// withHooks runs a command about the hooks of a location's tenant.
func (a *app) withHooks(ctx context.Context, where *location, do func(*hooks) error) error {
	return a.withBooks(ctx, func(c config.Config, db *store.Store) error {
		id, err := where.of(ctx, a, c)
		if err != nil {
			return err
		}
		directory, err := connections.Open(connections.Options{Config: c, Store: db, Ring: c.Secrets.Keys.Ring, Regardless: true})
		if err != nil {
			return err
		}
		defer directory.Close()
		tenant, _, err := directory.Sage(ctx, id)
		if err != nil {
			return err
		}
		return do(&hooks{app: a, location: id, tenant: tenant, store: db, address: preflight.HookAddress(c)})
	})
}

// hookView is a row of `starter hooks list`.
type hookView struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Entity string `json:"entity"`
	Action string `json:"action"`
	// Address shows the place and not the path, which is or may hold a secret.
	Address string `json:"address"`
	// Ours is "here" for one that posts to this front door with the present token, "outdated" for one with another token,
	// and empty for those of others, another installation of Tallystick included.
	Ours string `json:"ours,omitempty"`
}

func (h *hooks) view(hook sage.Hook) hookView {
	v := hookView{ID: hook.ID, Name: hook.Name, Entity: string(hook.Entity), Action: string(hook.Action)}
	if at, err := url.Parse(hook.URL); err == nil && at.Host != "" {
		v.Address = at.Scheme + "://" + at.Host + "/…"
	}
	switch {
	case preflight.PostsHere(hook, h.address):
		v.Ours = "here"
	case preflight.PostsOutdated(hook, h.address):
		v.Ours = "outdated"
	}
	return v
}

func hooksList(a *app) *cobra.Command {
	var where location
	var out format
	c := &cobra.Command{
		Use: "list", Short: "Show the hooks of a Sage tenant, and which of them post here", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			return a.withHooks(c.Context(), &where, func(h *hooks) error {
				live, err := h.tenant.Hooks.Live(c.Context())
				if err != nil {
					return err
				}
				views := make([]hookView, 0, len(live))
				for _, hook := range live {
					views = append(views, h.view(hook))
				}
				return out.print(a.out, views, func(w io.Writer) { printHooks(w, views) })
			})
		},
	}
	where.add(c)
	out.add(c)
	return c
}

func printHooks(w io.Writer, views []hookView) {
	row(w, "HOOK", "NAME", "TELLS OF", "POSTS TO", "OURS")
	for _, v := range views {
		row(w, v.ID, v.Name, v.Entity+" "+v.Action, v.Address, v.Ours)
	}
	if len(views) == 0 {
		row(w, "none")
	}
}

func hooksApply(a *app) *cobra.Command {
	var where location
	var dryRun bool
	c := &cobra.Command{
		Use: "apply", Short: "Have Sage post changes of sales orders to this front door", Args: cobra.NoArgs,
		Long: "Have Sage post changes of sales orders to PUBLIC_URL/webhooks/sage/SAGE_HOOK_TOKEN. Hooks that are there already are\n" +
			"left alone, and those with a former token are removed once the new ones are there. Without hooks the same is found by\n" +
			"the sweep, up to FULFILLMENT_SYNC_INTERVAL later.",
		Example: "  starter hooks apply --dry-run\n  starter hooks apply",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withHooks(c.Context(), &where, func(h *hooks) error {
				h.dryRun = dryRun
				if h.address == "" {
					return errNoAddress
				}
				return h.apply(c.Context())
			})
		},
	}
	where.add(c)
	dryRunFlag(c, &dryRun)
	return c
}

var errNoAddress = errors.New("where Sage is to post is not known: set PUBLIC_URL and SAGE_HOOK_TOKEN, for this command and for `starter serve`")

func (h *hooks) apply(ctx context.Context) error {
	live, err := h.tenant.Hooks.Live(ctx)
	if err != nil {
		return err
	}
	for _, action := range preflight.HookActions() {
		there := false
		for _, hook := range live {
			if !hook.Is(sage.HookOrder, action) || !preflight.PostsHere(hook, h.address) {
				continue
			}
			if there { // made twice, by two who did not know of each other; one is enough
				if err := h.remove(ctx, hook); err != nil {
					return err
				}
				continue
			}
			there = true
			_, _ = fmt.Fprintf(h.app.out, "%s %s  unchanged, hook %d\n", sage.HookOrder, action, hook.ID)
		}
		if !there {
			if err := h.create(ctx, action); err != nil {
				return err
			}
		}
	}
	for _, hook := range live { // only now: in between, Sage would tell nobody
		if preflight.PostsOutdated(hook, h.address) {
			if err := h.remove(ctx, hook); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hooks) create(ctx context.Context, action sage.HookAction) error {
	if h.dryRun {
		_, _ = fmt.Fprintf(h.app.out, "%s %s  would be made\n", sage.HookOrder, action)
		return nil
	}
	made, err := h.tenant.Hooks.Create(ctx, sage.NewHook{
		Name: fmt.Sprintf("Tallystick %s %s", sage.HookOrder, action), Entity: sage.HookOrder, Action: action, URL: h.address,
	})
	if err != nil {
		return fmt.Errorf("make the hook for %s %s (`starter hooks list` shows whether it is there all the same): %w", sage.HookOrder, action, err)
	}
	_, _ = fmt.Fprintf(h.app.out, "%s %s  made, hook %d\n", sage.HookOrder, action, made.ID)
	return h.note(ctx, "hooks apply", made.ID)
}

func (h *hooks) remove(ctx context.Context, hook sage.Hook) error {
	if !h.dryRun {
		if err := h.tenant.Hooks.Delete(ctx, hook.ID); err != nil {
			return fmt.Errorf("remove hook %d: %w", hook.ID, err)
		}
		if err := h.note(ctx, "hooks remove", hook.ID); err != nil {
			return err
		}
	}
	_, _ = fmt.Fprintf(h.app.out, "%s %s  %sremoved, hook %d\n", strings.ToLower(string(hook.Entity)), strings.ToLower(string(hook.Action)),
		would(h.dryRun), hook.ID)
	return nil
}

// note puts into the audit trail which hook was made or removed.
func (h *hooks) note(ctx context.Context, action string, id int64) error {
	return h.store.Audit(ctx, store.AuditEntry{At: time.Now().UTC(), Location: h.location, Actor: actor(), Action: action, Object: fmt.Sprint(id)})
}

func hooksRemove(a *app) *cobra.Command {
	var where location
	var dryRun bool
	var chosen int64
	c := &cobra.Command{
		Use: "remove", Short: "Have Sage no longer post to this front door", Args: cobra.NoArgs,
		Long: "Have Sage no longer post to this front door. Hooks of others stay, unless --id names one: that of a former address of\n" +
			"Tallystick, for instance.",
		Example: "  starter hooks remove\n  starter hooks remove --id 17",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withHooks(c.Context(), &where, func(h *hooks) error {
				h.dryRun = dryRun
				if h.address == "" && chosen == 0 {
					return errNoAddress
				}
				return h.removeOurs(c.Context(), chosen)
			})
		},
	}
	where.add(c)
	c.Flags().Int64Var(&chosen, "id", 0, "remove this hook, one of those that starter hooks list shows")
	dryRunFlag(c, &dryRun)
	return c
}

func (h *hooks) removeOurs(ctx context.Context, chosen int64) error {
	live, err := h.tenant.Hooks.Live(ctx)
	if err != nil {
		return err
	}
	removed := 0
	for _, hook := range live {
		ours := preflight.PostsHere(hook, h.address) || preflight.PostsOutdated(hook, h.address)
		if chosen != 0 {
			ours = hook.ID == chosen
		}
		if !ours {
			continue
		}
		if chosen != 0 && !strings.Contains(hook.URL, sagehook.Path) {
			return fmt.Errorf("hook %d is not Tallystick's: remove it in Sage, if it must go", chosen)
		}
		if err := h.remove(ctx, hook); err != nil {
			return err
		}
		removed++
	}
	switch {
	case removed == 0 && chosen != 0:
		return fmt.Errorf("there is no hook %d: `starter hooks list` shows those there are", chosen)
	case removed == 0:
		_, _ = fmt.Fprintln(h.app.out, "no hook posts here")
	}
	return nil
}
