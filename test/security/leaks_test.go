package security

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/stack"
	"github.com/tallystick/tallystick/test/harness"
	"github.com/tallystick/tallystick/workflows"
)

const (
	second = "Second0Location00001"

	clientSecret = "planted-client-secret-5d1f"
	privateToken = "pit-planted-token-77c1"
	adminToken   = "planted-admin-token-90ab"
	tenantKey    = "planted-tenant-public-key"
	tenantSecret = "planted-tenant-private-key"
)

// planted is a buyer all of whose data are marks.
func planted(t *testing.T, m *marks) ghl.Contact {
	t.Helper()
	c := ghl.Contact{
		FirstName: "Plantedgiven", LastName: "Plantedsurname", Email: "planted.buyer@personal.example", Phone: "+4915112345678",
		CompanyName: "Planted Company & Sons", Address1: "Plantedstreet 77", City: "Plantedtown", PostalCode: "PLANTED-11999",
	}
	m.plant(t, "a name", c.FirstName, c.LastName, c.CompanyName)
	m.plant(t, "an e-mail address", c.Email)
	m.plant(t, "a phone number", c.Phone[1:], "015112345678")
	m.plant(t, "a postal address", c.Address1, c.City, c.PostalCode)
	return c
}

// settings marks what processes and commands are configured with.
func (m *marks) settings(t *testing.T, s *stack.Stack) {
	t.Helper()
	set := s.Settings()
	public, private := s.Sage.Keys()
	m.plant(t, "a Sage key", public, private, tenantKey, tenantSecret)
	m.plant(t, "a private token", s.GHL.Token(), privateToken)
	m.plant(t, "the client secret", s.GHL.ClientSecret())
	m.plant(t, "ADMIN_TOKEN", set["ADMIN_TOKEN"])
	for entry := range strings.SplitSeq(set["SECRET_KEYS"], ",") {
		_, key, _ := strings.Cut(entry, ":")
		material, err := base64.StdEncoding.DecodeString(key)
		require.NoError(t, err)
		m.plant(t, "a key of SECRET_KEYS", key, string(material))
	}
}

// traveller is a browser's way out. It marks what a journey to HighLevel and back is made of.
type traveller struct {
	t *testing.T
	m *marks
}

func (v traveller) RoundTrip(r *http.Request) (*http.Response, error) {
	v.query(r)
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		for _, cookie := range response.Cookies() {
			v.m.plant(v.t, "a cookie", cookie.Value)
		}
	}
	return response, err
}

func (v traveller) query(r *http.Request) {
	for name, what := range map[string]string{"ticket": "a ticket", "state": "a state", "code": "a code"} {
		v.m.plant(v.t, what, r.URL.Query()[name]...)
	}
}

// watchTokens marks every pair of an owner that there is until the test ends.
func (m *marks) watchTokens(t *testing.T, vendor *ghl.Server, owner string) {
	t.Helper()
	over := make(chan struct{})
	var watching sync.WaitGroup
	t.Cleanup(func() { close(over); watching.Wait() })
	watching.Go(func() {
		tick := time.NewTicker(glance)
		defer tick.Stop()
		for {
			if pair, ok := vendor.LivePair(owner); ok {
				m.plant(t, "an access token", pair.Access)
				m.plant(t, "a refresh token", pair.Refresh)
			}
			select {
			case <-over:
				return
			case <-tick.C:
			}
		}
	})
}

// tenant is a Sage tenant whose sessions are marks.
func tenant(t *testing.T, m *marks, plan *faults.Plan) (*sage.Server, string) {
	t.Helper()
	users := sage.DefaultUsers()
	users[0].PublicKey, users[0].SecretKey = tenantKey, tenantSecret
	books := sage.New(sage.Options{Users: users, Faults: plan})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.plant(t, "a session of Sage", r.Header.Get("X-Session-Key"))
		books.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { server.Close(); books.Close() })
	return books, server.URL + sage.BasePath
}

