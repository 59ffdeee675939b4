package preflight

import (
	"fmt"
	"slices"
	"time"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/store"
)

const connectionPart = "connection"

// Connection is a connection with clients that use what is stored as it is: a refresh would use up the refresh token
// that the workers hold.
type Connection struct {
	store.Connection
	// OfEnvironment says that the HighLevel token is GHL_PRIVATE_TOKEN.
	OfEnvironment bool
	// Granted are the scopes of a stored token and Expires is when it ends. Both are zero for a private token, of which
	// only trying tells.
	Granted []string
	Expires time.Time
	// GrantedToAgency are those of the token of the agency by which the location is reached.
	GrantedToAgency []string
	// Asked are the scopes of GHL_SCOPES; nil asks for those that are not optional.
	Asked []string
	// GHL is the client; nil for the reason that GHLFault tells.
	GHL      *ghl.Client
	GHLFault error
	// Sage is the client of the tenant; nil for the reason that SageFault tells, or because none was chosen.
	Sage      *sage.Client
	SageFault error
	// Tenant tells tenants apart. Connections of the same one are looked at once.
	Tenant string
	// Settings are those of the tenant.
	Settings config.Sage
	// Shipping says how the shipping of its orders is followed.
	Shipping config.Shipping
}

// idle tells that there is nothing to look at: the connection is gone, or going.
func (c Connection) idle() bool { return c.State == store.Leaving || c.State == store.Retired }

func (c Connection) finding(part, check string, v Verdict, found, mend string) Finding {
	return Finding{Part: part, Location: c.Location, Check: check, Verdict: v, Found: found, Mend: mend}
}

// state judges the connection's state, and how long its stored token is good.
func (c Connection) state(now time.Time) []Finding {
	f := c.finding(connectionPart, "state", OK, string(c.State), "")
	if c.Note != "" {
		f.Found += ": " + c.Note
	}
	switch c.State {
	case store.Pending:
		f.Verdict, f.Mend = Warn, fmt.Sprintf("say which Sage tenant its orders go to: `starter connect set %s --env-file FILE`, or `--sage environment`", c.Location)
	case store.Paused:
		f.Verdict, f.Mend = Warn, fmt.Sprintf("`starter connect resume %s` when it shall go on", c.Location)
	case store.Reconnect:
		f.Verdict, f.Mend = Fail, c.reconnect()
	case store.Leaving, store.Retired:
		f.Verdict = Skip
	}
	found := []Finding{f}
	if c.Access != store.ByPrivateToken && !c.idle() {
		found = append(found, c.token(now))
	}
	return found
}

func (c Connection) reconnect() string {
	switch {
	case c.Note == activities.NoteAsleep:
		return "see to it that HighLevel makes the location active again, then `starter connect resume " + c.Location + "`"
	case c.OfEnvironment:
		return "set GHL_PRIVATE_TOKEN to a token that is good, restart the worker, and `starter connect resume " + c.Location + "`"
	case c.Access == store.ByPrivateToken:
		return "`starter connect set " + c.Location + " --env-file FILE` with a GHL_PRIVATE_TOKEN that is good"
	}
	return "connect it again: open the link of `starter connect`"
}

func (c Connection) token(now time.Time) Finding {
	switch {
	case c.Expires.IsZero():
		return c.finding(connectionPart, "token", Warn, "none is stored", "nothing, if its agency is connected: the worker gets one when it needs it; else `starter connect`")
	case c.expired(now):
		return c.finding(connectionPart, "token", Warn, "the stored access token ended at "+c.Expires.UTC().Format(time.RFC3339),
			"nothing: the worker renews it with the next call")
	}
	return c.finding(connectionPart, "token", OK, "good until "+c.Expires.UTC().Format(time.RFC3339), "")
}

func (c Connection) expired(now time.Time) bool { return !c.Expires.IsZero() && !now.Before(c.Expires) }

// granted tells whether a stored token holds a scope; of those that the agency's token is for, whether that one does.
func (c Connection) granted(scope string) bool {
	if c.Access == store.ByAgency && slices.Contains(ofAgency, scope) {
		return slices.Contains(c.GrantedToAgency, scope)
	}
	return slices.Contains(c.Granted, scope)
}
