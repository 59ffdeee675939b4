package ghl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/transport"
)

const (
	clientID     = "65f0e879ad2646715ba9c001-lx1abc2d"
	clientSecret = "9b1d4c1e-secret-of-the-app"
	access       = "eyJhbGciOiJSUzI1NiJ9.access-one.sig"
	refresh      = "refresh-one-0123456789"
	redirect     = "https://tally.example.com/oauth/ghl/callback"
)

// issued is the answer of HighLevel's OAuth guide, with each field that is documented.
const issued = `{"access_token":"` + access + `","token_type":"Bearer","expires_in":86399,"refresh_token":"` + refresh + `",
"scope":"payments/orders.readonly contacts.readonly","userType":"Location","locationId":"loc1","companyId":"com1","userId":"use1","planId":"p",
"approvedLocations":["loc1","loc2"],"isBulkInstallation":true,"installToFutureLocations":true,"approveAllLocations":false,"refreshTokenId":"r","traceId":"t"}`

// asked is one request that the vendor saw.
type asked struct {
	method, path string
	header       http.Header
	query, form  url.Values
}

func oauthTo(t *testing.T, change func(*OAuthOptions), handler http.HandlerFunc) (*OAuth, *[]asked) {
	t.Helper()
	var seen []asked
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		mu.Lock()
		defer mu.Unlock() // also over what the handler does to the test's own variables
		seen = append(seen, asked{r.Method, r.URL.Path, r.Header, r.URL.Query(), form})
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	options := OAuthOptions{BaseURL: server.URL, ClientID: clientID, ClientSecret: clientSecret, RedirectURL: redirect}
	if change != nil {
		change(&options)
	}
	o, err := NewOAuth(options)
	require.NoError(t, err)
	t.Cleanup(o.CloseIdle)
	return o, &seen
}

func TestExchange(t *testing.T) {
	o, seen := oauthTo(t, nil, answerWith(200, issued))
	began := time.Now()
	grant, err := o.Exchange(t.Context(), "code/1+x", LocationUser)
	require.NoError(t, err)
	require.Len(t, *seen, 1, "the code is good for one use: no probing for the place of the credentials")
	r := (*seen)[0]
	require.Equal(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {"code/1+x"}, "redirect_uri": {redirect}, "user_type": {"Location"},
		"client_id": {clientID}, "client_secret": {clientSecret},
	}, r.form)
	require.Equal(t, "POST /oauth/token", r.method+" "+r.path)
	require.Empty(t, r.query)
	require.Empty(t, r.header.Get("Authorization"))
	require.Equal(t, []string{"2021-07-28"}, r.header["Version"])
	require.Equal(t, "application/x-www-form-urlencoded", r.header.Get("Content-Type"))
	require.Equal(t, "application/json", r.header.Get("Accept"))

	require.WithinDuration(t, began.Add(86399*time.Second), grant.Expires, 5*time.Second)
	grant.Expires = time.Time{}
	require.True(t, assert.ObjectsAreEqual(Grant{
		AccessToken: access, RefreshToken: refresh, Scopes: []string{"payments/orders.readonly", "contacts.readonly"},
		UserType: LocationUser, LocationID: "loc1", CompanyID: "com1", UserID: "use1", Bulk: true, FutureLocations: true,
		ApprovedLocations: []string{"loc1", "loc2"},
	}, grant))

	_, err = o.Exchange(t.Context(), "code", "")
	require.NoError(t, err)
	require.NotContains(t, (*seen)[1].form, "user_type", "whoever installs decides")
}

func TestRefresh(t *testing.T) {
	o, seen := oauthTo(t, nil, answerWith(200, issued))
	grant, err := o.Refresh(t.Context(), "old one", CompanyUser)
	require.NoError(t, err)
	require.Equal(t, refresh, grant.RefreshToken)
	require.Len(t, *seen, 1)
	require.Equal(t, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {"old one"}, "user_type": {"Company"},
		"client_id": {clientID}, "client_secret": {clientSecret},
	}, (*seen)[0].form)
	require.Equal(t, []string{"2021-07-28"}, (*seen)[0].header["Version"])
	require.Empty(t, (*seen)[0].header.Get("Authorization"))

	o, _ = oauthTo(t, nil, answerWith(200, `{"access_token":"a","expires_in":60}`))
	grant, err = o.Refresh(t.Context(), "kept", LocationUser)
	require.NoError(t, err)
	require.Equal(t, "kept", grant.RefreshToken, "no other was given")
	require.Equal(t, LocationUser, grant.UserType)
}

