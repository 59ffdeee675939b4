package domain

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Finding is one way in which the sides disagree on a record.
type Finding string

// The findings.
const (
	// Missing is a record that Sage should have and has not, or no longer; Extra one that only Sage has.
	Missing Finding = "missing"
	Extra   Finding = "extra"
	// The sides have the record and say different things of it.
	AmountDiffers   Finding = "amount"
	CurrencyDiffers Finding = "currency"
	StatusDiffers   Finding = "status"
	DateDiffers     Finding = "date"
	// Duplicate is one more record at Sage of what it has already.
	Duplicate Finding = "duplicate"
)

// Findings lists all findings, in the order in which a difference names them.
func Findings() []Finding {
	return []Finding{Missing, Extra, CurrencyDiffers, AmountDiffers, StatusDiffers, DateDiffers, Duplicate}
}

// Difference is a record on which the sides disagree, and by how much.
type Difference struct {
	Kind EntryKind `json:"kind"`
	// ID is HighLevel's id, Record Sage's; empty where that side has none.
	ID     string `json:"id,omitempty"`
	Record string `json:"record,omitempty"`
	// Findings has one or more, each once.
	Findings []Finding `json:"findings"`
	// GHL and Sage are what the sides say; nil where one says nothing. A record that was deleted is shown as it was. Of a
	// refund in several rows at Sage, the first row stands for all, with the sum of their amounts.
	GHL  *Entry `json:"ghl,omitempty"`
	Sage *Entry `json:"sage,omitempty"`
	// Amount is what HighLevel has in its books less what Sage has, signed. Where the currencies differ it is HighLevel's
	// part alone, and Foreign is Sage's, negative, in its own currency.
	Amount  Money `json:"amount"`
	Foreign Money `json:"foreign,omitzero"`
	// Since is when either side last changed what it says, the earliest time from which they can have disagreed. Whoever
	// knows when the entries were first seen may know better.
	Since time.Time `json:"since,omitzero"`
}

// Amounts is what the difference adds to the books of each currency: Amount, and Foreign where there is one.
func (d Difference) Amounts() []Money {
	if d.Foreign == (Money{}) {
		return []Money{d.Amount}
	}
	return []Money{d.Amount, d.Foreign}
}

// Compare tells how the sides disagree on one record, or nothing where they agree. All entries are of one kind and of
// one ID; nil and none mean that the side says nothing. The order of Sage's entries does not matter.
//
// The differences explain the books: what counts at HighLevel and is not kept apart, less what counts at Sage, is in each
// currency the sum of their Amounts, for whatever entries (see Entry.Counts). To that end every record of Sage's is in
// one difference at most, a deleted one in none that has an amount of its own.
//
// Of several records at Sage, the one that agrees best with HighLevel is compared and the others are duplicates; among
// equals the one that nobody edited, then the oldest. Parts of a refund, which differ in their ExtID, are summed up first.
// Days differ when they are more than one apart: Sage's are of no particular zone (A60, A139). A date that one side does
// not give is no difference, but for the next renewal, which Sage must have while the subscription renews.
func Compare(kind EntryKind, ghl *Entry, sage []Entry) []Difference {
	c := comparison{kind: kind, ghl: ghl}
	for _, e := range sage {
		if e.Gone || e.Test {
			c.gone = append(c.gone, e)
		} else {
			c.live = append(c.live, e)
		}
	}
	c.sort(c.live)
	c.sort(c.gone)
	if kind == RefundEntry && (ghl != nil || len(c.live) > 0 && c.live[0].ID != "") {
		c.joinParts()
	}
	c.match()
	return c.found
}

// comparison is one record on its way through Compare.
type comparison struct {
	kind EntryKind
	ghl  *Entry
	// live are Sage's records, the best first, and gone those that are no more.
	live, gone []Entry
	// spare are records that Sage has besides, each with what is wrong with it.
	spare []spare
	found []Difference
}

type spare struct {
	entry   Entry
	finding Finding
}

// known tells whether HighLevel has the record in earnest, be it in a state that the books need not have.
func (c *comparison) known() bool {
	return c.ghl != nil && !c.ghl.Apart && !c.ghl.Test && !c.ghl.Gone
}

// sort puts the records that agree best with HighLevel first, and is the same for any order in which they came.
func (c *comparison) sort(entries []Entry) {
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(
			cmp.Compare(c.distance(a), c.distance(b)),
			flagged(a.Edited)-flagged(b.Edited),
			a.UpdatedAt.Compare(b.UpdatedAt),
			cmp.Compare(len(a.Record), len(b.Record)), // Sage's ids are numbers, the shorter the older
			cmp.Compare(a.Record, b.Record),
		)
	})
}

// distance is 0 for a record that agrees with HighLevel, and more the less it does. A part of a refund says nothing alone.
func (c *comparison) distance(e Entry) int {
	if c.kind == RefundEntry || c.ghl == nil {
		return flagged(!e.Counts())
	}
	distance := len(disagreements(*c.ghl, e))
	if e.Counts() != c.ghl.Counts() {
		distance += len(Findings())
	}
	return distance
}

