package ghl_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	api "github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/ghl"
)

// reader is the product's own client, which must get along with the server.
func (c *client) reader() *api.Client {
	c.t.Helper()
	reader, err := api.New(api.Options{BaseURL: c.server.URL(), LocationID: c.server.Location(),
		Credentials: api.StaticToken(c.server.Token()), Limiter: api.NewLimiterAt(0, 0)})
	require.NoError(c.t, err)
	c.t.Cleanup(reader.CloseIdle)
	return reader
}

// post sends a body as it is.
func (c *client) post(path, body string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.server.URL()+path, strings.NewReader(body))
	require.NoError(c.t, err)
	req.Header.Set("Authorization", "Bearer "+c.server.Token())
	req.Header.Set("Version", "2021-07-28")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	var raw json.RawMessage
	require.NoError(c.t, json.NewDecoder(resp.Body).Decode(&raw))
	return resp.StatusCode, string(raw)
}

func TestAFulfillmentIsPostedAndListed(t *testing.T) {
	c := start(t, ghl.Options{})
	reader, o := c.reader(), c.sale(nil)
	none, err := reader.Fulfillments.List(t.Context(), o.ID)
	require.NoError(t, err)
	require.Empty(t, none)

	shirts := o.Items[0].Price.ID
	made, err := reader.Fulfillments.Create(t.Context(), o.ID, api.FulfillmentInput{
		Trackings: []api.Tracking{{Number: "1Z999", Carrier: "UPS", URL: "https://ups.example/1Z999"}},
		Items:     []api.FulfilledItem{{PriceID: shirts, Quantity: 1}}, NotifyCustomer: true})
	require.NoError(t, err)
	require.Equal(t, "1Z999", made.Trackings[0].Number)
	require.True(t, made.Items[0].Quantity.Equal("1"))
	require.Equal(t, "PHYSICAL", made.Items[0].Product.Type)
	require.True(t, made.Items[0].Price.Amount.Equal("17"))
	now := mustOrder(t, c, o.ID)
	require.Equal(t, "partially_fulfilled", now.FulfillmentStatus)
	require.True(t, now.UpdatedAt.After(o.UpdatedAt))
	require.Equal(t, 1, c.server.CustomerMails())

	person, err := c.server.Fulfil(o.ID, ghl.NewFulfillment{})
	require.NoError(t, err)
	require.Equal(t, []ghl.FulfilledItem{{PriceID: shirts, Name: o.Items[0].Name, Qty: 1},
		{PriceID: o.Items[1].Price.ID, Name: o.Items[1].Name, Qty: 1}}, person.Items, "all that is left")
	require.Equal(t, "fulfilled", c.get("/payments/orders/" + o.ID)["fulfillmentStatus"])
	require.Equal(t, 1, c.server.CustomerMails(), "a person need not write to the customer")
	_, err = c.server.Fulfil(o.ID, ghl.NewFulfillment{})
	require.Error(t, err)

	listed, err := reader.Fulfillments.List(t.Context(), o.ID)
	require.NoError(t, err)
	require.Equal(t, []string{made.ID, person.ID}, []string{listed[0].ID, listed[1].ID})
	require.Equal(t, made, listed[0])
	require.NoError(t, c.server.EditOrder(o.ID, func(o *ghl.Order) { o.Items = o.Items[1:] }))
	edited, err := reader.Fulfillments.List(t.Context(), o.ID)
	require.NoError(t, err)
	require.Equal(t, listed, edited, "what was sent stays, whatever becomes of the order")
	all := c.server.AllFulfillments()
	require.Len(t, all, 2)
	require.True(t, all[0].ByAPI)
	require.False(t, all[1].ByAPI)

	_, err = reader.Fulfillments.List(t.Context(), "000000000000000000000000")
	require.True(t, api.IsNotFound(err), "%v", err)
	_, err = reader.Fulfillments.Create(t.Context(), "000000000000000000000000",
		api.FulfillmentInput{Items: []api.FulfilledItem{{PriceID: shirts, Quantity: 1}}})
	require.True(t, api.IsNotFound(err), "%v", err)
}