func TestNothingToRedeemIsNotSent(t *testing.T) {
	o, seen := oauthTo(t, nil, answerWith(200, issued))
	for _, call := range []func() error{
		func() error { _, err := o.Exchange(t.Context(), "", ""); return err },
		func() error { _, err := o.Refresh(t.Context(), "", ""); return err },
		func() error { _, err := o.LocationToken(t.Context(), "", "c", "l"); return err },
		func() error { _, err := o.LocationToken(t.Context(), "t", "c", ""); return err },
		func() error { _, err := o.InstalledLocations(t.Context(), "t", ""); return err },
	} {
		require.ErrorIs(t, call(), transport.ErrInvalidCall)
	}
	require.Empty(t, *seen)
}

func TestAGrantIsReadTolerantly(t *testing.T) {
	for body, want := range map[string]Grant{
		`{"access_token":"a","expires_in":"60","userType":"Company","companyId":"c","isBulkInstallation":"true","approvedLocations":null}`: {UserType: CompanyUser, CompanyID: "c", Bulk: true},
		`{"access_token":"a","expires_in":60,"locationId":"l","isBulkInstallation":"Bearer","approvedLocations":["x","",null]}`:            {UserType: LocationUser, LocationID: "l", ApprovedLocations: []string{"x"}},
		`{"access_token":"a","expires_in":60,"companyId":"c"}`:                                                                             {UserType: CompanyUser, CompanyID: "c"},
	} {
		o, _ := oauthTo(t, nil, answerWith(201, body))
		grant, err := o.Exchange(t.Context(), "code", "")
		require.NoError(t, err, body)
		require.Equal(t, "a", grant.AccessToken)
		require.WithinDuration(t, time.Now().Add(time.Minute), grant.Expires, 5*time.Second)
		want.AccessToken, want.Expires, want.Scopes = "a", grant.Expires, []string{}
		require.True(t, assert.ObjectsAreEqual(want, grant), body)
	}
	o, _ := oauthTo(t, nil, answerWith(200, `{"access_token":"a"}`))
	grant, err := o.Exchange(t.Context(), "code", "")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), grant.Expires, 5*time.Second)
}

func TestLocationToken(t *testing.T) {
	o, seen := oauthTo(t, nil, answerWith(200, `{"access_token":"`+access+`","expires_in":86399,"scope":"contacts.readonly","locationId":"loc1","userId":"u","appId":"a"}`))
	grant, err := o.LocationToken(t.Context(), "company-token", "com1", "loc1")
	require.NoError(t, err)
	r := (*seen)[0]
	require.Equal(t, "POST /oauth/locationToken", r.method+" "+r.path)
	require.Equal(t, url.Values{"companyId": {"com1"}, "locationId": {"loc1"}}, r.form)
	require.Equal(t, "Bearer company-token", r.header.Get("Authorization"))
	require.Equal(t, []string{"2021-07-28"}, r.header["Version"])
	require.Equal(t, access, grant.AccessToken)
	require.Empty(t, grant.RefreshToken)
	require.Equal(t, "loc1 com1 Location", grant.LocationID+" "+grant.CompanyID+" "+string(grant.UserType))

	_, err = o.LocationToken(t.Context(), "company-token", "com1", "loc2")
	require.ErrorIs(t, err, transport.ErrUnreadable, "a token of another location is no token")
	require.NotContains(t, err.Error(), access)
}

