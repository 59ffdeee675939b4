package books

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/tallystick/tallystick/domain"
)

// Printer writes a comparison as it is made, so that its size does not matter. Row is called for each row, and then End
// once with what it came to and, if repairs were asked for, the plan; nil without.
type Printer interface {
	Row(Row) error
	End(Summary, *Plan) error
}

// The formats of reports.
const (
	TableFormat = "table"
	JSONFormat  = "json"
	CSVFormat   = "csv"
)

// NewPrinter makes the printer of a format; any other word is an error. A table is aligned some hundreds of rows at a time.
// JSON is one document with a row on each line. CSV has one currency on each line: a difference between two currencies is
// two lines, and the lines of the proofs come last. It has no place for a plan.
func NewPrinter(format string, out io.Writer, q Query) (Printer, error) {
	w := bufio.NewWriter(out)
	switch format {
	case TableFormat:
		return &tablePrinter{w: w, query: q}, nil
	case JSONFormat:
		return &jsonPrinter{w: w, query: q}, nil
	case CSVFormat:
		p := &csvPrinter{csv.NewWriter(w), w}
		return p, p.csv.Write(csvHead)
	}
	return nil, fmt.Errorf("there is no format %q", format)
}

// tableBlock is how many rows are aligned with each other. A tabwriter keeps what it aligns in memory.
const tableBlock = 500

type tablePrinter struct {
	w     *bufio.Writer
	query Query
	table *tabwriter.Writer
	rows  int
}

// Row implements Printer.
func (p *tablePrinter) Row(r Row) error {
	if p.rows%tableBlock == 0 {
		if err := p.flush(); err != nil {
			return err
		}
		p.table = newTable(p.w)
		cells(p.table, "KIND", "ID", "WRONG", "HIGHLEVEL", "SAGE", "DIFFERENCE", "AGE", "CAUSE")
	}
	p.rows++
	wrong, amounts := words(r.Findings), amountWords(r)
	if r.Line == ApartLine {
		wrong = "nothing"
	}
	cells(p.table, string(r.Kind), dash(clean(r.ID)), wrong, side(r.GHL), side(r.Sage), amounts,
		age(time.Duration(r.AgeSeconds)*time.Second), causeWords(r))
	return nil
}

func (p *tablePrinter) flush() error {
	if p.table == nil {
		return nil
	}
	return p.table.Flush()
}

