package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/cluster"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/starter/preflight"
	"github.com/tallystick/tallystick/workflows"
	"github.com/tallystick/tallystick/workflows/schedules"
)

func checkCommand(a *app) *cobra.Command {
	var out format
	var createFields, dryRun bool
	c := &cobra.Command{
		Use: "check", Short: "Look whether everything is set up, and say what to mend", Args: cobra.NoArgs,
		Long: "Look whether everything is set up: configuration, database, keys, Temporal, the HighLevel token with its scopes, the\n" +
			"Sage keys with the tenant's choices for each setting, its currencies and the extra fields on sales orders. Nothing is\n" +
			"written, unless --create-fields asks for the missing extra fields. The exit code is 1 if something must be mended.",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			return a.check(c.Context(), out, createFields, dryRun)
		},
	}
	out.add(c)
	c.Flags().BoolVar(&createFields, "create-fields", false, "make the extra fields that are missing on Sage's sales orders")
	dryRunFlag(c, &dryRun)
	return c
}

func (a *app) check(ctx context.Context, out format, createFields, dryRun bool) error {
	subject := preflight.Subject{CreateFields: createFields, DryRun: dryRun}
	var faults error
	if subject.Config, faults = config.Load(config.Check); faults != nil {
		subject.Faults = faults
	} else {
		directory, err := connections.Open(subject.Config, connections.Watch{})
		if err != nil {
			return err
		}
		if subject.GHL, err = directory.GHL(ctx, subject.Config.GHL.LocationID); err != nil {
			return err
		}
		if subject.Sage, _, err = directory.Sage(ctx, subject.Config.GHL.LocationID); err != nil {
			return err
		}
		subject.Temporal = func(ctx context.Context) []preflight.Finding { return a.checkTemporal(ctx, subject.Config) }
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
	for _, f := range report.Findings {
		row(w, strings.ToUpper(string(f.Verdict)), f.Part, f.Check, f.Found)
		for _, choice := range f.Choices {
			row(w, "", "", "", fmt.Sprintf("  %d  %s", choice.ID, choice.Name))
		}
		if f.Mend != "" && f.Verdict != preflight.OK {
			row(w, "", "", "", "-> "+f.Mend)
		}
	}
	if report.OK {
		row(w, "\nEverything that orders need is there.")
	} else {
		row(w, "\nWhat is marked FAIL must be mended.")
	}
}

const temporalPart = "temporal"

// checkTime is how long Temporal may take to answer.
const checkTime = 5 * time.Second

// checkTemporal looks at the server without changing it.
func (a *app) checkTemporal(ctx context.Context, cfg config.Config) []preflight.Finding {
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
		found = append(found, checkSchedules(ctx, temporal, cfg))
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

func checkSchedules(ctx context.Context, temporal client.Client, cfg config.Config) preflight.Finding {
	f := preflight.Finding{Part: temporalPart, Check: "schedules", Verdict: preflight.OK}
	wanted := schedules.Wanted(cfg.Sync.Interval, cfg.Sync.DeepInterval, cfg.GHL.LocationID)
	states, err := schedules.List(ctx, temporal.ScheduleClient(), wanted)
	if err != nil {
		return fault("schedules", err, "if the keys were changed, put the retired key back behind the current one in SECRET_KEYS")
	}
	for _, state := range states {
		switch {
		case !state.Exists:
			f.Verdict, f.Found = preflight.Warn, "missing: "+state.ID
			f.Mend = "nothing: `starter serve` makes them, or `starter schedules apply` now"
		case state.Paused:
			f.Verdict, f.Found, f.Mend = preflight.Warn, "paused: "+state.ID, "`starter schedules resume`"
		}
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
