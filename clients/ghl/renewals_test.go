package ghl_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/domain"
	vendor "github.com/tallystick/tallystick/sandbox/ghl"
)

func decoded(t require.TestingT, fields string) ghl.Subscription {
	s, err := ghl.DecodeSubscription([]byte(`{"_id":"s","status":"active","updatedAt":"2024-05-01T00:00:00.000Z",` + fields + `}`))
	require.NoError(t, err)
	return s
}

func day(month time.Month, day int) time.Time {
	return time.Date(2024, month, day, 0, 0, 0, 0, time.UTC)
}

func TestSnapshots(t *testing.T) {
	june, stripe := day(6, 1), ghl.Snapshot{Status: "active", PeriodEnd: day(6, 1), Interval: "month", IntervalCount: 3}
	ending := stripe
	ending.EndsAt, ending.CanceledAt, ending.Paused, ending.TrialEnd = june, day(5, 2), true, day(4, 1)
	for name, c := range map[string]struct {
		snapshot string
		want     ghl.Snapshot
	}{
		"stripe, as it was": {fmt.Sprintf(`{"status":"active","current_period_end":%d,"plan":{"interval":"month","interval_count":3},
			"pause_collection":null,"canceled_at":null,"cancel_at_period_end":false}`, june.Unix()), stripe},
		"stripe, as it is": {fmt.Sprintf(`{"status":"active","items":{"data":[{"current_period_end":%d},
			{"current_period_end":%d,"price":{"recurring":{"interval":"month","interval_count":3}}}]}}`, june.AddDate(1, 0, 0).Unix(), june.Unix()), stripe},
		"stripe, about to end": {fmt.Sprintf(`{"status":"active","current_period_end":"%d","plan":{"interval":"month","interval_count":3},
			"pause_collection":{"behavior":"void"},"canceled_at":%d,"cancel_at_period_end":true,"trial_end":%d}`,
			june.Unix(), day(5, 2).Unix(), day(4, 1).Unix()), ending},
		"stripe, ended": {fmt.Sprintf(`{"status":"canceled","cancel_at":%d,"ended_at":%d}`, june.Unix(), june.Unix()),
			ghl.Snapshot{Status: "canceled", EndsAt: june, EndedAt: june}},
		"paypal": {`{"status":"ACTIVE","status_update_time":"2024-05-02T00:00:00Z","plan_id":"P","start_time":"2022-08-16T11:05:31Z","quantity":1,
			"billing_info":{"next_billing_time":"2024-06-01T00:00:00Z"}}`,
			ghl.Snapshot{Status: "ACTIVE", ChangedAt: day(5, 2), NextBilling: june}},
		"a text": {`"{ status: \"ACTIVE\" }"`, ghl.Snapshot{}}, "null": {`null`, ghl.Snapshot{}}, "another's": {`{"id":"x","next":5}`, ghl.Snapshot{}},
		"other shapes": {`{"status":{"a":1},"current_period_end":true,"items":[1],"plan":"x","billing_info":[],"pause_collection":"void","cancel_at":-5}`,
			ghl.Snapshot{}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, decoded(t, `"subscriptionSnapshot":`+c.snapshot).Snapshot)
		})
	}
}

func TestPlanAndTrial(t *testing.T) {
	s := decoded(t, `"trialEndDate":"2024-06-01T00:00:00.000Z","recurringProduct":{"_id":"step","name":"Sofa Set","productId":"P"}`)
	require.Equal(t, "Sofa Set", s.PlanName)
	require.Equal(t, "P", s.ProductID)
	require.Equal(t, day(6, 1), s.TrialEnd)
	s = decoded(t, `"recurringProduct":{"_id":"step","product":{"_id":"P"}},"subscriptionSnapshot":{"trial_end":`+fmt.Sprint(day(6, 1).Unix())+`}`)
	require.Equal(t, "P", s.ProductID)
	require.Equal(t, day(6, 1), s.TrialEnd)
	require.Empty(t, decoded(t, `"recurringProduct":{"_id":"step"}`).ProductID, "an id of something else is no product's")
}

