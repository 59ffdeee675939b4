package sage

import (
	"cmp"
	"slices"

	"github.com/tallystick/tallystick/domain"
)

// DefaultUsers are the API's user, whose keys are "sandbox-public" and "sandbox-secret", and a person who works in Sage.
func DefaultUsers() []User {
	return []User{
		{ID: 51, FirstName: "Tallystick", LastName: "API", Email: "api@sage.example",
			PublicKey: "sandbox-public", SecretKey: "sandbox-secret"},
		{ID: 7, FirstName: "Petra", LastName: "Person", Email: "petra@sage.example"},
	}
}

// BranchCurrency is the currency of all branches, and so that of the rows of booked sales, which name none.
const BranchCurrency domain.Currency = "EUR"

// DefaultStatuses are the sales order statuses of a tenant that has one open, one won and one lost.
func DefaultStatuses() []Status {
	return []Status{{Name: "Open"}, {Name: "Won", Won: true}, {Name: "Lost", Lost: true}}
}

// DefaultOpportunityStatuses are those of a tenant with one open, one won and one lost.
func DefaultOpportunityStatuses() []OpportunityStatus {
	return []OpportunityStatus{{Name: "Open"}, {Name: "Won", Won: 1, EndStatus: true}, {Name: "Lost", EndStatus: true}}
}

// fill makes users, value lists and extra fields.
func (s *Server) fill() {
	users := s.table("users")
	byID := slices.SortedFunc(slices.Values(s.opts.Users), func(a, b User) int { return cmp.Compare(a.ID, b.ID) })
	for _, u := range byID {
		users.next = u.ID
		s.seed("users", map[string]any{"name": u.FirstName, "lastname": u.LastName, "email": u.Email, "isactive": true,
			"extid": nullable(u.ExtID)})
	}
	for _, c := range [][3]string{{string(BranchCurrency), "€", "Euro"}, {"USD", "$", "US Dollar"}, {"GBP", "£", "Pound Sterling"},
		{"JPY", "¥", "Yen"}, {"KWD", "KD", "Kuwaiti Dinar"}, {"CHF", "CHF", "Swiss Franc"}} {
		s.seed("currencies", map[string]any{"isocode": c[0], "symbol": c[1], "descriptionen": c[2]})
	}
	for _, c := range [][2]string{{"DE", "Germany"}, {"ES", "Spain"}, {"GB", "United Kingdom"}, {"JP", "Japan"},
		{"KW", "Kuwait"}, {"US", "United States"}} {
		s.seed("countries", map[string]any{"iso2": c[0], "strname": c[1]})
	}
	branches := s.opts.Branches
	if branches == nil {
		branches = []string{"Main branch"}
	}
	for i, name := range branches {
		s.seed("branches", map[string]any{"name": name, "default": i == 0, "mainenvironment": i == 0,
			"currencyid": s.table("currencies").ids[0]})
	}
	statuses := s.opts.Statuses
	if statuses == nil {
		statuses = DefaultStatuses()
	}
	for i, status := range statuses {
		s.seed("salesorderStatuses", map[string]any{"descriptionen": status.Name, "won": status.Won,
			"lost": status.Lost, "order": int64(i + 1)})
	}
	s.fillPipeline()
	for _, list := range []string{"accountTypes", "accountStatuses", "contactTypes", "orderTypes", "opportunityTypes",
		"productCategories", "productFamilies"} {
		s.seed(list, map[string]any{"descriptionen": "Standard"})
	}
	for _, e := range s.opts.ExtraFields {
		s.addExtraField(e)
	}
}

func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (s *Server) fillPipeline() {
	stages := s.opts.OpportunityStatuses
	if stages == nil {
		stages = DefaultOpportunityStatuses()
	}
	for i, stage := range stages {
		s.seed("opportunityStatuses", map[string]any{"descriptionen": stage.Name, "won": stage.Won,
			"endstatus": stage.EndStatus, "order": int64(i + 1)})
	}
	types := s.opts.ActivityTypes
	if types == nil {
		types = []string{"Standard"}
	}
	for _, name := range types {
		s.seed("activityTypes", map[string]any{"descriptionen": name})
	}
}

// seed inserts a row that was there before anybody looked: it is in no log.
func (s *Server) seed(resourceName string, values map[string]any) {
	t := s.table(resourceName)
	values["deleted"] = false
	t.stamp(t.insert(values), "created", s.Person(), s.now())
}
