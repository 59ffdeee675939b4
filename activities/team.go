package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tallystick/tallystick/clients/sage"
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

// TellTeam tells a team of a step, through the webhook of the notifications, and notes that it did. A process that dies
// between the two tells it again, and none is told a second time otherwise. Where nobody is to be told, that is noted
// too, so that a webhook set up later does not begin with what is long past.
//
// Its errors are for the caller to leave behind: an order never waits for a message.
func (t *Teams) TellTeam(ctx context.Context, in StepInput) error {
	ctx, stop := alive(ctx)
	defer stop()
	return asTemporal(t.tell(ctx, in), attempt(ctx), 0)
}

func (t *Teams) tell(ctx context.Context, in StepInput) error {
	step, row, found, err := in.read(ctx, t.Store)
	if err != nil || !found || step.Told {
		return err
	}
	silent := true
	if t.Notify != nil && t.Notify.Enabled() && slices.Contains(t.Steps, step.State) {
		text, err := t.Templates.Message(stepWords(ctx, step, row, t.Links))
		warnOfText(ctx, "message", err)
		if text != "" {
			if err := t.Notify.Post(ctx, text); err != nil {
				return err
			}
			silent = false
		}
	}
	return in.mark(ctx, t.Store, func(step *store.FulfillmentStep) { step.Told, step.Silent = true, silent })
}

// read finds the step and the lifecycle it belongs to. A step that is not recorded is none that was taken, so there is
// nothing to tell of it.
func (in StepInput) read(ctx context.Context, s *store.Store) (step store.FulfillmentStep, row store.FulfillmentRecord, found bool, err error) {
	row, found, err = s.Fulfillment(ctx, in.Location, in.OrderID)
	if err != nil || !found {
		return step, row, false, err
	}
	step, found, err = in.step(ctx, s)
	return step, row, found, err
}

func (in StepInput) step(ctx context.Context, s *store.Store) (store.FulfillmentStep, bool, error) {
	steps, err := s.FulfillmentSteps(ctx, in.Location, in.OrderID)
	if at := slices.IndexFunc(steps, func(step store.FulfillmentStep) bool { return step.Key == in.Key }); at >= 0 {
		return steps[at], true, nil
	}
	return store.FulfillmentStep{}, false, err
}

// mark changes what is kept of the step. It is read again for that: an entry at Sage and a message may be under way at
// the same time, and each has marks of its own.
func (in StepInput) mark(ctx context.Context, s *store.Store, change func(*store.FulfillmentStep)) error {
	step, found, err := in.step(ctx, s)
	if err != nil || !found {
		return err
	}
	before := step
	change(&step)
	if step == before {
		return nil
	}
	return s.MarkFulfillmentStep(ctx, step)
}

// stepWords are what may be said of a step. Of the customer there is nothing among it.
func stepWords(ctx context.Context, step store.FulfillmentStep, row store.FulfillmentRecord, links notify.Links) notify.Step {
	lifecycle := row.Lifecycle
	words := notify.Step{
		State: string(step.State), Location: row.Location, Order: row.OrderID, SageOrder: row.SageID,
		Shipment: step.ShipmentID, Since: step.At,
	}
	trackings := lifecycle.Trackings()
	for _, shipment := range lifecycle.Shipments {
		switch step.ShipmentID {
		case "":
			words.Items = withItems(words.Items, shipment.Items)
		case shipment.ID:
			words.Items, trackings = withItems(nil, shipment.Items), shipment.Trackings
			words.Part = row.Partial || len(lifecycle.Shipments) > 1
		}
	}
	for _, t := range trackings {
		words.Trackings = append(words.Trackings, notify.Tracking(t))
	}
	if step.State.Final() && step.State == lifecycle.State && step.ShipmentID == "" {
		words.Reason = lifecycle.Reason
	}
	place := notify.Place{Location: row.Location, Order: row.OrderID, SageOrder: row.SageID}
	if activity.IsActivity(ctx) {
		info := activity.GetInfo(ctx)
		place.Namespace, place.Workflow = info.Namespace, info.WorkflowExecution.ID
	}
	return words.WithLinks(links, place)
}

// withItems adds what was shipped, pieces of one product together.
func withItems(all []notify.Item, shipped []domain.ShippedItem) []notify.Item {
	for _, item := range shipped {
		name := cmp.Or(item.Name, item.PriceID)
		at := slices.IndexFunc(all, func(known notify.Item) bool { return known.Name == name })
		if at < 0 {
			all = append(all, notify.Item{Name: name, Quantity: item.Quantity})
			continue
		}
		all[at].Quantity += item.Quantity
	}
	return all
}

// warnOfText says that a text of the operator's could not be written. The error is left out: it may quote the text.
func warnOfText(ctx context.Context, what string, err error) {
	if err != nil {
		logger(ctx).Warn("a text of NOTIFY_TEMPLATES failed on a real order, so the one that comes with Tallystick is used; "+
			"look for an index or a comparison that not every order allows", "text", what)
	}
}

