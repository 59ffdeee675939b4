package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/tallystick/tallystick/activities"
)

// Announcements are the steps of a lifecycle, by key and in their order, that people are yet to be told of.
type Announcements struct {
	// Enter are those that are not entered in Sage yet, Tell those that are and that the team is yet to be told of.
	Enter []string `json:"enter,omitempty"`
	Tell  []string `json:"tell,omitempty"`
}

// announcer tells people of the steps of a lifecycle: each is entered in Sage, and then told to the team. Each of the two is
// done in a coroutine of its own, so that neither holds up a pass, nor a service for messages that is away an entry. What
// cannot be done within a day is given up: the record says how far the goods are, told or not.
type announcer struct {
	location, order string
	enter, tell     lane
	// known are the steps that this run has heard of. A pass names a step until it is recorded that people were told.
	known map[string]bool
	// untold is why the last step was given up that could not be entered or told.
	untold string
	stop   workflow.CancelFunc
}

// lane is one way to tell people, with the steps that wait for it. The first of them is under way.
type lane struct {
	waiting []string
	ended   bool
}

// startAnnouncer begins with what an earlier run has left.
func startAnnouncer(ctx workflow.Context, in FulfillmentInput) *announcer {
	a := &announcer{location: in.Location, order: in.OrderID, known: map[string]bool{}}
	ctx, a.stop = workflow.WithCancel(ctx)
	if in.Resume != nil {
		a.add(&a.enter, in.Resume.Telling.Enter)
		a.add(&a.tell, in.Resume.Telling.Tell)
	}
	workflow.GoNamed(ctx, "entering steps in Sage", func(ctx workflow.Context) {
		a.serve(ctx, &a.enter, a.enterStep)
	})
	workflow.GoNamed(ctx, "telling the team", func(ctx workflow.Context) {
		a.serve(ctx, &a.tell, a.tellTeam)
	})
	return a
}

// steps takes in the steps that a pass names.
func (a *announcer) steps(keys []string) { a.add(&a.enter, keys) }

func (a *announcer) add(l *lane, keys []string) {
	for _, key := range keys {
		if !a.known[key] {
			a.known[key] = true
			l.waiting = append(l.waiting, key)
		}
	}
}

// serve does one thing for each step that comes into a lane, one after the other. Interrupted, it leaves the step that is
// under way to the next run.
func (a *announcer) serve(ctx workflow.Context, l *lane, do func(workflow.Context, string) error) {
	defer func() { l.ended = true }()
	for {
		if err := workflow.Await(ctx, func() bool { return len(l.waiting) > 0 }); err != nil {
			return
		}
		err := do(ctx, l.waiting[0])
		if err != nil && ctx.Err() != nil {
			return
		}
		if err != nil {
			_, a.untold, _ = describe(err)
			workflow.GetLogger(ctx).Warn("people could not be told of a step",
				"location", a.location, "order", a.order, "step", l.waiting[0], "reason", a.untold)
		}
		if l == &a.enter { // only now: no two steps are ever busy with the same record
			a.tell.waiting = append(a.tell.waiting, l.waiting[0])
		}
		l.waiting = l.waiting[1:]
	}
}

func (a *announcer) enterStep(ctx workflow.Context, key string) error {
	return workflow.ExecuteActivity(enteringStep(ctx, "Enter in Sage: "+key), intoSage.EnterStep, a.input(key)).Get(ctx, nil)
}

func (a *announcer) tellTeam(ctx workflow.Context, key string) error {
	return workflow.ExecuteActivity(teamStep(ctx, "Tell the team: "+key), toTeams.TellTeam, a.input(key)).Get(ctx, nil)
}

func (a *announcer) input(key string) activities.StepInput {
	return activities.StepInput{Location: a.location, OrderID: a.order, Key: key}
}

// idle tells whether nobody is left to be told of anything.
func (a *announcer) idle() bool { return len(a.enter.waiting) == 0 && len(a.tell.waiting) == 0 }

// left are the steps that wait, including those that are under way.
func (a *announcer) left() Announcements {
	return Announcements{Enter: append([]string(nil), a.enter.waiting...), Tell: append([]string(nil), a.tell.waiting...)}
}

// interrupt stops telling and says what is left. It waits until nothing is under way, so that the next run does not begin
// what this one is still doing; that takes no longer than a worker that died needs to be missed.
func (a *announcer) interrupt(ctx workflow.Context) (Announcements, error) {
	a.stop()
	err := workflow.Await(ctx, func() bool { return a.enter.ended && a.tell.ended })
	return a.left(), err
}
