package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
)

// SubscriptionReconciliationInput says what is reconciled.
type SubscriptionReconciliationInput struct {
	Location string `json:"location"`
	// Deep covers the whole time in which refunds are still expected, instead of that since the last run.
	Deep bool `json:"deep,omitempty"`
	// Asked: somebody asked for this run, which goes on also where the schedules' runs are switched off. Again brings what is
	// read once more although nothing of it changed, as after a change of settings.
	Asked bool `json:"asked,omitempty"`
	Again bool `json:"again,omitempty"`
	// Backfill is the period of a backfill, which brings what is older than the books as well; nil for other runs.
	Backfill *activities.Period `json:"backfill,omitempty"`
	// Resume is where a run that continued as new goes on; nil at the start. Age is how old a difference must be to count.
	Resume *activities.ReconciliationProgress `json:"resume,omitempty"`
	Age    time.Duration                      `json:"age,omitempty"`
}

var books *activities.Books

const (
	// longestStretch is how much time the lists of HighLevel are read for at once: their pages are counted from the beginning
	// of a list, which no list of years should be.
	longestStretch = 31 * 24 * time.Hour
	// shortestStretch keeps the day small by which each list reaches beyond its bounds, and stretches is in how many a
	// backfill is divided, by which its progress can be seen.
	shortestStretch = 7 * 24 * time.Hour
	stretches       = 24
	// customersAtOnce is how many customers are brought side by side. Each takes some calls, one behind the other.
	customersAtOnce = 8
	// broughtAtOnce is what one call of Sage's finds by external ids.
	broughtAtOnce = 40
)

// SubscriptionReconciliation makes the books of both sides agree. It reads all transactions and orders of a window of time
// at HighLevel, all subscriptions, and what changed at Sage, page by page into the ledger; it brings into Sage what the
// ledger says was not brought as it is, and then compares both sides and tells of differences that stay. A payment whose
// order never reached Sage is handed to the process of that order.
//
// Only what is listed is ever acted on: nothing is taken for deleted because a run did not come to it. The cursors move
// when all is done, and not at all when the connection turns out not to work, which is no failure of the run. A backfill
// keeps after each page how far it has come, and goes on from there if it was stopped.
func SubscriptionReconciliation(
	ctx workflow.Context, in SubscriptionReconciliationInput,
) (activities.ReconciliationProgress, error) {
	r := reconciliation{in: in}
	err := workflow.SetQueryHandler(ctx, StatusQuery, func() (activities.ReconciliationProgress, error) { return r.at, nil })
	if err != nil {
		return r.at, err
	}
	if err := r.open(ctx); err != nil || r.at.Off {
		return r.end(err)
	}
	for r.at.Stage != activities.StageDone {
		if err := r.step(ctx); err != nil {
			return r.end(err)
		}
		if err := r.note(ctx); err != nil {
			return r.end(err)
		}
		if r.at.Stage != activities.StageDone && workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			r.in.Resume = &r.at
			return r.at, workflow.NewContinueAsNewError(ctx, SubscriptionReconciliationType, r.in)
		}
	}
	return r.at, nil
}

// reconciliation is the state of one run.
type reconciliation struct {
	in SubscriptionReconciliationInput
	at activities.ReconciliationProgress
}

// end ends a run in which a step failed.
func (r *reconciliation) end(cause error) (activities.ReconciliationProgress, error) {
	if kind, resting := restingKind(cause); resting {
		r.at.Stopped = kind
		return r.at, nil
	}
	return r.at, cause
}

func (r *reconciliation) open(ctx workflow.Context) error {
	if r.in.Resume != nil {
		r.at, r.in.Resume = *r.in.Resume, nil
		return nil
	}
	var plan activities.ReconciliationPlan
	err := workflow.ExecuteLocalActivity(noteStep(ctx, "See what is to be done"), books.PlanReconciliation,
		activities.PlanReconciliationInput{
			Location: r.in.Location, Now: workflow.Now(ctx), Asked: r.in.Asked, Backfill: r.in.Backfill,
		}).Get(ctx, &plan)
	if err != nil || plan.Off {
		r.at.Off = plan.Off
		return err
	}
	r.in.Age = plan.Age
	if plan.Resume != nil {
		r.at = *plan.Resume
		return nil
	}
	ask := activities.OpenBooksWindowInput{
		Location: r.in.Location, Now: workflow.Now(ctx), Overlap: plan.Overlap, Deep: r.in.Deep,
	}
	if r.in.Backfill != nil {
		ask.From, ask.To = r.in.Backfill.From, r.in.Backfill.Before
	}
	err = workflow.ExecuteLocalActivity(noteStep(ctx, "Choose the window"), ledger.OpenBooksWindow, ask).Get(ctx, &r.at.Window)
	if err != nil {
		return err
	}
	r.stretch(r.at.Window.From)
	return r.note(ctx) // one that is stopped before its first page keeps its window, too
}

