package transport

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// shortestEcho is the number of characters below which a text that was sent is left in a vendor's words: "EUR" and
	// "Open" say what is wrong, and of the names of people few are shorter.
	shortestEcho = 4
	// maxEchoes bounds how many texts of a request are looked for.
	maxEchoes = 1000
	// echoed stands for a text that was sent.
	echoed = "[sent]"
)

// plainEcho is a text that is no datum of a person: what ids, states and names of fields are made of, with a digit or an
// underscore in it; and the words of an API, "location" or "DIGITAL", by which a refusal is told.
var plainEcho = regexp.MustCompile(`^(?:[A-Za-z0-9]*[0-9_][A-Za-z0-9_]*|[a-z]+|[A-Z]+)$`)

// withoutEcho takes out of a vendor's words what the JSON of the request has sent as text: names, streets and the like,
// which have no form by which Scrub could know them. A form is left alone: those of log-ins hold nobody's data but
// secrets, which Scrub knows, and words that the refusal is told by ("Location is not active").
func withoutEcho(words string, r *request) string {
	if words == "" || r.Body == nil {
		return words
	}
	raw, err := json.Marshal(r.Body)
	if err != nil {
		return words
	}
	sent := texts(raw)
	sent = slices.DeleteFunc(sent, func(text string) bool {
		return utf8.RuneCountInString(text) < shortestEcho || plainEcho.MatchString(text)
	})
	// The longest first: a part of a name would leave the rest of it.
	slices.SortFunc(sent, func(a, b string) int { return len(b) - len(a) })
	for _, text := range sent[:min(len(sent), maxEchoes)] {
		words = regexp.MustCompile("(?i)"+regexp.QuoteMeta(text)).ReplaceAllString(words, echoed)
	}
	return words
}

// texts are those of a JSON document, its keys left out.
func texts(raw []byte) []string {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil
	}
	var found []string
	var walk func(any)
	walk = func(value any) {
		switch v := value.(type) {
		case string:
			if text := strings.TrimSpace(v); text != "" {
				found = append(found, text)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		case map[string]any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(value)
	return found
}
