package rules

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const assumptionsFile = "docs/assumptions.md"

var (
	assumptionRow = regexp.MustCompile(`^\| (A\d{2,3}) \|`)
	assumptionID  = regexp.MustCompile(`\bA\d{2,3}\b`)
	// citation is a file of ours and the identifiers named directly after it, as "`clients/ghl/wire.go`, `moment`, `text`".
	citation = regexp.MustCompile("`([a-z]+/[A-Za-z0-9_/.-]+\\.go)`((?:, `[A-Za-z][A-Za-z0-9]*`)*)")
	// option names options of the sandboxes.
	option = regexp.MustCompile("options? ((?:`[A-Za-z]+`(?:, )?)+)")
	// guess are the words by which a comment owns up to an assumption about a vendor.
	guess = regexp.MustCompile(`(?i)\binferred\b|\b(not|nowhere) documented\b|\bundocumented\b|\bdocumented nowhere\b|\bassum(ed|es|ption)\b|\bdocuments? (no|none|nothing)\b`)
	// guessers are the folders whose comments speak of vendors.
	guessers = regexp.MustCompile(`^(clients/(ghl|sage)|sandbox/(ghl|sage)|activities|connections|starter)/`)
)

// assumptions finds where the list of assumptions and the code have come apart: a row names what is not there or is not
// named in the code it speaks of, an id is there twice, or a comment owns up to an assumption that has no row.
func assumptions(t *testing.T, repo fs.FS) []string {
	t.Helper()
	var violations []string
	code := commentsOf(t, repo)
	ids := map[string]bool{}
	last := 0
	for i, line := range strings.Split(read(t, repo, assumptionsFile), "\n") {
		found := assumptionRow.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		id := found[1]
		place := fmt.Sprintf("%s:%d: %s", assumptionsFile, i+1, id)
		number, err := strconv.Atoi(id[1:])
		require.NoError(t, err)
		if ids[id] || number <= last {
			violations = append(violations, place+" is there twice, or out of order")
		}
		ids[id], last = true, number
		for _, fault := range rowFaults(t, repo, code, id, line) {
			violations = append(violations, place+" "+fault)
		}
	}
	for name, groups := range code {
		for place, comment := range groups {
			named := assumptionID.FindAllString(comment, -1)
			for _, id := range named {
				if !ids[id] {
					violations = append(violations, fmt.Sprintf("%s: %s is not in %s", place, id, assumptionsFile))
				}
			}
			if len(named) == 0 && guessers.MatchString(name) && guess.MatchString(comment) {
				violations = append(violations, fmt.Sprintf("%s: the comment says %q and names no assumption, such as (A01)",
					place, guess.FindString(comment)))
			}
		}
	}
	return violations
}

// commentsOf gives the comments of the Go files that are no tests, by file and place.
func commentsOf(t *testing.T, repo fs.FS) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for _, src := range sources(t, repo) {
		if src.isTest() {
			continue
		}
		groups := map[string]string{}
		for _, group := range src.file.Comments {
			groups[src.at(group)] = strings.Join(strings.Fields(group.Text()), " ")
		}
		all[src.name] = groups
	}
	return all
}

// rowFaults tells what is wrong with one row.
func rowFaults(t *testing.T, repo fs.FS, code map[string]map[string]string, id, line string) []string {
	t.Helper()
	cells := strings.Split(strings.Trim(line, "| "), " | ")
	if len(cells) != 6 {
		return []string{fmt.Sprintf("has %d cells instead of 6", len(cells))}
	}
	var faults []string
	for i, cell := range cells {
		if strings.TrimSpace(cell) == "" {
			faults = append(faults, fmt.Sprintf("has nothing in cell %d", i+1))
		}
	}
	const does, imitated = 3, 4
	cited := citation.FindAllStringSubmatch(cells[does], -1)
	if len(cited) == 0 {
		faults = append(faults, "names no file of the code that relies on it")
	}
	marked := false
	for _, c := range cited {
		for _, comment := range code[c[1]] {
			marked = marked || slices.Contains(assumptionID.FindAllString(comment, -1), id)
		}
	}
	if len(cited) > 0 && !marked {
		faults = append(faults, "is in no comment of the files it names")
	}
	for _, c := range append(cited, citation.FindAllStringSubmatch(cells[imitated], -1)...) {
		text := read(t, repo, c[1])
		if text == "" {
			faults = append(faults, c[1]+" does not exist")
			continue
		}
		for _, name := range inlineCode.FindAllStringSubmatch(c[2], -1) {
			if !regexp.MustCompile(`\b` + name[1] + `\b`).MatchString(text) {
				faults = append(faults, fmt.Sprintf("%s has no %s", c[1], name[1]))
			}
		}
	}
	return append(faults, missingOptions(t, repo, cells[imitated])...)
}

