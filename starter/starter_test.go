package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	sandboxghl "github.com/tallystick/tallystick/sandbox/ghl"
	sandboxsage "github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/starter/preflight"
	"github.com/tallystick/tallystick/workflows"
)

const home = sandboxghl.DefaultLocation

// environment sets what every command finds, and nothing else of ours. It returns the address of the database.
func environment(t *testing.T) string {
	t.Helper()
	for _, v := range config.Variables() {
		t.Setenv(v.Name, "") // counts as unset, and is restored
	}
	ring, err := secret.GenerateRing()
	require.NoError(t, err)
	database := "sqlite:" + filepath.Join(t.TempDir(), "tallystick.db")
	for name, value := range map[string]string{
		"SECRET_KEYS": ring.Reveal(), "DATABASE_URL": database, "GHL_LOCATION_ID": home,
		"LISTEN_ADDRESS": "127.0.0.1:0", "METRICS_ADDRESS": "off", "TEMPORAL_ADDRESS": "127.0.0.1:1",
		"TEMPORAL_NAMESPACE": "", "TEMPORAL_CONFIG_FILE": filepath.Join(t.TempDir(), "none.toml"),
	} {
		t.Setenv(name, value)
	}
	return database
}

// starter runs a command line and returns its exit code, its output and its errors.
func starter(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e lockedBuffer
	code = run(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// succeed runs a command that must succeed.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errOut := starter(t, args...)
	require.Equal(t, exitDone, code, "starter %s: %s", strings.Join(args, " "), errOut)
	return out
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal([]byte(text), &v), text)
	return v
}

func openDatabase(t *testing.T, address string) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func TestWrongUseIsToldApartFromFailure(t *testing.T) {
	environment(t)
	for line, want := range map[string]int{
		"":                              exitWrong,
		"bogus":                         exitWrong,
		"--bogus":                       exitWrong,
		"schedules":                     exitWrong,
		"schedules bogus":               exitWrong,
		"schedules pause watchdogs":     exitWrong,
		"sync":                          exitWrong,
		"sync order":                    exitWrong,
		"sync order a/b":                exitWrong,
		"status a b":                    exitWrong,
		"status -o yaml":                exitWrong,
		"replay":                        exitWrong,
		"replay --all --kind Mapping":   exitWrong,
		"replay --since yesterday":      exitWrong,
		"match":                         exitWrong,
		"match o1":                      exitWrong,
		"match o1 --new --sage-order 5": exitWrong,
		"match o1 --sage-order -5":      exitWrong,
		"match o1 --sage-order five":    exitWrong,
		"serve now":                     exitWrong,
		"version":                       exitDone,
		"status":                        exitDone,
		"--help":                        exitDone,
		"schedules apply --help":        exitDone,
	} {
		t.Run(line, func(t *testing.T) {
			code, out, errOut := starter(t, strings.Fields(line)...)
			assert.Equal(t, want, code, errOut)
			if want == exitWrong {
				assert.Contains(t, errOut, "--help")
				assert.Empty(t, out)
			}
		})
	}
}

func TestFaultsInTheConfigurationAreAFailure(t *testing.T) {
	environment(t)
	t.Setenv("SAGE_BRANCH_ID", "seven")
	t.Setenv("SYNC_INTERVAL", "often")
	code, _, errOut := starter(t, "serve")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "SAGE_BRANCH_ID")
	assert.Contains(t, errOut, "SYNC_INTERVAL", "all at once")
}

// TestEachCommandHasItsFlags holds commands that write to --dry-run, and those that read to -o.
func TestEachCommandHasItsFlags(t *testing.T) {
	reading := []string{
		"starter check", "starter status", "starter schedules list", "starter version", "starter connect list", "starter connect show",
		"starter connect installed", "starter keys list", "starter fulfillment list", "starter fulfillment show", "starter hooks list",
		"starter report revenue",
	}
	neither := []string{"starter serve"}
	var walk func(*cobra.Command)
	walk = func(parent *cobra.Command) {
		for _, c := range parent.Commands() {
			switch path := c.CommandPath(); {
			case !c.IsAvailableCommand() || slices.Contains(neither, path):
			case c.HasAvailableSubCommands():
				walk(c)
			case slices.Contains(reading, path):
				assert.NotNil(t, c.Flags().Lookup("output"), path)
			default:
				assert.NotNil(t, c.Flags().Lookup("dry-run"), path)
			}
		}
	}
	walk(newRoot(&app{}))
}

// TestHelpNamesValuesByOneWord: the first words in back quotes in what is said of a flag are shown as the name of its value,
// so that a command quoted there is shown as one.
func TestHelpNamesValuesByOneWord(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			name, _ := pflag.UnquoteUsage(f)
			assert.NotContains(t, name, " ", "%s --%s", c.CommandPath(), f.Name)
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(&app{}))
}

func TestTheCommandsPageIsCurrent(t *testing.T) {
	page, err := os.ReadFile("../docs/commands.md")
	require.NoError(t, err)
	assert.Equal(t, commandsPage(newRoot(&app{})), string(page), "run go generate ./starter")
}

func TestVersion(t *testing.T) {
	b := decode[build](t, succeed(t, "version", "-o", "json"))
	assert.NotEmpty(t, b.Version)
	assert.Contains(t, b.Go, "go1.")
}

func TestMigrate(t *testing.T) {
	path := strings.TrimPrefix(environment(t), "sqlite:")
	assert.Contains(t, succeed(t, "migrate", "--dry-run"), "would be made")
	assert.NoFileExists(t, path)
	assert.Contains(t, succeed(t, "migrate"), "applied")
	assert.Contains(t, succeed(t, "migrate"), "up to date")
	assert.Contains(t, succeed(t, "migrate", "--dry-run"), "up to date")
}