func flagged(on bool) int {
	if on {
		return 1
	}
	return 0
}

// joinParts makes one record of all rows of a refund.
func (c *comparison) joinParts() {
	var parts []Entry
	seen := map[string]bool{}
	for _, e := range c.live {
		if e.ExtID != "" && seen[e.ExtID] {
			c.spare = append(c.spare, spare{e, Duplicate})
			continue
		}
		seen[e.ExtID] = true
		parts = append(parts, e)
	}
	if len(parts) == 0 {
		return
	}
	first := 0
	if c.ghl != nil {
		first = max(0, slices.IndexFunc(parts, func(e Entry) bool { return e.Amount.Currency == c.ghl.Amount.Currency }))
	}
	whole := parts[first]
	for _, e := range slices.Delete(parts, first, first+1) {
		sum, err := whole.Amount.Add(e.Amount)
		switch {
		case err == nil && sum.Minor != math.MinInt64: // of which there is no negative
			whole.Amount, whole.Edited = sum, whole.Edited || e.Edited
			whole.UpdatedAt = newest(whole.UpdatedAt, e.UpdatedAt)
		case e.Amount.Currency != whole.Amount.Currency:
			c.spare = append(c.spare, spare{e, CurrencyDiffers})
		default: // beyond what one number holds
			c.spare = append(c.spare, spare{e, AmountDiffers})
		}
	}
	c.live = []Entry{whole}
}

// match pairs HighLevel's entry with the best of Sage's and lists what is left over.
func (c *comparison) match() {
	rest := c.live
	switch {
	case len(rest) == 0:
		if c.known() && c.ghl.Counts() {
			c.missing()
		}
	case c.known():
		c.pair(rest[0])
		rest = rest[1:]
	default:
		c.surplus(rest[0], Extra)
		rest = rest[1:]
	}
	for _, e := range rest {
		finding := Duplicate
		if c.ghl == nil && e.ID == "" { // records of nothing at HighLevel have nothing to do with each other
			finding = Extra
		}
		c.surplus(e, finding)
	}
	for _, s := range c.spare {
		c.surplus(s.entry, s.finding)
	}
}

func (c *comparison) missing() {
	d := Difference{Kind: c.kind, ID: c.ghl.ID, Findings: []Finding{Missing}, GHL: c.ghl, Amount: c.ghl.Amount, Since: c.ghl.changed()}
	if len(c.gone) > 0 {
		d.Sage, d.Record, d.Since = &c.gone[0], c.gone[0].Record, newest(d.Since, c.gone[0].changed())
	}
	c.found = append(c.found, d)
}

// pair compares two records that are the same thing.
func (c *comparison) pair(sage Entry) {
	findings := disagreements(*c.ghl, sage)
	if len(findings) == 0 {
		return
	}
	d := Difference{Kind: c.kind, ID: c.ghl.ID, Record: sage.Record, Findings: findings, GHL: c.ghl, Sage: &sage,
		Since: newest(c.ghl.changed(), sage.changed())}
	here, there := c.ghl.value(), sage.value()
	there.Minor = -there.Minor
	sum, err := here.Add(there)
	switch {
	case err == nil:
		d.Amount = sum
	case there.IsZero():
		d.Amount = here
	case here.IsZero():
		d.Amount = there
	default: // two currencies, or more than one number holds
		d.Amount, d.Foreign = here, there
	}
	c.found = append(c.found, d)
}

// surplus lists a record that Sage has too many, unless it is one that the books do not count.
func (c *comparison) surplus(e Entry, finding Finding) {
	if !e.Counts() {
		return
	}
	d := Difference{Kind: c.kind, ID: e.ID, Record: e.Record, Findings: []Finding{finding}, GHL: c.ghl, Sage: &e,
		Amount: NewMoney(-e.Amount.Minor, e.Amount.Currency), Since: e.changed()}
	if c.ghl != nil {
		d.ID, d.Since = c.ghl.ID, newest(d.Since, c.ghl.changed())
	}
	c.found = append(c.found, d)
}

// disagreements are the ways in which two records of one thing differ. What neither side counts is no matter of the
// books.
func disagreements(ghl, sage Entry) []Finding {
	here, there := ghl.Counts(), sage.Counts()
	switch {
	case !here && !there:
		return nil
	case here != there && ghl.Kind == RefundEntry:
		return []Finding{AmountDiffers}
	case here != there:
		return []Finding{StatusDiffers}
	}
	var findings []Finding
	switch {
	case ghl.Amount.Minor == 0 && sage.Amount.Minor == 0:
	case ghl.Amount.Currency != sage.Amount.Currency:
		findings = append(findings, CurrencyDiffers)
	case ghl.Amount != sage.Amount:
		findings = append(findings, AmountDiffers)
	}
	if !sameStatus(ghl, sage) {
		findings = append(findings, StatusDiffers)
	}
	if !sameDates(ghl, sage) {
		findings = append(findings, DateDiffers)
	}
	return findings
}

