package config_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/config"
)

const marker = "hunter2hunter2hunter2"

var (
	ringKey = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	// complete is the least that a worker starts with.
	complete = map[string]string{
		"SECRET_KEYS": "k1:" + ringKey, "GHL_LOCATION_ID": "loc1", "GHL_PRIVATE_TOKEN": marker,
		"SAGE_PUBLIC_KEY": marker, "SAGE_PRIVATE_KEY": marker,
	}
)

// environment sets exactly the given variables and unsets every other of ours.
func environment(t *testing.T, layers ...map[string]string) {
	t.Helper()
	for _, v := range config.Variables() {
		t.Setenv(v.Name, "") // so that it is restored
		require.NoError(t, os.Unsetenv(v.Name))
	}
	for _, layer := range layers {
		for name, value := range layer {
			t.Setenv(name, value)
		}
	}
}

func TestOnlyHighLevelItselfHasHighLevelsLimit(t *testing.T) {
	environment(t, complete, map[string]string{
		"GHL_BASE_URL": "http://127.0.0.1:4711", "GHL_REQUESTS_PER_10_SECONDS": "5000",
	})
	c, err := config.Load(config.Worker)
	require.NoError(t, err)
	require.Equal(t, 5000, c.GHL.RequestsPer10Seconds)
}

func TestDefaults(t *testing.T) {
	environment(t, complete)
	c, err := config.Load(config.Worker)
	require.NoError(t, err)
	require.Equal(t, "sqlite:tallystick.db", c.Store.DatabaseURL.String())
	require.Equal(t, config.Address("127.0.0.1:8088"), c.HTTP.Listen)
	require.Equal(t, config.BaseURL("https://services.leadconnectorhq.com"), c.GHL.BaseURL)
	require.Len(t, c.GHL.WebhookPublicKeys, 1)
	require.Equal(t, 95, c.GHL.RequestsPer10Seconds)
	require.InDelta(t, 3, c.Sage.RequestsPerSecond, 0)
	require.Equal(t, "Z_", c.Sage.ExtraFieldPrefix)
	require.Equal(t, 5*time.Second, c.Sage.SettleDelay)
	require.Zero(t, c.Orders.MatchOpenWithin)
	require.Equal(t, config.KeepLines, c.Orders.AdoptedLines)
	require.Equal(t, config.DropTestOrders, c.Orders.TestOrders)
	require.Equal(t, 5*time.Minute, c.Sync.Interval)
	require.Equal(t, 15*time.Minute, c.Sync.Fulfillments)
	require.True(t, c.Shipping.On)
	require.Equal(t, config.UntrackedIsProcessing, c.Shipping.WithoutTracking)
	require.Equal(t, config.DeliverDigital, c.Shipping.Digital)
	require.Equal(t, []string{"cancelled", "canceled"}, c.Shipping.Cancelled)
	require.Equal(t, "processing,shipped,delivered,cancelled", c.Telling.Steps.String())
	require.Equal(t, 180*24*time.Hour, c.Sync.RefundWindow)
	require.Equal(t, 30*time.Minute, c.Books.DifferenceAge)
	require.Equal(t, 5*time.Minute, c.Watchdog.Interval)
	require.Equal(t, 3, c.Watchdog.MissedSweeps)
	require.Equal(t, slog.LevelInfo, c.Watching.LogLevel)
	require.Equal(t, "k1", c.Secrets.Keys.Ring.CurrentID())
	require.True(t, c.AdminOverHTTP())
}

// TestBothOnOneMachine: the worker and the starter do not want the same port.
func TestBothOnOneMachine(t *testing.T) {
	environment(t, complete)
	worker, err := config.Load(config.Worker)
	require.NoError(t, err)
	serve, err := config.Load(config.Serve)
	require.NoError(t, err)
	require.NotEqual(t, worker.HTTP.Metrics, serve.HTTP.Metrics)
	t.Setenv("METRICS_ADDRESS", "127.0.0.1:7")
	serve, err = config.Load(config.Serve)
	require.NoError(t, err)
	require.Equal(t, config.Address("127.0.0.1:7"), serve.HTTP.Metrics)
}

func TestSyncFrom(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-03-02":                time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
		"2026-03-02T10:00:00+01:00": time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
	} {
		environment(t, complete, map[string]string{"SYNC_FROM": text})
		c, err := config.Load(config.Worker)
		require.NoError(t, err)
		require.Equal(t, want, c.Sync.From.Time)
	}
}