// TestEachPostMakesAnother: HighLevel has no key by which it would know a repetition.
func TestEachPostMakesAnother(t *testing.T) {
	for _, strict := range []bool{false, true} {
		c := start(t, ghl.Options{RefuseOverfulfillment: strict})
		o := c.sale(nil)
		in := api.FulfillmentInput{Items: []api.FulfilledItem{{PriceID: o.Items[0].Price.ID, Quantity: 2}}, NotifyCustomer: true}
		_, err := c.reader().Fulfillments.Create(t.Context(), o.ID, in)
		require.NoError(t, err)
		_, err = c.reader().Fulfillments.Create(t.Context(), o.ID, in)
		want := 2
		if strict {
			want = 1
			require.True(t, transport.IsStatus(err, 422), "%v", err)
		} else {
			require.NoError(t, err)
		}
		require.Len(t, c.server.Fulfillments(o.ID), want)
		require.Equal(t, want, c.server.CustomerMails())
	}
}

func TestALostAnswerToAFulfillment(t *testing.T) {
	plan := faults.NewPlan(1, faults.None)
	c := start(t, ghl.Options{Faults: plan})
	for fault, done := range map[faults.Kind]int{faults.CutBefore: 0, faults.CutAfter: 1, faults.LateCommit: 1, faults.TruncatedJSON: 1} {
		o := c.sale(nil)
		mails := c.server.CustomerMails()
		plan.Next("ghl.fulfillments.create", faults.Fault{Kind: fault, Delay: 10 * time.Millisecond})
		_, err := c.reader().Fulfillments.Create(t.Context(), o.ID, api.FulfillmentInput{
			Items: []api.FulfilledItem{{PriceID: o.Items[0].Price.ID, Quantity: 1}}, NotifyCustomer: true})
		require.Error(t, err, fault)
		require.True(t, transport.MayHaveLanded(err), "%s: %v", fault, err)
		plan.Wait()
		require.Len(t, c.server.Fulfillments(o.ID), done, fault)
		require.Equal(t, mails+done, c.server.CustomerMails(), fault)
	}
}

func TestWhatAFulfillmentsBodyMustHave(t *testing.T) {
	c := start(t, ghl.Options{})
	o := c.sale(nil)
	path, price := "/payments/orders/"+o.ID+"/fulfillments", o.Items[0].Price.ID
	body := func(change ...string) string {
		return strings.NewReplacer(change...).Replace(`{"altId":"` + c.server.Location() +
			`","altType":"location","trackings":[],"items":[{"priceId":"` + price + `","qty":1}],"notifyCustomer":false}`)
	}
	for name, bad := range map[string]string{
		"no JSON": "{", "no altType": body(`"altType":"location",`, ""), "another altType": body(`"location"`, `"company"`),
		"no trackings": body(`"trackings":[],`, ""), "no notifyCustomer": body(`,"notifyCustomer":false`, ""),
		"null":     body(`"notifyCustomer":false`, `"notifyCustomer":null`),
		"no items": body(`{"priceId":"`+price+`","qty":1}`, ""), "no pieces": body(`"qty":1`, `"qty":0`),
		"half a piece": body(`"qty":1`, `"qty":0.5`), "quoted": body(`"qty":1`, `"qty":"1"`),
		"not of the order": body(price, "000000000000000000000000"), "unknown field": body(`"items"`, `"status":"shipped","items"`),
	} {
		status, answer := c.post(path, bad)
		require.Equal(t, 422, status, "%s: %s", name, answer)
		require.Contains(t, answer, `"message":[`)
	}
	status, answer := c.post(path, body(c.server.Location(), "another"))
	require.Equal(t, 403, status, answer)
	status, answer = c.post(path+"?altId="+c.server.Location(), body())
	require.Equal(t, 422, status, "the query has no such parameter: %s", answer)
	require.Empty(t, c.server.AllFulfillments())
	status, answer = c.post(path, body())
	require.Equal(t, 200, status, answer)
	require.Contains(t, answer, `"status":true`)
}

