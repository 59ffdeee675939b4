package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
)

func connectSet(a *app) *cobra.Command {
	var file, sage string
	var dryRun bool
	c := &cobra.Command{
		Use: "set <location>", Short: "Give a connection settings of its own, or say which Sage tenant its orders go to", Args: cobra.ExactArgs(1),
		Long: "Give a connection settings of its own, or say which Sage tenant its orders go to. The file has lines NAME=value with\n" +
			"the names of docs/configuration.md: GHL_PRIVATE_TOKEN, SAGE_* and how orders are treated. What it leaves out has its\n" +
			"default, not the environment's value. The settings are sealed in the store and act with the next call; delete the\n" +
			"file afterwards.",
		Example: "  starter connect set ve9EPM428h8vShlRW1KT --env-file shop2.env\n  starter connect set ve9EPM428h8vShlRW1KT --sage environment",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkIDs(args...); err != nil {
				return err
			}
			if file == "" && sage == "" {
				return wrongUse("say what to set: --env-file, --sage or both")
			}
			if !slices.Contains([]string{"", store.SageOfEnvironment, store.SageOfItsOwn}, sage) {
				return wrongUse("--sage %s is none of %s, %s", sage, store.SageOfEnvironment, store.SageOfItsOwn)
			}
			var settings *config.Settings
			if file != "" {
				read, err := readSettings(c, file)
				if err != nil {
					return err
				}
				settings = &read
			}
			return a.withInstaller(c.Context(), dryRun, func(i *installer) error { return i.set(c.Context(), args[0], settings, sage, dryRun) })
		},
	}
	c.Flags().StringVar(&file, "env-file", "", "file of settings; - for standard input")
	c.Flags().StringVar(&sage, "sage", "", "environment for the tenant of the SAGE_* variables, own for the one of its own settings")
	dryRunFlag(c, &dryRun)
	return c
}

func (i *installer) set(ctx context.Context, location string, settings *config.Settings, sage string, dryRun bool) error {
	if !dryRun {
		after, err := i.Set(ctx, location, settings, sage)
		if err != nil {
			return err
		}
		i.follow(ctx, after)
		return nil
	}
	if _, err := known(ctx, i.store, location); err != nil {
		return err
	}
	if settings != nil {
		i.wouldSet(location, *settings)
	}
	if sage != "" {
		_, _ = fmt.Fprintf(i.app.out, "%s  orders would go to the Sage tenant: %s\n", location, sage)
	}
	return nil
}

func (i *installer) wouldSet(location string, settings config.Settings) {
	for _, s := range viewSettings(settings) {
		_, _ = fmt.Fprintf(i.app.out, "%s  %s would be %s\n", location, s.Name, s.Value)
	}
}

// viewSettings lists what is set, in the order of the documentation. Tokens and keys show as "set" by their types.
func viewSettings(s config.Settings) []settingView {
	var views []settingView
	for _, group := range reflect.ValueOf(s).Fields() {
		if group = reflect.Indirect(group); !group.IsValid() {
			continue // a group that the environment's values count for
		}
		for field, value := range group.Fields() {
			if field.Tag.Get("own") != "" && !value.IsZero() {
				views = append(views, settingView{field.Tag.Get("envconfig"), fmt.Sprint(value.Interface())})
			}
		}
	}
	return views
}

func connectAdd(a *app) *cobra.Command {
	var file string
	var dryRun bool
	c := &cobra.Command{
		Use: "add <location>", Short: "Connect a location by a private integration token", Args: cobra.ExactArgs(1),
		Long: "Connect a location by a private integration token. The file has lines NAME=value with GHL_PRIVATE_TOKEN, and with the\n" +
			"SAGE_* variables of the tenant that its orders go to, unless that is the environment's. It is found by sweeps.",
		Example: "  starter connect add ve9EPM428h8vShlRW1KT --env-file shop2.env",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkIDs(args...); err != nil {
				return err
			}
			if file == "" {
				return wrongUse("say where the token is: --env-file with a line GHL_PRIVATE_TOKEN=…")
			}
			settings, err := readSettings(c, file)
			if err != nil {
				return err
			}
			if settings.GHL.PrivateToken == "" {
				return errors.New("the file has no GHL_PRIVATE_TOKEN: make one in the location under Settings, Private Integrations")
			}
			return a.withInstaller(c.Context(), dryRun, func(i *installer) error {
				if dryRun {
					i.wouldSet(args[0], settings)
					return nil
				}
				after, err := i.Add(c.Context(), args[0], settings)
				if err != nil {
					return err
				}
				i.follow(c.Context(), after)
				return nil
			})
		},
	}
	c.Flags().StringVar(&file, "env-file", "", "file of settings; - for standard input")
	dryRunFlag(c, &dryRun)
	return c
}

// installedView is a row of `starter connect installed`.
type installedView struct {
	Company  string `json:"company"`
	Location string `json:"location"`
	Name     string `json:"name"`
	// State is that of its connection, empty if there is none.
	State store.ConnectionState `json:"state,omitempty"`
}

