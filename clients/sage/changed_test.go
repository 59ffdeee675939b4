package sage_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/sandbox/faults"
	tenant "github.com/tallystick/tallystick/sandbox/sage"
)

// tenantClock is the sandbox's clock, moved by hand.
type tenantClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *tenantClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *tenantClock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

const ours = "ghl:order:"

// changed gives the external ids of what has changed, in the order they came.
func changed(t *testing.T, c *sage.Client, since time.Time, options sage.ChangedOptions) []string {
	t.Helper()
	if options.ExtIDPrefix == "" {
		options.ExtIDPrefix = ours
	}
	ids := []string{}
	for order, err := range c.Orders.Changed(t.Context(), since, options) {
		require.NoError(t, err)
		ids = append(ids, order.ExtID)
	}
	return ids
}

func TestSandboxChangedFindsWhatIsNewChangedOrDeleted(t *testing.T) {
	clock := &tenantClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	for name, options := range map[string]tenant.Options{
		"as a rule":                          {},
		"a pattern on extId is refused":      {Unfilterable: []string{"salesorders.extId LIKE"}},
		"a deletion moves dateUpdated":       {DeleteBumps: true, Unfilterable: []string{"salesorders.dateDeleted"}},
		"the clock is half a day behind":     {ClockOffset: -12 * time.Hour},
		"the clock is fourteen hours before": {ClockOffset: 14 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			options.Now = clock.Now
			// Sessions must outlive the days that the clock is moved by.
			options.SessionLife = 100 * 24 * time.Hour
			server, _, c := start(t, options)
			ctx := t.Context()
			ids := map[string]int64{}
			for _, key := range []string{"old", "changed", "deleted"} {
				id, err := c.Orders.Create(ctx, newOrder(t, c, ours+key))
				require.NoError(t, err)
				ids[key] = id
			}
			foreign, err := c.Orders.Create(ctx, newOrder(t, c, "erp:1"))
			require.NoError(t, err)
			begin := clock.Advance(4 * 24 * time.Hour)
			clock.Advance(time.Minute)
			_, err = c.Orders.Create(ctx, newOrder(t, c, ours+"new"))
			require.NoError(t, err)
			require.NoError(t, server.PeopleUpdate("salesorders", ids["changed"], map[string]any{"comment": "by hand"}))
			require.NoError(t, server.PeopleUpdate("salesorders", foreign, map[string]any{"comment": "by hand"}))
			require.NoError(t, server.PeopleDelete("salesorders", ids["deleted"]))

			found := changed(t, c, begin, sage.ChangedOptions{})
			slices.Sort(found)
			assert.Equal(t, []string{ours + "changed", ours + "deleted", ours + "new"}, found)
			assert.Len(t, changed(t, c, time.Time{}, sage.ChangedOptions{}), 4, "without a moment it is all of ours")
		})
	}
}

// TestSandboxChangedWithoutDatesOfDeletion shows the one thing that is lost on a tenant that knows neither way.
func TestSandboxChangedWithoutDatesOfDeletion(t *testing.T) {
	clock := &tenantClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	server, _, c := start(t, tenant.Options{Now: clock.Now, SessionLife: 100 * 24 * time.Hour,
		Unfilterable: []string{"salesorders.dateDeleted"}})
	id, err := c.Orders.Create(t.Context(), newOrder(t, c, ours+"1"))
	require.NoError(t, err)
	begin := clock.Advance(4 * 24 * time.Hour)
	require.NoError(t, server.PeopleDelete("salesorders", id))
	assert.Empty(t, changed(t, c, begin, sage.ChangedOptions{}))
	// Dates that are compared always are no question of what the tenant knows: their refusal is an error.
	server2, _, c2 := start(t, tenant.Options{Unfilterable: []string{"salesorders.dateUpdated"}})
	require.NotNil(t, server2)
	var failed error
	for _, err := range c2.Orders.Changed(t.Context(), begin, sage.ChangedOptions{ExtIDPrefix: ours}) {
		failed = err
	}
	require.ErrorContains(t, failed, "901")
}

func TestSandboxChangedAsksForOursOnlyAndOncePerPage(t *testing.T) {
	server, _, c := start(t, tenant.Options{})
	for i := range 120 {
		_, err := c.Orders.Create(t.Context(), newOrder(t, c, fmt.Sprintf("erp:%d", i)))
		require.NoError(t, err)
	}
	for i := range 3 {
		id, err := c.Orders.Create(t.Context(), newOrder(t, c, fmt.Sprintf("%s%d", ours, i)))
		require.NoError(t, err)
		require.NoError(t, c.Orders.Update(t.Context(), id, sage.OrderFields{Comment: new("changed")}))
	}
	server.ResetCalls()
	assert.Len(t, changed(t, c, time.Now().Add(-time.Hour), sage.ChangedOptions{}), 3, "each once, though in two lists")
	assert.Equal(t, 3, server.CallCount("sage."), "foreign orders cost nothing")
}

