package rules

import (
	"fmt"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// documents lists what people read first and believe: a path or command in it must exist. A document that nobody has
// written yet promises nothing.
func documents(t *testing.T, repo fs.FS) []string {
	t.Helper()
	found, err := fs.Glob(repo, "docs/*.md")
	require.NoError(t, err)
	for _, name := range []string{"README.md", "CONTRIBUTING.md"} {
		if _, err := fs.Stat(repo, name); err == nil {
			found = append(found, name)
		}
	}
	return found
}

// snippet is a piece of code in a document: a fenced block, or the text between two backticks.
type snippet struct {
	line     int
	language string // of a block; empty for inline code and for a block that names none
	block    bool
	text     string
}

var (
	inlineCode  = regexp.MustCompile("`([^`]+)`")
	link        = regexp.MustCompile(`\]\(([^)\s]+)[^)]*\)`)
	makeCommand = regexp.MustCompile(`(?:^|[\n;&|(]\s*|\s&&\s|\$ )make((?:[ \t]+[A-Za-z0-9_./=-]+)*)`)
	goCommand   = regexp.MustCompile(`\bgo (run|test|build|install|generate)((?:[ \t]+[^\s;&|)#]+)*)`)
	starterCall = regexp.MustCompile(`(?:go run \./starter|(?:^|[\n$;&|]\s*)(?:\./)?(?:bin/)?starter) ([a-z][a-z-]*)`)
	pathWord    = regexp.MustCompile(`^(?:\./)?[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.*-]+)*/?$`)
	fileName    = regexp.MustCompile(`^(?:[A-Za-z0-9_*-]+\.(?:go|md|ya?ml|toml|mod|sum|sh)|Makefile|Dockerfile|LICENSE|NOTICE)$`)
	target      = regexp.MustCompile(`(?m)^([A-Za-z0-9_./ -]+?)\s*::?(?:[^=]|$)`)
)

// snippets takes a document apart. Diagrams are left out: their slashes and words are not ours.
func snippets(text string) []snippet {
	var found []snippet
	var open *snippet
	for i, line := range strings.Split(text, "\n") {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &snippet{line: i + 1, block: true, language: strings.TrimLeft(strings.TrimSpace(line), "`")}
		case fence:
			if open.language != "mermaid" {
				found = append(found, *open)
			}
			open = nil
		case open != nil:
			open.text += line + "\n"
		default:
			for _, code := range inlineCode.FindAllStringSubmatch(line, -1) {
				found = append(found, snippet{line: i + 1, text: code[1]})
			}
		}
	}
	return found
}

// promises finds what the documents name and the repository has not: make targets, packages of go commands, files and
// folders, links. Commands of the starter are for TestTheStarterKnowsItsDocumentedCommands.
func promises(t *testing.T, repo fs.FS) []string {
	t.Helper()
	var violations []string
	has := newInventory(t, repo)
	for _, document := range documents(t, repo) {
		text := read(t, repo, document)
		missing := func(line int, format string, args ...any) {
			violations = append(violations, fmt.Sprintf("%s:%d: ", document, line)+fmt.Sprintf(format, args...))
		}
		for i, line := range strings.Split(text, "\n") {
			for _, match := range link.FindAllStringSubmatch(line, -1) {
				if to := has.brokenLink(document, match[1]); to != "" {
					missing(i+1, "the link leads to %s, which does not exist", to)
				}
			}
		}
		for _, code := range snippets(text) {
			for _, name := range targetsIn(code.text) {
				if !has.targets[name] {
					missing(code.line, "make %s: no such target", name)
				}
			}
			for _, dir := range packagesIn(code.text) {
				if fault := has.badPackage(dir); fault != "" {
					missing(code.line, "the go command names ./%s: %s", dir, fault)
				}
			}
			for _, word := range wordsOf(code) {
				if has.missingPath(word) {
					missing(code.line, "%s does not exist", word)
				}
			}
		}
	}
	return violations
}

// inventory is what there is to be named.
type inventory struct {
	files, folders, bases, targets, goFolders map[string]bool
	modules                                   []string
}