func connectInstalled(a *app) *cobra.Command {
	var out format
	var company string
	c := &cobra.Command{
		Use: "installed", Short: "List the locations for which an agency has installed the app", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			return a.withInstaller(c.Context(), true, func(i *installer) error {
				views, err := i.installed(c.Context(), company)
				if err != nil {
					return err
				}
				return out.print(a.out, views, func(w io.Writer) {
					row(w, "LOCATION", "NAME", "AGENCY", "CONNECTION")
					for _, v := range views {
						row(w, v.Location, v.Name, v.Company, v.State)
					}
				})
			})
		},
	}
	c.Flags().StringVar(&company, "company", "", "HighLevel's id of the agency; all agencies if not given")
	out.add(c)
	return c
}

func (i *installer) installed(ctx context.Context, company string) ([]installedView, error) {
	companies := []string{company}
	if company == "" {
		var err error
		if companies, err = i.companies(ctx); err != nil {
			return nil, err
		}
	}
	views := []installedView{}
	for _, company := range companies {
		offered, err := i.Offered(ctx, company)
		if err != nil {
			return nil, err
		}
		for _, o := range offered {
			c, _, err := i.store.Connection(ctx, o.ID)
			if err != nil {
				return nil, err
			}
			views = append(views, installedView{Company: company, Location: o.ID, Name: o.Name, State: c.State})
		}
	}
	return views, nil
}

// companies are the agencies that connected.
func (i *installer) companies(ctx context.Context) ([]string, error) {
	var companies []string
	var page store.Page
	for {
		tokens, next, err := i.store.Tokens(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, t := range tokens {
			if id, ok := strings.CutPrefix(t.Owner, store.TokenOfCompany("")); ok {
				companies = append(companies, id)
			}
		}
		if next == "" {
			break
		}
		page.After = next
	}
	if len(companies) == 0 {
		return nil, errors.New("no agency is connected: open the link of `starter connect` as an agency's admin")
	}
	return companies, nil
}

func connectChoose(a *app) *cobra.Command {
	var company string
	var dryRun bool
	c := &cobra.Command{
		Use: "choose <location>...", Short: "Connect locations of an agency that has installed the app", Args: cobra.MinimumNArgs(1),
		Example: "  starter connect installed\n  starter connect choose ve9EPM428h8vShlRW1KT 3SwdhCu3svxI8AKsPJt6",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkIDs(args...); err != nil {
				return err
			}
			return a.withInstaller(c.Context(), dryRun, func(i *installer) error {
				if company == "" {
					companies, err := i.companies(c.Context())
					if err != nil {
						return err
					}
					if len(companies) > 1 {
						return wrongUse("which agency? give --company with one of %s", strings.Join(companies, ", "))
					}
					company = companies[0]
				}
				if dryRun {
					for _, location := range args {
						_, _ = fmt.Fprintf(a.out, "%s  would be connected\n", location)
					}
					return nil
				}
				chosen, err := i.Choose(c.Context(), company, args)
				i.follow(c.Context(), chosen...)
				return err
			})
		},
	}
	c.Flags().StringVar(&company, "company", "", "HighLevel's id of the agency; the only one that is connected if not given")
	dryRunFlag(c, &dryRun)
	return c
}

func connectRemoveAgency(a *app) *cobra.Command {
	var note string
	var yes, dryRun bool
	c := &cobra.Command{
		Use: "remove-agency <agency>", Short: "End the connections that are reached through an agency, and delete its grant", Args: cobra.ExactArgs(1),
		Long: "End the connections that are reached through an agency, as `starter connect remove` does, and delete the agency's grant.\n" +
			"Locations that were connected by themselves stay. An agency that uninstalls the app is removed without this.",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkIDs(args...); err != nil {
				return err
			}
			if !yes && !dryRun {
				return wrongUse("this deletes the grant of agency %s with the tokens and settings of its locations; say --yes if that is meant, or --dry-run", args[0])
			}
			return a.withInstaller(c.Context(), dryRun, func(i *installer) error {
				if dryRun {
					return i.wouldRemoveAgency(c.Context(), args[0])
				}
				removed, err := i.RemoveAgency(c.Context(), args[0], actor(), note)
				i.follow(c.Context(), removed...)
				return err
			})
		},
	}
	c.Flags().StringVar(&note, "note", "", "why, to be shown wherever the state is")
	c.Flags().BoolVar(&yes, "yes", false, "it is meant")
	dryRunFlag(c, &dryRun)
	return c
}

func (i *installer) wouldRemoveAgency(ctx context.Context, company string) error {
	list, err := listConnections(ctx, i.store, store.ConnectionFilter{Company: company})
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.Access == store.ByAgency && present(c) {
			_, _ = fmt.Fprintf(i.app.out, "%s  is %s, would be leaving\n", c.Location, c.State)
		}
	}
	_, _ = fmt.Fprintf(i.app.out, "the grant of agency %s would be deleted\n", company)
	return nil
}
