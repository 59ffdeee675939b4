package connections

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
)

const (
	// aheadOf is how long before its end a token is renewed, or a tenth of its life if that is less.
	aheadOf = 5 * time.Minute
	// youngest is the age below which a token that is refused is not renewed, or a tenth of its life if that is less: a
	// vendor that refuses what it has just given out would be asked for another with every call.
	youngest = 10 * time.Second
	// flightTime bounds a renewal with all its waiting, as no single caller's deadline may.
	flightTime = time.Minute
	// restAfter is how long a token that is still good is left alone after a renewal ahead of its end failed.
	restAfter = 20 * time.Second
	// maxFlights bounds the waiting for a token that is new to the caller.
	maxFlights = 3

	pollFirst = 50 * time.Millisecond
	pollMost  = 250 * time.Millisecond
)

// vault keeps access and refresh tokens, sealed in the store, and renews them. HighLevel's refresh tokens are good for
// one use (its OAuth guide), so exactly one process renews, under a lease in the store, and what it gets is stored
// before it is used. Between two renewals a token is kept in memory, and nothing is read.
type vault struct {
	store *store.Store
	ring  *secret.Ring
	oauth *ghl.OAuth
	log   *slog.Logger

	// flights is held for reading by each renewal under way.
	flights sync.RWMutex

	mu      sync.Mutex
	keepers map[string]*keeper
}

func newOAuth(c config.Config, watch Watch) (*ghl.OAuth, error) {
	redirect := c.OAuthRedirect()
	if redirect == "" { // only the front door sends people to HighLevel, and it does not start without an address
		redirect = "http://localhost/oauth/ghl/callback"
	}
	return ghl.NewOAuth(ghl.OAuthOptions{
		BaseURL: string(c.GHL.BaseURL), AuthorizeURL: string(c.GHL.AuthorizeURL), TokenURL: c.GHL.TokenEndpoint(),
		ClientID: c.GHL.ClientID, ClientSecret: c.GHL.ClientSecret.Reveal(), RedirectURL: redirect, Scopes: c.GHL.Scopes,
		Logger: watch.Logger, Metrics: watch.Metrics, Tracer: watch.Tracer,
	})
}

// newVault makes a vault. Two of them in one process get on like two processes do.
func newVault(s *store.Store, ring *secret.Ring, oauth *ghl.OAuth, log *slog.Logger) *vault {
	return &vault{store: s, ring: ring, oauth: oauth, log: log, keepers: map[string]*keeper{}}
}

// wait returns when no renewal is under way.
func (v *vault) wait() {
	v.flights.Lock()
	defer v.flights.Unlock()
}

// ofLocation are the credentials of a location that was connected by the app.
func (v *vault) ofLocation(location string) *keeper {
	return v.keeper(store.TokenOfLocation(location), location, "")
}

// ofCompany are the credentials of an agency that installed the app.
func (v *vault) ofCompany(company string) *keeper {
	return v.keeper(store.TokenOfCompany(company), "", company)
}

func (v *vault) keeper(owner, location, company string) *keeper {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := v.keepers[owner]
	if k == nil {
		k = &keeper{vault: v, owner: owner, location: location, company: company}
		v.keepers[owner] = k
	}
	return k
}

// put keeps a new grant in the place of whatever the owner has. Whoever calls it saves the connection afterwards, even
// one that stays as it is: a renewal of the grant before, refused at the same moment, would otherwise report the
// connection as lost.
func (v *vault) put(ctx context.Context, owner string, grant ghl.Grant) error {
	row, err := sealToken(v.ring, owner, tokenOf(grant, time.Now()))
	if err == nil {
		_, err = v.store.PutToken(ctx, row)
	}
	return err
}

// token is a pair as it is in the store.
type token struct {
	access, refresh string
	since, expires  time.Time
	scopes          string
	generation      int64
}

// tokenOf is what a grant gave. Its life counts from before it was asked for, so that what the answer took on its way
// is not taken for life.
func tokenOf(grant ghl.Grant, asked time.Time) token {
	return token{
		access: grant.AccessToken, refresh: grant.RefreshToken, since: asked, expires: grant.Expires,
		scopes: join(grant.Scopes),
	}
}

// good tells whether the access token may be used.
func (t token) good() bool { return t.access != "" && time.Now().Before(t.expires) }

// due tells whether it is time for another (A82).
func (t token) due() bool { return time.Until(t.expires) < min(aheadOf, t.tenth()) }

// fresh tells whether the token is so new that another would fare no better.
func (t token) fresh() bool { return time.Since(t.since) < min(youngest, t.tenth()) }

func (t token) tenth() time.Duration { return t.expires.Sub(t.since) / 10 }

// pair is what is sealed of a token.
type pair struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh,omitempty"`
}

