package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitWrong  = 2
)

// usageError is a command used wrongly.
type usageError struct{ words string }

func (e usageError) Error() string { return e.words }

func wrongUse(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// errReported ends a command with code 1 when what is wrong has been shown already.
var errReported = errors.New("something must be mended")

// run carries out a command line and returns its exit code.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	a := &app{out: out, errOut: errOut}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	command, err := root.ExecuteContextC(ctx)
	var wrong usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errReported):
		return exitFailed
	case !a.began, errors.As(err, &wrong):
		// Whatever cobra finds before a command begins is about how it was called.
		_, _ = fmt.Fprintf(errOut, "%s\nrun `%s --help` to see how it is used\n", err, command.CommandPath())
		return exitWrong
	default:
		_, _ = fmt.Fprintln(errOut, "error:", err)
		return exitFailed
	}
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "starter",
		Short: "Bring HighLevel payments into Sage: the front door and the operator's commands",
		Long: "Starter takes in what HighLevel tells of, and lets an operator see and act. Everything is configured by environment\n" +
			"variables; `starter check` says whether they are right.",
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRun:  func(*cobra.Command, []string) { a.began = true },
	}
	root.AddCommand(
		serveCommand(a), checkCommand(a), statusCommand(a), syncCommand(a), replayCommand(a), matchCommand(a),
		backfillCommand(a), diffCommand(a), reportCommand(a),
		sweepCommand(a), fulfillmentCommand(a), hooksCommand(a), schedulesCommand(a), connectCommand(a), plannedCommand(a), keysCommand(a), migrateCommand(a), versionCommand(a), commandsPageCommand(),
	)
	group(root)
	return root
}

// onlyHolds is the annotation of a command that does nothing itself.
const onlyHolds = "only holds others"

// group makes a command that only holds others complain when it is called without one that exists, as cobra does for
// the root only.
func group(c *cobra.Command) *cobra.Command {
	c.Annotations = map[string]string{onlyHolds: ""}
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		var names []string
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		if len(args) > 0 {
			return wrongUse("there is no command %q: use one of %s", args[0], strings.Join(names, ", "))
		}
		return wrongUse("say which: %s", strings.Join(names, ", "))
	}
	return c
}
