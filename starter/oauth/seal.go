package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
)

// How long things are good for.
const (
	// TicketLife is that of the links of `starter connect`.
	TicketLife = 15 * time.Minute
	// stateLife is how long somebody may take at HighLevel's pages, signing in included.
	stateLife = 30 * time.Minute
	// formLife is how long somebody may take over choosing.
	formLife = time.Hour
)

// What values are sealed for. None opens as another.
const (
	forTicket = "oauth/ticket"
	forState  = "oauth/state"
	forChoice = "oauth/choice"
)

// slip is what is sealed and given to a browser.
type slip struct {
	Until time.Time `json:"until"`
	// State is the state of a journey to HighLevel.
	State string `json:"state,omitempty"`
	// Company is the agency whose locations may be chosen, by the browser that holds the cookie Browser.
	Company string `json:"company,omitempty"`
	Browser string `json:"browser,omitempty"`
}

// Of a slip that is not taken it is told whether it was ours, and no more.
var (
	errForeign = errors.New("not ours")
	errExpired = errors.New("expired")
)

// longestSlip is more than any slip is long: what is longer is not worth opening.
const longestSlip = 1 << 10

func sealSlip(ring *secret.Ring, purpose string, s slip) string {
	plain, err := json.Marshal(s)
	if err != nil { // times of this century and texts
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(ring.Seal(plain, []byte(purpose)))
}

func openSlip(ring *secret.Ring, purpose, text string, now time.Time) (slip, error) {
	if len(text) > longestSlip {
		return slip{}, errForeign
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return slip{}, errForeign
	}
	plain, err := ring.Open(sealed, []byte(purpose))
	if err != nil {
		return slip{}, errForeign
	}
	var s slip
	if err := json.Unmarshal(plain, &s); err != nil {
		return slip{}, errForeign
	}
	if !now.Before(s.Until) {
		return slip{}, errExpired
	}
	return s, nil
}

// Link is an address that admits whoever opens it before the time it returns to connecting a location. Every starter with
// the same keys takes it. It leads to the host that HighLevel sends people back to, for a browser shows its cookie to no
// other.
func Link(cfg config.Config, now time.Time) (link string, expires time.Time, err error) {
	base, here := strings.CutSuffix(cfg.OAuthRedirect(), CallbackPath)
	if !here {
		base = string(cfg.HTTP.Public)
	}
	switch {
	case !cfg.GHL.OAuthEnabled():
		return "", time.Time{}, connections.ErrNoApp
	case cfg.Secrets.Keys.Ring == nil:
		return "", time.Time{}, errors.New("there are no keys to seal the link with: set SECRET_KEYS")
	case base == "":
		return "", time.Time{}, errors.New("where the front door is reached is not known: set PUBLIC_URL")
	}
	expires = now.Add(TicketLife)
	ticket := sealSlip(cfg.Secrets.Keys.Ring, forTicket, slip{Until: expires})
	return base + ConnectPath + "?" + url.Values{"ticket": {ticket}}.Encode(), expires, nil
}

// used remembers the states that came back, for as long as they could come back again. Only states of ours get in, so
// it grows no faster than people are sent off. Another process does not know them, and need not: a code is good once.
type used struct {
	mu    sync.Mutex
	until map[[sha256.Size]byte]time.Time
}

// first tells whether a state comes back for the first time.
func (u *used) first(s slip, now time.Time) bool {
	key := sha256.Sum256([]byte(s.State))
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, until := range u.until {
		if !now.Before(until) {
			delete(u.until, k)
		}
	}
	if _, was := u.until[key]; was {
		return false
	}
	if u.until == nil {
		u.until = map[[sha256.Size]byte]time.Time{}
	}
	u.until[key] = s.Until
	return true
}
