package live

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	highlevel "github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
	tenant "github.com/tallystick/tallystick/sandbox/sage"
)

// personal is planted wherever the sandboxes take a name, so that any of it in a finding is seen.
const personal = "Zebediah"

// bend changes what a sandbox answers; it may answer itself and return true.
type bend func(w http.ResponseWriter, r *http.Request, answer *httptest.ResponseRecorder) bool

// bent serves a sandbox whose answers go through the bends.
func bent(t *testing.T, sandbox http.Handler, bends ...bend) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		sandbox.ServeHTTP(answer, r)
		for _, b := range bends {
			if b(w, r, answer) {
				return
			}
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// serves answers a path with a document, as the parts of HighLevel that the sandbox has not.
func serves(path, document string) bend {
	return func(w http.ResponseWriter, r *http.Request, _ *httptest.ResponseRecorder) bool {
		if r.URL.Path != path {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(document))
		return true
	}
}

// replaces changes the texts of answers to calls of some paths.
func replaces(path string, pairs ...string) bend {
	paths := regexp.MustCompile(path)
	return func(_ http.ResponseWriter, r *http.Request, answer *httptest.ResponseRecorder) bool {
		if paths.MatchString(r.URL.Path) {
			answer.Body = bytes.NewBufferString(strings.NewReplacer(pairs...).Replace(answer.Body.String()))
			answer.Header().Del("Content-Length")
		}
		return false
	}
}

// forgets drops filters before they reach the sandbox.
func forgets(sandbox http.Handler, filters ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		for _, name := range filters {
			query.Del(name)
		}
		r.URL.RawQuery = query.Encode()
		sandbox.ServeHTTP(w, r)
	})
}

// never answers calls with a filter with an empty list.
func never(filter string) bend {
	return func(w http.ResponseWriter, r *http.Request, answer *httptest.ResponseRecorder) bool {
		return r.URL.Query().Has(filter) && serves(r.URL.Path, `{"data":[],"totalCount":0}`)(w, r, answer)
	}
}

// status answers calls of a path with a status.
func status(path string, code int) bend {
	return func(_ http.ResponseWriter, r *http.Request, answer *httptest.ResponseRecorder) bool {
		if strings.HasSuffix(r.URL.Path, path) {
			answer.Code = code
		}
		return false
	}
}

// header sets a header, or takes it away.
func header(name, value string) bend {
	return func(_ http.ResponseWriter, _ *http.Request, answer *httptest.ResponseRecorder) bool {
		answer.Header()[name] = nil
		if value != "" {
			answer.Header().Set(name, value)
		}
		return false
	}
}

// coupons answers the list of coupons in both of its versions.
func coupons(v2, v3 string) bend {
	return func(w http.ResponseWriter, r *http.Request, answer *httptest.ResponseRecorder) bool {
		document := v2
		if r.Header.Get("Version") == "v3" {
			document = v3
		}
		return serves("/payments/coupon/list", document)(w, r, answer)
	}
}

const (
	aCoupon     = `{"data":[{"_id":"c1","code":"FEST"}],"totalCount":1}`
	aLinked     = `{"data":[{"_id":"c1","code":"FEST","productIds":["p1"]}],"totalCount":1}`
	aProduct    = `{"products":[],"total":[{"total":0}]}`
	aStock      = `{"inventory":[],"total":{"total":0}}`
	nobodyFound = `{"contact":null}`
)

var elsewhere = []bend{
	coupons(aCoupon, aLinked), serves("/products/", aProduct), serves("/products/inventory", aStock),
	serves("/contacts/search/duplicate", nobodyFound),
	serves("/payments/subscriptions", `{"data":[{"_id":"s1","status":"sleeping"}],"totalCount":1}`),
}

// sells fills a location: an order with tax that is paid, an invoice's order, and a free one.
func sells(t *testing.T, options ghl.Options, orders ...ghl.NewOrder) *ghl.Server {
	t.Helper()
	options.NoLimits = options.Limits == ghl.Limits{Burst: -1}
	server := ghl.New(options)
	t.Cleanup(server.Close)
	price := server.AddPrice(ghl.Price{ProductID: server.AddProduct(ghl.Product{Name: "Tee"}), Name: "XL", Amount: domain.NewMoney(1000, "EUR")})
	contact := server.AddContact(ghl.Contact{FirstName: personal, LastName: personal, Email: personal + "@example.com"})
	for _, in := range orders {
		in.Currency, in.ContactID, in.Lines = "EUR", contact, []ghl.NewLine{{PriceID: price, Qty: 1}}
		placed, err := server.PlaceOrder(in)
		require.NoError(t, err)
		if placed.Amount.Minor > 0 {
			_, err = server.TakePayment(placed.ID, ghl.NewPayment{})
		} else {
			err = server.SetOrderStatus(placed.ID, "completed")
		}
		require.NoError(t, err)
	}
	return server
}

