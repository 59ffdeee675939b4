package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"go.temporal.io/sdk/converter"
)

// maxCodecBody bounds a request to the endpoint. The Temporal UI sends a page of a history at a time.
const maxCodecBody = 16 << 20

// EndpointOptions says who may use the codec endpoint.
type EndpointOptions struct {
	// Token admits requests with "Authorization: Bearer <token>". Empty admits none that way.
	Token string
	// Loopback admits requests from this machine without a token. Set it only on a listener that no proxy forwards to:
	// what a proxy on this machine forwards comes from this machine too. Requests that show signs of a proxy, or of a
	// name that leads to this machine only by a trick of DNS, are refused nevertheless.
	Loopback bool
	// Origins are the addresses of the Temporal UI whose pages may call, such as "http://127.0.0.1:8233".
	Origins []string
}

// Endpoint is the codec as the Temporal UI and CLI call it ("codec endpoint"): POST …/decode and …/encode. It answers
// 401 to whoever is not admitted and 403 to pages of other origins.
func Endpoint(ring *Ring, opts EndpointOptions) http.Handler {
	codec := converter.NewPayloadCodecHTTPHandler(NewCodec(ring))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if origin := r.Header.Get("Origin"); origin != "" {
			w.Header().Add("Vary", "Origin")
			if !slices.Contains(opts.Origins, origin) {
				http.Error(w, "this origin may not read payloads: set CODEC_ORIGINS", http.StatusForbidden)
				return
			}
			w.Header().Set("Access-Control-Allow-Origin", origin)
		}
		if r.Method == http.MethodOptions { // the browser asks before it sends a token
			w.Header().Set("Access-Control-Allow-Methods", "POST")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Namespace")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if !opts.admits(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="codec"`)
			http.Error(w, "payloads are shown to those who have ADMIN_TOKEN", http.StatusUnauthorized)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxCodecBody)
		codec.ServeHTTP(w, r)
	})
}

func (o EndpointOptions) admits(r *http.Request) bool {
	if token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		return SameToken(token, o.Token)
	}
	return o.Loopback && fromLoopback(r)
}

// SameToken compares a given token with the wanted one in a time that tells nothing of either. An empty wanted token
// equals none.
func SameToken(given, wanted string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(wanted))
	return wanted != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func fromLoopback(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback() && loopbackName(r.Host)
}

func loopbackName(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
