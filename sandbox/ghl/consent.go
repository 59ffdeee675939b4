package ghl

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ConsentPath is the page on which a person chooses the location that an app may see.
const ConsentPath = "/v2/oauth/chooselocation"

// approval is a code, and what its owner has allowed.
type approval struct {
	client, redirect string
	scopes           []string
	location         string // empty for a company's
	company          string
	until            time.Time
}

func (a *approval) owner() string {
	if a.location == "" {
		return OwnerOfCompany(a.company)
	}
	return OwnerOfLocation(a.location)
}

// AuthorizeURL is the address of the page where apps are allowed in. Call it after Start.
//
// The page takes response_type=code, client_id, redirect_uri, scope and state. A person clicks; a program adds auto:
// the id of a location, "company" for all of an agency, or "deny". Company takes company=ID, where the agency is not
// DefaultCompany, locations=ID as often as it takes where not all are meant, and future=true for those to come.
func (s *Server) AuthorizeURL() string { return s.URL() + ConsentPath }

// consent serves the page. Wrong questions are answered on it: a code must not be sent to somebody unknown.
func (s *Server) consent(w http.ResponseWriter, r *http.Request) {
	s.Count("oauth.chooselocation")
	q := r.URL.Query()
	s.mu.Lock()
	a, problem := s.readQuestion(q)
	if problem != "" {
		s.mu.Unlock()
		s.page(w, http.StatusBadRequest, page400{Problem: problem})
		return
	}
	if q.Get("auto") == "" {
		choice := s.choices(q)
		s.mu.Unlock()
		s.page(w, http.StatusOK, choice)
		return
	}
	answer := url.Values{}
	if state := q.Get("state"); state != "" {
		answer.Set("state", state)
	}
	var events []event
	var err error
	if q.Get("auto") == "deny" {
		answer.Set("error", "access_denied") // of RFC 6749; HighLevel publishes nothing
	} else if events, err = s.allow(&a, q); err != nil {
		s.mu.Unlock()
		s.page(w, http.StatusBadRequest, page400{Problem: err.Error()})
		return
	} else {
		code := s.newID("code") + s.newID("code")
		a.until = s.opts.Now().Add(s.opts.OAuth.CodeLife)
		s.oauth.codes[code] = &a
		answer.Set("code", code)
	}
	s.mu.Unlock()
	s.sendAll(events)
	http.Redirect(w, r, withQuery(a.redirect, answer), http.StatusFound)
}

// readQuestion checks what an app asks, and says what is wrong with it.
func (s *Server) readQuestion(q url.Values) (approval, string) {
	a := approval{client: q.Get("client_id"), redirect: q.Get("redirect_uri"), scopes: strings.Fields(q.Get("scope"))}
	_, known := s.oauth.clients[a.client]
	switch {
	case q.Get("response_type") != "code":
		return a, "response_type must be code"
	case !known:
		return a, "no app has this client_id"
	case !s.mayRedirect(a.redirect):
		return a, "redirect_uri is none of the app's"
	case len(a.scopes) == 0:
		return a, "scope should not be empty"
	}
	for _, scope := range a.scopes {
		if !slices.Contains(s.opts.App.Scopes, scope) {
			return a, "This integration cannot be added"
		}
	}
	return a, ""
}

// allow installs what the person chose. INSTALL is sent now, so that it may come before the code is exchanged, as it
// does at HighLevel.
func (s *Server) allow(a *approval, q url.Values) ([]event, error) {
	if q.Get("auto") == "company" {
		a.company = companyIn(q)
		return s.installAgency(a.company, q["locations"], q.Get("future") == "true")
	}
	l := s.locations[q.Get("auto")]
	if l == nil || l.suspended {
		return nil, fmt.Errorf("%w: an active location %s", ErrUnknown, q.Get("auto"))
	}
	a.location, a.company = l.id, l.company
	return s.installOn(l, installer, false), nil
}

func companyIn(q url.Values) string {
	if id := q.Get("company"); id != "" {
		return id
	}
	return DefaultCompany
}

func withQuery(to string, add url.Values) string {
	if strings.Contains(to, "?") {
		return to + "&" + add.Encode()
	}
	return to + "?" + add.Encode()
}

// consentPage is what the page shows.
type consentPage struct {
	Question  map[string]string // what the app asked, to be asked again with the click
	Company   string
	Scopes    []string
	Locations []consentLocation
}

type consentLocation struct{ ID, Name, Address string }

// page400 is the page for a question that is wrong.
type page400 struct{ Problem string }

func (s *Server) choices(q url.Values) consentPage {
	shown := consentPage{Question: map[string]string{}, Scopes: strings.Fields(q.Get("scope"))}
	for name := range q {
		shown.Question[name] = q.Get(name)
	}
	company := companyIn(q)
	shown.Company = s.companies[company]
	for _, id := range s.locationsOf(company) {
		if l := s.locations[id]; !l.suspended {
			shown.Locations = append(shown.Locations, consentLocation{l.id, l.name, l.address})
		}
	}
	return shown
}

func (*Server) page(w http.ResponseWriter, status int, data any) {
	name := "choose"
	if _, wrong := data.(page400); wrong {
		name = "wrong"
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		panic(err)
	}
}

var pages = template.Must(template.New("").Parse(`
{{define "head"}}<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Choose a location (sandbox)</title>
<style>body{font:16px sans-serif;max-width:40em;margin:3em auto}button{margin:.3em}small{color:#666}</style></head><body>{{end}}
{{define "wrong"}}{{template "head"}}<h1>This does not work</h1><p>{{.Problem}}</p></body></html>{{end}}
{{define "choose"}}{{template "head"}}
<h1>Choose a location</h1><p>A sandbox: no HighLevel account is touched. The app asks for:</p>
<ul>{{range .Scopes}}<li>{{.}}</li>{{end}}</ul>
<form method="get" action="` + ConsentPath + `">
{{range $name, $value := .Question}}<input type="hidden" name="{{$name}}" value="{{$value}}">{{end}}
<h2>One location</h2>
{{range .Locations}}<p><button name="auto" value="{{.ID}}">{{.Name}}</button> <small>{{.Address}}</small></p>{{end}}
<h2>The agency {{.Company}}</h2>
{{range .Locations}}<p><label><input type="checkbox" name="locations" value="{{.ID}}"> {{.Name}}</label></p>{{end}}
<p><label><input type="checkbox" name="future" value="true"> and every future location</label></p>
<p><button name="auto" value="company">Install for the agency</button> <small>none ticked is all</small></p>
<p><button name="auto" value="deny">Cancel</button></p>
</form></body></html>{{end}}
`))
