package sage

// Contact is a person. A contact belongs to exactly one account.
type Contact struct {
	Audit
	ExtID     string `json:"extId"`
	AccountID Ref    `json:"accountId"`
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
	Email     string `json:"email"`
	Email2    string `json:"email2"`
	Email3    string `json:"email3"`
	Phone1    string `json:"phone1"`
	Phone2    string `json:"phone2"`

	TypeID     Ref `json:"typeId"`
	SalesRepID Ref `json:"salesRepId"`

	// ReadOnly contacts can't be changed.
	ReadOnly Bool `json:"readOnly"`
	// Extra are the tenant's own fields.
	Extra Extra `json:"-"`
}

func (c Contact) externalID() string { return c.ExtID }

// Locked names what forbids writing to the contact: "deleted", "readOnly", or "" for nothing.
func (c Contact) Locked() string { return locked(c.Deleted, c.ReadOnly, false) }

// UnmarshalJSON reads a contact with its extra fields.
func (c *Contact) UnmarshalJSON(data []byte) (err error) {
	type plain Contact
	*c = Contact{}
	c.Extra, err = unflatten(data, (*plain)(c))
	return err
}

// ContactFields are what is to be written of a contact; nil fields are not sent. A create needs AccountID, FirstName,
// LastName and SalesRepID (endpoint pages).
type ContactFields struct {
	ExtID     *string `json:"extId,omitempty"`
	AccountID *int64  `json:"accountId,omitempty"`
	FirstName *string `json:"firstName,omitempty"`
	LastName  *string `json:"lastName,omitempty"`
	Email     *string `json:"email,omitempty"`
	Phone1    *string `json:"phone1,omitempty"`
	Phone2    *string `json:"phone2,omitempty"`

	TypeID     *int64 `json:"typeId,omitempty"`
	SalesRepID *int64 `json:"salesRepId,omitempty"`

	Extra ExtraFields `json:"-"`
}

// MarshalJSON writes the fields that are set, the extra fields among them.
func (f ContactFields) MarshalJSON() ([]byte, error) {
	type plain ContactFields
	return flatten(plain(f), f.Extra)
}

var contactFields = filterFields(
	[]string{"extId", "firstName", "lastName", "email", "email2", "email3", "phone1", "phone2", "readOnly"},
	[]string{"accountId", "typeId", "salesRepId"},
)