func newInventory(t *testing.T, repo fs.FS) inventory {
	t.Helper()
	has := inventory{
		files: map[string]bool{}, folders: map[string]bool{".": true}, bases: map[string]bool{},
		targets: map[string]bool{}, goFolders: map[string]bool{},
	}
	for _, name := range files(t, repo) {
		has.files[name], has.bases[path.Base(name)] = true, true
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			has.folders[dir], has.bases[path.Base(dir)] = true, true
		}
		if path.Ext(name) == ".go" {
			has.goFolders[path.Dir(name)] = true
		}
		if path.Base(name) == "go.mod" && name != "go.mod" {
			has.modules = append(has.modules, path.Dir(name))
		}
	}
	for _, match := range target.FindAllStringSubmatch(read(t, repo, "Makefile"), -1) {
		for _, name := range strings.Fields(match[1]) {
			has.targets[name] = true
		}
	}
	return has
}

func (has inventory) brokenLink(document, to string) string {
	to, _, _ = strings.Cut(to, "#")
	if to == "" || strings.Contains(to, ":") { // an anchor of the same page; https:, mailto:
		return ""
	}
	place := path.Join(path.Dir(document), to)
	if strings.HasPrefix(to, "/") {
		place = strings.TrimPrefix(to, "/")
	}
	if has.files[place] || has.folders[path.Clean(place)] {
		return ""
	}
	return place
}

func targetsIn(code string) []string {
	var found []string
	for _, match := range makeCommand.FindAllStringSubmatch(code, -1) {
		for _, word := range strings.Fields(match[1]) {
			if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") {
				found = append(found, word)
			}
		}
	}
	return found
}

// packagesIn yields the folders of the packages that go commands name, from the root; "sandbox/..." with its dots.
func packagesIn(code string) []string {
	var found []string
	for _, match := range goCommand.FindAllStringSubmatch(code, -1) {
		for _, word := range strings.Fields(match[2]) {
			if rest, local := strings.CutPrefix(word, "./"); local {
				found = append(found, strings.TrimSuffix(rest, "/"))
				if match[1] == "run" {
					break // what follows is the program's
				}
			}
		}
	}
	return found
}

func (has inventory) badPackage(dir string) string {
	if dir == "..." {
		return ""
	}
	stem, all := strings.CutSuffix(dir, "/...")
	for _, nested := range has.modules {
		if stem == nested || strings.HasPrefix(stem, nested+"/") {
			return "it lies in a module of its own, where this command does not reach"
		}
	}
	if (all && has.folders[stem]) || has.goFolders[stem] {
		return ""
	}
	return "there is no such package"
}

// wordsOf yields the words of a snippet that may be paths. Inline code of several words is a command or a phrase.
func wordsOf(code snippet) []string {
	if !code.block && strings.ContainsAny(code.text, " \t") && !strings.Contains(code.text, "./") {
		return nil
	}
	if code.block && slices.Contains([]string{"json", "go", "sql"}, code.language) {
		return nil
	}
	return strings.Fields(code.text)
}

// missingPath tells whether a word names a path of ours that does not exist. A word is a path of ours when it begins with
// one of our folders and goes on, or has the form of a file's name. What a program makes is no promise of the repository.
func (has inventory) missingPath(word string) bool {
	word = strings.Trim(word, `"'(),:;`)
	if !pathWord.MatchString(word) || strings.Contains(word, "...") {
		return false
	}
	word = strings.TrimPrefix(word, "./")
	first, rest, deeper := strings.Cut(word, "/")
	switch {
	case first == ".state" || first == "bin":
		return false
	case !deeper:
		return fileName.MatchString(word) && !has.matches(has.bases, word)
	case rest == "":
		return has.looksLikeOurs(first) && !has.folders[first]
	}
	clean := strings.TrimSuffix(word, "/")
	return has.looksLikeOurs(first) && !has.matches(has.files, clean) && !has.matches(has.folders, clean)
}

