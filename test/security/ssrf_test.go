package security

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/connections"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/store"
)

// names answers every question of DNS with one address, as whoever owns a name may have it answered. It stands in for the
// resolver of this process while the test runs.
func names(t *testing.T, address string) {
	t.Helper()
	at := netip.MustParseAddr(address)
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, socket.Close()) })
	go func() {
		question := make([]byte, 1500)
		for {
			n, from, err := socket.ReadFrom(question)
			if err != nil {
				return
			}
			_, _ = socket.WriteTo(answerTo(question[:n], at), from)
		}
	}()
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}

// answerTo is the answer to a DNS message with one question (RFC 1035, section 4): the question again, and one record if
// it asks for an address of this kind.
func answerTo(question []byte, at netip.Addr) []byte {
	end := 12
	for end < len(question) && question[end] != 0 {
		end += int(question[end]) + 1
	}
	end += 5 // the end of the name, type and class
	if end > len(question) {
		return nil
	}
	const typeA, typeAAAA, oneMinute = 1, 28, 60
	wanted, has := binary.BigEndian.Uint16(question[end-4:]), uint16(typeA)
	if at.Is6() {
		has = typeAAAA
	}
	answer := append([]byte{question[0], question[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question[12:end]...)
	if wanted != has {
		return answer
	}
	answer[7] = 1
	answer = append(answer, 0xc0, 12) // the name is that of the question
	answer = binary.BigEndian.AppendUint16(answer, has)
	answer = append(answer, 0, 1)
	answer = binary.BigEndian.AppendUint32(answer, oneMinute)
	raw := at.AsSlice()
	answer = binary.BigEndian.AppendUint16(answer, uint16(len(raw)))
	return append(answer, raw...)
}

// waysOut are the calls that go to addresses that somebody has configured, each given one.
func waysOut(t *testing.T) map[string]func(base string) error {
	t.Helper()
	o := open(t)
	return map[string]func(base string) error{
		"GHL_BASE_URL": func(base string) error {
			client, err := ghl.New(ghl.Options{BaseURL: base, LocationID: bakery, Credentials: ghl.StaticToken(privateToken)})
			require.NoError(t, err)
			_, err = client.Orders.Get(t.Context(), "660ed43bfdf9fc05a0de7a40")
			return err
		},
		"GHL_TOKEN_URL": func(base string) error {
			app, err := ghl.NewOAuth(ghl.OAuthOptions{
				TokenURL: base + "/oauth/token", ClientID: "app-key", ClientSecret: clientSecret, RedirectURL: "https://tally.example/oauth/ghl/callback",
			})
			require.NoError(t, err)
			_, err = app.Exchange(t.Context(), "planted-code-1f0c", "")
			return err
		},
		"SAGE_BASE_URL": func(base string) error {
			client, err := sage.New(sage.Options{BaseURL: base, PublicKey: tenantKey, PrivateKey: tenantSecret})
			require.NoError(t, err)
			_, err = client.Catalog.Branches(t.Context())
			return err
		},
		"NOTIFY_WEBHOOK_URL": func(base string) error {
			people, err := notify.New(base+"/services/planted-webhook-path", transport.NewPool())
			require.NoError(t, err)
			return people.Post(t.Context(), "something must be done")
		},
		"SAGE_BASE_URL of a connection": func(base string) error {
			settings, err := connections.SealSettings(o.config.Secrets.Keys.Ring, bakery, config.Settings{
				GHL:  config.GHL{PrivateToken: privateToken},
				Sage: config.Sage{BaseURL: config.BaseURL(base), PublicKey: tenantKey, PrivateKey: tenantSecret, RequestsPerSecond: 50},
			})
			require.NoError(t, err)
			c := o.row(bakery)
			c.Location, c.Access, c.State, c.Sage, c.Settings = bakery, store.ByPrivateToken, store.Active, store.SageOfItsOwn, settings
			_, err = o.store.SaveConnection(t.Context(), c)
			require.NoError(t, err)
			client, _, err := o.directory.Sage(t.Context(), bakery)
			require.NoError(t, err)
			_, err = client.Catalog.Branches(t.Context())
			return err
		},
	}
}

// harmlessError checks that an error does not show what was to be sent.
func harmlessError(t *testing.T, err error) {
	t.Helper()
	var m marks
	m.plant(t, "a secret", privateToken, clientSecret, tenantKey, tenantSecret, "planted-code-1f0c", "planted-webhook-path")
	for e := err; e != nil; e = errors.Unwrap(e) {
		assert.Empty(t, m.search([]byte(e.Error())))
	}
}

// TestNoConfiguredAddressLeadsToMetadata: an address at which clouds hand out credentials is not dialled, neither by its
// number nor by a name that leads there.
func TestNoConfiguredAddressLeadsToMetadata(t *testing.T) {
	ways := waysOut(t)
	for name, call := range ways {
		for _, base := range []string{
			"http://169.254.169.254", "https://169.254.169.254", "http://[fd00:ec2::254]", "http://[::ffff:169.254.169.254]", "http://[64:ff9b::a9fe:a9fe]",
			"http://0.0.0.0", "http://[fe80::1]",
		} {
			err := call(base)
			require.ErrorIs(t, err, transport.ErrAddress, "%s=%s", name, base)
			harmlessError(t, err)
		}
	}
	for _, address := range []string{"169.254.169.254", "fd00:ec2::254", "100.100.100.200", "0.0.0.0"} {
		names(t, address)
		for name, call := range ways {
			for _, base := range []string{"http://metadata.tally-test.example", "https://vendor.tally-test.example"} {
				err := call(base)
				require.ErrorIs(t, err, transport.ErrAddress, "%s=%s at %s", name, base, address)
				harmlessError(t, err)
			}
		}
	}
}

// TestANameThatMayBeDialledIsDialled: the names of the test above are refused for where they lead and nothing else.
func TestANameThatMayBeDialledIsDialled(t *testing.T) {
	var asked atomic.Int64
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(vendor.Close)
	_, port, err := net.SplitHostPort(vendor.Listener.Addr().String())
	require.NoError(t, err)
	names(t, "127.0.0.1")
	for name, call := range waysOut(t) {
		before := asked.Load()
		err := call("http://vendor.tally-test.example:" + port)
		require.Error(t, err)
		require.NotErrorIs(t, err, transport.ErrAddress, name)
		assert.Greater(t, asked.Load(), before, name)
	}
}

// TestNoRedirectIsFollowed: a vendor's server, or who is in front of it, sends us elsewhere with what we carry.
func TestNoRedirectIsFollowed(t *testing.T) {
	var inside atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside.Add(1) }))
	t.Cleanup(elsewhere.Close)
	ways := waysOut(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{elsewhere.URL + "/latest/meta-data", "http://169.254.169.254/latest/meta-data"} {
			vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			}))
			for name, call := range ways {
				begun := time.Now()
				err := call(vendor.URL)
				require.Error(t, err, "%s, %d to %s", name, status, to)
				require.NotErrorIs(t, err, transport.ErrAddress, "it is not even tried")
				harmlessError(t, err)
				assert.Less(t, time.Since(begun), 10*time.Second)
			}
			vendor.Close()
		}
	}
	assert.Zero(t, inside.Load())
}
