package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
)

const sagePart = "sage"

// tenant looks at the Sage tenant of a connection, unless the one of a connection before was the same.
func (s Subject) tenant(ctx context.Context, c Connection, seen map[string]string) []Finding {
	switch {
	case c.SageFault != nil:
		return []Finding{c.finding(sagePart, "log in", Fail, c.SageFault.Error(), "`starter connect set "+c.Location+" --env-file FILE`")}
	case c.Sage == nil:
		return []Finding{c.finding(sagePart, "log in", Skip, "no tenant is chosen yet", "")}
	case c.Tenant != "" && seen[c.Tenant] != "":
		return []Finding{c.finding(sagePart, "log in", Skip, "the same tenant as that of "+seen[c.Tenant], "")}
	}
	seen[c.Tenant] = c.Location
	found := tenant{
		Client: c.Sage, set: c.Settings, ships: c.Shipping, create: s.CreateFields, dryRun: s.DryRun,
		hookToken: s.Config.Shipping.HookToken, hookAddress: HookAddress(s.Config),
	}.look(ctx)
	for i := range found {
		found[i].Location = c.Location
		if c.Connection.Sage == store.SageOfItsOwn && strings.Contains(found[i].Mend, "SAGE_") {
			found[i].Mend += ", in the file of `starter connect set " + c.Location + " --env-file FILE`"
		}
	}
	return found
}

// tenant is a Sage tenant with its settings.
type tenant struct {
	*sage.Client
	set            config.Sage
	ships          config.Shipping
	create, dryRun bool
	// hookAddress is where Sage is to post if hookToken is set; empty where that is not known.
	hookToken   secret.Text
	hookAddress string
}

// look logs in, and looks whether every id that orders need is set or can be found without choosing.
func (s tenant) look(ctx context.Context) []Finding {
	if _, err := s.Catalog.Branches(ctx); err != nil {
		return []Finding{{Part: sagePart, Check: "log in", Verdict: Fail, Found: err.Error(), Mend: sageMend(err)}}
	}
	found := []Finding{{Part: sagePart, Check: "log in", Verdict: OK}}
	branch, finding := s.branch(ctx)
	found = append(found, finding, s.salesRep(ctx))
	set := s.set
	found = append(found,
		s.status(ctx, "SAGE_ORDER_STATUS_OPEN", set.StatusOpen, sage.Open, branch),
		s.status(ctx, "SAGE_ORDER_STATUS_WON", set.StatusWon, sage.Won, branch))
	if set.StatusRefunded != 0 {
		found = append(found, s.status(ctx, "SAGE_ORDER_STATUS_REFUNDED", set.StatusRefunded, anyOutcome, branch))
	}
	found = append(append(found, s.currencies(ctx)), s.extraFields(ctx)...)
	return append(found, s.shipping(ctx)...)
}

func sageMend(err error) string {
	if errors.Is(err, sage.ErrCredentials) {
		return "make API keys in Sage under Settings, Integrations, and set SAGE_PUBLIC_KEY and SAGE_PRIVATE_KEY"
	}
	return "see whether SAGE_BASE_URL is right and the network lets calls out"
}

// setting judges one id: the one that is set must be among the choices, and where none is set there must be only one.
func setting(variable string, set int64, choices []Choice, resolved int64, err error) Finding {
	f := Finding{Part: sagePart, Check: variable, Verdict: OK}
	var missing *sage.MappingError
	switch {
	case set != 0:
		i := slices.IndexFunc(choices, func(c Choice) bool { return c.ID == set })
		if i >= 0 {
			f.Found = named(choices[i]) + ", as set"
			return f
		}
		f.Verdict, f.Found, f.Choices = Fail, strconv.FormatInt(set, 10)+" is not among the tenant's", choices
		f.Mend = "set " + variable + " to one of the choices"
	case errors.As(err, &missing) && len(choices) == 0:
		f.Verdict, f.Found = Fail, "the tenant has none"
		f.Mend = "add one in Sage"
	case errors.As(err, &missing):
		f.Verdict, f.Found, f.Choices = Fail, "more than one is possible", choices
		f.Mend = "set " + variable + " to one of the choices"
	case err != nil:
		f.Verdict, f.Found, f.Mend = Fail, err.Error(), sageMend(err)
	default:
		f.Found = strconv.FormatInt(resolved, 10)
		if i := slices.IndexFunc(choices, func(c Choice) bool { return c.ID == resolved }); i >= 0 {
			f.Found = named(choices[i])
		}
	}
	return f
}

func named(c Choice) string { return strings.TrimSpace(strconv.FormatInt(c.ID, 10) + " " + c.Name) }

func (s tenant) branch(ctx context.Context) (int64, Finding) {
	const variable = "SAGE_BRANCH_ID"
	branches, err := s.Catalog.Branches(ctx)
	var choices []Choice
	for _, b := range branches {
		name := b.Name
		if name == "" {
			name = b.Label()
		}
		choices = append(choices, Choice{b.ID, name})
	}
	id := s.set.BranchID
	if err == nil && id == 0 {
		id, err = s.Catalog.Branch(ctx, variable)
	}
	return id, setting(variable, s.set.BranchID, choices, id, err)
}

func (s tenant) salesRep(ctx context.Context) Finding {
	const variable = "SAGE_SALES_REP_ID"
	users, err := s.Catalog.Users(ctx)
	var choices []Choice
	for _, u := range users {
		if u.IsActive() {
			choices = append(choices, Choice{u.ID, strings.TrimSpace(u.FirstName + " " + u.LastName)})
		}
	}
	id := s.set.SalesRepID
	if err == nil && id == 0 {
		id, err = s.Catalog.SalesRep(ctx, variable)
	}
	return setting(variable, s.set.SalesRepID, choices, id, err)
}

