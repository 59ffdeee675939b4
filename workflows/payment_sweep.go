package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
)

// PaymentSweepInput says what is swept.
type PaymentSweepInput struct {
	Location string `json:"location"`
	// Deep sweeps the whole window in which refunds are still expected, instead of the time since the last sweep.
	Deep bool `json:"deep,omitempty"`
	// Resume is where a sweep that continued as new goes on; nil at the start.
	Resume *SweepProgress `json:"resume,omitempty"`
}

// SweepProgress is how far a sweep has come.
type SweepProgress struct {
	Window activities.SweepWindow `json:"window"`
	// Stage is 0 for transactions, 1 for orders, 2 when both are done; At is the place within the stage.
	Stage int        `json:"stage"`
	At    ghl.Cursor `json:"at"`
	// Rows counts rows read, Looks the hints handed to orders and invoices.
	Rows  int `json:"rows"`
	Looks int `json:"looks"`
	// Stopped is why a sweep ended before its end: the kind of the fault of a connection that does not work now. The next
	// sweep after it works again covers the same time.
	Stopped string `json:"stopped,omitempty"`
}

// PaymentSweep finds what no webhook told of: it reads all transactions and orders of a window of time, compares each
// with what it was when last seen, and has every order looked at whose payments or whose self changed. Then it gives
// parked orders another go whose cause may have passed. The cursor moves only after all of that, and not at all when the
// connection turns out not to work: that is no failure of the sweep.
func PaymentSweep(ctx workflow.Context, in PaymentSweepInput) (SweepProgress, error) {
	progress, err := startOrResume(ctx, in)
	if err != nil {
		return progress, err
	}
	for progress.Stage < len(sweepStages) {
		err := sweepPage(ctx, in.Location, &progress)
		if kind, resting := restingKind(err); resting {
			progress.Stopped = kind
			return progress, nil
		}
		if err != nil {
			return progress, err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			in.Resume = &progress
			return progress, workflow.NewContinueAsNewError(ctx, PaymentSweepType, in)
		}
	}
	var retried int
	err = workflow.ExecuteActivity(choreStep(ctx, "Give parked orders another go"), ledger.RetryParked,
		activities.LocationInput{Location: in.Location}).Get(ctx, &retried)
	if err != nil {
		return progress, err
	}
	progress.Looks += retried
	return progress, workflow.ExecuteLocalActivity(noteStep(ctx, "Move the cursor"), ledger.CloseWindow,
		activities.CloseWindowInput{Location: in.Location, Deep: in.Deep, Window: progress.Window}).Get(ctx, nil)
}

// sweepStages are the lists that a sweep goes through, with the words the Temporal UI shows.
var sweepStages = []struct {
	kind    activities.SweepKind
	summary string
}{
	{activities.SweepTransactions, "Sweep a page of transactions"},
	{activities.SweepOrders, "Sweep a page of orders"},
}

func startOrResume(ctx workflow.Context, in PaymentSweepInput) (SweepProgress, error) {
	if in.Resume != nil {
		return *in.Resume, nil
	}
	var progress SweepProgress
	err := workflow.ExecuteLocalActivity(noteStep(ctx, "Choose the window"), ledger.OpenWindow,
		activities.OpenWindowInput{Location: in.Location, Deep: in.Deep, Now: workflow.Now(ctx)}).Get(ctx, &progress.Window)
	return progress, err
}

func sweepPage(ctx workflow.Context, location string, progress *SweepProgress) error {
	stage := sweepStages[progress.Stage]
	var page activities.SweepPage
	err := workflow.ExecuteActivity(sweepStep(ctx, stage.summary), fromGHL.Sweep, activities.SweepInput{
		Location: location, Kind: stage.kind, Window: progress.Window, At: progress.At,
	}).Get(ctx, &page)
	if err != nil {
		return err
	}
	progress.Rows += page.Rows
	progress.Looks += page.Looks
	progress.At = page.Next
	if page.Done {
		progress.Stage, progress.At = progress.Stage+1, ghl.Cursor{}
	}
	return nil
}
