package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const namesFile = "workflows/names.go"

// namesAllowed are literals that look like one of our names and are something else.
var namesAllowed = map[string]string{
	"internal/store/parked.go PaymentToOrder":             "a kind of parked item as rows hold it; it must outlive a renaming of the workflow",
	"internal/store/parked.go InvoiceToOrder":             "the same",
	"internal/store/parked.go Fulfillment":                "the same",
	"internal/store/parked.go SubscriptionReconciliation": "the same",
	"activities/ledger.go payment-sweep":                  "the key of a cursor as rows hold it; it must outlive a renaming of the id",
}

// temporalCalls are the calls whose string arguments are names that two processes must agree on.
var temporalCalls = []string{
	"QueryWorkflow", "SetQueryHandler", "SetQueryHandlerWithOptions", "SignalWorkflow", "SignalWithStartWorkflow",
	"GetSignalChannel", "GetSignalChannelWithOptions", "SignalExternalWorkflow", "SignalChildWorkflow", "SetUpdateHandler",
	"SetUpdateHandlerWithOptions", "ExecuteWorkflow", "ExecuteChildWorkflow", "NewContinueAsNewError",
	"NewSearchAttributeKeyKeyword", "NewSearchAttributeKeyKeywordList", "NewSearchAttributeKeyString",
	"NewSearchAttributeKeyInt64", "NewSearchAttributeKeyBool", "NewSearchAttributeKeyTime",
}

// temporalFields are the fields of option structs that hold such a name.
var temporalFields = []string{"TaskQueue", "WorkflowID", "QueryType", "SignalName", "UpdateName"}

// distinct tells a name that can mean one thing only, such as payment-to-order, from a plain word, such as status.
var distinct = regexp.MustCompile(`[A-Z-]`)

// names finds names of workflows, queues, signals, queries, search attributes and ids that are written a second time,
// and any that are written where Temporal reads them instead of being taken from names.go.
func names(t *testing.T, repo fs.FS, allowed map[string]string) []string {
	t.Helper()
	var violations []string
	found := map[string][]string{}
	used := map[string]bool{}
	all := sources(t, repo)
	ours := namesOf(t, all)
	for _, src := range all {
		if src.isTest() {
			continue
		}
		ast.Inspect(src.file, func(node ast.Node) bool {
			if src.name != namesFile {
				violations = append(violations, nameAt(src, node)...)
			}
			for name := range literals(node) {
				key := src.name + " " + name
				if allowed[key] != "" {
					used[key] = true
				} else if stem, _, _ := strings.Cut(name, "/"); ours[stem] {
					found[stem] = append(found[stem], src.at(node))
				}
			}
			return true
		})
	}
	for name, places := range found {
		if len(places) > 1 {
			violations = append(violations, fmt.Sprintf("%q is written more than once: %s", name, strings.Join(places, ", ")))
		}
	}
	for key := range allowed {
		if !used[key] {
			violations = append(violations, fmt.Sprintf("%q is allowed and no longer there: remove the entry", key))
		}
	}
	return violations
}

// literals yields the value of a node that is a string literal, struct tags and import paths included: no name of ours
// can be mistaken for one of those.
func literals(node ast.Node) func(func(string) bool) {
	return func(yield func(string) bool) {
		if lit, ok := node.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if value, err := strconv.Unquote(lit.Value); err == nil {
				yield(value)
			}
		}
	}
}

// namesOf reads the distinct names from the constants and variables of names.go.
func namesOf(t *testing.T, all []source) map[string]bool {
	t.Helper()
	ours := map[string]bool{}
	for _, src := range all {
		if src.name != namesFile {
			continue
		}
		for _, decl := range src.file.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok || general.Tok == token.IMPORT {
				continue
			}
			ast.Inspect(general, func(node ast.Node) bool {
				for name := range literals(node) {
					if distinct.MatchString(name) {
						ours[name] = true
					}
				}
				return true
			})
		}
	}
	require.NotEmpty(t, ours, namesFile)
	return ours
}

func nameAt(src source, node ast.Node) []string {
	var suspects []ast.Expr
	where := ""
	switch n := node.(type) {
	case *ast.CallExpr:
		if selector, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains(temporalCalls, selector.Sel.Name) {
			where, suspects = selector.Sel.Name, n.Args
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && slices.Contains(temporalFields, key.Name) {
			where, suspects = key.Name, []ast.Expr{n.Value}
		}
	}
	var violations []string
	for _, suspect := range suspects {
		for name := range literals(suspect) {
			if name != "" { // an empty run id means the newest run
				violations = append(violations, fmt.Sprintf("%s: %q is written out for %s: take it from %s",
					src.at(suspect), name, where, namesFile))
			}
		}
	}
	return violations
}

func TestEveryNameIsWrittenOnce(t *testing.T) {
	obeys(t, names(t, repository(t), namesAllowed))
}

func TestTheNamesRuleCatches(t *testing.T) {
	repo := seed(map[string]string{
		namesFile: "package workflows\n\nconst (\n\tSellType = \"Sell\"\n\tQueue = \"shop-queue\"\n\tLook = \"look\"\n\tprefix = \"sell-it\"\n)\n\n" +
			"var Place = temporal.NewSearchAttributeKeyKeyword(\"ShopPlace\")\n",
		"worker/a.go":      "package main\n\nvar queue = \"shop-queue\"\n",
		"starter/b.go":     "package main\n\nfunc f() { c.SignalWorkflow(ctx, id, \"\", \"look\", nil) }\n",
		"starter/c.go":     "package main\n\nvar id = \"sell-it/\" + \"x\"\n",
		"workflows/d.go":   "package workflows\n\nvar o = Options{TaskQueue: \"other\"}\n\nvar fine = \"look\"\n",
		"sandbox/e.go":     "package main\n\nvar q = \"ShopPlace = 'x'\"\n\nvar p = `ShopPlace`\n",
		"store/f.go":       "package store\n\nconst kind = \"Sell\"\n",
		"worker/a_test.go": "package main\n\nvar tolerated = \"shop-queue\"\n",
	})
	catches(t, names(t, repo, map[string]string{"store/f.go Sell": "a row", "store/f.go gone": "a row"}),
		`"shop-queue" is written more than once: worker/a.go:3:13, workflows/names.go:5:10`,
		`starter/b.go:3:42: "look" is written out for SignalWorkflow`,
		`"sell-it" is written more than once`, `"ShopPlace" is written more than once`,
		`workflows/d.go:3:28: "other" is written out for TaskQueue`, `"store/f.go gone" is allowed`)
}
