package activities

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/internal/books"
	"github.com/tallystick/tallystick/internal/store"
)

// RevenueSettings says where the report of a month's revenue is put in Sage.
type RevenueSettings struct {
	// On puts it there, as an activity on Account.
	On bool
	// Account is the id of an account in Sage.
	Account int64
	// Day is the day of the month in UTC from which on the report of the month before is put there, 0 as the first.
	Day int
}

const (
	// revenueReport is what the store calls the report.
	revenueReport = "revenue"
	// correctedMonths is how many months back a report is set right: as many as REFUND_WINDOW has by default.
	correctedMonths = 6
	monthLayout     = "2006-01"
)

// revenueOf makes the report as it is put into Sage.
func revenueOf(ctx context.Context, s *store.Store, location, month string) (books.Revenue, error) {
	at, err := time.Parse(monthLayout, month)
	if err != nil {
		return books.Revenue{}, faultf(Invalid, "%q is no month such as 2026-10", month)
	}
	return books.RevenueOf(ctx, s, books.RevenueQuery{Location: location, Month: at, ByProduct: true})
}

// PublishRevenueInput names the month whose revenue is to be reported in Sage.
type PublishRevenueInput struct {
	Location string `json:"location"`
	// Month is as 2006-01, in UTC.
	Month string    `json:"month"`
	Now   time.Time `json:"now"`
	// Asked: somebody asked for it. Then it is made anew where people deleted it, and written anew where they edited it.
	Asked bool `json:"asked,omitempty"`
}

// PublishRevenueResult is what became of a report.
type PublishRevenueResult struct {
	// Outcome is Created, Updated or Unchanged, RevenueDeleted or RevenueEmpty.
	Outcome Outcome `json:"outcome"`
	// Account and Activity are the ids of the Sage account and of the record on it; Activity is 0 if there is none.
	Account  int64 `json:"account,omitempty"`
	Activity int64 `json:"activity,omitempty"`
}

// The outcomes that only reports have.
const (
	// RevenueDeleted: people deleted the report in Sage, so it is left at that.
	RevenueDeleted Outcome = "deleted"
	// RevenueEmpty: nothing is known of the month, so there is nothing to report.
	RevenueEmpty Outcome = "empty"
)

// PublishRevenue puts the report of a month's revenue into Sage, as an activity on the account that the settings name. It
// is made once for each location and month, in the way of EnterStep, and set right when figures of the month have changed
// since it was last written. What people write into it stays until then; if they delete it, it is left at that, unless
// somebody asks for it again.
//
// There is nothing personal in it: the figures are of all customers together, by product.
func (a *Sage) PublishRevenue(ctx context.Context, in PublishRevenueInput) (PublishRevenueResult, error) {
	ctx, stop := alive(ctx)
	defer stop()
	p := &publishing{sage: a, in: in}
	err := p.run(ctx)
	return p.result, a.fail(ctx, p.conn.settles(err))
}

// publishing is one run of PublishRevenue.
type publishing struct {
	sage     *Sage
	in       PublishRevenueInput
	settings RevenueSettings
	claim    *held
	conn     *connection

	row    store.Publication
	report books.Revenue
	text   string
	result PublishRevenueResult
}

func (p *publishing) run(ctx context.Context) error {
	_, settings, err := p.sage.Client(ctx, p.in.Location)
	if err != nil {
		return err
	}
	if p.settings = settings.Books.Revenue; !p.settings.On {
		return faultf(Mapping, "no report of revenue is put into Sage: set REVENUE_REPORT to activity, and REVENUE_REPORT_ACCOUNT, where the "+
			"worker runs or for this connection")
	}
	// Several processes may come to it: two schedules, a backfill, and who asks for it.
	p.claim, err = claim(ctx, p.sage.Store, p.in.Location, holderOfAttempt(ctx), "report:"+revenueReport+":"+p.in.Month)
	if err != nil {
		return err
	}
	defer p.claim.giveBack(ctx)
	// Read under the claim: figures from before it may be older than those that the process before has written.
	if p.report, err = revenueOf(ctx, p.sage.Store, p.in.Location, p.in.Month); err != nil {
		return err
	}
	if p.report.Empty() {
		p.result.Outcome = RevenueEmpty
		return nil
	}
	return p.publish(ctx)
}

