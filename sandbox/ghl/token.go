package ghl

import (
	"bytes"
	"crypto/subtle"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// refusal is a status and its words; the zero value refuses nothing.
type refusal struct {
	status  int
	message string
}

// The refusals of the token endpoint. The first is published (oauth-v3.json); the others are the words of the library,
// node-oauth2-server, from which the published ones come.
var (
	invalidRefresh  = refusal{http.StatusBadRequest, "Invalid grant: refresh token is invalid"}
	invalidCode     = refusal{http.StatusBadRequest, "Invalid grant: authorization code is invalid"}
	invalidRedirect = refusal{http.StatusBadRequest, "Invalid request: `redirect_uri` is invalid"}
	invalidClient   = refusal{http.StatusUnauthorized, "Invalid client: client is invalid"}
	invalidGrant    = refusal{http.StatusBadRequest, "Unsupported grant type: `grant_type` is invalid"}
)

const formType = "application/x-www-form-urlencoded"

// maxForm bounds a form.
const maxForm = 1 << 16

func (s *Server) oauthRoutes() {
	s.mux.HandleFunc("GET "+ConsentPath, s.consent)
	s.routes = append(s.routes, Route{http.MethodPost, "/oauth/token", "oauth.token"})
	s.mux.HandleFunc("POST /oauth/token", s.tokenDoor)
	s.agencyRoutes()
}

// tokenDoor notes the flight of a refresh, and does what the plan of faults has in store.
func (s *Server) tokenDoor(w http.ResponseWriter, r *http.Request) {
	s.Count("oauth.token")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		answerError(w, http.StatusBadRequest, "Bad Request", "")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if owner := s.refreshing(r.Header, body); owner != "" {
		flight := s.oauth.flights.begin(owner)
		w = &answering{w, func() { s.oauth.flights.end(flight, false) }}
		defer func() { s.oauth.flights.end(flight, r.Context().Err() != nil) }()
	}
	s.opts.Faults.Serve("oauth.token", w, r, http.HandlerFunc(s.token), refuse)
}

// refreshing tells whose refresh token a request brings, if it brings one that was ever issued.
func (s *Server) refreshing(h http.Header, body []byte) string {
	form, err := url.ParseQuery(string(body))
	if err != nil || !isForm(h) || form.Get("grant_type") != "refresh_token" {
		return ""
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if g := s.oauth.refresh[form.Get("refresh_token")]; g != nil {
		return g.Owner()
	}
	return ""
}

func isForm(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == formType
}

// token is POST /oauth/token. Bodies other than forms have no fields, and client credentials anywhere but in the body
// are none.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Version") == "v3" {
		// Of v3 the same path wants camelCase. Published is the text for a parameter that is missing.
		answerError(w, http.StatusBadRequest, "Missing parameter: clientId", "")
		return
	}
	if err := r.ParseForm(); err != nil {
		answerError(w, http.StatusBadRequest, "Bad Request", "")
		return
	}
	if wrong := badForm(r.PostForm); len(wrong) > 0 {
		answerError(w, http.StatusUnprocessableEntity, wrong, "Unprocessable Entity")
		return
	}
	_, _, basic := r.BasicAuth()
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, known := s.oauth.clients[r.PostForm.Get("client_id")]
	if basic || !known || subtle.ConstantTimeCompare([]byte(secret), []byte(r.PostForm.Get("client_secret"))) == 0 {
		s.refuseToken(w, r.PostForm, invalidClient)
		return
	}
	g, no := s.grantFor(r.PostForm)
	if no.status != 0 {
		s.refuseToken(w, r.PostForm, no)
		return
	}
	answerJSON(w, s.tokenDocument(g))
}

func (s *Server) refuseToken(w http.ResponseWriter, form url.Values, no refusal) {
	if form.Get("grant_type") == "refresh_token" {
		s.oauth.refused++
	}
	kind := ""
	if no.status == http.StatusUnauthorized {
		kind = "Unauthorized"
	}
	answerError(w, no.status, no.message, kind)
}

// badForm checks the fields that the OpenAPI file requires or enumerates.
func badForm(form url.Values) []string {
	var wrong []string
	for _, name := range []string{"client_id", "client_secret", "grant_type"} {
		if form.Get(name) == "" {
			wrong = append(wrong, name+" should not be empty")
		}
	}
	for name, values := range map[string][]string{"user_type": {companyType, locationType},
		"grant_type": {"authorization_code", "refresh_token", "client_credentials"}} {
		if v := form.Get(name); v != "" && !slices.Contains(values, v) {
			wrong = append(wrong, name+" must be one of the following values: "+strings.Join(values, ", "))
		}
	}
	slices.Sort(wrong)
	return wrong
}

func (s *Server) grantFor(form url.Values) (*grant, refusal) {
	client := form.Get("client_id")
	for kind, needed := range map[string]string{"authorization_code": "code", "refresh_token": "refresh_token"} {
		if form.Get("grant_type") == kind && form.Get(needed) == "" {
			return nil, refusal{http.StatusBadRequest, "Missing parameter: `" + needed + "`"}
		}
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		return s.redeem(client, form.Get("code"), form.Get("redirect_uri"))
	case "refresh_token":
		return s.exchange(client, form.Get("refresh_token"), form.Get("user_type"))
	}
	return nil, invalidGrant // client_credentials is published without a word on what it gives
}

// redeem is the code grant. A code works once, whatever comes of the answer. An agency's code gives a company's token,
// whatever user_type asks for.
func (s *Server) redeem(client, code, redirect string) (*grant, refusal) {
	a := s.oauth.codes[code]
	if a == nil || a.client != client || s.opts.Now().After(a.until) {
		return nil, invalidCode
	}
	if redirect != "" && redirect != a.redirect {
		return nil, invalidRedirect
	}
	delete(s.oauth.codes, code)
	made := Pair{UserType: locationType, LocationID: a.location, CompanyID: a.company, Scopes: a.scopes}
	if a.location == "" {
		made.UserType = companyType
	}
	return s.newGrant(grant{client: client, Pair: made}), refusal{}
}

// tokenDocument is a pair as the token endpoint shows it.
func (s *Server) tokenDocument(g *grant) map[string]any {
	doc := map[string]any{"access_token": g.Access, "token_type": "Bearer", "expires_in": s.expiresIn(),
		"scope": strings.Join(g.Scopes, " "), "userType": g.UserType, "companyId": g.CompanyID, "userId": installer,
		"isBulkInstallation": g.UserType == companyType, "traceId": s.newUUID("trace")}
	if g.Refresh != "" {
		doc["refresh_token"] = g.Refresh
	}
	if s.opts.App.PlanID != "" {
		doc["planId"] = s.opts.App.PlanID
	}
	if g.UserType == locationType {
		doc["locationId"] = g.LocationID
		return doc
	}
	if !s.opts.OAuth.HideApproved {
		doc["approvedLocations"] = append([]string{}, s.approved(g.CompanyID)...)
	}
	if made := s.oauth.agencies[g.CompanyID]; made != nil {
		doc["installToFutureLocations"], doc["approveAllLocations"] = made.future, made.all
	}
	return doc
}

// expiresIn is an access token's life in seconds. It is the same when a pair is given again within the grace: an answer
// that promises more than is left is the worse of the two that HighLevel may give.
func (s *Server) expiresIn() int64 { return max(1, int64(s.opts.OAuth.TokenLife/time.Second)) }
