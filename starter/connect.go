package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/oauth"
	"github.com/tallystick/tallystick/workflows"
)

func connectCommand(a *app) *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "connect", Short: "Print the link by which a HighLevel location is connected", Args: cobra.NoArgs,
		Long: "Print the link by which a HighLevel location, or an agency, is connected. Open it in a browser; it is good for 15\n" +
			"minutes, and whoever has it may connect. `starter serve` must run. For an agency the app must ask for oauth.readonly\n" +
			"and oauth.write as well: tick them in the app, and name all its scopes in GHL_SCOPES. Without an app of HighLevel's\n" +
			"marketplace (GHL_CLIENT_ID) locations are connected by a private token: `starter connect add`, or GHL_PRIVATE_TOKEN.",
		RunE: func(*cobra.Command, []string) error {
			if err := out.check(); err != nil {
				return err
			}
			return a.link(out)
		},
	}
	out.add(c)
	c.AddCommand(connectList(a), connectShow(a), connectAdd(a), connectSet(a), connectInstalled(a), connectChoose(a), connectRemoveAgency(a),
		connectChange(a, change{verb: "pause", done: "paused", short: "Stop the work for a location; its orders wait",
			to: []store.ConnectionState{store.Paused}, do: (*connections.Installer).Pause}),
		connectChange(a, change{verb: "resume", done: "resumed", short: "Let a location go on that was paused, or that waits for a person",
			to: []store.ConnectionState{store.Active}, do: (*connections.Installer).Resume}),
		connectChange(a, change{verb: "remove", done: "leaving", short: "End a connection: its schedules are removed, then its tokens and settings",
			to: []store.ConnectionState{store.Leaving, store.Retired}, do: (*connections.Installer).Remove, final: true}))
	return c
}

// linkView is the answer of `starter connect`.
type linkView struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// errNoApp says how an app is made, in the order in which it is done.
var errNoApp = errors.New("there is no app to connect with, GHL_CLIENT_ID is not set; either use `starter connect add` with a private token, or:\n" +
	"  1. make an app at https://marketplace.gohighlevel.com, My Apps: target user sub-account, and tick the scopes that `starter check` names\n" +
	"  2. on its Auth page add the redirect URL <PUBLIC_URL>/oauth/ghl/callback and make a client key; give each webhook event <PUBLIC_URL>/webhooks/ghl/<Event>, and as default <PUBLIC_URL>/webhooks/ghl\n" +
	"  3. set GHL_CLIENT_ID, GHL_CLIENT_SECRET and PUBLIC_URL for worker and starter, restart both, and run this again")

func (a *app) link(out format) error {
	cfg, err := config.Load(config.Command)
	if err != nil {
		return err
	}
	if !cfg.GHL.OAuthEnabled() {
		return errNoApp
	}
	link, expires, err := oauth.Link(cfg, time.Now())
	if err != nil {
		return err
	}
	v := linkView{URL: link, Expires: expires.UTC()}
	return out.print(a.out, v, func(w io.Writer) {
		row(w, v.URL)
		row(w, fmt.Sprintf("\nOpen it in a browser before %s. Whoever has it may connect a location: hand it on with care.", moment(v.Expires)))
	})
}

// connectionView is a connection as it is shown. It holds nothing secret.
type connectionView struct {
	Location string                `json:"location"`
	Name     string                `json:"name,omitempty"`
	Company  string                `json:"company,omitempty"`
	Access   store.Access          `json:"access"`
	State    store.ConnectionState `json:"state"`
	Note     string                `json:"note,omitempty"`
	// Sage is "environment", "own", or empty while nobody has decided.
	Sage        string    `json:"sage"`
	ConnectedAt time.Time `json:"connectedAt"`
	StateAt     time.Time `json:"stateAt"`
	// Settled is false while schedules and the rest have yet to follow the last change.
	Settled bool `json:"settled"`
	// TokenExpires and Scopes are those of a stored access token; absent for a private one.
	TokenExpires time.Time `json:"tokenExpires,omitzero"`
	Scopes       []string  `json:"scopes,omitempty"`
	// Settings are the connection's own, keys and tokens as "set".
	Settings []settingView `json:"settings,omitempty"`
}

type settingView struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func viewConnection(c store.Connection, t store.Token) connectionView {
	return connectionView{
		Location: c.Location, Name: c.Name, Company: c.Company, Access: c.Access, State: c.State, Note: c.Note, Sage: c.Sage,
		ConnectedAt: c.ConnectedAt, StateAt: c.StateAt, Settled: c.Settled >= c.Version, TokenExpires: t.Expires,
		Scopes: strings.Fields(t.Scopes),
	}
}

