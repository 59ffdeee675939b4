// Package contract checks our clients against what the vendors publish about their APIs.
//
// HighLevel's files come from the folder named by TALLYSTICK_GHL_CONTRACTS: a clone of
// github.com/GoHighLevel/highlevel-api-docs (CC0), which holds apps/ and common/, with the sample payloads of its
// webhook pages as webhooks/EVENT.json ({"samples": […]}). We depend on these properties of the API: each request is a
// documented operation with its required parameters, and each documented example can be read.
package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/testkit"
)

func contracts(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("TALLYSTICK_GHL_CONTRACTS")
	if folder == "" {
		testkit.Missing(t, "HighLevel's published API files are needed: clone github.com/GoHighLevel/highlevel-api-docs and set TALLYSTICK_GHL_CONTRACTS to the folder")
	}
	return folder
}

// published loads one of the files, byte for byte as HighLevel publishes it. (They do not pass strict validation as
// documents, but routing and request validation work on them.)
func published(t *testing.T, folder, name string) *openapi3.T {
	t.Helper()
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, at *url.URL) ([]byte, error) {
		data, err := os.ReadFile(at.Path)
		if errors.Is(err, os.ErrNotExist) { // the files of v3 refer to a folder beside their own, but it is inside
			return os.ReadFile(strings.Replace(at.Path, "/apps/common/", "/apps/v3/common/", 1))
		}
		return data, err
	}
	doc, err := loader.LoadFromFile(filepath.Join(folder, "apps", name))
	require.NoError(t, err)
	return doc
}

// falseAlarms are complaints of the published files that are themselves wrong. Each must go off, so that one does not
// outlive its reason.
var falseAlarms = []struct {
	// where is the operation; what are the words of the complaint.
	where string
	what  *regexp.Regexp
	why   string
}{
	{
		"POST /payments/coupon", regexp.MustCompile(`^/applyToFuturePaymentsConfig/(duration|durationType): property .* is missing$`),
		"a discount for ever has no duration: the same file's answers have none, and its text says that it belongs to fixed",
	},
	{
		"PUT /payments/coupon", regexp.MustCompile(`^/applyToFuturePaymentsConfig/(duration|durationType): property .* is missing$`),
		"as above",
	},
	{
		"POST /invoices/{invoiceId}/record-payment", regexp.MustCompile(`^/(card|cheque): property .* is missing$`),
		"the file requires a card and a cheque in every mode, a bank transfer too; for orders it does not, and integrations send neither",
	},
}

// vendorAPI stands where the network would be: it checks each request against the published files and answers it with
// the published example.
type vendorAPI struct {
	t *testing.T
	// routers are those of the version that the client speaks, newer those of Version v3.
	routers, newer []routers.Router
	// seen is the number of requests by seenAs, alarms that of each false alarm.
	seen   map[string]int
	alarms map[int]int
}

func seenAs(method, path, version string) string {
	if version == ghl.DefaultVersion {
		version = ""
	}
	return strings.TrimSpace(method + " " + path + " " + version)
}

var files = []string{"payments.json", "contacts.json", "invoices.json", "products.json", "oauth.json"}

func newVendorAPI(t *testing.T) *vendorAPI {
	t.Helper()
	api := &vendorAPI{t: t, seen: map[string]int{}, alarms: map[int]int{}}
	folder := contracts(t)
	for _, name := range files {
		router, err := gorillamux.NewRouter(published(t, folder, name))
		require.NoError(t, err)
		api.routers = append(api.routers, router)
	}
	router, err := gorillamux.NewRouter(published(t, folder, filepath.Join("v3", "payments-v3.json")))
	require.NoError(t, err)
	api.newer = append(api.newer, router)
	return api
}

func (v *vendorAPI) client(readOnly bool) *ghl.Client {
	client, err := ghl.New(ghl.Options{
		LocationID: "3SwdhCu3svxI8AKsPJt6", Credentials: ghl.StaticToken("pit-test"), Limiter: ghl.NewLimiterAt(0, 0), Transport: v,
		ReadOnly: readOnly,
	})
	require.NoError(v.t, err)
	return client
}