// looksLikeOurs knows the folders of the design too, so that a path into a folder that went missing is still found.
func (has inventory) looksLikeOurs(first string) bool {
	fixed := []string{"workflows", "activities", "worker", "starter", "clients", "domain", "sandbox", "test", "docs", "tools"}
	return has.folders[first] || slices.Contains(fixed, first)
}

func (has inventory) matches(names map[string]bool, pattern string) bool {
	if !strings.Contains(pattern, "*") {
		return names[pattern]
	}
	for name := range names {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			return true
		}
	}
	return false
}

func TestDocumentsNameWhatExists(t *testing.T) {
	obeys(t, promises(t, repository(t)))
}

func TestTheDocumentRuleCatches(t *testing.T) {
	repo := seed(map[string]string{
		"Makefile":             "X := 1\n.PHONY: test\ntest lint: deps\n\tgo test\nbench:\n",
		"domain/a.go":          "package domain\n",
		"sandbox/main.go":      "package main\n",
		"sandbox/own/go.mod":   "module own\n",
		"sandbox/own/main.go":  "package main\n",
		"workflows/names.go":   "package workflows\n",
		"workflows/td/x.jsonl": "{}\n",
		"docs/good.md": "Run `make test`, `make -s lint V=1`, make sure of `domain/a.go`, `names.go`, `docs/*.md`, `./sandbox`, `workflows/td/`.\n" +
			"See [there](../README.md#top), [here](good.md), [web](https://example.com/domain/x.go), [top](#top).\n" +
			"`GET /domain/x`, `application/json`, `.state/log.md`, `payment/<id>`, `go.temporal.io/sdk`, `go test ./...`.\n" +
			"```sh\nmake bench && go run ./sandbox --once ./gone\ngo test -run X ./domain/... ./sandbox/...\n```\n" +
			"```mermaid\ndomain/gone.go --> make gone\n```\n",
		"README.md": "`make gone` and\n`go run ./gone` and\n`domain/gone.go`\n`gone.go`\n[x](docs/gone.md)\n`clients/ghl`\n`go run ./sandbox/own`\n" +
			"```sh\n$ make deploy\ngo test ./absent/...\ncat docs/absent.yaml\n```\n`starter/`\n`docs/gone*.md`\n",
	})
	catches(t, promises(t, repo), "README.md:1: make gone", "README.md:2: the go command names ./gone", "README.md:3: domain/gone.go does",
		"README.md:4: gone.go does", "README.md:5: the link leads to docs/gone.md", "README.md:6: clients/ghl does",
		"README.md:7: the go command names ./sandbox/own: it lies in a module", "README.md:8: make deploy",
		"README.md:8: the go command names ./absent/...", "README.md:8: docs/absent.yaml does", "README.md:13: starter/ does",
		"README.md:14: docs/gone*.md does")
}

// starterCommands yields the first words after the starter in documents, with a place for each.
func starterCommands(t *testing.T, repo fs.FS) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, document := range documents(t, repo) {
		for _, code := range snippets(read(t, repo, document)) {
			for _, match := range starterCall.FindAllStringSubmatch(code.text, -1) {
				found[match[1]] = fmt.Sprintf("%s:%d", document, code.line)
			}
		}
	}
	return found
}

func TestTheStarterKnowsItsDocumentedCommands(t *testing.T) {
	commands := starterCommands(t, repository(t))
	if len(commands) == 0 {
		t.Skip("no document names a command of the starter")
	}
	binary := filepath.Join(t.TempDir(), "starter")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./starter")
	build.Dir = root(t)
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.True(t, unknownTopic(t, binary, "no-such-command"), "the starter should say so when it does not know a command")
	for name, place := range commands {
		if unknownTopic(t, binary, name) {
			t.Errorf("%s: the starter has no command %q", place, name)
		}
	}
}

// unknownTopic tells whether the program lacks a command: then it shows its own help instead of the command's, which
// names it in the line on usage.
func unknownTopic(t *testing.T, binary, command string) bool {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), binary, "help", command).CombinedOutput()
	return err != nil || !strings.Contains(string(output), "starter "+command)
}
