package rules

import (
	"fmt"
	"go/ast"
	"go/types"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// oldTLS are the versions below 1.2, by name, and what no longer keeps anything from anybody.
var oldTLS = regexp.MustCompile(`^tls\.(VersionSSL30|VersionTLS10|VersionTLS11|InsecureCipherSuites|TLS_RSA_\w+|TLS_\w*RC4\w*|TLS_\w*3DES\w*)$`)

// goodTLS is what MinVersion may be set to.
var goodTLS = []string{"tls.VersionTLS12", "tls.VersionTLS13"}

// encryption finds settings that make a connection less than what Go has by default: certificates checked, TLS 1.2 or
// later. There is no exception, nor a setting by which somebody could make one.
func encryption(t *testing.T, repo fs.FS) []string {
	t.Helper()
	var violations []string
	for _, src := range sources(t, repo) {
		if src.isTest() {
			continue
		}
		ast.Inspect(src.file, func(node ast.Node) bool {
			if what := weakens(node); what != "" {
				violations = append(violations, fmt.Sprintf("%s: %s", src.at(node), what))
			}
			return true
		})
	}
	return violations
}

func weakens(node ast.Node) string {
	switch n := node.(type) {
	case *ast.SelectorExpr:
		if name := types.ExprString(n); oldTLS.MatchString(name) {
			return name + " protects nothing"
		}
	case *ast.KeyValueExpr:
		if name, ok := n.Key.(*ast.Ident); ok {
			return weakSetting(name.Name, n.Value)
		}
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			field, ok := left.(*ast.SelectorExpr)
			if !ok || len(n.Rhs) != len(n.Lhs) {
				continue
			}
			if what := weakSetting(field.Sel.Name, n.Rhs[i]); what != "" {
				return what
			}
		}
	}
	return ""
}

func weakSetting(name string, value ast.Expr) string {
	written := types.ExprString(value)
	switch {
	case name == "InsecureSkipVerify" && written != "false":
		return "InsecureSkipVerify lets anybody answer"
	case name == "MinVersion" && !slices.Contains(goodTLS, written):
		return "MinVersion is " + written + ", which is not known to be TLS 1.2 or later"
	}
	return ""
}

// clientsAllowed names the declarations that make an HTTP client or a transport of their own, each with the reason why
// the guard of transport.NewPool need not stand, or how it does. An entry that allows nothing any more is a violation too.
var clientsAllowed = map[string]string{
	"clients/transport/pool.go NewPool":           "it is the guard",
	"clients/transport/client.go Client.newResty": "over NewPool, unless a test gives another",
	"clients/ghl/oauth.go OAuth.redeem":           "over a transport.Client",
	"internal/notify/notify.go New":               "over the round tripper that it is given, which is NewPool",
	"starter/preflight/preflight.go asker":        "over NewPool",
	"deploy/healthcheck/main.go probe":            "asks this machine",
}

// clients finds ways out of a process that lead around the guard of dialled addresses.
func clients(t *testing.T, repo fs.FS, allowed map[string]string) []string {
	t.Helper()
	var violations []string
	used := map[string]bool{}
	for _, src := range sources(t, repo) {
		if src.isTest() || slices.Contains([]string{"test", "sandbox", "tools"}, src.top()) || strings.HasPrefix(src.name, "internal/testkit/") {
			continue
		}
		for _, decl := range src.file.Decls {
			for _, part := range parts(decl) {
				key := src.name + " " + part.name
				ast.Inspect(part.node, func(node ast.Node) bool {
					what := wayOut(node)
					if what == "" {
						return true
					}
					if allowed[key] == "" {
						violations = append(violations, fmt.Sprintf("%s: %s in %q leads around the guard of addresses: use transport.NewPool; "+
							"if it needs none, allow it by name in this test and say why", src.at(node), what, key))
					}
					used[key] = true
					return true
				})
			}
		}
	}
	for key := range allowed {
		if !used[key] {
			violations = append(violations, fmt.Sprintf("%q is allowed a way out of its own and has none: remove the entry", key))
		}
	}
	return violations
}

// waysOut are what a declaration makes a client of its own by.
var waysOut = []string{
	"http.Client", "http.Transport", "http.DefaultClient", "http.DefaultTransport", "http.Get", "http.Head", "http.Post", "http.PostForm",
	"net.Dial", "net.DialTimeout", "tls.Dial", "tls.Dialer", "net.Dialer", "resty.New", "smtp.SendMail",
}

func wayOut(node ast.Node) string {
	switch n := node.(type) {
	case *ast.StarExpr: // a type, of which none is made here
		return ""
	case *ast.CompositeLit:
		if n.Type != nil && slices.Contains(waysOut, types.ExprString(n.Type)) {
			return types.ExprString(n.Type)
		}
	case *ast.CallExpr:
		if name := types.ExprString(n.Fun); slices.Contains(waysOut, name) {
			return name
		}
	case *ast.SelectorExpr:
		if name := types.ExprString(n); name == "http.DefaultClient" || name == "http.DefaultTransport" {
			return name
		}
	}
	return ""
}

func TestNoConnectionIsWeakened(t *testing.T) { obeys(t, encryption(t, repository(t))) }

func TestTheRuleOnEncryptionCatches(t *testing.T) {
	repo := seed(map[string]string{
		"a/a.go":      "package a\n\nvar c = &tls.Config{InsecureSkipVerify: true}\n",
		"a/b.go":      "package a\n\nfunc f() { c.InsecureSkipVerify = lax }\n",
		"b/c.go":      "package b\n\nvar c = tls.Config{MinVersion: tls.VersionTLS11}\n",
		"b/d.go":      "package b\n\nfunc f() { c.MinVersion = 0x301 }\n",
		"b/e.go":      "package b\n\nvar c = tls.Config{CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}}\n",
		"b/fine.go":   "package b\n\nvar c = tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: false}\n",
		"b/c_test.go": "package b\n\nvar c = tls.Config{MinVersion: tls.VersionTLS10, InsecureSkipVerify: true}\n",
	})
	catches(t, encryption(t, repo), "a/a.go:3:21: InsecureSkipVerify", "a/b.go:3:12: InsecureSkipVerify", "MinVersion is tls.VersionTLS11",
		": tls.VersionTLS11 protects nothing", "b/d.go:3:12: MinVersion is 0x301", "tls.TLS_RSA_WITH_RC4_128_SHA protects nothing")
}

func TestNothingGoesAroundTheGuardOfAddresses(t *testing.T) {
	obeys(t, clients(t, repository(t), clientsAllowed))
}

func TestTheRuleOnWaysOutCatches(t *testing.T) {
	repo := seed(map[string]string{
		"starter/a.go":      "package a\n\nvar c = &http.Client{Timeout: x}\n",
		"worker/b.go":       "package b\n\nfunc b() { http.Get(address) }\n",
		"internal/x/c.go":   "package x\n\nfunc c(other *http.Client) { http.DefaultClient.Do(r) }\n",
		"clients/d.go":      "package d\n\nfunc d(t http.Transport) { _ = &http.Transport{} }\n",
		"sandbox/e.go":      "package e\n\nvar tolerated = http.Client{}\n",
		"starter/a_test.go": "package a\n\nvar tolerated = http.Client{}\n",
	})
	catches(t, clients(t, repo, map[string]string{"clients/d.go d": "why", "clients/gone.go gone": "why"}),
		`http.Client in "starter/a.go c"`, `http.Get in "worker/b.go b"`, `http.DefaultClient in "internal/x/c.go c"`, `"clients/gone.go gone" is allowed`)
}