func (v *vendorAPI) check(r *http.Request) (*routers.Route, error) {
	all := v.routers
	if r.Header.Get("Version") == "v3" {
		all = v.newer
	}
	for _, router := range all {
		route, params, err := router.FindRoute(r)
		if err != nil {
			continue
		}
		return route, v.withoutFalseAlarms(route, openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
			Request: r, PathParams: params, Route: route,
			// Defaults are not put in: the request is looked at as it was sent.
			Options: &openapi3filter.Options{MultiError: true, AuthenticationFunc: bearerToken, SkipSettingDefaults: true},
		}))
	}
	return nil, fmt.Errorf("%s %s is not documented", r.Method, r.URL.Path)
}

// withoutFalseAlarms leaves the complaints that are right.
func (v *vendorAPI) withoutFalseAlarms(route *routers.Route, err error) error {
	var left []error
	for _, one := range complaints(err) {
		known := false
		for i, alarm := range falseAlarms {
			if alarm.where == route.Method+" "+route.Path && alarm.what.MatchString(one) {
				v.alarms[i]++
				known = true
			}
		}
		if !known {
			left = append(left, errors.New(one))
		}
	}
	return errors.Join(left...)
}

// complaints takes what the validation found apart, down to one field each: where in the body, and what.
func complaints(err error) []string {
	switch e := err.(type) { //nolint:errorlint // each link is looked at by itself
	case nil:
		return nil
	case openapi3.MultiError:
		var all []string
		for _, one := range e {
			all = append(all, complaints(one)...)
		}
		return all
	case *openapi3filter.RequestError:
		if e.RequestBody != nil && e.Err != nil {
			return complaints(e.Err)
		}
	case *openapi3.SchemaError:
		if e.Origin != nil {
			return complaints(e.Origin)
		}
		return []string{"/" + strings.Join(e.JSONPointer(), "/") + ": " + e.Reason}
	default:
		if inner := errors.Unwrap(err); inner != nil { // what a schema put together with allOf says
			return complaints(inner)
		}
	}
	return []string{err.Error()}
}

func bearerToken(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	if !strings.HasPrefix(in.RequestValidationInput.Request.Header.Get("Authorization"), "Bearer ") {
		return errors.New("the request carries no bearer token")
	}
	return nil
}

// RoundTrip implements http.RoundTripper.
func (v *vendorAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	route, err := v.check(r)
	if !assert.NoError(v.t, err, "%s %s", r.Method, r.URL) {
		return nil, err
	}
	v.requireDocumented(r, route)
	v.seen[seenAs(route.Method, route.Path, r.Header.Get("Version"))]++
	status, answer := v.success(route)
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(body))), Request: r,
	}, nil
}

// success is the published example of an answer. For the search of duplicates nothing is published; a contact, wrapped as
// elsewhere, is what was seen.
func (v *vendorAPI) success(route *routers.Route) (int, any) {
	if route.Path == "/contacts/search/duplicate" {
		return http.StatusOK, map[string]any{"contact": map[string]any{"id": "seD4PfOuKoVMLkEZqohJ", "email": "rubika@deos.com"}}
	}
	for _, status := range []int{http.StatusOK, http.StatusCreated} {
		if response := route.Operation.Responses.Status(status); response != nil {
			answer := example(response.Value.Content["application/json"].Schema)
			if list, ok := answer.(map[string]any); ok && route.Operation.Parameters.GetByInAndName("query", "offset") != nil {
				oneRow(list)
			}
			return status, answer
		}
	}
	require.Fail(v.t, "no success is published", route.Path)
	return 0, nil
}

// oneRow makes the example of a list true: it has one row, so the total, in whatever shape, is 1 and not 20.
func oneRow(list map[string]any) {
	for _, key := range []string{"total", "totalCount"} {
		switch total := list[key].(type) {
		case nil:
		case []any:
			list[key] = []any{map[string]any{"total": 1}}
		case map[string]any:
			total["total"] = 1
		default:
			list[key] = 1
		}
	}
}

// example builds a document from the examples of its properties, exactly as published: amounts and booleans quoted,
// some objects as texts.
func example(ref *openapi3.SchemaRef) any {
	schema := ref.Value
	if schema.Example != nil && !schema.Type.Is("array") {
		return schema.Example
	}
	for _, part := range schema.AllOf {
		return example(part)
	}
	switch {
	case len(schema.Properties) > 0:
		object := map[string]any{}
		for name, property := range schema.Properties {
			object[name] = example(property)
		}
		return object
	case schema.Type.Is("array"):
		if list, ok := schema.Example.([]any); ok {
			return list
		}
		if schema.Example != nil {
			return []any{schema.Example}
		}
		return []any{example(schema.Items)}
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	case schema.Type.Is("number"), schema.Type.Is("integer"):
		return 1
	case schema.Type.Is("object"):
		return map[string]any{}
	}
	return "text"
}

