package ghl

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
)

// recorded answers everything with one body and keeps the last request.
type recorded struct {
	method, path, query, version string
	body                         string
}

func record(t *testing.T, status int, answer string) (*Client, *recorded) {
	t.Helper()
	got := &recorded{}
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*got = recorded{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Version"), string(data)}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}), got
}

var start = time.Date(2026, 3, 1, 23, 30, 0, 0, time.FixedZone("", -3600)) // 2 March in UTC

func TestMoneyLeavesExactly(t *testing.T) {
	yen, dinar := domain.NewMoney(1500, "JPY"), domain.NewMoney(9007199254740993001, "KWD")
	for want, amount := range map[string]domain.Money{
		`150.10`: domain.NewMoney(15010, "USD"), `1500`: yen, `9007199254740993.001`: dinar, `0.00`: domain.NewMoney(0, "EUR"),
	} {
		client, got := record(t, 201, `{"_id":"1"}`)
		_, err := client.Prices.Create(t.Context(), "p", PriceInput{Name: "n", Type: "one_time", Amount: amount, SetupFee: &amount})
		require.NoError(t, err)
		var body map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(got.body), &body))
		require.Equal(t, want, string(body["amount"]))
		require.Equal(t, want, string(body["setupFee"]))
		require.JSONEq(t, `"`+string(amount.Currency)+`"`, string(body["currency"]))
	}
}

func TestAmountsOfTwoCurrenciesDoNotLeave(t *testing.T) {
	client := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it left") })
	euro, dollar := domain.NewMoney(1, "EUR"), domain.NewMoney(1, "USD")
	_, err := client.Prices.Create(t.Context(), "p", PriceInput{Name: "n", Type: "one_time", Amount: euro, CompareAt: &dollar})
	require.ErrorIs(t, err, transport.ErrInvalidCall)
	in := InvoiceInput{
		Name: "n", Contact: InvoiceContact{ID: "c", Name: "A", Phone: "1", Email: "a@example.com"}, IssuedOn: start,
		Items: []InvoiceLine{{Name: "a", Amount: euro, Quantity: 1}, {Name: "b", Amount: dollar, Quantity: 1}},
	}
	_, err = client.Invoices.Create(t.Context(), in)
	require.ErrorIs(t, err, transport.ErrInvalidCall)
	in.Items, in.Discount = in.Items[:1], &dollar
	_, err = client.Invoices.Create(t.Context(), in)
	require.ErrorIs(t, err, transport.ErrInvalidCall)
}

func TestCouponBodies(t *testing.T) {
	client, got := record(t, 200, `{"_id":"1","limitPerCustomer":0,"success":true}`)
	in := CouponInput{
		Name: "n", Code: "c", DiscountType: "amount", DiscountValue: "12.50", StartsAt: start, OncePerCustomer: true,
		Future: CouponRenewal{Applies: true},
	}
	coupon, err := client.Coupons.Update(t.Context(), "1", in)
	require.NoError(t, err)
	require.Zero(t, coupon.LimitPerCustomer)
	require.Equal(t, "/payments/coupon", got.path, "the id is no part of the path")
	require.JSONEq(t, `{"altId":"`+location+`","altType":"location","id":"1","name":"n","code":"c","discountType":"amount",
		"discountValue":12.50,"startDate":"2026-03-02T00:30:00.000Z","applyToFuturePayments":true,
		"applyToFuturePaymentsConfig":{"type":"forever"},"limitPerCustomer":true}`, got.body)

	require.NoError(t, client.Coupons.Delete(t.Context(), "1"))
	require.Equal(t, http.MethodDelete, got.method)
	require.Empty(t, got.query)
	require.JSONEq(t, `{"altId":"`+location+`","altType":"location","id":"1"}`, got.body)
}

func TestOnlyListsOfLinksAskForTheNewerVersion(t *testing.T) {
	client, got := record(t, 200, `{"data":[{"_id":"1","productIds":["p"],"limitPerCustomer":true}],"totalCount":1}`)
	page, err := client.Coupons.PageLinks(t.Context(), CouponFilter{}, Cursor{})
	require.NoError(t, err)
	require.Equal(t, "v3", got.version)
	require.Equal(t, []string{"p"}, page.Rows[0].ProductIDs)
	require.Equal(t, int64(1), page.Rows[0].LimitPerCustomer)
	_, err = client.Coupons.Page(t.Context(), CouponFilter{}, Cursor{})
	require.NoError(t, err)
	require.Equal(t, DefaultVersion, got.version)
}