func TestEverythingSet(t *testing.T) {
	environment(t, complete, map[string]string{
		"DATABASE_URL": "postgres://u:" + marker + "@db/x?sslmode=require", "LISTEN_ADDRESS": "0.0.0.0:80", "METRICS_ADDRESS": "off",
		"GHL_BASE_URL": "http://127.0.0.1:9000/", "SAGE_REQUESTS_PER_SECOND": "2.5", "SAGE_BRANCH_ID": "4",
		"SAGE_EXTRA_FIELDS":   "PaymentStatus:Z_State,PaidAt:Z_When",
		"SAGE_DEFAULT_FIELDS": `{"accounts":{"Z_Region":"EU","Z_Rank":9007199254740993}}`,
		"ADOPTED_LINES":       "Replace", "TEST_ORDERS": "only", "READ_ONLY": "true", "LOG_LEVEL": "debug", "LOG_FORMAT": "json",
		"MATCH_OPEN_ORDERS_WITHIN": "72h", "CODEC_ORIGINS": "https://temporal.example",
		"NOTIFY_STEPS": "Shipped, delivered", "FULFILLMENT_VERIFY": "open", "LINK_SAGE_ORDER": "https://crm.example/#/order/{sageOrder}",
	})
	c, err := config.Load(config.Worker)
	require.NoError(t, err)
	require.Equal(t, config.BaseURL("http://127.0.0.1:9000"), c.GHL.BaseURL, "no slash at the end")
	require.InDelta(t, 2.5, c.Sage.RequestsPerSecond, 0)
	require.EqualValues(t, 4, c.Sage.BranchID)
	require.Equal(t, map[string]string{"PaymentStatus": "Z_State", "PaidAt": "Z_When"}, c.Sage.ExtraFields)
	require.Equal(t, json.Number("9007199254740993"), c.Sage.DefaultFields["accounts"]["Z_Rank"], "numbers stay exact")
	require.Equal(t, config.ReplaceLines, c.Orders.AdoptedLines)
	require.Equal(t, config.OnlyTestOrders, c.Orders.TestOrders)
	require.True(t, c.Orders.ReadOnly)
	require.Equal(t, config.Steps{domain.FulfillmentShipped, domain.FulfillmentDelivered}, c.Telling.Steps)
	require.Equal(t, config.VerifyOpen, c.Shipping.Verify)
	require.Equal(t, slog.LevelDebug, c.Watching.LogLevel)
	require.Equal(t, "off", c.HTTP.Metrics.String())
	require.False(t, c.AdminOverHTTP(), "beyond this machine nobody is let in without a token")
}

