package books

import (
	"bufio"
	"encoding/csv"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// csvHead names the columns of a comparison. All amounts of a line are of its currency, and are plain decimal numbers.
var csvHead = []string{
	"line", "kind", "id", "record", "wrong", "currency", "ghl_amount", "sage_amount", "apart_amount", "difference",
	"ghl_status", "sage_status", "ghl_date", "sage_date", "order_id", "subscription_id", "product_id",
	"since", "age_seconds", "in_flight", "cause", "detail",
}

// guard keeps a spreadsheet from taking a text for a formula, by the sign for a text in front of it. What a text of ours
// begins with is not ours to choose: it may be a vendor's id or a person's word.
func guard(text string) string {
	text = strings.TrimSpace(clean(text))
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}

type csvPrinter struct {
	csv *csv.Writer
	out *bufio.Writer
}

// Row implements Printer.
func (p *csvPrinter) Row(r Row) error {
	if r.Line == ApartLine {
		return p.line(r, r.Apart.Currency, r.Apart.Decimal().String(), "")
	}
	for _, amount := range r.Amounts() {
		if err := p.line(r, amount.Currency, "", amount.Decimal().String()); err != nil {
			return err
		}
	}
	return nil
}

func (p *csvPrinter) line(r Row, currency domain.Currency, apart, difference string) error {
	ghl, sage := of(r.GHL, currency), of(r.Sage, currency)
	about := r.GHL
	if about == nil {
		about = r.Sage
	}
	flight := ""
	if r.InFlight {
		flight = "yes"
	}
	detail := ""
	if r.Cause == Parked {
		detail = r.Parked + ": " + r.ParkedFor + ": " + r.Reason
	}
	return p.csv.Write([]string{
		r.Line, string(r.Kind), guard(r.ID), guard(r.Record), words(r.Findings), guard(string(currency)),
		ghl.amount, sage.amount, apart, difference, ghl.status, sage.status, ghl.date, sage.date,
		guard(about.OrderID), guard(about.SubscriptionID), guard(about.ProductID),
		stampOrNothing(r.Since), strconv.FormatInt(r.AgeSeconds, 10), flight, string(r.Cause), guard(detail),
	})
}

// said is what a side says, ready for a line.
type said struct{ amount, status, date string }

// of leaves the amount out where it is of another currency than the line.
func of(e *domain.Entry, currency domain.Currency) (s said) {
	if e == nil {
		return s
	}
	if e.Amount.Currency == currency {
		s.amount = e.Amount.Decimal().String()
	}
	s.status = guard(status(*e))
	if _, at := date(*e); !at.IsZero() {
		s.date = at.UTC().Format(time.DateOnly)
	}
	return s
}

func stampOrNothing(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return stamp(at)
}

// End implements Printer.
func (p *csvPrinter) End(s Summary, _ *Plan) error {
	for _, proof := range s.Proofs {
		line := make([]string, len(csvHead))
		line[0], line[1], line[5] = ProofLine, string(proof.Kind), guard(string(proof.Currency))
		for i, m := range []domain.Money{proof.GHL, proof.Sage, proof.Apart, proof.Differences} {
			line[6+i] = m.Decimal().String()
		}
		line[len(line)-1] = holds(proof)
		if err := p.csv.Write(line); err != nil {
			return err
		}
	}
	p.csv.Flush()
	if err := p.csv.Error(); err != nil {
		return err
	}
	return p.out.Flush()
}
