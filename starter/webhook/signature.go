package webhook

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
)

// SignatureHeader carries the Ed25519 signature of the raw body in base64 ("Webhook Integration Guide", HighLevel's
// developer portal). The older X-WH-Signature, made with RSA, is no longer sent and never accepted.
const SignatureHeader = "X-Ghl-Signature"

// ErrSignature is the cause of every answer of 401.
var ErrSignature = errors.New("the signature is missing or wrong")

// Keys are the public keys of which one must have signed a webhook: several while HighLevel changes its key, which the
// configuration reads from GHL_WEBHOOK_PUBLIC_KEYS. Without a key nothing is accepted.
type Keys []ed25519.PublicKey

// Verify returns nil when one of the keys signed body, and ErrSignature otherwise (A23).
func (k Keys) Verify(header http.Header, body []byte) error {
	values := header.Values(SignatureHeader)
	// Several signatures are nothing HighLevel sends, and which of them a proxy looked at cannot be known.
	if len(values) != 1 {
		return ErrSignature
	}
	// HighLevel writes "N/A" where it has no signature; that is no base64 of 64 bytes either.
	signature, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(values[0]))
	if err != nil || len(signature) != ed25519.SignatureSize {
		return ErrSignature
	}
	for _, key := range k {
		if len(key) == ed25519.PublicKeySize && ed25519.Verify(key, body, signature) {
			return nil
		}
	}
	return ErrSignature
}