// TestSandboxChangedWhileRowsChange adds, changes and deletes orders while pages are read: what was there before the
// reading began is found in it, and all that happened meanwhile is found by the next, which asks from the beginning on.
func TestSandboxChangedWhileRowsChange(t *testing.T) {
	clock := &tenantClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	server, _, c := start(t, tenant.Options{Now: clock.Now})
	fields := newOrder(t, c, "")
	create := func(key string) int64 {
		fields.ExtID = new(ours + key)
		id, err := c.Orders.Create(t.Context(), fields)
		require.NoError(t, err)
		clock.Advance(time.Millisecond)
		return id
	}
	var ids []int64
	for i := range 170 {
		ids = append(ids, create(fmt.Sprint(i)))
	}
	since, begin := clock.Now().Add(-time.Minute), clock.Advance(time.Second)
	seen := map[string]int{}
	n := 0
	for order, err := range c.Orders.Changed(t.Context(), since, sage.ChangedOptions{ExtIDPrefix: ours, PageSize: 50}) {
		require.NoError(t, err)
		seen[order.ExtID]++
		if n++; n%20 == 0 && n <= 160 {
			clock.Advance(time.Second)
			create(fmt.Sprintf("meanwhile-%d", n))
			require.NoError(t, server.PeopleUpdate("salesorders", ids[n], map[string]any{"comment": "now"}))
			require.NoError(t, server.PeopleDelete("salesorders", ids[n+1]))
		}
	}
	for i := range ids {
		assert.Positive(t, seen[fmt.Sprint(ours, i)], i)
	}
	again := changed(t, c, begin, sage.ChangedOptions{Margin: -1})
	for n := 20; n <= 160; n += 20 {
		assert.Contains(t, again, fmt.Sprintf("%smeanwhile-%d", ours, n))
		assert.Contains(t, again, fmt.Sprint(ours, n))
		assert.Contains(t, again, fmt.Sprint(ours, n+1))
	}
}

func TestSandboxChangedEndsWithItsFault(t *testing.T) {
	_, plan, c := start(t, tenant.Options{})
	for i := range 60 {
		_, err := c.Orders.Create(t.Context(), newOrder(t, c, fmt.Sprint(ours, i)))
		require.NoError(t, err)
	}
	plan.Script("sage.salesorders.list", 2, faults.Fault{Kind: faults.Status, Status: 500})
	rows, failed := 0, error(nil)
	for _, err := range c.Orders.Changed(t.Context(), time.Now(), sage.ChangedOptions{ExtIDPrefix: ours, PageSize: 50}) {
		if err != nil {
			failed = err
			continue
		}
		rows++
	}
	require.Error(t, failed, "a list that was cut is not the whole of it")
	assert.Equal(t, 50, rows)
}

// TestSandboxChangedMissesNothingOverManyReadings lets people add, edit and delete orders before, during and after
// readings, of which some are cut by a fault. Each reading asks for what changed since the beginning of the last whole
// one. Who keeps the newest of what was handed out then knows every order as it is, once it has been quiet for one reading.
func TestSandboxChangedMissesNothingOverManyReadings(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 1))
			clock := &tenantClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
			server, plan, c := start(t, tenant.Options{Now: clock.Now, DeleteBumps: seed%2 == 0, SessionLife: 1000 * time.Hour})
			fields := map[string]any{"branchId": server.Find("branches", "Main branch"), "salesRepId": server.Person(),
				"statusId": server.Find("salesorderStatuses", "Open"), "reference": "1"}
			var ids []int64
			act := func(n int) {
				for range n {
					clock.Advance(time.Duration(1+dice.IntN(900)) * time.Millisecond)
					switch id := dice.IntN(len(ids) + 1); {
					case id == len(ids) || dice.IntN(4) == 0:
						fields["extId"] = []string{ours, "erp:"}[dice.IntN(5)/4] + fmt.Sprint(len(ids))
						made, err := server.PeopleCreate("salesorders", fields)
						require.NoError(t, err)
						ids = append(ids, made)
					case dice.IntN(10) == 0: // it may be gone already
						_ = server.PeopleDelete("salesorders", ids[id])
					default:
						_ = server.PeopleUpdate("salesorders", ids[id], map[string]any{"comment": fmt.Sprint(dice.Uint32())})
					}
				}
			}
			known := map[int64]string{}
			var since time.Time
			read := func(meanwhile int) {
				begin := clock.Now()
				for order, err := range c.Orders.Changed(t.Context(), since, sage.ChangedOptions{ExtIDPrefix: ours, Margin: -1, PageSize: 50}) {
					if err != nil {
						return
					}
					known[order.ID] = fmt.Sprint(order.Comment, bool(order.Deleted))
					if dice.IntN(20) == 0 {
						act(dice.IntN(meanwhile + 1))
					}
				}
				since = begin.Add(-time.Second) // filters know whole seconds
			}
			act(200)
			for range 6 {
				if dice.IntN(3) == 0 {
					plan.Next("sage.salesorders.list", faults.Fault{Kind: faults.Status, Status: 500})
				}
				read(8)
				act(dice.IntN(120))
			}
			plan.Clear()
			read(0)
			want := map[int64]string{}
			for _, rows := range [][]tenant.Record{server.Live("salesorders"), server.Deleted("salesorders")} {
				for _, row := range rows {
					if strings.HasPrefix(row.Text("extId"), ours) {
						want[row.ID] = fmt.Sprint(row.Text("comment"), row.Deleted)
					}
				}
			}
			assert.Equal(t, want, known)
		})
	}
}

func TestSandboxChangedTellsAgainOfWhatChangesBetweenTheLists(t *testing.T) {
	server, _, c := start(t, tenant.Options{})
	id, err := c.Orders.Create(t.Context(), newOrder(t, c, ours+"1"))
	require.NoError(t, err)
	var comments []string
	for order, err := range c.Orders.Changed(t.Context(), time.Now(), sage.ChangedOptions{ExtIDPrefix: ours}) {
		require.NoError(t, err)
		if comments = append(comments, order.Comment); len(comments) == 1 {
			require.NoError(t, server.PeopleUpdate("salesorders", id, map[string]any{"comment": "now"}))
		}
	}
	assert.Equal(t, []string{"", "now"}, comments)
}
