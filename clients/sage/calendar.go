package sage

import "time"

// CalendarEntry is an event in the calendar of a user, or a task if Task is set.
type CalendarEntry struct {
	Audit
	ExtID         string `json:"extId"`
	AccountID     Ref    `json:"accountId"`
	ContactID     Ref    `json:"contactId"`
	OpportunityID Ref    `json:"opportunityId"`
	// TypeID is a type of activity (A115).
	TypeID     Ref    `json:"typeId"`
	SalesRepID Ref    `json:"salesRepId"`
	BranchID   Ref    `json:"branchId"`
	Subject    string `json:"subject"`
	Comment    string `json:"comment"`
	// StartDate and EndDate are left as they come: a sample shows "15/07/07", and nothing says which part is the year
	// (A114). Hours are "15:00".
	StartDate looseText `json:"startDate"`
	StartHour looseText `json:"startHour"`
	EndDate   looseText `json:"endDate"`
	EndHour   looseText `json:"endHour"`
	AllDay    Bool      `json:"allDay"`
	Task      Bool      `json:"task"`
	Completed Bool      `json:"completed"`
	// SendNotification asks Sage to tell the user (A113).
	SendNotification Bool `json:"sendNotification"`
	ReadOnly         Bool `json:"readOnly"`
	// Extra are the tenant's own fields.
	Extra Extra `json:"-"`
}

func (e CalendarEntry) externalID() string      { return e.ExtID }
func (e CalendarEntry) noteOf() (int64, string) { return e.AccountID.ID, e.Comment }

// Locked names what forbids writing to the entry: "deleted", "readOnly", or "" for nothing.
func (e CalendarEntry) Locked() string { return locked(e.Deleted, e.ReadOnly, false) }

// UnmarshalJSON reads an entry with its extra fields.
func (e *CalendarEntry) UnmarshalJSON(data []byte) (err error) {
	type plain CalendarEntry
	*e = CalendarEntry{}
	e.Extra, err = unflatten(data, (*plain)(e))
	return err
}

// CalendarFields are what is to be written of a calendar entry; nil fields are not sent. The endpoint pages call none of
// them required. An integration sends AccountID, TypeID, Subject, Comment, SalesRepID, BranchID, the dates and hours,
// AllDay, Task and SendNotification always, so send all of these (A113).
type CalendarFields struct {
	ExtID      *string `json:"extId,omitempty"`
	AccountID  *int64  `json:"accountId,omitempty"`
	ContactID  *int64  `json:"contactId,omitempty"`
	TypeID     *int64  `json:"typeId,omitempty"`
	SalesRepID *int64  `json:"salesRepId,omitempty"`
	BranchID   *int64  `json:"branchId,omitempty"`
	Subject    *string `json:"subject,omitempty"`
	Comment    *string `json:"comment,omitempty"`

	// StartDate and EndDate are written like all dates (A114); StartHour and EndHour come from CalendarHour.
	StartDate *Time   `json:"startDate,omitempty"`
	StartHour *string `json:"startHour,omitempty"`
	EndDate   *Time   `json:"endDate,omitempty"`
	EndHour   *string `json:"endHour,omitempty"`

	AllDay           *bool `json:"allDay,omitempty"`
	Task             *bool `json:"task,omitempty"`
	SendNotification *bool `json:"sendNotification,omitempty"`

	Extra ExtraFields `json:"-"`
}

// CalendarHour is the hour of a moment as a calendar entry has it, such as "09:30", in the zone of the moment.
func CalendarHour(t time.Time) string { return t.Format("15:04") }

// MarshalJSON writes the fields that are set, the extra fields among them.
func (f CalendarFields) MarshalJSON() ([]byte, error) {
	type plain CalendarFields
	return flatten(plain(f), f.Extra)
}

var calendarFields = filterFields(
	[]string{"extId", "subject", "comment", "startDate", "endDate", "allDay", "task", "completed", "readOnly"},
	[]string{"accountId", "contactId", "opportunityId", "typeId", "salesRepId", "branchId"},
)
