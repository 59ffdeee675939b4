package domain_test

import (
	"math"
	"math/big"
	"testing"
	"time"
	_ "time/tzdata" // zones on every machine

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tallystick/tallystick/domain"
)

var monthly = domain.Recurrence{Unit: domain.UnitMonth, Count: 1}

func TestRecurrenceOf(t *testing.T) {
	for word, want := range map[string]string{
		"monthly": "monthly", "Month": "monthly", "yearly": "yearly", "day": "daily", "DAILY": "daily", "weekly": "weekly",
		"hourly": "", "minutely": "", "secondly": "", "": "", "fortnightly": "",
	} {
		r, known := domain.RecurrenceOf(word, 1)
		require.Equal(t, want, r.String(), word)
		require.Equal(t, want != "", known, word)
		require.Equal(t, known, r.Known())
	}
	r, _ := domain.RecurrenceOf(" Yearly ", 1)
	require.Equal(t, "yearly", r.String())
	for _, count := range []int64{0, -1, math.MaxInt64, math.MinInt64} {
		_, known := domain.RecurrenceOf("day", count)
		require.False(t, known)
	}
	require.Equal(t, "every 3 months", domain.Recurrence{Unit: domain.UnitMonth, Count: 3}.String())
}

// charge is charge n of a schedule by plain arithmetic: a second way to the dates, which knows no rules.
func charge(s domain.SubscriptionSchedule, n int) time.Time {
	start, by := s.Start, n*int(s.Every.Count)
	switch s.Every.Unit {
	case domain.UnitDay:
		return start.AddDate(0, 0, by)
	case domain.UnitWeek:
		return start.AddDate(0, 0, 7*by)
	case domain.UnitYear:
		by *= 12
	}
	first := time.Date(start.Year(), start.Month()+time.Month(by), 1, start.Hour(), start.Minute(), start.Second(), 0, start.Location())
	last := time.Date(first.Year(), first.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return time.Date(first.Year(), first.Month(), min(start.Day(), last), start.Hour(), start.Minute(), start.Second(), 0, start.Location())
}

func drawSchedule(t *rapid.T) domain.SubscriptionSchedule {
	zone, err := time.LoadLocation(rapid.SampledFrom([]string{"UTC", "America/New_York", "Europe/Berlin", "Asia/Kathmandu",
		"Australia/Lord_Howe", "Pacific/Apia"}).Draw(t, "zone"))
	require.NoError(t, err)
	start := time.Date(rapid.IntRange(2019, 2025).Draw(t, "year"), time.Month(rapid.IntRange(1, 12).Draw(t, "month")),
		rapid.IntRange(1, 31).Draw(t, "day"), rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute"), 7, 0, zone)
	return domain.SubscriptionSchedule{
		State: rapid.SampledFrom([]domain.SubscriptionState{"active", "past_due", "trialing"}).Draw(t, "state"), Start: start,
		Every: domain.Recurrence{Unit: rapid.SampledFrom([]string{"day", "week", "month", "year"}).Draw(t, "unit"),
			Count: rapid.Int64Range(1, 5).Draw(t, "count")},
	}
}

func TestRenewalsAreOnTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchedule(t)
		if rapid.Bool().Draw(t, "ends by count") {
			s.Charges = rapid.Int64Range(1, 20).Draw(t, "charges")
		}
		if rapid.Bool().Draw(t, "ends by date") {
			s.Until = s.Start.AddDate(0, 0, rapid.IntRange(-10, 900).Draw(t, "until"))
		}
		after := s.Start.Add(time.Duration(rapid.Int64Range(-400*24*3600, 1500*24*3600).Draw(t, "after")) * time.Second)
		if rapid.Bool().Draw(t, "at a charge") {
			after = charge(s, rapid.IntRange(0, 30).Draw(t, "which"))
		}
		var want time.Time
		for n := 0; s.Charges == 0 || n < int(s.Charges); n++ {
			at := charge(s, n)
			if !s.Until.IsZero() && at.After(s.Until) {
				break
			}
			if at.After(after) {
				want = at.UTC()
				break
			}
		}
		next, found := domain.NextRenewal(s, after)
		require.Equal(t, !want.IsZero(), found)
		require.Equal(t, want, next)
		if found {
			require.True(t, next.After(after))
			require.Equal(t, time.UTC, next.Location())
		}
	})
}

func TestRenewalsFollowEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchedule(t)
		at := s.Start.Add(-time.Second)
		for n := range 30 {
			next, found := domain.NextRenewal(s, at)
			require.True(t, found)
			require.Equal(t, charge(s, n).UTC(), next, "none is left out, and none comes twice")
			at = next
		}
	})
}

