package delivery

import (
	_ "embed"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/internal/testkit"
	"github.com/tallystick/tallystick/starter/intake"
)

// The callers that the documentation shows.
var (
	//go:embed example.sh
	shellExample string
	//go:embed example.py
	pythonExample string
)

// TestTheExamplesAreUnderstood runs the callers of the documentation as they stand there.
func TestTheExamplesAreUnderstood(t *testing.T) {
	for name, c := range map[string]struct {
		program, script string
		needs           []string
	}{
		"sh":     {"sh", shellExample, []string{"openssl", "curl"}},
		"python": {"python3", pythonExample, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, program := range append(c.needs, c.program) {
				if _, err := exec.LookPath(program); err != nil {
					testkit.Missing(t, program+": install it to have the example of the documentation run")
				}
			}
			b := open(t, intake.One(home))
			b.handler.options.Now = time.Now // as the example has it
			mux := http.NewServeMux()
			b.handler.Register(mux)
			server := httptest.NewServer(mux)
			defer server.Close()
			cmd := exec.CommandContext(t.Context(), c.program, "-c", c.script)
			cmd.Env = append(os.Environ(), "DELIVERY_WEBHOOK_SECRET="+key, "PUBLIC_URL="+server.URL)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			assert.Contains(t, string(out), `"status":"kept"`)
			assert.Len(t, b.open(t, home), 1)
		})
	}
}

// TestTheExamplesAreThoseOfTheDocumentation: what is shown is what was run.
func TestTheExamplesAreThoseOfTheDocumentation(t *testing.T) {
	comment, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for line := range strings.Lines(shellExample) {
		assert.Contains(t, string(comment), "//\t"+line)
	}
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		if strings.Contains(string(text), "openssl dgst -sha256 -hmac") {
			assert.Contains(t, string(text), shellExample, page)
		}
		if strings.Contains(string(text), "hashlib.sha256") {
			assert.Contains(t, string(text), pythonExample, page)
		}
	}
}
