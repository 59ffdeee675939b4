package activities_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/store"
	"github.com/tallystick/tallystick/sandbox/faults"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
)

// reported is a world in whose books October took 100.00 EUR at both sides, with an account for the reports of it.
type reported struct {
	*world
	account int64
	now     time.Time
	steps   *activities.Books
	told    *people
}

const (
	october  = "2026-10"
	november = "2026-11"
)

func reporting(t *testing.T, o worldOptions) *reported {
	t.Helper()
	r := &reported{world: newWorld(t, o), now: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC), told: &people{}}
	r.settings.Settle = 5 * time.Millisecond
	r.account = r.newAccount("Our own company")
	r.settings.Books.Revenue = activities.RevenueSettings{On: true, Account: r.account, Day: 2}
	r.steps = &activities.Books{Store: r.store, Notify: r.told, Remind: 24 * time.Hour,
		Revenue: func(context.Context, string) (activities.RevenueSettings, error) {
			return r.settings.Books.Revenue, nil
		}}
	r.take("t1", 10000, 5)
	return r
}

func (r *reported) newAccount(name string) int64 {
	r.t.Helper()
	id, err := r.sage.PeopleCreate("accounts", map[string]any{
		"name": name, "branchId": r.sage.Find("branches", "Main branch"), "salesRepId1": r.sage.Person(),
	})
	require.NoError(r.t, err)
	return id
}

// take enters a payment of a day of October, as both sides know it.
func (r *reported) take(id string, minor int64, day int) {
	r.t.Helper()
	at := time.Date(2026, 10, day, 12, 0, 0, 0, time.UTC)
	r.enter(domain.Entry{Kind: domain.PaymentEntry, ID: id, Amount: domain.NewMoney(minor, "EUR"), Status: string(domain.Settled), At: at})
}

// giveBack enters a refund of October.
func (r *reported) giveBack(id string, minor int64) {
	r.t.Helper()
	at := time.Date(2026, 10, 31, 23, 0, 0, 0, time.UTC)
	r.enter(domain.Entry{Kind: domain.RefundEntry, ID: id, Amount: domain.NewMoney(minor, "EUR"), Status: domain.RefundDone, At: at})
}

func (r *reported) enter(e domain.Entry) {
	r.t.Helper()
	e.Side, e.ProductID, e.UpdatedAt = domain.HighLevelSide, cmp.Or(e.ProductID, "mug"), e.At
	there := e
	there.Side, there.Record = domain.SageSide, "9"+e.ID
	require.NoError(r.t, r.store.PutEntries(r.t.Context(), []store.LedgerEntry{
		{Location: r.ghl.Location(), Entry: e}, {Location: r.ghl.Location(), Entry: there},
	}))
}

func (r *reported) input(month string) activities.PublishRevenueInput {
	return activities.PublishRevenueInput{Location: r.ghl.Location(), Month: month, Now: r.now}
}

func (r *reported) publish() (activities.PublishRevenueResult, error) {
	r.t.Helper()
	return do[activities.PublishRevenueResult](r.world, r.write.PublishRevenue, r.input(october))
}

func (r *reported) mustPublish() activities.PublishRevenueResult {
	r.t.Helper()
	result, err := r.publish()
	require.NoError(r.t, err)
	return result
}

func (r *reported) ask() (activities.PublishRevenueResult, error) {
	r.t.Helper()
	in := r.input(october)
	in.Asked = true
	return do[activities.PublishRevenueResult](r.world, r.write.PublishRevenue, in)
}

// seeThrough publishes as Temporal would, in whatever process lives by then.
func (r *reported) seeThrough() activities.PublishRevenueResult {
	r.t.Helper()
	var last error
	for range 200 {
		result, err := r.publish()
		if err == nil {
			return result
		}
		last = err
		r.faults.Wait() // what is late has landed by the time at which Temporal tries again
	}
	r.t.Fatalf("the report is never published: %v", last)
	return activities.PublishRevenueResult{}
}

func (r *reported) plan() activities.RevenuePlan {
	r.t.Helper()
	plan, err := do[activities.RevenuePlan](r.world, r.steps.PlanRevenue, activities.PlanRevenueInput{Location: r.ghl.Location(), Now: r.now})
	require.NoError(r.t, err)
	return plan
}

// only is the one activity that stands in Sage.
func (r *reported) only() sagebox.Record {
	r.t.Helper()
	all := r.sage.Live("activities")
	require.Len(r.t, all, 1)
	return all[0]
}