func TestWhoKnowsTheState(t *testing.T) {
	for name, c := range map[string]struct {
		fields string
		want   domain.SubscriptionState
		word   string
	}{
		"HighLevel":          {`"x":1`, "active", "active"},
		"an unknown word":    {`"status":"frozen"`, "unknown", "frozen"},
		"a pause at Stripe":  {`"subscriptionSnapshot":{"status":"active","pause_collection":{"behavior":"void"}}`, "paused", "pause_collection"},
		"a pause of nothing": {`"status":"canceled","subscriptionSnapshot":{"pause_collection":{"behavior":"void"}}`, "cancelled", "canceled"},
		"PayPal, later":      {`"subscriptionSnapshot":{"status":"SUSPENDED","status_update_time":"2024-05-02T00:00:00Z"}`, "paused", "SUSPENDED"},
		"PayPal, earlier":    {`"subscriptionSnapshot":{"status":"SUSPENDED","status_update_time":"2024-04-02T00:00:00Z"}`, "active", "active"},
		"no one knows when":  {`"subscriptionSnapshot":{"status":"canceled"}`, "active", "active"},
	} {
		state, word := decoded(t, c.fields).State()
		require.Equal(t, c.want, state, name)
		require.Equal(t, c.word, word, name)
	}
}

func TestWhenItEnded(t *testing.T) {
	require.Equal(t, day(5, 3), decoded(t, `"status":"canceled","canceledAt":"2024-05-03T00:00:00Z"`).EndedAt())
	require.Equal(t, day(5, 4), decoded(t, fmt.Sprintf(`"status":"canceled","subscriptionSnapshot":{"canceled_at":%d,"ended_at":%d}`,
		day(5, 3).Unix(), day(5, 4).Unix())).EndedAt())
	require.Equal(t, day(5, 2), decoded(t, `"subscriptionSnapshot":{"status":"CANCELLED","status_update_time":"2024-05-02T00:00:00Z"}`).EndedAt())
	require.Zero(t, decoded(t, `"canceledAt":"2024-05-03T00:00:00Z"`).EndedAt(), "it goes on until its period ends")
	require.Zero(t, decoded(t, `"status":"expired"`).EndedAt())
}

