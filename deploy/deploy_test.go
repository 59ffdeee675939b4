// Package deploy holds what docker-compose.yml mounts into containers and what the Dockerfile builds besides worker and
// starter. Its test checks these files against each other, since a compose file only fails where it is run.
package deploy

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type service struct {
	Image       string            `yaml:"image"`
	Build       map[string]string `yaml:"build"`
	Environment map[string]string `yaml:"environment"`
	EnvFile     []string          `yaml:"env_file"`
	Ports       []string          `yaml:"ports"`
	Volumes     []string          `yaml:"volumes"`
	Restart     string            `yaml:"restart"`
	Healthcheck *struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
	DependsOn map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", name))
	require.NoError(t, err)
	return string(content)
}

func services(t *testing.T) map[string]service {
	t.Helper()
	var compose struct {
		Services map[string]service `yaml:"services"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "docker-compose.yml")), &compose))
	require.NotEmpty(t, compose.Services)
	return compose.Services
}

func TestServicesWaitForWhatCanBeWaitedFor(t *testing.T) {
	all := services(t)
	for name, s := range all {
		finishes := s.Restart == "on-failure"
		require.NotEqual(t, finishes, s.Healthcheck != nil, "%s: either it finishes or its health can be asked", name)
		for other, on := range s.DependsOn {
			require.Contains(t, all, other, name)
			want := "service_healthy"
			if all[other].Restart == "on-failure" {
				want = "service_completed_successfully"
			}
			require.Equal(t, want, on.Condition, "%s on %s", name, other)
		}
	}
	for _, name := range []string{"worker", "starter"} {
		require.Contains(t, all[name].DependsOn, "temporal-namespace")
		require.Equal(t, []string{".env"}, all[name].EnvFile)
	}
}

func TestNothingIsPublishedBeyondThisMachine(t *testing.T) {
	for name, s := range services(t) {
		for _, port := range s.Ports {
			require.True(t, strings.HasPrefix(port, "127.0.0.1:"), "%s publishes %s", name, port)
		}
	}
}

func TestProgramsDoNotGetTheDatabasesPasswords(t *testing.T) {
	all := services(t)
	for _, name := range []string{"worker", "starter"} {
		for variable := range all["postgres"].Environment {
			if strings.HasSuffix(variable, "PASSWORD") {
				value, given := all[name].Environment[variable]
				require.True(t, given && value == "", "%s would get %s from .env", name, variable)
			}
		}
	}
}

func TestMountedFilesExistAndAreShellScripts(t *testing.T) {
	for name, s := range services(t) {
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if !strings.HasPrefix(source, ".") {
				continue
			}
			path := filepath.Join("..", source)
			require.FileExists(t, path, name)
			if strings.HasSuffix(path, ".sh") {
				output, err := exec.CommandContext(t.Context(), "sh", "-n", path).CombinedOutput()
				require.NoError(t, err, string(output))
			}
		}
	}
}

func TestEnvExampleHasEveryNeededVariable(t *testing.T) {
	example := read(t, ".env.example")
	needed := map[string]bool{}
	for _, match := range regexp.MustCompile(`\$\{(\w+):\?`).FindAllStringSubmatch(read(t, "docker-compose.yml"), -1) {
		needed[match[1]] = true
	}
	require.NotEmpty(t, needed)
	for _, variable := range slices.Sorted(maps.Keys(needed)) {
		require.Regexp(t, `(?m)^`+variable+`=$`, example, "to be filled in")
	}
	known := read(t, "docs/configuration.md")
	for _, match := range regexp.MustCompile(`(?m)^(\w+)=`).FindAllStringSubmatch(example, -1) {
		if !needed[match[1]] {
			require.Contains(t, known, "`"+match[1]+"`", "no such setting")
		}
	}
	for name, s := range services(t) {
		for variable, value := range s.Environment {
			if (name == "worker" || name == "starter") && value != "" {
				require.Contains(t, known, "`"+variable+"`", "%s: no such setting", name)
			}
		}
	}
}

func TestImagesAreBuiltFromTargetsOfTheDockerfile(t *testing.T) {
	dockerfile := read(t, "Dockerfile")
	for name, s := range services(t) {
		if target := s.Build["target"]; target != "" {
			require.Regexp(t, `(?m)^FROM \S+ AS `+target+`$`, dockerfile, name)
			require.Contains(t, dockerfile, `ENTRYPOINT ["/`+name+`"]`)
			require.Contains(t, dockerfile, strings.Join(s.Healthcheck.Test[1:], `", "`), "one probe in both files")
		} else {
			require.NotEmpty(t, s.Image, name)
		}
	}
}

func TestHealthcheckTellsByItsExitCode(t *testing.T) {
	program := filepath.Join(t.TempDir(), "healthcheck")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./healthcheck").CombinedOutput()
	require.NoError(t, err, string(output))
	var status atomic.Int32
	status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	defer server.Close()

	require.NoError(t, exec.CommandContext(t.Context(), program, server.URL).Run())
	status.Store(http.StatusServiceUnavailable)
	output, err = exec.CommandContext(t.Context(), program, server.URL).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(output), "503")
	server.Close()
	require.Error(t, exec.CommandContext(t.Context(), program, server.URL).Run())
}
