package sage_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/sage"
)

// client speaks plain HTTP to the server, as a stranger would.
type client struct {
	t      *testing.T
	server *sage.Server
	token  string
	header http.Header // of the last answer
}

func start(t *testing.T, opts sage.Options) *client {
	t.Helper()
	server := sage.New(opts)
	require.NoError(t, server.Start())
	t.Cleanup(server.Close)
	c := &client{t: t, server: server}
	c.login()
	return c
}

func (c *client) login() {
	public, secret := c.server.Keys()
	status, body := c.do("POST", "/login", map[string]any{"username": public, "password": secret})
	require.Equal(c.t, 200, status, body)
	var out struct{ Token string }
	require.NoError(c.t, json.Unmarshal([]byte(body), &out))
	c.token = out.Token
}

func (c *client) do(method, path string, body any, headers ...string) (int, string) {
	c.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		require.NoError(c.t, err)
		in = strings.NewReader(string(raw))
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL()+path, in)
	require.NoError(c.t, err)
	req.Header.Set("X-Session-Key", c.token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	c.header = resp.Header
	return resp.StatusCode, string(out)
}

// create makes a record and gives its id.
func (c *client) create(path string, fields map[string]any) int64 {
	c.t.Helper()
	status, body := c.do("POST", path, fields)
	require.Equal(c.t, 200, status, body)
	var out struct {
		Message string
		ID      int64 `json:"id"`
	}
	require.NoError(c.t, json.Unmarshal([]byte(body), &out))
	require.Equal(c.t, fmt.Sprintf(`{"Message":"entity created","id":%d}`, out.ID), body)
	return out.ID
}

func (c *client) get(path string) map[string]any {
	c.t.Helper()
	status, body := c.do("GET", path, nil)
	require.Equal(c.t, 200, status, body)
	var out map[string]any
	require.NoError(c.t, json.Unmarshal([]byte(body), &out))
	return out
}

// ids lists a resource with a where clause.
func (c *client) ids(resource, where string, headers ...string) []int64 {
	c.t.Helper()
	status, body := c.do("GET", "/"+resource+"?"+url.Values{"where": {where}}.Encode(), nil, headers...)
	require.Equal(c.t, 200, status, body)
	var rows []struct{ ID int64 }
	require.NoError(c.t, json.Unmarshal([]byte(body), &rows))
	out := []int64{}
	for _, r := range rows {
		out = append(out, r.ID)
	}
	return out
}

func (c *client) account(fields map[string]any) int64 {
	c.t.Helper()
	all := map[string]any{"name": "Ada Lovelace", "branchId": c.server.Find("branches", "Main branch"), "salesRepId1": 51}
	for k, v := range fields {
		all[k] = v
	}
	return c.create("/accounts", all)
}

func (c *client) order(fields map[string]any) int64 {
	c.t.Helper()
	all := map[string]any{"reference": "1001", "branchId": c.server.Find("branches", "Main branch"), "salesRepId": 51,
		"statusId": c.server.Find("salesorderStatuses", "Open")}
	for k, v := range fields {
		all[k] = v
	}
	return c.create("/salesorders", all)
}

func TestLoginTokensExpireAndOlderOnesStayUsable(t *testing.T) {
	now := time.Now()
	c := start(t, sage.Options{SessionLife: time.Hour, Now: func() time.Time { return now }})
	first := c.token
	c.login()
	require.NotEqual(t, first, c.token)
	c.token = first
	status, _ := c.do("GET", "/accounts", nil)
	require.Equal(t, 200, status)

	now = now.Add(time.Hour)
	status, body := c.do("GET", "/accounts", nil)
	require.Equal(t, 401, status)
	require.Contains(t, body, "Message")
	c.login()
	status, _ = c.do("GET", "/accounts", nil)
	require.Equal(t, 200, status)

	status, _ = c.do("POST", "/login", map[string]string{"username": "sandbox-public", "password": "wrong"})
	require.Equal(t, 401, status)
	status, _ = c.do("POST", "/login", map[string]string{"publicKey": "sandbox-public", "privateKey": "x"})
	require.Equal(t, 400, status)
}

