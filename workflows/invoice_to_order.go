package workflows

import (
	"time"

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
// results in the ids of those orders.
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
			return nil, err
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