func usual() []ghl.NewOrder {
	tax := []ghl.Tax{{ID: "t1", Name: "VAT", Calculation: "exclusive", Rate: "10", Amount: domain.NewMoney(100, "EUR")}}
	return []ghl.NewOrder{{Taxes: tax}, {InvoiceNumber: "7"}, {InvoiceNumber: "7"}, {Discount: domain.NewMoney(1000, "EUR")}}
}

// verdicts asks a location and gives what was found by assumption.
func (a *asked) highLevel(t *testing.T, server *ghl.Server, bends ...bend) map[string]Finding {
	t.Helper()
	return a.highLevelThrough(t, server, server, bends...)
}

func (a *asked) highLevelThrough(t *testing.T, server *ghl.Server, handler http.Handler, bends ...bend) map[string]Finding {
	t.Helper()
	findings, err := AskHighLevel(t.Context(), HighLevelKeys{BaseURL: bent(t, handler, bends...), LocationID: server.Location(),
		Token: server.Token(), Limiter: highlevel.NewLimiterAt(0, 0)})
	require.NoError(t, err)
	return a.note(t, findings)
}

// asked collects what the probes were seen to find out.
type asked struct{ seen map[string][]Verdict }

func (a *asked) note(t *testing.T, findings []Finding) map[string]Finding {
	t.Helper()
	byID := map[string]Finding{}
	for _, f := range findings {
		require.NotEmpty(t, f.Why)
		require.NotContains(t, f.Why, personal)
		require.NotContains(t, f.Why, "ghl:order:")
		byID[f.ID] = f
		a.seen[f.ID] = append(a.seen[f.ID], f.Verdict)
	}
	return byID
}

// is checks some of the verdicts.
func is(t *testing.T, found map[string]Finding, verdict Verdict, ids ...string) {
	t.Helper()
	for _, id := range ids {
		assert.Equal(t, verdict, found[id].Verdict, "%s: %s", id, found[id].Why)
	}
}

func TestProbesFindOut(t *testing.T) {
	all := &asked{seen: map[string][]Verdict{}}
	t.Run("HighLevel", func(t *testing.T) { askedHighLevel(t, all) })
	t.Run("Sage", func(t *testing.T) { askedSage(t, all) })

	// "May be" is never refuted, and a length of page is refused only by a vendor that never gave one.
	unfailing := []string{"A07", "A11", "A14", "A37", "A39", "A60"}
	for _, id := range IDs() {
		assert.Contains(t, all.seen[id], Holds, "no sandbox shows %s to hold", id)
		if !slices.Contains(unfailing, id) {
			assert.Contains(t, all.seen[id], Fails, "no bent sandbox shows %s not to hold", id)
		}
	}
}

func askedHighLevel(t *testing.T, all *asked) {
	found := all.highLevel(t, sells(t, ghl.Options{}, usual()...), elsewhere...)
	is(t, found, Holds, "A01", "A02", "A05", "A06", "A07", "A08", "A09", "A12", "A13", "A14", "A18", "A19", "A21", "A28",
		"A31", "A32", "A39", "A93", "A96")
	is(t, found, Open, "A10", "A11", "A20")

	many := all.highLevel(t, sells(t, ghl.Options{WrapLists: true, EndInclusive: true, AltTypeOptional: true, KeepPending: true,
		Limits: ghl.Limits{Burst: 50, Interval: 20 * time.Second, Daily: 1000}}, append(usual(), make([]ghl.NewOrder, 100)...)...),
		append([]bend{header("X-Ratelimit-Daily-Reset", "3600000"), coupons(aLinked, aLinked), serves("/products/", `{"products":[],"total":["many"]}`),
			serves("/contacts/search/duplicate", `{"contact":{"id":"1"}}`)}, elsewhere...)...)
	is(t, many, Holds, "A09", "A10", "A11", "A20")
	is(t, many, Fails, "A12", "A19", "A28", "A31", "A32")

	strange := all.highLevel(t, sells(t, ghl.Options{PlainSummary: true}, usual()...),
		replaces("", `"succeeded"`, `"cashed in"`, `"createdAt"`, `"made"`, `"entityId"`, `"of"`,
			`"completed"`, `"done"`, `"price":{"_id"`, `"price":{"no"`, `"product":{"_id"`, `"product":{"no"`),
		header("Date", "yesterday"), header("X-Ratelimit-Daily-Reset", "soon"), status("/payments/orders/"+nobody, http.StatusTeapot))
	is(t, strange, Fails, "A02", "A18", "A20", "A21", "A96")
	is(t, strange, Open, "A06", "A14", "A28", "A32")

	server := sells(t, ghl.Options{}, usual()...)
	careless := all.highLevelThrough(t, server, forgets(server, "entityId", "sourceId"), never("startAt"),
		replaces("/transactions$", `"amount":11,`, `"amount":1100,`))
	is(t, careless, Fails, "A01", "A06", "A08", "A09")

	is(t, all.highLevel(t, sells(t, ghl.Options{})), Open, "A01", "A02", "A05", "A06", "A07", "A08", "A09", "A13", "A14", "A18", "A37")

	refused := all.highLevel(t, sells(t, ghl.Options{}), status("/payments/orders", http.StatusUnprocessableEntity))
	is(t, refused, Fails, "A10", "A93")
}

