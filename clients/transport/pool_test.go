package transport

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAddressesAtWhichNoVendorIs(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "10.1.2.3": true, "192.168.1.1": true, "203.0.113.9": true, "2001:db8::1": true, "64:ff9b::808:808": true,
		"169.254.169.254": false, "169.254.0.1": false, "::ffff:169.254.169.254": false, "64:ff9b::a9fe:a9fe": false,
		"fe80::1": false, "fe80::1%eth0": false, "fd00:ec2::254": false, "100.100.100.200": false, "168.63.129.16": false,
		"0.0.0.0": false, "0.1.2.3": false, "::": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false,
	} {
		require.Equal(t, want, allowed(netip.MustParseAddr(address)), address)
	}
}

func TestTheGuardStopsADial(t *testing.T) {
	for _, base := range []string{"http://169.254.169.254", "http://[fe80::1%25lo]:80", "http://0.0.0.0:1", "http://[::ffff:169.254.169.254]"} {
		client, err := New(Config{Vendor: "vendor", BaseURL: base})
		require.NoError(t, err)
		call := put
		call.Query = map[string][]string{"name": {"Jane"}}
		_, err = client.Do(t.Context(), call, nil)
		require.ErrorIs(t, err, ErrAddress, base)
		require.ErrorIs(t, err, ErrInvalidCall, "repeating cannot help")
		require.False(t, MayHaveLanded(err))
		require.NotContains(t, err.Error(), "Jane")
	}
}

// encrypted starts a vendor with a certificate, and gives a client that trusts whom the pool says.
func encrypted(t *testing.T, settings *tls.Config, trust *x509.CertPool) *Client {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	server.TLS = settings
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	pool := NewPool()
	if trust != nil {
		trust.AddCert(server.Certificate())
		pool.TLSClientConfig.RootCAs = trust
	}
	client, err := New(Config{Vendor: "vendor", BaseURL: server.URL, Base: pool, Timeout: 10 * time.Second})
	require.NoError(t, err)
	t.Cleanup(client.CloseIdle)
	return client
}

func TestAnUnknownCertificateIsRefused(t *testing.T) {
	_, err := encrypted(t, nil, nil).Do(t.Context(), put, nil)
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)
	require.ErrorIs(t, err, ErrNoAnswer)
	require.False(t, MayHaveLanded(err), "the call did not leave")

	_, err = encrypted(t, nil, x509.NewCertPool()).Do(t.Context(), put, nil)
	require.NoError(t, err, "it is refused for its certificate and nothing else")
}

func TestOldTLSIsRefused(t *testing.T) {
	old := &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	_, err := encrypted(t, old, x509.NewCertPool()).Do(t.Context(), put, nil)
	require.ErrorIs(t, err, ErrNoAnswer)
	require.ErrorContains(t, err, "protocol version")
	require.False(t, MayHaveLanded(err))
	require.EqualValues(t, tls.VersionTLS12, NewPool().TLSClientConfig.MinVersion)
	require.False(t, NewPool().TLSClientConfig.InsecureSkipVerify)

	_, err = encrypted(t, &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}, x509.NewCertPool()).Do(t.Context(), put, nil)
	require.NoError(t, err)
}
