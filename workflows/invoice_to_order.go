package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
)

// InvoiceToOrderInput names the HighLevel invoice.
type InvoiceToOrderInput struct {
	Location  string `json:"location"`
	InvoiceID string `json:"invoiceId"`
}

// invoicePatience are the waits between looks for the order of an invoice: HighLevel may tell of the payment before the
// order can be read. After them the payment sweep is what finds it.
var invoicePatience = []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}

// InvoiceToOrder finds the HighLevel orders that came from an invoice and hands a hint to the process of each. It
// results in the ids of those orders. An invoice whose orders cannot be looked for is parked with the reason.
func InvoiceToOrder(ctx workflow.Context, in InvoiceToOrderInput) ([]string, error) {
	hints := workflow.GetSignalChannel(ctx, LookSignal)
	var orders []string
	for look := 0; ; look++ {
		for hints.ReceiveAsync(nil) {
			look = 0 // each hint is news, and deserves the whole patience
		}
		err := workflow.ExecuteActivity(readingStep(ctx, "Find the orders of the invoice"), fromGHL.LookAtOrdersOfInvoice,
			activities.InvoiceInput{Location: in.Location, InvoiceID: in.InvoiceID}).Get(ctx, &orders)
		if err != nil {
			return nil, parkInvoice(ctx, in, err)
		}
		switch {
		case hints.Len() > 0:
			continue
		case len(orders) > 0 || look >= len(invoicePatience):
			return orders, nil
		}
		news := func() bool { return hints.Len() > 0 }
		if _, err := workflow.AwaitWithTimeout(ctx, invoicePatience[look], news); err != nil {
			return nil, err
		}
	}
}

// parkInvoice sets an invoice aside until the cause may have passed; the step that finds its orders takes it back. Only a
// cancelled search goes unparked.
func parkInvoice(ctx workflow.Context, in InvoiceToOrderInput, cause error) error {
	if ctx.Err() != nil || temporal.IsCanceledError(cause) {
		return cause
	}
	kind, reason, details := describe(cause)
	return workflow.ExecuteLocalActivity(noteStep(ctx, "Park the invoice"), ledger.Park, activities.ParkInput{
		Location: in.Location, Process: InvoiceToOrderType, ObjectID: in.InvoiceID,
		WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID,
		Kind:       kind, Reason: reason, Heals: details.Heals,
	}).Get(ctx, nil)
}
