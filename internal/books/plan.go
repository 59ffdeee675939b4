package books

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// Action is what can be done about a difference.
type Action string

// The actions.
const (
	// LookAgain has an order read again and brought into Sage by its process.
	LookAgain Action = "look"
	// BringAgain has the next reconciliation bring a payment, refund or subscription although nothing of it has changed.
	BringAgain Action = "bring"
	// ByPerson is what only a person can decide: Step's Why says what.
	ByPerson Action = "person"
)

// Step is one thing to do.
type Step struct {
	Action Action           `json:"action"`
	Kind   domain.EntryKind `json:"kind"`
	// ID is HighLevel's id, Record Sage's; empty where that side has none.
	ID     string `json:"id,omitempty"`
	Record string `json:"record,omitempty"`
	// Why says what is wrong or, of what is for a person, what to do.
	Why string `json:"why"`
}

// Plan is what is to be done about differences, each thing once. It grows with the differences, not with the ledger. The
// zero value is not ready: use NewPlan.
type Plan struct {
	Steps []Step
	// LeftAlone counts differences that are in flight.
	LeftAlone int64

	store    *store.Store
	location string
	planned  map[planKey]bool
}

type planKey struct {
	action     Action
	kind       domain.EntryKind
	id, record string
}

// NewPlan begins a plan for a location.
func NewPlan(s *store.Store, location string) *Plan {
	return &Plan{Steps: []Step{}, store: s, location: location, planned: map[planKey]bool{}}
}

// Add plans what is to be done about a row. A payment that Sage lacks may belong to an order that was never brought: then
// that is looked at as well.
func (p *Plan) Add(ctx context.Context, r Row) error {
	switch {
	case r.Line != DifferenceLine:
		return nil
	case r.InFlight:
		p.LeftAlone++
		return nil
	}
	payment, renewal := strings.CutPrefix(r.ID, domain.RenewalOrderPrefix)
	step := Step{Action: BringAgain, Kind: r.Kind, ID: r.ID, Record: r.Record, Why: words(r.Findings)}
	if why := forPerson(r); why != "" {
		step.Action, step.Why = ByPerson, why
		if r.Cause == Parked && r.Parked != r.ID { // it is the order, or of its own the payment, that somebody must see to
			step.Kind, step.ID, step.Record = domain.OrderEntry, r.Parked, ""
			if renewal {
				step.Kind = domain.PaymentEntry
			}
		}
	} else if renewal {
		step.Kind, step.ID, step.Record = domain.PaymentEntry, payment, ""
	} else if r.Kind == domain.OrderEntry {
		step.Action = LookAgain
	}
	p.add(step)
	if step.Action != BringAgain || !r.Has(domain.Missing) || r.GHL.OrderID == "" {
		return nil
	}
	_, brought, err := p.store.Order(ctx, p.location, r.GHL.OrderID)
	if err == nil && !brought {
		p.add(Step{Action: LookAgain, Kind: domain.OrderEntry, ID: r.GHL.OrderID, Why: fmt.Sprintf("not in Sage, and the %s %s is missing there", r.Kind, r.ID)})
	}
	return err
}

// add leaves out what is planned already. The processes are told which thing to see to, a person also which record of it.
func (p *Plan) add(s Step) {
	key := planKey{action: s.Action, kind: s.Kind, id: s.ID}
	if s.Action == ByPerson {
		key.record = s.Record
	}
	if !p.planned[key] {
		p.planned[key] = true
		p.Steps = append(p.Steps, s)
	}
}

// forPerson says what a person has to do about a difference, empty if it can be mended without one.
func forPerson(r Row) string {
	switch {
	case r.Cause == Parked:
		then := "each reconciliation tries it again"
		if r.ParkedBy == store.PaymentToOrder {
			then = "then use `starter replay --id " + r.Parked + "`"
		}
		return fmt.Sprintf("parked for %s: %s; %s", r.ParkedFor, strings.TrimRight(r.Reason, "."), then)
	case r.GHL == nil || r.GHL.Gone || r.GHL.Test || r.GHL.Apart:
		return surplus(r)
	case r.Has(domain.Duplicate) && r.Sage.Edited:
		return "there is one already, and a person wrote this one last: delete it in Sage if it is not wanted"
	case strings.HasPrefix(r.ID, domain.RenewalOrderPrefix) && !r.GHL.Counts():
		return "it stands for a payment that HighLevel counts no more: delete the order in Sage if the money is gone"
	}
	return ""
}

// surplus says what to do about a record that only Sage has in its books. We never delete one: it may be a sale of another
// kind.
func surplus(r Row) string {
	switch {
	case r.GHL == nil && r.ID == "":
		return "only Sage has it, and it names nothing of HighLevel's: delete it in Sage if it is not to be in the books"
	case r.GHL == nil:
		return "only Sage has it, and HighLevel lists nothing of that id: delete it in Sage if it never was"
	case r.GHL.Gone:
		return "it was deleted in HighLevel: delete it in Sage, too, if no money moved"
	case r.GHL.Test:
		return "no money moved, it is test data in HighLevel: delete it in Sage"
	}
	return "it is kept apart by rule, and Sage has it all the same: delete it in Sage, or change the rule"
}

// Count is how many steps are of an action.
func (p *Plan) Count(action Action) (n int) {
	for _, s := range p.Steps {
		if s.Action == action {
			n++
		}
	}
	return n
}

// IDs are HighLevel's ids of the steps of an action and a kind, in the order in which they were planned.
func (p *Plan) IDs(action Action, kind domain.EntryKind) []string {
	var ids []string
	for _, s := range p.Steps {
		if s.Action == action && s.Kind == kind {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// words names findings in a report.
func words(findings []domain.Finding) string {
	list := make([]string, 0, len(findings))
	for _, f := range domain.Findings() {
		if slices.Contains(findings, f) {
			list = append(list, string(f))
		}
	}
	return strings.Join(list, ", ")
}
