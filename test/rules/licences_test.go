package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	classifier "github.com/google/licenseclassifier/v2"
	"github.com/google/licenseclassifier/v2/assets"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// permissive are the licences that a module linked into our programs may have: they ask for the notice to be kept and
// for nothing else. Whoever adds one here has read it.
var permissive = []string{"Apache-2.0", "BSD-2-Clause", "BSD-2-Clause-Views", "BSD-3-Clause", "ISC", "MIT", "Unlicense"}

// licencesRead are faults of the rule that somebody looked into, by module, and what was found. An entry holds for the
// words that it names and no others, and goes when it is no longer needed.
var licencesRead = map[string]struct{ words, found string }{
	"github.com/nexus-rpc/nexus-proto-annotations": {"no licence that is known",
		"it states no licence: generated definitions of options of the Nexus project, whose SDK is under MIT. It comes with go.temporal.io/api"},
	"modernc.org/sqlite": {"LICENSE-3RD-PARTY.md says MPL-2.0",
		"the licence of hashicorp/golang-lru, which it lists as compiled into nothing. If it were linked, this test would name it"},
}

// licenceFile is a file that states a module's licence. Some modules state those of what they were made from in files of
// their own, LICENSE-3RD-PARTY.md say; these count as well.
var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)([-._].*)?$`)

// linked is a module whose code is in one of our programs.
type linked struct{ Path, Version, Dir string }

// modulesOf lists the modules of the packages that the programs are built from; tests of theirs are not among them.
func modulesOf(t *testing.T, programs ...string) []linked {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", append([]string{"list", "-deps", "-json=Module"}, programs...)...)
	list.Dir = root(t)
	var problems bytes.Buffer
	list.Stderr = &problems
	output, err := list.Output()
	require.NoError(t, err, "%s", problems.String())
	var modules []linked
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var dependency struct {
			Module *struct {
				linked
				Main    bool
				Replace *linked
			}
		}
		err := decoder.Decode(&dependency)
		if errors.Is(err, io.EOF) {
			return modules
		}
		require.NoError(t, err)
		m := dependency.Module
		if m == nil || m.Main { // the standard library, or ours
			continue
		}
		if m.Replace != nil {
			m.linked = *m.Replace
		}
		if !slices.Contains(modules, m.linked) {
			modules = append(modules, m.linked)
		}
	}
}

// licenceFaults tells what is wrong with the licences of one module: none that is known, or one that is not allowed.
func licenceFaults(t *testing.T, known *classifier.Classifier, module linked, tree fs.FS) []string {
	t.Helper()
	entries, err := fs.ReadDir(tree, ".")
	require.NoError(t, err)
	var violations, found []string
	for _, entry := range entries {
		if entry.IsDir() || !licenceFile.MatchString(entry.Name()) {
			continue
		}
		for _, match := range known.Match([]byte(read(t, tree, entry.Name()))).Matches {
			if match.MatchType != "License" {
				continue
			}
			found = append(found, match.Name)
			if !slices.Contains(permissive, match.Name) {
				violations = append(violations, fmt.Sprintf("%s %s: %s says %s, which is not on the list of permissive licences",
					module.Path, module.Version, entry.Name(), match.Name))
			}
		}
	}
	if len(found) == 0 {
		violations = append(violations, fmt.Sprintf("%s %s: no licence that is known; read what it says", module.Path, module.Version))
	}
	slices.Sort(violations)
	return slices.Compact(violations)
}

func knownLicences(t *testing.T) *classifier.Classifier {
	t.Helper()
	known, err := assets.DefaultClassifier()
	require.NoError(t, err)
	return known
}

func TestWhatWeLinkIsLicensedPermissively(t *testing.T) {
	modules := modulesOf(t, "./worker", "./starter", "./sandbox")
	require.Greater(t, len(modules), 20, "the programs are built from more than this")
	known := knownLicences(t)
	var violations []string
	for _, module := range modules {
		if !assert.NotEmpty(t, module.Dir, "%s is not in the module cache", module.Path) {
			continue
		}
		violations = append(violations, licenceFaults(t, known, module, os.DirFS(module.Dir))...)
	}
	for path, read := range licencesRead {
		before := len(violations)
		violations = slices.DeleteFunc(violations, func(v string) bool {
			return strings.HasPrefix(v, path+" ") && strings.Contains(v, read.words)
		})
		assert.Less(t, len(violations), before, "%s is no longer to be excused: remove the entry", path)
	}
	obeys(t, violations)
}

func TestTheLicenceRuleCatches(t *testing.T) {
	known := knownLicences(t)
	text := func(name string) string {
		data, err := assets.ReadLicenseFile(path.Join("License", name))
		require.NoError(t, err)
		return string(data)
	}
	mit, copyleft := text("MIT/pristine.txt"), text("AGPL-3.0/license.txt")
	for name, want := range map[string]struct {
		tree  fs.FS
		fault string
	}{
		"permissive":              {seed(map[string]string{"LICENSE": mit, "main.go": "package main"}), ""},
		"another spelling":        {seed(map[string]string{"license.md": mit}), ""},
		"copyleft":                {seed(map[string]string{"COPYING": copyleft}), "COPYING says AGPL-3.0"},
		"copyleft beside":         {seed(map[string]string{"LICENSE": mit, "LICENSE-3RD-PARTY.md": copyleft}), "LICENSE-3RD-PARTY.md says AGPL-3.0"},
		"copyleft in the middle":  {seed(map[string]string{"LICENSE": mit + strings.Repeat("\n", 3) + copyleft}), "LICENSE says AGPL-3.0"},
		"none":                    {seed(map[string]string{"main.go": "package main"}), "no licence that is known"},
		"words of somebody's own": {seed(map[string]string{"LICENSE": "You may look at this on Sundays."}), "no licence that is known"},
		"a licence out of place":  {seed(map[string]string{"sub/LICENSE": mit, "licenses.go": mit}), "no licence that is known"},
	} {
		t.Run(name, func(t *testing.T) {
			faults := licenceFaults(t, known, linked{Path: "example.com/m", Version: "v1.0.0"}, want.tree)
			if want.fault == "" {
				require.Empty(t, faults)
				return
			}
			catches(t, faults, want.fault)
		})
	}
}
