package contract

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/ghl"
)

const formType = "application/x-www-form-urlencoded"

type withOAuth func(context.Context, *ghl.OAuth) error

// oauthCalls has rows for every method of OAuth that sends something, as calls has for the client.
var oauthCalls = map[string][]withOAuth{
	"Exchange": {
		func(ctx context.Context, o *ghl.OAuth) error {
			return second(o.Exchange(ctx, "code", ghl.LocationUser))
		},
		func(ctx context.Context, o *ghl.OAuth) error { return second(o.Exchange(ctx, "code", ghl.CompanyUser)) },
		func(ctx context.Context, o *ghl.OAuth) error { return second(o.Exchange(ctx, "code", "")) },
	},
	"Refresh": {
		func(ctx context.Context, o *ghl.OAuth) error {
			return second(o.Refresh(ctx, "refresh", ghl.LocationUser))
		},
		func(ctx context.Context, o *ghl.OAuth) error {
			return second(o.Refresh(ctx, "refresh", ghl.CompanyUser))
		},
	},
	"LocationToken": {func(ctx context.Context, o *ghl.OAuth) error {
		return second(o.LocationToken(ctx, "token", "company", "l1C08ntBrFjLS0elLIYU"))
	}},
	"InstalledLocations": {func(ctx context.Context, o *ghl.OAuth) error {
		return second(o.InstalledLocations(ctx, "token", "tDtDnQdgm2LXpyiqYvZ6"))
	}},
}

// sendsNothing are the methods of OAuth that need no row.
var sendsNothing = []string{"AuthorizeURL", "AppID", "Scopes", "CloseIdle", "Format"}

func isOAuth(op ghl.Operation) bool { return strings.HasPrefix(op.Name, "ghl.oauth.") }

func oauthOver(t *testing.T, line http.RoundTripper) *ghl.OAuth {
	t.Helper()
	o, err := ghl.NewOAuth(ghl.OAuthOptions{
		ClientID: "6578278e879ad2646715ba9c-lr2abcde", ClientSecret: "secret", RedirectURL: "https://myapp.com/oauth/callback/gohighlevel", Transport: line,
	})
	require.NoError(t, err)
	return o
}

func formFields(t *testing.T, data []byte) map[string]any {
	t.Helper()
	form, err := url.ParseQuery(string(data))
	assert.NoError(t, err)
	fields := map[string]any{}
	for name, values := range form {
		assert.Len(t, values, 1, "%s is sent more than once", name)
		fields[name] = values[0]
	}
	return fields
}

func TestEveryMethodOfOAuthIsInTheTable(t *testing.T) {
	kind := reflect.TypeFor[*ghl.OAuth]()
	for i := range kind.NumMethod() {
		name := kind.Method(i).Name
		if !slices.Contains(sendsNothing, name) {
			assert.Contains(t, oauthCalls, name, "a method without a row here is not checked against the published API")
		}
	}
	require.Equal(t, len(oauthCalls)+len(sendsNothing), kind.NumMethod())
}

// TestTheExamplesOfOAuthAreRead reads the published examples to the end, wrong types and all.
func TestTheExamplesOfOAuthAreRead(t *testing.T) {
	o := oauthOver(t, newVendorAPI(t))
	grant, err := o.Exchange(t.Context(), "code", ghl.LocationUser)
	require.NoError(t, err)
	require.Equal(t, "ab12dc0ae1234a7898f9ff06d4f69gh", grant.AccessToken)
	require.Equal(t, "xy34dc0ae1234a4858f9ff06d4f66ba", grant.RefreshToken)
	require.Equal(t, []string{"conversations/message.readonly", "conversations/message.write"}, grant.Scopes)
	require.Equal(t, ghl.LocationUser, grant.UserType)
	require.Equal(t, []string{"l1C08ntBrFjLS0elLIYU"}, grant.ApprovedLocations)
	require.True(t, grant.FutureLocations)
	require.WithinDuration(t, time.Now().Add(86399*time.Second), grant.Expires, time.Minute)

	location, err := o.LocationToken(t.Context(), "token", "company", "l1C08ntBrFjLS0elLIYU")
	require.NoError(t, err)
	require.Empty(t, location.RefreshToken, "the file has none")
	require.Equal(t, "company", location.CompanyID)

	installed, err := o.InstalledLocations(t.Context(), "token", "company")
	require.NoError(t, err)
	require.Equal(t, []ghl.InstalledLocation{{ID: "0IHuJvc2ofPAAA8GzTRi", Name: "John Deo", InstalledAt: time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC)}}, installed)
}

// TestTheTokenEndpointsTakeNoOtherVersion: v3 speaks other names at other paths, so its header must never be sent there.
func TestTheTokenEndpointsTakeNoOtherVersion(t *testing.T) {
	folder := contracts(t)
	for _, op := range ghl.Operations() {
		if !isOAuth(op) {
			continue
		}
		require.Empty(t, op.Version, op.Name)
		item := published(t, folder, "oauth.json").Paths.Value(op.Path).GetOperation(op.Method)
		if version := item.Parameters.GetByInAndName("header", "Version"); version != nil {
			require.Equal(t, []any{ghl.DefaultVersion}, version.Schema.Value.Enum)
		}
	}
}

// TestTheScopesAreThoseOfTheOperations compares the scopes that we know with those that the files ask for.
func TestTheScopesAreThoseOfTheOperations(t *testing.T) {
	folder := contracts(t)
	asked := map[string]bool{}
	for _, name := range files {
		doc := published(t, folder, name)
		for _, op := range ghl.Operations() {
			item := doc.Paths.Value(op.Path)
			if item == nil || item.GetOperation(op.Method).Security == nil {
				continue
			}
			for _, requirement := range *item.GetOperation(op.Method).Security {
				for _, scopes := range requirement {
					for _, scope := range scopes {
						asked[scope] = true
					}
				}
			}
		}
	}
	known := map[string]bool{}
	for _, scope := range ghl.Scopes() {
		known[scope.Name] = true
	}
	require.Equal(t, asked, known)
}