// warm has read before what is read for all steps at once, outside of any step.
func (r *reported) warm() {
	r.t.Helper()
	r.enter(domain.Entry{Kind: domain.PaymentEntry, ID: "w", Amount: domain.NewMoney(1, "EUR"), Status: string(domain.Settled),
		At: time.Date(2026, 9, 3, 0, 0, 0, 0, time.UTC)})
	result, err := do[activities.PublishRevenueResult](r.world, r.write.PublishRevenue, r.input("2026-09"))
	require.NoError(r.t, err)
	require.NoError(r.t, r.sage.PeopleDelete("activities", result.Activity))
}

// plain is a text with single blanks.
func plain(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestARevenueReportIsAnActivityOnTheAccount(t *testing.T) {
	r := reporting(t, worldOptions{})
	require.Equal(t, []string{october}, r.plan().Months)
	result := r.mustPublish()
	it := r.only()
	require.Equal(t, activities.PublishRevenueResult{Outcome: activities.Created, Account: r.account, Activity: it.ID}, result)
	require.Equal(t, r.account, it.Int("accountId"))
	require.Equal(t, r.sage.Find("activityTypes", "Standard"), it.Int("typeId"))
	require.True(t, r.now.Equal(it.Time("date")))
	text := plain(it.Text("comment"))
	for _, words := range []string{
		"REVENUE OF 2026-10, location " + r.ghl.Location(), "EUR HIGHLEVEL SAGE DIFFERENCE gross 100.00 (1) 100.00 (1) 0.00",
		"mug EUR 100.00 / 100.00", "Written on 2 November 2026 (UTC)",
	} {
		require.Contains(t, text, words)
	}
	require.True(t, strings.HasSuffix(text, "[tallystick report=revenue; month=2026-10; location="+r.ghl.Location()+"]"))

	require.Empty(t, r.plan().Months)
	before := r.sage.CallCount("sage.")
	require.Equal(t, activities.Unchanged, r.mustPublish().Outcome)
	require.Equal(t, before, r.sage.CallCount("sage."), "what is published as it is costs nothing")
}

func TestAReportIsSetRightWhenItsFiguresChange(t *testing.T) {
	r := reporting(t, worldOptions{})
	first := r.mustPublish()
	require.NoError(t, r.sage.PeopleUpdate("activities", first.Activity, map[string]any{"comment": "well done, all"}))
	require.Empty(t, r.plan().Months, "what people write into it stays")
	require.Equal(t, activities.Unchanged, r.mustPublish().Outcome)
	require.Equal(t, "well done, all", r.only().Text("comment"))

	// A renewal that is still to come is none of October's for long.
	r.enter(domain.Entry{
		Kind: domain.SubscriptionEntry, ID: "s1", ProductID: "gold", Amount: domain.NewMoney(900, "EUR"), Status: string(domain.SubscriptionPaused),
		At: time.Date(2026, 8, 3, 0, 0, 0, 0, time.UTC), Next: time.Date(2026, 10, 31, 0, 0, 0, 0, time.UTC),
		Every: domain.Recurrence{Unit: "month", Count: 1},
	})
	require.Empty(t, r.plan().Months)

	r.giveBack("t1", 2500)
	require.Equal(t, []string{october}, r.plan().Months)
	require.Equal(t, activities.PublishRevenueResult{Outcome: activities.Updated, Account: r.account, Activity: first.Activity}, r.mustPublish())
	require.Contains(t, plain(r.only().Text("comment")), "net 75.00 75.00 0.00")
	require.Empty(t, r.plan().Months)
	require.Equal(t, activities.Unchanged, r.mustPublish().Outcome)

	// Also after the account was changed it stays where it is.
	r.settings.Books.Revenue.Account = r.newAccount("Another")
	r.take("t2", 100, 6)
	require.Equal(t, first.Activity, r.mustPublish().Activity)
	require.Equal(t, r.account, r.only().Int("accountId"))
}

// TestALineThatIsCutMakesNoSecondReport breaks the write in each way.
func TestALineThatIsCutMakesNoSecondReport(t *testing.T) {
	for _, fault := range []faults.Fault{
		{Kind: faults.CutAfter}, {Kind: faults.TruncatedJSON}, {Kind: faults.LateCommit, Delay: 2 * time.Millisecond},
		{Kind: faults.CutBefore}, {Kind: faults.Status, Status: 500}, {Kind: faults.Throttle}, {Kind: faults.StaleToken},
	} {
		t.Run(string(fault.Kind), func(t *testing.T) {
			r := reporting(t, worldOptions{})
			r.faults.Next("sage.activities.create", fault)
			result := r.seeThrough()
			r.faults.Wait()
			require.Equal(t, 1, r.faults.Total(), "the fault was met")
			require.Equal(t, r.only().ID, result.Activity)
			require.Equal(t, activities.Created, result.Outcome)
			require.Equal(t, activities.Unchanged, r.mustPublish().Outcome)

			r.giveBack("t1", 2500)
			r.faults.Next("sage.activities.update", fault)
			require.Equal(t, result.Activity, r.seeThrough().Activity)
			r.faults.Wait()
			require.Equal(t, 2, r.faults.Total(), "the fault was met")
			require.Contains(t, plain(r.only().Text("comment")), "net 75.00 75.00 0.00")
		})
	}
}

// Figures that change while the answer is lost are in the report in the end.
func TestFiguresThatChangeMeanwhileAreSetRight(t *testing.T) {
	r := reporting(t, worldOptions{})
	r.faults.Next("sage.activities.create", faults.Fault{Kind: faults.CutAfter})
	_, err := r.publish()
	require.Equal(t, activities.OutcomeUnknown, kindOf(err))
	r.giveBack("t1", 2500)
	// An account that is named meanwhile is not where the lost one stands.
	r.settings.Books.Revenue.Account = r.newAccount("Another")
	require.Equal(t, activities.Created, r.seeThrough().Outcome)
	require.Contains(t, plain(r.only().Text("comment")), "net 75.00 75.00 0.00")
	require.Equal(t, r.account, r.only().Int("accountId"))
	require.Empty(t, r.plan().Months)
}

// An attempt that did not land is made anew on the account that the settings name by then.
func TestAnAttemptThatDidNotLandGoesToTheAccountOfNow(t *testing.T) {
	r := reporting(t, worldOptions{})
	r.settings.Settle = time.Hour
	r.faults.Next("sage.activities.create", faults.Fault{Kind: faults.CutBefore})
	_, err := r.publish()
	require.Equal(t, activities.OutcomeUnknown, kindOf(err))
	r.settings.Books.Revenue.Account = r.newAccount("Another")
	_, err = r.publish()
	require.Equal(t, activities.OutcomeUnknown, kindOf(err), "it is given its time")
	r.settings.Settle = 0
	require.Equal(t, r.settings.Books.Revenue.Account, r.mustPublish().Account)
	require.Equal(t, r.settings.Books.Revenue.Account, r.only().Int("accountId"))
}

// TestDeathAtAnyCallOfAReportMakesNoSecond lets the process die after each call in turn, and another go on.
func TestDeathAtAnyCallOfAReportMakesNoSecond(t *testing.T) {
	for k := range 30 {
		r := reporting(t, worldOptions{})
		r.warm()
		n, dead := 0, false
		r.wire.after = func(*http.Request) {
			if n++; n == k+1 && !dead {
				dead = true
				panic("the process dies")
			}
		}
		r.seeThrough()
		r.giveBack("t1", 2500)
		r.seeThrough()
		require.Contains(t, plain(r.only().Text("comment")), "net 75.00 75.00 0.00")
		if !dead {
			require.GreaterOrEqual(t, k, 4, "an account, an activity, and its correction")
			return
		}
	}
	t.Fatal("a report takes more calls than it should")
}

// TestDeathAtAnyStatementOfAReportMakesNoSecond lets statements that write into the store fail, which is all that is left
// of a process that dies right before one.
func TestDeathAtAnyStatementOfAReportMakesNoSecond(t *testing.T) {
	for nth := range 4 {
		for _, statement := range []string{"INSERT ON publications", "UPDATE ON publications"} {
			r := reporting(t, worldOptions{})
			r.inStore("CREATE TABLE tries (n INTEGER)",
				"CREATE TRIGGER death BEFORE "+statement+" WHEN (SELECT COUNT(*) FROM tries) = 0 BEGIN SELECT RAISE(ABORT, 'the process dies'); END")
			for range nth { // as many statements pass by
				r.inStore("INSERT INTO tries VALUES (1)")
			}
			_, err := r.publish()
			if nth == 0 {
				require.ErrorContains(t, err, "the process dies", statement)
			}
			r.inStore("DROP TRIGGER death")
			r.seeThrough()
			r.only()
		}
	}
}

func TestProcessesThatPublishAtOnceMakeOneReport(t *testing.T) {
	r := reporting(t, worldOptions{})
	var all errgroup.Group
	for n := range 8 {
		all.Go(func() error {
			in := r.input(october)
			in.Asked = n%2 == 0
			_, err := r.write.PublishRevenue(t.Context(), in)
			for kindOf(err) == activities.Busy {
				_, err = r.write.PublishRevenue(t.Context(), in)
			}
			return err
		})
	}
	require.NoError(t, all.Wait())
	r.only()
}

// Who waited for another to publish writes the figures of when it was its turn, not those of before.
func TestAReportIsOfTheMomentAtWhichItsTurnCame(t *testing.T) {
	r := reporting(t, worldOptions{})
	r.inStore("CREATE TRIGGER meanwhile AFTER INSERT ON claims WHEN NEW.claim LIKE 'report:%' BEGIN UPDATE entries SET minor = 7500; END")
	require.Equal(t, activities.Created, r.mustPublish().Outcome)
	require.Contains(t, plain(r.only().Text("comment")), "net 75.00 75.00 0.00")
}

// A store that was lost makes no second report, and none of what people had deleted.
func TestAStoreThatWasLostMakesNoSecondReport(t *testing.T) {
	r := reporting(t, worldOptions{})
	made := r.mustPublish()
	r.inStore("DELETE FROM publications")
	require.Equal(t, activities.PublishRevenueResult{Outcome: activities.Unchanged, Account: made.Account, Activity: made.Activity}, r.mustPublish())
	r.inStore("DELETE FROM publications")
	r.giveBack("t1", 2500)
	require.Equal(t, activities.Updated, r.mustPublish().Outcome)
	require.Equal(t, made.Activity, r.only().ID)
	r.inStore("DELETE FROM publications")
	require.NoError(t, r.sage.PeopleDelete("activities", made.Activity))
	require.Equal(t, activities.RevenueDeleted, r.mustPublish().Outcome)
	require.Empty(t, r.sage.Live("activities"))
	result, err := r.ask()
	require.NoError(t, err)
	require.Equal(t, activities.Created, result.Outcome)
	r.only()
}

func TestAReportThatPeopleDeletedIsLeftAtThat(t *testing.T) {
	r := reporting(t, worldOptions{})
	first := r.mustPublish()
	require.NoError(t, r.sage.PeopleDelete("activities", first.Activity))
	require.Equal(t, activities.Unchanged, r.mustPublish().Outcome, "nobody looks, as nothing changed")
	r.giveBack("t1", 2500)
	require.Equal(t, []string{october}, r.plan().Months)
	require.Equal(t, activities.RevenueDeleted, r.mustPublish().Outcome)
	require.Empty(t, r.plan().Months)
	before := r.sage.CallCount("sage.")
	require.Equal(t, activities.RevenueDeleted, r.mustPublish().Outcome)
	require.Equal(t, before, r.sage.CallCount("sage."), "and costs nothing")
	require.Empty(t, r.sage.Live("activities"))

	// Whoever asks for it has it made anew, and that once, too.
	r.faults.Next("sage.activities.create", faults.Fault{Kind: faults.CutAfter})
	_, err := r.ask()
	require.Equal(t, activities.OutcomeUnknown, kindOf(err))
	result := r.seeThrough()
	require.Equal(t, r.only().ID, result.Activity)
	require.NotEqual(t, first.Activity, result.Activity)
	require.True(t, strings.HasSuffix(r.only().Text("comment"), "; edition=2]"))
	r.giveBack("t1", 3000)
	require.Equal(t, activities.Updated, r.mustPublish().Outcome, "and is set right from then on")
}

func TestWhoAsksForAReportHasPeoplesEditsUndone(t *testing.T) {
	r := reporting(t, worldOptions{})
	first := r.mustPublish()
	text := r.only().Text("comment")
	require.NoError(t, r.sage.PeopleUpdate("activities", first.Activity, map[string]any{"comment": "x"}))
	result, err := r.ask()
	require.NoError(t, err)
	require.Equal(t, activities.Updated, result.Outcome)
	require.Equal(t, text, r.only().Text("comment"))
	result, err = r.ask()
	require.NoError(t, err)
	require.Equal(t, activities.Unchanged, result.Outcome)
	// One that was deleted unseen is made anew at once.
	require.NoError(t, r.sage.PeopleDelete("activities", first.Activity))
	result, err = r.ask()
	require.NoError(t, err)
	require.Equal(t, activities.Created, result.Outcome)
}

func TestAReportThatCannotBePublishedSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		options sagebox.Options
		act     func(r *reported)
		kind    activities.Kind
		words   string
		mended  bool // by the settings of before
	}{
		"no such account": {act: func(r *reported) { r.settings.Books.Revenue.Account = 987654 }, kind: activities.Mapping,
			words: "there is no account 987654 in Sage, on which REVENUE_REPORT_ACCOUNT wants the revenue of 2026-10", mended: true},
		"a deleted account": {act: func(r *reported) { require.NoError(r.t, r.sage.PeopleDelete("accounts", r.account)) },
			kind: activities.Mapping, words: "is deleted in Sage"},
		"no type": {options: sagebox.Options{ActivityTypes: []string{"Visit", "Call"}}, kind: activities.Mapping, words: "SAGE_ACTIVITY_TYPE_ID"},
		"off":     {act: func(r *reported) { r.settings.Books.Revenue.On = false }, kind: activities.Mapping, words: "set REVENUE_REPORT to activity", mended: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := reporting(t, worldOptions{sage: c.options})
			whole := r.settings.Books.Revenue
			if c.act != nil {
				c.act(r)
			}
			_, err := r.publish()
			require.Equal(t, c.kind, kindOf(err))
			require.ErrorContains(t, err, c.words)
			require.True(t, faultIn(t, err).NonRetryable())
			require.Empty(t, r.sage.Live("activities"))
			if r.settings.Books.Revenue = whole; c.mended {
				require.Equal(t, activities.Created, r.mustPublish().Outcome)
			}
		})
	}
	r := reporting(t, worldOptions{})
	first := r.mustPublish()
	require.NoError(t, r.sage.PeopleUpdate("activities", first.Activity, map[string]any{"readOnly": true}))
	r.giveBack("t1", 2500)
	_, err := r.publish()
	require.Equal(t, activities.Conflict, kindOf(err))
	require.ErrorContains(t, err, "it is readOnly in Sage")

	result, err := do[activities.PublishRevenueResult](r.world, r.write.PublishRevenue, r.input("2026-07"))
	require.NoError(t, err)
	require.Equal(t, activities.RevenueEmpty, result.Outcome)
	_, err = do[activities.PublishRevenueResult](r.world, r.write.PublishRevenue, r.input("July"))
	require.Equal(t, activities.Invalid, kindOf(err))
}

