package books

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Print writes the report in a format: TableFormat, JSONFormat or CSVFormat. Any other word is an error.
func (r Revenue) Print(format string, out io.Writer) error {
	w := bufio.NewWriter(out)
	var err error
	switch format {
	case TableFormat:
		err = r.table(w)
	case JSONFormat:
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		err = encoder.Encode(r)
	case CSVFormat:
		err = r.csv(w)
	default:
		err = fmt.Errorf("there is no format %q", format)
	}
	if err != nil {
		return err
	}
	return w.Flush()
}

// figure is one of Figures, under its names in a table and in CSV. How many it counts is nil where it counts nothing.
type figure struct {
	title, column string
	amount        func(Figures) domain.Money
	count         func(Figures) int64
}

func figures() []figure {
	return []figure{
		{"gross", "gross", func(f Figures) domain.Money { return f.Gross }, func(f Figures) int64 { return f.Payments }},
		{"refunds", "refunds", func(f Figures) domain.Money { return f.Refunds }, func(f Figures) int64 { return f.Refunded }},
		{"net", "net", func(f Figures) domain.Money { return f.Net }, nil},
		{"recurring (MRR)", "mrr", func(f Figures) domain.Money { return f.Recurring }, func(f Figures) int64 { return f.Earning.Count }},
		{"  when the month began", "mrr_start", func(f Figures) domain.Money { return f.Movement.Start }, nil},
		{"  + gained", "mrr_gained", func(f Figures) domain.Money { return f.Movement.Gained }, nil},
		{"  + upgraded", "mrr_expansion", func(f Figures) domain.Money { return f.Movement.Expansion }, nil},
		{"  - downgraded", "mrr_contraction", func(f Figures) domain.Money { return f.Movement.Contraction }, nil},
		{"  - lost", "mrr_lost", func(f Figures) domain.Money { return f.Movement.Lost }, nil},
		{"not in MRR, interval unknown", "mrr_unknown", func(f Figures) domain.Money { return f.Unknown.Amount },
			func(f Figures) int64 { return f.Unknown.Count }},
		{"new", "new", func(f Figures) domain.Money { return f.New.Amount }, func(f Figures) int64 { return f.New.Count }},
		{"churned", "churned", func(f Figures) domain.Money { return f.Churned.Amount }, func(f Figures) int64 { return f.Churned.Count }},
		{"upcoming renewals", "renewals", func(f Figures) domain.Money { return f.Renewals.Amount },
			func(f Figures) int64 { return f.Renewals.Count }},
	}
}

func (f figure) text(of Figures) string {
	if f.count == nil {
		return f.amount(of).Decimal().String()
	}
	return counted(f.amount(of), f.count(of))
}

func (f figure) nothing(of Figures) bool {
	return f.amount(of).IsZero() && (f.count == nil || f.count(of) == 0)
}

// notInGroups are the figures that the tables of products and subscriptions leave out, and that of totals where they are
// nothing on both sides.
var notInGroups = []string{"mrr_unknown", "mrr_start", "mrr_gained", "mrr_expansion", "mrr_contraction", "mrr_lost"}

// table shows the totals of each currency, and then a line for each product and subscription.
func (r Revenue) table(w io.Writer) error {
	_, _ = fmt.Fprintf(w, "REVENUE OF %s, location %s\n", r.Month, clean(r.Location))
	if len(r.Lines) == 0 {
		_, err := fmt.Fprintln(w, "\nnothing is known of either side in this month: it was not read yet, or there is nothing")
		return err
	}
	for _, l := range r.Lines {
		if l.Group == TotalGroup {
			if err := l.total(w); err != nil {
				return err
			}
		}
	}
	for _, group := range []string{ProductGroup, SubscriptionGroup} {
		if err := r.group(w, group); err != nil {
			return err
		}
	}
	if r.Assumed > 0 {
		_, err := fmt.Fprintf(w, "\nthe history of some subscriptions (%d, of both sides) begins later than this month did, the last one's on %s;\n"+
			"until then they count as what they were first seen to be\n", r.Assumed, r.KnownSince.Format(time.DateOnly))
		return err
	}
	return nil
}

