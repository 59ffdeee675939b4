package ghl_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/tallystick/tallystick/internal/testkit"
	"github.com/tallystick/tallystick/sandbox/faults"
	"github.com/tallystick/tallystick/sandbox/ghl"
)

const (
	second    = "SecondLocation000001"
	ours      = "http://127.0.0.1:1/oauth/ghl/callback"
	orderRead = "payments/orders.readonly"
)

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// config is the app as golang.org/x/oauth2 knows it.
func (c *client) config() *oauth2.Config {
	return &oauth2.Config{ClientID: c.server.ClientID(), ClientSecret: c.server.ClientSecret(), RedirectURL: ours,
		Scopes: []string{orderRead, "invoices.readonly"}, Endpoint: oauth2.Endpoint{AuthURL: c.server.AuthorizeURL(),
			TokenURL: c.server.URL() + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams}}
}

// visit opens the consent page, and follows no redirect.
func (c *client) visit(address string) (status int, location *url.URL, page string) {
	c.t.Helper()
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, address, nil)
	require.NoError(c.t, err)
	resp, err := browser.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	if at := resp.Header.Get("Location"); at != "" {
		location, err = url.Parse(at)
		require.NoError(c.t, err)
	}
	return resp.StatusCode, location, string(body)
}

// approve lets the app in and returns the code.
func (c *client) approve(answer ...string) string {
	c.t.Helper()
	status, to, page := c.visit(c.config().AuthCodeURL("st&te") + "&" + strings.Join(answer, "&"))
	require.Equal(c.t, 302, status, page)
	require.Equal(c.t, "st&te", to.Query().Get("state"))
	require.True(c.t, strings.HasPrefix(to.String(), ours+"?"))
	return to.Query().Get("code")
}

// form posts fields and decodes the answer. A header's value "" takes it away.
func (c *client) form(path string, fields url.Values, headers ...string) (int, map[string]any) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.server.URL()+path, strings.NewReader(fields.Encode()))
	require.NoError(c.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Version", "2021-07-28")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	out := map[string]any{}
	require.NoError(c.t, json.NewDecoder(resp.Body).Decode(&out))
	return resp.StatusCode, out
}

