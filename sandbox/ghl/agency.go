package ghl

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

func (s *Server) agencyRoutes() {
	s.handle(operation{method: http.MethodPost, path: "/oauth/locationToken", name: "oauth.locationToken",
		scope: "oauth.write", may: companies, notV3: true, form: []string{"companyId*", "locationId*"}}, s.locationToken)
	s.handle(operation{method: http.MethodGet, path: "/oauth/installedLocations", name: "oauth.installedLocations",
		scope: "oauth.readonly", may: companies, notV3: true, query: []string{"skip", "limit", "query", "isInstalled",
			"companyId*", "appId*", "versionId", "onTrial", "planId", "locationId"}}, s.installedLocations)
}

// locationToken makes a location's token with a company's. The file publishes 200; users see the 201 that its framework
// gives a POST.
func (s *Server) locationToken(c call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := c.r.PostForm.Get("locationId")
	l := s.locations[id]
	switch {
	case c.r.PostForm.Get("companyId") != c.who.company:
		answerError(c.w, http.StatusForbidden, "You do not have permission to access this resource", "Forbidden")
		return
	case l == nil || l.company != c.who.company || s.oauth.installs[id] == nil:
		answerError(c.w, http.StatusBadRequest, "Location not found", "")
		return
	case l.suspended:
		answerError(c.w, http.StatusBadRequest, "Location is not active", "")
		return
	}
	g := s.newGrant(grant{client: c.who.client, byAgency: true, Pair: Pair{UserType: locationType, LocationID: id,
		CompanyID: l.company, Scopes: c.who.scopes}})
	doc := map[string]any{"access_token": g.Access, "token_type": "Bearer", "expires_in": s.expiresIn(),
		"scope": strings.Join(g.Scopes, " "), "locationId": id, "userId": installer, "appId": c.who.app,
		"versionId": s.opts.App.VersionID, "traceId": s.newUUID("trace")}
	if g.Refresh != "" {
		doc["refresh_token"] = g.Refresh
	}
	if s.opts.App.PlanID != "" {
		doc["planId"] = s.opts.App.PlanID
	}
	answerStatus(c.w, http.StatusCreated, doc)
}

// installedLocations lists an agency's locations and whether they have the app. As published, count is how many the
// agency has, not how many the filters let through.
func (s *Server) installedLocations(c call) {
	q := c.r.URL.Query()
	s.mu.RLock()
	defer s.mu.RUnlock()
	if q.Get("companyId") != c.who.company || q.Get("appId") != c.who.app {
		answerError(c.w, http.StatusForbidden, "You do not have permission to access this resource", "Forbidden")
		return
	}
	ids := s.locationsOf(c.who.company)
	rows := []any{}
	for _, id := range ids {
		if s.matches(s.locations[id], q) {
			rows = append(rows, s.installedRow(s.locations[id]))
		}
	}
	skip, _ := strconv.Atoi(q.Get("skip"))
	limit := 20
	if n, err := strconv.Atoi(q.Get("limit")); err == nil {
		limit = n
	}
	skip = min(skip, len(rows))
	doc := map[string]any{"locations": rows[skip:min(skip+limit, len(rows))], "count": len(ids)}
	if made := s.oauth.agencies[c.who.company]; made != nil {
		doc["installToFutureLocations"] = made.future
	}
	answerJSON(c.w, doc)
}

// matches tells whether a location passes the filters. No install here is on trial.
func (s *Server) matches(l *location, q url.Values) bool {
	in := s.oauth.installs[l.id]
	return (q.Get("isInstalled") == "" || q.Get("isInstalled") == strconv.FormatBool(in != nil)) &&
		(q.Get("locationId") == "" || q.Get("locationId") == l.id) &&
		(q.Get("versionId") == "" || q.Get("versionId") == s.opts.App.VersionID) &&
		(q.Get("planId") == "" || q.Get("planId") == s.opts.App.PlanID) && q.Get("onTrial") != "true" &&
		strings.Contains(strings.ToLower(l.name), strings.ToLower(q.Get("query")))
}

func (s *Server) installedRow(l *location) map[string]any {
	row := map[string]any{"_id": l.id, "name": l.name, "address": l.address, "isInstalled": false}
	if in := s.oauth.installs[l.id]; in != nil {
		row["isInstalled"], row["versionId"], row["installedAt"] = true, s.opts.App.VersionID, stamp(in.at)
	}
	return row
}