func sealToken(ring *secret.Ring, owner string, t token) (store.Token, error) {
	plain, err := json.Marshal(pair{t.access, t.refresh})
	if err != nil {
		return store.Token{}, fmt.Errorf("write the token of %s: %w", owner, err)
	}
	return store.Token{
		Owner: owner, Pair: seal(ring, plain, store.TokenPurpose(owner)),
		Expires: t.expires, RefreshedAt: t.since, Scopes: t.scopes, Generation: t.generation,
	}, nil
}

func (v *vault) opened(row store.Token) (token, error) { return openToken(v.ring, row) }

func openToken(ring *secret.Ring, row store.Token) (token, error) {
	plain, err := ring.OpenText(row.Pair.Text, store.TokenPurpose(row.Owner))
	if err != nil { // a person must put the key back, and then everything goes on
		return token{}, &activities.Fault{Kind: activities.Mapping, Err: fmt.Errorf("open the token of %s: %w", row.Owner, err)}
	}
	var p pair
	if err := json.Unmarshal(plain, &p); err != nil { // its words may quote the token
		return token{}, fault(activities.Mapping, "the token of %s cannot be read; use `starter connect` again", row.Owner)
	}
	return token{
		access: p.Access, refresh: p.Refresh, since: row.RefreshedAt, expires: row.Expires, scopes: row.Scopes,
		generation: row.Generation,
	}, nil
}

// AccessToken opens the access token of a row of the store, for whoever only looks: it renews nothing, whatever became of
// the token. It is empty for a location that gets its tokens from its agency and has had no call yet.
func AccessToken(ring *secret.Ring, row store.Token) (string, error) {
	t, err := openToken(ring, row)
	return t.access, err
}

// keeper gives the access token of one location or agency. It implements ghl.Credentials.
type keeper struct {
	vault *vault
	owner string
	// location or company is whose token it is.
	location, company string
	flight            singleflight.Group

	mu sync.Mutex
	// held is the pair as last seen in the store.
	held token
	// unsaved is a pair that HighLevel gave for the generation that it names, and that the store has not taken yet.
	unsaved *token
	// rest is until when a token that is still good is not renewed.
	rest time.Time
}

// Token implements ghl.Credentials. Near the end of a token's life it is renewed behind the caller's back.
func (k *keeper) Token(ctx context.Context) (string, error) {
	t, resting := k.last()
	if !t.good() {
		return k.await(ctx, "")
	}
	if t.due() && !resting {
		k.start(ctx, wish{ahead: true})
	}
	return t.access, nil
}

// Renew implements ghl.Credentials: another token than the one that HighLevel has just refused.
func (k *keeper) Renew(ctx context.Context, refused string) (string, error) {
	if t, _ := k.last(); t.good() && t.access != refused {
		return t.access, nil
	}
	return k.await(ctx, refused)
}

func (k *keeper) last() (t token, resting bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held, time.Now().Before(k.rest)
}

func (k *keeper) remember(t token) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.generation >= k.held.generation {
		k.held = t
	}
	if k.unsaved != nil && t.generation > k.unsaved.generation {
		k.unsaved = nil
	}
}

// wish is what a renewal is for.
type wish struct {
	// refused is the token that HighLevel refuses, if it does.
	refused string
	// ahead: the present token is good for a while yet, so there is no need to wait for anybody.
	ahead bool
}

// serves tells whether a token is what is wished for.
func (w wish) serves(t token) bool {
	return t.good() && t.access != w.refused && (!w.ahead || !t.due())
}

// await waits for a token that is not the refused one.
func (k *keeper) await(ctx context.Context, refused string) (string, error) {
	for attempt := 1; ; attempt++ {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("wait for the token of %s to be renewed: %w", k.owner, ctx.Err())
		case done := <-k.start(ctx, wish{refused: refused}):
			if done.Err != nil {
				return "", k.faultOf(done.Err, refused)
			}
			// A flight that began for another caller may bring back the token that was refused to this one.
			if access, _ := done.Val.(string); access != refused || attempt == maxFlights {
				return access, nil
			}
		}
	}
}

// faultOf makes an error of a renewal a fault: inside the error of a call that lacks its credentials it would be taken
// for credentials that are wrong.
func (k *keeper) faultOf(err error, refused string) error {
	var f *activities.Fault
	if errors.As(err, &f) || errors.Is(err, ghl.ErrNoRenewal) && refused != "" {
		return err
	}
	f = &activities.Fault{Kind: activities.Unavailable, Words: "the token of " + k.owner + " cannot be had at present", Err: err}
	if transport.IsStatus(err, http.StatusTooManyRequests) || errors.Is(err, transport.ErrLimited) {
		f.Kind, f.Wait = activities.Throttled, transport.RetryAfter(err)
	}
	return f
}