func TestDaysThatNotEveryMonthHas(t *testing.T) {
	days := func(s domain.SubscriptionSchedule, n int) (list []string) {
		if s.State == "" {
			s.State = domain.SubscriptionActive
		}
		at := s.Start.Add(-time.Second)
		for range n {
			next, found := domain.NextRenewal(s, at)
			if !found {
				return append(list, "none")
			}
			list, at = append(list, next.In(s.Start.Location()).Format("2006-01-02 15:04")), next
		}
		return list
	}
	on := func(year int, month time.Month, day int) time.Time {
		return time.Date(year, month, day, 9, 30, 0, 0, time.UTC)
	}
	yearly := domain.Recurrence{Unit: domain.UnitYear, Count: 1}
	weekly := domain.Recurrence{Unit: domain.UnitWeek, Count: 2}
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		schedule domain.SubscriptionSchedule
		want     []string
	}{
		"the 31st": {domain.SubscriptionSchedule{Every: monthly, Start: on(2023, 12, 31)},
			[]string{"2023-12-31 09:30", "2024-01-31 09:30", "2024-02-29 09:30", "2024-03-31 09:30", "2024-04-30 09:30"}},
		"the 30th": {domain.SubscriptionSchedule{Every: monthly, Start: on(2023, 1, 30)},
			[]string{"2023-01-30 09:30", "2023-02-28 09:30", "2023-03-30 09:30"}},
		"a leap day": {domain.SubscriptionSchedule{Every: yearly, Start: on(2024, 2, 29)},
			[]string{"2024-02-29 09:30", "2025-02-28 09:30", "2026-02-28 09:30", "2027-02-28 09:30", "2028-02-29 09:30"}},
		"another day than the first": {domain.SubscriptionSchedule{Every: monthly, Start: on(2024, 1, 20), Day: 15},
			[]string{"2024-02-15 09:30", "2024-03-15 09:30"}},
		"the last day": {domain.SubscriptionSchedule{Every: monthly, Start: on(2024, 1, 5), Day: -1},
			[]string{"2024-01-31 09:30", "2024-02-29 09:30", "2024-03-31 09:30"}},
		"the last friday": {domain.SubscriptionSchedule{Every: monthly, Start: on(2024, 1, 1), Weekday: "FR", Nth: -1},
			[]string{"2024-01-26 09:30", "2024-02-23 09:30"}},
		"the second monday of march": {domain.SubscriptionSchedule{Every: yearly, Start: on(2024, 1, 1), Weekday: "mo", Nth: 2, Month: 3},
			[]string{"2024-03-11 09:30", "2025-03-10 09:30"}},
		"every other wednesday": {domain.SubscriptionSchedule{Every: weekly, Start: on(2024, 1, 1), Weekday: "we"},
			[]string{"2024-01-03 09:30", "2024-01-17 09:30"}},
		"three charges": {domain.SubscriptionSchedule{Every: monthly, Start: on(2024, 1, 31), Charges: 3},
			[]string{"2024-01-31 09:30", "2024-02-29 09:30", "2024-03-31 09:30", "none"}},
		"until and with the last day": {domain.SubscriptionSchedule{Every: monthly, Start: on(2024, 1, 5), Until: on(2024, 2, 5)},
			[]string{"2024-01-05 09:30", "2024-02-05 09:30", "none"}},
		"clocks change": {domain.SubscriptionSchedule{Every: monthly, Start: time.Date(2024, 3, 1, 9, 30, 0, 0, berlin)},
			[]string{"2024-03-01 09:30", "2024-04-01 09:30"}},
		"the 32nd":              {domain.SubscriptionSchedule{Every: monthly, Start: on(2024, 1, 5), Day: 32}, []string{"none"}},
		"the last but one":      {domain.SubscriptionSchedule{Every: monthly, Start: on(2024, 1, 5), Day: -2}, []string{"none"}},
		"a 13th month":          {domain.SubscriptionSchedule{Every: yearly, Start: on(2024, 1, 5), Month: 13}, []string{"none"}},
		"a day of no week":      {domain.SubscriptionSchedule{Every: weekly, Start: on(2024, 1, 5), Weekday: "xx"}, []string{"none"}},
		"the fifth friday":      {domain.SubscriptionSchedule{Every: monthly, Start: on(2024, 1, 5), Weekday: "fr", Nth: 5}, []string{"none"}},
		"the last of no day":    {domain.SubscriptionSchedule{Every: monthly, Start: on(2024, 1, 5), Nth: -1}, []string{"none"}},
		"no rule":               {domain.SubscriptionSchedule{Start: on(2024, 1, 5)}, []string{"none"}},
		"no start":              {domain.SubscriptionSchedule{Every: monthly}, []string{"none"}},
		"fewer than no charges": {domain.SubscriptionSchedule{Every: monthly, Start: on(2024, 1, 5), Charges: -1}, []string{"none"}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, days(c.schedule, len(c.want))) })
	}
}

