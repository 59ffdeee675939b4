package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
	vendor "github.com/tallystick/tallystick/sandbox/ghl"
)

// departures are where the sandbox's answers differ from the published files, and why that is right. Each must occur.
var departures = []struct {
	// where is a field's place in an answer.
	where *regexp.Regexp
	why   string
}{
	{regexp.MustCompile(`^GET /payments/(orders|transactions|subscriptions)\S* (data\[\]\.)?status$`),
		"the files call a status an object; their own examples, and everybody's accounts, have a text"},
	{regexp.MustCompile(`^GET /payments/subscriptions/{subscriptionId} altType$`), "as above"},
	{regexp.MustCompile(`^GET /payments/orders/{orderId} (items\[\]|taxSummary|amountSummary\.(tax|shipping))$`),
		"the samples of the order webhooks have objects for lines, and the sums; an option leaves the sums out"},
	{regexp.MustCompile(`^GET /payments/subscriptions data\[\]\.trialEndDate$`), "seen by integrations"},
	{regexp.MustCompile(`^GET /payments/subscriptions/{subscriptionId} schedule\.rrule\.timezone$`), "seen by integrations"},
	{regexp.MustCompile(`^GET /payments/transactions data\[\]\.fulfilledAt$`),
		"the file requires it; a payment that was never charged has no such time"},
	{regexp.MustCompile(`^\S+ \S+ (\S+\.)?(trackInventory)$`), "the file's own example is null"},
}

// conversation goes between the client and the sandbox, and keeps what is answered.
type conversation struct {
	t    *testing.T
	api  *vendorAPI
	to   string          // the sandbox
	seen map[string]bool // "METHOD path"
	gone map[int]bool    // departures that occurred
}