func TestInstalledLocations(t *testing.T) {
	const all = 250
	var count string
	for _, c := range []struct {
		cap   int // what the vendor gives at most
		total string
	}{{100, `"count":250`}, {100, `"other":1`}, {20, `"count":"250"`}, {20, `"other":1`}, {100, `"count":9000`}} {
		count = c.total
		o, seen := oauthTo(t, nil, func(w http.ResponseWriter, r *http.Request) {
			skip, _ := strconv.Atoi(r.URL.Query().Get("skip"))
			limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
			rows := []string{}
			for i := skip; i < min(all, skip+min(limit, c.cap)); i++ {
				rows = append(rows, fmt.Sprintf(`{"_id":"loc%d","name":"Shop %d","address":"x","isInstalled":%t,"installedAt":"2024-01-15T10:30:00.000Z"}`, i, i, i != 7))
			}
			_, _ = fmt.Fprintf(w, `{"locations":[%s],%s,"installToFutureLocations":true}`, strings.Join(rows, ","), count)
		})
		found, err := o.InstalledLocations(t.Context(), "company-token", "com1")
		require.NoError(t, err)
		require.Len(t, found, all-1, "one says itself that it is not installed")
		require.Equal(t, InstalledLocation{ID: "loc0", Name: "Shop 0", InstalledAt: time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC)}, found[0])
		require.Equal(t, "loc249", found[248].ID)
		r := (*seen)[0]
		require.Equal(t, url.Values{"companyId": {"com1"}, "appId": {"65f0e879ad2646715ba9c001"}, "isInstalled": {"true"}, "limit": {"100"}, "skip": {"0"}}, r.query)
		require.Equal(t, "Bearer company-token", r.header.Get("Authorization"))
		require.Equal(t, []string{"2021-07-28"}, r.header["Version"])
	}
	o, seen := oauthTo(t, nil, answerWith(200, `{"locations":[{"_id":"loc1","name":"Shop"}]}`))
	found, err := o.InstalledLocations(t.Context(), "t", "c")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Len(t, *seen, 2, "a vendor that ignores skip comes to an end")
	for _, body := range []string{`{}`, `{"locations":null}`, `[]`} {
		o, _ = oauthTo(t, nil, answerWith(200, body))
		_, err = o.InstalledLocations(t.Context(), "t", "c")
		require.ErrorIs(t, err, transport.ErrUnreadable, body)
	}
}

func TestAuthorizeURL(t *testing.T) {
	o, _ := oauthTo(t, nil, answerWith(200, "{}"))
	link, err := url.Parse(o.AuthorizeURL("state&1"))
	require.NoError(t, err)
	require.Equal(t, DefaultAuthorizeURL, "https://"+link.Host+link.Path)
	require.Equal(t, url.Values{"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirect}, "state": {"state&1"},
		"scope": {strings.Join(DefaultScopes(), " ")}}, link.Query())
	require.Equal(t, "65f0e879ad2646715ba9c001", o.AppID())

	o, _ = oauthTo(t, func(o *OAuthOptions) {
		o.AuthorizeURL = "https://marketplace.leadconnectorhq.com/v2/oauth/chooselocation?response_type=code&redirect_uri=https%3A%2F%2Fold&client_id=" +
			clientID + "&scope=contacts.readonly+invoices.readonly&version_id=v7&state=planted"
	}, answerWith(200, "{}"))
	link, err = url.Parse(o.AuthorizeURL("s"))
	require.NoError(t, err)
	require.Equal(t, "marketplace.leadconnectorhq.com", link.Host)
	require.Equal(t, url.Values{"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirect}, "state": {"s"},
		"scope": {"contacts.readonly invoices.readonly"}, "version_id": {"v7"}}, link.Query())
	require.Equal(t, []string{"contacts.readonly", "invoices.readonly"}, o.Scopes())
}

func TestNewOAuthSaysWhatIsWrong(t *testing.T) {
	good := OAuthOptions{ClientID: clientID, ClientSecret: clientSecret, RedirectURL: redirect}
	for want, change := range map[string]func(*OAuthOptions){
		"GHL_CLIENT_ID":     func(o *OAuthOptions) { o.ClientID = "" },
		"GHL_CLIENT_SECRET": func(o *OAuthOptions) { o.ClientSecret = "" },
		"GHL_REDIRECT_URL":  func(o *OAuthOptions) { o.RedirectURL = "" },
		"GHL_AUTHORIZE_URL": func(o *OAuthOptions) { o.AuthorizeURL = "javascript:alert(1)" },
		"another app":       func(o *OAuthOptions) { o.AuthorizeURL = DefaultAuthorizeURL + "?client_id=other" },
		"GHL_TOKEN_URL":     func(o *OAuthOptions) { o.TokenURL = "https://x/t?a=b" },
		"base address":      func(o *OAuthOptions) { o.BaseURL = "nonsense" },
	} {
		o := good
		change(&o)
		_, err := NewOAuth(o)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), clientSecret)
	}
	_, err := NewOAuth(good)
	require.NoError(t, err)
}

