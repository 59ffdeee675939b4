package preflight

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/internal/config"
	sandboxghl "github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/starter/delivery"
	"github.com/tallystick/tallystick/starter/intake"
	"github.com/tallystick/tallystick/starter/sagehook"
)

const hookToken = "0123456789abcdef0123456789abcdef"

func TestTheTypeOfActivitiesIsChosenOrNamed(t *testing.T) {
	tenant := plain()
	tenant.ActivityTypes = []string{"Call", "Visit"}
	s, books := subject(t, sandboxghl.Options{}, tenant)
	report := run(t, s)
	assert.True(t, report.OK, "orders get into Sage without")
	f := report.find("SAGE_ACTIVITY_TYPE_ID")
	assert.Equal(t, Warn, f.Verdict)
	assert.Contains(t, f.Mend, "SAGE_ACTIVITIES=off")
	require.Len(t, f.Choices, 2)
	assert.Equal(t, "Visit", f.Choices[1].Name)

	ships := &s.Connections[0].Shipping
	ships.ActivityType = f.Choices[1].ID
	assert.Contains(t, run(t, s).find("SAGE_ACTIVITY_TYPE_ID").Found, "Visit, as set")
	ships.ActivityType, ships.Tasks, ships.TaskType = 9999, true, f.Choices[0].ID
	report = run(t, s)
	assert.Equal(t, Fail, report.find("SAGE_ACTIVITY_TYPE_ID").Verdict)
	assert.Contains(t, report.find("SAGE_TASK_TYPE_ID").Found, "Call, as set")
	*ships = config.Shipping{On: true}
	assert.Empty(t, run(t, s).find("SAGE_ACTIVITY_TYPE_ID").Check, "nothing is entered")
	ships.On = false
	report = run(t, s)
	assert.Equal(t, Skip, report.find("shipping").Verdict)
	assert.NotContains(t, report.find("extra fields").Found, "shipped")
	assert.Empty(t, books.Writes(), "a check writes nothing")
}

func TestHooksThatAreMissingOrOutdatedAreNamed(t *testing.T) {
	s, books := subject(t, sandboxghl.Options{}, plain())
	s.Config.Shipping.HookToken = hookToken
	s.Config.HTTP.Public = config.BaseURL(listen(t, http.NotFoundHandler()))
	here := HookAddress(s.Config)
	look := func() Finding { return run(t, s).find("hooks") }
	register := func(url string, actions ...sage.HookAction) {
		for _, action := range actions {
			_, err := s.Connections[0].Sage.Hooks.Create(t.Context(), sage.NewHook{Name: "x", Entity: sage.HookOrder, Action: action, URL: url})
			require.NoError(t, err)
		}
	}
	register("https://elsewhere.example"+sagehook.Path+hookToken, HookActions()...)
	assert.Contains(t, look().Found, "update, delete")
	register(here, sage.HookUpdate)
	f := look()
	assert.Equal(t, Warn, f.Verdict)
	assert.Contains(t, f.Found, "orders' delete")
	assert.Equal(t, "`starter hooks apply`", f.Mend)
	register(here, sage.HookDelete)
	assert.Equal(t, OK, look().Verdict)
	register(strings.TrimSuffix(here, hookToken)+"a-former-token", sage.HookUpdate)
	f = look()
	assert.Equal(t, Warn, f.Verdict)
	for _, f := range run(t, s).Findings {
		assert.NotContains(t, f.Found+f.Mend, hookToken, "the token is shown to nobody")
	}
	s.Config.HTTP.Public = ""
	assert.Contains(t, look().Mend, "PUBLIC_URL")
	assert.Len(t, books.Hooks(), 5, "a check writes nothing")
}

func TestTemplatesAreTried(t *testing.T) {
	s, _ := subject(t, sandboxghl.Options{}, plain())
	assert.Empty(t, run(t, s).find("NOTIFY_TEMPLATES").Check)
	path := filepath.Join(t.TempDir(), "texts.tmpl")
	s.Config.Telling.Templates = path
	assert.Equal(t, Fail, run(t, s).find("NOTIFY_TEMPLATES").Verdict, "it is not there")
	require.NoError(t, os.WriteFile(path, []byte(`{{define "message"}}{{.Nothing}}{{end}}`), 0o600))
	f := run(t, s).find("NOTIFY_TEMPLATES")
	assert.Equal(t, Fail, f.Verdict)
	assert.Contains(t, f.Found, "Nothing")
	require.NoError(t, os.WriteFile(path, []byte(`{{define "message"}}An order is on its way{{end}}`), 0o600))
	assert.Equal(t, OK, run(t, s).find("NOTIFY_TEMPLATES").Verdict)
}

func TestTheOtherDoorsAreAsked(t *testing.T) {
	door, err := delivery.New(delivery.Options{Secret: "a-secret-of-sixteen-letters", Locations: intake.One("l")})
	require.NoError(t, err)
	hooks, err := sagehook.New(sagehook.Options{Token: hookToken, Locations: intake.One("l")})
	require.NoError(t, err)
	mux := http.NewServeMux()
	door.Register(mux)
	hooks.Register(mux)
	var open bool
	plain := http.NewServeMux()
	plain.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"alive"}`)) })
	plain.HandleFunc("/webhooks/", func(w http.ResponseWriter, r *http.Request) {
		if open {
			mux.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})
	var s Subject
	s.Config.HTTP.Public = config.BaseURL(listen(t, plain))
	s.Config.Shipping.DeliverySecret, s.Config.Shipping.HookToken = "a-secret-of-sixteen-letters", hookToken
	for _, want := range []Verdict{Warn, OK} {
		found := s.webhooks(t.Context())
		require.Len(t, found, 4)
		for _, f := range found[2:] {
			assert.Equal(t, want, f.Verdict, "%+v", f)
			assert.Equal(t, want == OK, f.Mend == "", "%+v", f)
		}
		open = true
	}
}