// TestNothingSecretOrPersonalIsLeftBehind plants marks wherever a secret or a personal datum comes in, lets things go
// well and badly, and looks for them in everything that the processes write, serve and send: logs, metrics, traces,
// the store, Temporal's files and what it shows, messages to people, and what commands print.
func TestNothingSecretOrPersonalIsLeftBehind(t *testing.T) {
	var m marks
	collector := record(t)
	people := harness.Listen(t)
	plan := faults.NewPlan(5, faults.None)
	const hook = "/services/planted-webhook-path"
	s := harness.Start(t, stack.Options{
		Temporal: stack.Temporal{OnDisk: true},
		GHL: ghl.Options{
			NoLimits: true, EnforceScopes: true, Token: "pit-planted-environment-3e", App: ghl.App{ClientSecret: clientSecret}, Faults: plan,
			OAuth: ghl.OAuthOptions{TokenLife: 2 * time.Second},
		},
		Sage: sage.Options{Faults: plan},
		Env: map[string]string{
			"GHL_LOCATION_ID": "", "GHL_PRIVATE_TOKEN": "", "NOTIFY_WEBHOOK_URL": people.URL + hook + "?key=planted-webhook-key",
			"ADMIN_TOKEN": adminToken, "LOG_LEVEL": "debug", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_BSP_SCHEDULE_DELAY": "200",
		},
		Authorize: "auto=" + ghl.DefaultLocation,
	})
	m.settings(t, s)
	m.plant(t, "the address of the notification webhook", hook, "planted-webhook-key")
	first, owner := s.Location(), ghl.OwnerOfLocation(s.Location())
	m.watchTokens(t, s.GHL, owner)

	// Two locations: one by click, one by a private token with a tenant of its own.
	harness.Click(t, s, harness.Browser(t, traveller{t, &m}))
	books, address := tenant(t, &m, plan)
	s.GHL.AddLocation(second, privateToken)
	code, output := harness.Command(t, s, strings.Join([]string{
		"GHL_PRIVATE_TOKEN=" + privateToken, "SAGE_BASE_URL=" + address, "SAGE_PUBLIC_KEY=" + tenantKey, "SAGE_PRIVATE_KEY=" + tenantSecret,
		"SAGE_SALES_REP_ID=51", "SAGE_REQUESTS_PER_SECOND=50", "SAGE_SETTLE_DELAY=500ms",
	}, "\n"), "connect", "add", second, "--env-file", "-")
	require.Zero(t, code, output)
	outputs := remains{"connect add": []byte(output)}

	// The vendors echo what they were sent, and more, while they refuse it.
	buyer := planted(t, &m)
	echo := func(status int, more ...string) faults.Fault {
		body, err := json.Marshal(map[string]any{"statusCode": status, "error": "refused", "message": fmt.Sprintf(
			"cannot take %q for %s, phone %s, Authorization: Bearer %s", more, buyer.Email, buyer.Phone, privateToken)})
		require.NoError(t, err)
		return faults.Fault{Kind: faults.Status, Status: status, Body: string(body)}
	}
	plan.Next("ghl.contacts.get", echo(503))
	plan.Next("sage.accounts.create", echo(500, buyer.CompanyName)) // as it was sent
	plan.Next("sage.salesorders.create", echo(503))
	contact, other := s.GHL.AddContact(buyer), s.GHL.In(second).AddContact(buyer)
	orders := []ghl.Order{
		harness.Buy(t, s, first, contact, domain.NewMoney(4200, "EUR")), harness.Buy(t, s, second, other, domain.NewMoney(2100, "EUR")),
	}
	parked := harness.Buy(t, s, first, contact, domain.NewMoney(900, "CAD")) // Sage has no such currency
	booked(t, s.Sage, orders[0])
	booked(t, books, orders[1])
	require.Eventually(t, func() bool {
		_, found, err := s.Store.ParkedItem(t.Context(), first, store.PaymentToOrder, parked.ID)
		return err == nil && found
	}, patience, glance)

	t.Run("a hint cannot carry an order into another location", func(t *testing.T) { carriesNothingOver(t, s, books, orders[0]) })

	// Tokens of several generations, then none any more, of which people are told.
	require.Eventually(t, func() bool { return s.GHL.Refreshes(owner) >= 2 }, patience, glance)
	s.GHL.RevokeRefresh(owner)
	s.GHL.ExpireAccess(owner)
	require.Eventually(t, func() bool { return len(people.Told(first)) > 0 }, patience, glance)
	require.GreaterOrEqual(t, m.count("a refresh token"), 3)

	for _, arguments := range [][]string{
		{"status"}, {"connect", "list"}, {"connect", "show", first}, {"connect", "show", second, "-o", "json"}, {"keys", "list"},
		{"schedules"}, {"check", "-o", "json"}, {"planned"},
	} {
		_, printed := harness.Command(t, s, "", arguments...)
		outputs[strings.Join(arguments, " ")] = []byte(printed)
	}
	left := lookThrough(t, s)
	left["messages to people"] = []byte(strings.Join(people.Told(), "\n"))
	stopProcesses(t, s) // which sends the last spans
	left.files(t, s.Dir, "keys")
	left["traces"] = collector.bytes()
	maps.Copy(left, outputs)

	for _, what := range []string{"a ticket", "a state", "a code", "a cookie", "a session of Sage", "an access token"} {
		require.NotZero(t, m.count(what), "there was no %s to look for", what)
	}
	left.holdNone(t, &m)
	// That nothing was found is worth something only where something could be.
	left.holds(t, first, "tallystick.db", "running/tallystick.db-wal", "logs/worker.log", "logs/starter.log", "temporal/temporal.db",
		"temporal/temporal.db-visibility", "processes of Temporal", "traces", "messages to people", "connect list")
	left.holds(t, parked.ID, "tallystick.db", "processes of Temporal", "status")
	left.holds(t, "tallystick-worker", "traces")
	left.holds(t, "tallystick_", "metrics of worker", "metrics of starter")
	left.holds(t, "[e-mail]", "logs/worker.log") // what the vendors echoed came that far
}

