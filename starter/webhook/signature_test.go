package webhook

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSignatures(t *testing.T) {
	b := open(t)
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	good := sign(b.private, []byte(paidOrder))
	for name, c := range map[string]struct {
		header map[string][]string
		code   int
	}{
		"good":                 {map[string][]string{SignatureHeader: {good}}, 200},
		"good with blanks":     {map[string][]string{SignatureHeader: {" " + good + " "}}, 200},
		"missing":              {nil, 401},
		"not available":        {map[string][]string{SignatureHeader: {"N/A"}}, 401},
		"empty":                {map[string][]string{SignatureHeader: {""}}, 401},
		"no base64":            {map[string][]string{SignatureHeader: {"%%%"}}, 401},
		"too short":            {map[string][]string{SignatureHeader: {base64.StdEncoding.EncodeToString(make([]byte, 63))}}, 401},
		"too long":             {map[string][]string{SignatureHeader: {base64.StdEncoding.EncodeToString(make([]byte, 65))}}, 401},
		"of zeros":             {map[string][]string{SignatureHeader: {base64.StdEncoding.EncodeToString(make([]byte, 64))}}, 401},
		"by somebody else":     {map[string][]string{SignatureHeader: {sign(stranger, []byte(paidOrder))}}, 401},
		"of another body":      {map[string][]string{SignatureHeader: {sign(b.private, []byte(paidOrder+" "))}}, 401},
		"two":                  {map[string][]string{SignatureHeader: {good, good}}, 401},
		"the old header alone": {map[string][]string{"X-Wh-Signature": {good}}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
				b.server.URL+"/webhooks/ghl/OrderCreate", strings.NewReader(paidOrder))
			require.NoError(t, err)
			for k, v := range c.header {
				request.Header[k] = v
			}
			before := len(b.door.all())
			code, a, _ := do(t, request)
			assert.Equal(t, c.code, code, a)
			assert.Equal(t, c.code == 200, len(b.door.all()) > before)
		})
	}
}

func TestWithoutAKeyNothingIsAccepted(t *testing.T) {
	for name, keys := range map[string]Keys{"no list": nil, "empty list": {}, "an empty key": {nil}} {
		t.Run(name, func(t *testing.T) {
			b := open(t, func(o *Options) { o.Keys = keys })
			code, _, _ := b.send(t, "/webhooks/ghl/OrderCreate", paidOrder)
			assert.Equal(t, 401, code)
			assert.Empty(t, b.door.all())
		})
	}
}

func TestEachOfSeveralKeysIsGood(t *testing.T) {
	var keys Keys
	var private []ed25519.PrivateKey
	for range 3 {
		public, secret, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		keys = append(keys, public)
		private = append(private, secret)
	}
	for _, key := range private {
		header := http.Header{SignatureHeader: {sign(key, []byte("x"))}}
		assert.NoError(t, keys.Verify(header, []byte("x")))
		assert.ErrorIs(t, keys.Verify(header, []byte("y")), ErrSignature)
	}
}

func FuzzSignature(f *testing.F) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(f, err)
	f.Add("N/A", []byte("{}"))
	f.Add(sign(private, []byte("{}")), []byte("{}"))
	f.Add(strings.Repeat("A", 88), []byte(""))
	f.Fuzz(func(t *testing.T, signature string, body []byte) {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(signature))
		genuine := err == nil && len(raw) == 64 && ed25519.Verify(public, body, raw)
		verdict := Keys{public}.Verify(http.Header{SignatureHeader: {signature}}, body)
		if verdict == nil && !genuine {
			t.Fatal("accepted what nobody signed")
		}
		// What is signed is accepted, whatever the body is.
		if err := (Keys{public}).Verify(http.Header{SignatureHeader: {sign(private, body)}}, body); err != nil {
			t.Fatal(err)
		}
	})
}