// fields are those of a token request.
func (c *client) fields(grant string, more ...string) url.Values {
	v := url.Values{"client_id": {c.server.ClientID()}, "client_secret": {c.server.ClientSecret()}, "grant_type": {grant}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

func (c *client) refresh(token string, more ...string) (int, map[string]any) {
	c.t.Helper()
	return c.form("/oauth/token", c.fields("refresh_token", append([]string{"refresh_token", token}, more...)...))
}

// orders asks for a location's orders with a token.
func (c *client) orders(token, location string) (int, string) {
	c.t.Helper()
	return c.raw("/payments/orders?altType=location&altId="+location, "Authorization", "Bearer "+token)
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

func refused(t *testing.T, err error, status int, words string) {
	t.Helper()
	var r *oauth2.RetrieveError
	require.ErrorAs(t, err, &r)
	require.Equal(t, status, r.Response.StatusCode)
	require.Contains(t, string(r.Body), words)
}

func TestAnAppIsLetInAsHighLevelDoesIt(t *testing.T) {
	c := start(t, ghl.Options{EnforceScopes: true})
	config := c.config()
	code := c.approve("auto=" + c.server.Location())
	token, err := config.Exchange(t.Context(), code, oauth2.SetAuthURLParam("user_type", "Location"))
	require.NoError(t, err)
	require.Equal(t, "Bearer", token.Type())
	require.Equal(t, c.server.Location(), token.Extra("locationId"))
	require.Equal(t, ghl.DefaultCompany, token.Extra("companyId"))
	require.Equal(t, "Location", token.Extra("userType"))
	require.Equal(t, orderRead+" invoices.readonly", token.Extra("scope"))
	require.EqualValues(t, 86399, token.ExpiresIn)
	require.NotEmpty(t, token.Extra("userId"))
	status, body := c.orders(token.AccessToken, c.server.Location())
	require.Equal(t, 200, status, body)
	live, ok := c.server.LivePair(ghl.OwnerOfLocation(c.server.Location()))
	require.True(t, ok)
	require.Equal(t, token.RefreshToken, live.Refresh)

	_, err = config.Exchange(t.Context(), code)
	refused(t, err, 400, "authorization code is invalid")
}

func TestACodeIsForWhomItWasGiven(t *testing.T) {
	now := newClock()
	c := start(t, ghl.Options{Now: now.Now})
	c.server.AddClient("65a1b2c3d4e5f6a7b8c9d0e1-other", "its-secret")
	location := "auto=" + c.server.Location()
	_, err := c.config().Exchange(t.Context(), "invented")
	refused(t, err, 400, "authorization code is invalid")

	code := c.approve(location)
	other := c.config()
	other.ClientID, other.ClientSecret = "65a1b2c3d4e5f6a7b8c9d0e1-other", "its-secret"
	_, err = other.Exchange(t.Context(), code)
	refused(t, err, 400, "authorization code is invalid")
	moved := c.config()
	moved.RedirectURL = ours + "/elsewhere"
	_, err = moved.Exchange(t.Context(), code)
	refused(t, err, 400, "redirect_uri")
	wrong := c.config()
	wrong.ClientSecret = "guess"
	_, err = wrong.Exchange(t.Context(), code)
	refused(t, err, 401, "client is invalid")
	_, err = c.config().Exchange(t.Context(), code)
	require.NoError(t, err, "what was refused has not used the code up")

	code = c.approve(location)
	now.add(time.Minute + time.Second)
	_, err = c.config().Exchange(t.Context(), code)
	refused(t, err, 400, "authorization code is invalid")

	code = c.approve(location)
	require.NoError(t, c.server.Uninstall(c.server.Location()))
	_, err = c.config().Exchange(t.Context(), code)
	refused(t, err, 400, "authorization code is invalid")
}

func TestTheTokenEndpointTakesFormsWithCredentialsInThem(t *testing.T) {
	c := start(t, ghl.Options{})
	pair, err := c.server.Install(c.server.Location())
	require.NoError(t, err)
	good := c.fields("refresh_token", "refresh_token", pair.Refresh)
	basic := http.Request{Header: http.Header{}}
	basic.SetBasicAuth(c.server.ClientID(), c.server.ClientSecret())
	for name, k := range map[string]struct {
		fields  url.Values
		headers []string
		status  int
		words   string
	}{
		"JSON":               {good, []string{"Content-Type", "application/json"}, 422, "client_id should not be empty"},
		"Basic":              {good, []string{"Authorization", basic.Header.Get("Authorization")}, 401, "client is invalid"},
		"v3":                 {good, []string{"Version", "v3"}, 400, "Missing parameter: clientId"},
		"no grant type":      {c.fields(""), nil, 422, "grant_type should not be empty"},
		"odd grant type":     {c.fields("password"), nil, 422, "grant_type must be one of"},
		"client credentials": {c.fields("client_credentials"), nil, 400, "grant_type"},
		"no refresh token":   {c.fields("refresh_token"), nil, 400, "Missing parameter: `refresh_token`"},
		"no code":            {c.fields("authorization_code"), nil, 400, "Missing parameter: `code`"},
		"odd user type":      {c.fields("refresh_token", "user_type", "Agency"), nil, 422, "user_type must be one of"},
	} {
		status, body := c.form("/oauth/token", k.fields, k.headers...)
		require.Equal(t, k.status, status, name)
		require.Contains(t, fmt.Sprint(body["message"]), k.words, name)
		require.EqualValues(t, k.status, body["statusCode"], name)
	}
	status, body := c.refresh(pair.Refresh, "user_type", "Company")
	require.Equal(t, 400, status, body)
	for _, version := range []string{"", "2021-07-28", "2023-02-21"} {
		status, body := c.form("/oauth/token", good, "Version", version)
		require.Equal(t, 200, status, body)
	}
	header := c.config()
	header.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	_, err = header.Exchange(t.Context(), c.approve("auto="+c.server.Location()))
	require.Error(t, err)
}

func TestTheConsentPage(t *testing.T) {
	c := start(t, ghl.Options{App: ghl.App{RedirectURLs: []string{ours}}})
	c.server.AddSubAccount(ghl.SubAccount{ID: second, Name: "Bread & <Butter>"})
	c.server.AddSubAccount(ghl.SubAccount{ID: "asleep", Name: "Asleep"})
	require.NoError(t, c.server.Suspend("asleep"))
	address := c.config().AuthCodeURL("s1")
	status, to, page := c.visit(address)
	require.Equal(t, 200, status)
	require.Nil(t, to)
	require.Contains(t, page, html.EscapeString("Bread & <Butter>"))
	require.Contains(t, page, orderRead)
	require.Contains(t, page, `name="state" value="s1"`)
	require.NotContains(t, page, "Asleep")

	for change, words := range map[string]string{
		"client_id=nobody":                      "client_id",
		"redirect_uri=http://127.0.0.1:1/other": "redirect_uri",
		"response_type=token":                   "response_type",
		"scope=payments/orders.everything":      "This integration cannot be added",
		"scope=":                                "scope",
		"auto=nowhere":                          "there is no such object",
		"auto=asleep":                           "there is no such object",
		"auto=company&company=nobody":           "there is no such object",
		"auto=company&locations=nowhere":        "there is no such object",
	} {
		u, err := url.Parse(address)
		require.NoError(t, err)
		changed, err := url.ParseQuery(change)
		require.NoError(t, err)
		q := u.Query()
		for name, values := range changed {
			q[name] = values
		}
		u.RawQuery = q.Encode()
		status, to, page := c.visit(u.String())
		require.Equal(t, 400, status, change)
		require.Nil(t, to, change)
		require.Contains(t, page, words, change)
	}
	_, ok := c.server.LivePair(ghl.OwnerOfLocation("asleep"))
	require.False(t, ok)

	status, to, _ = c.visit(address + "&auto=deny")
	require.Equal(t, 302, status)
	require.Equal(t, url.Values{"error": {"access_denied"}, "state": {"s1"}}, to.Query())
	c.server.SetRedirectURLs("https://example.com/back?a=b")
	config := c.config()
	config.RedirectURL = "https://example.com/back?a=b"
	_, to, _ = c.visit(config.AuthCodeURL("") + "&auto=" + second)
	require.Equal(t, "b", to.Query().Get("a"))
	require.NotEmpty(t, to.Query().Get("code"))
	require.False(t, to.Query().Has("state"))
}

func TestARefreshTokenWorksOnceWithAGrace(t *testing.T) {
	now := newClock()
	c := start(t, ghl.Options{Now: now.Now})
	c.server.AddClient("65a1b2c3d4e5f6a7b8c9d0e1-other", "its-secret")
	first, err := c.server.Install(c.server.Location())
	require.NoError(t, err)
	owner := first.Owner()

	status, got := c.refresh(first.Refresh, "user_type", "Location")
	require.Equal(t, 200, status)
	require.NotEqual(t, first.Access, got["access_token"])
	require.NotEqual(t, first.Refresh, got["refresh_token"])
	status, _ = c.orders(first.Access, c.server.Location())
	require.Equal(t, 200, status, "an access token lives out its time")
	now.add(29 * time.Second)
	status, again := c.refresh(first.Refresh)
	require.Equal(t, 200, status)
	require.Equal(t, got["access_token"], again["access_token"])
	require.Equal(t, got["refresh_token"], again["refresh_token"])
	status, _ = c.form("/oauth/token", url.Values{"client_id": {"65a1b2c3d4e5f6a7b8c9d0e1-other"},
		"client_secret": {"its-secret"}, "grant_type": {"refresh_token"}, "refresh_token": {first.Refresh}})
	require.Equal(t, 400, status, "the grace is for the same client")
	now.add(time.Second)
	status, body := c.refresh(first.Refresh)
	require.Equal(t, 400, status)
	require.Equal(t, map[string]any{"statusCode": 400.0, "message": "Invalid grant: refresh token is invalid"}, body)

	status, third := c.refresh(got["refresh_token"].(string))
	require.Equal(t, 200, status, "what was refused has broken nothing")
	require.Equal(t, 2, c.server.Refreshes(owner))
	require.Equal(t, 1, c.server.ReplayedRefreshes(owner))
	require.Equal(t, 2, c.server.RefusedRefreshes())
	require.Equal(t, 1, c.server.MaxRefreshesInFlight(owner))
	live, _ := c.server.LivePair(owner)
	require.Equal(t, third["refresh_token"], live.Refresh)

	now.add(366 * 24 * time.Hour)
	status, _ = c.refresh(live.Refresh)
	require.Equal(t, 400, status, "a year unused")
	status, _ = c.refresh("never issued")
	require.Equal(t, 400, status)
}

func TestTheGraceCanBeSet(t *testing.T) {
	c := start(t, ghl.Options{OAuth: ghl.OAuthOptions{Grace: -1}})
	pair, err := c.server.Install(c.server.Location())
	require.NoError(t, err)
	for _, want := range []int{200, 400} {
		status, _ := c.refresh(pair.Refresh)
		require.Equal(t, want, status)
	}
	c.server.RevokeRefresh(pair.Owner())
	live, _ := c.server.LivePair(pair.Owner())
	status, _ := c.refresh(live.Refresh)
	require.Equal(t, 400, status)
	status, _ = c.orders(live.Access, c.server.Location())
	require.Equal(t, 200, status)
}

func TestAccessTokensEnd(t *testing.T) {
	now := newClock()
	c := start(t, ghl.Options{Now: now.Now, OAuth: ghl.OAuthOptions{TokenLife: time.Second, RevokeOnRefresh: true}})
	pair, err := c.server.Install(c.server.Location())
	require.NoError(t, err)
	now.add(999 * time.Millisecond)
	status, _ := c.orders(pair.Access, c.server.Location())
	require.Equal(t, 200, status)
	now.add(time.Millisecond)
	status, body := c.orders(pair.Access, c.server.Location())
	require.Equal(t, 401, status)
	require.JSONEq(t, `{"statusCode":401,"message":"Invalid JWT","error":"Unauthorized"}`, body)
	status, _ = c.orders(c.server.Token(), c.server.Location())
	require.Equal(t, 200, status, "a private token has no end")

	_, got := c.refresh(pair.Refresh)
	require.Equal(t, 1.0, got["expires_in"])
	_, newer := c.refresh(got["refresh_token"].(string))
	status, _ = c.orders(got["access_token"].(string), c.server.Location())
	require.Equal(t, 401, status, "refreshing has ended it")
	status, _ = c.orders(newer["access_token"].(string), c.server.Location())
	require.Equal(t, 200, status)
	c.server.ExpireAccess(pair.Owner())
	status, _ = c.orders(newer["access_token"].(string), c.server.Location())
	require.Equal(t, 401, status)
}

// TestARealClientKeepsGoing lets golang.org/x/oauth2 refresh before each call, as tokens of one second make it do.
func TestARealClientKeepsGoing(t *testing.T) {
	c := start(t, ghl.Options{OAuth: ghl.OAuthOptions{TokenLife: time.Second}})
	config := c.config()
	token, err := config.Exchange(t.Context(), c.approve("auto="+c.server.Location()))
	require.NoError(t, err)
	source := config.TokenSource(t.Context(), token)
	for range 5 {
		token, err = source.Token()
		require.NoError(t, err)
		status, _ := c.orders(token.AccessToken, c.server.Location())
		require.Equal(t, 200, status)
	}
	owner := ghl.OwnerOfLocation(c.server.Location())
	require.Equal(t, 5, c.server.Refreshes(owner))
	live, _ := c.server.LivePair(owner)
	require.Equal(t, token.RefreshToken, live.Refresh)
}

func TestScopesOpenWhatTheyName(t *testing.T) {
	c := start(t, ghl.Options{EnforceScopes: true, TokenScopes: []string{"contacts.readonly"}})
	pair, err := c.server.Install(c.server.Location(), "invoices.readonly")
	require.NoError(t, err)
	at := "?altType=location&altId=" + c.server.Location()
	contact := c.server.AddContact(ghl.Contact{})
	for path, open := range map[string]struct{ oauth, private bool }{
		"/payments/orders" + at:                      {},
		"/payments/transactions" + at:                {},
		"/invoices/" + at + "&limit=10&offset=0":     {oauth: true},
		"/contacts/" + contact:                       {private: true},
		"/payments/orders/000000000000000000000000":  {},
		"/payments/transactions/0000000000000000000": {},
	} {
		for token, may := range map[string]bool{pair.Access: open.oauth, c.server.Token(): open.private} {
			status, body := c.raw(path, bearer(token)...)
			if may {
				require.Equal(t, 200, status, path)
				continue
			}
			require.Equal(t, 401, status, path)
			require.JSONEq(t, `{"statusCode":401,"message":"The token is not authorized for this scope.","error":"Unauthorized"}`, body)
		}
	}
	lax := start(t, ghl.Options{})
	pair, err = lax.server.Install(lax.server.Location(), "invoices.readonly")
	require.NoError(t, err)
	status, _ := lax.orders(pair.Access, lax.server.Location())
	require.Equal(t, 200, status)
}

func TestATokenOpensItsLocationOnly(t *testing.T) {
	c := start(t, ghl.Options{})
	c.server.AddSubAccount(ghl.SubAccount{ID: second})
	first := c.server.In(c.server.Location())
	other := c.server.In(second)
	orders := map[string]string{}
	for _, place := range []ghl.Location{first, other} {
		price := c.server.AddPrice(ghl.Price{ProductID: place.AddProduct(ghl.Product{Name: "Mug"}), Name: "blue", Amount: usd(500)})
		o, err := place.PlaceOrder(ghl.NewOrder{ContactID: place.AddContact(ghl.Contact{}), Currency: "USD",
			Lines: []ghl.NewLine{{PriceID: price, Qty: 1}}})
		require.NoError(t, err)
		_, err = c.server.TakePayment(o.ID, ghl.NewPayment{})
		require.NoError(t, err)
		require.Equal(t, []ghl.Order{mustOrder(t, c, o.ID)}, place.Orders())
		orders[place.ID()] = o.ID
	}
	_, err := other.PlaceOrder(ghl.NewOrder{ContactID: mustOrder(t, c, orders[first.ID()]).ContactID, Currency: "USD"})
	require.ErrorIs(t, err, ghl.ErrUnknown, "a contact is of one location")

	pair, err := c.server.Install(second)
	require.NoError(t, err)
	at := "?altType=location&altId=" + second
	status, body := c.raw("/payments/orders"+at, bearer(pair.Access)...)
	require.Equal(t, 200, status)
	require.Contains(t, body, orders[second])
	require.NotContains(t, body, orders[first.ID()])
	status, body = c.raw("/payments/transactions"+at, bearer(pair.Access)...)
	require.Equal(t, 200, status)
	require.Contains(t, body, `"totalCount":1`)
	status, _ = c.raw("/payments/orders/"+orders[first.ID()]+at, bearer(pair.Access)...)
	require.Equal(t, 400, status, "there is no such order here")
	for _, path := range []string{"/payments/orders?altType=location&altId=" + first.ID(), "/payments/orders" + at + "&locationId=" + first.ID(),
		"/payments/orders/" + orders[first.ID()] + "?altType=location&altId=" + first.ID(),
		"/invoices/?altType=location&limit=1&offset=0&altId=" + first.ID(), "/contacts/" + mustOrder(t, c, orders[first.ID()]).ContactID} {
		status, body = c.raw(path, bearer(pair.Access)...)
		require.Equal(t, 403, status, path)
		require.JSONEq(t, `{"statusCode":403,"message":"The token does not have access to this location."}`, body)
	}
}

// agencyOf installs on two of an agency's three locations.
func agencyOf(t *testing.T, opts ghl.Options) (*client, *oauth2.Token) {
	t.Helper()
	c := start(t, opts)
	c.server.AddSubAccount(ghl.SubAccount{ID: second, Name: "Second Shop"})
	c.server.AddSubAccount(ghl.SubAccount{ID: "third", Name: "Third Shop"})
	c.server.AddCompany(ghl.Company{ID: "rival", Name: "Rival"})
	c.server.AddSubAccount(ghl.SubAccount{ID: "foreign", CompanyID: "rival"})
	config := c.config()
	config.Scopes = append(config.Scopes, "oauth.readonly", "oauth.write")
	_, to, page := c.visit(config.AuthCodeURL("s") + "&auto=company&future=true&locations=" + second + "&locations=third")
	require.NotNil(t, to, page)
	token, err := config.Exchange(t.Context(), to.Query().Get("code"), oauth2.SetAuthURLParam("user_type", "Location"))
	require.NoError(t, err)
	return c, token
}

func TestAnAgencyMakesTokensForItsLocations(t *testing.T) {
	c, token := agencyOf(t, ghl.Options{EnforceScopes: true})
	require.Equal(t, "Company", token.Extra("userType"))
	require.Nil(t, token.Extra("locationId"))
	require.Equal(t, []any{second, "third"}, token.Extra("approvedLocations"))
	require.Equal(t, true, token.Extra("isBulkInstallation"))
	require.Equal(t, true, token.Extra("installToFutureLocations"))
	require.Equal(t, false, token.Extra("approveAllLocations"))

	ask := func(token, company, location string, headers ...string) (int, map[string]any) {
		return c.form("/oauth/locationToken", url.Values{"companyId": {company}, "locationId": {location}},
			append(bearer(token), headers...)...)
	}
	status, made := ask(token.AccessToken, ghl.DefaultCompany, second)
	require.Equal(t, 201, status, made)
	require.Equal(t, second, made["locationId"])
	require.Equal(t, c.server.AppID(), made["appId"])
	require.NotContains(t, made, "refresh_token")
	status, _ = c.orders(made["access_token"].(string), second)
	require.Equal(t, 200, status)
	status, _ = c.orders(made["access_token"].(string), "third")
	require.Equal(t, 403, status)

	status, body := c.orders(token.AccessToken, second)
	require.Equal(t, 401, status)
	require.Contains(t, body, "This authClass type is not allowed to access this scope.")
	invoices := "/invoices/?altType=location&limit=1&offset=0&altId="
	for location, want := range map[string]int{second: 200, c.server.Location(): 403, "foreign": 403} {
		status, _ = c.raw(invoices+location, bearer(token.AccessToken)...)
		require.Equal(t, want, status, location)
	}
	for location, want := range map[string]int{c.server.Location(): 400, "foreign": 400, "nowhere": 400} {
		status, _ = ask(token.AccessToken, ghl.DefaultCompany, location)
		require.Equal(t, want, status, location)
	}
	status, _ = ask(token.AccessToken, "rival", "foreign")
	require.Equal(t, 403, status)
	status, _ = ask(made["access_token"].(string), ghl.DefaultCompany, second)
	require.Equal(t, 401, status, "a location's token makes none")
	status, _ = ask(c.server.Token(), ghl.DefaultCompany, second)
	require.Equal(t, 401, status)
	status, made = ask(token.AccessToken, ghl.DefaultCompany, second, "Version", "v3")
	require.Equal(t, 400, status)
	require.Contains(t, made["message"], "removed in version v3")
	status, _ = ask(token.AccessToken, ghl.DefaultCompany, second, "Content-Type", "application/json")
	require.Equal(t, 422, status)
	require.NoError(t, c.server.Suspend(second))
	status, made = ask(token.AccessToken, ghl.DefaultCompany, second)
	require.Equal(t, 400, status)
	require.Equal(t, "Location is not active", made["message"])

	status, again := c.refresh(token.RefreshToken, "user_type", "Company")
	require.Equal(t, 200, status)
	require.Equal(t, "Company", again["userType"])
	require.Equal(t, 1, c.server.Refreshes(ghl.OwnerOfCompany(ghl.DefaultCompany)))
}

func TestAnAgencyWithoutTheScopeMakesNone(t *testing.T) {
	c := start(t, ghl.Options{EnforceScopes: true, OAuth: ghl.OAuthOptions{HideApproved: true}})
	token, err := c.config().Exchange(t.Context(), c.approve("auto=company"))
	require.NoError(t, err)
	require.Nil(t, token.Extra("approvedLocations"))
	require.Equal(t, true, token.Extra("approveAllLocations"))
	status, body := c.form("/oauth/locationToken", url.Values{"companyId": {ghl.DefaultCompany},
		"locationId": {c.server.Location()}}, bearer(token.AccessToken)...)
	require.Equal(t, 401, status)
	require.Equal(t, "The token is not authorized for this scope.", body["message"])
}

func TestATokenMadeByAnAgencyMayHaveARefreshToken(t *testing.T) {
	c, token := agencyOf(t, ghl.Options{OAuth: ghl.OAuthOptions{LocationRefresh: true}})
	_, made := c.form("/oauth/locationToken", url.Values{"companyId": {ghl.DefaultCompany}, "locationId": {second}},
		bearer(token.AccessToken)...)
	status, again := c.refresh(made["refresh_token"].(string), "user_type", "Location")
	require.Equal(t, 200, status)
	require.Equal(t, second, again["locationId"])
	require.NoError(t, c.server.UninstallCompany(ghl.DefaultCompany))
	for _, access := range []string{made["access_token"].(string), again["access_token"].(string), token.AccessToken} {
		status, _ = c.orders(access, second)
		require.Equal(t, 401, status)
	}
	for _, dead := range []string{again["refresh_token"].(string), token.RefreshToken} {
		status, _ = c.refresh(dead)
		require.Equal(t, 400, status)
	}
}

func TestInstalledLocationsAreListed(t *testing.T) {
	c, token := agencyOf(t, ghl.Options{})
	list := func(query string) (ids []string, whole map[string]any) {
		t.Helper()
		status, body := c.raw("/oauth/installedLocations?companyId="+ghl.DefaultCompany+"&appId="+c.server.AppID()+query,
			bearer(token.AccessToken)...)
		require.Equal(t, 200, status, body)
		require.NoError(t, json.Unmarshal([]byte(body), &whole))
		for _, row := range whole["locations"].([]any) {
			ids = append(ids, row.(map[string]any)["_id"].(string))
		}
		return ids, whole
	}
	ids, whole := list("")
	require.Equal(t, []string{second, ghl.DefaultLocation, "third"}, ids)
	require.EqualValues(t, 3, whole["count"])
	require.Equal(t, true, whole["installToFutureLocations"])
	rows := whole["locations"].([]any)
	require.Equal(t, "Second Shop", rows[0].(map[string]any)["name"])
	require.NotEmpty(t, rows[0].(map[string]any)["installedAt"])
	require.Equal(t, false, rows[1].(map[string]any)["isInstalled"])
	ids, whole = list("&isInstalled=true")
	require.Equal(t, []string{second, "third"}, ids)
	require.EqualValues(t, 3, whole["count"], "count is the agency's")
	for query, want := range map[string][]string{"&isInstalled=false": {ghl.DefaultLocation}, "&skip=1&limit=1": {ghl.DefaultLocation},
		"&skip=9": nil, "&query=third": {"third"}, "&locationId=" + second: {second}, "&onTrial=true": nil} {
		ids, _ = list(query)
		require.Equal(t, want, ids, query)
	}
	base := "/oauth/installedLocations?companyId=" + ghl.DefaultCompany
	for path, want := range map[string]int{base: 422, base + "&appId=another": 403, base + "&appId=x&limit=0": 422,
		base + "&appId=x&isInstalled=1": 422, base + "&appId=x&page=1": 422,
		"/oauth/installedLocations?companyId=rival&appId=" + c.server.AppID(): 403} {
		status, _ := c.raw(path, bearer(token.AccessToken)...)
		require.Equal(t, want, status, path)
	}
	status, body := c.raw(base+"&appId="+c.server.AppID(), append(bearer(token.AccessToken), "Version", "v3")...)
	require.Equal(t, 400, status)
	require.Contains(t, body, "removed in version v3")
}

func TestASuspendedLocationComesBack(t *testing.T) {
	c := start(t, ghl.Options{})
	pair, err := c.server.Install(c.server.Location())
	require.NoError(t, err)
	require.NoError(t, c.server.Suspend(c.server.Location()))
	status, body := c.refresh(pair.Refresh)
	require.Equal(t, 400, status)
	require.Equal(t, map[string]any{"statusCode": 400.0, "message": "Location is not active"}, body)
	require.NoError(t, c.server.Reactivate(c.server.Location()))
	status, _ = c.refresh(pair.Refresh)
	require.Equal(t, 200, status, "the same refresh token is good again")
	require.ErrorIs(t, c.server.Suspend("nowhere"), ghl.ErrUnknown)
}

func TestUninstallEndsTheTokens(t *testing.T) {
	c := start(t, ghl.Options{})
	c.server.AddSubAccount(ghl.SubAccount{ID: second})
	kept, err := c.server.Install(second)
	require.NoError(t, err)
	pair, err := c.server.Install(c.server.Location())
	require.NoError(t, err)
	_, newer := c.refresh(pair.Refresh)
	require.NoError(t, c.server.Uninstall(c.server.Location()))
	for _, token := range []string{pair.Access, newer["access_token"].(string)} {
		status, _ := c.orders(token, c.server.Location())
		require.Equal(t, 401, status)
	}
	for _, token := range []string{pair.Refresh, newer["refresh_token"].(string)} {
		status, _ := c.refresh(token)
		require.Equal(t, 400, status, "not even the grace helps")
	}
	_, ok := c.server.LivePair(pair.Owner())
	require.False(t, ok)
	status, _ := c.orders(kept.Access, second)
	require.Equal(t, 200, status)
	require.ErrorIs(t, c.server.Uninstall(c.server.Location()), ghl.ErrUnknown)
	require.ErrorIs(t, c.server.UninstallCompany(ghl.DefaultCompany), ghl.ErrUnknown)
	_, err = c.server.Install("nowhere")
	require.ErrorIs(t, err, ghl.ErrUnknown)
	_, err = c.server.InstallCompany("nobody")
	require.ErrorIs(t, err, ghl.ErrUnknown)
	back, err := c.server.Install(c.server.Location())
	require.NoError(t, err)
	status, _ = c.orders(back.Access, c.server.Location())
	require.Equal(t, 200, status)
}

// appEvents are the INSTALL and UNINSTALL bodies that came to the default URL, by "type/location or company".
func appEvents(t *testing.T, c *client, d *door) map[string]map[string]any {
	t.Helper()
	require.NoError(t, c.server.WaitWebhooks(t.Context()))
	d.mu.Lock()
	defer d.mu.Unlock()
	require.Zero(t, d.bad, "each is signed")
	got := map[string]map[string]any{}
	for path, bodies := range d.bodies {
		require.Equal(t, "/webhooks/ghl", path)
		for _, body := range bodies {
			var doc map[string]any
			require.NoError(t, json.Unmarshal([]byte(body), &doc))
			about := doc["locationId"]
			if about == nil {
				about = doc["companyId"]
			}
			got[fmt.Sprint(doc["type"], "/", about)] = doc
		}
	}
	clear(d.bodies)
	return got
}

func TestInstallsAreAnnouncedAtTheDefaultURL(t *testing.T) {
	c := start(t, ghl.Options{Webhooks: ghl.WebhookOptions{Events: []string{}}})
	d := openDoor(t, c)
	_, err := c.server.Install(c.server.Location())
	require.NoError(t, err)
	got := appEvents(t, c, d)
	require.Len(t, got, 1)
	install := got["INSTALL/"+c.server.Location()]
	require.Equal(t, c.server.AppID(), install["appId"])
	require.Equal(t, "65a1b2c3d4e5f6a7b8c9d0e1", install["appId"])
	require.Equal(t, ghl.DefaultCompany, install["companyId"])
	require.Equal(t, "Location", install["installType"])
	require.NotEmpty(t, install["userId"])
	require.NotEmpty(t, install["webhookId"])
	_, err = time.Parse(time.RFC3339, install["timestamp"].(string))
	require.NoError(t, err)
	require.NoError(t, c.server.Uninstall(c.server.Location()))
	got = appEvents(t, c, d)
	require.Len(t, got, 1)
	require.NotContains(t, got["UNINSTALL/"+c.server.Location()], "companyId")

	_, err = c.server.InstallCompany(ghl.DefaultCompany)
	require.NoError(t, err)
	c.server.AddSubAccount(ghl.SubAccount{ID: second})
	got = appEvents(t, c, d)
	require.Len(t, got, 3, "the agency, its location, and the one that came later")
	require.Equal(t, "Company", got["INSTALL/"+ghl.DefaultCompany]["installType"])
	require.NotContains(t, got["INSTALL/"+second], "userId")
	require.NoError(t, c.server.UninstallCompany(ghl.DefaultCompany))
	got = appEvents(t, c, d)
	require.Len(t, got, 1)
	require.Contains(t, got, "UNINSTALL/"+ghl.DefaultCompany)

	c.approve("auto=" + c.server.Location())
	require.Contains(t, appEvents(t, c, d), "INSTALL/"+c.server.Location(), "before the code was exchanged")
	body, err := c.server.WebhookBody("UNINSTALL", second)
	require.NoError(t, err)
	require.Equal(t, 200, c.server.SendRaw(t.Context(), "UNINSTALL", body).Status)
	require.NoError(t, c.server.SendEvent("UNINSTALL", ghl.DefaultCompany))
	require.Len(t, appEvents(t, c, d), 2)
	require.ErrorIs(t, c.server.SendEvent("UNINSTALL", "nobody"), ghl.ErrUnknown)
}

func TestInstallBodiesHaveThePublishedFields(t *testing.T) {
	folder := os.Getenv("TALLYSTICK_GHL_CONTRACTS")
	if folder == "" {
		testkit.Missing(t, "HighLevel's published webhook pages are needed as webhooks/EVENT.json with schema and samples: "+
			"set TALLYSTICK_GHL_CONTRACTS to the folder that holds them")
	}
	c := start(t, ghl.Options{App: ghl.App{PlanID: "66a0419a0dffa47fb5f8b22f"}})
	for event, file := range map[string]string{"INSTALL": "AppInstall", "UNINSTALL": "AppUninstall"} {
		raw, err := os.ReadFile(filepath.Join(folder, "webhooks", file+".json"))
		require.NoError(t, err)
		var page struct {
			Schema struct{ Properties map[string]any }
		}
		require.NoError(t, json.Unmarshal(raw, &page))
		for _, name := range []string{"versionId", "installType", "timestamp", "webhookId"} { // of the OAuth guide's sample
			page.Schema.Properties[name] = true
		}
		for _, id := range []string{c.server.Location(), ghl.DefaultCompany} {
			body, err := c.server.WebhookBody(event, id)
			require.NoError(t, err)
			var ours map[string]any
			require.NoError(t, json.Unmarshal(body, &ours))
			require.Equal(t, event, ours["type"])
			for name := range ours {
				require.Contains(t, page.Schema.Properties, name, event)
			}
		}
	}
}

func TestTheQuotaIsPerAppToo(t *testing.T) {
	c := start(t, ghl.Options{Limits: ghl.Limits{Burst: 2, Interval: time.Hour, Daily: 10}})
	c.server.AddSubAccount(ghl.SubAccount{ID: second})
	pair, err := c.server.Install(c.server.Location())
	require.NoError(t, err)
	other, err := c.server.Install(second)
	require.NoError(t, err)
	for _, caller := range []struct{ token, location string }{{pair.Access, c.server.Location()},
		{c.server.Token(), c.server.Location()}, {other.Access, second}} {
		for _, want := range []int{200, 200, 429} {
			status, _ := c.orders(caller.token, caller.location)
			require.Equal(t, want, status)
		}
	}
	_, newer := c.refresh(pair.Refresh)
	status, _ := c.orders(newer["access_token"].(string), c.server.Location())
	require.Equal(t, 429, status, "a new token is no new quota")
	require.Equal(t, 4, c.server.QuotaUsed())
	require.Equal(t, 2, c.server.In(second).QuotaUsed())
}

func TestALostAnswerIsHadAgainWithinTheGrace(t *testing.T) {
	for _, kind := range []faults.Kind{faults.CutAfter, faults.CutBefore, faults.TruncatedJSON, faults.LateCommit} {
		t.Run(string(kind), func(t *testing.T) {
			plan := faults.NewPlan(1, faults.None)
			c := start(t, ghl.Options{Faults: plan})
			pair, err := c.server.Install(c.server.Location())
			require.NoError(t, err)
			plan.Next("oauth.token", faults.Fault{Kind: kind, Delay: 20 * time.Millisecond})
			config := c.config()
			old := &oauth2.Token{RefreshToken: pair.Refresh}
			_, err = config.TokenSource(t.Context(), old).Token()
			require.Error(t, err)
			if kind == faults.CutAfter {
				require.Equal(t, 1, c.server.Refreshes(pair.Owner()), "rotated, though nobody was told")
			}
			token, err := config.TokenSource(t.Context(), old).Token()
			require.NoError(t, err)
			plan.Wait()
			live, _ := c.server.LivePair(pair.Owner())
			require.Equal(t, live.Refresh, token.RefreshToken)
			require.Equal(t, 1, c.server.Refreshes(pair.Owner()))
			require.Zero(t, c.server.RefusedRefreshes())
			require.Equal(t, 1, c.server.MaxRefreshesInFlight(pair.Owner()), "one after the other")
		})
	}
}

func TestRefreshesInFlightAreSeen(t *testing.T) {
	plan := faults.NewPlan(1, faults.None)
	c := start(t, ghl.Options{Faults: plan})
	pair, err := c.server.Install(c.server.Location())
	require.NoError(t, err)
	const racers = 20
	for range racers {
		plan.Next("oauth.token", faults.Fault{Kind: faults.Latency, Delay: 500 * time.Millisecond})
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	got := map[string]bool{}
	for range racers {
		all.Go(func() {
			token, err := c.config().TokenSource(t.Context(), &oauth2.Token{RefreshToken: pair.Refresh}).Token()
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				got[token.RefreshToken] = true
			}
		})
	}
	all.Wait()
	require.Len(t, got, 1, "all have the same pair")
	require.Equal(t, racers, c.server.MaxRefreshesInFlight(pair.Owner()))
	require.Equal(t, 1, c.server.Refreshes(pair.Owner()))
	require.Equal(t, racers-1, c.server.ReplayedRefreshes(pair.Owner()))
	require.Zero(t, c.server.MaxRefreshesInFlight("location/nowhere"))
}

func TestAClientThatGaveUpIsNotInFlight(t *testing.T) {
	for _, kind := range []faults.Kind{faults.Latency, faults.AnswerLate} {
		plan := faults.NewPlan(1, faults.None)
		c := start(t, ghl.Options{Faults: plan})
		pair, err := c.server.Install(c.server.Location())
		require.NoError(t, err)
		plan.Next("oauth.token", faults.Fault{Kind: kind, Delay: time.Hour}, faults.Fault{Kind: kind, Delay: time.Hour})
		old := &oauth2.Token{RefreshToken: pair.Refresh}
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			_, err = c.config().TokenSource(ctx, old).Token()
			require.True(t, errors.Is(err, context.DeadlineExceeded), "%v", err)
			cancel()
		}
		_, err = c.config().TokenSource(t.Context(), old).Token()
		require.NoError(t, err)
		require.Eventually(t, func() bool { return c.server.MaxRefreshesInFlight(pair.Owner()) == 1 }, 5*time.Second,
			5*time.Millisecond, "the server soon learns that the others were given up")
	}
}

func TestAStaleTokenStaysStale(t *testing.T) {
	plan := faults.NewPlan(1, faults.None)
	c := start(t, ghl.Options{Faults: plan})
	pair, err := c.server.Install(c.server.Location())
	require.NoError(t, err)
	plan.Next("ghl.orders.list", faults.Fault{Kind: faults.StaleToken})
	for range 2 {
		status, _ := c.orders(pair.Access, c.server.Location())
		require.Equal(t, 401, status)
	}
	_, newer := c.refresh(pair.Refresh)
	status, _ := c.orders(newer["access_token"].(string), c.server.Location())
	require.Equal(t, 200, status)
	require.Equal(t, 1, c.server.CallCount("oauth.token"))
}
