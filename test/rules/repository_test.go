package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/tallystick/tallystick"

// root is the repository, as seen from this package's folder, which is where go test runs it.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, "go.mod"))
	return dir
}

func repository(t *testing.T) fs.FS { return os.DirFS(root(t)) }

// seed is a made-up repository for the tests of the rules themselves.
func seed(files map[string]string) fs.FS {
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return tree
}

// files lists the repository's files in order, without what git or the program itself made.
func files(t *testing.T, repo fs.FS) []string {
	t.Helper()
	var names []string
	require.NoError(t, fs.WalkDir(repo, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err): // a file that came and went, such as a database of a test that runs beside this one
			return nil
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", ".state", "bin", "node_modules"}, entry.Name()):
			return fs.SkipDir
		case entry.Type().IsRegular():
			names = append(names, name)
		}
		return nil
	}))
	require.NotEmpty(t, names)
	return names
}

func read(t *testing.T, repo fs.FS, name string) string {
	t.Helper()
	data, err := fs.ReadFile(repo, name)
	if os.IsNotExist(err) {
		return ""
	}
	require.NoError(t, err)
	return string(data)
}

// source is one parsed Go file.
type source struct {
	name string // path from the root, with slashes
	file *ast.File
	set  *token.FileSet
}

func (s source) dir() string  { return path.Dir(s.name) }
func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

func (s source) at(node ast.Node) string { return s.set.Position(node.Pos()).String() }

// top is the first folder of the path.
func (s source) top() string { return strings.Split(s.dir(), "/")[0] }

func sources(t *testing.T, repo fs.FS) []source {
	t.Helper()
	var all []source
	for _, name := range files(t, repo) {
		if !strings.HasSuffix(name, ".go") || strings.Contains(name, "testdata/") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, read(t, repo, name), parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		all = append(all, source{name, file, set})
	}
	require.NotEmpty(t, all)
	return all
}

// obeys fails with every violation that a rule found.
func obeys(t *testing.T, violations []string) {
	t.Helper()
	slices.Sort(violations)
	for _, violation := range violations {
		t.Error(violation)
	}
}

// catches checks that a rule finds each seeded fault once, and nothing else.
func catches(t *testing.T, violations []string, faults ...string) {
	t.Helper()
	for _, fault := range faults {
		hits := slices.DeleteFunc(slices.Clone(violations), func(v string) bool { return !strings.Contains(v, fault) })
		assert.Len(t, hits, 1, "the rule should find %q once", fault)
	}
	assert.Len(t, violations, len(faults), "\n%s", strings.Join(violations, "\n"))
}