func TestRenewalsOfASchedule(t *testing.T) {
	after := time.Date(2024, 5, 20, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ fields, want string }{
		"a date alone":       {`"schedule":{"rrule":{"intervalType":"monthly","interval":1,"startDate":"2024-01-31"}}`, "2024-05-31T00:00:00Z"},
		"no interval":        {`"schedule":{"rrule":{"intervalType":"monthly","startDate":"2024-01-31"}}`, "2024-05-31T00:00:00Z"},
		"no interval at all": {`"schedule":{"rrule":{"intervalType":"monthly","interval":-1,"startDate":"2024-01-31"}}`, ""},
		"a time of a zone": {`"schedule":{"rrule":{"intervalType":"monthly","interval":1,"startDate":"2024-01-05","startTime":"20:45:00",
			"timezone":"America/New_York"}}`, "2024-06-06T00:45:00Z"},
		"a zone of no place":       {`"schedule":{"rrule":{"intervalType":"monthly","startDate":"2024-01-05","startTime":"20:45","timezone":"X/Y"}}`, "2024-06-05T20:45:00Z"},
		"the zone of this machine": {`"schedule":{"rrule":{"intervalType":"monthly","startDate":"2024-01-05","timezone":"Local"}}`, "2024-06-05T00:00:00Z"},
		"a time of no day":         {`"schedule":{"rrule":{"intervalType":"monthly","startDate":"2024-01-05","startTime":"noon"}}`, "2024-06-05T00:00:00Z"},
		"a moment for a date":      {`"schedule":{"rrule":{"intervalType":"monthly","startDate":"2024-01-05T10:00:00.000Z"}}`, "2024-06-05T00:00:00Z"},
		"no date":                  {`"schedule":{"executeAt":"2024-01-05T10:00:00.000Z","rrule":{"intervalType":"monthly"}}`, "2024-06-05T10:00:00Z"},
		"no beginning":             {`"schedule":{"executeAt":"soon","rrule":{"intervalType":"monthly"}}`, ""},
		"a day of the month":       {`"schedule":{"rrule":{"intervalType":"monthly","startDate":"2024-01-05","dayOfMonth":-1,"dayOfWeek":"mo","numOfWeek":1}}`, "2024-05-31T00:00:00Z"},
		"a weekday of the month":   {`"schedule":{"rrule":{"intervalType":"monthly","startDate":"2024-01-05","dayOfWeek":"mo","numOfWeek":1}}`, "2024-06-03T00:00:00Z"},
		"a month of the year":      {`"schedule":{"rrule":{"intervalType":"yearly","startDate":"2024-01-05","monthOfYear":"nov"}}`, "2024-11-05T00:00:00Z"},
		"the day it ends":          {`"schedule":{"rrule":{"intervalType":"monthly","startDate":"2024-01-05","startTime":"10:00:00","endDate":"2024-06-05"}}`, "2024-06-05T10:00:00Z"},
		"the hour it ends":         {`"schedule":{"rrule":{"intervalType":"monthly","startDate":"2024-01-05","startTime":"10:00:00","endDate":"2024-06-05","endTime":"09:00:00"}}`, ""},
		"an end that is none":      {`"schedule":{"rrule":{"intervalType":"monthly","startDate":"2024-01-05","endDate":"2024-02-05","count":1,"endType":"never"}}`, "2024-06-05T00:00:00Z"},
		"all charges are over":     {`"schedule":{"rrule":{"intervalType":"monthly","startDate":"2024-01-05","count":5}}`, ""},
		"every hour":               {`"schedule":{"rrule":{"intervalType":"hourly","startDate":"2024-01-05"}}`, ""},
		"stripe knows":             {fmt.Sprintf(`"subscriptionSnapshot":{"current_period_end":%d}`, day(7, 9).Unix()), "2024-07-09T00:00:00Z"},
		"stripe will not renew":    {fmt.Sprintf(`"subscriptionSnapshot":{"current_period_end":%d,"cancel_at_period_end":true}`, day(7, 9).Unix()), ""},
		"paypal knew": {`"subscriptionSnapshot":{"billing_info":{"next_billing_time":"2024-02-05T00:00:00Z"}},
			"schedule":{"rrule":{"intervalType":"monthly","startDate":"2024-01-05"}}`, "2024-06-05T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			next, found := domain.NextRenewal(decoded(t, c.fields).Renewals(), after)
			require.Equal(t, c.want != "", found)
			if found {
				require.Equal(t, c.want, next.Format(time.RFC3339))
			}
		})
	}
	byStripe := decoded(t, `"subscriptionSnapshot":{"plan":{"interval":"year","interval_count":1}}`).Renewals()
	require.Equal(t, domain.Recurrence{Unit: domain.UnitYear, Count: 1}, byStripe.Every)
}

// What the sandbox charges and when is its own arithmetic; the client must foresee it from what the lists and details show.
func TestTheSandboxIsChargedWhenForeseen(t *testing.T) {
	for name, options := range map[string]vendor.Options{
		"as a rule": {}, "PayPal in step": {PayPalInStep: true}, "periods in items": {StripePeriodInItems: true},
	} {
		t.Run(name, func(t *testing.T) {
			server, _, client := start(t, options)
			contact := server.AddContact(vendor.Contact{FirstName: "Ada", Email: "ada@example.com"})
			product := server.AddProduct(vendor.Product{Name: "Box"})
			began := time.Date(2024, 1, 31, 22, 30, 0, 0, time.UTC)
			for _, provider := range []string{"stripe", "paypal"} {
				for _, interval := range []string{"day", "week", "month", "year"} {
					price := server.AddPrice(vendor.Price{ProductID: product, Name: interval, Amount: domain.NewMoney(900, "EUR"), Interval: interval, IntervalCount: 2})
					made, err := server.Subscribe(vendor.NewSubscription{
						ContactID: contact, PriceID: price, Provider: provider, At: began, Timezone: "Europe/Berlin", Cycles: 4,
					})
					require.NoError(t, err)
					for n := range int64(4) {
						due := made.Schedule.Due(n)
						got, err := client.Subscriptions.Get(t.Context(), made.ID)
						require.NoError(t, err)
						require.Equal(t, "Box", got.PlanName)
						next, found := domain.NextRenewal(got.Renewals(), due.Add(-time.Minute))
						require.True(t, found)
						require.Equal(t, due, next, "%s, every other %s, charge %d", provider, interval, n)
						_, err = server.Renew(made.ID, vendor.NewPayment{At: due})
						require.NoError(t, err)
					}
				}
			}
		})
	}
}