// carriesNothingOver sends signed webhooks in which the order of one location is said to be of another.
func carriesNothingOver(t *testing.T, s *stack.Stack, books *sage.Server, order ghl.Order) {
	t.Helper()
	before := len(s.Sage.OrdersByExtID(domain.OrderExtID(order.ID)))
	calls := s.GHL.CallCount("ghl.orders.get")
	for _, body := range []string{
		`{"_id":"` + order.ID + `","altId":"` + second + `","altType":"location"}`,
		`{"_id":"` + order.ID + `","locationId":"` + second + `"}`,
		`{"_id":"` + order.ID + `","locationId":"` + s.Location() + `","locationId":"` + second + `"}`,
	} {
		delivery := s.GHL.SendRaw(t.Context(), "OrderStatusUpdate", []byte(body))
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, delivery.Status, body)
	}
	require.Eventually(t, func() bool { return s.GHL.CallCount("ghl.orders.get") > calls }, patience, glance, "the hint is followed")
	// An order of that location that comes later is done when this one would have been.
	own := harness.Buy(t, s, second, s.GHL.In(second).AddContact(ghl.Contact{FirstName: "Bea"}), domain.NewMoney(700, "EUR"))
	booked(t, books, own)
	assert.Empty(t, books.OrdersByExtID(domain.OrderExtID(order.ID)), "the order of one location is in the other's tenant")
	assert.Len(t, s.Sage.OrdersByExtID(domain.OrderExtID(order.ID)), before)
}

func booked(t *testing.T, books *sage.Server, order ghl.Order) {
	t.Helper()
	require.Eventually(t, func() bool { return len(books.OrdersByExtID(domain.OrderExtID(order.ID))) == 1 },
		patience, glance, "order %s is not in Sage", order.ID)
}

