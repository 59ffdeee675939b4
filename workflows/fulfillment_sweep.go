package workflows

// FulfillmentSweepInput says what is swept.
type FulfillmentSweepInput struct {
	Location string `json:"location"`
}