// TestFaults: each row breaks one variable.
func TestFaults(t *testing.T) {
	rsa := "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==\n-----END PUBLIC KEY-----"
	for _, c := range []struct{ variable, value, says string }{
		{"DATABASE_URL", "mysql://root:" + marker + "@x/y", "sqlite: or postgres://"},
		{"DATABASE_URL", "sqlite:", "names no file"},
		{"DATABASE_URL", "postgres://u:" + marker + "%zz@x/y", "percent-encode"},
		{"SECRET_KEYS", "k1:" + marker, "entry 1 holds a key"},
		{"SECRET_KEYS", marker, "entry 1 must look like"},
		{"ADMIN_TOKEN", "hunter2", "at least 16"},
		{"LISTEN_ADDRESS", "8088", "host:port"},
		{"LISTEN_ADDRESS", "localhost:99999", "port"},
		{"LISTEN_ADDRESS", "off", "cannot be off"},
		{"METRICS_ADDRESS", "127.0.0.1:8088", "must differ"},
		{"CODEC_ORIGINS", "http://ui:8233/", "slash"},
		{"GHL_BASE_URL", "services.example", "https://"},
		{"GHL_BASE_URL", "http://services.example", "in the clear"},
		{"GHL_BASE_URL", "https://user:" + marker + "@services.example", "no user"},
		{"GHL_LOCATION_ID", "https://app.example/location/x", "no location id"},
		{"GHL_AUTHORIZE_URL", "http://marketplace.example/v2/oauth/chooselocation", "in the clear"},
		{"GHL_TOKEN_URL", "https://services.example/oauth/token#x", "number sign"},
		{"GHL_REDIRECT_URL", "tally.example/oauth", "https://"},
		{"GHL_SCOPES", "payments/orders.readonly <script>", "names of scopes"},
		{"GHL_CLIENT_SECRET", marker, "belongs to an app"},
		{"PUBLIC_URL", "https://tally.example/?x=1", "question mark"},
		{"NOTIFY_WEBHOOK_URL", "hooks.example/" + marker, "https://"},
		{"GHL_WEBHOOK_PUBLIC_KEYS", "MCowBQYDK2Vw", "PEM"},
		{"GHL_WEBHOOK_PUBLIC_KEYS", rsa, "no Ed25519 key"},
		{"GHL_WEBHOOK_PUBLIC_KEYS", publicKey(t) + "and more", "PEM only"},
		{"GHL_REQUESTS_PER_10_SECONDS", "101", "from 1 to 100"},
		{"GHL_REQUESTS_PER_10_SECONDS", "many", "whole number"},
		{"SAGE_BASE_URL", "https://api.example/?x=1", "question mark"},
		{"SAGE_REQUESTS_PER_SECOND", "0", "more than 0"},
		{"SAGE_REQUESTS_PER_SECOND", "NaN", "more than 0"},
		{"SAGE_REQUESTS_PER_SECOND", "three", "number such as"},
		{"SAGE_BRANCH_ID", "-1", "starter check"},
		{"SAGE_ORDER_STATUS_WON", "won", "whole number"},
		{"SAGE_EXTRA_FIELDS", "PaymentStatus", "pairs"},
		{"SAGE_EXTRA_FIELDS", "Paid:Z_Paid", "PaymentStatus"},
		{"SAGE_EXTRA_FIELDS", "PaidAt:", "no field"},
		{"SAGE_DEFAULT_FIELDS", `{"accounts":1}`, "JSON"},
		{"SAGE_DEFAULT_FIELDS", `{"accounts":{}} {}`, "JSON"},
		{"SAGE_DEFAULT_FIELDS", `{"orders":{}}`, "salesorders"},
		{"SAGE_SETTLE_DELAY", "-1s", "negative"},
		{"SAGE_SETTLE_DELAY", "5", "duration such as"},
		{"MATCH_OPEN_ORDERS_WITHIN", "-1h", "negative"},
		{"ADOPTED_LINES", "merge", "keep or replace"},
		{"TEST_ORDERS", "mix", "drop or only"},
		{"READ_ONLY", "perhaps", "true or false"},
		{"FULFILLMENTS", "maybe", "true or false"},
		{"FULFILLMENT_WITHOUT_TRACKING", "delivered", "processing or shipped"},
		{"DIGITAL_ORDERS", "drop", "deliver or ship"},
		{"FULFILLMENT_VERIFY", "all", "partial or open or off"},
		{"GHL_SETTLE_DELAY", "10ms", "at least 1s"},
		{"SAGE_ACTIVITY_TYPE_ID", "-4", "starter check"},
		{"SAGE_HOOK_TOKEN", "a token with blanks in it", "stands in an address"},
		{"DELIVERY_WEBHOOK_SECRET", "hunter2", "at least 16"},
		{"NOTIFY_STEPS", "created", "processing, shipped"},
		{"NOTIFY_STEPS", "shipped,lost", "processing, shipped"},
		{"LINK_GHL_ORDER", "app.example/{order}", "http or https address"},
		{"LINK_GHL_ORDER", "https://app.example/{location}/{id}", "no placeholder {id}"},
		{"LINK_WORKFLOW", "javascript://{workflow}", "http or https address"},
		{"NOTIFY_TEMPLATES", "no/such/file", "cannot be used"},
		{"FULFILLMENT_SYNC_INTERVAL", "0s", "at least 1s"},
		{"FULFILLMENT_WINDOW", "90d", "duration such as"},
		{"SYNC_INTERVAL", "0s", "at least 1s"},
		{"RECONCILE_INTERVAL", "0s", "at least 1s"},
		{"RECONCILE_DEEP_INTERVAL", "1ms", "at least 1s"},
		{"RECONCILE_OVERLAP", "-2h", "negative"},
		{"SYNC_OVERLAP", "-2h", "negative"},
		{"SYNC_FROM", "yesterday", "YYYY-MM-DD"},
		{"DEEP_SYNC_INTERVAL", "daily", "duration such as"},
		{"REFUND_WINDOW", "0s", "at least 1s"},
		{"DIFFERENCE_AGE", "-1m", "negative"},
		{"REVENUE_REPORT", "document", "use activity"},
		{"REVENUE_REPORT", "mail", "off or activity"},
		{"REVENUE_REPORT_ACCOUNT", "-4", "ids are positive"},
		{"REVENUE_REPORT_DAY", "31", "from 1 to 28"},
		{"REVENUE_REPORT_DAY", "0", "from 1 to 28"},
		{"REVENUE_REPORT_DAY", "second", "number"},
		{"WATCHDOG_INTERVAL", "10ms", "at least 1s, or 0s"},
		{"WATCHDOG_GRACE", "-1s", "negative"},
		{"WATCHDOG_REMIND", "daily", "duration such as"},
		{"WATCHDOG_MISSED_SWEEPS", "1", "at least 2"},
		{"WATCHDOG_QUEUE_AGE", "0s", "at least 1s"},
		{"WATCHDOG_PARKED_AGE", "-1h", "negative"},
		{"WATCHDOG_QUOTA_LEFT", "100", "from 0 to 99"},
		{"WORKER_POLLERS", "1", "at least 2"},
		{"SHUTDOWN_TIMEOUT", "0s", "at least 1s"},
		{"LOG_LEVEL", "loud", "debug, info, warn or error"},
		{"LOG_FORMAT", "xml", "text or json"},
	} {
		t.Run(c.variable+"="+c.value, func(t *testing.T) {
			environment(t, complete, map[string]string{c.variable: c.value})
			_, err := config.Load(config.Worker)
			var faults config.Faults
			require.ErrorAs(t, err, &faults)
			require.Len(t, faults, 1, "%v", err)
			if c.variable != "GHL_CLIENT_SECRET" { // what is missing beside it is told
				require.Equal(t, c.variable, faults[0].Variable)
			}
			require.Contains(t, faults[0].Problem, c.says)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestReportsOfRevenueNeedAnAccount(t *testing.T) {
	environment(t, complete, map[string]string{"REVENUE_REPORT": "activity"})
	_, err := config.Load(config.Worker)
	var faults config.Faults
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults, 1)
	require.Equal(t, "REVENUE_REPORT_ACCOUNT", faults[0].Variable)
	environment(t, complete, map[string]string{"REVENUE_REPORT": "activity", "REVENUE_REPORT_ACCOUNT": "42"})
	c, err := config.Load(config.Worker)
	require.NoError(t, err)
	require.Equal(t, config.RevenueActivities, c.Books.Report)
	require.EqualValues(t, 42, c.Books.ReportAccount)
	require.Equal(t, 2, c.Books.ReportDay)
}

func TestAllFaultsAtOnce(t *testing.T) {
	environment(t, map[string]string{
		"SYNC_INTERVAL": "soon", "SAGE_PRIVATE_KEY": marker, "SAGE_REQUESTS_PER_SECOND": "-1", "LOG_FORMAT": "xml",
	})
	_, err := config.Load(config.Worker)
	var faults config.Faults
	require.ErrorAs(t, err, &faults)
	var named []string
	for _, f := range faults {
		named = append(named, f.Variable)
	}
	require.Equal(t, []string{
		"SECRET_KEYS", "GHL_LOCATION_ID", "GHL_PRIVATE_TOKEN", "SAGE_PUBLIC_KEY", "SAGE_REQUESTS_PER_SECOND", "SYNC_INTERVAL", "LOG_FORMAT",
	}, named, "in the order of the documentation")
	require.Equal(t, len(named), strings.Count(err.Error(), "\n"), "one line a fault")
	require.NotContains(t, err.Error(), marker)
}

func TestRolesNeedDifferentThings(t *testing.T) {
	for role, needs := range map[config.Role][]string{
		config.Worker:  {"SECRET_KEYS", "GHL_LOCATION_ID", "GHL_PRIVATE_TOKEN", "SAGE_PUBLIC_KEY", "SAGE_PRIVATE_KEY"},
		config.Serve:   {"SECRET_KEYS", "GHL_LOCATION_ID"},
		config.Check:   {"GHL_LOCATION_ID", "GHL_PRIVATE_TOKEN", "SAGE_PUBLIC_KEY", "SAGE_PRIVATE_KEY"},
		config.Command: {"SECRET_KEYS"},
	} {
		t.Run(string(role), func(t *testing.T) {
			environment(t)
			_, err := config.Load(role)
			var faults config.Faults
			require.ErrorAs(t, err, &faults)
			var named []string
			for _, f := range faults {
				named = append(named, f.Variable)
			}
			require.Equal(t, needs, named)
			enough := map[string]string{}
			for _, name := range needs {
				enough[name] = complete[name]
			}
			environment(t, enough)
			_, err = config.Load(role)
			require.NoError(t, err)
		})
	}
}

func TestEmptyCountsAsUnset(t *testing.T) {
	environment(t, complete, map[string]string{"SAGE_BRANCH_ID": "", "SYNC_INTERVAL": " ", "READ_ONLY": ""})
	c, err := config.Load(config.Worker)
	require.NoError(t, err)
	require.Zero(t, c.Sage.BranchID)
	require.Equal(t, 5*time.Minute, c.Sync.Interval)
}

func TestSeveralWebhookKeys(t *testing.T) {
	one, two := publicKey(t), publicKey(t)
	for _, text := range []string{one + two, strings.ReplaceAll(one+two, "\n", `\n`), one + "\n\n" + two + "\n"} {
		environment(t, complete, map[string]string{"GHL_WEBHOOK_PUBLIC_KEYS": text})
		c, err := config.Load(config.Serve)
		require.NoError(t, err)
		require.Len(t, c.GHL.WebhookPublicKeys, 2)
		require.Equal(t, "2 keys", c.GHL.WebhookPublicKeys.String())
	}
}

func publicKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestSummaryShowsNoSecret(t *testing.T) {
	environment(t, complete, map[string]string{
		"DATABASE_URL": "postgres://u:" + marker + "@db/x?password=" + marker, "ADMIN_TOKEN": marker,
		"SAGE_BRANCHID": "4",
	})
	c, err := config.Load(config.Worker)
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("starting", "config", c)
	whole, err := json.Marshal(c)
	require.NoError(t, err)
	for _, shown := range []string{log.String(), c.String(), fmt.Sprintf("%v %+v", c.Secrets, c.GHL), fmt.Sprintf("%#v", c.Sage), string(whole)} {
		require.NotContains(t, shown, marker)
		require.NotContains(t, shown, ringKey)
	}
	require.Contains(t, log.String(), "config.GHL_PRIVATE_TOKEN=set")
	require.Contains(t, log.String(), `config.SECRET_KEYS="keys k1"`)
	require.Contains(t, log.String(), "postgres://u:xxxxx@db/x")
	require.Contains(t, log.String(), "config.not_understood=SAGE_BRANCHID")
}

func TestLoopback(t *testing.T) {
	for address, want := range map[config.Address]bool{
		"127.0.0.1:80": true, "[::1]:80": true, "localhost:80": true, "": true,
		":80": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, "example.com:80": false,
	} {
		require.Equal(t, want, address.Loopback(), address)
	}
}

// TestNothingLeavesThisMachineInTheClear: without TLS there are only this machine and names that a network of one's own
// resolves, however an address elsewhere is written.
func TestNothingLeavesThisMachineInTheClear(t *testing.T) {
	for address, good := range map[string]bool{
		"https://vendor.example": true, "https://203.0.113.9": true, "https://[2001:db8::1]:8443": true,
		"http://localhost:8080": true, "http://127.0.0.1": true, "http://[::1]:1": true,
		"http://relay": true, "http://relay-1:8080/api": true, "http://my_relay": true, "http://7up": true,
		"http://vendor.example": false, "http://vendor.": false, "http://203.0.113.9": false, "http://10.0.0.1": false,
		"http://[2001:db8::1]": false, "http://[2001:db8::1]:80/x": false, "http://[fe80::1%25eth0]": false,
		"http://[::ffff:cb00:7109]": false, "http://[::]": false, "http://3405803785": false, "http://0xcb007109": false,
		"http://031300070411": false, "http://vendor\u3002example": false, "http://vendor\uff0eexample": false,
	} {
		var base config.BaseURL
		var link config.LinkURL
		var hook config.WebhookURL
		for name, err := range map[string]error{
			"base": base.Decode(address), "link": link.Decode(address + "?key=x"), "webhook": hook.Decode(address + "?key=x"),
		} {
			if good {
				require.NoError(t, err, "%s %s", name, address)
			} else {
				require.ErrorContains(t, err, "in the clear", "%s %s", name, address)
			}
		}
	}
}

// TestEveryVariableIsDescribed: a name, a meaning, a group, and no two of one name.
func TestEveryVariableIsDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range config.Variables() {
		require.Regexp(t, `^[A-Z][A-Z0-9_]+$`, v.Name)
		require.False(t, seen[v.Name], v.Name)
		seen[v.Name] = true
		require.NotEmpty(t, v.Group, v.Name)
		require.Regexp(t, `^[A-Z].*\.$`, v.Description, v.Name)
	}
}

func TestDocumentationIsCurrent(t *testing.T) {
	written, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	require.Equal(t, config.Markdown(), string(written), "run: go generate ./internal/config")
}

func TestAnAppConnectsWithoutALocationOfTheEnvironment(t *testing.T) {
	app := map[string]string{"SECRET_KEYS": "k1:" + ringKey, "GHL_CLIENT_ID": "app-1"}
	environment(t, app)
	_, err := config.Load(config.Serve)
	require.ErrorContains(t, err, "GHL_CLIENT_SECRET")
	require.ErrorContains(t, err, "PUBLIC_URL")
	require.NotContains(t, err.Error(), "GHL_LOCATION_ID")

	environment(t, app, map[string]string{
		"GHL_CLIENT_SECRET": marker, "PUBLIC_URL": "https://tally.example/", "NOTIFY_WEBHOOK_URL": "https://hooks.example/" + marker,
		"GHL_SCOPES": "payments/orders.readonly, contacts.readonly\n products.write",
	})
	c, err := config.Load(config.Serve)
	require.NoError(t, err)
	require.True(t, c.GHL.OAuthEnabled())
	require.Equal(t, "https://tally.example/oauth/ghl/callback", c.OAuthRedirect())
	require.Equal(t, "https://services.leadconnectorhq.com/oauth/token", c.GHL.TokenEndpoint())
	require.Equal(t, config.Scopes{"payments/orders.readonly", "contacts.readonly", "products.write"}, c.GHL.Scopes)
	require.NotContains(t, c.String(), marker)

	t.Setenv("PUBLIC_URL", "")
	t.Setenv("GHL_REDIRECT_URL", "https://other.example/back?x=1")
	t.Setenv("GHL_TOKEN_URL", "https://tokens.example/t")
	c, err = config.Load(config.Serve)
	require.NoError(t, err)
	require.Equal(t, "https://other.example/back?x=1", c.OAuthRedirect())
	require.Equal(t, "https://tokens.example/t", c.GHL.TokenEndpoint())
}

func TestSettingsOfAConnectionAreReadFromAFile(t *testing.T) {
	environment(t, complete, map[string]string{"SAGE_BRANCH_ID": "9"})
	s, err := config.LoadSettings(strings.NewReader("# of the second shop\nexport SAGE_PUBLIC_KEY=\"" + marker + "\"\n" +
		"SAGE_PRIVATE_KEY=" + marker + "\nSAGE_EXTRA_FIELDS=PaidAt:Z_When\nGHL_PRIVATE_TOKEN=" + marker + "\n"))
	require.NoError(t, err)
	require.Equal(t, marker, s.Sage.PrivateKey.Reveal())
	require.Equal(t, marker, s.GHL.PrivateToken.Reveal())
	require.Equal(t, map[string]string{"PaidAt": "Z_When"}, s.Sage.ExtraFields)
	require.Zero(t, s.Sage.BranchID, "the environment's branch is another tenant's")
	require.EqualValues(t, "https://api.forcemanager.com/api/v4", s.Sage.BaseURL, "defaults hold")
	require.True(t, s.Shipping.On, "defaults hold")
	require.Equal(t, "9", os.Getenv("SAGE_BRANCH_ID"), "the environment is as it was")

	_, err = config.LoadSettings(strings.NewReader("SAGE_PUBLIC_KEY=" + marker + "\nSAGE_BRANCH_ID=x\nDATABASE_URL=" + marker + "\nREAD_ONLY=true"))
	var faults config.Faults
	require.ErrorAs(t, err, &faults)
	var named []string
	for _, f := range faults {
		named = append(named, f.Variable)
	}
	require.Equal(t, []string{"DATABASE_URL", "READ_ONLY", "SAGE_BRANCH_ID", "SAGE_PRIVATE_KEY"}, named)
	require.NotContains(t, err.Error(), marker)

	_, err = config.LoadSettings(strings.NewReader("what " + marker))
	require.Error(t, err)
	require.NotContains(t, err.Error(), marker)
}
