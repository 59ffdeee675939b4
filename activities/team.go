package activities

import (
	"context"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/notify"
	"github.com/tallystick/tallystick/internal/store"
)

// StepInput names one step of an order's lifecycle: the Key of its domain.FulfillmentStep.
type StepInput struct {
	Location string `json:"location"`
	OrderID  string `json:"orderId"`
	Key      string `json:"key"`
}

// Teams are the steps that tell a team what became of an order.
type Teams struct {
	Store *store.Store
	// Notify may be nil: then nobody is told.
	Notify    Notifier
	Templates *notify.Templates
	Links     notify.Links
	// Steps are the states that are told of.
	Steps []domain.FulfillmentState
}

// EnterStep enters a step on the customer's account at Sage.
func (a *Sage) EnterStep(_ context.Context, _ StepInput) error { return nil }

// TellTeam tells a team of a step.
func (t *Teams) TellTeam(_ context.Context, _ StepInput) error { return nil }
