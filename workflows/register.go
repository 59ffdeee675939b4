package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Register makes the processes known to a worker of the main queue.
func Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(PaymentToOrder, workflow.RegisterOptions{Name: PaymentToOrderType})
	r.RegisterWorkflowWithOptions(InvoiceToOrder, workflow.RegisterOptions{Name: InvoiceToOrderType})
	r.RegisterWorkflowWithOptions(PaymentSweep, workflow.RegisterOptions{Name: PaymentSweepType})
	r.RegisterWorkflowWithOptions(Fulfillment, workflow.RegisterOptions{Name: FulfillmentType})
	r.RegisterWorkflowWithOptions(FulfillmentSweep, workflow.RegisterOptions{Name: FulfillmentSweepType})
	r.RegisterWorkflowWithOptions(ConnectionUpkeep, workflow.RegisterOptions{Name: ConnectionUpkeepType})
	r.RegisterWorkflowWithOptions(SubscriptionReconciliation, workflow.RegisterOptions{Name: SubscriptionReconciliationType})
	r.RegisterWorkflowWithOptions(RevenueReport, workflow.RegisterOptions{Name: RevenueReportType})
	r.RegisterWorkflowWithOptions(Watchdog, workflow.RegisterOptions{Name: WatchdogType})
}
