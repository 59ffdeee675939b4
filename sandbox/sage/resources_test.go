package sage_test

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/sandbox/sage"
)

// note gives the fields that an activity and a calendar entry need.
func (c *client) note(account int64, more map[string]any) map[string]any {
	all := map[string]any{"accountId": account, "typeId": c.server.Find("activityTypes", "Standard"), "salesRepId": 51}
	for k, v := range more {
		all[k] = v
	}
	return all
}

func TestActivitiesAreOnAnAccount(t *testing.T) {
	c := start(t, sage.Options{})
	account := c.account(nil)
	id := c.create("/activities", c.note(account, map[string]any{"date": "2018-06-19 10:42:12", "comment": "Shipped", "extId": "a"}))
	got := c.get("/activities/" + itoa(id))
	require.Equal(t, "2018-06-19T10:42:12Z", got["date"])
	require.Equal(t, map[string]any{"id": float64(account), "value": "Ada Lovelace"}, got["accountId"])
	require.Equal(t, "Standard", got["typeId"].(map[string]any)["value"])
	require.Equal(t, "a", got["extId"])
	require.Equal(t, []int64{id}, c.ids("activities", "accountId.id="+itoa(account)+" AND comment LIKE '%ship%'"))
	for _, lacking := range []string{"accountId", "typeId", "salesRepId", "date"} {
		fields := c.note(account, map[string]any{"date": "2018-06-19 10:42:12"})
		delete(fields, lacking)
		status, _ := c.do("POST", "/activities", fields)
		require.Equal(t, 400, status, lacking)
	}
	status, _ := c.do("GET", "/activities/schema", nil)
	require.Equal(t, 200, status)
}

func TestTheCalendarHasDatesOfItsOwn(t *testing.T) {
	c := start(t, sage.Options{})
	fields := c.note(c.account(nil), map[string]any{"subject": "Meeting", "branchId": c.server.Find("branches", "Main branch"),
		"startDate": "2015-07-07 23:59:00", "startHour": "23:59", "endDate": "15/07/08", "endHour": "15:00", "task": true, "sendNotification": true})
	got := c.get("/calendar/" + itoa(c.create("/calendar", fields)))
	for name, want := range map[string]any{"startDate": "15/07/07", "startHour": "23:59", "endDate": "15/07/08", "endHour": "15:00", "task": true,
		"allDay": nil, "subject": "Meeting"} {
		require.Equal(t, want, got[name], name)
	}
	for name, wrong := range map[string]any{"startHour": "24:00", "endHour": "9", "startDate": "tomorrow", "subject": "", "branchId": nil} {
		broken := map[string]any{}
		for k, v := range fields {
			broken[k] = v
		}
		broken[name] = wrong
		status, _ := c.do("POST", "/calendar", broken)
		require.Equal(t, 400, status, name)
	}
}

func TestSalesShowZeroOrOneAndOpportunityStatusesWonAsANumber(t *testing.T) {
	c := start(t, sage.Options{})
	id := c.create("/sales", map[string]any{"accountExtId": "A001", "accountId": c.account(nil), "date": "2018-10-10 00:00:00", "extId": "SALE1",
		"salesRepExtId": "REP1", "total": 168})
	got := c.get("/sales/" + itoa(id))
	require.InDelta(t, 0, got["deleted"], 0)
	require.Nil(t, got["salesRepId"])
	require.NotContains(t, got, "currencyId")
	require.NoError(t, c.server.PeopleDelete("sales", id))
	require.InDelta(t, 1, c.get("/sales/" + itoa(id))["deleted"], 0)
	require.Equal(t, []int64{id}, c.ids("sales", "date >= '2018-10-01T00:00:00Z' AND date < '2018-11-01T00:00:00Z'"))
	require.Panics(t, func() { c.server.AddExtraField(sage.ExtraField{Resource: "sales", Name: "Z_A", Type: "text"}) })

	won := c.get("/opportunityStatuses/" + itoa(c.server.Find("opportunityStatuses", "Won")))
	require.InDelta(t, 1, won["won"], 0)
	require.Equal(t, true, won["endStatus"])
}

func TestAListFieldIsWrittenByItsChoice(t *testing.T) {
	c := start(t, sage.Options{ExtraFields: []sage.ExtraField{{Resource: "salesorders", Name: "Z_FulfillmentStatus", Type: "list",
		Choices: []string{"created", "shipped"}}}})
	id := c.order(nil)
	require.NoError(t, c.server.PeopleUpdate("salesorders", id, map[string]any{"Z_FulfillmentStatus": 2}))
	require.Equal(t, map[string]any{"id": 2.0, "value": "shipped"}, c.get("/salesorders/" + itoa(id))["Z_FulfillmentStatus"])
	require.Error(t, c.server.PeopleUpdate("salesorders", id, map[string]any{"Z_FulfillmentStatus": 3}))
}

func TestWhatCannotBeFilteredByIsRefused(t *testing.T) {
	c := start(t, sage.Options{Unfilterable: []string{"salesorders.extId LIKE", "activities.comment"}})
	for path, want := range map[string]int{
		"/salesorders?where=extId='a'":                               200,
		"/salesorders?where=extId+LIKE+'a%25'":                       400,
		"/salesorders?where=extId+NOT+LIKE+'a%25'":                   400,
		"/accounts?where=extId+LIKE+'a%25'":                          200,
		"/activities?where=comment='a'":                              400,
		"/salesorders?where=dateDeleted+>+'2026-01-01T00:00:00Z'":    200,
		"/salesorders?where=reference='a'+AND+(extId+LIKE+'ghl%25')": 400,
	} {
		status, body := c.do("GET", path, nil)
		require.Equal(t, want, status, path)
		if want == 400 {
			var out struct{ Code int }
			require.NoError(t, json.Unmarshal([]byte(body), &out))
			require.Equal(t, 901, out.Code)
		}
	}
}

func itoa(id int64) string { return strconv.FormatInt(id, 10) }
