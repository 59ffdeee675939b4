package activities

// Outcome is what a step or a whole pass came to.
type Outcome string

// The outcomes.
const (
	// Created: the record was made. Adopted: a record that people made was taken over. Updated: some of it was written.
	// Unchanged: nothing had to be written.
	Created   Outcome = "created"
	Adopted   Outcome = "adopted"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
	// Outdated: newer news was brought before this, so nothing was written.
	Outdated Outcome = "outdated"
	// NotDue: no money has cleared, and there is nothing in the books.
	NotDue Outcome = "not_due"
	// OtherMode: an order of the source's test mode where live ones are brought, or the other way round.
	OtherMode Outcome = "other_mode"
	// Parked: it cannot be carried out now.
	Parked Outcome = "parked"
)

// Recorded tells whether the ledger was written, which also takes the order off the parked ones.
func (o Outcome) Recorded() bool {
	switch o {
	case Created, Adopted, Updated, Unchanged:
		return true
	}
	return false
}