// park parks an order as the worker does.
func park(t *testing.T, db *store.Store, order, kind string, at time.Time, candidates ...int64) {
	t.Helper()
	require.NoError(t, db.Park(t.Context(), store.Parked{
		Location: home, Process: workflows.PaymentToOrderType, ObjectID: order, Kind: kind, Reason: "because of " + kind,
		ParkedAt: at, Candidates: candidates, WorkflowID: workflows.PaymentToOrderID(home, order),
	}))
}

func record(t *testing.T, db *store.Store, order string, sageID int64, state domain.PaymentState) {
	t.Helper()
	now := time.Now().UTC()
	require.NoError(t, db.RecordOrder(t.Context(), store.OrderRecord{
		Location: home, OrderID: order, SageID: sageID, AsOf: now, Digest: "d", State: state, BroughtAt: now,
		Total: domain.NewMoney(15010, "USD"), Paid: domain.NewMoney(15010, "USD"), Refunded: domain.NewMoney(0, "USD"),
	}))
}

func TestStatusSumsUp(t *testing.T) {
	db := openDatabase(t, environment(t))
	record(t, db, "o1", 4711, domain.Paid)
	record(t, db, "o2", 4712, domain.Refunded)
	park(t, db, "o3", "Mapping", time.Now())
	park(t, db, "o4", "Conflict", time.Now(), 8, 9)
	require.NoError(t, db.SetCursor(t.Context(), home, "payment-sweep", time.Now().Add(-time.Hour)))

	s := decode[summary](t, succeed(t, "status", "-o", "json"))
	assert.Equal(t, map[domain.PaymentState]int64{domain.Paid: 1, domain.Refunded: 1}, s.Orders)
	assert.Equal(t, map[string]int64{"Mapping": 1, "Conflict": 1}, s.ParkedByKind)
	require.Len(t, s.Parked, 2)
	assert.Equal(t, []int64{8, 9}, s.Parked[1].Candidates)
	require.Len(t, s.Cursors, 1)
	assert.InDelta(t, 3600, s.Cursors[0].AgeSeconds, 60)

	table := succeed(t, "status")
	for _, words := range []string{"because of Mapping", "candidates: 8 9", "payment-sweep"} {
		assert.Contains(t, table, words)
	}
	assert.NotContains(t, succeed(t, "status", "--parked", "1"), "because of Conflict")
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"24h":                  now.Add(-24 * time.Hour),
		"2026-11-01":           time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		"2026-11-01T10:00:00Z": time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC),
	} {
		got, err := parseSince(text, now)
		require.NoError(t, err)
		assert.True(t, want.Equal(got), text)
	}
	for _, text := range []string{"", "-24h", "last week", "2026-13-01"} {
		_, err := parseSince(text, now)
		assert.ErrorAs(t, err, new(usageError), text)
	}
}

func TestWithoutTemporalCommandsSaySo(t *testing.T) {
	environment(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var out, errOut lockedBuffer
	assert.Equal(t, exitFailed, run(ctx, []string{"sync", "order", "o1"}, &out, &errOut))
	assert.Contains(t, errOut.String(), "TEMPORAL_ADDRESS")
}

// TestCheck runs the whole preflight against the sandbox vendors. Temporal is away, which it must notice.
func TestCheck(t *testing.T) {
	environment(t)
	source := sandboxghl.New(sandboxghl.Options{})
	require.NoError(t, source.Start())
	t.Cleanup(source.Close)
	books := sandboxsage.New(sandboxsage.Options{ExtraFields: []sandboxsage.ExtraField{}})
	require.NoError(t, books.Start())
	t.Cleanup(books.Close)
	public, private := books.Keys()
	for name, value := range map[string]string{
		"GHL_BASE_URL": source.URL(), "GHL_PRIVATE_TOKEN": source.Token(),
		"SAGE_BASE_URL": books.URL(), "SAGE_PUBLIC_KEY": public, "SAGE_PRIVATE_KEY": private, "SAGE_REQUESTS_PER_SECOND": "1000",
	} {
		t.Setenv(name, value)
	}
	code, out, _ := starter(t, "check", "-o", "json", "--create-fields")
	assert.Equal(t, exitFailed, code, "Temporal is away")
	report := decode[preflight.Report](t, out)
	assert.False(t, report.OK)
	verdicts := map[string]preflight.Verdict{}
	for _, f := range report.Findings {
		verdicts[f.Part+"/"+f.Check] = f.Verdict
	}
	assert.Equal(t, preflight.Fail, verdicts["temporal/connection"])
	assert.Equal(t, preflight.OK, verdicts["highlevel/read orders"])
	assert.Equal(t, preflight.OK, verdicts["sage/log in"])
	assert.Equal(t, preflight.OK, verdicts["sage/Z_PaidAmount"])
	assert.Len(t, books.Writes(), 11, "the missing fields, since that was asked for")
	assert.NotContains(t, out, private)
	assert.NotContains(t, out, source.Token())
}

func TestCheckTellsEveryFaultOfTheConfiguration(t *testing.T) {
	environment(t)
	t.Setenv("GHL_LOCATION_ID", "")
	t.Setenv("SYNC_INTERVAL", "often")
	code, out, _ := starter(t, "check")
	assert.Equal(t, exitFailed, code)
	for _, name := range []string{"GHL_LOCATION_ID", "GHL_PRIVATE_TOKEN", "SAGE_PUBLIC_KEY", "SYNC_INTERVAL"} {
		assert.Contains(t, out, name)
	}
}
