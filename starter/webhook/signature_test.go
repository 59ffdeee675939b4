package webhook

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
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
	var text strings.Builder
	var private []ed25519.PrivateKey
	for range 3 {
		public, secret, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		text.WriteString(inPEM(t, public) + "\n")
		private = append(private, secret)
	}
	keys, err := ParseKeys(text.String())
	require.NoError(t, err)
	for _, key := range private {
		header := http.Header{SignatureHeader: {sign(key, []byte("x"))}}
		assert.NoError(t, keys.Verify(header, []byte("x")))
		assert.ErrorIs(t, keys.Verify(header, []byte("y")), ErrSignature)
	}
}

func inPEM(t testing.TB, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// published by HighLevel in its "Webhook Integration Guide".
const highLevelsKey = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=
-----END PUBLIC KEY-----`

func TestParseKeys(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		text string
		keys int
	}{
		"HighLevel's":           {highLevelsKey, 1},
		"on one line":           {strings.ReplaceAll(highLevelsKey, "\n", `\n`), 1},
		"two, blank between":    {highLevelsKey + "\n\n" + highLevelsKey + "\n", 2},
		"none":                  {"", 0},
		"blank":                 {" \n ", 0},
		"cut off":               {highLevelsKey[:60], 0},
		"the second is cut off": {highLevelsKey + "\n" + highLevelsKey[:60], 0},
		"words around":          {"our key:\n" + highLevelsKey, 0},
		"RSA":                   {inPEM(t, &rsaKey.PublicKey), 0},
		"no key inside":         {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", 0},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := ParseKeys(c.text)
			assert.Len(t, keys, c.keys)
			assert.Equal(t, c.keys == 0, err != nil, err)
		})
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
