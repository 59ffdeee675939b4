package connections

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/internal/store"
)

// HighLevel gives the same new pair again to whoever shows the same refresh token within 30 seconds of its use
// (A83, its changelog on distributed systems). The times below are such that whoever comes after a process that died between the
// two meets this grace: its lease has ended after leaseLife, and its successor's call ends within callTime of that.
const (
	leaseLife = 12 * time.Second
	// callTime bounds one call for a token, and is less than the lease, so that a call ends while no other process may
	// begin one.
	callTime = 8 * time.Second
	// tryFor is how long calls are repeated that brought no answer or an error of the server: the last one begins within
	// it, and ends within the grace of the first. tries bounds them where they fail fast.
	tryFor = 16 * time.Second
	tries  = 5
	// saveFor is how long a pair is tried to be stored before the callers are told to come back. It is not lost then:
	// the next renewal begins with it.
	saveFor = 25 * time.Second

	pauseFirst = 100 * time.Millisecond
	pauseMost  = time.Second
)

// errNothingToShow says that there is no refresh token, so that only a new grant helps.
var errNothingToShow = errors.New("HighLevel gave no refresh token with the access")

// errNotOurs says that the token changed, or that another process is renewing it: look again.
var errNotOurs = errors.New("another process renews the token")

// renewal is one turn at renewing a token, under a lease.
type renewal struct {
	*keeper
	// of is the connection of a location's token.
	of     store.Connection
	old    token
	holder string
}

// turn renews the token if nobody else does. The error is errNotOurs if somebody does, or has.
func (k *keeper) turn(ctx context.Context, c store.Connection, old token, holder string) (string, error) {
	r := &renewal{keeper: k, of: c, old: old, holder: holder}
	if c.Access == store.ByAgency {
		// Its renewal, which may take long, is no part of this one's call.
		if _, err := k.vault.ofCompany(c.Company).Token(ctx); isReconnect(err) {
			return "", k.lost(ctx, c, old, err)
		} else if err != nil {
			return "", err
		}
	}
	asked := time.Now()
	if err := r.lease(ctx); err != nil {
		return "", err
	}
	if t := k.rescued(old.generation); t != nil {
		return r.save(ctx, *t)
	}
	for try, pause := 1, pauseFirst; ; try, pause = try+1, min(2*pause, pauseMost) {
		began := time.Now()
		if try > 1 {
			// Each call has a lease of full length before it, or it could outlive the lease.
			if err := r.lease(ctx); err != nil {
				return "", err
			}
		}
		t, err := r.ask(ctx, began)
		switch {
		case err == nil:
			return r.save(ctx, t)
		case ghl.Refused(err), isReconnect(err), errors.Is(err, errNothingToShow):
			return "", r.refused(ctx, err)
		case !worthRepeating(err) || try == tries || time.Since(asked) > tryFor:
			r.release(ctx)
			return "", err
		}
		if err := sleep(ctx, pause); err != nil {
			r.release(ctx)
			return "", err
		}
	}
}

// rescued is a pair that was got for this generation and could not be stored.
func (k *keeper) rescued(generation int64) *token {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.unsaved == nil || k.unsaved.generation != generation {
		return nil
	}
	t := *k.unsaved
	return &t
}

func (r *renewal) lease(ctx context.Context) error {
	_, got, err := r.vault.store.LeaseToken(ctx, r.owner, r.holder, r.old.generation, leaseLife)
	if err == nil && !got {
		return errNotOurs
	}
	return err //nolint:wrapcheck // it says which token could not be leased
}

// ask has HighLevel give a new token. The time is that before the lease, by which the call must end.
func (r *renewal) ask(ctx context.Context, leased time.Time) (token, error) {
	ctx, cancel := context.WithDeadline(ctx, leased.Add(callTime))
	defer cancel()
	asked := time.Now()
	var grant ghl.Grant
	var err error
	switch {
	case r.company == "" && r.of.Access == store.ByAgency:
		grant, err = r.ofAgency(ctx)
	case r.old.refresh == "":
		err = errNothingToShow
	case r.company != "":
		grant, err = r.vault.oauth.Refresh(ctx, r.old.refresh, ghl.CompanyUser)
	default:
		grant, err = r.vault.oauth.Refresh(ctx, r.old.refresh, ghl.LocationUser)
	}
	t := tokenOf(grant, asked)
	t.generation = r.old.generation
	return t, err
}

