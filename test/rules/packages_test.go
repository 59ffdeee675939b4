package rules

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

// vague are the names that say nothing: what would go there belongs where it is used.
var vague = regexp.MustCompile(`^(util|utils|common|commons|helper|helpers|shared|misc|base|lib|stuff)$`)

// packages finds packages that do not say what they are, by name or by comment.
func packages(t *testing.T, repo fs.FS) []string {
	t.Helper()
	documented := map[string]bool{}
	names := map[string]string{}
	all := sources(t, repo)
	code := map[string]bool{} // folders with more than tests; where there are only tests, one of them bears the comment
	for _, src := range all {
		code[src.dir()] = code[src.dir()] || !src.isTest()
	}
	for _, src := range all {
		name := strings.TrimSuffix(src.file.Name.Name, "_test")
		if _, known := names[src.dir()]; !known || !src.isTest() {
			names[src.dir()] = name
		}
		if doc := src.file.Doc.Text(); (!src.isTest() || !code[src.dir()]) && opens(doc, name) {
			documented[src.dir()] = true
		}
	}
	var violations []string
	for dir, name := range names {
		if !documented[dir] {
			violations = append(violations, fmt.Sprintf("%s has no package comment that begins %q", dir, opening(name)))
		}
		if vague.MatchString(name) || vague.MatchString(path.Base(dir)) {
			violations = append(violations, fmt.Sprintf("%s is called %s: name it after what it does", dir, name))
		}
	}
	return violations
}

func opening(name string) string {
	if name == "main" {
		return "Command"
	}
	return "Package " + name
}

func opens(doc, name string) bool {
	rest, found := strings.CutPrefix(doc, opening(name)+" ")
	return found && len(strings.Fields(rest)) >= 4
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	obeys(t, packages(t, repository(t)))
}

func TestThePackageRuleCatches(t *testing.T) {
	repo := seed(map[string]string{
		"good/doc.go":       "// Package good is good and says why at some length.\npackage good\n",
		"good/more.go":      "package good\n",
		"good/more_test.go": "package good_test\n",
		"cmd/main.go":       "// Command cmd does what its name says it does.\npackage main\n",
		"mute/a.go":         "package mute\n",
		"curt/a.go":         "// Package curt curt.\npackage curt\n",
		"license/a.go":      "// Copyright somebody, all rights reserved, for ever.\npackage license\n",
		"ontests/b.go":      "package ontests\n",
		"e2e/a_test.go":     "// Package e2e is all tests and says so in one of them.\npackage e2e_test\n",
		"ontests/a_test.go": "// Package ontests says it in a test only, where godoc is blind.\npackage ontests\n",
		"tool/main.go":      "package main\n",
		"x/helpers/a.go":    "// Package helpers helps whoever is in need of help.\npackage helpers\n",
		"common/a.go":       "// Package wares hides its folder's bad name from nobody.\npackage wares\n",
	})
	catches(t, packages(t, repo), "mute has no package comment", "curt has no package comment", "license has no package comment",
		"ontests has no package comment", `tool has no package comment that begins "Command"`, "x/helpers is called", "common is called")
}