// RoundTrip implements http.RoundTripper. The files know HighLevel's own address only, so the way to the sandbox begins
// behind the check.
func (c *conversation) RoundTrip(r *http.Request) (*http.Response, error) {
	route, err := c.api.check(r)
	if !assert.NoError(c.t, err, "%s %s", r.Method, r.URL) {
		return nil, err
	}
	target, err := url.Parse(c.to)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = target.Scheme, target.Host, ""
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || resp.StatusCode >= 300 {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var answer any
	assert.NoError(c.t, json.Unmarshal(body, &answer))
	where := route.Method + " " + route.Path
	c.seen[where] = true
	response := route.Operation.Responses.Status(resp.StatusCode)
	if assert.NotNil(c.t, response, "%s answers %d, which is not published", where, resp.StatusCode) {
		c.compare(response.Value.Content["application/json"].Schema.Value, answer, where, "")
	}
	return resp, nil
}

// compare goes through an answer beside its schema.
func (c *conversation) compare(schema *openapi3.Schema, value any, route, at string) {
	for len(schema.AllOf) == 1 {
		schema = schema.AllOf[0].Value
	}
	switch value := value.(type) {
	case map[string]any:
		if len(schema.Properties) == 0 {
			c.want(schema.Type.Is("object") || schema.Type == nil, route, at, "an object where the file has none")
			return
		}
		for _, name := range schema.Required {
			_, there := value[name]
			c.want(there, route, join(at, name), "missing")
		}
		for name, field := range value {
			property := schema.Properties[name]
			if c.want(property != nil, route, join(at, name), "not published") {
				c.compare(property.Value, field, route, join(at, name))
			}
		}
	case []any:
		if c.want(schema.Type.Is("array"), route, at, "an array where the file has none") {
			for _, item := range value {
				c.compare(schema.Items.Value, item, route, at+"[]")
			}
		}
	case string:
		right := schema.Type.Is("string") && (len(schema.Enum) == 0 || slices.Contains(schema.Enum, any(value)))
		if schema.Format == "date-time" {
			_, err := time.Parse(time.RFC3339, value)
			right = right && err == nil
		}
		c.want(right, route, at, "the text "+value)
	case float64:
		c.want(schema.Type.Is("number") || schema.Type.Is("integer"), route, at, "a number")
	case bool:
		c.want(schema.Type.Is("boolean"), route, at, "a boolean")
	case nil:
		c.want(schema.Nullable, route, at, "null")
	}
}

func join(at, name string) string { return strings.TrimPrefix(at+"."+name, ".") }

// want complains unless it is right, or known to be different.
func (c *conversation) want(right bool, route, at, what string) bool {
	if right {
		return true
	}
	for i, d := range departures {
		if d.where.MatchString(route + " " + at) {
			c.gone[i] = true
			return false
		}
	}
	return assert.Fail(c.t, "not as published", "%s %s: %s", route, at, what)
}

// TestTheSandboxAnswersAsPublished reads everything that the sandbox's payments and catalogue serve, and compares each
// answer with the published files, down to the fields.
func TestTheSandboxAnswersAsPublished(t *testing.T) {
	server := vendor.New(vendor.Options{NoLimits: true})
	require.NoError(t, server.Start())
	t.Cleanup(server.Close)
	talk := &conversation{t: t, to: server.URL(), api: newVendorAPI(t), seen: map[string]bool{}, gone: map[int]bool{}}
	client, err := ghl.New(ghl.Options{LocationID: server.Location(),
		Credentials: ghl.StaticToken(server.Token()), Limiter: ghl.NewLimiterAt(0, 0),
		Transport: talk})
	require.NoError(t, err)
	for _, read := range life(t, server) {
		require.NoError(t, read(t.Context(), client))
	}
	for _, route := range server.Routes() {
		if strings.HasPrefix(route.Path, "/payments/") || strings.HasPrefix(route.Path, "/products/") {
			require.True(t, talk.seen[route.Method+" "+route.Path], "%s %s was not asked", route.Method, route.Path)
		}
	}
	for i, d := range departures {
		require.True(t, talk.gone[i], "the sandbox does not depart from the files at %s any more: take it out", d.where)
	}
}

// life fills the server with one of everything, and says how to read it.
func life(t *testing.T, server *vendor.Server) []do {
	t.Helper()
	contact := server.AddContact(vendor.Contact{FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.com"})
	product := server.AddProduct(vendor.Product{Name: "Tee"})
	once := server.AddPrice(vendor.Price{ProductID: product, Name: "XL", Amount: domain.NewMoney(1705, "EUR")})
	monthly := server.AddPrice(vendor.Price{ProductID: product, Name: "Club", Amount: domain.NewMoney(900, "EUR"), Interval: "month"})
	order, err := server.PlaceOrder(vendor.NewOrder{ContactID: contact, Currency: "EUR", CouponCode: "TEN", Shipping: domain.NewMoney(490, "EUR"),
		Lines: []vendor.NewLine{{PriceID: once, Qty: 2}, {PriceID: monthly, Qty: 1}},
		Taxes: []vendor.Tax{{ID: "t1", Name: "10%", Calculation: "exclusive", Rate: "10", Amount: domain.NewMoney(100, "EUR")}}})
	require.NoError(t, err)
	_, err = server.TakePayment(order.ID, vendor.NewPayment{Status: "failed"})
	require.NoError(t, err)
	paid, err := server.TakePayment(order.ID, vendor.NewPayment{})
	require.NoError(t, err)
	require.NoError(t, server.Refund(paid.ID, domain.NewMoney(100, "EUR")))
	sub, err := server.Subscribe(vendor.NewSubscription{OrderID: order.ID, PriceID: monthly, CouponCode: "TEN", Trial: time.Hour, Timezone: "Europe/Vienna"})
	require.NoError(t, err)
	_, err = server.Renew(sub.ID, vendor.NewPayment{})
	require.NoError(t, err)
	require.NoError(t, server.CancelSubscription(sub.ID))
	other, err := server.Subscribe(vendor.NewSubscription{ContactID: contact, PriceID: monthly, Provider: "paypal", NoSchedule: true})
	require.NoError(t, err)
	_, err = server.Fulfil(order.ID, vendor.NewFulfillment{Items: []vendor.NewLine{{PriceID: once, Qty: 1}}})
	require.NoError(t, err)
	return []do{
		func(ctx context.Context, c *ghl.Client) error { return walk(c.Orders.All(ctx, ghl.OrderFilter{})) },
		func(ctx context.Context, c *ghl.Client) error { return second(c.Orders.Get(ctx, order.ID)) },
		func(ctx context.Context, c *ghl.Client) error {
			return second(c.Fulfillments.Create(ctx, order.ID, ghl.FulfillmentInput{
				Trackings: []ghl.Tracking{{Number: "1Z999", Carrier: "UPS", URL: "https://ups.example/1Z999"}},
				Items:     []ghl.FulfilledItem{{PriceID: once, Quantity: 1}}}))
		},
		func(ctx context.Context, c *ghl.Client) error { return second(c.Fulfillments.List(ctx, order.ID)) },
		func(ctx context.Context, c *ghl.Client) error {
			return walk(c.Transactions.All(ctx, ghl.TransactionFilter{}))
		},
		func(ctx context.Context, c *ghl.Client) error { return second(c.Transactions.Get(ctx, paid.ID)) },
		func(ctx context.Context, c *ghl.Client) error {
			return walk(c.Subscriptions.All(ctx, ghl.SubscriptionFilter{}))
		},
		func(ctx context.Context, c *ghl.Client) error { return second(c.Subscriptions.Get(ctx, sub.ID)) },
		func(ctx context.Context, c *ghl.Client) error { return second(c.Subscriptions.Get(ctx, other.ID)) },
		func(ctx context.Context, c *ghl.Client) error { return walk(c.Products.All(ctx, ghl.ProductFilter{})) },
		func(ctx context.Context, c *ghl.Client) error { return second(c.Products.Get(ctx, product)) },
		func(ctx context.Context, c *ghl.Client) error {
			return walk(c.Prices.All(ctx, product, ghl.PriceFilter{}))
		},
		func(ctx context.Context, c *ghl.Client) error { return second(c.Prices.Get(ctx, product, monthly)) },
	}
}
