package transport

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxWords is the number of characters kept of a vendor's text.
	maxWords = 300
	// maxScrub bounds the text that is searched, so that an error page of megabytes costs nothing.
	maxScrub = 4096
	// maxWord is the number of characters kept of an error code or a trace id.
	maxWord = 64
)

var (
	mail   = regexp.MustCompile(`(?i)[^\s"'<>()\[\]{},;:=/|\\]+(?:@|%40)[^\s"'<>()\[\]{},;:=/|\\]+`)
	bearer = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}`)
	secret = regexp.MustCompile(`(?i)((?:token|secret|password|passwd|api[_-]?key|private[_-]?key|authorization|signature)["']?\s*[:=]\s*["']?)[^\s"',;}&]+`)
	jwt    = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,2}`)
	long   = regexp.MustCompile(`[A-Za-z0-9_+/=.~-]{32,}`)
	uuid   = regexp.MustCompile(`^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	digits = regexp.MustCompile(`\+?\(?\d[\d\s().\-]{5,}\d`)
	date   = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	word   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:\-]*$`)
)

// Scrub makes a vendor's text fit to be shown: vendors echo what they were sent. E-mail addresses, tokens and long runs
// of digits (phones, cards) are replaced, control characters become blanks, and the first 300 characters are kept.
// Better too much is taken out than too little.
func Scrub(text string) string {
	text = strings.ToValidUTF8(text, "")
	if len(text) > maxScrub {
		// Cut at a blank: half an e-mail address no longer looks like one.
		text = strings.ToValidUTF8(text[:maxScrub], "")
		if blank := strings.LastIndexByte(text, ' '); blank > 0 {
			text = text[:blank]
		}
	}
	text = strings.Join(strings.FieldsFunc(text, isBlank), " ")
	text = mail.ReplaceAllString(text, "[e-mail]")
	text = bearer.ReplaceAllString(text, "$1 [secret]")
	text = secret.ReplaceAllString(text, "$1[secret]")
	text = jwt.ReplaceAllString(text, "[secret]")
	text = long.ReplaceAllStringFunc(text, hideToken)
	text = hideNumbers(text)
	if utf8.RuneCountInString(text) > maxWords {
		text = string([]rune(text)[:maxWords]) + "…"
	}
	return text
}

func isBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

func hideToken(s string) string {
	if uuid.MatchString(s) || !strings.ContainsAny(s, "0123456789") {
		return s
	}
	return "[secret]"
}

// hideNumbers replaces seven and more digits that stand alone. Digits inside a word are an id, and a date is a date.
func hideNumbers(text string) string {
	var b strings.Builder
	last := 0
	for _, at := range digits.FindAllStringIndex(text, -1) {
		found := text[at[0]:at[1]]
		if insideWord(text, at) || date.MatchString(found) || countDigits(found) < 7 {
			continue
		}
		b.WriteString(text[last:at[0]] + "[number]")
		last = at[1]
	}
	b.WriteString(text[last:])
	return b.String()
}

func insideWord(text string, at []int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:at[0]])
	after, _ := utf8.DecodeRuneInString(text[at[1]:])
	return (at[0] > 0 && unicode.IsLetter(before)) || (at[1] < len(text) && unicode.IsLetter(after))
}

func countDigits(s string) int {
	n := 0
	for _, r := range s {
		if r >= '0' && r <= '9' {
			n++
		}
	}
	return n
}

// scrubWord keeps a code or an id only if it looks like one.
func scrubWord(s string) string {
	if len(s) > maxWord || !word.MatchString(s) {
		return ""
	}
	return s
}

// markup matches what is not text in an error page.
var markup = regexp.MustCompile(`(?is)<(?:script|style)\b.*?</(?:script|style)\s*>|<!--.*?-->|<[^>]*>`)