func TestAnUpsertCannotOverwriteTags(t *testing.T) {
	client, got := record(t, 200, `{"new":false,"contact":{"id":"c"},"tags":["a","b"]}`)
	contact, made, err := client.Contacts.Upsert(t.Context(), ContactInput{Email: "a@example.com", Fields: []CustomField{{"f", "v"}}})
	require.NoError(t, err)
	require.False(t, made)
	require.Equal(t, "c", contact.ID)
	require.JSONEq(t, `{"locationId":"`+location+`","email":"a@example.com","customFields":[{"id":"f","field_value":"v"}]}`, got.body)
	tags, err := client.Contacts.AddTags(t.Context(), "c", []string{"b"})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, tags)
	require.Equal(t, "/contacts/c/tags", got.path)
}

func TestFindDuplicate(t *testing.T) {
	client, got := record(t, 200, `{"contact":null,"traceId":"t"}`)
	_, found, err := client.Contacts.FindDuplicate(t.Context(), "", "+1 888")
	require.NoError(t, err)
	require.False(t, found)
	require.Equal(t, "locationId="+location+"&number=%2B1+888", got.query, "a plus that is not escaped is read as a space")
	client, _ = record(t, 200, `{"contact":{"id":"c"}}`)
	contact, found, err := client.Contacts.FindDuplicate(t.Context(), "a@example.com", "")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "c", contact.ID)
	for _, odd := range []string{`{}`, `null`, `[]`, `{"contact":{}}`, `{"contacts":[]}`} {
		client, _ = record(t, 200, odd)
		_, _, err = client.Contacts.FindDuplicate(t.Context(), "a@example.com", "")
		require.ErrorIs(t, err, transport.ErrUnreadable, "%s says neither yes nor no", odd)
	}
}

// writes are all writes whose answer is not an object with an id of its own.
var writes = map[string]func(context.Context, *Client) error{
	"order payment": func(ctx context.Context, c *Client) error {
		return c.Orders.RecordPayment(ctx, "1", OrderPayment{Mode: "cash"})
	},
	"coupon delete":  func(ctx context.Context, c *Client) error { return c.Coupons.Delete(ctx, "1") },
	"product delete": func(ctx context.Context, c *Client) error { return c.Products.Delete(ctx, "1") },
	"price delete":   func(ctx context.Context, c *Client) error { return c.Prices.Delete(ctx, "1", "2") },
	"stock": func(ctx context.Context, c *Client) error {
		return c.Inventory.Update(ctx, []StockChange{{PriceID: "1"}})
	},
	"invoice payment": func(ctx context.Context, c *Client) error {
		_, err := c.Invoices.RecordPayment(ctx, "1", InvoicePayment{Mode: "cash"})
		return err
	},
}

func TestAWriteThatIsNotConfirmedMayHaveLanded(t *testing.T) {
	for name, write := range writes {
		for _, answer := range []string{`{}`, `{"success":false}`, `{"status":"error"}`, `[]`, `{"success":true`, ``} {
			client, _ := record(t, 200, answer)
			err := write(t.Context(), client)
			require.ErrorIs(t, err, transport.ErrUnreadable, "%s: %s", name, answer)
			require.True(t, transport.MayHaveLanded(err), name)
		}
		client, _ := record(t, 200, `{"success":"true","invoice":{"_id":"1"}}`)
		require.NoError(t, write(t.Context(), client), name)
		client, _ = record(t, 422, `{"message":["no"]}`)
		require.False(t, transport.MayHaveLanded(write(t.Context(), client)), "%s: a refusal did nothing", name)
		client, _ = record(t, 502, ``)
		require.True(t, transport.MayHaveLanded(write(t.Context(), client)), name)
	}
}

func TestEmptyIdsDoNotLeave(t *testing.T) {
	client := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s left", r.Method, r.URL.Path) })
	ctx := t.Context()
	_, coupon := client.Coupons.Get(ctx, "", "c")
	_, code := client.Coupons.Get(ctx, "1", "")
	_, price := client.Prices.Get(ctx, "1", "")
	_, items := client.Fulfillments.Create(ctx, "1", FulfillmentInput{})
	_, _, contact := client.Contacts.Upsert(ctx, ContactInput{FirstName: "A"})
	_, tags := client.Contacts.AddTags(ctx, "1", nil)
	_, note := client.Contacts.AddNote(ctx, "1", Note{Title: "t"})
	_, provider := client.Providers.Create(ctx, ProviderInput{Title: "t"})
	for i, err := range []error{
		coupon, code, price, items, contact, tags, note, provider, client.Coupons.Delete(ctx, ""), client.Products.Delete(ctx, ""),
		client.Inventory.Update(ctx, nil), client.Inventory.Update(ctx, []StockChange{{}}),
	} {
		require.ErrorIs(t, err, transport.ErrInvalidCall, "%d", i)
		require.False(t, transport.MayHaveLanded(err))
	}
}