func TestReferencesAreWrittenAsIntegersAndReadAsObjects(t *testing.T) {
	c := start(t, sage.Options{})
	account := c.account(map[string]any{"extId": "ghl:contact:Abc"})
	order := c.order(map[string]any{"accountId": account, "currencyId": c.server.Find("currencies", "EUR"),
		"total": json.Number("150.10"), "salesForcecastDate": "2026-11-22 10:00:00", "salesForecastDate": "ignored",
		"Z_PaidAmount": json.Number("12.5"), "Z_Unknown": "ignored", "foo": 1})
	got := c.get(fmt.Sprintf("/SalesOrders/%d", order))
	require.Equal(t, map[string]any{"id": float64(account), "value": "Ada Lovelace"}, got["accountId"])
	require.Equal(t, map[string]any{"id": float64(51), "description": "Tallystick API"}, got["salesRepId"])
	require.Equal(t, "EUR", got["currencyId"].(map[string]any)["value"])
	require.Nil(t, got["contactId"])
	require.Nil(t, got["dateUpdated"])
	require.Equal(t, false, got["deleted"])
	require.Equal(t, float64(51), got["salesRepIdCreated"], "who created it is a plain integer")
	require.Equal(t, "2026-11-22T10:00:00Z", got["salesForcecastDate"])
	require.InDelta(t, 12.5, got["Z_PaidAmount"], 0)
	require.NotContains(t, got, "Z_Unknown")
	_, body := c.do("GET", fmt.Sprintf("/salesorders/%d", order), nil)
	require.Contains(t, body, `"total":150.1,`, "a number comes back as a number, not as it was typed")
}

func TestUpdatesArePartialAndDeletesAreSoft(t *testing.T) {
	c := start(t, sage.Options{})
	id := c.account(map[string]any{"email": "ada@example.com"})
	path := fmt.Sprintf("/accounts/%d", id)
	status, body := c.do("PUT", path, map[string]any{"phone": "123"})
	require.Equal(t, 200, status)
	require.Equal(t, `{"Message":"entity updated"}`, body)
	got := c.get(path)
	require.Equal(t, "ada@example.com", got["email"])
	require.Equal(t, "123", got["phone"])
	require.NotNil(t, got["dateUpdated"])
	status, body = c.do("DELETE", path, nil)
	require.Equal(t, 200, status)
	require.Equal(t, `{"Message":"entity deleted"}`, body)
	require.Equal(t, true, c.get(path)["deleted"], "a deleted row can still be read")
	require.Equal(t, []int64{id}, c.ids("accounts", "email='ada@example.com'"), "and is in lists")
	require.Empty(t, c.ids("accounts", "email='ada@example.com' AND deleted=false"))
	for _, method := range []string{"PUT", "DELETE"} {
		status, _ = c.do(method, path, map[string]any{"phone": "1"})
		require.Equal(t, 400, status, method)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		status, _ = c.do(method, "/accounts/999999", map[string]any{})
		require.Equal(t, 400, status, "a missing id is 400, not 404")
	}
}

func TestEveryWriteIsToldOf(t *testing.T) {
	var told []sage.Write
	c := start(t, sage.Options{OnWrite: func(w sage.Write) { told = append(told, w) }})
	id := c.account(map[string]any{})
	status, body := c.do("PUT", fmt.Sprintf("/accounts/%d", id), map[string]any{"city": "Paris"})
	require.Equal(t, 200, status, body)
	require.Equal(t, c.server.Writes(), told)
	require.Equal(t, "sage.accounts.update", told[len(told)-1].Op)
}

func TestWhatIsRefused(t *testing.T) {
	c := start(t, sage.Options{})
	account := c.account(nil)
	gone := c.account(nil)
	c.do("DELETE", fmt.Sprintf("/accounts/%d", gone), nil)
	product := c.create("/products", map[string]any{"model": "Tee"})
	order := c.order(nil)
	line := func(over map[string]any) map[string]any {
		all := map[string]any{"salesOrderId": order, "productId": product, "quantity": 1, "price": 2}
		for k, v := range over {
			all[k] = v
		}
		return all
	}
	for name, c2 := range map[string]struct {
		path string
		body any
	}{
		"no name":              {"/accounts", map[string]any{"branchId": c.server.Find("branches", "Main branch"), "salesRepId1": 51}},
		"blank last name":      {"/contacts", map[string]any{"accountId": account, "firstName": "A", "lastName": "", "salesRepId": 51}},
		"unknown account":      {"/contacts", map[string]any{"accountId": 1, "firstName": "A", "lastName": "B", "salesRepId": 51}},
		"deleted account":      {"/contacts", map[string]any{"accountId": gone, "firstName": "A", "lastName": "B", "salesRepId": 51}},
		"reference as object":  {"/salesordersLines", line(map[string]any{"productId": map[string]any{"id": product}})},
		"fraction of a piece":  {"/salesordersLines", line(map[string]any{"quantity": json.Number("1.5")})},
		"quantity beyond int":  {"/salesordersLines", line(map[string]any{"quantity": json.Number("2147483648")})},
		"amount as a text":     {"/salesordersLines", line(map[string]any{"price": "2"})},
		"description too long": {"/salesordersLines", line(map[string]any{"description": strings.Repeat("ü", 2001)})},
		"an array":             {"/salesordersLines", "[]"},
		"no JSON":              {"/salesordersLines", "{"},
		"no such resource":     {"/payments", map[string]any{}},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(c.server.Writes())
			status, body := c.do("POST", c2.path, c2.body)
			require.Equal(t, 400, status, body)
			require.Contains(t, body, "Message")
			require.Len(t, c.server.Writes(), before)
		})
	}
	c.create("/SALESORDERSLINES", line(map[string]any{"description": strings.Repeat("ü", 2000)}))
	status, _ := c.do("POST", "/currencies", map[string]any{"isoCode": "XXX"})
	require.Equal(t, 405, status)
}