func TestEveryMethodOfTheClientIsInTheTable(t *testing.T) {
	client := reflect.TypeFor[ghl.Client]()
	found := 0
	for i := range client.NumField() {
		field := client.Field(i)
		if !field.IsExported() {
			continue
		}
		for j := range field.Type.NumMethod() {
			name := field.Name + "." + field.Type.Method(j).Name
			assert.Contains(t, calls, name, "a method without a row here is not checked against the published API")
			found++
		}
	}
	require.Equal(t, len(calls), found)
}

func TestTheTableFillsEveryOption(t *testing.T) {
	for _, options := range full {
		requireFull(t, reflect.ValueOf(options), fmt.Sprintf("%T", options))
	}
}

// requireFull looks into structs, and into the first element of slices.
func requireFull(t *testing.T, value reflect.Value, name string) {
	t.Helper()
	require.False(t, value.IsZero(), "%s is not set, so what it becomes is not checked", name)
	switch {
	case value.Type() == reflect.TypeFor[time.Time]():
	case value.Kind() == reflect.Pointer:
		requireFull(t, value.Elem(), name)
	case value.Kind() == reflect.Slice:
		requireFull(t, value.Index(0), name+"[0]")
	case value.Kind() == reflect.Struct:
		for i := range value.NumField() {
			requireFull(t, value.Field(i), name+"."+value.Type().Field(i).Name)
		}
	case value.Kind() == reflect.Bool, value.Kind() == reflect.Map, value.Kind() == reflect.String, value.CanInt():
	default:
		t.Fatalf("%s is a %s, which is not looked into", name, value.Kind())
	}
}

func TestEveryRequestIsDocumented(t *testing.T) {
	api := newVendorAPI(t)
	client := api.client(false)
	for name, rows := range calls {
		for i, call := range rows {
			t.Run(fmt.Sprintf("%s/%d", name, i), func(t *testing.T) {
				api.t = t
				require.NoError(t, call(t.Context(), client), "the published example must be readable")
			})
		}
	}
	for name, rows := range oauthCalls {
		for i, call := range rows {
			t.Run(fmt.Sprintf("OAuth.%s/%d", name, i), func(t *testing.T) {
				api.t = t
				require.NoError(t, call(t.Context(), oauthOver(t, api)), "the published example must be readable")
			})
		}
	}
	for _, op := range ghl.Operations() {
		require.Positive(t, api.seen[seenAs(op.Method, op.Path, op.Version)], "%s is in the list of operations, but no call reached it", op.Name)
	}
	require.Len(t, api.seen, len(ghl.Operations()), "a request went out that the list of operations does not have")
	for i, alarm := range falseAlarms {
		require.Positive(t, api.alarms[i], "the false alarm about %s did not go off: HighLevel's file was mended, take it out", alarm.where)
	}
}

// TestReadOnlyRefusesEveryWrite goes through all methods: no write leaves, and every read does.
func TestReadOnlyRefusesEveryWrite(t *testing.T) {
	api := newVendorAPI(t)
	client := api.client(true)
	refused := map[string]bool{}
	for name, rows := range calls {
		for _, call := range rows {
			err := call(t.Context(), client)
			if err == nil {
				continue
			}
			require.ErrorIs(t, err, transport.ErrReadOnly, name)
			require.False(t, transport.MayHaveLanded(err))
			refused[transport.AsError(err).Operation] = true
		}
	}
	for _, op := range ghl.Operations() {
		require.Equal(t, op.Method != http.MethodGet, op.Write, "%s: HighLevel's reads are GET and nothing else is", op.Name)
		if isOAuth(op) {
			continue // getting a token is no write to the location's objects
		}
		require.Equal(t, op.Write, refused[op.Name], op.Name)
		require.Equal(t, !op.Write, api.seen[seenAs(op.Method, op.Path, op.Version)] > 0, op.Name)
	}
}

