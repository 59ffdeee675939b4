package sage

import (
	"context"

	"github.com/tallystick/tallystick/domain"
)

// Order is the head of a sales order. Its lines are records of their own: see Line.
type Order struct {
	Audit
	ExtID string `json:"extId"`
	// Reference is the order's name for people.
	Reference string        `json:"reference"`
	Number    domain.Number `json:"number"`
	Year      domain.Number `json:"year"`

	AccountID     Ref `json:"accountId"`
	ContactID     Ref `json:"contactId"`
	OpportunityID Ref `json:"opportunityId"`
	BranchID      Ref `json:"branchId"`
	SalesRepID    Ref `json:"salesRepId"`
	StatusID      Ref `json:"statusId"`
	TypeID        Ref `json:"typeId"`
	CurrencyID    Ref `json:"currencyId"`

	// Total is a plain field: Sage neither computes nor checks it (A56, inferred from a sample of the endpoint pages whose
	// total is not the sum of its parts).
	Total domain.Number `json:"total"`
	// Discount1 to Discount4 are percentages.
	Discount1 domain.Number `json:"discount1"`
	Discount2 domain.Number `json:"discount2"`
	Discount3 domain.Number `json:"discount3"`
	Discount4 domain.Number `json:"discount4"`

	Comment         string `json:"comment"`
	InternalComment string `json:"internalComment"`
	ClosedDate      Time   `json:"closedDate"`
	// SalesForecastDate is spelt salesForcecastDate in requests and samples, and rightly in one model of the vendor's
	// connector. Either is read.
	SalesForecastDate Time `json:"salesForcecastDate"`

	Archived Bool `json:"archived"`
	// Blocked and ReadOnly orders can't be changed (endpoint pages).
	Blocked  Bool `json:"blocked"`
	ReadOnly Bool `json:"readOnly"`
	// Extra are the tenant's own fields.
	Extra Extra `json:"-"`
}

func (o Order) externalID() string { return o.ExtID }

// Locked names what forbids writing to the order: "deleted", "readOnly", "blocked", or "" for nothing.
func (o Order) Locked() string { return locked(o.Deleted, o.ReadOnly, o.Blocked) }

// UnmarshalJSON reads an order with its extra fields.
func (o *Order) UnmarshalJSON(data []byte) (err error) {
	type plain Order
	*o = Order{}
	both := struct {
		*plain
		SpeltRight Time `json:"salesForecastDate"`
	}{plain: (*plain)(o)}
	if o.Extra, err = unflatten(data, &both); err != nil {
		return err
	}
	if o.SalesForecastDate.IsZero() {
		o.SalesForecastDate = both.SpeltRight
	}
	return nil
}

// OrderFields are what is to be written of an order; nil fields are not sent. A create needs Reference, BranchID,
// SalesRepID and StatusID: each is called required by one source or another (A67).
type OrderFields struct {
	ExtID     *string `json:"extId,omitempty"`
	Reference *string `json:"reference,omitempty"`

	AccountID     *int64 `json:"accountId,omitempty"`
	ContactID     *int64 `json:"contactId,omitempty"`
	OpportunityID *int64 `json:"opportunityId,omitempty"`
	BranchID      *int64 `json:"branchId,omitempty"`
	SalesRepID    *int64 `json:"salesRepId,omitempty"`
	StatusID      *int64 `json:"statusId,omitempty"`
	TypeID        *int64 `json:"typeId,omitempty"`
	CurrencyID    *int64 `json:"currencyId,omitempty"`

	Total     *domain.Number `json:"total,omitempty"`
	Discount1 *domain.Number `json:"discount1,omitempty"`

	Comment         *string `json:"comment,omitempty"`
	InternalComment *string `json:"internalComment,omitempty"`
	ClosedDate      *Time   `json:"closedDate,omitempty"`
	// SalesForecastDate is sent under the vendor's own misspelt name.
	SalesForecastDate *Time `json:"salesForcecastDate,omitempty"`

	Extra ExtraFields `json:"-"`
}

// MarshalJSON writes the fields that are set, the extra fields among them.
func (f OrderFields) MarshalJSON() ([]byte, error) {
	type plain OrderFields
	return flatten(plain(f), f.Extra)
}

// Orders are the sales order headers of the tenant.
type Orders struct {
	*KeyedResource[Order, OrderFields]
}

// FindByKeys reads, in one call, every order that bears the external id or one of the references, deleted and
// duplicate ones included, by ascending id. Sage compares without regard to case, so look at what comes back. An empty
// external id or reference is not looked for; there must be one of either.
func (o *Orders) FindByKeys(ctx context.Context, extID string, references ...string) ([]Order, error) {
	var keys []Where
	if extID != "" {
		keys = append(keys, Eq("extId", extID))
	}
	for _, reference := range references {
		if reference != "" {
			keys = append(keys, Eq("reference", reference))
		}
	}
	return o.Find(ctx, Or(keys...))
}

var orderFields = filterFields(
	[]string{"extId", "reference", "number", "year", "total", "closedDate", "salesForcecastDate", "archived", "blocked",
		"readOnly", "mainSalesorder"},
	[]string{"accountId", "contactId", "opportunityId", "branchId", "salesRepId", "statusId", "typeId", "currencyId", "rateId",
		"accountAddressId"},
)
