package sage

// Activity is something that was done for an account: a call, a visit, a shipment. There is no link to a sales order.
type Activity struct {
	Audit
	// ExtID is in the sample of a read (endpoint pages). Whether it can be written is not documented (A112): see
	// NoteResource.FindMarked.
	ExtID         string `json:"extId"`
	AccountID     Ref    `json:"accountId"`
	ContactID     Ref    `json:"contactId"`
	OpportunityID Ref    `json:"opportunityId"`
	TypeID        Ref    `json:"typeId"`
	SalesRepID    Ref    `json:"salesRepId"`
	// Date is when it took place.
	Date Time `json:"date"`
	// Comment holds up to 6,000 characters (schema in the endpoint pages).
	Comment  string `json:"comment"`
	ReadOnly Bool   `json:"readOnly"`
	// Extra are the tenant's own fields.
	Extra Extra `json:"-"`
}

func (a Activity) externalID() string      { return a.ExtID }
func (a Activity) noteOf() (int64, string) { return a.AccountID.ID, a.Comment }

// Locked names what forbids writing to the activity: "deleted", "readOnly", or "" for nothing.
func (a Activity) Locked() string { return locked(a.Deleted, a.ReadOnly, false) }

// UnmarshalJSON reads an activity with its extra fields.
func (a *Activity) UnmarshalJSON(data []byte) (err error) {
	type plain Activity
	*a = Activity{}
	a.Extra, err = unflatten(data, (*plain)(a))
	return err
}

// MaxActivityComment is the length of an activity's comment in characters (schema in the endpoint pages).
const MaxActivityComment = 6000

// ActivityFields are what is to be written of an activity; nil fields are not sent. A create needs AccountID, TypeID,
// SalesRepID and Date (endpoint pages), and what extra fields the tenant has made required.
type ActivityFields struct {
	// ExtID may be ignored (A112), so a mark belongs into the Comment as well.
	ExtID         *string `json:"extId,omitempty"`
	AccountID     *int64  `json:"accountId,omitempty"`
	ContactID     *int64  `json:"contactId,omitempty"`
	OpportunityID *int64  `json:"opportunityId,omitempty"`
	TypeID        *int64  `json:"typeId,omitempty"`
	SalesRepID    *int64  `json:"salesRepId,omitempty"`
	Date          *Time   `json:"date,omitempty"`
	Comment       *string `json:"comment,omitempty"`

	Extra ExtraFields `json:"-"`
}

// MarshalJSON writes the fields that are set, the extra fields among them.
func (f ActivityFields) MarshalJSON() ([]byte, error) {
	type plain ActivityFields
	return flatten(plain(f), f.Extra)
}

var activityFields = filterFields(
	[]string{"extId", "date", "comment", "readOnly"},
	[]string{"accountId", "contactId", "opportunityId", "typeId", "salesRepId"},
)
