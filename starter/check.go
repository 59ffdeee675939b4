package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/starter/preflight"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

func checkCommand(a *app) *cobra.Command {
	var out format
	var ch checking
	c := &cobra.Command{
		Use: "check", Short: "Look whether everything is set up, and say what to mend", Args: cobra.NoArgs,
		Long: "Look whether everything is set up: configuration, texts for teams, database, keys, Temporal, the front door by its public\n" +
			"address, the clocks, and of each connection its state, its HighLevel token with the scopes, the Sage keys with the\n" +
			"tenant's choices for each setting, its currencies, the extra fields on sales orders and the hooks. Nothing is written,\n" +
			"unless --create-fields asks for the missing extra fields, and no token is renewed. The exit code is 1 if something must\n" +
			"be mended.",
		Example: "  starter check\n  starter check --location ve9EPM428h8vShlRW1KT --create-fields",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if ch.location != "" {
				if err := checkIDs(ch.location); err != nil {
					return err
				}
			}
			return a.check(c.Context(), out, ch)
		},
	}
	out.add(c)
	c.Flags().StringVar(&ch.location, "location", "", "look at this connection only; at all of them if not given")
	c.Flags().BoolVar(&ch.createFields, "create-fields", false, "make the extra fields that are missing on Sage's sales orders")
	dryRunFlag(c, &ch.dryRun)
	return c
}

// checking is a command line of `starter check`.
type checking struct {
	location             string
	createFields, dryRun bool
}

func (a *app) check(ctx context.Context, out format, ch checking) (err error) {
	subject := preflight.Subject{CreateFields: ch.createFields, DryRun: ch.dryRun}
	cfg, faults := config.Load(config.Check)
	subject.Config, subject.Faults = cfg, faults
	subject.Database = preflight.OpenDatabase(ctx, cfg.Store.DatabaseURL)
	defer func() { err = errors.Join(err, subject.Database.Close()) }()
	if faults == nil {
		look := looking{config: cfg, store: subject.Database.Store, ring: cfg.Secrets.Keys.Ring}
		if subject.Connections, err = look.connections(ctx, ch.location); err != nil {
			return err
		}
		subject.Temporal = func(ctx context.Context) []preflight.Finding { return a.checkTemporal(ctx, cfg, subject.Connections) }
	}
	p := a.progress("looked at", 0)
	report := subject.Run(ctx, func(f preflight.Finding) { p.say(f.Part + ": " + f.Check) })
	p.end()
	if err := out.print(a.out, report, func(w io.Writer) { printReport(w, report) }); err != nil {
		return err
	}
	if !report.OK {
		return errReported
	}
	return nil
}

func printReport(w io.Writer, report preflight.Report) {
	locations := map[string]bool{}
	for _, f := range report.Findings {
		locations[f.Location] = true
	}
	for _, f := range report.Findings {
		part := f.Part
		if f.Location != "" && len(locations) > 2 { // one of them is none
			part += " " + f.Location
		}
		row(w, strings.ToUpper(string(f.Verdict)), part, f.Check, f.Found)
		for _, choice := range f.Choices {
			row(w, "", "", "", fmt.Sprintf("  %d  %s", choice.ID, choice.Name))
		}
		if f.Mend != "" && f.Verdict != preflight.OK {
			row(w, "", "", "", "-> "+f.Mend)
		}
	}
	warned := slices.ContainsFunc(report.Findings, func(f preflight.Finding) bool { return f.Verdict == preflight.Warn })
	switch {
	case !report.OK:
		row(w, "\nWhat is marked FAIL must be mended.")
	case warned:
		row(w, "\nNothing must be mended; what is marked WARN may be meant so, or not.")
	default:
		row(w, "\nEverything that orders need is there.")
	}
}

const temporalPart = "temporal"

// checkTime is how long Temporal may take to answer.
const checkTime = 5 * time.Second

