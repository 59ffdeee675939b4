package domain

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Tracking is what a carrier gave for a parcel. Carrier and URL are empty where nobody said them, Number where people
// gave nothing but an address.
type Tracking struct {
	Number  string `json:"number,omitempty"`
	Carrier string `json:"carrier,omitempty"`
	URL     string `json:"url,omitempty"`
}

// Key is how trackings are compared: the number, or the address where there is no number, in upper case without blanks,
// hyphens and invisible characters. People copy numbers from labels, mails and tables, and no two spell them alike.
func (t Tracking) Key() string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Cc, unicode.Cf) || r == '\u2212' {
			return -1
		}
		return r
	}, cmp.Or(t.Number, t.URL)))
}

// ParseTrackings reads trackings as people type them: separated by commas, semicolons or line ends, each a number with its
// carrier in parentheses, before a colon or, for the best known ones, simply before it, and an address behind it or after
// the next separator, such as
//
//	1Z 999 AA1 (UPS), https://example.com/1Z999AA1; DHL: 4711
//
// A tracking number has a digit, so "n/a" and "collected" are none. What holds "…" was cut somewhere, and is ignored. Each
// tracking comes once.
func ParseTrackings(text string) []Tracking {
	var all []Tracking
	last := -1 // where the token before this one went, if an address may still follow
	for _, token := range strings.FieldsFunc(text, isTrackingSeparator) {
		t := parseTracking(token)
		switch {
		case t == (Tracking{}):
			last = -1
		case t.Number == "" && last >= 0 && all[last].URL == "":
			all[last].URL = t.URL
		default:
			all, last = append(all, t), len(all)
		}
	}
	return joinTrackings(nil, all)
}

// FormatTrackings writes trackings so that ParseTrackings reads the same ones. Addresses without a number come first: behind
// a number they would be read as its own.
func FormatTrackings(ts []Tracking) string {
	ts = CleanTrackings(ts)
	slices.SortStableFunc(ts, func(a, b Tracking) int { return cmp.Compare(min(len(a.Number), 1), min(len(b.Number), 1)) })
	words := make([]string, len(ts))
	for i, t := range ts {
		parts := []string{t.Number}
		if t.Carrier != "" {
			parts = append(parts, "("+t.Carrier+")")
		}
		words[i] = strings.TrimSpace(strings.Join(append(parts, t.URL), " "))
	}
	return strings.Join(words, ", ")
}

// CleanTrackings brings trackings as a system lists them into the form that ParseTrackings gives: forms have a field for
// the number, and people type several numbers, or carrier and number, into it. Each comes once.
func CleanTrackings(ts []Tracking) []Tracking {
	var all []Tracking
	for _, t := range ts {
		carrier, url := cleanCarrier(t.Carrier), cleanURL(t.URL)
		parsed := ParseTrackings(t.Number)
		for i, p := range parsed {
			parsed[i].URL = cmp.Or(p.URL, url)
			if p.Number != "" {
				parsed[i].Carrier = cmp.Or(p.Carrier, carrier)
			}
		}
		if len(parsed) == 0 && url != "" {
			parsed = []Tracking{{URL: url}}
		}
		all = append(all, parsed...)
	}
	return joinTrackings(nil, all)
}

// joinTrackings is every tracking of both, each once. What is known of one stays, and is completed by what the other knows.
func joinTrackings(known, more []Tracking) []Tracking {
	var all []Tracking
	at := map[string]int{}
	for _, t := range slices.Concat(known, more) {
		key := t.Key()
		i, listed := at[key]
		switch {
		case key == "":
		case !listed:
			at[key] = len(all)
			all = append(all, t)
		default:
			all[i].Carrier, all[i].URL = cmp.Or(all[i].Carrier, t.Carrier), cmp.Or(all[i].URL, t.URL)
		}
	}
	return all
}

// withoutTrackings are those that are not among the others.
func withoutTrackings(ts, others []Tracking) []Tracking {
	var rest []Tracking
	for _, t := range ts {
		if !slices.ContainsFunc(others, func(o Tracking) bool { return o.Key() == t.Key() }) {
			rest = append(rest, t)
		}
	}
	return rest
}

const trackingCut = '…'

