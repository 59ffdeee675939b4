package webhook

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// SignatureHeader carries the Ed25519 signature of the raw body in base64 ("Webhook Integration Guide", HighLevel's
// developer portal). The older X-WH-Signature, made with RSA, is no longer sent and never accepted.
const SignatureHeader = "X-Ghl-Signature"

// ErrSignature is the cause of every answer of 401.
var ErrSignature = errors.New("the signature is missing or wrong")

// Keys are the public keys of which one must have signed a webhook: several while HighLevel changes its key. Without a
// key nothing is accepted.
type Keys []ed25519.PublicKey

// ParseKeys reads one or more public keys in PEM ("BEGIN PUBLIC KEY"), one after the other. Anything else in the text is
// an error, so that a key that was cut off when it was pasted is not silently left out.
func ParseKeys(text string) (Keys, error) {
	var keys Keys
	// A .env file cannot hold line breaks, so they may be written as \n.
	rest := []byte(strings.TrimSpace(strings.ReplaceAll(text, `\n`, "\n")))
	for len(rest) > 0 {
		block, after := pem.Decode(rest)
		if block == nil || !strings.HasPrefix(string(rest), "-----BEGIN ") {
			return nil, fmt.Errorf("public key %d is not a whole PEM block: paste it with its BEGIN and END lines", len(keys)+1)
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("public key %d cannot be read: %w", len(keys)+1, err)
		}
		key, ok := parsed.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("public key %d is a %T: webhooks are signed with Ed25519", len(keys)+1, parsed)
		}
		keys = append(keys, key)
		rest = []byte(strings.TrimSpace(string(after)))
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no public key, so no webhook could be accepted: set GHL_WEBHOOK_PUBLIC_KEYS")
	}
	return keys, nil
}

// Verify returns nil when one of the keys signed body, and ErrSignature otherwise.
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
