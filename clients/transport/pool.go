package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	// poolSize is the number of idle connections kept for each host. The standard library keeps two, which makes a busy
	// worker open and close a TLS connection for almost every call.
	poolSize = 64

	dialTimeout = 10 * time.Second
	keepAlive   = 30 * time.Second
)

// NewPool makes the connections that clients use by default: the standard library's transport with more idle connections
// for one host, TLS 1.2 or later, and a guard that refuses addresses at which no vendor can be. Loopback and private
// networks are allowed, because proxies and sandboxes live there.
func NewPool() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive, ControlContext: refuseAddress}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   dialTimeout,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          poolSize,
		MaxIdleConnsPerHost:   poolSize,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// translated is the prefix under which IPv6-only networks reach IPv4 addresses (RFC 6052), and metadata what is not
// link-local of the addresses at which clouds hand out credentials.
var (
	translated = netip.MustParsePrefix("64:ff9b::/96")
	metadata   = []netip.Addr{
		netip.MustParseAddr("fd00:ec2::254"),   // Amazon
		netip.MustParseAddr("100.100.100.200"), // Alibaba
		netip.MustParseAddr("168.63.129.16"),   // Azure
		netip.MustParseAddr("192.0.0.192"),     // Oracle
	}
)

// refuseAddress runs for each address that is dialled, after names are resolved, so that no name can lead around it.
func refuseAddress(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: it cannot be read", ErrAddress)
	}
	if !allowed(to.Addr()) {
		return fmt.Errorf("%w: link-local, multicast, unspecified and metadata addresses are refused; check the base address", ErrAddress)
	}
	return nil
}

func allowed(at netip.Addr) bool {
	at = at.WithZone("").Unmap()
	if translated.Contains(at) {
		bytes := at.As16()
		at = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	if at.Is4() && (at.As4()[0] == 0 || at.As4() == [4]byte{255, 255, 255, 255}) {
		return false
	}
	for _, one := range metadata {
		if at == one {
			return false
		}
	}
	return !at.IsLinkLocalUnicast() && !at.IsMulticast() && !at.IsUnspecified()
}