func TestProtectedRecordsAreLeftAlone(t *testing.T) {
	c := start(t, sage.Options{})
	account := c.account(nil)
	order := c.order(nil)
	product := c.create("/products", map[string]any{"model": "Tee"})
	line := map[string]any{"salesOrderId": order, "productId": product, "quantity": 1, "price": 2}
	lineID := c.create("/salesordersLines", line)
	require.NoError(t, c.server.PeopleUpdate("accounts", account, map[string]any{"readOnly": true}))
	require.NoError(t, c.server.PeopleUpdate("salesorders", order, map[string]any{"blocked": true}))
	for _, call := range []struct{ method, path string }{
		{"PUT", fmt.Sprintf("/accounts/%d", account)}, {"DELETE", fmt.Sprintf("/accounts/%d", account)},
		{"PUT", fmt.Sprintf("/salesorders/%d", order)}, {"PUT", fmt.Sprintf("/salesordersLines/%d", lineID)},
		{"DELETE", fmt.Sprintf("/salesordersLines/%d", lineID)}, {"POST", "/salesordersLines"},
	} {
		status, body := c.do(call.method, call.path, line)
		require.Equal(t, 400, status, "%s %s: %s", call.method, call.path, body)
	}
	require.NoError(t, c.server.PeopleUpdate("salesorders", order, map[string]any{"total": domain.Number("3.50")}))
	writes := c.server.Writes()
	last := writes[len(writes)-1]
	require.Equal(t, c.server.Person(), last.UserID)
	require.True(t, last.ByPeople)
	require.Equal(t, []string{"total"}, last.Fields)
	require.Equal(t, "sage.salesorders.update", last.Op)
}

func TestExtIdsMayExistTwiceAndTotalsAreNotComputed(t *testing.T) {
	c := start(t, sage.Options{})
	a := c.order(map[string]any{"extId": "ghl:order:1", "total": 20})
	b := c.order(map[string]any{"extId": "ghl:order:1"})
	product := c.create("/products", map[string]any{"model": "Tee"})
	c.create("/salesordersLines", map[string]any{"salesOrderId": a, "productId": product, "quantity": 5, "price": 30,
		"discount1": 10, "total": 20, "order": 1})
	require.Equal(t, []int64{a, b}, c.ids("salesorders", "extId='ghl:order:1'"))
	orders := c.server.OrdersByExtID("ghl:order:1")
	require.Len(t, orders, 2)
	require.Equal(t, domain.Number("20"), orders[0].Number("total"))
	require.Equal(t, domain.Number("20"), orders[0].Lines[0].Number("total"))
	require.Equal(t, int64(5), orders[0].Lines[0].Int("quantity"))
	require.Equal(t, []int64{orders[0].Lines[0].ID},
		c.ids("salesordersLines", fmt.Sprintf("salesorderId.id=%d", a)))
	require.Nil(t, c.get(fmt.Sprintf("/salesorders/%d", a))["dateUpdated"])
}