func TestTheSandboxPausesAndEnds(t *testing.T) {
	server, _, client := start(t, vendor.Options{})
	contact := server.AddContact(vendor.Contact{FirstName: "Ada", Email: "ada@example.com"})
	price := server.AddPrice(vendor.Price{ProductID: server.AddProduct(vendor.Product{Name: "Box"}), Name: "m",
		Amount: domain.NewMoney(900, "EUR"), Interval: "month", IntervalCount: 1})
	for _, provider := range []string{"stripe", "paypal"} {
		made, err := server.Subscribe(vendor.NewSubscription{ContactID: contact, PriceID: price, Provider: provider})
		require.NoError(t, err)
		state := func() domain.SubscriptionState {
			page, err := client.Subscriptions.Page(t.Context(), ghl.SubscriptionFilter{ID: made.ID}, ghl.Cursor{})
			require.NoError(t, err)
			require.Len(t, page.Rows, 1)
			state, _ := page.Rows[0].State()
			return state
		}
		require.Equal(t, domain.SubscriptionActive, state())
		require.NoError(t, server.PauseSubscription(made.ID))
		require.Equal(t, domain.SubscriptionPaused, state(), provider)
		require.NoError(t, server.ResumeSubscription(made.ID))
		require.Equal(t, domain.SubscriptionActive, state())
		require.NoError(t, server.CancelSubscription(made.ID))
		require.Equal(t, domain.SubscriptionCancelled, state())
		got, err := client.Subscriptions.Get(t.Context(), made.ID)
		require.NoError(t, err)
		require.False(t, got.EndedAt().IsZero())
		_, found := domain.NextRenewal(got.Renewals(), made.CreatedAt)
		require.False(t, found)
	}
}

func TestNoSnapshotKeepsASubscriptionFromBeingRead(t *testing.T) {
	values := rapid.SampledFrom([]string{`null`, `1`, `-1`, `1e400`, `"x"`, `""`, `true`, `[]`, `[1]`, `{}`, `{"a":[]}`, `{"data":[{}]}`,
		`{"data":[null,1,{"price":3,"current_period_end":"x"}]}`, `"2024-05-01T00:00:00Z"`, `1717200000`, `99999999999999999999`})
	names := []string{"status", "current_period_end", "cancel_at_period_end", "cancel_at", "canceled_at", "ended_at", "trial_end",
		"pause_collection", "items", "plan", "status_update_time", "billing_info", "startDate", "startTime", "interval", "dayOfMonth",
		"intervalType", "timezone", "endDate", "endType", "numOfWeek", "dayOfWeek", "monthOfYear", "count", "daysBefore"}
	rapid.Check(t, func(t *rapid.T) {
		var fields []string
		for _, name := range names {
			fields = append(fields, fmt.Sprintf("%q:%s", name, values.Draw(t, name)))
		}
		all := "{" + strings.Join(fields, ",") + "}"
		s := decoded(t, fmt.Sprintf(`"subscriptionSnapshot":%s,"schedule":{"rrule":%s},"recurringProduct":%s`, all, all, all))
		after := day(5, 20)
		if next, found := domain.NextRenewal(s.Renewals(), after); found {
			require.True(t, next.After(after))
		}
	})
}
