package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/internal/secret"
)

func key(seed byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{seed}, secret.KeySize))
}

func ring(t testing.TB, text string) *secret.Ring {
	t.Helper()
	r, err := secret.ParseRing(text)
	require.NoError(t, err)
	return r
}

func TestParseRing(t *testing.T) {
	r := ring(t, " new:"+key(2)+" , old:"+key(1))
	require.Equal(t, "new", r.CurrentID())
	require.Equal(t, "new:"+key(2)+",old:"+key(1), r.Reveal())

	bytes32 := bytes.Repeat([]byte{0xfb}, 32) // has + and / in base64
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		ring(t, "a:"+enc.EncodeToString(bytes32))
	}
}

func TestParseRingReportsEveryFaultAndNoKey(t *testing.T) {
	const marker = "TopSecretKeyMaterial"
	short := base64.StdEncoding.EncodeToString([]byte(marker))
	_, err := secret.ParseRing(strings.Join([]string{
		"ok:" + key(1), "ok:" + key(2), "short:" + short, "bad:" + marker + "!!", marker + "==", ":" + key(3), "",
	}, ","))
	for _, want := range []string{
		"entry 2 repeats the id", "entry 3 holds a key of 20 bytes, not 32", "entry 4 holds a key that is not base64",
		"entry 5 must look like id:key", "entry 6 must look like", "entry 7 must look like",
	} {
		require.ErrorContains(t, err, want)
	}
	for _, never := range []string{marker, short, key(1), key(2), key(3)} {
		require.NotContains(t, err.Error(), never)
	}
	_, err = secret.ParseRing("  ")
	require.ErrorContains(t, err, "openssl rand -base64 32")
}

func TestRingShowsNoKey(t *testing.T) {
	r := ring(t, "a:"+key(1)+",b:"+key(2))
	for _, shown := range []string{fmt.Sprint(r), fmt.Sprintf("%+v", r), fmt.Sprintf("%#v", r), r.LogValue().String()} {
		require.Contains(t, shown, "a, b")
		require.NotContains(t, shown, key(1))
		require.NotContains(t, shown, "1, 1")
		require.NotContains(t, shown, "0x1")
	}
}

func TestSealAndOpen(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := ring(t, "a:"+key(1))
		plain, purpose := rapid.SliceOf(rapid.Byte()).Draw(rt, "plain"), rapid.SliceOf(rapid.Byte()).Draw(rt, "purpose")
		sealed := r.Seal(plain, purpose)
		got, err := r.Open(sealed, purpose)
		require.NoError(rt, err)
		require.True(rt, bytes.Equal(plain, got))
		require.False(rt, bytes.Equal(sealed, r.Seal(plain, purpose)), "the nonce is new each time")

		flip := rapid.IntRange(0, len(sealed)-1).Draw(rt, "flip")
		damaged := bytes.Clone(sealed)
		damaged[flip] ^= rapid.ByteRange(1, 255).Draw(rt, "bits")
		_, err = r.Open(damaged, purpose)
		require.Error(rt, err, "byte %d was changed", flip)
		_, err = r.Open(sealed, append(bytes.Clone(purpose), 'x'))
		require.ErrorIs(rt, err, secret.ErrOpen)
	})
}

func TestRotation(t *testing.T) {
	before := ring(t, "a:"+key(1)).Seal([]byte("kept"), []byte("p"))
	rotated := ring(t, "b:"+key(2)+",a:"+key(1))
	got, err := rotated.Open(before, []byte("p"))
	require.NoError(t, err)
	require.Equal(t, "kept", string(got))

	after := rotated.Seal([]byte("new"), []byte("p"))
	_, err = ring(t, "a:"+key(1)).Open(after, []byte("p"))
	require.ErrorIs(t, err, secret.ErrUnknownKey)
	require.ErrorContains(t, err, `"b"`)
	_, err = ring(t, "b:"+key(3)).Open(after, []byte("p"))
	require.ErrorIs(t, err, secret.ErrOpen, "another key under the same id")
}