func TestALongReportIsCutBetweenLines(t *testing.T) {
	r := reporting(t, worldOptions{})
	for n := range 300 {
		at := time.Date(2026, 10, 7, 12, 0, 0, 0, time.UTC)
		require.NoError(t, r.store.PutEntries(t.Context(), []store.LedgerEntry{{Location: r.ghl.Location(), Entry: domain.Entry{
			Kind: domain.PaymentEntry, Side: domain.HighLevelSide, ID: fmt.Sprintf("p%03d", n), Amount: domain.NewMoney(100, "EUR"),
			Status: string(domain.Settled), At: at, UpdatedAt: at, ProductID: fmt.Sprintf("product-%03d-überaus-lang", n),
		}}}))
	}
	r.mustPublish()
	text := r.only().Text("comment")
	require.LessOrEqual(t, len([]rune(text)), 6000)
	require.Greater(t, len([]rune(text)), 5000)
	require.Contains(t, text, "\n(more: `starter report revenue --month 2026-10`)\n\nWritten on")
	require.Contains(t, plain(text), "gross 400.00 (301)")
	for line := range strings.Lines(text) {
		require.False(t, strings.HasPrefix(line, "product-") && !strings.Contains(line, "0 / 0"), line)
	}
}

func TestWhichReportsAreDue(t *testing.T) {
	r := reporting(t, worldOptions{})
	at := func(day string) []string {
		now, err := time.Parse(time.DateOnly, day)
		require.NoError(t, err)
		r.now = now
		return r.plan().Months
	}
	require.Empty(t, at("2026-10-31"), "the month runs")
	require.Empty(t, at("2026-11-01"), "before its day")
	require.Equal(t, []string{october}, at("2026-11-02"))
	require.Equal(t, []string{october}, at("2026-11-30"))
	require.Empty(t, at("2026-12-02"), "nothing is known of November, and October was never begun")

	// One that was begun and failed is not passed over.
	whole := r.settings.Books.Revenue
	r.settings.Books.Revenue.Account = 987654
	_, err := r.publish()
	require.Error(t, err)
	r.settings.Books.Revenue = whole
	require.Equal(t, []string{october}, at("2027-01-15"))
	r.mustPublish()
	require.Empty(t, at("2027-01-15"))
	r.giveBack("t1", 100)
	require.Equal(t, []string{october}, at("2027-04-01"), "for half a year")
	require.Empty(t, at("2027-05-01"))

	// The running month is published for who asks, and is not written anew with each payment.
	r.enter(domain.Entry{Kind: domain.PaymentEntry, ID: "n1", Amount: domain.NewMoney(100, "EUR"), Status: string(domain.Settled),
		At: time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)})
	_, err = do[activities.PublishRevenueResult](r.world, r.write.PublishRevenue, r.input(november))
	require.NoError(t, err)
	r.enter(domain.Entry{Kind: domain.PaymentEntry, ID: "n2", Amount: domain.NewMoney(100, "EUR"), Status: string(domain.Settled),
		At: time.Date(2026, 11, 4, 0, 0, 0, 0, time.UTC)})
	require.Equal(t, []string{october}, at("2026-11-05"))
	require.Equal(t, []string{october, november}, at("2026-12-01"), "it is over, and was begun")

	r.settings.Books.Revenue.On = false
	require.Empty(t, at("2026-12-01"))
	r.steps.Revenue = nil
	require.Empty(t, at("2026-12-01"))
}