// anyOutcome stands for a status of whatever outcome.
const anyOutcome sage.Outcome = -1

func (s tenant) status(ctx context.Context, variable string, set int64, outcome sage.Outcome, branch int64) Finding {
	statuses, err := s.Catalog.OrderStatuses(ctx)
	var choices []Choice
	for _, st := range statuses {
		// A status that is set may be of another outcome: some tenants call a paid order something else than won.
		if set != 0 || meaning(st) == outcome {
			choices = append(choices, Choice{st.ID, st.Label()})
		}
	}
	id := set
	if err == nil && id == 0 {
		id, err = s.Catalog.OrderStatus(ctx, outcome, branch, variable)
	}
	f := setting(variable, set, choices, id, err)
	for _, st := range statuses {
		if f.Verdict == OK && st.ID == id && outcome != anyOutcome && meaning(st) != outcome {
			f.Verdict, f.Mend = Warn, "make sure that this is meant: Sage does not count it as "+outcome.String()
		}
	}
	return f
}

func meaning(s sage.OrderStatus) sage.Outcome {
	switch won, lost := bool(s.Won), bool(s.Lost); {
	case won && !lost:
		return sage.Won
	case lost && !won:
		return sage.Lost
	case won && lost:
		return anyOutcome
	}
	return sage.Open
}

func (s tenant) currencies(ctx context.Context) Finding {
	f := Finding{Part: sagePart, Check: "currencies", Verdict: OK}
	currencies, err := s.Catalog.Currencies(ctx)
	if err != nil {
		f.Verdict, f.Found, f.Mend = Fail, err.Error(), sageMend(err)
		return f
	}
	var codes []string
	for _, c := range currencies {
		if code := strings.ToUpper(strings.TrimSpace(c.ISOCode)); code != "" && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	f.Found = strings.Join(codes, ", ")
	if len(codes) == 0 {
		f.Verdict, f.Found, f.Mend = Fail, "the tenant has no currency with an ISO code", "add in Sage the currencies that you sell in"
	}
	return f
}

// extraFields looks for the fields that hold what Sage has no field for. They are a convenience: without them the same
// facts are written into the internal comment.
func (s tenant) extraFields(ctx context.Context) []Finding {
	const check = "extra fields"
	schema, err := s.Catalog.OrderSchema(ctx)
	if err != nil {
		return []Finding{{Part: sagePart, Check: check, Verdict: Fail, Found: err.Error(), Mend: sageMend(err)}}
	}
	var found []Finding
	var missing []string
	facts := activities.Facts()
	names := make([]string, 0, len(facts))
	for fact := range facts {
		names = append(names, fact)
	}
	slices.Sort(names)
	for _, fact := range names {
		name := s.fieldName(fact)
		field, ok := schema.Fields[name]
		switch {
		case !ok && s.create:
			found = append(found, s.createField(ctx, fact, name, facts[fact]))
		case !ok:
			missing = append(missing, name)
		case !fits(field, facts[fact]):
			found = append(found, Finding{Part: sagePart, Check: name, Verdict: Fail,
				Found: fmt.Sprintf("it cannot hold a %s", facts[fact]),
				Mend:  "give this fact another field with SAGE_EXTRA_FIELDS=" + fact + ":Z_…"})
		}
	}
	if len(missing) > 0 {
		words := "missing on sales orders: " + strings.Join(missing, ", ") + "; their facts go into the internal comment"
		if status := s.fieldName("FulfillmentStatus"); s.ships.On && slices.Contains(missing, status) {
			words += ", and without " + status + " nobody can say in Sage that an order was shipped"
		}
		return append(found, Finding{Part: sagePart, Check: check, Verdict: Warn, Found: words,
			Mend: "`starter check --create-fields` makes them"})
	}
	if len(found) == 0 {
		found = append(found, Finding{Part: sagePart, Check: check, Verdict: OK})
	}
	return found
}

func (s tenant) fieldName(fact string) string {
	if name := s.set.ExtraFields[fact]; name != "" {
		return name
	}
	return s.set.ExtraFieldPrefix + fact
}

func fits(field sage.Field, want sage.ExtraType) bool {
	switch want {
	case sage.ExtraDecimal:
		return field.Is("number") || field.Is("integer")
	default: // dates are texts of a format, and a text field takes a date as well
		return field.Is("string")
	}
}

func (s tenant) createField(ctx context.Context, fact, name string, kind sage.ExtraType) Finding {
	f := Finding{Part: sagePart, Check: name, Verdict: OK}
	if s.dryRun {
		f.Verdict, f.Found, f.Mend = Warn, fmt.Sprintf("would be made as %s on sales orders", kind), "run without --dry-run"
		return f
	}
	id, err := s.CreateExtraField(ctx, sage.ExtraOnOrders, sage.NewExtraField{Name: name, Type: kind, Label: label(fact)})
	if err != nil {
		f.Verdict, f.Found = Fail, err.Error()
		f.Mend = "make it in Sage under Settings, Extra fields, or run `starter check` to see whether it is there now"
		return f
	}
	f.Found = fmt.Sprintf("made as %s, definition %d", kind, id)
	return f
}

// label turns "PaidAmount" into "Paid amount".
func label(fact string) string {
	var b strings.Builder
	for i, r := range fact {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte(' ')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
