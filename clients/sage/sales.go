package sage

import "github.com/tallystick/tallystick/domain"

// Sale is booked revenue: one amount on one date for one account. It has no currency, no status, no link to an order and
// no extra fields, and it is something else than a sales order (endpoint pages).
type Sale struct {
	Audit
	ExtID     string `json:"extId"`
	AccountID Ref    `json:"accountId"`
	// AccountExtID and SalesRepExtID name account and user once more, by their external ids.
	AccountExtID  looseText `json:"accountExtId"`
	SalesRepExtID looseText `json:"salesRepExtId"`
	// SalesRepID is null in a sample that has a SalesRepExtID.
	SalesRepID Ref           `json:"salesRepId"`
	Date       Time          `json:"date"`
	Total      domain.Number `json:"total"`
}

func (s Sale) externalID() string { return s.ExtID }

// SaleFields are what is to be written of a sale; nil fields are not sent. The endpoint pages call all six required on a
// create (A137).
type SaleFields struct {
	ExtID         *string `json:"extId,omitempty"`
	AccountID     *int64  `json:"accountId,omitempty"`
	AccountExtID  *string `json:"accountExtId,omitempty"`
	SalesRepExtID *string `json:"salesRepExtId,omitempty"`
	// Date is written as "2018-10-10 00:00:00" and read as "2018-10-10T00:00:00Z": it is meant as a day, so write the day of
	// the books at midnight, lest a zone moves it to another (A139).
	Date *Time `json:"date,omitempty"`
	// Total is in the currency of the tenant's books, as there is no field to say another. Whether one below 0 is taken is
	// not documented (A138).
	Total *domain.Number `json:"total,omitempty"`
}

var saleFields = filterFields(
	[]string{"extId", "accountExtId", "salesRepExtId", "date", "total"},
	[]string{"accountId", "salesRepId"},
)