func TestCheckTellsKeysApart(t *testing.T) {
	r := ring(t, "a:"+key(1)+",b:"+key(2))
	require.Len(t, r.Check("a"), 16)
	require.NotEqual(t, r.Check("a"), r.Check("b"))
	require.Equal(t, r.Check("a"), ring(t, "c:"+key(3)+",a:"+key(1)).Check("a"), "wherever the key stands")
	require.NotEqual(t, r.Check("a"), ring(t, "a:"+key(3)).Check("a"), "another key under the same id")
	require.Empty(t, r.Check("absent"))
	// What is kept in databases by then must not change: this is the check of the key of 32 bytes of one.
	require.Equal(t, "MW6j6ywWa2_IZA0m", r.Check("a"))
}

func TestWithoutAKey(t *testing.T) {
	r := ring(t, "new:"+key(2)+",mid:"+key(3)+",old:"+key(1))
	sealed := ring(t, "old:"+key(1)).Seal([]byte("x"), nil)
	left, err := r.Without("old")
	require.NoError(t, err)
	require.Equal(t, []string{"new", "mid"}, left.IDs())
	require.False(t, left.Has("old"))
	require.Equal(t, "new", left.CurrentID())
	_, err = left.Open(sealed, nil)
	require.ErrorIs(t, err, secret.ErrUnknownKey)
	require.Equal(t, []string{"new", "mid", "old"}, r.IDs(), "the ring itself is as it was")
	_, err = r.Open(sealed, nil)
	require.NoError(t, err)
	ids := r.IDs()
	ids[0] = "changed"
	require.Equal(t, "new", r.IDs()[0])

	_, err = r.Without("new")
	require.ErrorContains(t, err, "seals")
	_, err = r.Without("absent")
	require.ErrorContains(t, err, "SECRET_KEYS")
}

func TestKeyIDOf(t *testing.T) {
	id, found := secret.KeyIDOf(ring(t, "some.key:"+key(1)).Seal([]byte("x"), []byte("y")))
	require.True(t, found)
	require.Equal(t, "some.key", id)
	for _, bad := range []string{"", "\x01", "\x02\x01a", "\x01\x05abc", "\x01\x00", "\x01\x03a b"} {
		id, found = secret.KeyIDOf([]byte(bad))
		require.False(t, found, "%q", bad)
		require.Empty(t, id)
	}
}

func TestSealAndOpenText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, err := secret.ParseRing("old:" + key(1))
		require.NoError(t, err)
		after, err := secret.ParseRing("new:" + key(2) + ",old:" + key(1))
		require.NoError(t, err)
		plain, purpose := rapid.SliceOf(rapid.Byte()).Draw(t, "plain"), rapid.String().Draw(t, "purpose")
		id, text := before.SealText(plain, purpose)
		require.Equal(t, "old", id)
		sealed, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
		found, _ := secret.KeyIDOf(sealed)
		require.Equal(t, id, found)
		got, err := after.OpenText(text, purpose)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, got))
		_, err = after.OpenText(text, purpose+"x")
		require.ErrorIs(t, err, secret.ErrOpen)
		_, err = after.OpenText("*"+text, purpose)
		require.ErrorIs(t, err, secret.ErrOpen)
	})
}

func TestGenerateRing(t *testing.T) {
	a, err := secret.GenerateRing()
	require.NoError(t, err)
	b, err := secret.GenerateRing()
	require.NoError(t, err)
	require.NotEqual(t, a.Reveal(), b.Reveal())
	got, err := ring(t, a.Reveal()).Open(a.Seal([]byte("x"), nil), nil)
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
}