func isTrackingSeparator(r rune) bool { return r == ',' || r == ';' || r == '\n' || r == '\r' }

var (
	trackingURL = regexp.MustCompile(`(?i)(?:https?://|www\.)\S*`)
	parentheses = regexp.MustCompile(`\(([^()]*)\)`)
	httpScheme  = regexp.MustCompile(`(?i)^https?://`)
)

// knownCarriers are those that people write before a number without any mark in between. It is no list of carriers: two
// letters before a number may belong to it, so only what is known for sure is cut off.
var knownCarriers = []string{
	"AMAZON", "BRT", "CORREOS", "CTT", "DHL", "DPD", "EVRI", "FEDEX", "GLS", "HERMES", "MRW", "NACEX", "ONTRAC", "POSTNL",
	"PUROLATOR", "SEUR", "TNT", "UPS", "USPS", "YODEL",
}

// parseTracking reads one tracking. It returns the zero value where there is none.
func parseTracking(token string) Tracking {
	if strings.ContainsRune(token, trackingCut) {
		return Tracking{}
	}
	url, rest := cutFirst(trackingURL, visible(token))
	carrier, rest := cutFirst(parentheses, rest)
	carrier = strings.Trim(carrier, "()")
	if !hasDigit(rest) && hasDigit(carrier) {
		rest, carrier = carrier, rest // "UPS (1Z999)"
	}
	label, number := cutLabel(rest)
	name, number := cutKnownCarrier(number)
	if number == "" {
		return Tracking{URL: cleanURL(url)}
	}
	return Tracking{Number: number, Carrier: cmp.Or(cleanCarrier(carrier), cleanCarrier(label), name), URL: cleanURL(url)}
}

// cutFirst takes the first match out of a text, and every further one away.
func cutFirst(pattern *regexp.Regexp, text string) (first, rest string) {
	return pattern.FindString(text), pattern.ReplaceAllString(text, " ")
}

// cutLabel takes "DHL: 4711" and "4711: DHL" apart. No carrier's numbers have colons.
func cutLabel(text string) (label, number string) {
	for part := range strings.SplitSeq(text, ":") {
		switch {
		case hasDigit(part):
			number = part
		case label == "":
			label = strings.TrimSpace(part)
		}
	}
	if number == "" {
		return "", ""
	}
	return label, cleanNumber(number)
}

// cutKnownCarrier takes "DHL 4711" apart.
func cutKnownCarrier(number string) (carrier, rest string) {
	for {
		name, behind, found := strings.Cut(number, " ")
		if !found || !hasDigit(behind) || !slices.Contains(knownCarriers, strings.ToUpper(strings.TrimRight(name, "#-–"))) {
			return carrier, number
		}
		carrier, number = cmp.Or(carrier, strings.TrimRight(name, "#-–")), cleanNumber(behind)
	}
}

// cleanNumber is a number on one line, without the marks people put around it.
func cleanNumber(text string) string {
	text = strings.NewReplacer("(", " ", ")", " ").Replace(text)
	text = strings.TrimFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return strings.Join(strings.Fields(text), " ")
}

// cleanCarrier is a name without anything that ParseTrackings would take for something else.
func cleanCarrier(text string) string {
	text = trackingURL.ReplaceAllString(visible(text), " ")
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || isTrackingSeparator(r) || r == '(' || r == ')' || r == trackingCut
	}), " ")
}

// cleanURL is an address without anything that ParseTrackings would take for something else; empty for what is none.
func cleanURL(text string) string {
	text = strings.Join(strings.Fields(visible(text)), "%20")
	text = strings.TrimLeft(strings.TrimRight(text, `)]>"'.,;:`), `([<"'`)
	if !httpScheme.MatchString(text) {
		if !strings.Contains(text, ".") {
			return ""
		}
		text = "https://" + text
	}
	if httpScheme.FindString(text) == text {
		return ""
	}
	return strings.NewReplacer(",", "%2C", ";", "%3B", string(trackingCut), "%E2%80%A6").Replace(text)
}

// visible is a text without characters that nobody sees: tables and mails are full of them.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf):
			return -1
		}
		return r
	}, text)
}

func hasDigit(text string) bool { return strings.ContainsFunc(text, unicode.IsDigit) }
