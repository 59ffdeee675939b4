package activities

import (
	"maps"
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
	// factLines is only on an order that people made and that was adopted, and only ever in the comment: it says whose
	// its lines are. It is written together with our external id, so that it outlives whatever happens next.
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
// gives none and nil. What is gone is written as 0 or as an empty text (A72).
func (t tenant) factWrites(order sage.Order, b domain.Booking, lines lineMark) (sage.ExtraFields, *string) {
	extra, moments := sage.ExtraFields{}, sage.ExtraFields{}
	var rest []fact
	for _, f := range factsOf(b) {
		field, ok := t.field(f.name)
		if !ok {
			rest = append(rest, f)
			continue
		}
		value := fieldValue(field, f.value)
		if !sameExtra(order.Extra, field.Name, value) {
			extra[field.Name] = value
		} else if moment, ok := value.(sage.Time); ok && !moment.IsZero() {
			moments[field.Name] = value
		}
	}
	if lines != "" {
		rest = append(rest, fact{factLines, string(lines)})
	}
	comment := withNote(order.InternalComment, rest)
	changed := comment != order.InternalComment
	if changed || len(extra) > 0 {
		maps.Copy(extra, moments) // what only may be the same costs nothing to write along
	}
	if !changed {
		return extra, nil
	}
	return extra, &comment
}

// statusBefore is the status that an order got when it was last brought, by what it says itself; 0 if it does not.
func (t tenant) statusBefore(order sage.Order, currency domain.Currency) int64 {
	state, paid := noteFact(order.InternalComment, factState), domain.Number(noteFact(order.InternalComment, factPaid))
	if field, ok := t.field(factState); ok {
		state = order.Extra.Text(field.Name)
	}
	if field, ok := t.field(factPaid); ok {
		paid = order.Extra.Number(field.Name)
	}
	paidAmount, err := domain.ParseMoney(paid, currency)
	total, totalErr := domain.ParseMoney(order.Total, currency)
	if state == "" || err != nil || totalErr != nil {
		return 0
	}
	return t.statusFor(domain.PaymentState(state), paidAmount, total)
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

// sameExtra compares as Sage stores. Its dates end in a "Z" that is not proven to mean UTC (A60), so a moment that differs by
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

// lineMark says whose the lines of an adopted order are; empty on an order that we made.
type lineMark string

const (
	theirLines lineMark = "theirs"
	ourLines   lineMark = "ours"
)

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

// noteFact reads a fact from the machine-readable line of a comment; empty if it is not there.
func noteFact(comment, name string) string {
	line := strings.TrimSuffix(strings.TrimPrefix(note.FindString(comment), "[tallystick "), "]")
	for _, word := range strings.Split(line, "; ") {
		if value, found := strings.CutPrefix(word, name+"="); found {
			return value
		}
	}
	return ""
}

// markIn reads whose an adopted order's lines are.
func markIn(comment string) lineMark {
	switch mark := lineMark(noteFact(comment, factLines)); mark {
	case theirLines, ourLines:
		return mark
	}
	return ""
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