// keeps fills a tenant with orders of its own making and of ours.
func keeps(t *testing.T, options tenant.Options, orders int) *tenant.Server {
	t.Helper()
	server := tenant.New(options)
	t.Cleanup(server.Close)
	account, err := server.PeopleCreate("accounts", map[string]any{"name": personal, "branchId": id(server, "branches"), "salesRepId1": 7})
	require.NoError(t, err)
	for i := range orders {
		_, err := server.PeopleCreate("salesorders", map[string]any{"reference": personal + strconv.Itoa(i), "extId": "ghl:order:a" + strconv.Itoa(i),
			"branchId": id(server, "branches"), "salesRepId": 7, "statusId": id(server, "salesorderStatuses"), "accountId": account, "total": json.Number("1")})
		require.NoError(t, err)
	}
	return server
}

func id(server *tenant.Server, resource string) int64 { return server.Live(resource)[0].ID }

func (a *asked) sage(t *testing.T, server *tenant.Server, bends ...bend) map[string]Finding {
	t.Helper()
	return a.sageThrough(t, server, server, bends...)
}

func (a *asked) sageThrough(t *testing.T, server *tenant.Server, handler http.Handler, bends ...bend) map[string]Finding {
	t.Helper()
	public, private := server.Keys()
	findings, err := AskSage(t.Context(), SageKeys{BaseURL: bent(t, handler, bends...) + tenant.BasePath, PublicKey: public, PrivateKey: private,
		Limiter: sage.NewLimiter(0, 0)})
	require.NoError(t, err)
	return a.note(t, findings)
}

func askedSage(t *testing.T, all *asked) {
	now := time.Now().Add(-24 * time.Hour)
	ticking := func() time.Time { now = now.Add(time.Second); return now }
	found := all.sage(t, keeps(t, tenant.Options{Now: ticking, SessionLife: time.Hour}, 4))
	is(t, found, Holds, "A40", "A44", "A46", "A47", "A48", "A49", "A51", "A52", "A53", "A62", "A63", "A65", "A68", "A73", "A96")
	is(t, found, Open, "A60")

	is(t, all.sage(t, keeps(t, tenant.Options{ClockOffset: time.Hour, ExtraFields: []tenant.ExtraField{}}, 1)), Holds, "A60")

	empty := all.sage(t, keeps(t, tenant.Options{ExtraFields: []tenant.ExtraField{}, Statuses: []tenant.Status{{Name: "Open"}}}, 0))
	is(t, empty, Open, "A44", "A46", "A47", "A51", "A52", "A60", "A62", "A63", "A73")
	is(t, empty, Fails, "A68")

	server := keeps(t, tenant.Options{Now: ticking, SessionLife: time.Hour}, 4)
	oneSession := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/login") {
			server.EndSessions()
		}
		server.ServeHTTP(w, r)
	})
	strange := all.sageThrough(t, server, oneSession, status("/"+strconv.Itoa(noRecord), http.StatusNotFound), refusesFilters, reversed,
		header("Date", "yesterday"), replaces("/salesorders(/[0-9]+)?$", `"Z_`, `"Y_`), replaces("/schema$", `"maxLength":`, `"maxLength":1,"most":`))
	is(t, strange, Fails, "A40", "A44", "A46", "A47", "A48", "A49", "A51", "A52", "A53", "A62", "A65", "A73", "A96")
}

// refusesFilters finds nothing under any filter, and refuses those with a quote or of a great length.
func refusesFilters(_ http.ResponseWriter, r *http.Request, answer *httptest.ResponseRecorder) bool {
	where := r.URL.Query().Get("where")
	switch {
	case where == "":
	case len(where) > 500 || strings.Contains(where, "''"):
		answer.Code = http.StatusBadRequest
	default:
		answer.Body = bytes.NewBufferString("[]")
	}
	return false
}

// reversed gives lists in the other order, and ignores how many rows were asked for.
func reversed(_ http.ResponseWriter, r *http.Request, answer *httptest.ResponseRecorder) bool {
	var rows []json.RawMessage
	if r.Method == http.MethodGet && json.Unmarshal(answer.Body.Bytes(), &rows) == nil {
		slices.Reverse(rows)
		if len(rows) == 2 {
			rows = rows[:1]
		}
		answer.Body.Reset()
		_ = json.NewEncoder(answer.Body).Encode(rows)
	}
	return false
}

// TestTheListSaysWhatIsProbed keeps docs/assumptions.md and the probes together.
func TestTheListSaysWhatIsProbed(t *testing.T) {
	document, err := os.ReadFile("../../docs/assumptions.md")
	require.NoError(t, err)
	var promised []string
	for _, row := range regexp.MustCompile("(?m)^\\| (A\\d{2}) \\|.*`make contract`[^|]*\\|$").FindAllSubmatch(document, -1) {
		promised = append(promised, string(row[1]))
	}
	require.Equal(t, IDs(), promised, "the rows that say make contract, and the probes")
}