func TestTheTokenEndpointMayBeElsewhere(t *testing.T) {
	o, api := oauthTo(t, nil, answerWith(500, "{}"))
	_ = o
	elsewhere, seen := oauthTo(t, func(o *OAuthOptions) {
		o.TokenURL, o.BaseURL = o.BaseURL+"/v9/token", "https://api.example.com"
	}, answerWith(200, issued))
	_, err := elsewhere.Refresh(t.Context(), "r", LocationUser)
	require.NoError(t, err)
	require.Equal(t, "/v9/token", (*seen)[0].path)
	require.Empty(t, *api)
}

// TestNoAnswerLeaksFromAnError answers with all that is secret, in every shape in which a token endpoint may fail.
func TestNoAnswerLeaksFromAnError(t *testing.T) {
	echo := `"access_token":"` + access + `","refresh_token":"` + refresh + `","client_secret":"` + clientSecret + `","email":"jane@example.com"`
	for name, handler := range map[string]http.HandlerFunc{
		"400 with all of it":    answerWith(400, `{"error":"invalid_grant","message":"refresh_token: `+refresh+`",`+echo+`}`),
		"200 with an error":     answerWith(200, `{"error":"invalid_grant","error_description":"`+refresh+`",`+echo+`}`),
		"200 without a token":   answerWith(200, `{"accessToken":"`+access+`","refreshToken":"`+refresh+`"}`),
		"200 that is cut":       answerWith(200, `{`+echo),
		"200 of the wrong type": answerWith(200, `{"expires_in":{"x":"`+refresh+`"},`+echo+`}`),
		"200 as a page":         answerWith(200, `<html>`+access+`</html>`),
		"500 with all of it":    answerWith(500, `{`+echo+`}`),
		"302 to somebody else": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/?t="+access, http.StatusFound)
		},
		"200 that is far too much": answerWith(200, `{"access_token":"`+strings.Repeat("a", 9<<20)+`"}`),
	} {
		t.Run(name, func(t *testing.T) {
			var lines bytes.Buffer
			metrics, err := transport.NewMetrics(prometheus.NewRegistry())
			require.NoError(t, err)
			o, seen := oauthTo(t, func(o *OAuthOptions) {
				o.Logger = slog.New(slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
				o.Metrics = metrics
			}, handler)
			for _, call := range []func() (Grant, error){
				func() (Grant, error) { return o.Exchange(t.Context(), "code-in-the-form", LocationUser) },
				func() (Grant, error) { return o.Refresh(t.Context(), refresh, LocationUser) },
			} {
				grant, err := call()
				require.Error(t, err)
				require.Empty(t, grant.AccessToken)
				e := transport.AsError(err)
				require.NotNil(t, e)
				require.Equal(t, "ghl.oauth.token", e.Operation)
				for link := err; link != nil; link = errors.Unwrap(link) {
					said := fmt.Sprintf("%v %+v %#v", link, link, link) + lines.String()
					for _, secret := range []string{access, refresh, clientSecret, "jane@", "access-one", "code-in-the-form", "aaaaaaaaaa"} {
						require.NotContains(t, said, secret)
					}
				}
				require.Equal(t, e.Status != 400, e.MayHaveLanded, "unless it is refused, the pair may have been replaced: %v", err)
			}
			require.Len(t, *seen, 2, "nothing is repeated and nothing followed")
		})
	}
}