func (p *publishing) publish(ctx context.Context) error {
	var found bool
	var err error
	if p.row, found, err = p.sage.Store.Publication(ctx, p.in.Location, revenueReport, p.in.Month); err != nil {
		return err
	}
	if !found { // kept before anything can fail, so that a month which fails for long is not passed over
		p.row = store.Publication{Location: p.in.Location, Report: revenueReport, Month: p.in.Month}
		if err := p.keep(ctx); err != nil {
			return err
		}
	}
	defer func() { p.result.Account, p.result.Activity = p.row.AccountID, p.row.ActivityID }()
	switch {
	case p.in.Asked:
	case p.row.Gone:
		p.result.Outcome = RevenueDeleted
		return nil
	case p.row.ActivityID != 0 && p.row.Digest == p.report.Lasting():
		p.result.Outcome = Unchanged
		return nil
	}
	if p.conn, err = p.sage.connect(ctx, p.in.Location); err != nil {
		return err
	}
	if p.text, err = p.words(); err != nil {
		return err
	}
	if p.row.ActivityID != 0 && !p.row.Gone {
		if err := p.setRight(ctx); err != nil || !p.row.Gone {
			return err
		}
	}
	if p.row.Gone {
		if !p.in.Asked {
			p.result.Outcome = RevenueDeleted
			return nil
		}
		// Its mark must not be taken for that of the one which people deleted.
		p.row.ActivityID, p.row.Begun, p.row.Gone, p.row.Edition = 0, time.Time{}, false, p.row.Edition+1
	}
	return p.make(ctx)
}

func (p *publishing) keep(ctx context.Context) error { return p.sage.Store.PutPublication(ctx, p.row) }

// mark is how the activity is recognised: it ends in it. None is the beginning of another.
func (p *publishing) mark() string {
	edition := ""
	if p.row.Edition > 0 {
		edition = fmt.Sprintf("; edition=%d", p.row.Edition+1)
	}
	return fmt.Sprintf("[tallystick report=%s; month=%s; location=%s%s]", revenueReport, p.in.Month,
		noteUnsafe.Replace(p.in.Location), edition)
}

func (p *publishing) comment() string { return p.text + "\n" + p.mark() }

// words are the report's table, as much of it as Sage takes.
func (p *publishing) words() (string, error) {
	var table strings.Builder
	if err := p.report.Print(books.TableFormat, &table); err != nil {
		return "", fmt.Errorf("write the report of revenue: %w", err)
	}
	end := "\nWritten on " + p.in.Now.UTC().Format("2 January 2006") + " (UTC) from what was last read of HighLevel and Sage. " +
		"Upcoming renewals are as known that day."
	return firstLines(table.String(), longestEntry-utf8.RuneCountInString(end),
		"(more: `starter report revenue --month "+p.in.Month+"`)") + end, nil
}

// firstLines are as many whole lines of a text as there is room for in so many characters; more is said if that is not all.
func firstLines(text string, room int, more string) string {
	var lines []string
	used := 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		if used += utf8.RuneCountInString(line) + 1; used > room {
			break
		}
		lines = append(lines, line)
	}
	if used <= room {
		return strings.Join(lines, "\n") + "\n"
	}
	for room -= utf8.RuneCountInString(more) + 1; len(lines) > 0; lines = lines[:len(lines)-1] {
		if kept := strings.Join(lines, "\n") + "\n"; utf8.RuneCountInString(kept) <= room {
			return kept + more + "\n"
		}
	}
	return more + "\n"
}

// setRight writes the text into the activity that is there, or notes that people deleted it.
func (p *publishing) setRight(ctx context.Context) error {
	doing(ctx, "reading the activity")
	have, err := p.conn.Activities.Get(ctx, p.row.ActivityID)
	found := true
	if sage.MaybeNotFound(err) {
		have, found, err = p.conn.Activities.Lookup(ctx, p.row.ActivityID)
	}
	switch {
	case err != nil:
		return err
	case !found, bool(have.Deleted):
		return p.gone(ctx)
	}
	return p.write(ctx, have)
}

func (p *publishing) write(ctx context.Context, have sage.Activity) error {
	p.result.Outcome = Unchanged
	if comment := p.comment(); have.Comment != comment {
		if locked := have.Locked(); locked != "" {
			return faultf(Conflict, "the activity %d with the revenue of %s cannot be set right, since it is %s in Sage",
				have.ID, p.in.Month, locked)
		}
		if err := p.claim.renew(ctx); err != nil {
			return err
		}
		doing(ctx, "setting the activity right")
		if err := p.conn.Activities.Update(ctx, have.ID, sage.ActivityFields{Comment: &comment}); err != nil {
			return err
		}
		p.result.Outcome = Updated
	}
	p.written()
	return p.keep(ctx)
}