// EnterStep enters a step on the account of the order's customer at Sage, for salespeople to read: as an activity, and by
// option as a task in the calendar of the order's owner, whom Sage is asked to notify (A113). Each is made once, although
// Sage has no key by which it would know a repeated one: that an entry is attempted is noted before it is sent, and after
// an attempt whose outcome is unknown the account is searched for the entry's mark before anything is written again.
//
// What Sage refuses is given up with a line in the log; so is an entry on an order that is gone. Nothing of the order
// waits for it.
func (a *Sage) EnterStep(ctx context.Context, in StepInput) error {
	ctx, stop := alive(ctx)
	defer stop()
	e := &entering{sage: a, in: in}
	err := e.run(ctx)
	return a.fail(ctx, e.conn.settles(err))
}

// entering is one run of EnterStep.
type entering struct {
	sage     *Sage
	in       StepInput
	settings FulfillmentSettings

	step  store.FulfillmentStep
	row   store.FulfillmentRecord
	conn  *connection
	order sage.Order
	words notify.Step
	// begun is when an earlier run last attempted an entry; zero if none did, so that there is nothing to look for.
	begun time.Time
}

// entry is a record to be made at Sage for a step. Its id is the step's.
type entry struct {
	what   string
	id     *int64
	find   func(ctx context.Context) (int64, error)
	create func(ctx context.Context) (int64, error)
}

func (e *entering) run(ctx context.Context) error {
	var found bool
	var err error
	if e.settings, err = e.sage.Fulfillment.of(ctx, e.in.Location); err != nil || !e.settings.On {
		return err
	}
	if e.step, e.row, found, err = e.in.read(ctx, e.sage.Store); err != nil || !found || e.step.GivenUp {
		return err
	}
	e.begun = e.step.Begun
	e.words = stepWords(ctx, e.step, e.row, e.sage.Links)
	entries := e.entries(ctx)
	missing := slices.ContainsFunc(entries, func(n entry) bool { return *n.id == 0 })
	if missing {
		if err := e.prepare(ctx); err != nil {
			if !e.refused(ctx, "entry", err) {
				return err
			}
			return e.giveUp(ctx)
		}
	}
	refused := false
	for _, n := range entries {
		if err := e.enter(ctx, n); err != nil {
			if !e.refused(ctx, n.what, err) {
				return err
			}
			refused = true
		}
	}
	if refused || e.step.ActivityID == 0 {
		// Also where nothing was to be entered: an option that is switched on later does not begin with what is long past.
		return e.giveUp(ctx)
	}
	return nil
}

// entries are those that the settings and the texts ask for.
func (e *entering) entries(ctx context.Context) []entry {
	var all []entry
	if e.settings.Activities {
		text, err := e.sage.Templates.Activity(e.words)
		warnOfText(ctx, "activity", err)
		if text != "" {
			all = append(all, e.activity(text))
		}
	}
	if e.settings.Tasks {
		subject, text, err := e.sage.Templates.Task(e.words)
		warnOfText(ctx, "task", err)
		if subject != "" {
			all = append(all, e.task(subject, text))
		}
	}
	return all
}

// prepare reads whose account it is.
func (e *entering) prepare(ctx context.Context) error {
	var err error
	if e.conn, err = e.sage.connect(ctx, e.in.Location); err != nil {
		return err
	}
	doing(ctx, "reading the order")
	e.order, err = e.conn.Orders.Get(ctx, e.row.SageID)
	if sage.MaybeNotFound(err) {
		var found bool
		if e.order, found, err = e.conn.Orders.Lookup(ctx, e.row.SageID); err == nil && !found {
			return faultf(Conflict, "the Sage order %d is gone", e.row.SageID)
		}
	}
	switch {
	case err != nil:
		return err
	case bool(e.order.Deleted):
		return faultf(Conflict, "the Sage order %d is deleted", e.order.ID)
	case e.order.AccountID.ID == 0:
		return faultf(Conflict, "the Sage order %d belongs to no account", e.order.ID)
	}
	return nil
}

// enter makes one entry, unless it is there.
func (e *entering) enter(ctx context.Context, n entry) error {
	o := once{
		what: n.what, id: n.id, begun: &e.step.Begun, earlier: e.begun, find: n.find, create: n.create, keep: e.keep,
	}
	if *n.id == 0 {
		o.settle = e.conn.settings.Settle // what is entered needs no connection
	}
	return o.make(ctx)
}

// keep records how far it came. Whether the team was told is not its business.
func (e *entering) keep(ctx context.Context) error {
	return e.in.mark(ctx, e.sage.Store, func(step *store.FulfillmentStep) {
		step.ActivityID, step.TaskID, step.Begun, step.GivenUp = e.step.ActivityID, e.step.TaskID, e.step.Begun, e.step.GivenUp
	})
}

// giveUp notes that what is not entered yet never will be.
func (e *entering) giveUp(ctx context.Context) error {
	e.step.GivenUp = true
	return e.keep(ctx)
}