// missingOptions are the options that a row says the sandboxes have and that they have not.
func missingOptions(t *testing.T, repo fs.FS, cell string) []string {
	t.Helper()
	var faults []string
	for _, names := range option.FindAllStringSubmatch(cell, -1) {
		for _, name := range inlineCode.FindAllStringSubmatch(names[1], -1) {
			field := regexp.MustCompile(`(?m)^\t[A-Za-z, ]*\b` + name[1] + `\b`)
			there := slices.ContainsFunc(files(t, repo), func(file string) bool {
				return (strings.HasPrefix(file, "sandbox/ghl/") || strings.HasPrefix(file, "sandbox/sage/")) &&
					strings.HasSuffix(file, ".go") && field.MatchString(read(t, repo, file))
			})
			if !there {
				faults = append(faults, "names the option "+name[1]+", which no sandbox has")
			}
		}
	}
	return faults
}

func TestAssumptionsAndCodeAgree(t *testing.T) {
	repo := repository(t)
	require.Regexp(t, `(?m)^\| A01 \|`, read(t, repo, assumptionsFile))
	obeys(t, assumptions(t, repo))
}

func TestTheAssumptionRuleCatches(t *testing.T) {
	row := func(id, does, imitated string) string {
		return "| " + id + " | it holds | a page | " + does + " | " + imitated + " | ask |\n"
	}
	repo := seed(map[string]string{
		assumptionsFile: "| id | what | source | does | sandbox | find out |\n| --- | --- | --- | --- | --- | --- |\n" +
			row("A01", "`clients/ghl/a.go`, `good`, `better`: does", "option `Late`") +
			row("A02", "`clients/ghl/a.go`, `gone`", "the same") +
			row("A04", "does it", "the same") +
			row("A03", "`clients/ghl/a.go`, `good`", "the same") +
			row("A05", "`clients/ghl/away.go`", "the same") +
			row("A06", "`clients/ghl/a.go`, `good`", "options `Late`, `Never`") +
			row("A07", "`clients/ghl/a.go`, `good`", "the same") +
			"| A08 | it holds | a page | `clients/ghl/a.go` |\n" +
			row("A09", "`clients/ghl/a.go`", " "),
		"clients/ghl/a.go": "// Package ghl (A02) says (A03).\npackage ghl\n\n// good is undocumented (A01).\nfunc good() {}\n\n" +
			"// better (A06, A99).\nfunc better() {}\n\n// worse is (inferred).\nfunc worse() {} // A09\n",
		"clients/ghl/a_test.go": "package ghl\n\n// This is undocumented, and A98.\nvar _ = 1\n",
		"domain/d.go":           "// Package domain has undocumented parts.\npackage domain\n",
		"sandbox/ghl/s.go":      "package ghl\n\ntype Options struct {\n\t// Late is late.\n\tLate bool\n}\n",
	})
	catches(t, assumptions(t, repo), "A02 clients/ghl/a.go has no gone", "A04 names no file", "A03 is there twice, or out of order",
		"A05 is in no comment", "A05 clients/ghl/away.go does not exist", "A06 names the option Never",
		"A07 is in no comment", "A08 has 4 cells", "A09 has nothing in cell 5", "a.go:7:1: A99 is not in",
		`a.go:10:1: the comment says "inferred"`)
}