// checkTemporal looks at the server without changing it.
func (a *app) checkTemporal(ctx context.Context, cfg config.Config, list []preflight.Connection) []preflight.Finding {
	options := cluster.Options{Ring: cfg.Secrets.Keys.Ring}
	if options.Ring == nil { // nothing is sealed or opened here but the schedules, which are then left out
		ring, err := secret.GenerateRing()
		if err != nil {
			return []preflight.Finding{fault("connection", err, "")}
		}
		options.Ring = ring
	}
	target, err := options.Target()
	if err != nil {
		return []preflight.Finding{fault("connection", err, "check the TEMPORAL_* variables and the profile file")}
	}
	dialling, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	temporal, err := cluster.Dial(dialling, options)
	if err != nil {
		return []preflight.Finding{fault("connection", err, "set TEMPORAL_ADDRESS to a Temporal server that runs")}
	}
	defer temporal.Close()
	if err := cluster.CheckNamespace(ctx, temporal, target.Namespace); err != nil {
		return []preflight.Finding{fault("namespace", err, "create the namespace, or set TEMPORAL_NAMESPACE")}
	}
	found := []preflight.Finding{
		{Part: temporalPart, Check: "namespace", Verdict: preflight.OK, Found: target.Namespace + " at " + target.Address},
		checkAttributes(ctx, temporal, target.Namespace),
	}
	if cfg.Secrets.Keys.Ring != nil {
		found = append(found, checkSchedules(ctx, temporal, cfg, list))
	}
	return append(found, checkWorkers(ctx, temporal))
}

func fault(check string, err error, mend string) preflight.Finding {
	return preflight.Finding{Part: temporalPart, Check: check, Verdict: preflight.Fail, Found: err.Error(), Mend: mend}
}

func checkAttributes(ctx context.Context, temporal client.Client, namespace string) preflight.Finding {
	f := preflight.Finding{Part: temporalPart, Check: "search attributes", Verdict: preflight.OK}
	listed, err := temporal.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		f.Verdict, f.Found = preflight.Warn, "they cannot be listed here: "+err.Error()
		f.Mend = "make sure where the namespace is administered that these exist: " + strings.Join(sortedKeys(workflows.SearchAttributes()), ", ")
		return f
	}
	var missing []string
	for _, name := range sortedKeys(workflows.SearchAttributes()) {
		want := workflows.SearchAttributes()[name]
		switch have, exists := listed.GetCustomAttributes()[name]; {
		case !exists:
			missing = append(missing, name)
		case have != want:
			return fault("search attributes", fmt.Errorf("%s is of type %s and must be %s", name, have, want),
				"use another namespace, or remove it there")
		}
	}
	if len(missing) > 0 {
		f.Verdict, f.Found = preflight.Warn, "missing: "+strings.Join(missing, ", ")
		f.Mend = "nothing: `starter serve` makes them, or `starter schedules apply` now"
	}
	return f
}

// checkSchedules looks at the schedules of the connections that work now.
func checkSchedules(ctx context.Context, temporal client.Client, cfg config.Config, list []preflight.Connection) preflight.Finding {
	f := preflight.Finding{Part: temporalPart, Check: "schedules", Verdict: preflight.OK}
	var locations []string
	for _, c := range list {
		if c.State == store.Active {
			locations = append(locations, c.Location)
		}
	}
	states, err := schedules.List(ctx, temporal.ScheduleClient(), schedules.Wanted(intervals(cfg), locations...))
	if err != nil {
		return fault("schedules", err, "if the keys were changed, put the retired key back behind the current one in SECRET_KEYS")
	}
	var missing, paused []string
	for _, state := range states {
		switch {
		case state.Off() && !state.Exists:
		case !state.Exists:
			missing = append(missing, state.ID)
		case state.Paused:
			paused = append(paused, state.ID)
		}
	}
	switch {
	case len(paused) > 0:
		f.Verdict, f.Found, f.Mend = preflight.Warn, "paused: "+strings.Join(paused, ", "), "`starter schedules resume`"
	case len(missing) > 0:
		f.Verdict, f.Found = preflight.Warn, "missing: "+strings.Join(missing, ", ")
		f.Mend = "nothing: `starter serve` makes them, or `starter schedules apply` now"
	}
	return f
}

// checkWorkers looks whether somebody takes work. An empty queue waits, so this is never more than a warning.
func checkWorkers(ctx context.Context, temporal client.Client) preflight.Finding {
	f := preflight.Finding{Part: temporalPart, Check: "workers", Verdict: preflight.OK}
	queue, err := temporal.DescribeTaskQueue(ctx, workflows.MainQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	switch {
	case errors.Is(ctx.Err(), context.Canceled), err != nil:
		f.Verdict, f.Found, f.Mend = preflight.Warn, "whether a worker runs cannot be told", "see that the worker's log says that it takes work"
	case len(queue.GetPollers()) == 0:
		f.Verdict, f.Found, f.Mend = preflight.Warn, "no worker takes work", "start one; what comes in until then waits"
	}
	return f
}