func TestListsUnderOtherNames(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		rows int // -1 for an error
		read func(context.Context, *Client) (int, error)
	}{
		"products":       {`{"products":[{"_id":"1"},{"_id":"2"}],"total":[{"total":2}]}`, 2, countProducts},
		"products, none": {`{"products":[],"total":[{"total":0}]}`, 0, countProducts},
		"products, data": {`{"data":[],"total":0}`, -1, countProducts},
		"products, one":  {`{"products":{"_id":"1"}}`, -1, countProducts},
		"providers":      {`{"providers":[{"_id":"1"},{"_id":"2"}]}`, 2, countProviders},
		"provider":       {`{"providers":{"_id":"1"}}`, 1, countProviders},
		"provider, odd":  {`{"providers":{}}`, -1, countProviders},
		"provider, null": {`{"providers":null}`, -1, countProviders},
	} {
		client, _ := record(t, 200, c.body)
		n, err := c.read(t.Context(), client)
		if c.rows < 0 {
			require.ErrorIs(t, err, transport.ErrUnreadable, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.rows, n, name)
	}
}

func countProducts(ctx context.Context, c *Client) (int, error) {
	p, err := c.Products.Page(ctx, ProductFilter{}, Cursor{})
	return len(p.Rows), err
}

func countProviders(ctx context.Context, c *Client) (int, error) {
	p, err := c.Providers.Page(ctx, ProviderFilter{}, Cursor{})
	return len(p.Rows), err
}

func TestScheduleOfASubscription(t *testing.T) {
	s, err := DecodeSubscription([]byte(`{"_id":"1","subscriptionId":"sub_1","amount":59,"status":"active","coupon":{"code":"FEST10"},
		"schedule":{"executeAt":"x","rrule":{"intervalType":"monthly","interval":"2","startDate":"2023-01-01","startTime":"20:45:00",
		"endDate":"2029-11-01","dayOfMonth":15,"count":10}},"canceledAt":"2023-11-20T10:23:36.515Z","entitySource":{"type":"funnel"}}`))
	require.NoError(t, err)
	require.Equal(t, Schedule{
		ExecuteAt: "x", IntervalType: "monthly", Interval: 2, StartDate: "2023-01-01", StartTime: "20:45:00", EndDate: "2029-11-01",
		DayOfMonth: 15, Count: 10,
	}, s.Schedule)
	require.Equal(t, domain.Number("59"), s.Amount)
	require.Equal(t, "FEST10", s.CouponCode)
	require.Equal(t, "funnel", s.Source.Type)
	require.Equal(t, 2023, s.CanceledAt.Year())
}

func TestHalfAListOfFulfillmentsIsAnError(t *testing.T) {
	client, _ := record(t, 200, `{"status":true,"data":[{"_id":"1"},{"_id":"2","items":[{"qty":"two"}]}]}`)
	_, err := client.Fulfillments.List(t.Context(), "1")
	require.ErrorIs(t, err, transport.ErrUnreadable)
	require.False(t, transport.MayHaveLanded(err))
}

func TestWhatIsMissingIsToldByWhatWasAskedFor(t *testing.T) {
	client, _ := record(t, 400, `{"statusCode":400,"message":"Product not found"}`)
	_, err := client.Products.Get(t.Context(), "1")
	require.True(t, IsNotFound(err))
	_, err = client.Prices.Get(t.Context(), "1", "2")
	require.True(t, IsNotFound(err))
	_, err = client.Orders.Get(t.Context(), "1")
	require.False(t, IsNotFound(err), "the order is there, only a product of it is not")
}

func TestDaysOfInvoicesAreThoseOfTheirZone(t *testing.T) {
	client, got := record(t, 200, `{"_id":"1"}`)
	_, err := client.Invoices.Create(t.Context(), InvoiceInput{
		Name: "n", Contact: InvoiceContact{ID: "c", Name: "A", Phone: "1", Email: "a@example.com"}, IssuedOn: start,
		Items: []InvoiceLine{{Name: "a", Amount: domain.NewMoney(1999, "EUR"), Quantity: 2}},
	})
	require.NoError(t, err)
	require.JSONEq(t, `{"altId":"`+location+`","altType":"location","name":"n","businessDetails":{},"currency":"EUR",
		"items":[{"name":"a","currency":"EUR","amount":19.99,"qty":2}],"discount":{"type":"fixed","value":0},
		"contactDetails":{"id":"c","name":"A","phoneNo":"1","email":"a@example.com"},"issueDate":"2026-03-01",
		"sentTo":{"email":["a@example.com"]},"liveMode":true}`, got.body)
}
