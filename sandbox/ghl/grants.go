package ghl

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// The kinds of token, as userType and user_type name them.
const (
	locationType = "Location"
	companyType  = "Company"
)

// Pair is an access token and its refresh token.
type Pair struct {
	// Access and Refresh are opaque. Refresh is empty for a token that an agency made, unless Options say otherwise.
	Access, Refresh string
	// Expires is the access token's end.
	Expires time.Time
	// UserType is "Location" or "Company". A company's pair has no LocationID.
	UserType, LocationID, CompanyID string
	Scopes                          []string
}

// Owner names what the pair opens, as OwnerOfLocation and OwnerOfCompany do.
func (p Pair) Owner() string {
	if p.UserType == companyType {
		return OwnerOfCompany(p.CompanyID)
	}
	return OwnerOfLocation(p.LocationID)
}

// OwnerOfLocation is the name by which the tokens of a location are counted.
func OwnerOfLocation(locationID string) string { return "location/" + locationID }

// OwnerOfCompany is the name by which the tokens of an agency are counted.
func OwnerOfCompany(companyID string) string { return "company/" + companyID }

// grant is a pair and what became of it.
type grant struct {
	Pair
	client       string
	byAgency     bool // made with a company's token
	refreshUntil time.Time
	usedAt       time.Time // when the refresh token was used first
	next         *grant    // what it was exchanged for
	dead         bool
}

// oauth is who may come in, and with what. The server's lock guards it, but for flights.
type oauth struct {
	clients   map[string]string // secrets by client id
	redirects []string
	codes     map[string]*approval
	access    map[string]*grant
	refresh   map[string]*grant // used and dead ones stay, so that whose they were is known
	latest    map[string]*grant // by owner
	installs  map[string]*install
	agencies  map[string]*agency
	rotated   map[string]int // by owner
	replayed  map[string]int
	refused   int
	flights   flights
}

func newOAuth(app App) oauth {
	return oauth{clients: map[string]string{app.ClientID: app.ClientSecret}, redirects: app.RedirectURLs,
		codes: map[string]*approval{}, access: map[string]*grant{}, refresh: map[string]*grant{},
		latest: map[string]*grant{}, installs: map[string]*install{}, agencies: map[string]*agency{},
		rotated: map[string]int{}, replayed: map[string]int{}, flights: flights{byOwner: map[string][]*flight{}}}
}

// newGrant gives a grant its tokens and makes it the newest of its owner.
func (s *Server) newGrant(g grant) *grant {
	now := s.opts.Now()
	g.Access, g.Expires = s.newToken("access"), now.Add(s.opts.OAuth.TokenLife)
	g.Scopes = slices.Clone(g.Scopes)
	s.oauth.access[g.Access] = &g
	if !g.byAgency || s.opts.OAuth.LocationRefresh {
		g.Refresh, g.refreshUntil = s.newToken("refresh"), now.Add(s.opts.OAuth.RefreshLife)
		s.oauth.refresh[g.Refresh] = &g
	}
	s.oauth.latest[g.Owner()] = &g
	return &g
}

// newToken makes a token that looks like a JWT, as HighLevel's do, and says nothing.
func (s *Server) newToken(kind string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		encode(fmt.Appendf(nil, `{"jti":%q}`, s.newUUID(kind)))
	mac := hmac.New(sha256.New, fmt.Appendf(nil, "%d %s tokens", s.opts.Seed, kind))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

// kill ends every token of an owner, or those only that an agency made.
func (s *Server) kill(owner string, byAgency bool) {
	doomed := func(g *grant) bool { return g.Owner() == owner && (g.byAgency || !byAgency) }
	for token, g := range s.oauth.access {
		if doomed(g) {
			g.dead = true
			delete(s.oauth.access, token)
		}
	}
	for _, g := range s.oauth.refresh {
		g.dead = g.dead || doomed(g)
	}
	if g := s.oauth.latest[owner]; g != nil && g.dead {
		delete(s.oauth.latest, owner)
	}
	for code, a := range s.oauth.codes {
		if a.owner() == owner && !byAgency {
			delete(s.oauth.codes, code)
		}
	}
}

// exchange is the refresh grant: it rotates the token, or gives the same pair again within the grace.
func (s *Server) exchange(client, token, userType string) (*grant, refusal) {
	now := s.opts.Now()
	g := s.oauth.refresh[token]
	switch {
	case g == nil || g.dead || g.client != client || now.After(g.refreshUntil):
		return nil, invalidRefresh
	case userType != "" && userType != g.UserType:
		return nil, refusal{http.StatusBadRequest, "Invalid parameter: `user_type`"}
	case g.LocationID != "" && s.locations[g.LocationID].suspended:
		return nil, refusal{http.StatusBadRequest, "Location is not active"}
	case g.next != nil && now.Sub(g.usedAt) < s.opts.OAuth.Grace:
		s.oauth.replayed[g.Owner()]++
		return g.next, refusal{}
	case g.next != nil:
		return nil, invalidRefresh
	}
	if s.opts.OAuth.RevokeOnRefresh {
		delete(s.oauth.access, g.Access)
	}
	g.usedAt = now
	g.next = s.newGrant(grant{client: g.client, byAgency: g.byAgency, Pair: Pair{UserType: g.UserType,
		LocationID: g.LocationID, CompanyID: g.CompanyID, Scopes: g.Scopes}})
	s.oauth.rotated[g.Owner()]++
	return g.next, refusal{}
}

// LivePair gives the newest pair of an owner, and false if there is none.
func (s *Server) LivePair(owner string) (Pair, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if g := s.oauth.latest[owner]; g != nil {
		return g.Pair, true
	}
	return Pair{}, false
}

// ExpireAccess ends the access tokens of an owner at once. Refresh tokens stay.
func (s *Server) ExpireAccess(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, g := range s.oauth.access {
		if g.Owner() == owner {
			delete(s.oauth.access, token)
		}
	}
}

// RevokeRefresh ends the refresh tokens of an owner at once, so that only a new install helps. Access tokens live out
// their time.
func (s *Server) RevokeRefresh(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.oauth.refresh {
		g.dead = g.dead || g.Owner() == owner
	}
}

// Refreshes tells how often an owner's refresh token was rotated.
func (s *Server) Refreshes(owner string) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.oauth.rotated[owner]
}

// ReplayedRefreshes tells how often the grace saved an owner: a used refresh token was answered with the same pair.
func (s *Server) ReplayedRefreshes(owner string) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.oauth.replayed[owner]
}

// RefusedRefreshes tells how often a refresh was refused by HighLevel's rules. Injected faults don't count.
func (s *Server) RefusedRefreshes() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.oauth.refused
}