func TestPagesStartAtZeroAndHoldFifty(t *testing.T) {
	c := start(t, sage.Options{})
	var all []int64
	for i := range 120 {
		all = append(all, c.account(map[string]any{"name": fmt.Sprintf("Account %03d", i)}))
	}
	page := func(n int, headers ...string) []int64 {
		status, body := c.do("GET", fmt.Sprintf("/accounts?page=%d", n), nil, headers...)
		require.Equal(t, 200, status)
		require.True(t, strings.HasPrefix(body, "["), "lists are bare arrays")
		var rows []struct{ ID int64 }
		require.NoError(t, json.Unmarshal([]byte(body), &rows))
		out := []int64{}
		for _, r := range rows {
			out = append(out, r.ID)
		}
		return out
	}
	require.Equal(t, all[:50], page(0))
	require.Equal(t, all[50:100], page(1))
	require.Equal(t, all[100:], page(2))
	require.Empty(t, page(3))
	require.Equal(t, all[20:40], page(1, "Count", "20"))
	status, body := c.do("GET", "/accounts?order=name&page=0", nil, "Count", "1")
	require.Equal(t, 200, status)
	require.Contains(t, body, "Account 119", "order sorts descending")
	status, _ = c.do("GET", "/accounts?order=name+ASC", nil)
	require.Equal(t, 400, status)
}

func TestWhere(t *testing.T) {
	c := start(t, sage.Options{})
	anna := c.account(map[string]any{"name": "Anna O'Hara", "email": "Anna@Example.com", "extId": "ghl:contact:a"})
	bert := c.account(map[string]any{"name": "Bert", "extId": "ghl:contact:b"})
	order := c.order(map[string]any{"accountId": anna, "total": json.Number("99.90"), "Z_PaymentStatus": "paid"})
	other := c.order(map[string]any{"accountId": bert, "total": 5, "reference": "A-2"})
	status := c.server.Find("salesorderStatuses", "Open")
	for where, want := range map[string][]int64{
		"name='Anna O''Hara'":                                      {anna},
		"email='anna@example.com'":                                 {anna},
		"email<>'x'":                                               {anna},
		"extId IN ('ghl:contact:a', 'ghl:contact:b')":              {anna, bert},
		"extId NOT IN ('ghl:contact:a')":                           {bert},
		"name LIKE 'b%'":                                           {bert},
		"name not like '%e%t%'":                                    {anna},
		fmt.Sprintf("id=%d or extId='ghl:contact:a'", bert):        {anna, bert},
		fmt.Sprintf("id IN (%d,%d) AND deleted = false", bert, 12): {bert},
		"(name='Bert' OR name='x') AND (deleted=false)":            {bert},
		"dateCreated > '2020-01-01T00:00:00Z'":                     {anna, bert},
		"dateUpdated > '2020-01-01T00:00:00Z'":                     {},
	} {
		require.Equal(t, want, c.ids("accounts", where), where)
	}
	for where, want := range map[string][]int64{
		fmt.Sprintf("accountId.id=%d", anna): {order},
		"total=99.9":                         {order},
		"total >= 5 AND total < 99.90":       {other},
		"Z_PaymentStatus='paid'":             {order},
		"reference='a-2'":                    {other},
		fmt.Sprintf("accountId.id=%d AND statusId.id=%d", bert, status):                            {other},
		fmt.Sprintf("accountId.id=%d OR accountId.id=%d", bert, anna):                              {order, other},
		fmt.Sprintf("accountId.id=%d AND dateCreated >= '2020-01-01 00:00:00' AND total=5", bert):  {other},
		fmt.Sprintf("(accountId.id=%d AND (total=5 OR total=6)) AND currencyId.id IN (999)", bert): {},
	} {
		require.Equal(t, want, c.ids("salesorders", where), where)
	}
	for _, where := range []string{"name='Anna O'Hara'", "name=Bert", "name='", "nosuch='x'", "accountId=1", "name.id=1",
		"name eq 'x'", "name='x' AND", "(name='x'", "name='x')", "; DROP TABLE accounts", "id='7'", "deleted='x'",
		"dateCreated>'yesterday'", "name IN ()", "id=1.5", "name LIKE 5"} {
		code, body := c.do("GET", "/accounts?"+url.Values{"where": {where}}.Encode(), nil)
		require.Equal(t, 400, code, where)
		require.Contains(t, body, "901", where)
	}
}

func TestDatesHaveUpToThreeDigitsAndADoubtfulZ(t *testing.T) {
	now := time.Date(2026, 12, 1, 10, 0, 0, 100_000_000, time.UTC)
	c := start(t, sage.Options{Now: func() time.Time { return now }, ClockOffset: time.Hour})
	id := c.account(nil)
	require.Equal(t, "2026-12-01T11:00:00.1Z", c.get(fmt.Sprintf("/accounts/%d", id))["dateCreated"])
	now = now.Add(123 * time.Millisecond)
	require.Equal(t, "2026-12-01T11:00:00.223Z", c.get(fmt.Sprintf("/accounts/%d", c.account(nil)))["dateCreated"])
	require.Equal(t, []int64{id}, c.ids("accounts", "dateCreated < '2026-12-01T11:00:00.2Z'"))
}

