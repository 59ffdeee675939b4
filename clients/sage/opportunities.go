package sage

import (
	"context"
	"strings"

	"github.com/tallystick/tallystick/domain"
)

// Opportunity is a sale that is expected: on a date, with a probability, in a stage of the tenant's pipeline.
type Opportunity struct {
	Audit
	ExtID string `json:"extId"`
	// Reference is its name for people.
	Reference  string `json:"reference"`
	AccountID  Ref    `json:"accountId1"`
	AccountID2 Ref    `json:"accountId2"`
	AccountID3 Ref    `json:"accountId3"`
	BranchID   Ref    `json:"branchId"`
	SalesRepID Ref    `json:"salesRepId"`
	StatusID   Ref    `json:"statusId"`
	CurrencyID Ref    `json:"currencyId"`

	Total domain.Number `json:"total"`
	// SalesProbability is called a number from 0 to 10, while samples show 10 and 60 (A134).
	SalesProbability domain.Number `json:"salesProbability"`
	Comments         string        `json:"comments"`

	// SalesForecastDate is spelt right here, other than on orders.
	SalesForecastDate Time `json:"salesForecastDate"`
	WonDate           Time `json:"wonDate"`
	LostDate          Time `json:"lostDate"`
	ClosedDate        Time `json:"closedDate"`

	ReadOnly Bool `json:"readOnly"`
	// Extra are the tenant's own fields.
	Extra Extra `json:"-"`
}

func (o Opportunity) externalID() string { return o.ExtID }

// Locked names what forbids writing to the opportunity: "deleted", "readOnly", or "" for nothing.
func (o Opportunity) Locked() string { return locked(o.Deleted, o.ReadOnly, false) }

// UnmarshalJSON reads an opportunity with its extra fields.
func (o *Opportunity) UnmarshalJSON(data []byte) (err error) {
	type plain Opportunity
	*o = Opportunity{}
	o.Extra, err = unflatten(data, (*plain)(o))
	return err
}

// OpportunityFields are what is to be written of an opportunity; nil fields are not sent. A create needs Reference,
// SalesRepID, StatusID, BranchID and SalesProbability (an integration that tried), and the endpoint pages call the last
// one required on an update as well, so send it always (A134).
type OpportunityFields struct {
	ExtID      *string `json:"extId,omitempty"`
	Reference  *string `json:"reference,omitempty"`
	AccountID  *int64  `json:"accountId1,omitempty"`
	BranchID   *int64  `json:"branchId,omitempty"`
	SalesRepID *int64  `json:"salesRepId,omitempty"`
	StatusID   *int64  `json:"statusId,omitempty"`
	CurrencyID *int64  `json:"currencyId,omitempty"`

	Total            *domain.Number `json:"total,omitempty"`
	SalesProbability *int64         `json:"salesProbability,omitempty"`
	Comments         *string        `json:"comments,omitempty"`

	// Whether WonDate, LostDate and ClosedDate are Sage's to set when the status changes is not documented (A135).
	SalesForecastDate *Time `json:"salesForecastDate,omitempty"`
	WonDate           *Time `json:"wonDate,omitempty"`
	LostDate          *Time `json:"lostDate,omitempty"`
	ClosedDate        *Time `json:"closedDate,omitempty"`

	Extra ExtraFields `json:"-"`
}

// MarshalJSON writes the fields that are set, the extra fields among them.
func (f OpportunityFields) MarshalJSON() ([]byte, error) {
	type plain OpportunityFields
	return flatten(plain(f), f.Extra)
}

var opportunityFields = filterFields(
	[]string{"extId", "reference", "total", "salesProbability", "salesForecastDate", "wonDate", "lostDate", "closedDate",
		"readOnly"},
	[]string{"accountId1", "accountId2", "accountId3", "branchId", "salesRepId", "statusId", "currencyId"},
)

// OpportunityStatus is a stage of the tenant's pipeline.
type OpportunityStatus struct {
	Entry
	// Won is 1 in the sample of a stage that ends the opportunity; what else it may be is not documented (A136).
	Won looseText `json:"won"`
	// EndStatus marks final stages.
	EndStatus Bool `json:"endStatus"`
	// Position is the place in the list.
	Position domain.Number `json:"order"`
}

func (s OpportunityStatus) is(o Outcome) bool {
	won := strings.ToLower(string(s.Won))
	switch o {
	case Won:
		return bool(s.EndStatus) && (won == "1" || won == "true")
	case Lost:
		return bool(s.EndStatus) && (won == "" || won == "0" || won == "false")
	default:
		return !bool(s.EndStatus)
	}
}

// OpportunityStatuses are the live stages of opportunities by ascending id. The slice is shared: don't change it.
func (k *Catalog) OpportunityStatuses(ctx context.Context) ([]OpportunityStatus, error) {
	return k.stages.get(ctx)
}

// OpportunityStatus is the id of the one stage with the outcome that is visible in the branch (any branch if 0). Where
// there is none, or more than one, it is a *MappingError that names the choices and the variable that settles it.
func (k *Catalog) OpportunityStatus(ctx context.Context, outcome Outcome, branchID int64, variable string) (int64, error) {
	stages, err := k.OpportunityStatuses(ctx)
	if err != nil {
		return 0, err
	}
	pick := choice{what: "opportunity status that means " + outcome.String(), variable: variable}
	for _, s := range stages {
		if s.is(outcome) && s.visibleIn(branchID) {
			pick.add(s.ID, s.Label())
		}
	}
	return pick.only()
}