// requireDocumented goes beyond request validation, which lets unknown query parameters and fields pass; the live API was
// seen to refuse them with 422. The one exception is altType of orders: dropped from the file, but still asked for.
func (v *vendorAPI) requireDocumented(r *http.Request, route *routers.Route) {
	for name := range r.URL.Query() {
		if name == "altType" && r.Method == http.MethodGet && strings.HasPrefix(route.Path, "/payments/orders") {
			continue
		}
		assert.NotNil(v.t, route.Operation.Parameters.GetByInAndName("query", name), "parameter %s of %s is not documented", name, route.Path)
	}
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	data, err := io.ReadAll(r.Body)
	assert.NoError(v.t, err)
	if len(data) == 0 { // resty gives every DELETE a reader, of nothing if there is no body
		return
	}
	if !assert.NotNil(v.t, route.Operation.RequestBody, "%s %s has no body", r.Method, route.Path) {
		return
	}
	var body any
	kind := r.Header.Get("Content-Type")
	if kind == formType {
		body = formFields(v.t, data)
	} else {
		assert.NoError(v.t, json.Unmarshal(data, &body))
	}
	if media := route.Operation.RequestBody.Value.Content.Get(kind); assert.NotNil(v.t, media, "%s %s is not documented to take %s", r.Method, route.Path, kind) {
		v.requireFields(media.Schema.Value, body, r.Method+" "+route.Path)
	}
}

func (v *vendorAPI) requireFields(schema *openapi3.Schema, body any, where string) {
	for len(schema.AllOf) == 1 {
		schema = schema.AllOf[0].Value
	}
	switch body := body.(type) {
	case map[string]any:
		if len(schema.Properties) == 0 || len(schema.OneOf) > 0 {
			return // an object of any fields, such as meta
		}
		for name, field := range body {
			property := schema.Properties[name]
			if assert.NotNil(v.t, property, "%s.%s is not documented", where, name) {
				v.requireFields(property.Value, field, where+"."+name)
			}
		}
	case []any:
		for _, item := range body {
			if assert.NotNil(v.t, schema.Items, where) {
				v.requireFields(schema.Items.Value, item, where+"[]")
			}
		}
	}
}

// TestTheCheckCanFail makes sure that the net has no hole: requests that are wrong in one point are noticed.
func TestTheCheckCanFail(t *testing.T) {
	api := newVendorAPI(t)
	for name, body := range map[string]string{
		"no body":          ``,
		"no id":            `{"altId":"x","altType":"location"}`,
		"number as text":   `{"altId":"x","altType":"location","id":1}`,
		"unknown location": `{"altId":"x","altType":"agency","id":"1"}`,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, ghl.DefaultBaseURL+"/payments/coupon", strings.NewReader(body))
		require.NoError(t, err)
		r.Header = http.Header{"Version": {ghl.DefaultVersion}, "Authorization": {"Bearer x"}, "Content-Type": {"application/json"}}
		_, err = api.check(r)
		require.Error(t, err, name)
	}
	for name, c := range map[string]struct{ method, path, version, token string }{
		"invented route":  {"POST", "/payments/orders", "2021-07-28", "Bearer x"},
		"no altId":        {"GET", "/payments/orders", "2021-07-28", "Bearer x"},
		"no altType":      {"GET", "/payments/transactions?altId=x", "2021-07-28", "Bearer x"},
		"wrong version":   {"GET", "/payments/orders?altId=x", "2021-04-15", "Bearer x"},
		"no version":      {"GET", "/payments/orders?altId=x", "", "Bearer x"},
		"no token":        {"GET", "/payments/orders?altId=x", "2021-07-28", ""},
		"text as number":  {"GET", "/payments/orders?altId=x&limit=ten", "2021-07-28", "Bearer x"},
		"unknown status":  {"GET", "/payments/orders?altId=x&paymentStatus=maybe", "2021-07-28", "Bearer x"},
		"altType unknown": {"GET", "/invoices/1?altId=x&altType=agency", "2021-07-28", "Bearer x"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, ghl.DefaultBaseURL+c.path, nil)
		require.NoError(t, err)
		if c.version != "" {
			r.Header.Set("Version", c.version)
		}
		if c.token != "" {
			r.Header.Set("Authorization", c.token)
		}
		_, err = api.check(r)
		require.Error(t, err, name)
	}
}

