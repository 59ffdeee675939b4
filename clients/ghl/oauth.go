package ghl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/oauth2"

	"github.com/tallystick/tallystick/clients/transport"
)

// DefaultAuthorizeURL is where people choose the locations to connect (docs/oauth/Authorization.md of HighLevel's
// repository). The app's Auth page shows the link of the app itself, which may be white-labelled or hold a version_id.
const DefaultAuthorizeURL = "https://marketplace.gohighlevel.com/v2/oauth/chooselocation"

// oauthTimeout bounds one call to the token endpoint. HighLevel answers the same refresh token with the same new pair for
// 30 seconds, so whoever repeats after a lost answer must get to it within that time.
const oauthTimeout = 8 * time.Second

// UserType says for what a token is good.
type UserType string

// The user types of the published file. Which one an installation gives is up to whoever installs.
const (
	LocationUser UserType = "Location"
	CompanyUser  UserType = "Company"
)

// OAuthOptions set up an OAuth. ClientID, ClientSecret and RedirectURL are those of the marketplace app.
type OAuthOptions struct {
	// BaseURL is DefaultBaseURL if empty.
	BaseURL string
	// AuthorizeURL is DefaultAuthorizeURL if empty. The whole link of the app's Auth page may be given: what belongs to
	// one installation is replaced, and its scopes are kept if Scopes is empty.
	AuthorizeURL string
	// TokenURL is /oauth/token of BaseURL if empty.
	TokenURL string
	// ClientID, ClientSecret and RedirectURL are required.
	ClientID, ClientSecret, RedirectURL string
	// Scopes are asked for; those of the link, or DefaultScopes, if empty.
	Scopes []string
	// Timeout bounds one call; 8 seconds if zero.
	Timeout time.Duration
	// Logger, Metrics and Tracer may be nil.
	Logger  *slog.Logger
	Metrics *transport.Metrics
	Tracer  trace.Tracer
	// Transport does the round trips; a pool of connections if nil.
	Transport http.RoundTripper
}

// OAuth exchanges codes and tokens for a marketplace app. It keeps no token, never repeats a call, and is safe for
// concurrent use. Every error of its calls is a *transport.Error without anything of the vendor's answer but its cleaned
// words.
type OAuth struct {
	config oauth2.Config
	// tokens talks to the host of the token endpoint, api to the API's. They are often the same.
	tokens, api *transport.Client
	tokenPath   string
}

// NewOAuth checks the options. It sends nothing. No limiter holds the calls back: how many HighLevel takes is not
// documented (A86), and a 429 is told like any other error.
func NewOAuth(o OAuthOptions) (*OAuth, error) {
	if o.ClientID == "" || o.ClientSecret == "" || o.RedirectURL == "" {
		return nil, errors.New("ghl: OAuth needs GHL_CLIENT_ID, GHL_CLIENT_SECRET and GHL_REDIRECT_URL")
	}
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	o.BaseURL = strings.TrimRight(o.BaseURL, "/")
	if o.AuthorizeURL == "" {
		o.AuthorizeURL = DefaultAuthorizeURL
	}
	if o.TokenURL == "" {
		o.TokenURL = o.BaseURL + oauthToken.Path
	}
	if o.Transport == nil {
		o.Transport = transport.NewPool()
	}
	api, err := o.chain(o.BaseURL)
	if err != nil {
		return nil, err
	}
	authorize, scopes, err := authorizeLink(o.AuthorizeURL, o.ClientID)
	if err != nil {
		return nil, err
	}
	for _, want := range [][]string{o.Scopes, scopes, DefaultScopes()} {
		if scopes = want; len(want) > 0 {
			break
		}
	}
	token, err := url.Parse(o.TokenURL)
	if err != nil || token.Host == "" || token.Path == "" || token.RawQuery != "" || token.User != nil {
		return nil, errors.New("ghl: GHL_TOKEN_URL must be an absolute address without a query")
	}
	auth := &OAuth{tokenPath: token.EscapedPath(), api: api}
	if auth.tokens, err = o.chain(token.Scheme + "://" + token.Host); err != nil {
		return nil, err
	}
	auth.config = oauth2.Config{
		ClientID: o.ClientID, ClientSecret: o.ClientSecret, RedirectURL: o.RedirectURL, Scopes: slices.Clone(scopes),
		// HighLevel takes the credentials in the form only (A81). Left to find that out, the library would try a Basic header
		// first, and burn a code that is good for one use.
		Endpoint: oauth2.Endpoint{AuthURL: authorize, TokenURL: o.TokenURL, AuthStyle: oauth2.AuthStyleInParams},
	}
	return auth, nil
}

func (o *OAuthOptions) chain(base string) (*transport.Client, error) {
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = oauthTimeout
	}
	return transport.New(transport.Config{
		Vendor: vendor, BaseURL: base, Timeout: timeout,
		// Never v3: its token endpoint speaks other names.
		Header: http.Header{"Version": {DefaultVersion}},
		Logger: o.Logger, Metrics: o.Metrics, Tracer: o.Tracer, Classify: classify, Base: o.Transport,
	})
}

