package activities

import (
	"regexp"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/domain"
)

// The facts about an order that Sage has no field for. They go into extra fields of these names, after the configured
// prefix; those the tenant has no field for go into one machine-readable line of the internal comment.
const (
	factState    = "PaymentStatus"
	factIDs      = "PaymentIds"
	factPaid     = "PaidAmount"
	factRefunded = "RefundedAmount"
	factPaidAt   = "PaidAt"
	factCoupon   = "CouponCode"
	// factLines is "theirs" on an adopted order whose lines are left to the people who made them. It is only ever in
	// the comment.
	factLines = "Lines"
)

// Facts lists the names of the extra fields, without prefix, with the type each should have at Sage.
func Facts() map[string]sage.ExtraType {
	return map[string]sage.ExtraType{
		factState: sage.ExtraText, factIDs: sage.ExtraText, factPaid: sage.ExtraDecimal, factRefunded: sage.ExtraDecimal,
		factPaidAt: sage.ExtraDateTime, factCoupon: sage.ExtraText,
	}
}

type fact struct {
	name  string
	value any // string, domain.Number or time.Time
}

func factsOf(b domain.Booking) []fact {
	s := b.Settlement
	return []fact{
		{factState, string(s.State)},
		{factIDs, strings.Join(s.PaymentIDs, ", ")},
		{factPaid, s.Paid.Decimal()},
		{factRefunded, s.Refunded.Decimal()},
		{factPaidAt, s.PaidAt},
		{factCoupon, b.CouponCode},
	}
}

// factWrites are the extra fields and the internal comment that differ from what the order holds; nothing to write
// gives none and nil.
func (t tenant) factWrites(order sage.Order, b domain.Booking, theirLines bool) (sage.ExtraFields, *string) {
	extra := sage.ExtraFields{}
	var rest []fact
	for _, f := range factsOf(b) {
		field, ok := t.field(f.name)
		if !ok {
			rest = append(rest, f)
			continue
		}
		if value := fieldValue(field, f.value); !sameExtra(order.Extra, field.Name, value) {
			extra[field.Name] = value
		}
	}
	if theirLines {
		rest = append(rest, fact{factLines, theirs})
	}
	if comment := withNote(order.InternalComment, rest); comment != order.InternalComment {
		return extra, &comment
	}
	return extra, nil
}

// fieldValue gives a fact the form its field takes. A text that is too long for the field keeps its end, since the
// newest payment stands there.
func fieldValue(field sage.Field, value any) any {
	switch v := value.(type) {
	case time.Time:
		if field.Format == "date-time" {
			return sage.At(v)
		}
		return timeText(v)
	case string:
		if runes := []rune(v); field.MaxLength > 1 && len(runes) > field.MaxLength {
			return "…" + string(runes[len(runes)-field.MaxLength+1:])
		}
		return v
	case domain.Number:
		if field.Is("string") && !field.Is("number") {
			return v.String()
		}
	}
	return value
}

// sameExtra compares as Sage stores. Its dates end in a "Z" that is not proven to mean UTC, so a moment that differs by
// whole quarters of an hour, up to the widest zone, is the same moment.
func sameExtra(extra sage.Extra, name string, want any) bool {
	moment, ok := want.(sage.Time)
	if !ok {
		return extra.Same(name, want)
	}
	have := extra.Time(name)
	if have.IsZero() || moment.IsZero() {
		return have.IsZero() == moment.IsZero()
	}
	difference := have.Sub(moment.Time).Abs().Truncate(time.Second)
	return difference <= 14*time.Hour && difference%(15*time.Minute) == 0
}

const theirs = "theirs"

// note is the machine-readable line in an internal comment. The rest of the comment belongs to people.
var note = regexp.MustCompile(`\[tallystick [^\]\n]*\]`)

// withNote writes the facts into a comment in place of those written before, or takes them out when there are none.
func withNote(comment string, facts []fact) string {
	var words []string
	for _, f := range facts {
		if text := noteText(f.value); text != "" {
			words = append(words, f.name+"="+text)
		}
	}
	line := ""
	if len(words) > 0 {
		line = "[tallystick " + strings.Join(words, "; ") + "]"
	}
	switch {
	case note.MatchString(comment):
		replaced := note.ReplaceAllLiteralString(comment, line)
		if line == "" {
			replaced = strings.TrimSpace(replaced)
		}
		return replaced
	case line == "":
		return comment
	case comment == "":
		return line
	}
	return comment + "\n" + line
}

// linesAreTheirs tells whether the comment says that an adopted order's lines are left to people.
func linesAreTheirs(comment string) bool {
	return strings.Contains(note.FindString(comment), factLines+"="+theirs)
}

var noteUnsafe = strings.NewReplacer("[", "(", "]", ")", ";", ",", "\n", " ", "\r", " ")

func noteText(value any) string {
	switch v := value.(type) {
	case time.Time:
		return timeText(v)
	case domain.Number:
		return v.String()
	case string:
		return noteUnsafe.Replace(v)
	}
	return ""
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