// Books that are too large to look at all reports in time have them looked at in turns.
func TestReportsAreLookedAtInTurnsWhereTimeIsShort(t *testing.T) {
	r := reporting(t, worldOptions{})
	for _, month := range []time.Month{time.August, time.September} {
		r.enter(domain.Entry{Kind: domain.PaymentEntry, ID: month.String(), Amount: domain.NewMoney(100, "EUR"), Status: string(domain.Settled),
			At: time.Date(2026, month, 3, 0, 0, 0, 0, time.UTC)})
		in := r.input(time.Date(2026, month, 1, 0, 0, 0, 0, time.UTC).Format("2006-01"))
		_, err := do[activities.PublishRevenueResult](r.world, r.write.PublishRevenue, in)
		require.NoError(t, err)
		r.enter(domain.Entry{Kind: domain.PaymentEntry, ID: "late" + month.String(), Amount: domain.NewMoney(100, "EUR"),
			Status: string(domain.Settled), At: time.Date(2026, month, 3, 0, 0, 0, 0, time.UTC)})
	}
	require.Equal(t, []string{"2026-08", "2026-09", october}, r.plan().Months, "there is time")
	short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	found := map[string]bool{}
	for range 200 {
		plan, err := r.steps.PlanRevenue(short, activities.PlanRevenueInput{Location: r.ghl.Location(), Now: r.now})
		require.NoError(t, err)
		require.Len(t, plan.Months, 1)
		if found[plan.Months[0]] = true; len(found) == 3 {
			return
		}
	}
	t.Fatalf("only %v were ever looked at", found)
}

func TestOperatorsAreToldOnceOfAReportThatFails(t *testing.T) {
	r := reporting(t, worldOptions{})
	tell := func(month, reason string) {
		_, err := do[any](r.world, r.steps.TellRevenue, activities.TellRevenueInput{
			Location: r.ghl.Location(), Now: r.now, Month: month, Reason: reason,
		})
		require.NoError(t, err)
	}
	tell("", "")
	require.Empty(t, r.told.texts)
	require.False(t, r.plan().Alerted)
	tell(october, "there is no account 4 in Sage.")
	tell(october, "there is no account 4 in Sage.")
	require.Len(t, r.told.texts, 1)
	require.Contains(t, r.told.texts[0], "the revenue of 2026-10 could not be put into Sage, and is tried again by each reconciliation: "+
		"there is no account 4 in Sage.")
	require.True(t, r.plan().Alerted)
	r.now = r.now.Add(25 * time.Hour)
	tell(october, "there is no account 4 in Sage")
	require.Len(t, r.told.texts, 2, "a reminder")
	tell("", "")
	tell("", "")
	require.Len(t, r.told.texts, 3)
	require.Contains(t, r.told.texts[2], "nothing keeps the reports of revenue from Sage any more")
	require.False(t, r.plan().Alerted)
}