func TestPublishedExamplesAreReadRight(t *testing.T) {
	api := newVendorAPI(t)
	client, ctx := api.client(false), t.Context()

	order, err := client.Orders.Get(ctx, "1")
	require.NoError(t, err)
	require.Equal(t, "653f5e0cde5a1314e62a837c", order.ID)
	require.Equal(t, domain.Number("100"), order.Amount)
	require.Equal(t, "completed", order.Status)
	require.True(t, order.Test, `the example says liveMode "false"`)
	require.Equal(t, 2023, order.CreatedAt.Year())

	orders, err := client.Orders.Page(ctx, ghl.OrderFilter{}, ghl.Cursor{})
	require.NoError(t, err)
	require.Empty(t, orders.Unreadable)
	require.Equal(t, "James Bond", orders.Rows[0].Contact.Name)
	require.Equal(t, "100PER", orders.Rows[0].CouponCode)
	require.Equal(t, ghl.Source{Type: "funnel", SubType: "one_step_order_form", ID: "kDj7BHej9Zyyq3QakJmz", Name: "onestep"}, orders.Rows[0].Source)
	require.Equal(t, domain.Number("10"), orders.Rows[0].Summary.Discount)

	transaction, err := client.Transactions.Get(ctx, "1")
	require.NoError(t, err)
	require.Equal(t, "succeeded", transaction.Status)
	require.Equal(t, domain.Number("10"), transaction.AmountRefunded)

	transactions, err := client.Transactions.Page(ctx, ghl.TransactionFilter{}, ghl.Cursor{})
	require.NoError(t, err)
	require.Empty(t, transactions.Unreadable)
	require.Equal(t, "61dd0fe9c077f73e67f78803", transactions.Rows[0].EntityID)
	require.Equal(t, "stripe", transactions.Rows[0].Provider)
	require.Equal(t, 27, transactions.Rows[0].FulfilledAt.Minute())

	contact, err := client.Contacts.Get(ctx, "1")
	require.NoError(t, err)
	require.Equal(t, "rubika@deos.com", contact.Email)
	require.Equal(t, "US", contact.Country)

	invoice, err := client.Invoices.Get(ctx, "1")
	require.NoError(t, err)
	require.Equal(t, "19", invoice.Number)
	require.Equal(t, domain.Number("999"), invoice.Total)
	require.Equal(t, "c6tZZU0rJBf30ZXx9Gli", invoice.Items[0].PriceID)
}

func TestPublishedCatalogExamplesAreReadRight(t *testing.T) {
	api := newVendorAPI(t)
	client, ctx := api.client(false), t.Context()

	products, err := client.Products.Page(ctx, ghl.ProductFilter{}, ghl.Cursor{})
	require.NoError(t, err)
	require.Empty(t, products.Unreadable)
	product, err := client.Products.Get(ctx, id)
	require.NoError(t, err)
	require.Equal(t, product, products.Rows[0])
	require.Equal(t, "655b33a82209e60b6adb87a5", product.ID)
	require.Equal(t, "PHYSICAL", product.Type)
	require.True(t, product.AvailableInStore)
	require.Equal(t, "XL", product.Variants[0].Options[0].Name)

	prices, err := client.Prices.Page(ctx, id, ghl.PriceFilter{}, ghl.Cursor{})
	require.NoError(t, err)
	require.Empty(t, prices.Unreadable)
	price, err := client.Prices.Get(ctx, id, id)
	require.NoError(t, err)
	require.Equal(t, price, prices.Rows[0])
	require.Equal(t, domain.Number("199999"), price.Amount)
	require.Equal(t, ghl.Recurring{Interval: "day", Count: 1}, price.Recurring)
	require.Equal(t, "655b33a82209e60b6adb87a5", price.ProductID)

	stock, err := client.Inventory.Page(ctx, ghl.StockFilter{}, ghl.Cursor{})
	require.NoError(t, err)
	require.Equal(t, "TSHIRT-MED-001", stock.Rows[0].SKU)
	require.Equal(t, domain.Number("50"), stock.Rows[0].Available)

	coupon, err := client.Coupons.Get(ctx, id, "x")
	require.NoError(t, err)
	require.Equal(t, int64(5), coupon.LimitPerCustomer)
	require.Equal(t, int64(12), coupon.Used)
	require.Equal(t, ghl.CouponRenewal{Applies: true, Months: 3}, coupon.Future)
	require.Equal(t, domain.Number("25"), coupon.DiscountValue)
	require.Empty(t, coupon.ProductIDs)
	links, err := client.Coupons.PageLinks(ctx, ghl.CouponFilter{}, ghl.Cursor{})
	require.NoError(t, err)
	require.NotEmpty(t, links.Rows[0].ProductIDs, "this version tells the products")

	providers, err := client.Providers.Page(ctx, ghl.ProviderFilter{}, ghl.Cursor{})
	require.NoError(t, err)
	require.True(t, providers.Done)
	require.Equal(t, "nmi", providers.Rows[0].Kind, "one object stands where a list should be")
}

