package sage

import (
	"context"
	"iter"
	"strings"

	"github.com/tallystick/tallystick/domain"
)

// ListName is the path of a value list. Its ids differ from tenant to tenant.
type ListName string

// The value lists of the API (endpoint pages). A tenant may hide entries from some of its branches.
const (
	SalesOrderStatuses  ListName = "salesorderStatuses"
	Currencies          ListName = "currencies"
	Branches            ListName = "branches"
	Users               ListName = "users"
	Countries           ListName = "countries"
	Timezones           ListName = "timezones"
	OrderTypes          ListName = "orderTypes"
	AccountTypes        ListName = "accountTypes"
	AccountStatuses     ListName = "accountStatuses"
	AccountSegments     ListName = "accountSegments"
	ContactTypes        ListName = "contactTypes"
	ActivityTypes       ListName = "activityTypes"
	OpportunityTypes    ListName = "opportunityTypes"
	OpportunityStatuses ListName = "opportunityStatuses"
	ProductCategories   ListName = "productCategories"
	ProductFamilies     ListName = "productFamilies"
)

var listNames = map[ListName]bool{
	SalesOrderStatuses: true, Currencies: true, Branches: true, Users: true, Countries: true, Timezones: true,
	OrderTypes: true, AccountTypes: true, AccountStatuses: true, AccountSegments: true, ContactTypes: true,
	ActivityTypes: true, OpportunityTypes: true, OpportunityStatuses: true, ProductCategories: true, ProductFamilies: true,
}

// valuePageSize reads a usual value list in one or two calls. An integration reads all countries with a Count of 300
// (A74).
const valuePageSize = 300

// ValueList reads one value list.
type ValueList[T Record] struct {
	client *Client
	name   ListName
}

func newValueList[T Record](c *Client, name ListName) *ValueList[T] {
	return &ValueList[T]{client: c, name: name}
}

// Values reads any of the value lists by what all have in common. A name that is none of the constants is an error
// when the list is read.
func (c *Client) Values(name ListName) *ValueList[Entry] { return newValueList[Entry](c, name) }

// List reads the entries page by page, deleted ones included.
func (v *ValueList[T]) List(ctx context.Context) iter.Seq2[T, error] {
	if !listNames[v.name] { // operation names come from a fixed set
		return func(yield func(T, error) bool) {
			var none T
			yield(none, wrongCall("sage.values.list", "there is no value list %q", clip(string(v.name), 70)))
		}
	}
	return list[T](ctx, v.client, listing{
		operation: vendor + "." + strings.ToLower(string(v.name)) + "." + actionList,
		path:      "/" + string(v.name),
		options:   ListOptions{PageSize: valuePageSize},
	})
}

// Live reads the entries that are not deleted, by ascending id.
func (v *ValueList[T]) Live(ctx context.Context) ([]T, error) {
	rows, err := collect(v.List(ctx))
	if err != nil {
		return nil, err
	}
	live := rows[:0]
	for _, row := range rows {
		if !bool(row.audit().Deleted) {
			live = append(live, row)
		}
	}
	return live, nil
}

// Labels are the names of an entry in the languages of the tenant, of which any may be missing.
type Labels struct {
	Plain string `json:"description"`
	EN    string `json:"descriptionEN"`
	US    string `json:"descriptionUS"`
	ES    string `json:"descriptionES"`
	IT    string `json:"descriptionIT"`
	DE    string `json:"descriptionDE"`
	FR    string `json:"descriptionFR"`
	BR    string `json:"descriptionBR"`
	DK    string `json:"descriptionDK"`
	PT    string `json:"descriptionPT"`
	RU    string `json:"descriptionRU"`
}

// Label is the first name that isn't blank, English first, in the order of the vendor's connector.
func (l Labels) Label() string {
	for _, label := range []string{l.EN, l.US, l.ES, l.IT, l.DE, l.FR, l.BR, l.DK, l.PT, l.RU, l.Plain} {
		if label = strings.TrimSpace(label); label != "" {
			return label
		}
	}
	return ""
}

// Entry is what all value lists have in common.
type Entry struct {
	Audit
	Labels
	// BranchVisibility are the branches that the entry is limited to; none means all (inferred, A68).
	BranchVisibility []Ref `json:"branchVisibility"`
}

func (e Entry) visibleIn(branchID int64) bool {
	if branchID == 0 || len(e.BranchVisibility) == 0 {
		return true
	}
	for _, branch := range e.BranchVisibility {
		if branch.ID == branchID {
			return true
		}
	}
	return false
}

// OrderStatus is a stage of the tenant's sales pipeline.
type OrderStatus struct {
	Entry
	// Won and Lost mark final stages; a stage with neither is open (A68).
	Won  Bool `json:"won"`
	Lost Bool `json:"lost"`
	// Position is the place in the list.
	Position domain.Number `json:"order"`
}

// Currency is one the tenant has set up.
type Currency struct {
	Entry
	// ISOCode is the ISO 4217 code.
	ISOCode string `json:"isoCode"`
	Symbol  string `json:"symbol"`
}

// Branch is a part of the tenant's organisation that records belong to.
type Branch struct {
	Entry
	Name string `json:"name"`
	// Default marks the branch that is assigned where none is given.
	Default    Bool `json:"default"`
	CurrencyID Ref  `json:"currencyId"`
}

// Country is an entry of the list of countries.
type Country struct {
	Entry
	// ISO2 is the ISO 3166 alpha-2 code.
	ISO2 string `json:"iso2"`
	Name string `json:"strName"`
}

// User is somebody who works in Sage. The names and the address are personal data.
type User struct {
	Audit
	ExtID     string `json:"extId"`
	FirstName string `json:"name"`
	LastName  string `json:"lastName"`
	Email     string `json:"email"`
	// Active is nil where the tenant does not say.
	Active *Bool `json:"isActive"`
}

// IsActive tells whether the user may own records. A tenant that does not say has only active users
// (A75).
func (u User) IsActive() bool { return !bool(u.Deleted) && (u.Active == nil || bool(*u.Active)) }