func TestRefused(t *testing.T) {
	words := `{"statusCode":%d,"message":"%s","error":"x"}`
	for _, c := range []struct {
		status int
		body   string
		want   bool
	}{
		{400, fmt.Sprintf(words, 400, "Location is not active"), true},
		{400, `{"error":"invalid_grant","error_description":"This refresh token is invalid"}`, true},
		{401, fmt.Sprintf(words, 401, "Invalid refresh token"), true},
		{403, fmt.Sprintf(words, 403, "The token does not have access to this location."), true},
		{404, fmt.Sprintf(words, 404, "Installation not found"), true},
		{422, `{"statusCode":422,"message":["code should not be empty"]}`, true},
		{410, ``, true},
		{408, `{}`, false},
		{425, `{}`, false},
		{429, `{}`, false},
		{500, fmt.Sprintf(words, 500, "Invalid refresh token"), false},
		{502, `<html>bad gateway</html>`, false},
		{503, `{}`, false},
		{307, `{}`, false},
		{200, `{}`, false},
		{403, `<html>Attention Required! | a proxy</html>`, false},
		{404, fmt.Sprintf(words, 404, "Cannot POST /oauth/tokens"), false},
		{401, `{"error":"invalid_client"}`, false},
		{400, fmt.Sprintf(words, 400, "Invalid client credentials"), false},
		{422, `{"statusCode":422,"message":["client_secret should not be empty"]}`, false},
	} {
		o, _ := oauthTo(t, nil, answerWith(c.status, c.body))
		_, err := o.Refresh(t.Context(), "r", LocationUser)
		require.Equal(t, c.want, Refused(err), "%d %s: %v", c.status, c.body, err)
		require.Equal(t, c.want, Refused(fmt.Errorf("vault: %w", err)))
		_, err = o.Exchange(t.Context(), "c", LocationUser)
		require.Equal(t, c.want, Refused(err), "%d %s", c.status, c.body)
		_, err = o.LocationToken(t.Context(), "t", "c", "l")
		require.Equal(t, c.want && c.status != 401, Refused(err), "a company's token may be renewed: %d %s", c.status, c.body)
		_, err = o.InstalledLocations(t.Context(), "t", "c")
		require.False(t, Refused(err), "a list that cannot be had takes nothing away")
	}
	require.False(t, Refused(nil))
	require.False(t, Refused(errors.New("x")))
	require.False(t, Refused(&transport.Error{Vendor: "sage", Operation: "sage.login", Status: 401}))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	o, _ := oauthTo(t, nil, answerWith(200, issued))
	_, err := o.Refresh(gone, "r", LocationUser)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, Refused(err))
}

func TestALostAnswerMayHaveRotated(t *testing.T) {
	var sent atomic.Int64
	o, _ := oauthTo(t, nil, func(http.ResponseWriter, *http.Request) {
		sent.Add(1)
		panic(http.ErrAbortHandler)
	})
	_, err := o.Refresh(t.Context(), refresh, LocationUser)
	require.ErrorIs(t, err, transport.ErrNoAnswer)
	require.True(t, transport.MayHaveLanded(err))
	require.False(t, Refused(err))
	require.NotContains(t, err.Error(), refresh)
	require.EqualValues(t, 1, sent.Load(), "whoever keeps the tokens decides whether to try again")
}

func TestAGrantShowsNoTokens(t *testing.T) {
	grant := Grant{AccessToken: access, RefreshToken: refresh, UserType: LocationUser, LocationID: "loc1", CompanyID: "com1"}
	var said []string
	for _, verb := range verbs {
		for _, v := range []any{grant, &grant, []Grant{grant}, map[string]Grant{"a": grant}, struct{ G Grant }{grant}, fmt.Errorf("x: %v", grant)} {
			said = append(said, fmt.Sprintf(verb, v))
		}
	}
	data, err := json.Marshal(map[string]any{"a": grant, "b": &grant})
	require.NoError(t, err)
	var lines bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&lines, nil), slog.NewTextHandler(&lines, nil)} {
		slog.New(handler).Info("x", "grant", grant, "pointer", &grant, "in", []any{grant}, slog.Group("g", "grant", grant))
	}
	said = append(said, string(data), lines.String(), grant.String(), grant.GoString())
	for _, text := range said {
		require.NotContains(t, text, access)
		require.NotContains(t, text, refresh)
		require.NotContains(t, text, fmt.Sprintf("%x", refresh))
	}
	require.Contains(t, lines.String(), "loc1", "it says whose it is")
	o, _ := oauthTo(t, nil, answerWith(200, "{}"))
	for _, verb := range verbs {
		require.NotContains(t, fmt.Sprintf(verb, o), clientSecret)
	}
}

func TestScopesAreExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, scope := range Scopes() {
		require.NotEmpty(t, scope.For, scope.Name)
		require.False(t, seen[scope.Name], scope.Name)
		seen[scope.Name] = true
		require.Len(t, strings.Fields(scope.Name), 1)
	}
	require.NotContains(t, DefaultScopes(), "payments/integration.write")
	require.Contains(t, DefaultScopes(), "payments/orders.collectPayment")
}