// note keeps how far a backfill has come.
func (r *reconciliation) note(ctx workflow.Context) error {
	if r.in.Backfill == nil {
		return nil
	}
	return workflow.ExecuteLocalActivity(noteStep(ctx, "Keep how far it has come"), books.NoteReconciliation,
		activities.NoteReconciliationInput{
			Location: r.in.Location, Now: workflow.Now(ctx), Backfill: *r.in.Backfill, Progress: r.at,
		}).Get(ctx, nil)
}

// step does one page of what is to be done next.
func (r *reconciliation) step(ctx workflow.Context) error {
	switch r.at.Stage {
	case activities.StageTransactions:
		return r.read(ctx, "Read a page of transactions", fromGHL.ReadTransactions)
	case activities.StageOrders:
		return r.read(ctx, "Read a page of orders", fromGHL.ReadOrderEntries)
	case activities.StageSubscriptions:
		return r.read(ctx, "Read a page of subscriptions", fromGHL.ReadSubscriptions)
	case activities.StageSage:
		return r.readSage(ctx)
	case activities.StageBring:
		return r.bringPage(ctx)
	default: // also for a stage that only another version knows: what it read and brought is in the ledger
		return r.settle(ctx)
	}
}

// stretch begins to read the transactions and orders of a stretch of the window.
func (r *reconciliation) stretch(from time.Time) {
	length := longestStretch
	if r.in.Backfill != nil {
		whole := r.at.Window.To.Sub(r.at.Window.From)
		length = min(max((whole+stretches-1)/stretches, shortestStretch), longestStretch) // rounded up: no rest of nanoseconds
	}
	to := from.Add(length)
	if to.After(r.at.Window.To) {
		to = r.at.Window.To
	}
	r.at.Stage, r.at.From, r.at.To, r.at.At = activities.StageTransactions, from, to, ghl.Cursor{}
}

// next begins a stage.
func (r *reconciliation) next(stage activities.ReconciliationStage) {
	r.at.Stage, r.at.At = stage, ghl.Cursor{}
	r.at.Pages, r.at.Records = 0, 0
}

// read reads a page of HighLevel's side into the ledger.
func (r *reconciliation) read(ctx workflow.Context, summary string, step any) error {
	window := r.at.Window
	window.From, window.To = r.at.From, r.at.To
	var page activities.BooksPage
	err := workflow.ExecuteActivity(sweepStep(ctx, summary), step, activities.ReadBooksInput{
		Location: r.in.Location, Window: window, At: r.at.At, Again: r.in.Again, More: r.at.To.Before(r.at.Window.To),
	}).Get(ctx, &page)
	if err != nil {
		return err
	}
	r.at.Pages++
	r.at.Records += int64(page.Rows)
	r.at.Rows += page.Rows
	r.at.Changed += page.Changed
	r.at.Looks += page.Looks
	r.at.Unreadable += page.Unreadable
	r.at.At = page.Next
	if !page.Done {
		return nil
	}
	switch {
	case r.at.Stage == activities.StageTransactions:
		r.at.Stage, r.at.At = activities.StageOrders, ghl.Cursor{}
	case r.at.Stage == activities.StageSubscriptions:
		r.next(activities.StageSage)
	case r.at.To.Before(r.at.Window.To):
		r.stretch(r.at.To)
	default:
		r.next(activities.StageSubscriptions)
	}
	return nil
}

// readSage reads some pages of what changed at Sage into the ledger.
func (r *reconciliation) readSage(ctx workflow.Context) error {
	parts := activities.SageBooksParts(r.at.Window.Full)
	if r.at.Part >= len(parts) {
		r.next(activities.StageBring)
		return nil
	}
	part := parts[r.at.Part]
	var page activities.SageBooksPage
	err := workflow.ExecuteActivity(sageSweepStep(ctx, "Read what changed in Sage: "+string(part)), intoSage.ReadSageBooks,
		activities.ReadSageBooksInput{Location: r.in.Location, Window: r.at.Window, Part: part, At: r.at.SageAt}).Get(ctx, &page)
	if err != nil {
		return err
	}
	r.at.Pages++
	r.at.Records += int64(page.Rows)
	r.at.Rows += page.Rows
	r.at.Changed += page.Changed
	r.at.Looks += page.Looks
	if page.Newest.After(r.at.SageNewest) {
		r.at.SageNewest = page.Newest
	}
	r.at.SageAt = page.Next
	if page.Done {
		r.at.Part, r.at.SageAt = r.at.Part+1, activities.SageBooksCursor{}
	}
	return nil
}

