package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// SignatureHeader carries time and signatures, see the package's comment.
	SignatureHeader = "X-Tallystick-Signature"
	// Tolerance is how far the time of a request may be from ours.
	Tolerance = 5 * time.Minute
	// mostSignatures bounds what one header makes us compare.
	mostSignatures = 8
)

// The causes of an answer of 401.
var (
	ErrSignature = errors.New("the signature is missing or wrong")
	ErrTime      = errors.New("the signature's time is more than five minutes off: set the sender's clock, and sign each request anew")
)

// Sign is the header's value for a body that is sent at the time now.
func Sign(secret string, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(signature(secret, t, body))
}

func signature(secret, t string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	_, _ = h.Write([]byte(t + ".")) // a hash takes everything
	_, _ = h.Write(body)
	return h.Sum(nil)
}

// Verify returns nil if one of the header's signatures is of secret and body, and its time is within Tolerance of now.
// Without a secret nothing is good. Only who has the secret learns that just the time is wrong.
func Verify(secret string, header http.Header, body []byte, now time.Time) error {
	values := header.Values(SignatureHeader)
	// Of several headers a proxy may have looked at another one than we.
	if secret == "" || len(values) != 1 {
		return ErrSignature
	}
	t, given, ok := parseSignature(values[0])
	if !ok {
		return ErrSignature
	}
	wanted := signature(secret, t, body)
	good := false
	for _, one := range given {
		good = hmac.Equal(one, wanted) || good
	}
	if !good {
		return ErrSignature
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil {
		return ErrSignature
	}
	if off := now.Sub(time.Unix(seconds, 0)); off.Abs() > Tolerance {
		return ErrTime
	}
	return nil
}

// parseSignature reads the one t and each v1. What else stands there is of a scheme that is not this one's.
func parseSignature(value string) (t string, signatures [][]byte, ok bool) {
	for part := range strings.SplitSeq(value, ",") {
		name, text, found := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case !found:
			return "", nil, false
		case name == "t" && (t != "" || text == "" || len(text) > 12 || strings.Trim(text, "0123456789") != ""):
			return "", nil, false
		case name == "t":
			t = text
		case name == "v1":
			one, err := hex.DecodeString(text)
			if err != nil || len(one) != sha256.Size || len(signatures) == mostSignatures {
				return "", nil, false
			}
			signatures = append(signatures, one)
		}
	}
	return t, signatures, t != "" && len(signatures) > 0
}