func TestExtraFieldsAreDefinedOverTheAPI(t *testing.T) {
	c := start(t, sage.Options{ExtraFields: []sage.ExtraField{}})
	id := c.order(map[string]any{"Z_PaymentStatus": "paid"})
	require.NotContains(t, c.get(fmt.Sprintf("/salesorders/%d", id)), "Z_PaymentStatus")
	field := map[string]any{"entity": "salesorders", "fieldName": "PaymentStatus", "type": "text"}
	fieldID := c.create("/extrafields/salesorders", field)
	status, _ := c.do("POST", "/extrafields/salesorders", field)
	require.Equal(t, 400, status)
	status, _ = c.do("POST", "/extrafields/salesorderslines", field)
	require.Equal(t, 400, status, "order lines take no extra fields")
	require.Equal(t, "Z_PaymentStatus", c.get(fmt.Sprintf("/extrafields/salesorders/%d", fieldID))["fieldName"])
	id = c.order(map[string]any{"Z_PaymentStatus": "paid"})
	require.Equal(t, "paid", c.get(fmt.Sprintf("/salesorders/%d", id))["Z_PaymentStatus"])
	_, schema := c.do("GET", "/salesorders/schema", nil)
	require.Contains(t, schema, "Z_PaymentStatus")
	var described struct {
		Properties map[string]struct {
			MaxLength int
			ReadOnly  bool
			Table     string
			Type      []string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(schema), &described))
	require.Equal(t, "accounts", described.Properties["accountId"].Table)
	require.True(t, described.Properties["dateCreated"].ReadOnly)
	require.Equal(t, 6000, described.Properties["internalComment"].MaxLength)

	c.server.AddExtraField(sage.ExtraField{Resource: "salesorders", Name: "Z_Channel", Type: "list",
		Required: true, Choices: []string{"Web", "Phone"}})
	status, body := c.do("POST", "/salesorders", map[string]any{"reference": "1", "branchId": c.server.Find("branches", "Main branch"),
		"salesRepId": 51, "statusId": c.server.Find("salesorderStatuses", "Open")})
	require.Equal(t, 400, status, "a required extra field is missing")
	require.Contains(t, body, "Z_Channel")
	id = c.order(map[string]any{"Z_Channel": 2})
	require.Equal(t, map[string]any{"id": float64(2), "value": "Phone"}, c.get(fmt.Sprintf("/salesorders/%d", id))["Z_Channel"])
	c.do("DELETE", fmt.Sprintf("/extrafields/salesorders/%d", fieldID), nil)
	require.NotContains(t, c.get(fmt.Sprintf("/salesorders/%d", id)), "Z_PaymentStatus")
}

func TestTheLimitIsEnforcedAndCounted(t *testing.T) {
	for _, after := range []faults.RetryAfter{faults.RetryAfterNone, faults.RetryAfterSeconds} {
		c := start(t, sage.Options{RetryAfter: after})
		c.server.ResetCalls()
		c.server.SetLimit(4)
		got := map[int]int{}
		for range 12 {
			status, _ := c.do("GET", "/accounts", nil)
			got[status]++
			if status == 429 {
				require.Equal(t, after == faults.RetryAfterSeconds, c.header.Get("Retry-After") == "1")
			}
		}
		require.GreaterOrEqual(t, got[200], 4)
		require.Positive(t, got[429])
		require.Equal(t, got[429], c.server.Throttled())
		require.Equal(t, map[string]int{"sage.accounts.list": 12}, c.server.Calls())
		c.server.SetLimit(0)
		status, _ := c.do("GET", "/accounts", nil)
		require.Equal(t, 200, status)
		require.Equal(t, 13, c.server.CallCount("sage."))
	}
}