// End implements Printer.
func (p *tablePrinter) End(s Summary, plan *Plan) error {
	if err := p.flush(); err != nil {
		return err
	}
	if p.rows > 0 {
		_, _ = fmt.Fprintln(p.w)
	}
	table := newTable(p.w)
	if len(s.Proofs) > 0 {
		cells(table, "PROOF", "HIGHLEVEL", "= SAGE", "+ KEPT APART", "+ DIFFERENCES", "")
	}
	for _, proof := range s.Proofs {
		cells(table, string(proof.Kind)+" "+string(proof.Currency), counted(proof.GHL, proof.GHLCount), counted(proof.Sage, proof.SageCount),
			counted(proof.Apart, proof.ApartCount), counted(proof.Differences, proof.DifferenceCount), holds(proof))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(s.Proofs) > 0 {
		_, _ = fmt.Fprintln(p.w)
	}
	if s.Records > 0 {
		_, _ = fmt.Fprintf(p.w, "%d records compared; HighLevel's last read %s, Sage's %s\n", s.Records, stamp(s.ReadGHL), stamp(s.ReadSage))
	}
	_, _ = fmt.Fprintln(p.w, verdict(s))
	if plan != nil {
		if err := plan.print(p.w); err != nil {
			return err
		}
	}
	return p.w.Flush()
}

// verdict is the comparison in a sentence.
func verdict(s Summary) string {
	var words string
	switch {
	case s.Records == 0:
		words = "nothing is known of either side in this period: it was not read yet, or there is nothing"
	case s.Differences == 0:
		words = "the books agree"
	case s.Standing() == 0:
		words = fmt.Sprintf("the books agree but for %d in flight", s.InFlight)
	case s.InFlight > 0:
		words = fmt.Sprintf("the books differ in %d, and %d more in flight", s.Standing(), s.InFlight)
	default:
		words = fmt.Sprintf("the books differ in %d", s.Standing())
	}
	if !s.Holds() {
		words += "; a proof does not hold, so this list is not complete: please report it"
	}
	return words
}

// print writes the plan as a table.
func (p *Plan) print(w io.Writer) error {
	_, _ = fmt.Fprintln(w)
	table := newTable(w)
	if len(p.Steps) > 0 {
		cells(table, "REPAIR", "KIND", "ID", "SAGE", "WHY")
	}
	names := map[Action]string{LookAgain: "look at it again", BringAgain: "write it again", ByPerson: "for a person"}
	for _, s := range p.Steps {
		cells(table, names[s.Action], string(s.Kind), dash(clean(s.ID)), dash(clean(s.Record)), clean(s.Why))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s\n", p)
	return err
}

// String is the plan in a sentence.
func (p *Plan) String() string {
	return fmt.Sprintf("%d to look at again, %d to write again, %d for a person, %d in flight left alone",
		p.Count(LookAgain), p.Count(BringAgain), p.Count(ByPerson), p.LeftAlone)
}

func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// cells writes one line. What is last is not padded.
func cells(w io.Writer, texts ...string) {
	_, _ = io.WriteString(w, strings.TrimRight(strings.Join(texts, "\t"), "\t")+"\n")
}

// clean keeps what vendors and people wrote from moving the cursor or the columns.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// side says what one side says, Sage's record first.
func side(e *domain.Entry) string {
	if e == nil {
		return "-"
	}
	var b strings.Builder
	if e.Record != "" {
		b.WriteString(e.Record + ": ")
	}
	switch {
	case e.Gone:
		b.WriteString("deleted, ")
	case e.Test:
		b.WriteString("test, ")
	}
	b.WriteString(e.Amount.String())
	if every := e.Every.String(); every != "" {
		b.WriteString(" " + every)
	}
	b.WriteString(", " + status(*e))
	what, at := date(*e)
	if !at.IsZero() {
		b.WriteString(", " + strings.TrimSpace(what+" "+at.UTC().Format(time.DateOnly)))
	}
	return clean(b.String())
}

// status is our word, with the source's where ours says nothing.
func status(e domain.Entry) string {
	if e.Status == string(domain.SubscriptionUnknown) && e.Word != "" {
		return e.Status + " (" + e.Word + ")"
	}
	return e.Status
}

// date is the date that is compared of an entry, and what it is.
func date(e domain.Entry) (string, time.Time) {
	switch {
	case e.Kind != domain.SubscriptionEntry:
		return "", e.At
	case !e.Until.IsZero():
		return "until", e.Until
	case !e.Next.IsZero():
		return "next", e.Next
	}
	return "since", e.At
}

func amountWords(r Row) string {
	if r.Line == ApartLine {
		return "-"
	}
	texts := make([]string, 0, 2)
	for _, m := range r.Amounts() {
		texts = append(texts, m.String())
	}
	return strings.Join(texts, " and ")
}

func causeWords(r Row) string {
	text := map[Cause]string{
		Parked: "parked", DeletedInSage: "deleted in Sage", DeletedInGHL: "deleted in HighLevel", KeptApart: "kept apart by rule",
		TestData: "test data", Edited: "edited by a person in Sage", InFlight: "in flight",
	}[r.Cause]
	if r.Cause == Parked {
		if r.Parked != r.ID {
			text += " with " + r.Parked
		}
		text += " for " + r.ParkedFor + ": " + r.Reason
	}
	if r.InFlight && r.Cause != InFlight {
		text += ", in flight"
	}
	return clean(text)
}

// age is short enough for a table.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format(time.RFC3339)
}

func counted(m domain.Money, count int64) string { return fmt.Sprintf("%s (%d)", m.Decimal(), count) }

// holds says whether a proof holds, and by how much it does not.
func holds(p domain.Proof) string {
	if p.Holds() {
		return "holds"
	}
	off := big.NewInt(p.GHL.Minor)
	for _, m := range []domain.Money{p.Sage, p.Apart, p.Differences} {
		off.Sub(off, big.NewInt(m.Minor))
	}
	return fmt.Sprintf("DOES NOT HOLD, by %s of the smallest unit", off)
}

type jsonPrinter struct {
	w     *bufio.Writer
	query Query
	rows  int
}

// begin writes what is known before the first row.
func (p *jsonPrinter) begin() error {
	head, err := json.Marshal(struct {
		Location      string             `json:"location"`
		Kinds         []domain.EntryKind `json:"kinds"`
		From          time.Time          `json:"from,omitzero"`
		Before        time.Time          `json:"before,omitzero"`
		At            time.Time          `json:"at"`
		DifferenceAge string             `json:"differenceAge"`
	}{p.query.Location, p.query.kinds(), p.query.From, p.query.Before, p.query.Now, p.query.DifferenceAge.String()})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.w, "%s,\n\"rows\": [", head[:len(head)-1])
	return err
}

// Row implements Printer.
func (p *jsonPrinter) Row(r Row) error {
	separator := ","
	if p.rows == 0 {
		if err := p.begin(); err != nil {
			return err
		}
		separator = ""
	}
	p.rows++
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.w, "%s\n%s", separator, line)
	return err
}

type proofView struct {
	domain.Proof
	Holds bool `json:"holds"`
}

// End implements Printer.
func (p *jsonPrinter) End(s Summary, plan *Plan) error {
	if p.rows == 0 {
		if err := p.begin(); err != nil {
			return err
		}
	}
	proofs := make([]proofView, len(s.Proofs))
	for i, proof := range s.Proofs {
		proofs[i] = proofView{proof, proof.Holds()}
	}
	var repairs []Step
	if plan != nil {
		repairs = plan.Steps
	}
	tail, err := json.Marshal(struct {
		Proofs      []proofView `json:"proofs"`
		Records     int64       `json:"records"`
		Differences int64       `json:"differences"`
		InFlight    int64       `json:"inFlight"`
		ReadGHL     time.Time   `json:"readGhl,omitzero"`
		ReadSage    time.Time   `json:"readSage,omitzero"`
		Holds       bool        `json:"holds"`
		Agree       bool        `json:"agree"`
		// Repairs is absent where none were asked for.
		Repairs []Step `json:"repairs,omitzero"`
	}{proofs, s.Records, s.Differences, s.InFlight, s.ReadGHL, s.ReadSage, s.Holds(), s.Agree(), repairs})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.w, "\n],\n%s\n", tail[1:]); err != nil {
		return err
	}
	return p.w.Flush()
}
