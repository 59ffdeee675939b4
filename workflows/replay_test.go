package workflows_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/workflows"
)

// TestRecordedHistoriesReplay replays runs recorded from released builds. A failure here means that the change would
// break processes that are running at the moment it is deployed: put it behind workflow.GetVersion. The histories are
// recorded by TestRecordHistories in test/e2e, whose comment says how.
func TestRecordedHistoriesReplay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "replay", "*.json"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 9, "three histories for each process")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			for name, process := range map[string]any{
				workflows.PaymentToOrderType: workflows.PaymentToOrder, workflows.InvoiceToOrderType: workflows.InvoiceToOrder,
				workflows.PaymentSweepType: workflows.PaymentSweep, workflows.ConnectionUpkeepType: workflows.ConnectionUpkeep,
				workflows.FulfillmentType: workflows.Fulfillment, workflows.FulfillmentSweepType: workflows.FulfillmentSweep,
				workflows.SubscriptionReconciliationType: workflows.SubscriptionReconciliation, workflows.WatchdogType: workflows.Watchdog,
			} {
				replayer.RegisterWorkflowWithOptions(process, workflow.RegisterOptions{Name: name})
			}
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, file))
		})
	}
}

// TestReplayNoticesAChange makes sure that the test above can fail: a process that does something else is refused.
func TestReplayNoticesAChange(t *testing.T) {
	replayer := worker.NewWorkflowReplayer()
	changed := func(ctx workflow.Context, in workflows.PaymentToOrderInput) (workflows.PaymentToOrderStatus, error) {
		if err := workflow.Sleep(ctx, 1); err != nil {
			return workflows.PaymentToOrderStatus{}, err
		}
		return workflows.PaymentToOrderStatus{Outcome: activities.Created}, nil
	}
	replayer.RegisterWorkflowWithOptions(changed, workflow.RegisterOptions{Name: workflows.PaymentToOrderType})
	files, err := filepath.Glob(filepath.Join("testdata", "replay", "*-paymenttoorder-*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	require.ErrorContains(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, files[0]), "TMPRL1100")
}
