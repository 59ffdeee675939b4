package preflight

import (
	"context"
	"crypto/ed25519"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	sandboxghl "github.com/tallystick/tallystick/sandbox/ghl"
	sandboxsage "github.com/tallystick/tallystick/sandbox/sage"
)

// subject is a whole and healthy world: both vendors as sandbox servers, and a migrated database.
func subject(t *testing.T, hl sandboxghl.Options, sg sandboxsage.Options) (Subject, *sandboxsage.Server) {
	t.Helper()
	source := sandboxghl.New(hl)
	require.NoError(t, source.Start())
	t.Cleanup(source.Close)
	books := sandboxsage.New(sg)
	require.NoError(t, books.Start())
	t.Cleanup(books.Close)
	path := "sqlite:" + filepath.Join(t.TempDir(), "tallystick.db")
	db, err := store.Open(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	ring, err := secret.GenerateRing()
	require.NoError(t, err)
	public, private := books.Keys()
	var s Subject
	s.Config.Store.DatabaseURL = config.DatabaseURL(path)
	s.Config.Secrets.Keys.Ring = ring
	s.Config.GHL.WebhookPublicKeys = config.PublicKeys{make(ed25519.PublicKey, ed25519.PublicKeySize)}
	s.Config.Sage.ExtraFieldPrefix = "Z_"
	s.Config.Sage.SalesRepID = books.APIUser()
	s.Temporal = func(context.Context) []Finding { return []Finding{{Part: "temporal", Check: "namespace", Verdict: OK}} }
	s.GHL, err = ghl.New(ghl.Options{BaseURL: source.URL(), LocationID: source.Location(), Credentials: ghl.StaticToken(source.Token())})
	require.NoError(t, err)
	s.Sage, err = sage.New(sage.Options{BaseURL: books.URL(), PublicKey: public, PrivateKey: private, RequestsPerSecond: 10_000})
	require.NoError(t, err)
	return s, books
}

// plain is a tenant in which nothing has to be chosen.
func plain() sandboxsage.Options {
	return sandboxsage.Options{
		Branches: []string{"Main"},
		Statuses: []sandboxsage.Status{{Name: "Quote"}, {Name: "Won", Won: true}, {Name: "Lost", Lost: true}},
	}
}

func (r Report) find(check string) Finding {
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	return Finding{}
}

func run(t *testing.T, s Subject) Report {
	t.Helper()
	var told []Finding
	report := s.Run(t.Context(), func(f Finding) { told = append(told, f) })
	assert.Equal(t, report.Findings, told)
	for _, f := range report.Findings {
		assert.NotEmpty(t, f.Part)
		assert.NotEmpty(t, f.Check)
		if f.Verdict == Fail {
			assert.NotEmpty(t, f.Mend, "%s: a failure says what to do", f.Check)
		}
	}
	return report
}

func TestAHealthyWorldPasses(t *testing.T) {
	s, books := subject(t, sandboxghl.Options{}, plain())
	report := run(t, s)
	assert.True(t, report.OK, "%+v", report.Findings)
	for _, f := range report.Findings {
		assert.Equal(t, OK, f.Verdict, "%+v", f)
	}
	assert.Contains(t, report.find("SAGE_BRANCH_ID").Found, "Main")
	assert.Contains(t, report.find("currencies").Found, "USD")
	assert.Empty(t, books.Writes(), "a check writes nothing")
}

func TestWhatMustBeChosenIsNamed(t *testing.T) {
	s, _ := subject(t, sandboxghl.Options{}, sandboxsage.Options{
		Branches: []string{"North", "South"},
		Statuses: []sandboxsage.Status{{Name: "Quote"}, {Name: "Order"}, {Name: "Won", Won: true}},
	})
	s.Config.Sage.SalesRepID = 0
	report := run(t, s)
	assert.False(t, report.OK)
	assert.Equal(t, []Choice{{7, "Petra Person"}, {51, "Tallystick API"}}, report.find("SAGE_SALES_REP_ID").Choices)
	open := report.find("SAGE_ORDER_STATUS_OPEN")
	assert.Equal(t, Fail, open.Verdict)
	require.Len(t, open.Choices, 2)
	assert.Equal(t, "Quote", open.Choices[0].Name)
	assert.Equal(t, OK, report.find("SAGE_ORDER_STATUS_WON").Verdict)

	s.Config.Sage.StatusOpen = open.Choices[1].ID
	report = run(t, s)
	assert.Contains(t, report.find("SAGE_ORDER_STATUS_OPEN").Found, "Order, as set")
	s.Config.Sage.StatusOpen, s.Config.Sage.StatusWon = 9999, open.Choices[0].ID
	report = run(t, s)
	assert.Equal(t, Fail, report.find("SAGE_ORDER_STATUS_OPEN").Verdict)
	assert.Equal(t, Warn, report.find("SAGE_ORDER_STATUS_WON").Verdict, "a paid order would not count as won")
}

func TestExtraFieldsAreMadeOnRequestOnly(t *testing.T) {
	tenant := plain()
	tenant.ExtraFields = []sandboxsage.ExtraField{{Resource: "salesorders", Name: "Z_PaymentStatus", Type: "text"}}
	s, books := subject(t, sandboxghl.Options{}, tenant)
	report := run(t, s)
	assert.Equal(t, Warn, report.find("extra fields").Verdict)
	assert.Contains(t, report.find("extra fields").Found, "Z_CouponCode, Z_PaidAmount, Z_PaidAt, Z_PaymentIds, Z_RefundedAmount")
	s.CreateFields, s.DryRun = true, true
	report = run(t, s)
	assert.Equal(t, Warn, report.find("Z_PaidAmount").Verdict)
	assert.Empty(t, books.Writes())
	s.DryRun = false
	report = run(t, s)
	assert.Equal(t, OK, report.find("Z_PaidAmount").Verdict, "%+v", report.find("Z_PaidAmount"))
	assert.Len(t, books.Writes(), 5)

	public, private := books.Keys()
	var err error
	s.Sage, err = sage.New(sage.Options{BaseURL: books.URL(), PublicKey: public, PrivateKey: private, RequestsPerSecond: 10_000})
	require.NoError(t, err)
	s.CreateFields = false
	assert.Equal(t, OK, run(t, s).find("extra fields").Verdict, "they are there now")
}

func TestAFieldOfTheWrongTypeIsNoticed(t *testing.T) {
	tenant := plain()
	tenant.ExtraFields = []sandboxsage.ExtraField{{Resource: "salesorders", Name: "Z_PaidAmount", Type: "text"}}
	s, _ := subject(t, sandboxghl.Options{}, tenant)
	report := run(t, s)
	assert.Equal(t, Fail, report.find("Z_PaidAmount").Verdict)
}

func TestWhatHighLevelRefusesIsExplained(t *testing.T) {
	s, _ := subject(t, sandboxghl.Options{}, plain())
	for name, c := range map[string]struct{ token, location, words, mend string }{
		"token":    {"wrong", sandboxghl.DefaultLocation, "refuses the token", "GHL_PRIVATE_TOKEN"},
		"location": {sandboxghl.DefaultToken, "elsewhere", "does not belong", "GHL_LOCATION_ID"},
	} {
		t.Run(name, func(t *testing.T) {
			source := sandboxghl.New(sandboxghl.Options{})
			require.NoError(t, source.Start())
			t.Cleanup(source.Close)
			var err error
			s.GHL, err = ghl.New(ghl.Options{BaseURL: source.URL(), LocationID: c.location, Credentials: ghl.StaticToken(c.token)})
			require.NoError(t, err)
			report := run(t, s)
			assert.False(t, report.OK)
			assert.Contains(t, report.find("read orders").Found, c.words)
			assert.Contains(t, report.find("read orders").Mend, c.mend)
			assert.Contains(t, report.find("read orders").Mend, "payments/orders.readonly")
		})
	}
}

func TestWhatSageRefusesIsExplained(t *testing.T) {
	s, books := subject(t, sandboxghl.Options{}, plain())
	var err error
	s.Sage, err = sage.New(sage.Options{BaseURL: books.URL(), PublicKey: "a", PrivateKey: "b", RequestsPerSecond: 10_000})
	require.NoError(t, err)
	report := run(t, s)
	assert.Equal(t, Fail, report.find("log in").Verdict)
	assert.Contains(t, report.find("log in").Mend, "SAGE_PUBLIC_KEY")
	assert.Empty(t, report.find("SAGE_BRANCH_ID").Check, "one cause is told once")
}

func TestWithFaultsInTheConfigurationTheRestIsSkipped(t *testing.T) {
	s := Subject{Faults: config.Faults{{Variable: "SAGE_BRANCH_ID", Problem: "must be a whole number"}, {Variable: "ADMIN_TOKEN", Problem: "is too short"}}}
	report := s.Run(t.Context(), func(Finding) {})
	assert.False(t, report.OK)
	assert.Equal(t, Fail, report.find("SAGE_BRANCH_ID").Verdict)
	assert.Equal(t, Fail, report.find("ADMIN_TOKEN").Verdict)
	assert.Equal(t, Skip, report.find("token").Verdict)
	assert.Equal(t, Skip, report.find("log in").Verdict)
}

func TestADatabaseIsNeitherMadeNorChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.db")
	var s Subject
	s.Config.Store.DatabaseURL = config.DatabaseURL("sqlite:" + path)
	found := s.database(t.Context())
	require.Len(t, found, 1)
	assert.Equal(t, Warn, found[0].Verdict)
	assert.NoFileExists(t, path)

	db, err := store.Open(t.Context(), "sqlite:"+path, store.WithoutMigrations())
	require.NoError(t, err)
	require.NoError(t, db.Close())
	found = s.database(t.Context())
	require.Len(t, found, 2)
	assert.Equal(t, Warn, found[1].Verdict, "migrations are missing")
	assert.Contains(t, found[1].Mend, "starter migrate")
}