func TestWhoSaysWhenItRenews(t *testing.T) {
	base := domain.SubscriptionSchedule{State: domain.SubscriptionActive, Every: monthly, Start: noon}
	byRule := noon.AddDate(0, 1, 0)
	next := func(change func(*domain.SubscriptionSchedule)) time.Time {
		s := base
		change(&s)
		at, found := domain.NextRenewal(s, noon)
		require.Equal(t, found, !at.IsZero())
		return at
	}
	require.Equal(t, byRule, next(func(*domain.SubscriptionSchedule) {}))
	require.Equal(t, noon.AddDate(0, 0, 9), next(func(s *domain.SubscriptionSchedule) { s.GatewayNext = noon.AddDate(0, 0, 9) }))
	require.Equal(t, byRule, next(func(s *domain.SubscriptionSchedule) { s.GatewayNext = noon }), "a date that is past was not kept up")
	require.Equal(t, noon.AddDate(0, 0, 9), next(func(s *domain.SubscriptionSchedule) {
		s.Every, s.GatewayNext = domain.Recurrence{}, noon.AddDate(0, 0, 9)
	}), "a list row has no schedule")
	require.Zero(t, next(func(s *domain.SubscriptionSchedule) { s.GatewayNext, s.GatewayEnd = byRule, byRule }), "it ends instead")
	require.Equal(t, byRule, next(func(s *domain.SubscriptionSchedule) { s.GatewayEnd = byRule.Add(time.Second) }))
	require.Equal(t, noon.AddDate(0, 0, 3), next(func(s *domain.SubscriptionSchedule) {
		s.State, s.TrialEnd = domain.SubscriptionTrialing, noon.AddDate(0, 0, 3)
	}))
	require.Equal(t, byRule, next(func(s *domain.SubscriptionSchedule) { s.TrialEnd = noon.AddDate(0, 0, 3) }), "the trial is over")
	for _, state := range domain.SubscriptionStates() {
		renews := state == "trialing" || state == "active" || state == "past_due"
		require.Equal(t, renews, !next(func(s *domain.SubscriptionSchedule) { s.State, s.GatewayNext = state, byRule }).IsZero(), state)
	}
}

func TestNoRuleTakesForever(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		edge := rapid.OneOf(rapid.SampledFrom([]int64{0, 1, -1, math.MaxInt64, math.MinInt64, 36600}), rapid.Int64())
		s := domain.SubscriptionSchedule{
			State: domain.SubscriptionActive, Start: time.Unix(rapid.Int64Range(-1e11, 1e11).Draw(t, "start"), 0).UTC(),
			Every: domain.Recurrence{Unit: rapid.SampledFrom([]string{"day", "week", "month", "year", ""}).Draw(t, "unit"), Count: edge.Draw(t, "count")},
			Day:   edge.Draw(t, "day"), Nth: edge.Draw(t, "nth"), Month: time.Month(edge.Draw(t, "month")), Charges: edge.Draw(t, "charges"),
			Weekday: rapid.SampledFrom([]string{"", "mo", "x"}).Draw(t, "weekday"),
		}
		after := time.Unix(rapid.Int64Range(-1e11, 1e11).Draw(t, "after"), 0).UTC()
		if next, found := domain.NextRenewal(s, after); found {
			require.True(t, next.After(after))
		}
	})
}

