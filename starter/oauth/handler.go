package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
)

// Where the pages are.
const (
	// Prefix is that of all of them.
	Prefix = "/oauth/ghl/"
	// ConnectPath sends a browser to HighLevel, CallbackPath takes it back, ChoosePath takes an agency's choice.
	ConnectPath  = Prefix + "connect"
	CallbackPath = Prefix + "callback"
	ChoosePath   = Prefix + "choose"
)

// chooseAction is ChoosePath as seen from CallbackPath: a proxy may have put both into a folder.
var chooseAction = path.Base(ChoosePath)

const (
	// workTime bounds what a page waits for HighLevel and the store, within the server's own limit of an answer.
	workTime = 25 * time.Second
	// maxQuery and maxForm bound what is read of a request, the latter with thousands of locations in it.
	maxQuery = 8 << 10
	maxForm  = 1 << 20
)

// Installer is what acts on codes and choices; connections.Installer is the one.
type Installer interface {
	Connect(ctx context.Context, code string) (connections.Connected, error)
	Choose(ctx context.Context, company string, locations []string) ([]store.Connection, error)
}

// Options are what a Handler is made of.
type Options struct {
	// Config says which keys seal (SECRET_KEYS), who is admitted without a link (ADMIN_TOKEN, as a bearer), and where
	// HighLevel sends people back to.
	Config    config.Config
	OAuth     *ghl.OAuth
	Installer Installer
	// Log says what was connected, and what was refused and why; nil says nothing.
	Log *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Handler serves the pages under Prefix. It is safe for concurrent use.
type Handler struct {
	ring      *secret.Ring
	token     string
	secure    bool
	authorize func(state string) string
	installer Installer
	log       *slog.Logger
	seldom    rate.Sometimes
	now       func() time.Time
	used      used
	choose    http.Handler
}

// New makes a Handler. The error says which option is missing.
func New(o Options) (*Handler, error) {
	if o.OAuth == nil || o.Installer == nil {
		return nil, connections.ErrNoApp
	}
	if o.Config.Secrets.Keys.Ring == nil {
		return nil, errors.New("there are no keys to seal cookies and links with: set SECRET_KEYS")
	}
	h := &Handler{
		ring: o.Config.Secrets.Keys.Ring, token: o.Config.Secrets.AdminToken.Reveal(),
		// Without TLS, which the configuration allows on this machine only, a browser would not give the cookie back.
		secure:    strings.HasPrefix(o.Config.OAuthRedirect(), "https://"),
		authorize: o.OAuth.AuthorizeURL, installer: o.Installer, log: o.Log, now: o.Now,
		// Anybody can send nonsense: what is refused must not fill the disk with log lines.
		seldom: rate.Sometimes{First: 20, Interval: time.Second},
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.now == nil {
		h.now = time.Now
	}
	// The sealed form and its cookie are what keeps other pages out; this does so before anything is read.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.refuse(w, r, http.StatusForbidden, "cross-origin", badPage("This came from another page"))
	}))
	h.choose = guard.Handler(http.HandlerFunc(h.takeChoice))
	return h, nil
}

// ServeHTTP implements http.Handler. A path ends as it does whatever a proxy has put before it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	safe(w)
	want, serve := http.MethodGet, h.connect
	switch r.URL.Path {
	case ConnectPath:
	case CallbackPath:
		serve = h.callback
	case ChoosePath:
		want, serve = http.MethodPost, h.choose.ServeHTTP
	default:
		h.refuse(w, r, http.StatusNotFound, "unknown page", page{Title: "There is no such page", Mood: "bad"})
		return
	}
	// HEAD too: a code is spent by asking for the page.
	if r.Method != want {
		w.Header().Set("Allow", want)
		h.refuse(w, r, http.StatusMethodNotAllowed, "method", page{Title: "This page is asked for in another way", Mood: "bad"})
		return
	}
	serve(w, r)
}

// refuse shows a page that connected nothing. reason is for the log, in words of ours.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, code int, reason string, p page) {
	h.seldom.Do(func() {
		h.log.WarnContext(r.Context(), "nothing was connected", "status", code, "reason", reason)
	})
	p.write(w, code)
}

// connect sends the browser to HighLevel's page, if it may.
func (h *Handler) connect(w http.ResponseWriter, r *http.Request) {
	query, err := parameters(r)
	if err != nil {
		h.refuse(w, r, http.StatusBadRequest, "query", badPage("This link is damaged", "Copy it whole."))
		return
	}
	switch err := h.admit(r, query.Get("ticket")); {
	case errors.Is(err, errExpired):
		h.refuse(w, r, http.StatusUnauthorized, "ticket expired", badPage("This link has expired", "It was good for 15 minutes."))
		return
	case err != nil:
		w.Header().Set("WWW-Authenticate", `Bearer realm="connect"`)
		h.refuse(w, r, http.StatusUnauthorized, "no ticket", badPage("This page needs a link", "The command starter connect prints one."))
		return
	}
	s := slip{State: rand.Text(), Until: h.now().Add(stateLife)}
	h.give(w, stateCookie, sealSlip(h.ring, forState, s), int(stateLife.Seconds()), http.SameSiteLaxMode)
	// The address is that of the configuration. Nothing of the request is in it.
	http.Redirect(w, r, h.authorize(s.State), http.StatusSeeOther)
}

// admit tells whether a request may begin to connect. Being on this machine is not enough: any page can send a browser
// to an address of its own machine.
func (h *Handler) admit(r *http.Request, ticket string) error {
	if token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found && secret.SameToken(token, h.token) {
		return nil
	}
	_, err := openSlip(h.ring, forTicket, ticket, h.now())
	return err
}

// parameters reads a query in which nothing stands twice: which of the two somebody else has looked at cannot be known.
func parameters(r *http.Request) (url.Values, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return nil, errors.New("too long")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errors.New("unreadable")
	}
	for _, name := range []string{"ticket", "state", "code", "error"} {
		if len(query[name]) > 1 {
			return nil, errors.New("twice")
		}
	}
	return query, nil
}

// The cookies. The state has to come along when HighLevel's page sends the browser back; the choice need not leave this
// site.
const (
	stateCookie  = "tallystick-oauth-state"
	choiceCookie = "tallystick-oauth-choice"
)

// cookieName has browsers take the cookie only from this host and over TLS, so that no neighbouring host can plant one.
func (h *Handler) cookieName(name string) string {
	if h.secure {
		return "__Host-" + name
	}
	return name
}

// give sets a cookie for so many seconds; less than 0 takes it away.
func (h *Handler) give(w http.ResponseWriter, name, value string, seconds int, same http.SameSite) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // without TLS, on this machine only, Secure would have it dropped
		Name: h.cookieName(name), Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: h.secure, SameSite: same,
	})
}

// cookie is the value of the one cookie of that name, empty if there is none, or several.
func (h *Handler) cookie(r *http.Request, name string) string {
	found := r.CookiesNamed(h.cookieName(name))
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}
