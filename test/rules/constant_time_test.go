package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// guessable is what a stranger could find out letter by letter from how long a comparison takes. State and hash are
// names of much else, so they count as whole words only.
var guessable = regexp.MustCompile(`(?i)token|secret|passw|signature|ticket|cookie|nonce|bearer|hmac|digest|privatekey|apikey|credential|authorization|^(state|mac|hash|sum|browser)$`)

// comparers compare letter by letter and stop at the first difference.
var comparers = []string{
	"bytes.Equal", "bytes.EqualFold", "bytes.Compare", "bytes.HasPrefix", "bytes.HasSuffix", "strings.EqualFold", "strings.Compare",
	"strings.HasPrefix", "strings.HasSuffix", "slices.Equal", "slices.Compare", "slices.Contains", "reflect.DeepEqual", "cmp.Compare", "maps.Equal",
}

// comparisonsAllowed names the declarations that may compare something so named, each with the reason why a stranger
// learns nothing from it. An entry that allows nothing any more is a violation too.
var comparisonsAllowed = map[string]string{
	"connections/operate.go Installer.follow":    "states of connections",
	"starter/connect.go viewConnections":         "whose token it is, which is an id",
	"starter/connect.go connectChange":           "states of connections",
	"starter/status.go summary.print":            "states of orders, which are counted",
	"starter/sagehook/handler.go Handler.isNews": "how far the goods of an order are",
	"starter/server/ready.go readiness.tell":     "whether a part is ready",
}

// comparisons finds secrets that are compared in a time that depends on how much of them is right. They are known by
// their names: there is secret.SameToken for them. What is compared with a constant, such as "", gives nothing away.
func comparisons(t *testing.T, repo fs.FS, allowed map[string]string) []string {
	t.Helper()
	var violations []string
	used := map[string]bool{}
	for _, src := range sources(t, repo) {
		if src.isTest() || !slices.Contains([]string{"starter", "connections"}, src.top()) && !strings.HasPrefix(src.name, "internal/secret/") {
			continue
		}
		constants := constantsOf(src.file)
		for _, decl := range src.file.Decls {
			for _, part := range parts(decl) {
				key := src.name + " " + part.name
				ast.Inspect(part.node, func(node ast.Node) bool {
					for _, what := range comparedIn(node, constants) {
						if allowed[key] == "" {
							violations = append(violations, fmt.Sprintf("%s: %s is compared in %q, in a time that tells of it: use "+
								"secret.SameToken; if it is no secret, allow it by name in this test and say why", src.at(node), what, key))
						}
						used[key] = true
					}
					return true
				})
			}
		}
	}
	for key := range allowed {
		if !used[key] {
			violations = append(violations, fmt.Sprintf("%q is allowed to compare secrets and compares none: remove the entry", key))
		}
	}
	return violations
}

// comparedIn names what is guessable and compared by a node itself.
func comparedIn(node ast.Node, constants map[string]bool) []string {
	switch n := node.(type) {
	case *ast.BinaryExpr:
		if n.Op == token.EQL || n.Op == token.NEQ {
			return guessables(constants, n.X, n.Y)
		}
	case *ast.CallExpr:
		if slices.Contains(comparers, types.ExprString(n.Fun)) {
			return guessables(constants, n.Args...)
		}
	case *ast.SwitchStmt:
		if n.Tag == nil {
			return nil
		}
		for _, clause := range n.Body.List {
			for _, value := range clause.(*ast.CaseClause).List {
				if found := guessables(constants, n.Tag, value); len(found) > 0 {
					return found
				}
			}
		}
	case *ast.IndexExpr: // a map finds its key by comparing it
		if name := nameOf(n.Index); guessable.MatchString(name) && !constant(n.Index, constants) {
			return []string{name}
		}
	}
	return nil
}

// guessables are the names of what is guessable of things that are compared with one another, none if one of them is
// known to everybody.
func guessables(constants map[string]bool, compared ...ast.Expr) (found []string) {
	for _, e := range compared {
		if constant(e, constants) {
			return nil
		}
		if name := nameOf(e); guessable.MatchString(name) {
			found = append(found, name)
		}
	}
	return found
}

// constant tells whether an expression is a literal, nil, true or false, a constant of this file, a name of another package
// that is exported (store.Active), or arithmetic of such.
func constant(e ast.Expr, constants map[string]bool) bool {
	switch n := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return n.Name == "nil" || n.Name == "true" || n.Name == "false" || constants[n.Name]
	case *ast.SelectorExpr:
		left, ok := n.X.(*ast.Ident)
		return ok && constants[left.Name+"."] && ast.IsExported(n.Sel.Name)
	case *ast.ParenExpr:
		return constant(n.X, constants)
	case *ast.BinaryExpr:
		return constant(n.X, constants) && constant(n.Y, constants)
	case *ast.CompositeLit:
		return len(n.Elts) == 0
	}
	return false
}

