package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
)

// Books are the steps of the reconciliation about itself: what a run may do, how far it has come, and whom to tell of what
// it found.
type Books struct {
	Store *store.Store
	// Notify may be nil: the log is told in any case.
	Notify Notifier
	// On is false where the schedules' runs are to do nothing. What somebody asks for is done all the same.
	On bool
	// Overlap is how far a run reaches back beyond the last one. DifferenceAge is how old a difference must be to count.
	// Remind is after how long operators are told again of differences that last, 0 for never.
	Overlap, DifferenceAge, Remind time.Duration
	// Revenue says where a location's reports of revenue are put in Sage; nil puts none there.
	Revenue func(ctx context.Context, location string) (RevenueSettings, error)
}

// Period is the time that a backfill covers. Before is not part of it.
type Period struct {
	From   time.Time `json:"from"`
	Before time.Time `json:"before"`
}

// Same tells whether two periods are the same to the microsecond, as exact as the store keeps them.
func (p Period) Same(other Period) bool {
	return p.From.Truncate(time.Microsecond).Equal(other.From.Truncate(time.Microsecond)) &&
		p.Before.Truncate(time.Microsecond).Equal(other.Before.Truncate(time.Microsecond))
}

// ReconciliationStage is what a reconciliation does at a time.
type ReconciliationStage string

// The stages. The first two alternate, one stretch of the window after the other; the rest comes once, in this order. All
// is read before anything is brought, so that what people changed at Sage is brought by the same run that saw it, and what
// waits for the order of a payment has had the time.
const (
	StageTransactions  ReconciliationStage = "transactions"
	StageOrders        ReconciliationStage = "orders"
	StageSubscriptions ReconciliationStage = "subscriptions"
	StageSage          ReconciliationStage = "sage"
	StageBring         ReconciliationStage = "bring"
	StageCompare       ReconciliationStage = "compare"
	StageDone          ReconciliationStage = "done"
)

// ReconciliationProgress is how far a reconciliation has come, and all that it needs to go on from there.
type ReconciliationProgress struct {
	Window BooksWindow         `json:"window"`
	Stage  ReconciliationStage `json:"stage"`
	// From and To bound the stretch of the window that is read, At is the place in its list.
	From time.Time  `json:"from,omitzero"`
	To   time.Time  `json:"to,omitzero"`
	At   ghl.Cursor `json:"at,omitzero"`
	// Part counts the parts of Sage's side that are through, SageAt is the place in the one that is read, and SageNewest the
	// latest change that was seen.
	Part       int             `json:"part,omitempty"`
	SageAt     SageBooksCursor `json:"sageAt,omitzero"`
	SageNewest time.Time       `json:"sageNewest,omitzero"`
	// Kind counts the kinds that are brought, After is the place in the list of the next.
	Kind  int    `json:"kind,omitempty"`
	After string `json:"after,omitempty"`
	// Pages and Records count what of the stage is done.
	Pages   int64 `json:"pages"`
	Records int64 `json:"records"`

	// Rows were read on both sides, Changed of them said something else than before, Looks hints were handed out.
	Rows       int `json:"rows"`
	Changed    int `json:"changed"`
	Looks      int `json:"looks"`
	Unreadable int `json:"unreadable,omitempty"`
	// Created and Updated are records at Sage, Parked those that could not be brought.
	Created int `json:"created"`
	Updated int `json:"updated"`
	Removed int `json:"removed,omitempty"`
	Parked  int `json:"parked,omitempty"`
	// Waiting are payments that wait for their orders, which the processes of those bring. Rounds is how often they were
	// waited for, Left how many were left after the round before, and Idle how many rounds changed nothing of that.
	Waiting int `json:"waiting,omitempty"`
	Rounds  int `json:"rounds,omitempty"`
	Left    int `json:"left,omitempty"`
	Idle    int `json:"idle,omitempty"`
	// Differences are those that are older than the configured age, once both sides were compared.
	Differences int64 `json:"differences"`
	// Published are reports of revenue that were made or set right in Sage.
	Published int `json:"published,omitempty"`
	// Stopped is why the run ended before its end: the kind of the fault of a connection that does not work now. The next
	// run covers the same time.
	Stopped string `json:"stopped,omitempty"`
	// Off: the schedules' runs are switched off.
	Off bool `json:"off,omitempty"`
}

