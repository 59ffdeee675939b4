package rules

import (
	"fmt"
	"go/ast"
	"io/fs"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// testName is what a document calls a test by.
var testName = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z]\w*$`)

// shown finds tests that a document says show something and that do not exist.
func shown(t *testing.T, repo fs.FS) []string {
	t.Helper()
	there := map[string]bool{}
	for _, src := range sources(t, repo) {
		for _, decl := range src.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && src.isTest() && f.Recv == nil {
				there[f.Name.Name] = true
			}
		}
	}
	var violations []string
	for _, document := range documents(t, repo) {
		for _, code := range snippets(read(t, repo, document)) {
			if !code.block && testName.MatchString(code.text) && !there[code.text] {
				violations = append(violations, fmt.Sprintf("%s:%d: there is no test %s", document, code.line, code.text))
			}
		}
	}
	return violations
}

func TestTestsThatDocumentsNameExist(t *testing.T) {
	repo := repository(t)
	require.NotEmpty(t, read(t, repo, "docs/security.md"))
	obeys(t, shown(t, repo))
}

func TestTheRuleOnNamedTestsCatches(t *testing.T) {
	repo := seed(map[string]string{
		"a/a_test.go":      "package a\n\nfunc TestGood(t *testing.T) {}\n\ntype s struct{}\n\nfunc (s) TestMethod() {}\n",
		"a/a.go":           "package a\n\nfunc TestNot() {}\n",
		"docs/security.md": "`TestGood`, `Testify`, `go test -run TestElsewhere`\n`TestGone` and `FuzzGone`\n`TestNot`, `TestMethod`\n",
	})
	catches(t, shown(t, repo), "docs/security.md:2: there is no test TestGone", "docs/security.md:2: there is no test FuzzGone",
		"docs/security.md:3: there is no test TestNot", "docs/security.md:3: there is no test TestMethod")
}
