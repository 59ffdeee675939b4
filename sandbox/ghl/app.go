package ghl

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// The marketplace app where Options name none. The secret opens nothing but a sandbox.
const (
	DefaultClientID     = "65a1b2c3d4e5f6a7b8c9d0e1-abcd1234"
	DefaultClientSecret = "sandbox-client-secret"
)

// App is a marketplace app as its developer has set it up at HighLevel.
type App struct {
	// ClientID and ClientSecret are a client key of the app. The app's id is the client id up to its first hyphen.
	ClientID, ClientSecret string
	// RedirectURLs are where codes may be sent to, compared character by character. None allows every URL on this
	// machine, for tests that learn their port late.
	RedirectURLs []string
	// Scopes are what may be asked for. Any other scope breaks the install, as users reported of misspelt ones. Nil is
	// KnownScopes.
	Scopes []string
	// VersionID and PlanID are the app's version and the plan of a paid app. The version is made up where it is empty;
	// without a plan, answers and webhooks name none.
	VersionID, PlanID string
}

// OAuthOptions say how tokens live. The zero value is what HighLevel publishes.
type OAuthOptions struct {
	// TokenLife is an access token's: 86,399 seconds where it is zero. Answers show whole seconds, one at least.
	TokenLife time.Duration
	// RefreshLife is how long a refresh token that nobody uses is good for: a year where it is zero.
	RefreshLife time.Duration
	// CodeLife is an authorization code's: one minute where it is zero. HighLevel publishes none.
	CodeLife time.Duration
	// Grace is how long a refresh token that was used goes on giving the pair that it was exchanged for: 30 seconds
	// where it is zero, none where it is negative. Nothing else of a used token is good.
	Grace time.Duration
	// RevokeOnRefresh ends an access token as soon as its refresh token is used. By default it lives out its time.
	RevokeOnRefresh bool
	// LocationRefresh gives the tokens that an agency makes for a location a refresh token, as the file of v3 has it.
	// That of v2 has none.
	LocationRefresh bool
	// HideApproved leaves approvedLocations out of a company's token, as a user reported in May 2026.
	HideApproved bool
}

func (a App) withDefaults() App {
	if a.ClientID == "" {
		a.ClientID = DefaultClientID
	}
	if a.ClientSecret == "" {
		a.ClientSecret = DefaultClientSecret
	}
	if a.Scopes == nil {
		a.Scopes = KnownScopes()
	}
	if a.VersionID == "" {
		a.VersionID = "65a1b2c3d4e5f6a7b8c9d0e2"
	}
	return a
}

func (o OAuthOptions) withDefaults() OAuthOptions {
	for _, d := range []struct {
		of    *time.Duration
		value time.Duration
	}{{&o.TokenLife, 86399 * time.Second}, {&o.RefreshLife, 365 * 24 * time.Hour}, {&o.CodeLife, time.Minute},
		{&o.Grace, 30 * time.Second}} {
		if *d.of == 0 {
			*d.of = d.value
		}
	}
	return o
}

// KnownScopes are the scopes of the endpoints around payments, as the OpenAPI files name them.
func KnownScopes() []string {
	return []string{"payments/orders.readonly", "payments/orders.write", "payments/orders.collectPayment",
		"payments/transactions.readonly", "payments/subscriptions.readonly", "payments/coupons.readonly",
		"payments/coupons.write", "payments/integration.readonly", "payments/integration.write", "products.readonly",
		"products.write", "products/prices.readonly", "products/prices.write", "products/collection.readonly",
		"products/collection.write", "contacts.readonly", "contacts.write", "invoices.readonly", "invoices.write",
		"opportunities.readonly", "opportunities.write", "oauth.readonly", "oauth.write"}
}

// AppID is the id of the marketplace app: its client id up to the first hyphen.
func (s *Server) AppID() string { return appOf(s.opts.App.ClientID) }

func appOf(clientID string) string {
	id, _, _ := strings.Cut(clientID, "-")
	return id
}

// ClientID and ClientSecret are the app's first client key.
func (s *Server) ClientID() string { return s.opts.App.ClientID }

// ClientSecret is the secret of the app's first client key.
func (s *Server) ClientSecret() string { return s.opts.App.ClientSecret }

// AddClient adds a client key. What one key was given, a code or a refresh token, another can't use.
func (s *Server) AddClient(clientID, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oauth.clients[clientID] = secret
}

// SetRedirectURLs replaces App.RedirectURLs.
func (s *Server) SetRedirectURLs(urls ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oauth.redirects = slices.Clone(urls)
}

// mayRedirect tells whether a code may be sent there.
func (s *Server) mayRedirect(to string) bool {
	if len(s.oauth.redirects) > 0 {
		return slices.Contains(s.oauth.redirects, to)
	}
	u, err := url.Parse(to)
	return err == nil && slices.Contains([]string{"127.0.0.1", "localhost", "::1"}, u.Hostname())
}
