package activities

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
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

	factFulfillment = "FulfillmentStatus"
	factShipments   = "FulfillmentIds"
	factTrackings   = "TrackingNumbers"
	factShippedAt   = "ShippedDate"
	factDeliveredAt = "DeliveredDate"
)

// A Sage order has two writers: the one of its payments and the one of its shipments. Each owns its facts and leaves the
// other's alone, also in the line that both may write.
var (
	paymentFacts     = []string{factState, factIDs, factPaid, factRefunded, factPaidAt, factCoupon, factLines}
	fulfillmentFacts = []string{factFulfillment, factShipments, factTrackings, factShippedAt, factDeliveredAt}
	// noteOrder is the order of the facts in the line, whoever wrote last.
	noteOrder = slices.Concat(paymentFacts, fulfillmentFacts)
)

// Facts lists the names of the extra fields, without prefix, with the type each should have at Sage.
func Facts() map[string]sage.ExtraType {
	return map[string]sage.ExtraType{
		factState: sage.ExtraText, factIDs: sage.ExtraText, factPaid: sage.ExtraDecimal, factRefunded: sage.ExtraDecimal,
		factPaidAt: sage.ExtraDateTime, factCoupon: sage.ExtraText,
		factFulfillment: sage.ExtraText, factShipments: sage.ExtraText, factTrackings: sage.ExtraText,
		factShippedAt: sage.ExtraDateTime, factDeliveredAt: sage.ExtraDateTime,
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

// factsOfFulfillment are the facts of a lifecycle.
func factsOfFulfillment(f domain.Fulfillment) []fact {
	return []fact{
		{factFulfillment, string(f.State)},
		{factShipments, strings.Join(f.IDs(), ", ")},
		{factTrackings, domain.FormatTrackings(f.Trackings())},
		{factShippedAt, f.ShippedAt},
		{factDeliveredAt, f.DeliveredAt},
	}
}

// factWrites are the extra fields and the internal comment that differ from what the order holds; nothing to write
// gives none and nil. What is gone is written as 0 or as an empty text (A72). The facts replace those of the names owned,
// and no others.
func (t tenant) factWrites(order sage.Order, owned []string, facts []fact) (sage.ExtraFields, *string) {
	extra, moments := sage.ExtraFields{}, sage.ExtraFields{}
	var rest []fact
	for _, f := range facts {
		field, ok := t.fieldOf(f.name)
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
	comment := withNote(order.InternalComment, owned, rest)
	changed := comment != order.InternalComment
	if changed || len(extra) > 0 {
		maps.Copy(extra, moments) // what only may be the same costs nothing to write along
	}
	if !changed {
		return extra, nil
	}
	return extra, &comment
}

// fieldOf gives the extra field that a fact is written into. A list has none of our words, only ids of entries that no
// endpoint tells (A120), so it is read and not written; nor is there a field for what only the comment says.
func (t tenant) fieldOf(name string) (sage.Field, bool) {
	if name == factLines {
		return sage.Field{}, false
	}
	field, ok := t.field(name)
	return field, ok && !field.Is("object")
}

// factText is what an order says of a fact in words: by the tenant's field, or else by the line.
func (t tenant) factText(order sage.Order, name string) string {
	if field, ok := t.field(name); ok {
		if text := order.Extra.Text(field.Name); text != "" || !field.Is("object") {
			return text
		}
	}
	return noteFact(order.InternalComment, name)
}

// says tells whether an order says a fact just as we would write it.
func (t tenant) says(order sage.Order, f fact) bool {
	if field, ok := t.fieldOf(f.name); ok {
		return sameExtra(order.Extra, field.Name, fieldValue(field, f.value))
	}
	return t.factText(order, f.name) == noteText(f.value)
}

// statusBefore is the status that an order got when it was last brought, by what it says itself; 0 if it does not.
func (t tenant) statusBefore(order sage.Order, currency domain.Currency) int64 {
	state, paid := noteFact(order.InternalComment, factState), domain.Number(noteFact(order.InternalComment, factPaid))
	if field, ok := t.fieldOf(factState); ok {
		state = order.Extra.Text(field.Name)
	}
	if field, ok := t.fieldOf(factPaid); ok {
		paid = order.Extra.Number(field.Name)
	}
	paidAmount, err := domain.ParseMoney(paid, currency)
	total, totalErr := domain.ParseMoney(order.Total, currency)
	if state == "" || err != nil || totalErr != nil {
		return 0
	}
	return t.statusFor(domain.PaymentState(state), paidAmount, total)
}

// cutMark begins a text whose beginning is cut off.
const cutMark = '…'

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
			return string(cutMark) + string(runes[len(runes)-field.MaxLength+1:])
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

// withNote writes the facts into the line of a comment in place of those of the names owned, or takes the line out when
// nothing is left to be said in it. Facts of other names stay, those of another version of ours too.
func withNote(comment string, owned []string, facts []fact) string {
	var words []string
	for _, word := range noteWords(comment) {
		if name, _, named := strings.Cut(word, "="); named && !slices.Contains(owned, name) {
			words = append(words, word)
		}
	}
	for _, f := range facts {
		if text := noteText(f.value); text != "" {
			words = append(words, f.name+"="+text)
		}
	}
	slices.SortStableFunc(words, func(a, b string) int { return cmp.Compare(notePlace(a), notePlace(b)) })
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

// notePlace is where a word stands in the line: those of names we do not know at its end.
func notePlace(word string) int {
	name, _, _ := strings.Cut(word, "=")
	if place := slices.Index(noteOrder, name); place >= 0 {
		return place
	}
	return len(noteOrder)
}

func noteWords(comment string) []string {
	line := strings.TrimSuffix(strings.TrimPrefix(note.FindString(comment), "[tallystick "), "]")
	return strings.Split(line, "; ")
}

// noteFact reads a fact from the machine-readable line of a comment; empty if it is not there.
func noteFact(comment, name string) string {
	for _, word := range noteWords(comment) {
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
