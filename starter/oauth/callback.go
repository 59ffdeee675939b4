package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
)

// callback takes the browser back from HighLevel, with a code or with an error (A98).
func (h *Handler) callback(w http.ResponseWriter, r *http.Request) {
	query, err := parameters(r)
	if err != nil {
		h.refuse(w, r, http.StatusBadRequest, "query", badPage("HighLevel's answer cannot be read"))
		return
	}
	if reason, p := h.journey(r, query); reason != "" {
		h.refuse(w, r, http.StatusBadRequest, reason, p)
		return
	}
	h.give(w, stateCookie, "", -1, http.SameSiteLaxMode) // the journey is over, whatever comes of it
	switch {
	case query.Get("error") == "access_denied":
		h.refuse(w, r, http.StatusOK, "denied by the user", badPage("You did not agree", "At HighLevel the access was declined."))
	case query.Has("error"):
		h.refuse(w, r, http.StatusBadRequest, "error of HighLevel", badPage("HighLevel broke off",
			"It gave an error instead of a code. Often a scope is asked for that is not ticked in the app: starter check names them."))
	case query.Get("code") == "":
		h.refuse(w, r, http.StatusBadRequest, "no code", badPage("HighLevel sent no code"))
	default:
		h.redeem(w, r, query.Get("code"))
	}
}

// journey checks that this browser was sent off from here, not long ago, and has not come back yet. Else it returns the
// reason and the page that tells it. HighLevel brings the state back as it was (A80).
func (h *Handler) journey(r *http.Request, query url.Values) (string, page) {
	cookie := h.cookie(r, stateCookie)
	if cookie == "" {
		return "no cookie", badPage("This browser was not sent to HighLevel from here",
			"The link must be opened and HighLevel's pages gone through in one browser that takes cookies, within half an hour.")
	}
	s, err := openSlip(h.ring, forState, cookie, h.now())
	switch {
	case errors.Is(err, errExpired):
		return "state expired", badPage("This took too long", "HighLevel's pages must be gone through within half an hour.")
	case err != nil:
		return "foreign cookie", badPage("This browser's cookie is not ours")
	// Several journeys in one browser: the last one's cookie has replaced the others'.
	case !secret.SameToken(query.Get("state"), s.State):
		return "foreign state", badPage("This is not the answer to the question",
			"HighLevel's answer does not belong to the link that this browser opened last.")
	case !h.used.first(s, h.now()):
		return "state used", page{Title: "This was done already", Mood: "bad", Text: []string{
			"The page was loaded a second time, and HighLevel's answer is good once. What came of the first time shows starter connect list."}}
	}
	return "", page{}
}

// redeem has the code exchanged and tells what came of it. A browser that leaves does not stop it: the code would be lost.
func (h *Handler) redeem(w http.ResponseWriter, r *http.Request, code string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), workTime)
	defer cancel()
	done, err := h.installer.Connect(ctx, code)
	switch {
	case errors.Is(err, connections.ErrNoList):
		h.failed(r, "list of locations", err)
		page{Title: "The agency is connected, its locations are not", Mood: "wait",
			Text: []string{"Its list of locations cannot be had from HighLevel now. An agency's installation needs the scopes oauth.readonly " +
				"and oauth.write: if the app does not ask for them, tick them in the app, name them in GHL_SCOPES with all others, and start again."},
			Commands: []command{{"If it does, list the locations with the app later, then choose:", "starter connect installed --company " + done.Company}},
		}.write(w, http.StatusOK)
	case err != nil:
		status, p := explain(err)
		h.failed(r, "connect", err)
		p.write(w, status)
	case done.Installed != nil || len(done.Connections) == 0:
		h.log.InfoContext(ctx, "an agency is connected", "company", done.Company, "locations", len(done.Installed))
		h.offer(w, done)
	default:
		for _, c := range done.Connections {
			h.log.InfoContext(ctx, "a location is connected", "location", c.Location, "state", string(c.State))
		}
		connectedPage(done.Connections).write(w, http.StatusOK)
	}
}