// bringPage brings the next records of a kind into Sage that were not brought as they are. What cannot be brought stays in
// the list for the next run: this one goes through it once.
func (r *reconciliation) bringPage(ctx workflow.Context) error {
	kinds := activities.BroughtKinds()
	if r.at.Kind >= len(kinds) {
		again, err := r.awaitOrders(ctx)
		if err == nil && !again {
			r.next(activities.StageCompare)
		}
		return err
	}
	kind := kinds[r.at.Kind]
	var page activities.ToBringPage
	err := workflow.ExecuteLocalActivity(noteStep(ctx, "See what is to be brought: "+string(kind)), ledger.ToBring,
		activities.ToBringInput{Location: r.in.Location, Kind: kind, After: r.at.After, Limit: broughtAtOnce}).Get(ctx, &page)
	if err != nil {
		return err
	}
	if len(page.IDs) > 0 {
		if err := r.bring(ctx, kind, page.IDs); err != nil {
			return err
		}
		r.at.Pages++
		r.at.Records += int64(len(page.IDs))
	}
	if r.at.After = page.Next; page.Next == "" {
		r.at.Kind++
	}
	return nil
}

const (
	// firstWait is how long a run first waits for orders; each wait is twice as long as the one before, up to longestWait.
	firstWait   = 5 * time.Second
	longestWait = 5 * time.Minute
	// mostWaits bounds how often a run waits that is not a backfill, as the next one comes soon, and idleWaits how often any
	// does without getting anywhere.
	mostWaits = 5
	idleWaits = 3
)

// awaitOrders lets the processes of orders come along whose payments wait for them, and has what is left be brought once
// more. A backfill may wait for thousands, and goes on as long as they come.
func (r *reconciliation) awaitOrders(ctx workflow.Context) (again bool, err error) {
	if r.at.Waiting == 0 || workflow.GetVersion(ctx, "await orders", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return false, nil
	}
	if r.at.Rounds > 0 && r.at.Waiting >= r.at.Left {
		r.at.Idle++
	} else {
		r.at.Idle = 0
	}
	if r.at.Idle >= idleWaits || r.in.Backfill == nil && r.at.Rounds >= mostWaits {
		return false, nil
	}
	pause := min(firstWait<<min(r.at.Rounds, 6), longestWait)
	r.at.Rounds++
	if err := workflow.Sleep(ctx, pause); err != nil {
		return false, err
	}
	r.at.Left, r.at.Waiting, r.at.Parked = r.at.Waiting, 0, 0 // what is parked is tried again, too
	r.at.Kind, r.at.After = 0, ""
	return true, nil
}

// bring brings records, and those once more whose customers Sage did not know.
func (r *reconciliation) bring(ctx workflow.Context, kind domain.EntryKind, ids []string) error {
	result, err := r.book(ctx, kind, ids)
	if err != nil {
		return err
	}
	known, err := r.bringCustomers(ctx, result.Unknown)
	if err != nil || len(known) == 0 {
		return err
	}
	_, err = r.book(ctx, kind, known) // who is unknown again, such as after a merge meanwhile, waits for the next run
	return err
}

// bringCustomers brings customers, a few at once, and results in the ids of the records that waited for them. Those of a
// customer who cannot be brought are parked.
func (r *reconciliation) bringCustomers(ctx workflow.Context, unknown []activities.UnknownCustomer) (known []string, err error) {
	results := make([]error, len(unknown))
	places, all := workflow.NewSemaphore(ctx, customersAtOnce), workflow.NewWaitGroup(ctx)
	ends := false
	for i, customer := range unknown {
		if err := places.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		if ends { // what ended a step for all would end the next one, too
			break
		}
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			results[i] = r.bringCustomer(ctx, customer)
			ends = ends || results[i] != nil && !ofOneCustomer(results[i])
			places.Release(1)
		})
	}
	all.Wait(ctx)
	for i, customer := range unknown {
		switch err := results[i]; {
		case err == nil:
			known = append(known, customer.IDs...)
		case !ofOneCustomer(err):
			return nil, err
		default:
			if err := r.park(ctx, customer.IDs, err); err != nil {
				return nil, err
			}
		}
	}
	return known, nil
}

