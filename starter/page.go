package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commandsPageCommand writes docs/commands.md. It is hidden: go generate calls it.
func commandsPageCommand() *cobra.Command {
	return &cobra.Command{
		Use: "commands-page <file>", Short: "Write the page of all commands", Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			return os.WriteFile(args[0], []byte(commandsPage(c.Root())), 0o644)
		},
	}
}

const pageHead = `<!-- Made by go generate ./starter from the commands themselves. Don't edit. -->
# Commands

Each command exits with 0 when it is done, 1 when something failed, and 2 when it was used wrongly. Commands that read
give JSON with ` + "`-o json`" + `; commands that write say what they would do with ` + "`--dry-run`" + `. What they find goes to standard
output, progress and errors to standard error. All are configured by the variables in [configuration](configuration.md).
`

// commandsPage is the text of docs/commands.md.
func commandsPage(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(pageHead)
	describeCommands(&b, root)
	return b.String()
}

func describeCommands(b *strings.Builder, parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		if _, group := c.Annotations[onlyHolds]; group {
			describeCommands(b, c)
			continue
		}
		fmt.Fprintf(b, "\n## %s\n\n%s.\n\n```\n%s\n```\n", c.CommandPath(), c.Short, c.UseLine())
		if c.Long != "" {
			fmt.Fprintf(b, "\n%s\n", c.Long)
		}
		describeFlags(b, c)
		if c.Example != "" {
			fmt.Fprintf(b, "\n```\n%s\n```\n", unindent(c.Example))
		}
		describeCommands(b, c)
	}
}

func describeFlags(b *strings.Builder, c *cobra.Command) {
	var rows []string
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		fallback := f.DefValue
		if fallback == "false" || fallback == "[]" || fallback == "0" {
			fallback = ""
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s |", name, strings.ReplaceAll(fallback, "`", ""), f.Usage))
	})
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n| flag | default | meaning |\n| --- | --- | --- |\n%s\n", strings.Join(rows, "\n"))
	}
}

func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}
