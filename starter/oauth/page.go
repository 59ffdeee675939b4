package oauth

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/store"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	pages = template.Must(template.New("page").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(pageCSS) }, //nolint:gosec // a file of ours
	}).Parse(pageHTML))
	// The policy admits the one style sheet by its hash, and nothing else: no script, no frame, no form to elsewhere.
	policy = "default-src 'none'; style-src 'sha256-" + hashOf(pageCSS) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// page is what a browser is shown. Nothing of it is text of the request.
type page struct {
	Title string
	// Mood is "good", "wait" or "bad".
	Mood string
	Text []string
	Rows []store.Connection
	Form *form
	// Commands are what is left to do.
	Commands []command
}

type command struct{ Why, Line string }

// form is that by which an agency's locations are chosen.
type form struct {
	Action, Token string
	Choices       []choice
}

type choice struct {
	Location, Name string
	State          store.ConnectionState
	// Connected tells that there is nothing to choose any more.
	Connected bool
}

// safe sets what holds for every answer.
func safe(w http.ResponseWriter) {
	head := w.Header()
	for name, value := range map[string]string{
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		head.Set(name, value)
	}
}

func (p page) write(w http.ResponseWriter, code int) {
	var out bytes.Buffer
	if err := pages.Execute(&out, p); err != nil { // the template and its data are ours
		panic(err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(out.Bytes()) // the browser may be gone
}

// again is how every page ends that connected nothing.
const again = "Nothing was connected. To start again, run the command starter connect and open its link."

func badPage(title string, text ...string) page {
	return page{Title: title, Mood: "bad", Text: append(text, again)}
}

// connectedPage tells what became of locations, and what is left to do.
func connectedPage(rows []store.Connection) page {
	p := page{Title: "Connected", Mood: "good", Rows: rows}
	waiting := slices.IndexFunc(rows, func(c store.Connection) bool { return c.State == store.Pending })
	if waiting < 0 {
		p.Text = []string{"From now on paid orders go to Sage. You can close this page."}
		if slices.ContainsFunc(rows, func(c store.Connection) bool { return c.State == store.Paused }) {
			p.Text = []string{"The access is renewed. What was paused stays paused until an operator resumes it."}
		}
		return p
	}
	p.Title, p.Mood = "Connected, but not working yet", "wait"
	p.Text = []string{"Which Sage tenant the orders go to must be said first. Nothing is lost until then: sweeps find what was paid."}
	location := rows[waiting].Location
	if len(rows) > 1 {
		location = "LOCATION"
	}
	p.Rows = slices.Clone(rows)
	for i := range p.Rows {
		if p.Rows[i].State == store.Pending {
			p.Rows[i].Note = "" // the page itself says it, and in full
		}
	}
	p.Commands = []command{
		{"With a Sage tenant of its own, whose keys and ids stand in a file:", "starter connect set " + location + " --env-file FILE"},
		{"With the tenant of the environment, SAGE_PUBLIC_KEY and SAGE_PRIVATE_KEY:", "starter connect set " + location + " --sage environment"},
	}
	return p
}

// choicePage lists an agency's locations to choose from.
func choicePage(c connections.Connected, token string) page {
	states := make(map[string]store.ConnectionState, len(c.Connections))
	for _, row := range c.Connections {
		states[row.Location] = row.State
	}
	f := &form{Action: chooseAction, Token: token}
	for _, l := range c.Installed {
		state := states[l.ID]
		f.Choices = append(f.Choices, choice{
			Location: l.ID, Name: l.Name, State: state,
			Connected: state == store.Active || state == store.Paused,
		})
	}
	slices.SortFunc(f.Choices, func(a, b choice) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Location, b.Location))
	})
	p := page{
		Title: "Which locations?", Mood: "wait", Form: f,
		Text: []string{"The agency is connected. Only the locations that you tick are brought into Sage."},
	}
	if len(f.Choices) == 0 {
		p.Form = nil
		p.Text = []string{"The agency is connected, but has the app in none of its locations yet. Install it in one, then:"}
		p.Commands = []command{{"Connect a location of the agency " + c.Company + ":", "starter connect choose --company " + c.Company + " LOCATION"}}
	}
	return p
}