// BackfillRun is the name under which the store keeps how far a location's backfill has come.
const BackfillRun = "backfill"

// PlanReconciliationInput asks what a run that starts now may do.
type PlanReconciliationInput struct {
	Location string    `json:"location"`
	Now      time.Time `json:"now"`
	// Asked: somebody asked for this run.
	Asked bool `json:"asked,omitempty"`
	// Backfill is the period of a backfill, nil for other runs.
	Backfill *Period `json:"backfill,omitempty"`
}

// ReconciliationPlan is what a run may do.
type ReconciliationPlan struct {
	// Off: nothing.
	Off     bool          `json:"off,omitempty"`
	Overlap time.Duration `json:"overlap"`
	Age     time.Duration `json:"age"`
	// Resume is where a backfill of the same period was stopped.
	Resume *ReconciliationProgress `json:"resume,omitempty"`
}

// PlanReconciliation says what a run may do, and where it goes on if it was stopped. It is run as a local activity.
func (b *Books) PlanReconciliation(ctx context.Context, in PlanReconciliationInput) (ReconciliationPlan, error) {
	plan := ReconciliationPlan{Off: !b.On && !in.Asked && in.Backfill == nil, Overlap: b.Overlap, Age: b.DifferenceAge}
	if in.Backfill == nil || plan.Off {
		return plan, nil
	}
	var err error
	plan.Resume, err = b.resume(ctx, in)
	return plan, asTemporal(err, attempt(ctx), 0)
}

// resume finds where a backfill of the same period was stopped. What is known of another one is forgotten.
func (b *Books) resume(ctx context.Context, in PlanReconciliationInput) (*ReconciliationProgress, error) {
	kept, found, err := b.Store.Progress(ctx, in.Location, BackfillRun)
	if err != nil {
		return nil, err
	}
	same := found && in.Backfill.Same(Period{kept.From, kept.Before})
	if same && kept.EndedAt.IsZero() && kept.Position != "" {
		var at ReconciliationProgress
		if err := json.Unmarshal([]byte(kept.Position), &at); err == nil {
			at.Stopped = ""
			return &at, nil
		}
		logger(ctx).Warn("another version kept how far the backfill came; it begins again", "location", in.Location)
	}
	if err := b.Store.ForgetProgress(ctx, in.Location, BackfillRun); err != nil {
		return nil, err
	}
	return nil, b.Store.PutProgress(ctx, store.Progress{
		Location: in.Location, Run: BackfillRun, From: in.Backfill.From, Before: in.Backfill.Before, At: in.Backfill.From,
		Stage: string(StageTransactions), UpdatedAt: in.Now,
	})
}

// NoteReconciliationInput is how far a backfill has come.
type NoteReconciliationInput struct {
	Location string                 `json:"location"`
	Now      time.Time              `json:"now"`
	Backfill Period                 `json:"backfill"`
	Progress ReconciliationProgress `json:"progress"`
}

// NoteReconciliation keeps how far a backfill has come. What it counts is stored by then, so a run that goes on from here
// leaves nothing out. It is run as a local activity.
func (b *Books) NoteReconciliation(ctx context.Context, in NoteReconciliationInput) error {
	return asTemporal(b.noteReconciliation(ctx, in), attempt(ctx), 0)
}

func (b *Books) noteReconciliation(ctx context.Context, in NoteReconciliationInput) error {
	before, _, err := b.Store.Progress(ctx, in.Location, BackfillRun)
	if err != nil {
		return err
	}
	position, err := json.Marshal(in.Progress)
	if err != nil {
		return err
	}
	p := in.Progress
	note := store.Progress{
		Location: in.Location, Run: BackfillRun, Stage: string(p.Stage), Position: string(position),
		From: in.Backfill.From, Before: in.Backfill.Before, At: p.reached(in.Backfill),
		Pages: p.Pages, Records: p.Records, UpdatedAt: in.Now,
	}
	switch {
	case p.Stage == StageDone:
		note.EndedAt = in.Now
	case p.Stage != StageBring:
	case before.Stage == note.Stage && before.Total > 0:
		note.Total = max(before.Total, note.Records)
	default:
		if note.Total, err = b.left(ctx, in.Location); err != nil {
			return err
		}
		note.Total += note.Records
	}
	return b.Store.PutProgress(ctx, note)
}

