package ghl

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/sandbox/faults"
)

// access says whose tokens an operation takes.
type access int

const (
	locations access = iota // a location's: an OAuth token of it, or a private one
	everybody               // a company's OAuth token too
	companies               // only that
)

// operation is one of the API's. A parameter of query or form that ends in * is required.
type operation struct {
	method, path, name, scope string
	may                       access
	notV3                     bool // gone in v3
	query, form               []string
}

// caller is whoever holds a token.
type caller struct {
	app     string    // empty for a private token
	client  string    // the client key that an OAuth token was given to
	loc     *location // nil for a company
	company string
	scopes  []string // nil is every scope
}

// resource is what the caller's quota is counted by.
func (c *caller) resource() string {
	if c.loc == nil {
		return c.company
	}
	return c.loc.id
}

// call is one request that was let in.
type call struct {
	w   http.ResponseWriter
	r   *http.Request
	who *caller
	loc *location // nil where a company's token asks about no location
}

// handle registers an operation. The path is the OpenAPI file's, with its parameters in braces.
func (s *Server) handle(op operation, answer func(call)) {
	s.routes = append(s.routes, Route{op.method, op.path, op.name})
	pattern := op.path
	if strings.HasSuffix(pattern, "/") {
		pattern += "{$}"
	}
	s.mux.HandleFunc(op.method+" "+pattern, func(w http.ResponseWriter, r *http.Request) {
		s.Count(strings.ToLower(op.name))
		who := s.admit(w, r, op)
		if who == nil {
			return
		}
		s.opts.Faults.Serve(op.name, w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if loc, ok := s.validate(w, r, who, op); ok {
				answer(call{w, r, who, loc})
				if s.opts.AfterPage != nil && slices.Contains(op.query, "offset") {
					_, offset := page(r.URL.Query())
					s.opts.AfterPage(op.name, offset)
				}
			}
		}), s.refuseCaller)
	})
}

// identify finds whose token a request bears.
func (s *Server) identify(r *http.Request) *caller {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if who := s.tokens[token]; who != nil {
		return who
	}
	g := s.oauth.access[token]
	if g == nil || !s.opts.Now().Before(g.Expires) {
		return nil
	}
	return &caller{app: appOf(g.client), client: g.client, loc: s.locations[g.LocationID], company: g.CompanyID,
		scopes: g.Scopes}
}

// admit checks token, version, quota, kind of token and scope, in this order, and writes the quota's headers.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, op operation) *caller {
	who := s.identify(r)
	if who == nil {
		answerError(w, http.StatusUnauthorized, "Invalid JWT", "Unauthorized")
		return nil
	}
	version := r.Header.Get("Version")
	switch version {
	case "2021-04-15", "2021-07-28", "2023-02-21", "v3":
	default:
		answerError(w, http.StatusUnprocessableEntity, []string{"Version header is required"}, "Unprocessable Entity")
		return nil
	}
	if !s.opts.NoLimits && !s.quotas.of(who.app, who.resource()).take(w.Header(), s.opts.Limits, s.opts.Now()) {
		s.CountThrottled()
		answerError(w, http.StatusTooManyRequests, "Too Many Requests", "")
		return nil
	}
	if op.notV3 && version == "v3" { // in the words that a user was answered in June 2026
		answerError(w, http.StatusBadRequest, "Endpoint "+op.path+" not available in API version v3. This endpoint was "+
			"removed in version v3. Please use a version before v3.", "Bad Request")
		return nil
	}
	company := who.loc == nil
	if company && op.may == locations || !company && op.may == companies {
		// Users report these words of a company's token; that the reverse has the same is a guess.
		answerError(w, http.StatusUnauthorized, "This authClass type is not allowed to access this scope.", "Unauthorized")
		return nil
	}
	if s.opts.EnforceScopes && who.scopes != nil && !slices.Contains(who.scopes, op.scope) {
		answerError(w, http.StatusUnauthorized, "The token is not authorized for this scope.", "Unauthorized")
		return nil
	}
	return who
}

// refuseCaller answers a fault. A stale token stays stale: an OAuth token is at its end, and must be renewed.
func (s *Server) refuseCaller(w http.ResponseWriter, r *http.Request, f faults.Fault) {
	if f.Kind == faults.StaleToken {
		s.mu.Lock()
		delete(s.oauth.access, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		s.mu.Unlock()
	}
	refuse(w, r, f)
}

// validate checks query and form against the parameters that the operation publishes, and finds the location that is
// asked about.
func (s *Server) validate(w http.ResponseWriter, r *http.Request, who *caller, op operation) (*location, bool) {
	query := r.URL.Query()
	wrong := s.badParameters(query, op.query)
	if len(op.form) > 0 {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			answerError(w, http.StatusBadRequest, "Bad Request", "")
			return nil, false
		}
		wrong = append(wrong, s.badParameters(r.PostForm, op.form)...)
	}
	wrong = append(wrong, badValues(query)...)
	if len(wrong) > 0 {
		slices.Sort(wrong)
		answerError(w, http.StatusUnprocessableEntity, wrong, "Unprocessable Entity")
		return nil, false
	}
	if op.may == companies {
		return nil, true
	}
	loc := who.loc
	for _, name := range []string{"altId", "locationId"} {
		id := query.Get(name)
		if loc == nil && id != "" {
			loc = s.locationFor(who.company, id)
		}
		if id != "" && (loc == nil || id != loc.id) {
			answerError(w, http.StatusForbidden, "The token does not have access to this location.", "")
			return nil, false
		}
	}
	return loc, true
}

// locationFor is a location that a company's token opens: one of its own that has the app.
func (s *Server) locationFor(company, id string) *location {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if l := s.locations[id]; l != nil && l.company == company && s.oauth.installs[id] != nil {
		return l
	}
	return nil
}

// badParameters are those that are missing or unknown.
func (s *Server) badParameters(in url.Values, params []string) []string {
	var wrong []string
	known := map[string]bool{}
	for _, p := range params {
		name, required := strings.CutSuffix(p, "*")
		known[name] = true
		if required && in.Get(name) == "" {
			wrong = append(wrong, name+" should not be empty")
		}
	}
	for name := range in {
		if !known[name] && !s.opts.LaxQuery {
			wrong = append(wrong, "property "+name+" should not exist")
		}
	}
	return wrong
}