func TestWhatAFulfillmentDoesToItsOrder(t *testing.T) {
	c := start(t, ghl.Options{FulfillmentWords: ghl.FulfillmentWords{Partial: "some", Full: "all"},
		FulfillmentKeepsUpdatedAt: true, FulfillmentWebhook: true})
	openDoor(t, c)
	o := c.sale(nil)
	_, err := c.server.Fulfil(o.ID, ghl.NewFulfillment{Items: []ghl.NewLine{{PriceID: o.Items[0].Price.ID, Qty: 1}},
		Trackings: []ghl.Tracking{{Number: "40012345678"}}, Notify: true})
	require.NoError(t, err)
	now := mustOrder(t, c, o.ID)
	require.Equal(t, "some", now.FulfillmentStatus)
	require.Equal(t, o.UpdatedAt, now.UpdatedAt)
	_, err = c.server.Fulfil(o.ID, ghl.NewFulfillment{})
	require.NoError(t, err)
	require.Equal(t, "all", mustOrder(t, c, o.ID).FulfillmentStatus)
	require.NoError(t, c.server.Cancel(o.ID))
	require.Equal(t, "cancelled", mustOrder(t, c, o.ID).Status)
	waitWebhooks(t, c)
	told := 0
	for _, one := range c.server.Deliveries() {
		if one.Event == "OrderStatusUpdate" {
			told++
		}
	}
	require.Equal(t, 3, told)

	silent := start(t, ghl.Options{})
	openDoor(t, silent)
	other := silent.sale(nil)
	_, err = silent.server.Fulfil(other.ID, ghl.NewFulfillment{})
	require.NoError(t, err)
	waitWebhooks(t, silent)
	for _, one := range silent.server.Deliveries() {
		require.NotEqual(t, "OrderStatusUpdate", one.Event, "HighLevel is not known to tell of fulfillments")
	}
}

func waitWebhooks(t *testing.T, c *client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, c.server.WaitWebhooks(ctx))
}

func TestProductsAndTheirPrices(t *testing.T) {
	c := start(t, ghl.Options{})
	reader := c.reader()
	c.server.AddLocation("another", "another-token")
	c.server.AddProduct(ghl.Product{LocationID: "another", Name: "Not ours"})
	course := c.server.AddProduct(ghl.Product{Name: "Course", Type: "DIGITAL"})
	price := c.server.AddPrice(ghl.Price{ProductID: course, Name: "Monthly", Amount: usd(4900), Interval: "month"})
	once := c.server.AddPrice(ghl.Price{ProductID: course, Name: "Once", SKU: "C-1", Amount: usd(9900)})
	o := c.sale(func(in *ghl.NewOrder) { in.Lines = append(in.Lines, ghl.NewLine{PriceID: once, Qty: 1}) })
	item := c.get("/payments/orders/" + o.ID)["items"].([]any)[2].(map[string]any)
	require.NotContains(t, item["product"], "productType", "as in the published sample")

	got, err := reader.Products.Get(t.Context(), course)
	require.NoError(t, err)
	require.Equal(t, "DIGITAL", got.Type)
	_, err = reader.Products.Get(t.Context(), "000000000000000000000000")
	require.True(t, api.IsNotFound(err), "%v", err)
	page, err := reader.Products.Page(t.Context(), api.ProductFilter{}, api.Cursor{})
	require.NoError(t, err)
	require.Len(t, page.Rows, 2)
	page, err = reader.Products.Page(t.Context(), api.ProductFilter{Search: "course", IDs: []string{course, "x"}}, api.Cursor{})
	require.NoError(t, err)
	require.Len(t, page.Rows, 1)
	require.Equal(t, got, page.Rows[0])
	list, err := reader.Prices.Page(t.Context(), course, api.PriceFilter{IDs: []string{price}}, api.Cursor{})
	require.NoError(t, err)
	require.Len(t, list.Rows, 1)
	require.Equal(t, api.Recurring{Interval: "month", Count: 1}, list.Rows[0].Recurring)
	one, err := reader.Prices.Get(t.Context(), course, once)
	require.NoError(t, err)
	require.Equal(t, "one_time", one.Type)
	_, err = reader.Prices.Get(t.Context(), course, "000000000000000000000000")
	require.True(t, api.IsNotFound(err), "%v", err)

	require.True(t, c.server.EditProduct(course, func(p *ghl.Product) { p.Type = "PHYSICAL/DIGITAL" }))
	got, err = reader.Products.Get(t.Context(), course)
	require.NoError(t, err)
	require.Equal(t, "PHYSICAL/DIGITAL", got.Type)

	shown := start(t, ghl.Options{ProductTypeInOrders: true})
	o = shown.sale(nil)
	item = shown.get("/payments/orders/" + o.ID)["items"].([]any)[0].(map[string]any)
	require.Equal(t, "PHYSICAL", item["product"].(map[string]any)["productType"])
}