// failed logs what went wrong behind a page. The errors are made to show nothing of codes, tokens and answers.
func (h *Handler) failed(r *http.Request, step string, err error) {
	h.seldom.Do(func() {
		h.log.ErrorContext(r.Context(), "connecting failed", "step", step, "error", err.Error())
	})
}

// explain says in words of ours what went wrong.
func explain(err error) (int, page) {
	var fault *activities.Fault
	switch {
	case errors.Is(err, connections.ErrCode):
		return http.StatusBadRequest, badPage("HighLevel refused the code",
			"A code is good once, for a short time, and for the app that it was made for.")
	case errors.Is(err, connections.ErrCodeLost):
		return http.StatusBadGateway, badPage("HighLevel's answer was lost",
			"The code has been sent, and no answer came that can be used. A code is good once, so a new one is needed.")
	case errors.Is(err, connections.ErrApp):
		return http.StatusBadGateway, badPage("HighLevel does not know the app",
			"GHL_CLIENT_ID and GHL_CLIENT_SECRET must be a client key of the app, and GHL_TOKEN_URL HighLevel's.")
	case errors.Is(err, connections.ErrGrant):
		return http.StatusBadGateway, badPage("HighLevel's answer cannot be used", "It does not name what was installed.")
	case errors.Is(err, connections.ErrNotOffered):
		return http.StatusBadRequest, badPage("The app is not installed there",
			"One of the locations is not, or no longer, among those for which the agency has installed the app.")
	case errors.Is(err, connections.ErrMismatch):
		return http.StatusConflict, badPage("A location belongs to another agency",
			"It works for another agency here. Remove it first: starter connect remove.")
	case errors.Is(err, connections.ErrUnknown), errors.As(err, &fault) && fault.Kind == activities.Reconnect:
		return http.StatusConflict, badPage("The agency must connect again", "Its access has ended since this page was opened.")
	}
	return http.StatusServiceUnavailable, badPage("This could not be done now",
		"HighLevel or the database does not answer; the log says more. What was stored by then does no harm: start again.")
}

// offer shows an agency's locations to choose from, to this browser alone.
func (h *Handler) offer(w http.ResponseWriter, done connections.Connected) {
	browser, until := rand.Text(), h.now().Add(formLife)
	h.give(w, choiceCookie, browser, int(formLife.Seconds()), http.SameSiteStrictMode)
	choicePage(done, sealSlip(h.ring, forChoice, slip{Until: until, Company: done.Company, Browser: browser})).write(w, http.StatusOK)
}

// takeChoice connects the locations that were ticked.
func (h *Handler) takeChoice(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		h.refuse(w, r, http.StatusBadRequest, "form", badPage("The form did not arrive whole"))
		return
	}
	s, err := openSlip(h.ring, forChoice, r.PostForm.Get("form"), h.now())
	switch {
	case errors.Is(err, errExpired):
		h.refuse(w, r, http.StatusForbidden, "form expired", badPage("This form has expired", "It was good for an hour."))
		return
	case err != nil, !secret.SameToken(h.cookie(r, choiceCookie), s.Browser):
		h.refuse(w, r, http.StatusForbidden, "foreign form", badPage("This form was not made for this browser"))
		return
	}
	locations := r.PostForm["location"]
	if len(locations) == 0 {
		h.refuse(w, r, http.StatusBadRequest, "nothing ticked", page{Title: "No location is ticked", Mood: "wait",
			Text: []string{"Go back and tick those whose orders are to go to Sage, or later:"},
			Commands: []command{{"Connect a location of the agency:",
				"starter connect choose --company " + s.Company + " LOCATION"}}})
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), workTime)
	defer cancel()
	var chosen []store.Connection
	if chosen, err = h.installer.Choose(ctx, s.Company, locations); err != nil {
		status, p := explain(err)
		if p.Rows = chosen; len(chosen) > 0 {
			p.Text[len(p.Text)-1] = "Only these were connected. For the others run the command starter connect and open its link."
		}
		h.failed(r, "choose", err)
		p.write(w, status)
		return
	}
	for _, c := range chosen {
		h.log.InfoContext(ctx, "a location is connected", "location", c.Location, "state", string(c.State))
	}
	connectedPage(chosen).write(w, http.StatusOK)
}