// authorizeLink takes the link of an app apart: the address without what belongs to one installation, and its scopes.
func authorizeLink(link, clientID string) (string, []string, error) {
	at, err := url.Parse(link)
	if err != nil || at.Host == "" || (at.Scheme != "https" && at.Scheme != "http") || at.User != nil {
		return "", nil, errors.New("ghl: GHL_AUTHORIZE_URL must be an absolute http or https address")
	}
	query := at.Query()
	if other := query.Get("client_id"); other != "" && other != clientID {
		return "", nil, errors.New("ghl: GHL_AUTHORIZE_URL is the link of another app than GHL_CLIENT_ID")
	}
	scopes := strings.Fields(query.Get("scope"))
	for _, ours := range []string{"response_type", "client_id", "redirect_uri", "scope", "state"} {
		query.Del(ours)
	}
	at.RawQuery, at.Fragment = query.Encode(), ""
	return at.String(), scopes, nil
}

// Format keeps the app's secret out of whatever is printed.
func (o *OAuth) Format(to fmt.State, _ rune) {
	_, _ = io.WriteString(to, "OAuth of HighLevel app "+o.AppID())
}

// AuthorizeURL is where to send a person who shall choose what to connect. HighLevel brings the state back with the
// code.
func (o *OAuth) AuthorizeURL(state string) string { return o.config.AuthCodeURL(state) }

// AppID is the id of the marketplace app, as webhooks name it: the client id up to its first dash (vendor's SDK, A89).
func (o *OAuth) AppID() string {
	id, _, _ := strings.Cut(o.config.ClientID, "-")
	return id
}

// Scopes are those that AuthorizeURL asks for.
func (o *OAuth) Scopes() []string { return slices.Clone(o.config.Scopes) }

// CloseIdle closes connections kept open for later calls.
func (o *OAuth) CloseIdle() {
	o.tokens.CloseIdle()
	o.api.CloseIdle()
}

// Exchange redeems the code of an installation, which is good for one use. t may be empty: then HighLevel gives what was
// installed, see Grant.UserType.
func (o *OAuth) Exchange(ctx context.Context, code string, t UserType) (Grant, error) {
	if err := need(oauthToken, "code", code); err != nil {
		return Grant{}, err
	}
	return o.redeem(ctx, t, func(ctx context.Context) (*oauth2.Token, error) { return o.config.Exchange(ctx, code) })
}

// Refresh redeems a refresh token. HighLevel then has a new pair, and the old one is good for 30 seconds more at most: keep
// the new one before using it. After an error that is not Refused, the same refresh token may be tried again at once.
func (o *OAuth) Refresh(ctx context.Context, refreshToken string, t UserType) (Grant, error) {
	if err := need(oauthToken, "the refresh token", refreshToken); err != nil {
		return Grant{}, err
	}
	return o.redeem(ctx, t, func(ctx context.Context) (*oauth2.Token, error) {
		return o.config.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken}).Token()
	})
}

// redeem lets the library make and read the request, and sends it through the chain.
func (o *OAuth) redeem(ctx context.Context, t UserType, ask func(context.Context) (*oauth2.Token, error)) (Grant, error) {
	carry := &carrier{chain: o.tokens, path: o.tokenPath, form: url.Values{}}
	if t != "" {
		carry.form.Set("user_type", string(t))
	}
	began := time.Now()
	token, err := ask(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: carry}))
	if err != nil {
		if known := transport.AsError(err); known != nil {
			return Grant{}, known
		}
		return Grant{}, unusable(oauthToken, "it holds no token") // the library's own words would hold the answer
	}
	grant, err := readGrant(oauthToken, carry.answer, began, t)
	if err != nil {
		return Grant{}, err
	}
	grant.RefreshToken = token.RefreshToken // the one that was sent, if HighLevel gave no other
	return grant, nil
}

// carrier is how the library's request gets into the chain: everything that is known about the vendor's faults, limits of
// size, metrics and what must not be said lives there.
type carrier struct {
	chain *transport.Client
	path  string
	// form is sent besides what the library sends.
	form url.Values
	// answer is the latest success.
	answer json.RawMessage
}

// RoundTrip implements http.RoundTripper.
func (c *carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	defer func() { _ = r.Body.Close() }() // it is in memory
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(sent))
	if err != nil {
		return nil, wrong(oauthToken, "its form cannot be read")
	}
	for name, values := range c.form {
		form[name] = values
	}
	answer, err := c.chain.Do(r.Context(), transport.Call{
		Operation: oauthToken.Name, Method: oauthToken.Method, Path: c.path, Form: form, Write: oauthToken.Write,
	}, &c.answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: answer.Status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(string(c.answer))),
	}, nil
}

// badApp matches complaints about the app's own credentials. HighLevel has not published its words (issue 249 of its
// repository); invalid_client is OAuth's (RFC 6749, 5.2).
var badApp = regexp.MustCompile(`(?i)\binvalid[_ ]client\b|\bunauthorized[_ ]client\b|\bclient[_ ]?(id|secret|credentials?)\b`)