// constantsOf are the names of a file's constants and, with a dot, of the packages that it imports.
func constantsOf(file *ast.File) map[string]bool {
	found := map[string]bool{}
	for _, imported := range file.Imports {
		path := strings.Trim(imported.Path.Value, `"`)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if imported.Name != nil {
			name = imported.Name.Name
		}
		found[name+"."] = true
	}
	for _, decl := range file.Decls {
		if general, ok := decl.(*ast.GenDecl); ok && general.Tok == token.CONST {
			for _, spec := range general.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					found[name.Name] = true
				}
			}
		}
	}
	return found
}

// nameOf is the name by which one would know what an expression is: a variable's, a field's, a function's, or what a
// function that gets things by name is asked for.
func nameOf(e ast.Expr) string {
	switch n := e.(type) {
	case *ast.Ident:
		return n.Name
	case *ast.SelectorExpr:
		return n.Sel.Name
	case *ast.ParenExpr:
		return nameOf(n.X)
	case *ast.StarExpr:
		return nameOf(n.X)
	case *ast.UnaryExpr:
		return nameOf(n.X)
	case *ast.IndexExpr:
		return nameOf(n.X)
	case *ast.SliceExpr:
		return nameOf(n.X)
	case *ast.CallExpr:
		if name := nameOf(n.Fun); slices.Contains([]string{"string", "byte", "Reveal", "String", "Get", "Value", "len", "TrimSpace", "ToLower"}, name) || isSliceType(n.Fun) {
			return nameOfCall(n, name)
		}
		return nameOf(n.Fun)
	}
	return ""
}

func isSliceType(e ast.Expr) bool {
	_, is := e.(*ast.ArrayType)
	return is
}

// nameOfCall is the name of what a conversion converts, a getter is asked for, or a method reveals. Of a length nothing
// is known by which the letters could be guessed.
func nameOfCall(call *ast.CallExpr, name string) string {
	if name == "len" {
		return ""
	}
	if len(call.Args) > 0 {
		if text, ok := call.Args[0].(*ast.BasicLit); ok {
			return strings.Trim(text.Value, "`\"")
		}
		return nameOf(call.Args[0])
	}
	if of, ok := call.Fun.(*ast.SelectorExpr); ok {
		return nameOf(of.X)
	}
	return ""
}

func TestSecretsAreComparedInConstantTime(t *testing.T) {
	obeys(t, comparisons(t, repository(t), comparisonsAllowed))
}

func TestTheRuleOnComparisonsCatches(t *testing.T) {
	const head = "package x\n\nimport (\n\t\"bytes\"\n\t\"strings\"\n\t\"store\"\n)\n\nconst formOfToken = \"x\"\n\n"
	repo := seed(map[string]string{
		"starter/a.go":          head + "func a() bool { return given == adminToken }\n",
		"starter/oauth/b.go":    head + "func (h *handler) b() { if r.URL.Query().Get(\"state\") != s.State { } }\n",
		"starter/webhook/c.go":  head + "func c() bool { return bytes.Equal(mac, want) }\n",
		"connections/d.go":      head + "func d() bool { return strings.EqualFold(cfg.ClientSecret.Reveal(), given) }\n",
		"internal/secret/e.go":  head + "func e() { switch password { case p: } }\n",
		"internal/secret/f.go":  head + "var f = string(signature) == other\n",
		"connections/g.go":      head + "func g() bool { return tickets[ticket] }\n",
		"connections/h.go":      head + "func h() bool { return strings.HasPrefix(r.Header.Get(\"Authorization\"), want) }\n",
		"connections/listed.go": head + "func listed() bool { return k.held.access == row.token }\n",
		"connections/fine.go": head + "func fine() bool { return c.State == store.Active || token == \"\" || nil != secrets || len(token) == 3 || token == formOfToken ||" +
			" bytes.Equal(a, b) || strings.HasPrefix(token, \"pit-\") || kind != other || secret.SameToken(token, wanted) }\n",
		"clients/elsewhere.go":      head + "func tolerated() bool { return token == other }\n",
		"starter/tolerated_test.go": head + "func tolerated() bool { return token == other }\n",
	})
	catches(t, comparisons(t, repo, map[string]string{"connections/listed.go listed": "both are ours", "starter/gone.go gone": "x"}),
		`adminToken is compared in "starter/a.go a"`, `state is compared in "starter/oauth/b.go handler.b"`, `State is compared in "starter/oauth/b.go handler.b"`,
		`mac is compared in "starter/webhook/c.go c"`, `ClientSecret is compared in "connections/d.go d"`, `password is compared in "internal/secret/e.go e"`,
		`signature is compared in "internal/secret/f.go f"`, `ticket is compared in "connections/g.go g"`, `Authorization is compared in "connections/h.go h"`,
		`"starter/gone.go gone" is allowed`)
}