func connectList(a *app) *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "list", Short: "Show the connected locations, and how each stands", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			return a.withStore(c.Context(), func(_ config.Config, db *store.Store) error {
				views, err := viewConnections(c.Context(), db)
				if err != nil {
					return err
				}
				return out.print(a.out, views, func(w io.Writer) { printConnections(w, views) })
			})
		},
	}
	out.add(c)
	return c
}

func viewConnections(ctx context.Context, db *store.Store) ([]connectionView, error) {
	list, err := listConnections(ctx, db, store.ConnectionFilter{})
	if err != nil {
		return nil, err
	}
	tokens := map[string]store.Token{}
	var page store.Page
	for {
		some, next, err := db.Tokens(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, t := range some {
			tokens[t.Owner] = t
		}
		if next == "" {
			break
		}
		page.After = next
	}
	views := make([]connectionView, len(list))
	for i, c := range list {
		views[i] = viewConnection(c, tokens[store.TokenOfLocation(c.Location)])
	}
	return views, nil
}

func printConnections(w io.Writer, views []connectionView) {
	row(w, "LOCATION", "NAME", "ACCESS", "STATE", "SAGE", "TOKEN UNTIL", "NOTE")
	for _, v := range views {
		sage := v.Sage
		if sage == store.SageUndecided {
			sage = "undecided"
		}
		state := string(v.State)
		if !v.Settled {
			state += ", being carried through"
		}
		row(w, v.Location, v.Name, v.Access, state, sage, moment(v.TokenExpires), v.Note)
	}
	if len(views) == 0 {
		row(w, "none: use `starter connect`, or start worker and starter with GHL_LOCATION_ID")
	}
}

func connectShow(a *app) *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "show <location>", Short: "Show all that is known of a connection", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := errors.Join(out.check(), checkIDs(args...)); err != nil {
				return err
			}
			return a.withBooks(c.Context(), func(cfg config.Config, db *store.Store) error {
				v, err := describeConnection(c.Context(), cfg, db, args[0])
				if err != nil {
					return err
				}
				return out.print(a.out, v, v.print)
			})
		},
	}
	out.add(c)
	return c
}

func describeConnection(ctx context.Context, cfg config.Config, db *store.Store, location string) (connectionView, error) {
	c, err := known(ctx, db, location)
	if err != nil {
		return connectionView{}, err
	}
	t, _, err := db.Token(ctx, store.TokenOfLocation(location))
	if err != nil {
		return connectionView{}, err
	}
	v := viewConnection(c, t)
	own, err := connections.OpenSettings(cfg.Secrets.Keys.Ring, location, c.Settings)
	if err != nil || c.Settings.IsZero() {
		return v, err
	}
	v.Settings = viewSettings(own)
	return v, nil
}

// known is a connection that is or was.
func known(ctx context.Context, db *store.Store, location string) (store.Connection, error) {
	c, found, err := db.Connection(ctx, location)
	if err == nil && !found {
		err = fmt.Errorf("location %s is not connected here: `starter connect list` shows those that are", location)
	}
	return c, err
}

func (v connectionView) print(w io.Writer) {
	row(w, "location", v.Location)
	if v.Name != "" {
		row(w, "name", v.Name)
	}
	if v.Company != "" {
		row(w, "agency", v.Company)
	}
	row(w, "access", v.Access)
	row(w, "state", fmt.Sprintf("%s since %s", v.State, moment(v.StateAt)))
	if v.Note != "" {
		row(w, "because", v.Note)
	}
	if !v.Settled {
		row(w, "", "schedules and the rest have yet to follow the last change")
	}
	row(w, "Sage tenant", map[string]string{
		store.SageUndecided: "undecided: `starter connect set`", store.SageOfEnvironment: "that of the environment", store.SageOfItsOwn: "its own",
	}[v.Sage])
	row(w, "connected", moment(v.ConnectedAt))
	if !v.TokenExpires.IsZero() {
		row(w, "access token until", moment(v.TokenExpires))
		row(w, "scopes", strings.Join(v.Scopes, " "))
	}
	for _, s := range v.Settings {
		row(w, s.Name, s.Value)
	}
}