func TestPublishedSalesExamplesAreReadRight(t *testing.T) {
	api := newVendorAPI(t)
	client, ctx := api.client(false), t.Context()

	subscription, err := client.Subscriptions.Get(ctx, id)
	require.NoError(t, err)
	require.Equal(t, "active", subscription.Status)
	require.Equal(t, "I-0UE609H8E43P", subscription.GatewayID)
	require.Empty(t, subscription.Schedule, "the example is a text where an object belongs, and is left out")
	subscriptions, err := client.Subscriptions.Page(ctx, ghl.SubscriptionFilter{}, ghl.Cursor{})
	require.NoError(t, err)
	require.Empty(t, subscriptions.Unreadable)
	require.Equal(t, "James Bond", subscriptions.Rows[0].Contact.Name)
	require.Equal(t, "stripe", subscriptions.Rows[0].Provider)

	fulfillments, err := client.Fulfillments.List(ctx, id)
	require.NoError(t, err)
	created, err := client.Fulfillments.Create(ctx, id, fullFulfillment)
	require.NoError(t, err)
	require.Equal(t, created, fulfillments[0])
	require.Equal(t, "40012345678", created.Trackings[0].Number)
	require.Equal(t, "6578278e879ad2646715ba9c", created.Items[0].PriceID)
	require.Equal(t, domain.Number("199999"), created.Items[0].Price.Amount)

	contact, made, err := client.Contacts.Upsert(ctx, fullContact)
	require.NoError(t, err)
	require.True(t, made)
	require.Equal(t, "seD4PfOuKoVMLkEZqohJ", contact.ID)
	note, err := client.Contacts.AddNote(ctx, id, fullNote)
	require.NoError(t, err)
	require.Equal(t, "HGPcayliwcdoUFzvbTok", note)

	paid, err := client.Invoices.RecordPayment(ctx, id, fullInvoicePayment)
	require.NoError(t, err)
	require.Equal(t, domain.Number("999"), paid.AmountDue)
	invoices, err := client.Invoices.Page(ctx, ghl.InvoiceFilter{}, ghl.Cursor{})
	require.NoError(t, err)
	require.Empty(t, invoices.Unreadable)
	require.Equal(t, "19", invoices.Rows[0].Number)
}

func TestProductWebhookSamples(t *testing.T) {
	for _, event := range []string{"ProductCreate", "ProductUpdate", "ProductDelete"} {
		for _, sample := range samples(t, event) {
			product, err := ghl.DecodeProduct(sample)
			require.NoError(t, err, event)
			require.NotEmpty(t, product.Name, event)
			require.NotEmpty(t, product.LocationID, event)
		}
	}
}

// TestDocumentedFailuresAreErrors answers every operation with every status that the files document beside success.
func TestDocumentedFailuresAreErrors(t *testing.T) {
	folder := contracts(t)
	for _, name := range files {
		doc := published(t, folder, name)
		for _, op := range ghl.Operations() {
			item := doc.Paths.Value(op.Path)
			if item == nil {
				continue
			}
			for status, response := range item.GetOperation(op.Method).Responses.Map() {
				code, err := strconv.Atoi(status)
				require.NoError(t, err)
				content := response.Value.Content["application/json"]
				if code < 300 || content == nil {
					continue
				}
				body, err := json.Marshal(example(content.Schema))
				require.NoError(t, err)
				client, err := ghl.New(ghl.Options{
					LocationID: "x", Credentials: ghl.StaticToken("x"), Limiter: ghl.NewLimiterAt(0, 0), Transport: failing{code, string(body)},
				})
				require.NoError(t, err)
				for method, rows := range calls {
					err := rows[0](t.Context(), client)
					require.True(t, transport.IsStatus(err, code), "%s answered with %d", method, code)
					require.NotEmpty(t, transport.AsError(err).Message, "the published body %s has words", body)
				}
				for method, rows := range oauthCalls {
					err := rows[0](t.Context(), oauthOver(t, failing{code, string(body)}))
					require.True(t, transport.IsStatus(err, code), "%s answered with %d", method, code)
					require.NotEmpty(t, transport.AsError(err).Message, "the published body %s has words", body)
				}
			}
		}
	}
}

