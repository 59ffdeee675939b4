package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStatusDecidesWhetherAWriteMayHaveLanded(t *testing.T) {
	for status, landed := range map[int]bool{
		301: true, 400: false, 401: false, 403: false, 404: false, 408: true, 409: false, 413: false, 422: false, 429: false,
		500: true, 502: true, 503: true, 504: true, 599: true,
	} {
		client := serve(t, Config{}, answerWith(status, `{"message":"no"}`))
		_, err := client.Do(t.Context(), put, nil)
		require.True(t, IsStatus(err, status))
		require.Equal(t, landed, MayHaveLanded(err), "write answered with %d", status)
		answer, err := client.Do(t.Context(), get, nil)
		require.False(t, MayHaveLanded(err), "a read changes nothing")
		require.Equal(t, status, answer.Status)
	}
}

func TestVendorWordsAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want Words
	}{
		"text":          {`{"statusCode":400,"message":"Order not found"}`, Words{Message: "Order not found"}},
		"list":          {`{"statusCode":422,"message":["a must be set","b is wrong"],"error":"Unprocessable Entity"}`, Words{Message: "a must be set; b is wrong"}},
		"capital":       {`{"Message":"nope","Code":910}`, Words{Message: "nope", Code: "910"}},
		"trace":         {`{"status":404,"message":"x","name":"HttpException","traceId":"05cc-1"}`, Words{Message: "x", TraceID: "05cc-1"}},
		"envelope":      {`{"error":{"code":"bad_scope","message":"no","details":[{"email":"a@b.c"}]}}`, Words{Code: "bad_scope", Message: "no"}},
		"only error":    {`{"error":"invalid_grant"}`, Words{Message: "invalid_grant"}},
		"html":          {"<html><head><style>p{}</style><title>502</title></head><body><h1>Bad  Gateway</h1><!-- x --></body></html>", Words{Message: "502 Bad Gateway"}},
		"plain":         {"upstream timed out\r\nnow", Words{Message: "upstream timed out now"}},
		"array":         {`["a"]`, Words{Message: `["a"]`}},
		"empty":         {"", Words{}},
		"code no word":  {`{"code":"a b c","message":"m"}`, Words{Message: "m"}},
		"message null":  {`{"message":null}`, Words{}},
		"echoed object": {`{"message":{"email":"a@b.c"}}`, Words{}},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, Config{}, answerWith(400, c.body))
			_, err := client.Do(t.Context(), get, nil)
			e := AsError(err)
			require.NotNil(t, e)
			require.Equal(t, c.want, Words{Code: e.Code, Message: e.Message, TraceID: e.TraceID})
			require.Equal(t, "vendor", e.Vendor)
			require.Contains(t, err.Error(), "vendor.things.get: 400 Bad Request")
		})
	}
}

func TestClassifyOfTheVendorGoesFirst(t *testing.T) {
	client := serve(t, Config{Classify: func(status int, h http.Header, body []byte) Words {
		return Words{Code: "c", Message: fmt.Sprint(status, h.Get("X-A"), len(body)), RetryAfter: time.Hour}
	}}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-A", "a")
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(429)
	})
	_, err := client.Do(t.Context(), get, nil)
	require.Equal(t, "429a0", strings.ReplaceAll(AsError(err).Message, " ", ""))
	require.Equal(t, time.Hour, RetryAfter(err))
}

func TestRetryAfterInBothForms(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "-4": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "soon": 0, "1.5": 0,
		"Sat, 21 Nov 2026 10:00:30 GMT": 30 * time.Second, "Sat, 21 Nov 2026 09:00:00 GMT": 0,
		"99999999999": 7 * 24 * time.Hour, "99999999999999999999999": 0,
	} {
		require.Equal(t, want, ParseRetryAfter(http.Header{"Retry-After": {value}}, now), value)
	}
}

func TestUnreadableAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "html": "<html>ok</html>", "cut": `{"id": 1`, "other type": `{"id": {"a": 1}}`, "two values": `{"id":1}{"id":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, Config{}, answerWith(200, body))
			var out struct{ ID int }
			_, err := client.Do(t.Context(), get, &out)
			require.ErrorIs(t, err, ErrUnreadable)
			require.False(t, MayHaveLanded(err))
			_, err = client.Do(t.Context(), put, &out)
			require.True(t, MayHaveLanded(err), "the vendor said success, only the answer is unreadable")
			require.True(t, IsStatus(err, 200))
		})
	}
}

func TestBodiesThatNeedNotBeRead(t *testing.T) {
	client := serve(t, Config{}, answerWith(200, "not json"))
	_, err := client.Do(t.Context(), put, nil)
	require.NoError(t, err)

	client = serve(t, Config{}, answerWith(204, ""))
	var out struct{}
	_, err = client.Do(t.Context(), put, &out)
	require.NoError(t, err)
}

func TestRawMessageGetsTheBodyAsItCame(t *testing.T) {
	client := serve(t, Config{}, answerWith(200, `{"a": 1.10}`))
	var raw json.RawMessage
	_, err := client.Do(t.Context(), get, &raw)
	require.NoError(t, err)
	first := string(raw)
	require.Equal(t, `{"a": 1.10}`, first)
	var again json.RawMessage
	_, err = client.Do(t.Context(), get, &again)
	require.NoError(t, err)
	require.Equal(t, first, string(raw), "a pooled buffer must not shine through")

	client = serve(t, Config{}, answerWith(200, "junk"))
	_, err = client.Do(t.Context(), get, &raw)
	require.ErrorIs(t, err, ErrUnreadable)
}

func TestAnswerTooLarge(t *testing.T) {
	big := `{"a":"` + strings.Repeat("x", 2000) + `"}`
	client := serve(t, Config{MaxBody: 1000}, answerWith(200, big))
	var out any
	_, err := client.Do(t.Context(), put, &out)
	require.ErrorIs(t, err, ErrTooLarge)
	require.True(t, MayHaveLanded(err))

	client = serve(t, Config{MaxBody: 1000}, answerWith(404, big))
	_, err = client.Do(t.Context(), put, &out)
	require.True(t, IsStatus(err, 404), "the status of an error page counts, however large the page")
	require.False(t, MayHaveLanded(err))

	client = serve(t, Config{MaxBody: int64(len(big))}, answerWith(200, big))
	_, err = client.Do(t.Context(), get, &out)
	require.NoError(t, err, "the limit itself is allowed")
}

// cutServer accepts connections and answers each request with some bytes, then hangs up.
func cutServer(t *testing.T, bytes string) *Client {
	t.Helper()
	return serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(connection, bytes)
		_ = connection.Close()
	})
}

func TestCutLines(t *testing.T) {
	for name, sent := range map[string]string{
		"nothing":       "",
		"half a header": "HTTP/1.1 200 O",
		"half a body":   "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":",
		"half a chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{\"id\":",
	} {
		t.Run(name, func(t *testing.T) {
			var out any
			_, err := cutServer(t, sent).Do(t.Context(), put, &out)
			require.ErrorIs(t, err, ErrNoAnswer)
			require.True(t, MayHaveLanded(err))
			_, err = cutServer(t, sent).Do(t.Context(), get, &out)
			require.ErrorIs(t, err, ErrNoAnswer)
			require.False(t, MayHaveLanded(err))
		})
	}
}

func TestACutErrorPageCountsByItsStatus(t *testing.T) {
	_, err := cutServer(t, "HTTP/1.1 422 Unprocessable\r\nContent-Length: 100\r\n\r\nbad fie").Do(t.Context(), put, nil)
	require.True(t, IsStatus(err, 422))
	require.False(t, MayHaveLanded(err))
}

func TestFaultsBeforeTheVendorLeaveNothingOpen(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	client, err := New(Config{Vendor: "vendor", BaseURL: "http://" + address})
	require.NoError(t, err)
	call := put
	call.Query = map[string][]string{"where": {"email='jane@example.com'"}}
	_, err = client.Do(t.Context(), call, nil)
	require.ErrorIs(t, err, ErrNoAnswer)
	require.False(t, MayHaveLanded(err), "nobody listened")
	require.NotContains(t, err.Error(), "jane")
	var network net.Error
	require.ErrorAs(t, err, &network)

	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quiet()
	secure.StartTLS()
	defer secure.Close()
	client, err = New(Config{Vendor: "vendor", BaseURL: secure.URL})
	require.NoError(t, err)
	_, err = client.Do(t.Context(), put, nil)
	require.ErrorIs(t, err, ErrNoAnswer)
	require.False(t, MayHaveLanded(err), "the certificate was refused")
}

func TestCancelBeforeAndAfterTheRequestLeft(t *testing.T) {
	arrived := make(chan struct{}, 1)
	client := serve(t, Config{}, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices a hang-up only once the body is read
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.Do(ctx, put, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, MayHaveLanded(err))

	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err = client.Do(ctx, put, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, MayHaveLanded(err))
}

func TestNoLinkOfTheErrorChainHoldsAnAddress(t *testing.T) {
	client := cutServer(t, "")
	call := get
	call.Query = map[string][]string{"where": {"phone=0123456789"}}
	_, err := client.Do(t.Context(), call, nil)
	for link := err; link != nil; link = errors.Unwrap(link) {
		require.NotContains(t, link.Error(), "where")
		require.NotContains(t, link.Error(), "0123456789")
	}
}