func FuzzOpen(f *testing.F) {
	r := ring(f, "a:"+key(1))
	f.Add(r.Seal([]byte("plain"), []byte("p")), []byte("p"))
	f.Add([]byte{1, 255, 'a'}, []byte{})
	f.Add([]byte{}, []byte{})
	codec := secret.NewCodec(r)
	f.Fuzz(func(t *testing.T, sealed, purpose []byte) {
		if plain, err := r.Open(sealed, purpose); err == nil && string(plain) != "plain" {
			t.Fatalf("%q opened", sealed)
		}
		p := &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("binary/encrypted"), "encryption-key-id": purpose}, Data: sealed}
		if _, err := codec.Decode([]*commonpb.Payload{p}); err == nil {
			t.Fatalf("%q under the key %q opened as a payload", sealed, purpose)
		}
	})
}

const marker = "jane.doe@example.com"

func TestCodecHidesPayloads(t *testing.T) {
	dc := secret.DataConverter(ring(t, "a:"+key(1)))
	payloads, err := dc.ToPayloads(map[string]string{"email": marker}, []byte(marker), marker, nil)
	require.NoError(t, err)
	wire, err := proto.Marshal(payloads)
	require.NoError(t, err)
	require.NotContains(t, string(wire), marker)
	require.NotContains(t, string(wire), "json/plain")
	for _, p := range payloads.Payloads {
		require.Equal(t, "a", string(p.Metadata["encryption-key-id"]))
	}
	var m map[string]string
	var b []byte
	var s string
	var none *int
	require.NoError(t, dc.FromPayloads(payloads, &m, &b, &s, &none))
	require.Equal(t, marker, m["email"])
	require.Equal(t, marker, string(b))
	require.Equal(t, marker, s)
	require.Nil(t, none)
}

func TestCodecRotatesAndRepeats(t *testing.T) {
	old := secret.NewCodec(ring(t, "a:"+key(1)))
	rotated := secret.NewCodec(ring(t, "b:"+key(2)+",a:"+key(1)))
	plain := []*commonpb.Payload{{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`"x"`)}}
	sealed, err := old.Encode(plain)
	require.NoError(t, err)
	again, err := rotated.Encode(sealed)
	require.NoError(t, err)
	require.True(t, proto.Equal(sealed[0], again[0]), "a sealed payload is not sealed twice")
	opened, err := rotated.Decode(again)
	require.NoError(t, err)
	require.True(t, proto.Equal(plain[0], opened[0]))
	foreign, err := rotated.Decode(plain)
	require.NoError(t, err)
	require.True(t, proto.Equal(plain[0], foreign[0]), "a payload that is not ours passes")

	relabelled := proto.CloneOf(sealed[0])
	relabelled.Metadata["encryption-key-id"] = []byte("b")
	_, err = rotated.Decode([]*commonpb.Payload{relabelled})
	require.ErrorIs(t, err, secret.ErrOpen)
	_, err = secret.NewCodec(ring(t, "c:"+key(3))).Decode(sealed)
	require.ErrorIs(t, err, secret.ErrUnknownKey)
}

func TestFailureConverterHidesMessages(t *testing.T) {
	fc := secret.FailureConverter(ring(t, "a:"+key(1)))
	failure := fc.ErrorToFailure(temporal.NewApplicationErrorWithCause("no account for "+marker, "Mapping", errors.New(marker), marker))
	wire, err := proto.Marshal(failure)
	require.NoError(t, err)
	require.NotContains(t, string(wire), marker)
	require.Contains(t, string(wire), "Mapping", "the kind stays readable: retry policies and alerts go by it")
	require.ErrorContains(t, fc.FailureToError(failure), marker)
}

