package ghl

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/transport"
)

const (
	// usualLife is the life of an access token in HighLevel's Authorization guide, for an answer that does not tell it.
	usualLife   = 24 * time.Hour
	longestLife = 10 * 365 * 24 * time.Hour
)

// Grant is what HighLevel gave. However it is printed, logged or marshalled, it does not show its tokens.
type Grant struct {
	// AccessToken is the bearer token. RefreshToken is good for one use, and empty if the access token must be got anew
	// in another way.
	AccessToken, RefreshToken string
	// Expires is when the access token ends, by this machine's clock and on the safe side.
	Expires time.Time
	// Scopes are those that were granted, which may be fewer than were asked for.
	Scopes   []string
	UserType UserType
	// LocationID is set for a token of a location. CompanyID may be empty.
	LocationID, CompanyID, UserID string
	// Bulk says that an agency installed the app for several locations: ApprovedLocations, unless it approved all of them,
	// and later ones too if FutureLocations.
	Bulk, FutureLocations bool
	ApprovedLocations     []string
}

// describe is all that may be shown of a grant.
func (g Grant) describe() string {
	return fmt.Sprintf("grant for %s (location %q, company %q, expires %s)", g.UserType, g.LocationID, g.CompanyID,
		g.Expires.UTC().Format(time.RFC3339))
}

// String implements fmt.Stringer.
func (g Grant) String() string { return g.describe() }

// GoString implements fmt.GoStringer.
func (g Grant) GoString() string { return g.describe() }

// Format implements fmt.Formatter, as verbs of numbers would print the fields.
func (g Grant) Format(to fmt.State, _ rune) { _, _ = io.WriteString(to, g.describe()) }

// LogValue implements slog.LogValuer.
func (g Grant) LogValue() slog.Value { return slog.StringValue(g.describe()) }

// MarshalJSON implements json.Marshaler. Whoever keeps the tokens names them.
func (g Grant) MarshalJSON() ([]byte, error) { return json.Marshal(g.describe()) }

// readGrant reads what both token endpoints answer.
func readGrant(op Operation, answer json.RawMessage, began time.Time, asked UserType) (Grant, error) {
	var w struct {
		AccessToken  text       `json:"access_token"`
		RefreshToken text       `json:"refresh_token"`
		ExpiresIn    text       `json:"expires_in"`
		Scope        text       `json:"scope"`
		UserType     text       `json:"userType"`
		LocationID   text       `json:"locationId"`
		CompanyID    text       `json:"companyId"`
		UserID       text       `json:"userId"`
		Bulk         flag       `json:"isBulkInstallation"`
		Future       flag       `json:"installToFutureLocations"`
		Approved     list[text] `json:"approvedLocations"`
	}
	if err := json.Unmarshal(answer, &w); err != nil {
		return Grant{}, unusable(op, "it is not the JSON expected")
	}
	if w.AccessToken == "" {
		return Grant{}, unusable(op, "it holds no token")
	}
	g := Grant{
		AccessToken: string(w.AccessToken), RefreshToken: string(w.RefreshToken), Scopes: strings.Fields(string(w.Scope)),
		UserType: UserType(w.UserType), LocationID: string(w.LocationID), CompanyID: string(w.CompanyID), UserID: string(w.UserID),
		Bulk: w.Bulk.on, FutureLocations: w.Future.on, ApprovedLocations: texts(w.Approved),
	}
	g.Expires = began.Add(usualLife)
	if seconds, err := strconv.ParseInt(string(w.ExpiresIn), 10, 64); err == nil && seconds >= 0 {
		g.Expires = began.Add(min(time.Duration(min(seconds, int64(longestLife/time.Second)))*time.Second, longestLife))
	}
	if g.UserType == "" {
		g.UserType = asked
	}
	if g.UserType == "" && g.LocationID != "" {
		g.UserType = LocationUser
	} else if g.UserType == "" {
		g.UserType = CompanyUser
	}
	return g, nil
}

// unusable is the error of a success that gave nothing usable. The vendor may have replaced tokens all the same.
func unusable(op Operation, why string) error {
	return &transport.Error{Vendor: vendor, Operation: op.Name, Status: http.StatusOK, MayHaveLanded: op.Write,
		Err: fmt.Errorf("%w: %s", transport.ErrUnreadable, why)}
}
