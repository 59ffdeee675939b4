package rules

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers says for each part of the repository which of our parts its code may import, itself included. Test files may
// import more: the sandbox's servers are there to be used. What is missing from the table may import what it wants.
var layers = map[string][]string{
	"domain":     {"domain"},
	"clients":    {"domain", "clients"},
	"internal":   {"domain", "internal"},
	"activities": {"domain", "clients", "internal", "activities"},
	"workflows":  {"domain", "clients", "internal", "activities", "workflows"},
	// Connections make clients and their settings out of configuration, for worker and starter.
	"connections": {"domain", "clients", "internal", "activities", "connections"},
	"worker":      {"domain", "clients", "internal", "activities", "workflows", "connections", "worker"},
	"starter":     {"domain", "clients", "internal", "activities", "workflows", "connections", "starter"},
	"sandbox":     {"domain", "clients", "internal", "activities", "workflows", "connections", "worker", "starter", "sandbox"},
}

// foreign says which libraries a part must not know: the domain is pure and the clients are of use without Temporal.
var foreign = map[string][]string{
	"domain":  {"go.temporal.io/", "net/http", "os", "database/sql", "math/rand", "log"},
	"clients": {"go.temporal.io/", "database/sql"},
}

// imports finds the imports that run against the one direction.
func imports(t *testing.T, repo fs.FS) []string {
	t.Helper()
	var violations []string
	for _, src := range sources(t, repo) {
		for _, spec := range src.file.Imports {
			target, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if reason := forbidden(src, target); reason != "" {
				violations = append(violations, fmt.Sprintf("%s: %s imports %s: %s", src.at(spec), src.dir(), target, reason))
			}
		}
	}
	return violations
}

func forbidden(src source, target string) string {
	rest, ours := strings.CutPrefix(target, module+"/")
	below, limited := layers[src.top()]
	switch {
	case src.isTest():
		return ""
	case !ours:
		for _, library := range foreign[src.top()] {
			if target == library || strings.HasPrefix(target, strings.TrimSuffix(library, "/")+"/") {
				return "that does not belong there"
			}
		}
	case strings.HasPrefix(rest, "internal/testkit"):
		if src.top() != "test" && !strings.HasPrefix(src.dir(), "internal/testkit") {
			return "only tests may"
		}
	case limited && !slices.Contains(below, strings.Split(rest, "/")[0]):
		return "imports run one way"
	case strings.HasPrefix(rest, "test/") && src.top() != "test":
		return "nothing imports tests"
	}
	return ""
}

func TestImportsRunOneWay(t *testing.T) {
	obeys(t, imports(t, repository(t)))
}

func TestTheImportRuleCatches(t *testing.T) {
	file := func(pkg string, targets ...string) string {
		text := "package " + pkg + "\n"
		for _, target := range targets {
			text += "\nimport _ \"" + strings.Replace(target, "./", module+"/", 1) + "\"\n"
		}
		return text
	}
	repo := seed(map[string]string{
		"domain/a.go":             file("domain", "./clients/ghl", "os", "go.temporal.io/sdk/workflow", "strings"),
		"clients/ghl/b.go":        file("ghl", "./domain", "./clients/transport", "./internal/store", "go.temporal.io/sdk/activity"),
		"internal/store/c.go":     file("store", "./domain", "./activities", "./internal/testkit"),
		"internal/testkit/p/x.go": file("p", "./internal/testkit"),
		"activities/d.go":         file("activities", "./clients/ghl", "./internal/store", "./workflows"),
		"workflows/e.go":          file("workflows", "./activities", "./starter/webhook"),
		"worker/f.go":             file("main", "./workflows", "./sandbox/ghl"),
		"starter/g.go":            file("main", "./workflows", "./worker/run"),
		"sandbox/h.go":            file("main", "./worker/run", "./starter/webhook", "./test/e2e"),
		"clients/ghl/b_test.go":   file("ghl", "./sandbox/ghl", "./internal/testkit"),
		"test/e2e/i.go":           file("e2e", "./internal/testkit", "./sandbox/ghl"),
		"tools/j.go":              file("main", "./test/e2e"),
	})
	catches(t, imports(t, repo),
		"domain imports "+module+"/clients/ghl", "domain imports os", "domain imports go.temporal.io/sdk/workflow",
		"clients/ghl imports "+module+"/internal/store", "clients/ghl imports go.temporal.io/sdk/activity",
		"internal/store imports "+module+"/activities", "internal/store imports "+module+"/internal/testkit",
		"activities imports "+module+"/workflows", "workflows imports "+module+"/starter/webhook",
		"worker imports "+module+"/sandbox/ghl", "starter imports "+module+"/worker/run",
		"sandbox imports "+module+"/test/e2e", "tools imports "+module+"/test/e2e")
}