// start lets one renewal at a time run in this process. It serves many callers, so it does not end with one's deadline.
func (k *keeper) start(ctx context.Context, w wish) <-chan singleflight.Result {
	return k.flight.DoChan("", func() (any, error) {
		k.vault.flights.RLock()
		defer k.vault.flights.RUnlock()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTime)
		defer cancel()
		access, err := k.renew(ctx, w)
		if err != nil && w.ahead {
			k.mu.Lock()
			k.rest = time.Now().Add(restAfter)
			k.mu.Unlock()
			k.vault.log.WarnContext(ctx, "a token could not be renewed ahead of its end", "owner", k.owner, "error", err)
		}
		return access, err
	})
}

// renew gives a token that serves: the store's, another process's, or one that it has HighLevel give.
func (k *keeper) renew(ctx context.Context, w wish) (string, error) {
	// A lease names one renewal, so that a process that comes back does not take over what it has given up; and the
	// process, for whoever wonders who holds it.
	holder := fmt.Sprintf("process %d %s", os.Getpid(), rand.Text())
	for wait := pollFirst; ; wait = min(2*wait, pollMost) {
		// The connection is read before the token: see lost.
		c, err := k.connection(ctx)
		if err != nil {
			return "", err
		}
		t, err := k.stored(ctx, c)
		if err != nil {
			return "", err
		}
		if w.serves(t) {
			return t.access, nil
		}
		if w.refused != "" && t.access == w.refused && t.fresh() {
			return "", fmt.Errorf("the token of %s has only just been renewed: %w", k.owner, ghl.ErrNoRenewal)
		}
		access, err := k.turn(ctx, c, t, holder)
		if err == nil {
			return access, nil
		}
		if !errors.Is(err, errNotOurs) {
			return "", err
		}
		if w.ahead && t.good() {
			return t.access, nil
		}
		if err := sleep(ctx, wait); err != nil {
			return "", unavailable(k.owner, "another process has not renewed it in time", err)
		}
	}
}

// connection is the connection that a location's token belongs to. It is the fault that callers get if the connection
// may not be used; an agency has none.
func (k *keeper) connection(ctx context.Context) (store.Connection, error) {
	if k.location == "" {
		return store.Connection{}, nil
	}
	c, found, err := k.vault.store.Connection(ctx, k.location)
	switch {
	case err != nil:
		return c, err //nolint:wrapcheck // it says what could not be read
	case !found, c.State == store.Leaving, c.State == store.Retired:
		return c, notConnected(k.location)
	case c.State == store.Reconnect:
		return c, reconnect(c)
	}
	return c, nil
}

// stored is the token as it is in the store. A location of an agency may have none yet.
func (k *keeper) stored(ctx context.Context, c store.Connection) (token, error) {
	row, found, err := k.vault.store.Token(ctx, k.owner)
	if err == nil && !found && c.Access == store.ByAgency {
		if row, err = sealToken(k.vault.ring, k.owner, token{since: time.Now()}); err == nil {
			row, err = k.vault.store.PutToken(ctx, row)
		}
	} else if err == nil && !found {
		return token{}, k.lost(ctx, c, token{}, errors.New("no access of it is kept here"))
	}
	if err != nil {
		return token{}, err
	}
	t, err := k.vault.opened(row)
	if err == nil {
		k.remember(t)
	}
	return t, err
}

// lost makes the connection one that must be connected again, if the token that was refused still is the one in the
// store, and returns the fault that says so. The connection was read before the token, and a new grant is stored before
// its connection is saved: so either the grant is seen here, or the connection has changed and is looked at again.
func (k *keeper) lost(ctx context.Context, c store.Connection, t token, cause error) error {
	if k.location == "" {
		return fault(activities.Reconnect, "the agency %s must connect again (%s); use `starter connect`", k.company, why(cause))
	}
	row, _, err := k.vault.store.Token(ctx, k.owner)
	if err != nil {
		return err //nolint:wrapcheck // it says what could not be read
	}
	if row.Generation != t.generation {
		return errNotOurs
	}
	if c.State == store.Active {
		c.State, c.Note = store.Reconnect, why(cause)
		if c, err = k.vault.store.SaveConnection(ctx, c); errors.Is(err, store.ErrChanged) {
			return errNotOurs
		} else if err != nil {
			return err //nolint:wrapcheck // it says what could not be written
		}
		k.vault.log.ErrorContext(ctx, "a location gives no access any more, its work waits", "location", k.location, "reason", c.Note)
	}
	c.Note = why(cause)
	return reconnect(c)
}

// why says in words for the operator why a token was not renewed.
func why(cause error) string {
	var f *activities.Fault
	if errors.As(cause, &f) {
		return f.Words
	}
	e := transport.AsError(cause)
	if e == nil {
		return cause.Error()
	}
	if ghl.IsLocationAsleep(e) {
		return activities.NoteAsleep
	}
	words := fmt.Sprintf("HighLevel refuses to renew the access with status %d", e.Status)
	if e.Message != "" { // the transport has taken out what looks secret or personal
		words += ": " + e.Message
	}
	return words
}
