package observe

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

// Masked stands in log lines for what was not let through.
const Masked = "[masked]"

// maskedKeys are parts of attribute names whose values are never shown: secrets first, personal data after.
var maskedKeys = []string{
	"token", "secret", "password", "passwd", "authorization", "apikey", "privatekey", "credential", "signature", "cookie",
	"email", "phone", "firstname", "lastname", "fullname", "contactname", "customername", "companyname", "street",
	"postcode", "postalcode", "birthday", "body", "payload",
}

// shownKeys are attribute names that contain one of those parts and say nothing secret.
var shownKeys = map[string]bool{"tokentype": true, "bodybytes": true, "payloadbytes": true}

// A net below the rules by name, for what comes in error texts and messages of libraries. It looks for the forms that
// cannot be anything else; the clients scrub what vendors say much harder than this.
var (
	mailForm   = regexp.MustCompile(`[A-Za-z0-9._%+-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)
	bearerForm = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}`)
	jwtForm    = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,2}`)
	userForm   = regexp.MustCompile(`(://[^\s/:@]*):[^\s/@]+@`)
)

// NewLogger makes a logger that writes lines of text, or of JSON, to w. Attributes named like secrets or personal data
// are masked, and so are e-mail addresses, bearer tokens and passwords in addresses, wherever they stand.
func NewLogger(w io.Writer, level slog.Leveler, json bool) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: mask}
	if json {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// mask is called for each attribute that is no group, with its value resolved.
func mask(_ []string, a slog.Attr) slog.Attr {
	if maskedKey(a.Key) && a.Value.String() != "set" && a.Value.String() != "not set" {
		return slog.String(a.Key, Masked)
	}
	switch a.Value.Kind() {
	case slog.KindString:
		return slog.String(a.Key, scrub(a.Value.String()))
	case slog.KindAny:
		if _, level := a.Value.Any().(slog.Level); level {
			return a
		}
		return slog.String(a.Key, scrub(fmt.Sprint(a.Value.Any())))
	default:
		return a
	}
}

func maskedKey(key string) bool {
	plain := strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(key))
	if shownKeys[plain] {
		return false
	}
	for _, part := range maskedKeys {
		if strings.Contains(plain, part) {
			return true
		}
	}
	return false
}

func scrub(text string) string {
	if strings.Contains(text, "://") {
		text = userForm.ReplaceAllString(text, "$1:"+Masked+"@")
	}
	if strings.ContainsRune(text, '@') || strings.Contains(text, "%40") {
		text = mailForm.ReplaceAllString(text, Masked)
	}
	if strings.Contains(text, "eyJ") {
		text = jwtForm.ReplaceAllString(text, Masked)
	}
	return bearerForm.ReplaceAllString(text, "$1 "+Masked)
}