// change is a command that changes the state of a connection.
type change struct {
	verb, done, short string
	// to are the states in which there is nothing left to do.
	to    []store.ConnectionState
	do    func(i *connections.Installer, ctx context.Context, location, actor, note string) (store.Connection, error)
	final bool
}

func connectChange(a *app, ch change) *cobra.Command {
	var note string
	var yes, dryRun bool
	c := &cobra.Command{
		Use: ch.verb + " <location>", Short: ch.short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkIDs(args...); err != nil {
				return err
			}
			if ch.final && !yes && !dryRun {
				return wrongUse("this deletes the tokens and settings of %s; say --yes if that is meant, or --dry-run", args[0])
			}
			return a.withInstaller(c.Context(), dryRun, func(i *installer) error {
				before, err := known(c.Context(), i.store, args[0])
				if err != nil {
					return err
				}
				if dryRun {
					_, _ = fmt.Fprintf(a.out, "%s  is %s, would be %s\n", args[0], before.State, ch.done)
					return nil
				}
				if slices.Contains(ch.to, before.State) {
					_, _ = fmt.Fprintf(a.out, "%s  is %s already\n", args[0], before.State)
					return nil
				}
				after, err := ch.do(i.Installer, c.Context(), args[0], actor(), note)
				if err != nil {
					return err
				}
				i.follow(c.Context(), after)
				return nil
			})
		},
	}
	c.Flags().StringVar(&note, "note", "", "why, to be shown wherever the state is")
	if ch.final {
		c.Flags().BoolVar(&yes, "yes", false, "it is meant")
	}
	dryRunFlag(c, &dryRun)
	return c
}

// installer changes connections for a command.
type installer struct {
	*connections.Installer
	app    *app
	config config.Config
	store  *store.Store
}

// withInstaller runs a command that changes connections, or would. One that does readies the store first, as the processes
// do at their start: the environment's location is a connection from then on, and what is sealed has a key that is known.
func (a *app) withInstaller(ctx context.Context, dryRun bool, do func(*installer) error) error {
	return a.withBooks(ctx, func(cfg config.Config, db *store.Store) error {
		directory, err := connections.Open(connections.Options{Config: cfg, Store: db, Ring: cfg.Secrets.Keys.Ring})
		if err != nil {
			return err
		}
		defer directory.Close()
		if !dryRun {
			if err := directory.Adopt(ctx); err != nil {
				return err
			}
		}
		changes := connections.NewInstaller(connections.InstallerOptions{
			Config: cfg, Store: db, Ring: cfg.Secrets.Keys.Ring, OAuth: directory.OAuth(), Log: a.quiet(cfg), Actor: actor(),
		})
		defer changes.Close() // before the store: an agency's token may be under renewal, and the old one is spent
		return do(&installer{app: a, config: cfg, store: db, Installer: changes})
	})
}

// followTime is how long a command waits for Temporal to hand a hint over that a watcher would find by itself.
const followTime = 2 * time.Second

// follow says what became of a connection, and has its process carry the change through.
func (i *installer) follow(ctx context.Context, changed ...store.Connection) {
	for _, c := range changed {
		words := string(c.State)
		if c.Note != "" {
			words += ": " + c.Note
		}
		_, _ = fmt.Fprintf(i.app.out, "%s  %s\n", c.Location, words)
	}
	if len(changed) == 0 {
		return
	}
	if err := i.hint(ctx, changed); err != nil {
		_, _ = fmt.Fprintln(i.app.errOut, "the change is made; Temporal cannot be reached now, so schedules follow as soon as a worker reaches it")
	}
}

func (i *installer) hint(ctx context.Context, changed []store.Connection) error {
	ctx, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	temporal, err := cluster.Dial(ctx, cluster.Options{Ring: i.config.Secrets.Keys.Ring})
	if err != nil {
		return err
	}
	defer temporal.Close()
	for _, c := range changed {
		hint := workflows.Hint{Source: workflows.FromOperator, Event: "connect", At: time.Now().UTC()}
		if err := (workflows.Door{Temporal: temporal}).LookAtConnection(ctx, c.Location, hint); err != nil {
			return err
		}
	}
	return nil
}

// readSettings reads a file of settings, or standard input for "-".
func readSettings(c *cobra.Command, name string) (config.Settings, error) {
	if name == "-" {
		return config.LoadSettings(c.InOrStdin())
	}
	file, err := os.Open(name)
	if err != nil {
		return config.Settings{}, err
	}
	settings, err := config.LoadSettings(file)
	return settings, errors.Join(err, file.Close())
}