// written notes what stands in Sage, for the next keep.
func (p *publishing) written() { p.row.Digest, p.row.WrittenAt = p.report.Lasting(), time.Now() }

func (p *publishing) gone(ctx context.Context) error {
	p.row.Gone = true
	logger(ctx).Info("people deleted the report of revenue in Sage, and it is left at that; `starter report revenue --publish` makes it anew",
		"location", p.in.Location, "month", p.in.Month, "activity", p.row.ActivityID)
	return p.keep(ctx)
}

// make makes the activity, or finds that an earlier attempt has.
func (p *publishing) make(ctx context.Context) error {
	kind, err := p.prepare(ctx)
	if err != nil {
		return err
	}
	var found *sage.Activity
	err = once{
		what: "activity with the revenue", id: &p.row.ActivityID, begun: &p.row.Begun, earlier: p.since(),
		settle: p.conn.settings.Settle, keep: p.keep,
		find: func(ctx context.Context) (id int64, err error) {
			if found, err = p.find(ctx); found != nil {
				id = found.ID
			}
			return id, err
		},
		create: func(ctx context.Context) (int64, error) { return p.create(ctx, kind) },
	}.make(ctx)
	switch {
	case err != nil:
		return err
	case found == nil:
		p.result.Outcome = Created
		return nil
	case bool(found.Deleted):
		p.result.Outcome = RevenueDeleted
		return p.gone(ctx)
	}
	err = p.write(ctx, *found)
	if !p.row.Begun.IsZero() {
		p.result.Outcome = Created
	}
	return err
}

// since is when the activity may first have been made. Where no attempt is known, one may have been made all the same,
// before the store was lost, but not before the month of the report.
func (p *publishing) since() time.Time {
	if !p.row.Begun.IsZero() {
		return p.row.Begun
	}
	yesterday := time.Now().AddDate(0, 0, -1)
	if month, err := time.Parse(monthLayout, p.in.Month); err == nil && month.Before(yesterday) {
		return month
	}
	return yesterday // somebody asked for a month that begins now or later
}

// prepare learns what a new activity needs before it counts as attempted: its account and its type.
func (p *publishing) prepare(ctx context.Context) (kind int64, err error) {
	doing(ctx, "reading the account of the report")
	account, found, err := p.conn.Accounts.Lookup(ctx, p.settings.Account)
	switch {
	case err != nil:
		return 0, err
	case !found:
		return 0, faultf(Mapping, "there is no account %d in Sage, on which REVENUE_REPORT_ACCOUNT wants the revenue of %s", p.settings.Account,
			p.in.Month)
	case bool(account.Deleted):
		return 0, faultf(Mapping, "the account %d, on which REVENUE_REPORT_ACCOUNT wants the revenue of %s, is deleted in Sage",
			p.settings.Account, p.in.Month)
	}
	if p.row.Begun.IsZero() {
		p.row.AccountID = account.ID
	}
	shipping, err := p.sage.Fulfillment.of(ctx, p.in.Location)
	if err != nil {
		return 0, err
	}
	return p.conn.kind(ctx, "SAGE_ACTIVITY_TYPE_ID", shipping.ActivityType)
}

// find looks where the last attempt was made, which may be another account than the settings name now.
func (p *publishing) find(ctx context.Context) (*sage.Activity, error) {
	rows, err := p.conn.Activities.FindMarked(ctx, p.row.AccountID, p.mark(), p.since())
	if err != nil || len(rows) == 0 {
		p.row.AccountID = p.settings.Account
		return nil, err
	}
	for i := range rows {
		if !rows[i].Deleted {
			return &rows[i], nil
		}
	}
	return &rows[0], nil
}

func (p *publishing) create(ctx context.Context, kind int64) (int64, error) {
	if err := p.claim.renew(ctx); err != nil {
		return 0, err
	}
	at, comment := sage.At(p.in.Now), p.comment()
	id, err := p.conn.Activities.Create(ctx, sage.ActivityFields{
		AccountID: &p.row.AccountID, TypeID: &kind, SalesRepID: &p.conn.tenant.salesRep, Date: &at, Comment: &comment,
		Extra: p.conn.tenant.defaults(activitiesResource),
	})
	if err == nil {
		p.written()
	}
	return id, err
}
