package ghl

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/transport"
)

const (
	location = "3SwdhCu3svxI8AKsPJt6"
	token    = "pit-00000000-0000-0000-0000-000000000000"
)

// fast is a limiter that never holds anything on its own account.
func fast() Limiter { return NewLimiterAt(0, 0) }

func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := New(Options{BaseURL: server.URL + "/", LocationID: location, Credentials: StaticToken(" " + token + "\n"), Limiter: fast()})
	require.NoError(t, err)
	t.Cleanup(client.CloseIdle)
	return client
}

func answerWith(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	_, err := New(Options{Credentials: StaticToken("x")})
	require.ErrorContains(t, err, "GHL_LOCATION_ID")
	_, err = New(Options{LocationID: "x"})
	require.ErrorContains(t, err, "GHL_PRIVATE_TOKEN")
	_, err = New(Options{LocationID: "x", Credentials: StaticToken("x"), BaseURL: "nonsense"})
	require.Error(t, err)
	client, err := New(Options{LocationID: "x", Credentials: StaticToken("x")})
	require.NoError(t, err)
	require.Equal(t, "x", client.LocationID())
}

func TestRequestsNameTokenVersionAndLocation(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token || r.Header.Get("Version") != DefaultVersion || r.Header.Get("Accept") != "application/json" {
			t.Errorf("headers of %s are wrong", r.URL.Path)
		}
		q := r.URL.Query()
		if q.Get("altId") != location || q.Get("altType") != "location" {
			t.Errorf("%s does not name the location", r.URL.Path)
		}
		_, _ = io.WriteString(w, `{"_id":"1","data":[]}`)
	})
	_, err := client.Orders.Get(t.Context(), "1")
	require.NoError(t, err)
	_, err = client.Transactions.Get(t.Context(), "1")
	require.NoError(t, err)
	_, err = client.Invoices.Get(t.Context(), "1")
	require.NoError(t, err)
	_, err = client.Orders.Page(t.Context(), OrderFilter{}, Cursor{})
	require.NoError(t, err)
	_, err = client.Transactions.Page(t.Context(), TransactionFilter{}, Cursor{})
	require.NoError(t, err)
}

func TestFiltersBecomeQueryParameters(t *testing.T) {
	var got url.Values
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.Query()
		_, _ = io.WriteString(w, `{"data":[],"totalCount":0}`)
	})
	from := time.Date(2026, 3, 1, 0, 30, 0, 0, time.FixedZone("", 3600)) // 28 February in UTC
	to := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	_, err := client.Orders.Page(t.Context(), OrderFilter{
		From: from, To: to, Status: "completed", PaymentStatus: "paid", PaymentMode: "live", ContactID: "c", SourceID: "s", Limit: 20,
	}, Cursor{Offset: 40})
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"altId": {location}, "altType": {"location"}, "startAt": {"2026-02-27"}, "endAt": {"2026-04-01"}, "status": {"completed"},
		"paymentStatus": {"paid"}, "paymentMode": {"live"}, "contactId": {"c"}, "sourceId": {"s"}, "limit": {"20"}, "offset": {"40"},
	}, got)
	_, err = client.Transactions.Page(t.Context(), TransactionFilter{
		EntityID: "e", SubscriptionID: "sub", ContactID: "c", SourceType: "funnel", SourceSubType: "upsell", PaymentMode: "live", Limit: 1000,
	}, Cursor{})
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"altId": {location}, "altType": {"location"}, "entityId": {"e"}, "subscriptionId": {"sub"}, "contactId": {"c"},
		"entitySourceType": {"funnel"}, "entitySourceSubType": {"upsell"}, "paymentMode": {"live"}, "limit": {"100"}, "offset": {"0"},
	}, got)
	_, err = client.Orders.Page(t.Context(), OrderFilter{}, Cursor{})
	require.NoError(t, err)
	require.NotContains(t, got, "contactId", "an empty filter would be answered with an empty list")
}

func TestWithoutATokenNothingLeaves(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a call left without a token") }))
	defer server.Close()
	for name, credentials := range map[string]Credentials{"empty": StaticToken(" "), "failing": failing{}} {
		client, err := New(Options{BaseURL: server.URL, LocationID: location, Credentials: credentials})
		require.NoError(t, err)
		_, err = client.Orders.Get(t.Context(), "1")
		require.ErrorIs(t, err, transport.ErrCredentials, name)
	}
}

type failing struct{ Credentials }

func (failing) Token(context.Context) (string, error) {
	return "", errors.New("the connection was revoked")
}

func TestGetNeedsAnID(t *testing.T) {
	client := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("an empty id left, and would address the list") })
	_, err := client.Orders.Get(t.Context(), "")
	require.ErrorIs(t, err, transport.ErrInvalidCall)
}