// sameStatus compares subscriptions by their stage where Sage has no more than that.
func sameStatus(ghl, sage Entry) bool {
	if ghl.Kind != SubscriptionEntry || ghl.Status == sage.Status {
		return ghl.Status == sage.Status
	}
	switch Stage(sage.Status) {
	case StageOpen, StageWon, StageLost:
		return SubscriptionState(ghl.Status).Stage() == Stage(sage.Status)
	}
	return false
}

// sameDates leaves out when a subscription began, which Sage has no place for.
func sameDates(ghl, sage Entry) bool {
	if ghl.Kind != SubscriptionEntry {
		return sameDay(ghl.At, sage.At)
	}
	if SubscriptionState(ghl.Status).Ended() || SubscriptionState(sage.Status).Ended() {
		return sameDay(ghl.Until, sage.Until)
	}
	if !ghl.Next.IsZero() && sage.Next.IsZero() {
		return false
	}
	return sameDay(ghl.Next, sage.Next)
}

// sameDay allows for zones: a moment lies on two days at once somewhere on earth, and Sage names one of no known zone.
func sameDay(a, b time.Time) bool {
	if a.IsZero() || b.IsZero() {
		return true
	}
	between := a.UTC().Truncate(24 * time.Hour).Sub(b.UTC().Truncate(24 * time.Hour))
	return between.Abs() <= 24*time.Hour
}

// changed is when the entry came to say what it says, as far as its source tells.
func (e Entry) changed() time.Time {
	if e.UpdatedAt.IsZero() {
		return e.At
	}
	return e.UpdatedAt
}

func newest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Proof shows, for one kind of entries and one currency, that the totals of both sides are what the list of differences
// says. HighLevel's total includes what is kept apart.
type Proof struct {
	Kind     EntryKind `json:"kind"`
	Currency Currency  `json:"currency"`
	// GHL and Sage are the totals of what counts on each side; Apart is the part of GHL that has no record at Sage by rule.
	GHL         Money `json:"ghl"`
	Sage        Money `json:"sage"`
	Apart       Money `json:"apart"`
	Differences Money `json:"differences"`
	// The counts are of records; DifferenceCount is of differences, those without an amount too. One difference between two
	// currencies is counted in each.
	GHLCount        int64 `json:"ghlCount"`
	SageCount       int64 `json:"sageCount"`
	ApartCount      int64 `json:"apartCount"`
	DifferenceCount int64 `json:"differenceCount"`
}

// Holds tells whether GHL = Sage + Apart + Differences, to the minor unit.
func (p Proof) Holds() bool {
	sum, err := Sum(p.Currency, p.Sage, p.Apart, p.Differences)
	return err == nil && sum == p.GHL
}

// Tally sums up compared records into proofs. It takes the entries and the differences as they come and trusts neither, so
// a difference that was left out shows. The zero value is ready; it is for one goroutine at a time.
type Tally struct{ proofs map[proofKey]*Proof }

type proofKey struct {
	kind     EntryKind
	currency Currency
}

// Add takes one record: what Compare was given, and the differences as they are reported. A total beyond int64 is an
// ErrMoney.
func (t *Tally) Add(kind EntryKind, ghl *Entry, sage []Entry, differences []Difference) error {
	if ghl != nil && ghl.Counts() {
		p := t.proof(kind, ghl.Amount.Currency)
		if err := p.add(&p.GHL, &p.GHLCount, ghl.Amount); err != nil {
			return err
		}
		if ghl.Apart {
			if err := p.add(&p.Apart, &p.ApartCount, ghl.Amount); err != nil {
				return err
			}
		}
	}
	for _, e := range sage {
		if !e.Counts() {
			continue
		}
		p := t.proof(kind, e.Amount.Currency)
		if err := p.add(&p.Sage, &p.SageCount, e.Amount); err != nil {
			return err
		}
	}
	for _, d := range differences {
		for _, amount := range d.Amounts() {
			p := t.proof(kind, amount.Currency)
			if err := p.add(&p.Differences, &p.DifferenceCount, amount); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Tally) proof(kind EntryKind, currency Currency) *Proof {
	key := proofKey{kind, currency}
	if p := t.proofs[key]; p != nil {
		return p
	}
	if t.proofs == nil {
		t.proofs = map[proofKey]*Proof{}
	}
	nothing := NewMoney(0, currency)
	t.proofs[key] = &Proof{Kind: kind, Currency: currency, GHL: nothing, Sage: nothing, Apart: nothing, Differences: nothing}
	return t.proofs[key]
}

func (p *Proof) add(total *Money, count *int64, amount Money) error {
	sum, err := total.Add(amount)
	if err != nil {
		return err
	}
	*total = sum
	*count++
	return nil
}

// Proofs lists what was proved, by kind and currency.
func (t *Tally) Proofs() []Proof {
	proofs := make([]Proof, 0, len(t.proofs))
	for _, p := range t.proofs {
		proofs = append(proofs, *p)
	}
	slices.SortFunc(proofs, func(a, b Proof) int {
		return cmp.Or(cmp.Compare(slices.Index(EntryKinds(), a.Kind), slices.Index(EntryKinds(), b.Kind)), cmp.Compare(a.Currency, b.Currency))
	})
	return proofs
}