func TestFaultsHaveTheVendorsShape(t *testing.T) {
	plan := faults.NewPlan(1, faults.None)
	c := start(t, sage.Options{Faults: plan})
	plan.Next("sage.accounts.list", faults.Fault{Kind: faults.StaleToken}, faults.Fault{Kind: faults.Status, Status: 500})
	status, _ := c.do("GET", "/accounts", nil)
	require.Equal(t, 401, status)
	status, body := c.do("GET", "/accounts", nil)
	require.Equal(t, 500, status)
	require.Contains(t, body, "900")
	status, _ = c.do("GET", "/accounts", nil)
	require.Equal(t, 401, status, "a stale token stays stale")
	c.login()
	plan.Next("sage.accounts.create", faults.Fault{Kind: faults.CutAfter})
	req, err := http.NewRequestWithContext(t.Context(), "POST", c.server.URL()+"/accounts", strings.NewReader(
		fmt.Sprintf(`{"name":"A","branchId":%d,"salesRepId1":51,"extId":"k"}`, c.server.Find("branches", "Main branch"))))
	require.NoError(t, err)
	req.Header.Set("X-Session-Key", c.token)
	_, err = http.DefaultClient.Do(req)
	require.Error(t, err)
	require.Len(t, c.ids("accounts", "extId='k'"), 1, "the write has landed")
}

func TestSnapshotsOfEqualWorldsAreEqualWhateverTheIds(t *testing.T) {
	world := func(first bool) string {
		c := start(t, sage.Options{})
		if first {
			c.do("DELETE", fmt.Sprintf("/accounts/%d", c.account(map[string]any{"name": "gone"})), nil)
		}
		account := c.account(map[string]any{"extId": "ghl:contact:a"})
		product := c.create("/products", map[string]any{"model": "Tee", "extId": "ghl:price:p"})
		order := c.order(map[string]any{"extId": "ghl:order:1", "accountId": account, "total": json.Number("10.00")})
		c.create("/salesordersLines", map[string]any{"salesOrderId": order, "productId": product, "quantity": 1, "price": 10, "order": 1})
		return c.server.Snapshot()
	}
	a, b := world(true), world(false)
	require.Equal(t, a, b)
	require.Contains(t, a, `"productId": "ghl:price:p"`)
	require.Contains(t, a, `"statusId": "Open"`)
}

func BenchmarkFindByExtID(b *testing.B) {
	server := sage.New(sage.Options{})
	status, branch := server.Find("salesorderStatuses", "Open"), server.Find("branches", "Main branch")
	for i := range 5000 {
		_, err := server.PeopleCreate("salesorders", map[string]any{"reference": fmt.Sprint(i), "branchId": branch,
			"salesRepId": 7, "statusId": status, "extId": fmt.Sprintf("ghl:order:%d", i)})
		require.NoError(b, err)
	}
	require.NoError(b, server.Start())
	b.Cleanup(server.Close)
	public, secret := server.Keys()
	resp, err := http.Post(server.URL()+"/login", "application/json",
		strings.NewReader(fmt.Sprintf(`{"username":%q,"password":%q}`, public, secret)))
	require.NoError(b, err)
	var out struct{ Token string }
	require.NoError(b, json.NewDecoder(resp.Body).Decode(&out))
	require.NoError(b, resp.Body.Close())
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		req, _ := http.NewRequest("GET", server.URL()+"/salesorders?"+
			url.Values{"where": {fmt.Sprintf("extId='ghl:order:%d'", i%5000)}}.Encode(), nil)
		req.Header.Set("X-Session-Key", out.Token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != 200 {
			b.Fatal(err, resp)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// FuzzWhere finds clauses that break the server instead of being answered or refused with 901.
func FuzzWhere(f *testing.F) {
	server := sage.New(sage.Options{})
	require.NoError(f, server.Start())
	f.Cleanup(server.Close)
	public, secret := server.Keys()
	resp, err := http.Post(server.URL()+"/login", "application/json",
		strings.NewReader(fmt.Sprintf(`{"username":%q,"password":%q}`, public, secret)))
	require.NoError(f, err)
	var out struct{ Token string }
	require.NoError(f, json.NewDecoder(resp.Body).Decode(&out))
	require.NoError(f, resp.Body.Close())
	for _, seed := range []string{"id=1", "descriptionEN='it''s' OR (deleted=false)", "id IN (1,2) AND descriptionEN LIKE '%[a'",
		"'", "((", "id=", "dateCreated>'2026-01-01'", "won=true", "id=99999999999999999999", "id='\x00'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, where string) {
		req, err := http.NewRequestWithContext(t.Context(), "GET",
			server.URL()+"/salesorderStatuses?"+url.Values{"where": {where}}.Encode(), nil)
		require.NoError(t, err)
		req.Header.Set("X-Session-Key", out.Token)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Contains(t, []int{200, 400, 431}, resp.StatusCode)
		_, _ = io.Copy(io.Discard, resp.Body)
	})
}