func TestEveryErrorShapeIsTold(t *testing.T) {
	type told struct{ notFound, invalid, scope, location bool }
	for name, c := range map[string]struct {
		status int
		body   string
		want   told
		words  string
	}{
		"400 order":       {400, `{"statusCode":400,"message":"Order not found"}`, told{notFound: true}, "Order not found"},
		"400 transaction": {400, `{"statusCode":400,"message":"Transaction with id x not found"}`, told{notFound: true}, "not found"},
		"400 contact":     {400, `{"statusCode":400,"message":"Contact not found"}`, told{notFound: true}, "not found"},
		"400 other":       {400, `{"statusCode":400,"message":"Location is not active"}`, told{}, "not active"},
		"400 product":     {400, `{"statusCode":400,"message":"Price not found"}`, told{}, "Price not found"},
		"401 jwt":         {401, `{"statusCode":401,"message":"Invalid JWT","error":"Unauthorized"}`, told{invalid: true}, "Invalid JWT"},
		"401 pit":         {401, `{"statusCode":401,"message":"Invalid Private Integration token"}`, told{invalid: true}, "token"},
		"401 scope":       {401, `{"statusCode":401,"message":"The token is not authorized for this scope."}`, told{scope: true}, "scope"},
		"401 iam":         {401, `{"statusCode":401,"message":"This route is not yet supported by the IAM Service. Please update."}`, told{}, "IAM"},
		"403":             {403, `{"statusCode":403,"message":"The token does not have access to this location."}`, told{location: true}, "access"},
		"404 exception":   {404, `{"status":404,"message":"Order not found","name":"HttpException","traceId":"05cc1a2b-aaaa-bbbb-cccc-dddddddddddd"}`, told{notFound: true}, "(trace 05cc1a2b-aaaa-bbbb-cccc-dddddddddddd)"},
		"404 plain":       {404, `{"statusCode":404,"message":"Not Found"}`, told{notFound: true}, "Not Found"},
		"404 route":       {404, `{"statusCode":404,"message":"Cannot GET /payments/orders/1","error":"Not Found"}`, told{}, "Cannot GET"},
		"404 location":    {404, `{"statusCode":404,"message":"Location not found"}`, told{}, "Location"},
		"404 of location": {404, `{"statusCode":404,"message":"Order not found in location"}`, told{notFound: true}, "Order"},
		"404 proxy":       {404, `<html><h1>404 Not Found</h1><hr>nginx</html>`, told{}, "404 Not Found nginx"},
		"422 list":        {422, `{"statusCode":422,"message":["altId must be a string","altType should not be empty"],"error":"Unprocessable Entity"}`, told{}, "altId must be a string; altType should not be empty"},
		"422 text":        {422, `{"statusCode":422,"message":"limit must be a number"}`, told{}, "limit"},
		"429":             {429, `Too Many Requests`, told{}, "Too Many Requests"},
		"500":             {500, `{"statusCode":500,"message":"Internal server error"}`, told{}, "Internal"},
		"502":             {502, ``, told{}, "502 Bad Gateway"},
		"v3":              {400, `{"error":{"code":"INVALID_ARGUMENT","message":"bad","details":[],"resolution":"x"}}`, told{}, "code INVALID_ARGUMENT: bad"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := serve(t, answerWith(c.status, c.body)).Orders.Get(t.Context(), "1")
			require.True(t, transport.IsStatus(err, c.status))
			require.Equal(t, c.want, told{IsNotFound(err), IsTokenInvalid(err), IsScopeMissing(err), IsWrongLocation(err)})
			require.ErrorContains(t, err, c.words)
			require.ErrorContains(t, err, "ghl.orders.get")
			require.False(t, transport.MayHaveLanded(err))
		})
	}
	require.False(t, IsNotFound(nil))
	require.False(t, IsTokenInvalid(io.EOF))
	require.False(t, IsScopeMissing(io.EOF))
}

func TestAnErrorIsNeverAnEmptyList(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"status":       answerWith(500, `{"data":[],"totalCount":0}`),
		"no array":     answerWith(200, `{"totalCount":0}`),
		"bare null":    answerWith(200, `null`),
		"null":         answerWith(200, `{"data":null,"totalCount":0}`),
		"object":       answerWith(200, `{"data":{},"totalCount":0}`),
		"object, null": answerWith(200, `{"data":{"data":null}}`),
		"text":         answerWith(200, `{"data":"[]"}`),
		"bare array":   answerWith(200, `[]`),
		"html":         answerWith(200, `<html></html>`),
		"empty":        answerWith(200, ``),
		"truncated":    answerWith(200, `{"data":[{"_id":"1"`),
		"cut line": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = io.WriteString(w, `{"data":[],"totalCount":0}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, handler)
			n := 0
			for _, err := range client.Transactions.All(t.Context(), TransactionFilter{}) {
				require.NotNil(t, transport.AsError(err))
				n++
			}
			require.Equal(t, 1, n, "the walk ends with the error")
			_, err := client.Orders.Page(t.Context(), OrderFilter{}, Cursor{})
			require.Error(t, err)
		})
	}
}

func TestAnAnswerWithoutItsObjectIsUnreadable(t *testing.T) {
	for _, body := range []string{`{}`, `null`, `[]`, `"x"`, `{"_id":null}`, `{"_id":{}}`, `{"contact":null}`, `{"contact":{}}`, `{"_id":"1"`} {
		client := serve(t, answerWith(200, body))
		_, err := client.Orders.Get(t.Context(), "1")
		require.ErrorIs(t, err, transport.ErrUnreadable, body)
		_, err = client.Transactions.Get(t.Context(), "1")
		require.ErrorIs(t, err, transport.ErrUnreadable, body)
		_, err = client.Invoices.Get(t.Context(), "1")
		require.ErrorIs(t, err, transport.ErrUnreadable, body)
		_, err = client.Contacts.Get(t.Context(), "1")
		require.ErrorIs(t, err, transport.ErrUnreadable, body)
	}
}

func TestCancelEndsACall(t *testing.T) {
	client := serve(t, answerWith(200, `{"_id":"1"}`))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.Orders.Get(ctx, "1")
	require.ErrorIs(t, err, context.Canceled)
}