// refused tells whether an error would come again however often the entry were tried, and says so in the log. What a
// location waits for as a whole is no such thing: its credentials, or that somebody lets it write.
func (e *entering) refused(ctx context.Context, what string, err error) bool {
	fault := faultOf(err)
	switch fault.Kind {
	case ReadOnly, Reconnect, Paused, Unauthorized:
		return false
	}
	if rule := Rules[fault.Kind]; rule.Retry && (rule.Attempts == 0 || attempt(ctx) < rule.Attempts) {
		return false
	}
	logger(ctx).Warn("Sage does not take an entry about a step of an order's shipping, which is given up; the order goes on. "+
		"If the tenant demands a field, name it in SAGE_DEFAULT_FIELDS",
		"location", e.in.Location, "order", e.in.OrderID, "step", e.in.Key, "entry", what, "kind", string(fault.Kind), "error", err)
	return true
}

// The resources that steps are entered in, as SAGE_DEFAULT_FIELDS calls them.
const (
	activitiesResource = "activities"
	calendarResource   = "calendar"
)

// markOf is how an entry is recognised: it ends in it. None is the beginning of another.
func markOf(in StepInput) string {
	return fmt.Sprintf("[tallystick step=%s; order=%s]", noteUnsafe.Replace(in.Key), noteUnsafe.Replace(in.OrderID))
}

// longestEntry leaves room for the mark, and for characters that Sage may count twice.
const longestEntry = sage.MaxActivityComment - 500

func (e *entering) comment(text string) string {
	if text == "" {
		return markOf(e.in)
	}
	return notify.Cut(text, longestEntry) + "\n" + markOf(e.in)
}

// activity is dated when the step was taken.
func (e *entering) activity(text string) entry {
	return entry{
		what: "activity",
		id:   &e.step.ActivityID,
		find: func(ctx context.Context) (int64, error) {
			rows, err := e.conn.Activities.FindMarked(ctx, e.order.AccountID.ID, markOf(e.in), e.begun)
			if err != nil || len(rows) == 0 {
				return 0, err
			}
			return rows[0].ID, nil
		},
		create: func(ctx context.Context) (int64, error) {
			kind, err := e.conn.kind(ctx, "SAGE_ACTIVITY_TYPE_ID", e.settings.ActivityType)
			if err != nil {
				return 0, err
			}
			owner, at, comment := e.owner(), sage.At(e.step.At), e.comment(text)
			return e.conn.Activities.Create(ctx, sage.ActivityFields{
				AccountID: &e.order.AccountID.ID, ContactID: idOrNone(e.order.ContactID), TypeID: &kind, SalesRepID: &owner,
				Date: &at, Comment: &comment, Extra: e.conn.tenant.defaults(activitiesResource),
			})
		},
	}
}

// task is for today, all day long: it asks for a look, and what happened has its moment in the text. Sage's dates are of
// a doubtful zone (A60), and noon is the same day in nearly all of them.
func (e *entering) task(subject, text string) entry {
	return entry{
		what: "calendar task",
		id:   &e.step.TaskID,
		find: func(ctx context.Context) (int64, error) {
			rows, err := e.conn.Calendar.FindMarked(ctx, e.order.AccountID.ID, markOf(e.in), e.begun)
			if err != nil || len(rows) == 0 {
				return 0, err
			}
			return rows[0].ID, nil
		},
		create: func(ctx context.Context) (int64, error) {
			kind, err := e.conn.kind(ctx, "SAGE_TASK_TYPE_ID", e.settings.TaskType, e.settings.ActivityType)
			if err != nil {
				return 0, err
			}
			noon := time.Now().UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
			owner, branch := e.owner(), cmp.Or(e.order.BranchID.ID, e.conn.tenant.branch)
			day, comment := sage.At(noon), e.comment(text)
			from, to := sage.CalendarHour(noon), sage.CalendarHour(noon.Add(time.Hour))
			yes := true
			return e.conn.Calendar.Create(ctx, sage.CalendarFields{
				AccountID: &e.order.AccountID.ID, ContactID: idOrNone(e.order.ContactID), TypeID: &kind, SalesRepID: &owner,
				BranchID: &branch, Subject: &subject, Comment: &comment, StartDate: &day, StartHour: &from, EndDate: &day,
				EndHour: &to, AllDay: &yes, Task: &yes, SendNotification: &yes, Extra: e.conn.tenant.defaults(calendarResource),
			})
		},
	}
}

// owner is who the order belongs to, for it is they who want to know.
func (e *entering) owner() int64 { return cmp.Or(e.order.SalesRepID.ID, e.conn.tenant.salesRep) }

// kind is the first type that is chosen, or the only one that the tenant has.
func (c *connection) kind(ctx context.Context, variable string, chosen ...int64) (int64, error) {
	if id := cmp.Or(chosen...); id != 0 {
		return id, nil
	}
	return c.Catalog.ActivityType(ctx, variable)
}

func idOrNone(ref sage.Ref) *int64 {
	if !ref.IsSet() {
		return nil
	}
	return &ref.ID
}