func TestRevenueOfAMonth(t *testing.T) {
	of := func(minor int64, unit string, count int64) domain.Instalment {
		return domain.Instalment{Amount: domain.NewMoney(minor, "EUR"), Every: domain.Recurrence{Unit: unit, Count: count}}
	}
	for name, c := range map[string]struct {
		instalments []domain.Instalment
		want        int64
	}{
		"nothing": {nil, 0}, "a month": {[]domain.Instalment{of(999, "month", 1)}, 999},
		"a quarter": {[]domain.Instalment{of(1000, "month", 3)}, 333}, "a year": {[]domain.Instalment{of(12000, "year", 1)}, 1000},
		"a week": {[]domain.Instalment{of(300, "week", 1)}, 1300}, "a day": {[]domain.Instalment{of(12, "day", 1)}, 365},
		"half to even, down":    {[]domain.Instalment{of(1, "month", 2)}, 0},
		"half to even, up":      {[]domain.Instalment{of(3, "month", 2)}, 2},
		"half to even, below 0": {[]domain.Instalment{of(-3, "month", 2)}, -2},
		"the sum is rounded":    {[]domain.Instalment{of(1, "month", 3), of(1, "month", 3), of(1, "month", 3)}, 1},
	} {
		got, err := domain.MonthlyRevenue("EUR", c.instalments...)
		require.NoError(t, err, name)
		require.Equal(t, domain.NewMoney(c.want, "EUR"), got, name)
	}
	_, err := domain.MonthlyRevenue("USD", of(1, "month", 1))
	require.ErrorIs(t, err, domain.ErrMoney)
	_, err = domain.MonthlyRevenue("EUR", of(1, "moon", 1))
	require.ErrorIs(t, err, domain.ErrMoney)
	_, err = domain.MonthlyRevenue("EUR", of(math.MaxInt64, "day", 1))
	require.ErrorIs(t, err, domain.ErrMoney)
	one, err := monthly.Monthly(domain.NewMoney(5, "JPY"))
	require.NoError(t, err)
	require.Equal(t, domain.NewMoney(5, "JPY"), one)
}

func TestRevenueIsExactUntilTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		years := map[string]int64{"day": 365, "week": 52, "month": 12, "year": 1}
		var all []domain.Instalment
		// In parts of a month: 12 months, and counts of 1 to 6 divide 60.
		exact := new(big.Int)
		for range rapid.IntRange(0, 20).Draw(t, "subscriptions") {
			unit := rapid.SampledFrom([]string{"day", "week", "month", "year"}).Draw(t, "unit")
			minor, count := rapid.Int64Range(-1e12, 1e12).Draw(t, "minor"), rapid.Int64Range(1, 6).Draw(t, "count")
			all = append(all, domain.Instalment{Amount: domain.NewMoney(minor, "EUR"), Every: domain.Recurrence{Unit: unit, Count: count}})
			exact.Add(exact, new(big.Int).Mul(big.NewInt(minor), big.NewInt(years[unit]*60/count)))
		}
		got, err := domain.MonthlyRevenue("EUR", all...)
		require.NoError(t, err)
		off := new(big.Int).Sub(exact, new(big.Int).Mul(big.NewInt(got.Minor), big.NewInt(720)))
		require.LessOrEqual(t, off.CmpAbs(big.NewInt(360)), 0, "%s parts of 720 off", off)
		if off.CmpAbs(big.NewInt(360)) == 0 {
			require.Zero(t, got.Minor%2)
		}
		back, err := domain.MonthlyRevenue("EUR", rapid.Permutation(all).Draw(t, "order")...)
		require.NoError(t, err)
		require.Equal(t, got, back)
	})
}

func TestStatesOfSubscriptions(t *testing.T) {
	words := map[string]domain.SubscriptionState{
		"trialing": "trialing", "active": "active", "ACTIVE": "active", "past_due": "past_due", "suspended": "paused", "SUSPENDED": "paused",
		"paused": "paused", "incomplete": "incomplete", "approval_pending": "incomplete", "approved": "incomplete", "unpaid": "unpaid",
		"canceled": "cancelled", "CANCELLED": "cancelled", "expired": "expired", "incomplete_expired": "expired",
		"": "unknown", "scheduled": "unknown", "succeeded": "unknown",
	}
	for word, want := range words {
		require.Equal(t, want, domain.SubscriptionStateOf(word), word)
	}
	require.Equal(t, domain.SubscriptionActive, domain.SubscriptionStateOf(" Active "))
	for _, state := range domain.SubscriptionStates() {
		if state == domain.SubscriptionUnknown {
			continue
		}
		require.Equal(t, state, domain.SubscriptionStateOf(string(state)), "what Sage has of ours is read back")
	}
	stages := map[domain.SubscriptionState]domain.Stage{
		"trialing": "open", "incomplete": "open", "unknown": "open", "active": "won", "past_due": "won", "paused": "won", "unpaid": "won",
		"cancelled": "lost", "expired": "lost",
	}
	for _, state := range domain.SubscriptionStates() {
		require.Equal(t, stages[state], state.Stage(), state)
		require.Equal(t, state.Ended(), state.Stage() == domain.StageLost)
		require.Equal(t, state == "active" || state == "past_due", state.Earning(), state)
	}
}