// Refused tells that HighLevel refuses the code, the refresh token or the location itself, so that only a person can
// help: a 4xx from the API other than 408, 425 and 429 (A84). It is false if the app's own credentials are wrong, because
// connecting anew would not help against that, for the answer of a proxy, and for a 401 of a call that was made with an
// access token, which may have to be renewed.
func Refused(err error) bool {
	e := transport.AsError(err)
	if e == nil || e.Vendor != vendor || !slices.Contains([]string{oauthToken.Name, oauthLocationToken.Name}, e.Operation) {
		return false
	}
	if e.Code == notJSON || badApp.MatchString(e.Code+" "+e.Message) || strings.HasPrefix(strings.ToLower(e.Message), "cannot ") {
		return false
	}
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	case http.StatusUnauthorized:
		return e.Operation == oauthToken.Name || noScope.MatchString(e.Message)
	}
	return e.Status >= 400 && e.Status < 500
}

// LocationToken gets a token for one location with that of the company that it belongs to (A88). It may come without a
// refresh token (A87), and then must be got anew.
func (o *OAuth) LocationToken(ctx context.Context, companyToken, company, location string) (Grant, error) {
	if err := need(oauthLocationToken, "the company's token", companyToken, "company id", company, "location id", location); err != nil {
		return Grant{}, err
	}
	var answer json.RawMessage
	began := time.Now()
	_, err := o.api.Do(ctx, transport.Call{
		Operation: oauthLocationToken.Name, Method: oauthLocationToken.Method, Path: oauthLocationToken.Path,
		Header: withToken(companyToken), Write: oauthLocationToken.Write,
		Form: url.Values{"companyId": {company}, "locationId": {location}},
	}, &answer)
	if err != nil {
		return Grant{}, err
	}
	grant, err := readGrant(oauthLocationToken, answer, began, LocationUser)
	if err != nil {
		return Grant{}, err
	}
	if grant.LocationID != "" && grant.LocationID != location {
		return Grant{}, unusable(oauthLocationToken, "it is for another location")
	}
	grant.LocationID = location
	if grant.CompanyID == "" {
		grant.CompanyID = company
	}
	return grant, nil
}

func withToken(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// InstalledLocation is a location of a company in which the app is installed.
type InstalledLocation struct {
	ID, Name string
	// InstalledAt is zero if HighLevel does not say.
	InstalledAt time.Time
}

const (
	installedPage = 100
	// maxInstalledPages bounds the listing if the vendor never comes to an end.
	maxInstalledPages = 1000
)

// InstalledLocations lists, with the company's token, where the app is installed.
func (o *OAuth) InstalledLocations(ctx context.Context, companyToken, company string) ([]InstalledLocation, error) {
	if err := need(oauthInstalled, "the company's token", companyToken, "company id", company); err != nil {
		return nil, err
	}
	var found []InstalledLocation
	seen := map[string]bool{}
	for range maxInstalledPages {
		rows, total, err := o.installedPage(ctx, companyToken, company, len(seen))
		if err != nil {
			return nil, err
		}
		fresh := false
		for _, row := range rows {
			if seen[string(row.ID)] || row.ID == "" {
				continue
			}
			fresh, seen[string(row.ID)] = true, true
			if !row.Installed.set || row.Installed.on {
				found = append(found, InstalledLocation{ID: string(row.ID), Name: string(row.Name), InstalledAt: row.InstalledAt.Time})
			}
		}
		// A page may be shorter than was asked for, so only an empty one, one without news, or the total is the end.
		if !fresh || (total > 0 && int64(len(seen)) >= total) {
			return found, nil
		}
	}
	return nil, unusable(oauthInstalled, "the list of installed locations has no end")
}

type installedRow struct {
	ID          text   `json:"_id"`
	Name        text   `json:"name"`
	Installed   flag   `json:"isInstalled"`
	InstalledAt moment `json:"installedAt"`
}

func (o *OAuth) installedPage(ctx context.Context, token, company string, skip int) ([]installedRow, int64, error) {
	var answer struct {
		Locations *[]installedRow `json:"locations"`
		Count     text            `json:"count"`
	}
	query := url.Values{
		"companyId": {company}, "appId": {o.AppID()}, "isInstalled": {"true"}, "limit": {strconv.Itoa(installedPage)},
		"skip": {strconv.Itoa(skip)},
	}
	_, err := o.api.Do(ctx, transport.Call{
		Operation: oauthInstalled.Name, Method: oauthInstalled.Method, Path: oauthInstalled.Path,
		Header: withToken(token), Query: query,
	}, &answer)
	if err != nil {
		return nil, 0, err
	}
	if answer.Locations == nil {
		return nil, 0, unreadable(oauthInstalled, errNoArray)
	}
	total, err := strconv.ParseInt(string(answer.Count), 10, 64)
	if err != nil {
		total = 0 // unknown
	}
	return *answer.Locations, total, nil
}
