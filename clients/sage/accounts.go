package sage

// Account is a company, or a person who buys as one.
type Account struct {
	Audit
	ExtID string `json:"extId"`
	Name  string `json:"name"`
	Email string `json:"email"`
	Phone string `json:"phone"`

	Address1  string `json:"address1"`
	Address2  string `json:"address2"`
	City      string `json:"city"`
	Postcode  string `json:"postcode"`
	Region    string `json:"region"`
	CountryID Ref    `json:"countryId"`
	VATNumber string `json:"vatNumber"`
	Website   string `json:"website"`
	Comment   string `json:"comment"`

	BranchID   Ref `json:"branchId"`
	SalesRepID Ref `json:"salesRepId1"`
	TypeID     Ref `json:"typeId"`
	StatusID   Ref `json:"statusId"`
	SegmentID  Ref `json:"segmentId"`
	RateID     Ref `json:"rateId"`

	// ReadOnly accounts can't be changed; the vendor's own connectors to accounting systems mark what they import so
	// (help centre).
	ReadOnly Bool `json:"readOnly"`
	// Extra are the tenant's own fields.
	Extra Extra `json:"-"`
}

func (a Account) externalID() string { return a.ExtID }

// Locked names what forbids writing to the account: "deleted", "readOnly", or "" for nothing.
func (a Account) Locked() string { return locked(a.Deleted, a.ReadOnly, false) }

// UnmarshalJSON reads an account with its extra fields.
func (a *Account) UnmarshalJSON(data []byte) (err error) {
	type plain Account // has the fields but not this method, which would call itself without end
	*a = Account{}
	a.Extra, err = unflatten(data, (*plain)(a))
	return err
}

// AccountFields are what is to be written of an account; nil fields are not sent. A create needs Name, BranchID and
// SalesRepID (endpoint pages), and what extra fields the tenant has made required.
type AccountFields struct {
	ExtID *string `json:"extId,omitempty"`
	Name  *string `json:"name,omitempty"`
	Email *string `json:"email,omitempty"`
	Phone *string `json:"phone,omitempty"`

	// Address1 and Address2 hold up to 180 characters, City up to 200 (schema in the endpoint pages).
	Address1  *string `json:"address1,omitempty"`
	Address2  *string `json:"address2,omitempty"`
	City      *string `json:"city,omitempty"`
	Postcode  *string `json:"postcode,omitempty"`
	Region    *string `json:"region,omitempty"`
	CountryID *int64  `json:"countryId,omitempty"`
	VATNumber *string `json:"vatNumber,omitempty"`
	Website   *string `json:"website,omitempty"`
	// Comment holds up to 6,000 characters (schema in the endpoint pages).
	Comment *string `json:"comment,omitempty"`

	BranchID   *int64 `json:"branchId,omitempty"`
	SalesRepID *int64 `json:"salesRepId1,omitempty"`
	TypeID     *int64 `json:"typeId,omitempty"`
	StatusID   *int64 `json:"statusId,omitempty"`
	SegmentID  *int64 `json:"segmentId,omitempty"`

	Extra ExtraFields `json:"-"`
}

// MarshalJSON writes the fields that are set, the extra fields among them.
func (f AccountFields) MarshalJSON() ([]byte, error) {
	type plain AccountFields
	return flatten(plain(f), f.Extra)
}

var accountFields = filterFields(
	[]string{"extId", "name", "email", "phone", "phone2", "phone3", "address1", "address2", "city", "postcode", "region",
		"vatNumber", "website", "public", "readOnly", "permissionLevel"},
	[]string{"countryId", "branchId", "salesRepId1", "salesRepId2", "salesRepId3", "salesRepId4", "salesRepId5", "typeId",
		"statusId", "segmentId", "rateId"},
)

// locked names the first reason not to write to a record. What Sage answers to such a write is not documented
// (A69).
func locked(deleted, readOnly, blocked Bool) string {
	switch {
	case bool(deleted):
		return "deleted"
	case bool(readOnly):
		return "readOnly"
	case bool(blocked):
		return "blocked"
	}
	return ""
}
