package activities

import (
	"context"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
)

// FulfillmentWindow is what one sweep for shipments covers.
type FulfillmentWindow struct {
	// Off: lifecycles are not followed for this location, and nothing is to be swept.
	Off bool `json:"off,omitempty"`
	// From and To bound the orders of HighLevel, by when they were placed.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// SageSince is when the last sweep of the Sage orders that finished began.
	SageSince time.Time `json:"sageSince"`
}

// OpenFulfillmentWindowInput asks for the window of a sweep that starts now.
type OpenFulfillmentWindowInput struct {
	Location string    `json:"location"`
	Now      time.Time `json:"now"`
}

// OpenFulfillmentWindow chooses what a sweep covers: every order whose lifecycle is open, and every Sage order that changed
// since the last sweep. It is run as a local activity.
func (l *Ledger) OpenFulfillmentWindow(ctx context.Context, in OpenFulfillmentWindowInput) (FulfillmentWindow, error) {
	return FulfillmentWindow{}, asTemporal(faultf(Unknown, "not built yet"), attempt(ctx), 0)
}

// SweepFulfillmentsInput asks for some pages of HighLevel's orders.
type SweepFulfillmentsInput struct {
	Location string            `json:"location"`
	Window   FulfillmentWindow `json:"window"`
	At       ghl.Cursor        `json:"at"`
}

// SweepFulfillments reads pages of HighLevel's orders and has those lifecycles looked at whose order changed. It ends
// with the list, or after so many pages that the next step should go on from SweepPage.Next.
func (g *GHL) SweepFulfillments(ctx context.Context, in SweepFulfillmentsInput) (SweepPage, error) {
	return SweepPage{}, asTemporal(faultf(Unknown, "not built yet"), attempt(ctx), 0)
}

// SweepSageOrdersInput asks for the Sage orders that changed.
type SweepSageOrdersInput struct {
	Location string            `json:"location"`
	Window   FulfillmentWindow `json:"window"`
}

// SageSweep is what became of it.
type SageSweep struct {
	// Rows were read, Looks hints handed out.
	Rows  int `json:"rows"`
	Looks int `json:"looks"`
}

// SweepSageOrders reads the Sage orders of ours that changed and has those lifecycles looked at whose fields say something
// else than what was agreed.
func (a *Sage) SweepSageOrders(ctx context.Context, in SweepSageOrdersInput) (SageSweep, error) {
	return SageSweep{}, asTemporal(faultf(Unknown, "not built yet"), attempt(ctx), 0)
}

// RemindFulfillmentsInput asks for the lifecycles whose time has come.
type RemindFulfillmentsInput struct {
	Location string    `json:"location"`
	Now      time.Time `json:"now"`
}

// Reminders count the hints that were handed out, by cause.
type Reminders struct {
	Verify   int `json:"verify,omitempty"`
	Delivery int `json:"delivery,omitempty"`
	Expired  int `json:"expired,omitempty"`
}

// RemindFulfillments has lifecycles looked at that are to be verified, that have news of a delivery which was not taken
// in yet, or that are too old to be followed on.
func (l *Ledger) RemindFulfillments(ctx context.Context, in RemindFulfillmentsInput) (Reminders, error) {
	return Reminders{}, asTemporal(faultf(Unknown, "not built yet"), attempt(ctx), 0)
}

// CloseFulfillmentWindowInput is a window that was swept to its end.
type CloseFulfillmentWindowInput struct {
	Location string            `json:"location"`
	Window   FulfillmentWindow `json:"window"`
}

// CloseFulfillmentWindow notes how far the sweep of Sage came, and forgets what no later sweep lists. It is run as a local
// activity.
func (l *Ledger) CloseFulfillmentWindow(ctx context.Context, in CloseFulfillmentWindowInput) error {
	return asTemporal(faultf(Unknown, "not built yet"), attempt(ctx), 0)
}
