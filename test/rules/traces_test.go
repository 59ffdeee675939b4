package rules

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// registries are hosts of package registries. Where packages come from is a setting of the machine that builds; a host in
// a file would bind everybody to it.
var registries = regexp.MustCompile(`(?i)\b(?:(?:proxy|sum|index)\.golang\.org|goproxy\.(?:io|cn)|registry\.(?:npmjs\.org|yarnpkg\.com)|` +
	`(?:test\.)?pypi\.org|files\.pythonhosted\.org|(?:static\.)?crates\.io|rubygems\.org|repo\.maven\.apache\.org|` +
	`(?:repo\.)?packagist\.org|registry-1\.docker\.io|deb\.debian\.org|archive\.ubuntu\.com|dl-cdn\.alpinelinux\.org)\b`)

// machinePaths are absolute paths into somebody's home or work folder. The home of the unprivileged user of container
// images is no person's.
var machinePaths = regexp.MustCompile(`(?:^|[\s"'` + "`" + `(=:,\[])((?:/(?:home|Users)/[A-Za-z]|/root/|/work/|[A-Z]:\\Users\\)[^\s"'` + "`" + `)]*)`)

// traces finds what a machine has left in the text files of the repository. Known holds further words that must not occur,
// such as this machine's own registry and folders.
func traces(t *testing.T, repo fs.FS, known ...string) []string {
	t.Helper()
	var violations []string
	for _, name := range files(t, repo) {
		text := read(t, repo, name)
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) || path.Ext(name) == ".out" {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			for _, fault := range tracesIn(line, known) {
				violations = append(violations, fmt.Sprintf("%s:%d: %s", name, i+1, fault))
			}
		}
	}
	return violations
}

func tracesIn(line string, known []string) []string {
	var faults []string
	if host := registries.FindString(line); host != "" {
		faults = append(faults, "names the package registry "+host)
	}
	for _, match := range machinePaths.FindAllStringSubmatch(line, -1) {
		if !strings.HasPrefix(match[1], "/home/nonroot") {
			faults = append(faults, "names the machine's path "+match[1])
		}
	}
	for _, word := range known {
		if strings.Contains(line, word) {
			faults = append(faults, "names "+word+" of this machine")
		}
	}
	return faults
}

// ownTraces are this machine's words: the hosts it takes packages from and the folders of its user and this checkout.
// Words that are too short or too common to be told from others are left to the patterns above.
func ownTraces(t *testing.T) []string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "env", "GOPROXY", "GOSUMDB").Output()
	require.NoError(t, err)
	var known []string
	for _, word := range strings.FieldsFunc(string(output), func(r rune) bool { return strings.ContainsRune(",|\n ", r) }) {
		if at, err := url.Parse(word); err == nil && strings.Contains(at.Hostname(), ".") && !loopback(at.Hostname()) {
			known = append(known, at.Hostname())
		}
	}
	folders := []string{root(t)}
	if home, err := os.UserHomeDir(); err == nil {
		folders = append(folders, home)
	}
	for _, folder := range folders {
		if strings.Count(folder, string(os.PathSeparator)) > 1 {
			known = append(known, folder)
		}
	}
	return known
}

func loopback(host string) bool { return host == "localhost" || strings.HasPrefix(host, "127.") }

func TestNoMachineLeavesItsTraces(t *testing.T) {
	obeys(t, traces(t, repository(t), ownTraces(t)...))
}

func TestTheTraceRuleCatches(t *testing.T) {
	home, work, hosts := "/ho"+"me/", "/wo"+"rk/", "proxy.go"+"lang.org"
	repo := seed(map[string]string{
		"a.md":       "Set GOPROXY=https://" + hosts + ",direct\n",
		"b.go":       "package b\n\nvar dir = \"" + home + "ada/code\"\n",
		"c.yml":      "cache: " + work + "main\nuser: " + home + "nonroot\nfine: https://example.com/work/there\n",
		"d.txt":      "from packages.corp.example\n",
		"e.bin":      "\x00" + home + "ada",
		"f.sh":       "cd '/ro" + "ot/x' && ls /workshop /homeless registry.example.com golang.org\n",
		"Dockerfile": "RUN pip install -i https://py" + "pi.org/simple x\n",
		".git/x":     home + "ada\n",
	})
	catches(t, traces(t, repo, "packages.corp.example"), "a.md:1: names the package registry "+hosts, "b.go:3: names the machine's path "+home+"ada",
		"c.yml:1: names the machine's path "+work+"main", "d.txt:1: names packages.corp.example of this machine",
		"f.sh:1: names the machine's path /ro"+"ot/x", "Dockerfile:1: names the package registry")
}
