package sage_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/sandbox/faults"
	tenant "github.com/tallystick/tallystick/sandbox/sage"
)

// noteOn makes an account, and gives what an activity and a task on it need.
func noteOn(t *testing.T, c *sage.Client) (account, typ, rep, branch int64) {
	t.Helper()
	branch, rep, _, _ = defaults(t, c)
	account, err := c.Accounts.Create(t.Context(), sage.AccountFields{Name: new("ACME"), BranchID: &branch, SalesRepID: &rep})
	require.NoError(t, err)
	typ, err = c.Catalog.ActivityType(t.Context(), "SAGE_ACTIVITY_TYPE_ID")
	require.NoError(t, err)
	return account, typ, rep, branch
}

func TestSandboxActivityOfUnknownOutcomeIsFoundByItsMark(t *testing.T) {
	for name, options := range map[string]tenant.Options{
		"extId is kept":                        {},
		"extId is ignored, texts not filtered": {IgnoreActivityExtID: true, Unfilterable: []string{"activities.comment", "activities.extId"}},
	} {
		t.Run(name, func(t *testing.T) {
			server, plan, c := start(t, options)
			ctx := t.Context()
			account, typ, rep, _ := noteOn(t, c)
			other, _, _, _ := noteOn(t, c)
			begun := time.Now()
			const mark = "[ghl:fulfillment:1/shipped]"
			fields := sage.ActivityFields{AccountID: &account, TypeID: &typ, SalesRepID: &rep, Date: new(sage.At(begun)),
				ExtID: new(mark), Comment: new("Shipped with two parcels. " + mark)}
			found, err := c.Activities.FindMarked(ctx, account, mark, begun)
			require.NoError(t, err)
			assert.Empty(t, found)

			plan.Next("sage.activities.create", faults.Fault{Kind: faults.CutAfter})
			_, err = c.Activities.Create(ctx, fields)
			require.True(t, transport.MayHaveLanded(err), "%v", err)
			for _, more := range []sage.ActivityFields{
				{AccountID: &account, Comment: new("Shipped. [ghl:fulfillment:1/delivered]")}, {AccountID: &other, Comment: new(mark)},
			} {
				more.TypeID, more.SalesRepID, more.Date = &typ, &rep, fields.Date
				_, err = c.Activities.Create(ctx, more)
				require.NoError(t, err)
			}
			found, err = c.Activities.FindMarked(ctx, account, mark, begun)
			require.NoError(t, err)
			require.Len(t, found, 1)
			assert.Equal(t, *fields.Comment, found[0].Comment)
			assert.Equal(t, account, found[0].AccountID.ID)
			assert.True(t, found[0].Date.Equal(fields.Date.Time))
			// Somebody deletes it: it was made all the same.
			require.NoError(t, server.PeopleDelete("activities", found[0].ID))
			found, err = c.Activities.FindMarked(ctx, account, mark, begun)
			require.NoError(t, err)
			require.Len(t, found, 1)
			assert.Equal(t, "deleted", found[0].Locked())
			assert.Len(t, server.Live("activities"), 2)
		})
	}
}

func TestSandboxActivityIsRefusedForWhatItLacks(t *testing.T) {
	_, _, c := start(t, tenant.Options{ExtraFields: []tenant.ExtraField{{Resource: "activities", Name: "Z_Channel", Type: "text", Required: true}}})
	account, typ, rep, _ := noteOn(t, c)
	fields := sage.ActivityFields{AccountID: &account, TypeID: &typ, SalesRepID: &rep, Date: new(sage.At(time.Now()))}
	_, err := c.Activities.Create(t.Context(), fields)
	require.True(t, transport.IsStatus(err, 400), "%v", err)
	assert.False(t, transport.MayHaveLanded(err))
	fields.Extra = sage.ExtraFields{"Z_Channel": "shop"}
	id, err := c.Activities.Create(t.Context(), fields)
	require.NoError(t, err)
	read, err := c.Activities.Get(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, "shop", read.Extra.Text("Z_Channel"))
	_, err = c.Activities.FindMarked(t.Context(), 0, "a", time.Now())
	require.ErrorIs(t, err, transport.ErrInvalidCall)
}

func TestSandboxTaskInTheCalendar(t *testing.T) {
	for _, form := range []string{"", "2006-01-02 15:04:05"} {
		server, _, c := start(t, tenant.Options{CalendarDate: form})
		account, typ, rep, branch := noteOn(t, c)
		at := time.Date(2026, 3, 4, 9, 30, 0, 0, time.UTC)
		fields := sage.CalendarFields{ExtID: new("ghl:step:1"), AccountID: &account, TypeID: &typ, SalesRepID: &rep, BranchID: &branch,
			Subject: new("Order shipped"), Comment: new("INV-1"), StartDate: new(sage.At(at)), StartHour: new(sage.CalendarHour(at)),
			EndDate: new(sage.At(at)), EndHour: new(sage.CalendarHour(at.Add(time.Hour))), AllDay: new(false), Task: new(true),
			SendNotification: new(true)}
		id, err := c.Calendar.Create(t.Context(), fields)
		require.NoError(t, err)
		match, err := c.Calendar.FindByExtID(t.Context(), "ghl:step:1")
		require.NoError(t, err)
		require.NotNil(t, match.Live)
		assert.Equal(t, id, match.Live.ID)
		assert.True(t, bool(match.Live.Task) && bool(match.Live.SendNotification))
		assert.Equal(t, "26/03/04", string(match.Live.StartDate))
		assert.Equal(t, "10:30", string(match.Live.EndHour))
		marked, err := c.Calendar.FindMarked(t.Context(), account, "ghl:step:1", time.Now())
		require.NoError(t, err)
		assert.Len(t, marked, 1)
		require.Len(t, server.Live("calendar"), 1)
		assert.Equal(t, at.Truncate(24*time.Hour), server.Live("calendar")[0].Time("startDate"))
	}
	_, _, c := start(t, tenant.Options{CalendarDate: "02/01/06"})
	account, typ, rep, branch := noteOn(t, c)
	_, err := c.Calendar.Create(t.Context(), sage.CalendarFields{AccountID: &account, TypeID: &typ, SalesRepID: &rep, BranchID: &branch,
		Subject: new("a"), StartDate: new(sage.At(time.Now()))})
	assert.True(t, transport.IsStatus(err, 400), "another form of dates is refused, and nothing is stored: %v", err)
}

func TestSandboxSeveralTypesOfActivitiesNeedAChoice(t *testing.T) {
	_, _, c := start(t, tenant.Options{ActivityTypes: []string{"Call", "Fulfilment"}})
	_, err := c.Catalog.ActivityType(t.Context(), "SAGE_ACTIVITY_TYPE_ID")
	var missing *sage.MappingError
	require.ErrorAs(t, err, &missing)
	assert.Equal(t, "SAGE_ACTIVITY_TYPE_ID", missing.Variable)
	assert.Len(t, missing.Choices, 2)
}