// lookThrough gathers what is there while everything runs.
func lookThrough(t *testing.T, s *stack.Stack) remains {
	t.Helper()
	left := remains{"processes of Temporal": processes(t, s)}
	for _, p := range s.Processes() {
		left.page(t, "metrics of "+p.Name, p.MetricsURL)
	}
	for _, path := range []string{"/readyz", "/healthz"} {
		left.page(t, path, s.FrontDoor+path)
	}
	running := remains{}
	running.files(t, s.Dir, "keys") // the sandbox's own file
	for name, content := range running {
		left["running/"+name] = content
	}
	require.Contains(t, left, "running/tallystick.db-wal")
	return left
}

// processes is all that Temporal shows of processes and schedules: ids, types, search attributes and memos.
func processes(t *testing.T, s *stack.Stack) []byte {
	t.Helper()
	var shown strings.Builder
	request := &workflowservice.ListWorkflowExecutionsRequest{}
	for {
		page, err := s.Temporal.ListWorkflow(t.Context(), request)
		require.NoError(t, err)
		for _, run := range page.GetExecutions() {
			text, err := protojson.Marshal(run)
			require.NoError(t, err)
			_, _ = shown.Write(text)
			for name, value := range run.GetSearchAttributes().GetIndexedFields() {
				assert.Contains(t, attributes(), name)
				_, _ = fmt.Fprintf(&shown, "%s=%s\n", name, value.GetData())
			}
			assert.Empty(t, run.GetMemo().GetFields())
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			break
		}
	}
	planned, err := s.Temporal.WorkflowService().ListSchedules(t.Context(), &workflowservice.ListSchedulesRequest{Namespace: s.Namespace})
	require.NoError(t, err)
	require.NotEmpty(t, planned.GetSchedules())
	text, err := protojson.Marshal(planned)
	require.NoError(t, err)
	_, _ = shown.Write(text)
	return []byte(shown.String())
}

// attributes are the search attributes that a process of ours may have: our own, and those that Temporal adds.
func attributes() []string {
	ours := slices.Collect(maps.Keys(workflows.SearchAttributes()))
	return append(ours, "BuildIds", "TemporalScheduledById", "TemporalScheduledStartTime", "TemporalReportedProblems", "TemporalUsedWorkerDeploymentVersions")
}

func stopProcesses(t *testing.T, s *stack.Stack) {
	t.Helper()
	for _, p := range s.Processes() {
		require.NoError(t, p.Stop(t.Context()))
	}
}

// TestARehearsalLeavesNothingBehind: READ_ONLY keeps what would have been written, which is as personal as an order can
// be, and yet nobody reads it without the key.
func TestARehearsalLeavesNothingBehind(t *testing.T) {
	var m marks
	s := harness.Start(t, stack.Options{
		Temporal: stack.Temporal{OnDisk: true}, GHL: ghl.Options{NoLimits: true, Token: privateToken},
		Env: map[string]string{"READ_ONLY": "true", "LOG_LEVEL": "debug", "ADMIN_TOKEN": adminToken},
	})
	m.settings(t, s)
	order := harness.Buy(t, s, s.Location(), s.GHL.AddContact(planted(t, &m)), domain.NewMoney(2000, "EUR"))
	var kept string
	require.Eventually(t, func() bool {
		var code int
		code, kept = harness.Command(t, s, "", "planned", "--full", "-o", "json")
		return code == 0 && strings.Contains(kept, "planted.buyer@personal.example")
	}, patience, 10*glance, "the writes that were kept back hold the buyer")
	_, shown := harness.Command(t, s, "", "planned")
	require.Contains(t, shown, "sage")
	require.Empty(t, s.Sage.OrdersByExtID(domain.OrderExtID(order.ID)))

	left := lookThrough(t, s)
	stopProcesses(t, s)
	left.files(t, s.Dir, "keys")
	left["planned"] = []byte(shown)
	left.holdNone(t, &m)
	left.holds(t, s.Location(), "tallystick.db", "logs/worker.log", "planned")
}