type failing struct {
	status int
	body   string
}

func (f failing) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: f.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(f.body)), Request: r}, nil
}

func samples(t *testing.T, event string) []json.RawMessage {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(contracts(t), "webhooks", event+".json"))
	require.NoError(t, err)
	var page struct {
		Samples []json.RawMessage `json:"samples"`
	}
	require.NoError(t, json.Unmarshal(data, &page))
	require.NotEmpty(t, page.Samples)
	return page.Samples
}

func TestOrderWebhookSamples(t *testing.T) {
	for _, event := range []string{"OrderCreate", "OrderStatusUpdate"} {
		for _, sample := range samples(t, event) {
			order, err := ghl.DecodeOrder(sample)
			require.NoError(t, err, event)
			require.NotEmpty(t, order.ID)
			require.NotEmpty(t, order.LocationID)
			require.NotEmpty(t, order.Contact.Email)
			require.Equal(t, order.ContactID, order.Contact.ID)
			require.False(t, order.UpdatedAt.IsZero())
			requireSum(t, order)
		}
	}
}

// requireSum adds the lines up: prices times quantities, less discount, plus tax and shipping, make the amount.
func requireSum(t *testing.T, order ghl.Order) {
	t.Helper()
	currency, err := domain.ParseCurrency(order.Currency)
	require.NoError(t, err)
	amount := func(n domain.Number) domain.Money {
		m, err := domain.ParseMoney(n, currency)
		require.NoError(t, err)
		return m
	}
	require.NotEmpty(t, order.Items)
	sum := domain.NewMoney(0, currency)
	for _, item := range order.Items {
		require.NotEmpty(t, item.Price.ID)
		require.NotEmpty(t, item.Product.ID)
		quantity, whole := item.Quantity.Int64()
		require.True(t, whole)
		line, err := amount(item.Price.Amount).Times(quantity)
		require.NoError(t, err)
		sum, err = sum.Add(line)
		require.NoError(t, err)
	}
	require.Equal(t, amount(order.Summary.Subtotal), sum)
	sum, err = domain.Sum(currency, sum, amount(order.Summary.Tax), amount(order.Summary.Shipping))
	require.NoError(t, err)
	sum, err = sum.Sub(amount(order.Summary.Discount))
	require.NoError(t, err)
	require.Equal(t, amount(order.Amount), sum)
}

func TestInvoiceWebhookSamples(t *testing.T) {
	for _, event := range []string{"InvoiceCreate", "InvoiceSent", "InvoiceUpdate", "InvoicePaid", "InvoicePartiallyPaid", "InvoiceVoid", "InvoiceDelete"} {
		for _, sample := range samples(t, event) {
			invoice, err := ghl.DecodeInvoice(sample)
			require.NoError(t, err, event)
			require.NotEmpty(t, invoice.LocationID, event)
			require.NotEmpty(t, invoice.Number, event)
			require.NotEmpty(t, invoice.Contact.Email, event)
			require.True(t, invoice.Total.IsSet(), event)
			require.NotEmpty(t, invoice.Items, event)
		}
	}
}

func TestContactWebhookSamples(t *testing.T) {
	for _, event := range []string{"ContactCreate", "ContactUpdate"} {
		for _, sample := range samples(t, event) {
			contact, err := ghl.DecodeContact(sample)
			require.NoError(t, err, event)
			require.NotEmpty(t, contact.Email, event)
			require.NotEmpty(t, contact.LastName, event)
		}
	}
}

// TestSamplesWithoutOptionalFields strips the samples to what cannot be done without.
func TestSamplesWithoutOptionalFields(t *testing.T) {
	for _, event := range []string{"OrderCreate", "OrderStatusUpdate"} {
		for _, sample := range samples(t, event) {
			var fields map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(sample, &fields))
			for name := range fields {
				if name == "_id" {
					continue
				}
				without, nulled := map[string]json.RawMessage{}, map[string]json.RawMessage{}
				for k, v := range fields {
					without[k], nulled[k] = v, v
				}
				delete(without, name)
				nulled[name] = json.RawMessage("null")
				for _, body := range []map[string]json.RawMessage{without, nulled} {
					data, err := json.Marshal(body)
					require.NoError(t, err)
					_, err = ghl.DecodeOrder(data)
					require.NoError(t, err, "%s without %s", event, name)
				}
			}
		}
	}
}