func (l RevenueLine) total(w io.Writer) error {
	_, _ = fmt.Fprintln(w)
	table := newTable(w)
	name := string(l.Currency)
	if l.Apart {
		name += ", kept apart"
	}
	cells(table, dash(clean(name)), "HIGHLEVEL", "SAGE", "DIFFERENCE")
	for _, f := range figures() {
		if slices.Contains(notInGroups, f.column) && f.nothing(l.GHL) && f.nothing(l.Sage) {
			continue
		}
		difference, err := f.amount(l.GHL).Sub(f.amount(l.Sage))
		if err != nil {
			return err
		}
		if l.Apart {
			cells(table, f.title, f.text(l.GHL), "-", "-")
			continue
		}
		cells(table, f.title, f.text(l.GHL), f.text(l.Sage), difference.Decimal().String())
	}
	return table.Flush()
}

// group shows both sides in one cell, HighLevel's before the stroke.
func (r Revenue) group(w io.Writer, group string) error {
	table, shown := newTable(w), 0
	for _, l := range r.Lines {
		if l.Group != group {
			continue
		}
		if shown%tableBlock == 0 {
			if err := table.Flush(); err != nil {
				return err
			}
			cells(table, "\nBY "+map[string]string{ProductGroup: "PRODUCT", SubscriptionGroup: "SUBSCRIPTION"}[group]+", HIGHLEVEL / SAGE", "",
				"GROSS", "REFUNDS", "NET", "MRR", "NEW", "CHURNED", "RENEWALS")
		}
		shown++
		name, currency := l.title(), string(l.Currency)
		if l.Apart {
			currency += ", kept apart"
		}
		texts := []string{name, clean(currency)}
		for _, f := range figures() {
			switch {
			case slices.Contains(notInGroups, f.column):
			case slices.Contains([]string{"new", "churned", "renewals"}, f.column):
				texts = append(texts, beside(l.Apart, f.count(l.GHL), f.count(l.Sage)))
			default:
				texts = append(texts, beside(l.Apart, f.amount(l.GHL).Decimal(), f.amount(l.Sage).Decimal()))
			}
		}
		cells(table, texts...)
	}
	return table.Flush()
}

// title names what a line of a group is of.
func (l RevenueLine) title() string {
	switch {
	case l.ID != "" && l.Name != "":
		return clean(l.ID) + ", " + clean(l.Name)
	case l.ID+l.Name != "":
		return clean(l.ID + l.Name)
	case l.Group == ProductGroup:
		return "not known"
	}
	return "-"
}

// beside is one figure of both sides.
func beside(apart bool, ghl, sage any) string {
	if apart {
		return fmt.Sprintf("%v / -", ghl)
	}
	return fmt.Sprintf("%v / %v", ghl, sage)
}

// csv writes a line for each of the report's. All amounts of a line are of its currency, and are plain decimal numbers.
func (r Revenue) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	head := []string{"month", "line", "id", "name", "currency", "kept_apart"}
	for _, f := range figures() {
		head = append(head, "ghl_"+f.column, "sage_"+f.column)
		if f.count != nil {
			head = append(head, "ghl_"+f.column+"_count", "sage_"+f.column+"_count")
		}
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for _, l := range r.Lines {
		apart := ""
		if l.Apart {
			apart = "yes"
		}
		line := []string{r.Month, l.Group, guard(l.ID), guard(l.Name), guard(string(l.Currency)), apart}
		for _, f := range figures() {
			line = append(line, f.amount(l.GHL).Decimal().String(), f.amount(l.Sage).Decimal().String())
			if f.count != nil {
				line = append(line, strconv.FormatInt(f.count(l.GHL), 10), strconv.FormatInt(f.count(l.Sage), 10))
			}
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
