package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// KeySize is the length of a key in bytes: AES-256.
const KeySize = 32

// ErrOpen says that a sealed value cannot be opened: it is damaged, was sealed for another purpose, or by another key
// under the same id. Nothing more can be known, by design.
var ErrOpen = errors.New("the sealed value does not open: it is damaged or belongs elsewhere")

// ErrUnknownKey says that a value was sealed with a key that the ring lacks.
var ErrUnknownKey = errors.New("the key is not in SECRET_KEYS: put the retired key back behind the current one")

// errNoKey says that a key to be worked on is not there.
var errNoKey = errors.New("it is not in SECRET_KEYS")

// Ring is a set of keys with ids. The first key seals; every key opens what it has sealed. A Ring shows nothing of its
// keys when printed or logged, and may be used by any number of goroutines.
type Ring struct {
	current string
	keys    map[string]entry
	order   []string
}

type entry struct {
	key []byte
	// aead makes a random nonce for each value, 96 bits long: a key may seal some thousand million values, which at ten
	// payloads a payment is decades of work. Rotating sooner costs nothing.
	aead cipher.AEAD
}

var keyID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,32}$`)

// ParseRing reads a ring from the form of SECRET_KEYS: "id:key,id:key,…", each key 32 bytes in base64, the current key
// first. Every fault is reported, and no error shows any part of the text.
func ParseRing(text string) (*Ring, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("there are no keys: set id:key with a key made by: openssl rand -base64 32")
	}
	ring := &Ring{keys: map[string]entry{}}
	var faults []error
	for i, part := range strings.Split(text, ",") {
		if err := ring.add(part); err != nil {
			faults = append(faults, fmt.Errorf("entry %d %w", i+1, err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return ring, nil
}

// add reads one entry. The id is left out of errors too: people who mix up the parts put the key there.
func (r *Ring) add(part string) error {
	id, text, found := strings.Cut(strings.TrimSpace(part), ":")
	if !found || !keyID.MatchString(id) {
		return errors.New("must look like id:key, the id of at most 32 letters, digits, dots, dashes and underscores")
	}
	if _, taken := r.keys[id]; taken {
		return errors.New("repeats the id of an entry before it: each key needs its own")
	}
	key, err := decodeBase64(text)
	if err != nil {
		return errors.New("holds a key that is not base64: make one with openssl rand -base64 32")
	}
	if len(key) != KeySize {
		return fmt.Errorf("holds a key of %d bytes, not %d: make one with openssl rand -base64 32", len(key), KeySize)
	}
	return r.put(id, key)
}

func (r *Ring) put(id string, key []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	if r.current == "" {
		r.current = id
	}
	r.keys[id] = entry{key: key, aead: aead}
	r.order = append(r.order, id)
	return nil
}

// decodeBase64 takes the standard and the URL alphabet, with or without padding.
func decodeBase64(text string) ([]byte, error) {
	text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimSpace(text)), "=")
	return base64.RawStdEncoding.DecodeString(text)
}

// GenerateRing makes a ring of one new key. The sandbox uses it; what is sealed with it is lost with it.
func GenerateRing() (*Ring, error) {
	key := make([]byte, KeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	ring := &Ring{keys: map[string]entry{}}
	return ring, ring.put("generated", key)
}

// Reveal returns the keys in the form that ParseRing reads, to be handed to a child process or a secret manager and to
// nothing else.
func (r *Ring) Reveal() string {
	parts := make([]string, len(r.order))
	for i, id := range r.order {
		parts[i] = id + ":" + base64.StdEncoding.EncodeToString(r.keys[id].key)
	}
	return strings.Join(parts, ",")
}

// CurrentID is the id of the key that seals.
func (r *Ring) CurrentID() string { return r.current }

// IDs are the ids of the keys, the one that seals first.
func (r *Ring) IDs() []string { return slices.Clone(r.order) }

// Has tells whether the ring has a key of this id.
func (r *Ring) Has(id string) bool {
	_, found := r.keys[id]
	return found
}

// checkPurpose is what Check authenticates. To change it would make every known key look like another.
const checkPurpose = "tallystick key check v1"

// checkSize is the length of a check in bytes: enough that two keys never share one by chance.
const checkSize = 12

// Check is a short text by which two keys of one id can be told apart and that tells nothing of the key. It is empty
// for an id that the ring lacks.
func (r *Ring) Check(id string) string {
	key, found := r.keys[id]
	if !found {
		return ""
	}
	mac := hmac.New(sha256.New, key.key)
	mac.Write([]byte(checkPurpose)) // a hash never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:checkSize])
}

// Without is the ring as it will be when a retired key is taken out, to try what it still opens. It refuses to take out
// the key that seals, and an id that the ring lacks is an error.
func (r *Ring) Without(id string) (*Ring, error) {
	if !r.Has(id) {
		return nil, fmt.Errorf("the key %q: %w", id, errNoKey)
	}
	if id == r.current {
		return nil, fmt.Errorf("the key %q seals: put another before it in SECRET_KEYS first", id)
	}
	left := &Ring{current: r.current, keys: maps.Clone(r.keys)}
	delete(left.keys, id)
	left.order = slices.DeleteFunc(r.IDs(), func(other string) bool { return other == id })
	return left, nil
}

// String names the ring's keys by their ids.
func (r *Ring) String() string { return "keys " + strings.Join(r.order, ", ") }

// GoString keeps %#v from showing the keys.
func (r *Ring) GoString() string { return "secret.Ring{" + r.String() + "}" }

// LogValue keeps slog from showing the keys.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(r.String()) }

// formatVersion begins every sealed value, so that a later format can be told apart.
const formatVersion = 1

// Seal encrypts plaintext for a purpose, such as the name of the table, column and row it is stored in: a value that is
// moved elsewhere does not open. The key's id is part of the result.
func (r *Ring) Seal(plaintext, purpose []byte) []byte {
	header := append([]byte{formatVersion, byte(len(r.current))}, r.current...)
	sealed := r.keys[r.current].aead.Seal(nil, nil, plaintext, additional(header, purpose)) //nolint:gosec // the cipher makes the nonce itself
	return append(header, sealed...)
}

// Open decrypts what Seal made for the same purpose, with whichever key of the ring sealed it. Its errors are ErrOpen
// and ErrUnknownKey.
func (r *Ring) Open(sealed, purpose []byte) ([]byte, error) {
	id, found := KeyIDOf(sealed)
	if !found {
		return nil, ErrOpen
	}
	header, rest := sealed[:2+len(id)], sealed[2+len(id):]
	return r.open(id, rest, additional(header, purpose))
}

// KeyIDOf is the id of the key that sealed a value, and false for what Seal cannot have made. It opens nothing, so the
// id is only what the value claims.
func KeyIDOf(sealed []byte) (string, bool) {
	if len(sealed) < 2 || sealed[0] != formatVersion || len(sealed) < 2+int(sealed[1]) {
		return "", false
	}
	id := string(sealed[2 : 2+int(sealed[1])])
	if !keyID.MatchString(id) { // it may be anything, and must not be printed
		return "", false
	}
	return id, true
}

// SealText is Seal for a column of text: it returns the id of the key and the sealed value in base64.
func (r *Ring) SealText(plaintext []byte, purpose string) (keyID, text string) {
	return r.current, base64.StdEncoding.EncodeToString(r.Seal(plaintext, []byte(purpose)))
}

// OpenText opens what SealText made for the same purpose. Its errors are ErrOpen and ErrUnknownKey.
func (r *Ring) OpenText(text, purpose string) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, ErrOpen
	}
	return r.Open(sealed, []byte(purpose))
}

func (r *Ring) open(id string, sealed, additional []byte) ([]byte, error) {
	key, found := r.keys[id]
	if !found {
		if !keyID.MatchString(id) { // not an id of ours: don't print what may be anything
			return nil, ErrOpen
		}
		return nil, fmt.Errorf("sealed with the key %q: %w", id, ErrUnknownKey)
	}
	plaintext, err := key.aead.Open(nil, nil, sealed, additional)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// additional is the additional data: the header has a length of its own, so no two pairs give the same bytes.
func additional(header, purpose []byte) []byte {
	return append(append(make([]byte, 0, len(header)+len(purpose)), header...), purpose...)
}
