package books

import (
	"context"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// Query says what is compared.
type Query struct {
	Location string
	// Kinds are the kinds of records to compare; none means all.
	Kinds []domain.EntryKind
	// From and Before bound the period by HighLevel's date of each record, as store.CompareFilter tells. Zero is no bound.
	From, Before time.Time
	// Now is when the report is made. A difference that is younger than DifferenceAge then is in flight.
	Now           time.Time
	DifferenceAge time.Duration
	// Reconciled is when the last reconciliation began that came to its end, zero if none did. It read both sides, also where
	// it found nothing that is new.
	Reconciled time.Time
	// ListApart adds a row for each record that has no place at Sage by rule.
	ListApart bool
}

// kinds are the query's, in the order of reports, each once.
func (q Query) kinds() []domain.EntryKind {
	var kinds []domain.EntryKind
	for _, kind := range domain.EntryKinds() {
		chosen := len(q.Kinds) == 0
		for _, k := range q.Kinds {
			chosen = chosen || k == kind
		}
		if chosen {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// Cause is why the sides disagree, as far as is known.
type Cause string

// The causes. Where several are true, the first of them is told.
const (
	// Parked is a record that could not be brought: Row says by whom and why.
	Parked Cause = "parked"
	// DeletedInSage is a record that was there, DeletedInGHL one that HighLevel has no more.
	DeletedInSage Cause = "deleted_in_sage"
	DeletedInGHL  Cause = "deleted_in_ghl"
	// KeptApart is a record that has no place at Sage by rule, as its currency is not that of Sage's rows, or Sage has it
	// although it has none.
	KeptApart Cause = "kept_apart"
	// TestData is a record at Sage of something at HighLevel by which no money moved.
	TestData Cause = "test_data"
	// Edited is a record at Sage that a person wrote last.
	Edited Cause = "edited"
	// InFlight is a difference that is still young.
	InFlight Cause = "in_flight"
)

// The lines of a report.
const (
	DifferenceLine = "difference"
	ApartLine      = "apart"
	ProofLine      = "proof"
)

// Row is one line of a report: a difference, or a record that is kept apart.
type Row struct {
	// Line is DifferenceLine or ApartLine.
	Line string `json:"line"`
	// Difference is what the ledger says. On an ApartLine it has no findings and an Amount of zero.
	domain.Difference
	// Apart is what is kept apart, zero on a DifferenceLine.
	Apart domain.Money `json:"apart,omitzero"`
	// AgeSeconds is how long the sides have said what they say.
	AgeSeconds int64 `json:"ageSeconds"`
	// InFlight says that the difference is too young to count.
	InFlight bool `json:"inFlight,omitempty"`
	// Cause is empty where none is known.
	Cause Cause `json:"cause,omitempty"`
	// Parked is what is parked: the record or the order it belongs to, by its id. ParkedBy is the process that could not carry
	// it out, ParkedFor the kind of fault, and Reason what is wrong in a sentence.
	Parked    string `json:"parked,omitempty"`
	ParkedBy  string `json:"parkedBy,omitempty"`
	ParkedFor string `json:"parkedFor,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// Has tells whether the row has a finding.
func (r Row) Has(finding domain.Finding) bool {
	for _, f := range r.Findings {
		if f == finding {
			return true
		}
	}
	return false
}

// Summary is what a comparison came to.
type Summary struct {
	// Proofs is one for each kind and currency of which there is anything.
	Proofs []domain.Proof
	// Records counts what was compared, Differences the rows that are differences, and InFlight those of them that are too
	// young to count.
	Records, Differences, InFlight int64
	// ReadGHL and ReadSage are when either side was last read: by a reconciliation that came to its end, or later and in part;
	// zero if it never was.
	ReadGHL, ReadSage time.Time
}

// Holds tells whether all proofs hold: HighLevel's total = Sage's total + what is kept apart + the differences.
func (s Summary) Holds() bool {
	for _, p := range s.Proofs {
		if !p.Holds() {
			return false
		}
	}
	return true
}

// Standing is how many differences count: those that are not in flight.
func (s Summary) Standing() int64 { return s.Differences - s.InFlight }

// Agree tells whether the books agree: all proofs hold, and no difference counts.
func (s Summary) Agree() bool { return s.Holds() && s.Standing() == 0 }

// Compare hands each row to fn, by kind and id, and returns what it came to. It holds some hundreds of records at a time
// and a few dozen bytes for each parked item, whatever the ledger's size, and no connection to the database while fn runs.
// An error of fn ends it.
func Compare(ctx context.Context, s *store.Store, q Query, fn func(Row) error) (Summary, error) {
	c := comparison{query: q, fn: fn, sum: Summary{ReadGHL: q.Reconciled, ReadSage: q.Reconciled}}
	var err error
	if c.parked, err = readParked(ctx, s, q.Location); err != nil {
		return Summary{}, err
	}
	for _, kind := range q.kinds() {
		filter := store.CompareFilter{Location: q.Location, Kind: kind, From: q.From, Before: q.Before}
		err := s.ComparePages(ctx, filter, func(_ string, ghl *store.LedgerEntry, sage []store.LedgerEntry) error {
			return c.record(kind, ghl, sage)
		})
		if err != nil {
			return c.sum, err
		}
	}
	c.sum.Proofs = c.tally.Proofs()
	return c.sum, nil
}

type comparison struct {
	query  Query
	fn     func(Row) error
	parked map[string]parkedItem
	tally  domain.Tally
	sum    Summary
}

// record compares one record. The tally is given what is reported, not what it might be worked out from again.
func (c *comparison) record(kind domain.EntryKind, ghl *store.LedgerEntry, sage []store.LedgerEntry) error {
	found := store.Differences(kind, ghl, sage)
	var here *domain.Entry
	if ghl != nil {
		here = &ghl.Entry
		c.sum.ReadGHL = later(c.sum.ReadGHL, ghl.SeenAt)
	}
	there := make([]domain.Entry, len(sage))
	for i := range sage {
		there[i] = sage[i].Entry
		c.sum.ReadSage = later(c.sum.ReadSage, sage[i].SeenAt)
	}
	if err := c.tally.Add(kind, here, there, found); err != nil {
		return err
	}
	c.sum.Records++
	if c.query.ListApart && here != nil && here.Apart && here.Counts() {
		if err := c.fn(c.apart(*ghl)); err != nil {
			return err
		}
	}
	for _, d := range found {
		row := c.row(d)
		c.sum.Differences++
		if row.InFlight {
			c.sum.InFlight++
		}
		if err := c.fn(row); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) apart(e store.LedgerEntry) Row {
	d := domain.Difference{Kind: e.Kind, ID: e.ID, GHL: &e.Entry, Amount: domain.NewMoney(0, e.Amount.Currency), Since: e.ChangedAt}
	return Row{Line: ApartLine, Difference: d, Apart: e.Amount, AgeSeconds: c.age(d), Cause: KeptApart}
}

func (c *comparison) row(d domain.Difference) Row {
	r := Row{Line: DifferenceLine, Difference: d, AgeSeconds: c.age(d)}
	r.InFlight = c.query.Now.Sub(d.Since) < c.query.DifferenceAge
	if item, id, found := c.parkedAs(r); found {
		r.Cause, r.Parked = Parked, id
		r.ParkedBy, r.ParkedFor, r.Reason = item.process.Value(), item.kind.Value(), item.reason.Value()
		return r
	}
	r.Cause = causeOf(r)
	return r
}

func (c *comparison) age(d domain.Difference) int64 {
	return int64(max(0, c.query.Now.Sub(d.Since)).Seconds())
}

// parkedAs finds what is parked of a difference: the record itself or, of one that is missing, the order it belongs to.
func (c *comparison) parkedAs(r Row) (parkedItem, string, bool) {
	id := strings.TrimPrefix(r.ID, domain.RenewalOrderPrefix) // an order that stands for a payment has no process of its own
	if item, found := c.parked[id]; found && id != "" {
		return item, id, true
	}
	if !r.Has(domain.Missing) || r.GHL == nil || r.GHL.OrderID == "" {
		return parkedItem{}, "", false
	}
	item, found := c.parked[r.GHL.OrderID]
	return item, r.GHL.OrderID, found
}

func causeOf(r Row) Cause {
	switch {
	case r.Has(domain.Missing) && r.Sage != nil:
		return DeletedInSage
	case r.GHL != nil && r.GHL.Gone:
		return DeletedInGHL
	case r.GHL != nil && r.GHL.Test:
		return TestData
	case r.GHL != nil && r.GHL.Apart:
		return KeptApart
	case r.Sage != nil && r.Sage.Edited:
		return Edited
	case r.InFlight:
		return InFlight
	}
	return ""
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
