package security

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// marks are texts that must be nowhere, each under the name by which a failure tells it.
type marks struct {
	mu    sync.Mutex
	texts map[string]string // what it is, by text
}

// shortest is the length below which a text is found by chance.
const shortest = 9

// plant adds texts that are to be looked for. Empty ones are none.
func (m *marks) plant(t *testing.T, what string, texts ...string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, text := range texts {
		if text == "" {
			continue
		}
		assert.GreaterOrEqual(t, len(text), shortest, "%s is too short to be looked for", what) // not require: servers plant, too
		if m.texts == nil {
			m.texts = map[string]string{}
		}
		m.texts[text] = what
	}
}

// count tells how many different texts of a kind there are.
func (m *marks) count(what string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, of := range m.texts {
		if of == what {
			n++
		}
	}
	return n
}

// forms are how a text may stand somewhere: as it is, as part of an address or of JSON, in hexadecimal, and in base64,
// whose letters depend on where the text begins. All are in small letters, as is what they are looked for in.
func forms(text string) []string {
	raw := []byte(text)
	found := []string{
		text, url.QueryEscape(text), url.PathEscape(text), strings.ReplaceAll(text, "/", `\/`),
		strings.NewReplacer("+", `\u002b`, "&", `\u0026`, "<", `\u003c`, ">", `\u003e`).Replace(text), hex.EncodeToString(raw),
	}
	for shift := range 3 {
		// The first and the last letters hold bits of what stands beside the text.
		whole := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), raw...))
		inner := whole[(shift*8+5)/6 : len(whole)-1]
		found = append(found, inner, strings.NewReplacer("+", "-", "/", "_").Replace(inner))
	}
	for i := range found {
		found[i] = strings.ToLower(found[i])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// search returns what of the marks stands in a text, by what it is and never by itself: a test's output is a log, too.
func (m *marks) search(content []byte) (found []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	small := bytes.ToLower(content)
	for text, what := range m.texts {
		for _, form := range forms(text) {
			if at := bytes.Index(small, []byte(form)); at >= 0 {
				found = append(found, what)
				break
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// remains is everything that a run has left, by where it is.
type remains map[string][]byte

// files adds the files below a folder, but for those named.
func (r remains) files(t *testing.T, folder string, except ...string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(folder, path)
		if err != nil || relErr != nil || entry.IsDir() || slices.Contains(except, name) {
			return err
		}
		r[filepath.ToSlash(name)], err = os.ReadFile(path)
		if os.IsNotExist(err) { // a database puts its files away as it likes
			delete(r, filepath.ToSlash(name))
			return nil
		}
		return err
	}))
}

// page adds what an address answers.
func (r remains) page(t *testing.T, name, address string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	r[name], err = io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, name)
}

// holdNone fails for each place in which a mark stands.
func (r remains) holdNone(t *testing.T, m *marks) {
	t.Helper()
	for name, content := range r {
		assert.Empty(t, m.search(content), "%s (%d bytes)", name, len(content))
	}
}

// holds is the other side of holdNone: in these places the text must stand, or they were not looked through.
func (r remains) holds(t *testing.T, text string, places ...string) {
	t.Helper()
	for _, place := range places {
		content, there := r[place]
		if assert.True(t, there, "%s is not there", place) {
			assert.True(t, bytes.Contains(content, []byte(text)), "%s does not hold %s", place, text)
		}
	}
}

// recorder keeps what is sent to it.
type recorder struct {
	*httptest.Server
	mu  sync.Mutex
	got bytes.Buffer
}

func record(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		if err == nil {
			_, _ = r.got.Write(body)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.got.Bytes())
}

// TestMarksAreFoundInEveryForm: the search that finds nothing elsewhere finds what it is given.
func TestMarksAreFoundInEveryForm(t *testing.T) {
	const mail, key = "planted+x@personal.example", "a/secret+key&more"
	var m marks
	m.plant(t, "mail", mail)
	m.plant(t, "key", key)
	m.plant(t, "nothing", "")
	for name, text := range map[string]string{
		"as it is": `{"email":"` + mail + `"}`, "in capitals": strings.ToUpper(mail), "in a query": url.Values{"q": {"x" + mail + "y"}}.Encode(),
		"in hexadecimal": hex.EncodeToString([]byte("<" + mail + ">")), "escaped in JSON": `"planted\u002bx@personal.example"`,
		"in base64, first":  base64.StdEncoding.EncodeToString([]byte(mail + "...")),
		"in base64, second": base64.StdEncoding.EncodeToString([]byte("." + mail)),
		"in base64, third":  base64.URLEncoding.EncodeToString([]byte(".." + mail + ".")),
		"in binary":         "\x00\x1a" + mail + "\x00",
	} {
		assert.Equal(t, []string{"mail"}, m.search([]byte(text)), name)
	}
	assert.Equal(t, []string{"key", "mail"}, m.search([]byte(mail+url.PathEscape(key))))
	assert.Empty(t, m.search([]byte("planted x at personal.example")))
	assert.Equal(t, 1, m.count("mail"))
}
