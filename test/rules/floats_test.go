package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"slices"
	"testing"
)

// floatsAllowed names the declarations that may use floats, each with the reason why no money is in sight.
// An entry that allows nothing any more is a violation too.
var floatsAllowed = map[string]string{
	"clients/ghl/wire.go moment.UnmarshalJSON": "whole milliseconds, written 1e12",
	"clients/sage/client.go Options":           "requests per second",
	"clients/sage/client.go NewLimiter":        "requests per second",
	"clients/transport/slots.go SlotsConfig":   "requests per second",
	"clients/transport/slots.go NewSlots":      "requests per second",
	"clients/transport/metrics.go NewMetrics":  "bounds of histograms, in seconds",
}

// floatCalls are the ways into floats that do not name the type.
var floatCalls = []string{"ParseFloat", "FormatFloat", "AppendFloat", "Float64", "Float32", "NewFromFloat64", "NewFromFloat", "SetFloat64"}

// floats finds every float in the packages through which money passes: the types, the literals, and the calls that make
// one. Numbers of money are domain.Money and domain.Number.
func floats(t *testing.T, repo fs.FS, allowed map[string]string) []string {
	t.Helper()
	var violations []string
	used := map[string]bool{}
	for _, src := range sources(t, repo) {
		if src.isTest() || !slices.Contains([]string{"domain", "clients", "activities", "workflows"}, src.top()) {
			continue
		}
		for _, decl := range src.file.Decls {
			for _, part := range parts(decl) {
				key := src.name + " " + part.name
				ast.Inspect(part.node, func(node ast.Node) bool {
					what := floatIn(node)
					if what == "" {
						return true
					}
					if allowed[key] == "" && !used[key] {
						violations = append(violations, fmt.Sprintf("%s: %s in %q: money is no float; if this is none, "+
							"allow it by name in this test and say why", src.at(node), what, key))
					}
					used[key] = true
					return true
				})
			}
		}
	}
	for key := range allowed {
		if !used[key] {
			violations = append(violations, fmt.Sprintf("%q is allowed to use floats and uses none: remove the entry", key))
		}
	}
	return violations
}

func floatIn(node ast.Node) string {
	switch n := node.(type) {
	case *ast.Ident:
		if slices.Contains([]string{"float32", "float64", "complex64", "complex128"}, n.Name) || slices.Contains(floatCalls, n.Name) {
			return n.Name
		}
	case *ast.BasicLit:
		if n.Kind == token.FLOAT || n.Kind == token.IMAG {
			return n.Value
		}
	}
	return ""
}

type part struct {
	name string
	node ast.Node
}

// parts are the functions, types, variables and constants that a declaration declares.
func parts(decl ast.Decl) []part {
	if function, ok := decl.(*ast.FuncDecl); ok {
		return []part{{receiver(function) + function.Name.Name, function}}
	}
	var found []part
	for _, spec := range decl.(*ast.GenDecl).Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			found = append(found, part{s.Name.Name, s})
		case *ast.ValueSpec:
			found = append(found, part{s.Names[0].Name, s})
		}
	}
	return found
}

func receiver(function *ast.FuncDecl) string {
	if function.Recv == nil || len(function.Recv.List) == 0 {
		return ""
	}
	kind := function.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	if named, ok := kind.(*ast.Ident); ok {
		return named.Name + "."
	}
	return ""
}

func TestNoFloatTouchesMoney(t *testing.T) {
	obeys(t, floats(t, repository(t), floatsAllowed))
}

func TestTheFloatRuleCatches(t *testing.T) {
	repo := seed(map[string]string{
		"domain/a.go":      "package domain\n\ntype Money struct{ Amount float64 }\n",
		"clients/x/b.go":   "package x\n\nimport \"strconv\"\n\nvar n, _ = strconv.ParseFloat(\"1\", 64)\n",
		"activities/c.go":  "package activities\n\nfunc (r *row) cents() { r.n.Float64() }\n",
		"workflows/d.go":   "package workflows\n\nconst fee = 2.5\n\nvar ok = 3\n",
		"clients/rate.go":  "package clients\n\nfunc rate(perSecond float32) {}\n",
		"domain/a_test.go": "package domain\n\nvar tolerated float64\n",
		"worker/e.go":      "package main\n\nvar tolerated float64\n",
	})
	catches(t, floats(t, repo, map[string]string{"clients/rate.go rate": "a rate", "clients/rate.go gone": "a rate"}),
		`float64 in "domain/a.go Money"`, `ParseFloat in "clients/x/b.go n"`, `Float64 in "activities/c.go row.cents"`,
		`2.5 in "workflows/d.go fee"`, `"clients/rate.go gone" is allowed`)
}