// ofAgency makes a location token with the agency's. It is no refresh: nothing is used up by it, and whatever refresh
// token comes with it is not needed (A87).
func (r *renewal) ofAgency(ctx context.Context) (ghl.Grant, error) {
	agency := r.vault.ofCompany(r.of.Company)
	access, err := agency.Token(ctx)
	if err != nil {
		return ghl.Grant{}, err
	}
	grant, err := r.vault.oauth.LocationToken(ctx, access, r.of.Company, r.location)
	if ghl.IsTokenInvalid(err) {
		renewed, cause := agency.Renew(ctx, access)
		if errors.Is(cause, ghl.ErrNoRenewal) {
			return ghl.Grant{}, err
		}
		if cause != nil {
			return ghl.Grant{}, cause
		}
		grant, err = r.vault.oauth.LocationToken(ctx, renewed, r.of.Company, r.location)
	}
	grant.RefreshToken = ""
	return grant, err
}

// save stores a pair, and only then gives it away. A store that is away for a moment is waited for: the old refresh
// token is spent, and this process has the only copy of the new one.
func (r *renewal) save(ctx context.Context, t token) (string, error) {
	kept := t // a copy, whose generation stays that of the spent token when t gets its own
	r.mu.Lock()
	r.unsaved = &kept
	r.mu.Unlock()
	row, err := sealToken(r.vault.ring, r.owner, t)
	if err != nil {
		return "", err
	}
	began := time.Now()
	for pause := pauseFirst; ; pause = min(2*pause, pauseMost) {
		row, err := r.vault.store.ReplaceToken(ctx, row, r.holder)
		if err == nil {
			t.generation = row.Generation
			r.remember(t)
			return t.access, nil
		}
		if errors.Is(err, store.ErrChanged) { // a new grant, or another process met the grace; or this very write had landed
			return "", errNotOurs
		}
		if time.Since(began) > saveFor || sleep(ctx, pause) != nil {
			return "", unavailable(r.owner, "it was renewed, but the store does not take it; it is kept and tried again", err)
		}
	}
}

// refused is what comes of HighLevel's refusal, unless the token changed meanwhile.
func (r *renewal) refused(ctx context.Context, cause error) error {
	err := r.lost(ctx, r.of, r.old, cause)
	r.release(ctx)
	return err
}

// release gives the lease back. If that fails it runs out by itself.
func (r *renewal) release(ctx context.Context) {
	if err := r.vault.store.ReleaseToken(ctx, r.owner, r.holder); err != nil {
		r.vault.log.WarnContext(ctx, "the lease of a token could not be given back", "owner", r.owner, "error", err)
	}
}

// worthRepeating tells errors after which the same refresh token may still bring a new pair at once (A85): no answer, one that
// cannot be read, or an error of the server.
func worthRepeating(err error) bool {
	e := transport.AsError(err)
	if e == nil || errors.Is(err, transport.ErrLimited) || errors.Is(err, transport.ErrInvalidCall) {
		return false
	}
	return e.Status < 400 || e.Status == http.StatusRequestTimeout || e.Status == http.StatusTooEarly || e.Status >= 500
}

// isReconnect tells that the agency's access, by which a location's is had, was refused.
func isReconnect(err error) bool {
	var f *activities.Fault
	return errors.As(err, &f) && f.Kind == activities.Reconnect
}

func unavailable(owner, words string, err error) error {
	return &activities.Fault{Kind: activities.Unavailable, Words: fmt.Sprintf("the token of %s: %s", owner, words), Err: err}
}

func join(scopes []string) string { return strings.Join(scopes, " ") }

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