func (r *reconciliation) book(
	ctx workflow.Context, kind domain.EntryKind, ids []string,
) (result activities.BringBooksResult, err error) {
	step, summary := any(intoSage.BringPayments), "Bring payments into Sage"
	if kind == domain.SubscriptionEntry {
		step, summary = intoSage.BringSubscriptions, "Bring subscriptions into Sage"
	}
	err = workflow.ExecuteActivity(bookingStep(ctx, summary), step,
		activities.BringBooksInput{Location: r.in.Location, IDs: ids}).Get(ctx, &result)
	r.at.Created += result.Created
	r.at.Updated += result.Updated
	r.at.Removed += result.Removed
	r.at.Parked += result.Parked
	if kind != domain.RefundEntry { // which was counted as a payment
		r.at.Waiting += result.Waiting
	}
	return result, err
}

func (r *reconciliation) bringCustomer(ctx workflow.Context, who activities.UnknownCustomer) error {
	var customer activities.BringCustomerInput
	err := workflow.ExecuteActivity(readingStep(ctx, "Read customer from HighLevel"), fromGHL.ReadCustomer,
		activities.ReadCustomerInput{Location: r.in.Location, ExtID: who.ExtID, ContactID: who.ContactID}).Get(ctx, &customer)
	if err != nil {
		return err
	}
	return workflow.ExecuteActivity(bookingStep(ctx, "Bring customer into Sage"), intoSage.BringCustomer, customer).Get(ctx, nil)
}

// ofOneCustomer tells whether a step ended with a fault of the customer that it was about, which says nothing of others.
func ofOneCustomer(err error) bool {
	for _, kind := range []activities.Kind{
		activities.Invalid, activities.NotFound, activities.Conflict, activities.Mapping, activities.Mismatch,
		activities.StaleCustomer, activities.ReadOnly,
	} {
		if isKind(err, kind) {
			return true
		}
	}
	return false
}

// park sets records aside whose customer cannot be brought. Each run tries them again.
func (r *reconciliation) park(ctx workflow.Context, ids []string, cause error) error {
	kind, reason, details := describe(cause)
	for _, id := range ids {
		r.at.Parked++
		err := workflow.ExecuteLocalActivity(noteStep(ctx, "Park a record whose customer cannot be brought"), ledger.Park,
			activities.ParkInput{
				Location: r.in.Location, Process: SubscriptionReconciliationType, ObjectID: id,
				WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID,
				Kind:       kind, Reason: reason, Candidates: details.Candidates,
			}).Get(ctx, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// settle compares both sides, tells of what stays different, moves the cursors, and puts the reports of revenue into Sage
// that are due.
func (r *reconciliation) settle(ctx workflow.Context) error {
	told := activities.TellDifferencesInput{Location: r.in.Location, Now: workflow.Now(ctx)}
	r.at.Differences = 0
	for _, kind := range domain.EntryKinds() {
		k := activities.KindComparison{Kind: kind}
		err := workflow.ExecuteActivity(comparingStep(ctx, "Compare both sides: "+string(kind)), ledger.CompareBooks,
			activities.CompareBooksInput{Location: r.in.Location, Kind: kind, Now: told.Now, Age: r.in.Age}).Get(ctx, &k.Comparison)
		if err != nil {
			return err
		}
		r.at.Differences += k.Comparison.Differences
		k.Comparison.Examples, k.Comparison.Proofs = nil, nil // the report's, not the news'
		told.Kinds = append(told.Kinds, k)
	}
	err := workflow.ExecuteActivity(choreStep(ctx, "Tell of differences that stay"), books.TellDifferences, told).Get(ctx, nil)
	if err != nil {
		return err
	}
	err = workflow.ExecuteLocalActivity(noteStep(ctx, "Move the cursors"), ledger.CloseBooksWindow,
		activities.CloseBooksWindowInput{
			Location: r.in.Location, Window: r.at.Window, Deep: r.in.Deep, Backfill: r.in.Backfill != nil, SageNewest: r.at.SageNewest,
		}).Get(ctx, nil)
	if err != nil {
		return err
	}
	r.publish(ctx)
	r.next(activities.StageDone)
	return nil
}