func TestEndpoint(t *testing.T) {
	r := ring(t, "a:"+key(1))
	const origin = "http://127.0.0.1:8233"
	open := secret.EndpointOptions{Loopback: true, Origins: []string{origin}}
	guarded := secret.EndpointOptions{Token: "the-token", Origins: []string{origin}}
	for name, c := range map[string]struct {
		opts    secret.EndpointOptions
		remote  string
		host    string
		headers map[string]string
		want    int
	}{
		"right token":                      {guarded, "203.0.113.9:5", "codec.example", map[string]string{"Authorization": "Bearer the-token"}, 200},
		"wrong token":                      {guarded, "203.0.113.9:5", "codec.example", map[string]string{"Authorization": "Bearer the-tokem"}, 401},
		"no token":                         {guarded, "203.0.113.9:5", "codec.example", nil, 401},
		"no token from this machine":       {guarded, "127.0.0.1:5", "localhost:8088", nil, 401},
		"empty token where none is set":    {open, "203.0.113.9:5", "codec.example", map[string]string{"Authorization": "Bearer "}, 401},
		"this machine":                     {open, "127.0.0.1:5", "127.0.0.1:9090", nil, 200},
		"this machine by IPv6":             {open, "[::1]:5", "[::1]:9090", nil, 200},
		"this machine, wrong token":        {open, "127.0.0.1:5", "localhost", map[string]string{"Authorization": "Bearer x"}, 401},
		"another machine":                  {open, "203.0.113.9:5", "localhost", nil, 401},
		"through a proxy":                  {open, "127.0.0.1:5", "localhost", map[string]string{"X-Forwarded-For": "203.0.113.9"}, 401},
		"a name bound to this machine":     {open, "127.0.0.1:5", "evil.example", nil, 401},
		"the UI's page":                    {open, "127.0.0.1:5", "localhost", map[string]string{"Origin": origin}, 200},
		"another page in the same browser": {open, "127.0.0.1:5", "localhost", map[string]string{"Origin": "https://evil.example"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			w := decode(t, secret.Endpoint(r, c.opts), r, func(req *http.Request) {
				req.RemoteAddr, req.Host = c.remote, c.host
				for k, v := range c.headers {
					req.Header.Set(k, v)
				}
			})
			require.Equal(t, c.want, w.Code, w.Body)
			if c.want != 200 {
				require.NotContains(t, w.Body.String(), base64.StdEncoding.EncodeToString([]byte(`"`+marker+`"`)))
				return
			}
			var answer commonpb.Payloads
			require.NoError(t, protojson.Unmarshal(w.Body.Bytes(), &answer))
			require.JSONEq(t, `"`+marker+`"`, string(answer.Payloads[0].Data))
			require.Equal(t, c.headers["Origin"], w.Header().Get("Access-Control-Allow-Origin"))
		})
	}
}

func decode(t *testing.T, h http.Handler, r *secret.Ring, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	sealed, err := secret.DataConverter(r).ToPayloads(marker)
	require.NoError(t, err)
	body, err := json.Marshal(sealed)
	require.NoError(t, err)
	req := httptest.NewRequest(http.MethodPost, "/codec/decode", bytes.NewReader(body))
	change(req)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func TestEndpointPreflight(t *testing.T) {
	h := secret.Endpoint(ring(t, "a:"+key(1)), secret.EndpointOptions{Token: "t", Origins: []string{"http://ui"}})
	for origin, want := range map[string]int{"http://ui": 204, "http://other": 403} {
		req := httptest.NewRequest(http.MethodOptions, "/codec/decode", nil)
		req.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		require.Equal(t, want, w.Code)
		if want == 204 {
			require.Contains(t, w.Header().Get("Access-Control-Allow-Headers"), "Authorization")
		} else {
			require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
		}
	}
}

// TestEndpointServesTheSDK: the SDK's own remote codec understands the endpoint over a real connection.
func TestEndpointServesTheSDK(t *testing.T) {
	r := ring(t, "a:"+key(1))
	server := httptest.NewServer(secret.Endpoint(r, secret.EndpointOptions{Token: "the-token"}))
	t.Cleanup(server.Close)
	remote := converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{
		Endpoint: server.URL + "/codec",
		ModifyRequest: func(req *http.Request) error {
			req.Header.Set("Authorization", "Bearer the-token")
			return nil
		},
	})
	sealed, err := secret.DataConverter(r).ToPayloads(marker)
	require.NoError(t, err)
	opened, err := remote.Decode(sealed.Payloads)
	require.NoError(t, err)
	require.JSONEq(t, `"`+marker+`"`, string(opened[0].Data))
}