// reached is up to where in a period both lists were read. Half of a stretch is through when its transactions are.
func (p ReconciliationProgress) reached(period Period) time.Time {
	switch p.Stage {
	case StageTransactions:
		return p.From
	case StageOrders:
		return p.From.Add(p.To.Sub(p.From) / 2)
	default:
		return period.Before
	}
}

// left counts what is to be brought.
func (b *Books) left(ctx context.Context, location string) (int64, error) {
	tallies, err := b.Store.CountUnagreed(ctx, location)
	var n int64
	for _, t := range tallies {
		if slices.Contains(BroughtKinds(), t.Kind) {
			n += t.Count
		}
	}
	return n, err
}

// BroughtKinds are the kinds that a reconciliation itself brings into Sage, in their order: the orders of renewals refer to
// the opportunities of their subscriptions.
func BroughtKinds() []domain.EntryKind {
	return []domain.EntryKind{domain.SubscriptionEntry, domain.PaymentEntry, domain.RefundEntry}
}

// KindComparison is how the sides stand on one kind.
type KindComparison struct {
	Kind       domain.EntryKind `json:"kind"`
	Comparison BooksComparison  `json:"comparison"`
}

// TellDifferencesInput is what a comparison found.
type TellDifferencesInput struct {
	Location string           `json:"location"`
	Now      time.Time        `json:"now"`
	Kinds    []KindComparison `json:"kinds"`
}

// differencesCause begins the causes of the alerts about differences; behind a slash comes the kind of record.
const differencesCause = "differences/"

// TellDifferences tells operators of differences that stay: once for each kind of record, again from time to time, and once
// when there are none left. A message that does not arrive is told by the next run.
func (b *Books) TellDifferences(ctx context.Context, in TellDifferencesInput) error {
	ctx, stop := alive(ctx)
	defer stop()
	return asTemporal(b.tellDifferences(ctx, in), attempt(ctx), 0)
}

func (b *Books) tellDifferences(ctx context.Context, in TellDifferencesInput) error {
	now := in.Now.UTC()
	var due []store.Alert
	var lines []string
	for _, k := range in.Kinds {
		cause := differencesCause + string(k.Kind)
		if k.Comparison.Differences == 0 {
			over, told, err := b.Store.ClearAlert(ctx, in.Location, cause, now)
			if err != nil {
				return err
			}
			if told {
				due = append(due, over)
				lines = append(lines, fmt.Sprintf("both sides agree on each %s again", k.Kind))
			}
			continue
		}
		text := differ(k)
		raised, isDue, err := b.Store.RaiseAlert(ctx, store.Alert{Location: in.Location, Cause: cause, Text: text}, now)
		if err != nil {
			return err
		}
		if isDue {
			due = append(due, raised)
			lines = append(lines, text)
		}
	}
	return b.news(ctx, in.Location, now, due, lines, "`starter diff` lists the differences")
}

// news tells operators and the log of alerts that are due, in a line each. What does not arrive is told by the next run.
func (b *Books) news(ctx context.Context, location string, now time.Time, due []store.Alert, lines []string, see string) error {
	if len(due) == 0 {
		return nil
	}
	text := "Tallystick: HighLevel location " + location + ": " + strings.Join(lines, "; ") + "."
	if b.Notify != nil && b.Notify.Enabled() {
		if err := b.Notify.Post(ctx, text); err != nil {
			logger(ctx).Warn("operators could not be told of the books, and will be by the next run; "+see,
				"location", location, "reason", err.Error())
			return nil
		}
	}
	logger(ctx).Warn("the books of both sides: "+strings.Join(lines, "; "), "location", location)
	for _, alert := range due {
		if err := b.Store.MarkAlertTold(ctx, alert, now, b.Remind); err != nil {
			return err
		}
	}
	return nil
}

// differ says how the sides disagree, such as "2 records of payments differ (1 amount, 1 missing), the oldest since …".
func differ(k KindComparison) string {
	c := k.Comparison
	var found []string
	for finding, n := range c.Findings {
		found = append(found, fmt.Sprintf("%d %s", n, finding))
	}
	slices.Sort(found)
	text := fmt.Sprintf("HighLevel and Sage disagree on %d of kind %s", c.Differences, k.Kind)
	if len(found) > 0 {
		text += " (" + strings.Join(found, ", ") + ")"
	}
	if !c.Oldest.IsZero() {
		text += ", since " + moment(c.Oldest)
	}
	return text + ": `starter diff` lists them"
}
